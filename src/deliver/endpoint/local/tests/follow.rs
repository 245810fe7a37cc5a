use std::time::Duration;

use serde_json::Value;
use serde_json::json;

use super::*;

#[tokio::test]
async fn a_gap_is_said_and_its_state_is_sent() {
    let stage = Stage::new().await;
    let room = stage.party().await;
    let before = next(&sync(&stage.world, &stage.bob, "").await);
    stage
        .set(
            &stage.ada,
            &room,
            "m.room.topic",
            "",
            json!({"topic": "old"}),
        )
        .await;
    stage
        .set(
            &stage.ada,
            &room,
            "m.room.topic",
            "",
            json!({"topic": "new"}),
        )
        .await;
    for number in 0..4 {
        stage.say(&stage.ada, &room, &number.to_string()).await;
    }
    let filter = json!({"room": {"timeline": {"limit": 2}}});

    let answer = sync_with(&stage.world, &stage.bob, &before, &filter).await;

    let block = &answer["rooms"]["join"][&room];
    assert_eq!(texts(&block["timeline"]["events"]), ["2", "3"]);
    assert_eq!(block["timeline"]["limited"], true);
    let state = block["state"]["events"].as_array().unwrap();
    assert_eq!(state.len(), 1);
    assert_eq!(state[0]["content"]["topic"], "new");
    let from = block["timeline"]["prev_batch"].as_str().unwrap();
    let older = get(
        &stage.world,
        &stage.bob,
        &format!("/rooms/{room}/messages?limit=2&from={from}"),
    )
    .await;
    assert_eq!(texts(&older["chunk"]), ["1", "0"]);
}

#[tokio::test]
async fn a_timeline_of_no_events_is_none() {
    let stage = Stage::new().await;
    let room = stage.party().await;
    let filter = json!({"room": {"timeline": {"limit": 0}}});

    let first = sync_with(&stage.world, &stage.bob, "", &filter).await;
    stage
        .set(&stage.ada, &room, "m.room.topic", "", json!({"topic": "x"}))
        .await;
    stage.say(&stage.ada, &room, "x").await;
    let then = sync_with(&stage.world, &stage.bob, &next(&first), &filter).await;
    stage.say(&stage.ada, &room, "y").await;
    let last = sync_with(&stage.world, &stage.bob, &next(&then), &filter).await;

    for answer in [&first, &then, &last] {
        let timeline = &answer["rooms"]["join"][&room]["timeline"];
        assert_eq!(timeline["events"], json!([]));
        assert_eq!(timeline["limited"], true);
    }
    let state = |answer: &Value| {
        let events = &answer["rooms"]["join"][&room]["state"]["events"];
        let kinds = types(events);
        kinds.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(state(&first).contains(&"m.room.create".to_owned()));
    assert_eq!(state(&then), ["m.room.topic"]);
    assert_eq!(state(&last), Vec::<String>::new());
    let from = last["rooms"]["join"][&room]["timeline"]["prev_batch"].clone();
    let older = format!(
        "/rooms/{room}/messages?limit=1&from={}",
        from.as_str().unwrap()
    );
    let older = get(&stage.world, &stage.bob, &older).await;
    assert_eq!(texts(&older["chunk"]), ["y"]);
    let quiet = sync_with(&stage.world, &stage.bob, &next(&last), &filter).await;
    assert_eq!(quiet["rooms"]["join"], json!({}));
}

#[tokio::test]
async fn state_is_that_before_the_timeline() {
    let stage = Stage::new().await;
    let room = stage.room(json!({"topic": "old"})).await;
    stage.say(&stage.ada, &room, "x").await;
    stage
        .set(
            &stage.ada,
            &room,
            "m.room.topic",
            "",
            json!({"topic": "new"}),
        )
        .await;
    let filter = json!({"room": {"timeline": {"limit": 2}}});

    let answer = sync_with(&stage.world, &stage.ada, "", &filter).await;

    let block = &answer["rooms"]["join"][&room];
    let topic = |events: &Value| {
        let events = events.as_array().unwrap().iter();
        let mut topics = events.filter(|event| event["type"] == "m.room.topic");
        topics.next().map(|event| event["content"]["topic"].clone())
    };
    assert_eq!(topic(&block["state"]["events"]), Some(json!("old")));
    assert_eq!(topic(&block["timeline"]["events"]), Some(json!("new")));
}

#[tokio::test]
async fn a_newcomer_gets_all_of_the_state() {
    let stage = Stage::new().await;
    let room = stage
        .room(json!({"preset": "public_chat", "name": "Garden"}))
        .await;
    let before = next(&sync(&stage.world, &stage.bob, "").await);

    stage.join(&stage.bob, &room).await;

    let filter = json!({"room": {"timeline": {"limit": 1}}});
    let answer = sync_with(&stage.world, &stage.bob, &before, &filter).await;
    let block = &answer["rooms"]["join"][&room];
    let kinds = types(&block["state"]["events"]);
    for kind in [
        "m.room.create",
        "m.room.name",
        "m.room.power_levels",
        "m.room.member",
    ] {
        assert!(kinds.contains(&kind), "{kind}");
    }
    assert_eq!(block["timeline"]["limited"], true);
    assert_eq!(block["summary"]["m.joined_member_count"], 2);
    let full = format!("/sync?timeout=0&full_state=true&since={}", next(&answer));
    let full = get(&stage.world, &stage.bob, &full).await;
    assert!(types(&full["rooms"]["join"][&room]["state"]["events"]).contains(&"m.room.name"));
}

#[tokio::test]
async fn members_are_sent_where_they_are_needed() {
    let stage = Stage::new().await;
    let room = stage.party().await;
    stage.say(&stage.cleo, &room, "x").await;
    let filter = json!({"room": {"state": {"lazy_load_members": true}, "timeline": {"limit": 1}}});

    let answer = sync_with(&stage.world, &stage.bob, "", &filter).await;

    let block = &answer["rooms"]["join"][&room];
    let events = block["state"]["events"].as_array().unwrap().iter();
    let members = events.filter(|event| event["type"] == "m.room.member");
    let mut users: Vec<&str> = members
        .map(|event| event["state_key"].as_str().unwrap())
        .collect();
    users.sort_unstable();
    assert_eq!(
        users,
        [&stage.ada.id, &stage.bob.id, &stage.cleo.id],
        "heroes, oneself, the writer"
    );
    assert_eq!(
        block["summary"]["m.heroes"],
        json!([stage.ada.id, stage.cleo.id])
    );
    stage
        .set(
            &stage.ada,
            &room,
            "m.room.name",
            "",
            json!({"name": "Named"}),
        )
        .await;
    stage.say(&stage.cleo, &room, "y").await;
    let named = sync_with(&stage.world, &stage.bob, "", &filter).await;
    let block = &named["rooms"]["join"][&room];
    assert_eq!(block["summary"].get("m.heroes"), None);
    let events = block["state"]["events"].as_array().unwrap().iter();
    let members = events.filter(|event| event["type"] == "m.room.member");
    assert_eq!(members.count(), 2, "oneself and the writer");
}

/// Who is in the state of a block, and how.
fn members(answer: &Value, room: &str) -> Vec<(String, String)> {
    let events = &answer["rooms"]["join"][room]["state"]["events"];
    let events = events.as_array().unwrap().iter();
    let members = events.filter(|event| event["type"] == "m.room.member");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut members: Vec<_> = members
        .map(|event| {
            (
                text(&event["state_key"]),
                text(&event["content"]["membership"]),
            )
        })
        .collect();
    members.sort_unstable();
    members
}

#[tokio::test]
async fn members_who_changed_in_a_gap_are_sent() {
    let stage = Stage::new().await;
    let room = stage.room(json!({"preset": "public_chat"})).await;
    stage.join(&stage.bob, &room).await;
    let filter = json!({"room": {"state": {"lazy_load_members": true}, "timeline": {"limit": 1}}});
    let first = sync_with(&stage.world, &stage.bob, "", &filter).await;

    stage.join(&stage.cleo, &room).await;
    stage.say(&stage.ada, &room, "x").await;
    stage.say(&stage.ada, &room, "y").await;
    let came = sync_with(&stage.world, &stage.bob, &next(&first), &filter).await;
    let leave = format!("/rooms/{room}/leave");
    post(&stage.world, &stage.cleo, &leave, json!({})).await;
    stage.say(&stage.bob, &room, "z").await;
    let went = sync_with(&stage.world, &stage.bob, &next(&came), &filter).await;

    let cleo = |how: &str| (stage.cleo.id.clone(), how.to_owned());
    assert!(members(&came, &room).contains(&cleo("join")));
    assert!(members(&went, &room).contains(&cleo("leave")));
}

#[tokio::test]
async fn members_whom_a_device_has_are_not_sent_again() {
    let stage = Stage::new().await;
    let room = stage.party().await;
    let name = json!({"name": "Named"});
    stage.set(&stage.ada, &room, "m.room.name", "", name).await;
    stage.say(&stage.ada, &room, "0").await;
    let state = json!({"lazy_load_members": true});
    let lazy = json!({"room": {"state": state, "timeline": {"limit": 1}}});
    let state = json!({"lazy_load_members": true, "include_redundant_members": true});
    let redundant = json!({"room": {"state": state, "timeline": {"limit": 1}}});
    let follow = async |since: &str, filter: &Value| {
        let answer = sync_with(&stage.world, &stage.bob, since, filter).await;
        let members = members(&answer, &room).into_iter();
        let users = members.map(|(user, _)| user).collect::<Vec<_>>();
        (users, next(&answer))
    };
    let [ada, bob, cleo] = [&stage.ada, &stage.bob, &stage.cleo].map(|user| user.id.clone());

    let (users, first) = follow("", &lazy).await;
    assert_eq!(users, [ada.clone(), bob.clone()]);
    stage.say(&stage.ada, &room, "1").await;
    let (users, _) = follow(&first, &redundant).await;
    assert_eq!(users, [ada.as_str()], "asked for");
    let (users, second) = follow(&first, &lazy).await;
    assert!(users.is_empty(), "{users:?}");
    stage.say(&stage.cleo, &room, "2").await;
    let (users, _) = follow(&second, &lazy).await;
    assert_eq!(users, [cleo.as_str()]);
    let (users, third) = follow(&second, &lazy).await;
    assert_eq!(users, [cleo.as_str()], "the answer may have been lost");
    stage.say(&stage.cleo, &room, "3").await;
    let (users, _) = follow(&third, &lazy).await;
    assert!(users.is_empty(), "{users:?}");
    let (users, _) = follow("", &lazy).await;
    assert_eq!(users, [bob, cleo], "who begins anew has nothing");
}

#[tokio::test]
async fn filters_choose_rooms_types_and_senders() {
    let stage = Stage::new().await;
    let room = stage.party().await;
    let other = stage.party().await;
    stage.say(&stage.ada, &room, "ada").await;
    stage.say(&stage.bob, &room, "bob").await;
    let file = json!({"msgtype": "m.file", "body": "file", "url": "mxc://x/y"});
    stage.send(&stage.ada, &room, "m.room.message", file).await;
    let ask = |filter: Value| {
        let (stage, room) = (&stage, room.clone());
        async move {
            let answer = sync_with(&stage.world, &stage.cleo, "", &json!({"room": filter})).await;
            let events = &answer["rooms"]["join"][&room]["timeline"]["events"];
            let said = if events.is_null() {
                Vec::new()
            } else {
                texts(events)
                    .into_iter()
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            };
            (answer["rooms"]["join"].as_object().unwrap().len(), said)
        }
    };

    assert_eq!(ask(json!({"rooms": [room]})).await.0, 1);
    assert_eq!(ask(json!({"not_rooms": [room]})).await, (1, Vec::new()));
    assert_eq!(
        ask(json!({"timeline": {"types": ["m.room.message"], "limit": 50}}))
            .await
            .1
            .len(),
        3
    );
    assert_eq!(
        ask(json!({"timeline": {"not_types": ["m.room.message"]}}))
            .await
            .1
            .len(),
        0
    );
    assert_eq!(
        ask(json!({"timeline": {"senders": [stage.bob.id]}}))
            .await
            .1,
        ["bob"]
    );
    assert_eq!(
        ask(json!({"timeline": {"contains_url": true}})).await.1,
        ["file"]
    );
    assert_eq!(
        ask(json!({"timeline": {"not_rooms": [room]}}))
            .await
            .1
            .len(),
        0
    );
    let states = sync_with(
        &stage.world,
        &stage.cleo,
        "",
        &json!({"room": {"state": {"types": []}}}),
    )
    .await;
    assert_eq!(
        states["rooms"]["join"][&other]["state"]["events"],
        json!([])
    );
}

#[tokio::test]
async fn a_sync_that_waits_is_woken() {
    let stage = Stage::new().await;
    let room = stage.party().await;
    let before = next(&sync(&stage.world, &stage.bob, "").await);
    let path = format!("/sync?timeout=20000&since={before}");

    let (answer, said) = tokio::join!(get(&stage.world, &stage.bob, &path), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        stage.say(&stage.ada, &room, "now").await
    });

    let events = &answer["rooms"]["join"][&room]["timeline"]["events"];
    assert_eq!(events[0]["event_id"], said);
    let invited = stage.room(json!({})).await;
    let path = format!("/sync?timeout=20000&since={}", next(&answer));
    let (answer, _) = tokio::join!(get(&stage.world, &stage.bob, &path), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let body = json!({"user_id": stage.bob.id});
        post(
            &stage.world,
            &stage.ada,
            &format!("/rooms/{invited}/invite"),
            body,
        )
        .await
    });
    assert!(answer["rooms"]["invite"].get(&invited).is_some());
}

#[tokio::test]
async fn a_client_of_another_life_reads_all_rooms_again() {
    let stage = Stage::new().await;
    let room = stage.party().await;
    stage.say(&stage.ada, &room, "x").await;

    for since in ["s1_5_1.0", "nonsense"] {
        let answer = sync(&stage.world, &stage.bob, since).await;
        let block = &answer["rooms"]["join"][&room];
        assert_eq!(texts(&block["timeline"]["events"]), ["x"], "{since}");
        assert_eq!(answer["rooms"]["leave"], json!({}), "{since}");
    }
}

#[tokio::test]
async fn the_archive_and_local_rooms_come_together() {
    let world = World::new().restarted_with(|settings| settings.conformance = true);
    let ada = User {
        id: crate::deliver::endpoint::testing::ADA.to_owned(),
        token: world.token.clone(),
    };
    let answer = post(&world, &ada, "/createRoom", json!({})).await;
    let room = answer["room_id"].as_str().unwrap();

    let answer = sync(&world, &ada, "").await;
    let lost = sync(&world, &ada, "s1_5_1.0").await;

    for answer in [&answer, &lost] {
        assert_eq!(answer["rooms"]["join"].as_object().unwrap().len(), 4);
        assert!(answer["rooms"]["join"].get(room).is_some());
        assert_eq!(answer["rooms"]["leave"], json!({}));
    }
    let findings = world.store.snapshot().unwrap().verify(|_, _| {}).unwrap();
    assert!(findings.is_empty(), "{findings:?}");
}
