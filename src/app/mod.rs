//! What a person can ask of the archive, as plain values for the command line to print.

pub mod account;
pub mod archive;
pub mod attachments;
pub mod check;
pub mod cloudkit;
pub mod config;
pub mod conversations;
pub mod decode;
pub mod demo;
pub mod explain;
pub mod export;
pub mod file;
pub mod handles;
pub mod import;
pub mod lines;
pub mod media;
pub mod people;
pub mod quarantine;
pub mod remote;
pub mod search;
pub mod service;
pub mod settings;
pub mod show;
pub mod status;
pub mod transcript;

use std::io;
use std::path::PathBuf;

use crate::app::cloudkit::PassError;
use crate::apple::session::SessionError;
use crate::base::error::Class;
use crate::base::error::Explain;
use crate::base::ids::ChangeNumber;
use crate::base::password::PasswordError;
use crate::ingest::IngestError;
use crate::net::ListenError;
use crate::store::StoreError;

pub use archive::Archive;

/// Why a question could not be answered.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The store could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A source could not be taken into the store.
    #[error(transparent)]
    Ingest(#[from] IngestError),
    /// The archive could not be opened, for a reason that does not name it.
    #[error("cannot open the archive {}", path.display())]
    Open {
        /// The archive.
        path: PathBuf,
        /// Why not.
        #[source]
        source: StoreError,
    },
    /// The answer could not be written.
    #[error("cannot write the answer")]
    Output {
        /// The operating system's reason.
        #[source]
        source: io::Error,
    },
    /// A file that was asked for could not be written.
    #[error("cannot write {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        #[source]
        source: io::Error,
    },
    /// A file that was named could not be read.
    #[error("cannot read {}", path.display())]
    Unread {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        #[source]
        source: io::Error,
    },
    /// A session file is none, or another account's.
    #[error("cannot import the session")]
    Session(#[from] SessionError),
    /// A pass over Messages in iCloud did not read everything.
    #[error(transparent)]
    Pass(#[from] PassError),
    /// The operating system refused threads, signals or a folder.
    #[error("cannot start what is needed for that")]
    System {
        /// Its answer.
        #[source]
        source: io::Error,
    },
    /// The loopback iCloud of a demonstration cannot be reached.
    #[error(transparent)]
    Loopback(#[from] ListenError),
    /// An archive that is to hold a demonstration holds something else.
    #[error("{} holds something else than this demonstration", path.display())]
    NotTheDemo {
        /// The archive.
        path: PathBuf,
    },
    /// Something is where a new file was to be.
    #[error("{} exists already", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// An answer was to be written over something that it must not replace.
    #[error("{} is {what}, which no answer may replace", path.display())]
    Precious {
        /// The file.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// No conversation goes by that name.
    #[error("no conversation is called `{wanted}`")]
    NoConversation {
        /// What was asked for.
        wanted: String,
    },
    /// Several conversations go by that name.
    #[error("{} conversations go by `{wanted}`", among.len())]
    SeveralConversations {
        /// What was asked for.
        wanted: String,
        /// Their keys, and their titles with what tells them apart, the newest first.
        among: Vec<(String, String)>,
    },
    /// No attachment has that GUID.
    #[error("no attachment has the GUID `{wanted}`")]
    NoAttachment {
        /// What was asked for.
        wanted: String,
    },
    /// An export was to go on from a change that never was.
    #[error("the archive's last change is {last}, there is no change {asked} to go on from")]
    NoChange {
        /// The change.
        asked: ChangeNumber,
        /// The last one that there is.
        last: ChangeNumber,
    },
    /// Nobody goes by that name or address.
    #[error("the archive knows nobody by `{wanted}`")]
    Nobody {
        /// Who was asked for.
        wanted: String,
    },
    /// The words to search for make no question.
    #[error("cannot search for that")]
    Query {
        /// What is wrong with them.
        #[source]
        source: crate::store::search::QueryError,
    },
    /// An argument that is not what it should be.
    #[error("`{value}` is not {expected}")]
    Argument {
        /// What was given.
        value: String,
        /// What was expected.
        expected: &'static str,
    },
    /// The archive belongs to somebody of another name.
    #[error("the owner of this archive is called `{held}`, not `{asked}`")]
    OtherUser {
        /// The name.
        held: String,
        /// The name that was asked for.
        asked: String,
    },
    /// Nobody can log in yet.
    #[error("this archive has no account yet")]
    NoAccount,
    /// The password is too short, or far too long.
    #[error("a password has at least {least} characters")]
    Password {
        /// How many.
        least: usize,
    },
    /// No password could be made or hashed.
    #[error(transparent)]
    Hash(#[from] PasswordError),
    /// No message has that GUID or text.
    #[error("nothing in the archive has the GUID or the text `{wanted}`")]
    Nothing {
        /// What was asked for.
        wanted: String,
    },
}

impl AppError {
    /// An answer that could not be written.
    pub(crate) fn output(source: io::Error) -> Self {
        Self::Output { source }
    }
}

impl Explain for AppError {
    fn class(&self) -> Class {
        match self {
            Self::Store(error) => error.class(),
            Self::Open { source, .. } => source.class(),
            Self::Ingest(error) => error.class(),
            Self::File { source, .. } | Self::Unread { source, .. }
                if source.kind() == io::ErrorKind::PermissionDenied =>
            {
                Class::Owner
            }
            Self::File { source, .. } if is_no_folder(source) => Class::Usage,
            Self::Pass(error) => error.class(),
            Self::Loopback(error) => error.class(),
            Self::Output { .. }
            | Self::File { .. }
            | Self::Hash(_)
            | Self::System { .. }
            | Self::Session(SessionError::Random) => Class::Retry,
            Self::Unread { .. }
            | Self::Session(_)
            | Self::NotTheDemo { .. }
            | Self::Exists { .. }
            | Self::Precious { .. }
            | Self::NoConversation { .. }
            | Self::SeveralConversations { .. }
            | Self::NoAttachment { .. }
            | Self::NoChange { .. }
            | Self::Nobody { .. }
            | Self::Query { .. }
            | Self::Argument { .. }
            | Self::OtherUser { .. }
            | Self::NoAccount
            | Self::Password { .. }
            | Self::Nothing { .. } => Class::Usage,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Store(error) => return error.hint(),
            Self::Open { source, .. } => return source.hint(),
            Self::Ingest(error) => return error.hint(),
            Self::Pass(error) => return error.hint(),
            Self::Loopback(error) => return error.hint(),
            Self::Output { .. }
            | Self::Argument { .. }
            | Self::Password { .. }
            | Self::Hash(_)
            | Self::Unread { .. }
            | Self::System { .. }
            | Self::Session(SessionError::Random) => return None,
            Self::Session(SessionError::OtherAccount) => {
                "an archive holds one account: name another one with `--data FILE`"
            }
            Self::Session(_) => "`packaging/session.md` says what a session file holds",
            Self::NotTheDemo { .. } => {
                "name a new file, or leave `--data` out: then it is made, and removed at the end"
            }
            Self::File { source, .. } if is_no_folder(source) => {
                "the folder must exist; nothing was written"
            }
            Self::File { .. } => "name another place, or make room; nothing was left behind",
            Self::Exists { .. } => "name a new file; a backup never replaces anything",
            Self::Precious { .. } => "name a new file",
            Self::NoConversation { .. } => {
                "`footbridge conversations` lists them; a name, a part of one, an address or a key will do"
            }
            Self::SeveralConversations { among, .. } => return Some(choices(among)),
            Self::NoAttachment { .. } => "`footbridge attachments list` lists them",
            Self::NoChange { .. } => {
                "the number is of another archive, or of this one before it was restored: export without `--after`"
            }
            Self::Nobody { .. } => "`footbridge list-handles` lists everyone; `me` is you",
            Self::Query { .. } => {
                "words are searched together, \"a phrase\" in quotes as it stands, and `begin*` by its beginning"
            }
            Self::OtherUser { .. } => {
                "leave out `endpoint.user`: the name is part of every id that clients have seen"
            }
            Self::NoAccount => "start `footbridge run` once: it makes the account",
            Self::Nothing { .. } => {
                "if Messages shows it, run `footbridge import` again; `footbridge search` looks for single words"
            }
        };
        Some(hint.to_owned())
    }
}

fn is_no_folder(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// The keys to choose from, a line each.
fn choices(among: &[(String, String)]) -> String {
    const SHOWN: usize = 8;
    let mut hint = "name one of them by its key:".to_owned();
    for (key, title) in among.iter().take(SHOWN) {
        hint.push_str("\n  ");
        hint.push_str(key);
        hint.push_str("  ");
        hint.push_str(title);
    }
    if let Some(more) = among.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        let more = format!("\n  and {more} more, which `footbridge conversations` lists");
        hint.push_str(&more);
    }
    hint
}
