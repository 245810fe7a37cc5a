//! Event ids that say which event they name (D18), so that the endpoint needs no index and no ledger.
//!
//! `$` and base64url without padding of 32 bytes:
//!
//! | bytes | content |
//! |---|---|
//! | 0..16 | GUID of the message; its hash where it is no UUID ([`Guid::key`]) |
//! | 16..20 | the first bytes of SHA-256(room id) |
//! | 20 | kind in the low four bits, incarnation in the high four |
//! | 21..23 | part, big endian |
//! | 23..25 | piece, big endian |
//! | 25..32 | the first bytes of SHA-256(room id, bytes 0..25) |
//!
//! The incarnation rises when a deleted message is restored, and when a message leaves a room: clients never show an id
//! again that they saw redacted.
//!
//! What part and piece are:
//!
//! | kind | part | piece |
//! |---|---|---|
//! | part of a message | the part's number, or one of `content::outline` | 0 and on for the pieces of a text, 256 and on for files shown inside it |
//! | edit | the part's number | the version |
//! | unsend, tapback removal, deletion | those of the redacted event | likewise; 0x8000 is added for an edit, 0x4000 for a failure |
//! | state | its place in [`crate::matrix::state`] | the version, modulo 65,536 |
//! | others | 0 | 0 |

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::Digest;

use crate::base::ids::Guid;
use crate::matrix::ids::RoomId;

/// Characters of an event id after the `$`.
const CHARACTERS: usize = 43;

/// What an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum EventKind {
    /// A part of a message.
    Part = 0,
    /// A tapback.
    Reaction = 1,
    /// Something that happened to the conversation: a state event or a notice.
    Announcement = 2,
    /// A later text of a part.
    Edit = 3,
    /// The redaction of a part that was taken back.
    Unsend = 4,
    /// The redaction of a tapback, under the GUID of the row that ended it.
    TapbackRemoval = 5,
    /// The redaction of what the owner deleted.
    Deletion = 6,
    /// State that no message brought.
    State = 7,
    /// Made here: no source has it, or not yet (`event_guid`, D18).
    Local = 8,
    /// The notice that a message was not delivered.
    Failure = 9,
}

impl EventKind {
    /// Every kind, by its number.
    const ALL: [Self; 10] = [
        Self::Part,
        Self::Reaction,
        Self::Announcement,
        Self::Edit,
        Self::Unsend,
        Self::TapbackRemoval,
        Self::Deletion,
        Self::State,
        Self::Local,
        Self::Failure,
    ];

    /// Whether a timeline shows it in a place of its own, not at the event that it is about. Of the others a client that
    /// does not hold that event has nowhere to go to.
    pub fn stands_alone(self) -> bool {
        match self {
            Self::Part | Self::Announcement | Self::State | Self::Local | Self::Failure => true,
            Self::Reaction | Self::Edit | Self::Unsend | Self::TapbackRemoval | Self::Deletion => {
                false
            }
        }
    }
}

/// How often a message was restored after its deletion, or moved: 0 to 15. The sixteenth time shows the fifteenth's ids
/// again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(u8);

impl Incarnation {
    /// From the store; what is over 15 is 15.
    pub fn new(number: u8) -> Self {
        Self(number.min(15))
    }

    /// For the store.
    pub fn number(self) -> u8 {
        self.0
    }
}

/// Which event of a room an id names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventKey {
    /// The message's GUID, or a hash.
    pub guid: [u8; 16],
    /// What it is.
    pub kind: EventKind,
    /// How often the message was restored or moved.
    pub incarnation: Incarnation,
    /// Which part; see the module.
    pub part: u16,
    /// Which piece of the part; see the module.
    pub piece: u16,
}

impl EventKey {
    /// The first event of a kind that a message has.
    pub fn new(guid: &Guid, kind: EventKind, incarnation: Incarnation) -> Self {
        Self {
            guid: guid.key(),
            kind,
            incarnation,
            part: 0,
            piece: 0,
        }
    }

    /// An event made here, by its 16 random bytes.
    pub fn local(guid: [u8; 16]) -> Self {
        Self {
            guid,
            kind: EventKind::Local,
            incarnation: Incarnation::default(),
            part: 0,
            piece: 0,
        }
    }

    /// The same with another part and piece.
    #[must_use]
    pub fn at(self, part: u16, piece: u16) -> Self {
        Self {
            part,
            piece,
            ..self
        }
    }
}

impl RoomId {
    /// The id of an event of this room.
    pub fn event_id(&self, key: &EventKey) -> String {
        let mut bytes = Vec::with_capacity(32);
        bytes.extend(key.guid);
        bytes.extend(self.tag);
        bytes.push(key.kind as u8 | (key.incarnation.0 << 4));
        bytes.extend(key.part.to_be_bytes());
        bytes.extend(key.piece.to_be_bytes());
        bytes.extend(self.seal(&bytes));
        let mut id = String::with_capacity(1 + CHARACTERS);
        id.push('$');
        URL_SAFE_NO_PAD.encode_string(bytes, &mut id);
        id
    }

    /// Which event an id names. `None` when it is no id of this room's.
    pub fn event_key(&self, id: &str) -> Option<EventKey> {
        let encoded = id.strip_prefix('$').filter(|id| id.len() == CHARACTERS)?;
        // The decoder asks for room for a whole last group.
        let mut bytes = [0; 33];
        let length = URL_SAFE_NO_PAD.decode_slice(encoded, &mut bytes).ok()?;
        let (body, seal) = bytes.get(..length)?.split_first_chunk::<25>()?;
        if self.seal(body) != *seal {
            return None;
        }
        let (guid, rest) = body.split_first_chunk::<16>()?;
        let (tag, rest) = rest.split_first_chunk::<4>()?;
        let [kind, p0, p1, q0, q1] = *rest else {
            return None;
        };
        let key = EventKey {
            guid: *guid,
            kind: *EventKind::ALL.get(usize::from(kind & 15))?,
            incarnation: Incarnation(kind >> 4),
            part: u16::from_be_bytes([p0, p1]),
            piece: u16::from_be_bytes([q0, q1]),
        };
        (*tag == self.tag).then_some(key)
    }

    /// What proves that an id was made for this room.
    fn seal(&self, bytes: &[u8]) -> [u8; 7] {
        let digest = self.seed.clone().chain_update(bytes).finalize();
        let mut seal = [0; 7];
        seal.iter_mut()
            .zip(digest)
            .for_each(|(to, from)| *to = from);
        seal
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::any;
    use proptest::proptest;

    use super::EventKey;
    use super::EventKind;
    use super::Incarnation;
    use crate::base::ids::Guid;
    use crate::matrix::ids::RoomId;

    fn room() -> RoomId {
        RoomId::new("!Ub-HxVAVUVAs92KKe0SCxg:example.org")
    }

    fn key() -> EventKey {
        let guid = Guid::parse("1A2B3C4D-0001-4002-8003-ABCDEF012345").unwrap();
        EventKey::new(&guid, EventKind::Part, Incarnation::default())
    }

    #[test]
    fn an_id_never_changes() {
        assert_eq!(
            room().event_id(&key()),
            "$Gis8TQABQAKAA6vN7wEjRUKF-dsAAAAAABQ807MfezY"
        );
    }

    #[test]
    fn the_same_event_has_another_id_in_another_room() {
        let other = RoomId::new("!other:example.org");

        let id = room().event_id(&key());

        assert_ne!(other.event_id(&key()), id);
        assert_eq!(other.event_key(&id), None);
    }

    #[test]
    fn what_is_no_id_of_this_room_names_nothing() {
        let id = room().event_id(&key());
        for wrong in [
            "",
            id.trim_start_matches('$'),
            "$",
            "$x",
            &format!("{id}A"),
            &id.replace('$', "!"),
            &id.replace("Gis8", "Gis9"),
        ] {
            assert_eq!(room().event_key(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn every_kind_is_found_by_its_number() {
        for (number, kind) in (0..).zip(EventKind::ALL) {
            assert_eq!(kind as u8, number);
        }
    }

    #[test]
    fn a_restored_message_has_new_ids() {
        let restored = EventKey {
            incarnation: Incarnation::new(1),
            ..key()
        };

        assert_ne!(room().event_id(&restored), room().event_id(&key()));
        assert_eq!(Incarnation::new(200).number(), 15);
    }

    proptest! {
        #[test]
        fn every_key_is_read_back(guid: [u8; 16], kind in 0..10_usize, times in 0..16_u8, part: u16, piece: u16) {
            let incarnation = Incarnation::new(times);
            let key = EventKey { guid, kind: EventKind::ALL[kind], incarnation, part, piece };

            let id = room().event_id(&key);

            assert_eq!(id.len(), 44);
            assert_eq!(room().event_key(&id), Some(key));
        }

        #[test]
        fn any_text_is_read_without_panic(text in any::<String>(), body in "\\$[A-Za-z0-9_-]{43}") {
            room().event_key(&text);
            assert_eq!(room().event_key(&body), None);
        }
    }
}
