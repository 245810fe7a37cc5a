//! The rooms of a space, and of the spaces in it (`GET /rooms/{room}/hierarchy`), in conformance mode.
//!
//! They are walked depth first, each once, a space's children in the order that the space gives them; who asks sees what
//! they are in, are invited to, may enter, or may read. A token of a page says how many rooms came before.
//!
//! Source: `[mx v1.12] GET /_matrix/client/v1/rooms/{roomId}/hierarchy, Ordering of children within a space`.

use std::collections::BTreeSet;

use serde_json::Value;
use serde_json::json;

use crate::base::limits::HIERARCHY_ROOMS;
use crate::deliver::endpoint::Endpoint;
use crate::deliver::endpoint::call::Answer;
use crate::deliver::endpoint::call::Call;
use crate::deliver::endpoint::call::json;
use crate::deliver::endpoint::error::MatrixError;
use crate::deliver::endpoint::local::directory::shown;
use crate::deliver::endpoint::local::event::CREATE;
use crate::deliver::endpoint::local::event::Event;
use crate::deliver::endpoint::local::event::JOIN_RULES;
use crate::deliver::endpoint::local::event::set;
use crate::deliver::endpoint::local::room::LocalRoom;
use crate::deliver::endpoint::local::room::NOW;
use crate::deliver::endpoint::local::state::Membership;
use crate::deliver::endpoint::local::state::State;
use crate::store::Snapshot;
use crate::store::StoreError;

/// The state by which a space has a room.
const CHILD: &str = "m.space.child";

/// The type of a room that has others.
const SPACE: &str = "m.space";

/// Which rooms are wanted.
struct Wanted {
    suggested: bool,
    depth: Option<u64>,
}

impl Wanted {
    /// Begins every token of pages of the same rooms.
    fn prefix(&self) -> String {
        let depth = self
            .depth
            .map_or_else(String::new, |depth| depth.to_string());
        format!("h{}.{depth}.", u8::from(self.suggested))
    }

    /// The children of a room that are wanted, in their order.
    fn children<'s>(&self, state: &'s State, depth: u64) -> Vec<&'s Event> {
        if state.text(CREATE, "type") != Some(SPACE) || self.depth.is_some_and(|most| depth >= most)
        {
            return Vec::new();
        }
        let is_wanted = |event: &&Event| {
            let via = event.content.get("via").and_then(Value::as_array);
            let suggested = event.content.get("suggested") == Some(&Value::Bool(true));
            event.kind == CHILD
                && via.is_some_and(|via| !via.is_empty())
                && (suggested || !self.suggested)
        };
        let mut children: Vec<&Event> = state.iter().filter(is_wanted).collect();
        children.sort_by(|a, b| rank(a).cmp(&rank(b)));
        children
    }
}

/// What a child's place among the others goes by. One without an order comes behind those that have one.
fn rank(child: &Event) -> (bool, Option<&str>, i64, Option<&str>) {
    let is_valid =
        |order: &&str| order.len() <= 50 && order.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    let order = child.text("order").filter(is_valid);
    let time = child.origin_server_ts;
    (order.is_none(), order, time, child.state_key.as_deref())
}

/// `GET /_matrix/client/v1/rooms/{room}/hierarchy`.
pub(super) fn hierarchy(endpoint: &Endpoint, call: &Call) -> Answer {
    let suggested = match call.param("suggested_only") {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => {
            return Err(MatrixError::invalid(
                "`suggested_only` is `true` or `false`",
            ));
        }
    };
    let wanted = Wanted {
        suggested,
        depth: call.number("max_depth")?,
    };
    let most = u64::try_from(HIERARCHY_ROOMS).unwrap_or(u64::MAX);
    let limit = match call.number("limit")?.unwrap_or(most).min(most) {
        0 => return Err(MatrixError::invalid("`limit` is 1 at least")),
        limit => usize::try_from(limit).unwrap_or(HIERARCHY_ROOMS),
    };
    let place = |token: &str| token.strip_prefix(&wanted.prefix())?.parse::<usize>().ok();
    let from = match call.param("from") {
        Some(token) => place(token)
            .ok_or_else(|| MatrixError::invalid("that token is none of such a question"))?,
        None => 0,
    };
    let user = endpoint.user_of(call.session()?.account)?;
    let snapshot = endpoint.store.snapshot()?;
    let (mut rooms, mut seen) = (Vec::new(), BTreeSet::new());
    let mut passed = 0;
    let mut next = vec![(call.segment("room").to_owned(), 0)];
    let mut has_more = false;
    while let Some((id, depth)) = next.pop() {
        if !seen.insert(id.clone()) {
            continue;
        }
        let Some(state) = visible(&snapshot, &id, &user)? else {
            continue;
        };
        if rooms.len() == limit {
            has_more = true;
            break;
        }
        let children = wanted.children(&state, depth);
        let ids = children
            .iter()
            .rev()
            .filter_map(|child| child.state_key.clone());
        next.extend(ids.map(|child| (child, depth + 1)));
        if passed < from {
            passed += 1;
            continue;
        }
        rooms.push(entry(&id, &state, &children));
    }
    if rooms.is_empty() && passed == 0 {
        return Err(MatrixError::forbidden("you may not look into that room"));
    }
    let mut answer = json!({});
    if has_more {
        let behind = from + rooms.len();
        set(
            &mut answer,
            "next_batch",
            format!("{}{behind}", wanted.prefix()),
        );
    }
    set(&mut answer, "rooms", rooms);
    json(&answer)
}

/// A room with the links to its children.
fn entry(id: &str, state: &State, children: &[&Event]) -> Value {
    let link = |child: &&Event| {
        let mut link = child.stripped();
        set(&mut link, "origin_server_ts", child.origin_server_ts);
        link
    };
    let links: Vec<Value> = children.iter().map(link).collect();
    let mut entry = shown(id, state);
    set(&mut entry, "children_state", links);
    entry
}

/// The state of a room, if there is one and a user may see what it is.
fn visible(snapshot: &Snapshot, id: &str, user: &str) -> Result<Option<State>, StoreError> {
    let Some(room) = LocalRoom::open(snapshot, id)? else {
        return Ok(None);
    };
    let state = room.state(NOW)?;
    let is_visible = match (state.membership(user), state.join_rule()) {
        (Some(Membership::Join | Membership::Invite), _)
        | (_, "public" | "knock" | "knock_restricted") => true,
        (_, "restricted") => is_allowed(snapshot, &state, user)?,
        _ => false,
    };
    Ok((is_visible || state.visibility() == "world_readable").then_some(state))
}

/// Whether a user is in a room whose members may enter another.
fn is_allowed(snapshot: &Snapshot, state: &State, user: &str) -> Result<bool, StoreError> {
    let rule = state.get(JOIN_RULES, "");
    let allowed = rule.and_then(|rule| rule.content.get("allow")?.as_array());
    for room in allowed.into_iter().flatten() {
        if let Some(id) = room.get("room_id").and_then(Value::as_str)
            && let Some(room) = LocalRoom::open(snapshot, id)?
            && room.membership(user)? == Some(Membership::Join)
        {
            return Ok(true);
        }
    }
    Ok(false)
}
