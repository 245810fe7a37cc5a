//! Real blobs with known contents. They are not ours to distribute, so they lie beside the repository; without them this
//! test says so and passes, except where `CI` is set.
//!
//! Guards against decoders that agree only with our own encoders.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test stops at the first surprise and may say what it did not do"
)]

use std::fs;
use std::path::PathBuf;

use footbridge::codec::typedstream;
use footbridge::decode::inspect::BlobKind;
use footbridge::decode::inspect::InspectError;
use footbridge::decode::inspect::inspect;
use footbridge::decode::inspect::inspect_groups;
use serde_json::Value;
use serde_json::json;

/// The one that lies in another folder than its kind's.
const TRANSLATION: &str = "app_message/TranslationReceived.plist";

/// The folder of the vectors, if it is there.
fn vectors() -> Option<PathBuf> {
    let shared = std::env::var_os("FOOTBRIDGE_SHARED").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"),
        PathBuf::from,
    );
    let folder = shared.join("vectors/chatdb");
    if folder.join("manifest.json").exists() {
        return Some(folder);
    }
    let ci = std::env::var_os("CI").is_some();
    assert!(!ci, "no vectors in {}", folder.display());
    eprintln!("skipped: no vectors in {}", folder.display());
    None
}

/// What we say a blob holds.
fn shown(file: &str, bytes: &[u8]) -> Result<Value, InspectError> {
    let (folder, _) = file.split_once('/').unwrap();
    let kind = match folder {
        _ if file == TRANSLATION => BlobKind::SummaryInfo,
        "typedstream" => BlobKind::Typedstream,
        "typedstream-foundation" => {
            return Ok(inspect_groups(&typedstream::decode(bytes)?));
        }
        "edited_message" => BlobKind::SummaryInfo,
        "chat_properties" => BlobKind::ChatProperties,
        "url_message"
        | "app_message"
        | "app_store"
        | "collaboration_message"
        | "music_message"
        | "shared_placemark"
        | "digital_touch_message"
        | "handwritten_message"
        | "stickers" => BlobKind::Payload,
        other => panic!("vectors of an unknown folder: {other}"),
    };
    inspect(kind, bytes)
}

/// What the manifest says, without its remarks to people.
fn expected(file: &str, mut expect: Value) -> Value {
    let entries = expect.as_object_mut().unwrap();
    entries.remove("note");
    entries.remove("renders");
    if file == TRANSLATION {
        entries.insert("parts".to_owned(), json!([]));
    }
    expect
}

/// The first place where two values differ. Numbers are compared by value, as JSON readers round.
fn difference(path: &str, ours: &Value, theirs: &Value) -> Option<String> {
    match (ours, theirs) {
        (Value::Object(a), Value::Object(b)) => {
            let keys = a.keys().chain(b.keys());
            let null = Value::Null;
            let mut found = keys.filter_map(|key| {
                if a.contains_key(key) != b.contains_key(key) {
                    return Some(format!("{path}/{key}: only one side has it"));
                }
                let (a, b) = (a.get(key).unwrap_or(&null), b.get(key).unwrap_or(&null));
                difference(&format!("{path}/{key}"), a, b)
            });
            found.next()
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let mut found = a.iter().zip(b).enumerate();
            found.find_map(|(at, (a, b))| difference(&format!("{path}/{at}"), a, b))
        }
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            ((a - b).abs() > a.abs() * 1e-15).then(|| format!("{path}: {a} is not {b}"))
        }
        (a, b) => (a != b).then(|| format!("{path}: {a} is not {b}")),
    }
}

#[test]
fn every_vector_decodes_to_what_its_manifest_says() {
    let Some(folder) = vectors() else { return };
    let manifest = fs::read(folder.join("manifest.json")).unwrap();
    let manifest: Vec<Value> = serde_json::from_slice(&manifest).unwrap();
    let mut checked = 0;
    let mut wrong = Vec::new();

    for entry in manifest {
        let file = entry["file"].as_str().unwrap();
        if file.starts_with("db/") {
            continue;
        }
        let bytes = fs::read(folder.join(file)).unwrap();
        let expect = expected(file, entry["expect"].clone());
        match shown(file, &bytes) {
            Ok(shown) => {
                wrong.extend(difference("", &shown, &expect).map(|what| format!("{file}{what}")));
            }
            Err(error) => wrong.push(format!("{file}: {error:?}")),
        }
        checked += 1;
    }

    assert_eq!(wrong, [""; 0]);
    assert_eq!(checked, 92);
}
