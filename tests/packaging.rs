//! The files of `packaging/` that others read: systemd and launchd.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fs;
use std::path::Path;
use std::process::Command;

use footbridge::cli::report::Exit;
use plist::Value;

const UNIT: &str = include_str!("../packaging/footbridge.service");

const FOOTBRIDGE: &str = env!("CARGO_BIN_EXE_footbridge");

/// The ends after which trying again does not help.
const FOR_THE_OWNER: [Exit; 3] = [Exit::Usage, Exit::Owner, Exit::Store];

fn agent() -> plist::Dictionary {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/packaging/net.footbridge.plist"
    );
    let value = Value::from_file(path).unwrap();
    value.into_dictionary().unwrap()
}

/// Runs the service where there is nothing to serve; answers its exit code.
fn run_without_source(folder: &Path, job: Option<&str>) -> i32 {
    let mut command = Command::new(FOOTBRIDGE);
    command
        .args(["run", "--listen", "127.0.0.1:0"])
        .env_clear()
        .env("HOME", folder);
    if let Some(job) = job {
        command.env("XPC_SERVICE_NAME", job);
    }
    command.output().unwrap().status.code().unwrap()
}

#[test]
fn systemd_does_not_try_again_what_only_the_owner_can_mend() {
    let mut lines = UNIT.lines();
    let codes = lines
        .find_map(|line| line.strip_prefix("RestartPreventExitStatus="))
        .unwrap();
    let codes: Vec<u8> = codes.split(' ').map(|code| code.parse().unwrap()).collect();

    assert_eq!(codes, FOR_THE_OWNER.map(Exit::code));
}

#[test]
fn systemd_accepts_the_unit() {
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("footbridge.service");
    fs::write(&unit, UNIT.replace("/usr/bin/footbridge", FOOTBRIDGE)).unwrap();

    let Ok(output) = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .arg(&unit)
        .output()
    else {
        eprintln!("skipped: there is no systemd-analyze on this computer");
        return;
    };

    let said = String::from_utf8_lossy(&output.stderr);
    let about_it: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("footbridge"))
        .collect();
    assert!(output.status.success(), "{said}");
    assert_eq!(about_it, Vec::<&str>::new());
}

#[test]
#[cfg_attr(target_os = "macos", ignore = "a Mac has Messages of its own")]
fn launchd_does_not_try_again_what_only_the_owner_can_mend() {
    let folder = tempfile::tempdir().unwrap();
    let agent = agent();
    let label = agent.get("Label").and_then(Value::as_string).unwrap();
    let keep_alive = agent
        .get("KeepAlive")
        .and_then(Value::as_dictionary)
        .unwrap();

    let again_after_failure = keep_alive.get("SuccessfulExit").and_then(Value::as_boolean);
    let by_hand = run_without_source(folder.path(), None);
    let by_another_job = run_without_source(folder.path(), Some("application.com.apple.Terminal"));
    let by_launchd = run_without_source(folder.path(), Some(label));

    assert_eq!(again_after_failure, Some(false));
    assert_eq!((by_hand, by_another_job, by_launchd), (2, 2, 0));
}

#[test]
fn launchd_gets_absolute_paths_only() {
    let agent = agent();

    let program = agent
        .get("ProgramArguments")
        .and_then(Value::as_array)
        .unwrap();
    let program: Vec<&str> = program.iter().filter_map(Value::as_string).collect();
    let logs = ["StandardOutPath", "StandardErrorPath"]
        .map(|key| agent.get(key).and_then(Value::as_string).unwrap());

    assert_eq!(program, ["/Users/you/.cargo/bin/footbridge", "run"]);
    assert_eq!(logs, ["/Users/you/Library/Logs/footbridge.log"; 2]);
}
