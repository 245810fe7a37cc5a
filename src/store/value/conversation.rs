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

/// Totals of a conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Messages at home in it, tapbacks and announcements included.
    pub messages: u64,
    /// Time of the first.
    pub oldest: Option<AppleTime>,
    /// Time of the last.
    pub newest: Option<AppleTime>,
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
stored!(Head, 1);
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
    newest
});
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
