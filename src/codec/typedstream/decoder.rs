//! The grammar: bytes to [`Archive`]. Strict: what it does not know is an error, nothing is skipped.

use super::FIRST_REFERENCE;
use super::Got;
use super::MAGIC;
use super::SYSTEM_VERSION;
use super::TAG_END;
use super::TAG_NEW;
use super::TAG_NIL;
use super::TypedstreamError;
use super::archive::Archive;
use super::archive::Class;
use super::archive::Entry;
use super::archive::Group;
use super::archive::List;
use super::archive::Object;
use super::archive::Span;
use super::archive::Value;
use super::reader::Reader;
use crate::base::limits;

/// Decodes a whole stream.
///
/// The archive borrows from the bytes. Objects may nest [`limits::NESTING`] deep; no table of the archive grows past
/// [`limits::OBJECTS`]; claimed lengths are compared with the bytes that are left.
///
/// # Errors
/// [`TypedstreamError::Unexpected`] where the bytes leave the grammar, [`TypedstreamError::TooMuch`] at a limit.
pub fn decode(bytes: &[u8]) -> Result<Archive<'_>, TypedstreamError> {
    let mut decoder = Decoder {
        reader: Reader::new(bytes),
        archive: Archive::with_room_for(bytes.len()),
        open_groups: Vec::with_capacity(8),
        open_values: Vec::with_capacity(8),
        depth: 0,
    };
    decoder.header()?;
    while decoder.reader.left() > 0 {
        decoder.group()?;
    }
    decoder.archive.top = decoder.close_groups(0);
    Ok(decoder.archive)
}

impl Archive<'_> {
    /// Tables of the size that a body of so many bytes usually needs.
    fn with_room_for(bytes: usize) -> Self {
        let room = bytes.clamp(0, 1 << 10) / 16;
        Self {
            strings: Vec::with_capacity(room),
            entries: Vec::with_capacity(room),
            groups: Vec::with_capacity(room),
            values: Vec::with_capacity(room),
            top: Span::default(),
        }
    }
}

struct Decoder<'a> {
    reader: Reader<'a>,
    archive: Archive<'a>,
    /// Groups of the objects that are being read, outermost first. They move to the archive together when their object
    /// ends, so that the groups of one object lie side by side.
    open_groups: Vec<Group<'a>>,
    /// The same for values.
    open_values: Vec<Value<'a>>,
    depth: usize,
}

impl<'a> Decoder<'a> {
    fn header(&mut self) -> Result<(), TypedstreamError> {
        const EXPECTED: &str = "the header of a typedstream";
        for byte in MAGIC {
            if !self.reader.skip(*byte) {
                return Err(self.reader.unexpected(EXPECTED));
            }
        }
        let offset = self.reader.offset();
        match self.reader.signed()? {
            SYSTEM_VERSION => Ok(()),
            other => Err(TypedstreamError::Unexpected {
                offset,
                expected: "version 1000 of the archiver",
                got: Got::Number(other),
            }),
        }
    }

    fn too_much(&self, what: &'static str, limit: usize) -> TypedstreamError {
        TypedstreamError::TooMuch {
            offset: self.reader.offset(),
            what,
            limit,
        }
    }

    fn enter(&mut self) -> Result<(), TypedstreamError> {
        self.depth = self.depth.saturating_add(1);
        if self.depth > limits::NESTING {
            return Err(self.too_much("nesting", limits::NESTING));
        }
        Ok(())
    }

    fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    /// An index into a table of this length.
    fn reference(&mut self, length: usize) -> Result<usize, TypedstreamError> {
        let offset = self.reader.offset();
        let number = self.reader.signed()?;
        number
            .checked_sub(FIRST_REFERENCE)
            .and_then(|index| usize::try_from(index).ok())
            .filter(|index| *index < length)
            .ok_or(TypedstreamError::Unexpected {
                offset,
                expected: "a reference to something earlier",
                got: Got::Number(number),
            })
    }

    /// A string that is written once and then named by its number.
    fn shared(&mut self) -> Result<Option<&'a [u8]>, TypedstreamError> {
        if self.reader.skip(TAG_NIL) {
            return Ok(None);
        }
        if !self.reader.skip(TAG_NEW) {
            let index = self.reference(self.archive.strings.len())?;
            return Ok(self.archive.strings.get(index).copied());
        }
        let length = self.reader.unsigned()?;
        let string = self.reader.take(length, "a string of that length")?;
        if self.archive.strings.len() >= limits::OBJECTS {
            return Err(self.too_much("strings", limits::OBJECTS));
        }
        self.archive.strings.push(string);
        Ok(Some(string))
    }

    /// Gives out the next number of the object table.
    fn number(&mut self, entry: Entry<'a>) -> Result<usize, TypedstreamError> {
        let number = self.archive.entries.len();
        if number >= limits::OBJECTS {
            return Err(self.too_much("objects", limits::OBJECTS));
        }
        self.archive.entries.push(entry);
        Ok(number)
    }

    fn set(&mut self, number: usize, entry: Entry<'a>) {
        if let Some(slot) = self.archive.entries.get_mut(number) {
            *slot = entry;
        }
    }

    /// A number of the object table whose entry is of the right kind.
    fn entry_reference(
        &mut self,
        expected: &'static str,
        fits: impl Fn(&Entry<'a>) -> bool,
    ) -> Result<usize, TypedstreamError> {
        let offset = self.reader.offset();
        let number = self.reference(self.archive.entries.len())?;
        if self.archive.entries.get(number).is_some_and(fits) {
            return Ok(number);
        }
        Err(TypedstreamError::Unexpected {
            offset,
            expected,
            got: Got::OtherKind,
        })
    }

    fn class(&mut self) -> Result<Option<usize>, TypedstreamError> {
        if self.reader.skip(TAG_NIL) {
            return Ok(None);
        }
        if !self.reader.skip(TAG_NEW) {
            let is_class = |entry: &Entry<'a>| matches!(entry, Entry::Class(_));
            return self.entry_reference("a class", is_class).map(Some);
        }
        self.enter()?;
        let mut class = Class {
            name: None,
            version: 0,
            superclass: None,
        };
        let number = self.number(Entry::Class(class))?;
        class.name = self.shared()?;
        class.version = self.reader.signed()?;
        class.superclass = self.class()?;
        self.set(number, Entry::Class(class));
        self.leave();
        Ok(Some(number))
    }

    fn object(&mut self) -> Result<Value<'a>, TypedstreamError> {
        if self.reader.skip(TAG_NIL) {
            return Ok(Value::Nil);
        }
        if !self.reader.skip(TAG_NEW) {
            let is_object = |entry: &Entry<'a>| matches!(entry, Entry::Object(_));
            return self
                .entry_reference("an object", is_object)
                .map(Value::Reference);
        }
        self.enter()?;
        let mut object = Object {
            class: None,
            groups: Span::default(),
        };
        let number = self.number(Entry::Object(object))?;
        object.class = self.class()?;
        let first = self.open_groups.len();
        while !self.reader.skip(TAG_END) {
            self.group()?;
        }
        object.groups = self.close_groups(first);
        self.set(number, Entry::Object(object));
        self.leave();
        Ok(Value::Reference(number))
    }

    fn c_string(&mut self) -> Result<Value<'a>, TypedstreamError> {
        if self.reader.skip(TAG_NIL) {
            return Ok(Value::Nil);
        }
        if !self.reader.skip(TAG_NEW) {
            let is_c_string = |entry: &Entry<'a>| matches!(entry, Entry::CString(_));
            return self
                .entry_reference("a C string", is_c_string)
                .map(Value::Reference);
        }
        let number = self.number(Entry::CString(None))?;
        let string = self.shared()?;
        self.set(number, Entry::CString(string));
        Ok(Value::Reference(number))
    }

    fn group(&mut self) -> Result<(), TypedstreamError> {
        if self.reader.left() == 0 {
            return Err(self.reader.unexpected("a group or the end of the object"));
        }
        let types = self.shared()?.unwrap_or_default();
        if types.len() > limits::TYPE_BYTES {
            return Err(self.too_much("bytes of a type", limits::TYPE_BYTES));
        }
        let values = self.values(types)?;
        let count = self
            .archive
            .groups
            .len()
            .saturating_add(self.open_groups.len());
        if count >= limits::OBJECTS {
            return Err(self.too_much("groups", limits::OBJECTS));
        }
        self.open_groups.push(Group { types, values });
        Ok(())
    }

    /// Moves the groups of an object that has ended to the archive, together.
    fn close_groups(&mut self, first: usize) -> Span {
        let start = self.archive.groups.len();
        self.archive.groups.extend(self.open_groups.drain(first..));
        Span {
            start,
            end: self.archive.groups.len(),
        }
    }

    /// A value for every type, moved to the archive together.
    fn values(&mut self, mut types: &'a [u8]) -> Result<Span, TypedstreamError> {
        let first = self.open_values.len();
        while !types.is_empty() {
            let (value, rest) = self.value(types)?;
            self.push_value(value)?;
            types = rest;
        }
        Ok(self.close_values(first))
    }

    /// The value of the first type, and the types after it.
    fn value(&mut self, types: &'a [u8]) -> Result<(Value<'a>, &'a [u8]), TypedstreamError> {
        let Some((code, rest)) = types.split_first() else {
            return Err(self.bad_type(Got::End));
        };
        if !matches!(code, b'[' | b'{') {
            return Ok((self.simple(*code)?, rest));
        }
        let (inner, rest) = self.bracketed(types)?;
        self.enter()?;
        let value = if *code == b'[' {
            self.array(inner)?
        } else {
            self.structure(inner)?
        };
        self.leave();
        Ok((value, rest))
    }

    fn push_value(&mut self, value: Value<'a>) -> Result<(), TypedstreamError> {
        let count = self
            .archive
            .values
            .len()
            .saturating_add(self.open_values.len());
        if count >= limits::OBJECTS {
            return Err(self.too_much("values", limits::OBJECTS));
        }
        self.open_values.push(value);
        Ok(())
    }

    fn close_values(&mut self, first: usize) -> Span {
        let start = self.archive.values.len();
        self.archive.values.extend(self.open_values.drain(first..));
        Span {
            start,
            end: self.archive.values.len(),
        }
    }

    fn simple(&mut self, code: u8) -> Result<Value<'a>, TypedstreamError> {
        const BYTE: &str = "a byte";
        Ok(match code {
            b'@' => self.object()?,
            b'#' => self.class()?.map_or(Value::Nil, Value::Reference),
            b'*' => self.c_string()?,
            b'+' => {
                let length = self.reader.unsigned()?;
                Value::Bytes(self.reader.take(length, "bytes of that length")?)
            }
            b'%' | b':' => Value::Shared(self.shared()?),
            b'c' => Value::Integer(i8::from_le_bytes([self.reader.byte(BYTE)?]).into()),
            b'C' => Value::Unsigned(self.reader.byte(BYTE)?.into()),
            b's' | b'i' | b'l' | b'q' => Value::Integer(self.reader.signed()?),
            b'S' | b'I' | b'L' | b'Q' => Value::Unsigned(self.reader.unsigned()?),
            b'B' => Value::Boolean(self.reader.unsigned()? != 0),
            b'f' => Value::Real(self.reader.single()?),
            b'd' => Value::Real(self.reader.double()?),
            other => return Err(self.bad_type(Got::Byte(other))),
        })
    }

    fn bad_type(&self, got: Got) -> TypedstreamError {
        TypedstreamError::Unexpected {
            offset: self.reader.offset(),
            expected: "a value of a known type",
            got,
        }
    }

    /// What stands between a bracket and the one that closes it, and what follows.
    fn bracketed(&self, types: &'a [u8]) -> Result<(&'a [u8], &'a [u8]), TypedstreamError> {
        let mut open = 0_usize;
        for (at, code) in types.iter().enumerate() {
            match code {
                b'[' | b'{' => open = open.saturating_add(1),
                b']' | b'}' => open = open.saturating_sub(1),
                _ => {}
            }
            if open == 0 {
                let inner = types.get(1..at).unwrap_or_default();
                let rest = types.get(at.saturating_add(1)..).unwrap_or_default();
                return Ok((inner, rest));
            }
        }
        Err(self.bad_type(Got::End))
    }

    /// `Nt`: N values of one type.
    fn array(&mut self, inner: &'a [u8]) -> Result<Value<'a>, TypedstreamError> {
        let digits = inner.iter().take_while(|c| c.is_ascii_digit()).count();
        let (count, element) = inner.split_at_checked(digits).unwrap_or_default();
        let count: u64 = str::from_utf8(count)
            .ok()
            .and_then(|count| count.parse().ok())
            .ok_or_else(|| self.bad_type(Got::End))?;
        if matches!(element, b"c" | b"C") {
            return Ok(Value::Bytes(
                self.reader.take(count, "bytes of that count")?,
            ));
        }
        let first = self.open_values.len();
        for _ in 0..count {
            let (value, []) = self.value(element)? else {
                return Err(self.bad_type(Got::OtherKind));
            };
            self.push_value(value)?;
        }
        Ok(Value::List(List(self.close_values(first))))
    }

    /// `name=types`: the values in turn. Without `=`, nothing is known of it, and nothing was written.
    fn structure(&mut self, inner: &'a [u8]) -> Result<Value<'a>, TypedstreamError> {
        let name = inner.iter().take_while(|c| **c != b'=').count();
        let types = inner.get(name.saturating_add(1)..).unwrap_or_default();
        Ok(Value::List(List(self.values(types)?)))
    }
}
