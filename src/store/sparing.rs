//! The archive's file, in which a page is not written once more as it is.
//!
//! Before redb commits it fills in the checksums of the transaction's pages. Of a large transaction most have left its
//! cache: it reads them back for that, and later writes all of them, although only branch pages have changed. An import
//! would write three pages for each one that it keeps. So once a transaction is large, the pages that are read back are
//! remembered for about as long as they stay in redb's cache, and one that comes back as it was read is not written: the
//! file holds it, and the commit's sync makes it last.

use std::collections::HashMap;
use std::io;
use std::ops::Bound;
use std::sync::PoisonError;
use std::sync::RwLock;
use std::sync::RwLockReadGuard;
use std::sync::RwLockWriteGuard;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use redb::BackendError;
use redb::StorageBackend;
use redb::backends::FileBackend;

use crate::base::limits::SPARED_PAGES;
use crate::base::limits::SPARING_BYTES;

/// Bytes of a page of redb. Those of large values have several; they are written as ever.
const PAGE: usize = 4_096;

/// A file that spares pages.
#[derive(Debug)]
pub(super) struct SparingFile<B = FileBackend> {
    file: B,
    /// Bytes that were written since the last sync.
    unsynced: AtomicU64,
    /// Whoever passes by them holds them shared while reading or writing, so that nothing is written between the reading
    /// of a page and its remembering.
    pages: RwLock<Pages>,
}

/// Pages as the file has them, by number: as many as were remembered last.
#[derive(Debug, Default)]
struct Pages {
    places: HashMap<u64, usize>,
    bytes: Vec<u8>,
    /// Which page has each place.
    numbers: Vec<u64>,
    next: usize,
}

impl Pages {
    fn remember(&mut self, number: u64, page: &[u8]) {
        self.places.remove(&number);
        let place = self.next;
        self.next = (self.next + 1) % SPARED_PAGES;
        let range = place * PAGE..(place + 1) * PAGE;
        let held = self.numbers.get_mut(place).zip(self.bytes.get_mut(range));
        if let Some((held, bytes)) = held {
            if self.places.get(held) == Some(&place) {
                self.places.remove(held);
            }
            *held = number;
            bytes.copy_from_slice(page);
        } else {
            self.numbers.push(number);
            self.bytes.extend_from_slice(page);
        }
        self.places.insert(number, place);
    }

    /// Forgets what is about to be written, and says whether it was remembered as the same.
    fn replace(&mut self, offset: u64, data: &[u8]) -> bool {
        let known = page_number(offset, data.len())
            .and_then(|number| self.places.get(&number))
            .and_then(|place| self.bytes.get(place * PAGE..(place + 1) * PAGE));
        if known == Some(data) {
            return true;
        }
        let end = offset + data.len() as u64;
        for number in offset / PAGE as u64..end.div_ceil(PAGE as u64) {
            self.places.remove(&number);
        }
        false
    }
}

/// The number of the page that some bytes are, if they are one.
fn page_number(offset: u64, length: usize) -> Option<u64> {
    let page = PAGE as u64;
    (length == PAGE && offset.is_multiple_of(page)).then(|| offset / page)
}

impl<B: StorageBackend> SparingFile<B> {
    pub(super) fn new(file: B) -> Self {
        Self {
            file,
            unsynced: AtomicU64::new(0),
            pages: RwLock::default(),
        }
    }

    /// Held while nothing is spared; `None` in a large transaction.
    fn aside(&self, written: usize) -> Option<RwLockReadGuard<'_, Pages>> {
        let pages = self.pages.read().unwrap_or_else(PoisonError::into_inner);
        let before = self.unsynced.fetch_add(written as u64, Ordering::Relaxed);
        (before < SPARING_BYTES).then_some(pages)
    }

    fn pages(&self) -> RwLockWriteGuard<'_, Pages> {
        self.pages.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B: StorageBackend> StorageBackend for SparingFile<B> {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if let Some(_aside) = self.aside(0) {
            return self.file.read(offset, out);
        }
        let mut pages = self.pages();
        self.file.read(offset, out)?;
        if let Some(number) = page_number(offset, out.len()) {
            pages.remember(number, out);
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if let Some(_aside) = self.aside(data.len()) {
            return self.file.write(offset, data);
        }
        let mut pages = self.pages();
        if pages.replace(offset, data) {
            return Ok(());
        }
        let written = self.file.write(offset, data);
        drop(pages);
        written
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        *self.pages() = Pages::default();
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        *self.pages() = Pages::default();
        self.unsynced.store(0, Ordering::Relaxed);
        self.file.sync_data()
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::atomic::AtomicU64;
    use std::sync::atomic::Ordering;

    use proptest::prelude::Just;
    use proptest::prelude::Strategy;
    use proptest::prop_oneof;
    use proptest::proptest;
    use redb::StorageBackend;
    use redb::backends::InMemoryBackend;

    use super::PAGE;
    use super::SparingFile;
    use crate::base::limits::SPARING_BYTES;

    /// Memory that counts how often it is written.
    #[derive(Debug, Default)]
    struct Counting {
        memory: InMemoryBackend,
        writes: AtomicU64,
    }

    impl StorageBackend for Counting {
        fn len(&self) -> io::Result<u64> {
            self.memory.len()
        }

        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            self.memory.read(offset, out)
        }

        fn set_len(&self, len: u64) -> io::Result<()> {
            self.memory.set_len(len)
        }

        fn sync_data(&self) -> io::Result<()> {
            self.memory.sync_data()
        }

        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            self.writes.fetch_add(1, Ordering::Relaxed);
            self.memory.write(offset, data)
        }
    }

    /// A file of so many pages, in a transaction that is large already.
    fn large(pages: usize) -> SparingFile<Counting> {
        let file = SparingFile::new(Counting::default());
        file.set_len(SPARING_BYTES.max((pages * PAGE) as u64))
            .unwrap();
        file.write(0, &vec![0; usize::try_from(SPARING_BYTES).unwrap()])
            .unwrap();
        file.file.writes.store(0, Ordering::Relaxed);
        file
    }

    fn read(file: &SparingFile<Counting>, offset: u64) -> Vec<u8> {
        let mut page = vec![0xEE; PAGE];
        file.read(offset, &mut page).unwrap();
        page
    }

    fn writes(file: &SparingFile<Counting>) -> u64 {
        file.file.writes.load(Ordering::Relaxed)
    }

    #[test]
    fn a_page_that_comes_back_as_it_was_read_is_not_written() {
        let file = large(8);
        let (page, offset) = (read(&file, 4_096), 4_096);

        file.write(offset, &page).unwrap();
        assert_eq!(writes(&file), 0);

        file.write(offset, &[1; PAGE]).unwrap();
        file.write(offset, &page).unwrap();
        assert_eq!(writes(&file), 2);
    }

    #[test]
    fn nothing_is_spared_in_a_small_transaction() {
        let file = large(8);
        let page = read(&file, 0);
        file.sync_data().unwrap();

        file.write(0, &page).unwrap();

        assert_eq!(writes(&file), 1);
    }

    /// What may happen to a file.
    #[derive(Clone, Debug)]
    enum Step {
        Read(u64, usize),
        Write(u64, usize, u8),
        WriteBack(u64),
        Sync,
        Resize(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let place = 0..8_u64;
        let length = prop_oneof![Just(PAGE), Just(2 * PAGE), 1..PAGE];
        let step = prop_oneof![
            4 => (place.clone(), length.clone()).prop_map(|(at, length)| Step::Read(at, length)),
            4 => (place.clone(), length, 0..2_u8).prop_map(|(at, n, byte)| Step::Write(at, n, byte)),
            4 => place.clone().prop_map(Step::WriteBack),
            1 => Just(Step::Sync),
            1 => place.prop_map(Step::Resize),
        ];
        proptest::collection::vec(step, 1..200)
    }

    proptest! {
        #[test]
        fn it_holds_what_was_written_last(steps in steps()) {
            let file = large(16);
            let mut model = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
            for step in steps {
                match step {
                    Step::Read(at, length) => {
                        let at = usize::try_from(at).unwrap() * PAGE / 2;
                        let mut out = vec![0; length];
                        file.read(at as u64, &mut out).unwrap();
                        assert!(out == model[at..at + length]);
                    }
                    Step::Write(at, length, byte) => {
                        let at = usize::try_from(at).unwrap() * PAGE / 2;
                        model[at..at + length].fill(byte);
                        file.write(at as u64, &vec![byte; length]).unwrap();
                    }
                    Step::WriteBack(at) => {
                        let page = read(&file, at * PAGE as u64);
                        file.write(at * PAGE as u64, &page).unwrap();
                    }
                    Step::Sync => file.sync_data().unwrap(),
                    Step::Resize(more) => {
                        let length = SPARING_BYTES + more * PAGE as u64;
                        file.set_len(length).unwrap();
                        model.resize(usize::try_from(length).unwrap(), 0);
                    }
                }
            }
            let mut whole = vec![0; model.len()];
            file.read(0, &mut whole).unwrap();
            assert!(whole == model);
        }
    }
}
