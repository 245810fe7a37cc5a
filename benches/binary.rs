//! The release binary of this repository on one archive.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::Trouble;
use crate::process;
use crate::process::Run;

/// footbridge, and the archive that it works on.
pub(crate) struct Footbridge {
    pub(crate) data: PathBuf,
}

impl Footbridge {
    pub(crate) fn on(data: PathBuf) -> Self {
        Self { data }
    }

    /// A command of it on this archive.
    pub(crate) fn command(&self, name: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_footbridge"));
        command.arg(name).arg("--data").arg(&self.data);
        command
    }

    fn importing(&self, chat_db: &Path) -> Command {
        let mut command = self.command("import");
        command.arg("--chat-db").arg(chat_db);
        command
    }

    /// Imports, from what the archive holds to the end.
    pub(crate) fn import(&self, chat_db: &Path) -> Result<Run, Trouble> {
        process::run(&mut self.importing(chat_db))
    }

    /// Imports and is killed; `false` if it came to its end before.
    pub(crate) fn import_killed(&self, chat_db: &Path, after: Duration) -> Result<bool, Trouble> {
        process::kill(&mut self.importing(chat_db), after)
    }

    /// Opens the archive and tells what it holds.
    pub(crate) fn status(&self) -> Result<Run, Trouble> {
        process::run(&mut self.command("status"))
    }

    /// Writes everything as JSON Lines.
    pub(crate) fn export(&self, to: &Path) -> Result<Run, Trouble> {
        process::run(self.command("export").arg("--output").arg(to))
    }

    /// Removes the archive.
    pub(crate) fn remove(&self) -> Result<(), Trouble> {
        match fs::remove_file(&self.data) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}
