//! Who is in the invented account: the owner, people, and the conversations between them.
//!
//! | of ten conversations | is |
//! |---|---|
//! | 0, 5 | a named iMessage group with several membership snapshots, each with another `cid` |
//! | 1, 2, 6 | with one person, by phone number |
//! | 3 | with one person, by mail address |
//! | 4 | a carrier group: no `cid`, a `gid` of digits |
//! | 7 | an iMessage group without a name |
//! | 8 | with one person over SMS, and no chat record at all |
//! | 9 | the first one with oneself, the others filtered as junk |
//!
//! Behind them come two businesses: one with a chat record, and one without, which nobody answers.
//!
//! Source: facts of CloudKit, 3.1, 3.3 and 3.7.

use crate::base::ids::ConversationKey;
use crate::base::ids::Handle;
use crate::demo::random::Random;
use crate::demo::random::Stream;
use crate::demo::words;

/// The owner's phone number.
pub(super) const OWN_NUMBER: &str = "+15550100000";

/// The owner's mail address.
pub(super) const OWN_MAIL: &str = "owner@example.org";

/// The fewest and the most conversations of an account.
const CHATS: std::ops::RangeInclusive<u64> = 20..=400;

/// Messages for each conversation, in the mean.
const MESSAGES_A_CHAT: u64 = 400;

/// Somebody whom the owner knows.
#[derive(Clone)]
struct Person {
    /// `+1555010....`.
    number: String,
    /// `first.last@example.org`.
    mail: String,
}

/// What a conversation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChatKind {
    /// An iMessage group.
    Group,
    /// A group over SMS.
    Carrier,
    /// With one person.
    Direct,
    /// With oneself.
    Own,
    /// With a business.
    Business,
}

/// A conversation.
#[derive(Clone)]
pub(super) struct Chat {
    pub(super) kind: ChatKind,
    /// Its place in the cast.
    pub(super) number: u64,
    /// Under which name the archive will have it.
    pub(super) key: ConversationKey,
    /// The stable id, a UUID or digits.
    pub(super) group_id: String,
    /// Addresses of the others, as they are written in messages.
    pub(super) members: Vec<String>,
    pub(super) service: &'static str,
    pub(super) name: Option<&'static str>,
    /// How many chat records there are: one for each change of members, 0 where there is none at all.
    pub(super) snapshots: u64,
    pub(super) is_filtered: bool,
}

impl Chat {
    /// Whether several people are in it.
    pub(super) fn is_group(&self) -> bool {
        matches!(self.kind, ChatKind::Group | ChatKind::Carrier)
    }

    /// Whether the owner writes in it. A business without a chat record gets no answers: they would name nobody (ID-8).
    pub(super) fn is_answered(&self) -> bool {
        self.kind != ChatKind::Business || self.snapshots > 0
    }

    /// `cid` of a snapshot.
    pub(super) fn identifier(&self, seed: u64, snapshot: u64) -> String {
        match self.kind {
            ChatKind::Carrier => String::new(),
            ChatKind::Group => {
                let digits = Random::new(seed, Stream::Chat, self.number << 8 | snapshot).next();
                format!("chat{digits:020}")
            }
            ChatKind::Direct | ChatKind::Own | ChatKind::Business => self
                .members
                .first()
                .cloned()
                .unwrap_or_else(|| OWN_NUMBER.to_owned()),
        }
    }
}

/// Everybody.
pub(super) struct Cast {
    /// The conversations, those with businesses behind the others.
    pub(super) chats: Vec<Chat>,
    /// How many there are without businesses.
    pub(super) people: usize,
    /// Places of the groups among the conversations.
    groups: Vec<usize>,
}

impl Cast {
    /// For an account of so many messages, with businesses or without.
    pub(super) fn new(seed: u64, messages: u64, has_businesses: bool) -> Self {
        let count = (messages / MESSAGES_A_CHAT).clamp(*CHATS.start(), *CHATS.end());
        let people: Vec<Person> = (0..count + 8).map(person).collect();
        let mut chats: Vec<Chat> = (0..count)
            .map(|number| chat(seed, number, &people))
            .collect();
        let people = chats.len();
        if has_businesses {
            let snapshots = (count..).zip([1, 0]);
            chats.extend(snapshots.map(|(number, snapshots)| business(seed, number, snapshots)));
        }
        let groups = chats.iter().enumerate();
        let groups = groups.filter(|(_, chat)| chat.kind == ChatKind::Group);
        Self {
            groups: groups.map(|(at, _)| at).collect(),
            people,
            chats,
        }
    }

    /// A conversation with a business: with the one that has a chat record, or with the other one.
    pub(super) fn business(&self, has_record: bool) -> Option<&Chat> {
        self.chats.get(self.people + usize::from(!has_record))
    }

    /// A conversation for some messages in a row: the first ones have the most.
    pub(super) fn chat(&self, random: &mut Random, is_group: bool) -> Option<&Chat> {
        let places = if is_group {
            self.groups.len()
        } else {
            self.people
        };
        let (a, b) = (random.index(places), random.index(places));
        let at = a.min(b).min(random.index(places));
        let at = if is_group { *self.groups.get(at)? } else { at };
        self.chats.get(at)
    }
}

/// An address as a URI.
pub(super) fn uri(address: &str) -> String {
    let scheme = match address {
        _ if address.starts_with("urn:") => return address.to_owned(),
        _ if address.contains('@') => "mailto",
        _ => "tel",
    };
    format!("{scheme}:{address}")
}

fn business(seed: u64, number: u64, snapshots: u64) -> Chat {
    let mut random = Random::new(seed, Stream::Chat, number << 32);
    let address = format!("urn:biz:{}", random.uuid().to_lowercase());
    Chat {
        kind: ChatKind::Business,
        number,
        key: ConversationKey::direct(&Handle::from_normal(address.clone())),
        group_id: random.uuid(),
        members: vec![address],
        service: "iMessage",
        name: None,
        snapshots,
        is_filtered: false,
    }
}

fn person(number: u64) -> Person {
    let place = usize::try_from(number).unwrap_or_default();
    let (first, last) = words::person(place);
    Person {
        number: format!("+1555010{:04}", number + 1),
        mail: format!(
            "{}.{}{number}@example.org",
            first.to_lowercase(),
            last.to_lowercase()
        ),
    }
}

fn chat(seed: u64, number: u64, people: &[Person]) -> Chat {
    let mut random = Random::new(seed, Stream::Chat, number << 32);
    let own = usize::try_from(number).unwrap_or_default();
    let one = |by_mail: bool| {
        let person = people.get(own);
        let address = person.map(|person| {
            if by_mail {
                &person.mail
            } else {
                &person.number
            }
        });
        address.cloned().into_iter().collect::<Vec<_>>()
    };
    let several = |count: usize| {
        let people = people.iter().skip(own).step_by(2).chain(people);
        let mut members: Vec<String> = people
            .take(count)
            .map(|person| person.number.clone())
            .collect();
        members.sort_unstable();
        members.dedup();
        members
    };
    let (kind, members, service) = match number % 10 {
        0 | 5 | 7 => (ChatKind::Group, several(3), "iMessage"),
        4 => (ChatKind::Carrier, several(3), "SMS"),
        3 => (ChatKind::Direct, one(true), "iMessage"),
        8 => (ChatKind::Direct, one(false), "SMS"),
        9 if number == 9 => (ChatKind::Own, Vec::new(), "iMessage"),
        _ => (ChatKind::Direct, one(false), "iMessage"),
    };
    let group_id = match kind {
        ChatKind::Carrier => format!(
            "{:016x}{:016x}{:016x}",
            random.next(),
            random.next(),
            random.next()
        ),
        ChatKind::Group | ChatKind::Direct | ChatKind::Own | ChatKind::Business => random.uuid(),
    };
    let handle = |address: &String| Handle::from_normal(uri(address));
    let handles: Vec<Handle> = members.iter().map(handle).collect();
    let key = match kind {
        ChatKind::Group => ConversationKey::group(&group_id),
        ChatKind::Carrier => ConversationKey::carrier(&handles, None),
        ChatKind::Direct | ChatKind::Own | ChatKind::Business => {
            let own = || Handle::from_normal(format!("tel:{OWN_NUMBER}"));
            ConversationKey::direct(&handles.into_iter().next().unwrap_or_else(own))
        }
    };
    Chat {
        kind,
        number,
        key,
        group_id,
        members,
        service,
        name: matches!(number % 10, 0 | 5).then(|| words::group(own / 5)),
        snapshots: match number % 10 {
            0 | 5 => 2 + random.below(4),
            8 => 0,
            _ => 1,
        },
        is_filtered: number % 10 == 9 && number != 9,
    }
}
