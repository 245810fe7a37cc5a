//! The rooms as they are now, made once for all requests and again when something that decides about them changed.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use crate::base::ids::ChangeNumber;
use crate::deliver::endpoint::rooms::Announcements;
use crate::deliver::endpoint::rooms::Rooms;
use crate::matrix::ids::Account;
use crate::model::message::Kind;
use crate::store::Places;
use crate::store::Snapshot;
use crate::store::Store;
use crate::store::StoreError;
use crate::store::value::ChangeKind;

/// Changes that are looked at one by one; beyond that everything is made anew.
const LOOKED_AT: usize = 20_000;

/// What all requests share of a state of the archive.
pub(super) struct Present {
    /// The state.
    pub(super) change: ChangeNumber,
    pub(super) rooms: Arc<Rooms>,
    pub(super) announcements: Arc<Announcements>,
    pub(super) places: Places,
}

/// Keeps the present of the newest snapshot that was asked for.
#[derive(Default)]
pub(super) struct Presents(Mutex<Option<Arc<Present>>>);

impl Presents {
    /// The archive as it is now, and the present of just that. Whoever answers with both must take both from here: rooms
    /// that are newer than the snapshot would show what ended with a later change as if it had come with this one, and a
    /// client that follows would be told of it twice.
    pub(super) fn now(
        &self,
        store: &Store,
        account: &Account,
    ) -> Result<(Snapshot, Arc<Present>), StoreError> {
        let mut held = self.lock();
        // Taken while nobody else can bring the rooms up to date: what is held is not of a later change.
        let snapshot = store.snapshot()?;
        let present = brought_up(&mut held, &snapshot, account)?;
        Ok((snapshot, present))
    }

    /// The present of a snapshot. An older snapshot than the newest that was asked for gets the newer rooms: what it
    /// does not hold of them is not shown.
    pub(super) fn of(
        &self,
        snapshot: &Snapshot,
        account: &Account,
    ) -> Result<Arc<Present>, StoreError> {
        brought_up(&mut self.lock(), snapshot, account)
    }

    /// Held while a present is made: others would only make the same.
    fn lock(&self) -> MutexGuard<'_, Option<Arc<Present>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is held, after it was made that of a snapshot unless it is newer.
fn brought_up(
    held: &mut Option<Arc<Present>>,
    snapshot: &Snapshot,
    account: &Account,
) -> Result<Arc<Present>, StoreError> {
    let change = snapshot.last_change()?;
    let present = match held.as_ref() {
        Some(present) if present.change >= change => return Ok(Arc::clone(present)),
        Some(present) => Arc::new(after(present, snapshot, account, change)?),
        None => Arc::new(anew(snapshot, account, change)?),
    };
    *held = Some(Arc::clone(&present));
    Ok(present)
}

fn anew(
    snapshot: &Snapshot,
    account: &Account,
    change: ChangeNumber,
) -> Result<Present, StoreError> {
    let announcements = all_announcements(snapshot)?;
    Ok(Present {
        change,
        rooms: Arc::new(Rooms::read(snapshot, account, &announcements)?),
        announcements: Arc::new(announcements),
        places: snapshot.places()?,
    })
}

/// The present after some changes.
fn after(
    before: &Present,
    snapshot: &Snapshot,
    account: &Account,
    change: ChangeNumber,
) -> Result<Present, StoreError> {
    let Some(changes) = snapshot.changes_after(before.change)? else {
        return anew(snapshot, account, change);
    };
    let mut announcements = Arc::clone(&before.announcements);
    let mut is_stale = false;
    for (looked_at, entry) in changes.enumerate() {
        if looked_at == LOOKED_AT {
            return anew(snapshot, account, change);
        }
        let (_, entry) = entry?;
        match entry.kind {
            ChangeKind::Message => {
                let stored = snapshot.message(entry.row)?;
                if matches!(stored.message.kind, Kind::Announcement(_)) {
                    Arc::make_mut(&mut announcements).add(entry.row, &stored);
                    is_stale = true;
                }
            }
            ChangeKind::Conversation
            | ChangeKind::Contacts
            | ChangeKind::Published
            | ChangeKind::Epoch
            | ChangeKind::Pass => is_stale = true,
            ChangeKind::Gone => {
                let stored = snapshot.message(entry.row)?;
                if stored.conversation != Some(entry.conversation)
                    && matches!(stored.message.kind, Kind::Announcement(_))
                {
                    Arc::make_mut(&mut announcements).remove(entry.conversation, entry.row);
                    is_stale = true;
                }
            }
            ChangeKind::RoomState
            | ChangeKind::LocalEvent
            | ChangeKind::AccountData
            | ChangeKind::Receipt
            | ChangeKind::ToDevice
            | ChangeKind::Device
            | ChangeKind::Keys => {}
        }
    }
    let rooms = if is_stale {
        Arc::new(Rooms::read(snapshot, account, &announcements)?)
    } else {
        Arc::clone(&before.rooms)
    };
    Ok(Present {
        change,
        rooms,
        announcements,
        places: snapshot.places()?,
    })
}

/// Every announcement, by way of the search index: it lists them without reading all other messages.
fn all_announcements(snapshot: &Snapshot) -> Result<Announcements, StoreError> {
    let mut announcements = Announcements::default();
    for row in snapshot.of_kind(crate::store::kind::ANNOUNCEMENT)? {
        let stored = snapshot.message(row)?;
        announcements.add(row, &stored);
    }
    Ok(announcements)
}
