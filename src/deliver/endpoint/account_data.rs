//! What clients keep here for each other: account data and room tags.
//!
//! | request | |
//! |---|---|
//! | `GET`, `PUT /user/{user}/account_data/{type}` | of the whole account |
//! | `GET`, `PUT /user/{user}/rooms/{room}/account_data/{type}` | about a room |
//! | `GET`, `PUT`, `DELETE /user/{user}/rooms/{room}/tags[/{tag}]` | kept as the room's `m.tag` |
//!
//! JSON is kept as it came. Two types are more than that: `m.direct` is served with every direct room of the archive in
//! it, and `m.push_rules` is made by `push_rules`. Data about a room belongs to its conversation, so that it outlives the
//! room's epochs.
//!
//! Source: `[mx v1.12] Client Config, Room Tagging`; D19.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;
use serde_json::value::RawValue;
use serde_json::value::to_raw_value;

use crate::base::ids::ChangeNumber;
use crate::base::ids::RowId;
use crate::base::limits::ACCOUNT_DATA_BYTES;
use crate::deliver::endpoint::Endpoint;
use crate::deliver::endpoint::call::Answer;
use crate::deliver::endpoint::call::Call;
use crate::deliver::endpoint::call::bad_json;
use crate::deliver::endpoint::call::json;
use crate::deliver::endpoint::call::nothing;
use crate::deliver::endpoint::error::Code;
use crate::deliver::endpoint::error::MatrixError;
use crate::deliver::endpoint::present::Present;
use crate::deliver::endpoint::push_rules;
use crate::deliver::endpoint::push_rules::PUSH_RULES;
use crate::deliver::endpoint::receipts::FULLY_READ;
use crate::deliver::endpoint::rooms::Room;
use crate::deliver::endpoint::route::Route;
use crate::net::Method;
use crate::net::Response;
use crate::net::StatusCode;
use crate::store::Snapshot;
use crate::store::StoreError;
use crate::store::account::Account;
use crate::store::account::HeldData;
use crate::store::value::AccountData;
use crate::store::value::Opaque;

/// The type that says which rooms are with one other person.
const DIRECT: &str = "m.direct";

/// The type in which a room's tags are kept.
const TAGS: &str = "m.tag";

/// Begins the types that are ours: clients see nothing of them.
const OURS: &str = "org.footbridge.";

/// The longest name of a tag, bytes.
const TAG_BYTES: usize = 255;

pub(super) fn routes() -> Vec<Route> {
    let global = "/user/{user}/account_data/{type}";
    let room = "/user/{user}/rooms/{room}/account_data/{type}";
    let tag = "/user/{user}/rooms/{room}/tags/{tag}";
    vec![
        Route::new(Method::GET, global, show),
        Route::new(Method::PUT, global, keep),
        Route::new(Method::GET, room, show_of_room),
        Route::new(Method::PUT, room, keep_of_room),
        Route::new(Method::GET, "/user/{user}/rooms/{room}/tags", tags),
        Route::new(Method::PUT, tag, put_tag),
        Route::new(Method::DELETE, tag, remove_tag),
    ]
}

/// One piece of account data as `/sync` sends it.
#[derive(Serialize)]
pub(super) struct DataEvent {
    /// Its type.
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// Its content, as it came.
    pub(super) content: Box<RawValue>,
}

impl DataEvent {
    /// With a content that was made here.
    pub(super) fn new(kind: &str, content: &impl Serialize) -> Self {
        // Nothing that is made here fails to be JSON.
        let content = to_raw_value(content).unwrap_or_else(|_not_json| null());
        Self {
            kind: kind.to_owned(),
            content,
        }
    }

    fn held(held: HeldData) -> Self {
        Self {
            content: raw(&held.data.body),
            kind: held.kind,
        }
    }
}

/// Kept JSON, to be sent as it came.
pub(super) fn raw(body: &Opaque) -> Box<RawValue> {
    serde_json::from_slice(&body.0).unwrap_or_else(|_not_json| null())
}

fn null() -> Box<RawValue> {
    RawValue::NULL.to_owned()
}

/// The data of an account as a whole that changed after `since`, and all of it for 0: then with `m.push_rules` and
/// `m.direct` whether or not a client ever wrote them.
///
/// Later [`direct`] is to be sent whenever rooms come, go or get other people.
pub(super) fn global_account_data(
    endpoint: &Endpoint,
    snapshot: &Snapshot,
    present: &Present,
    account: Account,
    since: ChangeNumber,
) -> Result<Vec<DataEvent>, MatrixError> {
    let mut held = snapshot.account_data_of(account, None)?;
    let is_new = |held: &HeldData| held.data.change > since;
    let is_all = since == ChangeNumber::default();
    let mut events = Vec::new();
    let rules = held.iter().find(|held| held.kind == PUSH_RULES);
    if is_all || rules.is_some_and(is_new) {
        let rules = rules.map(|held| &held.data);
        events.push(push_rules::event(endpoint, account, rules)?);
    }
    let known = held.iter().find(|held| held.kind == DIRECT);
    if is_all || known.is_some_and(is_new) {
        events.push(direct_of(
            endpoint,
            present,
            account,
            known.map(|held| &held.data),
        ));
    }
    held.retain(|held| is_new(held) && is_plain(&held.kind));
    events.extend(held.into_iter().map(DataEvent::held));
    Ok(events)
}

/// `m.direct`: what clients wrote, and every direct room of the archive.
pub(super) fn direct(
    endpoint: &Endpoint,
    snapshot: &Snapshot,
    present: &Present,
    account: Account,
) -> Result<DataEvent, StoreError> {
    let held = snapshot.account_data(account, None, DIRECT)?;
    Ok(direct_of(endpoint, present, account, held.as_ref()))
}

/// The data of an account about a room that changed after `since`; all of it for 0. `m.fully_read` is none of it: it is
/// made of receipts.
pub(super) fn room_account_data(
    snapshot: &Snapshot,
    room: &Room,
    account: Account,
    since: ChangeNumber,
) -> Result<Vec<DataEvent>, StoreError> {
    account_data_after(snapshot, room.conversation, account, since)
}

/// The same of the room that is a row.
pub(super) fn account_data_after(
    snapshot: &Snapshot,
    row: RowId,
    account: Account,
    since: ChangeNumber,
) -> Result<Vec<DataEvent>, StoreError> {
    let held = snapshot.account_data_of(account, Some(row))?;
    let is_wanted = |held: &HeldData| held.data.change > since && is_plain(&held.kind);
    Ok(held
        .into_iter()
        .filter(is_wanted)
        .map(DataEvent::held)
        .collect())
}

/// Whether a type is served as it is kept.
fn is_plain(kind: &str) -> bool {
    kind != DIRECT && kind != PUSH_RULES && !kind.starts_with(OURS)
}

fn direct_of(
    endpoint: &Endpoint,
    present: &Present,
    account: Account,
    held: Option<&AccountData>,
) -> DataEvent {
    let held = held.and_then(|held| serde_json::from_slice(&held.body.0).ok());
    let mut by_user: Map<String, Value> = held.unwrap_or_default();
    if account == Account::OWNER {
        for (user, rooms) in direct_rooms(endpoint, present) {
            let listed = by_user
                .entry(user)
                .or_insert_with(|| Value::Array(Vec::new()));
            if let Some(listed) = listed.as_array_mut() {
                let rooms = rooms.into_iter().map(Value::from);
                for room in rooms
                    .filter(|room| !listed.contains(room))
                    .collect::<Vec<_>>()
                {
                    listed.push(room);
                }
            }
        }
    }
    DataEvent::new(DIRECT, &by_user)
}

/// The direct rooms with each ghost.
fn direct_rooms(endpoint: &Endpoint, present: &Present) -> BTreeMap<String, Vec<String>> {
    let owner = &endpoint.settings.account;
    let people = &present.rooms.people;
    let mut by_user: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for room in present.rooms.iter().filter(|room| room.is_direct()) {
        let Some((with, _)) = room.members.first() else {
            continue;
        };
        let user = room.user(with, owner, people);
        if user != *owner.user() {
            let rooms = by_user.entry(user.as_str().to_owned()).or_default();
            rooms.push(room.id.as_str().to_owned());
        }
    }
    for rooms in by_user.values_mut() {
        rooms.sort_unstable();
    }
    by_user
}

/// The content that a request brings: an object that is not too large, as it came.
fn content(call: &Call) -> Result<Opaque, MatrixError> {
    if call.body.len() > ACCOUNT_DATA_BYTES {
        let text = format!("account data has at most {ACCOUNT_DATA_BYTES} bytes");
        return Err(MatrixError::new(Code::TooLarge, text));
    }
    call.json::<Map<String, Value>>()?;
    let body = if call.body.is_empty() {
        b"{}"
    } else {
        &call.body[..]
    };
    Ok(Opaque(body.to_vec()))
}

/// Refuses types that are written in other ways.
fn may_be_set(kind: &str) -> Result<(), MatrixError> {
    if kind == PUSH_RULES || kind == FULLY_READ || kind.starts_with(OURS) {
        let text = format!("`{kind}` cannot be set as account data");
        let refused = MatrixError::new(Code::BadJson, text);
        return Err(refused.with_status(StatusCode::METHOD_NOT_ALLOWED));
    }
    Ok(())
}

fn unset() -> MatrixError {
    MatrixError::not_found("there is no such account data")
}

fn found(event: &DataEvent) -> Response {
    Response::json(StatusCode::OK, event.content.get().to_owned())
}

/// `GET /_matrix/client/v3/user/{user}/account_data/{type}`.
fn show(endpoint: &Endpoint, call: &Call) -> Answer {
    let account = endpoint.own(call)?;
    let kind = call.segment("type");
    let snapshot = endpoint.store.snapshot()?;
    let held = snapshot.account_data(account, None, kind)?;
    let event = match kind {
        PUSH_RULES => push_rules::event(endpoint, account, held.as_ref())?,
        DIRECT if held.is_some() || account == Account::OWNER => {
            let present = endpoint.present(&snapshot)?;
            direct_of(endpoint, &present, account, held.as_ref())
        }
        kind => served(kind, held)?,
    };
    Ok(found(&event))
}

fn served(kind: &str, held: Option<AccountData>) -> Result<DataEvent, MatrixError> {
    let held = held.filter(|_| !kind.starts_with(OURS));
    Ok(DataEvent {
        kind: kind.to_owned(),
        content: raw(&held.ok_or_else(unset)?.body),
    })
}

/// `PUT /_matrix/client/v3/user/{user}/account_data/{type}`.
fn keep(endpoint: &Endpoint, call: &Call) -> Answer {
    let account = endpoint.own(call)?;
    let kind = call.segment("type").to_owned();
    may_be_set(&kind)?;
    let body = content(call)?;
    endpoint.write(move |transaction| transaction.put_account_data(account, None, &kind, body))?;
    nothing()
}

/// The conversation of the path's room.
fn conversation(
    endpoint: &Endpoint,
    snapshot: &Snapshot,
    call: &Call,
) -> Result<RowId, MatrixError> {
    let id = call.segment("room");
    if !id.starts_with('!') {
        return Err(MatrixError::invalid("this is no room id"));
    }
    let room = endpoint.present(snapshot)?.rooms.by_id(id).cloned();
    // The archive is the owner's alone.
    let is_owner = call.session()?.account == Account::OWNER;
    if let Some(room) = room.filter(|_| is_owner) {
        return Ok(room.conversation);
    }
    let local = snapshot.room(id)?;
    let unknown = || MatrixError::not_found("there is no such room");
    Ok(local.ok_or_else(unknown)?.conversation)
}

/// `GET /_matrix/client/v3/user/{user}/rooms/{room}/account_data/{type}`.
fn show_of_room(endpoint: &Endpoint, call: &Call) -> Answer {
    let account = endpoint.own(call)?;
    let kind = call.segment("type");
    let snapshot = endpoint.store.snapshot()?;
    let conversation = conversation(endpoint, &snapshot, call)?;
    if kind == FULLY_READ {
        let event_id = fully_read(endpoint, &snapshot, account, conversation)?;
        return json(&json!({ "event_id": event_id.ok_or_else(unset)? }));
    }
    let held = snapshot.account_data(account, Some(conversation), kind)?;
    Ok(found(&served(kind, held)?))
}

/// The event of `m.fully_read`, which is made of receipts.
fn fully_read(
    endpoint: &Endpoint,
    snapshot: &Snapshot,
    account: Account,
    conversation: RowId,
) -> Result<Option<String>, StoreError> {
    let present = endpoint.present(snapshot)?;
    if let Some(room) = present.rooms.of(conversation) {
        let view = endpoint.view(snapshot, &present, room)?;
        return view.fully_read_now(account);
    }
    let mut receipts = snapshot.receipts(account, conversation)?.into_iter();
    let said = receipts.find(|held| held.kind == FULLY_READ);
    Ok(said.map(|held| held.receipt.event_id))
}

/// `PUT /_matrix/client/v3/user/{user}/rooms/{room}/account_data/{type}`.
fn keep_of_room(endpoint: &Endpoint, call: &Call) -> Answer {
    let account = endpoint.own(call)?;
    let kind = call.segment("type").to_owned();
    may_be_set(&kind)?;
    let body = content(call)?;
    let conversation = conversation(endpoint, &endpoint.store.snapshot()?, call)?;
    endpoint.write(move |transaction| {
        transaction.put_account_data(account, Some(conversation), &kind, body)
    })?;
    nothing()
}

/// The tags that are kept.
fn tags_of(held: Option<&AccountData>) -> Map<String, Value> {
    let content = held.and_then(|held| serde_json::from_slice::<Value>(&held.body.0).ok());
    let tags = content.as_ref().and_then(|content| content.get("tags"));
    tags.and_then(Value::as_object).cloned().unwrap_or_default()
}

/// `GET /_matrix/client/v3/user/{user}/rooms/{room}/tags`.
fn tags(endpoint: &Endpoint, call: &Call) -> Answer {
    let account = endpoint.own(call)?;
    let snapshot = endpoint.store.snapshot()?;
    let conversation = conversation(endpoint, &snapshot, call)?;
    let held = snapshot.account_data(account, Some(conversation), TAGS)?;
    json(&BTreeMap::from([("tags", tags_of(held.as_ref()))]))
}

/// `PUT /_matrix/client/v3/user/{user}/rooms/{room}/tags/{tag}`.
fn put_tag(endpoint: &Endpoint, call: &Call) -> Answer {
    let content: Map<String, Value> = call.json()?;
    let tag = call.segment("tag").to_owned();
    if tag.len() > TAG_BYTES {
        return Err(MatrixError::invalid(format!(
            "a tag has at most {TAG_BYTES} bytes"
        )));
    }
    change_tags(endpoint, call, move |tags| {
        tags.insert(tag, Value::Object(content));
    })
}

/// `DELETE /_matrix/client/v3/user/{user}/rooms/{room}/tags/{tag}`.
fn remove_tag(endpoint: &Endpoint, call: &Call) -> Answer {
    let tag = call.segment("tag").to_owned();
    change_tags(endpoint, call, move |tags| {
        tags.remove(&tag);
    })
}

fn change_tags(
    endpoint: &Endpoint,
    call: &Call,
    change: impl FnOnce(&mut Map<String, Value>) + Send + 'static,
) -> Answer {
    let account = endpoint.own(call)?;
    let conversation = Some(conversation(endpoint, &endpoint.store.snapshot()?, call)?);
    endpoint.write(move |transaction| {
        let held = transaction.account_data(account, conversation, TAGS)?;
        let mut tags = tags_of(held.as_ref());
        change(&mut tags);
        let body = match serde_json::to_vec(&BTreeMap::from([("tags", tags)])) {
            Ok(body) if body.len() <= ACCOUNT_DATA_BYTES => body,
            Ok(_) => {
                let error = MatrixError::new(Code::TooLarge, "the room has too many tags");
                return Ok(Err(error));
            }
            Err(error) => return Ok(Err(bad_json(&error))),
        };
        transaction.put_account_data(account, conversation, TAGS, Opaque(body))?;
        Ok(Ok(()))
    })??;
    nothing()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::deliver::endpoint::testing::ADA;
    use crate::deliver::endpoint::testing::ANN;
    use crate::deliver::endpoint::testing::BOB;
    use crate::deliver::endpoint::testing::World;

    fn global(kind: &str) -> String {
        format!("/user/{ADA}/account_data/{kind}")
    }

    fn events(world: &World, since: ChangeNumber) -> Vec<(String, Value)> {
        let snapshot = world.store.snapshot().unwrap();
        let present = world.endpoint().present(&snapshot).unwrap();
        let owner = Account::OWNER;
        let events = global_account_data(world.endpoint(), &snapshot, &present, owner, since);
        let pair = |event: DataEvent| {
            let content = serde_json::from_str(event.content.get()).unwrap();
            (event.kind, content)
        };
        events.unwrap().into_iter().map(pair).collect()
    }

    fn now(world: &World) -> ChangeNumber {
        world.store.snapshot().unwrap().last_change().unwrap()
    }

    #[tokio::test]
    async fn what_was_put_comes_back_and_reaches_sync() {
        let world = World::new();
        let unset = world.get(&global("im.vector.setting")).await;
        assert_eq!(unset.refusal(), (404, "M_NOT_FOUND"));
        let before = now(&world);

        let content = json!({"z": 1.0, "a": [null]});
        world
            .put(&global("im.vector.setting"), content.clone())
            .await
            .ok();

        assert_eq!(world.get(&global("im.vector.setting")).await.ok(), content);
        let expected = [("im.vector.setting".to_owned(), content)];
        assert_eq!(events(&world, before), expected);
        assert_eq!(events(&world, now(&world)), []);
    }

    #[tokio::test]
    async fn json_is_kept_as_it_came() {
        let world = World::new();
        let path = format!("/_matrix/client/v3{}", global("x"));
        let bearer = format!("Bearer {}", world.token).parse().unwrap();
        let body = "{ \"z\": 1e2, \"a\": 12345678901234567890123 }";
        let request = crate::net::Request::new(Method::PUT, &path)
            .with_header(crate::net::header::AUTHORIZATION, bearer)
            .with_body(body);
        world.send(request).await.ok();

        let snapshot = world.store.snapshot().unwrap();
        let held = snapshot.account_data(Account::OWNER, None, "x").unwrap();

        assert_eq!(held.unwrap().body.0, body.as_bytes());
    }

    #[tokio::test]
    async fn what_is_no_object_or_too_large_is_refused() {
        let world = World::new();

        let reply = world.put(&global("x"), json!([1])).await;
        assert_eq!(reply.refusal(), (400, "M_BAD_JSON"));
        let large = json!({"a": "x".repeat(ACCOUNT_DATA_BYTES)});
        let reply = world.put(&global("x"), large).await;
        assert_eq!(reply.refusal(), (413, "M_TOO_LARGE"));
    }

    #[tokio::test]
    async fn some_types_are_written_in_other_ways() {
        let world = World::new();
        let room = world.room(ANN);

        for kind in ["m.push_rules", "m.fully_read", "org.footbridge.pushers"] {
            for path in [
                global(kind),
                format!("/user/{ADA}/rooms/{room}/account_data/{kind}"),
            ] {
                let reply = world.put(&path, json!({})).await;
                assert_eq!(reply.refusal(), (405, "M_BAD_JSON"), "{path}");
            }
        }
    }

    #[tokio::test]
    async fn other_peoples_data_is_not_ours() {
        let world = World::new();

        let reply = world.get("/user/@eve:example.org/account_data/x").await;
        assert_eq!(reply.refusal(), (403, "M_FORBIDDEN"));
        let reply = world
            .put("/user/@eve:example.org/account_data/x", json!({}))
            .await;
        assert_eq!(reply.refusal(), (403, "M_FORBIDDEN"));
    }

    #[tokio::test]
    async fn every_direct_room_is_in_m_direct_beside_what_clients_put() {
        let world = World::new();
        let [ann, bob] = [ANN, BOB].map(|with| (world.ghost(with), world.room(with)));
        let generated = json!({&ann.0: [&ann.1], &bob.0: [&bob.1]});
        assert_eq!(world.get(&global("m.direct")).await.ok(), generated);

        let put = json!({&ann.0: ["!other:x"], &bob.0: [&bob.1], "@eve:x": ["!eve:x"]});
        world.put(&global("m.direct"), put).await.ok();

        let merged = json!({
            &ann.0: ["!other:x", &ann.1], &bob.0: [&bob.1], "@eve:x": ["!eve:x"],
        });
        assert_eq!(world.get(&global("m.direct")).await.ok(), merged);
        let all = events(&world, ChangeNumber::default());
        let kinds: Vec<&str> = all.iter().map(|(kind, _)| kind.as_str()).collect();
        assert_eq!(kinds, ["m.push_rules", "m.direct"]);
        assert_eq!(all[1].1, merged);
    }

    #[tokio::test]
    async fn a_room_has_its_own_data() {
        let world = World::new();
        let room = world.room(ANN);
        let path = format!("/user/{ADA}/rooms/{room}/account_data/m.marked_unread");

        world.put(&path, json!({"unread": true})).await.ok();

        assert_eq!(world.get(&path).await.ok(), json!({"unread": true}));
        assert_eq!(world.get(&global("m.marked_unread")).await.status, 404);
        let snapshot = world.store.snapshot().unwrap();
        let present = world.endpoint().present(&snapshot).unwrap();
        let of = |with| {
            let room = present.rooms.by_id(&world.room(with)).unwrap();
            let since = ChangeNumber::default();
            let events = room_account_data(&snapshot, room, Account::OWNER, since);
            events
                .unwrap()
                .into_iter()
                .map(|event| event.kind)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            (of(ANN), of(BOB)),
            (vec!["m.marked_unread".to_owned()], vec![])
        );
    }

    #[tokio::test]
    async fn unknown_rooms_have_no_data() {
        let world = World::new();

        let reply = world
            .get(&format!("/user/{ADA}/rooms/!no:example.org/account_data/x"))
            .await;
        assert_eq!(reply.refusal(), (404, "M_NOT_FOUND"));
        let reply = world
            .get(&format!("/user/{ADA}/rooms/room/account_data/x"))
            .await;
        assert_eq!(reply.refusal(), (400, "M_INVALID_PARAM"));
    }

    #[tokio::test]
    async fn tags_come_and_go() {
        let world = World::new();
        let tags = format!("/user/{ADA}/rooms/{}/tags", world.room(BOB));
        assert_eq!(world.get(&tags).await.ok(), json!({"tags": {}}));

        world
            .put(&format!("{tags}/m.favourite"), json!({"order": 0.5}))
            .await
            .ok();
        world.put(&format!("{tags}/u.work"), Value::Null).await.ok();
        let both = json!({"tags": {"m.favourite": {"order": 0.5}, "u.work": {}}});
        assert_eq!(world.get(&tags).await.ok(), both);
        world.delete(&format!("{tags}/m.favourite")).await.ok();

        let left = json!({"tags": {"u.work": {}}});
        assert_eq!(world.get(&tags).await.ok(), left);
        let data = format!("/user/{ADA}/rooms/{}/account_data/m.tag", world.room(BOB));
        assert_eq!(world.get(&data).await.ok(), left);
        let long = world
            .put(&format!("{tags}/{}", "x".repeat(256)), json!({}))
            .await;
        assert_eq!(long.refusal(), (400, "M_INVALID_PARAM"));
    }
}
