//! Values that must not reach a log: passwords, tokens, private keys. It keeps them out of `Debug` and wipes them from
//! memory when they are dropped; it does not encrypt anything.

use std::fmt;

use serde::Deserialize;
use serde::Deserializer;
use zeroize::Zeroize;

/// A value that prints as `Secret(..)` and is overwritten with zeros when it is dropped.
///
/// Copies that were made of the exposed value are the caller's.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret<T: Zeroize>(T);

/// A secret that is text: a password, an access token.
pub type SecretText = Secret<String>;

impl<T: Zeroize> Secret<T> {
    /// Takes the value into its keeping.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. Whoever calls this answers for where it goes.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> From<T> for Secret<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl<'de, T: Zeroize + Deserialize<'de>> Deserialize<'de> for Secret<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self::new)
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::Mutex;

    use zeroize::Zeroize;

    use super::Secret;
    use super::SecretText;

    #[test]
    fn a_secret_does_not_reach_a_log() {
        let secret = SecretText::from("hunter2".to_owned());

        assert_eq!(format!("{secret:?}"), "Secret(..)");
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn a_secret_is_wiped_when_it_is_dropped() {
        struct Watched(Arc<Mutex<Vec<u8>>>);
        impl Zeroize for Watched {
            fn zeroize(&mut self) {
                self.0.lock().unwrap().zeroize();
            }
        }
        let bytes = Arc::new(Mutex::new(b"hunter2".to_vec()));

        drop(Secret::new(Watched(Arc::clone(&bytes))));

        assert_eq!(*bytes.lock().unwrap(), b"");
    }
}
