//! Whether anything changed since the last look, told from the files alone (D16). SQLite is not asked.
//!
//! A commit changes the database's header counter, or in WAL mode the log's size, salts or time. An empty log counts
//! as none: opening a database read-only can leave one behind.

use std::fs;
use std::fs::File;
use std::io;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;

use sha2::Digest;
use sha2::Sha256;

use crate::source::chatdb::error::ChatDbError;
use crate::source::chatdb::locations::Locations;

/// Hash over everything that identifies the present state of a source's files: the database, the address books and
/// their write-ahead logs; of each the path, device, inode, size, time of change, and the database header's change
/// counter or the log header's salts.
///
/// # Errors
/// [`ChatDbError::Missing`] and [`ChatDbError::Denied`] for the database; an address book that cannot be read counts
/// as absent.
pub fn inputs(locations: &Locations) -> Result<[u8; 32], ChatDbError> {
    let database = Stamps::of(&locations.database)
        .map_err(|source| ChatDbError::from_io(&locations.database, source))?;
    let mut hash = Sha256::new();
    database.add_to(&mut hash);
    for book in &locations.address_books {
        if let Ok(stamps) = Stamps::of(book) {
            stamps.add_to(&mut hash);
        }
    }
    Ok(hash.finalize().into())
}

/// Whether a database has a write-ahead log that holds something.
pub(super) fn has_log(database: &Path) -> bool {
    fs::metadata(beside(database, "-wal")).is_ok_and(|log| log.len() > 0)
}

/// The path of a file that SQLite keeps beside a database.
pub(super) fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// The state of a database and of its write-ahead log.
#[derive(PartialEq, Eq)]
pub(super) struct Stamps {
    path: PathBuf,
    database: Stamp,
    log: Option<Stamp>,
}

impl Stamps {
    pub(super) fn of(database: &Path) -> io::Result<Self> {
        let log = match Stamp::of(&beside(database, "-wal"), 16..24) {
            Ok(log) => (log.size > 0).then_some(log),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(Self {
            path: fs::canonicalize(database)?,
            database: Stamp::of(database, 24..28)?,
            log,
        })
    }

    fn add_to(&self, hash: &mut Sha256) {
        let path = self.path.as_os_str().as_bytes();
        hash.update(path.len().to_le_bytes());
        hash.update(path);
        hash.update([1 + u8::from(self.log.is_some())]);
        self.database.add_to(hash);
        if let Some(log) = &self.log {
            log.add_to(hash);
        }
    }
}

/// The state of one file.
#[derive(PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    /// Header bytes that change with each commit: counter or salts.
    mark: [u8; 8],
}

impl Stamp {
    fn of(path: &Path, mark_at: std::ops::Range<usize>) -> io::Result<Self> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        let mut header = Vec::with_capacity(32);
        if metadata.is_file() {
            file.take(32).read_to_end(&mut header)?;
        }
        let mut mark = [0; 8];
        for (slot, byte) in mark.iter_mut().zip(header.get(mark_at).unwrap_or_default()) {
            *slot = *byte;
        }
        Ok(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            mark,
        })
    }

    fn add_to(&self, hash: &mut Sha256) {
        hash.update(self.device.to_le_bytes());
        hash.update(self.inode.to_le_bytes());
        hash.update(self.size.to_le_bytes());
        hash.update(self.modified.0.to_le_bytes());
        hash.update(self.modified.1.to_le_bytes());
        hash.update(self.mark);
    }
}
