//! What a client asks for: the body of a sliding sync.
//!
//! Every request carries all of it: nothing of an earlier one goes on. ruma's type for it knows fewer filters and refuses
//! what it does not know, so these are our own; fields that are not known are passed over.
//!
//! Source: facts of the endpoint, 7, left column.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde::Deserialize;

use crate::base::limits::SYNC_EVENTS;
use crate::matrix::event::Event;
use crate::matrix::ids::UserId;

/// The body.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Request {
    /// Which of the device's connections it is.
    pub(super) conn_id: Option<String>,
    /// Comes back in the answer.
    pub(super) txn_id: Option<String>,
    pub(super) lists: BTreeMap<String, List>,
    /// By room id.
    pub(super) room_subscriptions: BTreeMap<String, Details>,
    pub(super) extensions: Extensions,
}

/// A list of rooms, of which the client looks at some.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct List {
    /// First and last place of each window.
    pub(super) ranges: Vec<(usize, usize)>,
    pub(super) filters: Option<Filters>,
    #[serde(flatten)]
    pub(super) details: Details,
}

/// What is wanted of each room.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Details {
    /// Type and state key; see [`RequiredState`].
    pub(super) required_state: BTreeSet<(String, String)>,
    timeline_limit: u64,
}

impl Details {
    /// Newest events that are wanted, as far as they are granted.
    pub(super) fn timeline_limit(&self) -> usize {
        usize::try_from(self.timeline_limit).map_or(SYNC_EVENTS, |limit| limit.min(SYNC_EVENTS))
    }
}

/// Which rooms a list has. What is not said admits all.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Filters {
    pub(super) is_dm: Option<bool>,
    pub(super) is_encrypted: Option<bool>,
    pub(super) is_invite: Option<bool>,
    /// Empty admits all, as clients mean it. `null` is a room without a type: all of ours.
    pub(super) room_types: Vec<Option<String>>,
    pub(super) not_room_types: Vec<Option<String>>,
    pub(super) room_name_like: Option<String>,
    pub(super) tags: Vec<String>,
    pub(super) not_tags: Vec<String>,
    /// Only rooms of these spaces; there are none.
    pub(super) spaces: Vec<String>,
}

/// What else is wanted.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Extensions {
    pub(super) account_data: OfRooms,
    pub(super) receipts: OfRooms,
    pub(super) typing: OfRooms,
    pub(super) e2ee: Enabled,
    pub(super) to_device: Queue,
}

/// An extension that is on or off.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Enabled {
    enabled: Option<bool>,
}

impl Enabled {
    pub(super) fn is_on(&self) -> bool {
        self.enabled == Some(true)
    }
}

/// An extension that says something of rooms: of those of some lists, and of some that are subscribed to.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct OfRooms {
    enabled: Option<bool>,
    lists: Option<Vec<String>>,
    rooms: Option<Vec<String>>,
}

impl OfRooms {
    pub(super) fn is_on(&self) -> bool {
        self.enabled == Some(true)
    }

    /// Whether it is wanted of a room that is in lists, and subscribed to or not. `*` stands for all of a kind, as does
    /// saying nothing.
    pub(super) fn takes<'l>(
        &self,
        room: &str,
        mut lists: impl Iterator<Item = &'l str>,
        is_subscribed: bool,
    ) -> bool {
        let names = |names: &Option<Vec<String>>, name: &str| {
            names
                .as_ref()
                .is_none_or(|names| names.iter().any(|known| known == "*" || known == name))
        };
        self.is_on()
            && (is_subscribed && names(&self.rooms, room)
                || lists.any(|list| names(&self.lists, list)))
    }
}

/// The messages that wait for the device.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Queue {
    enabled: Option<bool>,
    pub(super) limit: Option<u64>,
    /// Everything up to here was received.
    pub(super) since: Option<String>,
}

impl Queue {
    pub(super) fn is_on(&self) -> bool {
        self.enabled == Some(true)
    }
}

/// Which state of a room is wanted: pairs of type and state key. `*` stands for any, `$ME` for the own user id, `$LAZY`
/// for the users that the timeline needs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct RequiredState(BTreeSet<(String, String)>);

impl RequiredState {
    /// Of the pairs of a request.
    pub(super) const fn new(pairs: BTreeSet<(String, String)>) -> Self {
        Self(pairs)
    }

    /// What one or the other wants.
    pub(super) fn union(&self, other: &Self) -> Self {
        Self(self.0.union(&other.0).cloned().collect())
    }

    /// Whether who got this has everything that the other wants.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let has = |kind: &str, key: &str| self.0.contains(&(kind.to_owned(), key.to_owned()));
        other.0.iter().all(|pair| {
            let (kind, key) = pair;
            self.0.contains(pair) || has("*", "*") || has(kind, "*") || has("*", key)
        })
    }

    /// Whether an event is wanted whatever the timeline has.
    pub(super) fn wants(&self, event: &Event, me: &UserId) -> bool {
        let key = event.state_key.as_deref();
        key.is_some_and(|key| self.names(event.event_type, key, me.as_str()))
    }

    /// The same of state with a type and a key.
    pub(super) fn names(&self, event_type: &str, state_key: &str, me: &str) -> bool {
        self.0.iter().any(|(kind, key)| {
            (kind == "*" || kind == event_type)
                && (key == "*" || key == state_key || key == "$ME" && state_key == me)
        })
    }

    /// Whether the members that the timeline needs are wanted.
    pub(super) fn wants_lazy_members(&self) -> bool {
        self.0
            .iter()
            .any(|(kind, key)| (kind == "*" || kind == "m.room.member") && key == "$LAZY")
    }
}

#[cfg(test)]
mod tests {
    use super::RequiredState;

    fn state(pairs: &[(&str, &str)]) -> RequiredState {
        let pairs = pairs.iter();
        RequiredState::new(
            pairs
                .map(|(kind, key)| ((*kind).to_owned(), (*key).to_owned()))
                .collect(),
        )
    }

    #[test]
    fn a_wildcard_covers_what_it_stands_for() {
        let name = state(&[("m.room.name", "")]);
        let members = state(&[("m.room.member", "$LAZY"), ("m.room.member", "$ME")]);

        assert!(state(&[("*", "*")]).covers(&name));
        assert!(state(&[("*", "")]).covers(&name));
        assert!(state(&[("m.room.member", "*")]).covers(&members));
        assert!(!members.covers(&state(&[("m.room.member", "*")])));
        assert!(!name.covers(&members));
        assert!(name.union(&members).covers(&members));
    }
}
