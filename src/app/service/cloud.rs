//! Following Messages in iCloud for as long as the service runs. Waits and passes are `ingest::cloudkit`'s; here is what is
//! around them:
//!
//! | end | what follows |
//! |---|---|
//! | there is no session | it is looked for, every two seconds |
//! | the session cannot be read or used | the owner is told; it is tried again after a pause |
//! | it was told to stop | the task ends |
//! | too little space on the disk (D8) | reading goes on; it is tried again after a pause |
//! | anything else about the store | the service ends with that error: opening anew is the cure |
//! | a panic before all was read once | the service ends with it: whoever started it starts it again (SC-22) |
//! | a panic later | it is started again after a pause, on its guard, and is shown as failed until then (SC-23) |
//!
//! A page that makes it panic each time is set aside after some deaths: `ingest::cloudkit`, SC-23a.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::sync::mpsc::Sender;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::app::AppError;
use crate::app::cloudkit::Counted;
use crate::app::cloudkit::PassError;
use crate::app::cloudkit::Reach;
use crate::app::cloudkit::Report;
use crate::app::cloudkit::ZoneReport;
use crate::app::cloudkit::keep_user_id;
use crate::app::cloudkit::options;
use crate::app::service::Service;
use crate::app::service::run::Event;
use crate::app::service::run::Fatal;
use crate::app::service::run::Tell;
use crate::base::error::Explain;
use crate::base::limits::CLOUD_SESSION_POLL;
use crate::base::limits::RESTART_PAUSE;
use crate::base::limits::RESTART_PAUSE_MOST;
use crate::base::tasks::Ended;
use crate::base::tasks::Task;
use crate::base::tasks::TaskGroup;
use crate::ingest::IngestError;
use crate::ingest::Phase;
use crate::ingest::Progress;
use crate::ingest::cloudkit::Options;
use crate::ingest::cloudkit::Outcome;
use crate::ingest::cloudkit::Sync;
use crate::model::record::SourceKind;
use crate::store::StoreError;

const ICLOUD: SourceKind = SourceKind::CloudKit;

/// Follows until it is told to stop. What ends the service is sent to `fatal`. Connections are tasks of the group.
pub(super) async fn keep_syncing(
    service: Arc<Service>,
    tell: Tell,
    group: TaskGroup,
    fatal: Sender<Fatal>,
) {
    let begin = |is_guarded, failed| {
        let (service, tell) = (Arc::clone(&service), Arc::clone(&tell));
        let following = follow(service, tell, group.clone(), is_guarded, failed);
        group.spawn("iCloud", following)
    };
    keep(&service, &tell, group.stop(), &fatal, begin).await;
}

/// Begins again whenever it ends. `begin` is told whether it is to be on its guard.
async fn keep(
    service: &Service,
    tell: &Tell,
    stop: &CancellationToken,
    fatal: &Sender<Fatal>,
    begin: impl Fn(bool, Failed) -> Task,
) {
    let mut pause = RESTART_PAUSE;
    let mut is_guarded = false;
    while !stop.is_cancelled() {
        let failed: Failed = Arc::default();
        let ended = begin(is_guarded, Arc::clone(&failed)).ended().await;
        let error = failed.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (ended, error) {
            _ if stop.is_cancelled() => break,
            (Ended::Panicked, _) if !was_read(service) => {
                tracing::error!("reading iCloud for the first time panicked");
                drop(fatal.send(Fatal::Panicked).await);
                break;
            }
            (Ended::Panicked, _) => {
                tracing::error!("reading iCloud panicked, starting again");
                is_guarded = true;
                service.broken(ICLOUD, "it met a bug and starts again".to_owned(), None);
            }
            (Ended::Done, None) => {}
            (Ended::Done, Some(AppError::Ingest(IngestError::NoSession))) => continue,
            (
                Ended::Done,
                Some(AppError::Ingest(IngestError::Store(error)) | AppError::Store(error)),
            ) if !matches!(error, StoreError::LowSpace { .. }) => {
                // Whoever receives it may have gone: then the service is ending anyway.
                drop(fatal.send(Fatal::Store(error)).await);
                break;
            }
            (Ended::Done, Some(error)) => tell_failure(service, tell, &error),
        }
        stop.run_until_cancelled(sleep(pause)).await;
        pause = next(pause);
    }
}

/// Whether all of Messages in iCloud was read once.
fn was_read(service: &Service) -> bool {
    let cursor = || service.archive.store().snapshot()?.cursor(ICLOUD);
    cursor().is_ok_and(|cursor| cursor.is_some())
}

/// Where a task leaves what ended it.
type Failed = Arc<Mutex<Option<AppError>>>;

pub(super) fn next(pause: Duration) -> Duration {
    (pause * 2).min(RESTART_PAUSE_MOST)
}

fn tell_failure(service: &Service, tell: &Tell, error: &dyn Explain) {
    service.failed(ICLOUD, error);
    tell(&Event::Failed(ICLOUD, error));
}

async fn follow(
    service: Arc<Service>,
    tell: Tell,
    group: TaskGroup,
    is_guarded: bool,
    failed: Failed,
) {
    if let Err(error) = Box::pin(passes(&service, &tell, &group, is_guarded)).await {
        *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }
}

async fn passes(
    service: &Service,
    tell: &Tell,
    group: &TaskGroup,
    is_guarded: bool,
) -> Result<(), AppError> {
    let stop = group.stop();
    if !has_session(service, stop).await? {
        return Ok(());
    }
    let archive = &service.archive;
    let reach = Reach::new(&service.settings.cloud, group.clone())?;
    let mut sync = Sync::new(
        archive.store().clone(),
        archive.shared_clock(),
        reach.clone(),
        Options {
            is_guarded,
            ..options(&service.settings)
        },
    );
    let counted = Mutex::new(Counted::default());
    let on_page = |report: &ZoneReport| {
        let done = counted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .with(report);
        let progress = Progress {
            phase: Phase::Reading,
            done,
            total: 0,
        };
        service.progressed(ICLOUD, progress);
        tell(&Event::CloudPage(report));
        ControlFlow::Continue(())
    };
    let learnt = tokio::sync::Notify::new();
    let on_pass = |report: &Report| {
        *counted.lock().unwrap_or_else(PoisonError::into_inner) = Counted::default();
        match PassError::of(report) {
            None => {
                service.passed(ICLOUD, &report.tally);
                tell(&Event::CloudPassed(report));
                learnt.notify_one();
            }
            Some(_) if report.outcome == Outcome::Cancelled => {}
            Some(error) => tell_failure(service, tell, &error),
        }
    };
    let mut following = Box::pin(sync.follow(stop, &on_page, &on_pass));
    tokio::select! {
        ended = &mut following => return Ok(ended?),
        () = learnt.notified() => {}
    }
    keep_user_id(archive, &reach).await?;
    Ok(following.await?)
}

/// Waits for a session. False when it was told to stop.
pub(super) async fn has_session(
    service: &Service,
    stop: &CancellationToken,
) -> Result<bool, AppError> {
    while !service.archive.has_session()? {
        let wait = stop.run_until_cancelled(sleep(CLOUD_SESSION_POLL));
        if wait.await.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::Mutex;

    use tokio::sync::mpsc;

    use super::Fatal;
    use super::keep;
    use crate::app::service::Service;
    use crate::app::service::run::Tell;
    use crate::app::settings::Flags;
    use crate::base::tasks::TaskGroup;
    use crate::model::change::Cursor;
    use crate::model::record::SourceKind;
    use crate::store::Page;
    use crate::store::StoreError;

    fn service(folder: &tempfile::TempDir) -> Service {
        Service::of(&Flags {
            data: Some(folder.path().join("a.redb")),
            ..Flags::default()
        })
    }

    /// Lets it panic twice at most, and answers whether it was on its guard each time, and what ended the service.
    async fn panicking(service: &Service) -> (Vec<bool>, Option<Fatal>) {
        let group = TaskGroup::new();
        let (fatal, mut refused) = mpsc::channel(1);
        let guards = Arc::new(Mutex::new(Vec::new()));
        let tell: Tell = Arc::new(|_| {});
        let begin = |is_guarded, _| {
            let mut seen = guards.lock().unwrap();
            seen.push(is_guarded);
            if seen.len() == 2 {
                group.stop().cancel();
            }
            group.spawn("iCloud", async { panic!("a bug") })
        };
        keep(service, &tell, group.stop(), &fatal, begin).await;
        let guards = guards.lock().unwrap().clone();
        (guards, refused.try_recv().ok())
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_before_all_was_read_ends_the_service() {
        let folder = tempfile::tempdir().unwrap();

        let (guards, fatal) = panicking(&service(&folder)).await;

        assert_eq!(guards, [false]);
        assert!(matches!(fatal, Some(Fatal::Panicked)), "{fatal:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_later_begins_again_on_its_guard() {
        let folder = tempfile::tempdir().unwrap();
        let service = service(&folder);
        let page = Page {
            cursor: Some(Cursor {
                inputs: [1; 32],
                scanned: None,
            }),
            ..Page::default()
        };
        let read = service
            .archive
            .store()
            .write::<StoreError>(|tx| tx.apply(page, SourceKind::CloudKit, 1));
        read.unwrap();

        let (guards, fatal) = panicking(&service).await;

        assert_eq!(guards, [false, true]);
        assert!(fatal.is_none(), "{fatal:?}");
    }
}
