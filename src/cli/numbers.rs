//! Numbers as a person reads them: counts, sizes, spans of time.

use std::time::Duration;

pub use crate::base::numbers::count;
pub use crate::base::numbers::counted;
pub use crate::base::numbers::size;

/// `850 ms`, `12 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`: the two largest units, rounded down.
pub fn span(time: Duration) -> String {
    const UNITS: [(u64, &str, u64, &str); 3] = [
        (86_400, "d", 3_600, "h"),
        (3_600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ];
    let seconds = time.as_secs();
    if seconds == 0 {
        return format!("{} ms", time.subsec_millis());
    }
    match UNITS.into_iter().find(|(large, ..)| seconds >= *large) {
        Some((large, name, small, small_name)) => {
            let rest = seconds % large / small;
            let head = format!("{} {name}", count(seconds / large));
            if rest == 0 {
                head
            } else {
                format!("{head} {rest} {small_name}")
            }
        }
        None => format!("{seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_two_units_at_most() {
        let texts = [0, 850, 12_000, 60_000, 200_000, 7_500_000, 273_600_000]
            .map(|ms| span(Duration::from_millis(ms)));

        assert_eq!(
            texts,
            [
                "0 ms",
                "850 ms",
                "12 s",
                "1 min",
                "3 min 20 s",
                "2 h 5 min",
                "3 d 4 h"
            ]
        );
    }
}
