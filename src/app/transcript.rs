//! The archive as a person reads it, conversation by conversation.

use crate::app::AppError;
use crate::app::Archive;
use crate::app::conversations::Listed;
use crate::app::conversations::listed;
use crate::app::conversations::shown;
use crate::app::export::Exported;
use crate::app::export::Selection;
use crate::app::export::TOLD_EVERY;
use crate::app::show::Entry;
use crate::app::show::Part;
use crate::app::show::Reader;
use crate::app::show::places;
use crate::base::ids::RowId;
use crate::model::message::Kind;
use crate::store::Snapshot;
use crate::store::value::StoredMessage;

/// What comes next in a transcript.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A conversation begins.
    Conversation(Box<Listed>),
    /// The messages begin that are in no conversation.
    Parked,
    /// A message of the conversation that began last.
    Entry(Box<Entry>),
}

/// Takes the steps of a transcript as they come.
pub type OnStep<'a> = &'a mut dyn FnMut(&Step) -> Result<(), AppError>;

impl Archive {
    /// Walks the selected messages, each conversation with its messages, oldest first; conversations with the same
    /// person are one (ID-30). One message is in memory at a time. Tells `progress` about how many messages of how many are
    /// done.
    ///
    /// # Errors
    ///
    /// [`AppError::NoConversation`], [`AppError::SeveralConversations`], [`AppError::Nobody`], [`AppError::NoChange`]; when
    /// the archive cannot be read; what `on_step` answers.
    pub fn transcript(
        &self,
        selection: &Selection<'_>,
        on_step: OnStep<'_>,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<Exported, AppError> {
        let snapshot = self.store().snapshot()?;
        selection.check(&snapshot)?;
        let people = snapshot.people()?;
        let among = selection.among(&snapshot, &people)?;
        let mut groups = Vec::new();
        for rows in shown(&snapshot, true)? {
            if among
                .as_ref()
                .is_none_or(|among| rows.iter().any(|row| among.contains(row)))
            {
                groups.push((listed(&snapshot, &people, &rows)?, rows));
            }
        }
        groups.sort_by(|(a, _), (b, _)| a.first.cmp(&b.first).then_with(|| a.key.cmp(&b.key)));
        let mut transcript = Transcript {
            reader: Reader {
                snapshot: &snapshot,
                people: &people,
            },
            selection,
            on_step,
            progress: &mut progress,
            messages: 0,
            done: 0,
            total: groups.iter().map(|(head, _)| head.messages).sum(),
        };
        for (head, rows) in groups {
            transcript.conversation(head, &rows)?;
        }
        if among.is_none() {
            transcript.parked(&snapshot)?;
        }
        Ok(Exported {
            messages: transcript.messages,
            change: snapshot.last_change()?,
        })
    }
}

/// A transcript in progress.
struct Transcript<'a> {
    reader: Reader<'a>,
    selection: &'a Selection<'a>,
    on_step: OnStep<'a>,
    progress: &'a mut dyn FnMut(u64, u64),
    /// Messages that were written.
    messages: u64,
    /// Messages of the conversations that are done.
    done: u64,
    /// Messages of all conversations.
    total: u64,
}

impl Transcript<'_> {
    fn conversation(&mut self, head: Listed, rows: &[RowId]) -> Result<(), AppError> {
        let part = Part {
            since: self.selection.since,
            until: self.selection.until,
            limit: None,
        };
        let done_after = self.done + head.messages;
        let mut head = Some(Step::Conversation(Box::new(head)));
        for (at, place) in (0..).zip(places(self.reader.snapshot, rows, part)?.0) {
            if at % TOLD_EVERY == 0 {
                (self.progress)(self.done + at, self.total);
            }
            let stored = self.reader.snapshot.whole_message(place.row)?;
            if stored.duplicate_of.is_none() && self.selection.holds(&stored) {
                if let Some(head) = head.take() {
                    (self.on_step)(&head)?;
                }
                self.entry(&stored, None)?;
            }
        }
        self.done = done_after;
        Ok(())
    }

    /// What is in no conversation must not be missing.
    fn parked(&mut self, snapshot: &Snapshot) -> Result<(), AppError> {
        let mut parked = Vec::new();
        for (row, entry) in snapshot.parked()? {
            let stored = snapshot.message(row)?;
            if !matches!(stored.message.kind, Kind::Tapback(_)) && self.selection.holds(&stored) {
                parked.push((stored.time, row, entry.placement.otherwise.reason()));
            }
        }
        parked.sort_unstable();
        let mut head = Some(Step::Parked);
        for (_, row, reason) in parked {
            if let Some(head) = head.take() {
                (self.on_step)(&head)?;
            }
            self.entry(&snapshot.whole_message(row)?, Some(reason))?;
        }
        Ok(())
    }

    fn entry(&mut self, stored: &StoredMessage, parked: Option<&str>) -> Result<(), AppError> {
        let mut entry = self.reader.entry(stored)?;
        entry.notes.extend(parked.map(str::to_owned));
        self.messages += 1;
        (self.on_step)(&Step::Entry(Box::new(entry)))
    }
}
