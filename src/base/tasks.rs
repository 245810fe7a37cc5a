//! Groups of tasks: every task has an owner that asks it to stop, waits for it and learns of its panic. The only place
//! that starts one.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::thread;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Tasks that are stopped and waited for together. Clones are the same group.
///
/// A task looks at [`TaskGroup::stop`] between units of work and returns when it is cancelled. Dropping the group does
/// not stop its tasks: [`TaskGroup::stop_and_join`] does.
#[derive(Clone, Debug, Default)]
pub struct TaskGroup {
    tracker: TaskTracker,
    /// Cancelled to ask.
    stop: CancellationToken,
    /// Cancelled to drop the tasks that did not listen.
    drop: CancellationToken,
    roll: Arc<Mutex<Roll>>,
}

/// Who is running, and who panicked.
#[derive(Debug, Default)]
struct Roll {
    running: BTreeMap<&'static str, usize>,
    panicked: Vec<&'static str>,
}

/// How a group ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The names of the tasks that panicked since the group was made, in that order, each once.
    pub panicked: Vec<&'static str>,
    /// The names of the tasks that were dropped in mid-work because they did not stop in time, each once.
    pub dropped: Vec<&'static str>,
}

impl Outcome {
    /// Whether every task returned by itself.
    pub fn is_clean(&self) -> bool {
        self.panicked.is_empty() && self.dropped.is_empty()
    }
}

/// How one task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It returned, or its group dropped it.
    Done,
    /// It panicked: a bug.
    Panicked,
}

/// A started task, for who wants to start it again when it ends. Dropping this leaves the task to its group.
#[derive(Debug)]
pub struct Task(JoinHandle<()>);

impl Task {
    /// Waits for the task's end.
    ///
    /// # Cancel safety
    /// The task goes on when the wait is dropped.
    pub async fn ended(self) -> Ended {
        match self.0.await {
            Err(error) if error.is_panic() => Ended::Panicked,
            Ok(()) | Err(_) => Ended::Done,
        }
    }
}

impl TaskGroup {
    /// A group without tasks.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a task. The name is for the log and the [`Outcome`]; several tasks may have the same.
    ///
    /// After the group's end a task is still started, is asked to stop at once, and is waited for by nobody.
    pub fn spawn(
        &self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> Task {
        let dropped = self.drop.clone();
        let present = Present::new(name, Arc::clone(&self.roll));
        let task = async move {
            // Inside the task, so that a panic of the task unwinds through it.
            let _present = present;
            dropped.run_until_cancelled(task).await;
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "the one place where tasks start: here they get an owner"
        )]
        let handle = self.tracker.spawn(task);
        Task(handle)
    }

    /// The token that tells the tasks of this group to stop.
    pub fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Tasks that have not ended.
    pub fn running(&self) -> usize {
        self.tracker.len()
    }

    /// Asks every task to stop, waits for them until the deadline, then drops those that still run at their next
    /// `.await`. Returns when no task is left.
    ///
    /// # Cancel safety
    /// The tasks have been asked to stop; nothing else is lost, and it may be called again.
    pub async fn stop_and_join(&self, deadline: Duration) -> Outcome {
        self.stop.cancel();
        self.tracker.close();
        let mut ended = pin!(self.tracker.wait());
        let mut dropped = Vec::new();
        if timeout(deadline, ended.as_mut()).await.is_err() {
            dropped = self.roll().running.keys().copied().collect();
            self.drop.cancel();
            ended.await;
        }
        Outcome {
            panicked: self.roll().panicked.clone(),
            dropped,
        }
    }

    fn roll(&self) -> std::sync::MutexGuard<'_, Roll> {
        self.roll.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One running task's line in the roll.
struct Present {
    name: &'static str,
    roll: Arc<Mutex<Roll>>,
}

impl Present {
    fn new(name: &'static str, roll: Arc<Mutex<Roll>>) -> Self {
        *roll
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .running
            .entry(name)
            .or_default() += 1;
        Self { name, roll }
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        let mut roll = self.roll.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = roll.running.get_mut(self.name) {
            *count -= 1;
            if *count == 0 {
                roll.running.remove(self.name);
            }
        }
        if thread::panicking() {
            tracing::error!(task = self.name, "task panicked");
            if !roll.panicked.contains(&self.name) {
                roll.panicked.push(self.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::time::Duration;

    use super::Ended;
    use super::Outcome;
    use super::TaskGroup;

    const DEADLINE: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn tasks_that_listen_stop_by_themselves() {
        let group = TaskGroup::new();
        let stop = group.stop().clone();
        group.spawn("listener", async move { stop.cancelled().await });

        let outcome = group.stop_and_join(DEADLINE).await;

        assert!(outcome.is_clean());
        assert_eq!(group.running(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_does_not_listen_is_dropped_at_the_deadline() {
        let group = TaskGroup::new();
        group.spawn("deaf", pending());
        group.spawn("deaf", pending());
        let stop = group.stop().clone();
        group.spawn("listener", async move { stop.cancelled().await });

        let outcome = group.stop_and_join(DEADLINE).await;

        let expected = Outcome {
            panicked: vec![],
            dropped: vec!["deaf"],
        };
        assert_eq!(outcome, expected);
        assert_eq!(group.running(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_is_reported_and_ends_only_its_task() {
        let group = TaskGroup::new();
        let broken = group.spawn("broken", async { panic!("a bug") });
        let sound = group.spawn("sound", async {});

        assert_eq!(broken.ended().await, Ended::Panicked);
        assert_eq!(sound.ended().await, Ended::Done);
        let expected = Outcome {
            panicked: vec!["broken"],
            dropped: vec![],
        };
        assert_eq!(group.stop_and_join(DEADLINE).await, expected);
    }
}
