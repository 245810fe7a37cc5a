//! Samples of every stored type: one with everything in it, one with nothing, and one for each variant of an enum.

use crate::support::cloud_samples::cloud;
use footbridge::base::ids::AttachmentGuid;
use footbridge::base::ids::ChangeNumber;
use footbridge::base::ids::ConversationKey;
use footbridge::base::ids::Guid;
use footbridge::base::ids::Handle;
use footbridge::base::ids::RowId;
use footbridge::base::time::AppleTime;
use footbridge::model::attachment::Attachment;
use footbridge::model::attachment::AttachmentState;
use footbridge::model::attachment::Missing;
use footbridge::model::attachment::Role;
use footbridge::model::attachment::Sticker;
use footbridge::model::body::Body;
use footbridge::model::body::Mention;
use footbridge::model::body::Part;
use footbridge::model::body::PartContent;
use footbridge::model::body::Span;
use footbridge::model::body::Style;
use footbridge::model::change::Cursor;
use footbridge::model::change::Parked;
use footbridge::model::change::Placement;
use footbridge::model::contact::Contact;
use footbridge::model::conversation::Alias;
use footbridge::model::conversation::Conversation;
use footbridge::model::conversation::ConversationKind;
use footbridge::model::conversation::Filed;
use footbridge::model::conversation::Name;
use footbridge::model::message::Announcement;
use footbridge::model::message::App;
use footbridge::model::message::AppContent;
use footbridge::model::message::Author;
use footbridge::model::message::Edit;
use footbridge::model::message::Flag;
use footbridge::model::message::Flags;
use footbridge::model::message::Kind;
use footbridge::model::message::LinkPreview;
use footbridge::model::message::Message;
use footbridge::model::message::PollOption;
use footbridge::model::message::Tapback;
use footbridge::model::message::TapbackAction;
use footbridge::model::message::TapbackKind;
use footbridge::model::message::Target;
use footbridge::model::message::Times;
use footbridge::model::message::Version;
use footbridge::model::record::ChatRecord;
use footbridge::model::record::ChatRef;
use footbridge::model::record::HandleRow;
use footbridge::model::record::MessageRecord;
use footbridge::model::record::Row;
use footbridge::model::record::SourceKind;
use footbridge::model::record::Value;
use footbridge::store::value::AccountData;
use footbridge::store::value::ChangeEntry;
use footbridge::store::value::ChangeKind;
use footbridge::store::value::Device;
use footbridge::store::value::Failure;
use footbridge::store::value::Filter;
use footbridge::store::value::Head;
use footbridge::store::value::LocalEvent;
use footbridge::store::value::Mark;
use footbridge::store::value::MarkKind;
use footbridge::store::value::Merge;
use footbridge::store::value::Opaque;
use footbridge::store::value::ParkedRow;
use footbridge::store::value::QuarantineRow;
use footbridge::store::value::ReadFrom;
use footbridge::store::value::ReadPosition;
use footbridge::store::value::Receipt;
use footbridge::store::value::Room;
use footbridge::store::value::RoomOrigin;
use footbridge::store::value::RoomState;
use footbridge::store::value::SentEvent;
use footbridge::store::value::Stored;
use footbridge::store::value::StoredAttachment;
use footbridge::store::value::StoredChat;
use footbridge::store::value::StoredConversation;
use footbridge::store::value::StoredKey;
use footbridge::store::value::StoredMessage;
use footbridge::store::value::StoredRecord;
use footbridge::store::value::ToDevice;
use footbridge::store::value::Token;
use footbridge::store::value::Tombstone;
use footbridge::store::value::Upload;
use footbridge::store::value::User;

/// A value of a stored type, its bytes, and whether other bytes are that value.
pub(crate) struct Sample {
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    is_value_of: IsValueOf,
}

type IsValueOf = Box<dyn Fn(&[u8]) -> bool>;

impl Sample {
    pub(crate) fn new<V: Stored + PartialEq + 'static>(name: impl Into<String>, value: V) -> Self {
        Self {
            kind: V::KIND,
            name: name.into(),
            bytes: value.to_bytes().unwrap(),
            is_value_of: Box::new(move |bytes| {
                V::from_bytes(bytes).is_ok_and(|read| read == value)
            }),
        }
    }

    /// Whether bytes decode to this value.
    pub(crate) fn is_value_of(&self, bytes: &[u8]) -> bool {
        (self.is_value_of)(bytes)
    }
}

/// Every sample.
pub(crate) fn samples() -> Vec<Sample> {
    let mut samples = messages();
    samples.extend(records());
    samples.extend(conversations());
    samples.extend(people());
    samples.extend(attachments());
    samples.extend(ledgers());
    samples.extend(accounts());
    samples.extend(cloud());
    samples
}

pub(crate) fn guid(text: &str) -> Guid {
    Guid::parse(text).unwrap()
}

pub(crate) fn handle(text: &str) -> Handle {
    Handle::from_normal(text.to_owned())
}

#[expect(clippy::unnecessary_wraps, reason = "nearly every field is optional")]
fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn at(nanos: i64) -> AppleTime {
    AppleTime::from_nanos(nanos)
}

/// A message of which nothing is known but that it is there.
pub(crate) fn bare_message(kind: Kind) -> Message {
    Message::new(guid("cs"), kind, Author::Owner)
}

fn stored(message: Message) -> StoredMessage {
    StoredMessage {
        message,
        conversation: None,
        also_in: Vec::new(),
        time: at(0),
        first_seen: at(0),
        first_change: ChangeNumber(1),
        last_change: ChangeNumber(1),
        sources: vec![SourceKind::ChatDb],
        duplicate_of: None,
        attachments: Vec::new(),
        came: None,
        marks: Vec::new(),
    }
}

fn target() -> Target {
    Target {
        guid: guid("1A2B3C4D-0001-4002-8003-ABCDEF012345"),
        part: 2,
    }
}

fn rich_message() -> StoredMessage {
    let spans = vec![
        Span {
            start: 0,
            length: 5,
            style: Style::Bold,
        },
        Span {
            start: 300,
            length: 70_000,
            style: Style::Effect(12),
        },
    ];
    let mut flags = Flags::default();
    flags.set(Flag::Downgraded, true);
    flags.set(Flag::Recovered, true);
    let message = Message {
        guid: guid("1A2B3C4D-0001-4002-8003-ABCDEF012346"),
        author: Author::Other(handle("tel:+15550100001")),
        service: text("iMessage"),
        own_handle: Some(handle("mailto:owner@example.org")),
        times: Times {
            sent: Some(at(743_907_180_874_287_000)),
            delivered: Some(at(1)),
            read: Some(at(-1)),
            played: Some(at(i64::MAX)),
            edited: Some(at(i64::MIN)),
            deleted: Some(at(300)),
        },
        subject: text("Subject"),
        body: Some(Body {
            text: "Gr\u{fc}\u{df}e \u{1f600}\u{fffc}".to_owned(),
            parts: vec![
                part(0, PartContent::Text),
                part(
                    1,
                    PartContent::Attachment(
                        AttachmentGuid::parse("at_1_1A2B3C4D-0001-4002-8003-ABCDEF012346").unwrap(),
                    ),
                ),
                part(3, PartContent::Balloon),
            ],
            spans: spans.clone(),
            mentions: vec![Mention {
                start: 1,
                length: 2,
                handle: handle("tel:+15550100002"),
            }],
            links: vec!["https://example.org/".to_owned()],
        }),
        reply_to: Some(target()),
        edits: vec![Edit {
            part: 0,
            versions: vec![
                Version {
                    text: text("before"),
                    at: None,
                    spans: Vec::new(),
                },
                Version {
                    text: None,
                    at: Some(at(2)),
                    spans,
                },
            ],
        }],
        unsent_parts: vec![2, 4],
        effect: text("com.apple.messages.effect.CKConfettiEffect"),
        app: Some(App {
            bundle: "com.example.app".to_owned(),
            name: text("App"),
            captions: vec!["one".to_owned(), "two".to_owned()],
            text: text("shown"),
            url: text("https://example.org/app"),
            content: AppContent::Opaque,
        }),
        link_preview: Some(link_preview()),
        error: -22,
        flags,
        unreadable: vec!["the payload ends inside a number".to_owned()],
        ..bare_message(Kind::Message {
            about: Some(target()),
        })
    };
    StoredMessage {
        conversation: Some(RowId(250)),
        also_in: vec![RowId(251), RowId(65_536)],
        time: at(743_907_180_874_287_000),
        first_seen: at(743_907_181_000_000_000),
        first_change: ChangeNumber(1 << 32),
        last_change: ChangeNumber(u64::MAX),
        duplicate_of: Some(guid("cs")),
        attachments: vec![RowId(7), RowId(1_000)],
        marks: first_marks(),
        ..stored(message)
    }
}

fn link_preview() -> LinkPreview {
    LinkPreview {
        url: text("https://example.org/a"),
        original_url: text("https://example.org/b"),
        title: text("Title"),
        summary: text("Summary"),
        site: text("Site"),
    }
}

/// The marks of the rich message: what version 1 is read as.
fn first_marks() -> Vec<Mark> {
    vec![
        mark(MarkKind::Unsend { part: 2 }, i64::MIN, 1 << 32),
        mark(MarkKind::Unsend { part: 4 }, i64::MIN, 1 << 32),
        mark(
            MarkKind::Edit {
                part: 0,
                version: 1,
            },
            2,
            1 << 32,
        ),
    ]
}

fn mark(kind: MarkKind, when: i64, change: u64) -> Mark {
    Mark {
        kind,
        at: at(when),
        change: ChangeNumber(change),
    }
}

/// One that was deleted and came back.
fn restored_message() -> StoredMessage {
    StoredMessage {
        came: Some(ChangeNumber(300)),
        marks: vec![
            mark(MarkKind::Deletion, 5, 200),
            mark(MarkKind::Restoration, 6, 300),
        ],
        ..stored(bare_message(Kind::Message { about: None }))
    }
}

/// One that is in another conversation than before.
fn moved_message() -> StoredMessage {
    StoredMessage {
        came: Some(ChangeNumber(300)),
        marks: vec![mark(MarkKind::Move, 6, 300)],
        ..stored(bare_message(Kind::Message { about: None }))
    }
}

fn part(number: u16, content: PartContent) -> Part {
    Part {
        number,
        start: u32::from(number),
        length: 1,
        content,
    }
}

fn messages() -> Vec<Sample> {
    let mut samples = vec![
        Sample::new("rich", rich_message()),
        Sample::new("restored", restored_message()),
        Sample::new("moved", moved_message()),
        Sample::new(
            "minimal",
            stored(bare_message(Kind::Message { about: None })),
        ),
    ];
    let someone = || Some(handle("tel:+15550100002"));
    let kinds = [
        Announcement::Renamed(text("Name")),
        Announcement::Added(someone()),
        Announcement::Removed(None),
        Announcement::Left,
        Announcement::Joined,
        Announcement::PhotoSet,
        Announcement::PhotoRemoved,
        Announcement::BackgroundSet,
        Announcement::BackgroundRemoved,
        Announcement::LocationStarted,
        Announcement::LocationStopped,
        Announcement::AudioKept,
        Announcement::SharePlay,
        Announcement::NumberChanged(someone()),
        Announcement::Other {
            item_type: 9,
            action: -1,
        },
    ];
    samples.extend(kinds.into_iter().map(|announcement| {
        let name = format!("announcement {}", announcement.name());
        Sample::new(name, stored(bare_message(Kind::Announcement(announcement))))
    }));
    samples.extend(tapbacks());
    samples.extend(bodies());
    samples
}

fn tapbacks() -> impl Iterator<Item = Sample> {
    let kinds = [
        TapbackKind::Love,
        TapbackKind::Like,
        TapbackKind::Dislike,
        TapbackKind::Laugh,
        TapbackKind::Emphasize,
        TapbackKind::Question,
        TapbackKind::Emoji(text("\u{1f98a}")),
        TapbackKind::Sticker,
    ];
    kinds.into_iter().map(|kind| {
        let name = format!("tapback {}", kind.name());
        let action = if kind == TapbackKind::Sticker {
            TapbackAction::Remove
        } else {
            TapbackAction::Add
        };
        let tapback = Tapback {
            action,
            kind,
            target: target(),
        };
        Sample::new(name, stored(bare_message(Kind::Tapback(tapback))))
    })
}

fn bodies() -> Vec<Sample> {
    let mut samples = Vec::new();
    let styles = [
        Style::Bold,
        Style::Italic,
        Style::Underline,
        Style::Strikethrough,
        Style::Effect(5),
    ];
    samples.extend(styles.into_iter().map(|style| {
        let mut message = bare_message(Kind::Message { about: None });
        message.author = Author::Unknown;
        message.body = Some(Body {
            spans: vec![Span {
                start: 0,
                length: 1,
                style,
            }],
            ..Body::plain("x")
        });
        Sample::new(format!("style {}", style.name()), stored(message))
    }));
    let option = PollOption {
        id: "A".to_owned(),
        text: "Monday".to_owned(),
    };
    let contents = [
        ("handwriting", AppContent::Handwriting),
        (
            "digital touch",
            AppContent::DigitalTouch("sketch".to_owned()),
        ),
        (
            "poll",
            AppContent::Poll {
                title: text("When?"),
                options: vec![option],
            },
        ),
        (
            "votes",
            AppContent::Votes(vec![
                ("A".to_owned(), Some(handle("tel:+15550100002"))),
                ("A".to_owned(), None),
            ]),
        ),
    ];
    samples.extend(contents.into_iter().map(|(name, content)| {
        let mut message = bare_message(Kind::Message { about: None });
        message.app = Some(App {
            content,
            ..App::default()
        });
        Sample::new(format!("app {name}"), stored(message))
    }));
    samples
}

/// A row with a value of every type, nulls and zeros between them, and two columns without a number.
fn row() -> Row {
    let mut values = vec![Value::Null; 12];
    values[0] = Value::Text("1A2B3C4D-0001-4002-8003-ABCDEF012345".to_owned());
    values[2] = Value::Integer(0);
    values[3] = Value::Blob(vec![0, 255]);
    values[6] = Value::Integer(743_907_180_874_287_000);
    values[9] = Value::Integer(0);
    values[10] = Value::Integer(0);
    values[11] = Value::Real(1.5);
    Row {
        values,
        extra: vec![
            ("new_column".to_owned(), Value::Integer(-126)),
            ("another".to_owned(), Value::Text("a".to_owned())),
        ],
    }
}

fn records() -> Vec<Sample> {
    let chat = ChatRef {
        guid: "iMessage;-;+15550100001".to_owned(),
        service: "iMessage".to_owned(),
    };
    let record = MessageRecord {
        row: row(),
        handle: text("+15550100001"),
        other_handle: text("bea@example.org"),
        chats: vec![chat.clone()],
        recoverable: Some((chat, 300)),
        attachments: vec![row(), Row::default()],
        too_large: vec![("payload_data".to_owned(), 9_000_000)],
    };
    let chat = ChatRecord {
        row: row(),
        members: vec!["+15550100001".to_owned()],
        lookups: vec![("+15550100001".to_owned(), "sms".to_owned())],
    };
    vec![
        Sample::new("rich", StoredRecord { decoder: 1, record }),
        Sample::new(
            "minimal",
            StoredRecord {
                decoder: 0,
                record: MessageRecord::default(),
            },
        ),
        Sample::new(
            "rich",
            StoredChat {
                conversation: RowId(300),
                record: chat,
            },
        ),
        Sample::new(
            "minimal",
            StoredChat {
                conversation: RowId(1),
                record: ChatRecord::default(),
            },
        ),
    ]
}

fn conversations() -> Vec<Sample> {
    let bare = |kind, filed| StoredConversation {
        conversation: Conversation {
            key: ConversationKey::direct(&handle("tel:+15550100001")),
            kind,
            service: None,
            participants: Vec::new(),
            name: None,
            deleted: None,
            filed,
        },
        first_change: ChangeNumber(1),
        last_change: ChangeNumber(1),
        united_into: None,
    };
    let rich = StoredConversation {
        conversation: Conversation {
            key: ConversationKey::group("1A2B3C4D-0001-4002-8003-ABCDEF012345"),
            kind: ConversationKind::Group,
            service: text("iMessage"),
            participants: vec![handle("tel:+15550100001"), handle("mailto:bea@example.org")],
            name: Some(Name {
                text: "The Office".to_owned(),
                at: Some(at(5)),
            }),
            deleted: Some(at(6)),
            filed: Filed::Junk,
        },
        first_change: ChangeNumber(2),
        last_change: ChangeNumber(300),
        united_into: Some(RowId(1)),
    };
    vec![
        Sample::new("rich", rich),
        Sample::new("minimal", bare(ConversationKind::Direct, Filed::Inbox)),
        Sample::new("archived", bare(ConversationKind::Group, Filed::Archived)),
        Sample::new(
            "rich",
            Head {
                messages: 300,
                oldest: Some(at(-1)),
                newest: Some(at(743_907_180_874_287_000)),
                ..Head::default()
            },
        ),
        Sample::new("published", published_head(ReadFrom::Source)),
        Sample::new("written", published_head(ReadFrom::Written)),
        Sample::new("read", published_head(ReadFrom::Client)),
        Sample::new("minimal", Head::default()),
        Sample::new("into", Merge::Into(RowId(300))),
        Sample::new("apart", Merge::Apart),
    ]
}

fn people() -> Vec<Sample> {
    vec![
        Sample::new(
            "rich",
            HandleRow {
                id: "+15550100001".to_owned(),
                service: "iMessage".to_owned(),
                country: text("us"),
                uncanonicalized_id: text("(555) 010-0001"),
                person_centric_id: text("P"),
            },
        ),
        Sample::new("minimal", HandleRow::default()),
        Sample::new(
            "rich",
            Contact {
                id: "BEA:ABPerson".to_owned(),
                name: "Bea Example".to_owned(),
                handles: vec![handle("tel:+15550100001")],
                is_owner: true,
            },
        ),
        Sample::new("minimal", Contact::default()),
    ]
}

/// An attachment of which nothing is known but its GUID and state.
pub(crate) fn bare_attachment(guid: &str, state: AttachmentState) -> Attachment {
    Attachment {
        guid: AttachmentGuid::parse(guid).unwrap(),
        original_guid: None,
        part: None,
        role: Role::File,
        name: None,
        mime: None,
        uti: None,
        size_bytes: None,
        path: None,
        live_photo: false,
        transcription: None,
        sticker: None,
        state,
    }
}

fn attachments() -> Vec<Sample> {
    let held = AttachmentState::Held {
        sha256: [0xab; 32],
        modified: at(4),
    };
    let rich = Attachment {
        original_guid: AttachmentGuid::parse("1A2B3C4D-0001-4002-8003-ABCDEF012347"),
        part: Some(300),
        role: Role::Preview,
        name: text("IMG_0001.HEIC"),
        mime: text("image/heic"),
        uti: text("public.heic"),
        size_bytes: Some(1 << 40),
        path: text("~/Library/Messages/Attachments/00/IMG_0001.HEIC"),
        live_photo: true,
        transcription: text("hello"),
        sticker: Some(Sticker {
            effect: text("comic"),
            source: text("com.example.stickers"),
            description: text("a fox"),
        }),
        ..bare_attachment("at_0_1A2B3C4D-0001-4002-8003-ABCDEF012345", held)
    };
    let mut samples = vec![Sample::new(
        "rich",
        StoredAttachment {
            message: RowId(300),
            attachment: rich,
        },
    )];
    let reason = || "input/output error".to_owned();
    let states = [
        ("minimal", AttachmentState::Wanted),
        ("no path", AttachmentState::Missing(Missing::NoPath)),
        ("not found", AttachmentState::Missing(Missing::NotFound)),
        ("outside", AttachmentState::Missing(Missing::Outside)),
        ("not a file", AttachmentState::Missing(Missing::NotAFile)),
        ("failed", AttachmentState::Failed { reason: reason() }),
        ("abandoned", AttachmentState::Abandoned { reason: reason() }),
    ];
    samples.extend(states.into_iter().map(|(name, state)| {
        Sample::new(
            name,
            StoredAttachment {
                message: RowId(1),
                attachment: bare_attachment("a", state),
            },
        )
    }));
    samples
}

fn published_head(from: ReadFrom) -> Head {
    Head {
        messages: 1,
        oldest: Some(at(1)),
        newest: Some(at(2)),
        newest_message: Some(at(1)),
        published: Some(ChangeNumber(300)),
        created: Some(at(1)),
        epoch: 2,
        history_epoch: 1,
        history_change: Some(ChangeNumber(400)),
        last_change: ChangeNumber(1 << 20),
        read: Some(ReadPosition {
            time: at(1),
            row: RowId(7),
            from,
        }),
    }
}

fn upload() -> Sample {
    Sample::new(
        "rich",
        Upload {
            account: 0,
            name: text("picture.png"),
            mime: text("image/png"),
            size_bytes: 1 << 40,
            completed: Some(at(2)),
            created: at(1),
        },
    )
}

fn accounts() -> Vec<Sample> {
    let change = ChangeNumber(300);
    let body = || Opaque(b"{}".to_vec());
    let room = |origin| Room {
        conversation: RowId(300),
        epoch: 1,
        origin,
    };
    vec![
        Sample::new(
            "rich",
            User {
                name: "ann".to_owned(),
                password: "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA".to_owned(),
                created: at(1),
            },
        ),
        Sample::new("archive", room(RoomOrigin::Archive)),
        Sample::new("local", room(RoomOrigin::Local)),
        Sample::new(
            "rich",
            RoomState {
                change,
                at: at(1),
                body: body(),
            },
        ),
        Sample::new(
            "rich",
            LocalEvent {
                id: "$event".to_owned(),
                at: at(1),
                body: body(),
            },
        ),
        Sample::new(
            "rich",
            Device {
                name: text("Phone"),
                token: Some([0xab; 32]),
                created: at(1),
                seen: Some(at(2)),
                address: text("127.0.0.1"),
                agent: text("client/1"),
            },
        ),
        Sample::new("minimal", Device::default()),
        Sample::new(
            "rich",
            Token {
                account: 1,
                device: "ABCDEFGHIJ".to_owned(),
                created: at(1),
            },
        ),
        Sample::new("rich", Filter { body: body() }),
        Sample::new(
            "rich",
            AccountData {
                change,
                body: body(),
            },
        ),
        Sample::new(
            "rich",
            Receipt {
                change,
                event_id: "$event".to_owned(),
                time: at(1),
                row: RowId(300),
                at: at(2),
                thread: text("main"),
            },
        ),
        Sample::new("rich", ToDevice { body: body() }),
        Sample::new(
            "rich",
            StoredKey {
                change,
                used: true,
                body: body(),
            },
        ),
        Sample::new(
            "rich",
            SentEvent {
                event_id: "$event".to_owned(),
                at: at(1),
            },
        ),
        upload(),
    ]
}

fn ledgers() -> Vec<Sample> {
    let parked = |otherwise, candidates| ParkedRow {
        placement: Placement {
            candidates,
            otherwise,
        },
        since: at(8),
    };
    let candidates = vec![
        Alias::chat("iMessage;+;chat123"),
        Alias::room("chat123456789012345678"),
    ];
    let entry = |kind, conversation| ChangeEntry {
        kind,
        row: RowId(300),
        at: at(9),
        conversation: RowId(conversation),
    };
    let change = |kind| entry(kind, 0);
    let later = [
        ("gone", ChangeKind::Gone),
        ("published", ChangeKind::Published),
        ("pass", ChangeKind::Pass),
        ("epoch", ChangeKind::Epoch),
        ("room state", ChangeKind::RoomState),
        ("local event", ChangeKind::LocalEvent),
        ("account data", ChangeKind::AccountData),
        ("receipt", ChangeKind::Receipt),
        ("to device", ChangeKind::ToDevice),
        ("device", ChangeKind::Device),
        ("keys", ChangeKind::Keys),
    ];
    let later = later.map(|(name, kind)| Sample::new(name, entry(kind, 250)));
    let mut samples = Vec::from(later);
    samples.extend([
        Sample::new("rich", parked(Parked::UnknownChat, candidates)),
        Sample::new("minimal", parked(Parked::NoChat, Vec::new())),
        Sample::new("unknown room", parked(Parked::UnknownRoom, Vec::new())),
        Sample::new(
            "rich",
            QuarantineRow {
                reasons: vec!["the body ends inside a string".to_owned()],
                decoder: 300,
                attempts: 2,
                since: at(10),
            },
        ),
        Sample::new(
            "minimal",
            QuarantineRow {
                reasons: Vec::new(),
                decoder: 0,
                attempts: 0,
                since: at(0),
            },
        ),
        Sample::new("minimal", Tombstone { at: at(0) }),
        Sample::new("rich", Tombstone { at: at(-300) }),
        Sample::new(
            "rich",
            Failure {
                attempts: 3,
                first: at(1),
                last: at(2),
                reason: "permission denied".to_owned(),
                given_up: true,
            },
        ),
        Sample::new(
            "minimal",
            Failure {
                attempts: 0,
                first: at(0),
                last: at(0),
                reason: String::new(),
                given_up: false,
            },
        ),
        Sample::new("message", change(ChangeKind::Message)),
        Sample::new("conversation", entry(ChangeKind::Conversation, 300)),
        Sample::new("contacts", change(ChangeKind::Contacts)),
        Sample::new(
            "rich",
            Cursor {
                inputs: [0xcd; 32],
                scanned: Some(-1),
            },
        ),
        Sample::new("minimal", Cursor::default()),
    ]);
    samples
}
