//! The CloudKit client over real sockets: what it sends, how it sorts answers, what it says of every kind of failure, and
//! files. The bodies are those of `tests/data/cloudkit`.
//!
//! Guards against a page that is lost because an error looked like an end, answers given to the wrong zone, and files that
//! are shown although a piece of them is wrong.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unreachable,
    reason = "a test stops at the first surprise"
)]

mod calls;
mod failures;
mod files;
mod server;

use std::fs;
use std::num::NonZeroU32;
use std::path::PathBuf;

use bytes::Bytes;
use footbridge::apple::session::Session;
use footbridge::base::ids::RecordName;
use footbridge::base::ids::ZoneName;
use footbridge::net::client::Roots;
use footbridge::source::cloudkit::ChangesRequest;
use footbridge::source::cloudkit::Client;
use footbridge::source::cloudkit::Gateway;
use serde_json::Value;
use serde_json::json;

use crate::server::Server;

fn read(file: &str) -> Bytes {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    fs::read(path.join("tests/data/cloudkit").join(file))
        .unwrap()
        .into()
}

fn read_json(file: &str) -> Value {
    serde_json::from_slice(&read(file)).unwrap()
}

fn unhex(value: &Value) -> Vec<u8> {
    let digits = value.as_str().unwrap().as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn zone(name: &str) -> ZoneName {
    ZoneName::parse(name).unwrap()
}

fn record(name: &str) -> RecordName {
    RecordName::parse(name).unwrap()
}

/// A session file with these members besides the necessary ones.
fn session(more: &Value) -> Session {
    let mut file = json!({
        "dsid": "1234567", "mme_auth_token": "mme-token", "cloudkit_token": "ck-token",
        "device": {
            "uuid": "0D0F9C5E-6B1E-4B0C-9C48-2A4D1C0B7A11", "udid": "0123456789abcdef", "serial": "C02ABCDEFGHI",
            "model": "Mac14,3", "os_version": "14.5", "os_build": "23F79", "name": "Mac-X",
        },
        "items": [],
    });
    let members = file.as_object_mut().unwrap();
    members.extend(more.as_object().unwrap().clone());
    Session::decode(file.to_string().as_bytes()).unwrap()
}

/// A client of a server.
fn client_with(server: &Server, session: &Session) -> Client {
    let gateway = Gateway::loopback(&server.origin).unwrap();
    Client::new(session, gateway, &Roots::bundled(), &server.tasks).unwrap()
}

/// One that knows its user id.
fn client(server: &Server) -> Client {
    client_with(server, &session(&json!({"cloudkit_user_id": "_user"})))
}

/// One for which a minute is some milliseconds.
fn hurried(server: &Server) -> Client {
    let session = session(&json!({"cloudkit_user_id": "_user"}));
    let hurry = NonZeroU32::new(500).unwrap();
    let gateway = Gateway::loopback(&server.origin).unwrap().hurried(hurry);
    Client::new(&session, gateway, &Roots::bundled(), &server.tasks).unwrap()
}

/// Asks for the first page of a zone.
fn first(name: &str) -> ChangesRequest {
    ChangesRequest {
        zone: zone(name),
        token: None,
        newest_first: false,
    }
}
