//! Fetching the files of Messages in iCloud for as long as the service runs. What is fetched when is the queue's
//! (`ingest::assets`); here is what is around it:
//!
//! | end | what follows |
//! |---|---|
//! | there is no session | it is looked for, every two seconds |
//! | the queue ends with an error, or panics | it is begun again after a pause |
//! | it was told to stop | the task ends |
//!
//! Until the queue runs, what clients ask for is refused rather than left to wait.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use tokio::time::sleep;

use crate::app::AppError;
use crate::app::cloudkit::Reach;
use crate::app::service::Service;
use crate::app::service::cloud::has_session;
use crate::app::service::cloud::next;
use crate::base::limits::RESTART_PAUSE;
use crate::base::tasks::Ended;
use crate::base::tasks::TaskGroup;
use crate::ingest::assets;
use crate::ingest::assets::WishList;

/// What clients ask for, lent to the task that fetches: it outlives a panic.
type Lent = Arc<tokio::sync::Mutex<WishList>>;

/// Fetches until it is told to stop. Connections are tasks of the group.
pub(super) async fn keep_fetching(service: Arc<Service>, wishes: WishList, group: TaskGroup) {
    let stop = group.stop().clone();
    let lent: Lent = Arc::new(tokio::sync::Mutex::new(wishes));
    let mut pause = RESTART_PAUSE;
    while !stop.is_cancelled() {
        let failed: Arc<Mutex<Option<AppError>>> = Arc::default();
        let (for_task, report) = (Arc::clone(&lent), Arc::clone(&failed));
        let (service, inner) = (Arc::clone(&service), group.clone());
        let work = async move {
            if let Err(error) = Box::pin(fetch(&service, &for_task, &inner)).await {
                *report.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            }
        };
        let ended = group.spawn("attachments", work).ended().await;
        let error = failed.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (ended, error) {
            (Ended::Panicked, _) => tracing::error!("fetching files panicked, starting again"),
            (Ended::Done, Some(error)) => tracing::warn!(%error, "files are not fetched for now"),
            (Ended::Done, None) => {}
        }
        let mut wishes = lent.lock().await;
        tokio::select! {
            () = stop.cancelled() => break,
            () = sleep(pause) => {}
            () = wishes.refuse() => {}
        }
        pause = next(pause);
    }
}

async fn fetch(service: &Service, lent: &Lent, group: &TaskGroup) -> Result<(), AppError> {
    let stop = group.stop();
    let mut wishes = lent.lock().await;
    let has_session = tokio::select! {
        has_session = has_session(service, stop) => has_session?,
        () = wishes.refuse() => false,
    };
    if !has_session {
        return Ok(());
    }
    let archive = &service.archive;
    let reach = Reach::new(&service.settings.cloud, group.clone())?;
    let (store, clock) = (archive.store(), archive.clock());
    let options = service.settings.fetch;
    assets::run((store, clock), &reach, options, &mut wishes, stop).await?;
    Ok(())
}
