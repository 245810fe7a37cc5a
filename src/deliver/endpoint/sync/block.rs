//! One room's block of a sync. Every object is there, empty or not: some clients insist.

use serde::Serialize;
use serde_json::Value;
use serde_json::json;
use serde_json::value::RawValue;
use serde_json::value::to_raw_value;

use crate::base::ids::ChangeNumber;
use crate::base::time::AppleTime;
use crate::deliver::endpoint::account_data;
use crate::deliver::endpoint::account_data::DataEvent;
use crate::deliver::endpoint::delta::Delta;
use crate::deliver::endpoint::error::Code;
use crate::deliver::endpoint::error::MatrixError;
use crate::deliver::endpoint::filters::EventFilter;
use crate::deliver::endpoint::receipts;
use crate::deliver::endpoint::receipts::FULLY_READ;
use crate::deliver::endpoint::sync::ask::limit;
use crate::deliver::endpoint::sync::turn::Job;
use crate::deliver::endpoint::sync::turn::Moment;
use crate::deliver::endpoint::token::Between;
use crate::deliver::endpoint::view::View;
use crate::deliver::endpoint::view::first_place_at;
use crate::matrix::event::Event;
use crate::matrix::ids::UserId;
use crate::matrix::json::ClientEvent;
use crate::matrix::json::Form;
use crate::matrix::state::MEMBER;
use crate::store::value::ChangeEntry;
use crate::store::value::ChangeKind;

/// Members that an unnamed room is named after.
const HEROES: usize = 5;

/// Where paging back ends.
const BEGINNING: Between = first_place_at(AppleTime::from_nanos(i64::MIN));

/// How a room is part of an answer.
pub(super) enum Shown {
    /// With a block.
    Joined {
        json: Box<RawValue>,
        /// Whether the client gets it for the first time, or again after it was left.
        is_new: bool,
    },
    /// As left by a client.
    Left,
    /// Not at all.
    Hidden,
}

#[derive(Serialize)]
struct Block<'a> {
    timeline: Timeline<'a>,
    state: Events<ClientEvent<'a>>,
    ephemeral: Events<Value>,
    account_data: Events<DataEvent>,
    unread_notifications: Unread,
    summary: Summary<'a>,
}

#[derive(Serialize)]
struct Timeline<'a> {
    events: Vec<ClientEvent<'a>>,
    limited: bool,
    prev_batch: String,
}

#[derive(Serialize)]
struct Events<T> {
    events: Vec<T>,
}

#[derive(Serialize)]
struct Unread {
    notification_count: u64,
    highlight_count: u64,
}

#[derive(Serialize)]
struct Summary<'a> {
    #[serde(rename = "m.heroes", skip_serializing_if = "Option::is_none")]
    heroes: Option<Vec<&'a str>>,
    #[serde(rename = "m.joined_member_count")]
    joined: usize,
    #[serde(rename = "m.invited_member_count")]
    invited: usize,
}

/// What of a room is in an answer.
pub(super) fn of(moment: &Moment<'_>, job: &Job) -> Result<Shown, MatrixError> {
    let Moment {
        endpoint,
        snapshot,
        present,
        account,
        ..
    } = *moment;
    let room = &job.room;
    let filter = &moment.ask.filter.room;
    let view = endpoint.view(snapshot, present, room)?;
    let Some(shown) = view.shown_since(account)? else {
        let is_told = !moment.has_nothing || filter.include_leave;
        // It may have been seen again for a message that it has lost since.
        let has_lost = |(_, entry): &(_, ChangeEntry)| entry.kind == ChangeKind::Gone;
        let is_news = |left: &ChangeNumber| {
            *left > moment.since || !job.is_known || job.entries.iter().any(has_lost)
        };
        let left = view.left_at(account)?.filter(is_news);
        return Ok(left
            .filter(|_| is_told)
            .map_or(Shown::Hidden, |_| Shown::Left));
    };
    let is_new = moment.is_first() || shown > moment.since || job.is_renewed;
    let mut delta = if is_new {
        view.newest(limit(&filter.timeline))?
    } else if job.is_known {
        view.news(&job.entries, moment.since, limit(&filter.timeline))?
    } else {
        view.reread(moment.since, limit(&filter.timeline))?
    };
    delta
        .timeline
        .retain(|placed| admits(&filter.timeline, &placed.event));
    let state = view.state()?;
    let changed = state_of(moment, job, &view, &mut delta, (&state, is_new));
    let is_muted = moment.rules.is_muted(room.id.as_str());
    let reading = view.reading(account, &delta, &job.entries, is_muted)?;
    let since = if is_new {
        ChangeNumber::default()
    } else {
        moment.since
    };
    let mut data = account_data::room_account_data(snapshot, room, account, since)?;
    if let Some(event_id) = reading.fully_read {
        data.push(DataEvent::new(FULLY_READ, &json!({ "event_id": event_id })));
    }
    data.retain(|event| filter.account_data.has_type(&event.kind));
    let mut ephemeral = Vec::new();
    if !reading.receipts.is_empty() {
        ephemeral.push(("m.receipt", receipts::content(&reading.receipts)));
    }
    if let Some(users) = moment.typing.rooms.get(room.id.as_str()) {
        ephemeral.push(("m.typing", json!({ "user_ids": users })));
    }
    ephemeral.retain(|(kind, _)| filter.ephemeral.has_type(kind));
    let ephemeral = ephemeral
        .into_iter()
        .map(|(kind, content)| json!({ "type": kind, "content": content }));
    let client = |event| ClientEvent::new(event, &room.id, Form::InRoom).aged(moment.now);
    let timeline = delta
        .timeline
        .iter()
        .map(|placed| client(&placed.event).replaced_by(placed.edit.as_ref()));
    let block = Block {
        timeline: Timeline {
            events: timeline.collect(),
            limited: delta.limited,
            prev_batch: delta.prev_batch.unwrap_or(BEGINNING).to_string(),
        },
        state: Events {
            events: changed.iter().map(client).collect(),
        },
        ephemeral: Events {
            events: ephemeral.collect(),
        },
        account_data: Events { events: data },
        unread_notifications: Unread {
            notification_count: reading.unread,
            highlight_count: 0,
        },
        summary: summary(&state, view.account.user()),
    };
    let json = to_raw_value(&block).map_err(|error| {
        tracing::error!(%error, "a room's block could not be written");
        MatrixError::new(Code::Unknown, "the answer could not be written")
    })?;
    Ok(Shown::Joined { json, is_new })
}

/// The state that goes with a block: all of it for a room that is new to the client, else what changed. In either case
/// with the member events of who wrote the block, as far as the client cannot have them.
fn state_of(
    moment: &Moment<'_>,
    job: &Job,
    view: &View<'_>,
    delta: &mut Delta,
    (state, is_new): (&[Event], bool),
) -> Vec<Event> {
    let filter = &moment.ask.filter.room;
    let is_lazy = filter.is_lazy();
    let is_about_room = |kind| matches!(kind, ChangeKind::Conversation | ChangeKind::RoomState);
    let is_changed = !job.is_known
        || job
            .entries
            .iter()
            .any(|(_, entry)| is_about_room(entry.kind));
    let is_whole = is_new || moment.ask.full_state || is_changed;
    let mut sent = std::mem::take(&mut delta.state);
    let mut users: Vec<&UserId> = Vec::new();
    for placed in &delta.timeline {
        if !users.contains(&&placed.event.sender) {
            users.push(&placed.event.sender);
        }
    }
    if is_whole {
        let is_sent = |event: &Event| !is_lazy || event.event_type != MEMBER;
        let whole: Vec<Event> = state
            .iter()
            .filter(|event| is_sent(event))
            .cloned()
            .collect();
        // What changed may be older than what it is now.
        sent.retain(|event| !whole.iter().any(|other| is_same(event, other)));
        sent.extend(whole);
    }
    let renamed = job.renamed.iter();
    let renamed = renamed.filter_map(|user| state.iter().find(|event| is_member(event, user)));
    let mut members: Vec<Event> = renamed.cloned().collect();
    if is_lazy {
        members.extend(users.iter().map(|user| view.member(state, user)));
        if is_whole {
            let own = view.account.user().as_str();
            let needed = heroes(state, own).into_iter().flatten().chain([own]);
            for user in needed.collect::<Vec<_>>() {
                members.extend(state.iter().find(|event| is_member(event, user)).cloned());
            }
        }
    } else {
        let is_stranger =
            |user: &&&UserId| !state.iter().any(|event| is_member(event, user.as_str()));
        let strangers = users.iter().filter(is_stranger);
        members.extend(strangers.map(|user| view.member(state, user)));
    }
    for member in members {
        if !sent.iter().any(|other| is_same(&member, other)) {
            sent.push(member);
        }
    }
    let in_block = |event: &Event| {
        let mut events = delta.timeline.iter().map(|placed| &placed.event);
        events.any(|other| other.state_key.is_some() && is_same(event, other))
    };
    sent.retain(|event| !in_block(event) && admits(&filter.state, event));
    sent
}

/// Whether a filter admits an event.
fn admits(filter: &EventFilter, event: &Event) -> bool {
    filter.matches(event.event_type, event.sender.as_str(), &event.content)
}

/// Whether two pieces of state are about the same.
fn is_same(one: &Event, other: &Event) -> bool {
    one.event_type == other.event_type && one.state_key == other.state_key
}

fn is_member(event: &Event, user: &str) -> bool {
    event.event_type == MEMBER && event.state_key.as_deref() == Some(user)
}

fn is_joined(event: &Event) -> bool {
    event.content.get("membership").and_then(Value::as_str) == Some("join")
}

/// The members after whom clients name a room; `None` for one with a name.
fn heroes<'s>(state: &'s [Event], own: &str) -> Option<Vec<&'s str>> {
    let is_name = |event: &Event| {
        let name = event.content.get("name").and_then(Value::as_str);
        event.event_type == "m.room.name" && name.is_some_and(|name| !name.is_empty())
    };
    if state.iter().any(is_name) {
        return None;
    }
    let members = state.iter().filter(|event| event.event_type == MEMBER);
    let mut heroes: Vec<(bool, &str)> = members
        .filter_map(|event| Some((!is_joined(event), event.state_key.as_deref()?)))
        .filter(|(_, user)| *user != own)
        .collect();
    // Who is there comes before who left; the order within is the room's.
    heroes.sort_by_key(|(has_left, _)| *has_left);
    Some(
        heroes
            .into_iter()
            .map(|(_, user)| user)
            .take(HEROES)
            .collect(),
    )
}

fn summary<'s>(state: &'s [Event], own: &UserId) -> Summary<'s> {
    let is_one = |event: &&Event| event.event_type == MEMBER && is_joined(event);
    Summary {
        heroes: heroes(state, own.as_str()),
        joined: state.iter().filter(is_one).count(),
        invited: 0,
    }
}
