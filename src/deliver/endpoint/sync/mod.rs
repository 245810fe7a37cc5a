//! `GET /sync`: what is new since a client asked last, or everything that matters for one that asks first.
//!
//! | to | go to |
//! |---|---|
//! | see what can be asked for | `ask` |
//! | follow one answer | `turn`: which rooms, in which part of the answer |
//! | see what a room's block holds | `block`, and `delta` for its timeline |
//! | see how fifty waiting clients cost little more than one | `shared` |
//! | see what is about the account and the device | `mailbox` |
//!
//! The change log says what is new; nothing is remembered of clients but their tokens. Who cannot be told exactly what is
//! new, because the log was trimmed or the token is another archive's, reads the rooms again: their blocks are `limited`.
//!
//! A sync that finds nothing waits. It follows the store before it reads it, so that what is committed in between wakes
//! it.
//!
//! Source: `[mx v1.12] Syncing`; `facts` of the endpoint, 3, 5 and 6.

mod ask;
mod block;
mod mailbox;
mod shared;
#[cfg(test)]
mod tests;
mod turn;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::Instant;
use tokio::time::sleep_until;

use crate::deliver::endpoint::Endpoint;
use crate::deliver::endpoint::call::Answer;
use crate::deliver::endpoint::call::Call;
use crate::deliver::endpoint::error::Code;
use crate::deliver::endpoint::error::MatrixError;
use crate::deliver::endpoint::route::Later;
use crate::deliver::endpoint::route::Route;
use crate::deliver::endpoint::sync::ask::Ask;
use crate::deliver::endpoint::sync::ask::Since;
use crate::deliver::endpoint::sync::turn::Turn;
use crate::net::Method;
use crate::net::Response;
use crate::net::StatusCode;

pub(super) use crate::deliver::endpoint::sync::ask::limit;
pub(super) use crate::deliver::endpoint::sync::shared::Shared;

/// What a client is told to wait whose other polls take all that it may have.
const BUSY_WAIT: Duration = Duration::from_secs(1);

pub(super) fn routes() -> Vec<Route> {
    vec![Route::long(Method::GET, "/sync", later)]
}

fn later(endpoint: Arc<Endpoint>, call: Call) -> Later {
    Box::pin(sync(endpoint, call))
}

/// `GET /_matrix/client/v3/sync`.
async fn sync(endpoint: Arc<Endpoint>, call: Call) -> Answer {
    let session = Arc::clone(call.session()?);
    let key = format!("{}/{}", session.account.0, session.device);
    let slot = endpoint.polls.take(key);
    let _slot = slot.map_err(|_taken| MatrixError::limited(BUSY_WAIT))?;
    let mut changes = endpoint.store.changes();
    let mut typing = endpoint.typing.changes();
    let stop = call.stop.clone();
    let ask = on_thread(&endpoint, move |endpoint| {
        let snapshot = endpoint.store.snapshot()?;
        Ask::of(&call, &snapshot)
    });
    let ask = Arc::new(ask.await?);
    let ends = Instant::now() + ask.timeout;
    let mut since = ask.since;
    if let Since::Position(received) = since {
        let session = Arc::clone(&session);
        on_thread(&endpoint, move |endpoint| {
            mailbox::acknowledge(endpoint, &session, received)
        })
        .await?;
    }
    loop {
        changes.borrow_and_update();
        typing.borrow_and_update();
        let (asked, device) = (Arc::clone(&ask), Arc::clone(&session));
        let turn = on_thread(&endpoint, move |endpoint| {
            Turn::take(endpoint, &device, &asked, since)
        });
        let turn = turn.await?;
        if turn.is_news || Instant::now() >= ends || stop.is_cancelled() {
            return Ok(Response::json(StatusCode::OK, turn.body));
        }
        since = Since::Position(turn.next);
        let wake = turn.typing_ends.map_or(ends, |typing| typing.min(ends));
        tokio::select! {
            Ok(()) = changes.changed() => {}
            Ok(()) = typing.changed() => {}
            () = sleep_until(wake) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// Runs what reads or writes the store on a thread that may wait for the disk.
async fn on_thread<R: Send + 'static>(
    endpoint: &Arc<Endpoint>,
    work: impl FnOnce(&Endpoint) -> Result<R, MatrixError> + Send + 'static,
) -> Result<R, MatrixError> {
    let endpoint = Arc::clone(endpoint);
    let done = spawn_blocking(move || work(&endpoint)).await;
    done.unwrap_or_else(|_panic| {
        tracing::error!("a sync panicked");
        Err(MatrixError::new(
            Code::Unknown,
            "a bug: see footbridge's log",
        ))
    })
}
