//! A small Messages database with a bit of everything, and what an import of it must leave.

use std::collections::BTreeSet;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use footbridge::app::Archive;
use footbridge::app::export::Selection;
use footbridge::base::ids::Guid;
use footbridge::base::time::AppleTime;
use footbridge::base::time::FixedClock;
use footbridge::ingest;
use footbridge::ingest::Import;
use footbridge::ingest::IngestError;
use footbridge::ingest::Options;
use footbridge::model::record::SourceKind;
use footbridge::source::chatdb::Locations;
use footbridge::store::Pace;
use footbridge::store::Snapshot;
use footbridge::store::Store;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

use crate::support::chatdb::Column;
use crate::support::chatdb::Fixture;
use crate::support::chatdb::MacOs;

/// Nanoseconds in a minute.
pub(crate) const MINUTE: i64 = 60_000_000_000;

/// When the first message of a test was sent, and a while after the last one.
pub(crate) const START: i64 = 700_000_000_000_000_000;
pub(crate) const NOW: AppleTime = AppleTime::from_nanos(START + 1_000_000 * MINUTE);

/// The clock of all tests.
pub(crate) const CLOCK: FixedClock = FixedClock(NOW);

/// The GUID of the message with a number.
pub(crate) fn guid(number: i64) -> String {
    format!("1A2B3C4D-0001-4002-8003-{number:012X}")
}

/// A database with this many messages, one a minute: in a conversation with one person, in a group, in both, in none;
/// tapbacks, replies, a rename, files that are there and files that are not, a body that cannot be read, a row without a
/// date.
pub(crate) fn small_history(messages: i64) -> Fixture {
    let fixture = Fixture::new(MacOs::V26);
    let bea = fixture.handle("+15550100001", "iMessage");
    let carl = fixture.handle("carl@example.org", "iMessage");
    let direct = fixture.chat("iMessage;-;+15550100001", &[bea]);
    let group = fixture.chat("iMessage;+;chat100000000000000001", &[bea, carl]);
    let files = fixture.folder.path().join("Attachments");
    fs::create_dir_all(&files).unwrap();
    let tx = fixture.writer.unchecked_transaction().unwrap();
    for number in 1..=messages {
        let row = add_message(&fixture, number, [direct, group], [bea, carl]);
        if number % 20 == 7 {
            let name = format!("file-{number}.txt");
            let path = format!("~/Library/Messages/Attachments/{name}");
            if number % 40 == 7 {
                fs::write(files.join(&name), name.as_bytes()).unwrap();
            }
            let columns: [Column<'_>; 3] = [
                ("filename", &path),
                ("transfer_name", &name),
                ("mime_type", &"text/plain"),
            ];
            fixture.attachment(row, &format!("at_0_{}", guid(number)), &columns);
        }
    }
    tx.commit().unwrap();
    fixture
}

fn add_message(fixture: &Fixture, number: i64, chats: [i64; 2], people: [i64; 2]) -> i64 {
    let text = format!("word{} common number{number}", number % 17);
    let date = if number % 23 == 11 {
        0
    } else {
        START + number * MINUTE
    };
    let target = guid(number - 1);
    let tapback = format!("p:0/{target}");
    let damaged = b"\x04\x0bstreamtyped\x81\xe8\x03\x84\x01@".as_slice();
    let handle = people[usize::try_from(number % 2).unwrap()];
    let mut columns: Vec<Column<'_>> = vec![
        ("text", &text),
        ("date", &date),
        ("handle_id", &handle),
        ("is_finished", &1),
    ];
    match number % 10 {
        2 => {
            columns.push(("associated_message_guid", &tapback));
            columns.push(("associated_message_type", &2001));
        }
        3 => columns.push(("thread_originator_guid", &target)),
        4 => columns[2] = ("is_from_me", &1),
        5 => {
            columns.retain(|(name, _)| *name != "text");
            columns.push(("attributedBody", &damaged));
        }
        6 => {
            columns.retain(|(name, _)| *name != "text");
            columns.push(("item_type", &2));
            columns.push(("group_title", &text));
        }
        _ => {}
    }
    let homes: &[i64] = match number % 30 {
        0 => &[],
        1 => &chats,
        n if n % 3 == 2 => &chats[1..],
        _ => &chats[..1],
    };
    fixture.message(&guid(number), homes, &columns)
}

/// Options to import a database in commits of so many messages.
pub(crate) fn options(database: &Path, commit_rows: usize) -> Options {
    Options {
        locations: Locations::new(database, None),
        region: None,
        pace: Pace {
            rows: commit_rows,
            wait: Duration::from_hours(1),
        },
    }
}

/// Imports a database in commits of so many messages.
pub(crate) fn import(
    store: &Store,
    database: &Path,
    commit_rows: usize,
) -> Result<Import, IngestError> {
    ingest::import(store, &CLOCK, &options(database, commit_rows), &|_| {
        ControlFlow::Continue(())
    })
}

/// The export, without the change numbers: these depend on how often an import was interrupted.
pub(crate) fn export(store: &Store) -> Vec<Value> {
    let archive = Archive::over(store.clone(), Arc::new(CLOCK));
    let mut text = Vec::new();
    let exported = archive.export(&Selection::default(), &mut text, |_, _| {});
    exported.unwrap();
    let lines = String::from_utf8(text).unwrap();
    let without_changes = |line: &str| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        line.as_object_mut().unwrap().remove("change");
        line
    };
    lines.lines().map(without_changes).collect()
}

/// Fails if the store finds anything wrong with itself.
pub(crate) fn assert_sound(snapshot: &Snapshot) {
    assert_eq!(snapshot.verify(|_, _| {}).unwrap(), []);
}

/// How many of the messages 1, 2, .. are held: a prefix, and what the cursor says.
pub(crate) fn assert_cursor_and_content_agree(snapshot: &Snapshot, messages: i64) -> i64 {
    let cursor = snapshot.cursor(SourceKind::ChatDb).unwrap();
    let promised = match cursor.map(|cursor| cursor.scanned) {
        None => 0,
        Some(None) => messages,
        Some(Some(rowid)) => rowid.max(0),
    };
    let is_held = |number: &i64| {
        let guid = Guid::parse(&guid(*number)).unwrap();
        !snapshot.messages_with(&guid).unwrap().is_empty()
    };
    let held: BTreeSet<i64> = (1..=messages).filter(is_held).collect();
    assert_eq!(held, (1..=promised).collect());
    assert_eq!(
        snapshot.message_count().unwrap(),
        u64::try_from(promised).unwrap()
    );
    promised
}
