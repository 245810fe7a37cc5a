//! Arguments, progress, and the one place that prints errors.
//!
//! Results go to stdout and are stable; everything else goes to stderr. A command is a thin function: it calls `app`
//! and prints the answer.

pub mod args;
mod bug;
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

use crate::app::config::ConfigError;
use crate::app::config::Environment;
use crate::app::config::Platform;
use crate::cli::args::Arguments;
use crate::cli::args::Command;
use crate::cli::report::Exit;
use crate::cli::report::Failure;

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
        Command::Check => commands::check::run(session),
        Command::Completions(args) => commands::completions::run(&args, session),
        Command::Decode(args) => commands::decode::run(&args, session),
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
