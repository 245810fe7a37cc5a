//! What is known by heart of an archive that was empty when it was opened: that most of what comes is not held.
//!
//! An import asks of every message whether its GUID is held, of a record of CloudKit whether its name is, of a message of
//! CloudKit whether files wait for it. The answer is nearly always no, and the way to it leads through an index in no
//! order, whose pages would be read, forgotten and read again.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;

use crate::base::ids::Guid;
use crate::base::ids::RecordName;
use crate::model::record::CloudZone;
use crate::store::guid::GuidKey;

/// Bits of a filter: 4 MiB. A million keys leave one wrong answer in a thousand, ten million one in five.
const FILTER_BITS: usize = 1 << 25;

/// Filters over everything that an archive holds.
#[derive(Default)]
pub(super) struct Filters {
    /// GUIDs of messages.
    guids: Filter,
    /// GUIDs of messages that files name.
    files: Filter,
    /// Names of records.
    names: Filter,
}

impl Filters {
    /// Whether a message may have a GUID.
    pub(super) fn may_hold(&self, guid: &Guid) -> bool {
        self.guids.may_hold(GuidKey::of(guid).0)
    }

    /// Takes up the GUID of a message.
    pub(super) fn add(&mut self, guid: &Guid) {
        self.guids.add(GuidKey::of(guid).0);
    }

    /// Whether the GUID of a file may name a message.
    pub(super) fn may_have_files(&self, message: &Guid) -> bool {
        self.files.may_hold(GuidKey::of(message).0)
    }

    /// Takes up a message that the GUID of a file names.
    pub(super) fn add_file_of(&mut self, message: &Guid) {
        self.files.add(GuidKey::of(message).0);
    }

    /// Whether a record may have a name.
    pub(super) fn may_be_named(&self, zone: CloudZone, name: &RecordName) -> bool {
        self.names.may_hold(name_key(zone, name))
    }

    /// Takes up the name of a record.
    pub(super) fn add_name(&mut self, zone: CloudZone, name: &RecordName) {
        self.names.add(name_key(zone, name));
    }
}

/// Names are not random in every byte, hashes are.
fn name_key(zone: CloudZone, name: &RecordName) -> [u8; 16] {
    let hash =
        |seed| u128::from(FixedState::with_seed(seed).hash_one((zone.number(), name.as_str())));
    (hash(0) | hash(1) << 64).to_le_bytes()
}

/// Says of most keys that are not held that they are not.
///
/// A Bloom filter of fixed size: three bits of [`FILTER_BITS`] for each key. It can take a new one for a held one, never
/// the other way round. Keys are random, so that their own bits serve as hashes.
#[derive(Default)]
struct Filter(
    /// Empty until there is a key.
    Vec<u64>,
);

impl Filter {
    fn add(&mut self, key: [u8; 16]) {
        if self.0.is_empty() {
            self.0 = vec![0; FILTER_BITS / 64];
        }
        for place in places(key) {
            if let Some(word) = self.0.get_mut(place / 64) {
                *word |= 1 << (place % 64);
            }
        }
    }

    fn may_hold(&self, key: [u8; 16]) -> bool {
        places(key).iter().all(|place| {
            self.0
                .get(place / 64)
                .is_some_and(|word| word & (1 << (place % 64)) != 0)
        })
    }
}

/// The three places of a key, cut from where a UUID has random bits: bytes 6 and 8 hold its version and variant.
fn places(key: [u8; 16]) -> [usize; 3] {
    let bits = u128::from_le_bytes(key);
    [0, 72, 100]
        .map(|from| usize::try_from((bits >> from) % FILTER_BITS as u128).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::Filter;
    use super::name_key;
    use crate::base::ids::RecordName;
    use crate::model::record::CloudZone;

    /// A multiplier whose products are well spread stands in for randomness.
    fn guid(n: u128) -> [u8; 16] {
        (n.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)).to_le_bytes()
    }

    fn name(n: u128) -> [u8; 16] {
        let name = RecordName::parse(&format!("record-{n}")).unwrap();
        name_key(CloudZone::Messages, &name)
    }

    #[test]
    fn a_filter_forgets_none_and_takes_few_for_held() {
        for key in [guid, name] {
            let mut filter = Filter::default();
            assert!(!filter.may_hold(key(1)));

            (1..100_000).for_each(|n| filter.add(key(n)));

            assert!((1..100_000).all(|n| filter.may_hold(key(n))));
            let wrong = (100_000..200_000).filter(|n| filter.may_hold(key(*n)));
            assert!(wrong.count() < 1_000);
        }
    }
}
