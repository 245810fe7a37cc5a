//! Typed streams, the archive format of Foundation's `NSArchiver`, in which Messages keeps the body of every message. Not
//! `NSKeyedArchiver`, which is a property list ([`codec::keyed_archive`](crate::codec::keyed_archive)).
//!
//! ```text
//! stream   := 0x04 0x0b "streamtyped" int(1000) group*
//! int      := one byte, -110 to 127 | 0x81 i16 | 0x82 i32 | 0x87 i64           little-endian
//! tags     := 0x83 float follows  0x84 new  0x85 nil  0x86 end of object
//! ref(n)   := int(n - 110)
//! shared   := 0x84 int(length) bytes | ref into the strings | 0x85
//! class    := 0x84 shared(name) int(version) class(superclass) | ref into the objects | 0x85
//! object   := 0x84 class group* 0x86 | ref into the objects | 0x85
//! cstring  := 0x84 shared | ref into the objects | 0x85
//! group    := shared(types) and a value for every type in it
//! ```
//!
//! Objects, classes and C strings share one table; each takes its number at its 0x84.
//!
//! | type | value |
//! |---|---|
//! | `@` `#` `*` | object, class, C string |
//! | `+` | `int(length)` and as many bytes |
//! | `%` `:` | shared string |
//! | `c` `C` | one raw byte |
//! | `s` `i` `l` `q`, `S` `I` `L` `Q`, `B` | int, signed or unsigned; a truth value |
//! | `f` `d` | 0x83 and 4 or 8 bytes, or an int |
//! | `[Nt]` | N values of a type; of `c` and `C`, N raw bytes |
//! | `{name=types}` | the values in turn |
//!
//! Source: `[obs]` macOS 10.13 to 26; 77 real streams, `tests/vectors.rs`.

mod archive;
mod attributed;
mod decoder;
mod encode;
mod plain;
mod reader;
mod salvage;

use std::fmt;

pub use archive::Archive;
pub use archive::Entry;
pub use archive::Group;
pub use archive::Value;
pub use attributed::Attribute;
pub use attributed::AttributedText;
pub use attributed::Attributes;
pub use attributed::Run;
pub use attributed::Url;
pub use attributed::decode_attributed;
pub use decoder::decode;
pub use encode::encode;
pub use plain::plain_text;
pub use salvage::salvage_text;

/// Begins every stream; the number 1000 follows.
const MAGIC: &[u8] = b"\x04\x0bstreamtyped";

/// The archiver's version.
const SYSTEM_VERSION: i64 = 1_000;

/// References count from here, so that the first hundred need one byte.
const FIRST_REFERENCE: i64 = -110;

const TAG_I16: u8 = 0x81;
const TAG_I32: u8 = 0x82;
const TAG_REAL: u8 = 0x83;
const TAG_NEW: u8 = 0x84;
const TAG_NIL: u8 = 0x85;
const TAG_END: u8 = 0x86;
const TAG_I64: u8 = 0x87;

/// Why a stream could not be decoded. Holds no content of the stream but single bytes and numbers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TypedstreamError {
    /// The bytes do not follow the grammar.
    #[error("expected {expected}, got {got} at byte {offset}")]
    Unexpected {
        /// Where, from the beginning of the stream.
        offset: usize,
        /// What the grammar asks for there.
        expected: &'static str,
        /// What stands there.
        got: Got,
    },
    /// The stream is more than this program is willing to hold.
    #[error("{what} over the limit of {limit} at byte {offset}")]
    TooMuch {
        /// Where the limit was passed.
        offset: usize,
        /// Of what there is too much.
        what: &'static str,
        /// The limit, in that unit.
        limit: usize,
    },
    /// The stream follows the grammar, but its objects are not what was asked for.
    #[error("expected {expected} in object {object}")]
    Shape {
        /// The object's number.
        object: usize,
        /// What it should have held.
        expected: &'static str,
    },
}

/// What stood where something else was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Got {
    /// The end of the stream.
    End,
    /// A byte.
    Byte(u8),
    /// A number: a length, a reference, a version.
    Number(i64),
    /// An entry of another kind.
    OtherKind,
}

impl fmt::Display for Got {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::End => f.write_str("the end"),
            Self::Byte(byte) => write!(f, "{byte:#04x}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::OtherKind => f.write_str("another kind of entry"),
        }
    }
}

#[cfg(test)]
mod tests;
