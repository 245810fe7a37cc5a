//! What is held, once more: records that no key opened, when other keys are held; every record, when the decoder is another.
//! Nothing is fetched for it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use bytes::Bytes;

use crate::apple::session::Keychain;
use crate::apple::zone::ZoneKeys;
use crate::base::ids::RecordName;
use crate::base::ids::RowId;
use crate::codec::cloudkit::Zone;
use crate::decode::cloudkit::DECODER_VERSION;
use crate::ingest::IngestError;
use crate::ingest::cloudkit::feed::Feed;
use crate::ingest::cloudkit::open::Opened;
use crate::ingest::cloudkit::open::Opener;
use crate::model::record::CloudZone;
use crate::model::record::SourceKind;
use crate::store::Pace;
use crate::store::Page;
use crate::store::Snapshot;
use crate::store::Store;
use crate::store::Tally;
use crate::store::Writer;
use crate::store::cloud::CloudContent;
use crate::store::cloud::CloudPlace;
use crate::store::cloud::ZoneStep;
use crate::store::value::Became;
use crate::store::value::StoredCloudRecord;

/// Records that are read and stored at once.
const BATCH: usize = 500;

/// Which records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// Those of which something is sealed: another key may open it. What this version of the decoder could not read at all
    /// it will not read now.
    Sealed,
    /// Those, and what could not be read.
    Quarantined,
    /// Those that another version of the decoder read.
    Outdated,
    /// All.
    All,
}

/// Opens what is sealed with the keys that are held now, and decodes records again. What is as it was changes nothing.
///
/// # Errors
///
/// When the store cannot be read or written.
pub fn again(store: &Store, which: Again, keychain: &Keychain) -> Result<Tally, IngestError> {
    let snapshot = store.snapshot()?;
    let mut feed = Feed::new(&snapshot, &[], None)?;
    let writer = store.writer(Pace::IMPORT);
    let mut openers: BTreeMap<CloudZone, Opener> = BTreeMap::new();
    let mut records = Records::new(&snapshot, which)?;
    let mut has_opened = false;
    while let Some(batch) = records.next()? {
        for run in batch.chunk_by(|a, b| a.record.zone == b.record.zone) {
            let name = run.first().map(|held| held.record.zone.as_str());
            let Some(zone) = CloudZone::ALL
                .into_iter()
                .find(|it| Some(it.name()) == name)
            else {
                continue;
            };
            let opener = match openers.entry(zone) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => {
                    let state = snapshot.zone(zone)?.protection;
                    let keys = state.and_then(|zone| keys_of(&zone.0, keychain));
                    new.insert(feed.opener(zone, keys))
                }
            };
            let mut found = Opened::default();
            for held in run.iter().filter(|held| is_wanted(held, which)) {
                let name = RecordName::parse(&held.record.name);
                match (&held.raw, name) {
                    (Some(raw), _) => opener.open_one(&Bytes::from(raw.0.clone()), &mut found)?,
                    (None, Some(name)) => {
                        opener.decode(name, held.record.clone(), None, &mut found)?;
                    }
                    (None, None) => continue,
                }
                found
                    .items
                    .pop_if(|item| !says_more(&item.content, held.became));
            }
            if !found.items.is_empty() {
                has_opened = true;
                send(&writer, feed.page(zone, found, ZoneStep::Stay))?;
            }
        }
    }
    if has_opened {
        // Clients see it now, and not only when another pass has ended.
        send(&writer, Page::default())?;
    }
    Ok(writer.flush()?)
}

/// Records in the order in which they arrived, batch by batch.
enum Records<'s> {
    /// Those in quarantine.
    Listed(&'s Snapshot, std::vec::IntoIter<RowId>),
    /// All behind a place.
    Behind(&'s Snapshot, CloudPlace),
}

impl<'s> Records<'s> {
    fn new(snapshot: &'s Snapshot, which: Again) -> Result<Self, IngestError> {
        Ok(match which {
            Again::Sealed | Again::Quarantined => {
                let listed = snapshot.quarantine()?.into_iter();
                let ids: Vec<RowId> = listed.map(|(id, _)| id).collect();
                Self::Listed(snapshot, ids.into_iter())
            }
            Again::Outdated | Again::All => Self::Behind(snapshot, CloudPlace::default()),
        })
    }

    fn next(&mut self) -> Result<Option<Vec<StoredCloudRecord>>, IngestError> {
        let mut batch = Vec::new();
        match self {
            Self::Listed(snapshot, ids) => {
                if ids.as_slice().is_empty() {
                    return Ok(None);
                }
                for id in ids.by_ref().take(BATCH) {
                    batch.extend(snapshot.cloud_record(id)?);
                }
            }
            Self::Behind(snapshot, place) => {
                for (next, record) in snapshot.cloud_records_behind(*place, BATCH)? {
                    *place = next;
                    batch.push(record);
                }
                if batch.is_empty() {
                    return Ok(None);
                }
            }
        }
        Ok(Some(batch))
    }
}

/// The keys of a zone as the server described it, if one of ours opens them.
pub(super) fn keys_of(zone: &[u8], keychain: &Keychain) -> Option<ZoneKeys> {
    let zone = Zone::read(zone).ok()?;
    match ZoneKeys::open(&zone, keychain.keys()) {
        Ok(keys) => Some(keys),
        Err(error) => {
            tracing::warn!(%error, "no imported key opened a zone");
            None
        }
    }
}

fn is_wanted(held: &StoredCloudRecord, which: Again) -> bool {
    let is_known = held.raw.is_some() || !held.record.fields.is_empty();
    is_known
        && match which {
            Again::Sealed => {
                held.raw.is_some()
                    && (held.became != Became::Unreadable || held.decoder != DECODER_VERSION)
            }
            Again::Quarantined => held.raw.is_some(),
            Again::Outdated => held.raw.is_some() || held.decoder != DECODER_VERSION,
            Again::All => true,
        }
}

/// Whether what came out is worth to be kept: more than that it cannot be opened, or for what could not be before, why.
fn says_more(content: &CloudContent, before: Became) -> bool {
    match content {
        CloudContent::MissingKey { .. } => before == Became::MissingKey,
        CloudContent::Unreadable { .. } => before == Became::Unreadable,
        CloudContent::Message { .. }
        | CloudContent::Chat { .. }
        | CloudContent::File { .. }
        | CloudContent::Foreign(_)
        | CloudContent::Deleted => true,
    }
}

/// Hands a page on.
pub(super) fn send(writer: &Writer, page: Page) -> Result<(), IngestError> {
    Ok(writer.send(page, SourceKind::CloudKit, DECODER_VERSION)?)
}
