//! The HTTP server: listeners, TLS, requests, answers, a router and guards. It knows nothing of Matrix, the store or
//! the model; whoever serves something implements [`Handler`].

pub mod router;
pub mod target;

pub use bytes::Bytes;
pub use hyper::HeaderMap;
pub use hyper::Method;
pub use hyper::StatusCode;
pub use hyper::header;
pub use hyper::header::HeaderName;
pub use hyper::header::HeaderValue;
