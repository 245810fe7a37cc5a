//! The byte form of messages.

use bincode::enc::write::Writer;

use crate::base::ids::ChangeNumber;
use crate::base::ids::Guid;
use crate::base::ids::RowId;
use crate::base::time::AppleTime;
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
use crate::model::message::Flags;
use crate::model::message::Kind;
use crate::model::message::LinkPreview;
use crate::model::message::Message;
use crate::model::message::PollOption;
use crate::model::message::Tapback;
use crate::model::message::TapbackAction;
use crate::model::message::TapbackKind;
use crate::model::message::Target;
use crate::model::message::Times;
use crate::model::message::Version;
use crate::model::record::SourceKind;
use crate::store::value::Stored;
use crate::store::value::ValueError;
use crate::store::value::append;
use crate::store::value::read;

/// A message and its place in the archive.
///
/// The attachments of `message` are rows of their own, named by `attachments`; here the list is empty until a reader
/// fills it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredMessage<M = Message> {
    /// The message.
    pub message: M,
    /// Its home; `None` while it is parked.
    pub conversation: Option<RowId>,
    /// Other conversations that hold it.
    pub also_in: Vec<RowId>,
    /// Where it stands in every order that a person sees (D5).
    pub time: AppleTime,
    /// When it came into the archive.
    pub first_seen: AppleTime,
    /// The change that brought it.
    pub first_change: ChangeNumber,
    /// The latest change of anything that the export shows of it.
    pub last_change: ChangeNumber,
    /// Where it was seen.
    pub sources: Vec<SourceKind>,
    /// In a self chat: the twin that is shown in its stead (ID-28).
    pub duplicate_of: Option<Guid>,
    /// Its files, in order.
    pub attachments: Vec<RowId>,
    /// The change that brought it to where it is now, for one that moved, was parked or was restored; `None` where that
    /// is `first_change`.
    pub came: Option<ChangeNumber>,
    /// What happened to it, by time: row n of its timeline, n >= 1, is the mark n - 1.
    pub marks: Vec<Mark>,
}

/// Something that happened to a held message: for a client an event of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// What happened.
    pub kind: MarkKind,
    /// When: its place in the timeline.
    pub at: AppleTime,
    /// The change that brought it.
    pub change: ChangeNumber,
}

/// What can happen to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkKind {
    /// A part got another text.
    Edit {
        /// The part's number.
        part: u16,
        /// Which of the part's versions; the original is 0.
        version: u16,
    },
    /// A part was taken back.
    Unsend {
        /// The part's number.
        part: u16,
    },
    /// The owner deleted the message. One that was deleted already when it came has no such mark.
    Deletion,
    /// The owner brought it back. What comes back is another event than what was deleted.
    Restoration,
    /// It is in another conversation than before, where clients had it. What comes there is another event, also when it
    /// comes back later.
    Move,
}

impl StoredMessage {
    /// The change that brought it to where it is now: when it became new for who reads its conversation.
    pub fn came(&self) -> ChangeNumber {
        self.came.unwrap_or(self.first_change)
    }

    /// The change by which row n of its timeline is to be judged new: the mark's own, or the one that brought the whole
    /// message if that is later.
    pub fn change_of(&self, n: u16) -> ChangeNumber {
        let mark = usize::from(n)
            .checked_sub(1)
            .and_then(|n| self.marks.get(n));
        mark.map_or(self.came(), |mark| mark.change.max(self.came()))
    }

    /// How often it became other events, restored or moved: part of their identity.
    pub fn incarnation(&self) -> usize {
        self.incarnation_at(ChangeNumber(u64::MAX))
    }

    /// The same at an earlier time.
    pub fn incarnation_at(&self, change: ChangeNumber) -> usize {
        let is_one = |mark: &&Mark| matches!(mark.kind, MarkKind::Restoration | MarkKind::Move);
        let marks = self.marks.iter().filter(is_one);
        marks.filter(|mark| mark.change <= change).count()
    }

    /// Whether it is to be shown to nobody: deleted, and there is no mark that would tell clients to remove it, for they
    /// never had it.
    pub fn is_hidden(&self) -> bool {
        self.message.times.deleted.is_some() && !self.is_withdrawn()
    }

    /// Whether a deletion tells clients to remove what they had.
    pub fn is_withdrawn(&self) -> bool {
        self.count(MarkKind::Deletion) > self.count(MarkKind::Restoration)
    }

    fn count(&self, kind: MarkKind) -> usize {
        self.marks.iter().filter(|mark| mark.kind == kind).count()
    }
}

/// The marks of a message as it came: its edits with a time, and its unsends, at the time of the last edit.
pub(in crate::store) fn first_marks(message: &Message, change: ChangeNumber) -> Vec<Mark> {
    let mut marks = Vec::new();
    for edit in &message.edits {
        let part = edit.part;
        for (version, text) in (0..=u16::MAX).zip(&edit.versions).skip(1) {
            let kind = MarkKind::Edit { part, version };
            marks.extend(text.at.map(|at| Mark { kind, at, change }));
        }
    }
    for part in &message.unsent_parts {
        let kind = MarkKind::Unsend { part: *part };
        marks.extend(message.times.edited.map(|at| Mark { kind, at, change }));
    }
    marks.sort_by_key(|mark| mark.at);
    marks
}

stored!(StoredMessage, 2, 1 => StoredMessageV1);
// The message stays last: who decodes a record can encode it before it is known where it goes.
fields!(StoredMessage<M> {
    conversation,
    also_in,
    time,
    first_seen,
    first_change,
    last_change,
    sources,
    duplicate_of,
    attachments,
    came,
    marks,
    message,
});
fields!(Mark { kind, at, change });
variants!(MarkKind {
    0 => Edit { part, version },
    1 => Unsend { part },
    2 => Deletion,
    3 => Restoration,
    4 => Move,
});

/// Version 1: the marks are those that a message brings with it.
struct StoredMessageV1 {
    conversation: Option<RowId>,
    also_in: Vec<RowId>,
    time: AppleTime,
    first_seen: AppleTime,
    first_change: ChangeNumber,
    last_change: ChangeNumber,
    sources: Vec<SourceKind>,
    duplicate_of: Option<Guid>,
    attachments: Vec<RowId>,
    message: Message,
}

fields!(StoredMessageV1 {
    conversation,
    also_in,
    time,
    first_seen,
    first_change,
    last_change,
    sources,
    duplicate_of,
    attachments,
    message,
});

impl From<StoredMessageV1> for StoredMessage {
    fn from(old: StoredMessageV1) -> Self {
        Self {
            marks: first_marks(&old.message, old.first_change),
            came: None,
            message: old.message,
            conversation: old.conversation,
            also_in: old.also_in,
            time: old.time,
            first_seen: old.first_seen,
            first_change: old.first_change,
            last_change: old.last_change,
            sources: old.sources,
            duplicate_of: old.duplicate_of,
            attachments: old.attachments,
        }
    }
}

fields!(Message {
    guid, kind, author, service, own_handle, times, subject, body, reply_to, edits, unsent_parts, effect, app,
    link_preview, error, flags, unreadable; attachments
});
fields!(Times {
    sent,
    delivered,
    read,
    played,
    edited,
    deleted
});
fields!(Target { guid, part });
fields!(Tapback {
    action,
    kind,
    target
});
fields!(Body {
    text,
    parts,
    spans,
    mentions,
    links
});
fields!(Part {
    number,
    start,
    length,
    content
});
fields!(Span {
    start,
    length,
    style
});
fields!(Mention {
    start,
    length,
    handle
});
fields!(Edit { part, versions });
fields!(Version { text, at, spans });
fields!(App {
    bundle,
    name,
    captions,
    text,
    url,
    content
});
fields!(PollOption { id, text });
fields!(LinkPreview {
    url,
    original_url,
    title,
    summary,
    site
});

variants!(Kind {
    0 => Message { about },
    1 => Tapback(tapback),
    2 => Announcement(announcement),
});
variants!(Author {
    0 => Owner,
    1 => Other(handle),
    2 => Unknown,
});
variants!(TapbackAction {
    0 => Add,
    1 => Remove,
});
variants!(TapbackKind {
    0 => Love,
    1 => Like,
    2 => Dislike,
    3 => Laugh,
    4 => Emphasize,
    5 => Question,
    6 => Emoji(emoji),
    7 => Sticker,
});
variants!(Announcement {
    0 => Renamed(title),
    1 => Added(who),
    2 => Removed(who),
    3 => Left,
    4 => Joined,
    5 => PhotoSet,
    6 => PhotoRemoved,
    7 => BackgroundSet,
    8 => BackgroundRemoved,
    9 => LocationStarted,
    10 => LocationStopped,
    11 => AudioKept,
    12 => SharePlay,
    13 => NumberChanged(who),
    14 => Other { item_type, action },
});
variants!(PartContent {
    0 => Text,
    1 => Attachment(guid),
    2 => Balloon,
});
variants!(Style {
    0 => Bold,
    1 => Italic,
    2 => Underline,
    3 => Strikethrough,
    4 => Effect(number),
});
variants!(AppContent {
    0 => Opaque,
    1 => Handwriting,
    2 => DigitalTouch(kind),
    3 => Poll { title, options },
    4 => Votes(votes),
});

/// A message that has its byte form already, as the fields of a [`StoredMessage`] end.
#[derive(Clone, Copy)]
pub(in crate::store) struct EncodedMessage<'b>(pub(in crate::store) &'b [u8]);

impl EncodedMessage<'_> {
    const KIND: &'static str = "Message";

    /// Appends the byte form of a message.
    ///
    /// # Errors
    ///
    /// [`ValueError::Unwritable`], which only a length past `u64` can cause.
    pub(in crate::store) fn append(
        message: &Message,
        bytes: &mut Vec<u8>,
    ) -> Result<(), ValueError> {
        append(message, Self::KIND, bytes)
    }

    /// The message.
    ///
    /// # Errors
    ///
    /// Those of [`super::Stored::from_bytes`], which bytes of [`Self::append`] do not cause.
    pub(in crate::store) fn decode(self) -> Result<Message, ValueError> {
        read(Self::KIND, self.0)
    }
}

impl bincode::Encode for EncodedMessage<'_> {
    fn encode<E: bincode::enc::Encoder>(
        &self,
        encoder: &mut E,
    ) -> Result<(), bincode::error::EncodeError> {
        encoder.writer().write(self.0)
    }
}

impl StoredMessage<EncodedMessage<'_>> {
    /// Appends the stored form, its version first: the same bytes as if the message itself were here.
    ///
    /// # Errors
    ///
    /// As [`EncodedMessage::append`].
    pub(in crate::store) fn append_stored(&self, bytes: &mut Vec<u8>) -> Result<(), ValueError> {
        bytes.push(<StoredMessage as Stored>::VERSION);
        append(self, <StoredMessage as Stored>::KIND, bytes)
    }
}

impl bincode::Encode for Flags {
    fn encode<E: bincode::enc::Encoder>(
        &self,
        encoder: &mut E,
    ) -> Result<(), bincode::error::EncodeError> {
        self.bits().encode(encoder)
    }
}

impl<C> bincode::Decode<C> for Flags {
    fn decode<D: bincode::de::Decoder<Context = C>>(
        decoder: &mut D,
    ) -> Result<Self, bincode::error::DecodeError> {
        Ok(Self::from_bits(bincode::Decode::decode(decoder)?))
    }
}

impl bincode::Encode for SourceKind {
    fn encode<E: bincode::enc::Encoder>(
        &self,
        encoder: &mut E,
    ) -> Result<(), bincode::error::EncodeError> {
        self.number().encode(encoder)
    }
}

impl<C> bincode::Decode<C> for SourceKind {
    fn decode<D: bincode::de::Decoder<Context = C>>(
        decoder: &mut D,
    ) -> Result<Self, bincode::error::DecodeError> {
        let number: u8 = bincode::Decode::decode(decoder)?;
        Self::from_number(number).ok_or_else(|| super::unknown_variant("SourceKind", number.into()))
    }
}
