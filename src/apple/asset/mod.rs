//! Files of MMCS: the keys of their chunks, the chunks, and the files put together from them.
//!
//! | generation | key of a chunk | cipher | checksum |
//! |---|---|---|---|
//! | 1 | beside it, `01` and 16 bytes | AES-128-CFB | `81`, double SHA-256 |
//! | 2 | in the key blob, `04` and 32 bytes | AES-256-CTR | `84`, HMAC of the SHA-256 |
//!
//! A chunk without a key is in clear. Nothing leaves here whose checksum does not hold.
//!
//! Source: facts of CloudKit, 5.3 to 5.6.

mod assembler;
mod chunk;
mod file;
mod key_blob;
mod seal;

use std::collections::BTreeMap;

use sha1::Digest;
use sha1::Sha1;

use crate::base::secret::Secret;
use crate::codec::mmcs::Checksum;

pub use assembler::Assembler;
pub use assembler::AssetError;
pub use assembler::PlainChunk;
pub use file::FileHash;
pub use file::Signed;
pub use key_blob::open as open_key_blob;
pub use seal::SealedChunk;
pub use seal::SealedFile;
pub use seal::file_signature;
pub use seal::hashed_file_signature;
pub use seal::seal_file;
pub use seal::seal_file_hashed;

/// In front of what is named by its SHA-1.
const KIND_SHA1: u8 = 0x01;

/// The key of an asset.
pub type AssetKey = Secret<Vec<u8>>;

/// The name of an asset's key, which is its asset's reference signature.
pub fn key_checksum(key: &AssetKey) -> Checksum {
    with_kind(KIND_SHA1, &Sha1::digest(key.expose()))
}

/// A checksum of its kind and the first 20 bytes of a hash.
fn with_kind(kind: u8, hash: &[u8]) -> Checksum {
    let mut checksum = [0; 21];
    if let Some((first, rest)) = checksum.split_first_mut() {
        *first = kind;
        for (to, from) in rest.iter_mut().zip(hash) {
            *to = *from;
        }
    }
    checksum
}

/// Every key of an asset that was ever seen, by its name: a file that was uploaded before is stored once, under the key of
/// the first asset (AT-17).
#[derive(Clone, Debug, Default)]
pub struct AssetKeys(BTreeMap<Checksum, AssetKey>);

impl AssetKeys {
    /// Remembers a key.
    pub fn insert(&mut self, key: AssetKey) {
        self.0.insert(key_checksum(&key), key);
    }

    /// The keys that may open a key blob, the likeliest first: the one it names, the asset's own, then every other.
    pub fn candidates<'a>(
        &'a self,
        named: Option<&Checksum>,
        own: Option<&'a AssetKey>,
    ) -> impl Iterator<Item = &'a AssetKey> {
        let named = named.and_then(|named| self.0.get(named));
        named.into_iter().chain(own).chain(self.0.values())
    }
}
