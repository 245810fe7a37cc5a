//! Which requests there are: each group of endpoints lists its own, and all lists make one router.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::base::limits::JSON_BODY_BYTES;
use crate::deliver::endpoint::Endpoint;
use crate::deliver::endpoint::call::Answer;
use crate::deliver::endpoint::call::Call;
use crate::net::Method;
use crate::net::Request;

/// The future of a handler that waits.
pub(super) type Later = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// One endpoint: its method, its paths, who may use it, what does it.
#[derive(Clone)]
pub(super) struct Route {
    pub(super) method: Method,
    /// Below [`CLIENT`] unless it begins with `/_matrix` or `/.well-known` or another root.
    pub(super) path: &'static str,
    /// The versions under which the path is served; empty for one that is complete.
    pub(super) versions: &'static [&'static str],
    pub(super) access: Access,
    /// The largest body, bytes.
    pub(super) body_bytes: usize,
    pub(super) work: Work,
}

/// Who may use an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Anybody who reaches the listener.
    Open,
    /// Who has a token.
    Token,
}

/// What does the work.
#[derive(Clone, Copy)]
pub(super) enum Work {
    /// Reads and writes the store, on a thread that may wait for the disk.
    Quick(fn(&Endpoint, &Call) -> Answer),
    /// Waits for something to happen.
    Long(fn(Arc<Endpoint>, Call) -> Later),
    /// Takes a body of any size as it comes.
    Streaming(fn(Arc<Endpoint>, Call, Request) -> Later),
}

/// What most endpoints stand below.
pub(super) const CLIENT: &str = "/_matrix/client";

/// Both spellings of the stable version: `r0` is what older clients say.
pub(super) const V3: &[&str] = &["v3", "r0"];

/// The version of newer families.
pub(super) const V1: &[&str] = &["v1"];

impl Route {
    /// An endpoint of `/_matrix/client/v3` for who has a token.
    pub(super) const fn new(
        method: Method,
        path: &'static str,
        quick: fn(&Endpoint, &Call) -> Answer,
    ) -> Self {
        Self::with(method, path, Work::Quick(quick))
    }

    /// The same one, which waits.
    pub(super) const fn long(
        method: Method,
        path: &'static str,
        long: fn(Arc<Endpoint>, Call) -> Later,
    ) -> Self {
        Self::with(method, path, Work::Long(long))
    }

    /// The same one, which takes a body of any size as it comes.
    pub(super) const fn streaming(
        method: Method,
        path: &'static str,
        streaming: fn(Arc<Endpoint>, Call, Request) -> Later,
    ) -> Self {
        Self::with(method, path, Work::Streaming(streaming))
    }

    const fn with(method: Method, path: &'static str, work: Work) -> Self {
        Self {
            method,
            path,
            versions: V3,
            access: Access::Token,
            body_bytes: JSON_BODY_BYTES,
            work,
        }
    }

    /// The same one under other versions.
    pub(super) const fn under(mut self, versions: &'static [&'static str]) -> Self {
        self.versions = versions;
        self
    }

    /// The same one at a complete path.
    pub(super) const fn at_root(self) -> Self {
        self.under(&[])
    }

    /// The same one without a token.
    pub(super) const fn open(mut self) -> Self {
        self.access = Access::Open;
        self
    }

    /// The same one with larger bodies.
    pub(super) const fn with_body(mut self, bytes: usize) -> Self {
        self.body_bytes = bytes;
        self
    }

    /// Its patterns.
    pub(super) fn patterns(&self) -> Vec<String> {
        if self.versions.is_empty() {
            return vec![self.path.to_owned()];
        }
        let below = |version| format!("{CLIENT}/{version}{}", self.path);
        self.versions.iter().map(below).collect()
    }
}
