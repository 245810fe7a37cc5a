//! Opening the file, and the one way to begin a transaction.

use std::fs;
use std::io;
use std::io::Read;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::path::Path;
use std::thread;
use std::time::Duration;

use redb::Builder;
use redb::Database;
use redb::DatabaseError;
use redb::ReadOnlyDatabase;
use redb::StorageBackend;
use redb::StorageError;
use redb::WriteTransaction;
use redb::backends::FileBackend;

use crate::base::limits::FREE_SPACE_FLOOR;
use crate::base::limits::LOCK_WAIT;
use crate::base::limits::PAGE_CACHE_BYTES;
use crate::base::random;
use crate::store::error::StoreError;
use crate::store::sparing::SparingFile;

/// The first nine bytes of every redb file.
const MAGIC: &[u8] = b"redb\x1a\x0a\xa9\x0d\x0a";

/// How often the lock is tried while another process holds it.
const LOCK_RETRY: Duration = Duration::from_millis(50);

/// Whether a missing file is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// It is made, readable by its owner alone.
    Create,
    /// It is an error.
    Refuse,
}

/// Opens a file, waiting for another process to let go of it; of its pages so many bytes stay in memory.
///
/// # Errors
///
/// [`StoreError::Absent`], [`StoreError::Locked`], [`StoreError::Foreign`], [`StoreError::Damaged`],
/// [`StoreError::Io`].
pub(super) fn open(path: &Path, cache_bytes: usize) -> Result<Database, StoreError> {
    match is_redb(path) {
        Ok(true) => {}
        Ok(false) => {
            return Err(StoreError::Foreign {
                path: path.to_owned(),
            });
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(StoreError::Absent {
                path: path.to_owned(),
            });
        }
        Err(source) => {
            return Err(StoreError::Io {
                attempted: "opening",
                source,
            });
        }
    }
    let mut waited = Duration::ZERO;
    loop {
        let opened = open_file(path).and_then(|file| {
            builder()
                .set_cache_size(cache_bytes)
                .create_with_backend(file)
        });
        match opened {
            Err(DatabaseError::DatabaseAlreadyOpen) if waited < LOCK_WAIT => {
                thread::sleep(LOCK_RETRY);
                waited += LOCK_RETRY;
            }
            Err(DatabaseError::DatabaseAlreadyOpen) => {
                return Err(StoreError::Locked {
                    path: path.to_owned(),
                });
            }
            // It begins as redb's files do, so it was one.
            Err(DatabaseError::Storage(StorageError::Io(error)))
                if matches!(
                    error.kind(),
                    io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
                ) =>
            {
                return Err(StoreError::Damaged {
                    what: error.to_string(),
                });
            }
            Err(error) => return Err(StoreError::from_redb("opening", error)),
            Ok(database) => return Ok(database),
        }
    }
}

/// Makes a file if there is none, with what `fill` puts into it, readable by its owner alone.
///
/// It is made under another name: a crash leaves no half-made file that looks like somebody else's. When two processes
/// do this at once, the file of the first one stays.
///
/// # Errors
///
/// [`StoreError::DiskFull`], [`StoreError::Io`], and those of `fill`.
pub(super) fn create(
    path: &Path,
    fill: impl FnOnce(&Database) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    if path.exists() {
        return Ok(());
    }
    let random = random_bytes()?;
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(format!(".{:016x}.new", u64::from_ne_bytes(random)));
    let unfinished = Path::new(&unfinished);
    let made = create_empty(unfinished).and_then(|database| fill(&database));
    let published = made.and_then(|()| match publish(unfinished, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        published => published.map_err(|source| StoreError::io("creating", source)),
    });
    discard(unfinished);
    published
}

/// Random bytes.
///
/// # Errors
///
/// [`StoreError::Io`].
pub(super) fn random_bytes<const N: usize>() -> Result<[u8; N], StoreError> {
    random::bytes().map_err(|error| {
        let source = io::Error::other(error);
        StoreError::io("drawing a random number for", source)
    })
}

/// Makes an empty database in a new file.
///
/// # Errors
///
/// [`StoreError::DiskFull`], [`StoreError::Io`], also when the file exists.
pub(super) fn create_empty(path: &Path) -> Result<Database, StoreError> {
    make_private(path).map_err(|source| StoreError::io("creating", source))?;
    builder()
        .create(path)
        .map_err(|error| StoreError::from_redb("creating", error))
}

/// Gives a finished file its name, for good, unless there is a file of that name. The name it had may remain.
///
/// # Errors
///
/// The operating system's; [`io::ErrorKind::AlreadyExists`] among them.
pub(super) fn publish(finished: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(finished, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists && !path.exists() => {
            // A file system without links.
            fs::rename(finished, path)?;
        }
        linked => linked?,
    }
    fs::File::open(folder_of(path))?.sync_all()
}

/// Removes a file that is of no use any more, if it is there.
pub(super) fn discard(unfinished: &Path) {
    if let Err(error) = fs::remove_file(unfinished)
        && unfinished.symlink_metadata().is_ok()
    {
        tracing::warn!(%error, "unfinished file not removed");
    }
}

/// The folder that a file is in.
fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// Opens a storage backend: memory, or one that fails on purpose.
///
/// # Errors
///
/// [`StoreError::Damaged`], [`StoreError::Io`].
pub(super) fn open_backend(backend: impl StorageBackend) -> Result<Database, StoreError> {
    builder()
        .create_with_backend(backend)
        .map_err(|error| StoreError::from_redb("opening", error))
}

/// Opens a file without changing a byte of it, as far as that is possible: not after a crash, nor while another process
/// has it open. Whatever is in the way, [`open`] meets it too.
pub(super) fn peek(path: &Path) -> Option<ReadOnlyDatabase> {
    builder().open_read_only(path).ok()
}

/// Compares the checksums of all pages of a backend, which is repaired as far as that is possible.
///
/// # Errors
///
/// [`StoreError::Damaged`], [`StoreError::Io`].
pub(super) fn check_pages(backend: impl StorageBackend) -> Result<(), StoreError> {
    let checked = builder()
        .create_with_backend(backend)
        .and_then(|mut database| database.check_integrity());
    // What was repaired is the list of free pages, which every opening after a crash makes anew.
    checked
        .map(|_was_sound| ())
        .map_err(|error| StoreError::from_redb("reading", error))
}

/// Does something with a file that may be damaged: redb trusts its pages, so that a damaged one can trip an assertion
/// inside it. That is damage, not a bug here.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_panic| {
        Err(StoreError::Damaged {
            what: "its pages contradict each other".to_owned(),
        })
    })
}

/// A file that is there.
fn open_file(path: &Path) -> Result<SparingFile, DatabaseError> {
    let file = fs::OpenOptions::new().read(true).write(true).open(path)?;
    FileBackend::new(file).map(SparingFile::new)
}

fn builder() -> Builder {
    let mut builder = Database::builder();
    builder
        .set_cache_size(PAGE_CACHE_BYTES)
        .set_repair_callback(|session| {
            tracing::info!(
                progress = session.progress(),
                "archive was not closed cleanly, repairing"
            );
        });
    builder
}

/// Begins a transaction whose commit survives a crash and opens quickly after one.
///
/// Every durable commit must save the allocator's state: that of an earlier one is void as soon as one commit does not
/// (data-format.md, "Commits").
///
/// # Errors
///
/// [`StoreError::AfterFailure`] after a failed commit, [`StoreError::Io`].
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where transactions begin"
)]
pub(super) fn begin_write(database: &Database) -> Result<WriteTransaction, StoreError> {
    let mut transaction = database
        .begin_write()
        .map_err(|error| StoreError::from_redb("writing to", error))?;
    transaction.set_quick_repair(true);
    Ok(transaction)
}

/// Whether a file begins as redb's do. An empty one counts: it can become one.
fn is_redb(path: &Path) -> io::Result<bool> {
    let mut begin = Vec::with_capacity(MAGIC.len());
    fs::File::open(path)?
        .take(MAGIC.len() as u64)
        .read_to_end(&mut begin)?;
    Ok(begin.is_empty() || begin == MAGIC)
}

/// Makes an empty file that only its owner can read, and its folder likewise.
fn make_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    use std::os::unix::fs::OpenOptionsExt;

    let folder = folder_of(path);
    if !folder.exists() {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    Ok(())
}

/// Free bytes below which intake stops, on a disk of this size (D8).
pub fn usual_floor(size_bytes: u64) -> u64 {
    FREE_SPACE_FLOOR.max(size_bytes / 50)
}

/// Free bytes of the disk of a file, if the system tells.
pub(super) fn free_bytes(path: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder_of(path)).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Refuses to write when too little space is left for it to end well: less than a floor, bytes, or the usual one (D8).
pub(super) fn check_space(path: &Path, floor: Option<u64>) -> Result<(), StoreError> {
    let Ok(disk) = rustix::fs::statvfs(folder_of(path)) else {
        // A file system that does not tell is not one that is full.
        return Ok(());
    };
    let free_bytes = disk.f_bavail.saturating_mul(disk.f_frsize);
    let size_bytes = disk.f_blocks.saturating_mul(disk.f_frsize);
    let floor_bytes = floor.unwrap_or_else(|| usual_floor(size_bytes));
    if free_bytes < floor_bytes {
        return Err(StoreError::LowSpace {
            free_bytes,
            floor_bytes,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Absent;
    use crate::base::time::SystemClock;
    use crate::store::Store;
    use crate::store::StoreError;

    #[test]
    fn nothing_is_written_below_the_floor() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new.redb");
        let store = Store::open(&path, Absent::Create, Arc::new(SystemClock)).unwrap();
        let write = |store: &Store| store.write(|_| Ok::<(), StoreError>(()));

        let refused = write(&store.clone().with_floor(Some(u64::MAX)));

        assert!(matches!(refused, Err(StoreError::LowSpace { .. })));
        assert!(write(&store.with_floor(Some(0))).is_ok());
    }
}
