//! The DER that holds the keys of a zone or a record, for those who may open it.
//!
//! ```text
//! Protection      ::= [APPLICATION 1] EXPLICIT SEQUENCE { Keyset, [0] EXPLICIT OCTET STRING sealed,
//!                       [1] EXPLICIT SEQUENCE { INTEGER version, OCTET STRING ObjectSignature }, OCTET STRING hmac,
//!                       [2] EXPLICIT OCTET STRING keyIdPrefix, [3] EXPLICIT Signature OPTIONAL,
//!                       [4] EXPLICIT SEQUENCE OF Attribute OPTIONAL }
//! Keyset          ::= SEQUENCE { INTEGER 0, SET OF Recipient, [0] EXPLICIT SEQUENCE OF Attribute OPTIONAL }
//! Recipient       ::= SEQUENCE { SEQUENCE { INTEGER 3, OCTET STRING X }, OCTET STRING wrapped, INTEGER flags OPTIONAL }
//! ObjectSignature ::= SEQUENCE { INTEGER rollCount, INTEGER outerSignerType, SEQUENCE { INTEGER type, OCTET STRING point },
//!                       Signature, [0] EXPLICIT INTEGER symmKeyCount OPTIONAL, [1] EXPLICIT Signature OPTIONAL,
//!                       [2] EXPLICIT SEQUENCE OF ... OPTIONAL, [3] EXPLICIT SEQUENCE OF Attribute OPTIONAL }
//! Identities      ::= SEQUENCE { [0] EXPLICIT SET OF OCTET STRING OPTIONAL,
//!                       [1] EXPLICIT SEQUENCE { INTEGER, OCTET STRING } OPTIONAL,
//!                       [2] EXPLICIT SET OF SEQUENCE { INTEGER, OCTET STRING Keys } OPTIONAL }
//! Keys            ::= [APPLICATION 2] EXPLICIT SEQUENCE { UTF8String, SET OF PrivateKey, SET OF ANY,
//!                       OCTET STRING sha256 OPTIONAL }
//! ```
//!
//! Everything that is hashed or signed is hashed as it was received.
//!
//! Source: facts of CloudKit, 4.3.

use sha2::Digest;
use sha2::Sha256;

use crate::apple::der;
use crate::apple::der::DerError;
use crate::apple::der::Element;
use crate::apple::der::Reader;
use crate::apple::envelope;
use crate::apple::envelope::EnvelopeError;
use crate::apple::envelope::KeyRing;
use crate::apple::identity;
use crate::apple::identity::IdentityError;
use crate::apple::identity::Signature;
use crate::apple::key::CompactKey;
use crate::apple::key::PrivateKey;
use crate::apple::key::SymmetricKey;
use crate::apple::wrap;
use crate::apple::wrap::WrapError;

/// The version in which the root key is used as it is.
const VERSION_ROOT_KEY: u32 = 5;

/// In a recipient's flags: it may only read.
const FLAG_READONLY: u32 = 1;

/// What a protection held.
#[derive(Clone, Debug)]
pub struct Opened {
    /// Symmetric keys, the current one first.
    pub symmetric: KeyRing,
    /// Elliptic keys, which open the protections below this one.
    pub private: Vec<PrivateKey>,
    /// Which of the keys that were offered opened it.
    pub recipient: CompactKey,
    /// How often the keys were changed.
    pub roll_count: u32,
    /// Somebody else than the recipient signed it: told, and never decides.
    pub foreign_signer: Option<Vec<u8>>,
}

/// Opens a protection with the keys that are held.
///
/// Every recipient is looked at, not only the first.
///
/// # Errors
/// [`ProtectionError`]; [`ProtectionError::NotForUs`] when none of the keys is a recipient.
pub fn open<'k>(
    bytes: &[u8],
    held: impl IntoIterator<Item = &'k PrivateKey>,
) -> Result<Opened, ProtectionError> {
    let protection = Protection::read(bytes)?;
    let (recipient, key) = held
        .into_iter()
        .find_map(|key| Some((protection.recipient(key.public())?, key)))
        .ok_or(ProtectionError::NotForUs)?;
    let root = SymmetricKey::new(wrap::unwrap(recipient.wrapped, key)?);
    let is_readonly = recipient.flags & FLAG_READONLY != 0;
    let digest = protection.digest();
    if !is_readonly {
        protection.check_object(&root, &digest)?;
    }
    let foreign_signer = protection.check_outer(&digest, key.public())?;
    let master = if is_readonly || protection.version == VERSION_ROOT_KEY {
        root
    } else {
        root.share_key()
    };
    protection.check_key(&master)?;
    let ring = KeyRing::new(vec![master]);
    let sealed = envelope::open(&ring, protection.sealed, &[])?;
    let (older, private) = identities(&sealed)?;
    let keys = ring.keys().iter().cloned().chain(older).collect();
    Ok(Opened {
        symmetric: KeyRing::new(keys),
        private,
        recipient: *key.public(),
        roll_count: protection.object.roll_count,
        foreign_signer,
    })
}

/// A protection, taken apart.
struct Protection<'a> {
    keyset: Element<'a>,
    recipients: Vec<Recipient<'a>>,
    sealed: &'a [u8],
    version: u32,
    object_der: &'a [u8],
    object: ObjectSignature<'a>,
    hmac: &'a [u8],
    key_id_prefix: &'a [u8],
    outer: Option<Signature<'a>>,
}

/// Someone who may open a protection.
struct Recipient<'a> {
    x: &'a [u8],
    wrapped: &'a [u8],
    flags: u32,
}

impl<'a> Protection<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, DerError> {
        let mut whole = Reader::new(bytes)?;
        let mut outer = whole.inside(der::application(1), "a protection")?;
        let mut reader = outer.inside(der::SEQUENCE, "the content of a protection")?;
        let keyset = reader.next(der::SEQUENCE, "the keys of a protection")?;
        let recipients = recipients(keyset)?;
        let sealed = reader
            .inside(der::context(0), "what is sealed")?
            .octets("what is sealed")?;
        let mut signed = reader
            .inside(der::context(1), "the signature of the object")?
            .inside(der::SEQUENCE, "the signature of the object")?;
        let version = signed.number("the version of a protection")?;
        let object_der = signed.octets("the signature of the object")?;
        let hmac = reader.octets("the HMAC of a protection")?;
        let key_id_prefix = reader
            .inside(der::context(2), "the id of a key")?
            .octets("the id of a key")?;
        let outer = reader
            .inside_optional(der::context(3), "a signature")?
            .map(|mut signature| identity::read_signature(&mut signature))
            .transpose()?;
        reader.optional(der::context(4), "attributes")?;
        Ok(Self {
            keyset,
            recipients,
            sealed,
            version,
            object_der,
            object: ObjectSignature::read(object_der)?,
            hmac,
            key_id_prefix,
            outer,
        })
    }

    fn recipient(&self, key: &CompactKey) -> Option<&Recipient<'a>> {
        self.recipients
            .iter()
            .find(|recipient| recipient.x == key.x())
    }

    /// What is signed.
    fn digest(&self) -> Vec<u8> {
        let object = &self.object;
        let numbers = [
            object.outer_signer,
            object.roll_count,
            object.key_count,
            object.point_kind,
        ];
        let mut digest = self.keyset.whole.to_vec();
        digest.extend_from_slice(self.sealed);
        for number in numbers {
            digest.extend_from_slice(&number.to_be_bytes());
        }
        digest.extend_from_slice(object.point);
        digest.extend_from_slice(object.attributes);
        digest.extend_from_slice(object.previous);
        digest
    }

    /// The object's own key signed it: the current one, or the one before a change of keys.
    fn check_object(&self, root: &SymmetricKey, digest: &[u8]) -> Result<(), ProtectionError> {
        let key = root.object_key().ok_or(ProtectionError::ObjectSignature)?;
        let object = &self.object;
        let older = object.older_signature.as_ref();
        let is_signed = key.has_signed(digest, object.signature.ecdsa)
            || older.is_some_and(|older| key.has_signed(digest, older.ecdsa));
        is_signed
            .then_some(())
            .ok_or(ProtectionError::ObjectSignature)
    }

    /// The outer signature holds. Whose it is, if not the recipient's.
    fn check_outer(
        &self,
        digest: &[u8],
        recipient: &CompactKey,
    ) -> Result<Option<Vec<u8>>, ProtectionError> {
        let Some(outer) = &self.outer else {
            return Ok(None);
        };
        let signer = CompactKey::parse(outer.key_id).ok_or(ProtectionError::OuterSignature)?;
        if !signer.has_signed(digest, outer.ecdsa) {
            return Err(ProtectionError::OuterSignature);
        }
        Ok((signer != *recipient).then(|| outer.key_id.to_vec()))
    }

    /// The key is the one that is meant, and made the HMAC.
    fn check_key(&self, master: &SymmetricKey) -> Result<(), ProtectionError> {
        if self.key_id_prefix.is_empty() || !master.id().starts_with(self.key_id_prefix) {
            return Err(ProtectionError::KeyId);
        }
        let pieces = [self.keyset.whole, self.sealed, self.object_der];
        if !master.authenticates(&pieces, self.hmac) {
            return Err(ProtectionError::Hmac);
        }
        Ok(())
    }
}

fn recipients(keyset: Element<'_>) -> Result<Vec<Recipient<'_>>, DerError> {
    let mut reader = keyset.reader();
    reader.number("the version of a key set")?;
    let mut set = reader.inside(der::SET, "recipients")?;
    let mut found = Vec::new();
    while !set.is_empty() {
        let mut recipient = set.inside(der::SEQUENCE, "a recipient")?;
        let mut key = recipient.inside(der::SEQUENCE, "the key of a recipient")?;
        key.number("the kind of a recipient's key")?;
        let x = key.octets("the X of a recipient")?;
        let wrapped = recipient.octets("a wrapped key")?;
        let flags = if recipient.is_next(der::INTEGER) {
            recipient.number("the flags of a recipient")?
        } else {
            0
        };
        found.push(Recipient { x, wrapped, flags });
    }
    Ok(found)
}

/// What the object's key says of itself.
struct ObjectSignature<'a> {
    roll_count: u32,
    outer_signer: u32,
    point_kind: u32,
    point: &'a [u8],
    signature: Signature<'a>,
    key_count: u32,
    older_signature: Option<Signature<'a>>,
    /// The DER in `[2]`; empty without it.
    previous: &'a [u8],
    /// The DER in `[3]`; empty without it.
    attributes: &'a [u8],
}

impl<'a> ObjectSignature<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, DerError> {
        let mut reader = Reader::new(bytes)?.inside(der::SEQUENCE, "the signature of an object")?;
        let roll_count = reader.number("the count of key changes")?;
        let outer_signer = reader.number("the kind of the outer signer")?;
        let mut public = reader.inside(der::SEQUENCE, "the key of an object")?;
        let point_kind = public.number("the kind of an object's key")?;
        let point = public.octets("the point of an object's key")?;
        let signature = identity::read_signature(&mut reader)?;
        let key_count = reader
            .inside_optional(der::context(0), "the count of keys")?
            .map_or(Ok(0), |mut count| count.number("the count of keys"))?;
        let older_signature = reader
            .inside_optional(der::context(1), "a signature by the key before")?
            .map(|mut signature| identity::read_signature(&mut signature))
            .transpose()?;
        let mut content = |number, expected| {
            let element = reader.optional(der::context(number), expected)?;
            Ok(element.map_or(&[][..], |element| element.content))
        };
        let previous = content(2, "keys of an object")?;
        let attributes = content(3, "attributes of an object")?;
        Ok(Self {
            roll_count,
            outer_signer,
            point_kind,
            point,
            signature,
            key_count,
            older_signature,
            previous,
            attributes,
        })
    }
}

type Contents = (Vec<SymmetricKey>, Vec<PrivateKey>);

/// The older symmetric keys and the elliptic keys in what was sealed.
fn identities(bytes: &[u8]) -> Result<Contents, ProtectionError> {
    let mut reader = Reader::new(bytes)?.inside(der::SEQUENCE, "identities")?;
    let mut older = Vec::new();
    if let Some(mut keys) = reader.inside_optional(der::context(0), "older keys")? {
        let mut set = keys.inside(der::SET, "older keys")?;
        while !set.is_empty() {
            let key = set.octets("an older key")?;
            older.push(SymmetricKey::parse(key).ok_or(ProtectionError::KeyLength)?);
        }
    }
    reader.optional(der::context(1), "an identity")?;
    let mut private = Vec::new();
    if let Some(mut sets) = reader.inside_optional(der::context(2), "sets of keys")? {
        let mut set = sets.inside(der::SET, "sets of keys")?;
        while !set.is_empty() {
            let mut entry = set.inside(der::SEQUENCE, "a set of keys")?;
            entry.number("the kind of a set of keys")?;
            keys(entry.octets("a set of keys")?, &mut private)?;
        }
    }
    Ok((older, private))
}

/// The elliptic keys of a set, if its hash is right.
fn keys(bytes: &[u8], found: &mut Vec<PrivateKey>) -> Result<(), ProtectionError> {
    let mut outer = Reader::new(bytes)?.inside(der::application(2), "a set of keys")?;
    let sequence = outer.next(der::SEQUENCE, "the content of a set of keys")?;
    let mut reader = sequence.reader();
    reader.next(der::UTF8, "the name of a set of keys")?;
    let mut set = reader.inside(der::SET, "private keys")?;
    while !set.is_empty() {
        found.push(identity::read(&mut set)?.key().clone());
    }
    reader.next(der::SET, "the rest of a set of keys")?;
    let unhashed = sequence.content.len().saturating_sub(reader.remaining());
    if let Some(hash) = reader.optional(der::OCTETS, "the hash of a set of keys")? {
        let content = sequence.content.get(..unhashed).unwrap_or_default();
        let inner = der::header(der::SEQUENCE, content.len());
        let length = inner.len().saturating_add(content.len());
        let expected = Sha256::new()
            .chain_update(der::header(der::application(2), length))
            .chain_update(inner)
            .chain_update(content)
            .finalize();
        if expected.as_slice() != hash.content {
            return Err(ProtectionError::KeysHash);
        }
    }
    Ok(())
}

/// Why a protection stays closed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtectionError {
    /// The DER is another.
    #[error(transparent)]
    Der(#[from] DerError),
    /// None of the keys that are held may open it.
    #[error("no identity in the keychain may open the protection")]
    NotForUs,
    /// The wrapped key does not open.
    #[error("cannot unwrap the key of the protection")]
    Wrap(#[from] WrapError),
    /// The object's key did not sign it.
    #[error("the signature of the object does not hold")]
    ObjectSignature,
    /// The outer signature does not hold, or names no key.
    #[error("the outer signature of the protection does not hold")]
    OuterSignature,
    /// The key is another than the one that is named.
    #[error("the key of the protection has another id than is named")]
    KeyId,
    /// The HMAC does not hold.
    #[error("the HMAC of the protection does not hold")]
    Hmac,
    /// What is sealed does not open.
    #[error("cannot open what the protection seals")]
    Sealed(#[from] EnvelopeError),
    /// An older key has another length.
    #[error("expected older keys of 16 bytes")]
    KeyLength,
    /// A set of keys is not what was hashed.
    #[error("the hash of a set of keys does not hold")]
    KeysHash,
    /// A private key in a set cannot be read.
    #[error("cannot read a private key of the protection")]
    Identity(#[from] IdentityError),
}
