//! Keys of an account itself, by which its devices vouch for each other. Kept blindly (D25): no signature is checked.
//!
//! | request | |
//! |---|---|
//! | `POST /keys/device_signing/upload` | the account's keys; after a proof, unless there were none |
//! | `POST /keys/signatures/upload` | signatures, added to the keys that they are on |
//!
//! Source: `[mx v1.12] Cross-signing`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::base::limits::LARGE_BODY_BYTES;
use crate::deliver::endpoint::Endpoint;
use crate::deliver::endpoint::call::Answer;
use crate::deliver::endpoint::call::Call;
use crate::deliver::endpoint::call::json;
use crate::deliver::endpoint::call::nothing;
use crate::deliver::endpoint::error::MatrixError;
use crate::deliver::endpoint::keys::parsed;
use crate::deliver::endpoint::route::Route;
use crate::deliver::endpoint::uia;
use crate::deliver::endpoint::uia::Auth;
use crate::net::Method;
use crate::store::Snapshot;
use crate::store::StoreError;
use crate::store::Transaction;
use crate::store::account::Account;
use crate::store::account::KeyKind;
use crate::store::value::Opaque;

/// What the keys are for, as their `usage` says.
pub(super) const USAGES: [&str; 3] = [MASTER, "self_signing", USER_SIGNING];

/// The key that others are signed with.
pub(super) const USER_SIGNING: &str = "user_signing";

const MASTER: &str = "master";

pub(super) fn routes() -> Vec<Route> {
    let [keys, signatures] = ["/keys/device_signing/upload", "/keys/signatures/upload"];
    vec![
        Route::new(Method::POST, keys, upload),
        Route::new(Method::POST, signatures, sign).with_body(LARGE_BODY_BYTES),
    ]
}

/// Whether two keys are the same, whoever signed them.
pub(super) fn is_same(one: &Value, other: &Value) -> bool {
    let bare = |key: &Value| {
        let mut key = key.as_object().cloned().unwrap_or_default();
        key.remove("signatures");
        key.remove("unsigned");
        key
    };
    bare(one) == bare(other)
}

/// A key with the signatures of another version of it added: everybody's, or one user's.
pub(super) fn with_signatures_of(mut key: Value, other: &Value, by: Option<&str>) -> Value {
    let signatures = other["signatures"].as_object().into_iter().flatten();
    for (user, made) in signatures.filter(|(user, _)| by.is_none_or(|by| by == *user)) {
        let made = made.as_object().into_iter().flatten();
        let held = member(&mut key, "signatures").and_then(|held| member(held, user));
        if let Some(held) = held.and_then(Value::as_object_mut) {
            held.extend(made.map(|(name, signature)| (name.clone(), signature.clone())));
        }
    }
    key
}

/// A member of an object, an empty object if it was not there.
fn member<'v>(object: &'v mut Value, name: &str) -> Option<&'v mut Value> {
    let members = object.as_object_mut()?;
    Some(members.entry(name).or_insert_with(|| json!({})))
}

#[derive(Deserialize)]
struct Upload {
    auth: Option<Auth>,
    master_key: Option<Value>,
    self_signing_key: Option<Value>,
    user_signing_key: Option<Value>,
}

/// `POST /_matrix/client/v3/keys/device_signing/upload`.
fn upload(endpoint: &Endpoint, call: &Call) -> Answer {
    let account = call.session()?.account;
    let request: Upload = call.json()?;
    let keys = [
        request.master_key,
        request.self_signing_key,
        request.user_signing_key,
    ];
    let user = endpoint.user_of(account)?;
    let snapshot = endpoint.store.snapshot()?;
    let had_any = snapshot
        .key(account, "", (KeyKind::CrossSigning, MASTER))?
        .is_some();
    let mut new = Vec::new();
    for (usage, key) in USAGES.into_iter().zip(keys) {
        let Some(key) = key else { continue };
        check(&key, usage, &user)?;
        let held = held(&snapshot, account, usage)?;
        if held.is_none_or(|held| !is_same(&held, &key)) {
            new.push((usage, key));
        }
    }
    if new.is_empty() {
        return nothing();
    }
    if !had_any && !new.iter().any(|(usage, _)| *usage == MASTER) {
        return Err(MatrixError::invalid("there is no master key"));
    }
    if had_any
        && let Some(question) =
            uia::ask(endpoint, call, request.auth.as_ref(), "cross-signing keys")?
    {
        return Ok(question);
    }
    endpoint.write(move |transaction| {
        for (usage, key) in new {
            let place = (KeyKind::CrossSigning, usage);
            let body = Opaque(key.to_string().into_bytes());
            transaction.put_key(account, "", place, body)?;
        }
        Ok(())
    })?;
    nothing()
}

fn held(snapshot: &Snapshot, account: Account, usage: &str) -> Result<Option<Value>, StoreError> {
    let held = snapshot.key(account, "", (KeyKind::CrossSigning, usage))?;
    Ok(held.as_ref().map(parsed))
}

/// A key is the account's, for what it says, and has one public part.
fn check(key: &Value, usage: &str, user: &str) -> Result<(), MatrixError> {
    let usages = key["usage"].as_array();
    let is_for = usages.is_some_and(|usages| usages.iter().any(|one| one == usage));
    let parts = key["keys"].as_object().map_or(0, serde_json::Map::len);
    if key["user_id"] == user && is_for && parts == 1 {
        return Ok(());
    }
    Err(MatrixError::invalid(format!(
        "the {usage} key is not the account's, or not for that"
    )))
}

/// By user, and device or public key, the signed key.
type Signed = BTreeMap<String, BTreeMap<String, Value>>;

/// `POST /_matrix/client/v3/keys/signatures/upload`.
fn sign(endpoint: &Endpoint, call: &Call) -> Answer {
    let account = call.session()?.account;
    let user = endpoint.user_of(account)?;
    let signed: Signed = call.json()?;
    let failures = endpoint.write(move |transaction| {
        let mut failures: BTreeMap<String, BTreeMap<String, Value>> = BTreeMap::new();
        for (whose, keys) in signed {
            for (name, key) in keys {
                let is_own = whose == user;
                if !is_own || !add(transaction, account, &user, &name, &key)? {
                    let failure = json!({
                        "errcode": "M_NOT_FOUND",
                        "error": "there is no such key, or it is another one",
                    });
                    failures
                        .entry(whose.clone())
                        .or_default()
                        .insert(name, failure);
                }
            }
        }
        Ok(failures)
    })?;
    json(&json!({ "failures": failures }))
}

/// Adds a user's signatures to the key of the account that they are on; says whether there is one.
fn add(
    transaction: &mut Transaction<'_>,
    account: Account,
    user: &str,
    name: &str,
    signed: &Value,
) -> Result<bool, StoreError> {
    let own = USAGES.map(|usage| ("", (KeyKind::CrossSigning, usage)));
    for (device, place) in [(name, (KeyKind::Device, ""))].into_iter().chain(own) {
        let Some(held) = transaction.key(account, device, place)? else {
            continue;
        };
        let held = parsed(&held);
        let public = format!("ed25519:{name}");
        let parts = held.get("keys");
        let is_named = !device.is_empty() || parts.is_some_and(|parts| parts.get(public).is_some());
        if !is_named || !is_same(&held, signed) {
            continue;
        }
        let with = with_signatures_of(held.clone(), signed, Some(user));
        if with != held {
            let body = Opaque(with.to_string().into_bytes());
            transaction.put_key(account, device, place, body)?;
        }
        return Ok(true);
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deliver::endpoint::testing::ADA;
    use crate::deliver::endpoint::testing::ANN;
    use crate::deliver::endpoint::testing::DEVICE;
    use crate::deliver::endpoint::testing::PASSWORD;
    use crate::deliver::endpoint::testing::World;

    fn key(usage: &str, public: &str) -> Value {
        json!({
            "user_id": ADA, "usage": [usage], "keys": {format!("ed25519:{public}"): public},
        })
    }

    fn keys(version: &str) -> Value {
        let [master, own, user] = USAGES.map(|usage| key(usage, &format!("{usage}{version}")));
        json!({"master_key": master, "self_signing_key": own, "user_signing_key": user})
    }

    async fn upload(world: &World, body: Value) -> u16 {
        world.post("/keys/device_signing/upload", body).await.status
    }

    async fn query(world: &World) -> Value {
        let ask = json!({"device_keys": {ADA: []}});
        world.post("/keys/query", ask).await.ok()
    }

    fn signed(mut key: Value, by: &str) -> Value {
        key["signatures"] = json!({ADA: {format!("ed25519:{by}"): "signature"}});
        key
    }

    #[tokio::test]
    async fn the_first_keys_need_no_proof_and_others_do() {
        let world = World::new();
        assert_eq!(upload(&world, keys("1")).await, 200);
        assert_eq!(upload(&world, keys("1")).await, 200);

        assert_eq!(upload(&world, keys("2")).await, 401);
        let mut proven = keys("2");
        proven["auth"] = json!({"type": "m.login.password", "user": "ada", "password": PASSWORD});
        assert_eq!(upload(&world, proven).await, 200);

        let answer = query(&world).await;
        let expected = keys("2");
        for name in ["master_key", "self_signing_key", "user_signing_key"] {
            assert_eq!(answer[format!("{name}s")][ADA], expected[name], "{name}");
        }
    }

    #[tokio::test]
    async fn keys_that_are_not_the_accounts_are_refused() {
        let world = World::new();
        let mut other = key(MASTER, "a");
        other["user_id"] = "@eve:example.org".into();

        for wrong in [
            json!({"master_key": other}),
            json!({"master_key": key("self_signing", "a")}),
            json!({"master_key": {"user_id": ADA, "usage": ["master"], "keys": {}}}),
            json!({"self_signing_key": key("self_signing", "a")}),
        ] {
            assert_eq!(upload(&world, wrong.clone()).await, 400, "{wrong}");
        }
    }

    #[tokio::test]
    async fn signatures_are_added_to_what_they_are_on() {
        let world = World::new();
        assert_eq!(upload(&world, keys("1")).await, 200);
        let device = json!({
            "user_id": ADA, "device_id": DEVICE, "algorithms": [], "keys": {"ed25519:PHONE": "k"},
        });
        let uploaded = signed(device.clone(), DEVICE);
        world
            .post("/keys/upload", json!({"device_keys": uploaded}))
            .await
            .ok();

        let body = json!({ADA: {
            DEVICE: signed(device.clone(), "self_signing1"),
            "master1": signed(key(MASTER, "master1"), DEVICE),
            "OTHER": signed(device.clone(), "self_signing1"),
        }});
        let answer = world.post("/keys/signatures/upload", body).await.ok();

        let failed: Vec<&String> = answer["failures"][ADA]
            .as_object()
            .unwrap()
            .keys()
            .collect();
        assert_eq!(failed, ["OTHER"]);
        let both =
            json!({ADA: {"ed25519:PHONE": "signature", "ed25519:self_signing1": "signature"}});
        let held = query(&world).await;
        assert_eq!(held["device_keys"][ADA][DEVICE]["signatures"], both);
        assert_eq!(
            held["master_keys"][ADA]["signatures"],
            json!({ADA: {"ed25519:PHONE": "signature"}})
        );
        // The device uploads its keys again, without the others' signatures.
        world
            .post(
                "/keys/upload",
                json!({"device_keys": signed(device, DEVICE)}),
            )
            .await
            .ok();
        let held = query(&world).await;
        assert_eq!(held["device_keys"][ADA][DEVICE]["signatures"], both);
    }

    #[tokio::test]
    async fn only_own_signatures_on_the_same_key_are_taken() {
        let world = World::new();
        assert_eq!(upload(&world, keys("1")).await, 200);
        let mut by_eve = key(MASTER, "master1");
        by_eve["signatures"] = json!({"@eve:example.org": {"ed25519:E": "forged"}});
        let mut changed = signed(key(MASTER, "master1"), DEVICE);
        changed["usage"] = json!(["master", "more"]);

        for body in [
            json!({ADA: {"master1": by_eve}}),
            json!({ADA: {"master1": changed}}),
            json!({world.ghost(ANN): {"x": signed(key(MASTER, "x"), DEVICE)}}),
        ] {
            world.post("/keys/signatures/upload", body).await.ok();
        }

        assert_eq!(
            query(&world).await["master_keys"][ADA],
            key(MASTER, "master1")
        );
    }
}
