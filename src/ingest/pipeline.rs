//! One reader, several decoders, one writer, in the order of the reader.
//!
//! ```text
//! reader --batches--> decoders (in parallel) --pages--> put back in order --> the store's writer
//! ```
//!
//! Every channel holds a few batches: a slow stage stops those before it, and memory does not grow with the source.

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::SyncSender;
use std::sync::mpsc::sync_channel;
use std::thread;

use crate::ingest::IngestError;

/// Batches that wait between two stages.
const WAITING: usize = 2;

/// Takes batches through the decoders to the writer until the reader has no more, or anything fails.
///
/// `read` runs on a thread of its own, `decode` on several; `write` gets the pages in the order in which their batches
/// were read, on the calling thread.
pub(super) fn run<B: Send, P: Send>(
    mut read: impl FnMut() -> Result<Option<B>, IngestError> + Send,
    decode: impl Fn(B) -> Result<P, IngestError> + Sync,
    mut write: impl FnMut(P) -> Result<(), IngestError>,
) -> Result<(), IngestError> {
    let (to_decoders, batches) = sync_channel(WAITING);
    let (to_writer, pages) = sync_channel(WAITING);
    let batches = Arc::new(Mutex::new(batches));
    thread::scope(|scope| {
        let reader = scope.spawn(move || {
            for number in 0_u64.. {
                let Some(batch) = read()? else { break };
                if to_decoders.send((number, batch)).is_err() {
                    break;
                }
            }
            Ok(())
        });
        for _ in 0..decoders() {
            let (batches, decode, to_writer) = (Arc::clone(&batches), &decode, to_writer.clone());
            scope.spawn(move || decode_batches(&batches, decode, &to_writer));
        }
        drop((batches, to_writer));
        let written = in_order(pages, &mut write);
        // The reader ends by itself: only the decoders hold its channel, and they end when nobody takes their pages.
        let read = reader.join().unwrap_or_else(|panic| resume_unwind(panic));
        written.and(read)
    })
}

/// One decoder less than there are processors; the writer needs one.
fn decoders() -> usize {
    thread::available_parallelism().map_or(1, |processors| {
        processors.get().saturating_sub(1).clamp(1, 6)
    })
}

fn decode_batches<B, P>(
    batches: &Mutex<Receiver<(u64, B)>>,
    decode: &impl Fn(B) -> Result<P, IngestError>,
    to_writer: &SyncSender<(u64, Result<P, IngestError>)>,
) {
    loop {
        let next = batches.lock().map_or(None, |batches| batches.recv().ok());
        let Some((number, batch)) = next else { return };
        if to_writer.send((number, decode(batch))).is_err() {
            return;
        }
    }
}

/// Hands pages on by their numbers, holding those that came early.
fn in_order<P>(
    pages: Receiver<(u64, Result<P, IngestError>)>,
    write: &mut impl FnMut(P) -> Result<(), IngestError>,
) -> Result<(), IngestError> {
    let mut early = BTreeMap::new();
    let mut next = 0;
    for (number, page) in pages {
        early.insert(number, page);
        while let Some(page) = early.remove(&next) {
            write(page?)?;
            next += 1;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
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
    fn an_error_of_the_writer_ends_reading() {
        let failed = run(batches(), Ok, |_page| Err(StoreError::Closed.into()));

        assert!(matches!(
            failed,
            Err(IngestError::Store(StoreError::Closed))
        ));
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
