use serde_json::Value;
use serde_json::json;
use tokio::task::spawn_blocking;

use super::*;
use crate::deliver::endpoint::NoticeKind;
use crate::deliver::endpoint::testing::ADA;

async fn say(world: &World, kind: NoticeKind, text: &str) {
    let (notices, text) = (world.server.notices(), text.to_owned());
    spawn_blocking(move || notices.say(kind, &text))
        .await
        .unwrap();
}

fn owner(world: &World) -> User {
    User {
        id: ADA.to_owned(),
        token: world.token.clone(),
    }
}

/// The notice room and its block, where there is one.
async fn room(world: &World) -> Option<(String, Value)> {
    let answer = sync(world, &owner(world), "").await;
    let rooms = answer["rooms"]["join"].as_object().unwrap().clone();
    let is_it = |block: &Value| {
        types(&block["state"]["events"]).contains(&"m.room.topic")
            || types(&block["timeline"]["events"]).contains(&"m.room.topic")
    };
    rooms.into_iter().find(|(_, block)| is_it(block))
}

fn texts_of(block: &Value) -> Vec<String> {
    let texts = texts(&block["timeline"]["events"]).into_iter();
    texts.map(str::to_owned).collect()
}

#[tokio::test]
async fn the_room_comes_with_the_first_notice_and_stays() {
    let world = World::new();
    assert!(room(&world).await.is_none());

    say(&world, NoticeKind::Import, "The first import begins.").await;
    let (first, _) = room(&world).await.unwrap();
    let world = world.restarted();
    say(&world, NoticeKind::Import, "Done.").await;

    let (id, block) = room(&world).await.unwrap();
    assert_eq!(id, first);
    assert_eq!(texts_of(&block), ["The first import begins.", "Done."]);
    let events = block["timeline"]["events"].as_array().unwrap();
    let last = events.last().unwrap();
    assert_eq!(last["sender"], "@footbridge:example.org");
    assert_eq!(last["content"]["msgtype"], "m.notice");
    let profile = world.get("/profile/@footbridge:example.org").await.ok();
    assert_eq!(profile, json!({"displayname": "footbridge"}));
    let joined = world.get("/joined_rooms").await.ok();
    assert!(
        joined["joined_rooms"]
            .as_array()
            .unwrap()
            .contains(&json!(id))
    );
}

#[tokio::test]
async fn the_same_is_not_said_twice_in_a_row() {
    let world = World::new();

    for text in ["It failed.", "It failed.", "It works.", "It failed."] {
        say(&world, NoticeKind::Source, text).await;
        say(&world, NoticeKind::Import, "Something else.").await;
    }

    let (_, block) = room(&world).await.unwrap();
    let expected = ["It failed.", "Something else.", "It works.", "It failed."];
    assert_eq!(texts_of(&block), expected);
}

#[tokio::test]
async fn what_needs_the_owner_makes_a_noise() {
    let world = World::new();
    say(&world, NoticeKind::Source, "It failed.").await;
    let quiet = room(&world).await.unwrap().1;
    say(&world, NoticeKind::Owner, "Give me the disk.").await;

    let (id, loud) = room(&world).await.unwrap();

    assert_eq!(quiet["unread_notifications"]["notification_count"], 0);
    assert_eq!(loud["unread_notifications"]["notification_count"], 1);
    let events = loud["timeline"]["events"].as_array().unwrap();
    let last = events.last().unwrap()["event_id"].as_str().unwrap();
    world
        .post(&format!("/rooms/{id}/receipt/m.read/{last}"), json!({}))
        .await
        .ok();
    let read = room(&world).await.unwrap().1;
    assert_eq!(read["unread_notifications"]["notification_count"], 0);
    let mute = format!("/pushrules/global/room/{id}");
    world.put(&mute, json!({"actions": []})).await.ok();
    say(&world, NoticeKind::Owner, "Now.").await;
    let muted = room(&world).await.unwrap().1;
    assert_eq!(muted["unread_notifications"]["notification_count"], 0);
}

#[tokio::test]
async fn the_owner_may_leave_and_is_called_back_when_needed() {
    let world = World::new();
    say(&world, NoticeKind::Import, "Begins.").await;
    let (id, _) = room(&world).await.unwrap();
    world
        .post(&format!("/rooms/{id}/leave"), json!({}))
        .await
        .ok();

    say(&world, NoticeKind::Import, "Done.").await;
    let quiet = sync(&world, &owner(&world), "").await;
    say(&world, NoticeKind::Owner, "Help me.").await;
    let called = sync(&world, &owner(&world), "").await;

    assert_eq!(quiet["rooms"]["invite"], json!({}));
    assert!(called["rooms"]["invite"].get(&id).is_some());
    world.post(&format!("/join/{id}"), json!({})).await.ok();
    let (_, block) = room(&world).await.unwrap();
    assert_eq!(texts_of(&block), ["Begins.", "Done.", "Help me."]);
}

#[tokio::test]
async fn words_of_the_owner_are_answered() {
    let world = World::new().restarted_with(|settings| {
        settings.status = std::sync::Arc::new(|| {
            Some(json!({
                "archive": {"messages": 6, "conversations": 3},
                "sources": [{"state": "idle", "error": null}],
                "quarantine": [{"count": 2}], "parked": [],
            }))
        });
    });
    say(&world, NoticeKind::Import, "Done.").await;
    let (id, _) = room(&world).await.unwrap();
    let write = async |txn: &str, body: &str| {
        let path = format!("/rooms/{id}/send/m.room.message/{txn}");
        let body = json!({"msgtype": "m.text", "body": body});
        world.put(&path, body).await.ok()
    };

    write("1", "thanks").await;
    write("2", "!Status ").await;
    write("3", "help").await;

    let (_, block) = room(&world).await.unwrap();
    let said = texts_of(&block);
    let status = "6 messages\n3 conversations\n2 messages that could not be read\nthe Messages database: idle";
    assert_eq!(said[1..4], ["thanks", "!Status ", status]);
    assert!(said[5].contains("status - "), "{}", said[5]);
    assert_eq!(said.len(), 6);
    let rename = world
        .put(
            &format!("/rooms/{id}/state/m.room.name"),
            json!({"name": "x"}),
        )
        .await;
    assert_eq!(rename.refusal(), (403, "M_FORBIDDEN"));
}
