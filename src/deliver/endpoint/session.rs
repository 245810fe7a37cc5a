//! Who asks: access tokens, and the devices they belong to.
//!
//! A token is `fb_` and 32 random bytes. The archive keeps HMAC-SHA256 of it under the archive's secret (D28): who reads
//! the file cannot log in with it. A token that was looked up once is remembered until its device is logged out.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::base::keyed::KeyedHash;
use crate::base::random;
use crate::base::time::AppleTime;
use crate::deliver::endpoint::error::Code;
use crate::deliver::endpoint::error::MatrixError;
use crate::net::HeaderMap;
use crate::net::header::AUTHORIZATION;
use crate::net::target::Query;
use crate::store::Snapshot;
use crate::store::StoreError;
use crate::store::account::Account;

/// How old the note of a device's last request may be.
const SEEN_EVERY: Duration = Duration::from_mins(5);

/// A device that is logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) account: Account,
    /// The device's id.
    pub(super) device: String,
    /// Hash of the token.
    pub(super) token: [u8; 32],
}

/// Makes tokens and recognises them.
pub(super) struct Sessions {
    secret: KeyedHash,
    known: Mutex<HashMap<[u8; 32], Known>>,
}

struct Known {
    session: Arc<Session>,
    seen: AppleTime,
}

impl Sessions {
    /// By the archive's secret.
    pub(super) fn new(secret: &[u8; 32]) -> Self {
        Self {
            secret: KeyedHash::new(secret),
            known: Mutex::default(),
        }
    }

    /// What is stored of a token.
    pub(super) fn hash(&self, token: &str) -> [u8; 32] {
        self.secret.of(token)
    }

    /// A new token.
    ///
    /// # Errors
    /// When the system has no random bytes.
    pub(super) fn new_token() -> Result<String, MatrixError> {
        Ok(format!("fb_{}", URL_SAFE_NO_PAD.encode(random::<32>()?)))
    }

    /// Whose a token is. The snapshot is taken while nothing can be forgotten: one of before a device was logged out
    /// would bring its token back.
    pub(super) fn of(
        &self,
        snapshot: impl FnOnce() -> Result<Snapshot, StoreError>,
        token: &str,
        now: AppleTime,
    ) -> Result<Recognised, MatrixError> {
        let hash = self.hash(token);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get_mut(&hash) {
            let is_due = known.seen.plus(SEEN_EVERY) < now;
            if is_due {
                known.seen = now;
            }
            return Ok(Recognised {
                session: Arc::clone(&known.session),
                is_due,
            });
        }
        let Some(held) = snapshot()?.token(&hash)? else {
            return Err(unknown());
        };
        let session = Arc::new(Session {
            account: Account(held.account),
            device: held.device,
            token: hash,
        });
        known.insert(
            hash,
            Known {
                session: Arc::clone(&session),
                seen: now,
            },
        );
        Ok(Recognised {
            session,
            is_due: true,
        })
    }

    /// Forgets what was looked up: after something was logged out.
    pub(super) fn forget(&self) {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

/// A recognised token.
pub(super) struct Recognised {
    pub(super) session: Arc<Session>,
    /// Whether it is time to note that its device was seen.
    pub(super) is_due: bool,
}

/// The answer to a token that is none. The client is logged out by it: never for anything that may pass.
pub(super) fn unknown() -> MatrixError {
    MatrixError::new(Code::UnknownToken, "this access token is not known")
        .with("soft_logout", false)
}

/// The token of a request: of its header, else of its query as old scripts do it.
pub(super) fn token<'r>(headers: &'r HeaderMap, query: &'r Query) -> Option<&'r str> {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| {
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        scheme
            .eq_ignore_ascii_case("bearer")
            .then_some(token.trim())
    });
    bearer.or_else(|| query.first("access_token"))
}

/// Random bytes of the system.
pub(super) fn random<const N: usize>() -> Result<[u8; N], MatrixError> {
    random::bytes().map_err(|error| {
        tracing::error!(%error, "nothing random can be made");
        MatrixError::new(Code::Unknown, "the system has no random bytes")
    })
}

/// Random letters, `A` to `Z`: of device ids.
pub(super) fn random_letters<const N: usize>() -> Result<String, MatrixError> {
    let letter = |byte: u8| char::from(b'A' + byte % 26);
    Ok(random::<N>()?.into_iter().map(letter).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;
    use crate::deliver::endpoint::testing::DEVICE;
    use crate::deliver::endpoint::testing::World;

    #[tokio::test]
    async fn a_device_that_is_logged_out_while_it_asks_is_forgotten() {
        let world = &World::new();
        let sessions = &world.endpoint().sessions;
        let now = AppleTime::from_nanos(0);
        let (has_looked, looked) = mpsc::channel();

        let first = thread::scope(|scope| {
            scope.spawn(move || {
                looked.recv().unwrap();
                world.write(|transaction| {
                    let removed = transaction.remove_device(Account::OWNER, DEVICE);
                    removed.map(drop)
                });
                sessions.forget();
            });
            let slow = || {
                let snapshot = world.store.snapshot();
                has_looked.send(()).unwrap();
                thread::sleep(Duration::from_millis(50));
                snapshot
            };
            sessions.of(slow, &world.token, now).is_ok()
        });
        let second = sessions.of(|| world.store.snapshot(), &world.token, now);

        assert!(first);
        assert!(second.is_err());
    }
}
