//! Who people are: names from the address book, and the search for somebody to write to.
//!
//! | request | |
//! |---|---|
//! | `GET /profile/{user}[/{field}]` | of the owner and of any ghost, seen before or not |
//! | `PUT /profile/{user}/{field}` | refused: names come from the address book |
//! | `POST /user_directory/search` | people by name or address, and any address that is one |
//! | `GET`, `PUT /presence/{user}/status` | nobody is ever seen online |
//! | `GET /joined_rooms` | every room that was not left |
//!
//! Source: `[mx v1.12] Profiles, User Directory, Presence`; `facts` of the endpoint, 2 and 4.7.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::Serialize;
use serde_json::json;

use crate::base::ids::Handle;
use crate::base::limits::DIRECTORY_RESULTS;
use crate::base::limits::DIRECTORY_RESULTS_MOST;
use crate::deliver::endpoint::Endpoint;
use crate::deliver::endpoint::call::Answer;
use crate::deliver::endpoint::call::Call;
use crate::deliver::endpoint::call::json;
use crate::deliver::endpoint::call::nothing;
use crate::deliver::endpoint::error::MatrixError;
use crate::deliver::endpoint::local;
use crate::deliver::endpoint::present::Present;
use crate::deliver::endpoint::route::Route;
use crate::model::handle::normalise;
use crate::model::people::People;
use crate::model::region::Region;
use crate::net::Method;
use crate::store::Snapshot;
use crate::store::account::Account;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(Method::GET, "/profile/{user}", show),
        Route::new(Method::GET, "/profile/{user}/{field}", show_field),
        Route::new(Method::PUT, "/profile/{user}/{field}", refuse),
        Route::new(Method::POST, "/user_directory/search", search),
        Route::new(Method::GET, "/presence/{user}/status", offline),
        Route::new(Method::PUT, "/presence/{user}/status", ignore),
        Route::new(Method::GET, "/joined_rooms", joined_rooms),
    ]
}

/// The name by which an address is shown.
fn shown(people: &People, handle: &Handle) -> String {
    people.name(handle).unwrap_or(handle.address()).to_owned()
}

/// The name of a user; `None` for one that does not exist.
fn name_of(
    endpoint: &Endpoint,
    snapshot: &Snapshot,
    user: &str,
) -> Result<Option<String>, MatrixError> {
    let present = endpoint.present(snapshot)?;
    let people = &present.rooms.people;
    let owner = &endpoint.settings.account;
    if let Some(handle) = owner.handle_of(user) {
        return Ok(Some(shown(people, &handle)));
    }
    let localpart = || {
        let id = user.strip_prefix('@').and_then(|id| id.split_once(':'));
        id.map(|(localpart, _)| localpart.to_owned())
    };
    match endpoint.account_of(snapshot, user)? {
        Some(Account::OWNER) => {
            let name = people.owner_name().map(str::to_owned);
            return Ok(name.or_else(|| Some(owner.localpart().to_owned())));
        }
        Some(_) => return Ok(localpart()),
        None => {}
    }
    if user == local::speaker(endpoint) {
        return Ok(Some(local::SPEAKER.to_owned()));
    }
    if user == owner.unknown().as_str() {
        return Ok(Some("Unknown sender".to_owned()));
    }
    // A ghost whose address is hashed is known by everybody's.
    let known = ghosts(endpoint, &present);
    Ok(known.get(user).map(|handle| shown(people, handle)))
}

/// Every address that the archive or the address book has, but for the owner's, by its ghost.
fn ghosts<'p>(endpoint: &Endpoint, present: &'p Present) -> BTreeMap<String, &'p Handle> {
    let people = &present.rooms.people;
    let members = present.rooms.iter().flat_map(|room| &room.members);
    let members = members.map(|(handle, _)| handle);
    let handles = people.iter().map(|(handle, _)| handle).chain(members);
    let others = handles.filter(|handle| !people.is_own(handle));
    let ghost = |handle| endpoint.settings.account.ghost(handle).as_str().to_owned();
    others.map(|handle| (ghost(handle), handle)).collect()
}

fn name(endpoint: &Endpoint, call: &Call) -> Result<String, MatrixError> {
    let name = name_of(endpoint, &endpoint.store.snapshot()?, call.segment("user"))?;
    name.ok_or_else(|| MatrixError::not_found("there is no such user here"))
}

/// `GET /_matrix/client/v3/profile/{user}`.
fn show(endpoint: &Endpoint, call: &Call) -> Answer {
    json(&json!({ "displayname": name(endpoint, call)? }))
}

/// `GET /_matrix/client/v3/profile/{user}/{field}`. Nobody has a picture.
fn show_field(endpoint: &Endpoint, call: &Call) -> Answer {
    let name = name(endpoint, call)?;
    match call.segment("field") {
        "displayname" => json(&json!({ "displayname": name })),
        "avatar_url" => nothing(),
        _ => Err(MatrixError::not_found("profiles have no such field")),
    }
}

/// `PUT /_matrix/client/v3/profile/{user}/{field}`.
fn refuse(_endpoint: &Endpoint, _call: &Call) -> Answer {
    Err(MatrixError::forbidden(
        "names come from the address book and cannot be changed here",
    ))
}

#[derive(Deserialize)]
struct Search {
    search_term: String,
    limit: Option<usize>,
}

/// Somebody who was found.
#[derive(Debug, Serialize, PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    display_name: String,
    user_id: String,
}

/// `POST /_matrix/client/v3/user_directory/search`.
fn search(endpoint: &Endpoint, call: &Call) -> Answer {
    let search: Search = call.json()?;
    let limit = search.limit.unwrap_or(DIRECTORY_RESULTS);
    let limit = limit.min(DIRECTORY_RESULTS_MOST);
    let (snapshot, present) = endpoint.now()?;
    let people = &present.rooms.people;
    let term = search.search_term.trim().to_lowercase();
    let found = |(user_id, handle): (String, &Handle)| {
        let found = Found {
            display_name: shown(people, handle),
            user_id,
        };
        is_meant(&term, &found.display_name, handle).then_some(found)
    };
    let known = ghosts(endpoint, &present).into_iter();
    let mut results: Vec<Found> = known.filter_map(found).collect();
    results.sort_by_cached_key(|found| (found.display_name.to_lowercase(), found.user_id.clone()));
    if let Some(handle) = typed(endpoint, &snapshot, &search.search_term)?
        && !people.is_own(&handle)
    {
        let user_id = endpoint.settings.account.ghost(&handle).as_str().to_owned();
        results.retain(|found| found.user_id != user_id);
        let display_name = shown(people, &handle);
        let exact = Found {
            display_name,
            user_id,
        };
        results.insert(0, exact);
    }
    let limited = results.len() > limit;
    results.truncate(limit);
    json(&json!({ "limited": limited, "results": results }))
}

/// Whether each word of a search begins a word of somebody's name, or all of it begins their address.
fn is_meant(term: &str, name: &str, handle: &Handle) -> bool {
    if term.is_empty() {
        return false;
    }
    let name = name.to_lowercase();
    let is_named = |word: &str| name.split_whitespace().any(|named| named.starts_with(word));
    if term.split_whitespace().all(is_named) {
        return true;
    }
    let address = handle.address().to_lowercase();
    let without_plus = address.strip_prefix('+').unwrap_or(&address);
    address.starts_with(term) || without_plus.starts_with(term)
}

/// The address that was typed, if it is a whole one: that is how a conversation with somebody new begins.
fn typed(
    endpoint: &Endpoint,
    snapshot: &Snapshot,
    text: &str,
) -> Result<Option<Handle>, MatrixError> {
    let text = text.trim();
    if let Some(handle) = endpoint.settings.account.handle_of(text) {
        return Ok(Some(handle));
    }
    let region = snapshot.meta_text("region")?;
    let region = region.and_then(|region| Region::parse(&region));
    let region = region.or_else(|| Region::parse("US"));
    let handle = region.and_then(|region| normalise(text, region));
    Ok(handle.filter(Handle::is_personal))
}

/// `GET /_matrix/client/v3/presence/{user}/status`.
fn offline(_endpoint: &Endpoint, _call: &Call) -> Answer {
    json(&json!({ "presence": "offline" }))
}

/// `PUT /_matrix/client/v3/presence/{user}/status`.
fn ignore(endpoint: &Endpoint, call: &Call) -> Answer {
    endpoint.own(call)?;
    nothing()
}

/// `GET /_matrix/client/v3/joined_rooms`. The archive's rooms are the owner's alone.
fn joined_rooms(endpoint: &Endpoint, call: &Call) -> Answer {
    let account = call.session()?.account;
    let (snapshot, present) = endpoint.now()?;
    let mut ids: Vec<&str> = Vec::new();
    for room in present.rooms.iter().filter(|_| account == Account::OWNER) {
        let view = endpoint.view(&snapshot, &present, room)?;
        if view.shown_since(account)?.is_some() {
            ids.push(room.id.as_str());
        }
    }
    let user = endpoint.user_of(account)?;
    let local = local::joined(&snapshot, &user)?;
    ids.extend(local.iter().map(String::as_str));
    ids.sort_unstable();
    json(&json!({ "joined_rooms": ids }))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::deliver::endpoint::testing::ADA;
    use crate::deliver::endpoint::testing::ANN;
    use crate::deliver::endpoint::testing::BOB;
    use crate::deliver::endpoint::testing::WALK;
    use crate::deliver::endpoint::testing::World;
    use crate::deliver::endpoint::testing::conversation;
    use crate::deliver::endpoint::testing::said;
    use crate::store::Page;

    async fn name_of(world: &World, user: &str) -> Value {
        world.get(&format!("/profile/{user}")).await.ok()["displayname"].take()
    }

    async fn search(world: &World, term: &str) -> Vec<(String, String)> {
        let body = json!({"search_term": term});
        let answer = world.post("/user_directory/search", body).await.ok();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let pair = |found: &Value| (text(&found["display_name"]), text(&found["user_id"]));
        answer["results"]
            .as_array()
            .unwrap()
            .iter()
            .map(pair)
            .collect()
    }

    #[tokio::test]
    async fn everybody_has_a_name() {
        let world = World::new();

        assert_eq!(name_of(&world, ADA).await, "ada");
        assert_eq!(name_of(&world, &world.ghost(ANN)).await, "Ann Example");
        assert_eq!(name_of(&world, &world.ghost(BOB)).await, "bob@example.org");
        assert_eq!(
            name_of(&world, "@imessage_+15550100009:example.org").await,
            "+15550100009"
        );
        assert_eq!(
            name_of(&world, "@imessage_=unknown:example.org").await,
            "Unknown sender"
        );
        for user in [
            "@eve:example.org",
            "@imessage_+15550100009:other.org",
            "eve",
        ] {
            let reply = world.get(&format!("/profile/{user}")).await;
            assert_eq!(reply.refusal(), (404, "M_NOT_FOUND"), "{user}");
        }
    }

    #[tokio::test]
    async fn a_ghost_that_is_hashed_is_found_among_all() {
        let world = World::new();
        let long = format!("mailto:{}@example.org", "a".repeat(300));
        world.add(Page {
            conversations: vec![conversation(&long, &[&long], None)],
            messages: vec![said(&long, 7, Some(&long), "Hello")],
            ..Page::default()
        });

        let user = world.ghost(&long);

        assert!(user.starts_with("@imessage_=sha256="));
        assert_eq!(
            name_of(&world, &user).await,
            long.strip_prefix("mailto:").unwrap()
        );
    }

    #[tokio::test]
    async fn a_profile_is_read_field_by_field_and_not_written() {
        let world = World::new();
        let ann = format!("/profile/{}", world.ghost(ANN));

        let name = world.get(&format!("{ann}/displayname")).await.ok();
        assert_eq!(name, json!({"displayname": "Ann Example"}));
        assert_eq!(
            world.get(&format!("{ann}/avatar_url")).await.ok(),
            json!({})
        );
        assert_eq!(world.get(&format!("{ann}/mood")).await.status, 404);
        for field in ["displayname", "avatar_url"] {
            let reply = world
                .put(&format!("/profile/{ADA}/{field}"), json!({field: "x"}))
                .await;
            assert_eq!(reply.refusal(), (403, "M_FORBIDDEN"), "{field}");
        }
    }

    #[tokio::test]
    async fn people_are_found_by_the_beginning_of_names_and_addresses() {
        let world = World::new();
        let ann = ("Ann Example".to_owned(), world.ghost(ANN));
        let bob = ("bob@example.org".to_owned(), world.ghost(BOB));

        for term in ["ann", "EXAM", "example an", "+1555", "1555010"] {
            assert_eq!(
                search(&world, term).await,
                std::slice::from_ref(&ann),
                "{term}"
            );
        }
        assert_eq!(search(&world, "bob").await, [bob]);
        for term in ["", "nn", "ann smith", "5550100000"] {
            let found = search(&world, term).await;
            assert!(!found.contains(&ann), "{term}");
        }
    }

    #[tokio::test]
    async fn a_whole_address_is_somebody_to_write_to() {
        let world = World::new();
        let new = ("+12125550109".to_owned(), world.ghost("tel:+12125550109"));

        for term in ["+12125550109", "(212) 555-0109", &new.1] {
            assert_eq!(
                search(&world, term).await,
                std::slice::from_ref(&new),
                "{term}"
            );
        }
        let mail = search(&world, "Carol@Example.org").await;
        assert_eq!(
            mail,
            [(
                "carol@example.org".to_owned(),
                world.ghost("mailto:carol@example.org")
            )]
        );
        assert_eq!(
            search(&world, "(555) 010-0001").await[0].1,
            world.ghost(ANN)
        );
    }

    #[tokio::test]
    async fn a_search_says_when_there_are_more() {
        let world = World::new();

        let body = json!({"search_term": "bob@example.org", "limit": 0});
        let answer = world.post("/user_directory/search", body).await.ok();

        assert_eq!(answer, json!({"limited": true, "results": []}));
    }

    #[tokio::test]
    async fn nobody_is_online() {
        let world = World::new();

        let status = world.get(&format!("/presence/{ADA}/status")).await.ok();
        assert_eq!(status, json!({"presence": "offline"}));
        let online = json!({"presence": "online"});
        world
            .put(&format!("/presence/{ADA}/status"), online.clone())
            .await
            .ok();
        let ann = format!("/presence/{}/status", world.ghost(ANN));
        assert_eq!(world.put(&ann, online).await.status, 403);
    }

    #[tokio::test]
    async fn every_room_is_joined() {
        let world = World::new();

        let mut rooms = [ANN, BOB, WALK].map(|with| world.room(with));
        rooms.sort_unstable();

        assert_eq!(
            world.get("/joined_rooms").await.ok(),
            json!({"joined_rooms": rooms})
        );
    }

    #[tokio::test]
    async fn there_is_no_identity_to_prove_elsewhere() {
        let world = World::new();

        let path = format!("/user/{ADA}/openid/request_token");
        let reply = world.post(&path, json!({})).await;

        assert_eq!(reply.refusal(), (404, "M_UNRECOGNIZED"));
    }
}
