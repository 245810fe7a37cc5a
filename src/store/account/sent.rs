//! Requests that a client may repeat, and what they were answered with.

use crate::store::account::Account;
use crate::store::account::rows_from;
use crate::store::account::writing;
use crate::store::error::StoreError;
use crate::store::snapshot::Snapshot;
use crate::store::transaction::Transaction;
use crate::store::transaction::find;
use crate::store::transaction::put;
use crate::store::value::SentEvent;

/// What makes two requests one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentKey<'k> {
    /// The account.
    pub account: Account,
    /// The device.
    pub device: &'k str,
    /// The room's id; empty for what is sent to devices.
    pub room: &'k str,
    /// The event's type.
    pub kind: &'k str,
    /// The client's own id of the request.
    pub transaction: &'k str,
}

impl<'k> SentKey<'k> {
    fn tuple(self) -> (u8, &'k str, &'k str, &'k str, &'k str) {
        let Self {
            account,
            device,
            room,
            kind,
            transaction,
        } = self;
        (account.0, device, room, kind, transaction)
    }
}

impl Transaction<'_> {
    /// What a request was answered with, if it was made before. Ask here, not a snapshot, before doing it: two equal
    /// requests may come at once.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn sent(&self, key: SentKey<'_>) -> Result<Option<SentEvent>, StoreError> {
        find(
            &self.tables.account.transactions,
            "transactions",
            key.tuple(),
        )
    }

    /// Remembers what a request was answered with: an event id, or nothing.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn remember_sent(&mut self, key: SentKey<'_>, event_id: &str) -> Result<(), StoreError> {
        let sent = SentEvent {
            event_id: event_id.to_owned(),
            at: self.now,
        };
        let table = &mut self.tables.account.transactions;
        put(table, "transactions", key.tuple(), &sent, &mut Vec::new())
    }

    /// Forgets every request of a device.
    pub(super) fn forget_sent(&mut self, account: Account, device: &str) -> Result<(), StoreError> {
        let table = &mut self.tables.account.transactions;
        let from = (account.0, device, "", "", "");
        let held: Vec<([String; 3], SentEvent)> = rows_from(table, "transactions", from, |key| {
            let is_of_it = (key.0, key.1) == (account.0, device);
            is_of_it.then(|| [key.2, key.3, key.4].map(str::to_owned))
        })?;
        for ([room, kind, transaction], _) in &held {
            let key = SentKey {
                account,
                device,
                room,
                kind,
                transaction,
            };
            table.remove(key.tuple()).map_err(writing)?;
        }
        Ok(())
    }
}

impl Snapshot {
    /// What a request was answered with, if it was made before.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn sent(&self, key: SentKey<'_>) -> Result<Option<SentEvent>, StoreError> {
        find(self.tables.transactions()?, "transactions", key.tuple())
    }
}
