//! A request that was routed, and what handlers need of it.

use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::deliver::endpoint::error::Code;
use crate::deliver::endpoint::error::MatrixError;
use crate::deliver::endpoint::session::Session;
use crate::net::HeaderMap;
use crate::net::Peer;
use crate::net::Response;
use crate::net::StatusCode;
use crate::net::router::Captures;
use crate::net::target::Query;

/// What a handler answers.
pub(super) type Answer = Result<Response, MatrixError>;

/// A routed request with its whole body.
pub(super) struct Call {
    /// Who asks; `None` only where a route needs no token.
    pub(super) session: Option<Arc<Session>>,
    pub(super) captures: Captures,
    /// Without empty values: `timeout=` is no timeout (D17).
    pub(super) query: Query,
    pub(super) headers: HeaderMap,
    pub(super) peer: Peer,
    /// The host by which the client reached us, checked (D28).
    pub(super) authority: String,
    pub(super) is_tls: bool,
    /// Cancelled when the server stops.
    pub(super) stop: CancellationToken,
    pub(super) body: Bytes,
}

impl Call {
    /// Who asks.
    pub(super) fn session(&self) -> Result<&Arc<Session>, MatrixError> {
        let missing = || MatrixError::new(Code::MissingToken, "an access token is needed");
        self.session.as_ref().ok_or_else(missing)
    }

    /// A captured segment of the path. The route's pattern has it.
    pub(super) fn segment(&self, name: &str) -> &str {
        self.captures.get(name).unwrap_or_default()
    }

    /// The body as JSON. An empty one is `{}`.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, MatrixError> {
        let body: &[u8] = if self.body.is_empty() {
            b"{}"
        } else {
            &self.body
        };
        // Members that nobody asks for are not looked at one by one: all of it is UTF-8, or it is no JSON.
        let text = std::str::from_utf8(body)
            .map_err(|_error| MatrixError::new(Code::NotJson, "the body is not UTF-8"))?;
        serde_json::from_str(text).map_err(|error| bad_json(&error))
    }

    /// A query parameter.
    pub(super) fn param(&self, name: &str) -> Option<&str> {
        self.query.first(name)
    }

    /// A query parameter that is a number.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, MatrixError> {
        let parse = |text: &str| {
            let refused = |_error| MatrixError::invalid(format!("`{name}` is not a number"));
            text.parse().map_err(refused)
        };
        self.param(name).map(parse).transpose()
    }
}

/// A member of a body for which `null` says as much as nothing.
pub(super) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// What is wrong with a body: it is no JSON, or not the right one.
pub(super) fn bad_json(error: &serde_json::Error) -> MatrixError {
    let code = if error.is_data() {
        Code::BadJson
    } else {
        Code::NotJson
    };
    // serde_json's sentence names fields and places, never values of other types than were expected.
    MatrixError::new(
        code,
        format!(
            "the body cannot be used: line {}, column {}",
            error.line(),
            error.column()
        ),
    )
}

/// An answer of JSON.
pub(super) fn json(value: &impl Serialize) -> Answer {
    let body = serde_json::to_vec(value).map_err(|error| {
        tracing::error!(%error, "an answer could not be written");
        MatrixError::new(Code::Unknown, "the answer could not be written")
    })?;
    Ok(Response::json(StatusCode::OK, body))
}

/// The answer `{}`.
#[expect(clippy::unnecessary_wraps, reason = "a handler ends with it")]
pub(super) fn nothing() -> Answer {
    Ok(Response::json(StatusCode::OK, "{}"))
}
