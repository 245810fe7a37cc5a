use serde_json::Value;
use serde_json::json;

use super::*;

/// A room with a rule of visibility: something is said before Bob is invited, while he is, when he is in it, and when he
/// has left.
async fn story(stage: &Stage, visibility: &str) -> String {
    let state = json!([{
        "type": "m.room.history_visibility", "content": {"history_visibility": visibility},
    }]);
    let room = stage.room(json!({"initial_state": state})).await;
    stage.say(&stage.ada, &room, "before").await;
    let invite = format!("/rooms/{room}/invite");
    post(
        &stage.world,
        &stage.ada,
        &invite,
        json!({"user_id": stage.bob.id}),
    )
    .await;
    stage.say(&stage.ada, &room, "invited").await;
    stage.join(&stage.bob, &room).await;
    stage.say(&stage.ada, &room, "joined").await;
    room
}

async fn seen(stage: &Stage, user: &User, room: &str) -> Vec<String> {
    let path = format!("/rooms/{room}/messages?dir=f&limit=100");
    let page = get(&stage.world, user, &path).await;
    texts(&page["chunk"])
        .into_iter()
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn newcomers_see_what_the_room_lets_them_see() {
    let stage = Stage::new().await;
    for (visibility, expected) in [
        ("joined", vec!["joined"]),
        ("invited", vec!["invited", "joined"]),
        ("shared", vec!["before", "invited", "joined"]),
        ("world_readable", vec!["before", "invited", "joined"]),
    ] {
        let room = story(&stage, visibility).await;
        assert_eq!(
            seen(&stage, &stage.bob, &room).await,
            expected,
            "{visibility}"
        );
        let answer = sync(&stage.world, &stage.bob, "").await;
        let events = &answer["rooms"]["join"][&room]["timeline"]["events"];
        assert_eq!(texts(events), expected, "{visibility}");
    }
}

#[tokio::test]
async fn leavers_see_nothing_of_what_comes_after_them() {
    let stage = Stage::new().await;
    for visibility in ["joined", "invited", "shared"] {
        let room = story(&stage, visibility).await;
        let mut expected = seen(&stage, &stage.bob, &room).await;
        post(
            &stage.world,
            &stage.bob,
            &format!("/rooms/{room}/leave"),
            json!({}),
        )
        .await;
        let hidden = stage.say(&stage.ada, &room, "left").await;
        stage
            .set(
                &stage.ada,
                &room,
                "m.room.topic",
                "",
                json!({"topic": "new"}),
            )
            .await;
        if visibility == "shared" {
            expected = vec![
                "before".to_owned(),
                "invited".to_owned(),
                "joined".to_owned(),
            ];
        }

        assert_eq!(
            seen(&stage, &stage.bob, &room).await,
            expected,
            "{visibility}"
        );
        let path = |rest: &str| format!("/rooms/{room}/{rest}");
        let event = path(&format!("event/{hidden}"));
        let event = stage
            .refused(&stage.bob, Method::GET, &event, Value::Null)
            .await;
        assert_eq!(event, (404, "M_NOT_FOUND".to_owned()));
        let topic = path("state/m.room.topic");
        assert_eq!(
            stage
                .refused(&stage.bob, Method::GET, &topic, Value::Null)
                .await
                .0,
            404
        );
        let members = get(&stage.world, &stage.bob, &path("members")).await;
        assert_eq!(members["chunk"].as_array().unwrap().len(), 2);
    }
}

#[tokio::test]
async fn everybody_reads_what_is_readable_to_the_world() {
    let stage = Stage::new().await;
    let room = story(&stage, "world_readable").await;

    assert_eq!(
        seen(&stage, &stage.cleo, &room).await,
        ["before", "invited", "joined"]
    );
    get(&stage.world, &stage.cleo, &format!("/rooms/{room}/state")).await;
    let path = format!("/rooms/{room}/send/m.room.message/1");
    let write = stage
        .refused(&stage.cleo, Method::PUT, &path, json!({"body": "x"}))
        .await;
    assert_eq!(write.0, 403);
}

#[tokio::test]
async fn a_change_of_visibility_hides_nothing_that_was_visible() {
    let stage = Stage::new().await;
    let room = stage.room(json!({"preset": "public_chat"})).await;
    stage.say(&stage.ada, &room, "shared").await;
    let said = json!({"history_visibility": "joined"});
    stage
        .set(&stage.ada, &room, "m.room.history_visibility", "", said)
        .await;
    stage.say(&stage.ada, &room, "joined").await;

    stage.join(&stage.bob, &room).await;

    assert_eq!(seen(&stage, &stage.bob, &room).await, ["shared"]);
}

#[tokio::test]
async fn a_timeline_goes_on_before_what_is_not_seen() {
    let stage = Stage::new().await;
    let room = stage.room(json!({"preset": "public_chat"})).await;
    let kind = "m.room.history_visibility";
    let before = next(&sync(&stage.world, &stage.bob, "").await);
    stage.say(&stage.ada, &room, "shared").await;
    for visibility in ["joined", "invited", "shared"] {
        let said = json!({ "history_visibility": visibility });
        stage.set(&stage.ada, &room, kind, "", said).await;
        stage.say(&stage.ada, &room, visibility).await;
    }
    stage.join(&stage.bob, &room).await;

    let first = sync(&stage.world, &stage.bob, "").await;
    let later = sync(&stage.world, &stage.bob, &before).await;

    let timeline = |answer: &Value| answer["rooms"]["join"][&room]["timeline"].clone();
    assert_eq!(timeline(&first), timeline(&later));
    let events = &timeline(&first)["events"];
    assert_eq!(texts(events), ["shared", "shared"]);
    let events = events.as_array().unwrap().iter();
    let shown = events.filter(|event| event["type"] == kind);
    let shown: Vec<_> = shown
        .map(|event| event["content"]["history_visibility"].clone())
        .skip_while(|visibility| visibility == "shared")
        .collect();
    assert_eq!(shown, ["joined", "shared"], "those between are not seen");
}

#[tokio::test]
async fn state_that_is_not_seen_is_before_the_timeline() {
    let stage = Stage::new().await;
    let room = stage.party().await;
    let said = json!({"history_visibility": "joined"});
    stage
        .set(&stage.ada, &room, "m.room.history_visibility", "", said)
        .await;
    let before = next(&sync(&stage.world, &stage.bob, "").await);
    let leave = format!("/rooms/{room}/leave");
    post(&stage.world, &stage.bob, &leave, json!({})).await;
    stage.say(&stage.ada, &room, "hidden").await;
    let gone = sync(&stage.world, &stage.bob, &before).await;
    stage.join(&stage.bob, &room).await;
    let back = sync(&stage.world, &stage.bob, &next(&gone)).await;
    post(&stage.world, &stage.bob, &leave, json!({})).await;
    post(&stage.world, &stage.cleo, &leave, json!({})).await;
    stage.join(&stage.bob, &room).await;

    let again = sync(&stage.world, &stage.bob, &before).await;

    let block = &back["rooms"]["join"][&room];
    assert_eq!(
        block["timeline"]["limited"], true,
        "there was a stay before"
    );
    assert!(types(&block["timeline"]["events"]).contains(&"m.room.history_visibility"));
    let block = &again["rooms"]["join"][&room];
    assert_eq!(block["timeline"]["limited"], true);
    assert_eq!(types(&block["timeline"]["events"]), ["m.room.member"]);
    let state = block["state"]["events"].as_array().unwrap();
    let gone = |event: &&Value| event["state_key"] == stage.cleo.id;
    let gone = state.iter().find(gone).unwrap();
    assert_eq!(gone["content"]["membership"], "leave");
}

#[tokio::test]
async fn pages_go_both_ways_and_end() {
    let stage = Stage::new().await;
    let room = stage.party().await;
    for number in 0..7 {
        stage.say(&stage.ada, &room, &number.to_string()).await;
    }
    let wanted = encoded(&json!({"types": ["m.room.message"]}).to_string());
    let page = |rest: String| format!("/rooms/{room}/messages?limit=3&filter={wanted}&{rest}");

    let mut collected = Vec::new();
    let mut rest = "dir=b".to_owned();
    loop {
        let answer = get(&stage.world, &stage.bob, &page(rest)).await;
        collected.extend(texts(&answer["chunk"]).into_iter().map(str::to_owned));
        let Some(end) = answer["end"].as_str() else {
            break;
        };
        rest = format!("dir=b&from={end}");
    }
    assert_eq!(collected, ["6", "5", "4", "3", "2", "1", "0"]);
    let synced = sync(&stage.world, &stage.bob, "").await;
    let block = &synced["rooms"]["join"][&room]["timeline"];
    let from = block["prev_batch"].as_str().unwrap();
    let older = get(
        &stage.world,
        &stage.bob,
        &format!("/rooms/{room}/messages?dir=b&from={from}"),
    )
    .await;
    let ids = |events: &Value| -> Vec<String> {
        let events = events.as_array().unwrap().iter();
        events
            .map(|event| event["event_id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert!(
        ids(&older["chunk"])
            .iter()
            .all(|id| !ids(&block["events"]).contains(id))
    );
    let since = next(&synced);
    stage.say(&stage.ada, &room, "new").await;
    let newer = get(
        &stage.world,
        &stage.bob,
        &format!("/rooms/{room}/messages?dir=f&from={since}"),
    )
    .await;
    assert_eq!(texts(&newer["chunk"]), ["new"]);
    let wrong = stage
        .refused(
            &stage.bob,
            Method::GET,
            &format!("/rooms/{room}/messages?from=x"),
            Value::Null,
        )
        .await;
    assert_eq!(wrong.0, 400);
}

#[tokio::test]
async fn an_event_is_shown_with_its_neighbours() {
    let stage = Stage::new().await;
    let room = stage.party().await;
    let mut ids = Vec::new();
    for number in 0..7 {
        ids.push(stage.say(&stage.ada, &room, &number.to_string()).await);
        stage.world.pass(std::time::Duration::from_mins(1));
    }

    let path = format!("/rooms/{room}/context/{}?limit=4", ids[3]);
    let answer = get(&stage.world, &stage.bob, &path).await;

    assert_eq!(answer["event"]["content"]["body"], "3");
    assert_eq!(texts(&answer["events_before"]), ["2", "1"]);
    assert_eq!(texts(&answer["events_after"]), ["4", "5"]);
    let back = format!(
        "/rooms/{room}/messages?limit=1&from={}",
        answer["start"].as_str().unwrap()
    );
    assert_eq!(
        texts(&get(&stage.world, &stage.bob, &back).await["chunk"]),
        ["0"]
    );
    let on = format!(
        "/rooms/{room}/messages?limit=1&dir=f&from={}",
        answer["end"].as_str().unwrap()
    );
    assert_eq!(
        texts(&get(&stage.world, &stage.bob, &on).await["chunk"]),
        ["6"]
    );
    let alone = format!("/rooms/{room}/context/{}?limit=0", ids[3]);
    let alone = get(&stage.world, &stage.bob, &alone).await;
    assert_eq!(
        (&alone["events_before"], &alone["events_after"]),
        (&json!([]), &json!([]))
    );
    let third = get(
        &stage.world,
        &stage.bob,
        &format!("/rooms/{room}/event/{}", ids[2]),
    )
    .await;
    let ts = third["origin_server_ts"].as_i64().unwrap();
    for (query, expected) in [
        (format!("ts={ts}&dir=f"), 2),
        (format!("ts={}&dir=f", ts + 1), 3),
        (format!("ts={ts}&dir=b"), 2),
        (format!("ts={}&dir=b", ts - 1), 1),
    ] {
        let path = format!("/_matrix/client/v1/rooms/{room}/timestamp_to_event?{query}");
        let found = get(&stage.world, &stage.bob, &path).await;
        assert_eq!(found["event_id"], ids[expected], "{query}");
    }
}

#[tokio::test]
async fn words_are_found_in_rooms_that_are_seen() {
    let stage = Stage::new().await;
    let room = stage.party().await;
    let secret = stage.room(json!({})).await;
    stage.say(&stage.ada, &room, "Water the roses today").await;
    let hit = stage.say(&stage.ada, &room, "Roses, water them!").await;
    stage.say(&stage.ada, &secret, "water and roses").await;
    stage.say(&stage.ada, &room, "waterfall").await;
    let ask = json!({"search_categories": {"room_events": {
        "search_term": "WATER roses", "keys": ["content.body"], "filter": {"limit": 1},
        "event_context": {"before_limit": 1, "after_limit": 1, "include_profile": true},
        "groupings": {"group_by": [{"key": "room_id"}]},
    }}});

    let answer = post(&stage.world, &stage.bob, "/search", ask.clone()).await;
    let first = &answer["search_categories"]["room_events"];
    let path = format!(
        "/search?next_batch={}",
        first["next_batch"].as_str().unwrap()
    );
    let rest = post(&stage.world, &stage.bob, &path, ask.clone()).await;

    assert_eq!(first["count"], 2);
    assert_eq!(first["results"][0]["result"]["event_id"], hit);
    let context = &first["results"][0]["context"];
    assert_eq!(texts(&context["events_before"]), ["Water the roses today"]);
    assert_eq!(texts(&context["events_after"]), ["waterfall"]);
    assert_eq!(context["profile_info"][&stage.ada.id]["displayname"], "ada");
    assert_eq!(first["groups"]["room_id"][&room]["results"], json!([hit]));
    let rest = &rest["search_categories"]["room_events"];
    assert_eq!(
        rest["results"][0]["result"]["content"]["body"],
        "Water the roses today"
    );
    // A full page does not know whether it is the last one.
    let path = format!(
        "/search?next_batch={}",
        rest["next_batch"].as_str().unwrap()
    );
    let end = post(&stage.world, &stage.bob, &path, ask).await;
    let end = &end["search_categories"]["room_events"];
    assert_eq!((&end["results"], end.get("next_batch")), (&json!([]), None));
}
