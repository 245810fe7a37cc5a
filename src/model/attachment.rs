//! A message's file, wherever its bytes are.

use std::fmt;

use crate::base::ids::AttachmentGuid;
use crate::base::time::AppleTime;

/// A file that belongs to a message.
#[derive(Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Its identifier as Apple wrote it.
    pub guid: AttachmentGuid,
    /// The value before a re-download, where it differs.
    pub original_guid: Option<AttachmentGuid>,
    /// The part of the message in which it stands; `None` where the body does not say.
    pub part: Option<u16>,
    /// What it is to the message.
    pub role: Role,
    /// The name to show. Never a path.
    pub name: Option<String>,
    /// As written, else derived from the UTI or the name.
    pub mime: Option<String>,
    /// Apple's type, as written.
    pub uti: Option<String>,
    /// Size in bytes: of the file when it is held, else as written; `None` when unknown.
    pub size_bytes: Option<u64>,
    /// Where the source says the file is, as written.
    pub path: Option<String>,
    /// Whether a movie of the same name lies beside the still.
    pub live_photo: bool,
    /// What was said in a voice message.
    pub transcription: Option<String>,
    /// A sticker's look and origin.
    pub sticker: Option<Sticker>,
    /// Where its bytes are.
    pub state: AttachmentState,
}

#[cfg(test)]
impl Attachment {
    /// A file of which nothing is known but its identifier, and that is to be fetched.
    pub(crate) fn wanted(guid: &str) -> Self {
        Self {
            guid: AttachmentGuid::parse(guid).unwrap(),
            original_guid: None,
            part: None,
            role: Role::File,
            name: None,
            mime: None,
            uti: None,
            size_bytes: None,
            path: None,
            live_photo: false,
            transcription: None,
            sticker: None,
            state: AttachmentState::Wanted,
        }
    }
}

/// What a file is called and what was said in it is private: logs show which it is and where.
impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attachment")
            .field("guid", &self.guid)
            .field("part", &self.part)
            .field("role", &self.role)
            .field("mime", &self.mime)
            .field("size_bytes", &self.size_bytes)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// What an attachment is to its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A file the sender attached.
    File,
    /// A piece of a link preview or balloon (`.pluginPayloadAttachment`), not a user's file (MS-47).
    Preview,
}

/// A sticker's look and origin.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Sticker {
    /// `outline`, `comic`, `puffy`, `shiny`; `None` when the image names none.
    pub effect: Option<String>,
    /// The app it came from, by bundle id.
    pub source: Option<String>,
    /// For Genmoji: what it was made from.
    pub description: Option<String>,
}

/// What a Genmoji was made from is what somebody wrote: logs show none of it.
impl fmt::Debug for Sticker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sticker")
            .field("effect", &self.effect)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

/// Where an attachment's bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttachmentState {
    /// In the archive, or on the Mac's disk when last looked at.
    Held {
        /// SHA-256 of the bytes.
        sha256: [u8; 32],
        /// When the file was changed last: a file with the same size and time is not read again.
        modified: AppleTime,
    },
    /// Known, not looked for yet.
    Wanted,
    /// Looked for and not there; looked for again at each import (D12).
    Missing(Missing),
    /// There, but it could not be read; tried again.
    Failed {
        /// What stood in the way of the last attempt; the store's failure ledger counts them.
        reason: String,
    },
    /// The attempts are used up.
    Abandoned {
        /// What stood in the way of the last one.
        reason: String,
    },
}

/// Why a file is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The source names no file.
    NoPath,
    /// No file at that path: purged to iCloud, or not copied along.
    NotFound,
    /// The path leads out of the Messages folders; it is not followed.
    Outside,
    /// There is something at that path, but no regular file.
    NotAFile,
}

impl AttachmentState {
    /// Its name in the export.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Held { .. } => "held",
            Self::Wanted => "wanted",
            Self::Missing(_) => "missing",
            Self::Failed { .. } => "failed",
            Self::Abandoned { .. } => "abandoned",
        }
    }

    /// Why the bytes are not held.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Held { .. } | Self::Wanted => None,
            Self::Missing(Missing::NoPath) => Some("no file is named for it"),
            Self::Missing(Missing::NotFound) => Some("no file at its path"),
            Self::Missing(Missing::Outside) => Some("its path leads out of the Messages folders"),
            Self::Missing(Missing::NotAFile) => Some("not a regular file"),
            Self::Failed { reason } | Self::Abandoned { reason } => Some(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Attachment;
    use super::Sticker;

    #[test]
    fn what_a_file_is_called_and_says_does_not_reach_a_log() {
        let private = || Some("private".to_owned());
        let attachment = Attachment {
            name: private(),
            size_bytes: Some(7),
            path: private(),
            transcription: private(),
            sticker: Some(Sticker {
                description: private(),
                ..Sticker::default()
            }),
            ..Attachment::wanted("at_0_1")
        };

        let shown = format!("{attachment:?} {:?}", attachment.sticker);

        assert!(
            shown.contains("at_0_1") && !shown.contains("private"),
            "{shown}"
        );
    }
}
