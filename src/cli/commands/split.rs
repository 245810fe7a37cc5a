//! `footbridge split`.

use crate::cli::Session;
use crate::cli::args::PersonArgs;
use crate::cli::report::Exit;
use crate::cli::report::Failure;
use crate::cli::text::Clean;

/// Shows the addresses of one person apart, and prints their keys.
pub(crate) fn run(args: &PersonArgs, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let keys = session.archive()?.split(&args.conversation)?;
    if session.json {
        session.print_json(&serde_json::json!({ "apart": keys }))?;
        return Ok(Exit::Done);
    }
    match keys.as_slice() {
        [key] => writeln!(
            session.out,
            "{} is shown on its own already",
            Clean::line(key)
        )?,
        keys => {
            writeln!(session.out, "shown apart from now on:")?;
            for key in keys {
                writeln!(session.out, "  {}", Clean::line(key))?;
            }
        }
    }
    Ok(Exit::Done)
}
