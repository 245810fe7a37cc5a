//! The key blob, in which a file's owner keeps the keys of its chunks.
//!
//! ```text
//! blob := u8(kind) iv[16] tag[16] ciphertext       AES-256-SIV over iv and kind
//! key  := HKDF-SHA-256(salt "PCSMMCS2", asset key), 64 bytes
//! ```
//!
//! Source: `[rfc 5297]`; facts of CloudKit, 5.3.

use aes_siv::KeyInit;
use aes_siv::Tag;
use aes_siv::siv::Aes256Siv;
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::apple::asset::AssetKey;
use crate::codec::mmcs::ChunkKey;
use crate::codec::mmcs::chunk_keys;

const SALT: &[u8] = b"PCSMMCS2";
const IV_BYTES: usize = 16;
const TAG_BYTES: usize = 16;

/// The keys in a key blob, in the order of the file's references; `None` when this key does not open it, or what is in it
/// are no keys.
pub fn open(blob: &[u8], key: &AssetKey) -> Option<Vec<ChunkKey>> {
    let (kind, rest) = blob.split_first_chunk::<1>()?;
    let (iv, rest) = rest.split_first_chunk::<IV_BYTES>()?;
    let (tag, ciphertext) = rest.split_first_chunk::<TAG_BYTES>()?;
    let mut siv_key = Zeroizing::new([0; 64]);
    Hkdf::<Sha256>::new(Some(SALT), key.expose())
        .expand(&[], siv_key.as_mut_slice())
        .ok()?;
    let mut plaintext = Zeroizing::new(ciphertext.to_vec());
    Aes256Siv::new(siv_key.as_slice().into())
        .decrypt_in_place_detached(
            [iv.as_slice(), kind.as_slice()],
            &mut plaintext,
            Tag::from_slice(tag),
        )
        .ok()?;
    chunk_keys(&plaintext)
}
