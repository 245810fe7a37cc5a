//! The format of the file: made when it is new, brought up when it is older, refused when it is newer.

use std::collections::BTreeMap;
use std::path::Path;

use redb::Database;
use redb::ReadableDatabase;
use redb::ReadableTable;

use crate::base::ids::ChangeNumber;
use crate::base::ids::Guid;
use crate::base::ids::RowId;
use crate::base::time::AppleTime;
use crate::model::change::Cursor;
use crate::model::record::SourceKind;
use crate::store::db::begin_write;
use crate::store::db::random_bytes;
use crate::store::error::StoreError;
use crate::store::guid::GuidKey;
use crate::store::prepared::Outline;
use crate::store::publication::PassStep;
use crate::store::tables;
use crate::store::transaction::Tables;
use crate::store::transaction::Transaction;
use crate::store::transaction::value;
use crate::store::value::Head;
use crate::store::value::StoredConversation;
use crate::store::value::StoredMessage;

/// The format that this program reads and writes.
pub(super) const FORMAT: u32 = 3;

/// The format's number in `meta`: `u32`, little endian.
const FORMAT_KEY: &str = "format";

/// A random number in `meta` that tells copies of a file apart (D7, D24): 8 bytes.
pub(super) const GENERATION: &str = "generation";

/// Refuses a file of another program or of a newer version.
///
/// # Errors
///
/// [`StoreError::Foreign`], [`StoreError::Newer`], [`StoreError::Damaged`].
pub(super) fn check(database: &impl ReadableDatabase, path: &Path) -> Result<(), StoreError> {
    found_format(database, path).map(drop)
}

/// Brings a file to the present format in one transaction.
///
/// # Errors
///
/// As [`check`], and what writing can cause.
pub(super) fn bring_up(database: &Database, path: &Path, now: AppleTime) -> Result<(), StoreError> {
    match found_format(database, path)? {
        Some(FORMAT) => Ok(()),
        Some(older) => upgrade(database, older, now),
        None => create(database, now),
    }
}

/// The format of a file, none newer than the present one; `None` for a new file.
fn found_format(database: &impl ReadableDatabase, path: &Path) -> Result<Option<u32>, StoreError> {
    use redb::TableError;
    use redb::TableHandle;

    let failed = |error| StoreError::from_redb("reading", error);
    let tx = database
        .begin_read()
        .map_err(|error| StoreError::from_redb("reading", error))?;
    let meta = match tx.open_table(tables::META) {
        Ok(meta) => meta,
        Err(TableError::TableDoesNotExist(_)) => {
            let tables: Vec<_> = tx.list_tables().map_err(failed)?.collect();
            return if tables.is_empty() {
                Ok(None)
            } else if tables
                .iter()
                .any(|table| tables::NAMES.contains(&table.name()))
            {
                Err(StoreError::Damaged {
                    what: "it has tables, but no table meta".to_owned(),
                })
            } else {
                Err(StoreError::Foreign {
                    path: path.to_owned(),
                })
            };
        }
        Err(error) => return Err(StoreError::from_redb("reading", error)),
    };
    let Some(found) = meta.get(FORMAT_KEY).map_err(failed)? else {
        return Err(StoreError::Damaged {
            what: "its table meta does not say its format".to_owned(),
        });
    };
    match <[u8; 4]>::try_from(found.value()).map(u32::from_le_bytes) {
        Ok(found @ 1..=FORMAT) => Ok(Some(found)),
        Ok(found) => Err(StoreError::Newer {
            found,
            known: FORMAT,
        }),
        Err(_other_length) => Err(StoreError::Damaged {
            what: "its format is no number".to_owned(),
        }),
    }
}

/// Brings a file of an older format up. Values stay as they are: they are upgraded as they are read. What format 3 added
/// are tables, which opening them makes.
fn upgrade(database: &Database, from: u32, now: AppleTime) -> Result<(), StoreError> {
    tracing::info!(format = FORMAT, "bringing the archive to a newer format");
    let tx = begin_write(database)?;
    let mut transaction = Transaction::begin(&tx, now)?;
    if from == 1 {
        from_first(&mut transaction)?;
    }
    let meta = &mut transaction.tables.meta;
    meta.insert(FORMAT_KEY, FORMAT.to_le_bytes().as_slice())
        .map_err(|error| StoreError::from_redb("upgrading", error))?;
    transaction.finish()?;
    tx.commit()
        .map_err(|error| StoreError::from_redb("upgrading", error))
}

/// What format 2 added: the rest of the heads is counted, what is held becomes visible to clients, and the texts of GUIDs
/// that are no UUIDs are found by their keys.
fn from_first(transaction: &mut Transaction<'_>) -> Result<(), StoreError> {
    let failed = |error| StoreError::from_redb("upgrading", error);
    let mut found = Vec::new();
    for entry in transaction.tables.guid_others.iter().map_err(failed)? {
        found.push(entry.map_err(failed)?.0.value().0.to_owned());
    }
    for text in found {
        let key = GuidKey::of(&Guid::Other(text.as_str().into()));
        let hashes = &mut transaction.tables.guid_hashes;
        hashes.insert(&key.0, text.as_bytes()).map_err(failed)?;
    }
    // A first import that was interrupted goes on: what it has brought so far is not shown alone.
    let mut is_interrupted = false;
    for entry in transaction.tables.cursors.iter().map_err(failed)? {
        let cursor: Cursor = value("cursors", entry.map_err(failed)?.1.value())?;
        is_interrupted |= cursor.scanned.is_some();
    }
    if is_interrupted {
        transaction.pass = Some(PassStep::GoesOn(SourceKind::ChatDb));
        transaction.first_change = ChangeNumber(1);
    }
    for (row, mut head) in counted_heads(transaction)? {
        if head.messages > 0 && !is_interrupted {
            // Nobody has a position in the log yet who would have to hear of it.
            head.published = Some(head.last_change);
        }
        *transaction.head(row)? = head;
    }
    Ok(())
}

/// The heads of all conversations, as their messages make them.
fn counted_heads(transaction: &Transaction<'_>) -> Result<BTreeMap<RowId, Head>, StoreError> {
    let failed = |error| StoreError::from_redb("upgrading", error);
    let mut heads: BTreeMap<RowId, Head> = BTreeMap::new();
    for entry in transaction.tables.conversations.iter().map_err(failed)? {
        let (row, bytes) = entry.map_err(failed)?;
        let stored: StoredConversation = value("conversations", bytes.value())?;
        let head = heads.entry(RowId(row.value())).or_default();
        head.last_change = stored.last_change;
    }
    for entry in transaction.tables.messages.iter().map_err(failed)? {
        let (row, bytes) = entry.map_err(failed)?;
        let stored: StoredMessage = value("messages", bytes.value())?;
        if let Some(conversation) = stored.conversation {
            let head = heads.entry(conversation).or_default();
            head.add(
                RowId(row.value()),
                stored.time,
                &Outline::of(&stored.message),
            );
            head.last_change = head.last_change.max(stored.last_change);
        }
    }
    Ok(heads)
}

fn create(database: &Database, now: AppleTime) -> Result<(), StoreError> {
    let failed = |error| StoreError::from_redb("creating", error);
    let tx = begin_write(database)?;
    {
        let mut tables = Tables::open(&tx)?;
        let generation = random_bytes::<8>()?;
        tables
            .meta
            .insert(FORMAT_KEY, FORMAT.to_le_bytes().as_slice())
            .map_err(failed)?;
        tables
            .meta
            .insert(GENERATION, generation.as_slice())
            .map_err(failed)?;
        tables
            .meta
            .insert("created", now.nanos().to_le_bytes().as_slice())
            .map_err(failed)?;
        tables
            .meta
            .insert("created_by", env!("CARGO_PKG_VERSION").as_bytes())
            .map_err(failed)?;
    }
    tx.commit()
        .map_err(|error| StoreError::from_redb("creating", error))
}
