//! One connection: handshake, HTTP/1.1 or HTTP/2, request after request to the handler, until somebody ends it. It does
//! not know what is answered.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;

use hyper::Method;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::rt::Read;
use hyper::rt::Write;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use hyper_util::server::conn::auto::Builder;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::time::MissedTickBehavior;
use tokio::time::interval;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::base::limits::CONNECTION_STALL;
use crate::base::limits::HANDSHAKE_TIMEOUT;
use crate::base::limits::REQUEST_HEAD_BYTES;
use crate::base::limits::REQUEST_HEAD_TIMEOUT;
use crate::base::limits::REQUESTS_PER_CONNECTION;
use crate::base::tasks::TaskGroup;
use crate::net::Handler;
use crate::net::activity::Activity;
use crate::net::activity::Sending;
use crate::net::activity::State;
use crate::net::answer::Answer;
use crate::net::gzip::gzip;
use crate::net::gzip::wants_gzip;
use crate::net::request::Peer;
use crate::net::request::Request;
use crate::net::tls::ALPN_HTTP2;
use crate::net::tls::Tls;
use crate::net::wire::Wire;

/// What a connection needs to be served.
#[derive(Clone)]
pub(crate) struct Connection {
    pub(crate) handler: Arc<dyn Handler>,
    pub(crate) group: TaskGroup,
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) peer: Peer,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    Http1,
    Http2,
}

impl Connection {
    /// Serves a socket to its end.
    ///
    /// # Cancel safety
    /// Dropping it closes the socket and drops the handlers' futures.
    pub(crate) async fn serve(self, socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let activity = Arc::new(Activity::default());
        let wire = Wire::new(socket, Arc::clone(&activity));
        let Some(tls) = &self.tls else {
            return self
                .serve_http(TokioIo::new(wire), activity, Version::Http1)
                .await;
        };
        let handshake = timeout(
            HANDSHAKE_TIMEOUT,
            TlsAcceptor::from(tls.config()).accept(wire),
        );
        let stop = self.group.stop().clone();
        let Some(Ok(Ok(stream))) = stop.run_until_cancelled(handshake).await else {
            tracing::debug!("tls handshake failed");
            return;
        };
        let version = match stream.get_ref().1.alpn_protocol() {
            Some(ALPN_HTTP2) => Version::Http2,
            _ => Version::Http1,
        };
        self.serve_http(TokioIo::new(stream), activity, version)
            .await;
    }

    async fn serve_http(
        self,
        io: impl Read + Write + Unpin + Send + 'static,
        activity: Arc<Activity>,
        version: Version,
    ) {
        let builder = builder(&self.group, version);
        let stop = self.group.stop().clone();
        let service = service_fn(|request| {
            let (connection, activity) = (self.clone(), Arc::clone(&activity));
            async move { Ok::<_, Infallible>(connection.answer(request, activity).await) }
        });
        let mut http = pin!(builder.serve_connection(io, service));
        let mut looks = interval(CONNECTION_STALL / 2);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        looks.reset();
        let (mut last, mut unmoved, mut is_closing) = (0, 0, false);
        loop {
            tokio::select! {
                ended = http.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "connection ended early");
                    }
                    return;
                }
                () = stop.cancelled(), if !is_closing => {
                    http.as_mut().graceful_shutdown();
                    is_closing = true;
                }
                _ = looks.tick() => {
                    let state;
                    (state, last) = activity.look(last);
                    unmoved = if state == State::Alive { 0 } else { unmoved + 1 };
                    // A pager may hold up one of the owner's own processes for as long as a person reads.
                    let is_patient = self.peer == Peer::Owner && state == State::Stalled;
                    if unmoved < 2 || is_patient {
                        continue;
                    }
                    if state == State::Stalled || is_closing {
                        tracing::debug!("connection stalled");
                        return;
                    }
                    http.as_mut().graceful_shutdown();
                    (unmoved, is_closing) = (0, true);
                }
            }
        }
    }

    async fn answer(
        self,
        request: hyper::Request<Incoming>,
        activity: Arc<Activity>,
    ) -> hyper::Response<Sending<Answer>> {
        let working = activity.work();
        let stop = self.group.stop().clone();
        let mut request = Request::from_hyper(request, self.peer, self.tls.is_some(), stop);
        let is_head = request.method == Method::HEAD;
        if is_head {
            request.method = Method::GET;
        }
        let wants_gzip = wants_gzip(&request.headers, self.peer);
        let mut response = self.handler.call(request).await;
        if wants_gzip {
            response = gzip(response).await;
        }
        if is_head {
            response = response.without_body();
        }
        let response = response.into_hyper().map(|body| activity.send(body));
        drop(working);
        response
    }
}

fn builder(group: &TaskGroup, version: Version) -> Builder<Streams> {
    let mut builder = Builder::new(Streams(group.clone()));
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_HEAD_TIMEOUT)
        .max_buf_size(REQUEST_HEAD_BYTES);
    let head_bytes = u32::try_from(REQUEST_HEAD_BYTES).unwrap_or(u32::MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(head_bytes)
        .max_concurrent_streams(REQUESTS_PER_CONNECTION);
    match version {
        Version::Http1 => builder.http1_only(),
        Version::Http2 => builder.http2_only(),
    }
}

/// Starts the tasks of HTTP/2 streams in the connection's group.
#[derive(Clone)]
struct Streams(TaskGroup);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        self.0.spawn("http2 stream", stream);
    }
}
