//! HTTP. The server: listeners, TLS, requests, answers, a router and guards; whoever serves something implements
//! [`Handler`]. And a [`client`]. It knows nothing of Matrix, CloudKit, the store or the model.

mod activity;
mod answer;
mod body;
mod certificate;
pub mod client;
mod connection;
mod descriptors;
mod etag;
pub mod guard;
mod gzip;
mod listen;
mod range;
mod request;
mod response;
pub mod router;
mod socket;
pub mod target;
mod tls;
mod wire;

pub use answer::FileSource;
pub use answer::RangeSource;
pub use body::BodyError;
pub use body::Chunks;
pub use body::RequestBody;
pub use bytes::Bytes;
pub use descriptors::raise_descriptor_limit;
pub use etag::ETag;
pub use hyper::HeaderMap;
pub use hyper::Method;
pub use hyper::StatusCode;
pub use hyper::Uri;
pub use hyper::header;
pub use hyper::header::HeaderName;
pub use hyper::header::HeaderValue;
pub use listen::Connections;
pub use listen::Listen;
pub use listen::ListenError;
pub use listen::Listener;
pub use request::Peer;
pub use request::Request;
pub use response::Response;
pub use socket::SocketPath;
pub use tls::Fingerprint;
pub use tls::Tls;
pub use tls::TlsError;

use std::pin::Pin;

/// A future in a box: what a trait object returns.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Whoever answers requests.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request.
    ///
    /// # Cancel safety
    /// The future is dropped when the client goes away, and at the deadline of a stop. Work that must finish is handed to
    /// somebody else before the first `.await`.
    fn call(&self, request: Request) -> BoxFuture<'_, Response>;
}
