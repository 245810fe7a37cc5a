mod announcements;
mod balloons;
mod history;
mod parts;
mod relations;
mod tapbacks;

use std::collections::HashMap;

use serde_json::Value;
use serde_json::json;

use super::*;
use crate::base::ids::AttachmentGuid;
use crate::base::ids::ConversationKey;
use crate::matrix::ids::ServerName;
use crate::matrix::json::ClientEvent;
use crate::matrix::json::Form;
use crate::model::attachment::AttachmentState;
use crate::model::attachment::Missing;
use crate::model::attachment::Role;
use crate::model::attachment::Sticker;
use crate::model::body::Body;
use crate::model::body::Mention;
use crate::model::body::Part;
use crate::model::body::PartContent;
use crate::model::body::Span;
use crate::model::body::Style;
use crate::model::message::App;
use crate::model::message::AppContent;
use crate::model::message::Edit;
use crate::model::message::LinkPreview;
use crate::model::message::PollOption;
use crate::model::message::TapbackAction;
use crate::model::message::TapbackKind;
use crate::model::message::Times;
use crate::model::message::Version;

fn guid(n: u8) -> Guid {
    Guid::Uuid([n; 16])
}

fn ann() -> Handle {
    Handle::from_normal("tel:+15550100001".to_owned())
}

fn me() -> Handle {
    Handle::from_normal("tel:+15550100000".to_owned())
}

fn at(seconds: i64) -> AppleTime {
    AppleTime::from_unix_millis(seconds * 1_000)
}

/// A message of Ann's without content.
fn message(n: u8) -> Message {
    let kind = Kind::Message { about: None };
    Message {
        times: Times {
            sent: Some(at(1_000)),
            ..Times::default()
        },
        ..Message::new(guid(n), kind, Author::Other(ann()))
    }
}

fn text(n: u8, text: &str) -> Message {
    Message {
        body: Some(Body::plain(text)),
        ..message(n)
    }
}

fn flagged(flag: Flag) -> Message {
    let mut message = text(1, "hello");
    message.flags.set(flag, true);
    message
}

fn file(guid: &str, mime: &str) -> Attachment {
    Attachment {
        name: Some(format!("{guid}.bin")),
        mime: Some(mime.to_owned()),
        size_bytes: Some(7),
        ..Attachment::wanted(guid)
    }
}

fn part(number: u16, start: u32, length: u32, content: PartContent) -> Part {
    Part {
        number,
        start,
        length,
        content,
    }
}

fn photo(guid: &str) -> PartContent {
    PartContent::Attachment(AttachmentGuid::parse(guid).unwrap())
}

/// Two photos and a text, as in semantics 14.3.
fn photos_and_text(n: u8) -> Message {
    Message {
        body: Some(Body {
            parts: vec![
                part(0, 0, 1, photo("A")),
                part(1, 1, 1, photo("B")),
                part(2, 2, 5, PartContent::Text),
            ],
            ..Body::plain("\u{fffc}\u{fffc}hello")
        }),
        attachments: vec![file("B", "image/jpeg"), file("a", "image/heic")],
        ..message(n)
    }
}

fn version(text: &str, seconds: i64) -> Version {
    Version {
        text: Some(text.to_owned()),
        at: Some(at(seconds)),
        spans: Vec::new(),
    }
}

/// Edited twice.
fn edited() -> Message {
    Message {
        body: Some(Body {
            parts: vec![part(0, 0, 9, PartContent::Text)],
            mentions: vec![Mention {
                start: 6,
                length: 3,
                handle: me(),
            }],
            ..Body::plain("hello Ada")
        }),
        edits: vec![Edit {
            part: 0,
            versions: vec![
                version("helo", 1_000),
                version("hello", 1_060),
                version("hello Ada", 1_120),
            ],
        }],
        ..message(1)
    }
}

fn tapback(n: u8, author: Author, action: TapbackAction, kind: TapbackKind) -> Message {
    Message {
        kind: Kind::Tapback(Tapback {
            action,
            kind,
            target: Target {
                guid: guid(1),
                part: 0,
            },
        }),
        author,
        ..message(n)
    }
}

fn announcement(what: Announcement) -> Message {
    Message {
        kind: Kind::Announcement(what),
        ..message(1)
    }
}

/// A room, and what it holds.
struct World {
    account: Account,
    room: RoomId,
    held: HashMap<Guid, Message>,
    tapbacks: Vec<Message>,
    media: bool,
    incarnation: Incarnation,
}

impl World {
    fn new() -> Self {
        let account = Account::new("ada", ServerName::parse("example.org").unwrap()).unwrap();
        let room = account.room(&ConversationKey::direct(&ann()), 0);
        Self {
            account,
            room,
            held: HashMap::new(),
            tapbacks: Vec::new(),
            media: true,
            incarnation: Incarnation::default(),
        }
    }

    fn holding(messages: impl IntoIterator<Item = Message>) -> Self {
        let mut world = Self::new();
        for message in messages {
            if matches!(message.kind, Kind::Tapback(_)) {
                world.tapbacks.push(message);
            } else {
                world.held.insert(message.guid.clone(), message);
            }
        }
        world
    }

    fn row<'a>(&self, message: &'a Message, mark: Mark) -> Row<'a> {
        Row {
            message,
            time: at(1_000),
            incarnation: self.incarnation,
            duplicate_of: None,
            mark,
        }
    }

    fn events(&self, message: &Message) -> Vec<Event> {
        events_of(&self.row(message, Mark::Message), self).unwrap()
    }

    fn hidden(&self, message: &Message) -> Hidden {
        events_of(&self.row(message, Mark::Message), self).unwrap_err()
    }

    fn marked(&self, message: &Message, mark: Mark) -> Vec<Event> {
        events_of(&self.row(message, mark), self).unwrap()
    }

    fn one(&self, message: &Message) -> Event {
        let mut events = self.events(message);
        assert_eq!(events.len(), 1);
        events.remove(0)
    }

    fn id(&self, event: &Event) -> String {
        self.room.event_id(&event.key)
    }

    fn json(&self, event: &Event) -> Value {
        let json = ClientEvent::new(event, &self.room, Form::InRoom).to_json();
        serde_json::from_str(&json).unwrap()
    }
}

impl Context for World {
    fn account(&self) -> &Account {
        &self.account
    }

    fn room(&self) -> &RoomId {
        &self.room
    }

    fn user(&self, handle: &Handle) -> UserId {
        if *handle == me() {
            self.account.user().clone()
        } else {
            self.account.ghost(handle)
        }
    }

    fn name(&self, handle: &Handle) -> String {
        if *handle == ann() {
            "Ann".to_owned()
        } else {
            handle.address().to_owned()
        }
    }

    fn held(&self, guid: &Guid) -> Option<Held> {
        self.held.get(guid).map(|message| Held {
            message: message.clone(),
            incarnation: Incarnation::default(),
        })
    }

    fn tapbacks(&self, target: &Guid) -> Vec<Made> {
        let made = self.tapbacks.iter().filter_map(|message| {
            let Kind::Tapback(tapback) = &message.kind else {
                return None;
            };
            Some(Made {
                guid: message.guid.clone(),
                incarnation: Incarnation::default(),
                time: message.times.sent?,
                author: message.author.clone(),
                tapback: tapback.clone(),
            })
        });
        made.filter(|made| made.tapback.target.guid == *target)
            .collect()
    }

    fn media(&self, attachment: &Attachment) -> Option<Media> {
        self.media.then(|| Media {
            url: format!("mxc://example.org/{}", attachment.guid.folded()),
            pixels: Some((3, 4)),
            ..Media::default()
        })
    }

    fn state_before(&self, _: &Row<'_>, event_type: &str, _: &str) -> Option<Content> {
        let name = Content::from_iter([("name".to_owned(), "Old".into())]);
        (event_type == "m.room.name").then_some(name)
    }
}
