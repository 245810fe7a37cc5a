//! `message_summary_info`: what became of the parts of a message. A property list with typedstreams in it.
//!
//! | key | value |
//! |---|---|
//! | `otr` | dictionary: part number in decimal, to its original range `{lo, le}` |
//! | `ec` | dictionary: part number, to its texts: `{d: seconds since 2001, t: typedstream, bcg: GUID}`, the original first |
//! | `ep` | array of the numbers of edited parts |
//! | `rp` | array of the numbers of unsent parts |
//! | `ust` | truth value, present on edits |
//! | `tmp` | keyed archive: translations made by the owner's device, in arrays by part number |
//!
//! Other keys are not read here; the raw bytes stay in the store.
//!
//! Source: `[obs]` macOS 13 to 15; `tests/vectors.rs`.

use std::collections::BTreeMap;

use crate::base::time::AppleTime;
use crate::codec::keyed_archive;
use crate::codec::property_list;
use crate::codec::property_list::Plist;
use crate::codec::property_list::PlistError;
use crate::codec::typedstream::AttributedText;
use crate::codec::typedstream::TypedstreamError;
use crate::codec::typedstream::decode_attributed;
use crate::codec::typedstream::salvage_text;

/// Decodes the summary info of a message.
///
/// Entries of an unknown shape are passed over, and a version whose body is damaged keeps its place with the error: one
/// of them does not spoil the rest.
///
/// # Errors
/// [`PlistError`] when the bytes are no property list.
pub fn decode(bytes: &[u8]) -> Result<SummaryInfo, PlistError> {
    let list = property_list::decode(bytes)?;
    let mut parts: BTreeMap<u16, Part> = BTreeMap::new();
    for number in numbers_of_keys(list.get("otr")) {
        part(&mut parts, number);
    }
    for (number, versions) in entries(list.get("ec")) {
        let part = part(&mut parts, number);
        part.state = PartState::Edited;
        part.versions = versions
            .as_array()
            .unwrap_or_default()
            .iter()
            .filter_map(version)
            .collect();
    }
    for number in numbers(list.get("ep")) {
        part(&mut parts, number).state = PartState::Edited;
    }
    for number in numbers(list.get("rp")) {
        part(&mut parts, number).state = PartState::Unsent;
    }
    Ok(SummaryInfo {
        parts: parts.into_values().collect(),
        translations: list
            .get("tmp")
            .and_then(Plist::as_data)
            .and_then(|archive| keyed_archive::decode(archive).ok()),
    })
}

/// What became of the parts of a message.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SummaryInfo {
    /// The parts that the message had when it was sent, by rising number. Empty when nothing happened to it.
    pub parts: Vec<Part>,
    /// Translations, as they are: an array by part number of `translatedText`, `translationLanguage` and
    /// `sourceLanguage`. `None` when there are none or they cannot be read: they can be made again.
    pub translations: Option<Plist>,
}

impl SummaryInfo {
    /// The numbers of the parts that were taken back, rising.
    pub fn unsent_parts(&self) -> impl Iterator<Item = u16> {
        self.parts
            .iter()
            .filter(|part| part.state == PartState::Unsent)
            .map(|part| part.number)
    }

    /// Whether there were parts and all of them were taken back.
    pub fn is_fully_unsent(&self) -> bool {
        !self.parts.is_empty() && self.parts.iter().all(|p| p.state == PartState::Unsent)
    }
}

/// One part of a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Its number, from 0.
    pub number: u16,
    /// What became of it.
    pub state: PartState,
    /// Its texts, the original first and the current one last; empty for a part that was not edited.
    pub versions: Vec<Version>,
}

/// What became of a part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PartState {
    /// Nothing.
    #[default]
    Original,
    /// It was edited.
    Edited,
    /// It was taken back, before or after edits.
    Unsent,
}

/// One text of an edited part.
#[derive(Clone, Debug, PartialEq)]
pub struct Version {
    /// Since when it stood, in seconds since 2001, exactly as it was written. [`Version::at`] is for everybody else.
    pub seconds: Option<f64>,
    /// The body, or why it cannot be read.
    pub body: Result<AttributedText, TypedstreamError>,
    /// What could be saved of the text of a body that cannot be read.
    pub salvaged: Option<String>,
    /// `bcg`: a GUID that Messages gives to later versions.
    pub guid: Option<String>,
}

impl Version {
    /// Since when it stood.
    pub fn at(&self) -> Option<AppleTime> {
        AppleTime::from_seconds(self.seconds?)
    }

    /// The text, as far as it can be known.
    pub fn text(&self) -> Option<&str> {
        match &self.body {
            Ok(body) => Some(&body.text),
            Err(_) => self.salvaged.as_deref(),
        }
    }
}

fn part(parts: &mut BTreeMap<u16, Part>, number: u16) -> &mut Part {
    parts.entry(number).or_insert(Part {
        number,
        state: PartState::Original,
        versions: Vec::new(),
    })
}

/// Entries whose keys are part numbers.
fn entries(dictionary: Option<&Plist>) -> impl Iterator<Item = (u16, &Plist)> {
    dictionary
        .and_then(Plist::as_dictionary)
        .unwrap_or_default()
        .iter()
        .filter_map(|(key, value)| Some((key.parse().ok()?, value)))
}

fn numbers_of_keys(dictionary: Option<&Plist>) -> impl Iterator<Item = u16> {
    entries(dictionary).map(|(number, _)| number)
}

fn numbers(array: Option<&Plist>) -> impl Iterator<Item = u16> {
    array
        .and_then(Plist::as_array)
        .unwrap_or_default()
        .iter()
        .filter_map(|number| u16::try_from(number.as_integer()?).ok())
}

fn version(entry: &Plist) -> Option<Version> {
    let bytes = entry.get("t")?.as_data()?;
    let body = decode_attributed(bytes);
    let salvaged = match &body {
        Ok(_) => None,
        Err(_) => salvage_text(bytes),
    };
    Some(Version {
        seconds: entry.get("d").and_then(Plist::as_real),
        body,
        salvaged,
        guid: entry.get("bcg").and_then(Plist::as_text).map(str::to_owned),
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use plist::Value;

    use super::*;
    use crate::codec::keyed_archive::tests::dictionary;
    use crate::codec::typedstream::encode;

    fn body(text: &str) -> Value {
        let text = AttributedText {
            text: text.to_owned(),
            ..AttributedText::default()
        };
        Value::Data(encode(&text))
    }

    fn written(list: &Value) -> Vec<u8> {
        let mut bytes = Vec::new();
        list.to_writer_binary(&mut bytes).unwrap();
        bytes
    }

    fn history() -> Value {
        Value::Array(vec![
            dictionary([("d", Value::from(700.25)), ("t", body("first"))]),
            dictionary([
                ("d", Value::from(701)),
                ("t", Value::Data(b"rubbish".to_vec())),
            ]),
            dictionary([
                ("d", Value::from(702.0)),
                ("t", body("last")),
                ("bcg", Value::from("1A2B3C4D-0001-4002-8003-ABCDEF012345")),
            ]),
        ])
    }

    fn range() -> Value {
        dictionary([("lo", Value::from(0)), ("le", Value::from(5))])
    }

    /// Part 0 untouched, part 1 edited twice, part 2 taken back.
    pub(crate) fn edited_and_unsent() -> Vec<u8> {
        written(&dictionary([
            (
                "otr",
                dictionary([("0", range()), ("1", range()), ("2", range())]),
            ),
            ("ec", dictionary([("1", history())])),
            ("ep", Value::Array(vec![Value::from(1)])),
            ("rp", Value::Array(vec![Value::from(2)])),
            ("ust", Value::from(true)),
        ]))
    }

    #[test]
    fn every_part_has_its_state() {
        let info = decode(&edited_and_unsent()).unwrap();

        let states: Vec<_> = info
            .parts
            .iter()
            .map(|part| (part.number, part.state))
            .collect();
        assert_eq!(
            states,
            [
                (0, PartState::Original),
                (1, PartState::Edited),
                (2, PartState::Unsent)
            ]
        );
        assert_eq!(info.unsent_parts().collect::<Vec<_>>(), [2]);
        assert!(!info.is_fully_unsent());
    }

    #[test]
    fn a_version_that_cannot_be_read_keeps_its_place() {
        let info = decode(&edited_and_unsent()).unwrap();

        let versions = &info.parts[1].versions;
        let texts: Vec<_> = versions.iter().map(Version::text).collect();
        assert_eq!(texts, [Some("first"), None, Some("last")]);
        assert_eq!(
            versions[0].at(),
            Some(AppleTime::from_nanos(700_250_000_000))
        );
        assert_eq!(
            versions[1].at(),
            Some(AppleTime::from_nanos(701_000_000_000))
        );
        assert!(versions[1].body.is_err());
        assert_eq!(
            versions[2].guid.as_deref(),
            Some("1A2B3C4D-0001-4002-8003-ABCDEF012345")
        );
    }

    #[test]
    fn parts_come_from_the_edits_where_no_ranges_are() {
        let info = decode(&written(&dictionary([(
            "ec",
            dictionary([("3", history())]),
        )])))
        .unwrap();

        assert_eq!(info.parts.len(), 1);
        assert_eq!(info.parts[0].number, 3);
        assert_eq!(info.parts[0].state, PartState::Edited);
        assert_eq!(info.parts[0].versions.len(), 3);
    }

    #[test]
    fn a_part_that_was_edited_and_taken_back_is_unsent() {
        let list = dictionary([
            ("otr", dictionary([("0", range())])),
            ("ec", dictionary([("0", history())])),
            ("rp", Value::Array(vec![Value::from(0)])),
        ]);

        let info = decode(&written(&list)).unwrap();

        assert_eq!(info.parts[0].state, PartState::Unsent);
        assert_eq!(info.parts[0].versions.len(), 3);
        assert!(info.is_fully_unsent());
    }

    #[test]
    fn nothing_happened_to_a_message_without_parts() {
        let info = decode(&written(&dictionary([("amc", Value::from(1))]))).unwrap();

        assert_eq!(info, SummaryInfo::default());
        assert!(!info.is_fully_unsent());
    }

    #[test]
    fn entries_of_another_shape_are_passed_over() {
        let list = dictionary([
            ("otr", Value::from("no dictionary")),
            (
                "ec",
                dictionary([
                    ("x", history()),
                    ("0", Value::from(1)),
                    ("1", Value::Array(vec![Value::from(2)])),
                ]),
            ),
            ("rp", Value::Array(vec![Value::from(-1), Value::from("2")])),
        ]);

        let info = decode(&written(&list)).unwrap();

        let versions: Vec<_> = info
            .parts
            .iter()
            .map(|part| (part.number, part.versions.len()))
            .collect();
        assert_eq!(versions, [(0, 0), (1, 0)]);
    }
}
