//! The payload of a handwriting balloon: strokes in protocol buffers, compressed. Only recognised; the strokes stay in
//! the raw bytes.
//!
//! | field | type | meaning |
//! |---|---|---|
//! | 2 | fixed64 | when it was drawn |
//! | 3 | text | the balloon's UUID |
//! | 4 | message | the drawing |
//!
//! Source: `[obs]` two payloads; `tests/vectors.rs`.

use prost::Message;

use crate::base::limits;

/// Length of a UUID with dashes.
const UUID_BYTES: usize = 36;

#[derive(Clone, PartialEq, Message)]
struct Payload {
    #[prost(uint32, optional, tag = "1")]
    kind: Option<u32>,
    #[prost(fixed64, tag = "2")]
    drawn: u64,
    #[prost(string, tag = "3")]
    uuid: String,
    #[prost(bytes = "vec", tag = "4")]
    drawing: Vec<u8>,
}

/// Whether a payload is handwriting.
pub fn is_handwriting(bytes: &[u8]) -> bool {
    bytes.len() <= limits::BLOB_BYTES
        && Payload::decode(bytes).is_ok_and(|payload| {
            payload.kind.is_none()
                && payload.uuid.len() == UUID_BYTES
                && !payload.drawing.is_empty()
        })
}

#[cfg(test)]
pub(crate) fn encode() -> Vec<u8> {
    Payload {
        kind: None,
        drawn: 1,
        uuid: "0AC74C8E-BEF0-4AB5-97C9-C35DADE5EC65".to_owned(),
        drawing: b"\x12\x04\0\0\0\0".to_vec(),
    }
    .encode_to_vec()
}

#[cfg(test)]
mod tests {
    use super::encode;
    use super::is_handwriting;
    use crate::codec::digital_touch;

    #[test]
    fn handwriting_is_told_from_digital_touch() {
        let handwriting = encode();
        let touch = digital_touch::encode(4, 0.0);

        assert!(is_handwriting(&handwriting));
        assert_eq!(digital_touch::decode(&handwriting), None);
        assert!(!is_handwriting(&touch));
        assert!(!is_handwriting(b""));
    }
}
