//! The rules of `/sync`, one test each.

mod model;
mod race;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;

use crate::base::ids::ChangeNumber;
use crate::base::limits::CHANGE_LOG_AGE;
use crate::deliver::endpoint::Server;
use crate::deliver::endpoint::testing::*;
use crate::model::body::Body;
use crate::model::change::Cursor;
use crate::model::change::MessageChange;
use crate::model::change::Parked;
use crate::model::change::Placement;
use crate::model::contact::Contact;
use crate::model::conversation::Alias;
use crate::model::message::Edit;
use crate::model::message::Kind;
use crate::model::message::Message;
use crate::model::message::Version;
use crate::model::record::MessageRecord;
use crate::net::Method;
use crate::store::Page;
use crate::store::Prepared;
use crate::store::Preparer;
use crate::store::account::Account;
use crate::store::value::Opaque;

/// A message with a number of its own, at a minute.
fn numbered(with: &str, number: u16, minute: i64, by: Option<&str>) -> Prepared {
    into(with, text(number, minute, by))
}

fn text(number: u16, minute: i64, by: Option<&str>) -> Message {
    let words = format!("text {number}");
    let mut message = message(number, by, Kind::Message { about: None }, Some(&words));
    message.times.sent = Some(at(minute));
    message
}

/// The same message after some edits, one a minute from a minute on.
fn edited(with: &str, number: u16, sent: i64, by: Option<&str>, edits: &[i64]) -> Prepared {
    let mut message = text(number, sent, by);
    let mut versions = vec![Version {
        text: Some(format!("text {number}")),
        at: Some(at(sent)),
        spans: Vec::new(),
    }];
    for minute in edits {
        versions.push(Version {
            text: Some(format!("text {number} of {minute}")),
            at: Some(at(*minute)),
            spans: Vec::new(),
        });
    }
    message.times.edited = edits.last().map(|minute| at(*minute));
    message.body = versions
        .last()
        .and_then(|last| last.text.as_deref())
        .map(Body::plain);
    message.edits = vec![Edit { part: 0, versions }];
    let change = MessageChange {
        message,
        placement: Placement {
            candidates: vec![Alias::key(&key(with))],
            otherwise: Parked::UnknownChat,
        },
        record: MessageRecord::default(),
        fingerprint: u64::from(number) * 1_000 + edits.len() as u64 + 1,
    };
    Preparer::default().prepare(change, 1).unwrap()
}

fn page(messages: Vec<Prepared>) -> Page {
    Page {
        messages,
        ..Page::default()
    }
}

fn ids(events: &Value) -> Vec<String> {
    let events = events.as_array().unwrap().iter();
    events
        .map(|event| event["event_id"].as_str().unwrap().to_owned())
        .collect()
}

fn bodies(block: &Value) -> Vec<&str> {
    let events = block["timeline"]["events"].as_array().unwrap().iter();
    events
        .map(|event| event["content"]["body"].as_str().unwrap_or_default())
        .collect()
}

impl World {
    async fn sync(&self, since: &str, more: &str) -> Value {
        let since = if since.is_empty() {
            String::new()
        } else {
            format!("&since={since}")
        };
        self.get(&format!("/sync?timeout=0{since}{more}"))
            .await
            .ok()
    }

    async fn position(&self) -> String {
        let answer = self.sync("", "").await;
        answer["next_batch"].as_str().unwrap().to_owned()
    }

    fn restart(&mut self) {
        let old = self.endpoint();
        let (clock, settings) = (Arc::clone(&old.clock), old.settings.clone());
        self.server = Server::new(self.store.clone(), clock, settings).unwrap();
    }

    /// Every event of a room, oldest first.
    async fn all(&self, room: &str) -> Vec<Value> {
        let mut all = Vec::new();
        let mut from = String::new();
        loop {
            let path = format!("/rooms/{room}/messages?dir=f&limit=100{from}");
            let page = self.get(&path).await.ok();
            all.extend_from_slice(page["chunk"].as_array().unwrap());
            match page["end"].as_str() {
                Some(end) => from = format!("&from={end}"),
                None => return all,
            }
        }
    }
}

fn filter(filter: &Value) -> String {
    let text = filter.to_string();
    let mut query = "&filter=".to_owned();
    for byte in text.bytes() {
        write!(query, "%{byte:02X}").unwrap();
    }
    query
}

fn limit(limit: usize) -> String {
    filter(&json!({"room": {"timeline": {"limit": limit}}}))
}

#[tokio::test]
async fn a_first_sync_has_every_room_and_every_object() {
    let world = World::new();

    let answer = world.sync("", "").await;

    assert_eq!(answer["rooms"]["join"].as_object().unwrap().len(), 3);
    for part in ["invite", "leave", "knock"] {
        assert_eq!(answer["rooms"][part], json!({}));
    }
    assert_eq!(answer["to_device"], json!({"events": []}));
    assert_eq!(answer["device_lists"], json!({"changed": [], "left": []}));
    let count = &answer["device_one_time_keys_count"];
    assert_eq!(*count, json!({"signed_curve25519": 0}));
    let kinds: BTreeSet<&str> = answer["account_data"]["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    assert!(kinds.is_superset(&BTreeSet::from(["m.push_rules", "m.direct"])));

    let ann = &answer["rooms"]["join"][world.room(ANN)];
    assert_eq!(bodies(ann), ["Tea at four?", "Gladly", "Bring the dog"]);
    assert_eq!(ann["timeline"]["limited"], true);
    assert!(ann["timeline"]["prev_batch"].is_string());
    assert_eq!(
        ann["summary"],
        json!({
            "m.heroes": [world.ghost(ANN)],
            "m.joined_member_count": 2,
            "m.invited_member_count": 0,
        })
    );
    assert_eq!(ann["unread_notifications"]["notification_count"], 1);
    let read = &ann["timeline"]["events"][1]["event_id"];
    let receipt = &ann["ephemeral"]["events"][0];
    assert_eq!(receipt["type"], "m.receipt");
    assert!(receipt["content"][read.as_str().unwrap()]["m.read"][ADA]["ts"].is_i64());
    let fully_read = json!([{"type": "m.fully_read", "content": {"event_id": read}}]);
    assert_eq!(ann["account_data"]["events"], fully_read);
    let walk = &answer["rooms"]["join"][world.room(WALK)];
    assert_eq!(walk["summary"].get("m.heroes"), None);
}

#[tokio::test]
async fn a_block_has_every_object_even_if_it_is_empty() {
    let world = World::new();
    let since = world.position().await;
    world.add(page(vec![said(BOB, 7, Some(BOB), "Found them?")]));

    let answer = world.sync(&since, "").await;

    let block = answer["rooms"]["join"][world.room(BOB)]
        .as_object()
        .unwrap();
    for part in ["state", "ephemeral", "account_data"] {
        assert!(block[part]["events"].is_array(), "{part}");
    }
    assert_eq!(block["timeline"]["limited"], false);
    assert!(block["timeline"]["prev_batch"].is_string());
    assert_eq!(answer["rooms"]["join"].as_object().unwrap().len(), 1);
}

#[tokio::test]
async fn more_than_the_limit_is_limited_and_paged() {
    let world = World::new();
    let since = world.position().await;
    let texts = (0..8).map(|number| numbered(ANN, 100 + number, 10 + i64::from(number), Some(ANN)));
    world.add(page(texts.collect()));

    let answer = world.sync(&since, &limit(3)).await;

    let block = &answer["rooms"]["join"][world.room(ANN)];
    assert_eq!(bodies(block), ["text 105", "text 106", "text 107"]);
    assert_eq!(block["timeline"]["limited"], true);
    let from = block["timeline"]["prev_batch"].as_str().unwrap();
    let path = format!(
        "/rooms/{}/messages?dir=b&limit=5&from={from}",
        world.room(ANN)
    );
    let chunk = world.get(&path).await.ok()["chunk"].clone();
    let texts: Vec<&str> = chunk
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["content"]["body"].as_str().unwrap())
        .collect();
    assert_eq!(
        texts,
        ["text 104", "text 103", "text 102", "text 101", "text 100"]
    );
}

#[tokio::test]
async fn a_few_late_events_come_before_the_new_ones() {
    let world = World::new();
    let since = world.position().await;
    world.add(page(vec![
        numbered(WALK, 100, 10, None),
        numbered(WALK, 101, 4, None),
        numbered(WALK, 102, 3, None),
    ]));

    let answer = world.sync(&since, "").await;

    let block = &answer["rooms"]["join"][world.room(WALK)];
    assert_eq!(bodies(block), ["text 102", "text 101", "text 100"]);
    assert_eq!(block["timeline"]["limited"], false);
}

#[tokio::test]
async fn receipts_go_to_the_end_of_a_block_of_late_events() {
    let world = World::new();
    let since = world.position().await;
    world.add(page(vec![numbered(WALK, 101, 3, None)]));

    let answer = world.sync(&since, "").await;

    let block = &answer["rooms"]["join"][world.room(WALK)];
    let [late] = ids(&block["timeline"]["events"]).try_into().unwrap();
    let receipts = &block["ephemeral"]["events"][0]["content"];
    assert!(receipts[late]["m.read"][ADA].is_object(), "{block}");
}

#[tokio::test]
async fn many_late_events_are_not_sent_but_announced() {
    let world = World::new();
    let since = world.position().await;
    let late = (0..51).map(|number| numbered(ANN, 100 + number, -100, Some(ANN)));
    world.add(page(late.collect()));

    let answer = world.sync(&since, &limit(100)).await;

    let block = &answer["rooms"]["join"][world.room(ANN)];
    assert_eq!(bodies(block), Vec::<&str>::new());
    assert_eq!(block["timeline"]["limited"], true);
    let state = block["state"]["events"].as_array().unwrap();
    let kinds: Vec<&Value> = state.iter().map(|event| &event["type"]).collect();
    assert_eq!(kinds, ["org.footbridge.history"]);
}

#[tokio::test]
async fn edits_are_never_late() {
    let world = World::new();
    let first = (0..60).map(|number| numbered(ANN, 100 + number, -100, Some(ANN)));
    world.add(page(first.collect()));
    let since = world.position().await;
    let edits = (0..60).map(|number| edited(ANN, 100 + number, -100, Some(ANN), &[-99]));
    world.add(page(edits.collect()));

    let answer = world.sync(&since, &limit(100)).await;

    let block = &answer["rooms"]["join"][world.room(ANN)];
    assert_eq!(block["timeline"]["limited"], false);
    assert_eq!(block["timeline"]["events"].as_array().unwrap().len(), 60);
}

#[tokio::test]
async fn a_tapback_that_was_deleted_before_it_came_ends_none() {
    let world = World::new();
    let mut unseen = loved(202, 200);
    unseen.times.deleted = Some(at(203));
    let seen = into(ANN, loved(201, 200));
    world.add(page(vec![
        said(ANN, 200, None, "x"),
        seen,
        into(ANN, unseen),
    ]));

    let all = world.all(&world.room(ANN)).await;

    let reaction = all.last().unwrap();
    assert_eq!(reaction["type"], "m.reaction");
    assert_eq!(
        reaction["content"]["m.relates_to"]["rel_type"],
        "m.annotation"
    );
}

#[tokio::test]
async fn a_tapback_on_what_was_deleted_before_it_came_is_not_shown() {
    let world = World::new();
    let mut unseen = message(200, None, Kind::Message { about: None }, Some("x"));
    unseen.times.deleted = Some(at(203));
    let room = world.room(ANN);
    let before = world.all(&room).await.len();
    world.add(page(vec![into(ANN, unseen), into(ANN, loved(201, 200))]));

    assert_eq!(world.all(&room).await.len(), before);
}

#[tokio::test]
async fn a_token_outlives_the_server() {
    let mut world = World::new();
    let since = world.position().await;
    world.add(page(vec![numbered(ANN, 100, 10, Some(ANN))]));
    world.restart();

    let answer = world.sync(&since, "").await;

    assert_eq!(answer["rooms"]["join"].as_object().unwrap().len(), 1);
    assert_eq!(
        bodies(&answer["rooms"]["join"][world.room(ANN)]),
        ["text 100"]
    );
}

#[tokio::test]
async fn tokens_of_other_archives_get_every_room_again() {
    let world = World::new();
    let since = world.position().await;
    let (_, rest) = since.split_once('_').unwrap();
    let (generation, _) = since.split_once('_').unwrap();

    for other in [
        format!("s1_{rest}"),
        format!("{generation}_999_0.0"),
        "x".to_owned(),
    ] {
        let answer = world.sync(&other, "").await;

        let rooms = answer["rooms"]["join"].as_object().unwrap();
        assert_eq!(rooms.len(), 3);
        assert!(
            rooms
                .values()
                .all(|room| room["timeline"]["limited"] == true)
        );
    }
}

#[tokio::test]
async fn who_is_behind_the_log_reads_changed_rooms_again() {
    let world = World::new();
    let since = world.position().await;
    world.add(page(vec![numbered(ANN, 100, -10, Some(ANN))]));
    world.pass(CHANGE_LOG_AGE + Duration::from_hours(1));
    world.add(page(vec![numbered(BOB, 101, 10, Some(BOB))]));

    let answer = world.sync(&since, "").await;

    let block = &answer["rooms"]["join"][world.room(ANN)];
    assert_eq!(block["timeline"]["limited"], true);
    assert!(block["state"]["events"].as_array().unwrap().len() > 5);
}

#[tokio::test]
async fn a_room_that_is_published_wakes_who_waits() {
    let world = World::new();
    let since = world.position().await;
    let path = format!("/sync?timeout=30000&since={since}");
    let carol = "tel:+15550100003";

    let publish = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        world.add(Page {
            conversations: vec![conversation(carol, &[carol], None)],
            messages: vec![numbered(carol, 100, 10, Some(carol))],
            unfinished: true,
            ..Page::default()
        });
        tokio::time::sleep(Duration::from_millis(50)).await;
        world.add(Page {
            cursor: Some(Cursor::default()),
            ..Page::default()
        });
    };
    let (answer, ()) = tokio::join!(world.get(&path), publish);

    let answer = answer.ok();
    let block = &answer["rooms"]["join"][world.room(carol)];
    assert_eq!(bodies(block), ["text 100"]);
    assert_eq!(block["timeline"]["limited"], true);
    let kinds = answer["account_data"]["events"].as_array().unwrap().iter();
    assert!(
        kinds
            .map(|event| &event["type"])
            .any(|kind| kind == "m.direct")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_between_reading_and_waiting() {
    let world = World::new();
    let mut since = world.position().await;
    let store = world.store.clone();
    let writing = std::thread::spawn(move || {
        for number in 0..30 {
            let page = page(vec![numbered(ANN, 100 + number, 10, Some(ANN))]);
            store
                .write(|tx| tx.apply(page, crate::model::record::SourceKind::ChatDb, 1))
                .unwrap();
        }
    });

    let mut seen = BTreeSet::new();
    while seen.len() < 30 {
        let path = format!("/sync?timeout=20000&since={since}{}", limit(100));
        let answer = world.get(&path).await.ok();
        let block = &answer["rooms"]["join"][world.room(ANN)];
        assert!(block.is_object(), "a poll that nothing woke");
        seen.extend(ids(&block["timeline"]["events"]));
        since = answer["next_batch"].as_str().unwrap().to_owned();
    }
    writing.join().unwrap();
}

#[tokio::test]
async fn a_poll_without_news_ends_in_time() {
    let world = World::new();
    let since = world.position().await;

    let answer = world
        .get(&format!("/sync?timeout=20&since={since}"))
        .await
        .ok();

    assert_eq!(answer["rooms"]["join"], json!({}));
    assert_eq!(answer["next_batch"], since);
}

#[tokio::test]
async fn a_room_that_was_left_comes_back_with_the_next_message() {
    let world = World::new();
    let since = world.position().await;
    let room = world.room(ANN);

    world
        .post(&format!("/rooms/{room}/leave"), json!({}))
        .await
        .ok();

    let left = world.sync(&since, "").await;
    assert!(left["rooms"]["leave"][&room].is_object());
    assert_eq!(left["rooms"]["join"], json!({}));
    let first = world.sync("", "").await;
    assert_eq!(first["rooms"]["join"].as_object().unwrap().len(), 2);
    assert_eq!(first["rooms"]["leave"], json!({}));

    world.add(page(vec![numbered(ANN, 100, 10, Some(ANN))]));
    let since = left["next_batch"].as_str().unwrap();
    let back = world.sync(since, "").await;
    let block = &back["rooms"]["join"][&room];
    assert_eq!(bodies(block).len(), 4);
    assert_eq!(block["timeline"]["limited"], true);
    let since = back["next_batch"].as_str().unwrap();
    assert_eq!(world.sync(since, "").await["rooms"]["join"], json!({}));
}

#[tokio::test]
async fn joining_a_room_that_was_left_shows_it_again() {
    let world = World::new();
    let room = world.room(ANN);
    world
        .post(&format!("/rooms/{room}/leave"), json!({}))
        .await
        .ok();
    let since = world.position().await;

    let joined = world.post(&format!("/join/{room}"), json!({})).await.ok();

    assert_eq!(joined, json!({"room_id": room}));
    let back = world.sync(&since, "").await;
    assert_eq!(bodies(&back["rooms"]["join"][&room]).len(), 3);
}

#[tokio::test]
async fn lazy_members_are_everybody_who_wrote_the_block() {
    let world = World::new();
    let stranger = "tel:+15550100099";
    world.add(page(vec![
        numbered(WALK, 100, 10, Some(ANN)),
        numbered(WALK, 101, 11, Some(stranger)),
    ]));
    let lazy = filter(&json!({"room": {
        "timeline": {"limit": 2},
        "state": {"lazy_load_members": true},
    }}));

    let answer = world.sync("", &lazy).await;

    let block = &answer["rooms"]["join"][world.room(WALK)];
    let state = block["state"]["events"].as_array().unwrap();
    let members: BTreeSet<&str> = state
        .iter()
        .filter(|event| event["type"] == "m.room.member")
        .map(|event| event["state_key"].as_str().unwrap())
        .collect();
    let (ann, other) = (world.ghost(ANN), world.ghost(stranger));
    assert_eq!(members, BTreeSet::from([ADA, ann.as_str(), other.as_str()]));
}

#[tokio::test]
async fn merged_rooms_are_left_with_a_tombstone() {
    let world = World::new();
    let since = world.position().await;
    world.add(Page {
        contacts: Some(vec![Contact {
            id: "ann".to_owned(),
            name: "Ann Example".to_owned(),
            handles: vec![handle(ANN), handle(BOB)],
            is_owner: false,
        }]),
        ..Page::default()
    });

    let answer = world.sync(&since, "").await;

    let left = answer["rooms"]["leave"].as_object().unwrap();
    let expected = BTreeSet::from([world.room(ANN), world.room(BOB)]);
    assert_eq!(left.keys().cloned().collect::<BTreeSet<_>>(), expected);
    let last = &left[&world.room(BOB)]["timeline"]["events"][0];
    assert_eq!(last["type"], "m.room.tombstone");
    let new = last["content"]["replacement_room"].as_str().unwrap();
    let block = &answer["rooms"]["join"][new];
    assert_eq!(bodies(block).len(), 4);
}

#[tokio::test]
async fn typing_wakes_who_waits_and_ends() {
    let world = World::new();
    let other = world.log_in("LAPTOP");
    let since = world.position().await;
    let room = world.room(ANN);
    let path = format!("/sync?timeout=30000&since={since}");
    let typing = format!("/rooms/{room}/typing/{ADA}");

    let say = async {
        tokio::time::sleep(Duration::from_millis(30)).await;
        let body = json!({"typing": true, "timeout": 60});
        let said = world.ask_as(&other, Method::PUT, &typing, body).await.ok();
        assert_eq!(said, json!({}));
    };
    let (answer, ()) = tokio::join!(world.get(&path), say);
    let answer = answer.ok();
    let notice = |answer: &Value| {
        answer["rooms"]["join"][&room]["ephemeral"]["events"]
            .as_array()
            .and_then(|events| events.iter().find(|event| event["type"] == "m.typing"))
            .map(|event| event["content"]["user_ids"].clone())
    };
    assert_eq!(notice(&answer), Some(json!([ADA])));

    let since = answer["next_batch"].as_str().unwrap();
    let path = format!("/sync?timeout=30000&since={since}");
    assert_eq!(notice(&world.get(&path).await.ok()), Some(json!([])));
}

#[tokio::test]
async fn receipts_move_forward_only() {
    let world = World::new();
    let room = world.room(ANN);
    let since = world.position().await;
    let events = ids(&world.sync("", "").await["rooms"]["join"][&room]["timeline"]["events"]);

    for event in [&events[2], &events[0], "$nothing"] {
        let path = format!("/rooms/{room}/receipt/m.read/{event}");
        assert_eq!(world.post(&path, json!({})).await.ok(), json!({}));
    }
    let markers = json!({"m.fully_read": events[1], "m.read": events[0]});
    let path = format!("/rooms/{room}/read_markers");
    assert_eq!(world.post(&path, markers).await.ok(), json!({}));

    let answer = world.sync(&since, "").await;
    let block = &answer["rooms"]["join"][&room];
    assert_eq!(block["unread_notifications"]["notification_count"], 0);
    let receipts = block["ephemeral"]["events"][0]["content"]
        .as_object()
        .unwrap();
    assert_eq!(receipts.keys().collect::<Vec<_>>(), [&events[2]]);
    let data = json!([{"type": "m.fully_read", "content": {"event_id": events[1]}}]);
    assert_eq!(block["account_data"]["events"], data);
    assert_eq!(block["timeline"]["events"], json!([]));
}

#[tokio::test]
async fn the_other_side_s_receipt_is_on_what_it_has_read() {
    let world = World::new();
    let mut read = text(100, 10, None);
    read.times.read = Some(at(12));
    world.add(page(vec![into(ANN, read)]));

    let answer = world.sync("", "").await;

    let block = &answer["rooms"]["join"][world.room(ANN)];
    let last = ids(&block["timeline"]["events"]).pop().unwrap();
    let receipts = &block["ephemeral"]["events"][0]["content"][last]["m.read"];
    let ts = at(12).unix_millis();
    assert_eq!(receipts[world.ghost(ANN)], json!({"ts": ts}));
}

#[tokio::test]
async fn messages_to_a_device_are_kept_until_its_token_says_it_has_them() {
    let world = World::new();
    let since = world.position().await;
    let body = Opaque(br#"{"type":"m.dummy","sender":"@x:y","content":{}}"#.to_vec());
    world.write(|tx| tx.send_to_device(Account::OWNER, DEVICE, body).map(drop));

    let first = world.sync(&since, "").await;
    let again = world.sync(&since, "").await;
    let next = first["next_batch"].as_str().unwrap();
    let last = world.sync(next, "").await;

    assert_eq!(first["to_device"]["events"][0]["type"], "m.dummy");
    assert_eq!(again["to_device"], first["to_device"]);
    assert_eq!(last["to_device"], json!({"events": []}));
    let snapshot = world.store.snapshot().unwrap();
    let left = snapshot.to_device(Account::OWNER, DEVICE, ChangeNumber(0), 9);
    assert_eq!(left.unwrap(), Vec::new());
}

#[tokio::test]
async fn a_muted_room_has_nothing_unread() {
    let world = World::new();
    let room = world.room(ANN);
    let rule = json!({"actions": []});
    world
        .put(&format!("/pushrules/global/room/{room}"), rule)
        .await
        .ok();

    let answer = world.sync("", "").await;

    let unread = &answer["rooms"]["join"][&room]["unread_notifications"];
    assert_eq!(unread["notification_count"], 0);
}

#[tokio::test]
async fn rooms_are_found_and_never_made() {
    let world = World::new();
    let found = json!({"invite": [world.ghost(ANN)], "is_direct": true});
    let answer = world.post("/createRoom", found).await.ok();
    assert_eq!(answer, json!({"room_id": world.room(ANN)}));

    let unknown = world.ghost("tel:+15550109999");
    for invite in [
        json!([]),
        json!([world.ghost(ANN), world.ghost(BOB)]),
        json!([unknown]),
    ] {
        let refused = world.post("/createRoom", json!({"invite": invite})).await;
        assert_eq!(refused.refusal(), (403, "M_FORBIDDEN"));
    }
}

#[tokio::test]
async fn writing_into_rooms_is_refused() {
    let world = World::new();
    let room = world.room(ANN);
    let refused = [
        (Method::PUT, "send/m.room.message/t1"),
        (Method::PUT, "redact/$x/t1"),
        (Method::PUT, "state/m.room.name"),
        (Method::POST, "invite"),
        (Method::POST, "kick"),
    ];

    for (method, path) in refused {
        let answer = world
            .ask(method, &format!("/rooms/{room}/{path}"), json!({}))
            .await;
        assert_eq!(answer.refusal(), (403, "M_FORBIDDEN"), "{path}");
    }
}

#[tokio::test]
async fn polls_of_one_device_are_counted() {
    let world = World::new();
    let since = world.position().await;
    let path = format!("/sync?timeout=30000&since={since}");
    let polls: Vec<_> = (0..crate::base::limits::POLLS_PER_DEVICE)
        .map(|_| world.endpoint().polls.take(format!("0/{DEVICE}")).ok())
        .collect();

    let refused = world.get(&path).await;

    assert_eq!(refused.refusal(), (429, "M_LIMIT_EXCEEDED"));
    drop(polls);
    assert_eq!(
        world
            .get(&format!("/sync?timeout=0&since={since}"))
            .await
            .status,
        200
    );
}

/// The address book with Ann under another name.
fn ann_as(name: &str) -> Page {
    Page {
        contacts: Some(vec![Contact {
            id: "ann".to_owned(),
            name: name.to_owned(),
            handles: vec![handle(ANN)],
            is_owner: false,
        }]),
        ..Page::default()
    }
}

fn member<'a>(events: &'a Value, user: &str) -> &'a Value {
    let mut events = events.as_array().unwrap().iter();
    let found = events.find(|event| event["state_key"] == user);
    found.unwrap_or(&Value::Null)
}

#[tokio::test]
async fn another_name_is_another_member_event_at_the_old_time() {
    let world = World::new();
    let (room, ann) = (world.room(WALK), world.ghost(ANN));
    let first = world.sync("", "").await;
    let before = world.all(&room).await;
    let old = member(&first["rooms"]["join"][&room]["state"]["events"], &ann);

    world.add(ann_as("Ann Other"));
    let answer = world.sync(first["next_batch"].as_str().unwrap(), "").await;

    let block = &answer["rooms"]["join"][&room];
    let new = member(&block["state"]["events"], &ann);
    assert_eq!(new["content"]["displayname"], "Ann Other");
    assert_ne!(new["event_id"], old["event_id"]);
    assert_eq!(new["origin_server_ts"], old["origin_server_ts"]);
    assert_eq!(block["timeline"]["events"], json!([]));
    assert_eq!(answer["rooms"]["join"].get(world.room(BOB)), None);
    let named = |events: &[Value]| member(&json!(events), &ann)["content"].clone();
    assert_eq!(named(&world.all(&room).await), named(&before));
    let path = format!("/rooms/{room}/event/{}", new["event_id"].as_str().unwrap());
    let found = world.get(&path).await.ok();
    world.add(ann_as("Ann Third"));
    let superseded = world.get(&path).await.ok();
    for answer in [found, superseded] {
        assert_eq!(answer["content"], new["content"]);
    }
}

#[tokio::test]
async fn a_name_from_before_the_room_was_seen_is_its_first() {
    let world = World::new();
    world.add(ann_as("Ann Other"));
    world.add(Page {
        conversations: vec![conversation("9F1C5A3E-NEW", &[ANN, BOB], Some("New"))],
        messages: vec![said("9F1C5A3E-NEW", 30, Some(BOB), "hello")],
        ..Page::default()
    });

    let all = world.all(&world.room("9F1C5A3E-NEW")).await;

    let ann = world.ghost(ANN);
    assert_eq!(
        member(&Value::Array(all), &ann)["content"]["displayname"],
        "Ann Other"
    );
}

#[tokio::test]
async fn a_group_with_another_name_has_another_state_at_the_old_time() {
    let world = World::new();
    let room = world.room(WALK);
    let since = world.position().await;

    world.add(Page {
        conversations: vec![conversation(WALK, &[ANN, BOB], Some("Run"))],
        ..Page::default()
    });
    let answer = world.sync(&since, "").await;

    let events = answer["rooms"]["join"][&room]["state"]["events"].clone();
    let is_name = |event: &&Value| event["type"] == "m.room.name";
    let new = events.as_array().unwrap().iter().find(is_name).unwrap();
    let all = world.all(&room).await;
    let first = all.iter().find(is_name).unwrap();
    assert_eq!(new["content"]["name"], "Run");
    assert_eq!(first["content"]["name"], "Walk");
    assert_ne!(new["event_id"], first["event_id"]);
    assert_eq!(new["origin_server_ts"], first["origin_server_ts"]);
}

#[tokio::test]
async fn a_message_in_another_room_is_redacted_in_the_old_one() {
    let world = World::new();
    let (ann, bob) = (world.room(ANN), world.room(BOB));
    let event = world.all(&ann).await.pop().unwrap()["event_id"].clone();
    let since = world.position().await;

    world.add(page(vec![said(BOB, 3, Some(ANN), "Bring the dog")]));
    let answer = world.sync(&since, "").await;

    let old = &answer["rooms"]["join"][&ann]["timeline"];
    assert_eq!(old["limited"], false);
    assert_eq!(old["events"][0]["redacts"], event);
    assert_eq!(old["events"].as_array().unwrap().len(), 1);
    assert_eq!(bodies(&answer["rooms"]["join"][&bob]), ["Bring the dog"]);
}

#[tokio::test]
async fn a_message_that_comes_back_to_a_room_is_another_event() {
    let world = World::new();
    let room = world.room(ANN);
    let before = world.all(&room).await.pop().unwrap();
    let since = world.position().await;

    world.add(page(vec![said(BOB, 3, Some(ANN), "Bring the dog")]));
    world.add(page(vec![said(ANN, 3, Some(ANN), "Bring the dog")]));
    let answer = world.sync(&since, "").await;

    let timeline = &answer["rooms"]["join"][&room]["timeline"];
    let back = timeline["events"].as_array().unwrap().last().unwrap();
    assert_eq!(back["content"], before["content"]);
    assert_ne!(back["event_id"], before["event_id"]);
    let redacted = ids_of(timeline, "redacts");
    assert_eq!(redacted, [before["event_id"].as_str().unwrap()]);
}

fn ids_of<'a>(timeline: &'a Value, field: &str) -> Vec<&'a str> {
    let events = timeline["events"].as_array().unwrap().iter();
    events.filter_map(|event| event[field].as_str()).collect()
}
