//! A page of a zone, and what it does to the zone's position.

use std::collections::BTreeMap;

use crate::base::ids::ChangeToken;
use crate::base::ids::RecordName;
use crate::base::ids::RowId;
use crate::model::attachment::Attachment;
use crate::model::conversation::Alias;
use crate::model::record::CloudRecord;
use crate::model::record::CloudZone;
use crate::store::cloud::records::Filing;
use crate::store::error::StoreError;
use crate::store::prepared::Prepared;
use crate::store::transaction::Transaction;
use crate::store::transaction::find;
use crate::store::transaction::put;
use crate::store::value::Became;
use crate::store::value::Ended;
use crate::store::value::Opaque;
use crate::store::value::ZoneState;

/// What one zone delivers at once.
pub struct CloudPage {
    /// The zone.
    pub zone: CloudZone,
    /// Its changes, in their order: of several for one record the last one stands.
    pub items: Vec<CloudItem>,
    /// What happens to the zone's position.
    pub step: ZoneStep,
}

/// What happens to the position in a zone's feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ZoneStep {
    /// Nothing: its records were decoded again, or opened late.
    Stay,
    /// It moves behind this page. A page without a position leaves it where it is, and so does an empty one of messages
    /// (SC-12).
    Forward(Option<ChangeToken>),
    /// It is not accepted any more: the zone is begun again, and nothing is removed (D30).
    Reset,
    /// A pass over the zone ended.
    End(Ended),
    /// The server described the zone, with its keys, sealed.
    Described(Vec<u8>),
}

/// One change of a record.
pub struct CloudItem {
    /// The record's name.
    pub name: RecordName,
    /// What it means.
    pub content: CloudContent,
    /// The change as it came, if something of it stays sealed or cannot be read.
    pub raw: Option<Vec<u8>>,
}

/// What a change of a record means.
pub enum CloudContent {
    /// A message.
    Message {
        /// The message, prepared without its record.
        prepared: Box<Prepared>,
        /// What CloudKit said.
        record: CloudRecord,
    },
    /// One state of a chat. Its conversation is among the page's, or known from before.
    Chat {
        /// Names that lead to its conversation, the first that is known.
        aliases: Vec<Alias>,
        /// What CloudKit said.
        record: CloudRecord,
        /// What of it could not be decoded, and why.
        unreadable: Vec<String>,
    },
    /// A file.
    File {
        /// The file; `None` when not even its GUID is known.
        attachment: Option<Box<Attachment>>,
        /// What CloudKit said.
        record: CloudRecord,
        /// What of it could not be decoded, and why.
        unreadable: Vec<String>,
    },
    /// Of a type that this version does not know.
    Foreign(CloudRecord),
    /// No key of ours opens it.
    MissingKey {
        /// Which key is missing.
        reason: String,
    },
    /// It cannot be read at all.
    Unreadable {
        /// Why.
        reason: String,
    },
    /// The record was deleted.
    Deleted,
}

impl CloudPage {
    /// About how much memory its messages take, bytes.
    pub(in crate::store) fn size_bytes(&self) -> usize {
        let size = |item: &CloudItem| match &item.content {
            // Beside a message there is its record, which is about as large.
            CloudContent::Message { prepared, .. } => prepared.size_bytes() * 2,
            CloudContent::Chat { .. }
            | CloudContent::File { .. }
            | CloudContent::Foreign(_)
            | CloudContent::MissingKey { .. }
            | CloudContent::Unreadable { .. }
            | CloudContent::Deleted => size_of::<CloudItem>(),
        };
        self.items.iter().map(size).sum()
    }
}

/// The records whose last change in a page is that they were deleted, with the place of that change.
fn deleted_in_the_end(items: &[CloudItem]) -> BTreeMap<RecordName, usize> {
    let mut gone = BTreeMap::new();
    for (place, item) in items.iter().enumerate() {
        if matches!(item.content, CloudContent::Deleted) {
            gone.insert(item.name.clone(), place);
        } else {
            gone.remove(&item.name);
        }
    }
    gone
}

impl Transaction<'_> {
    /// Whether a zone of CloudKit was ever read.
    pub(in crate::store) fn is_cloud_used(&self) -> bool {
        use redb::ReadableTableMetadata;

        self.tables.zones.is_empty().is_ok_and(|is_empty| !is_empty)
    }

    /// Stores a page of a zone, decoded by one version of the decoder, and moves the zone's position.
    pub(in crate::store) fn apply_cloud(
        &mut self,
        page: CloudPage,
        decoder: u32,
    ) -> Result<(), StoreError> {
        let mut state = self.zone_state(page.zone)?;
        let count = page.items.len() as u64;
        let gone = deleted_in_the_end(&page.items);
        let is_again = page.step == ZoneStep::Stay;
        let is_begun_again = !is_again && state.resets > 0 && state.complete.is_none();
        for (place, item) in page.items.into_iter().enumerate() {
            let is_gone_later = gone.get(&item.name).is_some_and(|end| place < *end);
            if (is_gone_later || is_begun_again)
                && let Some((id, seen)) = self.told_of_the_past(page.zone, &item)?
                && (is_gone_later || seen < state.resets)
            {
                self.note_seen(id, page.zone, state.resets)?;
                continue;
            }
            self.apply_cloud_item(item, page.zone, is_again, (decoder, state.resets))?;
        }
        self.settle_conversations()?;
        match page.step {
            ZoneStep::Stay if count == 0 => return Ok(()),
            ZoneStep::Stay => {}
            ZoneStep::Forward(token) => {
                state.pages += 1;
                state.changes += count;
                let may_move = count > 0 || page.zone != CloudZone::Messages;
                if let Some(token) = token.filter(|_| may_move) {
                    state.token = Some(Opaque(token.as_bytes().to_vec()));
                }
            }
            ZoneStep::Reset => {
                state.token = None;
                state.resets += 1;
                state.complete = None;
            }
            ZoneStep::End(ended) => {
                if matches!(ended, Ended::CaughtUp | Ended::TokenUnchanged) {
                    state.caught_up = Some(self.now);
                    state.complete = state.complete.or(Some(self.now));
                }
                state.ended = ended;
                state.ended_at = Some(self.now);
                self.end_zone(page.zone)?;
            }
            ZoneStep::Described(zone) => state.protection = Some(Opaque(zone)),
        }
        let number = page.zone.number();
        put(
            &mut self.tables.zones,
            "zones",
            number,
            &state,
            &mut Vec::new(),
        )
    }

    /// How far a zone was read.
    pub(super) fn zone_state(&self, zone: CloudZone) -> Result<ZoneState, StoreError> {
        Ok(find(&self.tables.zones, "zones", zone.number())?.unwrap_or_default())
    }

    fn apply_cloud_item(
        &mut self,
        item: CloudItem,
        zone: CloudZone,
        is_again: bool,
        (decoder, resets): (u32, u32),
    ) -> Result<(), StoreError> {
        let CloudItem { name, content, raw } = item;
        let raw = raw.map(Opaque);
        let held = self.named_record(zone, &name)?;
        let before = held.as_ref().map(|(_, held)| held);
        // What is only decoded again did not come again (D30).
        let seen = before.filter(|_| is_again).map_or(resets, |held| held.seen);
        if let Some((id, held)) = &held
            && held.is_as_it_was(&content, raw.as_ref(), decoder)
            && self.is_for_the_reason(*id, &content)?
        {
            return self.note_seen(*id, zone, seen);
        }
        let deleted = before.and_then(|held| held.deleted).filter(|_| is_again);
        let mut filing = Filing {
            deleted,
            zone,
            name: &name,
            held,
            decoder,
            seen,
            raw,
        };
        match content {
            CloudContent::Message {
                mut prepared,
                record,
            } => {
                if let Some(at) = filing.deleted {
                    prepared.mark_deleted(at)?;
                }
                let at = record.modified.or(record.created);
                let guid = prepared.outline.guid.clone();
                let before = self.rows_handed_out();
                let row = match self.kept_elsewhere(zone, &guid)? {
                    Some(row) => row,
                    None => self.apply_cloud_message(*prepared, decoder)?,
                };
                self.file(filing, Became::Message(row), record, Vec::new())?;
                self.claim_files(row, &guid)?;
                if row >= before {
                    // A new one is what its record says.
                    if zone.is_recently_deleted() {
                        let conversation = self.message(row)?.conversation;
                        self.doubtful.extend(conversation);
                    }
                    return Ok(());
                }
                self.settle_deletion(row, at.filter(|_| zone.is_recently_deleted()))
            }
            CloudContent::Chat {
                aliases,
                record,
                unreadable,
            } => {
                let (became, reasons) = match self.first_known(&aliases)? {
                    Some(conversation) => (Became::Chat(conversation), unreadable),
                    None => (Became::Unreadable, vec!["the chat names nobody".to_owned()]),
                };
                self.file_chat(filing, became, record, reasons)
            }
            CloudContent::File {
                attachment: Some(attachment),
                record,
                unreadable,
            } => self.file_attachment(filing, *attachment, record, unreadable),
            CloudContent::File {
                attachment: None,
                record,
                unreadable,
            } => self
                .file(filing, Became::Unreadable, record, unreadable)
                .map(drop),
            CloudContent::Foreign(record) => {
                let reason = format!("a record of the type {}", record.kind);
                self.file(filing, Became::Foreign, record, vec![reason])
                    .map(drop)
            }
            CloudContent::MissingKey { reason } => {
                let record = filing.unopened();
                self.file(filing, Became::MissingKey, record, vec![reason])
                    .map(drop)
            }
            CloudContent::Unreadable { reason } => {
                let record = filing.unopened();
                self.file(filing, Became::Unreadable, record, vec![reason])
                    .map(drop)
            }
            CloudContent::Deleted => {
                let held = filing.held.take();
                self.apply_cloud_deletion(&filing, held)
            }
        }
    }

    /// The record that a change names, and when it was seen last, if the change says what is known of it and it is held as
    /// deleted.
    ///
    /// That is the past, told again after the zone was begun again. The change that says that it was deleted may be in the
    /// same page, in another one, or in none, so nothing comes back for a moment (ED-12, ED-14). A record that was restored
    /// since has another etag, and one that is told twice was told of as it is now the second time.
    fn told_of_the_past(
        &self,
        zone: CloudZone,
        item: &CloudItem,
    ) -> Result<Option<(RowId, u32)>, StoreError> {
        let record = match &item.content {
            CloudContent::Message { record, .. }
            | CloudContent::Chat { record, .. }
            | CloudContent::File { record, .. } => record,
            CloudContent::Foreign(_)
            | CloudContent::MissingKey { .. }
            | CloudContent::Unreadable { .. }
            | CloudContent::Deleted => return Ok(None),
        };
        let held = self.named_record(zone, &item.name)?;
        let known = held.filter(|(_, held)| held.deleted.is_some() && *record == held.record);
        Ok(known.map(|(id, held)| (id, held.seen)))
    }

    /// The first of some names that leads to a conversation.
    fn first_known(&mut self, aliases: &[Alias]) -> Result<Option<RowId>, StoreError> {
        for alias in aliases {
            if let Some(conversation) = self.resolve(alias)? {
                return Ok(Some(conversation));
            }
        }
        Ok(None)
    }
}
