//! Byte forms of the index: lists of message ids, and what is known of a block. Pure, and safe on any bytes.

use thiserror::Error;

/// Why bytes are no value of the search index.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum DecodeError {
    /// The bytes end inside a number.
    #[error("the bytes end inside the number at byte {offset}")]
    Truncated {
        /// Where the number begins.
        offset: usize,
    },
    /// A number, or a sum of differences, needs more than 64 bits.
    #[error("the number at byte {offset} is over 64 bits")]
    TooLarge {
        /// Where the number begins.
        offset: usize,
    },
    /// An id is not larger than the one before it, or a last id is smaller than the first.
    #[error("the id at byte {offset} does not rise")]
    NotRising {
        /// Where the number begins.
        offset: usize,
    },
    /// The first byte names a version that this program does not know.
    #[error("version {version} of the index is unknown")]
    Version {
        /// The version.
        version: u8,
    },
    /// Bytes are left over.
    #[error("bytes follow the end at byte {offset}")]
    Trailing {
        /// Where they begin.
        offset: usize,
    },
}

/// The ids of one list, rising, decoded one by one. Ends after the first error.
#[derive(Clone, Debug)]
pub struct Postings<'a> {
    reader: Reader<'a>,
    last: Option<u64>,
}

impl<'a> Postings<'a> {
    /// From the value of one row.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            reader: Reader::new(bytes),
            last: None,
        }
    }

    fn read(&mut self) -> Result<u64, DecodeError> {
        let offset = self.reader.offset;
        let delta = self.reader.varint()?;
        match self.last {
            None => Ok(delta),
            Some(_) if delta == 0 => Err(DecodeError::NotRising { offset }),
            Some(last) => last
                .checked_add(delta)
                .ok_or(DecodeError::TooLarge { offset }),
        }
    }
}

impl Iterator for Postings<'_> {
    type Item = Result<u64, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.is_at_end() {
            return None;
        }
        let read = self.read();
        match read {
            Ok(id) => self.last = Some(id),
            Err(_) => self.reader = Reader::new(&[]),
        }
        Some(read)
    }
}

/// Decodes the value of one row: rising ids, each as the difference to the one before it, the first as it is.
///
/// There are never more ids than bytes.
///
/// # Errors
/// [`DecodeError`] for anything else.
pub fn decode_postings(bytes: &[u8]) -> Result<Vec<u64>, DecodeError> {
    Postings::new(bytes).collect()
}

/// Numbers out of bytes.
#[derive(Clone, Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    pub(super) offset: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.offset >= self.bytes.len()
    }

    pub(super) fn byte(&mut self) -> Result<u8, DecodeError> {
        let offset = self.offset;
        let byte = *self
            .bytes
            .get(offset)
            .ok_or(DecodeError::Truncated { offset })?;
        self.offset += 1;
        Ok(byte)
    }

    /// Seven bits a byte, lowest first; the high bit says that more follow.
    pub(super) fn varint(&mut self) -> Result<u64, DecodeError> {
        let offset = self.offset;
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self
                .byte()
                .map_err(|_at_end| DecodeError::Truncated { offset })?;
            let bits = u64::from(byte & 0x7F);
            if bits > u64::MAX >> shift {
                return Err(DecodeError::TooLarge { offset });
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(DecodeError::TooLarge { offset })
    }
}

/// Appends a number in the form that [`Reader::varint`] reads, the shortest.
pub(super) fn push_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    bytes.push(value.to_le_bytes()[0]);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::btree_set;
    use proptest::collection::vec;
    use proptest::prelude::any;
    use proptest::proptest;

    use super::DecodeError;
    use super::decode_postings;
    use super::push_varint;

    fn encode(ids: &BTreeSet<u64>) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut last = 0;
        for &id in ids {
            push_varint(&mut bytes, id - last);
            last = id;
        }
        bytes
    }

    #[test]
    fn the_form_is_the_documented_one() {
        let ids = BTreeSet::from([0, 1, 128, 16_512, u64::MAX]);

        let bytes = encode(&ids);

        let expected = [
            0x00, 0x01, 0x7F, 0x80, 0x80, 0x01, 0xFF, 0xFE, 0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
            0xFF, 0x01,
        ];
        assert_eq!(bytes, expected);
        assert_eq!(decode_postings(&bytes), Ok(ids.into_iter().collect()));
    }

    #[test]
    fn broken_lists_are_errors() {
        assert_eq!(
            decode_postings(&[0x05, 0x80]),
            Err(DecodeError::Truncated { offset: 1 })
        );
        assert_eq!(
            decode_postings(&[0x05, 0x00]),
            Err(DecodeError::NotRising { offset: 1 })
        );
        assert_eq!(
            decode_postings(&[0xFF; 10]),
            Err(DecodeError::TooLarge { offset: 0 })
        );
        assert_eq!(
            decode_postings(&[
                0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01, 0x01
            ]),
            Err(DecodeError::TooLarge { offset: 10 })
        );
    }

    proptest! {
        #[test]
        fn lists_round_trip(ids in btree_set(any::<u64>(), 0..50)) {
            let decoded = decode_postings(&encode(&ids));

            assert_eq!(decoded, Ok(ids.into_iter().collect()));
        }

        #[test]
        fn any_bytes_are_a_rising_list_or_an_error(bytes in vec(any::<u8>(), 0..64)) {
            if let Ok(ids) = decode_postings(&bytes) {
                assert!(ids.is_sorted_by(|a, b| a < b));
                assert!(ids.len() <= bytes.len());
            }
        }
    }
}
