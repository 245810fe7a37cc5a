//! The change log's far end: trimmed a little with every commit, never below what is kept (D7).

use redb::ReadableTable;
use redb::ReadableTableMetadata;

use crate::base::limits::CHANGE_LOG_AGE;
use crate::base::limits::CHANGE_LOG_ENTRIES;
use crate::store::error::StoreError;
use crate::store::transaction::Transaction;
use crate::store::transaction::value;
use crate::store::value::ChangeEntry;

/// Entries that one commit trims beyond those it wrote, so that no commit waits for a long trim.
const TRIM_MORE: u64 = 10_000;

impl Transaction<'_> {
    /// Removes entries that are beyond the number or the age to keep; never the newest one.
    pub(super) fn trim_changes(&mut self) -> Result<(), StoreError> {
        let failed = |error| StoreError::from_redb("trimming", error);
        let oldest_kept = self.now.minus(CHANGE_LOG_AGE);
        let mut entries = self.tables.changes.len().map_err(failed)?;
        let budget = entries
            .saturating_sub(CHANGE_LOG_ENTRIES)
            .saturating_add(TRIM_MORE);
        for _ in 0..budget {
            let oldest = match self.tables.changes.first().map_err(failed)? {
                Some((number, bytes)) => (
                    number.value(),
                    value::<ChangeEntry>("changes", bytes.value())?,
                ),
                None => break,
            };
            let (number, entry) = oldest;
            if entries <= 1 || (entries <= CHANGE_LOG_ENTRIES && entry.at >= oldest_kept) {
                break;
            }
            self.tables.changes.remove(number).map_err(failed)?;
            entries -= 1;
        }
        Ok(())
    }
}
