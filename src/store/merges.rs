//! One person, several addresses: DM conversations shown as one, as rows that can be taken away again (ID-30 to 32).

use std::collections::BTreeMap;

use redb::ReadableTable;

use crate::base::ids::Handle;
use crate::base::ids::RowId;
use crate::model::contact::Contact;
use crate::model::contact::people;
use crate::store::error::StoreError;
use crate::store::transaction::Transaction;
use crate::store::transaction::find;
use crate::store::transaction::value;
use crate::store::value::Merge;
use crate::store::value::StoredConversation;

impl Transaction<'_> {
    /// Makes the merges what the address book says now. What the owner keeps apart stays apart.
    pub(super) fn apply_merges(&mut self) -> Result<(), StoreError> {
        let failed = |error| StoreError::from_redb("writing to", error);
        let wanted = self.wanted_merges()?;
        let mut held = BTreeMap::new();
        for entry in self.tables.merges.iter().map_err(failed)? {
            let (row, bytes) = entry.map_err(failed)?;
            held.insert(RowId(row.value()), value::<Merge>("merges", bytes.value())?);
        }
        for (row, merge) in &held {
            if let Merge::Into(into) = merge
                && wanted.get(row) != Some(into)
            {
                self.tables.merges.remove(row.0).map_err(failed)?;
                self.renew_rooms([*row, *into])?;
            }
        }
        for (row, into) in wanted {
            let merge = Merge::Into(into);
            if !matches!(held.get(&row), Some(known) if *known == merge || *known == Merge::Apart) {
                Self::put_row(&mut self.tables.merges, "merges", row, &merge)?;
                self.renew_rooms([row, into])?;
            }
        }
        Ok(())
    }

    /// Gives conversations that clients see new rooms: what they show is another set of conversations now (D19).
    fn renew_rooms(&mut self, conversations: [RowId; 2]) -> Result<(), StoreError> {
        for conversation in conversations {
            if self.head(conversation)?.published.is_some() {
                self.renew_room(conversation)?;
            }
        }
        Ok(())
    }

    /// Shows a conversation as its own again, or lets the address book decide.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn keep_apart(&mut self, conversation: RowId, apart: bool) -> Result<(), StoreError> {
        if apart {
            let held: Option<Merge> = find(&self.tables.merges, "merges", conversation.0)?;
            let table = &mut self.tables.merges;
            Self::put_row(table, "merges", conversation, &Merge::Apart)?;
            return match held {
                Some(Merge::Into(into)) => self.renew_rooms([conversation, into]),
                Some(Merge::Apart) | None => Ok(()),
            };
        }
        let removed = self.tables.merges.remove(conversation.0);
        removed.map_err(|error| StoreError::from_redb("writing to", error))?;
        self.apply_merges()
    }

    /// Every DM that is shown as another one, by the address book.
    fn wanted_merges(&self) -> Result<BTreeMap<RowId, RowId>, StoreError> {
        let failed = |error| StoreError::from_redb("reading", error);
        let mut contacts: Vec<Contact> = Vec::new();
        for entry in self.tables.contacts.iter().map_err(failed)? {
            contacts.push(value("contacts", entry.map_err(failed)?.1.value())?);
        }
        let canonical = people(&contacts, &self.own_handles()?);
        let mut by_person: BTreeMap<&Handle, Vec<(bool, RowId)>> = BTreeMap::new();
        for entry in self.tables.conversations.iter().map_err(failed)? {
            let (row, bytes) = entry.map_err(failed)?;
            let stored: StoredConversation = value("conversations", bytes.value())?;
            if stored.united_into.is_some() || !stored.conversation.key.is_direct() {
                continue;
            }
            if let [other] = stored.conversation.participants.as_slice()
                && let Some(person) = canonical.get(other)
            {
                by_person
                    .entry(person)
                    .or_default()
                    .push((person != other, RowId(row.value())));
            }
        }
        let mut merges = BTreeMap::new();
        for mut rows in by_person.into_values() {
            rows.sort_unstable();
            let mut rows = rows.into_iter();
            if let Some((_, first)) = rows.next() {
                merges.extend(rows.map(|(_, row)| (row, first)));
            }
        }
        Ok(merges)
    }
}
