use serde_json::Value;
use serde_json::json;

use super::*;

fn related(rel_type: &str, event: &str) -> Value {
    json!({"rel_type": rel_type, "event_id": event})
}

#[tokio::test]
async fn edits_references_and_threads_are_served_with_their_event() {
    let stage = Stage::new().await;
    let room = stage.party().await;
    let root = stage.say(&stage.ada, &room, "root").await;
    let edit = |body: &str| {
        json!({
            "msgtype": "m.text", "body": body, "m.new_content": {"msgtype": "m.text", "body": body},
            "m.relates_to": related("m.replace", &root),
        })
    };
    stage
        .send(&stage.ada, &room, "m.room.message", edit("1"))
        .await;
    stage.world.pass(std::time::Duration::from_secs(1));
    let newest = stage
        .send(&stage.ada, &room, "m.room.message", edit("2"))
        .await;
    stage
        .send(&stage.bob, &room, "m.room.message", edit("not mine"))
        .await;
    let reference = stage
        .send(
            &stage.bob,
            &room,
            "m.ref",
            json!({"m.relates_to": related("m.reference", &root)}),
        )
        .await;
    let reply =
        json!({"msgtype": "m.text", "body": "in it", "m.relates_to": related("m.thread", &root)});
    let reply = stage.send(&stage.bob, &room, "m.room.message", reply).await;
    let stage = stage.restarted();

    let event = get(
        &stage.world,
        &stage.cleo,
        &format!("/rooms/{room}/event/{root}"),
    )
    .await;

    assert_eq!(event["content"]["body"], "root");
    let bundle = &event["unsigned"]["m.relations"];
    assert_eq!(bundle["m.replace"]["event_id"], newest);
    assert_eq!(
        bundle["m.reference"]["chunk"],
        json!([{"event_id": reference}])
    );
    let thread = &bundle["m.thread"];
    assert_eq!(thread["latest_event"]["event_id"], reply);
    assert_eq!(
        (&thread["count"], &thread["current_user_participated"]),
        (&json!(1), &json!(false))
    );
    let threads = format!("/_matrix/client/v1/rooms/{room}/threads");
    let all = get(&stage.world, &stage.bob, &threads).await;
    assert_eq!(all["chunk"][0]["event_id"], root);
    let own = get(
        &stage.world,
        &stage.cleo,
        &format!("{threads}?include=participated"),
    )
    .await;
    assert_eq!(own["chunk"], json!([]));
    let nested =
        json!({"msgtype": "m.text", "body": "x", "m.relates_to": related("m.thread", &reply)});
    let path = format!("/rooms/{room}/send/m.room.message/nested");
    assert_eq!(
        stage
            .refused(&stage.bob, Method::PUT, &path, nested)
            .await
            .0,
        400
    );
}

#[tokio::test]
async fn a_reaction_is_given_once() {
    let stage = Stage::new().await;
    let room = stage.party().await;
    let said = stage.say(&stage.ada, &room, "x").await;
    let mut relation = related("m.annotation", &said);
    relation["key"] = "\u{1f44d}".into();
    let body = json!({"m.relates_to": relation});
    let path = |txn: &str| format!("/rooms/{room}/send/m.reaction/{txn}");

    let first = put(&stage.world, &stage.bob, &path("1"), body.clone()).await;
    let again = put(&stage.world, &stage.bob, &path("1"), body.clone()).await;
    let twice = stage
        .refused(&stage.bob, Method::PUT, &path("2"), body.clone())
        .await;
    put(&stage.world, &stage.cleo, &path("1"), body.clone()).await;
    let redact = format!(
        "/rooms/{room}/redact/{}/r",
        first["event_id"].as_str().unwrap()
    );
    put(&stage.world, &stage.bob, &redact, json!({})).await;
    put(&stage.world, &stage.bob, &path("3"), body).await;

    assert_eq!(first, again);
    assert_eq!(twice, (400, "M_DUPLICATE_ANNOTATION".to_owned()));
}

#[tokio::test]
async fn what_belongs_to_an_event_is_paged() {
    let stage = Stage::new().await;
    let room = stage.party().await;
    let root = stage.say(&stage.ada, &room, "root").await;
    let mut ids = Vec::new();
    for number in 0..5 {
        let body = json!({"msgtype": "m.text", "body": number.to_string(), "m.relates_to": related("m.thread", &root)});
        ids.push(stage.send(&stage.bob, &room, "m.room.message", body).await);
    }
    let mut reaction = related("m.annotation", &ids[0]);
    reaction["key"] = "a".into();
    stage
        .send(
            &stage.bob,
            &room,
            "m.reaction",
            json!({"m.relates_to": reaction}),
        )
        .await;
    let path = format!("/_matrix/client/v1/rooms/{room}/relations/{root}");

    let mut collected = Vec::new();
    let mut from = String::new();
    loop {
        let page = get(
            &stage.world,
            &stage.bob,
            &format!("{path}/m.thread?limit=2{from}"),
        )
        .await;
        collected.extend(texts(&page["chunk"]).into_iter().map(str::to_owned));
        let Some(next) = page["next_batch"].as_str() else {
            break;
        };
        from = format!("&from={next}");
    }
    let forward = get(&stage.world, &stage.bob, &format!("{path}?dir=f&limit=2")).await;
    let deep = get(
        &stage.world,
        &stage.bob,
        &format!("{path}?recurse=true&limit=50"),
    )
    .await;
    let kinds = get(&stage.world, &stage.bob, &format!("{path}/m.thread/m.none")).await;

    assert_eq!(collected, ["4", "3", "2", "1", "0"]);
    assert_eq!(texts(&forward["chunk"]), ["0", "1"]);
    assert_eq!(types(&deep["chunk"])[0], "m.reaction");
    assert_eq!(kinds["chunk"], json!([]));
    let none = format!("/_matrix/client/v1/rooms/{room}/relations/$none");
    assert_eq!(
        stage
            .refused(&stage.bob, Method::GET, &none, Value::Null)
            .await
            .0,
        404
    );
}

#[tokio::test]
async fn what_belongs_to_an_event_is_asked_for_up_to_a_place() {
    let stage = Stage::new().await;
    let room = stage.party().await;
    let root = stage.say(&stage.ada, &room, "root").await;
    let reply = |text: &str| {
        let relation = related("m.thread", &root);
        json!({"msgtype": "m.text", "body": text, "m.relates_to": relation})
    };
    stage
        .send(&stage.ada, &room, "m.room.message", reply("1"))
        .await;
    let place = next(&sync(&stage.world, &stage.ada, "").await);
    let last = stage
        .send(&stage.ada, &room, "m.room.message", reply("2"))
        .await;
    let path = format!("/_matrix/client/v1/rooms/{room}/relations/{root}/m.thread?to={place}&dir=");

    let before = get(&stage.world, &stage.bob, &format!("{path}f")).await;
    let after = get(&stage.world, &stage.bob, &format!("{path}b")).await;

    assert_eq!(texts(&before["chunk"]), ["1"]);
    assert_eq!(texts(&after["chunk"]), ["2"]);
    let threads = format!("/_matrix/client/v1/rooms/{room}/threads");
    let held = get(&stage.world, &stage.bob, &threads).await;
    assert_eq!(held["chunk"].as_array().unwrap().len(), 1);
    for reply in [before["chunk"][0]["event_id"].as_str().unwrap(), &last] {
        let path = format!("/rooms/{room}/redact/{reply}");
        post(&stage.world, &stage.ada, &path, json!({})).await;
    }
    let none = get(&stage.world, &stage.bob, &threads).await;
    assert_eq!(none["chunk"], json!([]));
}

#[tokio::test]
async fn events_are_chosen_by_what_belongs_to_them() {
    let stage = Stage::new().await;
    let room = stage.party().await;
    let mut ids = Vec::new();
    for text in ["alone", "discussed", "liked"] {
        ids.push(stage.say(&stage.ada, &room, text).await);
    }
    let reply = json!({"body": "hm", "m.relates_to": related("m.thread", &ids[1])});
    let reply = stage.send(&stage.bob, &room, "m.room.message", reply).await;
    let mut like = related("m.annotation", &ids[2]);
    like["key"] = json!("+");
    let like = json!({ "m.relates_to": like });
    stage.send(&stage.cleo, &room, "m.reaction", like).await;
    let chosen = async |filter: Value| {
        let filter = encoded(&filter.to_string());
        let path = format!("/rooms/{room}/messages?dir=f&filter={filter}");
        let page = get(&stage.world, &stage.ada, &path).await;
        let texts = texts(&page["chunk"]).into_iter().map(str::to_owned);
        texts.collect::<Vec<String>>()
    };

    let (bob, cleo) = (&stage.bob.id, &stage.cleo.id);
    for (filter, expected) in [
        (
            json!({"related_by_rel_types": ["m.thread"]}),
            vec!["discussed"],
        ),
        (
            json!({"related_by_rel_types": ["m.thread", "m.annotation"]}),
            vec!["discussed", "liked"],
        ),
        (json!({"related_by_senders": [cleo]}), vec!["liked"]),
        (
            json!({"related_by_senders": [bob], "related_by_rel_types": ["m.annotation"]}),
            vec![],
        ),
        (json!({"related_by_senders": []}), vec![]),
    ] {
        assert_eq!(chosen(filter.clone()).await, expected, "{filter}");
    }
    let path = format!("/rooms/{room}/redact/{reply}/r");
    put(&stage.world, &stage.bob, &path, json!({})).await;
    let none = chosen(json!({"related_by_rel_types": ["m.thread"]})).await;
    assert_eq!(none, Vec::<String>::new());
}
