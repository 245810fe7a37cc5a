//! Which chat rows are one conversation, what it is called for good, and by which names records lead to it (D9).
//!
//! Messages keeps a chat row for each service of a conversation, and makes new ones when a system upgrade renames them
//! (`iMessage;-;...` to `any;-;...`). They are united here, over the whole table at once:
//!
//! | rows | are one by |
//! |---|---|
//! | groups (style 43) | the same group id, identifier or room name; the same `chat_lookup` entry |
//! | carrier groups | also the same members, unless they are named differently |
//! | direct chats (style 45) | the same handle, or the same `chat_lookup` identifier; a group id says nothing (DS-2) |
//! | self chats | any own handle (ID-29) |

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::collections::HashSet;

use crate::base::ids::ConversationKey;
use crate::base::ids::Handle;
use crate::base::ids::fold_group_id;
use crate::model::conversation::Alias;
use crate::model::conversation::Conversation;
use crate::model::conversation::ConversationChange;
use crate::model::conversation::ConversationKind;
use crate::model::conversation::Filed;
use crate::model::conversation::Name;
use crate::model::handle::OwnHandles;
use crate::model::handle::is_mail;
use crate::model::handle::normalise;
use crate::model::record::ChatColumn;
use crate::model::record::ChatRecord;
use crate::model::region::Region;

/// `chat.style` of a group.
const STYLE_GROUP: i64 = 43;

/// `chat.style` of a chat with one person.
const STYLE_DIRECT: i64 = 45;

/// The conversations of a whole chat table, by their lowest ROWID.
///
/// `chats` are all rows by ROWID. A row that names nobody (no members, no identifier) makes no conversation. No two
/// conversations share an alias, and each row is in at most one of them.
///
/// Participants are the other members in the order of the rows; the owner's handles are not among them, so that a self
/// chat has none.
///
/// Source: D9, ID-5 to ID-11, ID-29.
pub fn conversations(
    chats: &[ChatRecord],
    own: &OwnHandles,
    region: Region,
) -> Vec<ConversationChange> {
    let rows: Vec<Chat<'_>> = chats
        .iter()
        .filter_map(|record| Chat::read(record, own, region))
        .collect();
    let mut parts = components(&rows);
    unite_carrier_groups(&mut parts);
    let keys = keys(&parts, own);
    let aliases = aliases(&parts, &keys);
    parts
        .into_iter()
        .zip(keys)
        .zip(aliases)
        .map(|((part, key), aliases)| part.into_change(key, aliases))
        .collect()
}

/// A chat row as far as identity is concerned.
struct Chat<'a> {
    record: &'a ChatRecord,
    guid: &'a str,
    /// `chat_identifier`, or what its guid says.
    identifier: Option<&'a str>,
    /// `service_name`, or what its guid says.
    service: Option<&'a str>,
    /// The other members.
    members: Vec<Handle>,
    side: Side,
}

/// What a chat row is named by.
enum Side {
    /// A chat with this handle; an own one in a self chat.
    Direct { with: Handle, is_self: bool },
    /// A group with this id; its identifier where it has none.
    Group { id: String },
}

impl<'a> Chat<'a> {
    fn read(record: &'a ChatRecord, own: &OwnHandles, region: Region) -> Option<Self> {
        let row = &record.row;
        let guid = row.text(ChatColumn::Guid)?.trim();
        let mut pieces = guid.splitn(3, ';');
        let prefix = pieces
            .next()
            .filter(|prefix| *prefix != guid && *prefix != "any");
        let separator = pieces.next();
        let identifier = row
            .text(ChatColumn::ChatIdentifier)
            .or_else(|| pieces.next())
            .map(str::trim)
            .filter(|identifier| !identifier.is_empty());

        let mut all: Vec<Handle> = Vec::with_capacity(record.members.len());
        for member in &record.members {
            if let Some(handle) = normalise(member, region).filter(|handle| !all.contains(handle)) {
                all.push(handle);
            }
        }
        let others = all.iter().filter(|handle| !own.contains(handle)).cloned();
        let members: Vec<Handle> = others.collect();

        let is_group = match row.integer(ChatColumn::Style) {
            STYLE_GROUP => true,
            STYLE_DIRECT => false,
            _ => separator == Some("+"),
        };
        let side = if is_group {
            let id = group_id(record).or(identifier).unwrap_or(guid);
            Side::Group {
                id: fold_group_id(id),
            }
        } else {
            let named = identifier.and_then(|identifier| normalise(identifier, region));
            let with = direct_handle(&members, named, all, own)?;
            let is_self = own.contains(&with);
            Side::Direct { with, is_self }
        };
        let members = match &side {
            Side::Direct {
                with,
                is_self: false,
            } if members.is_empty() => vec![with.clone()],
            Side::Direct { .. } | Side::Group { .. } => members,
        };
        Some(Self {
            record,
            guid,
            identifier,
            service: row.text(ChatColumn::ServiceName).or(prefix),
            members,
            side,
        })
    }

    fn is_group(&self) -> bool {
        matches!(self.side, Side::Group { .. })
    }

    fn is_imessage(&self) -> bool {
        self.service.is_some_and(|service| {
            ["iMessage", "iMessageLite"]
                .into_iter()
                .any(|name| name.eq_ignore_ascii_case(service))
        })
    }

    fn display_name(&self) -> Option<&'a str> {
        self.record
            .row
            .text(ChatColumn::DisplayName)
            .map(str::trim)
            .filter(|name| !name.is_empty())
    }

    /// Room names by which message rows refer to a group.
    fn rooms(&self) -> impl Iterator<Item = &'a str> {
        let room = self.record.row.text(ChatColumn::RoomName);
        let rooms = [self.identifier, room];
        let is_group = self.is_group();
        rooms.into_iter().flatten().filter(move |_| is_group)
    }

    fn filed(&self) -> Filed {
        let row = &self.record.row;
        if row.integer(ChatColumn::IsFiltered) != 0 {
            Filed::Junk
        } else if row.integer(ChatColumn::IsArchived) != 0 {
            Filed::Archived
        } else {
            Filed::Inbox
        }
    }

    /// Everything that makes this row one with another that has it too.
    fn bonds(&self) -> Vec<Bond> {
        let mut bonds = Vec::new();
        match &self.side {
            Side::Direct { is_self: true, .. } => bonds.push(Bond::Owner),
            Side::Direct { with, .. } => bonds.push(Bond::Direct(with.as_str().to_owned())),
            Side::Group { id } => bonds.push(Bond::GroupId(id.clone())),
        }
        bonds.extend(self.rooms().map(|room| Bond::Room(room.to_lowercase())));
        for (identifier, domain) in &self.record.lookups {
            let identifier = identifier.trim().to_lowercase();
            if identifier.is_empty() {
                continue;
            }
            bonds.push(match &self.side {
                Side::Direct { .. } => Bond::DirectLookup(identifier),
                Side::Group { .. } => Bond::GroupLookup(identifier, domain.to_lowercase()),
            });
        }
        bonds
    }
}

/// What a row says of its group. Direct chats have group ids too, but they mean nothing.
fn group_id(record: &ChatRecord) -> Option<&str> {
    let id = record.row.text(ChatColumn::GroupId)?.trim();
    (!id.is_empty()).then_some(id)
}

/// What two rows have in common that makes them one conversation.
#[derive(PartialEq, Eq, Hash)]
enum Bond {
    Owner,
    Direct(String),
    DirectLookup(String),
    GroupId(String),
    Room(String),
    GroupLookup(String, String),
}

/// Whom a direct chat is with: the member, the one of several that names the chat, else the name; an own handle when
/// nobody else is left.
fn direct_handle(
    others: &[Handle],
    named: Option<Handle>,
    all: Vec<Handle>,
    own: &OwnHandles,
) -> Option<Handle> {
    if let Some(smallest) = others.iter().min() {
        return Some(
            named
                .filter(|name| others.contains(name))
                .unwrap_or_else(|| smallest.clone()),
        );
    }
    let stranger = named.clone().filter(|name| !own.contains(name));
    stranger.or_else(|| all.into_iter().min()).or(named)
}

/// Chat rows that are one conversation, with their places in the table.
struct Component<'r, 'a> {
    first: (usize, &'r Chat<'a>),
    rest: Vec<(usize, &'r Chat<'a>)>,
}

impl<'r, 'a> Component<'r, 'a> {
    /// By ROWID.
    fn chats(&self) -> impl Iterator<Item = &'r Chat<'a>> {
        let rest = self.rest.iter().map(|(_, chat)| *chat);
        std::iter::once(self.first.1).chain(rest)
    }

    /// Bonds do not reach from groups to direct chats, so that one row speaks for all.
    fn is_group(&self) -> bool {
        self.first.1.is_group()
    }

    fn is_imessage(&self) -> bool {
        self.chats().any(Chat::is_imessage)
    }

    fn name(&self) -> Option<&'a str> {
        self.chats().find_map(Chat::display_name)
    }

    fn participants(&self) -> Vec<Handle> {
        let mut seen = HashSet::new();
        let members = self.chats().flat_map(|chat| &chat.members);
        members
            .filter(|handle| seen.insert(*handle))
            .cloned()
            .collect()
    }

    /// The group id of the lowest row that has one; an identifier where none has, an iMessage row's before a carrier's.
    fn group_id(&self) -> &'r str {
        let id = |chat: &'r Chat<'a>| match &chat.side {
            Side::Group { id } => id.as_str(),
            Side::Direct { with, .. } => with.as_str(),
        };
        let mut chats = self.chats();
        let says_id = |chat: &&Chat<'_>| group_id(chat.record).is_some();
        let best = chats
            .find(says_id)
            .or_else(|| self.chats().find(|chat| chat.is_imessage()));
        id(best.unwrap_or(self.first.1))
    }

    /// The handles that a direct chat's rows are with; none for a group.
    fn correspondents(&self) -> impl Iterator<Item = &'r Handle> {
        self.chats().filter_map(|chat| match &chat.side {
            Side::Direct { with, .. } => Some(with),
            Side::Group { .. } => None,
        })
    }

    fn into_change(self, key: ConversationKey, aliases: Vec<Alias>) -> ConversationChange {
        let service = if self.is_imessage() {
            Some("iMessage")
        } else {
            self.chats().find_map(|chat| chat.service)
        };
        let filed: Vec<Filed> = self.chats().map(Chat::filed).collect();
        let filed = [Filed::Inbox, Filed::Archived]
            .into_iter()
            .find(|place| filed.contains(place))
            .unwrap_or(Filed::Junk);
        let kind = if self.is_group() {
            ConversationKind::Group
        } else {
            ConversationKind::Direct
        };
        ConversationChange {
            conversation: Conversation {
                key,
                kind,
                service: service.map(str::to_owned),
                participants: self.participants(),
                name: self.name().map(|text| Name {
                    text: text.to_owned(),
                    at: None,
                }),
                deleted: None,
                filed,
            },
            aliases,
            records: self.chats().map(|chat| chat.record.clone()).collect(),
        }
    }
}

/// Rows that are bound to one another, directly or over others, by their lowest ROWID.
fn components<'r, 'a>(rows: &'r [Chat<'a>]) -> Vec<Component<'r, 'a>> {
    let mut sets = Sets::new(rows.len());
    let mut first: HashMap<Bond, usize> = HashMap::new();
    for (at, chat) in rows.iter().enumerate() {
        for bond in chat.bonds() {
            let other = *first.entry(bond).or_insert(at);
            sets.unite(at, other);
        }
    }
    let mut place: HashMap<usize, usize> = HashMap::new();
    let mut parts: Vec<Component<'r, 'a>> = Vec::new();
    for (at, chat) in rows.iter().enumerate() {
        let next = parts.len();
        match parts.get_mut(*place.entry(sets.root(at)).or_insert(next)) {
            Some(part) => part.rest.push((at, chat)),
            None => parts.push(Component {
                first: (at, chat),
                rest: Vec::new(),
            }),
        }
    }
    parts
}

/// Carrier groups have no lasting id (DS-5): those with equal members are one, unless they are named differently.
/// Unnamed ones join the one with the lowest ROWID.
fn unite_carrier_groups(parts: &mut Vec<Component<'_, '_>>) {
    let mut united: Vec<Component<'_, '_>> = Vec::with_capacity(parts.len());
    let mut same_members: HashMap<BTreeSet<Handle>, Vec<usize>> = HashMap::new();
    for part in parts.drain(..) {
        if !part.is_group() || part.is_imessage() {
            united.push(part);
            continue;
        }
        let members: BTreeSet<Handle> = part.participants().into_iter().collect();
        if members.is_empty() {
            united.push(part);
            continue;
        }
        let equals = same_members.entry(members).or_default();
        let home = match part.name() {
            None => equals.first().copied(),
            name => equals
                .iter()
                .copied()
                .find(|at| united.get(*at).and_then(Component::name) == name),
        };
        if let Some(home) = home.and_then(|at| united.get_mut(at)) {
            home.rest.push(part.first);
            home.rest.extend(part.rest);
            home.rest.sort_unstable_by_key(|(at, _)| *at);
        } else {
            equals.push(united.len());
            united.push(part);
        }
    }
    *parts = united;
}

/// What each conversation is called for good. No two are called the same.
fn keys(parts: &[Component<'_, '_>], own: &OwnHandles) -> Vec<ConversationKey> {
    let mut taken: HashSet<ConversationKey> = HashSet::new();
    let mut keys = Vec::with_capacity(parts.len());
    for part in parts {
        let key = match &part.first.1.side {
            Side::Direct { with, .. } => direct_key(with, part, own),
            Side::Group { .. } if part.is_imessage() => ConversationKey::group(part.group_id()),
            Side::Group { .. } => {
                let members = part.participants();
                let plain = ConversationKey::carrier(&members, None);
                if members.is_empty() || taken.contains(&plain) {
                    ConversationKey::carrier(&members, Some(part.group_id()))
                } else {
                    plain
                }
            }
        };
        taken.insert(key.clone());
        keys.push(key);
    }
    keys
}

/// A self chat is called by the owner's preferred handle, every other by a number before an e-mail address (ID-30).
fn direct_key(first: &Handle, part: &Component<'_, '_>, own: &OwnHandles) -> ConversationKey {
    let rank = |handle: &Handle| (own.contains(handle), is_mail(handle));
    let best = part.correspondents().fold(first, |best, handle| {
        if (rank(handle), handle) < (rank(best), best) {
            handle
        } else {
            best
        }
    });
    let preferred = own.preferred().filter(|_| own.contains(best));
    ConversationKey::direct(preferred.unwrap_or(best))
}

/// The names of each conversation. Where two could claim one (the id before a fork), the better claim has it: keys, then
/// chat guids, then what a row says of itself, then what it says of the past; of equal claims the lowest ROWID's.
fn aliases(parts: &[Component<'_, '_>], keys: &[ConversationKey]) -> Vec<Vec<Alias>> {
    let mut claims: Vec<(u8, usize, Alias)> = Vec::new();
    for (at, (part, key)) in parts.iter().zip(keys).enumerate() {
        claims.push((0, at, Alias::key(key)));
        for handle in part.correspondents() {
            claims.push((1, at, Alias::key(&ConversationKey::direct(handle))));
        }
        for chat in part.chats() {
            let row = &chat.record.row;
            claims.push((1, at, Alias::chat(chat.guid)));
            for room in chat.rooms() {
                claims.push((2, at, Alias::room(room)));
            }
            if chat.is_group() {
                let original = row.text(ChatColumn::OriginalGroupId);
                let original = original.filter(|id| !id.trim().is_empty());
                claims.extend(group_id(chat.record).map(|id| (2, at, Alias::group_id(id))));
                claims.extend(original.map(|id| (3, at, Alias::group_id(id))));
            }
        }
    }
    claims.sort_by_key(|(rank, _, _)| *rank);
    let mut taken: HashSet<Alias> = HashSet::new();
    let mut names: Vec<Vec<Alias>> = parts.iter().map(|_| Vec::new()).collect();
    for (_, at, alias) in claims {
        if let Some(names) = names.get_mut(at).filter(|_| taken.insert(alias.clone())) {
            names.push(alias);
        }
    }
    names
}

/// Disjoint sets of numbers below a bound; a set is known by its smallest member.
struct Sets {
    parent: Vec<usize>,
}

impl Sets {
    fn new(bound: usize) -> Self {
        Self {
            parent: (0..bound).collect(),
        }
    }

    fn root(&self, mut at: usize) -> usize {
        while let Some(parent) = self.parent.get(at).copied().filter(|parent| *parent != at) {
            at = parent;
        }
        at
    }

    fn unite(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        if let Some(parent) = self.parent.get_mut(a.max(b)) {
            *parent = a.min(b);
        }
    }
}

#[cfg(test)]
mod tests;
