//! Finding messages by their words: `POST /search` over the archive's own index.
//!
//! The index proposes messages, their texts decide, and of each message that answers the event is shown that holds the
//! words. Words are those of `footbridge search`, and the last one may go on: clients search while a person types. What
//! makes no question (no word, an open quotation mark) finds nothing; it is no error.
//!
//! One request looks at so many messages, the newest by arrival, and for so long; beyond that `count` says too little,
//! as the specification allows. A page goes on behind the last result of the one before: its place in the order, so that
//! messages that arrive meanwhile move nothing.
//!
//! Source: `[mx v1.12] POST /search`; `facts` of the endpoint, 8.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use serde::Deserialize;
use serde_json::Value;
use serde_json::json;
use serde_json::value::RawValue;

use crate::base::ids::ChangeNumber;
use crate::base::ids::RowId;
use crate::base::limits::SEARCH_CANDIDATES;
use crate::base::limits::SEARCH_NEIGHBOURS;
use crate::base::limits::SEARCH_RESULTS;
use crate::base::limits::SEARCH_TIME;
use crate::base::time::AppleTime;
use crate::deliver::endpoint::Endpoint;
use crate::deliver::endpoint::call::Answer;
use crate::deliver::endpoint::call::Call;
use crate::deliver::endpoint::call::json;
use crate::deliver::endpoint::error::MatrixError;
use crate::deliver::endpoint::filters::EventFilter;
use crate::deliver::endpoint::present::Present;
use crate::deliver::endpoint::rooms::Room;
use crate::deliver::endpoint::route::Route;
use crate::deliver::endpoint::token::Between;
use crate::deliver::endpoint::view::Placed;
use crate::deliver::endpoint::view::View;
use crate::deliver::endpoint::view::place_of;
use crate::matrix::event::Event;
use crate::matrix::event_id::EventKind;
use crate::matrix::json::Form;
use crate::net::Method;
use crate::store::Snapshot;
use crate::store::StoreError;
use crate::store::search::Query;
use crate::store::searchable;

/// Results of a page, and neighbours of a result, when a client does not say.
pub(super) const USUAL_RESULTS: usize = 10;
const USUAL_NEIGHBOURS: usize = 5;

/// The one key that has an index.
const BODY: &str = "content.body";

pub(super) fn routes() -> Vec<Route> {
    vec![Route::new(Method::POST, "/search", search)]
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    search_categories: Categories,
}

#[derive(Default, Deserialize)]
struct Categories {
    room_events: Option<Question>,
}

/// What to look for.
#[derive(Deserialize)]
struct Question {
    #[serde(default)]
    search_term: String,
    keys: Option<Vec<String>>,
    #[serde(default)]
    filter: EventFilter,
    #[serde(default)]
    order_by: Order,
    event_context: Option<Neighbours>,
    #[serde(default)]
    include_state: bool,
    #[serde(default)]
    groupings: Groupings,
}

#[derive(Clone, Copy, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Order {
    #[default]
    Rank,
    Recent,
}

/// What of a result's neighbours is wanted.
#[derive(Deserialize)]
pub(super) struct Neighbours {
    before_limit: Option<usize>,
    after_limit: Option<usize>,
    #[serde(default)]
    pub(super) include_profile: bool,
}

impl Neighbours {
    /// How many before and after it.
    pub(super) fn limits(&self) -> (usize, usize) {
        let many = |limit: Option<usize>| limit.unwrap_or(USUAL_NEIGHBOURS).min(SEARCH_NEIGHBOURS);
        (many(self.before_limit), many(self.after_limit))
    }
}

/// How the results are grouped.
#[derive(Default, Deserialize)]
pub(super) struct Groupings {
    #[serde(default)]
    pub(super) group_by: Vec<Grouping>,
}

#[derive(Deserialize)]
pub(super) struct Grouping {
    /// `room_id` or `sender`.
    pub(super) key: String,
}

/// A message's place among the results, the best last: how many places in it hold words if that counts, then its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Standing {
    rank: u32,
    at: Between,
}

impl Standing {
    fn parse(token: &str) -> Option<Self> {
        let (rank, at) = token.strip_prefix('r')?.split_once('.')?;
        Some(Self {
            rank: u32::from_str_radix(rank, 16).ok()?,
            at: Between::parse(at)?,
        })
    }

    fn token(self) -> String {
        format!("r{:x}.{}", self.rank, self.at)
    }
}

/// A message that answers.
struct Hit<'a> {
    standing: Standing,
    /// How many places in it hold words.
    places: u32,
    row: RowId,
    room: &'a Room,
}

/// `POST /_matrix/client/v3/search`.
fn search(endpoint: &Endpoint, call: &Call) -> Answer {
    let body: Body = call.json()?;
    let Some(question) = body.search_categories.room_events else {
        return json(&json!({ "search_categories": {} }));
    };
    let behind = match call.param("next_batch").map(Standing::parse) {
        Some(None) => {
            return Err(MatrixError::invalid("that token is none of this server's"));
        }
        Some(standing) => standing,
        None => None,
    };
    let has_index = |keys: &Vec<String>| keys.iter().any(|key| key == BODY);
    let query = Query::parse(&format!("{}*", question.search_term)).ok();
    let query = query.filter(|_| question.keys.as_ref().is_none_or(has_index));
    let Some(query) = query else {
        return json(&answer(&Page::default()));
    };
    let (snapshot, present) = endpoint.now()?;
    let mut search = Search {
        endpoint,
        snapshot: &snapshot,
        present: &present,
        question: &question,
        query: &query,
        views: HashMap::new(),
        now: endpoint.clock.now(),
    };
    let hits = search.hits()?;
    json(&answer(&search.page(hits, behind)?))
}

/// One search.
struct Search<'a> {
    endpoint: &'a Endpoint,
    snapshot: &'a Snapshot,
    present: &'a Present,
    question: &'a Question,
    query: &'a Query,
    /// Of the rooms that were looked into, by their conversation.
    views: HashMap<RowId, View<'a>>,
    now: AppleTime,
}

impl<'a> Search<'a> {
    /// Whether the time of this search is over.
    fn is_late(&self) -> bool {
        self.endpoint.clock.now() > self.now.plus(SEARCH_TIME)
    }

    /// All messages that answer, the best first.
    fn hits(&mut self) -> Result<Vec<Hit<'a>>, StoreError> {
        // Names are not part of what an event says.
        let nobody = |_: &_| Vec::new();
        let mut hits = Vec::new();
        let candidates = self
            .snapshot
            .some_candidates(self.query, &nobody, SEARCH_CANDIDATES)?;
        for row in candidates {
            if self.is_late() {
                break;
            }
            hits.extend(self.look(row)?);
        }
        hits.sort_unstable_by_key(|hit| std::cmp::Reverse(hit.standing));
        Ok(hits)
    }

    /// Whether a message answers and is to be seen in one of the wanted rooms.
    fn look(&mut self, row: RowId) -> Result<Option<Hit<'a>>, StoreError> {
        let snapshot = self.snapshot;
        let mut stored = snapshot.message(row)?;
        let room = stored
            .conversation
            .and_then(|row| self.present.rooms.of(row));
        let (Some(conversation), Some(room)) = (stored.conversation, room) else {
            return Ok(None);
        };
        if !self.question.filter.has_room(room.id.as_str())
            || stored.duplicate_of.is_some()
            || stored.message.times.deleted.is_some()
            || self
                .view(room)?
                .since(conversation, stored.change_of(0))
                .is_none()
        {
            return Ok(None);
        }
        snapshot.add_attachments(&mut stored)?;
        let texts = searchable(&stored.message);
        let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
        let Some(places) = self.query.matches(&texts, &[]) else {
            return Ok(None);
        };
        let places = u32::try_from(places.len()).unwrap_or(u32::MAX);
        let rank = match self.question.order_by {
            Order::Rank => places,
            Order::Recent => 0,
        };
        let at = Between::before(place_of(&stored, row, 0));
        Ok(Some(Hit {
            standing: Standing { rank, at },
            places,
            row,
            room,
        }))
    }

    fn view(&mut self, room: &'a Room) -> Result<&View<'a>, StoreError> {
        Ok(match self.views.entry(room.conversation) {
            Entry::Occupied(held) => held.into_mut(),
            Entry::Vacant(place) => {
                place.insert(self.endpoint.view(self.snapshot, self.present, room)?)
            }
        })
    }

    /// The results behind a place, as many as are wanted.
    fn page(&mut self, hits: Vec<Hit<'a>>, behind: Option<Standing>) -> Result<Page, MatrixError> {
        let limit = self.question.filter.limit;
        let limit = limit.map_or(USUAL_RESULTS, |limit| {
            usize::try_from(limit).unwrap_or(usize::MAX)
        });
        let limit = limit.clamp(1, SEARCH_RESULTS);
        let mut page = Page {
            count: hits.len(),
            ..Page::default()
        };
        let mut states: HashMap<RowId, Vec<Event>> = HashMap::new();
        let mut last = None;
        for hit in hits {
            if behind.is_some_and(|behind| hit.standing >= behind) {
                continue;
            }
            if page.results.len() == limit || (last.is_some() && self.is_late()) {
                page.next_batch = last.map(Standing::token);
                break;
            }
            last = Some(hit.standing);
            let Some(placed) = self.event(&hit)? else {
                continue;
            };
            let state = match states.entry(hit.room.conversation) {
                Entry::Occupied(held) => held.into_mut(),
                Entry::Vacant(place) => place.insert(self.view(hit.room)?.state()?),
            };
            self.add(&mut page, &hit, &placed, state)?;
        }
        if self.question.include_state {
            let now = self.now.unix_millis();
            for (conversation, state) in &states {
                let Some(view) = self.views.get(conversation) else {
                    continue;
                };
                let events = state
                    .iter()
                    .map(|event| view.state_json(event, Form::Alone, now));
                let room = view.room.id.as_str().to_owned();
                page.state.insert(room, events.collect());
            }
        }
        Ok(page)
    }

    /// The event of a message that holds the words: else its first, as when they stand in a link's title.
    fn event(&mut self, hit: &Hit<'a>) -> Result<Option<Placed>, StoreError> {
        let (query, filter) = (self.query, &self.question.filter);
        let events = self
            .view(hit.room)?
            .news_of(hit.row, ChangeNumber::default())?;
        let is_said = |placed: &Placed| {
            matches!(
                placed.event.key.kind,
                EventKind::Part | EventKind::Announcement
            ) && !placed.event.is_redacted()
        };
        let mut said: Vec<Placed> = events.into_iter().filter(is_said).collect();
        let holds = |placed: &Placed| query.matches(&[body_of(placed)], &[]).is_some();
        let at = said.iter().position(holds).unwrap_or_default();
        let found = (at < said.len()).then(|| said.swap_remove(at));
        Ok(found.filter(|placed| filter.admits(&placed.event)))
    }

    /// Puts a result on the page.
    fn add(
        &mut self,
        page: &mut Page,
        hit: &Hit<'a>,
        placed: &Placed,
        state: &[Event],
    ) -> Result<(), MatrixError> {
        let (question, query) = (self.question, self.query);
        let now = self.now.unix_millis();
        let view = self.view(hit.room)?;
        let body = body_of(placed);
        for place in query.matches(&[body], &[]).unwrap_or_default() {
            let written = body.get(place.range).unwrap_or_default().to_lowercase();
            if !page.highlights.contains(&written) {
                page.highlights.push(written);
            }
        }
        let id = view.room.id.event_id(&placed.event.key);
        let mut result = json!({
            "rank": hit.places,
            "result": view.client_json(placed, Form::Alone, now),
        });
        if let (Some(wanted), Some(result)) = (&question.event_context, result.as_object_mut()) {
            let context = neighbours(view, &id, wanted, state, now)?;
            result.insert("context".to_owned(), context);
        }
        for grouping in &question.groupings.group_by {
            let group = match grouping.key.as_str() {
                "room_id" => view.room.id.as_str(),
                "sender" => placed.event.sender.as_str(),
                _ => continue,
            };
            let groups = page.groups.entry(grouping.key.clone()).or_default();
            groups.entry(group.to_owned()).or_default().push(id.clone());
        }
        page.results.push(result);
        Ok(())
    }
}

/// The text of an event, its newest.
fn body_of(placed: &Placed) -> &str {
    let edited = placed
        .edit
        .as_ref()
        .and_then(|edit| edit.content.get("m.new_content"));
    let body = match edited {
        Some(content) => content.get("body"),
        None => placed.event.content.get("body"),
    };
    body.and_then(Value::as_str).unwrap_or_default()
}

/// What stands around a result.
fn neighbours(
    view: &View<'_>,
    id: &str,
    wanted: &Neighbours,
    state: &[Event],
    now: i64,
) -> Result<Value, MatrixError> {
    let (before, after) = wanted.limits();
    let around = view.context(id, before, after, &EventFilter::default())?;
    let list = |placed: &[Placed]| -> Vec<Box<RawValue>> {
        let shown = placed
            .iter()
            .map(|placed| view.client_json(placed, Form::Alone, now));
        shown.collect()
    };
    let mut context = json!({
        "start": around.start.to_string(),
        "end": around.end.to_string(),
        "events_before": list(&around.before),
        "events_after": list(&around.after),
    });
    if let (true, Some(context)) = (wanted.include_profile, context.as_object_mut()) {
        let all = around
            .before
            .iter()
            .chain(&around.after)
            .chain([&around.event]);
        let members = view.members_of(state, all.map(|placed| &placed.event));
        let profiles = members.iter().map(|member| {
            let mut profile = member.content.clone();
            profile.retain(|key, _| matches!(key.as_str(), "displayname" | "avatar_url"));
            (member.state_key.clone().unwrap_or_default(), profile.into())
        });
        let profiles: serde_json::Map<String, Value> = profiles.collect();
        context.insert("profile_info".to_owned(), profiles.into());
    }
    Ok(context)
}

/// Results in the order in which they are shown.
#[derive(Default)]
struct Page {
    /// How many messages answer.
    count: usize,
    /// The words as they are written in the results.
    highlights: Vec<String>,
    results: Vec<Value>,
    state: BTreeMap<String, Vec<Box<RawValue>>>,
    /// Ids of results, by key and group.
    groups: BTreeMap<String, BTreeMap<String, Vec<String>>>,
    next_batch: Option<String>,
}

fn answer(page: &Page) -> Value {
    let groups: BTreeMap<&String, BTreeMap<&String, Value>> = page
        .groups
        .iter()
        .map(|(key, groups)| {
            let groups = (0..).zip(groups).map(|(order, (group, results))| {
                let order: u32 = order;
                (group, json!({ "order": order, "results": results }))
            });
            (key, groups.collect())
        })
        .collect();
    let mut found = json!({
        "count": page.count,
        "highlights": page.highlights,
        "results": page.results,
        "state": page.state,
        "groups": groups,
    });
    if let (Some(next), Some(found)) = (&page.next_batch, found.as_object_mut()) {
        found.insert("next_batch".to_owned(), next.as_str().into());
    }
    json!({ "search_categories": { "room_events": found } })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use serde_json::json;

    use crate::deliver::endpoint::testing::ADA;
    use crate::deliver::endpoint::testing::ANN;
    use crate::deliver::endpoint::testing::BOB;
    use crate::deliver::endpoint::testing::WALK;
    use crate::deliver::endpoint::testing::World;
    use crate::deliver::endpoint::testing::said;
    use crate::store::Page;

    /// Asks with these members of `room_events`.
    async fn ask(world: &World, question: Value, next_batch: &str) -> Value {
        let body = json!({ "search_categories": { "room_events": question } });
        let path = format!("/search?next_batch={next_batch}");
        let answer = world.post(&path, body).await;
        answer.ok()["search_categories"]["room_events"].clone()
    }

    /// The texts of the results for some words, newest first.
    async fn found(world: &World, words: &str, filter: Value) -> Vec<String> {
        let question = json!({ "search_term": words, "order_by": "recent", "filter": filter });
        bodies(&ask(world, question, "").await)
    }

    fn bodies(answer: &Value) -> Vec<String> {
        let results = answer["results"].as_array().unwrap().iter();
        let body = |result: &Value| {
            result["result"]["content"]["body"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        results.map(body).collect()
    }

    #[tokio::test]
    async fn words_are_found_whatever_their_case_and_the_last_one_may_go_on() {
        let world = World::new();

        let question = json!({ "search_term": "THE k", "order_by": "recent" });
        let answer = ask(&world, question, "").await;

        assert_eq!(bodies(&answer), ["The keys are under the mat"]);
        assert_eq!(answer["count"], 1);
        assert_eq!(answer["highlights"], json!(["the", "keys"]));
        let result = &answer["results"][0]["result"];
        assert_eq!(result["room_id"], world.room(BOB));
        assert_eq!(result["sender"], world.ghost(BOB));
        assert_eq!(answer["next_batch"], Value::Null);
        assert_eq!(answer["results"][0]["context"], Value::Null);
    }

    #[tokio::test]
    async fn what_makes_no_question_finds_nothing() {
        let world = World::new();
        for words in ["", "  ", "?!", "\"open", "nowhere"] {
            assert_eq!(found(&world, words, json!({})).await, [""; 0], "{words}");
        }

        let by_name = json!({ "search_term": "walk", "keys": ["content.name"] });
        let both = json!({ "search_term": "walks", "keys": ["content.name", "content.body"] });
        let none = world
            .post("/search", json!({ "search_categories": {} }))
            .await
            .ok();

        assert_eq!(ask(&world, by_name, "").await["count"], 0);
        assert_eq!(ask(&world, both, "").await["count"], 1);
        assert_eq!(none, json!({ "search_categories": {} }));
        let refused = world.post(
            "/search?next_batch=x",
            json!({
                "search_categories": { "room_events": { "search_term": "x" } },
            }),
        );
        assert_eq!(refused.await.refusal(), (400, "M_INVALID_PARAM"));
    }

    #[tokio::test]
    async fn a_filter_says_which_rooms_senders_and_types() {
        let world = World::new();
        world.add(Page {
            messages: vec![
                said(ANN, 10, Some(ANN), "apple one"),
                said(BOB, 11, Some(BOB), "apple two"),
                said(WALK, 12, Some(BOB), "apple three"),
                said(WALK, 13, None, "apple four"),
            ],
            ..Page::default()
        });
        let (walk, bob) = (world.room(WALK), world.ghost(BOB));

        let all = ["apple four", "apple three", "apple two", "apple one"];
        assert_eq!(found(&world, "apple", json!({})).await, all);
        for (filter, expected) in [
            (
                json!({ "rooms": [walk] }),
                &["apple four", "apple three"][..],
            ),
            (json!({ "not_rooms": [walk] }), &["apple two", "apple one"]),
            (json!({ "rooms": [] }), &[]),
            (json!({ "rooms": ["!other:example.org"] }), &[]),
            (json!({ "senders": [bob] }), &["apple three", "apple two"]),
            (json!({ "senders": [ADA] }), &["apple four"]),
            (json!({ "not_senders": [ADA, bob] }), &["apple one"]),
            (json!({ "types": ["m.room.message"] }), &all),
            (json!({ "types": ["m.sticker"] }), &[]),
        ] {
            assert_eq!(
                found(&world, "apple", filter.clone()).await,
                expected,
                "{filter}"
            );
        }
    }

    #[tokio::test]
    async fn pages_follow_each_other_though_messages_arrive() {
        for order in ["recent", "rank"] {
            let world = World::new();
            let page = |minutes: std::ops::Range<u16>| Page {
                messages: minutes
                    .map(|minute| said(ANN, minute, Some(ANN), &format!("pear {minute}")))
                    .collect(),
                ..Page::default()
            };
            world.add(page(10..15));
            let question =
                json!({ "search_term": "pear", "order_by": order, "filter": { "limit": 2 } });

            let first = ask(&world, question.clone(), "").await;
            world.add(page(20..23));
            let next = first["next_batch"].as_str().unwrap();
            let second = ask(&world, question.clone(), next).await;
            let next = second["next_batch"].as_str().unwrap();
            let third = ask(&world, question, next).await;

            assert_eq!(first["count"], 5);
            assert_eq!(bodies(&first), ["pear 14", "pear 13"]);
            assert_eq!(bodies(&second), ["pear 12", "pear 11"]);
            assert_eq!(bodies(&third), ["pear 10"]);
            assert_eq!(third["next_batch"], Value::Null);
        }
    }

    #[tokio::test]
    async fn by_rank_what_says_it_most_often_comes_first() {
        let world = World::new();
        world.add(Page {
            messages: vec![
                said(ANN, 10, None, "plum"),
                said(ANN, 11, None, "plum, plum and plum"),
                said(ANN, 12, None, "a plum tree"),
            ],
            ..Page::default()
        });

        let answer = ask(&world, json!({ "search_term": "plum" }), "").await;

        assert_eq!(
            bodies(&answer),
            ["plum, plum and plum", "a plum tree", "plum"]
        );
        assert_eq!(answer["results"][0]["rank"], 3);
    }

    #[tokio::test]
    async fn a_result_comes_with_what_stands_around_it() {
        let world = World::new();
        let question = json!({
            "search_term": "gladly",
            "event_context": { "before_limit": 1, "after_limit": 1, "include_profile": true },
            "include_state": true,
            "groupings": { "group_by": [{ "key": "room_id" }, { "key": "sender" }] },
        });

        let answer = ask(&world, question, "").await;

        let (result, context) = (
            &answer["results"][0]["result"],
            &answer["results"][0]["context"],
        );
        assert_eq!(
            context["events_before"][0]["content"]["body"],
            "Tea at four?"
        );
        assert_eq!(
            context["events_after"][0]["content"]["body"],
            "Bring the dog"
        );
        assert_eq!(context["events_before"].as_array().unwrap().len(), 1);
        let profiles = &context["profile_info"];
        assert_eq!(profiles[world.ghost(ANN)]["displayname"], "Ann Example");
        assert!(profiles[ADA].is_object());
        let room = world.room(ANN);
        let start = context["start"].as_str().unwrap();
        let path = format!("/rooms/{room}/messages?dir=f&limit=1&from={start}");
        let page = world.get(&path).await.ok();
        assert_eq!(page["chunk"][0]["content"]["body"], "Tea at four?");
        let id = json!([result["event_id"]]);
        assert_eq!(answer["groups"]["room_id"][&room]["results"], id);
        assert_eq!(answer["groups"]["sender"][ADA]["results"], id);
        let state = answer["state"][&room].as_array().unwrap();
        assert!(state.iter().any(|event| event["type"] == "m.room.create"));
    }
}
