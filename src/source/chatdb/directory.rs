//! What a Messages database says about people and chats, apart from the messages.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::fmt;

use rusqlite::Connection;

use crate::model::record::ChatColumn;
use crate::model::record::ChatRecord;
use crate::model::record::HandleRow;
use crate::source::chatdb::rows::View;
use crate::source::chatdb::rows::integer;
use crate::source::chatdb::rows::read_row;
use crate::source::chatdb::rows::text;
use crate::source::chatdb::schema::Plan;

/// Handles and chats, own addresses, and what was deleted for good.
#[derive(Default)]
pub struct Directory {
    /// Rows of `handle`, by ROWID.
    pub handles: Vec<HandleRow>,
    /// Rows of `chat` with their members, by ROWID.
    pub chats: Vec<ChatRecord>,
    /// The owner's addresses as they are written (`P:+15550100001`, `E:a@example.org`, `+15550100001`), each with the
    /// number of chats that name it in `account_login` or `last_addressed_handle` (D10). By text. Messages name own
    /// addresses too; whoever reads them sees them.
    pub accounts: Vec<(String, u64)>,
    /// GUIDs of `deleted_messages` and `sync_deleted_messages`, sorted; without those that `message` holds again, as
    /// it does after iCloud brought a message back.
    pub deleted: Vec<String>,
}

/// Addresses are private: logs show none.
impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory")
            .field("handles", &self.handles.len())
            .field("chats", &self.chats.len())
            .field("accounts", &self.accounts.len())
            .field("deleted", &self.deleted.len())
            .finish()
    }
}

/// Reads everything but the messages.
pub(super) fn read(connection: &Connection, view: &View) -> rusqlite::Result<Directory> {
    let mut accounts = Accounts::default();
    Ok(Directory {
        handles: read_handles(connection, &view.plan)?,
        chats: read_chats(connection, view, &mut accounts)?,
        accounts: accounts.finish(),
        deleted: read_deleted(connection, &view.plan)?,
    })
}

fn read_handles(connection: &Connection, plan: &Plan) -> rusqlite::Result<Vec<HandleRow>> {
    let mut statement = connection.prepare_cached(&plan.all_handles)?;
    let mut rows = statement.query([])?;
    let mut handles = Vec::new();
    while let Some(row) = rows.next()? {
        handles.push(HandleRow {
            id: text(row, 1)?.unwrap_or_default(),
            service: text(row, 2)?.unwrap_or_default(),
            country: text(row, 3)?,
            uncanonicalized_id: text(row, 4)?,
            person_centric_id: text(row, 5)?,
        });
    }
    Ok(handles)
}

fn read_chats(
    connection: &Connection,
    View { plan, names, .. }: &View,
    accounts: &mut Accounts,
) -> rusqlite::Result<Vec<ChatRecord>> {
    let mut chats = Vec::new();
    let mut places = HashMap::new();
    let mut statement = connection.prepare_cached(&plan.all_chats.sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let mut too_large = Vec::new();
        let values = read_row(row, 1, &plan.all_chats.columns, &mut too_large)?;
        for (column, bytes) in too_large {
            tracing::info!(column, bytes, "column of a chat was too large and left out");
        }
        for own in [ChatColumn::AccountLogin, ChatColumn::LastAddressedHandle] {
            accounts.count(values.text(own).unwrap_or_default().as_bytes());
        }
        places.insert(integer(row, 0)?, chats.len());
        chats.push(ChatRecord {
            row: values,
            ..ChatRecord::default()
        });
    }

    let mut members = Vec::new();
    if let Some(sql) = &plan.members {
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            members.push((integer(row, 0)?, integer(row, 1)?));
        }
    }
    members.sort_unstable();
    for (chat, handle) in members {
        let chat = places.get(&chat).and_then(|place| chats.get_mut(*place));
        if let (Some(chat), Some(address)) = (chat, names.address(handle)) {
            chat.members.push(address);
        }
    }

    if let Some(sql) = &plan.lookups {
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let place = places.get(&integer(row, 0)?);
            if let (Some(chat), Some(identifier)) =
                (place.and_then(|place| chats.get_mut(*place)), text(row, 1)?)
            {
                let domain = text(row, 2)?.unwrap_or_default();
                chat.lookups.push((identifier, domain));
            }
        }
    }
    Ok(chats)
}

fn read_deleted(connection: &Connection, plan: &Plan) -> rusqlite::Result<Vec<String>> {
    let mut deleted = Vec::new();
    for sql in &plan.deleted {
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            deleted.extend(text(row, 0)?);
        }
    }
    deleted.sort_unstable();
    deleted.dedup();
    Ok(deleted)
}

/// Counts own addresses. Neighbouring rows mostly name the same one.
#[derive(Default)]
struct Accounts {
    counts: BTreeMap<Vec<u8>, u64>,
    latest: (Vec<u8>, u64),
}

impl Accounts {
    fn count(&mut self, address: &[u8]) {
        if self.latest.0 == address {
            self.latest.1 += 1;
            return;
        }
        self.settle();
        self.latest = (address.to_vec(), 1);
    }

    fn settle(&mut self) {
        let (address, count) = std::mem::take(&mut self.latest);
        if !address.is_empty() {
            *self.counts.entry(address).or_default() += count;
        }
    }

    /// Each address with its number of rows, by text.
    fn finish(mut self) -> Vec<(String, u64)> {
        self.settle();
        let counts = self.counts.into_iter();
        counts
            .map(|(address, count)| (String::from_utf8_lossy(&address).into_owned(), count))
            .collect()
    }
}
