//! The parts of a message and their edits.

use serde_json::json;

use crate::base::limits::EDIT_FALLBACK_BYTES;
use crate::base::limits::EVENT_TEXT_BYTES;
use crate::matrix::content::Maker;
use crate::matrix::content::balloon;
use crate::matrix::content::file;
use crate::matrix::content::number;
use crate::matrix::content::outline::Slot;
use crate::matrix::content::outline::What;
use crate::matrix::content::outline::outline;
use crate::matrix::event::Content;
use crate::matrix::event::Event;
use crate::matrix::event::Relation;
use crate::matrix::event::RelationKind;
use crate::matrix::event_id::EventKind;
use crate::matrix::text::Draft;
use crate::matrix::text::Marked;
use crate::matrix::text::begin;
use crate::matrix::text::shown;
use crate::model::message::Edit;
use crate::model::message::Flag;
use crate::model::message::Message;
use crate::model::message::Target;

/// `expressive_send_style_id` of a message that is hidden until it is touched (MS-45).
const INVISIBLE_INK: &str = "com.apple.MobileSMS.expressivesend.invisibleink";

/// What stands for a text that is empty or could not be read, as in `footbridge show`.
const NO_TEXT: &str = "(no text)";

impl Maker<'_> {
    /// The events of a message; the first one answers what the message answers or is about.
    pub(super) fn parts(&self, about: Option<&Target>) -> Vec<Event> {
        let message = self.row.message;
        let slots = outline(message);
        let first_text = slots.iter().position(|slot| slot.what.is_text());
        let mut events: Vec<Event> = slots
            .iter()
            .enumerate()
            .map(|(at, slot)| self.part(slot, about, first_text == Some(at)))
            .collect();
        if let Some(first) = events.first_mut() {
            if let Some(target) = message.reply_to.as_ref().or(about) {
                self.answer(first, self.part_of(target));
            }
            if let Some(effect) = &message.effect {
                let effect = effect.as_str().into();
                let key = "dev.footbridge.effect".to_owned();
                first.content.insert(key, effect);
            }
        }
        events.extend(events.first().and_then(|first| self.failure(first)));
        events
    }

    fn part(&self, slot: &Slot<'_>, about: Option<&Target>, is_first_text: bool) -> Event {
        let message = self.row.message;
        let key = self.key(EventKind::Part).at(slot.part, slot.piece);
        let text = |draft: Draft| draft.into_content(msgtype(message));
        let notice = |text: String| Draft::plain(text).into_content("m.notice");
        let (event_type, content) = match &slot.what {
            What::Text(marked, piece) => {
                let draft = marked.draft(piece.clone(), |handle| self.context.user(handle));
                (MESSAGE, text(self.dressed(draft, is_first_text)))
            }
            What::NoText => (
                MESSAGE,
                text(self.dressed(Draft::plain(NO_TEXT), is_first_text)),
            ),
            What::Subject => (MESSAGE, text(self.dressed(Draft::default(), true))),
            What::File(attachment) => file::content(attachment, message, self.context),
            What::LostFile => (
                MESSAGE,
                notice("[attachment] not in the archive".to_owned()),
            ),
            What::App(app) => {
                let poll = about.and_then(|target| self.context.held(&target.guid));
                let poll = poll.as_ref().and_then(|held| held.message.app.as_ref());
                let named = |handle: &_| self.context.name(handle);
                let said = balloon::text(app, poll, &message.author, named);
                (MESSAGE, text(Draft::plain(said)))
            }
            What::Link(url) => (MESSAGE, text(Draft::plain(*url))),
            What::Unsent => (MESSAGE, Content::new()),
            What::Unreadable => {
                let reasons = message.unreadable.join("; ");
                (
                    MESSAGE,
                    notice(format!("This message could not be read: {reasons}")),
                )
            }
        };
        let mut event = self.event(key, event_type, content);
        let shows_link = is_first_text || matches!(slot.what, What::Link(_));
        if let Some(preview) = message.link_preview.as_ref().filter(|_| shows_link) {
            let previews = balloon::previews(preview, &message.attachments, self.context);
            let key = "com.beeper.linkpreviews".to_owned();
            event.content.insert(key, previews);
        }
        event
    }

    /// Text under the subject, and hidden under invisible ink.
    fn dressed(&self, mut draft: Draft, is_first_text: bool) -> Draft {
        let message = self.row.message;
        if is_first_text && let Some(subject) = message.subject.as_deref().and_then(shown) {
            draft.under_subject(&subject);
        }
        if message.effect.as_deref() == Some(INVISIBLE_INK) {
            draft.as_spoiler();
        }
        draft
    }

    /// The notice that a message was not delivered.
    fn failure(&self, first: &Event) -> Option<Event> {
        let error = self.row.message.error;
        if error == 0 {
            return None;
        }
        let content =
            Draft::plain(format!("not delivered (error {error})")).into_content("m.notice");
        let mut event = self.event(self.key(EventKind::Failure), MESSAGE, content);
        self.answer(&mut event, first.key);
        Some(event)
    }

    /// A later text of a part. It replaces the first piece of a long one: texts that were edited are short (MS-42).
    pub(super) fn edit(&self, part: u16, version: usize) -> Option<Event> {
        let message = self.row.message;
        let edit = message.edits.iter().find(|edit| edit.part == part)?;
        let text = edit.versions.get(version).filter(|_| version > 0)?;
        let slots = outline(message);
        let first_text = slots.iter().find(|slot| slot.what.is_text());
        let is_first_text = first_text.is_some_and(|slot| slot.part == part);
        let mut draft = self.dressed(self.version(edit, version), is_first_text);
        if draft.body.len() > EVENT_TEXT_BYTES - EDIT_FALLBACK_BYTES {
            draft.html = None;
        }

        let original = self.key(EventKind::Part).at(part, 0);
        let msgtype = msgtype(message);
        let fallback = format!("* {}", begin(&draft.body, EDIT_FALLBACK_BYTES));
        let mut content = Draft::plain(fallback).into_content(msgtype);
        let new_content = draft.into_content(msgtype);
        content.insert("m.new_content".to_owned(), new_content.into());
        let id = self.context.room().event_id(&original);
        let relates_to = json!({ "rel_type": "m.replace", "event_id": id });
        content.insert("m.relates_to".to_owned(), relates_to);
        let key = self.key(EventKind::Edit).at(part, number(version));
        let at = text.at.unwrap_or(self.row.time);
        let mut event = Event::new(key, MESSAGE, self.sender.clone(), at, content);
        event.relation = Some(Relation {
            kind: RelationKind::Replace,
            parent: original,
        });
        Some(self.settled(event))
    }

    /// The text of an edit. Only the body says who is mentioned, and it has the last text.
    fn version(&self, edit: &Edit, version: usize) -> Draft {
        let user = |handle: &_| self.context.user(handle);
        let Some(marked) = edit.versions.get(version).and_then(Marked::version) else {
            return Draft::plain(NO_TEXT);
        };
        let (mut marked, mut range) = (marked, marked.whole());
        if version + 1 == edit.versions.len()
            && let Some(body) = &self.row.message.body
            && let Some(part) = body.parts.iter().find(|part| part.number == edit.part)
        {
            let current = Marked::body(body);
            let place = current.range_of(part);
            if current.get(place.clone()) == marked.get(range.clone()) {
                (marked, range) = (current, place);
            }
        }
        let pieces = marked.pieces(range);
        let Some(first) = pieces.first() else {
            return Draft::plain(NO_TEXT);
        };
        let mut draft = marked.draft(first.clone(), user);
        if pieces.len() > 1 {
            draft.body.push('\u{2026}');
            draft.html = None;
        }
        draft
    }
}

/// The type of nearly every event.
pub(super) const MESSAGE: &str = "m.room.message";

/// How a text is meant.
fn msgtype(message: &Message) -> &'static str {
    if message.flags.has(Flag::AutoReply) {
        "m.notice"
    } else if message.flags.has(Flag::Emote) {
        "m.emote"
    } else {
        "m.text"
    }
}
