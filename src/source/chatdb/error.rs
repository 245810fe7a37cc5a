//! What can stand in the way of reading a Messages database, each with its own sentence and hint.

use std::io;
use std::path::Path;
use std::path::PathBuf;

use rusqlite::ErrorCode;
use thiserror::Error;

use crate::base::error::Class;
use crate::base::error::Explain;

/// Why a Messages database, or an address book, could not be read.
#[derive(Debug, Error)]
pub enum ChatDbError {
    /// Nothing is there.
    #[error("there is no file {}", path.display())]
    Missing {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// The system does not let this program read it.
    #[error("no permission to read {}", path.display())]
    Denied {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It is a directory.
    #[error("{} is a directory, not a database", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
    },
    /// It is a socket, a pipe or a device.
    #[error("{} is not a regular file", path.display())]
    NotAFile {
        /// Its path.
        path: PathBuf,
    },
    /// It has no bytes.
    #[error("{} is empty", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// It looks like random bytes in whole pages.
    #[error("{} seems to be encrypted", path.display())]
    Encrypted {
        /// The file.
        path: PathBuf,
    },
    /// It does not begin as SQLite's databases do.
    #[error("{} is not an SQLite database", path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// It is some other program's database.
    #[error("{} is not a Messages database: it has no {missing}", path.display())]
    NotMessages {
        /// The file.
        path: PathBuf,
        /// What every Messages database has: "table `message`", "column `message.guid`".
        missing: String,
        /// The tables that it has, by name.
        tables: Vec<String>,
    },
    /// It is some other program's database, where an address book should be.
    #[error("{} is not an address book", path.display())]
    NotAnAddressBook {
        /// The file.
        path: PathBuf,
    },
    /// SQLite found that its pages contradict one another.
    #[error("{} is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// Another program holds it.
    #[error("{} was busy for too long", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// It could not be opened where it is, and no two looks at it while copying it agreed.
    #[error("{} kept changing while it was copied", path.display())]
    Changing {
        /// The file.
        path: PathBuf,
    },
    /// It could not be opened where it is, nor copied.
    #[error("cannot copy {} to {}", path.display(), to.display())]
    Copy {
        /// The file.
        path: PathBuf,
        /// Where the copy was to be.
        to: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file system failed.
    #[error("cannot read {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// SQLite failed in another way.
    #[error("cannot query {}", path.display())]
    Query {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
}

impl ChatDbError {
    /// What the file system said about a file of the source.
    pub(super) fn from_io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        let kind = source.kind();
        if matches!(kind, io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) {
            Self::Missing { path }
        } else if kind == io::ErrorKind::PermissionDenied {
            Self::Denied { path, source }
        } else {
            Self::Io { path, source }
        }
    }

    /// What SQLite said about a database.
    pub(super) fn from_sqlite(path: &Path, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                Self::Busy { path, source }
            }
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Damaged { path, source }
            }
            _ => Self::Query { path, source },
        }
    }
}

impl Explain for ChatDbError {
    fn class(&self) -> Class {
        match self {
            Self::Missing { .. } | Self::Denied { .. } | Self::Damaged { .. } => Class::Owner,
            Self::Directory { .. }
            | Self::NotAFile { .. }
            | Self::Empty { .. }
            | Self::Encrypted { .. }
            | Self::NotADatabase { .. }
            | Self::NotMessages { .. }
            | Self::NotAnAddressBook { .. } => Class::Usage,
            Self::Busy { .. }
            | Self::Changing { .. }
            | Self::Copy { .. }
            | Self::Io { .. }
            | Self::Query { .. } => Class::Retry,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Missing { .. } => {
                "on a Mac the database is ~/Library/Messages/chat.db of the person who uses Messages;\n\
                 name another one with `--chat-db PATH`"
            }
            Self::Denied { .. } if cfg!(target_os = "macos") => {
                "give the program that started footbridge (Terminal, for example) Full Disk Access in\n\
                 System Settings, Privacy & Security, then start that program again"
            }
            Self::Denied { .. } => {
                "make the file readable for the user who runs footbridge, or run it as the file's owner"
            }
            Self::Directory { path } => {
                return Some(format!(
                    "name the database itself: `--chat-db {}`",
                    path.join("chat.db").display()
                ));
            }
            Self::NotAFile { .. } => "name the database file itself with `--chat-db PATH`",
            Self::Empty { .. } => {
                "the copy was probably interrupted: copy chat.db and chat.db-wal again, with Messages closed"
            }
            Self::Encrypted { .. } => {
                "footbridge cannot decrypt databases: take chat.db of a Mac, or of a backup that is not encrypted"
            }
            Self::NotADatabase { .. } => {
                "name the file chat.db of ~/Library/Messages with `--chat-db PATH`"
            }
            Self::NotMessages { tables, .. } => return Some(tables_hint(tables)),
            Self::NotAnAddressBook { .. } => {
                "the address books are AddressBook-v22.abcddb in ~/Library/Application Support/AddressBook"
            }
            Self::Damaged { .. } => {
                "if it is a copy, copy chat.db and chat.db-wal again together, with Messages closed;\n\
                 if it is the Mac's own, restore it from a backup"
            }
            Self::Busy { .. } => {
                "close the other program that works on the database (Messages itself never does so for long),\n\
                 then try again"
            }
            Self::Changing { .. } => "close Messages, then try again",
            Self::Copy { .. } => {
                "make room for a copy of the database, or name another place for it in TMPDIR"
            }
            Self::Io { .. } => "check the disk, or read from a copy on another disk",
            Self::Query { .. } => {
                "try again; if it stays, read from a copy of chat.db and chat.db-wal"
            }
        };
        Some(hint.to_owned())
    }
}

fn tables_hint(tables: &[String]) -> String {
    const SHOWN: usize = 8;
    let found = match tables {
        [] => "it has no tables at all".to_owned(),
        some if some.len() <= SHOWN => format!("its tables are: {}", some.join(", ")),
        many => {
            let first: Vec<&str> = many.iter().take(SHOWN).map(String::as_str).collect();
            format!(
                "its tables are: {} and {} more",
                first.join(", "),
                many.len() - SHOWN
            )
        }
    };
    format!("{found};\nthe Messages database is chat.db in ~/Library/Messages")
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::Path;

    use super::ChatDbError;
    use crate::base::error::Class;
    use crate::base::error::Explain;

    #[test]
    fn a_refusal_of_the_system_is_the_owners_to_lift() {
        let refused = io::Error::from(io::ErrorKind::PermissionDenied);

        let error = ChatDbError::from_io(Path::new("/m/chat.db"), refused);

        assert_eq!(error.to_string(), "no permission to read /m/chat.db");
        assert_eq!(error.class(), Class::Owner);
        assert!(error.hint().is_some());
    }

    #[test]
    fn sqlites_answers_are_told_apart() {
        let answer = |code| {
            let answer = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None);
            ChatDbError::from_sqlite(Path::new("/m/chat.db"), answer)
        };

        let busy = answer(rusqlite::ffi::SQLITE_BUSY);
        let damaged = answer(rusqlite::ffi::SQLITE_CORRUPT_INDEX);
        let failed = answer(rusqlite::ffi::SQLITE_IOERR_READ);

        assert_eq!(busy.to_string(), "/m/chat.db was busy for too long");
        assert_eq!(busy.class(), Class::Retry);
        assert_eq!(damaged.to_string(), "/m/chat.db is damaged");
        assert_eq!(damaged.class(), Class::Owner);
        assert_eq!(failed.to_string(), "cannot query /m/chat.db");
        assert_eq!(failed.class(), Class::Retry);
    }

    #[test]
    fn a_hint_names_a_few_of_many_tables() {
        let tables: Vec<String> = (0..10).map(|n| format!("t{n}")).collect();

        let error = ChatDbError::NotMessages {
            path: "/m/chat.db".into(),
            missing: "table `message`".to_owned(),
            tables,
        };

        assert_eq!(
            error.hint().unwrap(),
            "its tables are: t0, t1, t2, t3, t4, t5, t6, t7 and 2 more;\n\
             the Messages database is chat.db in ~/Library/Messages"
        );
    }
}
