//! A change as it came to what is stored of it: read, opened with the keys that are held, decoded. One that cannot be read or
//! opened goes along with its bytes; it never keeps others back (SC-14).

use std::collections::BTreeSet;
use std::fmt::Write;

use bytes::Bytes;
use sha2::Digest;
use sha2::Sha256;

use crate::apple::zone::RecordError;
use crate::apple::zone::ZoneKeys;
use crate::base::ids::RecordName;
use crate::codec::cloudkit::RecordChange;
use crate::decode::chatdb::Directory;
use crate::decode::cloudkit;
use crate::decode::cloudkit::Decoder;
use crate::ingest::people::own_addresses;
use crate::model::change::CloudChange;
use crate::model::change::CloudChat;
use crate::model::conversation::Alias;
use crate::model::record::ChatColumn;
use crate::model::record::CloudRecord;
use crate::model::record::CloudZone;
use crate::store::Preparer;
use crate::store::StoreError;
use crate::store::cloud::CloudContent;
use crate::store::cloud::CloudItem;

/// Begins the name that a change gets that does not tell its own.
const NAMELESS: &str = "?";

/// Opens the changes of one zone.
pub(super) struct Opener {
    zone: CloudZone,
    keys: Option<ZoneKeys>,
    decoder: Decoder,
    preparer: Preparer,
}

/// What was opened.
#[derive(Default)]
pub(super) struct Opened {
    pub(super) items: Vec<CloudItem>,
    /// States of chats among them.
    pub(super) chats: Vec<CloudChat>,
    /// The own addresses that they name.
    pub(super) own: BTreeSet<String>,
    /// How many of them lack a key.
    pub(super) closed: u64,
}

impl Opener {
    /// With the keys of a zone, if they are held.
    pub(super) fn new(zone: CloudZone, keys: Option<ZoneKeys>, people: Directory) -> Self {
        Self {
            zone,
            keys,
            decoder: Decoder::new(people),
            preparer: Preparer::default(),
        }
    }

    /// Takes other keys.
    pub(super) fn set_keys(&mut self, keys: Option<ZoneKeys>) {
        self.keys = keys;
    }

    /// Opens changes, in their order.
    pub(super) fn open(&mut self, changes: &[Bytes]) -> Result<Opened, StoreError> {
        let mut opened = Opened::default();
        for bytes in changes {
            self.open_one(bytes, &mut opened)?;
        }
        Ok(opened)
    }

    /// Opens one change.
    pub(super) fn open_one(
        &mut self,
        bytes: &Bytes,
        opened: &mut Opened,
    ) -> Result<(), StoreError> {
        let raw = || Some(bytes.to_vec());
        let item = |name, content, raw| CloudItem { name, content, raw };
        let change = match RecordChange::read(bytes.clone()) {
            Ok(change) => change,
            Err(error) => {
                let reason = error.to_string();
                let content = CloudContent::Unreadable { reason };
                opened.items.push(item(nameless(bytes), content, raw()));
                return Ok(());
            }
        };
        let Some(name) = change.name().and_then(RecordName::parse) else {
            let reason = "the change names no record".to_owned();
            let content = CloudContent::Unreadable { reason };
            opened.items.push(item(nameless(bytes), content, raw()));
            return Ok(());
        };
        let Some(mut record) = change.record else {
            opened.items.push(item(name, CloudContent::Deleted, None));
            return Ok(());
        };
        let sealed = match &self.keys {
            Some(keys) => keys.open_record(&mut record),
            None => Err(RecordError::NoKeyNamed),
        };
        match sealed {
            Ok(sealed) => {
                let raw = raw().filter(|_| !sealed.is_empty());
                let mut record = cloudkit::record(record, &sealed);
                self.zone.name().clone_into(&mut record.zone);
                name.as_str().clone_into(&mut record.name);
                self.decode(name, record, raw, opened)
            }
            Err(error) => {
                opened.closed += 1;
                let reason = match &self.keys {
                    None => "no key of ours opens the zone".to_owned(),
                    Some(_) => error.to_string(),
                };
                let content = CloudContent::MissingKey { reason };
                opened.items.push(item(name, content, raw()));
                Ok(())
            }
        }
    }

    /// Decodes a record in clear.
    pub(super) fn decode(
        &mut self,
        name: RecordName,
        record: CloudRecord,
        raw: Option<Vec<u8>>,
        opened: &mut Opened,
    ) -> Result<(), StoreError> {
        let content = match self.decoder.decode(record) {
            CloudChange::Message(found) => {
                let mut change = found.change;
                own_addresses(&change.record.row, &mut opened.own);
                if found.is_recoverable {
                    // Since when it lies there the record does not say, but it came there when it was deleted.
                    let since = found.record.modified.or(found.record.created);
                    let since = since.or(change.message.times.sent);
                    change.message.times.deleted = Some(since.unwrap_or_default());
                }
                let mut prepared = self
                    .preparer
                    .prepare_alone(change.message, change.placement)?;
                prepared.stand_at(found.changed);
                CloudContent::Message {
                    prepared: Box::new(prepared),
                    record: found.record,
                }
            }
            CloudChange::Chat(chat) => {
                let content = CloudContent::Chat {
                    aliases: names_of(&chat),
                    record: chat.record.clone(),
                    unreadable: chat.unreadable.clone(),
                };
                let own = chat.chat.row.text(ChatColumn::LastAddressedHandle);
                opened.own.extend(own.map(str::to_owned));
                opened.chats.push(*chat);
                content
            }
            CloudChange::Attachment(file) => CloudContent::File {
                attachment: file.attachment.map(Box::new),
                record: file.record,
                unreadable: file.unreadable,
            },
            CloudChange::Foreign(record) => CloudContent::Foreign(record),
        };
        opened.items.push(CloudItem { name, content, raw });
        Ok(())
    }
}

/// Names that lead to the conversation of a chat record, the surest first.
fn names_of(chat: &CloudChat) -> Vec<Alias> {
    let row = &chat.chat.row;
    let mut names = chat.aliases.clone();
    names.extend(row.text(ChatColumn::GroupId).map(Alias::group_id));
    names.extend(row.text(ChatColumn::Guid).map(Alias::chat));
    names.extend(row.text(ChatColumn::ChatIdentifier).map(Alias::room));
    names
}

/// A name for a change that does not tell its own: the same for the same bytes.
fn nameless(bytes: &Bytes) -> RecordName {
    let mut name = NAMELESS.to_owned();
    for byte in Sha256::digest(bytes).iter().take(16) {
        if write!(name, "{byte:02x}").is_err() {
            break;
        }
    }
    #[expect(
        clippy::expect_used,
        reason = "the name begins with a question mark: it is not empty"
    )]
    RecordName::parse(&name).expect("not empty")
}
