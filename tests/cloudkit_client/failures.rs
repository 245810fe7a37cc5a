//! What is said of answers that are none.

use std::io::Write;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use footbridge::base::error::Class;
use footbridge::base::error::Explain;
use footbridge::codec::cloudkit::deflate;
use footbridge::codec::cloudkit::encode_responses;
use footbridge::net::client::ClientError;
use footbridge::source::cloudkit::ChangesPage;
use footbridge::source::cloudkit::Cloud;
use footbridge::source::cloudkit::CloudError;
use footbridge::source::cloudkit::Reaction;
use serde_json::json;

use crate::client;
use crate::client_with;
use crate::first;
use crate::hurried;
use crate::read;
use crate::server::Reply;
use crate::server::Server;
use crate::server::answer_to;
use crate::server::body;
use crate::session;

const WAIT: Reaction = Reaction::Wait(None);

/// What becomes of one page whose answer is this.
async fn page_of(reply: fn() -> Reply) -> Result<ChangesPage, CloudError> {
    let server = Server::start(move |_| reply()).await;
    let mut answers = client(&server).changes(&[first("a")]).await?;
    answers.remove(0)
}

/// What becomes of a page of which so many bytes come, and then nothing.
async fn stalled_at(bytes: usize) -> CloudError {
    let page = move || Reply::new(200, read("messages/page-1.bin")).stalled(bytes);
    let server = Server::start(move |_| page()).await;
    let changes = hurried(&server).changes(&[first("a")]).await;
    changes.unwrap_err()
}

#[tokio::test]
async fn every_code_has_its_reaction() {
    let seconds = |seconds| Reaction::Wait(Some(Duration::from_secs(seconds)));
    for (file, expected) in [
        ("throttled", seconds(30)),
        ("zone-busy", seconds(5)),
        ("overloaded", WAIT),
        ("reset-needed", Reaction::ResetZone),
        ("full-reset-needed", Reaction::ResetZone),
        ("zone-not-found", Reaction::ZoneGone),
        ("user-deleted-data", Reaction::ZoneGone),
        ("bad-auth-token", Reaction::Authenticate),
        ("needs-authentication", Reaction::Authenticate),
        ("bad-syntax", Reaction::Permanent),
        ("unknown-code", Reaction::Permanent),
    ] {
        let server = Server::start(move |request| {
            let recorded = read(&format!("errors/{file}.bin"));
            Reply::new(200, body(&[answer_to(&request.operations()[0], &recorded)]))
        })
        .await;

        let mut answers = client(&server).changes(&[first("a")]).await.unwrap();

        let error = answers.remove(0).unwrap_err();
        assert_eq!(error.reaction(), expected, "{file}");
        assert!(
            error
                .to_string()
                .starts_with("iCloud refused an operation: ")
        );
    }
}

#[tokio::test]
async fn every_status_has_its_reaction() {
    let after = || Reply::new(429, "busy").header("retry-after", "7");
    let date = || Reply::new(503, "").header("retry-after", "Fri, 31 Dec 1999 23:59:59 GMT");
    let cases: [(fn() -> Reply, Reaction); 7] = [
        (|| Reply::new(401, "no"), Reaction::Authenticate),
        (after, Reaction::Wait(Some(Duration::from_secs(7)))),
        (date, WAIT),
        (|| Reply::new(500, "<html>"), WAIT),
        (|| Reply::new(429, ""), WAIT),
        (|| Reply::new(403, ""), Reaction::Permanent),
        (|| Reply::new(404, ""), Reaction::Permanent),
    ];
    for (reply, expected) in cases {
        let error = page_of(reply).await.unwrap_err();

        assert_eq!(error.reaction(), expected, "{error}");
    }
}

#[tokio::test]
async fn a_refused_session_needs_the_owner() {
    let error = page_of(|| Reply::new(401, "no")).await.unwrap_err();

    assert_eq!(error.class(), Class::Owner);
    assert!(error.hint().unwrap().contains("footbridge cloudkit import"));
}

#[tokio::test]
async fn a_refused_user_id_is_asked_again_with_the_next_call() {
    let server = Server::start(|_| Reply::new(401, "<html>")).await;
    let client = client_with(&server, &session(&json!({})));

    for _ in 0..2 {
        let error = client.changes(&[first("a")]).await.unwrap_err();
        assert_eq!(error.reaction(), Reaction::Authenticate);
    }

    assert!(server.paths().iter().all(|path| path.starts_with("/setup")));
    assert_eq!(server.paths().len(), 2);
}

#[tokio::test]
async fn broken_bodies_are_asked_for_again_and_never_taken_for_a_page() {
    let file = |name: &str| read(&format!("errors/{name}.bin"));
    let frames: [fn() -> Reply; 3] = [
        || Reply::new(200, read("errors/truncated-frame.bin")),
        || Reply::new(200, read("errors/huge-length.bin")),
        || Reply::new(200, read("errors/overlong-varint.bin")),
    ];
    for reply in frames {
        let error = page_of(reply).await.unwrap_err();
        assert!(matches!(error, CloudError::Frames(_)), "{error}");
        assert_eq!(error.reaction(), WAIT);
    }
    assert!(file("html-instead-of-protobuf").starts_with(b"<"));
    let others: [fn() -> Reply; 3] = [
        || Reply::new(200, read("errors/html-instead-of-protobuf.bin")),
        || Reply::new(200, "<html>").header("content-type", "text/html; charset=utf-8"),
        || Reply::new(200, "not gzip").header("content-encoding", "gzip"),
    ];
    for reply in others {
        assert_eq!(page_of(reply).await.unwrap_err().reaction(), WAIT);
    }
    let error = page_of(|| Reply::new(200, "")).await.unwrap_err();
    assert!(matches!(error, CloudError::Unanswered), "{error}");
}

#[tokio::test]
async fn cut_slow_and_large_bodies_end_by_themselves() {
    fn page() -> Reply {
        Reply::new(200, read("messages/page-1.bin"))
    }
    let cut = page_of(|| page().cut(1_000)).await.unwrap_err();
    let slow = stalled_at(1_000).await;
    let silent = stalled_at(0).await;
    let bomb = || {
        let zeros = vec![0; footbridge::base::limits::CLOUDKIT_BODY_BYTES + 1];
        Reply::new(200, deflate(&zeros)).header("content-encoding", "gzip")
    };
    let bomb = page_of(bomb).await.unwrap_err();

    assert!(
        matches!(cut, CloudError::Http(ClientError::Cut { .. })),
        "{cut}"
    );
    for slow in [slow, silent] {
        let timed_out = matches!(slow, CloudError::Http(ClientError::TimedOut { .. }));
        assert!(timed_out, "{slow}");
        assert_eq!(slow.reaction(), WAIT);
    }
    assert!(matches!(bomb, CloudError::Gzip(_)), "{bomb}");
}

#[tokio::test]
async fn one_answer_that_cannot_be_read_spoils_no_other() {
    let server = Server::start(|request| {
        let file = read("messages/page-1.bin");
        let operations = request.operations();
        let answers: Vec<_> = operations.iter().map(|it| answer_to(it, &file)).collect();
        let good = encode_responses(&answers[..1]);
        // The other one's page is a number instead of a message.
        let mut bad = answers[1].clone();
        bad.retrieve_changes = None;
        let mut bad = encode_responses(&[bad]);
        bad[0] += 3;
        bad.extend([0xa8, 0x0d, 1]);
        Reply::new(200, [bad, good].concat())
    })
    .await;

    let requests = [first("a"), first("b")];
    let mut answers = client(&server).changes(&requests).await.unwrap();

    let bad = answers.pop().unwrap().unwrap_err();
    assert!(matches!(bad, CloudError::Empty { .. }), "{bad}");
    assert_eq!(bad.reaction(), WAIT);
    assert!(!answers[0].as_ref().unwrap().changes.is_empty());
}

#[tokio::test]
async fn an_error_that_names_no_operation_is_about_all_of_them() {
    let server = Server::start(|request| {
        let recorded = read("errors/bad-auth-token.bin");
        let mut answer = answer_to(&request.operations()[0], &recorded);
        answer.operation = None;
        Reply::new(200, body(&[answer]))
    })
    .await;

    let error = client(&server).changes(&[first("a")]).await.unwrap_err();

    assert_eq!(error.reaction(), Reaction::Authenticate);
}

#[tokio::test]
async fn without_machine_headers_nothing_is_sent_to_icloud() {
    let server = Server::start(|_| Reply::new(500, "")).await;
    let anisette = json!({"url": format!("{}/anisette", server.origin)});
    let session = session(&json!({"cloudkit_user_id": "_user", "anisette": anisette}));
    let client = client_with(&server, &session);

    let error = client.changes(&[first("a")]).await.unwrap_err();

    assert!(matches!(error, CloudError::Anisette(_)), "{error}");
    assert_eq!(error.reaction(), WAIT);
    assert_eq!(server.paths(), ["/anisette"]);
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_token_and_no_body_reaches_a_log() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let server = Server::start(|request| {
        if request.path.starts_with("/setup") {
            return Reply::new(200, r#"{"cloudKitUserId":"_secret-user"}"#);
        }
        Reply::new(503, "secret words of the server")
    })
    .await;
    let secret = json!({
        "mme_auth_token": "secret-mme", "cloudkit_token": "secret-token",
        "anisette": {"headers": {"X-Apple-I-MD": "secret-password"}},
    });
    let client = client_with(&server, &session(&secret));

    let error = client.changes(&[first("a")]).await.unwrap_err();

    drop(guard);
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("cloudkit refused a request"), "{log}");
    let printed = format!("{log} {client:?} {error:?} {error}");
    assert!(!printed.contains("secret"), "{printed}");
    let page = ChangesPage {
        changes: vec![Bytes::from_static(b"secret")],
        token: None,
        is_last: true,
    };
    assert!(!format!("{page:?}").contains("secret"));
}
