//! The list of conversations.

use serde::Serialize;

use crate::app::AppError;
use crate::app::Archive;
use crate::app::archive::shown_with;
use crate::app::people::People;
use crate::base::time::AppleTime;
use crate::model::conversation::ConversationKind;
use crate::model::conversation::Filed;
use crate::store::value::Merge;

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Its key.
    pub key: String,
    /// Its name, else its members.
    pub title: String,
    /// `dm` or `group`.
    pub kind: &'static str,
    /// `iMessage`, `SMS`, `RCS`.
    pub service: Option<String>,
    /// The other members' addresses.
    pub participants: Vec<String>,
    /// Messages in it, tapbacks and announcements included.
    pub messages: u64,
    /// Time of the first message.
    pub first: Option<AppleTime>,
    /// Time of the last message.
    pub last: Option<AppleTime>,
    /// Keys of other conversations with the same person that are shown with it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub merged: Vec<String>,
    /// `archived` or `junk`, where Messages files it so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filed: Option<&'static str>,
}

impl Archive {
    /// Every conversation, the newest first. With `merged`, the conversations with one person are one.
    ///
    /// # Errors
    ///
    /// When the archive cannot be read.
    pub fn conversations(&self, merged: bool) -> Result<Vec<Listed>, AppError> {
        let snapshot = self.store().snapshot()?;
        let people = People::read(&snapshot)?;
        let merges = snapshot.merges()?;
        let mut list = Vec::new();
        for (row, held) in snapshot.conversations()? {
            if held.united_into.is_some()
                || (merged && matches!(merges.get(&row), Some(Merge::Into(_))))
            {
                continue;
            }
            let together = if merged {
                shown_with(&snapshot, row)?
            } else {
                vec![row]
            };
            let conversation = held.conversation;
            let mut line = Listed {
                key: conversation.key.to_string(),
                title: people.title(&conversation),
                kind: match conversation.kind {
                    ConversationKind::Direct => "dm",
                    ConversationKind::Group => "group",
                },
                service: conversation.service,
                participants: conversation
                    .participants
                    .iter()
                    .map(ToString::to_string)
                    .collect(),
                messages: 0,
                first: None,
                last: None,
                merged: Vec::new(),
                filed: match conversation.filed {
                    Filed::Inbox => None,
                    Filed::Archived => Some("archived"),
                    Filed::Junk => Some("junk"),
                },
            };
            for other in together {
                let head = snapshot.head(other)?;
                line.messages += head.messages;
                line.first = line.first.into_iter().chain(head.oldest).min();
                line.last = line.last.max(head.newest);
                if other != row {
                    let other = snapshot.conversation(other)?.conversation;
                    line.participants
                        .extend(other.participants.iter().map(ToString::to_string));
                    line.merged.push(other.key.to_string());
                }
            }
            list.push(line);
        }
        list.sort_by(|a, b| b.last.cmp(&a.last).then_with(|| a.key.cmp(&b.key)));
        Ok(list)
    }

    /// Shows a conversation as its own although the address book has it with another one, or lets the address book
    /// decide again (ID-32).
    ///
    /// # Errors
    ///
    /// [`AppError::NoConversation`], and when the archive cannot be read or written.
    pub fn keep_apart(&self, conversation: &str, apart: bool) -> Result<(), AppError> {
        let snapshot = self.store().snapshot()?;
        let people = People::read(&snapshot)?;
        let row = crate::app::archive::find_conversation(&snapshot, &people, conversation)?;
        self.store()
            .write(|transaction| Ok::<_, AppError>(transaction.keep_apart(row, apart)?))?;
        Ok(())
    }
}
