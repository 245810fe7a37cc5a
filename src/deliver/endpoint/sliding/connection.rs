//! What the server remembers of each connection: which rooms it has told of, up to where, in how much detail.
//!
//! In memory only: a position that is not known any more makes a client start anew, which is cheap and always right. Two
//! generations are kept, since a client whose answer was lost asks from the same position again:
//!
//! | the client's `pos` is | then the answer builds on | and is kept beside |
//! |---|---|---|
//! | absent | nothing | nothing |
//! | that of the last answer | the last answer | the last answer |
//! | that of the answer before | the answer before | the answer before; the last one was lost |
//! | another | 400 `M_UNKNOWN_POS` | |
//!
//! A connection has one live request: another one ends the poll of the one before.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::Weak;

use tokio_util::sync::CancellationToken;

use crate::base::ids::ChangeNumber;
use crate::base::ids::RowId;
use crate::base::limits::SLIDING_CONNECTIONS;
use crate::base::limits::SLIDING_CONNECTIONS_PER_DEVICE;
use crate::deliver::endpoint::error::Code;
use crate::deliver::endpoint::error::MatrixError;
use crate::deliver::endpoint::local::sliding::Told;
use crate::deliver::endpoint::rooms::Rooms;
use crate::deliver::endpoint::sliding::request::RequiredState;
use crate::deliver::endpoint::sliding::wanted::Wanted;

/// Which connection: of which token, and the name that the client gave it.
pub(super) type Key = ([u8; 32], String);

/// What a client has that got an answer.
#[derive(Clone, Default)]
pub(super) struct Generation {
    /// The change up to which the answer was made; 0 before the first.
    pub(super) until: ChangeNumber,
    /// Every room that was told of, by its conversation.
    pub(super) sent: HashMap<RowId, Sent>,
    /// The rooms of then.
    pub(super) rooms: Weak<Rooms>,
    /// Key counts that were told, by algorithm, and unused fallback keys.
    pub(super) keys: Option<KeyCounts>,
    /// `m.direct` as it was told.
    pub(super) direct: Option<String>,
    /// Typing notices up to this number were told.
    pub(super) typing: u64,
    /// Whether account data were told.
    pub(super) has_account_data: bool,
    /// Whether receipts were told.
    pub(super) has_receipts: bool,
    /// Every local room that was told of, by its id.
    pub(super) local: BTreeMap<String, Told>,
}

/// One-time keys by algorithm, and algorithms with an unused fallback key.
pub(super) type KeyCounts = (BTreeMap<String, u64>, Vec<String>);

/// What was told of a room.
#[derive(Clone)]
pub(super) struct Sent {
    /// The room's id then.
    pub(super) id: Arc<str>,
    /// The rooms of then: while they are the present ones, nobody's name has changed.
    pub(super) rooms: Weak<Rooms>,
    /// Up to which change.
    pub(super) until: ChangeNumber,
    /// Events that were wanted last.
    pub(super) limit: usize,
    /// State that was wanted last.
    pub(super) state: Arc<RequiredState>,
    /// Hash of its name and its members.
    pub(super) face: u64,
    /// The count of unread messages.
    pub(super) unread: u64,
    /// Whether its messages were not to be counted.
    pub(super) is_muted: bool,
    /// Up to which event everybody has read, by user, as far as it was told.
    pub(super) receipts: BTreeMap<String, String>,
    /// The event of `m.fully_read`, if it was told.
    pub(super) fully_read: Option<String>,
}

impl Generation {
    /// Notes in how much detail a room is wanted of which there is nothing to tell: once it is wanted in more again, that
    /// is told anew.
    pub(super) fn note(&mut self, wanted: &Wanted<'_>) {
        if let Some(sent) = self.sent.get_mut(&wanted.ranked.room.conversation) {
            sent.limit = wanted.limit;
            if !Arc::ptr_eq(&sent.state, &wanted.state) {
                sent.state = Arc::clone(&wanted.state);
            }
        }
    }
}

/// All connections.
pub(in crate::deliver::endpoint) struct Connections {
    /// Tells positions of this run from those of others.
    boot: u32,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    /// The number of the last position.
    last: u64,
    by_key: HashMap<Key, Connection>,
}

struct Connection {
    /// The position before the last one.
    before: Option<(u64, Arc<Generation>)>,
    /// The last position and what it stands for.
    last: (u64, Arc<Generation>),
    /// Cancelled when its request is not the last one any more.
    live: CancellationToken,
    /// Rises with use: the number that was last when it was used.
    used: u64,
}

/// A request's turn on its connection.
pub(super) struct Turn {
    key: Key,
    from: u64,
    /// What the answer builds on.
    pub(super) base: Arc<Generation>,
    /// Cancelled when another request comes, or the connection is forgotten.
    pub(super) superseded: CancellationToken,
}

impl Connections {
    /// None yet.
    pub(in crate::deliver::endpoint) fn new(boot: u32) -> Self {
        Self {
            boot,
            held: Mutex::default(),
        }
    }

    /// Takes the turn of a request: at a position, or from nothing.
    pub(super) fn begin(&self, key: Key, pos: Option<&str>) -> Result<Turn, MatrixError> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.last += 1;
        let now = held.last;
        let Some(pos) = pos else {
            held.make_room(&key);
            let live = CancellationToken::new();
            let base = Arc::<Generation>::default();
            let connection = Connection {
                before: None,
                last: (now, Arc::clone(&base)),
                live: live.clone(),
                used: now,
            };
            held.by_key.insert(key.clone(), connection);
            return Ok(Turn {
                key,
                from: now,
                base,
                superseded: live,
            });
        };
        let from = self.parse(pos).ok_or_else(unknown)?;
        let connection = held.by_key.get_mut(&key).ok_or_else(unknown)?;
        let base = connection.generation(from).ok_or_else(unknown)?;
        connection.live.cancel();
        connection.live = CancellationToken::new();
        connection.used = now;
        Ok(Turn {
            key,
            from,
            base,
            superseded: connection.live.clone(),
        })
    }

    /// Ends a turn with an answer; its position. `None` when it is another request's turn by now.
    pub(super) fn end(&self, turn: &Turn, made: Generation) -> Option<String> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.last += 1;
        let number = held.last;
        let connection = held.by_key.get_mut(&turn.key)?;
        if turn.superseded.is_cancelled() {
            return None;
        }
        let base = connection.generation(turn.from)?;
        connection.before = Some((turn.from, base));
        connection.last = (number, Arc::new(made));
        connection.used = number;
        Some(self.position(number))
    }

    /// The position that a turn began with.
    pub(super) fn position_of(&self, turn: &Turn) -> String {
        self.position(turn.from)
    }

    fn position(&self, number: u64) -> String {
        format!("{:x}.{number}", self.boot)
    }

    fn parse(&self, pos: &str) -> Option<u64> {
        let (boot, number) = pos.split_once('.')?;
        (u32::from_str_radix(boot, 16).ok()? == self.boot).then_some(number.parse().ok()?)
    }
}

impl Connection {
    fn generation(&self, number: u64) -> Option<Arc<Generation>> {
        let both = [Some(&self.last), self.before.as_ref()];
        let mut both = both.into_iter().flatten();
        both.find(|(known, _)| *known == number)
            .map(|(_, generation)| Arc::clone(generation))
    }
}

impl Held {
    /// Forgets the connection with a key, and as many others as there are too many: those least recently used.
    fn make_room(&mut self, key: &Key) {
        self.forget(key);
        let of_device = |known: &Key| known.0 == key.0;
        if self.by_key.keys().filter(|known| of_device(known)).count()
            >= SLIDING_CONNECTIONS_PER_DEVICE
        {
            self.forget_oldest(of_device);
        }
        if self.by_key.len() >= SLIDING_CONNECTIONS {
            self.forget_oldest(|_| true);
        }
    }

    fn forget_oldest(&mut self, is_one: impl Fn(&Key) -> bool) {
        let ones = self.by_key.iter().filter(|(key, _)| is_one(key));
        let oldest = ones.min_by_key(|(_, connection)| connection.used);
        if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
            self.forget(&oldest);
        }
    }

    fn forget(&mut self, key: &Key) {
        if let Some(connection) = self.by_key.remove(key) {
            connection.live.cancel();
        }
    }
}

/// The answer to a position that is not known: the client starts anew.
pub(super) fn unknown() -> MatrixError {
    MatrixError::new(Code::UnknownPos, "this position is not known any more")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(device: u8, name: &str) -> Key {
        ([device; 32], name.to_owned())
    }

    fn generation(until: u64) -> Generation {
        Generation {
            until: ChangeNumber(until),
            ..Generation::default()
        }
    }

    /// Asks and is answered; the position.
    fn ask(connections: &Connections, key: &Key, pos: Option<&str>, until: u64) -> String {
        let turn = connections.begin(key.clone(), pos).unwrap();
        connections.end(&turn, generation(until)).unwrap()
    }

    fn base(connections: &Connections, key: &Key, pos: &str) -> Option<u64> {
        let turn = connections.begin(key.clone(), Some(pos)).ok()?;
        Some(turn.base.until.0)
    }

    #[test]
    fn a_lost_answer_is_asked_for_again_and_then_unknown() {
        let connections = Connections::new(1);
        let key = key(1, "");
        let first = ask(&connections, &key, None, 10);
        let lost = ask(&connections, &key, Some(&first), 20);

        let again = ask(&connections, &key, Some(&first), 21);

        assert_eq!(base(&connections, &key, &lost), None);
        assert_eq!(base(&connections, &key, &first), Some(10));
        assert_eq!(base(&connections, &key, &again), Some(21));
    }

    #[test]
    fn only_the_last_two_positions_are_known() {
        let connections = Connections::new(1);
        let key = key(1, "");
        let first = ask(&connections, &key, None, 10);
        let second = ask(&connections, &key, Some(&first), 20);
        let third = ask(&connections, &key, Some(&second), 30);

        assert_eq!(base(&connections, &key, &first), None);
        assert_eq!(base(&connections, &key, &second), Some(20));
        assert_eq!(base(&connections, &key, &third), Some(30));
    }

    #[test]
    fn positions_of_another_run_are_not_known() {
        let key = key(1, "");
        let first = ask(&Connections::new(1), &key, None, 10);
        let connections = Connections::new(2);
        ask(&connections, &key, None, 10);

        assert_eq!(base(&connections, &key, &first), None);
    }

    #[test]
    fn another_request_takes_the_turn() {
        let connections = Connections::new(1);
        let key = key(1, "");
        let first = ask(&connections, &key, None, 10);
        let slow = connections.begin(key.clone(), Some(&first)).unwrap();

        let quick = ask(&connections, &key, Some(&first), 20);

        assert!(slow.superseded.is_cancelled());
        assert_eq!(connections.end(&slow, generation(30)), None);
        assert_eq!(base(&connections, &key, &quick), Some(20));
    }

    #[test]
    fn the_least_recently_used_connection_is_forgotten_first() {
        let connections = Connections::new(1);
        let names: Vec<String> = (0..=SLIDING_CONNECTIONS_PER_DEVICE)
            .map(|number| number.to_string())
            .collect();
        let other = ask(&connections, &key(2, "other"), None, 1);
        let mut positions: Vec<String> = names[1..]
            .iter()
            .map(|name| ask(&connections, &key(1, name), None, 10))
            .collect();
        positions[0] = ask(&connections, &key(1, &names[1]), Some(&positions[0]), 11);

        ask(&connections, &key(1, &names[0]), None, 10);

        assert_eq!(
            base(&connections, &key(1, &names[1]), &positions[0]),
            Some(11)
        );
        assert_eq!(base(&connections, &key(1, &names[2]), &positions[1]), None);
        assert_eq!(base(&connections, &key(2, "other"), &other), Some(1));
    }

    #[test]
    fn there_are_never_more_connections_than_allowed() {
        let connections = Connections::new(1);
        for device in 0..=u8::MAX {
            for name in ["a", "b"] {
                ask(&connections, &key(device, name), None, 1);
            }
        }

        assert_eq!(
            connections.held.lock().unwrap().by_key.len(),
            SLIDING_CONNECTIONS
        );
    }
}
