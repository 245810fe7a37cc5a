//! What of a room is new for a client: one block of its timeline (D20).
//!
//! Walking back from the newest event while events are new gives S, the end of the timeline. If new ones remain below S,
//! the block is S alone and `limited`: the client fetches the rest by paging. Else events that came late, into the middle,
//! are put before S, as long as they are few; many are announced by a `limited` block and paged as well.
//!
//! Edits, reactions and redactions are never late: they belong to what the client has. Redactions of what is in another
//! room now (D19) are in no timeline: they begin the block, limited or not.

use std::collections::BTreeSet;

use crate::base::ids::ChangeNumber;
use crate::base::ids::RowId;
use crate::base::limits::LATE_EVENTS;
use crate::deliver::endpoint::names::NOW;
use crate::deliver::endpoint::token::Between;
use crate::deliver::endpoint::view::Placed;
use crate::deliver::endpoint::view::View;
use crate::matrix::event::Event;
use crate::matrix::event_id::EventKind;
use crate::store::Direction;
use crate::store::StoreError;
use crate::store::value::ChangeEntry;
use crate::store::value::ChangeKind;
use crate::store::value::Head;

/// A block of a room's timeline.
pub(super) struct Delta {
    /// Oldest first, but for late events, which come before all others.
    pub(super) timeline: Vec<Placed>,
    /// Whether there is more between this block and what the client has.
    pub(super) limited: bool,
    /// Where paging back goes on; `None` at the beginning of the room.
    pub(super) prev_batch: Option<Between>,
    /// State that changed and is not in the block.
    pub(super) state: Vec<Event>,
    /// How many events at the beginning of the block came late.
    pub(super) late: usize,
}

impl View<'_> {
    /// The newest events, for a client that has nothing of the room.
    pub(super) fn newest(&self, limit: usize) -> Result<Delta, StoreError> {
        self.end(limit, ChangeNumber::default())
    }

    /// The end of the timeline as far as it is new: S.
    fn end(&self, limit: usize, since: ChangeNumber) -> Result<Delta, StoreError> {
        let mut timeline = Vec::new();
        let mut limited = false;
        let mut prev_batch = None;
        for placed in self.walk(None, Direction::Backward)? {
            let placed = placed?;
            let is_beginning = placed.event.key.kind == EventKind::State;
            if is_beginning || placed.since <= since || timeline.len() == limit {
                prev_batch = Some(placed.behind());
                let is_new = !is_beginning && placed.since > since;
                limited = is_new || since == ChangeNumber::default();
                break;
            }
            timeline.push(placed);
        }
        timeline.reverse();
        Ok(Delta {
            late: 0,
            timeline,
            limited,
            prev_batch,
            state: Vec::new(),
        })
    }

    /// What is new since a change, by the entries of the change log that are about this room.
    pub(super) fn news(
        &self,
        entries: &[(ChangeNumber, ChangeEntry)],
        since: ChangeNumber,
        limit: usize,
    ) -> Result<Delta, StoreError> {
        let mut delta = self.end(limit, since)?;
        let start = delta.timeline.first().map(|placed| placed.at);
        let mut late: Vec<Placed> = Vec::new();
        let rows: BTreeSet<RowId> = entries
            .iter()
            .filter(|(_, entry)| entry.kind == ChangeKind::Message)
            .map(|(_, entry)| entry.row)
            .collect();
        for row in rows {
            let mut news = self.news_of(row, since)?;
            news.retain(|placed| start.is_none_or(|start| placed.at < start));
            late.append(&mut news);
        }
        late.sort_by_key(|placed| placed.at);
        let counted = late.iter().filter(|placed| is_late(placed)).count();
        let fits = counted <= LATE_EVENTS && late.len() + delta.timeline.len() <= limit;
        let mut departed = self.departed(entries, since)?;
        if departed.len() > LATE_EVENTS {
            departed.clear();
            self.have_reread(&mut delta);
        } else if self.is_rewritten(since) || !(delta.limited || fits) {
            self.have_reread(&mut delta);
        }
        if delta.limited {
            delta.state.extend(changed_state(late));
        } else {
            delta.late = late.len();
            departed.append(&mut late);
        }
        departed.append(&mut delta.timeline);
        delta.timeline = departed;
        Ok(delta)
    }

    /// The redactions of what the client had and is in another room now (D19).
    fn departed(
        &self,
        entries: &[(ChangeNumber, ChangeEntry)],
        since: ChangeNumber,
    ) -> Result<Vec<Placed>, StoreError> {
        let mut departed = Vec::new();
        for (number, entry) in entries {
            if entry.kind == ChangeKind::Gone
                && self.snapshot.message(entry.row)?.first_change <= since
            {
                departed.append(&mut self.redactions_of((*number, *entry))?);
            }
        }
        Ok(departed)
    }

    /// The same where nobody knows any more what changed: the client reads the timeline again.
    pub(super) fn reread(&self, since: ChangeNumber, limit: usize) -> Result<Delta, StoreError> {
        let mut delta = self.end(limit, since)?;
        self.have_reread(&mut delta);
        Ok(delta)
    }

    /// Whether the timeline was declared to be another (D20).
    fn is_rewritten(&self, since: ChangeNumber) -> bool {
        let is_renewed = |head: &Head| head.history_change.is_some_and(|change| change > since);
        self.heads.iter().any(is_renewed)
    }

    /// Makes clients throw away what they have of the timeline. A block needs something new for that, or they keep it.
    fn have_reread(&self, delta: &mut Delta) {
        delta.limited = true;
        if delta.timeline.is_empty() {
            let last = self.heads.iter().map(|head| head.last_change.0).max();
            let epoch = u32::try_from(last.unwrap_or_default() & 0xffff_ffff).unwrap_or_default();
            let facts = self.facts(NOW);
            let newest = self.heads.iter().filter_map(|head| head.newest).max();
            delta
                .state
                .push(facts.history(epoch, newest.unwrap_or_default()));
        }
    }
}

/// Whether an event counts as late: it is one that a person reads.
fn is_late(placed: &Placed) -> bool {
    matches!(
        placed.event.key.kind,
        EventKind::Part | EventKind::Announcement | EventKind::Local | EventKind::Failure
    )
}

/// The state among events.
fn changed_state(events: Vec<Placed>) -> Vec<Event> {
    let events = events.into_iter().map(|placed| placed.event);
    events.filter(|event| event.state_key.is_some()).collect()
}
