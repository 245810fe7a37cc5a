//! Binary property lists.
//!
//! ```text
//! "bplist00"  objects  offset table  trailer
//! trailer := 6 unused bytes, offset width u8, reference width u8, object count u64, root u64, table offset u64
//! ```
//!
//! Numbers are big-endian. An object is a byte, kind and size in a half each, and its contents:
//!
//! | kind | contents |
//! |---|---|
//! | 0 | size 0 null, 8 false, 9 true |
//! | 1 | whole number of 2^size bytes; those of 8 and 16 bytes are signed |
//! | 2 | real of 2^size bytes |
//! | 3 | date: 8 bytes, a real, seconds since 2001 |
//! | 4 5 6 7 | data, ASCII, UTF-16, UTF-8; size counts bytes or code units |
//! | 8 | reference of a keyed archive, size + 1 bytes |
//! | a b c | array, sets; size references |
//! | d | dictionary; size references to keys, then as many to values |
//!
//! A size of 15 means that a whole number with the size follows.
//!
//! Source: `CFBinaryPList.c` of Core Foundation.

use super::Plist;
use super::PlistError;
use crate::base::limits;
use crate::codec::budget::Budget;

pub(super) const MAGIC: &[u8] = b"bplist00";

const TRAILER_BYTES: usize = 32;

pub(super) fn decode(bytes: &[u8]) -> Result<Plist, PlistError> {
    let (table, root) = Table::read(bytes)?;
    let mut builder = Builder {
        table,
        budget: Budget::new(),
    };
    builder.value(root, 0)
}

/// Where the objects are.
struct Table<'a> {
    /// Everything before the trailer.
    objects: &'a [u8],
    /// Offsets of the objects.
    offsets: &'a [u8],
    offset_width: usize,
    reference_width: usize,
}

impl<'a> Table<'a> {
    /// The table, and the number of the root.
    fn read(bytes: &'a [u8]) -> Result<(Self, u64), PlistError> {
        let end = bytes.len().saturating_sub(TRAILER_BYTES);
        let broken = |expected| PlistError::Binary {
            offset: end,
            expected,
        };
        let (objects, trailer) = bytes
            .split_at_checked(end)
            .ok_or(broken("a trailer of 32 bytes"))?;
        let [_, _, _, _, _, _, offset_width, reference_width, rest @ ..] = trailer else {
            return Err(broken("a trailer of 32 bytes"));
        };
        let mut words = rest.chunks(8).map(number);
        let mut word = || words.next().unwrap_or_default();
        let (count, root, start) = (word(), word(), word());
        let width = |width: &u8| match usize::from(*width) {
            width @ 1..=8 => Ok(width),
            _ => Err(broken("widths of 1 to 8 bytes in the trailer")),
        };
        let (offset_width, reference_width) = (width(offset_width)?, width(reference_width)?);
        let size = usize::try_from(count)
            .ok()
            .and_then(|count| count.checked_mul(offset_width));
        let offsets = usize::try_from(start)
            .ok()
            .and_then(|start| objects.get(start..))
            .zip(size)
            .and_then(|(table, size)| table.get(..size))
            .ok_or(broken("an offset table before the trailer"))?;
        let table = Self {
            objects,
            offsets,
            offset_width,
            reference_width,
        };
        Ok((table, root))
    }

    /// The bytes from an object on, and their offset.
    fn object(&self, index: u64) -> Result<Object<'a>, PlistError> {
        usize::try_from(index)
            .ok()
            .and_then(|index| index.checked_mul(self.offset_width))
            .and_then(|at| self.offsets.get(at..)?.get(..self.offset_width))
            .and_then(|offset| usize::try_from(number(offset)).ok())
            .and_then(|offset| {
                let rest = self.objects.get(offset..)?;
                Some(Object { offset, rest })
            })
            .ok_or(PlistError::Binary {
                offset: self.objects.len(),
                expected: "an offset for every object",
            })
    }
}

/// A big-endian number of up to 8 bytes.
fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

/// An object that is being read.
struct Object<'a> {
    offset: usize,
    rest: &'a [u8],
}

impl<'a> Object<'a> {
    fn broken(&self, expected: &'static str) -> PlistError {
        PlistError::Binary {
            offset: self.offset,
            expected,
        }
    }

    fn take(&mut self, count: usize, expected: &'static str) -> Result<&'a [u8], PlistError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or(self.broken(expected))?;
        self.rest = rest;
        Ok(taken)
    }

    /// The kind and size of an object.
    fn marker(&mut self) -> Result<(u8, u8), PlistError> {
        match self.take(1, "an object")? {
            [marker] => Ok((marker >> 4, marker & 0x0f)),
            _ => Err(self.broken("an object")),
        }
    }

    /// A size that may follow as a number, times the width of what it counts.
    fn length(&mut self, size: u8, width: usize) -> Result<usize, PlistError> {
        const LENGTH: &str = "a length within the list";
        let count = if size == 0x0f {
            let (1, power @ 0..=3) = self.marker()? else {
                return Err(self.broken(LENGTH));
            };
            usize::try_from(number(self.take(1 << power, LENGTH)?)).ok()
        } else {
            Some(usize::from(size))
        };
        count
            .and_then(|count| count.checked_mul(width))
            .filter(|bytes| *bytes <= self.rest.len())
            .ok_or(self.broken(LENGTH))
    }

    fn counted(&mut self, size: u8, width: usize) -> Result<&'a [u8], PlistError> {
        let length = self.length(size, width)?;
        self.take(length, "as many bytes as the length says")
    }
}

struct Builder<'a> {
    table: Table<'a>,
    budget: Budget,
}

impl<'a> Builder<'a> {
    fn pay(&mut self, bytes: usize) -> Result<(), PlistError> {
        if self.budget.pay(bytes) {
            return Ok(());
        }
        Err(PlistError::SIZE)
    }

    /// A list that contains itself ends at the limit of nesting.
    fn value(&mut self, index: u64, depth: usize) -> Result<Plist, PlistError> {
        if depth > limits::NESTING {
            return Err(PlistError::NESTING);
        }
        let inner = depth.saturating_add(1);
        let mut object = self.table.object(index)?;
        let (kind, size) = object.marker()?;
        match (kind, size) {
            (0xa..=0xc, size) => {
                let width = self.table.reference_width;
                let references = object.counted(size, width)?;
                self.pay(0)?;
                references
                    .chunks_exact(width)
                    .map(|reference| self.value(number(reference), inner))
                    .collect::<Result<_, _>>()
                    .map(Plist::Array)
            }
            (0xd, size) => self.dictionary(object, size, inner),
            (4..=7, size) => self.counted(object, kind, size),
            (_, _) => {
                self.pay(0)?;
                scalar(object, kind, size)
            }
        }
    }

    fn dictionary(
        &mut self,
        mut object: Object<'a>,
        size: u8,
        inner: usize,
    ) -> Result<Plist, PlistError> {
        let width = self.table.reference_width;
        let both = object.counted(size, width.saturating_mul(2))?;
        let (keys, values) = both.split_at_checked(both.len() / 2).unwrap_or_default();
        self.pay(0)?;
        let mut entries = Vec::new();
        for (key, value) in keys.chunks_exact(width).zip(values.chunks_exact(width)) {
            let Plist::Text(key) = self.value(number(key), inner)? else {
                return Err(object.broken("a text for every key"));
            };
            entries.push((key, self.value(number(value), inner)?));
        }
        Ok(Plist::Dictionary(entries))
    }

    /// Data and texts.
    fn counted(&mut self, mut object: Object<'a>, kind: u8, size: u8) -> Result<Plist, PlistError> {
        let width = if kind == 6 { 2 } else { 1 };
        let bytes = object.counted(size, width)?;
        self.pay(bytes.len())?;
        if kind == 4 {
            return Ok(Plist::Data(bytes.to_vec()));
        }
        if kind == 6 {
            let units = bytes
                .chunks_exact(2)
                .map(|unit| u16::from_be_bytes([at(unit, 0), at(unit, 1)]));
            let text = char::decode_utf16(units)
                .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
                .collect();
            return Ok(Plist::Text(text));
        }
        match str::from_utf8(bytes) {
            Ok(text) => Ok(Plist::Text(text.to_owned())),
            Err(_) => Err(object.broken("a text in ASCII or UTF-8")),
        }
    }
}

fn at(bytes: &[u8], index: usize) -> u8 {
    bytes.get(index).copied().unwrap_or_default()
}

/// Values that have neither members nor a length.
fn scalar(mut object: Object<'_>, kind: u8, size: u8) -> Result<Plist, PlistError> {
    const NUMBER: &str = "a number of its size";
    Ok(match (kind, size) {
        (0, 0) => Plist::Null,
        (0, 8) => Plist::Boolean(false),
        (0, 9) => Plist::Boolean(true),
        (1, 0..=2) => Plist::Integer(number(object.take(1 << size, NUMBER)?).into()),
        (1, 3) => Plist::Integer(i64::from_be_bytes(array(&mut object, NUMBER)?).into()),
        (1, 4) => Plist::Integer(i128::from_be_bytes(array(&mut object, NUMBER)?)),
        (2, 2) => Plist::Real(f32::from_be_bytes(array(&mut object, NUMBER)?).into()),
        (2, 3) => Plist::Real(f64::from_be_bytes(array(&mut object, NUMBER)?)),
        (3, 3) => {
            let seconds = f64::from_be_bytes(array(&mut object, NUMBER)?);
            Plist::Date(super::date(seconds).ok_or(object.broken("a time"))?)
        }
        (8, 0..=7) => {
            let width = usize::from(size).saturating_add(1);
            Plist::Uid(number(object.take(width, NUMBER)?))
        }
        _ => return Err(object.broken("an object of a known kind")),
    })
}

fn array<const N: usize>(
    object: &mut Object<'_>,
    expected: &'static str,
) -> Result<[u8; N], PlistError> {
    let bytes = object.take(N, expected)?;
    bytes.first_chunk().copied().ok_or(object.broken(expected))
}
