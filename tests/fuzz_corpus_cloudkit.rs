//! Replays the corpus of CloudKit's fuzz targets without a fuzzer, whole, cut off and damaged, and keeps the seeds among
//! the files equal to the vectors and to what our encoders write.
//!
//! `FOOTBRIDGE_WRITE_SEEDS=1 cargo test --test fuzz_corpus_cloudkit` writes the seeds.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

#[path = "support/damage.rs"]
mod damage;
#[path = "support/cloudkit.rs"]
mod support;

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use footbridge::apple::envelope::seal;
use footbridge::apple::key::SymmetricKey;
use footbridge::codec::cloudkit::deflate;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::damage::damage;
use crate::support::TARGETS;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn corpus(target: &str) -> PathBuf {
    root().join("fuzz/corpus").join(target)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// Vectors of a folder whose names end so, by their names.
fn vectors(folder: &str, ending: &str) -> Vec<(String, Vec<u8>)> {
    let files = files(&root().join("tests/data/cloudkit").join(folder)).into_iter();
    files
        .filter(|file| file.to_str().unwrap().ends_with(ending))
        .map(|file| {
            let name = file.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read(file).unwrap())
        })
        .collect()
}

fn named(seeds: Vec<(&str, Vec<u8>)>) -> Vec<(String, Vec<u8>)> {
    let seeds = seeds.into_iter();
    seeds
        .map(|(name, bytes)| (name.to_owned(), bytes))
        .collect()
}

/// A field of a protocol buffer that has a length.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u8::try_from(bytes.len()).unwrap();
    [&[number * 8 + 2, length], bytes].concat()
}

fn parts() -> Vec<(&'static str, Vec<u8>)> {
    let text = field(3, b"Hello");
    let dirty = [&[0x10, 7][..], &text].concat();
    vec![
        ("text", text.clone()),
        ("subject", [field(2, b"Re"), text].concat()),
        ("field-2-varint", dirty),
        ("group", b"\x1b\x20\x05\x1b\x1c\x1c\x22\x01a".to_vec()),
        (
            "reply",
            field(2, b"r:0:0:5:1A2B3C4D-0001-4002-8003-ABCDEF012345"),
        ),
    ]
}

fn envelopes() -> Vec<(&'static str, Vec<u8>)> {
    let of = |key: u8, text: &[u8]| {
        let key = SymmetricKey::new([key; 16]);
        seal(&key, text, &["zone-record-field"], &[7; 12])
    };
    vec![
        ("text", of(1, b"Hello")),
        ("empty", of(1, b"")),
        ("other-key", of(2, b"Hello")),
    ]
}

fn metadata() -> Vec<(&'static str, Vec<u8>)> {
    let list = |entries: &[(&str, plist::Value)]| {
        let entries = entries.iter();
        let entries = entries.map(|(key, value)| ((*key).to_owned(), value.clone()));
        let mut bytes = Vec::new();
        plist::Value::Dictionary(entries.collect())
            .to_writer_binary(&mut bytes)
            .unwrap();
        deflate(&bytes)
    };
    let guid = ("aguid", "at_0_1A2B3C4D-0001-4002-8003-ABCDEF012345".into());
    let name = ("tn", "photo.heic".into());
    vec![
        ("photo", list(&[guid.clone(), name, ("tb", (-1).into())])),
        (
            "mixed-types",
            list(&[guid, ("is", "1".into()), ("t", 7.into())]),
        ),
        ("no-guid", list(&[])),
        ("text", deflate(&field(3, b"Hello"))),
    ]
}

fn key_blobs() -> Vec<(&'static str, Vec<u8>)> {
    let key = [field(1, &[4; 33]), field(2, &[0, 16, 0, 0])].concat();
    let grouped = [field(1, &[0, 16, 0, 0]), field(2, &field(1, &[4; 33]))].concat();
    vec![
        (
            "single",
            field(1, &[field(1, &key), field(1, &key)].concat()),
        ),
        ("grouped", field(2, &field(2, &grouped))),
        ("sealed", [&[4][..], &[9; 60]].concat()),
    ]
}

/// The seeds of every target, in the order of [`TARGETS`].
fn seeds() -> [Vec<(String, Vec<u8>)>; 7] {
    let mut bodies = vectors("errors", ".bin");
    bodies.extend(vectors("zones", ".bin"));
    bodies.extend(vectors("recoverable", ".bin"));
    bodies.extend(vectors("messages", "summary-query.bin"));
    bodies.extend(vectors("messages", "page-empty.bin"));
    [
        bodies,
        named(parts()),
        vectors("zones", ".der"),
        named(envelopes()),
        named(metadata()),
        vectors("assets", ".authorizeGet.bin"),
        named(key_blobs()),
    ]
}

#[test]
fn seeds_are_the_vectors_and_what_our_encoders_write() {
    for ((target, _), seeds) in TARGETS.into_iter().zip(seeds()) {
        for (name, bytes) in seeds {
            let file = corpus(target).join(name);
            if std::env::var_os("FOOTBRIDGE_WRITE_SEEDS").is_some() {
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(&file, &bytes).unwrap();
            }
            let held = fs::read(&file).unwrap();
            assert!(held == bytes, "{} has changed", file.display());
        }
    }
}

#[test]
fn every_file_of_a_corpus_is_decoded_or_refused_at_any_length() {
    for (target, decode) in TARGETS {
        let mut decoded = 0;
        for file in files(&corpus(target)) {
            let bytes = fs::read(file).unwrap();
            for end in (0..bytes.len()).step_by((bytes.len() / 64).max(1)) {
                decode(&bytes[..end]);
            }
            decoded += usize::from(decode(&bytes));
        }

        assert!(decoded > 1, "no seeds for {target} that decode");
    }
}

proptest! {
    #[test]
    fn damaged_seeds_are_decoded_or_refused(
        target in 0..TARGETS.len(),
        seed in any::<Index>(),
        damage in damage(),
    ) {
        let (target, decode) = TARGETS[target];
        let files = files(&corpus(target));
        let mut bytes = fs::read(&files[seed.index(files.len())]).unwrap();
        damage.apply(&mut bytes);

        // Twice the same: nothing is kept from one to the next.
        prop_assert_eq!(decode(&bytes), decode(&bytes));
    }
}
