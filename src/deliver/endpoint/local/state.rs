//! A room's state: for each type and key the event that says what it is.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::deliver::endpoint::local::event::CREATE;
use crate::deliver::endpoint::local::event::Event;
use crate::deliver::endpoint::local::event::HISTORY_VISIBILITY;
use crate::deliver::endpoint::local::event::JOIN_RULES;
use crate::deliver::endpoint::local::event::MEMBER;
use crate::deliver::endpoint::local::event::NAME;

/// How somebody belongs to a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Membership {
    Join,
    Invite,
    Leave,
    Ban,
}

impl Membership {
    /// What a member event says; `None` for what is not offered here.
    pub(super) fn of(event: &Event) -> Option<Self> {
        Self::parse(event.text("membership")?)
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let all = [Self::Join, Self::Invite, Self::Leave, Self::Ban];
        all.into_iter()
            .find(|membership| membership.as_str() == text)
    }

    /// As a member event says it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Invite => "invite",
            Self::Leave => "leave",
            Self::Ban => "ban",
        }
    }
}

/// A room's state at a moment, or the part of it that a rule looks at.
#[derive(Clone, Default)]
pub(super) struct State(BTreeMap<(String, String), Event>);

impl State {
    pub(super) fn get(&self, kind: &str, key: &str) -> Option<&Event> {
        self.0.get(&(kind.to_owned(), key.to_owned()))
    }

    /// Puts an event in the place of the one it follows; what is no state is passed over.
    pub(super) fn put(&mut self, event: Event) {
        if let Some(key) = &event.state_key {
            self.0.insert((event.kind.clone(), key.clone()), event);
        }
    }

    /// All of it, by type and key.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Event> {
        self.0.values()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How somebody belongs to the room; `None` for a stranger.
    pub(super) fn membership(&self, user: &str) -> Option<Membership> {
        self.get(MEMBER, user).and_then(Membership::of)
    }

    pub(super) fn is_joined(&self, user: &str) -> bool {
        self.membership(user) == Some(Membership::Join)
    }

    /// The member events of those who belong to the room in a way, by user.
    pub(super) fn members(&self, membership: Membership) -> impl Iterator<Item = &Event> {
        let members = self.0.values().filter(|event| event.kind == MEMBER);
        members.filter(move |event| Membership::of(event) == Some(membership))
    }

    pub(super) fn joined(&self) -> impl Iterator<Item = &str> {
        let members = self.members(Membership::Join);
        members.filter_map(|event| event.state_key.as_deref())
    }

    pub(super) fn creator(&self) -> Option<&str> {
        self.get(CREATE, "").map(|event| event.sender.as_str())
    }

    /// Who may come in: `invite` where nothing is said.
    pub(super) fn join_rule(&self) -> &str {
        let rule = self.get(JOIN_RULES, "");
        rule.and_then(|rule| rule.text("join_rule"))
            .unwrap_or("invite")
    }

    /// Who sees what was before they came: `shared` where nothing is said.
    pub(super) fn visibility(&self) -> &str {
        let said = self.get(HISTORY_VISIBILITY, "");
        said.and_then(|said| said.text("history_visibility"))
            .unwrap_or("shared")
    }

    /// A text of a piece of state without key.
    pub(super) fn text(&self, kind: &str, name: &str) -> Option<&str> {
        self.get(kind, "")
            .and_then(|event| event.content.get(name))
            .and_then(Value::as_str)
    }

    /// The members after whom clients name a room; `None` for one with a name.
    pub(super) fn heroes(&self, own: &str) -> Option<Vec<&str>> {
        /// How many.
        const HEROES: usize = 5;

        if self.text(NAME, "name").is_some_and(|name| !name.is_empty()) {
            return None;
        }
        let ids = |wanted: &[Membership]| {
            let mut members: Vec<&Event> = self
                .0
                .values()
                .filter(|event| event.kind == MEMBER)
                .collect();
            members.retain(|event| {
                Membership::of(event).is_some_and(|membership| wanted.contains(&membership))
                    && event.state_key.as_deref() != Some(own)
            });
            members.sort_by_key(|event| event.at);
            let users = members
                .into_iter()
                .filter_map(|event| event.state_key.as_deref());
            users.take(HEROES).collect::<Vec<_>>()
        };
        let here = ids(&[Membership::Join, Membership::Invite]);
        Some(if here.is_empty() {
            ids(&[Membership::Leave, Membership::Ban])
        } else {
            here
        })
    }
}
