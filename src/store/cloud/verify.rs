//! Holds what is kept of CloudKit against the rest.

use redb::ReadableTable;

use crate::base::ids::RowId;
use crate::model::record::CloudZone;
use crate::store::cloud::shelf;
use crate::store::error::StoreError;
use crate::store::value::Became;
use crate::store::value::CloudAccount;
use crate::store::value::StoredCloudRecord;
use crate::store::value::ZoneState;
use crate::store::verify::Verification;

impl Verification<'_> {
    /// A record of CloudKit by its key, and what it leads to.
    pub(in crate::store) fn cloud_record(
        &mut self,
        (id, number): (u64, u8),
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        let failed = |error| StoreError::from_redb("reading", error);
        let name = format!("{id}/{number}");
        let Some(record) = self.decode::<StoredCloudRecord>("records", &name, bytes) else {
            return Ok(());
        };
        let tables = &self.snapshot.tables;
        let is_there = match record.became {
            Became::Message(row) => tables.messages()?.get(row.0).map_err(failed)?.is_some(),
            Became::Attachment(row) => tables.attachments()?.get(row.0).map_err(failed)?.is_some(),
            Became::Chat(row) => tables
                .conversations()?
                .get(row.0)
                .map_err(failed)?
                .is_some(),
            Became::Nothing | Became::MissingKey | Became::Unreadable | Became::Foreign => true,
        };
        let is_kept = tables.quarantine()?.get(id).map_err(failed)?.is_some();
        let should_be = record.is_closed();
        if !is_there {
            self.find("records", &name, "what it became is missing");
        }
        if should_be && !is_kept {
            self.find("quarantine", id, "missing for a record that is nothing yet");
        }
        Ok(())
    }

    /// Names of records, states of chats, positions, the session.
    pub(in crate::store) fn cloud(&mut self) -> Result<(), StoreError> {
        let failed = |error| StoreError::from_redb("reading", error);
        let tables = &self.snapshot.tables;
        for entry in tables.record_names()?.iter().map_err(failed)? {
            let (key, id) = entry.map_err(failed)?;
            let (zone, name) = key.value();
            let number = CloudZone::from_number(zone).map(shelf);
            let record = match number {
                Some(number) => tables
                    .records()?
                    .get((id.value(), number))
                    .map_err(failed)?,
                None => None,
            };
            if record.is_none() {
                self.find("record_names", name, "leads to a record that is missing");
            }
        }
        for entry in tables.chat_states()?.iter().map_err(failed)? {
            let (conversation, id) = entry.map_err(failed)?.0.value();
            let is_there = tables.conversations()?.get(conversation).map_err(failed)?;
            if is_there.is_none() || self.snapshot.cloud_record(RowId(id))?.is_none() {
                self.find("chat_states", id, "leads to something that is missing");
            }
        }
        for entry in tables.zones()?.iter().map_err(failed)? {
            let (zone, bytes) = entry.map_err(failed)?;
            self.decode::<ZoneState>("zones", zone.value(), bytes.value());
        }
        for entry in tables.cloud_accounts()?.iter().map_err(failed)? {
            let (account, bytes) = entry.map_err(failed)?;
            self.decode::<CloudAccount>("cloud_accounts", account.value(), bytes.value());
        }
        Ok(())
    }
}
