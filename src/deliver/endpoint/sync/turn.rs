//! One answer to a sync: which rooms are in it, in which part, and what else.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::num::NonZero;
use std::sync::Arc;
use std::thread;

use serde::Serialize;
use serde_json::Value;
use serde_json::json;
use serde_json::value::RawValue;
use serde_json::value::to_raw_value;
use tokio::time::Instant;

use crate::base::ids::ChangeNumber;
use crate::base::ids::Handle;
use crate::base::ids::RowId;
use crate::base::limits::SYNC_ENTRIES;
use crate::base::limits::SYNC_ROOMS_PER_THREAD;
use crate::deliver::endpoint::Endpoint;
use crate::deliver::endpoint::account_data;
use crate::deliver::endpoint::account_data::DataEvent;
use crate::deliver::endpoint::call::bad_json;
use crate::deliver::endpoint::error::Code;
use crate::deliver::endpoint::error::MatrixError;
use crate::deliver::endpoint::gone;
use crate::deliver::endpoint::local;
use crate::deliver::endpoint::present::Present;
use crate::deliver::endpoint::push_rules::Rules;
use crate::deliver::endpoint::rooms::Room;
use crate::deliver::endpoint::session::Session;
use crate::deliver::endpoint::sync::ask::Ask;
use crate::deliver::endpoint::sync::ask::Since;
use crate::deliver::endpoint::sync::block;
use crate::deliver::endpoint::sync::block::Shown;
use crate::deliver::endpoint::sync::mailbox;
use crate::deliver::endpoint::sync::mailbox::DeviceLists;
use crate::deliver::endpoint::sync::mailbox::KeysLeft;
use crate::deliver::endpoint::sync::shared::Rooms;
use crate::deliver::endpoint::sync::shared::Window;
use crate::deliver::endpoint::token::Position;
use crate::deliver::endpoint::typing::Notices;
use crate::store::News;
use crate::store::Snapshot;
use crate::store::account::Account;
use crate::store::value::ChangeEntry;

/// What an answer has beside the archive's rooms, bytes, unless it is a first one.
const USUAL_REST: usize = 2 << 10;

/// Account data that names the rooms with one person.
const DIRECT: &str = "m.direct";

/// An answer.
pub(super) struct Turn {
    /// Whether the client waits for this.
    pub(super) is_news: bool,
    pub(super) body: Vec<u8>,
    /// Where the client stands then.
    pub(super) next: Position,
    /// When the first typing notice ends.
    pub(super) typing_ends: Option<Instant>,
}

/// What all blocks of an answer are made from.
pub(super) struct Moment<'a> {
    pub(super) endpoint: &'a Endpoint,
    pub(super) snapshot: &'a Snapshot,
    pub(super) present: &'a Present,
    pub(super) account: Account,
    pub(super) ask: &'a Ask,
    /// 0 where the client has nothing, or nothing that is known.
    pub(super) since: ChangeNumber,
    /// Whether it is known that the client has nothing.
    pub(super) has_nothing: bool,
    pub(super) typing: &'a Notices,
    pub(super) rules: Rules,
    /// Milliseconds since 1970.
    pub(super) now: i64,
}

impl Moment<'_> {
    /// Whether the client gets all of every room.
    pub(super) fn is_first(&self) -> bool {
        self.since == ChangeNumber::default()
    }
}

/// A room that may have something new.
pub(super) struct Job {
    pub(super) room: Arc<Room>,
    /// Entries of the change log that are about it.
    pub(super) entries: Vec<(ChangeNumber, ChangeEntry)>,
    /// Whether these are all there are.
    pub(super) is_known: bool,
    /// Whether the conversation has this room only since.
    pub(super) is_renewed: bool,
    /// Who of its members is called otherwise since: user ids.
    pub(super) renamed: Vec<String>,
}

impl Job {
    fn new(room: &Arc<Room>) -> Self {
        Self {
            room: Arc::clone(room),
            entries: Vec::new(),
            is_known: true,
            is_renewed: false,
            renamed: Vec::new(),
        }
    }
}

#[derive(Serialize)]
struct Events<T> {
    events: Vec<T>,
}

#[derive(Serialize)]
struct Body<'a> {
    next_batch: String,
    rooms: Parts<'a>,
    account_data: Events<DataEvent>,
    presence: Events<()>,
    to_device: Events<Box<RawValue>>,
    device_lists: DeviceLists,
    #[serde(flatten)]
    keys: KeysLeft,
}

#[derive(Serialize)]
struct Parts<'a> {
    join: BTreeMap<&'a str, &'a RawValue>,
    invite: &'a BTreeMap<String, Value>,
    leave: BTreeMap<&'a str, &'a Value>,
    knock: BTreeMap<String, Value>,
}

/// Rooms that are not of the archive.
struct Local {
    join: BTreeMap<String, Box<RawValue>>,
    invite: BTreeMap<String, Value>,
    leave: BTreeMap<String, Value>,
}

impl<'a> Parts<'a> {
    fn new(rooms: &'a Rooms, local: &'a Local) -> Self {
        let join = rooms.join.iter().chain(&local.join);
        let leave = rooms.leave.iter().chain(&local.leave);
        Self {
            join: join.map(|(id, block)| (id.as_str(), &**block)).collect(),
            invite: &local.invite,
            leave: leave.map(|(id, block)| (id.as_str(), block)).collect(),
            knock: BTreeMap::new(),
        }
    }
}

impl Turn {
    /// Answers who stands somewhere.
    pub(super) fn take(
        endpoint: &Endpoint,
        session: &Arc<Session>,
        ask: &Ask,
        from: Since,
    ) -> Result<Self, MatrixError> {
        let (snapshot, present) = endpoint.now()?;
        let latest = snapshot.last_change()?;
        let known = match from {
            Since::Position(position)
                if position.generation == endpoint.generation && position.change <= latest =>
            {
                Some(position)
            }
            Since::Position(_) | Since::Nothing | Since::Lost => None,
        };
        let since = known.map_or(ChangeNumber::default(), |position| position.change);
        let typed = known.filter(|position| position.boot == endpoint.boot);
        let typing = endpoint
            .typing
            .after(typed.map_or(0, |position| position.typing));
        let news = match since {
            ChangeNumber(0) => None,
            since => Some(snapshot.news_after(since, &present.places, SYNC_ENTRIES)?),
        };
        let moment = Moment {
            endpoint,
            snapshot: &snapshot,
            present: &present,
            account: session.account,
            ask,
            since,
            has_nothing: matches!(from, Since::Nothing),
            typing: &typing,
            rules: Rules::of(endpoint, &snapshot, session.account)?,
            now: endpoint.clock.now().unix_millis(),
        };
        let rooms = moment.rooms(news.as_ref(), latest)?;
        let local = moment.local(session, news.as_ref(), latest)?;
        let next = endpoint.position(latest, typing.until);
        let body = Body {
            next_batch: next.to_string(),
            rooms: Parts::new(&rooms, &local),
            account_data: Events {
                events: moment.account_data(rooms.has_others)?,
            },
            presence: Events { events: Vec::new() },
            to_device: Events {
                events: mailbox::to_device(&snapshot, session, since)?,
            },
            device_lists: mailbox::device_lists(
                endpoint,
                &snapshot,
                session.account,
                news.as_ref(),
                since,
            )?,
            keys: mailbox::keys_left(&snapshot, session)?,
        };
        let is_news = since == ChangeNumber::default()
            || ask.full_state
            || !body.rooms.join.is_empty()
            || !body.rooms.invite.is_empty()
            || !body.rooms.leave.is_empty()
            || !body.account_data.events.is_empty()
            || !body.to_device.events.is_empty()
            || !body.device_lists.changed.is_empty()
            || !body.device_lists.left.is_empty();
        // Room for all of it at once: a first answer of megabytes would be copied whenever it grows.
        let mut written = Vec::with_capacity(rooms.size_bytes() + USUAL_REST);
        serde_json::to_writer(&mut written, &body).map_err(|error| {
            tracing::error!(%error, "an answer could not be written");
            MatrixError::new(Code::Unknown, "the answer could not be written")
        })?;
        Ok(Self {
            is_news,
            body: written,
            next,
            typing_ends: typing.ends,
        })
    }
}

impl Moment<'_> {
    /// The archive's rooms of the answer, which others may be told as well.
    fn rooms(&self, news: Option<&News>, until: ChangeNumber) -> Result<Arc<Rooms>, MatrixError> {
        // A first answer is large and seldom the same as another one.
        if self.is_first() || self.ask.full_state || !self.typing.rooms.is_empty() {
            return Ok(Arc::new(self.own_rooms(news)?));
        }
        let window = Window {
            account: self.account,
            since: self.since,
            until,
            filter: self.ask.filter.room.clone(),
        };
        self.endpoint
            .shared
            .of(window, self.now, || self.own_rooms(news))
    }

    /// The same for this client alone.
    fn own_rooms(&self, news: Option<&News>) -> Result<Rooms, MatrixError> {
        let filter = &self.ask.filter.room;
        let owner = &self.endpoint.settings.account;
        let mut jobs = self.jobs(news)?;
        jobs.retain(|job| filter.has_room(job.room.id.as_str()));
        let mut rooms = Rooms::default();
        for (job, shown) in jobs.iter().zip(self.blocks(&jobs)?) {
            let id = job.room.id.as_str().to_owned();
            match shown {
                Shown::Joined { json, is_new } => {
                    rooms.has_others |= is_new;
                    rooms.join.insert(id, json);
                }
                Shown::Left => {
                    rooms.leave.insert(id, self.left(None));
                }
                Shown::Hidden => {}
            }
        }
        let is_told = !self.is_first() || !self.has_nothing || filter.include_leave;
        if is_told && self.account == Account::OWNER {
            let gone = gone::since(self.snapshot, self.present, owner, self.since, news)?;
            for gone in gone {
                rooms.has_others = true;
                if filter.has_room(gone.id.as_str()) {
                    let tombstone = gone.tombstone(owner, self.now);
                    let id = gone.id.as_str().to_owned();
                    rooms.leave.insert(id, self.left(tombstone));
                }
            }
        }
        Ok(rooms)
    }

    /// The rooms that are not of the archive.
    fn local(
        &self,
        session: &Arc<Session>,
        news: Option<&News>,
        until: ChangeNumber,
    ) -> Result<Local, MatrixError> {
        let members = &self.endpoint.members;
        let question = local::sync::Question {
            endpoint: self.endpoint,
            snapshot: self.snapshot,
            session,
            filter: &self.ask.filter.room,
            full_state: self.ask.full_state,
            since: self.since,
            news,
            typing: self.typing,
            rules: &self.rules,
            known: RefCell::new(members.at(session, self.since)),
        };
        let local = local::sync::parts(&question)?;
        members.note(session, until, question.known.into_inner());
        let written = local.join.into_iter().map(|(id, block)| {
            let written = to_raw_value(&block).map_err(|error| bad_json(&error))?;
            Ok((id, written))
        });
        Ok(Local {
            join: written.collect::<Result<_, MatrixError>>()?,
            invite: local.invite,
            leave: local.leave,
        })
    }

    /// The block of a room that was left.
    fn left(&self, last: Option<Value>) -> Value {
        let events: Vec<Value> = last.into_iter().collect();
        let end = self.endpoint.position(self.since, 0).to_string();
        json!({
            "timeline": { "events": events, "limited": false, "prev_batch": end },
            "state": { "events": [] },
            "account_data": { "events": [] },
        })
    }

    /// The rooms that may have something new.
    fn jobs(&self, news: Option<&News>) -> Result<Vec<Job>, MatrixError> {
        let rooms = &self.present.rooms;
        let mut jobs: BTreeMap<RowId, Job> = BTreeMap::new();
        for (row, entries) in news.into_iter().flat_map(|news| &news.rooms) {
            let Some(room) = rooms.of(*row) else {
                continue;
            };
            let job = jobs
                .entry(room.conversation)
                .or_insert_with(|| Job::new(room));
            job.entries.extend_from_slice(entries);
            job.is_known = news.is_some_and(|news| news.is_complete);
            job.is_renewed |= gone::renewals(&self.snapshot.head(*row)?, entries) > 0;
        }
        let is_everywhere = self.is_first() || self.ask.full_state;
        let renamed = if self.is_first() {
            BTreeSet::new()
        } else {
            rooms.names.changed_after(self.since)
        };
        if self.account != Account::OWNER {
            // The archive is the owner's alone.
            return Ok(Vec::new());
        }
        for room in rooms.iter() {
            let renamed = self.renamed_in(room, &renamed);
            let is_touched =
                !renamed.is_empty() || self.typing.rooms.contains_key(room.id.as_str());
            if is_everywhere || is_touched {
                jobs.entry(room.conversation)
                    .or_insert_with(|| Job::new(room))
                    .renamed = renamed;
            }
        }
        Ok(jobs.into_values().collect())
    }

    /// The members of a room among those who are called otherwise.
    fn renamed_in(&self, room: &Room, renamed: &BTreeSet<&Handle>) -> Vec<String> {
        if renamed.is_empty() {
            return Vec::new();
        }
        let owner = &self.endpoint.settings.account;
        let people = &self.present.rooms.people;
        let members = room.members.iter().map(|(handle, _)| handle);
        let members = people.own().iter().chain(members);
        let renamed = members.filter(|handle| renamed.contains(handle));
        let users = renamed.map(|handle| room.user(handle, owner, people));
        users.map(|user| user.as_str().to_owned()).collect()
    }

    /// The blocks of rooms, made by as many threads as are worth it.
    fn blocks(&self, jobs: &[Job]) -> Result<Vec<Shown>, MatrixError> {
        let most = jobs.len() / SYNC_ROOMS_PER_THREAD;
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        let threads = threads.min(most).max(1);
        if threads == 1 {
            return jobs.iter().map(|job| block::of(self, job)).collect();
        }
        thread::scope(|scope| {
            let share = jobs.len().div_ceil(threads);
            let work = |jobs| move || self.share(jobs);
            let workers: Vec<_> = jobs
                .chunks(share)
                .map(|jobs| scope.spawn(work(jobs)))
                .collect();
            let mut blocks = Vec::with_capacity(jobs.len());
            for worker in workers {
                let done = worker.join();
                blocks.append(&mut done.unwrap_or_else(|_panic| {
                    tracing::error!("making blocks of rooms panicked");
                    let text = "a bug: see footbridge's log";
                    Err(MatrixError::new(Code::Unknown, text))
                })?);
            }
            Ok(blocks)
        })
    }

    fn share(&self, jobs: &[Job]) -> Result<Vec<Shown>, MatrixError> {
        jobs.iter().map(|job| block::of(self, job)).collect()
    }

    /// The data of the account as a whole.
    fn account_data(&self, has_other_rooms: bool) -> Result<Vec<DataEvent>, MatrixError> {
        let (endpoint, snapshot) = (self.endpoint, self.snapshot);
        let (present, account) = (self.present, self.account);
        let mut events =
            account_data::global_account_data(endpoint, snapshot, present, account, self.since)?;
        if has_other_rooms && !events.iter().any(|event| event.kind == DIRECT) {
            events.push(account_data::direct(endpoint, snapshot, present, account)?);
        }
        let filter = &self.ask.filter.account_data;
        events.retain(|event| filter.has_type(&event.kind));
        Ok(events)
    }
}
