//! What the server answers.

use bytes::Bytes;
use prost::Message;

use crate::codec::cloudkit::NamedHeader;
use crate::codec::cloudkit::Operation;
use crate::codec::cloudkit::Record;
use crate::codec::cloudkit::RecordIdentifier;
use crate::codec::cloudkit::Zone;
use crate::codec::cloudkit::ZoneIdentifier;
use crate::codec::cloudkit::opaque;

/// The answer to one operation.
#[derive(Clone, PartialEq, Message)]
pub struct ResponseOperation {
    /// Which operation is answered.
    #[prost(message, optional, tag = "2")]
    pub operation: Option<Operation>,
    /// Whether it succeeded.
    #[prost(message, optional, tag = "3")]
    pub result: Option<OperationResult>,
    /// What goes with assets in the answer.
    #[prost(message, optional, tag = "4")]
    pub bundled: Option<Bundled>,
    /// The keys of a zone.
    #[prost(message, optional, tag = "201")]
    pub zone_retrieve: Option<ZoneRetrieveResponse>,
    /// The zones that changed.
    #[prost(message, optional, tag = "203")]
    pub zone_changes: Option<RetrieveZoneChangesResponse>,
    /// A record.
    #[prost(message, optional, tag = "211")]
    pub record_retrieve: Option<RecordRetrieveResponse>,
    /// The changes of a zone.
    #[prost(message, optional, tag = "213")]
    pub retrieve_changes: Option<RetrieveChangesResponse>,
    /// The answer to a query.
    #[prost(message, optional, tag = "220")]
    pub query_retrieve: Option<QueryRetrieveResponse>,
}

impl ResponseOperation {
    /// Reads the answer in one frame.
    ///
    /// # Errors
    /// What prost says is wrong with it.
    pub fn read(frame: Bytes) -> Result<Self, prost::DecodeError> {
        Self::decode(frame)
    }

    /// The id of the operation that is answered; empty if the answer has none.
    pub fn id(&self) -> &str {
        let operation = self.operation.as_ref();
        operation
            .and_then(|operation| operation.id.as_deref())
            .unwrap_or_default()
    }
}

/// Whether an operation succeeded.
#[derive(Clone, PartialEq, Message)]
pub struct OperationResult {
    /// 1 success, 2 partial, 3 failure, 4 not known.
    #[prost(int32, optional, tag = "1")]
    pub code: Option<i32>,
    /// What is wrong.
    #[prost(message, optional, tag = "2")]
    pub error: Option<OperationError>,
}

/// A number in a message of its own.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct Code {
    /// The number.
    #[prost(int32, optional, tag = "1")]
    pub kind: Option<i32>,
}

/// What is wrong with an operation.
#[derive(Clone, PartialEq, Message)]
pub struct OperationError {
    /// The fault is the client's.
    #[prost(message, optional, tag = "1")]
    pub client: Option<Code>,
    /// The fault is the server's.
    #[prost(message, optional, tag = "2")]
    pub server: Option<Code>,
    /// When to ask again.
    #[prost(int32, optional, tag = "3")]
    pub retry_after_seconds: Option<i32>,
    /// The server's words.
    #[prost(string, optional, tag = "4")]
    pub description: Option<String>,
    /// Names this occurrence.
    #[prost(string, optional, tag = "5")]
    pub key: Option<String>,
}

/// What goes with assets in an answer.
#[derive(Clone, PartialEq, Message)]
pub struct Bundled {
    /// Instructions for downloads.
    #[prost(message, repeated, tag = "1")]
    pub requests: Vec<AssetGetResponse>,
}

/// Instructions for the download of an asset, found by its `bundled_request_id`.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct AssetGetResponse {
    /// The id that the asset names.
    #[prost(string, optional, tag = "1")]
    pub asset_id: Option<String>,
    /// An answer of MMCS ([`codec::mmcs`](crate::codec::mmcs)).
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub body: Option<Bytes>,
    /// Headers of that answer.
    #[prost(message, repeated, tag = "3")]
    pub headers: Vec<NamedHeader>,
}

/// The keys of a zone.
#[derive(Clone, PartialEq, Message)]
pub struct ZoneRetrieveResponse {
    /// The zones.
    #[prost(message, repeated, tag = "1")]
    pub zones: Vec<ZoneSummary>,
}

/// A zone and where its feed is.
#[derive(Clone, PartialEq, Message)]
pub struct ZoneSummary {
    /// The zone.
    #[prost(message, optional, tag = "1")]
    pub zone: Option<Zone>,
    /// The position at the end of its feed.
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub token: Option<Bytes>,
}

/// The zones that changed.
#[derive(Clone, PartialEq, Message)]
pub struct RetrieveZoneChangesResponse {
    /// The zones.
    #[prost(message, repeated, tag = "1")]
    pub changes: Vec<ZoneChange>,
    /// The position behind them.
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub token: Option<Bytes>,
    /// 2 when these are all. It is another number than that of a zone's feed.
    #[prost(int32, optional, tag = "3")]
    pub status: Option<i32>,
}

impl RetrieveZoneChangesResponse {
    /// The status when there are no more.
    pub const CAUGHT_UP: i32 = 2;
}

/// A zone that changed.
#[derive(Clone, PartialEq, Message)]
pub struct ZoneChange {
    /// The zone.
    #[prost(message, optional, tag = "1")]
    pub zone: Option<ZoneIdentifier>,
    /// The kind of change; its numbers are not known.
    #[prost(int32, optional, tag = "2")]
    pub kind: Option<i32>,
}

/// A page of a zone's feed.
#[derive(Clone, PartialEq, Message)]
pub struct RetrieveChangesResponse {
    /// The changes, each a [`RecordChange`] that is read by itself: one that is broken does not spoil the page.
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub changes: Vec<Bytes>,
    /// The position behind the page.
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub token: Option<Bytes>,
    /// 3 at the end of the feed; every other value means that there is more.
    #[prost(int32, optional, tag = "4")]
    pub status: Option<i32>,
}

impl RetrieveChangesResponse {
    /// The status at the end of the feed.
    pub const CAUGHT_UP: i32 = 3;
}

/// A record that was changed; without a record it was deleted.
#[derive(Clone, PartialEq, Message)]
pub struct RecordChange {
    /// The record's name and zone.
    #[prost(message, optional, tag = "1")]
    pub identifier: Option<RecordIdentifier>,
    /// Its version.
    #[prost(string, optional, tag = "2")]
    pub etag: Option<String>,
    /// The kind of change; its numbers are not known.
    #[prost(int32, optional, tag = "4")]
    pub kind: Option<i32>,
    /// The record as it is now.
    #[prost(message, optional, tag = "5")]
    pub record: Option<Record>,
}

impl RecordChange {
    /// Reads one change of a page.
    ///
    /// # Errors
    /// What prost says is wrong with it.
    pub fn read(bytes: Bytes) -> Result<Self, prost::DecodeError> {
        Self::decode(bytes)
    }

    /// The change as a page holds it.
    pub fn write(&self) -> Bytes {
        self.encode_to_vec().into()
    }

    /// The record's name, whichever part of the change says it.
    pub fn name(&self) -> Option<&str> {
        let identifier = self.identifier.as_ref();
        identifier
            .and_then(RecordIdentifier::name)
            .or_else(|| self.record.as_ref()?.name())
    }
}

/// A record that was asked for by name.
#[derive(Clone, PartialEq, Message)]
pub struct RecordRetrieveResponse {
    /// The record.
    #[prost(message, optional, tag = "1")]
    pub record: Option<Record>,
}

/// Records that were asked for by a query.
#[derive(Clone, PartialEq, Message)]
pub struct QueryRetrieveResponse {
    /// The records.
    #[prost(message, repeated, tag = "1")]
    pub rows: Vec<QueryRow>,
    /// Where the answer ended, if there is more.
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub marker: Option<Bytes>,
}

/// A record that a query found.
#[derive(Clone, PartialEq, Message)]
pub struct QueryRow {
    /// The record's name and zone.
    #[prost(message, optional, tag = "1")]
    pub identifier: Option<RecordIdentifier>,
    /// Its version.
    #[prost(string, optional, tag = "2")]
    pub etag: Option<String>,
    /// The record.
    #[prost(message, optional, tag = "4")]
    pub record: Option<Record>,
}

opaque! { AssetGetResponse }
