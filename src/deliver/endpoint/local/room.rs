//! A local room as of a snapshot: its events in the order in which they came, its state at any of them, and what one user
//! sees of it.

use std::collections::BTreeSet;
use std::ops::Bound;

use crate::base::ids::ChangeNumber;
use crate::base::ids::RowId;
use crate::deliver::endpoint::local::event::Event;
use crate::deliver::endpoint::local::event::HISTORY_VISIBILITY;
use crate::deliver::endpoint::local::event::MEMBER;
use crate::deliver::endpoint::local::eyes::Eyes;
use crate::deliver::endpoint::local::eyes::Visibility;
use crate::deliver::endpoint::local::state::Membership;
use crate::deliver::endpoint::local::state::State;
use crate::store::Direction;
use crate::store::Snapshot;
use crate::store::StoreError;
use crate::store::account::Account;
use crate::store::account::StateKey;
use crate::store::value::RoomOrigin;
use crate::store::value::RoomState;

/// Account data of a room that says when an account forgot it; no client sees it.
pub(super) const FORGOTTEN: &str = "org.footbridge.forgotten";

/// How many events are read from the store at a time.
const READ_AT_ONCE: usize = 256;

/// The end of every room.
pub(super) const NOW: ChangeNumber = ChangeNumber(u64::MAX);

/// A local room.
pub(in crate::deliver::endpoint) struct LocalRoom<'s> {
    pub(super) snapshot: &'s Snapshot,
    pub(super) id: String,
    pub(super) row: RowId,
}

impl<'s> LocalRoom<'s> {
    /// The room with an id, if there is one.
    pub(super) fn open(snapshot: &'s Snapshot, id: &str) -> Result<Option<Self>, StoreError> {
        let room = snapshot.room(id)?;
        let room = room.filter(|room| room.origin == RoomOrigin::Local);
        Ok(room.map(|room| Self {
            snapshot,
            id: id.to_owned(),
            row: room.conversation,
        }))
    }

    /// Every local room, by id.
    pub(super) fn all(snapshot: &'s Snapshot) -> Result<Vec<Self>, StoreError> {
        let rooms = snapshot.rooms()?.into_iter();
        let local = rooms.filter(|(_, room)| room.origin == RoomOrigin::Local);
        Ok(local
            .map(|(id, room)| Self {
                snapshot,
                id,
                row: room.conversation,
            })
            .collect())
    }

    /// The event at a change.
    pub(super) fn at(&self, at: ChangeNumber) -> Result<Option<Event>, StoreError> {
        let held = self.snapshot.local_event_at(self.row, at)?;
        Ok(held.and_then(|held| Event::read(at, &held)))
    }

    /// The event with an id.
    pub(super) fn event(&self, id: &str) -> Result<Option<Event>, StoreError> {
        let held = self.snapshot.local_event(self.row, id)?;
        Ok(held.and_then(|(at, held)| Event::read(at, &held)))
    }

    /// The events from a change on, in a direction.
    pub(super) fn walk(
        &self,
        from: Bound<ChangeNumber>,
        direction: Direction,
    ) -> impl Iterator<Item = Result<Event, StoreError>> {
        Walk {
            room: self,
            from: Some(from),
            direction,
            waiting: Vec::new().into_iter(),
        }
    }

    /// A piece of state as of a change.
    pub(super) fn piece(
        &self,
        kind: &str,
        key: &str,
        as_of: ChangeNumber,
    ) -> Result<Option<Event>, StoreError> {
        let version = self.snapshot.room_state(self.row, kind, key, as_of)?;
        match version {
            Some((_, version)) => self.at(version.change),
            None => Ok(None),
        }
    }

    /// Whether an event is a piece of state as of a change.
    pub(super) fn holds(&self, event: &Event, as_of: ChangeNumber) -> Result<bool, StoreError> {
        let Some(key) = &event.state_key else {
            return Ok(false);
        };
        let version = self
            .snapshot
            .room_state(self.row, &event.kind, key, as_of)?;
        Ok(version.is_some_and(|(_, version)| version.change == event.at))
    }

    /// All state as of a change.
    pub(super) fn state(&self, as_of: ChangeNumber) -> Result<State, StoreError> {
        let mut state = State::default();
        let mut newest: Option<(StateKey, RoomState)> = None;
        // Versions of one piece follow each other, the newest last.
        for (key, version) in self.snapshot.room_states(self.row)? {
            if version.change > as_of {
                continue;
            }
            if let Some((held, before)) = &newest
                && (&held.kind, &held.key) != (&key.kind, &key.key)
                && let Some(event) = self.at(before.change)?
            {
                state.put(event);
            }
            newest = Some((key, version));
        }
        if let Some((_, last)) = newest
            && let Some(event) = self.at(last.change)?
        {
            state.put(event);
        }
        Ok(state)
    }

    /// How a user belongs to the room now.
    pub(super) fn membership(&self, user: &str) -> Result<Option<Membership>, StoreError> {
        let event = self.piece(MEMBER, user, NOW)?;
        Ok(event.as_ref().and_then(Membership::of))
    }

    /// What a user sees who ignores nobody.
    pub(super) fn eyes(&self, user: &str) -> Result<Eyes, StoreError> {
        let mut eyes = Eyes {
            user: user.to_owned(),
            memberships: Vec::new(),
            visibilities: Vec::new(),
            ignored: BTreeSet::new(),
        };
        for version in self.snapshot.room_state_versions(self.row, MEMBER, user)? {
            let event = self.at(version.change)?;
            let membership = event.as_ref().and_then(Membership::of);
            eyes.memberships.push((version.change, membership));
        }
        let said = self
            .snapshot
            .room_state_versions(self.row, HISTORY_VISIBILITY, "")?;
        for version in said {
            let event = self.at(version.change)?;
            let text = event
                .as_ref()
                .and_then(|event| event.text("history_visibility"));
            let visibility = Visibility::parse(text.unwrap_or_default());
            eyes.visibilities.push((version.change, visibility));
        }
        Ok(eyes)
    }

    /// Whether an account forgot the room after it left it.
    pub(super) fn is_forgotten(&self, account: Account, eyes: &Eyes) -> Result<bool, StoreError> {
        let said = self
            .snapshot
            .account_data(account, Some(self.row), FORGOTTEN)?;
        Ok(said.is_some_and(|said| said.change > eyes.since()))
    }
}

/// A walk over a room's events.
struct Walk<'r, 's> {
    room: &'r LocalRoom<'s>,
    /// Where the next ones are read; `None` at the end.
    from: Option<Bound<ChangeNumber>>,
    direction: Direction,
    waiting: std::vec::IntoIter<Event>,
}

impl Iterator for Walk<'_, '_> {
    type Item = Result<Event, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(event) = self.waiting.next() {
                return Some(Ok(event));
            }
            let from = self.from.take()?;
            let (snapshot, row) = (self.room.snapshot, self.room.row);
            let read = match snapshot.local_events(row, from, self.direction, READ_AT_ONCE) {
                Ok(read) => read,
                Err(error) => return Some(Err(error)),
            };
            if read.len() == READ_AT_ONCE {
                self.from = read.last().map(|(at, _)| Bound::Excluded(*at));
            }
            let events = read.iter().filter_map(|(at, held)| Event::read(*at, held));
            self.waiting = events.collect::<Vec<_>>().into_iter();
        }
    }
}
