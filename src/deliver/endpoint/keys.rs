//! Keys for end-to-end encryption: kept for clients, never used here (D25). Rooms are not encrypted, but most clients do not
//! start without.
//!
//! | request | |
//! |---|---|
//! | `POST /keys/upload` | a device's keys; answers how many one-time keys it has left |
//! | `POST /keys/query` | the keys of accounts here; ghosts have none |
//! | `POST /keys/claim` | one one-time key of a device, which is gone then |
//! | `GET /keys/changes` | whose keys changed between two positions |
//! | anything below `/room_keys` | 404: there is no backup of keys |
//!
//! Keys of the account itself are in `cross_signing`.
//!
//! Source: `[mx v1.12] End-to-End Encryption`; `facts` of the endpoint, 10.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;
use serde_json::value::RawValue;

use crate::base::ids::ChangeNumber;
use crate::base::limits::KEY_CHANGES;
use crate::base::limits::LARGE_BODY_BYTES;
use crate::deliver::endpoint::Endpoint;
use crate::deliver::endpoint::account_data::raw;
use crate::deliver::endpoint::call::Answer;
use crate::deliver::endpoint::call::Call;
use crate::deliver::endpoint::call::bad_json;
use crate::deliver::endpoint::call::json;
use crate::deliver::endpoint::cross_signing;
use crate::deliver::endpoint::cross_signing::is_same;
use crate::deliver::endpoint::cross_signing::with_signatures_of;
use crate::deliver::endpoint::error::Code;
use crate::deliver::endpoint::error::MatrixError;
use crate::deliver::endpoint::local::Sharing;
use crate::deliver::endpoint::route::Route;
use crate::deliver::endpoint::token::Position;
use crate::net::Method;
use crate::store::News;
use crate::store::Snapshot;
use crate::store::StoreError;
use crate::store::Transaction;
use crate::store::account::Account;
use crate::store::account::KeyKind;
use crate::store::value::ChangeEntry;
use crate::store::value::ChangeKind;
use crate::store::value::Opaque;
use crate::store::value::StoredKey;

/// The algorithm of one-time keys that every client has: counted even when there are none.
const ONE_TIME: &str = "signed_curve25519";

/// Where the keys of a device are.
const DEVICE: (KeyKind, &str) = (KeyKind::Device, "");

pub(super) fn routes() -> Vec<Route> {
    let mut routes = vec![
        Route::new(Method::POST, "/keys/upload", upload).with_body(LARGE_BODY_BYTES),
        // What clients of r0 say.
        Route::new(Method::POST, "/keys/upload/{device}", upload).with_body(LARGE_BODY_BYTES),
        Route::new(Method::POST, "/keys/query", query),
        Route::new(Method::POST, "/keys/claim", claim),
        Route::new(Method::GET, "/keys/changes", changes),
    ];
    for path in [
        "/room_keys/version",
        "/room_keys/version/{version}",
        "/room_keys/keys",
        "/room_keys/keys/{room}",
        "/room_keys/keys/{room}/{session}",
    ] {
        for method in [Method::GET, Method::PUT, Method::POST, Method::DELETE] {
            routes.push(Route::new(method, path, no_backup).with_body(LARGE_BODY_BYTES));
        }
    }
    routes
}

/// How many one-time keys a device has left, by algorithm: `device_one_time_keys_count` of `/sync`. A client that sees a
/// wrong number uploads keys for ever.
pub(super) fn one_time_key_counts(
    snapshot: &Snapshot,
    account: Account,
    device: &str,
) -> Result<BTreeMap<String, u64>, StoreError> {
    let mut counts = snapshot.one_time_keys(account, device)?;
    counts.entry(ONE_TIME.to_owned()).or_default();
    Ok(counts)
}

/// The algorithms of which a device has a fallback key that nobody was given: `device_unused_fallback_key_types` of
/// `/sync`.
pub(super) fn unused_fallback_keys(
    snapshot: &Snapshot,
    account: Account,
    device: &str,
) -> Result<Vec<String>, StoreError> {
    let keys = snapshot.keys(account, device, KeyKind::Fallback)?;
    let unused = keys.into_iter().filter(|(_, key)| !key.used);
    Ok(unused.map(|(algorithm, _)| algorithm).collect())
}

/// The users whose devices or keys changed after `since` and up to `until`, and those who are to be forgotten:
/// `device_lists` of `/sync`, for who asks. `news` is what changed after `since`. One-time keys are nobody else's business
/// and do not count; of others, an account hears while they share a local room with it.
pub(super) fn changed_users(
    endpoint: &Endpoint,
    snapshot: &Snapshot,
    asking: Account,
    news: &News,
    since: ChangeNumber,
    until: ChangeNumber,
) -> Result<(Vec<String>, Vec<String>), MatrixError> {
    let is_new = |change: ChangeNumber| change > since && change <= until;
    let concerns = |account: Account, kinds: &[ChangeKind]| {
        let is_it = |(change, entry): &(ChangeNumber, ChangeEntry)| {
            is_new(*change) && entry.row == account.row() && kinds.contains(&entry.kind)
        };
        news.others.iter().any(is_it)
    };
    let mut users = Vec::new();
    let accounts = snapshot.users()?;
    let ids = accounts
        .iter()
        .map(|(account, _)| endpoint.user_of(*account));
    let ids = ids.collect::<Result<Vec<_>, _>>()?;
    let sharing = Sharing::of(snapshot, &endpoint.user_of(asking)?, &ids, since, until)?;
    for ((account, _), user) in accounts.into_iter().zip(ids) {
        let is_own = account == asking;
        let has_changed = if !news.is_complete || concerns(account, &[ChangeKind::Device]) {
            true
        } else if concerns(account, &[ChangeKind::Keys]) {
            key_changes(snapshot, account, is_own)?
                .into_iter()
                .any(is_new)
        } else {
            false
        };
        if is_own && has_changed || !is_own && sharing.hears_of(&user, has_changed) {
            users.push(user);
        }
    }
    Ok((users, sharing.left()))
}

/// When the keys were written that others see of an account, or those that it sees itself: only to itself is shown which
/// key it signs others with.
fn key_changes(
    snapshot: &Snapshot,
    account: Account,
    is_own: bool,
) -> Result<Vec<ChangeNumber>, StoreError> {
    let mut changes = Vec::new();
    for (device, _) in snapshot.devices(account)? {
        changes.extend(
            snapshot
                .key(account, &device, DEVICE)?
                .map(|key| key.change),
        );
    }
    let own = snapshot.keys(account, "", KeyKind::CrossSigning)?;
    let seen = own.into_iter();
    let seen = seen.filter(|(usage, _)| is_own || usage != cross_signing::USER_SIGNING);
    changes.extend(seen.map(|(_, key)| key.change));
    Ok(changes)
}

#[derive(Deserialize)]
struct Upload {
    #[serde(rename = "device_keys")]
    device: Option<Map<String, Value>>,
    #[serde(default, rename = "one_time_keys")]
    one_time: BTreeMap<String, Box<RawValue>>,
    #[serde(default, rename = "fallback_keys")]
    fallback: BTreeMap<String, Box<RawValue>>,
}

/// `POST /_matrix/client/v3/keys/upload`.
fn upload(endpoint: &Endpoint, call: &Call) -> Answer {
    let session = call.session()?;
    let upload: Upload = call.json()?;
    let user = endpoint.user_of(session.account)?;
    if let Some(keys) = &upload.device {
        let is = |name: &str, value: &str| keys.get(name).is_some_and(|held| held == value);
        if !is("user_id", &user) || !is("device_id", &session.device) {
            let text = "`device_keys` are another device's";
            return Err(MatrixError::invalid(text));
        }
    }
    let names = upload.one_time.keys().chain(upload.fallback.keys());
    if !names.clone().all(|name| name.contains(':')) {
        return Err(MatrixError::invalid(
            "a key is named by its algorithm and id",
        ));
    }
    let (account, device) = (session.account, session.device.clone());
    endpoint.write(move |transaction| keep(transaction, account, &device, upload))??;
    let snapshot = endpoint.store.snapshot()?;
    let counts = one_time_key_counts(&snapshot, account, &session.device)?;
    json(&json!({ "one_time_key_counts": counts }))
}

/// Keeps a device's keys. Nothing is written when a one-time key would be replaced: somebody may have been given it.
fn keep(
    transaction: &mut Transaction<'_>,
    account: Account,
    device: &str,
    upload: Upload,
) -> Result<Result<(), MatrixError>, StoreError> {
    let mut new = Vec::new();
    for (name, key) in &upload.one_time {
        let place = (KeyKind::OneTime, name.as_str());
        match transaction.key(account, device, place)? {
            None => new.push((place, bytes(key))),
            Some(held) if is_equal(&held, key) => {}
            Some(_) => {
                let text = "a one-time key with this id is there already";
                return Ok(Err(MatrixError::invalid(text)));
            }
        }
    }
    for (name, key) in &upload.fallback {
        let algorithm = name.split(':').next().unwrap_or_default();
        let place = (KeyKind::Fallback, algorithm);
        // With its name, which is told to whom it is given.
        let named = match serde_json::to_vec(&BTreeMap::from([(name, key)])) {
            Ok(named) => named,
            Err(error) => return Ok(Err(bad_json(&error))),
        };
        let held = transaction.key(account, device, place)?;
        if held.is_none_or(|held| held.body.0 != named) {
            new.push((place, named));
        }
    }
    for (place, body) in new {
        transaction.put_key(account, device, place, Opaque(body))?;
    }
    if let Some(keys) = upload.device {
        keep_device(transaction, account, device, Value::Object(keys))?;
    }
    Ok(Ok(()))
}

/// Keeps the keys of a device. Others' signatures on them stay: the device does not have them.
fn keep_device(
    transaction: &mut Transaction<'_>,
    account: Account,
    device: &str,
    mut keys: Value,
) -> Result<(), StoreError> {
    if let Some(held) = transaction.key(account, device, DEVICE)? {
        let held = parsed(&held);
        if is_same(&held, &keys) {
            keys = with_signatures_of(held.clone(), &keys, None);
            if keys == held {
                return Ok(());
            }
        }
    }
    let body = Opaque(keys.to_string().into_bytes());
    transaction.put_key(account, device, DEVICE, body)?;
    Ok(())
}

fn bytes(key: &RawValue) -> Vec<u8> {
    key.get().as_bytes().to_vec()
}

fn is_equal(held: &StoredKey, key: &RawValue) -> bool {
    held.body.0 == key.get().as_bytes()
        || serde_json::from_str(key.get()).is_ok_and(|key: Value| parsed(held) == key)
}

/// A kept key as a value; null if it is none.
pub(super) fn parsed(key: &StoredKey) -> Value {
    serde_json::from_slice(&key.body.0).unwrap_or_default()
}

#[derive(Deserialize)]
struct Query {
    #[serde(default)]
    device_keys: BTreeMap<String, Vec<String>>,
}

/// `POST /_matrix/client/v3/keys/query`.
fn query(endpoint: &Endpoint, call: &Call) -> Answer {
    let asking = call.session()?.account;
    let query: Query = call.json()?;
    let snapshot = endpoint.store.snapshot()?;
    let mut device_keys = Map::new();
    let mut own: [Map<String, Value>; 3] = Default::default();
    for (user, wanted) in query.device_keys {
        let mut devices = Map::new();
        if let Some(account) = endpoint.account_of(&snapshot, &user)? {
            for (id, held) in snapshot.devices(account)? {
                let is_wanted = wanted.is_empty() || wanted.contains(&id);
                if let (true, Some(key)) = (is_wanted, snapshot.key(account, &id, DEVICE)?) {
                    let mut keys = parsed(&key);
                    let unsigned = match held.name {
                        Some(name) => json!({ "device_display_name": name }),
                        None => json!({}),
                    };
                    if let Some(keys) = keys.as_object_mut() {
                        keys.insert("unsigned".to_owned(), unsigned);
                    }
                    devices.insert(id, keys);
                }
            }
            for (keys, usage) in own.iter_mut().zip(cross_signing::USAGES) {
                // With which keys somebody signs others is for themselves.
                if usage == cross_signing::USER_SIGNING && account != asking {
                    continue;
                }
                let place = (KeyKind::CrossSigning, usage);
                if let Some(key) = snapshot.key(account, "", place)? {
                    keys.insert(user.clone(), parsed(&key));
                }
            }
        }
        device_keys.insert(user, Value::Object(devices));
    }
    let [master, self_signing, user_signing] = own;
    json(&json!({
        "device_keys": device_keys,
        "master_keys": master,
        "self_signing_keys": self_signing,
        "user_signing_keys": user_signing,
        "failures": {},
    }))
}

#[derive(Deserialize)]
struct Claim {
    /// By user and device, an algorithm.
    one_time_keys: BTreeMap<String, BTreeMap<String, String>>,
}

/// Keys by their name.
type Claimed = BTreeMap<String, Box<RawValue>>;

/// `POST /_matrix/client/v3/keys/claim`. Devices that have no key are not in the answer.
fn claim(endpoint: &Endpoint, call: &Call) -> Answer {
    let claim: Claim = call.json()?;
    let snapshot = endpoint.store.snapshot()?;
    let mut wanted = Vec::new();
    for (user, devices) in claim.one_time_keys {
        if let Some(account) = endpoint.account_of(&snapshot, &user)? {
            wanted.push((user, account, devices));
        }
    }
    let given = endpoint.write(move |transaction| {
        let mut given: BTreeMap<String, BTreeMap<String, Claimed>> = BTreeMap::new();
        for (user, account, devices) in wanted {
            for (device, algorithm) in devices {
                let claimed = transaction.claim_key(account, &device, &algorithm)?;
                if let Some((name, key)) = claimed {
                    let of_user = given.entry(user.clone()).or_default();
                    of_user.insert(device, named(&name, &algorithm, &key));
                }
            }
        }
        Ok(given)
    })?;
    json(&json!({ "one_time_keys": given, "failures": {} }))
}

/// A claimed key with its name. A fallback key is kept with it.
fn named(name: &str, algorithm: &str, key: &StoredKey) -> Claimed {
    if name == algorithm {
        return serde_json::from_slice(&key.body.0).unwrap_or_default();
    }
    BTreeMap::from([(name.to_owned(), raw(&key.body))])
}

/// `GET /_matrix/client/v3/keys/changes`.
fn changes(endpoint: &Endpoint, call: &Call) -> Answer {
    let position = |name: &str| {
        let missing = || MatrixError::new(Code::MissingParam, format!("`{name}` is missing"));
        let token = call.param(name).ok_or_else(missing)?;
        let invalid = || MatrixError::invalid(format!("`{name}` is no position of /sync"));
        Position::parse(token).ok_or_else(invalid)
    };
    let (from, to) = (position("from")?, position("to")?);
    let (snapshot, present) = endpoint.now()?;
    // Positions of another file's life say nothing: everything may have changed.
    let is_ours = from.generation == endpoint.generation && to.generation == endpoint.generation;
    let (since, until) = if is_ours {
        (from.change, to.change)
    } else {
        (ChangeNumber::default(), ChangeNumber(u64::MAX))
    };
    let news = snapshot.news_after(since, &present.places, KEY_CHANGES)?;
    let asking = call.session()?.account;
    let (changed, left) = changed_users(endpoint, &snapshot, asking, &news, since, until)?;
    json(&json!({ "changed": changed, "left": left }))
}

/// `/_matrix/client/v3/room_keys/...`. Clients expect exactly this code where there is no backup.
fn no_backup(_endpoint: &Endpoint, _call: &Call) -> Answer {
    Err(MatrixError::not_found("there is no backup of keys"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deliver::endpoint::testing::ADA;
    use crate::deliver::endpoint::testing::ANN;
    use crate::deliver::endpoint::testing::DEVICE;
    use crate::deliver::endpoint::testing::World;

    fn device_keys(device: &str) -> Value {
        json!({
            "user_id": ADA, "device_id": device, "algorithms": ["m.megolm.v1.aes-sha2"],
            "keys": {format!("ed25519:{device}"): "key"},
            "signatures": {ADA: {format!("ed25519:{device}"): "own"}},
        })
    }

    async fn upload(world: &World, body: Value) -> Value {
        world.post("/keys/upload", body).await.ok()
    }

    fn position(world: &World) -> String {
        let change = world.store.snapshot().unwrap().last_change().unwrap();
        world.endpoint().position(change, 0).to_string()
    }

    async fn changed(world: &World, from: &str) -> Value {
        let to = position(world);
        world
            .get(&format!("/keys/changes?from={from}&to={to}"))
            .await
            .ok()["changed"]
            .take()
    }

    #[tokio::test]
    async fn keys_are_counted_as_they_are() {
        let world = World::new();
        let none = json!({"one_time_key_counts": {"signed_curve25519": 0}});
        assert_eq!(upload(&world, json!({})).await, none);

        let keys = json!({"one_time_keys": {
            "signed_curve25519:A": {"key": "a"}, "signed_curve25519:B": {"key": "b"}, "curve25519:C": "c",
        }});
        let answer = upload(&world, keys.clone()).await;

        let counts = json!({"signed_curve25519": 2, "curve25519": 1});
        assert_eq!(answer, json!({"one_time_key_counts": counts}));
        assert_eq!(upload(&world, keys).await, answer);
        let snapshot = world.store.snapshot().unwrap();
        let counted = one_time_key_counts(&snapshot, Account::OWNER, DEVICE).unwrap();
        assert_eq!(json!(counted), counts);
        let others = one_time_key_counts(&snapshot, Account::OWNER, "TABLET").unwrap();
        assert_eq!(json!(others), json!({"signed_curve25519": 0}));
    }

    #[tokio::test]
    async fn a_one_time_key_is_never_another() {
        let world = World::new();
        upload(
            &world,
            json!({"one_time_keys": {"signed_curve25519:A": {"key": "a"}}}),
        )
        .await;

        let other = json!({"one_time_keys": {
            "signed_curve25519:0": {"key": "new"}, "signed_curve25519:A": {"key": "other"},
        }});
        let reply = world.post("/keys/upload", other).await;

        assert_eq!(reply.refusal(), (400, "M_INVALID_PARAM"));
        let counts = upload(&world, json!({})).await;
        assert_eq!(counts["one_time_key_counts"]["signed_curve25519"], 1);
    }

    #[tokio::test]
    async fn keys_of_another_device_are_refused() {
        let world = World::new();

        let body = json!({"device_keys": device_keys("TABLET")});
        let reply = world.post("/keys/upload", body).await;

        assert_eq!(reply.refusal(), (400, "M_INVALID_PARAM"));
        let unnamed = json!({"one_time_keys": {"A": {}}});
        assert_eq!(world.post("/keys/upload", unnamed).await.status, 400);
    }

    #[tokio::test]
    async fn devices_are_found_and_ghosts_have_none() {
        let world = World::new();
        upload(&world, json!({"device_keys": device_keys(DEVICE)})).await;
        let name = json!({"display_name": "My phone"});
        world.put(&format!("/devices/{DEVICE}"), name).await.ok();
        world.log_in("TABLET");
        let ann = world.ghost(ANN);

        let ask = json!({"device_keys": {ADA: [], &ann: [], "@eve:other.org": []}});
        let answer = world.post("/keys/query", ask).await.ok();

        let mut phone = device_keys(DEVICE);
        phone["unsigned"] = json!({"device_display_name": "My phone"});
        let expected = json!({
            "device_keys": {ADA: {DEVICE: phone}, &ann: {}, "@eve:other.org": {}},
            "master_keys": {}, "self_signing_keys": {}, "user_signing_keys": {}, "failures": {},
        });
        assert_eq!(answer, expected);
        let other = json!({"device_keys": {ADA: ["TABLET"]}});
        let answer = world.post("/keys/query", other).await.ok();
        assert_eq!(answer["device_keys"], json!({ADA: {}}));
        let wrong = world
            .post("/keys/query", json!({"device_keys": {ADA: {}}}))
            .await;
        assert_eq!(wrong.refusal(), (400, "M_BAD_JSON"));
    }

    #[tokio::test]
    async fn one_time_keys_are_given_in_the_order_in_which_they_came() {
        let world = World::new();
        for key in ["B", "A", "C"] {
            let keys = json!({"one_time_keys": {format!("{ONE_TIME}:{key}"): {"key": key}}});
            upload(&world, keys).await;
        }

        let mut given = Vec::new();
        for _ in 0..3 {
            let ask = json!({"one_time_keys": {ADA: {DEVICE: ONE_TIME}}});
            let mut answer = world.post("/keys/claim", ask).await.ok();
            given.push(answer["one_time_keys"][ADA][DEVICE].take());
        }

        let named = |key: &str| json!({format!("{ONE_TIME}:{key}"): {"key": key}});
        assert_eq!(given, [named("B"), named("A"), named("C")]);
    }

    #[tokio::test]
    async fn a_one_time_key_is_given_once_and_then_the_fallback_key() {
        let world = World::new();
        let keys = json!({
            "one_time_keys": {"signed_curve25519:A": {"key": "a"}},
            "fallback_keys": {"signed_curve25519:F": {"key": "f", "fallback": true}},
        });
        upload(&world, keys.clone()).await;
        let unused = || {
            let snapshot = world.store.snapshot().unwrap();
            unused_fallback_keys(&snapshot, Account::OWNER, DEVICE).unwrap()
        };
        assert_eq!(unused(), [ONE_TIME]);

        let ask = json!({"one_time_keys": {ADA: {DEVICE: ONE_TIME, "NONE": ONE_TIME}}});
        let mut given = Vec::new();
        for _ in 0..3 {
            let answer = world.post("/keys/claim", ask.clone()).await.ok();
            given.push(answer["one_time_keys"][ADA].clone());
        }

        let one_time = json!({DEVICE: {"signed_curve25519:A": {"key": "a"}}});
        let fallback = json!({DEVICE: {"signed_curve25519:F": {"key": "f", "fallback": true}}});
        assert_eq!(given, [one_time, fallback.clone(), fallback]);
        assert!(unused().is_empty());
        let again = json!({"fallback_keys": keys["fallback_keys"]});
        upload(&world, again).await;
        assert!(unused().is_empty());
    }

    #[tokio::test]
    async fn only_what_others_see_of_keys_is_a_change() {
        let world = World::new();
        let start = position(&world);
        assert_eq!(changed(&world, &start).await, json!([]));
        upload(
            &world,
            json!({"one_time_keys": {"signed_curve25519:A": {}}}),
        )
        .await;
        assert_eq!(changed(&world, &start).await, json!([]));

        upload(&world, json!({"device_keys": device_keys(DEVICE)})).await;

        assert_eq!(changed(&world, &start).await, json!([ADA]));
        let after = position(&world);
        upload(&world, json!({"device_keys": device_keys(DEVICE)})).await;
        assert_eq!(changed(&world, &after).await, json!([]));
        world.log_in("TABLET");
        assert_eq!(changed(&world, &after).await, json!([ADA]));
        assert_eq!(changed(&world, "s1_0_0.0").await, json!([ADA]));
        assert_eq!(world.get("/keys/changes?from=x&to=y").await.status, 400);
        let missing = world.get("/keys/changes").await;
        assert_eq!(missing.refusal(), (400, "M_MISSING_PARAM"));
    }

    #[tokio::test]
    async fn there_is_no_backup() {
        let world = World::new();

        for path in ["version", "version/1", "keys", "keys/!r:x", "keys/!r:x/s"] {
            let reply = world.get(&format!("/room_keys/{path}")).await;
            assert_eq!(reply.refusal(), (404, "M_NOT_FOUND"), "{path}");
        }
        let made = world.post("/room_keys/version", json!({})).await;
        assert_eq!(made.refusal(), (404, "M_NOT_FOUND"));
    }
}
