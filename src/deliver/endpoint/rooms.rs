//! Which rooms there are: every published conversation, each with those that are shown as it, under one room id.
//!
//! Nothing is stored of them: a room's id is made of its conversation's key and epoch (D19). This is a table of what the
//! store says, made anew when conversations, merges or the address book changed; what changes with every message
//! ([`Head`]) is read from the store each time.

use std::collections::HashMap;
use std::sync::Arc;

use crate::base::ids::ChangeNumber;
use crate::base::ids::Handle;
use crate::base::ids::RowId;
use crate::base::time::AppleTime;
use crate::deliver::endpoint::names::Called;
use crate::deliver::endpoint::names::Names;
use crate::deliver::endpoint::names::Versions;
use crate::matrix::ids::Account;
use crate::matrix::ids::RoomId;
use crate::matrix::ids::UserId;
use crate::matrix::state::Member;
use crate::matrix::state::Move;
use crate::matrix::state::RoomFacts;
use crate::model::conversation::Conversation;
use crate::model::conversation::ConversationKind;
use crate::model::message::Announcement;
use crate::model::message::Author;
use crate::model::message::Kind;
use crate::model::people::People;
use crate::store::Snapshot;
use crate::store::StoreError;
use crate::store::value::Head;
use crate::store::value::Merge;
use crate::store::value::StoredMessage;

/// A room as far as it does not change with every message.
pub(super) struct Room {
    /// Its id.
    pub(super) id: RoomId,
    /// The conversation that it is.
    pub(super) conversation: RowId,
    /// That and those shown as it (ID-30), that first.
    pub(super) shown: Vec<RowId>,
    /// What the archive says of it.
    pub(super) about: Conversation,
    /// Everyone it ever had, and whether they are in it now, in an order that does not change.
    pub(super) members: Vec<(Handle, bool)>,
    /// Who came and went, and whether it was renamed, by its announcements.
    moves: Vec<Move>,
    is_renamed: bool,
    /// How the group was called, as far as that changed while clients saw it.
    names: Versions,
}

impl Room {
    /// Whether it is with one other person.
    pub(super) fn is_direct(&self) -> bool {
        self.about.kind == ConversationKind::Direct
    }

    /// The ghost of an address in this room: all addresses of the person of a direct room are one (D19).
    pub(super) fn user(&self, handle: &Handle, account: &Account, people: &People) -> UserId {
        if people.is_own(handle) {
            return account.user().clone();
        }
        let first = self.members.first().map(|(first, _)| first);
        match first {
            Some(first) if self.is_direct() && self.shown.len() > 1 => account.ghost(first),
            _ => account.ghost(handle),
        }
    }

    /// What its first state is made of, with the names of a time.
    pub(super) fn facts<'a>(
        &self,
        account: &'a Account,
        called: Called<'a>,
        head: &Head,
    ) -> RoomFacts {
        let people = called.people;
        let mut members: Vec<Member> = Vec::with_capacity(self.members.len());
        for (handle, is_in) in &self.members {
            let user = self.user(handle, account, people);
            if user == *account.user() {
                continue;
            }
            if let Some(known) = members.iter_mut().find(|member| member.user == user) {
                known.is_in |= is_in;
                continue;
            }
            let (version, name) = called.shown(handle);
            members.push(Member {
                name: Some(name.to_owned()),
                user,
                avatar: None,
                version,
                is_in: *is_in,
            });
        }
        let (owner_version, owner_name) = called.owner(account);
        let (name_version, name) = self.name(called.as_of);
        RoomFacts {
            owner: account.user().clone(),
            owner_name: owner_name.to_owned(),
            owner_version,
            members,
            moves: self.moves.clone(),
            is_direct: self.is_direct(),
            name: name.map(str::to_owned),
            name_version,
            is_renamed: self.is_renamed,
            avatar: None,
            created: head
                .created
                .or(head.oldest)
                .unwrap_or(AppleTime::from_nanos(0)),
        }
    }

    /// The version of the group's name at a time, and the name.
    pub(super) fn name(&self, as_of: ChangeNumber) -> (u32, Option<&str>) {
        let present = self.about.name.as_ref().map(|name| name.text.as_str());
        self.names.of(as_of).unwrap_or((0, present))
    }

    /// The times since which the group is or was called as it is or was.
    pub(super) fn name_times(&self) -> impl Iterator<Item = ChangeNumber> {
        self.names.times()
    }
}

/// Every room, by id and by conversation.
#[derive(Default)]
pub(super) struct Rooms {
    by_id: HashMap<String, Arc<Room>>,
    by_conversation: HashMap<RowId, Arc<Room>>,
    pub(super) people: People,
    /// How people were called.
    pub(super) names: Names,
}

impl Rooms {
    /// As of a snapshot.
    pub(super) fn read(
        snapshot: &Snapshot,
        account: &Account,
        announcements: &Announcements,
    ) -> Result<Self, StoreError> {
        let people = snapshot.people()?;
        let mut shown_as: HashMap<RowId, Vec<RowId>> = HashMap::new();
        let merges = snapshot.merges()?;
        for (row, merge) in &merges {
            if let Merge::Into(into) = merge {
                shown_as.entry(*into).or_default().push(*row);
            }
        }
        let heads: HashMap<RowId, Head> = snapshot.heads()?.into_iter().collect();
        let mut rooms = Self {
            people,
            names: Names::read(snapshot)?,
            ..Self::default()
        };
        for (row, stored) in snapshot.conversations()? {
            let is_merged = matches!(merges.get(&row), Some(Merge::Into(_)));
            let head = heads.get(&row).copied().unwrap_or_default();
            let others = shown_as.remove(&row).unwrap_or_default();
            let is_published = std::iter::once(&row)
                .chain(&others)
                .any(|row| heads.get(row).is_some_and(|head| head.published.is_some()));
            if is_merged
                || !is_published
                || stored.united_into.is_some()
                || stored.conversation.deleted.is_some()
            {
                continue;
            }
            let mut shown = vec![row];
            shown.extend(others);
            let about = stored.conversation;
            let members = about.participants.iter();
            let room = Room {
                id: account.room(&about.key, head.epoch),
                conversation: row,
                shown,
                members: members.map(|handle| (handle.clone(), true)).collect(),
                names: Versions::of_group(snapshot, row, &about)?,
                about,
                moves: Vec::new(),
                is_renamed: false,
            };
            rooms.add(room, account, announcements);
        }
        Ok(rooms)
    }

    /// Adds a room, with what its announcements did.
    fn add(&mut self, mut room: Room, account: &Account, announcements: &Announcements) {
        let events = room.shown.iter().flat_map(|row| announcements.of(*row));
        let events: Vec<&Announced> = events.collect();
        for event in &events {
            let (who, came) = match &event.what {
                What::Came(who) => (who, true),
                What::Went(who) => (who, false),
                What::Renamed => {
                    room.is_renamed = true;
                    continue;
                }
            };
            let is_known = room.members.iter().any(|(member, _)| member == who);
            if !self.people.is_own(who) && !is_known {
                room.members.push((who.clone(), false));
            }
            room.moves.push(Move {
                user: room.user(who, account, &self.people),
                came,
            });
        }
        let room = Arc::new(room);
        for row in &room.shown {
            self.by_conversation.insert(*row, Arc::clone(&room));
        }
        self.by_id.insert(room.id.as_str().to_owned(), room);
    }

    /// The room with an id.
    pub(super) fn by_id(&self, id: &str) -> Option<&Arc<Room>> {
        self.by_id.get(id)
    }

    /// The room in which a conversation is shown.
    pub(super) fn of(&self, conversation: RowId) -> Option<&Arc<Room>> {
        self.by_conversation.get(&conversation)
    }

    /// All of them, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Room>> {
        self.by_id.values()
    }
}

/// What announcements did to rooms: who came, went, named it. Read once from the search index, then kept up with the
/// change log.
#[derive(Clone, Default)]
pub(super) struct Announcements {
    by_conversation: HashMap<RowId, Vec<Announced>>,
}

/// An announcement that changes a room's state.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Announced {
    time: AppleTime,
    row: RowId,
    what: What,
}

#[derive(Clone, PartialEq, Eq)]
enum What {
    Renamed,
    Came(Handle),
    Went(Handle),
}

impl Announcements {
    /// Those of a conversation, in the order of its timeline.
    fn of(&self, conversation: RowId) -> &[Announced] {
        self.by_conversation
            .get(&conversation)
            .map_or(&[], Vec::as_slice)
    }

    /// The rows of a conversation's announcements, in the order of its timeline.
    pub(super) fn rows(&self, conversation: RowId) -> impl Iterator<Item = RowId> {
        self.of(conversation).iter().map(|announced| announced.row)
    }

    /// Notes a message that came or changed, if it is such an announcement.
    pub(super) fn add(&mut self, row: RowId, stored: &StoredMessage) {
        let (Some(conversation), Some(what)) = (stored.conversation, what(stored)) else {
            return;
        };
        let announced = Announced {
            time: stored.time,
            row,
            what,
        };
        let list = self.by_conversation.entry(conversation).or_default();
        list.retain(|known| known.row != row);
        let at = list.partition_point(|known| (known.time, known.row) < (stored.time, row));
        list.insert(at, announced);
    }

    /// Forgets a message that is in another conversation now.
    pub(super) fn remove(&mut self, conversation: RowId, row: RowId) {
        if let Some(list) = self.by_conversation.get_mut(&conversation) {
            list.retain(|known| known.row != row);
        }
    }

    /// Rows of a conversation's announcements before a place, the latest first.
    pub(super) fn before(
        &self,
        conversation: RowId,
        time: AppleTime,
        row: RowId,
    ) -> impl Iterator<Item = RowId> {
        let list = self.of(conversation);
        let end = list.partition_point(|known| (known.time, known.row) < (time, row));
        list.get(..end)
            .unwrap_or_default()
            .iter()
            .rev()
            .map(|known| known.row)
    }
}

fn what(stored: &StoredMessage) -> Option<What> {
    let Kind::Announcement(announcement) = &stored.message.kind else {
        return None;
    };
    let author = match &stored.message.author {
        Author::Other(handle) => Some(handle.clone()),
        Author::Owner | Author::Unknown => None,
    };
    match announcement {
        Announcement::Renamed(_) => Some(What::Renamed),
        Announcement::Added(who) => who.clone().map(What::Came),
        Announcement::Removed(who) => who.clone().map(What::Went),
        Announcement::Joined => author.map(What::Came),
        Announcement::Left => author.map(What::Went),
        Announcement::PhotoSet
        | Announcement::PhotoRemoved
        | Announcement::BackgroundSet
        | Announcement::BackgroundRemoved
        | Announcement::LocationStarted
        | Announcement::LocationStopped
        | Announcement::AudioKept
        | Announcement::SharePlay
        | Announcement::NumberChanged(_)
        | Announcement::Other { .. } => None,
    }
}
