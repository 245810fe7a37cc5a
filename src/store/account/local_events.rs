//! Events that clients sent: those of local rooms, and those that the archive does not hold yet.

use std::ops::Bound;

use redb::ReadableTable;

use crate::base::ids::ChangeNumber;
use crate::base::ids::RowId;
use crate::store::account::reading;
use crate::store::account::writing;
use crate::store::error::StoreError;
use crate::store::snapshot::Direction;
use crate::store::snapshot::Snapshot;
use crate::store::transaction::Transaction;
use crate::store::transaction::find;
use crate::store::transaction::put;
use crate::store::transaction::value;
use crate::store::value::ChangeKind;
use crate::store::value::LocalEvent;
use crate::store::value::Opaque;
use crate::store::value::RoomState;

impl Transaction<'_> {
    /// Adds an event to a room. Its change is its place: local events have no other order.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn add_local_event(
        &mut self,
        conversation: RowId,
        id: &str,
        body: Opaque,
    ) -> Result<ChangeNumber, StoreError> {
        let change = self.log_in(Some(conversation), ChangeKind::LocalEvent, RowId(0))?;
        let event = LocalEvent {
            id: id.to_owned(),
            at: self.now,
            body,
        };
        self.write_local_event(conversation, change, &event)?;
        let ids = &mut self.tables.account.local_event_ids;
        ids.insert(id, change.0).map_err(writing)?;
        Ok(change)
    }

    /// The same for an event that is state: it is the newest version of that piece from its change on. The version itself
    /// says nothing, the event does.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn add_local_state(
        &mut self,
        conversation: RowId,
        (kind, key): (&str, &str),
        id: &str,
        body: Opaque,
    ) -> Result<ChangeNumber, StoreError> {
        let change = self.add_local_event(conversation, id, body)?;
        let state = RoomState {
            change,
            at: self.now,
            body: Opaque::default(),
        };
        self.put_version(conversation, kind, key, &state)?;
        Ok(change)
    }

    /// An event of a room by its id, with its place.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn local_event(
        &self,
        conversation: RowId,
        id: &str,
    ) -> Result<Option<(ChangeNumber, LocalEvent)>, StoreError> {
        let tables = &self.tables.account;
        event(
            &tables.local_event_ids,
            &tables.local_events,
            conversation,
            id,
        )
    }

    /// An event of a room by its place.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn local_event_at(
        &self,
        conversation: RowId,
        at: ChangeNumber,
    ) -> Result<Option<LocalEvent>, StoreError> {
        let place = (conversation.0, at.0);
        find(&self.tables.account.local_events, "local_events", place)
    }

    /// Replaces what an event says, for instance when it is redacted. Answers whether there is such an event. Nobody is
    /// told: the event that redacts it is told.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn replace_local_event(
        &mut self,
        conversation: RowId,
        id: &str,
        body: Opaque,
    ) -> Result<bool, StoreError> {
        let Some((change, held)) = self.local_event(conversation, id)? else {
            return Ok(false);
        };
        let event = LocalEvent { body, ..held };
        self.write_local_event(conversation, change, &event)?;
        Ok(true)
    }

    fn write_local_event(
        &mut self,
        conversation: RowId,
        change: ChangeNumber,
        event: &LocalEvent,
    ) -> Result<(), StoreError> {
        let table = &mut self.tables.account.local_events;
        let place = (conversation.0, change.0);
        put(table, "local_events", place, event, &mut Vec::new())
    }
}

impl Snapshot {
    /// An event of a room by its id, with its place.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn local_event(
        &self,
        conversation: RowId,
        id: &str,
    ) -> Result<Option<(ChangeNumber, LocalEvent)>, StoreError> {
        let tables = &self.tables;
        event(
            tables.local_event_ids()?,
            tables.local_events()?,
            conversation,
            id,
        )
    }

    /// An event of a room by its place.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn local_event_at(
        &self,
        conversation: RowId,
        at: ChangeNumber,
    ) -> Result<Option<LocalEvent>, StoreError> {
        let place = (conversation.0, at.0);
        find(self.tables.local_events()?, "local_events", place)
    }

    /// The events of a room from a place on in one direction, at most so many.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn local_events(
        &self,
        conversation: RowId,
        from: Bound<ChangeNumber>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(ChangeNumber, LocalEvent)>, StoreError> {
        let first = Bound::Included((conversation.0, 0));
        let last = Bound::Included((conversation.0, u64::MAX));
        let from = from.map(|change| (conversation.0, change.0));
        let bounds = match (direction, from) {
            (_, Bound::Unbounded) => (first, last),
            (Direction::Forward, from) => (from, last),
            (Direction::Backward, from) => (first, from),
        };
        let mut range = self.tables.local_events()?.range(bounds).map_err(reading)?;
        let mut events = Vec::new();
        while events.len() < limit {
            let entry = match direction {
                Direction::Forward => range.next(),
                Direction::Backward => range.next_back(),
            };
            let Some(entry) = entry else {
                break;
            };
            let (key, bytes) = entry.map_err(reading)?;
            let change = ChangeNumber(key.value().1);
            events.push((change, value("local_events", bytes.value())?));
        }
        Ok(events)
    }
}

/// An event of a room by its id, with its place.
fn event(
    ids: &impl ReadableTable<&'static str, u64>,
    events: &impl ReadableTable<(u64, u64), &'static [u8]>,
    conversation: RowId,
    id: &str,
) -> Result<Option<(ChangeNumber, LocalEvent)>, StoreError> {
    let Some(change) = ids.get(id).map_err(reading)?.map(|change| change.value()) else {
        return Ok(None);
    };
    let event = find(events, "local_events", (conversation.0, change))?;
    Ok(event.map(|event| (ChangeNumber(change), event)))
}
