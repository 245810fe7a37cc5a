//! Requests from any bytes, to the endpoint over the sample's archive: what the fuzz target `requests` does, and its
//! replay.
//!
//! The fuzz target includes this file; it must not use anything of its neighbours.

use std::cell::RefCell;
use std::fs::File;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use footbridge::base::password;
use footbridge::base::secret::SecretText;
use footbridge::base::time::AppleTime;
use footbridge::base::time::FixedClock;
use footbridge::deliver::endpoint::MediaFiles;
use footbridge::deliver::endpoint::Server;
use footbridge::deliver::endpoint::Settings;
use footbridge::ingest;
use footbridge::ingest::Options;
use footbridge::model::attachment::Attachment;
use footbridge::net::Handler;
use footbridge::net::HeaderName;
use footbridge::net::HeaderValue;
use footbridge::net::Method;
use footbridge::net::Peer;
use footbridge::net::Request;
use footbridge::net::Response;
use footbridge::net::header;
use footbridge::source::chatdb::Locations;
use footbridge::store::Pace;
use footbridge::store::Store;
use footbridge::store::Transaction;
use footbridge::store::account::Account;
use footbridge::store::value::User;
use redb::backends::InMemoryBackend;
use serde_json::Value;
use serde_json::json;
use tokio::runtime::Builder;
use tokio::runtime::Runtime;

/// Long after the last message of the sample.
const CLOCK: FixedClock = FixedClock(AppleTime::from_nanos(900_000_000_000_000_000));

const PASSWORD: &str = "correct horse";

/// Requests that one archive answers: what they leave in it must not slow the later ones down.
const REQUESTS: u32 = 5_000;

/// No file is there: what becomes of bytes of files is for other targets.
struct NoFiles;

impl MediaFiles for NoFiles {
    fn open(&self, _attachment: &Attachment) -> Option<File> {
        None
    }
}

/// An endpoint, and what requests name in it.
struct World {
    runtime: Runtime,
    server: Server,
    token: String,
    /// What stands for what in a request, so that ids and tokens survive small damage.
    names: Vec<(&'static str, String)>,
    requests: u32,
}

/// What was answered.
pub(crate) struct Answered {
    pub(crate) status: u16,
    /// The error's code, or nothing.
    pub(crate) code: String,
}

thread_local! {
    static WORLD: RefCell<Option<World>> = const { RefCell::new(None) };
}

/// Answers a request of these bytes: a line of method and target, lines of headers, an empty line, a body. `{room}`,
/// `{event}`, `{since}`, `{place}` and `{media}` stand for those of the archive. A host and a token are added where no
/// header says another one. `None` where HTTP ends before the endpoint begins.
///
/// Panics when an answer is not one that the endpoint may give.
pub(crate) fn answer_any(bytes: &[u8]) -> Option<Answered> {
    WORLD.with_borrow_mut(|held| {
        let world = held.get_or_insert_with(World::new);
        let request = world.request(bytes)?;
        let is_api = request.path.as_ref().is_ok_and(is_api);
        let response = world.call(request);
        let answered = check(&response, is_api);
        if !world.is_usable() {
            *held = None;
        }
        Some(answered)
    })
}

fn is_api(path: &footbridge::net::target::Path) -> bool {
    matches!(path.segment(0), Some("_matrix" | ".well-known"))
}

/// What every answer must be.
fn check(response: &Response, is_api: bool) -> Answered {
    let status = response.status.as_u16();
    assert_ne!(status, 500);
    let is_shared = response
        .headers
        .contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN);
    assert_eq!(is_shared, is_api);
    let body = response.whole_body().filter(|body| !body.is_empty());
    let is_json = response
        .headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind == "application/json");
    let json: Value = match body {
        Some(body) if is_json => serde_json::from_slice(body).unwrap(),
        Some(_) | None => Value::Null,
    };
    let code = json["errcode"].as_str().unwrap_or_default().to_owned();
    // A proof that is asked for is told what it may be, without a code.
    if status >= 400 && json.get("flows").is_none() {
        assert!(code.starts_with("M_"), "{status} {json}");
        assert!(json["error"].is_string(), "{status} {json}");
    }
    Answered { status, code }
}

impl World {
    fn new() -> Self {
        let store = Store::open_backend(InMemoryBackend::new(), Arc::new(CLOCK)).unwrap();
        let options = Options {
            locations: Locations::new(&sample(), None),
            region: None,
            pace: Pace::IMPORT,
        };
        ingest::import(&store, &CLOCK, &options, &|_| ControlFlow::Continue(())).unwrap();
        let user = User {
            name: "owner".to_owned(),
            password: password::hash(&SecretText::new(PASSWORD.to_owned())).unwrap(),
            created: CLOCK.0,
        };
        let written = store.write(|transaction: &mut Transaction<'_>| {
            transaction.set_server_name("example.org")?;
            transaction.put_user(Account::OWNER, &user)
        });
        written.unwrap();
        let no_status = Arc::new(|| Some(json!({})));
        let settings = Settings::new("owner", "example.org", [], Arc::new(NoFiles), no_status);
        let server = Server::new(store, Arc::new(CLOCK), settings.unwrap()).unwrap();
        let mut world = Self {
            runtime: Builder::new_current_thread().enable_time().build().unwrap(),
            server,
            token: String::new(),
            names: Vec::new(),
            requests: 0,
        };
        world.token = world.log_in().unwrap();
        world.names = world.find_names();
        world
    }

    fn log_in(&self) -> Option<String> {
        let login = json!({
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": "owner"},
            "password": PASSWORD,
            "device_id": "FUZZ",
        });
        let request = Request::new(Method::POST, "/_matrix/client/v3/login");
        let answer = self.call(request.with_body(login.to_string()));
        Some(body(&answer)["access_token"].as_str()?.to_owned())
    }

    /// A room that has more messages than one sync shows, and what is in it.
    fn find_names(&self) -> Vec<(&'static str, String)> {
        let sync = body(&self.call(self.get("/_matrix/client/v3/sync")));
        let rooms = sync["rooms"]["join"].as_object().unwrap();
        let is_long = |room: &Value| room["timeline"]["limited"] == true;
        let (room, shown) = rooms.iter().find(|(_, room)| is_long(room)).unwrap();
        let timeline = &shown["timeline"];
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let files = r#"{"contains_url":true,"types":["m.room.message"]}"#.replace('"', "%22");
        let with_files = rooms.keys().find_map(|room| {
            let path = format!("/_matrix/client/v3/rooms/{room}/messages?dir=b&filter={files}");
            let page = body(&self.call(self.get(&path)));
            let url = page["chunk"][0]["content"]["url"].as_str()?;
            Some(url.strip_prefix("mxc://").unwrap().to_owned())
        });
        vec![
            ("{room}", room.clone()),
            ("{event}", text(&timeline["events"][0]["event_id"])),
            ("{since}", text(&sync["next_batch"])),
            ("{place}", text(&timeline["prev_batch"])),
            ("{media}", with_files.unwrap()),
        ]
    }

    fn get(&self, target: &str) -> Request {
        let bearer = HeaderValue::from_str(&format!("Bearer {}", self.token)).unwrap();
        Request::new(Method::GET, target).with_header(header::AUTHORIZATION, bearer)
    }

    fn call(&self, request: Request) -> Response {
        // A stop lets a long poll answer at once.
        request.stop.cancel();
        self.runtime.block_on(self.server.call(request))
    }

    /// The request that the bytes are.
    fn request(&self, bytes: &[u8]) -> Option<Request> {
        let end = bytes.windows(2).position(|pair| pair == b"\n\n");
        let (head, body) = bytes.split_at(end.unwrap_or(bytes.len()));
        let mut lines = str::from_utf8(head).ok()?.lines();
        let (method, target) = lines.next()?.split_once(' ')?;
        let peer = Peer::Tcp("127.0.0.1:50000".parse().ok()?);
        let method = method.parse().ok()?;
        let mut request = Request::new(method, &self.named(target)).with_peer(peer);
        for line in lines {
            let (name, value) = line.split_once(':')?;
            let name: HeaderName = name.parse().ok()?;
            request = request.with_header(name, value.trim().parse().ok()?);
        }
        if !request.headers.contains_key(header::HOST) {
            request = request.with_header(header::HOST, HeaderValue::from_static("localhost"));
        }
        if !request.headers.contains_key(header::AUTHORIZATION) {
            let bearer = HeaderValue::from_str(&format!("Bearer {}", self.token)).ok()?;
            request = request.with_header(header::AUTHORIZATION, bearer);
        }
        let body = body.get(2..).unwrap_or_default();
        Some(match str::from_utf8(body) {
            Ok(text) => request.with_body(self.named(text)),
            Err(_binary) => request.with_body(body.to_vec()),
        })
    }

    fn named(&self, text: &str) -> String {
        let names = self.names.iter();
        names.fold(text.to_owned(), |text, (name, what)| {
            text.replace(name, what)
        })
    }

    /// Whether it can go on: a request may have logged everybody out, or set another password.
    fn is_usable(&mut self) -> bool {
        self.requests += 1;
        let is_known = self.call(self.get("/_matrix/client/v3/account/whoami"));
        if is_known.status != 200 {
            self.token = self.log_in().unwrap_or_default();
        }
        !self.token.is_empty() && self.requests < REQUESTS
    }
}

fn body(response: &Response) -> Value {
    serde_json::from_slice(response.whole_body().unwrap()).unwrap()
}

/// The database that the repository carries, from a test and from a fuzz target.
fn sample() -> std::path::PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let places = [here, here.parent().unwrap()].map(|at| at.join("tests/data/sample/chat.db"));
    places.into_iter().find(|place| place.exists()).unwrap()
}
