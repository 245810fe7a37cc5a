use serde_json::Value;
use serde_json::json;

use super::*;

fn at(room: &str, what: &str) -> String {
    format!("/rooms/{room}/{what}")
}

fn about(user: &User) -> Value {
    json!({"user_id": user.id, "reason": "because"})
}

#[tokio::test]
async fn an_invitation_is_told_with_what_the_room_is() {
    let stage = Stage::new().await;
    let room = stage.room(json!({"name": "Garden"})).await;
    let before = next(&sync(&stage.world, &stage.bob, "").await);

    post(
        &stage.world,
        &stage.ada,
        &at(&room, "invite"),
        about(&stage.bob),
    )
    .await;

    let answer = sync(&stage.world, &stage.bob, &before).await;
    let state = &answer["rooms"]["invite"][&room]["invite_state"]["events"];
    let kinds = [
        "m.room.create",
        "m.room.join_rules",
        "m.room.name",
        "m.room.member",
        "m.room.member",
    ];
    assert_eq!(types(state), kinds);
    let own = &state[4];
    assert_eq!(own["state_key"], stage.bob.id);
    assert_eq!(own["content"]["membership"], "invite");
    assert_eq!(own.get("event_id"), None);
    assert_eq!(answer["rooms"]["join"], json!({}));
    let first = sync(&stage.world, &stage.bob, "").await;
    assert!(first["rooms"]["invite"].get(&room).is_some());
    let later = sync(&stage.world, &stage.bob, &next(&answer)).await;
    assert_eq!(later["rooms"]["invite"], json!({}));
    let peek = stage
        .refused(&stage.bob, Method::GET, &at(&room, "messages"), Value::Null)
        .await;
    assert_eq!(peek.0, 403);
}

#[tokio::test]
async fn who_is_not_invited_stays_out() {
    let stage = Stage::new().await;
    let room = stage.room(json!({})).await;

    let join = stage
        .refused(
            &stage.bob,
            Method::POST,
            &format!("/join/{room}"),
            json!({}),
        )
        .await;
    let none = stage
        .refused(
            &stage.bob,
            Method::POST,
            "/join/!none:example.org",
            json!({}),
        )
        .await;
    let alias = stage
        .refused(
            &stage.bob,
            Method::POST,
            "/join/%23x:example.org",
            json!({}),
        )
        .await;

    assert_eq!(join, (403, "M_FORBIDDEN".to_owned()));
    assert_eq!(none.0, 404);
    assert_eq!(alias, (404, "M_NOT_FOUND".to_owned()));
    for what in [
        "state",
        "members",
        "joined_members",
        "messages",
        "state/m.room.name",
    ] {
        let reply = stage
            .refused(&stage.bob, Method::GET, &at(&room, what), Value::Null)
            .await;
        assert_eq!(reply.0, 403, "{what}");
    }
}

#[tokio::test]
async fn joining_twice_is_joining_once() {
    let stage = Stage::new().await;
    let room = stage.party().await;
    let before = stage.world.store.snapshot().unwrap().last_change().unwrap();

    let again = post(&stage.world, &stage.bob, &at(&room, "join"), json!({})).await;

    assert_eq!(again, json!({"room_id": room}));
    assert_eq!(
        stage.world.store.snapshot().unwrap().last_change().unwrap(),
        before
    );
    let joined = get(&stage.world, &stage.bob, "/joined_rooms").await;
    assert_eq!(joined, json!({"joined_rooms": [room]}));
}

#[tokio::test]
async fn who_joins_may_say_more_of_it() {
    let stage = Stage::new().await;
    let room = stage.room(json!({"preset": "public_chat"})).await;

    let said = json!({
        "reason": "because", "displayname": "Bobby", "org.example.more": 1, "membership": "ban",
        "third_party_signed": {},
    });
    post(
        &stage.world,
        &stage.bob,
        &format!("/rooms/{room}/join"),
        said,
    )
    .await;

    let path = format!("/rooms/{room}/state/m.room.member/{}", stage.bob.id);
    let expected = json!({
        "reason": "because", "displayname": "Bobby", "org.example.more": 1, "membership": "join",
    });
    assert_eq!(get(&stage.world, &stage.ada, &path).await, expected);
}

#[tokio::test]
async fn who_leaves_is_told_so_once() {
    let stage = Stage::new().await;
    let room = stage.party().await;
    let before = next(&sync(&stage.world, &stage.bob, "").await);
    stage.say(&stage.ada, &room, "last words").await;

    post(&stage.world, &stage.bob, &at(&room, "leave"), json!({})).await;
    stage.say(&stage.ada, &room, "behind your back").await;

    let answer = sync(&stage.world, &stage.bob, &before).await;
    let block = &answer["rooms"]["leave"][&room];
    let events = &block["timeline"]["events"];
    assert_eq!(types(events), ["m.room.message", "m.room.member"]);
    assert_eq!(texts(events), ["last words"]);
    let later = sync(&stage.world, &stage.bob, &next(&answer)).await;
    assert_eq!(later["rooms"]["leave"], json!({}));
    let first = sync(&stage.world, &stage.bob, "").await;
    assert_eq!(first["rooms"]["leave"], json!({}));
    let filter = json!({"room": {"include_leave": true}});
    let all = sync_with(&stage.world, &stage.bob, "", &filter).await;
    assert!(all["rooms"]["leave"].get(&room).is_some());
    post(&stage.world, &stage.bob, &at(&room, "leave"), json!({})).await;
    let stranger = stage.room(json!({})).await;
    let reply = stage
        .refused(&stage.bob, Method::POST, &at(&stranger, "leave"), json!({}))
        .await;
    assert_eq!(reply.0, 403);
}

#[tokio::test]
async fn an_invitation_can_be_refused() {
    let stage = Stage::new().await;
    let room = stage.room(json!({"invite": [stage.bob.id]})).await;
    let before = next(&sync(&stage.world, &stage.bob, "").await);

    post(&stage.world, &stage.bob, &at(&room, "leave"), json!({})).await;

    let answer = sync(&stage.world, &stage.bob, &before).await;
    assert_eq!(answer["rooms"]["invite"], json!({}));
    let block = &answer["rooms"]["leave"][&room];
    let kinds: Vec<&str> = types(&block["timeline"]["events"]);
    assert_eq!(kinds, ["m.room.member"], "and nothing else of the room");
    assert_eq!(block["state"]["events"], json!([]));
}

#[tokio::test]
async fn who_is_kicked_may_come_back_and_who_is_banned_may_not() {
    let stage = Stage::new().await;
    let room = stage.party().await;
    let (bob, cleo) = (&stage.bob, &stage.cleo);
    let join = format!("/join/{room}");

    let weak = stage
        .refused(bob, Method::POST, &at(&room, "kick"), about(cleo))
        .await;
    post(&stage.world, &stage.ada, &at(&room, "kick"), about(cleo)).await;
    let gone = stage
        .refused(&stage.ada, Method::POST, &at(&room, "kick"), about(cleo))
        .await;
    post(&stage.world, cleo, &join, json!({})).await;
    post(&stage.world, &stage.ada, &at(&room, "ban"), about(cleo)).await;
    let banned = stage.refused(cleo, Method::POST, &join, json!({})).await;
    let invited = stage
        .refused(bob, Method::POST, &at(&room, "invite"), about(cleo))
        .await;
    let unbanned = stage
        .refused(bob, Method::POST, &at(&room, "unban"), about(cleo))
        .await;
    post(&stage.world, &stage.ada, &at(&room, "unban"), about(cleo)).await;
    let twice = stage
        .refused(&stage.ada, Method::POST, &at(&room, "unban"), about(cleo))
        .await;
    post(&stage.world, cleo, &join, json!({})).await;

    for refused in [weak, gone, banned, invited, unbanned, twice] {
        assert_eq!(refused.0, 403);
    }
    let path = at(
        &room,
        &format!("state/m.room.member/{}?format=event", cleo.id),
    );
    let event = get(&stage.world, cleo, &path).await;
    assert_eq!(event["content"]["membership"], "join");
    assert_eq!(event["unsigned"]["prev_content"]["reason"], "because");
}

#[tokio::test]
async fn users_of_other_servers_are_banned_but_not_invited() {
    let stage = Stage::new().await;
    let room = stage.party().await;
    let stranger = json!({"user_id": "@eve:elsewhere.org"});
    let path = at(&room, "state/m.room.member/@eve:elsewhere.org");
    let membership = |membership: &str| json!({ "membership": membership });

    for user in ["eve", "@eve", "@eve:", "@eve:else where.org"] {
        for what in ["ban", "unban", "kick", "invite"] {
            let body = json!({ "user_id": user });
            let reply = stage
                .refused(&stage.ada, Method::POST, &at(&room, what), body)
                .await;
            let expected = (400, "M_INVALID_PARAM".to_owned());
            assert_eq!(reply, expected, "{what} {user}");
        }
    }
    for (user, what) in [
        (&stage.ada, "invite"),
        (&stage.ada, "kick"),
        (&stage.ada, "unban"),
        (&stage.bob, "ban"),
    ] {
        let reply = stage
            .refused(user, Method::POST, &at(&room, what), stranger.clone())
            .await;
        assert_eq!(reply, (403, "M_FORBIDDEN".to_owned()), "{what}");
    }
    post(
        &stage.world,
        &stage.ada,
        &at(&room, "ban"),
        stranger.clone(),
    )
    .await;
    assert_eq!(
        get(&stage.world, &stage.bob, &path).await,
        membership("ban")
    );
    post(&stage.world, &stage.ada, &at(&room, "unban"), stranger).await;
    assert_eq!(
        get(&stage.world, &stage.bob, &path).await,
        membership("leave")
    );
    put(&stage.world, &stage.ada, &path, membership("ban")).await;
    put(&stage.world, &stage.ada, &path, membership("leave")).await;
    for said in ["invite", "join"] {
        let reply = stage
            .refused(&stage.ada, Method::PUT, &path, membership(said))
            .await;
        assert_eq!(reply, (403, "M_FORBIDDEN".to_owned()), "{said}");
    }
}

#[tokio::test]
async fn a_room_is_forgotten_after_it_was_left() {
    let stage = Stage::new().await;
    let room = stage.party().await;
    let filter = json!({"room": {"include_leave": true}});

    let early = stage
        .refused(&stage.bob, Method::POST, &at(&room, "forget"), json!({}))
        .await;
    post(&stage.world, &stage.bob, &at(&room, "leave"), json!({})).await;
    get(&stage.world, &stage.bob, &at(&room, "messages")).await;
    post(&stage.world, &stage.bob, &at(&room, "forget"), json!({})).await;

    assert_eq!(early, (400, "M_UNKNOWN".to_owned()));
    let gone = stage
        .refused(&stage.bob, Method::GET, &at(&room, "messages"), Value::Null)
        .await;
    assert_eq!(gone.0, 403);
    let answer = sync_with(&stage.world, &stage.bob, "", &filter).await;
    assert_eq!(answer["rooms"]["leave"], json!({}));
    stage.join(&stage.bob, &room).await;
    get(&stage.world, &stage.bob, &at(&room, "messages")).await;
}

#[tokio::test]
async fn members_are_listed_by_how_they_belong() {
    let stage = Stage::new().await;
    let room = stage.party().await;
    let start = next(&sync(&stage.world, &stage.ada, "").await);
    post(&stage.world, &stage.cleo, &at(&room, "leave"), json!({})).await;
    let ids = |answer: &Value| -> Vec<String> {
        let members = answer["chunk"].as_array().unwrap().iter();
        members
            .map(|event| event["state_key"].as_str().unwrap().to_owned())
            .collect()
    };

    let all = get(&stage.world, &stage.ada, &at(&room, "members")).await;
    let joined = get(
        &stage.world,
        &stage.ada,
        &at(&room, "members?membership=join"),
    )
    .await;
    let not_left = get(
        &stage.world,
        &stage.ada,
        &at(&room, "members?not_membership=leave"),
    )
    .await;
    let left = get(
        &stage.world,
        &stage.ada,
        &at(&room, "members?membership=leave"),
    )
    .await;
    let query = format!("members?membership=join&at={start}");
    let then = get(&stage.world, &stage.ada, &at(&room, &query)).await;

    assert_eq!(ids(&all).len(), 3);
    assert_eq!(ids(&joined), [stage.ada.id.clone(), stage.bob.id.clone()]);
    assert_eq!(ids(&not_left), ids(&joined));
    assert_eq!(ids(&left), std::slice::from_ref(&stage.cleo.id));
    assert_eq!(ids(&then).len(), 3);
    let joined = get(&stage.world, &stage.ada, &at(&room, "joined_members")).await;
    assert_eq!(
        joined["joined"][&stage.bob.id],
        json!({"display_name": "bob", "avatar_url": null})
    );
    assert_eq!(joined["joined"].as_object().unwrap().len(), 2);
}
