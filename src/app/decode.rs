//! One blob of a Messages database, taken apart for a bug report. It reads one file and no archive.

use std::fs::File;
use std::io;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;

use crate::base::error::Class;
use crate::base::error::Explain;
use crate::base::limits;
use crate::decode::inspect;
use crate::decode::inspect::InspectError;

pub use crate::decode::inspect::BlobKind;

/// Shows a file that holds one blob as JSON; `-` is standard input.
///
/// # Errors
/// [`DecodeError`] when the file cannot be read, is larger than any blob that is decoded, or is not of that kind.
pub fn decode_file(kind: BlobKind, path: &Path) -> Result<serde_json::Value, DecodeError> {
    let bytes = read(path).map_err(|source| DecodeError::Read {
        path: path.to_owned(),
        source,
    })?;
    if bytes.len() > limits::BLOB_BYTES {
        return Err(DecodeError::TooLarge {
            path: path.to_owned(),
            limit_bytes: limits::BLOB_BYTES,
        });
    }
    inspect::inspect(kind, &bytes).map_err(|source| DecodeError::Blob {
        path: path.to_owned(),
        source,
    })
}

/// At most one byte more than a blob may have.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let most = u64::try_from(limits::BLOB_BYTES)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        io::stdin().lock().take(most).read_to_end(&mut bytes)?;
    } else {
        File::open(path)?.take(most).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// Why a blob cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is larger than any blob that is decoded.
    #[error("{} is over the limit of {limit_bytes} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit.
        limit_bytes: usize,
    },
    /// The bytes are not what they were said to be.
    #[error("cannot decode {}", path.display())]
    Blob {
        /// The file.
        path: PathBuf,
        /// What is wrong with them.
        source: InspectError,
    },
}

impl Explain for DecodeError {
    fn class(&self) -> Class {
        match self {
            Self::Read { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Class::Owner
            }
            Self::Read { .. } | Self::TooLarge { .. } => Class::Usage,
            Self::Blob { source, .. } => source.class(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Read { .. } => None,
            Self::TooLarge { .. } => Some("give one column of one row, not a database".to_owned()),
            Self::Blob { source, .. } => source.hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_larger_than_any_blob_is_not_read_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large");
        let length = u64::try_from(limits::BLOB_BYTES).unwrap() + 1;
        File::create(&path).unwrap().set_len(length).unwrap();

        let error = decode_file(BlobKind::Payload, &path).unwrap_err();

        assert!(matches!(error, DecodeError::TooLarge { .. }), "{error}");
    }
}
