//! The list of conversations, and the one that a person means.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde::Serialize;

use crate::app::AppError;
use crate::app::Archive;
use crate::app::people::region;
use crate::base::ids::Handle;
use crate::base::ids::RowId;
use crate::base::numbers::counted;
use crate::base::time::AppleTime;
use crate::model::conversation::Alias;
use crate::model::conversation::ConversationKind;
use crate::model::conversation::Filed;
use crate::model::handle::normalise;
use crate::model::people::People;
use crate::store::Snapshot;
use crate::store::StoreError;
use crate::store::value::Merge;

/// A conversation as a list shows it.
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
    /// The other members, by name where there is one.
    pub members: Vec<String>,
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
    /// When the owner deleted it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted: Option<AppleTime>,
}

impl Archive {
    /// Every conversation, the newest first. With `merged`, the conversations with one person are one.
    ///
    /// # Errors
    ///
    /// When the archive cannot be read.
    pub fn conversations(&self, merged: bool) -> Result<Vec<Listed>, AppError> {
        let snapshot = self.store().snapshot()?;
        let people = snapshot.people()?;
        let mut list = Vec::new();
        for rows in shown(&snapshot, merged)? {
            list.push(listed(&snapshot, &people, &rows)?);
        }
        list.sort_by(|a, b| b.last.cmp(&a.last).then_with(|| a.key.cmp(&b.key)));
        Ok(list)
    }

    /// Shows the conversations with one person apart although the address book has them together (ID-32). Answers
    /// their keys; only one if there was nothing to part.
    ///
    /// # Errors
    ///
    /// [`AppError::NoConversation`], [`AppError::SeveralConversations`], and when the archive cannot be read or
    /// written.
    pub fn split(&self, conversation: &str) -> Result<Vec<String>, AppError> {
        let snapshot = self.store().snapshot()?;
        let people = snapshot.people()?;
        let row = find_conversation(&snapshot, &people, conversation)?;
        let rows = shown_with(&snapshot, row)?;
        if let [_, others @ ..] = rows.as_slice()
            && !others.is_empty()
        {
            self.store().write(|transaction| {
                for other in others {
                    transaction.keep_apart(*other, true)?;
                }
                Ok::<_, AppError>(())
            })?;
        }
        keys(&snapshot, &rows)
    }

    /// Lets the address book decide again what is shown together with a conversation. Answers the keys of what is
    /// shown as one now.
    ///
    /// # Errors
    ///
    /// As [`Self::split`].
    pub fn join(&self, conversation: &str) -> Result<Vec<String>, AppError> {
        let snapshot = self.store().snapshot()?;
        let people = snapshot.people()?;
        let row = find_conversation(&snapshot, &people, conversation)?;
        // What belongs together is on one card, and so has one title.
        let title = people.title(&snapshot.conversation(row)?.conversation);
        let mut parted = Vec::new();
        for (other, merge) in snapshot.merges()? {
            let held = snapshot.conversation(other)?.conversation;
            if merge == Merge::Apart && (other == row || people.title(&held) == title) {
                parted.push(other);
            }
        }
        self.store().write(|transaction| {
            for other in parted {
                transaction.keep_apart(other, false)?;
            }
            Ok::<_, AppError>(())
        })?;
        let snapshot = self.store().snapshot()?;
        keys(&snapshot, &shown_with(&snapshot, row)?)
    }
}

fn keys(snapshot: &Snapshot, rows: &[RowId]) -> Result<Vec<String>, AppError> {
    let key = |row: &RowId| Ok(snapshot.conversation(*row)?.conversation.key.to_string());
    rows.iter().map(key).collect()
}

/// The rows of every conversation, the one that stands for it first: with `as_people`, those that are shown as one are
/// together.
pub(crate) fn shown(snapshot: &Snapshot, as_people: bool) -> Result<Vec<Vec<RowId>>, StoreError> {
    let merges = if as_people {
        snapshot.merges()?
    } else {
        BTreeMap::new()
    };
    let mut others: BTreeMap<RowId, Vec<RowId>> = BTreeMap::new();
    for (row, merge) in merges {
        if let Merge::Into(head) = merge {
            others.entry(head).or_default().push(row);
        }
    }
    let hidden: BTreeSet<RowId> = others.values().flatten().copied().collect();
    let mut groups = Vec::new();
    for (row, held) in snapshot.conversations()? {
        if held.united_into.is_none() && !hidden.contains(&row) {
            let mut rows = vec![row];
            rows.extend(others.remove(&row).unwrap_or_default());
            groups.push(rows);
        }
    }
    Ok(groups)
}

/// A conversation as a list shows it, from its rows.
pub(crate) fn listed(
    snapshot: &Snapshot,
    people: &People,
    rows: &[RowId],
) -> Result<Listed, StoreError> {
    let (row, others) = rows
        .split_first()
        .map_or((RowId(0), rows), |(row, others)| (*row, others));
    let conversation = snapshot.conversation(row)?.conversation;
    let mut participants: Vec<Handle> = conversation.participants.clone();
    let mut merged = Vec::new();
    for other in others {
        let other = snapshot.conversation(*other)?.conversation;
        participants.extend(other.participants);
        merged.push(other.key.to_string());
    }
    let mut members: Vec<String> = Vec::new();
    for name in participants.iter().map(|handle| people.shown(handle)) {
        if !members.iter().any(|member| member == name) {
            members.push(name.to_owned());
        }
    }
    let (mut messages, mut first, mut last) = (0, None, None);
    for row in rows {
        let head = snapshot.head(*row)?;
        messages += head.messages;
        first = first.into_iter().chain(head.oldest).min();
        last = last.max(head.newest);
    }
    Ok(Listed {
        title: people.title(&conversation),
        kind: match conversation.kind {
            ConversationKind::Direct => "dm",
            ConversationKind::Group => "group",
        },
        participants: participants.iter().map(ToString::to_string).collect(),
        members,
        messages,
        first,
        last,
        merged,
        filed: match conversation.filed {
            Filed::Inbox => None,
            Filed::Archived => Some("archived"),
            Filed::Junk => Some("junk"),
        },
        deleted: conversation.deleted,
        key: conversation.key.to_string(),
        service: conversation.service,
    })
}

/// The conversation that a person means: by key, alias, address, title or part of a title that only one has.
///
/// # Errors
///
/// [`AppError::NoConversation`], [`AppError::SeveralConversations`], and when the archive cannot be read.
pub(crate) fn find_conversation(
    snapshot: &Snapshot,
    people: &People,
    wanted: &str,
) -> Result<RowId, AppError> {
    let wanted = wanted.trim();
    let none = || AppError::NoConversation {
        wanted: wanted.to_owned(),
    };
    let as_handle = normalise(wanted, region(snapshot)?).map(|handle| format!("dm:{handle}"));
    let candidates = [
        Some(wanted.to_owned()),
        Some(wanted.to_lowercase()),
        as_handle,
    ];
    let stored = candidates.into_iter().flatten().map(Alias::from_stored);
    for alias in stored.chain([Alias::chat(wanted)]) {
        if let Some(row) = snapshot.resolve(&alias)? {
            return Ok(row);
        }
    }
    let folded = wanted.to_lowercase();
    if folded.is_empty() {
        return Err(none());
    }
    let (mut exact, mut partial) = (Vec::new(), Vec::new());
    for rows in shown(snapshot, true)? {
        let Some(row) = rows.first() else { continue };
        let conversation = snapshot.conversation(*row)?.conversation;
        let title = people.title(&conversation).to_lowercase();
        if title == folded {
            exact.push(rows);
        } else if title.contains(&folded) {
            partial.push(rows);
        }
    }
    let found = if exact.is_empty() { partial } else { exact };
    if let [rows] = found.as_slice() {
        return rows.first().copied().ok_or_else(none);
    }
    if found.is_empty() {
        return Err(none());
    }
    let among = found.iter().map(|rows| listed(snapshot, people, rows));
    let mut among = among.collect::<Result<Vec<Listed>, StoreError>>()?;
    among.sort_by_key(|listed| Reverse(listed.last));
    let choice = |listed: Listed| {
        let messages = counted(listed.messages, "message");
        (listed.key, format!("{}, {messages}", listed.title))
    };
    Err(AppError::SeveralConversations {
        wanted: wanted.to_owned(),
        among: among.into_iter().map(choice).collect(),
    })
}

/// The conversations that are shown together with one: itself, and the other DMs of the same person (ID-30). The one
/// that stands for them is the first.
pub(crate) fn shown_with(snapshot: &Snapshot, row: RowId) -> Result<Vec<RowId>, StoreError> {
    let merges = snapshot.merges()?;
    let head = match merges.get(&row) {
        Some(Merge::Into(into)) => *into,
        Some(Merge::Apart) | None => row,
    };
    let others = merges
        .iter()
        .filter(|(_, merge)| **merge == Merge::Into(head))
        .map(|(row, _)| *row);
    Ok(std::iter::once(head).chain(others).collect())
}
