//! What a reader should have understood: what tests compare an archive with.

use std::fmt;

use crate::base::ids::ConversationKey;
use crate::base::time::AppleTime;
use crate::demo::zone::ZoneKind;

/// A record, as a perfect reader sees it.
#[derive(Clone, PartialEq, Eq)]
pub struct Truth {
    /// Where it lies.
    pub zone: ZoneKind,
    /// Its name there.
    pub record: String,
    /// The message's or the file's GUID in upper case; the record's name where the record has none. Of a chat the group id.
    pub guid: String,
    /// Where the message belongs. `None` where nothing says so, and for files.
    pub conversation: Option<ConversationKey>,
    /// What it is.
    pub what: What,
    /// Its text as it is now, without placeholders; of a chat its name, of a file its name.
    pub text: Option<String>,
    /// The texts that it had before, the first one first.
    pub earlier: Vec<String>,
    /// The address of the sender as the record has it; `None` for the owner's and the system's.
    pub sender: Option<String>,
    /// Whether the owner sent it.
    pub is_from_me: bool,
    /// When, as the record has it.
    pub sent: AppleTime,
    /// GUIDs of its files.
    pub files: Vec<String>,
    /// The GUID of what it answers or reacts to.
    pub target: Option<String>,
    /// Whether it can be read.
    pub readable: Readable,
}

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A message.
    Message,
    /// A message whose only part was taken back.
    Unsent,
    /// A tapback: chat.db's `associated_message_type`.
    Tapback(u64),
    /// A notice: chat.db's `item_type`.
    Notice(i64),
    /// One state of a conversation.
    Chat,
    /// A file.
    File,
    /// Nothing that anybody knows.
    Foreign,
}

/// Whether a record can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readable {
    /// All of it.
    Yes,
    /// The key is not among those that the zone has now; nothing of it.
    MissingKey,
    /// All but this field.
    BadField(&'static str),
}

/// Invented or not, texts and addresses stay out of logs.
impl fmt::Debug for Truth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Truth")
            .field("zone", &self.zone)
            .field("record", &self.record)
            .field("guid", &self.guid)
            .field("what", &self.what)
            .field("readable", &self.readable)
            .finish_non_exhaustive()
    }
}
