//! The room in which footbridge talks to its owner: what an import did, what failed, what needs the owner.
//!
//! It is made with the first notice and stays the same one. The owner may read it, mute it and leave it; who left is
//! invited again only when something needs them. What the owner writes there is kept, and two words are answered: `help`
//! and `status`.
//!
//! A notice is an `m.notice`, which makes no noise. What needs the owner is an `m.text`, which does.

use std::ops::Bound;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use serde_json::json;

use crate::deliver::endpoint::Endpoint;
use crate::deliver::endpoint::error::MatrixError;
use crate::deliver::endpoint::local::create::VERSION;
use crate::deliver::endpoint::local::event::CREATE;
use crate::deliver::endpoint::local::event::Draft;
use crate::deliver::endpoint::local::event::HISTORY_VISIBILITY;
use crate::deliver::endpoint::local::event::JOIN_RULES;
use crate::deliver::endpoint::local::event::MEMBER;
use crate::deliver::endpoint::local::event::MESSAGE;
use crate::deliver::endpoint::local::event::NAME;
use crate::deliver::endpoint::local::event::POWER_LEVELS;
use crate::deliver::endpoint::local::event::TOPIC;
use crate::deliver::endpoint::local::event::object;
use crate::deliver::endpoint::local::register::SPEAKER;
use crate::deliver::endpoint::local::room::LocalRoom;
use crate::deliver::endpoint::local::state::Membership;
use crate::deliver::endpoint::local::write::Place;
use crate::deliver::endpoint::session::random;
use crate::store::Direction;
use crate::store::account::Account;
use crate::store::value::Opaque;

/// The owner's account data that says which room it is; no client sees it.
const ROOM: &str = "org.footbridge.notice_room";

/// The member of a notice that says what it is about.
const ABOUT: &str = "org.footbridge.about";

/// How far back a notice that would be said again is looked for.
const LOOKED_BACK: usize = 200;

const HELP: &str = "I say here what happens to the archive and what it needs. I answer to:\n\
    help - this\n\
    status - what the archive holds and what is going on";

/// What a notice is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeKind {
    /// How an import goes.
    Import,
    /// What failed, or works again, without the owner.
    Source,
    /// What only the owner can do.
    Owner,
}

impl NoticeKind {
    /// What it is about: of one thing, the same is not said twice in a row.
    const fn topic(self) -> &'static str {
        match self {
            Self::Import => "import",
            Self::Source | Self::Owner => "source",
        }
    }
}

/// Says things to the owner.
#[derive(Clone)]
pub struct Notices(Arc<Endpoint>);

impl Notices {
    pub(in crate::deliver::endpoint) fn new(endpoint: Arc<Endpoint>) -> Self {
        Self(endpoint)
    }

    /// Says something, unless the newest notice about the same thing says just that. Waits until it is written: for threads of
    /// the runtime that may wait for the disk. What goes wrong is in the log: there is no one else to tell.
    pub fn say(&self, kind: NoticeKind, text: &str) {
        if let Err(error) = say(&self.0, kind, text) {
            tracing::error!(code = error.code().as_str(), "a notice was not written");
        }
    }
}

pub(in crate::deliver::endpoint) fn speaker(endpoint: &Endpoint) -> String {
    format!("@{SPEAKER}:{}", endpoint.settings.account.server().as_str())
}

fn say(endpoint: &Endpoint, kind: NoticeKind, text: &str) -> Result<(), MatrixError> {
    let place = match room(endpoint)? {
        Some(place) => place,
        None => begin(endpoint)?,
    };
    let snapshot = endpoint.store.snapshot()?;
    let Some(room) = LocalRoom::open(&snapshot, place.id.as_str())? else {
        return Ok(());
    };
    for event in room
        .walk(Bound::Unbounded, Direction::Backward)
        .take(LOOKED_BACK)
    {
        let event = event?;
        if event.text(ABOUT) == Some(kind.topic()) {
            if event.text("body") == Some(text) {
                return Ok(());
            }
            break;
        }
    }
    let owner = endpoint.settings.account.user().as_str();
    let speaker = speaker(endpoint);
    let is_here = matches!(
        room.membership(owner)?,
        Some(Membership::Join | Membership::Invite)
    );
    if !is_here && kind == NoticeKind::Owner {
        let invited = json!({ "membership": "invite" });
        endpoint.add(&place, Draft::state(MEMBER, owner, &speaker, invited))?;
    }
    let msgtype = match kind {
        NoticeKind::Import | NoticeKind::Source => "m.notice",
        NoticeKind::Owner => "m.text",
    };
    let content = json!({ "msgtype": msgtype, "body": text, ABOUT: kind.topic() });
    endpoint.add(&place, Draft::said(MESSAGE, &speaker, object(content)))?;
    Ok(())
}

/// The room, if there is one already.
fn room(endpoint: &Endpoint) -> Result<Option<Place>, MatrixError> {
    let snapshot = endpoint.store.snapshot()?;
    let Some(said) = snapshot.account_data(Account::OWNER, None, ROOM)? else {
        return Ok(None);
    };
    let id = String::from_utf8_lossy(&said.body.0).into_owned();
    let room = LocalRoom::open(&snapshot, &id)?;
    Ok(room.map(|room| endpoint.place_of(&room)))
}

/// Makes the room.
fn begin(endpoint: &Endpoint) -> Result<Place, MatrixError> {
    let account = &endpoint.settings.account;
    let (owner, speaker) = (account.user().as_str(), speaker(endpoint));
    let state = |kind: &str, key: &str, content: Value| Draft::state(kind, key, &speaker, content);
    let member = |membership: &str, name: Option<&str>| match name {
        Some(name) => json!({ "membership": membership, "displayname": name }),
        None => json!({ "membership": membership }),
    };
    let levels = json!({
        "users": { speaker.as_str(): 100 },
        "users_default": 0,
        "events": {},
        "events_default": 0,
        "state_default": 100,
        "ban": 100,
        "kick": 100,
        "redact": 100,
        "invite": 100,
    });
    let people = endpoint.present(&endpoint.store.snapshot()?)?;
    let own_name = people.rooms.people.owner_name();
    let drafts = vec![
        state(
            CREATE,
            "",
            json!({ "creator": speaker, "room_version": VERSION }),
        ),
        state(MEMBER, &speaker, member("join", Some(SPEAKER))),
        state(POWER_LEVELS, "", levels),
        state(JOIN_RULES, "", json!({ "join_rule": "invite" })),
        state(
            HISTORY_VISIBILITY,
            "",
            json!({ "history_visibility": "shared" }),
        ),
        state(NAME, "", json!({ "name": SPEAKER })),
        state(
            TOPIC,
            "",
            json!({ "topic": "What footbridge does, and what it needs" }),
        ),
        state(MEMBER, owner, member("invite", own_name)),
        Draft::state(MEMBER, owner, owner, member("join", own_name)),
    ];
    let id = format!(
        "!{}:{}",
        URL_SAFE_NO_PAD.encode(random::<16>()?),
        account.server().as_str()
    );
    let place = endpoint.found(&id, drafts, false)?;
    endpoint.write(move |transaction| {
        let body = Opaque(id.into_bytes());
        transaction.put_account_data(Account::OWNER, None, ROOM, body)
    })?;
    Ok(place)
}

/// Answers what the owner wrote, if it is in the notice room and a word that is answered.
pub(super) fn answer(endpoint: &Endpoint, place: &Place, event_id: &str) {
    let answered = || -> Result<(), MatrixError> {
        let is_here = room(endpoint)?.is_some_and(|room| room.row == place.row);
        let snapshot = endpoint.store.snapshot()?;
        let room = LocalRoom::open(&snapshot, place.id.as_str())?.filter(|_| is_here);
        let Some(event) = room.map(|room| room.event(event_id)).transpose()?.flatten() else {
            return Ok(());
        };
        let said = event.text("body").unwrap_or_default().trim().to_lowercase();
        let text = match said.trim_start_matches(['!', '/']) {
            "help" => HELP.to_owned(),
            "status" => status(endpoint),
            _ => return Ok(()),
        };
        let content = json!({
            "msgtype": "m.notice",
            "body": text,
            "m.relates_to": { "m.in_reply_to": { "event_id": event_id } },
        });
        endpoint.add(
            place,
            Draft::said(MESSAGE, &speaker(endpoint), object(content)),
        )?;
        Ok(())
    };
    if let Err(error) = answered() {
        tracing::error!(code = error.code().as_str(), "the owner was not answered");
    }
}

/// What the service is doing, in a few lines.
fn status(endpoint: &Endpoint) -> String {
    let Some(status) = (endpoint.settings.status)() else {
        return "I cannot tell now; the log says why.".to_owned();
    };
    let number = |path: &str| status.pointer(path).and_then(Value::as_u64);
    let mut lines = Vec::new();
    for (path, what) in [
        ("/archive/messages", "messages"),
        ("/archive/conversations", "conversations"),
        ("/archive/attachments", "attachments"),
    ] {
        if let Some(number) = number(path) {
            lines.push(format!("{number} {what}"));
        }
    }
    for (path, what) in [
        ("/parked", "messages that wait for their conversation"),
        ("/quarantine", "messages that could not be read"),
    ] {
        let reasons = status.pointer(path).and_then(Value::as_array);
        let counts = reasons
            .into_iter()
            .flatten()
            .filter_map(|reason| reason.get("count"));
        let count: u64 = counts.filter_map(Value::as_u64).sum();
        if count > 0 {
            lines.push(format!("{count} {what}"));
        }
    }
    let sources = status.pointer("/sources").and_then(Value::as_array);
    for source in sources.into_iter().flatten() {
        if let Some(state) = source.get("state").and_then(Value::as_str) {
            lines.push(format!("the Messages database: {state}"));
        }
        if let Some(text) = source.pointer("/error/text").and_then(Value::as_str) {
            lines.push(text.to_owned());
        }
    }
    lines.join("\n")
}
