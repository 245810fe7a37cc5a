//! The power goes, the disk is full, the disk breaks: at every moment of an import. What was committed is there
//! afterwards, whole, with the cursor that belongs to it, and the import goes on to the same end.
//!
//! Guards against the two ways in which an archive loses messages: a cursor that is ahead of what is stored, and a file
//! that does not open.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::collections::BTreeSet;
use std::collections::HashSet;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use footbridge::base::error::Explain;
use footbridge::ingest::IngestError;
use footbridge::model::record::SourceKind;
use footbridge::store::Pace;
use footbridge::store::Page;
use footbridge::store::Store;
use footbridge::store::StoreError;
use serde_json::Value;

use crate::support::chatdb::Fixture;
use crate::support::disk::Disk;
use crate::support::history::CLOCK;
use crate::support::history::assert_cursor_and_content_agree;
use crate::support::history::assert_sound;
use crate::support::history::export;
use crate::support::history::import;
use crate::support::history::small_history;

/// Messages of the history, and of one commit. More commits than blocks of the search index are merged at once.
const MESSAGES: i64 = 330;
const COMMIT_ROWS: usize = 30;

fn open(disk: &Disk) -> Result<Store, StoreError> {
    Store::open_backend(disk.clone(), Arc::new(CLOCK))
}

/// What a disk holds on which an archive was made. Making one is safe otherwise: the file gets its name when it is done.
fn empty_archive() -> Vec<u8> {
    let disk = Disk::new(Vec::new());
    drop(open(&disk).unwrap());
    disk.content()
}

/// Opens what is left, and imports the rest. Answers how much was there.
fn assert_recovers(content: Vec<u8>, history: &Fixture, undisturbed: &[Value]) -> i64 {
    let store = open(&Disk::new(content)).unwrap();
    let snapshot = store.snapshot().unwrap();
    assert_sound(&snapshot);
    let held = assert_cursor_and_content_agree(&snapshot, MESSAGES);
    drop(snapshot);

    // All that is left in one commit: how often an import is interrupted must not show.
    import(&store, &history.path(), usize::MAX).unwrap();

    assert_sound(&store.snapshot().unwrap());
    let exported = export(&store);
    let difference = exported.iter().zip(undisturbed).find(|(a, b)| a != b);
    assert_eq!(difference, None, "after going on from {held}");
    assert_eq!(exported.len(), undisturbed.len());
    held
}

#[test]
fn a_loss_of_power_at_any_sync_loses_nothing_committed() {
    let history = small_history(MESSAGES);
    let disk = Disk::recording(empty_archive());
    let store = open(&disk).unwrap();
    import(&store, &history.path(), COMMIT_ROWS).unwrap();
    let undisturbed = export(&store);
    drop(store);
    let crashes = disk.crashes();

    let mut before = 0;
    let mut prefixes = BTreeSet::new();
    for crash in crashes {
        let (sync, unsynced) = (crash.sync, crash.unsynced);
        let context = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            assert_recovers(crash.content, &history, &undisturbed)
        }));
        let held =
            context.unwrap_or_else(|_| panic!("at sync {sync}, unsynced writes {unsynced:?}"));
        assert!(held >= before || unsynced != support::disk::Unsynced::Lost);
        if unsynced == support::disk::Unsynced::Lost {
            before = held;
        }
        prefixes.insert(held);
    }

    // The crashes fell between all commits, and before the first.
    let commits: Vec<i64> = (0..=MESSAGES).step_by(COMMIT_ROWS).collect();
    assert!(
        commits.iter().all(|held| prefixes.contains(held)),
        "{prefixes:?}"
    );
}

#[test]
fn a_loss_of_power_while_recovering_from_one_loses_nothing_either() {
    let history = small_history(MESSAGES);
    let disk = Disk::recording(empty_archive());
    let store = open(&disk).unwrap();
    import(&store, &history.path(), COMMIT_ROWS * 5).unwrap();
    let undisturbed = export(&store);
    drop(store);

    for crash in disk.crashes() {
        let again = Disk::recording(crash.content);
        let store = open(&again).unwrap();
        let held = assert_cursor_and_content_agree(&store.snapshot().unwrap(), MESSAGES);
        drop(store);
        let mut seen = HashSet::new();
        for second in again.crashes() {
            if !seen.insert(second.content.clone()) {
                continue;
            }
            let store = open(&Disk::new(second.content)).unwrap();
            let snapshot = store.snapshot().unwrap();

            assert_sound(&snapshot);
            assert_eq!(
                assert_cursor_and_content_agree(&snapshot, MESSAGES),
                held,
                "at sync {}, then at sync {} of the recovery",
                crash.sync,
                second.sync
            );
        }
        assert_recovers(again.content(), &history, &undisturbed);
    }
}

/// Imports onto a disk that refuses to write from some write on; answers the error, the disk, and what was held then.
fn import_with_refusal(history: &Fixture, from: usize, kind: ErrorKind) -> (StoreError, Disk) {
    let disk = Disk::new(empty_archive());
    disk.refuse(from, kind);
    let store = match open(&disk) {
        Ok(store) => store,
        Err(error) => return (error, disk),
    };
    let IngestError::Store(error) = import(&store, &history.path(), COMMIT_ROWS).unwrap_err()
    else {
        panic!("an error of the source");
    };

    // Reading goes on; writing says that it does not.
    assert_sound(&store.snapshot().unwrap());
    let again =
        store.write(|transaction| transaction.apply(Page::default(), SourceKind::ChatDb, 1));
    assert!(
        matches!(again, Err(StoreError::AfterFailure)),
        "after write {from} was refused: {again:?}"
    );
    (error, disk)
}

fn writes_of_an_import(history: &Fixture) -> (usize, Vec<Value>) {
    let disk = Disk::new(empty_archive());
    let store = open(&disk).unwrap();
    import(&store, &history.path(), COMMIT_ROWS).unwrap();
    (disk.writes(), export(&store))
}

#[test]
fn a_full_disk_says_so_and_loses_nothing_committed() {
    let history = small_history(MESSAGES);
    let (writes, undisturbed) = writes_of_an_import(&history);

    for from in (1..writes).step_by(writes / 40 + 1) {
        let (error, disk) = import_with_refusal(&history, from, ErrorKind::StorageFull);

        assert!(matches!(error, StoreError::DiskFull { .. }), "{error:?}");
        assert!(error.hint().unwrap().contains("free some space"));
        assert_recovers(disk.content(), &history, &undisturbed);
    }
}

#[test]
fn a_disk_that_breaks_says_so_and_loses_nothing_committed() {
    let history = small_history(MESSAGES);
    let (writes, undisturbed) = writes_of_an_import(&history);

    for from in (2..writes).step_by(writes / 40 + 1) {
        let (error, disk) = import_with_refusal(&history, from, ErrorKind::Other);

        assert!(matches!(error, StoreError::Io { .. }), "{error:?}");
        assert!(
            error
                .hint()
                .unwrap()
                .contains("everything committed so far is safe")
        );
        assert_recovers(disk.content(), &history, &undisturbed);
    }
}

#[test]
fn who_sends_pages_is_told_soon_and_once_why_they_are_not_stored() {
    let disk = Disk::new(empty_archive());
    let store = open(&disk).unwrap();
    disk.refuse(disk.writes() + 1, ErrorKind::StorageFull);
    let writer = store.writer(Pace {
        rows: 0,
        wait: Duration::ZERO,
    });

    let mut sent = (0..1_000).map(|_| writer.send(Page::default(), SourceKind::ChatDb, 1));
    let told = sent.find_map(Result::err);

    assert!(
        matches!(told, Some(StoreError::DiskFull { .. })),
        "{told:?}"
    );
    let again = [
        writer.flush().map(drop),
        writer.send(Page::default(), SourceKind::ChatDb, 1),
    ];
    assert!(
        matches!(again, [Err(StoreError::Closed), Err(StoreError::Closed)]),
        "{again:?}"
    );
}
