//! The headers that identify the machine to Apple: those of the session, or fresh ones for each request, because the
//! password in them lives for about a minute. Nothing here makes them.
//!
//! Source: facts of CloudKit, 6.2.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::apple::session::Anisette;
use crate::base::limits;
use crate::net::HeaderMap;
use crate::net::HeaderName;
use crate::net::Method;
use crate::net::Uri;
use crate::net::client::Client;
use crate::net::client::ClientError;
use crate::net::client::ClientRequest;
use crate::source::cloudkit::SetupError;
use crate::source::cloudkit::header;

/// How the names of the headers begin; a server's answer can hold other members.
const PREFIXES: [&str; 3] = ["x-apple-", "x-mme-", "x-ba-"];

/// Where the headers come from.
pub(crate) enum Machine {
    /// They are always these, or there are none.
    Headers(HeaderMap),
    /// A server makes them.
    Server(Uri),
}

impl Machine {
    /// # Errors
    /// [`SetupError`] when the session holds what no header or no URL can.
    pub(crate) fn new(anisette: Option<&Anisette>) -> Result<Self, SetupError> {
        match anisette {
            None => Ok(Self::Headers(HeaderMap::new())),
            Some(Anisette::Headers(headers)) => read(headers).map(Self::Headers),
            Some(Anisette::Url(url)) => match url.parse::<Uri>() {
                Ok(url) if url.host().is_some() => Ok(Self::Server(url)),
                Ok(_) | Err(_) => Err(SetupError::AnisetteUrl),
            },
        }
    }

    /// The headers for one request.
    pub(crate) async fn headers(&self, client: &Client) -> Result<HeaderMap, AnisetteError> {
        let url = match self {
            Self::Headers(headers) => return Ok(headers.clone()),
            Self::Server(url) => url.clone(),
        };
        let request = ClientRequest {
            method: Method::GET,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        };
        let wait = limits::ANISETTE_TIMEOUT;
        let answer = client.send(request, wait).await?;
        if !answer.status.is_success() {
            return Err(AnisetteError::Status {
                status: answer.status.as_u16(),
            });
        }
        let body = answer.bytes(limits::ANISETTE_BYTES, wait).await?;
        let headers: BTreeMap<String, serde_json::Value> =
            serde_json::from_slice(&body).map_err(|_other| AnisetteError::Content)?;
        let texts = headers.into_iter();
        let texts = texts.filter_map(|(name, value)| Some((name, value.as_str()?.to_owned())));
        let headers = read(&texts.collect()).map_err(|_invalid| AnisetteError::Content)?;
        if headers.is_empty() {
            return Err(AnisetteError::Content);
        }
        Ok(headers)
    }
}

fn read(texts: &BTreeMap<String, String>) -> Result<HeaderMap, SetupError> {
    let mut headers = HeaderMap::new();
    for (name, text) in texts {
        let name = name.to_ascii_lowercase();
        if !PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
            continue;
        }
        let invalid = |_error| SetupError::Header { member: "anisette" };
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(invalid)?;
        headers.insert(name, header::secret(text, "anisette")?);
    }
    Ok(headers)
}

/// Why there are no headers.
#[derive(Debug, thiserror::Error)]
pub enum AnisetteError {
    /// The server cannot be asked.
    #[error("no answer from the anisette server")]
    Http(#[from] ClientError),
    /// It refuses or fails.
    #[error("the anisette server answered with the HTTP status {status}")]
    Status {
        /// The status.
        status: u16,
    },
    /// Its answer is something else.
    #[error("expected a JSON object of headers from the anisette server")]
    Content,
}
