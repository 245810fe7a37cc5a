//! The body of a request: read whole up to a limit, or piece by piece. It does not look inside.

use bytes::Bytes;
use bytes::BytesMut;
use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::Body as _;
use hyper::body::Incoming;
use thiserror::Error;
use tokio::time::timeout;

use crate::base::limits::REQUEST_BODY_TIMEOUT;
use crate::base::limits::REQUEST_CHUNK_TIMEOUT;

/// Why a body could not be read.
#[derive(Debug, Error)]
pub enum BodyError {
    /// It is larger than allowed. Where the client declared its length, nothing was read.
    #[error("the body is over the limit of {limit_bytes} bytes")]
    TooLarge {
        /// The limit.
        limit_bytes: u64,
    },
    /// The client did not send it in time.
    #[error("the body did not arrive in time")]
    TimedOut,
    /// The connection ended, or what arrived is no HTTP body.
    #[error("the body ended early")]
    Disconnected {
        /// What hyper saw.
        #[source]
        source: hyper::Error,
    },
}

impl BodyError {
    /// The status to answer with, if the client is still there.
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TimedOut => StatusCode::REQUEST_TIMEOUT,
            Self::Disconnected { .. } => StatusCode::BAD_REQUEST,
        }
    }
}

/// A body that has not been read. Dropping it unread ends an HTTP/1.1 connection after the answer.
#[derive(Debug)]
pub struct RequestBody(Source);

#[derive(Debug)]
enum Source {
    Incoming(Incoming),
    Whole(Bytes),
}

impl RequestBody {
    pub(crate) const fn incoming(body: Incoming) -> Self {
        Self(Source::Incoming(body))
    }

    /// A body that is there already: for requests that come from inside the program.
    pub const fn whole(bytes: Bytes) -> Self {
        Self(Source::Whole(bytes))
    }

    /// The length that the client declared, bytes.
    pub fn declared_bytes(&self) -> Option<u64> {
        match &self.0 {
            Source::Incoming(body) => body.size_hint().exact(),
            Source::Whole(bytes) => u64::try_from(bytes.len()).ok(),
        }
    }

    /// The whole body, at most `limit` bytes, within [`REQUEST_BODY_TIMEOUT`].
    ///
    /// # Errors
    /// [`BodyError`].
    ///
    /// # Cancel safety
    /// What was read is lost with the future; the connection ends after the answer.
    pub async fn bytes(self, limit: usize) -> Result<Bytes, BodyError> {
        let mut chunks = self.chunks(u64::try_from(limit).unwrap_or(u64::MAX))?;
        let all = async {
            let Some(first) = chunks.next().await? else {
                return Ok(Bytes::new());
            };
            let Some(second) = chunks.next().await? else {
                return Ok(first);
            };
            let mut all = BytesMut::from(first);
            all.extend_from_slice(&second);
            while let Some(chunk) = chunks.next().await? {
                all.extend_from_slice(&chunk);
            }
            Ok(all.freeze())
        };
        match timeout(REQUEST_BODY_TIMEOUT, all).await {
            Ok(result) => result,
            Err(_elapsed) => Err(BodyError::TimedOut),
        }
    }

    /// The body piece by piece, at most `limit` bytes in all, for uploads.
    ///
    /// # Errors
    /// [`BodyError::TooLarge`] when the client declared more.
    pub fn chunks(self, limit: u64) -> Result<Chunks, BodyError> {
        if self.declared_bytes().is_some_and(|bytes| bytes > limit) {
            return Err(BodyError::TooLarge { limit_bytes: limit });
        }
        Ok(Chunks {
            source: self.0,
            limit,
            left: limit,
        })
    }
}

/// The pieces of a body, in the sizes in which they arrive.
#[derive(Debug)]
pub struct Chunks {
    source: Source,
    limit: u64,
    left: u64,
}

impl Chunks {
    /// The next piece, never empty, or `None` at the end. Each may take [`REQUEST_CHUNK_TIMEOUT`].
    ///
    /// # Errors
    /// [`BodyError`]; after it, nothing more can be read.
    ///
    /// # Cancel safety
    /// Nothing is lost: a piece is taken only when it is returned.
    pub async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        let chunk = match &mut self.source {
            Source::Whole(bytes) => std::mem::take(bytes),
            Source::Incoming(body) => match timeout(REQUEST_CHUNK_TIMEOUT, data(body)).await {
                Ok(chunk) => chunk?,
                Err(_elapsed) => return Err(BodyError::TimedOut),
            },
        };
        if chunk.is_empty() {
            return Ok(None);
        }
        let bytes = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        let Some(left) = self.left.checked_sub(bytes) else {
            return Err(BodyError::TooLarge {
                limit_bytes: self.limit,
            });
        };
        self.left = left;
        Ok(Some(chunk))
    }
}

/// The next data that is not empty; empty at the end.
async fn data(body: &mut Incoming) -> Result<Bytes, BodyError> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|source| BodyError::Disconnected { source })?;
        // Trailers say nothing that we ask for.
        if let Ok(data) = frame.into_data()
            && !data.is_empty()
        {
            return Ok(data);
        }
    }
    Ok(Bytes::new())
}
