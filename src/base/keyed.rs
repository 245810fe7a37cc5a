//! Hashes that nobody can make without a secret.

use std::fmt;

use hmac::Hmac;
use hmac::Mac;
use sha2::Sha256;

/// HMAC-SHA256 under a secret.
///
/// Source: `[rfc 2104]`.
#[derive(Clone)]
pub struct KeyedHash(Hmac<Sha256>);

impl KeyedHash {
    /// Under this secret.
    pub fn new(secret: &[u8; 32]) -> Self {
        // HMAC fills a key with zeros up to a block.
        let mut block = [0; 64];
        for (to, from) in block.iter_mut().zip(secret) {
            *to = *from;
        }
        Self(Hmac::new(&block.into()))
    }

    /// Of some bytes.
    pub fn of(&self, bytes: impl AsRef<[u8]>) -> [u8; 32] {
        let code = self.0.clone().chain_update(bytes);
        code.finalize().into_bytes().into()
    }
}

/// The secret is none of a log's business.
impl fmt::Debug for KeyedHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyedHash(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::KeyedHash;

    #[test]
    fn a_hash_belongs_to_its_bytes_and_its_secret() {
        let hash = KeyedHash::new(&[7; 32]).of("token");

        assert_eq!(hash, KeyedHash::new(&[7; 32]).of(b"token"));
        assert_ne!(hash, KeyedHash::new(&[7; 32]).of("other"));
        assert_ne!(hash, KeyedHash::new(&[8; 32]).of("token"));
    }
}
