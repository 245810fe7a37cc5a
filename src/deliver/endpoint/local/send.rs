//! Writing into local rooms.
//!
//! | request | |
//! |---|---|
//! | `PUT /rooms/{room}/send/{type}/{txn}`, `POST /rooms/{room}/send/{type}` | once for each transaction of a device |
//! | `PUT /rooms/{room}/redact/{event}/{txn}`, `POST /rooms/{room}/redact/{event}` | own events, others' with the power for it |
//! | `PUT /rooms/{room}/state/{type}[/{key}]` | |
//! | `PUT /rooms/{room}/typing/{user}` | for who is in the room |
//! | `POST /rooms/{room}/receipt/{type}/{event}`, `/read_markers` | forward only |
//! | `POST /rooms/{room}/report[/{event}]` | taken note of in the log |

use serde::Deserialize;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::base::ids::RowId;
use crate::base::time::AppleTime;
use crate::deliver::endpoint::Endpoint;
use crate::deliver::endpoint::call::Answer;
use crate::deliver::endpoint::call::Call;
use crate::deliver::endpoint::call::json;
use crate::deliver::endpoint::call::nothing;
use crate::deliver::endpoint::error::Code;
use crate::deliver::endpoint::error::MatrixError;
use crate::deliver::endpoint::local::Asked;
use crate::deliver::endpoint::local::event::CREATE;
use crate::deliver::endpoint::local::event::Draft;
use crate::deliver::endpoint::local::event::Event;
use crate::deliver::endpoint::local::event::MEMBER;
use crate::deliver::endpoint::local::event::POWER_LEVELS;
use crate::deliver::endpoint::local::event::REDACTION;
use crate::deliver::endpoint::local::event::Transaction;
use crate::deliver::endpoint::local::member::check_invited;
use crate::deliver::endpoint::local::member::parse_user;
use crate::deliver::endpoint::local::power::Power;
use crate::deliver::endpoint::local::power::malformed;
use crate::deliver::endpoint::local::room::NOW;
use crate::deliver::endpoint::local::state::Membership;
use crate::deliver::endpoint::receipts::FULLY_READ;
use crate::deliver::endpoint::receipts::Markers;
use crate::deliver::endpoint::receipts::READ;
use crate::deliver::endpoint::receipts::READ_PRIVATE;
use crate::deliver::endpoint::session::random_letters;
use crate::deliver::endpoint::typing::Notice;
use crate::matrix::event::Content;
use crate::store::account::NewReceipt;

/// Which of its requests this is, as the device says: where it does not, as scripts of long ago, one by itself.
fn transaction(call: &Call) -> Result<String, MatrixError> {
    match call.captures.get("txn") {
        Some(txn) => Ok(txn.to_owned()),
        None => random_letters::<24>(),
    }
}

/// `PUT /_matrix/client/v3/rooms/{room}/send/{type}/{txn}`, `POST /.../send/{type}`.
pub(super) fn send(endpoint: &Endpoint, call: &Call) -> Answer {
    let content: Content = call.json()?;
    let kind = call.segment("type");
    if kind == REDACTION {
        let target = content
            .get("redacts")
            .and_then(Value::as_str)
            .unwrap_or_default();
        return redact_event(endpoint, call, target, content.clone());
    }
    let session = call.session()?;
    let user = endpoint.user_of(session.account)?;
    let place = endpoint.place(call)?;
    let txn = transaction(call)?;
    let draft = Draft {
        transaction: Some(Transaction::new(session, &txn)),
        ..Draft::said(kind, &user, content)
    };
    let id = place.id.as_str();
    let is_repeated = {
        let key = crate::store::account::SentKey {
            account: session.account,
            device: &session.device,
            room: id,
            kind,
            transaction: &txn,
        };
        endpoint.store.snapshot()?.sent(key)?.is_some()
    };
    if !is_repeated {
        endpoint.in_local(call, |asked| check_relation(asked, &draft))?;
    }
    let event_id = endpoint.add_once(&place, session, txn, draft)?;
    if kind == super::event::MESSAGE {
        super::notices::answer(endpoint, &place, &event_id);
    }
    json(&json!({ "event_id": event_id }))
}

/// Refuses a reaction that is there already, and threads that begin at an event of another one.
fn check_relation(asked: &Asked<'_>, draft: &Draft) -> Result<(), MatrixError> {
    let Some(relation) = draft.content.get("m.relates_to") else {
        return Ok(());
    };
    let text = |name: &str| relation.get(name).and_then(Value::as_str);
    let (Some(rel_type), Some(parent)) = (text("rel_type"), text("event_id")) else {
        return Ok(());
    };
    match rel_type {
        "m.annotation" => {
            let is_same = |event: &Event| {
                event.kind == draft.kind
                    && event.sender == draft.sender
                    && event
                        .content
                        .get("m.relates_to")
                        .and_then(|held| held.get("key"))
                        == relation.get("key")
            };
            if asked
                .children(parent, Some("m.annotation"))?
                .iter()
                .any(is_same)
            {
                let text = "that reaction is there already";
                return Err(MatrixError::new(Code::DuplicateAnnotation, text));
            }
        }
        "m.thread" => {
            let root = asked.room.event(parent)?;
            if root.is_some_and(|root| root.relation().is_some()) {
                let text = "no thread begins at an event that belongs to another";
                return Err(MatrixError::new(Code::Unknown, text)
                    .with_status(crate::net::StatusCode::BAD_REQUEST));
            }
        }
        _ => {}
    }
    Ok(())
}

/// `PUT /_matrix/client/v3/rooms/{room}/redact/{event}/{txn}`, `POST /.../redact/{event}`.
pub(super) fn redact(endpoint: &Endpoint, call: &Call) -> Answer {
    let content: Content = call.json()?;
    redact_event(endpoint, call, call.segment("event"), content)
}

fn redact_event(endpoint: &Endpoint, call: &Call, target: &str, mut content: Content) -> Answer {
    let session = call.session()?;
    let place = endpoint.place(call)?;
    let target = target.to_owned();
    let user = endpoint.user_of(session.account)?;
    endpoint.in_local(call, |asked| {
        if asked.eyes.now() != Some(Membership::Join) {
            return Err(MatrixError::forbidden("you are not in that room"));
        }
        let Some(event) = asked.room.event(&target)? else {
            return Err(if place.id.event_key(&target).is_some() {
                MatrixError::not_found("there is no such event in this room")
            } else {
                MatrixError::invalid("that is no event of this room")
            });
        };
        let state = asked.room.state(NOW)?;
        if event.kind == CREATE
            || (event.sender != asked.user && !Power::of(&state).may(&asked.user, "redact"))
        {
            return Err(MatrixError::forbidden("you may not redact that event"));
        }
        Ok(())
    })?;
    content.insert("redacts".to_owned(), target.clone().into());
    let txn = transaction(call)?;
    let draft = Draft {
        transaction: Some(Transaction::new(session, &txn)),
        redacts: Some(target),
        ..Draft::said(REDACTION, &user, content)
    };
    let event_id = endpoint.add_once(&place, session, txn, draft)?;
    json(&json!({ "event_id": event_id }))
}

/// `PUT /_matrix/client/v3/rooms/{room}/state/{type}[/{key}]`.
pub(super) fn state(endpoint: &Endpoint, call: &Call) -> Answer {
    let mut content: Content = call.json()?;
    let (kind, key) = (call.segment("type"), call.segment("key"));
    let user = endpoint.user_of(call.session()?.account)?;
    match kind {
        POWER_LEVELS => {
            if let Some(wrong) = malformed(&content) {
                return Err(MatrixError::new(Code::BadJson, wrong));
            }
        }
        MEMBER => {
            parse_user(key)?;
            let membership = content.get("membership").and_then(Value::as_str);
            if membership.is_none() {
                let text = "a member event has a `membership`";
                return Err(MatrixError::new(Code::BadJson, text));
            }
            if membership == Some("invite") {
                check_invited(endpoint, key)?;
                let snapshot = endpoint.store.snapshot()?;
                for (name, value) in super::profile::member(endpoint, &snapshot, key, "invite")? {
                    content.entry(name).or_insert(value);
                }
            }
        }
        _ => {}
    }
    let draft = Draft::state(kind, key, &user, Value::Object(content));
    let event = endpoint.add(&endpoint.place(call)?, draft)?;
    json(&json!({ "event_id": event.event_id }))
}

/// `PUT /_matrix/client/v3/rooms/{room}/typing/{user}`.
pub(super) fn typing(endpoint: &Endpoint, call: &Call) -> Answer {
    let notice: Notice = call.json()?;
    let user = endpoint.user_of(call.session()?.account)?;
    if call.segment("user") != user {
        return Err(MatrixError::forbidden("only for yourself"));
    }
    endpoint.in_local(call, |asked| {
        asked.joined()?;
        endpoint.typing.note(&asked.room.id, &user, &notice);
        nothing()
    })
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Receipt {
    thread_id: Option<Value>,
}

/// `POST /_matrix/client/v3/rooms/{room}/receipt/{type}/{event}`.
pub(super) fn receipt(endpoint: &Endpoint, call: &Call) -> Answer {
    let Receipt { thread_id } = call.json()?;
    let kind = match call.segment("type") {
        READ => READ,
        READ_PRIVATE => READ_PRIVATE,
        FULLY_READ => FULLY_READ,
        _ => return Err(MatrixError::invalid("there is no such type of receipt")),
    };
    let thread = match thread_id {
        None | Some(Value::Null) => None,
        Some(Value::String(thread)) if !thread.is_empty() && kind != FULLY_READ => Some(thread),
        Some(_) => return Err(MatrixError::invalid("that is no thread")),
    };
    put_receipts(
        endpoint,
        call,
        &[(kind, call.segment("event").to_owned())],
        thread.as_deref(),
    )
}

/// `POST /_matrix/client/v3/rooms/{room}/read_markers`.
pub(super) fn markers(endpoint: &Endpoint, call: &Call) -> Answer {
    let markers: Markers = call.json()?;
    let said = [
        (FULLY_READ, markers.fully_read),
        (READ, markers.read),
        (READ_PRIVATE, markers.read_private),
    ];
    let said = said
        .into_iter()
        .filter_map(|(kind, event)| Some((kind, event?)));
    put_receipts(endpoint, call, &said.collect::<Vec<_>>(), None)
}

/// Moves receipts forward. An event that is not there is passed over.
fn put_receipts(
    endpoint: &Endpoint,
    call: &Call,
    said: &[(&'static str, String)],
    thread: Option<&str>,
) -> Answer {
    let account = call.session()?.account;
    endpoint.in_local(call, |asked| {
        asked.joined()?;
        let mut moves = Vec::new();
        for (kind, id) in said {
            if let Some(event) = asked.room.event(id)? {
                let new = NewReceipt {
                    event_id: id.clone(),
                    time: order(&event),
                    row: RowId(0),
                    thread: thread.map(str::to_owned),
                };
                moves.push((*kind, new));
            }
        }
        let row = asked.room.row;
        endpoint.write(move |transaction| {
            for (kind, receipt) in moves {
                transaction.put_receipt(account, row, kind, receipt)?;
            }
            Ok(())
        })?;
        nothing()
    })
}

/// What orders receipts of a local room: its events are ordered by their changes, however the clock went.
pub(super) fn order(event: &Event) -> AppleTime {
    AppleTime::from_nanos(i64::try_from(event.at.0).unwrap_or(i64::MAX))
}

/// `POST /_matrix/client/v3/rooms/{room}/report` and `/report/{event}`: there is no one to tell but the log.
pub(super) fn report(endpoint: &Endpoint, call: &Call) -> Answer {
    let said: Map<String, Value> = call.json()?;
    if said.get("reason").is_some_and(|reason| !reason.is_string()) {
        return Err(MatrixError::new(Code::BadJson, "a reason is a text"));
    }
    if said.get("score").is_some_and(|score| !score.is_i64()) {
        return Err(MatrixError::new(Code::BadJson, "a score is a whole number"));
    }
    endpoint.in_local(call, |asked| {
        if let Some(id) = call.captures.get("event") {
            asked
                .joined()
                .map_err(|_stranger| MatrixError::not_found("there is no such event"))?;
            asked.event(id)?;
        }
        tracing::warn!("a client reported something of a local room");
        nothing()
    })
}
