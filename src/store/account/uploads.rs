//! Files that clients uploaded: in chunks, so that neither a value nor a transaction is large.

use std::io;

use crate::base::limits::UPLOAD_CHUNK_BYTES;
use crate::store::account::reading;
use crate::store::account::rows_from;
use crate::store::account::writing;
use crate::store::error::StoreError;
use crate::store::snapshot::Snapshot;
use crate::store::transaction::Transaction;
use crate::store::transaction::find;
use crate::store::transaction::put;
use crate::store::value::Upload;

impl Transaction<'_> {
    /// Writes what is known of an upload: when it begins, with `completed` empty, and once all chunks are there.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn put_upload(&mut self, id: &str, upload: &Upload) -> Result<(), StoreError> {
        let table = &mut self.tables.account.uploads;
        put(table, "uploads", id, upload, &mut Vec::new())
    }

    /// What is known of an upload.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn upload(&self, id: &str) -> Result<Option<Upload>, StoreError> {
        find(&self.tables.account.uploads, "uploads", id)
    }

    /// Writes a chunk of an upload: of [`UPLOAD_CHUNK_BYTES`], the last one of what is left. Chunks are numbered from 0.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], also for a chunk that is longer.
    pub fn put_upload_chunk(&mut self, id: &str, n: u32, bytes: &[u8]) -> Result<(), StoreError> {
        if bytes.len() > UPLOAD_CHUNK_BYTES {
            let source = io::ErrorKind::InvalidInput.into();
            return Err(StoreError::io("writing too long a chunk to", source));
        }
        let table = &mut self.tables.account.upload_chunks;
        table.insert((id, n), bytes).map_err(writing).map(drop)
    }

    /// Removes an upload and its chunks.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn remove_upload(&mut self, id: &str) -> Result<(), StoreError> {
        use redb::ReadableTable;

        let tables = &mut self.tables.account;
        tables.uploads.remove(id).map_err(writing)?;
        let mut chunks = Vec::new();
        let held = tables.upload_chunks.range((id, 0)..=(id, u32::MAX));
        for entry in held.map_err(reading)? {
            chunks.push(entry.map_err(reading)?.0.value().1);
        }
        for n in chunks {
            tables.upload_chunks.remove((id, n)).map_err(writing)?;
        }
        Ok(())
    }
}

impl Snapshot {
    /// What is known of an upload.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn upload(&self, id: &str) -> Result<Option<Upload>, StoreError> {
        find(self.tables.uploads()?, "uploads", id)
    }

    /// A chunk of an upload.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn upload_chunk(&self, id: &str, n: u32) -> Result<Option<Vec<u8>>, StoreError> {
        let bytes = self.tables.upload_chunks()?.get((id, n)).map_err(reading)?;
        Ok(bytes.map(|bytes| bytes.value().to_vec()))
    }

    /// Every upload, by id.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn uploads(&self) -> Result<Vec<(String, Upload)>, StoreError> {
        let table = self.tables.uploads()?;
        rows_from(table, "uploads", "", |id| Some(id.to_owned()))
    }
}
