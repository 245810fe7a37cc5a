//! What happens to a Messages database between two imports, and what the archive makes of it (D12).
//!
//! After most of these steps the export must be what a first import of the same database gives, but for change numbers:
//! an archive that depends on when it was asked has lost something or made something up.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::fs;
use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::sync::Arc;

use footbridge::app::Archive;
use footbridge::base::ids::AttachmentGuid;
use footbridge::base::ids::ChangeNumber;
use footbridge::base::ids::Guid;
use footbridge::base::ids::RowId;
use footbridge::base::time::AppleTime;
use footbridge::codec::typedstream::Attribute;
use footbridge::codec::typedstream::AttributedText;
use footbridge::codec::typedstream::Attributes;
use footbridge::codec::typedstream::Run;
use footbridge::codec::typedstream::encode;
use footbridge::ingest::Import;
use footbridge::ingest::Redecode;
use footbridge::ingest::redecode;
use footbridge::model::attachment::AttachmentState;
use footbridge::model::conversation::Alias;
use footbridge::store::Direction;
use footbridge::store::Store;
use footbridge::store::Tally;
use footbridge::store::value::ChangeKind;
use footbridge::store::value::Merge;
use footbridge::store::value::StoredMessage;
use plist::Dictionary;
use redb::backends::InMemoryBackend;

use crate::support::chatdb::Column;
use crate::support::chatdb::Fixture;
use crate::support::chatdb::MacOs;
use crate::support::chatdb::write_address_book;
use crate::support::disk::Disk;
use crate::support::history::CLOCK;
use crate::support::history::MINUTE;
use crate::support::history::NOW;
use crate::support::history::START;
use crate::support::history::assert_cursor_and_content_agree;
use crate::support::history::assert_sound;
use crate::support::history::export;
use crate::support::history::guid;
use crate::support::history::import;
use crate::support::history::small_history;

/// A database, and an archive that follows it.
struct Flow {
    fixture: Fixture,
    store: Store,
    bea: i64,
    /// The chat with Bea.
    direct: i64,
}

fn empty_store() -> Store {
    Store::open_backend(InMemoryBackend::new(), Arc::new(CLOCK)).unwrap()
}

impl Flow {
    fn new() -> Self {
        let fixture = Fixture::new(MacOs::V26);
        let bea = fixture.handle("+15550100001", "iMessage");
        let direct = fixture.chat("iMessage;-;+15550100001", &[bea]);
        Self {
            fixture,
            store: empty_store(),
            bea,
            direct,
        }
    }

    /// A received message with a number, sent in that minute, in the chat with Bea.
    fn message(&self, number: i64, columns: &[Column<'_>]) -> i64 {
        self.message_in(&[self.direct], number, columns)
    }

    fn message_in(&self, chats: &[i64], number: i64, columns: &[Column<'_>]) -> i64 {
        let (text, date) = (format!("message {number}"), START + number * MINUTE);
        let all: [Column<'_>; 4] = [
            ("text", &text),
            ("date", &date),
            ("handle_id", &self.bea),
            ("is_finished", &1),
        ];
        let mut all = all.to_vec();
        all.retain(|(name, _)| columns.iter().all(|(given, _)| given != name));
        all.extend_from_slice(columns);
        self.fixture.message(&guid(number), chats, &all)
    }

    fn execute(&self, sql: &str) {
        self.fixture.writer.execute_batch(sql).unwrap();
    }

    fn import(&self) -> Import {
        let import = import(&self.store, &self.fixture.path(), 7).unwrap();
        assert_sound(&self.store.snapshot().unwrap());
        import
    }

    /// Imports, and holds the export against that of an import into a new archive.
    fn import_as_if_fresh(&self) -> Tally {
        let tally = self.import().tally;
        let fresh = empty_store();
        import(&fresh, &self.fixture.path(), usize::MAX).unwrap();
        assert_eq!(export(&self.store), export(&fresh));
        tally
    }

    fn row(&self, number: i64) -> RowId {
        let guid = Guid::parse(&guid(number)).unwrap();
        let rows = self.store.snapshot().unwrap().messages_with(&guid).unwrap();
        assert_eq!(rows.len(), 1, "message {number}");
        rows[0]
    }

    fn held(&self, number: i64) -> StoredMessage {
        let row = self.row(number);
        self.store.snapshot().unwrap().whole_message(row).unwrap()
    }

    fn last_change(&self) -> ChangeNumber {
        self.store.snapshot().unwrap().last_change().unwrap()
    }

    fn conversation(&self, chat: &str) -> Option<RowId> {
        let alias = Alias::chat(chat);
        self.store.snapshot().unwrap().resolve(&alias).unwrap()
    }

    /// The conversations that the change log names after a change, and the messages.
    fn changed_after(&self, after: ChangeNumber) -> Vec<(ChangeKind, RowId)> {
        let snapshot = self.store.snapshot().unwrap();
        let changes = snapshot.changes_after(after).unwrap().unwrap();
        changes
            .map(|change| {
                let (_, entry) = change.unwrap();
                (entry.kind, entry.row)
            })
            .collect()
    }
}

/// A tally with these counts alone.
fn tally(set: impl FnOnce(&mut Tally)) -> Tally {
    let mut tally = Tally::default();
    set(&mut tally);
    tally
}

// ---- messages that change

#[test]
fn the_same_database_again_writes_no_change() {
    let flow = Flow::new();
    flow.message(1, &[]);
    flow.import();
    let before = flow.last_change();

    let again = flow.import();

    assert_eq!((again.unchanged, again.tally), (true, Tally::default()));
    assert_eq!(flow.last_change(), before);
}

#[test]
fn a_database_that_changed_in_nothing_that_shows_writes_no_change() {
    let flow = Flow::new();
    flow.message(1, &[]);
    flow.import();
    let before = flow.last_change();
    flow.execute("UPDATE message SET ck_sync_state = 1, index_state = 2");

    let again = flow.import();

    assert_eq!((again.unchanged, again.tally), (false, Tally::default()));
    assert_eq!(flow.last_change(), before);
}

#[test]
fn a_message_that_was_read_is_a_change_of_that_message_alone() {
    let flow = Flow::new();
    flow.message(1, &[]);
    flow.message(2, &[]);
    flow.import();
    let before = flow.last_change();
    let read = START + 9 * MINUTE;
    flow.execute(&format!(
        "UPDATE message SET is_read = 1, date_read = {read} WHERE ROWID = 2"
    ));

    let counted = flow.import_as_if_fresh();

    let expected = tally(|tally| (tally.changed, tally.receipts) = (1, 1));
    assert_eq!(counted, expected);
    let row = flow.row(2);
    assert_eq!(flow.changed_after(before), [(ChangeKind::Message, row)]);
    let times = flow.held(2).message.times;
    assert_eq!(times.read, Some(AppleTime::from_nanos(read)));
}

fn attributed(text: &str) -> Vec<u8> {
    let part = ("__kIMMessagePartAttributeName", Attribute::Integer(0));
    encode(&AttributedText {
        text: text.to_owned(),
        runs: vec![Run {
            start: 0,
            length: u32::try_from(text.len()).unwrap(),
            attributes: 0,
        }],
        dictionaries: vec![Attributes(vec![(part.0.to_owned(), part.1)])],
    })
}

fn dictionary<const N: usize>(entries: [(&str, plist::Value); N]) -> plist::Value {
    let entries = entries.map(|(key, value)| (key.to_owned(), value));
    plist::Value::Dictionary(Dictionary::from_iter(entries))
}

/// `message_summary_info` of a message whose one part was edited at some seconds after 2001.
fn edit_history(versions: &[(i64, &str)]) -> Vec<u8> {
    let version = |(at, text): &(i64, &str)| {
        dictionary([
            ("d", plist::Value::from(*at)),
            ("t", plist::Value::Data(attributed(text))),
        ])
    };
    let versions = plist::Value::Array(versions.iter().map(version).collect());
    let range = dictionary([("lo", plist::Value::from(0)), ("le", plist::Value::from(9))]);
    let info = dictionary([
        ("otr", dictionary([("0", range)])),
        ("ec", dictionary([("0", versions)])),
    ]);
    let mut bytes = Vec::new();
    info.to_writer_binary(&mut bytes).unwrap();
    bytes
}

#[test]
fn an_edit_keeps_the_place_of_the_message_and_has_one_of_its_own() {
    let flow = Flow::new();
    flow.message(1, &[("attributedBody", &attributed("message 1"))]);
    flow.message(2, &[]);
    flow.import();
    let place = flow.held(1).time;
    let second = START / 1_000_000_000 + 600;
    let info = edit_history(&[(second - 600, "message 1"), (second, "changed")]);
    let edit = "UPDATE message SET text = NULL, attributedBody = ?1, message_summary_info = ?2, date_edited = ?3
        WHERE ROWID = 1";
    let parameters = (attributed("changed"), info, second * 1_000_000_000);
    flow.fixture.writer.execute(edit, parameters).unwrap();

    let counted = flow.import_as_if_fresh();

    let expected = tally(|tally| (tally.changed, tally.edited) = (1, 1));
    assert_eq!(counted, expected);
    let held = flow.held(1);
    assert_eq!((held.time, held.message.edits.len()), (place, 1));
    let snapshot = flow.store.snapshot().unwrap();
    let timeline = snapshot.timeline(held.conversation.unwrap(), None, Direction::Forward);
    let places: Vec<_> = timeline.unwrap().map(|place| place.unwrap()).collect();
    let order: Vec<_> = places.iter().map(|place| (place.row, place.n)).collect();
    assert_eq!(
        order,
        [(flow.row(1), 0), (flow.row(2), 0), (flow.row(1), 1)]
    );
    assert_eq!(
        places[2].time,
        AppleTime::from_nanos(second * 1_000_000_000)
    );
}

#[test]
fn a_tapback_that_came_is_found_from_its_target() {
    let flow = Flow::new();
    flow.message(1, &[]);
    flow.import();
    let target = format!("p:0/{}", guid(1));
    let columns: [Column<'_>; 2] = [
        ("associated_message_guid", &target),
        ("associated_message_type", &2000),
    ];
    flow.message(2, &columns);

    let counted = flow.import_as_if_fresh();

    assert_eq!(counted, tally(|tally| tally.new_tapbacks = 1));
    let snapshot = flow.store.snapshot().unwrap();
    let target = Guid::parse(&guid(1)).unwrap();
    assert_eq!(snapshot.relations(&target).unwrap(), [flow.row(2)]);
}

#[test]
fn a_message_from_the_future_stands_where_it_was_first_seen() {
    let flow = Flow::new();
    let future = NOW.nanos() + 90 * MINUTE;
    flow.message(1, &[("date", &future)]);

    flow.import_as_if_fresh();

    let held = flow.held(1);
    assert_eq!(held.message.times.sent, Some(AppleTime::from_nanos(future)));
    assert_eq!(held.time, AppleTime::from_nanos(NOW.nanos() + 5 * MINUTE));
}

#[test]
fn a_message_without_a_date_stands_after_the_one_before_it() {
    let flow = Flow::new();
    flow.message(1, &[]);
    flow.import();
    flow.message(2, &[("date", &0)]);

    flow.import_as_if_fresh();

    let held = flow.held(2);
    assert_eq!(
        (held.message.times.sent, held.time),
        (None, flow.held(1).time)
    );
}

// ---- where messages belong

#[test]
fn a_message_that_is_joined_late_is_parked_until_then() {
    let flow = Flow::new();
    let row = flow.message_in(&[], 1, &[]);
    let first = flow.import();
    assert_eq!(first.tally.parked, 1);
    assert_eq!(flow.held(1).conversation, None);
    flow.fixture.join(row, flow.direct);

    let counted = flow.import_as_if_fresh();

    assert_eq!(
        counted,
        tally(|tally| (tally.changed, tally.moved) = (1, 1))
    );
    let home = flow.conversation("iMessage;-;+15550100001");
    assert_eq!(flow.held(1).conversation, home);
    assert!(home.is_some());
}

#[test]
fn a_message_in_a_second_chat_is_in_both_but_at_home_in_the_first() {
    let flow = Flow::new();
    let group = flow
        .fixture
        .chat("iMessage;+;chat100000000000000001", &[flow.bea]);
    let row = flow.message(1, &[]);
    flow.import();
    flow.fixture.join(row, group);

    let counted = flow.import_as_if_fresh();

    assert_eq!(
        counted,
        tally(|tally| (tally.changed, tally.moved) = (1, 1))
    );
    let held = flow.held(1);
    assert_eq!(
        held.conversation,
        flow.conversation("iMessage;-;+15550100001")
    );
    let second = flow
        .conversation("iMessage;+;chat100000000000000001")
        .unwrap();
    assert_eq!(held.also_in, [second]);
}

#[test]
fn a_message_whose_chat_is_gone_stays_in_its_conversation() {
    let flow = Flow::new();
    flow.message(1, &[]);
    flow.import();
    let before = (flow.last_change(), flow.held(1));
    flow.execute("DELETE FROM chat_message_join; DELETE FROM chat; DELETE FROM chat_handle_join");

    flow.import();

    assert_eq!((flow.last_change(), flow.held(1)), before);
}

#[test]
fn groups_that_turn_out_to_be_one_are_united_in_the_older() {
    let flow = Flow::new();
    let (first, second) = (
        "iMessage;+;chat100000000000000001",
        "iMessage;+;chat200000000000000002",
    );
    let chats = [first, second].map(|chat| flow.fixture.chat(chat, &[flow.bea]));
    flow.execute("UPDATE chat SET group_id = guid WHERE style = 43");
    flow.message_in(&chats[..1], 1, &[]);
    flow.message_in(&chats[1..], 2, &[]);
    flow.message_in(&chats, 3, &[]);
    flow.import();
    let (older, younger) = (
        flow.conversation(first).unwrap(),
        flow.conversation(second).unwrap(),
    );
    assert_ne!(older, younger);
    assert_eq!(flow.held(3).also_in, [younger]);
    let one = "UPDATE chat SET group_id = (SELECT guid FROM chat WHERE style = 43 LIMIT 1) WHERE style = 43";
    flow.execute(one);

    flow.import();

    assert_eq!(flow.conversation(second), Some(older));
    for number in 1..=3 {
        let held = flow.held(number);
        assert_eq!((held.conversation, held.also_in), (Some(older), vec![]));
    }
    let snapshot = flow.store.snapshot().unwrap();
    assert_eq!(snapshot.head(older).unwrap().messages, 3);
    assert_eq!(
        snapshot.conversation(younger).unwrap().united_into,
        Some(older)
    );
    assert!(
        snapshot
            .chats()
            .unwrap()
            .iter()
            .all(|chat| chat.conversation != younger)
    );
}

#[test]
fn a_new_name_has_the_time_of_its_announcement() {
    let flow = Flow::new();
    let group = flow
        .fixture
        .chat("iMessage;+;chat100000000000000001", &[flow.bea]);
    flow.import();
    flow.execute("UPDATE chat SET display_name = 'The Office' WHERE style = 43");
    let columns: [Column<'_>; 3] = [
        ("text", &rusqlite::types::Null),
        ("item_type", &2),
        ("group_title", &"The Office"),
    ];
    flow.message_in(&[group], 1, &columns);

    let counted = flow.import_as_if_fresh();

    assert_eq!(
        (counted.new_announcements, counted.changed_conversations),
        (1, 1)
    );
    let row = flow
        .conversation("iMessage;+;chat100000000000000001")
        .unwrap();
    let stored = flow.store.snapshot().unwrap().conversation(row).unwrap();
    let name = stored.conversation.name.unwrap();
    assert_eq!(name.text, "The Office");
    assert_eq!(name.at, Some(AppleTime::from_nanos(START + MINUTE)));
}

#[test]
fn of_the_two_copies_in_a_chat_with_oneself_the_received_one_names_the_other() {
    let flow = Flow::new();
    let own = flow.fixture.handle("+15550100000", "iMessage");
    let chat = flow.fixture.chat("iMessage;-;+15550100000", &[own]);
    let date = START + MINUTE;
    let copy: [Column<'_>; 2] = [("text", &"to me"), ("date", &date)];
    let from_me: [Column<'_>; 2] = [("is_from_me", &1), ("handle_id", &own)];
    let received: [Column<'_>; 2] = [("is_from_me", &0), ("handle_id", &own)];
    flow.message_in(&[chat], 1, &[copy, received].concat());
    flow.message_in(&[chat], 2, &[copy, from_me].concat());
    flow.message_in(&[chat], 3, &[copy, from_me].concat());
    flow.message_in(&[chat], 4, &[copy, received].concat());

    flow.import_as_if_fresh();

    let twins: Vec<Option<Guid>> = (1..=4)
        .map(|number| flow.held(number).duplicate_of)
        .collect();
    let sent = |number| Guid::parse(&guid(number));
    assert_eq!(twins, [sent(2), None, None, sent(3)]);
}

#[test]
fn conversations_with_both_addresses_of_a_person_are_shown_as_one() {
    let flow = Flow::new();
    let mail = flow.fixture.handle("bea@example.org", "iMessage");
    let by_mail = flow.fixture.chat("iMessage;-;bea@example.org", &[mail]);
    flow.message(1, &[]);
    flow.message_in(&[by_mail], 2, &[]);
    flow.import();
    assert_eq!(flow.store.snapshot().unwrap().merges().unwrap().len(), 0);
    write_address_book(&flow.fixture.folder.path().join("AddressBook-v22.abcddb"));

    let counted = flow.import_as_if_fresh();

    assert_eq!(counted.contacts, 2);
    let number = flow.conversation("iMessage;-;+15550100001").unwrap();
    let mail = flow.conversation("iMessage;-;bea@example.org").unwrap();
    let merges = flow.store.snapshot().unwrap().merges().unwrap();
    assert_eq!(
        merges.into_iter().collect::<Vec<_>>(),
        [(mail, Merge::Into(number))]
    );
}

// ---- deletions

#[test]
fn a_message_in_recently_deleted_is_marked_until_it_is_recovered() {
    let flow = Flow::new();
    let row = flow.message(1, &[]);
    flow.import();
    let date = START + 5 * MINUTE;
    flow.execute("DELETE FROM chat_message_join");
    flow.fixture.recover(row, flow.direct, date);

    let deleted = flow.import_as_if_fresh();

    assert_eq!(
        deleted,
        tally(|tally| (tally.changed, tally.deleted) = (1, 1))
    );
    let held = flow.held(1);
    assert_eq!(
        held.message.times.deleted,
        Some(AppleTime::from_nanos(date))
    );
    assert_eq!(
        held.conversation,
        flow.conversation("iMessage;-;+15550100001")
    );

    flow.execute("DELETE FROM chat_recoverable_message_join");
    flow.fixture.join(row, flow.direct);
    let recovered = flow.import_as_if_fresh();

    assert_eq!(
        recovered,
        tally(|tally| (tally.changed, tally.deleted) = (1, 1))
    );
    assert_eq!(flow.held(1).message.times.deleted, None);
}

#[test]
fn a_message_that_was_deleted_for_good_stays_with_the_time_of_detection() {
    let flow = Flow::new();
    flow.message(1, &[]);
    flow.message(2, &[]);
    flow.import();
    let (held, never) = (guid(1), guid(9));
    flow.execute(&format!(
        "DELETE FROM chat_message_join WHERE message_id = 1; DELETE FROM message WHERE ROWID = 1;
         INSERT INTO deleted_messages (guid) VALUES ('{held}'), ('{never}');"
    ));

    let first = flow.import();

    assert_eq!(
        first.tally,
        tally(|tally| (tally.changed, tally.deleted) = (1, 1))
    );
    assert_eq!(flow.held(1).message.times.deleted, Some(NOW));
    let snapshot = flow.store.snapshot().unwrap();
    let never = Guid::parse(&never).unwrap();
    assert_eq!(
        snapshot
            .tombstone(&never)
            .unwrap()
            .map(|tombstone| tombstone.at),
        Some(NOW)
    );
    assert_eq!(snapshot.message_count().unwrap(), 2);

    let before = flow.last_change();
    let again = redecode(&flow.store, Redecode::All, &|_| ControlFlow::Continue(())).unwrap();

    assert_eq!(again, tally(|tally| tally.refreshed = 2));
    assert_eq!(flow.last_change(), before);
    assert_eq!(flow.held(1).message.times.deleted, Some(NOW));
}

// ---- files

#[test]
fn a_missing_file_is_found_once_it_is_there_although_nothing_else_is_new() {
    let flow = Flow::new();
    let row = flow.message(1, &[]);
    let columns: [Column<'_>; 2] = [
        ("filename", &"~/Library/Messages/Attachments/a.txt"),
        ("transfer_name", &"a.txt"),
    ];
    flow.fixture.attachment(row, "at_0_A", &columns);
    flow.import();
    let before = flow.last_change();
    let attachments = flow.fixture.folder.path().join("Attachments");
    fs::create_dir(&attachments).unwrap();
    fs::write(attachments.join("a.txt"), "here").unwrap();

    let import = flow.import();

    let expected = tally(|tally| (tally.changed, tally.attachments) = (1, 1));
    assert_eq!((import.unchanged, import.tally), (true, expected));
    assert_eq!(
        flow.changed_after(before),
        [(ChangeKind::Message, flow.row(1))]
    );
    let held = flow.held(1).message.attachments.remove(0);
    assert!(
        matches!(held.state, AttachmentState::Held { .. }),
        "{:?}",
        held.state
    );
    assert_eq!(held.size_bytes, Some(4));
    assert_eq!(flow.import_as_if_fresh(), Tally::default());
}

#[test]
fn a_file_that_cannot_be_read_is_abandoned_at_the_third_import_and_comes_back_when_asked_for() {
    let flow = Flow::new();
    let row = flow.message(1, &[]);
    let columns: [Column<'_>; 1] = [("filename", &"~/Library/Messages/Attachments/a.txt")];
    flow.fixture.attachment(row, "at_0_A", &columns);
    let attachments = flow.fixture.folder.path().join("Attachments");
    fs::create_dir(&attachments).unwrap();
    let path = attachments.join("a.txt");
    // A link to itself cannot be followed, not even by root.
    std::os::unix::fs::symlink(&path, &path).unwrap();
    let import = || {
        flow.import();
        let state = flow.held(1).message.attachments.remove(0).state;
        let failures = flow.store.snapshot().unwrap().failures().unwrap();
        let attempts: Vec<u32> = failures.iter().map(|(_, held)| held.attempts).collect();
        (state.name(), attempts)
    };

    let imports = [import(), import(), import(), import()];
    fs::remove_file(&path).unwrap();
    fs::write(&path, "here").unwrap();
    let without_asking = import();
    let archive = Archive::over(flow.store.clone(), Arc::new(CLOCK));
    let asked = archive.retry_attachments(None).unwrap();
    let after = import();

    let expected = [
        ("failed", vec![1]),
        ("failed", vec![2]),
        ("abandoned", vec![3]),
        ("abandoned", vec![3]),
    ];
    assert_eq!(imports, expected);
    assert_eq!(without_asking, ("abandoned", vec![3]));
    assert_eq!((asked, after), (1, ("held", vec![])));
}

#[test]
fn a_file_of_two_messages_is_one_and_does_not_turn_around() {
    let flow = Flow::new();
    let (first, second) = (flow.message(1, &[]), flow.message(2, &[]));
    let attachment = flow.fixture.attachment(first, "at_0_A", &[]);
    let join: [Column<'_>; 2] = [("message_id", &second), ("attachment_id", &attachment)];
    flow.fixture.insert("message_attachment_join", &join);
    flow.import();
    let before = flow.last_change();

    let again = redecode(&flow.store, Redecode::All, &|_| ControlFlow::Continue(())).unwrap();

    assert_eq!(again, tally(|tally| tally.refreshed = 2));
    assert_eq!(flow.last_change(), before);
    let snapshot = flow.store.snapshot().unwrap();
    let row = snapshot
        .attachment_with(&AttachmentGuid::parse("AT_0_a").unwrap())
        .unwrap();
    assert_eq!(
        snapshot.attachment(row.unwrap()).unwrap().message,
        flow.row(1)
    );
    assert_eq!(flow.held(2).attachments, [row.unwrap()]);
}

// ---- interruptions

#[test]
fn a_first_pass_that_is_taken_up_over_a_changed_database_misses_nothing() {
    let messages = 60;
    let history = small_history(messages);
    let disk = Disk::new(Vec::new());
    let store = Store::open_backend(disk.clone(), Arc::new(CLOCK)).unwrap();
    let writes = disk.writes();
    import(&store, &history.path(), 10).unwrap();
    let whole = disk.writes() - writes;
    let disk = Disk::new(Vec::new());
    let store = Store::open_backend(disk.clone(), Arc::new(CLOCK)).unwrap();
    disk.refuse(writes + whole / 2, ErrorKind::Other);
    import(&store, &history.path(), 10).unwrap_err();
    let store = Store::open_backend(Disk::new(disk.content()), Arc::new(CLOCK)).unwrap();
    let held = assert_cursor_and_content_agree(&store.snapshot().unwrap(), messages);
    assert!(
        (10..=50).contains(&held),
        "interrupted in the middle: {held}"
    );
    let sql = "UPDATE message SET text = 'another text', date_edited = date + 1 WHERE ROWID IN (1, 2, 60);
         DELETE FROM chat_message_join WHERE message_id = 4;
         INSERT INTO chat_message_join (chat_id, message_id) VALUES (2, 4)";
    history.writer.execute_batch(sql).unwrap();

    let resumed = import(&store, &history.path(), 10).unwrap();

    assert!(resumed.resumed && !resumed.unchanged);
    assert_sound(&store.snapshot().unwrap());
    let fresh = empty_store();
    import(&fresh, &history.path(), 10).unwrap();
    assert_eq!(export(&store), export(&fresh));
    let again = import(&store, &history.path(), 10).unwrap();
    assert!(again.unchanged);
}

#[test]
fn decoding_everything_again_changes_nothing_when_the_decoder_is_the_same() {
    let history = small_history(60);
    let store = empty_store();
    import(&store, &history.path(), 10).unwrap();
    let (before, exported) = (
        store.snapshot().unwrap().last_change().unwrap(),
        export(&store),
    );
    let unreadable = store.snapshot().unwrap().quarantine().unwrap().len() as u64;

    let all = redecode(&store, Redecode::All, &|_| ControlFlow::Continue(())).unwrap();
    let quarantined = redecode(
        &store,
        Redecode::Quarantined,
        &|_| ControlFlow::Continue(()),
    )
    .unwrap();
    let outdated = redecode(&store, Redecode::Outdated, &|_| ControlFlow::Continue(())).unwrap();

    assert_eq!(
        (all.refreshed, quarantined.refreshed, outdated.refreshed),
        (60, unreadable, 0)
    );
    assert!(unreadable > 0 && all.is_empty() && quarantined.is_empty());
    assert_eq!(store.snapshot().unwrap().last_change().unwrap(), before);
    assert_eq!(export(&store), exported);
    assert_sound(&store.snapshot().unwrap());
    let tried = store.snapshot().unwrap().quarantine().unwrap();
    assert!(tried.iter().all(|(_, entry)| entry.attempts == 3));
}

#[test]
fn a_row_of_several_large_blobs_can_be_read_back() {
    let flow = Flow::new();
    let large = vec![b'x'; 7 << 20];
    let columns: [Column<'_>; 4] = [
        ("attributedBody", &large),
        ("payload_data", &large),
        ("message_summary_info", &large),
        ("balloon_bundle_id", &"com.example"),
    ];
    flow.message(1, &columns);
    let row = flow.fixture.attachment(1, "at_0_A", &[]);
    let info = "UPDATE attachment SET user_info = ?1, attribution_info = ?1 WHERE ROWID = ?2";
    flow.fixture.writer.execute(info, (&large, row)).unwrap();

    flow.import_as_if_fresh();
    let again = redecode(&flow.store, Redecode::All, &|_| ControlFlow::Continue(())).unwrap();

    assert_eq!(again, tally(|tally| tally.refreshed = 1));
}
