//! How connections come to be: the name, the socket, TLS; and whose tasks they are.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;

use hyper::Uri;
use hyper::rt::Executor;
use hyper_rustls::HttpsConnector;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_rustls::MaybeHttpsStream;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::crypto::ring;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower_service::Service;

use crate::base::limits::CONNECT_TIMEOUT;
use crate::base::tasks::TaskGroup;
use crate::net::client::ClientError;
use crate::net::client::resolve::Resolver;

/// Which authorities may vouch for a server.
#[derive(Clone, Debug)]
pub struct Roots(Arc<RootCertStore>);

impl Roots {
    /// Those that browsers trust, which the program brings along: it needs none on the computer.
    pub fn bundled() -> Self {
        let roots = webpki_roots::TLS_SERVER_ROOTS.iter().cloned();
        Self(Arc::new(roots.collect()))
    }

    /// Those, and the ones that this computer trusts besides. Reads files.
    ///
    /// # Errors
    /// [`ClientError::Roots`] when the computer has none that can be read.
    pub fn with_system() -> Result<Self, ClientError> {
        let found = rustls_native_certs::load_native_certs();
        if found.certs.is_empty() {
            return Err(ClientError::Roots);
        }
        let Self(bundled) = Self::bundled();
        let mut roots = RootCertStore::clone(&bundled);
        let (added, ignored) = roots.add_parsable_certificates(found.certs);
        tracing::debug!(added, ignored, "read the certificates of this computer");
        Ok(Self(Arc::new(roots)))
    }

    /// A single one.
    #[cfg(test)]
    pub(crate) fn only(certificate: rustls_pki_types::CertificateDer<'static>) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(certificate).unwrap();
        Self(Arc::new(roots))
    }
}

/// Which versions of HTTP are offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocols {
    /// HTTP/2 and HTTP/1.1: many small answers at once.
    Any,
    /// HTTP/1.1: large answers that are read slowly, each over a connection of its own. Those of HTTP/2 share a window,
    /// and one that nobody reads for a while keeps the others from arriving.
    Http1,
}

type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;
type BoxError = Box<dyn Error + Send + Sync>;

/// Makes connections, each within [`CONNECT_TIMEOUT`].
#[derive(Clone)]
pub(crate) struct Connector(HttpsConnector<HttpConnector<Resolver>>);

impl Connector {
    pub(crate) fn new(Roots(roots): &Roots, protocols: Protocols) -> Result<Self, ClientError> {
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|source| ClientError::Tls { source })?
            .with_root_certificates(Arc::clone(roots))
            .with_no_client_auth();
        let mut tcp = HttpConnector::new_with_resolver(Resolver::default());
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let builder = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_or_http();
        Ok(Self(match protocols {
            Protocols::Any => builder.enable_all_versions().wrap_connector(tcp),
            Protocols::Http1 => builder.enable_http1().wrap_connector(tcp),
        }))
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        let connecting = self.0.call(url);
        Box::pin(async move {
            match timeout(CONNECT_TIMEOUT, connecting).await {
                Ok(connected) => connected,
                Err(_elapsed) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
            }
        })
    }
}

/// Runs connections as tasks of a group.
#[derive(Clone)]
pub(crate) struct Tasks(pub(crate) TaskGroup);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Tasks {
    fn execute(&self, connection: F) {
        let stop = self.0.stop().clone();
        self.0.spawn("http client", async move {
            stop.run_until_cancelled(connection).await;
        });
    }
}
