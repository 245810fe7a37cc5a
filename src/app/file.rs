//! A file that appears under its name only once it is complete.

use std::fs;
use std::fs::File;
use std::io;
use std::io::BufWriter;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::process;
use std::thread;

use tokio::runtime::Builder;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

use crate::app::AppError;
use crate::app::Archive;
use crate::base::unfinished::Unfinished;
use crate::base::unfinished::remove_unfinished;

/// Bytes that are collected before they are written.
const BUFFER_BYTES: usize = 1 << 18;

/// A file being written under a temporary name, readable by its owner alone. Dropping it unfinished removes it; what is
/// left of one after the process was killed, the next one of that name replaces.
pub struct NewFile {
    path: PathBuf,
    partial: PathBuf,
    out: BufWriter<File>,
    is_finished: bool,
    _unfinished: Unfinished,
}

/// Has SIGINT and SIGTERM remove what is unfinished before they end the process: for a process that has no other use for
/// them.
///
/// # Errors
///
/// [`AppError::System`] when the operating system refuses.
pub fn remove_unfinished_on_signals() -> Result<(), AppError> {
    let system = |source| AppError::System { source };
    let runtime = Builder::new_current_thread().enable_io().build();
    let runtime = runtime.map_err(system)?;
    let guard = runtime.enter();
    let mut interrupt = signal(SignalKind::interrupt()).map_err(system)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(system)?;
    drop(guard);
    let wait = move || {
        let number = runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => SignalKind::interrupt().as_raw_value(),
                _ = terminate.recv() => SignalKind::terminate().as_raw_value(),
            }
        });
        remove_unfinished();
        end(number);
    };
    let thread = thread::Builder::new().name("signals".to_owned());
    thread.spawn(wait).map_err(system).map(drop)
}

/// Ends the process as one that a signal ended, in the words of shells.
#[expect(
    clippy::exit,
    reason = "a signal ends the process wherever it is, and would do so without this"
)]
fn end(signal: i32) -> ! {
    process::exit(128 + signal)
}

impl Archive {
    /// Begins a file for an answer. It will replace a file of that name.
    ///
    /// # Errors
    ///
    /// [`AppError::Precious`] for what no answer may replace: the archive, a folder, a device;
    /// [`AppError::File`] when it cannot be written.
    pub fn new_file(&self, path: &Path) -> Result<NewFile, AppError> {
        let precious = |what| AppError::Precious {
            path: path.to_owned(),
            what,
        };
        if let Ok(held) = fs::metadata(path) {
            let archive = self.store().path().and_then(|own| own.canonicalize().ok());
            if held.is_dir() {
                return Err(precious("a folder"));
            } else if !held.is_file() {
                return Err(precious("not a regular file"));
            } else if archive.is_some() && path.canonicalize().ok() == archive {
                return Err(precious("the archive itself"));
            }
        }
        NewFile::create(path).map_err(|source| AppError::File {
            path: path.to_owned(),
            source,
        })
    }
}

impl NewFile {
    fn create(path: &Path) -> io::Result<Self> {
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&partial)?;
        Ok(Self {
            path: path.to_owned(),
            _unfinished: Unfinished::new(&partial),
            partial,
            out: BufWriter::with_capacity(BUFFER_BYTES, file),
            is_finished: false,
        })
    }

    /// Gives the file its name, once its bytes are on the disk.
    ///
    /// # Errors
    ///
    /// [`AppError::File`] when the rest of it cannot be written.
    pub fn finish(mut self) -> Result<(), AppError> {
        let renamed = self
            .out
            .flush()
            .and_then(|()| self.out.get_ref().sync_all())
            .and_then(|()| fs::rename(&self.partial, &self.path));
        self.is_finished = renamed.is_ok();
        renamed.map_err(|source| AppError::File {
            path: self.path.clone(),
            source,
        })
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.is_finished
            && let Err(error) = fs::remove_file(&self.partial)
        {
            tracing::warn!(%error, "unfinished file not removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_appears_when_it_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("export");
        fs::write(&path, "old").unwrap();

        let mut file = NewFile::create(&path).unwrap();
        file.write_all(b"new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        file.finish().unwrap();

        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(names(folder.path()), ["export"]);
    }

    #[test]
    fn an_unfinished_file_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();

        let mut file = NewFile::create(&folder.path().join("export")).unwrap();
        file.write_all(b"half").unwrap();
        drop(file);

        assert!(names(folder.path()).is_empty());
    }
}
