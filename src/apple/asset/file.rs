//! The signature of a whole file. Chunks are verified one by one; this is what ties them together.
//!
//! Source: facts of CloudKit, 5.5.

use hkdf::Hkdf;
use sha1::Sha1;
use sha2::Digest;
use sha2::Sha256;

use crate::apple::asset::with_kind;
use crate::apple::key::hmac;
use crate::base::secret::Secret;

const KIND_OLD: u8 = 0x01;
const KIND_KEYED: u8 = 0x04;

const OLD_SALT: &[u8] = b"com.apple.XattrObjectSalt\0com.apple.DataObjectSalt\0";
const SALT: &[u8] = b"com.apple.DataObjectSaltV2";

/// The hash of a file, taken while it is read from its beginning to its end.
pub struct FileHash(Generation);

enum Generation {
    Old(Sha1),
    Keyed(Sha256),
    Unknown,
}

/// Whether a file is the one that was meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signed {
    /// It is.
    Good,
    /// It is another, or was uploaded under another boundary key.
    Differs,
    /// Nobody can say: the boundary key is not held, or the signature is of an unknown kind.
    Unchecked,
}

impl FileHash {
    /// For a file with this signature.
    pub fn new(signature: &[u8]) -> Self {
        Self(match signature.first() {
            Some(&KIND_OLD) => Generation::Old(Sha1::new_with_prefix(OLD_SALT)),
            Some(&KIND_KEYED) => Generation::Keyed(Sha256::new_with_prefix(SALT)),
            Some(_) | None => Generation::Unknown,
        })
    }

    /// The next bytes of the file.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            Generation::Old(hash) => hash.update(bytes),
            Generation::Keyed(hash) => hash.update(bytes),
            Generation::Unknown => {}
        }
    }

    /// Compares with the signature, at the end of the file.
    pub fn finish(self, signature: &[u8], boundary: Option<&Secret<[u8; 32]>>) -> Signed {
        let computed = match self.0 {
            Generation::Old(hash) => Some(with_kind(KIND_OLD, &hash.finalize())),
            Generation::Keyed(hash) => {
                boundary.and_then(|boundary| keyed(&hash.finalize().into(), boundary.expose()))
            }
            Generation::Unknown => None,
        };
        match computed {
            Some(computed) if computed == signature => Signed::Good,
            Some(_) => Signed::Differs,
            None => Signed::Unchecked,
        }
    }
}

fn keyed(hash: &[u8; 32], boundary: &[u8; 32]) -> Option<[u8; 21]> {
    let expand = |key: &[u8; 32], info: &[u8]| {
        let mut out = [0; 32];
        let hkdf = Hkdf::<Sha256>::new(None, key);
        hkdf.expand(info, &mut out).ok().map(|()| out)
    };
    let key = expand(&expand(boundary, b"file-key")?, hash)?;
    Some(with_kind(KIND_KEYED, &hmac(&key, &[hash])))
}
