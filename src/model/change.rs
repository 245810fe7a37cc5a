//! What normalising yields, the same whatever the source was.

use crate::base::ids::Handle;
use crate::model::conversation::Alias;
use crate::model::message::Message;
use crate::model::record::MessageRecord;

/// A message as a source holds it now.
#[derive(Clone, Debug, PartialEq)]
pub struct MessageChange {
    /// The message.
    pub message: Message,
    /// Where it belongs.
    pub placement: Placement,
    /// The record it was made of.
    pub record: MessageRecord,
    /// Hash over everything of the record that shows: another one means that the record changed (D12).
    pub fingerprint: u64,
}

/// Names of the conversations that hold a message, the most fitting first. The first that is known is its home, the
/// others hold it too (D4). When none is known the message is parked (ID-9).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// The names.
    pub candidates: Vec<Alias>,
    /// Why it is parked if none of them is known.
    pub otherwise: Parked,
}

/// Why a message has no conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Parked {
    /// The source joins it to no chat (D11).
    #[default]
    NoChat,
    /// The source joins it to chats that are not known.
    UnknownChat,
    /// It names a room that no known chat has (D11).
    UnknownRoom,
}

impl Parked {
    /// For the export and `explain`.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NoChat => "no chat holds it, and its room name leads to none (ID-9)",
            Self::UnknownChat => "the chat that holds it is not known (ID-9)",
            Self::UnknownRoom => "its room name leads to no known chat (ID-9)",
        }
    }
}

/// Where reading of a source goes on, stored in the transaction of what it covers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Hash over what the source was when the pass began: file identity, size, change counter, write-ahead log,
    /// address books, options, decoder version. The same one later means that nothing is new (D16).
    pub inputs: [u8; 32],
    /// In a first pass: the last ROWID that is in the store. `None` once a pass has reached the end.
    pub scanned: Option<i64>,
}

/// What a source says of the owner (D10).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// The own addresses, the preferred one first.
    pub handles: Vec<Handle>,
    /// The region by which local numbers are read: two letters, upper case.
    pub region: String,
}
