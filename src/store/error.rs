//! What can be wrong with the file, each with what to do now.

use std::io;
use std::path::PathBuf;

use crate::base::error::Class;
use crate::base::error::Explain;
use crate::base::numbers::size;
use crate::store::value::ValueError;

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no file.
    #[error("there is no archive at {}", path.display())]
    Absent {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// Another process has the file open.
    #[error("another footbridge has {} open", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// The file is something else.
    #[error("{} is not a footbridge archive", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A newer version wrote the file.
    #[error("written by a newer footbridge (format {found}, this one knows {known})")]
    Newer {
        /// The format of the file.
        found: u32,
        /// The newest format this program knows.
        known: u32,
    },
    /// The file is damaged.
    #[error("the archive is damaged: {what}")]
    Damaged {
        /// What was found.
        what: String,
    },
    /// The disk is full.
    #[error("no space is left on the disk while {attempted}")]
    DiskFull {
        /// What was attempted.
        attempted: &'static str,
    },
    /// Less is free than the floor below which intake stops (D8).
    #[error(
        "only {} are free on the disk of the archive, {} are needed",
        size(*free_bytes),
        size(*floor_bytes)
    )]
    LowSpace {
        /// Free now.
        free_bytes: u64,
        /// The floor.
        floor_bytes: u64,
    },
    /// The operating system refused.
    #[error("{attempted} the archive")]
    Io {
        /// What was attempted.
        attempted: &'static str,
        /// Its answer.
        #[source]
        source: io::Error,
    },
    /// An earlier write failed; nothing more is written until the file is opened anew.
    #[error("an earlier write to the archive did not succeed")]
    AfterFailure,
    /// A stored value is not what its table holds.
    #[error("unreadable value in table {table}")]
    Value {
        /// The table.
        table: &'static str,
        /// What is wrong.
        #[source]
        source: ValueError,
    },
    /// A row that another row refers to is not there.
    #[error("table {table} has no row {row}, which another row refers to")]
    Dangling {
        /// The table.
        table: &'static str,
        /// The row.
        row: u64,
    },
    /// redb reports something that none of the above says.
    #[error("{attempted} the archive")]
    Redb {
        /// What was attempted.
        attempted: &'static str,
        /// Its error.
        #[source]
        source: Box<redb::Error>,
    },
    /// The archive belongs to a server of another name (D19).
    #[error("the archive belongs to the server {held}, not to {asked}")]
    ServerName {
        /// The name that it has.
        held: String,
        /// The name that was asked for.
        asked: String,
    },
    /// The writer has ended.
    #[error("the archive is closed")]
    Closed,
}

impl StoreError {
    /// An answer of the operating system under the name of what was attempted.
    pub(super) fn io(attempted: &'static str, source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::StorageFull {
            return Self::DiskFull { attempted };
        }
        Self::Io { attempted, source }
    }

    /// A redb error under the name of what was attempted.
    pub(super) fn from_redb(attempted: &'static str, error: impl Into<redb::Error>) -> Self {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "redb's error type grows; the rest is told by its own text"
        )]
        match error.into() {
            redb::Error::Io(source) => Self::io(attempted, source),
            redb::Error::PreviousIo => Self::AfterFailure,
            redb::Error::Corrupted(what) => Self::Damaged { what },
            redb::Error::TableTypeMismatch { table, .. } => Self::Damaged {
                what: format!("table {table} has another key or value type"),
            },
            redb::Error::TableDoesNotExist(table) => Self::Damaged {
                what: format!("table {table} is missing"),
            },
            redb::Error::RepairAborted => Self::Damaged {
                what: "it was not closed cleanly".to_owned(),
            },
            other => Self::Redb {
                attempted,
                source: Box::new(other),
            },
        }
    }
}

impl Explain for StoreError {
    fn class(&self) -> Class {
        match self {
            Self::Absent { .. } | Self::ServerName { .. } => Class::Usage,
            Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Class::Owner
            }
            Self::Locked { .. }
            | Self::Foreign { .. }
            | Self::Newer { .. }
            | Self::Damaged { .. }
            | Self::Value { .. }
            | Self::Dangling { .. } => Class::Store,
            Self::DiskFull { .. }
            | Self::LowSpace { .. }
            | Self::Io { .. }
            | Self::AfterFailure
            | Self::Redb { .. }
            | Self::Closed => Class::Retry,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Absent { .. } => {
                "run `footbridge import` first, or name another file with `--data FILE`"
            }
            Self::Locked { .. } => {
                "wait until the other one has finished, or stop it; \
                                    only one process can have an archive open"
            }
            Self::Foreign { .. } => {
                "name another file with `--data FILE`; this one was left as it is"
            }
            Self::Newer { .. } => "upgrade footbridge; the archive was left as it is",
            Self::ServerName { .. } => {
                "set the server's name to the one that the archive has: \
                 every room and event that clients know is named after it"
            }
            Self::Damaged { .. } | Self::Value { .. } | Self::Dangling { .. } => {
                "run `footbridge verify` to see the extent of it, and restore the newest backup if there is one;\n\
                 a new import from the same Mac brings back everything the Mac still holds"
            }
            Self::DiskFull { .. } | Self::LowSpace { .. } => {
                "free some space and run the same command again; everything committed so far is safe"
            }
            Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "check who owns the file and its folder"
            }
            Self::Io { .. } | Self::AfterFailure | Self::Redb { .. } | Self::Closed => {
                "run the same command again; everything committed so far is safe"
            }
        };
        Some(hint.to_owned())
    }
}
