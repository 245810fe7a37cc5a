//! Which rooms are in sight of a request, in how much detail, and how far a client is behind in each.

use std::collections::HashMap;
use std::sync::Arc;

use crate::base::ids::RowId;
use crate::deliver::endpoint::push_rules::Rules;
use crate::deliver::endpoint::rooms::Rooms;
use crate::deliver::endpoint::sliding::connection::Generation;
use crate::deliver::endpoint::sliding::connection::Sent;
use crate::deliver::endpoint::sliding::list::Ranked;
use crate::deliver::endpoint::sliding::request::Details;
use crate::deliver::endpoint::sliding::request::RequiredState;

/// What is wanted of a room.
pub(super) struct Wanted<'a> {
    pub(super) ranked: &'a Ranked<'a>,
    /// Numbers of the lists that show it.
    pub(super) lists: Vec<usize>,
    pub(super) is_subscribed: bool,
    /// Whether its messages are not to be counted.
    pub(super) is_muted: bool,
    pub(super) limit: usize,
    pub(super) state: Arc<RequiredState>,
}

/// What a client has of a room, compared with what there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Everything.
    Current,
    /// Nothing.
    Unsent,
    /// Less than it wants now.
    Wider,
    /// Something happened since.
    Changed,
}

impl Wanted<'_> {
    /// How a client stands that was sent this of the room.
    pub(super) fn standing(&self, sent: Option<&Sent>, rooms: &Arc<Rooms>) -> Standing {
        let Some(sent) = sent else {
            return Standing::Unsent;
        };
        let is_covered = Arc::ptr_eq(&sent.state, &self.state) || sent.state.covers(&self.state);
        let is_same = std::ptr::eq(sent.rooms.as_ptr(), Arc::as_ptr(rooms));
        if self.limit > sent.limit || !is_covered {
            Standing::Wider
        } else if self.ranked.changed > sent.until || !is_same || self.is_muted != sent.is_muted {
            Standing::Changed
        } else {
            Standing::Current
        }
    }
}

/// Gathers the rooms that windows and subscriptions name. A room in several gets the most that one of them wants.
pub(super) struct Wishes<'a, 'r> {
    /// By conversation.
    pub(super) rooms: HashMap<RowId, Wanted<'a>>,
    rules: &'r Rules,
    /// Equal ones are kept once, so that comparing them for each room costs nothing.
    states: Vec<Arc<RequiredState>>,
}

impl<'a, 'r> Wishes<'a, 'r> {
    /// None yet, for a client that has something.
    pub(super) fn new(base: &Generation, rules: &'r Rules) -> Self {
        let mut states: Vec<Arc<RequiredState>> = Vec::new();
        for sent in base.sent.values() {
            if !states.iter().any(|known| Arc::ptr_eq(known, &sent.state)) {
                states.push(Arc::clone(&sent.state));
            }
        }
        Self {
            rooms: HashMap::new(),
            rules,
            states,
        }
    }

    /// The state that a list or a subscription wants.
    pub(super) fn state_of(&mut self, details: &Details) -> Arc<RequiredState> {
        kept(
            &mut self.states,
            RequiredState::new(details.required_state.clone()),
        )
    }

    /// Adds a room in some detail, or widens what is wanted of it.
    pub(super) fn add(
        &mut self,
        ranked: &'a Ranked<'a>,
        limit: usize,
        state: &Arc<RequiredState>,
    ) -> &mut Wanted<'a> {
        let room = ranked.room;
        let wanted = self
            .rooms
            .entry(room.conversation)
            .or_insert_with(|| Wanted {
                ranked,
                lists: Vec::new(),
                is_subscribed: false,
                is_muted: self.rules.is_muted(room.id.as_str()),
                limit,
                state: Arc::clone(state),
            });
        wanted.limit = wanted.limit.max(limit);
        if !Arc::ptr_eq(&wanted.state, state) {
            wanted.state = kept(&mut self.states, wanted.state.union(state));
        }
        wanted
    }
}

/// The one of equal states that is kept.
fn kept(states: &mut Vec<Arc<RequiredState>>, state: RequiredState) -> Arc<RequiredState> {
    if let Some(known) = states.iter().find(|known| ***known == state) {
        return Arc::clone(known);
    }
    let state = Arc::new(state);
    states.push(Arc::clone(&state));
    state
}
