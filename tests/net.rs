//! The HTTP server over real sockets: what slow, greedy, broken and honest clients get.
//!
//! Deadlines are tried with tokio's paused clock: it jumps to the next deadline when every task waits.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use std::fs;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use footbridge::base::tasks::TaskGroup;
use footbridge::base::time::SystemClock;
use footbridge::net::BoxFuture;
use footbridge::net::Bytes;
use footbridge::net::Connections;
use footbridge::net::ETag;
use footbridge::net::Handler;
use footbridge::net::HeaderValue;
use footbridge::net::Listen;
use footbridge::net::Listener;
use footbridge::net::Method;
use footbridge::net::Peer;
use footbridge::net::Request;
use footbridge::net::Response;
use footbridge::net::SocketPath;
use footbridge::net::StatusCode;
use footbridge::net::Tls;
use footbridge::net::header::ALLOW;
use footbridge::net::router::Routed;
use footbridge::net::router::Router;
use footbridge::net::router::allow;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::ServerName;
use rustls_pki_types::pem::PemObject;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Bytes of a body that `/echo` takes.
const LIMIT: usize = 1_000;

/// Bytes of what `/media` serves: more than all the buffers on the way.
const MEDIA: usize = 32 << 20;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain");

/// How long a stop may take.
const DEADLINE: Duration = Duration::from_secs(20);

#[derive(Clone, Copy)]
enum Route {
    Whoami,
    Echo,
    Count,
    Media,
    Wait,
}

struct Site {
    router: Router<Route>,
    media: Bytes,
    /// Told when a wait begins (`true`) and when it is over or dropped (`false`).
    waits: mpsc::UnboundedSender<bool>,
}

/// Says when a handler's future goes.
struct Waiting(mpsc::UnboundedSender<bool>);

impl Drop for Waiting {
    fn drop(&mut self) {
        // The test may have ended before its service.
        self.0.send(false).unwrap_or_default();
    }
}

impl Site {
    fn new() -> (Arc<Self>, mpsc::UnboundedReceiver<bool>) {
        let mut router = Router::new();
        for (method, pattern, route) in [
            (Method::GET, "/whoami/{name}", Route::Whoami),
            (Method::POST, "/echo", Route::Echo),
            (Method::PUT, "/echo", Route::Echo),
            (Method::POST, "/count", Route::Count),
            (Method::GET, "/media", Route::Media),
            (Method::GET, "/wait", Route::Wait),
        ] {
            router.insert(method, pattern, route).unwrap();
        }
        let (waits, waiting) = mpsc::unbounded_channel();
        let media = (0..=u8::MAX).collect::<Vec<u8>>().repeat(MEDIA >> 8);
        let site = Self {
            router,
            media: media.into(),
            waits,
        };
        (Arc::new(site), waiting)
    }

    async fn found(&self, route: Route, name: Option<String>, request: Request) -> Response {
        match route {
            Route::Whoami => {
                let peer = match request.peer {
                    Peer::Tcp(_) => "tcp",
                    Peer::Owner => "owner",
                };
                let tls = if request.is_tls { "tls" } else { "clear" };
                let text = format!("{} {peer} {tls}", name.unwrap());
                Response::bytes(StatusCode::OK, TEXT, text)
            }
            Route::Echo => match request.body.bytes(LIMIT).await {
                Ok(body) => Response::bytes(StatusCode::OK, TEXT, body),
                Err(error) => Response::empty(error.status()),
            },
            Route::Count => {
                let mut chunks = request.body.chunks(u64::MAX).unwrap();
                let mut bytes = 0;
                while let Some(chunk) = chunks.next().await.unwrap() {
                    bytes += chunk.len();
                }
                Response::bytes(StatusCode::OK, TEXT, bytes.to_string())
            }
            Route::Media => {
                let etag = ETag::of_hash(b"media");
                Response::ranged(&request.headers, TEXT, &etag, Arc::new(self.media.clone()))
            }
            Route::Wait => {
                let _waiting = Waiting(self.waits.clone());
                self.waits.send(true).unwrap();
                request.stop.cancelled().await;
                Response::bytes(StatusCode::OK, TEXT, "stopped")
            }
        }
    }
}

impl Handler for Site {
    fn call(&self, request: Request) -> BoxFuture<'_, Response> {
        Box::pin(async move {
            match self.router.route(&request.method, &request.path) {
                Routed::Found(route, captures) => {
                    let name = captures.values().first().cloned();
                    self.found(*route, name, request).await
                }
                Routed::NotFound => Response::empty(StatusCode::NOT_FOUND),
                Routed::MethodNotAllowed(methods) => {
                    Response::empty(StatusCode::METHOD_NOT_ALLOWED)
                        .with_text(ALLOW, &allow(&methods))
                }
                Routed::Malformed(_) => Response::empty(StatusCode::BAD_REQUEST),
            }
        })
    }
}

/// A running service.
struct Service {
    group: TaskGroup,
    address: SocketAddr,
    waiting: mpsc::UnboundedReceiver<bool>,
}

impl Service {
    async fn start() -> Self {
        Self::start_with(None, Connections::default()).await
    }

    async fn start_with(tls: Option<Arc<Tls>>, connections: Connections) -> Self {
        let (site, waiting) = Site::new();
        let group = TaskGroup::new();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = Listener::bind(Listen::Tcp { address, tls }).await.unwrap();
        let address = listener.address().unwrap();
        listener.serve(site, connections, &group);
        Self {
            group,
            address,
            waiting,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// The answer to a whole request on a connection of its own, without headers that change.
    async fn ask(&self, request: &str) -> String {
        exchange(self.connect().await, request).await
    }

    /// The status of a request without a body.
    async fn status(&self, line: &str) -> u16 {
        let answer = self
            .ask(&format!(
                "{line} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
            ))
            .await;
        answer.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// Waits until only the listener is left of the tasks, looking each `step`.
    async fn all_closed(&self, step: Duration) {
        while self.group.running() > 1 {
            tokio::time::sleep(step).await;
        }
    }

    async fn stop(self) {
        let outcome = self.group.stop_and_join(DEADLINE).await;
        assert!(outcome.is_clean(), "{outcome:?}");
    }
}

async fn read_all(mut stream: impl AsyncRead + Unpin) -> String {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let answer = read_all(stream).await;
    let lines = answer.split_inclusive("\r\n");
    lines.filter(|line| !line.starts_with("date: ")).collect()
}

/// The head of an answer; what follows it stays unread.
async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
}

#[tokio::test]
async fn an_unknown_path_an_unknown_method_and_a_broken_path_are_told_apart() {
    let service = Service::start().await;

    assert_eq!(service.status("GET /whoami/ann").await, 200);
    assert_eq!(service.status("GET /nothing").await, 404);
    assert_eq!(service.status("GET /whoami/%zz").await, 400);
    assert_eq!(
        service.ask(&get("/echo")).await,
        "HTTP/1.1 405 Method Not Allowed\r\nallow: POST, PUT\r\nconnection: close\r\n\
         content-length: 0\r\n\r\n"
    );
    service.stop().await;
}

#[tokio::test]
async fn paths_are_decoded_once_and_never_normalized() {
    let service = Service::start().await;

    for (path, status) in [
        ("/whoami/%2e%2e", 200),
        ("/whoami/..", 200),
        ("/whoami/../echo", 404),
        ("/whoami/a%2Fb", 200),
        ("/whoami//", 404),
        ("//whoami/a", 404),
        ("/whoami/", 404),
        ("/whoami/%00", 400),
        ("/whoami/%ff", 400),
        ("/whoami/%C3%A9", 200),
        ("http://other.example/whoami/a", 200),
        ("*", 404),
    ] {
        assert_eq!(
            service.status(&format!("GET {path}")).await,
            status,
            "{path}"
        );
    }
    let answer = service.ask(&get("/whoami/%252e%2F%21")).await;
    assert!(answer.ends_with("\r\n\r\n%2e/! tcp clear"), "{answer}");
    service.stop().await;
}

#[tokio::test]
async fn head_is_get_without_a_body() {
    let service = Service::start().await;

    let answer = service
        .ask(&get("/whoami/ann").replace("GET", "HEAD"))
        .await;

    assert_eq!(
        answer,
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 13\r\n\
         connection: close\r\n\r\n"
    );
    service.stop().await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_before_it_is_sent() {
    let service = Service::start().await;

    let mut stream = service.connect().await;
    stream
        .write_all(b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 1001\r\n\r\n")
        .await
        .unwrap();
    let head = read_head(&mut stream).await;

    assert!(head.starts_with("HTTP/1.1 413 "), "{head}");
    drop(stream);
    service.stop().await;
}

#[tokio::test]
async fn a_client_that_sends_a_large_body_regardless_sees_the_refusal() {
    let service = Service::start().await;
    let large = "a".repeat(1 << 20);

    let answer = service
        .ask(&format!(
            "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{large}",
            large.len()
        ))
        .await;

    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    service.stop().await;
}

#[tokio::test]
async fn a_body_of_unknown_length_is_read_up_to_the_limit() {
    let service = Service::start().await;
    let chunk = format!("{:x}\r\n{}\r\n", 600, "a".repeat(600));
    let ask = |path: &str, chunks: &str| {
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n\
             {chunks}0\r\n\r\n"
        );
        let service = &service;
        async move { service.ask(&request).await }
    };

    let one = ask("/echo", &chunk).await;
    let two = ask("/echo", &chunk.repeat(2)).await;
    let streamed = ask("/count", &chunk.repeat(100)).await;

    assert!(one.ends_with(&format!("\r\n\r\n{}", "a".repeat(600))));
    assert!(two.starts_with("HTTP/1.1 413 "), "{two}");
    assert!(streamed.ends_with("\r\n\r\n60000"), "{streamed}");
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_arrive_is_given_up() {
    let service = Service::start().await;
    let began = Instant::now();

    let answer = service
        .ask("POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nabc")
        .await;

    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(began.elapsed() >= Duration::from_mins(1));
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_arrive_ends_the_connection() {
    let service = Service::start().await;
    let began = Instant::now();

    let silent = read_all(service.connect().await).await;
    let half = service
        .ask("GET /whoami/ann HTTP/1.1\r\nhost: a\r\nx-slow")
        .await;

    assert_eq!((silent.as_str(), half.as_str()), ("", ""));
    assert!(began.elapsed() >= Duration::from_secs(20));
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_dropped() {
    let service = Service::start().await;
    let began = Instant::now();

    let mut stream = service.connect().await;
    stream.write_all(get("/media").as_bytes()).await.unwrap();
    let head = read_head(&mut stream).await;
    service.all_closed(Duration::from_secs(1)).await;

    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let waited = began.elapsed();
    assert!(waited >= Duration::from_mins(1), "{waited:?}");
    assert!(waited < Duration::from_mins(2), "{waited:?}");
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_waits_for_news_is_not_dropped() {
    let mut service = Service::start().await;

    let mut stream = service.connect().await;
    stream.write_all(get("/wait").as_bytes()).await.unwrap();
    assert_eq!(service.waiting.recv().await, Some(true));
    tokio::time::sleep(Duration::from_hours(1)).await;

    assert_eq!(service.group.running(), 2);
    service.stop().await;
    assert!(read_all(stream).await.ends_with("stopped"));
}

#[tokio::test]
async fn a_client_that_goes_away_ends_its_wait() {
    let mut service = Service::start().await;

    let mut gone = service.connect().await;
    gone.write_all(get("/wait").as_bytes()).await.unwrap();
    assert_eq!(service.waiting.recv().await, Some(true));
    drop(gone);
    assert_eq!(service.waiting.recv().await, Some(false));

    // A client that only ends its sending counts as gone: the two look the same.
    let mut half_closed = service.connect().await;
    half_closed
        .write_all(get("/wait").as_bytes())
        .await
        .unwrap();
    assert_eq!(service.waiting.recv().await, Some(true));
    half_closed.shutdown().await.unwrap();
    assert_eq!(service.waiting.recv().await, Some(false));
    assert_eq!(read_all(half_closed).await, "");
    service.stop().await;
}

#[tokio::test]
async fn parts_of_media_are_served() {
    let service = Service::start().await;
    let ask = |range: &str| {
        let request = get("/media").replace("host", &format!("range: {range}\r\nhost"));
        let service = &service;
        async move { service.ask(&request).await }
    };

    let part = ask("bytes=65-69").await;
    let last = ask("bytes=-1").await;
    let beyond = ask(&format!("bytes={MEDIA}-")).await;

    assert!(part.starts_with("HTTP/1.1 206 "), "{part}");
    assert!(part.contains(&format!("content-range: bytes 65-69/{MEDIA}\r\n")));
    assert!(part.contains("content-length: 5\r\n"));
    assert!(part.ends_with("\r\n\r\nABCDE"));
    assert!(last.contains("content-length: 1\r\n"));
    assert!(beyond.starts_with("HTTP/1.1 416 "), "{beyond}");
    service.stop().await;
}

#[tokio::test]
async fn connections_over_the_cap_are_turned_away_until_one_ends() {
    let mut service = Service::start_with(None, Connections::new(1)).await;
    let mut first = service.connect().await;
    first.write_all(get("/wait").as_bytes()).await.unwrap();
    assert_eq!(service.waiting.recv().await, Some(true));

    let busy = service.ask(&get("/whoami/ann")).await;
    assert_eq!(
        busy,
        "HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\nconnection: close\r\n\
         content-length: 0\r\n\r\n"
    );

    drop(first);
    assert_eq!(service.waiting.recv().await, Some(false));
    service.all_closed(Duration::from_millis(1)).await;
    assert_eq!(service.status("GET /whoami/ann").await, 200);
    service.stop().await;
}

#[tokio::test]
async fn a_stop_answers_those_who_wait_and_closes_those_who_do_not() {
    let mut service = Service::start().await;
    let address = service.address;
    let mut waiting = service.connect().await;
    waiting.write_all(get("/wait").as_bytes()).await.unwrap();
    assert_eq!(service.waiting.recv().await, Some(true));
    let mut idle = service.connect().await;
    idle.write_all(b"GET /nothing HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    read_head(&mut idle).await;

    let (outcome, answer, rest) = tokio::join!(
        service.group.stop_and_join(DEADLINE),
        read_all(waiting),
        read_all(idle)
    );

    assert!(outcome.is_clean(), "{outcome:?}");
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("stopped"),
        "{answer}"
    );
    assert_eq!(rest, "");
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn the_owners_socket_serves_the_owner() {
    let folder = tempfile::tempdir().unwrap();
    let path = SocketPath::of_archive(&folder.path().join("a.redb"), Path::new("/nowhere"));
    let (site, _waiting) = Site::new();
    let group = TaskGroup::new();
    let listener = Listener::bind(Listen::Unix(path.clone())).await.unwrap();
    listener.serve(site, Connections::default(), &group);

    let stream = UnixStream::connect(path.as_path()).await.unwrap();
    let answer = exchange(stream, &get("/whoami/ann")).await;

    assert!(answer.ends_with("\r\n\r\nann owner clear"), "{answer}");
    let mode = fs::metadata(path.as_path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    assert!(group.stop_and_join(DEADLINE).await.is_clean());
    assert!(!path.as_path().exists());
}

/// A service with a certificate of its own making, and a client that trusts that one alone.
async fn encrypted(protocols: &[&str]) -> (Service, TlsConnector) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pem");
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let tls = Tls::self_signed(&path, &names, &SystemClock).unwrap();
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(&path).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    let service = Service::start_with(Some(Arc::new(tls)), Connections::default()).await;
    (service, TlsConnector::from(Arc::new(config)))
}

async fn handshake(service: &Service, client: &TlsConnector, name: &str) -> TlsStream<TcpStream> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    client.connect(name, service.connect().await).await.unwrap()
}

#[tokio::test]
async fn a_client_that_trusts_our_certificate_is_served_encrypted() {
    let (service, client) = encrypted(&["http/1.1"]).await;

    for name in ["localhost", "127.0.0.1"] {
        let stream = handshake(&service, &client, name).await;
        let answer = exchange(stream, &get("/whoami/ann")).await;

        assert!(answer.ends_with("\r\n\r\nann tcp tls"), "{answer}");
    }
    service.stop().await;
}

/// A frame of HTTP/2 on the first stream, or on none. Source: `[rfc 9113]` 4.1.
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
}

#[tokio::test]
async fn a_client_that_speaks_http2_is_served_so() {
    let (service, client) = encrypted(&["h2", "http/1.1"]).await;
    let mut stream = handshake(&service, &client, "localhost").await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    // `:method: GET`, `:scheme: https` and, in plain text, `:path` and `:authority`. Source: `[rfc 7541]` appendix A.
    let path = b"/whoami/ann";
    let head = [&b"\x82\x87\x04"[..], &[11], path, b"\x01\x01a"].concat();

    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await
        .unwrap();
    stream.write_all(&frame(4, 0, 0, b"")).await.unwrap();
    stream.write_all(&frame(1, 0x05, 1, &head)).await.unwrap();
    let body = loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.unwrap();
        let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
        stream.read_exact(&mut payload).await.unwrap();
        if head[3] == 0 {
            break payload;
        }
    };

    assert_eq!(String::from_utf8(body).unwrap(), "ann tcp tls");
    drop(stream);
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_does_not_come_ends_the_connection() {
    let (service, _client) = encrypted(&[]).await;
    let began = Instant::now();

    assert_eq!(read_all(service.connect().await).await, "");

    assert!(began.elapsed() >= Duration::from_secs(10));
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_encrypted_connection_that_stands_idle_is_closed() {
    let (service, client) = encrypted(&["h2"]).await;
    let began = Instant::now();

    let mut stream = handshake(&service, &client, "localhost").await;
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await
        .unwrap();
    stream.write_all(&frame(4, 0, 0, b"")).await.unwrap();
    while stream.read_u8().await.is_ok() {}

    // Asked to go, it does not answer, and is dropped after the same time once more.
    let waited = began.elapsed();
    assert!(waited >= Duration::from_mins(2), "{waited:?}");
    assert!(waited < Duration::from_secs(200), "{waited:?}");
    service.stop().await;
}
