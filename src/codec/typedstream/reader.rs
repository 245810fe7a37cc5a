//! The bytes of a stream, taken from the front. Knows numbers, not tables or objects.

use super::Got;
use super::TAG_I16;
use super::TAG_I32;
use super::TAG_I64;
use super::TAG_REAL;
use super::TypedstreamError;

/// What is left of a stream.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    total: usize,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            total: bytes.len(),
        }
    }

    /// How many bytes were taken.
    pub(super) const fn offset(&self) -> usize {
        self.total.saturating_sub(self.rest.len())
    }

    /// How many bytes are left.
    pub(super) const fn left(&self) -> usize {
        self.rest.len()
    }

    pub(super) const fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Takes the next byte if it is this one.
    pub(super) fn skip(&mut self, byte: u8) -> bool {
        match self.rest.split_first() {
            Some((first, rest)) if *first == byte => {
                self.rest = rest;
                true
            }
            Some(_) | None => false,
        }
    }

    pub(super) fn unexpected(&self, expected: &'static str) -> TypedstreamError {
        TypedstreamError::Unexpected {
            offset: self.offset(),
            expected,
            got: self.peek().map_or(Got::End, Got::Byte),
        }
    }

    pub(super) fn byte(&mut self, expected: &'static str) -> Result<u8, TypedstreamError> {
        let Some((first, rest)) = self.rest.split_first() else {
            return Err(self.unexpected(expected));
        };
        self.rest = rest;
        Ok(*first)
    }

    /// Takes as many bytes as a number in the stream claims there are.
    pub(super) fn take(
        &mut self,
        length: u64,
        expected: &'static str,
    ) -> Result<&'a [u8], TypedstreamError> {
        let split = usize::try_from(length)
            .ok()
            .and_then(|length| self.rest.split_at_checked(length));
        let Some((taken, rest)) = split else {
            return Err(TypedstreamError::Unexpected {
                offset: self.offset(),
                expected,
                got: Got::Number(i64::try_from(length).unwrap_or(i64::MAX)),
            });
        };
        self.rest = rest;
        Ok(taken)
    }

    fn chunk<const N: usize>(
        &mut self,
        expected: &'static str,
    ) -> Result<[u8; N], TypedstreamError> {
        let Some((chunk, rest)) = self.rest.split_first_chunk::<N>() else {
            self.rest = &[];
            return Err(self.unexpected(expected));
        };
        self.rest = rest;
        Ok(*chunk)
    }

    /// A signed number in any of its widths.
    pub(super) fn signed(&mut self) -> Result<i64, TypedstreamError> {
        const EXPECTED: &str = "a number";
        let before = self.unexpected(EXPECTED);
        match self.byte(EXPECTED)? {
            TAG_I16 => Ok(i16::from_le_bytes(self.chunk(EXPECTED)?).into()),
            TAG_I32 => Ok(i32::from_le_bytes(self.chunk(EXPECTED)?).into()),
            TAG_I64 => Ok(i64::from_le_bytes(self.chunk(EXPECTED)?)),
            0x80..=0x91 => Err(before),
            small => Ok(i8::from_le_bytes([small]).into()),
        }
    }

    /// An unsigned number in any of its widths.
    pub(super) fn unsigned(&mut self) -> Result<u64, TypedstreamError> {
        const EXPECTED: &str = "a number that is not negative";
        let before = self.unexpected(EXPECTED);
        match self.byte(EXPECTED)? {
            TAG_I16 => Ok(u16::from_le_bytes(self.chunk(EXPECTED)?).into()),
            TAG_I32 => Ok(u32::from_le_bytes(self.chunk(EXPECTED)?).into()),
            TAG_I64 => Ok(u64::from_le_bytes(self.chunk(EXPECTED)?)),
            small @ 0..=0x7f => Ok(small.into()),
            _ => Err(before),
        }
    }

    /// An `f`: four bytes after its tag, or an integral value as a number.
    pub(super) fn single(&mut self) -> Result<f64, TypedstreamError> {
        if self.skip(TAG_REAL) {
            return Ok(f32::from_le_bytes(self.chunk("four bytes of a float")?).into());
        }
        self.signed().map(real)
    }

    /// A `d`: eight bytes after its tag, or an integral value as a number.
    pub(super) fn double(&mut self) -> Result<f64, TypedstreamError> {
        if self.skip(TAG_REAL) {
            return Ok(f64::from_le_bytes(self.chunk("eight bytes of a double")?));
        }
        self.signed().map(real)
    }
}

#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "an integral value of a floating-point type was written from one, so nothing is lost"
)]
const fn real(number: i64) -> f64 {
    number as f64
}
