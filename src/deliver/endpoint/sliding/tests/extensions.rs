//! What an answer brings beside rooms.

use std::collections::BTreeSet;

use serde_json::Value;
use serde_json::json;

use crate::deliver::endpoint::sliding::tests::bodies;
use crate::deliver::endpoint::sliding::tests::list;
use crate::deliver::endpoint::sliding::tests::on;
use crate::deliver::endpoint::sliding::tests::rooms;
use crate::deliver::endpoint::sliding::tests::with;
use crate::deliver::endpoint::testing::ADA;
use crate::deliver::endpoint::testing::ANN;
use crate::deliver::endpoint::testing::BOB;
use crate::deliver::endpoint::testing::DEVICE;
use crate::deliver::endpoint::testing::World;
use crate::deliver::endpoint::testing::conversation;
use crate::deliver::endpoint::testing::said;
use crate::store::Page;
use crate::store::account::Account;
use crate::store::account::KeyKind;
use crate::store::value::Opaque;

#[tokio::test]
async fn account_data_come_whole_and_then_as_they_change() {
    let world = World::new();
    let body = with(list(0, 2), "account_data", on());
    let first = world.slide(None, &body).await;
    let kinds = |answer: &Value| -> BTreeSet<String> {
        let global = answer["extensions"]["account_data"]["global"]
            .as_array()
            .unwrap()
            .clone();
        global
            .iter()
            .map(|event| event["type"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        kinds(&first),
        ["m.push_rules", "m.direct"].map(str::to_owned).into()
    );
    world
        .put(
            &format!("/user/{ADA}/account_data/org.example.x"),
            json!({ "a": 1 }),
        )
        .await
        .ok();
    let tag = format!("/user/{ADA}/rooms/{}/tags/m.favourite", world.room(BOB));
    world.put(&tag, json!({ "order": 0.5 })).await.ok();

    let second = world.poll(&first["pos"], &body).await;

    assert_eq!(kinds(&second), ["org.example.x"].map(str::to_owned).into());
    let of_rooms = &second["extensions"]["account_data"]["rooms"];
    assert_eq!(of_rooms[world.room(BOB)][0]["type"], "m.tag");
    assert_eq!(rooms(&second), BTreeSet::new());
    let third = world.slide(Some(&second["pos"]), &body).await;
    assert_eq!(
        third["extensions"]["account_data"],
        json!({ "global": [], "rooms": {} })
    );
}

#[tokio::test]
async fn a_new_direct_room_is_in_m_direct() {
    let world = World::new();
    let body = with(list(0, 9), "account_data", on());
    let first = world.slide(None, &body).await;
    let other = "tel:+15550100009";
    world.add(Page {
        conversations: vec![conversation(other, &[other], None)],
        messages: vec![said(other, 9, Some(other), "It is me")],
        ..Page::default()
    });

    let second = world.slide(Some(&first["pos"]), &body).await;

    let global = &second["extensions"]["account_data"]["global"];
    assert_eq!(global[0]["type"], "m.direct");
    assert_eq!(
        global[0]["content"][world.ghost(other)],
        json!([world.room(other)])
    );
}

#[tokio::test]
async fn reading_moves_the_receipt_and_the_count() {
    let world = World::new();
    let body = with(
        list(0, 2),
        "receipts",
        json!({ "enabled": true, "rooms": ["*"] }),
    );
    let first = world.slide(None, &body).await;
    let event = first["rooms"][world.room(ANN)]["timeline"][0]["event_id"]
        .as_str()
        .unwrap();
    let before = &first["extensions"]["receipts"]["rooms"][world.room(ANN)];
    // The owner answered, and has read up to there.
    assert_eq!(before["content"].as_object().unwrap().len(), 1);
    assert_eq!(before["content"][event], Value::Null);
    let entry = {
        let snapshot = world.store.snapshot().unwrap();
        let guid = crate::deliver::endpoint::testing::guid(3);
        let row = snapshot.messages_with(&guid).unwrap()[0];
        (snapshot.message(row).unwrap().time, row)
    };
    let conversation = world.row(ANN);
    world.write(|transaction| {
        transaction
            .raise_read(conversation, entry.0, entry.1)
            .map(drop)
    });

    let second = world.poll(&first["pos"], &body).await;

    let after = &second["extensions"]["receipts"]["rooms"][world.room(ANN)];
    assert!(after["content"][event]["m.read"][ADA]["ts"].is_u64());
    let room = &second["rooms"][world.room(ANN)];
    assert_eq!(room["notification_count"], 0);
    assert!(bodies(room).is_empty());
}

#[tokio::test]
async fn a_receipt_on_what_is_no_more_goes_to_another_event() {
    let world = World::new();
    let body = with(list(0, 2), "receipts", on());
    let first = world.slide(None, &body).await;
    let of = |answer: &Value| {
        let receipts = &answer["extensions"]["receipts"]["rooms"][world.room(ANN)];
        let events = receipts["content"].as_object().cloned();
        let events: Vec<String> = events.unwrap_or_default().keys().cloned().collect();
        events
    };
    let before = of(&first);
    // The owner's answer is in another conversation now.
    world.say(vec![said(BOB, 2, None, "Gladly")]);

    let second = world.slide(Some(&first["pos"]), &body).await;

    let after = of(&second);
    assert_eq!((before.len(), after.len()), (1, 1));
    assert_ne!(before, after);
}

#[tokio::test(start_paused = true)]
async fn who_types_is_told_until_the_notice_ends() {
    let world = World::new();
    let body = with(list(0, 2), "typing", on());
    let first = world.slide(None, &body).await;
    assert_eq!(first["extensions"]["typing"], json!({ "rooms": {} }));
    let path = format!("/rooms/{}/typing/{ADA}", world.room(ANN));
    world
        .put(&path, json!({ "typing": true, "timeout": 5_000 }))
        .await
        .ok();
    let users = |answer: &Value| {
        answer["extensions"]["typing"]["rooms"][world.room(ANN)]["content"]["user_ids"].clone()
    };

    let second = world.poll(&first["pos"], &body).await;
    let third = world.poll(&second["pos"], &body).await;

    assert_eq!(users(&second), json!([ADA]));
    assert_eq!(users(&third), json!([]));
}

#[tokio::test]
async fn keys_are_counted_always_and_wake_when_they_change() {
    let world = World::new();
    let body = with(json!({ "conn_id": "encryption" }), "e2ee", on());
    let first = world.slide(None, &body).await;
    let none = json!({
        "device_one_time_keys_count": { "signed_curve25519": 0 },
        "device_unused_fallback_key_types": [],
        "device_lists": { "changed": [], "left": [] },
    });
    assert_eq!(first["extensions"]["e2ee"], none);
    world.write(|transaction| {
        let key = (KeyKind::OneTime, "signed_curve25519:A");
        transaction
            .put_key(Account::OWNER, DEVICE, key, Opaque(b"{}".to_vec()))
            .map(drop)
    });

    let second = world.poll(&first["pos"], &body).await;

    let keys = &second["extensions"]["e2ee"];
    assert_eq!(keys["device_one_time_keys_count"]["signed_curve25519"], 1);
    // Nobody else sees one-time keys.
    assert_eq!(keys["device_lists"]["changed"], json!([]));
    world.write(|transaction| {
        let key = (KeyKind::Device, "");
        transaction
            .put_key(Account::OWNER, DEVICE, key, Opaque(b"{}".to_vec()))
            .map(drop)
    });
    let third = world.poll(&second["pos"], &body).await;
    let changed = &third["extensions"]["e2ee"]["device_lists"]["changed"];
    assert_eq!(*changed, json!([ADA]));
}

#[tokio::test]
async fn messages_to_the_device_wait_until_it_has_them() {
    let world = World::new();
    let send = |number: u8| {
        world.write(|transaction| {
            let body = Opaque(format!("{{\"n\":{number}}}").into_bytes());
            transaction
                .send_to_device(Account::OWNER, DEVICE, body)
                .map(drop)
        });
    };
    let body = |since: &Value| {
        with(
            json!({}),
            "to_device",
            json!({ "enabled": true, "since": since }),
        )
    };
    send(1);
    let first = world.slide(None, &body(&Value::Null)).await;
    assert_eq!(
        first["extensions"]["to_device"]["events"],
        json!([{ "n": 1 }])
    );
    let again = world.slide(Some(&first["pos"]), &body(&Value::Null)).await;
    assert_eq!(
        again["extensions"]["to_device"]["events"],
        json!([{ "n": 1 }])
    );
    send(2);

    let since = &again["extensions"]["to_device"]["next_batch"];
    let third = world.poll(&again["pos"], &body(since)).await;

    assert_eq!(
        third["extensions"]["to_device"]["events"],
        json!([{ "n": 2 }])
    );
    let anew = world.slide(None, &body(&Value::Null)).await;
    assert_eq!(
        anew["extensions"]["to_device"]["events"],
        json!([{ "n": 2 }])
    );
}

#[tokio::test]
async fn a_token_of_another_copy_of_the_archive_forgets_nothing() {
    let world = World::new();
    world.write(|transaction| {
        transaction
            .send_to_device(Account::OWNER, DEVICE, Opaque(b"{}".to_vec()))
            .map(drop)
    });
    let body = with(
        json!({}),
        "to_device",
        json!({ "enabled": true, "since": "d1_99999" }),
    );

    let answer = world.slide(None, &body).await;

    assert_eq!(answer["extensions"]["to_device"]["events"], json!([{}]));
}
