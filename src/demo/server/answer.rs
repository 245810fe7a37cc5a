//! Answers: one for each operation, packed, or spoilt as a fault says.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;

use crate::codec::cloudkit::AssetGetResponse;
use crate::codec::cloudkit::Bundled;
use crate::codec::cloudkit::Code;
use crate::codec::cloudkit::Deflater;
use crate::codec::cloudkit::OperationError;
use crate::codec::cloudkit::OperationResult;
use crate::codec::cloudkit::RequestOperation;
use crate::codec::cloudkit::ResponseOperation;
use crate::codec::cloudkit::ZoneRetrieveResponse;
use crate::codec::cloudkit::encode_responses;
use crate::demo::cloud::Cloud;
use crate::demo::cloud::Refusal;
use crate::demo::server::APOLOGY;
use crate::demo::server::PAGE;
use crate::demo::server::fault::Made;
use crate::demo::server::fault::Trouble;
use crate::demo::server::packed;
use crate::demo::server::reader::SlowReader;
use crate::net::HeaderValue;
use crate::net::Response;
use crate::net::StatusCode;

/// Between the last byte of a body that is cut off and the end of the connection.
const CUT_PAUSE: Duration = Duration::from_millis(10);

const SUCCESS: i32 = 1;
const FAILURE: i32 = 3;

const PROTOBUF: HeaderValue = HeaderValue::from_static(
    "application/x-protobuf; desc=\"https://gateway.icloud.com:443/static/protobuf/CloudDB/CloudDBClient.desc\"; \
     messageType=ResponseOperation; delimited=true",
);

/// A body on its way.
pub(super) struct Body {
    bytes: Bytes,
    is_packed: bool,
    trouble: Option<Trouble>,
}

impl Body {
    pub(super) fn send(self) -> Response {
        let is_packed = self.is_packed;
        let whole = move |status, bytes: Bytes| {
            let response = Response::bytes(status, PROTOBUF, bytes);
            if is_packed {
                packed(response)
            } else {
                response
            }
        };
        match self.trouble {
            None => whole(StatusCode::OK, self.bytes),
            Some(trouble) => spoil(&trouble, self.bytes, whole),
        }
    }
}

/// The zone that an operation is about.
pub(super) fn zone(operation: &RequestOperation) -> Option<&str> {
    let zone = operation
        .zone_retrieve
        .as_ref()
        .and_then(|it| it.zone.as_ref());
    let changes = operation.retrieve_changes.as_ref();
    let record = operation.record_retrieve.as_ref();
    let query = operation.query_retrieve.as_ref();
    zone.or_else(|| changes?.zone.as_ref())
        .or_else(|| record?.record.as_ref()?.zone.as_ref())
        .or_else(|| query?.zone.as_ref())?
        .name()
}

/// Answers operations.
pub(super) fn answer(
    cloud: &dyn Cloud,
    operations: &[RequestOperation],
    host: SocketAddr,
    made: Option<Made>,
) -> Body {
    let refusal = made.as_ref().and_then(|made| made.trouble.refusal());
    let of_zone = made.as_ref().and_then(|made| made.zone.as_deref());
    let mut answers: Vec<ResponseOperation> = operations
        .iter()
        .map(|operation| {
            let is_meant = of_zone.is_none() || zone(operation) == of_zone;
            match refusal.filter(|_| is_meant) {
                Some(refusal) => refused(operation, refusal),
                None => perform(cloud, operation, host),
            }
        })
        .collect();
    let trouble = made.map(|made| made.trouble);
    if trouble == Some(Trouble::Shuffled) {
        answers.reverse();
    } else if trouble == Some(Trouble::OneMissing) {
        answers.pop();
    }
    let is_packed = trouble != Some(Trouble::Unpacked);
    let bytes = encode_responses(&answers);
    Body {
        bytes: if is_packed {
            Deflater::default().deflate(&bytes).into()
        } else {
            bytes.into()
        },
        is_packed,
        trouble,
    }
}

fn refused(operation: &RequestOperation, refusal: Refusal) -> ResponseOperation {
    let code = |kind: i32| Code { kind: Some(kind) };
    let error = OperationError {
        client: refusal.client.map(code),
        server: refusal.server.map(code),
        retry_after_seconds: refusal.retry_after,
        description: Some("refused by the loopback".to_owned()),
        key: None,
    };
    ResponseOperation {
        operation: operation.operation.clone(),
        result: Some(OperationResult {
            code: Some(FAILURE),
            error: Some(error),
        }),
        ..ResponseOperation::default()
    }
}

fn perform(cloud: &dyn Cloud, operation: &RequestOperation, host: SocketAddr) -> ResponseOperation {
    let mut answer = ResponseOperation {
        operation: operation.operation.clone(),
        result: Some(OperationResult {
            code: Some(SUCCESS),
            error: None,
        }),
        ..ResponseOperation::default()
    };
    match fill(cloud, operation, host, &mut answer) {
        Ok(assets) => {
            answer.bundled = (!assets.is_empty()).then_some(Bundled { requests: assets });
            answer
        }
        Err(refusal) => refused(operation, refusal),
    }
}

fn fill(
    cloud: &dyn Cloud,
    operation: &RequestOperation,
    host: SocketAddr,
    answer: &mut ResponseOperation,
) -> Result<Vec<AssetGetResponse>, Refusal> {
    if operation.zone_retrieve.is_some() {
        let summary = cloud.zone(zone(operation).unwrap_or_default())?;
        answer.zone_retrieve = Some(ZoneRetrieveResponse {
            zones: vec![summary],
        });
    } else if let Some(request) = &operation.zone_changes {
        answer.zone_changes = Some(cloud.zones(request)?);
    } else if let Some(request) = &operation.retrieve_changes {
        let (page, assets) = cloud.changes(request, host)?;
        answer.retrieve_changes = Some(page);
        return Ok(assets);
    } else if let Some(request) = &operation.record_retrieve {
        let (record, assets) = cloud.record(request, host)?;
        answer.record_retrieve = Some(record);
        return Ok(assets);
    } else if let Some(request) = &operation.query_retrieve {
        answer.query_retrieve = Some(cloud.query(request)?);
    } else {
        return Err(Refusal::client(Refusal::BAD_SYNTAX));
    }
    Ok(Vec::new())
}

/// Sends a body as a fault says; faults that change what is in it are made already.
pub(super) fn spoil(
    trouble: &Trouble,
    bytes: Bytes,
    whole: impl FnOnce(StatusCode, Bytes) -> Response,
) -> Response {
    let length = u64::try_from(bytes.len()).unwrap_or_default();
    match *trouble {
        Trouble::Status {
            status,
            has_page,
            retry_after,
        } => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
            let response = if has_page {
                Response::bytes(status, PAGE, APOLOGY)
            } else {
                Response::empty(status)
            };
            match retry_after {
                Some(seconds) => response.with_retry_after(Duration::from_secs(seconds)),
                None => response,
            }
        }
        Trouble::Page => Response::bytes(StatusCode::OK, PAGE, APOLOGY),
        Trouble::Cut(hundredths) => {
            let kept = length.saturating_mul(hundredths.min(99)) / 100;
            let kept = usize::try_from(kept).unwrap_or_default();
            let reader = SlowReader::new(bytes.slice(..kept.min(bytes.len())), 1, CUT_PAUSE);
            streamed(whole(StatusCode::OK, Bytes::new()), reader, length)
        }
        Trouble::Slow { pieces, pause } => {
            let reader = SlowReader::new(bytes, pieces, pause);
            streamed(whole(StatusCode::OK, Bytes::new()), reader, length)
        }
        Trouble::Stalled => {
            let reader = SlowReader::stalled(bytes);
            streamed(whole(StatusCode::OK, Bytes::new()), reader, length)
        }
        Trouble::BitFlip => {
            let mut changed = bytes.to_vec();
            let at = changed.len() / 3;
            if let Some(byte) = changed.get_mut(at) {
                *byte ^= 0x10;
            }
            whole(StatusCode::OK, changed.into())
        }
        Trouble::Refused(_)
        | Trouble::Reset(_)
        | Trouble::Shuffled
        | Trouble::OneMissing
        | Trouble::Unpacked => whole(StatusCode::OK, bytes),
    }
}

/// The headers of a response with a body that comes from a reader.
fn streamed(
    head: Response,
    reader: impl tokio::io::AsyncRead + Send + 'static,
    length: u64,
) -> Response {
    let mut response = Response::stream(StatusCode::OK, PROTOBUF, reader, length);
    response.headers = head.headers;
    response
}
