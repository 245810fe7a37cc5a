//! The envelope in which fields, sealed protections and asset keys lie.
//!
//! ```text
//! envelope := header iv[12] tag[12] ciphertext               AES-128-GCM
//! header   := 0x03 key-id[0..2] u8(n) key-id[2..2+n]         n = 2, as far as was seen
//! AAD      := header context
//! ```
//!
//! The context binds an envelope to its place: a field's cannot be moved to another field or record.
//!
//! Source: facts of CloudKit, 4.6.

use aes_gcm::Nonce;
use aes_gcm::Tag;
use aes_gcm::aead::AeadInPlace;
use aes_gcm::aead::consts::U12;

use crate::apple::hex;
use crate::apple::key::SymmetricKey;

const VERSION: u8 = 3;
const IV_BYTES: usize = 12;
const TAG_BYTES: usize = 12;

/// Symmetric keys, the current one first.
#[derive(Clone, Debug, Default)]
pub struct KeyRing(Vec<SymmetricKey>);

impl KeyRing {
    /// These keys.
    pub fn new(keys: Vec<SymmetricKey>) -> Self {
        Self(keys)
    }

    /// The keys.
    pub fn keys(&self) -> &[SymmetricKey] {
        &self.0
    }

    /// The key whose id begins so. An empty beginning names none.
    pub fn find(&self, prefix: &[u8]) -> Option<&SymmetricKey> {
        if prefix.is_empty() {
            return None;
        }
        self.0.iter().find(|key| key.id().starts_with(prefix))
    }
}

/// Opens an envelope.
///
/// `context` is where it belongs, in pieces that are put one after another.
///
/// # Errors
/// [`EnvelopeError`].
pub fn open(ring: &KeyRing, envelope: &[u8], context: &[&str]) -> Result<Vec<u8>, EnvelopeError> {
    let [version, a, b, length, ..] = *envelope else {
        return Err(EnvelopeError::Truncated);
    };
    if version != VERSION {
        return Err(EnvelopeError::Version { version });
    }
    let header_end = usize::from(length).saturating_add(4);
    let (header, rest) = envelope
        .split_at_checked(header_end)
        .ok_or(EnvelopeError::Truncated)?;
    let (iv, rest) = rest
        .split_first_chunk::<IV_BYTES>()
        .ok_or(EnvelopeError::Truncated)?;
    let (tag, ciphertext) = rest
        .split_first_chunk::<TAG_BYTES>()
        .ok_or(EnvelopeError::Truncated)?;
    let mut id = vec![a, b];
    id.extend_from_slice(header.get(4..).unwrap_or_default());
    let key = ring.find(&id).ok_or_else(|| EnvelopeError::UnknownKey {
        id: hex(id.get(..8).unwrap_or(&id)),
    })?;
    let mut aad = header.to_vec();
    for piece in context {
        aad.extend_from_slice(piece.as_bytes());
    }
    let mut plaintext = ciphertext.to_vec();
    key.cipher()
        .decrypt_in_place_detached(
            Nonce::<U12>::from_slice(iv),
            &aad,
            &mut plaintext,
            Tag::<U12>::from_slice(tag),
        )
        .map_err(|_refused| EnvelopeError::Refused)?;
    Ok(plaintext)
}

/// Seals bytes as [`open`] expects them. The nonce must never be used twice with a key.
///
/// A reader has no use for it; the loopback iCloud and tests do.
pub fn seal(
    key: &SymmetricKey,
    plaintext: &[u8],
    context: &[&str],
    nonce: &[u8; IV_BYTES],
) -> Vec<u8> {
    let [a, b, c, d, ..] = *key.id();
    let mut envelope = vec![VERSION, a, b, 2, c, d];
    let mut aad = envelope.clone();
    for piece in context {
        aad.extend_from_slice(piece.as_bytes());
    }
    let mut ciphertext = plaintext.to_vec();
    let tag = key.cipher().encrypt_in_place_detached(
        Nonce::<U12>::from_slice(nonce),
        &aad,
        &mut ciphertext,
    );
    envelope.extend_from_slice(nonce);
    // Refused are only plaintexts beyond 64 GiB.
    envelope.extend_from_slice(tag.unwrap_or_default().as_slice());
    envelope.extend_from_slice(&ciphertext);
    envelope
}

/// Why an envelope stays closed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// It ends before its ciphertext.
    #[error("the envelope ends too early")]
    Truncated,
    /// It is of a kind that this version does not know.
    #[error("expected an envelope of version 3, got {version}")]
    Version {
        /// The first byte.
        version: u8,
    },
    /// It names a key that is not held.
    #[error("no key whose id begins with {id}")]
    UnknownKey {
        /// The beginning of the id, in hexadecimal.
        id: String,
    },
    /// It was changed, or belongs elsewhere.
    #[error("the envelope does not open with the key it names")]
    Refused,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_opens_in_its_place_only() {
        let key = SymmetricKey::new([1; 16]);
        let ring = KeyRing::new(vec![SymmetricKey::new([2; 16]), key.clone()]);
        let envelope = seal(&key, b"text", &["zone", "-", "record"], &[5; 12]);

        assert_eq!(
            open(&ring, &envelope, &["zone-record"]),
            Ok(b"text".to_vec())
        );
        assert_eq!(
            open(&ring, &envelope, &["zone-other"]),
            Err(EnvelopeError::Refused)
        );
    }

    #[test]
    fn every_bit_of_an_envelope_counts() {
        let key = SymmetricKey::new([1; 16]);
        let ring = KeyRing::new(vec![key.clone()]);
        let envelope = seal(&key, b"text", &["zone"], &[5; 12]);

        for at in 0..envelope.len() {
            let mut changed = envelope.clone();
            changed[at] ^= 1;
            assert!(open(&ring, &changed, &["zone"]).is_err(), "{at}");
        }
        for end in 0..envelope.len() - 4 {
            assert_eq!(
                open(&ring, &envelope[..end], &["zone"]),
                Err(EnvelopeError::Truncated),
                "{end}"
            );
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let key = SymmetricKey::new([1; 16]);
        let envelope = seal(&key, b"", &[], &[0; 12]);
        let id = hex(&key.id()[..4]);

        assert_eq!(
            open(&KeyRing::default(), &envelope, &[]),
            Err(EnvelopeError::UnknownKey { id })
        );
        let mut other = envelope;
        other[0] = 2;
        assert_eq!(
            open(&KeyRing::default(), &other, &[]),
            Err(EnvelopeError::Version { version: 2 })
        );
    }

    #[test]
    fn an_id_of_any_length_finds_its_key() {
        let key = SymmetricKey::new([1; 16]);
        let ring = KeyRing::new(vec![key.clone()]);

        assert!(ring.find(&key.id()[..]).is_some());
        assert!(ring.find(&key.id()[..1]).is_some());
        assert!(ring.find(&[&key.id()[..], b"x"].concat()).is_none());
        assert!(ring.find(b"").is_none());
    }
}
