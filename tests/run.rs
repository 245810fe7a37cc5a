//! The program as a service: how it starts, what it answers, how it ends.
//!
//! Guards against a second process that is locked out while the service runs, against a first password that leaks or is
//! lost, and against a stop that loses what was imported.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::fs;
use std::io::BufRead;
use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::Output;
use std::process::Stdio;

use rustix::process::Signal;

use crate::support::home::Home;
use crate::support::running::Running;

/// What differs from one answer to the next without anything being wrong: times of the export.
fn comparable(output: &Output) -> (Option<i32>, Vec<String>, String) {
    let stdout = String::from_utf8(output.stdout.clone()).unwrap();
    let lines = stdout
        .lines()
        .filter(|line| !line.contains("\"created\":"))
        .map(str::to_owned);
    let stderr = String::from_utf8(output.stderr.clone()).unwrap();
    (output.status.code(), lines.collect(), stderr)
}

#[test]
fn reading_commands_answer_the_same_while_the_service_runs() {
    let home = Home::with_archive();
    let questions: &[&[&str]] = &[
        &["conversations"],
        &["conversations", "--json"],
        &["show", "The Office", "--limit", "20"],
        &["search", "photo", "--limit", "3"],
        &["search", "nothingatallhasthis"],
        &["explain", "photo"],
        &["list-handles"],
        &["quarantine", "list"],
        &["verify"],
        &["export"],
        &["export", "--format", "txt", "--output", "service.txt"],
        &["show", "nobody at all"],
        &["search", "--in", "nowhere", "x"],
    ];
    // The account that the first start makes is part of what `verify` and `status` see.
    Running::start(&home, &[]).stop();
    let alone: Vec<_> = questions.iter().map(|asked| home.output(asked)).collect();
    let text = fs::read(home.path().join("service.txt")).unwrap();
    fs::remove_file(home.path().join("service.txt")).unwrap();

    let running = Running::start(&home, &[]);
    let served: Vec<_> = questions.iter().map(|asked| home.output(asked)).collect();

    for ((asked, alone), served) in questions.iter().zip(&alone).zip(&served) {
        assert_eq!(comparable(served), comparable(alone), "{asked:?}");
    }
    assert_eq!(fs::read(home.path().join("service.txt")).unwrap(), text);
    assert_eq!(home.output(&["status"]).status.code(), Some(0));
    assert_eq!(running.stop().status.code(), Some(0));
}

#[test]
fn a_backup_of_a_running_service_opens() {
    let home = Home::with_archive();
    let running = Running::start(&home, &[]);

    let copied = home.answer(&["backup", "copy.redb"]);
    let again = home.output(&["backup", "copy.redb"]);
    running.stop();

    assert!(
        copied.starts_with("exit 0\n--- stdout\ncopy.redb: "),
        "{copied}"
    );
    assert_eq!(again.status.code(), Some(2));
    let verified = home.output(&["verify", "--data", "copy.redb"]);
    assert_eq!(verified.status.code(), Some(0));
}

#[test]
fn a_reader_that_goes_away_disturbs_nobody() {
    let home = Home::with_archive();
    let running = Running::start(&home, &[]);

    let mut export = home
        .command(&["export"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut begin = [0; 10];
    export
        .stdout
        .take()
        .unwrap()
        .read_exact(&mut begin)
        .unwrap();
    let status = export.wait().unwrap();

    assert_eq!(&begin[..1], b"{");
    assert_eq!(status.code(), Some(0));
    assert_eq!(home.output(&["conversations"]).status.code(), Some(0));
    assert_eq!(running.stop().status.code(), Some(0));
}

#[test]
fn commands_that_need_the_archive_for_themselves_are_refused_at_once() {
    let home = Home::with_archive();
    let running = Running::start(&home, &[]);
    let sample = home.sample();

    for arguments in [
        &["run", "--listen", "127.0.0.1:0"][..],
        &["import", "--chat-db", &sample],
        &["compact"],
        &["redecode"],
        &["quarantine", "retry"],
    ] {
        assert_eq!(
            home.output(arguments).status.code(),
            Some(4),
            "{arguments:?}"
        );
    }
    insta::assert_snapshot!(home.answer(&["run", "--listen", "127.0.0.1:0"]));
    running.stop();
}

#[test]
fn the_service_imports_and_follows() {
    let home = Home::new();
    let chat_db = home.copy_of_sample();
    let running = Running::start(&home, &["--chat-db", &chat_db]);

    running.wait_until_imported();
    let imported = running.stop();

    let said = String::from_utf8(imported.stderr).unwrap();
    assert!(said.contains("new: "), "{said}");
    assert!(said.ends_with("stopping\n"), "{said}");
    assert_eq!(home.output(&["verify"]).status.code(), Some(0));
}

#[test]
fn a_stop_in_mid_import_is_clean_and_the_next_start_goes_on() {
    let home = Home::new();
    let sample = home.sample();
    let arguments = ["--chat-db", sample.as_str()];

    for _ in 0..3 {
        let running = Running::start(&home, &arguments);
        let stopped = running.stop();
        assert_eq!(stopped.status.code(), Some(0), "{stopped:?}");
        assert!(!home.path().join("archive.redb.sock").exists());
    }
    let running = Running::start(&home, &arguments);
    running.wait_until_imported();
    running.stop();

    let quiet = Home::with_archive();
    let conversations = |home: &Home| home.answer(&["conversations", "--json"]);
    assert_eq!(conversations(&home), conversations(&quiet));
    assert_eq!(home.output(&["verify"]).status.code(), Some(0));
}

#[test]
fn an_interrupt_stops_as_a_terminate_does() {
    let home = Home::with_archive();
    let mut running = Running::start(&home, &[]);

    running.signal(Signal::INT);

    assert_eq!(running.wait().code(), Some(0));
}

#[test]
fn the_first_password_waits_in_a_file_of_ones_own() {
    let home = Home::with_archive();
    let file = home.path().join("initial-password");

    let first = Running::start(&home, &[]);
    let said = first.said("password");
    let password = fs::read_to_string(&file).unwrap();
    let mode = fs::metadata(&file).unwrap().permissions().mode() & 0o777;
    let everything = first.everything().to_owned();
    first.stop();
    let second = Running::start(&home, &[]);
    let still = second.said("password");
    second.stop();

    assert!(
        said.ends_with("initial-password until the first login"),
        "{said}"
    );
    assert_eq!(said, still);
    assert_eq!((password.trim().len(), mode), (24, 0o600));
    assert!(!everything.contains(password.trim()));
    assert_eq!(fs::read_to_string(&file).unwrap(), password);
}

#[test]
fn a_password_can_be_set_with_and_without_the_service() {
    let home = Home::with_archive();
    let file = home.path().join("initial-password");
    let set = |password: &str| {
        let mut command = home.command(&["password", "--stdin"]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        writeln!(input, "{password}").unwrap();
        drop(input);
        child.wait_with_output().unwrap()
    };

    let early = set("correct horse");
    let running = Running::start(&home, &[]);
    let short = set("short");
    assert!(file.exists());
    let served = set("correct horse");
    assert!(!file.exists());
    running.stop();
    let alone = set("battery staple");

    assert_eq!(early.status.code(), Some(2));
    assert_eq!(short.status.code(), Some(2));
    assert_eq!(comparable(&served), comparable(&alone));
    assert_eq!(
        String::from_utf8(alone.stdout).unwrap(),
        "the password is set; clients stay logged in\n"
    );
}

#[test]
fn without_a_terminal_or_input_no_password_is_set() {
    let home = Home::with_archive();
    Running::start(&home, &[]).stop();

    let mut command = home.command(&["password"]);
    let output = command.stdin(Stdio::null()).output().unwrap();

    assert_eq!(output.status.code(), Some(2));
    insta::assert_snapshot!(String::from_utf8(output.stderr).unwrap());
}

#[test]
fn without_anything_to_serve_it_says_what_it_needs() {
    if cfg!(target_os = "macos") {
        return;
    }
    let home = Home::new();

    insta::assert_snapshot!(home.answer(&["run"]));
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn others_may_not_connect_without_tls() {
    let home = Home::with_archive();

    insta::assert_snapshot!(home.answer(&["run", "--listen", "0.0.0.0:0"]));
    let insecure = Running::start(&home, &["--listen", "0.0.0.0:0", "--insecure"]);
    let address = insecure.said("address");
    insecure.stop();

    assert!(address.starts_with("http://test.example.org:"), "{address}");
}

#[test]
fn a_certificate_that_is_made_is_told_by_its_fingerprint() {
    let home = Home::with_archive();
    fs::write(
        home.path().join("config.toml"),
        "endpoint.tls = \"self-signed\"\n",
    )
    .unwrap();
    let arguments = ["--config", "config.toml"];

    let first = Running::start(&home, &arguments);
    let (address, fingerprint) = (first.said("address"), first.said("certificate"));
    first.stop();
    let second = Running::start(&home, &arguments);
    let again = second.said("certificate");
    second.stop();

    assert!(address.starts_with("https://127.0.0.1:"), "{address}");
    assert_eq!(
        fingerprint.len(),
        "SHA-256 ".len() + 32 * 3 - 1,
        "{fingerprint}"
    );
    assert_eq!(fingerprint, again);
}

#[test]
fn the_server_name_and_the_owner_are_fixed_with_the_archive() {
    let home = Home::with_archive();
    Running::start(&home, &[]).stop();

    let other = home.answer(&[
        "run",
        "--listen",
        "127.0.0.1:0",
        "--server-name",
        "b.example.org",
    ]);
    let mut renamed = home.command(&["run", "--listen", "127.0.0.1:0"]);
    let renamed = renamed
        .env("FOOTBRIDGE_ENDPOINT_USER", "me")
        .output()
        .unwrap();

    insta::assert_snapshot!(other);
    assert_eq!(renamed.status.code(), Some(2));
    let again = Running::start(&home, &[]);
    assert_eq!(again.said("user"), "@owner:test.example.org");
    again.stop();
}

#[test]
fn a_conformance_run_sees_nobodys_messages() {
    let home = Home::new();
    let sample = home.sample();

    let refused = home.answer(&["run", "--conformance", "--chat-db", &sample]);
    let running = Running::start(&home, &["--conformance"]);
    let follows = running.said("follows");
    running.stop();

    insta::assert_snapshot!(refused);
    assert!(follows.starts_with("nothing"), "{follows}");
    // What such a run made is no hindrance to the next one.
    Running::start(&home, &["--conformance"]).stop();
    let somebodys = Home::with_archive().answer(&["run", "--conformance"]);
    insta::assert_snapshot!("a_conformance_run_takes_nobodys_archive", somebodys);
}

#[test]
fn nobody_gets_at_commands_over_tcp() {
    let home = Home::with_archive();
    let running = Running::start(&home, &[]);
    let address = running.said("address");
    let body = r#"{"version":"0","arguments":["status"],"folder":"/","screen":{"columns":0,"is_terminal":false,"bold":false}}"#;

    let mut stream = TcpStream::connect(address.trim_start_matches("http://")).unwrap();
    write!(
        stream,
        "POST /_footbridge/command HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    running.stop();

    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
}

#[test]
fn the_configuration_in_force_is_printed_with_its_origins() {
    let home = Home::new();
    fs::write(
        home.path().join("config.toml"),
        "[endpoint]\nserver_name = \"test.example.org\"\n",
    )
    .unwrap();

    let arguments = ["config", "--config", "config.toml"];
    let text = home.answer(&arguments);
    let json = home.output(&[&arguments[..], &["--json"]].concat());

    insta::assert_snapshot!(text);
    let lines: Vec<_> = json.stdout.lines().map(Result::unwrap).collect();
    assert_eq!(
        text.lines().filter(|line| line.contains("  (")).count(),
        lines.len()
    );
    for line in lines {
        let listed: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert!(
            listed["key"].is_string() && listed["origin"].is_string(),
            "{listed}"
        );
    }
}

#[test]
fn a_configuration_that_is_wrong_stops_what_needs_it() {
    let home = Home::new();
    fs::write(
        home.path().join("config.toml"),
        "[endpoint]\nlisen = \"\"\n",
    )
    .unwrap();

    insta::assert_snapshot!(home.answer(&["status", "--config", "config.toml"]));
    let unneeded = home.output(&["completions", "bash", "--config", "config.toml"]);
    assert_eq!(unneeded.status.code(), Some(0));
}
