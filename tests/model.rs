//! The store against a model of it: random pages, and after each of them the same answers to every question.
//!
//! The model keeps messages and conversations in plain lists and says by the rules (D3 to D5, D9, D12, ID-9, ID-18, MS-5)
//! what a page does to them. It knows no tables and no indexes, so it guards against rows that one table has and
//! another has not: a message that moved and is still in its old place, a total that was not mended, a change that
//! nobody hears of.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::hash::DefaultHasher;
use std::hash::Hash;
use std::hash::Hasher;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering;

use footbridge::base::ids::ChangeNumber;
use footbridge::base::ids::ConversationKey;
use footbridge::base::ids::Guid;
use footbridge::base::ids::RowId;
use footbridge::base::time::AppleTime;
use footbridge::base::time::Clock;
use footbridge::model::attachment::Attachment;
use footbridge::model::attachment::AttachmentState;
use footbridge::model::attachment::Missing;
use footbridge::model::body::Body;
use footbridge::model::change::MessageChange;
use footbridge::model::change::Parked;
use footbridge::model::change::Placement;
use footbridge::model::conversation::Alias;
use footbridge::model::conversation::Conversation;
use footbridge::model::conversation::ConversationChange;
use footbridge::model::conversation::ConversationKind;
use footbridge::model::conversation::Filed;
use footbridge::model::message::Edit;
use footbridge::model::message::Kind;
use footbridge::model::message::Message;
use footbridge::model::message::Target;
use footbridge::model::message::Version;
use footbridge::model::record::MessageRecord;
use footbridge::model::record::SourceKind;
use footbridge::store::Direction;
use footbridge::store::Page;
use footbridge::store::Prepared;
use footbridge::store::Preparer;
use footbridge::store::Snapshot;
use footbridge::store::Store;
use footbridge::store::Tally;
use footbridge::store::search::Query;
use footbridge::store::value::StoredMessage;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use redb::backends::InMemoryBackend;

use crate::support::history::assert_sound;
use crate::support::samples::bare_attachment;
use crate::support::samples::bare_message;
use crate::support::samples::guid;

/// Nanoseconds in a minute: the unit of all times here.
const MINUTE: i64 = 60_000_000_000;

/// The file of an attachment may be tried this often.
const ATTEMPTS: u32 = 3;

// ---- what can come in

/// A message as a source says it is.
#[derive(Clone, Debug, Hash)]
struct Incoming {
    guid: u8,
    carrier: bool,
    chats: Vec<u8>,
    sent: Option<i64>,
    word: u8,
    edits: Vec<i64>,
    about: Option<u8>,
    unreadable: bool,
    files: Vec<(u8, u8)>,
}

/// A page, in small numbers so that things meet.
#[derive(Clone, Debug)]
struct Input {
    minute: i64,
    conversation: Option<(Vec<u8>, u8)>,
    messages: Vec<Incoming>,
    deleted: Vec<u8>,
    /// File and state, as an index into [`states`].
    found: Vec<(u8, u8)>,
}

fn incoming() -> impl Strategy<Value = Incoming> {
    (
        (0..8_u8, any::<bool>(), vec(0..5_u8, 0..3)),
        (option::weighted(0.9, 1..60_i64), 0..6_u8),
        (vec(1..60_i64, 0..3), option::of(0..8_u8)),
        (any::<bool>(), vec((0..3_u8, 0..5_u8), 0..2)),
    )
        .prop_map(
            |((guid, carrier, chats), (sent, word), (edits, about), (unreadable, files))| {
                Incoming {
                    guid,
                    carrier,
                    chats,
                    sent,
                    word,
                    edits,
                    about,
                    unreadable,
                    files,
                }
            },
        )
}

fn input() -> impl Strategy<Value = Input> {
    (
        1..60_i64,
        option::of((vec(0..5_u8, 1..3), 0..3_u8)),
        vec(incoming(), 0..5),
        vec(0..8_u8, 0..2),
        vec((0..3_u8, 0..5_u8), 0..2),
    )
        .prop_map(|(minute, conversation, mut messages, deleted, found)| {
            // A source has one row for each GUID.
            let mut seen = BTreeSet::new();
            messages.retain(|message| seen.insert(message.guid));
            Input {
                minute,
                conversation,
                messages,
                deleted,
                found,
            }
        })
}

fn at(minute: i64) -> AppleTime {
    AppleTime::from_nanos(minute * MINUTE)
}

fn guid_of(number: u8) -> Guid {
    match number {
        0 => guid("cs"),
        n => guid(&format!("1A2B3C4D-0001-4002-8003-0000000000{n:02X}")),
    }
}

fn alias(number: u8) -> Alias {
    Alias::room(&format!("chat{number}"))
}

fn state(number: u8) -> AttachmentState {
    match number {
        0 => AttachmentState::Wanted,
        1 => AttachmentState::Missing(Missing::NotFound),
        2 => AttachmentState::Held {
            sha256: [1; 32],
            modified: at(1),
        },
        n => AttachmentState::Failed {
            reason: format!("reason {n}"),
        },
    }
}

fn file(number: u8, in_state: u8) -> Attachment {
    bare_attachment(&format!("file-{number}"), state(in_state))
}

impl Incoming {
    fn message(&self) -> Message {
        let mut message = bare_message(Kind::Message {
            about: self.about.map(|about| Target {
                guid: guid_of(about),
                part: 0,
            }),
        });
        message.guid = guid_of(self.guid);
        message.service = Some(if self.carrier { "SMS" } else { "iMessage" }.to_owned());
        message.times.sent = self.sent.map(at);
        message.body = Some(Body::plain(format!("word{} same", self.word)));
        let version = |at| Version {
            text: None,
            at,
            spans: Vec::new(),
        };
        if !self.edits.is_empty() {
            let later = self.edits.iter().map(|minute| version(Some(at(*minute))));
            message.edits.push(Edit {
                part: 0,
                versions: std::iter::once(version(None)).chain(later).collect(),
            });
        }
        if self.unreadable {
            message.unreadable.push("payload".to_owned());
        }
        message
    }

    fn prepared(&self) -> Prepared {
        let mut message = self.message();
        let files = self.files.iter();
        message.attachments = files.map(|(number, state)| file(*number, *state)).collect();
        let mut hash = DefaultHasher::new();
        self.hash(&mut hash);
        let change = MessageChange {
            message,
            placement: Placement {
                candidates: self.chats.iter().map(|chat| alias(*chat)).collect(),
                otherwise: Parked::UnknownChat,
            },
            record: MessageRecord::default(),
            fingerprint: hash.finish(),
        };
        Preparer::default().prepare(change, 1).unwrap()
    }
}

impl Input {
    fn page(&self, snapshot: &Snapshot) -> Page {
        let conversation = self.conversation.as_ref().map(|(aliases, service)| {
            let aliases: Vec<Alias> = aliases.iter().map(|number| alias(*number)).collect();
            ConversationChange {
                conversation: Conversation {
                    key: ConversationKey::group(aliases[0].as_str()),
                    kind: ConversationKind::Group,
                    service: Some(format!("service {service}")),
                    participants: Vec::new(),
                    name: None,
                    deleted: None,
                    filed: Filed::Inbox,
                },
                aliases,
                records: Vec::new(),
            }
        });
        let found = self.found.iter().filter_map(|(number, state)| {
            let found = file(*number, *state);
            let row = snapshot.attachment_with(&found.guid).unwrap()?;
            Some((row, found))
        });
        Page {
            conversations: conversation.into_iter().collect(),
            messages: self.messages.iter().map(Incoming::prepared).collect(),
            deleted: self.deletions(),
            attachments: found.collect(),
            ..Page::default()
        }
    }

    fn deletions(&self) -> Vec<(Guid, AppleTime)> {
        let guids = self.deleted.iter();
        guids
            .map(|number| (guid_of(*number), at(self.minute)))
            .collect()
    }

    /// Whether a second time does what the first did: a file that cannot be read is tried once more each time, and a
    /// file that stands twice in a page is what the last one says.
    fn is_idempotent(&self) -> bool {
        let files = self.messages.iter().flat_map(|message| &message.files);
        let mut seen = BTreeSet::new();
        files
            .chain(&self.found)
            .all(|(number, state)| *state < 3 && seen.insert(*number))
    }
}

// ---- the model

#[derive(Clone, Debug, PartialEq)]
struct ModelMessage {
    message: Message,
    home: Option<usize>,
    also_in: Vec<usize>,
    /// The aliases by which it looks for its home while it is parked.
    candidates: Vec<u8>,
    time: AppleTime,
    first_seen: AppleTime,
    fingerprint: u64,
    files: Vec<u8>,
    /// When it was deleted, came back or moved.
    turns: Vec<AppleTime>,
}

#[derive(Clone, Debug, PartialEq)]
struct ModelFile {
    owner: usize,
    state: AttachmentState,
    failures: u32,
}

#[derive(Clone, Debug, Default)]
struct Model {
    messages: Vec<ModelMessage>,
    /// Services of conversations, and the one that took their place.
    conversations: Vec<(String, Option<usize>)>,
    /// Those that clients see: they had messages at the end of a page.
    published: BTreeSet<usize>,
    aliases: BTreeMap<u8, usize>,
    files: BTreeMap<u8, ModelFile>,
    tombstones: BTreeSet<Guid>,
    /// Messages and conversations that are different after this page.
    changed_messages: BTreeSet<usize>,
    changed_conversations: BTreeSet<usize>,
}

impl Model {
    fn apply(&mut self, input: &Input) {
        self.changed_messages.clear();
        self.changed_conversations.clear();
        let known: BTreeSet<u8> = self.files.keys().copied().collect();
        if let Some((aliases, service)) = &input.conversation {
            self.apply_conversation(aliases, format!("service {service}"));
        }
        for message in &input.messages {
            self.apply_message(message, at(input.minute));
        }
        for (number, found) in input
            .found
            .iter()
            .filter(|(number, _)| known.contains(number))
        {
            let owner = self.files[number].owner;
            if self.put_file(owner, *number, *found) {
                self.changed_messages.insert(owner);
            }
        }
        for (guid, when) in input.deletions() {
            self.delete(&guid, when);
        }
        if input.conversation.is_some() {
            self.unpark();
        }
        let homes = self.messages.iter().filter_map(|message| message.home);
        self.published.extend(homes);
    }

    fn apply_conversation(&mut self, aliases: &[u8], service: String) {
        let mut rows: Vec<usize> = aliases
            .iter()
            .filter_map(|alias| self.aliases.get(alias).copied())
            .collect();
        rows.sort_unstable();
        rows.dedup();
        let home = if let Some(oldest) = rows.first() {
            if self.conversations[*oldest].0 != service {
                self.conversations[*oldest].0 = service;
                self.changed_conversations.insert(*oldest);
            }
            *oldest
        } else {
            self.conversations.push((service, None));
            self.changed_conversations
                .insert(self.conversations.len() - 1);
            self.conversations.len() - 1
        };
        for younger in rows.into_iter().skip(1) {
            self.conversations[younger].1 = Some(home);
            self.changed_conversations.insert(younger);
            self.aliases
                .values_mut()
                .filter(|row| **row == younger)
                .for_each(|row| *row = home);
            for (number, message) in self.messages.iter_mut().enumerate() {
                let before = message.clone();
                let replace = |row: usize| if row == younger { home } else { row };
                message.home = message.home.map(replace);
                let also_in = std::mem::take(&mut message.also_in)
                    .into_iter()
                    .map(replace);
                for row in also_in {
                    if Some(row) != message.home && !message.also_in.contains(&row) {
                        message.also_in.push(row);
                    }
                }
                if *message != before {
                    self.changed_messages.insert(number);
                }
            }
        }
        for alias in aliases {
            self.aliases.insert(*alias, home);
        }
    }

    fn homes(&self, candidates: &[u8]) -> Vec<usize> {
        let mut homes = Vec::new();
        for home in candidates
            .iter()
            .filter_map(|alias| self.aliases.get(alias))
        {
            if !homes.contains(home) {
                homes.push(*home);
            }
        }
        homes
    }

    fn apply_message(&mut self, incoming: &Incoming, now: AppleTime) {
        let mut message = incoming.message();
        let mut homes = self.homes(&incoming.chats);
        let home = (!homes.is_empty()).then(|| homes.remove(0));
        let is_same = |held: &ModelMessage| {
            held.message.guid == message.guid
                && (held.home == home
                    || held.home.is_none()
                    || home.is_none()
                    || !incoming.carrier
                    || (held.message.times.sent == message.times.sent))
        };
        let known = self.messages.iter().position(is_same);
        let mut hash = DefaultHasher::new();
        incoming.hash(&mut hash);
        let fingerprint = hash.finish();
        let (mut home, mut also_in) = (home, homes);
        let mut turns = Vec::new();
        let (time, first_seen) = match known.map(|number| &self.messages[number]) {
            None => {
                let before = self.messages.last().map(|message| message.time);
                let sent = message.times.sent.or(before).unwrap_or(now);
                (sent.min(at(now.nanos() / MINUTE + 5)), now)
            }
            Some(old) => {
                if home.is_none() && old.home.is_some() {
                    (home, also_in) = (old.home, old.also_in.clone());
                }
                if old.fingerprint == fingerprint {
                    message.times.deleted = old.message.times.deleted;
                }
                turns.clone_from(&old.turns);
                if old.message.times.deleted.is_some() && message.times.deleted.is_none() {
                    turns.push(now);
                }
                if old.home != home && old.home.is_some_and(|old| self.published.contains(&old)) {
                    turns.push(now);
                }
                let sent = message
                    .times
                    .sent
                    .filter(|sent| Some(*sent) != old.message.times.sent);
                let latest = at(old.first_seen.nanos() / MINUTE + 5);
                (
                    sent.map_or(old.time, |sent| sent.min(latest)),
                    old.first_seen,
                )
            }
        };
        let number = known.unwrap_or(self.messages.len());
        let mut files_changed = false;
        let mut files = Vec::new();
        for (file, state) in &incoming.files {
            let owner = self.files.get(file).map_or(number, |held| held.owner);
            let is_theirs = owner != number && self.messages[owner].files.contains(file);
            if !is_theirs {
                files_changed |= self.put_file(number, *file, *state);
            }
            if !files.contains(file) {
                files.push(*file);
            }
        }
        let new = ModelMessage {
            message,
            home,
            also_in,
            candidates: incoming.chats.clone(),
            time,
            first_seen,
            fingerprint,
            files,
            turns,
        };
        if known.is_none() {
            self.messages.push(new);
            self.changed_messages.insert(number);
            return;
        }
        let old = std::mem::replace(&mut self.messages[number], new.clone());
        let shown = |message: ModelMessage| ModelMessage {
            candidates: Vec::new(),
            fingerprint: 0,
            ..message
        };
        if files_changed || shown(old) != shown(new) {
            self.changed_messages.insert(number);
        }
    }

    /// Stores a file, and says whether anything of it is different.
    fn put_file(&mut self, owner: usize, file: u8, as_state: u8) -> bool {
        let held = self.files.get(&file).cloned();
        let mut failures = held.as_ref().map_or(0, |held| held.failures);
        let new = match (state(as_state), &held) {
            (AttachmentState::Wanted, Some(held)) => held.state.clone(),
            (AttachmentState::Failed { reason }, _) => {
                failures += 1;
                if failures >= ATTEMPTS {
                    AttachmentState::Abandoned { reason }
                } else {
                    AttachmentState::Failed { reason }
                }
            }
            (other, _) => {
                failures = 0;
                other
            }
        };
        let is_new = held.is_none_or(|held| (held.owner, held.state) != (owner, new.clone()));
        let file_now = ModelFile {
            owner,
            state: new,
            failures,
        };
        self.files.insert(file, file_now);
        is_new
    }

    fn delete(&mut self, guid: &Guid, when: AppleTime) {
        let mut is_held = false;
        for (number, held) in self.messages.iter_mut().enumerate() {
            if held.message.guid == *guid {
                is_held = true;
                if held.message.times.deleted.is_none() {
                    held.message.times.deleted = Some(when);
                    held.turns.push(when);
                    self.changed_messages.insert(number);
                }
            }
        }
        if !is_held {
            self.tombstones.insert(guid.clone());
        }
    }

    fn unpark(&mut self) {
        for number in 0..self.messages.len() {
            let held = &self.messages[number];
            let mut homes = self.homes(&held.candidates);
            if held.home.is_none() && !homes.is_empty() {
                let held = &mut self.messages[number];
                held.home = Some(homes.remove(0));
                held.also_in = homes;
                self.changed_messages.insert(number);
            }
        }
    }

    /// Whether a file stands in several messages, or not in the one that it belongs to. It may change hands then.
    fn shares_files(&self) -> bool {
        let having = |file: &u8| {
            let messages = (0..).zip(&self.messages);
            let having = messages.filter(|(_, held)| held.files.contains(file));
            having.map(|(number, _)| number).collect::<Vec<usize>>()
        };
        let mut files = self.files.iter();
        files.any(|(file, held)| having(file) != [held.owner])
    }

    /// (time, message, n) of a conversation, in order.
    fn timeline(&self, conversation: usize) -> Vec<(AppleTime, usize, u16)> {
        let mut entries = Vec::new();
        for (number, held) in self.messages.iter().enumerate() {
            if held.home != Some(conversation) {
                continue;
            }
            entries.push((held.time, number, 0));
            let edits = held
                .message
                .edits
                .iter()
                .flat_map(|edit| &edit.versions[1..]);
            let mut times: Vec<AppleTime> = edits.filter_map(|version| version.at).collect();
            times.extend(&held.turns);
            times.sort_unstable();
            entries.extend(
                times
                    .into_iter()
                    .zip(1..)
                    .map(|(time, n)| (time, number, n)),
            );
        }
        entries.sort_unstable();
        entries
    }
}

// ---- the comparison

#[derive(Clone, Default)]
struct SetClock(Arc<AtomicI64>);

impl Clock for SetClock {
    fn now(&self) -> AppleTime {
        AppleTime::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

/// The store, and which of its rows are which of the model's.
struct Subject {
    store: Store,
    clock: SetClock,
    conversations: Vec<RowId>,
}

impl Subject {
    fn new() -> Self {
        let clock = SetClock::default();
        let store = Store::open_backend(InMemoryBackend::new(), Arc::new(clock.clone()));
        Self {
            store: store.unwrap(),
            clock,
            conversations: Vec::new(),
        }
    }

    fn apply(&mut self, input: &Input) -> Tally {
        self.clock
            .0
            .store(at(input.minute).nanos(), Ordering::Relaxed);
        let page = input.page(&self.store.snapshot().unwrap());
        let source = SourceKind::ChatDb;
        let tally = self
            .store
            .write(|transaction| transaction.apply(page, source, 1));
        let conversations = self.store.snapshot().unwrap().conversations().unwrap();
        self.conversations = conversations.into_iter().map(|(row, _)| row).collect();
        tally.unwrap()
    }

    fn last_change(&self) -> ChangeNumber {
        self.store.snapshot().unwrap().last_change().unwrap()
    }
}

fn rows(snapshot: &Snapshot) -> Vec<RowId> {
    let places = snapshot.by_time(None, Direction::Forward).unwrap();
    let mut rows: Vec<RowId> = places.map(|place| place.unwrap().row).collect();
    rows.sort_unstable();
    rows
}

/// Asks the store everything, and the model the same.
fn compare(subject: &Subject, model: &Model, since: ChangeNumber) {
    let snapshot = subject.store.snapshot().unwrap();
    assert_sound(&snapshot);
    let rows = rows(&snapshot);
    let number = |row: RowId| rows.binary_search(&row).unwrap();
    assert_eq!(rows.len(), model.messages.len());

    for (row, expected) in rows.iter().zip(&model.messages) {
        compare_message(
            subject,
            &snapshot.whole_message(*row).unwrap(),
            expected,
            model,
        );
    }
    let mut by_time: Vec<_> = model
        .messages
        .iter()
        .map(|held| held.time)
        .zip(0..)
        .collect();
    by_time.sort_unstable();
    let places = snapshot.by_time(None, Direction::Forward).unwrap();
    let places = places.map(|place| place.map(|place| (place.time, number(place.row))).unwrap());
    assert_eq!(places.collect::<Vec<_>>(), by_time);

    for (conversation, row) in subject.conversations.iter().enumerate() {
        let entries = model.timeline(conversation);
        let places = snapshot.timeline(*row, None, Direction::Backward).unwrap();
        let mut places: Vec<_> = places
            .map(|place| {
                place
                    .map(|place| (place.time, number(place.row), place.n))
                    .unwrap()
            })
            .collect();
        places.reverse();
        assert_eq!(places, entries);
        let times = || {
            entries
                .iter()
                .filter(|entry| entry.2 == 0)
                .map(|entry| entry.0)
        };
        let totals = snapshot.head(*row).unwrap();
        assert_eq!(totals.messages, times().count() as u64);
        assert_eq!(
            (totals.oldest, totals.newest),
            (times().min(), times().max())
        );
        assert_eq!(totals.newest_message, totals.newest);
        assert!(totals.published.is_some() || times().count() == 0);
        let (service, united) = &model.conversations[conversation];
        let held = snapshot.conversation(*row).unwrap();
        assert_eq!(held.conversation.service.as_ref(), Some(service));
        assert_eq!(
            held.united_into,
            united.map(|into| subject.conversations[into])
        );
    }

    for about in 0..8 {
        let guid = guid_of(about);
        let having = |wanted: &dyn Fn(&ModelMessage) -> bool| {
            let numbers = model
                .messages
                .iter()
                .zip(0..)
                .filter(|(held, _)| wanted(held));
            numbers.map(|(_, number)| number).collect::<Vec<usize>>()
        };
        let held = snapshot.messages_with(&guid).unwrap();
        assert_eq!(
            held.into_iter().map(number).collect::<Vec<_>>(),
            having(&|held| held.message.guid == guid)
        );
        let related = snapshot.relations(&guid).unwrap();
        assert_eq!(
            related.into_iter().map(number).collect::<Vec<_>>(),
            having(
                &|held| matches!(&held.message.kind, Kind::Message { about: Some(target) } if target.guid == guid)
            )
        );
        let is_tombstone = snapshot.tombstone(&guid).unwrap().is_some();
        assert_eq!(is_tombstone, model.tombstones.contains(&guid));
    }

    compare_words(&snapshot, model, number);
    compare_changes(&snapshot, subject, model, since, &rows);
}

fn compare_words(snapshot: &Snapshot, model: &Model, number: impl Fn(RowId) -> usize) {
    for word in 0..6 {
        let query = Query::parse(&format!("word{word}")).unwrap();
        let found = snapshot.candidates(&query, &|_| Vec::new()).unwrap();
        let found: BTreeSet<usize> = found.into_iter().map(&number).collect();
        let text = format!("word{word} same");
        let has_word = |held: &ModelMessage| {
            held.message
                .body
                .as_ref()
                .is_some_and(|body| body.text == text)
        };
        let wanted = model
            .messages
            .iter()
            .zip(0..)
            .filter(|(held, _)| has_word(held));
        assert!(
            wanted
                .map(|(_, number)| number)
                .all(|number| found.contains(&number))
        );
    }
}

fn compare_message(
    subject: &Subject,
    held: &StoredMessage,
    expected: &ModelMessage,
    model: &Model,
) {
    let mut message = expected.message.clone();
    let files = expected.files.iter();
    message.attachments = files
        .map(|number| bare_attachment(&format!("file-{number}"), model.files[number].state.clone()))
        .collect();
    assert_eq!(held.message, message);
    let row = |conversation: &usize| subject.conversations[*conversation];
    assert_eq!(held.conversation, expected.home.as_ref().map(row));
    assert_eq!(
        held.also_in,
        expected.also_in.iter().map(row).collect::<Vec<_>>()
    );
    assert_eq!(
        (held.time, held.first_seen),
        (expected.time, expected.first_seen)
    );
}

/// Every change number is new, and stands for something that is different now; whatever is different has one.
fn compare_changes(
    snapshot: &Snapshot,
    subject: &Subject,
    model: &Model,
    since: ChangeNumber,
    rows: &[RowId],
) {
    let changes: Vec<_> = snapshot
        .changes_after(since)
        .unwrap()
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let numbers: Vec<u64> = changes.iter().map(|(number, _)| number.0).collect();
    let count = numbers.len() as u64;
    assert_eq!(numbers, (since.0 + 1..=since.0 + count).collect::<Vec<_>>());
    let shown = changes.iter().filter(|(_, entry)| entry.kind.waits());
    let touched: BTreeSet<RowId> = shown.map(|(_, entry)| entry.row).collect();
    let messages = model.changed_messages.iter().map(|number| rows[*number]);
    let conversations = model.changed_conversations.iter();
    let conversations = conversations.map(|number| subject.conversations[*number]);
    assert_eq!(touched, messages.chain(conversations).collect());
    for (number, row) in rows.iter().enumerate() {
        let held = snapshot.message(*row).unwrap();
        let is_changed = model.changed_messages.contains(&number);
        assert_eq!(held.last_change > since, is_changed, "message {number}");
        if is_changed {
            let last = changes.iter().rev().find(|(_, entry)| entry.row == *row);
            assert_eq!(last.map(|(number, _)| *number), Some(held.last_change));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_store_does_what_the_model_does(inputs in vec(input(), 1..12)) {
        let mut subject = Subject::new();
        let mut model = Model::default();

        for input in inputs {
            let since = subject.last_change();
            subject.apply(&input);
            model.apply(&input);
            compare(&subject, &model, since);

            if input.is_idempotent() {
                let before = subject.last_change();
                let is_settled = !model.shares_files();
                let tally = subject.apply(&input);
                model.apply(&input);
                compare(&subject, &model, before);
                if is_settled {
                    prop_assert!(tally.is_empty(), "the same page again: {tally:?}");
                    prop_assert_eq!(subject.last_change(), before);
                }
            }
        }
    }
}
