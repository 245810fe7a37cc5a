//! Devices and their access tokens.

use crate::base::ids::ChangeNumber;
use crate::store::account::Account;
use crate::store::account::rows_from;
use crate::store::account::writing;
use crate::store::error::StoreError;
use crate::store::snapshot::Snapshot;
use crate::store::transaction::Transaction;
use crate::store::transaction::find;
use crate::store::transaction::put;
use crate::store::value::ChangeKind;
use crate::store::value::Device;
use crate::store::value::Token;

impl Transaction<'_> {
    /// Writes a device. Its token is the only one that it has from now on. When it was only seen again, no change is
    /// logged.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn put_device(
        &mut self,
        account: Account,
        id: &str,
        device: &Device,
    ) -> Result<(), StoreError> {
        let key = (account.0, id);
        let held: Option<Device> = find(&self.tables.account.devices, "devices", key)?;
        let before = held.as_ref().and_then(|held| held.token);
        let tables = &mut self.tables.account;
        if before != device.token {
            if let Some(token) = &before {
                tables.tokens.remove(token).map_err(writing)?;
            }
            if let Some(token) = &device.token {
                let owner = Token {
                    account: account.0,
                    device: id.to_owned(),
                    created: self.now,
                };
                put(&mut tables.tokens, "tokens", token, &owner, &mut Vec::new())?;
            }
        }
        put(&mut tables.devices, "devices", key, device, &mut Vec::new())?;
        let shown = |device: &Device| (device.name.clone(), device.token);
        if held.as_ref().map(shown) != Some(shown(device)) {
            self.log_account(ChangeKind::Device, account);
        }
        Ok(())
    }

    /// Removes a device with its token, its keys, what waits for it and what it was answered; says whether there was one.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn remove_device(&mut self, account: Account, id: &str) -> Result<bool, StoreError> {
        let key = (account.0, id);
        let held: Option<Device> = find(&self.tables.account.devices, "devices", key)?;
        let Some(held) = held else {
            return Ok(false);
        };
        let tables = &mut self.tables.account;
        tables.devices.remove(key).map_err(writing)?;
        if let Some(token) = &held.token {
            tables.tokens.remove(token).map_err(writing)?;
        }
        self.remove_keys(account, id)?;
        self.forget_to_device(account, id, ChangeNumber(u64::MAX))?;
        self.forget_sent(account, id)?;
        self.log_account(ChangeKind::Device, account);
        Ok(true)
    }

    /// A device.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn device(&self, account: Account, id: &str) -> Result<Option<Device>, StoreError> {
        find(&self.tables.account.devices, "devices", (account.0, id))
    }
}

impl Snapshot {
    /// Whose an access token is, by its hash.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn token(&self, hash: &[u8; 32]) -> Result<Option<Token>, StoreError> {
        find(self.tables.tokens()?, "tokens", hash)
    }

    /// A device.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn device(&self, account: Account, id: &str) -> Result<Option<Device>, StoreError> {
        find(self.tables.devices()?, "devices", (account.0, id))
    }

    /// The devices of an account, by id.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn devices(&self, account: Account) -> Result<Vec<(String, Device)>, StoreError> {
        rows_from(self.tables.devices()?, "devices", (account.0, ""), |key| {
            (key.0 == account.0).then(|| key.1.to_owned())
        })
    }
}
