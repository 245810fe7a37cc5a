//! Bytes of files that come from CloudKit: content-addressed, in chunks, so that neither a value nor a transaction is
//! large.
//!
//! | state of a file | where it shows | next |
//! |---|---|---|
//! | wanted | `attachments_wanted` | [`Transaction::keep_download`], [`Transaction::hold_file`] |
//! | fetching | a row of `downloads`, chunks under its number | more chunks; the whole; a failure, which keeps them |
//! | held | a row of `blobs` with the same chunks; no row of `downloads` | [`Transaction::evict`]: wanted |
//! | failed | `failures` counts the attempts | wanted again when its time comes, with the chunks that are here |
//! | abandoned | the attachment says why; its chunks stay as long as there is room | [`Transaction::retry_file`]: wanted |
//!
//! Source: design 6; AT-3, AT-6 to AT-8.

use std::collections::BTreeMap;
use std::io;

use crate::base::ids::RowId;
use crate::base::limits::BLOB_CHUNK_BYTES;
use crate::model::attachment::Attachment;
use crate::model::attachment::AttachmentState;
use crate::model::record::CloudRecord;
use crate::store::error::StoreError;
use crate::store::snapshot::Snapshot;
use crate::store::transaction::Transaction;
use crate::store::transaction::find;
use crate::store::transaction::put;
use crate::store::transaction::value;
use crate::store::value::Failure;
use crate::store::value::FailureKind;
use crate::store::value::Opaque;
use crate::store::value::StoredBlob;
use crate::store::value::StoredDownload;
use crate::store::verify::Verification;

/// The field of a file's bytes in its record.
pub(super) const FILE: &str = "lqa";

/// Chunks of a file that follow one another. All but the last of a file have [`BLOB_CHUNK_BYTES`].
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Stretch {
    /// The number of the first; chunks are numbered from 0.
    pub first: u32,
    /// Their bytes.
    pub chunks: Vec<Vec<u8>>,
}

impl Transaction<'_> {
    /// Keeps the beginning of a file that is being fetched: the lengths of all its pieces so far, and the chunks that have
    /// come or grown since the last time. What was kept of another content goes.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], also for a chunk that is too long; [`StoreError::Value`].
    pub fn keep_download(
        &mut self,
        row: RowId,
        signature: &[u8],
        pieces: Vec<u64>,
        stretch: &Stretch,
    ) -> Result<(), StoreError> {
        let mut download = self.download_of(row, signature)?;
        self.put_chunks(download.chunks, stretch)?;
        download.pieces = pieces;
        let table = &mut self.tables.downloads;
        put(table, "downloads", row.0, &download, &mut Vec::new())
    }

    /// Ends a download: the last chunks, and the hash and the size of the whole. Bytes that another file has are kept
    /// once. Answers how many bytes were added to what is held.
    ///
    /// # Errors
    ///
    /// As [`Self::keep_download`].
    pub fn hold_file(
        &mut self,
        row: RowId,
        signature: &[u8],
        (sha256, size_bytes): (&[u8; 32], u64),
        stretch: &Stretch,
    ) -> Result<u64, StoreError> {
        let download = self.download_of(row, signature)?;
        let known: Option<StoredBlob> = find(&self.tables.blobs, "blobs", sha256)?;
        let mut blob = match &known {
            Some(known) => known.clone(),
            None => StoredBlob {
                size_bytes,
                chunks: download.chunks,
                files: Vec::new(),
                stored: self.now,
            },
        };
        if known.is_some() {
            self.remove_chunks(download.chunks)?;
        } else {
            self.put_chunks(download.chunks, stretch)?;
        }
        if !blob.files.contains(&row) {
            blob.files.push(row);
        }
        put(
            &mut self.tables.blobs,
            "blobs",
            sha256,
            &blob,
            &mut Vec::new(),
        )?;
        self.forget_download(row)?;
        let file = Attachment {
            size_bytes: Some(size_bytes),
            state: AttachmentState::Held {
                sha256: *sha256,
                modified: self.now,
            },
            ..self.attachment(row)?.attachment
        };
        self.find_file(row, file)?;
        Ok(if known.is_some() { 0 } else { size_bytes })
    }

    /// Counts an attempt at a file that failed; one that is in vain abandons it at once, and forgets what came of it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn fail_file(
        &mut self,
        row: RowId,
        reason: String,
        is_in_vain: bool,
    ) -> Result<(), StoreError> {
        let held = self.attachment(row)?.attachment;
        if let AttachmentState::Held { .. } = held.state {
            // Found elsewhere meanwhile.
            return Ok(());
        }
        let state = if is_in_vain {
            self.drop_download(row)?;
            AttachmentState::Abandoned { reason }
        } else {
            AttachmentState::Failed { reason }
        };
        self.find_file(row, Attachment { state, ..held })
    }

    /// Forgets what came of a file so far: it is not what it should be.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn drop_download(&mut self, row: RowId) -> Result<(), StoreError> {
        let known: Option<StoredDownload> = find(&self.tables.downloads, "downloads", row.0)?;
        if let Some(known) = known {
            self.remove_chunks(known.chunks)?;
            self.forget_download(row)?;
        }
        Ok(())
    }

    /// Makes a file that failed or was abandoned a wanted one, with all attempts before it. One that only a Mac has is
    /// looked for by the next import. Says whether it was one.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`], [`StoreError::Dangling`].
    pub fn retry_file(&mut self, row: RowId) -> Result<bool, StoreError> {
        let held = self.attachment(row)?.attachment;
        let is_over = matches!(
            held.state,
            AttachmentState::Failed { .. } | AttachmentState::Abandoned { .. }
        );
        if !is_over {
            return Ok(false);
        }
        let key = (FailureKind::Attachment.number(), row.0);
        let removed = self.tables.failures.remove(key);
        drop(removed.map_err(|error| StoreError::from_redb("writing to", error))?);
        if self.is_in_cloud(row)? {
            self.want(row, held)?;
            return Ok(true);
        }
        if let AttachmentState::Abandoned { reason } = held.state {
            let state = AttachmentState::Failed { reason };
            let owner = self.attachment(row)?.message;
            if self.put_attachment(row, owner, Attachment { state, ..held })? {
                self.note_file_change(owner)?;
            }
        }
        Ok(true)
    }

    /// Removes bytes that can be fetched again; their files are wanted. Answers how many bytes went.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`], [`StoreError::Dangling`].
    pub fn evict(&mut self, sha256: &[u8; 32]) -> Result<u64, StoreError> {
        let blob: Option<StoredBlob> = find(&self.tables.blobs, "blobs", sha256)?;
        let Some(blob) = blob else {
            return Ok(0);
        };
        self.remove_chunks(blob.chunks)?;
        let removed = self.tables.blobs.remove(sha256);
        drop(removed.map_err(|error| StoreError::from_redb("writing to", error))?);
        for row in blob.files {
            let file = self.attachment(row)?.attachment;
            let is_it =
                matches!(&file.state, AttachmentState::Held { sha256: held, .. } if held == sha256);
            if is_it {
                self.want(row, file)?;
            }
        }
        Ok(blob.size_bytes)
    }

    fn want(&mut self, row: RowId, file: Attachment) -> Result<(), StoreError> {
        let owner = self.attachment(row)?.message;
        let wanted = Attachment {
            state: AttachmentState::Wanted,
            ..file
        };
        if self.put_attachment(row, owner, wanted)? {
            self.note_file_change(owner)?;
        }
        Ok(())
    }

    /// The download of a file, a new one where there is none of this content.
    fn download_of(&mut self, row: RowId, signature: &[u8]) -> Result<StoredDownload, StoreError> {
        let known: Option<StoredDownload> = find(&self.tables.downloads, "downloads", row.0)?;
        if let Some(known) = known {
            if known.signature.0 == signature {
                return Ok(known);
            }
            self.remove_chunks(known.chunks)?;
        }
        Ok(StoredDownload {
            signature: Opaque(signature.to_vec()),
            chunks: self.new_row(),
            pieces: Vec::new(),
            begun: self.now,
        })
    }

    fn forget_download(&mut self, row: RowId) -> Result<(), StoreError> {
        let removed = self.tables.downloads.remove(row.0);
        removed
            .map(drop)
            .map_err(|error| StoreError::from_redb("writing to", error))
    }

    fn put_chunks(&mut self, number: RowId, stretch: &Stretch) -> Result<(), StoreError> {
        for (n, bytes) in (stretch.first..).zip(&stretch.chunks) {
            if bytes.len() > BLOB_CHUNK_BYTES {
                let source = io::ErrorKind::InvalidInput.into();
                return Err(StoreError::io("writing too long a chunk to", source));
            }
            let table = &mut self.tables.blob_chunks;
            let written = table.insert((number.0, n), bytes.as_slice());
            drop(written.map_err(|error| StoreError::from_redb("writing to", error))?);
        }
        Ok(())
    }

    fn remove_chunks(&mut self, number: RowId) -> Result<(), StoreError> {
        let table = &mut self.tables.blob_chunks;
        let of_it = (number.0, 0)..=(number.0, u32::MAX);
        table
            .retain_in(of_it, |_, _| false)
            .map_err(|error| StoreError::from_redb("writing to", error))
    }
}

impl Snapshot {
    /// Bytes that are held, by their hash.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn blob(&self, sha256: &[u8; 32]) -> Result<Option<StoredBlob>, StoreError> {
        find(self.tables.blobs()?, "blobs", sha256)
    }

    /// All bytes that are held, by their hashes.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn blobs(&self) -> Result<Vec<([u8; 32], StoredBlob)>, StoreError> {
        use redb::ReadableTable;

        let failed = |error| StoreError::from_redb("reading", error);
        let mut found = Vec::new();
        for entry in self.tables.blobs()?.iter().map_err(failed)? {
            let (sha256, bytes) = entry.map_err(failed)?;
            found.push((*sha256.value(), value("blobs", bytes.value())?));
        }
        Ok(found)
    }

    /// A chunk of the bytes with a number: of a blob, or of a download.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn blob_chunk(&self, number: RowId, n: u32) -> Result<Option<Vec<u8>>, StoreError> {
        let chunk = self.tables.blob_chunks()?.get((number.0, n));
        let chunk = chunk.map_err(|error| StoreError::from_redb("reading", error))?;
        Ok(chunk.map(|chunk| chunk.value().to_vec()))
    }

    /// What is here of a file that is being fetched.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn download(&self, row: RowId) -> Result<Option<StoredDownload>, StoreError> {
        find(self.tables.downloads()?, "downloads", row.0)
    }

    /// How much is here of each file that is not whole, bytes.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn download_sizes(&self) -> Result<BTreeMap<RowId, u64>, StoreError> {
        use redb::ReadableTable;

        let failed = |error| StoreError::from_redb("reading", error);
        let mut found = BTreeMap::new();
        for entry in self.tables.downloads()?.iter().map_err(failed)? {
            let (row, bytes) = entry.map_err(failed)?;
            let download: StoredDownload = value("downloads", bytes.value())?;
            found.insert(RowId(row.value()), download.size_bytes());
        }
        Ok(found)
    }

    /// The record by which a file can be fetched from CloudKit.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn file_record(&self, row: RowId) -> Result<Option<CloudRecord>, StoreError> {
        let records = self.cloud_records(row)?.into_iter();
        let mut there = records.filter(|held| held.deleted.is_none());
        Ok(there
            .find(|held| held.record.asset(FILE).is_some())
            .map(|held| held.record))
    }

    /// How often a file could not be had, and when last.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn file_failure(&self, row: RowId) -> Result<Option<Failure>, StoreError> {
        let key = (FailureKind::Attachment.number(), row.0);
        find(self.tables.failures()?, "failures", key)
    }

    /// Files that are looked for again and that arrived before one of them, the last first, at most some of them.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn wanted_before(
        &self,
        before: Option<RowId>,
        limit: usize,
    ) -> Result<Vec<RowId>, StoreError> {
        let failed = |error| StoreError::from_redb("reading", error);
        let end = before.map_or(u64::MAX, |row| row.0);
        let rows = self.tables.wanted()?.range::<u64>(..end).map_err(failed)?;
        let mut found = Vec::new();
        for entry in rows.rev().take(limit) {
            found.push(RowId(entry.map_err(failed)?.0.value()));
        }
        Ok(found)
    }
}

impl Verification<'_> {
    /// Bytes of files: of each every chunk and no other, and every file knows them.
    pub(super) fn media(&mut self) -> Result<(), StoreError> {
        use redb::ReadableTable;

        let failed = |error| StoreError::from_redb("reading", error);
        let tables = &self.snapshot.tables;
        let mut sizes: BTreeMap<u64, u64> = BTreeMap::new();
        for entry in tables.blob_chunks()?.iter().map_err(failed)? {
            let (key, bytes) = entry.map_err(failed)?;
            *sizes.entry(key.value().0).or_default() += bytes.value().len() as u64;
        }
        for entry in tables.blobs()?.iter().map_err(failed)? {
            let (sha256, bytes) = entry.map_err(failed)?;
            let name = sha256.value().escape_ascii().to_string();
            let Some(blob) = self.decode::<StoredBlob>("blobs", &name, bytes.value()) else {
                continue;
            };
            if sizes.remove(&blob.chunks.0).unwrap_or_default() != blob.size_bytes {
                self.find("blobs", &name, "its chunks do not make its size");
            }
            for row in blob.files {
                if tables.attachments()?.get(row.0).map_err(failed)?.is_none() {
                    self.find("blobs", &name, "one of its files is missing");
                }
            }
        }
        for entry in tables.downloads()?.iter().map_err(failed)? {
            let (row, bytes) = entry.map_err(failed)?;
            let row = row.value();
            let Some(download) = self.decode::<StoredDownload>("downloads", row, bytes.value())
            else {
                continue;
            };
            if sizes.remove(&download.chunks.0).unwrap_or_default() != download.size_bytes() {
                self.find("downloads", row, "its chunks do not make its pieces");
            }
            if tables.attachments()?.get(row).map_err(failed)?.is_none() {
                self.find("downloads", row, "its attachment is missing");
            }
        }
        for number in sizes.into_keys() {
            self.find("blob_chunks", number, "they belong to nothing");
        }
        Ok(())
    }
}
