//! When a message or a conversation counts as deleted, by what CloudKit says of its records (ED-10 to ED-24).
//!
//! | records of a message | it is |
//! |---|---|
//! | one is there, none among what was deleted lately | there |
//! | one among what was deleted lately | deleted |
//! | all were deleted | deleted |
//!
//! A conversation counts as deleted when chat records of it were deleted or moved, none is left where they are, and its
//! newest three messages are deleted (ED-20). One that never had a chat record, as many with one person, counts as deleted
//! when all its messages are (ED-21). What the Mac still has is not deleted. All of it follows from what is there
//! now, in whatever order it came, and nothing is ever removed: a record that comes back brings back what it stands for, and
//! a new message brings back its conversation, without the old ones (ED-14).
//!
//! A record and its deletion that come in one pass show nothing in between: clients see a pass at its end (D20). After a
//! zone was begun again the past may be told once more; what it says of records that are held as deleted, as they were then,
//! is no news. Of one that is held as there and told as deleted and then as there again, clients keep the message, but as
//! one that was restored.

use redb::ReadableTable;

use crate::base::ids::RowId;
use crate::base::time::AppleTime;
use crate::model::record::CloudZone;
use crate::model::record::SourceKind;
use crate::store::cloud::DELETED;
use crate::store::cloud::THERE;
use crate::store::cloud::records::Filing;
use crate::store::cloud::shelf;
use crate::store::error::StoreError;
use crate::store::transaction::Transaction;
use crate::store::transaction::find;
use crate::store::transaction::value;
use crate::store::value::Became;
use crate::store::value::ChangeKind;
use crate::store::value::StoredChat;
use crate::store::value::StoredCloudRecord;
use crate::store::value::StoredConversation;
use crate::store::value::StoredRecord;
use crate::store::value::Tombstone;

/// The newest messages of a conversation that must be deleted for it to look deleted.
const NEWEST: usize = 3;

impl Transaction<'_> {
    /// A record was deleted, and so is what it was before it could not be opened any more. One that was never seen is
    /// remembered by its name: that is no GUID (ED-17).
    pub(super) fn apply_cloud_deletion(
        &mut self,
        filing: &Filing<'_>,
        held: Option<(RowId, StoredCloudRecord)>,
    ) -> Result<(), StoreError> {
        let number = shelf(filing.zone);
        let Some((id, held)) = held else {
            let id = self.new_row();
            let record = StoredCloudRecord {
                decoder: filing.decoder,
                became: Became::Nothing,
                deleted: Some(self.now),
                seen: filing.seen,
                record: filing.unopened(),
                ..StoredCloudRecord::default()
            };
            self.name_record(filing.zone, filing.name, id);
            return self.put_cloud_record(id, number, &record);
        };
        let (became, before) = (held.became, held.shown_before());
        let deleted = StoredCloudRecord {
            deleted: Some(self.now),
            seen: filing.seen,
            ..held
        };
        self.put_cloud_record(id, number, &deleted)?;
        match became {
            Became::Message(row) => self.settle_deletion(row, None),
            Became::Chat(conversation) => {
                let conversation = self.present(conversation)?;
                self.doubtful.insert(conversation);
                Ok(())
            }
            Became::MissingKey | Became::Unreadable | Became::Foreign => {
                if filing.zone == CloudZone::Chats {
                    let conversations = self.conversations_of_state(id)?;
                    self.doubtful.extend(conversations);
                }
                let Some(before) = before else { return Ok(()) };
                let shown = self.cloud_record(before, number)?;
                shown.map_or(Ok(()), |shown| {
                    self.apply_cloud_deletion(filing, Some((before, shown)))
                })
            }
            Became::Nothing | Became::Attachment(_) => Ok(()),
        }
    }

    /// Whether CloudKit says that a message was deleted; `None` if it has no record of it.
    pub(in crate::store) fn cloud_deletion(&self, row: RowId) -> Result<Option<bool>, StoreError> {
        let is_there = self.has_one_left(row, THERE)?;
        let was_moved = self.has_one_left(row, DELETED)?;
        Ok(match (is_there, was_moved) {
            (None, None) => None,
            (_, Some(true)) | (None, Some(false)) => Some(true),
            (Some(is_there), _) => Some(!is_there),
        })
    }

    /// Whether one of a message's records on a shelf was not deleted; `None` if there are none.
    fn has_one_left(&self, row: RowId, number: u8) -> Result<Option<bool>, StoreError> {
        let Some(first) = self.cloud_record(row, number)? else {
            return Ok(None);
        };
        if first.deleted.is_none() {
            return Ok(Some(true));
        }
        for other in first.others {
            let other = self.cloud_record(other, number)?;
            if other.is_some_and(|other| other.deleted.is_none()) {
                return Ok(Some(true));
            }
        }
        Ok(Some(false))
    }

    /// Marks a message as deleted, or as there again, as its records say now. One that is marked keeps its time (ED-12).
    pub(super) fn settle_deletion(
        &mut self,
        row: RowId,
        at: Option<AppleTime>,
    ) -> Result<(), StoreError> {
        let Some(is_deleted) = self.cloud_deletion(row)? else {
            return Ok(());
        };
        let old = self.message(row)?;
        let deleted = match (is_deleted, old.message.times.deleted) {
            (true, None) => Some(at.unwrap_or(self.now)),
            (false, Some(_)) if !self.is_deleted_on_mac(row)? => None,
            (true, Some(_)) | (false, Some(_) | None) => return Ok(()),
        };
        let mut new = old.clone();
        new.message.times.deleted = deleted;
        self.doubtful.extend(new.conversation);
        self.update_message(row, &old, new, false).map(drop)
    }

    /// Whether chat.db says that a message was deleted.
    fn is_deleted_on_mac(&mut self, row: RowId) -> Result<bool, StoreError> {
        let key = (row.0, SourceKind::ChatDb.number());
        let record: Option<StoredRecord> = find(&self.tables.records, "records", key)?;
        if let Some(record) = record {
            return Ok(record.record.recoverable.is_some());
        }
        let guid = self.message(row)?.message.guid.to_string();
        let tombstone: Option<Tombstone> =
            find(&self.tables.tombstones, "tombstones", guid.as_str())?;
        Ok(tombstone.is_some())
    }

    /// Looks at the conversations of which something was deleted or came, whether they count as deleted now.
    pub(super) fn settle_conversations(&mut self) -> Result<(), StoreError> {
        let mut doubtful = std::mem::take(&mut self.doubtful);
        let coming = self.coming_change();
        let since = std::mem::replace(&mut self.settled, coming);
        let touched = self.heads.iter();
        let touched = touched.filter(|(_, head)| head.last_change >= since);
        let touched: Vec<RowId> = touched.map(|(row, _)| *row).collect();
        for conversation in touched {
            let held = find(&self.tables.conversations, "conversations", conversation.0)?;
            if held.is_some_and(|held: StoredConversation| held.conversation.deleted.is_some()) {
                doubtful.insert(conversation);
            }
        }
        if doubtful.is_empty() {
            return Ok(());
        }
        self.flush_order()?;
        for conversation in doubtful {
            self.settle_conversation(conversation)?;
        }
        Ok(())
    }

    fn settle_conversation(&mut self, row: RowId) -> Result<(), StoreError> {
        let mut held = self.conversation(row)?;
        if held.united_into.is_some() {
            return Ok(());
        }
        let is_deleted = self.looks_deleted(row)?;
        if held.conversation.deleted.is_some() == is_deleted {
            return Ok(());
        }
        held.conversation.deleted = is_deleted.then_some(self.now);
        held.last_change = self.log_in(Some(row), ChangeKind::Conversation, row)?;
        self.tally.changed_conversations += 1;
        let table = &mut self.tables.conversations;
        Self::put_row(table, "conversations", row, &held)
    }

    fn looks_deleted(&mut self, conversation: RowId) -> Result<bool, StoreError> {
        if self.is_on_mac(conversation)? || !self.are_newest_deleted(conversation)? {
            return Ok(false);
        }
        let states = self.states_of(conversation)?;
        if states.is_empty() {
            return self.are_all_deleted(conversation);
        }
        for id in states {
            let there = self.cloud_record(id, THERE)?;
            if there.is_some_and(|state| state.deleted.is_none()) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether a conversation has messages, and all of them are deleted.
    fn are_all_deleted(&mut self, conversation: RowId) -> Result<bool, StoreError> {
        let all = self.messages_of(conversation)?;
        for row in &all {
            if self.message(*row)?.message.times.deleted.is_none() {
                return Ok(false);
            }
        }
        Ok(!all.is_empty())
    }

    fn are_newest_deleted(&mut self, conversation: RowId) -> Result<bool, StoreError> {
        let failed = |error| StoreError::from_redb("reading", error);
        let rows =
            (conversation.0, i64::MIN, 0, 0)..=(conversation.0, i64::MAX, u64::MAX, u16::MAX);
        let mut newest = Vec::new();
        for entry in self.tables.timeline.range(rows).map_err(failed)?.rev() {
            let (_, _, row, n) = entry.map_err(failed)?.0.value();
            if n == 0 {
                newest.push(RowId(row));
            }
            if newest.len() == NEWEST {
                break;
            }
        }
        for row in newest {
            if self.message(row)?.message.times.deleted.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether chat.db has a chat of this conversation.
    pub(in crate::store) fn is_on_mac(&mut self, conversation: RowId) -> Result<bool, StoreError> {
        let failed = |error| StoreError::from_redb("reading", error);
        if self.on_mac.is_none() {
            let mut found = std::collections::BTreeSet::new();
            for entry in self.tables.chats.iter().map_err(failed)? {
                let chat: StoredChat = value("chats", entry.map_err(failed)?.1.value())?;
                found.insert(chat.conversation);
            }
            self.on_mac = Some(found);
        }
        let found = self.on_mac.as_ref();
        Ok(found.is_some_and(|found| found.contains(&conversation)))
    }
}
