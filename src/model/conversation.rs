//! Conversations and the names by which records refer to them.

use std::fmt;

use crate::base::ids::ConversationKey;
use crate::base::ids::Handle;
use crate::base::ids::fold_group_id;
use crate::base::time::AppleTime;
use crate::model::record::ChatRecord;

/// A conversation as the archive keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    /// Its name for good.
    pub key: ConversationKey,
    /// With one person or with several.
    pub kind: ConversationKind,
    /// The service of its chat row; of the newest message once there is one (ID-26).
    pub service: Option<String>,
    /// The other members, in the source's order. Empty for a self chat.
    pub participants: Vec<Handle>,
    /// The name that people gave it, with its own time (ID-21).
    pub name: Option<Name>,
    /// When the owner deleted it.
    pub deleted: Option<AppleTime>,
    /// Where Messages files it.
    pub filed: Filed,
}

/// With one person or with several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConversationKind {
    /// One other person, or oneself (style 45).
    Direct,
    /// A group, whatever number of members is left (style 43, D9).
    Group,
}

/// Where Messages files a conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Filed {
    /// Among the others.
    #[default]
    Inbox,
    /// Archived by the owner.
    Archived,
    /// Unknown senders and junk (`is_filtered` not 0, ID-27).
    Junk,
}

/// A name that people gave to a group.
#[derive(Clone, PartialEq, Eq)]
pub struct Name {
    /// The name.
    pub text: String,
    /// When it was given; `None` where only the source's present state is known.
    pub at: Option<AppleTime>,
}

/// Names are private: logs show none.
impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Name(..)")
    }
}

/// A name by which records refer to a conversation; many lead to one (ID-10).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Alias(String);

impl Alias {
    /// A chat row's guid, `iMessage;-;+15550100001`. Compared in any case.
    pub fn chat(guid: &str) -> Self {
        Self(format!("chat:{}", guid.trim().to_lowercase()))
    }

    /// A group chat's identifier or room name, `chat123456789012345678`.
    pub fn room(identifier: &str) -> Self {
        Self(format!("room:{}", identifier.trim().to_lowercase()))
    }

    /// A group id, in any spelling (ID-11).
    pub fn group_id(id: &str) -> Self {
        Self(format!("gid:{}", fold_group_id(id)))
    }

    /// The name of a chat's record in CloudKit.
    pub fn cloud_record(name: &str) -> Self {
        Self(format!("cloud:{}", name.trim().to_lowercase()))
    }

    /// A conversation's own key.
    pub fn key(key: &ConversationKey) -> Self {
        Self(key.as_str().to_owned())
    }

    /// From the store.
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The alias with its prefix.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Aliases contain addresses: logs show none.
impl fmt::Debug for Alias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Alias(..)")
    }
}

/// What a source says about one conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct ConversationChange {
    /// The conversation, under the key it gets if none of its aliases is known yet.
    pub conversation: Conversation,
    /// Every name that leads to it.
    pub aliases: Vec<Alias>,
    /// The chat rows that are this conversation, by ROWID.
    pub records: Vec<ChatRecord>,
}
