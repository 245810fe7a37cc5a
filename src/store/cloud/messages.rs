//! Messages of CloudKit: where they belong, and the conversations that come into being with them.

use crate::base::ids::ConversationKey;
use crate::base::ids::Guid;
use crate::base::ids::Handle;
use crate::base::ids::RowId;
use crate::model::change::Placement;
use crate::model::conversation::Alias;
use crate::model::conversation::Conversation;
use crate::model::conversation::ConversationChange;
use crate::model::conversation::ConversationKind;
use crate::model::conversation::Filed;
use crate::model::record::CloudZone;
use crate::model::record::SourceKind;
use crate::store::cloud::THERE;
use crate::store::error::StoreError;
use crate::store::messages::Origin;
use crate::store::prepared::Prepared;
use crate::store::transaction::Transaction;
use crate::store::transaction::find;
use crate::store::value::Tombstone;

/// Begins the key of a conversation with one person.
const DIRECT: &str = "dm:";

impl Transaction<'_> {
    /// Stores a message, without its record. Answers its row.
    pub(super) fn apply_cloud_message(
        &mut self,
        mut prepared: Prepared,
        decoder: u32,
    ) -> Result<RowId, StoreError> {
        let guid = prepared.outline.guid.clone();
        let rows = self.messages_with(&guid)?;
        if rows.is_empty() {
            let key = guid.to_string();
            let tombstone: Option<Tombstone> =
                find(&self.tables.tombstones, "tombstones", key.as_str())?;
            if let Some(tombstone) = tombstone {
                prepared.mark_deleted(tombstone.at)?;
            }
        }
        if self.is_placed_by_chat_db(&rows)?
            && prepared.message()?.service.as_deref() == Some("iMessage")
        {
            // Where the Mac has it is where it is.
            prepared.placement = Placement::default();
        } else {
            self.make_direct_conversation(&prepared)?;
        }
        let source = SourceKind::CloudKit;
        self.apply_message(prepared, Origin { source, decoder })
    }

    /// The message of a record of what was deleted lately, if it has a record of what is or was there: that one says what
    /// it is, whichever comes first, and this one only that it was deleted.
    pub(super) fn kept_elsewhere(
        &self,
        zone: CloudZone,
        guid: &Guid,
    ) -> Result<Option<RowId>, StoreError> {
        if !zone.is_recently_deleted() {
            return Ok(None);
        }
        for row in self.messages_with(guid)? {
            if self.cloud_record(row, THERE)?.is_some() {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    fn is_placed_by_chat_db(&mut self, rows: &[RowId]) -> Result<bool, StoreError> {
        let [row] = rows else { return Ok(false) };
        let held = self.message(*row)?;
        Ok(held.conversation.is_some() && held.sources.contains(&SourceKind::ChatDb))
    }

    /// Makes the conversation of a message with one person, if it names nothing that is known (ID-8.6): CloudKit keeps no
    /// chat record for many of those.
    fn make_direct_conversation(&mut self, prepared: &Prepared) -> Result<(), StoreError> {
        let candidates = &prepared.placement.candidates;
        for alias in candidates {
            if self.resolve(alias)?.is_some() {
                return Ok(());
            }
        }
        let with = candidates
            .last()
            .and_then(|last| last.as_str().strip_prefix(DIRECT));
        let Some(with) = with.map(|with| Handle::from_normal(with.to_owned())) else {
            return Ok(());
        };
        let own = self.own_handles()?;
        let is_self = own.contains(&with);
        let main = own.preferred().filter(|_| is_self).unwrap_or(&with);
        let change = ConversationChange {
            conversation: Conversation {
                key: ConversationKey::direct(main),
                kind: ConversationKind::Direct,
                service: prepared.message()?.service,
                participants: if is_self {
                    Vec::new()
                } else {
                    vec![with.clone()]
                },
                name: None,
                deleted: None,
                filed: Filed::Inbox,
            },
            aliases: [main, &with]
                .map(|handle| Alias::key(&ConversationKey::direct(handle)))
                .to_vec(),
            records: Vec::new(),
        };
        self.apply_conversation(change, SourceKind::CloudKit)?;
        self.has_new_people = true;
        Ok(())
    }
}
