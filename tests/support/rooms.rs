//! A Messages database of many conversations that somebody writes into, and clients that follow.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

use footbridge::base::time::AppleTime;
use footbridge::base::time::Clock;
use footbridge::base::time::SystemClock;
use serde_json::Value;
use serde_json::json;

use crate::support::chatdb::Fixture;
use crate::support::chatdb::MacOs;
use crate::support::client::Client;

/// A database in which every message's text begins with its number, counted from 1 over all conversations.
pub(crate) struct Rooms {
    fixture: Fixture,
    count: u32,
    messages: u32,
    /// When the last message was sent: the next one is sent later.
    last: AppleTime,
}

impl Rooms {
    /// With so many conversations, each with one other person and so many messages, of an hour ago and before.
    pub(crate) fn new(rooms: u32, messages_each: u32) -> Self {
        let fixture = Fixture::new(MacOs::V26);
        let transaction = fixture.writer.unchecked_transaction().unwrap();
        for room in 0..rooms {
            let address = format!("+1555{room:07}");
            let handle = fixture.handle(&address, "iMessage");
            fixture.chat(&format!("iMessage;-;{address}"), &[handle]);
        }
        transaction.commit().unwrap();
        let messages = rooms * messages_each;
        let age = Duration::from_secs(3_600 + u64::from(messages));
        let mut made = Self {
            fixture,
            count: rooms,
            messages: 0,
            last: SystemClock.now().minus(age),
        };
        made.write(messages, Duration::from_secs(1));
        made
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.fixture.path()
    }

    /// Messages that were written.
    pub(crate) fn messages(&self) -> u32 {
        self.messages
    }

    /// Writes so many messages in one commit, one conversation after the other. They were sent just now.
    pub(crate) fn add(&mut self, messages: u32) {
        self.last = self.last.max(SystemClock.now());
        self.write(messages, Duration::from_nanos(1));
    }

    fn write(&mut self, messages: u32, apart: Duration) {
        let transaction = self.fixture.writer.unchecked_transaction().unwrap();
        let message = "INSERT INTO message (ROWID, guid, text, date, handle_id, is_from_me, is_sent, service, is_finished)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, 'iMessage', 1)";
        let join = "INSERT INTO chat_message_join (chat_id, message_id) VALUES (?1, ?2)";
        let mut message = transaction.prepare_cached(message).unwrap();
        let mut join = transaction.prepare_cached(join).unwrap();
        for _ in 0..messages {
            self.messages += 1;
            self.last = self.last.plus(apart);
            let number = self.messages;
            // Rows of chats and of handles are counted from 1, as rooms are here.
            let room = 1 + number % self.count;
            let guid = format!("1A2B3C4D-0001-4002-8003-{number:012X}");
            let text = format!("{number} of the things that people say to each other");
            let is_own = number.is_multiple_of(3);
            let date = self.last.nanos();
            let row = (number, guid, text, date, room, is_own);
            message.execute(row).unwrap();
            join.execute((room, number)).unwrap();
        }
        drop((message, join));
        transaction.commit().unwrap();
    }
}

/// How long a client waits for news.
const WAIT: Duration = Duration::from_secs(30);

/// A client that follows a service, and what it saw.
pub(crate) struct Follower {
    address: String,
    token: String,
    since: String,
    /// Numbers of messages by room, in the order in which they came, and when.
    seen: BTreeMap<String, Vec<(u32, Instant)>>,
}

/// The path of a sync of which each room has at most so many events.
pub(crate) fn sync_path(limit: usize) -> String {
    let filter = json!({
        "room": {"timeline": {"limit": limit}, "state": {"lazy_load_members": true}},
    });
    let filter = filter.to_string();
    let encoded: String = filter
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'_' | b'0'..=b'9' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect();
    format!("/_matrix/client/v3/sync?filter={encoded}")
}

impl Follower {
    /// Reads what there is.
    pub(crate) fn start(address: &str, token: &str) -> Self {
        let sync = Client::connect(address, token).get(&sync_path(1));
        Self {
            address: address.to_owned(),
            token: token.to_owned(),
            since: sync["next_batch"].as_str().unwrap().to_owned(),
            seen: BTreeMap::new(),
        }
    }

    /// Waits for news until it has seen so many messages; answers when each came, by its number.
    ///
    /// Panics when one is missing, comes twice, or comes before one that was sent earlier in the same room.
    pub(crate) fn follow(mut self, messages: usize) -> Vec<(u32, Instant)> {
        // Another connection than at the start: one that is idle for ten seconds is closed, and so long it may take until
        // fifty clients have started.
        let mut client = Client::connect(&self.address, &self.token);
        let path = sync_path(100);
        let mut count = 0;
        while count < messages {
            let path = format!("{path}&timeout={}&since={}", WAIT.as_millis(), self.since);
            let asked = Instant::now();
            let sync = client.get(&path);
            let at = Instant::now();
            sync["next_batch"]
                .as_str()
                .unwrap()
                .clone_into(&mut self.since);
            let rooms = sync["rooms"]["join"].as_object().unwrap();
            // News of other devices comes without rooms, but it does not take the whole wait.
            let is_in_vain = rooms.is_empty() && asked.elapsed() >= WAIT;
            assert!(!is_in_vain, "{count} of {messages} came, then nothing");
            for (id, room) in rooms {
                let timeline = &room["timeline"];
                assert_eq!(timeline["limited"], false, "nothing is left out");
                let events = timeline["events"].as_array().unwrap();
                let numbers: Vec<u32> = events.iter().filter_map(number).collect();
                count += numbers.len();
                let seen = self.seen.entry(id.clone()).or_default();
                seen.extend(numbers.into_iter().map(|number| (number, at)));
            }
        }
        for seen in self.seen.values() {
            let is_in_order = seen.is_sorted_by(|(one, _), (other, _)| one < other);
            assert!(is_in_order, "each once, in the order of the room");
        }
        let mut all: Vec<_> = self.seen.into_values().flatten().collect();
        all.sort_unstable();
        assert_eq!(all.len(), messages);
        all
    }
}

/// The number at the beginning of a message's text.
fn number(event: &Value) -> Option<u32> {
    let text = event["content"]["body"].as_str()?;
    text.split(' ').next()?.parse().ok()
}
