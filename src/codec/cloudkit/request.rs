//! What a client asks. Only reading is here.

use bytes::Bytes;
use prost::Message;

use crate::codec::cloudkit::Identifier;
use crate::codec::cloudkit::Named;
use crate::codec::cloudkit::RecordIdentifier;
use crate::codec::cloudkit::ZoneIdentifier;
use crate::codec::cloudkit::opaque;

/// One operation of a request.
#[derive(Clone, PartialEq, Message)]
pub struct RequestOperation {
    /// Who asks; in the first operation of a request only.
    #[prost(message, optional, tag = "1")]
    pub header: Option<Header>,
    /// Which operation it is.
    #[prost(message, optional, tag = "2")]
    pub operation: Option<Operation>,
    /// Asks for the keys of a zone.
    #[prost(message, optional, tag = "201")]
    pub zone_retrieve: Option<ZoneRetrieveRequest>,
    /// Asks which zones changed.
    #[prost(message, optional, tag = "203")]
    pub zone_changes: Option<RetrieveZoneChangesRequest>,
    /// Asks for records by name.
    #[prost(message, optional, tag = "211")]
    pub record_retrieve: Option<RecordRetrieveRequest>,
    /// Asks for the changes of a zone.
    #[prost(message, optional, tag = "213")]
    pub retrieve_changes: Option<RetrieveChangesRequest>,
    /// Asks for records by their content.
    #[prost(message, optional, tag = "220")]
    pub query_retrieve: Option<QueryRetrieveRequest>,
}

/// The kinds of operations of a reader; the numbers are those of their fields too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationKind {
    /// The keys of a zone.
    ZoneRetrieve,
    /// Records by name.
    RecordRetrieve,
    /// The changes of a zone.
    RetrieveChanges,
    /// Records by their content.
    QueryRetrieve,
}

impl OperationKind {
    /// Its number on the wire.
    pub const fn number(self) -> i32 {
        match self {
            Self::ZoneRetrieve => 201,
            Self::RecordRetrieve => 211,
            Self::RetrieveChanges => 213,
            Self::QueryRetrieve => 220,
        }
    }
}

/// Which operation it is. The answer has the same id.
#[derive(Clone, PartialEq, Message)]
pub struct Operation {
    /// A UUID in upper case.
    #[prost(string, optional, tag = "1")]
    pub id: Option<String>,
    /// An [`OperationKind`].
    #[prost(int32, optional, tag = "2")]
    pub kind: Option<i32>,
    /// Whether the server answers in turn.
    #[prost(bool, optional, tag = "3")]
    pub synchronous: Option<bool>,
    /// Whether it is the last one of the request.
    #[prost(bool, optional, tag = "4")]
    pub last: Option<bool>,
}

/// Who asks.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct Header {
    /// The container.
    #[prost(string, optional, tag = "2")]
    pub container: Option<String>,
    /// The bundle id of the program.
    #[prost(string, optional, tag = "3")]
    pub bundle: Option<String>,
    /// The device's UUID.
    #[prost(message, optional, tag = "7")]
    pub device: Option<Identifier>,
    /// The system's version.
    #[prost(string, optional, tag = "8")]
    pub software_version: Option<String>,
    /// The device's model.
    #[prost(string, optional, tag = "9")]
    pub hardware_version: Option<String>,
    /// The name of the program that speaks.
    #[prost(string, optional, tag = "10")]
    pub library: Option<String>,
    /// Its version.
    #[prost(string, optional, tag = "11")]
    pub library_version: Option<String>,
    /// The key of flow control.
    #[prost(string, optional, tag = "12")]
    pub flow_key: Option<String>,
    /// Its budget.
    #[prost(uint64, optional, tag = "13")]
    pub flow_budget: Option<u64>,
    /// Its cap.
    #[prost(uint64, optional, tag = "14")]
    pub flow_cap: Option<u64>,
    /// How it regenerates.
    #[prost(float, optional, tag = "15")]
    pub flow_regeneration: Option<f32>,
    /// Language and region.
    #[prost(message, optional, tag = "17")]
    pub locale: Option<Locale>,
    /// The version of MMCS.
    #[prost(string, optional, tag = "18")]
    pub mmcs_version: Option<String>,
    /// The environment: 1 is production.
    #[prost(int32, optional, tag = "19")]
    pub environment: Option<i32>,
    /// The device's name.
    #[prost(string, optional, tag = "21")]
    pub device_name: Option<String>,
    /// The device's UDID.
    #[prost(string, optional, tag = "22")]
    pub hardware_id: Option<String>,
    /// The database: 1 private, 2 public, 3 shared.
    #[prost(int32, optional, tag = "23")]
    pub database: Option<i32>,
    /// What fails together: 1 zone, 2 operation.
    #[prost(int32, optional, tag = "25")]
    pub isolation: Option<i32>,
    /// The group of operations.
    #[prost(string, optional, tag = "26")]
    pub group: Option<String>,
    /// Unknown, 0.
    #[prost(int32, optional, tag = "29")]
    pub unknown_29: Option<i32>,
    /// What a download of assets will say.
    #[prost(message, optional, tag = "30")]
    pub mmcs_headers: Option<MmcsHeaders>,
    /// Unknown names.
    #[prost(string, repeated, tag = "31")]
    pub tags: Vec<String>,
    /// Forty digits that stay the same on a device.
    #[prost(string, optional, tag = "32")]
    pub device_digest: Option<String>,
    /// The device's serial number.
    #[prost(string, optional, tag = "33")]
    pub serial: Option<String>,
    /// Unknown, 0.
    #[prost(int32, optional, tag = "34")]
    pub unknown_34: Option<i32>,
    /// Unknown, 1.
    #[prost(int32, optional, tag = "35")]
    pub unknown_35: Option<i32>,
}

/// Language and region.
#[derive(Clone, PartialEq, Message)]
pub struct Locale {
    /// Two letters.
    #[prost(string, optional, tag = "1")]
    pub language: Option<String>,
    /// Two letters.
    #[prost(string, optional, tag = "2")]
    pub region: Option<String>,
}

/// An HTTP header in a message.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct NamedHeader {
    /// Its name.
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    /// Its value.
    #[prost(string, optional, tag = "2")]
    pub value: Option<String>,
}

/// What a download of assets will say.
#[derive(Clone, PartialEq, Message)]
pub struct MmcsHeaders {
    /// The headers.
    #[prost(message, repeated, tag = "1")]
    pub headers: Vec<NamedHeader>,
    /// Unknown, 0.
    #[prost(int32, optional, tag = "2")]
    pub unknown_2: Option<i32>,
}

/// Asks for the keys of a zone.
#[derive(Clone, PartialEq, Message)]
pub struct ZoneRetrieveRequest {
    /// The zone.
    #[prost(message, optional, tag = "1")]
    pub zone: Option<ZoneIdentifier>,
}

/// Asks which zones changed after a position.
#[derive(Clone, PartialEq, Message)]
pub struct RetrieveZoneChangesRequest {
    /// The position; absent for the beginning.
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub token: Option<Bytes>,
    /// How many zones at most.
    #[prost(uint32, optional, tag = "2")]
    pub max_zones: Option<u32>,
}

/// The fields that are wanted; none named means all.
#[derive(Clone, PartialEq, Message)]
pub struct RequestedFields {
    /// Their names.
    #[prost(message, repeated, tag = "1")]
    pub fields: Vec<Named>,
}

/// The assets whose downloads are to be prepared.
#[derive(Clone, PartialEq, Message)]
pub struct AssetsToDownload {
    /// All of them.
    #[prost(bool, optional, tag = "1")]
    pub all: Option<bool>,
    /// Those of these fields.
    #[prost(message, optional, tag = "2")]
    pub fields: Option<RequestedFields>,
}

/// Asks for the changes of a zone after a position.
#[derive(Clone, PartialEq, Message)]
pub struct RetrieveChangesRequest {
    /// The position; absent for the beginning.
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub token: Option<Bytes>,
    /// The zone.
    #[prost(message, optional, tag = "2")]
    pub zone: Option<ZoneIdentifier>,
    /// The fields that are wanted.
    #[prost(message, optional, tag = "3")]
    pub fields: Option<RequestedFields>,
    /// How many changes at most.
    #[prost(uint32, optional, tag = "4")]
    pub max_changes: Option<u32>,
    /// Which kinds of changes; 3.
    #[prost(int32, optional, tag = "5")]
    pub change_types: Option<i32>,
    /// Assets whose downloads are to be prepared.
    #[prost(message, optional, tag = "6")]
    pub assets: Option<AssetsToDownload>,
    /// Whether the newest come first.
    #[prost(bool, optional, tag = "7")]
    pub newest_first: Option<bool>,
    /// Whether changes made by this device are left out.
    #[prost(bool, optional, tag = "8")]
    pub ignore_own: Option<bool>,
}

/// Asks for a record by its name.
#[derive(Clone, PartialEq, Message)]
pub struct RecordRetrieveRequest {
    /// The record.
    #[prost(message, optional, tag = "1")]
    pub record: Option<RecordIdentifier>,
    /// The fields that are wanted.
    #[prost(message, optional, tag = "2")]
    pub fields: Option<RequestedFields>,
    /// Assets whose downloads are to be prepared.
    #[prost(message, optional, tag = "6")]
    pub assets: Option<AssetsToDownload>,
}

/// Asks for records by their type.
#[derive(Clone, PartialEq, Message)]
pub struct QueryRetrieveRequest {
    /// What is asked for.
    #[prost(message, optional, tag = "1")]
    pub query: Option<Query>,
    /// Where an earlier answer ended.
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub marker: Option<Bytes>,
    /// How many at most.
    #[prost(uint32, optional, tag = "3")]
    pub limit: Option<u32>,
    /// In which zone.
    #[prost(message, optional, tag = "4")]
    pub zone: Option<ZoneIdentifier>,
}

/// What a query asks for; without filters it is all records of the types.
#[derive(Clone, PartialEq, Message)]
pub struct Query {
    /// The record types.
    #[prost(message, repeated, tag = "1")]
    pub types: Vec<Named>,
}

opaque! { Header NamedHeader }
