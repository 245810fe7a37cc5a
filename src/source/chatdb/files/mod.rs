//! Attachments on the Mac's disk, or in a copied folder. Only what lies below the Messages folders is opened: a path in
//! the database is somebody else's text.
//!
//! | path in the database | looked for at |
//! |---|---|
//! | `~/Library/Messages/Attachments/x` | `x` below `--attachments DIR` if that is given |
//! | `~/Library/Messages/x` | `x` below the Messages folder, by default the folder of the database |
//! | `/Users/anyone/Library/Messages/x` | the same: the home that the database had |
//! | anything else | nowhere: it leads out of the Messages folders |

use std::fs;
use std::fs::File;
use std::io;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;

use rustix::fs::Mode;
use rustix::fs::OFlags;
use sha2::Digest;
use sha2::Sha256;

use crate::base::time::AppleTime;
use crate::model::attachment::AttachmentState;
use crate::model::attachment::Missing;
use crate::source::chatdb::locations::Locations;

/// Bytes read at once while hashing.
const CHUNK_BYTES: usize = 256 << 10;

/// The places where attachments may lie.
#[derive(Clone, Debug)]
pub struct Files {
    messages: Root,
    attachments: Option<Root>,
}

/// What looking for an attachment found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where its bytes are.
    pub state: AttachmentState,
    /// The file's size; `None` if it is not held.
    pub size_bytes: Option<u64>,
    /// Whether a movie of the same name lies beside a still: the moving half of a Live Photo, which the database does
    /// not mention.
    pub live_photo: bool,
}

impl Files {
    /// The folders of a source. One that does not exist holds nothing.
    pub fn new(locations: &Locations) -> Self {
        Self {
            messages: Root::new(&locations.messages_folder),
            attachments: locations.attachments.as_deref().map(Root::new),
        }
    }

    /// Looks for an attachment by its path as the database writes it, and hashes it. A file that still has the size
    /// and time of change of `known` (hash, time, size) is not read again.
    pub fn look(&self, path: Option<&str>, known: Option<(&[u8; 32], AppleTime, u64)>) -> Found {
        match self.open(path) {
            Ok((path, file)) => match hashed(file, known) {
                Ok((sha256, stat)) => Found {
                    state: AttachmentState::Held {
                        sha256,
                        modified: stat.modified,
                    },
                    size_bytes: Some(stat.size),
                    live_photo: has_movie(&path),
                },
                Err(error) => Found::without(failed(&error)),
            },
            Err(state) => Found::without(state),
        }
    }

    /// The first bytes of an attachment; `None` if it is not there or cannot be read.
    pub fn read_head(&self, path: Option<&str>, limit: usize) -> Option<Vec<u8>> {
        let (_path, file) = self.open(path).ok()?;
        let mut head = Vec::new();
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        file.take(limit).read_to_end(&mut head).ok()?;
        Some(head)
    }

    /// An attachment's file, for reading; `None` if it is not there, is no regular file, or lies outside of the folders.
    pub fn file(&self, path: Option<&str>) -> Option<File> {
        self.open(path).ok().map(|(_path, file)| file)
    }

    /// Opens an attachment: a regular file below one of the folders, whatever links lead there.
    fn open(&self, path: Option<&str>) -> Result<(PathBuf, File), AttachmentState> {
        let missing = |why| Err(AttachmentState::Missing(why));
        let Some(path) = path.filter(|path| !path.is_empty()) else {
            return missing(Missing::NoPath);
        };
        let Some((root, below)) = self.locate(path) else {
            return missing(Missing::Outside);
        };
        let Some(folder) = &root.real else {
            return missing(Missing::NotFound);
        };
        let path = match fs::canonicalize(folder.join(below)) {
            Ok(path) => path,
            Err(error) if is_absent(&error) => return missing(Missing::NotFound),
            Err(error) => return Err(failed(&error)),
        };
        let Ok(below) = path.strip_prefix(folder) else {
            return missing(Missing::Outside);
        };
        match open_below(folder, below).and_then(|file| Ok((file.metadata()?, file))) {
            Ok((metadata, file)) if metadata.is_file() => Ok((path, file)),
            Ok(_other) => missing(Missing::NotAFile),
            Err(error) if is_absent(&error) => missing(Missing::NotFound),
            Err(error) => Err(failed(&error)),
        }
    }

    /// The folder in which a path lies, and its place there. `None` for paths that lead elsewhere.
    fn locate(&self, path: &str) -> Option<(&Root, PathBuf)> {
        let below = self.below_messages(Path::new(path))?;
        match (&self.attachments, below.strip_prefix("Attachments")) {
            (Some(attachments), Ok(below)) => Some((attachments, below.to_owned())),
            _ => Some((&self.messages, below)),
        }
    }

    /// A path's place below `~/Library/Messages`, without `..`.
    fn below_messages(&self, path: &Path) -> Option<PathBuf> {
        if let Ok(below) = path.strip_prefix("~/Library/Messages") {
            return flat(below);
        }
        if !path.is_absolute() {
            return None;
        }
        if let Ok(below) = path.strip_prefix(&self.messages.given) {
            return flat(below);
        }
        let components: Vec<Component<'_>> = path.components().collect();
        let library = [
            Component::Normal("Library".as_ref()),
            Component::Normal("Messages".as_ref()),
        ];
        let at = components.windows(2).position(|pair| *pair == library)?;
        flat(&components.into_iter().skip(at + 2).collect::<PathBuf>())
    }
}

/// A relative path with its `..` resolved; `None` if they lead out.
fn flat(path: &Path) -> Option<PathBuf> {
    let mut flat = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => flat.push(name),
            Component::CurDir => {}
            Component::ParentDir if flat.pop() => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(flat)
}

/// A folder below which files may be opened.
#[derive(Clone, Debug)]
struct Root {
    /// As it was named.
    given: PathBuf,
    /// Where it really is; `None` if it is not there.
    real: Option<PathBuf>,
}

impl Root {
    fn new(folder: &Path) -> Self {
        Self {
            given: folder.to_owned(),
            real: fs::canonicalize(folder).ok(),
        }
    }
}

impl Found {
    fn without(state: AttachmentState) -> Self {
        Self {
            state,
            size_bytes: None,
            live_photo: false,
        }
    }
}

fn failed(error: &io::Error) -> AttachmentState {
    AttachmentState::Failed {
        reason: error.to_string(),
    }
}

/// Opens what has a place below a folder, name by name: links that took the place of a name since are not followed.
fn open_below(folder: &Path, below: &Path) -> io::Result<File> {
    // Not waiting for a pipe's other end.
    let file = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut opened = rustix::fs::open(folder, file | OFlags::DIRECTORY, Mode::empty())?;
    let mut names = below.components().peekable();
    while let Some(name) = names.next() {
        let flags = match names.peek() {
            Some(_) => file | OFlags::DIRECTORY,
            None => file,
        };
        opened = rustix::fs::openat(&opened, name.as_os_str(), flags, Mode::empty())?;
    }
    Ok(opened.into())
}

/// Whether there is nothing of that name, or cannot be.
fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::InvalidFilename
    )
}

/// Size and time of change of an open file.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stat {
    size: u64,
    modified: AppleTime,
}

impl Stat {
    fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let seconds = AppleTime::from_unix_millis(metadata.mtime().saturating_mul(1_000));
        let nanos = seconds.nanos().saturating_add(metadata.mtime_nsec());
        Ok(Self {
            size: metadata.len(),
            modified: AppleTime::from_nanos(nanos),
        })
    }
}

/// The hash of a file's bytes. A file that changes meanwhile is an error: Messages is still writing it.
fn hashed(
    mut file: File,
    known: Option<(&[u8; 32], AppleTime, u64)>,
) -> io::Result<([u8; 32], Stat)> {
    let before = Stat::of(&file)?;
    if let Some((sha256, modified, size)) = known
        && before == (Stat { size, modified })
    {
        return Ok((*sha256, before));
    }
    let mut hash = Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = match file.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hash.update(chunk.get(..read).unwrap_or_default());
    }
    if Stat::of(&file)? != before {
        return Err(io::Error::other("it changed while it was read"));
    }
    Ok((hash.finalize().into(), before))
}

/// Whether a movie of the same name lies beside a still.
fn has_movie(still: &Path) -> bool {
    let extension = still.extension().unwrap_or_default().to_string_lossy();
    let is_still = ["heic", "heif", "jpg", "jpeg"]
        .iter()
        .any(|kind| extension.eq_ignore_ascii_case(kind));
    is_still
        && ["MOV", "mov"].iter().any(|movie| {
            fs::symlink_metadata(still.with_extension(movie)).is_ok_and(|movie| movie.is_file())
        })
}

#[cfg(test)]
mod tests;
