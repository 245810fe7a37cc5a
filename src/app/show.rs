//! A conversation as a person reads it.

use serde::Serialize;

use crate::app::AppError;
use crate::app::Archive;
use crate::app::conversations::Listed;
use crate::app::conversations::find_conversation;
use crate::app::conversations::listed;
use crate::app::conversations::shown_with;
use crate::base::ids::Guid;
use crate::base::ids::RowId;
use crate::base::time::AppleTime;
use crate::model::attachment::Role;
use crate::model::body::Body;
use crate::model::message::Announcement;
use crate::model::message::Author;
use crate::model::message::Flag;
use crate::model::message::Kind;
use crate::model::message::Message;
use crate::model::message::Target;
use crate::model::people::People;
use crate::model::tapback::standing;
use crate::store::Direction;
use crate::store::Place;
use crate::store::Snapshot;
use crate::store::StoreError;
use crate::store::value::StoredMessage;

/// Characters of a message that a reply to it quotes.
const QUOTE_CHARACTERS: usize = 60;

/// Which part of a conversation to show.
#[derive(Clone, Copy, Debug, Default)]
pub struct Part {
    /// From this time on.
    pub since: Option<AppleTime>,
    /// Up to before this time.
    pub until: Option<AppleTime>,
    /// At most so many messages, the latest ones; `None` for all.
    pub limit: Option<usize>,
}

/// A conversation, and where its messages are: each is read when it is asked for.
pub struct Shown {
    /// The conversation.
    pub conversation: Listed,
    /// Whether earlier messages were left out.
    pub more: bool,
    snapshot: Snapshot,
    people: People,
    places: Vec<Place>,
}

impl Shown {
    /// The messages, oldest first.
    ///
    /// # Errors
    ///
    /// An item is an error when the archive cannot be read.
    pub fn entries(&self) -> impl Iterator<Item = Result<Entry, AppError>> {
        let reader = Reader {
            snapshot: &self.snapshot,
            people: &self.people,
        };
        let read = move |place: &Place| -> Result<Option<Entry>, AppError> {
            let stored = reader.snapshot.whole_message(place.row)?;
            let is_shown = stored.duplicate_of.is_none();
            Ok(is_shown.then(|| reader.entry(&stored)).transpose()?)
        };
        self.places.iter().map(read).filter_map(Result::transpose)
    }
}

/// One message with what belongs to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Its GUID.
    pub guid: String,
    /// When it was sent.
    pub at: AppleTime,
    /// Who wrote it, by name.
    pub author: String,
    /// Whether that is the owner.
    pub from_me: bool,
    /// What happened, for an announcement: a sentence without its subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub announcement: Option<String>,
    /// The message it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<Quote>,
    /// The bold first line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Files, balloons and previews, a line each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cards: Vec<String>,
    /// What is to be known besides: `edited`, `not delivered (error 22)`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Tapbacks that stand: emoji and whose.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tapbacks: Vec<(String, Vec<String>)>,
}

/// The beginning of another message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Quote {
    /// Who wrote it; `None` when it is not in the archive.
    pub author: Option<String>,
    /// How it begins.
    pub text: Option<String>,
}

impl Archive {
    /// A conversation by name, address or key; conversations with the same person are shown as one (ID-30).
    ///
    /// # Errors
    ///
    /// [`AppError::NoConversation`], [`AppError::SeveralConversations`], and when the archive cannot be read.
    pub fn show(&self, conversation: &str, part: Part) -> Result<Shown, AppError> {
        let snapshot = self.store().snapshot()?;
        let people = snapshot.people()?;
        let row = find_conversation(&snapshot, &people, conversation)?;
        let rows = shown_with(&snapshot, row)?;
        let (places, more) = places(&snapshot, &rows, part)?;
        Ok(Shown {
            conversation: listed(&snapshot, &people, &rows)?,
            more,
            snapshot,
            people,
            places,
        })
    }
}

/// The places of the wanted messages, oldest first, and whether there are earlier ones.
pub(crate) fn places(
    snapshot: &Snapshot,
    rows: &[RowId],
    part: Part,
) -> Result<(Vec<Place>, bool), StoreError> {
    let end = part.until.map(|time| Place {
        time,
        row: RowId(0),
        n: 0,
    });
    let mut walks = Vec::new();
    for row in rows {
        walks.push(
            snapshot
                .timeline(*row, end, Direction::Backward)?
                .peekable(),
        );
    }
    let mut places = Vec::new();
    loop {
        // The latest of the heads; several only where one person has several conversations.
        let mut latest: Option<(usize, Place)> = None;
        for (at, walk) in walks.iter_mut().enumerate() {
            if let Some(Ok(place)) = walk.peek()
                && latest.is_none_or(|(_, other)| *place > other)
            {
                latest = Some((at, *place));
            } else if let Some(Err(_)) = walk.peek()
                && let Some(Err(error)) = walk.next()
            {
                return Err(error);
            }
        }
        let Some((at, place)) = latest else { break };
        if part.since.is_some_and(|since| place.time < since) {
            break;
        }
        if part.limit.is_some_and(|limit| places.len() >= limit) {
            places.reverse();
            return Ok((places, true));
        }
        if place.n == 0 && !matches!(snapshot.message(place.row)?.message.kind, Kind::Tapback(_)) {
            places.push(place);
        }
        if let Some(walk) = walks.get_mut(at) {
            walk.next().transpose()?;
        }
    }
    places.reverse();
    Ok((places, false))
}

/// Makes entries of messages.
pub(crate) struct Reader<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) people: &'a People,
}

impl Reader<'_> {
    /// A message with its files in it as an entry.
    pub(crate) fn entry(&self, stored: &StoredMessage) -> Result<Entry, StoreError> {
        let message = &stored.message;
        let announcement = match &message.kind {
            Kind::Announcement(what) => Some(self.sentence(what)),
            Kind::Message { .. } | Kind::Tapback(_) => None,
        };
        Ok(Entry {
            guid: message.guid.to_string(),
            at: message.times.sent.unwrap_or(stored.time),
            author: self.people.author(&message.author).to_owned(),
            from_me: message.author == Author::Owner,
            announcement,
            reply_to: message
                .reply_to
                .as_ref()
                .map(|target| self.quote(target))
                .transpose()?,
            subject: message.subject.clone(),
            text: message.body.as_ref().and_then(Body::shown),
            cards: cards(message),
            notes: notes(message),
            tapbacks: self.tapbacks(&message.guid)?,
        })
    }

    /// What an announcement says, without its subject.
    pub(crate) fn sentence(&self, what: &Announcement) -> String {
        what.sentence(|handle| self.people.shown(handle).into())
    }

    /// The beginning of the message that a reply answers.
    fn quote(&self, target: &Target) -> Result<Quote, StoreError> {
        let Some(row) = self.snapshot.messages_with(&target.guid)?.first().copied() else {
            return Ok(Quote {
                author: None,
                text: None,
            });
        };
        let stored = self.snapshot.whole_message(row)?;
        let message = &stored.message;
        let text = message.body.as_ref().and_then(Body::shown);
        let text = text
            .or_else(|| cards(message).into_iter().next())
            .map(|text| begin(&text));
        Ok(Quote {
            author: Some(self.people.author(&message.author).to_owned()),
            text,
        })
    }

    /// The tapbacks that stand on a message, by emoji.
    fn tapbacks(&self, guid: &Guid) -> Result<Vec<(String, Vec<String>)>, StoreError> {
        let mut made = Vec::new();
        for row in self.snapshot.relations(guid)? {
            let stored = self.snapshot.message(row)?;
            if let Kind::Tapback(tapback) = stored.message.kind
                && tapback.target.guid == *guid
            {
                made.push((stored.time, stored.message.author, tapback));
            }
        }
        let mut groups: Vec<(String, Vec<String>)> = Vec::new();
        for tapback in standing(made) {
            let (emoji, who) = (
                tapback.kind.emoji(),
                self.people.author(&tapback.author).to_owned(),
            );
            match groups.iter_mut().find(|(group, _)| group == emoji) {
                Some((_, people)) => people.push(who),
                None => groups.push((emoji.to_owned(), vec![who])),
            }
        }
        Ok(groups)
    }
}

/// The beginning of a text, in one line.
fn begin(text: &str) -> String {
    let line: Vec<&str> = text.split_whitespace().collect();
    let line = line.join(" ");
    match line.char_indices().nth(QUOTE_CHARACTERS) {
        Some((end, _)) => format!("{}\u{2026}", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

/// Files, balloons and previews, a line each.
fn cards(message: &Message) -> Vec<String> {
    let mut cards = Vec::new();
    for attachment in message
        .attachments
        .iter()
        .filter(|attachment| attachment.role == Role::File)
    {
        let name = attachment.name.as_deref().unwrap_or("attachment");
        let mime = attachment.mime.as_deref().unwrap_or("unknown type");
        let mut card = format!("[{name}] {mime}");
        if let Some(reason) = attachment.state.reason() {
            card = format!("{card}, {}: {reason}", attachment.state.name());
        }
        cards.push(card);
        cards.extend(
            attachment
                .transcription
                .iter()
                .map(|said| format!("\u{201c}{said}\u{201d}")),
        );
    }
    if let Some(app) = &message.app {
        let bundle = app.bundle.rsplit(':').next().unwrap_or(&app.bundle);
        let said = app.captions.first().or(app.text.as_ref());
        let name = app.name.as_deref().unwrap_or(bundle);
        cards.push(said.map_or(format!("[{name}]"), |said| format!("[{name}] {said}")));
    }
    if let Some(title) = message
        .link_preview
        .as_ref()
        .and_then(|preview| preview.title.as_ref())
    {
        cards.push(format!("[link] {title}"));
    }
    cards
}

/// What is to be known of a message besides its text.
fn notes(message: &Message) -> Vec<String> {
    let mut notes = Vec::new();
    if !message.edits.is_empty() {
        notes.push("edited".to_owned());
    }
    if message.flags.has(Flag::Unsent) {
        notes.push("unsent".to_owned());
    } else if !message.unsent_parts.is_empty() {
        notes.push("partly unsent".to_owned());
    }
    if message.times.deleted.is_some() {
        notes.push("deleted".to_owned());
    }
    if message.error != 0 {
        notes.push(format!("not delivered (error {})", message.error));
    }
    if message.flags.has(Flag::Scheduled) {
        notes.push("to be sent later".to_owned());
    }
    if let Some(effect) = &message.effect {
        let name = effect.rsplit('.').next().unwrap_or(effect);
        let name = name
            .strip_prefix("CK")
            .and_then(|name| name.strip_suffix("Effect"))
            .unwrap_or(name);
        notes.push(format!("sent with {}", name.to_lowercase()));
    }
    if !message.unreadable.is_empty() {
        notes.push("not wholly readable".to_owned());
    }
    notes
}
