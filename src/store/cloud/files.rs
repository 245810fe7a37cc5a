//! Files of CloudKit: records of their own, joined to the messages that name them, whichever comes first (AT-15).

use crate::base::ids::AttachmentGuid;
use crate::base::ids::Guid;
use crate::base::ids::RowId;
use crate::model::attachment::Attachment;
use crate::model::attachment::AttachmentState;
use crate::model::record::CloudRecord;
use crate::model::record::CloudValue;
use crate::model::record::SourceKind;
use crate::store::attachments::NO_MESSAGE;
use crate::store::cloud::THERE;
use crate::store::cloud::records::Filing;
use crate::store::error::StoreError;
use crate::store::filters::Filters;
use crate::store::media::FILE;
use crate::store::transaction::Transaction;
use crate::store::value::Became;

/// Begins the GUID of a received file: `at_<part>_<message GUID>` (AT-16).
const RECEIVED: &str = "at_";

/// Files that are looked for by the GUID of their message at most.
const FILES_OF_A_MESSAGE: u16 = 1_000;

/// Parts in a row without a file after which no more are looked for: text stands between files (MS-10).
const PARTS_BETWEEN: u16 = 4;

impl Transaction<'_> {
    /// Files the record of a file, and stores what it says of it. One that was given up for its key is wanted again when
    /// that opens (AT-7).
    pub(super) fn file_attachment(
        &mut self,
        filing: Filing<'_>,
        attachment: Attachment,
        record: CloudRecord,
        unreadable: Vec<String>,
    ) -> Result<(), StoreError> {
        let row = self.apply_cloud_file(attachment, &record)?;
        let has_new_key = filing.is_unsealed_by(&record);
        self.file(filing, Became::Attachment(row), record, unreadable)?;
        if has_new_key {
            self.retry_file(row)?;
        }
        Ok(())
    }

    /// Stores what CloudKit says of a file, without its record. Answers its row.
    fn apply_cloud_file(
        &mut self,
        incoming: Attachment,
        record: &CloudRecord,
    ) -> Result<RowId, StoreError> {
        self.keep_keys(record)?;
        let guid = incoming.guid.clone();
        let Some(row) = self.attachment_with(&incoming)? else {
            let row = self.new_row();
            self.put_attachment(row, NO_MESSAGE, incoming)?;
            if let Some(message) = self.message_of_file(&guid)? {
                self.give_file(row, message)?;
            }
            return Ok(row);
        };
        let held = self.attachment(row)?;
        let owner = held.message;
        let is_on_mac =
            owner != NO_MESSAGE && self.message(owner)?.sources.contains(&SourceKind::ChatDb);
        let file = if is_on_mac {
            filled(held.attachment, incoming)
        } else {
            replaced(held.attachment, incoming)
        };
        if self.put_attachment(row, owner, file)? {
            self.note_file_change(owner)?;
            if owner != NO_MESSAGE {
                self.index_message(owner)?;
            }
        }
        Ok(row)
    }

    /// Gives a message the files that came before it and whose GUIDs name it, where its body does not.
    pub(super) fn claim_files(&mut self, message: RowId, guid: &Guid) -> Result<(), StoreError> {
        use redb::ReadableTable;

        let has_none = |filters: &Filters| !filters.may_have_files(guid);
        if self.filters.as_ref().is_some_and(has_none) {
            return Ok(());
        }
        let mut without = 0;
        for part in 0..FILES_OF_A_MESSAGE {
            let name = format!("{RECEIVED}{part}_{guid}").to_ascii_uppercase();
            let row = self.tables.attachment_guids.get(name.as_str());
            let row = row.map_err(|error| StoreError::from_redb("reading", error))?;
            let Some(row) = row.map(|row| RowId(row.value())) else {
                without += 1;
                if without == PARTS_BETWEEN {
                    return Ok(());
                }
                continue;
            };
            without = 0;
            if self.attachment(row)?.message == NO_MESSAGE {
                self.give_file(row, message)?;
            }
        }
        Ok(())
    }

    /// Whether the bytes of a file can be fetched from CloudKit.
    pub(in crate::store) fn is_in_cloud(&self, row: RowId) -> Result<bool, StoreError> {
        let record = self.cloud_record(row, THERE)?;
        Ok(record.is_some_and(|held| held.record.asset(FILE).is_some()))
    }

    fn give_file(&mut self, row: RowId, message: RowId) -> Result<(), StoreError> {
        let file = self.attachment(row)?.attachment;
        self.put_attachment(row, message, file)?;
        let old = self.message(message)?;
        if old.attachments.contains(&row) {
            return self.note_file_change(message);
        }
        let mut new = old.clone();
        new.attachments.push(row);
        self.update_message(message, &old, new, true)?;
        self.index_message(message)
    }

    /// The message that the GUID of a received file names, if it is held.
    fn message_of_file(&self, guid: &AttachmentGuid) -> Result<Option<RowId>, StoreError> {
        let Some(message) = message_named_by(guid) else {
            return Ok(None);
        };
        Ok(self.messages_with(&message)?.first().copied())
    }

    /// Keeps the keys of a record's files: another record can have the same file under its own key (AT-17).
    fn keep_keys(&mut self, record: &CloudRecord) -> Result<(), StoreError> {
        for (_, value) in &record.fields {
            let CloudValue::Asset(asset) = value else {
                continue;
            };
            if let Some(key) = &asset.key
                && !asset.reference_signature.is_empty()
            {
                self.tables
                    .asset_keys
                    .insert(
                        asset.reference_signature.as_slice(),
                        key.expose().as_slice(),
                    )
                    .map_err(|error| StoreError::from_redb("writing to", error))?;
            }
        }
        Ok(())
    }
}

/// The message that the GUID of a received file names.
pub(in crate::store) fn message_named_by(file: &AttachmentGuid) -> Option<Guid> {
    let text = file.as_str();
    text.get(..RECEIVED.len())
        .filter(|begin| begin.eq_ignore_ascii_case(RECEIVED))?;
    let (_part, guid) = text.get(RECEIVED.len()..)?.split_once('_')?;
    Guid::parse(guid)
}

/// A file of which chat.db tells, with what it does not tell.
fn filled(held: Attachment, incoming: Attachment) -> Attachment {
    Attachment {
        part: held.part.or(incoming.part),
        name: held.name.or(incoming.name),
        mime: held.mime.or(incoming.mime),
        uti: held.uti.or(incoming.uti),
        size_bytes: held.size_bytes.or(incoming.size_bytes),
        path: held.path.or(incoming.path),
        live_photo: held.live_photo || incoming.live_photo,
        sticker: held.sticker.or(incoming.sticker),
        state: state(held.state, incoming.state),
        ..held
    }
}

/// A file of which only CloudKit tells, as it tells of it now.
fn replaced(held: Attachment, incoming: Attachment) -> Attachment {
    Attachment {
        part: held.part.or(incoming.part),
        transcription: held.transcription.or(incoming.transcription),
        name: incoming.name.or(held.name),
        state: state(held.state, incoming.state),
        ..incoming
    }
}

/// Where its bytes are: what was found out by trying stands, a file that is nowhere else is wanted from CloudKit.
fn state(held: AttachmentState, incoming: AttachmentState) -> AttachmentState {
    match held {
        AttachmentState::Held { .. }
        | AttachmentState::Failed { .. }
        | AttachmentState::Abandoned { .. } => held,
        AttachmentState::Missing(_) | AttachmentState::Wanted => incoming,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::base::ids::Guid;
    use crate::base::ids::RecordName;
    use crate::base::secret::Secret;
    use crate::base::time::SystemClock;
    use crate::model::attachment::Attachment;
    use crate::model::attachment::AttachmentState;
    use crate::model::change::Placement;
    use crate::model::message::Author;
    use crate::model::message::Kind;
    use crate::model::message::Message;
    use crate::model::record::CloudAsset;
    use crate::model::record::CloudRecord;
    use crate::model::record::CloudValue;
    use crate::model::record::CloudZone;
    use crate::model::record::SourceKind;
    use crate::store::Page;
    use crate::store::Preparer;
    use crate::store::Store;
    use crate::store::StoreError;
    use crate::store::cloud::CloudContent;
    use crate::store::cloud::CloudItem;
    use crate::store::cloud::CloudPage;
    use crate::store::cloud::ZoneStep;
    use crate::store::media::FILE;

    const GUID: &str = "1A2B3C4D-0001-4002-8003-000000000001";

    fn page(zone: CloudZone, name: &str, content: CloudContent) -> Page {
        Page {
            cloud: Some(CloudPage {
                zone,
                items: vec![CloudItem {
                    name: RecordName::parse(name).unwrap(),
                    content,
                    raw: None,
                }],
                step: ZoneStep::Forward(None),
            }),
            ..Page::default()
        }
    }

    fn record(name: &str) -> CloudRecord {
        CloudRecord {
            name: name.to_owned(),
            ..CloudRecord::default()
        }
    }

    /// The file of a part, whose body does not name it.
    fn file(part: u16) -> Page {
        let name = format!("at_{part}_{GUID}");
        let attachment = Attachment::wanted(&name);
        let content = CloudContent::File {
            attachment: Some(Box::new(attachment)),
            record: record(&name),
            unreadable: Vec::new(),
        };
        page(CloudZone::Attachments, &name, content)
    }

    fn message() -> Page {
        let guid = Guid::parse(GUID).unwrap();
        let message = Message::new(guid, Kind::Message { about: None }, Author::Owner);
        let prepared = Preparer::default().prepare_alone(message, Placement::default());
        let content = CloudContent::Message {
            prepared: Box::new(prepared.unwrap()),
            record: record("message"),
        };
        page(CloudZone::Messages, "message", content)
    }

    #[test]
    fn a_message_has_its_files_whichever_comes_first() {
        let files_of = |pages: Vec<Page>| {
            let store = Store::in_memory(Arc::new(SystemClock)).unwrap();
            for page in pages {
                let stored: Result<_, StoreError> =
                    store.write(|tx| tx.apply(page, SourceKind::CloudKit, 1));
                stored.unwrap();
            }
            let snapshot = store.snapshot().unwrap();
            let rows = snapshot.messages_with(&Guid::parse(GUID).unwrap()).unwrap();
            let message = snapshot.whole_message(rows[0]).unwrap().message;
            let names = message.attachments.iter().map(|file| file.guid.to_string());
            names.collect::<Vec<_>>()
        };

        // Text stands before, between and behind the files.
        let before = files_of(vec![file(1), file(3), message()]);
        let behind = files_of(vec![message(), file(1), file(3)]);

        assert_eq!(before, behind);
        assert_eq!(behind, [1, 3].map(|part| format!("at_{part}_{GUID}")));
    }

    /// The file's record, with a key that opens or without.
    fn keyed(key: Option<&[u8]>) -> Page {
        let asset = CloudAsset {
            signature: vec![4; 21],
            key: key.map(|key| Secret::new(key.to_vec())),
            sealed_key: key.is_none().then(|| vec![3; 60]),
            ..CloudAsset::default()
        };
        let content = CloudContent::File {
            attachment: Some(Box::new(Attachment::wanted("file"))),
            record: CloudRecord {
                fields: vec![(FILE.to_owned(), CloudValue::Asset(asset))],
                ..record("file")
            },
            unreadable: Vec::new(),
        };
        page(CloudZone::Attachments, "file", content)
    }

    #[test]
    fn an_abandoned_file_is_wanted_again_when_its_key_opens() {
        let store = Store::in_memory(Arc::new(SystemClock)).unwrap();
        let apply = |page: Page| {
            let stored: Result<_, StoreError> =
                store.write(|tx| tx.apply(page, SourceKind::CloudKit, 1));
            stored.unwrap();
        };
        let guid = Attachment::wanted("file").guid;
        let state = || {
            let snapshot = store.snapshot().unwrap();
            let row = snapshot.attachment_with(&guid).unwrap().unwrap();
            (row, snapshot.attachment(row).unwrap().attachment.state)
        };
        apply(keyed(None));
        let (row, _) = state();
        let abandoned: Result<_, StoreError> =
            store.write(|tx| tx.fail_file(row, "no key".to_owned(), true));
        abandoned.unwrap();

        apply(keyed(None));
        let without = state().1;
        apply(keyed(Some(&[7; 32])));
        let with = state().1;

        assert_eq!(without.name(), "abandoned");
        assert_eq!(with, AttachmentState::Wanted);
    }
}
