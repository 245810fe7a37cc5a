//! Which members of local rooms a device has: who loads members lazily is not told the same twice, unless they ask for it.
//!
//! What a device has is what was sent on the way to the position at which it stands. It is remembered for a few positions,
//! in memory: for any other position, after a restart too, nothing is known, and members are sent again.
//!
//! Source: `[mx v1.12] Lazy-loading room members`.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use crate::base::ids::ChangeNumber;
use crate::base::ids::RowId;
use crate::deliver::endpoint::local::event::Event;
use crate::deliver::endpoint::local::event::MEMBER;
use crate::deliver::endpoint::session::Session;
use crate::store::account::Account;

/// Positions of a device: each change of anything makes one for a client that waits.
const POSITIONS: usize = 32;

/// Members of a device at one of its positions: one that has more is told again.
const MEMBERS: usize = 1024;

/// Devices: with one more, all are told again.
const DEVICES: usize = 1024;

/// Member events by their room and user: the change that brought them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::deliver::endpoint) struct Known(BTreeMap<(RowId, String), ChangeNumber>);

impl Known {
    /// Whether a member event of a room is among them.
    pub(super) fn has(&self, room: RowId, event: &Event) -> bool {
        let key = event.state_key.clone().unwrap_or_default();
        self.0.get(&(room, key)) == Some(&event.at)
    }

    /// Adds the member events among those that are sent, the oldest first.
    pub(super) fn add<'e>(&mut self, room: RowId, sent: impl IntoIterator<Item = &'e Event>) {
        for event in sent {
            if let Some(user) = event.state_key.as_ref().filter(|_| event.kind == MEMBER) {
                self.0.insert((room, user.clone()), event.at);
            }
        }
    }

    /// Leaves what is in another one as well.
    fn meet(&mut self, other: &Self) {
        self.0.retain(|key, at| other.0.get(key) == Some(at));
    }
}

/// What one device has, by where it stands, the position that was noted last at the end.
type Positions = VecDeque<(ChangeNumber, Known)>;

/// By account and device.
type Devices = HashMap<(Account, String), Positions>;

/// What all devices have.
#[derive(Default)]
pub(in crate::deliver::endpoint) struct Members {
    devices: Mutex<Devices>,
}

impl Members {
    /// What a device has that stands at a change.
    pub(in crate::deliver::endpoint) fn at(&self, session: &Session, at: ChangeNumber) -> Known {
        let devices = self.lock();
        let positions = devices.get(&(session.account, session.device.clone()));
        let mut positions = positions.into_iter().flatten();
        let held = positions.find(|(position, _)| *position == at);
        held.map(|(_, known)| known.clone()).unwrap_or_default()
    }

    /// Notes what a device has when it stands at a change. It may get there in more than one way: what it has in each of
    /// them is known.
    pub(in crate::deliver::endpoint) fn note(
        &self,
        session: &Session,
        at: ChangeNumber,
        mut known: Known,
    ) {
        if known.0.len() > MEMBERS {
            known = Known::default();
        }
        let mut devices = self.lock();
        let key = (session.account, session.device.clone());
        if devices.len() >= DEVICES && !devices.contains_key(&key) {
            devices.clear();
        }
        let positions = devices.entry(key).or_default();
        if let Some((_, held)) = positions.iter_mut().find(|(position, _)| *position == at) {
            held.meet(&known);
            return;
        }
        positions.push_back((at, known));
        if positions.len() > POSITIONS {
            positions.pop_front();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Devices> {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(members: &[(&str, u64)]) -> Known {
        let members = members.iter();
        let members = members.map(|(user, at)| ((RowId(1), (*user).to_owned()), ChangeNumber(*at)));
        Known(members.collect())
    }

    fn device(name: &str) -> Session {
        Session {
            account: Account::OWNER,
            device: name.to_owned(),
            token: [0; 32],
        }
    }

    #[test]
    fn what_came_on_every_way_to_a_position_is_known() {
        let members = Members::default();
        let phone = device("phone");
        let place = ChangeNumber(9);

        members.note(&phone, place, known(&[("a", 1), ("b", 2), ("c", 3)]));
        members.note(&phone, place, known(&[("a", 1), ("b", 4)]));

        assert_eq!(members.at(&phone, place), known(&[("a", 1)]));
        assert_eq!(members.at(&phone, ChangeNumber(8)), Known::default());
        assert_eq!(members.at(&device("desk"), place), Known::default());
    }

    #[test]
    fn what_is_remembered_has_bounds() {
        let members = Members::default();
        let phone = device("phone");
        let some = known(&[("a", 1)]);
        for at in 0..=POSITIONS as u64 {
            members.note(&phone, ChangeNumber(at), some.clone());
        }
        assert_eq!(members.at(&phone, ChangeNumber(0)), Known::default());
        assert_eq!(members.at(&phone, ChangeNumber(1)), some);

        let many = (0..=MEMBERS as u64).map(|at| ((RowId(at), String::new()), ChangeNumber(at)));
        members.note(&phone, ChangeNumber(99), Known(many.collect()));
        assert_eq!(members.at(&phone, ChangeNumber(99)), Known::default());

        for number in 0..DEVICES {
            members.note(
                &device(&number.to_string()),
                ChangeNumber(1),
                Known::default(),
            );
        }
        assert_eq!(members.at(&phone, ChangeNumber(1)), Known::default());
    }
}
