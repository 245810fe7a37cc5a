//! Protocol buffers as they lie there, without a schema.
//!
//! What is inside record fields was written by many versions of Messages, and some accounts have hundreds of records in
//! which a field has another wire type than everywhere else. A strict decoder rejects the whole message for it; this one
//! hands out every field with the type that it has, and whoever reads it takes those that fit.
//!
//! Source: facts of CloudKit, 9, first row; DS-7.

use crate::base::limits;

/// The fields of a message in their order. It ends at the first error: nothing behind it can be found.
pub struct WireFields<'a> {
    rest: &'a [u8],
    length: usize,
}

/// The value of a field.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Wire<'a> {
    /// A whole number.
    Varint(u64),
    /// Eight bytes, little-endian.
    Fixed64(u64),
    /// Text, bytes, or a message.
    Bytes(&'a [u8]),
    /// Four bytes, little-endian.
    Fixed32(u32),
    /// A group; what is in it is passed over.
    Group,
}

impl<'a> Wire<'a> {
    /// The number of a varint.
    pub fn varint(self) -> Option<u64> {
        if let Self::Varint(number) = self {
            return Some(number);
        }
        None
    }

    /// The bytes of a field that has a length.
    pub fn bytes(self) -> Option<&'a [u8]> {
        if let Self::Bytes(bytes) = self {
            return Some(bytes);
        }
        None
    }

    /// The bytes as text, unless they are something else.
    pub fn text(self) -> Option<&'a str> {
        str::from_utf8(self.bytes()?).ok()
    }
}

/// Fields hold texts and addresses: logs show only their form.
impl std::fmt::Debug for Wire<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Varint(_) => f.write_str("Varint"),
            Self::Fixed64(_) => f.write_str("Fixed64"),
            Self::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
            Self::Fixed32(_) => f.write_str("Fixed32"),
            Self::Group => f.write_str("Group"),
        }
    }
}

impl<'a> WireFields<'a> {
    /// The fields of a message.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            length: bytes.len(),
        }
    }

    fn error(&self, expected: &'static str) -> WireError {
        WireError {
            offset: self.length.saturating_sub(self.rest.len()),
            expected,
        }
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        let mut shift = 0_u32;
        let mut rest = self.rest;
        while let Some((byte, behind)) = rest.split_first() {
            rest = behind;
            value |= u64::from(byte & 0x7f).wrapping_shl(shift);
            if byte & 0x80 == 0 {
                self.rest = rest;
                return Some(value);
            }
            shift = shift.saturating_add(7);
            if shift > 63 {
                return None;
            }
        }
        None
    }

    fn take(&mut self, length: u64) -> Option<&'a [u8]> {
        let length = usize::try_from(length).ok()?;
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    /// The number of the next field and its value; a group with its end.
    fn field(&mut self) -> Result<(u32, Wire<'a>), WireError> {
        let (number, kind) = self.key()?;
        let value = self.value(kind)?;
        if matches!(value, Wire::Group) {
            self.skip_group(number)?;
        }
        Ok((number, value))
    }

    fn key(&mut self) -> Result<(u32, u8), WireError> {
        let error = self.error("the key of a field");
        let key = self.varint().ok_or(error)?;
        let number = u32::try_from(key >> 3).map_err(|_large| error)?;
        let kind = u8::try_from(key & 7).map_err(|_large| error)?;
        if number == 0 {
            return Err(error);
        }
        Ok((number, kind))
    }

    fn value(&mut self, kind: u8) -> Result<Wire<'a>, WireError> {
        let error = self.error("the value of a field");
        let value = match kind {
            0 => self.varint().map(Wire::Varint),
            1 => {
                let bytes = self.take(8).and_then(|bytes| bytes.first_chunk().copied());
                bytes.map(|bytes| Wire::Fixed64(u64::from_le_bytes(bytes)))
            }
            2 => {
                let length = self.varint().ok_or(error)?;
                self.take(length).map(Wire::Bytes)
            }
            3 => Some(Wire::Group),
            5 => {
                let bytes = self.take(4).and_then(|bytes| bytes.first_chunk().copied());
                bytes.map(|bytes| Wire::Fixed32(u32::from_le_bytes(bytes)))
            }
            _ => None,
        };
        value.ok_or(error)
    }

    fn skip_group(&mut self, number: u32) -> Result<(), WireError> {
        let mut open = vec![number];
        while let Some(innermost) = open.last().copied() {
            let error = self.error("the end of a group");
            let (number, kind) = self.key()?;
            if kind == 4 {
                if number != innermost {
                    return Err(error);
                }
                open.pop();
            } else if matches!(self.value(kind)?, Wire::Group) {
                if open.len() >= limits::GROUP_NESTING {
                    return Err(error);
                }
                open.push(number);
            }
        }
        Ok(())
    }
}

impl<'a> Iterator for WireFields<'a> {
    type Item = Result<(u32, Wire<'a>), WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

/// Where a message stops being one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} at byte {offset} of a protocol buffer")]
pub struct WireError {
    /// Where, from the beginning of the message.
    pub offset: usize,
    /// What should stand there.
    pub expected: &'static str,
}
