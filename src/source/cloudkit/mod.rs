//! Messages in iCloud over the wire: zones, their feeds, records by name, and files. It reads; it never makes or writes a
//! zone. Nothing is opened here that is sealed with a key, except the pieces of files: records go on as they came.
//!
//! [`Cloud`] is what a sync needs of it, [`Client`] is that over HTTP.
//!
//! | file | what |
//! |---|---|
//! | `client` | the calls |
//! | `exchange` | one request with its operations, and the answers sorted to them |
//! | `header` | what every request says of who asks |
//! | `anisette` | the headers that identify the machine |
//! | `gateway` | which iCloud is asked |
//! | `file`, `download` | files, fetched and verified piece by piece |
//! | `error` | what can be wrong with a call, and what to do about it |
//!
//! Source: facts of CloudKit, 1, 2 and 5.

mod anisette;
mod client;
mod download;
mod error;
mod exchange;
mod file;
mod gateway;
mod header;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::base::ids::ChangeToken;
use crate::base::ids::RecordName;
use crate::base::ids::ZoneName;
use crate::codec::cloudkit::Record;
use crate::codec::cloudkit::Zone;

pub use anisette::AnisetteError;
pub use client::Client;
pub use download::FileDownload;
pub use error::CloudError;
pub use error::Reaction;
pub use error::SetupError;
pub use file::Download;
pub use file::DownloadError;
pub use file::DownloadReaction;
pub use file::FileRequest;
pub use file::Instructions;
pub use gateway::Gateway;
pub use gateway::GatewayError;

/// Asks for the changes of a zone after a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangesRequest {
    /// The zone.
    pub zone: ZoneName,
    /// The position; `None` for the beginning.
    pub token: Option<ChangeToken>,
    /// Whether the newest come first. The tokens of the two orders are not to be mixed.
    pub newest_first: bool,
}

/// A page of a zone's feed.
#[derive(Clone, PartialEq)]
pub struct ChangesPage {
    /// The changes as they came, each for `codec::cloudkit::RecordChange::read`: one that is broken does not spoil the
    /// others.
    pub changes: Vec<Bytes>,
    /// The position behind the page; `None` when the server gave none, which never replaces one (SC-12).
    pub token: Option<ChangeToken>,
    /// Whether the feed ends here (status 3); every other page is followed by another, even an empty one.
    pub is_last: bool,
}

/// Changes hold what people wrote: logs show how many there are.
impl fmt::Debug for ChangesPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChangesPage")
            .field("changes", &self.changes.len())
            .field("token", &self.token)
            .field("is_last", &self.is_last)
            .finish()
    }
}

/// A zone as the server describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct ZoneAnswer {
    /// The zone with its keys, sealed: `apple::zone::ZoneKeys::open` opens them.
    pub zone: Zone,
    /// The position at the end of its feed.
    pub end: Option<ChangeToken>,
}

/// What goes along with records that are asked for by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assets {
    /// The records alone.
    Leave,
    /// Instructions for the download of their files too.
    Prepare,
}

/// A record that was asked for by name.
#[derive(Clone, PartialEq)]
pub struct FetchedRecord {
    /// The record, sealed; `None` when the server has none of this name.
    pub record: Option<Record>,
    /// Instructions for downloads, by the `bundled_request_id` of the record's assets.
    pub downloads: BTreeMap<String, Instructions>,
}

impl FetchedRecord {
    /// The instructions for the file in a field of the record.
    pub fn instructions(&self, field: &str) -> Option<&Instructions> {
        let mut fields = self.record.as_ref()?.fields.iter();
        let value = fields
            .find(|it| it.name() == field)
            .and_then(|it| it.value.as_ref())?;
        let id = value.asset.as_ref()?.bundled_request_id.as_ref()?;
        self.downloads.get(id)
    }
}

impl fmt::Debug for FetchedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FetchedRecord")
            .field("is_there", &self.record.is_some())
            .field("downloads", &self.downloads.len())
            .finish()
    }
}

/// How much the server says that there is, by record type. How the numbers of one type add up is not known: they are
/// shown and decide nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Record types with their numbers.
    pub counts: BTreeMap<String, Vec<i64>>,
}

/// Messages in iCloud, as a sync sees it.
///
/// A call that asks several things gives one answer for each, in the order of the questions; what is wrong with all of
/// them is the error of the call. Nothing is asked again by itself: [`CloudError::reaction`] says what to do.
///
/// # Cancel safety
/// Every call may be dropped and made again: the server keeps nothing of it.
pub trait Cloud: Send + Sync + 'static {
    /// A file that is being fetched.
    type Download: Download;

    /// The CloudKit user id of the account. It never changes; it is asked once and may be kept.
    ///
    /// # Errors
    /// [`CloudError`].
    fn user_id(&self) -> impl Future<Output = Result<String, CloudError>> + Send;

    /// The zones with their keys.
    ///
    /// # Errors
    /// [`CloudError`]; a zone that does not exist is an error of its own answer with [`Reaction::ZoneGone`].
    fn zones(&self, zones: &[ZoneName]) -> impl Future<Output = Answers<ZoneAnswer>> + Send;

    /// The next page of each zone's feed.
    ///
    /// # Errors
    /// [`CloudError`].
    fn changes(
        &self,
        requests: &[ChangesRequest],
    ) -> impl Future<Output = Answers<ChangesPage>> + Send;

    /// Records of one zone by name.
    ///
    /// # Errors
    /// [`CloudError`].
    fn records(
        &self,
        zone: &ZoneName,
        names: &[RecordName],
        assets: Assets,
    ) -> impl Future<Output = Answers<FetchedRecord>> + Send;

    /// How much the server says that there is.
    ///
    /// # Errors
    /// [`CloudError`].
    fn summary(&self) -> impl Future<Output = Result<Summary, CloudError>> + Send;

    /// Begins to fetch a file. Nothing is sent before the first [`Download::next`].
    fn download(&self, request: FileRequest) -> Self::Download;

    /// How long to wait instead of this. Shorter only at the loopback iCloud, for runs with many faults (D35).
    fn delay(&self, full: Duration) -> Duration {
        full
    }
}

/// One answer for each question, or what is wrong with all of them.
pub type Answers<T> = Result<Vec<Result<T, CloudError>>, CloudError>;
