//! Both ends of a command that the running service answers (D15): which commands are sent to it, and how it runs them.

use std::io;
use std::io::Write;
use std::path::PathBuf;

use clap::Parser;

use crate::app::Archive;
use crate::app::config::Environment;
use crate::app::remote::Answer;
use crate::app::remote::Commands;
use crate::app::remote::Part;
use crate::app::remote::Remote;
use crate::app::remote::RemoteError;
use crate::app::remote::Request;
use crate::app::remote::ScreenSize;
use crate::app::remote::Step;
use crate::app::remote::VERSION;
use crate::app::settings::Flags;
use crate::base::secret::SecretText;
use crate::base::time::SystemClock;
use crate::cli::args::Arguments;
use crate::cli::args::CloudkitAction;
use crate::cli::args::Command;
use crate::cli::args::QuarantineAction;
use crate::cli::bug;
use crate::cli::commands::export::shows_progress;
use crate::cli::dispatch;
use crate::cli::progress::Progress;
use crate::cli::report;
use crate::cli::report::Exit;
use crate::cli::report::Failure;
use crate::cli::session::Place;
use crate::cli::session::Session;

/// Bytes of an answer that are collected for one part.
const BUFFER_BYTES: usize = 64 << 10;

/// Whether the service answers a command: it only reads, or writes so little that nothing has to stop for it.
pub(crate) fn is_answered(command: &Command) -> bool {
    match command {
        Command::Status
        | Command::Conversations(_)
        | Command::Show(_)
        | Command::Search(_)
        | Command::Explain(_)
        | Command::Export(_)
        | Command::ListHandles
        | Command::Split(_)
        | Command::Join(_)
        | Command::Attachments(_)
        | Command::Verify
        | Command::Backup(_)
        | Command::Password(_) => true,
        Command::Cloudkit(args) => match args.action {
            CloudkitAction::Import { .. } | CloudkitAction::Status => true,
            CloudkitAction::Sync | CloudkitAction::Forget => false,
        },
        Command::Quarantine(args) => args.action == QuarantineAction::List,
        Command::Run(_)
        | Command::Demo(_)
        | Command::Import(_)
        | Command::Redecode(_)
        | Command::Compact
        | Command::Check
        | Command::Config
        | Command::Decode(_)
        | Command::Completions(_) => false,
    }
}

/// Has the service that is at the other end answer, and shows its answer.
pub(crate) fn ask(
    remote: Remote,
    command: &Command,
    arguments: &[std::ffi::OsString],
    session: &mut Session<'_>,
) -> Result<Exit, Failure> {
    let input = if let Command::Password(args) = command {
        Some(session.new_password(args.stdin)?)
    } else {
        None
    };
    let text = |argument: &std::ffi::OsString| match argument.to_str() {
        Some(text) => Ok(text.to_owned()),
        None => Err(RemoteError::Argument {
            argument: argument.display().to_string(),
        }),
    };
    let request = Request {
        version: VERSION.to_owned(),
        arguments: arguments.iter().map(text).collect::<Result<_, _>>()?,
        folder: std::env::current_dir().unwrap_or_else(|_gone| PathBuf::from("/")),
        screen: session.size,
        input: input.map(|input| input.expose().clone()),
    };
    let mut shown: Option<(Step, Progress<'_>)> = None;
    let is_hidden = matches!(command, Command::Export(args) if !shows_progress(args));
    let out = &mut *session.out;
    let exit = remote.ask(&request, |part| match part {
        Part::Out(bytes) => out.write_all(&bytes),
        Part::Err(bytes) => {
            out.flush()?;
            io::stderr().lock().write_all(&bytes)
        }
        Part::Progress(step) => {
            if !is_hidden {
                show(&mut shown, step);
            }
            Ok(())
        }
        Part::End(_) => Ok(()),
    })?;
    Ok(Exit::of_code(exit))
}

fn show(shown: &mut Option<(Step, Progress<'_>)>, step: Step) {
    let is_other = |(before, _): &(Step, Progress<'_>)| before.work != step.work;
    if step.done.is_none() || shown.as_ref().is_some_and(is_other) {
        *shown = None;
    }
    if let Some(done) = step.done {
        let total = step.total;
        let (_, progress) = shown.get_or_insert_with(|| {
            let progress = Progress::new(&step.work, &step.things, &SystemClock);
            (step, progress)
        });
        progress.set(done, total);
    }
}

/// The command line, as the service answers with it.
pub(crate) struct CommandLine;

impl Commands for CommandLine {
    fn answer(&self, request: &Request, archive: &Archive, answer: Answer<'_>) -> u8 {
        let mut err = Parts::new(answer, Part::Err);
        let exit = bug::contain(&mut err, || {
            let mut err = Parts::new(answer, Part::Err);
            match run(request, archive, answer) {
                Ok(exit) => exit,
                Err(failure) => report::failure(&mut err, &failure),
            }
        });
        exit.code()
    }
}

fn run(request: &Request, archive: &Archive, answer: Answer<'_>) -> Result<Exit, Failure> {
    if request.version != VERSION {
        return Err(OtherVersion(request.version.clone()).into());
    }
    let arguments =
        std::iter::once("footbridge").chain(request.arguments.iter().map(String::as_str));
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) if is_answered(&arguments.command) => arguments,
        Ok(_) | Err(_) => return Err(NotAnswered.into()),
    };
    let mut out = io::BufWriter::with_capacity(BUFFER_BYTES, Parts::new(answer, Part::Out));
    let mut session = Session {
        environment: Environment::default(),
        flags: Flags::default(),
        json: arguments.json,
        size: request.screen,
        out: &mut out,
        place: Place::Service {
            archive: archive.clone(),
            folder: &request.folder,
            input: request.input.clone().map(SecretText::new),
            answer,
        },
    };
    let exit = dispatch(arguments.command, &mut session);
    out.flush()?;
    exit
}

/// A writer whose bytes become parts of an answer.
struct Parts<'a> {
    answer: Answer<'a>,
    kind: fn(Vec<u8>) -> Part,
}

impl<'a> Parts<'a> {
    fn new(answer: Answer<'a>, kind: fn(Vec<u8>) -> Part) -> Self {
        Self { answer, kind }
    }
}

impl Write for Parts<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (self.answer)((self.kind)(bytes.to_vec()))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The process that asks is of another version.
#[derive(Debug, thiserror::Error)]
#[error("the footbridge that runs is version {VERSION}, this one is {0}")]
struct OtherVersion(String);

impl crate::base::error::Explain for OtherVersion {
    fn class(&self) -> crate::base::error::Class {
        crate::base::error::Class::Owner
    }

    fn hint(&self) -> Option<String> {
        Some("stop the running one and start it again, so that both are the same".to_owned())
    }
}

/// The process that asks wants what the service does not answer.
#[derive(Debug, thiserror::Error)]
#[error("the running footbridge does not answer that")]
struct NotAnswered;

impl crate::base::error::Explain for NotAnswered {
    fn class(&self) -> crate::base::error::Class {
        crate::base::error::Class::Usage
    }
}

/// What stdout of this process is.
pub(crate) fn own_screen(no_color: bool) -> ScreenSize {
    use std::io::IsTerminal;

    let out = io::stdout();
    let is_terminal = out.is_terminal();
    let columns = rustix::termios::tcgetwinsize(&out).map_or(0, |size| size.ws_col);
    ScreenSize {
        columns: usize::from(columns),
        is_terminal,
        bold: is_terminal && !no_color,
    }
}
