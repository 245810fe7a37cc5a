//! Proving who one is before something grave is done: user-interactive authentication, with the password as its one
//! stage.
//!
//! A request without `auth` is answered 401 with a session; the same request with that session and the password is done.
//! A session belongs to one account and one purpose, works once and lives in memory: a restart makes clients ask again.
//!
//! Source: `[mx v1.12] User-Interactive Authentication API`.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use serde::Deserialize;
use serde_json::json;

use crate::base::limits::PROOF_AGE;
use crate::base::limits::PROOFS;
use crate::base::time::AppleTime;
use crate::deliver::endpoint::Endpoint;
use crate::deliver::endpoint::call::Call;
use crate::deliver::endpoint::error::Code;
use crate::deliver::endpoint::error::MatrixError;
use crate::deliver::endpoint::login;
use crate::deliver::endpoint::login::Identifier;
use crate::deliver::endpoint::login::PASSWORD;
use crate::deliver::endpoint::session::random_letters;
use crate::net::Response;
use crate::net::StatusCode;
use crate::store::account::Account;

/// Sessions that clients began and are to come back to, for a while. When there are too many, the oldest ends.
pub(super) struct Begun<T>(Mutex<HashMap<String, (AppleTime, T)>>);

impl<T> Default for Begun<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Begun<T> {
    /// Begins a session; answers its id.
    pub(super) fn begin(&self, what: T, now: AppleTime) -> Result<String, MatrixError> {
        let id = random_letters::<24>()?;
        let mut held = self.lock();
        if held.len() >= PROOFS {
            let oldest = held.iter().min_by_key(|(_, (since, _))| *since);
            if let Some(oldest) = oldest.map(|(id, _)| id.clone()) {
                held.remove(&oldest);
            }
        }
        held.insert(id.clone(), (now, what));
        Ok(id)
    }

    /// Looks at what a session was begun for, or changes it; `None` for no session.
    pub(super) fn with<R>(
        &self,
        id: &str,
        now: AppleTime,
        look: impl FnOnce(&mut T) -> R,
    ) -> Option<R> {
        let mut held = self.lock();
        held.retain(|_, (since, _)| since.plus(PROOF_AGE) > now);
        held.get_mut(id).map(|(_, what)| look(what))
    }

    fn end(&self, id: &str) {
        self.lock().remove(id);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, (AppleTime, T)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a proof is awaited for.
#[derive(PartialEq, Eq)]
pub(super) struct Awaited {
    account: Account,
    /// Hash of the purpose, which may be as long as a request.
    purpose: [u8; 32],
}

impl Begun<Awaited> {
    /// Whether there is such a session, and it is for this.
    fn is_for(&self, id: &str, wanted: &Awaited, now: AppleTime) -> Result<bool, MatrixError> {
        match self.with(id, now, |awaited| *awaited == *wanted) {
            None => Ok(false),
            Some(true) => Ok(true),
            Some(false) => Err(MatrixError::forbidden(
                "this session was begun for something else",
            )),
        }
    }
}

/// The `auth` of a request.
#[derive(Deserialize)]
pub(super) struct Auth {
    #[serde(rename = "type")]
    kind: Option<String>,
    session: Option<String>,
    identifier: Option<Identifier>,
    /// What clients of long ago say instead.
    user: Option<String>,
    password: Option<String>,
}

/// Asks for a proof that a request may do something grave. `None`: the proof is there. Else the answer to give: 401, in
/// the form of the specification, without a code as long as nothing was tried.
///
/// `purpose` says what is to be done to what, so that a proof for one thing does nothing else.
///
/// # Errors
///
/// 403 when the session is for something else or the password somebody else's, 429 after too many attempts.
pub(super) fn ask(
    endpoint: &Endpoint,
    call: &Call,
    auth: Option<&Auth>,
    purpose: &str,
) -> Result<Option<Response>, MatrixError> {
    let account = call.session()?.account;
    let now = endpoint.clock.now();
    let awaited = Awaited {
        account,
        purpose: endpoint.sessions.hash(purpose),
    };
    let begun = match auth.and_then(|auth| auth.session.as_deref()) {
        Some(id) => endpoint
            .proofs
            .is_for(id, &awaited, now)?
            .then(|| id.to_owned()),
        None => None,
    };
    let Some((auth, kind)) = auth.and_then(|auth| Some((auth, auth.kind.as_deref()?))) else {
        return question(endpoint, begun, awaited, None).map(Some);
    };
    // A session that ended, by time or restart: the client asks its person again.
    if auth.session.is_some() && begun.is_none() {
        return question(endpoint, None, awaited, None).map(Some);
    }
    if kind != PASSWORD {
        let error = (Code::Unrecognized, "only the password is a proof here");
        return question(endpoint, begun, awaited, Some(error)).map(Some);
    }
    login::limit(endpoint, call)?;
    let user = match &auth.identifier {
        Some(identifier) => identifier.user_name(),
        None => auth.user.as_deref(),
    };
    let own = endpoint.user_of(account)?;
    let password = auth.password.as_deref().unwrap_or_default();
    match login::check_password(endpoint, user.unwrap_or(&own), password) {
        Ok(proven) if proven == account => {
            if let Some(id) = begun {
                endpoint.proofs.end(&id);
            }
            Ok(None)
        }
        Ok(_) => Err(MatrixError::forbidden("this is somebody else's password")),
        Err(error) if error.code() == Code::Forbidden => {
            let error = (Code::Forbidden, "wrong user name or password");
            question(endpoint, begun, awaited, Some(error)).map(Some)
        }
        Err(error) => Err(error),
    }
}

fn question(
    endpoint: &Endpoint,
    begun: Option<String>,
    awaited: Awaited,
    error: Option<(Code, &str)>,
) -> Result<Response, MatrixError> {
    let session = match begun {
        Some(id) => id,
        None => endpoint.proofs.begin(awaited, endpoint.clock.now())?,
    };
    let mut body = json!({
        "flows": [{ "stages": [PASSWORD] }],
        "params": {},
        "session": session,
    });
    if let (Some((code, text)), Some(body)) = (error, body.as_object_mut()) {
        body.insert("completed".to_owned(), json!([]));
        body.insert("errcode".to_owned(), code.as_str().into());
        body.insert("error".to_owned(), text.into());
    }
    Ok(Response::json(StatusCode::UNAUTHORIZED, body.to_string()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::Value;
    use serde_json::json;

    use crate::deliver::endpoint::testing::ADA;
    use crate::deliver::endpoint::testing::PASSWORD;
    use crate::deliver::endpoint::testing::World;
    use crate::net::Method;

    fn with(session: &Value, password: &str) -> Value {
        json!({"auth": {
            "type": "m.login.password",
            "session": session,
            "identifier": {"type": "m.id.user", "user": ADA},
            "password": password,
        }})
    }

    /// Asks to log the tablet out.
    async fn ask(world: &World, body: Value) -> (u16, Value) {
        let reply = world.ask(Method::DELETE, "/devices/TABLET", body).await;
        (reply.status, reply.body)
    }

    #[tokio::test]
    async fn the_first_answer_is_a_question_without_a_code() {
        let world = World::new();

        let (status, mut body) = ask(&world, Value::Null).await;

        assert_eq!(body["session"].take().as_str().unwrap().len(), 24);
        let expected = json!({
            "flows": [{"stages": ["m.login.password"]}],
            "params": {},
            "session": null,
        });
        assert_eq!((status, body), (401, expected));
    }

    #[tokio::test]
    async fn a_wrong_password_is_asked_again_in_the_same_session() {
        let world = World::new();
        let (_, question) = ask(&world, json!({})).await;

        let (status, again) = ask(&world, with(&question["session"], "wrong")).await;

        let expected = json!({
            "flows": [{"stages": ["m.login.password"]}],
            "params": {},
            "session": question["session"],
            "completed": [],
            "errcode": "M_FORBIDDEN",
            "error": "wrong user name or password",
        });
        assert_eq!((status, again), (401, expected));
        let (status, _) = ask(&world, with(&question["session"], PASSWORD)).await;
        assert_eq!(status, 200);
    }

    #[tokio::test]
    async fn a_session_works_for_one_purpose_and_once() {
        let world = World::new();
        let (_, question) = ask(&world, json!({})).await;
        let proof = with(&question["session"], PASSWORD);

        let other = world
            .ask(Method::DELETE, "/devices/OTHER", proof.clone())
            .await;

        assert_eq!(other.refusal(), (403, "M_FORBIDDEN"));
        assert_eq!(ask(&world, proof.clone()).await.0, 200);
        let (status, again) = ask(&world, proof).await;
        assert_eq!(status, 401);
        assert_ne!(again["session"], question["session"]);
    }

    #[tokio::test]
    async fn a_session_ends() {
        let world = World::new();
        let (_, question) = ask(&world, json!({})).await;
        world.pass(Duration::from_hours(1));

        let (status, again) = ask(&world, with(&question["session"], PASSWORD)).await;

        assert_eq!(status, 401);
        assert_ne!(again["session"], question["session"]);
    }

    #[tokio::test]
    async fn guesses_are_limited_like_logins() {
        let world = World::new();
        let (_, question) = ask(&world, json!({})).await;

        for _ in 0..5 {
            assert_eq!(
                ask(&world, with(&question["session"], "guess")).await.0,
                401
            );
        }

        let (status, body) = ask(&world, with(&question["session"], PASSWORD)).await;
        assert_eq!(
            (status, &body["errcode"]),
            (429, &json!("M_LIMIT_EXCEEDED"))
        );
    }
}
