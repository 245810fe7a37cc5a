//! Replays the corpus of every fuzz target through the function that the target calls, without a fuzzer, and keeps the
//! seeds among the files equal to what our encoders write. What a fuzzer found once is a file here ever after.
//!
//! `FOOTBRIDGE_WRITE_SEEDS=1 cargo test --test fuzz_corpus` writes the seeds.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use footbridge::codec::typedstream::Attribute;
use footbridge::codec::typedstream::AttributedText;
use footbridge::codec::typedstream::Attributes;
use footbridge::codec::typedstream::Run;
use footbridge::codec::typedstream::Url;
use footbridge::codec::typedstream::encode;
use footbridge::decode::inspect::BlobKind;
use footbridge::decode::inspect::inspect;
use plist::Dictionary;
use plist::Uid;
use plist::Value;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::support::damage::damage;
use crate::support::routes::route_any;
use crate::support::samples::samples;
use crate::support::stored::KINDS;
use crate::support::stored::decode_any;

const UUID: &str = "1A2B3C4D-0001-4002-8003-ABCDEF012345";

/// Every fuzz target: its name, what it decodes, the folders of the vectors that it could be given.
const TARGETS: [(&str, BlobKind, &[&str]); 4] = [
    (
        "typedstream",
        BlobKind::Typedstream,
        &["typedstream", "typedstream-foundation"],
    ),
    ("summary_info", BlobKind::SummaryInfo, &["edited_message"]),
    (
        "payload",
        BlobKind::Payload,
        &[
            "url_message",
            "app_message",
            "digital_touch_message",
            "handwritten_message",
            "stickers",
        ],
    ),
    (
        "chat_properties",
        BlobKind::ChatProperties,
        &["chat_properties"],
    ),
];

fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn vectors() -> PathBuf {
    let shared = std::env::var_os("FOOTBRIDGE_SHARED").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"),
        PathBuf::from,
    );
    shared.join("vectors/chatdb")
}

/// Decodes bytes as a target does. Prefixes too: a stream that was cut off is what disks and networks leave behind.
fn replay(kind: BlobKind, bytes: &[u8]) -> bool {
    let step = (bytes.len() / 64).max(1);
    for end in (0..bytes.len()).step_by(step) {
        drop(inspect(kind, &bytes[..end]));
    }
    inspect(kind, bytes).is_ok()
}

fn attributes(entries: &[(&str, Attribute)]) -> Attributes {
    let entries = entries.iter();
    Attributes(
        entries
            .map(|(key, value)| ((*key).to_owned(), value.clone()))
            .collect(),
    )
}

fn body(text: &str, runs: &[(u32, &[(&str, Attribute)])]) -> Vec<u8> {
    let mut start = 0;
    let mut cut = Vec::new();
    for (number, (length, _)) in runs.iter().enumerate() {
        cut.push(Run {
            start,
            length: *length,
            attributes: number,
        });
        start += length;
    }
    encode(&AttributedText {
        text: text.to_owned(),
        runs: cut,
        dictionaries: runs
            .iter()
            .map(|(_, entries)| attributes(entries))
            .collect(),
    })
}

fn text(text: &str) -> Attribute {
    Attribute::Text(text.to_owned())
}

const PART: &str = "__kIMMessagePartAttributeName";

fn typedstreams() -> Vec<(&'static str, Vec<u8>)> {
    let part = |number| (PART, Attribute::Integer(number));
    let plain = body("Hello", &[(5, &[part(0)])]);
    let mut damaged = plain.clone();
    let at = plain.windows(5).position(|w| w == b"Hello").unwrap();
    damaged[at - 1] = 0x7f;
    let link = Url {
        base: Some(Box::new(Url::absolute("https://example.org/"))),
        relative: "a".to_owned(),
    };
    let flag = |key| (key, Attribute::Integer(1));
    let mention = ("__kIMMentionConfirmedMention", text("+15550100001"));
    let file = ("__kIMFileTransferGUIDAttributeName", text(UUID));
    let width = ("__kIMInlineMediaWidthAttributeName", Attribute::Real(0.5));
    let nested = Attribute::Dictionary(attributes(&[part(1)]));
    let header = b"\x04\x0bstreamtyped\x81\xe8\x03";
    let deep = b"\x92\x84\x85".repeat(70);
    vec![
        ("empty", body("", &[])),
        ("plain", plain),
        ("damaged", damaged),
        (
            "mention",
            body("Hi @Ann", &[(3, &[part(0)]), (4, &[part(0), mention])]),
        ),
        (
            "attachment",
            body(
                "a\u{fffc}",
                &[(1, &[part(0)]), (1, &[part(1), file, width])],
            ),
        ),
        (
            "styles",
            body(
                "\u{1f600}bc",
                &[
                    (2, &[part(0), flag("__kIMTextBoldAttributeName")]),
                    (
                        1,
                        &[
                            part(0),
                            ("__kIMTextEffectAttributeName", Attribute::Integer(12)),
                        ],
                    ),
                    (
                        1,
                        &[
                            ("data", Attribute::Data(vec![0x86, 0x84])),
                            ("more", nested),
                        ],
                    ),
                ],
            ),
        ),
        (
            "link",
            body(
                "here",
                &[(4, &[("__kIMLinkAttributeName", Attribute::Url(link))])],
            ),
        ),
        ("deep", [&header[..], b"\x84\x01@\x84\x85", &deep].concat()),
        (
            "structure",
            [
                &header[..],
                b"\x84\x10{p={q=dd}[2i]}[1*]\x01\x83\0\0\0\0\0\0\0\0\x02\x03\x84\x84\x01d",
            ]
            .concat(),
        ),
    ]
}

fn dictionary<const N: usize>(entries: [(&str, Value); N]) -> Value {
    let entries = entries.map(|(key, value)| (key.to_owned(), value));
    Value::Dictionary(Dictionary::from_iter(entries))
}

fn binary(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.to_writer_binary(&mut bytes).unwrap();
    bytes
}

fn uid(index: u64) -> Value {
    Value::Uid(Uid::new(index))
}

fn archive(objects: Vec<Value>) -> Vec<u8> {
    binary(&dictionary([
        ("$archiver", Value::from("NSKeyedArchiver")),
        ("$top", dictionary([("root", uid(1))])),
        (
            "$objects",
            Value::Array([vec![Value::from("$null")], objects].concat()),
        ),
    ]))
}

fn summary_infos() -> Vec<(&'static str, Vec<u8>)> {
    let version = |second: i32, text: &str| {
        let length = u32::try_from(text.len()).unwrap();
        let body = body(text, &[(length, &[(PART, Attribute::Integer(0))])]);
        dictionary([
            ("d", Value::from(second)),
            ("t", Value::Data(body)),
            ("bcg", Value::from(UUID)),
        ])
    };
    let history = Value::Array(vec![version(1, "one"), version(2, "two")]);
    let range = || dictionary([("lo", Value::from(0)), ("le", Value::from(3))]);
    let ranges = dictionary([("0", range()), ("1", range())]);
    let translations = archive(vec![
        dictionary([
            ("NS.keys", Value::Array(vec![uid(2)])),
            ("NS.objects", Value::Array(vec![uid(2)])),
        ]),
        Value::from("translatedText"),
    ]);
    let edits = || dictionary([("0", history.clone())]);
    let unsent = || Value::Array(vec![Value::from(1)]);
    vec![
        (
            "edited",
            binary(&dictionary([("otr", ranges.clone()), ("ec", edits())])),
        ),
        (
            "unsent",
            binary(&dictionary([("otr", ranges.clone()), ("rp", unsent())])),
        ),
        (
            "both",
            binary(&dictionary([
                ("otr", ranges),
                ("ec", edits()),
                ("rp", unsent()),
                ("ep", unsent()),
            ])),
        ),
        ("without-ranges", binary(&dictionary([("ec", edits())]))),
        (
            "translated",
            binary(&dictionary([("tmp", Value::Data(translations))])),
        ),
        (
            "nothing",
            binary(&dictionary([
                ("amc", Value::from(0)),
                ("ust", Value::from(true)),
            ])),
        ),
    ]
}

fn payloads() -> Vec<(&'static str, Vec<u8>)> {
    let class = |name: &str| dictionary([("$classname", Value::from(name))]);
    let link = archive(vec![
        dictionary([("$class", uid(2)), ("richLinkMetadata", uid(3))]),
        class("RichLink"),
        dictionary([
            ("URL", uid(4)),
            ("title", uid(6)),
            ("id", uid(7)),
            ("date", uid(8)),
            ("none", uid(0)),
        ]),
        dictionary([("NS.base", uid(0)), ("NS.relative", uid(5))]),
        Value::from("https://example.org/"),
        Value::from("Example \u{e9}"),
        dictionary([("NS.uuidbytes", Value::Data(vec![7; 16]))]),
        dictionary([("NS.time", Value::from(1.5))]),
    ]);
    let cycle = archive(vec![dictionary([
        ("parent", uid(1)),
        ("NS.data", Value::Data(vec![1])),
    ])]);
    let shared = |next| Value::Array(vec![uid(next), uid(next)]);
    let doubling = archive(
        (2..30)
            .map(|next| dictionary([("NS.objects", shared(next))]))
            .collect(),
    );
    let touch = |kind, content: &[u8]| {
        let length = u8::try_from(content.len()).unwrap();
        [
            &[0x08, kind, 0x1a, length][..],
            content,
            b"\x2a\x24",
            UUID.as_bytes(),
        ]
        .concat()
    };
    let packet = b"<x:xmpmeta stickerEffect:type=\"stroke\"></x:xmpmeta>";
    vec![
        ("link", link),
        ("cycle", cycle),
        ("doubling", doubling),
        ("sketch", touch(4, b"\x08\x01")),
        ("heartbreak", touch(3, b"\x35\0\0\x80\x3f")),
        (
            "handwriting",
            [
                b"\x11\x01\0\0\0\0\0\0\0\x1a\x24",
                UUID.as_bytes(),
                b"\x22\x02\x12\0",
            ]
            .concat(),
        ),
        ("sticker", [&b"\0\0\0\x18ftypheic"[..], packet].concat()),
    ]
}

fn chat_properties() -> Vec<(&'static str, Vec<u8>)> {
    let list = dictionary([
        ("lastSeenMessageGuid", Value::from(UUID)),
        ("shouldForceToSMS", Value::from(false)),
        ("CKChatWatermarkTime", Value::from(700.5)),
        ("CKChatWatermarkMessageID", Value::from(-1)),
        ("summary", Value::Data(vec![1, 2])),
        (
            "\u{e9}",
            Value::Array(vec![
                Value::Date(std::time::UNIX_EPOCH.into()),
                dictionary([]),
            ]),
        ),
    ]);
    let mut xml = Vec::new();
    list.to_writer_xml(&mut xml).unwrap();
    vec![("binary", binary(&list)), ("xml", xml)]
}

/// The target that takes stored values: its corpus has a folder's worth of samples of every type.
const STORED: &str = "stored_values";

/// Inputs of [`STORED`]: a sample's bytes after the number of its type.
fn stored_values() -> Vec<(String, Vec<u8>)> {
    let samples = samples();
    let mut seeds = Vec::new();
    for (number, (kind, _)) in (0..).zip(KINDS) {
        let of_kind = samples.iter().filter(|sample| sample.kind == kind);
        for sample in of_kind {
            let name = format!("{kind}-{}", sample.name.replace(' ', "-"));
            seeds.push((name, [&[number], sample.bytes.as_slice()].concat()));
        }
    }
    let number = |wanted: &str| {
        let place = KINDS.iter().position(|(kind, _)| *kind == wanted);
        u8::try_from(place.unwrap()).unwrap()
    };
    seeds.push((
        "search_terms".to_owned(),
        vec![number("search_terms"), 7, 1, 0xac, 0x02],
    ));
    seeds.push((
        "search_blocks".to_owned(),
        vec![number("search_blocks"), 1, 7, 0xac, 0x02, 3, 9],
    ));
    seeds
}

/// The target that takes request lines.
const ROUTER: &str = "router";

/// Inputs of [`ROUTER`], and whether a route is found.
const REQUEST_LINES: [(&str, &[u8], bool); 12] = [
    ("root", b"GET /", true),
    ("versions", b"GET /_matrix/client/versions", true),
    ("head", b"HEAD /_matrix/client/versions", true),
    ("final-slash", b"GET /_matrix/client/v3/pushrules/?a", true),
    (
        "messages",
        b"GET /_matrix/client/v3/rooms/%21a%3Ab.c/messages?dir=b&from=s1_2+3&limit=&filter=%7B%7D",
        true,
    ),
    (
        "literal-first",
        b"GET /_matrix/client/v3/rooms/public/messages",
        true,
    ),
    (
        "encoded-slash",
        b"PUT /_matrix/client/v3/rooms/!a:b/state/m.x/%2F%252F",
        true,
    ),
    ("file", b"GET /web/js/app.js", true),
    ("dots", b"GET /web/%2e%2e/app.js", false),
    ("backslash", b"GET /web/..%5Capp.js", false),
    ("nul", b"GET /web/%00", false),
    ("cut-off", b"GET /web/%e2%82?a=%4", false),
];

fn assert_seed(file: &Path, bytes: &[u8]) {
    if std::env::var_os("FOOTBRIDGE_WRITE_SEEDS").is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, bytes).unwrap();
    }
    assert!(
        fs::read(file).unwrap() == bytes,
        "{} has changed",
        file.display()
    );
}

#[test]
fn seeds_are_what_our_encoders_write() {
    let seeds = [
        typedstreams(),
        summary_infos(),
        payloads(),
        chat_properties(),
    ];

    for ((target, _, _), seeds) in TARGETS.into_iter().zip(seeds) {
        for (name, bytes) in seeds {
            assert_seed(&corpus(target).join(name), &bytes);
        }
    }
}

#[test]
fn seeds_of_stored_values_are_the_samples() {
    for (name, bytes) in stored_values() {
        assert_seed(&corpus(STORED).join(name), &bytes);
        assert!(decode_any(&bytes));
    }
}

#[test]
fn seeds_of_the_router_find_what_they_should() {
    for (name, bytes, is_found) in REQUEST_LINES {
        assert_seed(&corpus(ROUTER).join(name), bytes);
        assert_eq!(route_any(bytes), is_found, "{name}");
    }
}

#[test]
fn every_request_line_of_the_corpus_is_routed_or_refused_at_any_length() {
    let lines = files(&corpus(ROUTER)).into_iter();
    let lines = lines.map(|file| fs::read(file).unwrap());
    let cuts = lines.flat_map(|line| (0..=line.len()).map(move |end| line[..end].to_vec()));

    let found = cuts.filter(|line| route_any(line));

    assert!(found.count() >= REQUEST_LINES.len());
}

#[test]
fn every_stored_value_of_the_corpus_is_decoded_or_refused_at_any_length() {
    for file in files(&corpus(STORED)) {
        let bytes = fs::read(&file).unwrap();

        // A value that is cut off is none: nothing of it may be taken for the whole. A list of the search index may
        // end anywhere.
        let kind = usize::from(bytes.first().copied().unwrap_or_default());
        let is_list = KINDS
            .get(kind)
            .is_none_or(|(kind, _)| *kind == "search_terms");
        let cut = (0..bytes.len()).filter(|end| decode_any(&bytes[..*end]));
        assert!(
            !decode_any(&bytes) || is_list || cut.count() == 0,
            "{}",
            file.display()
        );
    }
}

#[test]
fn every_file_of_a_corpus_is_decoded_or_refused() {
    for (target, kind, _) in TARGETS {
        let files = files(&corpus(target));
        let decoded = files
            .iter()
            .filter(|file| replay(kind, &fs::read(file).unwrap()));

        assert!(decoded.count() > 1, "no seeds for {target} that decode");
    }
}

#[test]
fn every_vector_survives_being_cut_off() {
    for (_, kind, folders) in TARGETS {
        let folders = folders.iter().map(|folder| vectors().join(folder));
        for file in folders
            .filter(|folder| folder.exists())
            .flat_map(|folder| files(&folder))
        {
            let decoded = replay(kind, &fs::read(&file).unwrap());

            // The one summary info among the payloads.
            let misplaced = file.ends_with("TranslationReceived.plist");
            assert!(decoded != misplaced, "{}", file.display());
        }
    }
}

proptest! {
    #[test]
    fn damaged_seeds_are_decoded_or_refused(
        target in 0..TARGETS.len(),
        seed in any::<Index>(),
        damage in damage(),
    ) {
        let (target, kind, _) = TARGETS[target];
        let files = files(&corpus(target));
        let mut bytes = fs::read(&files[seed.index(files.len())]).unwrap();
        damage.apply(&mut bytes);

        let shown = inspect(kind, &bytes);

        // Whatever it holds, it is shown in the form of its kind.
        prop_assert!(shown.is_err() || shown.is_ok_and(|shown| shown.is_object()));
    }

    #[test]
    fn damaged_request_lines_are_routed_or_refused(
        seed in 0..REQUEST_LINES.len(),
        damage in proptest::collection::vec((any::<Index>(), b' '..b'\x7f'), 1..6),
    ) {
        let mut bytes = REQUEST_LINES[seed].1.to_vec();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }

        // What is found keeps the router's promises: `route_any` checks them.
        route_any(&bytes);
    }

    #[test]
    fn damaged_stored_values_are_decoded_or_refused(
        seed in any::<Index>(),
        damage in proptest::collection::vec((any::<Index>(), any::<u8>()), 1..4),
    ) {
        let (_, mut bytes) = seed.get(&stored_values()).clone();
        for (at, byte) in damage {
            // The number of the type stays.
            let at = 1 + at.index(bytes.len() - 1);
            bytes[at] = byte;
        }

        // What is decoded reads as it was written: `decode_any` compares.
        decode_any(&bytes);
    }
}
