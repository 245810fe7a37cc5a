//! Who may do what: `m.room.power_levels`, with what the specification says for what it leaves out.
//!
//! Source: `[mx v1.12] m.room.power_levels; room version 10`.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::deliver::endpoint::local::event::Event;
use crate::deliver::endpoint::local::event::POWER_LEVELS;
use crate::deliver::endpoint::local::state::State;
use crate::matrix::event::Content;

/// The level at which a room's creator starts.
pub(super) const MOST: i64 = 100;

/// Levels that are numbers of their own, with what they are when they are left out.
pub(super) const PLAIN: [(&str, i64); 7] = [
    ("users_default", 0),
    ("events_default", 0),
    ("state_default", 50),
    ("ban", 50),
    ("redact", 50),
    ("kick", 50),
    ("invite", 0),
];

/// The levels of a room.
pub(super) struct Power<'s> {
    content: Option<&'s Content>,
    creator: Option<&'s str>,
}

impl<'s> Power<'s> {
    /// As a state has them.
    pub(super) fn of(state: &'s State) -> Self {
        Self {
            content: state.get(POWER_LEVELS, "").map(|event| &event.content),
            creator: state.creator(),
        }
    }

    /// A level that is a number of its own.
    pub(super) fn plain(&self, name: &str) -> i64 {
        let usual = PLAIN.iter().find(|(plain, _)| *plain == name);
        let usual = usual.map_or(50, |(_, usual)| *usual);
        match self.content {
            Some(content) => number(content.get(name)).unwrap_or(usual),
            // Before there are levels, who is in the room may set up its state.
            None if name == "state_default" => 0,
            None => usual,
        }
    }

    /// The level of a user.
    pub(super) fn user(&self, user: &str) -> i64 {
        let Some(content) = self.content else {
            return if self.creator == Some(user) { MOST } else { 0 };
        };
        let own = content.get("users").and_then(|users| users.get(user));
        number(own).unwrap_or_else(|| self.plain("users_default"))
    }

    /// What it takes to send an event of a type.
    pub(super) fn needed(&self, kind: &str, is_state: bool) -> i64 {
        let events = self.content.and_then(|content| content.get("events"));
        let own = events.and_then(|events| events.get(kind));
        let usual = if is_state {
            "state_default"
        } else {
            "events_default"
        };
        number(own).unwrap_or_else(|| self.plain(usual))
    }

    /// Whether a user may do what takes a level of its own: `redact`, `invite`, ...
    pub(super) fn may(&self, user: &str, name: &str) -> bool {
        self.user(user) >= self.plain(name)
    }
}

/// The members of an object of levels.
fn levels(content: &Content, name: &str) -> BTreeMap<String, i64> {
    let object = content.get(name).and_then(Value::as_object);
    let pairs = object.into_iter().flatten();
    pairs
        .filter_map(|(key, value)| Some((key.clone(), number(Some(value))?)))
        .collect()
}

fn number(value: Option<&Value>) -> Option<i64> {
    value.and_then(Value::as_i64)
}

/// What is wrong with the form of levels: they are numbers, and users are named by their ids.
pub(super) fn malformed(content: &Content) -> Option<&'static str> {
    let is_number = |value: &Value| value.is_i64() || value.is_u64();
    let plain = PLAIN.iter().filter_map(|(name, _)| content.get(*name));
    if !plain.clone().all(is_number) {
        return Some("power levels are whole numbers");
    }
    for name in ["events", "users", "notifications"] {
        match content.get(name) {
            None => {}
            Some(Value::Object(levels)) if levels.values().all(is_number) => {}
            Some(_) => return Some("power levels are whole numbers"),
        }
    }
    let users = content.get("users").and_then(Value::as_object);
    let is_user = |user: &String| user.starts_with('@') && user.contains(':');
    if users.is_some_and(|users| !users.keys().all(is_user)) {
        return Some("users in power levels are named by their ids");
    }
    None
}

/// Why a user may not change levels to others: nobody touches a level above their own, or another user's that is not
/// below it (`[mx v1.12] room version 10, rule 9`).
pub(super) fn refused_change(
    power: &Power<'_>,
    user: &str,
    before: &Event,
    after: &Content,
) -> Option<&'static str> {
    let own = power.user(user);
    let before = &before.content;
    for (name, _) in PLAIN {
        let (old, new) = (number(before.get(name)), number(after.get(name)));
        if old != new && old.into_iter().chain(new).any(|level| level > own) {
            return Some("you may not change a power level above your own");
        }
    }
    for name in ["events", "notifications", "users"] {
        let (old, new) = (levels(before, name), levels(after, name));
        for key in old.keys().chain(new.keys()) {
            let (old, new) = (old.get(key), new.get(key));
            if old == new {
                continue;
            }
            if old.into_iter().chain(new).any(|level| *level > own) {
                return Some("you may not change a power level above your own");
            }
            let is_another = name == "users" && key != user;
            if is_another && old.is_some_and(|level| *level >= own) {
                return Some("you may not change the level of who is as powerful as you");
            }
        }
    }
    None
}
