//! `footbridge verify`.

use crate::cli::Session;
use crate::cli::numbers::counted;
use crate::cli::report::Exit;
use crate::cli::report::Failure;
use crate::cli::text::Clean;

/// Prints a line for each contradiction in the archive; exit code 4 when there is one.
pub(crate) fn run(session: &mut Session<'_>) -> Result<Exit, Failure> {
    let archive = session.archive()?;
    let progress = session.progress("verifying", "messages");
    let mut messages = 0;
    let findings = archive.verify(|done, total| {
        messages = total;
        progress.set(done, Some(total));
    })?;
    drop(progress);
    for finding in &findings {
        if session.json {
            session.print_json(finding)?;
            continue;
        }
        let what = format!("{} {}: {}", finding.table, finding.row, finding.what);
        writeln!(session.out, "{}", Clean::line(&what))?;
    }
    if !findings.is_empty() {
        return Ok(Exit::Store);
    }
    if !session.json {
        writeln!(
            session.out,
            "{}, nothing wrong",
            counted(messages, "message")
        )?;
    }
    Ok(Exit::Done)
}
