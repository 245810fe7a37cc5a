//! Arguments, progress, and the one place that prints errors.
//!
//! Results go to stdout and are stable; everything else goes to stderr. A command is a thin function: it calls `app`
//! and prints the answer.

pub mod args;
mod bug;
mod chat;
mod commands;
pub mod days;
pub mod numbers;
pub mod progress;
pub mod report;
pub mod screen;
pub mod text;
pub mod when;

use std::ffi::OsString;
use std::io;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use tracing::level_filters::LevelFilter;

use crate::app::Archive;
use crate::app::config::ConfigError;
use crate::app::config::Environment;
use crate::app::config::Platform;
use crate::cli::args::Arguments;
use crate::cli::args::Command;
use crate::cli::report::Exit;
use crate::cli::report::Failure;
use crate::cli::screen::Screen;

/// What every command gets: where the archive is and how to answer.
pub(crate) struct Session<'a> {
    environment: Environment,
    data: Option<PathBuf>,
    /// One JSON object a line instead of text for people.
    pub(crate) json: bool,
    /// Standard output.
    pub(crate) out: &'a mut dyn Write,
}

impl Session<'_> {
    /// The archive file; it need not exist.
    fn data_file(&self) -> Result<PathBuf, ConfigError> {
        self.environment
            .data_file(self.data.as_deref(), Platform::here())
    }

    /// The archive, which must exist.
    fn archive(&self) -> Result<Archive, Failure> {
        Ok(Archive::open(&self.data_file()?)?)
    }

    /// What stdout can show.
    fn screen(&self) -> Screen {
        Screen::stdout(self.environment.no_color)
    }

    /// Writes one value as a line of JSON.
    fn print_json(&mut self, value: &impl serde::Serialize) -> io::Result<()> {
        let json = serde_json::to_string(value)?;
        writeln!(self.out, "{}", text::escape_json(&json))
    }

    /// Writes one value as JSON over several lines, for people.
    fn print_pretty_json(&mut self, value: &impl serde::Serialize) -> io::Result<()> {
        let json = serde_json::to_string_pretty(value)?;
        writeln!(self.out, "{}", text::escape_json(&json))
    }
}

/// Does what the process's arguments say.
///
/// A panic anywhere below is a bug: it is reported and becomes exit code 70.
pub fn main() -> ExitCode {
    let exit = bug::guard(&mut io::stderr(), || run(std::env::args_os()));
    ExitCode::from(exit.code())
}

/// Does what the arguments say, the program's name first.
fn run(arguments: impl Iterator<Item = OsString>) -> Exit {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(refusal) => return report::usage(&refusal),
    };
    let environment = Environment::read();
    start_log(&environment);
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut session = Session {
        environment,
        data: arguments.data,
        json: arguments.json,
        out: &mut out,
    };
    let answer = dispatch(arguments.command, &mut session);
    let flushed = out.flush();
    match answer.and_then(|exit| flushed.map(|()| exit).map_err(Failure::from)) {
        Ok(exit) => exit,
        Err(failure) => report::failure(&mut io::stderr().lock(), &failure),
    }
}

fn dispatch(command: Command, session: &mut Session<'_>) -> Result<Exit, Failure> {
    match command {
        Command::Import(args) => commands::import::run(&args, session),
        Command::Status => commands::status::run(session),
        Command::Conversations(args) => commands::conversations::run(&args, session),
        Command::Show(args) => commands::show::run(&args, session),
        Command::Search(args) => commands::search::run(&args, session),
        Command::Explain(args) => commands::explain::run(&args, session),
        Command::Export(args) => commands::export::run(&args, session),
        Command::ListHandles => commands::list_handles::run(session),
        Command::Split(args) => commands::split::run(&args, session),
        Command::Join(args) => commands::join::run(&args, session),
        Command::Quarantine(args) => commands::quarantine::run(&args, session),
        Command::Redecode(args) => commands::redecode::run(&args, session),
        Command::Verify => commands::verify::run(session),
        Command::Backup(args) => commands::backup::run(&args, session),
        Command::Compact => commands::compact::run(session),
        Command::Check => commands::check::run(session),
        Command::Decode(args) => commands::decode::run(&args, session),
        Command::Completions(args) => commands::completions::run(&args, session),
    }
}

/// Sends the log to stderr, warnings and worse unless `FOOTBRIDGE_LOG` says otherwise.
fn start_log(environment: &Environment) {
    let level = environment
        .log
        .as_deref()
        .and_then(|level| level.parse().ok())
        .unwrap_or(LevelFilter::WARN);
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(false)
        .with_target(false)
        .with_max_level(level)
        .init();
}
