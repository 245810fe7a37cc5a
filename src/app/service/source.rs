//! Following the source for as long as the service runs. A pass that fails is `ingest::follow`'s; here is what ends
//! following itself:
//!
//! | end | what follows |
//! |---|---|
//! | it was told to stop | the task ends |
//! | too little space on the disk (D8) | reading goes on; it is tried again after a pause |
//! | anything else about the store | the service ends with that error: opening anew is the cure |
//! | a panic | it is started again after a pause, and is shown as failed until then |

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use tokio::sync::mpsc::Sender;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use crate::app::service::Service;
use crate::app::service::run::Event;
use crate::app::service::run::Fatal;
use crate::app::service::run::Tell;
use crate::base::limits::RESTART_PAUSE;
use crate::base::limits::RESTART_PAUSE_MOST;
use crate::ingest;
use crate::ingest::IngestError;
use crate::ingest::Options;
use crate::model::record::SourceKind;
use crate::store::StoreError;

const MAC: SourceKind = SourceKind::ChatDb;

/// Follows until it is told to stop. What ends the service is sent to `fatal`.
pub(super) async fn keep_following(
    service: Arc<Service>,
    options: Options,
    tell: Tell,
    stop: CancellationToken,
    fatal: Sender<Fatal>,
) {
    let mut pause = RESTART_PAUSE;
    loop {
        let (stopper, told) = mpsc::channel();
        let mut following = spawn_blocking({
            let (service, options) = (Arc::clone(&service), options.clone());
            let (tell, stop) = (Arc::clone(&tell), stop.clone());
            move || follow(&service, &options, &tell, &stop, &told)
        });
        let ended = tokio::select! {
            ended = &mut following => ended,
            () = stop.cancelled() => {
                drop(stopper);
                following.await
            }
        };
        match ended {
            _ if stop.is_cancelled() => break,
            Ok(Ok(())) => break,
            Ok(Err(IngestError::Store(error @ StoreError::LowSpace { .. }))) => {
                let error = IngestError::Store(error);
                service.failed(MAC, &error);
                tell(&Event::Failed(MAC, &error));
            }
            Ok(Err(IngestError::Store(error))) => {
                // Whoever receives it may have gone: then the service is ending anyway.
                drop(fatal.send(Fatal::Store(error)).await);
                break;
            }
            Ok(Err(error)) => {
                service.failed(MAC, &error);
                tell(&Event::Failed(MAC, &error));
            }
            Err(_panicked) => {
                tracing::error!("following panicked, starting again");
                service.broken(MAC, "it met a bug and starts again".to_owned(), None);
            }
        }
        stop.run_until_cancelled(tokio::time::sleep(pause)).await;
        pause = next(pause);
    }
}

fn next(pause: Duration) -> Duration {
    (pause * 2).min(RESTART_PAUSE_MOST)
}

fn follow(
    service: &Service,
    options: &Options,
    tell: &Tell,
    stop: &CancellationToken,
    told: &ingest::Stop,
) -> Result<(), IngestError> {
    let archive = &service.archive;
    let on_progress = |progress| {
        service.progressed(MAC, progress);
        tell(&Event::Progress(progress));
        if stop.is_cancelled() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let on_pass = |outcome: Result<&ingest::Import, &IngestError>| match outcome {
        Ok(import) => {
            service.passed(MAC, &import.tally);
            tell(&Event::Passed(import));
        }
        Err(error) => {
            service.failed(MAC, error);
            tell(&Event::Failed(MAC, error));
        }
    };
    ingest::follow(
        archive.store(),
        archive.clock(),
        options,
        told,
        &on_progress,
        &on_pass,
    )
}
