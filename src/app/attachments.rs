//! The files of messages: which are held, which are on their way, and why others are not.

use serde::Serialize;

use crate::app::AppError;
use crate::app::Archive;
use crate::base::ids::AttachmentGuid;
use crate::base::ids::RowId;
use crate::ingest::assets;
use crate::store::Snapshot;
use crate::store::StoreError;
use crate::store::value::StoredAttachment;

/// A file that a message names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct File {
    /// The file.
    pub guid: String,
    /// Its message; `None` where none names it yet.
    pub message: Option<String>,
    /// The name to show.
    pub name: Option<String>,
    /// Its type.
    pub mime: Option<String>,
    /// Its size, bytes; `None` when unknown.
    pub size_bytes: Option<u64>,
    /// `held`, `wanted`, `fetching`, `missing`, `failed`, `abandoned`.
    pub state: &'static str,
    /// Why it is not held.
    pub reason: Option<String>,
    /// How often it could not be had.
    pub attempts: u32,
    /// Bytes of it that are here already, while it is fetched.
    pub fetched_bytes: u64,
}

impl Archive {
    /// Tells of every file in one of these states, by arrival; of every file if none is named.
    ///
    /// # Errors
    ///
    /// When the archive cannot be read, and what `each` refuses.
    pub fn attachments<E: From<AppError>>(
        &self,
        states: &[&str],
        mut each: impl FnMut(File) -> Result<(), E>,
    ) -> Result<(), E> {
        let snapshot = self.store().snapshot().map_err(AppError::from)?;
        for entry in snapshot.attachments().map_err(AppError::from)? {
            let (row, stored) = entry.map_err(AppError::from)?;
            let file = file(&snapshot, row, stored).map_err(AppError::from)?;
            if states.is_empty() || states.contains(&file.state) {
                each(file)?;
            }
        }
        Ok(())
    }

    /// Makes a file that failed or was abandoned a wanted one, or all of them, and says how many there were. Those of
    /// Messages in iCloud are fetched when the service runs, a Mac's are read by the next import.
    ///
    /// # Errors
    ///
    /// [`AppError::NoAttachment`]; when the archive cannot be read or written.
    pub fn retry_attachments(&self, guid: Option<&str>) -> Result<u64, AppError> {
        let Some(text) = guid else {
            return Ok(assets::retry_all(self.store())?);
        };
        let snapshot = self.store().snapshot()?;
        let row = match AttachmentGuid::parse(text) {
            Some(guid) => snapshot.attachment_with(&guid)?,
            None => None,
        };
        let row = row.ok_or_else(|| AppError::NoAttachment {
            wanted: text.to_owned(),
        })?;
        let mut count = 0;
        self.store().write::<AppError>(|tx| {
            count = u64::from(tx.retry_file(row)?);
            Ok(())
        })?;
        Ok(count)
    }
}

fn file(snapshot: &Snapshot, row: RowId, stored: StoredAttachment) -> Result<File, StoreError> {
    let attachment = stored.attachment;
    let message = match snapshot.message(stored.message) {
        Ok(message) => Some(message.message.guid.to_string()),
        Err(StoreError::Dangling { .. }) => None,
        Err(error) => return Err(error),
    };
    let download = snapshot.download(row)?;
    let failure = snapshot.file_failure(row)?;
    let state = match (attachment.state.name(), &download) {
        ("wanted" | "failed", Some(_)) => "fetching",
        (state, _) => state,
    };
    Ok(File {
        guid: attachment.guid.to_string(),
        message,
        state,
        reason: attachment.state.reason().map(str::to_owned),
        name: attachment.name,
        mime: attachment.mime,
        size_bytes: attachment.size_bytes,
        attempts: failure.map_or(0, |failure| failure.attempts),
        fetched_bytes: download.map_or(0, |download| download.size_bytes()),
    })
}
