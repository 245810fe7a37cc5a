//! Decodes stored records again, with no need of their source: after an upgrade, or because the owner asks.

use crate::apple::session::Keychain;
use crate::apple::session::Session;
use crate::base::ids::RowId;
use crate::decode::chatdb::DECODER_VERSION;
use crate::decode::chatdb::Directory;
use crate::decode::chatdb::decode;
use crate::ingest::IngestError;
use crate::ingest::OnProgress;
use crate::ingest::Phase;
use crate::ingest::Progress;
use crate::ingest::cloudkit::Again;
use crate::ingest::cloudkit::again;
use crate::ingest::pipeline;
use crate::ingest::report;
use crate::model::record::SourceKind;
use crate::model::region::Region;
use crate::store::Pace;
use crate::store::Page;
use crate::store::Preparer;
use crate::store::Snapshot;
use crate::store::Store;
use crate::store::StoreError;
use crate::store::Tally;
use crate::store::value::StoredRecord;

/// Records in one batch.
const BATCH: usize = 1_000;

/// Which records to decode again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redecode {
    /// Those that an older decoder made a message of.
    Outdated,
    /// Those of which something could not be decoded.
    Quarantined,
    /// All.
    All,
}

/// Decodes stored records again, those of CloudKit too, and stores what comes out differently. What is sealed is opened
/// with the keys that are imported. Files are left as they are known.
///
/// # Errors
///
/// When the store cannot be read or written.
pub fn redecode(
    store: &Store,
    which: Redecode,
    on_progress: OnProgress<'_>,
) -> Result<Tally, IngestError> {
    let snapshot = store.snapshot()?;
    let directory = directory(&snapshot)?;
    let total = snapshot.message_count()?;
    let writer = store.writer(Pace::IMPORT);
    let mut batches = Batches::new(&snapshot, which)?;
    let mut done = 0;
    let read = || {
        let batch = batches.next()?;
        done += BATCH as u64;
        let progress = Progress {
            phase: Phase::Decoding,
            done: done.min(total),
            total,
        };
        report(on_progress, progress)?;
        Ok(batch)
    };
    let decode_again = |batch: Vec<(StoredRecord, u64)>| {
        let mut preparer = Preparer::default();
        let again = |(stored, fingerprint): (StoredRecord, u64)| {
            preparer.prepare(
                decode(stored.record, fingerprint, &directory),
                DECODER_VERSION,
            )
        };
        let messages = batch.into_iter().map(again).collect::<Result<_, _>>()?;
        Ok(Page {
            messages,
            ..Page::default()
        })
    };
    pipeline::run(read, decode_again, |page| {
        Ok(writer.send(page, SourceKind::ChatDb, DECODER_VERSION)?)
    })?;
    let mut tally = writer.flush()?;
    drop(writer);
    let which = match which {
        Redecode::Outdated => Again::Outdated,
        Redecode::Quarantined => Again::Quarantined,
        Redecode::All => Again::All,
    };
    tally += again(store, which, &keychain(&snapshot)?)?;
    Ok(tally)
}

/// The keys that are imported; none where none are.
fn keychain(snapshot: &Snapshot) -> Result<Keychain, IngestError> {
    let Some(account) = snapshot.cloud_account()? else {
        return Ok(Keychain::default());
    };
    let session = Session::decode(account.session.expose())?;
    Ok(Keychain::read(&session.items))
}

fn directory(snapshot: &Snapshot) -> Result<Directory, StoreError> {
    let region = snapshot
        .meta_text("region")?
        .and_then(|country| Region::parse(&country))
        .unwrap_or_default();
    Ok(Directory { region })
}

/// The records to decode, batch by batch.
struct Batches<'s> {
    snapshot: &'s Snapshot,
    which: Redecode,
    after: RowId,
    quarantined: std::vec::IntoIter<RowId>,
}

impl<'s> Batches<'s> {
    fn new(snapshot: &'s Snapshot, which: Redecode) -> Result<Self, StoreError> {
        let quarantined = match which {
            Redecode::Quarantined => snapshot
                .quarantine()?
                .into_iter()
                .map(|(row, _)| row)
                .collect(),
            Redecode::Outdated | Redecode::All => Vec::new(),
        };
        Ok(Self {
            snapshot,
            which,
            after: RowId(0),
            quarantined: quarantined.into_iter(),
        })
    }

    fn next(&mut self) -> Result<Option<Vec<(StoredRecord, u64)>>, StoreError> {
        let mut batch = Vec::new();
        if self.which == Redecode::Quarantined {
            for row in self.quarantined.by_ref().take(BATCH) {
                let before = RowId(row.0.saturating_sub(1));
                let record = self
                    .snapshot
                    .records_after(before, SourceKind::ChatDb, 1)?
                    .pop();
                batch.extend(
                    record
                        .filter(|(found, ..)| *found == row)
                        .map(|(_, record, print)| (record, print)),
                );
            }
            return Ok((!batch.is_empty()).then_some(batch));
        }
        loop {
            let records = self
                .snapshot
                .records_after(self.after, SourceKind::ChatDb, BATCH)?;
            let Some((last, ..)) = records.last() else {
                return Ok(None);
            };
            self.after = *last;
            let wanted = |decoder| self.which == Redecode::All || decoder < DECODER_VERSION;
            batch.extend(
                records
                    .into_iter()
                    .filter(|(_, r, _)| wanted(r.decoder))
                    .map(|(_, r, print)| (r, print)),
            );
            if !batch.is_empty() {
                return Ok(Some(batch));
            }
        }
    }
}
