//! An event as the client-server API writes it.
//!
//! Source: `[mx v1.12] ClientEvent`; facts of the endpoint, 4.2.

use serde::Serialize;
use serde::Serializer;
use serde::ser::SerializeMap;

use crate::matrix::event::Event;
use crate::matrix::ids::RoomId;

/// Whether an event says which room it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Inside the room's block of a sync: it does not.
    InRoom,
    /// Everywhere else: it does.
    Alone,
}

/// An event for one client; serialising it writes its JSON.
#[derive(Clone, Copy, Debug)]
pub struct ClientEvent<'a> {
    event: &'a Event,
    room: &'a RoomId,
    form: Form,
    now: Option<i64>,
    transaction_id: Option<&'a str>,
    replaced_by: Option<&'a Event>,
    has_user_id: bool,
}

impl<'a> ClientEvent<'a> {
    /// An event of a room.
    pub fn new(event: &'a Event, room: &'a RoomId, form: Form) -> Self {
        Self {
            event,
            room,
            form,
            now: None,
            transaction_id: None,
            replaced_by: None,
            has_user_id: false,
        }
    }

    /// With its age at `now`, in milliseconds since 1970.
    #[must_use]
    pub fn aged(self, now: i64) -> Self {
        Self {
            now: Some(now),
            ..self
        }
    }

    /// With the transaction of the device that sent it; only that device may see it.
    #[must_use]
    pub fn with_transaction(self, id: Option<&'a str>) -> Self {
        Self {
            transaction_id: id,
            ..self
        }
    }

    /// With its newest edit bundled.
    #[must_use]
    pub fn replaced_by(self, edit: Option<&'a Event>) -> Self {
        Self {
            replaced_by: edit,
            ..self
        }
    }

    /// With its sender once more, as `user_id`: so the first version of the API called it, and Synapse still does.
    #[must_use]
    pub fn with_user_id(self) -> Self {
        Self {
            has_user_id: true,
            ..self
        }
    }

    /// Its JSON.
    pub fn to_json(&self) -> String {
        // Maps with text keys and no failing writer: there is nothing that could go wrong.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Serialize for ClientEvent<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let event = self.event;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("event_id", &self.room.event_id(&event.key))?;
        map.serialize_entry("type", event.event_type)?;
        map.serialize_entry("sender", event.sender.as_str())?;
        if self.has_user_id {
            map.serialize_entry("user_id", event.sender.as_str())?;
        }
        map.serialize_entry("origin_server_ts", &event.origin_server_ts)?;
        map.serialize_entry("content", &event.content)?;
        if let Some(state_key) = &event.state_key {
            map.serialize_entry("state_key", state_key)?;
        }
        if let Some(target) = event.redacts.as_ref().filter(|_| !event.is_redacted()) {
            map.serialize_entry("redacts", &self.room.event_id(target))?;
        }
        if self.form == Form::Alone {
            map.serialize_entry("room_id", self.room.as_str())?;
        }
        let unsigned = Unsigned(self);
        if !unsigned.is_empty() {
            map.serialize_entry("unsigned", &unsigned)?;
        }
        map.end()
    }
}

/// The part of an event that is about the moment and the device that asks.
struct Unsigned<'a>(&'a ClientEvent<'a>);

impl Unsigned<'_> {
    fn is_empty(&self) -> bool {
        let event = self.0.event;
        self.0.now.is_none()
            && self.0.transaction_id.is_none()
            && self.0.replaced_by.is_none()
            && event.prev_content.is_none()
            && event.redacted_because.is_none()
    }
}

impl Serialize for Unsigned<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(asked) = self;
        let event = asked.event;
        let other = |event| ClientEvent::new(event, asked.room, asked.form);
        let mut map = serializer.serialize_map(None)?;
        if let Some(now) = asked.now {
            map.serialize_entry("age", &now.saturating_sub(event.origin_server_ts))?;
        }
        if let Some(id) = asked.transaction_id {
            map.serialize_entry("transaction_id", id)?;
        }
        if let Some(content) = &event.prev_content {
            map.serialize_entry("prev_content", content)?;
        }
        if let Some(because) = &event.redacted_because {
            map.serialize_entry("redacted_because", &other(because))?;
        }
        if let Some(edit) = asked.replaced_by {
            map.serialize_entry("m.relations", &Bundle(other(edit)))?;
        }
        map.end()
    }
}

/// What is bundled with an event: reactions are not.
struct Bundle<'a>(ClientEvent<'a>);

impl Serialize for Bundle<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry("m.replace", &self.0)?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use serde_json::json;

    use super::ClientEvent;
    use super::Form;
    use crate::base::time::AppleTime;
    use crate::matrix::event::Content;
    use crate::matrix::event::Event;
    use crate::matrix::event_id::EventKey;
    use crate::matrix::ids::Account;
    use crate::matrix::ids::RoomId;
    use crate::matrix::ids::ServerName;

    fn room() -> RoomId {
        RoomId::new("!room:example.org")
    }

    fn event(guid: u8, millis: i64) -> Event {
        let account = Account::new("ada", ServerName::parse("example.org").unwrap()).unwrap();
        let mut content = Content::new();
        content.insert("body".to_owned(), "x".into());
        Event::new(
            EventKey::local([guid; 16]),
            "m.room.message",
            account.user().clone(),
            AppleTime::from_unix_millis(millis),
            content,
        )
    }

    fn json(event: &ClientEvent<'_>) -> Value {
        serde_json::from_str(&event.to_json()).unwrap()
    }

    #[test]
    fn an_event_names_its_room_outside_of_it_only() {
        let event = event(1, 1_000);

        let alone = json(&ClientEvent::new(&event, &room(), Form::Alone));
        let inside = json(&ClientEvent::new(&event, &room(), Form::InRoom));

        let mut expected = json!({
            "event_id": room().event_id(&event.key),
            "type": "m.room.message",
            "sender": "@ada:example.org",
            "origin_server_ts": 1000,
            "content": {"body": "x"},
        });
        assert_eq!(inside, expected);
        expected["room_id"] = "!room:example.org".into();
        assert_eq!(alone, expected);
    }

    #[test]
    fn a_sender_is_named_twice_where_asked_for() {
        let event = event(1, 1_000);

        let shown = json(&ClientEvent::new(&event, &room(), Form::Alone).with_user_id());

        assert_eq!(shown["user_id"], "@ada:example.org");
        assert_eq!(shown["user_id"], shown["sender"]);
    }

    #[test]
    fn what_is_about_the_moment_is_unsigned() {
        let (mut event, edit) = (event(1, 1_000), event(2, 2_000));
        event.state_key = Some(String::new());
        event.prev_content = Some(Content::new());

        let room = room();
        let asked = ClientEvent::new(&event, &room, Form::InRoom)
            .aged(1_500)
            .with_transaction(Some("t1"))
            .replaced_by(Some(&edit));

        let unsigned = json!({
            "age": 500,
            "transaction_id": "t1",
            "prev_content": {},
            "m.relations": {"m.replace": json(&ClientEvent::new(&edit, &room, Form::InRoom))},
        });
        assert_eq!(json(&asked)["unsigned"], unsigned);
        assert_eq!(json(&asked)["state_key"], "");
    }

    #[test]
    fn a_redacted_event_shows_the_redaction_and_nothing_else() {
        let (event, room) = (event(1, 1_000), room());
        let because = Event::redaction(
            EventKey::local([3; 16]),
            &event.key,
            event.sender.clone(),
            AppleTime::from_unix_millis(3_000),
            &room,
        );

        let because_json = json(&ClientEvent::new(&because, &room, Form::InRoom));
        let redacted = event.clone().redacted(because);
        let shown = json(&ClientEvent::new(&redacted, &room, Form::InRoom));

        assert_eq!(because_json["redacts"], room.event_id(&event.key));
        assert_eq!(because_json["content"]["redacts"], because_json["redacts"]);
        assert_eq!(shown["content"], json!({}));
        assert_eq!(shown["unsigned"], json!({"redacted_because": because_json}));
    }

    #[test]
    fn times_before_1970_are_one_millisecond() {
        assert_eq!(event(1, -5_000).origin_server_ts, 1);
        assert_eq!(event(1, 0).origin_server_ts, 1);
    }
}
