//! One look at the archive for one connection: what there is to answer, and what the client has then.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;
use serde_json::json;
use tokio::time::Instant;

use crate::base::ids::ChangeNumber;
use crate::base::ids::RowId;
use crate::base::limits::SYNC_ENTRIES;
use crate::deliver::endpoint::Endpoint;
use crate::deliver::endpoint::account_data;
use crate::deliver::endpoint::account_data::DataEvent;
use crate::deliver::endpoint::error::MatrixError;
use crate::deliver::endpoint::gone::Gone;
use crate::deliver::endpoint::keys;
use crate::deliver::endpoint::local::sliding;
use crate::deliver::endpoint::membership::Left;
use crate::deliver::endpoint::present::Present;
use crate::deliver::endpoint::push_rules::Rules;
use crate::deliver::endpoint::receipts::FULLY_READ;
use crate::deliver::endpoint::receipts::Seen;
use crate::deliver::endpoint::rooms::Room;
use crate::deliver::endpoint::session::Session;
use crate::deliver::endpoint::sliding::connection::Generation;
use crate::deliver::endpoint::sliding::connection::Sent;
use crate::deliver::endpoint::sliding::extensions;
use crate::deliver::endpoint::sliding::extensions::AccountData;
use crate::deliver::endpoint::sliding::extensions::E2ee;
use crate::deliver::endpoint::sliding::extensions::Extensions;
use crate::deliver::endpoint::sliding::extensions::Received;
use crate::deliver::endpoint::sliding::list;
use crate::deliver::endpoint::sliding::list::Ranked;
use crate::deliver::endpoint::sliding::list::Sieve;
use crate::deliver::endpoint::sliding::request::Details;
use crate::deliver::endpoint::sliding::request::List;
use crate::deliver::endpoint::sliding::request::OfRooms;
use crate::deliver::endpoint::sliding::request::Request;
use crate::deliver::endpoint::sliding::request::RequiredState;
use crate::deliver::endpoint::sliding::room;
use crate::deliver::endpoint::sliding::room::Moment;
use crate::deliver::endpoint::sliding::room::RoomAnswer;
use crate::deliver::endpoint::sliding::room::Told;
use crate::deliver::endpoint::sliding::wanted::Standing;
use crate::deliver::endpoint::sliding::wanted::Wanted;
use crate::deliver::endpoint::sliding::wanted::Wishes;
use crate::matrix::ids::RoomId;
use crate::store::News;
use crate::store::Snapshot;
use crate::store::account::Account;
use crate::store::value::ChangeEntry;

/// Which rooms are with one other person.
const DIRECT: &str = "m.direct";

/// What there is to answer at a moment.
pub(super) struct Found {
    /// Rooms of each list, in the order of the request's lists.
    pub(super) counts: Vec<usize>,
    pub(super) rooms: BTreeMap<String, RoomAnswer>,
    pub(super) local: BTreeMap<String, Value>,
    pub(super) extensions: Extensions,
    /// Whether the client has been waiting for any of it.
    pub(super) is_news: bool,
    /// When the next notice of who types ends.
    pub(super) typing_ends: Option<Instant>,
    /// What the client has once it got this.
    pub(super) made: Generation,
}

/// Everything that one answer is made of.
struct Look<'a> {
    endpoint: &'a Endpoint,
    session: &'a Arc<Session>,
    request: &'a Request,
    base: &'a Generation,
    snapshot: &'a Snapshot,
    present: &'a Present,
    at: Moment,
    left: Left,
}

/// Looks.
pub(super) fn look(
    endpoint: &Endpoint,
    session: &Arc<Session>,
    request: &Request,
    base: &Generation,
) -> Result<Found, MatrixError> {
    let (snapshot, present) = endpoint.now()?;
    let look = Look {
        endpoint,
        session,
        request,
        base,
        at: Moment {
            until: snapshot.last_change()?,
            rooms: Arc::clone(&present.rooms),
            account: session.account,
            now: endpoint.clock.now().unix_millis(),
        },
        left: endpoint.left(&snapshot, &present, session.account)?,
        snapshot: &snapshot,
        present: &present,
    };
    look.found()
}

/// A row of a list that no filter thins out.
enum Row<'r> {
    Archive(&'r Ranked<'r>),
    Local(&'r sliding::Ranked<'r>),
}

/// All rooms, the one with the newest message first.
fn rows<'r>(ranked: &'r [Ranked<'r>], local: &'r [sliding::Ranked<'r>]) -> Vec<Row<'r>> {
    let archive = ranked.iter().map(Row::Archive);
    let local = local.iter().filter(|local| local.is_listed());
    let mut rows: Vec<Row<'r>> = archive.chain(local.map(Row::Local)).collect();
    rows.sort_by_key(|row| {
        Reverse(match row {
            Row::Archive(ranked) => ranked.newest,
            Row::Local(local) => local.newest,
        })
    });
    rows
}

/// Whether a list has local rooms: those that the user is in, or is invited to.
fn admits_local(list: &List, is_invite: bool) -> bool {
    list.filters.as_ref().is_none_or(|filters| {
        filters.is_dm != Some(true)
            && filters.is_encrypted != Some(true)
            && filters.is_invite.is_none_or(|wanted| wanted == is_invite)
            && filters.tags.is_empty()
            && filters.spaces.is_empty()
    })
}

impl Look<'_> {
    fn found(&self) -> Result<Found, MatrixError> {
        let mut ranked = list::ranked(self.snapshot, self.present)?;
        // The archive is the owner's alone.
        let is_owner = self.session.account == Account::OWNER;
        ranked.retain(|ranked| is_owner && !self.is_hidden(ranked.room.conversation));
        let mut found = Found {
            counts: Vec::new(),
            rooms: BTreeMap::new(),
            local: BTreeMap::new(),
            extensions: Extensions::default(),
            is_news: false,
            typing_ends: None,
            made: self.base.clone(),
        };
        found.made.until = self.at.until;
        found.made.rooms = Arc::downgrade(&self.at.rooms);
        self.leave(&mut found)?;
        self.keep_up(&ranked, &mut found.made);
        let local = sliding::ranked(self.endpoint, self.snapshot, self.session)?;
        let mut lists_of_local = BTreeMap::new();
        let wanted = self.wanted(&ranked, &local, &mut lists_of_local, &mut found.counts)?;
        let news = self.news(&wanted)?;
        self.answer_rooms(&wanted, &news, &mut found)?;
        self.answer_local(&local, &lists_of_local, &mut found)?;
        self.answer_typing(&wanted, &mut found);
        self.answer_keys(&news, &mut found)?;
        let queue = &self.request.extensions.to_device;
        if queue.is_on() {
            let received = Received::of(queue, self.endpoint.generation);
            let waiting = extensions::waiting(self.snapshot, self.session, queue, received)?;
            found.is_news |= !waiting.events.is_empty();
            found.extensions.to_device = Some(waiting);
        }
        found.is_news |= !found.rooms.is_empty();
        Ok(found)
    }

    /// Tells of the rooms that are not of the archive.
    fn answer_local(
        &self,
        local: &[sliding::Ranked<'_>],
        lists_of: &BTreeMap<&str, Vec<&List>>,
        found: &mut Found,
    ) -> Result<(), MatrixError> {
        let asked = &self.request.extensions;
        let wish = |id: &str| {
            let lists = lists_of.get(id).into_iter().flatten();
            let details = lists.map(|list| &list.details);
            let details = details.chain(self.request.room_subscriptions.get(id));
            let states = details
                .clone()
                .map(|details| RequiredState::new(details.required_state.clone()));
            let state = states.reduce(|one, other| one.union(&other))?;
            Some(sliding::Wish {
                limit: details
                    .map(Details::timeline_limit)
                    .max()
                    .unwrap_or_default(),
                is_lazy: state.wants_lazy_members(),
                wants: Box::new(move |kind, key, me| state.names(kind, key, me)),
            })
        };
        let local = sliding::look(
            self.endpoint,
            self.snapshot,
            self.session,
            local,
            &self.base.local,
            wish,
        )?;
        found.is_news |= !local.rooms.is_empty();
        found.local = local.rooms;
        found.made.local = local.told;
        if let Some(receipts) = &mut found.extensions.receipts {
            found.is_news |= !local.receipts.is_empty();
            receipts.rooms.extend(local.receipts);
        }
        if let Some(data) = &mut found.extensions.account_data {
            found.is_news |= !local.data.is_empty();
            data.rooms.extend(local.data);
        }
        if asked.typing.is_on() {
            let notices = self.endpoint.typing.after(self.base.typing);
            let mut typing = extensions::OfRooms::default();
            for id in found.made.local.keys() {
                if let Some(users) = notices.rooms.get(id) {
                    typing.rooms.insert(id.clone(), extensions::typing(users));
                }
            }
            found.is_news |= !typing.rooms.is_empty();
            found.extensions.typing = Some(typing);
        }
        Ok(())
    }

    /// Whether a client left a room, and nothing came since.
    fn is_hidden(&self, conversation: RowId) -> bool {
        self.left.get(&conversation).is_some_and(Option::is_none)
    }

    /// Whether a room was left and is seen again only after a change.
    fn is_back(&self, conversation: RowId, change: ChangeNumber) -> bool {
        let since = self.left.get(&conversation).copied().flatten();
        since.is_some_and(|since| since > change)
    }

    /// Tells of rooms that are no more, or hidden.
    fn leave(&self, found: &mut Found) -> Result<(), MatrixError> {
        let account = &self.endpoint.settings.account;
        let people = &self.present.rooms.people;
        let now = self.at.now;
        for (row, sent) in &self.base.sent {
            let tombstone = if self.present.rooms.by_id(&sent.id).is_none() {
                let gone = Gone::new(RoomId::new(&sent.id), *row, self.snapshot, self.present)?;
                gone.tombstone(account, now)
            } else if self.is_hidden(*row) {
                None
            } else {
                continue;
            };
            let answer = room::left(account, people, sent, tombstone.as_ref(), now);
            found.rooms.insert(sent.id.as_ref().to_owned(), answer);
            found.made.sent.remove(row);
        }
        Ok(())
    }

    /// Notes that clients have all there is of the rooms in which nothing happened: else what is new in one that was out of
    /// sight for a year would be looked for in a year's log.
    fn keep_up(&self, ranked: &[Ranked<'_>], made: &mut Generation) {
        for ranked in ranked {
            if let Some(sent) = made.sent.get_mut(&ranked.room.conversation)
                && ranked.changed <= sent.until
            {
                sent.until = self.at.until;
            }
        }
    }

    /// The rooms in windows and those subscribed to; how many each list has, and which of them show a local room.
    fn wanted<'r>(
        &'r self,
        ranked: &'r [Ranked<'r>],
        local: &'r [sliding::Ranked<'r>],
        lists_of_local: &mut BTreeMap<&'r str, Vec<&'r List>>,
        counts: &mut Vec<usize>,
    ) -> Result<Vec<Wanted<'r>>, MatrixError> {
        let rows = rows(ranked, local);
        let lists = &self.request.lists;
        let filters = lists.values().filter_map(|list| list.filters.as_ref());
        let people = &self.present.rooms.people;
        let sieve = Sieve::new(self.snapshot, people, self.session.account, filters)?;
        let rules = Rules::of(self.endpoint, self.snapshot, self.session.account)?;
        let mut wish = Wishes::new(self.base, &rules);
        for (number, list) in lists.values().enumerate() {
            let state = wish.state_of(&list.details);
            let mut count = 0;
            for row in &rows {
                let filters = list.filters.as_ref();
                let is_listed = match row {
                    Row::Archive(ranked) => {
                        filters.is_none_or(|filters| sieve.admits(filters, ranked.room))
                    }
                    Row::Local(local) => admits_local(list, local.is_invite()),
                };
                if !is_listed {
                    continue;
                }
                let is_in = |(first, last): &(usize, usize)| (*first..=*last).contains(&count);
                if list.ranges.iter().any(is_in) {
                    let limit = list.details.timeline_limit();
                    match row {
                        Row::Archive(ranked) => wish.add(ranked, limit, &state).lists.push(number),
                        Row::Local(local) => {
                            lists_of_local.entry(local.id()).or_default().push(list);
                        }
                    }
                }
                count += 1;
            }
            counts.push(count);
        }
        if !self.request.room_subscriptions.is_empty() {
            let by_row = ranked
                .iter()
                .map(|ranked| (ranked.room.conversation, ranked));
            let by_row: HashMap<RowId, &Ranked<'_>> = by_row.collect();
            for (id, details) in &self.request.room_subscriptions {
                let room = self.present.rooms.by_id(id);
                if let Some(ranked) = room.and_then(|room| by_row.get(&room.conversation)) {
                    let state = wish.state_of(details);
                    let limit = details.timeline_limit();
                    wish.add(ranked, limit, &state).is_subscribed = true;
                }
            }
        }
        Ok(wish.rooms.into_values().collect())
    }

    /// What the change log has since the last answer, and of rooms that were out of sight since the one before.
    fn news(&self, wanted: &[Wanted<'_>]) -> Result<News, MatrixError> {
        let behind = wanted.iter().filter_map(|wanted| {
            let sent = self.base.sent.get(&wanted.ranked.room.conversation)?;
            (wanted.ranked.changed > sent.until).then_some(sent.until)
        });
        let since = behind.chain([self.base.until]).min().unwrap_or_default();
        if self.base.until == ChangeNumber::default() {
            return Ok(News {
                until: self.at.until,
                ..News::default()
            });
        }
        Ok(self
            .snapshot
            .news_after(since, &self.present.places, SYNC_ENTRIES)?)
    }

    /// What each room in sight has to say.
    fn answer_rooms(
        &self,
        wanted: &[Wanted<'_>],
        news: &News,
        found: &mut Found,
    ) -> Result<(), MatrixError> {
        let asked = &self.request.extensions;
        let mut extra = Extra::default();
        if asked.account_data.is_on() {
            extra.data.global = self.global_data(&mut found.made)?;
        }
        for wanted in wanted {
            let room = wanted.ranked.room;
            let sent = self.base.sent.get(&room.conversation);
            let sent = sent.filter(|sent| {
                *sent.id == *room.id.as_str() && !self.is_back(room.conversation, sent.until)
            });
            let standing = wanted.standing(sent, &self.at.rooms);
            let is_current = standing == Standing::Current;
            let wants_extra = self.takes(&asked.account_data, wanted)
                && !self.base.has_account_data
                || self.takes(&asked.receipts, wanted) && !self.base.has_receipts;
            if is_current && !wants_extra {
                found.made.note(wanted);
                continue;
            }
            let view = self.endpoint.view(self.snapshot, self.present, room)?;
            let entries = news.is_complete.then(|| entries_of(news, room));
            let mut told = room::answer(
                &view,
                (wanted, standing),
                sent,
                entries.as_deref(),
                &self.at,
            )?;
            self.extend(wanted, sent, &mut told, &mut extra)?;
            found.made.sent.insert(room.conversation, told.made);
            if let Some(answer) = told.answer.filter(|_| !is_current) {
                found.rooms.insert(room.id.as_str().to_owned(), answer);
            }
        }
        found.is_news |= !extra.data.is_empty() || !extra.receipts.rooms.is_empty();
        found.extensions.account_data = asked.account_data.is_on().then_some(extra.data);
        found.extensions.receipts = asked.receipts.is_on().then_some(extra.receipts);
        found.made.has_account_data = asked.account_data.is_on();
        found.made.has_receipts = asked.receipts.is_on();
        Ok(())
    }

    /// Account data of the account as a whole that the client does not have.
    fn global_data(&self, made: &mut Generation) -> Result<Vec<DataEvent>, MatrixError> {
        let (snapshot, account) = (self.snapshot, self.session.account);
        let after = if self.base.has_account_data {
            self.base.until
        } else {
            ChangeNumber::default()
        };
        let mut events = account_data::global_account_data(
            self.endpoint,
            snapshot,
            self.present,
            account,
            after,
        )?;
        let is_same = std::ptr::eq(self.base.rooms.as_ptr(), Arc::as_ptr(&self.at.rooms));
        if !is_same || events.iter().any(|event| event.kind == DIRECT) {
            // Rooms came, went or have other people: `m.direct` may be another one.
            let direct = account_data::direct(self.endpoint, snapshot, self.present, account)?;
            let text = direct.content.get().to_owned();
            events.retain(|event| event.kind != DIRECT);
            if made.direct.as_ref() != Some(&text) || after == ChangeNumber::default() {
                made.direct = Some(text);
                events.push(direct);
            }
        }
        Ok(events)
    }

    /// What a room has to say beside its timeline: account data and receipts that the client does not have.
    fn extend(
        &self,
        wanted: &Wanted<'_>,
        sent: Option<&Sent>,
        told: &mut Told,
        extra: &mut Extra,
    ) -> Result<(), MatrixError> {
        let room = wanted.ranked.room;
        let id = room.id.as_str();
        let asked = &self.request.extensions;
        let (made, reading) = (&mut told.made, &told.reading);
        if self.takes(&asked.account_data, wanted) {
            let known = sent.filter(|_| self.base.has_account_data);
            let after = known.map_or(ChangeNumber::default(), |sent| sent.until);
            let account = self.session.account;
            let mut data = account_data::room_account_data(self.snapshot, room, account, after)?;
            let event = reading.fully_read.as_ref();
            if event.is_some() && known.is_none_or(|sent| sent.fully_read.as_ref() != event) {
                data.push(DataEvent::new(FULLY_READ, &json!({ "event_id": event })));
                made.fully_read = event.cloned();
            }
            if !data.is_empty() {
                extra.data.rooms.insert(id.to_owned(), data);
            }
        }
        if self.takes(&asked.receipts, wanted) {
            let known = sent.filter(|_| self.base.has_receipts);
            let is_new = |seen: &&Seen| {
                let event = known.and_then(|sent| sent.receipts.get(&seen.user));
                event != Some(&seen.event_id)
            };
            let news: Vec<&Seen> = reading.receipts.iter().filter(is_new).collect();
            let told = news.iter();
            let told = told.map(|seen| (seen.user.clone(), seen.event_id.clone()));
            made.receipts.extend(told);
            if !news.is_empty() {
                let receipts = extensions::receipts(news);
                extra.receipts.rooms.insert(id.to_owned(), receipts);
            }
        }
        Ok(())
    }

    /// Whether an extension is wanted of a room.
    fn takes(&self, extension: &OfRooms, wanted: &Wanted<'_>) -> bool {
        let names = wanted.lists.iter();
        let names = names.filter_map(|number| self.request.lists.keys().nth(*number));
        let room = wanted.ranked.room.id.as_str();
        extension.takes(room, names.map(String::as_str), wanted.is_subscribed)
    }

    /// Who types in the rooms in sight.
    fn answer_typing(&self, wanted: &[Wanted<'_>], found: &mut Found) {
        let asked = &self.request.extensions.typing;
        if !asked.is_on() {
            return;
        }
        let notices = self.endpoint.typing.after(self.base.typing);
        let mut typing = found.extensions.typing.take().unwrap_or_default();
        let wanted = wanted.iter().filter(|wanted| self.takes(asked, wanted));
        for id in wanted.map(|wanted| wanted.ranked.room.id.as_str()) {
            if let Some(users) = notices.rooms.get(id) {
                typing
                    .rooms
                    .insert(id.to_owned(), extensions::typing(users));
            }
        }
        found.is_news |= !typing.rooms.is_empty();
        found.typing_ends = notices.ends;
        found.made.typing = notices.until;
        found.extensions.typing = Some(typing);
    }

    /// Keys: always told, news when there are more or fewer or others.
    fn answer_keys(&self, news: &News, found: &mut Found) -> Result<(), MatrixError> {
        if !self.request.extensions.e2ee.is_on() {
            return Ok(());
        }
        let counts = extensions::key_counts(self.snapshot, self.session)?;
        let is_first = self.base.keys.is_none();
        let since = self.base.until;
        let (changed, left) = if is_first || news.until <= since {
            (Vec::new(), Vec::new())
        } else {
            let asking = self.session.account;
            keys::changed_users(
                self.endpoint,
                self.snapshot,
                asking,
                news,
                since,
                news.until,
            )?
        };
        found.is_news |=
            !(changed.is_empty() && left.is_empty()) || self.base.keys.as_ref() != Some(&counts);
        found.made.keys = Some(counts.clone());
        found.extensions.e2ee = Some(E2ee::new(counts, changed, left));
        Ok(())
    }
}

/// What rooms have to say beside their timelines.
#[derive(Default)]
struct Extra {
    data: AccountData,
    receipts: extensions::OfRooms,
}

/// The entries of the change log about a room, by number.
fn entries_of(news: &News, room: &Room) -> Vec<(ChangeNumber, ChangeEntry)> {
    let entries = room.shown.iter().filter_map(|row| news.rooms.get(row));
    let mut entries: Vec<_> = entries.flatten().copied().collect();
    entries.sort_by_key(|(number, _)| *number);
    entries
}
