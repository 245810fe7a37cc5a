//! `POST /createRoom`: a room begins with its creation, its creator, who may do what, and then what was asked for, in the
//! order of the specification. Nothing is written before all of it is known to be allowed.
//!
//! Source: `[mx v1.12] POST /createRoom`.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::base::ids::ChangeNumber;
use crate::deliver::endpoint::Endpoint;
use crate::deliver::endpoint::call::Answer;
use crate::deliver::endpoint::call::Call;
use crate::deliver::endpoint::call::json;
use crate::deliver::endpoint::call::or_default;
use crate::deliver::endpoint::error::Code;
use crate::deliver::endpoint::error::MatrixError;
use crate::deliver::endpoint::local::directory;
use crate::deliver::endpoint::local::event::CREATE;
use crate::deliver::endpoint::local::event::Draft;
use crate::deliver::endpoint::local::event::Event;
use crate::deliver::endpoint::local::event::GUEST_ACCESS;
use crate::deliver::endpoint::local::event::HISTORY_VISIBILITY;
use crate::deliver::endpoint::local::event::JOIN_RULES;
use crate::deliver::endpoint::local::event::MEMBER;
use crate::deliver::endpoint::local::event::NAME;
use crate::deliver::endpoint::local::event::POWER_LEVELS;
use crate::deliver::endpoint::local::event::TOPIC;
use crate::deliver::endpoint::local::event::object;
use crate::deliver::endpoint::local::power::malformed;
use crate::deliver::endpoint::local::rules;
use crate::deliver::endpoint::local::state::State;
use crate::deliver::endpoint::local::write::Place;
use crate::deliver::endpoint::session::random;
use crate::matrix::event::Content;
use crate::matrix::ids::RoomId;

/// The version of a room for which none is asked.
pub(super) const VERSION: &str = "10";

/// The versions that a room can have. What tells them apart is for the most part what servers exchange. For the rest all
/// rooms are as those of version 10: levels are whole numbers, and a redaction leaves what it leaves there.
pub(super) const VERSIONS: [&str; 10] = ["1", "2", "3", "4", "5", "6", "7", "8", "9", VERSION];

#[derive(Deserialize)]
struct Request {
    visibility: Option<String>,
    preset: Option<Preset>,
    room_alias_name: Option<String>,
    name: Option<String>,
    topic: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    invite: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    invite_3pid: Vec<Value>,
    room_version: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    creation_content: Content,
    #[serde(default, deserialize_with = "or_default")]
    initial_state: Vec<Initial>,
    #[serde(default, deserialize_with = "or_default")]
    is_direct: bool,
    #[serde(default, deserialize_with = "or_default")]
    power_level_content_override: Content,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
enum Preset {
    #[serde(rename = "private_chat")]
    Private,
    #[serde(rename = "trusted_private_chat")]
    Trusted,
    #[serde(rename = "public_chat")]
    Public,
}

#[derive(Deserialize)]
struct Initial {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default, deserialize_with = "or_default")]
    state_key: String,
    content: Content,
}

/// `POST /_matrix/client/v3/createRoom`.
pub(super) fn create(endpoint: &Endpoint, call: &Call) -> Answer {
    let request: Request = call.json()?;
    let account = call.session()?.account;
    let user = endpoint.user_of(account)?;
    check(endpoint, &request)?;
    let is_listed = request.visibility.as_deref() == Some("public");
    let own = super::profile::member(endpoint, &endpoint.store.snapshot()?, &user, "join")?;
    let mut drafts = vec![Draft::state(MEMBER, &user, &user, Value::Object(own))];
    for user_id in &request.invite {
        let snapshot = endpoint.store.snapshot()?;
        let mut invited = super::profile::member(endpoint, &snapshot, user_id, "invite")?;
        if request.is_direct {
            invited.insert("is_direct".to_owned(), true.into());
        }
        drafts.push(Draft::state(MEMBER, user_id, &user, Value::Object(invited)));
    }
    let id = format!(
        "!{}:{}",
        URL_SAFE_NO_PAD.encode(random::<16>()?),
        endpoint.settings.account.server().as_str()
    );
    let drafts = request.drafts(&user, drafts)?;
    endpoint.found(&id, drafts, is_listed)?;
    json(&json!({ "room_id": id }))
}

fn check(endpoint: &Endpoint, request: &Request) -> Result<(), MatrixError> {
    let version = request.room_version.as_deref();
    if version.is_some_and(|version| !VERSIONS.contains(&version)) {
        let text = "rooms here have the versions 1 to 10";
        return Err(MatrixError::new(Code::UnsupportedRoomVersion, text));
    }
    if request.room_alias_name.is_some() {
        return Err(MatrixError::invalid("rooms here have no aliases"));
    }
    if !request.invite_3pid.is_empty() {
        return Err(MatrixError::forbidden("users are invited by their ids"));
    }
    let visibilities = [None, Some("public"), Some("private")];
    if !visibilities.contains(&request.visibility.as_deref()) {
        return Err(MatrixError::invalid(
            "`visibility` is `public` or `private`",
        ));
    }
    for user in &request.invite {
        super::member::check_invited(endpoint, user)?;
    }
    Ok(())
}

impl Request {
    fn preset(&self) -> Preset {
        let is_public = self.visibility.as_deref() == Some("public");
        self.preset.unwrap_or(if is_public {
            Preset::Public
        } else {
            Preset::Private
        })
    }

    /// All that the room begins with, in order. The first member event is the creator's, the others are invitations.
    fn drafts(self, user: &str, members: Vec<Draft>) -> Result<Vec<Draft>, MatrixError> {
        let preset = self.preset();
        let state = |kind: &str, content: Value| Draft::state(kind, "", user, content);
        let mut creation = self.creation_content;
        creation.insert("creator".to_owned(), user.into());
        let version = self.room_version.unwrap_or_else(|| VERSION.to_owned());
        creation.insert("room_version".to_owned(), version.into());
        let mut members = members.into_iter();
        let mut drafts = vec![state(CREATE, Value::Object(creation))];
        drafts.extend(members.next());
        let mut powerful = vec![user];
        if preset == Preset::Trusted {
            powerful.extend(self.invite.iter().map(String::as_str));
        }
        let mut levels = levels(&powerful, preset == Preset::Public);
        levels.extend(self.power_level_content_override);
        if let Some(wrong) = malformed(&levels) {
            return Err(MatrixError::new(Code::BadJson, wrong));
        }
        drafts.push(state(POWER_LEVELS, Value::Object(levels)));
        let (rule, guests) = match preset {
            Preset::Public => ("public", "forbidden"),
            Preset::Private | Preset::Trusted => ("invite", "can_join"),
        };
        let mut others: Vec<Draft> = vec![
            state(JOIN_RULES, json!({ "join_rule": rule })),
            state(
                HISTORY_VISIBILITY,
                json!({ "history_visibility": "shared" }),
            ),
            state(GUEST_ACCESS, json!({ "guest_access": guests })),
        ];
        for Initial {
            kind,
            state_key,
            content,
        } in self.initial_state
        {
            // What is said is said in the place of what a preset would say.
            others
                .retain(|draft| draft.kind != kind || draft.state_key.as_ref() != Some(&state_key));
            others.push(Draft::state(
                &kind,
                &state_key,
                user,
                Value::Object(content),
            ));
        }
        let name = self.name.map(|name| json!({ "name": name }));
        // Newer clients look for representations of a topic, of which a plain text is one.
        let topic = self
            .topic
            .map(|topic| json!({ "topic": topic, "m.topic": { "m.text": [{ "body": topic }] } }));
        for (kind, content) in [(NAME, name), (TOPIC, topic)] {
            if let Some(content) = content {
                others.retain(|draft| draft.kind != kind);
                others.push(state(kind, content));
            }
        }
        drafts.extend(others);
        drafts.extend(members);
        Ok(drafts)
    }
}

/// Who may do what in a new room.
fn levels(powerful: &[&str], is_public: bool) -> Content {
    let users: BTreeMap<&str, i64> = powerful.iter().map(|user| (*user, 100)).collect();
    object(json!({
        "users": users,
        "users_default": 0,
        "events": {
            "m.room.name": 50,
            "m.room.power_levels": 100,
            "m.room.history_visibility": 100,
            "m.room.canonical_alias": 50,
            "m.room.avatar": 50,
            "m.room.tombstone": 100,
            "m.room.server_acl": 100,
            "m.room.encryption": 100,
        },
        "events_default": 0,
        "state_default": 50,
        "ban": 50,
        "kick": 50,
        "redact": 50,
        "invite": if is_public { 50 } else { 0 },
        "historical": 100,
    }))
}

/// What is wrong with the beginning of a room: each event must be allowed by those before it.
fn refused(drafts: &[Draft]) -> Result<(), MatrixError> {
    let mut state = State::default();
    for (at, draft) in (1..).zip(drafts) {
        draft.check()?;
        rules::check(draft, &state).map_err(|refusal| match draft.kind.as_str() {
            MEMBER => MatrixError::forbidden(refusal),
            _ => MatrixError::new(Code::InvalidRoomState, refusal),
        })?;
        state.put(Event {
            at: ChangeNumber(at),
            event_id: String::new(),
            kind: draft.kind.clone(),
            sender: draft.sender.clone(),
            origin_server_ts: 1,
            content: draft.content.clone(),
            state_key: draft.state_key.clone(),
            redacts: None,
            before: None,
            redacted_because: None,
            transaction: None,
        });
    }
    Ok(())
}

impl Endpoint {
    /// Makes a room with its first events.
    pub(super) fn found(
        &self,
        id: &str,
        drafts: Vec<Draft>,
        is_listed: bool,
    ) -> Result<Place, MatrixError> {
        refused(&drafts)?;
        let now = self.clock.now().unix_millis();
        let id = RoomId::new(id);
        self.write(move |transaction| {
            let row = transaction.add_local_room(id.as_str())?.conversation;
            let place = Place { id, row, now };
            for draft in drafts {
                if let Err(error) = place.put(transaction, draft)? {
                    return Ok(Err(error));
                }
            }
            directory::list(transaction, row, is_listed)?;
            Ok(Ok(place))
        })?
    }
}
