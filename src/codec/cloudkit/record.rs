//! Records and zones, and the identifiers in them.

use bytes::Bytes;
use prost::Message;

use crate::codec::cloudkit::opaque;

/// A name of something, and what it names: 1 record, 2 device, 3 subscription, 6 zone, 7 user.
#[derive(Clone, PartialEq, Message)]
pub struct Identifier {
    /// The name.
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    /// What it names.
    #[prost(int32, optional, tag = "2")]
    pub kind: Option<i32>,
}

impl Identifier {
    /// A record's.
    pub const RECORD: i32 = 1;
    /// A device's.
    pub const DEVICE: i32 = 2;
    /// A zone's.
    pub const ZONE: i32 = 6;
    /// A user's.
    pub const USER: i32 = 7;

    /// A name of something of this kind.
    pub fn new(name: &str, kind: i32) -> Self {
        Self {
            name: Some(name.to_owned()),
            kind: Some(kind),
        }
    }
}

/// A zone, and whose it is.
#[derive(Clone, PartialEq, Message)]
pub struct ZoneIdentifier {
    /// The zone's name.
    #[prost(message, optional, tag = "1")]
    pub value: Option<Identifier>,
    /// The owner's CloudKit user id.
    #[prost(message, optional, tag = "2")]
    pub owner: Option<Identifier>,
    /// The environment.
    #[prost(int32, optional, tag = "3")]
    pub environment: Option<i32>,
}

impl ZoneIdentifier {
    /// A zone of a user's.
    pub fn new(zone: &str, user: &str) -> Self {
        Self {
            value: Some(Identifier::new(zone, Identifier::ZONE)),
            owner: Some(Identifier::new(user, Identifier::USER)),
            environment: None,
        }
    }

    /// The zone's name, if it has one.
    pub fn name(&self) -> Option<&str> {
        self.value.as_ref()?.name.as_deref()
    }
}

/// A record, and the zone that holds it.
#[derive(Clone, PartialEq, Message)]
pub struct RecordIdentifier {
    /// The record's name.
    #[prost(message, optional, tag = "1")]
    pub value: Option<Identifier>,
    /// The zone.
    #[prost(message, optional, tag = "2")]
    pub zone: Option<ZoneIdentifier>,
}

impl RecordIdentifier {
    /// A record of a zone.
    pub fn new(record: &str, zone: ZoneIdentifier) -> Self {
        Self {
            value: Some(Identifier::new(record, Identifier::RECORD)),
            zone: Some(zone),
        }
    }

    /// The record's name, if it has one.
    pub fn name(&self) -> Option<&str> {
        self.value.as_ref()?.name.as_deref()
    }
}

/// Keys, wrapped; of an asset, its encrypted key.
#[derive(Clone, PartialEq, Message)]
pub struct ProtectionInfo {
    /// The DER or the envelope.
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub bytes: Option<Bytes>,
    /// Names this version of it.
    #[prost(string, optional, tag = "2")]
    pub tag: Option<String>,
}

/// A zone with its keys.
#[derive(Clone, PartialEq, Message)]
pub struct Zone {
    /// The zone.
    #[prost(message, optional, tag = "1")]
    pub identifier: Option<ZoneIdentifier>,
    /// Its version.
    #[prost(string, optional, tag = "2")]
    pub etag: Option<String>,
    /// The zone's own keys, for the owner's identities.
    #[prost(message, optional, tag = "3")]
    pub protection: Option<ProtectionInfo>,
    /// The keys of its records, for the zone's own keys.
    #[prost(message, optional, tag = "6")]
    pub record_protection: Option<ProtectionInfo>,
}

impl Zone {
    /// Reads a zone that [`Self::write`] wrote.
    ///
    /// # Errors
    /// What prost says is wrong with it.
    pub fn read(bytes: &[u8]) -> Result<Self, prost::DecodeError> {
        Self::decode(bytes)
    }

    /// The zone as it is on the wire.
    pub fn write(&self) -> Vec<u8> {
        self.encode_to_vec()
    }
}

/// A name in a message of its own: a record type, a field.
#[derive(Clone, PartialEq, Message)]
pub struct Named {
    /// The name.
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
}

impl Named {
    /// A name.
    pub fn new(name: &str) -> Self {
        Self {
            name: Some(name.to_owned()),
        }
    }
}

/// A time.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct Date {
    /// Seconds since 2001-01-01 UTC.
    #[prost(double, optional, tag = "1")]
    pub seconds: Option<f64>,
}

/// When a record came into being and when it was changed.
#[derive(Clone, PartialEq, Message)]
pub struct RecordTimes {
    /// When it was made.
    #[prost(message, optional, tag = "1")]
    pub created: Option<Date>,
    /// When it was changed last.
    #[prost(message, optional, tag = "2")]
    pub modified: Option<Date>,
}

/// A record.
#[derive(Clone, PartialEq, Message)]
pub struct Record {
    /// Its version.
    #[prost(string, optional, tag = "1")]
    pub etag: Option<String>,
    /// Its name and zone.
    #[prost(message, optional, tag = "2")]
    pub identifier: Option<RecordIdentifier>,
    /// Its type.
    #[prost(message, optional, tag = "3")]
    pub kind: Option<Named>,
    /// When it was made and changed.
    #[prost(message, optional, tag = "5")]
    pub times: Option<RecordTimes>,
    /// What it holds.
    #[prost(message, repeated, tag = "7")]
    pub fields: Vec<Field>,
    /// Keys of its own.
    #[prost(message, optional, tag = "13")]
    pub protection: Option<ProtectionInfo>,
    /// The beginning of the id of the key that it is encrypted with.
    #[prost(bytes = "bytes", optional, tag = "24")]
    pub pcs_key: Option<Bytes>,
}

impl Record {
    /// Its name, if it has one.
    pub fn name(&self) -> Option<&str> {
        self.identifier.as_ref()?.name()
    }

    /// Its type, empty if it has none.
    pub fn type_name(&self) -> &str {
        let kind = self.kind.as_ref();
        kind.and_then(|kind| kind.name.as_deref())
            .unwrap_or_default()
    }
}

/// A field of a record.
#[derive(Clone, PartialEq, Message)]
pub struct Field {
    /// Its name.
    #[prost(message, optional, tag = "1")]
    pub identifier: Option<Named>,
    /// What it holds.
    #[prost(message, optional, tag = "2")]
    pub value: Option<Value>,
}

impl Field {
    /// A field.
    pub fn new(name: &str, value: Value) -> Self {
        Self {
            identifier: Some(Named::new(name)),
            value: Some(value),
        }
    }

    /// Its name, empty if it has none.
    pub fn name(&self) -> &str {
        let identifier = self.identifier.as_ref();
        identifier
            .and_then(|named| named.name.as_deref())
            .unwrap_or_default()
    }
}

/// What a field holds. Of the members the one that goes with the type is set.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct Value {
    /// The type: a [`ValueKind`].
    #[prost(int32, optional, tag = "1")]
    pub kind: Option<i32>,
    /// Bytes; of every encrypted value the envelope.
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub bytes: Option<Bytes>,
    /// A whole number, not zig-zag.
    #[prost(int64, optional, tag = "4")]
    pub signed: Option<i64>,
    /// A number.
    #[prost(double, optional, tag = "5")]
    pub double: Option<f64>,
    /// A time.
    #[prost(message, optional, tag = "6")]
    pub date: Option<Date>,
    /// Text.
    #[prost(string, optional, tag = "7")]
    pub string: Option<String>,
    /// Another record.
    #[prost(message, optional, tag = "9")]
    pub reference: Option<Reference>,
    /// A file.
    #[prost(message, optional, tag = "10")]
    pub asset: Option<Asset>,
    /// Values.
    #[prost(message, repeated, tag = "11")]
    pub list: Vec<Value>,
    /// Whether the bytes are an envelope.
    #[prost(bool, optional, tag = "13")]
    pub is_encrypted: Option<bool>,
}

impl Value {
    /// The value as it is on the wire.
    pub fn write(&self) -> Vec<u8> {
        self.encode_to_vec()
    }

    /// Its type, if that is one of those that Messages uses.
    pub fn value_kind(&self) -> Option<ValueKind> {
        Some(match self.kind? {
            1 => ValueKind::Bytes,
            2 => ValueKind::Date,
            3 => ValueKind::String,
            6 => ValueKind::Asset,
            7 => ValueKind::Integer,
            8 => ValueKind::Double,
            9..=18 | 21 => ValueKind::List,
            20 => ValueKind::EncryptedBytes,
            _ => return None,
        })
    }
}

/// Types of values that Messages uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueKind {
    /// Bytes in clear (1).
    Bytes,
    /// A time (2).
    Date,
    /// Text (3).
    String,
    /// A file (6).
    Asset,
    /// A whole number (7).
    Integer,
    /// A number (8).
    Double,
    /// Values (9 to 18, 21).
    List,
    /// Bytes that are always encrypted (20).
    EncryptedBytes,
}

/// Another record.
#[derive(Clone, PartialEq, Message)]
pub struct Reference {
    /// How it depends: 1 owning, 2 weak, 3 validating.
    #[prost(int32, optional, tag = "1")]
    pub kind: Option<i32>,
    /// The record.
    #[prost(message, optional, tag = "2")]
    pub record: Option<RecordIdentifier>,
}

/// A file that lies in MMCS.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct Asset {
    /// Whose it is.
    #[prost(string, optional, tag = "1")]
    pub owner: Option<String>,
    /// Names the file's content: 21 bytes.
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub signature: Option<Bytes>,
    /// Its size in bytes.
    #[prost(uint64, optional, tag = "4")]
    pub size: Option<u64>,
    /// Its key, in an envelope; absent where the chunks bring their keys along.
    #[prost(message, optional, tag = "15")]
    pub protection: Option<ProtectionInfo>,
    /// Names the file's key: 21 bytes.
    #[prost(bytes = "bytes", optional, tag = "17")]
    pub reference_signature: Option<Bytes>,
    /// Names the answer about its download in the same operation.
    #[prost(string, optional, tag = "21")]
    pub bundled_request_id: Option<String>,
}

/// What the envelope of a number, a time or a text holds.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct EncryptedValue {
    /// A whole number.
    #[prost(int64, optional, tag = "3")]
    pub signed: Option<i64>,
    /// A time.
    #[prost(message, optional, tag = "5")]
    pub date: Option<Date>,
    /// Text.
    #[prost(string, optional, tag = "6")]
    pub string: Option<String>,
}

impl EncryptedValue {
    /// Reads the plaintext of an envelope.
    ///
    /// # Errors
    /// What prost says is wrong with it.
    pub fn read(bytes: &[u8]) -> Result<Self, prost::DecodeError> {
        Self::decode(bytes)
    }

    /// The plaintext of an envelope.
    pub fn write(&self) -> Vec<u8> {
        self.encode_to_vec()
    }
}

/// A field that stayed sealed when its record was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedField {
    /// The field's name.
    pub field: String,
    /// Why it did not open.
    pub reason: String,
}

opaque! { Value Asset EncryptedValue }
