use serde_json::Value;
use serde_json::json;

use super::*;

fn receipt(room: &str, kind: &str, event: &str) -> String {
    format!("/rooms/{room}/receipt/{kind}/{event}")
}

async fn unread(stage: &Stage, user: &User, room: &str) -> (u64, u64) {
    let answer = sync(&stage.world, user, "").await;
    let counts = &answer["rooms"]["join"][room]["unread_notifications"];
    let count = |name: &str| counts[name].as_u64().unwrap();
    (count("notification_count"), count("highlight_count"))
}

#[tokio::test]
async fn a_receipt_is_told_to_all_and_a_private_one_to_its_user() {
    let stage = Stage::new().await;
    let room = stage.party().await;
    let said = stage.say(&stage.ada, &room, "x").await;
    let before = next(&sync(&stage.world, &stage.cleo, "").await);

    post(
        &stage.world,
        &stage.bob,
        &receipt(&room, "m.read", &said),
        json!({}),
    )
    .await;
    post(
        &stage.world,
        &stage.bob,
        &receipt(&room, "m.read.private", &said),
        json!({}),
    )
    .await;

    let own = sync(&stage.world, &stage.bob, &before).await;
    let others = sync(&stage.world, &stage.cleo, &before).await;
    let of = |answer: &Value| {
        let events = &answer["rooms"]["join"][&room]["ephemeral"]["events"];
        assert_eq!(events[0]["type"], "m.receipt");
        events[0]["content"][&said].clone()
    };
    assert!(of(&others)["m.read"][&stage.bob.id]["ts"].is_i64());
    assert_eq!(of(&others).get("m.read.private"), None);
    assert!(of(&own)["m.read.private"].get(&stage.bob.id).is_some());
    let later = sync(&stage.world, &stage.cleo, &next(&others)).await;
    assert_eq!(later["rooms"]["join"], json!({}));
}

#[tokio::test]
async fn a_receipt_moves_forward_only() {
    let stage = Stage::new().await;
    let room = stage.party().await;
    let first = stage.say(&stage.ada, &room, "1").await;
    let second = stage.say(&stage.ada, &room, "2").await;
    let markers = format!("/rooms/{room}/read_markers");

    let both = json!({"m.fully_read": second, "m.read": second});
    post(&stage.world, &stage.bob, &markers, both).await;
    post(
        &stage.world,
        &stage.bob,
        &receipt(&room, "m.read", &first),
        json!({}),
    )
    .await;
    post(
        &stage.world,
        &stage.bob,
        &receipt(&room, "m.read", "$none"),
        json!({}),
    )
    .await;

    let answer = sync(&stage.world, &stage.bob, "").await;
    let block = &answer["rooms"]["join"][&room];
    let receipts = block["ephemeral"]["events"][0]["content"]
        .as_object()
        .unwrap();
    assert_eq!(receipts.keys().collect::<Vec<_>>(), [&second]);
    let expected = json!([{"type": "m.fully_read", "content": {"event_id": second}}]);
    assert_eq!(block["account_data"]["events"], expected);
    let wrong = stage
        .refused(
            &stage.bob,
            Method::POST,
            &receipt(&room, "m.x", &first),
            json!({}),
        )
        .await;
    assert_eq!(wrong.0, 400);
}

#[tokio::test]
async fn what_makes_a_noise_is_counted_until_it_is_read() {
    let stage = Stage::new().await;
    let room = stage.party().await;
    stage.say(&stage.ada, &room, "1").await;
    let last = stage.say(&stage.ada, &room, "2").await;
    let notice = json!({"msgtype": "m.notice", "body": "psst"});
    stage
        .send(&stage.ada, &room, "m.room.message", notice)
        .await;
    let mention = json!({
        "msgtype": "m.text", "body": "hey", "m.mentions": {"user_ids": [stage.bob.id]},
    });

    assert_eq!(unread(&stage, &stage.bob, &room).await, (2, 0));
    let mentioned = stage
        .send(&stage.ada, &room, "m.room.message", mention)
        .await;
    assert_eq!(unread(&stage, &stage.bob, &room).await, (3, 1));
    assert_eq!(unread(&stage, &stage.ada, &room).await, (0, 0), "one's own");
    post(
        &stage.world,
        &stage.bob,
        &receipt(&room, "m.read", &last),
        json!({}),
    )
    .await;
    assert_eq!(unread(&stage, &stage.bob, &room).await, (1, 1));
    post(
        &stage.world,
        &stage.bob,
        &receipt(&room, "m.read.private", &mentioned),
        json!({}),
    )
    .await;
    assert_eq!(unread(&stage, &stage.bob, &room).await, (0, 0));
    stage.say(&stage.ada, &room, "3").await;
    let stage = stage.restarted();
    assert_eq!(unread(&stage, &stage.bob, &room).await, (1, 0));
    stage.say(&stage.bob, &room, "yes").await;
    assert_eq!(
        unread(&stage, &stage.bob, &room).await,
        (0, 0),
        "who writes has read"
    );
}

#[tokio::test]
async fn keywords_and_the_whole_room_stand_out() {
    let stage = Stage::new().await;
    let room = stage.party().await;
    let rule = json!({"pattern": "roses", "actions": ["notify", {"set_tweak": "highlight"}]});
    put(
        &stage.world,
        &stage.bob,
        "/pushrules/global/content/roses",
        rule,
    )
    .await;
    stage.say(&stage.ada, &room, "water the roses").await;
    assert_eq!(unread(&stage, &stage.bob, &room).await, (1, 1));
    let all = json!({"msgtype": "m.text", "body": "all", "m.mentions": {"room": true}});

    stage
        .send(&stage.cleo, &room, "m.room.message", all.clone())
        .await;
    assert_eq!(
        unread(&stage, &stage.bob, &room).await.1,
        1,
        "who may not, does not"
    );
    stage.send(&stage.ada, &room, "m.room.message", all).await;
    assert_eq!(unread(&stage, &stage.bob, &room).await.1, 2);
    let mute = json!({"actions": []});
    put(
        &stage.world,
        &stage.bob,
        &format!("/pushrules/global/room/{room}"),
        mute,
    )
    .await;
    assert_eq!(
        unread(&stage, &stage.bob, &room).await,
        (2, 2),
        "content rules come before room rules"
    );
}

#[tokio::test]
async fn threads_are_counted_apart_where_that_is_asked_for() {
    let stage = Stage::new().await;
    let room = stage.party().await;
    let root = stage.say(&stage.ada, &room, "root").await;
    let reply = json!({
        "msgtype": "m.text", "body": "reply",
        "m.relates_to": {"rel_type": "m.thread", "event_id": root},
    });
    stage
        .send(&stage.ada, &room, "m.room.message", reply.clone())
        .await;
    let reply = stage.send(&stage.ada, &room, "m.room.message", reply).await;
    let filter = json!({"room": {"timeline": {"unread_thread_notifications": true}}});
    let counts = |answer: &Value| {
        let block = &answer["rooms"]["join"][&room];
        let threads = &block["unread_thread_notifications"];
        let of = |counts: &Value| counts["notification_count"].as_u64();
        (of(&block["unread_notifications"]), of(&threads[&root]))
    };

    let apart = sync_with(&stage.world, &stage.bob, "", &filter).await;
    assert_eq!(counts(&apart), (Some(1), Some(2)));
    assert_eq!(unread(&stage, &stage.bob, &room).await, (3, 0));
    let thread = json!({"thread_id": root});
    post(
        &stage.world,
        &stage.bob,
        &receipt(&room, "m.read", &reply),
        thread,
    )
    .await;
    let read = sync_with(&stage.world, &stage.bob, "", &filter).await;
    assert_eq!(counts(&read), (Some(1), None));
    let block = &read["rooms"]["join"][&room];
    assert_eq!(block.get("unread_thread_notifications"), None);
    let path = receipt(&room, "m.read", &reply);
    let wrong = stage
        .refused(&stage.bob, Method::POST, &path, json!({"thread_id": ""}))
        .await;
    assert_eq!(wrong.0, 400);
}

#[tokio::test]
async fn who_types_is_seen_until_they_stop() {
    let stage = Stage::new().await;
    let room = stage.party().await;
    let path = |user: &User| format!("/rooms/{room}/typing/{}", user.id);
    let before = next(&sync(&stage.world, &stage.ada, "").await);

    let body = json!({"typing": true, "timeout": 20_000});
    put(&stage.world, &stage.bob, &path(&stage.bob), body.clone()).await;
    let typing = sync(&stage.world, &stage.ada, &before).await;
    stage.say(&stage.bob, &room, "not done").await;
    let said = sync(&stage.world, &stage.cleo, "").await;
    put(
        &stage.world,
        &stage.bob,
        &path(&stage.bob),
        json!({"typing": false}),
    )
    .await;
    let done = sync(&stage.world, &stage.ada, &next(&typing)).await;

    let of = |answer: &Value| {
        answer["rooms"]["join"][&room]["ephemeral"]["events"][0]["content"]["user_ids"].clone()
    };
    assert_eq!(of(&typing), json!([stage.bob.id]));
    assert_eq!(of(&said), json!([stage.bob.id]));
    assert_eq!(of(&done), json!([]));
    let others = stage
        .refused(&stage.cleo, Method::PUT, &path(&stage.bob), body.clone())
        .await;
    assert_eq!(others.0, 403);
    post(
        &stage.world,
        &stage.cleo,
        &format!("/rooms/{room}/leave"),
        json!({}),
    )
    .await;
    let stranger = stage
        .refused(&stage.cleo, Method::PUT, &path(&stage.cleo), body)
        .await;
    assert_eq!(stranger.0, 403);
}

#[tokio::test]
async fn how_far_everything_is_read_can_be_asked_for() {
    let stage = Stage::new().await;
    let room = stage.party().await;
    let said = stage.say(&stage.ada, &room, "x").await;
    let data = format!(
        "/user/{}/rooms/{room}/account_data/m.fully_read",
        stage.bob.id
    );
    let before = stage
        .refused(&stage.bob, Method::GET, &data, Value::Null)
        .await;

    let path = receipt(&room, "m.fully_read", &said);
    post(&stage.world, &stage.bob, &path, json!({})).await;

    assert_eq!(before.0, 404);
    let now = get(&stage.world, &stage.bob, &data).await;
    assert_eq!(now, json!({"event_id": said}));
}

#[tokio::test]
async fn who_is_ignored_is_not_heard_and_invites_nobody() {
    let stage = Stage::new().await;
    let room = stage.party().await;
    let path = format!("/user/{}/account_data/m.ignored_user_list", stage.cleo.id);
    let list = json!({"ignored_users": {stage.bob.id.as_str(): {}}});
    put(&stage.world, &stage.cleo, &path, list).await;
    let before = next(&sync(&stage.world, &stage.cleo, "").await);

    stage.say(&stage.ada, &room, "heard").await;
    stage.say(&stage.bob, &room, "not heard").await;
    let topic = json!({"name": "Bob"});
    stage.set(&stage.ada, &room, "m.room.name", "", topic).await;
    let secret = json!({"invite": [stage.cleo.id]});
    post(&stage.world, &stage.bob, "/createRoom", secret.clone()).await;
    let ada = post(&stage.world, &stage.ada, "/createRoom", secret).await;

    for since in [before.as_str(), ""] {
        let answer = sync(&stage.world, &stage.cleo, since).await;
        let timeline = &answer["rooms"]["join"][&room]["timeline"];
        assert_eq!(texts(&timeline["events"]), ["heard"]);
        assert_eq!(timeline["limited"], false);
        let invited = answer["rooms"]["invite"].as_object().unwrap();
        let invited: Vec<&String> = invited.keys().collect();
        assert_eq!(invited, [ada["room_id"].as_str().unwrap()]);
    }
}

#[tokio::test]
async fn an_event_tells_how_its_reader_belonged_to_the_room() {
    let stage = Stage::new().await;
    let room = stage.room(json!({"preset": "public_chat"})).await;
    stage.say(&stage.ada, &room, "before").await;
    stage.join(&stage.bob, &room).await;
    stage.say(&stage.ada, &room, "after").await;

    let answer = sync(&stage.world, &stage.bob, "").await;

    let events = &answer["rooms"]["join"][&room]["timeline"]["events"];
    let events = events.as_array().unwrap().iter().rev().take(3);
    let memberships: Vec<&Value> = events
        .map(|event| &event["unsigned"]["membership"])
        .collect();
    assert_eq!(memberships, ["join", "join", "leave"]);
}

#[tokio::test]
async fn members_of_the_beginning_are_who_began_it() {
    let stage = Stage::new().await;
    let room = stage.room(json!({"preset": "public_chat"})).await;
    let answer = sync(&stage.world, &stage.ada, "").await;
    let first = &answer["rooms"]["join"][&room]["timeline"]["prev_batch"];
    let path = format!("/rooms/{room}/members?at={}", first.as_str().unwrap());
    stage.join(&stage.bob, &room).await;

    let members = get(&stage.world, &stage.ada, &path).await;

    assert_eq!(members["chunk"].as_array().unwrap().len(), 1);
    assert_eq!(members["chunk"][0]["state_key"], stage.ada.id);
    let path = format!("/rooms/{room}/joined_members");
    let joined = get(&stage.world, &stage.ada, &path).await;
    let bob = json!({"display_name": "bob", "avatar_url": null});
    assert_eq!(joined["joined"][&stage.bob.id], bob);
}
