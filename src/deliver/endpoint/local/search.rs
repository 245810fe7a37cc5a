//! `POST /search` over local rooms, in conformance mode: by reading them. There is no index, and no need for one.
//!
//! Source: `[mx v1.12] POST /search`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::base::limits::SEARCH_RESULTS;
use crate::deliver::endpoint::Endpoint;
use crate::deliver::endpoint::call::Answer;
use crate::deliver::endpoint::call::Call;
use crate::deliver::endpoint::call::json;
use crate::deliver::endpoint::call::or_default;
use crate::deliver::endpoint::error::MatrixError;
use crate::deliver::endpoint::filters::EventFilter;
use crate::deliver::endpoint::local::Asked;
use crate::deliver::endpoint::local::directory;
use crate::deliver::endpoint::local::event::Event;
use crate::deliver::endpoint::local::event::MEMBER;
use crate::deliver::endpoint::local::event::NAME;
use crate::deliver::endpoint::local::event::TOPIC;
use crate::deliver::endpoint::local::event::set;
use crate::deliver::endpoint::local::place_of_token;
use crate::deliver::endpoint::local::room::NOW;
use crate::deliver::endpoint::local::token_before;
use crate::deliver::endpoint::search::Grouping;
use crate::deliver::endpoint::search::Groupings;
use crate::deliver::endpoint::search::Neighbours;
use crate::deliver::endpoint::search::USUAL_RESULTS;
use crate::store::Direction;

#[derive(Deserialize)]
struct Body {
    search_categories: Categories,
}

#[derive(Deserialize)]
struct Categories {
    room_events: Option<Question>,
}

#[derive(Deserialize)]
struct Question {
    search_term: String,
    keys: Option<Vec<String>>,
    #[serde(default, deserialize_with = "or_default")]
    filter: EventFilter,
    event_context: Option<Neighbours>,
    #[serde(default, deserialize_with = "or_default")]
    include_state: bool,
    #[serde(default, deserialize_with = "or_default")]
    groupings: Groupings,
}

/// The words of a text.
fn words(text: &str) -> impl Iterator<Item = String> {
    let words = text.split(|c: char| !c.is_alphanumeric());
    words.filter(|word| !word.is_empty()).map(str::to_lowercase)
}

impl Question {
    /// The text of an event that is searched, if any is.
    fn searched<'e>(&self, event: &'e Event) -> Option<&'e str> {
        let (key, name) = match event.kind.as_str() {
            "m.room.message" => ("content.body", "body"),
            NAME => ("content.name", "name"),
            TOPIC => ("content.topic", "topic"),
            _ => return None,
        };
        let keys = self.keys.as_ref();
        let is_wanted = keys.is_none_or(|keys| keys.iter().any(|wanted| wanted == key));
        event.text(name).filter(|_| is_wanted)
    }

    fn is_met(&self, terms: &[String], event: &Event) -> bool {
        let Some(text) = self.searched(event) else {
            return false;
        };
        let held: Vec<String> = words(text).collect();
        !terms.is_empty() && terms.iter().all(|term| held.contains(term))
    }
}

/// `POST /_matrix/client/v3/search`. The newest come first, whatever order is asked for.
pub(super) fn search(endpoint: &Endpoint, call: &Call) -> Answer {
    let body: Body = call.json()?;
    let Some(question) = body.search_categories.room_events else {
        return json(&json!({ "search_categories": {} }));
    };
    let behind = call.param("next_batch").map(place_of_token).transpose()?;
    let snapshot = endpoint.store.snapshot()?;
    let session = call.session()?;
    let user = endpoint.user_of(session.account)?;
    let terms: Vec<String> = words(&question.search_term).collect();
    let mut rooms = Vec::new();
    for id in directory::joined(&snapshot, &user)? {
        if question.filter.has_room(&id) {
            rooms.push(endpoint.asked(&snapshot, session, &id)?);
        }
    }
    let mut hits: Vec<(&Asked<'_>, Event)> = Vec::new();
    for asked in &rooms {
        for event in asked
            .room
            .walk(std::ops::Bound::Unbounded, Direction::Backward)
        {
            let event = event?;
            if question.is_met(&terms, &event)
                && asked.eyes.see(&event)
                && asked.wants(&event, &question.filter)?
            {
                hits.push((asked, event));
            }
        }
    }
    hits.sort_by_key(|(_, event)| std::cmp::Reverse(event.at));
    let count = hits.len();
    hits.retain(|(_, event)| behind.is_none_or(|behind| event.at < behind));
    let limit = question
        .filter
        .limit
        .and_then(|limit| usize::try_from(limit).ok());
    let limit = limit.unwrap_or(USUAL_RESULTS).clamp(1, SEARCH_RESULTS);
    hits.truncate(limit);
    // Whether a full page is the last one is not looked at: the next one tells.
    let next = hits
        .last()
        .filter(|_| hits.len() == limit)
        .map(|(_, event)| token_before(event.at));
    let results: Result<Vec<Value>, MatrixError> = hits
        .iter()
        .map(|(asked, event)| question.result(asked, event))
        .collect();
    let mut found = json!({
        "count": count,
        "highlights": terms,
        "results": results?,
        "groups": question.groups(&hits),
    });
    if question.include_state {
        let mut states = Map::new();
        for (asked, _) in &hits {
            let reader = asked.reader();
            let state = asked.room.state(NOW)?;
            let events = state.iter().map(|event| event.json(&reader, None));
            states.insert(asked.room.id.clone(), events.collect());
        }
        set(&mut found, "state", Value::Object(states));
    }
    if let Some(next) = next {
        set(&mut found, "next_batch", next);
    }
    json(&json!({ "search_categories": { "room_events": found } }))
}

impl Question {
    fn result(&self, asked: &Asked<'_>, event: &Event) -> Result<Value, MatrixError> {
        let mut result = json!({ "rank": 1, "result": asked.json(event)? });
        let Some(neighbours) = &self.event_context else {
            return Ok(result);
        };
        let around = asked.around(event, neighbours.limits(), &EventFilter::default())?;
        let (before, after) = (&around.before.events, &around.after.events);
        let mut context = json!({
            "start": around.start(),
            "end": around.end(event),
            "events_before": asked.list(before)?,
            "events_after": asked.list(after)?,
        });
        if neighbours.include_profile {
            let mut profiles = Map::new();
            for writer in before
                .iter()
                .chain(after)
                .chain([event])
                .map(|event| &event.sender)
            {
                if let Some(member) = asked.room.piece(MEMBER, writer, NOW)? {
                    let profile = json!({
                        "displayname": member.content.get("displayname"),
                        "avatar_url": member.content.get("avatar_url"),
                    });
                    profiles.insert(writer.clone(), profile);
                }
            }
            set(&mut context, "profile_info", profiles);
        }
        set(&mut result, "context", context);
        Ok(result)
    }

    /// The results by room or by sender, as far as that is asked for.
    fn groups(&self, hits: &[(&Asked<'_>, Event)]) -> Value {
        let mut groups = Map::new();
        for Grouping { key } in &self.groupings.group_by {
            let mut of_key: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
            for (asked, event) in hits {
                let group = match key.as_str() {
                    "room_id" => asked.room.id.as_str(),
                    "sender" => event.sender.as_str(),
                    _ => continue,
                };
                of_key.entry(group).or_default().push(&event.event_id);
            }
            let numbered = (1..).zip(of_key);
            let written: Map<String, Value> = numbered
                .map(|(order, (group, results))| {
                    (
                        group.to_owned(),
                        json!({ "order": order, "results": results }),
                    )
                })
                .collect();
            groups.insert(key.clone(), Value::Object(written));
        }
        Value::Object(groups)
    }
}
