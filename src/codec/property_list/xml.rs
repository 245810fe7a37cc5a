//! XML property lists, by the `plist` crate, which builds and drops its values recursively or without limit: what would
//! hurt is refused before it sees the bytes.

use std::io::Cursor;
use std::time::SystemTime;

use super::Plist;
use super::PlistError;
use crate::base::limits;
use crate::base::time::AppleTime;

pub(super) fn decode(bytes: &[u8]) -> Result<Plist, PlistError> {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if !text.trim_ascii_start().starts_with(b"<") {
        return Err(PlistError::NotAPlist);
    }
    check(bytes)?;
    plist::Value::from_reader_xml(Cursor::new(bytes))
        .map(convert)
        .map_err(|error| PlistError::Reader(Box::new(error)))
}

/// Refuses nesting and numbers of elements over the limits.
///
/// The scan reads markup more narrowly than XML allows (no attributes but those of `plist`, no internal subset), so that
/// nothing can look like an end tag here and not be one there.
fn check(bytes: &[u8]) -> Result<(), PlistError> {
    let mut depth = 0_usize;
    let mut elements = 0_usize;
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| *byte == b'<') {
        let markup = rest.get(at..).unwrap_or_default();
        let broken = PlistError::Xml {
            offset: bytes.len().saturating_sub(markup.len()),
        };
        let until = |end: &[u8]| {
            let found = markup.windows(end.len()).position(|window| window == end)?;
            markup.split_at_checked(found.saturating_add(end.len()))
        };
        let split = if markup.starts_with(b"<!--") {
            until(b"-->").filter(|(comment, _)| comment.len() >= b"<!---->".len())
        } else if markup.starts_with(b"<![CDATA[") {
            until(b"]]>")
        } else if markup.starts_with(b"<?") {
            until(b"?>")
        } else {
            until(b">")
        };
        let Some((tag, after)) = split else {
            return Err(broken);
        };
        rest = after;
        match tag {
            [b'<', b'?', ..] | [b'<', b'!', b'-' | b'[', ..] => continue,
            _ if !is_plain(tag) => return Err(broken),
            [b'<', b'd', b'a', b't', b'e', ..] if !is_date(after) => return Err(broken),
            [b'<', b'!', ..] | [.., b'/', b'>'] => {}
            [b'<', b'/', ..] => {
                depth = depth.saturating_sub(1);
                continue;
            }
            _ => depth = depth.saturating_add(1),
        }
        elements = elements.saturating_add(1);
        // One more level than of values: the element `plist`.
        if depth > limits::NESTING {
            return Err(PlistError::NESTING);
        }
        if elements > limits::OBJECTS {
            return Err(PlistError::SIZE);
        }
    }
    Ok(())
}

/// Whether a date in UTC follows, and then its end tag: the crate panics on offsets that lead past the year 9999.
fn is_date(text: &[u8]) -> bool {
    let length = text.iter().take_while(|byte| **byte != b'<').count();
    let (date, end) = text.split_at_checked(length).unwrap_or_default();
    let is_part = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'-' | b':' | b'T');
    let in_utc = date.strip_suffix(b"Z");
    end.starts_with(b"</date>") && in_utc.is_some_and(|date| date.iter().all(is_part))
}

/// Whether a tag ends where it seems to and is called as it seems to be: outside `plist` and the document type it has no
/// quotes, and there they pair; and no name space.
fn is_plain(tag: &[u8]) -> bool {
    let inner = tag.get(1..).unwrap_or_default();
    // Pieces between quotes: one without quotes, an odd number when they pair.
    let pieces = inner.split(|byte| *byte == b'"').count();
    let quotes_fit = if inner.starts_with(b"plist") || inner.starts_with(b"!DOCTYPE") {
        !pieces.is_multiple_of(2)
    } else {
        pieces == 1 && !inner.contains(&b':')
    };
    quotes_fit && !inner.iter().any(|byte| matches!(byte, b'<' | b'[' | b'\''))
}

/// The crate's value as ours. As deep as the list, which [`check`] has bounded.
pub(super) fn convert(value: plist::Value) -> Plist {
    match value {
        plist::Value::Array(values) => Plist::Array(values.into_iter().map(convert).collect()),
        plist::Value::Dictionary(entries) => Plist::Dictionary(
            entries
                .into_iter()
                .map(|(key, value)| (key, convert(value)))
                .collect(),
        ),
        plist::Value::Boolean(value) => Plist::Boolean(value),
        plist::Value::Data(data) => Plist::Data(data),
        plist::Value::Date(date) => Plist::Date(time(date.into())),
        plist::Value::Real(number) => Plist::Real(number),
        plist::Value::Integer(number) => Plist::Integer(
            number
                .as_signed()
                .map(i128::from)
                .or(number.as_unsigned().map(i128::from))
                .unwrap_or_default(),
        ),
        plist::Value::String(text) => Plist::Text(text),
        plist::Value::Uid(uid) => Plist::Uid(uid.get()),
        // The crate may learn new kinds; it has none for XML today.
        _ => Plist::Null,
    }
}

fn time(at: SystemTime) -> AppleTime {
    let millis = match at.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
        Err(before) => {
            i64::try_from(before.duration().as_millis()).map_or(i64::MIN, i64::saturating_neg)
        }
    };
    AppleTime::from_unix_millis(millis)
}
