//! What happens on one connection, so that one on which nothing happens can be closed. It closes nothing itself.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;

use hyper::body::Body;
use hyper::body::Frame;
use hyper::body::SizeHint;

/// Counters of one connection. They are read now and then, and order nothing: `Relaxed` is enough.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    /// Requests begun and writes that moved bytes.
    moves: AtomicU64,
    /// Handlers that are working. They have their own deadlines.
    working: AtomicUsize,
    /// Answers that are not sent to their end.
    sending: AtomicUsize,
}

/// What a look at a connection shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Something moved since the last look, or somebody is working for it.
    Alive,
    /// Nothing moved, and nobody is waiting for anything: a client that keeps it open.
    Idle,
    /// Nothing moved, although there is an answer to send: the client does not read.
    Stalled,
}

impl Activity {
    pub(crate) fn moved(&self) {
        self.moves.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a request in whose handler somebody works until the guard is dropped.
    pub(crate) fn work(self: &Arc<Self>) -> Guard {
        self.moved();
        Guard::new(self, |activity| &activity.working)
    }

    /// Counts the answer as unsent until its body is dropped.
    pub(crate) fn send<B>(self: &Arc<Self>, body: B) -> Sending<B> {
        Sending {
            body,
            _guard: Guard::new(self, |activity| &activity.sending),
        }
    }

    /// The state since a look that returned `last`, and what to give to the next look.
    pub(crate) fn look(&self, last: u64) -> (State, u64) {
        let moves = self.moves.load(Ordering::Relaxed);
        let state = if moves != last || self.working.load(Ordering::Relaxed) > 0 {
            State::Alive
        } else if self.sending.load(Ordering::Relaxed) > 0 {
            State::Stalled
        } else {
            State::Idle
        };
        (state, moves)
    }
}

/// One count in one counter.
pub(crate) struct Guard {
    activity: Arc<Activity>,
    counter: fn(&Activity) -> &AtomicUsize,
}

impl Guard {
    fn new(activity: &Arc<Activity>, counter: fn(&Activity) -> &AtomicUsize) -> Self {
        counter(activity).fetch_add(1, Ordering::Relaxed);
        Self {
            activity: Arc::clone(activity),
            counter,
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        (self.counter)(&self.activity).fetch_sub(1, Ordering::Relaxed);
        self.activity.moved();
    }
}

/// A body that is being sent.
pub(crate) struct Sending<B> {
    body: B,
    _guard: Guard,
}

impl<B: Body + Unpin> Body for Sending<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Activity;
    use super::State;

    #[test]
    fn a_connection_is_alive_while_it_moves_or_somebody_works() {
        let activity = Arc::new(Activity::default());

        let (state, last) = activity.look(0);
        assert_eq!(state, State::Idle);
        let work = activity.work();
        let (state, last) = activity.look(last);
        assert_eq!(state, State::Alive);
        assert_eq!(activity.look(last), (State::Alive, last));
        drop(work);
        let (state, last) = activity.look(last);
        assert_eq!(state, State::Alive);
        assert_eq!(activity.look(last), (State::Idle, last));
    }

    #[test]
    fn an_answer_that_does_not_move_is_stalled() {
        let activity = Arc::new(Activity::default());
        let sending = activity.send(());

        let (state, last) = activity.look(0);
        assert_eq!(state, State::Stalled);
        activity.moved();
        let (state, last) = activity.look(last);
        assert_eq!(state, State::Alive);
        assert_eq!(activity.look(last).0, State::Stalled);
        drop(sending);
        assert_eq!(activity.look(last).0, State::Alive);
    }
}
