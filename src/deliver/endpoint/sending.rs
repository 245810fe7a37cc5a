//! Writing into rooms: refused, with a reason, until sending exists (D26). Nothing is remembered of a refused request:
//! the same one is refused again.
//!
//! | request | answer |
//! |---|---|
//! | `PUT /rooms/{room}/send/{type}/{txn}` | 403 |
//! | `PUT /rooms/{room}/redact/{event}/{txn}` | 403 |
//! | `PUT /rooms/{room}/state/{type}[/{key}]` | 403 |

use crate::deliver::endpoint::Endpoint;
use crate::deliver::endpoint::call::Answer;
use crate::deliver::endpoint::call::Call;
use crate::deliver::endpoint::error::MatrixError;
use crate::deliver::endpoint::route::Route;
use crate::net::Method;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(Method::PUT, "/rooms/{room}/send/{type}/{txn}", send),
        Route::new(Method::PUT, "/rooms/{room}/redact/{event}/{txn}", redact),
        Route::new(Method::PUT, "/rooms/{room}/state/{type}", state),
        Route::new(Method::PUT, "/rooms/{room}/state/{type}/", state),
        Route::new(Method::PUT, "/rooms/{room}/state/{type}/{key}", state),
    ]
}

fn refuse(endpoint: &Endpoint, call: &Call, text: &str) -> Answer {
    endpoint.in_room(call, |_view, _now| Err(MatrixError::forbidden(text)))
}

/// `PUT /_matrix/client/v3/rooms/{room}/send/{type}/{txn}`.
fn send(endpoint: &Endpoint, call: &Call) -> Answer {
    refuse(
        endpoint,
        call,
        "footbridge shows the archive and cannot send messages",
    )
}

/// `PUT /_matrix/client/v3/rooms/{room}/redact/{event}/{txn}`.
fn redact(endpoint: &Endpoint, call: &Call) -> Answer {
    refuse(
        endpoint,
        call,
        "footbridge keeps the archive as it is: nothing can be removed from it",
    )
}

/// `PUT /_matrix/client/v3/rooms/{room}/state/{type}[/{key}]`.
fn state(endpoint: &Endpoint, call: &Call) -> Answer {
    refuse(
        endpoint,
        call,
        "names, members and settings of a room are those of the conversation",
    )
}
