//! What a person can ask of the archive, as plain values for the command line to print.

pub mod archive;
pub mod check;
pub mod config;
pub mod conversations;
pub mod decode;
pub mod explain;
pub mod export;
pub mod handles;
pub mod import;
pub mod lines;
pub mod people;
pub mod quarantine;
pub mod search;
pub mod show;
pub mod status;

use std::io;

use crate::base::error::Class;
use crate::base::error::Explain;
use crate::ingest::IngestError;
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
    /// The answer could not be written.
    #[error("cannot write the answer")]
    Output {
        /// The operating system's reason.
        #[source]
        source: io::Error,
    },
    /// No conversation goes by that name.
    #[error("no conversation is called `{wanted}`")]
    NoConversation {
        /// What was asked for.
        wanted: String,
    },
    /// Several conversations go by that name.
    #[error("several conversations are called `{wanted}`: {}", among.join(", "))]
    SeveralConversations {
        /// What was asked for.
        wanted: String,
        /// Their keys.
        among: Vec<String>,
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
            Self::Ingest(error) => error.class(),
            Self::Output { .. } => Class::Retry,
            Self::NoConversation { .. }
            | Self::SeveralConversations { .. }
            | Self::Query { .. }
            | Self::Argument { .. }
            | Self::Nothing { .. } => Class::Usage,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Store(error) => error.hint(),
            Self::Ingest(error) => error.hint(),
            Self::Output { .. } | Self::Argument { .. } => None,
            Self::NoConversation { .. } => {
                Some("`footbridge conversations` lists them; a name, an address or a key will do".to_owned())
            }
            Self::SeveralConversations { .. } => Some("name one of them by its key".to_owned()),
            Self::Query { .. } => Some(
                "words are searched together, \"a phrase\" in quotes as it stands, and `begin*` by its beginning"
                    .to_owned(),
            ),
            Self::Nothing { .. } => Some(
                "if Messages shows it, run `footbridge import` again; `footbridge search` looks for single words"
                    .to_owned(),
            ),
        }
    }
}
