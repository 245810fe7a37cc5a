//! The Unix socket over which the owner's other processes talk to the service (D15): where it is, and how it comes to be
//! there without anybody else getting in. It knows nothing of HTTP.

use std::fs;
use std::fs::DirBuilder;
use std::fs::Permissions;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::Path;
use std::path::PathBuf;

use rustix::process::geteuid;
use sha2::Digest;
use sha2::Sha256;
use tokio::net::UnixListener;
use tokio::net::UnixStream;

use crate::base::limits::SOCKET_PATH_BYTES;
use crate::net::listen::ListenError;

/// Where the socket of an archive is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketPath {
    path: PathBuf,
    /// The folder to make, with a short path; the archive's own folder is there.
    folder: Option<PathBuf>,
}

impl SocketPath {
    /// The archive's path with `.sock` after it.
    ///
    /// Where that is over [`SOCKET_PATH_BYTES`] it is `<temporary>/footbridge-<uid>/<hash of the path>.sock` instead, and
    /// below `/tmp` if that is too long as well. Give an absolute path and the same `temporary` (`$TMPDIR`) on both
    /// sides.
    pub fn of_archive(archive: &Path, temporary: &Path) -> Self {
        let mut beside = archive.as_os_str().to_owned();
        beside.push(".sock");
        let beside = Self {
            path: PathBuf::from(beside),
            folder: None,
        };
        if beside.fits() {
            return beside;
        }
        let short = Self::short(archive, temporary);
        if short.fits() {
            short
        } else {
            Self::short(archive, Path::new("/tmp"))
        }
    }

    fn short(archive: &Path, temporary: &Path) -> Self {
        let hash = Sha256::digest(archive.as_os_str().as_bytes());
        let name = hash
            .iter()
            .take(8)
            .fold(String::new(), |name, byte| format!("{name}{byte:02x}"));
        let folder = temporary.join(format!("footbridge-{}", geteuid().as_raw()));
        Self {
            path: folder.join(format!("{name}.sock")),
            folder: Some(folder),
        }
    }

    fn fits(&self) -> bool {
        self.path.as_os_str().len() <= SOCKET_PATH_BYTES
    }

    /// The path to connect to.
    pub fn as_path(&self) -> &Path {
        &self.path
    }
}

/// A listening socket; its file is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct OwnSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl OwnSocket {
    /// Listens at a path with mode 0600. What a dead process left there is replaced.
    ///
    /// The caller holds the archive's lock, so that no two processes do this for one path at once. Blocks for a moment.
    pub(crate) fn bind(at: &SocketPath) -> Result<Self, ListenError> {
        let path = at.as_path();
        let attempt = |source| ListenError::Socket {
            path: path.to_owned(),
            source,
        };
        if let Some(folder) = &at.folder {
            make_folder(folder)?;
        }
        remove_stale(path)?;
        let listener = UnixListener::bind(path).map_err(attempt)?;
        let socket = Self {
            listener,
            path: path.to_owned(),
        };
        // Until here another user might have connected: `accept` asks everybody who they are.
        fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(attempt)?;
        Ok(socket)
    }

    /// The next connection, or `None` when it was another user's.
    ///
    /// # Cancel safety
    /// No connection is lost.
    pub(crate) async fn accept(&self) -> io::Result<Option<UnixStream>> {
        let (stream, _) = self.listener.accept().await?;
        let is_ours = stream.peer_cred()?.uid() == geteuid().as_raw();
        if !is_ours {
            tracing::warn!("refused another user at the local socket");
        }
        Ok(is_ours.then_some(stream))
    }
}

impl Drop for OwnSocket {
    fn drop(&mut self) {
        // One that stays is replaced at the next start.
        drop(fs::remove_file(&self.path));
    }
}

/// Makes the folder of short paths, or finds it as we would have made it.
fn make_folder(folder: &Path) -> Result<(), ListenError> {
    let attempt = |source| ListenError::Socket {
        path: folder.to_owned(),
        source,
    };
    match DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(attempt(error)),
    }
    // Everybody may make a folder of that name in `/tmp` before us.
    let found = fs::symlink_metadata(folder).map_err(attempt)?;
    let is_ours = found.is_dir() && found.uid() == geteuid().as_raw();
    if is_ours && found.mode() & OTHERS == 0 {
        Ok(())
    } else {
        Err(ListenError::Folder {
            path: folder.to_owned(),
        })
    }
}

fn remove_stale(path: &Path) -> Result<(), ListenError> {
    let attempt = |source| ListenError::Socket {
        path: path.to_owned(),
        source,
    };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(attempt(error)),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(ListenError::NoSocket {
                path: path.to_owned(),
            });
        }
        Ok(_) => {}
    }
    match BlockingStream::connect(path) {
        Ok(_) => Err(ListenError::InUse {
            path: path.to_owned(),
        }),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(attempt)
        }
        Err(error) => Err(attempt(error)),
    }
}

/// What a mode permits to others than the owner.
const OTHERS: u32 = 0o077;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixListener;
    use std::path::Path;
    use std::path::PathBuf;

    use rustix::process::geteuid;

    use super::OwnSocket;
    use super::SocketPath;
    use crate::net::listen::ListenError;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    fn at(folder: &tempfile::TempDir) -> SocketPath {
        let archive = folder.path().join("archive.redb");
        SocketPath::of_archive(&archive, Path::new("/nowhere"))
    }

    fn long() -> PathBuf {
        PathBuf::from("/a".repeat(60)).join("archive.redb")
    }

    #[test]
    fn a_long_path_has_a_short_one_instead() {
        let path = |archive: &Path, temporary: &str| {
            let path = SocketPath::of_archive(archive, Path::new(temporary));
            path.as_path().to_owned()
        };
        let folder = format!("footbridge-{}", geteuid().as_raw());

        let beside = path(Path::new("/home/ann/archive.redb"), "/var/tmp");
        let short = path(&long(), "/var/tmp");
        let shorter = path(&long(), &"/b".repeat(60));

        assert_eq!(beside, Path::new("/home/ann/archive.redb.sock"));
        assert_eq!(short.parent().unwrap(), Path::new("/var/tmp").join(&folder));
        assert_eq!(shorter.parent().unwrap(), Path::new("/tmp").join(&folder));
        assert_eq!(short.file_name().unwrap().len(), 16 + ".sock".len());
        assert_ne!(short, path(&long().join("other"), "/var/tmp"));
    }

    #[tokio::test]
    async fn the_socket_is_the_owners_alone_and_goes_with_the_service() {
        let folder = tempfile::tempdir().unwrap();
        let at = at(&folder);

        let socket = OwnSocket::bind(&at).unwrap();

        assert_eq!(mode(at.as_path()), 0o600);
        drop(socket);
        assert!(!at.as_path().exists());
    }

    #[tokio::test]
    async fn what_a_dead_process_left_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let at = at(&folder);
        drop(UnixListener::bind(at.as_path()).unwrap());
        assert!(at.as_path().exists());

        assert!(OwnSocket::bind(&at).is_ok());
    }

    #[tokio::test]
    async fn what_is_alive_or_no_socket_is_left_alone() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (alive, file) = (at(&first), at(&second));
        let listener = UnixListener::bind(alive.as_path()).unwrap();
        fs::write(file.as_path(), "precious").unwrap();

        let in_use = OwnSocket::bind(&alive).unwrap_err();
        let no_socket = OwnSocket::bind(&file).unwrap_err();

        assert!(matches!(in_use, ListenError::InUse { .. }));
        assert!(matches!(no_socket, ListenError::NoSocket { .. }));
        assert_eq!(fs::read(file.as_path()).unwrap(), b"precious");
        drop(listener);
    }

    #[tokio::test]
    async fn a_short_path_needs_a_folder_that_nobody_else_can_enter() {
        let temporary = tempfile::tempdir().unwrap();
        let at = SocketPath::of_archive(&long(), temporary.path());
        let folder = at.as_path().parent().unwrap();

        drop(OwnSocket::bind(&at).unwrap());
        assert_eq!(mode(folder), 0o700);
        fs::set_permissions(folder, PermissionsExt::from_mode(0o755)).unwrap();

        assert!(matches!(
            OwnSocket::bind(&at).unwrap_err(),
            ListenError::Folder { .. }
        ));
    }
}
