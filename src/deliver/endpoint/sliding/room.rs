//! One room in the answer: what is new of it for this connection, or all of it.
//!
//! | the client | gets |
//! |---|---|
//! | does not have the room | `initial`: the newest events, all state it wants, who is in it |
//! | wants more events or more state of it than before | the same, at once, without `initial` |
//! | has it | a block as D20 says, the state that changed |
//! | has it under an id that is no more, or hid it | itself as gone: a member event with `leave` in the state |
//!
//! `required_state` is the state after the timeline: what changed in the block is in it too. A room of which only the
//! counts changed is sent with nothing else, so that badges go away.

use std::collections::BTreeMap;
use std::hash::DefaultHasher;
use std::hash::Hash;
use std::hash::Hasher;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use serde_json::value::to_raw_value;

use crate::base::ids::ChangeNumber;
use crate::base::time::AppleTime;
use crate::deliver::endpoint::delta::Delta;
use crate::deliver::endpoint::names::NOW;
use crate::deliver::endpoint::receipts::Reading;
use crate::deliver::endpoint::rooms::Rooms;
use crate::deliver::endpoint::sliding::connection::Sent;
use crate::deliver::endpoint::sliding::wanted::Standing;
use crate::deliver::endpoint::sliding::wanted::Wanted;
use crate::deliver::endpoint::view::Placed;
use crate::deliver::endpoint::view::View;
use crate::matrix::event::Event;
use crate::matrix::ids::Account;
use crate::matrix::ids::RoomId;
use crate::matrix::json::ClientEvent;
use crate::matrix::json::Form;
use crate::matrix::state::MEMBER;
use crate::matrix::state::Member;
use crate::matrix::state::RoomFacts;
use crate::model::people::People;
use crate::store::StoreError;
use crate::store::account::Account as AccountNumber;
use crate::store::value::ChangeEntry;

/// Members by which a client names a room without a name.
const HEROES: usize = 5;

/// A room as it is written.
#[derive(Default, Serialize)]
pub(super) struct RoomAnswer {
    #[serde(flatten)]
    face: Option<Face>,
    #[serde(skip_serializing_if = "Option::is_none")]
    initial: Option<bool>,
    #[serde(flatten)]
    counts: Option<Counts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bump_stamp: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prev_batch: Option<String>,
    limited: bool,
    num_live: usize,
    required_state: Vec<Box<RawValue>>,
    timeline: Vec<Box<RawValue>>,
}

/// What a client shows of a room in its list: sent with the room, and again when it changed.
#[derive(Hash, Serialize)]
struct Face {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    avatar: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    heroes: Option<Vec<Hero>>,
    is_dm: bool,
    joined_count: usize,
    invited_count: usize,
}

#[derive(Hash, Serialize)]
struct Hero {
    user_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    displayname: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    avatar_url: Option<String>,
}

#[derive(Serialize)]
struct Counts {
    notification_count: u64,
    highlight_count: u64,
}

/// As of when an answer is made.
pub(super) struct Moment {
    /// The change of its snapshot.
    pub(super) until: ChangeNumber,
    /// The rooms.
    pub(super) rooms: Arc<Rooms>,
    /// Who asks.
    pub(super) account: AccountNumber,
    /// Milliseconds since 1970.
    pub(super) now: i64,
}

/// What of the change log is about a room; `None` when that is not known.
pub(super) type Entries<'a> = Option<&'a [(ChangeNumber, ChangeEntry)]>;

/// What a client gets of a room.
pub(super) struct Told {
    /// `None` for nothing.
    pub(super) answer: Option<RoomAnswer>,
    /// What it has then, without the receipts of this time.
    pub(super) made: Sent,
    /// Who has read up to where.
    pub(super) reading: Reading,
}

/// What a client gets of a room.
pub(super) fn answer(
    view: &View<'_>,
    (wanted, standing): (&Wanted<'_>, Standing),
    sent: Option<&Sent>,
    entries: Entries<'_>,
    at: &Moment,
) -> Result<Told, StoreError> {
    let ranked = wanted.ranked;
    let facts = view.facts(NOW);
    let face = face_of(&facts);
    let since = sent.map_or(ChangeNumber::default(), |sent| sent.until);
    let is_touched = ranked.changed > since;
    let delta = match (standing, entries) {
        (Standing::Unsent | Standing::Wider, _) => view.newest(wanted.limit)?,
        (Standing::Changed | Standing::Current, _) if !is_touched => {
            view.news(&[], since, wanted.limit)?
        }
        (Standing::Changed | Standing::Current, Some(entries)) => {
            view.news(entries, since, wanted.limit)?
        }
        (Standing::Changed | Standing::Current, None) => view.reread(since, wanted.limit)?,
    };
    let known = entries.unwrap_or_default();
    let reading = view.reading(at.account, &delta, known, wanted.is_muted)?;
    let made = Sent {
        id: ranked.room.id.as_str().into(),
        rooms: Arc::downgrade(&at.rooms),
        until: at.until,
        limit: wanted.limit,
        state: Arc::clone(&wanted.state),
        face: hash(&face, &facts),
        unread: reading.unread,
        is_muted: wanted.is_muted,
        receipts: sent.map_or_else(BTreeMap::new, |sent| sent.receipts.clone()),
        fully_read: sent.and_then(|sent| sent.fully_read.clone()),
    };
    let has_face = sent.is_some_and(|sent| sent.face == made.face);
    let live = delta
        .timeline
        .iter()
        .filter(|placed| placed.since > since)
        .count();
    let extent = if sent.is_some() && !has_face {
        Extent::WithMembers
    } else if standing != Standing::Changed || (is_touched && entries.is_none()) {
        Extent::Wanted
    } else {
        Extent::Changed
    };
    let state = required(view, &delta, wanted, extent)?;
    let has_counts = sent.is_some_and(|sent| sent.unread == made.unread);
    let is_nothing = standing == Standing::Changed
        && has_face
        && has_counts
        && !delta.limited
        && delta.timeline.is_empty()
        && state.is_empty();
    if is_nothing {
        return Ok(Told {
            answer: None,
            made,
            reading,
        });
    }
    let is_moved = delta
        .timeline
        .iter()
        .any(|placed| placed.event.event_type == MEMBER);
    let answer = RoomAnswer {
        face: (extent != Extent::Changed || is_moved).then_some(face),
        initial: sent.is_none().then_some(true),
        counts: Some(Counts {
            notification_count: made.unread,
            highlight_count: 0,
        }),
        bump_stamp: Some(ranked.newest.unix_millis().max(1)),
        prev_batch: delta
            .prev_batch
            .filter(|_| delta.limited || !delta.timeline.is_empty())
            .map(|between| between.to_string()),
        limited: delta.limited,
        num_live: if sent.is_some() { live } else { 0 },
        required_state: written(&view.room.id, &state, at.now),
        timeline: delta
            .timeline
            .iter()
            .map(|placed| view.client_json(placed, Form::InRoom, at.now))
            .collect(),
    };
    Ok(Told {
        answer: Some(answer),
        made,
        reading,
    })
}

/// A room that is no more, or hidden, for a client that has it: the owner has left it. With what tells where its
/// conversation goes on, if it does.
pub(super) fn left(
    account: &Account,
    people: &People,
    sent: &Sent,
    tombstone: Option<&Value>,
    now: i64,
) -> RoomAnswer {
    let owner = Member {
        user: account.user().clone(),
        name: people.owner_name().map(str::to_owned),
        avatar: None,
        // Another one than the member event with which the room began.
        version: 1,
        is_in: false,
    };
    let facts = RoomFacts {
        owner: owner.user.clone(),
        owner_name: account.localpart().to_owned(),
        owner_version: 0,
        members: Vec::new(),
        moves: Vec::new(),
        is_direct: false,
        name: None,
        name_version: 0,
        is_renamed: false,
        avatar: None,
        created: AppleTime::from_unix_millis(now),
    };
    let leave = facts.present_member(&owner);
    let mut required_state = written(&RoomId::new(&sent.id), &[leave], now);
    required_state.extend(tombstone.and_then(|event| to_raw_value(event).ok()));
    RoomAnswer {
        required_state,
        ..RoomAnswer::default()
    }
}

/// How much state goes with a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    /// What of the wanted state changed.
    Changed,
    /// All that is wanted.
    Wanted,
    /// That, and everybody: names changed.
    WithMembers,
}

/// The state that goes with a block, and the members that the block needs.
fn required(
    view: &View<'_>,
    delta: &Delta,
    wanted: &Wanted<'_>,
    extent: Extent,
) -> Result<Vec<Event>, StoreError> {
    let news = || {
        let timeline = delta.timeline.iter().map(|placed| &placed.event);
        timeline.chain(&delta.state)
    };
    let is_lazy = wanted.state.wants_lazy_members();
    let needs_members = is_lazy && !delta.timeline.is_empty();
    let has_state = news().any(|event| event.state_key.is_some());
    if extent == Extent::Changed && !has_state && !needs_members {
        return Ok(Vec::new());
    }
    let me = view.account.user();
    let all = view.state()?;
    let is_changed = |event: &Event| news().any(|other| is_same_state(other, event));
    let is_wanted = |event: &Event| {
        wanted.state.wants(event, me) && (extent != Extent::Changed || is_changed(event))
            || extent == Extent::WithMembers && is_lazy && event.event_type == MEMBER
    };
    let mut state: Vec<Event> = all
        .iter()
        .filter(|event| is_wanted(event))
        .cloned()
        .collect();
    if is_lazy {
        for member in lazy_members(view, &all, &delta.timeline) {
            if !state.iter().any(|known| is_same_state(known, &member)) {
                state.push(member);
            }
        }
    }
    Ok(state)
}

/// Whether two events are versions of the same piece of state.
fn is_same_state(one: &Event, other: &Event) -> bool {
    one.event_type == other.event_type && one.state_key == other.state_key
}

/// Members who wrote something of a block or whose membership it changes.
fn lazy_members(view: &View<'_>, state: &[Event], timeline: &[Placed]) -> Vec<Event> {
    let mut members = view.members_of(state, timeline.iter().map(|placed| &placed.event));
    let targets = timeline.iter().map(|placed| &placed.event);
    for target in targets.filter(|event| event.event_type == MEMBER) {
        if !members.iter().any(|member| is_same_state(member, target)) {
            let present = state.iter().find(|event| is_same_state(event, target));
            members.extend(present.cloned());
        }
    }
    members
}

fn written(room: &RoomId, state: &[Event], now: i64) -> Vec<Box<RawValue>> {
    let written = |event| {
        let event = ClientEvent::new(event, room, Form::InRoom).aged(now);
        RawValue::from_string(event.to_json()).unwrap_or_else(|_never| RawValue::NULL.to_owned())
    };
    state.iter().map(written).collect()
}

fn face_of(facts: &RoomFacts) -> Face {
    let name = facts.name.clone().filter(|_| !facts.is_direct);
    let heroes = name.is_none().then(|| {
        let mut members: Vec<&Member> = facts.members.iter().collect();
        // Who is there first; a room that everybody left is named after those who were.
        members.sort_by_key(|member| !member.is_in);
        let heroes = members.into_iter().take(HEROES);
        heroes
            .map(|member| Hero {
                user_id: member.user.as_str().to_owned(),
                displayname: member.name.clone(),
                avatar_url: member.avatar.clone(),
            })
            .collect()
    });
    Face {
        name,
        avatar: facts.avatar.clone(),
        heroes,
        is_dm: facts.is_direct,
        joined_count: 1 + facts.members.iter().filter(|member| member.is_in).count(),
        invited_count: 0,
    }
}

/// What tells one face from another, everybody's name included.
fn hash(face: &Face, facts: &RoomFacts) -> u64 {
    let mut hasher = DefaultHasher::new();
    face.hash(&mut hasher);
    facts.owner_name.hash(&mut hasher);
    for member in &facts.members {
        (
            member.user.as_str(),
            &member.name,
            &member.avatar,
            member.is_in,
        )
            .hash(&mut hasher);
    }
    hasher.finish()
}
