//! The archive, open: where every question begins.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use crate::app::AppError;
use crate::base::limits::PAGE_CACHE_BYTES;
use crate::base::limits::WRITING_CACHE_BYTES;
use crate::base::time::Clock;
use crate::base::time::SystemClock;
use crate::store::Absent;
use crate::store::Finding;
use crate::store::Store;
use crate::store::StoreError;

/// An open archive. Clones share it; it is closed with the last one.
#[derive(Clone)]
pub struct Archive {
    store: Store,
    clock: Arc<dyn Clock>,
}

/// What a backup is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackupPhase {
    /// Rows are copied.
    Copying,
    /// The copy is read again, message by message.
    Verifying,
}

impl Archive {
    /// Opens an archive that exists.
    ///
    /// # Errors
    ///
    /// [`AppError::Store`] and [`AppError::Open`] with every [`StoreError`] that opening can meet, absence among them;
    /// [`AppError::Argument`] for a folder.
    pub fn open(path: &Path) -> Result<Self, AppError> {
        Self::with(path, Absent::Refuse, PAGE_CACHE_BYTES)
    }

    /// Opens an archive to write into it, making it if there is none.
    ///
    /// # Errors
    ///
    /// As [`Self::open`], without absence.
    pub fn open_or_create(path: &Path) -> Result<Self, AppError> {
        Self::with(path, Absent::Create, WRITING_CACHE_BYTES)
    }

    fn with(path: &Path, absent: Absent, cache_bytes: usize) -> Result<Self, AppError> {
        if path.is_dir() {
            return Err(AppError::Argument {
                value: path.display().to_string(),
                expected: "a file",
            });
        }
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        match Store::open_with_cache(path, absent, cache_bytes, Arc::clone(&clock)) {
            Ok(store) => Ok(Self { store, clock }),
            Err(
                named @ (StoreError::Absent { .. }
                | StoreError::Locked { .. }
                | StoreError::Foreign { .. }),
            ) => Err(named.into()),
            Err(source) => Err(AppError::Open {
                path: path.to_owned(),
                source,
            }),
        }
    }

    /// Writes nothing while less is free on the disk, bytes; `None` for the usual floor (D8).
    #[must_use]
    pub fn with_floor(mut self, floor: Option<u64>) -> Self {
        self.store = self.store.with_floor(floor);
        self
    }

    /// An archive over a store that is open already.
    pub fn over(store: Store, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn shared_clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }

    /// Reads every table and holds it against the others; tells `progress` how many messages of how many are done.
    ///
    /// # Errors
    ///
    /// When the file cannot be read to its end.
    pub fn verify(&self, progress: impl FnMut(u64, u64)) -> Result<Vec<Finding>, AppError> {
        Ok(self.store.verify(progress)?)
    }

    /// Writes a consistent copy to a file that must not exist, and verifies it; tells `progress` how much of how much is
    /// done. Answers its size in bytes.
    ///
    /// # Errors
    ///
    /// [`AppError::Exists`]; when the copy cannot be written, or does not verify.
    pub fn backup(
        &self,
        to: &Path,
        mut progress: impl FnMut(BackupPhase, u64, u64),
    ) -> Result<u64, AppError> {
        if to.exists() {
            return Err(AppError::Exists {
                path: to.to_owned(),
            });
        }
        let copying = |done, total| progress(BackupPhase::Copying, done, total);
        self.store.backup(to, copying)?;
        let copy = Self::open(to)?;
        let verifying = |done, total| progress(BackupPhase::Verifying, done, total);
        if let Some(finding) = copy.verify(verifying)?.first() {
            let what = format!(
                "the copy: table {}, row {}: {}",
                finding.table, finding.row, finding.what
            );
            return Err(StoreError::Damaged { what }.into());
        }
        drop(copy);
        Ok(size(to)?)
    }

    /// Shrinks the file to what it holds, and closes it. Answers its size in bytes before and after.
    ///
    /// # Errors
    ///
    /// When somebody else uses the file, or the disk is full.
    pub fn compact(mut self) -> Result<(u64, u64), AppError> {
        let path = self.store.path().map(Path::to_owned).unwrap_or_default();
        let before = size(&path)?;
        self.store.compact()?;
        // An open file has room to spare; it is cut off when the file is closed.
        drop(self);
        Ok((before, size(&path)?))
    }
}

/// What a panic at a place in the source means when it was redb's: it trusts its pages, so that a damaged one trips an
/// assertion inside it. `None` for any other place.
pub fn damage_behind_panic(place: &str) -> Option<AppError> {
    // As the compiler names a file of another package: by the folder of the package, with its version.
    let is_in_redb = place.contains("/redb-") && place.contains("/src/");
    is_in_redb.then(|| {
        let what = "its pages contradict each other".to_owned();
        StoreError::Damaged { what }.into()
    })
}

/// What a file takes on its disk, bytes: its blocks, for a file with holes is longer than what it takes (D8).
pub(super) fn size(path: &Path) -> Result<u64, StoreError> {
    match std::fs::metadata(path) {
        // In units of 512 bytes, whatever the file system's own are (POSIX, `struct stat`).
        Ok(file) => Ok(file.blocks() * 512),
        Err(source) => Err(StoreError::Io {
            attempted: "measuring",
            source,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn holes_take_no_space() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(1 << 30).unwrap();

        assert!(size(file.path()).unwrap() < 1 << 20);
    }
}
