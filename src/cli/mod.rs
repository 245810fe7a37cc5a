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
mod prompt;
mod remote;
pub mod report;
pub mod screen;
mod session;
pub mod text;
pub mod when;

use std::ffi::OsString;
use std::io;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use tracing::level_filters::LevelFilter;

use crate::app::config::Environment;
use crate::app::config::Platform;
use crate::app::remote::Remote;
use crate::app::settings::Flags;
use crate::app::settings::Settings;
use crate::cli::args::Arguments;
use crate::cli::args::Command;
use crate::cli::report::Exit;
use crate::cli::report::Failure;
use crate::cli::session::Place;
use crate::cli::session::Session;

/// Does what the process's arguments say.
///
/// A panic anywhere below is a bug: it is reported and becomes exit code 70.
pub fn main() -> ExitCode {
    let exit = bug::guard(&mut io::stderr(), || run(std::env::args_os()));
    ExitCode::from(exit.code())
}

/// Does what the arguments say, the program's name first.
fn run(arguments: impl Iterator<Item = OsString>) -> Exit {
    let words: Vec<OsString> = arguments.collect();
    let arguments = match Arguments::try_parse_from(&words) {
        Ok(arguments) => arguments,
        Err(refusal) => return report::usage(&refusal),
    };
    let environment = Environment::read();
    let flags = Flags {
        config: arguments.config,
        data: arguments.data,
        ..Flags::default()
    };
    // A command that needs the configuration says what is wrong with it; the others do not ask.
    let settings = Settings::load(&flags, &environment, Platform::here()).ok();
    start_log(
        settings
            .as_ref()
            .map_or(LevelFilter::WARN, |settings| settings.log),
    );
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut session = Session {
        size: remote::own_screen(environment.no_color),
        environment,
        flags,
        json: arguments.json,
        out: &mut out,
        place: Place::Own,
    };
    let service = settings
        .filter(|_| remote::is_answered(&arguments.command))
        .and_then(|settings| Remote::connect(&settings.data));
    let answer = match (service, words.get(1..)) {
        (Some(service), Some(words)) => {
            remote::ask(service, &arguments.command, words, &mut session)
        }
        _ => dispatch(arguments.command, &mut session),
    };
    let is_launchd_job = session.environment.is_launchd_job;
    let flushed = out.flush();
    let exit = match answer.and_then(|exit| flushed.map(|()| exit).map_err(Failure::from)) {
        Ok(exit) => exit,
        Err(failure) => report::failure(&mut io::stderr().lock(), &failure),
    };
    if is_launchd_job {
        return exit.for_launchd();
    }
    exit
}

fn dispatch(command: Command, session: &mut Session<'_>) -> Result<Exit, Failure> {
    match command {
        Command::Run(args) => commands::run::run(&args, session),
        Command::Import(args) => commands::import::run(&args, session),
        Command::Demo(args) => commands::demo::run(&args, session),
        Command::Cloudkit(args) => commands::cloudkit::run(&args, session),
        Command::Status => commands::status::run(session),
        Command::Conversations(args) => commands::conversations::run(&args, session),
        Command::Show(args) => commands::show::run(&args, session),
        Command::Search(args) => commands::search::run(&args, session),
        Command::Explain(args) => commands::explain::run(&args, session),
        Command::Export(args) => commands::export::run(&args, session),
        Command::ListHandles => commands::list_handles::run(session),
        Command::Split(args) => commands::split::run(&args, session),
        Command::Join(args) => commands::join::run(&args, session),
        Command::Attachments(args) => commands::attachments::run(&args, session),
        Command::Quarantine(args) => commands::quarantine::run(&args, session),
        Command::Redecode(args) => commands::redecode::run(&args, session),
        Command::Verify => commands::verify::run(session),
        Command::Backup(args) => commands::backup::run(&args, session),
        Command::Compact => commands::compact::run(session),
        Command::Password(args) => commands::password::run(&args, session),
        Command::Config => commands::config::run(session),
        Command::Check => commands::check::run(session),
        Command::Decode(args) => commands::decode::run(&args, session),
        Command::Completions(args) => commands::completions::run(&args, session),
    }
}

/// Sends the log to stderr.
fn start_log(level: LevelFilter) {
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(false)
        .with_target(false)
        .with_max_level(level)
        .init();
}
