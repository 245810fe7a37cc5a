//! What the owner imports to read Messages in iCloud: tokens of a signed-in account, a device to speak as, and the items of
//! its keychain. It is read and held; nothing of it is ever printed.
//!
//! Source: facts of CloudKit, 6.1 and 7.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use crate::apple::identity::Identity;
use crate::apple::identity::IdentityError;
use crate::apple::identity::SignatureState;
use crate::apple::key::CompactKey;
use crate::apple::key::PrivateKey;
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
        serde_json::from_slice(json).map_err(|error| SessionError::Json {
            line: error.line(),
            column: error.column(),
        })
    }
}

/// The device to speak as.
#[derive(Clone, Deserialize)]
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
#[derive(Clone, Deserialize)]
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
        for item in items {
            if let Err(error) = keychain.add(item) {
                let name = item.labl.clone().or_else(|| item.acct.clone());
                keychain.unreadable.push((name.unwrap_or_default(), error));
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
    /// It is no JSON, or a member is missing or of another type.
    #[error("expected a session at line {line}, column {column}")]
    Json {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
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
