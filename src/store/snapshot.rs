//! What is held at one moment, for reading.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use redb::Database;
use redb::ReadOnlyTable;
use redb::ReadTransaction;
use redb::ReadableTableMetadata;

use crate::base::ids::AttachmentGuid;
use crate::base::ids::ChangeNumber;
use crate::base::ids::Guid;
use crate::base::ids::Handle;
use crate::base::ids::RowId;
use crate::base::time::AppleTime;
use crate::model::change::Cursor;
use crate::model::contact::Contact;
use crate::model::conversation::Alias;
use crate::model::people::People;
use crate::model::record::HandleRow;
use crate::model::record::SourceKind;
use crate::store::error::StoreError;
use crate::store::guid::GuidKey;
use crate::store::guid::ids_of;
use crate::store::page::OWN_HANDLES;
use crate::store::read_tables::ReadTables;
use crate::store::search::Clause;
use crate::store::search::Query;
use crate::store::search::read_blocks;
use crate::store::transaction::NEXT_CHANGE;
use crate::store::transaction::NEXT_ROW;
use crate::store::transaction::find;
use crate::store::transaction::value;
use crate::store::value::ChangeEntry;
use crate::store::value::Failure;
use crate::store::value::FailureKind;
use crate::store::value::Head;
use crate::store::value::Merge;
use crate::store::value::ParkedRow;
use crate::store::value::QuarantineRow;
use crate::store::value::Stored;
use crate::store::value::StoredAttachment;
use crate::store::value::StoredChat;
use crate::store::value::StoredConversation;
use crate::store::value::StoredMessage;
use crate::store::value::StoredRecord;
use crate::store::value::Tombstone;

/// Entries of the change log, oldest first.
pub type Changes = Box<dyn Iterator<Item = Result<(ChangeNumber, ChangeEntry), StoreError>>>;

/// A place in an order of messages: (time, row), or in a timeline (time, row, n).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The time at which it stands.
    pub time: AppleTime,
    /// The message.
    pub row: RowId,
    /// 0 for the message itself, what happened to it from 1: its marks.
    pub n: u16,
}

/// Which way to walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Oldest first.
    Forward,
    /// Newest first.
    Backward,
}

/// The archive as of one commit. Nothing that is written later shows in it.
pub struct Snapshot {
    // Before the database: what reads a file ends before it is closed.
    pub(super) tables: ReadTables,
    _database: Arc<Database>,
}

impl Snapshot {
    pub(super) fn new(database: Arc<Database>, transaction: ReadTransaction) -> Self {
        Self {
            tables: ReadTables::new(transaction),
            _database: database,
        }
    }

    // ---- messages

    /// A message by its row.
    ///
    /// # Errors
    ///
    /// [`StoreError::Dangling`] for a row that is no message; [`StoreError::Value`], [`StoreError::Io`]. The other
    /// readers fail likewise.
    pub fn message(&self, row: RowId) -> Result<StoredMessage, StoreError> {
        find(self.tables.messages()?, "messages", row.0)?.ok_or(StoreError::Dangling {
            table: "messages",
            row: row.0,
        })
    }

    /// A message by its row, with its files in it.
    ///
    /// # Errors
    ///
    /// As [`Self::message`].
    pub fn whole_message(&self, row: RowId) -> Result<StoredMessage, StoreError> {
        let mut stored = self.message(row)?;
        self.add_attachments(&mut stored)?;
        Ok(stored)
    }

    /// Puts its files into a message that was read without them.
    ///
    /// # Errors
    ///
    /// As [`Self::message`].
    pub fn add_attachments(&self, stored: &mut StoredMessage) -> Result<(), StoreError> {
        stored.message.attachments.clear();
        for attachment in &stored.attachments {
            let attachment = self.attachment(*attachment)?.attachment;
            stored.message.attachments.push(attachment);
        }
        Ok(())
    }

    /// How many messages are held, tapbacks and announcements included.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn message_count(&self) -> Result<u64, StoreError> {
        self.tables
            .messages()?
            .len()
            .map_err(|error| StoreError::from_redb("reading", error))
    }

    /// The messages with a GUID key: a UUID's bytes, or what stands for another GUID (D18).
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn messages_with_key(&self, key: [u8; 16]) -> Result<Vec<RowId>, StoreError> {
        let rows = self.messages_with(&Guid::Uuid(key))?;
        let text = self.tables.guid_hashes()?.get(&key);
        let text = text.map_err(|error| StoreError::from_redb("reading", error))?;
        let Some(text) = text.filter(|_| rows.is_empty()) else {
            return Ok(rows);
        };
        let text = String::from_utf8_lossy(text.value());
        Guid::parse(&text).map_or(Ok(rows), |guid| self.messages_with(&guid))
    }

    /// The messages with a GUID: none, one, or the repeats of a carrier's short codes (ID-18).
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn messages_with(&self, guid: &Guid) -> Result<Vec<RowId>, StoreError> {
        ids_of(self.tables.guids()?, self.tables.guid_others()?, guid)
    }

    /// Messages that are about a message: tapbacks, replies, placed stickers, votes; by arrival. The target need not be
    /// held.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn relations(&self, target: &Guid) -> Result<Vec<RowId>, StoreError> {
        let failed = |error| StoreError::from_redb("reading", error);
        let key = GuidKey::of(target).0;
        let mut rows = Vec::new();
        for entry in self
            .tables
            .relations()?
            .range((&key, 0)..=(&key, u64::MAX))
            .map_err(failed)?
        {
            rows.push(RowId(entry.map_err(failed)?.0.value().1));
        }
        Ok(rows)
    }

    /// What a source said of a message.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn record(
        &self,
        row: RowId,
        source: SourceKind,
    ) -> Result<Option<StoredRecord>, StoreError> {
        find(self.tables.records()?, "records", (row.0, source.number()))
    }

    /// The records after a row, at most some of them, by row.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn records_after(
        &self,
        row: RowId,
        source: SourceKind,
        limit: usize,
    ) -> Result<Vec<(RowId, StoredRecord, u64)>, StoreError> {
        let failed = |error| StoreError::from_redb("reading", error);
        let mut records = Vec::new();
        for entry in self
            .tables
            .records()?
            .range((row.0 + 1, 0)..)
            .map_err(failed)?
        {
            if records.len() == limit {
                break;
            }
            let (key, bytes) = entry.map_err(failed)?;
            let key = key.value();
            if key.1 != source.number() {
                continue;
            }
            let fingerprint = self.tables.fingerprints()?.get(key).map_err(failed)?;
            let fingerprint = fingerprint.ok_or(StoreError::Dangling {
                table: "fingerprints",
                row: key.0,
            })?;
            records.push((
                RowId(key.0),
                value("records", bytes.value())?,
                fingerprint.value(),
            ));
        }
        Ok(records)
    }

    /// Whether a source's record with this GUID was stored with this fingerprint.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn is_current(
        &self,
        guid: &Guid,
        source: SourceKind,
        fingerprint: u64,
    ) -> Result<bool, StoreError> {
        for row in self.messages_with(guid)? {
            let held = self.tables.fingerprints()?.get((row.0, source.number()));
            let held = held.map_err(|error| StoreError::from_redb("reading", error))?;
            if held.is_some_and(|held| held.value() == fingerprint) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Places of all messages by time, from `after` on in one direction (`None`: from the end), parked ones included.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], at the first step or at any later one.
    pub fn by_time(
        &self,
        after: Option<Place>,
        direction: Direction,
    ) -> Result<impl Iterator<Item = Result<Place, StoreError>> + use<>, StoreError> {
        let failed = |error| StoreError::from_redb("reading", error);
        let key = |place: Place| (place.time.nanos(), place.row.0);
        let range = match (direction, after.map(key)) {
            (_, None) => self.tables.by_time()?.range::<(i64, u64)>(..),
            (Direction::Forward, Some(key)) => self
                .tables
                .by_time()?
                .range((Bound::Excluded(key), Bound::Unbounded)),
            (Direction::Backward, Some(key)) => self.tables.by_time()?.range(..key),
        };
        let mut range = range.map_err(failed)?;
        Ok(std::iter::from_fn(move || {
            let entry = match direction {
                Direction::Forward => range.next(),
                Direction::Backward => range.next_back(),
            };
            entry.map(|entry| {
                let (time, row) = entry.map_err(failed)?.0.value();
                Ok(Place {
                    time: AppleTime::from_nanos(time),
                    row: RowId(row),
                    n: 0,
                })
            })
        }))
    }

    /// Places of one conversation's entries by time, edits and unsends at their own times, from `after` on in one
    /// direction (`None`: from the end).
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], at the first step or at any later one.
    pub fn timeline(
        &self,
        conversation: RowId,
        after: Option<Place>,
        direction: Direction,
    ) -> Result<impl Iterator<Item = Result<Place, StoreError>> + use<>, StoreError> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.timeline_from(conversation, from, direction)
    }

    /// The same from a place on, which may be one of them.
    pub(super) fn timeline_from(
        &self,
        conversation: RowId,
        from: Bound<Place>,
        direction: Direction,
    ) -> Result<impl Iterator<Item = Result<Place, StoreError>> + use<>, StoreError> {
        let failed = |error| StoreError::from_redb("reading", error);
        let first = Bound::Included((conversation.0, i64::MIN, 0, 0));
        let last = Bound::Included((conversation.0, i64::MAX, u64::MAX, u16::MAX));
        let key = |place: Place| (conversation.0, place.time.nanos(), place.row.0, place.n);
        let bounds = match (direction, from.map(key)) {
            (_, Bound::Unbounded) => (first, last),
            (Direction::Forward, from) => (from, last),
            (Direction::Backward, from) => (first, from),
        };
        let mut range = self.tables.timeline()?.range(bounds).map_err(failed)?;
        Ok(std::iter::from_fn(move || {
            let entry = match direction {
                Direction::Forward => range.next(),
                Direction::Backward => range.next_back(),
            };
            entry.map(|entry| {
                let (_, time, row, n) = entry.map_err(failed)?.0.value();
                Ok(Place {
                    time: AppleTime::from_nanos(time),
                    row: RowId(row),
                    n,
                })
            })
        }))
    }

    // ---- conversations and people

    /// A conversation by its row.
    ///
    /// # Errors
    ///
    /// As [`Self::message`].
    pub fn conversation(&self, row: RowId) -> Result<StoredConversation, StoreError> {
        find(self.tables.conversations()?, "conversations", row.0)?.ok_or(StoreError::Dangling {
            table: "conversations",
            row: row.0,
        })
    }

    /// The conversation that an alias leads to.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn resolve(&self, alias: &Alias) -> Result<Option<RowId>, StoreError> {
        let found = self
            .tables
            .aliases()?
            .get(alias.as_str())
            .map_err(|error| StoreError::from_redb("reading", error))?;
        Ok(found.map(|row| RowId(row.value())))
    }

    /// Every conversation, by arrival.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn conversations(&self) -> Result<Vec<(RowId, StoredConversation)>, StoreError> {
        collect(self.tables.conversations()?, "conversations", RowId)
    }

    /// Totals of a conversation.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn head(&self, conversation: RowId) -> Result<Head, StoreError> {
        Ok(find(self.tables.heads()?, "conversation_heads", conversation.0)?.unwrap_or_default())
    }

    /// Every alias, by conversation.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn aliases(&self) -> Result<BTreeMap<RowId, Vec<String>>, StoreError> {
        let failed = |error| StoreError::from_redb("reading", error);
        let mut aliases: BTreeMap<RowId, Vec<String>> = BTreeMap::new();
        for entry in self.tables.aliases()?.range::<&str>(..).map_err(failed)? {
            let (alias, row) = entry.map_err(failed)?;
            aliases
                .entry(RowId(row.value()))
                .or_default()
                .push(alias.value().to_owned());
        }
        Ok(aliases)
    }

    /// Conversations that are shown as another one, or that the owner keeps apart.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn merges(&self) -> Result<BTreeMap<RowId, Merge>, StoreError> {
        Ok(collect(self.tables.merges()?, "merges", RowId)?
            .into_iter()
            .collect())
    }

    /// The chat rows of all conversations.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn chats(&self) -> Result<Vec<StoredChat>, StoreError> {
        let failed = |error| StoreError::from_redb("reading", error);
        let mut chats = Vec::new();
        for entry in self.tables.chats()?.range::<&str>(..).map_err(failed)? {
            chats.push(value("chats", entry.map_err(failed)?.1.value())?);
        }
        Ok(chats)
    }

    /// The address book.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn contacts(&self) -> Result<Vec<Contact>, StoreError> {
        let failed = |error| StoreError::from_redb("reading", error);
        let mut contacts = Vec::new();
        for entry in self.tables.contacts()?.range::<&str>(..).map_err(failed)? {
            contacts.push(value("contacts", entry.map_err(failed)?.1.value())?);
        }
        Ok(contacts)
    }

    /// Addresses as the sources write them.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn handles(&self) -> Result<Vec<HandleRow>, StoreError> {
        let failed = |error| StoreError::from_redb("reading", error);
        let mut handles = Vec::new();
        for entry in self
            .tables
            .handles()?
            .range::<(&str, &str)>(..)
            .map_err(failed)?
        {
            handles.push(value("handles", entry.map_err(failed)?.1.value())?);
        }
        Ok(handles)
    }

    /// Who is called how.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn people(&self) -> Result<People, StoreError> {
        Ok(People::new(self.contacts()?, self.own_handles()?))
    }

    /// The owner's addresses.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn own_handles(&self) -> Result<Vec<Handle>, StoreError> {
        let text = self.meta_text(OWN_HANDLES)?.unwrap_or_default();
        Ok(text
            .lines()
            .map(|line| Handle::from_normal(line.to_owned()))
            .collect())
    }

    /// A fact about the file itself, as text.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn meta_text(&self, name: &str) -> Result<Option<String>, StoreError> {
        let found = self
            .tables
            .meta()?
            .get(name)
            .map_err(|error| StoreError::from_redb("reading", error))?;
        Ok(found.map(|bytes| String::from_utf8_lossy(bytes.value()).into_owned()))
    }

    // ---- attachments

    /// An attachment by its row.
    ///
    /// # Errors
    ///
    /// As [`Self::message`].
    pub fn attachment(&self, row: RowId) -> Result<StoredAttachment, StoreError> {
        find(self.tables.attachments()?, "attachments", row.0)?.ok_or(StoreError::Dangling {
            table: "attachments",
            row: row.0,
        })
    }

    /// The attachment with a GUID, present or original.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn attachment_with(&self, guid: &AttachmentGuid) -> Result<Option<RowId>, StoreError> {
        let found = self.tables.attachment_guids()?.get(guid.folded().as_str());
        Ok(found
            .map_err(|error| StoreError::from_redb("reading", error))?
            .map(|row| RowId(row.value())))
    }

    /// Every attachment, by arrival.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn attachments(
        &self,
    ) -> Result<
        impl Iterator<Item = Result<(RowId, StoredAttachment), StoreError>> + use<>,
        StoreError,
    > {
        self.attachments_after(None)
    }

    /// The attachments that arrived after one of them, by arrival.
    ///
    /// # Errors
    ///
    /// As [`Self::attachments`].
    pub fn attachments_after(
        &self,
        after: Option<RowId>,
    ) -> Result<
        impl Iterator<Item = Result<(RowId, StoredAttachment), StoreError>> + use<>,
        StoreError,
    > {
        let failed = |error| StoreError::from_redb("reading", error);
        let range = self
            .tables
            .attachments()?
            .range::<u64>(after.map_or(0, |row| row.0 + 1)..)
            .map_err(failed)?;
        Ok(range.map(move |entry| {
            let (row, bytes) = entry.map_err(failed)?;
            Ok((RowId(row.value()), value("attachments", bytes.value())?))
        }))
    }

    /// Attachments whose files are looked for again, by arrival.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn wanted(&self) -> Result<Vec<RowId>, StoreError> {
        let failed = |error| StoreError::from_redb("reading", error);
        let mut rows = Vec::new();
        for entry in self.tables.wanted()?.range::<u64>(..).map_err(failed)? {
            rows.push(RowId(entry.map_err(failed)?.0.value()));
        }
        Ok(rows)
    }

    /// The failure ledger of attachments: what failed, by row.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn failures(&self) -> Result<Vec<(RowId, Failure)>, StoreError> {
        let all = collect(self.tables.failures()?, "failures", |key| key)?;
        let of_files = all.into_iter().filter_map(|((kind, row), failure)| {
            (kind == FailureKind::Attachment.number()).then_some((RowId(row), failure))
        });
        Ok(of_files.collect())
    }

    // ---- what is not shown, and why

    /// Messages without a conversation.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn parked(&self) -> Result<Vec<(RowId, ParkedRow)>, StoreError> {
        collect(self.tables.parked()?, "parked", RowId)
    }

    /// Why a message has no conversation; `None` if it has one.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn parked_row(&self, row: RowId) -> Result<Option<ParkedRow>, StoreError> {
        find(self.tables.parked()?, "parked", row.0)
    }

    /// Messages of which something could not be decoded.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn quarantine(&self) -> Result<Vec<(RowId, QuarantineRow)>, StoreError> {
        collect(self.tables.quarantine()?, "quarantine", RowId)
    }

    /// What of a message could not be decoded; `None` if all of it could.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn quarantine_row(&self, row: RowId) -> Result<Option<QuarantineRow>, StoreError> {
        find(self.tables.quarantine()?, "quarantine", row.0)
    }

    /// Whether a source says that a message was deleted before the archive ever held it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn tombstone(&self, guid: &Guid) -> Result<Option<Tombstone>, StoreError> {
        find(
            self.tables.tombstones()?,
            "tombstones",
            guid.to_string().as_str(),
        )
    }

    // ---- search

    /// Messages that the search index proposes for a query, by arrival. Which of them answer it, their texts decide.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Damaged`].
    pub fn candidates(
        &self,
        query: &Query,
        people: &dyn Fn(&Clause) -> Vec<Handle>,
    ) -> Result<Vec<RowId>, StoreError> {
        self.some_candidates(query, people, usize::MAX)
    }

    /// The same, but at most so many, of the newest: what is older than they are is not read from the index.
    ///
    /// # Errors
    ///
    /// As [`Self::candidates`].
    pub fn some_candidates(
        &self,
        query: &Query,
        people: &dyn Fn(&Clause) -> Vec<Handle>,
        limit: usize,
    ) -> Result<Vec<RowId>, StoreError> {
        let blocks = read_blocks(self.tables.search_blocks()?).map_err(StoreError::from_search)?;
        let candidates = query.candidates(self.tables.search_terms()?, blocks, people);
        let rows = candidates.up_to(limit).map_err(StoreError::from_search)?;
        Ok(rows.into_iter().map(RowId).collect())
    }

    /// Every message of one of the kinds that a search can be narrowed to, by arrival.
    ///
    /// # Errors
    ///
    /// As [`Self::candidates`].
    pub fn of_kind(&self, kind: &str) -> Result<Vec<RowId>, StoreError> {
        self.candidates(&Query::anything().of_kind(kind), &|_| Vec::new())
    }

    // ---- positions

    /// Where reading of a source goes on.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn cursor(&self, source: SourceKind) -> Result<Option<Cursor>, StoreError> {
        find(self.tables.cursors()?, "cursors", source.number())
    }

    /// The latest change; 0 in an empty archive.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn last_change(&self) -> Result<ChangeNumber, StoreError> {
        Ok(ChangeNumber(self.counter(NEXT_CHANGE)?.saturating_sub(1)))
    }

    /// The first row id that was not handed out yet.
    pub(super) fn next_row(&self) -> Result<RowId, StoreError> {
        self.counter(NEXT_ROW).map(RowId)
    }

    /// The next number of a counter: 1 before the first.
    pub(super) fn counter(&self, name: &str) -> Result<u64, StoreError> {
        let next = self
            .tables
            .counters()?
            .get(name)
            .map_err(|error| StoreError::from_redb("reading", error))?;
        Ok(next.map_or(1, |next| next.value()))
    }

    /// What changed after a change number, oldest first; `None` when the log no longer reaches back that far.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn changes_after(&self, after: ChangeNumber) -> Result<Option<Changes>, StoreError> {
        let failed = |error| StoreError::from_redb("reading", error);
        let first = self
            .tables
            .changes()?
            .range::<u64>(..)
            .map_err(failed)?
            .next();
        let reaches = match first {
            Some(first) => first.map_err(failed)?.0.value() <= after.0.saturating_add(1),
            None => self.last_change()? <= after,
        };
        if !reaches {
            return Ok(None);
        }
        let range = self
            .tables
            .changes()?
            .range((Bound::Excluded(after.0), Bound::Unbounded))
            .map_err(failed)?;
        Ok(Some(Box::new(range.map(move |entry| {
            let (number, bytes) = entry.map_err(failed)?;
            Ok((
                ChangeNumber(number.value()),
                value("changes", bytes.value())?,
            ))
        }))))
    }
}

/// All rows of a table.
pub(super) fn collect<K, V: Stored, Id>(
    table: &ReadOnlyTable<K, &'static [u8]>,
    name: &'static str,
    id: impl for<'k> Fn(K::SelfType<'k>) -> Id,
) -> Result<Vec<(Id, V)>, StoreError>
where
    K: redb::Key + 'static,
    for<'k> K: std::borrow::Borrow<K::SelfType<'k>>,
{
    use redb::ReadableTable;

    let failed = |error| StoreError::from_redb("reading", error);
    let mut rows = Vec::new();
    for entry in table.iter().map_err(failed)? {
        let (key, bytes) = entry.map_err(failed)?;
        rows.push((id(key.value()), value(name, bytes.value())?));
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::base::time::SystemClock;
    use crate::store::Absent;
    use crate::store::Store;

    #[test]
    fn a_snapshot_reads_on_when_its_store_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("archive.redb");
        let clock = Arc::new(SystemClock);
        let store = Store::open(&path, Absent::Create, clock.clone()).unwrap();
        let snapshot = store.snapshot().unwrap();

        drop(store);

        assert_eq!(snapshot.message_count().unwrap(), 0);
        drop(snapshot);
        Store::open(&path, Absent::Refuse, clock).unwrap();
    }
}
