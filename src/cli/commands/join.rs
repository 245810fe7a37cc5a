//! `footbridge join`.

use crate::cli::Session;
use crate::cli::args::PersonArgs;
use crate::cli::report::Exit;
use crate::cli::report::Failure;
use crate::cli::text::Clean;

/// Lets the address book decide again what is shown together, and prints the keys of that.
pub(crate) fn run(args: &PersonArgs, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let keys = session.archive()?.join(&args.conversation)?;
    if session.json {
        session.print_json(&serde_json::json!({ "together": keys }))?;
        return Ok(Exit::Done);
    }
    match keys.as_slice() {
        [key] => writeln!(
            session.out,
            "{} stays on its own: the address book has no other conversation of that person",
            Clean::line(key)
        )?,
        keys => {
            writeln!(session.out, "shown as one from now on:")?;
            for key in keys {
                writeln!(session.out, "  {}", Clean::line(key))?;
            }
        }
    }
    Ok(Exit::Done)
}
