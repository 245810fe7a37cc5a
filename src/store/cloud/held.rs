//! What is held of CloudKit: records, positions, the session.

use redb::ReadableTable;

use crate::base::ids::ChangeToken;
use crate::base::ids::RecordName;
use crate::base::ids::RowId;
use crate::base::secret::Secret;
use crate::model::record::CloudZone;
use crate::model::record::SourceKind;
use crate::store::cloud::DELETED;
use crate::store::cloud::THERE;
use crate::store::cloud::shelf;
use crate::store::error::StoreError;
use crate::store::publication::PassStep;
use crate::store::snapshot::Snapshot;
use crate::store::transaction::Transaction;
use crate::store::transaction::find;
use crate::store::transaction::put;
use crate::store::transaction::value;
use crate::store::value::CloudAccount;
use crate::store::value::StoredCloudRecord;
use crate::store::value::ZoneState;

/// The account's key: there is one.
const ACCOUNT: u8 = 0;

/// A record with the id and the name under which it is filed.
pub type NamedRecord = (RowId, RecordName, StoredCloudRecord);

/// The signature that names a file's key, and the key.
pub type AssetKey = (Vec<u8>, Secret<Vec<u8>>);

/// A place in the order in which records of CloudKit arrived; the default is before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CloudPlace(RowId, u8);

impl ZoneState {
    /// The position behind the last page that is stored.
    pub fn position(&self) -> Option<ChangeToken> {
        ChangeToken::from_bytes(&self.token.as_ref()?.0)
    }

    /// Whether a record of the zone was not seen again since the zone was begun again (D30).
    pub fn misses(&self, record: &StoredCloudRecord) -> bool {
        self.complete.is_some() && record.deleted.is_none() && record.seen < self.resets
    }
}

impl Snapshot {
    /// How far a zone was read.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn zone(&self, zone: CloudZone) -> Result<ZoneState, StoreError> {
        Ok(find(self.tables.zones()?, "zones", zone.number())?.unwrap_or_default())
    }

    /// The records of a message or a file: of what is there first, then of what was deleted lately.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn cloud_records(&self, row: RowId) -> Result<Vec<StoredCloudRecord>, StoreError> {
        let mut found = Vec::new();
        for shelf in [THERE, DELETED] {
            let key = (row.0, shelf);
            let Some(record) = find(self.tables.records()?, "records", key)? else {
                continue;
            };
            let record: StoredCloudRecord = record;
            let others = record.others.clone();
            found.push(record);
            for other in others {
                found.extend(find(self.tables.records()?, "records", (other.0, shelf))?);
            }
        }
        Ok(found)
    }

    /// The record with a name.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn cloud_record_named(
        &self,
        zone: CloudZone,
        name: &RecordName,
    ) -> Result<Option<(RowId, StoredCloudRecord)>, StoreError> {
        let id = self
            .tables
            .record_names()?
            .get((zone.number(), name.as_str()));
        let id = id.map_err(|error| StoreError::from_redb("reading", error))?;
        let Some(id) = id.map(|id| RowId(id.value())) else {
            return Ok(None);
        };
        let found = find(self.tables.records()?, "records", (id.0, shelf(zone)))?;
        Ok(found.map(|record| (id, record)))
    }

    /// Records of a zone after a name, by name, at most some of them.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`], [`StoreError::Dangling`].
    pub fn cloud_records_after(
        &self,
        zone: CloudZone,
        after: Option<&RecordName>,
        limit: usize,
    ) -> Result<Vec<NamedRecord>, StoreError> {
        use std::ops::Bound;

        let failed = |error| StoreError::from_redb("reading", error);
        let number = zone.number();
        let first = after.map_or(Bound::Included((number, "")), |name| {
            Bound::Excluded((number, name.as_str()))
        });
        let bounds = (first, Bound::Excluded((number + 1, "")));
        let names = self.tables.record_names()?;
        let mut found = Vec::new();
        for entry in names
            .range::<(u8, &str)>(bounds)
            .map_err(failed)?
            .take(limit)
        {
            let (key, id) = entry.map_err(failed)?;
            let id = RowId(id.value());
            let record = find(self.tables.records()?, "records", (id.0, shelf(zone)))?;
            let record = record.ok_or(StoreError::Dangling {
                table: "records",
                row: id.0,
            })?;
            if let Some(name) = RecordName::parse(key.value().1) {
                found.push((id, name, record));
            }
        }
        Ok(found)
    }

    /// Records behind a place, in the order in which they arrived, at most some of them.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn cloud_records_behind(
        &self,
        place: CloudPlace,
        limit: usize,
    ) -> Result<Vec<(CloudPlace, StoredCloudRecord)>, StoreError> {
        use std::ops::Bound;

        let failed = |error| StoreError::from_redb("reading", error);
        let bounds = (Bound::Excluded((place.0.0, place.1)), Bound::Unbounded);
        let mut found = Vec::new();
        for entry in self
            .tables
            .records()?
            .range::<(u64, u8)>(bounds)
            .map_err(failed)?
        {
            if found.len() == limit {
                break;
            }
            let (key, bytes) = entry.map_err(failed)?;
            let (id, number) = key.value();
            if number >= THERE {
                found.push((
                    CloudPlace(RowId(id), number),
                    value("records", bytes.value())?,
                ));
            }
        }
        Ok(found)
    }

    /// The record that is filed under an id of its own, for an entry of the quarantine that is no message.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn cloud_record(&self, id: RowId) -> Result<Option<StoredCloudRecord>, StoreError> {
        let table = self.tables.records()?;
        let there = find(table, "records", (id.0, THERE))?;
        there.map_or_else(
            || find(table, "records", (id.0, DELETED)),
            |it| Ok(Some(it)),
        )
    }

    /// What the owner imported to read CloudKit with.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn cloud_account(&self) -> Result<Option<CloudAccount>, StoreError> {
        find(self.tables.cloud_accounts()?, "cloud_accounts", ACCOUNT)
    }

    /// Keys of all files that were ever seen, each with the signature that names it (AT-17).
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn asset_keys(&self) -> Result<Vec<AssetKey>, StoreError> {
        let failed = |error| StoreError::from_redb("reading", error);
        let mut keys = Vec::new();
        for entry in self.tables.asset_keys()?.iter().map_err(failed)? {
            let (name, key) = entry.map_err(failed)?;
            keys.push((name.value().to_vec(), Secret::new(key.value().to_vec())));
        }
        Ok(keys)
    }
}

impl Transaction<'_> {
    /// Keeps what the owner imported.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn put_cloud_account(&mut self, account: &CloudAccount) -> Result<(), StoreError> {
        let table = &mut self.tables.cloud_accounts;
        put(table, "cloud_accounts", ACCOUNT, account, &mut Vec::new())
    }

    /// What the owner imported.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn cloud_account(&self) -> Result<Option<CloudAccount>, StoreError> {
        find(&self.tables.cloud_accounts, "cloud_accounts", ACCOUNT)
    }

    /// Forgets the session, the device and where reading goes on. What was read stays, and clients see it: nobody knows
    /// whether a pass ever ends.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn forget_cloud_account(&mut self) -> Result<(), StoreError> {
        let failed = |error| StoreError::from_redb("writing to", error);
        self.tables.cloud_accounts.remove(ACCOUNT).map_err(failed)?;
        self.pass = Some(PassStep::Ends(SourceKind::CloudKit));
        let mut states = Vec::new();
        for entry in self.tables.zones.iter().map_err(failed)? {
            let (zone, bytes) = entry.map_err(failed)?;
            states.push((zone.value(), value::<ZoneState>("zones", bytes.value())?));
        }
        for (zone, state) in states {
            // Another account may come: its zones begin at their beginning.
            let state = ZoneState {
                token: None,
                protection: None,
                ..state
            };
            put(
                &mut self.tables.zones,
                "zones",
                zone,
                &state,
                &mut Vec::new(),
            )?;
        }
        Ok(())
    }
}
