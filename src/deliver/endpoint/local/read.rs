//! Questions about one local room: its history, its state, its members.

use std::ops::Bound;

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::base::ids::ChangeNumber;
use crate::base::limits::PAGE_LOOKED_AT;
use crate::deliver::endpoint::Endpoint;
use crate::deliver::endpoint::call::Answer;
use crate::deliver::endpoint::call::Call;
use crate::deliver::endpoint::call::json;
use crate::deliver::endpoint::error::MatrixError;
use crate::deliver::endpoint::filters::EventFilter;
use crate::deliver::endpoint::history::direction;
use crate::deliver::endpoint::history::limit;
use crate::deliver::endpoint::history::time;
use crate::deliver::endpoint::local::Asked;
use crate::deliver::endpoint::local::directory;
use crate::deliver::endpoint::local::event::Event;
use crate::deliver::endpoint::local::event::MEMBER;
use crate::deliver::endpoint::local::event::set;
use crate::deliver::endpoint::local::place_of_token;
use crate::deliver::endpoint::local::room::NOW;
use crate::deliver::endpoint::local::state::Membership;
use crate::deliver::endpoint::local::state::State;
use crate::deliver::endpoint::local::token_before;
use crate::deliver::endpoint::local::token_behind;
use crate::store::Direction;

/// The place before a room's first event.
const BEGINNING: ChangeNumber = ChangeNumber(0);

impl EventFilter {
    /// Whether an event of a local room is wanted, by everything but its room.
    pub(super) fn lets_through(&self, event: &Event) -> bool {
        self.matches(&event.kind, &event.sender, &event.content)
    }
}

/// A page of a room.
pub(super) struct Page {
    /// In the direction of the walk.
    pub(super) events: Vec<Event>,
    /// Where the walk goes on; `None` at the end of what there is.
    pub(super) next: Option<ChangeNumber>,
}

impl Asked<'_> {
    /// The events from a place on in a direction, as far as they are seen and wanted.
    pub(super) fn page(
        &self,
        from: ChangeNumber,
        to: Option<ChangeNumber>,
        direction: Direction,
        limit: usize,
        filter: &EventFilter,
    ) -> Result<Page, MatrixError> {
        let mut page = Page {
            events: Vec::new(),
            next: None,
        };
        let bound = match direction {
            Direction::Forward => Bound::Included(from),
            Direction::Backward if from == NOW => Bound::Unbounded,
            Direction::Backward => Bound::Excluded(from),
        };
        for (looked_at, event) in self.room.walk(bound, direction).enumerate() {
            let event = event?;
            let is_over = to.is_some_and(|to| match direction {
                Direction::Forward => event.at >= to,
                Direction::Backward => event.at < to,
            });
            if is_over {
                break;
            }
            let is_wanted = self.eyes.see(&event) && self.wants(&event, filter)?;
            if looked_at >= PAGE_LOOKED_AT || (is_wanted && page.events.len() == limit) {
                page.next = Some(match direction {
                    Direction::Forward => event.at,
                    Direction::Backward => ChangeNumber(event.at.0.saturating_add(1)),
                });
                break;
            }
            if is_wanted {
                page.events.push(event);
            }
        }
        Ok(page)
    }

    /// Member events of who wrote some events, as of a change.
    fn writers<'e>(
        &self,
        events: impl Iterator<Item = &'e Event>,
        as_of: ChangeNumber,
    ) -> Result<Vec<Value>, MatrixError> {
        let mut users: Vec<&str> = events.map(|event| event.sender.as_str()).collect();
        users.sort_unstable();
        users.dedup();
        let mut members = Vec::new();
        for user in users {
            if let Some(member) = self.room.piece(MEMBER, user, as_of)? {
                members.push(member.json(&self.reader(), None));
            }
        }
        Ok(members)
    }
}

/// `GET /_matrix/client/v3/rooms/{room}/messages`. A page with events has a token behind it, for what may come or may be
/// seen later; one that has neither says that there is no more.
pub(super) fn messages(endpoint: &Endpoint, call: &Call) -> Answer {
    let direction = direction(call)?;
    let limit = limit(call)?;
    let filter = EventFilter::of_query(call)?;
    let from = call.param("from").map(place_of_token).transpose()?;
    let to = call.param("to").map(place_of_token).transpose()?;
    endpoint.in_local(call, |asked| {
        let horizon = asked.horizon()?;
        let from = from.unwrap_or(match direction {
            Direction::Forward => BEGINNING,
            Direction::Backward => NOW,
        });
        let page = asked.page(from, to, direction, limit, &filter)?;
        let mut answer = json!({
            "start": call.param("from").map_or_else(|| token_before(from), str::to_owned),
            "chunk": asked.list(&page.events)?,
        });
        let last = page.events.last().map(|event| match direction {
            Direction::Forward => token_behind(event.at),
            Direction::Backward => token_before(event.at),
        });
        if let Some(end) = page.next.map(token_before).or(last) {
            set(&mut answer, "end", end);
        }
        if filter.lazy_load_members {
            set(
                &mut answer,
                "state",
                asked.writers(page.events.iter(), horizon)?,
            );
        }
        json(&answer)
    })
}

/// `GET /_matrix/client/v3/rooms/{room}/event/{event}`.
pub(super) fn event(endpoint: &Endpoint, call: &Call) -> Answer {
    endpoint.in_local(call, |asked| {
        // Who sees nothing of a room is not told whether it has an event.
        asked.horizon().map_err(|_refused| no_event())?;
        json(&asked.json(&asked.event(call.segment("event"))?)?)
    })
}

fn no_event() -> MatrixError {
    MatrixError::not_found("there is no such event in this room")
}

/// An event and its neighbours.
pub(super) struct Around {
    /// Newest first.
    pub(super) before: Page,
    /// Oldest first.
    pub(super) after: Page,
}

impl Around {
    /// Where paging back goes on.
    pub(super) fn start(&self) -> String {
        token_before(self.before.next.unwrap_or(BEGINNING))
    }

    /// Where paging on goes on.
    pub(super) fn end(&self, event: &Event) -> String {
        let last = self.after.events.last().unwrap_or(event);
        self.after
            .next
            .map_or_else(|| token_behind(last.at), token_before)
    }
}

impl Asked<'_> {
    /// An event's neighbours.
    pub(super) fn around(
        &self,
        event: &Event,
        (before, after): (usize, usize),
        filter: &EventFilter,
    ) -> Result<Around, MatrixError> {
        let behind = ChangeNumber(event.at.0.saturating_add(1));
        Ok(Around {
            before: self.page(event.at, None, Direction::Backward, before, filter)?,
            after: self.page(behind, None, Direction::Forward, after, filter)?,
        })
    }
}

/// `GET /_matrix/client/v3/rooms/{room}/context/{event}`.
pub(super) fn context(endpoint: &Endpoint, call: &Call) -> Answer {
    let limit = call.number("limit")?.unwrap_or(10);
    let limit = usize::try_from(limit)
        .unwrap_or(usize::MAX)
        .min(crate::base::limits::PAGE_EVENTS);
    let filter = EventFilter::of_query(call)?;
    endpoint.in_local(call, |asked| {
        let horizon = asked.horizon()?;
        let event = asked.event(call.segment("event"))?;
        let around = asked.around(&event, (limit / 2, limit - limit / 2), &filter)?;
        let (before, after) = (&around.before.events, &around.after.events);
        let last = after.last().unwrap_or(&event).at;
        let state = asked.room.state(last.min(horizon))?;
        let mut shown: Vec<Value> = Vec::new();
        for event in state.iter() {
            let is_wanted = !filter.lazy_load_members || event.kind != MEMBER;
            if is_wanted && filter.lets_through(event) {
                shown.push(event.json(&asked.reader(), None));
            }
        }
        if filter.lazy_load_members {
            let all = before.iter().chain(after).chain([&event]);
            shown.append(&mut asked.writers(all, horizon)?);
        }
        json(&json!({
            "start": around.start(),
            "end": around.end(&event),
            "event": asked.json(&event)?,
            "events_before": asked.list(before)?,
            "events_after": asked.list(after)?,
            "state": shown,
        }))
    })
}

/// `GET /_matrix/client/v1/rooms/{room}/timestamp_to_event`.
pub(super) fn at_time(endpoint: &Endpoint, call: &Call) -> Answer {
    let (millis, direction) = time(call)?;
    endpoint.in_local(call, |asked| {
        asked.horizon()?;
        for event in asked.room.walk(Bound::Unbounded, direction) {
            let event = event?;
            let is_it = match direction {
                Direction::Forward => event.origin_server_ts >= millis,
                Direction::Backward => event.origin_server_ts <= millis,
            };
            if is_it && asked.eyes.see(&event) {
                return json(&json!({
                    "event_id": event.event_id,
                    "origin_server_ts": event.origin_server_ts,
                }));
            }
        }
        let text = "there is no event on that side of that time";
        Err(MatrixError::not_found(text))
    })
}

/// `GET /_matrix/client/v3/rooms/{room}/state`.
pub(super) fn state(endpoint: &Endpoint, call: &Call) -> Answer {
    endpoint.in_local(call, |asked| {
        let state = asked.room.state(asked.horizon()?)?;
        let reader = asked.reader();
        let events = state.iter().map(|event| event.json(&reader, None));
        json(&events.collect::<Vec<_>>())
    })
}

/// `GET /_matrix/client/v3/rooms/{room}/state/{type}[/{key}]`.
pub(super) fn state_of(endpoint: &Endpoint, call: &Call) -> Answer {
    let (kind, key) = (call.segment("type"), call.segment("key"));
    let format = call.param("format").unwrap_or("content");
    if !matches!(format, "content" | "event") {
        return Err(MatrixError::invalid("`format` is `content` or `event`"));
    }
    endpoint.in_local(call, |asked| {
        let event = asked.room.piece(kind, key, asked.horizon()?)?;
        let missing = || MatrixError::not_found("there is no such state in this room");
        let event = event.ok_or_else(missing)?;
        match format {
            "event" => json(&event.json(&asked.reader(), None)),
            _ => json(&event.content),
        }
    })
}

/// `GET /_matrix/client/v3/rooms/{room}/members`.
pub(super) fn members(endpoint: &Endpoint, call: &Call) -> Answer {
    let at = call.param("at").map(place_of_token).transpose()?;
    let (wanted, unwanted) = (call.param("membership"), call.param("not_membership"));
    endpoint.in_local(call, |asked| {
        let horizon = asked.horizon()?;
        // A room begins with its creation and its creator: before them there is nobody, but a sync's first token is there.
        let mut beginning = asked.room.walk(Bound::Unbounded, Direction::Forward);
        let beginning = beginning.nth(1).transpose()?;
        let beginning = beginning.map_or(BEGINNING, |event| event.at);
        let as_of = at.map_or(horizon, |at| {
            let before = ChangeNumber(at.0.saturating_sub(1));
            before.max(beginning).min(horizon)
        });
        let state = asked.room.state(as_of)?;
        let reader = asked.reader();
        let members = state.iter().filter(|event| {
            let membership = event.text("membership");
            event.kind == MEMBER
                && (wanted.is_none() || membership == wanted)
                && (unwanted.is_none() || membership != unwanted)
        });
        let chunk: Vec<Value> = members.map(|event| event.json(&reader, None)).collect();
        json(&json!({ "chunk": chunk }))
    })
}

/// Who is in a room, with the names and pictures that they have there. What somebody has not is null: some clients insist
/// on every member.
fn shown_members(state: &State) -> Map<String, Value> {
    let members = state.members(Membership::Join);
    let shown = members.filter_map(|event| {
        let mut member = Map::new();
        for (name, from) in [
            ("display_name", "displayname"),
            ("avatar_url", "avatar_url"),
        ] {
            let value = event.content.get(from).filter(|value| value.is_string());
            member.insert(name.to_owned(), value.cloned().unwrap_or_default());
        }
        Some((event.state_key.clone()?, Value::Object(member)))
    });
    shown.collect()
}

/// `GET /_matrix/client/v3/rooms/{room}/joined_members`: for who is in it.
pub(super) fn joined_members(endpoint: &Endpoint, call: &Call) -> Answer {
    endpoint.in_local(call, |asked| {
        asked.joined()?;
        let state = asked.room.state(NOW)?;
        json(&json!({ "joined": shown_members(&state) }))
    })
}

/// `GET /_matrix/client/v3/rooms/{room}/aliases`: none.
pub(super) fn aliases(endpoint: &Endpoint, call: &Call) -> Answer {
    endpoint.in_local(call, |asked| {
        asked.horizon()?;
        json(&json!({ "aliases": [] }))
    })
}

/// `GET /_matrix/client/v3/rooms/{room}/initialSync`: deprecated, kept for who looks at a room once.
pub(super) fn initial_sync(endpoint: &Endpoint, call: &Call) -> Answer {
    let limit = match call.param("limit") {
        Some("0") => 0,
        Some(_) | None => limit(call)?,
    };
    endpoint.in_local(call, |asked| {
        let state = asked.room.state(asked.horizon()?)?;
        let mut page = asked.page(
            NOW,
            None,
            Direction::Backward,
            limit,
            &EventFilter::default(),
        )?;
        page.events.reverse();
        let first = page.events.first().map_or(BEGINNING, |event| event.at);
        let last = page.events.last().map_or(BEGINNING, |event| event.at);
        let reader = asked.reader();
        let shown: Vec<Value> = state
            .iter()
            .map(|event| event.json(&reader, None))
            .collect();
        let is_listed = directory::is_listed(asked.room.snapshot, asked.room.row)?;
        let membership = state
            .get(MEMBER, &asked.user)
            .and_then(|event| event.text("membership"));
        json(&json!({
            "room_id": asked.room.id,
            "membership": membership,
            "visibility": if is_listed { "public" } else { "private" },
            "messages": {
                "start": token_before(first),
                "end": token_behind(last),
                "chunk": asked.list(&page.events)?,
            },
            "state": shown,
        }))
    })
}
