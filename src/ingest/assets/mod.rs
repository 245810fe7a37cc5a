//! Fetches the files of Messages in iCloud into the store.
//!
//! Files that arrived last are fetched first. What a client asks for is fetched at once, ahead of all others. A file that
//! could not be had is tried three times; one that never will be is abandoned with the reason, and wanted again when its
//! owner says so, imports another session, or its key comes. What is held beyond the limit goes: beginnings of files that did
//! not come, then the files that arrived first, which are wanted again. It can be stopped, or killed, at any time: a file
//! goes on behind the last piece that was stored.
//!
//! | file | what it does |
//! |---|---|
//! | `queue` | which file is next, how many at once, for whom; [`run`] |
//! | `room` | what may be held, and what makes room |
//! | `fetch` | one file: from its pieces to its chunks |
//!
//! What goes wrong, and what follows:
//!
//! | what | follows |
//! |---|---|
//! | iCloud cannot be asked, the session is not accepted | a pause for all; no file is to blame |
//! | a piece is wrong or does not come, no key opens it, the host is busy | an attempt of this file; the next after a while (AT-6) |
//! | the file is gone, forbidden, not what it was; its own key is sealed | abandoned (AT-7, AT-10) |
//!
//! Source: AT-3 to AT-12; D8; design 6.

mod fetch;
mod queue;
mod room;

use std::future;

use tokio::sync::mpsc;
use tokio::sync::oneshot;

use crate::base::ids::RowId;
use crate::base::limits::ATTACHMENTS_AT_ONCE;
use crate::base::limits::MEDIA_FREE_FLOOR;
use crate::base::limits::MEDIA_LIMIT;

pub use queue::Outcome;
pub use queue::retry_all;
pub use queue::run;

/// Wishes that wait to be looked at.
const WISHES: usize = 64;

/// Which files are kept here, of those that can be fetched again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// Only those that somebody asked for, up to the limit.
    None,
    /// Those that arrived last, up to the limit.
    #[default]
    Recent,
    /// All, without a limit.
    All,
}

/// How files are fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Which.
    pub keep: Keep,
    /// Bytes that are held, unless all are kept.
    pub limit_bytes: u64,
    /// Free bytes of the disk below which none are fetched (D8).
    pub free_floor: u64,
    /// How many at once.
    pub at_once: usize,
    /// Whether to end when nothing is left to fetch now, rather than to wait for more.
    pub ends: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            keep: Keep::default(),
            limit_bytes: MEDIA_LIMIT,
            free_floor: MEDIA_FREE_FLOOR,
            at_once: ATTACHMENTS_AT_ONCE,
            ends: false,
        }
    }
}

/// Asks for files that are not held. Clones ask the same queue.
#[derive(Clone, Debug)]
pub struct Wishes(mpsc::Sender<Wish>);

/// What was asked for: the queue's end.
#[derive(Debug)]
pub struct WishList(mpsc::Receiver<Wish>);

/// Somebody waits for a file.
#[derive(Debug)]
struct Wish {
    row: RowId,
    answer: oneshot::Sender<bool>,
}

/// A way to ask for files, and what [`run`] takes to hear of it.
pub fn wishes() -> (Wishes, WishList) {
    let (send, receive) = mpsc::channel(WISHES);
    (Wishes(send), WishList(receive))
}

impl WishList {
    /// Refuses whatever is asked for, without end.
    ///
    /// # Cancel safety
    ///
    /// What is asked for later waits.
    pub async fn refuse(&mut self) {
        while self.0.recv().await.is_some() {}
        future::pending::<()>().await;
    }
}

impl Wishes {
    /// Fetches a file ahead of all others, and says whether it is held now. At once `false` where it cannot be fetched, or
    /// not yet again.
    ///
    /// # Cancel safety
    ///
    /// The file is fetched whether or not anybody still waits for it.
    pub async fn fetch(&self, row: RowId) -> bool {
        let (answer, is_held) = oneshot::channel();
        if self.0.send(Wish { row, answer }).await.is_err() {
            return false;
        }
        is_held.await.unwrap_or(false)
    }
}
