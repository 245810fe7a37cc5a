//! The state that a room begins with: all of it made here, at one time, before its first message.
//!
//! The room is version 10: newer room ids have no server, which clients in use cannot read. The owner is the creator, so
//! that no service user has to be hidden. Nobody may send (D26) and nobody may encrypt: clients hide the buttons.
//!
//! Source: facts of the endpoint, 4.3.

use serde_json::json;
use sha2::Digest;
use sha2::Sha256;

use crate::base::time::AppleTime;
use crate::matrix::event::Content;
use crate::matrix::event::Event;
use crate::matrix::event_id::EventKey;
use crate::matrix::event_id::EventKind;
use crate::matrix::event_id::Incarnation;
use crate::matrix::ids::UserId;

/// The type of member events.
pub const MEMBER: &str = "m.room.member";

/// The type of a group's name.
pub const NAME: &str = "m.room.name";

/// What is known of a room.
#[derive(Clone)]
pub struct RoomFacts {
    /// The owner.
    pub owner: UserId,
    /// How the owner is called.
    pub owner_name: String,
    /// How often that changed (D22).
    pub owner_version: u32,
    /// Everybody else who is or was a member, or sent a message: clients show the ids of strangers as they are. In an
    /// order that does not change.
    pub members: Vec<Member>,
    /// Who came and went, in the order of the timeline, as far as it is announced.
    pub moves: Vec<Move>,
    /// Whether it is a conversation with one other person. It has no name of its own: clients name it after that person.
    pub is_direct: bool,
    /// The name of a group.
    pub name: Option<String>,
    /// How often that changed without an announcement (D22).
    pub name_version: u32,
    /// Whether an announcement of the timeline names the group; then it began without one, as far as is known.
    pub is_renamed: bool,
    /// The group's picture, `mxc://...`.
    pub avatar: Option<String>,
    /// The time of all of it: the oldest message's when the room was published first. Never changed.
    pub created: AppleTime,
}

/// Someone in a room.
#[derive(Clone)]
pub struct Member {
    /// Who.
    pub user: UserId,
    /// How the contact is called.
    pub name: Option<String>,
    /// The contact's picture, `mxc://...`.
    pub avatar: Option<String>,
    /// How often the name changed (D22).
    pub version: u32,
    /// Whether this is a member now.
    pub is_in: bool,
}

/// Someone came or went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// Who.
    pub user: UserId,
    /// Came, or went.
    pub came: bool,
}

/// The place of a piece of state in the order of a room's beginning; part of event ids.
#[derive(Clone, Copy)]
#[repr(u16)]
enum Place {
    Create = 0,
    Owner = 1,
    PowerLevels = 2,
    JoinRules = 3,
    HistoryVisibility = 4,
    GuestAccess = 5,
    Member = 6,
    Name = 7,
    Avatar = 8,
    History = 9,
}

impl RoomFacts {
    /// The state that the room begins with, in order. Members are those of the beginning: the present ones, with every
    /// announced move undone (D22). Who is in no announcement and no member now is shown as gone.
    pub fn first_state(&self) -> Vec<Event> {
        let mut events = vec![
            self.create(),
            self.owner_member(),
            self.state(
                Place::PowerLevels,
                "m.room.power_levels",
                power_levels(&self.owner),
            ),
            self.state(
                Place::JoinRules,
                "m.room.join_rules",
                fields([("join_rule", "invite")]),
            ),
            self.state(
                Place::HistoryVisibility,
                "m.room.history_visibility",
                fields([("history_visibility", "shared")]),
            ),
            self.state(
                Place::GuestAccess,
                "m.room.guest_access",
                fields([("guest_access", "forbidden")]),
            ),
        ];
        for member in &self.members {
            match self.first_move(&member.user) {
                // Comes later.
                Some(first) if first.came => {}
                Some(_) => events.push(self.member(member, true)),
                None => events.push(self.member(member, member.is_in)),
            }
        }
        if !self.is_direct {
            let name = self.name.as_ref().filter(|_| !self.is_renamed);
            events.extend(name.map(|name| {
                let key = key(Place::Name, NAME, "", self.name_version);
                self.event(key, NAME, &self.owner, fields([("name", name)]))
                    .with_state_key("")
            }));
            let avatar = self.avatar.as_ref();
            events.extend(
                avatar
                    .map(|url| self.state(Place::Avatar, "m.room.avatar", fields([("url", url)]))),
            );
        }
        events
    }

    /// A member event with the time of the room's beginning; for `state`, never for the timeline.
    pub fn present_member(&self, member: &Member) -> Event {
        self.member(member, member.is_in)
    }

    /// A change that makes clients read the room's history again (D20).
    pub fn history(&self, epoch: u32, at: AppleTime) -> Event {
        let content = Content::from_iter([("epoch".to_owned(), epoch.into())]);
        let event_type = "org.footbridge.history";
        let key = key(Place::History, event_type, "", epoch);
        Event::new(key, event_type, self.owner.clone(), at, content).with_state_key("")
    }

    fn first_move(&self, user: &UserId) -> Option<&Move> {
        self.moves.iter().find(|moved| moved.user == *user)
    }

    fn create(&self) -> Event {
        let content = fields([("creator", self.owner.as_str()), ("room_version", "10")]);
        self.state(Place::Create, "m.room.create", content)
    }

    fn owner_member(&self) -> Event {
        let mut content = member_content(true, Some(&self.owner_name), None);
        if self.is_direct {
            content.insert("is_direct".to_owned(), true.into());
        }
        let key = key(
            Place::Owner,
            MEMBER,
            self.owner.as_str(),
            self.owner_version,
        );
        self.event(key, MEMBER, &self.owner, content)
            .with_state_key(self.owner.as_str())
    }

    fn member(&self, member: &Member, is_in: bool) -> Event {
        let content = member_content(is_in, member.name.as_deref(), member.avatar.as_deref());
        let user = &member.user;
        let key = key(Place::Member, MEMBER, user.as_str(), member.version);
        self.event(key, MEMBER, user, content)
            .with_state_key(user.as_str())
    }

    fn state(&self, place: Place, event_type: &'static str, content: Content) -> Event {
        let key = key(place, event_type, "", 0);
        self.event(key, event_type, &self.owner, content)
            .with_state_key("")
    }

    fn event(
        &self,
        key: EventKey,
        event_type: &'static str,
        sender: &UserId,
        content: Content,
    ) -> Event {
        Event::new(key, event_type, sender.clone(), self.created, content)
    }
}

/// A member event or a group's name as it is once the person or the group is called otherwise: another event at the old
/// time; for `state`, never for the timeline (D22). `None` for other state.
pub fn renamed(event: &Event, owner: &UserId, version: u32, name: Option<&str>) -> Option<Event> {
    let state_key = event.state_key.as_deref()?;
    let (place, field) = match event.event_type {
        MEMBER if state_key == owner.as_str() => (Place::Owner, "displayname"),
        MEMBER => (Place::Member, "displayname"),
        NAME => (Place::Name, "name"),
        _ => return None,
    };
    let mut event = Event {
        key: key(place, event.event_type, state_key, version),
        prev_content: None,
        ..event.clone()
    };
    match name {
        Some(name) => event.content.insert(field.to_owned(), name.into()),
        None => event.content.remove(field),
    };
    Some(event)
}

/// The key of a piece of state: a hash of its type, its key and its version stands for a GUID.
fn key(place: Place, event_type: &str, state_key: &str, version: u32) -> EventKey {
    let digest = Sha256::new()
        .chain_update(event_type)
        .chain_update(b"\0")
        .chain_update(state_key)
        .chain_update(b"\0")
        .chain_update(version.to_be_bytes())
        .finalize();
    let mut guid = [0; 16];
    guid.iter_mut()
        .zip(digest)
        .for_each(|(to, from)| *to = from);
    let [_, _, high, low] = version.to_be_bytes();
    EventKey {
        guid,
        kind: EventKind::State,
        incarnation: Incarnation::default(),
        part: place as u16,
        piece: u16::from_be_bytes([high, low]),
    }
}

/// The content of a member event.
pub(super) fn member_content(is_in: bool, name: Option<&str>, avatar: Option<&str>) -> Content {
    let mut content = Content::new();
    let membership = if is_in { "join" } else { "leave" };
    content.insert("membership".to_owned(), membership.into());
    if let Some(name) = name {
        content.insert("displayname".to_owned(), name.into());
    }
    if let Some(avatar) = avatar {
        content.insert("avatar_url".to_owned(), avatar.into());
    }
    content
}

/// Content of nothing but texts.
fn fields<const N: usize>(fields: [(&str, &str); N]) -> Content {
    let entry = |(key, text): (&str, &str)| (key.to_owned(), text.into());
    fields.into_iter().map(entry).collect()
}

/// Who may do what: nobody sends (D26), nobody changes anything.
fn power_levels(owner: &UserId) -> Content {
    let levels = [
        ("users_default", 0),
        ("events_default", 100),
        ("state_default", 100),
        ("ban", 100),
        ("invite", 100),
        ("kick", 100),
        ("redact", 100),
    ];
    let levels = levels.map(|(key, level)| (key.to_owned(), level.into()));
    let mut content = Content::from_iter(levels);
    content.insert("users".to_owned(), json!({ owner.as_str(): 50 }));
    let events = json!({
        "m.room.encryption": 101,
        "m.call.invite": 100,
        "m.poll.start": 100,
        "m.sticker": 100,
        "org.matrix.msc3381.poll.start": 100,
        "org.matrix.msc3401.call": 100,
        "org.matrix.msc3401.call.member": 100,
        "org.matrix.msc3672.beacon_info": 100,
    });
    content.insert("events".to_owned(), events);
    content
}

#[cfg(test)]
mod tests {
    use super::Member;
    use super::Move;
    use super::RoomFacts;
    use super::renamed;
    use crate::base::ids::Handle;
    use crate::base::time::AppleTime;
    use crate::matrix::ids::Account;
    use crate::matrix::ids::RoomId;
    use crate::matrix::ids::ServerName;
    use crate::matrix::ids::UserId;
    use crate::matrix::json::ClientEvent;
    use crate::matrix::json::Form;

    fn ghost(address: &str) -> UserId {
        let account = Account::new("ada", ServerName::parse("example.org").unwrap()).unwrap();
        account.ghost(&Handle::from_normal(address.to_owned()))
    }

    fn member(address: &str, is_in: bool) -> Member {
        Member {
            user: ghost(address),
            name: Some(address.to_owned()),
            avatar: None,
            version: 0,
            is_in,
        }
    }

    fn facts() -> RoomFacts {
        let account = Account::new("ada", ServerName::parse("example.org").unwrap()).unwrap();
        RoomFacts {
            owner: account.user().clone(),
            owner_name: "Ada".to_owned(),
            owner_version: 0,
            members: vec![member("1", true), member("2", true), member("3", false)],
            moves: Vec::new(),
            is_direct: false,
            name: Some("Family".to_owned()),
            name_version: 0,
            is_renamed: false,
            avatar: None,
            created: AppleTime::from_unix_millis(1_000),
        }
    }

    fn members(facts: &RoomFacts) -> Vec<(String, String)> {
        let events = facts.first_state().into_iter().skip(6);
        events
            .filter(|event| event.event_type == "m.room.member")
            .map(|event| {
                let membership = event.content["membership"].as_str().unwrap().to_owned();
                (event.state_key.unwrap(), membership)
            })
            .collect()
    }

    #[test]
    fn a_group_begins_with_this_state() {
        let room = RoomId::new("!room:example.org");

        let lines: Vec<String> = facts()
            .first_state()
            .iter()
            .map(|event| ClientEvent::new(event, &room, Form::InRoom).to_json())
            .collect();

        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn announced_moves_are_undone() {
        let went = |address: &str, came| Move {
            user: ghost(address),
            came,
        };
        let facts = RoomFacts {
            // 1 was added, 2 left and came again, 3 was removed.
            moves: vec![
                went("1", true),
                went("2", false),
                went("3", false),
                went("2", true),
            ],
            ..facts()
        };

        let user = |address: &str| ghost(address).to_string();
        let join = "join".to_owned();
        assert_eq!(
            members(&facts),
            [(user("2"), join.clone()), (user("3"), join)]
        );
    }

    #[test]
    fn who_wrote_long_ago_has_a_name_too() {
        let gone = members(&facts()).pop().unwrap();

        assert_eq!(gone, (ghost("3").to_string(), "leave".to_owned()));
    }

    #[test]
    fn a_direct_room_has_no_name() {
        let facts = RoomFacts {
            is_direct: true,
            ..facts()
        };

        let events = facts.first_state();

        assert!(events.iter().all(|event| event.event_type != "m.room.name"));
        assert_eq!(events[1].content["is_direct"], true);
    }

    #[test]
    fn a_room_that_is_named_later_begins_without_a_name() {
        let facts = RoomFacts {
            is_renamed: true,
            ..facts()
        };

        let events = facts.first_state();

        assert!(events.iter().all(|event| event.event_type != "m.room.name"));
    }

    #[test]
    fn another_name_is_another_event_at_the_old_time() {
        let facts = facts();
        let state = facts.first_state();
        let first = state
            .iter()
            .find(|event| event.event_type == super::NAME)
            .unwrap();
        let mut later = facts.clone();
        later.members[0].version = 1;
        later.members[0].name = Some("New".to_owned());

        let member = renamed(&state[6], &facts.owner, 1, Some("New")).unwrap();
        let name = renamed(first, &facts.owner, 1, Some("Us")).unwrap();

        assert_eq!(member, later.present_member(&later.members[0]));
        assert_ne!(member.key, state[6].key);
        assert_eq!(member.origin_server_ts, state[6].origin_server_ts);
        assert_ne!(name.key, first.key);
        assert_eq!(name.content["name"], "Us");
        assert_eq!(renamed(&state[0], &facts.owner, 1, Some("Us")), None);
    }

    #[test]
    fn every_piece_of_state_has_its_own_key() {
        let facts = facts();
        let mut keys: Vec<_> = facts.first_state().iter().map(|event| event.key).collect();
        keys.extend((1..3).map(|epoch| facts.history(epoch, facts.created).key));

        let count = keys.len();
        keys.sort();
        keys.dedup();

        assert_eq!(keys.len(), count);
    }
}
