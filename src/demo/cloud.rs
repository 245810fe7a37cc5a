//! What stands behind a loopback iCloud: the invented account, or in tests the pages that another implementation made.

use bytes::Bytes;

use std::net::SocketAddr;

use crate::codec::cloudkit::AssetGetResponse;
use crate::codec::cloudkit::QueryRetrieveRequest;
use crate::codec::cloudkit::QueryRetrieveResponse;
use crate::codec::cloudkit::RecordRetrieveRequest;
use crate::codec::cloudkit::RecordRetrieveResponse;
use crate::codec::cloudkit::RetrieveChangesRequest;
use crate::codec::cloudkit::RetrieveChangesResponse;
use crate::codec::cloudkit::RetrieveZoneChangesRequest;
use crate::codec::cloudkit::RetrieveZoneChangesResponse;
use crate::codec::cloudkit::ZoneSummary;

/// An answer, and what goes with the assets in it.
pub type WithAssets<T> = (T, Vec<AssetGetResponse>);

/// The content of an iCloud. The server around it does HTTP, framing, checks and faults.
pub trait Cloud: Send + Sync + 'static {
    /// Who may come in.
    fn credentials(&self) -> Credentials;

    /// The keys of a zone.
    ///
    /// # Errors
    /// [`Refusal`], as for the other calls.
    fn zone(&self, name: &str) -> Result<ZoneSummary, Refusal>;

    /// The zones that changed.
    ///
    /// # Errors
    /// [`Refusal`].
    fn zones(
        &self,
        request: &RetrieveZoneChangesRequest,
    ) -> Result<RetrieveZoneChangesResponse, Refusal>;

    /// A page of a zone's feed. `host` is where downloads of assets go.
    ///
    /// # Errors
    /// [`Refusal`].
    fn changes(
        &self,
        request: &RetrieveChangesRequest,
        host: SocketAddr,
    ) -> Result<WithAssets<RetrieveChangesResponse>, Refusal>;

    /// A record by its name.
    ///
    /// # Errors
    /// [`Refusal`].
    fn record(
        &self,
        request: &RecordRetrieveRequest,
        host: SocketAddr,
    ) -> Result<WithAssets<RecordRetrieveResponse>, Refusal>;

    /// Records by their type.
    ///
    /// # Errors
    /// [`Refusal`].
    fn query(&self, request: &QueryRetrieveRequest) -> Result<QueryRetrieveResponse, Refusal>;

    /// What lies in a container of MMCS, by path, query and headers.
    ///
    /// # Errors
    /// The status to answer with.
    fn container(&self, download: &Download<'_>) -> Result<Bytes, u16>;

    /// Forgets the positions of a zone's feed that it has given out.
    fn reset(&self, zone: &str);
}

/// Who may come in.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The account's number.
    pub dsid: String,
    /// The token of the container's initialisation.
    pub mme_auth_token: String,
    /// The token of every other call.
    pub cloudkit_token: String,
    /// The CloudKit user id.
    pub user: String,
    /// Whether the headers of the machine are asked for.
    pub needs_anisette: bool,
}

/// Tokens are secret, invented or not.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(..)")
    }
}

/// A GET of a container.
#[derive(Debug)]
pub struct Download<'a> {
    /// The segments of the path.
    pub path: Vec<&'a str>,
    /// The generation of its address.
    pub generation: Option<&'a str>,
    /// The ticket that the instructions asked to be sent along.
    pub ticket: Option<&'a str>,
}

/// Why an operation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The fault is the client's: its code.
    pub client: Option<i32>,
    /// The fault is the server's: its code.
    pub server: Option<i32>,
    /// When to ask again, seconds.
    pub retry_after: Option<i32>,
}

impl Refusal {
    /// Too many requests.
    pub const THROTTLED: i32 = 6;
    /// The request makes no sense.
    pub const BAD_SYNTAX: i32 = 4;
    /// The token is not accepted.
    pub const BAD_AUTH_TOKEN: i32 = 11;
    /// Somebody has to sign in.
    pub const NEEDS_AUTHENTICATION: i32 = 12;
    /// The position in a feed is not accepted.
    pub const RESET_NEEDED: i32 = 17;
    /// All positions are forgotten.
    pub const FULL_RESET_NEEDED: i32 = 40;
    /// There is no such zone.
    pub const ZONE_NOT_FOUND: i32 = 48;
    /// The owner removed what was in the zone.
    pub const USER_DELETED_DATA: i32 = 59;
    /// The server is overloaded.
    pub const OVERLOADED: i32 = 2;
    /// There is no such record.
    pub const NOT_FOUND: i32 = 3;
    /// The zone is busy.
    pub const ZONE_BUSY: i32 = 7;

    /// By a code of the client's.
    pub const fn client(code: i32) -> Self {
        Self {
            client: Some(code),
            server: None,
            retry_after: None,
        }
    }

    /// By a code of the server's.
    pub const fn server(code: i32) -> Self {
        Self {
            client: None,
            server: Some(code),
            retry_after: None,
        }
    }

    /// The same with a time to wait, in seconds.
    #[must_use]
    pub const fn after(self, seconds: Option<i32>) -> Self {
        Self {
            retry_after: seconds,
            ..self
        }
    }
}
