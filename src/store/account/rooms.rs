//! Rooms: what their ids stand for, and the state that is not made of the archive.

use redb::ReadableTable;

use crate::base::ids::ChangeNumber;
use crate::base::ids::RowId;
use crate::store::account::reading;
use crate::store::account::rows_from;
use crate::store::error::StoreError;
use crate::store::snapshot::Snapshot;
use crate::store::transaction::Transaction;
use crate::store::transaction::find;
use crate::store::transaction::put;
use crate::store::transaction::value;
use crate::store::value::ChangeKind;
use crate::store::value::Opaque;
use crate::store::value::Room;
use crate::store::value::RoomOrigin;
use crate::store::value::RoomState;

/// Which piece of a room's state, and which version of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StateKey {
    /// The event's type.
    pub kind: String,
    /// The event's state key.
    pub key: String,
    /// 0 for the first.
    pub version: u32,
}

impl Transaction<'_> {
    /// Says what a room id stands for.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn put_room(&mut self, id: &str, room: &Room) -> Result<(), StoreError> {
        let table = &mut self.tables.account.rooms;
        put(table, "rooms", id, room, &mut Vec::new())
    }

    /// What a room id stands for.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn room(&self, id: &str) -> Result<Option<Room>, StoreError> {
        find(&self.tables.account.rooms, "rooms", id)
    }

    /// Makes a room that has nothing to do with the archive (D27), under a row of its own. It is visible at once.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn add_local_room(&mut self, id: &str) -> Result<Room, StoreError> {
        let room = Room {
            conversation: self.new_row(),
            epoch: 0,
            origin: RoomOrigin::Local,
        };
        self.put_room(id, &room)?;
        self.publish_conversation(room.conversation)?;
        Ok(room)
    }

    /// Gives a conversation another room: the present one is to be left (D19). Answers the new room's epoch.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn renew_room(&mut self, conversation: RowId) -> Result<u32, StoreError> {
        self.log_in(Some(conversation), ChangeKind::Epoch, conversation)?;
        let head = self.head(conversation)?;
        head.epoch += 1;
        Ok(head.epoch)
    }

    /// Has clients read a room's timeline anew: too much came into its middle (D20).
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn renew_history(&mut self, conversation: RowId) -> Result<u32, StoreError> {
        let number = self.log_in(Some(conversation), ChangeKind::Epoch, conversation)?;
        let head = self.head(conversation)?;
        head.history_epoch += 1;
        head.history_change = Some(number);
        Ok(head.history_epoch)
    }

    /// Writes the next version of a piece of a room's state, and answers its number.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn put_room_state(
        &mut self,
        conversation: RowId,
        kind: &str,
        key: &str,
        body: Opaque,
    ) -> Result<u32, StoreError> {
        let change = self.log_in(Some(conversation), ChangeKind::RoomState, RowId(0))?;
        let at = self.now;
        self.put_version(conversation, kind, key, &RoomState { change, at, body })
    }

    /// Writes the next version of a piece of state that a change brought which is logged already.
    pub(super) fn put_version(
        &mut self,
        conversation: RowId,
        kind: &str,
        key: &str,
        state: &RoomState,
    ) -> Result<u32, StoreError> {
        let version = self.next_version(conversation, kind, key)?;
        let place = (conversation.0, kind, key, version);
        let table = &mut self.tables.account.room_states;
        put(table, "room_states", place, state, &mut Vec::new())?;
        Ok(version)
    }

    /// The version that a piece of state would get next.
    pub(super) fn next_version(
        &self,
        conversation: RowId,
        kind: &str,
        key: &str,
    ) -> Result<u32, StoreError> {
        let last = self.room_state(conversation, kind, key, ChangeNumber(u64::MAX))?;
        Ok(last.map_or(0, |(last, _)| last + 1))
    }

    /// The newest version of a piece of a room's state that is not newer than a change.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn room_state(
        &self,
        conversation: RowId,
        kind: &str,
        key: &str,
        as_of: ChangeNumber,
    ) -> Result<Option<(u32, RoomState)>, StoreError> {
        let table = &self.tables.account.room_states;
        version_until(table, conversation, (kind, key), as_of)
    }
}

impl Snapshot {
    /// What a room id stands for. Also of rooms that were left since.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn room(&self, id: &str) -> Result<Option<Room>, StoreError> {
        find(self.tables.rooms()?, "rooms", id)
    }

    /// Every room, by id.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn rooms(&self) -> Result<Vec<(String, Room)>, StoreError> {
        rows_from(self.tables.rooms()?, "rooms", "", |id| Some(id.to_owned()))
    }

    /// Every version of every piece of a room's state, by type, key and version.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn room_states(
        &self,
        conversation: RowId,
    ) -> Result<Vec<(StateKey, RoomState)>, StoreError> {
        let from = (conversation.0, "", "", 0);
        rows_from(self.tables.room_states()?, "room_states", from, |key| {
            (key.0 == conversation.0).then(|| StateKey {
                kind: key.1.to_owned(),
                key: key.2.to_owned(),
                version: key.3,
            })
        })
    }

    /// The newest version of a piece of a room's state that is not newer than a change.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn room_state(
        &self,
        conversation: RowId,
        kind: &str,
        key: &str,
        as_of: ChangeNumber,
    ) -> Result<Option<(u32, RoomState)>, StoreError> {
        version_until(self.tables.room_states()?, conversation, (kind, key), as_of)
    }

    /// Every version of one piece of a room's state, the first one first.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn room_state_versions(
        &self,
        conversation: RowId,
        kind: &str,
        key: &str,
    ) -> Result<Vec<RoomState>, StoreError> {
        let from = (conversation.0, kind, key, 0);
        let table = self.tables.room_states()?;
        let versions = rows_from(table, "room_states", from, |found| {
            ((found.0, found.1, found.2) == (conversation.0, kind, key)).then_some(())
        })?;
        Ok(versions.into_iter().map(|((), state)| state).collect())
    }
}

/// The newest version of a piece of a room's state that is not newer than a change.
fn version_until(
    table: &impl ReadableTable<(u64, &'static str, &'static str, u32), &'static [u8]>,
    conversation: RowId,
    (kind, key): (&str, &str),
    as_of: ChangeNumber,
) -> Result<Option<(u32, RoomState)>, StoreError> {
    let first = (conversation.0, kind, key, 0);
    let last = (conversation.0, kind, key, u32::MAX);
    for entry in table.range(first..=last).map_err(reading)?.rev() {
        let (place, bytes) = entry.map_err(reading)?;
        let state: RoomState = value("room_states", bytes.value())?;
        if state.change <= as_of {
            return Ok(Some((place.value().3, state)));
        }
    }
    Ok(None)
}
