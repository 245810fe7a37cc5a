//! Link previews and what apps send.

use super::GUID;
use super::archive;
use super::message;
use super::part;
use super::text_part;
use crate::codec::digital_touch;
use crate::codec::handwriting;
use crate::decode::chatdb::build::attributed;
use crate::decode::chatdb::build::message_row;
use crate::model::body::Part;
use crate::model::body::PartContent;
use crate::model::message::App;
use crate::model::message::AppContent;
use crate::model::message::LinkPreview;
use crate::model::record::MessageColumn as M;

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
