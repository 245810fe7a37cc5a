//! Bodies without anything special: a text of one part. Most are so, and all of them are the same bytes around the text,
//! so that comparing takes the place of decoding.

use super::reader::Reader;

/// What stands before the length of the text, and behind the length of its one run.
struct Shape {
    before: &'static [u8],
    after: &'static [u8],
}

/// An `NSAttributedString` and its mutable kind, with a run that has the attributes `__kIMMessagePartAttributeName` 0.
///
/// Source: `[obs]` macOS 13 to 26; test `a_plain_body_is_what_the_decoder_makes_of_it`.
const SHAPES: [Shape; 2] = [
    Shape {
        before: b"\x04\x0bstreamtyped\x81\xe8\x03\x84\x01@\x84\x84\x84\x12NSAttributedString\0\x84\x84\x08NSObject\0\x85\
                  \x92\x84\x84\x84\x08NSString\x01\x94\x84\x01+",
        after: b"\x92\x84\x84\x84\x0cNSDictionary\0\x94\x84\x01i\x01\x92\x84\x96\x96\x1d__kIMMessagePartAttributeName\
                 \x86\x92\x84\x84\x84\x08NSNumber\0\x84\x84\x07NSValue\0\x94\x84\x01*\x84\x99\x99\0\x86\x86\x86",
    },
    Shape {
        before: b"\x04\x0bstreamtyped\x81\xe8\x03\x84\x01@\x84\x84\x84\x19NSMutableAttributedString\0\
                  \x84\x84\x12NSAttributedString\0\x84\x84\x08NSObject\0\x85\x92\x84\x84\x84\x0fNSMutableString\x01\
                  \x84\x84\x08NSString\x01\x95\x84\x01+",
        after: b"\x92\x84\x84\x84\x0cNSDictionary\0\x95\x84\x01i\x01\x92\x84\x98\x98\x1d__kIMMessagePartAttributeName\
                 \x86\x92\x84\x84\x84\x08NSNumber\0\x84\x84\x07NSValue\0\x95\x84\x01*\x84\x9b\x9b\0\x86\x86\x86",
    },
];

/// Ends the text's object and begins the run: the first dictionary, for as many code units as follow.
const RUN: &[u8] = b"\x86\x84\x02iI\x01";

/// The text of a body that has one run, over all of it, with the attributes of part 0 and no others, and its length in
/// UTF-16 code units, never 0. `None` for any other body, sound or not: that is for
/// [`decode_attributed`](super::decode_attributed).
pub fn plain_text(bytes: &[u8]) -> Option<(&str, u32)> {
    SHAPES.iter().find_map(|shape| shape.text(bytes))
}

impl Shape {
    fn text<'b>(&self, bytes: &'b [u8]) -> Option<(&'b str, u32)> {
        let inner = bytes.strip_prefix(self.before)?;
        let inner = inner.strip_suffix(self.after)?;
        let mut reader = Reader::new(inner);
        let length = reader.unsigned().ok()?;
        let text = reader.take(length, "a text of that length").ok()?;
        let run = reader.take(RUN.len().try_into().ok()?, "a run").ok()?;
        let covered = reader.unsigned().ok()?;
        let text = str::from_utf8(text).ok()?;
        let units = if text.is_ascii() {
            text.len()
        } else {
            text.encode_utf16().count()
        };
        let units = u32::try_from(units).ok().filter(|units| *units > 0)?;
        let is_whole = run == RUN && reader.left() == 0 && covered == u64::from(units);
        is_whole.then_some((text, units))
    }
}

#[cfg(test)]
mod tests {
    use super::RUN;
    use super::SHAPES;
    use super::Shape;
    use super::plain_text;
    use crate::codec::typedstream::Attribute;
    use crate::codec::typedstream::AttributedText;
    use crate::codec::typedstream::Attributes;
    use crate::codec::typedstream::Run;
    use crate::codec::typedstream::decode_attributed;

    fn number(number: usize) -> Vec<u8> {
        match u16::try_from(number).unwrap() {
            small @ 0..=0x7f => vec![small.to_le_bytes()[0]],
            large => [vec![0x81], large.to_le_bytes().to_vec()].concat(),
        }
    }

    fn body(shape: &Shape, text: &str, run: usize) -> Vec<u8> {
        let (length, run) = (number(text.len()), number(run));
        let parts: [&[u8]; 6] = [
            shape.before,
            &length,
            text.as_bytes(),
            RUN,
            &run,
            shape.after,
        ];
        parts.concat()
    }

    #[test]
    fn a_plain_body_is_what_the_decoder_makes_of_it() {
        let texts = ["x", "\u{1f602}", &"y".repeat(127), &"\u{4eca}".repeat(128)];
        for (shape, text) in SHAPES
            .iter()
            .flat_map(|shape| texts.map(|text| (shape, text)))
        {
            let units = text.encode_utf16().count();
            let bytes = body(shape, text, units);

            let length = u32::try_from(units).unwrap();
            let part = "__kIMMessagePartAttributeName".to_owned();
            let whole = Run {
                start: 0,
                length,
                attributes: 0,
            };
            let decoded = AttributedText {
                text: text.to_owned(),
                runs: vec![whole],
                dictionaries: vec![Attributes(vec![(part, Attribute::Integer(0))])],
            };
            assert_eq!(plain_text(&bytes), Some((text, length)));
            assert_eq!(decode_attributed(&bytes), Ok(decoded));
        }
    }

    #[test]
    fn any_other_body_is_left_to_the_decoder() {
        let [shape, _] = &SHAPES;
        let plain = body(shape, "text", 4);
        let other_part: Vec<u8> = [&plain[..plain.len() - 4], b"\x01\x86\x86\x86"].concat();

        assert_eq!(plain_text(&body(shape, "", 0)), None);
        assert_eq!(plain_text(&body(shape, "text", 3)), None);
        assert_eq!(plain_text(&other_part), None);
        assert_eq!(plain_text(&[&plain[..], b"\x86"].concat()), None);
        assert_eq!(plain_text(&plain[..plain.len() - 1]), None);
        assert_eq!(plain_text(&plain[..20]), None);
    }
}
