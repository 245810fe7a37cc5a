//! The Matrix Rust SDK with its UI crate against footbridge: what Element X does. The room list comes over sliding sync
//! until every room is there; then each timeline is opened and paged back to the first message.
//!
//! Environment: `FOOTBRIDGE_URL`, `FOOTBRIDGE_USER`, `FOOTBRIDGE_PASSWORD`. Prints one JSON object: by room id, its name,
//! its unread messages, how many edits, redactions and reactions its timeline shows, and the ids of its events, newest first.
//!
//! With `FOOTBRIDGE_ROOM` and `FOOTBRIDGE_LAST` it opens that room alone, says `waiting` once every list is whole, and
//! waits for a message with that text, whatever becomes of the server meanwhile; then it prints the room. The connection
//! must have been lost, and come back by itself.

#![recursion_limit = "256"]

use std::error::Error;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::pin_mut;
use matrix_sdk::Client;
use matrix_sdk::Room;
use matrix_sdk::ruma::OwnedRoomId;
use matrix_sdk_ui::eyeball_im::VectorDiff;
use matrix_sdk_ui::room_list_service::RoomListLoadingState;
use matrix_sdk_ui::room_list_service::filters::new_filter_non_left;
use matrix_sdk_ui::sync_service::State;
use matrix_sdk_ui::sync_service::SyncService;
use matrix_sdk_ui::timeline::RoomExt;
use matrix_sdk_ui::timeline::TimelineItem;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;
use tokio::time::sleep;
use tokio::time::timeout;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let variable = |name| std::env::var(name).map_err(|_| format!("{name} is not set"));
    let client = Client::builder()
        .homeserver_url(variable("FOOTBRIDGE_URL")?)
        .build()
        .await?;
    client
        .matrix_auth()
        .login_username(
            variable("FOOTBRIDGE_USER")?,
            &variable("FOOTBRIDGE_PASSWORD")?,
        )
        .initial_device_display_name("rust")
        .send()
        .await?;
    let sync = SyncService::builder(client.clone())
        .with_offline_mode()
        .build()
        .await?;
    sync.start().await;
    let mut rooms = timeout(PATIENCE, all_rooms(&sync))
        .await
        .map_err(|_| "the room list was not complete in time")??;
    eprintln!("{} rooms", rooms.len());
    if let (Ok(id), Ok(last)) = (variable("FOOTBRIDGE_ROOM"), variable("FOOTBRIDGE_LAST")) {
        let id = OwnedRoomId::try_from(id)?;
        let room = client.get_room(&id).ok_or("that room is not known")?;
        timeout(PATIENCE, outlast(&sync, &room, &last))
            .await
            .map_err(|_| "the client did not recover in time")??;
        rooms = vec![id];
    }
    let mut seen = Map::new();
    for id in rooms {
        let room = client.get_room(&id).ok_or("a listed room is not known")?;
        let what = timeout(PATIENCE, read_back(&room))
            .await
            .map_err(|_| format!("{id} was not read in time"))??;
        seen.insert(id.to_string(), what);
    }
    sync.stop().await;
    client.matrix_auth().logout().await?;
    println!("{}", Value::Object(seen));
    Ok(())
}

/// Waits in an open room for a text, over the end and the start of the server.
async fn outlast(sync: &SyncService, room: &Room, last: &str) -> Result<(), Box<dyn Error>> {
    let timeline = room.timeline().await?;
    let states = sync.state();
    pin_mut!(states);
    let mut was_lost = false;
    println!("waiting");
    loop {
        tokio::select! {
            state = states.next() => was_lost |= !matches!(state, Some(State::Running)),
            () = sleep(Duration::from_millis(50)) => {}
        }
        let items = timeline.items().await;
        let mut events = items.iter().filter_map(|item| item.as_event());
        let is_there = events.any(|event| {
            let message = event.content().as_message();
            message.is_some_and(|message| message.body() == last)
        });
        if is_there && was_lost && matches!(sync.state().get(), State::Running) {
            return Ok(());
        }
    }
}

/// The ids of all rooms, once the list says that it is whole.
async fn all_rooms(sync: &SyncService) -> Result<Vec<OwnedRoomId>, Box<dyn Error>> {
    let list = sync.room_list_service().all_rooms().await?;
    let (entries, controller) = list.entries_with_dynamic_adapters(10_000);
    controller.set_filter(Box::new(new_filter_non_left()));
    pin_mut!(entries);
    let mut state = list.loading_state();
    let mut rooms = Vec::new();
    loop {
        if let RoomListLoadingState::Loaded {
            maximum_number_of_rooms: Some(all),
        } = state.get()
            && rooms.len() >= usize::try_from(all)?
        {
            return Ok(rooms);
        }
        tokio::select! {
            diffs = entries.next() => {
                for diff in diffs.ok_or("the room list ended")? {
                    apply(&mut rooms, diff);
                }
            }
            _ = state.next() => {}
        }
    }
}

fn apply(
    rooms: &mut Vec<OwnedRoomId>,
    diff: VectorDiff<matrix_sdk_ui::room_list_service::RoomListItem>,
) {
    let id = |room: &matrix_sdk_ui::room_list_service::RoomListItem| room.room_id().to_owned();
    match diff {
        VectorDiff::Append { values } => rooms.extend(values.iter().map(id)),
        VectorDiff::Clear => rooms.clear(),
        VectorDiff::PushFront { value } => rooms.insert(0, id(&value)),
        VectorDiff::PushBack { value } => rooms.push(id(&value)),
        VectorDiff::PopFront => drop(rooms.remove(0)),
        VectorDiff::PopBack => drop(rooms.pop()),
        VectorDiff::Insert { index, value } => rooms.insert(index, id(&value)),
        VectorDiff::Set { index, value } => rooms[index] = id(&value),
        VectorDiff::Remove { index } => drop(rooms.remove(index)),
        VectorDiff::Truncate { length } => rooms.truncate(length),
        VectorDiff::Reset { values } => *rooms = values.iter().map(id).collect(),
    }
}

fn is_creation(item: &TimelineItem) -> bool {
    let raw = item.as_event().and_then(|event| event.original_json());
    let kind = raw.and_then(|raw| raw.get_field::<String>("type").ok().flatten());
    kind.as_deref() == Some("m.room.create")
}

/// A room's timeline, paged back to its beginning.
async fn read_back(room: &Room) -> Result<Value, Box<dyn Error>> {
    let timeline = room.timeline().await?;
    while !timeline.paginate_backwards(100).await? {}
    // What was fetched reaches the timeline a little later; the event that makes the room comes last.
    let mut items = timeline.items().await;
    while !items.iter().any(|item| is_creation(item)) {
        sleep(Duration::from_millis(5)).await;
        items = timeline.items().await;
    }
    let events: Vec<_> = items.iter().filter_map(|item| item.as_event()).collect();
    let edited = events.iter().filter(|event| {
        let message = event.content().as_message();
        message.is_some_and(|message| message.is_edited())
    });
    let redacted = events.iter().filter(|event| event.content().is_redacted());
    let reactions = events
        .iter()
        .filter_map(|event| event.content().reactions());
    let ids: Vec<String> = events
        .iter()
        .rev()
        .filter_map(|event| event.event_id().map(ToString::to_string))
        .collect();
    Ok(json!({
        "name": room.display_name().await?.to_string(),
        "unread": room.num_unread_notifications(),
        "edited": edited.count(),
        "redacted": redacted.count(),
        "reactions": reactions.flat_map(|reactions| reactions.values().map(|by| by.len())).sum::<usize>(),
        "events": ids,
    }))
}
