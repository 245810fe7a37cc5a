//! Coming into rooms and leaving them. The owner is in every room of the archive; leaving one hides it until the next
//! message (D19).
//!
//! | request | |
//! |---|---|
//! | `POST /join/{room}`, `/rooms/{room}/join` | shows a hidden room again |
//! | `POST /rooms/{room}/leave`, `/forget` | hides a room |
//! | `POST /createRoom` | finds the room with one person; no room is made |
//! | `POST /rooms/{room}/invite`, `/kick`, `/ban`, `/unban` | 403 |
//! | `POST /knock/{room}`, `/rooms/{room}/upgrade`, `/rooms/{room}/report...` | 404 |

use std::collections::HashMap;

use serde::Deserialize;
use serde::Serialize;
use serde_json::json;

use crate::base::ids::ChangeNumber;
use crate::base::ids::ConversationKey;
use crate::base::ids::RowId;
use crate::base::limits::PAGE_LOOKED_AT;
use crate::deliver::endpoint::Endpoint;
use crate::deliver::endpoint::call::Answer;
use crate::deliver::endpoint::call::Call;
use crate::deliver::endpoint::call::json;
use crate::deliver::endpoint::call::nothing;
use crate::deliver::endpoint::error::Code;
use crate::deliver::endpoint::error::MatrixError;
use crate::deliver::endpoint::present::Present;
use crate::deliver::endpoint::route::Route;
use crate::deliver::endpoint::view::View;
use crate::matrix::event_id::EventKind;
use crate::model::conversation::Alias;
use crate::net::Method;
use crate::store::Direction;
use crate::store::Snapshot;
use crate::store::StoreError;
use crate::store::account::Account;
use crate::store::value::Opaque;

/// The account data of a room that says whether a client left it; no client sees it.
const HIDDEN: &str = "org.footbridge.hidden";

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(Method::POST, "/join/{room}", join),
        Route::new(Method::POST, "/rooms/{room}/join", join),
        Route::new(Method::POST, "/rooms/{room}/leave", leave),
        Route::new(Method::POST, "/rooms/{room}/forget", leave),
        Route::new(Method::POST, "/createRoom", create),
        Route::new(Method::POST, "/rooms/{room}/invite", members_are_fixed),
        Route::new(Method::POST, "/rooms/{room}/kick", members_are_fixed),
        Route::new(Method::POST, "/rooms/{room}/ban", members_are_fixed),
        Route::new(Method::POST, "/rooms/{room}/unban", members_are_fixed),
        Route::new(Method::POST, "/knock/{room}", unknown),
        Route::new(Method::POST, "/rooms/{room}/upgrade", unknown),
        Route::new(Method::POST, "/rooms/{room}/report", unknown),
        Route::new(Method::POST, "/rooms/{room}/report/{event}", unknown),
    ]
}

#[derive(Serialize, Deserialize)]
struct Hidden {
    hidden: bool,
}

impl View<'_> {
    /// The change since when an account's clients see the room; `None` while they do not: nothing of it is published, or
    /// it was left and no message came since.
    pub(super) fn shown_since(&self, account: Account) -> Result<Option<ChangeNumber>, StoreError> {
        let Some(published) = self.heads.iter().filter_map(|head| head.published).min() else {
            return Ok(None);
        };
        let room = Some(self.room.conversation);
        let Some(said) = self.snapshot.account_data(account, room, HIDDEN)? else {
            return Ok(Some(published));
        };
        let is_hidden =
            serde_json::from_slice::<Hidden>(&said.body.0).is_ok_and(|said| said.hidden);
        if !is_hidden {
            return Ok(Some(published.max(said.change)));
        }
        let mut back: Option<ChangeNumber> = None;
        for placed in self.walk(None, Direction::Backward)?.take(PAGE_LOOKED_AT) {
            let placed = placed?;
            if placed.since <= said.change || placed.event.key.kind == EventKind::State {
                break;
            }
            back = Some(back.map_or(placed.since, |back| back.min(placed.since)));
        }
        Ok(back)
    }

    /// The change by which an account left the room; `None` if it did not, or came back by itself.
    pub(super) fn left_at(&self, account: Account) -> Result<Option<ChangeNumber>, StoreError> {
        let room = Some(self.room.conversation);
        let said = self.snapshot.account_data(account, room, HIDDEN)?;
        let is_hidden =
            |body: &Opaque| serde_json::from_slice::<Hidden>(&body.0).is_ok_and(|said| said.hidden);
        Ok(said
            .filter(|said| is_hidden(&said.body))
            .map(|said| said.change))
    }
}

/// The rooms that an account left at some time, by conversation, and since when it sees them again; `None` while it does
/// not.
pub(super) type Left = HashMap<RowId, Option<ChangeNumber>>;

impl Endpoint {
    /// The rooms that an account left.
    pub(super) fn left(
        &self,
        snapshot: &Snapshot,
        present: &Present,
        account: Account,
    ) -> Result<Left, StoreError> {
        let mut rooms = Left::new();
        for (row, _) in snapshot.account_data_with(account, HIDDEN)? {
            let room = present.rooms.of(row);
            if let Some(room) = room.filter(|room| room.conversation == row) {
                let view = self.view(snapshot, present, room)?;
                rooms.insert(row, view.shown_since(account)?);
            }
        }
        Ok(rooms)
    }

    /// Hides a room or shows it again, if it is not so already.
    fn set_hidden(
        &self,
        view: &View<'_>,
        account: Account,
        hidden: bool,
    ) -> Result<(), MatrixError> {
        if view.shown_since(account)?.is_none() == hidden {
            return Ok(());
        }
        let body = serde_json::to_vec(&Hidden { hidden }).unwrap_or_default();
        let conversation = Some(view.room.conversation);
        self.write(move |transaction| {
            transaction
                .put_account_data(account, conversation, HIDDEN, Opaque(body))
                .map(drop)
        })
    }
}

/// `POST /_matrix/client/v3/join/{room}` and `/rooms/{room}/join`.
fn join(endpoint: &Endpoint, call: &Call) -> Answer {
    let account = call.session()?.account;
    endpoint.in_room(call, |view, _now| {
        endpoint.set_hidden(view, account, false)?;
        json(&json!({ "room_id": view.room.id.as_str() }))
    })
}

/// `POST /_matrix/client/v3/rooms/{room}/leave` and `/forget`. A room that is none any more was left long ago.
fn leave(endpoint: &Endpoint, call: &Call) -> Answer {
    let account = call.session()?.account;
    let left = endpoint.in_room(call, |view, _now| {
        endpoint.set_hidden(view, account, true)?;
        nothing()
    });
    match left {
        Err(error) if error.code() == Code::Forbidden => nothing(),
        answer => answer,
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct NewRoom {
    invite: Vec<String>,
}

/// `POST /_matrix/client/v3/createRoom`: what clients ask for to write to somebody.
fn create(endpoint: &Endpoint, call: &Call) -> Answer {
    let account = call.session()?.account;
    let request: NewRoom = call.json()?;
    let [invited] = request.invite.as_slice() else {
        return Err(MatrixError::forbidden(
            "rooms are the conversations of the archive: only the one with a single person can be asked for",
        ));
    };
    let absent = || MatrixError::forbidden("the archive has no conversation with that person");
    let owner = &endpoint.settings.account;
    let handle = owner.handle_of(invited).ok_or_else(absent)?;
    let (snapshot, present) = endpoint.now()?;
    let alias = Alias::key(&ConversationKey::direct(&handle));
    let conversation = snapshot.resolve(&alias)?.ok_or_else(absent)?;
    let room = present.rooms.of(conversation).ok_or_else(absent)?;
    let view = endpoint.view(&snapshot, &present, room)?;
    endpoint.set_hidden(&view, account, false)?;
    json(&json!({ "room_id": room.id.as_str() }))
}

fn members_are_fixed(endpoint: &Endpoint, call: &Call) -> Answer {
    endpoint.in_room(call, |_view, _now| {
        Err(MatrixError::forbidden(
            "the members of a room are those of the conversation",
        ))
    })
}

fn unknown(_endpoint: &Endpoint, _call: &Call) -> Answer {
    Err(MatrixError::new(
        Code::Unrecognized,
        "there is no such endpoint here",
    ))
}
