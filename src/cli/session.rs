//! What every command gets: where the archive is and how to answer. The same command runs in the owner's own process
//! and, for another process, in the service (`remote`): only the session knows the difference.

use std::io;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

use crate::app::AppError;
use crate::app::Archive;
use crate::app::config::Environment;
use crate::app::config::Platform;
use crate::app::file;
use crate::app::remote::Answer;
use crate::app::remote::Part;
use crate::app::remote::Remote;
use crate::app::remote::ScreenSize;
use crate::app::service::RunError;
use crate::app::settings::Flags;
use crate::app::settings::Settings;
use crate::app::settings::SettingsError;
use crate::base::secret::SecretText;
use crate::base::time::SystemClock;
use crate::cli::progress::Phases;
use crate::cli::progress::Progress;
use crate::cli::prompt;
use crate::cli::prompt::PromptError;
use crate::cli::report;
use crate::cli::report::Failure;
use crate::cli::screen::Screen;
use crate::cli::text;

/// Where a command runs.
pub(crate) enum Place<'a> {
    /// In a process of its own.
    Own,
    /// In the service, for another process.
    Service {
        /// The service's archive.
        archive: Archive,
        /// Where the other process is.
        folder: &'a Path,
        /// What was typed there.
        input: Option<SecretText>,
        /// The way to it.
        answer: Answer<'a>,
    },
}

/// What every command gets.
pub(crate) struct Session<'a> {
    /// The environment variables that matter.
    pub(crate) environment: Environment,
    /// What the arguments set.
    pub(crate) flags: Flags,
    /// One JSON object a line instead of text for people.
    pub(crate) json: bool,
    /// What the answer is shown on.
    pub(crate) size: ScreenSize,
    /// Standard output.
    pub(crate) out: &'a mut dyn Write,
    /// Where it runs.
    pub(crate) place: Place<'a>,
}

impl<'a> Session<'a> {
    /// The configuration in force.
    pub(crate) fn settings(&self) -> Result<Settings, SettingsError> {
        self.settings_with(&self.flags)
    }

    /// The configuration in force, with a command's own flags.
    pub(crate) fn settings_with(&self, flags: &Flags) -> Result<Settings, SettingsError> {
        Settings::load(flags, &self.environment, Platform::here())
    }

    /// The archive file; it need not exist.
    pub(crate) fn data_file(&self) -> Result<PathBuf, SettingsError> {
        Ok(self.settings()?.data)
    }

    /// The archive, which must exist.
    pub(crate) fn archive(&self) -> Result<Archive, Failure> {
        match &self.place {
            Place::Own => {
                let settings = self.settings()?;
                Ok(Archive::open(&settings.data)?.with_floor(settings.free_floor))
            }
            Place::Service { archive, .. } => Ok(archive.clone()),
        }
    }

    /// The archive file, for a command that needs it for itself.
    pub(crate) fn own_data_file(&self) -> Result<PathBuf, Failure> {
        let data = self.data_file()?;
        if Remote::connect(&data).is_some() {
            return Err(RunError::Running { archive: data }.into());
        }
        Ok(data)
    }

    /// The archive, which must exist, for a command that needs it for itself.
    pub(crate) fn own_archive(&self) -> Result<Archive, Failure> {
        let floor = self.settings()?.free_floor;
        Ok(Archive::open(&self.own_data_file()?)?.with_floor(floor))
    }

    /// Where a path leads that was given as an argument.
    pub(crate) fn path(&self, given: &Path) -> PathBuf {
        match &self.place {
            Place::Own => given.to_owned(),
            Place::Service { folder, .. } => folder.join(given),
        }
    }

    /// Has a signal that ends this process leave nothing of a file that it writes. The service looks after its own.
    pub(crate) fn leave_nothing(&self) -> Result<(), AppError> {
        match &self.place {
            Place::Own => file::remove_unfinished_on_signals(),
            Place::Service { .. } => Ok(()),
        }
    }

    /// What stdout can show.
    pub(crate) fn screen(&self) -> Screen {
        Screen::new(self.size.columns, self.size.bold)
    }

    /// Prints a remark on the answer, which goes to stdout.
    pub(crate) fn note(&self, text: &str) {
        let line = report::note(text);
        // Nothing is left to do when even stderr is gone; the exit code still tells.
        match &self.place {
            Place::Own => drop(io::stderr().lock().write_all(line.as_bytes())),
            Place::Service { answer, .. } => drop(answer(Part::Err(line.into_bytes()))),
        }
    }

    /// Shows how far work such as `verifying` is, counted in things such as `messages`.
    pub(crate) fn progress(&self, work: &str, things: &str) -> Progress<'a> {
        match &self.place {
            Place::Own => Progress::new(work, things, &SystemClock),
            Place::Service { answer, .. } => Progress::told(work, things, &SystemClock, *answer),
        }
    }

    /// The same for work in several phases, which are called so and counted in such things.
    pub(crate) fn phases<P: Copy + PartialEq>(
        &self,
        names: fn(P) -> (&'static str, &'static str),
    ) -> Phases<'a, P> {
        let phases = Phases::new(names, &SystemClock);
        match &self.place {
            Place::Own => phases,
            Place::Service { answer, .. } => phases.told(*answer),
        }
    }

    /// A new password: asked for twice without showing it, or one line of standard input.
    pub(crate) fn new_password(&self, from_stdin: bool) -> Result<SecretText, PromptError> {
        match &self.place {
            Place::Own => prompt::new_password(from_stdin),
            Place::Service { input, .. } => input.clone().ok_or(PromptError::NoInput),
        }
    }

    /// Writes one value as a line of JSON.
    pub(crate) fn print_json(&mut self, value: &impl serde::Serialize) -> io::Result<()> {
        let json = serde_json::to_string(value)?;
        writeln!(self.out, "{}", text::escape_json(&json))
    }

    /// Writes one value as JSON over several lines, for people.
    pub(crate) fn print_pretty_json(&mut self, value: &impl serde::Serialize) -> io::Result<()> {
        let json = serde_json::to_string_pretty(value)?;
        writeln!(self.out, "{}", text::escape_json(&json))
    }
}
