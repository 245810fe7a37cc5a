//! What normalising yields, the same whatever the source was.

use crate::base::ids::Handle;
use crate::base::time::AppleTime;
use crate::model::attachment::Attachment;
use crate::model::conversation::Alias;
use crate::model::message::Message;
use crate::model::record::ChatRecord;
use crate::model::record::CloudRecord;
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
    /// 0 where the record is compared itself.
    pub fingerprint: u64,
}

/// What a record of CloudKit means.
#[derive(Clone, Debug, PartialEq)]
pub enum CloudChange {
    /// A message.
    Message(Box<CloudMessage>),
    /// One state of a chat; there can be many for one conversation.
    Chat(Box<CloudChat>),
    /// A file, to be joined to the message that names it.
    Attachment(Box<CloudAttachment>),
    /// Nothing that this version knows; counted and kept.
    Foreign(CloudRecord),
}

/// A message as CloudKit holds it now.
#[derive(Clone, Debug, PartialEq)]
pub struct CloudMessage {
    /// The message, and the row that chat.db would have of it: the same decoders read both, so that one message of two
    /// sources is one.
    ///
    /// The last candidate of its placement can be the key of a direct conversation: CloudKit keeps no chat record for many
    /// of those, and the conversation comes into being with the message (ID-8.6, D11).
    pub change: MessageChange,
    /// What CloudKit said.
    pub record: CloudRecord,
    /// Whether it lies in Recently Deleted. The record does not say since when.
    pub is_recoverable: bool,
    /// When the record was changed last, as far as it says: where a message without a usable time stands (MS-5).
    pub changed: Option<AppleTime>,
}

/// One state of a chat as CloudKit holds it. Each change of members makes another record; those of one group share its
/// group id.
///
/// [`conversations`](crate::model::identity::conversations) makes conversations of them, given the newest first: the name
/// is taken from the first that has one.
#[derive(Clone, Debug, PartialEq)]
pub struct CloudChat {
    /// The row that chat.db would have of it.
    pub chat: ChatRecord,
    /// Names that lead to it besides those that the row gives: its record name, its identifier, ids of the past.
    pub aliases: Vec<Alias>,
    /// What CloudKit said.
    pub record: CloudRecord,
    /// Whether it lies in Recently Deleted.
    pub is_recoverable: bool,
    /// What of it could not be decoded, and why.
    pub unreadable: Vec<String>,
}

/// A file as CloudKit holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct CloudAttachment {
    /// The file. `None` when not even its GUID is known, so that no message can have it.
    pub attachment: Option<Attachment>,
    /// What CloudKit said. Its field `lqa` is the file, `avid` the movie of a Live Photo.
    pub record: CloudRecord,
    /// What of it could not be decoded, and why.
    pub unreadable: Vec<String>,
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
            Self::NoChat => "no chat holds it, and its room name leads to none",
            Self::UnknownChat => "the chat that holds it is not known",
            Self::UnknownRoom => "its room name leads to no known chat",
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
