//! A change as it came to what is stored of it: read, opened with the keys that are held, decoded. One that cannot be read or
//! opened goes along with its bytes; it never keeps others back, not even by a panic (SC-14).

use std::collections::BTreeSet;
use std::fmt::Write;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

use bytes::Bytes;
use sha2::Digest;
use sha2::Sha256;

use crate::apple::zone::RecordError;
use crate::apple::zone::ZoneKeys;
use crate::base::ids::RecordName;
use crate::base::limits::CLOUD_RECORD_BYTES;
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

/// Why a change is in quarantine that cannot be looked at.
const BUG: &str = "a bug in footbridge: reading it panics";

/// Why one is that came in a page that ended the program (SC-23a).
const SET_ASIDE: &str = "footbridge ended again and again while it read the page that this came in; \
     `footbridge redecode --all` tries once more";

/// Opens the changes of one zone.
pub(super) struct Opener {
    zone: CloudZone,
    keys: Option<ZoneKeys>,
    people: Directory,
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
            decoder: Decoder::new(people.clone()),
            people,
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

    /// Keeps changes without a look into their records.
    pub(super) fn set_aside(changes: &[Bytes]) -> Opened {
        let items = changes.iter().map(|bytes| closed(bytes, SET_ASIDE));
        Opened {
            items: items.collect(),
            ..Opened::default()
        }
    }

    /// Opens one change.
    pub(super) fn open_one(
        &mut self,
        bytes: &Bytes,
        opened: &mut Opened,
    ) -> Result<(), StoreError> {
        if bytes.len() > CLOUD_RECORD_BYTES {
            let reason = format!(
                "the record has {} bytes, over the limit of {CLOUD_RECORD_BYTES}",
                bytes.len()
            );
            opened.items.push(closed(bytes, &reason));
            return Ok(());
        }
        self.isolated(bytes, opened, |this, opened| {
            this.open_change(bytes, opened)
        })
    }

    /// Does what may be wrong with a change. If that panics, the change is kept as it came, and nothing else of it.
    fn isolated(
        &mut self,
        bytes: &Bytes,
        opened: &mut Opened,
        work: impl FnOnce(&mut Self, &mut Opened) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let (items, chats, closed_before) = (opened.items.len(), opened.chats.len(), opened.closed);
        let done = catch_unwind(AssertUnwindSafe(|| work(self, opened)));
        done.unwrap_or_else(|_panic| {
            tracing::error!(zone = self.zone.name(), "reading a record panicked");
            self.decoder = Decoder::new(self.people.clone());
            self.preparer = Preparer::default();
            opened.items.truncate(items);
            opened.chats.truncate(chats);
            opened.closed = closed_before;
            opened.items.push(closed(bytes, BUG));
            Ok(())
        })
    }

    fn open_change(&mut self, bytes: &Bytes, opened: &mut Opened) -> Result<(), StoreError> {
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
                let raw = if sealed.is_empty() { None } else { raw() };
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

/// A change of which nothing but its name is looked at. One that is too large is not even kept.
fn closed(bytes: &Bytes, reason: &str) -> CloudItem {
    let read = catch_unwind(|| RecordChange::read(bytes.clone()));
    let name = read
        .ok()
        .and_then(|change| change.ok()?.name().and_then(RecordName::parse));
    CloudItem {
        name: name.unwrap_or_else(|| nameless(bytes)),
        content: CloudContent::Unreadable {
            reason: reason.to_owned(),
        },
        raw: (bytes.len() <= CLOUD_RECORD_BYTES).then(|| bytes.to_vec()),
    }
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::BUG;
    use super::Opened;
    use super::Opener;
    use crate::base::ids::RecordName;
    use crate::base::limits::CLOUD_RECORD_BYTES;
    use crate::codec::cloudkit::Field;
    use crate::codec::cloudkit::Record;
    use crate::codec::cloudkit::RecordChange;
    use crate::codec::cloudkit::RecordIdentifier;
    use crate::codec::cloudkit::Value;
    use crate::codec::cloudkit::ZoneIdentifier;
    use crate::decode::chatdb::Directory;
    use crate::model::record::CloudZone;
    use crate::store::cloud::CloudContent;
    use crate::store::cloud::CloudItem;

    fn deleted(name: &str) -> Bytes {
        let zone = ZoneIdentifier::new(CloudZone::Messages.name(), "_user");
        RecordChange {
            identifier: Some(RecordIdentifier::new(name, zone)),
            ..RecordChange::default()
        }
        .write()
    }

    #[test]
    fn a_record_that_panics_is_kept_and_its_neighbours_are_read() {
        let mut opener = Opener::new(CloudZone::Messages, None, Directory::default());
        let mut found = Opened::default();
        let [first, bad, last] = ["first", "bad", "last"].map(deleted);

        opener.open_one(&first, &mut found).unwrap();
        opener
            .isolated(&bad, &mut found, |this, found| {
                this.open_change(&bad, found).unwrap();
                panic!("a bug")
            })
            .unwrap();
        opener.open_one(&last, &mut found).unwrap();

        let names: Vec<&RecordName> = found.items.iter().map(|item| &item.name).collect();
        let [_, kept, _] = found.items.as_slice() else {
            panic!("{names:?}")
        };
        assert_eq!(
            names,
            ["first", "bad", "last"]
                .map(|name| RecordName::parse(name).unwrap())
                .iter()
                .collect::<Vec<_>>()
        );
        assert_eq!(kept.raw.as_deref(), Some(&bad[..]));
        let CloudContent::Unreadable { reason } = &kept.content else {
            panic!("it was read")
        };
        assert_eq!(reason, BUG);
    }

    /// A change with a record that takes so many bytes, about.
    fn large(name: &str, size: usize) -> Bytes {
        let zone = ZoneIdentifier::new(CloudZone::Messages.name(), "_user");
        let identifier = RecordIdentifier::new(name, zone);
        let value = Value {
            bytes: Some(vec![7; size].into()),
            ..Value::default()
        };
        RecordChange {
            identifier: Some(identifier.clone()),
            record: Some(Record {
                identifier: Some(identifier),
                fields: vec![Field::new("field", value)],
                ..Record::default()
            }),
            ..RecordChange::default()
        }
        .write()
    }

    #[test]
    fn a_record_that_is_too_large_to_be_read_again_is_named_and_not_kept() {
        let mut opener = Opener::new(CloudZone::Messages, None, Directory::default());
        let changes = [
            large("fits", CLOUD_RECORD_BYTES - 1_000),
            large("large", CLOUD_RECORD_BYTES),
        ];

        let found = opener.open(&changes).unwrap();

        let kept = |item: &CloudItem| (item.name.as_str().to_owned(), item.raw.is_some());
        let kept: Vec<_> = found.items.iter().map(kept).collect();
        assert_eq!(
            kept,
            [("fits".to_owned(), true), ("large".to_owned(), false)]
        );
        let CloudContent::Unreadable { reason } = &found.items[1].content else {
            panic!("it was read")
        };
        assert!(reason.ends_with("over the limit of 8388608"), "{reason}");
        let aside = Opener::set_aside(&changes).items;
        let aside: Vec<_> = aside.iter().map(|item| item.raw.is_some()).collect();
        assert_eq!(aside, [true, false]);
    }
}
