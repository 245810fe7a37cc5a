//! Who can log in, and what server this is.

use crate::store::account::Account;
use crate::store::account::reading;
use crate::store::db::random_bytes;
use crate::store::error::StoreError;
use crate::store::snapshot::Snapshot;
use crate::store::snapshot::collect;
use crate::store::transaction::Transaction;
use crate::store::transaction::find;
use crate::store::transaction::put;
use crate::store::value::User;

/// The server's name in `meta`, as text.
const SERVER_NAME: &str = "server_name";

/// What access tokens are hashed with, in `meta`: 32 random bytes (D28).
const TOKEN_SECRET: &str = "token_secret";

impl Transaction<'_> {
    /// Names the server, once and for all (D19), and draws the secret that tokens are hashed with.
    ///
    /// # Errors
    ///
    /// [`StoreError::ServerName`] when the archive has another one; [`StoreError::Io`].
    pub fn set_server_name(&mut self, name: &str) -> Result<(), StoreError> {
        use redb::ReadableTable;

        let held = self.tables.meta.get(SERVER_NAME).map_err(reading)?;
        let held = held.map(|held| String::from_utf8_lossy(held.value()).into_owned());
        match held {
            Some(held) if held == name => Ok(()),
            Some(held) => Err(StoreError::ServerName {
                held,
                asked: name.to_owned(),
            }),
            None => {
                let secret = random_bytes::<32>()?;
                self.put_meta(TOKEN_SECRET, secret)?;
                self.put_meta(SERVER_NAME, name)
            }
        }
    }

    /// Writes who can log in as an account.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn put_user(&mut self, account: Account, user: &User) -> Result<(), StoreError> {
        let table = &mut self.tables.account.users;
        put(table, "users", account.0, user, &mut Vec::new())
    }

    /// Who can log in as an account.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn user(&self, account: Account) -> Result<Option<User>, StoreError> {
        find(&self.tables.account.users, "users", account.0)
    }
}

impl Snapshot {
    /// The server's name; `None` before it has one.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn server_name(&self) -> Result<Option<String>, StoreError> {
        self.meta_text(SERVER_NAME)
    }

    /// What access tokens are hashed with; `None` before the server has a name.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Damaged`] when it is no secret.
    pub fn token_secret(&self) -> Result<Option<[u8; 32]>, StoreError> {
        let held = self.tables.meta()?.get(TOKEN_SECRET).map_err(reading)?;
        let secret = held.map(|held| <[u8; 32]>::try_from(held.value()));
        secret
            .transpose()
            .map_err(|_other_length| StoreError::Damaged {
                what: "the secret of its tokens is none".to_owned(),
            })
    }

    /// What tells this copy of the archive from others: part of every token for `/sync` (D24).
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Damaged`] when it is no number.
    pub fn generation(&self) -> Result<u64, StoreError> {
        let held = self.tables.meta()?.get("generation").map_err(reading)?;
        let bytes = held.and_then(|held| <[u8; 8]>::try_from(held.value()).ok());
        let number = bytes.map(u64::from_le_bytes);
        number.ok_or_else(|| StoreError::Damaged {
            what: "its generation is no number".to_owned(),
        })
    }

    /// Who can log in as an account.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn user(&self, account: Account) -> Result<Option<User>, StoreError> {
        find(self.tables.users()?, "users", account.0)
    }

    /// Everybody who can log in.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn users(&self) -> Result<Vec<(Account, User)>, StoreError> {
        collect(self.tables.users()?, "users", Account)
    }
}
