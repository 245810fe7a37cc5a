//! Operations in an HTTP body: `uleb128(length) || message`, one after another, until the body ends.
//!
//! Source: facts of CloudKit, 1.4.

use bytes::Bytes;
use prost::Message;

use crate::base::limits;
use crate::codec::cloudkit::RequestOperation;
use crate::codec::cloudkit::ResponseOperation;

/// A length of 64 bits needs no more.
const LENGTH_BYTES: usize = 10;

/// Cuts a body into its frames. Nothing is copied: frames share the body's memory.
///
/// # Errors
/// [`FrameError`], with the offset of the frame that is wrong. A body that ends inside a frame is refused whole: an
/// answer that was cut off must not look like a short one.
pub fn frames(body: &Bytes) -> Result<Vec<Bytes>, FrameError> {
    let mut found = Vec::new();
    let mut offset = 0_usize;
    while let Some(rest) = body.get(offset..).filter(|rest| !rest.is_empty()) {
        if found.len() >= limits::CLOUDKIT_FRAMES {
            return Err(FrameError::TooMany {
                limit: limits::CLOUDKIT_FRAMES,
            });
        }
        let (length, start) = length(rest).ok_or(FrameError::Length { offset })?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > limits::CLOUDKIT_FRAME_BYTES {
            return Err(FrameError::TooLarge {
                offset,
                limit: limits::CLOUDKIT_FRAME_BYTES,
            });
        }
        let start = offset.saturating_add(start);
        let end = start.saturating_add(length);
        if end > body.len() {
            return Err(FrameError::Truncated { offset });
        }
        found.push(body.slice(start..end));
        offset = end;
    }
    Ok(found)
}

/// The length at the beginning of bytes, and how many bytes it takes.
fn length(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0_u64;
    let mut shift = 0_u32;
    for (at, byte) in (1..).zip(bytes.iter().take(LENGTH_BYTES)) {
        let digits = u64::from(byte & 0x7f);
        // The tenth byte has one bit left.
        if shift == 63 && digits > 1 {
            return None;
        }
        value |= digits.wrapping_shl(shift);
        if byte & 0x80 == 0 {
            return Some((value, at));
        }
        shift = shift.saturating_add(7);
    }
    None
}

/// Reads the operations of a request's body, as a server does.
///
/// # Errors
/// [`FrameError`] when the framing or a message is broken.
pub fn decode_requests(body: &Bytes) -> Result<Vec<RequestOperation>, FrameError> {
    decode(body)
}

/// Reads the operations of an answer's body. They are matched to their requests by operation id, never by position.
///
/// # Errors
/// [`FrameError`] when the framing or a message is broken.
pub fn decode_responses(body: &Bytes) -> Result<Vec<ResponseOperation>, FrameError> {
    decode(body)
}

fn decode<M: Message + Default>(body: &Bytes) -> Result<Vec<M>, FrameError> {
    let mut found = Vec::new();
    for (number, frame) in frames(body)?.into_iter().enumerate() {
        let message = M::decode(frame).map_err(|source| FrameError::Message { number, source })?;
        found.push(message);
    }
    Ok(found)
}

/// Writes the body of a request.
pub fn encode_requests(operations: &[RequestOperation]) -> Vec<u8> {
    encode(operations)
}

/// Writes the body of an answer, as a server does.
pub fn encode_responses(operations: &[ResponseOperation]) -> Vec<u8> {
    encode(operations)
}

fn encode<M: Message>(operations: &[M]) -> Vec<u8> {
    let mut body = Vec::new();
    for operation in operations {
        body.extend_from_slice(&operation.encode_length_delimited_to_vec());
    }
    body
}

/// Why a body has no operations that can be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The length of a frame is no number.
    #[error("expected the length of a frame at byte {offset}")]
    Length {
        /// Where the frame begins.
        offset: usize,
    },
    /// A frame is longer than this program is willing to hold.
    #[error("a frame at byte {offset} is over the limit of {limit} bytes")]
    TooLarge {
        /// Where the frame begins.
        offset: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The body ends inside a frame.
    #[error("the body ends inside the frame at byte {offset}")]
    Truncated {
        /// Where the frame begins.
        offset: usize,
    },
    /// There are more frames than a client ever asked for.
    #[error("more than {limit} frames in a body")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// A frame holds something else than an operation.
    #[error("expected an operation in frame {number}")]
    Message {
        /// The frame's number, from 0.
        number: usize,
        /// What is wrong with it.
        #[source]
        source: prost::DecodeError,
    },
}
