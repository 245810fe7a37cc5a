//! How the archive is: what it holds, what is missing, and why.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::app::AppError;
use crate::app::Archive;
use crate::app::archive::size;
use crate::app::cloudkit::CloudStatus;
use crate::base::time::AppleTime;
use crate::model::attachment::AttachmentState;
use crate::model::record::SourceKind;
use crate::store::Direction;
use crate::store::Snapshot;
use crate::store::StoreError;

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
    /// Attachments in all.
    pub attachments: u64,
    /// Those of them whose files were on the disk when last looked at.
    pub held: u64,
    /// Bytes of those files.
    pub held_bytes: u64,
    /// The others, by state and reason.
    pub not_held: Vec<NotHeld>,
    /// Messages without a conversation, by reason.
    pub parked: BTreeMap<&'static str, u64>,
    /// Messages of which something could not be decoded.
    pub quarantined: u64,
    /// Files that could not be read and are tried again, or were given up.
    pub failures: u64,
    /// How far each source was read: `complete`, `reading`.
    pub sources: BTreeMap<&'static str, &'static str>,
    /// Messages in iCloud, if a session is imported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cloud: Option<CloudStatus>,
    /// The latest change.
    pub change: u64,
}

/// Attachments whose files are not on the disk, for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotHeld {
    /// `wanted`, `missing`, `failed`, `abandoned`.
    pub state: &'static str,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How many.
    pub count: u64,
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
        let files = files(&snapshot)?;
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
            file_bytes: path.and_then(|path| size(path).ok()).unwrap_or_default(),
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
            attachments: files.held + files.others.values().sum::<u64>(),
            held: files.held,
            held_bytes: files.bytes,
            not_held: files.not_held(),
            parked,
            quarantined: snapshot.quarantine()?.len() as u64,
            failures: snapshot.failures()?.len() as u64,
            sources,
            cloud: self.cloud_status()?,
            change: snapshot.last_change()?.0,
        })
    }
}

/// Attachments, counted.
#[derive(Default)]
struct Counted {
    held: u64,
    bytes: u64,
    others: BTreeMap<(&'static str, Option<String>), u64>,
}

impl Counted {
    /// The largest count first.
    fn not_held(self) -> Vec<NotHeld> {
        let others = self.others.into_iter();
        let mut list: Vec<NotHeld> = others
            .map(|((state, reason), count)| NotHeld {
                state,
                reason,
                count,
            })
            .collect();
        list.sort_by_key(|not_held| std::cmp::Reverse(not_held.count));
        list
    }
}

fn files(snapshot: &Snapshot) -> Result<Counted, StoreError> {
    let mut counted = Counted::default();
    for entry in snapshot.attachments()? {
        let attachment = entry?.1.attachment;
        if matches!(attachment.state, AttachmentState::Held { .. }) {
            counted.held += 1;
            counted.bytes += attachment.size_bytes.unwrap_or_default();
        } else {
            let reason = attachment.state.reason().map(str::to_owned);
            let key = (attachment.state.name(), reason);
            *counted.others.entry(key).or_default() += 1;
        }
    }
    Ok(counted)
}
