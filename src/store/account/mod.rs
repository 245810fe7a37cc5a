//! What the Matrix endpoint keeps: who can log in with which devices, what clients store, rooms and their state.
//!
//! | to | go to |
//! |---|---|
//! | set the server's name, the password | `users` |
//! | log devices in and out | `devices` |
//! | keep what clients write for each other | `data`, `receipts`, `to_device`, `keys` |
//! | find the conversation of a room id, give it another | `rooms` |
//! | know how somebody was called | `names` |
//! | keep what clients send | `local_events`, `sent`, `uploads` |
//!
//! Reads are methods of [`crate::store::Snapshot`], writes of [`Transaction`]. Every write that a client must hear about
//! takes a change number and is in the change log. JSON is kept as it came.

mod data;
mod devices;
mod keys;
mod local_events;
mod names;
mod receipts;
mod rooms;
mod sent;
mod to_device;
mod uploads;
mod users;
mod verify;

use redb::ReadableTable;
use redb::WriteTransaction;

use crate::base::ids::ChangeNumber;
use crate::base::ids::RowId;
use crate::store::error::StoreError;
use crate::store::tables;
use crate::store::transaction::RowTable;
use crate::store::transaction::Transaction;
use crate::store::transaction::value;
use crate::store::value::ChangeKind;
use crate::store::value::Stored;

pub use data::HeldData;
pub use keys::KeyKind;
pub use receipts::HeldReceipt;
pub use receipts::NewReceipt;
pub use rooms::StateKey;
pub use sent::SentKey;

/// An account's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Account(pub u8);

impl Account {
    /// The owner of the archive. Others exist in conformance mode only (D27).
    pub const OWNER: Self = Self(0);

    /// The account as the row of a change log entry.
    pub const fn row(self) -> RowId {
        RowId(self.0 as u64)
    }
}

/// The tables of the endpoint, open for writing.
pub(super) struct AccountTables<'tx> {
    pub(super) users: RowTable<'tx, u8>,
    pub(super) rooms: RowTable<'tx, &'static str>,
    pub(super) room_states: RowTable<'tx, (u64, &'static str, &'static str, u32)>,
    pub(super) local_events: RowTable<'tx, (u64, u64)>,
    pub(super) local_event_ids: redb::Table<'tx, &'static str, u64>,
    pub(super) devices: RowTable<'tx, (u8, &'static str)>,
    pub(super) tokens: RowTable<'tx, &'static [u8; 32]>,
    pub(super) filters: RowTable<'tx, (u8, u64)>,
    pub(super) account_data: RowTable<'tx, (u8, u64, &'static str)>,
    pub(super) receipts: RowTable<'tx, (u8, u64, &'static str, &'static str)>,
    pub(super) to_device: RowTable<'tx, (u8, &'static str, u64)>,
    pub(super) keys: RowTable<'tx, (u8, &'static str, u8, &'static str)>,
    pub(super) transactions:
        RowTable<'tx, (u8, &'static str, &'static str, &'static str, &'static str)>,
    pub(super) uploads: RowTable<'tx, &'static str>,
    pub(super) upload_chunks: RowTable<'tx, (&'static str, u32)>,
}

impl<'tx> AccountTables<'tx> {
    /// Opens every table, making those that are not there yet.
    pub(super) fn open(tx: &'tx WriteTransaction) -> Result<Self, StoreError> {
        let refused = |error| StoreError::from_redb("opening a table of", error);
        Ok(Self {
            users: tx.open_table(tables::USERS).map_err(refused)?,
            rooms: tx.open_table(tables::ROOMS).map_err(refused)?,
            room_states: tx.open_table(tables::ROOM_STATES).map_err(refused)?,
            local_events: tx.open_table(tables::LOCAL_EVENTS).map_err(refused)?,
            local_event_ids: tx.open_table(tables::LOCAL_EVENT_IDS).map_err(refused)?,
            devices: tx.open_table(tables::DEVICES).map_err(refused)?,
            tokens: tx.open_table(tables::TOKENS).map_err(refused)?,
            filters: tx.open_table(tables::FILTERS).map_err(refused)?,
            account_data: tx.open_table(tables::ACCOUNT_DATA).map_err(refused)?,
            receipts: tx.open_table(tables::RECEIPTS).map_err(refused)?,
            to_device: tx.open_table(tables::TO_DEVICE).map_err(refused)?,
            keys: tx.open_table(tables::KEYS).map_err(refused)?,
            transactions: tx.open_table(tables::TRANSACTIONS).map_err(refused)?,
            uploads: tx.open_table(tables::UPLOADS).map_err(refused)?,
            upload_chunks: tx.open_table(tables::UPLOAD_CHUNKS).map_err(refused)?,
        })
    }
}

impl Transaction<'_> {
    /// Logs that something of an account changed.
    fn log_account(&mut self, kind: ChangeKind, account: Account) -> ChangeNumber {
        self.log(kind, account.row())
    }
}

/// What redb reports while the endpoint's tables are read.
fn reading(error: redb::StorageError) -> StoreError {
    StoreError::from_redb("reading", error)
}

/// What redb reports while the endpoint's tables are written.
fn writing(error: redb::StorageError) -> StoreError {
    StoreError::from_redb("writing to", error)
}

/// The rows from a key on, as long as `pick` makes something of their keys.
fn rows_from<'k, K: redb::Key + 'static, V: Stored, T>(
    table: &impl ReadableTable<K, &'static [u8]>,
    name: &'static str,
    from: K::SelfType<'k>,
    mut pick: impl for<'r> FnMut(K::SelfType<'r>) -> Option<T>,
) -> Result<Vec<(T, V)>, StoreError> {
    let mut rows = Vec::new();
    for entry in table.range(from..).map_err(reading)? {
        let (key, bytes) = entry.map_err(reading)?;
        let Some(picked) = pick(key.value()) else {
            break;
        };
        rows.push((picked, value(name, bytes.value())?));
    }
    Ok(rows)
}
