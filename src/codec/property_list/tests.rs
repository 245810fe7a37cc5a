#![allow(
    clippy::arithmetic_side_effects,
    reason = "a test stops at the first surprise"
)]

use std::io::Cursor;
use std::time::Duration;
use std::time::SystemTime;

use plist::Value;
use proptest::prelude::*;

use super::*;

const TRAILER_WIDTHS: [u8; 8] = [0, 0, 0, 0, 0, 0, 2, 2];

/// A binary list of these objects, with offsets and references of two bytes. The first object is the root.
pub(crate) fn binary(objects: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = binary::MAGIC.to_vec();
    let mut offsets = Vec::new();
    for object in objects {
        offsets.extend(u16::try_from(bytes.len()).unwrap().to_be_bytes());
        bytes.extend(object);
    }
    let table = bytes.len();
    bytes.extend(offsets);
    bytes.extend(TRAILER_WIDTHS);
    for word in [objects.len(), 0, table] {
        bytes.extend(u64::try_from(word).unwrap().to_be_bytes());
    }
    bytes
}

/// An array of up to 14 references.
pub(crate) fn array(references: &[u16]) -> Vec<u8> {
    let count = u8::try_from(references.len()).unwrap();
    let references = references
        .iter()
        .flat_map(|reference| reference.to_be_bytes());
    std::iter::once(0xa0 | count).chain(references).collect()
}

/// What the crate writes of a value.
fn written(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.to_writer_binary(&mut bytes).unwrap();
    bytes
}

fn written_xml(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.to_writer_xml(&mut bytes).unwrap();
    bytes
}

#[test]
fn values_of_every_kind_are_read() {
    let objects = [
        array(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        vec![0x00],
        vec![0x09],
        vec![0x10, 0xff],
        [&[0x13][..], &(-2_i64).to_be_bytes()].concat(),
        [&[0x14][..], &i128::from(u64::MAX).to_be_bytes()].concat(),
        [&[0x22][..], &0.5_f32.to_be_bytes()].concat(),
        [&[0x33][..], &1.5_f64.to_be_bytes()].concat(),
        vec![0x42, 1, 2],
        vec![0x81, 1, 2],
        vec![0x63, 0, b'a', 0xd8, 0x00, 0, b'b'],
    ];

    let value = decode(&binary(&objects)).unwrap();

    let expected = vec![
        Plist::Null,
        Plist::Boolean(true),
        Plist::Integer(255),
        Plist::Integer(-2),
        Plist::Integer(u64::MAX.into()),
        Plist::Real(0.5),
        Plist::Date(AppleTime::from_nanos(1_500_000_000)),
        Plist::Data(vec![1, 2]),
        Plist::Uid(258),
        Plist::Text("a\u{fffd}b".to_owned()),
    ];
    assert_eq!(value, Plist::Array(expected));
}

#[test]
fn the_ends_of_time_stand_for_what_lies_beyond() {
    let date = |seconds: f64| [&[0x33][..], &seconds.to_be_bytes()].concat();

    let distant_future = decode(&binary(&[date(63_113_904_000.0)])).unwrap();
    let distant_past = decode(&binary(&[date(-63_114_076_800.0)])).unwrap();

    assert_eq!(
        distant_future.as_date(),
        Some(AppleTime::from_nanos(i64::MAX))
    );
    assert_eq!(
        distant_past.as_date(),
        Some(AppleTime::from_nanos(i64::MIN))
    );
    assert!(decode(&binary(&[date(f64::NAN)])).is_err());
}

#[test]
fn a_list_that_contains_itself_is_an_ordinary_error() {
    let direct = binary(&[array(&[0])]);
    let in_two_steps = binary(&[array(&[1]), array(&[0])]);

    for bytes in [direct, in_two_steps] {
        assert!(matches!(
            decode(&bytes),
            Err(PlistError::TooMuch {
                what: "nesting",
                ..
            })
        ));
    }
}

#[test]
fn a_list_that_doubles_at_every_level_is_an_ordinary_error() {
    let mut objects: Vec<_> = (1..=40).map(|next| array(&[next, next])).collect();
    objects.push(vec![0x09]);

    assert!(matches!(
        decode(&binary(&objects)),
        Err(PlistError::TooMuch { what: "values", .. })
    ));
}

#[test]
fn a_large_text_named_many_times_is_an_ordinary_error() {
    let text = [&[0x5f, 0x11, 0xea, 0x60][..], &vec![b'x'; 60_000]].concat();
    let names = array(&[3; 14]);
    let root = array(&[1; 14]);
    let more = array(&[2; 14]);
    let objects = [root, more, names, text];

    assert!(decode(&binary(&objects)).is_err());
}

#[test]
fn a_deep_xml_list_is_an_ordinary_error() {
    let deep = "<array>".repeat(200_000) + &"</array>".repeat(200_000);
    let hidden = "<array a=\"> </array>\">".repeat(200_000);
    let commented = "<array><!-- </array> -->".repeat(200_000);
    let wide = format!("<plist>{}</plist>", "<true/>".repeat(300_000));

    assert!(matches!(
        decode(deep.as_bytes()),
        Err(PlistError::TooMuch {
            what: "nesting",
            ..
        })
    ));
    assert!(matches!(
        decode(hidden.as_bytes()),
        Err(PlistError::Xml { .. })
    ));
    assert!(matches!(
        decode(commented.as_bytes()),
        Err(PlistError::TooMuch {
            what: "nesting",
            ..
        })
    ));
    assert!(matches!(
        decode(wide.as_bytes()),
        Err(PlistError::TooMuch { what: "values", .. })
    ));
}

#[test]
fn a_date_past_the_end_of_the_calendar_is_an_ordinary_error() {
    for date in [
        "9999-12-31T23:59:59-23:59",
        "0000-01-01T00:00:00+23:59",
        "-9999-01-01T00:00:00+01:00",
    ] {
        let list = format!("<plist><date>{date}</date></plist>");

        assert!(decode(list.as_bytes()).is_err());
    }
}

#[test]
fn other_bytes_are_no_list() {
    assert!(matches!(decode(b""), Err(PlistError::NotAPlist)));
    assert!(matches!(
        decode(b"\x04\x0bstreamtyped"),
        Err(PlistError::NotAPlist)
    ));
    assert!(matches!(
        decode(b"bplist00"),
        Err(PlistError::Binary { .. })
    ));
    assert!(matches!(
        decode(b"<html></html>"),
        Err(PlistError::Reader(_))
    ));
    let large = vec![b' '; limits::BLOB_BYTES + 1];
    assert!(matches!(
        decode(&large),
        Err(PlistError::TooMuch { what: "bytes", .. })
    ));
}

#[test]
fn values_do_not_reach_a_log() {
    let value = Plist::Dictionary(vec![("key".to_owned(), Plist::Text("secret".to_owned()))]);

    assert_eq!(format!("{value:?}"), "{\"key\": Text(6 bytes)}");
}

/// Values that both forms can hold. Whole seconds, as XML has no others.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::Boolean),
        any::<i64>().prop_map(|number| Value::Integer(number.into())),
        any::<u64>().prop_map(|number| Value::Integer(number.into())),
        any::<i32>().prop_map(|number| Value::Real(f64::from(number) / 8.0)),
        "[a-z\u{e9}\u{1f600}&<> ]{0,20}".prop_map(Value::String),
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(Value::Data),
        (0..4_000_000_000_u64).prop_map(|seconds| {
            Value::Date((SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).into())
        }),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            proptest::collection::vec(("[a-z]{1,6}", inner), 0..6)
                .prop_map(|entries| Value::Dictionary(entries.into_iter().collect())),
        ]
    })
}

/// How much text a value holds, looking at all of it.
fn text_bytes(value: &Plist) -> usize {
    let values = value.as_array().unwrap_or_default().iter();
    let entries = value.as_dictionary().unwrap_or_default().iter();
    let members = values.chain(entries.map(|(_, value)| value));
    value.as_text().map_or(0, str::len) + members.map(text_bytes).sum::<usize>()
}

proptest! {
    #[test]
    fn the_binary_reader_agrees_with_the_crate(value in any_value()) {
        let theirs = Value::from_reader(Cursor::new(written(&value))).unwrap();

        prop_assert_eq!(decode(&written(&value)).unwrap(), xml::convert(theirs));
    }

    #[test]
    fn both_forms_hold_the_same(value in any_value()) {
        prop_assert_eq!(decode(&written(&value)).unwrap(), decode(&written_xml(&value)).unwrap());
    }

    #[test]
    fn damaged_lists_do_not_panic(
        value in any_value(),
        xml in any::<bool>(),
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = if xml { written_xml(&value) } else { written(&value) };
        let length = bytes.len();
        for (at, byte) in damage {
            bytes[at.index(length)] = byte;
        }

        if let Ok(decoded) = decode(&bytes) {
            prop_assert!(text_bytes(&decoded) <= limits::VALUE_BYTES);
        }
    }
}
