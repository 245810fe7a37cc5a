//! Following a chat.db for as long as Messages writes to it.
//!
//! What Messages did is not announced anywhere: the files are looked at ten times a second (`inputs`: sizes, times and
//! header marks of the database, its write-ahead log and the address books; no SQLite, no transaction), and when they
//! are not what they were, messages are compared with what is held. How many, depends on how long ago:
//!
//! | scope | which messages | when |
//! |---|---|---|
//! | lately | the last 48 hours, and the 200 newest rows | whenever the files changed |
//! | wide | the last 14 days | a minute after the last time, if the files changed since |
//! | all | every one | at the start, an hour after the last time if the files changed since, after sleep |
//!
//! Rows may be committed out of order and filled in later (MS-70, MS-72), so rows are compared by their fingerprints
//! and never taken for finished. A pass over all also remembers the inputs, so that a restart with nothing new reads
//! nothing.
//!
//! A pass that failed is repeated with growing pauses: the database may be busy, the disk away. A wider one that failed is
//! left alone for a minute, so that whatever it fails at does not keep what comes meanwhile from being read. What the
//! store refuses ends following; whoever runs it opens the store anew.

use std::convert::Infallible;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use crate::base::limits::FOLLOW_ALL_EVERY;
use crate::base::limits::FOLLOW_LATELY;
use crate::base::limits::FOLLOW_POLL;
use crate::base::limits::FOLLOW_REREAD_ROWS;
use crate::base::limits::FOLLOW_RETRY;
use crate::base::limits::FOLLOW_RETRY_MOST;
use crate::base::limits::FOLLOW_SETTLE;
use crate::base::limits::FOLLOW_SLEEP;
use crate::base::limits::FOLLOW_WIDE;
use crate::base::limits::FOLLOW_WIDE_EVERY;
use crate::base::time::AppleTime;
use crate::base::time::Clock;
use crate::ingest::IngestError;
use crate::ingest::OnProgress;
use crate::ingest::import::Import;
use crate::ingest::import::Options;
use crate::ingest::import::Scope;
use crate::ingest::import::inputs;
use crate::ingest::import::pass;
use crate::source::chatdb::ChatDb;
use crate::store::Store;

/// Following goes on until the other end is dropped.
pub type Stop = Receiver<Infallible>;

/// Follows a chat.db until it is told to stop, beginning with a pass over all of it. `on_pass` is told how each pass
/// ended.
///
/// # Errors
///
/// What the store refuses. What the source refuses is told to `on_pass`, and tried again.
pub fn follow(
    store: &Store,
    clock: &dyn Clock,
    options: &Options,
    stop: &Stop,
    on_progress: OnProgress<'_>,
    on_pass: &dyn Fn(Result<&Import, &IngestError>),
) -> Result<(), IngestError> {
    let mut schedule = Schedule::default();
    let mut pause = Duration::ZERO;
    while wait(stop, pause) {
        let now = clock.now();
        let outcome = match inputs(options) {
            Ok(inputs) => match schedule.due(inputs, now) {
                None => {
                    pause = FOLLOW_POLL;
                    continue;
                }
                Some(scope) => {
                    if scope != Scope::All && !wait(stop, FOLLOW_SETTLE) {
                        break;
                    }
                    let looked = look(store, clock, options, scope, on_progress);
                    match &looked {
                        Ok((_, newest)) => schedule.done(scope, inputs, now, *newest),
                        Err(_) => schedule.failed(now),
                    }
                    looked.map(|(import, _)| import)
                }
            },
            Err(error) => Err(error),
        };
        match &outcome {
            Err(IngestError::Stopped) => break,
            outcome => on_pass(outcome.as_ref()),
        }
        pause = match outcome {
            Ok(_) => until_next_look(now, clock.now()),
            Err(IngestError::Store(error)) => return Err(error.into()),
            Err(_) => (pause * 2).clamp(FOLLOW_RETRY, FOLLOW_RETRY_MOST),
        };
    }
    Ok(())
}

/// What a pass leaves of the time between two looks: rows that came meanwhile do not wait for both.
fn until_next_look(last: AppleTime, now: AppleTime) -> Duration {
    let passed = now.nanos().saturating_sub(last.nanos());
    let passed = u64::try_from(passed).map_or(Duration::ZERO, Duration::from_nanos);
    FOLLOW_POLL.saturating_sub(passed)
}

/// One pass, and the newest ROWID when it began.
fn look(
    store: &Store,
    clock: &dyn Clock,
    options: &Options,
    scope: Scope,
    on_progress: OnProgress<'_>,
) -> Result<(Import, i64), IngestError> {
    let import = pass(store, clock, options, scope, on_progress)?;
    let newest = match import.last_rowid {
        Some(newest) => newest,
        None => ChatDb::open(options.locations.clone())?.max_rowid()?,
    };
    Ok((import, newest))
}

/// Waits, and says whether to go on.
fn wait(stop: &Stop, pause: Duration) -> bool {
    matches!(stop.recv_timeout(pause), Err(RecvTimeoutError::Timeout))
}

/// What was looked at when, and what the files were then.
#[derive(Default)]
struct Schedule {
    lately: Option<Looked>,
    wide: Option<Looked>,
    all: Option<Looked>,
    /// The time of the last look at the files.
    awake: Option<AppleTime>,
    /// Whether the computer slept since all was looked at.
    has_slept: bool,
    /// The time of the last pass that failed.
    failed: Option<AppleTime>,
    /// The newest ROWID of the last pass; `None` before the first.
    last_rowid: Option<i64>,
}

#[derive(Clone, Copy)]
struct Looked {
    inputs: [u8; 32],
    at: AppleTime,
}

impl Schedule {
    /// What is to be compared now, the most first; `None` if nothing is.
    fn due(&mut self, inputs: [u8; 32], now: AppleTime) -> Option<Scope> {
        self.has_slept |= self
            .awake
            .is_some_and(|awake| awake.plus(FOLLOW_SLEEP) < now);
        self.awake = Some(now);
        // What was later than now was before somebody set the clock back.
        let is_over = |at: AppleTime, span: Duration| now < at || at.plus(span) <= now;
        let is_given_up = self
            .failed
            .is_some_and(|failed| !is_over(failed, FOLLOW_RETRY_MOST));
        let is_due = |looked: Option<Looked>, every: Duration| {
            looked.is_none_or(|last| last.inputs != inputs && is_over(last.at, every))
        };
        let recent = |span: Duration| Scope::Recent {
            since: now.minus(span),
            after: self
                .last_rowid
                .map_or(i64::MAX, |last| last.saturating_sub(FOLLOW_REREAD_ROWS)),
        };
        if !is_given_up && (self.has_slept || is_due(self.all, FOLLOW_ALL_EVERY)) {
            Some(Scope::All)
        } else if !is_given_up && is_due(self.wide, FOLLOW_WIDE_EVERY) {
            Some(recent(FOLLOW_WIDE))
        } else if is_due(self.lately, Duration::ZERO) {
            Some(recent(FOLLOW_LATELY))
        } else {
            None
        }
    }

    /// A pass is over that began when the files were like that.
    fn done(&mut self, scope: Scope, inputs: [u8; 32], began: AppleTime, last_rowid: i64) {
        let looked = Some(Looked { inputs, at: began });
        // Not the larger of both: a database that was restored has smaller ones again.
        self.last_rowid = Some(last_rowid);
        self.lately = looked;
        match scope {
            Scope::All => {
                (self.wide, self.all) = (looked, looked);
                self.has_slept = false;
            }
            Scope::Recent { since, .. } if since <= began.minus(FOLLOW_WIDE) => self.wide = looked,
            Scope::Recent { .. } => {}
        }
    }

    /// A pass failed: the wider ones wait.
    fn failed(&mut self, now: AppleTime) {
        self.failed = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: AppleTime = AppleTime::from_nanos(700_000_000_000_000_000);

    fn recent(now: AppleTime, span: Duration, last_rowid: i64) -> Scope {
        Scope::Recent {
            since: now.minus(span),
            after: last_rowid - FOLLOW_REREAD_ROWS,
        }
    }

    /// A schedule after a first pass over files that were 1, with 5,000 rows.
    fn schedule() -> Schedule {
        let mut schedule = Schedule::default();
        assert_eq!(schedule.due([1; 32], START), Some(Scope::All));
        schedule.done(Scope::All, [1; 32], START, 5_000);
        schedule
    }

    #[test]
    fn a_pass_is_part_of_the_time_between_two_looks() {
        let after = |passed| until_next_look(START, START.plus(passed));

        assert_eq!(after(Duration::ZERO), FOLLOW_POLL);
        assert_eq!(after(FOLLOW_POLL / 4), FOLLOW_POLL * 3 / 4);
        assert_eq!(after(FOLLOW_POLL * 2), Duration::ZERO);
        assert_eq!(until_next_look(START.plus(FOLLOW_POLL), START), FOLLOW_POLL);
    }

    #[test]
    fn nothing_is_read_while_the_files_are_what_they_were() {
        let mut schedule = schedule();

        assert_eq!(schedule.due([1; 32], START.plus(FOLLOW_POLL)), None);
    }

    #[test]
    fn a_change_makes_recent_messages_looked_at() {
        let mut schedule = schedule();
        let soon = START.plus(FOLLOW_POLL);

        assert_eq!(
            schedule.due([2; 32], soon),
            Some(recent(soon, FOLLOW_LATELY, 5_000))
        );
    }

    #[test]
    fn a_minute_later_more_messages_are_looked_at_once() {
        let mut schedule = schedule();
        let mut now = START;
        while now < START.plus(FOLLOW_WIDE_EVERY) {
            now = now.plus(Duration::from_secs(1));
            schedule.awake = Some(now);
        }

        let wide = schedule.due([2; 32], now);
        schedule.done(wide.unwrap(), [2; 32], now, 5_001);

        assert_eq!(wide, Some(recent(now, FOLLOW_WIDE, 5_000)));
        assert_eq!(schedule.due([2; 32], now), None);
        assert_eq!(
            schedule.due([3; 32], now),
            Some(recent(now, FOLLOW_LATELY, 5_001))
        );
    }

    #[test]
    fn a_clock_that_is_set_back_keeps_nothing_from_being_read() {
        let mut schedule = schedule();
        let before = START.minus(Duration::from_hours(3));

        assert_eq!(schedule.due([2; 32], before), Some(Scope::All));

        schedule.failed(before.plus(Duration::from_hours(1)));
        assert_eq!(schedule.due([2; 32], before), Some(Scope::All));
    }

    #[test]
    fn after_sleep_every_message_is_looked_at() {
        let mut schedule = schedule();

        let woken = schedule.due([1; 32], START.plus(FOLLOW_SLEEP * 2));

        assert_eq!(woken, Some(Scope::All));
    }

    #[test]
    fn what_comes_is_read_while_a_wider_pass_fails() {
        let mut schedule = schedule();
        let slept = START.plus(FOLLOW_SLEEP * 2);
        assert_eq!(schedule.due([2; 32], slept), Some(Scope::All));
        schedule.failed(slept);

        let soon = slept.plus(FOLLOW_RETRY);
        let next = schedule.due([2; 32], soon);
        schedule.done(next.unwrap(), [2; 32], soon, 5_001);

        assert_eq!(next, Some(recent(soon, FOLLOW_LATELY, 5_000)));
        assert_eq!(schedule.due([2; 32], soon), None);
        let later = slept.plus(FOLLOW_RETRY_MOST);
        assert_eq!(schedule.due([2; 32], later), Some(Scope::All));
    }

    #[test]
    fn without_a_newest_row_what_is_dated_lately_is_read() {
        let mut schedule = Schedule::default();
        assert_eq!(schedule.due([1; 32], START), Some(Scope::All));
        schedule.failed(START);

        let scope = Scope::Recent {
            since: START.minus(FOLLOW_LATELY),
            after: i64::MAX,
        };
        assert_eq!(schedule.due([1; 32], START), Some(scope));
    }

    #[test]
    fn a_smaller_table_does_not_hide_new_rows() {
        let mut schedule = schedule();
        schedule.done(Scope::All, [2; 32], START, 3_000);

        let scope = schedule.due([3; 32], START);

        assert_eq!(scope, Some(recent(START, FOLLOW_LATELY, 3_000)));
    }
}
