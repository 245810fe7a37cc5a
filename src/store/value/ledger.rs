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
    /// The conversation in which; 0 for none, and for what an archive of format 1 logged.
    pub conversation: RowId,
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
    /// A message is in another conversation now: this one has lost it.
    Gone,
    /// A conversation became visible to clients.
    Published,
    /// A pass ended: what it brought is visible from here on. The row is 0.
    Pass,
    /// A conversation has another room, or its timeline is to be read anew.
    Epoch,
    /// State of a room.
    RoomState,
    /// An event that a client sent; the row is 0.
    LocalEvent,
    /// Data of an account, in one conversation or in none. The row of this and of what follows is the account's number.
    AccountData,
    /// A receipt.
    Receipt,
    /// A message to a device.
    ToDevice,
    /// A device came, changed or went.
    Device,
    /// Keys of a device or of the account.
    Keys,
}

impl ChangeKind {
    /// Whether what it is about becomes visible with the pass that brought it, and not at once.
    pub const fn waits(self) -> bool {
        matches!(self, Self::Message | Self::Conversation | Self::Gone)
    }
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
    /// Reading a zone of CloudKit: the program died while it did (SC-23a). The row is the zone's number.
    Zone,
}

impl FailureKind {
    /// Its number in the key.
    pub const fn number(self) -> u8 {
        match self {
            Self::Attachment => 1,
            Self::Zone => 2,
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

stored!(ChangeEntry, 2, 1 => ChangeEntryV1);
stored!(ParkedRow, 1);
stored!(QuarantineRow, 1);
stored!(Tombstone, 1);
stored!(Failure, 1);
stored!(Cursor, 1);
fields!(ChangeEntry {
    kind,
    row,
    at,
    conversation
});
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
    3 => Gone,
    4 => Published,
    5 => Pass,
    6 => Epoch,
    7 => RoomState,
    8 => LocalEvent,
    9 => AccountData,
    10 => Receipt,
    11 => ToDevice,
    12 => Device,
    13 => Keys,
});

/// Version 1: without the conversation.
struct ChangeEntryV1 {
    kind: ChangeKind,
    row: RowId,
    at: AppleTime,
}

fields!(ChangeEntryV1 { kind, row, at });

impl From<ChangeEntryV1> for ChangeEntry {
    fn from(old: ChangeEntryV1) -> Self {
        let is_conversation = old.kind == ChangeKind::Conversation;
        Self {
            kind: old.kind,
            row: old.row,
            at: old.at,
            conversation: if is_conversation { old.row } else { RowId(0) },
        }
    }
}
