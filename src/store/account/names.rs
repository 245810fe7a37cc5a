//! How people and groups were called since clients see the archive (D22).
//!
//! A change of a name is a version of state: of the members of every room, under conversation 0 and the person's address,
//! or of one group. Version 0 is the name before the first change. What is called as ever has no versions.

use std::collections::BTreeMap;

use crate::base::ids::ChangeNumber;
use crate::base::ids::Handle;
use crate::base::ids::RowId;
use crate::model::contact::Contact;
use crate::model::people::People;
use crate::store::account::reading;
use crate::store::error::StoreError;
use crate::store::snapshot::Snapshot;
use crate::store::transaction::Transaction;
use crate::store::transaction::value;
use crate::store::value::Head;
use crate::store::value::Opaque;
use crate::store::value::RoomState;

/// What stands for every room.
const EVERY_ROOM: RowId = RowId(0);

/// The state that a person's name is part of.
const MEMBER: &str = "m.room.member";

/// The state that a group's name is.
const NAME: &str = "m.room.name";

impl Transaction<'_> {
    /// Notes who is called otherwise by another address book, as of the change that brought it. As long as clients see
    /// nothing, nobody has another name.
    pub(in crate::store) fn note_names(
        &mut self,
        before: Vec<Contact>,
        after: Vec<Contact>,
        change: ChangeNumber,
    ) -> Result<(), StoreError> {
        if !self.is_anything_published()? {
            return Ok(());
        }
        let before = People::new(before, Vec::new());
        let after = People::new(after, Vec::new());
        let is_new = |handle: &Handle| before.name(handle).is_none();
        let before_names = before.iter().map(|(handle, _)| handle);
        let after_names = after.iter().map(|(handle, _)| handle);
        for handle in before_names.chain(after_names.filter(|handle| is_new(handle))) {
            let (old, new) = (before.name(handle), after.name(handle));
            if old != new {
                self.note_name((EVERY_ROOM, MEMBER, handle.as_str()), (old, new), change)?;
            }
        }
        Ok(())
    }

    /// Notes that a group is called otherwise, as of a change, if clients see it.
    pub(in crate::store) fn note_group_name(
        &mut self,
        conversation: RowId,
        names: (Option<&str>, Option<&str>),
        change: ChangeNumber,
    ) -> Result<(), StoreError> {
        if names.0 == names.1 || self.head(conversation)?.published.is_none() {
            return Ok(());
        }
        self.note_name((conversation, NAME, ""), names, change)
    }

    fn note_name(
        &mut self,
        (conversation, kind, key): (RowId, &str, &str),
        (before, after): (Option<&str>, Option<&str>),
        change: ChangeNumber,
    ) -> Result<(), StoreError> {
        let body = |name: Option<&str>| Opaque(name.unwrap_or_default().as_bytes().to_vec());
        if self.next_version(conversation, kind, key)? == 0 {
            let first = RoomState {
                change: ChangeNumber::default(),
                at: self.now,
                body: body(before),
            };
            self.put_version(conversation, kind, key, &first)?;
        }
        let next = RoomState {
            change,
            at: self.now,
            body: body(after),
        };
        self.put_version(conversation, kind, key, &next)?;
        Ok(())
    }

    fn is_anything_published(&self) -> Result<bool, StoreError> {
        use redb::ReadableTable;

        if self.heads.values().any(|head| head.published.is_some()) {
            return Ok(true);
        }
        for entry in self.tables.heads.iter().map_err(reading)? {
            let (_, bytes) = entry.map_err(reading)?;
            let head: Head = value("conversation_heads", bytes.value())?;
            if head.published.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// A name and the change since which it holds; empty for none.
type Since = (ChangeNumber, String);

impl Snapshot {
    /// Everybody whose name changed since clients see the archive, with all names, the first as of change 0. An empty
    /// name is none.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn people_names(&self) -> Result<BTreeMap<Handle, Vec<Since>>, StoreError> {
        let mut names: BTreeMap<Handle, Vec<Since>> = BTreeMap::new();
        for (key, state) in self.room_states(EVERY_ROOM)? {
            if key.kind == MEMBER {
                let handle = Handle::from_normal(key.key);
                names.entry(handle).or_default().push(since(&state));
            }
        }
        Ok(names)
    }

    /// The names of a group since clients see it; none for one that is called as ever.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn group_names(&self, conversation: RowId) -> Result<Vec<Since>, StoreError> {
        let states = self.room_states(conversation)?.into_iter();
        let names = states.filter(|(key, _)| key.kind == NAME && key.key.is_empty());
        Ok(names.map(|(_, state)| since(&state)).collect())
    }
}

fn since(state: &RoomState) -> Since {
    let name = String::from_utf8_lossy(&state.body.0).into_owned();
    (state.change, name)
}
