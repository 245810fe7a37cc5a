//! A consistent copy of the file, made while it is in use.
//!
//! One snapshot is copied table by table, in key order, into a fresh file under a temporary name: pages come out full,
//! and the copy appears under its own name only once it is complete.

use std::io;
use std::ops::Bound;
use std::path::Path;

use redb::Key;
use redb::ReadOnlyTable;
use redb::ReadableTable;
use redb::Value;

use crate::store::Store;
use crate::store::db;
use crate::store::db::begin_write;
use crate::store::db::random_bytes;
use crate::store::error::StoreError;
use crate::store::migrate::GENERATION;
use crate::store::snapshot::Snapshot;
use crate::store::tables;
use crate::store::transaction::Tables;

/// Rows that one commit of a copy holds.
const ROWS: usize = 200_000;

/// Copies the rows of one table, a transaction for every so many.
macro_rules! copy {
    ($database:ident, $from:expr, $table:ident) => {
        copy_table($database, $from, |tx| {
            tx.open_table(tables::$table)
                .map_err(|error| StoreError::from_redb("opening a table of", error))
        })?;
    };
}

impl Store {
    /// Writes a copy to a file that must not exist. The copy has a generation of its own (D7).
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] when the file exists or cannot be written, [`StoreError::DiskFull`], and what reading can
    /// cause. An unfinished copy is removed.
    pub fn backup(&self, to: &Path) -> Result<(), StoreError> {
        let failed = |source| StoreError::io("writing a copy of", source);
        if to.exists() {
            return Err(failed(io::ErrorKind::AlreadyExists.into()));
        }
        let mut partial = to.as_os_str().to_owned();
        partial.push(".partial");
        let partial = Path::new(&partial);
        db::discard(partial);
        let copied = self
            .snapshot()
            .and_then(|snapshot| copy_all(&snapshot, partial))
            .and_then(|()| db::publish(partial, to).map_err(failed));
        db::discard(partial);
        copied
    }
}

fn copy_all(from: &Snapshot, to: &Path) -> Result<(), StoreError> {
    let copy = db::create_empty(to)?;
    let (from, database) = (&from.tables, &copy);
    {
        let tx = begin_write(database)?;
        drop(Tables::open(&tx)?);
        tx.commit()
            .map_err(|error| StoreError::from_redb("committing to", error))?;
    }
    copy!(database, from.counters()?, COUNTERS);
    copy!(database, from.cursors()?, CURSORS);
    copy!(database, from.messages()?, MESSAGES);
    copy!(database, from.records()?, RECORDS);
    copy!(database, from.fingerprints()?, FINGERPRINTS);
    copy!(database, from.guids()?, GUIDS);
    copy!(database, from.guid_others()?, GUID_OTHERS);
    copy!(database, from.timeline()?, TIMELINE);
    copy!(database, from.by_time()?, BY_TIME);
    copy!(database, from.relations()?, RELATIONS);
    copy!(database, from.conversations()?, CONVERSATIONS);
    copy!(database, from.heads()?, CONVERSATION_HEADS);
    copy!(database, from.aliases()?, ALIASES);
    copy!(database, from.chats()?, CHATS);
    copy!(database, from.merges()?, MERGES);
    copy!(database, from.handles()?, HANDLES);
    copy!(database, from.contacts()?, CONTACTS);
    copy!(database, from.attachments()?, ATTACHMENTS);
    copy!(database, from.attachment_guids()?, ATTACHMENT_GUIDS);
    copy!(database, from.wanted()?, ATTACHMENTS_WANTED);
    copy!(database, from.parked()?, PARKED);
    copy!(database, from.quarantine()?, QUARANTINE);
    copy!(database, from.tombstones()?, TOMBSTONES);
    copy!(database, from.failures()?, FAILURES);
    copy!(database, from.changes()?, CHANGES);
    copy!(database, from.search_terms()?, SEARCH_TERMS);
    copy!(database, from.search_blocks()?, SEARCH_BLOCKS);
    copy!(database, from.passes()?, PASSES);
    copy!(database, from.guid_hashes()?, GUID_HASHES);
    copy!(database, from.record_names()?, RECORD_NAMES);
    copy!(database, from.chat_states()?, CHAT_STATES);
    copy!(database, from.zones()?, ZONES);
    copy!(database, from.cloud_accounts()?, CLOUD_ACCOUNTS);
    copy!(database, from.asset_keys()?, ASSET_KEYS);
    copy!(database, from.blobs()?, BLOBS);
    copy!(database, from.blob_chunks()?, BLOB_CHUNKS);
    copy!(database, from.downloads()?, DOWNLOADS);
    copy!(database, from.users()?, USERS);
    copy!(database, from.rooms()?, ROOMS);
    copy!(database, from.room_states()?, ROOM_STATES);
    copy!(database, from.local_events()?, LOCAL_EVENTS);
    copy!(database, from.local_event_ids()?, LOCAL_EVENT_IDS);
    copy!(database, from.devices()?, DEVICES);
    copy!(database, from.tokens()?, TOKENS);
    copy!(database, from.filters()?, FILTERS);
    copy!(database, from.account_data()?, ACCOUNT_DATA);
    copy!(database, from.receipts()?, RECEIPTS);
    copy!(database, from.to_device()?, TO_DEVICE);
    copy!(database, from.keys()?, KEYS);
    copy!(database, from.transactions()?, TRANSACTIONS);
    copy!(database, from.uploads()?, UPLOADS);
    copy!(database, from.upload_chunks()?, UPLOAD_CHUNKS);
    // Last of all, for its format is what makes the copy an archive.
    copy!(database, from.meta()?, META);
    renew_generation(database)
}

fn copy_table<K: Key + 'static, V: Value + 'static>(
    database: &redb::Database,
    from: &ReadOnlyTable<K, V>,
    open: impl for<'tx> Fn(&'tx redb::WriteTransaction) -> Result<redb::Table<'tx, K, V>, StoreError>,
) -> Result<(), StoreError> {
    let failed = |error| StoreError::from_redb("copying", error);
    let mut rows = from.iter().map_err(failed)?.peekable();
    while rows.peek().is_some() {
        let tx = begin_write(database)?;
        {
            let mut table = open(&tx)?;
            let mut end = table
                .upper_bound_mut(Bound::<K::SelfType<'_>>::Unbounded)
                .map_err(failed)?;
            for row in rows.by_ref().take(ROWS) {
                let (key, value) = row.map_err(failed)?;
                let inserted = end.insert_before(key.value(), value.value());
                inserted.map_err(|error| StoreError::from_redb("copying", error))?;
            }
            end.close().map_err(failed)?;
        }
        tx.commit()
            .map_err(|error| StoreError::from_redb("committing to", error))?;
    }
    Ok(())
}

fn renew_generation(database: &redb::Database) -> Result<(), StoreError> {
    let generation = random_bytes::<8>()?;
    let tx = begin_write(database)?;
    {
        let mut tables = Tables::open(&tx)?;
        let written = tables.meta.insert(GENERATION, generation.as_slice());
        written.map_err(|error| StoreError::from_redb("committing to", error))?;
    }
    tx.commit()
        .map_err(|error| StoreError::from_redb("committing to", error))
}

#[cfg(test)]
mod tests {
    use crate::store::TABLE_NAMES;

    /// A table that is added later is easily forgotten here: nothing fails, but its rows are not in the copy.
    #[test]
    fn every_table_is_copied() {
        let source = include_str!("backup.rs");

        let forgotten: Vec<&str> = TABLE_NAMES
            .iter()
            .copied()
            // Written row by row, for its generation.
            .filter(|name| *name != "meta")
            .filter(|name| {
                let copied = format!("()?, {});", name.to_ascii_uppercase());
                !source.contains(&copied)
            })
            .collect();

        assert_eq!(forgotten, Vec::<&str>::new());
    }
}
