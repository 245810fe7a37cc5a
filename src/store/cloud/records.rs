//! Records under their names: which id one has, and what was known of it before.

use crate::base::ids::RecordName;
use crate::base::ids::RowId;
use crate::base::time::AppleTime;
use crate::model::record::CloudRecord;
use crate::model::record::CloudZone;
use crate::store::cloud::CloudContent;
use crate::store::cloud::shelf;
use crate::store::error::StoreError;
use crate::store::filters::Filters;
use crate::store::media::FILE;
use crate::store::transaction::Transaction;
use crate::store::transaction::find;
use crate::store::transaction::put;
use crate::store::value::Became;
use crate::store::value::Opaque;
use crate::store::value::QuarantineRow;
use crate::store::value::StoredCloudRecord;

/// A record that is to be filed under its name.
pub(super) struct Filing<'n> {
    pub(super) zone: CloudZone,
    pub(super) name: &'n RecordName,
    /// What was filed under the name before.
    pub(super) held: Option<(RowId, StoredCloudRecord)>,
    pub(super) decoder: u32,
    pub(super) seen: u32,
    pub(super) raw: Option<Opaque>,
    /// That it was deleted, where it is only opened late or decoded again.
    pub(super) deleted: Option<AppleTime>,
}

impl Filing<'_> {
    /// A record of which only the name is known.
    pub(super) fn unopened(&self) -> CloudRecord {
        CloudRecord {
            zone: self.zone.name().to_owned(),
            name: self.name.as_str().to_owned(),
            ..CloudRecord::default()
        }
    }

    /// Whether a record has the key of its file, which did not open before.
    pub(super) fn is_unsealed_by(&self, record: &CloudRecord) -> bool {
        let is_sealed = |record: &CloudRecord| {
            let asset = record.asset(FILE);
            asset.is_some_and(|asset| asset.sealed_key.is_some())
        };
        let before = self.held.as_ref().map(|(_, held)| &held.record);
        before.is_some_and(is_sealed) && !is_sealed(record)
    }
}

impl StoredCloudRecord {
    /// Whether a change says what is held already.
    pub(super) fn is_as_it_was(
        &self,
        content: &CloudContent,
        raw: Option<&Opaque>,
        decoder: u32,
    ) -> bool {
        if let CloudContent::Deleted = content {
            return self.deleted.is_some();
        }
        if self.deleted.is_some() || self.decoder != decoder || self.raw.as_ref() != raw {
            return false;
        }
        match (content, self.became) {
            (CloudContent::Message { record, .. }, Became::Message(_))
            | (CloudContent::Chat { record, .. }, Became::Chat(_))
            | (CloudContent::File { record, .. }, Became::Attachment(_))
            | (CloudContent::Foreign(record), Became::Foreign) => *record == self.record,
            (CloudContent::MissingKey { .. }, Became::MissingKey)
            | (CloudContent::Unreadable { .. }, Became::Unreadable) => raw.is_some(),
            _ => false,
        }
    }

    /// Whether it waits for a key or for a better decoder.
    pub(in crate::store) fn is_closed(&self) -> bool {
        matches!(
            self.became,
            Became::MissingKey | Became::Unreadable | Became::Foreign
        )
    }
}

impl Transaction<'_> {
    /// The record with a name, and its id.
    pub(super) fn named_record(
        &self,
        zone: CloudZone,
        name: &RecordName,
    ) -> Result<Option<(RowId, StoredCloudRecord)>, StoreError> {
        use redb::ReadableTable;

        let is_new = |filters: &Filters| !filters.may_be_named(zone, name);
        if self.filters.as_ref().is_some_and(is_new) {
            return Ok(None);
        }
        let waiting = self.waiting.names.get(&zone.number());
        let id = if let Some(id) = waiting.and_then(|names| names.get(name)) {
            Some(*id)
        } else {
            let id = self.tables.record_names.get((zone.number(), name.as_str()));
            let id = id.map_err(|error| StoreError::from_redb("reading", error))?;
            id.map(|id| RowId(id.value()))
        };
        let Some(id) = id else { return Ok(None) };
        Ok(self.cloud_record(id, shelf(zone))?.map(|held| (id, held)))
    }

    /// The record with an id on a shelf.
    pub(super) fn cloud_record(
        &self,
        id: RowId,
        number: u8,
    ) -> Result<Option<StoredCloudRecord>, StoreError> {
        find(&self.tables.records, "records", (id.0, number))
    }

    pub(super) fn put_cloud_record(
        &mut self,
        id: RowId,
        number: u8,
        record: &StoredCloudRecord,
    ) -> Result<(), StoreError> {
        let table = &mut self.tables.records;
        put(table, "records", (id.0, number), record, &mut Vec::new())
    }

    /// Notes that a record is still there after its zone was begun again.
    pub(super) fn note_seen(
        &mut self,
        id: RowId,
        zone: CloudZone,
        resets: u32,
    ) -> Result<(), StoreError> {
        match self.cloud_record(id, shelf(zone))? {
            Some(held) if held.seen != resets => {
                let seen = StoredCloudRecord {
                    seen: resets,
                    ..held
                };
                self.put_cloud_record(id, shelf(zone), &seen)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Files a record under its name, with what it became and what of it cannot be read. Answers its id: the row that it
    /// became, unless that has another record already.
    pub(super) fn file(
        &mut self,
        filing: Filing<'_>,
        became: Became,
        record: CloudRecord,
        reasons: Vec<String>,
    ) -> Result<RowId, StoreError> {
        let number = shelf(filing.zone);
        // For one that could not be opened lately: the record of what it was before that.
        let before = filing
            .held
            .as_ref()
            .map(|(id, held)| held.shown_before().unwrap_or(*id));
        let mut stored = StoredCloudRecord {
            decoder: filing.decoder,
            became,
            deleted: filing.deleted,
            seen: filing.seen,
            others: Vec::new(),
            raw: filing.raw,
            record,
        };
        let id = match became {
            Became::Message(row) | Became::Attachment(row) => {
                match self.cloud_record(row, number)? {
                    None => row,
                    Some(there) if is_same_name(&there.record, &stored.record) => {
                        stored.others = there.others;
                        row
                    }
                    Some(mut there) => {
                        let id = before.unwrap_or_else(|| self.new_row());
                        if !there.others.contains(&id) {
                            there.others.push(id);
                            self.put_cloud_record(row, number, &there)?;
                        }
                        id
                    }
                }
            }
            Became::Nothing
            | Became::Chat(_)
            | Became::MissingKey
            | Became::Unreadable
            | Became::Foreign => match &filing.held {
                // What it was before it could not be read any more stays.
                Some((before, held)) if held.is_shown() => {
                    stored.others = vec![*before];
                    self.new_row()
                }
                Some((id, held)) => {
                    stored.others.extend(held.shown_before());
                    *id
                }
                None => self.new_row(),
            },
        };
        if let Some((old, held)) = &filing.held
            && *old != id
            && !held.is_shown()
        {
            let failed = |error| StoreError::from_redb("writing to", error);
            let records = &mut self.tables.records;
            records.remove((old.0, number)).map_err(failed)?;
            let quarantine = &mut self.tables.quarantine;
            quarantine.remove(old.0).map_err(failed)?;
        }
        self.name_record(filing.zone, filing.name, id);
        self.note_closed(id, &stored, reasons)?;
        self.put_cloud_record(id, number, &stored)?;
        Ok(id)
    }

    /// Lets a name lead to a record.
    pub(super) fn name_record(&mut self, zone: CloudZone, name: &RecordName, id: RowId) {
        if let Some(filters) = &mut self.filters {
            filters.add_name(zone, name);
        }
        let names = self.waiting.names.entry(zone.number()).or_default();
        names.insert(name.clone(), id);
    }

    /// Whether a record that cannot be opened or read is held for that very reason: other keys can lack another one.
    pub(super) fn is_for_the_reason(
        &self,
        id: RowId,
        content: &CloudContent,
    ) -> Result<bool, StoreError> {
        let reason = match content {
            CloudContent::MissingKey { reason } | CloudContent::Unreadable { reason } => reason,
            CloudContent::Message { .. }
            | CloudContent::Chat { .. }
            | CloudContent::File { .. }
            | CloudContent::Foreign(_)
            | CloudContent::Deleted => return Ok(true),
        };
        let held: Option<QuarantineRow> = find(&self.tables.quarantine, "quarantine", id.0)?;
        Ok(held.is_some_and(|held| held.reasons == [reason.as_str()]))
    }

    /// Says in the quarantine whether a record is nothing yet, and why. For what is a message the message says it.
    fn note_closed(
        &mut self,
        id: RowId,
        stored: &StoredCloudRecord,
        reasons: Vec<String>,
    ) -> Result<(), StoreError> {
        if let Became::Message(row) = stored.became {
            if id != row {
                let removed = self.tables.quarantine.remove(id.0);
                removed.map_err(|error| StoreError::from_redb("writing to", error))?;
            }
            return Ok(());
        }
        let reasons = if reasons.is_empty() && stored.is_closed() {
            vec!["nothing of it can be read".to_owned()]
        } else {
            reasons
        };
        if reasons.is_empty() {
            let removed = self.tables.quarantine.remove(id.0);
            return removed
                .map(drop)
                .map_err(|error| StoreError::from_redb("writing to", error));
        }
        let before: Option<QuarantineRow> = find(&self.tables.quarantine, "quarantine", id.0)?;
        self.tally.unreadable += 1;
        let entry = QuarantineRow {
            reasons,
            decoder: stored.decoder,
            attempts: before.as_ref().map_or(1, |before| before.attempts + 1),
            since: before.map_or(self.now, |before| before.since),
        };
        Self::put_row(&mut self.tables.quarantine, "quarantine", id, &entry)
    }
}

impl StoredCloudRecord {
    /// Of one that cannot be opened or read any more, the record of what it was before that.
    pub(super) fn shown_before(&self) -> Option<RowId> {
        let is_closed = self.is_closed();
        self.others.first().copied().filter(|_| is_closed)
    }

    /// Whether it stands with something that people see.
    fn is_shown(&self) -> bool {
        matches!(self.became, Became::Message(_) | Became::Attachment(_))
    }
}

fn is_same_name(a: &CloudRecord, b: &CloudRecord) -> bool {
    (&a.zone, &a.name) == (&b.zone, &b.name)
}
