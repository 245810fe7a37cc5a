//! What belongs to what in local rooms: edits, reactions, threads. Kept in memory, read from the log once and then as far
//! as it has grown.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::base::ids::ChangeNumber;
use crate::base::ids::RowId;
use crate::deliver::endpoint::Endpoint;
use crate::deliver::endpoint::call::Answer;
use crate::deliver::endpoint::call::Call;
use crate::deliver::endpoint::call::json;
use crate::deliver::endpoint::error::MatrixError;
use crate::deliver::endpoint::filters::EventFilter;
use crate::deliver::endpoint::history::direction;
use crate::deliver::endpoint::history::limit;
use crate::deliver::endpoint::local::Asked;
use crate::deliver::endpoint::local::event::Event;
use crate::deliver::endpoint::local::event::Reader;
use crate::deliver::endpoint::local::event::set;
use crate::deliver::endpoint::local::place_of_token;
use crate::deliver::endpoint::local::room::LocalRoom;
use crate::deliver::endpoint::local::token_before;
use crate::deliver::endpoint::local::token_behind;
use crate::store::Direction;
use crate::store::StoreError;

/// What belongs to what, by room.
#[derive(Default)]
pub(in crate::deliver::endpoint) struct Relations(Mutex<HashMap<RowId, Arc<Children>>>);

/// What belongs to what in one room.
#[derive(Clone, Default)]
pub(super) struct Children {
    /// Read up to this event.
    until: ChangeNumber,
    /// By the event that others belong to, in order.
    by_parent: HashMap<String, Vec<ChangeNumber>>,
    /// The newest event of each thread, by its root.
    threads: BTreeMap<String, ChangeNumber>,
}

impl Relations {
    /// Of a room, at least as far as its snapshot goes.
    fn of(&self, room: &LocalRoom<'_>) -> Result<Arc<Children>, StoreError> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let children = held.entry(room.row).or_default();
        let from = Bound::Excluded(children.until);
        for event in room.walk(from, Direction::Forward) {
            let event = event?;
            let children = Arc::make_mut(children);
            children.until = event.at;
            if let Some((rel_type, parent)) = event.relation() {
                let list = children.by_parent.entry(parent.to_owned()).or_default();
                list.push(event.at);
                if rel_type == "m.thread" {
                    children.threads.insert(parent.to_owned(), event.at);
                }
            }
        }
        Ok(Arc::clone(children))
    }
}

impl Asked<'_> {
    /// The events that belong to one, in order, as far as who asks sees them and they were not redacted.
    pub(super) fn children(
        &self,
        parent: &str,
        rel_type: Option<&str>,
    ) -> Result<Vec<Event>, StoreError> {
        let children = self.endpoint.relations.of(&self.room)?;
        let mut events = Vec::new();
        for at in children.by_parent.get(parent).into_iter().flatten() {
            let Some(event) = self.room.at(*at)? else {
                continue;
            };
            let is_wanted = event
                .relation()
                .is_some_and(|(held, _)| rel_type.is_none_or(|wanted| wanted == held));
            if is_wanted && self.eyes.see(&event) {
                events.push(event);
            }
        }
        Ok(events)
    }

    /// Whether a filter lets an event through, by everything but its room.
    pub(super) fn wants(&self, event: &Event, filter: &EventFilter) -> Result<bool, StoreError> {
        if !filter.lets_through(event) {
            return Ok(false);
        }
        let (senders, kinds) = (&filter.related_by_senders, &filter.related_by_rel_types);
        if senders.is_none() && kinds.is_none() {
            return Ok(true);
        }
        let is_named = |list: &Option<Vec<String>>, name: &str| {
            list.as_ref()
                .is_none_or(|list| list.iter().any(|named| named == name))
        };
        let is_meant = |child: &Event| {
            let kind = child.relation().map(|(kind, _)| kind);
            is_named(senders, &child.sender) && is_named(kinds, kind.unwrap_or_default())
        };
        let children = self.children(&event.event_id, None)?;
        Ok(children.iter().any(is_meant))
    }

    /// What is served with an event: its newest edit, what refers to it, its thread. Reactions are not.
    pub(super) fn bundle(
        &self,
        event: &Event,
        reader: &Reader<'_>,
    ) -> Result<Option<Value>, MatrixError> {
        let children = self.children(&event.event_id, None)?;
        if children.is_empty() {
            return Ok(None);
        }
        let of = |rel_type: &'static str| {
            let is_it =
                move |child: &&Event| child.relation().is_some_and(|(held, _)| held == rel_type);
            children.iter().filter(is_it)
        };
        let mut bundle = Map::new();
        let edits = of("m.replace").filter(|edit| {
            edit.sender == event.sender && edit.kind == event.kind && event.state_key.is_none()
        });
        let newest = edits.max_by_key(|edit| (edit.origin_server_ts, &edit.event_id));
        if let Some(edit) = newest.filter(|_| event.redacted_because.is_none()) {
            bundle.insert("m.replace".to_owned(), edit.json(reader, None));
        }
        let references = of("m.reference").map(|child| json!({ "event_id": child.event_id }));
        let references: Vec<Value> = references.collect();
        if !references.is_empty() {
            bundle.insert("m.reference".to_owned(), json!({ "chunk": references }));
        }
        if let Some(latest) = of("m.thread").next_back() {
            let replies = of("m.thread");
            let has_written =
                event.sender == self.user || of("m.thread").any(|reply| reply.sender == self.user);
            let thread = json!({
                "latest_event": latest.json(reader, self.bundle(latest, reader)?),
                "count": replies.count(),
                "current_user_participated": has_written,
            });
            bundle.insert("m.thread".to_owned(), thread);
        }
        Ok((!bundle.is_empty()).then_some(Value::Object(bundle)))
    }

    /// All that belongs to an event, and with `recurse` what belongs to that.
    fn descendants(
        &self,
        parent: &str,
        rel_type: Option<&str>,
        depth: usize,
    ) -> Result<Vec<Event>, StoreError> {
        let mut found = Vec::new();
        for child in self.children(parent, None)? {
            if depth > 0 {
                found.append(&mut self.descendants(&child.event_id, rel_type, depth - 1)?);
            }
            let held = child.relation().map(|(held, _)| held);
            if rel_type.is_none_or(|wanted| held == Some(wanted)) {
                found.push(child);
            }
        }
        Ok(found)
    }
}

/// `GET /_matrix/client/v1/rooms/{room}/relations/{event}[/{rel_type}[/{type}]]`.
pub(super) fn list(endpoint: &Endpoint, call: &Call) -> Answer {
    /// How far `recurse` goes.
    const DEPTH: usize = 3;

    let direction = direction(call)?;
    let limit = limit(call)?;
    let (rel_type, kind) = (call.captures.get("rel_type"), call.captures.get("type"));
    let recurses = call.param("recurse") == Some("true");
    let from = call.param("from").map(place_of_token).transpose()?;
    let to = call.param("to").map(place_of_token).transpose()?;
    endpoint.in_local(call, |asked| {
        asked.horizon()?;
        let parent = asked.event(call.segment("event"))?;
        let depth = if recurses { DEPTH } else { 0 };
        let mut children = asked.descendants(&parent.event_id, rel_type, depth)?;
        children.retain(|child| kind.is_none_or(|wanted| child.kind == wanted));
        children.sort_by_key(|child| child.at);
        if direction == Direction::Backward {
            children.reverse();
        }
        let (start, end) = match direction {
            Direction::Forward => (from, to),
            Direction::Backward => (to, from),
        };
        children.retain(|child| {
            start.is_none_or(|start| child.at >= start) && end.is_none_or(|end| child.at < end)
        });
        let rest = children.split_off(children.len().min(limit));
        let mut answer = json!({ "chunk": asked.list(&children)? });
        if let (Some(next), false) = (children.last(), rest.is_empty()) {
            set(
                &mut answer,
                "next_batch",
                match direction {
                    Direction::Forward => token_behind(next.at),
                    Direction::Backward => token_before(next.at),
                },
            );
        }
        if let (Some(from), Some(answer)) = (call.param("from"), answer.as_object_mut()) {
            answer.insert("prev_batch".to_owned(), from.into());
        }
        if recurses {
            set(&mut answer, "recursion_depth", DEPTH);
        }
        json(&answer)
    })
}

/// `GET /_matrix/client/v1/rooms/{room}/threads`: the roots of threads, the one with the newest event first.
pub(super) fn threads(endpoint: &Endpoint, call: &Call) -> Answer {
    let limit = limit(call)?;
    let is_own = match call.param("include") {
        None | Some("all") => false,
        Some("participated") => true,
        Some(_) => return Err(MatrixError::invalid("`include` is `all` or `participated`")),
    };
    let from = call.param("from").map(place_of_token).transpose()?;
    endpoint.in_local(call, |asked| {
        asked.horizon()?;
        let children = endpoint.relations.of(&asked.room)?;
        let mut threads: Vec<(ChangeNumber, &String)> = children
            .threads
            .iter()
            .map(|(root, at)| (*at, root))
            .collect();
        threads.sort_unstable_by(|one, other| other.cmp(one));
        let mut chunk = Vec::new();
        let mut next = None;
        let mut last = None;
        for (at, root) in threads {
            if from.is_some_and(|from| at >= from) {
                continue;
            }
            let Some(root) = asked.room.event(root)?.filter(|root| asked.eyes.see(root)) else {
                continue;
            };
            let event = asked.json(&root)?;
            // Where all that was said in it is redacted, or said by whom who asks ignores, there is no thread.
            let Some(thread) = event.pointer("/unsigned/m.relations/m.thread") else {
                continue;
            };
            if is_own && thread["current_user_participated"] != true {
                continue;
            }
            if chunk.len() == limit {
                next = last;
                break;
            }
            last = Some(at);
            chunk.push(event);
        }
        let mut answer = json!({ "chunk": chunk });
        if let Some(next) = next {
            set(&mut answer, "next_batch", token_before(next));
        }
        json(&answer)
    })
}
