//! Work that blocks, on threads for that: what waits for a network does not wait for it.

use std::panic::resume_unwind;

use tokio::task::spawn_blocking;

use crate::ingest::IngestError;

/// Does work that blocks on a thread for that. Its panic is passed on: nothing is given up silently (SC-22).
///
/// # Cancel safety
///
/// The work is done to its end, and nobody hears of it.
pub(super) async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, IngestError> {
    match spawn_blocking(work).await {
        Ok(done) => Ok(done),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            Err(_shut_down) => Err(IngestError::Stopped),
        },
    }
}
