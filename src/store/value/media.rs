//! The byte form of files whose bytes are held here, or are on their way.

use crate::base::ids::RowId;
use crate::base::time::AppleTime;
use crate::store::value::Opaque;

/// The bytes of a file, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBlob {
    /// How many.
    pub size_bytes: u64,
    /// The number under which their chunks are.
    pub chunks: RowId,
    /// Attachments that have these bytes.
    pub files: Vec<RowId>,
    /// When they were complete.
    pub stored: AppleTime,
}

/// A file that is being fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDownload {
    /// Names the content: another one begins anew.
    pub signature: Opaque,
    /// The number under which its chunks are.
    pub chunks: RowId,
    /// Lengths of the pieces that are here, from the beginning of the file.
    pub pieces: Vec<u64>,
    /// When it began.
    pub begun: AppleTime,
}

impl StoredDownload {
    /// How much of the file is here, bytes.
    pub fn size_bytes(&self) -> u64 {
        self.pieces.iter().sum()
    }
}

stored!(StoredBlob, 1);
stored!(StoredDownload, 1);
fields!(StoredBlob {
    size_bytes,
    chunks,
    files,
    stored
});
fields!(StoredDownload {
    signature,
    chunks,
    pieces,
    begun
});
