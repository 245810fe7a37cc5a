//! Files as an owner's device uploads them: cut into chunks, each encrypted, with their keys in a key blob. For the
//! loopback iCloud and tests.
//!
//! Source: facts of CloudKit, 5.3 to 5.5.

use aes::Aes128;
use aes::Aes256;
use aes_siv::KeyInit;
use aes_siv::siv::Aes256Siv;
use cfb_mode::cipher::AsyncStreamCipher;
use cfb_mode::cipher::KeyIvInit;
use ctr::Ctr128BE;
use ctr::cipher::StreamCipher;
use hkdf::Hkdf;
use sha1::Sha1;
use sha2::Digest;
use sha2::Sha256;

use crate::apple::asset::AssetKey;
use crate::apple::asset::with_kind;
use crate::apple::key::hmac;
use crate::apple::seal::Entropy;
use crate::codec::cloudkit::WireWriter;
use crate::codec::mmcs::Checksum;
use crate::codec::mmcs::OLD_KEY_BYTES;

/// A file, ready to be stored.
pub struct SealedFile {
    /// Names its content.
    pub signature: Checksum,
    /// Its chunks in order.
    pub chunks: Vec<SealedChunk>,
    /// The keys of the chunks, encrypted; a first-generation file has none.
    pub key_blob: Option<Vec<u8>>,
}

/// A chunk, ready to be stored.
pub struct SealedChunk {
    /// Its checksum.
    pub checksum: Checksum,
    /// Its key, of a first-generation chunk.
    pub key: Option<[u8; OLD_KEY_BYTES]>,
    /// What is stored.
    pub bytes: Vec<u8>,
}

/// Seals a file in the second generation, under the key of its asset.
///
/// The chunks have `chunk_bytes` each, the last one the rest; an empty file has one empty chunk.
pub fn seal_file(
    file: &[u8],
    key: &AssetKey,
    boundary: &[u8; 32],
    chunk_bytes: usize,
    entropy: &mut impl Entropy,
) -> SealedFile {
    let mut keys = WireWriter::new();
    let mut chunks = Vec::new();
    for plain in pieces(file, chunk_bytes) {
        let secret: [u8; 32] = entropy.array();
        let length = u32::try_from(plain.len()).unwrap_or(u32::MAX);
        let mut entry = WireWriter::new();
        entry.bytes(1, &[&[0x04], &secret[..]].concat());
        entry.bytes(2, &length.to_le_bytes());
        keys.bytes(1, &entry.finish());
        chunks.push(keyed_chunk(plain, &secret, length));
    }
    let (signature, name_key) = name_file(file, boundary);
    keys.bytes(2, &name_key);
    let mut blob = WireWriter::new();
    blob.bytes(1, &keys.finish());
    SealedFile {
        signature,
        chunks,
        key_blob: Some(key_blob(&blob.finish(), key, &entropy.array())),
    }
}

/// Seals a file in the first generation, in which every chunk's key is made of its content.
pub fn seal_file_hashed(file: &[u8], chunk_bytes: usize) -> SealedFile {
    SealedFile {
        signature: hashed_file_signature(file),
        chunks: pieces(file, chunk_bytes).map(hashed_chunk).collect(),
        key_blob: None,
    }
}

/// The signature of a file of the second generation.
pub fn file_signature(file: &[u8], boundary: &[u8; 32]) -> Checksum {
    name_file(file, boundary).0
}

/// The signature of a file of the first generation.
pub fn hashed_file_signature(file: &[u8]) -> Checksum {
    let name = Sha1::new()
        .chain_update(b"com.apple.XattrObjectSalt\0com.apple.DataObjectSalt\0")
        .chain_update(file)
        .finalize();
    with_kind(0x01, &name)
}

/// The signature, and the key that it was made with.
fn name_file(file: &[u8], boundary: &[u8; 32]) -> (Checksum, [u8; 32]) {
    let hash: [u8; 32] = Sha256::new()
        .chain_update(b"com.apple.DataObjectSaltV2")
        .chain_update(file)
        .finalize()
        .into();
    let file_key = expand::<32>(None, boundary, b"file-key");
    let name_key = expand::<32>(None, &file_key, &hash);
    (with_kind(0x04, &hmac(&name_key, &[&hash])), name_key)
}

fn pieces(file: &[u8], chunk_bytes: usize) -> impl Iterator<Item = &[u8]> {
    let empty = file.is_empty().then_some(&[][..]);
    file.chunks(chunk_bytes.max(1)).chain(empty)
}

fn keyed_chunk(plain: &[u8], secret: &[u8; 32], length: u32) -> SealedChunk {
    let keys = expand::<96>(None, secret, b"signature-key");
    let part = |at: usize| keys.get(at..).unwrap_or_default();
    let first = |bytes: &[u8]| bytes.first_chunk::<32>().copied().unwrap_or_default();
    let (signature_key, iv_key, cipher_key) = (first(part(0)), first(part(32)), first(part(64)));
    let checksum = with_kind(0x84, &hmac(&signature_key, &[&Sha256::digest(plain)]));
    let name = checksum.get(1..).unwrap_or_default();
    let iv = hmac(&iv_key, &[name, &[0; 12], &length.to_le_bytes(), &[0; 4]]);
    let iv: [u8; 16] = iv.first_chunk().copied().unwrap_or_default();
    let mut bytes = plain.to_vec();
    Ctr128BE::<Aes256>::new(&cipher_key.into(), &iv.into()).apply_keystream(&mut bytes);
    SealedChunk {
        checksum,
        key: None,
        bytes,
    }
}

fn hashed_chunk(plain: &[u8]) -> SealedChunk {
    let hash: [u8; 32] = Sha256::digest(plain).into();
    let (low, high) = hash.split_at(16);
    let mut key = [0; 16];
    for (to, (a, b)) in key.iter_mut().zip(low.iter().zip(high)) {
        *to = a ^ b;
    }
    let mut bytes = plain.to_vec();
    cfb_mode::Encryptor::<Aes128>::new(&key.into(), &[0; 16].into()).encrypt(&mut bytes);
    let mut with_kind_in_front = [0x01; OLD_KEY_BYTES];
    for (to, from) in with_kind_in_front.iter_mut().skip(1).zip(key) {
        *to = from;
    }
    SealedChunk {
        checksum: with_kind(0x81, &Sha256::digest(hash)),
        key: Some(with_kind_in_front),
        bytes,
    }
}

/// `04 iv[16] tag[16] ciphertext`, AES-256-SIV over iv and kind.
fn key_blob(keys: &[u8], key: &AssetKey, iv: &[u8; 16]) -> Vec<u8> {
    let kind = [0x04];
    let siv_key = expand::<64>(Some(b"PCSMMCS2"), key.expose(), b"");
    let mut ciphertext = keys.to_vec();
    let tag = Aes256Siv::new(&siv_key.into())
        .encrypt_in_place_detached([iv.as_slice(), kind.as_slice()], &mut ciphertext);
    // Refused are only more than 126 headers.
    let tag = tag.unwrap_or_default();
    [&kind[..], &iv[..], tag.as_slice(), &ciphertext].concat()
}

/// HKDF-SHA-256.
fn expand<const N: usize>(salt: Option<&[u8]>, key: &[u8], info: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    let expanded = Hkdf::<Sha256>::new(salt, key).expand(info, &mut out);
    // Refused are only lengths beyond 8,160 bytes.
    debug_assert!(expanded.is_ok(), "{N} bytes are too many for HKDF");
    out
}
