//! Finding rooms and users in conformance mode.
//!
//! | request | |
//! |---|---|
//! | `GET /joined_rooms` | |
//! | `GET`, `POST /publicRooms` | rooms that are listed, the fullest first |
//! | `GET`, `PUT /directory/list/room/{room}` | whether a room is listed |
//! | `POST /user_directory/search` | users in rooms that anybody may enter, or in one's own |

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::base::ids::RowId;
use crate::base::limits::DIRECTORY_RESULTS;
use crate::base::limits::DIRECTORY_RESULTS_MOST;
use crate::deliver::endpoint::Endpoint;
use crate::deliver::endpoint::call::Answer;
use crate::deliver::endpoint::call::Call;
use crate::deliver::endpoint::call::json;
use crate::deliver::endpoint::call::nothing;
use crate::deliver::endpoint::error::MatrixError;
use crate::deliver::endpoint::local::event::AVATAR;
use crate::deliver::endpoint::local::event::CANONICAL_ALIAS;
use crate::deliver::endpoint::local::event::CREATE;
use crate::deliver::endpoint::local::event::GUEST_ACCESS;
use crate::deliver::endpoint::local::event::NAME;
use crate::deliver::endpoint::local::event::TOPIC;
use crate::deliver::endpoint::local::event::set;
use crate::deliver::endpoint::local::power::Power;
use crate::deliver::endpoint::local::profile::Profile;
use crate::deliver::endpoint::local::room::LocalRoom;
use crate::deliver::endpoint::local::room::NOW;
use crate::deliver::endpoint::local::state::Membership;
use crate::deliver::endpoint::local::state::State;
use crate::store::Snapshot;
use crate::store::StoreError;
use crate::store::Transaction;
use crate::store::account::Account;
use crate::store::value::Opaque;

/// The owner's account data of a room that says whether it is listed; no client sees it.
const LISTED: &str = "org.footbridge.listed";

/// The largest page of rooms.
const ROOMS_AT_ONCE: usize = 500;

#[derive(serde::Serialize, Deserialize)]
struct Listed {
    listed: bool,
}

/// Lists a room, or does so no more.
pub(super) fn list(
    transaction: &mut Transaction<'_>,
    row: RowId,
    listed: bool,
) -> Result<(), StoreError> {
    let body = Opaque(serde_json::to_vec(&Listed { listed }).unwrap_or_default());
    let changed = transaction.put_account_data(Account::OWNER, Some(row), LISTED, body);
    changed.map(drop)
}

pub(super) fn is_listed(snapshot: &Snapshot, row: RowId) -> Result<bool, StoreError> {
    let said = snapshot.account_data(Account::OWNER, Some(row), LISTED)?;
    Ok(said.is_some_and(|said| {
        serde_json::from_slice::<Listed>(&said.body.0).is_ok_and(|said| said.listed)
    }))
}

/// The rooms that a user is in, by id.
pub(in crate::deliver::endpoint) fn joined(
    snapshot: &Snapshot,
    user: &str,
) -> Result<Vec<String>, StoreError> {
    let mut ids = Vec::new();
    for room in LocalRoom::all(snapshot)? {
        if room.membership(user)? == Some(Membership::Join) {
            ids.push(room.id);
        }
    }
    Ok(ids)
}

/// `GET /_matrix/client/v3/joined_rooms`.
pub(super) fn joined_rooms(endpoint: &Endpoint, call: &Call) -> Answer {
    let user = endpoint.user_of(call.session()?.account)?;
    let ids = joined(&endpoint.store.snapshot()?, &user)?;
    json(&json!({ "joined_rooms": ids }))
}

fn room<'s>(snapshot: &'s Snapshot, call: &Call) -> Result<LocalRoom<'s>, MatrixError> {
    let room = LocalRoom::open(snapshot, call.segment("room"))?;
    room.ok_or_else(|| MatrixError::not_found("there is no such room"))
}

/// `GET /_matrix/client/v3/directory/list/room/{room}`.
pub(super) fn show(endpoint: &Endpoint, call: &Call) -> Answer {
    let snapshot = endpoint.store.snapshot()?;
    let listed = is_listed(&snapshot, room(&snapshot, call)?.row)?;
    json(&json!({ "visibility": if listed { "public" } else { "private" } }))
}

#[derive(Deserialize)]
struct Wanted {
    visibility: Option<String>,
}

/// `PUT /_matrix/client/v3/directory/list/room/{room}`: for who may change the room's state.
pub(super) fn set_listing(endpoint: &Endpoint, call: &Call) -> Answer {
    let wanted: Wanted = call.json()?;
    let listed = match wanted.visibility.as_deref() {
        None | Some("public") => true,
        Some("private") => false,
        Some(_) => {
            return Err(MatrixError::invalid(
                "`visibility` is `public` or `private`",
            ));
        }
    };
    let snapshot = endpoint.store.snapshot()?;
    let room = room(&snapshot, call)?;
    let user = endpoint.user_of(call.session()?.account)?;
    let state = room.state(NOW)?;
    let power = Power::of(&state);
    let needed = power.needed(CANONICAL_ALIAS, true);
    if !state.is_joined(&user) || power.user(&user) < needed {
        return Err(MatrixError::forbidden("you may not list that room"));
    }
    let row = room.row;
    endpoint.write(move |transaction| list(transaction, row, listed))?;
    nothing()
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Question {
    limit: Option<usize>,
    since: Option<String>,
    filter: Option<Sieve>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Sieve {
    generic_search_term: Option<String>,
    room_types: Option<Vec<Option<String>>>,
}

/// A room as it is shown to who is not in it.
pub(super) fn shown(id: &str, state: &State) -> Value {
    let mut shown = json!({
        "room_id": id,
        "num_joined_members": state.joined().count(),
        "world_readable": state.visibility() == "world_readable",
        "guest_can_join": state.text(GUEST_ACCESS, "guest_access") == Some("can_join"),
        "join_rule": state.join_rule(),
    });
    for (key, kind, name) in [
        ("name", NAME, "name"),
        ("topic", TOPIC, "topic"),
        ("avatar_url", AVATAR, "url"),
        ("room_type", CREATE, "type"),
    ] {
        if let Some(text) = state.text(kind, name) {
            set(&mut shown, key, text);
        }
    }
    shown
}

impl Sieve {
    fn admits(&self, state: &State) -> bool {
        let term = self
            .generic_search_term
            .as_deref()
            .unwrap_or_default()
            .to_lowercase();
        let texts = [state.text(NAME, "name"), state.text(TOPIC, "topic")];
        let mut texts = texts.into_iter().flatten();
        let is_called = term.is_empty() || texts.any(|text| text.to_lowercase().contains(&term));
        let kind = state.text(CREATE, "type").map(str::to_owned);
        is_called
            && self
                .room_types
                .as_ref()
                .is_none_or(|types| types.contains(&kind))
    }
}

/// `GET` and `POST /_matrix/client/v3/publicRooms`.
pub(super) fn public_rooms(endpoint: &Endpoint, call: &Call) -> Answer {
    let mut question: Question = call.json()?;
    let server = endpoint.settings.account.server().as_str();
    if call.param("server").is_some_and(|asked| asked != server) {
        return Err(MatrixError::not_found("there are no other servers here"));
    }
    if let Some(limit) = call.number("limit")? {
        question.limit = Some(usize::try_from(limit).unwrap_or(usize::MAX));
    }
    let since = question.since.as_deref().or(call.param("since"));
    let malformed = || MatrixError::invalid("that token is none of this server's");
    let place = |token: &str| {
        token
            .strip_prefix('p')
            .and_then(|number| number.parse::<usize>().ok())
    };
    let from = since
        .map(|token| place(token).ok_or_else(malformed))
        .transpose()?
        .unwrap_or_default();
    let sieve = question.filter.unwrap_or_default();
    let snapshot = endpoint.store.snapshot()?;
    let mut rooms = Vec::new();
    for room in LocalRoom::all(&snapshot)? {
        if !is_listed(&snapshot, room.row)? {
            continue;
        }
        let state = room.state(NOW)?;
        if sieve.admits(&state) {
            rooms.push((state.joined().count(), shown(&room.id, &state)));
        }
    }
    rooms.sort_by_key(|(members, _)| std::cmp::Reverse(*members));
    let total = rooms.len();
    let limit = question
        .limit
        .unwrap_or(ROOMS_AT_ONCE)
        .clamp(1, ROOMS_AT_ONCE);
    let page = rooms
        .into_iter()
        .map(|(_, room)| room)
        .skip(from)
        .take(limit);
    let chunk: Vec<Value> = page.collect();
    let mut answer = json!({ "total_room_count_estimate": total });
    if from + chunk.len() < total {
        set(
            &mut answer,
            "next_batch",
            format!("p{}", from + chunk.len()),
        );
    }
    if from > 0 {
        set(
            &mut answer,
            "prev_batch",
            format!("p{}", from.saturating_sub(limit)),
        );
    }
    set(&mut answer, "chunk", chunk);
    json(&answer)
}

#[derive(Deserialize)]
struct Search {
    search_term: String,
    limit: Option<usize>,
}

/// `POST /_matrix/client/v3/user_directory/search`.
pub(super) fn search_users(endpoint: &Endpoint, call: &Call) -> Answer {
    let search: Search = call.json()?;
    let limit = search
        .limit
        .unwrap_or(DIRECTORY_RESULTS)
        .min(DIRECTORY_RESULTS_MOST);
    let snapshot = endpoint.store.snapshot()?;
    let own = endpoint.user_of(call.session()?.account)?;
    let mut users = BTreeSet::new();
    for room in LocalRoom::all(&snapshot)? {
        let state = room.state(NOW)?;
        let is_open = state.join_rule() == "public" || state.visibility() == "world_readable";
        let is_shared = state.is_joined(&own);
        let shown = state
            .joined()
            .filter(|user| is_open || is_shared && *user != own);
        users.extend(shown.map(str::to_owned));
    }
    let term = search.search_term.trim().to_lowercase();
    let mut results = Vec::new();
    for user in users {
        let Some(account) = endpoint.account_of(&snapshot, &user)? else {
            continue;
        };
        let profile = Profile::of(endpoint, &snapshot, account)?;
        let name = profile
            .displayname
            .as_deref()
            .unwrap_or_default()
            .to_lowercase();
        if !term.is_empty() && (user.to_lowercase().contains(&term) || name.contains(&term)) {
            results.push(json!({
                "user_id": user,
                "display_name": profile.displayname,
                "avatar_url": profile.avatar_url,
            }));
        }
    }
    let limited = results.len() > limit;
    results.truncate(limit);
    json(&json!({ "limited": limited, "results": results }))
}
