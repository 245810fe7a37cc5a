//! `--since` and `--until`: a day, a month, a year or an instant, in the reader's time zone.

use jiff::Timestamp;
use jiff::ToSpan;
use jiff::civil::Date;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::base::time::AppleTime;

/// A stretch of time as a person names it: `2024`, `2024-03`, `2024-03-05`, `2024-03-05T18:30`, or an instant with an
/// offset (`2024-03-05T18:30:00Z`).
///
/// `--since` means its beginning and `--until` its end, so that `--since 2024 --until 2024` is the whole year.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct When {
    /// The first instant.
    pub start: AppleTime,
    /// The first instant after it.
    pub end: AppleTime,
}

impl When {
    /// Parses a text in a time zone.
    ///
    /// # Errors
    /// [`WhenError`] for every other form, and for days that no calendar has.
    pub fn parse(text: &str, zone: &TimeZone) -> Result<Self, WhenError> {
        Self::instant(text)
            .or_else(|| Self::civil(text, zone))
            .ok_or(WhenError)
    }

    fn instant(text: &str) -> Option<Self> {
        let at = AppleTime::from_timestamp(text.parse::<Timestamp>().ok()?);
        Some(Self { start: at, end: at })
    }

    fn civil(text: &str, zone: &TimeZone) -> Option<Self> {
        let (start, end) = match text.len() {
            4 => {
                let first: Date = format!("{text}-01-01").parse().ok()?;
                (first.into(), first.checked_add(1.year()).ok()?.into())
            }
            7 => {
                let first: Date = format!("{text}-01").parse().ok()?;
                (first.into(), first.checked_add(1.month()).ok()?.into())
            }
            10 => {
                let day: Date = text.parse().ok()?;
                (day.into(), day.tomorrow().ok()?.into())
            }
            16 => {
                let minute: DateTime = text.parse().ok()?;
                (minute, minute.checked_add(1.minute()).ok()?)
            }
            _ => {
                let second: DateTime = text.parse().ok()?;
                (second, second)
            }
        };
        let instant = |civil: DateTime| {
            let zoned = civil.to_zoned(zone.clone()).ok()?;
            Some(AppleTime::from_timestamp(zoned.timestamp()))
        };
        Some(Self {
            start: instant(start)?,
            end: instant(end)?,
        })
    }
}

/// The reader's own time zone, for clap.
pub(crate) fn parse_here(text: &str) -> Result<When, WhenError> {
    When::parse(text, &TimeZone::system())
}

/// A text that names no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a time such as 2024, 2024-03, 2024-03-05 or 2024-03-05T18:30")]
pub struct WhenError;

#[cfg(test)]
mod tests {
    use jiff::tz;

    use super::*;

    fn parsed(text: &str) -> Option<(String, String)> {
        let zone = TimeZone::fixed(tz::offset(2));
        let when = When::parse(text, &zone).ok()?;
        let seconds = |at: AppleTime| at.timestamp().to_string();
        Some((seconds(when.start), seconds(when.end)))
    }

    #[test]
    fn a_shorter_text_is_a_longer_time() {
        let times = [
            "2024",
            "2024-02",
            "2024-02-29",
            "2024-02-29T18:30",
            "2024-02-29T18:30:05",
            "2024-02-29T18:30:05+01:00",
        ]
        .map(|text| parsed(text).unwrap());

        let expected = [
            ("2023-12-31T22:00:00Z", "2024-12-31T22:00:00Z"),
            ("2024-01-31T22:00:00Z", "2024-02-29T22:00:00Z"),
            ("2024-02-28T22:00:00Z", "2024-02-29T22:00:00Z"),
            ("2024-02-29T16:30:00Z", "2024-02-29T16:31:00Z"),
            ("2024-02-29T16:30:05Z", "2024-02-29T16:30:05Z"),
            ("2024-02-29T17:30:05Z", "2024-02-29T17:30:05Z"),
        ]
        .map(|(start, end)| (start.to_owned(), end.to_owned()));
        assert_eq!(times, expected);
    }

    #[test]
    fn what_no_calendar_has_is_refused() {
        for text in [
            "",
            "24",
            "20x4",
            "2024-13",
            "2023-02-29",
            "yesterday",
            "9999",
            "2024-02-29T25:00",
        ] {
            assert_eq!(parsed(text), None, "{text}");
        }
    }
}
