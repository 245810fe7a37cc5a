//! Clients that mean no good, or are broken, against the whole program over real sockets: what they get is an error in
//! Matrix's form or a closed connection, and they leave nothing behind. What takes a clock is in `net.rs`, with a paused
//! one.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::fs;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::net::Shutdown;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use footbridge::net::raise_descriptor_limit;
use serde_json::Value;

use crate::support::client::Client;
use crate::support::client::log_in;
use crate::support::home::Home;
use crate::support::running::LOOKS;
use crate::support::running::Running;

const V3: &str = "/_matrix/client/v3";

const VERSIONS: &str = "GET /_matrix/client/versions HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// Connections of the large test, and how many of them may be served at once.
const CONNECTIONS: usize = 10_000;
const AT_ONCE: usize = 1_024;

/// Connections that are told that there are too many, and everything that a service has open beside connections.
const BESIDE: usize = 128 + 64;

/// Long polls that one device may have at once.
const POLLS: usize = 8;

/// What a service may hold more after the same abuse again, bytes.
const GROWTH: u64 = 16 << 20;

/// Entries of a folder below `/proc` of a process; `None` where the system has none.
fn descriptors(running: &Running<'_>) -> Option<usize> {
    let open = fs::read_dir(format!("/proc/{}/fd", running.pid())).ok()?;
    Some(open.count())
}

/// What a process holds that is not a file's, bytes.
fn memory(running: &Running<'_>) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", running.pid())).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes << 10)
}

/// Waits until something holds that the service brings about by itself.
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..LOOKS {
        if is_so() {
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
    panic!("never: {what}");
}

/// How a connection of the flood ended.
#[derive(Debug, PartialEq)]
enum End {
    Served,
    TurnedAway,
    Closed,
}

fn end_of(mut stream: TcpStream) -> End {
    let mut first = [0; 12];
    match stream.read_exact(&mut first) {
        Ok(()) if first == *b"HTTP/1.1 200" => End::Served,
        Ok(()) if first == *b"HTTP/1.1 503" => End::TurnedAway,
        Ok(()) => panic!("{}", String::from_utf8_lossy(&first)),
        Err(error) => {
            let closed = [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset];
            assert!(closed.contains(&error.kind()), "{error}");
            End::Closed
        }
    }
}

/// Opens as many connections as there may be, each with a request; answers how many were served, and the most
/// descriptors that the service had open.
fn flood(running: &Running<'_>, address: &str) -> (usize, Option<usize>) {
    let mut streams = Vec::with_capacity(CONNECTIONS);
    let mut most = None;
    for number in 0..CONNECTIONS {
        let mut stream = TcpStream::connect(address).unwrap();
        // One that was closed already says so when it is read.
        drop(stream.write_all(VERSIONS.as_bytes()));
        streams.push(stream);
        if number % 500 == 0 {
            most = most.max(descriptors(running));
        }
    }
    most = most.max(descriptors(running));
    let ends: Vec<End> = streams.into_iter().map(end_of).collect();
    (ends.iter().filter(|end| **end == End::Served).count(), most)
}

#[test]
fn ten_thousand_connections_are_served_turned_away_or_closed() {
    let limit = raise_descriptor_limit();
    assert!(
        limit > CONNECTIONS as u64,
        "this test needs {CONNECTIONS} descriptors, and the hard limit is {limit}"
    );
    let home = Home::with_archive();
    let running = Running::start(&home, &[]);
    let address = running.said("address");
    let address = address.trim_start_matches("http://");
    let idle = descriptors(&running);

    let (served, most) = flood(&running, address);
    wait_until("all are closed", || descriptors(&running) <= idle);
    let held = memory(&running);
    let (served_again, most_again) = flood(&running, address);
    wait_until("all are closed again", || descriptors(&running) <= idle);
    let held_again = memory(&running);

    for served in [served, served_again] {
        assert!((AT_ONCE / 2..CONNECTIONS).contains(&served), "{served}");
    }
    for most in [most, most_again].into_iter().flatten() {
        assert!(most <= AT_ONCE + BESIDE, "{most} descriptors");
    }
    for (held, again) in held.into_iter().zip(held_again) {
        assert!(again <= held + GROWTH, "{held} bytes, then {again}");
    }
    let versions = Client::connect(address, "").get("/_matrix/client/versions");
    assert!(versions["versions"].is_array());
    assert_eq!(running.stop().status.code(), Some(0));
}

#[test]
fn clients_that_break_off_give_back_what_they_held() {
    let home = Home::with_archive();
    let running = Running::start(&home, &[]);
    let address = running.said("address");
    let password = fs::read_to_string(home.path().join("initial-password")).unwrap();
    let socket = home.path().join("archive.redb.sock");
    let token = log_in(&socket, password.trim(), "DEVICE");
    let mut first = Client::connect(&address, &token);
    let since = first.get("/_matrix/client/v3/sync");
    let since = since["next_batch"].as_str().unwrap();
    let poll = format!(
        "GET /_matrix/client/v3/sync?timeout=30000&since={since} HTTP/1.1\r\nhost: localhost\r\n\
         authorization: Bearer {token}\r\n\r\n"
    );
    let half = "PUT /_matrix/client/v3/user/@owner:test.example.org/account_data/a HTTP/1.1\r\n\
                host: localhost\r\ncontent-length: 1000\r\n\r\n{\"a\":";
    let again = format!("/_matrix/client/v3/sync?since={since}");
    let idle = descriptors(&running);

    for _ in 0..20 {
        // As many polls as a device may have.
        let mut broken: Vec<Client<TcpStream>> = Vec::new();
        for _ in 0..POLLS {
            let mut client = Client::connect(&address, "");
            client.send(&poll);
            broken.push(client);
        }
        wait_until("all are there", || {
            let there = descriptors(&running).zip(idle);
            there.is_none_or(|(open, idle)| open >= idle + POLLS)
        });
        for request in [
            half,
            "GET / HT",
            "\r\n\r\n",
            "\u{16}\u{3}\u{1}",
            "PRI * HTTP/2.0\r\n",
        ] {
            let mut client = Client::connect(&address, "");
            client.send(request);
            broken.push(client);
        }
        for (number, client) in broken.iter().enumerate() {
            let how = if number % 2 == 0 {
                Shutdown::Write
            } else {
                Shutdown::Both
            };
            client.socket().shutdown(how).unwrap();
        }
        drop(broken);
        wait_until("all are closed", || descriptors(&running) <= idle);
        // Refused while those of before still count.
        wait_until("another one may begin", || {
            first.ask("GET", &again, &Value::Null).status == 200
        });
    }
    assert_eq!(running.stop().status.code(), Some(0));
}

#[test]
fn what_is_not_allowed_is_refused_in_matrix_form() {
    let home = Home::with_archive();
    let running = Running::start(&home, &[]);
    let address = running.said("address");
    let refusal = |request: &str| {
        let mut client = Client::connect(&address, "");
        client.send(&format!(
            "{request}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        ));
        client.answer().refusal()
    };
    let local = |line: &str| refusal(&format!("{line} HTTP/1.1\r\nhost: localhost"));
    let basic = format!("GET {V3}/sync HTTP/1.1\r\nhost: localhost\r\nauthorization: Basic YTpi");

    for host in [
        "evil.example",
        "localhost.evil.example",
        "a@localhost:b",
        "",
        "a\r\nhost: localhost",
    ] {
        let request = format!("GET /_matrix/client/versions HTTP/1.1\r\nhost: {host}");
        assert_eq!(refusal(&request), (403, "M_FORBIDDEN".to_owned()), "{host}");
    }
    let absolute = "GET http://evil.example/_matrix/client/versions HTTP/1.1\r\nhost: localhost";
    assert_eq!(refusal(absolute), (403, "M_FORBIDDEN".to_owned()));
    assert_eq!(refusal(&basic), (401, "M_MISSING_TOKEN".to_owned()));
    for (line, status, code) in [
        (format!("GET {V3}/sync"), 401, "M_MISSING_TOKEN"),
        (
            format!("GET {V3}/sync?access_token=fb_nobody"),
            401,
            "M_UNKNOWN_TOKEN",
        ),
        (format!("GET {V3}/../v3/sync"), 404, "M_UNRECOGNIZED"),
        (format!("GET {V3}/%2e%2e/sync"), 404, "M_UNRECOGNIZED"),
        (format!("GET {V3}//sync"), 404, "M_UNRECOGNIZED"),
        (format!("GET {V3}/sync%00"), 400, "M_INVALID_PARAM"),
        (format!("GET {V3}/sync/"), 404, "M_UNRECOGNIZED"),
        (
            "GET /page/..%2f..%2farchive.redb".to_owned(),
            404,
            "M_NOT_FOUND",
        ),
        (
            "GET /page/../archive.redb".to_owned(),
            404,
            "M_UNRECOGNIZED",
        ),
        ("GET /_footbridge/command".to_owned(), 404, "M_UNRECOGNIZED"),
        (format!("DELETE {V3}/sync"), 405, "M_UNRECOGNIZED"),
        (
            "GET /_matrix/media/v3/download/test.example.org/..%2fa".to_owned(),
            404,
            "M_NOT_FOUND",
        ),
    ] {
        assert_eq!(local(&line), (status, code.to_owned()), "{line}");
    }
    assert_eq!(running.stop().status.code(), Some(0));
}

#[test]
fn only_the_api_is_for_pages_of_other_origins() {
    let home = Home::with_archive();
    let running = Running::start(&home, &[]);
    let address = running.said("address");
    let headers = |method: &str, path: &str| {
        let mut client = Client::connect(&address, "");
        client.send(&format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\norigin: https://evil.example\r\n\
             access-control-request-private-network: true\r\nconnection: close\r\n\r\n"
        ));
        client.answer().headers
    };

    let shared = "access-control-allow-origin: *";
    assert!(headers("OPTIONS", "/_matrix/client/v3/sync").contains(shared));
    assert!(headers("GET", "/_matrix/client/versions").contains(shared));
    for path in ["/", "/_footbridge/status", "/page/app.js"] {
        assert!(!headers("GET", path).contains("access-control"), "{path}");
    }
    let private = "access-control-allow-private-network";
    assert!(!headers("OPTIONS", "/_matrix/client/v3/sync").contains(private));
    assert_eq!(running.stop().status.code(), Some(0));
}
