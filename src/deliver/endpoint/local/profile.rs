//! Profiles of accounts in conformance mode: what a user says of themselves, and the member events that say it in rooms.

use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;

use crate::deliver::endpoint::Endpoint;
use crate::deliver::endpoint::call::Answer;
use crate::deliver::endpoint::call::Call;
use crate::deliver::endpoint::call::json;
use crate::deliver::endpoint::call::nothing;
use crate::deliver::endpoint::error::Code;
use crate::deliver::endpoint::error::MatrixError;
use crate::deliver::endpoint::local::event::Draft;
use crate::deliver::endpoint::local::event::MEMBER;
use crate::deliver::endpoint::local::room::LocalRoom;
use crate::deliver::endpoint::local::room::NOW;
use crate::deliver::endpoint::local::state::Membership;
use crate::matrix::event::Content;
use crate::store::Snapshot;
use crate::store::account::Account;
use crate::store::value::Opaque;

/// The account data in which a profile is kept; no client sees it.
const PROFILE: &str = "org.footbridge.profile";

/// The longest name or address of a picture, bytes.
const TEXT_BYTES: usize = 1_000;

/// What a user says of themselves.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Profile {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) displayname: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) avatar_url: Option<String>,
}

impl Profile {
    /// Of an account; who never said anything is called by the localpart.
    pub(super) fn of(
        endpoint: &Endpoint,
        snapshot: &Snapshot,
        account: Account,
    ) -> Result<Self, MatrixError> {
        if let Some(said) = snapshot.account_data(account, None, PROFILE)? {
            return Ok(serde_json::from_slice(&said.body.0).unwrap_or_default());
        }
        let user = endpoint.user_of(account)?;
        let localpart = user.trim_start_matches('@').split(':').next();
        Ok(Self {
            displayname: localpart.map(str::to_owned),
            avatar_url: None,
        })
    }

    /// A field, if it is one and is set.
    fn field(&self, name: &str) -> Result<Option<&String>, MatrixError> {
        match name {
            "displayname" => Ok(self.displayname.as_ref()),
            "avatar_url" => Ok(self.avatar_url.as_ref()),
            _ => Err(MatrixError::not_found("profiles have no such field")),
        }
    }
}

/// The content of a user's member event.
pub(super) fn member(
    endpoint: &Endpoint,
    snapshot: &Snapshot,
    user: &str,
    membership: &str,
) -> Result<Content, MatrixError> {
    let profile = match endpoint.account_of(snapshot, user)? {
        Some(account) => Profile::of(endpoint, snapshot, account)?,
        None => Profile::default(),
    };
    let mut content = super::event::object(json!(profile));
    content.insert("membership".to_owned(), membership.into());
    Ok(content)
}

fn profile(endpoint: &Endpoint, call: &Call) -> Result<Profile, MatrixError> {
    let snapshot = endpoint.store.snapshot()?;
    let account = endpoint.account_of(&snapshot, call.segment("user"))?;
    let account = account.ok_or_else(|| MatrixError::not_found("there is no such user here"))?;
    Profile::of(endpoint, &snapshot, account)
}

/// `GET /_matrix/client/v3/profile/{user}`.
pub(super) fn show(endpoint: &Endpoint, call: &Call) -> Answer {
    json(&profile(endpoint, call)?)
}

/// `GET /_matrix/client/v3/profile/{user}/{field}`.
pub(super) fn show_field(endpoint: &Endpoint, call: &Call) -> Answer {
    let name = call.segment("field");
    match profile(endpoint, call)?.field(name)? {
        Some(value) => json(&json!({ name: value })),
        None => nothing(),
    }
}

/// `PUT /_matrix/client/v3/profile/{user}/{field}`. Every room that the user is in is told.
pub(super) fn set(endpoint: &Endpoint, call: &Call) -> Answer {
    let account = endpoint.own(call)?;
    let said: Content = call.json()?;
    let name = call.segment("field");
    let snapshot = endpoint.store.snapshot()?;
    let mut profile = Profile::of(endpoint, &snapshot, account)?;
    profile.field(name)?;
    let value = match said.get(name) {
        None => {
            let text = format!("`{name}` is missing");
            return Err(MatrixError::new(Code::MissingParam, text));
        }
        Some(Value::Null) => None,
        Some(Value::String(text)) if text.len() <= TEXT_BYTES => {
            Some(text.clone()).filter(|text| !text.is_empty())
        }
        Some(Value::String(_)) => return Err(MatrixError::invalid("that is too long")),
        Some(_) => return Err(MatrixError::new(Code::BadJson, "that is no text")),
    };
    match name {
        "displayname" => profile.displayname = value,
        _ => profile.avatar_url = value,
    }
    let user = endpoint.user_of(account)?;
    let mut places = Vec::new();
    for room in LocalRoom::all(&snapshot)? {
        let member = room.piece(MEMBER, &user, NOW)?;
        let is_in = member.as_ref().and_then(Membership::of) == Some(Membership::Join);
        if let Some(member) = member.filter(|_| is_in) {
            places.push((endpoint.place_of(&room), member.content));
        }
    }
    let said = super::event::object(json!(profile));
    endpoint.write(move |transaction| {
        let body = Opaque(serde_json::to_vec(&profile).unwrap_or_default());
        transaction.put_account_data(account, None, PROFILE, body)?;
        for (place, mut content) in places {
            content.remove("displayname");
            content.remove("avatar_url");
            content.remove("reason");
            content.extend(said.clone());
            let draft = Draft::state(MEMBER, &user, &user, Value::Object(content));
            // Who has left meanwhile is not brought back.
            if let Err(refused) = place.add(transaction, draft)? {
                tracing::debug!(
                    code = refused.code().as_str(),
                    "a profile was not told to a room"
                );
            }
        }
        Ok(())
    })?;
    nothing()
}
