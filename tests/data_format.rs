//! The bytes on disk are those that `data-format.md` describes, and they stay what they were.
//!
//! Guards against files that an older version wrote and a newer one misreads: encoded values have no field names, so a
//! field that moved or a variant in another place decodes into wrong values without an error.
//!
//! `FOOTBRIDGE_WRITE_GOLDEN=1 cargo test --test data_format` writes the golden bytes of types that are new.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use footbridge::base::time::SystemClock;
use footbridge::model::message::Flag;
use footbridge::model::record::AttachmentColumn;
use footbridge::model::record::ChatColumn;
use footbridge::model::record::Column;
use footbridge::model::record::MessageColumn;
use footbridge::store::Absent;
use footbridge::store::Store;
use footbridge::store::TABLE_NAMES;
use redb::ReadableDatabase;
use redb::TableHandle;
use serde_json::json;

use crate::support::document::Document;
use crate::support::document::hex;
use crate::support::samples::samples;
use crate::support::stored::KINDS;

/// Bytes of a sample on one line of a golden file.
const LINE: usize = 48;

/// `Head.hex` for version 1, `Head-2.hex` for version 2.
fn golden_file(kind: &str, version: u8) -> PathBuf {
    let suffix = match version {
        1 => String::new(),
        later => format!("-{later}"),
    };
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/format/{kind}{suffix}.hex"))
}

/// The samples of a golden file: a name at the beginning of a line, its bytes on indented lines below.
fn read_golden(kind: &str, version: u8) -> BTreeMap<String, Vec<u8>> {
    let text = fs::read_to_string(golden_file(kind, version)).unwrap_or_default();
    let mut golden: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut name = String::new();
    for line in text.lines() {
        if let Some(digits) = line.strip_prefix("  ") {
            golden.get_mut(&name).unwrap().extend(bytes(digits));
        } else {
            line.clone_into(&mut name);
            golden.insert(name.clone(), Vec::new());
        }
    }
    golden
}

fn bytes(digits: &str) -> Vec<u8> {
    let digits: Vec<char> = digits.chars().collect();
    let pairs = digits.chunks(2).map(String::from_iter);
    pairs
        .map(|pair| u8::from_str_radix(&pair, 16).unwrap())
        .collect()
}

fn source(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

#[test]
fn the_documented_tables_are_those_of_the_code_and_of_a_new_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new.redb");

    drop(Store::open(&path, Absent::Create, Arc::new(SystemClock)).unwrap());

    let document = Document::read();
    let documented: Vec<&str> = document.tables().iter().map(|(name, _)| *name).collect();
    assert_eq!(documented, TABLE_NAMES);
    let file = redb::Database::open(&path).unwrap();
    let tables = file.begin_read().unwrap();
    let real: BTreeSet<String> = tables
        .list_tables()
        .unwrap()
        .map(|table| table.name().to_owned())
        .collect();
    assert_eq!(real, TABLE_NAMES.iter().map(ToString::to_string).collect());
    assert_eq!(tables.list_multimap_tables().unwrap().count(), 0);
}

#[test]
fn the_documented_keys_are_those_of_the_code() {
    let definitions = source("src/store/tables.rs");
    let mut keys = BTreeMap::from([("search_terms", "(u32, &str)"), ("search_blocks", "u32")]);
    let words: Vec<&str> = definitions.split_whitespace().collect();
    let cleaned = words.join(" ").replace("'static ", "");
    let cleaned = cleaned.replace("( ", "(").replace(", )", ")");
    for line in cleaned.split("pub(super) const ").skip(1) {
        let Some((_, name)) = line.split_once("TableDefinition::new(\"") else {
            continue;
        };
        let (_, key) = line.split_once('<').unwrap();
        let (key, _) = key.split_once("> =").unwrap();
        keys.insert(name.split('"').next().unwrap(), key);
    }

    let document = Document::read();
    let documented = document.tables().into_iter().map(|(name, body)| {
        let key = body
            .trim_start()
            .strip_prefix("Key `")
            .unwrap_or_else(|| panic!("the section of {name} does not begin with its key"));
        (name, key.split('`').next().unwrap())
    });

    assert_eq!(documented.collect::<BTreeMap<_, _>>(), keys);
}

#[test]
fn the_documented_columns_and_flags_are_those_of_the_code() {
    let document = Document::read();

    assert_eq!(document.numbered("### `message`"), MessageColumn::NAMES);
    assert_eq!(
        document.numbered("### `attachment`"),
        AttachmentColumn::NAMES
    );
    assert_eq!(document.numbered("### `chat`"), ChatColumn::NAMES);
    let flags: Vec<&str> = Flag::ALL.iter().map(|flag| flag.name()).collect();
    assert_eq!(document.numbered("### Flags"), flags);
}

#[test]
fn every_stored_type_has_samples_and_a_section() {
    let mut declared = BTreeSet::new();
    for file in [
        "account",
        "attachment",
        "cloud",
        "conversation",
        "ids",
        "ledger",
        "media",
        "message",
        "record",
    ] {
        let text = source(&format!("src/store/value/{file}.rs"));
        let types = text.split("\nstored!(").skip(1);
        declared.extend(types.map(|rest| rest.split(',').next().unwrap().to_owned()));
    }

    let sampled: BTreeSet<String> = samples().iter().map(|s| s.kind.to_owned()).collect();
    assert_eq!(sampled, declared);
    let fuzzed = KINDS.iter().map(|(kind, _)| (*kind).to_owned());
    let fuzzed: BTreeSet<String> = fuzzed.filter(|kind| !kind.starts_with("search_")).collect();
    assert_eq!(fuzzed, declared);
    let documented: BTreeSet<String> = Document::read().versions.into_keys().collect();
    assert_eq!(documented, declared);
}

#[test]
fn values_have_the_bytes_that_they_always_had() {
    let mut kinds: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for sample in samples() {
        kinds.entry(sample.kind).or_default().push(sample);
    }

    for (kind, samples) in kinds {
        let version = samples[0].bytes[0];
        let file = golden_file(kind, version);
        if std::env::var_os("FOOTBRIDGE_WRITE_GOLDEN").is_some() && !file.exists() {
            let mut text = String::new();
            for sample in &samples {
                writeln!(text, "{}", sample.name).unwrap();
                for line in sample.bytes.chunks(LINE) {
                    writeln!(text, "  {}", hex(line)).unwrap();
                }
            }
            fs::write(file, text).unwrap();
        }
        let mut golden = read_golden(kind, version);
        for sample in &samples {
            let published = golden.remove(&sample.name).unwrap_or_default();
            assert_eq!(
                hex(&sample.bytes),
                hex(&published),
                "{kind}, {}: its bytes have changed, and files that are out there have the old ones. Raise the version \
                 of {kind}, keep the reader of the old one, and describe both in data-format.md",
                sample.name
            );
            assert!(
                sample.is_value_of(&published),
                "{kind}, {}: published bytes decode to something else",
                sample.name
            );
        }
        let left: Vec<String> = golden.into_keys().collect();
        assert_eq!(left, Vec::<String>::new(), "{kind}: published, not sampled");
        for older in 1..version {
            let golden = read_golden(kind, older);
            assert!(!golden.is_empty(), "{kind}: no bytes of version {older}");
            for (name, published) in golden {
                let sample = samples.iter().find(|sample| sample.name == name).unwrap();
                assert!(
                    sample.is_value_of(&published),
                    "{kind}, {name}: bytes of version {older} decode to something else"
                );
            }
        }
    }
}

#[test]
fn a_reader_made_of_the_document_reads_every_value() {
    let document = Document::read();
    let mut met = BTreeSet::new();

    for sample in samples() {
        let mut decoder = document.decoder(&sample.bytes);

        assert_eq!(decoder.byte(), document.versions[sample.kind]);
        decoder.value(sample.kind);
        let left = decoder.bytes.len();
        assert_eq!(
            left, 0,
            "{}, {}: {left} bytes too many",
            sample.kind, sample.name
        );
        met.extend(decoder.variants);
    }

    let never: Vec<_> = document.variants().difference(&met).cloned().collect();
    let null = ("Value".to_owned(), "Null".to_owned());
    assert_eq!(never, [null], "documented, in no sample");
}

#[test]
fn a_reader_made_of_the_document_reads_what_was_written() {
    let document = Document::read();
    let samples = samples();
    let read = |kind: &str| {
        let mut found = samples
            .iter()
            .filter(|sample| (sample.kind, sample.name.as_str()) == (kind, "rich"));
        document
            .decoder(&found.next().unwrap().bytes[1..])
            .value(kind)
    };

    assert_eq!(
        read("StoredAttachment"),
        json!({
            "message": 300,
            "attachment": {
                "guid": "at_0_1A2B3C4D-0001-4002-8003-ABCDEF012345",
                "original_guid": "1A2B3C4D-0001-4002-8003-ABCDEF012347",
                "part": 300,
                "role": {"Preview": {}},
                "name": "IMG_0001.HEIC",
                "mime": "image/heic",
                "uti": "public.heic",
                "size_bytes": 1_u64 << 40,
                "path": "~/Library/Messages/Attachments/00/IMG_0001.HEIC",
                "live_photo": true,
                "transcription": "hello",
                "sticker": {"effect": "comic", "source": "com.example.stickers", "description": "a fox"},
                "state": {"Held": {"sha256": "ab".repeat(32), "modified": 4}},
            },
        })
    );
    let record = read("StoredRecord");
    assert_eq!(
        record["record"]["row"],
        json!({
            "columns": {
                "0": {"Text": {"": "1A2B3C4D-0001-4002-8003-ABCDEF012345"}},
                "2": {"Integer": {"": 0}},
                "3": {"Blob": {"": "00ff"}},
                "6": {"Integer": {"": 743_907_180_874_287_000_i64}},
                "9": {"Integer": {"": 0}},
                "10": {"Integer": {"": 0}},
                "11": {"Real": {"": 1.5}},
            },
            "others": [
                ["new_column", {"Integer": {"": -126}}],
                ["another", {"Text": {"": "a"}}],
            ],
        })
    );
    let message = read("StoredMessage");
    assert_eq!(message["last_change"], json!(u64::MAX));
    assert_eq!(
        message["message"]["times"],
        json!({
            "sent": 743_907_180_874_287_000_i64,
            "delivered": 1,
            "read": -1,
            "played": i64::MAX,
            "edited": i64::MIN,
            "deleted": 300,
        })
    );
}

#[test]
fn the_documented_examples_of_the_encoding_are_right() {
    let document = Document::read();
    let examples = document.examples();

    assert_eq!(examples.len(), 12);
    for (kind, value, bytes) in examples {
        let mut decoder = document.decoder(&bytes);
        let read = decoder.value(kind).to_string();
        let read = read.trim_matches(['[', ']']).replace(',', ", ");

        assert_eq!((read.as_str(), decoder.bytes.len()), (value, 0), "{kind}");
    }
}
