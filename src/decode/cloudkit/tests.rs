//! Records of our own: what the vectors, which were made to test the bytes, do not ask.

use std::fmt::Write;

use super::*;
use crate::base::ids::AttachmentGuid;
use crate::base::ids::ConversationKey;
use crate::base::ids::Guid;
use crate::base::ids::Handle;
use crate::codec::cloudkit::deflate;
use crate::codec::property_list::Plist;
use crate::codec::property_list::encode;
use crate::codec::summary_info;
use crate::model::attachment::Attachment;
use crate::model::attachment::AttachmentState;
use crate::model::attachment::Missing;
use crate::model::change::CloudAttachment;
use crate::model::change::CloudChat;
use crate::model::change::CloudMessage;
use crate::model::change::Parked;
use crate::model::change::Placement;
use crate::model::conversation::Alias;
use crate::model::handle::OwnHandles;
use crate::model::identity::conversations;
use crate::model::message::Announcement;
use crate::model::message::Author;
use crate::model::message::Flag;
use crate::model::message::Kind;
use crate::model::message::Tapback;
use crate::model::message::TapbackAction;
use crate::model::message::TapbackKind;
use crate::model::message::Target;
use crate::model::record::CloudAsset;
use crate::model::record::CloudValue;
use crate::model::region::Region;

const GUID: &str = "1A2B3C4D-0001-4002-8003-ABCDEF012345";
const TARGET: &str = "1a2b3c4d-0001-4002-8003-abcdef099999";
const ADA: &str = "+15550100021";
const OWNER: &str = "+15550100001";
const FROM_ME: i64 = 1 << 2;

fn text(value: &str) -> CloudValue {
    CloudValue::Text(value.to_owned())
}

/// A field of a protocol buffer that has a length.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [
        &[number << 3 | 2, u8::try_from(bytes.len()).unwrap()],
        bytes,
    ]
    .concat()
}

fn number(number: u8, value: u16) -> Vec<u8> {
    let low = u8::try_from(value & 0x7f).unwrap() | 0x80;
    vec![number << 3, low, u8::try_from(value >> 7).unwrap()]
}

fn packed(fields: &[Vec<u8>]) -> CloudValue {
    CloudValue::Bytes(deflate(&fields.concat()))
}

fn record(kind: &str, fields: Vec<(&str, CloudValue)>) -> CloudRecord {
    let fields = fields.into_iter();
    CloudRecord {
        zone: "messageManateeZone".to_owned(),
        name: "0123456789abcdef0123456789abcdef".to_owned(),
        kind: kind.to_owned(),
        fields: fields
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
        ..CloudRecord::default()
    }
}

fn message(fields: Vec<(&str, CloudValue)>) -> CloudMessage {
    let fields = [vec![("guid", text(GUID))], fields].concat();
    let CloudChange::Message(message) = Decoder::default().decode(record(MESSAGE, fields)) else {
        panic!("another change");
    };
    *message
}

fn chat(name: &str, fields: Vec<(&str, CloudValue)>) -> CloudChat {
    let record = CloudRecord {
        name: name.to_owned(),
        ..record(CHAT, fields)
    };
    let CloudChange::Chat(chat) = Decoder::default().decode(record) else {
        panic!("another change");
    };
    *chat
}

fn plist(entries: &[(&str, Plist)]) -> Vec<u8> {
    let entries = entries.iter();
    let entries = entries.map(|(key, value)| ((*key).to_owned(), value.clone()));
    encode(&Plist::Dictionary(entries.collect()))
}

fn word(text: &str) -> Plist {
    Plist::Text(text.to_owned())
}

fn members(handles: &[&str]) -> CloudValue {
    let person = |handle: &&str| CloudValue::Bytes(plist(&[("FZPersonID", word(handle))]));
    CloudValue::List(handles.iter().map(person).collect())
}

fn direct(handle: &str) -> Alias {
    Alias::key(&ConversationKey::direct(&Handle::from_normal(
        handle.to_owned(),
    )))
}

#[test]
fn tapbacks_in_all_three_forms_find_their_target() {
    for (written, part) in [("p:1/", 1), ("bp:", 0), ("", 0)] {
        let about = format!("{written}{TARGET}");
        let found = message(vec![(
            "msgProto",
            packed(&[
                number(15, 2_000),
                [&[0x82, 1][..], &field(0, about.as_bytes())[1..]].concat(),
            ]),
        )]);

        let target = Target {
            guid: Guid::parse(TARGET).unwrap(),
            part,
        };
        let expected = Kind::Tapback(Tapback {
            action: TapbackAction::Add,
            kind: TapbackKind::Love,
            target,
        });
        assert_eq!(found.change.message.kind, expected);
    }
}

#[test]
fn a_reply_names_its_message_and_part() {
    let reply = |written: &str| {
        let part = packed(&[field(2, written.as_bytes())]);
        message(vec![("msgProto2", part)]).change.message.reply_to
    };
    let to = |part| {
        let guid = Guid::parse(TARGET).unwrap();
        Some(Target { guid, part })
    };

    assert_eq!(reply(&format!("r:2:0:17:{TARGET}")), to(2));
    assert_eq!(reply(&format!("r:{TARGET}")), to(0));
    assert_eq!(reply(TARGET), to(0));
    assert_eq!(reply(""), None);
}

#[test]
fn edits_and_unsends_come_out_of_history() {
    let summary = summary_info::tests::edited_and_unsent();
    let mut part = vec![7 << 3 | 2];
    let length = u16::try_from(summary.len()).unwrap();
    part.extend_from_slice(&number(0, length)[1..]);
    part.extend_from_slice(&summary);

    let found = message(vec![("msgProto", packed(&[field(3, b"last"), part]))]);

    let message = found.change.message;
    assert_eq!(message.unsent_parts, [2]);
    assert_eq!(message.edits.len(), 1);
    assert_eq!(message.edits[0].versions[0].text.as_deref(), Some("first"));
    assert_eq!(message.body.unwrap().text, "last");
}

#[test]
fn flags_say_who_wrote_it_and_keep_what_is_not_known() {
    let unknown = 1 << 50;
    let found = message(vec![
        (
            "flags",
            CloudValue::Integer(FROM_ME | 1 << 15 | 1 << 39 | unknown),
        ),
        ("sender", text(ADA)),
    ]);

    let message = &found.change.message;
    assert_eq!(message.author, Author::Owner);
    assert!(message.flags.has(Flag::Sos) && !message.flags.has(Flag::Unfinished));
    let extra = &found.change.record.row.extra;
    assert_eq!(extra[0].0, "flags");
    assert!(extra[0].1.integer() & unknown != 0);
}

#[test]
fn a_record_without_a_guid_is_called_by_its_name() {
    let CloudChange::Message(found) = Decoder::default().decode(record(MESSAGE, vec![])) else {
        panic!("no message");
    };

    let name = Guid::parse("0123456789abcdef0123456789abcdef").unwrap();
    assert_eq!(found.change.message.guid, name);
    assert!(found.change.message.unreadable.is_empty());
}

#[test]
fn an_announcement_says_no_more_than_its_record() {
    let kind = |item_type: i64, name: Option<&str>| {
        let part = name.map(|name| field(3, name.as_bytes()));
        let fields = vec![
            ("msgType", CloudValue::Integer(item_type)),
            ("msgProto", packed(&part.into_iter().collect::<Vec<_>>())),
        ];
        message(fields).change.message.kind
    };
    let other = |item_type| {
        Kind::Announcement(Announcement::Other {
            item_type,
            action: -1,
        })
    };

    let renamed = Announcement::Renamed(Some("Hikers".to_owned()));
    assert_eq!(kind(2, Some("Hikers")), Kind::Announcement(renamed));
    assert_eq!(kind(5, None), Kind::Announcement(Announcement::AudioKept));
    for item_type in [1, 2, 3, 4, 9] {
        assert_eq!(kind(item_type, None), other(item_type));
    }
}

#[test]
fn a_field_that_cannot_be_read_is_named_and_the_rest_stays() {
    let found = message(vec![
        ("svc", text("iMessage")),
        ("sender", CloudValue::Missing),
        ("time", text("now")),
        ("flags", CloudValue::Absent),
        (
            "msgProto",
            CloudValue::Sealed {
                bytes: vec![3],
                reason: "the envelope ends too early".to_owned(),
            },
        ),
    ]);

    let message = &found.change.message;
    assert_eq!(message.service.as_deref(), Some("iMessage"));
    assert_eq!(
        message.unreadable,
        [
            "sender: the field has no value",
            "msgProto: the envelope ends too early",
            "time: expected a whole number"
        ]
    );
}

#[test]
fn every_spelling_of_a_chat_id_leads_where_the_rules_say() {
    let carrier = TARGET.bytes().fold(String::new(), |mut digits, byte| {
        write!(digits, "{byte:02x}").unwrap();
        digits
    });
    let table: [(&str, &str, i64, Alias, Parked); 12] = [
        (
            "iMessage;-;+15550100021",
            ADA,
            0,
            direct("tel:+15550100021"),
            Parked::UnknownChat,
        ),
        (
            "any;-;+15550100021",
            ADA,
            0,
            direct("tel:+15550100021"),
            Parked::UnknownChat,
        ),
        (
            "iMessage;-;+15550100021",
            OWNER,
            FROM_ME,
            direct("tel:+15550100021"),
            Parked::UnknownChat,
        ),
        (
            "+15550100021",
            "",
            FROM_ME,
            direct("tel:+15550100021"),
            Parked::UnknownChat,
        ),
        ("", ADA, 0, direct("tel:+15550100021"), Parked::NoChat),
        ("242733", "242733", 0, direct("242733"), Parked::UnknownChat),
        (
            "chat123456789",
            ADA,
            0,
            Alias::group_id("chat123456789"),
            Parked::UnknownChat,
        ),
        (
            "chat123456789",
            "",
            FROM_ME,
            Alias::group_id("chat123456789"),
            Parked::UnknownChat,
        ),
        (
            "any;+;chat12",
            ADA,
            0,
            Alias::group_id("chat12"),
            Parked::UnknownChat,
        ),
        (
            "iMessage;-;chat12",
            "",
            FROM_ME,
            Alias::group_id("chat12"),
            Parked::UnknownChat,
        ),
        (TARGET, ADA, 0, Alias::group_id(TARGET), Parked::UnknownChat),
        (
            &carrier,
            ADA,
            0,
            Alias::group_id(TARGET),
            Parked::UnknownChat,
        ),
    ];

    for (chat_id, sender, flags, last, otherwise) in table {
        let found = message(vec![
            ("chatID", text(chat_id)),
            ("sender", text(sender)),
            ("flags", CloudValue::Integer(flags)),
        ]);
        let placement = found.change.placement;
        assert_eq!(placement.candidates.last(), Some(&last), "{chat_id}");
        assert_eq!(placement.otherwise, otherwise, "{chat_id}");
    }
    let own = message(vec![("flags", CloudValue::Integer(FROM_ME))]);
    assert_eq!(own.change.placement, Placement::default());
}

#[test]
fn the_group_id_inside_comes_before_everything_else() {
    let part = packed(&[field(7, TARGET.as_bytes())]);

    let found = message(vec![("chatID", text("chat12")), ("msgProto4", part)]);

    let candidates = found.change.placement.candidates;
    assert_eq!(candidates[0], Alias::group_id(TARGET));
    assert!(candidates.contains(&Alias::room("chat12")));
}

#[test]
fn snapshots_of_a_group_are_one_conversation() {
    let snapshot = |name: &str, cid: &str, gid: &str, people: &[&str]| {
        chat(
            name,
            vec![
                ("stl", CloudValue::Integer(43)),
                ("svc", text("iMessage")),
                ("cid", text(cid)),
                ("gid", text(gid)),
                ("ptcpts", members(people)),
            ],
        )
    };
    let newest = snapshot(
        "a",
        "chat2",
        TARGET,
        &["tel:+15550100021", "tel:+15550100022"],
    );
    let older = snapshot("b", "chat1", &TARGET.to_uppercase(), &["tel:+15550100021"]);
    let own = OwnHandles::default();

    let found = conversations(&[newest.chat, older.chat.clone()], &own, Region::default());

    assert_eq!(found.len(), 1);
    let key = found[0].conversation.key.as_str();
    assert_eq!(key, format!("gid:{TARGET}"));
    assert_eq!(found[0].conversation.participants.len(), 2);
    assert!(found[0].aliases.contains(&Alias::room("chat1")));
    assert_eq!(older.aliases, [Alias::cloud_record("b")]);
}

#[test]
fn a_chat_that_names_nobody_is_with_its_own_handle() {
    let found = chat(
        "c",
        vec![
            ("stl", CloudValue::Integer(45)),
            ("svc", text("iMessage")),
            ("cid", text("chat4198")),
            ("lah", text(OWNER)),
        ],
    );

    assert_eq!(found.chat.members, [OWNER]);
    assert_eq!(
        found.aliases,
        [Alias::cloud_record("c"), Alias::room("chat4198")]
    );
    let own = OwnHandles::default();
    let found = conversations(&[found.chat], &own, Region::default());
    assert_eq!(found[0].conversation.key.as_str(), "dm:tel:+15550100001");
}

#[test]
fn ids_of_the_past_lead_to_a_group() {
    let properties = plist(&[("legacyGroupIdentifiers", Plist::Array(vec![word(TARGET)]))]);

    let found = chat(
        "d",
        vec![
            ("stl", CloudValue::Integer(43)),
            ("prop", CloudValue::Bytes(properties)),
            ("ptcpts", CloudValue::List(vec![CloudValue::Bytes(vec![1])])),
        ],
    );

    assert!(found.aliases.contains(&Alias::group_id(TARGET)));
    assert_eq!(found.unreadable.len(), 1);
    assert!(found.unreadable[0].starts_with("ptcpts: "));
}

fn attachment(entries: &[(&str, Plist)], file: Option<CloudAsset>) -> CloudAttachment {
    let mut fields = vec![("cm", CloudValue::Bytes(deflate(&plist(entries))))];
    fields.extend(file.map(|file| ("lqa", CloudValue::Asset(file))));
    let CloudChange::Attachment(attachment) = Decoder::default().decode(record(ATTACHMENT, fields))
    else {
        panic!("another change");
    };
    *attachment
}

#[test]
fn sizes_of_files_are_believed_in_their_order() {
    let size = |written: i64, real: Option<u64>| {
        let entries = [
            ("aguid", word(GUID)),
            ("tb", Plist::Integer(written.into())),
        ];
        let file = real.map(|size| CloudAsset {
            size: Some(size),
            ..CloudAsset::default()
        });
        attachment(&entries, file).attachment.unwrap().size_bytes
    };

    assert_eq!(size(5, Some(7)), Some(7));
    assert_eq!(size(5, Some(0)), Some(5));
    assert_eq!(size(-2_000_000_000, None), Some(2_294_967_296));
    assert_eq!(size(-1, None), None);
    assert_eq!(size(i64::MIN, None), None);
}

#[test]
fn metadata_of_other_types_is_read() {
    let found = attachment(
        &[
            ("aguid", word(GUID)),
            ("pathc", word("photo.heic")),
            ("is", word("1")),
            ("tb", word("12")),
            ("mimet", Plist::Integer(7)),
        ],
        None,
    );

    let attachment = found.attachment.unwrap();
    assert_eq!(attachment.name.as_deref(), Some("photo.heic"));
    assert_eq!(attachment.mime.as_deref(), Some("image/heic"));
    assert_eq!(attachment.size_bytes, Some(12));
    assert!(attachment.sticker.is_some());
    assert_eq!(attachment.state, AttachmentState::Missing(Missing::NoPath));
}

#[test]
fn files_without_a_guid_or_in_other_bytes_stay_as_records() {
    let nameless = attachment(&[("tb", Plist::Integer(1))], None);
    let other = record(ATTACHMENT, vec![("cm", CloudValue::Bytes(b"x".to_vec()))]);
    let CloudChange::Attachment(broken) = Decoder::default().decode(other) else {
        panic!("another change");
    };

    assert_eq!(nameless.unreadable, ["cm: no GUID"]);
    assert_eq!(broken.unreadable, ["cm: expected gzip, got other bytes"]);
    assert!(nameless.attachment.is_none() && broken.attachment.is_none());
}

#[test]
fn files_that_a_summary_names_are_wanted_and_joined_in_any_case() {
    let companion = Plist::Dictionary(vec![("g".to_owned(), word(GUID))]);
    let summary = plist(&[("ams", Plist::Array(vec![companion]))]);
    let mut found = message(vec![("msgProto", packed(&[field(7, &summary)]))]);
    let file = attachment(
        &[("aguid", word(&GUID.to_lowercase())), ("tn", word("a.mov"))],
        Some(CloudAsset::default()),
    );

    let message = &mut found.change.message;
    assert_eq!(message.attachments[0].state, AttachmentState::Wanted);
    assert_eq!(message.attachments[0].name, None);
    assert!(join(message, &file.attachment.clone().unwrap()));
    assert_eq!(message.attachments[0].name.as_deref(), Some("a.mov"));
    let stranger = Attachment {
        guid: AttachmentGuid::parse(TARGET).unwrap(),
        ..file.attachment.unwrap()
    };
    assert!(!join(message, &stranger));
}

#[test]
fn records_of_recently_deleted_are_known_by_their_fields() {
    let deleted = |kind: &str, fields| CloudRecord {
        zone: "recoverableMessageDeleteZone".to_owned(),
        ..record(kind, fields)
    };
    let mut decoder = Decoder::default();

    let message = decoder.decode(deleted(RECOVERABLE_MESSAGE, vec![]));
    let chat = decoder.decode(deleted("anything", vec![("cid", text("chat1"))]));
    let other = decoder.decode(deleted("anything", vec![("x", text("y"))]));

    assert!(matches!(message, CloudChange::Message(it) if it.is_recoverable));
    assert!(matches!(chat, CloudChange::Chat(it) if it.is_recoverable));
    assert!(matches!(other, CloudChange::Foreign(_)));
}

#[test]
fn what_a_record_holds_does_not_reach_a_log() {
    let found = message(vec![
        ("sender", text("secret@example.org")),
        ("msgProto", packed(&[field(3, b"secret")])),
    ]);

    let printed = format!("{found:?} {:?}", found.record.fields);

    assert!(!printed.contains("secret"), "{printed}");
}
