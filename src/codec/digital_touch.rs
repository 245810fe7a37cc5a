//! The payload of a Digital Touch balloon: drawings and heartbeats, in protocol buffers. Only the kind is read; the
//! strokes stay in the raw bytes.
//!
//! | field | type | meaning |
//! |---|---|---|
//! | 1 | varint | kind: 3 heartbeat, 4 sketch, 8 fireball |
//! | 2 | fixed64 | 0 |
//! | 3 | message | what was drawn; of a heartbeat, field 6 is the float at which the heart breaks, 0 if it does not |
//! | 4 | fixed32 | color |
//! | 5 | text | the balloon's UUID |
//! | 7 | fixed64 | 0 |
//!
//! Source: `[obs]` four payloads; `tests/vectors.rs`.

use std::fmt;

use prost::Message;

use crate::base::limits;

/// Length of a UUID with dashes.
const UUID_BYTES: usize = 36;

#[derive(Clone, PartialEq, Message)]
struct Payload {
    #[prost(uint32, tag = "1")]
    kind: u32,
    #[prost(bytes = "vec", tag = "3")]
    content: Vec<u8>,
    #[prost(string, tag = "5")]
    uuid: String,
}

#[derive(Clone, PartialEq, Message)]
struct Heartbeat {
    #[prost(float, tag = "6")]
    breaks_at: f32,
}

/// What kind of Digital Touch a payload is.
///
/// `None` when the bytes are something else.
pub fn decode(bytes: &[u8]) -> Option<DigitalTouch> {
    if bytes.len() > limits::BLOB_BYTES {
        return None;
    }
    let payload = Payload::decode(bytes).ok()?;
    if payload.kind == 0 || payload.uuid.len() != UUID_BYTES {
        return None;
    }
    Some(match payload.kind {
        3 => match Heartbeat::decode(payload.content.as_slice()) {
            Ok(heartbeat) if heartbeat.breaks_at > 0.0 => DigitalTouch::Heartbreak,
            Ok(_) | Err(_) => DigitalTouch::Heartbeat,
        },
        4 => DigitalTouch::Sketch,
        8 => DigitalTouch::Fireball,
        other => DigitalTouch::Other(other),
    })
}

/// A kind of Digital Touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigitalTouch {
    /// A heart that beats.
    Heartbeat,
    /// A heart that beats and breaks.
    Heartbreak,
    /// A drawing.
    Sketch,
    /// A ball of fire.
    Fireball,
    /// A kind that this version does not know, by its number.
    Other(u32),
}

/// Its name in the export.
impl fmt::Display for DigitalTouch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Heartbeat => f.write_str("heartbeat"),
            Self::Heartbreak => f.write_str("heartbreak"),
            Self::Sketch => f.write_str("sketch"),
            Self::Fireball => f.write_str("fireball"),
            Self::Other(kind) => write!(f, "kind-{kind}"),
        }
    }
}

#[cfg(test)]
pub(crate) fn encode(kind: u32, breaks_at: f32) -> Vec<u8> {
    Payload {
        kind,
        content: Heartbeat { breaks_at }.encode_to_vec(),
        uuid: "0AC74C8E-BEF0-4AB5-97C9-C35DADE5EC65".to_owned(),
    }
    .encode_to_vec()
}

#[cfg(test)]
mod tests {
    use super::DigitalTouch;
    use super::decode;
    use super::encode;

    #[test]
    fn kinds_have_their_numbers() {
        assert_eq!(decode(&encode(4, 0.0)), Some(DigitalTouch::Sketch));
        assert_eq!(decode(&encode(8, 0.0)), Some(DigitalTouch::Fireball));
        assert_eq!(decode(&encode(5, 0.0)), Some(DigitalTouch::Other(5)));
    }

    #[test]
    fn a_heart_that_breaks_is_no_other_kind() {
        assert_eq!(decode(&encode(3, 0.0)), Some(DigitalTouch::Heartbeat));
        assert_eq!(decode(&encode(3, 1.5)), Some(DigitalTouch::Heartbreak));
    }

    #[test]
    fn other_bytes_are_no_digital_touch() {
        assert_eq!(decode(b""), None);
        assert_eq!(decode(b"bplist00"), None);
        assert_eq!(decode(&[0x08, 0x04]), None);
    }
}
