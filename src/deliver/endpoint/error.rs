//! What a client is told when it cannot have what it asked for (`[mx v1.12] Standard error response`).

use std::time::Duration;

use crate::net::Response;
use crate::net::StatusCode;
use crate::store::StoreError;

/// An error in the form of the specification: a status, a code, a sentence.
#[derive(Debug, thiserror::Error)]
#[error("{status} {}: {text}", code.as_str())]
pub(super) struct MatrixError {
    status: StatusCode,
    code: Code,
    text: String,
    retry_after: Option<Duration>,
    /// Further members of the JSON object.
    more: Option<serde_json::Map<String, serde_json::Value>>,
}

/// Error codes that this server uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// May not be done.
    Forbidden,
    /// The token is not valid.
    UnknownToken,
    /// There is no token.
    MissingToken,
    /// The JSON is valid but not what was expected.
    BadJson,
    /// The body is no JSON.
    NotJson,
    /// There is no such thing.
    NotFound,
    /// Too many requests.
    LimitExceeded,
    /// There is no such endpoint, or not with this method.
    Unrecognized,
    /// Something went wrong here.
    Unknown,
    /// A parameter is missing.
    MissingParam,
    /// A parameter has a value that it cannot have.
    InvalidParam,
    /// The body is too large.
    TooLarge,
    /// A sliding-sync position that is not known any more.
    UnknownPos,
    /// The password is too weak.
    WeakPassword,
    /// Somebody has that name.
    UserInUse,
    /// No user can have that name.
    InvalidUsername,
    /// That name is not for clients to take.
    Exclusive,
    /// The account was closed.
    UserDeactivated,
    /// Rooms of that version are not made here.
    UnsupportedRoomVersion,
    /// A room cannot begin like that.
    InvalidRoomState,
    /// That reaction is there already.
    DuplicateAnnotation,
    /// That alias leads to no room.
    BadAlias,
    /// A file has an id, and is still to come.
    NotYetUploaded,
    /// A file that has come stays as it is.
    CannotOverwriteMedia,
}

impl Code {
    /// As the specification writes it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Forbidden => "M_FORBIDDEN",
            Self::UnknownToken => "M_UNKNOWN_TOKEN",
            Self::MissingToken => "M_MISSING_TOKEN",
            Self::BadJson => "M_BAD_JSON",
            Self::NotJson => "M_NOT_JSON",
            Self::NotFound => "M_NOT_FOUND",
            Self::LimitExceeded => "M_LIMIT_EXCEEDED",
            Self::Unrecognized => "M_UNRECOGNIZED",
            Self::Unknown => "M_UNKNOWN",
            Self::MissingParam => "M_MISSING_PARAM",
            Self::InvalidParam => "M_INVALID_PARAM",
            Self::TooLarge => "M_TOO_LARGE",
            Self::UnknownPos => "M_UNKNOWN_POS",
            Self::WeakPassword => "M_WEAK_PASSWORD",
            Self::UserInUse => "M_USER_IN_USE",
            Self::InvalidUsername => "M_INVALID_USERNAME",
            Self::Exclusive => "M_EXCLUSIVE",
            Self::UserDeactivated => "M_USER_DEACTIVATED",
            Self::UnsupportedRoomVersion => "M_UNSUPPORTED_ROOM_VERSION",
            Self::InvalidRoomState => "M_INVALID_ROOM_STATE",
            Self::DuplicateAnnotation => "M_DUPLICATE_ANNOTATION",
            Self::BadAlias => "M_BAD_ALIAS",
            Self::NotYetUploaded => "M_NOT_YET_UPLOADED",
            Self::CannotOverwriteMedia => "M_CANNOT_OVERWRITE_MEDIA",
        }
    }
}

impl MatrixError {
    /// An error with the status that goes with its code.
    pub(super) fn new(code: Code, text: impl Into<String>) -> Self {
        let status = match code {
            Code::UnknownToken | Code::MissingToken => StatusCode::UNAUTHORIZED,
            Code::Forbidden | Code::UserDeactivated => StatusCode::FORBIDDEN,
            Code::NotFound | Code::Unrecognized => StatusCode::NOT_FOUND,
            Code::LimitExceeded => StatusCode::TOO_MANY_REQUESTS,
            Code::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Code::NotYetUploaded => StatusCode::GATEWAY_TIMEOUT,
            Code::CannotOverwriteMedia => StatusCode::CONFLICT,
            Code::Unknown => StatusCode::INTERNAL_SERVER_ERROR,
            Code::BadJson
            | Code::NotJson
            | Code::MissingParam
            | Code::InvalidParam
            | Code::UnknownPos
            | Code::WeakPassword
            | Code::UserInUse
            | Code::InvalidUsername
            | Code::Exclusive
            | Code::UnsupportedRoomVersion
            | Code::InvalidRoomState
            | Code::DuplicateAnnotation
            | Code::BadAlias => StatusCode::BAD_REQUEST,
        };
        Self {
            status,
            code,
            text: text.into(),
            retry_after: None,
            more: None,
        }
    }

    /// May not be done.
    pub(super) fn forbidden(text: impl Into<String>) -> Self {
        Self::new(Code::Forbidden, text)
    }

    /// There is no such thing.
    pub(super) fn not_found(text: impl Into<String>) -> Self {
        Self::new(Code::NotFound, text)
    }

    /// A parameter has a value that it cannot have.
    pub(super) fn invalid(text: impl Into<String>) -> Self {
        Self::new(Code::InvalidParam, text)
    }

    /// Too many requests; another one may come after this time.
    pub(super) fn limited(retry_after: Duration) -> Self {
        Self {
            retry_after: Some(retry_after),
            ..Self::new(Code::LimitExceeded, "too many requests, wait a little")
        }
    }

    /// The same error with another status.
    #[must_use]
    pub(super) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// The same error with one more member in its object.
    #[must_use]
    pub(super) fn with(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        let more = self.more.get_or_insert_with(serde_json::Map::new);
        more.insert(name.to_owned(), value.into());
        self
    }

    /// Its code.
    pub(super) const fn code(&self) -> Code {
        self.code
    }

    /// As an answer.
    pub(super) fn into_response(self) -> Response {
        let mut body = self.more.unwrap_or_default();
        body.insert("errcode".to_owned(), self.code.as_str().into());
        body.insert("error".to_owned(), self.text.into());
        if let Some(wait) = self.retry_after {
            let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            body.insert("retry_after_ms".to_owned(), millis.into());
        }
        let response = Response::json(self.status, serde_json::Value::Object(body).to_string());
        match self.retry_after {
            Some(wait) => response.with_retry_after(wait),
            None => response,
        }
    }
}

/// The store's errors are nobody's business but the owner's: the log has them, the client a sentence.
impl From<StoreError> for MatrixError {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the store could not serve a request");
        Self::new(
            Code::Unknown,
            "the archive could not be read or written; see footbridge's log",
        )
    }
}
