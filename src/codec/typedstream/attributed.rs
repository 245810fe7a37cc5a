//! A message's body as it is archived: text, and runs of attributes over it. What the attributes mean is for
//! [`decode`](crate::decode) to say.

use std::fmt;

use super::TypedstreamError;
use super::archive::Archive;
use super::archive::Entry;
use super::archive::Group;
use super::archive::Object;
use super::archive::Value;
use super::decoder::decode;
use crate::base::limits;
use crate::codec::budget::Budget;
use crate::codec::url;

/// Decodes a message's body: a typedstream whose root is an attributed string.
///
/// Runs are cut at the end of the text; runs of which nothing is left are not kept. A plain `NSString` is a text without
/// runs.
///
/// # Errors
/// As [`decode`]; and [`TypedstreamError::Shape`] when the root is something else, or inconsistent.
pub fn decode_attributed(bytes: &[u8]) -> Result<AttributedText, TypedstreamError> {
    let archive = decode(bytes)?;
    let root = archive.root().unwrap_or_default();
    AttributedText::from_archive(&archive, root)
}

/// Text with attributes.
#[derive(Clone, Default, PartialEq)]
pub struct AttributedText {
    /// The text, placeholders included.
    pub text: String,
    /// Stretches of the text, in its order.
    pub runs: Vec<Run>,
    /// What the runs' numbers stand for. Runs share them.
    pub dictionaries: Vec<Attributes>,
}

impl AttributedText {
    /// The attributes of a run of this text.
    pub fn attributes(&self, run: Run) -> Option<&Attributes> {
        self.dictionaries.get(run.attributes)
    }
}

/// Message text never reaches a log.
impl fmt::Debug for AttributedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AttributedText")
            .field("bytes", &self.text.len())
            .field("runs", &self.runs)
            .field("dictionaries", &self.dictionaries)
            .finish()
    }
}

/// A stretch of text that has one set of attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Where it begins, in UTF-16 code units.
    pub start: u32,
    /// How long it is, in UTF-16 code units; never 0.
    pub length: u32,
    /// Index of its attributes in [`AttributedText::dictionaries`].
    pub attributes: usize,
}

/// Attributes by name, in the order of the stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attributes(pub Vec<(String, Attribute)>);

impl Attributes {
    /// The attribute of a name.
    pub fn get(&self, name: &str) -> Option<&Attribute> {
        self.0
            .iter()
            .find_map(|(key, value)| (key == name).then_some(value))
    }
}

/// The value of an attribute.
#[derive(Clone, PartialEq)]
pub enum Attribute {
    /// `NSNumber` of an integral type.
    Integer(i64),
    /// `NSNumber` of a floating-point type, whatever its value.
    Real(f64),
    /// `NSString`.
    Text(String),
    /// `NSURL`.
    Url(Url),
    /// `NSData`.
    Data(Vec<u8>),
    /// `NSDictionary`.
    Dictionary(Attributes),
    /// Anything else, by its class; empty for nil.
    Other(String),
}

impl Attribute {
    /// The text of a text.
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self {
            return Some(text);
        }
        None
    }

    /// The number of an integer, or of a real that has no fraction: Messages writes both for the same attribute.
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            Self::Real(number) => integral(*number),
            Self::Text(_) | Self::Url(_) | Self::Data(_) | Self::Dictionary(_) | Self::Other(_) => {
                None
            }
        }
    }

    /// The number of an integer or a real.
    #[expect(
        clippy::as_conversions,
        clippy::cast_precision_loss,
        reason = "numbers here are sizes in points; beyond 2^53 the nearest one will do"
    )]
    pub fn as_real(&self) -> Option<f64> {
        match self {
            Self::Integer(number) => Some(*number as f64),
            Self::Real(number) => Some(*number),
            Self::Text(_) | Self::Url(_) | Self::Data(_) | Self::Dictionary(_) | Self::Other(_) => {
                None
            }
        }
    }

    /// The address of a URL.
    pub fn as_url(&self) -> Option<String> {
        if let Self::Url(url) = self {
            return Some(url.address());
        }
        None
    }
}

#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    reason = "the value has no fraction and lies between bounds that i64 holds"
)]
fn integral(number: f64) -> Option<i64> {
    const BOUND: f64 = 9_007_199_254_740_992.0;
    (number.fract() == 0.0 && number.abs() <= BOUND).then_some(number as i64)
}

/// Attributes hold handles and texts: logs show only sizes.
impl fmt::Debug for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(_) => f.write_str("Integer"),
            Self::Real(_) => f.write_str("Real"),
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Url(_) => f.write_str("Url"),
            Self::Data(data) => write!(f, "Data({} bytes)", data.len()),
            Self::Dictionary(dictionary) => dictionary.fmt(f),
            Self::Other(class) => write!(f, "Other({class})"),
        }
    }
}

/// An `NSURL`: an address, possibly relative to another.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Url {
    /// What it is relative to.
    pub base: Option<Box<Url>>,
    /// The address, or what follows from the base.
    pub relative: String,
}

impl Url {
    /// An address that stands by itself.
    pub fn absolute(address: impl Into<String>) -> Self {
        Self {
            base: None,
            relative: address.into(),
        }
    }

    /// The whole address.
    ///
    /// Dot segments stay as they are: Messages shows links as they were typed.
    ///
    /// Source: [rfc 3986] 5.2.2.
    pub fn address(&self) -> String {
        match &self.base {
            Some(base) => url::join(&base.address(), &self.relative),
            None => self.relative.clone(),
        }
    }
}

/// URLs are what somebody wrote.
impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Url(..)")
    }
}

impl AttributedText {
    /// From the object of a number.
    ///
    /// # Errors
    /// [`TypedstreamError::Shape`] when the object is no attributed string, or inconsistent.
    pub fn from_archive(archive: &Archive<'_>, number: usize) -> Result<Self, TypedstreamError> {
        let mut builder = Builder {
            archive,
            budget: Budget::new(),
        };
        let object = builder.object(number, "an attributed string")?;
        if archive.is_kind(object, "NSString") {
            return Ok(Self {
                text: builder.string(number)?.to_owned(),
                ..Self::default()
            });
        }
        if !archive.is_kind(object, "NSAttributedString") {
            return Err(shape(number, "an attributed string"));
        }
        builder.attributed(number, object)
    }
}

const fn shape(object: usize, expected: &'static str) -> TypedstreamError {
    TypedstreamError::Shape { object, expected }
}

struct Builder<'a, 'b> {
    archive: &'b Archive<'a>,
    budget: Budget,
}

impl<'a> Builder<'a, '_> {
    fn object(&self, number: usize, expected: &'static str) -> Result<Object, TypedstreamError> {
        self.archive.object(number).ok_or(shape(number, expected))
    }

    fn pay(&mut self, number: usize, bytes: usize) -> Result<(), TypedstreamError> {
        if self.budget.pay(bytes) {
            return Ok(());
        }
        Err(shape(number, "less than the limit of attributes"))
    }

    /// The single value of a group.
    fn single(&self, group: Option<&Group<'a>>) -> Option<Value<'a>> {
        match self.archive.values(*group?) {
            [value] => Some(*value),
            _ => None,
        }
    }

    /// The object to which the single value of a group refers.
    fn member(&self, group: Option<&Group<'a>>) -> Option<usize> {
        self.single(group)?.reference()
    }

    fn attributed(
        &mut self,
        number: usize,
        object: Object,
    ) -> Result<AttributedText, TypedstreamError> {
        const STRING: &str = "a string before the runs";
        const RUN: &str = "a run: the number of its attributes and its length";
        let archive = self.archive;
        let mut groups = archive.groups(object).iter();
        let string = self.member(groups.next()).ok_or(shape(number, STRING))?;
        let text = self.string(string)?.to_owned();
        let mut result = AttributedText {
            text,
            ..AttributedText::default()
        };
        let end = u32::try_from(utf16_length(&result.text)).unwrap_or(u32::MAX);
        let mut start = 0_u32;
        while let Some(group) = groups.next() {
            let (attributes, length) = match archive.values(*group) {
                [Value::Integer(attributes), Value::Unsigned(length)] => (*attributes, *length),
                _ => return Err(shape(number, RUN)),
            };
            // Numbers count from 1; the next new one brings its dictionary.
            let index = attributes
                .checked_sub(1)
                .and_then(|index| usize::try_from(index).ok())
                .filter(|index| *index <= result.dictionaries.len())
                .ok_or(shape(number, RUN))?;
            if index == result.dictionaries.len() {
                let dictionary = self.single(groups.next()).ok_or(shape(number, RUN))?;
                let dictionary = match dictionary.reference() {
                    Some(dictionary) => self.dictionary(dictionary, 0)?,
                    None => Attributes::default(),
                };
                result.dictionaries.push(dictionary);
            }
            let left = end.saturating_sub(start);
            let length = u32::try_from(length).unwrap_or(u32::MAX).min(left);
            if length > 0 {
                result.runs.push(Run {
                    start,
                    length,
                    attributes: index,
                });
            }
            start = start.saturating_add(length);
        }
        Ok(result)
    }

    /// The text of a string object.
    fn string(&mut self, number: usize) -> Result<&'a str, TypedstreamError> {
        const STRING: &str = "a string of UTF-8 text";
        let object = self.object(number, STRING)?;
        let value = self.single(self.archive.groups(object).first());
        let Some(Value::Bytes(bytes)) = value else {
            return Err(shape(number, STRING));
        };
        self.pay(number, bytes.len())?;
        // The cause would say where in the text; the object's number says enough.
        str::from_utf8(bytes).map_err(|_invalid| shape(number, STRING))
    }

    fn dictionary(&mut self, number: usize, depth: usize) -> Result<Attributes, TypedstreamError> {
        const DICTIONARY: &str = "a dictionary: a count and as many pairs";
        let object = self.object(number, DICTIONARY)?;
        if !self.archive.is_kind(object, "NSDictionary") || depth > limits::NESTING {
            return Err(shape(number, DICTIONARY));
        }
        let groups = self.archive.groups(object);
        let Some((count, pairs)) = groups.split_first() else {
            return Err(shape(number, DICTIONARY));
        };
        let pairs = pairs.chunks_exact(2);
        match self.single(Some(count)) {
            Some(Value::Integer(count)) if usize::try_from(count) == Ok(pairs.len()) => {}
            _ => return Err(shape(number, DICTIONARY)),
        }
        let mut attributes = Vec::with_capacity(pairs.len());
        for pair in pairs {
            let key = self.member(pair.first()).ok_or(shape(number, DICTIONARY))?;
            let value = self.single(pair.last()).ok_or(shape(number, DICTIONARY))?;
            let key = self.string(key)?.to_owned();
            attributes.push((key, self.attribute(value, number, depth)?));
        }
        Ok(Attributes(attributes))
    }

    fn attribute(
        &mut self,
        value: Value<'a>,
        parent: usize,
        depth: usize,
    ) -> Result<Attribute, TypedstreamError> {
        self.pay(parent, 0)?;
        let Some(number) = value.reference() else {
            return Ok(Attribute::Other(String::new()));
        };
        let object = self.object(number, "an attribute")?;
        for class in self.archive.classes(object) {
            return Ok(match class {
                b"NSString" => Attribute::Text(self.string(number)?.to_owned()),
                b"NSNumber" => self.number(number, object)?,
                b"NSURL" => Attribute::Url(self.url(number, depth)?),
                b"NSData" => Attribute::Data(self.data(number, object)?),
                b"NSDictionary" => {
                    Attribute::Dictionary(self.dictionary(number, depth.saturating_add(1))?)
                }
                _ => continue,
            });
        }
        let class = self.archive.classes(object).next().unwrap_or_default();
        self.pay(number, class.len())?;
        Ok(Attribute::Other(
            String::from_utf8_lossy(class).into_owned(),
        ))
    }

    /// The type code, then the value in a group of that type.
    fn number(&self, number: usize, object: Object) -> Result<Attribute, TypedstreamError> {
        let attribute = match self.single(self.archive.groups(object).get(1)) {
            Some(Value::Integer(value)) => Some(Attribute::Integer(value)),
            Some(Value::Unsigned(value)) => i64::try_from(value).ok().map(Attribute::Integer),
            Some(Value::Boolean(value)) => Some(Attribute::Integer(value.into())),
            Some(Value::Real(value)) => Some(Attribute::Real(value)),
            _ => None,
        };
        attribute.ok_or(shape(number, "a number of 64 bits"))
    }

    /// The length, then the bytes.
    fn data(&mut self, number: usize, object: Object) -> Result<Vec<u8>, TypedstreamError> {
        let Some(Value::Bytes(bytes)) = self.single(self.archive.groups(object).get(1)) else {
            return Err(shape(number, "bytes of data"));
        };
        self.pay(number, bytes.len())?;
        Ok(bytes.to_vec())
    }

    /// A flag, the base if the flag is set, the address.
    fn url(&mut self, number: usize, depth: usize) -> Result<Url, TypedstreamError> {
        const URL: &str = "an address, relative to another or not";
        if depth > limits::NESTING {
            return Err(shape(number, URL));
        }
        self.pay(number, 0)?;
        let object = self.object(number, URL)?;
        let (base, relative) = match self.archive.groups(object) {
            [_flag, relative] => (None, relative),
            [_flag, base, relative] => (self.member(Some(base)), relative),
            _ => return Err(shape(number, URL)),
        };
        let base = match base {
            Some(base) => Some(Box::new(self.url(base, depth.saturating_add(1))?)),
            None => None,
        };
        let relative = self.member(Some(relative)).ok_or(shape(number, URL))?;
        Ok(Url {
            base,
            relative: self.string(relative)?.to_owned(),
        })
    }
}

/// How many UTF-16 code units a text takes.
pub(crate) fn utf16_length(text: &str) -> usize {
    if text.is_ascii() {
        return text.len();
    }
    text.encode_utf16().count()
}

/// The text of a C string entry or a shared string, for those who show archives.
impl<'a> Archive<'a> {
    /// The bytes of the C string of a number.
    pub fn c_string(&self, number: usize) -> Option<&'a [u8]> {
        match self.entry(number)? {
            Entry::CString(string) => string,
            Entry::Object(_) | Entry::Class(_) => None,
        }
    }
}
