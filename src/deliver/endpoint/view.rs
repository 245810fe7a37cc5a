//! One room as clients see it: its timeline as events, both ways, from any place.
//!
//! A room's timeline is its first state, which is made here, and then the entries of its conversations by time (D5), each
//! with the events that `matrix` makes of it. An entry that is not visible yet (its pass has not ended, D20), that was
//! deleted before anybody saw it, or that a rule hides has no events: walking passes over it.

use std::ops::Bound;

use crate::base::ids::ChangeNumber;
use crate::base::ids::Guid;
use crate::base::ids::Handle;
use crate::base::ids::RowId;
use crate::base::time::AppleTime;
use crate::deliver::endpoint::media::MediaIds;
use crate::deliver::endpoint::names::Called;
use crate::deliver::endpoint::names::NOW;
use crate::deliver::endpoint::names::Names;
use crate::deliver::endpoint::rooms::Announcements;
use crate::deliver::endpoint::rooms::Room;
use crate::deliver::endpoint::token::Between;
use crate::matrix::content::Context;
use crate::matrix::content::Held;
use crate::matrix::content::Made;
use crate::matrix::content::Mark;
use crate::matrix::content::Media;
use crate::matrix::content::Row;
use crate::matrix::content::events_of;
use crate::matrix::event::Content;
use crate::matrix::event::Event;
use crate::matrix::event_id::EventKey;
use crate::matrix::event_id::EventKind;
use crate::matrix::event_id::Incarnation;
use crate::matrix::ids::Account;
use crate::matrix::ids::RoomId;
use crate::matrix::ids::UserId;
use crate::matrix::state::MEMBER;
use crate::matrix::state::Member;
use crate::matrix::state::NAME;
use crate::matrix::state::RoomFacts;
use crate::matrix::state::renamed;
use crate::model::attachment::Attachment;
use crate::model::attachment::AttachmentState;
use crate::model::message::Author;
use crate::model::message::Kind;
use crate::model::people::People;
use crate::store::Direction;
use crate::store::Entry;
use crate::store::Place;
use crate::store::Places;
use crate::store::Snapshot;
use crate::store::StoreError;
use crate::store::value::ChangeEntry;
use crate::store::value::Head;
use crate::store::value::MarkKind;
use crate::store::value::StoredMessage;

/// The place of a room's first state, before everything that has a time.
const BEGINNING: Place = Place {
    time: AppleTime::from_nanos(i64::MIN),
    row: RowId(0),
    n: 0,
};

/// A room, as of a snapshot.
pub(super) struct View<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) places: &'a Places,
    pub(super) account: &'a Account,
    pub(super) people: &'a People,
    pub(super) names: &'a Names,
    pub(super) announcements: &'a Announcements,
    pub(super) media: &'a MediaIds,
    pub(super) room: &'a Room,
    /// Of each conversation shown, in the order of [`Room::shown`].
    pub(super) heads: Vec<Head>,
}

/// Whose name a piece of state bears.
enum Subject {
    Group,
    Owner,
    Other(Handle),
}

/// An event and where it stands.
pub(super) struct Placed {
    /// The place just before it.
    pub(super) at: Between,
    /// When it became visible; 0 for the first state.
    pub(super) since: ChangeNumber,
    pub(super) event: Event,
    /// Its newest later text, for its bundle.
    pub(super) edit: Option<Event>,
    /// Of the owner's messages: when the other side read it.
    pub(super) read: Option<AppleTime>,
}

impl Placed {
    /// State of the room's beginning.
    fn in_beginning(piece: u16, event: Event) -> Self {
        Self {
            at: Between {
                place: BEGINNING,
                piece,
            },
            since: ChangeNumber::default(),
            event,
            edit: None,
            read: None,
        }
    }

    /// The place just behind it.
    pub(super) fn behind(&self) -> Between {
        Between {
            piece: self.at.piece.saturating_add(1),
            ..self.at
        }
    }
}

impl View<'_> {
    /// The totals of the conversation that the room is.
    pub(super) fn head(&self) -> Head {
        self.heads.first().copied().unwrap_or_default()
    }

    /// Who was called how at a time.
    fn called(&self, as_of: ChangeNumber) -> Called<'_> {
        Called {
            people: self.people,
            names: self.names,
            as_of,
        }
    }

    /// What the room's state is made of, with the names of a time.
    pub(super) fn facts(&self, as_of: ChangeNumber) -> RoomFacts {
        self.room
            .facts(self.account, self.called(as_of), &self.head())
    }

    /// When clients saw the room first.
    fn published(&self) -> ChangeNumber {
        let published = self.heads.iter().filter_map(|head| head.published);
        published.min().unwrap_or(NOW)
    }

    /// The state that the room begins with, with the names of the time when it was published.
    pub(super) fn first_state(&self) -> Vec<Event> {
        self.facts(self.published()).first_state()
    }

    /// The events of one entry; none for an entry that is not shown.
    pub(super) fn events_at(&self, entry: Entry) -> Result<Vec<Placed>, StoreError> {
        let stored = self.snapshot.whole_message(entry.place.row)?;
        let since = self.since(entry.conversation, stored.change_of(entry.place.n));
        Ok(since.map_or(Vec::new(), |since| self.placed(&stored, entry.place, since)))
    }

    /// The events of an entry that is visible.
    fn placed(&self, stored: &StoredMessage, place: Place, since: ChangeNumber) -> Vec<Placed> {
        let events = self.events_of(stored, place.n);
        let is_own = stored.message.author == Author::Owner && place.n == 0;
        let read = stored.message.times.read.filter(|_| is_own);
        let placed = (0..).zip(events).map(|(piece, event)| Placed {
            at: Between { place, piece },
            since,
            edit: self.last_edit(stored, &event),
            read,
            event,
        });
        placed.collect()
    }

    /// The events of a message that became visible after a change, row by row.
    pub(super) fn news_of(
        &self,
        row: RowId,
        after: ChangeNumber,
    ) -> Result<Vec<Placed>, StoreError> {
        let stored = self.snapshot.whole_message(row)?;
        let Some(conversation) = stored.conversation else {
            return Ok(Vec::new());
        };
        let marks = u16::try_from(stored.marks.len()).unwrap_or(u16::MAX);
        let mut news = Vec::new();
        for n in 0..=marks {
            if let Some(since) = self.since(conversation, stored.change_of(n))
                && since > after
            {
                news.extend(self.placed(&stored, place_of(&stored, row, n), since));
            }
        }
        Ok(news)
    }

    /// When what a change brought to a conversation became visible; `None` while it is not.
    pub(super) fn since(&self, conversation: RowId, change: ChangeNumber) -> Option<ChangeNumber> {
        let at = self
            .room
            .shown
            .iter()
            .position(|row| *row == conversation)?;
        self.places.place_in(self.heads.get(at)?, change)
    }

    /// The events of row n of a message.
    pub(super) fn events_of(&self, stored: &StoredMessage, n: u16) -> Vec<Event> {
        if stored.is_hidden() {
            return Vec::new();
        }
        let mark = match n.checked_sub(1) {
            None => Mark::Message,
            Some(at) => match stored.marks.get(usize::from(at)).map(|mark| mark.kind) {
                Some(MarkKind::Edit { part, version }) => Mark::Edit {
                    part,
                    version: version.into(),
                },
                Some(MarkKind::Unsend { part }) => Mark::Unsend { part },
                Some(MarkKind::Deletion) => Mark::Deletion,
                Some(MarkKind::Restoration | MarkKind::Move) | None => return Vec::new(),
            },
        };
        let row = Row {
            message: &stored.message,
            time: stored.time,
            incarnation: incarnation(stored),
            duplicate_of: stored.duplicate_of.as_ref(),
            mark,
        };
        let scene = Scene {
            has_past: true,
            ..self.scene(stored)
        };
        events_of(&row, &scene).unwrap_or_default()
    }

    /// The redactions of a message that clients had here and that is in another room since (D19), by the entry of the
    /// change log that says so.
    pub(super) fn redactions_of(
        &self,
        (number, entry): (ChangeNumber, ChangeEntry),
    ) -> Result<Vec<Placed>, StoreError> {
        let stored = self.snapshot.whole_message(entry.row)?;
        let then = stored.incarnation_at(number);
        let is_same = self.is_here(&stored) && then == stored.incarnation();
        if is_same || stored.is_hidden() {
            return Ok(Vec::new());
        }
        let row = Row {
            message: &stored.message,
            time: entry.at,
            incarnation: numbered(then),
            duplicate_of: stored.duplicate_of.as_ref(),
            mark: Mark::Departure,
        };
        let events = events_of(&row, &self.scene(&stored)).unwrap_or_default();
        let place = Place {
            time: entry.at,
            row: entry.row,
            n: 0,
        };
        let placed = (0..).zip(events).map(|(piece, event)| Placed {
            at: Between { place, piece },
            since: number,
            event,
            edit: None,
            read: None,
        });
        Ok(placed.collect())
    }

    /// Events from a place on, the nearest first; `None` for from: from the end that lies behind.
    pub(super) fn walk(
        &self,
        from: Option<Between>,
        direction: Direction,
    ) -> Result<Walk<'_>, StoreError> {
        let bound = match from {
            None => Bound::Unbounded,
            // The entry itself may have events on either side of the place.
            Some(from) => Bound::Included(from.place),
        };
        let entries = self
            .snapshot
            .room_timeline(&self.room.shown, bound, direction)?;
        let mut walk = Walk {
            view: self,
            entries: Box::new(entries),
            waiting: Vec::new(),
            from,
            direction,
            beginning: true,
        };
        if direction == Direction::Forward {
            walk.begin();
        }
        Ok(walk)
    }

    /// The event with a key, and where it stands.
    pub(super) fn find(&self, key: EventKey) -> Result<Option<Placed>, StoreError> {
        if key.kind == EventKind::State {
            let mut state = self.beginning().into_iter();
            if let Some(placed) = state.find(|placed| placed.event.key == key) {
                return Ok(Some(placed));
            }
            let state = self.state()?;
            let is_it = |event: &Event| event.key == key;
            let known = state.iter().find(|event| is_it(event)).cloned();
            let event = known.or_else(|| {
                state
                    .iter()
                    .flat_map(|event| self.versions(event))
                    .find(is_it)
            });
            return Ok(event.map(|event| Placed::in_beginning(0, event)));
        }
        for row in self.snapshot.messages_with_key(key.guid)? {
            let mut news = self.news_of(row, ChangeNumber::default())?.into_iter();
            if let Some(placed) = news.find(|placed| placed.event.key == key) {
                return Ok(Some(placed));
            }
        }
        Ok(None)
    }

    /// The first state in its place.
    fn beginning(&self) -> Vec<Placed> {
        let events = (0..).zip(self.first_state());
        events
            .map(|(piece, event)| Placed::in_beginning(piece, event))
            .collect()
    }

    /// Edits and reactions of an event, in the order of the timeline.
    pub(super) fn children(&self, parent: &Event) -> Result<Vec<Placed>, StoreError> {
        let mut children = Vec::new();
        for row in self.snapshot.messages_with_key(parent.key.guid)? {
            children.append(&mut self.news_of(row, ChangeNumber::default())?);
            let guid = self.snapshot.message(row)?.message.guid;
            for related in self.snapshot.relations(&guid)? {
                children.append(&mut self.news_of(related, ChangeNumber::default())?);
            }
        }
        children.retain(|placed| {
            let relation = placed.event.relation;
            relation.is_some_and(|relation| relation.parent == parent.key)
                && !placed.event.is_redacted()
        });
        children.sort_by_key(|placed| placed.at);
        children.dedup_by_key(|placed| placed.at);
        Ok(children)
    }

    /// The room's present state: the first one, what announcements made of it, and the present names (D22).
    pub(super) fn state(&self) -> Result<Vec<Event>, StoreError> {
        let published = self.published();
        let first = self.first_state().into_iter();
        let mut state: Vec<(ChangeNumber, Event)> = first.map(|event| (published, event)).collect();
        for row in self
            .room
            .shown
            .iter()
            .flat_map(|row| self.announcements.rows(*row))
        {
            for placed in self.news_of(row, ChangeNumber::default())? {
                if placed.event.state_key.is_some() {
                    put_state(&mut state, placed.since, placed.event);
                }
            }
        }
        let renamed = |(since, event)| self.renamed(since, &event).unwrap_or(event);
        Ok(state.into_iter().map(renamed).collect())
    }

    /// A piece of state under the present name, if that is newer than the event.
    fn renamed(&self, since: ChangeNumber, event: &Event) -> Option<Event> {
        let subject = self.subject(event)?;
        if self.name_of(&subject, since).0 == self.name_of(&subject, NOW).0 {
            return None;
        }
        self.named(event, &subject, NOW)
    }

    /// A piece of state under every name that its subject ever had.
    fn versions(&self, event: &Event) -> Vec<Event> {
        let Some(subject) = self.subject(event) else {
            return Vec::new();
        };
        let times: Vec<ChangeNumber> = match &subject {
            Subject::Group => self.room.name_times().collect(),
            Subject::Owner => {
                let own = self.people.own().iter();
                own.flat_map(|handle| self.names.times(handle)).collect()
            }
            Subject::Other(handle) => self.names.times(handle).collect(),
        };
        let named = times
            .into_iter()
            .filter_map(|as_of| self.named(event, &subject, as_of));
        named.collect()
    }

    /// Whose name a piece of state bears; `None` for one without a name, and while everybody is called as ever.
    fn subject(&self, event: &Event) -> Option<Subject> {
        match (event.event_type, event.state_key.as_deref()?) {
            (NAME, _) => Some(Subject::Group),
            (MEMBER, _) if self.names.is_empty() => None,
            (MEMBER, user) if user == self.account.user().as_str() => Some(Subject::Owner),
            (MEMBER, user) => self.account.handle_of(user).map(Subject::Other),
            _ => None,
        }
    }

    /// The version of a name at a time, and the name.
    fn name_of<'n>(&'n self, subject: &'n Subject, as_of: ChangeNumber) -> (u32, Option<&'n str>) {
        let called = self.called(as_of);
        let some = |(version, name)| (version, Some(name));
        match subject {
            Subject::Group => self.room.name(as_of),
            Subject::Owner => some(called.owner(self.account)),
            Subject::Other(handle) => some(called.shown(handle)),
        }
    }

    /// A piece of state under the name of a time.
    fn named(&self, event: &Event, subject: &Subject, as_of: ChangeNumber) -> Option<Event> {
        let (version, name) = self.name_of(subject, as_of);
        renamed(event, self.account.user(), version, name)
    }

    /// The member event of a user. Who wrote something and is in no list of members was one once.
    pub(super) fn member(&self, state: &[Event], user: &UserId) -> Event {
        let known = state.iter().find(|event| {
            event.event_type == MEMBER && event.state_key.as_deref() == Some(user.as_str())
        });
        known.cloned().unwrap_or_else(|| {
            let handle = self.account.handle_of(user.as_str());
            let called = handle.as_ref().map(|handle| self.called(NOW).shown(handle));
            self.facts(NOW).present_member(&Member {
                user: user.clone(),
                name: called.map(|(_, name)| name.to_owned()),
                avatar: None,
                version: called.map_or(0, |(version, _)| version),
                is_in: false,
            })
        })
    }

    fn last_edit(&self, stored: &StoredMessage, event: &Event) -> Option<Event> {
        if stored.message.edits.is_empty()
            || event.key.kind != EventKind::Part
            || event.is_redacted()
        {
            return None;
        }
        let marks = u16::try_from(stored.marks.len()).unwrap_or(u16::MAX);
        let replaces = |edit: &Event| {
            edit.key.kind == EventKind::Edit
                && edit
                    .relation
                    .is_some_and(|relation| relation.parent == event.key)
                && !edit.is_redacted()
        };
        let events = (0..=marks).rev().flat_map(|n| {
            let mut events = self.events_of(stored, n);
            events.reverse();
            events
        });
        events.into_iter().find(replaces)
    }
}

/// The place before everything at a time.
pub(super) const fn first_place_at(time: AppleTime) -> Between {
    Between::before(Place {
        time,
        row: RowId(0),
        n: 0,
    })
}

/// Puts a piece of state in the place of the one it follows.
fn put_state(state: &mut Vec<(ChangeNumber, Event)>, since: ChangeNumber, event: Event) {
    let held = state
        .iter_mut()
        .find(|(_, held)| held.event_type == event.event_type && held.state_key == event.state_key);
    match held {
        Some(held) => *held = (since, event),
        None => state.push((since, event)),
    }
}

/// Which events a message became.
fn incarnation(stored: &StoredMessage) -> Incarnation {
    numbered(stored.incarnation())
}

fn numbered(incarnation: usize) -> Incarnation {
    Incarnation::new(u8::try_from(incarnation).unwrap_or(u8::MAX))
}

/// Where row n of a message stands.
pub(super) fn place_of(stored: &StoredMessage, row: RowId, n: u16) -> Place {
    let mark = n
        .checked_sub(1)
        .and_then(|n| stored.marks.get(usize::from(n)));
    Place {
        time: mark.map_or(stored.time, |mark| mark.at),
        row,
        n,
    }
}

/// A walk over a room's events.
pub(super) struct Walk<'a> {
    view: &'a View<'a>,
    entries: Box<dyn Iterator<Item = Result<Entry, StoreError>>>,
    /// Events of the entry that is being passed, the next one last.
    waiting: Vec<Placed>,
    from: Option<Between>,
    direction: Direction,
    /// Whether the first state is still to come.
    beginning: bool,
}

impl Walk<'_> {
    fn begin(&mut self) {
        self.beginning = false;
        self.take(self.view.beginning());
    }

    /// Takes up the events of an entry, as far as they lie in the direction of the walk.
    fn take(&mut self, mut placed: Vec<Placed>) {
        match (self.from, self.direction) {
            (None, _) => {}
            (Some(from), Direction::Forward) => placed.retain(|placed| placed.at >= from),
            (Some(from), Direction::Backward) => placed.retain(|placed| placed.at < from),
        }
        self.waiting = placed;
        if self.direction == Direction::Forward {
            self.waiting.reverse();
        }
    }
}

impl Iterator for Walk<'_> {
    type Item = Result<Placed, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(placed) = self.waiting.pop() {
                return Some(Ok(placed));
            }
            match self.entries.next() {
                Some(Ok(entry)) => match self.view.events_at(entry) {
                    Ok(placed) => self.take(placed),
                    Err(error) => return Some(Err(error)),
                },
                Some(Err(error)) => return Some(Err(error)),
                None if self.beginning && self.direction == Direction::Backward => self.begin(),
                None => return None,
            }
        }
    }
}

/// A room at the time when a row of it became visible: what the row's events are made of.
struct Scene<'a> {
    view: &'a View<'a>,
    /// When that was: people are called as they were then.
    as_of: ChangeNumber,
    /// Whether `prev_content` is needed. It is not for that itself: else each announcement would ask for the one before
    /// it, to the first.
    has_past: bool,
}

impl View<'_> {
    /// Of a message, without the past.
    fn scene(&self, stored: &StoredMessage) -> Scene<'_> {
        let since = stored
            .conversation
            .and_then(|conversation| self.since(conversation, stored.came()));
        Scene {
            view: self,
            as_of: since.unwrap_or(NOW),
            has_past: false,
        }
    }

    /// Whether a message can be among this room's events: one that was deleted before anybody saw it cannot.
    fn is_here(&self, stored: &StoredMessage) -> bool {
        let home = stored.conversation;
        !stored.is_hidden() && home.is_some_and(|home| self.room.shown.contains(&home))
    }

    fn events_without_past(&self, stored: &StoredMessage) -> Vec<Event> {
        let row = Row {
            message: &stored.message,
            time: stored.time,
            incarnation: incarnation(stored),
            duplicate_of: stored.duplicate_of.as_ref(),
            mark: Mark::Message,
        };
        events_of(&row, &self.scene(stored)).unwrap_or_default()
    }
}

impl Context for Scene<'_> {
    fn account(&self) -> &Account {
        self.view.account
    }

    fn room(&self) -> &RoomId {
        &self.view.room.id
    }

    fn user(&self, handle: &Handle) -> UserId {
        let View {
            room,
            account,
            people,
            ..
        } = self.view;
        room.user(handle, account, people)
    }

    fn name(&self, handle: &Handle) -> String {
        let (_, name) = self.view.called(self.as_of).shown(handle);
        name.to_owned()
    }

    fn held(&self, guid: &Guid) -> Option<Held> {
        let view = self.view;
        let rows = view.snapshot.messages_with(guid).ok()?;
        rows.into_iter().find_map(|row| {
            let stored = view.snapshot.whole_message(row).ok()?;
            view.is_here(&stored).then(|| Held {
                incarnation: incarnation(&stored),
                message: stored.message,
            })
        })
    }

    fn tapbacks(&self, target: &Guid) -> Vec<Made> {
        let view = self.view;
        let rows = view.snapshot.relations(target).unwrap_or_default();
        let mut made: Vec<(AppleTime, RowId, Made)> = Vec::new();
        for row in rows {
            let Ok(stored) = view.snapshot.message(row) else {
                continue;
            };
            let is_here = view.is_here(&stored);
            let incarnation = incarnation(&stored);
            if let (Kind::Tapback(tapback), true) = (stored.message.kind, is_here) {
                let one = Made {
                    guid: stored.message.guid,
                    incarnation,
                    time: stored.time,
                    author: stored.message.author,
                    tapback,
                };
                made.push((stored.time, row, one));
            }
        }
        made.sort_by_key(|(time, row, _)| (*time, *row));
        made.into_iter().map(|(_, _, made)| made).collect()
    }

    fn media(&self, attachment: &Attachment) -> Option<Media> {
        let View { media, account, .. } = self.view;
        // One that CloudKit has is fetched when a client asks for it.
        let is_here = match attachment.state {
            AttachmentState::Held { .. } => true,
            AttachmentState::Wanted | AttachmentState::Failed { .. } => {
                let snapshot = self.view.snapshot;
                let row = snapshot.attachment_with(&attachment.guid).ok().flatten();
                row.is_some_and(|row| matches!(snapshot.file_record(row), Ok(Some(_))))
            }
            AttachmentState::Missing(_) | AttachmentState::Abandoned { .. } => false,
        };
        is_here.then(|| Media {
            url: media.url(account.server(), &attachment.guid),
            ..Media::default()
        })
    }

    fn state_before(&self, row: &Row<'_>, event_type: &str, state_key: &str) -> Option<Content> {
        if !self.has_past {
            return None;
        }
        let view = self.view;
        let rows = view.snapshot.messages_with(&row.message.guid).ok()?;
        let (row, stored) = rows.into_iter().find_map(|row| {
            let stored = view.snapshot.message(row).ok()?;
            let is_here = view.room.shown.contains(&stored.conversation?);
            is_here.then_some((row, stored))
        })?;
        let before = view
            .announcements
            .before(stored.conversation?, stored.time, row);
        for earlier in before {
            let Ok(earlier) = view.snapshot.message(earlier) else {
                continue;
            };
            let events = view.events_without_past(&earlier);
            let is_it = |event: &Event| {
                event.event_type == event_type && event.state_key.as_deref() == Some(state_key)
            };
            if let Some(event) = events.into_iter().find(is_it) {
                return Some(event.content);
            }
        }
        let is_it = |event: &Event| {
            event.event_type == event_type && event.state_key.as_deref() == Some(state_key)
        };
        let first = view.first_state().into_iter().find(is_it);
        first.map(|event| event.content)
    }
}
