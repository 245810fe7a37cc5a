//! `footbridge completions`.

use clap::CommandFactory;

use crate::cli::Session;
use crate::cli::args::Arguments;
use crate::cli::args::CompletionsArgs;
use crate::cli::report::Exit;
use crate::cli::report::Failure;

/// Prints the script that makes a shell complete footbridge's arguments.
pub(crate) fn run(args: &CompletionsArgs, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(
        args.shell,
        &mut Arguments::command(),
        "footbridge",
        &mut script,
    );
    session.out.write_all(&script)?;
    Ok(Exit::Done)
}
