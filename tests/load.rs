//! Many clients that wait while many messages arrive (D29). Guards against a client that is not woken, is told of a
//! message twice, or not at all. How long it takes is measured by `benches/endpoint.py`.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use std::fs;
use std::thread;
use std::time::Duration;

use crate::support::client::log_in;
use crate::support::home::Home;
use crate::support::rooms::Follower;
use crate::support::rooms::Rooms;
use crate::support::running::Running;

const CLIENTS: usize = 50;

/// Conversations, and messages that arrive, in commits of so many: a thousand a second.
const ROOMS: u32 = 100;
const MESSAGES: u32 = 2_000;
const COMMIT: u32 = 50;
const COMMIT_EVERY: Duration = Duration::from_millis(50);

#[test]
fn fifty_waiting_clients_see_every_message_once_and_in_order() {
    let home = Home::new();
    let mut rooms = Rooms::new(ROOMS, 1);
    let chat_db = rooms.path().to_str().unwrap().to_owned();
    let running = Running::start(&home, &["--chat-db", &chat_db]);
    running.wait_until_imported();
    let address = running.said("address");
    let password = fs::read_to_string(home.path().join("initial-password")).unwrap();
    let socket = home.path().join("archive.redb.sock");
    let followers: Vec<Follower> = (0..CLIENTS)
        .map(|number| {
            let token = log_in(&socket, password.trim(), &format!("DEVICE{number}"));
            Follower::start(&address, &token)
        })
        .collect();

    let first = rooms.messages() + 1;
    let seen: Vec<Vec<u32>> = thread::scope(|scope| {
        let following: Vec<_> = followers
            .into_iter()
            .map(|follower| scope.spawn(move || follower.follow(MESSAGES as usize)))
            .collect();
        for _ in 0..MESSAGES / COMMIT {
            rooms.add(COMMIT);
            thread::sleep(COMMIT_EVERY);
        }
        let done = following.into_iter().map(|thread| thread.join().unwrap());
        done.map(|seen| seen.into_iter().map(|(number, _)| number).collect())
            .collect()
    });

    let written: Vec<u32> = (first..=rooms.messages()).collect();
    for seen in seen {
        assert_eq!(seen, written);
    }
    assert_eq!(running.stop().status.code(), Some(0));
}
