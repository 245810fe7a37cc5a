//! The format of the file: made when it is new, brought up when it is older, refused when it is newer.

use std::path::Path;

use redb::Database;

use crate::base::time::AppleTime;
use crate::store::db::begin_write;
use crate::store::error::StoreError;
use crate::store::tables;
use crate::store::transaction::Tables;

/// The format that this program reads and writes.
pub(super) const FORMAT: u32 = 1;

/// The format's number in `meta`: `u32`, little endian.
const FORMAT_KEY: &str = "format";

/// A random number in `meta` that tells copies of a file apart (D7, D24): 8 bytes.
pub(super) const GENERATION: &str = "generation";

/// Brings a file to the present format in one transaction, or refuses it and leaves it as it is.
pub(super) fn bring_up(database: &Database, path: &Path, now: AppleTime) -> Result<(), StoreError> {
    match found_format(database, path)? {
        Some(FORMAT) => Ok(()),
        Some(found) => Err(StoreError::Newer {
            found,
            known: FORMAT,
        }),
        None => create(database, now),
    }
}

/// The format of a file; `None` for a new one.
fn found_format(database: &Database, path: &Path) -> Result<Option<u32>, StoreError> {
    use redb::ReadableDatabase;
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
    match <[u8; 4]>::try_from(found.value()) {
        Ok(bytes) => Ok(Some(u32::from_le_bytes(bytes))),
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
        getrandom::fill(&mut generation).map_err(|error| StoreError::Io {
            attempted: "drawing a random number for",
            source: std::io::Error::other(error.to_string()),
        })?;
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
