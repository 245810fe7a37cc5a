//! Local rooms in an answer of `/sync`: those that the user is in, is invited to, or has left since.
//!
//! The answer is made of the log alone: what a client gets between two tokens is what came between two changes, as far as
//! its user sees it.
//!
//! Source: `[mx v1.12] Syncing`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::base::ids::ChangeNumber;
use crate::base::limits::PAGE_LOOKED_AT;
use crate::deliver::endpoint::Endpoint;
use crate::deliver::endpoint::account_data;
use crate::deliver::endpoint::error::MatrixError;
use crate::deliver::endpoint::filters::RoomFilter;
use crate::deliver::endpoint::local::Asked;
use crate::deliver::endpoint::local::Known;
use crate::deliver::endpoint::local::event::AVATAR;
use crate::deliver::endpoint::local::event::CREATE;
use crate::deliver::endpoint::local::event::ENCRYPTION;
use crate::deliver::endpoint::local::event::Event;
use crate::deliver::endpoint::local::event::JOIN_RULES;
use crate::deliver::endpoint::local::event::MEMBER;
use crate::deliver::endpoint::local::event::NAME;
use crate::deliver::endpoint::local::event::Reader;
use crate::deliver::endpoint::local::event::TOPIC;
use crate::deliver::endpoint::local::event::set;
use crate::deliver::endpoint::local::room::LocalRoom;
use crate::deliver::endpoint::local::room::NOW;
use crate::deliver::endpoint::local::state::Membership;
use crate::deliver::endpoint::local::state::State;
use crate::deliver::endpoint::local::token_before;
use crate::deliver::endpoint::local::unread;
use crate::deliver::endpoint::push_rules::Rules;
use crate::deliver::endpoint::receipts::FULLY_READ;
use crate::deliver::endpoint::receipts::READ;
use crate::deliver::endpoint::receipts::READ_PRIVATE;
use crate::deliver::endpoint::session::Session;
use crate::deliver::endpoint::sync::limit;
use crate::deliver::endpoint::typing::Notices;
use crate::store::Direction;
use crate::store::News;
use crate::store::Snapshot;
use crate::store::StoreError;

/// What a sync asks, as far as it is about local rooms.
pub(in crate::deliver::endpoint) struct Question<'a> {
    pub(in crate::deliver::endpoint) endpoint: &'a Endpoint,
    pub(in crate::deliver::endpoint) snapshot: &'a Snapshot,
    pub(in crate::deliver::endpoint) session: &'a Arc<Session>,
    pub(in crate::deliver::endpoint) filter: &'a RoomFilter,
    pub(in crate::deliver::endpoint) full_state: bool,
    /// 0 where the client has nothing.
    pub(in crate::deliver::endpoint) since: ChangeNumber,
    /// What is new since, if that is known.
    pub(in crate::deliver::endpoint) news: Option<&'a News>,
    pub(in crate::deliver::endpoint) typing: &'a Notices,
    pub(in crate::deliver::endpoint) rules: &'a Rules,
    /// The members that the client has; with the answer, those that it has then.
    pub(in crate::deliver::endpoint) known: RefCell<Known>,
}

/// Local rooms by id, in the parts of an answer.
#[derive(Default)]
pub(in crate::deliver::endpoint) struct Parts {
    pub(in crate::deliver::endpoint) join: BTreeMap<String, Value>,
    pub(in crate::deliver::endpoint) invite: BTreeMap<String, Value>,
    pub(in crate::deliver::endpoint) leave: BTreeMap<String, Value>,
}

/// The local rooms of an answer.
pub(in crate::deliver::endpoint) fn parts(question: &Question<'_>) -> Result<Parts, MatrixError> {
    let mut parts = Parts::default();
    let known = question
        .news
        .filter(|news| news.is_complete && !question.full_state);
    for room in LocalRoom::all(question.snapshot)? {
        let is_touched = known.is_none_or(|news| news.rooms.contains_key(&room.row));
        let is_typed_in = question.typing.rooms.contains_key(&room.id);
        if !(is_touched || is_typed_in) || !question.filter.has_room(&room.id) {
            continue;
        }
        let asked = question
            .endpoint
            .asked(question.snapshot, question.session, &room.id)?;
        let (id, is_since) = (room.id, asked.eyes.since() > question.since);
        match asked.eyes.now() {
            Some(Membership::Join) => {
                if let Some(block) = question.joined(&asked)? {
                    parts.join.insert(id, block);
                }
            }
            Some(Membership::Invite) if is_since && !asked.is_invited_in_vain()? => {
                parts.invite.insert(id, invited(&asked)?);
            }
            Some(Membership::Leave | Membership::Ban) => {
                let is_first = question.since == ChangeNumber::default();
                let is_wanted = is_since && !is_first
                    || question.filter.include_leave && (is_first || question.full_state);
                let account = question.session.account;
                if is_wanted && !asked.room.is_forgotten(account, &asked.eyes)? {
                    parts.leave.insert(id, question.left(&asked)?);
                }
            }
            Some(Membership::Invite) | None => {}
        }
    }
    Ok(parts)
}

/// An end of a room's timeline.
pub(super) struct Stretch {
    /// Oldest first.
    pub(super) events: Vec<Event>,
    /// Whether there is more between it and what the client has.
    pub(super) limited: bool,
    /// The place before its first event.
    start: ChangeNumber,
}

impl Question<'_> {
    /// The newest events after a change, as far as they are seen and wanted.
    pub(super) fn stretch(
        &self,
        asked: &Asked<'_>,
        after: ChangeNumber,
        until: ChangeNumber,
    ) -> Result<Stretch, StoreError> {
        let filter = &self.filter.timeline;
        let limit = match filter.limit {
            Some(0) => 0,
            _ => limit(filter),
        };
        let is_wanted = filter.has_room(&asked.room.id);
        let mut stretch = Stretch {
            events: Vec::new(),
            limited: false,
            start: ChangeNumber(
                self.snapshot
                    .last_change()?
                    .0
                    .min(until.0)
                    .saturating_add(1),
            ),
        };
        let walk = asked.room.walk(Bound::Included(until), Direction::Backward);
        for (looked_at, event) in walk.enumerate() {
            let event = event?;
            if event.at <= after {
                break;
            }
            let is_seen = asked.eyes.see(&event);
            // State that is not seen and that nothing newer replaced comes as the state before what is newer.
            if !stretch.events.is_empty() && !is_seen && asked.room.holds(&event, until)? {
                stretch.limited = true;
                break;
            }
            if !is_wanted || !is_seen || !asked.wants(&event, filter)? {
                if looked_at >= PAGE_LOOKED_AT {
                    stretch.limited = true;
                    break;
                }
                continue;
            }
            if stretch.events.len() == limit {
                stretch.limited = true;
                break;
            }
            stretch.start = event.at;
            stretch.events.push(event);
        }
        stretch.events.reverse();
        Ok(stretch)
    }

    /// The state before a stretch: all of it, or what changed since the client looked.
    fn state(
        &self,
        asked: &Asked<'_>,
        stretch: &Stretch,
        is_whole: bool,
    ) -> Result<Vec<Event>, StoreError> {
        let filter = &self.filter.state;
        let before = ChangeNumber(stretch.start.0.saturating_sub(1));
        let state = asked.room.state(before)?;
        let heroes = state.heroes(&asked.user).unwrap_or_default();
        let is_lazy = self.filter.is_lazy();
        let is_needed = |event: &Event| {
            let key = event.state_key.as_deref().unwrap_or_default();
            event.kind != MEMBER
                || !is_lazy
                || !is_whole
                || key == asked.user
                || heroes.contains(&key)
        };
        let mut sent: Vec<Event> = Vec::new();
        for event in state.iter() {
            if (is_whole || event.at > self.since) && is_needed(event) {
                sent.push(event.clone());
            }
        }
        let mut known = self.known.borrow_mut();
        if is_lazy {
            let is_told = is_whole || self.filter.is_redundant();
            let has = |member: &Event| known.has(asked.room.row, member);
            for event in &stretch.events {
                let member = state.get(MEMBER, &event.sender);
                let is_missing =
                    |member: &&Event| !sent.contains(member) && (is_told || !has(member));
                if let Some(member) = member.filter(is_missing) {
                    sent.push(member.clone());
                }
            }
        }
        let is_wanted = filter.has_room(&asked.room.id);
        sent.retain(|event| is_wanted && filter.lets_through(event));
        known.add(asked.room.row, sent.iter().chain(&stretch.events));
        Ok(sent)
    }

    /// The block of a room that the user is in; `None` where nothing is new.
    fn joined(&self, asked: &Asked<'_>) -> Result<Option<Value>, MatrixError> {
        let is_new = self.since == ChangeNumber::default()
            || asked.eyes.membership(self.since) != Some(Membership::Join);
        let after = if is_new {
            ChangeNumber::default()
        } else {
            self.since
        };
        let mut stretch = self.stretch(asked, after, NOW)?;
        // What the client has of an earlier stay is not continued.
        stretch.limited |= is_new && asked.eyes.was_joined_until(self.since);
        let is_whole = is_new || self.full_state;
        let state = self.state(asked, &stretch, is_whole)?;
        let ephemeral = self.ephemeral(asked, after)?;
        let account = self.session.account;
        let mut data =
            account_data::account_data_after(self.snapshot, asked.room.row, account, after)?;
        for held in self.snapshot.receipts(account, asked.room.row)? {
            if held.kind == FULLY_READ && held.receipt.change > after {
                let content = json!({ "event_id": held.receipt.event_id });
                data.push(account_data::DataEvent::new(FULLY_READ, &content));
            }
        }
        data.retain(|event| self.filter.account_data.has_type(&event.kind));
        let is_news = !stretch.events.is_empty()
            || stretch.limited
            || !state.is_empty()
            || !ephemeral.is_empty()
            || !data.is_empty();
        if !is_new && !is_news {
            return Ok(None);
        }
        let now = asked.room.state(NOW)?;
        let counts = unread::counts(asked, &now, self.rules)?;
        let mut block = asked.block(&stretch, &state)?;
        set(&mut block, "ephemeral", json!({ "events": ephemeral }));
        set(&mut block, "account_data", json!({ "events": data }));
        let unread = if self.filter.timeline.unread_thread_notifications {
            if let Some(threads) = counts.threads_json() {
                set(&mut block, "unread_thread_notifications", threads);
            }
            counts.main
        } else {
            counts.all()
        };
        set(&mut block, "unread_notifications", unread.json());
        set(&mut block, "summary", summary(&now, &asked.user));
        Ok(Some(block))
    }

    /// The block of a room that the user has left.
    fn left(&self, asked: &Asked<'_>) -> Result<Value, MatrixError> {
        let stretch = self.stretch(asked, self.since, asked.eyes.since())?;
        let state = if asked.eyes.was_ever_joined() {
            let is_new = asked.eyes.membership(self.since) != Some(Membership::Join);
            self.state(asked, &stretch, is_new)?
        } else {
            Vec::new()
        };
        let mut block = asked.block(&stretch, &state)?;
        set(&mut block, "account_data", json!({ "events": [] }));
        Ok(block)
    }

    /// Receipts after a change, and who types.
    fn ephemeral(&self, asked: &Asked<'_>, after: ChangeNumber) -> Result<Vec<Value>, MatrixError> {
        let filter = &self.filter.ephemeral;
        let mut events = Vec::new();
        let receipts = receipts(asked, after)?;
        if !receipts.is_empty() {
            events.push(("m.receipt", Value::Object(receipts)));
        }
        if let Some(users) = self.typing.rooms.get(&asked.room.id) {
            events.push(("m.typing", json!({ "user_ids": users })));
        }
        events.retain(|(kind, _)| filter.has_type(kind) && filter.has_room(&asked.room.id));
        let written = events.into_iter();
        Ok(written
            .map(|(kind, content)| json!({ "type": kind, "content": content }))
            .collect())
    }
}

impl Asked<'_> {
    /// What every block has.
    pub(super) fn block(&self, stretch: &Stretch, state: &[Event]) -> Result<Value, MatrixError> {
        let reader = Reader {
            is_in_room: true,
            ..self.reader()
        };
        let mut timeline = Vec::with_capacity(stretch.events.len());
        for event in &stretch.events {
            timeline.push(event.json(&reader, self.bundle(event, &reader)?));
        }
        let state = state.iter().map(|event| event.json(&reader, None));
        let end = stretch
            .events
            .first()
            .map_or(stretch.start, |first| first.at);
        Ok(json!({
            "timeline": {
                "events": timeline,
                "limited": stretch.limited,
                "prev_batch": token_before(end),
            },
            "state": { "events": state.collect::<Vec<_>>() },
        }))
    }
}

/// The content of `m.receipt`: what everybody said after a change of how far they have read. What somebody keeps to
/// themselves is told to themselves.
pub(super) fn receipts(
    asked: &Asked<'_>,
    after: ChangeNumber,
) -> Result<Map<String, Value>, MatrixError> {
    let mut by_event = Map::new();
    let snapshot = asked.room.snapshot;
    for (account, _) in snapshot.users()? {
        let user = asked.endpoint.user_of(account)?;
        for held in snapshot.receipts(account, asked.room.row)? {
            let is_told = match held.kind.as_str() {
                READ => true,
                READ_PRIVATE => account == asked.session.account,
                _ => false,
            };
            if !is_told || held.receipt.change <= after {
                continue;
            }
            let mut said = json!({ "ts": held.receipt.at.unix_millis() });
            if let Some(thread) = held.receipt.thread {
                set(&mut said, "thread_id", thread);
            }
            let of_event = by_event
                .entry(held.receipt.event_id)
                .or_insert_with(|| json!({}));
            if let Some(of_event) = of_event.as_object_mut() {
                let users = of_event.entry(held.kind).or_insert_with(|| json!({}));
                set(users, &user, said);
            }
        }
    }
    Ok(by_event)
}

/// What somebody who is invited is told of a room.
pub(super) fn invited(asked: &Asked<'_>) -> Result<Value, MatrixError> {
    let mut events = Vec::new();
    let own = asked.room.piece(MEMBER, &asked.user, NOW)?;
    let as_of = own.as_ref().map_or(NOW, |own| own.at);
    for kind in [
        CREATE,
        JOIN_RULES,
        NAME,
        TOPIC,
        AVATAR,
        ENCRYPTION,
        "m.room.canonical_alias",
    ] {
        events.extend(asked.room.piece(kind, "", as_of)?);
    }
    if let Some(own) = own {
        events.extend(asked.room.piece(MEMBER, &own.sender, as_of)?);
        events.push(own);
    }
    let stripped = events.iter().map(Event::stripped);
    Ok(json!({ "invite_state": { "events": stripped.collect::<Vec<_>>() } }))
}

fn summary(state: &State, own: &str) -> Value {
    let mut summary = json!({
        "m.joined_member_count": state.joined().count(),
        "m.invited_member_count": state.members(Membership::Invite).count(),
    });
    if let Some(heroes) = state.heroes(own) {
        set(&mut summary, "m.heroes", json!(heroes));
    }
    summary
}
