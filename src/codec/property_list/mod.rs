//! Property lists: the values that Apple's systems store. Not keyed archives, which are graphs of objects written as a
//! property list ([`codec::keyed_archive`](crate::codec::keyed_archive)).
//!
//! The binary form is read here and not by the `plist` crate: a binary list can name one object many times over, so a few
//! hundred bytes stand for a tree larger than any memory, and that crate builds the tree. Its XML reader is used, behind
//! a check of the nesting.

mod binary;
mod write;
mod xml;

#[cfg(test)]
pub(crate) mod tests;

pub use write::encode;

use std::fmt;

use crate::base::limits;
use crate::base::time::AppleTime;

/// Decodes a property list, binary or XML.
///
/// At most [`limits::BLOB_BYTES`] of input, [`limits::NESTING`] levels, [`limits::OBJECTS`] values and
/// [`limits::VALUE_BYTES`] of text and data, counting a shared value as often as it appears.
///
/// # Errors
/// [`PlistError`], by what is wrong with the bytes.
pub fn decode(bytes: &[u8]) -> Result<Plist, PlistError> {
    if bytes.len() > limits::BLOB_BYTES {
        return Err(PlistError::TooMuch {
            what: "bytes",
            limit: limits::BLOB_BYTES,
        });
    }
    if bytes.starts_with(binary::MAGIC) {
        return binary::decode(bytes);
    }
    xml::decode(bytes)
}

/// A value of a property list.
#[derive(Clone, Default, PartialEq)]
pub enum Plist {
    /// Null. Ordinary lists have none; keyed archives do.
    #[default]
    Null,
    /// A truth value.
    Boolean(bool),
    /// A whole number of any width up to 128 bits.
    Integer(i128),
    /// A floating-point number.
    Real(f64),
    /// Text. Halves of surrogate pairs, which the binary form can hold, are U+FFFD.
    Text(String),
    /// Bytes.
    Data(Vec<u8>),
    /// A time. Those beyond the ends of [`AppleTime`], such as the distant future of Foundation, are its ends.
    Date(AppleTime),
    /// An index into the objects of a keyed archive.
    Uid(u64),
    /// Values in order.
    Array(Vec<Plist>),
    /// Values by key, in the order of the list.
    Dictionary(Vec<(String, Plist)>),
}

impl Plist {
    /// The value of a key of a dictionary.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.as_dictionary()?
            .iter()
            .find_map(|(name, value)| (name == key).then_some(value))
    }

    /// The entries of a dictionary.
    pub fn as_dictionary(&self) -> Option<&[(String, Self)]> {
        if let Self::Dictionary(entries) = self {
            return Some(entries);
        }
        None
    }

    /// The values of an array.
    pub fn as_array(&self) -> Option<&[Self]> {
        if let Self::Array(values) = self {
            return Some(values);
        }
        None
    }

    /// The text of a text.
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self {
            return Some(text);
        }
        None
    }

    /// The bytes of data.
    pub fn as_data(&self) -> Option<&[u8]> {
        if let Self::Data(data) = self {
            return Some(data);
        }
        None
    }

    /// A whole number that fits 64 bits.
    pub fn as_integer(&self) -> Option<i64> {
        if let Self::Integer(number) = self {
            return i64::try_from(*number).ok();
        }
        None
    }

    /// A number of either kind.
    #[expect(
        clippy::as_conversions,
        clippy::cast_precision_loss,
        reason = "whoever wants a real accepts the nearest one"
    )]
    pub fn as_real(&self) -> Option<f64> {
        match self {
            Self::Real(number) => Some(*number),
            Self::Integer(number) => Some(*number as f64),
            Self::Null
            | Self::Boolean(_)
            | Self::Text(_)
            | Self::Data(_)
            | Self::Date(_)
            | Self::Uid(_)
            | Self::Array(_)
            | Self::Dictionary(_) => None,
        }
    }

    /// A truth value, or a number where Foundation wrote one for it.
    pub fn as_boolean(&self) -> Option<bool> {
        match self {
            Self::Boolean(value) => Some(*value),
            Self::Integer(number) => Some(*number != 0),
            Self::Null
            | Self::Real(_)
            | Self::Text(_)
            | Self::Data(_)
            | Self::Date(_)
            | Self::Uid(_)
            | Self::Array(_)
            | Self::Dictionary(_) => None,
        }
    }

    /// The index of a reference.
    pub fn as_uid(&self) -> Option<u64> {
        if let Self::Uid(index) = self {
            return Some(*index);
        }
        None
    }

    /// The time of a date.
    pub fn as_date(&self) -> Option<AppleTime> {
        if let Self::Date(time) = self {
            return Some(*time);
        }
        None
    }
}

/// A time from seconds since 2001. Foundation's distant past and future lie beyond what [`AppleTime`] can say.
pub(crate) fn date(seconds: f64) -> Option<AppleTime> {
    AppleTime::from_seconds(seconds).or_else(|| match seconds.total_cmp(&0.0) {
        _ if seconds.is_nan() => None,
        std::cmp::Ordering::Less => Some(AppleTime::from_nanos(i64::MIN)),
        std::cmp::Ordering::Equal | std::cmp::Ordering::Greater => {
            Some(AppleTime::from_nanos(i64::MAX))
        }
    })
}

/// Property lists hold texts and addresses: logs show only their form.
impl fmt::Debug for Plist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("Null"),
            Self::Boolean(_) => f.write_str("Boolean"),
            Self::Integer(_) => f.write_str("Integer"),
            Self::Real(_) => f.write_str("Real"),
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Data(data) => write!(f, "Data({} bytes)", data.len()),
            Self::Date(_) => f.write_str("Date"),
            Self::Uid(index) => write!(f, "Uid({index})"),
            Self::Array(values) => f.debug_list().entries(values).finish(),
            Self::Dictionary(entries) => f
                .debug_map()
                .entries(entries.iter().map(|(key, value)| (key, value)))
                .finish(),
        }
    }
}

/// Why a property list could not be decoded.
#[derive(Debug, thiserror::Error)]
pub enum PlistError {
    /// The bytes are neither a binary nor an XML property list.
    #[error("expected a property list, got other bytes")]
    NotAPlist,
    /// A binary list is inconsistent.
    #[error("expected {expected} at byte {offset} of a binary property list")]
    Binary {
        /// Where, from the beginning of the list.
        offset: usize,
        /// What should stand there.
        expected: &'static str,
    },
    /// An XML list has a construct that property lists do not use.
    #[error("expected a plain element at byte {offset} of an XML property list")]
    Xml {
        /// Where, from the beginning of the list.
        offset: usize,
    },
    /// An XML list is inconsistent.
    #[error("cannot read an XML property list")]
    Reader(#[source] Box<plist::Error>),
    /// The list stands for more than this program is willing to hold.
    #[error("{what} over the limit of {limit} in a property list")]
    TooMuch {
        /// Of what there is too much.
        what: &'static str,
        /// The limit, in that unit.
        limit: usize,
    },
}

impl PlistError {
    pub(crate) const NESTING: Self = Self::TooMuch {
        what: "nesting",
        limit: limits::NESTING,
    };

    pub(crate) const SIZE: Self = Self::TooMuch {
        what: "values",
        limit: limits::OBJECTS,
    };
}
