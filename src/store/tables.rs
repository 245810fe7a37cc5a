//! Every table of the file: its name, its key and value, who writes it and who deletes from it.
//!
//! Key types are the closed list of D1; values are an envelope byte and bincode (`store::value`) unless a line says
//! otherwise. `data-format.md` repeats the list, and a test compares the two.

use redb::TableDefinition;

/// A table whose values are enveloped (`store::value`).
pub(super) type Rows<K> = TableDefinition<'static, K, &'static [u8]>;

/// A table that says all it has to say with its keys.
pub(super) type Keys<K> = TableDefinition<'static, K, ()>;

/// A table of plain numbers.
pub(super) type Numbers<K> = TableDefinition<'static, K, u64>;

/// Facts about the file itself: format, generation, owner. Values are raw bytes, see data-format.md.
pub(super) const META: Rows<&'static str> = TableDefinition::new("meta");

/// The next row id and the next change number, by name.
pub(super) const COUNTERS: Numbers<&'static str> = TableDefinition::new("counters");

/// Where reading of each source goes on, by source. Written with the page that it covers, never alone.
pub(super) const CURSORS: Rows<u8> = TableDefinition::new("cursors");

/// Messages by row id, in the order of their arrival. Never deleted from.
pub(super) const MESSAGES: Rows<u64> = TableDefinition::new("messages");

/// What a source said, by (message, source); of CloudKit also what is no message. Deleted from when a record of CloudKit
/// turns out late to be a message or a file: then it stands under that row.
pub(super) const RECORDS: Rows<(u64, u8)> = TableDefinition::new("records");

/// Hash of everything of a record that shows, by (message, source) (D12).
pub(super) const FINGERPRINTS: Numbers<(u64, u8)> = TableDefinition::new("fingerprints");

/// (GUID, message) for GUIDs that are UUIDs (D3).
pub(super) const GUIDS: Keys<(&'static [u8; 16], u64)> = TableDefinition::new("guids");

/// (GUID, message) for GUIDs that are none.
pub(super) const GUID_OTHERS: Keys<(&'static str, u64)> = TableDefinition::new("guid_others");

/// (conversation, time, message, n): what a person reads, in order. n = 0 is the message, n >= 1 its marks: edits, unsends,
/// deletions (D5). Rewritten when a message moves, gets another time or another mark.
pub(super) const TIMELINE: Keys<(u64, i64, u64, u16)> = TableDefinition::new("timeline");

/// (time, message) over all conversations, parked messages included.
pub(super) const BY_TIME: Keys<(i64, u64)> = TableDefinition::new("by_time");

/// (GUID key of the target, message): tapbacks, replies, placed stickers and votes, by what they are about, whether it
/// is held or not.
pub(super) const RELATIONS: Keys<(&'static [u8; 16], u64)> = TableDefinition::new("relations");

/// Conversations by row id. Never deleted from.
pub(super) const CONVERSATIONS: Rows<u64> = TableDefinition::new("conversations");

/// Totals of a conversation, by its row id: what lists show without reading its timeline.
pub(super) const CONVERSATION_HEADS: Rows<u64> = TableDefinition::new("conversation_heads");

/// Every name by which records refer to a conversation, and the conversation (ID-10).
pub(super) const ALIASES: Numbers<&'static str> = TableDefinition::new("aliases");

/// Chat rows as they were read, by folded chat guid.
pub(super) const CHATS: Rows<&'static str> = TableDefinition::new("chats");

/// DM conversations that are one person's with another (ID-30): a view, removed by a split.
pub(super) const MERGES: Rows<u64> = TableDefinition::new("merges");

/// Handle rows as they were read, by (address, service).
pub(super) const HANDLES: Rows<(&'static str, &'static str)> = TableDefinition::new("handles");

/// The address book, by card. Replaced as a whole.
pub(super) const CONTACTS: Rows<&'static str> = TableDefinition::new("contacts");

/// Attachments by row id. Never deleted from.
pub(super) const ATTACHMENTS: Rows<u64> = TableDefinition::new("attachments");

/// Attachments by folded GUID, present and original.
pub(super) const ATTACHMENT_GUIDS: Numbers<&'static str> = TableDefinition::new("attachment_guids");

/// Attachments whose bytes are not held and that are looked for again.
pub(super) const ATTACHMENTS_WANTED: Keys<u64> = TableDefinition::new("attachments_wanted");

/// Messages without a conversation, and why. Removed when one is found (ID-9).
pub(super) const PARKED: Rows<u64> = TableDefinition::new("parked");

/// Messages, and records of CloudKit that are none, of which something could not be read, and what. Removed when it can be.
pub(super) const QUARANTINE: Rows<u64> = TableDefinition::new("quarantine");

/// GUIDs that a source says were deleted for good and that were never held (D12).
pub(super) const TOMBSTONES: Rows<&'static str> = TableDefinition::new("tombstones");

/// Failures that are tried again, by what failed: attempts, when, why. Removed by success.
pub(super) const FAILURES: Rows<(u8, u64)> = TableDefinition::new("failures");

/// Everything that happened, by change number. Trimmed from its beginning (D7).
pub(super) const CHANGES: Rows<u64> = TableDefinition::new("changes");

/// Stretches of changes that passes of several commits brought, by the first change of each: the change as of which they
/// are visible, or whose pass lasts. Written with the first commit of a stretch, and with the pass's last one.
pub(super) const PASSES: Numbers<u64> = TableDefinition::new("passes");

/// The texts of GUIDs that are no UUIDs, by their GUID keys. Values are raw text.
pub(super) const GUID_HASHES: Rows<&'static [u8; 16]> = TableDefinition::new("guid_hashes");

/// The id of a record of CloudKit, by (zone, name). A name leads to another id when it becomes known what the record is.
pub(super) const RECORD_NAMES: Numbers<(u8, &'static str)> = TableDefinition::new("record_names");

/// (conversation, record): chat records of CloudKit, by what they are states of.
pub(super) const CHAT_STATES: Keys<(u64, u64)> = TableDefinition::new("chat_states");

/// How far each zone of CloudKit was read, by zone. Written with the page that it covers, never alone.
pub(super) const ZONES: Rows<u8> = TableDefinition::new("zones");

/// What the owner imported to read CloudKit with, under 0. Removed by forgetting it.
pub(super) const CLOUD_ACCOUNTS: Rows<u8> = TableDefinition::new("cloud_accounts");

/// Keys of files, raw, by the signature that names the key (AT-17).
pub(super) const ASSET_KEYS: Rows<&'static [u8]> = TableDefinition::new("asset_keys");

/// Files whose bytes are held here, by the SHA-256 of the bytes. Removed when they make room for others.
pub(super) const BLOBS: Rows<&'static [u8; 32]> = TableDefinition::new("blobs");

/// Bytes of files, by (number of the bytes, chunk). Values are raw. Removed with the blob or the download they are of.
pub(super) const BLOB_CHUNKS: Rows<(u64, u32)> = TableDefinition::new("blob_chunks");

/// Files that are being fetched, by attachment: what is here of each. Removed at the end of the file.
pub(super) const DOWNLOADS: Rows<u64> = TableDefinition::new("downloads");

/// Who can log in, by account; 0 is the owner.
pub(super) const USERS: Rows<u8> = TableDefinition::new("users");

/// What room ids stand for. Never deleted from.
pub(super) const ROOMS: Rows<&'static str> = TableDefinition::new("rooms");

/// State of rooms that is not made of the archive, by (conversation, type, state key, version). Never deleted from.
pub(super) const ROOM_STATES: Rows<(u64, &'static str, &'static str, u32)> =
    TableDefinition::new("room_states");

/// Events that clients sent, by (conversation, change). Never deleted from.
pub(super) const LOCAL_EVENTS: Rows<(u64, u64)> = TableDefinition::new("local_events");

/// The change of a local event, by its event id.
pub(super) const LOCAL_EVENT_IDS: Numbers<&'static str> = TableDefinition::new("local_event_ids");

/// Devices, by (account, device). Deleted from by logging out.
pub(super) const DEVICES: Rows<(u8, &'static str)> = TableDefinition::new("devices");

/// Whose an access token is, by its hash. Deleted from by logging out.
pub(super) const TOKENS: Rows<&'static [u8; 32]> = TableDefinition::new("tokens");

/// Filters, by (account, number). Never deleted from.
pub(super) const FILTERS: Rows<(u8, u64)> = TableDefinition::new("filters");

/// Data of accounts, by (account, conversation or 0, type).
pub(super) const ACCOUNT_DATA: Rows<(u8, u64, &'static str)> = TableDefinition::new("account_data");

/// Receipts that clients sent, by (account, conversation, type, thread or nothing).
pub(super) const RECEIPTS: Rows<(u8, u64, &'static str, &'static str)> =
    TableDefinition::new("receipts");

/// Messages that wait for devices, by (account, device, change). Deleted from once they were delivered.
pub(super) const TO_DEVICE: Rows<(u8, &'static str, u64)> = TableDefinition::new("to_device");

/// Keys, by (account, device or nothing, kind, name).
pub(super) const KEYS: Rows<(u8, &'static str, u8, &'static str)> = TableDefinition::new("keys");

/// Answers to requests that may be repeated, by (account, device, room, type, transaction id). Deleted from by
/// logging out.
pub(super) const TRANSACTIONS: Rows<(u8, &'static str, &'static str, &'static str, &'static str)> =
    TableDefinition::new("transactions");

/// Files that clients uploaded, by media id.
pub(super) const UPLOADS: Rows<&'static str> = TableDefinition::new("uploads");

/// Their bytes, by (media id, chunk). Values are raw.
pub(super) const UPLOAD_CHUNKS: Rows<(&'static str, u32)> = TableDefinition::new("upload_chunks");

pub(super) use crate::store::search::SEARCH_BLOCKS;
pub(super) use crate::store::search::SEARCH_TERMS;

/// The names of all tables, in the order of data-format.md.
pub const NAMES: &[&str] = &[
    "meta",
    "counters",
    "cursors",
    "messages",
    "records",
    "fingerprints",
    "guids",
    "guid_others",
    "timeline",
    "by_time",
    "relations",
    "conversations",
    "conversation_heads",
    "aliases",
    "chats",
    "merges",
    "handles",
    "contacts",
    "attachments",
    "attachment_guids",
    "attachments_wanted",
    "parked",
    "quarantine",
    "tombstones",
    "failures",
    "changes",
    "search_terms",
    "search_blocks",
    "passes",
    "guid_hashes",
    "record_names",
    "chat_states",
    "zones",
    "cloud_accounts",
    "asset_keys",
    "blobs",
    "blob_chunks",
    "downloads",
    "users",
    "rooms",
    "room_states",
    "local_events",
    "local_event_ids",
    "devices",
    "tokens",
    "filters",
    "account_data",
    "receipts",
    "to_device",
    "keys",
    "transactions",
    "uploads",
    "upload_chunks",
];
