//! Identifiers as types. Only this module looks inside them.
//!
//! | id | unique in | text form |
//! |---|---|---|
//! | [`Guid`] | the account (short codes repeat some, ID-18) | `1A2B3C4D-...` in upper case |
//! | [`Handle`] | everywhere | `tel:+15555550100`, `mailto:a@example.org`, `242733` |
//! | [`ConversationKey`] | the account | `dm:<handle>`, `gid:<uuid>`, `mms:<handles>` |
//! | [`RowId`] | the store, over all kinds of rows | a number, by arrival |
//! | [`ChangeNumber`] | the store | a number, by arrival |
//! | [`ZoneName`] | the database of Messages in iCloud | as CloudKit writes it, `messageManateeZone` |
//! | [`RecordName`] | its zone | as CloudKit writes it |
//! | [`ChangeToken`] | its zone's feed | bytes |

use std::fmt;

use sha2::Digest;
use sha2::Sha256;

/// A message's identifier, the same whatever case or punctuation it was written with.
///
/// UUIDs in any case, with or without dashes or braces, are one value. Everything else (`cs` of relayed SMS) keeps its
/// text and is compared in upper case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Guid {
    /// The 128 bits of a UUID.
    Uuid([u8; 16]),
    /// Anything else, trimmed and in ASCII upper case.
    Other(Box<str>),
}

impl Guid {
    /// From text as any source writes it. `None` when nothing is left after trimming.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() {
            return None;
        }
        Some(match uuid(text) {
            Some(bytes) => Self::Uuid(bytes),
            None => Self::Other(text.to_ascii_uppercase().into()),
        })
    }

    /// A UUID of version 4 with these random bytes.
    pub const fn random(mut bytes: [u8; 16]) -> Self {
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        Self::Uuid(bytes)
    }

    /// Sixteen bytes for any GUID: a UUID's own, else the first of the SHA-256 of its text in upper case (D18).
    pub fn key(&self) -> [u8; 16] {
        match self {
            Self::Uuid(bytes) => *bytes,
            Self::Other(text) => {
                let mut key = [0; 16];
                let digest = Sha256::digest(text.as_bytes());
                key.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
                key
            }
        }
    }
}

/// The 16 bytes of a UUID in any of its spellings.
fn uuid(text: &str) -> Option<[u8; 16]> {
    let text = text
        .strip_prefix('{')
        .and_then(|t| t.strip_suffix('}'))
        .unwrap_or(text);
    if !matches!(text.len(), 32 | 36) {
        return None;
    }
    let mut bytes = [0; 16];
    let mut digits = 0;
    for (at, c) in text.bytes().enumerate() {
        if text.len() == 36 && matches!(at, 8 | 13 | 18 | 23) {
            if c != b'-' {
                return None;
            }
            continue;
        }
        let value = u8::try_from(char::from(c).to_digit(16)?).ok()?;
        let byte = bytes.get_mut(digits / 2)?;
        *byte = (*byte << 4) | value;
        digits += 1;
    }
    (digits == 32).then_some(bytes)
}

fn write_uuid(f: &mut fmt::Formatter<'_>, bytes: [u8; 16], digits: [u8; 16]) -> fmt::Result {
    let mut text = [b'-'; 36];
    let mut at = 0;
    for (n, byte) in bytes.into_iter().enumerate() {
        if matches!(n, 4 | 6 | 8 | 10) {
            at += 1;
        }
        for nibble in [byte >> 4, byte & 15] {
            if let (Some(slot), Some(digit)) = (text.get_mut(at), digits.get(usize::from(nibble))) {
                *slot = *digit;
            }
            at += 1;
        }
    }
    f.write_str(str::from_utf8(&text).unwrap_or_default())
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uuid(bytes) => write_uuid(f, *bytes, *b"0123456789ABCDEF"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

/// An attachment's identifier as Apple wrote it: `at_<part>_<message GUID>`, or a UUID.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttachmentGuid(String);

impl AttachmentGuid {
    /// From text as any source writes it. `None` when nothing is left after trimming.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// For comparing: in ASCII upper case.
    pub fn folded(&self) -> String {
        self.0.to_ascii_uppercase()
    }

    /// Whether both name the same attachment, whatever their case.
    pub fn is(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl fmt::Display for AttachmentGuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A zone of CloudKit. Opaque, and compared as it is written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ZoneName(Box<str>);

impl ZoneName {
    /// From text as CloudKit writes it. `None` when it is empty.
    pub fn parse(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self(text.into()))
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ZoneName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A record of CloudKit in its zone. Opaque, and compared as it is written: it can look like a GUID and be none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordName(Box<str>);

impl RecordName {
    /// From text as CloudKit writes it. `None` when it is empty.
    pub fn parse(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self(text.into()))
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RecordName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// CloudKit's position in the feed of one zone. Opaque; a later one is only known by having come later.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ChangeToken(Box<[u8]>);

impl ChangeToken {
    /// From the bytes of an answer, or of the store. `None` when there are none: that is no position.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        (!bytes.is_empty()).then(|| Self(bytes.into()))
    }

    /// As it came.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What is in a token is not known: logs show its size.
impl fmt::Debug for ChangeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChangeToken({} bytes)", self.0.len())
    }
}

/// An address in its normal form (ID-1). `model::handle` makes it from what a source wrote.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle(String);

impl Handle {
    /// From text that is already in the normal form: the store's, or `model::handle`'s.
    pub fn from_normal(text: String) -> Self {
        Self(text)
    }

    /// The normal form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address without its scheme, as a person reads it.
    pub fn address(&self) -> &str {
        self.0
            .strip_prefix("tel:")
            .or_else(|| self.0.strip_prefix("mailto:"))
            .unwrap_or(&self.0)
    }

    /// Whether this is a phone number or an e-mail address, not a short code or a sender's name (ID-3).
    pub fn is_personal(&self) -> bool {
        self.0.starts_with("tel:") || self.0.starts_with("mailto:")
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Addresses are private: logs show none.
impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle(..)")
    }
}

/// footbridge's own name of a conversation (ID-5). Once stored it never changes (D9).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConversationKey(String);

impl ConversationKey {
    /// A conversation with one handle, or with oneself.
    pub fn direct(with: &Handle) -> Self {
        Self(format!("dm:{with}"))
    }

    /// An iMessage group, by its group id: a UUID in any spelling, or else the id's own text in lower case.
    pub fn group(group_id: &str) -> Self {
        Self(format!("gid:{}", fold_group_id(group_id)))
    }

    /// A carrier group, by its other members in order, and a distinction where two groups have equal members (D9).
    pub fn carrier<'a>(
        members: impl IntoIterator<Item = &'a Handle>,
        distinction: Option<&str>,
    ) -> Self {
        let mut members: Vec<&str> = members.into_iter().map(Handle::as_str).collect();
        members.sort_unstable();
        members.dedup();
        let members = members.join(",");
        Self(match distinction {
            Some(distinction) => format!("mms:{members}~{distinction}"),
            None => format!("mms:{members}"),
        })
    }

    /// From text that this type printed.
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The key.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it names a conversation with one other person.
    pub fn is_direct(&self) -> bool {
        self.0.starts_with("dm:")
    }
}

impl fmt::Display for ConversationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Keys contain addresses: logs show none.
impl fmt::Debug for ConversationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConversationKey(..)")
    }
}

/// A group id in the one spelling that is compared: lower case with dashes (ID-11).
pub fn fold_group_id(text: &str) -> String {
    struct Lower([u8; 16]);
    impl fmt::Display for Lower {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write_uuid(f, self.0, *b"0123456789abcdef")
        }
    }

    let text = text.trim();
    match uuid(text) {
        Some(bytes) => Lower(bytes).to_string(),
        None => text.to_ascii_lowercase(),
    }
}

/// The number of a row in the store: message, conversation, attachment or contact. Handed out by arrival, never again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowId(pub u64);

impl fmt::Display for RowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A place in the change log; the only sequence of the store (D7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChangeNumber(pub u64);

impl fmt::Display for ChangeNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::ConversationKey;
    use super::Guid;
    use super::Handle;

    #[test]
    fn every_spelling_of_a_uuid_is_one_guid() {
        let spellings = [
            "1A2B3C4D-0001-4002-8003-ABCDEF012345",
            "1a2b3c4d-0001-4002-8003-abcdef012345",
            " {1A2B3C4D-0001-4002-8003-abcdef012345}\n",
            "1a2b3c4d000140028003abcdef012345",
        ];

        for spelling in spellings {
            assert_eq!(
                Guid::parse(spelling).unwrap().to_string(),
                "1A2B3C4D-0001-4002-8003-ABCDEF012345"
            );
        }
    }

    #[test]
    fn what_is_no_uuid_keeps_its_text() {
        assert_eq!(Guid::parse("cs").unwrap().to_string(), "CS");
        assert_eq!(
            Guid::parse("1a2b3c4d+0001-4002-8003-abcdef012345"),
            Guid::parse("1A2B3C4D+0001-4002-8003-ABCDEF012345")
        );
        assert_eq!(Guid::parse("  "), None);
    }

    #[test]
    fn group_ids_are_folded_to_dashes_and_lower_case() {
        let dashed = ConversationKey::group("1A2B3C4D-0001-4002-8003-ABCDEF012345");

        assert_eq!(dashed.as_str(), "gid:1a2b3c4d-0001-4002-8003-abcdef012345");
        assert_eq!(
            ConversationKey::group("1A2B3C4D000140028003ABCDEF012345"),
            dashed
        );
        assert_eq!(ConversationKey::group("chat123").as_str(), "gid:chat123");
    }

    #[test]
    fn members_of_a_carrier_group_are_a_set() {
        let a = Handle::from_normal("tel:+15550100001".to_owned());
        let b = Handle::from_normal("tel:+15550100002".to_owned());

        assert_eq!(
            ConversationKey::carrier([&b, &a, &b], None),
            ConversationKey::carrier([&a, &b], None)
        );
    }

    #[test]
    fn addresses_do_not_reach_a_log() {
        let handle = Handle::from_normal("tel:+15550100001".to_owned());

        assert_eq!(
            format!("{handle:?} {:?}", ConversationKey::direct(&handle)),
            "Handle(..) ConversationKey(..)"
        );
    }
}
