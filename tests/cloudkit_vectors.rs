//! CloudKit bytes with known contents, made by another implementation (`tests/data/cloudkit/README.md`): every page, zone,
//! asset and error body gives what is written beside it. The primitives are tested where they are, in `src/apple/tests`.
//!
//! Guards against encoders and decoders of ours that agree with each other only.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use footbridge::apple::asset::Assembler;
use footbridge::apple::asset::AssetError;
use footbridge::apple::asset::AssetKey;
use footbridge::apple::asset::AssetKeys;
use footbridge::apple::asset::FileHash;
use footbridge::apple::asset::Signed;
use footbridge::apple::identity::Identity;
use footbridge::apple::identity::SignatureState;
use footbridge::apple::key::PrivateKey;
use footbridge::apple::protection;
use footbridge::apple::protection::ProtectionError;
use footbridge::apple::session::Keychain;
use footbridge::apple::session::KeychainItem;
use footbridge::apple::session::Session;
use footbridge::apple::zone::RecordError;
use footbridge::apple::zone::ZoneKeys;
use footbridge::base::secret::Secret;
use footbridge::codec::cloudkit::Failure;
use footbridge::codec::cloudkit::Inflater;
use footbridge::codec::cloudkit::Record;
use footbridge::codec::cloudkit::RecordChange;
use footbridge::codec::cloudkit::ResponseOperation;
use footbridge::codec::cloudkit::decode_requests;
use footbridge::codec::cloudkit::decode_responses;
use footbridge::codec::cloudkit::reaction;
use footbridge::codec::mmcs::AuthorizeGet;
use footbridge::codec::mmcs::PlanError;
use footbridge::codec::typedstream::decode_attributed;
use footbridge::decode::chatdb::Directory;
use footbridge::decode::cloudkit;
use footbridge::decode::cloudkit::Decoder;
use footbridge::demo::Account;
use footbridge::demo::Body;
use footbridge::demo::Cloud;
use footbridge::demo::Dirt;
use footbridge::demo::Dirtiness;
use footbridge::demo::Items;
use footbridge::demo::MessageDraft;
use footbridge::demo::ZoneKind;
use footbridge::model::change::CloudAttachment;
use footbridge::model::change::CloudChange;
use footbridge::model::change::CloudChat;
use footbridge::model::change::CloudMessage;
use footbridge::model::message::Kind;
use footbridge::model::record::ChatColumn;
use footbridge::model::record::CloudValue;
use footbridge::model::record::MessageColumn;
use serde_json::Value;
use serde_json::json;

fn path(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/cloudkit")
        .join(file)
}

fn read(file: &str) -> Bytes {
    fs::read(path(file)).unwrap().into()
}

fn read_json(file: &str) -> Value {
    serde_json::from_slice(&read(file)).unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut digits, byte| {
        write!(digits, "{byte:02x}").unwrap();
        digits
    })
}

fn unhex(value: &Value) -> Vec<u8> {
    let digits = text(value).as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// The manifest's entries of one kind.
fn entries(kind: &str) -> Vec<Value> {
    let manifest = read_json("manifest.json");
    let entries = manifest["files"].as_array().unwrap().iter();
    entries
        .filter(|entry| entry["kind"] == kind)
        .cloned()
        .collect()
}

fn keychain() -> Keychain {
    let items: Vec<KeychainItem> =
        serde_json::from_value(read_json("keys.json")["items"].clone()).unwrap();
    Keychain::read(&items)
}

/// The keys of the four zones, as the server's answer has them.
fn zones() -> BTreeMap<String, ZoneKeys> {
    let keychain = keychain();
    let mut found = BTreeMap::new();
    for answer in decode_responses(&read("zones/zone-retrieve.response.bin")).unwrap() {
        for summary in answer.zone_retrieve.unwrap_or_default().zones {
            let keys = ZoneKeys::open(&summary.zone.unwrap(), keychain.keys()).unwrap();
            found.insert(keys.zone().to_owned(), keys);
        }
    }
    found
}

/// What became of a record.
enum Outcome {
    Opened(Box<CloudChange>),
    MissingKey(String),
}

fn open(zones: &BTreeMap<String, ZoneKeys>, decoder: &mut Decoder, mut record: Record) -> Outcome {
    let zone = record.identifier.as_ref().unwrap().zone.as_ref().unwrap();
    let keys = &zones[zone.name().unwrap()];
    match keys.open_record(&mut record) {
        Ok(sealed) => {
            let record = cloudkit::record(record, &sealed);
            Outcome::Opened(Box::new(decoder.decode(record)))
        }
        Err(RecordError::MissingKey { id }) => Outcome::MissingKey(id),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn identities_of_both_forms_are_read_and_their_signatures_looked_at() {
    let keys = read_json("keys.json");
    let keychain = keychain();
    let items = keys["items"].as_array().unwrap().iter();
    let expected: Vec<&Value> = items.filter(|item| !item["decoded"].is_null()).collect();

    let found = keychain.signatures().map(|(identity, state)| {
        assert_eq!(state, SignatureState::Good);
        hex(identity.key().public().x())
    });

    assert!(keychain.unreadable.is_empty());
    assert!(
        found
            .zip(&expected)
            .all(|(x, item)| x == item["decoded"]["publicX"])
    );
    assert_eq!(keychain.identities().len(), expected.len());
    let boundary = keychain.boundary().unwrap();
    assert_eq!(hex(boundary.expose()), keys["boundaryKey"]);

    let second = Identity::decode(&unhex(&keys["v2KeyExample"]["v_Data"])).unwrap();
    let x = |key: &PrivateKey| hex(key.public().x());
    assert_eq!(x(second.key()), keys["v2KeyExample"]["publicX"]);
    assert_eq!(
        x(second.signing_key()),
        keys["v2KeyExample"]["signingPublicX"]
    );
    assert_eq!(second.service(), Some(55));
}

#[test]
fn zones_open_to_the_keys_that_are_written_down() {
    let keychain = keychain();
    let zones = zones();

    for expected in read_json("zones/expected.json").as_array().unwrap() {
        let zone = text(&expected["zone"]);
        let der = |name: &str| read(&format!("zones/{zone}.{name}.der"));
        let own = protection::open(&der("protectionInfo"), keychain.keys()).unwrap();
        let records = protection::open(&der("recordProtectionInfo"), &own.private).unwrap();

        assert_eq!(hex(own.recipient.x()), expected["decryptedBy"]);
        assert_eq!(own.roll_count, expected["zoneRollCount"]);
        assert_eq!(records.roll_count, expected["recordRollCount"]);
        assert_eq!((own.foreign_signer, records.foreign_signer), (None, None));
        assert_eq!(
            hex(own.symmetric.keys()[0].bytes()),
            expected["zoneMasterKey"]
        );
        let x: Vec<Value> = own
            .private
            .iter()
            .map(|key| hex(key.public().x()).into())
            .collect();
        let written = expected["zoneKeys"].as_array().unwrap().iter();
        assert_eq!(
            x,
            written
                .map(|key| key["publicX"].clone())
                .collect::<Vec<_>>()
        );
        let found: Vec<Value> = records
            .symmetric
            .keys()
            .iter()
            .map(|key| {
                json!({"key": hex(key.bytes()), "keyId": hex(key.id()), "pcsKeyOnRecord": hex(&key.id()[..4])})
            })
            .collect();
        assert_eq!(Value::from(found), expected["recordKeys"], "{zone}");
        if let Some(keys) = zones.get(zone) {
            let ids = |ring: &footbridge::apple::envelope::KeyRing| {
                ring.keys().iter().map(|key| *key.id()).collect::<Vec<_>>()
            };
            assert_eq!(ids(keys.records()), ids(&records.symmetric));
        }
    }
    assert_eq!(zones.len(), 4);
}

#[test]
fn other_protections_end_as_the_manifest_says() {
    let keychain = keychain();
    let mut unknown = 0;

    for entry in entries("protectionInfo") {
        let opened = protection::open(&read(text(&entry["file"])), keychain.keys());
        if entry["expect"] == "identity-not-in-keychain" {
            assert_eq!(opened.unwrap_err(), ProtectionError::NotForUs);
            unknown += 1;
            continue;
        }
        let opened = opened.unwrap();
        if entry["expectZoneKey"].is_string() {
            let key = PrivateKey::from_scalar(&unhex(&entry["expectZoneKey"])).unwrap();
            assert_eq!(opened.private[0].public(), key.public());
            assert!(opened.foreign_signer.is_some());
        }
    }
    assert_eq!(unknown, 1);
}

/// Every page of the manifest with its expected changes.
fn pages() -> Vec<(Value, Vec<RecordChange>)> {
    let mut pages = Vec::new();
    for entry in entries("http-response-body") {
        if entry["changes"].is_null() {
            continue;
        }
        let [answer] = <[ResponseOperation; 1]>::try_from(
            decode_responses(&read(text(&entry["file"]))).unwrap(),
        )
        .unwrap();
        assert_eq!(answer.id(), text(&entry["operations"][0]["uuid"]));
        assert_eq!(reaction(answer.result.as_ref()), None);
        let page = answer.retrieve_changes.unwrap();
        assert_eq!(i64::from(page.status.unwrap()), entry["status"]);
        assert_eq!(hex(&page.token.unwrap()), entry["responseToken"]);
        let changes: Vec<RecordChange> = page
            .changes
            .into_iter()
            .map(|change| RecordChange::read(change).unwrap())
            .collect();
        assert_eq!(changes.len(), entry["changes"]);
        pages.push((entry, changes));
    }
    pages
}

#[test]
fn every_record_of_every_page_has_the_outcome_that_is_written_down() {
    let zones = zones();
    let mut decoder = Decoder::new(Directory::default());
    let mut wrong = Vec::new();
    let mut outcomes: BTreeMap<String, usize> = BTreeMap::new();

    for (entry, changes) in pages() {
        let Some(file) = entry["expected"].as_str() else {
            assert!(changes.is_empty());
            continue;
        };
        let expected = read_json(file);
        let expected = expected.as_array().unwrap();
        assert_eq!(changes.len(), expected.len());
        for (change, expected) in changes.into_iter().zip(expected) {
            *outcomes
                .entry(text(&expected["outcome"]).to_owned())
                .or_default() += 1;
            let name = change.name().map(str::to_owned).unwrap();
            assert_eq!(name, expected["recordName"], "{file}");
            let found = match change.record {
                None => vec![("outcome".to_owned(), json!("tombstone"))],
                Some(record) => shown(open(&zones, &mut decoder, record), expected),
            };
            for (field, value) in found {
                let wanted = expected.get(&field).unwrap_or(&expected["fields"][&field]);
                if value != *wanted {
                    wrong.push(format!("{file} {name} {field}: {value} is not {wanted}"));
                }
            }
        }
    }

    assert_eq!(wrong, [""; 0]);
    let expected = [
        ("badField", 9),
        ("foreignType", 2),
        ("missingKey", 7),
        ("ok", 227),
        ("tombstone", 22),
    ];
    let expected = expected.map(|(outcome, count)| (outcome.to_owned(), count));
    assert_eq!(outcomes, BTreeMap::from(expected));
}

type Shown = Vec<(String, Value)>;

/// What we say of a record, under the names that the expected JSON uses.
fn shown(outcome: Outcome, expected: &Value) -> Shown {
    let change = match outcome {
        Outcome::Opened(change) => change,
        Outcome::MissingKey(id) => {
            return vec![
                ("outcome".to_owned(), json!("missingKey")),
                ("pcsKey".to_owned(), json!(id)),
            ];
        }
    };
    let (fields, unreadable) = match *change {
        CloudChange::Foreign(record) => {
            return vec![
                ("outcome".to_owned(), json!("foreignType")),
                ("type".to_owned(), json!(record.kind)),
            ];
        }
        CloudChange::Message(message) => {
            (shown_message(&message), message.change.message.unreadable)
        }
        CloudChange::Chat(chat) => (shown_chat(&chat), chat.unreadable),
        CloudChange::Attachment(attachment) => {
            (shown_attachment(&attachment), attachment.unreadable)
        }
    };
    // The payloads of the vectors are random, so that what is in them is no archive.
    let bad = unreadable
        .iter()
        .find(|reason| !reason.starts_with("payload_data"));
    let outcome = if bad.is_some() { "badField" } else { "ok" };
    if let (Some(reason), Some(case)) = (bad, expected["case"].as_str())
        && case.starts_with("msgProto")
    {
        assert!(reason.starts_with("msgProto: "), "{reason}");
    }
    let asked = |(name, _): &(String, Value)| expected["fields"].get(name).is_some();
    let fields = fields.into_iter().filter(asked);
    [("outcome".to_owned(), json!(outcome))]
        .into_iter()
        .chain(fields)
        .collect()
}

fn shown_message(found: &CloudMessage) -> Shown {
    let message = &found.change.message;
    let row = &found.change.record.row;
    let text_of = |column| json!(row.text(column));
    let number = |column| json!(row.integer(column));
    let some_number = |column| match row.integer(column) {
        0 => Value::Null,
        number => json!(number),
    };
    let blob = |column| json!(row.blob(column).map(hex));
    let body = row.blob(MessageColumn::AttributedBody).map(|bytes| {
        let body = decode_attributed(bytes).unwrap();
        let ranges: Vec<Value> = body
            .runs
            .iter()
            .map(|run| {
                let keys = body.attributes(*run).unwrap().0.iter();
                let mut keys: Vec<&String> = keys.map(|(key, _)| key).collect();
                keys.sort();
                json!({"utf16len": run.length, "keys": keys})
            })
            .collect();
        json!({"text": body.text, "ranges": ranges})
    });
    let reply = row.text(MessageColumn::ThreadOriginatorGuid).map(|guid| {
        let place = row.text(MessageColumn::ThreadOriginatorPart).unwrap();
        format!("r:{place}:{guid}")
    });
    let files: Vec<&str> = message
        .attachments
        .iter()
        .map(|attachment| attachment.guid.as_str())
        .collect();
    let flags = row.extra.iter().find(|(name, _)| name == "flags");
    let flags = flags.map_or(0, |(_, value)| value.integer());
    let kind = row.integer(MessageColumn::AssociatedMessageType);
    assert_eq!(
        matches!(message.kind, Kind::Tapback(_)),
        (2_000..4_000).contains(&kind)
    );
    let guid = row.text(MessageColumn::Guid).unwrap();
    let shown = [
        ("guid", json!(guid)),
        ("timeNs", number(MessageColumn::Date)),
        ("flags", json!(flags)),
        ("isFromMe", json!(row.integer(MessageColumn::IsFromMe) != 0)),
        ("text", text_of(MessageColumn::Text)),
        ("subject", text_of(MessageColumn::Subject)),
        ("reply", json!(reply)),
        (
            "associatedMessageType",
            some_number(MessageColumn::AssociatedMessageType),
        ),
        (
            "associatedMessageGuid",
            text_of(MessageColumn::AssociatedMessageGuid),
        ),
        (
            "associatedEmoji",
            text_of(MessageColumn::AssociatedMessageEmoji),
        ),
        ("attributedBody", json!(body)),
        ("attributedBodyHex", blob(MessageColumn::AttributedBody)),
        (
            "messageSummaryInfoHex",
            blob(MessageColumn::MessageSummaryInfo),
        ),
        ("payloadData", blob(MessageColumn::PayloadData)),
        ("balloonBundleId", text_of(MessageColumn::BalloonBundleId)),
        ("dateRead", some_number(MessageColumn::DateRead)),
        ("dateDelivered", some_number(MessageColumn::DateDelivered)),
        ("attachmentGuids", json!(files)),
        ("effect", text_of(MessageColumn::ExpressiveSendStyleId)),
        (
            "chatID",
            json!(row.text(MessageColumn::CkChatId).unwrap_or_default()),
        ),
        ("svc", text_of(MessageColumn::Service)),
        (
            "sender",
            json!(found.change.record.handle.as_deref().unwrap_or_default()),
        ),
        ("dcId", text_of(MessageColumn::DestinationCallerId)),
        ("eCode", number(MessageColumn::Error)),
        ("msgType", number(MessageColumn::ItemType)),
    ];
    shown.map(|(name, value)| (name.to_owned(), value)).into()
}

fn shown_chat(found: &CloudChat) -> Shown {
    let record = &found.record;
    let text_of = |field: &str| json!(record.get(field).and_then(CloudValue::as_text));
    let number = |field: &str| json!(record.get(field).and_then(CloudValue::as_integer));
    let mut shown: Shown = ["cid", "gid", "ogid", "svc", "lah", "name", "gpid", "guid"]
        .map(|field| (field.to_owned(), text_of(field)))
        .into();
    shown.extend(
        ["stl", "filt", "sqry", "ste", "rwm"].map(|field| (field.to_owned(), number(field))),
    );
    let devices = record.get("dids").and_then(CloudValue::as_list);
    let devices = devices.unwrap_or_default().iter();
    let devices: Vec<Value> = devices.map(|device| json!(device.as_text())).collect();
    shown.push(("dids".to_owned(), devices.into()));
    let row = &found.chat.row;
    let name = row.text(ChatColumn::DisplayName).unwrap_or_default();
    assert_eq!(name, text_of("name").as_str().unwrap_or_default());
    let members = &found.chat.members;
    // A chat that names nobody is with the handle that it was addressed to.
    let listed = record.get("ptcpts").and_then(CloudValue::as_list);
    let made_up = listed.is_none_or(<[CloudValue]>::is_empty);
    let members = if made_up { &[][..] } else { members };
    shown.push(("ptcpts".to_owned(), json!(members)));
    shown
}

fn shown_attachment(found: &CloudAttachment) -> Shown {
    let attachment = found.attachment.as_ref().unwrap();
    let asset = |field: &str| {
        found.record.asset(field).map(|asset| {
            let key = asset.key.as_ref().map(|key| hex(key.expose()));
            json!({
                "bundledRequestId": asset.request_id,
                "key": key,
                "referenceSignature": hex(&asset.reference_signature),
                "signature": hex(&asset.signature),
                "size": asset.size,
            })
        })
    };
    let key = asset("lqa").map_or(Value::Null, |asset| asset["key"].clone());
    let mut shown = vec![("lqaKey".to_owned(), key)];
    // Each case names the members that it is about; `assets` has the others.
    let name = attachment.guid.as_str();
    shown.push(("aguid".to_owned(), json!(name)));
    shown
}

/// What the loopback would write of a message with these contents; `None` for those that are broken on purpose.
fn draft(expected: &Value) -> Option<MessageDraft> {
    let dirt = match expected["dirty"].as_str() {
        None => Dirt::None,
        Some("field-2-varint" | "only-field-2-varint") => Dirt::NumberForSubject,
        Some("no-msgProto") => Dirt::NoBody,
        Some("unknown-fields") => Dirt::UnknownFields,
        Some(_) => return None,
    };
    let fields = &expected["fields"];
    let some = |name: &str| fields[name].as_str().map(str::to_owned);
    let text = |name: &str| some(name).unwrap_or_default();
    let bytes = |name: &str| fields[name].is_string().then(|| unhex(&fields[name]));
    let number = |name: &str| fields[name].as_i64().unwrap_or_default();
    Some(MessageDraft {
        kind: "MessageEncryptedV3",
        chat_id: text("chatID"),
        sender: text("sender"),
        time: number("timeNs"),
        own_handle: text("dcId"),
        guid: text("guid"),
        service: text("svc"),
        flags: number("flags"),
        item_type: number("msgType"),
        error: number("eCode"),
        body: Body {
            subject: some("subject"),
            text: some("text"),
            attributed: bytes("attributedBodyHex"),
            balloon: some("balloonBundleId"),
            payload: bytes("payloadData"),
            summary: bytes("messageSummaryInfoHex"),
            effect: some("effect"),
            date_read: fields["dateRead"].as_u64(),
            date_delivered: fields["dateDelivered"].as_u64(),
            associated_type: fields["associatedMessageType"].as_u64(),
            associated_guid: some("associatedMessageGuid"),
            associated_range: None,
        },
        reply: some("reply"),
        emoji: some("associatedEmoji"),
        group_id: None,
        dirt,
    })
}

#[test]
fn what_the_loopback_encodes_says_what_the_vectors_say() {
    let account = Account::new(1, 0, Dirtiness::Clean);
    let session = Session::decode(&account.session(Items::All)).unwrap();
    let keychain = Keychain::read(&session.items);
    let zone = account.zone(ZoneKind::Message.name()).unwrap().zone;
    let keys = ZoneKeys::open(&zone.unwrap(), keychain.keys()).unwrap();
    let mut decoder = Decoder::new(Directory::default());
    let mut wrong = Vec::new();
    let mut checked = 0;

    for page in 1..=5 {
        let expected = read_json(&format!("messages/page-{page}.expected.json"));
        for expected in expected.as_array().unwrap() {
            let Some(draft) = draft(expected).filter(|_| expected["outcome"] == "ok") else {
                continue;
            };
            let name = text(&expected["recordName"]);
            let mut record = account
                .seal_message(ZoneKind::Message, name, &draft)
                .unwrap();
            let sealed = keys.open_record(&mut record).unwrap();
            assert_eq!(sealed, []);
            let change = decoder.decode(cloudkit::record(record, &sealed));
            for (field, value) in shown(Outcome::Opened(Box::new(change)), expected) {
                let wanted = expected.get(&field).unwrap_or(&expected["fields"][&field]);
                if value != *wanted {
                    wrong.push(format!("{name} {field}: {value} is not {wanted}"));
                }
            }
            checked += 1;
        }
    }

    assert_eq!(wrong, [""; 0]);
    assert!(checked > 180, "{checked}");
}

/// The tags of DER, one inside the other: everything of it but keys, numbers and signatures.
fn shape(bytes: &[u8], depth: usize, out: &mut Vec<(usize, u8)>) {
    let mut rest = bytes;
    while let [tag, first, behind @ ..] = rest {
        let (length, content) = match first {
            0x80.. => {
                let digits = usize::from(first & 0x7f);
                let length = behind[..digits].iter();
                let length = length.fold(0, |sum, digit| sum << 8 | usize::from(*digit));
                (length, &behind[digits..])
            }
            length => (usize::from(*length), behind),
        };
        let (content, next) = content.split_at(length);
        out.push((depth, *tag));
        if tag & 0x20 != 0 {
            shape(content, depth + 1, out);
        }
        rest = next;
    }
}

#[test]
fn protections_of_the_loopback_have_the_shape_of_the_vectors() {
    let account = Account::new(1, 0, Dirtiness::AsSeen);
    let shape_of = |bytes: &[u8]| {
        let mut tags = Vec::new();
        shape(bytes, 0, &mut tags);
        tags
    };
    let vector = |name: &str| shape_of(&read(&format!("zones/{name}.der")));

    for zone in ZoneKind::ALL {
        let zone = account.zone(zone.name()).unwrap().zone.unwrap();
        let own = zone.protection.unwrap().bytes.unwrap();
        let records = zone.record_protection.unwrap().bytes.unwrap();

        assert_eq!(shape_of(&own), vector("chatManateeZone.protectionInfo"));
        assert_eq!(
            shape_of(&records),
            vector("chatManateeZone.recordProtectionInfo")
        );
    }
}

#[test]
fn attachment_records_name_their_files() {
    let zones = zones();
    let mut decoder = Decoder::new(Directory::default());
    let (_, changes) = pages()
        .into_iter()
        .find(|(entry, _)| entry["file"] == "attachments/page-1.bin")
        .unwrap();
    let expected = read_json("attachments/page-1.expected.json");
    let mut checked = 0;

    for (change, expected) in changes.into_iter().zip(expected.as_array().unwrap()) {
        let Some(record) = change.record else {
            continue;
        };
        let Outcome::Opened(change) = open(&zones, &mut decoder, record) else {
            panic!("no key for an attachment");
        };
        let CloudChange::Attachment(found) = *change else {
            panic!("an attachment is something else");
        };
        let attachment = found.attachment.as_ref().unwrap();
        let written = &expected["fields"]["cm"];
        assert_eq!(attachment.guid.as_str(), text(&written["aguid"]));
        if let Some(name) = written["tn"].as_str().or(written["pathc"].as_str()) {
            assert_eq!(attachment.name.as_deref().unwrap(), name);
        }
        if let Some(mime) = written["mimet"].as_str() {
            assert_eq!(attachment.mime.as_deref(), Some(mime));
        }
        for field in ["lqa", "avid"] {
            let wanted = &expected["fields"][field];
            let Some(asset) = found.record.asset(field) else {
                assert!(wanted.is_null(), "{field}");
                continue;
            };
            // One case has a member for the key alone; `every_record_..` looks at that.
            if wanted.is_null() {
                assert_eq!(expected["case"], "other-key-record");
                continue;
            }
            let key = asset.key.as_ref().map(|key| hex(key.expose()));
            assert_eq!(json!(key), wanted["key"]);
            if let Some(size) = wanted["size"].as_u64() {
                assert_eq!(asset.size, Some(size));
                assert_eq!(hex(&asset.signature), wanted["signature"]);
            }
            if let Some(reference) = wanted["referenceSignature"].as_str() {
                assert_eq!(hex(&asset.reference_signature), reference);
                assert_eq!(json!(asset.request_id), wanted["bundledRequestId"]);
            }
        }
        let has_movie = expected["fields"]["avid"].is_object();
        assert_eq!(attachment.live_photo, has_movie);
        checked += 1;
    }
    assert_eq!(checked, 10);
}

#[test]
fn every_error_body_ends_as_the_manifest_says() {
    let mut refused = 0;
    let mut failed = 0;

    for entry in entries("http-response-body") {
        let file = text(&entry["file"]);
        if !file.starts_with("errors/") {
            continue;
        }
        let answers = decode_responses(&read(file));
        if entry["expect"].is_string() {
            answers.unwrap_err();
            refused += 1;
            continue;
        }
        let answers = answers.unwrap();
        let operation = &entry["operations"][0];
        let after = operation["retryAfter"].as_u64().map(Duration::from_secs);
        let wanted = match text(&entry["suggestedReaction"]) {
            "retry later, keep token" | "retry with own back-off, keep token" => {
                Failure::Wait { after }
            }
            "drop token, resync zone" => Failure::Reset,
            "zone does not exist" | "zone was purged by the user" => Failure::ZoneGone,
            "refresh credentials once" => Failure::Reauthenticate,
            "permanent: bug" | "permanent unless retryAfter given" => Failure::Permanent,
            other => panic!("{other}"),
        };
        assert_eq!(answers[0].id(), text(&operation["uuid"]));
        assert_eq!(reaction(answers[0].result.as_ref()), Some(wanted), "{file}");
        failed += 1;
    }
    assert_eq!((refused, failed), (4, 11));
}

#[test]
fn one_zone_of_five_is_gone() {
    let answers = decode_responses(&read("zones/zone-retrieve.response.bin")).unwrap();

    let reactions: Vec<_> = answers
        .iter()
        .map(|answer| reaction(answer.result.as_ref()))
        .collect();

    let gone = Some(Failure::ZoneGone);
    assert_eq!(reactions, [None, None, None, None, gone]);
}

#[test]
fn a_query_counts_what_the_zones_hold() {
    let answers = decode_responses(&read("messages/summary-query.bin")).unwrap();
    let rows = &answers[0].query_retrieve.as_ref().unwrap().rows;

    let record = cloudkit::record(rows[0].record.clone().unwrap(), &[]);

    let counts: BTreeMap<String, Vec<i64>> = record
        .fields
        .into_iter()
        .map(|(name, value)| {
            let numbers = value.as_list().unwrap().iter();
            (
                name,
                numbers.map(|number| number.as_integer().unwrap()).collect(),
            )
        })
        .collect();
    let entries = entries("http-response-body");
    let expected = entries
        .iter()
        .find(|entry| entry["file"] == "messages/summary-query.bin");
    assert_eq!(json!(counts), expected.unwrap()["expect"]);
}

#[test]
fn requests_of_another_client_are_read() {
    let packed = read("requests/record-sync.first.bin.gz");
    let plain = Inflater::default().inflate(&packed, 1 << 20).unwrap();

    for entry in entries("http-request-body-before-gzip") {
        let operations = decode_requests(&read(text(&entry["file"]))).unwrap();
        let expected = entry["operations"].as_array().unwrap();
        assert_eq!(operations.len(), expected.len());
        for (operation, expected) in operations.iter().zip(expected) {
            let id = operation.operation.as_ref().unwrap().id.as_deref();
            let changes = operation.retrieve_changes.as_ref();
            let zone = operation.zone_retrieve.as_ref().map(|it| it.zone.as_ref());
            let zone = zone.or(changes.map(|changes| changes.zone.as_ref()));
            assert_eq!(id, expected["uuid"].as_str());
            assert_eq!(zone.unwrap().unwrap().name(), expected["zone"].as_str());
            assert!(changes.is_none_or(|changes| changes.token.is_none()));
        }
        let has_header = operations
            .iter()
            .map(|operation| operation.header.is_some());
        assert!(has_header.eq((0..expected.len()).map(|at| at == 0)));
    }
    assert_eq!(plain, read("requests/record-sync.first.bin"));
}

/// A file of an asset case, as `assets/expected.json` describes it.
struct AssetFile {
    answer: AuthorizeGet,
    signature: Vec<u8>,
    key: Option<AssetKey>,
    plain: Bytes,
    containers: Vec<Bytes>,
}

fn asset_files() -> Vec<(String, AssetFile)> {
    let mut found = Vec::new();
    for case in read_json("assets/expected.json").as_array().unwrap() {
        let answer = AuthorizeGet::read(read(text(&case["authorizeGet"]))).unwrap();
        let containers = case["containers"].as_array().unwrap().iter();
        let containers: Vec<Bytes> = containers.map(|file| read(text(file))).collect();
        for file in case["files"].as_array().unwrap() {
            let key = file["key32"].is_string().then(|| unhex(&file["key32"]));
            found.push((
                text(&case["case"]).to_owned(),
                AssetFile {
                    answer: answer.clone(),
                    signature: unhex(&file["signature"]),
                    key: key.map(Secret::new),
                    plain: read(text(&file["plain"])),
                    containers: containers.clone(),
                },
            ));
        }
    }
    found
}

/// The keys of other assets: the one that `dedup-other-key` was uploaded under.
fn known_keys() -> AssetKeys {
    let mut keys = AssetKeys::default();
    for case in read_json("assets/expected.json").as_array().unwrap() {
        let other = &case["files"][0]["keyThatOpensTheBlob"];
        if other.is_string() {
            keys.insert(Secret::new(unhex(other)));
        }
    }
    keys
}

/// Puts a file together from its containers in this order, in pieces of this many bytes.
fn assemble(
    file: &AssetFile,
    order: &[usize],
    step: usize,
    known: &Arc<AssetKeys>,
) -> Result<Vec<u8>, AssetError> {
    let plan = file.answer.plan(&file.signature).unwrap();
    let mut assembler = Assembler::new(plan, file.key.as_ref(), known);
    let mut chunks: BTreeMap<usize, Bytes> = BTreeMap::new();
    for container in order {
        for bytes in file.containers[*container].chunks(step) {
            for chunk in assembler.push(*container, bytes)? {
                assert!(chunks.insert(chunk.index, chunk.bytes).is_none());
            }
        }
        assembler.end(*container)?;
    }
    assert_eq!(assembler.waiting_bytes(), 0);
    assembler.finish(Some(file.plain.len().try_into().unwrap()))?;
    Ok(chunks.into_values().collect::<Vec<_>>().concat())
}

#[test]
fn files_are_put_together_from_containers_in_any_order_and_pieces_of_any_size() {
    let known = Arc::new(known_keys());
    let boundary = unhex(&read_json("keys.json")["boundaryKey"]);
    let boundary = Secret::new(<[u8; 32]>::try_from(boundary).unwrap());
    let mut checked = Vec::new();

    for (case, file) in asset_files() {
        let forwards: Vec<usize> = (0..file.containers.len()).collect();
        let backwards: Vec<usize> = forwards.iter().rev().copied().collect();
        for (order, step) in [(&forwards, 1 << 20), (&backwards, 977), (&forwards, 4_096)] {
            let plain = assemble(&file, order, step, &known);
            assert!(plain.as_ref() == Ok(&file.plain.to_vec()), "{case}");
        }
        let mut hash = FileHash::new(&file.signature);
        hash.update(&file.plain);
        assert_eq!(
            hash.finish(&file.signature, Some(&boundary)),
            Signed::Good,
            "{case}"
        );
        checked.push(case);
    }
    let cases = [
        "single",
        "multi",
        "pair",
        "pair",
        "pair-interleaved",
        "pair-interleaved",
        "v1",
        "dup",
        "grouped-keys",
        "dedup-other-key",
        "padded",
    ];
    assert_eq!(checked, cases);
}

#[test]
fn a_file_that_is_damaged_short_or_under_an_unknown_key_is_none() {
    let files = asset_files();
    let find = |wanted: &str| {
        let mut files = asset_files().into_iter();
        files.find(|(case, _)| case == wanted).unwrap().1
    };
    let mut flipped = find("single");
    flipped.containers = vec![read("assets/single.container-0.bitflip.bin")];
    let mut short = find("single");
    short.containers = vec![read("assets/single.container-0.short.bin")];
    let mut longer = find("single");
    longer.plain = vec![0; longer.plain.len() + 1].into();
    let other = find("dedup-other-key");
    let error = |file: &AssetFile| assemble(file, &[0], 1_000, &Arc::default()).unwrap_err();

    assert_eq!(error(&flipped), AssetError::Checksum);
    assert_eq!(error(&short), AssetError::Short { container: 0 });
    assert_eq!(error(&longer), AssetError::Size { got: 5_003 });
    assert_eq!(error(&other), AssetError::KeyBlob);
    let refused = AuthorizeGet::read(read("assets/error.authorizeGet.bin")).unwrap();
    assert_eq!(
        refused.plan(&files[0].1.signature),
        Err(PlanError::Refused {
            reason: "asset not found".to_owned()
        })
    );
}

#[test]
fn a_download_goes_on_where_it_broke_off() {
    let (_, file) = asset_files().into_iter().nth(1).unwrap();
    let plan = file.answer.plan(&file.signature).unwrap();
    let known = Arc::default();
    let mut first = Assembler::new(plan.clone(), file.key.as_ref(), &known);
    let order = first.containers();
    let mut chunks: BTreeMap<usize, Bytes> = BTreeMap::new();
    let take = |chunks: &mut BTreeMap<usize, Bytes>, found: Vec<_>| {
        chunks.extend(
            found
                .into_iter()
                .map(|chunk: footbridge::apple::asset::PlainChunk| (chunk.index, chunk.bytes)),
        );
    };

    // The first container whole, half of the second, then it breaks off and begins again.
    take(
        &mut chunks,
        first.push(order[0], &file.containers[order[0]]).unwrap(),
    );
    let second = &file.containers[order[1]];
    take(
        &mut chunks,
        first.push(order[1], &second[..second.len() / 3]).unwrap(),
    );
    assert_eq!(
        first.end(order[1]),
        Err(AssetError::Short {
            container: order[1]
        })
    );
    first.restart(order[1]);
    take(&mut chunks, first.push(order[1], second).unwrap());
    assert!(first.missing() > 0 && !chunks.is_empty());

    // Another process knows which chunks are stored.
    let mut next = Assembler::new(plan, file.key.as_ref(), &known);
    for (index, bytes) in &chunks {
        next.skip(*index, bytes.len());
    }
    let missing = next.missing();
    for container in next.containers() {
        take(
            &mut chunks,
            next.push(container, &file.containers[container]).unwrap(),
        );
    }

    assert!(missing < 5);
    assert_eq!(next.containers(), [0_usize; 0]);
    assert_eq!(next.finish(None), Ok(300_000));
    assert!(chunks.into_values().collect::<Vec<_>>().concat() == file.plain);
}

#[test]
fn fetched_records_bring_their_instructions_along() {
    let zones = zones();
    let mut decoder = Decoder::new(Directory::default());
    let mut checked = 0;

    for entry in entries("http-response-body") {
        let file = text(&entry["file"]);
        if !file.starts_with("assets/") {
            continue;
        }
        let answer = decode_responses(&read(file)).unwrap().remove(0);
        let record = answer.record_retrieve.unwrap().record.unwrap();
        let Outcome::Opened(change) = open(&zones, &mut decoder, record) else {
            panic!("no key for an attachment");
        };
        let CloudChange::Attachment(found) = *change else {
            panic!("an attachment is something else");
        };
        let asset = found.record.asset("lqa").unwrap();
        let requests = answer.bundled.unwrap().requests;
        let request = requests.iter().find(|it| it.asset_id == asset.request_id);
        let body = request.unwrap().body.clone().unwrap();

        assert_eq!(found.record.name, entry["operations"][0]["recordName"]);
        let expected = read(&format!("assets/{}.authorizeGet.bin", text(&entry["case"])));
        assert_eq!(body, expected);
        let plan = AuthorizeGet::read(body).unwrap();
        assert!(plan.plan(&asset.signature).is_ok());
        checked += 1;
    }
    assert_eq!(checked, 7);
}
