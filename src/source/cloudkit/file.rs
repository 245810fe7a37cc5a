//! What a download of a file is asked with, and what can be wrong with it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::apple::asset::AssetError;
use crate::apple::asset::AssetKeys;
use crate::apple::asset::PlainChunk;
use crate::base::ids::RecordName;
use crate::base::ids::ZoneName;
use crate::codec::mmcs::AuthorizeGet;
use crate::codec::mmcs::PlanError;
use crate::model::record::CloudAsset;
use crate::net::client::ClientError;
use crate::source::cloudkit::CloudError;
use crate::source::cloudkit::Reaction;

/// Where the pieces of files are, as MMCS says it. The URLs in it are good for some hours.
#[derive(Clone, PartialEq, Eq)]
pub struct Instructions(Bytes);

impl Instructions {
    /// From the body that came bundled with a record.
    pub fn new(answer: Bytes) -> Self {
        Self(answer)
    }

    /// What they say.
    pub(crate) fn read(&self) -> Result<AuthorizeGet, PlanError> {
        AuthorizeGet::read(self.0.clone())
    }
}

/// The URLs open files to whoever has them.
impl fmt::Debug for Instructions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Instructions(..)")
    }
}

/// Asks for a file.
#[derive(Clone, Debug)]
pub struct FileRequest {
    /// The zone of the record that names it.
    pub zone: ZoneName,
    /// The record.
    pub record: RecordName,
    /// The field: `lqa`, `avid`.
    pub field: String,
    /// The file.
    pub asset: CloudAsset,
    /// Where its pieces are, if that is known already; else it is asked.
    pub instructions: Option<Instructions>,
    /// Keys of all assets that were ever seen, for a file that was uploaded before (AT-17).
    pub keys: Arc<AssetKeys>,
    /// Lengths of the chunks at the beginning of the file that are held already, to go on behind them.
    pub held: Vec<usize>,
}

/// A file that is being fetched.
pub trait Download: Send + 'static {
    /// The next chunk, verified, in the order of the file; `None` after the last one, when the size was compared too.
    /// Nothing of the file may be shown before that.
    ///
    /// It takes as long as bytes arrive, and fails when none do for
    /// [`ATTACHMENT_DOWNLOAD_TIMEOUT`](crate::base::limits::ATTACHMENT_DOWNLOAD_TIMEOUT).
    ///
    /// # Errors
    /// [`DownloadError`]; the download is over then. Chunks that came out before stay good, and another download can go
    /// on behind them with [`FileRequest::held`].
    ///
    /// # Cancel safety
    /// Bytes that had arrived are kept; the next call goes on.
    fn next(&mut self) -> impl Future<Output = Result<Option<PlainChunk>, DownloadError>> + Send;
}

/// What to do about a file that could not be fetched (AT-10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DownloadReaction {
    /// Try again later: after this time if the server names one.
    Again(Option<Duration>),
    /// The session is not accepted any more (D31).
    Authenticate,
    /// Try again when other keys are held.
    Keys,
    /// Trying again gives the same.
    Permanent,
}

/// Why a file could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// It could not be asked where its pieces are.
    #[error("cannot ask where the pieces of the file are")]
    Ask(#[source] CloudError),
    /// The server has the record or the file no longer, or has another file in its place.
    #[error("the file is not in iCloud any more")]
    Gone,
    /// The server says nothing about the file's pieces that can be used.
    #[error("iCloud does not say where the pieces of the file are")]
    Plan(#[from] PlanError),
    /// iCloud names an address that may not be asked: without TLS, or none.
    #[error("iCloud names an address of the file that cannot be asked")]
    Address,
    /// The host of the file gives no answer, or not all of one.
    #[error("no answer from the host of the file")]
    Http(#[from] ClientError),
    /// The host of a container refused or failed.
    #[error("the host of the file answered with the HTTP status {status}")]
    Status {
        /// The status.
        status: u16,
        /// When to ask again, if the host says so.
        after: Option<Duration>,
    },
    /// The pieces of the file lie in an order that would take too much memory to put right.
    #[error("the pieces of the file lie too far apart: over {limit} bytes would have to wait")]
    Scattered {
        /// The limit.
        limit: usize,
    },
    /// The pieces are right, but the file that they make is another than was meant.
    #[error("the signature of the whole file does not hold")]
    Signature,
    /// What arrived is not the file.
    #[error("cannot put the file together")]
    Assemble(#[from] AssetError),
}

impl DownloadError {
    /// What to do.
    pub fn reaction(&self) -> DownloadReaction {
        match self {
            Self::Ask(error) => match error.reaction() {
                Reaction::Wait(after) => DownloadReaction::Again(after),
                Reaction::Authenticate => DownloadReaction::Authenticate,
                Reaction::RefreshKeys => DownloadReaction::Keys,
                Reaction::ResetZone | Reaction::ZoneGone | Reaction::Permanent => {
                    DownloadReaction::Permanent
                }
            },
            Self::Http(_) => DownloadReaction::Again(None),
            Self::Status { status, after } => match status {
                400..=407 | 409..=428 => DownloadReaction::Permanent,
                _ => DownloadReaction::Again(*after),
            },
            Self::Gone
            | Self::Plan(_)
            | Self::Address
            | Self::Scattered { .. }
            | Self::Signature => DownloadReaction::Permanent,
            Self::Assemble(error) => match error {
                AssetError::Short { .. } | AssetError::Checksum | AssetError::Incomplete => {
                    DownloadReaction::Again(None)
                }
                AssetError::KeyBlob => DownloadReaction::Keys,
                AssetError::NoKey | AssetError::KeyCount | AssetError::Size { .. } => {
                    DownloadReaction::Permanent
                }
            },
        }
    }
}
