//! Names of users and rooms.
//!
//! | name | form |
//! |---|---|
//! | the owner | `@<localpart>:<server name>` |
//! | a ghost | `@imessage_<handle>:<server name>`, the handle without `tel:` and `mailto:`, every byte outside `a-z0-9._-+` as `=hh` (D37) |
//! | a ghost whose id would be over 255 bytes | `@imessage_=sha256=<hex of the SHA-256 of the handle>:<server name>` |
//! | the ghost of unknown senders | `@imessage_=unknown:<server name>` |
//! | a room | `!<22 characters>:<server name>` (D19) |
//!
//! No handle is written with `=s` or `=u`: they are no hexadecimal digits.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ruma::OwnedServerName;
use sha2::Digest;
use sha2::Sha256;

use crate::base::error::Class;
use crate::base::error::Explain;
use crate::base::ids::ConversationKey;
use crate::base::ids::Handle;

/// Begins every ghost's localpart; the owner's may not begin so.
const GHOST: &str = "imessage_";

/// A Matrix user id has at most so many bytes (`[mx v1.12] user identifiers`).
const USER_ID_BYTES: usize = 255;

/// Digits that a number with `tel:` has at least; `model::handle` leaves shorter ones without it.
const NUMBER_DIGITS: usize = 7;

/// Why a name cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NameError {
    /// Not a Matrix server name.
    #[error("cannot use {name:?} as a server name")]
    Server {
        /// What was given.
        name: String,
        /// What is wrong with it.
        #[source]
        source: ruma::IdParseError,
    },
    /// Not a Matrix localpart, or one that belongs to ghosts.
    #[error("cannot use {name:?} as a user name")]
    Localpart {
        /// What was given.
        name: String,
    },
}

impl Explain for NameError {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Server { .. } => {
                "a server name is a host name, with a port or without: mac-mini.local".to_owned()
            }
            Self::Localpart { .. } => format!(
                "a user name has small letters, digits and ._=-/+ and does not begin with {GHOST}"
            ),
        })
    }
}

/// The name that follows the colon in every id. It is part of all ids and never changes (D19).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerName(OwnedServerName);

impl ServerName {
    /// From configuration.
    ///
    /// # Errors
    ///
    /// [`NameError::Server`] when Matrix allows no such name.
    pub fn parse(name: &str) -> Result<Self, NameError> {
        OwnedServerName::try_from(name)
            .map(Self)
            .map_err(|source| NameError::Server {
                name: name.to_owned(),
                source,
            })
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// A Matrix user: the owner or a ghost.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(Arc<str>);

impl UserId {
    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A ghost's id contains an address: logs show none.
impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserId(..)")
    }
}

/// The one Matrix account, and with it the names of everybody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    user: UserId,
    server: ServerName,
}

impl Account {
    /// The owner's account on a server.
    ///
    /// # Errors
    ///
    /// [`NameError::Localpart`] when Matrix allows no such localpart, or when it would be a ghost's.
    pub fn new(localpart: &str, server: ServerName) -> Result<Self, NameError> {
        let allowed = |c: u8| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'=' | b'-' | b'/' | b'+');
        let user = format!("@{localpart}:{}", server.as_str());
        let usable = !localpart.is_empty()
            && localpart.bytes().all(allowed)
            && !localpart.starts_with(GHOST)
            && user.len() <= USER_ID_BYTES;
        if !usable {
            return Err(NameError::Localpart {
                name: localpart.to_owned(),
            });
        }
        Ok(Self {
            user: UserId(user.into()),
            server,
        })
    }

    /// The owner.
    pub fn user(&self) -> &UserId {
        &self.user
    }

    /// How the owner is called where no address book has a name: as they log in.
    pub fn localpart(&self) -> &str {
        let id = self.user.as_str().strip_prefix('@').unwrap_or_default();
        id.split_once(':').map_or(id, |(localpart, _)| localpart)
    }

    /// The server.
    pub fn server(&self) -> &ServerName {
        &self.server
    }

    /// The ghost of a handle.
    ///
    /// A handle whose id would be too long, or that could not be read back out of it, is hashed.
    pub fn ghost(&self, handle: &Handle) -> UserId {
        let escaped = escape(handle.address());
        let fits = self.ghost_of(&escaped);
        if fits.as_str().len() <= USER_ID_BYTES && unescape(&escaped).as_ref() == Some(handle) {
            return fits;
        }
        let mut hashed = "=sha256=".to_owned();
        for byte in Sha256::digest(handle.as_str()) {
            push_hex(&mut hashed, byte);
        }
        self.ghost_of(&hashed)
    }

    /// The ghost of senders that no source names.
    pub fn unknown(&self) -> UserId {
        self.ghost_of("=unknown")
    }

    fn ghost_of(&self, escaped: &str) -> UserId {
        UserId(format!("@{GHOST}{escaped}:{}", self.server.as_str()).into())
    }

    /// The handle of a ghost. `None` for other users, and for ghosts whose handle is hashed or unknown.
    pub fn handle_of(&self, user: &str) -> Option<Handle> {
        let (localpart, server) = user.strip_prefix('@')?.split_once(':')?;
        if server != self.server.as_str() || user.len() > USER_ID_BYTES {
            return None;
        }
        let escaped = localpart.strip_prefix(GHOST)?;
        let handle = unescape(escaped)?;
        // One handle has one ghost: `=61` is no other way to write `a`.
        (escape(handle.address()) == escaped).then_some(handle)
    }

    /// The room of a conversation. Another epoch is another room (D19).
    pub fn room(&self, conversation: &ConversationKey, epoch: u32) -> RoomId {
        let digest = Sha256::new()
            .chain_update(b"room\0")
            .chain_update(self.user.as_str())
            .chain_update(b"\0")
            .chain_update(conversation.as_str())
            .chain_update(b"\0")
            .chain_update(epoch.to_string())
            .finalize();
        let name = URL_SAFE_NO_PAD.encode(digest.get(..16).unwrap_or_default());
        RoomId::new(&format!("!{name}:{}", self.server.as_str()))
    }
}

/// A handle's address as a part of a localpart.
fn escape(address: &str) -> String {
    let mut escaped = String::with_capacity(address.len());
    for byte in address.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-' | b'+' => escaped.push(char::from(byte)),
            _ => {
                escaped.push('=');
                push_hex(&mut escaped, byte);
            }
        }
    }
    escaped
}

fn push_hex(text: &mut String, byte: u8) {
    for nibble in [byte >> 4, byte & 15] {
        text.extend(char::from_digit(nibble.into(), 16));
    }
}

/// The handle whose address was escaped, with its scheme: `model::handle` says which address has one.
fn unescape(escaped: &str) -> Option<Handle> {
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut rest = escaped.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'=' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let value = (digit()? << 4) | digit()?;
        bytes.push(u8::try_from(value).ok()?);
    }
    let address = String::from_utf8(bytes).ok()?;
    let is_number = |digits: &str| {
        digits.len() >= NUMBER_DIGITS && digits.bytes().all(|digit| digit.is_ascii_digit())
    };
    let is_urn = || {
        address
            .get(..4)
            .is_some_and(|scheme| scheme.eq_ignore_ascii_case("urn:"))
    };
    let form = if address.is_empty() {
        return None;
    } else if address.strip_prefix('+').is_some_and(is_number) {
        format!("tel:{address}")
    } else if address.contains('@') && !is_urn() {
        format!("mailto:{address}")
    } else {
        address
    };
    Some(Handle::from_normal(form))
}

/// A room, with what its event ids are made of.
#[derive(Clone)]
pub struct RoomId {
    text: Arc<str>,
    /// The beginning of the SHA-256 of the id.
    pub(super) tag: [u8; 4],
    /// SHA-256 that was fed the id.
    pub(super) seed: Sha256,
}

impl RoomId {
    /// From an id of ours, or from what a client takes for one.
    pub fn new(text: &str) -> Self {
        let seed = Sha256::new().chain_update(text);
        let digest = seed.clone().finalize();
        let mut tag = [0; 4];
        tag.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        Self {
            text: text.into(),
            tag,
            seed,
        }
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl PartialEq for RoomId {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for RoomId {}

impl fmt::Display for RoomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for RoomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RoomId({})", self.text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::any;
    use proptest::proptest;

    use super::Account;
    use super::ServerName;
    use crate::base::ids::ConversationKey;
    use crate::base::ids::Handle;

    fn account() -> Account {
        Account::new("ada", ServerName::parse("example.org").unwrap()).unwrap()
    }

    fn handle(text: &str) -> Handle {
        Handle::from_normal(text.to_owned())
    }

    #[test]
    fn a_ghost_is_named_by_its_handle_and_leads_back_to_it() {
        let table = [
            ("tel:+15550100001", "@imessage_+15550100001:example.org"),
            (
                "mailto:ann_b@example.org",
                "@imessage_ann_b=40example.org:example.org",
            ),
            ("242733", "@imessage_242733:example.org"),
            ("+123", "@imessage_+123:example.org"),
            ("Bank", "@imessage_=42ank:example.org"),
            ("urn:biz:a@b", "@imessage_urn=3abiz=3aa=40b:example.org"),
            (
                "mailto:\u{e4}@example.org",
                "@imessage_=c3=a4=40example.org:example.org",
            ),
        ];

        for (text, user) in table {
            assert_eq!(account().ghost(&handle(text)).as_str(), user);
            assert_eq!(account().handle_of(user), Some(handle(text)), "{user}");
        }
    }

    #[test]
    fn a_handle_that_is_too_long_or_ambiguous_is_hashed() {
        let long = handle(&format!("mailto:{}@example.org", "a".repeat(300)));

        for handle in [long, handle("tel:12"), handle("a@example.org")] {
            let ghost = account().ghost(&handle);

            assert!(ghost.as_str().starts_with("@imessage_=sha256="));
            assert!(ghost.as_str().len() <= 255);
            assert_eq!(account().handle_of(ghost.as_str()), None);
        }
    }

    #[test]
    fn who_is_no_ghost_has_no_handle() {
        for user in [
            "@ada:example.org",
            "@imessage_+15550100001:example.com",
            "@imessage_=61nn=40example.org:example.org",
            "@imessage_ann=4:example.org",
            "@imessage_=unknown:example.org",
            "@imessage_:example.org",
            "imessage_1:example.org",
            "",
        ] {
            assert_eq!(account().handle_of(user), None, "{user}");
        }
        assert_eq!(account().handle_of(account().unknown().as_str()), None);
    }

    #[test]
    fn names_that_matrix_or_ghosts_do_not_allow_are_refused() {
        for name in ["", "a b", "[::1", "example.org:port"] {
            assert!(ServerName::parse(name).is_err(), "{name}");
        }
        for name in ["", "Ada", "a:b", "imessage_1", &"a".repeat(250)] {
            let server = ServerName::parse("example.org").unwrap();
            assert!(Account::new(name, server).is_err(), "{name}");
        }
        assert!(ServerName::parse("[::1]:8448").is_ok());
    }

    #[test]
    fn a_room_belongs_to_conversation_and_epoch() {
        let key = ConversationKey::direct(&handle("tel:+15550100001"));

        let room = account().room(&key, 0);

        // Never another value: rooms would be new rooms to every client.
        assert_eq!(room.as_str(), "!Ub-HxVAVUVAs92KKe0SCxg:example.org");
        assert_eq!(account().room(&key, 0), room);
        assert_ne!(account().room(&key, 1), room);
        assert_ne!(account().room(&ConversationKey::group("chat1"), 0), room);
    }

    #[test]
    fn addresses_do_not_reach_a_log() {
        let ghost = account().ghost(&handle("tel:+15550100001"));

        assert_eq!(format!("{ghost:?}"), "UserId(..)");
    }

    proptest! {
        #[test]
        fn every_handle_has_one_ghost_that_never_panics(text in any::<String>()) {
            let ghost = account().ghost(&handle(&text));

            if let Some(back) = account().handle_of(ghost.as_str()) {
                assert_eq!(back, handle(&text));
            }
            account().handle_of(&text);
            account().handle_of(&format!("@imessage_{text}:example.org"));
        }
    }
}
