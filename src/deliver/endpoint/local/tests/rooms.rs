use serde_json::Value;
use serde_json::json;

use super::*;

#[tokio::test]
async fn a_room_is_made_written_to_and_followed() {
    let stage = Stage::new().await;
    let room = stage
        .room(json!({"name": "Garden", "topic": "Roses", "preset": "public_chat"}))
        .await;
    stage.join(&stage.bob, &room).await;
    let before = next(&sync(&stage.world, &stage.bob, "").await);

    let said = stage.say(&stage.ada, &room, "Water them").await;

    let answer = sync(&stage.world, &stage.bob, &before).await;
    let block = &answer["rooms"]["join"][&room];
    assert_eq!(texts(&block["timeline"]["events"]), ["Water them"]);
    assert_eq!(block["timeline"]["events"][0]["event_id"], said);
    assert_eq!(block["timeline"]["limited"], false);
    let path = format!("/rooms/{room}/event/{said}");
    let stage = stage.restarted();
    let event = get(&stage.world, &stage.bob, &path).await;
    assert_eq!(event["content"]["body"], "Water them");
    assert_eq!(event["room_id"], room);
    let empty = sync(&stage.world, &stage.bob, &next(&answer)).await;
    assert_eq!(empty["rooms"]["join"], json!({}));
}

#[tokio::test]
async fn a_room_begins_in_the_order_of_the_specification() {
    let stage = Stage::new().await;
    let room = stage
        .room(json!({
            "name": "N", "topic": "T", "invite": [stage.bob.id],
            "initial_state": [{"type": "m.test", "content": {"a": 1}}],
        }))
        .await;

    let page = get(
        &stage.world,
        &stage.ada,
        &format!("/rooms/{room}/messages?dir=f&limit=50"),
    )
    .await;

    let expected = [
        "m.room.create",
        "m.room.member",
        "m.room.power_levels",
        "m.room.join_rules",
        "m.room.history_visibility",
        "m.room.guest_access",
        "m.test",
        "m.room.name",
        "m.room.topic",
        "m.room.member",
    ];
    assert_eq!(types(&page["chunk"]), expected);
    let end = page["end"].as_str().unwrap();
    let path = format!("/rooms/{room}/messages?dir=f&from={end}");
    let behind = get(&stage.world, &stage.ada, &path).await;
    assert_eq!((&behind["chunk"], behind.get("end")), (&json!([]), None));
}

#[tokio::test]
async fn a_topic_of_a_new_room_is_a_text_in_both_ways_of_saying_so() {
    let stage = Stage::new().await;
    let said = json!([{"type": "m.room.topic", "content": {"topic": "Weeds"}}]);

    let room = stage
        .room(json!({"topic": "Roses", "initial_state": said}))
        .await;

    let path = format!("/rooms/{room}/state/m.room.topic");
    let expected = json!({"topic": "Roses", "m.topic": {"m.text": [{"body": "Roses"}]}});
    assert_eq!(get(&stage.world, &stage.ada, &path).await, expected);
}

#[tokio::test]
async fn presets_say_who_may_come_in() {
    let stage = Stage::new().await;
    for (how, rule, power) in [
        (json!({}), "invite", 0),
        (json!({"visibility": "public"}), "public", 0),
        (
            json!({"preset": "private_chat", "visibility": "public"}),
            "invite",
            0,
        ),
        (json!({"preset": "trusted_private_chat"}), "invite", 100),
        (json!({"preset": "public_chat"}), "public", 0),
    ] {
        let mut how = how;
        how["invite"] = json!([stage.bob.id]);
        let room = stage.room(how.clone()).await;
        let state = |kind: &str| format!("/rooms/{room}/state/{kind}/");
        let rules = get(&stage.world, &stage.ada, &state("m.room.join_rules")).await;
        assert_eq!(rules, json!({"join_rule": rule}), "{how}");
        let levels = get(&stage.world, &stage.ada, &state("m.room.power_levels")).await;
        let held = levels["users"]
            .get(&stage.bob.id)
            .map_or(0, |level| level.as_i64().unwrap());
        assert_eq!(held, power, "{how}");
    }
}

#[tokio::test]
async fn a_beginning_that_cannot_be_leaves_nothing() {
    let stage = Stage::new().await;
    let before = stage.world.store.snapshot().unwrap().rooms().unwrap().len();

    for (how, code) in [
        (json!({"room_version": "99"}), "M_UNSUPPORTED_ROOM_VERSION"),
        (json!({"name": 1}), "M_BAD_JSON"),
        (json!({"topic": []}), "M_BAD_JSON"),
        (json!({"preset": "x"}), "M_BAD_JSON"),
        (json!({"visibility": "x"}), "M_INVALID_PARAM"),
        (json!({"invite": ["bob"]}), "M_INVALID_PARAM"),
        (json!({"invite": ["@bob:elsewhere.org"]}), "M_FORBIDDEN"),
        (
            json!({"power_level_content_override": {"ban": "x"}}),
            "M_BAD_JSON",
        ),
        (
            json!({"power_level_content_override": {"users": {}}}),
            "M_INVALID_ROOM_STATE",
        ),
        (json!({"room_alias_name": "x"}), "M_INVALID_PARAM"),
    ] {
        let reply = stage
            .refused(&stage.ada, Method::POST, "/createRoom", how.clone())
            .await;
        assert_eq!(reply.1, code, "{how}");
    }
    let after = stage.world.store.snapshot().unwrap().rooms().unwrap().len();
    assert_eq!(before, after);
}

#[tokio::test]
async fn null_says_nothing_of_a_new_room() {
    let stage = Stage::new().await;

    for name in [
        "visibility",
        "preset",
        "room_alias_name",
        "name",
        "topic",
        "invite",
        "invite_3pid",
        "room_version",
        "creation_content",
        "initial_state",
        "is_direct",
        "power_level_content_override",
    ] {
        stage.room(json!({name: null})).await;
    }
    let state = json!([{"type": "m.test", "state_key": null, "content": {}}]);
    let room = stage.room(json!({"initial_state": state})).await;

    let path = format!("/rooms/{room}/state/m.test/");
    assert_eq!(get(&stage.world, &stage.ada, &path).await, json!({}));
}

#[tokio::test]
async fn a_room_has_the_version_that_was_asked_for() {
    let stage = Stage::new().await;
    let capabilities = get(&stage.world, &stage.ada, "/capabilities").await;
    let versions = &capabilities["capabilities"]["m.room_versions"];
    assert_eq!(versions["default"], "10");

    for (version, _) in versions["available"].as_object().unwrap() {
        let room = stage.room(json!({"room_version": version})).await;

        let path = format!("/rooms/{room}/state/m.room.create");
        let created = get(&stage.world, &stage.ada, &path).await;
        assert_eq!(created["room_version"], version.as_str());
        stage.say(&stage.ada, &room, version).await;
    }
}

#[tokio::test]
async fn no_alias_leads_to_a_room() {
    let stage = Stage::new().await;
    let room = stage.room(json!({})).await;
    let path = format!("/rooms/{room}/state/m.room.canonical_alias");

    for (content, code) in [
        (json!({"alias": "#a:example.org"}), "M_BAD_ALIAS"),
        (json!({"alt_aliases": ["#a:example.org"]}), "M_BAD_ALIAS"),
        (json!({"alias": "%a:example.org"}), "M_INVALID_PARAM"),
        (json!({"alt_aliases": ["a"]}), "M_INVALID_PARAM"),
        (json!({"alias": 1}), "M_INVALID_PARAM"),
        (json!({"alias": "#a:exam ple"}), "M_INVALID_PARAM"),
        (json!({"alt_aliases": "#a:example.org"}), "M_INVALID_PARAM"),
        (json!({"alt_aliases": [null]}), "M_INVALID_PARAM"),
    ] {
        let refused = stage
            .refused(&stage.ada, Method::PUT, &path, content.clone())
            .await;
        assert_eq!(refused, (400, code.to_owned()), "{content}");
        let state = json!([{"type": "m.room.canonical_alias", "content": content}]);
        let begin = json!({ "initial_state": state });
        let refused = stage
            .refused(&stage.ada, Method::POST, "/createRoom", begin)
            .await;
        assert_eq!(refused, (400, code.to_owned()), "{content}");
    }
    for none in [
        json!({}),
        json!({"alias": null, "alt_aliases": null}),
        json!({"alias": "", "alt_aliases": []}),
    ] {
        put(&stage.world, &stage.ada, &path, none.clone()).await;
        assert_eq!(get(&stage.world, &stage.ada, &path).await, none);
    }
    let path = "/directory/room/%23a:example.org";
    for method in [Method::GET, Method::DELETE] {
        let refused = stage.refused(&stage.ada, method, path, Value::Null).await;
        assert_eq!(refused, (404, "M_NOT_FOUND".to_owned()));
    }
}

#[tokio::test]
async fn a_room_can_be_looked_at_once() {
    let stage = Stage::new().await;
    let room = stage.room(json!({"visibility": "public"})).await;
    stage.say(&stage.ada, &room, "1").await;
    stage.say(&stage.ada, &room, "2").await;
    let look = async |limit: u64| {
        let path = format!("/rooms/{room}/initialSync?limit={limit}");
        get(&stage.world, &stage.ada, &path).await
    };

    let (none, one) = (look(0).await, look(1).await);

    assert_eq!(none["messages"]["chunk"], json!([]));
    assert_eq!(texts(&one["messages"]["chunk"]), ["2"]);
    assert_eq!(
        (&one["membership"], &one["visibility"]),
        (&json!("join"), &json!("public"))
    );
}

#[tokio::test]
async fn creation_content_and_levels_are_taken() {
    let stage = Stage::new().await;
    let room = stage
        .room(json!({
            "creation_content": {"type": "m.space", "creator": "@eve:x", "room_version": "9"},
            "power_level_content_override": {"events_default": 50},
        }))
        .await;

    let path = |kind: &str| format!("/rooms/{room}/state/{kind}");
    let created = get(&stage.world, &stage.ada, &path("m.room.create")).await;
    let levels = get(&stage.world, &stage.ada, &path("m.room.power_levels")).await;

    let expected = json!({"type": "m.space", "creator": stage.ada.id, "room_version": "10"});
    assert_eq!(created, expected);
    assert_eq!(levels["events_default"], 50);
    assert_eq!(levels["users"][&stage.ada.id], 100);
}

#[tokio::test]
async fn a_transaction_is_done_once_for_each_device() {
    let stage = Stage::new().await;
    let room = stage.party().await;
    let path = format!("/rooms/{room}/send/m.room.message/same");
    let body = json!({"msgtype": "m.text", "body": "x"});

    let first = put(&stage.world, &stage.ada, &path, body.clone()).await;
    let stage = stage.restarted();
    let again = put(&stage.world, &stage.ada, &path, body.clone()).await;
    let other = put(&stage.world, &stage.bob, &path, body.clone()).await;

    assert_eq!(first, again);
    assert_ne!(first, other);
    let event = format!(
        "/rooms/{room}/event/{}",
        first["event_id"].as_str().unwrap()
    );
    let own = get(&stage.world, &stage.ada, &event).await;
    assert_eq!(own["unsigned"]["transaction_id"], "same");
    let others = get(&stage.world, &stage.bob, &event).await;
    assert_eq!(others["unsigned"].get("transaction_id"), None);
}

#[tokio::test]
async fn state_is_put_and_read_with_and_without_key() {
    let stage = Stage::new().await;
    let room = stage.party().await;
    let path = |rest: &str| format!("/rooms/{room}/state/{rest}");

    let first = put(&stage.world, &stage.ada, &path("m.test"), json!({"a": 1})).await;
    let same = put(&stage.world, &stage.ada, &path("m.test/"), json!({"a": 1})).await;
    put(
        &stage.world,
        &stage.ada,
        &path("m.test/key"),
        json!({"a": 2}),
    )
    .await;

    assert_eq!(first, same);
    assert_eq!(
        get(&stage.world, &stage.bob, &path("m.test")).await,
        json!({"a": 1})
    );
    assert_eq!(
        get(&stage.world, &stage.bob, &path("m.test/key")).await,
        json!({"a": 2})
    );
    let event = get(&stage.world, &stage.bob, &path("m.test/key?format=event")).await;
    assert_eq!(
        (&event["state_key"], &event["sender"]),
        (&json!("key"), &json!(stage.ada.id))
    );
    let none = stage
        .refused(&stage.bob, Method::GET, &path("m.none"), Value::Null)
        .await;
    assert_eq!(none, (404, "M_NOT_FOUND".to_owned()));
    let power = stage
        .refused(&stage.bob, Method::PUT, &path("m.test"), json!({}))
        .await;
    assert_eq!(power, (403, "M_FORBIDDEN".to_owned()));
    let own = format!("m.own/{}", stage.ada.id);
    let levels = json!({"users": {stage.ada.id.clone(): 100, stage.bob.id.clone(): 50}});
    stage
        .set(&stage.ada, &room, "m.room.power_levels", "", levels)
        .await;
    let anothers = stage
        .refused(&stage.bob, Method::PUT, &path(&own), json!({}))
        .await;
    assert_eq!(anothers.0, 403);
}

#[tokio::test]
async fn what_is_no_event_is_refused() {
    let stage = Stage::new().await;
    let room = stage.party().await;
    let path = format!("/rooms/{room}/send/m.room.message/x");

    let float = stage
        .refused(&stage.ada, Method::PUT, &path, json!({"a": 1.5}))
        .await;
    let list = stage
        .refused(&stage.ada, Method::PUT, &path, json!([]))
        .await;
    let large = json!({"body": "x".repeat(70_000)});
    let large = stage.refused(&stage.ada, Method::PUT, &path, large).await;

    assert_eq!(float, (400, "M_BAD_JSON".to_owned()));
    assert_eq!(list, (400, "M_BAD_JSON".to_owned()));
    assert_eq!(large, (413, "M_TOO_LARGE".to_owned()));
    let nowhere = "/rooms/!nowhere:example.org/send/m.room.message/x";
    assert_eq!(
        stage
            .refused(&stage.ada, Method::PUT, nowhere, json!({}))
            .await
            .0,
        403
    );
}

#[tokio::test]
async fn rooms_are_listed_and_found() {
    let stage = Stage::new().await;
    let garden = stage
        .room(json!({"visibility": "public", "name": "Garden", "topic": "Roses"}))
        .await;
    stage.room(json!({"name": "Secret"})).await;
    let cellar = stage
        .room(json!({"visibility": "public", "name": "Cellar"}))
        .await;
    stage.join(&stage.bob, &cellar).await;

    let all = get(&stage.world, &stage.bob, "/publicRooms").await;
    let first = get(&stage.world, &stage.bob, "/publicRooms?limit=1").await;
    let rest = format!(
        "/publicRooms?limit=1&since={}",
        first["next_batch"].as_str().unwrap()
    );
    let rest = get(&stage.world, &stage.bob, &rest).await;
    let body = json!({"filter": {"generic_search_term": "rose"}});
    let found = post(&stage.world, &stage.bob, "/publicRooms", body).await;

    let ids = |answer: &Value| -> Vec<String> {
        let rooms = answer["chunk"].as_array().unwrap().iter();
        rooms
            .map(|room| room["room_id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(ids(&all), [cellar.clone(), garden.clone()]);
    assert_eq!(
        (ids(&first), ids(&rest)),
        (vec![cellar], vec![garden.clone()])
    );
    assert_eq!(rest.get("next_batch"), None);
    assert_eq!(ids(&found), std::slice::from_ref(&garden));
    assert_eq!(found["chunk"][0]["num_joined_members"], 1);
    let path = format!("/directory/list/room/{garden}");
    assert_eq!(
        get(&stage.world, &stage.bob, &path).await,
        json!({"visibility": "public"})
    );
    let hide = json!({"visibility": "private"});
    assert_eq!(
        stage
            .refused(&stage.bob, Method::PUT, &path, hide.clone())
            .await
            .0,
        403
    );
    put(&stage.world, &stage.ada, &path, hide).await;
    assert_eq!(
        get(&stage.world, &stage.bob, "/publicRooms").await["chunk"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn events_are_redacted_by_who_may() {
    let stage = Stage::new().await;
    let room = stage.party().await;
    let said = stage.say(&stage.bob, &room, "secret").await;
    let path = |event: &str, txn: &str| format!("/rooms/{room}/redact/{event}/{txn}");
    let before = next(&sync(&stage.world, &stage.cleo, "").await);

    let others = stage
        .refused(&stage.cleo, Method::PUT, &path(&said, "1"), json!({}))
        .await;
    let body = json!({"reason": "enough"});
    let done = put(&stage.world, &stage.ada, &path(&said, "1"), body.clone()).await;
    let again = put(&stage.world, &stage.ada, &path(&said, "1"), body).await;

    assert_eq!(others.0, 403);
    assert_eq!(done, again);
    let event = get(
        &stage.world,
        &stage.cleo,
        &format!("/rooms/{room}/event/{said}"),
    )
    .await;
    assert_eq!(event["content"], json!({}));
    assert_eq!(
        event["unsigned"]["redacted_because"]["event_id"],
        done["event_id"]
    );
    let answer = sync(&stage.world, &stage.cleo, &before).await;
    let redaction = &answer["rooms"]["join"][&room]["timeline"]["events"][0];
    assert_eq!(redaction["redacts"], said);
    assert_eq!(
        redaction["content"],
        json!({"reason": "enough", "redacts": said})
    );
    let none = stage
        .refused(&stage.ada, Method::PUT, &path("$none", "2"), json!({}))
        .await;
    assert_eq!(none.0, 400);
    let own = stage.say(&stage.cleo, &room, "mine").await;
    put(&stage.world, &stage.cleo, &path(&own, "3"), json!({})).await;
}

#[tokio::test]
async fn tags_and_data_of_a_room_are_the_users_own() {
    let stage = Stage::new().await;
    let room = stage.party().await;
    let before = next(&sync(&stage.world, &stage.bob, "").await);
    let tag = format!("/user/{}/rooms/{room}/tags/m.favourite", stage.bob.id);
    let data = format!("/user/{}/rooms/{room}/account_data/m.test", stage.bob.id);

    put(&stage.world, &stage.bob, &tag, json!({"order": 0.5})).await;
    put(&stage.world, &stage.bob, &data, json!({"a": 1})).await;

    let answer = sync(&stage.world, &stage.bob, &before).await;
    let events = &answer["rooms"]["join"][&room]["account_data"]["events"];
    assert_eq!(types(events), ["m.tag", "m.test"]);
    let others = sync(&stage.world, &stage.cleo, &before).await;
    assert_eq!(others["rooms"]["join"], json!({}));
}

#[tokio::test]
async fn a_message_can_be_sent_without_a_transaction() {
    let stage = Stage::new().await;
    let room = stage.party().await;
    let path = format!("/rooms/{room}/send/m.room.message");
    let body = json!({"msgtype": "m.text", "body": "x"});

    let first = post(&stage.world, &stage.bob, &path, body.clone()).await;
    let second = post(&stage.world, &stage.bob, &path, body).await;

    assert_ne!(first["event_id"], second["event_id"]);
    let path = format!("/directory/list/room/{room}");
    let wrong = stage
        .refused(&stage.bob, Method::DELETE, &path, Value::Null)
        .await;
    assert_eq!(wrong, (405, "M_UNRECOGNIZED".to_owned()));
}

#[tokio::test]
async fn who_is_in_a_room_for_everybody_finds_themselves() {
    let stage = Stage::new().await;
    let secret = stage.room(json!({})).await;
    let search = json!({"search_term": "ada"});
    let find = async || {
        let path = "/user_directory/search";
        let found = post(&stage.world, &stage.ada, path, search.clone()).await;
        found["results"].as_array().unwrap().len()
    };

    let alone = find().await;
    let rule = json!({"join_rule": "public"});
    stage
        .set(&stage.ada, &secret, "m.room.join_rules", "", rule)
        .await;

    assert_eq!((alone, find().await), (0, 1));
}
