//! The client against sockets of this computer: our own server with TLS, and one that writes what a test says.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::Method;
use hyper::StatusCode;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::Client;
use super::ClientError;
use super::ClientRequest;
use super::Protocols;
use super::Roots;
use crate::base::tasks::TaskGroup;
use crate::base::time::SystemClock;
use crate::net::BoxFuture;
use crate::net::Connections;
use crate::net::Handler;
use crate::net::Listen;
use crate::net::Listener;
use crate::net::Request;
use crate::net::Response;
use crate::net::Tls;

const WAIT: Duration = Duration::from_secs(5);
const SHORT: Duration = Duration::from_millis(50);

fn client(tasks: &TaskGroup) -> Client {
    Client::new(tasks, &Roots::bundled(), Protocols::Any).unwrap()
}

fn get(url: &str) -> ClientRequest {
    ClientRequest {
        method: Method::GET,
        url: url.parse().unwrap(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
    }
}

/// A server for one connection, which writes the pieces one after another and then leaves the connection open or not.
async fn server(tasks: &TaskGroup, pieces: &'static [&'static str], stays: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tasks.spawn("server", async move {
        let (mut socket, _peer) = listener.accept().await.unwrap();
        let mut request = vec![0; 4_096];
        assert!(socket.read(&mut request).await.unwrap() > 0);
        for piece in pieces {
            socket.write_all(piece.as_bytes()).await.unwrap();
            socket.flush().await.unwrap();
        }
        if stays {
            std::future::pending::<()>().await;
        }
    });
    url
}

#[tokio::test]
async fn a_body_arrives_whole_in_any_pieces() {
    let tasks = TaskGroup::new();
    let head = "HTTP/1.1 418 I'm a teapot\r\nx-say: hello\r\n";
    let pieces = [head, "content-length: 6\r\n\r\nab", "cd", "ef"];
    let url = server(&tasks, Box::leak(Box::new(pieces)), true).await;

    let answer = client(&tasks).send(get(&url), WAIT).await.unwrap();

    assert_eq!(answer.status, 418);
    assert_eq!(answer.headers["x-say"], "hello");
    assert_eq!(answer.bytes(6, WAIT).await.unwrap(), "abcdef");
    tasks.stop_and_join(SHORT).await;
}

#[tokio::test]
async fn a_body_that_is_cut_off_is_an_error_and_no_short_one() {
    for pieces in [
        &["HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nabcd"][..],
        &["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nabcd\r\n"],
    ] {
        let tasks = TaskGroup::new();
        let url = server(&tasks, pieces, false).await;

        let answer = client(&tasks).send(get(&url), WAIT).await.unwrap();

        let error = answer.bytes(100, WAIT).await.unwrap_err();
        assert!(matches!(error, ClientError::Cut { .. }), "{error}");
        tasks.stop_and_join(SHORT).await;
    }
}

#[tokio::test]
async fn silence_is_not_waited_for() {
    let tasks = TaskGroup::new();
    let silent = server(&tasks, &[], true).await;
    let stalled = server(
        &tasks,
        &["HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n"],
        true,
    )
    .await;

    let error = client(&tasks).send(get(&silent), SHORT).await.unwrap_err();
    assert!(matches!(error, ClientError::TimedOut { .. }), "{error}");
    let answer = client(&tasks).send(get(&stalled), WAIT).await.unwrap();
    let error = answer.bytes(100, SHORT).await.unwrap_err();
    assert!(matches!(error, ClientError::TimedOut { .. }), "{error}");
    tasks.stop_and_join(SHORT).await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_not_read_on() {
    let length = &["HTTP/1.1 200 OK\r\ncontent-length: 60\r\n\r\n"];
    let chunked = &["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n8\r\nabcdefgh\r\n"];
    for pieces in [length, chunked] {
        let tasks = TaskGroup::new();
        let url = server(&tasks, pieces, true).await;

        let answer = client(&tasks).send(get(&url), WAIT).await.unwrap();

        let error = answer.bytes(6, WAIT).await.unwrap_err();
        assert!(
            matches!(error, ClientError::TooLarge { limit: 6, .. }),
            "{error}"
        );
        tasks.stop_and_join(SHORT).await;
    }
}

#[tokio::test]
async fn what_cannot_be_asked_or_reached_is_said() {
    let tasks = TaskGroup::new();
    let client = client(&tasks);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);

    for url in ["ftp://localhost/", "/path"] {
        let error = client.send(get(url), WAIT).await.unwrap_err();
        assert!(matches!(error, ClientError::Url), "{error}");
    }
    let error = client.send(get(&format!("http://{address}/")), WAIT).await;
    let error = error.unwrap_err();
    assert!(matches!(error, ClientError::Connect { .. }), "{error}");
    tasks.stop_and_join(SHORT).await;
}

#[tokio::test]
async fn connections_end_with_their_group() {
    let tasks = TaskGroup::new();
    let servers = TaskGroup::new();
    let url = server(
        &servers,
        &["HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n"],
        true,
    )
    .await;
    let answer = client(&tasks).send(get(&url), WAIT).await.unwrap();

    assert!(tasks.stop_and_join(WAIT).await.is_clean());

    let error = answer.bytes(100, WAIT).await.unwrap_err();
    assert!(matches!(error, ClientError::Cut { .. }), "{error}");
    servers.stop_and_join(SHORT).await;
}

#[test]
fn what_a_request_holds_does_not_reach_a_log() {
    let mut request = get("https://example.org/path?token=hunter2");
    request
        .headers
        .insert("authorization", "hunter2".parse().unwrap());
    request.body = Bytes::from_static(b"hunter2");

    let printed = format!("{request:?}");

    assert!(
        !printed.contains("hunter2") && printed.contains("example.org"),
        "{printed}"
    );
}

struct Echo;

impl Handler for Echo {
    fn call(&self, request: Request) -> BoxFuture<'_, Response> {
        Box::pin(async move {
            let body = request.body.bytes(1 << 20).await.unwrap();
            Response::json(StatusCode::OK, body)
        })
    }
}

#[tokio::test]
async fn a_certificate_must_be_vouched_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tls.pem");
    let names = ["localhost".to_owned()];
    let tls = Tls::self_signed(&path, &names, &SystemClock).unwrap();
    let listener = Listener::bind(Listen::Tcp {
        address: "127.0.0.1:0".parse().unwrap(),
        tls: Some(Arc::new(tls)),
    });
    let listener = listener.await.unwrap();
    let port = listener.address().unwrap().port();
    let tasks = TaskGroup::new();
    listener.serve(Arc::new(Echo), Connections::default(), &tasks);
    let request = || ClientRequest {
        method: Method::POST,
        body: Bytes::from_static(b"hello"),
        ..get(&format!("https://localhost:{port}/"))
    };
    let ours = Roots::only(CertificateDer::from_pem_file(&path).unwrap());

    for protocols in [Protocols::Any, Protocols::Http1] {
        let client = Client::new(&tasks, &ours, protocols).unwrap();
        let answers = [client.send(request(), WAIT), client.send(request(), WAIT)];
        for answer in answers {
            let answer = answer.await.unwrap();
            assert_eq!(answer.bytes(100, WAIT).await.unwrap(), "hello");
        }
    }
    let error = client(&tasks).send(request(), WAIT).await.unwrap_err();
    assert!(matches!(error, ClientError::Connect { .. }), "{error}");
    assert!(tasks.stop_and_join(WAIT).await.is_clean());
}
