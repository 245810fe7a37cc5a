//! What the error of an operation asks for.
//!
//! | reaction | client codes | server codes |
//! |---|---|---|
//! | wait | 6, 15, 16, 19 | 2, 4, 7, 8 |
//! | re-authenticate | 11, 12 | |
//! | reset the zone | 17, 40 | |
//! | the zone is gone | 48, 59 | |
//! | keys changed | 52, 53 | |
//! | permanent | every other | every other |
//!
//! An error of an unknown kind that comes with a time to wait is waited for.
//!
//! Source: facts of CloudKit, 1.7.

use std::time::Duration;

use crate::codec::cloudkit::OperationError;
use crate::codec::cloudkit::OperationResult;

const SUCCESS: i32 = 1;

/// What to do about an operation that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Ask again later, with the same token: after this time if the server names one.
    Wait {
        /// The server's hint.
        after: Option<Duration>,
    },
    /// The token of the session is not accepted any more.
    Reauthenticate,
    /// The position in the zone's feed is not accepted any more.
    Reset,
    /// The zone does not exist, or its owner removed what was in it.
    ZoneGone,
    /// The zone has other keys now.
    KeysChanged,
    /// Asking again gives the same.
    Permanent,
}

/// What the result of an operation asks for; `None` when it succeeded. An answer without a result is none, so that it
/// counts as one to be asked for again.
pub fn reaction(result: Option<&OperationResult>) -> Option<Failure> {
    let Some(result) = result else {
        return Some(Failure::Wait { after: None });
    };
    if result.code == Some(SUCCESS) {
        return None;
    }
    Some(result.error.as_ref().map_or(Failure::Permanent, of_error))
}

fn of_error(error: &OperationError) -> Failure {
    let after = error
        .retry_after_seconds
        .and_then(|seconds| u64::try_from(seconds).ok())
        .map(Duration::from_secs);
    let client = error.client.as_ref().and_then(|code| code.kind);
    let server = error.server.as_ref().and_then(|code| code.kind);
    match (client, server) {
        (Some(11 | 12), _) => Failure::Reauthenticate,
        (Some(17 | 40), _) => Failure::Reset,
        (Some(48 | 59), _) => Failure::ZoneGone,
        (Some(52 | 53), _) => Failure::KeysChanged,
        (Some(6 | 15 | 16 | 19), _) | (_, Some(2 | 4 | 7 | 8)) => Failure::Wait { after },
        _ if after.is_some() => Failure::Wait { after },
        _ => Failure::Permanent,
    }
}
