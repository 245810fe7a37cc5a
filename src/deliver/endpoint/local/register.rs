//! Accounts in conformance mode: made by anybody, closed by their owners (D27).
//!
//! A session of registering remembers what was asked first: a client may say no more than that it did the stage, and one
//! that did not hear the answer gets the same user again.
//!
//! | request | |
//! |---|---|
//! | `POST /register` | a user after the stage `m.login.dummy`; no guests |
//! | `GET /register/available` | |
//! | `POST /account/deactivate` | nobody can log in any more, and nobody gets the name |
//! | `GET /capabilities` | with names and pictures that can be changed |
//!
//! Source: `[mx v1.12] Account registration and management`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::Deserializer;
use serde::de::Error as _;
use serde_json::Value;
use serde_json::json;

use crate::base::limits::CONFORMANCE_ACCOUNTS;
use crate::base::password;
use crate::base::secret::SecretText;
use crate::deliver::endpoint::Endpoint;
use crate::deliver::endpoint::call::Answer;
use crate::deliver::endpoint::call::Call;
use crate::deliver::endpoint::call::json;
use crate::deliver::endpoint::error::Code;
use crate::deliver::endpoint::error::MatrixError;
use crate::deliver::endpoint::local::create::VERSION;
use crate::deliver::endpoint::local::create::VERSIONS;
use crate::deliver::endpoint::local::event::set;
use crate::deliver::endpoint::login;
use crate::deliver::endpoint::session::random_letters;
use crate::deliver::endpoint::uia;
use crate::deliver::endpoint::uia::Auth;
use crate::matrix::ids::Account as Named;
use crate::net::Response;
use crate::net::StatusCode;
use crate::store::account::Account;
use crate::store::value::User;

/// The one stage of making an account: it proves nothing.
const DUMMY: &str = "m.login.dummy";

/// The name by which footbridge itself speaks.
pub(in crate::deliver::endpoint) const SPEAKER: &str = "footbridge";

#[derive(Clone, Deserialize)]
struct Request {
    auth: Option<Dummy>,
    username: Option<String>,
    password: Option<String>,
    device_id: Option<String>,
    initial_device_display_name: Option<String>,
    #[serde(default, deserialize_with = "truth")]
    inhibit_login: Option<bool>,
}

/// Suites that are written in Perl say 1 where they mean true.
fn truth<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        Value::Bool(is_true) => Ok(Some(is_true)),
        Value::Number(number) => Ok(Some(number.as_u64() != Some(0))),
        Value::String(_) | Value::Array(_) | Value::Object(_) => {
            Err(D::Error::custom("neither true nor false"))
        }
    }
}

/// What a session of registering is about.
pub(in crate::deliver::endpoint) struct Registration {
    asked: Request,
    /// The account, once it is made.
    made: Option<Account>,
}

impl Request {
    /// With what was asked before in the place of what is not said again.
    fn after(self, before: Self) -> Self {
        Self {
            auth: self.auth,
            username: self.username.or(before.username),
            password: self.password.or(before.password),
            device_id: self.device_id.or(before.device_id),
            initial_device_display_name: self
                .initial_device_display_name
                .or(before.initial_device_display_name),
            inhibit_login: self.inhibit_login.or(before.inhibit_login),
        }
    }
}

#[derive(Clone, Deserialize)]
struct Dummy {
    #[serde(rename = "type")]
    kind: Option<String>,
    session: Option<String>,
}

/// The name of a new user as it is kept, if it can be one.
fn username(endpoint: &Endpoint, asked: &str) -> Result<String, MatrixError> {
    let name = asked.to_ascii_lowercase();
    let server = endpoint.settings.account.server().clone();
    let is_ours = name == SPEAKER || name.starts_with("imessage_");
    if is_ours {
        let text = "that name is kept for what is not a person";
        return Err(MatrixError::new(Code::Exclusive, text));
    }
    if name.starts_with('_') || Named::new(&name, server).is_err() {
        let text = "user names have the characters a-z, 0-9 and ._=-/+";
        return Err(MatrixError::new(Code::InvalidUsername, text));
    }
    let users = endpoint.store.snapshot()?.users()?;
    if users
        .iter()
        .any(|(_, user)| user.name.eq_ignore_ascii_case(&name))
    {
        return Err(MatrixError::new(Code::UserInUse, "somebody has that name"));
    }
    Ok(name)
}

/// `GET /_matrix/client/v3/register/available`.
pub(super) fn available(endpoint: &Endpoint, call: &Call) -> Answer {
    let missing = || MatrixError::new(Code::MissingParam, "`username` is missing");
    username(endpoint, call.param("username").ok_or_else(missing)?)?;
    json(&json!({ "available": true }))
}

/// `POST /_matrix/client/v3/register`.
pub(super) fn register(endpoint: &Endpoint, call: &Call) -> Answer {
    let mut request: Request = call.json()?;
    match call.param("kind") {
        None | Some("user") => {}
        Some("guest") => return Err(MatrixError::forbidden("there are no guests here")),
        Some(_) => return Err(MatrixError::invalid("`kind` is `user` or `guest`")),
    }
    let auth = request.auth.clone();
    let (session, stage) = auth.map_or((None, None), |auth| (auth.session, auth.kind));
    let begun = session.as_deref().and_then(|id| {
        let look = |held: &mut Registration| (held.asked.clone(), held.made);
        endpoint.registrations.with(id, endpoint.clock.now(), look)
    });
    let session = session.filter(|_| begun.is_some());
    if let Some((before, made)) = begun {
        request = request.after(before);
        if let (Some(account), Some(DUMMY)) = (made, stage.as_deref()) {
            return welcome(endpoint, account, request);
        }
    }
    let name = match &request.username {
        Some(name) => username(endpoint, name)?,
        None => random_letters::<12>()?.to_ascii_lowercase(),
    };
    // How good it is does not matter: these accounts are gone with the suite.
    if request.password.as_ref().is_some_and(String::is_empty) {
        let text = "a password is not empty";
        return Err(MatrixError::new(Code::WeakPassword, text));
    }
    if stage.as_deref() != Some(DUMMY) {
        return question(endpoint, request, session, stage.is_some());
    }
    let missing = || MatrixError::new(Code::MissingParam, "`password` is missing");
    let secret = request.password.clone().ok_or_else(missing)?;
    let account = make(endpoint, name, secret)?;
    if let Some(id) = session {
        let now = endpoint.clock.now();
        let done = |held: &mut Registration| held.made = Some(account);
        endpoint.registrations.with(&id, now, done);
    }
    welcome(endpoint, account, request)
}

/// Makes an account.
fn make(endpoint: &Endpoint, name: String, secret: String) -> Result<Account, MatrixError> {
    let hash = password::hash(&SecretText::new(secret)).map_err(|error| {
        tracing::error!(%error, "a password could not be hashed");
        MatrixError::new(Code::Unknown, "the password could not be hashed")
    })?;
    let user = User {
        name,
        password: hash,
        created: endpoint.clock.now(),
    };
    endpoint.write(move |transaction| {
        for number in 1..=CONFORMANCE_ACCOUNTS {
            match transaction.user(Account(number))? {
                None => {
                    transaction.put_user(Account(number), &user)?;
                    return Ok(Ok(Account(number)));
                }
                Some(held) if held.name == user.name => {
                    let text = "somebody has that name";
                    return Ok(Err(MatrixError::new(Code::UserInUse, text)));
                }
                Some(_) => {}
            }
        }
        let text = format!("there are {CONFORMANCE_ACCOUNTS} accounts already");
        Ok(Err(MatrixError::forbidden(text)))
    })?
}

/// Tells who made an account which it is, and logs them in unless they do not want that.
fn welcome(endpoint: &Endpoint, account: Account, request: Request) -> Answer {
    if request.inhibit_login == Some(true) {
        return json(&json!({
            "user_id": endpoint.user_of(account)?,
            "home_server": endpoint.settings.account.server().as_str(),
        }));
    }
    let name = request.initial_device_display_name;
    login::log_in(endpoint, account, request.device_id, name)
}

/// What a client is to do first.
fn question(
    endpoint: &Endpoint,
    request: Request,
    session: Option<String>,
    is_tried: bool,
) -> Answer {
    let session = if let Some(session) = session {
        session
    } else {
        let registration = Registration {
            asked: request,
            made: None,
        };
        let now = endpoint.clock.now();
        endpoint.registrations.begin(registration, now)?
    };
    let mut question = json!({
        "flows": [{ "stages": [DUMMY] }],
        "params": {},
        "session": session,
        "completed": [],
    });
    if is_tried {
        set(&mut question, "errcode", Code::Unrecognized.as_str());
        set(&mut question, "error", "the one stage is `m.login.dummy`");
    }
    Ok(Response::json(
        StatusCode::UNAUTHORIZED,
        question.to_string(),
    ))
}

#[derive(Deserialize)]
struct Close {
    auth: Option<Auth>,
}

/// `POST /_matrix/client/v3/account/deactivate`. The owner's own stays: the archive is theirs.
pub(super) fn deactivate(endpoint: &Endpoint, call: &Call) -> Answer {
    let request: Close = call.json()?;
    let account = call.session()?.account;
    if account == Account::OWNER {
        return Err(MatrixError::forbidden(
            "the owner's account cannot be closed",
        ));
    }
    if let Some(question) = uia::ask(endpoint, call, request.auth.as_ref(), "deactivate")? {
        return Ok(question);
    }
    let devices = endpoint.devices_of(account)?;
    endpoint.log_out_and(account, devices, move |transaction| {
        if let Some(mut user) = transaction.user(account)? {
            // No password has this hash.
            user.password.clear();
            transaction.put_user(account, &user)?;
        }
        Ok(())
    })?;
    json(&json!({ "id_server_unbind_result": "success" }))
}

/// `GET /_matrix/client/v3/capabilities`.
pub(super) fn capabilities(_endpoint: &Endpoint, _call: &Call) -> Answer {
    let is = |enabled: bool| -> Value { json!({ "enabled": enabled }) };
    let available = VERSIONS.map(|version| (version, "stable"));
    json(&json!({
        "capabilities": {
            "m.room_versions": { "default": VERSION, "available": BTreeMap::from(available) },
            "m.change_password": is(true),
            "m.set_displayname": is(true),
            "m.set_avatar_url": is(true),
            "m.3pid_changes": is(false),
            "m.get_login_token": is(false),
        },
    }))
}
