//! Several times of the same thing.

use std::fmt;
use std::time::Duration;

/// Times of the same thing, the shortest first.
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn of(times: impl Iterator<Item = Duration>) -> Self {
        let mut times: Vec<Duration> = times.collect();
        times.sort_unstable();
        Self(times)
    }

    pub(crate) fn best(&self) -> Duration {
        self.0.first().copied().unwrap_or_default()
    }

    pub(crate) fn median(&self) -> Duration {
        self.0.get(self.0.len() / 2).copied().unwrap_or_default()
    }

    pub(crate) fn slowest(&self) -> Duration {
        self.0.last().copied().unwrap_or_default()
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [best, median, slowest] = [self.best(), self.median(), self.slowest()];
        if median.as_secs() >= 1 {
            let [best, median] = [best, median].map(|time| time.as_secs_f64());
            write!(f, "best {best:.1} s, median {median:.1} s")
        } else {
            let [best, median, slowest] =
                [best, median, slowest].map(|time| time.as_secs_f64() * 1e3);
            write!(
                f,
                "best {best:.1} ms, median {median:.1} ms, slowest {slowest:.1} ms"
            )
        }
    }
}
