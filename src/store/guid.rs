//! From a GUID to the messages that have it: one look-up, whatever the case (D3).

use redb::ReadableTable;

use crate::base::ids::Guid;
use crate::base::ids::RowId;
use crate::store::error::StoreError;

/// The sixteen bytes of a GUID ([`Guid::key`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct GuidKey(pub(super) [u8; 16]);

impl GuidKey {
    /// The key of a GUID.
    pub(super) fn of(guid: &Guid) -> Self {
        Self(guid.key())
    }
}

/// The messages with a GUID, by arrival. Usually one; short codes repeat GUIDs in several conversations (ID-18).
pub(super) fn ids_of(
    guids: &impl ReadableTable<(&'static [u8; 16], u64), ()>,
    others: &impl ReadableTable<(&'static str, u64), ()>,
    guid: &Guid,
) -> Result<Vec<RowId>, StoreError> {
    let failed = |error| StoreError::from_redb("reading", error);
    let mut rows = Vec::new();
    match guid {
        Guid::Uuid(key) => {
            for entry in guids.range((key, 0)..=(key, u64::MAX)).map_err(failed)? {
                rows.push(RowId(entry.map_err(failed)?.0.value().1));
            }
        }
        Guid::Other(text) => {
            let text: &str = text;
            for entry in others.range((text, 0)..=(text, u64::MAX)).map_err(failed)? {
                rows.push(RowId(entry.map_err(failed)?.0.value().1));
            }
        }
    }
    Ok(rows)
}
