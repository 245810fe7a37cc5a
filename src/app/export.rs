//! The archive as text that any other program can read: JSON Lines, version 1.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::io::Write;

use serde::Serialize;

use crate::app::AppError;
use crate::app::Archive;
use crate::app::conversations::find_conversation;
use crate::app::conversations::shown_with;
use crate::app::lines::ConversationLine;
use crate::app::lines::MessageLine;
use crate::app::people::find;
use crate::base::ids::ChangeNumber;
use crate::base::ids::ConversationKey;
use crate::base::ids::Guid;
use crate::base::ids::Handle;
use crate::base::ids::RowId;
use crate::base::time::AppleTime;
use crate::model::people::People;
use crate::store::Direction;
use crate::store::Snapshot;
use crate::store::StoreError;
use crate::store::value::ChangeKind;
use crate::store::value::StoredMessage;

/// The version of the format.
const VERSION: u32 = 1;

/// Messages after which the progress is told.
pub(crate) const TOLD_EVERY: u64 = 1_024;

/// What to export. Everything that is set must hold.
#[derive(Clone, Debug, Default)]
pub struct Selection<'a> {
    /// Only this conversation, by name, address or key, with those that are shown together with it.
    pub conversation: Option<&'a str>,
    /// Only conversations in which this person takes part, by name or address.
    pub with: Option<&'a str>,
    /// Only messages sent at this time or later.
    pub since: Option<AppleTime>,
    /// Only messages sent before this time.
    pub until: Option<AppleTime>,
    /// Only what is new or changed after this change.
    pub after: Option<ChangeNumber>,
}

impl Selection<'_> {
    /// The conversations that take part; `None` for all, and for what is in none.
    pub(crate) fn among(
        &self,
        snapshot: &Snapshot,
        people: &People,
    ) -> Result<Option<BTreeSet<RowId>>, AppError> {
        let mut among = None;
        if let Some(wanted) = self.conversation {
            let row = find_conversation(snapshot, people, wanted)?;
            among = Some(BTreeSet::from_iter(shown_with(snapshot, row)?));
        }
        if let Some(wanted) = self.with {
            let with = find(people, snapshot, wanted)?;
            let takes_part =
                |members: &[Handle]| members.iter().any(|member| with.contains(member));
            let theirs: BTreeSet<RowId> = snapshot
                .conversations()?
                .into_iter()
                .filter(|(_, held)| takes_part(&held.conversation.participants))
                .map(|(row, _)| row)
                .collect();
            among = Some(match among {
                Some(among) => among.intersection(&theirs).copied().collect(),
                None => theirs,
            });
        }
        Ok(among)
    }

    /// Refuses to go on from a change that never was.
    pub(crate) fn check(&self, snapshot: &Snapshot) -> Result<(), AppError> {
        let last = snapshot.last_change()?;
        match self.after {
            Some(asked) if asked > last => Err(AppError::NoChange { asked, last }),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether a message takes part, as far as its conversation allows.
    pub(crate) fn holds(&self, stored: &StoredMessage) -> bool {
        let sent = stored.message.times.sent.unwrap_or(stored.time);
        self.since.is_none_or(|since| sent >= since)
            && self.until.is_none_or(|until| sent < until)
            && self.after.is_none_or(|after| stored.last_change > after)
    }
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exported {
    /// Message lines.
    pub messages: u64,
    /// The change to go on from with `--after`.
    pub change: ChangeNumber,
}

#[derive(Serialize)]
struct Header<'a> {
    r#type: &'static str,
    format: &'static str,
    version: u32,
    account: Option<&'a str>,
    created: String,
}

#[derive(Serialize)]
struct End {
    r#type: &'static str,
    messages: u64,
    change: u64,
}

impl Archive {
    /// Writes the selected messages, oldest first (sent, then GUID), each conversation before its first message. Tells
    /// `progress` how many of all messages were looked at.
    ///
    /// # Errors
    ///
    /// [`AppError::NoConversation`], [`AppError::SeveralConversations`], [`AppError::Nobody`], [`AppError::NoChange`]; when
    /// the archive cannot be read or `out` cannot be written.
    pub fn export(
        &self,
        selection: &Selection<'_>,
        out: &mut dyn Write,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<Exported, AppError> {
        let snapshot = self.store().snapshot()?;
        selection.check(&snapshot)?;
        let mut export = Export::new(&snapshot, selection)?;
        let own = snapshot.own_handles()?;
        write_line(
            out,
            &Header {
                r#type: "header",
                format: "footbridge-export",
                version: VERSION,
                account: own.first().map(Handle::as_str),
                created: self.clock().now().to_string(),
            },
        )?;
        export.write_messages(out, &mut progress)?;
        export.write_changed_conversations(out)?;
        let change = snapshot.last_change()?;
        write_line(
            out,
            &End {
                r#type: "end",
                messages: export.messages,
                change: change.0,
            },
        )?;
        out.flush().map_err(AppError::output)?;
        Ok(Exported {
            messages: export.messages,
            change,
        })
    }
}

/// An export in progress.
struct Export<'s> {
    snapshot: &'s Snapshot,
    selection: &'s Selection<'s>,
    people: People,
    aliases: BTreeMap<RowId, Vec<String>>,
    keys: BTreeMap<RowId, ConversationKey>,
    /// Conversations that take part, when only some do.
    among: Option<BTreeSet<RowId>>,
    /// Messages that changed after the wanted change, if the log still reaches back that far.
    changed: Option<BTreeSet<RowId>>,
    written: BTreeSet<RowId>,
    messages: u64,
}

impl<'s> Export<'s> {
    fn new(snapshot: &'s Snapshot, selection: &'s Selection<'s>) -> Result<Self, AppError> {
        let conversations = snapshot.conversations()?;
        let people = snapshot.people()?;
        let among = selection.among(snapshot, &people)?;
        let changed = match selection.after {
            Some(after) => changed_since(snapshot, after)?,
            None => None,
        };
        Ok(Self {
            people,
            aliases: snapshot.aliases()?,
            keys: conversations
                .into_iter()
                .map(|(row, held)| (row, held.conversation.key))
                .collect(),
            snapshot,
            selection,
            among,
            changed,
            written: BTreeSet::new(),
            messages: 0,
        })
    }

    /// Walks all messages by their place in time. Messages whose place is not their time of sending (those from the
    /// future, D5) wait until the walk has come to it.
    fn write_messages(
        &mut self,
        out: &mut dyn Write,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(), AppError> {
        let total = self.snapshot.message_count()?;
        let mut waiting: BTreeMap<(AppleTime, Guid, RowId), StoredMessage> = BTreeMap::new();
        for (done, place) in (0..).zip(self.snapshot.by_time(None, Direction::Forward)?) {
            let place = place?;
            if done % TOLD_EVERY == 0 {
                progress(done, total);
            }
            while let Some(next) = waiting.first_entry()
                && next.key().0 < place.time
            {
                let ((_, _, row), stored) = next.remove_entry();
                self.write_message(row, stored, out)?;
            }
            if self
                .changed
                .as_ref()
                .is_some_and(|changed| !changed.contains(&place.row))
            {
                continue;
            }
            let stored = self.snapshot.message(place.row)?;
            if self.is_selected(&stored) {
                let sent = stored.message.times.sent.unwrap_or(stored.time);
                waiting.insert((sent, stored.message.guid.clone(), place.row), stored);
            }
        }
        for ((_, _, row), stored) in waiting {
            self.write_message(row, stored, out)?;
        }
        Ok(())
    }

    fn is_selected(&self, stored: &StoredMessage) -> bool {
        let is_in = |rows: &BTreeSet<RowId>| {
            stored
                .conversation
                .iter()
                .chain(&stored.also_in)
                .any(|row| rows.contains(row))
        };
        self.selection.holds(stored) && self.among.as_ref().is_none_or(is_in)
    }

    fn write_message(
        &mut self,
        row: RowId,
        mut stored: StoredMessage,
        out: &mut dyn Write,
    ) -> Result<(), AppError> {
        self.snapshot.add_attachments(&mut stored)?;
        for conversation in stored.conversation.iter().chain(&stored.also_in) {
            self.write_conversation(*conversation, out)?;
        }
        let parked = match stored.conversation {
            Some(_) => None,
            None => self
                .snapshot
                .parked_row(row)?
                .map(|parked| parked.placement.otherwise.reason()),
        };
        let key = |row: &RowId| self.keys.get(row).map_or("", ConversationKey::as_str);
        let line = MessageLine::new(&stored, parked, key);
        write_line(out, &line)?;
        self.messages += 1;
        Ok(())
    }

    fn write_conversation(&mut self, row: RowId, out: &mut dyn Write) -> Result<(), AppError> {
        if !self.written.insert(row) {
            return Ok(());
        }
        let aliases = self.aliases.get(&row).map_or(&[][..], Vec::as_slice);
        let held = self.snapshot.conversation(row)?;
        let line = ConversationLine::new(
            &held.conversation,
            self.snapshot.head(row)?,
            aliases,
            &self.people,
        );
        write_line(out, &line)
    }

    /// Conversations that changed, or that have no messages, and were not written before one.
    fn write_changed_conversations(&mut self, out: &mut dyn Write) -> Result<(), AppError> {
        if self.selection.since.is_some() || self.selection.until.is_some() {
            return Ok(());
        }
        for row in self.keys.keys().copied().collect::<Vec<_>>() {
            let held = self.snapshot.conversation(row)?;
            let is_new = self
                .selection
                .after
                .is_none_or(|after| held.last_change > after);
            let is_selected = self.among.as_ref().is_none_or(|among| among.contains(&row));
            if is_new && is_selected && held.united_into.is_none() {
                self.write_conversation(row, out)?;
            }
        }
        Ok(())
    }
}

/// The messages that changed, if the log still reaches back that far.
fn changed_since(
    snapshot: &Snapshot,
    after: ChangeNumber,
) -> Result<Option<BTreeSet<RowId>>, StoreError> {
    let Some(changes) = snapshot.changes_after(after)? else {
        return Ok(None);
    };
    let mut messages = BTreeSet::new();
    for change in changes {
        let (_, entry) = change?;
        if entry.kind == ChangeKind::Message {
            messages.insert(entry.row);
        }
    }
    Ok(Some(messages))
}

pub(crate) fn write_line(out: &mut dyn Write, line: &impl Serialize) -> Result<(), AppError> {
    serde_json::to_writer(&mut *out, line).map_err(|error| AppError::output(error.into()))?;
    out.write_all(b"\n").map_err(AppError::output)
}
