//! Rooms that are not of the archive: their events are the store's own, and clients make them.
//!
//! There are two reasons for such a room. In every run there is the one in which footbridge talks to its owner
//! ([`Notices`]); in conformance mode clients make accounts and rooms, so that suites which test servers can test this one
//! (D27).
//!
//! A room is a log: an event has the change that brought it for its place, and nothing else orders it. State is what the
//! log says it is, found by versions that lead to their events. Who sees what is decided anew for each request.
//!
//! | to | go to |
//! |---|---|
//! | know whether an event may come in | `rules`, `power`: pure |
//! | know who sees an event | `eyes`: pure |
//! | read a room | `room`, `state`, `event`; `relations` for what belongs to what |
//! | write into one | `write`; `create`, `member`, `send` for what clients ask |
//! | answer questions about one | `read`, `search`; `hierarchy` about those of a space |
//! | follow one | `sync`, `sliding`, `unread`; `known` for what a device has |
//! | see accounts and their profiles | `register`, `profile`, `directory`, `sharing` |
//! | talk to the owner | `notices` |
//!
//! One seam leads here: a request whose path names a local room goes to the route that this module has for it, if it has
//! one ([`LocalRoutes`]). `/sync` asks `sync` for its local rooms.
//!
//! Source: `[mx v1.12] Client-Server API, Rooms; room version 10`.

mod create;
mod directory;
mod event;
mod eyes;
mod hierarchy;
mod known;
mod member;
mod notices;
mod power;
mod profile;
mod read;
mod register;
mod relations;
mod room;
mod rules;
mod search;
mod send;
mod sharing;
pub(super) mod sliding;
mod state;
pub(super) mod sync;
#[cfg(test)]
mod tests;
mod unread;
mod write;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use crate::base::ids::ChangeNumber;
use crate::base::limits::REGISTRATION_BODY_BYTES;
use crate::deliver::endpoint::Endpoint;
use crate::deliver::endpoint::call::Call;
use crate::deliver::endpoint::error::Code;
use crate::deliver::endpoint::error::MatrixError;
use crate::deliver::endpoint::local::event::Event;
use crate::deliver::endpoint::local::event::MEMBER;
use crate::deliver::endpoint::local::event::Reader;
use crate::deliver::endpoint::local::eyes::Eyes;
use crate::deliver::endpoint::local::room::LocalRoom;
use crate::deliver::endpoint::local::room::NOW;
use crate::deliver::endpoint::local::state::Membership;
use crate::deliver::endpoint::route::Route;
use crate::deliver::endpoint::route::V1;
use crate::deliver::endpoint::session::Session;
use crate::net::Method;
use crate::net::router::Captures;
use crate::net::router::PatternError;
use crate::net::router::Routed;
use crate::net::router::Router;
use crate::net::target::Path;
use crate::net::target::TargetError;
use crate::store::Snapshot;
use crate::store::StoreError;
use crate::store::account::Account;
use crate::store::value::RoomOrigin;

pub(super) use directory::joined;
pub(super) use known::Known;
pub(super) use known::Members;
pub use notices::NoticeKind;
pub use notices::Notices;
pub(super) use notices::speaker;
pub(super) use register::Registration;
pub(super) use register::SPEAKER;
pub(super) use relations::Relations;
pub(super) use sharing::Sharing;

/// Routes that are about local rooms.
fn of_rooms() -> Vec<Route> {
    use Method as M;
    vec![
        Route::new(M::POST, "/join/{room}", member::join),
        Route::new(M::POST, "/rooms/{room}/join", member::join),
        Route::new(M::POST, "/rooms/{room}/leave", member::leave),
        Route::new(M::POST, "/rooms/{room}/forget", member::forget),
        Route::new(M::POST, "/rooms/{room}/invite", member::invite),
        Route::new(M::POST, "/rooms/{room}/kick", member::kick),
        Route::new(M::POST, "/rooms/{room}/ban", member::ban),
        Route::new(M::POST, "/rooms/{room}/unban", member::unban),
        Route::new(M::PUT, "/rooms/{room}/send/{type}/{txn}", send::send),
        Route::new(M::POST, "/rooms/{room}/send/{type}", send::send),
        Route::new(M::PUT, "/rooms/{room}/redact/{event}/{txn}", send::redact),
        Route::new(M::POST, "/rooms/{room}/redact/{event}", send::redact),
        Route::new(M::PUT, "/rooms/{room}/state/{type}", send::state),
        Route::new(M::PUT, "/rooms/{room}/state/{type}/", send::state),
        Route::new(M::PUT, "/rooms/{room}/state/{type}/{key}", send::state),
        Route::new(M::PUT, "/rooms/{room}/typing/{user}", send::typing),
        Route::new(
            M::POST,
            "/rooms/{room}/receipt/{type}/{event}",
            send::receipt,
        ),
        Route::new(M::POST, "/rooms/{room}/read_markers", send::markers),
        Route::new(M::POST, "/rooms/{room}/report", send::report),
        Route::new(M::POST, "/rooms/{room}/report/{event}", send::report),
        Route::new(M::GET, "/rooms/{room}/messages", read::messages),
        Route::new(M::GET, "/rooms/{room}/context/{event}", read::context),
        Route::new(M::GET, "/rooms/{room}/event/{event}", read::event),
        Route::new(M::GET, "/rooms/{room}/timestamp_to_event", read::at_time).under(V1),
        Route::new(M::GET, "/rooms/{room}/relations/{event}", relations::list).under(V1),
        Route::new(
            M::GET,
            "/rooms/{room}/relations/{event}/{rel_type}",
            relations::list,
        )
        .under(V1),
        Route::new(
            M::GET,
            "/rooms/{room}/relations/{event}/{rel_type}/{type}",
            relations::list,
        )
        .under(V1),
        Route::new(M::GET, "/rooms/{room}/threads", relations::threads).under(V1),
        Route::new(M::GET, "/rooms/{room}/state", read::state),
        Route::new(M::GET, "/rooms/{room}/state/{type}", read::state_of),
        Route::new(M::GET, "/rooms/{room}/state/{type}/", read::state_of),
        Route::new(M::GET, "/rooms/{room}/state/{type}/{key}", read::state_of),
        Route::new(M::GET, "/rooms/{room}/members", read::members),
        Route::new(M::GET, "/rooms/{room}/joined_members", read::joined_members),
        Route::new(M::GET, "/rooms/{room}/aliases", read::aliases),
        Route::new(M::GET, "/rooms/{room}/initialSync", read::initial_sync),
    ]
}

/// Routes that are there in conformance mode only.
fn of_server() -> Vec<Route> {
    use Method as M;
    vec![
        Route::new(M::POST, "/register", register::register)
            .open()
            .with_body(REGISTRATION_BODY_BYTES),
        Route::new(M::GET, "/register/available", register::available).open(),
        Route::new(M::POST, "/account/deactivate", register::deactivate),
        Route::new(M::GET, "/capabilities", register::capabilities),
        Route::new(M::POST, "/createRoom", create::create),
        Route::new(M::GET, "/joined_rooms", directory::joined_rooms),
        Route::new(M::GET, "/publicRooms", directory::public_rooms).open(),
        Route::new(M::POST, "/publicRooms", directory::public_rooms),
        Route::new(M::GET, "/directory/list/room/{room}", directory::show).open(),
        Route::new(
            M::PUT,
            "/directory/list/room/{room}",
            directory::set_listing,
        ),
        Route::new(M::GET, "/rooms/{room}/hierarchy", hierarchy::hierarchy).under(V1),
        Route::new(M::POST, "/user_directory/search", directory::search_users),
        Route::new(M::GET, "/profile/{user}", profile::show).open(),
        Route::new(M::GET, "/profile/{user}/{field}", profile::show_field).open(),
        Route::new(M::PUT, "/profile/{user}/{field}", profile::set),
        Route::new(M::POST, "/search", search::search),
    ]
}

/// The routes of this module: those of local rooms, and in conformance mode those of a server that has nothing else.
pub(super) struct LocalRoutes {
    routes: Router<Route>,
    is_conformance: bool,
}

impl LocalRoutes {
    pub(super) fn new(is_conformance: bool) -> Result<Self, PatternError> {
        let mut all = of_rooms();
        if is_conformance {
            all.append(&mut of_server());
        }
        let mut routes = Router::default();
        for route in all {
            for pattern in route.patterns() {
                routes.insert(route.method.clone(), &pattern, route.clone())?;
            }
        }
        Ok(Self {
            routes,
            is_conformance,
        })
    }

    /// The route for a request, if it is about a local room or, in conformance mode, anything else of this module's.
    pub(super) fn route(
        &self,
        snapshot: impl FnOnce() -> Result<Snapshot, StoreError>,
        method: &Method,
        path: &Result<Path, TargetError>,
    ) -> Result<Option<(Route, Captures)>, StoreError> {
        let Routed::Found(route, captures) = self.routes.route(method, path) else {
            return Ok(None);
        };
        let is_ours = self.is_conformance
            || match captures.get("room") {
                Some(id) => {
                    let room = snapshot()?.room(id)?;
                    room.is_some_and(|room| room.origin == RoomOrigin::Local)
                }
                None => false,
            };
        Ok(is_ours.then(|| (route.clone(), captures)))
    }
}

impl LocalRoutes {
    /// The methods of a path that is this module's alone, where it is not there for a method.
    pub(super) fn methods(&self, method: &Method, path: &Result<Path, TargetError>) -> Vec<Method> {
        match self.routes.route(method, path) {
            Routed::MethodNotAllowed(methods) if self.is_conformance => methods,
            Routed::MethodNotAllowed(_)
            | Routed::Found(..)
            | Routed::NotFound
            | Routed::Malformed(_) => Vec::new(),
        }
    }
}

/// A question of one user about one local room.
pub(super) struct Asked<'a> {
    endpoint: &'a Endpoint,
    session: &'a Arc<Session>,
    room: LocalRoom<'a>,
    user: String,
    eyes: Eyes,
    /// Milliseconds since 1970.
    now: i64,
}

impl Endpoint {
    /// Runs a question about the local room of a request.
    fn in_local<R>(
        &self,
        call: &Call,
        ask: impl FnOnce(&Asked<'_>) -> Result<R, MatrixError>,
    ) -> Result<R, MatrixError> {
        let snapshot = self.store.snapshot()?;
        let id = call.segment("room");
        if !id.starts_with('!') {
            return Err(MatrixError::invalid("this is no room id"));
        }
        let session = call.session()?;
        ask(&self.asked(&snapshot, session, id)?)
    }

    fn asked<'a>(
        &'a self,
        snapshot: &'a Snapshot,
        session: &'a Arc<Session>,
        id: &str,
    ) -> Result<Asked<'a>, MatrixError> {
        let room = LocalRoom::open(snapshot, id)?;
        let room = room.ok_or_else(|| MatrixError::forbidden("you are not in that room"))?;
        let user = self.user_of(session.account)?;
        let mut eyes = room.eyes(&user)?;
        eyes.ignored = ignored(snapshot, session.account)?;
        Ok(Asked {
            endpoint: self,
            session,
            room,
            user,
            eyes,
            now: self.clock.now().unix_millis(),
        })
    }
}

/// Whom an account does not want to hear (`[mx v1.12] Ignoring Users`).
fn ignored(snapshot: &Snapshot, account: Account) -> Result<BTreeSet<String>, StoreError> {
    let held = snapshot.account_data(account, None, "m.ignored_user_list")?;
    let list = held.and_then(|held| serde_json::from_slice::<Value>(&held.body.0).ok());
    let users = list.as_ref().and_then(|list| list.get("ignored_users"));
    let users = users.and_then(Value::as_object).into_iter().flatten();
    Ok(users.map(|(user, _)| user.clone()).collect())
}

impl Asked<'_> {
    /// Whether who asks is invited by somebody whom they do not want to hear.
    fn is_invited_in_vain(&self) -> Result<bool, StoreError> {
        if self.eyes.ignored.is_empty() || self.eyes.now() != Some(Membership::Invite) {
            return Ok(false);
        }
        let own = self.room.piece(MEMBER, &self.user, NOW)?;
        Ok(own.is_some_and(|own| self.eyes.ignored.contains(&own.sender)))
    }

    /// Refuses who is not in the room.
    fn joined(&self) -> Result<(), MatrixError> {
        if self.eyes.now() == Some(Membership::Join) {
            return Ok(());
        }
        Err(MatrixError::forbidden("you are not in that room"))
    }

    /// Up to which change who asks may see the room's state.
    fn horizon(&self) -> Result<ChangeNumber, MatrixError> {
        let horizon = self.eyes.horizon();
        let account = self.session.account;
        if horizon != Some(NOW) && self.room.is_forgotten(account, &self.eyes)? {
            return Err(MatrixError::forbidden("you have forgotten that room"));
        }
        horizon.ok_or_else(|| MatrixError::forbidden("you are not in that room"))
    }

    /// The event with an id, if who asks sees it.
    fn event(&self, id: &str) -> Result<Event, MatrixError> {
        let event = self.room.event(id)?.filter(|event| self.eyes.see(event));
        event.ok_or_else(|| MatrixError::not_found("there is no such event in this room"))
    }

    fn reader(&self) -> Reader<'_> {
        Reader {
            session: self.session,
            room: &self.room.id,
            eyes: &self.eyes,
            now: self.now,
            is_in_room: false,
        }
    }

    /// An event for who asks, with what is bundled with it.
    fn json(&self, event: &Event) -> Result<Value, MatrixError> {
        Ok(event.json(&self.reader(), self.bundle(event, &self.reader())?))
    }

    fn list<'e>(
        &self,
        events: impl IntoIterator<Item = &'e Event>,
    ) -> Result<Vec<Value>, MatrixError> {
        events.into_iter().map(|event| self.json(event)).collect()
    }
}

/// The place of a token in a room: before the event of that change.
fn place_of_token(token: &str) -> Result<ChangeNumber, MatrixError> {
    if let Some(number) = token
        .strip_prefix('l')
        .and_then(|number| u64::from_str_radix(number, 16).ok())
    {
        return Ok(ChangeNumber(number));
    }
    // Where a sync ended: behind everything that it knew.
    let position = crate::deliver::endpoint::token::Position::parse(token);
    let place = position.map(|position| ChangeNumber(position.change.0.saturating_add(1)));
    place.ok_or_else(|| MatrixError::new(Code::InvalidParam, "that token is none of this server's"))
}

/// The token of the place before the event of a change.
fn token_before(at: ChangeNumber) -> String {
    format!("l{:x}", at.0)
}

/// The token of the place behind it.
fn token_behind(at: ChangeNumber) -> String {
    token_before(ChangeNumber(at.0.saturating_add(1)))
}
