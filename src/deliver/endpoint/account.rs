//! The account itself: its password and its devices.
//!
//! | request | |
//! |---|---|
//! | `POST /account/password` | a new password, after a proof |
//! | `POST /account/deactivate`, `/account/3pid...` | refused: the account is the archive's, and has no addresses |
//! | `GET /devices`, `GET /devices/{device}` | who is logged in |
//! | `GET /admin/whois/{user}` | from where, by device; of oneself |
//! | `PUT /devices/{device}` | another name |
//! | `DELETE /devices/{device}`, `POST /delete_devices` | logged out, after a proof |
//!
//! Source: `[mx v1.12] Account registration and management, Device Management, Server Administration`.

use serde::Deserialize;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::base::limits::PASSWORD_LETTERS;
use crate::base::password;
use crate::base::secret::SecretText;
use crate::base::time::AppleTime;
use crate::deliver::endpoint::Endpoint;
use crate::deliver::endpoint::call::Answer;
use crate::deliver::endpoint::call::Call;
use crate::deliver::endpoint::call::json;
use crate::deliver::endpoint::call::nothing;
use crate::deliver::endpoint::error::Code;
use crate::deliver::endpoint::error::MatrixError;
use crate::deliver::endpoint::pushers;
use crate::deliver::endpoint::route::Route;
use crate::deliver::endpoint::uia;
use crate::deliver::endpoint::uia::Auth;
use crate::net::Method;
use crate::store::Snapshot;
use crate::store::StoreError;
use crate::store::Transaction;
use crate::store::account::Account;
use crate::store::value::Device;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(Method::POST, "/account/password", change_password),
        Route::new(Method::POST, "/account/deactivate", refuse),
        Route::new(Method::POST, "/account/3pid", refuse),
        Route::new(Method::POST, "/account/3pid/add", refuse),
        Route::new(Method::POST, "/account/3pid/bind", refuse),
        Route::new(Method::POST, "/account/3pid/delete", refuse),
        Route::new(Method::POST, "/account/3pid/unbind", refuse),
        Route::new(Method::GET, "/devices", list),
        Route::new(Method::GET, "/devices/{device}", show),
        Route::new(Method::GET, "/admin/whois/{user}", whois),
        Route::new(Method::PUT, "/devices/{device}", rename),
        Route::new(Method::DELETE, "/devices/{device}", log_out),
        Route::new(Method::POST, "/delete_devices", log_out_several),
    ]
}

impl Endpoint {
    /// Logs devices out, with what they leave. Those that are not there are logged out already.
    pub(super) fn log_out(
        &self,
        account: Account,
        devices: Vec<String>,
    ) -> Result<(), MatrixError> {
        self.log_out_and(account, devices, |_transaction| Ok(()))
    }

    /// The same, with something else in the same transaction.
    pub(super) fn log_out_and(
        &self,
        account: Account,
        devices: Vec<String>,
        first: impl FnOnce(&mut Transaction<'_>) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<(), MatrixError> {
        self.write(move |transaction| {
            first(transaction)?;
            for device in &devices {
                transaction.remove_device(account, device)?;
            }
            pushers::remove_of(transaction, account, &devices)
        })?;
        self.sessions.forget();
        Ok(())
    }

    /// The ids of an account's devices.
    pub(super) fn devices_of(&self, account: Account) -> Result<Vec<String>, MatrixError> {
        let devices = self.store.snapshot()?.devices(account)?;
        Ok(devices.into_iter().map(|(id, _)| id).collect())
    }

    /// The account of who asks, when the path's `{user}` is who asks: nobody reads or writes what is another's.
    ///
    /// # Errors
    ///
    /// 403.
    pub(super) fn own(&self, call: &Call) -> Result<Account, MatrixError> {
        let account = call.session()?.account;
        if call.segment("user") != self.user_of(account)? {
            return Err(MatrixError::forbidden("this is somebody else's"));
        }
        Ok(account)
    }

    /// The account with a user id.
    pub(super) fn account_of(
        &self,
        snapshot: &Snapshot,
        user: &str,
    ) -> Result<Option<Account>, MatrixError> {
        if user == self.settings.account.user().as_str() {
            return Ok(Some(Account::OWNER));
        }
        let server = self.settings.account.server().as_str();
        let name = user.strip_prefix('@').and_then(|id| id.split_once(':'));
        let Some((name, _)) = name.filter(|(_, its_server)| *its_server == server) else {
            return Ok(None);
        };
        let users = snapshot.users()?;
        let mut others = users
            .into_iter()
            .filter(|(account, _)| *account != Account::OWNER);
        let found = others.find(|(_, user)| user.name == name);
        Ok(found.map(|(account, _)| account))
    }
}

#[derive(Deserialize)]
struct Change {
    auth: Option<Auth>,
    new_password: Option<String>,
    logout_devices: Option<bool>,
}

/// `POST /_matrix/client/v3/account/password`.
fn change_password(endpoint: &Endpoint, call: &Call) -> Answer {
    let request: Change = call.json()?;
    if let Some(question) = uia::ask(endpoint, call, request.auth.as_ref(), "password")? {
        return Ok(question);
    }
    let missing = || MatrixError::new(Code::MissingParam, "`new_password` is missing");
    let password = request.new_password.ok_or_else(missing)?;
    if password.chars().count() < PASSWORD_LETTERS {
        let text = format!("a password has at least {PASSWORD_LETTERS} characters");
        return Err(MatrixError::new(Code::WeakPassword, text));
    }
    let hash = password::hash(&SecretText::new(password)).map_err(|error| {
        tracing::error!(%error, "a password could not be hashed");
        MatrixError::new(Code::Unknown, "the password could not be hashed")
    })?;
    let session = call.session()?;
    let (account, stays) = (session.account, session.device.clone());
    let log_out = request.logout_devices.unwrap_or(true);
    let mut others = endpoint.devices_of(account)?;
    others.retain(|device| log_out && *device != stays);
    endpoint.log_out_and(account, others, move |transaction| {
        if let Some(mut user) = transaction.user(account)? {
            user.password = hash;
            transaction.put_user(account, &user)?;
        }
        Ok(())
    })?;
    nothing()
}

/// `POST /_matrix/client/v3/account/deactivate`, `/account/3pid` and what is below it.
fn refuse(_endpoint: &Endpoint, _call: &Call) -> Answer {
    Err(MatrixError::forbidden(
        "the account is the archive's owner's; it cannot be closed and has no addresses of its own",
    ))
}

/// A device of a user as clients see it. What is not known is null: some clients insist on every member, and some on
/// whose device it is, which they know.
fn seen(user: &str, id: &str, device: &Device) -> Value {
    json!({
        "device_id": id,
        "user_id": user,
        "display_name": device.name,
        "last_seen_ip": device.address,
        "last_seen_ts": device.seen.map(AppleTime::unix_millis),
    })
}

/// `GET /_matrix/client/v3/devices`.
fn list(endpoint: &Endpoint, call: &Call) -> Answer {
    let account = call.session()?.account;
    let user = endpoint.user_of(account)?;
    let devices = endpoint.store.snapshot()?.devices(account)?;
    let devices = devices.iter().map(|(id, held)| seen(&user, id, held));
    json(&json!({ "devices": devices.collect::<Vec<Value>>() }))
}

fn no_device() -> MatrixError {
    MatrixError::not_found("there is no such device")
}

/// `GET /_matrix/client/v3/devices/{device}`.
fn show(endpoint: &Endpoint, call: &Call) -> Answer {
    let account = call.session()?.account;
    let id = call.segment("device");
    let device = endpoint.store.snapshot()?.device(account, id)?;
    let user = endpoint.user_of(account)?;
    json(&seen(&user, id, &device.ok_or_else(no_device)?))
}

/// `GET /_matrix/client/v3/admin/whois/{user}`: of oneself. A device is where it was seen last.
fn whois(endpoint: &Endpoint, call: &Call) -> Answer {
    let account = endpoint.own(call)?;
    let mut devices = Map::new();
    for (id, device) in endpoint.store.snapshot()?.devices(account)? {
        let connection = json!({
            "ip": device.address,
            "last_seen": device.seen.map(AppleTime::unix_millis),
            "user_agent": device.agent,
        });
        let sessions = json!({ "sessions": [{ "connections": [connection] }] });
        devices.insert(id, sessions);
    }
    json(&json!({ "user_id": endpoint.user_of(account)?, "devices": devices }))
}

#[derive(Deserialize)]
struct NewName {
    display_name: Option<String>,
}

/// `PUT /_matrix/client/v3/devices/{device}`.
fn rename(endpoint: &Endpoint, call: &Call) -> Answer {
    let account = call.session()?.account;
    let id = call.segment("device").to_owned();
    let request: NewName = call.json()?;
    let is_there = endpoint.write(move |transaction| {
        let Some(mut device) = transaction.device(account, &id)? else {
            return Ok(false);
        };
        if let Some(name) = request.display_name {
            device.name = Some(name);
            transaction.put_device(account, &id, &device)?;
        }
        Ok(true)
    })?;
    if is_there {
        nothing()
    } else {
        Err(no_device())
    }
}

#[derive(Deserialize)]
struct LogOut {
    auth: Option<Auth>,
    #[serde(default)]
    devices: Vec<String>,
}

/// `DELETE /_matrix/client/v3/devices/{device}`.
fn log_out(endpoint: &Endpoint, call: &Call) -> Answer {
    let request: LogOut = call.json()?;
    let devices = vec![call.segment("device").to_owned()];
    log_out_all(endpoint, call, request.auth.as_ref(), devices)
}

/// `POST /_matrix/client/v3/delete_devices`.
fn log_out_several(endpoint: &Endpoint, call: &Call) -> Answer {
    let request: LogOut = call.json()?;
    log_out_all(endpoint, call, request.auth.as_ref(), request.devices)
}

fn log_out_all(
    endpoint: &Endpoint,
    call: &Call,
    auth: Option<&Auth>,
    devices: Vec<String>,
) -> Answer {
    let purpose = format!("log out {devices:?}");
    if let Some(question) = uia::ask(endpoint, call, auth, &purpose)? {
        return Ok(question);
    }
    endpoint.log_out(call.session()?.account, devices)?;
    nothing()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use serde_json::json;

    use crate::deliver::endpoint::testing::ADA;
    use crate::deliver::endpoint::testing::DEVICE;
    use crate::deliver::endpoint::testing::PASSWORD;
    use crate::deliver::endpoint::testing::World;
    use crate::net::Method;

    fn auth(password: &str) -> Value {
        json!({"type": "m.login.password", "user": "ada", "password": password})
    }

    async fn status_of(world: &World, token: &str) -> u16 {
        let reply = world.ask_as(token, Method::GET, "/account/whoami", Value::Null);
        reply.await.status
    }

    #[tokio::test]
    async fn a_new_password_logs_other_devices_out() {
        let world = World::new();
        let tablet = world.log_in("TABLET");
        assert_eq!(status_of(&world, &tablet).await, 200);

        let body = json!({"auth": auth(PASSWORD), "new_password": "battery staple"});
        world.post("/account/password", body).await.ok();

        assert_eq!(status_of(&world, &tablet).await, 401);
        assert_eq!(status_of(&world, &world.token).await, 200);
        let login = |password: &str| {
            let mut body = auth(password);
            body["device_id"] = "NEW".into();
            body
        };
        let old = world.post("/login", login(PASSWORD)).await;
        assert_eq!(old.refusal(), (403, "M_FORBIDDEN"));
        world.post("/login", login("battery staple")).await.ok();
    }

    #[tokio::test]
    async fn other_devices_may_stay() {
        let world = World::new();
        let tablet = world.log_in("TABLET");

        let body = json!({
            "auth": auth(PASSWORD), "new_password": "battery staple", "logout_devices": false,
        });
        world.post("/account/password", body).await.ok();

        assert_eq!(status_of(&world, &tablet).await, 200);
    }

    #[tokio::test]
    async fn a_weak_password_is_refused() {
        let world = World::new();

        let body = json!({"auth": auth(PASSWORD), "new_password": "short"});
        let reply = world.post("/account/password", body).await;

        assert_eq!(reply.refusal(), (400, "M_WEAK_PASSWORD"));
    }

    #[tokio::test]
    async fn the_account_stays_as_it_is() {
        let world = World::new();

        for path in ["/account/deactivate", "/account/3pid", "/account/3pid/add"] {
            let reply = world.post(path, json!({})).await;
            assert_eq!(reply.refusal(), (403, "M_FORBIDDEN"), "{path}");
        }
    }

    #[tokio::test]
    async fn devices_are_listed_and_renamed() {
        let world = World::new();
        world.log_in("TABLET");

        let name = json!({"display_name": "My tablet"});
        world.put("/devices/TABLET", name.clone()).await.ok();

        let tablet = json!({
            "device_id": "TABLET",
            "user_id": ADA,
            "display_name": "My tablet",
            "last_seen_ip": null,
            "last_seen_ts": 978_310_800_000_i64,
        });
        assert_eq!(world.get("/devices/TABLET").await.ok(), tablet);
        let devices = world.get("/devices").await.ok();
        let ids: Vec<&Value> = devices["devices"]
            .as_array()
            .unwrap()
            .iter()
            .map(|device| &device["device_id"])
            .collect();
        assert_eq!(ids, [DEVICE, "TABLET"]);
        let gone = world.get("/devices/NONE").await;
        assert_eq!(gone.refusal(), (404, "M_NOT_FOUND"));
        let gone = world.put("/devices/NONE", name).await;
        assert_eq!(gone.refusal(), (404, "M_NOT_FOUND"));
    }

    #[tokio::test]
    async fn who_asks_is_told_from_where_they_ask() {
        let world = World::new();
        world.log_in("TABLET");

        let answer = world.get(&format!("/admin/whois/{ADA}")).await.ok();

        let connections =
            |device: &str| answer["devices"][device]["sessions"][0]["connections"].clone();
        assert_eq!(answer["user_id"], ADA);
        assert_eq!(
            connections("TABLET"),
            json!([{"ip": null, "last_seen": 978_310_800_000_i64, "user_agent": null}])
        );
        assert_eq!(connections(DEVICE)[0]["ip"], "127.0.0.1");
        let others = world.get("/admin/whois/@eve:example.org").await;
        assert_eq!(others.refusal(), (403, "M_FORBIDDEN"));
    }

    #[tokio::test]
    async fn devices_are_logged_out_together() {
        let world = World::new();
        let tokens = [world.log_in("ONE"), world.log_in("TWO")];

        let body = json!({"auth": auth(PASSWORD), "devices": ["ONE", "TWO", "NEVER"]});
        world.post("/delete_devices", body).await.ok();

        for token in tokens {
            assert_eq!(status_of(&world, &token).await, 401);
        }
        assert_eq!(world.get("/devices/ONE").await.status, 404);
    }
}
