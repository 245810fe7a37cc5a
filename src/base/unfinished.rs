//! Files that are written under a temporary name until they are complete, so that a signal that ends the process leaves
//! nothing of them.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

static WRITTEN: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// A file that is being written. Whoever writes it removes it when that fails; dropping this says that it was done.
#[derive(Debug)]
pub struct Unfinished(PathBuf);

impl Unfinished {
    /// The file at a path, from here on.
    pub fn new(path: &Path) -> Self {
        written().push(path.to_owned());
        Self(path.to_owned())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let mut written = written();
        if let Some(at) = written.iter().position(|path| *path == self.0) {
            written.swap_remove(at);
        }
    }
}

/// Removes every file that is being written, as far as that can be done: for a process that ends at once.
pub fn remove_unfinished() {
    for path in written().drain(..) {
        if let Err(error) = fs::remove_file(&path) {
            tracing::warn!(%error, "unfinished file not removed");
        }
    }
}

fn written() -> MutexGuard<'static, Vec<PathBuf>> {
    WRITTEN.lock().unwrap_or_else(PoisonError::into_inner)
}
