//! Up to where accounts have read, as their clients say.

use crate::base::ids::ChangeNumber;
use crate::base::ids::RowId;
use crate::base::time::AppleTime;
use crate::store::account::Account;
use crate::store::account::rows_from;
use crate::store::error::StoreError;
use crate::store::snapshot::Snapshot;
use crate::store::transaction::Transaction;
use crate::store::transaction::find;
use crate::store::transaction::put;
use crate::store::value::ChangeKind;
use crate::store::value::ReadFrom;
use crate::store::value::ReadPosition;
use crate::store::value::Receipt;

/// A receipt as a client sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewReceipt {
    /// The event.
    pub event_id: String,
    /// Time of the event's message; for a local event its change, whatever the clock said.
    pub time: AppleTime,
    /// The event's message; 0 for a local event.
    pub row: RowId,
    /// The thread it is for; `None` for all.
    pub thread: Option<String>,
}

/// A receipt that is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldReceipt {
    /// The conversation.
    pub conversation: RowId,
    /// The receipt's type, `m.read` or another.
    pub kind: String,
    /// The receipt.
    pub receipt: Receipt,
}

impl Transaction<'_> {
    /// Moves a receipt forward. `None`: it is as far already, and nothing was written.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn put_receipt(
        &mut self,
        account: Account,
        conversation: RowId,
        kind: &str,
        new: NewReceipt,
    ) -> Result<Option<ChangeNumber>, StoreError> {
        let NewReceipt {
            event_id,
            time,
            row,
            thread,
        } = new;
        let key_thread = thread.clone().unwrap_or_default();
        let key = (account.0, conversation.0, kind, key_thread.as_str());
        let held: Option<Receipt> = find(&self.tables.account.receipts, "receipts", key)?;
        if held.is_some_and(|held| (held.time, held.row) >= (time, row)) {
            return Ok(None);
        }
        let change = self.log_in(Some(conversation), ChangeKind::Receipt, account.row())?;
        let receipt = Receipt {
            change,
            event_id,
            time,
            row,
            at: self.now,
            thread,
        };
        let table = &mut self.tables.account.receipts;
        put(table, "receipts", key, &receipt, &mut Vec::new())?;
        Ok(Some(change))
    }

    /// Moves the owner's read position in a conversation forward to a message, as a client said; says whether it moved.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn raise_read(
        &mut self,
        conversation: RowId,
        time: AppleTime,
        row: RowId,
    ) -> Result<bool, StoreError> {
        let from = ReadFrom::Client;
        let head = self.head(conversation)?;
        if !head.raise_read(ReadPosition { time, row, from }) {
            return Ok(false);
        }
        self.log_in(
            Some(conversation),
            ChangeKind::Receipt,
            Account::OWNER.row(),
        )?;
        Ok(true)
    }
}

impl Snapshot {
    /// The receipts of an account in a conversation, by type and thread.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn receipts(
        &self,
        account: Account,
        conversation: RowId,
    ) -> Result<Vec<HeldReceipt>, StoreError> {
        let from = (account.0, conversation.0, "", "");
        let rows = rows_from(self.tables.receipts()?, "receipts", from, |key| {
            ((key.0, key.1) == (account.0, conversation.0)).then(|| key.2.to_owned())
        })?;
        let held = rows.into_iter().map(|(kind, receipt)| HeldReceipt {
            conversation,
            kind,
            receipt,
        });
        Ok(held.collect())
    }
}
