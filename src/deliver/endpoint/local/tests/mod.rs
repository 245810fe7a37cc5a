//! Local rooms by requests and answers alone, with three people: Ada, who owns the archive, Bob and Cleo.

#![allow(
    clippy::similar_names,
    reason = "a stage has a state and rooms have roots"
)]

mod account;
mod follow;
mod hierarchy;
mod history;
mod membership;
mod notices;
mod random;
mod reading;
mod relations;
mod rooms;
mod sliding;

use serde_json::Value;
use serde_json::json;

use crate::deliver::endpoint::testing::World;
use crate::net::Method;

/// Somebody who is logged in.
#[derive(Clone)]
pub(super) struct User {
    pub(super) id: String,
    pub(super) token: String,
}

/// A server without an archive, and its users.
pub(super) struct Stage {
    pub(super) world: World,
    pub(super) ada: User,
    pub(super) bob: User,
    pub(super) cleo: User,
}

/// What everybody's password is.
pub(super) const SECRET: &str = "open sesame";

/// The query of a sync that does not wait.
pub(super) async fn sync(world: &World, user: &User, since: &str) -> Value {
    sync_with(world, user, since, &json!({})).await
}

pub(super) async fn sync_with(world: &World, user: &User, since: &str, filter: &Value) -> Value {
    let filter = encoded(&filter.to_string());
    let mut path = format!("/sync?timeout=0&filter={filter}");
    if !since.is_empty() {
        path = format!("{path}&since={since}");
    }
    get(world, user, &path).await
}

/// A text as part of a query.
pub(super) fn encoded(text: &str) -> String {
    let byte = |byte: u8| {
        if byte.is_ascii_alphanumeric() {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    text.bytes().map(byte).collect()
}

pub(super) fn next(answer: &Value) -> String {
    answer["next_batch"].as_str().unwrap().to_owned()
}

pub(super) async fn get(world: &World, user: &User, path: &str) -> Value {
    let reply = world
        .ask_as(&user.token, Method::GET, path, Value::Null)
        .await;
    reply.ok()
}

pub(super) async fn status(
    world: &World,
    user: &User,
    method: Method,
    path: &str,
    body: Value,
) -> (u16, String) {
    let reply = world.ask_as(&user.token, method, path, body).await;
    let (status, code) = reply.refusal();
    (status, code.to_owned())
}

pub(super) async fn post(world: &World, user: &User, path: &str, body: Value) -> Value {
    world
        .ask_as(&user.token, Method::POST, path, body)
        .await
        .ok()
}

pub(super) async fn put(world: &World, user: &User, path: &str, body: Value) -> Value {
    world
        .ask_as(&user.token, Method::PUT, path, body)
        .await
        .ok()
}

/// Makes an account.
pub(super) async fn register(world: &World, name: &str) -> User {
    let body = json!({
        "username": name, "password": SECRET, "device_id": format!("{name}s"),
        "auth": {"type": "m.login.dummy"},
    });
    let answer = world.ask_as("", Method::POST, "/register", body).await.ok();
    User {
        id: answer["user_id"].as_str().unwrap().to_owned(),
        token: answer["access_token"].as_str().unwrap().to_owned(),
    }
}

impl Stage {
    pub(super) async fn new() -> Self {
        let world = World::conformance();
        let ada = User {
            id: crate::deliver::endpoint::testing::ADA.to_owned(),
            token: world.token.clone(),
        };
        let bob = register(&world, "bob").await;
        let cleo = register(&world, "cleo").await;
        Self {
            world,
            ada,
            bob,
            cleo,
        }
    }

    pub(super) fn restarted(self) -> Self {
        Self {
            world: self.world.restarted(),
            ..self
        }
    }

    /// A room of Ada's.
    pub(super) async fn room(&self, how: Value) -> String {
        let answer = post(&self.world, &self.ada, "/createRoom", how).await;
        answer["room_id"].as_str().unwrap().to_owned()
    }

    /// A room that anybody may enter, with everybody in it.
    pub(super) async fn party(&self) -> String {
        let room = self.room(json!({"preset": "public_chat"})).await;
        for user in [&self.bob, &self.cleo] {
            self.join(user, &room).await;
        }
        room
    }

    /// Says something; answers the event's id.
    pub(super) async fn join(&self, user: &User, room: &str) {
        post(&self.world, user, &format!("/join/{room}"), json!({})).await;
    }

    pub(super) async fn say(&self, user: &User, room: &str, text: &str) -> String {
        let body = json!({"msgtype": "m.text", "body": text});
        self.send(user, room, "m.room.message", body).await
    }

    pub(super) async fn send(&self, user: &User, room: &str, kind: &str, body: Value) -> String {
        let txn = self
            .world
            .store
            .snapshot()
            .unwrap()
            .last_change()
            .unwrap()
            .0;
        let path = format!("/rooms/{room}/send/{kind}/t{txn}");
        let answer = put(&self.world, user, &path, body).await;
        answer["event_id"].as_str().unwrap().to_owned()
    }

    pub(super) async fn set(
        &self,
        user: &User,
        room: &str,
        kind: &str,
        key: &str,
        body: Value,
    ) -> Value {
        let path = format!("/rooms/{room}/state/{kind}/{key}");
        put(&self.world, user, &path, body).await
    }

    pub(super) async fn refused(
        &self,
        user: &User,
        method: Method,
        path: &str,
        body: Value,
    ) -> (u16, String) {
        status(&self.world, user, method, path, body).await
    }
}

/// The texts of events.
pub(super) fn texts(events: &Value) -> Vec<&str> {
    let events = events.as_array().unwrap().iter();
    events
        .filter_map(|event| event["content"]["body"].as_str())
        .collect()
}

/// The types of events.
pub(super) fn types(events: &Value) -> Vec<&str> {
    let events = events.as_array().unwrap().iter();
    events
        .map(|event| event["type"].as_str().unwrap())
        .collect()
}
