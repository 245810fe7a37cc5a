//! The tables of one transaction, each opened when it is first read.
//!
//! Most questions need a few of the tables and a look-up by GUID needs one; to open all of them takes longer than to
//! answer.

use std::sync::OnceLock;

use redb::Key;
use redb::ReadOnlyTable;
use redb::ReadTransaction;
use redb::TableDefinition;
use redb::Value;

use crate::store::error::StoreError;
use crate::store::tables;

/// Declares a table with the method that opens it: `name: key => value, definition;`.
macro_rules! read_tables {
    ($($name:ident: $key:ty => $value:ty, $definition:ident;)*) => {
        /// Every table, for reading.
        pub(super) struct ReadTables {
            transaction: ReadTransaction,
            $($name: OnceLock<ReadOnlyTable<$key, $value>>,)*
        }

        impl ReadTables {
            /// The tables as a transaction sees them. Opens none.
            pub(super) fn new(transaction: ReadTransaction) -> Self {
                Self { transaction, $($name: OnceLock::new(),)* }
            }

            $(
                /// One of the tables.
                ///
                /// # Errors
                ///
                /// [`StoreError::Damaged`] when it is missing, [`StoreError::Io`].
                pub(super) fn $name(&self) -> Result<&ReadOnlyTable<$key, $value>, StoreError> {
                    open(&self.transaction, &self.$name, tables::$definition)
                }
            )*
        }
    };
}

read_tables! {
    messages: u64 => &'static [u8], MESSAGES;
    records: (u64, u8) => &'static [u8], RECORDS;
    fingerprints: (u64, u8) => u64, FINGERPRINTS;
    guids: (&'static [u8; 16], u64) => (), GUIDS;
    guid_others: (&'static str, u64) => (), GUID_OTHERS;
    timeline: (u64, i64, u64, u16) => (), TIMELINE;
    by_time: (i64, u64) => (), BY_TIME;
    relations: (&'static [u8; 16], u64) => (), RELATIONS;
    conversations: u64 => &'static [u8], CONVERSATIONS;
    heads: u64 => &'static [u8], CONVERSATION_HEADS;
    aliases: &'static str => u64, ALIASES;
    chats: &'static str => &'static [u8], CHATS;
    merges: u64 => &'static [u8], MERGES;
    handles: (&'static str, &'static str) => &'static [u8], HANDLES;
    contacts: &'static str => &'static [u8], CONTACTS;
    attachments: u64 => &'static [u8], ATTACHMENTS;
    attachment_guids: &'static str => u64, ATTACHMENT_GUIDS;
    wanted: u64 => (), ATTACHMENTS_WANTED;
    parked: u64 => &'static [u8], PARKED;
    quarantine: u64 => &'static [u8], QUARANTINE;
    tombstones: &'static str => &'static [u8], TOMBSTONES;
    failures: (u8, u64) => &'static [u8], FAILURES;
    changes: u64 => &'static [u8], CHANGES;
    cursors: u8 => &'static [u8], CURSORS;
    counters: &'static str => u64, COUNTERS;
    meta: &'static str => &'static [u8], META;
    search_terms: (u32, &'static str) => &'static [u8], SEARCH_TERMS;
    search_blocks: u32 => &'static [u8], SEARCH_BLOCKS;
    passes: u64 => u64, PASSES;
    guid_hashes: &'static [u8; 16] => &'static [u8], GUID_HASHES;
    users: u8 => &'static [u8], USERS;
    rooms: &'static str => &'static [u8], ROOMS;
    room_states: (u64, &'static str, &'static str, u32) => &'static [u8], ROOM_STATES;
    local_events: (u64, u64) => &'static [u8], LOCAL_EVENTS;
    local_event_ids: &'static str => u64, LOCAL_EVENT_IDS;
    devices: (u8, &'static str) => &'static [u8], DEVICES;
    tokens: &'static [u8; 32] => &'static [u8], TOKENS;
    filters: (u8, u64) => &'static [u8], FILTERS;
    account_data: (u8, u64, &'static str) => &'static [u8], ACCOUNT_DATA;
    receipts: (u8, u64, &'static str, &'static str) => &'static [u8], RECEIPTS;
    to_device: (u8, &'static str, u64) => &'static [u8], TO_DEVICE;
    keys: (u8, &'static str, u8, &'static str) => &'static [u8], KEYS;
    transactions: (u8, &'static str, &'static str, &'static str, &'static str) => &'static [u8], TRANSACTIONS;
    uploads: &'static str => &'static [u8], UPLOADS;
    upload_chunks: (&'static str, u32) => &'static [u8], UPLOAD_CHUNKS;
    record_names: (u8, &'static str) => u64, RECORD_NAMES;
    chat_states: (u64, u64) => (), CHAT_STATES;
    zones: u8 => &'static [u8], ZONES;
    cloud_accounts: u8 => &'static [u8], CLOUD_ACCOUNTS;
    asset_keys: &'static [u8] => &'static [u8], ASSET_KEYS;
    blobs: &'static [u8; 32] => &'static [u8], BLOBS;
    blob_chunks: (u64, u32) => &'static [u8], BLOB_CHUNKS;
    downloads: u64 => &'static [u8], DOWNLOADS;
}

fn open<'t, K: Key + 'static, V: Value + 'static>(
    transaction: &ReadTransaction,
    table: &'t OnceLock<ReadOnlyTable<K, V>>,
    definition: TableDefinition<'static, K, V>,
) -> Result<&'t ReadOnlyTable<K, V>, StoreError> {
    if let Some(table) = table.get() {
        return Ok(table);
    }
    let opened = transaction
        .open_table(definition)
        .map_err(|error| StoreError::from_redb("opening a table of", error))?;
    Ok(table.get_or_init(|| opened))
}
