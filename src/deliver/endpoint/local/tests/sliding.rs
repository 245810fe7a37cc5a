use serde_json::Value;
use serde_json::json;

use super::*;

const PATH: &str = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync";

/// A list with all rooms, as a client asks for it.
fn list(limit: u64) -> Value {
    json!({
        "lists": {"all": {
            "ranges": [[0, 19]], "timeline_limit": limit,
            "required_state": [["m.room.name", ""], ["m.room.member", "$LAZY"]],
        }},
        "extensions": {"receipts": {"enabled": true}, "account_data": {"enabled": true}},
    })
}

async fn slide(world: &World, user: &User, pos: &str, body: Value) -> Value {
    let path = if pos.is_empty() {
        PATH.to_owned()
    } else {
        format!("{PATH}?pos={pos}&timeout=0")
    };
    post(world, user, &path, body).await
}

fn pos(answer: &Value) -> &str {
    answer["pos"].as_str().unwrap()
}

#[tokio::test]
async fn a_local_room_slides_like_any_other() {
    let stage = Stage::new().await;
    let room = stage
        .room(json!({"preset": "public_chat", "name": "Garden"}))
        .await;
    stage.say(&stage.ada, &room, "1").await;

    let first = slide(&stage.world, &stage.ada, "", list(1)).await;
    let nothing = slide(&stage.world, &stage.ada, pos(&first), list(1)).await;
    stage.join(&stage.bob, &room).await;
    let said = stage.say(&stage.bob, &room, "2").await;
    let path = format!("/rooms/{room}/receipt/m.read/{said}");
    let news = slide(&stage.world, &stage.ada, pos(&nothing), list(5)).await;
    post(&stage.world, &stage.ada, &path, json!({})).await;
    let read = slide(&stage.world, &stage.ada, pos(&news), list(5)).await;

    let shown = &first["rooms"][&room];
    assert_eq!(
        (&shown["initial"], &shown["name"]),
        (&json!(true), &json!("Garden"))
    );
    assert_eq!(texts(&shown["timeline"]), ["1"]);
    assert_eq!(
        (&shown["limited"], &shown["num_live"]),
        (&json!(true), &json!(0))
    );
    assert_eq!(
        types(&shown["required_state"]),
        ["m.room.member", "m.room.name"]
    );
    assert_eq!(nothing["rooms"], json!({}));
    assert_eq!(
        (
            &first["lists"]["all"]["count"],
            &nothing["lists"]["all"]["count"]
        ),
        (&json!(1), &json!(1)),
        "clients go on asking until they have as many rooms"
    );
    let shown = &news["rooms"][&room];
    assert_eq!(
        texts(&shown["timeline"]),
        ["1", "2"],
        "more are wanted than before"
    );
    assert_eq!(
        (&shown["num_live"], &shown["joined_count"]),
        (&json!(2), &json!(2))
    );
    assert_eq!(shown["notification_count"], 1);
    let shown = &read["rooms"][&room];
    assert_eq!(
        (&shown["notification_count"], &shown["timeline"]),
        (&json!(0), &json!([]))
    );
    let receipts = &read["extensions"]["receipts"]["rooms"][&room]["content"];
    assert!(receipts[&said]["m.read"].get(&stage.ada.id).is_some());
}

#[tokio::test]
async fn invitations_slide_in_and_out() {
    let stage = Stage::new().await;
    let room = stage
        .room(json!({"name": "Garden", "invite": [stage.bob.id]}))
        .await;

    let invited = slide(&stage.world, &stage.bob, "", list(1)).await;
    let same = slide(&stage.world, &stage.bob, pos(&invited), list(1)).await;
    stage.join(&stage.bob, &room).await;
    let joined = slide(&stage.world, &stage.bob, pos(&same), list(1)).await;
    post(
        &stage.world,
        &stage.bob,
        &format!("/rooms/{room}/leave"),
        json!({}),
    )
    .await;
    let left = slide(&stage.world, &stage.bob, pos(&joined), list(1)).await;

    assert!(invited["rooms"][&room]["invite_state"].is_array());
    assert_eq!(same["rooms"], json!({}));
    assert_eq!(joined["rooms"][&room]["initial"], true);
    let own = &left["rooms"][&room]["required_state"][0];
    assert_eq!(own["content"]["membership"], "leave");
    let later = slide(&stage.world, &stage.bob, pos(&left), list(1)).await;
    assert_eq!(later["rooms"], json!({}));
}

#[tokio::test]
async fn who_is_ignored_invites_in_vain() {
    let stage = Stage::new().await;
    let ignore = async |users: Value| {
        let path = format!("/user/{}/account_data/m.ignored_user_list", stage.bob.id);
        let list = json!({ "ignored_users": users });
        put(&stage.world, &stage.bob, &path, list).await;
    };
    ignore(json!({ stage.ada.id.as_str(): {} })).await;
    let room = stage.room(json!({"invite": [stage.bob.id]})).await;

    let unheard = slide(&stage.world, &stage.bob, "", list(1)).await;
    ignore(json!({})).await;
    let heard = slide(&stage.world, &stage.bob, pos(&unheard), list(1)).await;

    let count = |answer: &Value| answer["lists"]["all"]["count"].clone();
    assert_eq!((&unheard["rooms"], count(&unheard)), (&json!({}), json!(0)));
    assert!(heard["rooms"][&room]["invite_state"].is_array());
    assert_eq!(count(&heard), 1);
}

#[tokio::test]
async fn nobody_slides_through_anothers_archive() {
    let world = World::new().restarted_with(|settings| settings.conformance = true);
    let bob = register(&world, "bob").await;

    let answer = slide(&world, &bob, "", list(1)).await;

    assert_eq!(
        (&answer["rooms"], &answer["lists"]["all"]["count"]),
        (&json!({}), &json!(0))
    );
}

#[tokio::test]
async fn a_local_room_has_its_place_in_a_list_and_is_out_of_sight_outside_its_windows() {
    let world = World::new().restarted_with(|settings| settings.conformance = true);
    let ada = User {
        id: crate::deliver::endpoint::testing::ADA.to_owned(),
        token: world.token.clone(),
    };
    world.pass(std::time::Duration::from_hours(1));
    let made = post(&world, &ada, "/createRoom", json!({"name": "Garden"})).await;
    let room = made["room_id"].as_str().unwrap();
    let window = |first: u64, last: u64| {
        let mut list = list(1);
        list["lists"]["all"]["ranges"] = json!([[first, last]]);
        list
    };

    let below = slide(&world, &ada, "", window(1, 9)).await;
    let top = slide(&world, &ada, pos(&below), window(0, 0)).await;

    assert_eq!(below["rooms"].as_object().unwrap().len(), 3);
    assert_eq!(below["rooms"].get(room), None);
    assert_eq!(below["lists"]["all"]["count"], 4);
    assert_eq!(top["rooms"][room]["name"], "Garden");
}
