//! imessage-exporter, which turns the same database into text files.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::Trouble;
use crate::process;
use crate::process::Run;

const PROGRAM: &str = "imessage-exporter";

/// How it gets onto this machine.
pub(crate) const INSTALLATION: &str = "cargo install imessage-exporter --version 5.0.1 --locked";

/// Whether it is there, in the version that the targets name.
pub(crate) fn is_installed() -> bool {
    match Command::new(PROGRAM).arg("--version").output() {
        Ok(output) if String::from_utf8_lossy(&output.stdout).contains("5.0.1") => true,
        Ok(_other_version) => {
            eprintln!("the peer is not version 5.0.1, and is left out: {INSTALLATION}");
            false
        }
        Err(error) => {
            eprintln!("the peer is left out, {error}: {INSTALLATION}");
            false
        }
    }
}

/// Writes everything as text.
pub(crate) fn export(chat_db: &Path, into: &Path) -> Result<Run, Trouble> {
    if into.exists() {
        fs::remove_dir_all(into)?;
    }
    rustix::fs::sync();
    let run = process::run(
        Command::new(PROGRAM)
            .args(["-f", "txt", "-a", "macOS", "-c", "disabled", "-p"])
            .arg(chat_db)
            .arg("-o")
            .arg(into),
    )?;
    fs::remove_dir_all(into)?;
    Ok(run)
}
