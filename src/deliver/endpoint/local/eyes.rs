//! What somebody sees of a room: `m.room.history_visibility` and when they were in it, as a pure function.
//!
//! Source: `[mx v1.12] Room History Visibility, Ignoring Users`.

use std::collections::BTreeSet;

use crate::base::ids::ChangeNumber;
use crate::deliver::endpoint::local::event::Event;
use crate::deliver::endpoint::local::event::MEMBER;
use crate::deliver::endpoint::local::state::Membership;

/// Who sees what was before they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Visibility {
    /// Who was there.
    Joined,
    /// Who was there or invited.
    Invited,
    /// Who was ever there since.
    Shared,
    /// Everybody.
    WorldReadable,
}

impl Visibility {
    /// As a room says it; what is not known is `shared`.
    pub(super) fn parse(text: &str) -> Self {
        match text {
            "joined" => Self::Joined,
            "invited" => Self::Invited,
            "world_readable" => Self::WorldReadable,
            _ => Self::Shared,
        }
    }
}

/// One user's view of one room.
pub(super) struct Eyes {
    pub(super) user: String,
    /// How they belonged to the room, since when, in order.
    pub(super) memberships: Vec<(ChangeNumber, Option<Membership>)>,
    /// What history was visible, since when, in order.
    pub(super) visibilities: Vec<(ChangeNumber, Visibility)>,
    /// Whom they do not want to hear, by user id.
    pub(super) ignored: BTreeSet<String>,
}

impl Eyes {
    /// How they belonged to the room at a change.
    pub(super) fn membership(&self, at: ChangeNumber) -> Option<Membership> {
        until(&self.memberships, at).flatten()
    }

    /// How they belong to it now.
    pub(super) fn now(&self) -> Option<Membership> {
        self.membership(ChangeNumber(u64::MAX))
    }

    /// When that began.
    pub(super) fn since(&self) -> ChangeNumber {
        self.memberships
            .last()
            .map_or(ChangeNumber::default(), |(since, _)| *since)
    }

    /// When they came in last.
    pub(super) fn since_join(&self) -> ChangeNumber {
        let mut since = ChangeNumber::default();
        let mut before = None;
        for (at, membership) in &self.memberships {
            // A new name is a new member event, and no coming.
            if *membership == Some(Membership::Join) && before != *membership {
                since = *at;
            }
            before = *membership;
        }
        since
    }

    fn visibility(&self, at: ChangeNumber) -> Visibility {
        until(&self.visibilities, at).unwrap_or(Visibility::Shared)
    }

    pub(super) fn was_ever_joined(&self) -> bool {
        self.was_joined_until(ChangeNumber(u64::MAX))
    }

    /// Whether they had been in the room at a change, or ever before.
    pub(super) fn was_joined_until(&self, at: ChangeNumber) -> bool {
        let mut memberships = self.memberships.iter();
        memberships.any(|(since, how)| *since <= at && *how == Some(Membership::Join))
    }

    /// Up to which change they see the room's state: `None` for somebody who sees nothing of it.
    pub(super) fn horizon(&self) -> Option<ChangeNumber> {
        let end = ChangeNumber(u64::MAX);
        if self.now() == Some(Membership::Join) || self.visibility(end) == Visibility::WorldReadable
        {
            return Some(end);
        }
        let mut spans = self.memberships.iter().rev().peekable();
        while let Some((since, _)) = spans.next() {
            if matches!(spans.peek(), Some((_, Some(Membership::Join)))) {
                return Some(*since);
            }
        }
        None
    }

    /// Whether they do not want to hear who wrote an event. State is for everybody, whoever wrote it.
    pub(super) fn ignore(&self, event: &Event) -> bool {
        event.state_key.is_none()
            && event.sender != self.user
            && self.ignored.contains(&event.sender)
    }

    /// Whether they see an event.
    pub(super) fn see(&self, event: &Event) -> bool {
        if self.ignore(event) {
            return false;
        }
        // Of their own coming and going they are told in any case.
        if event.is_state(MEMBER, &self.user) {
            return true;
        }
        let at = event.at;
        let before = ChangeNumber(at.0.saturating_sub(1));
        let visibility = self.visibility(before).max(self.visibility(at));
        if visibility == Visibility::WorldReadable {
            return true;
        }
        match self.membership(at) {
            Some(Membership::Join) => return true,
            Some(Membership::Invite) if visibility == Visibility::Invited => return true,
            _ => {}
        }
        let mut later = self.memberships.iter();
        visibility == Visibility::Shared
            && later.any(|(since, how)| *since > at && *how == Some(Membership::Join))
    }
}

/// What held at a change.
fn until<T: Copy>(spans: &[(ChangeNumber, T)], at: ChangeNumber) -> Option<T> {
    let end = spans.partition_point(|(since, _)| *since <= at);
    let last = end.checked_sub(1)?;
    spans.get(last).map(|(_, what)| *what)
}
