//! The byte form of conversations, of the rows they were made from, and of the address book.

use crate::base::ids::ChangeNumber;
use crate::base::ids::RowId;
use crate::base::time::AppleTime;
use crate::model::contact::Contact;
use crate::model::conversation::Conversation;
use crate::model::conversation::ConversationKind;
use crate::model::conversation::Filed;
use crate::model::conversation::Name;
use crate::model::record::ChatRecord;
use crate::model::record::HandleRow;

/// A conversation and its place in the change log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredConversation {
    /// The conversation.
    pub conversation: Conversation,
    /// The change that brought it.
    pub first_change: ChangeNumber,
    /// The latest change of anything that the export shows of it.
    pub last_change: ChangeNumber,
    /// The conversation that took its place, when the two turned out to be one.
    pub united_into: Option<RowId>,
}

/// Totals of a conversation, and what clients may see of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Messages at home in it, tapbacks and announcements included.
    pub messages: u64,
    /// Time of the first.
    pub oldest: Option<AppleTime>,
    /// Time of the last.
    pub newest: Option<AppleTime>,
    /// Time of the last that is neither a tapback nor an announcement: by which rooms are sorted (D23).
    pub newest_message: Option<AppleTime>,
    /// The change since when clients see it (D7); `None` until the first pass that brought it has ended.
    pub published: Option<ChangeNumber>,
    /// Time of its first message when clients saw it first: the time of its room's first state, for good.
    pub created: Option<AppleTime>,
    /// Which of its rooms is the present one (D19).
    pub epoch: u32,
    /// How often clients were to throw its timeline away and read it anew (D20).
    pub history_epoch: u32,
    /// The change that told them so last.
    pub history_change: Option<ChangeNumber>,
    /// The latest change of anything in it: of a message, itself, its state or its receipts.
    pub last_change: ChangeNumber,
    /// Up to where the owner has read, as far as that is known.
    pub read: Option<ReadPosition>,
}

/// A place in a conversation up to which the owner has read. The message need no longer be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadPosition {
    /// The message's time.
    pub time: AppleTime,
    /// The message.
    pub row: RowId,
    /// How that is known.
    pub from: ReadFrom,
}

/// How it is known that the owner has read up to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFrom {
    /// The source says when it was read.
    Source,
    /// The owner wrote it.
    Written,
    /// A client said so.
    Client,
}

/// A chat row as it was read, and what it became.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredChat {
    /// The conversation.
    pub conversation: RowId,
    /// The row.
    pub record: ChatRecord,
}

/// Another conversation with the same person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// Both are shown as that one.
    Into(RowId),
    /// The owner keeps them apart.
    Apart,
}

stored!(StoredConversation, 1);
stored!(Head, 2, 1 => HeadV1);
stored!(StoredChat, 1);
stored!(Merge, 1);
stored!(HandleRow, 1);
stored!(Contact, 1);
fields!(StoredConversation {
    first_change,
    last_change,
    united_into,
    conversation
});
fields!(Conversation {
    key,
    kind,
    service,
    participants,
    name,
    deleted,
    filed
});
fields!(Name { text, at });
fields!(Head {
    messages,
    oldest,
    newest,
    newest_message,
    published,
    created,
    epoch,
    history_epoch,
    history_change,
    last_change,
    read
});
fields!(ReadPosition { time, row, from });
variants!(ReadFrom {
    0 => Source,
    1 => Written,
    2 => Client,
});

/// Version 1: the totals alone. The rest is counted when the file is brought up.
struct HeadV1 {
    messages: u64,
    oldest: Option<AppleTime>,
    newest: Option<AppleTime>,
}

fields!(HeadV1 {
    messages,
    oldest,
    newest
});

impl From<HeadV1> for Head {
    fn from(old: HeadV1) -> Self {
        Self {
            messages: old.messages,
            oldest: old.oldest,
            newest: old.newest,
            ..Self::default()
        }
    }
}

fields!(StoredChat {
    conversation,
    record
});
fields!(ChatRecord {
    row,
    members,
    lookups
});
fields!(HandleRow {
    id,
    service,
    country,
    uncanonicalized_id,
    person_centric_id
});
fields!(Contact {
    id,
    name,
    handles,
    is_owner
});

variants!(ConversationKind {
    0 => Direct,
    1 => Group,
});
variants!(Filed {
    0 => Inbox,
    1 => Archived,
    2 => Junk,
});
variants!(Merge {
    0 => Into(conversation),
    1 => Apart,
});
