//! Filters: which events a client wants. Kept by number, or written into the request.
//!
//! | request | |
//! |---|---|
//! | `POST /user/{user}/filter` | a number for a filter; an equal one has the same |
//! | `GET /user/{user}/filter/{filter}` | the filter |
//!
//! What is honored: everything of a room's and an event's filter in the specification but, in rooms of the archive,
//! `related_by_...` and `unread_thread_notifications`. What a filter does not say is not filtered; what is not known here
//! is kept and has no effect. So are `event_fields`, as a server may send more members than were asked for, and
//! `event_format`, as there is no other server whose form events could have.
//!
//! Source: `[mx v1.12] Filtering`; `facts` of the endpoint, 6 and 8.

use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::base::limits::LARGE_BODY_BYTES;
use crate::deliver::endpoint::Endpoint;
use crate::deliver::endpoint::call::Answer;
use crate::deliver::endpoint::call::Call;
use crate::deliver::endpoint::call::bad_json;
use crate::deliver::endpoint::call::json;
use crate::deliver::endpoint::call::or_default;
use crate::deliver::endpoint::error::Code;
use crate::deliver::endpoint::error::MatrixError;
use crate::deliver::endpoint::route::Route;
use crate::matrix::event::Content;
use crate::matrix::event::Event;
use crate::net::Method;
use crate::net::Response;
use crate::net::StatusCode;
use crate::store::Snapshot;
use crate::store::account::Account;
use crate::store::value::Opaque;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(Method::POST, "/user/{user}/filter", keep).with_body(LARGE_BODY_BYTES),
        Route::new(Method::GET, "/user/{user}/filter/{filter}", show),
    ]
}

/// Which events a client wants of `/sync`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Filter {
    /// Members of events that must be sent: all are.
    pub(super) event_fields: Option<Vec<String>>,
    /// In which form events are sent.
    #[serde(deserialize_with = "or_default")]
    pub(super) event_format: EventFormat,
    /// Presence. None is ever sent.
    #[serde(deserialize_with = "or_default")]
    pub(super) presence: EventFilter,
    /// Account data of the account as a whole.
    #[serde(deserialize_with = "or_default")]
    pub(super) account_data: EventFilter,
    /// Rooms.
    #[serde(deserialize_with = "or_default")]
    pub(super) room: RoomFilter,
}

/// The form of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum EventFormat {
    /// For clients.
    #[default]
    Client,
    /// As servers exchange it. There are no other servers: served as for clients.
    Federation,
}

/// Which rooms a client wants, and what of them.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct RoomFilter {
    /// The only rooms; `None` for all.
    pub(super) rooms: Option<Vec<String>>,
    /// Not these.
    pub(super) not_rooms: Option<Vec<String>>,
    /// Whether rooms that were left are sent.
    #[serde(deserialize_with = "or_default")]
    pub(super) include_leave: bool,
    /// Of the timeline.
    #[serde(deserialize_with = "or_default")]
    pub(super) timeline: EventFilter,
    /// Of the state.
    #[serde(deserialize_with = "or_default")]
    pub(super) state: EventFilter,
    /// Of receipts and typing notices.
    #[serde(deserialize_with = "or_default")]
    pub(super) ephemeral: EventFilter,
    /// Of account data about the room.
    #[serde(deserialize_with = "or_default")]
    pub(super) account_data: EventFilter,
}

/// Which events a client wants of a list. `/messages`, `/context` and `/search` take one alone.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the form is the specification's"
)]
pub(super) struct EventFilter {
    /// How many at most.
    pub(super) limit: Option<u64>,
    /// The only types, in which `*` stands for anything; `None` for all.
    pub(super) types: Option<Vec<String>>,
    /// Not these types.
    pub(super) not_types: Option<Vec<String>>,
    /// The only senders; `None` for all.
    pub(super) senders: Option<Vec<String>>,
    /// Not these senders.
    pub(super) not_senders: Option<Vec<String>>,
    /// The only rooms; `None` for all.
    pub(super) rooms: Option<Vec<String>>,
    /// Not these rooms.
    pub(super) not_rooms: Option<Vec<String>>,
    /// Whether `content.url` must be there, or must not; `None` for either.
    pub(super) contains_url: Option<bool>,
    /// Whose answers an event must have, or other things that belong to it; `None` for none. In local rooms only.
    pub(super) related_by_senders: Option<Vec<String>>,
    /// As what they must belong to it.
    pub(super) related_by_rel_types: Option<Vec<String>>,
    /// Whether members are sent only where they are needed.
    #[serde(deserialize_with = "or_default")]
    pub(super) lazy_load_members: bool,
    /// Whether they are then sent although the client has them.
    #[serde(deserialize_with = "or_default")]
    pub(super) include_redundant_members: bool,
    /// Whether what was not read is counted for each thread.
    #[serde(deserialize_with = "or_default")]
    pub(super) unread_thread_notifications: bool,
}

/// Whether a list of the only ones and a list of those not wanted let something through. What is in both is not wanted.
fn lets(
    only: Option<&Vec<String>>,
    not: Option<&Vec<String>>,
    is: impl Fn(&String) -> bool,
) -> bool {
    only.is_none_or(|only| only.iter().any(&is)) && !not.is_some_and(|not| not.iter().any(&is))
}

/// Whether a type is one that a filter names, in which `*` stands for anything.
fn is_named(pattern: &str, kind: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == kind;
    };
    let Some(mut left) = kind.strip_prefix(start) else {
        return false;
    };
    let mut pieces: Vec<&str> = rest.split('*').collect();
    let end = pieces.pop().unwrap_or_default();
    for piece in pieces {
        match left.split_once(piece) {
            Some((_, behind)) => left = behind,
            None => return false,
        }
    }
    left.ends_with(end)
}

impl EventFilter {
    /// A filter that stands alone, as `/messages` and `/context` take it in their `filter`; none lets everything through.
    ///
    /// # Errors
    ///
    /// 400 when it is no filter.
    pub(super) fn of_query(call: &Call) -> Result<Self, MatrixError> {
        let Some(text) = call.param("filter") else {
            return Ok(Self::default());
        };
        let filter: Self = serde_json::from_str(text).map_err(|error| bad_json(&error))?;
        filter.check()?;
        Ok(filter)
    }

    /// Whether an event is wanted, by everything but its room.
    pub(super) fn admits(&self, event: &Event) -> bool {
        self.matches(event.event_type, event.sender.as_str(), &event.content)
    }

    /// Whether an event is wanted, by everything but its room.
    pub(super) fn matches(&self, kind: &str, sender: &str, content: &Content) -> bool {
        self.has_type(kind)
            && lets(self.senders.as_ref(), self.not_senders.as_ref(), |named| {
                named == sender
            })
            && self.contains_url.is_none_or(|wanted| {
                let has_url = content.get("url").is_some_and(Value::is_string);
                has_url == wanted
            })
    }

    /// Whether events of a type are wanted: all that can be said of account data.
    pub(super) fn has_type(&self, kind: &str) -> bool {
        lets(self.types.as_ref(), self.not_types.as_ref(), |pattern| {
            is_named(pattern, kind)
        })
    }

    /// Whether events of a room are wanted.
    pub(super) fn has_room(&self, room: &str) -> bool {
        lets(self.rooms.as_ref(), self.not_rooms.as_ref(), |named| {
            named == room
        })
    }

    /// Rooms and senders are ids.
    fn check(&self) -> Result<(), MatrixError> {
        check_ids([&self.rooms, &self.not_rooms], '!')?;
        check_ids([&self.senders, &self.not_senders], '@')?;
        check_ids([&self.related_by_senders], '@')
    }
}

fn check_ids<const N: usize>(
    lists: [&Option<Vec<String>>; N],
    sigil: char,
) -> Result<(), MatrixError> {
    let mut ids = lists.into_iter().flatten().flatten();
    if ids.all(|id| id.starts_with(sigil)) {
        return Ok(());
    }
    let text = "a filter names rooms and senders by their ids";
    Err(MatrixError::new(Code::BadJson, text))
}

impl RoomFilter {
    /// Whether a room is wanted.
    pub(super) fn has_room(&self, room: &str) -> bool {
        lets(self.rooms.as_ref(), self.not_rooms.as_ref(), |named| {
            named == room
        })
    }

    /// Whether members are sent only where they are needed: clients say so in either place.
    pub(super) fn is_lazy(&self) -> bool {
        self.state.lazy_load_members || self.timeline.lazy_load_members
    }

    /// Whether members are then sent although the client has them.
    pub(super) fn is_redundant(&self) -> bool {
        self.state.include_redundant_members || self.timeline.include_redundant_members
    }
}

impl Filter {
    /// From JSON.
    ///
    /// # Errors
    ///
    /// 400 when it is no filter.
    fn parse(body: &[u8]) -> Result<Self, MatrixError> {
        let filter: Self = serde_json::from_slice(body).map_err(|error| bad_json(&error))?;
        check_ids([&filter.room.rooms, &filter.room.not_rooms], '!')?;
        for events in [
            &filter.presence,
            &filter.account_data,
            &filter.room.timeline,
            &filter.room.state,
            &filter.room.ephemeral,
            &filter.room.account_data,
        ] {
            events.check()?;
        }
        Ok(filter)
    }

    /// The filter that a request's parameter stands for: JSON, or the number of one that is kept. No parameter and an
    /// unknown number are no filter.
    ///
    /// # Errors
    ///
    /// 400 when JSON is no filter.
    pub(super) fn of(
        snapshot: &Snapshot,
        account: Account,
        param: Option<&str>,
    ) -> Result<Self, MatrixError> {
        let Some(param) = param else {
            return Ok(Self::default());
        };
        if param.starts_with('{') {
            return Self::parse(param.as_bytes());
        }
        let Ok(number) = param.parse() else {
            return Ok(Self::default());
        };
        match snapshot.filter(account, number)? {
            Some(kept) => Self::parse(&kept.body.0),
            None => Ok(Self::default()),
        }
    }
}

/// `POST /_matrix/client/v3/user/{user}/filter`.
fn keep(endpoint: &Endpoint, call: &Call) -> Answer {
    let account = endpoint.own(call)?;
    // Equal ones are to be one, however they are written.
    let written: Value = call.json()?;
    if !written.is_object() {
        return Err(MatrixError::new(Code::BadJson, "a filter is an object"));
    }
    let body = written.to_string().into_bytes();
    Filter::parse(&body)?;
    let number =
        endpoint.write(move |transaction| transaction.put_filter(account, Opaque(body)))?;
    json(&json!({ "filter_id": number.to_string() }))
}

/// `GET /_matrix/client/v3/user/{user}/filter/{filter}`. Clients make the filter anew after `M_NOT_FOUND` only.
fn show(endpoint: &Endpoint, call: &Call) -> Answer {
    let account = endpoint.own(call)?;
    let unknown = || MatrixError::not_found("there is no such filter");
    let number = call.segment("filter").parse().map_err(|_error| unknown())?;
    let kept = endpoint.store.snapshot()?.filter(account, number)?;
    let kept = kept.ok_or_else(unknown)?;
    Ok(Response::json(StatusCode::OK, kept.body.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deliver::endpoint::testing::ADA;
    use crate::deliver::endpoint::testing::World;

    fn path() -> String {
        format!("/user/{ADA}/filter")
    }

    fn events(filter: &Value) -> EventFilter {
        serde_json::from_value(filter.clone()).unwrap()
    }

    fn content(content: &Value) -> Content {
        content.as_object().unwrap().clone()
    }

    #[tokio::test]
    async fn an_equal_filter_has_the_same_number() {
        let world = World::new();
        let filter = json!({"room": {"timeline": {"limit": 20}, "z": 1}, "unknown": [1.5]});

        let first = world.post(&path(), filter.clone()).await.ok();
        let other = world.post(&path(), json!({})).await.ok();
        let again = world.post(&path(), filter.clone()).await.ok();

        assert_eq!(first, again);
        assert_ne!(first, other);
        let number = first["filter_id"].as_str().unwrap();
        assert_eq!(
            world.get(&format!("{}/{number}", path())).await.ok(),
            filter
        );
    }

    #[tokio::test]
    async fn an_unknown_filter_is_not_found() {
        let world = World::new();

        for number in ["7", "x"] {
            let reply = world.get(&format!("{}/{number}", path())).await;
            assert_eq!(reply.refusal(), (404, "M_NOT_FOUND"), "{number}");
        }
        let others = world.get("/user/@eve:example.org/filter/1").await;
        assert_eq!(others.refusal(), (403, "M_FORBIDDEN"));
    }

    #[tokio::test]
    async fn what_is_no_filter_is_refused() {
        let world = World::new();

        for filter in [
            json!([]),
            json!({"presence": "x"}),
            json!({"room": {"timeline": "x"}}),
            json!({"room": {"state": {"types": "x"}}}),
            json!({"room": {"timeline": {"types": [1]}}}),
            json!({"room": {"timeline": {"rooms": ["x"]}}}),
            json!({"room": {"timeline": {"senders": ["x"]}}}),
            json!({"room": {"rooms": ["x"]}}),
        ] {
            let reply = world.post(&path(), filter.clone()).await;
            assert_eq!(reply.refusal(), (400, "M_BAD_JSON"), "{filter}");
        }
    }

    #[tokio::test]
    async fn a_parameter_is_json_or_a_number() {
        let world = World::new();
        let json =
            json!({"room": {"timeline": {"limit": 7}, "state": {"lazy_load_members": true}}});
        let kept = world.post(&path(), json.clone()).await.ok();
        let snapshot = world.store.snapshot().unwrap();
        let of = |param: Option<&str>| Filter::of(&snapshot, Account::OWNER, param);

        let written = of(Some(&json.to_string())).unwrap();

        assert_eq!(written.room.timeline.limit, Some(7));
        assert!(written.room.is_lazy());
        assert_eq!(of(kept["filter_id"].as_str()).unwrap(), written);
        for none in [None, Some("99"), Some("x")] {
            assert_eq!(of(none).unwrap(), Filter::default());
        }
        assert_eq!(
            of(Some("{")).err().map(|error| error.code()),
            Some(Code::NotJson)
        );
    }

    #[test]
    fn null_and_nothing_say_the_same() {
        let nulls = br#"{"event_format": null, "room": {"timeline": null, "include_leave": null}}"#;

        assert_eq!(Filter::parse(nulls).unwrap(), Filter::default());
        assert!(
            Filter::default()
                .room
                .timeline
                .matches("m.room.message", ADA, &Content::new())
        );
    }

    #[test]
    fn types_have_wildcards() {
        for (pattern, kind, fits) in [
            ("m.room.message", "m.room.message", true),
            ("m.room.message", "m.room.message.x", false),
            ("m.room.*", "m.room.message", true),
            ("m.room.*", "m.reaction", false),
            ("*", "m.reaction", true),
            ("*.message", "m.room.message", true),
            ("m.*.message", "m.room.message", true),
            ("m.*a*ge", "m.room.message", true),
            ("m.*a*ges", "m.room.message", false),
            ("m.*.m", "m.m", false),
            ("", "m.room.message", false),
        ] {
            assert_eq!(is_named(pattern, kind), fits, "{pattern} {kind}");
        }
    }

    #[test]
    fn what_is_not_wanted_wins() {
        let filter = events(&json!({"types": ["m.*"], "not_types": ["m.reaction"]}));

        assert!(filter.has_type("m.room.message"));
        assert!(!filter.has_type("m.reaction"));
        assert!(!events(&json!({"types": []})).has_type("m.room.message"));
    }

    #[test]
    fn senders_and_urls_are_looked_at() {
        let none = Content::new();
        let url = content(&json!({"url": "mxc://example.org/x"}));
        let files = events(&json!({"contains_url": true, "types": ["m.room.message"]}));
        let others = events(&json!({"contains_url": false, "not_senders": [ADA]}));

        assert!(files.matches("m.room.message", ADA, &url));
        assert!(!files.matches("m.room.message", ADA, &none));
        assert!(!files.matches("m.sticker", ADA, &url));
        assert!(!others.matches("m.room.message", ADA, &none));
        assert!(!others.matches("m.room.message", "@bob:x", &url));
        assert!(others.matches("m.room.message", "@bob:x", &none));
        let mine = events(&json!({"senders": [ADA]}));
        assert!(!mine.matches("m.room.message", "@bob:x", &none));
    }

    #[test]
    fn rooms_are_wanted_or_not() {
        let filter = br#"{"room": {"rooms": ["!a:x", "!b:x"], "not_rooms": ["!b:x"],
            "timeline": {"not_rooms": ["!a:x"]}}}"#;
        let filter = Filter::parse(filter).unwrap();

        let wanted = |room| {
            (
                filter.room.has_room(room),
                filter.room.timeline.has_room(room),
            )
        };
        assert_eq!(wanted("!a:x"), (true, false));
        assert_eq!(wanted("!b:x"), (false, true));
        assert_eq!(wanted("!c:x"), (false, true));
    }
}
