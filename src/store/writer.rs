//! The one thread that writes, and how it groups what it is given into commits.
//!
//! | state | event | next | action |
//! |---|---|---|---|
//! | idle | page | collecting | begin a transaction, apply |
//! | collecting | page, fewer rows than the pace | collecting | apply |
//! | collecting | page, the pace's rows are reached | idle | apply, commit, acknowledge all |
//! | collecting | the pace's time is over, or a flush | idle | commit, acknowledge all |
//! | idle | work | collecting | begin a transaction, do it |
//! | collecting | work | collecting | do it |
//! | collecting | nothing more waits, and somebody waits for the end of a work | idle | commit, answer all |
//! | any | error | ended | nothing of the transaction is stored; tell who waits, else who asks next; refuse the rest |
//! | any | the last sender is gone | ended | commit what is collected |
//!
//! A *work* is a closure that somebody waits for ([`Writer::apply`]). It comes through a list of its own, for whoever
//! brings it must not wait for room in the queue; a wake-up in the queue says that the list is to be looked at.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::mpsc::SyncSender;
use std::sync::mpsc::TryRecvError;
use std::sync::mpsc::TrySendError;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::base::limits::COMMIT_ROWS;
use crate::base::limits::GROUP_ROWS;
use crate::base::limits::GROUP_WAIT;
use crate::base::limits::IMPORT_WAIT;
use crate::base::limits::WRITER_BYTES;
use crate::base::limits::WRITER_QUEUE;
use crate::model::record::SourceKind;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::page::Page;
use crate::store::tally::Tally;
use crate::store::transaction::Transaction;

/// How much one commit collects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Messages, and records of CloudKit.
    pub rows: usize,
    /// Time in which no page came, in all.
    pub wait: Duration,
}

impl Pace {
    /// For messages as they arrive: visible and safe at once.
    pub const LIVE: Self = Self {
        rows: GROUP_ROWS,
        wait: GROUP_WAIT,
    };

    /// For an import: large sorted transactions.
    pub const IMPORT: Self = Self {
        rows: COMMIT_ROWS,
        wait: IMPORT_WAIT,
    };
}

/// A page on its way to the writer.
struct Job {
    page: Page,
    source: SourceKind,
    decoder: u32,
    share: Share,
}

/// Bytes of the pages that wait for the writer, and of the one that it has.
#[derive(Default)]
struct Load {
    bytes: Mutex<usize>,
    less: Condvar,
}

/// A page's part of the load, until the writer is done with the page, or ends.
struct Share {
    load: Arc<Load>,
    bytes: usize,
}

impl Share {
    /// Waits until there is room. A page that is too large goes alone.
    fn of(load: &Arc<Load>, bytes: usize) -> Self {
        let mut held = load.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        while *held > 0 && *held + bytes > WRITER_BYTES {
            held = load.less.wait(held).unwrap_or_else(PoisonError::into_inner);
        }
        *held += bytes;
        Self {
            load: Arc::clone(load),
            bytes,
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self
            .load
            .bytes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *held -= self.bytes;
        self.load.less.notify_all();
    }
}

/// Where the answer to a flush goes.
type Answer = SyncSender<Result<Tally, StoreError>>;

enum Order {
    Apply(Box<Job>),
    /// Look at the list of works.
    Wake,
    /// Commit now and answer.
    Flush(Answer),
}

/// What somebody wants done in the next transaction.
type Work = Box<dyn FnOnce(&mut Transaction<'_>) -> Reply + Send>;

/// Tells who waits how a work went, once it is committed. Dropped instead when it is not.
type Reply = Box<dyn FnOnce() + Send>;

/// Works that wait for the next transaction; `None` once the thread has ended.
struct Works(Mutex<Option<VecDeque<Work>>>);

impl Works {
    fn new() -> Self {
        Self(Mutex::new(Some(VecDeque::new())))
    }

    fn put(&self, work: Work) -> Result<(), StoreError> {
        let mut works = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        works.as_mut().ok_or(StoreError::Closed)?.push_back(work);
        Ok(())
    }

    fn take(&self) -> VecDeque<Work> {
        let mut works = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        works.as_mut().map(mem::take).unwrap_or_default()
    }

    /// Drops what waits, and refuses what comes.
    fn close(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Closes the list of works when it is dropped.
struct Closing(Arc<Works>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// The writing thread. Pages are committed in the order in which they are sent.
pub struct Writer {
    orders: Option<SyncSender<Order>>,
    works: Arc<Works>,
    load: Arc<Load>,
    thread: Option<JoinHandle<()>>,
    failure: Arc<Failure>,
}

/// What ended the thread, for the first who asks.
#[derive(Default)]
struct Failure(Mutex<Option<StoreError>>);

impl Failure {
    fn put(&self, error: StoreError) {
        if let Ok(mut slot) = self.0.lock() {
            *slot = Some(error);
        }
    }

    fn take(&self) -> StoreError {
        let error = self.0.lock().ok().and_then(|mut slot| slot.take());
        error.unwrap_or(StoreError::Closed)
    }
}

impl Writer {
    pub(super) fn start(store: Store, pace: Pace) -> Self {
        let (orders, queue) = sync_channel(WRITER_QUEUE);
        let failure = Arc::new(Failure::default());
        let works = Arc::new(Works::new());
        let (seen, wanted) = (Arc::clone(&failure), Arc::clone(&works));
        let thread = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || {
                // Closed however the thread ends: by a panic too.
                let wanted = Closing(wanted);
                run(&store, pace, (&queue, &wanted.0), &seen);
            });
        // Without its thread the writer answers every order with `Closed`.
        Self {
            orders: thread.is_ok().then_some(orders),
            works,
            load: Arc::default(),
            thread: thread.ok(),
            failure,
        }
    }

    /// Hands over a page, waiting while too much waits already. It is safe only once a later [`Self::flush`] has answered.
    ///
    /// # Errors
    ///
    /// What kept a page sent before from being stored, once, soon after; then [`StoreError::Closed`].
    pub fn send(&self, page: Page, source: SourceKind, decoder: u32) -> Result<(), StoreError> {
        let orders = self.orders.as_ref().ok_or(StoreError::Closed)?;
        let share = Share::of(&self.load, page.size_bytes());
        let job = Order::Apply(Box::new(Job {
            page,
            source,
            decoder,
            share,
        }));
        orders.send(job).map_err(|_ended| self.failure.take())
    }

    /// Does some work in the next transaction, together with whatever else goes into it, and answers its result once that
    /// is committed. Works are done in the order in which they come.
    ///
    /// A work that fails must not have written anything: it looks first, through the transaction's readers, and writes
    /// then. Its error goes to its caller alone; the others' works are committed.
    ///
    /// # Errors
    ///
    /// The work's own; what kept the transaction from being committed, for one of those who wait; then
    /// [`StoreError::Closed`].
    ///
    /// # Cancel safety
    ///
    /// Once polled, the work is done whether or not anybody still waits for it.
    pub async fn apply<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<R, StoreError> + Send + 'static,
    ) -> Result<R, StoreError> {
        let (answer, outcome) = oneshot::channel();
        let orders = self.orders.as_ref().ok_or(StoreError::Closed)?;
        self.works.put(Box::new(move |transaction| {
            let result = work(transaction);
            Box::new(move || {
                if answer.send(result).is_err() {
                    tracing::debug!("nobody waits for a work any more");
                }
            })
        }))?;
        match orders.try_send(Order::Wake) {
            // A full queue wakes the thread as well; an ended one has dropped the work.
            Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
        }
        outcome
            .await
            .unwrap_or_else(|_dropped| Err(self.failure.take()))
    }

    /// Waits until everything sent before is committed, and answers what was stored since the last flush.
    ///
    /// # Errors
    ///
    /// What kept a page sent before from being stored, unless [`Self::send`] told it; nothing of its transaction is
    /// stored then. After that [`StoreError::Closed`].
    pub fn flush(&self) -> Result<Tally, StoreError> {
        let (answer, wait) = sync_channel(1);
        let orders = self.orders.as_ref().ok_or(StoreError::Closed)?;
        if orders.send(Order::Flush(answer)).is_err() {
            return Err(self.failure.take());
        }
        wait.recv()
            .unwrap_or_else(|_ended| Err(self.failure.take()))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.orders.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("store writer panicked");
        }
    }
}

/// Where the thread gets what it is to do.
type Sources<'q> = (&'q Receiver<Order>, &'q Works);

/// Collects and commits until nobody can send any more, or an error.
fn run(store: &Store, pace: Pace, (queue, works): Sources<'_>, failure: &Failure) {
    let mut done = Tally::default();
    while let Ok(order) = queue.recv() {
        let first = match order {
            Order::Flush(answer) => {
                // What was brought before the flush is committed before it.
                let works = works.take();
                if works.is_empty() {
                    tell(&answer, Ok(mem::take(&mut done)));
                    continue;
                }
                First::Works(works, Some(answer))
            }
            Order::Wake => {
                let works = works.take();
                if works.is_empty() {
                    continue;
                }
                First::Works(works, None)
            }
            Order::Apply(first) => First::Page(first),
        };
        // Not the closure's: who waits for it is let go of only when the error is there to be asked for.
        let mut first = Some(first);
        let mut group = Group::default();
        let outcome = store
            .write(|transaction| group.collect(transaction, pace, first.take(), (queue, works)));
        match (outcome, group.flush) {
            (Ok(tally), answer) => {
                done += tally;
                group.replies.into_iter().for_each(|reply| reply());
                if let Some(answer) = answer {
                    tell(&answer, Ok(mem::take(&mut done)));
                }
            }
            (Err(error), Some(answer)) => return tell(&answer, Err(error)),
            // Before the replies are dropped: who waits for one asks for it.
            (Err(error), None) => return failure.put(error),
        }
    }
}

fn tell(answer: &Answer, outcome: Result<Tally, StoreError>) {
    if answer.send(outcome).is_err() {
        tracing::debug!("nobody waits for a flush");
    }
}

/// What a transaction begins with.
enum First {
    Page(Box<Job>),
    Works(VecDeque<Work>, Option<Answer>),
}

/// What goes into one transaction, as far as somebody waits for it.
#[derive(Default)]
struct Group {
    replies: Vec<Reply>,
    flush: Option<Answer>,
}

impl Group {
    /// Applies what comes until the pace's limits, until somebody wants it committed, or until nothing more waits while
    /// somebody waits for an answer.
    fn collect(
        &mut self,
        transaction: &mut Transaction<'_>,
        pace: Pace,
        first: Option<First>,
        (queue, works): Sources<'_>,
    ) -> Result<(), StoreError> {
        let mut rows = 0;
        let mut waited = Duration::ZERO;
        let mut next = None;
        match first {
            Some(First::Page(job)) => next = Some(job),
            Some(First::Works(works, flush)) => {
                rows += self.perform(transaction, works);
                self.flush = flush;
            }
            None => {}
        }
        loop {
            if let Some(job) = next.take() {
                rows += job.page.rows();
                transaction.apply(job.page, job.source, job.decoder)?;
                drop(job.share);
            }
            rows += self.perform(transaction, works.take());
            if rows >= pace.rows || waited >= pace.wait || self.flush.is_some() {
                return Ok(());
            }
            let order = if self.replies.is_empty() {
                queue.recv_timeout(GROUP_WAIT.min(pace.wait))
            } else {
                queue.try_recv().map_err(|error| match error {
                    TryRecvError::Empty => RecvTimeoutError::Timeout,
                    TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
                })
            };
            match order {
                Ok(Order::Apply(job)) => next = Some(job),
                Ok(Order::Wake) => {}
                Ok(Order::Flush(answer)) => {
                    self.perform(transaction, works.take());
                    self.flush = Some(answer);
                }
                Err(RecvTimeoutError::Timeout) if self.replies.is_empty() => {
                    waited += GROUP_WAIT.min(pace.wait);
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    /// Does works, and answers how many: each counts as a row.
    fn perform(&mut self, transaction: &mut Transaction<'_>, works: VecDeque<Work>) -> usize {
        let count = works.len();
        for work in works {
            self.replies.push(work(transaction));
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::Pace;
    use crate::base::ids::Guid;
    use crate::base::time::SystemClock;
    use crate::model::change::MessageChange;
    use crate::model::change::Placement;
    use crate::model::message::Author;
    use crate::model::message::Kind;
    use crate::model::message::Message;
    use crate::model::record::MessageRecord;
    use crate::model::record::SourceKind;
    use crate::store::Absent;
    use crate::store::Page;
    use crate::store::Preparer;
    use crate::store::Store;
    use crate::store::StoreError;

    const MAC: SourceKind = SourceKind::ChatDb;

    /// A page with a message of this number.
    fn page(number: u8) -> Page {
        let guid = Guid::random([number; 16]);
        let change = MessageChange {
            message: Message::new(guid, Kind::Message { about: None }, Author::Owner),
            placement: Placement::default(),
            record: MessageRecord::default(),
            fingerprint: 1,
        };
        Page {
            messages: vec![Preparer::default().prepare(change, 1).unwrap()],
            ..Page::default()
        }
    }

    #[test]
    fn what_somebody_else_stores_in_the_midst_of_an_import_is_not_stored_twice() {
        let store = Store::in_memory(Arc::new(SystemClock)).unwrap();
        let import = store.writer(Pace::IMPORT);
        import.send(page(1), MAC, 1).unwrap();
        import.flush().unwrap();

        let other: Result<_, StoreError> = store.write(|tx| tx.apply(page(2), MAC, 1));
        other.unwrap();
        for number in [1, 2, 3, 3] {
            import.send(page(number), MAC, 1).unwrap();
        }
        import.flush().unwrap();

        assert_eq!(store.snapshot().unwrap().message_count().unwrap(), 3);
    }

    #[tokio::test]
    async fn a_work_that_panics_leaves_nobody_waiting() {
        let store = Store::in_memory(Arc::new(SystemClock)).unwrap();
        let writer = store.writer(Pace::LIVE);
        let broken = writer.apply(|_| -> Result<(), StoreError> { panic!("a bug") });
        assert!(matches!(broken.await, Err(StoreError::Closed)));

        // Without an end it would not answer at all.
        let later = timeout(Duration::from_secs(30), writer.apply(|_| Ok(()))).await;

        assert!(matches!(later, Ok(Err(StoreError::Closed))));
    }

    #[tokio::test]
    async fn who_waits_is_told_that_the_disk_is_full() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("archive.redb");
        let store = Store::open(&path, Absent::Create, Arc::new(SystemClock)).unwrap();
        let store = store.with_floor(Some(u64::MAX));

        for _ in 0..100 {
            let refused = store.writer(Pace::LIVE).apply(|_| Ok(())).await;

            assert!(
                matches!(refused, Err(StoreError::LowSpace { .. })),
                "{refused:?}"
            );
        }
    }
}
