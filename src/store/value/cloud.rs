//! The byte form of what CloudKit said: its records, how far its zones were read, and the session to read them with.

use std::fmt;

use bincode::Decode;
use bincode::Encode;
use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::DecodeError;
use bincode::error::EncodeError;

use crate::base::ids::RowId;
use crate::base::limits::LIST_NESTING;
use crate::base::secret::Secret;
use crate::base::time::AppleTime;
use crate::model::record::CloudAsset;
use crate::model::record::CloudRecord;
use crate::model::record::CloudValue;
use crate::store::value::Opaque;
use crate::store::value::unknown_variant;

/// A record of CloudKit, and what became of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StoredCloudRecord {
    /// The version of the decoder that read it last.
    pub decoder: u32,
    /// What it is in the archive.
    pub became: Became,
    /// Since when CloudKit says that it was deleted. What it held stays here.
    pub deleted: Option<AppleTime>,
    /// How often its zone had begun again when it came last: less than the zone says means that it was not seen again
    /// since (D30).
    pub seen: u32,
    /// Other records, by their ids, that are the same message or file of the same shelf. Usually none. Of one that cannot
    /// be opened or read any more, the record of what it was before that.
    pub others: Vec<RowId>,
    /// The change as it came, as long as something of it stays sealed or cannot be read.
    pub raw: Option<Opaque>,
    /// The record in clear, as far as it opened.
    pub record: CloudRecord,
}

/// What a record is in the archive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Became {
    /// Deleted before it was ever seen.
    #[default]
    Nothing,
    /// A message.
    Message(RowId),
    /// A state of this conversation.
    Chat(RowId),
    /// A file.
    Attachment(RowId),
    /// Nothing yet: no key of ours opens it.
    MissingKey,
    /// Nothing yet: it cannot be read.
    Unreadable,
    /// Nothing: of a type that this version does not know.
    Foreign,
}

/// How far a zone was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ZoneState {
    /// The position behind the last page that is stored.
    pub token: Option<Opaque>,
    /// How often it was begun again because the position was not accepted any more (D30).
    pub resets: u32,
    /// When its end was reached last.
    pub caught_up: Option<AppleTime>,
    /// When its end was reached first after it was begun again; until then it is not known what is missing.
    pub complete: Option<AppleTime>,
    /// How the last pass over it ended.
    pub ended: Ended,
    /// When that was.
    pub ended_at: Option<AppleTime>,
    /// Pages of it that were stored.
    pub pages: u64,
    /// Changes in them.
    pub changes: u64,
    /// The zone as the server described it last, with its keys, sealed.
    pub protection: Option<Opaque>,
}

/// How a pass over a zone ended: by the names of SC-11, and those of what can be wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Ended {
    /// No pass over it has ended yet.
    #[default]
    Never,
    /// The server said that there is no more.
    CaughtUp,
    /// The server gave the same position again.
    TokenUnchanged,
    /// After as many pages as a pass may have.
    PageCap,
    /// Three tries of one page did not succeed: why the last did not.
    Errors(String),
    /// It was told to stop, or its time was over.
    Cancelled,
    /// The zone does not exist, or what it held was removed.
    Gone,
    /// The session is not accepted any more.
    Blocked,
}

/// What the owner imported to read CloudKit with.
#[derive(Clone, PartialEq, Eq)]
pub struct CloudAccount {
    /// The session file, JSON, with the keychain items of all that were imported.
    pub session: Secret<Vec<u8>>,
    /// How often one was imported: more than before means that there are other tokens or keys.
    pub imports: u32,
    /// When the last one was.
    pub imported: AppleTime,
    /// The device to speak as, JSON, where the session names none.
    pub device: Option<Secret<Vec<u8>>>,
    /// The CloudKit user id.
    pub user_id: Option<String>,
}

/// Tokens and keys are secret: logs show when they came.
impl fmt::Debug for CloudAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CloudAccount")
            .field("imports", &self.imports)
            .field("imported", &self.imported)
            .finish_non_exhaustive()
    }
}

stored!(StoredCloudRecord, 1);
stored!(ZoneState, 1);
stored!(CloudAccount, 1);
fields!(StoredCloudRecord {
    decoder,
    became,
    deleted,
    seen,
    others,
    raw,
    record
});
fields!(CloudRecord {
    zone,
    name,
    kind,
    etag,
    created,
    modified,
    fields
});
fields!(CloudAsset {
    signature,
    reference_signature,
    size,
    key,
    sealed_key,
    request_id
});
fields!(ZoneState {
    token,
    resets,
    caught_up,
    complete,
    ended,
    ended_at,
    pages,
    changes,
    protection
});
fields!(CloudAccount {
    session,
    imports,
    imported,
    device,
    user_id
});

variants!(Became {
    0 => Nothing,
    1 => Message(row),
    2 => Chat(conversation),
    3 => Attachment(row),
    4 => MissingKey,
    5 => Unreadable,
    6 => Foreign,
});
variants!(Ended {
    0 => Never,
    1 => CaughtUp,
    2 => TokenUnchanged,
    3 => PageCap,
    4 => Errors(reason),
    5 => Cancelled,
    6 => Gone,
    7 => Blocked,
});
/// The variants are numbered in their order. Lists can hold lists, but not deeper than a record can.
impl Encode for CloudValue {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        let mut number = |number: u32| number.encode(encoder);
        match self {
            Self::Missing => number(0),
            Self::Absent => number(1),
            Self::Bytes(bytes) => number(2).and_then(|()| bytes.encode(encoder)),
            Self::Text(text) => number(3).and_then(|()| text.encode(encoder)),
            Self::Integer(value) => number(4).and_then(|()| value.encode(encoder)),
            Self::Real(value) => number(5).and_then(|()| value.encode(encoder)),
            Self::Date(seconds) => number(6).and_then(|()| seconds.encode(encoder)),
            Self::List(values) => number(7).and_then(|()| values.encode(encoder)),
            Self::Asset(asset) => number(8).and_then(|()| asset.encode(encoder)),
            Self::Sealed { bytes, reason } => {
                number(9)?;
                bytes.encode(encoder)?;
                reason.encode(encoder)
            }
            Self::Other(bytes) => number(10).and_then(|()| bytes.encode(encoder)),
        }
    }
}

impl<C> Decode<C> for CloudValue {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        decode_value(decoder, 0)
    }
}

fn decode_value<D: Decoder>(decoder: &mut D, depth: usize) -> Result<CloudValue, DecodeError> {
    let number: u32 = Decode::decode(decoder)?;
    Ok(match number {
        0 => CloudValue::Missing,
        1 => CloudValue::Absent,
        2 => CloudValue::Bytes(Decode::decode(decoder)?),
        3 => CloudValue::Text(Decode::decode(decoder)?),
        4 => CloudValue::Integer(Decode::decode(decoder)?),
        5 => CloudValue::Real(Decode::decode(decoder)?),
        6 => CloudValue::Date(Decode::decode(decoder)?),
        7 if depth <= LIST_NESTING => {
            let count: u64 = Decode::decode(decoder)?;
            let mut values = Vec::new();
            for _ in 0..count {
                values.push(decode_value(decoder, depth + 1)?);
            }
            CloudValue::List(values)
        }
        7 => return Err(DecodeError::Other("lists in lists beyond the limit")),
        8 => CloudValue::Asset(Decode::decode(decoder)?),
        9 => CloudValue::Sealed {
            bytes: Decode::decode(decoder)?,
            reason: Decode::decode(decoder)?,
        },
        10 => CloudValue::Other(Decode::decode(decoder)?),
        found => return Err(unknown_variant("CloudValue", found)),
    })
}

impl Encode for Secret<Vec<u8>> {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.expose().encode(encoder)
    }
}

impl<C> Decode<C> for Secret<Vec<u8>> {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Ok(Self::new(Decode::decode(decoder)?))
    }
}
