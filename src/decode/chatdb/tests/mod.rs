//! Whole rows, and any rows.

mod attachments;
mod balloons;
mod body;
mod history;

use proptest::prelude::*;

use crate::base::ids::Guid;
use crate::base::ids::Handle;
use crate::base::time::AppleTime;
use crate::codec::summary_info::tests::edited_and_unsent;
use crate::codec::typedstream::Attribute;
use crate::codec::typedstream::encode;
use crate::decode::chatdb::Directory;
use crate::decode::chatdb::build::RowBuilder;
use crate::decode::chatdb::build::attributed;
use crate::decode::chatdb::build::message_row;
use crate::decode::chatdb::decode;
use crate::model::body::Body;
use crate::model::body::Part;
use crate::model::body::PartContent;
use crate::model::message::Announcement;
use crate::model::message::Author;
use crate::model::message::Flag;
use crate::model::message::Flags;
use crate::model::message::Kind;
use crate::model::message::Message;
use crate::model::message::Times;
use crate::model::record::AttachmentColumn as A;
use crate::model::record::ChatRef;
use crate::model::record::Column;
use crate::model::record::MessageColumn as M;
use crate::model::record::MessageRecord;
use crate::model::record::Row;
use crate::model::record::Value;

const GUID: &str = "1A2B3C4D-0001-4002-8003-ABCDEF012345";

const PART: &str = "__kIMMessagePartAttributeName";
const FILE: &str = "__kIMFileTransferGUIDAttributeName";

fn message(record: MessageRecord) -> Message {
    decode(record, 0, &Directory::default()).message
}

fn part(number: i64) -> (&'static str, Attribute) {
    (PART, Attribute::Integer(number))
}

fn file(guid: &str) -> (&'static str, Attribute) {
    (FILE, Attribute::Text(guid.to_owned()))
}

fn text_part(number: u16, start: u32, length: u32) -> Part {
    Part {
        number,
        start,
        length,
        content: PartContent::Text,
    }
}

fn handle(text: &str) -> Handle {
    Handle::from_normal(text.to_owned())
}

/// A property list, as XML.
fn plist(inner: &str) -> Vec<u8> {
    format!("<plist version=\"1.0\">{inner}</plist>").into_bytes()
}

/// A keyed archive with a root of these fields.
fn archive(root: &str) -> Vec<u8> {
    plist(&format!(
        "<dict><key>$top</key><dict><key>root</key><dict>{root}</dict></dict>\
         <key>$objects</key><array><string>$null</string></array></dict>"
    ))
}

#[test]
fn a_plain_message_has_all_that_its_row_says() {
    let body = attributed(&[("Hi \u{1f600}", &[part(0)])]);
    let mut record = message_row()
        .text(M::Guid, &GUID.to_lowercase())
        .body(&body)
        .text(M::Text, "not read")
        .text(M::Service, "iMessage")
        .text(M::Subject, "Hello")
        .text(M::DestinationCallerId, "E@Example.org")
        .text(
            M::ExpressiveSendStyleId,
            "com.apple.MobileSMS.expressivesend.loud",
        )
        .integer(M::Date, 700_000_000)
        .integer(M::DateDelivered, 700_000_001_000_000_000)
        .integer(M::DateRead, 700_000_002_000_000_000)
        .integer(M::DatePlayed, 700_000_003_000_000_000)
        .integer(M::Error, 22)
        .record();
    record.handle = Some("+1 (555) 010-0001".to_owned());

    let expected = Message {
        guid: Guid::parse(GUID).unwrap(),
        kind: Kind::Message { about: None },
        author: Author::Other(handle("tel:+15550100001")),
        service: Some("iMessage".to_owned()),
        own_handle: Some(handle("mailto:e@example.org")),
        times: Times {
            sent: Some(AppleTime::from_nanos(700_000_000_000_000_000)),
            delivered: Some(AppleTime::from_nanos(700_000_001_000_000_000)),
            read: Some(AppleTime::from_nanos(700_000_002_000_000_000)),
            played: Some(AppleTime::from_nanos(700_000_003_000_000_000)),
            edited: None,
            deleted: None,
        },
        subject: Some("Hello".to_owned()),
        body: Some(Body {
            text: "Hi \u{1f600}".to_owned(),
            parts: vec![text_part(0, 0, 5)],
            ..Body::default()
        }),
        reply_to: None,
        edits: Vec::new(),
        unsent_parts: Vec::new(),
        attachments: Vec::new(),
        effect: Some("com.apple.MobileSMS.expressivesend.loud".to_owned()),
        app: None,
        link_preview: None,
        error: 22,
        flags: Flags::default(),
        unreadable: Vec::new(),
    };
    assert_eq!(message(record), expected);
}

#[test]
fn the_record_and_the_fingerprint_are_handed_on() {
    let record = message_row().text(M::Guid, GUID).record();

    let change = decode(record.clone(), 7, &Directory::default());

    assert_eq!((change.record, change.fingerprint), (record, 7));
}

#[test]
fn what_was_too_large_is_named() {
    let mut record = message_row().text(M::Guid, GUID).record();
    record.too_large = vec![("payload_data".to_owned(), 9_000_000)];

    assert_eq!(
        message(record).unreadable,
        ["payload_data: 9000000 bytes are too many to keep"]
    );
}

#[test]
fn own_rows_are_the_owners_whatever_their_handle() {
    let author = |row: RowBuilder<M>, raw: Option<&str>| {
        let mut record = row.record();
        record.handle = raw.map(str::to_owned);
        message(record).author
    };
    let own = || message_row().integer(M::IsFromMe, 1);

    assert_eq!(author(own(), Some("+15550100001")), Author::Owner);
    assert_eq!(author(message_row(), None), Author::Unknown);
    assert_eq!(
        author(message_row(), Some("DHL")),
        Author::Other(handle("DHL"))
    );
}

#[test]
fn a_shared_location_tells_its_direction_by_the_other_handle() {
    let shared = |direction| {
        let row = message_row()
            .integer(M::ItemType, 4)
            .integer(M::OtherHandle, 3)
            .integer(M::ShareDirection, direction);
        message(row.record())
    };

    assert_eq!(
        shared(0).kind,
        Kind::Announcement(Announcement::LocationStarted)
    );
    assert_eq!(shared(0).author, Author::Owner);
    assert_eq!(shared(1).author, Author::Unknown);
}

#[test]
fn unusable_times_are_none_and_the_future_stays() {
    let sent = |date| {
        message(message_row().integer(M::Date, date).record())
            .times
            .sent
    };

    assert_eq!(sent(0), None);
    assert_eq!(sent(-700_000_000), None);
    assert_eq!(sent(i64::MAX), Some(AppleTime::from_nanos(i64::MAX)));
}

#[test]
fn a_message_in_recently_deleted_has_the_time_of_that() {
    let mut record = message_row().record();
    let chat = ChatRef {
        guid: "SMS;-;+15550100001".to_owned(),
        service: "SMS".to_owned(),
    };
    record.recoverable = Some((chat, 700_000_000_000_000_000));

    let deleted = message(record).times.deleted;

    assert_eq!(
        deleted,
        Some(AppleTime::from_nanos(700_000_000_000_000_000))
    );
}

#[test]
fn flags_are_raised_by_their_columns() {
    let flags = |columns: &[(M, i64)]| -> Vec<&'static str> {
        let mut row = message_row();
        for (column, value) in columns {
            row = row.integer(*column, *value);
        }
        message(row.record()).flags.iter().map(Flag::name).collect()
    };
    let own = (M::IsFromMe, 1);

    assert_eq!(flags(&[own, (M::IsSent, 1)]), [""; 0]);
    assert_eq!(flags(&[own]), ["unfinished"]);
    assert_eq!(flags(&[own, (M::Error, 22)]), [""; 0]);
    assert_eq!(flags(&[own, (M::ItemType, 2)]), [""; 0]);
    assert_eq!(flags(&[own, (M::ScheduleType, 2)]), ["scheduled"]);
    assert_eq!(flags(&[own, (M::ScheduleType, 2), (M::IsSent, 1)]), [""; 0]);
    assert_eq!(flags(&[(M::ExpireState, 3)]), [""; 0]);
    assert_eq!(
        flags(&[(M::ExpireState, 3), (M::IsAudioMessage, 1)]),
        ["audio", "audio_kept"]
    );
    assert_eq!(
        flags(&[
            (M::WasDowngraded, 1),
            (M::IsStewie, 1),
            (M::DateRecovered, 5)
        ]),
        ["downgraded", "satellite", "recovered"]
    );
}

#[test]
fn announcements_have_no_body_unless_they_are_unknown() {
    let body = |item_type| {
        let row = message_row()
            .integer(M::ItemType, item_type)
            .text(M::Text, "Hello");
        message(row.record()).body
    };

    assert_eq!(body(2), None);
    assert_eq!(body(99), Some(Body::plain("Hello")));
}

/// Any value that SQLite can hold, often with a meaning.
fn value() -> impl Strategy<Value = Value> {
    let texts = prop::sample::select(vec![
        GUID,
        "p:0/1A2B3C4D-0001-4002-8003-ABCDEF099999",
        "bp:",
        "at_0_A",
        "+15550100001",
        "iMessage",
        "com.apple.messages.URLBalloonProvider",
        "com.apple.DigitalTouchBalloonProvider",
        "x:com.apple.messages.Polls",
        "99999:0:1",
        "",
    ]);
    let body = attributed(&[("\u{fffc}", &[part(70_000), file("A")]), ("x", &[part(-1)])]);
    let blobs = prop::sample::select(vec![
        encode(&body),
        edited_and_unsent(),
        archive("<key>metadata</key><dict/>"),
        Vec::new(),
    ]);
    let cut = (blobs, any::<prop::sample::Index>()).prop_map(|(mut bytes, at)| {
        if !bytes.is_empty() {
            bytes.truncate(at.index(bytes.len()) + 1);
        }
        Value::Blob(bytes)
    });
    prop_oneof![
        Just(Value::Null),
        (-8_i64..5_000).prop_map(Value::Integer),
        any::<i64>().prop_map(Value::Integer),
        any::<f64>().prop_map(Value::Real),
        texts.prop_map(|text| Value::Text(text.to_owned())),
        ".{0,12}".prop_map(Value::Text),
        prop::collection::vec(any::<u8>(), 0..64).prop_map(Value::Blob),
        cut,
    ]
}

fn row<C: Column>() -> impl Strategy<Value = Row> {
    prop::collection::vec(value(), 0..=C::NAMES.len()).prop_map(|values| Row {
        values,
        extra: Vec::new(),
    })
}

proptest! {
    #[test]
    fn any_row_becomes_a_message_with_parts_inside_its_text(
        row in row::<M>(),
        attachments in prop::collection::vec(row::<A>(), 0..3),
        handle in prop::option::of(".{0,12}"),
        chats in prop::collection::vec(("[a-z;+-]{0,4}", "[a-z]{0,2}"), 0..3),
    ) {
        let chats = chats.into_iter().map(|(guid, service)| ChatRef { guid, service });
        let record = MessageRecord {
            row,
            handle: handle.clone(),
            other_handle: handle,
            chats: chats.collect(),
            attachments,
            ..MessageRecord::default()
        };

        let change = decode(record.clone(), 1, &Directory::default());

        if let Some(body) = &change.message.body {
            let length = u32::try_from(body.text.encode_utf16().count()).unwrap();
            for part in &body.parts {
                prop_assert!(part.start + part.length <= length);
            }
        }
        prop_assert!(change.message.attachments.len() <= record.attachments.len());
        prop_assert_eq!(change.record.attachments.len(), record.attachments.len());
    }
}
