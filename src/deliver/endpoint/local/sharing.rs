//! Who shares rooms with whom: whose devices an account hears of.
//!
//! Source: `[mx v1.12] Tracking the device list for a user`.

use std::collections::BTreeSet;

use crate::base::ids::ChangeNumber;
use crate::deliver::endpoint::local::event::MEMBER;
use crate::deliver::endpoint::local::room::LocalRoom;
use crate::deliver::endpoint::local::state::Membership;
use crate::store::Snapshot;
use crate::store::StoreError;

/// With whom a user shares rooms, before and after some changes.
pub(in crate::deliver::endpoint) struct Sharing {
    before: BTreeSet<String>,
    after: BTreeSet<String>,
}

impl Sharing {
    /// Of a user, with those among `others`.
    pub(in crate::deliver::endpoint) fn of(
        snapshot: &Snapshot,
        user: &str,
        others: &[String],
        since: ChangeNumber,
        until: ChangeNumber,
    ) -> Result<Self, StoreError> {
        let mut sharing = Self {
            before: BTreeSet::new(),
            after: BTreeSet::new(),
        };
        if others.iter().all(|other| other == user) {
            return Ok(sharing);
        }
        for room in LocalRoom::all(snapshot)? {
            let is_in = |user: &str, at| -> Result<bool, StoreError> {
                let event = room.piece(MEMBER, user, at)?;
                Ok(event.as_ref().and_then(Membership::of) == Some(Membership::Join))
            };
            for (at, users) in [(since, &mut sharing.before), (until, &mut sharing.after)] {
                if !is_in(user, at)? {
                    continue;
                }
                for other in others.iter().filter(|other| *other != user) {
                    if is_in(other, at)? {
                        users.insert(other.clone());
                    }
                }
            }
        }
        Ok(sharing)
    }

    /// Whether the user hears of another one, whose devices changed or not.
    pub(in crate::deliver::endpoint) fn hears_of(&self, other: &str, has_changed: bool) -> bool {
        self.after.contains(other) && (has_changed || !self.before.contains(other))
    }

    /// Whom the user hears of no more.
    pub(in crate::deliver::endpoint) fn left(self) -> Vec<String> {
        let Self { before, after } = self;
        before
            .into_iter()
            .filter(|user| !after.contains(user))
            .collect()
    }
}
