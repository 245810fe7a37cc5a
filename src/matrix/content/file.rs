//! Files.
//!
//! | type | shown as |
//! |---|---|
//! | a sticker of a type that clients show | `m.sticker` |
//! | images, films and sounds of types that clients show | `m.image`, `m.video`, `m.audio` |
//! | the others: HEIC, TIFF, CAF, documents, cards, places | `m.file` |
//!
//! A file that is not here is a notice with its name, under the same id as the file: it is the same part, and what
//! belongs to it keeps belonging to it.

use serde_json::Value;
use serde_json::json;

use crate::matrix::content::Context;
use crate::matrix::content::Media;
use crate::matrix::content::part::MESSAGE;
use crate::matrix::event::Content;
use crate::matrix::text::Draft;
use crate::model::attachment::Attachment;
use crate::model::message::Flag;
use crate::model::message::Message;

/// The event type and content of a file.
pub(super) fn content(
    attachment: &Attachment,
    message: &Message,
    store: &dyn Context,
) -> (&'static str, Content) {
    let Some(media) = store.media(attachment) else {
        return (MESSAGE, absent(attachment));
    };
    let mime = media.mime.as_ref().or(attachment.mime.as_ref());
    let mime = mime.map(|mime| mime.to_ascii_lowercase());
    let msgtype = msgtype(mime.as_deref().unwrap_or_default());
    let name = media.name.as_ref().or(attachment.name.as_ref());
    let name = name.map_or("attachment", String::as_str);
    let mut content = Content::new();
    content.insert("url".to_owned(), media.url.as_str().into());
    content.insert("info".to_owned(), info(&media, mime, attachment.size_bytes));
    if let Some(sticker) = attachment.sticker.as_ref().filter(|_| msgtype == "m.image") {
        let body = sticker.description.as_deref().unwrap_or(name);
        content.insert("body".to_owned(), body.into());
        return ("m.sticker", content);
    }
    // What was said in a voice message is its caption (MSC2530): else only Messages could show it.
    let said = attachment.transcription.as_deref();
    content.insert("msgtype".to_owned(), msgtype.into());
    content.insert("body".to_owned(), said.unwrap_or(name).into());
    content.insert("filename".to_owned(), name.into());
    content.insert("m.mentions".to_owned(), json!({}));
    if msgtype == "m.audio" && message.flags.has(Flag::Audio) {
        let mut audio = Content::new();
        if let Some(duration) = media.duration_ms {
            audio.insert("duration".to_owned(), duration.into());
        }
        content.insert("org.matrix.msc1767.audio".to_owned(), audio.into());
        content.insert("org.matrix.msc3245.voice".to_owned(), json!({}));
    }
    if attachment.live_photo {
        content.insert("dev.footbridge.live_photo".to_owned(), true.into());
    }
    (MESSAGE, content)
}

/// A notice that names a file that is not here and says why, in the words of `footbridge show`.
fn absent(attachment: &Attachment) -> Content {
    let name = attachment.name.as_deref().unwrap_or("attachment");
    let mime = attachment.mime.as_deref().unwrap_or("unknown type");
    let state = attachment.state.name();
    let mut text = format!("[{name}] {mime}, {state}");
    if let Some(reason) = attachment.state.reason() {
        text = format!("{text}: {reason}");
    }
    if let Some(said) = &attachment.transcription {
        text = format!("{text}\n\u{201c}{said}\u{201d}");
    }
    Draft::plain(text).into_content("m.notice")
}

fn info(media: &Media, mime: Option<String>, size_bytes: Option<u64>) -> Value {
    let mut info = Content::new();
    let mut add = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            info.insert(key.to_owned(), value);
        }
    };
    add("mimetype", mime.map(Value::from));
    add("size", media.size_bytes.or(size_bytes).map(Value::from));
    add("w", media.pixels.map(|(width, _)| width.into()));
    add("h", media.pixels.map(|(_, height)| height.into()));
    add("duration", media.duration_ms.map(Value::from));
    info.into()
}

/// How clients show a type. What only Apple's programs show is a file: a broken image could not even be saved.
fn msgtype(mime: &str) -> &'static str {
    match mime {
        "image/jpeg" | "image/jpg" | "image/png" | "image/apng" | "image/gif" | "image/webp"
        | "image/avif" | "image/bmp" => "m.image",
        "video/mp4" | "video/quicktime" | "video/webm" | "video/3gpp" | "video/x-m4v"
        | "video/mpeg" | "video/ogg" => "m.video",
        "audio/mpeg" | "audio/mp3" | "audio/mp4" | "audio/x-m4a" | "audio/m4a" | "audio/aac"
        | "audio/ogg" | "audio/opus" | "audio/webm" | "audio/wav" | "audio/x-wav"
        | "audio/flac" | "audio/amr" => "m.audio",
        _ => "m.file",
    }
}

#[cfg(test)]
mod tests {
    use super::msgtype;

    #[test]
    fn what_few_clients_show_is_a_file() {
        let table = [
            ("image/jpeg", "m.image"),
            ("image/heic", "m.file"),
            ("image/svg+xml", "m.file"),
            ("video/quicktime", "m.video"),
            ("audio/x-caf", "m.file"),
            ("audio/amr", "m.audio"),
            ("text/vcard", "m.file"),
            ("", "m.file"),
        ];

        for (mime, expected) in table {
            assert_eq!(msgtype(mime), expected, "{mime}");
        }
    }
}
