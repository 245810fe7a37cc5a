//! The byte form of everything that is stored; the only place that names bincode.
//!
//! A value is one version byte, then the fields in the order given here, in bincode's standard encoding (data-format.md,
//! "Encoding"). The lists of fields and variants below are the file format: a published list is frozen, variants are
//! only ever appended, and golden bytes in `tests/data_format.rs` hold every one of them. When a value needs another
//! field, its version rises and the reader of the old one stays.
//!
//! bincode only ever reads what this program wrote; bytes from outside are stored as opaque byte strings.

/// Declares a stored type: its version and its name, and the types that its older versions had, which turn into it.
macro_rules! stored {
    ($type:ident, $version:literal $(, $old:literal => $older:ident)*) => {
        impl $crate::store::value::Stored for $type {
            const VERSION: u8 = $version;
            const KIND: &'static str = stringify!($type);

            fn from_older(
                version: u8,
                _body: &[u8],
            ) -> Option<Result<(Self, usize), bincode::error::DecodeError>> {
                match version {
                    $($old => Some($crate::store::value::upgraded::<$older, Self>(_body)),)*
                    _ => None,
                }
            }
        }
    };
}

/// Declares the fields of a struct in the order in which they are written. Fields after `;` are not written and come
/// back as their default. A parameter is the type of a field.
macro_rules! fields {
    ($type:ident $(<$held:ident>)? { $($field:ident),* $(,)? $(; $absent:ident)? }) => {
        impl $(<$held: bincode::Encode>)? bincode::Encode for $type $(<$held>)? {
            fn encode<E: bincode::enc::Encoder>(
                &self,
                encoder: &mut E,
            ) -> Result<(), bincode::error::EncodeError> {
                $(bincode::Encode::encode(&self.$field, encoder)?;)*
                Ok(())
            }
        }

        impl<C $(, $held: bincode::Decode<C>)?> bincode::Decode<C> for $type $(<$held>)? {
            fn decode<D: bincode::de::Decoder<Context = C>>(
                decoder: &mut D,
            ) -> Result<Self, bincode::error::DecodeError> {
                Ok(Self {
                    $($field: bincode::Decode::decode(decoder)?,)*
                    $($absent: Default::default(),)?
                })
            }
        }
    };
}

/// Declares the variants of an enum by their numbers in the file, each with what it holds.
macro_rules! variants {
    ($type:ident { $($number:literal => $variant:ident $(($($item:ident),*))? $({$($field:ident),*})?,)* }) => {
        impl bincode::Encode for $type {
            fn encode<E: bincode::enc::Encoder>(
                &self,
                encoder: &mut E,
            ) -> Result<(), bincode::error::EncodeError> {
                match self {
                    $(Self::$variant $(($($item),*))? $({$($field),*})? => {
                        let number: u32 = $number;
                        bincode::Encode::encode(&number, encoder)?;
                        $($(bincode::Encode::encode($item, encoder)?;)*)?
                        $($(bincode::Encode::encode($field, encoder)?;)*)?
                    })*
                }
                Ok(())
            }
        }

        impl<C> bincode::Decode<C> for $type {
            fn decode<D: bincode::de::Decoder<Context = C>>(
                decoder: &mut D,
            ) -> Result<Self, bincode::error::DecodeError> {
                let number: u32 = bincode::Decode::decode(decoder)?;
                match number {
                    $($number => {
                        $($(let $item = bincode::Decode::decode(decoder)?;)*)?
                        $($(let $field = bincode::Decode::decode(decoder)?;)*)?
                        Ok(Self::$variant $(($($item),*))? $({$($field),*})?)
                    })*
                    found => Err($crate::store::value::unknown_variant(stringify!($type), found)),
                }
            }
        }
    };
}

/// Declares a newtype that is written as the value it wraps.
macro_rules! wrapped {
    ($type:ident as $inner:ty, $get:expr, $make:expr) => {
        impl bincode::Encode for $type {
            fn encode<E: bincode::enc::Encoder>(
                &self,
                encoder: &mut E,
            ) -> Result<(), bincode::error::EncodeError> {
                let get: fn(&Self) -> &$inner = $get;
                bincode::Encode::encode(get(self), encoder)
            }
        }

        impl<C> bincode::Decode<C> for $type {
            fn decode<D: bincode::de::Decoder<Context = C>>(
                decoder: &mut D,
            ) -> Result<Self, bincode::error::DecodeError> {
                let inner: $inner = bincode::Decode::decode(decoder)?;
                let make: fn($inner) -> Self = $make;
                Ok(make(inner))
            }
        }
    };
}

mod account;
mod attachment;
mod cloud;
mod conversation;
mod ids;
mod ledger;
mod media;
mod message;
mod record;

use bincode::Decode;
use bincode::Encode;
use bincode::config;
use bincode::config::Configuration;
use bincode::config::Limit;
use bincode::config::LittleEndian;
use bincode::config::Varint;
use bincode::error::DecodeError;
use bincode::error::EncodeError;

use crate::base::limits::STORED_VALUE_BYTES;

pub use account::AccountData;
pub use account::Device;
pub use account::Filter;
pub use account::LocalEvent;
pub use account::Opaque;
pub use account::Receipt;
pub use account::Room;
pub use account::RoomOrigin;
pub use account::RoomState;
pub use account::SentEvent;
pub use account::StoredKey;
pub use account::ToDevice;
pub use account::Token;
pub use account::Upload;
pub use account::User;
pub use attachment::StoredAttachment;
pub use cloud::Became;
pub use cloud::CloudAccount;
pub use cloud::Ended;
pub use cloud::StoredCloudRecord;
pub use cloud::ZoneState;
pub use conversation::Head;
pub use conversation::Merge;
pub use conversation::ReadFrom;
pub use conversation::ReadPosition;
pub use conversation::StoredChat;
pub use conversation::StoredConversation;
pub use ledger::ChangeEntry;
pub use ledger::ChangeKind;
pub use ledger::Failure;
pub use ledger::FailureKind;
pub use ledger::ParkedRow;
pub use ledger::QuarantineRow;
pub use ledger::Tombstone;
pub use media::StoredBlob;
pub use media::StoredDownload;
pub(super) use message::EncodedMessage;
pub use message::Mark;
pub use message::MarkKind;
pub use message::StoredMessage;
pub(in crate::store) use message::first_marks;
pub use record::StoredRecord;

const CONFIG: Configuration<LittleEndian, Varint, Limit<STORED_VALUE_BYTES>> =
    config::standard().with_limit::<STORED_VALUE_BYTES>();

/// Why stored bytes are no value.
#[derive(Debug, thiserror::Error)]
pub enum ValueError {
    /// There is not even a version byte.
    #[error("an empty value of type {kind}")]
    Empty {
        /// The type that was expected.
        kind: &'static str,
    },
    /// The version is not one that this program knows.
    #[error("version {found} of type {kind}, this program knows {known}")]
    Version {
        /// The type that was expected.
        kind: &'static str,
        /// The version found.
        found: u8,
        /// The version this program writes.
        known: u8,
    },
    /// The bytes do not follow the type's fields.
    #[error("bytes that are no value of type {kind}")]
    Malformed {
        /// The type that was expected.
        kind: &'static str,
        /// What is wrong.
        #[source]
        source: DecodeError,
    },
    /// Bytes follow the value.
    #[error("{trailing} bytes after a value of type {kind}")]
    Trailing {
        /// The type that was expected.
        kind: &'static str,
        /// How many.
        trailing: usize,
    },
    /// The value is too large to be stored.
    #[error("a value of type {kind} that cannot be written")]
    Unwritable {
        /// The type.
        kind: &'static str,
        /// What is wrong.
        #[source]
        source: EncodeError,
    },
}

/// A type with a byte form in the store.
pub trait Stored: Encode + Decode<()> {
    /// The version that is written.
    const VERSION: u8;
    /// Its name in errors and in data-format.md.
    const KIND: &'static str;

    /// The value of the fields of an older version, and how many bytes they took; `None` for a version that never was.
    fn from_older(version: u8, body: &[u8]) -> Option<Result<(Self, usize), DecodeError>>;

    /// The bytes of this value, its version first.
    ///
    /// # Errors
    ///
    /// [`ValueError::Unwritable`], which only a length past `u64` can cause.
    fn to_bytes(&self) -> Result<Vec<u8>, ValueError> {
        let mut bytes = Vec::new();
        self.append_stored_to(&mut bytes)?;
        Ok(bytes)
    }

    /// Appends the bytes of this value, its version first.
    ///
    /// # Errors
    ///
    /// As [`Self::to_bytes`].
    fn append_stored_to(&self, bytes: &mut Vec<u8>) -> Result<(), ValueError> {
        bytes.push(Self::VERSION);
        self.append_to(bytes)
    }

    /// Appends the fields, without the version byte.
    ///
    /// # Errors
    ///
    /// As [`Self::to_bytes`].
    fn append_to(&self, bytes: &mut Vec<u8>) -> Result<(), ValueError> {
        append(self, Self::KIND, bytes)
    }

    /// The value of stored bytes. All of them are used, or it is an error.
    ///
    /// # Errors
    ///
    /// Any [`ValueError`] but `Unwritable`.
    fn from_bytes(bytes: &[u8]) -> Result<Self, ValueError> {
        let Some((version, body)) = bytes.split_first() else {
            return Err(ValueError::Empty { kind: Self::KIND });
        };
        let decoded = if *version == Self::VERSION {
            Some(bincode::decode_from_slice(body, CONFIG))
        } else {
            Self::from_older(*version, body)
        };
        let decoded = decoded.ok_or(ValueError::Version {
            kind: Self::KIND,
            found: *version,
            known: Self::VERSION,
        })?;
        whole(Self::KIND, body, decoded)
    }
}

/// Appends fields.
fn append(value: &impl Encode, kind: &'static str, bytes: &mut Vec<u8>) -> Result<(), ValueError> {
    bincode::encode_into_std_write(value, bytes, CONFIG)
        .map(drop)
        .map_err(|source| ValueError::Unwritable { kind, source })
}

/// The value of fields. All bytes are used, or it is an error.
fn read<V: Decode<()>>(kind: &'static str, fields: &[u8]) -> Result<V, ValueError> {
    whole(kind, fields, bincode::decode_from_slice(fields, CONFIG))
}

/// The value that was decoded from fields, if it took all of their bytes.
fn whole<V>(
    kind: &'static str,
    fields: &[u8],
    decoded: Result<(V, usize), DecodeError>,
) -> Result<V, ValueError> {
    let (value, used) = decoded.map_err(|source| ValueError::Malformed { kind, source })?;
    match fields.len() - used {
        0 => Ok(value),
        trailing => Err(ValueError::Trailing { kind, trailing }),
    }
}

/// Decodes the fields that a type had in an older version, and makes of them what it is now.
fn upgraded<Old: Decode<()>, New: From<Old>>(body: &[u8]) -> Result<(New, usize), DecodeError> {
    let (old, used): (Old, usize) = bincode::decode_from_slice(body, CONFIG)?;
    Ok((New::from(old), used))
}

/// The error for a variant number that this version does not know.
fn unknown_variant(kind: &'static str, found: u32) -> DecodeError {
    DecodeError::OtherString(format!("variant {found} of {kind} is not known"))
}
