//! What the Matrix endpoint asks of the store: from when on clients see something, in what order, and what they leave.
//!
//! Guards against a client that never hears of a change, because it was logged before the client's position and became
//! visible after it, and against one that sees half an import.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::ops::Bound;
use std::sync::Arc;

use footbridge::base::ids::ChangeNumber;
use footbridge::base::ids::ConversationKey;
use footbridge::base::ids::Guid;
use footbridge::base::ids::RecordName;
use footbridge::base::ids::RowId;
use footbridge::base::time::AppleTime;
use footbridge::model::change::Cursor;
use footbridge::model::change::MessageChange;
use footbridge::model::change::Placement;
use footbridge::model::conversation::Alias;
use footbridge::model::conversation::Conversation;
use footbridge::model::conversation::ConversationChange;
use footbridge::model::conversation::ConversationKind;
use footbridge::model::conversation::Filed;
use footbridge::model::message::Author;
use footbridge::model::message::Edit;
use footbridge::model::message::Kind;
use footbridge::model::message::Message;
use footbridge::model::message::Version;
use footbridge::model::record::CloudRecord;
use footbridge::model::record::CloudZone;
use footbridge::model::record::MessageRecord;
use footbridge::model::record::SourceKind;
use footbridge::store::Absent;
use footbridge::store::Direction;
use footbridge::store::News;
use footbridge::store::Pace;
use footbridge::store::Page;
use footbridge::store::Place;
use footbridge::store::Preparer;
use footbridge::store::Snapshot;
use footbridge::store::Store;
use footbridge::store::StoreError;
use footbridge::store::account::Account;
use footbridge::store::account::KeyKind;
use footbridge::store::account::NewReceipt;
use footbridge::store::account::SentKey;
use footbridge::store::cloud::CloudContent;
use footbridge::store::cloud::CloudItem;
use footbridge::store::cloud::CloudPage;
use footbridge::store::cloud::ZoneStep;
use footbridge::store::value::ChangeKind;
use footbridge::store::value::Device;
use footbridge::store::value::MarkKind;
use footbridge::store::value::Opaque;
use footbridge::store::value::ReadFrom;
use footbridge::store::value::RoomOrigin;
use footbridge::store::value::StoredMessage;
use footbridge::store::value::Upload;
use redb::backends::InMemoryBackend;

use crate::support::history::CLOCK;
use crate::support::history::assert_sound;
use crate::support::samples::bare_message;
use crate::support::samples::guid;
use crate::support::samples::handle;

const OWNER: Account = Account::OWNER;

fn at(minute: i64) -> AppleTime {
    AppleTime::from_nanos(minute * 60_000_000_000)
}

fn guid_of(number: u8) -> Guid {
    guid(&format!("1A2B3C4D-0001-4002-8003-0000000000{number:02X}"))
}

fn alias(chat: u8) -> Alias {
    Alias::room(&format!("chat{chat}"))
}

/// A message of somebody else, sent at the minute of its number.
fn message(number: u8) -> Message {
    let mut message = bare_message(Kind::Message { about: None });
    message.guid = guid_of(number);
    message.service = Some("iMessage".to_owned());
    message.author = Author::Other(handle("tel:+15550100002"));
    message.times.sent = Some(at(number.into()));
    message
}

fn edited(number: u8, minutes: &[i64]) -> Message {
    let version = |at| Version {
        text: Some("text".to_owned()),
        at,
        spans: Vec::new(),
    };
    let later = minutes.iter().map(|minute| version(Some(at(*minute))));
    let edit = Edit {
        part: 0,
        versions: std::iter::once(version(None)).chain(later).collect(),
    };
    Message {
        edits: vec![edit],
        ..message(number)
    }
}

fn deleted(number: u8, minute: i64) -> Message {
    let mut message = message(number);
    message.times.deleted = Some(at(minute));
    message
}

/// A page with messages of one chat, as a Mac has them.
fn page(chat: u8, messages: Vec<Message>) -> Page {
    let conversation = Conversation {
        key: ConversationKey::group(&format!("chat{chat}")),
        kind: ConversationKind::Group,
        service: None,
        participants: Vec::new(),
        name: None,
        deleted: None,
        filed: Filed::Inbox,
    };
    let prepared = |(n, message): (usize, Message)| {
        let change = MessageChange {
            fingerprint: (n + message.edits.len() * 10) as u64,
            message,
            placement: Placement {
                candidates: vec![alias(chat)],
                ..Placement::default()
            },
            record: MessageRecord::default(),
        };
        Preparer::default().prepare(change, 1).unwrap()
    };
    Page {
        conversations: vec![ConversationChange {
            conversation,
            aliases: vec![alias(chat)],
            records: Vec::new(),
        }],
        messages: messages.into_iter().enumerate().map(prepared).collect(),
        ..Page::default()
    }
}

/// The same, as a source has them.
fn page_of(source: SourceKind, chat: u8, messages: Vec<Message>) -> Page {
    if source == SourceKind::ChatDb {
        return page(chat, messages);
    }
    let zone = CloudZone::Messages;
    let item = |message: Message| {
        let name = format!("record of {}", message.guid);
        let placement = Placement {
            candidates: vec![alias(chat)],
            ..Placement::default()
        };
        let prepared = Preparer::default().prepare_alone(message, placement);
        CloudItem {
            name: RecordName::parse(&name).unwrap(),
            content: CloudContent::Message {
                prepared: Box::new(prepared.unwrap()),
                record: CloudRecord {
                    zone: zone.name().to_owned(),
                    name,
                    ..CloudRecord::default()
                },
            },
            raw: None,
        }
    };
    Page {
        cloud: Some(CloudPage {
            zone,
            items: messages.into_iter().map(item).collect(),
            step: ZoneStep::Forward(None),
        }),
        ..page(chat, Vec::new())
    }
}

fn part_of(source: SourceKind, chat: u8, messages: Vec<Message>) -> Page {
    Page {
        unfinished: true,
        ..page_of(source, chat, messages)
    }
}

fn part(chat: u8, messages: Vec<Message>) -> Page {
    Page {
        unfinished: true,
        ..page(chat, messages)
    }
}

/// The end of a pass.
fn end() -> Page {
    Page {
        cursor: Some(Cursor::default()),
        ..Page::default()
    }
}

fn new_store() -> Store {
    Store::open_backend(InMemoryBackend::new(), Arc::new(CLOCK)).unwrap()
}

/// Stores a page in a transaction of its own.
fn apply(store: &Store, page: Page) {
    apply_from(store, page, SourceKind::ChatDb);
}

fn apply_from(store: &Store, page: Page, source: SourceKind) {
    let stored: Result<_, StoreError> = store.write(|tx| tx.apply(page, source, 1));
    stored.unwrap();
    assert_sound(&store.snapshot().unwrap());
}

/// The numbers of messages, of the first 20, that clients see.
fn seen(store: &Store) -> Vec<u8> {
    let snapshot = store.snapshot().unwrap();
    let places = snapshot.places().unwrap();
    let is_seen = |number: &u8| {
        let rows = snapshot.messages_with(&guid_of(*number)).unwrap();
        rows.first().is_some_and(|row| {
            let stored = snapshot.message(*row).unwrap();
            let head = snapshot.head(stored.conversation.unwrap()).unwrap();
            places.place_in(&head, stored.came()).is_some()
        })
    };
    (1..=20).filter(is_seen).collect()
}

fn held(snapshot: &Snapshot, number: u8) -> (RowId, StoredMessage) {
    let rows = snapshot.messages_with(&guid_of(number)).unwrap();
    (rows[0], snapshot.message(rows[0]).unwrap())
}

fn conversation(snapshot: &Snapshot, chat: u8) -> RowId {
    snapshot.resolve(&alias(chat)).unwrap().unwrap()
}

fn latest(store: &Store) -> ChangeNumber {
    store.snapshot().unwrap().last_change().unwrap()
}

fn news(store: &Store, since: ChangeNumber) -> News {
    let snapshot = store.snapshot().unwrap();
    let places = snapshot.places().unwrap();
    snapshot.news_after(since, &places, 1_000).unwrap()
}

/// The rows that are news in a conversation.
fn rows_of(news: &News, conversation: RowId, kind: ChangeKind) -> Vec<RowId> {
    let entries = news.rooms.get(&conversation).into_iter().flatten();
    let entries = entries.filter(|(_, entry)| entry.kind == kind);
    entries.map(|(_, entry)| entry.row).collect()
}

#[test]
fn an_edit_that_comes_later_has_a_place_of_its_own() {
    let store = new_store();
    apply(&store, page(1, vec![edited(1, &[2])]));
    let before = latest(&store);

    apply(&store, page(1, vec![edited(1, &[2, 3])]));

    let (_, stored) = held(&store.snapshot().unwrap(), 1);
    let marks: Vec<_> = stored
        .marks
        .iter()
        .map(|mark| (mark.kind, mark.at))
        .collect();
    let edit = |version| MarkKind::Edit { part: 0, version };
    assert_eq!(marks, [(edit(1), at(2)), (edit(2), at(3))]);
    assert_eq!(stored.marks[0].change, stored.first_change);
    assert_eq!(stored.marks[1].change, stored.last_change);
    assert!(stored.change_of(2) > before && stored.change_of(1) <= before);
}

#[test]
fn a_deletion_is_marked_and_a_restored_message_comes_anew() {
    let store = new_store();
    apply(&store, page(1, vec![message(1)]));
    apply(&store, page(1, vec![deleted(1, 5)]));
    let (_, gone) = held(&store.snapshot().unwrap(), 1);
    let mut back = page(1, vec![message(2), message(1)]);
    back.messages.remove(0);

    apply(&store, back);

    assert!(gone.is_withdrawn() && !gone.is_hidden());
    assert_eq!(gone.change_of(1), gone.last_change);
    let (_, back) = held(&store.snapshot().unwrap(), 1);
    let kinds: Vec<MarkKind> = back.marks.iter().map(|mark| mark.kind).collect();
    assert_eq!(kinds, [MarkKind::Deletion, MarkKind::Restoration]);
    assert_eq!((back.incarnation(), back.is_withdrawn()), (1, false));
    assert_eq!(back.came(), back.last_change);
}

#[test]
fn a_message_that_comes_deleted_is_hidden() {
    let store = new_store();

    apply(&store, page(1, vec![deleted(1, 5)]));

    let (_, stored) = held(&store.snapshot().unwrap(), 1);
    assert!(stored.is_hidden() && stored.marks.is_empty());
}

#[test]
fn a_page_of_its_own_is_visible_at_once() {
    let store = new_store();
    let before = latest(&store);

    apply(&store, page(1, vec![message(1)]));

    let snapshot = store.snapshot().unwrap();
    let (row, stored) = held(&snapshot, 1);
    let room = conversation(&snapshot, 1);
    let head = snapshot.head(room).unwrap();
    let places = snapshot.places().unwrap();
    assert_eq!(head.published, Some(head.last_change));
    assert_eq!(places.place_in(&head, stored.came()), head.published);
    let news = news(&store, before);
    assert_eq!(rows_of(&news, room, ChangeKind::Message), [row]);
    assert_eq!(rows_of(&news, room, ChangeKind::Published), [room]);
    assert_eq!(head.newest_message, Some(at(1)));
}

#[test]
fn what_a_pass_of_several_commits_brings_is_visible_when_it_ends() {
    let store = new_store();
    apply(&store, page(1, vec![message(1)]));
    let begin = latest(&store);
    apply(&store, part(1, vec![message(2)]));
    apply(&store, part(2, vec![message(3)]));
    let middle = latest(&store);
    let hidden = news(&store, begin);

    apply(&store, end());

    assert_eq!(hidden.rooms.len(), 0);
    let snapshot = store.snapshot().unwrap();
    let rooms = [conversation(&snapshot, 1), conversation(&snapshot, 2)];
    let (second, stored) = held(&snapshot, 2);
    let (third, _) = held(&snapshot, 3);
    // A client that asked in the middle hears of what was logged before.
    for since in [begin, middle] {
        let news = news(&store, since);
        assert_eq!(rows_of(&news, rooms[0], ChangeKind::Message), [second]);
        assert_eq!(rows_of(&news, rooms[1], ChangeKind::Message), [third]);
    }
    let places = snapshot.places().unwrap();
    let head = snapshot.head(rooms[0]).unwrap();
    let after = latest(&store);
    assert_eq!(places.place_in(&head, stored.came()), Some(after));
    assert_eq!(news(&store, after).rooms.len(), 0);
    let changed = snapshot.rooms_changed_after(middle).unwrap();
    assert_eq!(
        changed.iter().map(|(row, _)| *row).collect::<Vec<_>>(),
        rooms
    );
}

#[test]
fn a_pass_that_was_interrupted_goes_on_in_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("archive.redb");
    let store = Store::open(&path, Absent::Create, Arc::new(CLOCK)).unwrap();
    apply(&store, part(1, vec![message(1)]));
    drop(store);
    let store = Store::open(&path, Absent::Refuse, Arc::new(CLOCK)).unwrap();
    apply(&store, page(1, vec![message(2)]));
    let snapshot = store.snapshot().unwrap();
    let room = conversation(&snapshot, 1);
    assert_eq!(snapshot.head(room).unwrap().published, None);
    let before = latest(&store);

    apply(&store, end());

    let news = news(&store, before);
    assert_eq!(rows_of(&news, room, ChangeKind::Message).len(), 2);
}

#[test]
fn who_is_too_far_behind_is_told_the_rooms_alone() {
    let store = new_store();
    apply(&store, page(1, vec![message(1), message(2), message(3)]));
    let snapshot = store.snapshot().unwrap();
    let places = snapshot.places().unwrap();

    let news = snapshot.news_after(ChangeNumber(0), &places, 3).unwrap();

    assert!(!news.is_complete);
    let room = conversation(&snapshot, 1);
    assert_eq!(
        news.rooms.into_iter().collect::<Vec<_>>(),
        [(room, Vec::new())]
    );
}

#[test]
fn a_message_that_moves_is_gone_here_and_new_there() {
    let store = new_store();
    apply(&store, page(1, vec![message(1)]));
    apply(&store, page(2, vec![message(2)]));
    let before = latest(&store);

    apply(&store, page(2, vec![message(1)]));

    let snapshot = store.snapshot().unwrap();
    let (row, stored) = held(&snapshot, 1);
    let news = news(&store, before);
    let rooms = [conversation(&snapshot, 1), conversation(&snapshot, 2)];
    assert_eq!(rows_of(&news, rooms[0], ChangeKind::Gone), [row]);
    assert_eq!(rows_of(&news, rooms[1], ChangeKind::Message), [row]);
    assert!(stored.came() > before);
}

#[test]
fn several_timelines_are_walked_as_one_both_ways() {
    let store = new_store();
    apply(&store, page(1, vec![edited(1, &[6]), message(4)]));
    apply(&store, page(2, vec![message(2), message(5)]));
    apply(&store, page(3, vec![message(3)]));
    let snapshot = store.snapshot().unwrap();
    let rooms = [1, 2, 3].map(|chat| conversation(&snapshot, chat));
    let walk = |from, direction| {
        let entries = snapshot.room_timeline(&rooms, from, direction).unwrap();
        let minute = |place: Place| (place.time.nanos() / 60_000_000_000, place.n);
        let entries = entries.map(|entry| minute(entry.unwrap().place));
        entries.collect::<Vec<_>>()
    };

    let forward = walk(Bound::Unbounded, Direction::Forward);

    assert_eq!(forward, [(1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (6, 1)]);
    let third = Place {
        time: at(3),
        row: held(&snapshot, 3).0,
        n: 0,
    };
    assert_eq!(
        walk(Bound::Excluded(third), Direction::Backward),
        [(2, 0), (1, 0)]
    );
    assert_eq!(
        walk(Bound::Included(third), Direction::Forward),
        [(3, 0), (4, 0), (5, 0), (6, 1)]
    );
    let found = |minute, direction| {
        let entry = snapshot.message_at(&rooms, at(minute), direction).unwrap();
        entry.map(|entry| entry.place.row)
    };
    assert_eq!(found(6, Direction::Forward), None);
    assert_eq!(found(6, Direction::Backward), Some(held(&snapshot, 5).0));
    assert_eq!(found(4, Direction::Forward), Some(held(&snapshot, 4).0));
    let places = snapshot.places().unwrap();
    let unread = |read, limit| snapshot.unread(&rooms, read, &places, limit).unwrap();
    assert_eq!(unread(Some((third.time, third.row)), 10), 2);
    assert_eq!((unread(None, 10), unread(None, 4)), (5, 4));
}

#[test]
fn the_read_position_only_moves_forward() {
    let store = new_store();
    let mut read = message(1);
    read.times.read = Some(at(9));
    apply(&store, page(1, vec![read, message(2), message(3)]));
    let snapshot = store.snapshot().unwrap();
    let room = conversation(&snapshot, 1);
    let [first, second] = [1, 2].map(|number| held(&snapshot, number).0);
    let from_source = snapshot.head(room).unwrap().read.unwrap();
    let receipt = |row, minute| NewReceipt {
        event_id: "$event".to_owned(),
        time: at(minute),
        row,
        thread: None,
    };

    let written: Result<_, StoreError> = store.write(|tx| {
        assert!(tx.raise_read(room, at(2), second)?);
        assert!(!tx.raise_read(room, at(1), first)?);
        let forward = tx.put_receipt(OWNER, room, "m.read", receipt(second, 2))?;
        let backward = tx.put_receipt(OWNER, room, "m.read", receipt(first, 1))?;
        assert!(forward.is_some() && backward.is_none());
        Ok(())
    });
    written.unwrap();

    assert_eq!(
        (from_source.row, from_source.from),
        (first, ReadFrom::Source)
    );
    let snapshot = store.snapshot().unwrap();
    let now = snapshot.head(room).unwrap().read.unwrap();
    assert_eq!((now.row, now.from), (second, ReadFrom::Client));
    let receipts = snapshot.receipts(OWNER, room).unwrap();
    assert_eq!(receipts.len(), 1);
    assert_eq!(receipts[0].receipt.row, second);
    assert_sound(&snapshot);
}

#[tokio::test]
async fn works_of_many_tasks_share_a_commit_and_fail_alone() {
    let store = new_store();
    let writer = store.writer(Pace::LIVE);
    let mut changes = store.changes();
    changes.mark_unchanged();
    let write = |kind: &'static str| {
        writer.apply(move |tx| tx.put_account_data(OWNER, None, kind, Opaque(b"{}".to_vec())))
    };
    let refused = writer.apply(|tx| {
        tx.set_server_name("one.example.org")?;
        tx.set_server_name("two.example.org")
    });

    let (first, refused, second) = tokio::join!(write("a"), refused, write("b"));

    assert!(matches!(refused, Err(StoreError::ServerName { .. })));
    assert!(first.unwrap() < second.unwrap());
    changes.changed().await.unwrap();
    let snapshot = store.snapshot().unwrap();
    assert_eq!(*changes.borrow(), snapshot.last_change().unwrap());
    let data = snapshot.all_account_data(OWNER).unwrap();
    let kinds: Vec<&str> = data.iter().map(|data| data.kind.as_str()).collect();
    assert_eq!(kinds, ["a", "b"]);
    assert_sound(&snapshot);
}

#[test]
fn a_device_has_one_token_and_takes_everything_with_it() {
    let store = new_store();
    let device = |token| Device {
        token: Some([token; 32]),
        ..Device::default()
    };
    let body = || Opaque(b"{}".to_vec());
    let key = (KeyKind::OneTime, "alg:1");
    let sent = |device| SentKey {
        account: OWNER,
        device,
        room: "!r:s",
        kind: "m.room.message",
        transaction: "1",
    };

    let written: Result<_, StoreError> = store.write(|tx| {
        tx.put_device(OWNER, "A", &device(1))?;
        tx.put_device(OWNER, "A", &device(2))?;
        tx.put_device(OWNER, "B", &device(3))?;
        tx.put_key(OWNER, "B", key, body())?;
        tx.put_key(OWNER, "A", key, body())?;
        tx.put_key(OWNER, "A", (KeyKind::Fallback, "alg"), body())?;
        assert_eq!(tx.claim_key(OWNER, "A", "alg")?.unwrap().0, "alg:1");
        assert_eq!(tx.claim_key(OWNER, "A", "alg")?.unwrap().0, "alg");
        tx.send_to_device(OWNER, "A", body())?;
        tx.send_to_device(OWNER, "B", body())?;
        tx.remember_sent(sent("A"), "$a")?;
        tx.remember_sent(sent("B"), "$b")?;
        tx.remove_device(OWNER, "B").map(drop)
    });
    written.unwrap();

    let snapshot = store.snapshot().unwrap();
    assert_sound(&snapshot);
    let owner = |token| snapshot.token(&[token; 32]).unwrap();
    assert_eq!((owner(1), owner(3)), (None, None));
    assert_eq!(owner(2).unwrap().device, "A");
    assert_eq!(snapshot.devices(OWNER).unwrap().len(), 1);
    assert!(
        snapshot
            .key(OWNER, "A", (KeyKind::Fallback, "alg"))
            .unwrap()
            .unwrap()
            .used
    );
    assert_eq!(snapshot.keys(OWNER, "B", KeyKind::OneTime).unwrap(), []);
    let waits = |device| {
        let waiting = snapshot.to_device(OWNER, device, ChangeNumber(0), 10);
        waiting.unwrap().len()
    };
    assert_eq!((waits("A"), waits("B")), (1, 0));
    let is_remembered = |device| snapshot.sent(sent(device)).unwrap().is_some();
    assert_eq!((is_remembered("A"), is_remembered("B")), (true, false));
}

#[test]
fn rooms_states_events_and_files_come_back_as_they_were_left() {
    let store = new_store();
    let body = |text: &str| Opaque(text.as_bytes().to_vec());
    let sent = SentKey {
        account: OWNER,
        device: "A",
        room: "!r:s",
        kind: "m.room.message",
        transaction: "1",
    };
    let upload = Upload {
        account: 0,
        name: None,
        mime: None,
        size_bytes: 5,
        completed: Some(at(1)),
        created: at(0),
    };

    let mut room = None;
    let written: Result<_, StoreError> = store.write(|tx| {
        let made = tx.add_local_room("!r:s")?;
        tx.put_room_state(made.conversation, "m.room.name", "", body("one"))?;
        tx.put_room_state(made.conversation, "m.room.name", "", body("two"))?;
        tx.add_local_event(made.conversation, "$e", body("hello"))?;
        assert_eq!(tx.sent(sent)?, None);
        tx.remember_sent(sent, "$e")?;
        assert_eq!(tx.put_filter(OWNER, body("f"))?, 1);
        assert_eq!(tx.put_filter(OWNER, body("f"))?, 1);
        tx.put_upload("media", &upload)?;
        tx.put_upload_chunk("media", 0, b"bytes")?;
        room = Some(made.conversation);
        Ok(())
    });
    written.unwrap();

    let snapshot = store.snapshot().unwrap();
    assert_sound(&snapshot);
    let room = room.unwrap();
    assert_eq!(
        snapshot.room("!r:s").unwrap().unwrap().origin,
        RoomOrigin::Local
    );
    let latest = snapshot.last_change().unwrap();
    let name = snapshot
        .room_state(room, "m.room.name", "", latest)
        .unwrap();
    let (version, state) = name.unwrap();
    assert_eq!((version, state.body), (1, body("two")));
    let (change, event) = snapshot.local_event(room, "$e").unwrap().unwrap();
    assert_eq!(event.body, body("hello"));
    let events = snapshot.local_events(room, Bound::Unbounded, Direction::Backward, 10);
    assert_eq!(events.unwrap(), [(change, event)]);
    assert_eq!(snapshot.sent(sent).unwrap().unwrap().event_id, "$e");
    assert_eq!(
        snapshot.upload_chunk("media", 0).unwrap().unwrap(),
        b"bytes"
    );
    let news = news(&store, ChangeNumber(0));
    assert_eq!(rows_of(&news, room, ChangeKind::RoomState).len(), 2);
}

#[test]
fn what_comes_after_a_failed_pass_is_visible_at_once() {
    let store = new_store();
    apply(&store, page(1, vec![message(1)]));
    apply(&store, end());
    apply(&store, part(1, vec![message(2)]));
    let since = latest(&store);

    apply(&store, page(1, vec![message(3)]));

    let snapshot = store.snapshot().unwrap();
    let (room, rows) = (
        conversation(&snapshot, 1),
        [2, 3].map(|number| held(&snapshot, number).0),
    );
    let news = news(&store, since);
    assert_eq!(rows_of(&news, room, ChangeKind::Message), rows);
}

#[test]
fn the_first_pass_is_not_ended_by_what_comes_meanwhile() {
    let store = new_store();
    apply(&store, part(1, vec![message(1)]));

    apply(&store, page(1, vec![message(2)]));

    let snapshot = store.snapshot().unwrap();
    let head = snapshot.head(conversation(&snapshot, 1)).unwrap();
    assert_eq!(head.published, None);
}

#[test]
fn a_guid_that_is_no_uuid_is_found_by_its_key() {
    use sha2::Digest;

    let store = new_store();
    let mut other = message(1);
    other.guid = guid("short-code 1");
    apply(&store, page(1, vec![other]));
    let hash = sha2::Sha256::digest(b"SHORT-CODE 1");

    let found = store
        .snapshot()
        .unwrap()
        .messages_with_key(hash[..16].try_into().unwrap());

    assert_eq!(found.unwrap().len(), 1);
}

/// Two sources that are read for the first time side by side, the first one ending first, with a crash after each commit.
fn side_by_side([first, last]: [SourceKind; 2]) -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("archive.redb");
    let open = |absent| Store::open(&path, absent, Arc::new(CLOCK)).unwrap();
    let pages = [
        (first, part_of(first, 1, vec![message(1)])),
        (last, part_of(last, 1, vec![message(2)])),
        (last, part_of(last, 2, vec![message(3)])),
        (first, part_of(first, 3, vec![message(4)])),
        (last, part_of(last, 3, vec![message(5)])),
        (first, end()),
        (first, page_of(first, 2, vec![message(6)])),
        (last, part_of(last, 2, vec![message(7)])),
        (last, end()),
        (last, page_of(last, 4, vec![message(8)])),
    ];
    drop(open(Absent::Create));
    let step = |(source, page)| {
        let store = open(Absent::Refuse);
        let since = latest(&store);
        let before = seen(&store);
        apply_from(&store, page, source);
        let after = seen(&store);
        let new: usize = news(&store, since)
            .rooms
            .values()
            .flatten()
            .filter(|(_, entry)| entry.kind == ChangeKind::Message)
            .count();
        assert_eq!(new, after.len() - before.len(), "who follows hears of it");
        after
    };
    pages.into_iter().map(step).collect()
}

#[test]
fn the_end_of_one_source_shows_nothing_of_the_others_first_pass() {
    let (mac, cloud) = (SourceKind::ChatDb, SourceKind::CloudKit);

    let seen = [[mac, cloud], [cloud, mac]].map(side_by_side);

    let nothing = vec![Vec::new(); 5];
    let then = [
        vec![1, 4],
        vec![1, 4, 6],
        vec![1, 4, 6],
        vec![1, 2, 3, 4, 5, 6, 7],
        vec![1, 2, 3, 4, 5, 6, 7, 8],
    ];
    let expected: Vec<Vec<u8>> = nothing.into_iter().chain(then).collect();
    assert_eq!(seen, [expected.clone(), expected]);
}

#[test]
fn a_conversation_that_only_an_unfinished_pass_knows_is_not_published() {
    let store = new_store();
    let cloud = SourceKind::CloudKit;
    apply(&store, part(1, vec![message(1)]));
    apply_from(&store, part_of(cloud, 2, vec![message(2)]), cloud);
    apply(&store, part(1, vec![message(3)]));

    apply(&store, end());

    let snapshot = store.snapshot().unwrap();
    let published = [1, 2].map(|chat| {
        let head = snapshot.head(conversation(&snapshot, chat)).unwrap();
        head.published.is_some()
    });
    assert_eq!(published, [true, false]);
}

#[test]
fn what_icloud_hides_and_the_mac_has_comes_with_the_mac() {
    let store = new_store();
    let cloud = SourceKind::CloudKit;
    let from_cloud = |numbers: &[u8]| {
        let messages = numbers.iter().copied().map(message).collect();
        apply_from(&store, part_of(cloud, 1, messages), cloud);
    };
    from_cloud(&[1, 2]);
    apply(&store, part(1, vec![message(1)]));
    from_cloud(&[3]);
    let before = seen(&store);

    apply(&store, end());
    let with_the_mac = seen(&store);
    apply(&store, page(1, vec![message(3)]));

    let after = seen(&store);
    assert_eq!([before, with_the_mac, after], [vec![], vec![1], vec![1, 3]]);
}

#[test]
fn what_was_read_is_seen_once_the_session_is_forgotten() {
    let store = new_store();
    let cloud = SourceKind::CloudKit;
    apply_from(&store, part_of(cloud, 1, vec![message(1)]), cloud);
    let before = seen(&store);

    let forgotten = store.write::<StoreError>(|tx| {
        tx.forget_cloud_account()?;
        Ok(())
    });
    forgotten.unwrap();

    assert_eq!((before, seen(&store)), (vec![], vec![1]));
    assert_sound(&store.snapshot().unwrap());
}
