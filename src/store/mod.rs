//! The redb file: what is kept, in which tables, and how a page gets in with everything that follows from it.
//!
//! | to | go to |
//! |---|---|
//! | see which tables there are | `tables` |
//! | see what a value looks like in bytes | [`value`] |
//! | follow a page into the tables | `page`, then `messages`, `conversations`, `attachments` |
//! | read what is held | `snapshot`; `walk` for rooms, `news` for what changed |
//! | see from when on clients see it | `publication` |
//! | see what clients leave here | [`account`] |
//! | measure, check, copy or shrink the file | `stats`, `verify`, `backup` |
//! | see how a large import is made fast | `filters`, `sparing`, the end of a `transaction` |
//!
//! One thread writes (`writer`); readers work on snapshots and never wait for it. The rules (data-format.md has the
//! bytes):
//!
//! * One transaction holds pages, all their consequences and the cursor after them.
//! * Row ids are handed out by arrival and never again; the order that people see is `timeline` and `by_time`.
//! * Every GUID comparison goes through the 16-byte index, in which case cannot matter.
//! * Every durable commit saves the allocator's state, so that the file opens at once after a crash.

pub mod account;
mod attachments;
mod backup;
mod changes;
pub mod cloud;
mod combine;
mod conversations;
mod db;
mod error;
mod filters;
mod guid;
mod index;
mod media;
mod merges;
mod messages;
mod migrate;
mod news;
mod page;
mod pages;
mod prepared;
mod publication;
mod read_tables;
pub mod search;
mod snapshot;
mod sparing;
mod stats;
mod tables;
mod tally;
mod transaction;
pub mod value;
mod verify;
mod walk;
mod writer;

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use redb::Database;
use redb::ReadableDatabase;
use redb::StorageBackend;
use tokio::sync::watch;

use crate::base::ids::ChangeNumber;
use crate::base::ids::RowId;
use crate::base::limits::PAGE_CACHE_BYTES;
use crate::base::time::Clock;
use crate::store::filters::Filters;

pub use db::Absent;
pub use db::usual_floor;
pub use error::StoreError;
pub use index::kind;
pub use index::searchable;
pub use media::Stretch;
pub use news::News;
pub use page::Page;
pub use prepared::Prepared;
pub use prepared::Preparer;
pub use publication::Places;
pub use snapshot::Changes;
pub use snapshot::Direction;
pub use snapshot::Place;
pub use snapshot::Snapshot;
pub use stats::TableSize;
pub use tables::NAMES as TABLE_NAMES;
pub use tally::Tally;
pub use transaction::Transaction;
pub use verify::Finding;
pub use walk::Entry;
pub use writer::Pace;
pub use writer::Writer;

/// The archive's file, open.
///
/// Clones share it. The file is closed, and its lock released, when the last clone and the last [`Snapshot`] are gone.
#[derive(Clone)]
pub struct Store {
    database: Arc<Database>,
    clock: Arc<dyn Clock>,
    path: Option<PathBuf>,
    /// Free bytes below which nothing is written; `None` for [`usual_floor`].
    floor: Option<u64>,
    /// The latest change that is committed.
    latest: Arc<watch::Sender<ChangeNumber>>,
    /// They know everything that is held: of an archive that was empty when it was opened. A transaction takes them along.
    filters: Arc<Mutex<Option<Filters>>>,
}

impl Store {
    /// Opens a file and brings it to the present format.
    ///
    /// A file that another process has open is waited for, [`crate::base::limits::LOCK_WAIT`] at most.
    ///
    /// # Errors
    ///
    /// [`StoreError::Absent`], [`StoreError::Locked`], [`StoreError::Foreign`], [`StoreError::Newer`],
    /// [`StoreError::Damaged`], [`StoreError::DiskFull`], [`StoreError::Io`].
    pub fn open(path: &Path, absent: Absent, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        Self::open_with_cache(path, absent, PAGE_CACHE_BYTES, clock)
    }

    /// The same with another size of redb's page cache, bytes.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub fn open_with_cache(
        path: &Path,
        absent: Absent,
        cache_bytes: usize,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StoreError> {
        if absent == Absent::Create {
            db::create(path, |new| migrate::bring_up(new, path, clock.now()))?;
        }
        db::guarded(|| {
            if let Some(unchanged) = db::peek(path) {
                migrate::check(&unchanged, path)?;
            }
            let database = db::open(path, cache_bytes)?;
            Self::ready(database, clock, Some(path.to_owned()))
        })
    }

    /// Opens a storage backend: memory, or one that fails on purpose.
    ///
    /// # Errors
    ///
    /// As [`Self::open`], without what concerns files.
    pub fn open_backend(
        backend: impl StorageBackend,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StoreError> {
        Self::ready(db::open_backend(backend)?, clock, None)
    }

    /// An empty archive in memory, for tests of modules that may not name redb.
    #[cfg(test)]
    pub(crate) fn in_memory(clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        Self::open_backend(redb::backends::InMemoryBackend::new(), clock)
    }

    fn ready(
        database: Database,
        clock: Arc<dyn Clock>,
        path: Option<PathBuf>,
    ) -> Result<Self, StoreError> {
        let named = path.as_deref().unwrap_or(Path::new(""));
        migrate::bring_up(&database, named, clock.now())?;
        let store = Self {
            database: Arc::new(database),
            clock,
            path,
            floor: None,
            latest: Arc::new(watch::Sender::new(ChangeNumber(0))),
            filters: Arc::default(),
        };
        let snapshot = store.snapshot()?;
        store.latest.send_replace(snapshot.last_change()?);
        // Whatever is held has taken a row.
        if snapshot.next_row()? == RowId(1) {
            *store.filters() = Some(Filters::default());
        }
        Ok(store)
    }

    /// Writes nothing while less is free on the disk, bytes; `None` for [`usual_floor`].
    #[must_use]
    pub fn with_floor(mut self, floor: Option<u64>) -> Self {
        self.floor = floor;
        self
    }

    /// Follows the latest committed change: it moves after each commit that logged one. Take the receiver before the
    /// snapshot, or a change in between goes unnoticed.
    pub fn changes(&self) -> watch::Receiver<ChangeNumber> {
        self.latest.subscribe()
    }

    /// Where the file is; `None` for a backend that is none.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Free bytes of the disk that it is on; `None` for a backend that is none, and where the system does not tell.
    pub fn free_bytes(&self) -> Option<u64> {
        db::free_bytes(self.path.as_deref()?)
    }

    /// What is held now. Later commits do not change it; it keeps their old pages from being reused, so it is let go
    /// of soon.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Damaged`].
    pub fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let transaction = self
            .database
            .begin_read()
            .map_err(|error| StoreError::from_redb("reading", error))?;
        Ok(Snapshot::new(Arc::clone(&self.database), transaction))
    }

    /// Does some work in one transaction of its own and commits it, or nothing of it.
    ///
    /// # Errors
    ///
    /// The work's, or [`StoreError::DiskFull`], [`StoreError::LowSpace`], [`StoreError::Io`].
    pub fn write<E: From<StoreError>>(
        &self,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<(), E>,
    ) -> Result<Tally, E> {
        if let Some(path) = &self.path {
            db::check_space(path, self.floor)?;
        }
        let tx = db::begin_write(&self.database)?;
        let mut transaction = Transaction::begin(&tx, self.clock.now())?;
        transaction.filters = self.filters().take();
        let done = work(&mut transaction);
        // Before anybody else can write. Should this transaction fail, they know too much, which is as good.
        *self.filters() = transaction.filters.take();
        done?;
        let (tally, latest) = transaction.finish()?;
        tx.commit()
            .map_err(|error| StoreError::from_redb("committing to", error))?;
        self.latest.send_if_modified(|held| {
            let is_later = *held < latest;
            *held = latest.max(*held);
            is_later
        });
        Ok(tally)
    }

    fn filters(&self) -> MutexGuard<'_, Option<Filters>> {
        // Whoever panicked held nothing half done: they are moved out and in.
        self.filters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the thread that writes.
    pub fn writer(&self, pace: Pace) -> Writer {
        Writer::start(self.clone(), pace)
    }

    /// Shrinks the file to what it holds. Nobody else may be using it.
    ///
    /// Compaction's own commits do not save the allocator's state; closing the file does, and so does the next commit. One
    /// more commit here would make the file grow to twice its size again.
    ///
    /// # Errors
    ///
    /// [`StoreError::Locked`] while a snapshot or a clone is alive, [`StoreError::DiskFull`], [`StoreError::Io`].
    pub fn compact(&mut self) -> Result<(), StoreError> {
        let path = self.path.clone().unwrap_or_default();
        let Some(database) = Arc::get_mut(&mut self.database) else {
            return Err(StoreError::Locked { path });
        };
        while database
            .compact()
            .map_err(|error| StoreError::from_redb("compacting", error))?
        {}
        Ok(())
    }
}
