//! Storing conversations: which row they are, the aliases that lead to them, the rows they were made of, their names.

use crate::base::ids::RowId;
use crate::base::time::AppleTime;
use crate::model::conversation::Conversation;
use crate::model::conversation::ConversationChange;
use crate::model::conversation::Name;
use crate::model::record::ChatColumn;
use crate::model::record::SourceKind;
use crate::store::error::StoreError;
use crate::store::prepared::Class;
use crate::store::prepared::Outline;
use crate::store::transaction::Transaction;
use crate::store::transaction::find;
use crate::store::transaction::put;
use crate::store::transaction::value;
use crate::store::value::ChangeKind;
use crate::store::value::Head;
use crate::store::value::ReadPosition;
use crate::store::value::StoredChat;
use crate::store::value::StoredConversation;
use crate::store::value::StoredMessage;

impl Head {
    /// Counts one more message.
    pub(super) fn add(&mut self, row: RowId, time: AppleTime, outline: &Outline) {
        self.messages += 1;
        self.oldest = Some(self.oldest.map_or(time, |oldest| oldest.min(time)));
        self.newest = self.newest.max(Some(time));
        if outline.class == Class::Message {
            self.newest_message = self.newest_message.max(Some(time));
        }
        self.note_read(row, time, outline);
    }

    /// Moves the read position to a message that the owner has read or written.
    pub(super) fn note_read(&mut self, row: RowId, time: AppleTime, outline: &Outline) {
        if let Some(from) = outline.read {
            self.raise_read(ReadPosition { time, row, from });
        }
    }

    /// Moves the read position if it is behind a place.
    pub(super) fn raise_read(&mut self, position: ReadPosition) -> bool {
        let place = |position: ReadPosition| (position.time, position.row);
        let is_further = self.read.map(place) < Some(place(position));
        if is_further {
            self.read = Some(position);
        }
        is_further
    }

    /// What was counted, without what clients were told.
    pub(super) fn totals(&self) -> Self {
        Self {
            messages: self.messages,
            oldest: self.oldest,
            newest: self.newest,
            newest_message: self.newest_message,
            ..Self::default()
        }
    }
}

impl Transaction<'_> {
    /// Stores what a source says of a conversation. It is the one that any of its aliases leads to; its key never
    /// changes (D9). Where several lead to different ones, they are one from now on, the oldest.
    pub(super) fn apply_conversation(
        &mut self,
        change: ConversationChange,
        source: SourceKind,
    ) -> Result<(), StoreError> {
        let failed = |error| StoreError::from_redb("writing to", error);
        let mut rows = Vec::new();
        for alias in &change.aliases {
            if let Some(row) = self.resolve(alias)?
                && !rows.contains(&row)
            {
                rows.push(row);
            }
        }
        rows.sort_unstable();
        let row = match rows.first() {
            Some(row) => self.update_conversation(*row, change.conversation, source)?,
            None => self.insert_conversation(change.conversation)?,
        };
        for alias in change.aliases {
            if self.alias_cache.get(&alias) != Some(&Some(row)) {
                self.tables
                    .aliases
                    .insert(alias.as_str(), row.0)
                    .map_err(failed)?;
                self.alias_cache.insert(alias, Some(row));
            }
        }
        for younger in rows.into_iter().skip(1) {
            self.unite(younger, row)?;
        }
        // Chats of CloudKit are records of their own.
        let records = change.records.into_iter();
        for record in records.filter(|_| source == SourceKind::ChatDb) {
            self.on_mac = None;
            let guid = record
                .row
                .text(ChatColumn::Guid)
                .unwrap_or_default()
                .to_lowercase();
            let chat = StoredChat {
                conversation: row,
                record,
            };
            let held: Option<StoredChat> = find(&self.tables.chats, "chats", guid.as_str())?;
            if held.as_ref() != Some(&chat) {
                put(
                    &mut self.tables.chats,
                    "chats",
                    guid.as_str(),
                    &chat,
                    &mut Vec::new(),
                )?;
            }
        }
        Ok(())
    }

    fn insert_conversation(&mut self, conversation: Conversation) -> Result<RowId, StoreError> {
        let row = self.new_row();
        let number = self.log_in(Some(row), ChangeKind::Conversation, row)?;
        let stored = StoredConversation {
            conversation,
            first_change: number,
            last_change: number,
            united_into: None,
        };
        self.tally.new_conversations += 1;
        Self::put_row(
            &mut self.tables.conversations,
            "conversations",
            row,
            &stored,
        )?;
        self.head(row)?;
        Ok(row)
    }

    fn update_conversation(
        &mut self,
        row: RowId,
        incoming: Conversation,
        source: SourceKind,
    ) -> Result<RowId, StoreError> {
        let held = self.conversation(row)?;
        let old = &held.conversation;
        let conversation = match source {
            // What the Mac says of a chat stands; CloudKit fills what is empty (ID-25).
            SourceKind::CloudKit if self.is_on_mac(row)? => Conversation {
                name: old.name.clone().or(incoming.name),
                participants: if old.participants.is_empty() {
                    incoming.participants
                } else {
                    old.participants.clone()
                },
                ..old.clone()
            },
            SourceKind::CloudKit => Conversation {
                key: old.key.clone(),
                kind: old.kind,
                // A state without a name does not take the name away (SC-21).
                name: newer_name(old, &incoming).or_else(|| old.name.clone()),
                deleted: old.deleted,
                ..incoming
            },
            SourceKind::ChatDb => Conversation {
                key: old.key.clone(),
                kind: old.kind,
                name: newer_name(old, &incoming)
                    .or_else(|| old.name.clone().filter(|_| self.is_cloud_used())),
                deleted: incoming
                    .deleted
                    .or(old.deleted.filter(|_| !self.is_cloud_used())),
                ..incoming
            },
        };
        if conversation != held.conversation {
            let last_change = self.log_in(Some(row), ChangeKind::Conversation, row)?;
            self.tally.changed_conversations += 1;
            let names = (text(old.name.as_ref()), text(conversation.name.as_ref()));
            self.note_group_name(row, names, last_change)?;
            let stored = StoredConversation {
                conversation,
                last_change,
                ..held
            };
            Self::put_row(
                &mut self.tables.conversations,
                "conversations",
                row,
                &stored,
            )?;
        }
        Ok(row)
    }

    /// Gives a conversation's name the time of the announcement that gave it (ID-21).
    pub(super) fn date_name(
        &mut self,
        row: RowId,
        title: &str,
        at: AppleTime,
    ) -> Result<(), StoreError> {
        let mut held = self.conversation(row)?;
        let Some(name) = &mut held.conversation.name else {
            return Ok(());
        };
        if name.text == title && name.at.is_none_or(|known| known < at) {
            name.at = Some(at);
            Self::put_row(&mut self.tables.conversations, "conversations", row, &held)?;
        }
        Ok(())
    }

    /// Two conversations turned out to be one: everything of the younger one is the older one's now (D19). Messages
    /// elsewhere that name the younger one as another home are seen to by [`Self::forget_united`].
    fn unite(&mut self, younger: RowId, older: RowId) -> Result<(), StoreError> {
        use redb::ReadableTable;

        let failed = |error| StoreError::from_redb("writing to", error);
        self.flush_order()?;
        let rows = (younger.0, i64::MIN, 0, 0)..=(younger.0, i64::MAX, u64::MAX, u16::MAX);
        let mut keys = Vec::new();
        for entry in self.tables.timeline.range(rows).map_err(failed)? {
            keys.push(entry.map_err(failed)?.0.value());
        }
        for (_, time, row, n) in &keys {
            self.tables
                .timeline
                .remove((younger.0, *time, *row, *n))
                .map_err(failed)?;
            self.tables
                .timeline
                .insert((older.0, *time, *row, *n), ())
                .map_err(failed)?;
        }
        for (_, _, row, _) in keys.iter().filter(|key| key.3 == 0) {
            let mut message = self.message(RowId(*row))?;
            message.conversation = Some(older);
            message.also_in.retain(|also| *also != older);
            let number = self.log_in(Some(older), ChangeKind::Message, RowId(*row))?;
            (message.last_change, message.came) = (number, Some(number));
            self.put_message(RowId(*row), &message)?;
            self.tally.changed += 1;
            self.tally.moved += 1;
            self.head(older)?
                .add(RowId(*row), message.time, &Outline::of(&message.message));
        }
        let empty = self.head(younger)?;
        let read = empty.read;
        *empty = Head {
            published: empty.published,
            epoch: empty.epoch,
            last_change: empty.last_change,
            ..Head::default()
        };
        if let Some(read) = read {
            self.head(older)?.raise_read(read);
        }
        let held = self.conversation(younger)?;
        let last_change = self.log_in(Some(younger), ChangeKind::Conversation, younger)?;
        let stored = StoredConversation {
            united_into: Some(older),
            last_change,
            ..held
        };
        Self::put_row(
            &mut self.tables.conversations,
            "conversations",
            younger,
            &stored,
        )?;
        let mut aliases = Vec::new();
        for entry in self.tables.aliases.iter().map_err(failed)? {
            let (alias, row) = entry.map_err(failed)?;
            if row.value() == younger.0 {
                aliases.push(alias.value().to_owned());
            }
        }
        for alias in &aliases {
            self.tables
                .aliases
                .insert(alias.as_str(), older.0)
                .map_err(failed)?;
        }
        self.alias_cache.clear();
        let mut chats = Vec::new();
        for entry in self.tables.chats.iter().map_err(failed)? {
            let (guid, bytes) = entry.map_err(failed)?;
            let chat: StoredChat = value("chats", bytes.value())?;
            if chat.conversation == younger {
                chats.push((guid.value().to_owned(), chat));
            }
        }
        for (guid, mut chat) in chats {
            chat.conversation = older;
            let (table, buffer) = (&mut self.tables.chats, &mut Vec::new());
            put(table, "chats", guid.as_str(), &chat, buffer)?;
        }
        self.on_mac = None;
        self.unite_states(younger, older)?;
        self.united.insert(younger, older);
        Ok(())
    }

    /// Names the conversations that took the place of others wherever messages name those as other homes. Reads every
    /// message, once for all conversations of a page: that conversations are united is rare.
    pub(super) fn forget_united(&mut self) -> Result<(), StoreError> {
        use redb::ReadableTable;

        let failed = |error| StoreError::from_redb("reading", error);
        let united = std::mem::take(&mut self.united);
        if united.is_empty() {
            return Ok(());
        }
        let mut found = Vec::new();
        for entry in self.tables.messages.iter().map_err(failed)? {
            let (row, bytes) = entry.map_err(failed)?;
            let message: StoredMessage = value("messages", bytes.value())?;
            if message.also_in.iter().any(|also| united.contains_key(also)) {
                found.push((RowId(row.value()), message));
            }
        }
        for (row, old) in found {
            let mut new = old.clone();
            new.also_in.clear();
            for also in &old.also_in {
                let mut also = *also;
                while let Some(older) = united.get(&also) {
                    also = *older;
                }
                if Some(also) != new.conversation && !new.also_in.contains(&also) {
                    new.also_in.push(also);
                }
            }
            self.update_message(row, &old, new, false)?;
        }
        Ok(())
    }

    /// Whether a conversation is the owner's with oneself.
    pub(super) fn is_self_chat(&mut self, row: RowId) -> Result<bool, StoreError> {
        if let Some(known) = self.self_chats.get(&row) {
            return Ok(*known);
        }
        let own = self.own_handles()?;
        let conversation = self.conversation(row)?.conversation;
        let is_self = conversation.key.is_direct()
            && conversation
                .participants
                .iter()
                .all(|who| own.contains(who));
        self.self_chats.insert(row, is_self);
        Ok(is_self)
    }
}

fn text(name: Option<&Name>) -> Option<&str> {
    name.map(|name| name.text.as_str())
}

/// The name that stands. A name without a time is the source's present state: it replaces another such name, also when
/// it is none; of two names with times the newer one stands (ID-20, ID-21).
fn newer_name(old: &Conversation, incoming: &Conversation) -> Option<Name> {
    match (&old.name, &incoming.name) {
        (Some(held), Some(new)) if new.at.is_none() && held.text == new.text => Some(held.clone()),
        (Some(held), Some(new)) if new.at.is_some() && new.at < held.at => Some(held.clone()),
        (_, new) => new.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::base::ids::ConversationKey;
    use crate::base::ids::RecordName;
    use crate::base::time::SystemClock;
    use crate::model::conversation::Alias;
    use crate::model::conversation::Conversation;
    use crate::model::conversation::ConversationChange;
    use crate::model::conversation::ConversationKind;
    use crate::model::conversation::Filed;
    use crate::model::record::ChatRecord;
    use crate::model::record::CloudRecord;
    use crate::model::record::CloudZone;
    use crate::model::record::SourceKind;
    use crate::store::Page;
    use crate::store::Store;
    use crate::store::StoreError;
    use crate::store::cloud::CloudContent;
    use crate::store::cloud::CloudItem;
    use crate::store::cloud::CloudPage;
    use crate::store::cloud::ZoneStep;

    /// A group that is known by some rooms, the first of which names it.
    fn group(rooms: &[&str]) -> ConversationChange {
        ConversationChange {
            conversation: Conversation {
                key: ConversationKey::group(rooms[0]),
                kind: ConversationKind::Group,
                service: None,
                participants: Vec::new(),
                name: None,
                deleted: None,
                filed: Filed::Inbox,
            },
            aliases: rooms.iter().map(|room| Alias::room(room)).collect(),
            records: vec![ChatRecord::default()],
        }
    }

    /// What CloudKit says of a chat, and of the record that is its only state.
    fn page(chat: ConversationChange, content: CloudContent) -> Page {
        Page {
            conversations: vec![chat],
            cloud: Some(CloudPage {
                zone: CloudZone::Chats,
                items: vec![CloudItem {
                    name: RecordName::parse("state").unwrap(),
                    content,
                    raw: None,
                }],
                step: ZoneStep::Forward(None),
            }),
            ..Page::default()
        }
    }

    #[test]
    fn a_conversation_that_is_united_with_one_of_the_mac_is_on_the_mac() {
        let store = Store::in_memory(Arc::new(SystemClock)).unwrap();
        let apply = |page: Page, source| {
            let stored: Result<_, StoreError> = store.write(|tx| tx.apply(page, source, 1));
            stored.unwrap();
        };
        let deleted = || {
            let snapshot = store.snapshot().unwrap();
            let row = snapshot.resolve(&Alias::room("cloud")).unwrap().unwrap();
            snapshot.conversation(row).unwrap().conversation.deleted
        };
        let there = CloudContent::Chat {
            aliases: vec![Alias::room("cloud")],
            record: CloudRecord::default(),
            unreadable: Vec::new(),
        };
        apply(page(group(&["cloud"]), there), SourceKind::CloudKit);
        let gone = page(group(&["cloud"]), CloudContent::Deleted);
        apply(gone, SourceKind::CloudKit);
        assert!(deleted().is_some());
        let on_mac = Page {
            conversations: vec![group(&["mac"])],
            ..Page::default()
        };
        apply(on_mac, SourceKind::ChatDb);

        let both = page(group(&["cloud", "mac"]), CloudContent::Deleted);
        apply(both, SourceKind::CloudKit);

        assert_eq!(deleted(), None);
    }
}
