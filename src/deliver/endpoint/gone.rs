//! Rooms that went: what was a room once and is none now (D19). A conversation gets another room when it is shown with
//! another one or apart again; it has none any more when it was deleted or is another one.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde_json::Value;
use serde_json::json;
use sha2::Digest;
use sha2::Sha256;

use crate::base::ids::ChangeNumber;
use crate::base::ids::RowId;
use crate::deliver::endpoint::present::Present;
use crate::matrix::event_id::EventKey;
use crate::matrix::ids::Account;
use crate::matrix::ids::RoomId;
use crate::store::News;
use crate::store::Snapshot;
use crate::store::StoreError;
use crate::store::value::ChangeEntry;
use crate::store::value::ChangeKind;
use crate::store::value::Head;

/// A room that went.
pub(super) struct Gone {
    pub(super) id: RoomId,
    /// The room that shows its conversation now.
    replacement: Option<RoomId>,
}

impl Gone {
    /// The room that a conversation had.
    pub(super) fn new(
        id: RoomId,
        conversation: RowId,
        snapshot: &Snapshot,
        present: &Present,
    ) -> Result<Self, StoreError> {
        let heir = snapshot.conversation(conversation)?.united_into;
        let heir = || heir.and_then(|heir| present.rooms.of(heir));
        let room = present.rooms.of(conversation).or_else(heir);
        Ok(Self {
            id,
            replacement: room.map(|room| room.id.clone()),
        })
    }

    /// What tells clients where the conversation goes on, for the end of the room's timeline.
    pub(super) fn tombstone(&self, account: &Account, now: i64) -> Option<Value> {
        let replacement = self.replacement.as_ref()?.as_str();
        let digest = Sha256::digest(format!("m.room.tombstone\0{replacement}"));
        let mut key = [0; 16];
        key.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        Some(json!({
            "event_id": self.id.event_id(&EventKey::local(key)),
            "type": "m.room.tombstone",
            "state_key": "",
            "sender": account.user().as_str(),
            "origin_server_ts": now,
            "content": {
                "body": "This conversation goes on in another room.",
                "replacement_room": replacement,
            },
        }))
    }
}

/// How often a conversation got another room, by entries of the change log. That its timeline was declared to be another
/// one counts too, where it is not the last entry: the room is then sent whole, which does no harm.
pub(super) fn renewals(head: &Head, entries: &[(ChangeNumber, ChangeEntry)]) -> u32 {
    let is_one = |(number, entry): &&(ChangeNumber, ChangeEntry)| {
        entry.kind == ChangeKind::Epoch && head.history_change != Some(*number)
    };
    let count = entries.iter().filter(is_one).count();
    u32::try_from(count).unwrap_or(u32::MAX).min(head.epoch)
}

/// What went after a change, by what is new since; every room that ever went where that is not known.
pub(super) fn since(
    snapshot: &Snapshot,
    present: &Present,
    account: &Account,
    since: ChangeNumber,
    news: Option<&News>,
) -> Result<Vec<Gone>, StoreError> {
    let mut gone = Vec::new();
    let known = news.filter(|news| news.is_complete);
    let rows: BTreeMap<RowId, &[(ChangeNumber, ChangeEntry)]> = match known {
        Some(news) => news
            .rooms
            .iter()
            .map(|(row, of)| (*row, of.as_slice()))
            .collect(),
        None => snapshot
            .heads()?
            .into_iter()
            .map(|(row, _)| (row, [].as_slice()))
            .collect(),
    };
    let local = snapshot
        .rooms()?
        .into_iter()
        .map(|(_, room)| room.conversation);
    let local: BTreeSet<RowId> = local.collect();
    for (row, entries) in rows {
        if local.contains(&row) {
            continue;
        }
        let head = snapshot.head(row)?;
        let Some(published) = head.published else {
            continue;
        };
        let room = present.rooms.of(row);
        let first = match known {
            Some(_) => head.epoch - renewals(&head, entries),
            None => 0,
        };
        // One that is shown as another has left its last room when that began, by another epoch.
        let is_ended = room.is_none()
            && match known {
                Some(_) => {
                    let ends =
                        |(_, entry): &(_, ChangeEntry)| entry.kind == ChangeKind::Conversation;
                    published <= since && entries.iter().any(ends)
                }
                None => true,
            };
        if first == head.epoch && !is_ended {
            continue;
        }
        let stored = snapshot.conversation(row)?;
        for epoch in first..head.epoch + u32::from(is_ended) {
            let id = account.room(&stored.conversation.key, epoch);
            gone.push(Gone::new(id, row, snapshot, present)?);
        }
    }
    Ok(gone)
}
