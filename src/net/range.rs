//! The header `Range`: one stretch of bytes. Several at once, and other units, are served whole, as the standard allows.
//!
//! Source: `[rfc 9110]` 14.1.2, 14.2.

use std::ops::Range;

use hyper::HeaderMap;
use hyper::header::RANGE;

/// What a client asked for, of content of a certain size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All of it: 200.
    Whole,
    /// These bytes: 206.
    Stretch(Range<u64>),
    /// Bytes that do not exist: 416.
    Nothing,
}

impl Wanted {
    pub(crate) fn of(headers: &HeaderMap, size_bytes: u64) -> Self {
        let mut ranges = headers.get_all(RANGE).iter();
        let (Some(range), None) = (ranges.next(), ranges.next()) else {
            return Self::Whole;
        };
        let range = range.to_str().ok();
        range
            .and_then(|range| parse(range, size_bytes))
            .unwrap_or(Self::Whole)
    }
}

/// `None` when it is not one range of bytes.
fn parse(range: &str, size_bytes: u64) -> Option<Wanted> {
    let (unit, range) = range.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = range.trim().split_once('-')?;
    let stretch = if first.is_empty() {
        let length = number(last)?.min(size_bytes);
        size_bytes - length..size_bytes
    } else {
        let first = number(first)?;
        let end = if last.is_empty() {
            size_bytes
        } else {
            let last = number(last)?;
            if last < first {
                return None;
            }
            last.saturating_add(1).min(size_bytes)
        };
        first..end
    };
    Some(if stretch.is_empty() {
        Wanted::Nothing
    } else {
        Wanted::Stretch(stretch)
    })
}

/// Digits only: `+1` is no position. A number too large for us is beyond every end.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use hyper::HeaderMap;
    use hyper::header::HeaderValue;
    use hyper::header::RANGE;

    use super::Wanted;

    fn wanted(ranges: &[&'static str]) -> Wanted {
        let mut headers = HeaderMap::new();
        for range in ranges {
            headers.append(RANGE, HeaderValue::from_static(range));
        }
        Wanted::of(&headers, 100)
    }

    #[test]
    fn one_range_is_served() {
        assert_eq!(wanted(&["bytes=0-0"]), Wanted::Stretch(0..1));
        assert_eq!(wanted(&["bytes=10-19"]), Wanted::Stretch(10..20));
        assert_eq!(wanted(&["Bytes=90-"]), Wanted::Stretch(90..100));
        assert_eq!(wanted(&["bytes=90-1000"]), Wanted::Stretch(90..100));
        assert_eq!(wanted(&["bytes=-5"]), Wanted::Stretch(95..100));
        assert_eq!(wanted(&["bytes=-500"]), Wanted::Stretch(0..100));
        assert_eq!(
            wanted(&["bytes=99-99999999999999999999999999"]),
            Wanted::Stretch(99..100)
        );
    }

    #[test]
    fn bytes_beyond_the_end_do_not_exist() {
        for range in [
            "bytes=100-",
            "bytes=100-200",
            "bytes=-0",
            "bytes=99999999999999999999999-",
        ] {
            assert_eq!(wanted(&[range]), Wanted::Nothing, "{range}");
        }
    }

    #[test]
    fn what_is_not_one_range_of_bytes_is_served_whole() {
        for range in [
            "bytes=0-1,5-6",
            "bytes=5-1",
            "bytes=-",
            "bytes=+1-2",
            "bytes=a-b",
            "lines=1-2",
            "bytes",
            "",
        ] {
            assert_eq!(wanted(&[range]), Wanted::Whole, "{range}");
        }
        assert_eq!(wanted(&["bytes=0-1", "bytes=2-3"]), Wanted::Whole);
        assert_eq!(wanted(&[]), Wanted::Whole);
    }
}
