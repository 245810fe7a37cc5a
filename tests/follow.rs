//! Following a database that changes: what Messages writes while nobody asked for an import must come into the archive
//! by itself, and stopping must end it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::channel;
use std::thread;

use footbridge::base::ids::Guid;
use footbridge::ingest::IngestError;
use footbridge::ingest::follow;
use footbridge::store::Store;
use footbridge::store::Tally;

use crate::support::disk::Disk;
use crate::support::history::CLOCK;
use crate::support::history::MINUTE;
use crate::support::history::NOW;
use crate::support::history::START;
use crate::support::history::guid;
use crate::support::history::options;
use crate::support::history::small_history;

mod support;

/// What was new in a pass, or that it failed.
type Passes = Receiver<Option<Tally>>;

/// The next pass that stored something.
fn next_change(passes: &Passes) -> Tally {
    loop {
        let tally = passes.recv().unwrap().unwrap();
        if tally.new_messages + tally.changed > 0 {
            return tally;
        }
    }
}

/// Follows a database of 20 messages while `act` changes it, and answers the archive.
fn follow_while(act: impl FnOnce(&rusqlite::Connection, &Passes)) -> Store {
    let history = small_history(20);
    let store = Store::open_backend(Disk::new(Vec::new()), Arc::new(CLOCK)).unwrap();
    let options = options(&history.path(), 1_000);
    let (stopper, stop) = channel();
    let (report, passes) = channel();
    thread::scope(|scope| {
        let (store, options) = (&store, &options);
        let following = scope.spawn(move || {
            let on_pass = |outcome: Result<&footbridge::ingest::Import, &IngestError>| {
                report
                    .send(outcome.ok().map(|import| import.tally))
                    .unwrap();
            };
            let on_progress = |_| ControlFlow::Continue(());
            follow(store, &CLOCK, options, &stop, &on_progress, &on_pass)
        });
        assert!(next_change(&passes).new_messages > 0);
        act(&history.writer, &passes);
        drop(stopper);
        following.join().unwrap().unwrap();
    });
    store
}

#[test]
fn a_message_that_is_written_comes_in_by_itself() {
    let store = follow_while(|database, passes| {
        let sql = "INSERT INTO message (ROWID, guid, text, date, handle_id, is_finished) VALUES (21, ?1, 'new', ?2, 1, 1)";
        let now = NOW.nanos() - MINUTE;
        database.execute(sql, (guid(21), now)).unwrap();
        let joined = "INSERT INTO chat_message_join (chat_id, message_id) VALUES (1, 21)";
        database.execute(joined, ()).unwrap();

        assert_eq!(next_change(passes).new_messages, 1);
    });

    let snapshot = store.snapshot().unwrap();
    let rows = snapshot
        .messages_with(&Guid::parse(&guid(21)).unwrap())
        .unwrap();
    assert_eq!(rows.len(), 1);
    // Clients see it at once, not at the end of the next pass over everything.
    let stored = snapshot.message(rows[0]).unwrap();
    let places = snapshot.places().unwrap();
    assert_eq!(places.place(stored.came()), Some(stored.came()));
}

#[test]
fn an_old_message_under_a_new_rowid_comes_in_by_itself() {
    follow_while(|database, passes| {
        let sql = "INSERT INTO message (ROWID, guid, text, date, handle_id, is_finished) VALUES (21, ?1, 'old', ?2, 1, 1);";
        database.execute(sql, (guid(21), START - MINUTE)).unwrap();

        assert_eq!(next_change(passes).new_messages, 1);
    });
}

#[test]
fn a_message_that_is_read_later_changes_by_itself() {
    follow_while(|database, passes| {
        let sql = "UPDATE message SET date_read = ?1, is_read = 1 WHERE ROWID = 18";
        database.execute(sql, [NOW.nanos()]).unwrap();

        assert_eq!(next_change(passes).receipts, 1);
    });
}
