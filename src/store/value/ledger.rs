//! The byte form of cursors, change log entries and the ledgers of what went wrong.

use crate::base::ids::RowId;
use crate::base::time::AppleTime;
use crate::model::change::Cursor;
use crate::model::change::Placement;

/// One entry of the change log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangeEntry {
    /// What changed.
    pub kind: ChangeKind,
    /// Its row.
    pub row: RowId,
    /// When.
    pub at: AppleTime,
}

/// What an entry of the change log is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// A message came or changed.
    Message,
    /// A conversation came or changed.
    Conversation,
    /// The address book changed; the row is 0.
    Contacts,
}

/// Why a message has no conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParkedRow {
    /// Where it would belong, and why it does not.
    pub placement: Placement,
    /// Since when.
    pub since: AppleTime,
}

/// What of a message could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuarantineRow {
    /// What, and why.
    pub reasons: Vec<String>,
    /// The version of the decoder that tried last.
    pub decoder: u32,
    /// How often it was tried.
    pub attempts: u32,
    /// Since when.
    pub since: AppleTime,
}

/// A message that a source says was deleted for good and that was never held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// When the source was seen to say so.
    pub at: AppleTime,
}

/// What failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// Reading an attachment.
    Attachment,
}

impl FailureKind {
    /// Its number in the key.
    pub const fn number(self) -> u8 {
        match self {
            Self::Attachment => 1,
        }
    }
}

/// Failures of one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// How often.
    pub attempts: u32,
    /// When first.
    pub first: AppleTime,
    /// When last.
    pub last: AppleTime,
    /// Why, the last time.
    pub reason: String,
    /// Whether it is not tried any more.
    pub given_up: bool,
}

stored!(ChangeEntry, 1);
stored!(ParkedRow, 1);
stored!(QuarantineRow, 1);
stored!(Tombstone, 1);
stored!(Failure, 1);
stored!(Cursor, 1);
fields!(ChangeEntry { kind, row, at });
fields!(ParkedRow { placement, since });
fields!(QuarantineRow {
    reasons,
    decoder,
    attempts,
    since
});
fields!(Tombstone { at });
fields!(Failure {
    attempts,
    first,
    last,
    reason,
    given_up
});
fields!(Cursor { inputs, scanned });

variants!(ChangeKind {
    0 => Message,
    1 => Conversation,
    2 => Contacts,
});
