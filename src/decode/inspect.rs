//! One blob as JSON, for `footbridge decode`: what the byte formats hold, before anything is made of it. Not how messages
//! are decoded.
//!
//! | kind | JSON |
//! |---|---|
//! | typedstream, a text | `text`, `utf16_len`, `runs` of `start`, `len`, `attr`; offsets in UTF-16 units |
//! | typedstream, damaged | `text` as far as it can be saved, `strict_decode` |
//! | typedstream, other | `groups` of types and values; of a large one `root_class` and the counts `objects`, `strings` |
//! | summary-info | `parts` of `status` and `history`: `date_s` in seconds since 2001, `text`, `bcg`; `tmp` if there are translations |
//! | payload | `value`; of Digital Touch and handwriting `kind`; of a sticker's image `effect` |
//! | chat-properties | `value` |
//!
//! Bytes appear as their number and SHA-256, dates of property lists as RFC 3339 in UTC.

use std::str::FromStr;
use std::time::Duration;

use serde_json::Map;
use serde_json::Value as Json;
use serde_json::json;
use sha2::Digest;
use sha2::Sha256;

use crate::base::error::Class;
use crate::base::error::Explain;
use crate::base::limits;
use crate::base::time::AppleTime;
use crate::codec::digital_touch;
use crate::codec::handwriting;
use crate::codec::keyed_archive;
use crate::codec::keyed_archive::ArchiveError;
use crate::codec::property_list;
use crate::codec::property_list::Plist;
use crate::codec::property_list::PlistError;
use crate::codec::sticker;
use crate::codec::summary_info;
use crate::codec::summary_info::PartState;
use crate::codec::typedstream;
use crate::codec::typedstream::Archive;
use crate::codec::typedstream::Attribute;
use crate::codec::typedstream::AttributedText;
use crate::codec::typedstream::Attributes;
use crate::codec::typedstream::Entry;
use crate::codec::typedstream::Group;
use crate::codec::typedstream::TypedstreamError;
use crate::codec::typedstream::Value;

/// Objects of an archive that is shown whole; of a larger one only the counts are.
const SHOWN_OBJECTS: usize = 100;

/// What a blob is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlobKind {
    /// `attributedBody` and other typedstreams.
    Typedstream,
    /// `message_summary_info`.
    SummaryInfo,
    /// `payload_data`, and images of stickers.
    Payload,
    /// `chat.properties`.
    ChatProperties,
}

impl BlobKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [
        Self::Typedstream,
        Self::SummaryInfo,
        Self::Payload,
        Self::ChatProperties,
    ];

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Typedstream => "typedstream",
            Self::SummaryInfo => "summary-info",
            Self::Payload => "payload",
            Self::ChatProperties => "chat-properties",
        }
    }
}

impl FromStr for BlobKind {
    type Err = InspectError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == text)
            .ok_or_else(|| InspectError::UnknownKind(text.to_owned()))
    }
}

/// Why a blob cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// There is no such kind of blob.
    #[error("expected a kind of blob, got {0}")]
    UnknownKind(String),
    /// It is no typedstream, and no text can be saved from it.
    #[error("cannot decode a typedstream")]
    Typedstream(#[from] TypedstreamError),
    /// It is no property list.
    #[error("cannot decode a property list")]
    Plist(#[from] PlistError),
    /// It is none of the forms of a payload.
    #[error("cannot decode a payload as keyed archive, Digital Touch, handwriting or sticker")]
    Payload(#[source] ArchiveError),
}

impl Explain for InspectError {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn hint(&self) -> Option<String> {
        let names = BlobKind::ALL.map(BlobKind::name).join(", ");
        Some(format!("kinds of blobs are: {names}"))
    }
}

/// Shows a blob as JSON, in the form of the table above.
///
/// # Errors
/// [`InspectError`] when the bytes are not of that kind.
pub fn inspect(kind: BlobKind, bytes: &[u8]) -> Result<Json, InspectError> {
    match kind {
        BlobKind::Typedstream => inspect_typedstream(bytes),
        BlobKind::SummaryInfo => Ok(inspect_summary_info(bytes)?),
        BlobKind::Payload => inspect_payload(bytes),
        BlobKind::ChatProperties => {
            Ok(json!({ "value": plist(&property_list::decode(bytes)?, calendar_date) }))
        }
    }
}

fn inspect_typedstream(bytes: &[u8]) -> Result<Json, InspectError> {
    let broken = match typedstream::decode_attributed(bytes) {
        Ok(text) => return Ok(attributed(&text)),
        Err(error) => error,
    };
    if let Ok(archive) = typedstream::decode(bytes) {
        return Ok(inspect_archive(&archive));
    }
    match typedstream::salvage_text(bytes) {
        Some(text) => Ok(json!({ "text": text, "strict_decode": "error" })),
        None => Err(broken.into()),
    }
}

fn inspect_archive(archive: &Archive<'_>) -> Json {
    if archive.object_count() <= SHOWN_OBJECTS {
        return inspect_groups(archive);
    }
    let root = archive.root().and_then(|root| archive.object(root));
    let class = root.and_then(|root| archive.classes(root).next());
    json!({
        "root_class": class.map(String::from_utf8_lossy),
        "objects": archive.object_count(),
        "strings": archive.string_count(),
    })
}

/// Shows the groups of a typedstream, whatever its root is.
pub fn inspect_groups(archive: &Archive<'_>) -> Json {
    let mut renderer = Renderer {
        archive,
        left: limits::OBJECTS,
    };
    json!({ "groups": renderer.groups(archive.top(), 0) })
}

fn inspect_summary_info(bytes: &[u8]) -> Result<Json, PlistError> {
    let info = summary_info::decode(bytes)?;
    let parts = info.parts.iter().map(|part| {
        let status = match part.state {
            PartState::Original => "original",
            PartState::Edited => "edited",
            PartState::Unsent => "unsent",
        };
        let history = part.versions.iter().map(|version| {
            let mut shown = json!({
                "date_s": version.seconds,
                "text": version.text(),
                "bcg": version.guid,
            });
            if let (Err(error), Some(shown)) = (&version.body, shown.as_object_mut()) {
                shown.insert("error".to_owned(), error.to_string().into());
            }
            shown
        });
        json!({ "status": status, "history": history.collect::<Json>() })
    });
    let mut shown = json!({ "parts": parts.collect::<Json>() });
    if let (Some(translations), Some(shown)) = (&info.translations, shown.as_object_mut()) {
        shown.insert("tmp".to_owned(), plist(translations, archived_date));
    }
    Ok(shown)
}

fn inspect_payload(bytes: &[u8]) -> Result<Json, InspectError> {
    let not_an_archive = match keyed_archive::decode(bytes) {
        Ok(value) => return Ok(json!({ "value": plist(&value, archived_date) })),
        Err(error) => error,
    };
    if let Some(effect) = sticker::effect(bytes) {
        return Ok(json!({ "effect": effect }));
    }
    if let Some(kind) = digital_touch::decode(bytes) {
        return Ok(json!({ "kind": kind.to_string() }));
    }
    if handwriting::is_handwriting(bytes) {
        return Ok(json!({ "kind": "handwriting" }));
    }
    Err(InspectError::Payload(not_an_archive))
}

/// The number of some bytes, under this name, and their digest unless there are none.
fn data(length: &str, bytes: &[u8]) -> Json {
    if bytes.is_empty() {
        return json!({ length: 0 });
    }
    json!({ length: bytes.len(), "sha256": format!("{:x}", Sha256::digest(bytes)) })
}

fn attributed(text: &AttributedText) -> Json {
    let none = Attributes::default();
    let runs = text.runs.iter().map(|run| {
        json!({
            "start": run.start,
            "len": run.length,
            "attr": attributes(text.attributes(*run).unwrap_or(&none)),
        })
    });
    json!({
        "text": text.text,
        "utf16_len": text.text.encode_utf16().count(),
        "runs": runs.collect::<Json>(),
    })
}

fn attributes(attributes: &Attributes) -> Json {
    let entries = attributes.0.iter();
    entries
        .map(|(key, value)| (key.clone(), attribute(value)))
        .collect()
}

fn attribute(value: &Attribute) -> Json {
    match value {
        Attribute::Integer(number) => json!(number),
        Attribute::Real(number) => json!(number),
        Attribute::Text(text) => json!(text),
        Attribute::Url(url) => json!({ "url": url.address() }),
        Attribute::Data(bytes) => data("data_len", bytes),
        Attribute::Dictionary(inner) => attributes(inner),
        Attribute::Other(class) => json!({ "class": class }),
    }
}

/// A date of a property list: RFC 3339.
fn calendar_date(time: AppleTime) -> Json {
    json!(time.timestamp().to_string())
}

/// A date of a keyed archive: as it is archived.
fn archived_date(time: AppleTime) -> Json {
    let sign = if time.nanos() < 0 { -1.0 } else { 1.0 };
    let seconds = Duration::from_nanos(time.nanos().unsigned_abs()).as_secs_f64();
    json!({ "$class": "NSDate", "NS.time": sign * seconds })
}

/// As deep as the list, which its decoder has bounded.
fn plist(value: &Plist, date: fn(AppleTime) -> Json) -> Json {
    match value {
        Plist::Null => Json::Null,
        Plist::Boolean(value) => json!(value),
        Plist::Integer(number) => match (i64::try_from(*number), u64::try_from(*number)) {
            (Ok(number), _) => json!(number),
            (Err(_), Ok(number)) => json!(number),
            (Err(_), Err(_)) => json!(number.to_string()),
        },
        Plist::Real(number) => json!(number),
        Plist::Text(text) => json!(text),
        Plist::Data(bytes) => data("bytes", bytes),
        Plist::Date(time) => date(*time),
        Plist::Uid(uid) => json!({ "uid": uid }),
        Plist::Array(values) => values.iter().map(|value| plist(value, date)).collect(),
        Plist::Dictionary(entries) => {
            let entries = entries.iter();
            entries
                .map(|(key, value)| (key.clone(), plist(value, date)))
                .collect()
        }
    }
}

/// Shows the objects of a typedstream. Shared objects appear wherever they are named, as long as there is room.
struct Renderer<'a, 'b> {
    archive: &'b Archive<'a>,
    /// How many more values may appear.
    left: usize,
}

impl<'a> Renderer<'a, '_> {
    /// False when there is no room for so many values or groups.
    fn pay(&mut self, count: usize) -> bool {
        let left = self.left.checked_sub(count);
        self.left = left.unwrap_or_default();
        left.is_some()
    }

    fn groups(&mut self, groups: &[Group<'a>], depth: usize) -> Json {
        let shown = groups.iter().map(|group| {
            let values = self.values(self.archive.values(*group), depth);
            json!([String::from_utf8_lossy(group.types), values])
        });
        shown.collect()
    }

    fn values(&mut self, values: &[Value<'a>], depth: usize) -> Json {
        let shown = values.iter().map(|value| self.value(*value, depth));
        shown.collect()
    }

    fn value(&mut self, value: Value<'a>, depth: usize) -> Json {
        if !self.pay(1) {
            return Json::Null;
        }
        let text = |bytes: &[u8]| json!(String::from_utf8_lossy(bytes));
        let inner = depth.saturating_add(1);
        match value {
            Value::Nil | Value::Shared(None) => Json::Null,
            Value::Reference(number) => self.entry(number, inner),
            Value::Bytes(bytes) => data("data_len", bytes),
            Value::Shared(Some(bytes)) => text(bytes),
            Value::Integer(number) => json!(number),
            Value::Unsigned(number) => json!(number),
            Value::Real(number) => json!(number),
            Value::Boolean(value) => json!(value),
            Value::List(list) => self.values(self.archive.list(list), inner),
        }
    }

    fn entry(&mut self, number: usize, depth: usize) -> Json {
        let text = |bytes: &[u8]| json!(String::from_utf8_lossy(bytes));
        match self.archive.entry(number) {
            _ if depth > limits::NESTING => json!({ "object": number }),
            None | Some(Entry::CString(None)) => Json::Null,
            Some(Entry::CString(Some(bytes))) => text(bytes),
            Some(Entry::Class(class)) => text(class.name.unwrap_or_default()),
            Some(Entry::Object(object)) => {
                let archive = self.archive;
                let mut classes = archive.classes(object);
                let groups = archive.groups(object);
                if !self.pay(groups.len()) {
                    return json!({ "object": number });
                }
                let known = classes.find_map(|class| self.foundation(class, groups, depth));
                known.unwrap_or_else(|| {
                    let class = archive.classes(object).next().unwrap_or_default();
                    json!({ "class": text(class), "groups": self.groups(groups, depth) })
                })
            }
        }
    }

    /// An object of a class whose contents are known; `None` when they are others.
    fn foundation(&mut self, class: &[u8], groups: &[Group<'a>], depth: usize) -> Option<Json> {
        let single = |group: &Group<'a>| match self.archive.values(*group) {
            [value] => Some(*value),
            _ => None,
        };
        match (class, groups) {
            (b"NSString", [bytes]) => {
                let Value::Bytes(bytes) = single(bytes)? else {
                    return None;
                };
                Some(json!(String::from_utf8_lossy(bytes)))
            }
            (b"NSNumber", [_type, value]) => Some(self.value(single(value)?, depth)),
            (b"NSData", [_length, bytes]) => Some(self.value(single(bytes)?, depth)),
            (b"NSDate", [seconds]) => {
                Some(json!({ "date_since_2001": self.value(single(seconds)?, depth) }))
            }
            (b"NSURL", [_flag, address]) => {
                Some(json!({ "url": self.value(single(address)?, depth) }))
            }
            (b"NSURL", [_flag, base, relative]) => {
                let (base, relative) = (single(base)?, single(relative)?);
                Some(json!({
                    "base": self.value(base, depth),
                    "relative": self.value(relative, depth),
                }))
            }
            (b"NSArray" | b"NSSet", [_count, members @ ..]) => {
                let members: Option<Vec<_>> = members.iter().map(single).collect();
                Some(self.values(&members?, depth))
            }
            (b"NSDictionary", [_count, pairs @ ..]) => {
                let members: Option<Vec<_>> = pairs.iter().map(single).collect();
                let mut shown = Map::new();
                for pair in members?.chunks_exact(2) {
                    if let [key, value] = pair {
                        let key = self.value(*key, depth);
                        let key = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
                        shown.insert(key, self.value(*value, depth));
                    }
                }
                Some(Json::Object(shown))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::typedstream::Run;
    use crate::codec::typedstream::encode;

    fn body() -> Vec<u8> {
        encode(&AttributedText {
            text: "\u{1f600} a".to_owned(),
            runs: vec![
                Run {
                    start: 0,
                    length: 3,
                    attributes: 0,
                },
                Run {
                    start: 3,
                    length: 1,
                    attributes: 1,
                },
            ],
            dictionaries: vec![
                Attributes(vec![("part".to_owned(), Attribute::Integer(0))]),
                Attributes(vec![("data".to_owned(), Attribute::Data(vec![1]))]),
            ],
        })
    }

    /// An array around the values of these groups.
    fn array(groups: &[u8]) -> Vec<u8> {
        let head =
            b"\x04\x0bstreamtyped\x81\xe8\x03\x84\x01@\x84\x84\x84\x07NSArray\x00\x85\x84\x01i\x00";
        [&head[..], groups, b"\x86"].concat()
    }

    #[test]
    fn kinds_are_known_by_their_names() {
        for kind in BlobKind::ALL {
            assert_eq!(kind.name().parse::<BlobKind>().unwrap(), kind);
        }
        let unknown = "plist".parse::<BlobKind>().unwrap_err();

        assert_eq!(unknown.to_string(), "expected a kind of blob, got plist");
        assert_eq!(
            unknown.hint().unwrap(),
            "kinds of blobs are: typedstream, summary-info, payload, chat-properties"
        );
    }

    #[test]
    fn a_body_is_shown_with_its_runs() {
        let shown = inspect(BlobKind::Typedstream, &body()).unwrap();

        let sha256 = "4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a";
        assert_eq!(
            shown,
            json!({
                "text": "\u{1f600} a",
                "utf16_len": 4,
                "runs": [
                    { "start": 0, "len": 3, "attr": { "part": 0 } },
                    { "start": 3, "len": 1, "attr": { "data": { "data_len": 1, "sha256": sha256 } } },
                ],
            })
        );
    }

    #[test]
    fn a_damaged_body_is_shown_as_far_as_it_can_be() {
        let mut bytes = body();
        bytes.pop();

        let shown = inspect(BlobKind::Typedstream, &bytes).unwrap();

        assert_eq!(
            shown,
            json!({ "text": "\u{1f600} a", "strict_decode": "error" })
        );
        assert!(inspect(BlobKind::Typedstream, b"rubbish").is_err());
    }

    #[test]
    fn other_objects_are_shown_by_their_groups() {
        let text = b"\x92\x84\x84\x84\x08NSString\x01\x85\x84\x01+\x01x\x86";
        let unknown = b"\x92\x84\x84\x84\x04Atom\x00\x85\x84\x01%\x84\x01y\x86";

        let shown = inspect(
            BlobKind::Typedstream,
            &array(&[&text[..], b"\x92\x85", unknown].concat()),
        );

        let atom = json!({ "class": "Atom", "groups": [["%", ["y"]]] });
        assert_eq!(
            shown.unwrap(),
            json!({ "groups": [["@", [["x", null, atom]]]] })
        );
    }

    #[test]
    fn a_large_archive_is_shown_by_its_counts() {
        // A hundred objects of the class that is object 1.
        let members = b"\x92\x84\x93\x86".repeat(100);

        let shown = inspect(BlobKind::Typedstream, &array(&members)).unwrap();

        assert_eq!(
            shown,
            json!({ "root_class": "NSArray", "objects": 102, "strings": 3 })
        );
    }

    #[test]
    fn an_archive_that_doubles_at_every_level_is_shown_in_part() {
        // Array n holds array n + 1, whose number is n + 2, twice.
        let open = b"\x92\x84\x93\x94\x00".repeat(40);
        let close: Vec<u8> = (0..40_u8)
            .rev()
            .flat_map(|level| [0x86, 0x92, 0x92 + 2 + level])
            .collect();
        let bytes = array(&[open, close].concat());

        let archive = typedstream::decode(&bytes).unwrap();
        let shown = inspect_groups(&archive);

        assert!(shown.to_string().len() < limits::OBJECTS * 16);
    }

    #[test]
    fn payloads_that_are_no_archive_are_told_apart() {
        let sticker = b"\0\0\0\x18ftypheic<x:xmpmeta stickerEffect:type=\"comic\"></x:xmpmeta>";
        let sketch = b"\x08\x04\x2a\x241A2B3C4D-0001-4002-8003-ABCDEF012345";
        let handwriting = b"\x1a\x241A2B3C4D-0001-4002-8003-ABCDEF012345\x22\x01\x00";

        let shown = |bytes| inspect(BlobKind::Payload, bytes).unwrap();

        assert_eq!(shown(sticker), json!({ "effect": "comic" }));
        assert_eq!(shown(sketch), json!({ "kind": "sketch" }));
        assert_eq!(shown(handwriting), json!({ "kind": "handwriting" }));
        assert!(matches!(
            inspect(BlobKind::Payload, b"rubbish"),
            Err(InspectError::Payload(_))
        ));
    }
}
