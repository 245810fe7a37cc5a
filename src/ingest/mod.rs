//! Drives a source into the store.
//!
//! An import is one pass over a chat.db:
//!
//! | the archive's cursor | what is read | what is stored |
//! |---|---|---|
//! | none | every row in full, by ROWID | pages, each with the last ROWID it holds |
//! | a ROWID (a first pass was interrupted) | the rows after it, in full | the same |
//! | complete, the inputs are what they were | nothing | files that have come since |
//! | complete, the inputs changed | every row in outline, changed ones in full | the changed ones, then the cursor |
//!
//! [`follow`] repeats that for as long as Messages writes to it, looking at recent messages often and at all of them
//! seldom.
//!
//! The cursor remembers what the inputs were when its pass began. An interrupted first pass over a database that has
//! changed since is followed by a second one that compares, so that nothing which changed in between is missed.

pub mod assets;
pub mod cloudkit;
mod files;
mod follow;
mod import;
mod people;
mod pipeline;
mod redecode;
mod threads;

use std::ops::ControlFlow;

use crate::apple::session::SessionError;
use crate::base::error::Class;
use crate::base::error::Explain;
use crate::source::chatdb::ChatDbError;
use crate::source::cloudkit::SetupError;
use crate::store::StoreError;

pub use follow::Stop;
pub use follow::follow;
pub use import::Import;
pub use import::Options;
pub use import::Scope;
pub use import::import;
pub use redecode::Redecode;
pub use redecode::redecode;

/// Why a source could not be taken into the store.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The source could not be read.
    #[error(transparent)]
    Source(#[from] ChatDbError),
    /// The store could not be written or read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Nothing was imported to read Messages in iCloud with.
    #[error("no session of Messages in iCloud is imported")]
    NoSession,
    /// What was imported cannot be read.
    #[error("cannot read the imported session of Messages in iCloud")]
    Session(#[from] SessionError),
    /// What was imported cannot be used.
    #[error("cannot reach Messages in iCloud with the imported session")]
    Setup(#[from] SetupError),
    /// It was told to stop. What was committed stays, and the next import goes on from there.
    #[error("the import was stopped")]
    Stopped,
}

impl Explain for IngestError {
    fn class(&self) -> Class {
        match self {
            Self::Source(error) => error.class(),
            Self::Store(error) => error.class(),
            Self::NoSession | Self::Session(_) => Class::Owner,
            Self::Setup(error) => error.class(),
            Self::Stopped => Class::Retry,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Source(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Setup(error) => error.hint(),
            Self::NoSession | Self::Session(_) => {
                Some("run `footbridge cloudkit import <session.json>`".to_owned())
            }
            Self::Stopped => None,
        }
    }
}

/// How far something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub phase: Phase,
    /// Units done: ROWIDs passed, or records.
    pub done: u64,
    /// Units in all, as far as is known.
    pub total: u64,
}

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Reading every row.
    Reading,
    /// Comparing every row with what is held.
    Comparing,
    /// Decoding stored records again.
    Decoding,
}

/// Is told how far things are, and says whether to go on. Called a few times a second at most per thousand rows; cheap
/// calls only.
pub type OnProgress<'a> = &'a (dyn Fn(Progress) -> ControlFlow<()> + Sync);

/// Tells how far things are; an error when they are to stop.
fn report(on_progress: OnProgress<'_>, progress: Progress) -> Result<(), IngestError> {
    match on_progress(progress) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(IngestError::Stopped),
    }
}
