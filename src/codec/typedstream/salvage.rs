//! The text of a body that is damaged. A guess by shape, used only after the decoder has said no.

use super::TAG_END;
use super::TAG_NEW;
use super::reader::Reader;

/// Names the class of the body's text; what follows it is the rest of its classes and the text.
const MARKER: &[u8] = b"NSString";

/// Type `+` written for the first time, as it is in front of the first string of a stream.
const BYTES_TYPE: &[u8] = &[TAG_NEW, 0x01, b'+'];

/// Longest distance from the marker to the text's type: what `NSString` and `NSObject` take, twice over.
const REACH: usize = 64;

/// Looks for the text of a damaged body.
///
/// `None` unless the beginning of a string object is there and what follows is UTF-8 without control characters. The
/// text is as long as the stream says; where that cannot be, it is what stands before the next end of an object, or the
/// rest of a stream that was cut off.
///
/// Source: `[obs]` a body whose stated length runs past its end (vector `ExtraData`).
pub fn salvage_text(bytes: &[u8]) -> Option<String> {
    let after_marker = find(bytes, MARKER).and_then(|at| bytes.get(at..))?;
    let near = after_marker.get(..REACH).unwrap_or(after_marker);
    let at = find(near, BYTES_TYPE)?.checked_add(BYTES_TYPE.len())?;
    let mut reader = Reader::new(after_marker.get(at..)?);
    let length = reader.unsigned().ok()?;
    let rest = reader
        .take(u64::try_from(reader.left()).ok()?, "the rest")
        .ok()?;
    let stated = usize::try_from(length)
        .ok()
        .and_then(|length| rest.split_at_checked(length))
        .filter(|(_, after)| after.first().is_none_or(|byte| *byte == TAG_END))
        .and_then(|(text, _)| readable(text));
    stated
        .or_else(|| before_end_of_object(rest))
        .map(str::to_owned)
}

/// What stands before the end of the string object, or all there is of a text that was cut off.
///
/// The byte that ends an object never begins a character, so the first place that is no UTF-8 is the end.
fn before_end_of_object(rest: &[u8]) -> Option<&str> {
    let end = match str::from_utf8(rest) {
        Ok(text) => text.len(),
        Err(error) => {
            let end = error.valid_up_to();
            let is_end = matches!(
                rest.get(end..)?,
                [TAG_END] | [TAG_END, TAG_NEW | TAG_END, ..]
            );
            let is_cut = error.error_len().is_none();
            (is_end || is_cut).then_some(end)?
        }
    };
    readable(rest.get(..end)?)
}

/// Bytes that are certainly text.
fn readable(text: &[u8]) -> Option<&str> {
    let text = str::from_utf8(text).ok()?;
    let rubbish = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    (!text.is_empty() && !text.contains(rubbish)).then_some(text)
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
