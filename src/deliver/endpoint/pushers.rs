//! Pushers: where clients want to be woken up. Kept for clients; nothing is ever sent. A pusher goes with the device that
//! set it: who is logged out is not to hear of anything.
//!
//! | request | |
//! |---|---|
//! | `GET /pushers` | those of the account |
//! | `POST /pushers/set` | one more, one changed, or one gone |
//!
//! Source: `[mx v1.12] Push Notifications`; `facts` of the endpoint, 11.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::base::limits::ACCOUNT_DATA_BYTES;
use crate::deliver::endpoint::Endpoint;
use crate::deliver::endpoint::call::Answer;
use crate::deliver::endpoint::call::Call;
use crate::deliver::endpoint::call::json;
use crate::deliver::endpoint::call::nothing;
use crate::deliver::endpoint::error::Code;
use crate::deliver::endpoint::error::MatrixError;
use crate::deliver::endpoint::route::Route;
use crate::net::Method;
use crate::store::StoreError;
use crate::store::Transaction;
use crate::store::account::Account;
use crate::store::value::AccountData;
use crate::store::value::Opaque;

/// The account data in which they are kept. Clients do not see it.
const PUSHERS: &str = "org.footbridge.pushers";

/// The member of a kept pusher that says which device set it. Clients do not see it.
const DEVICE: &str = "org.footbridge.device";

/// What a pusher has beside its key and its kind.
const NEEDED: [&str; 4] = ["app_display_name", "device_display_name", "lang", "data"];

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(Method::GET, "/pushers", list),
        Route::new(Method::POST, "/pushers/set", set),
    ]
}

fn read(held: Option<&AccountData>) -> Vec<Value> {
    held.and_then(|held| serde_json::from_slice(&held.body.0).ok())
        .unwrap_or_default()
}

/// `GET /_matrix/client/v3/pushers`.
fn list(endpoint: &Endpoint, call: &Call) -> Answer {
    let account = call.session()?.account;
    let snapshot = endpoint.store.snapshot()?;
    let held = snapshot.account_data(account, None, PUSHERS)?;
    let mut pushers = read(held.as_ref());
    for pusher in pushers.iter_mut().filter_map(Value::as_object_mut) {
        pusher.remove(DEVICE);
    }
    json(&json!({ "pushers": pushers }))
}

/// Removes the pushers that some devices set.
pub(super) fn remove_of(
    transaction: &mut Transaction<'_>,
    account: Account,
    devices: &[String],
) -> Result<(), StoreError> {
    let held = transaction.account_data(account, None, PUSHERS)?;
    let mut pushers = read(held.as_ref());
    let before = pushers.len();
    pushers.retain(|pusher| {
        let device = pusher.get(DEVICE).and_then(Value::as_str);
        device.is_none_or(|device| !devices.iter().any(|gone| gone == device))
    });
    if pushers.len() == before {
        return Ok(());
    }
    let body = Opaque(Value::Array(pushers).to_string().into_bytes());
    let changed = transaction.put_account_data(account, None, PUSHERS, body);
    changed.map(drop)
}

/// `POST /_matrix/client/v3/pushers/set`. A pusher without kind is removed.
fn set(endpoint: &Endpoint, call: &Call) -> Answer {
    let session = call.session()?;
    let account = session.account;
    let mut pusher: Map<String, Value> = call.json()?;
    check(&pusher)?;
    pusher.remove("append");
    pusher.insert(DEVICE.to_owned(), session.device.clone().into());
    endpoint.write(move |transaction| {
        let held = transaction.account_data(account, None, PUSHERS)?;
        let mut pushers = read(held.as_ref());
        let is_same = |held: &Value, name: &str| held.get(name) == pusher.get(name);
        pushers.retain(|held| !(is_same(held, "app_id") && is_same(held, "pushkey")));
        if pusher.get("kind").is_some_and(Value::is_string) {
            pushers.push(Value::Object(pusher));
        }
        let body = Value::Array(pushers).to_string().into_bytes();
        if body.len() > ACCOUNT_DATA_BYTES {
            let error = MatrixError::new(Code::TooLarge, "there are too many pushers");
            return Ok(Err(error));
        }
        transaction.put_account_data(account, None, PUSHERS, Opaque(body))?;
        Ok(Ok(()))
    })??;
    nothing()
}

fn check(pusher: &Map<String, Value>) -> Result<(), MatrixError> {
    let missing = |name: &str| MatrixError::new(Code::MissingParam, format!("`{name}` is missing"));
    for name in ["app_id", "pushkey"] {
        if !pusher.get(name).is_some_and(Value::is_string) {
            return Err(missing(name));
        }
    }
    match pusher.get("kind") {
        Some(Value::Null) => return Ok(()),
        Some(Value::String(_)) => {}
        _ => return Err(missing("kind")),
    }
    match NEEDED.into_iter().find(|name| !pusher.contains_key(*name)) {
        Some(name) => Err(missing(name)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deliver::endpoint::testing::ADA;
    use crate::deliver::endpoint::testing::PASSWORD;
    use crate::deliver::endpoint::testing::World;

    fn pusher(key: &str) -> Value {
        json!({
            "kind": "http", "app_id": "org.example.app", "pushkey": key, "lang": "en",
            "app_display_name": "App", "device_display_name": "Phone",
            "data": {"url": "https://push.example.org/_matrix/push/v1/notify"},
        })
    }

    async fn set(world: &World, body: Value) -> u16 {
        world.post("/pushers/set", body).await.status
    }

    /// A server that has the pusher `a` of a tablet, and the pusher `b` of the device that asks.
    async fn two_devices() -> (World, String) {
        let world = World::new();
        let tablet = world.log_in("TABLET");
        let path = "/pushers/set";
        let set_there = world.ask_as(&tablet, Method::POST, path, pusher("a")).await;
        assert_eq!(set_there.status, 200);
        assert_eq!(set(&world, pusher("b")).await, 200);
        (world, tablet)
    }

    #[tokio::test]
    async fn pushers_are_kept_replaced_and_removed() {
        let world = World::new();
        assert_eq!(world.get("/pushers").await.ok(), json!({"pushers": []}));

        let mut changed = pusher("a");
        changed["lang"] = "de".into();
        for body in [pusher("a"), pusher("b"), changed.clone()] {
            assert_eq!(set(&world, body).await, 200);
        }
        let held = world.get("/pushers").await.ok();
        assert_eq!(held, json!({"pushers": [pusher("b"), changed]}));

        let gone = json!({"kind": null, "app_id": "org.example.app", "pushkey": "b"});
        assert_eq!(set(&world, gone).await, 200);
        assert_eq!(
            world.get("/pushers").await.ok(),
            json!({"pushers": [changed]})
        );
    }

    #[tokio::test]
    async fn pushers_go_with_their_device() {
        let (world, tablet) = two_devices().await;

        let path = "/logout";
        let out = world.ask_as(&tablet, Method::POST, path, Value::Null).await;

        assert_eq!(out.status, 200);
        let held = world.get("/pushers").await.ok();
        assert_eq!(held, json!({"pushers": [pusher("b")]}));
    }

    #[tokio::test]
    async fn pushers_of_others_go_with_the_password() {
        let (world, _tablet) = two_devices().await;
        let change = async |from: &str, to: &str, others_go: bool| {
            let auth = json!({"type": "m.login.password", "user": "ada", "password": from});
            let body = json!({"auth": auth, "new_password": to, "logout_devices": others_go});
            world.post("/account/password", body).await.ok();
            world.get("/pushers").await.ok()
        };

        let stayed = change(PASSWORD, "battery staple", false).await;
        let gone = change("battery staple", PASSWORD, true).await;

        assert_eq!(stayed, json!({"pushers": [pusher("a"), pusher("b")]}));
        assert_eq!(gone, json!({"pushers": [pusher("b")]}));
    }

    #[tokio::test]
    async fn a_pusher_has_what_the_specification_asks_for() {
        let world = World::new();

        for name in ["kind", "app_id", "pushkey", "lang", "data"] {
            let mut body = pusher("a");
            body.as_object_mut().unwrap().remove(name);
            let reply = world.post("/pushers/set", body).await;
            assert_eq!(reply.refusal(), (400, "M_MISSING_PARAM"), "{name}");
        }
    }

    #[tokio::test]
    async fn pushers_are_no_account_data() {
        let world = World::new();
        assert_eq!(set(&world, pusher("a")).await, 200);

        let reply = world
            .get(&format!("/user/{ADA}/account_data/{PUSHERS}"))
            .await;

        assert_eq!(reply.refusal(), (404, "M_NOT_FOUND"));
    }
}
