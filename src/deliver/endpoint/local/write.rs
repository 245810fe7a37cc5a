//! Writing events into local rooms. Whether an event may come in is decided in the transaction that brings it, so that
//! two requests at once see each other's events. A transaction cannot be taken back in part: whoever writes several
//! events checks all of them first.

use std::sync::Arc;

use crate::base::ids::RowId;
use crate::deliver::endpoint::Endpoint;
use crate::deliver::endpoint::call::Call;
use crate::deliver::endpoint::error::MatrixError;
use crate::deliver::endpoint::local::event::Before;
use crate::deliver::endpoint::local::event::CREATE;
use crate::deliver::endpoint::local::event::Draft;
use crate::deliver::endpoint::local::event::Event;
use crate::deliver::endpoint::local::event::JOIN_RULES;
use crate::deliver::endpoint::local::event::MEMBER;
use crate::deliver::endpoint::local::event::POWER_LEVELS;
use crate::deliver::endpoint::local::event::REDACTION;
use crate::deliver::endpoint::local::room::LocalRoom;
use crate::deliver::endpoint::local::room::NOW;
use crate::deliver::endpoint::local::rules;
use crate::deliver::endpoint::local::state::State;
use crate::deliver::endpoint::session::Session;
use crate::deliver::endpoint::session::random;
use crate::matrix::event_id::EventKey;
use crate::matrix::ids::RoomId;
use crate::store::StoreError;
use crate::store::Transaction;
use crate::store::account::SentKey;
use crate::store::value::Opaque;

/// What a work in a transaction ends with: what it did, or why it did nothing.
pub(super) type Done<R> = Result<Result<R, MatrixError>, StoreError>;

/// A room to write into.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) id: RoomId,
    pub(super) row: RowId,
    /// Milliseconds since 1970.
    pub(super) now: i64,
}

impl Endpoint {
    /// The local room that a request's path names, to write into.
    pub(super) fn place(&self, call: &Call) -> Result<Place, MatrixError> {
        let snapshot = self.store.snapshot()?;
        let room = LocalRoom::open(&snapshot, call.segment("room"))?;
        let room = room.ok_or_else(|| MatrixError::forbidden("you are not in that room"))?;
        Ok(self.place_of(&room))
    }

    pub(super) fn place_of(&self, room: &LocalRoom<'_>) -> Place {
        Place {
            id: RoomId::new(&room.id),
            row: room.row,
            now: self.clock.now().unix_millis(),
        }
    }

    /// Adds an event to a room, if it may come in.
    pub(super) fn add(&self, place: &Place, draft: Draft) -> Result<Event, MatrixError> {
        draft.check()?;
        let place = place.clone();
        self.write(move |transaction| place.add(transaction, draft))?
    }

    /// Adds an event once, however often the same request of a device comes. Answers its id.
    pub(super) fn add_once(
        &self,
        place: &Place,
        session: &Arc<Session>,
        txn: String,
        draft: Draft,
    ) -> Result<String, MatrixError> {
        draft.check()?;
        let (place, session) = (place.clone(), Arc::clone(session));
        self.write(move |transaction| {
            let kind = draft.kind.clone();
            let key = SentKey {
                account: session.account,
                device: &session.device,
                room: place.id.as_str(),
                kind: &kind,
                transaction: &txn,
            };
            if let Some(sent) = transaction.sent(key)? {
                return Ok(Ok(sent.event_id));
            }
            let event = match place.add(transaction, draft)? {
                Ok(event) => event,
                Err(error) => return Ok(Err(error)),
            };
            transaction.remember_sent(key, &event.event_id)?;
            Ok(Ok(event.event_id))
        })?
    }
}

impl Place {
    /// Adds an event, if it may come in.
    pub(super) fn add(&self, transaction: &mut Transaction<'_>, draft: Draft) -> Done<Event> {
        let state = self.looked_at(transaction, &draft)?;
        if let Err(refusal) = rules::check(&draft, &state) {
            return Ok(Err(MatrixError::forbidden(refusal)));
        }
        self.put(transaction, draft)
    }

    /// Adds an event that is known to be allowed.
    pub(super) fn put(&self, transaction: &mut Transaction<'_>, draft: Draft) -> Done<Event> {
        let before = match &draft.state_key {
            Some(key) => self.piece(transaction, &draft.kind, key)?,
            None => None,
        };
        // The same again changes nothing, and is answered with what there is.
        if let Some(before) = &before
            && before.content == draft.content
            && before.sender == draft.sender
            && before.redacted_because.is_none()
        {
            return Ok(Ok(before.clone()));
        }
        let guid = match random::<16>() {
            Ok(guid) => guid,
            Err(error) => return Ok(Err(error)),
        };
        let mut event = Event {
            at: NOW,
            event_id: self.id.event_id(&EventKey::local(guid)),
            kind: draft.kind,
            sender: draft.sender,
            origin_server_ts: self.now.max(1),
            content: draft.content,
            state_key: draft.state_key,
            redacts: draft.redacts,
            before: before.map(|before| Before {
                event_id: before.event_id,
                content: before.content,
                sender: before.sender,
            }),
            redacted_because: None,
            transaction: draft.transaction,
        };
        let (id, body) = (&event.event_id, Opaque(event.bytes()));
        event.at = match &event.state_key {
            Some(key) => {
                let piece = (event.kind.as_str(), key.as_str());
                transaction.add_local_state(self.row, piece, id, body)?
            }
            None => transaction.add_local_event(self.row, id, body)?,
        };
        if let (REDACTION, Some(target)) = (event.kind.as_str(), &event.redacts)
            && let Some((at, held)) = transaction.local_event(self.row, target)?
            && let Some(mut target) = Event::read(at, &held)
        {
            target.redact(&event);
            let body = Opaque(target.bytes());
            transaction.replace_local_event(self.row, &target.event_id, body)?;
        }
        Ok(Ok(event))
    }

    /// A piece of the room's state, as the transaction has it.
    pub(super) fn piece(
        &self,
        transaction: &Transaction<'_>,
        kind: &str,
        key: &str,
    ) -> Result<Option<Event>, StoreError> {
        let Some((_, version)) = transaction.room_state(self.row, kind, key, NOW)? else {
            return Ok(None);
        };
        let held = transaction.local_event_at(self.row, version.change)?;
        Ok(held.and_then(|held| Event::read(version.change, &held)))
    }

    /// The state that rules look at for an event.
    fn looked_at(&self, transaction: &Transaction<'_>, draft: &Draft) -> Result<State, StoreError> {
        let mut state = State::default();
        let target = draft.state_key.as_deref().filter(|_| draft.kind == MEMBER);
        let pieces = [
            (CREATE, Some("")),
            (POWER_LEVELS, Some("")),
            (JOIN_RULES, Some("")),
            (MEMBER, Some(draft.sender.as_str())),
            (MEMBER, target),
        ];
        for (kind, key) in pieces {
            if let Some(key) = key
                && let Some(event) = self.piece(transaction, kind, key)?
            {
                state.put(event);
            }
        }
        Ok(state)
    }
}
