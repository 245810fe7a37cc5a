//! Thumbnails that were made: kept in memory within bounds, each made once however many ask for it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use tokio::sync::OnceCell;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use crate::base::limits::THUMBNAIL_CACHE_BYTES;
use crate::base::limits::THUMBNAIL_CACHE_ENTRIES;
use crate::base::limits::THUMBNAILS_AT_ONCE;
use crate::deliver::endpoint::error::Code;
use crate::deliver::endpoint::error::MatrixError;
use crate::deliver::endpoint::media::thumbnail::Size;
use crate::deliver::endpoint::media::thumbnail::Thumbnail;
use crate::net::StatusCode;

/// The file and the size.
type Key = (String, Size);

type Cell = Arc<OnceCell<Thumbnail>>;

/// Thumbnails, and which files have none.
pub(in crate::deliver::endpoint) struct Thumbnails {
    making: Arc<Semaphore>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    entries: HashMap<Key, Entry>,
    /// Of all entries.
    bytes: usize,
    /// How often something was asked for.
    asked: u64,
}

struct Entry {
    cell: Cell,
    bytes: usize,
    /// The number of the last question for it.
    asked: u64,
}

impl Default for Thumbnails {
    fn default() -> Self {
        Self {
            making: Arc::new(Semaphore::new(THUMBNAILS_AT_ONCE)),
            kept: Mutex::default(),
        }
    }
}

impl Thumbnails {
    /// The thumbnail of a file in a size, made on a blocking thread if it is not there. An error is
    /// not kept.
    ///
    /// # Cancel safety
    ///
    /// One that is being made is finished and lost; whoever waits for it as well makes it again.
    pub(super) async fn of<M>(
        &self,
        id: &str,
        size: Size,
        stop: &CancellationToken,
        work: impl FnOnce() -> M,
    ) -> Result<Thumbnail, MatrixError>
    where
        M: FnOnce() -> Result<Thumbnail, MatrixError> + Send + 'static,
    {
        let key = (id.to_owned(), size);
        let cell = self.kept().cell(&key);
        let made = cell.get_or_try_init(|| async {
            let permit = tokio::select! {
                // The stop first: what is not begun is not begun any more.
                biased;
                () = stop.cancelled() => None,
                permit = Arc::clone(&self.making).acquire_owned() => permit.ok(),
            };
            let permit = permit.ok_or_else(stopping)?;
            let work = work();
            let made = spawn_blocking(move || {
                let done = work();
                // Not before: dropping the future does not stop this thread.
                drop(permit);
                done
            });
            let made = made.await.unwrap_or_else(|_panic| {
                tracing::error!("making a thumbnail panicked");
                Ok(Thumbnail::None)
            })?;
            self.kept().weigh(&key, made.bytes());
            Ok(made)
        });
        made.await.cloned()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stopping() -> MatrixError {
    MatrixError::new(Code::Unknown, "footbridge is stopping")
        .with_status(StatusCode::SERVICE_UNAVAILABLE)
}

impl Kept {
    /// The place of a thumbnail, made or not.
    fn cell(&mut self, key: &Key) -> Cell {
        self.asked += 1;
        let entry = self.entries.entry(key.clone()).or_insert_with(|| Entry {
            cell: Cell::default(),
            bytes: 0,
            asked: 0,
        });
        entry.asked = self.asked;
        let cell = Arc::clone(&entry.cell);
        self.shrink();
        cell
    }

    /// Notes what a thumbnail weighs that was made.
    fn weigh(&mut self, key: &Key, bytes: usize) {
        if let Some(entry) = self.entries.get_mut(key) {
            self.bytes = self.bytes - entry.bytes + bytes;
            entry.bytes = bytes;
        }
        self.shrink();
    }

    /// Lets go of what nobody asked for longest.
    fn shrink(&mut self) {
        while self.bytes > THUMBNAIL_CACHE_BYTES || self.entries.len() > THUMBNAIL_CACHE_ENTRIES {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.asked);
            let Some(key) = oldest.map(|(key, _)| key.clone()) else {
                return;
            };
            if let Some(entry) = self.entries.remove(&key) {
                self.bytes -= entry.bytes;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::sync::atomic::Ordering;

    use super::*;

    fn picture(bytes: usize) -> Thumbnail {
        Thumbnail::Picture {
            bytes: vec![0; bytes].into(),
            mime: "image/png",
        }
    }

    /// Asks for the thumbnail of a file, which is of so many bytes and counted when it is made.
    async fn ask(thumbnails: &Thumbnails, id: &str, bytes: usize, made: &Arc<AtomicUsize>) {
        let (size, stop) = (Size::snapped(1, 1, true), CancellationToken::new());
        let made = Arc::clone(made);
        let work = || {
            move || {
                made.fetch_add(1, Ordering::Relaxed);
                Ok(picture(bytes))
            }
        };
        thumbnails.of(id, size, &stop, work).await.unwrap();
    }

    #[tokio::test]
    async fn what_several_ask_for_is_made_once() {
        let (thumbnails, made) = (Thumbnails::default(), Arc::default());

        tokio::join!(
            ask(&thumbnails, "a", 1, &made),
            ask(&thumbnails, "a", 1, &made),
            ask(&thumbnails, "b", 1, &made),
        );
        ask(&thumbnails, "a", 1, &made).await;

        assert_eq!(made.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn what_nobody_asked_for_longest_makes_room() {
        let (thumbnails, made) = (Thumbnails::default(), Arc::default());
        let third = THUMBNAIL_CACHE_BYTES / 3;

        for id in ["a", "b", "c", "a", "d"] {
            ask(&thumbnails, id, third, &made).await;
        }

        let held = thumbnails.kept();
        let mut ids: Vec<&str> = held.entries.keys().map(|(id, _)| id.as_str()).collect();
        ids.sort_unstable();
        assert_eq!((ids, held.bytes), (vec!["a", "c", "d"], third * 3));
    }

    #[tokio::test]
    async fn an_error_is_not_kept() {
        let (thumbnails, made) = (Thumbnails::default(), Arc::default());
        let (size, stop) = (Size::snapped(1, 1, true), CancellationToken::new());

        let failed = thumbnails
            .of("a", size, &stop, || || Err(MatrixError::not_found("gone")))
            .await;
        ask(&thumbnails, "a", 1, &made).await;

        assert_eq!(failed.unwrap_err().code(), Code::NotFound);
        assert_eq!(made.load(Ordering::Relaxed), 1);
    }
}
