//! The body of a message: its text exactly as sent, cut into parts, with what is marked in it.
//!
//! Offsets and lengths count UTF-16 code units of [`Body::text`], as iMessage does.

use std::borrow::Cow;

use crate::base::ids::AttachmentGuid;
use crate::base::ids::Handle;

/// Stands where an attachment is.
pub const ATTACHMENT_PLACEHOLDER: char = '\u{fffc}';

/// Stands where an app balloon is.
pub const BALLOON_PLACEHOLDER: char = '\u{fffd}';

/// A message's body.
#[derive(Clone, Default, PartialEq)]
pub struct Body {
    /// The text exactly as sent, placeholders included.
    pub text: String,
    /// The parts in the order of the text. Their numbers rise but may have holes, where a part was unsent. Empty for an
    /// empty text and for a body of which only the text is known: then everything is part 0.
    pub parts: Vec<Part>,
    /// Styled stretches.
    pub spans: Vec<Span>,
    /// People who were mentioned.
    pub mentions: Vec<Mention>,
    /// URLs, in the order of the text.
    pub links: Vec<String>,
}

impl Body {
    /// A body of which only the text is known.
    pub fn plain(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    /// What a reader sees: no placeholders, no white space around. `None` when nothing is left.
    pub fn shown(&self) -> Option<String> {
        shown(&self.text).map(Cow::into_owned)
    }

    /// The number of the part in which an attachment stands.
    pub fn part_of(&self, attachment: &AttachmentGuid) -> Option<u16> {
        self.parts.iter().find_map(|part| match &part.content {
            PartContent::Attachment(guid) if guid.is(attachment) => Some(part.number),
            PartContent::Attachment(_) | PartContent::Text | PartContent::Balloon => None,
        })
    }
}

/// Text without placeholders and without white space around it; `None` when nothing is left (MS-13).
pub fn shown(text: &str) -> Option<Cow<'_, str>> {
    let is_placeholder = |c| matches!(c, ATTACHMENT_PLACEHOLDER | BALLOON_PLACEHOLDER);
    let blank = |c| matches!(c, ' ' | '\t' | '\r' | '\n' | '\u{2028}' | '\u{2029}');
    let shown = if text.is_ascii() || !text.contains(is_placeholder) {
        Cow::Borrowed(text.trim_matches(blank))
    } else {
        let kept = text.replace(is_placeholder, "");
        Cow::Owned(kept.trim_matches(blank).to_owned())
    };
    (!shown.is_empty()).then_some(shown)
}

/// Message text never reaches a log.
impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Body")
            .field("bytes", &self.text.len())
            .field("parts", &self.parts.len())
            .finish_non_exhaustive()
    }
}

/// One bubble of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its number, by which replies and tapbacks refer to it (MS-10).
    pub number: u16,
    /// Where it begins in the text.
    pub start: u32,
    /// How long it is.
    pub length: u32,
    /// What it is.
    pub content: PartContent,
}

/// What a part is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartContent {
    /// A stretch of text. It may contain attachments that are shown inline, such as Genmoji.
    Text,
    /// An attachment.
    Attachment(AttachmentGuid),
    /// An app balloon.
    Balloon,
}

/// A styled stretch of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Where it begins.
    pub start: u32,
    /// How long it is.
    pub length: u32,
    /// How it looks.
    pub style: Style,
}

/// How a stretch of text looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Heavy.
    Bold,
    /// Slanted.
    Italic,
    /// Underlined.
    Underline,
    /// Struck through.
    Strikethrough,
    /// A text effect by Apple's number; 4 ripple, 5 big, 6 bloom, 8 nod, 9 shake, 10 jitter, 11 small, 12 explode.
    Effect(u32),
}

impl Style {
    /// Its name in the export.
    pub fn name(self) -> String {
        let name = match self {
            Self::Bold => "bold",
            Self::Italic => "italic",
            Self::Underline => "underline",
            Self::Strikethrough => "strikethrough",
            Self::Effect(4) => "ripple",
            Self::Effect(5) => "big",
            Self::Effect(6) => "bloom",
            Self::Effect(8) => "nod",
            Self::Effect(9) => "shake",
            Self::Effect(10) => "jitter",
            Self::Effect(11) => "small",
            Self::Effect(12) => "explode",
            Self::Effect(other) => return format!("effect-{other}"),
        };
        name.to_owned()
    }
}

/// A person who was mentioned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mention {
    /// Where the name begins.
    pub start: u32,
    /// How long it is.
    pub length: u32,
    /// Who.
    pub handle: Handle,
}
