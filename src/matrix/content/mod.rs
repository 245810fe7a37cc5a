//! What a message becomes: the events of one row of a timeline.
//!
//! A message's timeline rows (D5) are itself and its later [marks](Mark); [`events_of`] makes the events of one of them. Each event of a message that a mark redacts is served redacted from the start (D21), so that the answer does not
//! depend on what else was asked.
//!
//! | message | events |
//! |---|---|
//! | a text part | `m.room.message`, `m.text`; `m.emote`, or `m.notice` for automatic replies (MS-54) |
//! | a file | `m.image`, `m.video`, `m.audio`, `m.file`, `m.sticker`; a notice that names it while it is not here |
//! | an app's balloon | `m.text` with what stands on it (MS-46) |
//! | a tapback | a redaction of the one it replaces, and `m.reaction`; a sticker answers its target as `m.sticker` |
//! | its removal | a redaction |
//! | a name, a member | `m.room.name`, `m.room.member` with `prev_content` |
//! | another announcement | `m.notice`, also for what the owner did to the own membership: a client takes a leave for good |
//! | an edit | `m.room.message` with `m.replace` |
//! | an unsend, a deletion, a departure to another room | a redaction of each event |
//! | what cannot be read | `m.notice` |
//! | a failed send | the message, and an `m.notice` that answers it (MS-66) |
//!
//! Edits and unsends without a time of their own have no row; they come right after the message.

mod announcement;
mod balloon;
mod file;
mod outline;
mod part;
mod tapback;
#[cfg(test)]
mod tests;

use serde_json::json;

use crate::base::ids::Guid;
use crate::base::ids::Handle;
use crate::base::time::AppleTime;
use crate::matrix::content::outline::unsent_parts;
use crate::matrix::event::Content;
use crate::matrix::event::Event;
use crate::matrix::event::Relation;
use crate::matrix::event::RelationKind;
use crate::matrix::event_id::EventKey;
use crate::matrix::event_id::EventKind;
use crate::matrix::event_id::Incarnation;
use crate::matrix::ids::Account;
use crate::matrix::ids::RoomId;
use crate::matrix::ids::UserId;
use crate::model::attachment::Attachment;
use crate::model::message::Announcement;
use crate::model::message::Author;
use crate::model::message::Flag;
use crate::model::message::Kind;
use crate::model::message::Message;
use crate::model::message::Tapback;
use crate::model::message::Target;

/// One row of a timeline.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// The message, with its attachments.
    pub message: &'a Message,
    /// Where it stands in the timeline (D5). Marks have their own times in the message.
    pub time: AppleTime,
    /// How often it was restored.
    pub incarnation: Incarnation,
    /// In a self chat: the twin that is shown in its stead (ID-28).
    pub duplicate_of: Option<&'a Guid>,
    /// Which of its rows.
    pub mark: Mark,
}

/// Which row of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The message with all its parts.
    Message,
    /// A later text of a part.
    Edit {
        /// The part.
        part: u16,
        /// The text's place in `versions`, 1 or more.
        version: usize,
    },
    /// A part that was taken back.
    Unsend {
        /// The part.
        part: u16,
    },
    /// The owner deleted the message.
    Deletion,
    /// The message is in another room now (D19). In no timeline: clients that had it are told once, at the row's time.
    Departure,
}

/// What only the store knows. The same question must have the same answer as long as clients hold what it became.
pub trait Context {
    /// Whose archive it is.
    fn account(&self) -> &Account;

    /// The room that the events are for.
    fn room(&self) -> &RoomId;

    /// The user of a handle: the owner for the own ones, one ghost for all handles of a person.
    fn user(&self, handle: &Handle) -> UserId;

    /// How a handle was called when the room was published.
    fn name(&self, handle: &Handle) -> String;

    /// The message with a GUID, if this room shows it.
    fn held(&self, guid: &Guid) -> Option<Held>;

    /// All tapbacks on a message, in the order of the timeline.
    fn tapbacks(&self, target: &Guid) -> Vec<Made>;

    /// A file's bytes as clients can get them; `None` when they are not here and cannot be fetched.
    fn media(&self, attachment: &Attachment) -> Option<Media>;

    /// What a piece of state said before a row changed it; `None` when that is not known.
    fn state_before(&self, row: &Row<'_>, event_type: &str, state_key: &str) -> Option<Content>;
}

/// A message that a row refers to.
#[derive(Clone, Debug)]
pub struct Held {
    /// The message, with its attachments.
    pub message: Message,
    /// How often it was restored.
    pub incarnation: Incarnation,
}

/// A tapback that was made at some time, or its removal.
#[derive(Clone, Debug)]
pub struct Made {
    /// Its row.
    pub guid: Guid,
    /// How often that was restored.
    pub incarnation: Incarnation,
    /// Where it stands in the timeline.
    pub time: AppleTime,
    /// Whose it is.
    pub author: Author,
    /// What it does.
    pub tapback: Tapback,
}

/// A file as clients get it: the original, or a rendition that more of them can show.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Media {
    /// `mxc://...`
    pub url: String,
    /// Its name, where it differs from the attachment's.
    pub name: Option<String>,
    /// Its type, where it differs from the attachment's.
    pub mime: Option<String>,
    /// Its size, where it differs from the attachment's.
    pub size_bytes: Option<u64>,
    /// Width and height in pixels.
    pub pixels: Option<(u32, u32)>,
    /// How long it plays.
    pub duration_ms: Option<u64>,
}

/// The rule by which a row is not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hidden {
    /// It was received by its own sender: the twin is shown.
    Twin,
    /// Messages' own notices.
    System,
    /// There is nothing in it.
    Empty,
    /// It is to be sent later.
    Scheduled,
    /// It is being sent.
    Unfinished,
    /// A tapback on a message that this room does not hold, or of which it shows nothing.
    TargetNotHeld,
    /// The removal of a tapback that nobody made.
    NothingToRemove,
    /// A notice that a voice message was kept.
    AudioKept,
    /// The message has no such edit, unsend or deletion.
    NoSuchMark,
}

impl Hidden {
    /// The rule's name.
    pub fn rule(self) -> &'static str {
        match self {
            Self::Twin => "ID-28",
            Self::System | Self::Empty => "MS-2",
            Self::Scheduled => "MS-53",
            Self::Unfinished => "MS-71",
            Self::TargetNotHeld => "MS-29",
            Self::NothingToRemove => "MS-27",
            Self::AudioKept => "MS-51",
            Self::NoSuchMark => "D21",
        }
    }
}

/// The events of a row, in order; at least one.
///
/// # Errors
///
/// The rule by which the row is not shown.
pub fn events_of(row: &Row<'_>, context: &dyn Context) -> Result<Vec<Event>, Hidden> {
    if let Some(hidden) = hidden(row) {
        return Err(hidden);
    }
    let maker = Maker {
        row,
        context,
        sender: sender(&row.message.author, context),
    };
    let events = match row.mark {
        Mark::Message => return maker.message(),
        Mark::Edit { part, version } => maker.edit(part, version).into_iter().collect(),
        Mark::Unsend { part } => maker.unsend(part),
        Mark::Deletion if row.message.times.deleted.is_none() => Vec::new(),
        Mark::Deletion | Mark::Departure => maker.deletion()?,
    };
    if events.is_empty() {
        return Err(Hidden::NoSuchMark);
    }
    Ok(events)
}

/// The event that stands for a part of a message: where replies to that part and tapbacks on it belong.
///
/// A part without an event, such as one of blanks, is represented by the first one; a message without events by none.
pub fn event_of_part(held: &Held, part: u16) -> Option<EventKey> {
    if hidden_by_itself(&held.message).is_some() {
        return None;
    }
    let slots = outline::outline(&held.message);
    let slot = slots
        .iter()
        .find(|slot| slot.part == part)
        .or(slots.first())?;
    let key = EventKey::new(&held.message.guid, EventKind::Part, held.incarnation);
    Some(key.at(slot.part, slot.piece))
}

/// Why nothing of a row is shown, whatever is in it.
fn hidden(row: &Row<'_>) -> Option<Hidden> {
    let twin = row.duplicate_of.map(|_| Hidden::Twin);
    twin.or_else(|| hidden_by_itself(row.message))
}

/// The same as far as the message itself says.
fn hidden_by_itself(message: &Message) -> Option<Hidden> {
    // These are for people although Messages sends them by itself (MS-52).
    const KEPT: [Flag; 4] = [Flag::Satellite, Flag::OffGrid, Flag::Sos, Flag::Critical];

    let has = |flag| message.flags.has(flag);
    if has(Flag::Scheduled) {
        return Some(Hidden::Scheduled);
    }
    if has(Flag::Unfinished) {
        return Some(Hidden::Unfinished);
    }
    match &message.kind {
        Kind::Message { .. } => {
            let is_system = has(Flag::System) || has(Flag::Service);
            (is_system && !KEPT.into_iter().any(has)).then_some(Hidden::System)
        }
        Kind::Announcement(Announcement::AudioKept) => Some(Hidden::AudioKept),
        Kind::Announcement(_) | Kind::Tapback(_) => None,
    }
}

/// The user of an author.
fn sender(author: &Author, context: &dyn Context) -> UserId {
    match author {
        Author::Owner => context.account().user().clone(),
        Author::Other(handle) => context.user(handle),
        Author::Unknown => context.account().unknown(),
    }
}

/// Makes the events of one row.
struct Maker<'a> {
    row: &'a Row<'a>,
    context: &'a dyn Context,
    sender: UserId,
}

impl Maker<'_> {
    /// The message itself.
    fn message(&self) -> Result<Vec<Event>, Hidden> {
        let mut events = match &self.row.message.kind {
            Kind::Message { about } => self.parts(about.as_ref()),
            Kind::Tapback(tapback) => self.tapback(tapback)?,
            Kind::Announcement(what) => vec![self.announcement(what)],
        };
        if events.is_empty() {
            return Err(Hidden::Empty);
        }
        self.add_timeless(&mut events);
        Ok(events
            .into_iter()
            .map(|event| self.settled(event))
            .collect())
    }

    /// Adds the marks that have no row.
    fn add_timeless(&self, events: &mut Vec<Event>) {
        let message = self.row.message;
        for edit in &message.edits {
            for (version, text) in edit.versions.iter().enumerate().skip(1) {
                if text.at.is_none() {
                    events.extend(self.edit(edit.part, version));
                }
            }
        }
        let has_row = |part| message.unsent_parts.contains(&part) && message.times.edited.is_some();
        for part in unsent_parts(message) {
            if !has_row(part) {
                events.extend(self.unsend(part));
            }
        }
    }

    /// Redacted, if the message says so.
    fn settled(&self, event: Event) -> Event {
        let message = self.row.message;
        let is_of_part = matches!(event.key.kind, EventKind::Part | EventKind::Edit);
        if event.redacts.is_some() {
            event
        } else if is_of_part && unsent_parts(message).any(|part| part == event.key.part) {
            let because = self.unsend_of(&event.key);
            event.redacted(because)
        } else if message.times.deleted.is_some() {
            let because = self.deletion_of(&event.key);
            event.redacted(because)
        } else {
            event
        }
    }

    /// The redactions of a part and its edits.
    fn unsend(&self, part: u16) -> Vec<Event> {
        let message = self.row.message;
        if !unsent_parts(message).any(|unsent| unsent == part) {
            return Vec::new();
        }
        let slots = outline::outline(message);
        let slots = slots.iter().filter(|slot| slot.part == part);
        let mut targets: Vec<EventKey> = slots
            .map(|slot| self.key(EventKind::Part).at(slot.part, slot.piece))
            .collect();
        targets.extend(self.edits().filter(|edit| edit.part == part));
        targets.iter().map(|key| self.unsend_of(key)).collect()
    }

    /// The redactions of everything.
    fn deletion(&self) -> Result<Vec<Event>, Hidden> {
        let is_own = |event: &Event| event.key.guid == self.row.message.guid.key();
        let is_content =
            |event: &Event| event.redacts.is_none() && event.key.kind != EventKind::Edit;
        let mut targets: Vec<EventKey> = if let (Mark::Departure, Kind::Tapback(tapback)) =
            (self.row.mark, &self.row.message.kind)
        {
            // What it was about may have departed before it.
            self.own_reaction(tapback).into_iter().collect()
        } else {
            let events = self.message()?.into_iter();
            let own = events.filter(|event| is_own(event) && is_content(event));
            own.map(|event| event.key).collect()
        };
        targets.extend(self.edits());
        Ok(targets.iter().map(|key| self.deletion_of(key)).collect())
    }

    /// The keys of all edits.
    fn edits(&self) -> impl Iterator<Item = EventKey> {
        let edits = self.row.message.edits.iter();
        edits.flat_map(|edit| {
            let versions = 1..edit.versions.len();
            versions.map(|version| self.key(EventKind::Edit).at(edit.part, number(version)))
        })
    }

    fn unsend_of(&self, target: &EventKey) -> Event {
        let at = self.row.message.times.edited.unwrap_or(self.row.time);
        self.redaction(EventKind::Unsend, target, at)
    }

    /// The owner deletes, whoever wrote it.
    fn deletion_of(&self, target: &EventKey) -> Event {
        let at = self.row.message.times.deleted.unwrap_or(self.row.time);
        let mut event = self.redaction(EventKind::Deletion, target, at);
        event.sender = self.context.account().user().clone();
        event
    }

    fn redaction(&self, kind: EventKind, target: &EventKey, at: AppleTime) -> Event {
        let room = self.context.room();
        Event::redaction(self.key(kind), target, self.sender.clone(), at, room)
    }

    /// The message's first key of a kind.
    fn key(&self, kind: EventKind) -> EventKey {
        EventKey::new(&self.row.message.guid, kind, self.row.incarnation)
    }

    /// An event of this message at the time of the row.
    fn event(&self, key: EventKey, event_type: &'static str, content: Content) -> Event {
        Event::new(key, event_type, self.sender.clone(), self.row.time, content)
    }

    /// The event of another message's part; by its name alone where that is not held (MS-21).
    fn part_of(&self, target: &Target) -> EventKey {
        let held = self.context.held(&target.guid);
        held.and_then(|held| event_of_part(&held, target.part))
            .unwrap_or_else(|| {
                EventKey::new(&target.guid, EventKind::Part, Incarnation::default())
                    .at(target.part, 0)
            })
    }

    /// Makes an event answer another.
    fn answer(&self, event: &mut Event, parent: EventKey) {
        let id = self.context.room().event_id(&parent);
        let relates_to = json!({ "m.in_reply_to": { "event_id": id } });
        event.content.insert("m.relates_to".to_owned(), relates_to);
        event.relation = Some(Relation {
            kind: RelationKind::Reply,
            parent,
        });
    }
}

/// A place in a list as a number of an event key.
fn number(place: usize) -> u16 {
    u16::try_from(place).unwrap_or(u16::MAX)
}
