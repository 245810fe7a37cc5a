//! Whether the pages of the file are what they were when they were written. Changes nothing.
//!
//! redb keeps a checksum of every page, and compares them when it repairs, not when it reads: a byte that a disk turned
//! over in a message's text reads as if it had been written so. Its integrity check compares them all, but it is part of
//! repairing, and marks a file that it finds damaged so that it never opens again, what is sound in it included. So it
//! works on a [`View`] here: what it writes stays in memory.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use redb::StorageBackend;

use crate::store::db;
use crate::store::error::StoreError;

/// Bytes that are kept together once one of them was written.
const BLOCK: usize = 4_096;

/// Whether every page that is in use has its checksum. Nobody may write to the file meanwhile.
///
/// # Errors
///
/// [`StoreError::Io`] when the file cannot be read.
pub(super) fn are_intact(path: &Path) -> Result<bool, StoreError> {
    let view = View::open(path).map_err(|source| StoreError::io("reading", source))?;
    match db::guarded(|| db::check_pages(view)) {
        Ok(()) => Ok(true),
        Err(StoreError::Damaged { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// A file as it is, and over it what was written since: the file itself stays as it is.
#[derive(Debug)]
struct View {
    file: File,
    file_length: u64,
    state: Mutex<Written>,
}

#[derive(Debug)]
struct Written {
    length: u64,
    blocks: HashMap<u64, Vec<u8>>,
}

impl View {
    fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let file_length = file.metadata()?.len();
        let state = Mutex::new(Written {
            length: file_length,
            blocks: HashMap::new(),
        });
        Ok(Self {
            file,
            file_length,
            state,
        })
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the file has at a place; zeros past its end.
    fn read_file(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let held = usize::try_from(self.file_length.saturating_sub(offset)).unwrap_or(usize::MAX);
        let (from_file, beyond) = out.split_at_mut(held.min(out.len()));
        beyond.fill(0);
        self.file.read_exact_at(from_file, offset)
    }
}

/// The blocks that a range of bytes touches: number, where in the range, where in the block.
fn blocks(offset: u64, length: usize) -> impl Iterator<Item = (u64, usize, usize, usize)> {
    let block = BLOCK as u64;
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        let within = usize::try_from(at % block).unwrap_or_default();
        let here = (BLOCK - within).min(length - done);
        let touched = (at / block, done, within, here);
        done += here;
        (here > 0).then_some(touched)
    })
}

impl StorageBackend for View {
    fn len(&self) -> io::Result<u64> {
        Ok(self.written().length)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.read_file(offset, out)?;
        let written = self.written();
        for (number, from, within, length) in blocks(offset, out.len()) {
            let held = written.blocks.get(&number);
            let bytes = held.and_then(|block| block.get(within..within + length));
            if let (Some(bytes), Some(out)) = (bytes, out.get_mut(from..from + length)) {
                out.copy_from_slice(bytes);
            }
        }
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.written().length = length;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut written = self.written();
        for (number, from, within, length) in blocks(offset, data.len()) {
            let block = match written.blocks.entry(number) {
                Entry::Occupied(block) => block.into_mut(),
                Entry::Vacant(place) => {
                    let mut block = vec![0; BLOCK];
                    self.read_file(number * BLOCK as u64, &mut block)?;
                    place.insert(block)
                }
            };
            let place = block.get_mut(within..within + length);
            if let (Some(place), Some(bytes)) = (place, data.get(from..from + length)) {
                place.copy_from_slice(bytes);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use redb::StorageBackend;

    use super::View;

    #[test]
    fn what_is_written_is_read_and_the_file_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, [1; 10_000]).unwrap();
        let view = View::open(&path).unwrap();

        view.write(4_090, &[2; 4_110]).unwrap();
        view.set_len(20_000).unwrap();
        view.write(12_000, &[3; 10]).unwrap();

        let mut read = vec![9; 20_000];
        view.read(0, &mut read).unwrap();
        let mut expected = [vec![1; 10_000], vec![0; 10_000]].concat();
        expected[4_090..8_200].fill(2);
        expected[12_000..12_010].fill(3);
        assert!(read == expected);
        assert_eq!(view.len().unwrap(), 20_000);
        assert!(fs::read(&path).unwrap() == [1; 10_000]);
    }
}
