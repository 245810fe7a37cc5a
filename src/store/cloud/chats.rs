//! Chat records: states of conversations, by which it is known whether one was deleted.

use redb::ReadableTable;

use crate::base::ids::RowId;
use crate::model::record::CloudRecord;
use crate::store::cloud::records::Filing;
use crate::store::error::StoreError;
use crate::store::transaction::Transaction;
use crate::store::value::Became;

impl Transaction<'_> {
    /// Files the record of a chat, and says of its conversation that it is to be looked at.
    pub(super) fn file_chat(
        &mut self,
        filing: Filing<'_>,
        became: Became,
        record: CloudRecord,
        reasons: Vec<String>,
    ) -> Result<(), StoreError> {
        let failed = |error| StoreError::from_redb("writing to", error);
        let before = filing.held.as_ref().map(|(_, held)| held.became);
        let id = self.file(filing, became, record, reasons)?;
        if let Some(Became::Chat(old)) = before
            && became != Became::Chat(old)
        {
            let old = self.present(old)?;
            let states = &mut self.tables.chat_states;
            states.remove((old.0, id.0)).map_err(failed)?;
            self.doubtful.insert(old);
        }
        if let Became::Chat(conversation) = became {
            let states = &mut self.tables.chat_states;
            states.insert((conversation.0, id.0), ()).map_err(failed)?;
            self.doubtful.insert(conversation);
        }
        Ok(())
    }

    /// The chat records of a conversation.
    pub(super) fn states_of(&self, conversation: RowId) -> Result<Vec<RowId>, StoreError> {
        let failed = |error| StoreError::from_redb("reading", error);
        let states = (conversation.0, 0)..=(conversation.0, u64::MAX);
        let mut ids = Vec::new();
        for entry in self.tables.chat_states.range(states).map_err(failed)? {
            ids.push(RowId(entry.map_err(failed)?.0.value().1));
        }
        Ok(ids)
    }

    /// The conversations of which a chat record was a state before it could not be opened any more.
    pub(super) fn conversations_of_state(&self, id: RowId) -> Result<Vec<RowId>, StoreError> {
        let failed = |error| StoreError::from_redb("reading", error);
        let mut found = Vec::new();
        for entry in self.tables.chat_states.iter().map_err(failed)? {
            let (conversation, state) = entry.map_err(failed)?.0.value();
            found.extend((state == id.0).then_some(RowId(conversation)));
        }
        Ok(found)
    }

    /// Two conversations are one: the chat records of the younger one are the older one's.
    pub(in crate::store) fn unite_states(
        &mut self,
        younger: RowId,
        older: RowId,
    ) -> Result<(), StoreError> {
        let failed = |error| StoreError::from_redb("writing to", error);
        let ids = self.states_of(younger)?;
        for id in &ids {
            let states = &mut self.tables.chat_states;
            states.remove((younger.0, id.0)).map_err(failed)?;
            states.insert((older.0, id.0), ()).map_err(failed)?;
        }
        // Also without any: the Mac may have the chats of the younger one.
        self.doubtful.insert(older);
        Ok(())
    }

    /// The conversation that one is now, in case it was united with another.
    pub(super) fn present(&self, mut conversation: RowId) -> Result<RowId, StoreError> {
        while let Some(older) = self.conversation(conversation)?.united_into {
            conversation = older;
        }
        Ok(conversation)
    }
}
