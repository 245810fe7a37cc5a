//! Passwords: made up, hashed with argon2id, compared. It keeps none.

use argon2::Argon2;
use argon2::PasswordHash;
use argon2::PasswordHasher;
use argon2::PasswordVerifier;
use argon2::password_hash::SaltString;

use crate::base::random;
use crate::base::random::NoRandomBytes;
use crate::base::secret::SecretText;

/// Letters and digits that nobody mixes up when copying by hand: base32 of RFC 4648 in lower case.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Letters of a password that is made up: five bits each, 100 in all.
const LETTERS: usize = 20;

/// Letters in one group of it.
const GROUP: usize = 4;

/// Bytes of salt.
const SALT_BYTES: usize = 16;

/// Why a password could not be made or hashed.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// The operating system has no random bytes.
    #[error(transparent)]
    Random(#[from] NoRandomBytes),
    /// argon2 refused.
    #[error("cannot hash the password: {reason}")]
    Hash {
        /// Its answer.
        reason: String,
    },
}

/// Makes up a password: 20 letters and digits in groups of four, such as `k3vd-...`.
///
/// # Errors
///
/// [`PasswordError::Random`].
pub fn make() -> Result<SecretText, PasswordError> {
    let bytes: [u8; LETTERS] = random::bytes()?;
    let mut text = String::with_capacity(LETTERS + LETTERS / GROUP);
    for (at, byte) in bytes.into_iter().enumerate() {
        if at > 0 && at % GROUP == 0 {
            text.push('-');
        }
        // 256 is a multiple of 32: no letter is more likely than another.
        let letter = ALPHABET.get(usize::from(byte % 32));
        text.extend(letter.copied().map(char::from));
    }
    Ok(SecretText::new(text))
}

/// Hashes a password with argon2id, 19 MiB and two passes, as a PHC string. Takes some 20 ms.
///
/// # Errors
///
/// [`PasswordError`].
pub fn hash(password: &SecretText) -> Result<String, PasswordError> {
    let failed = |error: argon2::password_hash::Error| PasswordError::Hash {
        reason: error.to_string(),
    };
    let salt = SaltString::encode_b64(&random::bytes::<SALT_BYTES>()?).map_err(failed)?;
    let hash = Argon2::default().hash_password(password.expose().as_bytes(), &salt);
    Ok(hash.map_err(failed)?.to_string())
}

/// Whether this is the password that was hashed. What is no hash is nobody's password. Takes as long as [`hash`].
pub fn is_right(password: &SecretText, hash: &str) -> bool {
    let Ok(hash) = PasswordHash::new(hash) else {
        return false;
    };
    let compared = Argon2::default().verify_password(password.expose().as_bytes(), &hash);
    compared.is_ok()
}

/// Says no, and takes as long as [`is_right`]: for a user that does not exist, so that nobody can tell by the time.
pub fn is_nobodys(password: &SecretText) -> bool {
    if let Err(error) = hash(password) {
        tracing::warn!(%error, "a password could not be hashed");
    }
    false
}

#[cfg(test)]
mod tests {
    use super::hash;
    use super::is_right;
    use super::make;
    use crate::base::secret::SecretText;

    #[test]
    fn a_made_up_password_is_five_groups_of_four() {
        let password = make().unwrap();

        let groups: Vec<&str> = password.expose().split('-').collect();
        assert_eq!(groups.len(), 5);
        let is_letter = |letter: char| matches!(letter, 'a'..='z' | '2'..='7');
        for group in groups {
            assert!(group.len() == 4 && group.chars().all(is_letter), "{group}");
        }
        assert_ne!(password.expose(), make().unwrap().expose());
    }

    #[test]
    fn only_the_right_password_fits_its_hash() {
        let right = SecretText::from("correct horse".to_owned());
        let wrong = SecretText::from("correct horse ".to_owned());

        let hashed = hash(&right).unwrap();

        assert!(hashed.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(is_right(&right, &hashed));
        assert!(!is_right(&wrong, &hashed));
        assert!(!is_right(&right, "plain"));
        assert_ne!(hashed, hash(&right).unwrap());
    }
}
