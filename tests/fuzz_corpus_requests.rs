//! Replays the corpus of the fuzz target `requests` without a fuzzer, whole, cut off and damaged: whatever comes over
//! HTTP gets an answer in Matrix's form, and none is the answer to a panic.
//!
//! A seed is a file to be read: a request, one for each thing that can be asked. What each is answered is a snapshot.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

#[path = "support/requests.rs"]
mod requests;

use std::fmt::Write;
use std::fs;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::Index;

use crate::requests::answer_any;

/// The corpus by its names.
fn corpus() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/requests");
    let files = fs::read_dir(folder).unwrap().map(Result::unwrap);
    let mut requests: Vec<_> = files
        .map(|file| {
            let name = file.file_name().into_string().unwrap();
            (name, fs::read(file.path()).unwrap())
        })
        .collect();
    requests.sort();
    requests
}

#[test]
fn every_request_of_the_corpus_is_answered_as_before() {
    let mut answers = String::new();
    for (name, bytes) in corpus() {
        let answered = answer_any(&bytes).unwrap();
        let (status, code) = (answered.status, answered.code);
        writeln!(answers, "{status} {name} {code}").unwrap();
    }

    insta::assert_snapshot!(answers);
}

#[test]
fn every_request_of_the_corpus_is_answered_or_refused_at_any_length() {
    let requests = corpus().into_iter();
    let cuts = requests.flat_map(|(_, bytes)| {
        let step = (bytes.len() / 8).max(1);
        (0..bytes.len())
            .step_by(step)
            .map(move |end| bytes[..end].to_vec())
    });

    // What is answered has the form of an answer: `answer_any` looks.
    let answered = cuts.filter_map(|bytes| answer_any(&bytes));

    assert!(answered.count() > 100);
}

proptest! {
    #[test]
    fn damaged_requests_are_answered_or_refused(
        seed in any::<Index>(),
        damage in proptest::collection::vec((any::<Index>(), any::<u8>()), 1..6),
        insert in proptest::option::of((any::<Index>(), "[ -~]{1,9}")),
    ) {
        let (_, mut bytes) = seed.get(&corpus()).clone();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some((at, more)) = insert {
            let at = at.index(bytes.len());
            bytes.splice(at..at, more.into_bytes());
        }

        answer_any(&bytes);
    }
}
