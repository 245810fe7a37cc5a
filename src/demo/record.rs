//! Records as the owner's devices write them: fields in envelopes, parts in gzip members, property lists.
//!
//! Source: facts of CloudKit, 3.2 to 3.6 and 4.6.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;

use crate::apple::envelope;
use crate::apple::key::SymmetricKey;
use crate::apple::seal::Entropy;
use crate::codec::cloudkit::Asset;
use crate::codec::cloudkit::Date;
use crate::codec::cloudkit::Deflater;
use crate::codec::cloudkit::EncryptedValue;
use crate::codec::cloudkit::Field;
use crate::codec::cloudkit::Named;
use crate::codec::cloudkit::ProtectionInfo;
use crate::codec::cloudkit::Record;
use crate::codec::cloudkit::RecordIdentifier;
use crate::codec::cloudkit::RecordTimes;
use crate::codec::cloudkit::Value;
use crate::codec::cloudkit::WireWriter;
use crate::codec::cloudkit::ZoneIdentifier;
use crate::codec::property_list;
use crate::codec::property_list::Plist;
use crate::demo::plan::DirtyChat;
use crate::demo::plan::DirtyFile;
use crate::demo::random::Random;

const BYTES: i32 = 1;
const DATE: i32 = 2;
const STRING: i32 = 3;
const ASSET: i32 = 6;
const INTEGER: i32 = 7;
const STRING_LIST: i32 = 15;
const ENCRYPTED_BYTES: i32 = 20;
const ENCRYPTED_LIST: i32 = 21;

/// Bytes of a key's id on a record.
const KEY_ID_BYTES: usize = 4;

const NANOS: i64 = 1_000_000_000;

/// A message record in clear. Members that a record of its kind does not have are `None`.
#[derive(Clone, Default, PartialEq)]
pub struct MessageDraft {
    /// The type of the record; `MessageEncryptedV3` or `recoverableMessage`.
    pub kind: &'static str,
    /// `chatID`, in any spelling.
    pub chat_id: String,
    /// `sender`.
    pub sender: String,
    /// `time`: nanoseconds since 2001.
    pub time: i64,
    /// `dcId`.
    pub own_handle: String,
    /// `guid`.
    pub guid: String,
    /// `svc`.
    pub service: String,
    /// `flags`.
    pub flags: i64,
    /// `msgType`.
    pub item_type: i64,
    /// `eCode`.
    pub error: i64,
    /// `msgProto`.
    pub body: Body,
    /// `msgProto2`, field 2: `r:<part>:<location>:<length>:<GUID>`.
    pub reply: Option<String>,
    /// `msgProto4`, field 2.
    pub emoji: Option<String>,
    /// `msgProto4`, field 7.
    pub group_id: Option<String>,
    /// What is wrong with it.
    pub dirt: Dirt,
}

/// What `msgProto` holds.
#[derive(Clone, Default, PartialEq)]
pub struct Body {
    /// Field 2.
    pub subject: Option<String>,
    /// Field 3.
    pub text: Option<String>,
    /// Field 4, a typedstream.
    pub attributed: Option<Vec<u8>>,
    /// Field 5.
    pub balloon: Option<String>,
    /// Field 6.
    pub payload: Option<Vec<u8>>,
    /// Field 7, a property list.
    pub summary: Option<Vec<u8>>,
    /// Field 8.
    pub effect: Option<String>,
    /// Field 9, nanoseconds since 2001.
    pub date_read: Option<u64>,
    /// Field 13, nanoseconds since 2001.
    pub date_delivered: Option<u64>,
    /// Field 15.
    pub associated_type: Option<u64>,
    /// Field 16.
    pub associated_guid: Option<String>,
    /// Fields 17 and 18.
    pub associated_range: Option<(u64, u64)>,
}

/// What real accounts have among their records, and decoders have to live with (facts, 9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dirt {
    /// Nothing.
    #[default]
    None,
    /// `msgProto` has field 2 as a number: the rest of it counts.
    NumberForSubject,
    /// There is no `msgProto`.
    NoBody,
    /// The record and its parts have fields that nobody knows.
    UnknownFields,
    /// `sender` has no value: bad field (D32).
    NoValue,
    /// The envelope of `msgProto` does not open: bad field.
    Damaged,
    /// The plaintext of `msgProto` is no gzip: bad field.
    NoGzip,
    /// The plaintext of `sender` is empty: it is absent.
    EmptySender,
}

/// Where and when a record is, and with which key it is written.
pub(super) struct Place<'a> {
    pub(super) zone: &'a str,
    pub(super) user: &'a str,
    pub(super) name: &'a str,
    pub(super) key: &'a SymmetricKey,
    /// Keys of its own; without them the record names the zone's.
    pub(super) protection: Option<ProtectionInfo>,
    /// How often it was written before.
    pub(super) version: u64,
    /// When it was written, seconds since 2001.
    pub(super) written: f64,
    pub(super) nonces: Random,
}

/// A record that is being written.
pub(super) struct Writer<'a> {
    place: Place<'a>,
    fields: Vec<Field>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(place: Place<'a>) -> Self {
        Self {
            place,
            fields: Vec::with_capacity(16),
        }
    }

    pub(super) fn clear(&mut self, field: &str, value: Value) {
        self.fields.push(Field::new(field, value));
    }

    pub(super) fn clear_integer(&mut self, field: &str, number: i64) {
        let value = Value {
            kind: Some(INTEGER),
            signed: Some(number),
            ..Value::default()
        };
        self.clear(field, value);
    }

    pub(super) fn clear_date(&mut self, field: &str, seconds: f64) {
        let value = Value {
            kind: Some(DATE),
            date: Some(Date {
                seconds: Some(seconds),
            }),
            ..Value::default()
        };
        self.clear(field, value);
    }

    pub(super) fn clear_texts(&mut self, field: &str, texts: &[&str]) {
        let text = |text: &&str| Value {
            kind: Some(STRING),
            string: Some((*text).to_owned()),
            ..Value::default()
        };
        let value = Value {
            kind: Some(STRING_LIST),
            list: texts.iter().map(text).collect(),
            ..Value::default()
        };
        self.clear(field, value);
    }

    pub(super) fn text(&mut self, field: &str, text: &str) {
        let plain = EncryptedValue {
            string: Some(text.to_owned()),
            ..EncryptedValue::default()
        };
        let value = self.sealed(field, STRING, &plain.write());
        self.clear(field, value);
    }

    pub(super) fn integer(&mut self, field: &str, number: i64) {
        let plain = EncryptedValue {
            signed: Some(number),
            ..EncryptedValue::default()
        };
        let value = self.sealed(field, INTEGER, &plain.write());
        self.clear(field, value);
    }

    pub(super) fn bytes(&mut self, field: &str, bytes: &[u8]) {
        let value = self.sealed(field, ENCRYPTED_BYTES, bytes);
        self.clear(field, value);
    }

    /// A field that is named and has no value.
    pub(super) fn without_value(&mut self, field: &str) {
        self.fields.push(Field {
            identifier: Some(Named::new(field)),
            value: None,
        });
    }

    /// Fields that nobody knows.
    fn unknown(&mut self) {
        self.text("tomorrow", "something new");
        let value = Value {
            kind: Some(BYTES),
            bytes: Some(Bytes::from_static(b"\x00\x01")),
            ..Value::default()
        };
        self.clear("yesterday", value);
    }

    /// Damages the field that was written last.
    pub(super) fn damage(&mut self) {
        damage(
            self.fields
                .last_mut()
                .and_then(|field| field.value.as_mut()),
        );
    }

    /// Each element is sealed by itself; the list is not.
    pub(super) fn list(&mut self, field: &str, elements: &[Vec<u8>]) {
        let list = elements.iter();
        let list = list.map(|bytes| self.sealed(field, ENCRYPTED_BYTES, bytes));
        let value = Value {
            kind: Some(ENCRYPTED_LIST),
            list: list.collect(),
            is_encrypted: Some(false),
            ..Value::default()
        };
        self.clear(field, value);
    }

    /// A file: all of it is in clear but its key, which is bound to both signatures.
    pub(super) fn asset(&mut self, field: &str, asset: Asset, key: Option<&[u8]>) {
        let text =
            |bytes: Option<&Bytes>| BASE64_STANDARD.encode(bytes.map_or(&[][..], |b| &b[..]));
        let signature = text(asset.signature.as_ref());
        let reference = text(asset.reference_signature.as_ref());
        let place = &mut self.place;
        let context = [
            place.zone, "-", place.name, "-", field, "-", &signature, "-", &reference,
        ];
        let nonce = place.nonces.array();
        let protection = key.map(|key| ProtectionInfo {
            bytes: Some(envelope::seal(place.key, key, &context, &nonce).into()),
            tag: None,
        });
        let value = Value {
            kind: Some(ASSET),
            asset: Some(Asset {
                protection,
                ..asset
            }),
            ..Value::default()
        };
        self.clear(field, value);
    }

    fn sealed(&mut self, field: &str, kind: i32, plain: &[u8]) -> Value {
        let place = &mut self.place;
        let context = [place.zone, "-", place.name, "-", field];
        let nonce = place.nonces.array();
        let bytes = envelope::seal(place.key, plain, &context, &nonce);
        Value {
            kind: Some(kind),
            bytes: Some(bytes.into()),
            is_encrypted: Some(true),
            ..Value::default()
        }
    }

    pub(super) fn finish(self, kind: &str) -> Record {
        let place = self.place;
        let id = place.key.id().get(..KEY_ID_BYTES).unwrap_or_default();
        let date = Date {
            seconds: Some(place.written),
        };
        let zone = ZoneIdentifier::new(place.zone, place.user);
        Record {
            etag: Some(etag(place.version)),
            identifier: Some(RecordIdentifier::new(place.name, zone)),
            kind: Some(Named::new(kind)),
            times: Some(RecordTimes {
                created: Some(date),
                modified: Some(date),
            }),
            fields: self.fields,
            pcs_key: place
                .protection
                .is_none()
                .then(|| Bytes::copy_from_slice(id)),
            protection: place.protection,
        }
    }
}

/// The version of a record on the wire.
pub(super) fn etag(version: u64) -> String {
    format!("{:x}", version + 1)
}

/// Writes a message record.
pub(super) fn message(draft: &MessageDraft, place: Place<'_>, deflater: &mut Deflater) -> Record {
    let written = place.written;
    let mut record = Writer::new(place);
    record.clear_date("utm", written);
    record.clear_integer("msgType", draft.item_type);
    record.clear_integer("eCode", draft.error);
    record.text("chatID", &draft.chat_id);
    if draft.dirt == Dirt::NoValue {
        record.without_value("sender");
    } else if draft.dirt == Dirt::EmptySender {
        let value = record.sealed("sender", STRING, b"");
        record.clear("sender", value);
    } else {
        record.text("sender", &draft.sender);
    }
    record.integer("time", draft.time);
    record.text("dcId", &draft.own_handle);
    record.text("guid", &draft.guid);
    record.text("svc", &draft.service);
    record.integer("flags", draft.flags);
    let body = body(&draft.body, draft.dirt);
    if draft.dirt == Dirt::NoGzip {
        record.bytes("msgProto", &body);
    } else if draft.dirt != Dirt::NoBody {
        record.bytes("msgProto", &deflater.deflate(&body));
    }
    if draft.dirt == Dirt::Damaged {
        record.damage();
    }
    let mut second = WireWriter::new();
    second.text(2, draft.reply.as_deref());
    let mut third = WireWriter::new();
    third.varint(2, 0).varint(3, 0);
    let mut fourth = WireWriter::new();
    fourth.text(2, draft.emoji.as_deref());
    fourth
        .text(4, Some(&draft.service))
        .varint(5, 0)
        .varint(6, 0);
    fourth.text(7, draft.group_id.as_deref());
    if draft.reply.is_some() {
        record.bytes("msgProto2", &deflater.deflate(&second.finish()));
    }
    record.bytes("msgProto3", &deflater.deflate(&third.finish()));
    record.bytes("msgProto4", &deflater.deflate(&fourth.finish()));
    if draft.dirt == Dirt::UnknownFields {
        record.unknown();
    }
    record.finish(draft.kind)
}

fn body(body: &Body, dirt: Dirt) -> Vec<u8> {
    let mut part = WireWriter::new();
    part.varint(1, 1);
    if dirt == Dirt::NumberForSubject {
        part.varint(2, 0);
    }
    part.text(2, body.subject.as_deref());
    part.text(3, body.text.as_deref());
    part.some_bytes(4, body.attributed.as_deref());
    part.text(5, body.balloon.as_deref());
    part.some_bytes(6, body.payload.as_deref());
    part.some_bytes(7, body.summary.as_deref());
    part.text(8, body.effect.as_deref());
    part.some_varint(9, body.date_read);
    part.varint(10, 0).varint(11, 0);
    part.some_varint(13, body.date_delivered);
    part.varint(14, 0);
    part.some_varint(15, body.associated_type);
    part.text(16, body.associated_guid.as_deref());
    part.some_varint(17, body.associated_range.map(|(location, _)| location));
    part.some_varint(18, body.associated_range.map(|(_, length)| length));
    if dirt == Dirt::UnknownFields {
        part.text(99, Some("unknown")).varint(1_000, 7);
    }
    part.finish()
}

/// Changes the last byte of what a field holds; of a list, of its first element; of a file, of its key.
fn damage(value: Option<&mut Value>) {
    let Some(value) = value else {
        return;
    };
    if !value.list.is_empty() {
        return damage(value.list.first_mut());
    }
    let key = value
        .asset
        .as_mut()
        .and_then(|asset| asset.protection.as_mut());
    let sealed = match key {
        Some(key) => key.bytes.as_mut(),
        None => value.bytes.as_mut(),
    };
    if let Some(bytes) = sealed {
        let mut changed = bytes.to_vec();
        if let Some(last) = changed.last_mut() {
            *last ^= 1;
        }
        *bytes = changed.into();
    }
}

/// A chat record in clear: one snapshot of a conversation.
#[derive(Clone, Default, PartialEq)]
pub(super) struct ChatDraft {
    /// `stl`: 43 a group, 45 with one person.
    pub(super) style: i64,
    /// `filt`.
    pub(super) is_filtered: bool,
    /// `cid`.
    pub(super) identifier: String,
    /// `gid`.
    pub(super) group_id: String,
    /// `svc`.
    pub(super) service: String,
    /// `ptcpts`: `tel:...`, `mailto:...`.
    pub(super) members: Vec<String>,
    /// `lah`.
    pub(super) own_handle: String,
    /// `guid`.
    pub(super) guid: String,
    /// `name`.
    pub(super) name: Option<String>,
    /// `rwm`, nanoseconds since 2001.
    pub(super) read: i64,
    /// What is wrong with it.
    pub(super) dirty: Option<DirtyChat>,
}

/// Writes a chat record.
pub(super) fn chat(draft: &ChatDraft, place: Place<'_>, deflater: &mut Deflater) -> Record {
    let mut record = Writer::new(place);
    record.integer("stl", draft.style);
    record.integer("filt", i64::from(draft.is_filtered));
    record.integer("sqry", 1);
    record.integer("ste", 3);
    record.text("cid", &draft.identifier);
    record.text("gid", &draft.group_id);
    record.text("ogid", &draft.group_id);
    record.text("svc", &draft.service);
    let person = |member: &String| {
        let entry = ("FZPersonID".to_owned(), Plist::Text(member.clone()));
        property_list::encode(&Plist::Dictionary(vec![entry]))
    };
    let members: Vec<Vec<u8>> = draft.members.iter().map(person).collect();
    record.list("ptcpts", &members);
    if draft.dirty == Some(DirtyChat::DamagedMember) {
        record.damage();
    }
    let properties = dictionary(&[
        ("pv", Plist::Integer(2)),
        ("GPUFC", Plist::Integer(0)),
        ("messageHandshakeState", Plist::Integer(1)),
        ("numberOfTimesRespondedtoThread", Plist::Integer(1)),
        ("shouldForceToSMS", Plist::Boolean(false)),
        ("legacyGroupIdentifiers", Plist::Array(Vec::new())),
    ]);
    record.bytes("prop", &properties);
    if draft.dirty == Some(DirtyChat::Damaged) {
        record.damage();
    }
    record.bytes("prop001", &dictionary(&[("st", Plist::Integer(0))]));
    let mut proto = WireWriter::new();
    proto.varint(2, 0);
    record.bytes("proto001", &deflater.deflate(&proto.finish()));
    record.integer("rwm", draft.read);
    record.text("lah", &draft.own_handle);
    record.text("guid", &draft.guid);
    if draft.dirty == Some(DirtyChat::NoName) {
        record.without_value("name");
    } else if let Some(name) = &draft.name {
        record.text("name", name);
    }
    if draft.dirty == Some(DirtyChat::UnknownFields) {
        record.unknown();
    }
    record.clear_texts("dids", &["D0D0D0D0-0000-4000-8000-000000000001"]);
    record.finish("chatEncryptedv2")
}

/// What `cm` of an attachment record says.
#[derive(Clone, PartialEq)]
pub(super) struct FileDraft {
    /// `aguid`.
    pub(super) guid: String,
    /// `tn`, and the end of `fn`.
    pub(super) name: String,
    /// `mimet`.
    pub(super) mime: String,
    /// `t`.
    pub(super) uti: String,
    /// `tb`; it can be negative.
    pub(super) size: i64,
    /// `is`.
    pub(super) is_sticker: bool,
    /// `ig`.
    pub(super) is_outgoing: bool,
    /// `cdt`, `sdt`: seconds since 2001; they can be negative.
    pub(super) created: i64,
    /// What is wrong with it.
    pub(super) dirty: Option<DirtyFile>,
}

/// Writes `cm`.
pub(super) fn describe_file(record: &mut Writer<'_>, draft: &FileDraft, deflater: &mut Deflater) {
    let text = |text: &str| Plist::Text(text.to_owned());
    let path = format!(
        "~/Library/Messages/Attachments/de/13/{}/{}",
        draft.guid, draft.name
    );
    let user_info = Plist::Dictionary(vec![
        // Numbers are written as texts by some systems.
        ("file-size".to_owned(), Plist::Text(draft.size.to_string())),
        ("name".to_owned(), text(&draft.name)),
        ("mime-type".to_owned(), text(&draft.mime)),
        ("uti-type".to_owned(), text(&draft.uti)),
    ]);
    let guid = if draft.dirty == Some(DirtyFile::NoGuid) {
        ""
    } else {
        &draft.guid
    };
    let list = dictionary(&[
        ("mimet", text(&draft.mime)),
        ("sdt", Plist::Integer(draft.created.into())),
        ("cdt", Plist::Integer(draft.created.into())),
        ("tb", Plist::Integer(draft.size.into())),
        ("st", Plist::Integer(5)),
        ("is", Plist::Boolean(draft.is_sticker)),
        ("aguid", text(guid)),
        ("ha", Plist::Boolean(false)),
        ("ui", user_info),
        ("fn", text(&path)),
        ("ig", Plist::Boolean(draft.is_outgoing)),
        ("tn", text(&draft.name)),
        ("vers", Plist::Integer(1)),
        ("t", text(&draft.uti)),
    ]);
    if draft.dirty == Some(DirtyFile::NoGzip) {
        record.bytes("cm", &list);
    } else {
        record.bytes("cm", &deflater.deflate(&list));
    }
    if draft.dirty == Some(DirtyFile::Damaged) {
        record.damage();
    }
}

/// A binary property list with these entries.
pub(super) fn dictionary(entries: &[(&str, Plist)]) -> Vec<u8> {
    let entries = entries.iter();
    let entries = entries.map(|(key, value)| ((*key).to_owned(), value.clone()));
    property_list::encode(&Plist::Dictionary(entries.collect()))
}

/// A time in seconds, as records have it beside nanoseconds.
pub(super) fn seconds(nanos: i64) -> f64 {
    let whole = i32::try_from(nanos / NANOS).unwrap_or(i32::MAX);
    let rest = i32::try_from(nanos % NANOS).unwrap_or_default();
    f64::from(whole) + f64::from(rest) / 1e9
}
