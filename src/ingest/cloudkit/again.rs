//! What is held, once more: records that no key opened, when other keys are held; every record, when the decoder is another.
//! Nothing is fetched for it.

use bytes::Bytes;

use crate::apple::session::Keychain;
use crate::apple::zone::ZoneKeys;
use crate::base::ids::RecordName;
use crate::codec::cloudkit::Zone;
use crate::decode::cloudkit::DECODER_VERSION;
use crate::ingest::IngestError;
use crate::ingest::cloudkit::feed::Feed;
use crate::ingest::cloudkit::open::Opened;
use crate::model::record::CloudZone;
use crate::model::record::SourceKind;
use crate::store::Pace;
use crate::store::Page;
use crate::store::Store;
use crate::store::Tally;
use crate::store::Writer;
use crate::store::cloud::CloudContent;
use crate::store::cloud::ZoneStep;
use crate::store::value::StoredCloudRecord;

/// Records that are read and stored at once.
const BATCH: usize = 500;

/// Which records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// Those of which something is sealed.
    Sealed,
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
    for zone in CloudZone::ALL {
        let state = snapshot.zone(zone)?;
        let keys = state
            .protection
            .as_ref()
            .and_then(|zone| keys_of(&zone.0, keychain));
        let mut opener = feed.opener(zone, keys);
        let mut after: Option<RecordName> = None;
        loop {
            let records = snapshot.cloud_records_after(zone, after.as_ref(), BATCH)?;
            let Some((_, last, _)) = records.last() else {
                break;
            };
            after = Some(last.clone());
            let mut opened = Opened::default();
            for (_, name, held) in records {
                if !is_wanted(&held, which) {
                    continue;
                }
                match held.raw {
                    Some(raw) => opener.open_one(&Bytes::from(raw.0), &mut opened)?,
                    None => opener.decode(name, held.record, None, &mut opened)?,
                }
            }
            opened.items.retain(|item| is_open(&item.content));
            if !opened.items.is_empty() {
                send(&writer, feed.page(zone, opened, ZoneStep::Stay))?;
            }
        }
    }
    Ok(writer.flush()?)
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
    held.deleted.is_none()
        && is_known
        && match which {
            Again::Sealed => held.raw.is_some(),
            Again::Outdated => held.raw.is_some() || held.decoder != DECODER_VERSION,
            Again::All => true,
        }
}

/// Whether more is known of it than that it cannot be opened.
fn is_open(content: &CloudContent) -> bool {
    match content {
        CloudContent::MissingKey { .. } | CloudContent::Unreadable { .. } => false,
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
