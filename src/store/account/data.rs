//! What clients keep here for each other: account data and filters.

use crate::base::ids::ChangeNumber;
use crate::base::ids::RowId;
use crate::store::account::Account;
use crate::store::account::reading;
use crate::store::account::rows_from;
use crate::store::error::StoreError;
use crate::store::snapshot::Snapshot;
use crate::store::transaction::Transaction;
use crate::store::transaction::find;
use crate::store::transaction::put;
use crate::store::transaction::value;
use crate::store::value::AccountData;
use crate::store::value::ChangeKind;
use crate::store::value::Filter;
use crate::store::value::Opaque;

/// One piece of an account's data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldData {
    /// The conversation that it is about; `None` for the account as a whole.
    pub conversation: Option<RowId>,
    /// Its type.
    pub kind: String,
    /// What is held.
    pub data: AccountData,
}

/// 0 stands for no conversation in keys: row ids begin with 1.
fn number(conversation: Option<RowId>) -> u64 {
    conversation.map_or(0, |row| row.0)
}

impl Transaction<'_> {
    /// Writes a piece of an account's data, about a conversation or the account as a whole. Every client hears about it,
    /// the one that wrote it too, also when it is what it was.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn put_account_data(
        &mut self,
        account: Account,
        conversation: Option<RowId>,
        kind: &str,
        body: Opaque,
    ) -> Result<ChangeNumber, StoreError> {
        let change = self.log_in(conversation, ChangeKind::AccountData, account.row())?;
        let key = (account.0, number(conversation), kind);
        let data = AccountData { change, body };
        let table = &mut self.tables.account.account_data;
        put(table, "account_data", key, &data, &mut Vec::new())?;
        Ok(change)
    }

    /// A piece of an account's data.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn account_data(
        &self,
        account: Account,
        conversation: Option<RowId>,
        kind: &str,
    ) -> Result<Option<AccountData>, StoreError> {
        let key = (account.0, number(conversation), kind);
        find(&self.tables.account.account_data, "account_data", key)
    }

    /// Keeps a filter and answers its number: that of an equal one if there is one.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn put_filter(&mut self, account: Account, body: Opaque) -> Result<u64, StoreError> {
        let table = &mut self.tables.account.filters;
        let held: Vec<(u64, Filter)> = rows_from(table, "filters", (account.0, 0), |key| {
            (key.0 == account.0).then_some(key.1)
        })?;
        if let Some((number, _)) = held.iter().find(|(_, filter)| filter.body == body) {
            return Ok(*number);
        }
        let number = held.last().map_or(1, |(last, _)| last + 1);
        let filter = Filter { body };
        put(
            table,
            "filters",
            (account.0, number),
            &filter,
            &mut Vec::new(),
        )?;
        Ok(number)
    }
}

impl Snapshot {
    /// A piece of an account's data, about a conversation or the account as a whole.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn account_data(
        &self,
        account: Account,
        conversation: Option<RowId>,
        kind: &str,
    ) -> Result<Option<AccountData>, StoreError> {
        let key = (account.0, number(conversation), kind);
        find(self.tables.account_data()?, "account_data", key)
    }

    /// All data of an account, that of the account as a whole first, then by conversation.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn all_account_data(&self, account: Account) -> Result<Vec<HeldData>, StoreError> {
        self.data_from(account, 0, |_| true)
    }

    /// The data of an account about a conversation, or about the account as a whole.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn account_data_of(
        &self,
        account: Account,
        conversation: Option<RowId>,
    ) -> Result<Vec<HeldData>, StoreError> {
        let wanted = number(conversation);
        self.data_from(account, wanted, |conversation| conversation == wanted)
    }

    /// The data of one type that an account has about conversations.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn account_data_with(
        &self,
        account: Account,
        kind: &str,
    ) -> Result<Vec<(RowId, AccountData)>, StoreError> {
        let mut found = Vec::new();
        let rows = self.tables.account_data()?.range((account.0, 1, "")..);
        for entry in rows.map_err(reading)? {
            let (key, bytes) = entry.map_err(reading)?;
            let (of, row, held) = key.value();
            if of != account.0 {
                break;
            }
            if held == kind {
                found.push((RowId(row), value("account_data", bytes.value())?));
            }
        }
        Ok(found)
    }

    fn data_from(
        &self,
        account: Account,
        first: u64,
        is_wanted: impl Fn(u64) -> bool,
    ) -> Result<Vec<HeldData>, StoreError> {
        let table = self.tables.account_data()?;
        let rows = rows_from(table, "account_data", (account.0, first, ""), |key| {
            let is_in = key.0 == account.0 && is_wanted(key.1);
            is_in.then(|| (key.1, key.2.to_owned()))
        })?;
        let held = rows.into_iter().map(|((row, kind), data)| HeldData {
            conversation: (row > 0).then_some(RowId(row)),
            kind,
            data,
        });
        Ok(held.collect())
    }

    /// A filter by its number.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn filter(&self, account: Account, number: u64) -> Result<Option<Filter>, StoreError> {
        find(self.tables.filters()?, "filters", (account.0, number))
    }
}
