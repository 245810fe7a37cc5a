//! The lines of the export, format version 1. A field that does not apply is left out.

use serde::Serialize;

use crate::base::ids::Handle;
use crate::base::ids::RowId;
use crate::base::time::AppleTime;
use crate::model::attachment::Attachment;
use crate::model::attachment::AttachmentState;
use crate::model::attachment::Role;
use crate::model::body::Body;
use crate::model::body::Span;
use crate::model::conversation::Conversation;
use crate::model::conversation::ConversationKind;
use crate::model::conversation::Filed;
use crate::model::message::Announcement;
use crate::model::message::App;
use crate::model::message::AppContent;
use crate::model::message::Author;
use crate::model::message::Edit;
use crate::model::message::Flag;
use crate::model::message::Kind;
use crate::model::message::LinkPreview;
use crate::model::message::Tapback;
use crate::model::message::TapbackAction;
use crate::model::message::TapbackKind;
use crate::model::message::Target;
use crate::model::people::People;
use crate::store::value::Head;
use crate::store::value::StoredMessage;

/// A `conversation` line.
#[derive(Serialize)]
pub struct ConversationLine<'a> {
    r#type: &'static str,
    key: &'a str,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    participants: Vec<&'a str>,
    names: serde_json::Map<String, serde_json::Value>,
    aliases: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<String>,
    messages: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted: Option<String>,
    junk: bool,
}

impl<'a> ConversationLine<'a> {
    /// A conversation with its totals, the names that lead to it, and the names of its people.
    pub fn new(
        held: &'a Conversation,
        totals: Head,
        aliases: &'a [String],
        people: &People,
    ) -> Self {
        let named = |handle| {
            people
                .name(handle)
                .map(|name| (handle.to_string(), name.into()))
        };
        Self {
            r#type: "conversation",
            key: held.key.as_str(),
            kind: match held.kind {
                ConversationKind::Direct => "dm",
                ConversationKind::Group => "group",
            },
            service: held.service.as_deref(),
            name: held.name.as_ref().map(|name| name.text.as_str()),
            participants: held.participants.iter().map(Handle::as_str).collect(),
            names: held.participants.iter().filter_map(named).collect(),
            aliases,
            first: totals.oldest.map(|at| at.to_string()),
            last: totals.newest.map(|at| at.to_string()),
            messages: totals.messages,
            deleted: held.deleted.map(|at| at.to_string()),
            junk: held.filed == Filed::Junk,
        }
    }
}

/// A `message` line.
#[derive(Serialize)]
pub struct MessageLine<'a> {
    r#type: &'static str,
    guid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    conversation: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parked: Option<&'a str>,
    kind: &'static str,
    from_me: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    sender: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<&'a str>,
    sent: AppleTime,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivered: Option<AppleTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    read: Option<AppleTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    edited: Option<AppleTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted: Option<AppleTime>,
    #[serde(skip_serializing_if = "is_false")]
    time_guessed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    spans: Vec<SpanField>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mentions: Vec<MentionField<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    links: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<TargetField>,
    #[serde(skip_serializing_if = "Option::is_none")]
    about: Option<TargetField>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    also_in: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duplicate_of: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    own_handle: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tapback: Option<TapbackField<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    edits: Vec<EditField<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    unsent_parts: &'a [u16],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attachments: Vec<AttachmentField<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    effect: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    app: Option<AppField<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link_preview: Option<LinkPreviewField<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    announcement: Option<AnnouncementField<'a>>,
    #[serde(skip_serializing_if = "is_zero")]
    error: i64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    flags: Vec<&'static str>,
    sources: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unreadable: Option<String>,
}

impl<'a> MessageLine<'a> {
    /// A message with its files in it, why it is parked if it is, and the keys of conversations by their rows.
    pub fn new(
        stored: &'a StoredMessage,
        parked: Option<&'a str>,
        key: impl Fn(&RowId) -> &'a str,
    ) -> Self {
        let message = &stored.message;
        let (kind, tapback, announcement, about) = match &message.kind {
            Kind::Message { about } => ("message", None, None, about.as_ref()),
            Kind::Tapback(tapback) => ("tapback", Some(TapbackField::new(tapback)), None, None),
            Kind::Announcement(what) => (
                "announcement",
                None,
                Some(AnnouncementField::new(what)),
                None,
            ),
        };
        // The body of a tapback is a sentence about it that nobody is shown (MS-24).
        let body = message.body.as_ref().filter(|_| tapback.is_none());
        let text = body.and_then(Body::shown);
        let differs = |body: &&str| text.as_deref().unwrap_or_default() != *body;
        Self {
            r#type: "message",
            guid: message.guid.to_string(),
            conversation: stored.conversation.as_ref().map(&key),
            parked,
            kind,
            from_me: message.author == Author::Owner,
            sender: match &message.author {
                Author::Other(handle) => Some(handle.as_str()),
                Author::Owner | Author::Unknown => None,
            },
            service: message.service.as_deref(),
            sent: message.times.sent.unwrap_or(stored.time),
            delivered: message.times.delivered,
            read: message.times.read,
            edited: message.times.edited,
            deleted: message.times.deleted,
            time_guessed: message.times.sent.is_none(),
            body: body.map(|body| body.text.as_str()).filter(differs),
            text,
            subject: message.subject.as_deref(),
            spans: body.map(|body| spans(&body.spans)).unwrap_or_default(),
            mentions: body
                .iter()
                .flat_map(|body| &body.mentions)
                .map(MentionField::new)
                .collect(),
            links: body.map_or(&[], |body| &body.links),
            reply_to: message.reply_to.as_ref().map(TargetField::new),
            about: about.map(TargetField::new),
            also_in: stored.also_in.iter().map(key).collect(),
            duplicate_of: stored.duplicate_of.as_ref().map(ToString::to_string),
            own_handle: message.own_handle.as_ref().map(Handle::as_str),
            tapback,
            edits: message.edits.iter().map(EditField::new).collect(),
            unsent_parts: &message.unsent_parts,
            attachments: message
                .attachments
                .iter()
                .filter_map(AttachmentField::new)
                .collect(),
            effect: message.effect.as_deref(),
            app: message.app.as_ref().map(AppField::new),
            link_preview: message.link_preview.as_ref().map(LinkPreviewField::new),
            announcement,
            error: message.error,
            flags: message.flags.iter().map(Flag::name).collect(),
            sources: stored.sources.iter().map(|source| source.name()).collect(),
            unreadable: (!message.unreadable.is_empty()).then(|| message.unreadable.join("; ")),
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
fn is_false(value: &bool) -> bool {
    !value
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
fn is_zero(value: &i64) -> bool {
    *value == 0
}

fn spans(spans: &[Span]) -> Vec<SpanField> {
    let field = |span: &Span| SpanField {
        start: span.start,
        length: span.length,
        style: span.style.name(),
    };
    spans.iter().map(field).collect()
}

#[derive(Serialize)]
struct SpanField {
    start: u32,
    length: u32,
    style: String,
}

#[derive(Serialize)]
struct MentionField<'a> {
    start: u32,
    length: u32,
    handle: &'a str,
}

impl<'a> MentionField<'a> {
    fn new(mention: &'a crate::model::body::Mention) -> Self {
        Self {
            start: mention.start,
            length: mention.length,
            handle: mention.handle.as_str(),
        }
    }
}

#[derive(Serialize)]
struct TargetField {
    guid: String,
    part: u16,
}

impl TargetField {
    fn new(target: &Target) -> Self {
        Self {
            guid: target.guid.to_string(),
            part: target.part,
        }
    }
}

#[derive(Serialize)]
struct TapbackField<'a> {
    action: &'static str,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    emoji: Option<&'a str>,
    target: TargetField,
}

impl<'a> TapbackField<'a> {
    fn new(tapback: &'a Tapback) -> Self {
        Self {
            action: match tapback.action {
                TapbackAction::Add => "add",
                TapbackAction::Remove => "remove",
            },
            kind: tapback.kind.name(),
            emoji: match &tapback.kind {
                TapbackKind::Emoji(emoji) => emoji.as_deref(),
                TapbackKind::Love
                | TapbackKind::Like
                | TapbackKind::Dislike
                | TapbackKind::Laugh
                | TapbackKind::Emphasize
                | TapbackKind::Question
                | TapbackKind::Sticker => None,
            },
            target: TargetField::new(&tapback.target),
        }
    }
}

#[derive(Serialize)]
struct EditField<'a> {
    part: u16,
    versions: Vec<VersionField<'a>>,
}

#[derive(Serialize)]
struct VersionField<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<AppleTime>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    spans: Vec<SpanField>,
}

impl<'a> EditField<'a> {
    fn new(edit: &'a Edit) -> Self {
        let versions = edit.versions.iter().map(|version| VersionField {
            text: version.text.as_deref(),
            at: version.at,
            spans: spans(&version.spans),
        });
        Self {
            part: edit.part,
            versions: versions.collect(),
        }
    }
}

#[derive(Serialize)]
struct AttachmentField<'a> {
    guid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mime: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uti: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transcription: Option<&'a str>,
    #[serde(skip_serializing_if = "is_false")]
    live_photo: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    sticker: Option<StickerField<'a>>,
}

#[derive(Serialize)]
struct StickerField<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    effect: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
}

impl<'a> AttachmentField<'a> {
    /// A user's file; pieces of a link preview are none (MS-47).
    fn new(attachment: &'a Attachment) -> Option<Self> {
        if attachment.role == Role::Preview {
            return None;
        }
        Some(Self {
            guid: attachment.guid.as_str(),
            part: attachment.part,
            name: attachment.name.as_deref(),
            mime: attachment.mime.as_deref(),
            uti: attachment.uti.as_deref(),
            size_bytes: attachment.size_bytes,
            sha256: match &attachment.state {
                AttachmentState::Held { sha256, .. } => Some(hex(sha256)),
                AttachmentState::Wanted
                | AttachmentState::Missing(_)
                | AttachmentState::Failed { .. }
                | AttachmentState::Abandoned { .. } => None,
            },
            state: attachment.state.name(),
            reason: attachment.state.reason(),
            transcription: attachment.transcription.as_deref(),
            live_photo: attachment.live_photo,
            sticker: attachment.sticker.as_ref().map(|sticker| StickerField {
                effect: sticker.effect.as_deref(),
                source: sticker.source.as_deref(),
                description: sticker.description.as_deref(),
            }),
        })
    }
}

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or_default();
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

#[derive(Serialize)]
struct AppField<'a> {
    bundle: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    caption: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    captions: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    drawing: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    poll: Option<PollField<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    votes: Option<Vec<VoteField<'a>>>,
}

#[derive(Serialize)]
struct PollField<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    options: Vec<OptionField<'a>>,
}

#[derive(Serialize)]
struct OptionField<'a> {
    id: &'a str,
    text: &'a str,
}

#[derive(Serialize)]
struct VoteField<'a> {
    option: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<&'a str>,
}

impl<'a> AppField<'a> {
    fn new(app: &'a App) -> Self {
        let (mut drawing, mut poll, mut votes) = (None, None, None);
        match &app.content {
            AppContent::Opaque => {}
            AppContent::Handwriting => drawing = Some("handwriting"),
            AppContent::DigitalTouch(kind) => drawing = Some(kind.as_str()),
            AppContent::Poll { title, options } => {
                let options = options.iter().map(|option| OptionField {
                    id: &option.id,
                    text: &option.text,
                });
                poll = Some(PollField {
                    title: title.as_deref(),
                    options: options.collect(),
                });
            }
            AppContent::Votes(cast) => {
                let field = |(option, by): &'a (String, Option<Handle>)| VoteField {
                    option,
                    by: by.as_ref().map(Handle::as_str),
                };
                votes = Some(cast.iter().map(field).collect());
            }
        }
        Self {
            bundle: &app.bundle,
            name: app.name.as_deref(),
            caption: app.captions.first().map(String::as_str),
            captions: &app.captions,
            text: app.text.as_deref(),
            url: app.url.as_deref(),
            drawing,
            poll,
            votes,
        }
    }
}

#[derive(Serialize)]
struct LinkPreviewField<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    original_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    site: Option<&'a str>,
}

impl<'a> LinkPreviewField<'a> {
    fn new(preview: &'a LinkPreview) -> Self {
        Self {
            url: preview.url.as_deref(),
            original_url: preview.original_url.as_deref(),
            title: preview.title.as_deref(),
            summary: preview.summary.as_deref(),
            site: preview.site.as_deref(),
        }
    }
}

#[derive(Serialize)]
struct AnnouncementField<'a> {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    numbers: Option<[i64; 2]>,
}

impl<'a> AnnouncementField<'a> {
    fn new(what: &'a Announcement) -> Self {
        Self {
            kind: what.name(),
            title: if let Announcement::Renamed(title) = what {
                title.as_deref()
            } else {
                None
            },
            target: what.target().map(Handle::as_str),
            numbers: if let Announcement::Other { item_type, action } = what {
                Some([*item_type, *action])
            } else {
                None
            },
        }
    }
}
