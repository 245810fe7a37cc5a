//! Coming into local rooms, leaving them, and making others do so.
//!
//! | request | |
//! |---|---|
//! | `POST /join/{room}`, `/rooms/{room}/join` | |
//! | `POST /rooms/{room}/leave`, `/forget` | |
//! | `POST /rooms/{room}/invite`, `/kick`, `/ban`, `/unban` | |

use ruma::OwnedUserId;
use serde::Deserialize;
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
use crate::deliver::endpoint::local::event::set;
use crate::deliver::endpoint::local::profile;
use crate::deliver::endpoint::local::room::FORGOTTEN;
use crate::deliver::endpoint::local::room::LocalRoom;
use crate::deliver::endpoint::local::state::Membership;
use crate::matrix::event::Content;
use crate::store::value::Opaque;

/// A user's id, of any server: who is banned need never have been here.
///
/// # Errors
///
/// 400 for what is none.
pub(super) fn parse_user(text: &str) -> Result<OwnedUserId, MatrixError> {
    OwnedUserId::try_from(text).map_err(|_error| MatrixError::invalid("that is no user id"))
}

/// Refuses to invite what is no user id, and users of other servers: they cannot come here.
///
/// # Errors
///
/// 400 and 403.
pub(super) fn check_invited(endpoint: &Endpoint, user: &str) -> Result<(), MatrixError> {
    if parse_user(user)?.server_name().as_str() == endpoint.settings.account.server().as_str() {
        Ok(())
    } else {
        Err(MatrixError::forbidden("there are no other servers here"))
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Reason {
    reason: Option<String>,
}

#[derive(Deserialize)]
struct Joining {
    reason: Option<String>,
    /// Becomes part of the member event: a name for this room alone, or what the client likes.
    #[serde(flatten)]
    more: Content,
}

/// `POST /_matrix/client/v3/join/{room}` and `/rooms/{room}/join`.
pub(super) fn join(endpoint: &Endpoint, call: &Call) -> Answer {
    let Joining { reason, mut more } = call.json()?;
    // Speaks of an invitation by way of another server.
    more.remove("third_party_signed");
    more.remove("membership");
    let id = call.segment("room");
    match id.chars().next() {
        Some('!') => {}
        Some('#') => return Err(MatrixError::not_found("rooms here have no aliases")),
        _ => return Err(MatrixError::invalid("this is no room id")),
    }
    let snapshot = endpoint.store.snapshot()?;
    let unknown = || MatrixError::not_found("there is no such room");
    let room = LocalRoom::open(&snapshot, id)?.ok_or_else(unknown)?;
    let user = endpoint.user_of(call.session()?.account)?;
    if room.membership(&user)? != Some(Membership::Join) {
        let mut content = profile::member(endpoint, &snapshot, &user, "join")?;
        content.extend(more);
        if let Some(reason) = reason {
            content.insert("reason".to_owned(), reason.into());
        }
        let draft = Draft::state(MEMBER, &user, &user, Value::Object(content));
        endpoint.add(&endpoint.place_of(&room), draft)?;
    }
    json(&json!({ "room_id": id }))
}

/// `POST /_matrix/client/v3/rooms/{room}/leave`. Who has left may leave again.
pub(super) fn leave(endpoint: &Endpoint, call: &Call) -> Answer {
    let Reason { reason } = call.json()?;
    let snapshot = endpoint.store.snapshot()?;
    let unknown = || MatrixError::not_found("there is no such room");
    let room = LocalRoom::open(&snapshot, call.segment("room"))?.ok_or_else(unknown)?;
    let user = endpoint.user_of(call.session()?.account)?;
    if room.membership(&user)? == Some(Membership::Leave) {
        return nothing();
    }
    let draft = member(&user, &user, "leave", reason);
    endpoint.add(&endpoint.place_of(&room), draft)?;
    endpoint.typing.stop(&room.id, &user);
    nothing()
}

/// A member event that says nothing of who it is about.
fn member(user: &str, sender: &str, membership: &str, reason: Option<String>) -> Draft {
    let mut content = json!({ "membership": membership });
    if let Some(reason) = reason {
        set(&mut content, "reason", reason);
    }
    Draft::state(MEMBER, user, sender, content)
}

/// `POST /_matrix/client/v3/rooms/{room}/forget`.
pub(super) fn forget(endpoint: &Endpoint, call: &Call) -> Answer {
    let snapshot = endpoint.store.snapshot()?;
    let unknown = || MatrixError::not_found("there is no such room");
    let room = LocalRoom::open(&snapshot, call.segment("room"))?.ok_or_else(unknown)?;
    let account = call.session()?.account;
    let eyes = room.eyes(&endpoint.user_of(account)?)?;
    match eyes.now() {
        Some(Membership::Leave | Membership::Ban) => {}
        Some(Membership::Join | Membership::Invite) => {
            let text = "leave the room before you forget it";
            return Err(MatrixError::new(Code::Unknown, text)
                .with_status(crate::net::StatusCode::BAD_REQUEST));
        }
        None => return Err(unknown()),
    }
    let row = room.row;
    endpoint.write(move |transaction| {
        let body = Opaque(b"{}".to_vec());
        transaction.put_account_data(account, Some(row), FORGOTTEN, body)
    })?;
    nothing()
}

#[derive(Deserialize)]
struct Target {
    user_id: Option<String>,
    reason: Option<String>,
}

impl Target {
    fn of(call: &Call) -> Result<(String, Option<String>), MatrixError> {
        let Self { user_id, reason } = call.json()?;
        let missing = || MatrixError::new(Code::MissingParam, "`user_id` is missing");
        let user = user_id.ok_or_else(missing)?;
        parse_user(&user)?;
        Ok((user, reason))
    }
}

/// `POST /_matrix/client/v3/rooms/{room}/invite`.
pub(super) fn invite(endpoint: &Endpoint, call: &Call) -> Answer {
    let (target, reason) = Target::of(call)?;
    check_invited(endpoint, &target)?;
    let user = endpoint.user_of(call.session()?.account)?;
    let place = endpoint.place(call)?;
    let snapshot = endpoint.store.snapshot()?;
    let mut content = profile::member(endpoint, &snapshot, &target, "invite")?;
    if let Some(reason) = reason {
        content.insert("reason".to_owned(), reason.into());
    }
    let draft = Draft::state(MEMBER, &target, &user, Value::Object(content));
    endpoint.add(&place, draft)?;
    nothing()
}

/// `POST /_matrix/client/v3/rooms/{room}/kick`. Only who is there, or invited, can be sent away.
pub(super) fn kick(endpoint: &Endpoint, call: &Call) -> Answer {
    let (target, reason) = Target::of(call)?;
    let here = [Some(Membership::Join), Some(Membership::Invite)];
    make_leave(
        endpoint,
        call,
        &target,
        reason,
        &here,
        "that user is not in the room",
    )
}

/// `POST /_matrix/client/v3/rooms/{room}/unban`.
pub(super) fn unban(endpoint: &Endpoint, call: &Call) -> Answer {
    let (target, reason) = Target::of(call)?;
    let banned = [Some(Membership::Ban)];
    make_leave(
        endpoint,
        call,
        &target,
        reason,
        &banned,
        "that user is not banned",
    )
}

fn make_leave(
    endpoint: &Endpoint,
    call: &Call,
    target: &str,
    reason: Option<String>,
    from: &[Option<Membership>],
    otherwise: &'static str,
) -> Answer {
    let user = endpoint.user_of(call.session()?.account)?;
    let snapshot = endpoint.store.snapshot()?;
    let place = endpoint.place(call)?;
    let room = LocalRoom::open(&snapshot, place.id.as_str())?;
    let room = room.ok_or_else(|| MatrixError::forbidden("you are not in that room"))?;
    if !from.contains(&room.membership(target)?) {
        return Err(MatrixError::forbidden(otherwise));
    }
    endpoint.add(&place, member(target, &user, "leave", reason))?;
    endpoint.typing.stop(place.id.as_str(), target);
    nothing()
}

/// `POST /_matrix/client/v3/rooms/{room}/ban`.
pub(super) fn ban(endpoint: &Endpoint, call: &Call) -> Answer {
    let (target, reason) = Target::of(call)?;
    let user = endpoint.user_of(call.session()?.account)?;
    let place = endpoint.place(call)?;
    endpoint.add(&place, member(&target, &user, "ban", reason))?;
    endpoint.typing.stop(place.id.as_str(), &target);
    nothing()
}
