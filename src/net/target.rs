//! What a request asks for: the segments of its path and the pairs of its query, decoded once. It knows no routes.
//!
//! Source: `[rfc 3986]` 2.1, 3.3; the query is `application/x-www-form-urlencoded`.

use std::fmt;

use thiserror::Error;

/// Why a path or a query is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TargetError {
    /// `%` without two hexadecimal digits after it.
    #[error("the {part} has a percent sign without two hexadecimal digits")]
    Escape {
        /// Path or query.
        part: Part,
    },
    /// The decoded bytes are not UTF-8.
    #[error("the {part} is not UTF-8")]
    Text {
        /// Path or query.
        part: Part,
    },
    /// A NUL byte: no name of ours has one, and C libraries end there.
    #[error("the {part} has a NUL byte")]
    Nul {
        /// Path or query.
        part: Part,
    },
}

/// The part of a request target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Before the question mark.
    Path,
    /// After it.
    Query,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Path => "path",
            Self::Query => "query",
        })
    }
}

/// A path, cut at its slashes and then decoded, so that `%2F` is part of a segment.
///
/// `/a/b` has two segments, `/a/b/` a third that is empty, `/` one that is empty. Nothing is normalized: `..` is a
/// segment like any other, however it was written, and empty ones stay.
#[derive(Clone, PartialEq, Eq)]
pub struct Path {
    text: String,
    /// The end of each segment in `text`. Between two segments is a slash.
    ends: Vec<usize>,
}

impl Path {
    /// From the path as it stood in the request line, without query.
    ///
    /// # Errors
    /// [`TargetError`] when a segment cannot be decoded.
    pub fn parse(raw: &str) -> Result<Self, TargetError> {
        let part = Part::Path;
        let mut bytes = Vec::with_capacity(raw.len());
        let mut ends = Vec::with_capacity(8);
        for segment in raw.strip_prefix('/').unwrap_or(raw).split('/') {
            if !ends.is_empty() {
                bytes.push(b'/');
            }
            decode(segment, part, &mut bytes)?;
            ends.push(bytes.len());
        }
        let text = String::from_utf8(bytes).map_err(|_not_text| TargetError::Text { part })?;
        // The slashes between the segments keep a character from reaching over two: each end is a boundary.
        Ok(Self { text, ends })
    }

    /// The decoded segments.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &str> {
        (0..self.ends.len()).map(|at| self.segment(at).unwrap_or_default())
    }

    /// The number of segments; at least one.
    pub fn count(&self) -> usize {
        self.ends.len()
    }

    /// One decoded segment.
    pub fn segment(&self, at: usize) -> Option<&str> {
        self.text.get(self.start(at)..*self.ends.get(at)?)
    }

    /// The segments from one on, with slashes between them; `None` unless each of them is the name of a file: not
    /// empty, no slash of either kind, not `.` and not `..`.
    pub fn file_from(&self, at: usize) -> Option<&str> {
        let is_name = |name: &str| !matches!(name, "" | "." | "..") && !name.contains(['/', '\\']);
        let names = self.ends.len().checked_sub(at)?;
        let all = self.segments().skip(at).all(is_name);
        (names > 0 && all).then(|| self.text.get(self.start(at)..))?
    }

    fn start(&self, at: usize) -> usize {
        let before = at.checked_sub(1).and_then(|before| self.ends.get(before));
        before.map_or(0, |end| end + 1)
    }
}

/// A path contains ids of conversations and people: logs show its length only.
impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Path({} segments)", self.ends.len())
    }
}

/// The pairs of a query in their order, decoded. A name may occur more than once.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// From the text after the question mark.
    ///
    /// `+` and `%20` are spaces; a pair without `=` has an empty value; empty pairs (`a=1&&b=2`) are left out.
    ///
    /// # Errors
    /// [`TargetError`] when a name or a value cannot be decoded.
    pub fn parse(raw: &str) -> Result<Self, TargetError> {
        let pairs = raw.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode_form(name)?, decode_form(value)?))
        });
        Ok(Self(pairs.collect::<Result<_, _>>()?))
    }

    /// The first value of a name.
    pub fn first(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// Every value of a name.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.pairs()
            .filter(move |(other, _)| *other == name)
            .map(|(_, value)| value)
    }

    /// Every pair.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        let pairs = self.0.iter();
        pairs.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Without the pairs whose value is empty: clients write `timeout=` where they mean nothing (D17).
    #[must_use]
    pub fn without_empty(mut self) -> Self {
        self.0.retain(|(_, value)| !value.is_empty());
        self
    }
}

/// Encoded again, as it stands after a question mark.
impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (name, value)) in self.pairs().enumerate() {
            if at > 0 {
                f.write_str("&")?;
            }
            encode_form(name, f)?;
            f.write_str("=")?;
            encode_form(value, f)?;
        }
        Ok(())
    }
}

/// A query may hold an access token: logs show no values.
impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Query({} pairs)", self.0.len())
    }
}

fn decode_form(text: &str) -> Result<String, TargetError> {
    let part = Part::Query;
    let mut bytes = Vec::with_capacity(text.len());
    if text.contains('+') {
        decode(&text.replace('+', " "), part, &mut bytes)?;
    } else {
        decode(text, part, &mut bytes)?;
    }
    String::from_utf8(bytes).map_err(|_not_text| TargetError::Text { part })
}

/// Appends the decoded bytes.
fn decode(text: &str, part: Part, into: &mut Vec<u8>) -> Result<(), TargetError> {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                let both = digit().zip(digit()).map(|(high, low)| high << 4 | low);
                let byte = both.and_then(|byte| u8::try_from(byte).ok());
                byte.ok_or(TargetError::Escape { part })?
            }
            byte => byte,
        };
        if byte == 0 {
            return Err(TargetError::Nul { part });
        }
        into.push(byte);
    }
    Ok(())
}

fn encode_form(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                write!(f, "{}", char::from(byte))?;
            }
            byte => write!(f, "%{byte:02X}")?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Part;
    use super::Path;
    use super::Query;
    use super::TargetError;

    fn segments(raw: &str) -> Vec<String> {
        let path = Path::parse(raw).unwrap();
        path.segments().map(str::to_owned).collect()
    }

    #[test]
    fn both_spellings_of_an_id_are_one_segment() {
        let expected = ["rooms", "!room:host", "state"];

        assert_eq!(segments("/rooms/!room:host/state"), expected);
        assert_eq!(segments("/rooms/%21room%3ahost/state"), expected);
    }

    #[test]
    fn an_encoded_slash_is_part_of_its_segment() {
        assert_eq!(segments("/a%2Fb/c"), ["a/b", "c"]);
        assert_eq!(segments("/a%252Fb"), ["a%2Fb"]);
    }

    #[test]
    fn slashes_at_the_end_and_in_a_row_make_empty_segments() {
        assert_eq!(segments("/"), [""]);
        assert_eq!(segments("/a/"), ["a", ""]);
        assert_eq!(segments("//a"), ["", "a"]);
        assert_eq!(segments(""), [""]);
    }

    #[test]
    fn a_plus_in_a_path_is_a_plus() {
        assert_eq!(segments("/a+b"), ["a+b"]);
    }

    #[test]
    fn what_cannot_be_decoded_is_refused() {
        let part = Part::Path;

        for raw in ["/%", "/%4", "/%zz", "/%+1", "/a%2"] {
            assert_eq!(Path::parse(raw), Err(TargetError::Escape { part }));
        }
        for raw in ["/%ff", "/%C3", "/%C3/%A9", "/%ED%A0%80"] {
            assert_eq!(Path::parse(raw), Err(TargetError::Text { part }));
        }
        assert_eq!(Path::parse("/a%00b"), Err(TargetError::Nul { part }));
    }

    #[test]
    fn a_file_has_no_way_out_of_its_folder() {
        let tricks = [
            "/x/..",
            "/x/%2e%2e/secret",
            "/x/a/%2E/b",
            "/x/..%2fsecret",
            "/x/..%5csecret",
            "/x//etc/passwd",
            "/x/",
            "/x",
        ];

        for trick in tricks {
            assert_eq!(Path::parse(trick).unwrap().file_from(1), None, "{trick}");
        }
        let path = Path::parse("/x/a%20b/c..d").unwrap();
        assert_eq!(path.file_from(1), Some("a b/c..d"));
        assert_eq!(path.file_from(0), Some("x/a b/c..d"));
    }

    #[test]
    fn queries_are_decoded_and_encoded_again() {
        let query = Query::parse("filter=%7B%22a%22%3A1%7D&dir=b&via=a+b&via=c%2Bd&&flag").unwrap();

        assert_eq!(query.first("filter"), Some("{\"a\":1}"));
        assert_eq!(query.all("via").collect::<Vec<_>>(), ["a b", "c+d"]);
        assert_eq!(query.first("flag"), Some(""));
        assert_eq!(query.first("none"), None);
        assert_eq!(
            query.to_string(),
            "filter=%7B%22a%22%3A1%7D&dir=b&via=a%20b&via=c%2Bd&flag="
        );
    }

    #[test]
    fn empty_values_can_be_left_out() {
        let query = Query::parse("timeout=&since=s1_2&full_state").unwrap();

        assert_eq!(query.without_empty().to_string(), "since=s1_2");
    }

    #[test]
    fn a_broken_query_is_refused() {
        let part = Part::Query;

        assert_eq!(Query::parse("a=%4"), Err(TargetError::Escape { part }));
        assert_eq!(Query::parse("%ff=1"), Err(TargetError::Text { part }));
    }

    #[test]
    fn tokens_and_ids_do_not_reach_a_log() {
        let query = Query::parse("access_token=fb_secret").unwrap();
        let path = Path::parse("/rooms/!secret:host").unwrap();

        assert_eq!(
            format!("{path:?} {query:?}"),
            "Path(2 segments) Query(1 pairs)"
        );
    }
}
