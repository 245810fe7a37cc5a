//! Messages that wait for devices.

use crate::base::ids::ChangeNumber;
use crate::store::account::Account;
use crate::store::account::reading;
use crate::store::account::rows_from;
use crate::store::account::writing;
use crate::store::error::StoreError;
use crate::store::snapshot::Snapshot;
use crate::store::transaction::Transaction;
use crate::store::transaction::put;
use crate::store::value::ChangeKind;
use crate::store::value::Opaque;
use crate::store::value::ToDevice;

impl Transaction<'_> {
    /// Puts a message into the queue of a device.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn send_to_device(
        &mut self,
        account: Account,
        device: &str,
        body: Opaque,
    ) -> Result<ChangeNumber, StoreError> {
        let change = self.log_account(ChangeKind::ToDevice, account);
        let table = &mut self.tables.account.to_device;
        let key = (account.0, device, change.0);
        put(table, "to_device", key, &ToDevice { body }, &mut Vec::new())?;
        Ok(change)
    }

    /// Removes what a device has received: everything up to a change.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn forget_to_device(
        &mut self,
        account: Account,
        device: &str,
        up_to: ChangeNumber,
    ) -> Result<(), StoreError> {
        use redb::ReadableTable;

        let table = &mut self.tables.account.to_device;
        let received = (account.0, device, 0)..=(account.0, device, up_to.0);
        let mut changes = Vec::new();
        for entry in table.range(received).map_err(reading)? {
            changes.push(entry.map_err(reading)?.0.value().2);
        }
        for change in changes {
            table.remove((account.0, device, change)).map_err(writing)?;
        }
        Ok(())
    }
}

impl Snapshot {
    /// What waits for a device after a change, oldest first, at most so many.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn to_device(
        &self,
        account: Account,
        device: &str,
        after: ChangeNumber,
        limit: usize,
    ) -> Result<Vec<(ChangeNumber, ToDevice)>, StoreError> {
        let from = (account.0, device, after.0.saturating_add(1));
        let mut left = limit;
        rows_from(self.tables.to_device()?, "to_device", from, |key| {
            let is_next = left > 0 && (key.0, key.1) == (account.0, device);
            left = left.saturating_sub(1);
            is_next.then_some(ChangeNumber(key.2))
        })
    }
}
