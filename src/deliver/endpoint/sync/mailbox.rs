//! What of a sync is about the account and the device that asks, and about no room.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::base::ids::ChangeNumber;
use crate::deliver::endpoint::Endpoint;
use crate::deliver::endpoint::account_data::raw;
use crate::deliver::endpoint::error::MatrixError;
use crate::deliver::endpoint::keys;
use crate::deliver::endpoint::session::Session;
use crate::deliver::endpoint::token::Position;
use crate::store::News;
use crate::store::Snapshot;
use crate::store::StoreError;
use crate::store::account::Account;

/// Forgets what a device has received: what its token covers was in the answer that brought the token.
pub(super) fn acknowledge(
    endpoint: &Endpoint,
    session: &Session,
    received: Position,
) -> Result<(), MatrixError> {
    let snapshot = endpoint.store.snapshot()?;
    let up_to = received.change;
    if received.generation != endpoint.generation || up_to > snapshot.last_change()? {
        return Ok(());
    }
    let (account, device) = (session.account, session.device.clone());
    let oldest = snapshot.to_device(account, &device, ChangeNumber::default(), 1)?;
    if oldest.first().is_none_or(|(change, _)| *change > up_to) {
        return Ok(());
    }
    drop(snapshot);
    endpoint.write(move |transaction| transaction.forget_to_device(account, &device, up_to))
}

/// Every message that waits for a device after a change. All of them: the token of the answer acknowledges them.
pub(super) fn to_device(
    snapshot: &Snapshot,
    session: &Session,
    since: ChangeNumber,
) -> Result<Vec<Box<RawValue>>, StoreError> {
    let waiting = snapshot.to_device(session.account, &session.device, since, usize::MAX)?;
    Ok(waiting
        .iter()
        .map(|(_, message)| raw(&message.body))
        .collect())
}

/// Whose devices or keys changed.
#[derive(Serialize)]
pub(super) struct DeviceLists {
    pub(super) changed: Vec<String>,
    pub(super) left: Vec<String>,
}

/// Who changed keys or devices after `since`; nobody for a client that has nothing.
pub(super) fn device_lists(
    endpoint: &Endpoint,
    snapshot: &Snapshot,
    asking: Account,
    news: Option<&News>,
    since: ChangeNumber,
) -> Result<DeviceLists, MatrixError> {
    let (changed, left) = match news {
        Some(news) => keys::changed_users(endpoint, snapshot, asking, news, since, news.until)?,
        None => (Vec::new(), Vec::new()),
    };
    Ok(DeviceLists { changed, left })
}

/// What a device has left of its keys.
#[derive(Serialize)]
pub(super) struct KeysLeft {
    #[serde(rename = "device_one_time_keys_count")]
    one_time: BTreeMap<String, u64>,
    #[serde(rename = "device_unused_fallback_key_types")]
    fallback: Vec<String>,
}

pub(super) fn keys_left(snapshot: &Snapshot, session: &Session) -> Result<KeysLeft, StoreError> {
    let (account, device) = (session.account, session.device.as_str());
    Ok(KeysLeft {
        one_time: keys::one_time_key_counts(snapshot, account, device)?,
        fallback: keys::unused_fallback_keys(snapshot, account, device)?,
    })
}
