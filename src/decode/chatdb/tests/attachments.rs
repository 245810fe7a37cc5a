//! The files of a message.

use super::GUID;
use super::file;
use super::message;
use super::part;
use super::plist;
use crate::base::ids::AttachmentGuid;
use crate::codec::typedstream::Attribute;
use crate::decode::chatdb::build::attachment_row;
use crate::decode::chatdb::build::attributed;
use crate::decode::chatdb::build::message_row;
use crate::model::attachment::Attachment;
use crate::model::attachment::AttachmentState;
use crate::model::attachment::Missing;
use crate::model::attachment::Role;
use crate::model::attachment::Sticker;
use crate::model::record::AttachmentColumn as A;
use crate::model::record::MessageColumn as M;
use crate::model::record::Row;

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
