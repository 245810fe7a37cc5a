//! Records of CloudKit, in clear, to changes.
//!
//! A message record is what Messages would write into chat.db, packed differently: the same numbers, texts, typedstreams
//! and property lists. So it is unpacked into the row that chat.db would have, and the decoder of chat.db reads that: both
//! sources give one message, and what one of them learns the other knows.
//!
//! Nothing here fails: what cannot be decoded is named in `unreadable`, with the field, and the record goes along.
//!
//! | file | what it does |
//! |---|---|
//! | `record` | a record off the wire to one that is kept |
//! | `fields` | reads fields, and notes those that are not what they should be |
//! | `message` | `MessageEncryptedV3`, `recoverableMessage` |
//! | `chat` | `chatEncryptedv2` |
//! | `attachment` | `attachment` |
//! | `placement` | the conversation of a message |
//!
//! Source: facts of CloudKit, 3; DS-1 to DS-16; D32.

mod attachment;
mod chat;
mod fields;
mod message;
mod placement;
mod record;

pub use attachment::join;
pub use record::record;

use crate::codec::cloudkit::Inflater;
use crate::decode::chatdb::Directory;
use crate::model::change::CloudChange;
use crate::model::record::CloudRecord;

/// What this decoder makes of a record. Another number decodes every stored record again.
pub const DECODER_VERSION: u32 = 1;

const MESSAGE: &str = "MessageEncryptedV3";
const RECOVERABLE_MESSAGE: &str = "recoverableMessage";
const CHAT: &str = "chatEncryptedv2";
const ATTACHMENT: &str = "attachment";

/// Ends the name of the zones that hold what is in Recently Deleted.
const RECOVERABLE_ZONE: &str = "ecoverableMessageDeleteZone";

/// Fields by which a record of an unknown type in Recently Deleted is known for a chat.
const CHAT_FIELDS: [&str; 6] = ["stl", "cid", "gid", "ptcpts", "name", "lah"];

/// Decodes records one after another.
#[derive(Default)]
pub struct Decoder {
    people: Directory,
    inflater: Inflater,
}

impl Decoder {
    /// With what one must know besides a record to say who is meant by an address.
    pub fn new(people: Directory) -> Self {
        Self {
            people,
            inflater: Inflater::default(),
        }
    }

    /// What a record means. The type decides; in Recently Deleted, where types vary, the fields do.
    pub fn decode(&mut self, record: CloudRecord) -> CloudChange {
        let is_recoverable = record.zone.ends_with(RECOVERABLE_ZONE);
        let has_chat_field = || CHAT_FIELDS.iter().any(|field| record.get(field).is_some());
        match record.kind.as_str() {
            MESSAGE | RECOVERABLE_MESSAGE => {
                let is_recoverable = is_recoverable || record.kind == RECOVERABLE_MESSAGE;
                let message =
                    message::decode(record, &self.people, &mut self.inflater, is_recoverable);
                CloudChange::Message(Box::new(message))
            }
            ATTACHMENT => {
                CloudChange::Attachment(Box::new(attachment::decode(record, &mut self.inflater)))
            }
            CHAT => CloudChange::Chat(Box::new(chat::decode(record, is_recoverable))),
            _ if is_recoverable && has_chat_field() => {
                CloudChange::Chat(Box::new(chat::decode(record, is_recoverable)))
            }
            _ => CloudChange::Foreign(record),
        }
    }
}

#[cfg(test)]
mod tests;
