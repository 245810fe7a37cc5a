//! Which rooms a list has, and in which order: by their newest message, the latest first (D23).
//!
//! Only the heads of conversations are read for that; a room is rendered when a window shows it.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use crate::base::ids::ChangeNumber;
use crate::base::ids::RowId;
use crate::base::time::AppleTime;
use crate::deliver::endpoint::present::Present;
use crate::deliver::endpoint::rooms::Room;
use crate::deliver::endpoint::sliding::request::Filters;
use crate::model::people::People;
use crate::store::Snapshot;
use crate::store::StoreError;
use crate::store::account::Account as AccountNumber;
use crate::store::value::Head;

/// A room and what orders it.
pub(super) struct Ranked<'a> {
    pub(super) room: &'a Arc<Room>,
    /// The newest message, or else the newest of anything.
    pub(super) newest: AppleTime,
    /// The latest change in it.
    pub(super) changed: ChangeNumber,
}

/// Every room, the one with the newest message first. Equal ones keep the order of their arrival.
pub(super) fn ranked<'a>(
    snapshot: &Snapshot,
    present: &'a Present,
) -> Result<Vec<Ranked<'a>>, StoreError> {
    let heads: HashMap<RowId, Head> = snapshot.heads()?.into_iter().collect();
    let mut ranked: Vec<Ranked<'_>> = present
        .rooms
        .iter()
        .map(|room| rank(room, &heads))
        .collect();
    ranked.sort_unstable_by_key(|ranked| (Reverse(ranked.newest), ranked.room.conversation));
    Ok(ranked)
}

fn rank<'a>(room: &'a Arc<Room>, heads: &HashMap<RowId, Head>) -> Ranked<'a> {
    let heads = || room.shown.iter().filter_map(|row| heads.get(row));
    let message = heads().filter_map(|head| head.newest_message).max();
    let newest = message.or_else(|| heads().filter_map(|head| head.newest).max());
    Ranked {
        room,
        newest: newest.unwrap_or_default(),
        changed: heads()
            .map(|head| head.last_change)
            .max()
            .unwrap_or_default(),
    }
}

/// What filters ask that rooms do not know of themselves.
pub(super) struct Sieve<'a> {
    people: &'a People,
    /// By conversation.
    tags: HashMap<RowId, Vec<String>>,
}

impl<'a> Sieve<'a> {
    /// For some filters: tags are read only when one asks for them.
    pub(super) fn new<'f>(
        snapshot: &Snapshot,
        people: &'a People,
        account: AccountNumber,
        mut filters: impl Iterator<Item = &'f Filters>,
    ) -> Result<Self, StoreError> {
        let mut tags = HashMap::new();
        if filters.any(|filters| !filters.tags.is_empty() || !filters.not_tags.is_empty()) {
            for held in snapshot.all_account_data(account)? {
                if let (Some(row), "m.tag") = (held.conversation, held.kind.as_str()) {
                    tags.insert(row, tags_of(&held.data.body.0));
                }
            }
        }
        Ok(Self { people, tags })
    }

    /// Whether a list has a room. All our rooms are joined, none is encrypted, none has a type.
    pub(super) fn admits(&self, filters: &Filters, room: &Room) -> bool {
        let tags = self.tags.get(&room.conversation);
        let has_one = |wanted: &[String]| {
            tags.is_some_and(|tags| tags.iter().any(|tag| wanted.contains(tag)))
        };
        let is_untyped = |types: &[Option<String>]| types.contains(&None);
        filters
            .is_dm
            .is_none_or(|wanted| wanted == room.is_direct())
            && filters.is_encrypted != Some(true)
            && filters.is_invite != Some(true)
            && (filters.room_types.is_empty() || is_untyped(&filters.room_types))
            && !is_untyped(&filters.not_room_types)
            && (filters.tags.is_empty() || has_one(&filters.tags))
            && !has_one(&filters.not_tags)
            && filters.spaces.is_empty()
            && filters
                .room_name_like
                .as_deref()
                .is_none_or(|text| self.is_called(room, text))
    }

    /// Whether a room's name, or that of somebody in it where it has none, has a text in it.
    fn is_called(&self, room: &Room, text: &str) -> bool {
        let text = text.to_lowercase();
        let has = |name: &str| name.to_lowercase().contains(&text);
        match &room.about.name {
            Some(name) if !room.is_direct() => has(&name.text),
            _ => room
                .members
                .iter()
                .any(|(handle, _)| has(self.people.name(handle).unwrap_or(handle.address()))),
        }
    }
}

/// The tags in the content of `m.tag`.
fn tags_of(body: &[u8]) -> Vec<String> {
    let content: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let tags = content.get("tags").and_then(serde_json::Value::as_object);
    tags.map_or(Vec::new(), |tags| tags.keys().cloned().collect())
}
