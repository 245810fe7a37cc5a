use proptest::prelude::*;

use super::Directory;
use super::build::RowBuilder;
use super::build::attachment_row;
use super::build::attributed;
use super::build::message_row;
use super::decode;
use crate::base::ids::AttachmentGuid;
use crate::base::ids::Guid;
use crate::base::ids::Handle;
use crate::base::time::AppleTime;
use crate::codec::digital_touch;
use crate::codec::handwriting;
use crate::codec::summary_info::tests::edited_and_unsent;
use crate::codec::typedstream::Attribute;
use crate::codec::typedstream::Url;
use crate::codec::typedstream::encode;
use crate::model::attachment::Attachment;
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
use crate::model::message::Announcement;
use crate::model::message::App;
use crate::model::message::AppContent;
use crate::model::message::Author;
use crate::model::message::Edit;
use crate::model::message::Flag;
use crate::model::message::Flags;
use crate::model::message::Kind;
use crate::model::message::LinkPreview;
use crate::model::message::Message;
use crate::model::message::Times;
use crate::model::message::Version;
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
fn adjacent_runs_of_one_number_are_one_part_and_holes_stay() {
    let bold = ("__kIMTextBoldAttributeName", Attribute::Integer(1));
    let plain = ("__kIMTextItalicAttributeName", Attribute::Integer(0));
    let shake = ("__kIMTextEffectAttributeName", Attribute::Real(9.0));
    let body = attributed(&[
        ("a\u{1f600}", &[part(0), bold]),
        ("bc", &[part(0), plain]),
        ("d", &[shake, part(2)]),
    ]);

    let body = message(message_row().body(&body).record()).body.unwrap();

    assert_eq!(body.parts, [text_part(0, 0, 5), text_part(2, 5, 1)]);
    let span = |start, length, style| Span {
        start,
        length,
        style,
    };
    assert_eq!(
        body.spans,
        [span(0, 3, Style::Bold), span(5, 1, Style::Effect(9))]
    );
}

#[test]
fn mentions_and_links_are_found_and_joined_over_styles() {
    let bold = ("__kIMTextBoldAttributeName", Attribute::Integer(1));
    let mention = |raw: &str| {
        (
            "__kIMMentionConfirmedMention",
            Attribute::Text(raw.to_owned()),
        )
    };
    let link = |url: &str| ("__kIMLinkAttributeName", Attribute::Url(Url::absolute(url)));
    let body = attributed(&[
        ("A", &[part(0), mention("5550100001")]),
        ("da", &[part(0), mention("5550100001"), bold.clone()]),
        ("Ben", &[part(0), mention("ben@example.org")]),
        ("https://", &[part(0), link("https://example.org/")]),
        (
            "example.org/",
            &[part(0), link("https://example.org/"), bold],
        ),
    ]);

    let body = message(message_row().body(&body).record()).body.unwrap();

    let mention = |start, length, who| Mention {
        start,
        length,
        handle: handle(who),
    };
    assert_eq!(
        body.mentions,
        [
            mention(0, 3, "tel:+15550100001"),
            mention(3, 3, "mailto:ben@example.org")
        ]
    );
    assert_eq!(body.links, ["https://example.org/"]);
    assert_eq!(body.parts, [text_part(0, 0, 26)]);
}

#[test]
fn an_attachment_beside_text_in_one_part_is_inline() {
    let body = attributed(&[
        ("\u{fffc}", &[part(0), file("at_0_A")]),
        ("look ", &[part(1)]),
        ("\u{fffc}", &[part(1), file("at_1_A")]),
    ]);
    let mut record = message_row().body(&body).record();
    record.attachments = vec![
        attachment_row("at_1_A").row(),
        attachment_row("at_0_A").row(),
    ];

    let message = message(record);

    let photo = AttachmentGuid::parse("at_0_A").unwrap();
    let parts = [
        Part {
            content: PartContent::Attachment(photo),
            ..text_part(0, 0, 1)
        },
        text_part(1, 1, 6),
    ];
    assert_eq!(message.body.unwrap().parts, parts);
    let places: Vec<_> = message
        .attachments
        .iter()
        .map(|attachment| (attachment.guid.as_str(), attachment.part))
        .collect();
    assert_eq!(places, [("at_0_A", Some(0)), ("at_1_A", Some(1))]);
}

#[test]
fn a_body_without_part_numbers_counts_its_components() {
    let body = attributed(&[
        ("\u{fffc}", &[file("A")]),
        ("\u{fffc}", &[file("B")]),
        ("hel", &[]),
        ("lo", &[]),
    ]);

    let body = message(message_row().body(&body).record()).body.unwrap();

    let numbers: Vec<_> = body
        .parts
        .iter()
        .map(|part| (part.number, part.length))
        .collect();
    assert_eq!(numbers, [(0, 1), (1, 1), (2, 5)]);
}

#[test]
fn a_body_whose_runs_end_early_keeps_the_rest_in_a_part() {
    let mut body = attributed(&[("Hello", &[part(0)])]);
    body.text.push_str(" \u{1f600}");

    let body = message(message_row().body(&body).record()).body.unwrap();

    assert_eq!(body.parts, [text_part(0, 0, 8)]);
}

#[test]
fn a_damaged_body_leaves_the_text_column() {
    let row = || {
        message_row()
            .text(M::Guid, GUID)
            .blob(M::AttributedBody, b"\x04\x0bstreamtyped")
    };

    let with_text = message(row().text(M::Text, "Hello").record());
    let without = message(row().record());

    assert_eq!(with_text.body, Some(Body::plain("Hello")));
    assert_eq!(without.body, None);
    assert_eq!(without.unreadable.len(), 1);
    assert!(without.unreadable[0].starts_with("attributedBody: expected "));
}

#[test]
fn a_truncated_body_without_text_column_gives_what_can_be_saved() {
    let mut bytes = encode(&attributed(&[("Hello", &[part(0)])]));
    bytes.truncate(bytes.len() - 4);

    let message = message(message_row().blob(M::AttributedBody, &bytes).record());

    assert_eq!(message.body, Some(Body::plain("Hello")));
    assert_eq!(message.unreadable.len(), 2);
}

#[test]
fn a_row_without_body_has_its_text_column() {
    let message = message(
        message_row()
            .text(M::Guid, GUID)
            .text(M::Text, "Hello")
            .record(),
    );

    assert_eq!(message.body, Some(Body::plain("Hello")));
    assert_eq!(message.unreadable, Vec::<String>::new());
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
fn edits_have_their_texts_and_times() {
    let record = message_row()
        .text(M::Guid, GUID)
        .blob(M::MessageSummaryInfo, &edited_and_unsent())
        .record();

    let message = message(record);

    let version = |text: Option<&str>, millis: i64| Version {
        text: text.map(str::to_owned),
        at: Some(AppleTime::from_nanos(millis * 1_000_000)),
        spans: Vec::new(),
    };
    let versions = vec![
        version(Some("first"), 700_250),
        version(None, 701_000),
        version(Some("last"), 702_000),
    ];
    assert_eq!(message.edits, [Edit { part: 1, versions }]);
    assert_eq!(message.unsent_parts, [2]);
    assert_eq!(
        message.times.edited,
        Some(AppleTime::from_nanos(702_000_000_000))
    );
    assert!(!message.flags.has(Flag::Unsent));
    assert_eq!(message.unreadable.len(), 1);
    assert!(message.unreadable[0].starts_with("message_summary_info: a text of part 1: "));
}

#[test]
fn the_summary_of_a_tapback_is_not_its_history() {
    let record = message_row()
        .integer(M::AssociatedMessageType, 2000)
        .text(M::AssociatedMessageGuid, GUID)
        .blob(M::MessageSummaryInfo, &edited_and_unsent())
        .record();

    assert_eq!(message(record).edits, []);
}

#[test]
fn a_damaged_summary_is_named() {
    let row = message_row().text(M::Guid, GUID).text(M::Text, "Hello");

    let message = message(row.blob(M::MessageSummaryInfo, b"bplist00\xd1").record());

    assert_eq!(message.body, Some(Body::plain("Hello")));
    assert!(message.unreadable[0].starts_with("message_summary_info: "));
}

#[test]
fn a_row_that_was_emptied_was_taken_back() {
    let emptied = || {
        message_row()
            .integer(M::IsEmpty, 1)
            .integer(M::DateRetracted, 700_000_000)
    };
    let is_unsent = |record| message(record).flags.has(Flag::Unsent);

    assert!(is_unsent(emptied().record()));
    assert!(!is_unsent(emptied().text(M::Text, "Hello").record()));
    assert!(!is_unsent(message_row().integer(M::IsEmpty, 1).record()));
}

#[test]
fn a_fully_unsent_message_has_no_body() {
    let info = plist(
        "<dict><key>otr</key><dict><key>0</key><dict/></dict>\
         <key>rp</key><array><integer>0</integer></array></dict>",
    );
    let row = message_row()
        .blob(M::MessageSummaryInfo, &info)
        .body(&attributed(&[]))
        .integer(M::DateEdited, 700_000_000_000_000_000);

    let message = message(row.text(M::Guid, GUID).record());

    assert_eq!(message.body, None);
    assert_eq!(message.unsent_parts, [0]);
    assert!(message.flags.has(Flag::Unsent));
    assert_eq!(
        message.times.edited,
        Some(AppleTime::from_nanos(700_000_000_000_000_000))
    );
    assert_eq!(message.unreadable, Vec::<String>::new());
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

#[test]
fn an_attachment_has_all_that_its_row_says() {
    let mut record = message_row().text(M::Guid, GUID).record();
    record.attachments = vec![
        attachment_row("at_3_A")
            .text(A::OriginalGuid, "B")
            .text(
                A::Filename,
                "~/Library/Messages/Attachments/aa/00/x/a/b.HEIC",
            )
            .text(A::TransferName, "../my photo.HEIC")
            .text(A::Uti, "public.heic")
            .integer(A::TotalBytes, 17)
            .integer(A::IsSticker, 1)
            .blob(
                A::StickerUserInfo,
                &plist("<dict><key>pid</key><string>com.example.stickers</string></dict>"),
            )
            .text(A::EmojiImageShortDescription, "a cat")
            .row(),
        attachment_row("C")
            .text(A::OriginalGuid, "c")
            .text(A::TransferName, "1.pluginPayloadAttachment")
            .integer(A::TotalBytes, -1)
            .row(),
        Row::default(),
    ];

    let message = message(record);

    let photo = Attachment {
        guid: AttachmentGuid::parse("at_3_A").unwrap(),
        original_guid: AttachmentGuid::parse("B"),
        part: Some(3),
        role: Role::File,
        name: Some("my photo.HEIC".to_owned()),
        mime: Some("image/heic".to_owned()),
        uti: Some("public.heic".to_owned()),
        size_bytes: Some(17),
        path: Some("~/Library/Messages/Attachments/aa/00/x/a/b.HEIC".to_owned()),
        live_photo: false,
        transcription: None,
        sticker: Some(Sticker {
            effect: None,
            source: Some("com.example.stickers".to_owned()),
            description: Some("a cat".to_owned()),
        }),
        state: AttachmentState::Wanted,
    };
    let preview = Attachment {
        guid: AttachmentGuid::parse("C").unwrap(),
        original_guid: None,
        part: None,
        role: Role::Preview,
        name: Some("1.pluginPayloadAttachment".to_owned()),
        mime: None,
        uti: None,
        size_bytes: None,
        path: None,
        live_photo: false,
        transcription: None,
        sticker: None,
        state: AttachmentState::Missing(Missing::NoPath),
    };
    assert_eq!(message.attachments, [photo, preview]);
    assert_eq!(message.unreadable, ["attachment.guid: empty"]);
}

#[test]
fn attachments_stand_in_the_order_of_the_body() {
    let transcription = (
        "IMAudioTranscription",
        Attribute::Text("what was said".to_owned()),
    );
    let name = (
        "__kIMFilenameAttributeName",
        Attribute::Text("/tmp/v.caf".to_owned()),
    );
    let body = attributed(&[
        ("\u{fffc}", &[part(0), file("OLD"), transcription, name]),
        ("\u{fffc}", &[part(1), file("gone")]),
        ("\u{fffc}", &[part(2), file("B")]),
    ]);
    let mut record = message_row().body(&body).record();
    record.attachments = vec![
        attachment_row("extra").row(),
        attachment_row("b").row(),
        attachment_row("at_1_X").row(),
        attachment_row("NEW").text(A::OriginalGuid, "old").row(),
    ];

    let attachments = message(record).attachments;

    let order: Vec<_> = attachments
        .iter()
        .map(|attachment| (attachment.guid.as_str(), attachment.part))
        .collect();
    assert_eq!(
        order,
        [
            ("NEW", Some(0)),
            ("at_1_X", Some(1)),
            ("b", Some(2)),
            ("extra", None)
        ]
    );
    assert_eq!(
        attachments[0].transcription.as_deref(),
        Some("what was said")
    );
    assert_eq!(attachments[0].name.as_deref(), Some("v.caf"));
}

#[test]
fn a_link_preview_has_its_page_with_and_without_a_balloon() {
    let metadata = "<key>richLinkMetadata</key><dict>\
        <key>originalURL</key><string>https://e.org</string>\
        <key>URL</key><string>https://e.org/</string>\
        <key>summary</key><string>About</string>\
        <key>siteName</key><string></string>\
        <key>specialization</key><dict><key>name</key><string>Song</string></dict></dict>";
    let row = || message_row().blob(M::PayloadData, &archive(metadata));
    let expected = LinkPreview {
        url: Some("https://e.org/".to_owned()),
        original_url: Some("https://e.org".to_owned()),
        title: Some("Song".to_owned()),
        summary: Some("About".to_owned()),
        site: None,
    };

    let bare = message(row().record());
    let bubble = row().text(M::BalloonBundleId, "com.apple.messages.URLBalloonProvider");

    assert_eq!(bare.link_preview.as_ref(), Some(&expected));
    assert_eq!(message(bubble.record()).link_preview, Some(expected));
    assert_eq!(bare.app, None);
}

#[test]
fn a_link_that_was_not_redirected_has_one_url() {
    let metadata = "<key>metadata</key><dict>\
        <key>originalURL</key><string>https://e.org</string></dict>";
    let row = message_row().blob(M::PayloadData, &archive(metadata));

    let expected = LinkPreview {
        url: Some("https://e.org".to_owned()),
        ..LinkPreview::default()
    };
    assert_eq!(message(row.record()).link_preview, Some(expected));
}

#[test]
fn an_apps_balloon_says_what_stands_on_it() {
    const BUNDLE: &str = "com.apple.messages.MSMessageExtensionBalloonPlugin:0:com.example.game";
    let payload = archive(
        "<key>an</key><string>Game</string><key>ldtext</key><string>Your move</string>\
         <key>URL</key><string>data:?x=1</string><key>userInfo</key><dict>\
         <key>image-title</key><string>Round 2</string><key>subcaption</key><string></string>\
         <key>caption</key><string>Go</string></dict>",
    );
    let row = message_row()
        .text(M::BalloonBundleId, BUNDLE)
        .blob(M::PayloadData, &payload)
        .body(&attributed(&[("\u{fffd}", &[part(0)])]));

    let message = message(row.record());

    let expected = App {
        bundle: BUNDLE.to_owned(),
        name: Some("Game".to_owned()),
        captions: vec!["Go".to_owned(), "Round 2".to_owned()],
        text: Some("Your move".to_owned()),
        url: Some("data:?x=1".to_owned()),
        content: AppContent::Opaque,
    };
    assert_eq!(message.app, Some(expected));
    let balloon = Part {
        content: PartContent::Balloon,
        ..text_part(0, 0, 1)
    };
    assert_eq!(message.body.unwrap().parts, [balloon]);
}

#[test]
fn drawings_are_recognised_and_what_is_none_is_named() {
    let content = |bundle: &str, payload: &[u8]| {
        let row = message_row()
            .text(M::Guid, GUID)
            .text(M::BalloonBundleId, bundle)
            .blob(M::PayloadData, payload);
        let message = message(row.record());
        (message.app.unwrap().content, message.unreadable.len())
    };
    let touch = "com.apple.DigitalTouchBalloonProvider";
    let hand = "com.apple.Handwriting.HandwritingProvider";
    let polls = "com.apple.messages.MSMessageExtensionBalloonPlugin:0:com.apple.messages.Polls";
    let sketch = || AppContent::DigitalTouch("sketch".to_owned());
    let url = archive("<key>URL</key><string>https://example.org</string>");

    assert_eq!(
        content(touch, &digital_touch::encode(4, 0.0)),
        (sketch(), 0)
    );
    assert_eq!(content(touch, b"?"), (AppContent::Opaque, 1));
    assert_eq!(
        content(hand, &handwriting::encode()),
        (AppContent::Handwriting, 0)
    );
    assert_eq!(content(hand, b"?"), (AppContent::Handwriting, 1));
    assert_eq!(content(polls, &url), (AppContent::Opaque, 1));
    assert_eq!(content(polls, b"?"), (AppContent::Opaque, 1));
    assert_eq!(content(touch, b""), (AppContent::Opaque, 0));
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
