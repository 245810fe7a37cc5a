//! The Matrix client-server API over the store: any client logs straight into footbridge, without a homeserver.
//!
//! Rooms are views: a room is a conversation, an event is made when a client asks for it, and nothing is copied. Two
//! orders are never mixed: `/sync` follows the change log, `/messages` walks the timeline (D5, D20).
//!
//! | to | go to |
//! |---|---|
//! | see which requests there are | the `ROUTES` of each group of endpoints, put together in `routes` |
//! | follow a request | [`Endpoint`] in this file: host, CORS, route, token, body, then the group's handler |
//! | see what a room shows | `view`: entries of the timeline as events |
//! | see which rooms are no more | `gone` |
//! | see which rooms there are | `rooms`, kept up to date by `present`; who is called how, `names` |
//! | understand tokens of places | `token` |
//! | log in; change the password, log devices out | `login`; `account`, after a proof by `uia` |
//! | keep what clients write for each other | `account_data`, `push_rules`, `pushers`, `filters`, `to_device` |
//! | keep keys for clients | `keys`, `cross_signing` |
//! | say who people are, find them | `profile` |
//! | test a request without sockets | `testing` |
//! | follow a sliding sync | `sliding` |
//! | see rooms that are not of the archive | `local` |
//!
//! Source: `[mx v1.12] Client-Server API`; `facts` of the endpoint, whose list of what clients insist on decides what is
//! real and what is constant.

mod account;
mod account_data;
mod assets;
mod call;
mod cross_signing;
mod delta;
mod error;
mod filters;
mod gone;
mod history;
mod keys;
mod local;
mod login;
mod media;
mod membership;
mod names;
mod present;
mod profile;
mod push_rules;
mod pushers;
mod receipts;
mod rooms;
mod route;
mod search;
mod sending;
mod session;
mod sliding;
mod start;
mod status;
mod sync;
#[cfg(test)]
mod testing;
mod to_device;
mod token;
mod typing;
mod uia;
mod view;

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::spawn_blocking;

use crate::base::error::Class;
use crate::base::error::Explain;
use crate::base::ids::ChangeNumber;
use crate::base::limits::LOGIN_ADDRESSES;
use crate::base::limits::LOGIN_BURST;
use crate::base::limits::LOGIN_REFILL;
use crate::base::limits::POLLS;
use crate::base::limits::POLLS_PER_DEVICE;
use crate::base::random;
use crate::base::random::NoRandomBytes;
use crate::base::time::Clock;
use crate::deliver::endpoint::call::Answer;
use crate::deliver::endpoint::call::Call;
use crate::deliver::endpoint::error::Code;
use crate::deliver::endpoint::error::MatrixError;
use crate::deliver::endpoint::local::LocalRoutes;
use crate::deliver::endpoint::local::Members;
use crate::deliver::endpoint::local::Registration;
use crate::deliver::endpoint::local::Relations;
use crate::deliver::endpoint::media::MediaIds;
use crate::deliver::endpoint::media::Thumbnails;
use crate::deliver::endpoint::present::Present;
use crate::deliver::endpoint::present::Presents;
use crate::deliver::endpoint::rooms::Room;
use crate::deliver::endpoint::route::Access;
use crate::deliver::endpoint::route::Route;
use crate::deliver::endpoint::route::Work;
use crate::deliver::endpoint::session::Session;
use crate::deliver::endpoint::session::Sessions;
use crate::deliver::endpoint::sliding::Connections;
use crate::deliver::endpoint::sync::Shared;
use crate::deliver::endpoint::token::Position;
use crate::deliver::endpoint::typing::Typing;
use crate::deliver::endpoint::uia::Awaited;
use crate::deliver::endpoint::uia::Begun;
use crate::deliver::endpoint::view::View;
use crate::matrix::ids::Account;
use crate::matrix::ids::NameError;
use crate::matrix::ids::ServerName;
use crate::net::BodyError;
use crate::net::BoxFuture;
use crate::net::Handler;
use crate::net::HeaderValue;
use crate::net::Method;
use crate::net::Peer;
use crate::net::Request;
use crate::net::Response;
use crate::net::StatusCode;
use crate::net::guard::HostCheck;
use crate::net::guard::RateLimit;
use crate::net::guard::Slots;
use crate::net::header;
use crate::net::router::Captures;
use crate::net::router::PatternError;
use crate::net::router::Routed;
use crate::net::router::Router;
use crate::net::router::allow;
use crate::net::target::Query;
use crate::store::Pace;
use crate::store::Snapshot;
use crate::store::Store;
use crate::store::StoreError;
use crate::store::Transaction;
use crate::store::Writer;
use crate::store::account::Account as AccountNumber;

pub use crate::deliver::endpoint::local::NoticeKind;
pub use crate::deliver::endpoint::local::Notices;
pub use crate::deliver::endpoint::media::LegacyMedia;
pub use crate::deliver::endpoint::media::MediaFiles;

/// How the endpoint is to behave.
#[derive(Clone)]
pub struct Settings {
    /// Whose archive it is, and the server's name.
    pub account: Account,
    /// Hosts by which clients may reach it.
    pub hosts: HostCheck,
    /// Where clients reach it, if that is not where they ask (behind a proxy).
    pub public_url: Option<String>,
    /// Web pages that may reach a private address from a public one (D28).
    pub allowed_origins: Vec<String>,
    /// Opens the files of attachments.
    pub files: Arc<dyn MediaFiles>,
    /// Who gets files without a token.
    pub legacy_media: LegacyMedia,
    /// What the service is doing, for the built-in page.
    pub status: Status,
    /// Whether clients may make accounts and rooms (D27).
    pub conformance: bool,
}

/// Tells what the service is doing, as the object that the page's `status.js` describes; `None` when it cannot. May wait
/// for the disk.
pub type Status = Arc<dyn Fn() -> Option<serde_json::Value> + Send + Sync>;

impl Settings {
    /// For the account `user` of a server, reached at loopback names and `hosts`; everything else is off.
    ///
    /// # Errors
    ///
    /// [`EndpointError::Name`].
    pub fn new<'a>(
        user: &str,
        server_name: &'a str,
        hosts: impl IntoIterator<Item = &'a str>,
        files: Arc<dyn MediaFiles>,
        status: Status,
    ) -> Result<Self, EndpointError> {
        Ok(Self {
            account: Account::new(user, ServerName::parse(server_name)?)?,
            hosts: HostCheck::new(hosts.into_iter().chain([server_name])),
            public_url: None,
            allowed_origins: Vec::new(),
            files,
            legacy_media: LegacyMedia::Off,
            status,
            conformance: false,
        })
    }
}

/// Why the endpoint cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// The archive cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The table of routes is wrong: a bug.
    #[error(transparent)]
    Routes(#[from] PatternError),
    /// The system has no random bytes.
    #[error(transparent)]
    Random(#[from] NoRandomBytes),
    /// The archive has no server name yet.
    #[error("the archive has no account yet")]
    NoAccount,
    /// The owner's name or the server's cannot be used.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl Explain for EndpointError {
    fn class(&self) -> Class {
        match self {
            Self::Store(error) => error.class(),
            Self::Name(error) => error.class(),
            Self::Routes(_) | Self::Random(_) | Self::NoAccount => Class::Retry,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Store(error) => error.hint(),
            Self::Name(error) => error.hint(),
            Self::Routes(_) | Self::Random(_) | Self::NoAccount => None,
        }
    }
}

/// The endpoint, serving one archive.
pub struct Endpoint {
    store: Store,
    writer: Writer,
    clock: Arc<dyn Clock>,
    settings: Settings,
    sessions: Sessions,
    media: MediaIds,
    thumbnails: Thumbnails,
    /// Tells who waits for a file that one has come.
    uploaded: Notify,
    presents: Presents,
    logins: RateLimit<(String, String)>,
    proofs: Begun<Awaited>,
    registrations: Begun<Registration>,
    polls: Slots<String>,
    connections: Connections,
    shared: Shared,
    typing: Typing,
    members: Members,
    relations: Relations,
    router: Router<Route>,
    local: LocalRoutes,
    /// Of the archive.
    generation: u64,
    /// Which run this is: typing notices are counted anew in each.
    boot: u32,
}

/// The endpoint as a server's handler.
pub struct Server(Arc<Endpoint>);

impl Server {
    /// Makes the endpoint of an archive that has an account.
    ///
    /// # Errors
    ///
    /// [`EndpointError`].
    pub fn new(
        store: Store,
        clock: Arc<dyn Clock>,
        settings: Settings,
    ) -> Result<Self, EndpointError> {
        let snapshot = store.snapshot()?;
        let secret = snapshot.token_secret()?.ok_or(EndpointError::NoAccount)?;
        let boot = u32::from_le_bytes(random::bytes()?);
        Ok(Self(Arc::new(Endpoint {
            writer: store.writer(Pace::LIVE),
            sessions: Sessions::new(&secret),
            media: MediaIds::new(&secret),
            thumbnails: Thumbnails::default(),
            uploaded: Notify::new(),
            presents: Presents::default(),
            logins: RateLimit::new(
                Arc::clone(&clock),
                LOGIN_BURST,
                LOGIN_REFILL,
                LOGIN_ADDRESSES,
            ),
            proofs: Begun::default(),
            registrations: Begun::default(),
            polls: Slots::new(POLLS_PER_DEVICE, POLLS),
            connections: Connections::new(boot),
            shared: Shared::default(),
            typing: Typing::default(),
            members: Members::default(),
            relations: Relations::default(),
            router: router()?,
            local: LocalRoutes::new(settings.conformance)?,
            generation: snapshot.generation()?,
            boot,
            store,
            clock,
            settings,
        })))
    }

    /// What says things to the owner.
    pub fn notices(&self) -> Notices {
        Notices::new(Arc::clone(&self.0))
    }
}

impl Handler for Server {
    fn call(&self, request: Request) -> BoxFuture<'_, Response> {
        Box::pin(answer(Arc::clone(&self.0), request))
    }
}

/// Every group's routes.
fn routes() -> Vec<Route> {
    [
        assets::routes(),
        start::routes(),
        status::routes(),
        login::routes(),
        history::routes(),
        account::routes(),
        account_data::routes(),
        push_rules::routes(),
        sync::routes(),
        receipts::routes(),
        typing::routes(),
        membership::routes(),
        sending::routes(),
        pushers::routes(),
        filters::routes(),
        keys::routes(),
        cross_signing::routes(),
        to_device::routes(),
        profile::routes(),
        sliding::routes(),
        search::routes(),
        media::routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn router() -> Result<Router<Route>, PatternError> {
    let mut router = Router::default();
    for route in routes() {
        for pattern in route.patterns() {
            router.insert(route.method.clone(), &pattern, route.clone())?;
        }
    }
    Ok(router)
}

/// Answers a request: with the headers that web clients need, whatever the outcome.
async fn answer(endpoint: Arc<Endpoint>, request: Request) -> Response {
    let origin = request.header(&header::ORIGIN).map(str::to_owned);
    let wants_private = request
        .headers
        .contains_key("access-control-request-private-network");
    let is_shared = is_for_other_origins(&request);
    let response = match Arc::clone(&endpoint).route(request).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    };
    if !is_shared {
        return response;
    }
    let response = response
        .with_header(
            header::ACCESS_CONTROL_ALLOW_ORIGIN,
            HeaderValue::from_static("*"),
        )
        .with_header(
            header::ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static("GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS"),
        )
        .with_header(
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static("X-Requested-With, Content-Type, Authorization, Date"),
        );
    let is_allowed =
        origin.is_some_and(|origin| endpoint.settings.allowed_origins.contains(&origin));
    if wants_private && is_allowed {
        let name = crate::net::HeaderName::from_static("access-control-allow-private-network");
        return response.with_header(name, HeaderValue::from_static("true"));
    }
    response
}

/// Whether pages of other origins may use what is asked for: the API itself, nothing else (D28).
fn is_for_other_origins(request: &Request) -> bool {
    let first = request.path.as_ref().ok().and_then(|path| path.segment(0));
    matches!(first, Some("_matrix" | ".well-known"))
}

impl Endpoint {
    async fn route(self: Arc<Self>, request: Request) -> Answer {
        let authority = request.authority().map(str::to_owned);
        if request.peer != Peer::Owner && !self.settings.hosts.allows(authority.as_deref()) {
            let text = "this is not one of footbridge's names; set `endpoint.public_url`";
            return Err(MatrixError::forbidden(text));
        }
        if request.method == Method::OPTIONS {
            return Ok(Response::empty(StatusCode::NO_CONTENT));
        }
        let snapshot = || self.store.snapshot();
        let local = self.local.route(snapshot, &request.method, &request.path)?;
        let (route, captures) = match local {
            Some(local) => local,
            None => match self.router.route(&request.method, &request.path) {
                Routed::Found(route, captures) => (route.clone(), captures),
                Routed::NotFound => {
                    let methods = self.local.methods(&request.method, &request.path);
                    if methods.is_empty() {
                        return Err(unrecognized(StatusCode::NOT_FOUND));
                    }
                    return Ok(no_method(&methods));
                }
                Routed::MethodNotAllowed(methods) => return Ok(no_method(&methods)),
                Routed::Malformed(error) => return Err(MatrixError::invalid(error.to_string())),
            },
        };
        let query = request.query.clone();
        let query = query.map_err(|error| MatrixError::invalid(error.to_string()))?;
        let session = self.authenticate(&route, &request, &query).await?;
        let (call, request) = take(request, session, captures, query.without_empty(), authority);
        match route.work {
            Work::Streaming(work) => work(self, call, request).await,
            Work::Quick(work) => {
                let call = with_body(call, request, route.body_bytes).await?;
                let done = spawn_blocking(move || work(&self, &call)).await;
                done.unwrap_or_else(|_panic| {
                    tracing::error!("a request's handler panicked");
                    Err(MatrixError::new(
                        Code::Unknown,
                        "a bug: see footbridge's log",
                    ))
                })
            }
            Work::Long(work) => {
                let call = with_body(call, request, route.body_bytes).await?;
                work(self, call).await
            }
        }
    }

    /// Whose request it is. A token is looked at only where one is needed: what is open stays so with a stale one.
    async fn authenticate(
        &self,
        route: &Route,
        request: &Request,
        query: &Query,
    ) -> Result<Option<Arc<Session>>, MatrixError> {
        if route.access == Access::Open {
            return Ok(None);
        }
        let missing = || MatrixError::new(Code::MissingToken, "an access token is needed");
        let token = session::token(&request.headers, query).ok_or_else(missing)?;
        let snapshot = || self.store.snapshot();
        let recognised = self.sessions.of(snapshot, token, self.clock.now())?;
        if !self.is_open_to(recognised.session.account) {
            return Err(session::unknown());
        }
        if recognised.is_due {
            self.note_seen(&recognised.session, request).await;
        }
        Ok(Some(recognised.session))
    }

    /// Whether an account may do anything: those beside the owner's are of conformance mode (D27).
    fn is_open_to(&self, account: AccountNumber) -> bool {
        account == AccountNumber::OWNER || self.settings.conformance
    }

    /// Notes that a device was there, and from where. Where that cannot be written, as on a full disk, the request goes on:
    /// it may only read.
    async fn note_seen(&self, session: &Session, request: &Request) {
        let now = self.clock.now();
        let (account, device) = (session.account, session.device.clone());
        let address = match request.peer {
            Peer::Tcp(address) => Some(address.ip().to_canonical().to_string()),
            Peer::Owner => None,
        };
        let agent = request.header(&header::USER_AGENT).map(str::to_owned);
        let noted = self.writer.apply(move |transaction| {
            let Some(mut held) = transaction.device(account, &device)? else {
                return Ok(());
            };
            held.seen = Some(now);
            held.address = address;
            held.agent = agent;
            transaction.put_device(account, &device, &held)
        });
        if let Err(error) = noted.await {
            tracing::warn!(%error, "that a device was there could not be noted");
        }
    }

    /// Writes, and answers once it is safe. For handlers on threads that may wait.
    fn write<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<R, StoreError> + Send + 'static,
    ) -> Result<R, MatrixError> {
        Ok(Handle::current().block_on(self.writer.apply(work))?)
    }

    /// The user id of an account.
    fn user_of(&self, account: AccountNumber) -> Result<String, MatrixError> {
        if account == AccountNumber::OWNER {
            return Ok(self.settings.account.user().as_str().to_owned());
        }
        let user = self
            .store
            .snapshot()?
            .user(account)?
            .ok_or_else(session::unknown)?;
        Ok(format!(
            "@{}:{}",
            user.name,
            self.settings.account.server().as_str()
        ))
    }

    /// The archive as it is now, and its rooms.
    fn now(&self) -> Result<(Snapshot, Arc<Present>), StoreError> {
        self.presents.now(&self.store, &self.settings.account)
    }

    /// The rooms as of a snapshot, or later ones: for what depends on nothing else.
    fn present(&self, snapshot: &Snapshot) -> Result<Arc<Present>, StoreError> {
        self.presents.of(snapshot, &self.settings.account)
    }

    /// A room as of a snapshot.
    fn view<'a>(
        &'a self,
        snapshot: &'a Snapshot,
        present: &'a Present,
        room: &'a Room,
    ) -> Result<View<'a>, StoreError> {
        let heads = room.shown.iter().map(|row| snapshot.head(*row));
        Ok(View {
            snapshot,
            places: &present.places,
            account: &self.settings.account,
            people: &present.rooms.people,
            names: &present.rooms.names,
            announcements: &present.announcements,
            media: &self.media,
            room,
            heads: heads.collect::<Result<_, _>>()?,
        })
    }

    /// Where a client stands that has seen everything up to a change.
    fn position(&self, change: ChangeNumber, typing: u64) -> Position {
        Position {
            generation: self.generation,
            change,
            boot: self.boot,
            typing,
        }
    }
}

/// There is no such endpoint.
fn unrecognized(status: StatusCode) -> MatrixError {
    MatrixError::new(Code::Unrecognized, "there is no such endpoint here").with_status(status)
}

/// There is such an endpoint, for other methods.
fn no_method(methods: &[Method]) -> Response {
    let refused = unrecognized(StatusCode::METHOD_NOT_ALLOWED).into_response();
    refused.with_text(header::ALLOW, &allow(methods))
}

fn take(
    request: Request,
    session: Option<Arc<Session>>,
    captures: Captures,
    query: Query,
    authority: Option<String>,
) -> (Call, Request) {
    let call = Call {
        session,
        captures,
        query,
        headers: request.headers.clone(),
        peer: request.peer,
        authority: authority.unwrap_or_default(),
        is_tls: request.is_tls,
        stop: request.stop.clone(),
        body: bytes::Bytes::new(),
    };
    (call, request)
}

async fn with_body(mut call: Call, request: Request, limit: usize) -> Result<Call, MatrixError> {
    call.body = request
        .body
        .bytes(limit)
        .await
        .map_err(|error| body_error(&error))?;
    Ok(call)
}

/// A body that did not come.
fn body_error(error: &BodyError) -> MatrixError {
    let code = match error {
        BodyError::TooLarge { .. } => Code::TooLarge,
        BodyError::TimedOut | BodyError::Disconnected { .. } => Code::Unknown,
    };
    MatrixError::new(code, error.to_string()).with_status(error.status())
}
