//! The one thread that writes, and how it groups what it is given into commits.
//!
//! | state | event | next | action |
//! |---|---|---|---|
//! | idle | page | collecting | begin a transaction, apply |
//! | collecting | page, fewer rows than the pace | collecting | apply |
//! | collecting | page, the pace's rows are reached | idle | apply, commit, acknowledge all |
//! | collecting | the pace's time is over, or a flush | idle | commit, acknowledge all |
//! | any | error | ended | nothing of the transaction is stored; tell who waits, else who asks next; refuse the rest |
//! | any | the last sender is gone | ended | commit what is collected |

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::mpsc::SyncSender;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::base::limits::COMMIT_ROWS;
use crate::base::limits::GROUP_ROWS;
use crate::base::limits::GROUP_WAIT;
use crate::base::limits::IMPORT_WAIT;
use crate::base::limits::WRITER_QUEUE;
use crate::model::record::SourceKind;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::guid::GuidFilter;
use crate::store::page::Page;
use crate::store::tally::Tally;

/// How much one commit collects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Messages.
    pub rows: usize,
    /// Time since its first page.
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
}

/// Where the answer to a flush goes.
type Answer = SyncSender<Result<Tally, StoreError>>;

enum Order {
    Apply(Box<Job>),
    /// Commit now and answer.
    Flush(Answer),
}

/// The writing thread. Pages are committed in the order in which they are sent.
pub struct Writer {
    orders: Option<SyncSender<Order>>,
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
        let seen = Arc::clone(&failure);
        let thread = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || run(&store, pace, &queue, &seen));
        // Without its thread the writer answers every order with `Closed`.
        Self {
            orders: thread.is_ok().then_some(orders),
            thread: thread.ok(),
            failure,
        }
    }

    /// Hands over a page, waiting while the queue is full. It is safe only once a later [`Self::flush`] has answered.
    ///
    /// # Errors
    ///
    /// What kept a page sent before from being stored, once, soon after; then [`StoreError::Closed`].
    pub fn send(&self, page: Page, source: SourceKind, decoder: u32) -> Result<(), StoreError> {
        let job = Order::Apply(Box::new(Job {
            page,
            source,
            decoder,
        }));
        let orders = self.orders.as_ref().ok_or(StoreError::Closed)?;
        orders.send(job).map_err(|_ended| self.failure.take())
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

/// Collects and commits until nobody can send any more, or an error.
fn run(store: &Store, pace: Pace, queue: &Receiver<Order>, failure: &Failure) {
    let mut done = Tally::default();
    let mut filter = filter_for(store, pace);
    while let Ok(order) = queue.recv() {
        let outcome = match order {
            Order::Flush(answer) => {
                tell(&answer, Ok(std::mem::take(&mut done)));
                continue;
            }
            Order::Apply(first) => commit_group(store, pace, queue, *first, &mut filter),
        };
        match outcome {
            (Ok(tally), answer) => {
                done += tally;
                if let Some(answer) = answer {
                    tell(&answer, Ok(std::mem::take(&mut done)));
                }
            }
            (Err(error), Some(answer)) => return tell(&answer, Err(error)),
            (Err(error), None) => return failure.put(error),
        }
    }
}

fn tell(answer: &Answer, outcome: Result<Tally, StoreError>) {
    if answer.send(outcome).is_err() {
        tracing::debug!("nobody waits for a flush");
    }
}

/// An import into an empty archive asks a million times for GUIDs that are not held: a filter answers.
fn filter_for(store: &Store, pace: Pace) -> Option<GuidFilter> {
    let is_empty = || {
        store
            .snapshot()
            .and_then(|snapshot| snapshot.message_count())
            .is_ok_and(|count| count == 0)
    };
    (pace.rows > GROUP_ROWS && is_empty()).then(GuidFilter::new)
}

/// One transaction: the first page and all that come until the pace's limits, or until somebody wants it committed.
fn commit_group(
    store: &Store,
    pace: Pace,
    queue: &Receiver<Order>,
    first: Job,
    filter: &mut Option<GuidFilter>,
) -> (Result<Tally, StoreError>, Option<Answer>) {
    let mut flush = None;
    let outcome = store.write(|transaction| {
        transaction.filter = filter.take();
        let mut rows = 0;
        let mut next = Some(first);
        let mut waited = Duration::ZERO;
        while let Some(job) = next.take() {
            rows += job.page.messages.len();
            transaction.apply(job.page, job.source, job.decoder)?;
            while rows < pace.rows && waited < pace.wait && next.is_none() && flush.is_none() {
                let step = GROUP_WAIT.min(pace.wait);
                match queue.recv_timeout(step) {
                    Ok(Order::Apply(job)) => next = Some(*job),
                    Ok(Order::Flush(answer)) => flush = Some(answer),
                    Err(RecvTimeoutError::Timeout) => waited += step,
                    Err(RecvTimeoutError::Disconnected) => waited = pace.wait,
                }
            }
        }
        *filter = transaction.filter.take();
        Ok(())
    });
    (outcome, flush)
}
