//! Who is typing: `PUT /rooms/{room}/typing/{user}`. In memory only, with a counter of its own that is part of every
//! position (D24): a notice is no change of the archive.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::base::limits::TYPING_WAIT;
use crate::deliver::endpoint::Endpoint;
use crate::deliver::endpoint::call::Answer;
use crate::deliver::endpoint::call::Call;
use crate::deliver::endpoint::call::nothing;
use crate::deliver::endpoint::error::MatrixError;
use crate::deliver::endpoint::route::Route;
use crate::net::Method;

/// How long a notice holds when a client does not say.
const USUAL_WAIT: Duration = Duration::from_secs(30);

pub(super) fn routes() -> Vec<Route> {
    vec![Route::new(
        Method::PUT,
        "/rooms/{room}/typing/{user}",
        typing,
    )]
}

/// Who is typing in which rooms.
#[derive(Default)]
pub(super) struct Typing {
    rooms: Mutex<HashMap<String, TypingRoom>>,
    /// How often anything changed.
    latest: watch::Sender<u64>,
}

struct TypingRoom {
    /// The number of its last change.
    changed: u64,
    /// Until when, by user.
    users: BTreeMap<String, Instant>,
}

/// What changed after a number.
pub(super) struct Notices {
    /// The number of the last change.
    pub(super) until: u64,
    /// Everybody who types in a room where that changed.
    pub(super) rooms: HashMap<String, Vec<String>>,
    /// When the first of all notices ends.
    pub(super) ends: Option<Instant>,
}

impl Notices {
    /// None.
    pub(super) fn none() -> Self {
        Self {
            until: 0,
            rooms: HashMap::new(),
            ends: None,
        }
    }
}

impl Typing {
    /// Moves with each change.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.latest.subscribe()
    }

    /// What changed after a number; for 0, where somebody types.
    pub(super) fn after(&self, since: u64) -> Notices {
        let mut rooms = self.lock();
        let now = Instant::now();
        for room in rooms.values_mut() {
            let before = room.users.len();
            room.users.retain(|_, ends| *ends > now);
            if room.users.len() < before {
                room.changed = self.next();
            }
        }
        let is_news =
            |room: &TypingRoom| room.changed > since && (since > 0 || !room.users.is_empty());
        let news = rooms.iter().filter(|(_, room)| is_news(room));
        let users = |room: &TypingRoom| room.users.keys().cloned().collect();
        Notices {
            until: *self.latest.borrow(),
            rooms: news.map(|(id, room)| (id.clone(), users(room))).collect(),
            ends: rooms
                .values()
                .flat_map(|room| room.users.values())
                .min()
                .copied(),
        }
    }

    /// Notes that somebody types until a time, or types no more.
    fn set(&self, room: &str, user: &str, ends: Option<Instant>) {
        let mut rooms = self.lock();
        let held = rooms.entry(room.to_owned()).or_insert_with(|| TypingRoom {
            changed: 0,
            users: BTreeMap::new(),
        });
        let before = match ends {
            Some(ends) => held.users.insert(user.to_owned(), ends),
            None => held.users.remove(user),
        };
        if before.is_some() != ends.is_some() {
            held.changed = self.next();
        }
    }

    /// Notes what somebody says of their typing.
    pub(super) fn note(&self, room: &str, user: &str, notice: &Notice) {
        let wait = notice.timeout.map_or(USUAL_WAIT, Duration::from_millis);
        let ends = notice
            .typing
            .then(|| Instant::now() + wait.min(TYPING_WAIT));
        self.set(room, user, ends);
    }

    /// Notes that somebody types no more.
    pub(super) fn stop(&self, room: &str, user: &str) {
        self.set(room, user, None);
    }

    fn next(&self) -> u64 {
        self.latest.send_modify(|latest| *latest += 1);
        *self.latest.borrow()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, TypingRoom>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What somebody says of their typing.
#[derive(Deserialize)]
pub(super) struct Notice {
    #[serde(default)]
    typing: bool,
    timeout: Option<u64>,
}

/// `PUT /_matrix/client/v3/rooms/{room}/typing/{user}`.
fn typing(endpoint: &Endpoint, call: &Call) -> Answer {
    let notice: Notice = call.json()?;
    let user = endpoint.user_of(call.session()?.account)?;
    if call.segment("user") != user {
        return Err(MatrixError::forbidden("only for yourself"));
    }
    endpoint.in_room(call, |view, _now| {
        endpoint.typing.note(view.room.id.as_str(), &user, &notice);
        nothing()
    })
}
