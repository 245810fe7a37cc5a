//! `footbridge backup`.

use crate::cli::Session;
use crate::cli::args::BackupArgs;
use crate::cli::numbers::size;
use crate::cli::report::Exit;
use crate::cli::report::Failure;
use crate::cli::text::Clean;

/// Writes a copy, verifies it, and prints its size.
pub(crate) fn run(args: &BackupArgs, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let archive = session.archive()?;
    let progress = session.progress("verifying the copy", "messages");
    let to = session.path(&args.file);
    let bytes = archive.backup(&to, |done, total| progress.set(done, Some(total)))?;
    drop(progress);
    let file = args.file.display().to_string();
    if session.json {
        session.print_json(&serde_json::json!({ "file": file, "bytes": bytes }))?;
    } else {
        let file = Clean::line(&file);
        writeln!(session.out, "{file}: {}, verified", size(bytes))?;
    }
    Ok(Exit::Done)
}
