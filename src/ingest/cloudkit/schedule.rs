//! When the next pass is due. Pure.
//!
//! | the pass ended | the next one begins after |
//! |---|---|
//! | complete or degraded, the first, second, third time | 15 s, 60 s, 3 min: records of the last minutes reach their zones late (SC-31) |
//! | complete or degraded, later | 15 min, a fifth sooner or later (SC-32) |
//! | failed | 1 min, without a limit (SC-26) |
//! | blocked | when another session is imported (D31) |

use std::time::Duration;

use crate::base::limits::CLOUD_LATE_PASSES;
use crate::base::limits::CLOUD_PASS_EVERY;
use crate::base::limits::CLOUD_PASS_RETRY;
use crate::ingest::cloudkit::Outcome;

/// Counts passes.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    good: usize,
}

/// What comes after a pass.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Another one after this time.
    After(Duration),
    /// Another one once there is another session.
    Session,
    /// None.
    Never,
}

impl Schedule {
    /// What comes after a pass that ended so. `jitter` is 0 to 1.
    pub(super) fn next(&mut self, outcome: Outcome, jitter: f64) -> Next {
        match outcome {
            Outcome::Complete | Outcome::Degraded => {
                let late = CLOUD_LATE_PASSES.get(self.good).copied();
                self.good += 1;
                let spread = 0.8 + 0.4 * jitter.clamp(0.0, 1.0);
                Next::After(late.unwrap_or_else(|| CLOUD_PASS_EVERY.mul_f64(spread)))
            }
            Outcome::Failed => Next::After(CLOUD_PASS_RETRY),
            Outcome::Blocked => Next::Session,
            Outcome::Cancelled => Next::Never,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Next;
    use super::Schedule;
    use crate::ingest::cloudkit::Outcome;

    #[test]
    fn late_records_are_fetched_soon_and_then_seldom() {
        let mut schedule = Schedule::default();
        let after = |seconds| Next::After(Duration::from_secs(seconds));
        let outcomes = [
            Outcome::Complete,
            Outcome::Failed,
            Outcome::Degraded,
            Outcome::Complete,
            Outcome::Complete,
            Outcome::Complete,
            Outcome::Blocked,
            Outcome::Cancelled,
        ];

        let next = outcomes.map(|outcome| schedule.next(outcome, 0.5));

        let expected = [
            after(15),
            after(60),
            after(60),
            after(180),
            after(900),
            after(900),
            Next::Session,
            Next::Never,
        ];
        assert_eq!(next, expected);
    }
}
