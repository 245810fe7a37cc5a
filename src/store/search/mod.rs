//! Full-text search inside the redb file: an inverted index in blocks, and queries over it.
//!
//! The index proposes, the text decides: [`Query::candidates`] names messages that may match, newest block first, and
//! [`Query::matches`] holds each against its present text. So an edited message is indexed by adding it again to the
//! newest block, and what it said before may stay in an older one.
//!
//! To index: [`MessageTerms::of`] where messages are decoded, [`IndexBlock::add`] in the one writer,
//! [`IndexBlock::write`] once per commit. Blocks of small commits are merged by [`merge`] when [`merge_candidates`]
//! says so, each time in one transaction.
//!
//! # On disk
//!
//! | table | key | value |
//! |---|---|---|
//! | `search_terms` | (u32 block, str term) | ids of the block's messages that have the term |
//! | `search_blocks` | u32 block | what is known of the block |
//!
//! The block comes first in the key: a commit appends one stretch of full pages, merging replaces one, and a query
//! reads newest first.
//!
//! Numbers are unsigned LEB128 of at most 64 bits: seven bits a byte, lowest first, the high bit set on all but the
//! last byte.
//!
//! * Value of `search_terms`: rising ids without end mark. The first is written as it is, each other as its difference
//!   to the one before it, which is never 0.
//! * Value of `search_blocks`: one version byte, 1; then the smallest id, the largest id, the number of messages that
//!   were added (one that was changed counts again), and the number of ids in all of the block's lists.
//!
//! Blocks are numbered by age and written whole in one transaction; after a merge the result bears the highest number
//! of its parts and the others are gone. A message may be in several blocks.
//!
//! # Terms
//!
//! A word's term is the word folded as `words` describes, at most 64 bytes: longer ones are cut between characters. A
//! run of characters of a script without spaces is its overlapping pairs, and its last character alone. A message has
//! the terms of all its texts, `U+0001 s <handle>` for its sender and `U+0001 k <kind>` for what it holds.

mod block;
mod candidates;
mod merge;
mod postings;
mod query;
mod snippet;
mod term;
#[cfg(test)]
mod tests;
mod verify;
mod words;

use redb::CursorError;
use redb::StorageError;
use redb::TableDefinition;
use thiserror::Error;

use crate::base::error::Class;
use crate::base::error::Explain;

pub use self::block::Block;
pub use self::block::IndexBlock;
pub use self::block::read_blocks;
pub use self::candidates::Candidates;
pub use self::merge::merge;
pub use self::merge::merge_candidates;
pub use self::postings::DecodeError;
pub use self::postings::Postings;
pub use self::postings::decode_postings;
pub use self::query::Clause;
pub use self::query::Match;
pub use self::query::Query;
pub use self::query::QueryError;
pub use self::snippet::Snippet;
pub use self::snippet::snippet;
pub use self::term::Field;
pub use self::term::MessageTerms;
pub use self::term::TermScratch;
pub use self::term::terms;

/// Key of [`SEARCH_TERMS`]: the block, then the term.
pub type TermKey = (u32, &'static str);

/// The ids of the messages of a block that have a term.
///
/// Written with each commit, removed when blocks are merged.
pub const SEARCH_TERMS: TableDefinition<'_, TermKey, &[u8]> = TableDefinition::new("search_terms");

/// What is known of each block.
///
/// Written and removed together with the block's terms.
pub const SEARCH_BLOCKS: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("search_blocks");

/// Why the search index cannot be read or written.
#[derive(Debug, Error)]
pub enum SearchError {
    /// The store could not be read or written.
    #[error("cannot use the search index")]
    Storage(#[source] StorageError),
    /// Rows are not in order.
    #[error("cannot write the search index in order")]
    Order(#[source] CursorError),
    /// A row is not what this program writes.
    #[error("cannot read block {block} of the search index")]
    Damaged {
        /// The block.
        block: u32,
        /// What is wrong with the row.
        #[source]
        source: DecodeError,
    },
    /// All numbers of blocks are used.
    #[error("cannot number another block of the search index")]
    Full,
}

impl From<StorageError> for SearchError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl From<CursorError> for SearchError {
    fn from(error: CursorError) -> Self {
        match error {
            CursorError::Storage(error) => Self::Storage(error),
            error @ (CursorError::UnorderedKey | _) => Self::Order(error),
        }
    }
}

impl Explain for SearchError {
    fn class(&self) -> Class {
        match self {
            Self::Storage(StorageError::Io(_) | StorageError::PreviousIo) => Class::Retry,
            Self::Storage(_) | Self::Order(_) | Self::Damaged { .. } | Self::Full => Class::Store,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Damaged { .. } => Some("run `footbridge verify` to see what is damaged".into()),
            Self::Storage(_) | Self::Order(_) | Self::Full => None,
        }
    }
}
