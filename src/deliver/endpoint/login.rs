//! Logging in and out (`[mx v1.12] Client Authentication`).
//!
//! | request | |
//! |---|---|
//! | `GET /login` | passwords only |
//! | `POST /login` | a password for a token |
//! | `POST /logout`, `/logout/all` | |
//! | `GET /account/whoami` | |
//! | `POST /register`, `GET /register/available` | refused: the account is the owner's |
//!
//! Attempts are counted by origin and address, and refused without keeping the socket waiting, so that a web page cannot
//! lock the owner out (D28). A wrong password and an unknown user get the same answer after the same work.

use serde::Deserialize;
use serde_json::json;

use crate::base::password;
use crate::base::secret::SecretText;
use crate::deliver::endpoint::Endpoint;
use crate::deliver::endpoint::call::Answer;
use crate::deliver::endpoint::call::Call;
use crate::deliver::endpoint::call::json;
use crate::deliver::endpoint::call::nothing;
use crate::deliver::endpoint::error::Code;
use crate::deliver::endpoint::error::MatrixError;
use crate::deliver::endpoint::route::Route;
use crate::deliver::endpoint::session::Sessions;
use crate::deliver::endpoint::session::random_letters;
use crate::net::Method;
use crate::net::Peer;
use crate::net::header;
use crate::store::account::Account;

/// The only way to log in.
pub(super) const PASSWORD: &str = "m.login.password";

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(Method::GET, "/login", flows).open(),
        Route::new(Method::POST, "/login", login).open(),
        Route::new(Method::POST, "/logout", logout),
        Route::new(Method::POST, "/logout/all", logout_all),
        Route::new(Method::GET, "/account/whoami", whoami),
        Route::new(Method::POST, "/register", no_registration).open(),
        Route::new(Method::GET, "/register/available", no_registration).open(),
    ]
}

/// `GET /_matrix/client/v3/login`.
fn flows(_endpoint: &Endpoint, _call: &Call) -> Answer {
    json(&json!({ "flows": [{ "type": PASSWORD }] }))
}

#[derive(Deserialize)]
struct Login {
    #[serde(rename = "type")]
    kind: String,
    identifier: Option<Identifier>,
    /// What clients of long ago say instead.
    user: Option<String>,
    password: Option<String>,
    device_id: Option<String>,
    initial_device_display_name: Option<String>,
}

/// How a client names a user.
#[derive(Deserialize)]
pub(super) struct Identifier {
    #[serde(rename = "type")]
    kind: String,
    user: Option<String>,
}

impl Identifier {
    /// The user name or id, if that is what it is.
    pub(super) fn user_name(&self) -> Option<&str> {
        self.user.as_deref().filter(|_| self.kind == "m.id.user")
    }
}

/// `POST /_matrix/client/v3/login`.
fn login(endpoint: &Endpoint, call: &Call) -> Answer {
    let request: Login = call.json()?;
    if request.kind != PASSWORD {
        return Err(
            MatrixError::new(Code::Unknown, "only passwords can be used to log in")
                .with_status(crate::net::StatusCode::BAD_REQUEST),
        );
    }
    let name = match (request.identifier, request.user) {
        (Some(identifier), _) if identifier.kind == "m.id.user" => identifier.user,
        (Some(_), _) => {
            return Err(MatrixError::forbidden(
                "users are known by their user names only",
            ));
        }
        (None, user) => user,
    };
    let missing = |what: &str| MatrixError::new(Code::MissingParam, format!("`{what}` is missing"));
    let name = name.ok_or_else(|| missing("identifier.user"))?;
    let password = request.password.ok_or_else(|| missing("password"))?;
    limit(endpoint, call)?;
    let account = check_password(endpoint, &name, &password)?;
    let name = request.initial_device_display_name;
    log_in(endpoint, account, request.device_id, name)
}

/// Gives a device of an account a new token.
pub(super) fn log_in(
    endpoint: &Endpoint,
    account: Account,
    device: Option<String>,
    shown: Option<String>,
) -> Answer {
    let device = match device {
        Some(device) => device,
        None => random_letters::<10>()?,
    };
    let token = Sessions::new_token()?;
    let hash = endpoint.sessions.hash(&token);
    let now = endpoint.clock.now();
    let id = device.clone();
    endpoint.write(move |transaction| {
        let held = transaction.device(account, &id)?;
        let is_new = held.is_none();
        let mut device = held.unwrap_or_default();
        if is_new {
            device.created = now;
            device.name = shown;
        }
        device.token = Some(hash);
        device.seen = Some(now);
        transaction.put_device(account, &id, &device)
    })?;
    // The token that the device had before is none any more.
    endpoint.sessions.forget();
    json(&json!({
        "user_id": endpoint.user_of(account)?,
        "access_token": token,
        "device_id": device,
        "home_server": endpoint.settings.account.server().as_str(),
    }))
}

/// Counts an attempt to prove who one is.
pub(super) fn limit(endpoint: &Endpoint, call: &Call) -> Result<(), MatrixError> {
    let address = match call.peer {
        Peer::Tcp(address) => address.ip().to_canonical().to_string(),
        Peer::Owner => return Ok(()),
    };
    // A suite logs in as often as it likes, from one address.
    if endpoint.settings.conformance {
        return Ok(());
    }
    let origin = call
        .headers
        .get(header::ORIGIN)
        .and_then(|origin| origin.to_str().ok());
    let key = (origin.unwrap_or_default().to_owned(), address);
    endpoint.logins.take(key).map_err(MatrixError::limited)
}

/// Whose name and password these are.
pub(super) fn check_password(
    endpoint: &Endpoint,
    name: &str,
    password: &str,
) -> Result<Account, MatrixError> {
    let localpart = match name.strip_prefix('@') {
        Some(id) => id
            .split_once(':')
            .filter(|(_, server)| *server == endpoint.settings.account.server().as_str())
            .map(|(localpart, _)| localpart),
        None => Some(name),
    };
    let snapshot = endpoint.store.snapshot()?;
    let users = snapshot.users()?;
    let user = localpart.and_then(|localpart| {
        users
            .iter()
            .find(|(_, user)| user.name.eq_ignore_ascii_case(localpart))
    });
    let password = SecretText::new(password.to_owned());
    let is_right = match user {
        Some((_, user)) => password::is_right(&password, &user.password),
        None => password::is_nobodys(&password),
    };
    match user {
        Some((_, user)) if endpoint.settings.conformance && user.password.is_empty() => Err(
            MatrixError::new(Code::UserDeactivated, "this account was closed"),
        ),
        Some((account, _)) if is_right && endpoint.is_open_to(*account) => Ok(*account),
        _ => Err(MatrixError::forbidden("wrong user name or password")),
    }
}

/// `POST /_matrix/client/v3/logout`.
fn logout(endpoint: &Endpoint, call: &Call) -> Answer {
    let session = call.session()?;
    endpoint.log_out(session.account, vec![session.device.clone()])?;
    nothing()
}

/// `POST /_matrix/client/v3/logout/all`.
fn logout_all(endpoint: &Endpoint, call: &Call) -> Answer {
    let account = call.session()?.account;
    endpoint.log_out(account, endpoint.devices_of(account)?)?;
    nothing()
}

/// `GET /_matrix/client/v3/account/whoami`.
fn whoami(endpoint: &Endpoint, call: &Call) -> Answer {
    let session = call.session()?;
    json(&json!({
        "user_id": endpoint.user_of(session.account)?,
        "device_id": session.device,
        "is_guest": false,
    }))
}

/// `POST /_matrix/client/v3/register`, `GET /_matrix/client/v3/register/available`.
fn no_registration(_endpoint: &Endpoint, _call: &Call) -> Answer {
    Err(MatrixError::forbidden(
        "registration is disabled: the account is the owner's",
    ))
}
