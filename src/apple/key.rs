//! Keys: elliptic ones on P-256 in Apple's compact form, and symmetric ones of 16 bytes with what is derived from them.
//!
//! A compact public key is the X coordinate alone: of the two points the one with the smaller Y is meant. A compact
//! private key is that X and the scalar.
//!
//! Source: facts of CloudKit, 4.1, 4.5 and 4.7.

use std::fmt;

use aes::Aes128;
use aes_gcm::AesGcm;
use aes_gcm::KeyInit;
use aes_gcm::aead::consts::U12;
use hmac::Hmac;
use hmac::Mac;
use p256::AffinePoint;
use p256::NonZeroScalar;
use p256::PublicKey;
use p256::SecretKey;
use p256::ecdsa::Signature;
use p256::ecdsa::VerifyingKey;
use p256::ecdsa::signature::Verifier;
use p256::elliptic_curve::ops::Reduce;
use p256::elliptic_curve::point::AffineCoordinates;
use p256::elliptic_curve::point::DecompressPoint;
use p256::elliptic_curve::sec1::ToEncodedPoint;
use p256::elliptic_curve::subtle::Choice;
use pbkdf2::pbkdf2_hmac;
use sha2::Sha256;

use crate::base::secret::Secret;

/// Bytes of a symmetric key.
pub const KEY_BYTES: usize = 16;

/// Bytes of a coordinate, a scalar, a key id.
const FIELD_BYTES: usize = 32;

const LABEL_KEY_ID: &[u8; 20] = b"master key id labell";
const LABEL_ENCRYPTION: &[u8; 20] = b"encryption key key m";
const LABEL_HMAC: &[u8; 20] = b"hmackey-of-masterkey";
const LABEL_SHARE: &[u8; 20] = b"MsaeEooevaX fooo 012";

/// What a key's id is computed over.
const KEY_ID_INPUT: &[u8; 20] = b"M key input data 2 u";

const OBJECT_SALT: &[u8] = b"full master key";
const OBJECT_ROUNDS: u32 = 10;
const OBJECT_BYTES: usize = 128;

/// A compact public key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CompactKey([u8; FIELD_BYTES]);

impl CompactKey {
    /// From its X coordinate. `None` for other lengths; that it lies on the curve is found out when it is used.
    pub fn parse(x: &[u8]) -> Option<Self> {
        x.try_into().ok().map(Self)
    }

    /// The X coordinate.
    pub fn x(&self) -> &[u8; FIELD_BYTES] {
        &self.0
    }

    /// Its point: of the two with this X the one with the smaller Y.
    fn point(&self) -> Option<AffinePoint> {
        let point: Option<AffinePoint> =
            AffinePoint::decompress(&self.0.into(), Choice::from(0)).into();
        let point = point?;
        #[expect(
            clippy::arithmetic_side_effects,
            reason = "the negative of a point of the curve is one"
        )]
        let other = -point;
        let y = |point: &AffinePoint| point.to_encoded_point(false).y().copied();
        Some(if y(&other) < y(&point) { other } else { point })
    }

    /// Whether this key made an ECDSA signature, in DER, over the SHA-256 of a message.
    pub fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let Some(key) = self
            .point()
            .and_then(|point| VerifyingKey::from_affine(point).ok())
        else {
            return false;
        };
        verifies(&key, message, signature)
    }
}

fn verifies(key: &VerifyingKey, message: &[u8], signature: &[u8]) -> bool {
    Signature::from_der(signature).is_ok_and(|signature| key.verify(message, &signature).is_ok())
}

impl fmt::Debug for CompactKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = self.0.first_chunk::<4>().copied().unwrap_or_default();
        write!(f, "CompactKey({}..)", super::hex(&start))
    }
}

/// A compact private key.
#[derive(Clone)]
pub struct PrivateKey {
    public: CompactKey,
    secret: SecretKey,
}

impl PrivateKey {
    /// From its 64 bytes. `None` unless both halves belong together.
    pub fn parse(compact: &[u8]) -> Option<Self> {
        let (x, scalar) = compact.split_at_checked(FIELD_BYTES)?;
        let key = Self::from_scalar(scalar)?;
        (key.public.0 == *x).then_some(key)
    }

    /// From its scalar.
    pub fn from_scalar(scalar: &[u8]) -> Option<Self> {
        let secret = SecretKey::from_slice(scalar).ok()?;
        let public = CompactKey(secret.public_key().as_affine().x().into());
        Some(Self { public, secret })
    }

    /// Its public half.
    pub fn public(&self) -> &CompactKey {
        &self.public
    }

    /// The secret that it shares with another key: the X coordinate. `None` when the other is no point of the curve.
    pub(crate) fn shared(&self, other: &CompactKey) -> Option<Secret<[u8; FIELD_BYTES]>> {
        let point = other.point()?;
        let shared = p256::ecdh::diffie_hellman(self.secret.to_nonzero_scalar(), point);
        Some(Secret::new((*shared.raw_secret_bytes()).into()))
    }

    /// Whether its own point is the one that its compact public key means. Those of an account are: keys are generated
    /// until they are.
    pub(crate) fn is_compact(&self) -> bool {
        self.public.point() == Some(*self.secret.public_key().as_affine())
    }

    /// The scalar, for `seal`.
    pub(crate) fn secret(&self) -> &SecretKey {
        &self.secret
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({:?})", self.public)
    }
}

/// A symmetric key, with what is derived from it once and used for every field.
#[derive(Clone)]
pub struct SymmetricKey {
    bytes: Secret<[u8; KEY_BYTES]>,
    id: [u8; FIELD_BYTES],
    cipher: AesGcm<Aes128, U12, U12>,
}

impl SymmetricKey {
    /// A key of these bytes.
    pub fn new(bytes: [u8; KEY_BYTES]) -> Self {
        let id = hmac(&derive(&bytes, LABEL_KEY_ID), &[KEY_ID_INPUT]);
        let cipher = AesGcm::new(&derive(&bytes, LABEL_ENCRYPTION).into());
        Self {
            bytes: Secret::new(bytes),
            id,
            cipher,
        }
    }

    /// From bytes of any length; `None` unless there are 16.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::new)
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8; KEY_BYTES] {
        self.bytes.expose()
    }

    /// Its id. Prefixes of it name the key; it tells nothing of the key itself.
    pub fn id(&self) -> &[u8; FIELD_BYTES] {
        &self.id
    }

    pub(crate) fn cipher(&self) -> &AesGcm<Aes128, U12, U12> {
        &self.cipher
    }

    /// The key that is given to those who may only read.
    pub(crate) fn share_key(&self) -> Self {
        Self::new(derive(self.bytes.expose(), LABEL_SHARE))
    }

    /// The tag over the pieces, one after another.
    pub(crate) fn tag(&self, pieces: &[&[u8]]) -> [u8; 32] {
        hmac(&derive(self.bytes.expose(), LABEL_HMAC), pieces)
    }

    /// Whether a tag was made over the pieces, one after another, with this key.
    pub(crate) fn authenticates(&self, pieces: &[&[u8]], tag: &[u8]) -> bool {
        let key = derive(self.bytes.expose(), LABEL_HMAC);
        keyed(&key, pieces).verify_slice(tag).is_ok()
    }

    /// The elliptic key that signs an object with this root key.
    ///
    /// The scalar is the lower 256 bits of 1,024, the last byte being the highest.
    pub(crate) fn object_key(&self) -> Option<ObjectKey> {
        let mut stretched = [0; OBJECT_BYTES];
        pbkdf2_hmac::<Sha256>(
            self.bytes.expose(),
            OBJECT_SALT,
            OBJECT_ROUNDS,
            &mut stretched,
        );
        let mut scalar = *stretched.first_chunk::<FIELD_BYTES>()?;
        scalar.reverse();
        let scalar =
            <p256::Scalar as Reduce<p256::U256>>::reduce(p256::U256::from_be_slice(&scalar));
        let scalar: Option<NonZeroScalar> = NonZeroScalar::new(scalar).into();
        Some(ObjectKey(SecretKey::from(scalar?)))
    }
}

impl fmt::Debug for SymmetricKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = self.id.first_chunk::<4>().copied().unwrap_or_default();
        write!(f, "SymmetricKey({}..)", super::hex(&start))
    }
}

/// The elliptic key of an object. Unlike compact keys it may have the larger Y.
pub(crate) struct ObjectKey(SecretKey);

impl ObjectKey {
    pub(crate) fn public(&self) -> PublicKey {
        self.0.public_key()
    }

    pub(crate) fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        verifies(&self.public().into(), message, signature)
    }

    /// The scalar, for `seal`.
    pub(crate) fn secret(&self) -> &SecretKey {
        &self.0
    }
}

/// A key derived from a key: NIST SP 800-108 in counter mode with HMAC-SHA-256, as long as the key itself, so that one
/// block is enough. The context is empty.
pub(crate) fn derive(key: &[u8; KEY_BYTES], label: &[u8; 20]) -> [u8; KEY_BYTES] {
    let block = hmac(
        key,
        &[&1_u32.to_be_bytes(), label, &[0], &128_u32.to_be_bytes()],
    );
    block.first_chunk().copied().unwrap_or_default()
}

/// HMAC-SHA-256 over pieces, one after another.
pub(crate) fn hmac(key: &[u8], pieces: &[&[u8]]) -> [u8; 32] {
    keyed(key, pieces).finalize().into_bytes().into()
}

fn keyed(key: &[u8], pieces: &[&[u8]]) -> Hmac<Sha256> {
    #[expect(
        clippy::expect_used,
        reason = "HMAC takes keys of every length: `InvalidLength` is never returned by `hmac`"
    )]
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(key).expect("a key of any length");
    for piece in pieces {
        mac.update(piece);
    }
    mac
}
