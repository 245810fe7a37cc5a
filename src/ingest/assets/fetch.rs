//! One file: its pieces as they come, in chunks of the store's size, hashed on the way.

use std::sync::Arc;

use sha2::Digest;
use sha2::Sha256;
use tokio::sync::Semaphore;

use crate::apple::asset::FileHash;
use crate::apple::asset::Signed;
use crate::base::ids::RowId;
use crate::base::limits::ATTACHMENT_BUDGET_BYTES;
use crate::base::limits::ATTACHMENT_COMMIT_BYTES;
use crate::base::limits::BLOB_CHUNK_BYTES;
use crate::ingest::IngestError;
use crate::ingest::threads::off_thread;
use crate::source::cloudkit::Cloud;
use crate::source::cloudkit::Download;
use crate::source::cloudkit::DownloadError;
use crate::source::cloudkit::DownloadReaction;
use crate::source::cloudkit::FileRequest;
use crate::store::Store;
use crate::store::StoreError;
use crate::store::Stretch;
use crate::store::Writer;

/// Chunks that are read and hashed before others get their turn, and before a stop is heard.
const CHUNKS_AT_ONCE: usize = 8;

/// Bytes that one permit of the budget stands for.
const PERMIT_BYTES: u64 = 64 << 10;

/// A file that is to be fetched.
pub(super) struct Job {
    pub(super) row: RowId,
    /// Bytes for which there is room; as the record says.
    pub(super) size_bytes: u64,
    pub(super) request: FileRequest,
    /// Whether the server has answered about it: else what goes wrong with asking is not its fault.
    pub(super) is_known: bool,
}

/// What came of a file.
pub(super) enum End {
    /// It is held: its hash, and the bytes that were not held before.
    Held([u8; 32], u64),
    /// It did not come. Whether it never will.
    Failed { reason: String, is_in_vain: bool },
    /// iCloud cannot be asked now.
    Offline(DownloadError),
}

/// How much may be fetched at once.
pub(super) fn budget() -> Semaphore {
    Semaphore::new(permits(ATTACHMENT_BUDGET_BYTES) as usize)
}

/// Permits for a file; all of them for a large one.
fn permits(size_bytes: u64) -> u32 {
    let size = size_bytes.clamp(1, ATTACHMENT_BUDGET_BYTES);
    u32::try_from(size.div_ceil(PERMIT_BYTES)).unwrap_or(u32::MAX)
}

/// Fetches a file, on behind what is held of it, and stores it. `budget` is waited for first.
///
/// # Errors
///
/// What the store refuses.
pub(super) async fn fetch<C: Cloud>(
    cloud: Arc<C>,
    (store, writer): (Store, Arc<Writer>),
    budget: Option<Arc<Semaphore>>,
    job: Job,
) -> Result<End, IngestError> {
    let permit = match &budget {
        Some(budget) => budget.acquire_many(permits(job.size_bytes)).await.ok(),
        None => None,
    };
    let mut request = job.request;
    let is_sealed = request.asset.sealed_key.is_some();
    let signature = request.asset.signature.clone();
    let mut file = Gathering::of(store, job.row, signature.clone()).await?;
    request.held = file.lengths();
    let mut download = cloud.download(request);
    let error = loop {
        match download.next().await {
            Ok(Some(chunk)) => file.push(&chunk.bytes),
            Ok(None) if file.is_right(&signature) => {
                let end = file.end();
                let hash = end.hash;
                let added = writer.apply(move |tx| {
                    tx.hold_file(job.row, &signature, (&end.hash, end.size_bytes), &end.rest)
                });
                let added = added.await?;
                drop(permit);
                return Ok(End::Held(hash, added));
            }
            Ok(None) => {
                // Some of it is of another time: it is fetched again from the beginning.
                writer.apply(move |tx| tx.drop_download(job.row)).await?;
                return Ok(End::Failed {
                    reason: DownloadError::Signature.to_string(),
                    is_in_vain: false,
                });
            }
            Err(error) => break error,
        }
        if file.new_bytes >= ATTACHMENT_COMMIT_BYTES {
            file.store(&writer, job.row, &signature).await?;
        }
    };
    if file.new_bytes > 0 {
        file.store(&writer, job.row, &signature).await?;
    }
    if is_sealed && error.reaction() == DownloadReaction::Keys {
        // Another attempt gives the same (AT-10).
        return Ok(End::Failed {
            reason: chain(&error),
            is_in_vain: true,
        });
    }
    Ok(judge(error, job.is_known))
}

/// What follows from an error.
fn judge(error: DownloadError, is_known: bool) -> End {
    let is_in_vain = match (&error, error.reaction()) {
        (DownloadError::Ask(_), DownloadReaction::Again(_)) if !is_known => {
            return End::Offline(error);
        }
        (_, DownloadReaction::Authenticate) => return End::Offline(error),
        // A key blob that does not open may have been damaged on the way.
        (_, DownloadReaction::Again(_) | DownloadReaction::Keys) => false,
        (_, DownloadReaction::Permanent) => true,
    };
    End::Failed {
        reason: chain(&error),
        is_in_vain,
    }
}

/// An error with its causes, as an attachment says why it is not there.
fn chain(error: &DownloadError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}

/// A file that is coming in.
struct Gathering {
    hash: Sha256,
    /// Of a file that goes on where it stopped before: the download itself sees the rest alone.
    signed: Option<FileHash>,
    size_bytes: u64,
    pieces: Vec<u64>,
    /// Full chunks that are not stored yet, and the last one, which grows.
    stretch: Stretch,
    /// Bytes that are not stored yet.
    new_bytes: usize,
}

/// A file that is whole.
struct Whole {
    hash: [u8; 32],
    size_bytes: u64,
    rest: Stretch,
}

impl Gathering {
    /// With what is held of it, read and hashed again. Of another content nothing is.
    async fn of(store: Store, row: RowId, signature: Vec<u8>) -> Result<Self, IngestError> {
        let mut file = Self {
            hash: Sha256::new(),
            signed: None,
            size_bytes: 0,
            pieces: Vec::new(),
            stretch: Stretch::default(),
            new_bytes: 0,
        };
        let known = store.snapshot()?.download(row)?;
        let Some(known) = known.filter(|it| it.signature.0 == signature) else {
            return Ok(file);
        };
        file.signed = Some(FileHash::new(&signature));
        let size_bytes = known.size_bytes();
        let mut is_through = size_bytes == 0;
        while !is_through {
            let (store, number) = (store.clone(), known.chunks);
            let taken = off_thread(move || {
                let is_through = file.take_held(&store, number, size_bytes)?;
                Ok::<_, StoreError>((file, is_through))
            });
            (file, is_through) = taken.await??;
        }
        file.pieces = known.pieces;
        Ok(file)
    }

    /// Takes some of the chunks that are held. Says whether these were the last ones.
    fn take_held(
        &mut self,
        store: &Store,
        number: RowId,
        size_bytes: u64,
    ) -> Result<bool, StoreError> {
        for _ in 0..CHUNKS_AT_ONCE {
            // Each chunk has a snapshot of its own: old pages are let go of soon.
            let chunk = store.snapshot()?.blob_chunk(number, self.stretch.first)?;
            let chunk = chunk.filter(|chunk| !chunk.is_empty());
            let chunk = chunk.ok_or(StoreError::Dangling {
                table: "blob_chunks",
                row: number.0,
            })?;
            self.take(&chunk);
            if chunk.len() < BLOB_CHUNK_BYTES {
                // The last one grows.
                self.stretch.chunks = vec![chunk];
                return Ok(true);
            }
            self.stretch.first += 1;
            if self.size_bytes >= size_bytes {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Lengths of the pieces that are here.
    fn lengths(&self) -> Vec<usize> {
        let lengths = self.pieces.iter();
        lengths
            .map(|length| usize::try_from(*length).unwrap_or(usize::MAX))
            .collect()
    }

    fn take(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        if let Some(signed) = &mut self.signed {
            signed.update(bytes);
        }
        self.size_bytes += bytes.len() as u64;
    }

    /// The next piece.
    fn push(&mut self, piece: &[u8]) {
        self.take(piece);
        self.pieces.push(piece.len() as u64);
        self.new_bytes += piece.len();
        let mut rest = piece;
        while !rest.is_empty() {
            let chunks = &mut self.stretch.chunks;
            match chunks.last_mut() {
                Some(last) if last.len() < BLOB_CHUNK_BYTES => {
                    let room = rest.len().min(BLOB_CHUNK_BYTES - last.len());
                    let (now, later) = rest.split_at(room);
                    last.extend_from_slice(now);
                    rest = later;
                }
                Some(_) | None => chunks.push(Vec::with_capacity(rest.len().min(BLOB_CHUNK_BYTES))),
            }
        }
    }

    /// Stores what is new, and keeps the last chunk if it can still grow.
    async fn store(
        &mut self,
        writer: &Writer,
        row: RowId,
        signature: &[u8],
    ) -> Result<(), StoreError> {
        let mut chunks = std::mem::take(&mut self.stretch.chunks);
        let first = self.stretch.first;
        let growing = chunks.last().filter(|last| last.len() < BLOB_CHUNK_BYTES);
        let growing = growing.cloned();
        let full = chunks.len() - usize::from(growing.is_some());
        self.stretch.first += u32::try_from(full).unwrap_or(u32::MAX);
        self.stretch.chunks.extend(growing);
        self.new_bytes = 0;
        let stretch = Stretch {
            first,
            chunks: std::mem::take(&mut chunks),
        };
        let (signature, pieces) = (signature.to_vec(), self.pieces.clone());
        let kept = writer.apply(move |tx| tx.keep_download(row, &signature, pieces, &stretch));
        kept.await
    }

    /// Whether the whole is what was meant, as far as that is not known already.
    fn is_right(&mut self, signature: &[u8]) -> bool {
        let signed = self.signed.take().map(|hash| hash.finish(signature, None));
        signed != Some(Signed::Differs)
    }

    fn end(&mut self) -> Whole {
        Whole {
            hash: std::mem::take(&mut self.hash).finalize().into(),
            size_bytes: self.size_bytes,
            rest: std::mem::take(&mut self.stretch),
        }
    }
}
