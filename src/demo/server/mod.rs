//! The loopback iCloud's server: HTTP on the loopback, checks as strict as Apple's may be, and faults on demand. What it
//! serves is a [`Cloud`]'s.
//!
//! Source: facts of CloudKit, 1.

mod answer;
mod check;
mod fault;
mod reader;

use std::collections::BTreeMap;
use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use tokio::task::spawn_blocking;

use crate::base::limits;
use crate::base::tasks::Outcome;
use crate::base::tasks::TaskGroup;
use crate::codec::cloudkit::Inflater;
use crate::codec::cloudkit::RequestOperation;
use crate::codec::cloudkit::decode_requests;
use crate::demo::cloud::Cloud;
use crate::demo::cloud::Download;
use crate::demo::server::check::Fail;
use crate::demo::server::fault::Ledger;
use crate::demo::upload::TICKET;
use crate::net::BoxFuture;
use crate::net::Connections;
use crate::net::ETag;
use crate::net::Handler;
use crate::net::HeaderValue;
use crate::net::Listen;
use crate::net::ListenError;
use crate::net::Listener;
use crate::net::Method;
use crate::net::Request;
use crate::net::Response;
use crate::net::StatusCode;
use crate::net::header::CONTENT_ENCODING;

pub use fault::Call;
pub use fault::Chance;
pub use fault::Fault;
pub use fault::Faults;
pub use fault::Made;
pub use fault::Trouble;

/// How long a stop waits for answers in flight.
const STOP: Duration = Duration::from_secs(2);

/// Ids of requests that are remembered, to see that none comes twice.
const REMEMBERED_IDS: usize = 1 << 16;

/// Complaints that are kept.
const COMPLAINTS: usize = 100;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const PAGE: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const STORED: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// A page for people, as gateways answer with.
const APOLOGY: &str =
    "<html><head><title>Service Unavailable</title></head><body>Please come back.</body></html>";

/// A running loopback iCloud.
pub struct Loopback {
    server: Arc<Server>,
    group: TaskGroup,
}

impl Loopback {
    /// Starts to serve on a free port of the loopback.
    ///
    /// # Errors
    /// [`ListenError`].
    ///
    /// # Cancel safety
    /// Nothing runs when this is dropped.
    pub async fn start(cloud: Arc<dyn Cloud>, faults: Faults) -> Result<Self, ListenError> {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = Listener::bind(Listen::Tcp {
            address: any,
            tls: None,
        })
        .await?;
        let server = Arc::new(Server {
            address: listener.address().unwrap_or(any),
            cloud,
            state: Mutex::new(State {
                ledger: Ledger::new(faults),
                counts: BTreeMap::new(),
                operations: BTreeMap::new(),
                complaints: Vec::new(),
                ids: HashSet::new(),
            }),
        });
        let group = TaskGroup::new();
        let handler = Handle(Arc::clone(&server));
        listener.serve(Arc::new(handler), Connections::default(), &group);
        Ok(Self { server, group })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// What to set `cloudkit.gateway` to.
    pub fn gateway(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// How many requests of a kind came, those that failed among them.
    pub fn requests(&self, call: Call) -> u64 {
        let state = self.server.state();
        state.counts.get(&call).copied().unwrap_or_default()
    }

    /// How many operations of a kind about a zone came.
    pub fn operations(&self, call: Call, zone: &str) -> u64 {
        let state = self.server.state();
        let key = (call, zone.to_owned());
        state.operations.get(&key).copied().unwrap_or_default()
    }

    /// How many requests came since the last time that this was asked, by kind. Those that did not come are not in it.
    pub fn take_requests(&self) -> BTreeMap<Call, u64> {
        let mut state = self.server.state();
        state.operations.clear();
        std::mem::take(&mut state.counts)
    }

    /// What was wrong with requests, at most a hundred times. A client without a fault leaves none.
    pub fn complaints(&self) -> Vec<String> {
        self.server.state().complaints.clone()
    }

    /// The faults that were made.
    pub fn made(&self) -> Vec<Made> {
        self.server.state().ledger.made.clone()
    }

    /// Plans one more fault.
    pub fn add_fault(&self, fault: Fault) {
        self.server.state().ledger.add(fault);
    }

    /// Stops to serve.
    pub async fn stop(self) -> Outcome {
        self.group.stop_and_join(STOP).await
    }
}

struct State {
    ledger: Ledger,
    counts: BTreeMap<Call, u64>,
    operations: BTreeMap<(Call, String), u64>,
    complaints: Vec<String>,
    ids: HashSet<String>,
}

struct Server {
    address: SocketAddr,
    cloud: Arc<dyn Cloud>,
    state: Mutex<State>,
}

struct Handle(Arc<Server>);

impl Handler for Handle {
    fn call(&self, request: Request) -> BoxFuture<'_, Response> {
        let server = Arc::clone(&self.0);
        Box::pin(async move { server.answer(request).await })
    }
}

/// What a path asks for.
fn call(path: &[&str]) -> Option<Call> {
    Some(match path {
        ["setup", "setup", "ck", "v1", "ckAppInit"] => Call::Init,
        ["mmcs", ..] => Call::Container,
        ["ckdatabase", "api", "client", kind, what] => match (*kind, *what) {
            ("zone", "retrieve") => Call::Zone,
            ("zone", "sync") => Call::Zones,
            ("record", "sync") => Call::Changes,
            ("record", "retrieve") => Call::Record,
            ("query", "retrieve") => Call::Query,
            _ => return None,
        },
        _ => return None,
    })
}

impl Server {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn complain(&self, about: String) {
        let mut state = self.state();
        if state.complaints.len() < COMPLAINTS {
            state.complaints.push(about);
        }
    }

    async fn answer(self: Arc<Self>, request: Request) -> Response {
        let path: Vec<String> = match &request.path {
            Ok(path) => path.segments().map(str::to_owned).collect(),
            Err(_not_a_path) => Vec::new(),
        };
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let Some(call) = call(&path) else {
            self.complain(format!("nobody reads with /{}", path.join("/")));
            return Response::empty(StatusCode::NOT_FOUND);
        };
        *self.state().counts.entry(call).or_default() += 1;
        let method = if call == Call::Container {
            Method::GET
        } else {
            Method::POST
        };
        if request.method != method {
            return self.refuse(call, Fail::Bad("the method".to_owned()));
        }
        let answer = match call {
            Call::Container => self.container(&request, &path),
            Call::Init => self.init(&request),
            Call::Zone | Call::Zones | Call::Changes | Call::Record | Call::Query => {
                self.database(call, request).await
            }
        };
        answer.unwrap_or_else(|fail| self.refuse(call, fail))
    }

    fn refuse(&self, call: Call, fail: Fail) -> Response {
        match fail {
            Fail::Unauthorized => Response::bytes(StatusCode::UNAUTHORIZED, TEXT, "Unauthorized"),
            Fail::Bad(what) => {
                let complaint = format!("{call:?}: {what}");
                self.complain(complaint.clone());
                Response::bytes(StatusCode::BAD_REQUEST, TEXT, complaint)
            }
        }
    }

    /// Checks headers, and that no two requests have the same id.
    fn check(&self, call: Call, request: &Request) -> Result<(), Fail> {
        let id = check::headers(call, &request.headers, &self.cloud.credentials())?;
        let mut state = self.state();
        if state.ids.len() >= REMEMBERED_IDS {
            state.ids.clear();
        }
        if state.ids.insert(id) {
            return Ok(());
        }
        Err(Fail::Bad("x-apple-request-uuid twice".to_owned()))
    }

    fn init(&self, request: &Request) -> Result<Response, Fail> {
        self.check(Call::Init, request)?;
        let container = request
            .query
            .as_ref()
            .ok()
            .and_then(|query| query.first("container"));
        if container != Some(check::CONTAINER) {
            return Err(Fail::Bad("container".to_owned()));
        }
        let credentials = self.cloud.credentials();
        let pair = format!("{}:{}", credentials.dsid, credentials.mme_auth_token);
        let expected = format!("Basic {}", BASE64_STANDARD.encode(pair));
        let said = request.headers.get("authorization");
        if said.is_none_or(|said| said.as_bytes() != expected.as_bytes()) {
            return Err(Fail::Unauthorized);
        }
        let body = serde_json::json!({ "cloudKitUserId": credentials.user }).to_string();
        let made = self.state().ledger.next(Call::Init, &[]);
        let whole = Response::json(StatusCode::OK, body.clone());
        Ok(made.map_or(whole, |made| {
            answer::spoil(&made.trouble, body.into(), Response::json)
        }))
    }

    async fn database(self: &Arc<Self>, call: Call, request: Request) -> Result<Response, Fail> {
        self.check(call, &request)?;
        let body = request.body.bytes(limits::CLOUDKIT_FRAME_BYTES).await;
        let body = body.map_err(|error| Fail::Bad(error.to_string()))?;
        let server = Arc::clone(self);
        // Records are made and encrypted when they are asked for: that is work for another thread.
        let work = spawn_blocking(move || {
            let plain = Inflater::default().inflate(&body, limits::INFLATED_BYTES);
            let plain = plain.map_err(|error| Fail::Bad(error.to_string()))?;
            let operations = decode_requests(&plain.into());
            let operations = operations.map_err(|error| Fail::Bad(error.to_string()))?;
            check::operations(call, &operations)?;
            Ok(server.perform(call, &operations))
        });
        match work.await {
            Ok(answered) => answered.map(answer::Body::send),
            // A bug of the server's: clients see what they would see of Apple's.
            Err(_panicked) => Ok(Response::empty(StatusCode::INTERNAL_SERVER_ERROR)),
        }
    }

    /// Answers the operations, as far as no fault is in the way.
    fn perform(&self, call: Call, operations: &[RequestOperation]) -> answer::Body {
        let zones: Vec<&str> = operations.iter().filter_map(answer::zone).collect();
        let made = {
            let mut state = self.state();
            for zone in &zones {
                *state
                    .operations
                    .entry((call, (*zone).to_owned()))
                    .or_default() += 1;
            }
            state.ledger.next(call, &zones)
        };
        if let Some(made) = &made
            && let (Trouble::Reset(_), Some(zone)) = (&made.trouble, &made.zone)
        {
            self.cloud.reset(zone);
        }
        answer::answer(&*self.cloud, operations, self.address, made)
    }

    fn container(&self, request: &Request, path: &[&str]) -> Result<Response, Fail> {
        let header = |name: &str| {
            request
                .headers
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        for name in ["user-agent", "x-apple-request-uuid"] {
            if header(name).is_none_or(str::is_empty) {
                return Err(Fail::Bad(name.to_owned()));
            }
        }
        for name in ["authorization", "cookie", "x-cloudkit-authtoken"] {
            if header(name).is_some() {
                return Err(Fail::Bad(format!("{name} is nobody's business")));
            }
        }
        let query = request.query.as_ref().ok();
        let download = Download {
            path: path.to_vec(),
            generation: query.and_then(|query| query.first("g")),
            ticket: header(TICKET),
        };
        let bytes = match self.cloud.container(&download) {
            Ok(bytes) => bytes,
            Err(status) => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN);
                return Ok(Response::empty(status));
            }
        };
        let made = self.state().ledger.next(Call::Container, &[]);
        let whole = |status, bytes: Bytes| {
            if status != StatusCode::OK {
                return Response::bytes(status, STORED, bytes);
            }
            let etag = ETag::of(&bytes);
            Response::ranged(&request.headers, STORED, &etag, Arc::new(bytes))
        };
        Ok(match made {
            None => whole(StatusCode::OK, bytes),
            Some(made) => answer::spoil(&made.trouble, bytes, whole),
        })
    }
}

/// The header that says that a body is packed.
fn packed(response: Response) -> Response {
    response.with_header(CONTENT_ENCODING, HeaderValue::from_static("gzip"))
}
