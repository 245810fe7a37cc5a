//! The format of the file: made when it is new, brought up when it is older, refused when it is newer.

use std::path::Path;

use redb::Database;
use redb::ReadableDatabase;

use crate::base::time::AppleTime;
use crate::store::db::begin_write;
use crate::store::db::fill_random;
use crate::store::error::StoreError;
use crate::store::tables;
use crate::store::transaction::Tables;

/// The format that this program reads and writes.
pub(super) const FORMAT: u32 = 1;

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
        Some(()) => Ok(()),
        None => create(database, now),
    }
}

/// Whether a file has the present format; `None` for a new one.
fn found_format(database: &impl ReadableDatabase, path: &Path) -> Result<Option<()>, StoreError> {
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
        Ok(FORMAT) => Ok(Some(())),
        Ok(found) => Err(StoreError::Newer {
            found,
            known: FORMAT,
        }),
        Err(_other_length) => Err(StoreError::Damaged {
            what: "its format is no number".to_owned(),
        }),
    }
}

fn create(database: &Database, now: AppleTime) -> Result<(), StoreError> {
    let failed = |error| StoreError::from_redb("creating", error);
    let tx = begin_write(database)?;
    {
        let mut tables = Tables::open(&tx)?;
        let mut generation = [0; 8];
        fill_random(&mut generation)?;
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
