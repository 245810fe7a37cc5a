//! Finding messages by their words.

use std::ops::Range;

use serde::Serialize;

use crate::app::AppError;
use crate::app::Archive;
use crate::app::conversations::find_conversation;
use crate::app::conversations::shown_with;
use crate::app::people::find;
use crate::base::ids::Handle;
use crate::base::ids::RowId;
use crate::base::time::AppleTime;
use crate::model::message::Author;
use crate::model::people::People;
use crate::store::search::Clause;
use crate::store::search::Query;
use crate::store::search::snippet;
use crate::store::searchable;
use crate::store::value::StoredMessage;

pub use crate::store::kind;

/// Graphemes around the first hit that are shown.
const SNIPPET_WIDTH: usize = 120;

/// What to look for.
#[derive(Clone, Debug, Default)]
pub struct Question<'a> {
    /// Words, phrases in quotes, beginnings with `*`.
    pub words: &'a str,
    /// Only in this conversation, by name, address or key.
    pub conversation: Option<&'a str>,
    /// Only from this person, by name or address; `me` is the owner.
    pub from: Option<&'a str>,
    /// Only messages sent at this time or later.
    pub since: Option<AppleTime>,
    /// Only messages sent before this time.
    pub until: Option<AppleTime>,
    /// Only messages of this kind, one of [`kind`].
    pub kind: Option<&'static str>,
    /// At most so many, the newest; `None` for all.
    pub limit: Option<usize>,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// How many messages answer the question.
    pub found: usize,
    /// The newest of them, newest first.
    pub hits: Vec<Hit>,
}

/// A message that answers the question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hit {
    /// Its GUID.
    pub guid: String,
    /// When it was sent.
    pub at: AppleTime,
    /// Who wrote it, by name.
    pub author: String,
    /// The conversation's key; `None` while it is parked.
    pub conversation: Option<String>,
    /// The conversation's title.
    pub title: Option<String>,
    /// A line around the first hit.
    pub snippet: String,
    /// Where the hits are in it, in bytes.
    pub marks: Vec<Range<usize>>,
}

impl Archive {
    /// The messages that hold all the words, newest first.
    ///
    /// # Errors
    ///
    /// [`AppError::Query`], [`AppError::NoConversation`], [`AppError::SeveralConversations`], [`AppError::Nobody`], and
    /// when the archive cannot be read.
    pub fn search(&self, question: &Question<'_>) -> Result<Answer, AppError> {
        let snapshot = self.store().snapshot()?;
        let people = snapshot.people()?;
        let mut query =
            Query::parse(question.words).map_err(|source| AppError::Query { source })?;
        let among = match question.conversation {
            Some(wanted) => Some(shown_with(
                &snapshot,
                find_conversation(&snapshot, &people, wanted)?,
            )?),
            None => None,
        };
        let from = match question.from {
            Some(wanted) if wanted.eq_ignore_ascii_case("me") => Some(From::Owner),
            Some(wanted) => Some(From::Others(find(&people, &snapshot, wanted)?)),
            None => None,
        };
        if let Some(From::Others(handles)) = &from {
            query = query.from_senders(handles);
        }
        if let Some(kind) = question.kind {
            query = query.of_kind(kind);
        }
        let called = |clause: &Clause| {
            let named = people.iter().filter(|(_, name)| clause.is_in(name));
            named.map(|(handle, _)| handle.clone()).collect()
        };
        let mut found: Vec<(AppleTime, RowId)> = Vec::new();
        for row in snapshot.candidates(&query, &called)? {
            let stored = snapshot.message(row)?;
            let sent = stored.message.times.sent.unwrap_or(stored.time);
            let is_in = |rows: &Vec<RowId>| {
                stored
                    .conversation
                    .iter()
                    .chain(&stored.also_in)
                    .any(|r| rows.contains(r))
            };
            if question.since.is_some_and(|since| sent < since)
                || question.until.is_some_and(|until| sent >= until)
                || !among.as_ref().is_none_or(is_in)
                || matches!(from, Some(From::Owner) if stored.message.author != Author::Owner)
                || stored.duplicate_of.is_some()
            {
                continue;
            }
            found.push((sent, row));
        }
        found.sort_unstable_by(|a, b| b.cmp(a));
        let mut answer = Answer {
            found: 0,
            hits: Vec::new(),
        };
        for (at, row) in found {
            let stored = snapshot.whole_message(row)?;
            let texts = searchable(&stored.message);
            let names = [people.author(&stored.message.author)];
            let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
            let Some(matches) = query.matches(&texts, &names) else {
                continue;
            };
            answer.found += 1;
            if question
                .limit
                .is_some_and(|limit| answer.hits.len() >= limit)
            {
                continue;
            }
            let first = matches.first().map_or(0, |first| first.text);
            let marks: Vec<_> = matches
                .into_iter()
                .filter(|m| m.text == first)
                .map(|m| m.range)
                .collect();
            let line = snippet(
                texts.get(first).copied().unwrap_or_default(),
                &marks,
                SNIPPET_WIDTH,
            );
            answer.hits.push(hit(
                &snapshot,
                &people,
                &stored,
                at,
                (line.text, line.marks),
            )?);
        }
        Ok(answer)
    }
}

fn hit(
    snapshot: &crate::store::Snapshot,
    people: &People,
    stored: &StoredMessage,
    at: AppleTime,
    (snippet, marks): (String, Vec<Range<usize>>),
) -> Result<Hit, AppError> {
    let conversation = match stored.conversation {
        Some(row) => Some(snapshot.conversation(row)?.conversation),
        None => None,
    };
    Ok(Hit {
        guid: stored.message.guid.to_string(),
        at,
        author: people.author(&stored.message.author).to_owned(),
        title: conversation
            .as_ref()
            .map(|conversation| people.title(conversation)),
        conversation: conversation.map(|conversation| conversation.key.to_string()),
        snippet,
        marks,
    })
}

/// Whose messages to look at.
enum From {
    Owner,
    Others(Vec<Handle>),
}
