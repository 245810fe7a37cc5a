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

/// Says of most GUIDs that are not held that they are not, without a look into the index.
///
/// A Bloom filter of fixed size: three bits of [`FILTER_BITS`] for each GUID. It can take a new one for a held one, never
/// the other way round. GUIDs are random, so that their own bits serve as hashes.
pub(super) struct GuidFilter(Vec<u64>);

/// Bits of a filter: 4 MiB. A million GUIDs leave one wrong answer in a thousand, ten million one in five.
const FILTER_BITS: usize = 1 << 25;

impl GuidFilter {
    /// A filter without GUIDs.
    pub(super) fn new() -> Self {
        Self(vec![0; FILTER_BITS / 64])
    }

    /// Adds a GUID.
    pub(super) fn add(&mut self, key: GuidKey) {
        for place in places(key) {
            if let Some(word) = self.0.get_mut(place / 64) {
                *word |= 1 << (place % 64);
            }
        }
    }

    /// Whether a GUID may be held; if not, it certainly is not.
    pub(super) fn may_hold(&self, key: GuidKey) -> bool {
        places(key).iter().all(|place| {
            self.0
                .get(place / 64)
                .is_some_and(|word| word & (1 << (place % 64)) != 0)
        })
    }
}

/// The three places of a GUID, cut from where a UUID has random bits: bytes 6 and 8 hold its version and variant.
fn places(GuidKey(key): GuidKey) -> [usize; 3] {
    let bits = u128::from_le_bytes(key);
    [0, 72, 100]
        .map(|from| usize::try_from((bits >> from) % FILTER_BITS as u128).unwrap_or_default())
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

#[cfg(test)]
mod tests {
    use super::GuidFilter;
    use super::GuidKey;

    #[test]
    fn a_filter_forgets_none_and_takes_few_for_held() {
        // A multiplier whose products are well spread stands in for randomness.
        let key = |n: u128| {
            GuidKey((n.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)).to_le_bytes())
        };
        let mut filter = GuidFilter::new();

        (1..100_000).for_each(|n| filter.add(key(n)));

        assert!((1..100_000).all(|n| filter.may_hold(key(n))));
        assert!(
            (100_000..200_000)
                .filter(|n| filter.may_hold(key(*n)))
                .count()
                < 1_000
        );
    }
}
