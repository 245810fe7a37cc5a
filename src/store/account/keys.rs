//! Keys for end-to-end encryption: kept for clients, never looked into (D25).

use std::collections::BTreeMap;

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
use crate::store::value::Opaque;
use crate::store::value::StoredKey;

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyKind {
    /// The keys of a device; their name is empty.
    Device,
    /// Given to one other device; named `algorithm:id`.
    OneTime,
    /// Given away when there are no others; named by its algorithm.
    Fallback,
    /// The account's own: no device, named by its usage.
    CrossSigning,
}

impl KeyKind {
    /// Its number in keys of the table.
    pub const fn number(self) -> u8 {
        match self {
            Self::Device => 1,
            Self::OneTime => 2,
            Self::Fallback => 3,
            Self::CrossSigning => 4,
        }
    }
}

impl Transaction<'_> {
    /// Writes a key.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn put_key(
        &mut self,
        account: Account,
        device: &str,
        (kind, name): (KeyKind, &str),
        body: Opaque,
    ) -> Result<ChangeNumber, StoreError> {
        let change = self.log_account(ChangeKind::Keys, account);
        let key = StoredKey {
            change,
            used: false,
            body,
        };
        self.write_key(account, device, (kind, name), &key)?;
        Ok(change)
    }

    fn write_key(
        &mut self,
        account: Account,
        device: &str,
        (kind, name): (KeyKind, &str),
        key: &StoredKey,
    ) -> Result<(), StoreError> {
        let place = (account.0, device, kind.number(), name);
        let table = &mut self.tables.account.keys;
        put(table, "keys", place, key, &mut Vec::new())
    }

    /// A key.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn key(
        &self,
        account: Account,
        device: &str,
        (kind, name): (KeyKind, &str),
    ) -> Result<Option<StoredKey>, StoreError> {
        let place = (account.0, device, kind.number(), name);
        find(&self.tables.account.keys, "keys", place)
    }

    /// Takes the one-time key of an algorithm that was uploaded first, or else the fallback key, which stays and counts as
    /// used. Answers its name: `algorithm:id`, or the algorithm alone for a fallback key.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn claim_key(
        &mut self,
        account: Account,
        device: &str,
        algorithm: &str,
    ) -> Result<Option<(String, StoredKey)>, StoreError> {
        let prefix = format!("{algorithm}:");
        let number = KeyKind::OneTime.number();
        let table = &mut self.tables.account.keys;
        let from = (account.0, device, number, prefix.as_str());
        let found: Vec<(String, StoredKey)> = rows_from(table, "keys", from, |key| {
            let is_one =
                (key.0, key.1, key.2) == (account.0, device, number) && key.3.starts_with(&prefix);
            is_one.then(|| key.3.to_owned())
        })?;
        // Clients forget the private parts of the oldest first.
        if let Some((name, key)) = found.into_iter().min_by_key(|(_, key)| key.change) {
            let place = (account.0, device, number, name.as_str());
            table.remove(place).map_err(writing)?;
            self.log_account(ChangeKind::Keys, account);
            return Ok(Some((name, key)));
        }
        let place = (KeyKind::Fallback, algorithm);
        let Some(mut key) = self.key(account, device, place)? else {
            return Ok(None);
        };
        if !key.used {
            key.used = true;
            self.write_key(account, device, place, &key)?;
            self.log_account(ChangeKind::Keys, account);
        }
        Ok(Some((algorithm.to_owned(), key)))
    }

    /// Removes every key of a device.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn remove_keys(&mut self, account: Account, device: &str) -> Result<(), StoreError> {
        let table = &mut self.tables.account.keys;
        let from = (account.0, device, 0, "");
        let held: Vec<((u8, String), StoredKey)> = rows_from(table, "keys", from, |key| {
            ((key.0, key.1) == (account.0, device)).then(|| (key.2, key.3.to_owned()))
        })?;
        for ((kind, name), _) in &held {
            let place = (account.0, device, *kind, name.as_str());
            table.remove(place).map_err(writing)?;
        }
        if !held.is_empty() {
            self.log_account(ChangeKind::Keys, account);
        }
        Ok(())
    }
}

impl Snapshot {
    /// A key.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn key(
        &self,
        account: Account,
        device: &str,
        (kind, name): (KeyKind, &str),
    ) -> Result<Option<StoredKey>, StoreError> {
        let place = (account.0, device, kind.number(), name);
        find(self.tables.keys()?, "keys", place)
    }

    /// The keys of one kind that a device has, or the account where the device is empty, by name.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn keys(
        &self,
        account: Account,
        device: &str,
        kind: KeyKind,
    ) -> Result<Vec<(String, StoredKey)>, StoreError> {
        let number = kind.number();
        let from = (account.0, device, number, "");
        rows_from(self.tables.keys()?, "keys", from, |key| {
            ((key.0, key.1, key.2) == (account.0, device, number)).then(|| key.3.to_owned())
        })
    }

    /// How many one-time keys a device has left, by algorithm.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn one_time_keys(
        &self,
        account: Account,
        device: &str,
    ) -> Result<BTreeMap<String, u64>, StoreError> {
        let mut counts = BTreeMap::new();
        for (name, _) in self.keys(account, device, KeyKind::OneTime)? {
            let algorithm = name.split(':').next().unwrap_or_default();
            *counts.entry(algorithm.to_owned()).or_default() += 1;
        }
        Ok(counts)
    }
}
