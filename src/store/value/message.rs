//! The byte form of messages.

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

/// A message and its place in the archive.
///
/// The attachments of `message` are rows of their own, named by `attachments`; here the list is empty until a reader
/// fills it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredMessage {
    /// The message.
    pub message: Message,
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
}

stored!(StoredMessage, 1);
fields!(StoredMessage {
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
