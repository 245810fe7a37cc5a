//! What the owner imports to read Messages in iCloud: tokens of a signed-in account, a device to speak as, and the items of
//! its keychain. It is read and held; nothing of it is ever printed.
//!
//! Source: facts of CloudKit, 6.1 and 7.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::Serialize;
use serde::de::IgnoredAny;
use sha1::Digest;
use sha1::Sha1;

use crate::apple::hex;
use crate::apple::identity::Identity;
use crate::apple::identity::IdentityError;
use crate::apple::identity::SignatureState;
use crate::apple::key::CompactKey;
use crate::apple::key::PrivateKey;
use crate::base::ids::Guid;
use crate::base::secret::Secret;

/// `acct` of the item that is no identity but the key of second-generation files.
const BOUNDARY_ACCOUNT: &str = "PCSBoundaryKey";

/// The number of the service whose identity signs the others.
const SERVICE_MASTER: u32 = 1;

/// The session file.
#[derive(Clone, Deserialize)]
pub struct Session {
    /// The account's number, as text.
    pub dsid: String,
    /// The token that asks for the CloudKit user id.
    pub mme_auth_token: Secret<String>,
    /// The token of every other call.
    pub cloudkit_token: Secret<String>,
    /// The CloudKit user id; asked from the server when absent.
    #[serde(default)]
    pub cloudkit_user_id: Option<String>,
    /// The device to speak as; invented and kept when absent.
    #[serde(default)]
    pub device: Option<Device>,
    /// Where the headers of the machine come from.
    #[serde(default)]
    pub anisette: Option<Anisette>,
    /// The owner's addresses.
    #[serde(default)]
    pub handles: Vec<String>,
    /// Whether its account is a demonstration's: no server but the demonstration's own is to be told of it.
    #[serde(default, rename = "invented")]
    pub is_invented: bool,
    /// Items of the keychain.
    pub items: Vec<KeychainItem>,
}

/// Tokens, addresses and keys are private: logs show how many there are.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("handles", &self.handles.len())
            .field("items", &self.items.len())
            .finish_non_exhaustive()
    }
}

impl Session {
    /// Reads a session file.
    ///
    /// # Errors
    /// [`SessionError`], without anything of what the file holds.
    pub fn decode(json: &[u8]) -> Result<Self, SessionError> {
        serde_json::from_slice(json).map_err(|error| match missing(json) {
            Some(member) => SessionError::Missing { member },
            None => SessionError::Json {
                line: error.line(),
                column: error.column(),
            },
        })
    }

    /// The session as a file, for the store: what was imported, and what was learnt since.
    pub fn encode(&self) -> Secret<Vec<u8>> {
        let written = Written {
            dsid: &self.dsid,
            mme_auth_token: self.mme_auth_token.expose(),
            cloudkit_token: self.cloudkit_token.expose(),
            cloudkit_user_id: self.cloudkit_user_id.as_deref(),
            device: self.device.as_ref(),
            anisette: self.anisette.as_ref(),
            handles: &self.handles,
            is_invented: self.is_invented,
            items: self.items.iter().map(WrittenItem::new).collect(),
        };
        // Texts in lists have no way to fail.
        Secret::new(serde_json::to_vec(&written).unwrap_or_default())
    }

    /// Takes a later import in: its tokens replace ours, its items join ours. All identities are kept, because old zones
    /// and records name old ones. What a later import leaves out stays.
    ///
    /// # Errors
    /// [`SessionError::OtherAccount`]; nothing is changed then.
    pub fn merge(&mut self, later: Self) -> Result<Merged, SessionError> {
        if self.dsid != later.dsid {
            return Err(SessionError::OtherAccount);
        }
        let mut merged = Merged {
            has_new_tokens: self.mme_auth_token != later.mme_auth_token
                || self.cloudkit_token != later.cloudkit_token,
            ..Merged::default()
        };
        self.is_invented |= later.is_invented;
        self.mme_auth_token = later.mme_auth_token;
        self.cloudkit_token = later.cloudkit_token;
        self.cloudkit_user_id = later.cloudkit_user_id.or(self.cloudkit_user_id.take());
        self.device = later.device.or(self.device.take());
        self.anisette = later.anisette.or(self.anisette.take());
        for handle in later.handles {
            if !self.handles.contains(&handle) {
                self.handles.push(handle);
                merged.new_handles = merged.new_handles.saturating_add(1);
            }
        }
        for item in later.items {
            // Behind ours: of two boundary keys the later one counts.
            if !self.items.iter().any(|held| held.is(&item)) {
                self.items.push(item);
                merged.new_items = merged.new_items.saturating_add(1);
            }
        }
        Ok(merged)
    }
}

/// What a later import brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// Items of the keychain that were not held: what waits for keys is worth another try.
    pub new_items: usize,
    /// The owner's addresses that were not known.
    pub new_handles: usize,
    /// Whether a token is another one.
    pub has_new_tokens: bool,
}

/// A session as a file has it: only for [`Session::encode`], so that nothing else writes tokens by accident.
#[derive(Serialize)]
struct Written<'a> {
    dsid: &'a str,
    mme_auth_token: &'a str,
    cloudkit_token: &'a str,
    cloudkit_user_id: Option<&'a str>,
    device: Option<&'a Device>,
    anisette: Option<&'a Anisette>,
    handles: &'a [String],
    #[serde(rename = "invented", skip_serializing_if = "std::ops::Not::not")]
    is_invented: bool,
    items: Vec<WrittenItem<'a>>,
}

/// An item as a file has it.
#[derive(Serialize)]
struct WrittenItem<'a> {
    acct: Option<&'a str>,
    labl: Option<&'a str>,
    #[serde(rename = "v_Data")]
    data: &'a str,
}

impl<'a> WrittenItem<'a> {
    fn new(item: &'a KeychainItem) -> Self {
        Self {
            acct: item.acct.as_deref(),
            labl: item.labl.as_deref(),
            data: item.data.expose(),
        }
    }
}

/// The device to speak as.
#[derive(Clone, Deserialize, Serialize)]
pub struct Device {
    /// Its UUID.
    pub uuid: String,
    /// Its UDID.
    pub udid: String,
    /// Its serial number.
    pub serial: String,
    /// Its model, `Mac14,3`.
    pub model: String,
    /// The version of its system, `14.5`.
    pub os_version: String,
    /// The build of its system, `23F79`.
    pub os_build: String,
    /// Its name.
    pub name: String,
}

impl Device {
    /// A Mac that does not exist. It is to be kept: each new one is another device of the account.
    ///
    /// # Errors
    /// [`SessionError::Random`].
    pub fn invent() -> Result<Self, SessionError> {
        let (mut uuid, mut hardware, mut serial) = ([0; 16], [0; 7], [0; 10]);
        for bytes in [&mut uuid[..], &mut hardware, &mut serial] {
            getrandom::fill(bytes).map_err(|_error| SessionError::Random)?;
        }
        let letter = |byte: &u8| char::from(b'A'.saturating_add(byte % 26));
        Ok(Self {
            uuid: Guid::random(uuid).to_string(),
            udid: format!("00008112-00{}", hex(&hardware).to_uppercase()),
            serial: serial.iter().map(letter).collect(),
            model: "Mac14,3".to_owned(),
            os_version: "14.5".to_owned(),
            os_build: "23F79".to_owned(),
            name: "footbridge".to_owned(),
        })
    }

    /// Forty digits that stay the same on a device.
    pub fn digest(&self) -> String {
        hex(&Sha1::digest(self.uuid.as_bytes()))
    }
}

/// A serial number names a person's computer: logs show the model.
impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device")
            .field("model", &self.model)
            .field("os_version", &self.os_version)
            .finish_non_exhaustive()
    }
}

/// Where the headers that identify the machine come from.
#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Anisette {
    /// These; they are valid for about a minute.
    Headers(BTreeMap<String, String>),
    /// A server that makes them.
    Url(String),
}

/// The headers hold a one-time password: logs show where they come from.
impl fmt::Debug for Anisette {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Headers(_) => f.write_str("Headers(..)"),
            Self::Url(_) => f.write_str("Url(..)"),
        }
    }
}

/// An item of the keychain, as it was exported. Other members than these are not read.
#[derive(Clone, Deserialize)]
pub struct KeychainItem {
    /// Base64 of the identity's X, or what else it is.
    #[serde(default)]
    pub acct: Option<String>,
    /// What it is called.
    #[serde(default)]
    pub labl: Option<String>,
    /// The key: hexadecimal.
    #[serde(rename = "v_Data")]
    pub data: Secret<String>,
}

impl KeychainItem {
    /// Whether both are the same item: `acct` says what the bytes are.
    fn is(&self, other: &Self) -> bool {
        let digits = |item: &Self| Secret::new(item.data.expose().trim().to_ascii_lowercase());
        self.acct == other.acct && digits(self) == digits(other)
    }
}

/// Keys are secret: logs show what the item is called.
impl fmt::Debug for KeychainItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeychainItem")
            .field("labl", &self.labl)
            .finish_non_exhaustive()
    }
}

/// The keys of a keychain. All identities are kept: old zones and records name old ones.
#[derive(Clone, Debug, Default)]
pub struct Keychain {
    identities: Vec<Identity>,
    boundary: Option<Secret<[u8; 32]>>,
    /// Items that could not be read: what they are called, and why. They stop nothing.
    pub unreadable: Vec<(String, KeychainError)>,
}

impl Keychain {
    /// Reads the items.
    pub fn read(items: &[KeychainItem]) -> Self {
        let mut keychain = Self::default();
        for (number, item) in (1..).zip(items) {
            if let Err(error) = keychain.add(item) {
                let name = item.labl.clone().or_else(|| item.acct.clone());
                let name = name.unwrap_or_else(|| format!("item {number}"));
                keychain.unreadable.push((name, error));
            }
        }
        keychain
    }

    fn add(&mut self, item: &KeychainItem) -> Result<(), KeychainError> {
        let bytes = unhex(item.data.expose()).ok_or(KeychainError::Hex)?;
        let bytes = Secret::new(bytes);
        if item.acct.as_deref() == Some(BOUNDARY_ACCOUNT) {
            let key = bytes.expose().as_slice().try_into();
            self.boundary = Some(Secret::new(key.map_err(|_length| KeychainError::Boundary)?));
            return Ok(());
        }
        self.identities.push(Identity::decode(bytes.expose())?);
        Ok(())
    }

    /// The identities.
    pub fn identities(&self) -> &[Identity] {
        &self.identities
    }

    /// The keys that zones are opened with.
    pub fn keys(&self) -> impl Iterator<Item = &PrivateKey> {
        self.identities.iter().map(Identity::key)
    }

    /// The key of second-generation files.
    pub fn boundary(&self) -> Option<&Secret<[u8; 32]>> {
        self.boundary.as_ref()
    }

    /// Whether a master key of this keychain signed each identity. Told, and never decides.
    pub fn signatures(&self) -> impl Iterator<Item = (&Identity, SignatureState)> {
        let masters = self.identities.iter();
        let masters = masters.filter(|identity| identity.service() == Some(SERVICE_MASTER));
        let masters: Vec<CompactKey> = masters
            .flat_map(|identity| [*identity.key().public(), *identity.signing_key().public()])
            .collect();
        let identities = self.identities.iter();
        identities.map(move |identity| (identity, identity.signed_by(&masters)))
    }
}

/// Which of the members that a session needs are there.
#[derive(Deserialize)]
struct Members {
    dsid: Option<IgnoredAny>,
    mme_auth_token: Option<IgnoredAny>,
    cloudkit_token: Option<IgnoredAny>,
    items: Option<IgnoredAny>,
}

/// The first member that a session needs and an object has not; `None` too for what is no object.
fn missing(json: &[u8]) -> Option<&'static str> {
    let members: Members = serde_json::from_slice(json).ok()?;
    let needed = [
        ("dsid", members.dsid),
        ("mme_auth_token", members.mme_auth_token),
        ("cloudkit_token", members.cloudkit_token),
        ("items", members.items),
    ];
    let absent = needed.into_iter().find(|(_, member)| member.is_none());
    absent.map(|(name, _)| name)
}

/// The bytes of hexadecimal digits.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim().as_bytes().chunks(2);
    let byte = |pair: &[u8]| {
        let [high, low] = pair else { return None };
        let digit = |c: &u8| char::from(*c).to_digit(16);
        u8::try_from((digit(high)? << 4) | digit(low)?).ok()
    };
    digits.map(byte).collect()
}

/// Why a session file could not be read. Nothing of the file is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// It is an object without what every session needs.
    #[error("the member `{member}` is missing")]
    Missing {
        /// The member.
        member: &'static str,
    },
    /// It is no JSON, or a member is of another type.
    #[error("expected a session at line {line}, column {column}")]
    Json {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// It is another account's.
    #[error("the session is of another account than the one that was imported before")]
    OtherAccount,
    /// The system gives no random bytes.
    #[error("cannot invent a device: no random bytes")]
    Random,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;
    use serde_json::json;

    use super::Device;
    use super::Keychain;
    use super::Merged;
    use super::Session;
    use super::SessionError;

    const BOUNDARY: &str = "PCSBoundaryKey";

    fn session(changes: &Value) -> Session {
        let mut file = json!({
            "dsid": "1234", "mme_auth_token": "one", "cloudkit_token": "two", "handles": ["tel:+15555550100"],
            "items": [{"acct": "a", "labl": "PCS Messages3", "v_Data": "0A", "agrp": "not read"}],
        });
        let members = file.as_object_mut().unwrap();
        members.extend(changes.as_object().unwrap().clone());
        Session::decode(file.to_string().as_bytes()).unwrap()
    }

    fn shown(session: &Session) -> Value {
        serde_json::from_slice(session.encode().expose()).unwrap()
    }

    #[test]
    fn a_session_that_was_written_reads_as_it_was() {
        let device = Device::invent().unwrap();
        let full = json!({
            "cloudkit_user_id": "_0", "device": serde_json::to_value(&device).unwrap(), "anisette": {"headers": {"X-Apple-I-MD": "x"}},
        });
        for changes in [
            json!({}),
            full,
            json!({"anisette": {"url": "http://localhost"}}),
        ] {
            let session = session(&changes);

            let again = Session::decode(session.encode().expose()).unwrap();

            assert_eq!(shown(&again), shown(&session));
            for (name, value) in changes.as_object().unwrap() {
                assert_eq!(shown(&again)[name], *value);
            }
        }
    }

    #[test]
    fn a_later_import_brings_tokens_and_keys_and_takes_nothing_away() {
        let boundary = |digit: &str| json!({"acct": BOUNDARY, "v_Data": digit.repeat(64)});
        let first = json!({"cloudkit_user_id": "_0", "items": [boundary("1")]});
        let mut held = session(&first);
        let later = session(&json!({
            "mme_auth_token": "three",
            "handles": ["tel:+15555550100", "mailto:a@example.org"],
            "anisette": {"url": "http://localhost"},
            "items": [boundary("1"), {"acct": "b", "v_Data": "0b"}, {"acct": "b", "v_Data": " 0B"}, boundary("2")],
        }));

        let merged = held.merge(later.clone()).unwrap();

        let expected = Merged {
            new_items: 2,
            new_handles: 1,
            has_new_tokens: true,
        };
        assert_eq!(merged, expected);
        let shown = shown(&held);
        assert_eq!(shown["mme_auth_token"], "three");
        assert_eq!(shown["cloudkit_user_id"], "_0");
        assert_eq!(shown["anisette"]["url"], "http://localhost");
        assert_eq!(shown["items"].as_array().unwrap().len(), 3);
        let keychain = Keychain::read(&held.items);
        assert_eq!(keychain.boundary().unwrap().expose(), &[0x22; 32]);
        assert_eq!(held.merge(later).unwrap(), Merged::default());
    }

    #[test]
    fn a_member_that_is_missing_is_named() {
        let json = |text: &str| Session::decode(text.as_bytes()).map(|_session| ());

        assert_eq!(json("{}"), Err(SessionError::Missing { member: "dsid" }));
        let others = r#"{"dsid": "1", "mme_auth_token": "a", "cloudkit_token": "b"}"#;
        assert_eq!(json(others), Err(SessionError::Missing { member: "items" }));
        let typed = r#"{"dsid": 1, "mme_auth_token": "a", "cloudkit_token": "b", "items": []}"#;
        let at = SessionError::Json {
            line: 1,
            column: 10,
        };
        assert_eq!(json(typed), Err(at));
    }

    #[test]
    fn another_account_is_not_mixed_in() {
        let mut held = session(&json!({}));
        let before = shown(&held);

        let error = held.merge(session(&json!({"dsid": "5678"}))).unwrap_err();

        assert_eq!(error, SessionError::OtherAccount);
        assert_eq!(shown(&held), before);
    }

    #[test]
    fn invented_devices_differ_and_look_like_devices() {
        let devices: Vec<Device> = (0..20).map(|_| Device::invent().unwrap()).collect();

        let uuids: BTreeSet<&str> = devices.iter().map(|device| device.uuid.as_str()).collect();
        assert_eq!(uuids.len(), 20);
        for device in &devices {
            let lengths = [&device.uuid, &device.udid, &device.serial].map(String::len);
            assert_eq!(lengths, [36, 25, 10]);
            assert_eq!(device.uuid.as_bytes()[14], b'4');
            assert_eq!(device.digest().len(), 40);
            assert!(!format!("{device:?}").contains(&device.serial));
        }
    }
}

/// Why an item of a keychain could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeychainError {
    /// `v_Data` is something else.
    #[error("expected hexadecimal digits in v_Data")]
    Hex,
    /// The boundary key has another length.
    #[error("expected a boundary key of 32 bytes")]
    Boundary,
    /// It is no identity.
    #[error("expected an identity")]
    Identity(#[from] IdentityError),
}
