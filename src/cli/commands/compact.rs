//! `footbridge compact`.

use crate::cli::Session;
use crate::cli::numbers::size;
use crate::cli::report::Exit;
use crate::cli::report::Failure;

/// Shrinks the file, and prints its size before and after.
pub(crate) fn run(session: &mut Session<'_>) -> Result<Exit, Failure> {
    let (before, after) = session.own_archive()?.compact()?;
    if session.json {
        session.print_json(&serde_json::json!({ "before": before, "after": after }))?;
    } else {
        writeln!(session.out, "{} before, {} now", size(before), size(after))?;
    }
    Ok(Exit::Done)
}
