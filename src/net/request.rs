//! One request, owned, as a handler gets it. It is not routed yet.

use std::fmt;
use std::net::SocketAddr;

use hyper::HeaderMap;
use hyper::Method;
use hyper::Uri;
use hyper::body::Incoming;
use hyper::header::HOST;
use hyper::header::HeaderName;
use hyper::header::HeaderValue;
use tokio_util::sync::CancellationToken;

use crate::net::body::RequestBody;
use crate::net::target::Path;
use crate::net::target::Query;
use crate::net::target::TargetError;

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Somebody at this address. Behind a reverse proxy it is the proxy's.
    Tcp(SocketAddr),
    /// A process of the owner, over the Unix socket: its user id was compared with ours.
    Owner,
}

impl Peer {
    /// Whether the other end is on this computer.
    pub fn is_local(self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Self::Owner => true,
        }
    }
}

/// A request.
pub struct Request {
    /// The method; `HEAD` arrives as `GET`, and the answer's body is then left out.
    pub method: Method,
    /// The decoded path, or why there is none; `Router::route` answers that.
    pub path: Result<Path, TargetError>,
    /// The decoded query, empty where there is none.
    pub query: Result<Query, TargetError>,
    /// The headers.
    pub headers: HeaderMap,
    /// Who asks.
    pub peer: Peer,
    /// Whether the connection is encrypted by us.
    pub is_tls: bool,
    /// The body.
    pub body: RequestBody,
    /// Cancelled when the service stops: a long poll then answers with what it has. (When the client goes away the
    /// handler's future is dropped.)
    pub stop: CancellationToken,
    /// What the request line (or `:authority`) said, which comes before the header.
    authority: Option<String>,
}

impl Request {
    /// A request from inside the program, without headers and body. `target` is a path with or without a query.
    pub fn new(method: Method, target: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Self {
            method,
            path: Path::parse(path),
            query: Query::parse(query),
            headers: HeaderMap::new(),
            peer: Peer::Owner,
            is_tls: false,
            body: RequestBody::whole(bytes::Bytes::new()),
            stop: CancellationToken::new(),
            authority: None,
        }
    }

    /// The same with one more header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// The same with this body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<bytes::Bytes>) -> Self {
        self.body = RequestBody::whole(body.into());
        self
    }

    /// The same from another peer.
    #[must_use]
    pub const fn with_peer(mut self, peer: Peer) -> Self {
        self.peer = peer;
        self
    }

    pub(crate) fn from_hyper(
        request: hyper::Request<Incoming>,
        peer: Peer,
        is_tls: bool,
        stop: CancellationToken,
    ) -> Self {
        let (head, body) = request.into_parts();
        Self {
            method: head.method,
            path: Path::parse(head.uri.path()),
            query: head.uri.query().map_or(Ok(Query::default()), Query::parse),
            headers: head.headers,
            peer,
            is_tls,
            body: RequestBody::incoming(body),
            stop,
            authority: authority(&head.uri),
        }
    }

    /// The host and port that the client believes to talk to. `None` when it does not say, or says two things.
    ///
    /// Nothing is built from it before `HostCheck::allows` (D28).
    pub fn authority(&self) -> Option<&str> {
        if let Some(authority) = &self.authority {
            return Some(authority);
        }
        let mut hosts = self.headers.get_all(HOST).iter();
        let host = hosts.next()?;
        hosts.next().is_none().then(|| host.to_str().ok())?
    }

    /// One header as text; `None` when it is missing or not ASCII.
    pub fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

fn authority(uri: &Uri) -> Option<String> {
    Some(uri.authority()?.as_str().to_owned())
}

/// Headers and query hold tokens, paths hold ids: logs show neither.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("query", &self.query)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use hyper::Method;
    use hyper::header::AUTHORIZATION;
    use hyper::header::HOST;
    use hyper::header::HeaderValue;

    use super::Peer;
    use super::Request;

    fn request(hosts: &[&'static str]) -> Request {
        hosts
            .iter()
            .fold(Request::new(Method::GET, "/a?b=c"), |request, host| {
                request.with_header(HOST, HeaderValue::from_static(host))
            })
    }

    #[test]
    fn a_request_with_two_hosts_has_none() {
        assert_eq!(request(&["a:1"]).authority(), Some("a:1"));
        assert_eq!(request(&["a:1", "b"]).authority(), None);
        assert_eq!(request(&[]).authority(), None);
    }

    #[test]
    fn the_request_line_comes_before_the_header() {
        let mut request = request(&["a"]);
        request.authority = Some("b:2".to_owned());

        assert_eq!(request.authority(), Some("b:2"));
    }

    #[test]
    fn loopback_addresses_of_both_families_are_local() {
        let is_local = |address: &str| Peer::Tcp(address.parse::<SocketAddr>().unwrap()).is_local();

        assert!(is_local("127.0.0.1:1") && is_local("[::1]:1") && is_local("[::ffff:127.0.0.1]:1"));
        assert!(!is_local("192.168.0.1:1") && !is_local("[fe80::1]:1"));
        assert!(Peer::Owner.is_local());
    }

    #[test]
    fn tokens_do_not_reach_a_log() {
        let request = Request::new(Method::GET, "/rooms/secret?access_token=secret")
            .with_header(AUTHORIZATION, HeaderValue::from_static("Bearer secret"))
            .with_body("secret");

        assert!(!format!("{request:?}").contains("secret"));
    }
}
