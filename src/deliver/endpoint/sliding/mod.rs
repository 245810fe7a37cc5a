//! `POST /_matrix/client/unstable/org.matrix.simplified_msc3575/sync`: a window on the room list, and what is new in it.
//!
//! This is the form that released clients use; the text of MSC4186 has moved on to other names, which are not understood
//! here. A client names lists with windows and rooms that it has open; it gets each of those rooms once as a whole and
//! then what is new. A room outside of every window costs nothing but its place in the order.
//!
//! | to | go to |
//! |---|---|
//! | see what a client may ask | `request` |
//! | see what is remembered between requests, and when `pos` is unknown | `connection` |
//! | see how an answer is put together | `look` |
//! | see which rooms a list has, in which order | `list` |
//! | see which rooms are in sight, and in how much detail | `wanted` |
//! | see what a client gets of one room | `room` |
//! | account data, receipts, keys, messages to devices | `extensions` |
//!
//! A room that is no more (its conversation has another epoch, was deleted, or is shown as another one, D19) is not in any
//! list: `count` is smaller. A client that was sent it is told once, in the next answer, window or not: a room whose
//! `required_state` has the owner's member event with `leave`. The room that takes its place is a new one, `initial`.
//!
//! Source: facts of the endpoint, 7.

mod connection;
mod extensions;
mod list;
mod look;
mod request;
mod room;
#[cfg(test)]
mod tests;
mod wanted;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use crate::base::ids::ChangeNumber;
use crate::base::limits::POLL_WAIT;
use crate::base::limits::SLIDING_LISTS;
use crate::base::limits::SLIDING_NAME_BYTES;
use crate::deliver::endpoint::Endpoint;
use crate::deliver::endpoint::call::Answer;
use crate::deliver::endpoint::call::Call;
use crate::deliver::endpoint::call::json;
use crate::deliver::endpoint::error::Code;
use crate::deliver::endpoint::error::MatrixError;
use crate::deliver::endpoint::route::Later;
use crate::deliver::endpoint::route::Route;
use crate::deliver::endpoint::session::Session;
use crate::deliver::endpoint::sliding::connection::Turn;
use crate::deliver::endpoint::sliding::extensions::Extensions;
use crate::deliver::endpoint::sliding::extensions::Received;
use crate::deliver::endpoint::sliding::look::Found;
use crate::deliver::endpoint::sliding::look::look;
use crate::deliver::endpoint::sliding::request::Request;
use crate::deliver::endpoint::sliding::room::RoomAnswer;
use crate::net::Method;

pub(in crate::deliver::endpoint) use connection::Connections;

/// How soon a client may come again that has too many polls.
const TOO_MANY_POLLS: Duration = Duration::from_secs(1);

pub(super) fn routes() -> Vec<Route> {
    let path = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync";
    vec![Route::long(Method::POST, path, sync).at_root()]
}

/// What is answered.
#[derive(Serialize)]
struct Response<'r> {
    pos: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    txn_id: Option<&'r str>,
    lists: BTreeMap<&'r str, ListAnswer>,
    rooms: BTreeMap<String, AnyRoom>,
    extensions: Extensions,
}

/// A room of the archive or another one.
#[derive(Serialize)]
#[serde(untagged)]
enum AnyRoom {
    Archive(Box<RoomAnswer>),
    Local(Value),
}

/// How many rooms a list has, in its windows or not.
#[derive(Serialize)]
struct ListAnswer {
    count: usize,
}

fn sync(endpoint: Arc<Endpoint>, call: Call) -> Later {
    Box::pin(async move {
        let request: Request = call.json()?;
        check(&request)?;
        let wait = Duration::from_millis(call.number("timeout")?.unwrap_or_default());
        let session = Arc::clone(call.session()?);
        let pos = call.param("pos");
        let slot = endpoint.polls.take(session.device.clone());
        let _slot = slot.map_err(|_taken| MatrixError::limited(TOO_MANY_POLLS))?;
        let name = request.conn_id.clone().unwrap_or_default();
        let turn = endpoint.connections.begin((session.token, name), pos)?;
        forget_received(&endpoint, &session, &request).await?;
        let wait = if pos.is_some() {
            wait.min(POLL_WAIT)
        } else {
            Duration::ZERO
        };
        let timeout = tokio::time::sleep(wait);
        tokio::pin!(timeout);
        let request = Arc::new(request);
        loop {
            // Before the snapshot is taken, or what comes in between goes unnoticed.
            let mut changes = endpoint.store.changes();
            let mut typing = endpoint.typing.changes();
            let found = find(&endpoint, &session, &request, &turn).await?;
            if found.is_news || wait.is_zero() {
                return end(&endpoint, &turn, &request, found);
            }
            tokio::select! {
                moved = changes.changed() => if moved.is_err() {
                    return end(&endpoint, &turn, &request, found);
                },
                _ = typing.changed() => {}
                () = until(found.typing_ends) => {}
                () = &mut timeout => return end(&endpoint, &turn, &request, found),
                () = call.stop.cancelled() => return end(&endpoint, &turn, &request, found),
                () = turn.superseded.cancelled() => return end(&endpoint, &turn, &request, found),
            }
        }
    })
}

/// Waits for a time; without one, for ever.
async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Refuses what is too much.
fn check(request: &Request) -> Result<(), MatrixError> {
    if request.lists.len() > SLIDING_LISTS {
        return Err(MatrixError::invalid(format!(
            "at most {SLIDING_LISTS} lists"
        )));
    }
    let name = request.conn_id.as_deref().unwrap_or_default();
    if name.len() > SLIDING_NAME_BYTES {
        return Err(MatrixError::invalid("`conn_id` is too long"));
    }
    Ok(())
}

/// Forgets the messages that the device says it has.
async fn forget_received(
    endpoint: &Endpoint,
    session: &Arc<Session>,
    request: &Request,
) -> Result<(), MatrixError> {
    let queue = &request.extensions.to_device;
    let received = Received::of(queue, endpoint.generation).change;
    if !queue.is_on() || received == ChangeNumber::default() {
        return Ok(());
    }
    let (account, device) = (session.account, session.device.clone());
    let first =
        endpoint
            .store
            .snapshot()?
            .to_device(account, &device, ChangeNumber::default(), 1)?;
    if first.first().is_none_or(|(change, _)| *change > received) {
        return Ok(());
    }
    let forgotten = endpoint
        .writer
        .apply(move |transaction| transaction.forget_to_device(account, &device, received));
    Ok(forgotten.await?)
}

/// Looks for what there is, on a thread that may wait for the disk.
async fn find(
    endpoint: &Arc<Endpoint>,
    session: &Arc<Session>,
    request: &Arc<Request>,
    turn: &Turn,
) -> Result<Found, MatrixError> {
    let (endpoint, session, request) = (
        Arc::clone(endpoint),
        Arc::clone(session),
        Arc::clone(request),
    );
    let base = Arc::clone(&turn.base);
    let found = spawn_blocking(move || look(&endpoint, &session, &request, &base)).await;
    found.unwrap_or_else(|_panic| {
        tracing::error!("a sliding sync panicked");
        Err(MatrixError::new(
            Code::Unknown,
            "a bug: see footbridge's log",
        ))
    })
}

/// Ends the turn. Who has lost it to another request is told nothing, and may ask again from where it was.
fn end(endpoint: &Endpoint, turn: &Turn, request: &Request, found: Found) -> Answer {
    let names = request.lists.keys().map(String::as_str);
    let lists = names
        .zip(found.counts)
        .map(|(name, count)| (name, ListAnswer { count }));
    let lists = lists.collect();
    let txn_id = request.txn_id.as_deref();
    let Some(pos) = endpoint.connections.end(turn, found.made) else {
        return json(&Response {
            pos: endpoint.connections.position_of(turn),
            txn_id,
            lists,
            rooms: BTreeMap::new(),
            extensions: Extensions::default(),
        });
    };
    let rooms = found.rooms.into_iter();
    let rooms = rooms.map(|(id, room)| (id, AnyRoom::Archive(Box::new(room))));
    let local = found.local.into_iter();
    let local = local.map(|(id, room)| (id, AnyRoom::Local(room)));
    json(&Response {
        pos,
        txn_id,
        lists,
        rooms: rooms.chain(local).collect(),
        extensions: found.extensions,
    })
}
