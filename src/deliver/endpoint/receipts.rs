//! Up to where the owner and the others have read, and how much the owner has not.
//!
//! | request | |
//! |---|---|
//! | `POST /rooms/{room}/receipt/{type}/{event}` | `m.read`, `m.read.private`, `m.fully_read` |
//! | `POST /rooms/{room}/read_markers` | any of them at once |
//!
//! Positions move forward only, and an event that nobody knows is passed over: clients do not expect either to fail. What
//! the archive knows of reading and what clients say end up in one place, the heads of conversations; every receipt that
//! is served is made of that. Threads are the whole room here.
//!
//! Source: `[mx v1.12] Receipts, Fully read markers`; `facts` of the endpoint, 11.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::base::ids::ChangeNumber;
use crate::base::ids::RowId;
use crate::base::limits::UNREAD_COUNTED;
use crate::base::time::AppleTime;
use crate::deliver::endpoint::Endpoint;
use crate::deliver::endpoint::call::Answer;
use crate::deliver::endpoint::call::Call;
use crate::deliver::endpoint::call::nothing;
use crate::deliver::endpoint::delta::Delta;
use crate::deliver::endpoint::error::MatrixError;
use crate::deliver::endpoint::route::Route;
use crate::deliver::endpoint::token::Between;
use crate::deliver::endpoint::view::Placed;
use crate::deliver::endpoint::view::View;
use crate::matrix::event::Event;
use crate::matrix::event_id::EventKind;
use crate::net::Method;
use crate::store::Direction;
use crate::store::Place;
use crate::store::StoreError;
use crate::store::account::Account;
use crate::store::account::NewReceipt;
use crate::store::value::ChangeEntry;
use crate::store::value::ChangeKind;
use crate::store::value::ReadFrom;
use crate::store::value::ReadPosition;

pub(super) const READ: &str = "m.read";
pub(super) const READ_PRIVATE: &str = "m.read.private";

/// Account data of a room: where the owner has read everything.
pub(super) const FULLY_READ: &str = "m.fully_read";

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(
            Method::POST,
            "/rooms/{room}/receipt/{type}/{event}",
            receipt,
        ),
        Route::new(Method::POST, "/rooms/{room}/read_markers", markers),
    ]
}

/// `POST /_matrix/client/v3/rooms/{room}/receipt/{type}/{event}`.
fn receipt(endpoint: &Endpoint, call: &Call) -> Answer {
    let kind = match call.segment("type") {
        READ => READ,
        READ_PRIVATE => READ_PRIVATE,
        FULLY_READ => FULLY_READ,
        _ => return Err(MatrixError::invalid("there is no such type of receipt")),
    };
    let account = call.session()?.account;
    endpoint.in_room(call, |view, _now| {
        endpoint.put_receipts(view, account, &[(kind, call.segment("event"))])?;
        nothing()
    })
}

/// Up to where somebody has read, in each way of saying it.
#[derive(Deserialize)]
pub(super) struct Markers {
    #[serde(rename = "m.fully_read")]
    pub(super) fully_read: Option<String>,
    #[serde(rename = "m.read")]
    pub(super) read: Option<String>,
    #[serde(rename = "m.read.private")]
    pub(super) read_private: Option<String>,
}

/// `POST /_matrix/client/v3/rooms/{room}/read_markers`.
fn markers(endpoint: &Endpoint, call: &Call) -> Answer {
    let markers: Markers = call.json()?;
    let account = call.session()?.account;
    let said = [
        (FULLY_READ, &markers.fully_read),
        (READ, &markers.read),
        (READ_PRIVATE, &markers.read_private),
    ];
    let said: Vec<(&'static str, &str)> = said
        .into_iter()
        .filter_map(|(kind, event)| Some((kind, event.as_deref()?)))
        .collect();
    endpoint.in_room(call, |view, _now| {
        endpoint.put_receipts(view, account, &said)?;
        nothing()
    })
}

/// A receipt on its way into the store.
struct Move {
    conversation: RowId,
    kind: &'static str,
    receipt: NewReceipt,
}

impl Endpoint {
    fn put_receipts(
        &self,
        view: &View<'_>,
        account: Account,
        said: &[(&'static str, &str)],
    ) -> Result<(), MatrixError> {
        let mut moves = Vec::new();
        for (kind, event_id) in said {
            if let Some((conversation, receipt)) = view.receipt(event_id)? {
                moves.push(Move {
                    conversation,
                    kind,
                    receipt,
                });
            }
        }
        if moves.is_empty() {
            return Ok(());
        }
        self.write(move |transaction| {
            for Move {
                conversation,
                kind,
                receipt,
            } in moves
            {
                let (time, row) = (receipt.time, receipt.row);
                transaction.put_receipt(account, conversation, kind, receipt)?;
                if account == Account::OWNER && kind != FULLY_READ {
                    transaction.raise_read(conversation, time, row)?;
                }
            }
            Ok(())
        })
    }
}

/// Somebody has read up to an event.
pub(super) struct Seen {
    /// Who.
    pub(super) user: String,
    pub(super) event_id: String,
    /// When, or when the event was: milliseconds since 1970.
    at: i64,
}

/// What a room's block says of reading.
pub(super) struct Reading {
    /// Who has read up to where, as far as that is known.
    pub(super) receipts: Vec<Seen>,
    /// The event of `m.fully_read`.
    pub(super) fully_read: Option<String>,
    /// How many messages the owner has not read.
    pub(super) unread: u64,
}

impl View<'_> {
    /// A receipt for an event; `None` where there is no such event, or it is the room's first state.
    fn receipt(&self, event_id: &str) -> Result<Option<(RowId, NewReceipt)>, StoreError> {
        let Some(key) = self.room.id.event_key(event_id) else {
            return Ok(None);
        };
        let Some(placed) = self.find(key)? else {
            return Ok(None);
        };
        let Place { time, row, .. } = placed.at.place;
        if placed.event.key.kind == EventKind::State {
            return Ok(None);
        }
        let conversation = self.snapshot.message(row)?.conversation;
        let receipt = NewReceipt {
            event_id: event_id.to_owned(),
            time,
            row,
            thread: None,
        };
        Ok(conversation.map(|conversation| (conversation, receipt)))
    }

    /// Up to where the owner has read.
    fn read(&self) -> Option<ReadPosition> {
        let positions = self.heads.iter().filter_map(|head| head.read);
        positions.max_by_key(|position| (position.time, position.row))
    }

    /// How many messages the owner has not read, as far as clients count.
    pub(super) fn unread(&self) -> Result<u64, StoreError> {
        let read = self.read().map(|read| (read.time, read.row));
        let rows = &self.room.shown;
        self.snapshot
            .unread(rows, read, self.places, UNREAD_COUNTED)
    }

    /// The last event that stands before or at a place.
    fn last_until(&self, time: AppleTime, row: RowId) -> Result<Option<Event>, StoreError> {
        let n = u16::MAX;
        let behind = Between::behind(Place { time, row, n });
        let last = self.walk(Some(behind), Direction::Backward)?.next();
        let last = last.transpose()?.map(|placed| placed.event);
        Ok(last.filter(|event| event.key.kind != EventKind::State))
    }

    /// The last event that stands alone, up to a position: Element cannot go to a mark on a reaction.
    fn last_alone_until(&self, read: ReadPosition) -> Result<Option<Event>, StoreError> {
        let ReadPosition { time, row, .. } = read;
        let n = u16::MAX;
        let behind = Between::behind(Place { time, row, n });
        for placed in self.walk(Some(behind), Direction::Backward)? {
            let event = placed?.event;
            if event.key.kind.stands_alone() {
                return Ok(Some(event).filter(|event| event.key.kind != EventKind::State));
            }
        }
        Ok(None)
    }

    /// What a block says of reading, with the entries of the change log that are about the room.
    pub(super) fn reading(
        &self,
        account: Account,
        delta: &Delta,
        entries: &[(ChangeNumber, ChangeEntry)],
        is_muted: bool,
    ) -> Result<Reading, StoreError> {
        let unread = self.unread()?;
        let mut receipts = Vec::new();
        let id = |event: &Event| self.room.id.event_id(&event.key);
        let read = self.read();
        let (mut read_id, mut marked_id) = (None, None);
        if let Some(read) = read {
            let end = delta.timeline.last();
            // Late events stand at the bottom of running clients: the receipt goes there with them (D20).
            let is_end = |end: &&Placed| {
                let Place { time, row, .. } = end.at.place;
                unread == 0 && (delta.late > 0 || (time, row) <= (read.time, read.row))
            };
            let end = end.filter(is_end);
            read_id = match end {
                Some(end) => Some(id(&end.event)),
                None => self.last_until(read.time, read.row)?.as_ref().map(id),
            };
            let is_alone = |placed: &&Placed| placed.event.key.kind.stands_alone();
            let marked = end.and_then(|_end| delta.timeline.iter().rfind(is_alone));
            marked_id = match marked {
                Some(marked) => Some(id(&marked.event)),
                None => self.last_alone_until(read)?.as_ref().map(id),
            };
        }
        if let Some(event_id) = &read_id {
            let at = read.map_or(0, |read| read.time.unix_millis());
            receipts.push(Seen {
                user: self.account.user().as_str().to_owned(),
                event_id: event_id.clone(),
                at,
            });
        }
        let other = self.room.members.first().filter(|_| self.room.is_direct());
        if let (Some((other, _)), Some((event, at))) = (other, self.seen(delta, entries)?) {
            let other = self.room.user(other, self.account, self.people);
            receipts.push(Seen {
                user: other.as_str().to_owned(),
                event_id: id(&event),
                at: at.unix_millis(),
            });
        }
        Ok(Reading {
            receipts,
            fully_read: self.fully_read(account, read, marked_id)?,
            unread: if is_muted { 0 } else { unread },
        })
    }

    /// The newest of the owner's events that the other side has read, among those of a block and those that changed.
    fn seen(
        &self,
        delta: &Delta,
        entries: &[(ChangeNumber, ChangeEntry)],
    ) -> Result<Option<(Event, AppleTime)>, StoreError> {
        if !self.room.is_direct() {
            return Ok(None);
        }
        let mut seen: BTreeMap<Between, (Event, AppleTime)> = BTreeMap::new();
        let mut note = |placed: &Placed| {
            if let Some(at) = placed.read {
                seen.insert(placed.at, (placed.event.clone(), at));
            }
        };
        let mut held = BTreeSet::new();
        for placed in &delta.timeline {
            held.insert(placed.at.place.row);
            note(placed);
        }
        for (_, entry) in entries {
            if entry.kind == ChangeKind::Message && held.insert(entry.row) {
                for placed in self.news_of(entry.row, ChangeNumber::default())? {
                    note(&placed);
                }
            }
        }
        Ok(seen.pop_last().map(|(_, seen)| seen))
    }

    /// The event of `m.fully_read` now.
    pub(super) fn fully_read_now(&self, account: Account) -> Result<Option<String>, StoreError> {
        let read = self.read();
        let last = match read {
            Some(read) => self.last_alone_until(read)?,
            None => None,
        };
        let marked_id = last.map(|event| self.room.id.event_id(&event.key));
        self.fully_read(account, read, marked_id)
    }

    /// What a client said, or the archive if it knows of more.
    fn fully_read(
        &self,
        account: Account,
        read: Option<ReadPosition>,
        marked_id: Option<String>,
    ) -> Result<Option<String>, StoreError> {
        let mut said = None;
        for conversation in &self.room.shown {
            for held in self.snapshot.receipts(account, *conversation)? {
                if held.kind == FULLY_READ {
                    let place = (held.receipt.time, held.receipt.row);
                    said = said.max(Some((place, held.receipt.event_id)));
                }
            }
        }
        let known = read.filter(|read| read.from != ReadFrom::Client);
        let known = known.map(|read| (read.time, read.row));
        Ok(match said {
            Some((place, event_id)) if known.is_none_or(|known| known <= place) => Some(event_id),
            Some(_) | None => marked_id,
        })
    }
}

/// The content of `m.receipt`: by event, type, user.
pub(super) fn content<'s>(receipts: impl IntoIterator<Item = &'s Seen>) -> Value {
    let mut content = Map::new();
    for seen in receipts {
        let of_event = content
            .entry(seen.event_id.as_str())
            .or_insert_with(|| json!({ READ: {} }));
        if let Some(users) = of_event.get_mut(READ).and_then(Value::as_object_mut) {
            users.insert(seen.user.clone(), json!({ "ts": seen.at }));
        }
    }
    Value::Object(content)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::deliver::endpoint::testing::ADA;
    use crate::deliver::endpoint::testing::ANN;
    use crate::deliver::endpoint::testing::World;
    use crate::deliver::endpoint::testing::into;
    use crate::deliver::endpoint::testing::loved;
    use crate::deliver::endpoint::testing::said;
    use crate::store::Page;

    #[tokio::test]
    async fn what_is_fully_read_is_a_message_though_a_tapback_came_after_it() {
        let world = World::new();
        let room = world.room(ANN);
        world.add(Page {
            messages: vec![said(ANN, 200, Some(ANN), "x"), into(ANN, loved(201, 200))],
            ..Page::default()
        });
        let page = world
            .get(&format!("/rooms/{room}/messages?dir=b"))
            .await
            .ok();
        let id = |n: usize| page["chunk"][n]["event_id"].as_str().unwrap();
        let (tapback, message) = (id(0), id(1));

        let path = format!("/rooms/{room}/receipt/m.read/{tapback}");
        world.post(&path, json!({})).await.ok();

        let answer = world.get("/sync").await.ok();
        let block = &answer["rooms"]["join"][&room];
        let receipt = &block["ephemeral"]["events"][0]["content"];
        assert!(receipt[tapback]["m.read"][ADA].is_object());
        let marked = json!({ "event_id": message });
        assert_eq!(block["account_data"]["events"][0]["content"], marked);
        let path = format!("/user/{ADA}/rooms/{room}/account_data/m.fully_read");
        assert_eq!(world.get(&path).await.ok(), marked);
    }
}
