//! Which file a media id stands for. Ids are keyed hashes of GUIDs and lead nowhere by themselves, so the attachments
//! that the archive holds are listed once, when the first file is asked for, and looked through again for new ones.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::PoisonError;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::base::ids::AttachmentGuid;
use crate::base::ids::RowId;
use crate::matrix::ids::ServerName;
use crate::matrix::media::MediaSecret;
use crate::store::Snapshot;
use crate::store::StoreError;

/// A media id without its encoding: a third of the memory, for as many files as there are.
type Id = [u8; 18];

/// `None` for what is no media id of an attachment.
fn decoded(id: &str) -> Option<Id> {
    let mut bytes = Id::default();
    let length = URL_SAFE_NO_PAD.decode_slice(id, &mut bytes).ok()?;
    (length == bytes.len()).then_some(bytes)
}

/// Media ids of the archive's files.
pub(in crate::deliver::endpoint) struct MediaIds {
    secret: MediaSecret,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    rows: HashMap<Id, RowId>,
    /// The last attachment that is listed.
    last: Option<RowId>,
}

impl MediaIds {
    /// By the archive's secret.
    pub(in crate::deliver::endpoint) fn new(secret: &[u8; 32]) -> Self {
        Self {
            secret: MediaSecret::new(secret),
            known: Mutex::default(),
        }
    }

    /// The URL of a file.
    pub(in crate::deliver::endpoint) fn url(
        &self,
        server: &ServerName,
        attachment: &AttachmentGuid,
    ) -> String {
        self.secret.url(server, attachment)
    }

    /// The attachment with an id.
    pub(in crate::deliver::endpoint) fn row(
        &self,
        snapshot: &Snapshot,
        id: &str,
    ) -> Result<Option<RowId>, StoreError> {
        let Some(id) = decoded(id) else {
            return Ok(None);
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(row) = known.rows.get(&id) {
            return Ok(Some(*row));
        }
        let mut last = known.last;
        for entry in snapshot.attachments_after(last)? {
            let (row, stored) = entry?;
            let id = decoded(&self.secret.media_id(&stored.attachment.guid));
            known.rows.extend(id.map(|id| (id, row)));
            last = Some(row);
        }
        known.last = last;
        Ok(known.rows.get(&id).copied())
    }
}
