//! The encoder of message bodies: for fixtures, fuzz seeds and the demonstration. Writes what `NSArchiver` writes, byte
//! for byte, for the classes that bodies use.

use std::collections::HashMap;

use super::FIRST_REFERENCE;
use super::MAGIC;
use super::SYSTEM_VERSION;
use super::TAG_END;
use super::TAG_I16;
use super::TAG_I32;
use super::TAG_I64;
use super::TAG_NEW;
use super::TAG_NIL;
use super::TAG_REAL;
use super::attributed::Attribute;
use super::attributed::AttributedText;
use super::attributed::Attributes;
use super::attributed::Url;

/// Encodes a text with attributes as the body of a message.
///
/// Runs are taken to follow each other without gaps. [`Attribute::Other`] becomes nil.
///
/// Source: `[obs]` macOS 13; test `a_plain_body_is_what_messages_writes`.
pub fn encode(text: &AttributedText) -> Vec<u8> {
    let mut encoder = Encoder::default();
    encoder.attributed(text);
    encoder.out
}

/// A class and its superclasses, with the versions of their archived forms.
type Classes = &'static [(&'static str, i64)];

const ATTRIBUTED: Classes = &[
    ("NSMutableAttributedString", 0),
    ("NSAttributedString", 0),
    ("NSObject", 0),
];
const TEXT: Classes = &[("NSMutableString", 1), ("NSString", 1), ("NSObject", 0)];
const STRING: Classes = &[("NSString", 1), ("NSObject", 0)];
const DICTIONARY: Classes = &[("NSDictionary", 0), ("NSObject", 0)];
const NUMBER: Classes = &[("NSNumber", 0), ("NSValue", 0), ("NSObject", 0)];
const URL: Classes = &[("NSURL", 0), ("NSObject", 0)];
const DATA: Classes = &[("NSData", 0), ("NSObject", 0)];

/// What is written once and then named by its number.
#[derive(PartialEq, Eq, Hash)]
enum Once {
    Class(&'static str),
    Key(String),
    TypeName(&'static str),
    Integer(i64),
    Real(u64),
}

#[derive(Default)]
struct Encoder {
    out: Vec<u8>,
    strings: HashMap<String, i64>,
    objects: HashMap<Once, i64>,
    object_count: i64,
}

impl Encoder {
    fn number(&mut self, number: i64) {
        if let (Ok(byte), true) = (i8::try_from(number), number >= FIRST_REFERENCE) {
            self.out.extend(byte.to_le_bytes());
        } else if let Ok(number) = i16::try_from(number) {
            self.out.push(TAG_I16);
            self.out.extend(number.to_le_bytes());
        } else if let Ok(number) = i32::try_from(number) {
            self.out.push(TAG_I32);
            self.out.extend(number.to_le_bytes());
        } else {
            self.out.push(TAG_I64);
            self.out.extend(number.to_le_bytes());
        }
    }

    fn length(&mut self, length: usize) {
        self.number(i64::try_from(length).unwrap_or(i64::MAX));
    }

    fn reference(&mut self, index: i64) {
        self.number(index.saturating_add(FIRST_REFERENCE));
    }

    fn shared(&mut self, string: &str) {
        if let Some(index) = self.strings.get(string) {
            self.reference(*index);
            return;
        }
        let index = i64::try_from(self.strings.len()).unwrap_or(i64::MAX);
        self.strings.insert(string.to_owned(), index);
        self.out.push(TAG_NEW);
        self.length(string.len());
        self.out.extend(string.as_bytes());
    }

    /// Begins an object, a class or a C string: it takes the next number.
    fn begin(&mut self) -> i64 {
        self.out.push(TAG_NEW);
        let number = self.object_count;
        self.object_count = number.saturating_add(1);
        number
    }

    /// Begins something that is written once. False when it was written before: then this wrote a reference to it.
    fn begin_once(&mut self, what: Once) -> bool {
        if let Some(number) = self.objects.get(&what) {
            self.reference(*number);
            return false;
        }
        let number = self.begin();
        self.objects.insert(what, number);
        true
    }

    fn end(&mut self) {
        self.out.push(TAG_END);
    }

    fn classes(&mut self, classes: Classes) {
        for (name, version) in classes {
            if !self.begin_once(Once::Class(name)) {
                return;
            }
            self.shared(name);
            self.number(*version);
        }
        self.out.push(TAG_NIL);
    }

    fn attributed(&mut self, text: &AttributedText) {
        self.out.extend(MAGIC);
        self.number(SYSTEM_VERSION);
        self.shared("@");
        self.begin();
        self.classes(ATTRIBUTED);
        self.shared("@");
        self.begin();
        self.string(TEXT, &text.text);
        // Dictionaries are numbered by their first use, whatever their order in memory is.
        let mut numbers: HashMap<usize, usize> = HashMap::new();
        for run in &text.runs {
            let next = numbers.len().saturating_add(1);
            let known = numbers.get(&run.attributes).copied();
            self.shared("iI");
            self.length(known.unwrap_or(next));
            self.number(run.length.into());
            if known.is_none() {
                numbers.insert(run.attributes, next);
                self.shared("@");
                self.dictionary(text.attributes(*run).unwrap_or(&Attributes::default()));
            }
        }
        self.end();
    }

    /// The rest of a string object that has begun.
    fn string(&mut self, classes: Classes, string: &str) {
        self.classes(classes);
        self.shared("+");
        self.length(string.len());
        self.out.extend(string.as_bytes());
        self.end();
    }

    fn dictionary(&mut self, attributes: &Attributes) {
        self.begin();
        self.classes(DICTIONARY);
        self.shared("i");
        self.length(attributes.0.len());
        for (key, value) in &attributes.0 {
            self.shared("@");
            if self.begin_once(Once::Key(key.clone())) {
                self.string(STRING, key);
            }
            self.shared("@");
            self.attribute(value);
        }
        self.end();
    }

    fn attribute(&mut self, attribute: &Attribute) {
        match attribute {
            Attribute::Integer(number) => {
                if self.begin_once(Once::Integer(*number)) {
                    self.number_type(if i32::try_from(*number).is_ok() {
                        "i"
                    } else {
                        "q"
                    });
                    self.number(*number);
                    self.end();
                }
            }
            Attribute::Real(number) => {
                if self.begin_once(Once::Real(number.to_bits())) {
                    self.number_type("d");
                    self.real(*number);
                    self.end();
                }
            }
            Attribute::Text(text) => {
                self.begin();
                self.string(STRING, text);
            }
            Attribute::Url(url) => self.url(url),
            Attribute::Data(data) => {
                self.begin();
                self.classes(DATA);
                self.shared("i");
                self.length(data.len());
                self.shared(&format!("[{}c]", data.len()));
                self.out.extend(data);
                self.end();
            }
            Attribute::Dictionary(attributes) => self.dictionary(attributes),
            Attribute::Other(_) => self.out.push(TAG_NIL),
        }
    }

    /// The rest of a number object that has begun, up to its value.
    fn number_type(&mut self, code: &'static str) {
        self.classes(NUMBER);
        self.shared("*");
        if self.begin_once(Once::TypeName(code)) {
            self.shared(code);
        }
        self.shared(code);
    }

    /// Integral values are written as such, except the one whose sign that would lose.
    fn real(&mut self, number: f64) {
        match Attribute::Real(number).as_integer() {
            Some(integer)
                if i32::try_from(integer).is_ok() && number.to_bits() != (-0.0_f64).to_bits() =>
            {
                self.number(integer);
            }
            _ => {
                self.out.push(TAG_REAL);
                self.out.extend(number.to_le_bytes());
            }
        }
    }

    fn url(&mut self, url: &Url) {
        self.begin();
        self.classes(URL);
        self.shared("c");
        self.out.push(u8::from(url.base.is_some()));
        if let Some(base) = &url.base {
            self.shared("@");
            self.url(base);
        }
        self.shared("@");
        self.begin();
        self.string(STRING, &url.relative);
        self.end();
    }
}
