//! Reading a room: its timeline page by page, single events, what stands around one, what belongs to one, by date, and
//! its state.
//!
//! | request | |
//! |---|---|
//! | `GET /rooms/{room}/messages` | a page of the timeline, either way |
//! | `GET /rooms/{room}/context/{event}` | an event and its neighbours |
//! | `GET /rooms/{room}/event/{event}` | |
//! | `GET /v1/rooms/{room}/relations/{event}[/{rel_type}[/{type}]]` | edits and reactions of an event |
//! | `GET /v1/rooms/{room}/timestamp_to_event` | the event nearest to a time |
//! | `GET /rooms/{room}/state[/{type}[/{key}]]` | present state |
//! | `GET /rooms/{room}/members`, `/joined_members` | |
//!
//! All of it in the order of time (D5), never of arrival. A filtered page may be short: it stops after so many events
//! looked at and gives a token to go on from. Only an empty page at the end of a room has no token behind it: Nheko throws
//! a page without one away, and what is on it, because Synapse has none but empty ones.
//!
//! Source: `[mx v1.12] Getting events for a room`; `facts` of the endpoint, 8.

use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::base::limits::PAGE_EVENTS;
use crate::base::limits::PAGE_LOOKED_AT;
use crate::base::time::AppleTime;
use crate::deliver::endpoint::Endpoint;
use crate::deliver::endpoint::call::Answer;
use crate::deliver::endpoint::call::Call;
use crate::deliver::endpoint::call::json;
use crate::deliver::endpoint::error::Code;
use crate::deliver::endpoint::error::MatrixError;
use crate::deliver::endpoint::filters::EventFilter;
use crate::deliver::endpoint::route::Route;
use crate::deliver::endpoint::route::V1;
use crate::deliver::endpoint::token::Between;
use crate::deliver::endpoint::token::Token;
use crate::deliver::endpoint::view::Placed;
use crate::deliver::endpoint::view::View;
use crate::deliver::endpoint::view::first_place_at;
use crate::matrix::event::Event;
use crate::matrix::ids::UserId;
use crate::matrix::json::ClientEvent;
use crate::matrix::json::Form;
use crate::matrix::state::MEMBER;
use crate::net::Method;
use crate::store::Direction;
use crate::store::account::Account;

/// Events of a page when a client does not say.
const USUAL_EVENTS: u64 = 10;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(Method::GET, "/rooms/{room}/messages", messages),
        Route::new(Method::GET, "/rooms/{room}/context/{event}", context),
        Route::new(Method::GET, "/rooms/{room}/event/{event}", event),
        Route::new(Method::GET, "/rooms/{room}/relations/{event}", relations).under(V1),
        Route::new(
            Method::GET,
            "/rooms/{room}/relations/{event}/{rel_type}",
            relations,
        )
        .under(V1),
        Route::new(
            Method::GET,
            "/rooms/{room}/relations/{event}/{rel_type}/{type}",
            relations,
        )
        .under(V1),
        Route::new(Method::GET, "/rooms/{room}/timestamp_to_event", at_time).under(V1),
        Route::new(Method::GET, "/rooms/{room}/state", state),
        Route::new(Method::GET, "/rooms/{room}/state/{type}", state_of),
        Route::new(Method::GET, "/rooms/{room}/state/{type}/", state_of),
        Route::new(Method::GET, "/rooms/{room}/state/{type}/{key}", state_of),
        Route::new(Method::GET, "/rooms/{room}/members", members),
        Route::new(Method::GET, "/rooms/{room}/joined_members", joined_members),
    ]
}

impl View<'_> {
    /// An event as a client gets it, its newest edit in it.
    pub(super) fn client_json(&self, placed: &Placed, form: Form, now: i64) -> Box<RawValue> {
        let event = ClientEvent::new(&placed.event, &self.room.id, form);
        raw(&event.aged(now).replaced_by(placed.edit.as_ref()))
    }

    /// A piece of state as a client gets it.
    pub(super) fn state_json(&self, event: &Event, form: Form, now: i64) -> Box<RawValue> {
        raw(&ClientEvent::new(event, &self.room.id, form).aged(now))
    }

    /// The member events of who wrote these events or is their subject, each once.
    pub(super) fn members_of<'e>(
        &self,
        state: &[Event],
        events: impl Iterator<Item = &'e Event>,
    ) -> Vec<Event> {
        let mut users: Vec<UserId> = Vec::new();
        for event in events {
            if !users.contains(&event.sender) {
                users.push(event.sender.clone());
            }
        }
        users.iter().map(|user| self.member(state, user)).collect()
    }
}

/// Serialised.
fn raw(event: &ClientEvent<'_>) -> Box<RawValue> {
    RawValue::from_string(event.to_json()).unwrap_or_else(|_never| RawValue::NULL.to_owned())
}

/// Which way `dir` says; old clients leave it out and mean backward (D17).
pub(super) fn direction(call: &Call) -> Result<Direction, MatrixError> {
    match call.param("dir") {
        None | Some("b") => Ok(Direction::Backward),
        Some("f") => Ok(Direction::Forward),
        Some(_) => Err(MatrixError::invalid("`dir` is `b` or `f`")),
    }
}

/// How many events are wanted.
pub(super) fn limit(call: &Call) -> Result<usize, MatrixError> {
    let limit = call.number("limit")?.unwrap_or(USUAL_EVENTS);
    Ok(usize::try_from(limit)
        .unwrap_or(usize::MAX)
        .clamp(1, PAGE_EVENTS))
}

impl Endpoint {
    /// Runs a question about the room of a request.
    pub(super) fn in_room(
        &self,
        call: &Call,
        ask: impl FnOnce(&View<'_>, i64) -> Answer,
    ) -> Answer {
        let (snapshot, present) = self.now()?;
        let room = present
            .rooms
            .by_id(call.segment("room"))
            // The archive is the owner's alone.
            .filter(|_| {
                call.session()
                    .is_ok_and(|session| session.account == Account::OWNER)
            })
            .ok_or_else(|| MatrixError::forbidden("you are not in that room"))?;
        let view = self.view(&snapshot, &present, room)?;
        ask(&view, self.clock.now().unix_millis())
    }
}

impl View<'_> {
    /// The place that a token of a client means, walking in a direction; `None` for the end that lies behind.
    fn place_of_token(
        &self,
        token: &str,
        direction: Direction,
    ) -> Result<Option<Between>, MatrixError> {
        match Token::parse(token) {
            Some(Token::Between(between)) => Ok(Some(between)),
            // Where a sync ended: the newest of what it knew. Walking back, the end is near enough: what came since is
            // new to the client in any case. Walking on, there is nothing but what came since.
            Some(Token::Position(position)) => {
                if direction == Direction::Backward {
                    return Ok(None);
                }
                let mut newest = None;
                for placed in self.walk(None, Direction::Backward)? {
                    let placed = placed?;
                    if placed.since <= position.change {
                        newest = Some(placed.behind());
                        break;
                    }
                }
                Ok(newest)
            }
            None => Err(MatrixError::invalid("that token is none of this server's")),
        }
    }

    /// The event with an id.
    pub(super) fn event(&self, id: &str) -> Result<Placed, MatrixError> {
        let missing = || MatrixError::not_found("there is no such event in this room");
        let key = self.room.id.event_key(id).ok_or_else(missing)?;
        self.find(key)?.ok_or_else(missing)
    }
}

#[derive(Serialize)]
struct Page {
    chunk: Vec<Box<RawValue>>,
    start: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    state: Vec<Box<RawValue>>,
}

/// `GET /_matrix/client/v3/rooms/{room}/messages`.
fn messages(endpoint: &Endpoint, call: &Call) -> Answer {
    let direction = direction(call)?;
    let limit = limit(call)?;
    let filter = EventFilter::of_query(call)?;
    endpoint.in_room(call, |view, now| {
        let from = call
            .param("from")
            .map(|token| view.place_of_token(token, direction));
        let from = from.transpose()?.flatten();
        let to = call.param("to").and_then(Between::parse);
        let mut page: Vec<Placed> = Vec::new();
        let (mut end, mut last) = (None, None);
        let mut start = from;
        for (looked_at, placed) in view.walk(from, direction)?.enumerate() {
            let placed = placed?;
            let (near, far) = match direction {
                Direction::Forward => (placed.at, placed.behind()),
                Direction::Backward => (placed.behind(), placed.at),
            };
            start.get_or_insert(near);
            let is_over = to.is_some_and(|to| match direction {
                Direction::Forward => near >= to,
                Direction::Backward => near <= to,
            });
            if is_over || page.len() == limit || looked_at == PAGE_LOOKED_AT {
                end = Some(near);
                break;
            }
            last = Some(far);
            if filter.admits(&placed.event) {
                page.push(placed);
            }
        }
        let end = end.or(last.filter(|_| !page.is_empty()));
        let state = if filter.lazy_load_members {
            let state = view.state()?;
            let members = view.members_of(&state, page.iter().map(|placed| &placed.event));
            members
                .iter()
                .map(|event| view.state_json(event, Form::Alone, now))
                .collect()
        } else {
            Vec::new()
        };
        let token = |between: Between| between.to_string();
        json(&Page {
            chunk: page
                .iter()
                .map(|placed| view.client_json(placed, Form::Alone, now))
                .collect(),
            start: start.map_or_else(|| call.param("from").unwrap_or_default().to_owned(), token),
            end: end.map(token),
            state,
        })
    })
}

/// `GET /_matrix/client/v3/rooms/{room}/event/{event}`.
fn event(endpoint: &Endpoint, call: &Call) -> Answer {
    endpoint.in_room(call, |view, now| {
        let placed = view.event(call.segment("event"))?;
        json(&view.client_json(&placed, Form::Alone, now))
    })
}

/// `GET /_matrix/client/v3/rooms/{room}/context/{event}`.
fn context(endpoint: &Endpoint, call: &Call) -> Answer {
    let limit = limit(call)?;
    let filter = EventFilter::of_query(call)?;
    endpoint.in_room(call, |view, now| {
        let around = view.context(call.segment("event"), limit / 2, limit - limit / 2, &filter)?;
        let state = view.state()?;
        let all = around
            .before
            .iter()
            .chain(&around.after)
            .chain([&around.event]);
        let state = if filter.lazy_load_members {
            let mut shown: Vec<Event> = state
                .iter()
                .filter(|event| event.event_type != MEMBER)
                .cloned()
                .collect();
            shown.extend(view.members_of(&state, all.map(|placed| &placed.event)));
            shown
        } else {
            state
        };
        let list = |placed: &[Placed]| -> Vec<Box<RawValue>> {
            placed
                .iter()
                .map(|placed| view.client_json(placed, Form::Alone, now))
                .collect()
        };
        // By its `user_id` Hydrogen finds who wrote what a message answers; without it, it shows no answered message.
        let shown = |event| {
            raw(&ClientEvent::new(event, &view.room.id, Form::Alone)
                .aged(now)
                .with_user_id())
        };
        json(&json!({
            "start": around.start.to_string(),
            "end": around.end.to_string(),
            "event": view.client_json(&around.event, Form::Alone, now),
            "events_before": list(&around.before),
            "events_after": list(&around.after),
            "state": state.iter().map(shown).collect::<Vec<_>>(),
        }))
    })
}

/// An event and its neighbours.
pub(super) struct Around {
    pub(super) event: Placed,
    /// Newest first.
    pub(super) before: Vec<Placed>,
    /// Oldest first.
    pub(super) after: Vec<Placed>,
    /// Where paging back goes on.
    pub(super) start: Between,
    /// Where paging on goes on.
    pub(super) end: Between,
}

impl View<'_> {
    /// An event and so many of its neighbours that a filter admits.
    pub(super) fn context(
        &self,
        id: &str,
        before: usize,
        after: usize,
        filter: &EventFilter,
    ) -> Result<Around, MatrixError> {
        let event = self.event(id)?;
        let side =
            |from: Between, direction, wanted| -> Result<(Vec<Placed>, Between), MatrixError> {
                let (mut found, mut end) = (Vec::new(), from);
                for placed in self.walk(Some(from), direction)?.take(PAGE_LOOKED_AT) {
                    let placed = placed?;
                    if found.len() == wanted {
                        break;
                    }
                    end = match direction {
                        Direction::Forward => placed.behind(),
                        Direction::Backward => placed.at,
                    };
                    if filter.admits(&placed.event) {
                        found.push(placed);
                    }
                }
                Ok((found, end))
            };
        let (before, start) = side(event.at, Direction::Backward, before)?;
        let (after, end) = side(event.behind(), Direction::Forward, after)?;
        Ok(Around {
            event,
            before,
            after,
            start,
            end,
        })
    }
}

/// `GET /_matrix/client/v1/rooms/{room}/relations/{event}[/{rel_type}[/{type}]]`.
fn relations(endpoint: &Endpoint, call: &Call) -> Answer {
    let direction = direction(call)?;
    let limit = limit(call)?;
    let (rel_type, event_type) = (call.captures.get("rel_type"), call.captures.get("type"));
    endpoint.in_room(call, |view, now| {
        let parent = view.event(call.segment("event"))?.event;
        let mut children = view.children(&parent)?;
        children.retain(|placed| {
            let relation = placed
                .event
                .relation
                .and_then(|relation| relation.kind.rel_type());
            relation.is_some()
                && rel_type.is_none_or(|wanted| relation == Some(wanted))
                && event_type.is_none_or(|wanted| placed.event.event_type == wanted)
        });
        if direction == Direction::Backward {
            children.reverse();
        }
        let is_behind =
            |placed: &Placed| match (call.param("from").and_then(Between::parse), direction) {
                (None, _) => true,
                (Some(from), Direction::Forward) => placed.at >= from,
                (Some(from), Direction::Backward) => placed.at < from,
            };
        children.retain(is_behind);
        let rest = children.split_off(children.len().min(limit));
        let next = rest.first().map(|placed| match direction {
            Direction::Forward => placed.at,
            Direction::Backward => placed.behind(),
        });
        let chunk: Vec<_> = children
            .iter()
            .map(|placed| view.client_json(placed, Form::Alone, now))
            .collect();
        let mut answer = json!({ "chunk": chunk });
        if let (Some(next), Some(answer)) = (next, answer.as_object_mut()) {
            answer.insert("next_batch".to_owned(), next.to_string().into());
        }
        json(&answer)
    })
}

/// The time that is asked for, milliseconds since 1970, and on which side of it the event is to be.
pub(super) fn time(call: &Call) -> Result<(i64, Direction), MatrixError> {
    let missing = || MatrixError::new(Code::MissingParam, "`ts` is missing");
    let millis = call.number("ts")?.ok_or_else(missing)?;
    let direction = match call.param("dir") {
        None => Direction::Forward,
        Some(_) => direction(call)?,
    };
    Ok((i64::try_from(millis).unwrap_or(i64::MAX), direction))
}

/// `GET /_matrix/client/v1/rooms/{room}/timestamp_to_event`: the nearest that stands alone. Element goes to what is
/// answered, and cannot go to a reaction.
fn at_time(endpoint: &Endpoint, call: &Call) -> Answer {
    let (millis, direction) = time(call)?;
    endpoint.in_room(call, |view, _now| {
        let at = AppleTime::from_unix_millis(millis);
        let from = match direction {
            Direction::Forward => first_place_at(at),
            // Everything of that millisecond counts.
            Direction::Backward => {
                first_place_at(AppleTime::from_unix_millis(millis.saturating_add(1)))
            }
        };
        for placed in view.walk(Some(from), direction)? {
            let placed = placed?;
            let is_right = match direction {
                Direction::Forward => placed.event.origin_server_ts >= millis,
                Direction::Backward => placed.event.origin_server_ts <= millis,
            };
            if is_right && placed.event.key.kind.stands_alone() {
                return json(&json!({
                    "event_id": view.room.id.event_id(&placed.event.key),
                    "origin_server_ts": placed.event.origin_server_ts,
                }));
            }
        }
        Err(MatrixError::not_found(
            "there is no event on that side of that time",
        ))
    })
}

/// `GET /_matrix/client/v3/rooms/{room}/state`.
fn state(endpoint: &Endpoint, call: &Call) -> Answer {
    endpoint.in_room(call, |view, now| {
        let state = view.state()?;
        json(
            &state
                .iter()
                .map(|event| view.state_json(event, Form::Alone, now))
                .collect::<Vec<_>>(),
        )
    })
}

/// `GET /_matrix/client/v3/rooms/{room}/state/{type}[/{key}]`.
fn state_of(endpoint: &Endpoint, call: &Call) -> Answer {
    let (event_type, key) = (call.segment("type"), call.segment("key"));
    endpoint.in_room(call, |view, now| {
        let state = view.state()?;
        let is_it = |event: &&Event| {
            event.event_type == event_type && event.state_key.as_deref() == Some(key)
        };
        let event = state.iter().find(is_it);
        let event =
            event.ok_or_else(|| MatrixError::not_found("there is no such state in this room"))?;
        if call.param("format") == Some("event") {
            return json(&view.state_json(event, Form::Alone, now));
        }
        json(&event.content)
    })
}

/// `GET /_matrix/client/v3/rooms/{room}/members`.
fn members(endpoint: &Endpoint, call: &Call) -> Answer {
    let (wanted, unwanted) = (call.param("membership"), call.param("not_membership"));
    endpoint.in_room(call, |view, now| {
        let state = view.state()?;
        let is_wanted = |event: &&Event| {
            let membership = event.content.get("membership").and_then(|value| value.as_str());
            event.event_type == MEMBER
                && wanted.is_none_or(|wanted| membership == Some(wanted))
                && unwanted.is_none_or(|unwanted| membership != Some(unwanted))
        };
        let members = state.iter().filter(is_wanted);
        json(&json!({
            "chunk": members.map(|event| view.state_json(event, Form::Alone, now)).collect::<Vec<_>>(),
        }))
    })
}

/// `GET /_matrix/client/v3/rooms/{room}/joined_members`.
fn joined_members(endpoint: &Endpoint, call: &Call) -> Answer {
    endpoint.in_room(call, |view, _now| {
        let mut joined = serde_json::Map::new();
        for event in view.state()? {
            let is_in = event
                .content
                .get("membership")
                .and_then(|value| value.as_str())
                == Some("join");
            if let (MEMBER, Some(user), true) = (event.event_type, event.state_key, is_in) {
                joined.insert(
                    user,
                    json!({
                        "display_name": event.content.get("displayname"),
                        "avatar_url": event.content.get("avatar_url"),
                    }),
                );
            }
        }
        json(&json!({ "joined": joined }))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use serde_json::json;

    use super::MEMBER;
    use crate::deliver::endpoint::testing::ADA;
    use crate::deliver::endpoint::testing::ANN;
    use crate::deliver::endpoint::testing::World;
    use crate::deliver::endpoint::testing::at;
    use crate::deliver::endpoint::testing::into;
    use crate::deliver::endpoint::testing::loved;
    use crate::deliver::endpoint::testing::said;
    use crate::store::Page;

    #[tokio::test]
    async fn only_an_empty_page_has_no_token_behind_it() {
        let world = World::new();

        for dir in ["b", "f"] {
            let path = format!("/rooms/{}/messages?limit=100&dir={dir}", world.room(ANN));
            let whole = world.get(&path).await.ok();
            let end = whole["end"].as_str().unwrap();
            let empty = world.get(&format!("{path}&from={end}")).await.ok();

            assert!(whole["chunk"].as_array().unwrap().len() > 3, "{dir}");
            assert_eq!(empty["chunk"], json!([]), "{dir}");
            assert_eq!(empty.get("end"), None, "{dir}");
        }
    }

    #[tokio::test]
    async fn the_state_around_an_event_names_its_senders_as_hydrogen_looks_for_them() {
        let world = World::new();
        let room = world.room(ANN);
        let page = world
            .get(&format!("/rooms/{room}/messages?dir=b"))
            .await
            .ok();
        let event = &page["chunk"][0];

        let path = format!(
            "/rooms/{room}/context/{}",
            event["event_id"].as_str().unwrap()
        );
        let around = world.get(&format!("{path}?limit=0")).await.ok();

        assert_eq!(around["event"]["event_id"], event["event_id"]);
        assert_eq!(around["event"].get("user_id"), None);
        let state = around["state"].as_array().unwrap();
        let is_sender = |member: &&Value| {
            member["type"] == MEMBER && member["user_id"] == around["event"]["sender"]
        };
        let member = state.iter().find(is_sender).unwrap();
        assert_eq!(member["state_key"], event["sender"]);
    }

    #[tokio::test]
    async fn a_time_leads_to_a_message_and_not_to_a_tapback() {
        let world = World::new();
        world.add(Page {
            messages: vec![said(ANN, 20, None, "x"), into(ANN, loved(21, 20))],
            ..Page::default()
        });
        let path = format!(
            "/_matrix/client/v1/rooms/{}/timestamp_to_event",
            world.room(ANN)
        );
        let ask = async |dir| {
            let ts = at(21).unix_millis();
            world.get(&format!("{path}?ts={ts}&dir={dir}")).await
        };

        let before = ask("b").await.ok();
        let after = ask("f").await;

        assert_eq!(before["origin_server_ts"], at(20).unix_millis());
        assert_eq!(after.refusal(), (404, "M_NOT_FOUND"));
    }

    #[tokio::test]
    async fn an_owner_whom_no_address_book_names_is_called_as_they_log_in() {
        let world = World::new();

        let path = format!("/rooms/{}/state/m.room.member/{ADA}", world.room(ANN));
        let member = world.get(&path).await.ok();

        let profile = world.get(&format!("/profile/{ADA}")).await.ok();
        assert_eq!(member["displayname"], "ada");
        assert_eq!(member["displayname"], profile["displayname"]);
    }
}
