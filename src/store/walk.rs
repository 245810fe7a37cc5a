//! Walking through the timelines of rooms: of one conversation, or of several that are shown as one.

use std::iter::Peekable;
use std::ops::Bound;

use crate::base::ids::RowId;
use crate::base::time::AppleTime;
use crate::model::message::Author;
use crate::model::message::Flag;
use crate::model::message::Kind;
use crate::store::error::StoreError;
use crate::store::publication::Places;
use crate::store::snapshot::Direction;
use crate::store::snapshot::Place;
use crate::store::snapshot::Snapshot;
use crate::store::value::Merge;

/// One entry of a room's timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The conversation that holds it.
    pub conversation: RowId,
    /// Its place there and in the room.
    pub place: Place,
}

type Timeline = Peekable<Box<dyn Iterator<Item = Result<Place, StoreError>>>>;

impl Snapshot {
    /// The conversations that are shown as one with this one: itself first, then those that are merged into it, by
    /// arrival.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn shown_as(&self, conversation: RowId) -> Result<Vec<RowId>, StoreError> {
        let mut rows = vec![conversation];
        for (row, merge) in self.merges()? {
            if merge == Merge::Into(conversation) {
                rows.push(row);
            }
        }
        Ok(rows)
    }

    /// The timelines of some conversations as one, in the order of (time, row, n), from a place on in one direction.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], at the first step or at any later one.
    pub fn room_timeline(
        &self,
        conversations: &[RowId],
        from: Bound<Place>,
        direction: Direction,
    ) -> Result<impl Iterator<Item = Result<Entry, StoreError>> + use<>, StoreError> {
        let mut timelines: Vec<(RowId, Timeline)> = Vec::with_capacity(conversations.len());
        for conversation in conversations {
            let timeline = self.timeline_from(*conversation, from, direction)?;
            let timeline: Box<dyn Iterator<Item = _>> = Box::new(timeline);
            timelines.push((*conversation, timeline.peekable()));
        }
        Ok(std::iter::from_fn(move || {
            next_of(&mut timelines, direction)
        }))
    }

    /// The message of a room that stands at a time, or the next one in a direction.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn message_at(
        &self,
        conversations: &[RowId],
        time: AppleTime,
        direction: Direction,
    ) -> Result<Option<Entry>, StoreError> {
        let (row, n) = match direction {
            Direction::Forward => (RowId(0), 0),
            Direction::Backward => (RowId(u64::MAX), u16::MAX),
        };
        let from = Bound::Included(Place { time, row, n });
        let mut entries = self.room_timeline(conversations, from, direction)?;
        entries
            .find(|entry| entry.as_ref().map_or(true, |entry| entry.place.n == 0))
            .transpose()
    }

    /// How many messages of a room the owner has not read, `limit` at most: visible messages of others behind a place;
    /// tapbacks, announcements, deleted and unsent ones do not count.
    ///
    /// Reads every message behind the place: without one, all of the room until the limit is reached.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn unread(
        &self,
        conversations: &[RowId],
        read: Option<(AppleTime, RowId)>,
        places: &Places,
        limit: u64,
    ) -> Result<u64, StoreError> {
        let mut unread = 0;
        for entry in self.room_timeline(conversations, Bound::Unbounded, Direction::Backward)? {
            let Entry { place, .. } = entry?;
            if unread == limit || read.is_some_and(|read| (place.time, place.row) <= read) {
                break;
            }
            if place.n > 0 {
                continue;
            }
            let stored = self.message(place.row)?;
            let message = &stored.message;
            let counts = matches!(message.kind, Kind::Message { .. })
                && message.author != Author::Owner
                && message.times.deleted.is_none()
                && stored.duplicate_of.is_none()
                && !message.flags.has(Flag::Unsent);
            unread += u64::from(counts && places.place(stored.came()).is_some());
        }
        Ok(unread)
    }
}

/// Takes the next entry in order off the timeline that has it.
fn next_of(
    timelines: &mut [(RowId, Timeline)],
    direction: Direction,
) -> Option<Result<Entry, StoreError>> {
    let mut best: Option<(usize, Option<Place>)> = None;
    for (number, (_, timeline)) in timelines.iter_mut().enumerate() {
        let Some(next) = timeline.peek() else {
            continue;
        };
        // An error comes before every place.
        let place = next.as_ref().ok().copied();
        let is_before = match (best, place) {
            (None, _) | (Some((_, Some(_))), None) => true,
            (Some((_, None)), _) => false,
            (Some((_, Some(best))), Some(place)) => match direction {
                Direction::Forward => place < best,
                Direction::Backward => place > best,
            },
        };
        if is_before {
            best = Some((number, place));
        }
    }
    let (conversation, timeline) = timelines.get_mut(best?.0)?;
    let conversation = *conversation;
    let next = timeline.next()?;
    Some(next.map(|place| Entry {
        conversation,
        place,
    }))
}
