//! Balloons: link previews, and what apps send.
//!
//! | `balloon_bundle_id` | `payload_data` |
//! |---|---|
//! | `com.apple.messages.URLBalloonProvider`, or none | keyed archive: the preview of a link |
//! | `com.apple.Handwriting.HandwritingProvider` | protocol buffers, strokes |
//! | `com.apple.DigitalTouchBalloonProvider` | protocol buffers |
//! | `...:com.apple.messages.Polls` | keyed archive, the poll in its `URL` |
//! | `com.apple.messages.MSMessageExtensionBalloonPlugin:<team>:<bundle>` | keyed archive |
//!
//! Source: `[obs]` chat.db of macOS 12 to 26; MS-46, MS-47, MS-49.

use crate::codec::digital_touch;
use crate::codec::handwriting;
use crate::codec::keyed_archive;
use crate::codec::property_list::Plist;
use crate::decode::chatdb::Directory;
use crate::decode::chatdb::Unreadable;
use crate::decode::chatdb::poll;
use crate::model::message::App;
use crate::model::message::AppContent;
use crate::model::message::LinkPreview;
use crate::model::record::MessageColumn;
use crate::model::record::Row;

const COLUMN: &str = "payload_data";

const LINK: &str = "com.apple.messages.URLBalloonProvider";
const HANDWRITING: &str = "com.apple.Handwriting.HandwritingProvider";
const DIGITAL_TOUCH: &str = "com.apple.DigitalTouchBalloonProvider";
const POLLS: &str = "com.apple.messages.Polls";

/// What stands on a balloon, in the order in which one reads it.
const CAPTIONS: [&str; 6] = [
    "caption",
    "subcaption",
    "secondary-subcaption",
    "tertiary-subcaption",
    "image-title",
    "image-subtitle",
];

/// Reads the balloon of a row: an app's, or the preview of a link.
pub(super) fn balloon(
    row: &Row,
    people: &Directory,
    unreadable: &mut Unreadable,
) -> (Option<App>, Option<LinkPreview>) {
    let payload = row.blob(MessageColumn::PayloadData);
    let payload = payload.filter(|payload| !payload.is_empty());
    match row.text(MessageColumn::BalloonBundleId) {
        // A message that is nothing but a link can have a preview without a balloon.
        None | Some(LINK) => {
            let archive = payload.and_then(|payload| archive(payload, unreadable));
            (None, archive.as_ref().and_then(link_preview))
        }
        Some(bundle) => (Some(app(bundle, payload, people, unreadable)), None),
    }
}

fn archive(payload: &[u8], unreadable: &mut Unreadable) -> Option<Plist> {
    match keyed_archive::decode(payload) {
        Ok(archive) => Some(archive),
        Err(error) => {
            unreadable.add(COLUMN, error);
            None
        }
    }
}

fn text(list: &Plist, key: &str) -> Option<String> {
    let text = list.get(key)?.as_text()?;
    (!text.is_empty()).then(|| text.to_owned())
}

fn link_preview(archive: &Plist) -> Option<LinkPreview> {
    let metadata = archive
        .get("richLinkMetadata")
        .or_else(|| archive.get("metadata"))?;
    let special = metadata
        .get("specialization2")
        .or_else(|| metadata.get("specialization"));
    let typed = text(metadata, "originalURL");
    let url = text(metadata, "URL").or_else(|| typed.clone());
    Some(LinkPreview {
        original_url: typed.filter(|typed| Some(typed) != url.as_ref()),
        url,
        // Music, apps and places have a name where pages have a title.
        title: text(metadata, "title").or_else(|| text(special?, "name")),
        summary: text(metadata, "summary"),
        site: text(metadata, "siteName"),
    })
}

fn app(
    bundle: &str,
    payload: Option<&[u8]>,
    people: &Directory,
    unreadable: &mut Unreadable,
) -> App {
    let app = App {
        bundle: bundle.to_owned(),
        ..App::default()
    };
    let Some(payload) = payload else { return app };
    let content = match bundle {
        HANDWRITING => {
            if !handwriting::is_handwriting(payload) {
                unreadable.add(COLUMN, "expected handwriting, got something else");
            }
            AppContent::Handwriting
        }
        DIGITAL_TOUCH => {
            let touch = digital_touch::decode(payload);
            if touch.is_none() {
                unreadable.add(COLUMN, "expected Digital Touch, got something else");
            }
            touch.map_or(AppContent::Opaque, |touch| {
                AppContent::DigitalTouch(touch.to_string())
            })
        }
        _ => {
            return match archive(payload, unreadable) {
                Some(archive) => extension(app, &archive, people, unreadable),
                None => app,
            };
        }
    };
    App { content, ..app }
}

/// The balloon of an extension, as its archive describes it.
fn extension(app: App, archive: &Plist, people: &Directory, unreadable: &mut Unreadable) -> App {
    let url = text(archive, "URL");
    let is_poll = app.bundle.rsplit(':').next() == Some(POLLS);
    let content = match url.as_deref().filter(|_| is_poll) {
        Some(url) => poll::content(url, people).unwrap_or_else(|| {
            unreadable.add(COLUMN, "expected a poll or votes, got something else");
            AppContent::Opaque
        }),
        None => AppContent::Opaque,
    };
    let user_info = archive.get("userInfo");
    let captions = CAPTIONS
        .iter()
        .filter_map(|key| text(user_info?, key))
        .collect();
    App {
        name: text(archive, "an"),
        captions,
        text: text(archive, "ldtext"),
        url,
        content,
        ..app
    }
}
