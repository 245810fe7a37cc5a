//! The vectors of another implementation, served over HTTP by token and synced by the program: every record that they
//! describe is in the export, with all that it says, or in quarantine with the reason.
//!
//! Guards against what is lost between a decoder that is right and the archive. Every member of the expected JSON is
//! compared; one that nobody knows fails the test.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::io::Cursor;
use std::sync::Arc;

use footbridge::base::ids::RecordName;
use footbridge::base::time::AppleTime;
use footbridge::base::time::FixedClock;
use footbridge::codec::cloudkit::Inflater;
use footbridge::codec::typedstream::decode_attributed;
use footbridge::demo::Call;
use footbridge::demo::Faults;
use footbridge::model::record::CloudRecord;
use footbridge::model::record::CloudValue;
use footbridge::model::record::CloudZone;
use footbridge::store::Absent;
use footbridge::store::Store;
use footbridge::store::value::Became;
use footbridge::store::value::StoredCloudRecord;
use serde_json::Value;
use serde_json::json;

use crate::support::cloud_account::vector_json;
use crate::support::home::Home;
use crate::support::icloud::ICloud;
use crate::support::replay::Replay;

const OWN: &str = "tel:+15550100001";

/// Milliseconds from 1970 to 2001.
const EPOCH_MS: i64 = 978_307_200_000;

fn import(cloud: &ICloud<Replay>, home: &Home, without: &[&str]) {
    let session = cloud.account.session(without);
    fs::write(home.path().join("session.json"), session).unwrap();
    let imported = cloud.output(home, &["cloudkit", "import", "session.json"]);
    assert!(imported.status.success(), "{imported:?}");
}

fn sync(cloud: &ICloud<Replay>, home: &Home) {
    let synced = cloud.output(home, &["cloudkit", "sync"]);
    assert!(synced.status.success(), "{synced:?}");
    let verified = home.output(&["verify"]);
    assert!(verified.status.success(), "{verified:?}");
}

/// What the quarantine holds, and why, by GUID or by the record's name.
fn quarantine(home: &Home) -> BTreeMap<String, String> {
    let listed = home.output(&["quarantine", "list", "--json"]);
    let text = String::from_utf8(listed.stdout).unwrap();
    let held = text.lines().map(|line| {
        let held: Value = serde_json::from_str(line).unwrap();
        let reasons = held["reasons"].as_array().unwrap().iter();
        let reasons: Vec<&str> = reasons.map(|reason| reason.as_str().unwrap()).collect();
        assert!(!reasons.is_empty(), "{held}");
        (
            held["guid"].as_str().unwrap().to_owned(),
            reasons.join("; "),
        )
    });
    held.collect()
}

/// What the vectors say of a zone: the last word about every record, with the number of words.
fn expected(files: &[&str]) -> (BTreeMap<String, Value>, usize) {
    let mut last = BTreeMap::new();
    let mut count = 0;
    for file in files {
        let entries = vector_json(&format!("{file}.expected.json"));
        for entry in entries.as_array().unwrap() {
            count += 1;
            let name = entry["recordName"].as_str().unwrap().to_owned();
            // Of what was deleted, what it was is worth a look too.
            let before: Option<Value> = last.insert(name.clone(), entry.clone());
            if let Some(before) = before {
                last.get_mut(&name).unwrap()["before"] = before;
            }
        }
    }
    (last, count)
}

const MESSAGES: [&str; 5] = [
    "messages/page-1",
    "messages/page-2",
    "messages/page-3",
    "messages/page-4",
    "messages/page-5",
];

fn folded(id: &str) -> String {
    id.replace('-', "").to_lowercase()
}

fn with_scheme(address: &str) -> String {
    let bare = address
        .trim_start_matches("tel:")
        .trim_start_matches("mailto:");
    match bare {
        _ if bare.starts_with("urn:") => bare.to_owned(),
        _ if bare.contains('@') => format!("mailto:{}", bare.to_lowercase()),
        _ if bare.starts_with('+') => format!("tel:{bare}"),
        _ => bare.to_owned(),
    }
}

/// Where a chat's messages belong (ID-5, ID-7).
fn key_of(chat: &Value) -> String {
    let members = chat["ptcpts"].as_array().unwrap().iter();
    let mut members: Vec<String> = members
        .map(|member| with_scheme(member.as_str().unwrap()))
        .filter(|member| member != OWN)
        .collect();
    members.sort();
    let gid = chat["gid"].as_str().unwrap_or_default().to_lowercase();
    match (chat["stl"].as_i64().unwrap(), chat["svc"].as_str().unwrap()) {
        (43, "iMessage") => format!("gid:{gid}"),
        (43, _) => format!("mms:{}", members.join(",")),
        _ if members.len() == 1 => format!("dm:{}", members[0]),
        _ if chat["lah"].is_string() => format!("dm:{OWN}"),
        // It names nobody but by its own name.
        _ => format!("dm:{}", chat["cid"].as_str().unwrap()),
    }
}

/// Names of chats, and where they lead.
fn names() -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for chat in vector_json("chats/page-1.expected.json")
        .as_array()
        .unwrap()
    {
        let fields = &chat["fields"];
        if !fields.is_object() {
            continue;
        }
        let key = key_of(fields);
        // The group id of a chat with one person says nothing (DS-2).
        let is_group = fields["stl"] == 43;
        let ids = if is_group {
            &["cid", "guid", "gid", "ogid"][..]
        } else {
            &["cid", "guid"]
        };
        let ids = ids.iter().filter_map(|field| fields[field].as_str());
        for id in ids
            .chain(chat["recordName"].as_str())
            .filter(|id| !id.is_empty())
        {
            names.insert(folded(id), key.clone());
        }
    }
    names
}

/// Where a message belongs (ID-8); `None` for one that is parked.
fn home_of(fields: &Value, names: &BTreeMap<String, String>) -> Option<String> {
    let id = fields["chatID"].as_str().unwrap();
    let parts: Vec<&str> = id.split(';').collect();
    let last = *parts.last().unwrap();
    if let Some(key) = names.get(&folded(id)).or_else(|| names.get(&folded(last))) {
        return Some(key.clone());
    }
    let is_from_me = fields["isFromMe"] == true;
    let is_direct = parts.get(1) == Some(&"-") || last.starts_with('+') || last.contains('@');
    match (is_direct || id.is_empty(), is_from_me) {
        (true, false) => Some(format!("dm:{}", with_scheme(fields["sender"].as_str()?))),
        (true, true) if !id.is_empty() => Some(format!("dm:{}", with_scheme(last))),
        _ => None,
    }
}

fn unhex(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks(2);
    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    pairs.map(byte).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut digits, byte| {
        write!(digits, "{byte:02x}").unwrap();
        digits
    })
}

/// A text as people see it (MS-13).
fn shown(text: &str) -> Option<String> {
    let text = text.replace('\u{fffc}', "");
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// A time as the export has it.
fn time(nanos: &Value) -> Value {
    nanos.as_i64().map_or(Value::Null, |nanos| {
        AppleTime::from_nanos(nanos).to_string().into()
    })
}

/// The texts of each edited part, and the parts that were taken back, out of a message's summary (MS-36).
fn history(digits: &str) -> (BTreeMap<String, Vec<String>>, Vec<i64>) {
    let summary = read_plist(&unhex(digits));
    let mut edits = BTreeMap::new();
    for (part, versions) in summary
        .get("ec")
        .and_then(plist::Value::as_dictionary)
        .into_iter()
        .flatten()
    {
        let versions = versions.as_array().unwrap().iter().map(|version| {
            let body = version.as_dictionary().unwrap().get("t").unwrap();
            decode_attributed(body.as_data().unwrap()).unwrap().text
        });
        edits.insert(part.clone(), versions.collect());
    }
    let unsent = summary.get("rp").and_then(plist::Value::as_array);
    let unsent = unsent.into_iter().flatten();
    let unsent = unsent.map(|part| part.as_signed_integer().unwrap());
    (edits, unsent.collect())
}

const TAPBACKS: [&str; 8] = [
    "love",
    "like",
    "dislike",
    "laugh",
    "emphasize",
    "question",
    "emoji",
    "sticker",
];

/// `p:1/GUID`, `bp:GUID` or a GUID: the target and its part (MS-25).
fn target(written: &str) -> Value {
    let (place, guid) = written.rsplit_once(['/', ':']).unwrap_or(("", written));
    let part: u64 = place
        .strip_prefix("p:")
        .map_or(0, |part| part.parse().unwrap());
    json!({"guid": guid.to_uppercase(), "part": part})
}

/// What the export must say where the vectors have a member: the path in the line, and the value.
#[expect(clippy::too_many_lines, reason = "a table")]
fn said(
    name: &str,
    value: &Value,
    fields: &Value,
    (names, line): (&BTreeMap<String, String>, &Value),
) -> Vec<(&'static str, Value)> {
    let text = value.as_str().unwrap_or_default();
    let kind = fields["associatedMessageType"].as_i64().unwrap_or_default();
    let is_tapback = (2_000..4_000).contains(&kind);
    let some = |value: Option<String>| value.map_or(Value::Null, Value::from);
    match name {
        "guid" => vec![("/guid", text.to_uppercase().into())],
        "isFromMe" => vec![("/from_me", value.clone())],
        "sender" => {
            let sender = (!text.is_empty()).then(|| with_scheme(text));
            vec![("/sender", some(sender))]
        }
        "chatID" => {
            let home = home_of(fields, names);
            // A reason for each that has no home.
            let parked = if home.is_some() {
                Value::Null
            } else {
                line["parked"].clone()
            };
            assert_eq!(parked.is_null(), home.is_some(), "{line}");
            vec![("/conversation", some(home)), ("/parked", parked)]
        }
        "dcId" => vec![("/own_handle", with_scheme(text).into())],
        "svc" => vec![("/service", value.clone())],
        // One that cannot be right is looked at for itself.
        "timeNs" if fields.get("utm").is_some() => Vec::new(),
        "timeNs" => vec![("/sent", time(value)), ("/time_guessed", Value::Null)],
        "unixMs" => {
            let nanos = fields["timeNs"].as_i64().unwrap();
            assert_eq!(EPOCH_MS + nanos / 1_000_000, value.as_i64().unwrap());
            Vec::new()
        }
        // What is announced is said by the announcement, unless nobody knows what it is.
        "text" | "attributedBody"
            if line["kind"] == "announcement"
                && line["announcement"]["kind"] != "other"
                && fields["msgType"] != 2 =>
        {
            vec![("/text", Value::Null)]
        }
        "text" if fields["msgType"] == 2 => vec![("/announcement/title", value.clone())],
        "attributedBody" if fields["msgType"] == 2 => Vec::new(),
        "text" | "attributedBody" => {
            let body = fields["attributedBody"]["text"].as_str();
            let whole = body.or(fields["text"].as_str()).filter(|_| !is_tapback);
            let seen = whole.and_then(shown);
            let differs = whole.filter(|whole| seen.as_deref().unwrap_or_default() != *whole);
            vec![
                ("/text", some(seen.clone())),
                ("/body", some(differs.map(str::to_owned))),
            ]
        }
        "attributedBodyHex" => {
            let decoded = value
                .is_string()
                .then(|| decode_attributed(&unhex(text)).unwrap().text);
            assert_eq!(
                decoded.as_deref(),
                fields["attributedBody"]["text"].as_str()
            );
            Vec::new()
        }
        "subject" => vec![("/subject", value.clone())],
        "effect" => vec![("/effect", value.clone())],
        "balloonBundleId" | "payloadData" => {
            // The payloads of the vectors are random bytes: that it cannot be read is said.
            let is_said = line["unreadable"]
                .as_str()
                .is_some_and(|why| why.starts_with("payload_data"));
            assert_eq!(is_said, fields["payloadData"].is_string(), "{line}");
            Vec::new()
        }
        "dateRead" => vec![("/read", time(value))],
        "dateDelivered" => vec![("/delivered", time(value))],
        "eCode" => {
            let error = value.as_i64().filter(|error| *error != 0);
            vec![("/error", json!(error))]
        }
        "flags" => {
            let bits = value.as_u64().unwrap();
            assert_eq!(bits & 1, 1);
            let mut flags = Vec::new();
            flags.extend((bits & 1 << 14 != 0).then_some("system"));
            flags.extend((bits & 1 << 17 != 0).then_some("service"));
            flags.extend(line["unsent_parts"].is_array().then_some("unsent"));
            let flags = if flags.is_empty() {
                Value::Null
            } else {
                json!(flags)
            };
            vec![("/flags", flags)]
        }
        "msgType" => {
            let kind = match value.as_i64().unwrap() {
                0 if is_tapback => "tapback",
                0 => "message",
                _ => "announcement",
            };
            vec![("/kind", kind.into())]
        }
        "associatedMessageType" | "associatedMessageGuid" | "associatedEmoji" => {
            let Some(written) = fields["associatedMessageGuid"].as_str() else {
                return vec![("/tapback", Value::Null), ("/about", Value::Null)];
            };
            if !is_tapback {
                return vec![("/about", target(written)), ("/tapback", Value::Null)];
            }
            let action = if kind < 3_000 { "add" } else { "remove" };
            let what = TAPBACKS[usize::try_from(kind % 1_000).unwrap()];
            vec![
                ("/tapback/action", action.into()),
                ("/tapback/kind", what.into()),
                ("/tapback/emoji", fields["associatedEmoji"].clone()),
                ("/tapback/target", target(written)),
                ("/about", Value::Null),
            ]
        }
        "reply" => {
            let reply = value.as_str().map_or(Value::Null, |reply| {
                let (place, guid) = reply.rsplit_once(':').unwrap();
                let part: u64 = place.split(':').nth(1).unwrap().parse().unwrap();
                json!({"guid": guid.to_uppercase(), "part": part})
            });
            vec![("/reply_to", reply)]
        }
        "attachmentGuids" => {
            let held = line["attachments"].as_array().into_iter().flatten();
            let held: Vec<&Value> = held.map(|file| &file["guid"]).collect();
            assert_eq!(json!(held), *value, "{line}");
            Vec::new()
        }
        "messageSummaryInfoHex" => {
            let (edits, unsent) = value.as_str().map(history).unwrap_or_default();
            let held = line["edits"].as_array().into_iter().flatten().map(|edit| {
                let versions = edit["versions"].as_array().unwrap().iter();
                let texts = versions.map(|version| version["text"].as_str().unwrap().to_owned());
                (edit["part"].to_string(), texts.collect())
            });
            assert_eq!(
                held.collect::<BTreeMap<String, Vec<String>>>(),
                edits,
                "{line}"
            );
            let unsent = if unsent.is_empty() {
                Value::Null
            } else {
                json!(unsent)
            };
            vec![("/unsent_parts", unsent)]
        }
        "utm" => Vec::new(),
        other => panic!("nobody compares {other}"),
    }
}

/// What is held of a record.
fn record(home: &Home, zone: CloudZone, name: &str) -> StoredCloudRecord {
    let clock = Arc::new(FixedClock(AppleTime::default()));
    let store = Store::open(&home.archive(), Absent::Refuse, clock).unwrap();
    let name = RecordName::parse(name).unwrap();
    let held = store.snapshot().unwrap().cloud_record_named(zone, &name);
    held.unwrap().unwrap().1
}

/// An archive of the vectors, and what it says.
struct Archived {
    home: Home,
    lines: Vec<Value>,
    quarantine: BTreeMap<String, String>,
}

impl Archived {
    fn of(home: Home) -> Self {
        Self {
            lines: home.exported(),
            quarantine: quarantine(&home),
            home,
        }
    }

    fn line(&self, member: &str, is: &str) -> &Value {
        let mut lines = self.lines.iter().filter(|line| line[member] == is);
        let line = lines.next().unwrap_or_else(|| panic!("{is} is not there"));
        assert!(lines.next().is_none(), "{is} is there twice");
        line
    }

    fn held(&self, zone: CloudZone, name: &str) -> StoredCloudRecord {
        record(&self.home, zone, name)
    }
}

#[test]
fn every_record_of_the_vectors_is_in_the_export_with_all_that_it_says() {
    let (home, cloud) = (Home::new(), ICloud::of(Replay::new(), Faults::none()));
    import(&cloud, &home, &[]);
    sync(&cloud, &home);
    cloud.stop();

    let archived = Archived::of(home);
    let wrong = [
        wrong_messages(&archived),
        wrong_deleted(&archived),
        wrong_chats(&archived),
        wrong_files(&archived),
    ];
    let wrong = wrong.concat();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn wrong_messages(archived: &Archived) -> Vec<String> {
    let names = names();
    let (entries, count) = expected(&MESSAGES);
    assert_eq!((entries.len(), count), (226, 227));
    let mut wrong = Vec::new();
    for (name, entry) in &entries {
        let (fields, case) = (&entry["fields"], &entry["case"]);
        let reason = archived.quarantine.get(name);
        match entry["outcome"].as_str().unwrap() {
            outcome @ ("ok" | "badField") => {
                let guid = fields["guid"].as_str().unwrap_or(name).to_uppercase();
                let line = archived.line("guid", &guid);
                for (field, value) in fields.as_object().unwrap() {
                    for (path, wanted) in said(field, value, fields, (&names, line)) {
                        let found = line.pointer(path).cloned().unwrap_or_default();
                        if found != wanted {
                            wrong.push(format!("{case} {name}: {path} is {found}, not {wanted}"));
                        }
                    }
                }
                if outcome == "badField" {
                    let why = archived.quarantine.get(&guid);
                    wrong.extend(
                        why.is_none()
                            .then(|| format!("{case} {name}: not in quarantine")),
                    );
                }
                if case == "odd-time" {
                    wrong.extend(wrong_time(archived, name, line, fields));
                }
            }
            "missingKey" => {
                let key = entry["pcsKey"].as_str().unwrap();
                let is_named = reason.is_some_and(|why| why.contains(key));
                wrong.extend((!is_named).then(|| format!("{name}: {key} is not in {reason:?}")));
            }
            "foreignType" => {
                let kind = entry["type"].as_str().unwrap();
                let is_named = reason.is_some_and(|why| why.contains(kind));
                wrong.extend((!is_named).then(|| format!("{name}: {kind} is not in {reason:?}")));
            }
            "tombstone" => {
                assert!(archived.held(CloudZone::Messages, name).deleted.is_some());
                if let Some(guid) = entry["before"]["fields"]["guid"].as_str() {
                    let line = archived.line("guid", &guid.to_uppercase());
                    assert!(line["deleted"].is_string(), "{line}");
                }
            }
            other => panic!("{other}"),
        }
    }
    wrong
}

/// A time that cannot be right: seconds are read as such, one in a far future is kept, and where there is none the message
/// stands where its record was changed, or behind the one before (D6, MS-5).
fn wrong_time(archived: &Archived, name: &str, line: &Value, fields: &Value) -> Option<String> {
    let record = archived.held(CloudZone::Messages, name).record;
    let (sent, is_guessed) = match fields["timeNs"].as_i64().unwrap() {
        seconds @ 1..1_000_000_000_000 => {
            (Some(AppleTime::from_nanos(seconds * 1_000_000_000)), false)
        }
        ..=0 => (record.modified.or(record.created), true),
        nanos => (Some(AppleTime::from_nanos(nanos)), false),
    };
    let sent = sent.map_or(line["sent"].clone(), |sent| sent.to_string().into());
    let found = (&line["sent"], line["time_guessed"] == true);
    (found != (&sent, is_guessed)).then(|| format!("{name}: {found:?}, not {sent} {is_guessed}"))
}

fn wrong_deleted(archived: &Archived) -> Vec<String> {
    let (entries, count) = expected(&["recoverable/page-1"]);
    assert_eq!(count, 8);
    let (there, _) = expected(&MESSAGES);
    let mut wrong = Vec::new();
    for entry in entries.values() {
        let guid = entry["fields"]["guid"].as_str().unwrap().to_uppercase();
        let line = archived.line("guid", &guid);
        wrong.extend(
            line["deleted"]
                .is_null()
                .then(|| format!("{guid} is not deleted")),
        );
        // What is in the zone of messages says what it is.
        let kept = there.values().any(|entry| {
            let other = entry["fields"]["guid"].as_str().unwrap_or_default();
            other.eq_ignore_ascii_case(&guid)
        });
        let is_right = kept || line["text"] == entry["fields"]["text"];
        wrong.extend((!is_right).then(|| format!("{guid} says {}", line["text"])));
    }
    wrong
}

/// A value of a record in clear, as the vectors write it.
fn plain(record: &CloudRecord, field: &str) -> Value {
    match record.get(field) {
        Some(CloudValue::Text(text)) => text.as_str().into(),
        Some(CloudValue::Integer(number)) => (*number).into(),
        Some(CloudValue::List(values)) => {
            values.iter().map(|value| json!(value.as_text())).collect()
        }
        _ => Value::Null,
    }
}

fn read_plist(bytes: &[u8]) -> plist::Dictionary {
    let value = plist::Value::from_reader(Cursor::new(bytes)).unwrap();
    value.into_dictionary().unwrap()
}

/// A member of a property list, as the vectors write it.
fn member(list: &plist::Dictionary, name: &str) -> Value {
    match list.get(name) {
        Some(plist::Value::String(text)) => text.as_str().into(),
        Some(plist::Value::Integer(number)) => json!(number.as_signed()),
        Some(plist::Value::Boolean(is)) => (*is).into(),
        Some(plist::Value::Array(values)) => values
            .iter()
            .map(|value| json!(value.as_string()))
            .collect(),
        _ => Value::Null,
    }
}

fn bytes<'r>(record: &'r CloudRecord, field: &str) -> &'r [u8] {
    match record.get(field) {
        Some(CloudValue::Bytes(bytes)) => bytes,
        other => panic!("{field}: {other:?}"),
    }
}

fn wrong_chats(archived: &Archived) -> Vec<String> {
    let mut wrong = Vec::new();
    let entries = vector_json("chats/page-1.expected.json");
    let mut newest = BTreeMap::new();
    for entry in entries.as_array().unwrap() {
        let name = entry["recordName"].as_str().unwrap();
        let held = archived.held(CloudZone::Chats, name);
        match entry["outcome"].as_str().unwrap() {
            "tombstone" => assert!(held.deleted.is_some(), "{name}"),
            "missingKey" => {
                let key = entry["pcsKey"].as_str().unwrap();
                assert!(archived.quarantine[name].contains(key), "{name}");
            }
            "ok" => {
                for (field, value) in entry["fields"].as_object().unwrap() {
                    let found = said_of_chat(&held.record, field, value);
                    if found != *value {
                        wrong.push(format!("{name}: {field} is {found}, not {value}"));
                    }
                }
                newest.insert(key_of(&entry["fields"]), &entry["fields"]);
            }
            other => panic!("{other}"),
        }
    }
    for (name, key) in names() {
        let aliases = archived.line("key", &key)["aliases"].to_string();
        let is_known = folded(&aliases).contains(&name) || archived.quarantine.contains_key(&name);
        let is_record = entries
            .as_array()
            .unwrap()
            .iter()
            .any(|it| it["recordName"] == name);
        wrong.extend((!is_known && !is_record).then(|| format!("{name} does not lead to {key}")));
    }
    for (key, fields) in newest {
        let line = archived.line("key", &key);
        let members = fields["ptcpts"].as_array().unwrap().iter();
        let mut members: Vec<String> = members
            .map(|it| with_scheme(it.as_str().unwrap()))
            .collect();
        members.sort();
        let mut found: Vec<&str> = line["participants"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_str)
            .collect();
        found.sort_unstable();
        let name = fields["name"].as_str().filter(|name| !name.is_empty());
        let kind = if fields["stl"] == 43 { "group" } else { "dm" };
        // Who is in a chat that names nobody is not in its record.
        let is_right = (members.is_empty() || found == members)
            && line["name"].as_str() == name
            && line["kind"] == kind
            && line["junk"] == (fields["filt"] != 0);
        wrong.extend((!is_right).then(|| format!("{fields} is {line}")));
    }
    wrong
}

/// A member of the vectors' chat, out of what is held.
fn said_of_chat(record: &CloudRecord, field: &str, value: &Value) -> Value {
    match field {
        _ if value.is_null() => record
            .get(field)
            .map_or(Value::Null, |_| plain(record, field)),
        "cid" | "gid" | "ogid" | "svc" | "lah" | "name" | "gpid" | "guid" | "stl" | "filt"
        | "sqry" | "ste" | "rwm" => plain(record, field),
        "dids" => match plain(record, field) {
            Value::Null => json!([]),
            list => list,
        },
        "ptcpts" => {
            let Some(CloudValue::List(values)) = record.get(field) else {
                return json!([]);
            };
            let person = |value: &CloudValue| match value {
                CloudValue::Bytes(bytes) => member(&read_plist(bytes), "FZPersonID"),
                other => panic!("{other:?}"),
            };
            values.iter().map(person).collect()
        }
        "prop" => {
            let list = read_plist(bytes(record, "prop"));
            let names = value.as_object().unwrap().keys();
            let found = names.map(|name| {
                let found = member(&list, name);
                let is_list = value[name].is_array() && found.is_null();
                (name.clone(), if is_list { json!([]) } else { found })
            });
            Value::Object(found.collect())
        }
        "prop001_st" => member(&read_plist(bytes(record, "prop001")), "st"),
        "proto001_unk1" => {
            let plain = Inflater::default()
                .inflate(bytes(record, "proto001"), 100)
                .unwrap();
            let [16, number] = *plain else {
                panic!("{plain:?}")
            };
            number.into()
        }
        other => panic!("nobody compares {other}"),
    }
}

fn wrong_files(archived: &Archived) -> Vec<String> {
    let mut wrong = Vec::new();
    let entries = vector_json("attachments/page-1.expected.json");
    let named = archived
        .lines
        .iter()
        .filter_map(|line| line["attachments"].as_array());
    let named: BTreeMap<&str, &Value> = named
        .flatten()
        .map(|file| (file["guid"].as_str().unwrap(), file))
        .collect();
    assert_eq!(named.len(), 7);
    for entry in entries.as_array().unwrap() {
        let name = entry["recordName"].as_str().unwrap();
        let held = archived.held(CloudZone::Attachments, name);
        if entry["outcome"] == "tombstone" {
            assert!(held.deleted.is_some(), "{name}");
            continue;
        }
        assert!(matches!(held.became, Became::Attachment(_)), "{name}");
        let inflated = Inflater::default()
            .inflate(bytes(&held.record, "cm"), 100_000)
            .unwrap();
        let list = read_plist(&inflated);
        let fields = &entry["fields"];
        let cm = &fields["cm"];
        for (field, value) in cm.as_object().unwrap() {
            let found = match (
                field.as_str(),
                list.get("ui").and_then(plist::Value::as_dictionary),
            ) {
                // A number or a text.
                ("ui_file_size", Some(ui)) => match member(ui, "file-size") {
                    Value::Number(number) => number.to_string().into(),
                    text => text,
                },
                _ => member(&list, field),
            };
            wrong.extend(
                (found != *value).then(|| format!("{name}: {field} is {found}, not {value}")),
            );
        }
        for field in ["lqa", "avid"] {
            let found = held.record.asset(field).map(|asset| {
                json!({
                    "bundledRequestId": asset.request_id,
                    "key": asset.key.as_ref().map(|key| hex(key.expose())),
                    "referenceSignature": hex(&asset.reference_signature),
                    "signature": hex(&asset.signature),
                    "size": asset.size,
                })
            });
            for (member, value) in fields[field].as_object().into_iter().flatten() {
                let found = &found.as_ref().unwrap()[member];
                wrong.extend(
                    (found != value)
                        .then(|| format!("{name}: {field} {member} is {found}, not {value}")),
                );
            }
        }
        let key = held
            .record
            .asset("lqa")
            .and_then(|asset| asset.key.as_ref());
        if let Some(wanted) = fields["lqaKey"].as_str() {
            assert_eq!(
                key.map(|key| hex(key.expose())).as_deref(),
                Some(wanted),
                "{name}"
            );
        }
        for field in fields.as_object().unwrap().keys() {
            assert!(
                ["cm", "lqa", "avid", "lqaKey"].contains(&field.as_str()),
                "nobody compares {field}"
            );
        }
        let Some(file) = named.get(cm["aguid"].as_str().unwrap()) else {
            continue;
        };
        let file_name = cm["tn"]
            .as_str()
            .or(cm["fn"].as_str().and_then(|path| path.rsplit('/').next()));
        let wanted = json!([file_name, cm["mimet"], cm["t"], fields["lqa"]["size"]]);
        let found = json!([file["name"], file["mime"], file["uti"], file["size_bytes"]]);
        wrong.extend((found != wanted).then(|| format!("{name}: {found}, not {wanted}: {file}")));
    }
    wrong
}

#[test]
fn keys_that_come_later_open_everything_without_a_download() {
    let (quiet, late) = (Home::new(), Home::new());
    let cloud = ICloud::of(Replay::new(), Faults::none());
    import(&cloud, &quiet, &[]);
    sync(&cloud, &quiet);
    // Every item contains the empty text.
    import(&cloud, &late, &[""]);
    sync(&cloud, &late);
    let before = Archived::of(late);
    cloud.loopback.take_requests();

    import(&cloud, &before.home, &[]);
    sync(&cloud, &before.home);

    let asked = cloud.loopback.take_requests();
    let messages = |lines: &[Value]| {
        lines
            .iter()
            .filter(|line| line["type"] == "message")
            .count()
    };
    assert_eq!(messages(&before.lines), 0);
    assert!(before.quarantine.len() > 200, "{}", before.quarantine.len());
    // One page of each zone, behind which there is nothing, and the keys of the zones.
    assert!(asked[&Call::Changes] <= 4, "{asked:?}");
    assert_eq!(asked.get(&Call::Record), None);
    assert_eq!(asked.get(&Call::Container), None);
    let (mut quiet, mut late) = (Archived::of(quiet), Archived::of(before.home));
    let sorted = |archived: &Archived| {
        let mut lines: Vec<String> = archived.lines.iter().map(ToString::to_string).collect();
        lines.sort();
        lines
    };
    // A message from the future stands where it was seen first; a deletion has the time of its detection.
    for line in quiet.lines.iter_mut().chain(&mut late.lines) {
        let fields = line.as_object_mut().unwrap();
        fields.remove("last");
        if fields.contains_key("deleted") {
            fields.insert("deleted".to_owned(), true.into());
        }
    }
    assert_eq!(late.quarantine, quiet.quarantine);
    let (found, wanted) = (sorted(&late), sorted(&quiet));
    assert_eq!(found.iter().zip(&wanted).find(|(a, b)| a != b), None);
    assert_eq!(found.len(), wanted.len());
    cloud.stop();
}
