//! What a sync asks for.

use std::time::Duration;

use crate::base::limits::POLL_WAIT;
use crate::base::limits::SYNC_EVENTS;
use crate::deliver::endpoint::call::Call;
use crate::deliver::endpoint::error::MatrixError;
use crate::deliver::endpoint::filters::EventFilter;
use crate::deliver::endpoint::filters::Filter;
use crate::deliver::endpoint::token::Position;
use crate::store::Snapshot;

/// Events of a room's block when a client does not say.
const USUAL_EVENTS: u64 = 10;

/// A request for what is new.
pub(super) struct Ask {
    pub(super) filter: Filter,
    pub(super) since: Since,
    /// Whether all state of all rooms is wanted.
    pub(super) full_state: bool,
    /// How long to wait for something new.
    pub(super) timeout: Duration,
}

/// Where a client stands.
#[derive(Clone, Copy)]
pub(super) enum Since {
    /// It has nothing.
    Nothing,
    /// It has something, but what is not known: its token is of another archive or of none.
    Lost,
    /// It has everything up to there.
    Position(Position),
}

/// How many events of a room's block are wanted.
pub(in crate::deliver::endpoint) fn limit(filter: &EventFilter) -> usize {
    let limit = filter.limit.unwrap_or(USUAL_EVENTS);
    usize::try_from(limit)
        .unwrap_or(usize::MAX)
        .clamp(1, SYNC_EVENTS)
}

impl Ask {
    /// From the query.
    pub(super) fn of(call: &Call, snapshot: &Snapshot) -> Result<Self, MatrixError> {
        let account = call.session()?.account;
        let since = match call.param("since") {
            None => Since::Nothing,
            Some(token) => Position::parse(token).map_or(Since::Lost, Since::Position),
        };
        let timeout = Duration::from_millis(call.number("timeout")?.unwrap_or_default());
        Ok(Self {
            filter: Filter::of(snapshot, account, call.param("filter"))?,
            since,
            full_state: call.param("full_state") == Some("true"),
            timeout: timeout.min(POLL_WAIT),
        })
    }
}
