//! How large the file is, table by table.

use redb::Key;
use redb::ReadOnlyTable;
use redb::ReadableTable;
use redb::ReadableTableMetadata;
use redb::Value;

use crate::store::error::StoreError;
use crate::store::snapshot::Snapshot;

/// How much of the file one table takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableSize {
    /// The table's name.
    pub name: &'static str,
    /// Whether it holds what was read or what was made of it, and not only a way to find that (D8).
    pub is_payload: bool,
    /// Its rows.
    pub rows: u64,
    /// Bytes of its keys.
    pub key_bytes: u64,
    /// Bytes of its values.
    pub value_bytes: u64,
    /// Bytes of its pages: keys, values, structure, and room that is not used.
    pub page_bytes: u64,
}

impl Snapshot {
    /// The sizes of all tables, in the order of [`crate::store::TABLE_NAMES`]. Reads every page that is in use.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Damaged`].
    pub fn table_sizes(&self) -> Result<Vec<TableSize>, StoreError> {
        let tables = &self.tables;
        Ok(vec![
            payload("meta", tables.meta()?)?,
            index("counters", tables.counters()?)?,
            payload("cursors", tables.cursors()?)?,
            payload("messages", tables.messages()?)?,
            payload("records", tables.records()?)?,
            index("fingerprints", tables.fingerprints()?)?,
            index("guids", tables.guids()?)?,
            index("guid_others", tables.guid_others()?)?,
            index("timeline", tables.timeline()?)?,
            index("by_time", tables.by_time()?)?,
            index("relations", tables.relations()?)?,
            payload("conversations", tables.conversations()?)?,
            index("conversation_heads", tables.heads()?)?,
            index("aliases", tables.aliases()?)?,
            payload("chats", tables.chats()?)?,
            payload("merges", tables.merges()?)?,
            payload("handles", tables.handles()?)?,
            payload("contacts", tables.contacts()?)?,
            payload("attachments", tables.attachments()?)?,
            index("attachment_guids", tables.attachment_guids()?)?,
            index("attachments_wanted", tables.wanted()?)?,
            payload("parked", tables.parked()?)?,
            payload("quarantine", tables.quarantine()?)?,
            payload("tombstones", tables.tombstones()?)?,
            payload("failures", tables.failures()?)?,
            index("changes", tables.changes()?)?,
            index("search_terms", tables.search_terms()?)?,
            index("search_blocks", tables.search_blocks()?)?,
            index("passes", tables.passes()?)?,
            index("guid_hashes", tables.guid_hashes()?)?,
            index("record_names", tables.record_names()?)?,
            index("chat_states", tables.chat_states()?)?,
            payload("zones", tables.zones()?)?,
            payload("cloud_accounts", tables.cloud_accounts()?)?,
            payload("asset_keys", tables.asset_keys()?)?,
            payload("blobs", tables.blobs()?)?,
            payload("blob_chunks", tables.blob_chunks()?)?,
            index("downloads", tables.downloads()?)?,
            payload("users", tables.users()?)?,
            payload("rooms", tables.rooms()?)?,
            payload("room_states", tables.room_states()?)?,
            payload("local_events", tables.local_events()?)?,
            index("local_event_ids", tables.local_event_ids()?)?,
            payload("devices", tables.devices()?)?,
            index("tokens", tables.tokens()?)?,
            payload("filters", tables.filters()?)?,
            payload("account_data", tables.account_data()?)?,
            payload("receipts", tables.receipts()?)?,
            payload("to_device", tables.to_device()?)?,
            payload("keys", tables.keys()?)?,
            payload("transactions", tables.transactions()?)?,
            payload("uploads", tables.uploads()?)?,
            payload("upload_chunks", tables.upload_chunks()?)?,
        ])
    }
}

fn payload<K: Key + 'static, V: Value + 'static>(
    name: &'static str,
    table: &ReadOnlyTable<K, V>,
) -> Result<TableSize, StoreError> {
    Ok(TableSize {
        is_payload: true,
        ..index(name, table)?
    })
}

fn index<K: Key + 'static, V: Value + 'static>(
    name: &'static str,
    table: &ReadOnlyTable<K, V>,
) -> Result<TableSize, StoreError> {
    let failed = |error| StoreError::from_redb("reading", error);
    let pages = table.stats().map_err(failed)?;
    let rows = table.len().map_err(failed)?;
    let key_bytes = if let Some(width) = K::fixed_width() {
        rows * width as u64
    } else {
        let mut key_bytes = 0;
        for row in table.iter().map_err(failed)? {
            let (key, _value) = row.map_err(failed)?;
            key_bytes += K::as_bytes(&key.value()).as_ref().len() as u64;
        }
        key_bytes
    };
    let stored_bytes = pages.stored_bytes();
    Ok(TableSize {
        name,
        is_payload: false,
        rows,
        key_bytes,
        value_bytes: stored_bytes.saturating_sub(key_bytes),
        page_bytes: stored_bytes + pages.metadata_bytes() + pages.fragmented_bytes(),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use redb::backends::InMemoryBackend;

    use super::TableSize;
    use crate::base::time::SystemClock;
    use crate::model::contact::Contact;
    use crate::model::record::SourceKind;
    use crate::store::Page;
    use crate::store::Store;
    use crate::store::StoreError;
    use crate::store::TABLE_NAMES;
    use crate::store::value::Stored;

    #[test]
    fn every_table_is_measured_by_what_its_rows_take() {
        let store = Store::open_backend(InMemoryBackend::new(), Arc::new(SystemClock)).unwrap();
        let contact = Contact {
            id: "card".to_owned(),
            name: "A Name".to_owned(),
            ..Contact::default()
        };
        let value_bytes = contact.to_bytes().unwrap().len() as u64;
        let page = Page {
            contacts: Some(vec![contact]),
            ..Page::default()
        };
        store
            .write(|tx| tx.apply(page, SourceKind::ChatDb, 1))
            .map_err(|error: StoreError| error)
            .unwrap();

        let sizes = store.snapshot().unwrap().table_sizes().unwrap();

        let names: Vec<&str> = sizes.iter().map(|size| size.name).collect();
        assert_eq!(names, TABLE_NAMES);
        let contacts = sizes.iter().find(|size| size.name == "contacts");
        let expected = TableSize {
            name: "contacts",
            is_payload: true,
            rows: 1,
            key_bytes: 4,
            value_bytes,
            page_bytes: 4_096,
        };
        assert_eq!(contacts, Some(&expected));
    }
}
