//! Times as the reader's calendar and clock show them.

use std::time::Duration;

use jiff::Zoned;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::base::time::AppleTime;
use crate::cli::numbers;

/// The reader's time zone.
#[derive(Clone, Debug)]
pub struct Calendar {
    zone: TimeZone,
}

impl Calendar {
    /// The system's zone, or the one that `TZ` names.
    pub fn system() -> Self {
        Self::of(TimeZone::system())
    }

    /// A given zone.
    pub fn of(zone: TimeZone) -> Self {
        Self { zone }
    }

    /// The zone.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    fn zoned(&self, at: AppleTime) -> Zoned {
        at.timestamp().to_zoned(self.zone.clone())
    }

    /// The day that a time falls on.
    pub fn day(&self, at: AppleTime) -> Date {
        self.zoned(at).date()
    }

    /// `09:41`.
    pub fn clock(&self, at: AppleTime) -> String {
        self.zoned(at).strftime("%H:%M").to_string()
    }

    /// `2025-03-03 09:41`.
    pub fn minute(&self, at: AppleTime) -> String {
        self.zoned(at).strftime("%Y-%m-%d %H:%M").to_string()
    }

    /// `2025-03-03 09:41:07 +01:00`.
    pub fn second(&self, at: AppleTime) -> String {
        self.zoned(at).strftime("%Y-%m-%d %H:%M:%S %:z").to_string()
    }
}

/// The line above the first message of a day: `-- Monday, 3 March 2025 --`, with box drawing dashes.
pub fn day_line(day: Date) -> String {
    format!(
        "\u{2500}\u{2500} {} \u{2500}\u{2500}",
        day.strftime("%A, %-d %B %Y")
    )
}

/// `3 min 20 s ago`; `now` within a second; `in 2 h` for a time that is still to come.
pub fn ago(at: AppleTime, now: AppleTime) -> String {
    let nanos = now.nanos().abs_diff(at.nanos());
    let distance = Duration::from_nanos(nanos);
    if distance < Duration::from_secs(1) {
        "now".to_owned()
    } else if at < now {
        format!("{} ago", numbers::span(distance))
    } else {
        format!("in {}", numbers::span(distance))
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::tz;

    use super::*;

    fn at(text: &str) -> AppleTime {
        let at: Timestamp = text.parse().unwrap();
        AppleTime::from_timestamp(at)
    }

    fn calendar(hours: i8) -> Calendar {
        Calendar::of(TimeZone::fixed(tz::offset(hours)))
    }

    #[test]
    fn a_time_is_shown_in_the_readers_zone() {
        let evening = at("2025-03-03T23:41:07Z");

        let berlin = calendar(1);

        assert_eq!(berlin.clock(evening), "00:41");
        assert_eq!(berlin.minute(evening), "2025-03-04 00:41");
        assert_eq!(berlin.second(evening), "2025-03-04 00:41:07 +01:00");
        assert_eq!(calendar(0).day(evening).to_string(), "2025-03-03");
    }

    #[test]
    fn a_day_is_written_out() {
        let day = calendar(0).day(at("2025-03-03T12:00:00Z"));

        assert_eq!(
            day_line(day),
            "\u{2500}\u{2500} Monday, 3 March 2025 \u{2500}\u{2500}"
        );
    }

    #[test]
    fn the_ends_of_time_have_a_day() {
        let calendar = calendar(-12);

        let days = [i64::MIN, i64::MAX].map(|n| calendar.day(AppleTime::from_nanos(n)).to_string());

        assert_eq!(days, ["1708-09-21", "2293-04-11"]);
    }

    #[test]
    fn distances_are_told_both_ways() {
        let now = at("2025-03-03T12:00:00Z");

        let texts = [
            "2025-03-03T11:56:40Z",
            "2025-03-03T12:00:00.5Z",
            "2025-03-03T14:00:00Z",
        ]
        .map(|text| ago(at(text), now));

        assert_eq!(texts, ["3 min 20 s ago", "now", "in 2 h"]);
    }
}
