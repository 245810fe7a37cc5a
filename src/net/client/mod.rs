//! An HTTP client: connections that are kept for the next request, TLS, answers that arrive piece by piece. It follows no
//! redirect, keeps no cookies and asks nothing again.
//!
//! Time is judged by progress: a connection, the head of an answer and each of its pieces must come in time, and an answer
//! as a whole takes as long as it takes.

mod connect;
mod resolve;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use bytes::BytesMut;
use http_body_util::BodyExt;
use http_body_util::Full;
use hyper::HeaderMap;
use hyper::Method;
use hyper::StatusCode;
use hyper::Uri;
use hyper::body::Body as _;
use hyper::body::Incoming;
use hyper_util::client::legacy;
use hyper_util::rt::TokioTimer;
use thiserror::Error;
use tokio::time::timeout;

use crate::base::limits::CLIENT_IDLE_CONNECTIONS;
use crate::base::tasks::TaskGroup;
use crate::net::client::connect::Connector;
use crate::net::client::connect::Tasks;

pub use connect::Protocols;
pub use connect::Roots;

/// Connections to servers, for any number of requests at once. Clones share them.
#[derive(Clone)]
pub struct Client(legacy::Client<Connector, Full<Bytes>>);

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client(..)")
    }
}

/// A request with its whole body.
#[derive(Clone)]
pub struct ClientRequest {
    /// The method.
    pub method: Method,
    /// Where to: http or https, with a host.
    pub url: Uri,
    /// Headers; `Host` and the body's length are added.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// Headers and queries hold tokens: logs show the method and the host.
impl fmt::Debug for ClientRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientRequest")
            .field("method", &self.method)
            .field("host", &self.url.host())
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client whose connections are tasks of this group: they end when it stops.
    ///
    /// # Errors
    /// [`ClientError::Tls`].
    pub fn new(
        tasks: &TaskGroup,
        roots: &Roots,
        protocols: Protocols,
    ) -> Result<Self, ClientError> {
        let mut builder = legacy::Client::builder(Tasks(tasks.clone()));
        builder
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(CLIENT_IDLE_CONNECTIONS);
        Ok(Self(builder.build(Connector::new(roots, protocols)?)))
    }

    /// Sends a request. `wait` is how long the head of the answer may take, from now on.
    ///
    /// # Errors
    /// [`ClientError`]. Every status is an answer.
    ///
    /// # Cancel safety
    /// Whether the server saw the request is not known when this is dropped.
    pub async fn send(
        &self,
        request: ClientRequest,
        wait: Duration,
    ) -> Result<ClientResponse, ClientError> {
        let is_http = matches!(request.url.scheme_str(), Some("http" | "https"));
        let host = request.url.host().filter(|_| is_http);
        let host: Box<str> = host.ok_or(ClientError::Url)?.into();
        let mut message = hyper::Request::new(Full::new(request.body));
        *message.method_mut() = request.method;
        *message.uri_mut() = request.url;
        *message.headers_mut() = request.headers;
        match timeout(wait, self.0.request(message)).await {
            Err(_elapsed) => Err(ClientError::TimedOut {
                host,
                wanted: "an answer",
                seconds: wait.as_secs(),
            }),
            Ok(Err(source)) if source.is_connect() => Err(ClientError::Connect { host, source }),
            Ok(Err(source)) => Err(ClientError::Broken { host, source }),
            Ok(Ok(answer)) => {
                let (head, body) = answer.into_parts();
                Ok(ClientResponse {
                    status: head.status,
                    headers: head.headers,
                    body,
                    host,
                })
            }
        }
    }
}

/// An answer whose body has not been read. Dropping it ends an HTTP/1.1 connection.
pub struct ClientResponse {
    /// The status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    body: Incoming,
    host: Box<str>,
}

impl fmt::Debug for ClientResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientResponse")
            .field("status", &self.status)
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

impl ClientResponse {
    /// The next piece of the body, never empty, or `None` at its end. `wait` is how long it may take.
    ///
    /// # Errors
    /// [`ClientError`]; a body that ends before the length that was announced for it is one. Nothing more can be read
    /// then.
    ///
    /// # Cancel safety
    /// Nothing is lost: a piece is taken only when it is returned.
    pub async fn chunk(&mut self, wait: Duration) -> Result<Option<Bytes>, ClientError> {
        let host = || self.host.clone();
        match timeout(wait, data(&mut self.body)).await {
            Ok(Ok(chunk)) => Ok(chunk),
            Ok(Err(source)) => Err(ClientError::Cut {
                host: host(),
                source,
            }),
            Err(_elapsed) => Err(ClientError::TimedOut {
                host: host(),
                wanted: "the rest of an answer",
                seconds: wait.as_secs(),
            }),
        }
    }

    /// The whole body, at most `limit` bytes. `wait` is how long each piece of it may take.
    ///
    /// # Errors
    /// [`ClientError`].
    ///
    /// # Cancel safety
    /// What was read is lost.
    pub async fn bytes(mut self, limit: usize, wait: Duration) -> Result<Bytes, ClientError> {
        let too_large = |host| ClientError::TooLarge { host, limit };
        let announced = self.body.size_hint().lower();
        if usize::try_from(announced).map_or(true, |bytes| bytes > limit) {
            return Err(too_large(self.host));
        }
        let Some(first) = self.chunk(wait).await? else {
            return Ok(Bytes::new());
        };
        if first.len() > limit {
            return Err(too_large(self.host));
        }
        let Some(mut next) = self.chunk(wait).await? else {
            return Ok(first);
        };
        let mut all = BytesMut::from(first);
        loop {
            if next.len() > limit.saturating_sub(all.len()) {
                return Err(too_large(self.host));
            }
            all.extend_from_slice(&next);
            match self.chunk(wait).await? {
                Some(chunk) => next = chunk,
                None => return Ok(all.freeze()),
            }
        }
    }
}

/// The next data that is not empty.
async fn data(body: &mut Incoming) -> Result<Option<Bytes>, hyper::Error> {
    while let Some(frame) = body.frame().await {
        // Trailers say nothing that we ask for.
        if let Ok(data) = frame?.into_data()
            && !data.is_empty()
        {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// Why there is no answer, or not all of one.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The URL cannot be asked.
    #[error("expected an address that begins with http:// or https:// and names a host")]
    Url,
    /// There are no roots to check certificates with.
    #[error("cannot read the certificates of this computer")]
    Roots,
    /// This build of the program cannot encrypt.
    #[error("cannot set up TLS")]
    Tls {
        /// What rustls says.
        #[source]
        source: rustls::Error,
    },
    /// There is no connection: the name is unknown, nobody listens, or the certificate is not trusted.
    #[error("cannot connect to {host}")]
    Connect {
        /// The host.
        host: Box<str>,
        /// What hyper says.
        #[source]
        source: legacy::Error,
    },
    /// The connection ended before there was an answer.
    #[error("the connection to {host} broke before it answered")]
    Broken {
        /// The host.
        host: Box<str>,
        /// What hyper says.
        #[source]
        source: legacy::Error,
    },
    /// The connection ended inside the answer.
    #[error("the answer of {host} ended early")]
    Cut {
        /// The host.
        host: Box<str>,
        /// What hyper says.
        #[source]
        source: hyper::Error,
    },
    /// Nothing arrived for too long.
    #[error("waited {seconds} s for {wanted} from {host}")]
    TimedOut {
        /// The host.
        host: Box<str>,
        /// What was waited for.
        wanted: &'static str,
        /// How long.
        seconds: u64,
    },
    /// The answer is larger than it may be.
    #[error("the answer of {host} is over the limit of {limit} bytes")]
    TooLarge {
        /// The host.
        host: Box<str>,
        /// The limit, in bytes.
        limit: usize,
    },
}

#[cfg(test)]
mod tests;
