//! An event of a local room: as the store keeps it, as clients see it, and what a redaction leaves of it.

use std::fmt;

use ruma::OwnedRoomAliasId;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::base::ids::ChangeNumber;
use crate::deliver::endpoint::error::Code;
use crate::deliver::endpoint::error::MatrixError;
use crate::deliver::endpoint::local::eyes::Eyes;
use crate::deliver::endpoint::local::state::Membership;
use crate::deliver::endpoint::session::Session;
use crate::matrix::event::Content;
use crate::matrix::event::kept;
use crate::store::value::LocalEvent;

/// The largest event, bytes (`[mx v1.12] Size limits`).
const EVENT_BYTES: usize = 65_536;

/// The longest type, state key or user id, bytes.
const NAME_BYTES: usize = 255;

/// The largest number that JSON of events may hold (`[mx v1.12] Canonical JSON`).
const MOST: i64 = (1 << 53) - 1;

pub(super) const CREATE: &str = "m.room.create";
pub(super) const MEMBER: &str = "m.room.member";
pub(super) const POWER_LEVELS: &str = "m.room.power_levels";
pub(super) const JOIN_RULES: &str = "m.room.join_rules";
pub(super) const HISTORY_VISIBILITY: &str = "m.room.history_visibility";
pub(super) const REDACTION: &str = "m.room.redaction";
pub(super) const NAME: &str = "m.room.name";
pub(super) const TOPIC: &str = "m.room.topic";
pub(super) const AVATAR: &str = "m.room.avatar";
pub(super) const GUEST_ACCESS: &str = "m.room.guest_access";
pub(super) const ENCRYPTION: &str = "m.room.encryption";
pub(super) const MESSAGE: &str = "m.room.message";
pub(super) const CANONICAL_ALIAS: &str = "m.room.canonical_alias";

/// An event that is not in the room yet.
#[derive(Clone)]
pub(super) struct Draft {
    pub(super) kind: String,
    pub(super) sender: String,
    /// `None` for what is no state.
    pub(super) state_key: Option<String>,
    pub(super) content: Content,
    /// Of a redaction: what is redacted.
    pub(super) redacts: Option<String>,
    pub(super) transaction: Option<Transaction>,
}

impl Draft {
    /// State with an object as its content; anything else is empty.
    pub(super) fn state(kind: &str, key: &str, sender: &str, content: Value) -> Self {
        Self {
            state_key: Some(key.to_owned()),
            ..Self::said(kind, sender, object(content))
        }
    }

    /// What is no state.
    pub(super) fn said(kind: &str, sender: &str, content: Content) -> Self {
        Self {
            kind: kind.to_owned(),
            sender: sender.to_owned(),
            state_key: None,
            content,
            redacts: None,
            transaction: None,
        }
    }

    /// Whether it can be an event at all: its size, its names, its numbers, the aliases in it.
    ///
    /// # Errors
    ///
    /// 400 and 413.
    pub(super) fn check(&self) -> Result<(), MatrixError> {
        let names = [Some(&self.kind), self.state_key.as_ref()];
        let is_long = |name: &&String| name.len() > NAME_BYTES;
        if names.into_iter().flatten().any(|name| is_long(&name)) {
            let text = "types and state keys have at most 255 bytes";
            return Err(MatrixError::new(Code::TooLarge, text));
        }
        if !self.content.values().all(is_canonical) {
            let text = "events have whole numbers up to 2^53 - 1 only";
            return Err(MatrixError::new(Code::BadJson, text));
        }
        let bytes = serde_json::to_vec(&self.content).unwrap_or_default().len();
        // Room for what stands around the content.
        if bytes + 1_024 > EVENT_BYTES {
            let text = "an event has at most 65536 bytes";
            return Err(MatrixError::new(Code::TooLarge, text));
        }
        if self.kind == CANONICAL_ALIAS && self.state_key.is_some() {
            check_aliases(&self.content)?;
        }
        Ok(())
    }
}

/// Refuses what is no alias, and what is one: none leads to any room here. No text, or an empty one, is none.
fn check_aliases(content: &Content) -> Result<(), MatrixError> {
    let malformed = || MatrixError::invalid("that is no alias");
    let is_said = |value: &&Value| !value.is_null() && **value != "";
    let mut named: Vec<&Value> = content.get("alias").filter(is_said).into_iter().collect();
    match content.get("alt_aliases") {
        None | Some(Value::Null) => {}
        Some(Value::Array(others)) => named.extend(others),
        Some(_) => return Err(malformed()),
    }
    for alias in &named {
        let alias = alias.as_str().ok_or_else(malformed)?;
        OwnedRoomAliasId::try_from(alias).map_err(|_error| malformed())?;
    }
    if named.is_empty() {
        return Ok(());
    }
    let text = "rooms here have no aliases";
    Err(MatrixError::new(Code::BadAlias, text))
}

/// An object's members; of anything else, none.
pub(super) fn object(value: Value) -> Content {
    match value {
        Value::Object(members) => members,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Content::new()
        }
    }
}

/// Sets a member of an object.
pub(super) fn set(object: &mut Value, name: &str, value: impl Into<Value>) {
    if let Some(members) = object.as_object_mut() {
        members.insert(name.to_owned(), value.into());
    }
}

fn is_canonical(value: &Value) -> bool {
    match value {
        Value::Number(number) => number
            .as_i64()
            .is_some_and(|number| (-MOST..=MOST).contains(&number)),
        Value::Array(values) => values.iter().all(is_canonical),
        Value::Object(members) => members.values().all(is_canonical),
        Value::Null | Value::Bool(_) | Value::String(_) => true,
    }
}

/// Which request of which device sent an event: that device alone is told.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Transaction {
    account: u8,
    device: String,
    id: String,
}

impl Transaction {
    pub(super) fn new(session: &Session, id: &str) -> Self {
        Self {
            account: session.account.0,
            device: session.device.clone(),
            id: id.to_owned(),
        }
    }

    fn is_of(&self, session: &Session) -> bool {
        self.account == session.account.0 && self.device == session.device
    }
}

/// An event of a local room.
#[expect(
    clippy::struct_field_names,
    reason = "the fields are named as in Matrix"
)]
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Event {
    /// The change that brought it: its place in the room.
    #[serde(skip)]
    pub(super) at: ChangeNumber,
    pub(super) event_id: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) sender: String,
    /// Milliseconds since 1970.
    pub(super) origin_server_ts: i64,
    pub(super) content: Content,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) state_key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) redacts: Option<String>,
    /// Of state: what it said before, and which event said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) before: Option<Before>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) redacted_because: Option<Box<Self>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) transaction: Option<Transaction>,
}

/// What a piece of state said before.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Before {
    pub(super) event_id: String,
    pub(super) content: Content,
    pub(super) sender: String,
}

/// What people wrote is private: logs show which event it is.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("event_id", &self.event_id)
            .field("type", &self.kind)
            .finish_non_exhaustive()
    }
}

/// What decides how an event is written.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) session: &'a Session,
    pub(super) room: &'a str,
    pub(super) eyes: &'a Eyes,
    /// Milliseconds since 1970.
    pub(super) now: i64,
    /// Whether the room is told by what stands around the event.
    pub(super) is_in_room: bool,
}

impl Event {
    /// As it was kept at a place; `None` for what is no event.
    pub(super) fn read(at: ChangeNumber, held: &LocalEvent) -> Option<Self> {
        let event: Option<Self> = serde_json::from_slice(&held.body.0).ok();
        event.map(|event| Self { at, ..event })
    }

    /// As it is kept.
    pub(super) fn bytes(&self) -> Vec<u8> {
        // Maps with text keys: there is nothing that could go wrong.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// A text of its content.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.content.get(name).and_then(Value::as_str)
    }

    /// Whether it is a certain piece of state.
    pub(super) fn is_state(&self, kind: &str, key: &str) -> bool {
        self.kind == kind && self.state_key.as_deref() == Some(key)
    }

    /// The event that it belongs to, and how: `rel_type`.
    pub(super) fn relation(&self) -> Option<(&str, &str)> {
        let relation = self.content.get("m.relates_to")?;
        let text = |name: &str| relation.get(name).and_then(Value::as_str);
        Some((text("rel_type")?, text("event_id")?))
    }

    /// The thread that it is in, by its root.
    pub(super) fn thread(&self) -> Option<&str> {
        let (rel_type, root) = self.relation()?;
        (rel_type == "m.thread").then_some(root)
    }

    /// What a redaction leaves of it. Redacting again changes nothing.
    pub(super) fn redact(&mut self, because: &Self) {
        if self.redacted_because.is_some() {
            return;
        }
        self.content = kept(&self.kind, std::mem::take(&mut self.content));
        self.before = None;
        self.redacts = None;
        self.redacted_because = Some(Box::new(because.clone()));
    }

    /// For a client, with what is bundled with it.
    pub(super) fn json(&self, reader: &Reader<'_>, bundle: Option<Value>) -> Value {
        let mut unsigned = Map::new();
        let age = reader.now.saturating_sub(self.origin_server_ts).max(0);
        unsigned.insert("age".to_owned(), age.into());
        // A redaction within what it redacted has no place of its own.
        if self.at > ChangeNumber::default() {
            let membership = reader.eyes.membership(self.at);
            let membership = membership.unwrap_or(Membership::Leave).as_str();
            unsigned.insert("membership".to_owned(), membership.into());
        }
        let own = self.transaction.as_ref();
        if let Some(own) = own.filter(|own| own.is_of(reader.session)) {
            unsigned.insert("transaction_id".to_owned(), own.id.clone().into());
        }
        if let Some(before) = &self.before {
            unsigned.insert("prev_content".to_owned(), json!(before.content));
            unsigned.insert("replaces_state".to_owned(), json!(before.event_id));
            unsigned.insert("prev_sender".to_owned(), json!(before.sender));
        }
        if let Some(because) = &self.redacted_because {
            unsigned.insert("redacted_because".to_owned(), because.json(reader, None));
        }
        if let Some(bundle) = bundle {
            unsigned.insert("m.relations".to_owned(), bundle);
        }
        let mut event = Map::new();
        event.insert("event_id".to_owned(), json!(self.event_id));
        event.insert("type".to_owned(), json!(self.kind));
        event.insert("sender".to_owned(), json!(self.sender));
        event.insert("origin_server_ts".to_owned(), json!(self.origin_server_ts));
        event.insert("content".to_owned(), json!(self.content));
        if let Some(key) = &self.state_key {
            event.insert("state_key".to_owned(), json!(key));
        }
        if let Some(target) = &self.redacts {
            event.insert("redacts".to_owned(), json!(target));
        }
        if !reader.is_in_room {
            event.insert("room_id".to_owned(), json!(reader.room));
        }
        event.insert("unsigned".to_owned(), Value::Object(unsigned));
        Value::Object(event)
    }

    /// As who is invited sees it (`[mx v1.12] Stripped state`).
    pub(super) fn stripped(&self) -> Value {
        json!({
            "type": self.kind,
            "sender": self.sender,
            "state_key": self.state_key,
            "content": self.content,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_events_are_whole_and_not_too_large() {
        for (content, fits) in [
            (json!({"a": [1, -1, MOST, {"b": -MOST}]}), true),
            (json!({"a": 1.5}), false),
            (json!({"a": {"b": [MOST + 1]}}), false),
            (json!({"a": u64::MAX}), false),
        ] {
            let draft = Draft::said("x", "@a:b", object(content.clone()));
            let code = draft.check().err().map(|error| error.code());
            assert_eq!(code, (!fits).then_some(Code::BadJson), "{content}");
        }
    }

    #[test]
    fn what_is_too_large_is_no_event() {
        let long = "x".repeat(NAME_BYTES + 1);
        let kind = Draft::said(&long, "@a:b", Content::new());
        let key = Draft::state("x", &long, "@a:b", json!({}));
        let body = Draft::said(
            "x",
            "@a:b",
            object(json!({"body": "x".repeat(EVENT_BYTES)})),
        );

        for draft in [kind, key, body] {
            let code = draft.check().err().map(|error| error.code());
            assert_eq!(code, Some(Code::TooLarge));
        }
    }
}
