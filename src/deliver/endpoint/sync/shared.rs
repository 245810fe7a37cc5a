//! The archive's rooms of an answer, made once for all clients that ask the same at the same time.
//!
//! Fifty clients that wait are woken by the same change, stand where the last one left them, and are told the same. What
//! is told of the archive's rooms between two changes depends on nothing but those changes, the filter and the account:
//! the log does not change behind its head, and what else is in a block (receipts, unread counts, account data, names)
//! takes a number of the same log when it is written. So nothing here is ever out of date but the `age` of events, and is
//! forgotten only to be bounded. Whoever types is in no log: answers that tell of it are not shared.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::base::ids::ChangeNumber;
use crate::base::limits::SHARED_ANSWERS;
use crate::base::limits::SHARED_BYTES;
use crate::base::limits::SHARED_FOR;
use crate::deliver::endpoint::filters::RoomFilter;
use crate::store::account::Account;

/// What an answer says of the archive's rooms.
#[derive(Default)]
pub(super) struct Rooms {
    pub(super) join: BTreeMap<String, Box<RawValue>>,
    pub(super) leave: BTreeMap<String, Value>,
    /// Whether some came or went.
    pub(super) has_others: bool,
}

impl Rooms {
    /// How much of an answer they are, and how much memory they take: about so many bytes.
    pub(super) fn size_bytes(&self) -> usize {
        let blocks = self.join.iter();
        // With what JSON puts between them.
        let sizes = blocks.map(|(id, block)| id.len() + block.get().len() + 4);
        sizes.sum()
    }
}

/// What decides what an answer says of them.
#[derive(Clone, PartialEq)]
pub(super) struct Window {
    pub(super) account: Account,
    /// The client has everything up to here.
    pub(super) since: ChangeNumber,
    /// It is told everything up to here.
    pub(super) until: ChangeNumber,
    pub(super) filter: RoomFilter,
}

/// What was made lately, the newest last.
#[derive(Default)]
pub(in crate::deliver::endpoint) struct Shared(Mutex<VecDeque<Answer>>);

struct Answer {
    window: Window,
    /// Milliseconds since 1970.
    made: i64,
    rooms: Slot,
}

/// Empty while the first who wants the rooms makes them.
type Slot = Arc<Mutex<Option<Arc<Rooms>>>>;

impl Shared {
    /// The rooms of a window as of a time, milliseconds since 1970: those that were made for somebody else, or newly made
    /// ones. Who asks while they are made waits for them.
    pub(super) fn of<E>(
        &self,
        window: Window,
        now: i64,
        make: impl FnOnce() -> Result<Rooms, E>,
    ) -> Result<Arc<Rooms>, E> {
        let slot = self.slot(window, now);
        let mut held = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(rooms) = held.as_ref() {
            return Ok(Arc::clone(rooms));
        }
        let rooms = Arc::new(make()?);
        if rooms.size_bytes() <= SHARED_BYTES {
            *held = Some(Arc::clone(&rooms));
        }
        Ok(rooms)
    }

    /// The slot of a window, which may be new. Forgets what is old or too much.
    fn slot(&self, window: Window, now: i64) -> Slot {
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        answers.retain(|answer| now.abs_diff(answer.made) <= SHARED_FOR);
        let known = answers.iter().find(|answer| answer.window == window);
        if let Some(known) = known {
            return Arc::clone(&known.rooms);
        }
        if answers.len() == SHARED_ANSWERS {
            answers.pop_front();
        }
        let rooms = Slot::default();
        answers.push_back(Answer {
            window,
            made: now,
            rooms: Arc::clone(&rooms),
        });
        rooms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(since: u64) -> Window {
        Window {
            account: Account::OWNER,
            since: ChangeNumber(since),
            until: ChangeNumber(100),
            filter: RoomFilter::default(),
        }
    }

    fn rooms(bytes: usize) -> Rooms {
        let block = RawValue::from_string(format!("\"{}\"", "x".repeat(bytes))).unwrap();
        Rooms {
            join: BTreeMap::from([("!a:example.org".to_owned(), block)]),
            ..Rooms::default()
        }
    }

    fn made(bytes: usize) -> impl FnOnce() -> Result<Rooms, ()> {
        move || Ok(rooms(bytes))
    }

    fn never() -> Result<Rooms, ()> {
        Err(())
    }

    #[test]
    fn the_same_is_made_once() {
        let shared = Shared::default();

        let first = shared.of(window(1), 0, made(1)).unwrap();

        assert!(Arc::ptr_eq(
            &first,
            &shared.of(window(1), 5, never).unwrap()
        ));
        assert!(shared.of(window(2), 5, never).is_err());
    }

    #[test]
    fn what_could_not_be_made_is_made_by_the_next() {
        let shared = Shared::default();

        assert!(shared.of(window(1), 0, never).is_err());

        assert!(shared.of(window(1), 0, made(1)).is_ok());
    }

    #[test]
    fn what_is_old_too_large_or_too_much_is_forgotten() {
        let shared = Shared::default();
        shared.of(window(1), 0, made(1)).unwrap();
        shared.of(window(2), 0, made(SHARED_BYTES)).unwrap();

        assert!(shared.of(window(2), 0, never).is_err());
        let late = i64::try_from(SHARED_FOR).unwrap() + 1;
        assert!(shared.of(window(1), late, never).is_err());
        shared.of(window(3), late, made(1)).unwrap();
        for since in 0..SHARED_ANSWERS as u64 {
            shared.of(window(1_000 + since), late, made(1)).unwrap();
        }
        assert!(shared.of(window(3), late, never).is_err());
    }
}
