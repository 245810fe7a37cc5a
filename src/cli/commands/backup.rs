//! `footbridge backup`.

use crate::app::archive::BackupPhase;
use crate::cli::Session;
use crate::cli::args::BackupArgs;
use crate::cli::numbers::size;
use crate::cli::report::Exit;
use crate::cli::report::Failure;
use crate::cli::text::Clean;

/// Writes a copy, verifies it, and prints its size.
pub(crate) fn run(args: &BackupArgs, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let archive = session.archive()?;
    let phases = session.phases(names);
    let to = session.path(&args.file);
    session.leave_nothing()?;
    let bytes = archive.backup(&to, |phase, done, total| phases.set(phase, done, total))?;
    drop(phases);
    let file = args.file.display().to_string();
    if session.json {
        session.print_json(&serde_json::json!({ "file": file, "bytes": bytes }))?;
    } else {
        let file = Clean::line(&file);
        writeln!(session.out, "{file}: {}, verified", size(bytes))?;
    }
    Ok(Exit::Done)
}

/// What a phase is called, and what is counted in it.
fn names(phase: BackupPhase) -> (&'static str, &'static str) {
    match phase {
        BackupPhase::Copying => ("copying", "rows"),
        BackupPhase::Verifying => ("verifying the copy", "messages"),
    }
}
