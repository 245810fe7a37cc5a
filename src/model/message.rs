//! One iMessage message, whatever source it came from.

use std::borrow::Cow;
use std::fmt;

use crate::base::ids::Guid;
use crate::base::ids::Handle;
use crate::base::time::AppleTime;
use crate::model::attachment::Attachment;
use crate::model::body::Body;
use crate::model::body::Span;

/// A message, tapback or announcement: one row of a source.
#[derive(Clone, PartialEq)]
pub struct Message {
    /// Its identifier.
    pub guid: Guid,
    /// What it is.
    pub kind: Kind,
    /// Who wrote it.
    pub author: Author,
    /// As the source wrote it: `iMessage`, `SMS`, `RCS`, anything.
    pub service: Option<String>,
    /// The own address that this message used.
    pub own_handle: Option<Handle>,
    /// Its times.
    pub times: Times,
    /// The bold first line.
    pub subject: Option<String>,
    /// Text and parts; `None` for announcements, fully unsent messages and what could not be decoded.
    pub body: Option<Body>,
    /// The message it answers (`thread_originator_guid`).
    pub reply_to: Option<Target>,
    /// Earlier and current texts of edited parts, by part.
    pub edits: Vec<Edit>,
    /// Numbers of the parts that were taken back, rising.
    pub unsent_parts: Vec<u16>,
    /// Files, in the order of the body.
    pub attachments: Vec<Attachment>,
    /// `expressive_send_style_id`, as it is.
    pub effect: Option<String>,
    /// An app's balloon.
    pub app: Option<App>,
    /// A link's preview.
    pub link_preview: Option<LinkPreview>,
    /// The send error's number; 0 for none.
    pub error: i64,
    /// What else is known of it.
    pub flags: Flags,
    /// What of it could not be decoded, and why. The raw bytes stay in the store.
    pub unreadable: Vec<String>,
}

impl Message {
    /// A message of which nothing is known but that it is there, what it is and whose.
    pub fn new(guid: Guid, kind: Kind, author: Author) -> Self {
        Self {
            guid,
            kind,
            author,
            service: None,
            own_handle: None,
            times: Times::default(),
            subject: None,
            body: None,
            reply_to: None,
            edits: Vec::new(),
            unsent_parts: Vec::new(),
            attachments: Vec::new(),
            effect: None,
            app: None,
            link_preview: None,
            error: 0,
            flags: Flags::default(),
            unreadable: Vec::new(),
        }
    }
}

/// Who wrote a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Author {
    /// The owner, on any device.
    Owner,
    /// Someone else.
    Other(Handle),
    /// Someone else, but the source does not say who.
    Unknown,
}

/// What a message is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Something a person wrote or sent.
    Message {
        /// The message that a sticker was placed on, a poll vote counts for or an app's update continues.
        about: Option<Target>,
    },
    /// A reaction to a part of a message, or its removal.
    Tapback(Tapback),
    /// Something that happened to the conversation.
    Announcement(Announcement),
}

/// A part of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The message.
    pub guid: Guid,
    /// The part.
    pub part: u16,
}

/// A reaction, or its removal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tapback {
    /// Made or taken back.
    pub action: TapbackAction,
    /// Which.
    pub kind: TapbackKind,
    /// On what.
    pub target: Target,
}

/// Whether a tapback was made or taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TapbackAction {
    /// Made; replaces an earlier one of the same person on the same part (MS-26).
    Add,
    /// Taken back, whatever its kind was (MS-27).
    Remove,
}

/// Which tapback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TapbackKind {
    /// Heart.
    Love,
    /// Thumb up.
    Like,
    /// Thumb down.
    Dislike,
    /// Ha ha.
    Laugh,
    /// Exclamation marks.
    Emphasize,
    /// Question mark.
    Question,
    /// Any emoji; `None` where a removal does not say which.
    Emoji(Option<String>),
    /// A sticker, attached to the row.
    Sticker,
}

impl TapbackKind {
    /// Its name in the export.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Love => "love",
            Self::Like => "like",
            Self::Dislike => "dislike",
            Self::Laugh => "laugh",
            Self::Emphasize => "emphasize",
            Self::Question => "question",
            Self::Emoji(_) => "emoji",
            Self::Sticker => "sticker",
        }
    }

    /// The emoji that stands for it (MS-24).
    pub fn emoji(&self) -> &str {
        match self {
            Self::Love => "\u{2764}\u{fe0f}",
            Self::Like => "\u{1f44d}",
            Self::Dislike => "\u{1f44e}",
            Self::Laugh => "\u{1f602}",
            Self::Emphasize => "\u{203c}\u{fe0f}",
            Self::Question => "\u{2753}",
            Self::Emoji(emoji) => emoji.as_deref().unwrap_or("\u{1fae5}"),
            Self::Sticker => "\u{1f5bc}\u{fe0f}",
        }
    }
}

/// Something that happened to a conversation (MS-50). The author did it.
#[derive(Clone, PartialEq, Eq)]
pub enum Announcement {
    /// A group got a name, or lost it.
    Renamed(Option<String>),
    /// Someone was added.
    Added(Option<Handle>),
    /// Someone was removed.
    Removed(Option<Handle>),
    /// The author left.
    Left,
    /// The author came.
    Joined,
    /// The group's picture was set.
    PhotoSet,
    /// The group's picture was removed.
    PhotoRemoved,
    /// The chat's background was set.
    BackgroundSet,
    /// The chat's background was removed.
    BackgroundRemoved,
    /// The author shares a location.
    LocationStarted,
    /// The author no longer shares it.
    LocationStopped,
    /// A voice message was kept.
    AudioKept,
    /// SharePlay began.
    SharePlay,
    /// A member has another number now.
    NumberChanged(Option<Handle>),
    /// Something this version does not know, by the source's numbers.
    Other {
        /// `item_type`.
        item_type: i64,
        /// `group_action_type`.
        action: i64,
    },
}

impl Announcement {
    /// Its name in the export.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Renamed(_) => "renamed",
            Self::Added(_) => "added",
            Self::Removed(_) => "removed",
            Self::Left => "left",
            Self::Joined => "joined",
            Self::PhotoSet => "photo_set",
            Self::PhotoRemoved => "photo_removed",
            Self::BackgroundSet => "background_set",
            Self::BackgroundRemoved => "background_removed",
            Self::LocationStarted => "location_started",
            Self::LocationStopped => "location_stopped",
            Self::AudioKept => "audio_kept",
            Self::SharePlay => "shareplay",
            Self::NumberChanged(_) => "number_changed",
            Self::Other { .. } => "other",
        }
    }

    /// What it says, without its subject: the author. `shown` says how an address is called.
    pub fn sentence<'a>(&'a self, shown: impl Fn(&'a Handle) -> Cow<'a, str>) -> String {
        let who = |handle: &'a Option<Handle>| handle.as_ref().map_or("someone".into(), &shown);
        match self {
            Self::Renamed(Some(title)) => format!("named the conversation \"{title}\""),
            Self::Renamed(None) => "removed the conversation's name".to_owned(),
            Self::Added(handle) => format!("added {}", who(handle)),
            Self::Removed(handle) => format!("removed {}", who(handle)),
            Self::Left => "left".to_owned(),
            Self::Joined => "joined".to_owned(),
            Self::PhotoSet => "changed the group's picture".to_owned(),
            Self::PhotoRemoved => "removed the group's picture".to_owned(),
            Self::BackgroundSet => "changed the background".to_owned(),
            Self::BackgroundRemoved => "removed the background".to_owned(),
            Self::LocationStarted => "started sharing location".to_owned(),
            Self::LocationStopped => "stopped sharing location".to_owned(),
            Self::AudioKept => "kept an audio message".to_owned(),
            Self::SharePlay => "started SharePlay".to_owned(),
            Self::NumberChanged(_) => "got another number".to_owned(),
            Self::Other { item_type, action } => {
                format!("did something unknown ({item_type}/{action})")
            }
        }
    }

    /// Whom it is about, besides its author.
    pub fn target(&self) -> Option<&Handle> {
        match self {
            Self::Added(who) | Self::Removed(who) | Self::NumberChanged(who) => who.as_ref(),
            Self::Renamed(_)
            | Self::Left
            | Self::Joined
            | Self::PhotoSet
            | Self::PhotoRemoved
            | Self::BackgroundSet
            | Self::BackgroundRemoved
            | Self::LocationStarted
            | Self::LocationStopped
            | Self::AudioKept
            | Self::SharePlay
            | Self::Other { .. } => None,
        }
    }
}

/// The times of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// When it was sent; `None` when the source had no usable time.
    pub sent: Option<AppleTime>,
    /// When it reached the other side.
    pub delivered: Option<AppleTime>,
    /// When it was read: by the other side if it is the owner's, else by the owner.
    pub read: Option<AppleTime>,
    /// When a voice message was played.
    pub played: Option<AppleTime>,
    /// The last edit or unsend.
    pub edited: Option<AppleTime>,
    /// When the owner deleted it.
    pub deleted: Option<AppleTime>,
}

/// The texts of an edited part.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit {
    /// The part's number.
    pub part: u16,
    /// The original first, the current one last.
    pub versions: Vec<Version>,
}

/// One text of an edited part.
#[derive(Clone, PartialEq)]
pub struct Version {
    /// The text exactly as sent; `None` when it could not be decoded.
    pub text: Option<String>,
    /// Since when it stood.
    pub at: Option<AppleTime>,
    /// Its styled stretches.
    pub spans: Vec<Span>,
}

/// An app's balloon.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct App {
    /// Apple's whole id.
    pub bundle: String,
    /// The app's name.
    pub name: Option<String>,
    /// What stands on the balloon: caption, then subcaptions and image texts as far as they are filled.
    pub captions: Vec<String>,
    /// The text shown where balloons cannot be.
    pub text: Option<String>,
    /// Where it leads.
    pub url: Option<String>,
    /// Hand-drawn content, a poll, a vote.
    pub content: AppContent,
}

/// What a balloon of Apple's own apps holds.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum AppContent {
    /// Nothing that this version looks into.
    #[default]
    Opaque,
    /// Handwriting.
    Handwriting,
    /// Digital Touch, by kind: `sketch`, `heartbeat`, `fireball`.
    DigitalTouch(String),
    /// A poll.
    Poll {
        /// The question, if it has one.
        title: Option<String>,
        /// What one can vote for.
        options: Vec<PollOption>,
    },
    /// Votes in a poll: option ids and who chose them.
    Votes(Vec<(String, Option<Handle>)>),
}

/// One answer of a poll.
#[derive(Clone, PartialEq, Eq)]
pub struct PollOption {
    /// By which votes name it.
    pub id: String,
    /// What it says.
    pub text: String,
}

/// A link's preview, as the sender's device made it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct LinkPreview {
    /// Where it leads.
    pub url: Option<String>,
    /// What the sender typed, where it differs.
    pub original_url: Option<String>,
    /// The page's title.
    pub title: Option<String>,
    /// The page's summary.
    pub summary: Option<String>,
    /// The site's name.
    pub site: Option<String>,
}

/// Implements `Debug` without what a person wrote: it is private, and logs show none of it.
macro_rules! private {
    ($($name:ident { $($field:ident),* })*) => {
        $(
            /// What people wrote is private: logs show none of it.
            impl fmt::Debug for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.debug_struct(stringify!($name))$(.field(stringify!($field), &self.$field))*.finish_non_exhaustive()
                }
            }
        )*
    };
}

private! {
    Message { guid, kind, times, error, flags, unreadable }
    Version { at }
    App { bundle }
    PollOption { id }
    LinkPreview {}
}

/// What people wrote is private: logs show none of it.
impl fmt::Debug for AppContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AppContent(..)")
    }
}

/// Names are private: logs show which announcement it is.
impl fmt::Debug for Announcement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Announcement({})", self.name())
    }
}

/// A set of [`Flag`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(u64);

impl Flags {
    /// From the store.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// For the store.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Raises a flag if the condition holds.
    pub fn set(&mut self, flag: Flag, raised: bool) {
        if raised {
            self.0 |= flag.bit();
        }
    }

    /// Whether a flag is raised.
    pub fn has(self, flag: Flag) -> bool {
        self.0 & flag.bit() != 0
    }

    /// The raised flags.
    pub fn iter(self) -> impl Iterator<Item = Flag> {
        Flag::ALL
            .iter()
            .copied()
            .filter(move |flag| self.has(*flag))
    }
}

macro_rules! flags {
    ($($(#[$doc:meta])* $flag:ident = $name:literal,)*) => {
        /// What else is known of a message. The order is part of the file format: only ever extended at the end.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Flag {
            $($(#[$doc])* $flag,)*
        }

        impl Flag {
            /// Every flag.
            pub const ALL: &'static [Self] = &[$(Self::$flag,)*];

            /// Its name in the export.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$flag => $name,)*
                }
            }

            const fn bit(self) -> u64 {
                1 << self as u8
            }
        }
    };
}

flags! {
    /// Sent as SMS because iMessage did not reach the other side.
    Downgraded = "downgraded",
    /// To be sent later, not sent yet.
    Scheduled = "scheduled",
    /// Marked as spam.
    Spam = "spam",
    /// Sent over a satellite.
    Satellite = "satellite",
    /// Sent or received without a network.
    OffGrid = "off_grid",
    /// An emergency message.
    Sos = "sos",
    /// Breaks through Do Not Disturb.
    Critical = "critical",
    /// A voice message.
    Audio = "audio",
    /// The voice message was kept.
    AudioKept = "audio_kept",
    /// Sent automatically.
    AutoReply = "auto_reply",
    /// Written in the third person with an ancient client.
    Emote = "emote",
    /// A system message.
    System = "system",
    /// Messages' own notice.
    Service = "service",
    /// Delivered without a sound, the other side being in a Focus.
    DeliveredQuietly = "delivered_quietly",
    /// Sent with "Notify Anyway".
    NotifiedAnyway = "notified_anyway",
    /// The source holds it for damaged.
    Corrupt = "corrupt",
    /// Every part was taken back.
    Unsent = "unsent",
    /// Not sent yet, and no error either.
    Unfinished = "unfinished",
    /// It mentions the owner, who has not seen it.
    UnseenMention = "unseen_mention",
    /// Came back from Recently Deleted.
    Recovered = "recovered",
}

#[cfg(test)]
mod tests {
    use super::Announcement;
    use super::LinkPreview;
    use super::Version;

    #[test]
    fn what_people_wrote_does_not_reach_a_log() {
        let version = Version {
            text: Some("secret".to_owned()),
            at: None,
            spans: Vec::new(),
        };
        let preview = LinkPreview {
            title: Some("secret".to_owned()),
            ..LinkPreview::default()
        };
        let announcement = Announcement::Renamed(Some("secret".to_owned()));

        let printed = format!("{version:?} {preview:?} {announcement:?}");

        assert_eq!(
            printed,
            "Version { at: None, .. } LinkPreview { .. } Announcement(renamed)"
        );
    }
}
