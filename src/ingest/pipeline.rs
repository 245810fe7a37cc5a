//! Batches that are read one after the other, decoded side by side, and written in the order of reading.
//!
//! ```text
//! workers: read (one at a time), decode (in parallel) --pages--> put back in order --> the store's writer
//! ```
//!
//! A worker decodes what it has read itself: a batch never leaves the processor whose caches hold it, and its many small
//! allocations are freed by the thread that made them. The channel holds a few pages: a slow writer stops the workers,
//! and a slow batch stops them a few batches later, so that memory does not grow with the source.

use std::collections::BTreeMap;
use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::SyncSender;
use std::sync::mpsc::sync_channel;
use std::thread;

use crate::ingest::IngestError;

/// Pages that wait to be put in order.
const WAITING: usize = 2;

/// Batches that reading may be ahead of writing. The files of one batch can take minutes to hash: what is read meanwhile
/// waits in memory until it is that batch's turn.
const AHEAD: u64 = 16;

/// Workers at most: reading takes nearly half of their time and only one of them reads.
const WORKERS: usize = 6;

/// A page or what kept it from being made, and its place in the order.
type Numbered<P> = (u64, Result<P, IngestError>);

/// Takes batches through the decoders to the writer until there are no more, or anything fails.
///
/// `read` and `decode` run on threads of their own; `write` gets the pages in the order in which their batches were
/// read, on the calling thread.
pub(super) fn run<B, P: Send>(
    read: impl FnMut() -> Result<Option<B>, IngestError> + Send,
    decode: impl Fn(B) -> Result<P, IngestError> + Sync,
    mut write: impl FnMut(P) -> Result<(), IngestError>,
) -> Result<(), IngestError> {
    let (to_writer, pages) = sync_channel(WAITING);
    let turn = Turn::default();
    let reader = Mutex::new(Reader {
        read,
        turn: &turn,
        number: 0,
        is_done: false,
    });
    let workers = thread::available_parallelism().map_or(1, |processors| {
        // The writer waits for the disk at times: then all processors are free to decode.
        processors.get().min(WORKERS)
    });
    thread::scope(|scope| {
        for _ in 0..workers {
            let (reader, decode, to_writer) = (&reader, &decode, to_writer.clone());
            let party = Party(&turn);
            scope.spawn(move || {
                work(reader, decode, &to_writer);
                drop(party);
            });
        }
        drop(to_writer);
        in_order(pages, &turn, &mut write)
    })
}

/// Which page is the next to be written. Whoever reads waits for it.
#[derive(Default)]
struct Turn {
    next: Mutex<Next>,
    moved: Condvar,
}

#[derive(Default)]
struct Next {
    number: u64,
    /// Whether no further page is written, or read.
    is_over: bool,
}

impl Turn {
    /// Waits until a batch may be read, and says whether it is to be.
    fn wait_for(&self, batch: u64) -> bool {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        while !next.is_over && batch >= next.number + AHEAD {
            next = self
                .moved
                .wait(next)
                .unwrap_or_else(PoisonError::into_inner);
        }
        !next.is_over
    }

    fn change(&self, change: impl FnOnce(&mut Next)) {
        change(&mut self.next.lock().unwrap_or_else(PoisonError::into_inner));
        self.moved.notify_all();
    }
}

/// Held by everybody who brings pages nearer to being written: when one of them ends, also by a panic, nobody waits for a
/// page that does not come.
struct Party<'t>(&'t Turn);

impl Drop for Party<'_> {
    fn drop(&mut self) {
        self.0.change(|next| next.is_over = true);
    }
}

/// Numbers batches in the order of reading.
struct Reader<'t, R> {
    read: R,
    turn: &'t Turn,
    number: u64,
    /// Whether there are no more, or reading failed.
    is_done: bool,
}

impl<R: FnMut() -> Result<Option<B>, IngestError>, B> Reader<'_, R> {
    fn next(&mut self) -> Option<(u64, Result<B, IngestError>)> {
        if self.is_done || !self.turn.wait_for(self.number) {
            return None;
        }
        let batch = (self.read)().transpose();
        self.is_done = !matches!(batch, Some(Ok(_)));
        let number = self.number;
        self.number += 1;
        batch.map(|batch| (number, batch))
    }
}

/// Reads and decodes until there are no more batches or nobody takes the pages.
fn work<B, P>(
    reader: &Mutex<Reader<'_, impl FnMut() -> Result<Option<B>, IngestError>>>,
    decode: &impl Fn(B) -> Result<P, IngestError>,
    to_writer: &SyncSender<Numbered<P>>,
) {
    loop {
        // A poisoned lock is that of a reader that panicked: the scope passes its panic on.
        let next = reader.lock().map_or(None, |mut reader| reader.next());
        let Some((number, batch)) = next else { return };
        if to_writer.send((number, batch.and_then(decode))).is_err() {
            return;
        }
    }
}

/// Hands pages on by their numbers, holding those that came early.
fn in_order<P>(
    pages: Receiver<Numbered<P>>,
    turn: &Turn,
    write: &mut impl FnMut(P) -> Result<(), IngestError>,
) -> Result<(), IngestError> {
    let _party = Party(turn);
    let mut early = BTreeMap::new();
    let mut next = 0;
    for (number, page) in pages {
        early.insert(number, page);
        while let Some(page) = early.remove(&next) {
            write(page?)?;
            next += 1;
            turn.change(|turn| turn.number = next);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;
    use std::sync::atomic::Ordering;
    use std::thread::sleep;
    use std::time::Duration;

    use super::AHEAD;
    use super::run;
    use crate::ingest::IngestError;
    use crate::store::StoreError;

    /// More batches than all channels hold together.
    fn batches() -> impl FnMut() -> Result<Option<u32>, IngestError> + Send {
        let mut left = 1_000;
        move || {
            left -= 1;
            Ok((left > 0).then_some(left))
        }
    }

    #[test]
    fn pages_come_in_the_order_of_their_batches() {
        let mut written = Vec::new();

        run(batches(), Ok, |page| {
            written.push(page);
            Ok(())
        })
        .unwrap();

        assert_eq!(written, (1..1_000).rev().collect::<Vec<u32>>());
    }

    #[test]
    fn reading_does_not_run_away_from_a_slow_batch() {
        let (read, written) = (AtomicU64::new(0), AtomicU64::new(0));
        let mut batches = batches();
        let mut most = 0;
        let reading = || {
            let begun = read.fetch_add(1, Ordering::SeqCst) + 1;
            most = most.max(begun - written.load(Ordering::SeqCst));
            batches()
        };
        let decode = |batch| {
            let is_first = batch == 999;
            for _ in 0..200 {
                // Time for the others to read all there is, if nothing holds them up.
                if is_first && read.load(Ordering::SeqCst) < 1_000 {
                    sleep(Duration::from_millis(1));
                }
            }
            Ok(batch)
        };

        run(reading, decode, |_page| {
            written.fetch_add(1, Ordering::SeqCst);
            Ok(())
        })
        .unwrap();

        assert!(most <= AHEAD, "{most} batches at once");
    }

    #[test]
    fn a_decoder_that_panics_ends_everything() {
        let panics = |batch| {
            assert!(batch != 999, "a bug");
            Ok(batch)
        };

        let ended = std::panic::catch_unwind(|| run(batches(), panics, |_page| Ok(())));

        assert!(ended.is_err());
    }

    #[test]
    fn an_error_of_the_writer_ends_reading() {
        let failed = run(batches(), Ok, |_page| Err(StoreError::Closed.into()));

        assert!(matches!(
            failed,
            Err(IngestError::Store(StoreError::Closed))
        ));
    }

    #[test]
    fn an_error_of_the_reader_comes_after_the_pages_before_it() {
        let mut left = 100;
        let read = || {
            left -= 1;
            if left == 0 {
                return Err(StoreError::Closed.into());
            }
            Ok(Some(left))
        };
        let mut written = Vec::new();

        let failed = run(read, Ok, |page| {
            written.push(page);
            Ok(())
        });

        assert!(matches!(
            failed,
            Err(IngestError::Store(StoreError::Closed))
        ));
        assert_eq!(written, (1..100).rev().collect::<Vec<i32>>());
    }

    #[test]
    fn an_error_of_a_decoder_ends_reading() {
        let closed = |_batch| Err(StoreError::Closed.into());

        let failed = run(batches(), closed, |_page: u32| Ok(()));

        assert!(matches!(
            failed,
            Err(IngestError::Store(StoreError::Closed))
        ));
    }
}
