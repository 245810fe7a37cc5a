//! Apple's time, the only time that is stored, and the clock that tells it.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;

/// Seconds from the Unix epoch to Apple's (2001-01-01T00:00:00Z).
const EPOCH_SECONDS: i64 = 978_307_200;

/// Values of chat.db below this are seconds, others nanoseconds (D6).
const SECONDS_BELOW: u64 = 1_000_000_000_000;

const NANOS: i64 = 1_000_000_000;

/// Nanoseconds since 2001-01-01T00:00:00Z, as iMessage counts.
///
/// The whole of `i64` is valid: 1708-09-22 to 2293-04-11.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppleTime(i64);

impl AppleTime {
    /// From nanoseconds since 2001.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since 2001.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// From a date column of chat.db: nanoseconds since macOS 10.13, seconds before; both occur in one file.
    ///
    /// Zero means "not set" and is `None`.
    ///
    /// Source: `[obs]` chat.db, `facts` 3.1; D6.
    pub const fn from_column(value: i64) -> Option<Self> {
        if value == 0 {
            return None;
        }
        if value.unsigned_abs() < SECONDS_BELOW {
            return Some(Self(value.saturating_mul(NANOS)));
        }
        Some(Self(value))
    }

    /// From seconds since 2001 with a fraction, as property lists hold them. Not a number and out of range are `None`.
    pub fn from_seconds(seconds: f64) -> Option<Self> {
        let whole = Duration::try_from_secs_f64(seconds.abs()).ok()?;
        let nanos = i64::try_from(whole.as_nanos()).ok()?;
        Some(Self(if seconds < 0.0 { -nanos } else { nanos }))
    }

    /// From milliseconds since 1970.
    pub const fn from_unix_millis(millis: i64) -> Self {
        Self(
            millis
                .saturating_sub(EPOCH_SECONDS * 1_000)
                .saturating_mul(1_000_000),
        )
    }

    /// Milliseconds since 1970, rounded down.
    pub const fn unix_millis(self) -> i64 {
        self.0.div_euclid(1_000_000) + EPOCH_SECONDS * 1_000
    }

    /// This time and a span later; stops at the end of time.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)),
        )
    }

    /// This time and a span earlier; stops at the beginning of time.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self(
            self.0
                .saturating_sub(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)),
        )
    }

    /// The same instant for calendars and time zones.
    pub fn timestamp(self) -> Timestamp {
        let seconds = self.0.div_euclid(NANOS).saturating_add(EPOCH_SECONDS);
        let nanos = i32::try_from(self.0.rem_euclid(NANOS)).unwrap_or_default();
        Timestamp::new(seconds, nanos).unwrap_or(Timestamp::MAX)
    }

    /// From an instant of the calendar.
    pub fn from_timestamp(at: Timestamp) -> Self {
        let nanos = at.as_nanosecond() - i128::from(EPOCH_SECONDS) * i128::from(NANOS);
        Self(i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX }))
    }
}

/// RFC 3339 in UTC with nine fractional digits, as the export writes it.
impl fmt::Display for AppleTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(9));
        let mut text = String::with_capacity(30);
        PRINTER
            .print_timestamp(&self.timestamp(), &mut text)
            .map_err(|_unprintable| fmt::Error)?;
        f.write_str(&text)
    }
}

/// As [`fmt::Display`] prints it.
impl serde::Serialize for AppleTime {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Where the present comes from; tests bring their own.
pub trait Clock: Send + Sync {
    /// The present.
    fn now(&self) -> AppleTime;
}

/// The computer's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> AppleTime {
        AppleTime::from_timestamp(Timestamp::now())
    }
}

/// A clock that stands still until it is set.
#[derive(Clone, Copy, Debug)]
pub struct FixedClock(pub AppleTime);

impl Clock for FixedClock {
    fn now(&self) -> AppleTime {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::AppleTime;

    #[test]
    fn a_small_column_is_seconds_and_a_large_one_nanoseconds() {
        let seconds = AppleTime::from_column(700_000_000);
        let nanos = AppleTime::from_column(700_000_000_000_000_000);

        assert_eq!(seconds, nanos);
        assert_eq!(AppleTime::from_column(0), None);
    }

    #[test]
    fn times_print_in_utc_with_nine_digits() {
        let time = AppleTime::from_nanos(743_907_180_874_287_000);

        assert_eq!(time.to_string(), "2024-07-29T00:53:00.874287000Z");
    }

    #[test]
    fn the_ends_of_time_do_not_overflow() {
        for nanos in [i64::MIN, -1, 0, i64::MAX] {
            let time = AppleTime::from_nanos(nanos);

            assert_eq!(AppleTime::from_timestamp(time.timestamp()), time);
            assert!(time.to_string().ends_with('Z'));
        }
    }

    #[test]
    fn seconds_with_a_fraction_keep_it() {
        assert_eq!(
            AppleTime::from_seconds(1.5),
            Some(AppleTime::from_nanos(1_500_000_000))
        );
        assert_eq!(
            AppleTime::from_seconds(-1.5),
            Some(AppleTime::from_nanos(-1_500_000_000))
        );
        assert_eq!(AppleTime::from_seconds(f64::NAN), None);
        assert_eq!(AppleTime::from_seconds(1e300), None);
    }
}
