//! What every request says of who asks: the headers of HTTP, and the header inside the body.
//!
//! Source: facts of CloudKit, 1.1, 1.3 and 1.5.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::Digest;
use sha2::Sha256;

use crate::apple::session::Device;
use crate::apple::session::Session;
use crate::base::ids::Guid;
use crate::base::secret::Secret;
use crate::codec::cloudkit::Header;
use crate::codec::cloudkit::Identifier;
use crate::codec::cloudkit::Locale;
use crate::codec::cloudkit::MmcsHeaders;
use crate::codec::cloudkit::NamedHeader;
use crate::codec::cloudkit::OperationKind;
use crate::net::HeaderMap;
use crate::net::HeaderName;
use crate::net::HeaderValue;
use crate::source::cloudkit::SetupError;

const CONTAINER: &str = "com.apple.messages.cloud";
const BUNDLE: &str = "com.apple.imagent";
const LIBRARY: &str = "com.apple.cloudkit.CloudKitDaemon";
const LIBRARY_VERSION: &str = "1970";
const MMCS_VERSION: &str = "5.0";
const CLIENT_INFO: &str = "x-mme-client-info";

/// What the program calls itself, to CloudKit and to the hosts of files.
pub(crate) const USER_AGENT: &str = "CloudKit/1970 (19H384)";

/// Names one request.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-apple-request-uuid");

/// Where a kind of operation is asked.
pub(crate) const fn path(kind: OperationKind) -> &'static str {
    match kind {
        OperationKind::ZoneRetrieve => "/ckdatabase/api/client/zone/retrieve",
        OperationKind::RecordRetrieve => "/ckdatabase/api/client/record/retrieve",
        OperationKind::RetrieveChanges => "/ckdatabase/api/client/record/sync",
        OperationKind::QueryRetrieve => "/ckdatabase/api/client/query/retrieve",
    }
}

/// Where the user id is asked.
pub(crate) const INIT_PATH: &str =
    "/setup/setup/ck/v1/ckAppInit?container=com.apple.messages.cloud";

/// Headers that stay the same, and what differs by the kind of request.
pub(crate) struct Speaker {
    headers: HeaderMap,
    authorization: HeaderValue,
    token: HeaderValue,
    device: Device,
    client_info: String,
    ids: Ids,
}

impl Speaker {
    /// Of an account on a device.
    ///
    /// # Errors
    /// [`SetupError`] when the session holds what no header can.
    pub(crate) fn new(session: &Session, device: Device) -> Result<Self, SetupError> {
        let client_info = format!(
            "<{}> <macOS;{};{}> <{LIBRARY}/1970 (com.apple.cloudd/1970)>",
            device.model, device.os_version, device.os_build
        );
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("accept", "application/x-protobuf"),
            ("accept-encoding", "gzip"),
            ("accept-language", "en-US,en;q=0.9"),
            ("cache-control", "no-transform"),
            ("content-encoding", "gzip"),
            (
                "content-type",
                "application/x-protobuf; desc=\"https://gateway.icloud.com:443/static/protobuf/CloudDB/CloudDBClient.desc\"; \
                 messageType=RequestOperation; delimited=true",
            ),
            ("user-agent", USER_AGENT),
            ("x-apple-c2-metric-triggers", "0"),
            ("x-cloudkit-bundleid", BUNDLE),
            ("x-cloudkit-containerid", CONTAINER),
            ("x-cloudkit-databasescope", "Private"),
            ("x-cloudkit-duetpreclearedmode", "None"),
            ("x-cloudkit-environment", "Production"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        headers.insert(CLIENT_INFO, value(&client_info, "device")?);
        let credentials = Secret::new(format!(
            "{}:{}",
            session.dsid,
            session.mme_auth_token.expose()
        ));
        let basic = Secret::new(format!(
            "Basic {}",
            BASE64_STANDARD.encode(credentials.expose())
        ));
        Ok(Self {
            headers,
            authorization: secret(basic.expose(), "mme_auth_token")?,
            token: secret(session.cloudkit_token.expose(), "cloudkit_token")?,
            device,
            client_info,
            ids: Ids::new()?,
        })
    }

    pub(crate) const fn device(&self) -> &Device {
        &self.device
    }

    /// The headers of the request for the user id.
    pub(crate) fn init_headers(&self, anisette: HeaderMap) -> HeaderMap {
        let mut headers = self.headers(anisette);
        headers.insert("authorization", self.authorization.clone());
        headers
    }

    /// The headers of every other request, as this user.
    pub(crate) fn database_headers(&self, anisette: HeaderMap, user: &HeaderValue) -> HeaderMap {
        let mut headers = self.headers(anisette);
        headers.insert("x-cloudkit-userid", user.clone());
        headers.insert("x-cloudkit-authtoken", self.token.clone());
        headers
    }

    fn headers(&self, anisette: HeaderMap) -> HeaderMap {
        let mut headers = self.headers.clone();
        headers.insert("x-apple-operation-group-id", self.digits());
        headers.insert("x-apple-operation-id", self.digits());
        headers.insert(REQUEST_ID, self.uuid_header());
        // They may name another device than ours (1.3).
        headers.extend(anisette);
        headers
    }

    /// A new UUID, upper case.
    pub(crate) fn uuid(&self) -> String {
        self.ids.uuid()
    }

    /// A new UUID as a header.
    pub(crate) fn uuid_header(&self) -> HeaderValue {
        ascii(&self.uuid())
    }

    fn digits(&self) -> HeaderValue {
        let digits = self.uuid().replace('-', "");
        ascii(digits.get(..16).unwrap_or_default())
    }

    /// The header in the first operation of a request.
    pub(crate) fn header(&self, kind: OperationKind) -> Header {
        let text = |text: &str| Some(text.to_owned());
        let has_assets = kind != OperationKind::ZoneRetrieve;
        let is_query = kind == OperationKind::QueryRetrieve;
        let is_grouped = matches!(
            kind,
            OperationKind::RetrieveChanges | OperationKind::QueryRetrieve
        );
        let flow = match kind {
            OperationKind::ZoneRetrieve => "CKDFetchRecordZonesOperation-Private",
            OperationKind::RecordRetrieve => "CKDFetchRecordsOperation-Private",
            OperationKind::RetrieveChanges => "CKDFetchRecordZoneChangesOperation-Private",
            OperationKind::QueryRetrieve => "CKDQueryOperation-Private",
        };
        // Records of a batch fail one by one; other operations are of one zone each.
        let isolation = if kind == OperationKind::RecordRetrieve {
            2
        } else {
            1
        };
        Header {
            container: text(CONTAINER),
            bundle: text(BUNDLE),
            device: Some(Identifier::new(&self.device.uuid, Identifier::DEVICE)),
            software_version: text(&self.device.os_version),
            hardware_version: text(&self.device.model),
            library: text(LIBRARY),
            library_version: text(LIBRARY_VERSION),
            flow_key: text(flow),
            flow_budget: Some(0),
            flow_cap: Some(0),
            flow_regeneration: Some(0.0),
            locale: is_query.then(|| Locale {
                language: text("en"),
                region: text("US"),
            }),
            mmcs_version: text(MMCS_VERSION),
            environment: Some(1),
            device_name: text(&self.device.name),
            hardware_id: text(&self.device.udid),
            database: Some(1),
            isolation: Some(isolation),
            group: is_grouped.then(|| "EphemeralGroup".to_owned()),
            unknown_29: Some(0),
            mmcs_headers: has_assets.then(|| self.mmcs_headers()),
            tags: if is_query { Vec::new() } else { tags() },
            device_digest: Some(self.device.digest()),
            serial: text(&self.device.serial),
            unknown_34: Some(0),
            unknown_35: Some(1),
        }
    }

    fn mmcs_headers(&self) -> MmcsHeaders {
        let header = |(name, value): (&str, &str)| NamedHeader {
            name: Some(name.to_owned()),
            value: Some(value.to_owned()),
        };
        let headers = [
            ("x-apple-mmcs-proto-version", MMCS_VERSION),
            (
                "x-apple-mmcs-plist-sha256",
                "fvj0Y/Ybu1pq0r4NxXw3eP51exujUkEAd7LllbkTdK8=",
            ),
            ("x-apple-mmcs-plist-version", "v1.0"),
            (CLIENT_INFO, &self.client_info),
        ];
        MmcsHeaders {
            headers: headers.map(header).into(),
            unknown_2: Some(0),
        }
    }
}

/// Names that Apple's own client sends; what they do is not known.
fn tags() -> Vec<String> {
    let stages = [("Dev", 5), ("Test", 2)];
    let blocks = ["Query", "Sync"].into_iter().flat_map(|block| {
        let stages = stages.into_iter();
        stages.flat_map(move |(stage, count)| (1..=count).map(move |n| (block, stage, n)))
    });
    blocks
        .map(|(block, stage, n)| format!("MisDenyList{block}Block{stage}{n}"))
        .collect()
}

/// Text of a session as a header.
pub(crate) fn value(text: &str, member: &'static str) -> Result<HeaderValue, SetupError> {
    HeaderValue::from_str(text).map_err(|_invalid| SetupError::Header { member })
}

/// The same, marked as what must not be shown or remembered by HTTP/2's tables.
pub(crate) fn secret(text: &str, member: &'static str) -> Result<HeaderValue, SetupError> {
    let mut value = value(text, member)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Digits and dashes as a header.
fn ascii(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_never| HeaderValue::from_static("0"))
}

/// Ids that nobody else has and that say nothing: of a random seed and a counter.
struct Ids {
    seed: [u8; 32],
    next: AtomicU64,
}

impl Ids {
    fn new() -> Result<Self, SetupError> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|_error| SetupError::Random)?;
        Ok(Self {
            seed,
            next: AtomicU64::new(0),
        })
    }

    fn uuid(&self) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let hash = Sha256::new_with_prefix(self.seed).chain_update(number.to_be_bytes());
        let mut bytes = [0; 16];
        bytes
            .iter_mut()
            .zip(hash.finalize())
            .for_each(|(to, from)| *to = from);
        Guid::random(bytes).to_string()
    }
}
