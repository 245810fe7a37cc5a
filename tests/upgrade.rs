//! A file of every format that was ever released opens, is whole, and says what it always said. A file that is not ours
//! to change is left as it is.
//!
//! Guards against an upgrade that reads an older file wrongly, and against one that touches a newer file.
//!
//! When a format is new, `FOOTBRIDGE_WRITE_FIXTURE=1 cargo test --test upgrade` makes its file and its export in
//! `tests/data/store/`: an import of the history of `tests/support/history.rs`, compacted. Published ones are never
//! written again.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test stops at the first surprise, and makes files that the store must not make"
)]

mod support;

use std::fs;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use footbridge::app::Archive;
use footbridge::app::export::Selection;
use footbridge::base::ids::RowId;
use footbridge::model::record::SourceKind;
use footbridge::store::Absent;
use footbridge::store::Direction;
use footbridge::store::Store;
use footbridge::store::StoreError;
use redb::Database;
use redb::TableDefinition;
use tempfile::TempDir;

use crate::support::history::CLOCK;
use crate::support::history::assert_sound;
use crate::support::history::import;
use crate::support::history::small_history;

/// Every format that was released, the newest last.
const FORMATS: [u32; 3] = [1, 2, 3];

/// Messages in a file.
const MESSAGES: i64 = 40;

/// Bytes that a file may have in the repository.
const FIXTURE_BYTES: u64 = 160 << 10;

fn fixture(format: u32, extension: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!("tests/data/store/format-{format}.{extension}"))
}

fn open(path: &Path) -> Result<Store, StoreError> {
    Store::open(path, Absent::Refuse, Arc::new(CLOCK))
}

/// The whole export, change numbers included: those of an old file are old too.
fn exported(store: Store) -> String {
    let mut text = Vec::new();
    let archive = Archive::over(store, Arc::new(CLOCK));
    let exported = archive.export(&Selection::default(), &mut text, |_, _| {});
    exported.unwrap();
    String::from_utf8(text).unwrap()
}

/// A copy of a file, to be opened.
fn copy(file: &Path) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("archive.redb");
    fs::copy(file, &path).unwrap();
    (folder, path)
}

fn write_fixture(format: u32) {
    let history = small_history(MESSAGES);
    let path = fixture(format, "redb");
    let mut store = Store::open(&path, Absent::Create, Arc::new(CLOCK)).unwrap();
    import(&store, &history.path(), 10).unwrap();
    store.compact().unwrap();
    fs::write(fixture(format, "jsonl"), exported(store)).unwrap();
}

#[test]
fn a_file_of_every_format_opens_and_says_what_it_always_said() {
    for format in FORMATS {
        let is_new = !fixture(format, "redb").exists();
        if is_new && std::env::var_os("FOOTBRIDGE_WRITE_FIXTURE").is_some() {
            write_fixture(format);
        }
        let (_folder, path) = copy(&fixture(format, "redb"));

        let store = open(&path).unwrap();

        let snapshot = store.snapshot().unwrap();
        assert_sound(&snapshot);
        assert_eq!(snapshot.message_count().unwrap(), MESSAGES.unsigned_abs());
        drop(snapshot);
        let published = fs::read_to_string(fixture(format, "jsonl")).unwrap();
        assert_eq!(exported(store), published, "format {format}");
        let size = fs::metadata(fixture(format, "redb")).unwrap().len();
        assert!(size <= FIXTURE_BYTES, "{size} bytes");
    }
}

#[test]
fn what_an_older_file_holds_is_visible_to_clients_once_it_is_brought_up() {
    let (_folder, path) = copy(&fixture(1, "redb"));

    let store = open(&path).unwrap();

    let snapshot = store.snapshot().unwrap();
    let places = snapshot.places().unwrap();
    let heads = snapshot.heads().unwrap();
    assert_eq!(heads.len(), 2);
    for (conversation, head) in heads {
        assert!(head.newest_message.is_some() && head.read.is_some());
        let newest = snapshot
            .timeline(conversation, None, Direction::Backward)
            .unwrap()
            .next();
        let stored = snapshot.message(newest.unwrap().unwrap().row).unwrap();
        let place = places.place_in(&head, stored.came());
        assert_eq!(
            place,
            Some(head.published.unwrap().max(stored.first_change))
        );
        assert!(place.unwrap() <= snapshot.last_change().unwrap());
    }
}

/// Asserts that a file is refused, and has the bytes that it had.
fn assert_refused(path: &Path, is_expected: impl Fn(&StoreError) -> bool) {
    let before = fs::read(path).unwrap();

    let error = open(path).err().unwrap();

    assert!(is_expected(&error), "{error:?}");
    assert!(fs::read(path).unwrap() == before, "the file was changed");
}

#[test]
fn a_file_of_a_newer_format_is_refused_and_left_as_it_is() {
    let (_folder, path) = copy(&fixture(1, "redb"));
    let database = Database::open(&path).unwrap();
    let newer = database.begin_write().unwrap();
    let meta: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
    let format = 4_u32.to_le_bytes();
    newer
        .open_table(meta)
        .unwrap()
        .insert("format", format.as_slice())
        .unwrap();
    newer.commit().unwrap();
    drop(database);

    assert_refused(&path, |error| {
        matches!(error, StoreError::Newer { found: 4, known: 3 })
    });
}

#[test]
fn a_file_of_another_program_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (text, other) = (folder.path().join("text"), folder.path().join("other"));
    fs::write(&text, "redb is not in it").unwrap();
    let database = Database::create(&other).unwrap();
    let tables = database.begin_write().unwrap();
    let table: TableDefinition<'_, u64, u64> = TableDefinition::new("theirs");
    drop(tables.open_table(table).unwrap());
    tables.commit().unwrap();
    drop(database);

    for path in [text, other] {
        assert_refused(
            &path,
            |error| matches!(error, StoreError::Foreign { path: named } if *named == path),
        );
    }
}

#[test]
fn a_file_that_is_cut_off_is_damaged() {
    let (_folder, path) = copy(&fixture(1, "redb"));
    let whole = fs::read(&path).unwrap();

    for length in [9, 100, 320, 4_096, whole.len() / 2] {
        fs::write(&path, &whole[..length]).unwrap();

        assert_refused(&path, |error| matches!(error, StoreError::Damaged { .. }));
    }
}

#[test]
fn a_byte_that_a_disk_turned_over_does_not_go_unnoticed() {
    let (_folder, path) = copy(&fixture(2, "redb"));
    let sound = fs::read(&path).unwrap();
    let said = contents(&open(&path).unwrap());
    let (mut refused, mut found) = (0, 0);

    for at in (64..sound.len()).step_by(331) {
        let mut bytes = sound.clone();
        bytes[at] ^= 0x10;
        fs::write(&path, &bytes).unwrap();
        let Ok(store) = open(&path) else {
            refused += 1;
            continue;
        };
        let findings = store.verify(|_, _| {}).unwrap();

        // A page that is free is nobody's loss.
        assert!(
            !findings.is_empty() || contents(&store) == said,
            "byte {at}"
        );
        found += usize::from(!findings.is_empty());
        // redb saves its list of free pages when it closes a file, and trips over one that is damaged.
        drop(catch_unwind(AssertUnwindSafe(|| drop(store))));
    }

    assert!(
        refused > 0 && found > 20,
        "{refused} refused, {found} found"
    );
}

/// Everything that a reader can be told, raw records included.
fn contents(store: &Store) -> String {
    let snapshot = store.snapshot().unwrap();
    let records = snapshot.records_after(RowId(0), SourceKind::ChatDb, usize::MAX);
    format!("{:?} {}", records.unwrap(), exported(store.clone()))
}

#[test]
fn a_file_that_is_not_there_is_not_made_unless_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new").join("archive.redb");

    let refused = open(&path);

    assert!(matches!(refused, Err(StoreError::Absent { path: named }) if named == path));
    assert!(!path.parent().unwrap().exists());
}

#[test]
fn a_new_file_appears_whole_and_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("archive.redb");
    // What a process leaves that was killed while it made a file, and a second process that was faster.
    fs::write(folder.path().join("archive.redb.1.new"), [0; 4_096]).unwrap();

    let stores = [(); 2].map(|()| {
        let path = path.clone();
        std::thread::spawn(move || Store::open(&path, Absent::Create, Arc::new(CLOCK)).map(drop))
    });

    for store in stores {
        store.join().unwrap().unwrap();
    }
    assert_sound(&open(&path).unwrap().snapshot().unwrap());
    let mut names: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["archive.redb", "archive.redb.1.new"]);
}

#[test]
fn a_copy_made_while_the_archive_is_open_is_the_archive_but_for_its_generation() {
    let history = small_history(MESSAGES);
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (
        folder.path().join("archive.redb"),
        folder.path().join("copy.redb"),
    );
    let store = Store::open(&path, Absent::Create, Arc::new(CLOCK)).unwrap();
    import(&store, &history.path(), 10).unwrap();

    store.backup(&copy, |_, _| {}).unwrap();

    let copied = open(&copy).unwrap();
    assert_sound(&copied.snapshot().unwrap());
    let generation = |store: &Store| store.snapshot().unwrap().meta_text("generation").unwrap();
    assert_ne!(generation(&store), generation(&copied));
    let again = store.backup(&copy, |_, _| {});
    assert!(matches!(again, Err(StoreError::Io { .. })), "{again:?}");
    assert!(import(&copied, &history.path(), 10).unwrap().unchanged);
    assert_eq!(exported(copied), exported(store));
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 2);
}

#[test]
fn an_archive_that_is_being_read_is_not_compacted() {
    let (_folder, path) = copy(&fixture(1, "redb"));
    let mut store = open(&path).unwrap();
    let snapshot = store.snapshot().unwrap();

    let refused = store.compact();

    assert!(
        matches!(&refused, Err(StoreError::Locked { path: named }) if *named == path),
        "{refused:?}"
    );
    assert_sound(&snapshot);
    drop(snapshot);
    store.compact().unwrap();
    assert_sound(&store.snapshot().unwrap());
}
