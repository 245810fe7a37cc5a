//! One chunk: decrypted, cut to its length, and compared with its checksum.
//!
//! Source: facts of CloudKit, 5.3 and 5.4.

use aes::Aes128;
use aes::Aes256;
use cfb_mode::cipher::AsyncStreamCipher;
use cfb_mode::cipher::KeyIvInit;
use ctr::Ctr128BE;
use ctr::cipher::StreamCipher;
use hkdf::Hkdf;
use sha2::Digest;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::apple::asset::with_kind;
use crate::apple::key::hmac;
use crate::codec::mmcs::Checksum;
use crate::codec::mmcs::ChunkKey;
use crate::codec::mmcs::OLD_KEY_BYTES;

/// In front of a second-generation checksum.
pub(super) const KIND_KEYED: u8 = 0x84;

/// In front of a first-generation checksum of a chunk; live messages use the other one.
const KINDS_HASHED: [u8; 2] = [0x81, 0x01];

const KIND_OLD_KEY: u8 = 0x01;
const KIND_KEY: u8 = 0x04;

/// A chunk in clear, or `None` when its checksum does not hold.
pub(super) fn open(
    mut stored: Vec<u8>,
    checksum: &Checksum,
    key: Option<&ChunkKey>,
    old_key: Option<&[u8; OLD_KEY_BYTES]>,
) -> Option<Vec<u8>> {
    if checksum.first() == Some(&KIND_KEYED) {
        return keyed(stored, checksum, key?);
    }
    let kind = *checksum
        .first()
        .filter(|kind| KINDS_HASHED.contains(kind))?;
    if let Some(key) = old_key {
        let (key_kind, key) = key.split_first_chunk::<1>()?;
        if *key_kind != [KIND_OLD_KEY] {
            return None;
        }
        let key: &[u8; 16] = key.try_into().ok()?;
        cfb_mode::Decryptor::<Aes128>::new(key.into(), &[0; 16].into()).decrypt(&mut stored);
        let hash = Sha256::digest(&stored);
        let (low, high) = hash.split_first_chunk::<16>()?;
        let folded: Vec<u8> = low.iter().zip(high).map(|(a, b)| a ^ b).collect();
        if !bool::from(folded.as_slice().ct_eq(key)) {
            return None;
        }
    }
    let hash = Sha256::digest(Sha256::digest(&stored));
    (with_kind(kind, &hash) == *checksum).then_some(stored)
}

fn keyed(mut stored: Vec<u8>, checksum: &Checksum, key: &ChunkKey) -> Option<Vec<u8>> {
    let (kind, secret) = key.key.split_first_chunk::<1>()?;
    if *kind != [KIND_KEY] || secret.len() != 32 {
        return None;
    }
    let mut keys = Zeroizing::new([0; 96]);
    Hkdf::<Sha256>::new(None, secret)
        .expand(b"signature-key", keys.as_mut_slice())
        .ok()?;
    let (signature_key, rest) = keys.split_first_chunk::<32>()?;
    let (iv_key, cipher_key) = rest.split_first_chunk::<32>()?;
    let cipher_key: &[u8; 32] = cipher_key.try_into().ok()?;
    let stored_length = u32::try_from(stored.len()).ok()?;
    let iv = hmac(
        iv_key,
        &[
            checksum.get(1..)?,
            &[0; 12],
            &stored_length.to_le_bytes(),
            &[0; 4],
        ],
    );
    let iv: &[u8; 16] = iv.first_chunk()?;
    Ctr128BE::<Aes256>::new(cipher_key.into(), iv.into()).apply_keystream(&mut stored);
    if key.length > stored.len() {
        return None;
    }
    stored.truncate(key.length);
    let signature = hmac(signature_key, &[&Sha256::digest(&stored)]);
    (with_kind(KIND_KEYED, &signature) == *checksum).then_some(stored)
}
