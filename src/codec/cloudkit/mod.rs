//! CloudKit on the wire: framing, messages, the error model, and the formats inside record fields. Nothing here knows
//! keys, zones' meanings or the network.
//!
//! | file | what |
//! |---|---|
//! | `frame` | operations one after another in an HTTP body |
//! | `request`, `response`, `record` | the messages, as `prost` reads and writes them |
//! | `failure` | what an operation's error asks for |
//! | `gzip` | bodies, and members inside record fields |
//! | `wire`, `writer` | protocol buffers that need not follow a schema |
//! | `inner` | the parts of a message record |
//!
//! The messages are written by hand: the numbers and types are all that is on the wire, and the names are those of the
//! community. They follow proto2, so that every scalar is optional and presence matters; enumerations are plain `i32`, so
//! that a value of tomorrow does not spoil an answer. Only what a reader sends or receives is here; writes are not.
//!
//! Source: facts of CloudKit, sections 1, 2 and 3.

mod failure;
mod frame;
mod gzip;
mod inner;
mod record;
mod request;
mod response;
mod wire;
mod writer;

pub use failure::Failure;
pub use failure::reaction;
pub use frame::FrameError;
pub use frame::decode_requests;
pub use frame::decode_responses;
pub use frame::encode_requests;
pub use frame::encode_responses;
pub use frame::frames;
pub use gzip::Deflater;
pub use gzip::GzipError;
pub use gzip::Inflater;
pub use gzip::deflate;
pub use inner::MessagePart;
pub use inner::MessagePart2;
pub use inner::MessagePart4;
pub use record::Asset;
pub use record::Date;
pub use record::EncryptedValue;
pub use record::Field;
pub use record::Identifier;
pub use record::Named;
pub use record::ProtectionInfo;
pub use record::Record;
pub use record::RecordIdentifier;
pub use record::RecordTimes;
pub use record::Reference;
pub use record::SealedField;
pub use record::Value;
pub use record::ValueKind;
pub use record::Zone;
pub use record::ZoneIdentifier;
pub use request::AssetsToDownload;
pub use request::Header;
pub use request::Locale;
pub use request::MmcsHeaders;
pub use request::NamedHeader;
pub use request::Operation;
pub use request::OperationKind;
pub use request::Query;
pub use request::QueryRetrieveRequest;
pub use request::RecordRetrieveRequest;
pub use request::RequestOperation;
pub use request::RequestedFields;
pub use request::RetrieveChangesRequest;
pub use request::RetrieveZoneChangesRequest;
pub use request::ZoneRetrieveRequest;
pub use response::AssetGetResponse;
pub use response::Bundled;
pub use response::Code;
pub use response::OperationError;
pub use response::OperationResult;
pub use response::QueryRetrieveResponse;
pub use response::QueryRow;
pub use response::RecordChange;
pub use response::RecordRetrieveResponse;
pub use response::ResponseOperation;
pub use response::RetrieveChangesResponse;
pub use response::RetrieveZoneChangesResponse;
pub use response::ZoneChange;
pub use response::ZoneRetrieveResponse;
pub use response::ZoneSummary;
pub use wire::Wire;
pub use wire::WireError;
pub use wire::WireFields;
pub use writer::WireWriter;

/// Implements `Debug` that names a message and shows nothing of it: people's texts and addresses, keys and tokens.
macro_rules! opaque {
    ($($name:ident)*) => {
        $(
            impl std::fmt::Debug for $name {
                fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str(concat!(stringify!($name), "(..)"))
                }
            }
        )*
    };
}
pub(crate) use opaque;

#[cfg(test)]
mod tests;
