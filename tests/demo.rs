//! The demonstration, from its first word to its last.
//!
//! Guards against an archive that lacks what the account holds after things went wrong, and against a demonstration that
//! leaves something behind or touches the owner's archive.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::process::Output;

use footbridge::base::ids::Guid;
use footbridge::demo::Account;
use footbridge::demo::Readable;
use footbridge::demo::What;
use footbridge::demo::ZoneKind;
use rustix::process::Signal;
use serde_json::Value;

use crate::support::home::Home;
use crate::support::running::Running;

fn json(output: &Output) -> Value {
    let shown = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {shown}"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The export's lines by GUID, without what depends on when it was asked.
fn export(home: &Home, archive: &str) -> BTreeMap<String, Value> {
    let output = home.output(&["export", "--data", archive]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let lines = text(&output.stdout);
    let lines = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let with_guid = lines.filter_map(|mut line: Value| {
        let guid = line["guid"].as_str()?.to_owned();
        line.as_object_mut().unwrap().remove("change");
        Some((guid, line))
    });
    with_guid.collect()
}

#[test]
fn a_demonstration_syncs_everything_and_ends_by_itself() {
    let home = Home::new();
    let arguments = [
        "demo",
        "--messages",
        "400",
        "--no-serve",
        "--data",
        "demo.redb",
    ];

    let first = home.output(&[&arguments[..], &["--json"]].concat());
    let again = home.output(&arguments);

    assert_eq!(first.status.code(), Some(0), "{first:?}");
    let status = json(&first);
    assert_eq!(status["sources"]["cloudkit"], "complete");
    assert_eq!(status["quarantined"], 0);
    assert_eq!(status["cloud"]["need"], Value::Null);
    let messages = status["messages"].as_u64().unwrap();
    assert!((350..=450).contains(&messages), "{status}");
    assert!(text(&first.stderr).starts_with("new: "), "{first:?}");
    assert_eq!(again.status.code(), Some(0), "{again:?}");
    assert_eq!(text(&again.stderr), "", "nothing is new the second time");
    let conversations = home.output(&["conversations", "--json", "--data", "demo.redb"]);
    let listed: Vec<Value> = text(&conversations.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let key = listed[0]["key"].as_str().unwrap();
    let shown = home.output(&["show", key, "--data", "demo.redb"]);
    assert!(text(&shown.stdout).lines().count() > 3, "{shown:?}");
    assert_eq!(export(&home, "demo.redb").len() as u64, messages);
    let verified = home.output(&["verify", "--data", "demo.redb"]);
    assert_eq!(verified.status.code(), Some(0), "{verified:?}");
    assert!(
        !home.archive().exists(),
        "the owner's archive is not touched"
    );
}

#[test]
fn with_trouble_everything_still_arrives_or_says_why_not() {
    let home = Home::new();
    let demo = [
        "demo",
        "--messages",
        "1600",
        "--no-serve",
        "--trouble",
        "--json",
    ];

    let output = home.output(&[&demo[..], &["--data", "demo.redb"]].concat());

    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said = text(&output.stderr);
    for words in [
        "iCloud does not accept the imported session any more",
        "footbridge cloudkit import <session.json>",
        "a new session is imported",
        "on purpose: an answer was cut off (1 time)",
        "on purpose: the position in the feed was forgotten (1 time)",
        "the key is in no keychain, kept sealed",
        "a field of an old state is damaged, the newer ones are whole",
        "what is said of a file is damaged, its message names it only",
        "a file cannot be fetched, its message says what it was",
        "nobody knows the type, kept as it came",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let status = json(&output);
    assert_eq!(status["sources"]["cloudkit"], "complete");
    let listed = home.output(&["quarantine", "list", "--json", "--data", "demo.redb"]);
    let listed = text(&listed.stdout);
    assert_eq!(
        listed.lines().count() as u64,
        status["quarantined"].as_u64().unwrap()
    );
    for line in listed.lines() {
        let held: Value = serde_json::from_str(line).unwrap();
        assert!(!held["reasons"].as_array().unwrap().is_empty(), "{line}");
    }
    let account = footbridge::app::demo::account(1600, true);
    let held = export(&home, "demo.redb");
    let wanted: Vec<_> = account
        .truths()
        .filter(|truth| {
            let is_message = matches!(truth.what, What::Message | What::Tapback(_));
            is_message && truth.readable == Readable::Yes && !truth.guid.is_empty()
        })
        .collect();
    assert!(wanted.len() > 1_000, "{}", wanted.len());
    let missing: Vec<_> = wanted
        .iter()
        .filter(|truth| {
            let guid = Guid::parse(&truth.guid).unwrap().to_string();
            !held.contains_key(&guid) && !listed.contains(&truth.record)
        })
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    let businesses = wanted
        .iter()
        .filter(|truth| truth.zone == ZoneKind::BotMessage);
    assert!(businesses.count() > 50);
    check_files(&home, &account, &held, &listed);
    let verified = home.output(&["verify", "--data", "demo.redb"]);
    assert_eq!(verified.status.code(), Some(0), "{verified:?}");
}

/// Every file is there, or says why it is not, or its record is set aside; and each message says which files it has.
fn check_files(home: &Home, account: &Account, held: &BTreeMap<String, Value>, listed: &str) {
    let output = home.output(&["attachments", "list", "--json", "--data", "demo.redb"]);
    let lines = text(&output.stdout);
    let lines = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let states: BTreeMap<String, Value> = lines
        .map(|line| (line["guid"].as_str().unwrap().to_owned(), line))
        .collect();
    let mut counts = BTreeMap::new();
    for truth in account.truths() {
        for file in &truth.files {
            let line = Guid::parse(&truth.guid).and_then(|guid| held.get(&guid.to_string()));
            let named = line.map(|line| line["attachments"].to_string());
            assert!(named.unwrap().contains(file.as_str()), "{truth:?}");
        }
        if truth.what != What::File {
            continue;
        }
        let state = states
            .get(&truth.guid)
            .unwrap_or_else(|| panic!("{truth:?}"));
        let shown = state["state"].as_str().unwrap();
        let expected: &[&str] = match truth.readable {
            Readable::Yes if account.file(&truth.record).is_some() => &["held"],
            Readable::Yes => &["missing"],
            Readable::MissingKey | Readable::BadField(_) => &["abandoned", "missing", "wanted"],
        };
        assert!(expected.contains(&shown), "{truth:?}: {state}");
        assert!(
            truth.readable == Readable::Yes || listed.contains(&truth.record),
            "{truth:?}"
        );
        *counts.entry(shown.to_owned()).or_insert(0) += 1;
    }
    assert_eq!(counts["abandoned"], 2, "{counts:?}");
}

#[test]
fn a_demonstration_serves_until_it_is_interrupted_and_leaves_nothing() {
    let home = Home::new();
    let mut command = home.command(&["demo", "--messages", "100", "--listen", "127.0.0.1:0"]);
    command.env("TMPDIR", home.path());
    let running = Running::of(&home, command);
    let said = running.everything().to_owned();
    let archive = running.said("archive");

    let status = json(&home.output(&["status", "--json", "--data", &archive]));
    let ended = running.end(Signal::INT);
    let rest = text(&ended.stderr);

    assert_eq!(status["sources"]["cloudkit"], "complete", "{said}");
    assert!(said.contains("follows      Messages in iCloud"), "{said}");
    assert!(said.contains("@owner:localhost"), "{said}");
    assert_eq!(ended.status.code(), Some(0), "{rest}");
    assert!(text(&ended.stdout).contains("Control-C"), "{ended:?}");
    assert!(rest.ends_with("stopping\n"), "{rest}");
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn a_demonstration_takes_no_archive_of_somebody() {
    let home = Home::with_archive();
    let before = fs::read(home.archive()).unwrap();

    let refused = home.output(&["demo", "--no-serve", "--data", "archive.redb"]);

    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(
        text(&refused.stderr).contains("something else"),
        "{refused:?}"
    );
    let messages = |home: &Home| json(&home.output(&["status", "--json"]))["messages"].clone();
    let after = messages(&home);
    fs::write(home.archive(), before).unwrap();
    assert_eq!(after, messages(&home));
}

#[test]
fn an_archive_that_is_kept_asks_apple_nothing() {
    let home = Home::new();
    let data = ["--data", "demo.redb"];
    let kept = home.output(&[&["demo", "--messages", "50", "--no-serve"], &data[..]].concat());
    assert_eq!(kept.status.code(), Some(0), "{kept:?}");

    let synced = home.output(&[&["cloudkit", "sync"], &data[..]].concat());
    let again = home.output(&[&["demo", "--messages", "50", "--no-serve"], &data[..]].concat());

    assert_eq!(synced.status.code(), Some(3), "{synced:?}");
    let said = text(&synced.stderr);
    assert!(said.contains("is a demonstration's"), "{said}");
    assert!(said.contains("hint: `footbridge demo --data"), "{said}");
    assert_eq!(again.status.code(), Some(0), "{again:?}");
}
