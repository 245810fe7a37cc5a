//! The Messages database of a Mac, read as it is: rows with everything joined to them. It decides nothing.
//!
//! The database may be the live one. It is opened read-only and read in slices, each in one transaction of
//! some milliseconds, so that Messages' write-ahead log does not grow. Two slices may belong to two states of the
//! database: the later one is newer.
//!
//! | part | does |
//! |---|---|
//! | `locations` | where the files are |
//! | `inputs` | whether anything changed, without SQLite |
//! | `open` | opening without disturbing anyone |
//! | `schema` | which columns are there, and the queries made from that |
//! | `rows` | messages with chats, handles and attachments |
//! | `fingerprint` | which columns show, and the hash over them |
//! | `directory` | handles, chats, own addresses, deletions |
//! | `contacts` | cards of the address books |
//! | `files` | attachments on disk |
//!
//! What a reader of records must know:
//!
//! * Null and 0 are not told apart in numbers: both are null, as is a column that this macOS does not have.
//! * Text that is not UTF-8 comes as a blob, so that nothing of it is lost; names and addresses have such bytes
//!   replaced.
//! * A message may be in no chat, in one or in several. A join to a chat that is gone is no join.
//! * An own message may be committed before it is joined to its chat.

mod contacts;
mod directory;
mod error;
mod files;
mod fingerprint;
mod inputs;
mod locations;
mod open;
mod rows;
mod schema;

use std::fmt;

use rusqlite::Connection;

pub use crate::source::chatdb::contacts::CardRow;
pub use crate::source::chatdb::directory::Directory;
pub use crate::source::chatdb::error::ChatDbError;
pub use crate::source::chatdb::files::Files;
pub use crate::source::chatdb::files::Found;
pub use crate::source::chatdb::inputs::inputs;
pub use crate::source::chatdb::locations::Locations;

use crate::base::limits::COMMIT_BYTES;
use crate::base::limits::SLICE_ROWS;
use crate::base::time::AppleTime;
use crate::model::record::MessageRecord;
use crate::source::chatdb::fingerprint::Fingerprints;
use crate::source::chatdb::open::Opened;
use crate::source::chatdb::open::open;
use crate::source::chatdb::open::retried;
use crate::source::chatdb::rows::Batch;
use crate::source::chatdb::rows::Range;
use crate::source::chatdb::rows::View;
use crate::source::chatdb::schema::Tables;

/// How much of a row is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Everything.
    Full,
    /// The GUID and the columns of the fingerprint; of the bodies (`text`, `attributedBody`, `payload_data`,
    /// `message_summary_info`) only the sizes.
    Outline,
}

/// A row of `message` with everything joined to it.
#[derive(Clone, PartialEq)]
pub struct SourceRow {
    /// Where it stands in this database. A cursor, never an identity: Messages renumbers its rows at times.
    pub rowid: i64,
    /// The row.
    pub record: MessageRecord,
    /// Hash over everything of it that shows; the same from an outline as from the full row.
    pub fingerprint: u64,
}

/// Messages are private: logs show none.
impl fmt::Debug for SourceRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceRow")
            .field("rowid", &self.rowid)
            .field("fingerprint", &self.fingerprint)
            .finish_non_exhaustive()
    }
}

/// Some rows that follow one another.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Slice {
    /// The rows, by ROWID.
    pub rows: Vec<SourceRow>,
    /// The ROWID after which the next slice begins.
    pub last: i64,
    /// Whether the table ended with this slice. A slice that is as large as a slice may be does not say so.
    pub end: bool,
}

/// An open Messages database.
pub struct ChatDb {
    opened: Opened,
    locations: Locations,
    view: View,
    fingerprints: Fingerprints,
    unread_books: Vec<String>,
}

impl ChatDb {
    /// Opens a database and looks whether it is one of Messages.
    ///
    /// # Errors
    /// A variant of [`ChatDbError`] for each thing that a path can lead to instead.
    pub fn open(locations: Locations) -> Result<Self, ChatDbError> {
        let opened = open(&locations.database)?;
        let from_sqlite = |source| ChatDbError::from_sqlite(&locations.database, source);
        let tables = Tables::probe(&opened.connection).map_err(from_sqlite)?;
        if let Some(missing) = missing(&tables) {
            return Err(ChatDbError::NotMessages {
                path: locations.database,
                missing,
                tables: tables.names(),
            });
        }
        let view = retried(|| View::new(&*opened.connection.unchecked_transaction()?))
            .map_err(from_sqlite)?;
        Ok(Self {
            opened,
            locations,
            view,
            fingerprints: Fingerprints::default(),
            unread_books: Vec::new(),
        })
    }

    /// Where its files are.
    pub fn locations(&self) -> &Locations {
        &self.locations
    }

    /// What the owner should know although reading goes on, a sentence each.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let database = &self.locations.database;
        let name = database.file_name().unwrap_or_default().to_string_lossy();
        if self.opened.is_wal && !inputs::has_log(database) {
            warnings.push(format!(
                "{name} was written in WAL mode and there is no {name}-wal beside it: if it was copied from a running \
                 Mac, the newest messages are missing; copy {name}-wal too"
            ));
        }
        if self.opened.is_copy() {
            warnings.push(format!(
                "{name} cannot be opened where it is, so a private copy was read"
            ));
        }
        warnings.extend(self.unread_books.iter().cloned());
        warnings
    }

    /// Handles, chats, own addresses, deletions.
    ///
    /// # Errors
    /// When the database is damaged or busy.
    pub fn directory(&mut self) -> Result<Directory, ChatDbError> {
        self.read(directory::read)
    }

    /// The cards of all address books, people only, book by book. An address book that is damaged or may not be read is
    /// passed over and named in the [`warnings`](Self::warnings).
    ///
    /// # Errors
    /// When a book cannot be read now but may be later.
    pub fn contacts(&mut self) -> Result<Vec<CardRow>, ChatDbError> {
        let (cards, unread) = contacts::read(&self.locations.address_books)?;
        self.unread_books = unread;
        Ok(cards)
    }

    /// The largest ROWID of `message`; 0 if there are no messages.
    ///
    /// # Errors
    /// When the database is damaged or busy.
    pub fn max_rowid(&mut self) -> Result<i64, ChatDbError> {
        self.read(|connection, _view| {
            let mut statement = connection.prepare_cached("SELECT MAX(ROWID) FROM message")?;
            let max: Option<i64> = statement.query_row([], |row| row.get(0))?;
            Ok(max.unwrap_or(0))
        })
    }

    /// The number of messages.
    ///
    /// # Errors
    /// When the database is damaged or busy.
    pub fn count(&mut self) -> Result<u64, ChatDbError> {
        self.read(|connection, _view| {
            let mut statement = connection.prepare_cached("SELECT count(*) FROM message")?;
            let count: i64 = statement.query_row([], |row| row.get(0))?;
            Ok(count.unsigned_abs())
        })
    }

    /// The rows that follow a ROWID: at most [`SLICE_ROWS`], fewer if their bodies are large.
    ///
    /// # Errors
    /// When the database is damaged or busy.
    pub fn slice(&mut self, after: i64, detail: Detail) -> Result<Slice, ChatDbError> {
        let range = Range {
            after,
            last: i64::MAX,
            rows: SLICE_ROWS,
            bytes: COMMIT_BYTES as u64,
        };
        let (rows, is_cut) = self.batch(&[range], detail)?;
        Ok(Slice {
            last: rows.last().map_or(after, |row| row.rowid),
            rows,
            end: !is_cut,
        })
    }

    /// ROWIDs of messages that may have changed lately: those dated since a time, and those after a ROWID, however they
    /// are dated: iCloud brings in old messages under new ROWIDs. Rising.
    ///
    /// # Errors
    /// When the database is damaged or busy.
    pub fn recent(&mut self, since: AppleTime, after: i64) -> Result<Vec<i64>, ChatDbError> {
        self.read(|connection, view| {
            let mut statement = connection.prepare_cached(&view.plan.recent)?;
            let rows = statement.query_map((after, since.nanos()), |row| row.get(0))?;
            rows.collect()
        })
    }

    /// Some rows, by ROWID; those that are gone are left out.
    ///
    /// # Errors
    /// When the database is damaged or busy.
    pub fn rows(&mut self, rowids: &[i64], detail: Detail) -> Result<Vec<SourceRow>, ChatDbError> {
        let mut rowids = rowids.to_vec();
        rowids.sort_unstable();
        rowids.dedup();
        let mut rows = Vec::with_capacity(rowids.len());
        for some in rowids.chunks(SLICE_ROWS) {
            let runs = some.chunk_by(|a, b| a.checked_add(1) == Some(*b));
            let ranges: Vec<Range> = runs
                .filter_map(|run| {
                    Some(Range {
                        after: run.first()?.saturating_sub(1),
                        last: *run.last()?,
                        rows: run.len(),
                        bytes: u64::MAX,
                    })
                })
                .collect();
            rows.append(&mut self.batch(&ranges, detail)?.0);
        }
        Ok(rows)
    }

    fn batch(
        &mut self,
        ranges: &[Range],
        detail: Detail,
    ) -> Result<(Vec<SourceRow>, bool), ChatDbError> {
        let batch = self.read(|connection, view| {
            let mut batch = Batch::default();
            batch.read(connection, &view.plan, ranges, detail)?;
            Ok(batch)
        })?;
        let is_cut = batch.is_cut;
        Ok((
            batch.assemble(&self.view.names, &mut self.fingerprints),
            is_cut,
        ))
    }

    /// Runs a read in a transaction of its own; once more after a pause if it was disturbed.
    fn read<T>(
        &mut self,
        mut read: impl FnMut(&Connection, &View) -> rusqlite::Result<T>,
    ) -> Result<T, ChatDbError> {
        let Self { opened, view, .. } = self;
        retried(|| {
            let transaction = opened.connection.transaction()?;
            view.refresh(&transaction)?;
            read(&transaction, view)
        })
        .map_err(|source| ChatDbError::from_sqlite(&self.locations.database, source))
    }
}

/// What every Messages database has and this one has not.
fn missing(tables: &Tables) -> Option<String> {
    let table = ["message", "chat", "handle"]
        .into_iter()
        .find(|table| !tables.has(table));
    let column =
        (!tables.has_columns("message", &["guid"])).then(|| "column `message.guid`".to_owned());
    table.map(|table| format!("table `{table}`")).or(column)
}
