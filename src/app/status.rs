//! How the archive is: what it holds, what is missing, and why.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::app::AppError;
use crate::app::Archive;
use crate::base::time::AppleTime;
use crate::model::attachment::AttachmentState;
use crate::model::record::SourceKind;
use crate::store::Direction;

/// What the archive holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    /// Where the file is.
    pub file: Option<String>,
    /// Its size in bytes.
    pub file_bytes: u64,
    /// Messages, tapbacks and announcements included.
    pub messages: u64,
    /// Conversations.
    pub conversations: u64,
    /// Time of the first message.
    pub first: Option<AppleTime>,
    /// Time of the last message.
    pub last: Option<AppleTime>,
    /// Cards of the address book.
    pub contacts: u64,
    /// The owner's addresses.
    pub own_handles: Vec<String>,
    /// The country by which local numbers are read.
    pub region: Option<String>,
    /// Attachments by state.
    pub attachments: BTreeMap<&'static str, u64>,
    /// Bytes of the attachments that are held.
    pub attachment_bytes: u64,
    /// Messages without a conversation, by reason.
    pub parked: BTreeMap<&'static str, u64>,
    /// Messages of which something could not be decoded.
    pub quarantined: u64,
    /// Files that could not be read and are tried again, or were given up.
    pub failures: u64,
    /// How far each source was read: `complete`, `reading`.
    pub sources: BTreeMap<&'static str, &'static str>,
    /// The latest change.
    pub change: u64,
}

impl Archive {
    /// How the archive is.
    ///
    /// # Errors
    ///
    /// When the archive cannot be read.
    pub fn status(&self) -> Result<Status, AppError> {
        let snapshot = self.store().snapshot()?;
        let place = |direction| {
            snapshot
                .by_time(None, direction)
                .and_then(|mut places| places.next().transpose())
        };
        let (mut attachments, mut attachment_bytes) = (BTreeMap::new(), 0);
        for entry in snapshot.attachments()? {
            let attachment = entry?.1.attachment;
            *attachments.entry(attachment.state.name()).or_default() += 1;
            if matches!(attachment.state, AttachmentState::Held { .. }) {
                attachment_bytes += attachment.size_bytes.unwrap_or_default();
            }
        }
        let mut parked = BTreeMap::new();
        for (_, entry) in snapshot.parked()? {
            *parked
                .entry(entry.placement.otherwise.reason())
                .or_default() += 1;
        }
        let mut sources = BTreeMap::new();
        for source in SourceKind::ALL {
            if let Some(cursor) = snapshot.cursor(source)? {
                sources.insert(
                    source.name(),
                    if cursor.scanned.is_some() {
                        "reading"
                    } else {
                        "complete"
                    },
                );
            }
        }
        let path = self.store().path();
        let conversations = snapshot.conversations()?;
        Ok(Status {
            file: path.map(|path| path.display().to_string()),
            file_bytes: path
                .and_then(|path| std::fs::metadata(path).ok())
                .map_or(0, |file| file.len()),
            messages: snapshot.message_count()?,
            conversations: conversations
                .iter()
                .filter(|(_, held)| held.united_into.is_none())
                .count() as u64,
            first: place(Direction::Forward)?.map(|place| place.time),
            last: place(Direction::Backward)?.map(|place| place.time),
            contacts: snapshot.contacts()?.len() as u64,
            own_handles: snapshot
                .own_handles()?
                .iter()
                .map(ToString::to_string)
                .collect(),
            region: snapshot.meta_text("region")?,
            attachments,
            attachment_bytes,
            parked,
            quarantined: snapshot.quarantine()?.len() as u64,
            failures: snapshot.failures()?.len() as u64,
            sources,
            change: snapshot.last_change()?.0,
        })
    }
}
