//! A model of a client that follows nothing but the API, against whatever happens to an archive in any order (D29).

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::Just;
use proptest::prelude::ProptestConfig;
use proptest::prelude::Strategy;
use proptest::prop_oneof;
use proptest::proptest;

use super::*;

/// A client that knows nothing but what the API tells it.
struct Model {
    since: String,
    limit: usize,
    rooms: BTreeMap<String, Vec<Value>>,
}

impl Model {
    fn new(limit: usize) -> Self {
        Self {
            since: String::new(),
            limit,
            rooms: BTreeMap::new(),
        }
    }

    async fn sync(&mut self, world: &World) {
        let answer = world.sync(&self.since, &limit(self.limit)).await;
        self.since = answer["next_batch"].as_str().unwrap().to_owned();
        for room in answer["rooms"]["leave"].as_object().unwrap().keys() {
            self.rooms.remove(room);
        }
        for (room, block) in answer["rooms"]["join"].as_object().unwrap() {
            let limited = block["timeline"]["limited"] == true;
            assert!(limited || self.rooms.contains_key(room), "an unknown room");
            if limited {
                let from = block["timeline"]["prev_batch"].as_str().unwrap();
                let history = self.page_back(world, room, from).await;
                self.rooms.insert(room.clone(), history);
            }
            let held = self.rooms.get_mut(room).unwrap();
            for event in block["timeline"]["events"].as_array().unwrap() {
                assert!(
                    !held
                        .iter()
                        .any(|known| known["event_id"] == event["event_id"]),
                    "an event twice"
                );
                held.push(event.clone());
            }
            redact(held);
            if limited {
                let all = world.all(room).await;
                let held = without_departed(held, &all);
                assert_eq!(ids(&Value::Array(held)), ids(&Value::Array(all)), "order");
            }
        }
    }

    async fn page_back(&self, world: &World, room: &str, from: &str) -> Vec<Value> {
        let mut history = Vec::new();
        let mut from = from.to_owned();
        loop {
            let limit = self.limit;
            let path = format!("/rooms/{room}/messages?dir=b&limit={limit}&from={from}");
            let page = world.get(&path).await.ok();
            history.extend_from_slice(page["chunk"].as_array().unwrap());
            match page["end"].as_str() {
                Some(end) => from = end.to_owned(),
                None => break,
            }
        }
        history.reverse();
        history
    }

    /// Compares with what the store shows.
    async fn check(&self, world: &World) {
        let joined = world.get("/joined_rooms").await.ok();
        let joined: BTreeSet<&str> = joined["joined_rooms"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_str)
            .collect();
        assert_eq!(joined, self.rooms.keys().map(String::as_str).collect());
        for (room, held) in &self.rooms {
            let all = world.all(room).await;
            let held = without_departed(held, &all);
            assert_eq!(contents(&held), contents(&all), "{room}");
        }
    }
}

/// Takes away what redactions are about.
fn redact(held: &mut [Value]) {
    let targets: BTreeSet<String> = held
        .iter()
        .filter_map(|event| event["redacts"].as_str().map(str::to_owned))
        .collect();
    for event in held {
        if targets.contains(event["event_id"].as_str().unwrap()) {
            event["content"] = json!({});
        }
    }
}

/// Without what a redaction took away that is in no timeline: it is in another room now.
fn without_departed(held: &[Value], all: &[Value]) -> Vec<Value> {
    let is_in = |event: &&Value| {
        all.iter()
            .any(|other| other["event_id"] == event["event_id"])
    };
    let passing = held
        .iter()
        .filter(|event| !event["redacts"].is_null() && !is_in(event));
    let gone: BTreeSet<&str> = passing
        .flat_map(|event| [&event["event_id"], &event["redacts"]])
        .filter_map(Value::as_str)
        .collect();
    let stays = |event: &&Value| !gone.contains(event["event_id"].as_str().unwrap());
    held.iter().filter(stays).cloned().collect()
}

/// Events by id, with what they say.
fn contents(events: &[Value]) -> BTreeMap<&str, &Value> {
    let events = events.iter();
    events
        .map(|event| (event["event_id"].as_str().unwrap(), &event["content"]))
        .collect()
}

#[derive(Clone, Debug)]
enum Step {
    /// Messages of these minutes, in one commit; of a pass that goes on or not.
    Import {
        room: usize,
        minutes: Vec<i64>,
        unfinished: bool,
    },
    EndPass,
    Edit {
        message: usize,
        minute: i64,
    },
    Delete {
        message: usize,
    },
    /// It is in another conversation now.
    Move {
        message: usize,
        room: usize,
    },
    Leave {
        room: usize,
    },
    Sync {
        client: usize,
    },
    Restart,
    Trim,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let import = (
        0..4_usize,
        vec(-60..60_i64, 1..9),
        proptest::bool::weighted(0.2),
    );
    let import = import.prop_map(|(room, minutes, unfinished)| Step::Import {
        room,
        minutes,
        unfinished,
    });
    let bulk = (0..4_usize, vec(-60..60_i64, 52..60));
    let bulk = bulk.prop_map(|(room, minutes)| Step::Import {
        room,
        minutes,
        unfinished: false,
    });
    let edit =
        (0..99_usize, -60..60_i64).prop_map(|(message, minute)| Step::Edit { message, minute });
    let step = prop_oneof![
        6 => import,
        1 => bulk,
        2 => Just(Step::EndPass),
        3 => edit,
        2 => (0..99_usize).prop_map(|message| Step::Delete { message }),
        2 => (0..99_usize, 0..4_usize).prop_map(|(message, room)| Step::Move { message, room }),
        1 => (0..3_usize).prop_map(|room| Step::Leave { room }),
        8 => (0..2_usize).prop_map(|client| Step::Sync { client }),
        1 => Just(Step::Restart),
        1 => Just(Step::Trim),
    ];
    vec(step, 1..24)
}

const CAROL: &str = "tel:+15550100003";

async fn run(limits: [usize; 2], steps: Vec<Step>) {
    let mut world = World::new();
    world.pass(Duration::from_hours(1));
    let rooms = [ANN, BOB, WALK, CAROL];
    let mut clients = limits.map(Model::new);
    let mut sent: Vec<(usize, u16, i64, Vec<i64>)> = Vec::new();
    let mut number = 1_000;
    for step in steps {
        match step {
            Step::Import {
                room,
                minutes,
                unfinished,
            } => {
                let mut texts = Vec::new();
                for minute in minutes {
                    number += 1;
                    sent.push((room, number, minute, Vec::new()));
                    texts.push(numbered(rooms[room], number, minute, Some(BOB)));
                }
                world.add(Page {
                    conversations: vec![conversation(CAROL, &[CAROL], None)],
                    messages: texts,
                    unfinished,
                    ..Page::default()
                });
            }
            Step::EndPass => world.add(Page {
                cursor: Some(Cursor::default()),
                ..Page::default()
            }),
            Step::Edit { message, minute } if !sent.is_empty() => {
                let at = message % sent.len();
                let (room, number, first, edits) = &mut sent[at];
                edits.push(minute.max(edits.last().map_or(*first, |last| *last)) + 1);
                world.add(page(vec![edited(
                    rooms[*room],
                    *number,
                    *first,
                    Some(BOB),
                    edits,
                )]));
            }
            Step::Delete { message } if !sent.is_empty() => {
                let (_, number, ..) = sent.swap_remove(message % sent.len());
                world.add(Page {
                    deleted: vec![(guid(number), at(61))],
                    ..Page::default()
                });
            }
            Step::Move { message, room } if !sent.is_empty() => {
                let at = message % sent.len();
                let (home, number, first, edits) = &mut sent[at];
                *home = room;
                let (conversations, home) =
                    (vec![conversation(CAROL, &[CAROL], None)], rooms[room]);
                world.add(Page {
                    conversations,
                    messages: vec![edited(home, *number, *first, Some(BOB), edits)],
                    ..Page::default()
                });
            }
            Step::Leave { room } => {
                let room = world.room(rooms[room]);
                world
                    .post(&format!("/rooms/{room}/leave"), json!({}))
                    .await
                    .ok();
            }
            Step::Sync { client } => clients[client].sync(&world).await,
            Step::Restart => world.restart(),
            Step::Trim => {
                world.pass(CHANGE_LOG_AGE + Duration::from_hours(1));
                number += 1;
                world.add(page(vec![numbered(ANN, number, 60, Some(ANN))]));
            }
            Step::Edit { .. } | Step::Delete { .. } | Step::Move { .. } => {}
        }
    }
    world.add(Page {
        cursor: Some(Cursor::default()),
        ..Page::default()
    });
    for client in &mut clients {
        client.sync(&world).await;
        client.check(&world).await;
    }
}

#[tokio::test]
async fn a_room_that_came_back_for_a_message_goes_when_it_has_lost_it() {
    let import = Step::Import {
        room: 0,
        minutes: vec![0],
        unfinished: false,
    };
    let step = |room| Step::Move { message: 0, room };

    run(
        [1, 1],
        vec![
            import,
            Step::Leave { room: 1 },
            step(1),
            Step::Sync { client: 0 },
            step(2),
        ],
    )
    .await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_client_that_follows_the_api_has_what_the_store_shows(
        limits in [1..12_usize, 1..80_usize],
        steps in steps(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(limits, steps));
    }
}
