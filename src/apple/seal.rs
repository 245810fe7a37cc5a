//! The way back: identities and protections as the owner's devices write them. A reader has no use for it; the loopback
//! iCloud has, and so have tests. Envelopes are sealed in `envelope`, files in `asset`.
//!
//! Signatures are deterministic, so that an account that is made again from its seed has the same bytes.
//!
//! Source: facts of CloudKit, 4.1 to 4.7.

use p256::ecdsa::Signature;
use p256::ecdsa::SigningKey;
use p256::ecdsa::signature::Signer;
use p256::elliptic_curve::sec1::ToEncodedPoint;
use sha1::Sha1;
use sha2::Digest;
use sha2::Sha256;

use crate::apple::der;
use crate::apple::envelope;
use crate::apple::key::KEY_BYTES;
use crate::apple::key::PrivateKey;
use crate::apple::key::SymmetricKey;
use crate::apple::wrap;

/// The version in which the root key is used as it is.
const VERSION: u8 = 5;

/// The kind of a recipient's key, of an outer signer, and of a set of keys.
const KIND_COMPACT: u8 = 3;

const DIGEST_SHA256: u8 = 1;

/// The number of Messages among the services.
pub const SERVICE_MESSAGES: u8 = 55;

/// The number of the master key among the services.
pub const SERVICE_MASTER: u8 = 1;

/// Bytes of the beginning of a key id by which keys are named.
const PREFIX_BYTES: usize = 4;

/// Attribute of an object's signature: the ids of the keys before.
const ATTRIBUTE_OLDER_KEYS: u8 = 5;

/// Attributes of a public identity: what made it and when, and flags. The bytes are the same on every Mac but for the time.
const ATTRIBUTE_FLAGS: (u8, &[u8]) = (3, b"\x30\x03\x02\x01\x00");
const ATTRIBUTE_MAKER: (u8, &[u8]) = (
    1,
    b"\x30\x22\xa0\x0d\x0c\x0bmacOS;23F79\xa1\x11\x18\x0f20240101000000Z",
);

/// Where random bytes come from. An account that is to be made again takes them from a seed.
pub trait Entropy {
    /// Fills the bytes.
    fn fill(&mut self, bytes: &mut [u8]);

    /// An array of random bytes.
    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }
}

/// Makes a private key whose point is the one that its compact form means.
pub fn private_key(entropy: &mut impl Entropy) -> PrivateKey {
    loop {
        // Every second scalar will do; those beyond the group's order are rarer than anything.
        let key = PrivateKey::from_scalar(&entropy.array::<32>());
        if let Some(key) = key.filter(PrivateKey::is_compact) {
            return key;
        }
    }
}

/// Bytes by which a key is found in a keychain (`atyp`), and by which a signature names its maker.
pub fn key_name(key: &PrivateKey) -> [u8; 20] {
    let hash = Sha256::digest(key.public().x());
    hash.first_chunk().copied().unwrap_or_default()
}

/// The DER of a keychain item's `v_Data`: an identity of a service, signed by the account's master key.
pub fn identity(key: &PrivateKey, service: u8, master: &PrivateKey) -> Vec<u8> {
    let attribute = |(number, value): (u8, &[u8])| sequence(&[integer(number), octets(value)]);
    let mut parts = vec![integer(service), integer(1), octets(key.public().x())];
    if service != SERVICE_MASTER {
        let attributes = sequence(&[attribute(ATTRIBUTE_FLAGS), attribute(ATTRIBUTE_MAKER)]);
        parts.push(element(der::context(0), &attributes));
    }
    let unsigned = element(der::application(1), &sequence(&parts));
    let signature = signature(&key_name(master), master.secret(), &unsigned);
    parts.push(element(der::context(1), &signature));
    let public = element(der::application(1), &sequence(&parts));
    sequence(&[octets(&pair(key)), public])
}

/// Keys to be protected.
pub struct Draft<'a> {
    /// Who may open it.
    pub recipients: &'a [&'a PrivateKey],
    /// Who answers for it: one of the recipients as a rule.
    pub signer: &'a PrivateKey,
    /// The root key.
    pub root: [u8; KEY_BYTES],
    /// The root keys before it, the latest first.
    pub older: &'a [[u8; KEY_BYTES]],
    /// Elliptic keys that open the protections below.
    pub private: &'a [&'a PrivateKey],
    /// How often the keys were changed.
    pub roll_count: u8,
}

/// The DER of a protection.
pub fn protection(draft: &Draft<'_>, entropy: &mut impl Entropy) -> Vec<u8> {
    let root = SymmetricKey::new(draft.root);
    let recipients: Vec<u8> = draft
        .recipients
        .iter()
        .flat_map(|recipient| {
            let ephemeral = private_key(entropy);
            // A private key's public half is a point, so that wrapping for it does not fail.
            let wrapped = wrap::wrap(&draft.root, recipient.public(), &ephemeral);
            sequence(&[
                sequence(&[integer(KIND_COMPACT), octets(recipient.public().x())]),
                octets(&wrapped.unwrap_or_default()),
            ])
        })
        .collect();
    let keyset = sequence(&[integer(0), element(der::SET, &recipients)]);
    let sealed = envelope::seal(&root, &identities(draft), &[], &entropy.array());
    let (object, digest) = object(draft, &root, &keyset, &sealed);
    let tag = root.tag(&[&keyset, &sealed, &object]);
    let outer = signature(draft.signer.public().x(), draft.signer.secret(), &digest);
    let content = sequence(&[
        keyset,
        element(der::context(0), &octets(&sealed)),
        element(
            der::context(1),
            &sequence(&[integer(VERSION), octets(&object)]),
        ),
        octets(&tag),
        element(der::context(2), &octets(&prefix(&root))),
        element(der::context(3), &outer),
    ]);
    element(der::application(1), &content)
}

/// The tag that goes with a protection: the hash of its bytes in upper-case digits.
pub fn protection_tag(protection: &[u8]) -> String {
    super::hex(&Sha1::digest(protection)).to_uppercase()
}

/// What a protection says of its object's key, and what is signed.
fn object(
    draft: &Draft<'_>,
    root: &SymmetricKey,
    keyset: &[u8],
    sealed: &[u8],
) -> (Vec<u8>, Vec<u8>) {
    let point = |key: &SymmetricKey| {
        let key = key.object_key()?;
        Some((
            key.public().to_encoded_point(false).as_bytes().to_vec(),
            key,
        ))
    };
    // The scalar is zero once in 2^256 keys.
    let Some((point_bytes, key)) = point(root) else {
        return Default::default();
    };
    let count = u8::try_from(draft.older.len()).unwrap_or(u8::MAX);
    let older: Vec<SymmetricKey> = draft.older.iter().copied().map(SymmetricKey::new).collect();
    let ids: Vec<Vec<u8>> = older.iter().map(|key| octets(&prefix(key))).collect();
    let attribute = sequence(&[integer(ATTRIBUTE_OLDER_KEYS), octets(&sequence(&ids))]);
    let attributes = sequence(&[attribute]);

    let mut digest = [keyset, sealed].concat();
    for number in [KIND_COMPACT, draft.roll_count, count, 1] {
        digest.extend_from_slice(&u32::from(number).to_be_bytes());
    }
    digest.extend_from_slice(&point_bytes);
    if !older.is_empty() {
        digest.extend_from_slice(&attributes);
    }
    let mut parts = vec![
        integer(draft.roll_count),
        integer(KIND_COMPACT),
        sequence(&[integer(1), octets(&point_bytes)]),
        signature(b"", key.secret(), &digest),
    ];
    if let Some((_, before)) = older.first().and_then(point) {
        parts.push(element(der::context(0), &integer(count)));
        let signature = signature(b"", before.secret(), &digest);
        parts.push(element(der::context(1), &signature));
        parts.push(element(der::context(3), &attributes));
    }
    (sequence(&parts), digest)
}

/// What is sealed: older keys, and elliptic ones.
fn identities(draft: &Draft<'_>) -> Vec<u8> {
    let mut parts = Vec::new();
    if !draft.older.is_empty() {
        let older: Vec<u8> = draft.older.iter().flat_map(|key| octets(key)).collect();
        parts.push(element(der::context(0), &element(der::SET, &older)));
    }
    if !draft.private.is_empty() {
        let keys: Vec<u8> = draft
            .private
            .iter()
            .flat_map(|key| sequence(&[octets(&pair(key))]))
            .collect();
        let mut set = vec![
            element(der::UTF8, b""),
            element(der::SET, &keys),
            element(der::SET, b""),
        ];
        let unhashed = element(der::application(2), &sequence(&set));
        set.push(octets(&Sha256::digest(unhashed)));
        let set = element(der::application(2), &sequence(&set));
        let entry = sequence(&[integer(1), octets(&set)]);
        parts.push(element(der::context(2), &element(der::SET, &entry)));
    }
    sequence(&parts)
}

fn prefix(key: &SymmetricKey) -> [u8; PREFIX_BYTES] {
    key.id().first_chunk().copied().unwrap_or_default()
}

/// The compact form of a private key.
fn pair(key: &PrivateKey) -> Vec<u8> {
    let scalar = key.secret().to_bytes();
    [&key.public().x()[..], scalar.as_slice()].concat()
}

fn signature(key_id: &[u8], key: &p256::SecretKey, message: &[u8]) -> Vec<u8> {
    let made: Signature = SigningKey::from(key).sign(message);
    sequence(&[
        octets(key_id),
        integer(DIGEST_SHA256),
        octets(made.to_der().as_bytes()),
    ])
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    [&der::header(tag, content.len())[..], content].concat()
}

fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    element(der::SEQUENCE, &parts.concat())
}

/// A number below 128.
fn integer(value: u8) -> Vec<u8> {
    element(der::INTEGER, &[value & 0x7f])
}

fn octets(bytes: &[u8]) -> Vec<u8> {
    element(der::OCTETS, bytes)
}
