//! What normalising yields, the same whatever the source was, and the page that commits it.

use crate::base::ids::Guid;
use crate::base::time::AppleTime;
use crate::model::contact::Contact;
use crate::model::conversation::Alias;
use crate::model::conversation::ConversationChange;
use crate::model::message::Message;
use crate::model::record::HandleRow;
use crate::model::record::MessageRecord;
use crate::model::record::SourceKind;

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

/// What one transaction stores. Everything of it or nothing, the cursor included.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Addresses as the source writes them.
    pub handles: Vec<HandleRow>,
    /// The whole address book; `None` leaves the stored one alone.
    pub contacts: Option<Vec<Contact>>,
    /// Conversations.
    pub conversations: Vec<ConversationChange>,
    /// Messages.
    pub messages: Vec<MessageChange>,
    /// Messages that the source says were deleted for good. Those that are held stay, marked with the time (D12).
    pub deleted: Vec<(Guid, AppleTime)>,
    /// Where reading goes on after this page.
    pub cursor: Option<(SourceKind, Cursor)>,
}
