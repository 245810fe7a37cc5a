//! Identities: the private keys that a keychain holds for Messages in iCloud.
//!
//! ```text
//! PrivateKey     ::= SEQUENCE { OCTET STRING private64, PublicIdentity OPTIONAL }
//!                  | [APPLICATION 5] IMPLICIT SEQUENCE { OCTET STRING protobuf }
//!                    protobuf: 1 encryption { 1 private64, 2 PublicIdentity }, 2 signing { 1 private64 }
//! PublicIdentity ::= [APPLICATION 1] EXPLICIT SEQUENCE { INTEGER service, INTEGER 1, OCTET STRING X,
//!                      [0] EXPLICIT SEQUENCE OF Attribute OPTIONAL, [1] EXPLICIT Signature OPTIONAL }
//! Signature      ::= SEQUENCE { OCTET STRING keyid, INTEGER digest, OCTET STRING ecdsa }
//! ```
//!
//! An identity is signed by the master key of the account: `keyid` is the beginning of the hash of its X. Whether that
//! signature holds is told and never decides: keys that other clients made fail it.
//!
//! Source: facts of CloudKit, 4.2.

use sha2::Digest;
use sha2::Sha256;

use crate::apple::der;
use crate::apple::der::DerError;
use crate::apple::der::Element;
use crate::apple::der::Reader;
use crate::apple::key::CompactKey;
use crate::apple::key::PrivateKey;
use crate::codec::cloudkit::Wire;
use crate::codec::cloudkit::WireFields;

/// SHA-256, in a signature.
const DIGEST_SHA256: u32 = 1;

/// An identity of a keychain.
#[derive(Clone, Debug)]
pub struct Identity {
    key: PrivateKey,
    /// The second form has a key of its own for signing.
    signing: Option<PrivateKey>,
    public: Option<PublicIdentity>,
}

impl Identity {
    /// Reads a keychain item's `v_Data`.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, IdentityError> {
        let mut reader = Reader::new(bytes)?;
        let identity = read(&mut reader)?;
        reader.end("the end of the key")?;
        Ok(identity)
    }

    /// The key that it opens with.
    pub fn key(&self) -> &PrivateKey {
        &self.key
    }

    /// The key that it would sign with.
    pub fn signing_key(&self) -> &PrivateKey {
        self.signing.as_ref().unwrap_or(&self.key)
    }

    /// The number of the service that it is for: 55 is Messages, 1 the account's master key. `None` where the key comes
    /// without its public identity.
    pub fn service(&self) -> Option<u32> {
        self.public.as_ref().map(|public| public.service)
    }

    /// Whether one of these keys signed it.
    pub fn signed_by(&self, keys: &[CompactKey]) -> SignatureState {
        match self
            .public
            .as_ref()
            .and_then(|public| public.signature.as_ref())
        {
            Some(signature) => signature.state(keys),
            None => SignatureState::Absent,
        }
    }
}

/// What became of looking at a signature that is optional to check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureState {
    /// There is none.
    Absent,
    /// The key that made it is not held.
    UnknownSigner,
    /// It holds.
    Good,
    /// It does not hold.
    Bad,
}

/// What others know of an identity.
#[derive(Clone, Debug)]
struct PublicIdentity {
    service: u32,
    signature: Option<IdentitySignature>,
}

/// A signature over a public identity, and what it was made over.
#[derive(Clone, Debug)]
struct IdentitySignature {
    /// The beginning of the SHA-256 of the signer's X.
    key_id: Vec<u8>,
    ecdsa: Vec<u8>,
    signed: Vec<u8>,
}

impl IdentitySignature {
    fn state(&self, keys: &[CompactKey]) -> SignatureState {
        let named = |key: &&CompactKey| {
            !self.key_id.is_empty() && Sha256::digest(key.x()).starts_with(&self.key_id)
        };
        match keys.iter().find(named) {
            None => SignatureState::UnknownSigner,
            Some(key) if key.has_signed(&self.signed, &self.ecdsa) => SignatureState::Good,
            Some(_) => SignatureState::Bad,
        }
    }
}

/// Reads a private key in either form.
pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Identity, IdentityError> {
    if let Some(mut second) =
        reader.inside_optional(der::application(5), "a key of the second form")?
    {
        let message = second.octets("the key's protocol buffer")?;
        return second_form(message);
    }
    let mut first = reader.inside(der::SEQUENCE, "a private key")?;
    let compact = first.octets("the key's 64 bytes")?;
    let key = PrivateKey::parse(compact).ok_or(IdentityError::Key)?;
    let public = first
        .optional(der::application(1), "a public identity")?
        .map(|element| public(element, &key))
        .transpose()?;
    Ok(Identity {
        key,
        signing: None,
        public,
    })
}

fn second_form(message: &[u8]) -> Result<Identity, IdentityError> {
    let encryption = member(message, 1).ok_or(IdentityError::Message)?;
    let compact = member(encryption, 1).ok_or(IdentityError::Message)?;
    let key = PrivateKey::parse(compact).ok_or(IdentityError::Key)?;
    let public = member(encryption, 2)
        .map(|bytes| {
            let mut reader = Reader::new(bytes)?;
            let element = reader.next(der::application(1), "a public identity")?;
            public(element, &key)
        })
        .transpose()?;
    let signing = member(message, 2)
        .and_then(|signing| member(signing, 1))
        .map(|compact| PrivateKey::parse(compact).ok_or(IdentityError::Key))
        .transpose()?;
    Ok(Identity {
        key,
        signing,
        public,
    })
}

/// The bytes of a field of a protocol buffer.
fn member(message: &[u8], wanted: u32) -> Option<&[u8]> {
    WireFields::new(message)
        .map_while(Result::ok)
        .find_map(|(number, value)| (number == wanted).then(|| Wire::bytes(value)).flatten())
}

fn public(element: Element<'_>, key: &PrivateKey) -> Result<PublicIdentity, IdentityError> {
    let mut outer = element.reader();
    let sequence = outer.next(der::SEQUENCE, "the content of a public identity")?;
    let mut reader = sequence.reader();
    let service = reader.number("the number of a service")?;
    reader.number("the kind of a public identity")?;
    let x = reader.octets("the X of a public identity")?;
    if x != key.public().x() {
        return Err(IdentityError::Key);
    }
    reader.optional(der::context(0), "attributes")?;
    let unsigned_length = sequence.content.len().saturating_sub(reader.remaining());
    let Some(mut signature) = reader.inside_optional(der::context(1), "a signature")? else {
        return Ok(PublicIdentity {
            service,
            signature: None,
        });
    };
    let signature = read_signature(&mut signature)?;
    // What is signed is the identity as it is without its signature, with the lengths that it has then.
    let content = sequence.content.get(..unsigned_length).unwrap_or_default();
    let sequence = [&der::header(der::SEQUENCE, content.len())[..], content].concat();
    let signed = [
        &der::header(der::application(1), sequence.len())[..],
        &sequence,
    ]
    .concat();
    Ok(PublicIdentity {
        service,
        signature: Some(IdentitySignature {
            key_id: signature.key_id.to_vec(),
            ecdsa: signature.ecdsa.to_vec(),
            signed,
        }),
    })
}

/// A signature, and whose it is.
pub(crate) struct Signature<'a> {
    pub(crate) key_id: &'a [u8],
    pub(crate) ecdsa: &'a [u8],
}

/// Reads a signature that is the next element.
pub(crate) fn read_signature<'a>(reader: &mut Reader<'a>) -> Result<Signature<'a>, DerError> {
    let mut signature = reader.inside(der::SEQUENCE, "a signature")?;
    let key_id = signature.octets("the id of a signature's key")?;
    let digest = signature.clone();
    if signature.number("the digest of a signature")? != DIGEST_SHA256 {
        return Err(digest.unexpected("SHA-256 as the digest of a signature"));
    }
    let ecdsa = signature.octets("a signature's bytes")?;
    Ok(Signature { key_id, ecdsa })
}

/// Why a keychain item is no identity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The DER is another.
    #[error(transparent)]
    Der(#[from] DerError),
    /// The protocol buffer of the second form is another.
    #[error("expected a key in the protocol buffer of an identity")]
    Message,
    /// The halves of the key do not belong together, or are none.
    #[error("expected a compact key of P-256")]
    Key,
}
