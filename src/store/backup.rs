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
use redb::ReadableTableMetadata;
use redb::Value;

use crate::base::unfinished::Unfinished;
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

/// Rows after which the progress is told.
const TOLD_EVERY: u64 = 4_096;

/// Does something with every table: the method that opens it for reading, and its definition.
macro_rules! each_table {
    ($visit:ident) => {
        $visit!(counters, COUNTERS);
        $visit!(cursors, CURSORS);
        $visit!(messages, MESSAGES);
        $visit!(records, RECORDS);
        $visit!(fingerprints, FINGERPRINTS);
        $visit!(guids, GUIDS);
        $visit!(guid_others, GUID_OTHERS);
        $visit!(timeline, TIMELINE);
        $visit!(by_time, BY_TIME);
        $visit!(relations, RELATIONS);
        $visit!(conversations, CONVERSATIONS);
        $visit!(heads, CONVERSATION_HEADS);
        $visit!(aliases, ALIASES);
        $visit!(chats, CHATS);
        $visit!(merges, MERGES);
        $visit!(handles, HANDLES);
        $visit!(contacts, CONTACTS);
        $visit!(attachments, ATTACHMENTS);
        $visit!(attachment_guids, ATTACHMENT_GUIDS);
        $visit!(wanted, ATTACHMENTS_WANTED);
        $visit!(parked, PARKED);
        $visit!(quarantine, QUARANTINE);
        $visit!(tombstones, TOMBSTONES);
        $visit!(failures, FAILURES);
        $visit!(changes, CHANGES);
        $visit!(search_terms, SEARCH_TERMS);
        $visit!(search_blocks, SEARCH_BLOCKS);
        $visit!(passes, PASSES);
        $visit!(guid_hashes, GUID_HASHES);
        $visit!(record_names, RECORD_NAMES);
        $visit!(chat_states, CHAT_STATES);
        $visit!(zones, ZONES);
        $visit!(cloud_accounts, CLOUD_ACCOUNTS);
        $visit!(asset_keys, ASSET_KEYS);
        $visit!(blobs, BLOBS);
        $visit!(blob_chunks, BLOB_CHUNKS);
        $visit!(downloads, DOWNLOADS);
        $visit!(users, USERS);
        $visit!(rooms, ROOMS);
        $visit!(room_states, ROOM_STATES);
        $visit!(local_events, LOCAL_EVENTS);
        $visit!(local_event_ids, LOCAL_EVENT_IDS);
        $visit!(devices, DEVICES);
        $visit!(tokens, TOKENS);
        $visit!(filters, FILTERS);
        $visit!(account_data, ACCOUNT_DATA);
        $visit!(receipts, RECEIPTS);
        $visit!(to_device, TO_DEVICE);
        $visit!(keys, KEYS);
        $visit!(transactions, TRANSACTIONS);
        $visit!(uploads, UPLOADS);
        $visit!(upload_chunks, UPLOAD_CHUNKS);
        // Last of all, for its format is what makes the copy an archive.
        $visit!(meta, META);
    };
}

impl Store {
    /// Writes a copy to a file that must not exist. The copy has a generation of its own (D7). `progress` is told how many
    /// rows of how many are done.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] when the file exists or cannot be written, [`StoreError::DiskFull`], and what reading can
    /// cause. An unfinished copy is removed.
    pub fn backup(&self, to: &Path, mut progress: impl FnMut(u64, u64)) -> Result<(), StoreError> {
        let failed = |source| StoreError::io("writing a copy of", source);
        if to.exists() {
            return Err(failed(io::ErrorKind::AlreadyExists.into()));
        }
        let mut partial = to.as_os_str().to_owned();
        partial.push(".partial");
        let partial = Path::new(&partial);
        // What was left of it when the process was killed.
        db::discard(partial);
        let _unfinished = Unfinished::new(partial);
        let copied = self
            .snapshot()
            .and_then(|snapshot| copy_all(&snapshot, partial, &mut progress))
            .and_then(|()| db::publish(partial, to).map_err(failed));
        db::discard(partial);
        copied
    }
}

fn copy_all(
    from: &Snapshot,
    to: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), StoreError> {
    let database = db::create_empty(to)?;
    {
        let tx = begin_write(&database)?;
        drop(Tables::open(&tx)?);
        tx.commit()
            .map_err(|error| StoreError::from_redb("committing to", error))?;
    }
    let from = &from.tables;
    let mut total = 0;
    macro_rules! count {
        ($name:ident, $table:ident) => {
            let rows = from.$name()?.len();
            total += rows.map_err(|error| StoreError::from_redb("copying", error))?;
        };
    }
    each_table!(count);
    let mut copying = Copying {
        database: &database,
        done: 0,
        total,
        progress,
    };
    macro_rules! copy {
        ($name:ident, $table:ident) => {
            copying.table(from.$name()?, |tx| {
                tx.open_table(tables::$table)
                    .map_err(|error| StoreError::from_redb("opening a table of", error))
            })?;
        };
    }
    each_table!(copy);
    renew_generation(&database)
}

/// A copy in progress.
struct Copying<'a> {
    database: &'a redb::Database,
    /// Rows of all tables together.
    done: u64,
    total: u64,
    progress: &'a mut dyn FnMut(u64, u64),
}

impl Copying<'_> {
    /// Copies the rows of one table, a transaction for every so many.
    fn table<K: Key + 'static, V: Value + 'static>(
        &mut self,
        from: &ReadOnlyTable<K, V>,
        open: impl for<'tx> Fn(
            &'tx redb::WriteTransaction,
        ) -> Result<redb::Table<'tx, K, V>, StoreError>,
    ) -> Result<(), StoreError> {
        let failed = |error| StoreError::from_redb("copying", error);
        let mut rows = from.iter().map_err(failed)?.peekable();
        while rows.peek().is_some() {
            let tx = begin_write(self.database)?;
            {
                let mut table = open(&tx)?;
                let mut end = table
                    .upper_bound_mut(Bound::<K::SelfType<'_>>::Unbounded)
                    .map_err(failed)?;
                for row in rows.by_ref().take(ROWS) {
                    let (key, value) = row.map_err(failed)?;
                    let inserted = end.insert_before(key.value(), value.value());
                    inserted.map_err(|error| StoreError::from_redb("copying", error))?;
                    if self.done.is_multiple_of(TOLD_EVERY) {
                        (self.progress)(self.done, self.total);
                    }
                    self.done += 1;
                }
                end.close().map_err(failed)?;
            }
            tx.commit()
                .map_err(|error| StoreError::from_redb("committing to", error))?;
        }
        Ok(())
    }
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
            .filter(|name| {
                let copied = format!(", {});", name.to_ascii_uppercase());
                !source.contains(&copied)
            })
            .collect();

        assert_eq!(forgotten, Vec::<&str>::new());
    }
}
