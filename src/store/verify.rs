//! Reads every row of every table and holds it against the others, and every page against its checksum. Changes
//! nothing.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt::Display;

use redb::ReadableTable;
use redb::ReadableTableMetadata;

use crate::base::ids::RowId;
use crate::model::attachment::AttachmentState;
use crate::model::change::Cursor;
use crate::model::contact::Contact;
use crate::model::record::HandleRow;
use crate::model::record::SourceKind;
use crate::store::Store;
use crate::store::attachments::NO_MESSAGE;
use crate::store::cloud::shelves;
use crate::store::db;
use crate::store::error::StoreError;
use crate::store::index::is_searchable;
use crate::store::messages::timeline;
use crate::store::pages;
use crate::store::prepared::Outline;
use crate::store::snapshot::Snapshot;
use crate::store::transaction::NEXT_CHANGE;
use crate::store::transaction::NEXT_ROW;
use crate::store::value::ChangeEntry;
use crate::store::value::Failure;
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

/// Findings after which no more are collected: the extent is clear by then.
const ENOUGH: usize = 1_000;

/// One contradiction between tables, or one unreadable row.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// The table it shows in.
    pub table: &'static str,
    /// The row, as its key prints.
    pub row: String,
    /// What is wrong.
    pub what: String,
}

/// What has been read and found so far.
pub(super) struct Verification<'s> {
    pub(super) snapshot: &'s Snapshot,
    findings: Vec<Finding>,
    pub(super) conversations: BTreeSet<RowId>,
    heads: BTreeMap<RowId, Head>,
    timeline_rows: u64,
    relation_rows: u64,
    guid_rows: u64,
    parked: u64,
    quarantined: u64,
    /// Every message, by its row.
    pub(super) indexed: Vec<Indexed>,
    next_row: u64,
    pub(super) next_change: u64,
}

/// A message, as far as the search index goes.
pub(super) struct Indexed {
    pub(super) row: u64,
    /// Whether a search must find it, and no list of the index has led to it so far.
    pub(super) is_due: bool,
}

impl Store {
    /// Holds every page of the file against its checksum, then every table against the others. An empty list means
    /// that nothing is wrong. Nobody may write meanwhile. `progress` is told how many messages of how many are done.
    ///
    /// # Errors
    ///
    /// As [`Snapshot::verify`]; when pages are damaged, what reading them leads to is a finding too.
    pub fn verify(&self, progress: impl FnMut(u64, u64)) -> Result<Vec<Finding>, StoreError> {
        if self.path().map_or(Ok(true), pages::are_intact)? {
            return self.snapshot()?.verify(progress);
        }
        let damaged = |what: String| Finding {
            table: "all",
            row: "pages".to_owned(),
            what,
        };
        let mut findings = vec![damaged(
            "there are pages that are not as they were written".to_owned(),
        )];
        match db::guarded(|| self.snapshot()?.verify(progress)) {
            Ok(more) => findings.extend(more),
            Err(error) => findings.push(damaged(error.to_string())),
        }
        Ok(findings)
    }
}

impl Snapshot {
    /// Reads every table and holds it against the others. An empty list means that nothing is wrong. `progress` is
    /// told how many messages of how many are done.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] and [`StoreError::Damaged`] when the file cannot be read on; rows that cannot be decoded are
    /// findings.
    pub fn verify(&self, mut progress: impl FnMut(u64, u64)) -> Result<Vec<Finding>, StoreError> {
        let failed = |error| StoreError::from_redb("reading", error);
        let mut check = Verification {
            snapshot: self,
            findings: Vec::new(),
            conversations: self.conversation_rows()?,
            heads: BTreeMap::new(),
            timeline_rows: 0,
            relation_rows: 0,
            guid_rows: 0,
            parked: 0,
            quarantined: 0,
            indexed: Vec::new(),
            next_row: self.counter(NEXT_ROW)?,
            next_change: self.counter(NEXT_CHANGE)?,
        };
        let total = self.message_count()?;
        for (done, entry) in (0..).zip(self.tables.messages()?.iter().map_err(failed)?) {
            let (row, bytes) = entry.map_err(failed)?;
            check.message(RowId(row.value()), bytes.value())?;
            if done % 4_096 == 0 {
                progress(done, total);
            }
            if check.has_enough() {
                return Ok(check.findings);
            }
        }
        check.totals(total)?;
        check.heads()?;
        check.records()?;
        check.conversations()?;
        check.attachments()?;
        check.media()?;
        check.ledgers()?;
        check.passes()?;
        check.guid_hashes()?;
        check.cloud()?;
        check.accounts()?;
        check.search()?;
        progress(total, total);
        Ok(check.findings)
    }
}

impl Snapshot {
    /// The rows that conversations have.
    fn conversation_rows(&self) -> Result<BTreeSet<RowId>, StoreError> {
        let failed = |error| StoreError::from_redb("reading", error);
        let conversations = self.tables.conversations()?;
        let rows = conversations.iter().map_err(failed)?;
        rows.map(|entry| Ok(RowId(entry.map_err(failed)?.0.value())))
            .collect()
    }
}

impl Verification<'_> {
    pub(super) fn find(&mut self, table: &'static str, row: impl Display, what: impl Into<String>) {
        self.findings.push(Finding {
            table,
            row: row.to_string(),
            what: what.into(),
        });
    }

    /// Whether so much was found that no more is collected.
    pub(super) fn has_enough(&self) -> bool {
        self.findings.len() >= ENOUGH
    }

    /// The value of a row, or a finding.
    pub(super) fn decode<V: Stored>(
        &mut self,
        table: &'static str,
        row: impl Display,
        bytes: &[u8],
    ) -> Option<V> {
        match V::from_bytes(bytes) {
            Ok(value) => Some(value),
            Err(error) => {
                self.find(table, row, error.to_string());
                None
            }
        }
    }

    fn message(&mut self, row: RowId, bytes: &[u8]) -> Result<(), StoreError> {
        let failed = |error| StoreError::from_redb("reading", error);
        let tables = &self.snapshot.tables;
        if row.0 >= self.next_row {
            self.find("messages", row, "a row id that was never handed out");
        }
        let Some(stored) = self.decode::<StoredMessage>("messages", row, bytes) else {
            return Ok(());
        };
        self.indexed.push(Indexed {
            row: row.0,
            is_due: is_searchable(&stored),
        });
        let within = stored.first_change..=stored.last_change;
        let marked = stored.marks.iter().map(|mark| mark.change);
        let are_within = marked
            .chain(stored.came)
            .all(|change| within.contains(&change));
        if stored.last_change.0 >= self.next_change || within.is_empty() || !are_within {
            self.find("messages", row, "its change numbers are not in order");
        }
        if !stored.marks.is_sorted_by_key(|mark| mark.at) {
            self.find("messages", row, "its marks are not in order");
        }
        if !self
            .snapshot
            .messages_with(&stored.message.guid)?
            .contains(&row)
        {
            self.find("guids", row, "its GUID does not lead to it");
        }
        self.guid_rows += 1;
        if tables
            .by_time()?
            .get((stored.time.nanos(), row.0))
            .map_err(failed)?
            .is_none()
        {
            self.find("by_time", row, "missing at its time");
        }
        let outline = Outline::of(&stored.message);
        for key in timeline(&stored, row) {
            self.timeline_rows += 1;
            if tables.timeline()?.get(key).map_err(failed)?.is_none() {
                self.find("timeline", row, format!("entry {} is missing", key.3));
            }
        }
        for (target, relation) in outline.relations(row) {
            self.relation_rows += 1;
            if tables
                .relations()?
                .get((&target, relation))
                .map_err(failed)?
                .is_none()
            {
                self.find("relations", row, "what it is about does not lead to it");
            }
        }
        for attachment in &stored.attachments {
            if tables
                .attachments()?
                .get(attachment.0)
                .map_err(failed)?
                .is_none()
            {
                self.find(
                    "attachments",
                    attachment,
                    format!("missing, message {row} has it"),
                );
            }
        }
        self.sources(row, &stored)?;
        self.homes(row, &stored);
        if let Some(conversation) = stored.conversation {
            self.heads
                .entry(conversation)
                .or_default()
                .add(row, stored.time, &outline);
        } else {
            self.parked += 1;
            if tables.parked()?.get(row.0).map_err(failed)?.is_none() {
                self.find("parked", row, "missing for a message without conversation");
            }
        }
        if !stored.message.unreadable.is_empty() {
            self.quarantined += 1;
            if tables.quarantine()?.get(row.0).map_err(failed)?.is_none() {
                self.find(
                    "quarantine",
                    row,
                    "missing for a message that is not wholly readable",
                );
            }
        }
        Ok(())
    }

    /// What the sources said of a message.
    fn sources(&mut self, row: RowId, stored: &StoredMessage) -> Result<(), StoreError> {
        let failed = |error| StoreError::from_redb("reading", error);
        let records = self.snapshot.tables.records()?;
        for source in &stored.sources {
            let mut is_there = false;
            for shelf in shelves(*source) {
                is_there |= records.get((row.0, *shelf)).map_err(failed)?.is_some();
            }
            if !is_there {
                self.find("records", row, "missing for its message");
            }
        }
        Ok(())
    }

    /// The conversations that a message is in.
    fn homes(&mut self, row: RowId, stored: &StoredMessage) {
        for conversation in stored.conversation.iter().chain(&stored.also_in) {
            if !self.conversations.contains(conversation) {
                self.find(
                    "conversations",
                    conversation,
                    format!("missing, message {row} is in it"),
                );
            }
        }
    }

    /// Index tables hold what the messages say and nothing else.
    fn totals(&mut self, messages: u64) -> Result<(), StoreError> {
        let failed = |error| StoreError::from_redb("reading", error);
        let tables = &self.snapshot.tables;
        let guids =
            tables.guids()?.len().map_err(failed)? + tables.guid_others()?.len().map_err(failed)?;
        let counted = [
            (
                "by_time",
                tables.by_time()?.len().map_err(failed)?,
                messages,
            ),
            (
                "timeline",
                tables.timeline()?.len().map_err(failed)?,
                self.timeline_rows,
            ),
            (
                "relations",
                tables.relations()?.len().map_err(failed)?,
                self.relation_rows,
            ),
            ("guids", guids, self.guid_rows),
            (
                "parked",
                tables.parked()?.len().map_err(failed)?,
                self.parked,
            ),
        ];
        for (table, held, wanted) in counted {
            if held != wanted {
                self.find(
                    table,
                    "all",
                    format!("{held} rows, the messages make {wanted}"),
                );
            }
        }
        Ok(())
    }

    fn heads(&mut self) -> Result<(), StoreError> {
        let failed = |error| StoreError::from_redb("reading", error);
        let mut counted = std::mem::take(&mut self.heads);
        for entry in self.snapshot.tables.heads()?.iter().map_err(failed)? {
            let (row, bytes) = entry.map_err(failed)?;
            let row = RowId(row.value());
            let Some(head) = self.decode::<Head>("conversation_heads", row, bytes.value()) else {
                continue;
            };
            if head.totals() != counted.remove(&row).unwrap_or_default().totals() {
                self.find(
                    "conversation_heads",
                    row,
                    "its totals are not those of its messages",
                );
            }
            let changes = [head.published, head.history_change, Some(head.last_change)];
            if changes.into_iter().flatten().max() > Some(head.last_change)
                || head.last_change.0 >= self.next_change
            {
                self.find(
                    "conversation_heads",
                    row,
                    "its change numbers are not in order",
                );
            }
        }
        for row in counted.into_keys() {
            self.find(
                "conversation_heads",
                row,
                "missing for a conversation with messages",
            );
        }
        Ok(())
    }

    fn records(&mut self) -> Result<(), StoreError> {
        let failed = |error| StoreError::from_redb("reading", error);
        let mut with_fingerprints = 0;
        for entry in self.snapshot.tables.records()?.iter().map_err(failed)? {
            let (key, bytes) = entry.map_err(failed)?;
            let (row, source) = key.value();
            if source != SourceKind::ChatDb.number() {
                self.cloud_record(key.value(), bytes.value())?;
                continue;
            }
            with_fingerprints += 1;
            self.decode::<StoredRecord>("records", format!("{row}/{source}"), bytes.value());
            if self
                .snapshot
                .tables
                .messages()?
                .get(row)
                .map_err(failed)?
                .is_none()
            {
                self.find("records", row, "its message is missing");
            }
            if self
                .snapshot
                .tables
                .fingerprints()?
                .get((row, source))
                .map_err(failed)?
                .is_none()
            {
                self.find("fingerprints", row, "missing for a record");
            }
            if self.has_enough() {
                return Ok(());
            }
        }
        let held = self.snapshot.tables.fingerprints()?.len();
        let held = held.map_err(failed)?;
        if held != with_fingerprints {
            self.find(
                "fingerprints",
                "all",
                format!("{held} rows, the records make {with_fingerprints}"),
            );
        }
        Ok(())
    }

    fn conversations(&mut self) -> Result<(), StoreError> {
        let failed = |error| StoreError::from_redb("reading", error);
        let tables = &self.snapshot.tables;
        let mut united = BTreeSet::new();
        for entry in tables.conversations()?.iter().map_err(failed)? {
            let (row, bytes) = entry.map_err(failed)?;
            let row = row.value();
            let held = self.decode::<StoredConversation>("conversations", row, bytes.value());
            if held.is_some_and(|held| held.united_into.is_some()) {
                united.insert(row);
            }
        }
        for entry in tables.aliases()?.iter().map_err(failed)? {
            let row = entry.map_err(failed)?.1.value();
            if !self.conversations.contains(&RowId(row)) {
                self.find("aliases", row, "leads to a conversation that is missing");
            } else if united.contains(&row) {
                self.find(
                    "aliases",
                    row,
                    "leads to a conversation that is another one now",
                );
            }
        }
        for entry in tables.chats()?.iter().map_err(failed)? {
            let (_, bytes) = entry.map_err(failed)?;
            if let Some(chat) = self.decode::<StoredChat>("chats", "", bytes.value())
                && !self.conversations.contains(&chat.conversation)
            {
                self.find(
                    "chats",
                    chat.conversation,
                    "leads to a conversation that is missing",
                );
            }
        }
        for entry in tables.merges()?.iter().map_err(failed)? {
            let (row, bytes) = entry.map_err(failed)?;
            if let Some(Merge::Into(into)) =
                self.decode::<Merge>("merges", row.value(), bytes.value())
                && ![RowId(row.value()), into]
                    .iter()
                    .all(|row| self.conversations.contains(row))
            {
                self.find(
                    "merges",
                    row.value(),
                    "one of the two conversations is missing",
                );
            }
        }
        for entry in tables.handles()?.iter().map_err(failed)? {
            self.decode::<HandleRow>("handles", "", entry.map_err(failed)?.1.value());
        }
        for entry in tables.contacts()?.iter().map_err(failed)? {
            self.decode::<Contact>("contacts", "", entry.map_err(failed)?.1.value());
        }
        Ok(())
    }

    fn attachments(&mut self) -> Result<(), StoreError> {
        let failed = |error| StoreError::from_redb("reading", error);
        let tables = &self.snapshot.tables;
        for entry in tables.attachments()?.iter().map_err(failed)? {
            let (row, bytes) = entry.map_err(failed)?;
            let row = RowId(row.value());
            let Some(stored) = self.decode::<StoredAttachment>("attachments", row, bytes.value())
            else {
                continue;
            };
            if stored.message != NO_MESSAGE
                && tables
                    .messages()?
                    .get(stored.message.0)
                    .map_err(failed)?
                    .is_none()
            {
                self.find("attachments", row, "its message is missing");
            }
            if self
                .snapshot
                .attachment_with(&stored.attachment.guid)?
                .is_none()
            {
                self.find("attachment_guids", row, "its GUID leads nowhere");
            }
            let is_wanted = tables.wanted()?.get(row.0).map_err(failed)?.is_some();
            let should_be = match stored.attachment.state {
                AttachmentState::Held { .. } | AttachmentState::Abandoned { .. } => false,
                AttachmentState::Wanted
                | AttachmentState::Missing(_)
                | AttachmentState::Failed { .. } => true,
            };
            if is_wanted != should_be {
                self.find("attachments_wanted", row, "does not go with its state");
            }
        }
        for entry in tables.attachment_guids()?.iter().map_err(failed)? {
            let row = entry.map_err(failed)?.1.value();
            if tables.attachments()?.get(row).map_err(failed)?.is_none() {
                self.find(
                    "attachment_guids",
                    row,
                    "leads to an attachment that is missing",
                );
            }
        }
        Ok(())
    }

    fn ledgers(&mut self) -> Result<(), StoreError> {
        let failed = |error| StoreError::from_redb("reading", error);
        let tables = &self.snapshot.tables;
        for entry in tables.changes()?.iter().map_err(failed)? {
            let (number, bytes) = entry.map_err(failed)?;
            self.decode::<ChangeEntry>("changes", number.value(), bytes.value());
            if number.value() >= self.next_change {
                self.find(
                    "changes",
                    number.value(),
                    "a change number that was never handed out",
                );
            }
        }
        for entry in tables.parked()?.iter().map_err(failed)? {
            let (row, bytes) = entry.map_err(failed)?;
            self.decode::<ParkedRow>("parked", row.value(), bytes.value());
        }
        let mut records = 0;
        for entry in tables.quarantine()?.iter().map_err(failed)? {
            let (row, bytes) = entry.map_err(failed)?;
            self.decode::<QuarantineRow>("quarantine", row.value(), bytes.value());
            let is_message = tables
                .messages()?
                .get(row.value())
                .map_err(failed)?
                .is_some();
            let is_record =
                !is_message && self.snapshot.cloud_record(RowId(row.value()))?.is_some();
            records += u64::from(is_record);
        }
        let held = tables.quarantine()?.len().map_err(failed)?;
        if held != self.quarantined + records {
            self.find("quarantine", "all", "rows for what can be read");
        }
        for entry in tables.tombstones()?.iter().map_err(failed)? {
            let (guid, bytes) = entry.map_err(failed)?;
            self.decode::<Tombstone>("tombstones", guid.value(), bytes.value());
        }
        for entry in tables.failures()?.iter().map_err(failed)? {
            let (key, bytes) = entry.map_err(failed)?;
            self.decode::<Failure>("failures", key.value().1, bytes.value());
        }
        for entry in tables.cursors()?.iter().map_err(failed)? {
            let (source, bytes) = entry.map_err(failed)?;
            self.decode::<Cursor>("cursors", source.value(), bytes.value());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::base::ids::ConversationKey;
    use crate::base::ids::Guid;
    use crate::base::ids::Handle;
    use crate::base::time::AppleTime;
    use crate::base::time::SystemClock;
    use crate::model::change::MessageChange;
    use crate::model::change::Parked;
    use crate::model::change::Placement;
    use crate::model::conversation::Alias;
    use crate::model::conversation::Conversation;
    use crate::model::conversation::ConversationChange;
    use crate::model::conversation::ConversationKind;
    use crate::model::conversation::Filed;
    use crate::model::message::Author;
    use crate::model::message::Kind;
    use crate::model::message::Message;
    use crate::model::record::MessageRecord;
    use crate::model::record::SourceKind;
    use crate::store::Page;
    use crate::store::Preparer;
    use crate::store::Store;
    use crate::store::StoreError;
    use crate::store::Transaction;
    use crate::store::transaction::Tables;

    /// A store that holds one message.
    fn store() -> Store {
        let store = Store::in_memory(Arc::new(SystemClock)).unwrap();
        let ann = Handle::from_normal("tel:+15550100001".to_owned());
        let key = ConversationKey::direct(&ann);
        let alias = Alias::key(&key);
        let guid = Guid::parse("1A2B3C4D-0001-4002-8003-000000000001").unwrap();
        let author = Author::Other(ann.clone());
        let mut message = Message::new(guid, Kind::Message { about: None }, author);
        message.times.sent = Some(AppleTime::from_nanos(1));
        message.subject = Some("dinner".to_owned());
        let change = MessageChange {
            message,
            placement: Placement {
                candidates: vec![alias.clone()],
                otherwise: Parked::UnknownChat,
            },
            record: MessageRecord::default(),
            fingerprint: 1,
        };
        let conversation = Conversation {
            key,
            kind: ConversationKind::Direct,
            service: None,
            participants: vec![ann],
            name: None,
            deleted: None,
            filed: Filed::Inbox,
        };
        let page = Page {
            conversations: vec![ConversationChange {
                aliases: vec![alias],
                conversation,
                records: Vec::new(),
            }],
            messages: vec![Preparer::default().prepare(change, 1).unwrap()],
            ..Page::default()
        };
        let mut page = Some(page);
        let apply = |transaction: &mut Transaction<'_>| {
            transaction.apply(page.take().unwrap(), SourceKind::ChatDb, 1)
        };
        store.write(apply).unwrap();
        store
    }

    /// What is found, as `table: what`, after tables were spoiled.
    fn found_after(spoil: impl FnOnce(&mut Tables<'_>)) -> Vec<String> {
        let store = store();
        assert_eq!(store.verify(|_, _| {}).unwrap(), []);
        let mut spoil = Some(spoil);
        let spoiling = |transaction: &mut Transaction<'_>| -> Result<(), StoreError> {
            spoil.take().unwrap()(&mut transaction.tables);
            Ok(())
        };
        store.write(spoiling).unwrap();
        let found = store.verify(|_, _| {}).unwrap();
        found
            .into_iter()
            .map(|finding| format!("{}: {}", finding.table, finding.what))
            .collect()
    }

    #[test]
    fn a_message_in_a_conversation_that_is_missing_is_found() {
        let found = found_after(|tables| tables.conversations.retain(|_, _| false).unwrap());

        let is_it = |what: &String| what.starts_with("conversations: missing, message");
        assert!(found.iter().any(is_it), "{found:?}");
    }

    #[test]
    fn a_fingerprint_without_a_record_is_found() {
        let found = found_after(|tables| {
            tables.fingerprints.insert((999, 16), 1).unwrap();
        });

        assert_eq!(found, ["fingerprints: 2 rows, the records make 1"]);
    }

    #[test]
    fn a_message_that_no_search_leads_to_is_found() {
        let found = found_after(|tables| {
            tables.search_terms.retain(|_, _| false).unwrap();
            tables.search_blocks.retain(|_, _| false).unwrap();
        });

        assert_eq!(found, ["search_terms: no list leads to this message"]);
    }

    #[test]
    fn a_list_that_a_block_lost_is_found() {
        let found = found_after(|tables| {
            let mut is_first = true;
            let others = |_: (u32, &str), _: &[u8]| !std::mem::take(&mut is_first);
            tables.search_terms.retain(others).unwrap();
        });

        assert_eq!(
            found,
            ["search_blocks: its lists do not have as many rows as it says"]
        );
    }

    #[test]
    fn a_list_that_leads_to_no_message_is_found() {
        let found = found_after(|tables| {
            // The rows 7 and 8; the block says what it held before.
            tables
                .search_terms
                .insert((0, "x"), [7_u8, 1].as_slice())
                .unwrap();
        });

        assert_eq!(
            found,
            [
                "search_terms: leads to a message that is missing",
                "search_terms: has rows that its block has not",
                "search_blocks: its lists do not have as many rows as it says",
            ]
        );
    }
}
