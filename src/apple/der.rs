//! DER as far as keys and protections use it: tags of one byte, definite lengths.
//!
//! What is signed or hashed is the bytes as they were received, so an element remembers them; nothing is ever written
//! again, and a SET keeps its order.

use crate::base::limits;

pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const OCTETS: u8 = 0x04;
pub(crate) const UTF8: u8 = 0x0c;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;

/// `[APPLICATION n]`, constructed.
pub(crate) const fn application(number: u8) -> u8 {
    0x60 | number
}

/// `[n]`, constructed.
pub(crate) const fn context(number: u8) -> u8 {
    0xa0 | number
}

/// Elements one after another: the content of a structure.
#[derive(Clone)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    /// Where `rest` begins, from the beginning of the whole.
    offset: usize,
    elements: usize,
}

/// One element.
#[derive(Clone, Copy)]
pub(crate) struct Element<'a> {
    /// Tag, length and content.
    pub(crate) whole: &'a [u8],
    pub(crate) content: &'a [u8],
    /// Where the content begins, from the beginning of the whole.
    offset: usize,
}

impl<'a> Element<'a> {
    /// The elements in it.
    pub(crate) fn reader(&self) -> Reader<'a> {
        Reader {
            rest: self.content,
            offset: self.offset,
            elements: 0,
        }
    }
}

impl<'a> Reader<'a> {
    /// Over a whole structure.
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Self, DerError> {
        if bytes.len() > limits::DER_BYTES {
            return Err(DerError::TooLarge {
                limit: limits::DER_BYTES,
            });
        }
        Ok(Self {
            rest: bytes,
            offset: 0,
            elements: 0,
        })
    }

    pub(crate) fn unexpected(&self, expected: &'static str) -> DerError {
        DerError::Unexpected {
            expected,
            offset: self.offset,
        }
    }

    /// Whether nothing is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// How many bytes are left.
    pub(crate) fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Whether the next element has this tag.
    pub(crate) fn is_next(&self, tag: u8) -> bool {
        self.rest.first() == Some(&tag)
    }

    /// The next element, whatever it is.
    pub(crate) fn any(&mut self, expected: &'static str) -> Result<Element<'a>, DerError> {
        self.elements = self.elements.saturating_add(1);
        if self.elements > limits::DER_ELEMENTS {
            return Err(DerError::TooMany {
                limit: limits::DER_ELEMENTS,
            });
        }
        let error = self.unexpected(expected);
        let (tag, length) = self.rest.split_first().ok_or_else(|| error.clone())?;
        if tag & 0x1f == 0x1f {
            return Err(error);
        }
        let (first, behind) = length.split_first().ok_or_else(|| error.clone())?;
        let (length, content) = match first {
            0..=0x7f => (usize::from(*first), behind),
            0x81..=0x83 => {
                let digits = usize::from(first & 3);
                let (digits, content) = behind.split_at_checked(digits).ok_or(error.clone())?;
                let length = digits
                    .iter()
                    .fold(0_usize, |length, digit| (length << 8) | usize::from(*digit));
                (length, content)
            }
            _ => return Err(error),
        };
        let header = self.rest.len().saturating_sub(content.len());
        let end = header.saturating_add(length);
        let (whole, rest) = self
            .rest
            .split_at_checked(end)
            .ok_or_else(|| error.clone())?;
        let element = Element {
            whole,
            content: whole.get(header..).unwrap_or_default(),
            offset: self.offset.saturating_add(header),
        };
        self.rest = rest;
        self.offset = self.offset.saturating_add(end);
        Ok(element)
    }

    /// The next element, which has to have this tag.
    pub(crate) fn next(
        &mut self,
        tag: u8,
        expected: &'static str,
    ) -> Result<Element<'a>, DerError> {
        if !self.is_next(tag) {
            return Err(self.unexpected(expected));
        }
        self.any(expected)
    }

    /// The next element if it has this tag.
    pub(crate) fn optional(
        &mut self,
        tag: u8,
        expected: &'static str,
    ) -> Result<Option<Element<'a>>, DerError> {
        self.is_next(tag).then(|| self.any(expected)).transpose()
    }

    /// The elements in the next one.
    pub(crate) fn inside(&mut self, tag: u8, expected: &'static str) -> Result<Self, DerError> {
        Ok(self.next(tag, expected)?.reader())
    }

    /// The elements in the next one, if it has this tag.
    pub(crate) fn inside_optional(
        &mut self,
        tag: u8,
        expected: &'static str,
    ) -> Result<Option<Self>, DerError> {
        let element = self.optional(tag, expected)?;
        Ok(element.map(|element| element.reader()))
    }

    /// The bytes of the next element, an OCTET STRING.
    pub(crate) fn octets(&mut self, expected: &'static str) -> Result<&'a [u8], DerError> {
        Ok(self.next(OCTETS, expected)?.content)
    }

    /// The number in the next element, which is not negative.
    pub(crate) fn number(&mut self, expected: &'static str) -> Result<u32, DerError> {
        let error = self.unexpected(expected);
        let element = self.next(INTEGER, expected)?;
        let mut digits = element.content;
        if let [0, rest @ ..] = digits {
            digits = rest;
        } else if digits.first().is_none_or(|first| first & 0x80 != 0) {
            return Err(error);
        }
        if digits.len() > 4 {
            return Err(error);
        }
        let value = digits
            .iter()
            .fold(0_u32, |value, digit| (value << 8) | u32::from(*digit));
        Ok(value)
    }

    /// Nothing may follow.
    pub(crate) fn end(&self, expected: &'static str) -> Result<(), DerError> {
        if self.is_empty() {
            return Ok(());
        }
        Err(self.unexpected(expected))
    }
}

/// The header of an element with a content of this length, as DER writes it.
pub(crate) fn header(tag: u8, length: usize) -> Vec<u8> {
    let digits = length.to_be_bytes();
    let digits: Vec<u8> = digits.into_iter().skip_while(|digit| *digit == 0).collect();
    match digits.as_slice() {
        [] => vec![tag, 0],
        [digit @ 0..=0x7f] => vec![tag, *digit],
        digits => {
            let count = u8::try_from(digits.len()).unwrap_or_default();
            [&[tag, 0x80 | count], digits].concat()
        }
    }
}

/// Why DER could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DerError {
    /// Something else stands there, or nothing.
    #[error("expected {expected} at byte {offset} of the DER")]
    Unexpected {
        /// What should stand there.
        expected: &'static str,
        /// Where, from the beginning.
        offset: usize,
    },
    /// It is longer than this program is willing to look at.
    #[error("DER over the limit of {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// A structure has more elements than this program is willing to look at.
    #[error("more than {limit} elements in one structure of the DER")]
    TooMany {
        /// The limit.
        limit: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_read_with_their_bytes() {
        let bytes = [0x30, 0x06, 0x02, 0x01, 0x05, 0x04, 0x81, 0x00];

        let mut reader = Reader::new(&bytes).unwrap();
        let sequence = reader.next(SEQUENCE, "a sequence").unwrap();
        let mut inside = sequence.reader();

        assert_eq!(sequence.whole, bytes);
        assert_eq!(inside.number("a number"), Ok(5));
        assert_eq!(inside.octets("bytes"), Ok(&b""[..]));
        assert_eq!(inside.end("the end"), Ok(()));
        assert!(reader.optional(SET, "a set").unwrap().is_none());
    }

    #[test]
    fn what_does_not_fit_names_its_place() {
        let error = |bytes: &'static [u8]| {
            let mut reader = Reader::new(bytes)?;
            let mut inside = reader.inside(SEQUENCE, "a sequence")?;
            inside.number("a number")?;
            inside.end("the end")?;
            reader.end("the end of the whole")
        };
        let unexpected = |expected, offset| Err(DerError::Unexpected { expected, offset });

        assert_eq!(error(b""), unexpected("a sequence", 0));
        assert_eq!(error(b"\x30\x80\x00\x00"), unexpected("a sequence", 0));
        assert_eq!(error(b"\x30\x85\x01"), unexpected("a sequence", 0));
        assert_eq!(error(b"\x30\x03\x04\x01\x05"), unexpected("a number", 2));
        assert_eq!(error(b"\x30\x03\x02\x05\x05"), unexpected("a number", 2));
        assert_eq!(error(b"\x30\x03\x02\x01\xff"), unexpected("a number", 2));
        assert_eq!(error(b"\x30\x02\x02\x00"), unexpected("a number", 2));
        assert_eq!(
            error(b"\x30\x05\x02\x01\x05\x05\x00"),
            unexpected("the end", 5)
        );
        assert_eq!(
            error(b"\x30\x03\x02\x01\x05\x00"),
            unexpected("the end of the whole", 5)
        );
    }

    #[test]
    fn more_than_the_limits_is_refused() {
        let large = vec![0; limits::DER_BYTES + 1];
        let many = [2, 0].repeat(limits::DER_ELEMENTS + 1);

        let mut reader = Reader::new(&many).unwrap();
        let mut last = Ok(());
        while !reader.is_empty() && last.is_ok() {
            last = reader.any("anything").map(drop);
        }

        let limit = limits::DER_BYTES;
        assert_eq!(
            Reader::new(&large).err(),
            Some(DerError::TooLarge { limit })
        );
        let limit = limits::DER_ELEMENTS;
        assert_eq!(last, Err(DerError::TooMany { limit }));
    }

    #[test]
    fn a_header_is_as_short_as_can_be() {
        assert_eq!(header(SET, 0), [SET, 0]);
        assert_eq!(header(SET, 0x7f), [SET, 0x7f]);
        assert_eq!(header(SET, 0x80), [SET, 0x81, 0x80]);
        assert_eq!(header(SET, 0x1234), [SET, 0x82, 0x12, 0x34]);
    }
}
