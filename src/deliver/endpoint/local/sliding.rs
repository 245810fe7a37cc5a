//! Local rooms in an answer of sliding sync. They stand among the others in its lists, by their newest message.
//!
//! A room is made of the same stretch of its log as for `/sync`; what a connection was told of it is [`Told`].

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use serde_json::Value;
use serde_json::json;

use crate::base::ids::ChangeNumber;
use crate::base::limits::PAGE_LOOKED_AT;
use crate::base::time::AppleTime;
use crate::deliver::endpoint::Endpoint;
use crate::deliver::endpoint::account_data;
use crate::deliver::endpoint::account_data::DataEvent;
use crate::deliver::endpoint::error::MatrixError;
use crate::deliver::endpoint::filters::RoomFilter;
use crate::deliver::endpoint::local::Asked;
use crate::deliver::endpoint::local::event::AVATAR;
use crate::deliver::endpoint::local::event::MEMBER;
use crate::deliver::endpoint::local::event::MESSAGE;
use crate::deliver::endpoint::local::event::NAME;
use crate::deliver::endpoint::local::event::set;
use crate::deliver::endpoint::local::room::LocalRoom;
use crate::deliver::endpoint::local::room::NOW;
use crate::deliver::endpoint::local::state::Membership;
use crate::deliver::endpoint::local::state::State;
use crate::deliver::endpoint::local::sync::Question;
use crate::deliver::endpoint::local::sync::invited;
use crate::deliver::endpoint::local::sync::receipts;
use crate::deliver::endpoint::local::unread;
use crate::deliver::endpoint::local::unread::Count;
use crate::deliver::endpoint::push_rules::Rules;
use crate::deliver::endpoint::receipts::FULLY_READ;
use crate::deliver::endpoint::session::Session;
use crate::deliver::endpoint::typing::Notices;
use crate::store::Direction;
use crate::store::Snapshot;

/// What a connection was told of a room.
#[derive(Clone, Copy)]
pub(in crate::deliver::endpoint) struct Told {
    until: ChangeNumber,
    /// Events that were wanted last.
    limit: usize,
    unread: Count,
    is_invite: bool,
}

/// A room, and what a list of one user needs to know of it.
pub(in crate::deliver::endpoint) struct Ranked<'a> {
    asked: Asked<'a>,
    how: Option<Membership>,
    /// The newest message, or else the newest of anything.
    pub(in crate::deliver::endpoint) newest: AppleTime,
}

impl Ranked<'_> {
    pub(in crate::deliver::endpoint) fn id(&self) -> &str {
        &self.asked.room.id
    }

    pub(in crate::deliver::endpoint) fn is_invite(&self) -> bool {
        self.how == Some(Membership::Invite)
    }

    /// Whether the user is in the room, or is invited to it.
    pub(in crate::deliver::endpoint) fn is_listed(&self) -> bool {
        self.how == Some(Membership::Join) || self.is_invite()
    }
}

/// Every local room, as a user stands to it, but for those to which somebody invites them whom they do not want to hear.
pub(in crate::deliver::endpoint) fn ranked<'a>(
    endpoint: &'a Endpoint,
    snapshot: &'a Snapshot,
    session: &'a Arc<Session>,
) -> Result<Vec<Ranked<'a>>, MatrixError> {
    let mut ranked = Vec::new();
    for room in LocalRoom::all(snapshot)? {
        let asked = endpoint.asked(snapshot, session, &room.id)?;
        if !asked.is_invited_in_vain()? {
            ranked.push(Ranked {
                how: asked.eyes.now(),
                newest: newest(&room)?,
                asked,
            });
        }
    }
    Ok(ranked)
}

/// When the newest message was written, or else the newest of anything.
fn newest(room: &LocalRoom<'_>) -> Result<AppleTime, MatrixError> {
    let mut newest = None;
    let walk = room.walk(Bound::Unbounded, Direction::Backward);
    for event in walk.take(PAGE_LOOKED_AT) {
        let event = event?;
        let at = AppleTime::from_unix_millis(event.origin_server_ts);
        if event.kind == MESSAGE {
            return Ok(at);
        }
        newest.get_or_insert(at);
    }
    Ok(newest.unwrap_or_default())
}

/// Whether a piece of state is wanted, by its type, its key and the own user id.
pub(in crate::deliver::endpoint) type Wants<'a> = Box<dyn Fn(&str, &str, &str) -> bool + 'a>;

/// What a client wants of a room.
pub(in crate::deliver::endpoint) struct Wish<'a> {
    pub(in crate::deliver::endpoint) limit: usize,
    pub(in crate::deliver::endpoint) wants: Wants<'a>,
    /// Whether the members that the timeline needs are wanted.
    pub(in crate::deliver::endpoint) is_lazy: bool,
}

/// What there is to tell of local rooms.
#[derive(Default)]
pub(in crate::deliver::endpoint) struct Found {
    pub(in crate::deliver::endpoint) rooms: BTreeMap<String, Value>,
    pub(in crate::deliver::endpoint) receipts: BTreeMap<String, Value>,
    pub(in crate::deliver::endpoint) data: BTreeMap<String, Vec<DataEvent>>,
    /// What the client was told then.
    pub(in crate::deliver::endpoint) told: BTreeMap<String, Told>,
}

/// Looks at the local rooms that a user has to do with. `wish` says what is wanted of a room, by its id; of one that is
/// out of sight it says nothing.
pub(in crate::deliver::endpoint) fn look<'a>(
    endpoint: &Endpoint,
    snapshot: &Snapshot,
    session: &Arc<Session>,
    ranked: &[Ranked<'_>],
    told: &BTreeMap<String, Told>,
    wish: impl Fn(&str) -> Option<Wish<'a>>,
) -> Result<Found, MatrixError> {
    let mut found = Found::default();
    let rules = Rules::of(endpoint, snapshot, session.account)?;
    for room in ranked {
        let (id, asked) = (room.id().to_owned(), &room.asked);
        let before = told.get(&id).copied();
        if !room.is_listed() {
            if before.is_some() {
                found.rooms.insert(id, gone(asked)?);
            }
            continue;
        }
        let Some(wish) = wish(&id) else {
            found.told.extend(before.map(|before| (id, before)));
            continue;
        };
        let now = if room.is_invite() {
            found.invite(asked, before)?
        } else {
            let before = before.filter(|before| !before.is_invite);
            found.join(endpoint, asked, &wish, before, &rules)?
        };
        found.told.insert(id, now);
    }
    Ok(found)
}

impl Found {
    fn invite(&mut self, asked: &Asked<'_>, before: Option<Told>) -> Result<Told, MatrixError> {
        let told = Told {
            until: asked.room.snapshot.last_change()?,
            limit: 0,
            unread: Count::default(),
            is_invite: true,
        };
        if before.is_none_or(|before| before.until < asked.eyes.since()) {
            let mut block = invited(asked)?;
            let room = json!({
                "initial": true,
                "invite_state": taken(&mut block, "/invite_state/events"),
                "required_state": [], "timeline": [], "limited": false, "num_live": 0,
            });
            self.rooms.insert(asked.room.id.clone(), room);
        }
        Ok(told)
    }

    fn join(
        &mut self,
        endpoint: &Endpoint,
        asked: &Asked<'_>,
        wish: &Wish<'_>,
        before: Option<Told>,
        rules: &Rules,
    ) -> Result<Told, MatrixError> {
        let snapshot = asked.room.snapshot;
        let since = before.map_or(ChangeNumber::default(), |before| before.until);
        let is_wider = before.is_none_or(|before| before.limit < wish.limit);
        let mut filter = RoomFilter::default();
        filter.timeline.limit = u64::try_from(wish.limit).ok();
        let question = Question {
            endpoint,
            snapshot,
            session: asked.session,
            filter: &filter,
            full_state: false,
            since,
            news: None,
            typing: &Notices::none(),
            rules,
            known: RefCell::default(),
        };
        let after = if is_wider {
            ChangeNumber::default()
        } else {
            since
        };
        let stretch = question.stretch(asked, after, NOW)?;
        let mut block = asked.block(&stretch, &[])?;
        let state = asked.room.state(NOW)?;
        let mut required: Vec<Value> = Vec::new();
        for event in state.iter() {
            let key = event.state_key.as_deref().unwrap_or_default();
            let writes = || stretch.events.iter().any(|written| written.sender == key);
            let is_needed = wish.is_lazy && event.kind == MEMBER && writes();
            let is_wanted = (wish.wants)(&event.kind, key, &asked.user);
            if is_needed || is_wanted && (is_wider || event.at > since) {
                required.push(event.json(&asked.reader(), None));
            }
        }
        let unread = unread::counts(asked, &state, rules)?.all();
        let told = Told {
            until: snapshot.last_change()?,
            limit: wish.limit,
            unread,
            is_invite: false,
        };
        self.beside(asked, since)?;
        let is_same = before.is_some_and(|before| before.unread == unread);
        let is_quiet = stretch.events.is_empty() && !stretch.limited;
        if is_quiet && required.is_empty() && is_same {
            return Ok(told);
        }
        let newest = stretch
            .events
            .iter()
            .filter(|event| event.kind == MESSAGE || before.is_none());
        let live = stretch
            .events
            .iter()
            .filter(|event| before.is_some() && event.at > since);
        let mut room = face(&state, &asked.user);
        set(&mut room, "num_live", live.count());
        set(&mut room, "timeline", taken(&mut block, "/timeline/events"));
        set(&mut room, "limited", taken(&mut block, "/timeline/limited"));
        set(
            &mut room,
            "prev_batch",
            taken(&mut block, "/timeline/prev_batch"),
        );
        set(&mut room, "required_state", required);
        let mut counts = unread.json();
        set(
            &mut room,
            "notification_count",
            taken(&mut counts, "/notification_count"),
        );
        set(
            &mut room,
            "highlight_count",
            taken(&mut counts, "/highlight_count"),
        );
        if let Some(stamp) = newest.map(|event| event.origin_server_ts).max() {
            set(&mut room, "bump_stamp", stamp);
        }
        if before.is_none() {
            set(&mut room, "initial", true);
        }
        self.rooms.insert(asked.room.id.clone(), room);
        Ok(told)
    }

    /// What is told of a room beside its timeline.
    fn beside(&mut self, asked: &Asked<'_>, since: ChangeNumber) -> Result<(), MatrixError> {
        let (id, account) = (&asked.room.id, asked.session.account);
        let snapshot = asked.room.snapshot;
        let receipts = receipts(asked, since)?;
        if !receipts.is_empty() {
            let event = json!({ "type": "m.receipt", "content": receipts });
            self.receipts.insert(id.clone(), event);
        }
        let mut data = account_data::account_data_after(snapshot, asked.room.row, account, since)?;
        for held in snapshot.receipts(account, asked.room.row)? {
            if held.kind == FULLY_READ && held.receipt.change > since {
                let content = json!({ "event_id": held.receipt.event_id });
                data.push(DataEvent::new(FULLY_READ, &content));
            }
        }
        if !data.is_empty() {
            self.data.insert(id.clone(), data);
        }
        Ok(())
    }
}

/// What stands at a place, which loses it.
fn taken(value: &mut Value, place: &str) -> Value {
    value
        .pointer_mut(place)
        .map(Value::take)
        .unwrap_or_default()
}

/// What a client shows of a room in its list.
fn face(state: &State, own: &str) -> Value {
    let mut face = json!({
        "is_dm": false,
        "joined_count": state.joined().count(),
        "invited_count": state.members(Membership::Invite).count(),
    });
    if let Some(name) = state.text(NAME, "name") {
        set(&mut face, "name", name);
    }
    if let Some(avatar) = state.text(AVATAR, "url") {
        set(&mut face, "avatar", avatar);
    }
    if let Some(heroes) = state.heroes(own) {
        let hero = |user: &str| {
            let member = state.get(MEMBER, user);
            json!({
                "user_id": user,
                "displayname": member.and_then(|member| member.text("displayname")),
            })
        };
        let heroes: Vec<Value> = heroes.into_iter().map(hero).collect();
        set(&mut face, "heroes", heroes);
    }
    face
}

/// A room that the user has to do with no more.
fn gone(asked: &Asked<'_>) -> Result<Value, MatrixError> {
    let own = asked.room.piece(MEMBER, &asked.user, NOW)?;
    let own: Vec<Value> = own
        .iter()
        .map(|own| own.json(&asked.reader(), None))
        .collect();
    Ok(json!({
        "required_state": own, "timeline": [], "limited": false, "num_live": 0,
    }))
}
