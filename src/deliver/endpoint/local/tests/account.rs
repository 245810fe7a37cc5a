use serde_json::Value;
use serde_json::json;

use super::*;
use crate::base::limits::CONFORMANCE_ACCOUNTS;
use crate::base::limits::REGISTRATION_BODY_BYTES;
use crate::base::time::AppleTime;
use crate::deliver::endpoint::testing::ADA;
use crate::store::StoreError;
use crate::store::Transaction;
use crate::store::account::Account;
use crate::store::value::User as StoredUser;

const DUMMY: &str = "m.login.dummy";

async fn ask(world: &World, body: Value) -> (u16, Value) {
    let reply = world.ask_as("", Method::POST, "/register", body).await;
    (reply.status, reply.body)
}

#[tokio::test]
async fn an_account_is_made_after_the_stage_that_proves_nothing() {
    let world = World::conformance();

    let (status, question) = ask(&world, json!({"username": "Bob", "password": SECRET})).await;
    let body = json!({
        "username": "Bob", "password": SECRET, "initial_device_display_name": "Phone",
        "auth": {"type": DUMMY, "session": question["session"]},
    });
    let (done, answer) = ask(&world, body).await;

    assert_eq!((status, done), (401, 200));
    assert_eq!(question["flows"], json!([{"stages": [DUMMY]}]));
    assert_eq!(answer["user_id"], "@bob:example.org");
    let bob = User {
        id: String::new(),
        token: answer["access_token"].as_str().unwrap().to_owned(),
    };
    assert_eq!(
        get(&world, &bob, "/account/whoami").await["device_id"],
        answer["device_id"]
    );
    let devices = get(&world, &bob, "/devices").await;
    assert_eq!(devices["devices"][0]["display_name"], "Phone");
}

#[tokio::test]
async fn a_name_can_be_one_and_is_nobody_elses() {
    let stage = Stage::new().await;

    for (name, code) in [
        ("bob", "M_USER_IN_USE"),
        ("BOB", "M_USER_IN_USE"),
        ("ada", "M_USER_IN_USE"),
        ("a b", "M_INVALID_USERNAME"),
        ("b\u{f6}b", "M_INVALID_USERNAME"),
        ("", "M_INVALID_USERNAME"),
        ("_x", "M_INVALID_USERNAME"),
        ("footbridge", "M_EXCLUSIVE"),
        ("imessage_x", "M_EXCLUSIVE"),
    ] {
        let body = json!({"username": name, "password": SECRET, "auth": {"type": DUMMY}});
        let (status, answer) = ask(&stage.world, body).await;
        assert_eq!(
            (status, answer["errcode"].as_str()),
            (400, Some(code)),
            "{name}"
        );
        let path = format!("/register/available?username={}", encoded(name));
        let reply = stage
            .world
            .ask_as("", Method::GET, &path, Value::Null)
            .await;
        assert_eq!(reply.status, 400, "{name}");
    }
    let path = "/register/available?username=dora";
    let free = stage.world.ask_as("", Method::GET, path, Value::Null).await;
    assert_eq!(free.ok(), json!({"available": true}));
}

#[tokio::test]
async fn a_session_remembers_what_was_asked_and_whom_it_made() {
    let world = World::conformance();
    for asked in [
        json!({"password": SECRET}),
        json!({"username": "bob", "password": SECRET}),
    ] {
        let (_, question) = ask(&world, asked).await;
        let stage = json!({"auth": {"type": DUMMY, "session": question["session"]}});

        let (status, first) = ask(&world, stage.clone()).await;
        let (_, again) = ask(&world, stage.clone()).await;
        world.pass(std::time::Duration::from_hours(1));
        let (late, _) = ask(&world, stage).await;

        assert_eq!((status, late), (200, 400));
        assert_eq!(first["user_id"], again["user_id"]);
        assert_ne!(first["access_token"], again["access_token"]);
    }
}

#[tokio::test]
async fn a_body_that_is_not_text_is_no_json() {
    let world = World::conformance();
    let request = crate::net::Request::new(Method::POST, "/_matrix/client/v3/register");

    let reply = world
        .send(request.with_body(&b"{\"x\": \"\x81\"}"[..]))
        .await;

    assert_eq!(reply.refusal(), (400, "M_NOT_JSON"));
}

#[tokio::test]
async fn what_makes_no_account_is_refused() {
    let stage = Stage::new().await;
    let world = &stage.world;
    let with =
        |password: Value| json!({"username": "x", "password": password, "auth": {"type": DUMMY}});

    assert_eq!(
        ask(world, with(json!(""))).await.1["errcode"],
        "M_WEAK_PASSWORD"
    );
    assert_eq!(
        ask(world, with(Value::Null)).await.1["errcode"],
        "M_MISSING_PARAM"
    );
    let guest = world
        .ask_as("", Method::POST, "/register?kind=guest", json!({}))
        .await;
    assert_eq!(guest.refusal(), (403, "M_FORBIDDEN"));
    let kind = world
        .ask_as("", Method::POST, "/register?kind=pet", json!({}))
        .await;
    assert_eq!(kind.status, 400);
}

#[tokio::test]
async fn there_are_as_many_accounts_as_numbers() {
    let world = World::conformance();
    let filled = world.store.write(|transaction: &mut Transaction<'_>| {
        for number in 1..=CONFORMANCE_ACCOUNTS {
            let user = StoredUser {
                name: format!("user{number}"),
                password: String::new(),
                created: AppleTime::from_nanos(0),
            };
            transaction.put_user(Account(number), &user)?;
        }
        Ok::<(), StoreError>(())
    });
    filled.unwrap();

    let body = json!({"username": "x", "password": SECRET, "auth": {"type": DUMMY}});

    assert_eq!(ask(&world, body).await.0, 403);
}

#[tokio::test]
async fn an_account_need_not_be_logged_in() {
    let world = World::conformance();

    // SyTest's Perl has no booleans.
    for inhibit in [json!(true), json!(1)] {
        let body = json!({"password": SECRET, "inhibit_login": inhibit, "auth": {"type": DUMMY}});
        let (_, answer) = ask(&world, body).await;

        assert!(
            answer["user_id"]
                .as_str()
                .unwrap()
                .ends_with(":example.org")
        );
        assert!(answer.get("access_token").is_none() && answer.get("device_id").is_none());
    }
}

#[tokio::test]
async fn what_a_session_of_registering_keeps_is_bounded() {
    let world = World::conformance();

    let body = json!({"username": "bob", "password": "x".repeat(REGISTRATION_BODY_BYTES)});
    let (status, answer) = ask(&world, body).await;

    assert_eq!((status, &answer["errcode"]), (413, &json!("M_TOO_LARGE")));
}

#[tokio::test]
async fn an_account_that_is_closed_is_nobodys_any_more() {
    let stage = Stage::new().await;
    let close = "/account/deactivate";
    let question = stage
        .world
        .ask_as(&stage.bob.token, Method::POST, close, json!({}))
        .await;
    let proof = json!({"auth": {
        "type": "m.login.password", "session": question.body["session"],
        "identifier": {"type": "m.id.user", "user": "bob"}, "password": SECRET,
    }});

    post(&stage.world, &stage.bob, close, proof).await;

    let gone = stage
        .refused(&stage.bob, Method::GET, "/account/whoami", Value::Null)
        .await;
    assert_eq!(gone, (401, "M_UNKNOWN_TOKEN".to_owned()));
    let login = json!({"type": "m.login.password", "user": "bob", "password": SECRET});
    let login = stage.world.ask_as("", Method::POST, "/login", login).await;
    assert_eq!(login.refusal(), (403, "M_USER_DEACTIVATED"));
    let (_, again) = ask(
        &stage.world,
        json!({"username": "bob", "password": SECRET, "auth": {"type": DUMMY}}),
    )
    .await;
    assert_eq!(again["errcode"], "M_USER_IN_USE");
    let owner = stage
        .refused(&stage.ada, Method::POST, close, json!({}))
        .await;
    assert_eq!(owner.0, 403);
}

#[tokio::test]
async fn accounts_are_of_conformance_mode_alone() {
    let stage = Stage::new().await;
    let bob = stage.bob.clone();

    let world = stage
        .world
        .restarted_with(|settings| settings.conformance = false);

    let gone = status(&world, &bob, Method::GET, "/account/whoami", Value::Null).await;
    assert_eq!(gone.0, 401);
    let login = json!({"type": "m.login.password", "user": "bob", "password": SECRET});
    assert_eq!(world.post("/login", login).await.status, 403);
    let body = json!({"username": "x", "password": SECRET, "auth": {"type": DUMMY}});
    assert_eq!(ask(&world, body).await.0, 403);
    assert_eq!(world.get("/account/whoami").await.ok()["user_id"], ADA);
}

#[tokio::test]
async fn nobody_but_the_owner_sees_the_archive() {
    let world = World::new().restarted_with(|settings| settings.conformance = true);
    let bob = register(&world, "bob").await;
    let room = world.room(crate::deliver::endpoint::testing::ANN);

    let answer = sync(&world, &bob, "").await;

    assert_eq!(answer["rooms"]["join"], json!({}));
    let path = format!("/rooms/{room}/messages");
    assert_eq!(
        status(&world, &bob, Method::GET, &path, Value::Null)
            .await
            .0,
        403
    );
    let tags = format!("/user/{}/rooms/{room}/tags", bob.id);
    assert_eq!(
        status(&world, &bob, Method::GET, &tags, Value::Null)
            .await
            .0,
        404
    );
}

#[tokio::test]
async fn a_profile_is_told_to_rooms() {
    let stage = Stage::new().await;
    let room = stage.party().await;
    let before = next(&sync(&stage.world, &stage.ada, "").await);
    let path = format!("/profile/{}/displayname", stage.bob.id);

    put(
        &stage.world,
        &stage.bob,
        &path,
        json!({"displayname": "Bobby"}),
    )
    .await;

    assert_eq!(
        get(&stage.world, &stage.ada, &path).await,
        json!({"displayname": "Bobby"})
    );
    let answer = sync(&stage.world, &stage.ada, &before).await;
    let event = &answer["rooms"]["join"][&room]["timeline"]["events"][0];
    assert_eq!(
        event["content"],
        json!({"membership": "join", "displayname": "Bobby"})
    );
    assert_eq!(event["unsigned"]["prev_content"]["displayname"], "bob");
    let others = stage
        .refused(&stage.cleo, Method::PUT, &path, json!({"displayname": "x"}))
        .await;
    assert_eq!(others.0, 403);
}

#[tokio::test]
async fn messages_between_devices_reach_other_accounts() {
    let stage = Stage::new().await;
    let path = "/sendToDevice/m.test/1";
    let messages = json!({"messages": {stage.bob.id.clone(): {"*": {"a": 1}}}});
    let before = next(&sync(&stage.world, &stage.bob, "").await);

    put(&stage.world, &stage.ada, path, messages).await;

    let answer = sync(&stage.world, &stage.bob, &before).await;
    let expected = json!([{"sender": stage.ada.id, "type": "m.test", "content": {"a": 1}}]);
    assert_eq!(answer["to_device"]["events"], expected);
}

#[tokio::test]
async fn devices_are_told_of_while_a_room_is_shared() {
    let stage = Stage::new().await;
    let keys = |device: &str| {
        json!({"device_keys": {
            "user_id": stage.bob.id, "device_id": device, "algorithms": [], "keys": {}, "signatures": {},
        }})
    };
    let start = next(&sync(&stage.world, &stage.ada, "").await);
    post(&stage.world, &stage.bob, "/keys/upload", keys("bobs")).await;
    let alone = sync(&stage.world, &stage.ada, &start).await;
    let room = stage.party().await;
    let shared = sync(&stage.world, &stage.ada, &next(&alone)).await;
    post(
        &stage.world,
        &stage.bob,
        &format!("/rooms/{room}/leave"),
        json!({}),
    )
    .await;

    let parted = sync(&stage.world, &stage.ada, &next(&shared)).await;

    assert_eq!(alone["device_lists"], json!({"changed": [], "left": []}));
    let both = json!([stage.bob.id, stage.cleo.id]);
    assert_eq!(shared["device_lists"], json!({"changed": both, "left": []}));
    assert_eq!(
        parted["device_lists"],
        json!({"changed": [], "left": [stage.bob.id]})
    );
}

#[tokio::test]
async fn only_its_own_account_hears_of_the_key_that_signs_others() {
    let stage = Stage::new().await;
    stage.party().await;
    let key = |usage: &str| {
        json!({
            "user_id": stage.bob.id, "usage": [usage], "keys": {format!("ed25519:{usage}"): usage},
        })
    };
    let path = "/keys/device_signing/upload";
    let start = next(&sync(&stage.world, &stage.ada, "").await);
    let body = json!({"master_key": key("master")});
    post(&stage.world, &stage.bob, path, body).await;
    let first = sync(&stage.world, &stage.ada, &start).await;
    let auth = json!({"type": "m.login.password", "user": "bob", "password": SECRET});
    let body = json!({"user_signing_key": key("user_signing"), "auth": auth});
    post(&stage.world, &stage.bob, path, body).await;

    let others = sync(&stage.world, &stage.ada, &next(&first)).await;
    let own = sync(&stage.world, &stage.bob, &next(&first)).await;

    let changed = |answer: &Value| answer["device_lists"]["changed"].clone();
    assert_eq!(changed(&first), json!([stage.bob.id]));
    assert_eq!(changed(&others), json!([]));
    assert_eq!(changed(&own), json!([stage.bob.id]));
}
