//! What else an answer brings: account data, receipts, who types, keys, messages to the device.
//!
//! | extension | the first time | later |
//! |---|---|---|
//! | `account_data` | all of the account, and of each room that is told of | what changed |
//! | `receipts` | who has read up to where, per room that is told of | where that moved, or the event is no more |
//! | `typing` | who types where | everybody who types in a room where that changed |
//! | `e2ee` | how many keys the device has left | always, since a missing count is read as none; changed devices |
//! | `to_device` | what waits | what came after the `since` of the request; up to there it is forgotten |
//!
//! Source: facts of the endpoint, 7 and 11.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::Value;
use serde_json::json;
use serde_json::value::RawValue;

use crate::base::ids::ChangeNumber;
use crate::base::limits::SLIDING_TO_DEVICE;
use crate::deliver::endpoint::account_data::DataEvent;
use crate::deliver::endpoint::account_data::raw;
use crate::deliver::endpoint::receipts;
use crate::deliver::endpoint::receipts::Seen;
use crate::deliver::endpoint::session::Session;
use crate::deliver::endpoint::sliding::connection::KeyCounts;
use crate::deliver::endpoint::sliding::request::Queue;
use crate::store::Snapshot;
use crate::store::StoreError;
use crate::store::account::KeyKind;

/// The extensions as they are written. What was not asked for, or has nothing to say, is left out.
#[derive(Default, Serialize)]
pub(super) struct Extensions {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) account_data: Option<AccountData>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) receipts: Option<OfRooms>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) typing: Option<OfRooms>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) e2ee: Option<E2ee>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) to_device: Option<ToDevice>,
}

/// Account data.
#[derive(Default, Serialize)]
pub(super) struct AccountData {
    pub(super) global: Vec<DataEvent>,
    pub(super) rooms: BTreeMap<String, Vec<DataEvent>>,
}

impl AccountData {
    pub(super) fn is_empty(&self) -> bool {
        self.global.is_empty() && self.rooms.is_empty()
    }
}

/// One event for each of some rooms: receipts, or who types.
#[derive(Default, Serialize)]
pub(super) struct OfRooms {
    pub(super) rooms: BTreeMap<String, Value>,
}

/// Keys.
#[derive(Serialize)]
pub(super) struct E2ee {
    #[serde(rename = "device_one_time_keys_count")]
    counts: BTreeMap<String, u64>,
    #[serde(rename = "device_unused_fallback_key_types")]
    unused: Vec<String>,
    #[serde(rename = "device_lists")]
    lists: DeviceLists,
}

#[derive(Serialize)]
struct DeviceLists {
    changed: Vec<String>,
    left: Vec<String>,
}

/// Messages to the device.
#[derive(Serialize)]
pub(super) struct ToDevice {
    next_batch: String,
    pub(super) events: Vec<Box<RawValue>>,
}

/// Who has read up to where.
pub(super) fn receipts(seen: Vec<&Seen>) -> Value {
    json!({ "type": "m.receipt", "content": receipts::content(seen) })
}

/// Who types in a room.
pub(super) fn typing(users: &[String]) -> Value {
    json!({ "type": "m.typing", "content": { "user_ids": users } })
}

/// The keys that a device has left. An algorithm without any counts too: a missing one is read as "ask again".
pub(super) fn key_counts(snapshot: &Snapshot, session: &Session) -> Result<KeyCounts, StoreError> {
    let mut counts = snapshot.one_time_keys(session.account, &session.device)?;
    counts.entry("signed_curve25519".to_owned()).or_default();
    let fallback = snapshot.keys(session.account, &session.device, KeyKind::Fallback)?;
    let unused = fallback.into_iter().filter(|(_, key)| !key.used);
    Ok((counts, unused.map(|(algorithm, _)| algorithm).collect()))
}

impl E2ee {
    /// Of a device, with the users whose devices or keys changed and those who are to be forgotten.
    pub(super) fn new(
        (counts, unused): KeyCounts,
        changed: Vec<String>,
        left: Vec<String>,
    ) -> Self {
        Self {
            counts,
            unused,
            lists: DeviceLists { changed, left },
        }
    }
}

/// Up to where a device has received messages. Of another copy of the archive it says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Received {
    generation: u64,
    pub(super) change: ChangeNumber,
}

impl Received {
    /// What a request says it has, in this copy of the archive.
    pub(super) fn of(queue: &Queue, generation: u64) -> Self {
        let since = queue.since.as_deref().and_then(Self::parse);
        since
            .filter(|since| since.generation == generation)
            .unwrap_or(Self {
                generation,
                change: ChangeNumber::default(),
            })
    }

    fn parse(token: &str) -> Option<Self> {
        let (generation, change) = token.strip_prefix('d')?.split_once('_')?;
        Some(Self {
            generation: u64::from_str_radix(generation, 16).ok()?,
            change: ChangeNumber(change.parse().ok()?),
        })
    }
}

impl fmt::Display for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "d{:x}_{}", self.generation, self.change.0)
    }
}

/// What waits for a device.
pub(super) fn waiting(
    snapshot: &Snapshot,
    session: &Session,
    queue: &Queue,
    received: Received,
) -> Result<ToDevice, StoreError> {
    let limit = queue.limit.and_then(|limit| usize::try_from(limit).ok());
    let limit = limit.map_or(SLIDING_TO_DEVICE, |limit| limit.clamp(1, SLIDING_TO_DEVICE));
    let waiting = snapshot.to_device(session.account, &session.device, received.change, limit)?;
    let last = waiting
        .last()
        .map_or(received.change, |(change, _)| *change);
    let next = Received {
        change: last,
        ..received
    };
    Ok(ToDevice {
        next_batch: next.to_string(),
        events: waiting
            .iter()
            .map(|(_, message)| raw(&message.body))
            .collect(),
    })
}
