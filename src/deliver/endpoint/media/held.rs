//! A file that is here: opened where the source keeps it, or in chunks in the store.

use std::fs::File;
use std::fs::Metadata;
use std::io;
use std::io::Read;
use std::sync::Arc;

use image::ImageError;
use jiff::Timestamp;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::base::ids::RowId;
use crate::base::limits::ATTACHMENT_ASKED_WAIT;
use crate::base::limits::BLOB_CHUNK_BYTES;
use crate::base::limits::IMAGE_FILE_BYTES;
use crate::base::limits::OWN_THUMBNAIL_BYTES;
use crate::base::limits::UPLOAD_CHUNK_BYTES;
use crate::base::time::AppleTime;
use crate::deliver::endpoint::Endpoint;
use crate::deliver::endpoint::call::Call;
use crate::deliver::endpoint::error::Code;
use crate::deliver::endpoint::error::MatrixError;
use crate::deliver::endpoint::media::kind::ContentType;
use crate::deliver::endpoint::media::thumbnail;
use crate::deliver::endpoint::media::thumbnail::Size;
use crate::deliver::endpoint::media::thumbnail::Thumbnail;
use crate::model::attachment::Attachment;
use crate::model::attachment::AttachmentState;
use crate::net::BoxFuture;
use crate::net::ETag;
use crate::net::FileSource;
use crate::net::RangeSource;
use crate::store::Store;
use crate::store::StoreError;
use crate::store::value::StoredBlob;
use crate::store::value::Upload;

/// Opens the files of attachments, where the archive's source keeps them.
pub trait MediaFiles: Send + Sync + 'static {
    /// An attachment's file, for reading. `None` when it is not there, is no regular file, or lies outside of the
    /// source's folders, whatever path the source names and wherever links lead.
    fn open(&self, attachment: &Attachment) -> Option<File>;

    /// Brings a file that is elsewhere into the store, ahead of all others, and says whether it came. By default nothing
    /// is elsewhere.
    ///
    /// # Cancel safety
    /// What was begun may go on.
    fn fetch(&self, _row: RowId) -> BoxFuture<'_, bool> {
        Box::pin(std::future::ready(false))
    }
}

/// A file that is here.
pub(super) struct Held {
    pub(super) source: Arc<dyn RangeSource>,
    pub(super) etag: ETag,
    /// The name to show.
    pub(super) name: Option<String>,
    /// Its type, as whoever brought it says.
    pub(super) mime: Option<String>,
}

impl Endpoint {
    /// The file that a media id stands for.
    pub(super) fn held(&self, server: &str, id: &str) -> Result<Held, MatrixError> {
        let missing = || MatrixError::not_found("there is no such file here");
        if server != self.settings.account.server().as_str() {
            return Err(missing());
        }
        let snapshot = self.store.snapshot()?;
        if let Some(upload) = snapshot.upload(id)? {
            let to_come = || MatrixError::new(Code::NotYetUploaded, "that file is still to come");
            return Held::uploaded(&self.store, id, upload).ok_or_else(to_come);
        }
        let row = self.media.row(&snapshot, id)?.ok_or_else(missing)?;
        let attachment = snapshot.attachment(row)?.attachment;
        if let AttachmentState::Held { sha256, .. } = &attachment.state
            && let Some(blob) = snapshot.blob(sha256)?
        {
            return Ok(Held::stored(&self.store, sha256, &blob, attachment.clone()));
        }
        let file = self.settings.files.open(&attachment).ok_or_else(missing)?;
        Held::on_disk(file, attachment).map_err(|error| {
            tracing::warn!(%error, "a file could not be read");
            missing()
        })
    }

    /// Fetches the file that a media id stands for, if it is one that can be fetched, and says whether it came.
    pub(super) async fn bring(self: &Arc<Self>, call: &Call) -> bool {
        let endpoint = Arc::clone(self);
        let id = call.segment("id").to_owned();
        let row = spawn_blocking(move || endpoint.elsewhere(&id)).await;
        let Ok(Ok(Some(row))) = row else {
            return false;
        };
        let fetched = timeout(ATTACHMENT_ASKED_WAIT, self.settings.files.fetch(row));
        let fetched = call.stop.run_until_cancelled(fetched).await;
        matches!(fetched, Some(Ok(true)))
    }

    /// The attachment with a media id, if its file is not here and CloudKit has it.
    fn elsewhere(&self, id: &str) -> Result<Option<RowId>, StoreError> {
        let snapshot = self.store.snapshot()?;
        let Some(row) = self.media.row(&snapshot, id)? else {
            return Ok(None);
        };
        Ok(snapshot.file_record(row)?.map(|_| row))
    }
}

impl Held {
    fn on_disk(file: File, attachment: Attachment) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self {
            etag: etag(&attachment, &metadata),
            source: Arc::new(FileSource::new(file, metadata.len())),
            name: attachment.name,
            mime: attachment.mime,
        })
    }

    fn stored(store: &Store, sha256: &[u8; 32], blob: &StoredBlob, attachment: Attachment) -> Self {
        Self {
            etag: ETag::of_hash(sha256),
            source: Arc::new(StoredSource {
                store: store.clone(),
                size_bytes: blob.size_bytes,
                chunk_bytes: BLOB_CHUNK_BYTES,
                place: Chunks::Blob(blob.chunks),
            }),
            name: attachment.name,
            mime: attachment.mime,
        }
    }

    /// `None` while chunks are missing.
    fn uploaded(store: &Store, id: &str, upload: Upload) -> Option<Self> {
        upload.completed?;
        Some(Self {
            // An id is given once.
            etag: ETag::of(id.as_bytes()),
            source: Arc::new(StoredSource {
                store: store.clone(),
                size_bytes: upload.size_bytes,
                chunk_bytes: UPLOAD_CHUNK_BYTES,
                place: Chunks::Upload(id.to_owned()),
            }),
            name: upload.name,
            mime: upload.mime,
        })
    }

    /// Its size, bytes.
    fn size_bytes(&self) -> u64 {
        self.source.size_bytes()
    }

    /// Whether it is a picture, by its type.
    fn is_image(&self) -> bool {
        ContentType::of(self.mime.as_deref()).is_image()
    }

    /// What stands for it where there is little room.
    pub(super) fn thumbnail(&self, size: Size) -> Result<Thumbnail, MatrixError> {
        if !self.is_image() || self.size_bytes() > IMAGE_FILE_BYTES {
            return Ok(Thumbnail::None);
        }
        let mut bytes = Vec::new();
        let reader = Reader {
            source: &*self.source,
            offset: 0,
        };
        if let Err(error) = reader.take(IMAGE_FILE_BYTES).read_to_end(&mut bytes) {
            tracing::warn!(%error, "a file could not be read");
            return Err(MatrixError::not_found("that file cannot be read"));
        }
        Ok(thumbnail::make(&bytes, size).unwrap_or_else(|error| {
            tracing::debug!(%error, "a file has no thumbnail");
            // What is too large for us may be meant to be too large for the client.
            let is_bomb = matches!(error, ImageError::Limits(_));
            if is_bomb || self.size_bytes() > OWN_THUMBNAIL_BYTES {
                Thumbnail::None
            } else {
                Thumbnail::Original
            }
        }))
    }
}

/// Which version of a file this is: the one that was hashed, else by size and time of change.
fn etag(attachment: &Attachment, metadata: &Metadata) -> ETag {
    let changed = metadata.modified().ok();
    let changed = changed.and_then(|time| Timestamp::try_from(time).ok());
    let changed = changed.map(AppleTime::from_timestamp).unwrap_or_default();
    if let AttachmentState::Held { sha256, modified } = &attachment.state
        && *modified == changed
        && attachment.size_bytes == Some(metadata.len())
    {
        return ETag::of_hash(sha256);
    }
    let version = [metadata.len().to_le_bytes(), changed.nanos().to_le_bytes()];
    ETag::of_hash(version.as_flattened())
}

/// Reads a source from one end to the other.
struct Reader<'a> {
    source: &'a dyn RangeSource,
    offset: u64,
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read_at(self.offset, buffer)?;
        self.offset += u64::try_from(read).unwrap_or(u64::MAX);
        Ok(read)
    }
}

/// A file in the store. Each read has a snapshot of its own: a slow client must not keep old pages alive.
struct StoredSource {
    store: Store,
    size_bytes: u64,
    chunk_bytes: usize,
    place: Chunks,
}

/// Where the chunks of a file are.
enum Chunks {
    /// Those of an upload, by its media id.
    Upload(String),
    /// Those of a file that was fetched, by their number.
    Blob(RowId),
}

impl RangeSource for StoredSource {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        if offset >= self.size_bytes {
            return Ok(0);
        }
        let chunk_bytes = u64::try_from(self.chunk_bytes).unwrap_or(u64::MAX);
        let snapshot = self.store.snapshot().map_err(io::Error::other)?;
        let n = u32::try_from(offset / chunk_bytes).map_err(io::Error::other)?;
        let chunk = match &self.place {
            Chunks::Upload(id) => snapshot.upload_chunk(id, n),
            Chunks::Blob(number) => snapshot.blob_chunk(*number, n),
        };
        let chunk = chunk.map_err(io::Error::other)?;
        // It made room for another one while it was read: the answer breaks off.
        let chunk = chunk.ok_or(io::ErrorKind::NotFound)?;
        let start = usize::try_from(offset % chunk_bytes).map_err(io::Error::other)?;
        let mut rest = chunk.get(start..).unwrap_or_default();
        rest.read(buffer)
    }
}
