//! One write transaction: the open tables, the rows that wait to be inserted in order, and what was counted.
//!
//! Rows keyed by arrival are appended at once. Rows of the indexes (GUID, timeline, time, relations) have keys in no
//! order: they wait, are sorted, and go in together before the commit, so that each page of an index is touched once
//! however many messages a transaction holds. Many of them go in side by side with the search index, each table on one
//! thread: while a large transaction ends nobody brings further work.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;
use std::collections::btree_map::Entry;
use std::mem;
use std::ops::Bound;
use std::ops::Range;
use std::panic::resume_unwind;
use std::thread;

use foldhash::fast::RandomState;
use redb::CursorError;
use redb::ReadableTable;
use redb::Table;
use redb::WriteTransaction;

use crate::base::ids::ChangeNumber;
use crate::base::ids::Guid;
use crate::base::ids::RecordName;
use crate::base::ids::RowId;
use crate::base::time::AppleTime;
use crate::model::conversation::Alias;
use crate::model::record::SourceKind;
use crate::store::account::AccountTables;
use crate::store::error::StoreError;
use crate::store::filters::Filters;
use crate::store::guid::GuidKey;
use crate::store::guid::ids_of;
use crate::store::index::write_index;
use crate::store::publication::PassStep;
use crate::store::publication::Places;
use crate::store::search::IndexBlock;
use crate::store::search::TermKey;
use crate::store::tables;
use crate::store::tally::Tally;
use crate::store::value::ChangeEntry;
use crate::store::value::ChangeKind;
use crate::store::value::EncodedMessage;
use crate::store::value::Head;
use crate::store::value::Stored;
use crate::store::value::StoredConversation;
use crate::store::value::StoredMessage;

/// The counter of row ids.
pub(super) const NEXT_ROW: &str = "next_row";

/// The counter of change numbers.
pub(super) const NEXT_CHANGE: &str = "next_change";

/// Bytes of new messages and their records that wait at most: they are still in the processor's cache when they go in.
const ARRIVAL_BYTES: usize = 256 << 10;

/// Rows that go in through one cursor at most. It gathers them in a buffer that grows from nothing: one that stays small
/// costs no fresh memory, and starting the next cursor costs less than that.
const CURSOR_ROWS: usize = 4_096;

/// Messages of a transaction that are worth a thread for each part of their rows.
const SIDE_BY_SIDE: usize = 10_000;

/// A table with enveloped values, open for writing.
pub(super) type RowTable<'tx, K> = Table<'tx, K, &'static [u8]>;

/// The tables of one write transaction.
pub(super) struct Tables<'tx> {
    pub(super) messages: RowTable<'tx, u64>,
    pub(super) records: RowTable<'tx, (u64, u8)>,
    pub(super) fingerprints: Table<'tx, (u64, u8), u64>,
    pub(super) guids: Table<'tx, (&'static [u8; 16], u64), ()>,
    pub(super) guid_others: Table<'tx, (&'static str, u64), ()>,
    pub(super) timeline: Table<'tx, (u64, i64, u64, u16), ()>,
    pub(super) by_time: Table<'tx, (i64, u64), ()>,
    pub(super) relations: Table<'tx, (&'static [u8; 16], u64), ()>,
    pub(super) conversations: RowTable<'tx, u64>,
    pub(super) heads: RowTable<'tx, u64>,
    pub(super) aliases: Table<'tx, &'static str, u64>,
    pub(super) chats: RowTable<'tx, &'static str>,
    pub(super) merges: RowTable<'tx, u64>,
    pub(super) handles: RowTable<'tx, (&'static str, &'static str)>,
    pub(super) contacts: RowTable<'tx, &'static str>,
    pub(super) attachments: RowTable<'tx, u64>,
    pub(super) attachment_guids: Table<'tx, &'static str, u64>,
    pub(super) wanted: Table<'tx, u64, ()>,
    pub(super) parked: RowTable<'tx, u64>,
    pub(super) quarantine: RowTable<'tx, u64>,
    pub(super) tombstones: RowTable<'tx, &'static str>,
    pub(super) failures: RowTable<'tx, (u8, u64)>,
    pub(super) changes: RowTable<'tx, u64>,
    pub(super) cursors: RowTable<'tx, u8>,
    pub(super) counters: Table<'tx, &'static str, u64>,
    pub(super) meta: RowTable<'tx, &'static str>,
    pub(super) search_terms: Table<'tx, TermKey, &'static [u8]>,
    pub(super) search_blocks: Table<'tx, u32, &'static [u8]>,
    pub(super) passes: Table<'tx, u64, u64>,
    pub(super) guid_hashes: RowTable<'tx, &'static [u8; 16]>,
    pub(super) record_names: Table<'tx, (u8, &'static str), u64>,
    pub(super) chat_states: Table<'tx, (u64, u64), ()>,
    pub(super) zones: RowTable<'tx, u8>,
    pub(super) cloud_accounts: RowTable<'tx, u8>,
    pub(super) asset_keys: RowTable<'tx, &'static [u8]>,
    pub(super) blobs: RowTable<'tx, &'static [u8; 32]>,
    pub(super) blob_chunks: RowTable<'tx, (u64, u32)>,
    pub(super) downloads: RowTable<'tx, u64>,
    pub(super) account: AccountTables<'tx>,
}

impl<'tx> Tables<'tx> {
    /// Opens every table, making those that are not there yet.
    pub(super) fn open(tx: &'tx WriteTransaction) -> Result<Self, StoreError> {
        let refused = |error| StoreError::from_redb("opening a table of", error);
        Ok(Self {
            messages: tx.open_table(tables::MESSAGES).map_err(refused)?,
            records: tx.open_table(tables::RECORDS).map_err(refused)?,
            fingerprints: tx.open_table(tables::FINGERPRINTS).map_err(refused)?,
            guids: tx.open_table(tables::GUIDS).map_err(refused)?,
            guid_others: tx.open_table(tables::GUID_OTHERS).map_err(refused)?,
            timeline: tx.open_table(tables::TIMELINE).map_err(refused)?,
            by_time: tx.open_table(tables::BY_TIME).map_err(refused)?,
            relations: tx.open_table(tables::RELATIONS).map_err(refused)?,
            conversations: tx.open_table(tables::CONVERSATIONS).map_err(refused)?,
            heads: tx.open_table(tables::CONVERSATION_HEADS).map_err(refused)?,
            aliases: tx.open_table(tables::ALIASES).map_err(refused)?,
            chats: tx.open_table(tables::CHATS).map_err(refused)?,
            merges: tx.open_table(tables::MERGES).map_err(refused)?,
            handles: tx.open_table(tables::HANDLES).map_err(refused)?,
            contacts: tx.open_table(tables::CONTACTS).map_err(refused)?,
            attachments: tx.open_table(tables::ATTACHMENTS).map_err(refused)?,
            attachment_guids: tx.open_table(tables::ATTACHMENT_GUIDS).map_err(refused)?,
            wanted: tx.open_table(tables::ATTACHMENTS_WANTED).map_err(refused)?,
            parked: tx.open_table(tables::PARKED).map_err(refused)?,
            quarantine: tx.open_table(tables::QUARANTINE).map_err(refused)?,
            tombstones: tx.open_table(tables::TOMBSTONES).map_err(refused)?,
            failures: tx.open_table(tables::FAILURES).map_err(refused)?,
            changes: tx.open_table(tables::CHANGES).map_err(refused)?,
            cursors: tx.open_table(tables::CURSORS).map_err(refused)?,
            counters: tx.open_table(tables::COUNTERS).map_err(refused)?,
            meta: tx.open_table(tables::META).map_err(refused)?,
            search_terms: tx.open_table(tables::SEARCH_TERMS).map_err(refused)?,
            search_blocks: tx.open_table(tables::SEARCH_BLOCKS).map_err(refused)?,
            passes: tx.open_table(tables::PASSES).map_err(refused)?,
            guid_hashes: tx.open_table(tables::GUID_HASHES).map_err(refused)?,
            record_names: tx.open_table(tables::RECORD_NAMES).map_err(refused)?,
            chat_states: tx.open_table(tables::CHAT_STATES).map_err(refused)?,
            zones: tx.open_table(tables::ZONES).map_err(refused)?,
            cloud_accounts: tx.open_table(tables::CLOUD_ACCOUNTS).map_err(refused)?,
            asset_keys: tx.open_table(tables::ASSET_KEYS).map_err(refused)?,
            blobs: tx.open_table(tables::BLOBS).map_err(refused)?,
            blob_chunks: tx.open_table(tables::BLOB_CHUNKS).map_err(refused)?,
            downloads: tx.open_table(tables::DOWNLOADS).map_err(refused)?,
            account: AccountTables::open(tx)?,
        })
    }
}

/// Rows that wait to be inserted together.
#[derive(Default)]
pub(super) struct Waiting {
    /// In the order of their keys, behind everything that the tables hold.
    arrivals: Arrivals,
    changes: Vec<(u64, ChangeEntry)>,
    /// In any order.
    pub(super) guids: Vec<([u8; 16], u64)>,
    pub(super) timeline: Vec<(u64, i64, u64, u16)>,
    pub(super) by_time: Vec<(i64, u64)>,
    pub(super) relations: Vec<([u8; 16], u64)>,
    /// Names of CloudKit's records, by zone.
    pub(super) names: BTreeMap<u8, HashMap<RecordName, RowId, RandomState>>,
}

/// New messages with their records, their values in one buffer.
#[derive(Default)]
struct Arrivals {
    bytes: Vec<u8>,
    rows: Vec<Arrival>,
}

struct Arrival {
    row: RowId,
    message: Range<usize>,
    /// `None` for a message whose record is written apart.
    record: Option<ArrivedRecord>,
}

struct ArrivedRecord {
    source: SourceKind,
    fingerprint: u64,
    bytes: Range<usize>,
}

/// A write transaction in progress.
pub struct Transaction<'tx> {
    pub(super) tables: Tables<'tx>,
    pub(super) now: AppleTime,
    pub(super) waiting: Waiting,
    /// They know everything that is held, where the store has them.
    pub(super) filters: Option<Filters>,
    /// Messages of this transaction by GUID, which no table holds yet.
    pub(super) new_guids: HashMap<[u8; 16], RowId, RandomState>,
    pub(super) heads: BTreeMap<RowId, Head>,
    pub(super) alias_cache: HashMap<Alias, Option<RowId>, RandomState>,
    pub(super) self_chats: HashMap<RowId, bool>,
    /// Messages of this transaction in chats with oneself: conversation, time, row.
    pub(super) self_chat_rows: BTreeSet<(RowId, AppleTime, RowId)>,
    /// Conversations that were united in this page, and with which.
    pub(super) united: BTreeMap<RowId, RowId>,
    /// Conversations of which something was deleted or came back.
    pub(super) doubtful: BTreeSet<RowId>,
    /// The first change since it was looked which conversations count as deleted.
    pub(super) settled: ChangeNumber,
    /// Conversations that chat.db has chats of, once that was asked.
    pub(super) on_mac: Option<BTreeSet<RowId>>,
    /// Whether a conversation came into being with a message.
    pub(super) has_new_people: bool,
    pub(super) index: IndexBlock,
    pub(super) tally: Tally,
    /// The time of the message that arrived last, once it is known.
    pub(super) last_time: Option<AppleTime>,
    /// How this transaction ends, or goes on with, a pass; `None` for one that is of no pass: it may be a client's.
    pub(super) pass: Option<PassStep>,
    /// What passes hide, once that was asked: up to this transaction.
    pub(super) places: Option<Places>,
    /// The first change of this transaction.
    pub(super) first_change: ChangeNumber,
    next_row: u64,
    next_change: u64,
    value: Vec<u8>,
}

impl<'tx> Transaction<'tx> {
    /// Opens the tables and takes up the counters.
    pub(super) fn begin(tx: &'tx WriteTransaction, now: AppleTime) -> Result<Self, StoreError> {
        let tables = Tables::open(tx)?;
        let next = |name| match tables.counters.get(name) {
            Ok(found) => Ok(found.map_or(1, |number| number.value())),
            Err(error) => Err(StoreError::from_redb("reading", error)),
        };
        let (next_row, next_change) = (next(NEXT_ROW)?, next(NEXT_CHANGE)?);
        Ok(Self {
            tables,
            now,
            waiting: Waiting::default(),
            filters: None,
            new_guids: HashMap::default(),
            heads: BTreeMap::new(),
            alias_cache: HashMap::default(),
            self_chats: HashMap::default(),
            self_chat_rows: BTreeSet::new(),
            united: BTreeMap::new(),
            doubtful: BTreeSet::new(),
            settled: ChangeNumber(next_change),
            on_mac: None,
            has_new_people: false,
            index: IndexBlock::default(),
            tally: Tally::default(),
            last_time: None,
            pass: None,
            places: None,
            first_change: ChangeNumber(next_change),
            next_row,
            next_change,
            value: Vec::new(),
        })
    }

    /// What this transaction did so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// The first row id that was not handed out yet.
    pub(super) fn rows_handed_out(&self) -> RowId {
        RowId(self.next_row)
    }

    /// A row id that no row had before.
    pub(super) fn new_row(&mut self) -> RowId {
        let row = RowId(self.next_row);
        self.next_row += 1;
        row
    }

    /// The number that the next entry of the change log will have.
    pub(super) fn coming_change(&self) -> ChangeNumber {
        ChangeNumber(self.next_change)
    }

    /// Writes the next entry of the change log, about something in no conversation.
    pub(super) fn log(&mut self, kind: ChangeKind, row: RowId) -> ChangeNumber {
        self.log_entry(kind, row, RowId(0))
    }

    /// Writes the next entry of the change log, about something in a conversation, if it is in one.
    pub(super) fn log_in(
        &mut self,
        conversation: Option<RowId>,
        kind: ChangeKind,
        row: RowId,
    ) -> Result<ChangeNumber, StoreError> {
        let Some(conversation) = conversation else {
            return Ok(self.log(kind, row));
        };
        let number = self.log_entry(kind, row, conversation);
        self.head(conversation)?.last_change = number;
        Ok(number)
    }

    fn log_entry(&mut self, kind: ChangeKind, row: RowId, conversation: RowId) -> ChangeNumber {
        let number = ChangeNumber(self.next_change);
        self.next_change += 1;
        let entry = ChangeEntry {
            kind,
            row,
            at: self.now,
            conversation,
        };
        self.waiting.changes.push((number.0, entry));
        number
    }

    /// The messages with a GUID, those of this transaction included.
    pub(super) fn messages_with(&self, guid: &Guid) -> Result<Vec<RowId>, StoreError> {
        if self
            .filters
            .as_ref()
            .is_some_and(|filters| !filters.may_hold(guid))
        {
            return Ok(Vec::new());
        }
        let mut rows = ids_of(&self.tables.guids, &self.tables.guid_others, guid)?;
        if let Some(row) = self.new_guids.get(&GuidKey::of(guid).0)
            && !rows.contains(row)
        {
            rows.push(*row);
        }
        Ok(rows)
    }

    /// A message by its row, which may be of this transaction.
    pub(super) fn message(&mut self, row: RowId) -> Result<StoredMessage, StoreError> {
        if self
            .waiting
            .arrivals
            .rows
            .first()
            .is_some_and(|first| first.row <= row)
        {
            self.append_arrivals()?;
        }
        find(&self.tables.messages, "messages", row.0)?.ok_or(StoreError::Dangling {
            table: "messages",
            row: row.0,
        })
    }

    /// Writes the row of a message that is held.
    pub(super) fn put_message(
        &mut self,
        row: RowId,
        message: &StoredMessage,
    ) -> Result<(), StoreError> {
        put(
            &mut self.tables.messages,
            "messages",
            row.0,
            message,
            &mut self.value,
        )
    }

    /// Adds a message that is not held, under a row that was handed out just now, and its record's stored form with its
    /// source and its fingerprint, unless that is written apart.
    pub(super) fn add_message(
        &mut self,
        row: RowId,
        message: &StoredMessage<EncodedMessage<'_>>,
        record: Option<(SourceKind, &[u8], u64)>,
    ) -> Result<(), StoreError> {
        let Arrivals { bytes, rows } = &mut self.waiting.arrivals;
        let begin = bytes.len();
        message
            .append_stored(bytes)
            .map_err(|source| StoreError::Value {
                table: "messages",
                source,
            })?;
        let middle = bytes.len();
        let record = record.map(|(source, record, fingerprint)| {
            bytes.extend_from_slice(record);
            ArrivedRecord {
                source,
                fingerprint,
                bytes: middle..bytes.len(),
            }
        });
        rows.push(Arrival {
            row,
            message: begin..middle,
            record,
        });
        if bytes.len() > ARRIVAL_BYTES {
            self.append_arrivals()?;
        }
        Ok(())
    }

    /// Appends the messages that waited.
    fn append_arrivals(&mut self) -> Result<(), StoreError> {
        let Arrivals { bytes, rows } = &self.waiting.arrivals;
        let value = |range: &Range<usize>| bytes.get(range.clone()).unwrap_or_default();
        append(
            &mut self.tables.messages,
            rows.iter().map(|new| (new.row.0, value(&new.message))),
        )?;
        append(
            &mut self.tables.records,
            records(rows).map(|(key, record)| (key, value(&record.bytes))),
        )?;
        append(
            &mut self.tables.fingerprints,
            records(rows).map(|(key, record)| (key, record.fingerprint)),
        )?;
        self.waiting.arrivals.bytes.clear();
        self.waiting.arrivals.rows.clear();
        if self.waiting.changes.len() >= CURSOR_ROWS {
            self.append_changes()?;
        }
        Ok(())
    }

    /// Appends the entries of the change log that waited.
    fn append_changes(&mut self) -> Result<(), StoreError> {
        let changes = mem::take(&mut self.waiting.changes);
        let mut bytes = Vec::with_capacity(changes.len() * 24);
        let mut ends = Vec::with_capacity(changes.len());
        for (number, entry) in &changes {
            let begin = bytes.len();
            bytes.push(ChangeEntry::VERSION);
            entry
                .append_to(&mut bytes)
                .map_err(|source| StoreError::Value {
                    table: "changes",
                    source,
                })?;
            ends.push((*number, begin..bytes.len()));
        }
        let value = |range: Range<usize>| bytes.get(range).unwrap_or_default();
        append(
            &mut self.tables.changes,
            ends.into_iter()
                .map(|(number, range)| (number, value(range))),
        )
    }

    /// A conversation by its row.
    pub(super) fn conversation(&self, row: RowId) -> Result<StoredConversation, StoreError> {
        find(&self.tables.conversations, "conversations", row.0)?.ok_or(StoreError::Dangling {
            table: "conversations",
            row: row.0,
        })
    }

    /// The conversation that an alias leads to.
    pub(super) fn resolve(&mut self, alias: &Alias) -> Result<Option<RowId>, StoreError> {
        if let Some(known) = self.alias_cache.get(alias) {
            return Ok(*known);
        }
        let found = self
            .tables
            .aliases
            .get(alias.as_str())
            .map_err(|error| StoreError::from_redb("reading", error))?;
        let found = found.map(|row| RowId(row.value()));
        self.alias_cache.insert(alias.clone(), found);
        Ok(found)
    }

    /// The totals of a conversation, to be changed; written at the end.
    pub(super) fn head(&mut self, conversation: RowId) -> Result<&mut Head, StoreError> {
        match self.heads.entry(conversation) {
            Entry::Occupied(head) => Ok(head.into_mut()),
            Entry::Vacant(place) => {
                let head = find(&self.tables.heads, "conversation_heads", conversation.0)?;
                Ok(place.insert(head.unwrap_or_default()))
            }
        }
    }

    /// Writes any enveloped value with a `u64` key.
    pub(super) fn put_row<V: Stored>(
        table: &mut RowTable<'_, u64>,
        name: &'static str,
        row: RowId,
        value: &V,
    ) -> Result<(), StoreError> {
        put(table, name, row.0, value, &mut Vec::new())
    }

    /// Writes what a source said of a message.
    pub(super) fn put_record(
        &mut self,
        row: RowId,
        source: SourceKind,
        record: &[u8],
        fingerprint: u64,
    ) -> Result<(), StoreError> {
        let failed = |error| StoreError::from_redb("writing to", error);
        let key = (row.0, source.number());
        self.tables.records.insert(key, record).map_err(failed)?;
        self.tables
            .fingerprints
            .insert(key, fingerprint)
            .map_err(failed)?;
        Ok(())
    }

    /// Inserts the rows that waited, in order, and everything else that is written once a transaction. Answers the latest
    /// change too.
    pub(super) fn finish(mut self) -> Result<(Tally, ChangeNumber), StoreError> {
        self.publish()?;
        let index = mem::take(&mut self.index);
        self.insert_waiting(index)?;
        let heads = mem::take(&mut self.heads);
        for (row, head) in &heads {
            put(
                &mut self.tables.heads,
                "conversation_heads",
                row.0,
                head,
                &mut self.value,
            )?;
        }
        self.trim_changes()?;
        for (name, next) in [(NEXT_ROW, self.next_row), (NEXT_CHANGE, self.next_change)] {
            let written = self.tables.counters.insert(name, next);
            written.map_err(|error| StoreError::from_redb("writing to", error))?;
        }
        let latest = ChangeNumber(self.next_change.saturating_sub(1));
        Ok((self.tally, latest))
    }

    /// Inserts the messages that waited, their order and their relations. Reads through these tables see them only
    /// afterwards.
    pub(super) fn flush_order(&mut self) -> Result<(), StoreError> {
        self.append_arrivals()?;
        insert_sorted(
            &mut self.tables.timeline,
            mem::take(&mut self.waiting.timeline),
        )?;
        insert_sorted(
            &mut self.tables.by_time,
            mem::take(&mut self.waiting.by_time),
        )?;
        insert_guids(
            &mut self.tables.relations,
            mem::take(&mut self.waiting.relations),
        )
    }

    /// Inserts the GUIDs that waited: the next message with one of them is the second.
    pub(super) fn flush_guids(&mut self) -> Result<(), StoreError> {
        self.new_guids.clear();
        insert_guids(&mut self.tables.guids, mem::take(&mut self.waiting.guids))
    }

    /// Inserts everything that waited, and the transaction's part of the search index.
    fn insert_waiting(&mut self, index: IndexBlock) -> Result<(), StoreError> {
        self.append_arrivals()?;
        self.append_changes()?;
        let is_large = self.waiting.guids.len() >= SIDE_BY_SIDE;
        let Waiting {
            guids,
            timeline,
            by_time,
            relations,
            names,
            ..
        } = mem::take(&mut self.waiting);
        let tables = &mut self.tables;
        let (terms, blocks) = (&mut tables.search_terms, &mut tables.search_blocks);
        let parts: Vec<Part<'_>> = vec![
            Box::new(|| insert_guids(&mut tables.guids, guids)),
            Box::new(|| insert_guids(&mut tables.relations, relations)),
            Box::new(|| insert_sorted(&mut tables.timeline, timeline)),
            Box::new(|| insert_sorted(&mut tables.by_time, by_time)),
            Box::new(|| insert_names(&mut tables.record_names, names)),
            Box::new(|| write_index(index, terms, blocks)),
        ];
        if is_large {
            side_by_side(parts)
        } else {
            parts.into_iter().try_for_each(|part| part())
        }
    }
}

/// Rows of tables that nobody else writes meanwhile.
type Part<'t> = Box<dyn FnOnce() -> Result<(), StoreError> + Send + 't>;

/// Writes each part on a thread of its own.
fn side_by_side(parts: Vec<Part<'_>>) -> Result<(), StoreError> {
    thread::scope(|scope| {
        let threads: Vec<_> = parts.into_iter().map(|part| scope.spawn(part)).collect();
        let written = threads
            .into_iter()
            // redb panics about damaged pages: whoever began the transaction makes an error of that.
            .map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
        written.collect()
    })
}

/// The records of messages that arrived, by their keys.
fn records(rows: &[Arrival]) -> impl Iterator<Item = ((u64, u8), &ArrivedRecord)> {
    rows.iter().filter_map(|new| {
        let record = new.record.as_ref()?;
        Some(((new.row.0, record.source.number()), record))
    })
}

/// Adds rows behind all others of a table. Their keys rise.
fn append<'k, K: redb::Key + 'static, V: redb::Value + 'static>(
    table: &mut Table<'_, K, V>,
    rows: impl Iterator<Item = (K::SelfType<'k>, V::SelfType<'k>)>,
) -> Result<(), StoreError> {
    let failed = |error| StoreError::from_redb("writing to", error);
    let mut rows = rows.peekable();
    while rows.peek().is_some() {
        let mut end = table
            .upper_bound_mut(Bound::<K::SelfType<'_>>::Unbounded)
            .map_err(failed)?;
        for (key, value) in rows.by_ref().take(CURSOR_ROWS) {
            end.insert_before(key, value)
                .map_err(|error| StoreError::from_redb("writing to", error))?;
        }
        end.close().map_err(failed)?;
    }
    Ok(())
}

/// Adds rows by GUID.
fn insert_guids(
    table: &mut Table<'_, (&'static [u8; 16], u64), ()>,
    mut keys: Vec<([u8; 16], u64)>,
) -> Result<(), StoreError> {
    keys.sort_unstable();
    for (guid, row) in &keys {
        let inserted = table.insert((guid, *row), ());
        inserted.map_err(|error| StoreError::from_redb("writing to", error))?;
    }
    Ok(())
}

/// Adds names of records, or leads them to other ones.
fn insert_names(
    table: &mut Table<'_, (u8, &'static str), u64>,
    names: BTreeMap<u8, HashMap<RecordName, RowId, RandomState>>,
) -> Result<(), StoreError> {
    for (zone, names) in names {
        let mut names: Vec<(RecordName, RowId)> = names.into_iter().collect();
        names.sort_unstable();
        for (name, id) in &names {
            let inserted = table.insert((zone, name.as_str()), id.0);
            inserted.map_err(|error| StoreError::from_redb("writing to", error))?;
        }
    }
    Ok(())
}

/// Adds keys among those of a table, those that follow each other without a held one in between at one go.
fn insert_sorted<K: for<'k> redb::Key<SelfType<'k> = K> + Ord + Clone + 'static>(
    table: &mut Table<'_, K, ()>,
    mut keys: Vec<K>,
) -> Result<(), StoreError> {
    keys.sort_unstable();
    let failed = |error| StoreError::from_redb("writing to", error);
    let mut keys = keys.into_iter().peekable();
    while let Some(first) = keys.peek() {
        let mut gap = table
            .lower_bound_mut(Bound::Included(first.clone()))
            .map_err(failed)?;
        for n in 0..CURSOR_ROWS {
            let Some(key) = keys.peek() else { break };
            match gap.insert_before(key.clone(), ()) {
                Ok(()) => {}
                // The first key of a gap is refused only if it is held already; a later one needs another gap.
                Err(CursorError::UnorderedKey) if n == 0 => {}
                Err(CursorError::UnorderedKey) => break,
                Err(error) => return Err(StoreError::from_redb("writing to", error)),
            }
            keys.next();
        }
        gap.close().map_err(failed)?;
    }
    Ok(())
}

/// An enveloped value, if the table has it.
pub(super) fn find<K: redb::Key + 'static, V: Stored>(
    table: &impl ReadableTable<K, &'static [u8]>,
    name: &'static str,
    key: K::SelfType<'_>,
) -> Result<Option<V>, StoreError> {
    match table
        .get(key)
        .map_err(|error| StoreError::from_redb("reading", error))?
    {
        Some(bytes) => value(name, bytes.value()).map(Some),
        None => Ok(None),
    }
}

/// The value of stored bytes, or which table they stand in.
pub(super) fn value<V: Stored>(table: &'static str, bytes: &[u8]) -> Result<V, StoreError> {
    V::from_bytes(bytes).map_err(|source| StoreError::Value { table, source })
}

/// Writes an enveloped value, using a buffer that is kept.
pub(super) fn put<K: redb::Key + 'static, V: Stored>(
    table: &mut Table<'_, K, &'static [u8]>,
    name: &'static str,
    key: K::SelfType<'_>,
    value: &V,
    buffer: &mut Vec<u8>,
) -> Result<(), StoreError> {
    buffer.clear();
    buffer.push(V::VERSION);
    value
        .append_to(buffer)
        .map_err(|source| StoreError::Value {
            table: name,
            source,
        })?;
    let written = table.insert(key, buffer.as_slice());
    written
        .map(drop)
        .map_err(|error| StoreError::from_redb("writing to", error))
}
