//! `footbridge decode`.

use crate::cli::Session;
use crate::cli::args::DecodeArgs;
use crate::cli::report::Exit;
use crate::cli::report::Failure;

/// Prints a blob as JSON: over several lines for people, on one with `--json`.
pub(crate) fn run(args: &DecodeArgs, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let value = crate::app::decode::decode_file(args.kind, &args.file)?;
    if session.json {
        session.print_json(&value)?;
    } else {
        session.print_pretty_json(&value)?;
    }
    Ok(Exit::Done)
}
