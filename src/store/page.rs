//! Storing a page: everything of it, everything that follows from it, and its cursor.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::base::ids::Guid;
use crate::base::ids::Handle;
use crate::base::ids::RowId;
use crate::base::time::AppleTime;
use crate::model::attachment::Attachment;
use crate::model::change::Cursor;
use crate::model::change::Owner;
use crate::model::contact::Contact;
use crate::model::conversation::ConversationChange;
use crate::model::handle::OwnHandles;
use crate::model::record::HandleRow;
use crate::model::record::SourceKind;
use crate::store::cloud::CloudPage;
use crate::store::error::StoreError;
use crate::store::messages::Origin;
use crate::store::messages::homes_besides;
use crate::store::prepared::Prepared;
use crate::store::transaction::Transaction;
use crate::store::transaction::find;
use crate::store::transaction::put;
use crate::store::transaction::value;
use crate::store::value::ChangeKind;
use crate::store::value::ParkedRow;
use crate::store::value::Tombstone;

/// The owner's addresses in `meta`, a line each.
pub(super) const OWN_HANDLES: &str = "own_handles";

/// The region in `meta`, two letters.
const REGION: &str = "region";

/// What one source delivers at once. Everything of it is stored or nothing, the cursor included.
#[derive(Default)]
pub struct Page {
    /// Addresses as the source writes them.
    pub handles: Vec<HandleRow>,
    /// The whole address book; `None` leaves the stored one alone.
    pub contacts: Option<Vec<Contact>>,
    /// Conversations.
    pub conversations: Vec<ConversationChange>,
    /// Messages.
    pub messages: Vec<Prepared>,
    /// Messages that the source says were deleted for good. Those that are held stay, marked with the time (D12).
    pub deleted: Vec<(Guid, AppleTime)>,
    /// What was found out about files of messages that are held.
    pub attachments: Vec<(RowId, Attachment)>,
    /// Who the owner is; `None` leaves the stored facts alone.
    pub owner: Option<Owner>,
    /// What a zone of CloudKit delivers, and what happens to its position.
    pub cloud: Option<CloudPage>,
    /// Where reading goes on after this page.
    pub cursor: Option<Cursor>,
    /// Whether more pages of the same pass follow: clients see what it brings once the last page of the pass is stored,
    /// the one whose cursor has reached the end (D20).
    pub unfinished: bool,
}

impl Page {
    /// Messages and records, by which commits are cut.
    pub(super) fn rows(&self) -> usize {
        self.messages.len() + self.cloud.as_ref().map_or(0, |page| page.items.len())
    }

    /// About how much memory its messages take, bytes.
    pub(super) fn size_bytes(&self) -> usize {
        let cloud = self.cloud.as_ref().map_or(0, CloudPage::size_bytes);
        self.messages
            .iter()
            .map(Prepared::size_bytes)
            .sum::<usize>()
            + cloud
    }
}

impl Transaction<'_> {
    /// Stores a page of one source, decoded by one version of the decoder.
    ///
    /// # Errors
    ///
    /// Any error leaves the transaction unfit to be committed.
    pub fn apply(
        &mut self,
        page: Page,
        source: SourceKind,
        decoder: u32,
    ) -> Result<(), StoreError> {
        self.note_pass(source, page.unfinished, page.cursor.as_ref())?;
        if let Some(owner) = page.owner {
            self.put_meta(
                OWN_HANDLES,
                owner
                    .handles
                    .iter()
                    .map(Handle::as_str)
                    .collect::<Vec<_>>()
                    .join("\n"),
            )?;
            self.put_meta(REGION, owner.region)?;
            self.self_chats.clear();
        }
        self.apply_handles(page.handles)?;
        let has_people = page.contacts.is_some() || !page.conversations.is_empty();
        if let Some(contacts) = page.contacts {
            self.apply_contacts(contacts)?;
        }
        let has_conversations = !page.conversations.is_empty();
        for conversation in page.conversations {
            self.apply_conversation(conversation, source)?;
        }
        self.forget_united()?;
        if has_people {
            self.apply_merges()?;
        }
        for message in page.messages {
            self.apply_message(message, Origin { source, decoder })?;
        }
        for (row, attachment) in page.attachments {
            self.apply_attachment(row, attachment)?;
        }
        for (guid, at) in page.deleted {
            self.apply_deletion(&guid, at)?;
        }
        if let Some(page) = page.cloud {
            self.apply_cloud(page, decoder)?;
        }
        let has_new_people = std::mem::take(&mut self.has_new_people);
        if has_new_people {
            self.apply_merges()?;
        }
        if has_conversations || has_new_people {
            self.unpark()?;
        }
        if let Some(cursor) = page.cursor {
            put(
                &mut self.tables.cursors,
                "cursors",
                source.number(),
                &cursor,
                &mut Vec::new(),
            )?;
        }
        Ok(())
    }

    fn apply_handles(&mut self, handles: Vec<HandleRow>) -> Result<(), StoreError> {
        for handle in handles {
            let key = (handle.id.as_str(), handle.service.as_str());
            if find(&self.tables.handles, "handles", key)?.as_ref() != Some(&handle) {
                put(
                    &mut self.tables.handles,
                    "handles",
                    key,
                    &handle,
                    &mut Vec::new(),
                )?;
            }
        }
        Ok(())
    }

    /// Replaces the address book: cards that are gone go.
    fn apply_contacts(&mut self, contacts: Vec<Contact>) -> Result<(), StoreError> {
        use redb::ReadableTable;

        let failed = |error| StoreError::from_redb("writing to", error);
        let mut held: BTreeMap<String, Contact> = BTreeMap::new();
        for entry in self.tables.contacts.iter().map_err(failed)? {
            let (card, bytes) = entry.map_err(failed)?;
            let contact = value("contacts", bytes.value())?;
            held.insert(card.value().to_owned(), contact);
        }
        let mut gone: BTreeSet<&str> = held.keys().map(String::as_str).collect();
        let before = self.tally.contacts;
        for contact in &contacts {
            gone.remove(contact.id.as_str());
            if held.get(&contact.id) != Some(contact) {
                let (table, buffer) = (&mut self.tables.contacts, &mut Vec::new());
                put(table, "contacts", contact.id.as_str(), contact, buffer)?;
                self.tally.contacts += 1;
            }
        }
        for card in gone {
            self.tables.contacts.remove(card).map_err(failed)?;
            self.tally.contacts += 1;
        }
        if self.tally.contacts != before {
            let change = self.log(ChangeKind::Contacts, RowId(0));
            // By card, as readers get them: an address on two cards keeps the name of the first.
            let after: BTreeMap<String, Contact> = contacts
                .into_iter()
                .map(|contact| (contact.id.clone(), contact))
                .collect();
            let (before, after) = (held.into_values(), after.into_values());
            self.note_names(before.collect(), after.collect(), change)?;
        }
        Ok(())
    }

    /// Looks again for the conversations of parked messages (ID-9).
    fn unpark(&mut self) -> Result<(), StoreError> {
        use redb::ReadableTable;

        let failed = |error| StoreError::from_redb("reading", error);
        let mut parked = Vec::new();
        for entry in self.tables.parked.iter().map_err(failed)? {
            let (row, bytes) = entry.map_err(failed)?;
            let entry: ParkedRow = value("parked", bytes.value())?;
            parked.push((RowId(row.value()), entry));
        }
        for (row, entry) in parked {
            let mut homes = self.homes(&entry.placement)?.into_iter();
            let Some(home) = homes.next() else { continue };
            let old = self.message(row)?;
            let mut new = old.clone();
            new.conversation = Some(home);
            new.also_in = homes_besides(&old.sources, homes);
            self.tables.parked.remove(row.0).map_err(failed)?;
            self.update_message(row, &old, new, false)?;
        }
        Ok(())
    }

    pub(super) fn remember_tombstone(
        &mut self,
        guid: &Guid,
        at: AppleTime,
    ) -> Result<(), StoreError> {
        let guid = guid.to_string();
        let known: Option<Tombstone> = find(&self.tables.tombstones, "tombstones", guid.as_str())?;
        match known {
            Some(_) => Ok(()),
            None => put(
                &mut self.tables.tombstones,
                "tombstones",
                guid.as_str(),
                &Tombstone { at },
                &mut Vec::new(),
            ),
        }
    }

    /// The owner's addresses.
    pub(super) fn own_handles(&self) -> Result<OwnHandles, StoreError> {
        use redb::ReadableTable;

        let found = self
            .tables
            .meta
            .get(OWN_HANDLES)
            .map_err(|error| StoreError::from_redb("reading", error))?;
        let text = found
            .map(|bytes| String::from_utf8_lossy(bytes.value()).into_owned())
            .unwrap_or_default();
        let handles = text
            .lines()
            .map(|line| Handle::from_normal(line.to_owned()));
        Ok(OwnHandles::from_normal(handles.collect()))
    }

    pub(super) fn put_meta(
        &mut self,
        name: &str,
        value: impl AsRef<[u8]>,
    ) -> Result<(), StoreError> {
        let written = self.tables.meta.insert(name, value.as_ref());
        written
            .map(drop)
            .map_err(|error| StoreError::from_redb("writing to", error))
    }
}
