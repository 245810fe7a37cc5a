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
//! | a panic | it is started again after a pause, and is shown as failed until then |

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
use crate::app::service::run::Tell;
use crate::base::error::Explain;
use crate::base::limits::CLOUD_SESSION_POLL;
use crate::base::limits::RESTART_PAUSE;
use crate::base::limits::RESTART_PAUSE_MOST;
use crate::base::tasks::Ended;
use crate::base::tasks::TaskGroup;
use crate::ingest::IngestError;
use crate::ingest::Phase;
use crate::ingest::Progress;
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
    fatal: Sender<StoreError>,
) {
    let stop = group.stop().clone();
    let mut pause = RESTART_PAUSE;
    while !stop.is_cancelled() {
        let failed: Failed = Arc::default();
        let following = follow(
            Arc::clone(&service),
            Arc::clone(&tell),
            group.clone(),
            Arc::clone(&failed),
        );
        let ended = group.spawn("iCloud", following).ended().await;
        let error = failed.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (ended, error) {
            _ if stop.is_cancelled() => break,
            (Ended::Panicked, _) => {
                tracing::error!("reading iCloud panicked, starting again");
                service.broken(ICLOUD, "it met a bug and starts again".to_owned(), None);
            }
            (Ended::Done, None) => {}
            (Ended::Done, Some(AppError::Ingest(IngestError::NoSession))) => continue,
            (
                Ended::Done,
                Some(AppError::Ingest(IngestError::Store(error)) | AppError::Store(error)),
            ) if !matches!(error, StoreError::LowSpace { .. }) => {
                // Whoever receives it may have gone: then the service is ending anyway.
                drop(fatal.send(error).await);
                break;
            }
            (Ended::Done, Some(error)) => tell_failure(&service, &tell, &error),
        }
        stop.run_until_cancelled(sleep(pause)).await;
        pause = next(pause);
    }
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

async fn follow(service: Arc<Service>, tell: Tell, group: TaskGroup, failed: Failed) {
    if let Err(error) = Box::pin(passes(&service, &tell, &group)).await {
        *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }
}

async fn passes(service: &Service, tell: &Tell, group: &TaskGroup) -> Result<(), AppError> {
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
        options(&service.settings),
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
