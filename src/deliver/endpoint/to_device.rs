//! Messages from device to device: `PUT /sendToDevice/{type}/{txn}`.
//!
//! They wait in the queue of each device of an account here until its `/sync` takes them. For ghosts, and for devices that
//! are not logged in, there is nobody to take them: they are dropped, as the specification has it for unknown devices.
//!
//! Source: `[mx v1.12] Send-to-Device messaging`.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde::Deserialize;
use serde::Serialize;
use serde_json::Map;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::base::limits::LARGE_BODY_BYTES;
use crate::deliver::endpoint::Endpoint;
use crate::deliver::endpoint::call::Answer;
use crate::deliver::endpoint::call::Call;
use crate::deliver::endpoint::call::bad_json;
use crate::deliver::endpoint::call::nothing;
use crate::deliver::endpoint::error::MatrixError;
use crate::deliver::endpoint::route::Route;
use crate::net::Method;
use crate::store::Snapshot;
use crate::store::account::Account;
use crate::store::account::SentKey;
use crate::store::value::Opaque;

pub(super) fn routes() -> Vec<Route> {
    let path = "/sendToDevice/{type}/{txn}";
    vec![Route::new(Method::PUT, path, send).with_body(LARGE_BODY_BYTES)]
}

#[derive(Deserialize)]
struct Sent {
    /// By user and device; `*` is every device.
    messages: BTreeMap<String, BTreeMap<String, Box<RawValue>>>,
}

/// A message as `/sync` delivers it.
#[derive(Serialize)]
struct Delivered<'m> {
    sender: &'m str,
    #[serde(rename = "type")]
    kind: &'m str,
    content: &'m RawValue,
}

/// `PUT /_matrix/client/v3/sendToDevice/{type}/{txn}`. The same request again does nothing.
fn send(endpoint: &Endpoint, call: &Call) -> Answer {
    let session = call.session()?;
    let sent: Sent = call.json()?;
    let sender = endpoint.user_of(session.account)?;
    let snapshot = endpoint.store.snapshot()?;
    let mut queued = Vec::new();
    for (user, messages) in &sent.messages {
        let Some(account) = endpoint.account_of(&snapshot, user)? else {
            continue;
        };
        for (device, content) in messages {
            let content: &RawValue = content;
            serde_json::from_str::<Map<String, Value>>(content.get())
                .map_err(|error| bad_json(&error))?;
            let delivered = Delivered {
                sender: &sender,
                kind: call.segment("type"),
                content,
            };
            let body = serde_json::to_vec(&delivered).map_err(|error| bad_json(&error))?;
            for device in meant(&snapshot, account, device)? {
                queued.push((account, device, Opaque(body.clone())));
            }
        }
    }
    let (account, device) = (session.account, session.device.clone());
    let [kind, txn] = ["type", "txn"].map(|name| call.segment(name).to_owned());
    endpoint.write(move |transaction| {
        let key = SentKey {
            account,
            device: &device,
            room: "",
            kind: &kind,
            transaction: &txn,
        };
        if transaction.sent(key)?.is_some() {
            return Ok(());
        }
        for (account, device, body) in queued {
            transaction.send_to_device(account, &device, body)?;
        }
        transaction.remember_sent(key, "")
    })?;
    nothing()
}

/// The devices that a name stands for, as far as they are logged in.
fn meant(
    snapshot: &Snapshot,
    account: Account,
    name: &str,
) -> Result<BTreeSet<String>, MatrixError> {
    let devices = snapshot.devices(account)?.into_iter();
    let meant =
        devices.filter(|(id, device)| device.token.is_some() && (name == "*" || name == id));
    Ok(meant.map(|(id, _)| id).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::base::ids::ChangeNumber;
    use crate::deliver::endpoint::testing::ADA;
    use crate::deliver::endpoint::testing::ANN;
    use crate::deliver::endpoint::testing::DEVICE;
    use crate::deliver::endpoint::testing::World;

    const PATH: &str = "/sendToDevice/m.key.verification.request";

    fn waiting(world: &World, device: &str) -> Vec<Value> {
        let snapshot = world.store.snapshot().unwrap();
        let waiting = snapshot.to_device(Account::OWNER, device, ChangeNumber::default(), 100);
        let json = |body: Opaque| serde_json::from_slice(&body.0).unwrap();
        waiting
            .unwrap()
            .into_iter()
            .map(|(_, message)| json(message.body))
            .collect()
    }

    #[tokio::test]
    async fn a_message_reaches_the_device_that_it_names() {
        let world = World::new();
        world.log_in("TABLET");

        let body = json!({"messages": {ADA: {"TABLET": {"from_device": DEVICE}, "GONE": {}}}});
        world.put(&format!("{PATH}/1"), body).await.ok();

        let expected = json!({
            "type": "m.key.verification.request", "sender": ADA,
            "content": {"from_device": DEVICE},
        });
        assert_eq!(waiting(&world, "TABLET"), [expected]);
        assert!(waiting(&world, DEVICE).is_empty() && waiting(&world, "GONE").is_empty());
    }

    #[tokio::test]
    async fn a_star_is_every_device() {
        let world = World::new();
        world.log_in("TABLET");

        let body = json!({"messages": {ADA: {"*": {}}}});
        world.put(&format!("{PATH}/1"), body).await.ok();

        assert_eq!(
            (
                waiting(&world, "TABLET").len(),
                waiting(&world, DEVICE).len()
            ),
            (1, 1)
        );
    }

    #[tokio::test]
    async fn the_same_request_again_does_nothing() {
        let world = World::new();
        let body = json!({"messages": {ADA: {DEVICE: {}}}});

        for txn in ["1", "1", "2"] {
            world.put(&format!("{PATH}/{txn}"), body.clone()).await.ok();
        }

        assert_eq!(waiting(&world, DEVICE).len(), 2);
    }

    #[tokio::test]
    async fn what_ghosts_are_sent_is_dropped() {
        let world = World::new();

        let body = json!({"messages": {world.ghost(ANN): {"*": {}}, "@eve:other.org": {"*": {}}}});
        world.put(&format!("{PATH}/1"), body).await.ok();

        assert!(waiting(&world, DEVICE).is_empty());
    }

    #[tokio::test]
    async fn what_is_no_message_is_refused() {
        let world = World::new();

        for body in [json!({}), json!({"messages": {ADA: {DEVICE: 1}}})] {
            let reply = world.put(&format!("{PATH}/1"), body).await;
            assert_eq!(reply.refusal(), (400, "M_BAD_JSON"));
        }
    }
}
