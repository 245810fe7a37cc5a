#![allow(
    clippy::arithmetic_side_effects,
    reason = "a test stops at the first surprise"
)]

use proptest::prelude::*;

use super::*;
use crate::base::limits;

const PART: &str = "__kIMMessagePartAttributeName";

/// A body whose layout is known: what Messages writes for this text.
const NOTER_TEST: &[u8] = b"\x04\x0bstreamtyped\x81\xe8\x03\x84\x01@\x84\x84\x84\x19NSMutableAttributedString\x00\
    \x84\x84\x12NSAttributedString\x00\x84\x84\x08NSObject\x00\x85\x92\x84\x84\x84\x0fNSMutableString\x01\
    \x84\x84\x08NSString\x01\x95\x84\x01+\x0aNoter test\x86\x84\x02iI\x01\x0a\x92\x84\x84\x84\x0cNSDictionary\x00\x95\
    \x84\x01i\x01\x92\x84\x98\x98\x1d__kIMMessagePartAttributeName\x86\x92\x84\x84\x84\x08NSNumber\x00\
    \x84\x84\x07NSValue\x00\x95\x84\x01*\x84\x9b\x9b\x00\x86\x86\x86";

fn attributes(entries: &[(&str, Attribute)]) -> Attributes {
    let entries = entries.iter();
    Attributes(
        entries
            .map(|(key, value)| ((*key).to_owned(), value.clone()))
            .collect(),
    )
}

fn run(start: u32, length: u32, attributes: usize) -> Run {
    Run {
        start,
        length,
        attributes,
    }
}

/// A text of one part.
fn plain(text: &str) -> AttributedText {
    let length = u32::try_from(text.encode_utf16().count()).unwrap();
    AttributedText {
        text: text.to_owned(),
        runs: Vec::from_iter((length > 0).then_some(run(0, length, 0))),
        dictionaries: Vec::from_iter(
            (length > 0).then(|| attributes(&[(PART, Attribute::Integer(0))])),
        ),
    }
}

/// A stream with nothing in it yet.
fn stream(body: &[&[u8]]) -> Vec<u8> {
    let mut bytes = b"\x04\x0bstreamtyped\x81\xe8\x03".to_vec();
    bytes.extend(body.concat());
    bytes
}

#[test]
fn a_plain_body_is_what_messages_writes() {
    assert_eq!(encode(&plain("Noter test")), NOTER_TEST);
    assert_eq!(decode_attributed(NOTER_TEST), Ok(plain("Noter test")));
}

#[test]
fn texts_of_every_length_come_back() {
    for text in [
        "",
        "x",
        "\u{1f602}",
        &"y".repeat(127),
        &"y".repeat(128),
        &"\u{4eca}".repeat(20_000),
    ] {
        assert_eq!(decode_attributed(&encode(&plain(text))), Ok(plain(text)));
    }
}

#[test]
fn attributes_of_every_kind_come_back() {
    let body = AttributedText {
        text: "Hi \u{1f600} @Ann \u{fffc}".to_owned(),
        runs: vec![run(0, 6, 0), run(6, 4, 1), run(10, 1, 0), run(11, 1, 2)],
        dictionaries: vec![
            attributes(&[
                (PART, Attribute::Integer(0)),
                ("__kIMTextBoldAttributeName", Attribute::Integer(1)),
                ("long", Attribute::Integer(i64::MAX)),
                ("negative", Attribute::Integer(-111)),
            ]),
            attributes(&[
                (PART, Attribute::Integer(0)),
                (
                    "__kIMMentionConfirmedMention",
                    Attribute::Text("+15550100001".to_owned()),
                ),
                (
                    "__kIMLinkAttributeName",
                    Attribute::Url(Url {
                        base: Some(Box::new(Url::absolute("https://example.org/a/"))),
                        relative: "b".to_owned(),
                    }),
                ),
            ]),
            attributes(&[
                (PART, Attribute::Integer(1)),
                (
                    "__kIMFileTransferGUIDAttributeName",
                    Attribute::Text("at_1_1A2B3C4D-0001-4002-8003-ABCDEF012345".to_owned()),
                ),
                ("__kIMInlineMediaWidthAttributeName", Attribute::Real(320.0)),
                ("height", Attribute::Real(-0.5)),
                ("data", Attribute::Data(vec![0x86, 0x84, 0])),
                (
                    "more",
                    Attribute::Dictionary(attributes(&[("k", Attribute::Integer(2))])),
                ),
            ]),
        ],
    };

    let decoded = decode_attributed(&encode(&body)).unwrap();

    assert_eq!(decoded, body);
    let link = decoded.dictionaries[1]
        .get("__kIMLinkAttributeName")
        .unwrap();
    assert_eq!(link.as_url().unwrap(), "https://example.org/a/b");
}

#[test]
fn references_beyond_the_first_hundred_and_ten_lead_to_their_objects() {
    let dictionaries: Vec<_> = (0..400)
        .map(|n| {
            attributes(&[
                ("shared", Attribute::Integer(n / 2)),
                (PART, Attribute::Integer(n)),
            ])
        })
        .collect();
    let body = AttributedText {
        text: "x".repeat(400),
        runs: (0..400_u32)
            .map(|n| run(n, 1, usize::try_from(n).unwrap()))
            .collect(),
        dictionaries,
    };

    let bytes = encode(&body);

    assert!(decode(&bytes).unwrap().object_count() > 800);
    assert_eq!(decode_attributed(&bytes), Ok(body));
}

#[test]
fn runs_past_the_end_are_cut() {
    let mut body = plain("abc");
    body.runs = vec![run(0, 2, 0), run(2, 70_000, 0), run(70_002, 5, 0)];

    let decoded = decode_attributed(&encode(&body)).unwrap();

    assert_eq!(decoded.runs, [run(0, 2, 0), run(2, 1, 0)]);
}

#[test]
fn a_deep_body_of_thirty_kilobytes_is_an_ordinary_error() {
    // Each level: type `@`, then a new object of class nil.
    let nested = b"\x92\x84\x85".repeat(10_000);
    let bytes = stream(&[b"\x84\x01@\x84\x85", &nested]);

    assert_eq!(bytes.len(), 30_021);
    assert!(matches!(
        decode(&bytes),
        Err(TypedstreamError::TooMuch {
            what: "nesting",
            limit: limits::NESTING,
            ..
        })
    ));
}

#[test]
fn a_deep_chain_of_classes_and_types_is_an_ordinary_error() {
    let classes = stream(&[b"\x84\x01#", &b"\x84\x84\x01c\x00".repeat(10_000)]);
    let types = "{".repeat(500) + &"}".repeat(500);
    let types = stream(&[b"\x84\x81\xe8\x03", types.as_bytes()]);

    assert!(matches!(
        decode(&classes),
        Err(TypedstreamError::TooMuch {
            what: "nesting",
            ..
        })
    ));
    assert!(
        decode(&types).is_ok(),
        "a structure without `=` holds nothing"
    );
}

#[test]
fn arrays_of_nothing_end_at_the_limit() {
    let bytes = stream(&[b"\x84\x16[99999999[99999999{}]]"]);

    assert!(matches!(
        decode(&bytes),
        Err(TypedstreamError::TooMuch {
            what: "values",
            limit: limits::OBJECTS,
            ..
        })
    ));
}

#[test]
fn claimed_lengths_are_not_believed() {
    let string = stream(&[b"\x84\x01+\x82\xff\xff\xff\x7fabc"]);
    let array = stream(&[b"\x84\x0d[2147483647c]abc"]);

    for bytes in [string, array] {
        assert!(matches!(
            decode(&bytes),
            Err(TypedstreamError::Unexpected {
                got: Got::Number(2_147_483_647),
                ..
            })
        ));
    }
}

#[test]
fn errors_say_where_and_what() {
    let forward = stream(&[b"\x84\x01@\x92\x84"]);
    let cut = &NOTER_TEST[..NOTER_TEST.len() - 1];

    assert_eq!(
        decode(&forward).unwrap_err().to_string(),
        "expected a reference to something earlier, got -110 at byte 19"
    );
    assert_eq!(
        decode(cut).unwrap_err().to_string(),
        "expected a group or the end of the object, got the end at byte 232"
    );
    assert_eq!(
        decode(b"bplist00").unwrap_err().to_string(),
        "expected the header of a typedstream, got 0x62 at byte 0"
    );
}

#[test]
fn an_object_that_contains_itself_is_harmless() {
    // Object 4 is the dictionary of the only run; its only value is object 4.
    let bytes = stream(&[
        b"\x84\x01@\x84\x84\x84\x12NSAttributedString\x00\x85",
        b"\x92\x84\x84\x84\x08NSString\x01\x85\x84\x01+\x01x\x86",
        b"\x84\x02iI\x01\x01\x92\x84\x84\x84\x0cNSDictionary\x00\x85\x84\x01i\x01",
        b"\x92\x84\x95\x95\x01k\x86\x92\x96\x86\x86",
    ]);

    assert!(decode(&bytes).is_ok());
    assert_eq!(
        decode_attributed(&bytes),
        Err(TypedstreamError::Shape {
            object: 4,
            expected: "a dictionary: a count and as many pairs"
        })
    );
}

#[test]
fn other_objects_have_the_shape_they_do_not_have_in_the_error() {
    let array = stream(&[
        b"\x84\x01@\x84\x84\x84\x07NSArray\x00\x84\x84\x08NSObject\x00\x85\x84\x01i\x00\x86",
    ]);

    assert_eq!(
        decode_attributed(&array),
        Err(TypedstreamError::Shape {
            object: 0,
            expected: "an attributed string"
        })
    );
    assert!(decode_attributed(&stream(&[])).is_err());
}

#[test]
fn bytes_that_are_no_text_are_no_body() {
    let bytes = encode(&plain("abcd"));
    let at = bytes.windows(4).position(|w| w == b"abcd").unwrap();
    let mut broken = bytes;
    broken[at + 1] = 0xff;

    assert!(matches!(
        decode_attributed(&broken),
        Err(TypedstreamError::Shape { .. })
    ));
    assert_eq!(salvage_text(&broken), None);
}

#[test]
fn the_text_of_a_damaged_body_is_saved() {
    let bytes = encode(&plain("The text \u{1184}\u{e9}"));
    let length = bytes.windows(3).position(|w| w == b"The").unwrap() - 1;
    let mut too_long = bytes.clone();
    too_long[length] = 0x7f;
    let mut too_short = bytes.clone();
    too_short[length] = 4;

    assert!(decode_attributed(&too_long).is_err());
    assert_eq!(
        salvage_text(&too_long).as_deref(),
        Some("The text \u{1184}\u{e9}")
    );
    assert_eq!(
        salvage_text(&too_short).as_deref(),
        Some("The text \u{1184}\u{e9}")
    );
    assert_eq!(
        salvage_text(&bytes).as_deref(),
        Some("The text \u{1184}\u{e9}")
    );
    // Cut inside the last character.
    let cut = &bytes[..length + 1 + 13];
    assert_eq!(salvage_text(cut).as_deref(), Some("The text \u{1184}"));
}

#[test]
fn a_long_text_is_saved_in_one_pass() {
    // Every character holds the bytes that end an object.
    let text = "\u{1184}".repeat(1 << 20);
    let cut = [
        &b"NSString\x84\x01+\x82\xff\xff\xff\x7f"[..],
        text.as_bytes(),
    ]
    .concat();

    assert_eq!(salvage_text(&cut), Some(text));
}

#[test]
fn rubbish_is_not_saved() {
    let control = b"NSString\x01\x84\x84\x08NSObject\x00\x85\x84\x01+\x04a\x00\x01b\x86\x84";

    assert_eq!(salvage_text(b"no marker \x84\x01+\x03abc\x86"), None);
    assert_eq!(salvage_text(b"NSString without a type"), None);
    assert_eq!(salvage_text(b"NSString\x84\x01+"), None);
    assert_eq!(salvage_text(b"NSString\x84\x01+\x00\x86\x84"), None);
    assert_eq!(salvage_text(control), None);
}

#[test]
fn texts_and_attributes_do_not_reach_a_log() {
    let mut body = plain("secret");
    body.dictionaries[0]
        .0
        .push(("t".to_owned(), Attribute::Text("secret".to_owned())));
    let bytes = encode(&body);

    let shown = format!("{body:?} {:?}", decode(&bytes).unwrap());

    assert!(!shown.contains("secret"), "{shown}");
}

fn any_attribute() -> impl Strategy<Value = Attribute> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(Attribute::Integer),
        prop_oneof![any::<i32>().prop_map(f64::from), -1e300..1e300].prop_map(Attribute::Real),
        ".{0,200}".prop_map(Attribute::Text),
        (proptest::option::of(".{0,9}"), ".{0,9}").prop_map(|(base, relative)| {
            Attribute::Url(Url {
                base: base.map(|base| Box::new(Url::absolute(base))),
                relative,
            })
        }),
        proptest::collection::vec(any::<u8>(), 0..300).prop_map(Attribute::Data),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        any_attributes(inner).prop_map(Attribute::Dictionary)
    })
}

fn any_attributes(value: impl Strategy<Value = Attribute>) -> impl Strategy<Value = Attributes> {
    proptest::collection::vec(("[a-z]{1,12}", value), 0..5).prop_map(Attributes)
}

/// Bodies as the decoder gives them: runs without gaps, dictionaries in the order of their first use.
fn any_body() -> impl Strategy<Value = AttributedText> {
    let dictionaries = proptest::collection::vec(any_attributes(any_attribute()), 1..6);
    let lengths = proptest::collection::vec(1..40_u32, 1..6);
    (dictionaries, lengths).prop_map(|(dictionaries, lengths)| {
        let count = dictionaries.len().min(lengths.len());
        let mut start = 0;
        let mut runs = Vec::new();
        for (at, length) in lengths.into_iter().enumerate() {
            runs.push(run(start, length, at.min(count - 1)));
            start += length;
        }
        AttributedText {
            text: "\u{e9}".repeat(usize::try_from(start).unwrap()),
            runs,
            dictionaries: dictionaries.into_iter().take(count).collect(),
        }
    })
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(body in any_body()) {
        prop_assert_eq!(decode_attributed(&encode(&body)), Ok(body));
    }

    #[test]
    fn damaged_bodies_do_not_panic(
        body in any_body(),
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<proptest::sample::Index>(),
    ) {
        let mut bytes = encode(&body);
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(cut.index(bytes.len() * 2).max(1));

        if let Ok(decoded) = decode_attributed(&bytes) {
            let end = decoded.runs.last().map_or(0, |run| run.start + run.length);
            prop_assert!(usize::try_from(end).unwrap() <= decoded.text.encode_utf16().count());
        }
        if let Some(text) = salvage_text(&bytes) {
            prop_assert!(!text.contains('\0'));
        }
    }

    #[test]
    fn arbitrary_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let bytes = stream(&[&bytes]);

        let objects = decode(&bytes).map_or(0, |archive| archive.object_count());

        prop_assert!(objects <= bytes.len());
        prop_assert_eq!(salvage_text(&bytes), None);
    }
}
