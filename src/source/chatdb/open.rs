//! Opening a database that another program is using, without ever writing to it.
//!
//! 1. The file itself is looked at: there, readable, not empty, with SQLite's header.
//! 2. It is opened read-only where it is. In WAL mode neither side then waits for the other. SQLite may create the
//!    `-shm` file and an empty `-wal` beside a database that nobody has open; it does so for every reader.
//! 3. Where that is refused although the file is readable (no `-shm` can be made, the log needs recovery, the system
//!    denies the authorization), the database and its logs are copied to a private folder, and the copy is opened. The
//!    copy counts only if nothing changed while it was made.
//!
//! `immutable` is never used: it ignores the log, and a checkpoint pulls the pages away underneath it.
//!
//! Source: `[obs]` SQLite 3.54; `facts` 8.

use std::fs;
use std::fs::DirBuilder;
use std::fs::File;
use std::io;
use std::io::Read;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::path::PathBuf;
use std::thread;

use rusqlite::Connection;
use rusqlite::ErrorCode;
use rusqlite::OpenFlags;
use rusqlite::config::DbConfig;

use crate::base::limits::SOURCE_BUSY_WAIT;
use crate::base::limits::SOURCE_COPY_ATTEMPTS;
use crate::base::limits::SOURCE_PAUSE;
use crate::base::random;
use crate::source::chatdb::error::ChatDbError;
use crate::source::chatdb::inputs::Stamps;
use crate::source::chatdb::inputs::beside;

/// What every SQLite database begins with.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// An open database.
pub(super) struct Opened {
    /// The connection. It stands before the copy: it is closed before its file goes.
    pub(super) connection: Connection,
    /// Set if a private copy had to be made.
    copy: Option<PrivateCopy>,
    /// Whether the header says that commits go to a write-ahead log.
    pub(super) is_wal: bool,
}

impl Opened {
    /// Whether a private copy is read instead of the file.
    pub(super) fn is_copy(&self) -> bool {
        self.copy.is_some()
    }
}

/// Opens a database for reading.
pub(super) fn open(path: &Path) -> Result<Opened, ChatDbError> {
    let is_wal = check_file(path)?;
    let refused = match connect(path, Mode::InPlace) {
        Ok(connection) => {
            return Ok(Opened {
                connection,
                copy: None,
                is_wal,
            });
        }
        Err(error) if is_refused(&error) => error,
        Err(error) => return Err(ChatDbError::from_sqlite(path, error)),
    };
    tracing::info!(reason = %refused, "database could not be opened where it is, copying it");
    let copy = PrivateCopy::make(path)?;
    let connection = connect(&copy.database(), Mode::Copy)
        .map_err(|source| ChatDbError::from_sqlite(path, source))?;
    Ok(Opened {
        connection,
        copy: Some(copy),
        is_wal,
    })
}

/// Looks at the file before SQLite does, which tells these cases apart badly. Says whether it is in WAL mode.
fn check_file(path: &Path) -> Result<bool, ChatDbError> {
    let from_io = |source| ChatDbError::from_io(path, source);
    let owned = || path.to_owned();
    let metadata = fs::metadata(path).map_err(from_io)?;
    if metadata.is_dir() {
        return Err(ChatDbError::Directory { path: owned() });
    }
    if !metadata.is_file() {
        return Err(ChatDbError::NotAFile { path: owned() });
    }
    let mut head = Vec::with_capacity(4096);
    let file = File::open(path).map_err(from_io)?;
    file.take(4096).read_to_end(&mut head).map_err(from_io)?;
    if head.is_empty() {
        return Err(ChatDbError::Empty { path: owned() });
    }
    if !head.starts_with(MAGIC) {
        return Err(if is_random(&head) && metadata.len().is_multiple_of(512) {
            ChatDbError::Encrypted { path: owned() }
        } else {
            ChatDbError::NotADatabase { path: owned() }
        });
    }
    Ok(head.get(18..20) == Some(&[2, 2]))
}

/// Whether nearly every byte value occurs about as often: encrypted pages look so, and no plain page does.
fn is_random(page: &[u8]) -> bool {
    let mut counts = [0_usize; 256];
    for byte in page {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count += 1;
        }
    }
    let expected = page.len() / 256;
    page.len() == 4096 && counts.into_iter().all(|count| count <= expected * 4)
}

/// How a file is opened.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Somebody else's: nothing is written.
    InPlace,
    /// Our own copy: SQLite may recover its logs. Ours are only queries all the same.
    Copy,
}

fn connect(path: &Path, mode: Mode) -> rusqlite::Result<Connection> {
    let access = match mode {
        Mode::InPlace => OpenFlags::SQLITE_OPEN_READ_ONLY,
        Mode::Copy => OpenFlags::SQLITE_OPEN_READ_WRITE,
    };
    let attempt = || {
        let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(SOURCE_BUSY_WAIT)?;
        connection.execute_batch(
            "PRAGMA query_only = 1; PRAGMA trusted_schema = 0; PRAGMA cache_size = -4096;",
        )?;
        connection.set_prepared_statement_cache_capacity(32);
        // Without it SQLite prepares a statement anew when a number that it was given changes.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        // Opening reads nothing yet: the first query finds out whether the file can be read.
        connection.query_row("SELECT count(*) FROM sqlite_master", [], |_row| Ok(()))?;
        Ok(connection)
    };
    retried(attempt)
}

/// Runs a read, and once more after a pause if it was disturbed: Messages removes and makes its log files as it comes
/// and goes. A busy database was waited for already.
pub(super) fn retried<T>(mut read: impl FnMut() -> rusqlite::Result<T>) -> rusqlite::Result<T> {
    match read() {
        Err(error) if is_passing(&error) => {
            thread::sleep(SOURCE_PAUSE);
            read()
        }
        result => result,
    }
}

fn is_passing(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::FileLockingProtocolFailed
                | ErrorCode::OperationInterrupted
                | ErrorCode::SchemaChanged
                | ErrorCode::CannotOpen
                | ErrorCode::DatabaseCorrupt
        )
    )
}

/// Whether SQLite was not allowed to read the file where it is, although the file itself can be read.
fn is_refused(error: &rusqlite::Error) -> bool {
    use rusqlite::ffi;
    let shared_memory = [
        ffi::SQLITE_IOERR_SHMOPEN,
        ffi::SQLITE_IOERR_SHMSIZE,
        ffi::SQLITE_IOERR_SHMLOCK,
        ffi::SQLITE_IOERR_SHMMAP,
        ffi::SQLITE_IOERR_LOCK,
        ffi::SQLITE_IOERR_RDLOCK,
    ];
    let code = error.sqlite_error();
    code.is_some_and(|code| {
        shared_memory.contains(&code.extended_code)
            || matches!(
                code.code,
                ErrorCode::CannotOpen
                    | ErrorCode::AuthorizationForStatementDenied
                    | ErrorCode::PermissionDenied
                    | ErrorCode::ReadOnly
            )
    })
}

/// A copy of a database and its logs in a folder that only this user can read, gone when dropped.
struct PrivateCopy {
    folder: PathBuf,
}

impl PrivateCopy {
    fn make(database: &Path) -> Result<Self, ChatDbError> {
        let copy = Self::in_new_folder(database)?;
        for _attempt in 0..SOURCE_COPY_ATTEMPTS {
            let stamps = || Stamps::of(database).map_err(|e| ChatDbError::from_io(database, e));
            let before = stamps()?;
            // The log after the database: a checkpoint in between changes the stamps and is noticed.
            for suffix in ["", "-wal", "-journal"] {
                copy.take(database, suffix)?;
            }
            if stamps()? == before {
                return Ok(copy);
            }
            thread::sleep(SOURCE_PAUSE);
        }
        Err(ChatDbError::Changing {
            path: database.to_owned(),
        })
    }

    fn in_new_folder(database: &Path) -> Result<Self, ChatDbError> {
        let parent = std::env::temp_dir();
        let fail = |source| ChatDbError::Copy {
            path: database.to_owned(),
            to: parent.clone(),
            source,
        };
        let random = random::bytes().map_err(|error| fail(io::Error::other(error)))?;
        let folder = parent.join(format!("footbridge-{:016x}", u64::from_le_bytes(random)));
        DirBuilder::new()
            .mode(0o700)
            .create(&folder)
            .map_err(fail)?;
        Ok(Self { folder })
    }

    fn take(&self, database: &Path, suffix: &str) -> Result<(), ChatDbError> {
        let to = beside(&self.database(), suffix);
        match fs::copy(beside(database, suffix), &to) {
            Ok(_bytes) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !suffix.is_empty() => Ok(()),
            Err(source) => Err(ChatDbError::Copy {
                path: database.to_owned(),
                to,
                source,
            }),
        }
    }

    fn database(&self) -> PathBuf {
        self.folder.join("chat.db")
    }
}

impl Drop for PrivateCopy {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            tracing::warn!(folder = %self.folder.display(), reason = %error, "private copy was not removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_random;

    #[test]
    fn only_a_page_of_noise_looks_encrypted() {
        let mut noise = Vec::new();
        let mut state = 1_u32;
        for _byte in 0..4096 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            noise.push(state.to_be_bytes()[0]);
        }

        assert!(is_random(&noise));
        assert!(!is_random(&vec![b'a'; 4096]));
        assert!(!is_random(&noise[..100]));
    }
}
