//! Sliding sync as a client sees it, without sockets.

mod extensions;

use std::collections::BTreeSet;
use std::time::Duration;

use ruma::api::client::sync::sync_events::v5::response;
use serde_json::Value;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::deliver::endpoint::testing::ADA;
use crate::deliver::endpoint::testing::ANN;
use crate::deliver::endpoint::testing::BOB;
use crate::deliver::endpoint::testing::WALK;
use crate::deliver::endpoint::testing::World;
use crate::deliver::endpoint::testing::conversation;
use crate::deliver::endpoint::testing::handle;
use crate::deliver::endpoint::testing::key;
use crate::deliver::endpoint::testing::said;
use crate::model::contact::Contact;
use crate::model::conversation::Alias;
use crate::net::HeaderValue;
use crate::net::Method;
use crate::net::Request;
use crate::net::header;
use crate::store::Page;
use crate::store::Prepared;
use crate::store::account::Account;
use crate::store::value::Opaque;

const SYNC: &str = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync";

/// One list with a window, one event of each room.
fn list(first: usize, last: usize) -> Value {
    json!({ "lists": { "all": {
        "ranges": [[first, last]],
        "timeline_limit": 1,
        "required_state": [["m.room.name", ""], ["m.room.member", "$LAZY"], ["m.room.member", "$ME"]],
    } } })
}

/// The same with an extension.
fn with(mut body: Value, extension: &str, config: Value) -> Value {
    body["extensions"][extension] = config;
    body
}

fn on() -> Value {
    json!({ "enabled": true })
}

impl World {
    async fn slide(&self, pos: Option<&Value>, body: &Value) -> Value {
        let pos = pos.map(|pos| pos.as_str().unwrap());
        let query = pos.map_or(String::new(), |pos| format!("?timeout=0&pos={pos}"));
        self.post(&format!("{SYNC}{query}"), body.clone())
            .await
            .ok()
    }

    /// Polls for half a minute.
    async fn poll(&self, pos: &Value, body: &Value) -> Value {
        let query = format!("?timeout=30000&pos={}", pos.as_str().unwrap());
        self.post(&format!("{SYNC}{query}"), body.clone())
            .await
            .ok()
    }

    fn say(&self, messages: Vec<Prepared>) {
        self.add(Page {
            messages,
            ..Page::default()
        });
    }

    fn row(&self, with: &str) -> crate::base::ids::RowId {
        let alias = Alias::key(&key(with));
        self.store
            .snapshot()
            .unwrap()
            .resolve(&alias)
            .unwrap()
            .unwrap()
    }

    fn name_bob(&self, name: &str) {
        self.add(Page {
            contacts: Some(vec![Contact {
                id: "bob".to_owned(),
                name: name.to_owned(),
                handles: vec![handle(BOB)],
                is_owner: false,
            }]),
            ..Page::default()
        });
    }
}

/// The ids of the rooms of an answer.
fn rooms(answer: &Value) -> BTreeSet<String> {
    answer["rooms"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect()
}

fn bodies(room: &Value) -> Vec<&str> {
    let events = room["timeline"].as_array().unwrap().iter();
    events
        .map(|event| event["content"]["body"].as_str().unwrap_or_default())
        .collect()
}

/// Types and state keys.
fn state(room: &Value) -> Vec<(&str, &str)> {
    let events = room["required_state"].as_array().unwrap().iter();
    events
        .map(|event| {
            (
                event["type"].as_str().unwrap(),
                event["state_key"].as_str().unwrap(),
            )
        })
        .collect()
}

/// Without what is different each time.
fn without_pos(mut answer: Value) -> Value {
    answer.as_object_mut().unwrap().remove("pos");
    answer
}

#[tokio::test]
async fn a_window_shows_the_rooms_with_the_newest_messages() {
    let world = World::new();

    let answer = world.slide(None, &list(0, 1)).await;

    assert_eq!(answer["lists"]["all"]["count"], 3);
    assert_eq!(
        rooms(&answer),
        BTreeSet::from([world.room(WALK), world.room(BOB)])
    );
}

#[tokio::test]
async fn a_room_comes_first_as_a_whole() {
    let world = World::new();

    let mut answer = world.slide(None, &list(0, 1)).await;

    let mut room = answer["rooms"][world.room(BOB)].take();
    assert_eq!(bodies(&room), ["The keys are under the mat"]);
    let bob = world.ghost(BOB);
    assert_eq!(
        state(&room),
        [("m.room.member", ADA), ("m.room.member", bob.as_str())]
    );
    for part in ["timeline", "required_state", "prev_batch"] {
        assert!(
            !room
                .as_object_mut()
                .unwrap()
                .remove(part)
                .unwrap()
                .is_null()
        );
    }
    let expected = json!({
        "initial": true,
        "is_dm": true,
        "heroes": [{"user_id": bob, "displayname": "bob@example.org"}],
        "joined_count": 2,
        "invited_count": 0,
        "notification_count": 1,
        "highlight_count": 0,
        "bump_stamp": 978_307_200_000_i64 + 4 * 60_000,
        "limited": true,
        "num_live": 0,
    });
    assert_eq!(room, expected);
}

#[tokio::test]
async fn a_named_room_has_its_name_and_no_heroes() {
    let world = World::new();

    let answer = world.slide(None, &list(0, 1)).await;

    let room = &answer["rooms"][world.room(WALK)];
    assert_eq!(room["name"], "Walk");
    assert_eq!(room["heroes"], Value::Null);
    assert_eq!(room["is_dm"], false);
    assert_eq!(room["joined_count"], 3);
    assert_eq!(room["notification_count"], 0);
}

#[tokio::test]
async fn answers_are_what_rumas_clients_read() {
    let world = World::new();
    let mut body = list(0, 9);
    for extension in ["account_data", "receipts", "typing", "e2ee", "to_device"] {
        body = with(body, extension, on());
    }

    let answer = world.slide(None, &body).await;

    let mut parsed = 0;
    for room in answer["rooms"].as_object().unwrap().values() {
        let room: response::Room = serde_json::from_value(room.clone()).unwrap();
        assert!(room.timeline[0].deserialize().is_ok());
        assert!(
            room.required_state
                .iter()
                .all(|event| event.deserialize().is_ok())
        );
        parsed += 1;
    }
    assert_eq!(parsed, 3);
    let extensions: response::Extensions =
        serde_json::from_value(answer["extensions"].clone()).unwrap();
    assert!(
        extensions
            .account_data
            .global
            .iter()
            .all(|event| event.deserialize().is_ok())
    );
    assert!(
        extensions
            .receipts
            .rooms
            .values()
            .all(|event| event.deserialize().is_ok())
    );
    assert!(!extensions.receipts.is_empty());
    assert!(extensions.to_device.is_some());
    assert!(!extensions.e2ee.is_empty());
}

#[tokio::test]
async fn a_wider_window_brings_only_what_it_shows_more() {
    let world = World::new();
    let first = world.slide(None, &list(0, 1)).await;

    let second = world.slide(Some(&first["pos"]), &list(0, 2)).await;

    assert_eq!(rooms(&second), BTreeSet::from([world.room(ANN)]));
    assert_eq!(second["rooms"][world.room(ANN)]["initial"], true);
}

#[tokio::test]
async fn a_new_message_comes_alone() {
    let world = World::new();
    let first = world.slide(None, &list(0, 2)).await;
    world.say(vec![said(ANN, 7, Some(ANN), "Hello?")]);

    let second = world.slide(Some(&first["pos"]), &list(0, 2)).await;

    assert_eq!(rooms(&second), BTreeSet::from([world.room(ANN)]));
    let room = &second["rooms"][world.room(ANN)];
    assert_eq!(bodies(room), ["Hello?"]);
    assert_eq!(room["num_live"], 1);
    assert_eq!(room["limited"], false);
    assert_eq!(room["initial"], Value::Null);
    assert_eq!(room["notification_count"], 2);
    assert_eq!(room["bump_stamp"], 978_307_200_000_i64 + 7 * 60_000);
}

#[tokio::test]
async fn more_messages_than_wanted_leave_a_gap_to_page_through() {
    let world = World::new();
    let first = world.slide(None, &list(0, 2)).await;
    world.say(vec![
        said(ANN, 7, Some(ANN), "One"),
        said(ANN, 8, Some(ANN), "Two"),
    ]);

    let second = world.slide(Some(&first["pos"]), &list(0, 2)).await;

    let room = &second["rooms"][world.room(ANN)];
    assert_eq!(bodies(room), ["Two"]);
    assert_eq!(room["limited"], true);
    let path = format!(
        "/rooms/{}/messages?dir=b&limit=1&from={}",
        world.room(ANN),
        room["prev_batch"].as_str().unwrap()
    );
    let page = world.get(&path).await.ok();
    assert_eq!(page["chunk"][0]["content"]["body"], "One");
}

#[tokio::test]
async fn nothing_new_is_told_of_no_room() {
    let world = World::new();
    let first = world.slide(None, &list(0, 2)).await;

    let second = world.slide(Some(&first["pos"]), &list(0, 2)).await;

    assert_eq!(rooms(&second), BTreeSet::new());
    assert_eq!(second["lists"]["all"]["count"], 3);
    assert_ne!(second["pos"], first["pos"]);
}

#[tokio::test]
async fn a_lost_answer_is_given_again_with_what_came_since() {
    let world = World::new();
    let first = world.slide(None, &list(0, 2)).await;
    world.say(vec![said(ANN, 7, Some(ANN), "Hello?")]);
    let lost = world.slide(Some(&first["pos"]), &list(0, 2)).await;
    let again = world.slide(Some(&first["pos"]), &list(0, 2)).await;
    assert_eq!(without_pos(again), without_pos(lost));
    world.say(vec![said(BOB, 8, Some(BOB), "Here")]);

    let newer = world.slide(Some(&first["pos"]), &list(0, 2)).await;

    assert_eq!(
        rooms(&newer),
        BTreeSet::from([world.room(ANN), world.room(BOB)])
    );
}

#[tokio::test]
async fn a_position_that_is_not_known_starts_the_client_anew() {
    let world = World::new();
    let first = world.slide(None, &list(0, 2)).await;
    world.slide(None, &list(0, 2)).await;
    let old = first["pos"].as_str().unwrap();

    for pos in [old, "1.1", "nonsense"] {
        let reply = world.post(&format!("{SYNC}?pos={pos}"), list(0, 2)).await;

        assert_eq!(reply.refusal(), (400, "M_UNKNOWN_POS"), "{pos}");
    }
}

#[tokio::test]
async fn connections_of_a_device_do_not_know_of_each_other() {
    let world = World::new();
    let mut other = list(0, 2);
    other["conn_id"] = "other".into();
    let first = world.slide(None, &list(0, 2)).await;
    world.slide(None, &other).await;

    let second = world.slide(Some(&first["pos"]), &list(0, 2)).await;

    assert_eq!(rooms(&second), BTreeSet::new());
}

#[tokio::test]
async fn opening_a_room_brings_more_of_it_at_once() {
    let world = World::new();
    let first = world.slide(None, &list(0, 2)).await;
    let mut body = list(0, 2);
    body["room_subscriptions"][world.room(ANN)] =
        json!({ "timeline_limit": 20, "required_state": [["m.room.create", ""]] });

    let second = world.poll(&first["pos"], &body).await;

    assert_eq!(rooms(&second), BTreeSet::from([world.room(ANN)]));
    let room = &second["rooms"][world.room(ANN)];
    assert_eq!(bodies(room), ["Tea at four?", "Gladly", "Bring the dog"]);
    assert_eq!(room["num_live"], 0);
    assert_eq!(room["initial"], Value::Null);
    assert!(state(room).contains(&("m.room.create", "")));
    let third = world.slide(Some(&second["pos"]), &body).await;
    assert_eq!(rooms(&third), BTreeSet::new());
}

#[tokio::test]
async fn a_room_that_is_opened_again_is_filled_again() {
    let world = World::new();
    let mut open = list(0, 2);
    open["room_subscriptions"][world.room(ANN)] =
        json!({ "timeline_limit": 20, "required_state": [] });
    let first = world.slide(None, &open).await;
    let closed = world.slide(Some(&first["pos"]), &list(0, 2)).await;

    let again = world.slide(Some(&closed["pos"]), &open).await;

    assert_eq!(bodies(&again["rooms"][world.room(ANN)]).len(), 3);
}

#[tokio::test]
async fn a_room_can_be_opened_that_is_in_no_window() {
    let world = World::new();
    let body = json!({ "room_subscriptions": {
        world.room(ANN): { "timeline_limit": 2 },
        "!unknown:example.org": { "timeline_limit": 2 },
    } });

    let answer = world.slide(None, &body).await;

    assert_eq!(rooms(&answer), BTreeSet::from([world.room(ANN)]));
    assert_eq!(
        bodies(&answer["rooms"][world.room(ANN)]),
        ["Gladly", "Bring the dog"]
    );
}

#[tokio::test]
async fn a_room_that_was_out_of_sight_comes_back_with_what_it_missed() {
    let world = World::new();
    let first = world.slide(None, &list(0, 2)).await;
    let narrow = world.slide(Some(&first["pos"]), &list(0, 0)).await;
    world.say(vec![said(BOB, 7, Some(BOB), "Unseen")]);
    world.say(vec![said(WALK, 8, None, "Off we go")]);
    let without = world.slide(Some(&narrow["pos"]), &list(0, 0)).await;
    assert_eq!(rooms(&without), BTreeSet::from([world.room(WALK)]));

    let wide = world.slide(Some(&without["pos"]), &list(0, 2)).await;

    assert_eq!(rooms(&wide), BTreeSet::from([world.room(BOB)]));
    let room = &wide["rooms"][world.room(BOB)];
    assert_eq!(bodies(room), ["Unseen"]);
    assert_eq!(room["initial"], Value::Null);
    assert_eq!(room["limited"], false);
}

#[tokio::test]
async fn filters_choose_rooms() {
    let world = World::new();
    let tag = format!("/user/{ADA}/rooms/{}/tags/m.favourite", world.room(BOB));
    world.put(&tag, json!({ "order": 0.5 })).await.ok();
    let all = [world.room(ANN), world.room(BOB), world.room(WALK)];
    let [ann, bob, walk] = all.clone();
    let cases = [
        (json!({ "is_dm": true }), vec![ann.clone(), bob.clone()]),
        (json!({ "is_dm": false }), vec![walk.clone()]),
        (json!({ "is_invite": true }), vec![]),
        (
            json!({ "is_invite": false, "is_encrypted": false }),
            all.to_vec(),
        ),
        (json!({ "is_encrypted": true }), vec![]),
        (json!({ "room_types": [null] }), all.to_vec()),
        (json!({ "room_types": ["m.space"] }), vec![]),
        (json!({ "not_room_types": ["m.space"] }), all.to_vec()),
        (json!({ "not_room_types": [null] }), vec![]),
        (json!({ "room_name_like": "ANN" }), vec![ann.clone()]),
        (json!({ "room_name_like": "wal" }), vec![walk.clone()]),
        (json!({ "tags": ["m.favourite"] }), vec![bob]),
        (json!({ "not_tags": ["m.favourite"] }), vec![ann, walk]),
        (json!({ "spaces": ["!space:example.org"] }), vec![]),
    ];
    for (filters, expected) in cases {
        let mut body = list(0, 9);
        body["lists"]["all"]["filters"] = filters.clone();

        let answer = world.slide(None, &body).await;

        assert_eq!(answer["lists"]["all"]["count"], expected.len(), "{filters}");
        assert_eq!(rooms(&answer), expected.into_iter().collect(), "{filters}");
    }
}

#[tokio::test]
async fn the_newest_message_orders_rooms_not_their_arrival() {
    let world = World::new();
    world.add(Page {
        conversations: vec![conversation(
            "tel:+15550100009",
            &["tel:+15550100009"],
            None,
        )],
        messages: vec![said("tel:+15550100009", 0, None, "Long ago")],
        ..Page::default()
    });

    let answer = world.slide(None, &list(3, 3)).await;

    assert_eq!(answer["lists"]["all"]["count"], 4);
    assert_eq!(
        rooms(&answer),
        BTreeSet::from([world.room("tel:+15550100009")])
    );
}

#[tokio::test]
async fn state_is_what_is_asked_for() {
    let world = World::new();
    let (ann, bob) = (world.ghost(ANN), world.ghost(BOB));
    let member = "m.room.member";
    let name = ("m.room.name", "");
    let cases = [
        (json!([]), vec![]),
        (json!([["m.room.name", ""]]), vec![name]),
        (json!([[member, "$ME"]]), vec![(member, ADA)]),
        // The owner wrote the newest event.
        (json!([[member, "$LAZY"]]), vec![(member, ADA)]),
        (json!([[member, bob]]), vec![(member, bob.as_str())]),
        (
            json!([[member, "*"]]),
            vec![
                (member, ADA),
                (member, ann.as_str()),
                (member, bob.as_str()),
            ],
        ),
    ];
    for (wanted, expected) in cases {
        let mut body = list(0, 0);
        body["lists"]["all"]["required_state"] = wanted.clone();

        let answer = world.slide(None, &body).await;

        assert_eq!(
            state(&answer["rooms"][world.room(WALK)]),
            expected,
            "{wanted}"
        );
    }
    let mut body = list(0, 0);
    body["lists"]["all"]["required_state"] = json!([["*", "*"]]);
    let answer = world.slide(None, &body).await;
    let all = world
        .get(&format!("/rooms/{}/state", world.room(WALK)))
        .await
        .ok();
    assert_eq!(
        state(&answer["rooms"][world.room(WALK)]).len(),
        all.as_array().unwrap().len()
    );
}

#[tokio::test]
async fn a_contact_with_another_name_changes_rooms_without_a_message() {
    let world = World::new();
    let first = world.slide(None, &list(0, 1)).await;
    world.name_bob("Bob Example");

    let second = world.slide(Some(&first["pos"]), &list(0, 1)).await;

    let room = &second["rooms"][world.room(BOB)];
    assert_eq!(room["heroes"][0]["displayname"], "Bob Example");
    assert!(bodies(room).is_empty());
    let bob = world.ghost(BOB);
    assert!(state(room).contains(&("m.room.member", bob.as_str())));
    let third = world.slide(Some(&second["pos"]), &list(0, 1)).await;
    assert_eq!(rooms(&third), BTreeSet::new());
}

#[tokio::test]
async fn a_room_with_another_epoch_is_left_for_the_new_one() {
    let world = World::new();
    let first = world.slide(None, &list(0, 2)).await;
    let row = world.row(BOB);
    world.write(|transaction| transaction.renew_room(row).map(drop));

    let second = world.slide(Some(&first["pos"]), &list(0, 2)).await;

    let old = &second["rooms"][world.room(BOB)];
    let member = &old["required_state"][0];
    assert_eq!(member["type"], "m.room.member");
    assert_eq!(member["state_key"], ADA);
    assert_eq!(member["content"]["membership"], "leave");
    let account = &world.endpoint().settings.account;
    let new = account.room(&key(BOB), 1).as_str().to_owned();
    assert_eq!(second["rooms"][&new]["initial"], true);
    assert_eq!(second["lists"]["all"]["count"], 3);
    let third = world.slide(Some(&second["pos"]), &list(0, 2)).await;
    assert_eq!(rooms(&third), BTreeSet::new());
}

#[tokio::test]
async fn a_room_that_goes_on_in_another_has_a_tombstone() {
    let world = World::new();
    let first = world.slide(None, &list(0, 2)).await;
    let mut united = conversation(ANN, &[ANN], None);
    united.aliases.push(Alias::key(&key(BOB)));
    world.add(Page {
        conversations: vec![united],
        ..Page::default()
    });

    let second = world.slide(Some(&first["pos"]), &list(0, 2)).await;

    let old = &second["rooms"][world.room(BOB)]["required_state"];
    assert_eq!(old[0]["content"]["membership"], "leave");
    assert_eq!(old[1]["type"], "m.room.tombstone");
    assert_eq!(old[1]["content"]["replacement_room"], world.room(ANN));
}

#[tokio::test]
async fn a_room_that_was_left_is_gone_until_the_next_message() {
    let world = World::new();
    let first = world.slide(None, &list(0, 2)).await;
    let room = world.room(BOB);
    let path = format!("/rooms/{room}/leave");
    world.post(&path, json!({})).await.ok();

    let left = world.slide(Some(&first["pos"]), &list(0, 2)).await;
    let quiet = world.slide(Some(&left["pos"]), &list(0, 2)).await;
    world.say(vec![said(BOB, 9, Some(BOB), "Back?")]);
    let back = world.slide(Some(&quiet["pos"]), &list(0, 2)).await;

    let member = &left["rooms"][&room]["required_state"][0];
    assert_eq!(member["content"]["membership"], "leave");
    assert_eq!(left["lists"]["all"]["count"], 2);
    assert_eq!(rooms(&quiet), BTreeSet::new());
    assert_eq!(back["lists"]["all"]["count"], 3);
    assert_eq!(back["rooms"][&room]["initial"], true);
    assert_eq!(bodies(&back["rooms"][&room]), ["Back?"]);
}

#[tokio::test]
async fn a_room_that_was_left_and_joined_in_between_comes_whole() {
    let world = World::new();
    let first = world.slide(None, &list(0, 2)).await;
    let room = world.room(BOB);
    let path = |what: &str| format!("/rooms/{room}/{what}");
    world.post(&path("leave"), json!({})).await.ok();
    world.post(&path("join"), json!({})).await.ok();

    let second = world.slide(Some(&first["pos"]), &list(0, 2)).await;

    assert_eq!(second["rooms"][&room]["initial"], true);
}

#[tokio::test]
async fn muting_alone_changes_a_count() {
    let world = World::new();
    let first = world.slide(None, &list(0, 2)).await;
    let room = world.room(BOB);
    assert_eq!(first["rooms"][&room]["notification_count"], 1);
    let rule = format!("/pushrules/global/room/{room}");
    world.put(&rule, json!({ "actions": [] })).await.ok();

    let second = world.poll(&first["pos"], &list(0, 2)).await;

    assert_eq!(rooms(&second), BTreeSet::from([room.clone()]));
    assert_eq!(second["rooms"][&room]["notification_count"], 0);
}

#[tokio::test]
async fn a_deleted_room_leaves_the_list_even_out_of_sight() {
    let world = World::new();
    let first = world.slide(None, &list(0, 2)).await;
    let narrow = world.slide(Some(&first["pos"]), &list(0, 0)).await;
    let mut gone = conversation(BOB, &[BOB], None);
    gone.conversation.deleted = Some(crate::deliver::endpoint::testing::at(50));
    world.add(Page {
        conversations: vec![gone],
        ..Page::default()
    });

    let answer = world.slide(Some(&narrow["pos"]), &list(0, 0)).await;

    assert_eq!(answer["lists"]["all"]["count"], 2);
    assert_eq!(rooms(&answer), BTreeSet::from([world.room(BOB)]));
    let left = &answer["rooms"][world.room(BOB)];
    assert_eq!(left["required_state"][0]["content"]["membership"], "leave");
}

#[tokio::test(start_paused = true)]
async fn a_poll_ends_when_something_comes() {
    let world = World::new();
    let first = world.slide(None, &list(0, 2)).await;
    let body = list(0, 2);
    let poll = world.poll(&first["pos"], &body);
    tokio::pin!(poll);
    let early = tokio::time::timeout(Duration::from_secs(10), &mut poll).await;
    assert!(early.is_err());
    world.say(vec![said(ANN, 7, Some(ANN), "Hello?")]);

    let answer = poll.await;

    assert_eq!(rooms(&answer), BTreeSet::from([world.room(ANN)]));
}

#[tokio::test(start_paused = true)]
async fn a_poll_without_news_ends_in_time_with_a_position_to_go_on_from() {
    let world = World::new();
    let first = world.slide(None, &list(0, 2)).await;
    let begun = tokio::time::Instant::now();

    let second = world.poll(&first["pos"], &list(0, 2)).await;

    assert_eq!(begun.elapsed().as_secs(), 30);
    assert_eq!(rooms(&second), BTreeSet::new());
    world.say(vec![said(ANN, 7, Some(ANN), "Hello?")]);
    let third = world.slide(Some(&second["pos"]), &list(0, 2)).await;
    assert_eq!(rooms(&third), BTreeSet::from([world.room(ANN)]));
}

#[tokio::test(start_paused = true)]
async fn a_poll_ends_when_the_server_stops() {
    let world = World::new();
    let first = world.slide(None, &list(0, 2)).await;
    let stop = CancellationToken::new();
    stop.cancel();
    let target = format!(
        "{SYNC}?timeout=30000&pos={}",
        first["pos"].as_str().unwrap()
    );
    let bearer = HeaderValue::from_str(&format!("Bearer {}", world.token)).unwrap();
    let mut request = Request::new(Method::POST, &target)
        .with_header(header::AUTHORIZATION, bearer)
        .with_body(list(0, 2).to_string());
    request.stop = stop;
    let begun = tokio::time::Instant::now();

    let reply = world.send(request).await;

    assert_eq!(reply.status, 200);
    assert_eq!(begun.elapsed().as_secs(), 0);
}

#[tokio::test(start_paused = true)]
async fn another_request_ends_the_poll_before_it_without_losing_anything() {
    let world = World::new();
    let first = world.slide(None, &list(0, 2)).await;
    let body = list(0, 2);
    let poll = world.poll(&first["pos"], &body);
    tokio::pin!(poll);
    let early = tokio::time::timeout(Duration::from_secs(1), &mut poll).await;
    assert!(early.is_err());

    let second = world.slide(Some(&first["pos"]), &body).await;

    let ended = poll.await;
    assert_eq!(ended["pos"], first["pos"]);
    world.say(vec![said(ANN, 7, Some(ANN), "Hello?")]);
    let third = world.slide(Some(&second["pos"]), &body).await;
    assert_eq!(rooms(&third), BTreeSet::from([world.room(ANN)]));
}

#[tokio::test]
async fn who_is_too_far_behind_for_the_log_gets_the_newest_with_a_gap() {
    let world = World::new();
    let first = world.slide(None, &list(0, 0)).await;
    let row = world.row(WALK);
    for _ in 0..=crate::base::limits::SYNC_ENTRIES / 1_000 {
        world.write(|transaction| {
            for _ in 0..1_000 {
                transaction.put_account_data(
                    Account::OWNER,
                    Some(row),
                    "x",
                    Opaque(b"{}".to_vec()),
                )?;
            }
            Ok(())
        });
    }
    world.say(vec![said(WALK, 8, None, "Off we go")]);

    let second = world.slide(Some(&first["pos"]), &list(0, 0)).await;

    let room = &second["rooms"][world.room(WALK)];
    assert_eq!(bodies(room), ["Off we go"]);
    assert_eq!(room["limited"], true);
}

#[tokio::test]
async fn nobody_asks_for_more_lists_than_there_may_be() {
    let world = World::new();
    let lists: serde_json::Map<String, Value> = (0..=crate::base::limits::SLIDING_LISTS)
        .map(|n| (n.to_string(), json!({})))
        .collect();

    let reply = world.post(SYNC, json!({ "lists": lists })).await;

    assert_eq!(reply.refusal(), (400, "M_INVALID_PARAM"));
}

#[tokio::test]
async fn the_transaction_id_comes_back() {
    let world = World::new();

    let answer = world.slide(None, &json!({ "txn_id": "t1" })).await;

    assert_eq!(answer["txn_id"], "t1");
}
