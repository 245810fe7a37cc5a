//! Whatever three people do in whatever order: who follows `/sync` alone knows of each room what the store does.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::Value;
use serde_json::json;

use super::*;

/// Rooms there can be.
const ROOMS: usize = 3;

#[derive(Clone, Debug)]
enum Act {
    Create { open: bool },
    Join,
    Leave,
    Invite(usize),
    Kick(usize),
    Ban(usize),
    Unban(usize),
    Say,
    Redact,
    Topic,
    Visibility(u8),
    Name,
    Sync { limit: u8 },
    Restart,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        2 => any::<bool>().prop_map(|open| Act::Create { open }),
        4 => Just(Act::Join),
        2 => Just(Act::Leave),
        3 => (0..3_usize).prop_map(Act::Invite),
        1 => (0..3_usize).prop_map(Act::Kick),
        1 => (0..3_usize).prop_map(Act::Ban),
        1 => (0..3_usize).prop_map(Act::Unban),
        8 => Just(Act::Say),
        2 => Just(Act::Redact),
        2 => Just(Act::Topic),
        1 => (0..4_u8).prop_map(Act::Visibility),
        1 => Just(Act::Name),
        5 => (1..5_u8).prop_map(|limit| Act::Sync { limit }),
        1 => Just(Act::Restart),
    ]
}

/// A room as a client knows it.
#[derive(Clone, Default, Debug)]
struct Known {
    /// By type and key, the id of the event.
    state: BTreeMap<(String, String), String>,
    /// Ids, oldest first, from the last gap on.
    timeline: Vec<String>,
}

/// A client that follows `/sync` alone.
#[derive(Default)]
struct Model {
    since: String,
    joined: BTreeMap<String, Known>,
    invited: Vec<String>,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

impl Model {
    async fn follow(&mut self, world: &World, user: &User, limit: u8) {
        let filter = json!({"room": {"timeline": {"limit": limit}}});
        let answer = sync_with(world, user, &self.since, &filter).await;
        self.since = next(&answer);
        for (id, block) in answer["rooms"]["join"].as_object().unwrap() {
            self.invited.retain(|invited| invited != id);
            let known = self.joined.entry(id.clone()).or_default();
            if block["timeline"]["limited"] == true {
                known.timeline.clear();
            }
            for event in block["state"]["events"].as_array().unwrap() {
                known.take(event);
            }
            for event in block["timeline"]["events"].as_array().unwrap() {
                known.take(event);
                let id = text(&event["event_id"]);
                assert!(!known.timeline.contains(&id), "an event came twice");
                known.timeline.push(id);
            }
        }
        for id in answer["rooms"]["invite"].as_object().unwrap().keys() {
            self.joined.remove(id);
            self.invited.retain(|invited| invited != id);
            self.invited.push(id.clone());
        }
        for id in answer["rooms"]["leave"].as_object().unwrap().keys() {
            self.joined.remove(id);
            self.invited.retain(|invited| invited != id);
        }
    }

    /// Holds what is known against what there is.
    async fn check(&self, world: &World, user: &User) {
        let mut joined = get(world, user, "/joined_rooms").await["joined_rooms"].take();
        let joined: Vec<String> = joined.as_array_mut().unwrap().iter().map(text).collect();
        assert_eq!(
            self.joined.keys().cloned().collect::<Vec<_>>(),
            joined,
            "{}",
            user.id
        );
        for (id, known) in &self.joined {
            let state = get(world, user, &format!("/rooms/{id}/state")).await;
            let mut held = Known::default();
            for event in state.as_array().unwrap() {
                held.take(event);
            }
            assert_eq!(known.state, held.state, "state of {id} for {}", user.id);
            let path = format!("/rooms/{id}/messages?limit={}", known.timeline.len().max(1));
            let page = get(world, user, &path).await;
            let mut newest: Vec<String> = page["chunk"]
                .as_array()
                .unwrap()
                .iter()
                .map(|event| text(&event["event_id"]))
                .collect();
            newest.reverse();
            if !known.timeline.is_empty() {
                assert_eq!(known.timeline, newest, "timeline of {id} for {}", user.id);
            }
        }
    }
}

impl Known {
    fn take(&mut self, event: &Value) {
        if let Some(key) = event.get("state_key") {
            self.state
                .insert((text(&event["type"]), text(key)), text(&event["event_id"]));
        }
    }
}

/// What is asked for to do something in a room; nothing for what is not done in one.
fn request(
    act: &Act,
    room: &str,
    users: &[User],
    number: usize,
    last: Option<&str>,
) -> Option<(Method, String, Value)> {
    let at = |rest: &str| format!("/rooms/{room}/{rest}");
    let about = |whom: &usize| json!({"user_id": users[*whom].id});
    Some(match act {
        Act::Join => (Method::POST, at("join"), json!({})),
        Act::Leave => (Method::POST, at("leave"), json!({})),
        Act::Invite(whom) => (Method::POST, at("invite"), about(whom)),
        Act::Kick(whom) => (Method::POST, at("kick"), about(whom)),
        Act::Ban(whom) => (Method::POST, at("ban"), about(whom)),
        Act::Unban(whom) => (Method::POST, at("unban"), about(whom)),
        Act::Say => {
            let body = json!({"msgtype": "m.text", "body": "x"});
            (
                Method::PUT,
                at(&format!("send/m.room.message/{number}")),
                body,
            )
        }
        Act::Redact => {
            let event = last?;
            (
                Method::PUT,
                at(&format!("redact/{event}/{number}")),
                json!({}),
            )
        }
        Act::Topic => (
            Method::PUT,
            at("state/m.room.topic"),
            json!({"topic": number.to_string()}),
        ),
        Act::Visibility(which) => {
            let names = ["joined", "invited", "shared", "world_readable"];
            let body = json!({"history_visibility": names[usize::from(*which)]});
            (Method::PUT, at("state/m.room.history_visibility"), body)
        }
        Act::Create { .. } | Act::Sync { .. } | Act::Restart | Act::Name => return None,
    })
}

async fn run(acts: Vec<(usize, usize, Act)>) {
    let mut stage = Stage::new().await;
    let users = [stage.ada.clone(), stage.bob.clone(), stage.cleo.clone()];
    let mut models = [Model::default(), Model::default(), Model::default()];
    let mut rooms: Vec<String> = Vec::new();
    let mut said: Vec<String> = Vec::new();
    for (number, (who, place, act)) in acts.into_iter().enumerate() {
        let user = &users[who];
        match act {
            Act::Create { open } => {
                if rooms.len() < ROOMS {
                    let preset = if open { "public_chat" } else { "private_chat" };
                    let body = json!({"preset": preset});
                    rooms.push(text(
                        &post(&stage.world, user, "/createRoom", body).await["room_id"],
                    ));
                }
                continue;
            }
            Act::Sync { limit } => {
                models[who].follow(&stage.world, user, limit).await;
                continue;
            }
            Act::Restart => {
                stage = stage.restarted();
                continue;
            }
            Act::Name => {
                let path = format!("/profile/{}/displayname", user.id);
                put(
                    &stage.world,
                    user,
                    &path,
                    json!({"displayname": number.to_string()}),
                )
                .await;
                continue;
            }
            Act::Join
            | Act::Leave
            | Act::Invite(_)
            | Act::Kick(_)
            | Act::Ban(_)
            | Act::Unban(_)
            | Act::Say
            | Act::Redact
            | Act::Topic
            | Act::Visibility(_) => {}
        }
        let Some(room) = rooms.get(place % rooms.len().max(1)) else {
            continue;
        };
        let last = said.last().map(String::as_str);
        let Some((method, path, body)) = request(&act, room, &users, number, last) else {
            continue;
        };
        // Many of these are refused, as they should be.
        let reply = stage.world.ask_as(&user.token, method, &path, body).await;
        assert!(
            [200, 400, 403, 404].contains(&reply.status),
            "{path}: {}",
            reply.body
        );
        if let Some(id) = reply.body["event_id"].as_str() {
            said.push(id.to_owned());
        }
    }
    for (model, user) in models.iter_mut().zip(&users) {
        model.follow(&stage.world, user, 3).await;
        model.check(&stage.world, user).await;
    }
    let findings = stage
        .world
        .store
        .snapshot()
        .unwrap()
        .verify(|_, _| {})
        .unwrap();
    assert!(findings.is_empty(), "{findings:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn who_follows_knows_what_there_is(
        acts in prop::collection::vec((0..3_usize, 0..ROOMS, act()), 1..70),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(acts));
    }
}
