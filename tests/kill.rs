//! The program is killed while it imports, and started again. What it ends with is what it would have ended with.
//!
//! Guards against state that is only in memory between two commits. The moments are whatever the computer makes of
//! them; `tests/tools/kill-import.py` does the same fifty times with a hundred thousand messages.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use std::process::Stdio;
use std::thread;
use std::time::Duration;

use crate::support::home::Home;

const COMMIT_ROWS: &str = "100";

#[test]
fn an_import_that_is_killed_and_started_again_ends_as_if_nothing_had_been() {
    let (quiet, killed) = (Home::new(), Home::new());
    let sample = quiet.sample();
    let importing = ["import", "--chat-db", &sample, "--commit-rows", COMMIT_ROWS];
    assert!(quiet.output(&importing).status.success());

    for milliseconds in [10, 30, 60, 100, 200, 400] {
        let mut program = killed.command(&importing);
        let program = program.stdout(Stdio::null()).stderr(Stdio::null());
        let mut running = program.spawn().unwrap();
        thread::sleep(Duration::from_millis(milliseconds));
        running.kill().unwrap();
        running.wait().unwrap();
    }
    let last = killed.output(&importing);

    assert!(last.status.success());
    assert!(killed.output(&["verify"]).status.success());
    let (exported, expected) = (killed.exported(), quiet.exported());
    assert!(exported.len() > 3_000);
    let differing = exported.iter().zip(&expected).find(|(a, b)| a != b);
    assert_eq!(differing, None);
    assert_eq!(exported.len(), expected.len());
}
