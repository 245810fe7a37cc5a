//! Clients that follow while somebody writes, on threads of their own: what they are told of depends on no timing.

use std::collections::BTreeMap;
use std::thread;

use super::*;

/// Rounds of the writer, each with a pass of two commits and a message outside of any.
const ROUNDS: u16 = 60;

/// Messages that it writes: four a round.
const MESSAGES: usize = 4 * ROUNDS as usize;

const CLIENTS: usize = 6;

/// Writes passes and messages between them, each message later than all before, one room after the other.
fn write(world: &World) {
    let rooms = [ANN, BOB, WALK];
    let mut number = 1_000;
    let mut next = || {
        number += 1;
        let room = rooms[usize::from(number) % rooms.len()];
        numbered(room, number, i64::from(number), Some(BOB))
    };
    for _ in 0..ROUNDS {
        world.add(Page {
            messages: vec![next(), next()],
            unfinished: true,
            ..Page::default()
        });
        world.add(Page {
            messages: vec![next()],
            cursor: Some(Cursor::default()),
            ..Page::default()
        });
        world.add(page(vec![next()]));
    }
}

/// Follows until all was seen; answers the texts by room, in the order in which they came.
async fn follow(world: &World, since: &str) -> BTreeMap<String, Vec<String>> {
    let mut since = since.to_owned();
    let mut seen: BTreeMap<String, Vec<String>> = BTreeMap::new();
    while seen.values().map(Vec::len).sum::<usize>() < MESSAGES {
        let path = format!("/sync?timeout=20000&since={since}{}", limit(100));
        let answer = world.get(&path).await.ok();
        let rooms = answer["rooms"]["join"].as_object().unwrap();
        assert!(!rooms.is_empty(), "a poll that nothing woke");
        for (id, block) in rooms {
            assert_eq!(block["timeline"]["limited"], false, "all of it");
            let bodies = bodies(block).into_iter().map(str::to_owned);
            seen.entry(id.clone()).or_default().extend(bodies);
        }
        answer["next_batch"]
            .as_str()
            .unwrap()
            .clone_into(&mut since);
    }
    seen
}

#[test]
fn clients_that_follow_while_passes_end_see_everything_once_and_in_order() {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap()
    };
    let world = World::new();
    let since = runtime().block_on(world.position());

    let seen: Vec<_> = thread::scope(|scope| {
        let client = || scope.spawn(|| runtime().block_on(follow(&world, &since)));
        let clients: Vec<_> = (0..CLIENTS).map(|_| client()).collect();
        write(&world);
        clients
            .into_iter()
            .map(|client| client.join().unwrap())
            .collect()
    });

    let mut all = 0;
    let mut written: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for with in [ANN, BOB, WALK] {
        let room = world.room(with);
        let events = runtime().block_on(world.all(&room));
        let bodies = events
            .iter()
            .filter_map(|event| event["content"]["body"].as_str());
        let new = |body: &&str| body.starts_with("text 1");
        let bodies: Vec<String> = bodies.filter(new).map(str::to_owned).collect();
        all += bodies.len();
        written.insert(room, bodies);
    }
    assert_eq!(all, MESSAGES);
    for seen in seen {
        assert_eq!(seen, written);
    }
}
