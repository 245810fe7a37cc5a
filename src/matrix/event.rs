//! An event of a room, as it is before a client gets it, and what redacting leaves of it.

use std::fmt;

use serde_json::Map;
use serde_json::Value;

use crate::base::time::AppleTime;
use crate::matrix::event_id::EventKey;
use crate::matrix::event_id::EventKind;
use crate::matrix::ids::RoomId;
use crate::matrix::ids::UserId;

/// The content of an event.
pub type Content = Map<String, Value>;

/// One event of a room.
#[derive(Clone, PartialEq)]
pub struct Event {
    /// Its name; the room makes an id of it.
    pub key: EventKey,
    /// Its type: `m.room.message`.
    pub event_type: &'static str,
    /// Who did it.
    pub sender: UserId,
    /// When, in milliseconds since 1970; 1 or more, because clients take 0 for "no time".
    pub origin_server_ts: i64,
    /// What it is the state of; `None` for events that are not state.
    pub state_key: Option<String>,
    /// What it says.
    pub content: Content,
    /// For state: what it said before.
    pub prev_content: Option<Content>,
    /// For redactions: what is redacted.
    pub redacts: Option<EventKey>,
    /// What it belongs to.
    pub relation: Option<Relation>,
    /// The redaction that emptied it.
    pub redacted_because: Option<Box<Event>>,
}

/// What an event belongs to: for indexes and bundles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relation {
    /// How.
    pub kind: RelationKind,
    /// The other event, which need not be held.
    pub parent: EventKey,
}

/// How an event belongs to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelationKind {
    /// It is a later text of it (`m.replace`).
    Replace,
    /// It is a reaction to it (`m.annotation`).
    Annotation,
    /// It answers it (`m.in_reply_to`; no `rel_type`).
    Reply,
}

impl RelationKind {
    /// Its `rel_type`; a reply has none.
    pub fn rel_type(self) -> Option<&'static str> {
        match self {
            Self::Replace => Some("m.replace"),
            Self::Annotation => Some("m.annotation"),
            Self::Reply => None,
        }
    }
}

/// What people wrote is private: logs show which event it is.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("key", &self.key)
            .field("type", &self.event_type)
            .finish_non_exhaustive()
    }
}

impl Event {
    /// An event that is no state and belongs to nothing.
    pub fn new(
        key: EventKey,
        event_type: &'static str,
        sender: UserId,
        at: AppleTime,
        content: Content,
    ) -> Self {
        Self {
            key,
            event_type,
            sender,
            origin_server_ts: at.unix_millis().max(1),
            state_key: None,
            content,
            prev_content: None,
            redacts: None,
            relation: None,
            redacted_because: None,
        }
    }

    /// A redaction, at the time `at`.
    ///
    /// `guid_of` names the row that brought it. Part and piece are the target's, with a bit for what that is, so that
    /// each event has its own redaction.
    pub(super) fn redaction(
        guid_of: EventKey,
        target: &EventKey,
        sender: UserId,
        at: AppleTime,
        room: &RoomId,
    ) -> Self {
        let piece = match target.kind {
            EventKind::Edit => target.piece | 0x8000,
            EventKind::Failure => target.piece | 0x4000,
            EventKind::Part
            | EventKind::Reaction
            | EventKind::Announcement
            | EventKind::Unsend
            | EventKind::TapbackRemoval
            | EventKind::Deletion
            | EventKind::State
            | EventKind::Local => target.piece,
        };
        let mut content = Content::new();
        // Room version 11 has it here; version 10 beside the content, where `json` writes it too.
        content.insert("redacts".to_owned(), room.event_id(target).into());
        let mut event = Self::new(
            guid_of.at(target.part, piece),
            "m.room.redaction",
            sender,
            at,
            content,
        );
        event.redacts = Some(*target);
        event
    }

    /// The same as state.
    #[must_use]
    pub(super) fn with_state_key(mut self, state_key: &str) -> Self {
        self.state_key = Some(state_key.to_owned());
        self
    }

    /// Whether a redaction emptied it.
    pub fn is_redacted(&self) -> bool {
        self.redacted_because.is_some()
    }

    /// What a redaction leaves of it: the keys that room version 10 keeps. Redacting again changes nothing.
    #[must_use]
    pub fn redacted(mut self, because: Self) -> Self {
        if self.redacted_because.is_none() {
            self.content = kept(self.event_type, self.content);
            self.prev_content = None;
            self.relation = None;
            self.redacted_because = Some(Box::new(because));
        }
        self
    }
}

/// The content that survives a redaction in room version 10.
///
/// Source: `[mx v1.12] room version 10, redactions`.
pub fn kept(event_type: &str, content: Content) -> Content {
    let keys: &[&str] = match event_type {
        "m.room.member" => &["membership", "join_authorised_via_users_server"],
        "m.room.create" => &["creator"],
        "m.room.join_rules" => &["join_rule", "allow"],
        "m.room.power_levels" => &[
            "ban",
            "events",
            "events_default",
            "kick",
            "redact",
            "state_default",
            "users",
            "users_default",
        ],
        "m.room.history_visibility" => &["history_visibility"],
        _ => return Content::new(),
    };
    content
        .into_iter()
        .filter(|(key, _)| keys.contains(&key.as_str()))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use serde_json::json;

    use super::Content;
    use super::kept;

    fn map(value: Value) -> Content {
        let Value::Object(map) = value else {
            panic!("no object")
        };
        map
    }

    #[test]
    fn a_redaction_leaves_what_room_version_ten_keeps() {
        let table = [
            (
                "m.room.message",
                json!({"body": "x", "m.relates_to": {}}),
                json!({}),
            ),
            ("m.reaction", json!({"m.relates_to": {}}), json!({})),
            ("m.room.redaction", json!({"redacts": "$x"}), json!({})),
            ("m.room.name", json!({"name": "x"}), json!({})),
            (
                "m.room.member",
                json!({"membership": "join", "displayname": "x"}),
                json!({"membership": "join"}),
            ),
            (
                "m.room.create",
                json!({"creator": "@a:b", "room_version": "10"}),
                json!({"creator": "@a:b"}),
            ),
            (
                "m.room.power_levels",
                json!({"users": {}, "invite": 1, "redact": 2}),
                json!({"users": {}, "redact": 2}),
            ),
        ];

        for (event_type, before, after) in table {
            assert_eq!(kept(event_type, map(before)), map(after), "{event_type}");
        }
    }
}
