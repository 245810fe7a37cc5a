//! A file, fetched from its containers and verified chunk by chunk while it arrives, in the order of the file.
//!
//! Chunks of one file can lie in several containers and in any order. The container of the chunk that is next is read
//! until that chunk is out; what arrives before it is its turn waits in memory, up to a limit. Containers are read as fast
//! as the chunks are taken, and a container is left as soon as nothing of it is needed any more.
//!
//! Source: facts of CloudKit, 5; AT-3, AT-10.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::apple::asset::Assembler;
use crate::apple::asset::AssetError;
use crate::apple::asset::FileHash;
use crate::apple::asset::PlainChunk;
use crate::apple::asset::Signed;
use crate::base::limits;
use crate::codec::mmcs::AuthorizeGet;
use crate::codec::mmcs::HttpRequest;
use crate::codec::mmcs::Plan;
use crate::codec::mmcs::PlanError;
use crate::net::HeaderMap;
use crate::net::HeaderName;
use crate::net::HeaderValue;
use crate::net::Method;
use crate::net::Uri;
use crate::net::client::Client as HttpClient;
use crate::net::client::ClientRequest;
use crate::net::client::ClientResponse;
use crate::net::header;
use crate::source::cloudkit::Assets;
use crate::source::cloudkit::Client;
use crate::source::cloudkit::Cloud;
use crate::source::cloudkit::CloudError;
use crate::source::cloudkit::Download;
use crate::source::cloudkit::DownloadError;
use crate::source::cloudkit::FileRequest;
use crate::source::cloudkit::Gateway;
use crate::source::cloudkit::Instructions;
use crate::source::cloudkit::exchange::retry_after;
use crate::source::cloudkit::header::REQUEST_ID;
use crate::source::cloudkit::header::USER_AGENT;

/// The first byte of a signature that can be checked without a key.
const SIGNATURE_SHA1: u8 = 0x01;

/// The server's code for a record that is not there.
const NOT_FOUND: i32 = 3;

/// A file that is being fetched over HTTP.
pub struct FileDownload {
    client: Client,
    request: FileRequest,
    /// Whether it was asked where the pieces are since the last chunk came out; then it is not asked again.
    has_asked: bool,
    /// What is known of the file's pieces; `None` before that, and at the end.
    work: Option<Work>,
    /// Of the whole file, if it can be checked and is fetched from its beginning.
    hash: Option<FileHash>,
    is_over: bool,
}

/// What is private stays out of logs.
impl fmt::Debug for FileDownload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileDownload")
            .field("record", &self.request.record)
            .field("held", &self.request.held.len())
            .finish_non_exhaustive()
    }
}

/// The pieces of a file and how far they are.
struct Work {
    assembler: Assembler,
    /// The container of each chunk, in the order of the file.
    containers: Vec<usize>,
    /// The container with the keys, read first.
    keys: Option<usize>,
    requests: Vec<Option<HttpRequest>>,
    /// Containers that are being read.
    open: BTreeMap<usize, ClientResponse>,
    /// Chunks that came before their turn.
    waiting: BTreeMap<usize, Bytes>,
}

impl FileDownload {
    pub(crate) fn new(client: Client, request: FileRequest) -> Self {
        let signature = &request.asset.signature;
        let can_check = signature.first() == Some(&SIGNATURE_SHA1) && request.held.is_empty();
        Self {
            hash: can_check.then(|| FileHash::new(signature)),
            client,
            request,
            has_asked: false,
            work: None,
            is_over: false,
        }
    }

    /// Goes on until the next chunk is out. `None` at the end of the file.
    async fn advance(&mut self) -> Result<Option<Bytes>, DownloadError> {
        loop {
            if self.work.is_none() {
                self.begin().await?;
            }
            match self.step().await {
                // The address was good for some hours only, or the instructions are those of another time.
                Err(DownloadError::Status {
                    status: 401 | 403 | 404 | 410,
                    ..
                }) if !self.has_asked => {
                    self.work = None;
                }
                Ok(Step::More) => {}
                Ok(Step::Chunk(bytes)) => {
                    self.has_asked = false;
                    return Ok(Some(bytes));
                }
                Ok(Step::End) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    /// Finds out where the pieces are.
    async fn begin(&mut self) -> Result<(), DownloadError> {
        // Those that came along may be stale, so that it is asked what is wrong with them.
        let given = self.request.instructions.take();
        if let Some(work) = given.and_then(|given| self.plan(&given).ok()) {
            self.work = Some(work);
            return Ok(());
        }
        let instructions = self.ask().await?;
        self.has_asked = true;
        self.work = Some(self.plan(&instructions)?);
        Ok(())
    }

    /// Asks for the record once more, with instructions for its files.
    async fn ask(&self) -> Result<Instructions, DownloadError> {
        let FileRequest {
            zone,
            record,
            field,
            asset,
            ..
        } = &self.request;
        let names = std::slice::from_ref(record);
        let answers = self.client.records(zone, names, Assets::Prepare).await;
        let answer = answers.map_err(DownloadError::Ask)?.pop();
        let fetched = match answer.unwrap_or(Err(CloudError::Unanswered)) {
            Ok(fetched) => fetched,
            Err(CloudError::Refused {
                server: Some(NOT_FOUND),
                ..
            }) => return Err(DownloadError::Gone),
            Err(error) => return Err(DownloadError::Ask(error)),
        };
        let fields = fetched.record.iter().flat_map(|record| &record.fields);
        let mut files = fields.filter(|it| it.name() == field);
        let value = files.find_map(|field| field.value.as_ref()?.asset.as_ref());
        let signature = value.and_then(|asset| asset.signature.as_deref());
        if signature != Some(&asset.signature) {
            return Err(DownloadError::Gone);
        }
        let instructions = fetched.instructions(field).cloned();
        instructions.ok_or(DownloadError::Plan(PlanError::NoFile))
    }

    fn plan(&self, instructions: &Instructions) -> Result<Work, DownloadError> {
        let answer = instructions.read()?;
        let plan = answer.plan(&self.request.asset.signature)?;
        if self.request.held.len() > plan.references.len() {
            // What is held is of another file.
            return Err(DownloadError::Gone);
        }
        Ok(Work::new(answer, plan, &self.request))
    }

    /// One piece of work.
    async fn step(&mut self) -> Result<Step, DownloadError> {
        let Some(work) = &mut self.work else {
            return Ok(Step::More);
        };
        let next = self.request.held.len();
        if let Some(bytes) = work.waiting.remove(&next) {
            self.request.held.push(bytes.len());
            return Ok(Step::Chunk(bytes));
        }
        let Some(container) = work.needed(next)? else {
            return Ok(Step::End);
        };
        let gateway = &self.client.exchange.gateway;
        let wait = gateway.delay(limits::ATTACHMENT_DOWNLOAD_TIMEOUT);
        if !work.open.contains_key(&container) {
            let request = work.requests.get(container).and_then(Option::as_ref);
            let request = request.ok_or(DownloadError::Plan(PlanError::NoPiece))?;
            let mut request = get(request, gateway)?;
            let id = self.client.exchange.speaker.uuid_header();
            request.headers.insert(REQUEST_ID, id);
            let answer = open(&self.client.files, request, wait).await?;
            work.assembler.restart(container);
            work.open.insert(container, answer);
        }
        work.read(container, wait).await?;
        Ok(Step::More)
    }

    /// Compares the whole file with what it should be.
    fn finish(&mut self) -> Result<(), DownloadError> {
        let asset = &self.request.asset;
        if let Some(work) = self.work.take() {
            // A record can say 0 for a file that is not empty.
            work.assembler.finish(asset.size.filter(|size| *size > 0))?;
        }
        let hash = self.hash.take();
        let signed = hash.map(|hash| hash.finish(&asset.signature, None));
        if signed == Some(Signed::Differs) {
            return Err(DownloadError::Signature);
        }
        Ok(())
    }
}

/// What came of one piece of work.
enum Step {
    More,
    Chunk(Bytes),
    End,
}

impl Download for FileDownload {
    async fn next(&mut self) -> Result<Option<PlainChunk>, DownloadError> {
        if self.is_over {
            return Ok(None);
        }
        let index = self.request.held.len();
        match self.advance().await {
            Ok(Some(bytes)) => {
                if let Some(hash) = &mut self.hash {
                    hash.update(&bytes);
                }
                Ok(Some(PlainChunk { index, bytes }))
            }
            Ok(None) => {
                self.is_over = true;
                self.finish().map(|()| None)
            }
            Err(error) => {
                self.is_over = true;
                self.work = None;
                Err(error)
            }
        }
    }
}

impl Work {
    fn new(answer: AuthorizeGet, plan: Plan, request: &FileRequest) -> Self {
        let container = |piece: &usize| plan.pieces.get(*piece).map(|piece| piece.container);
        let containers = plan.references.iter().filter_map(container).collect();
        let keys = plan.key_blob.as_ref().and_then(container);
        let payload = answer.payload.unwrap_or_default();
        let mut assembler = Assembler::new(plan, request.asset.key.as_ref(), &request.keys);
        for (index, length) in request.held.iter().enumerate() {
            assembler.skip(index, *length);
        }
        Self {
            assembler,
            containers,
            keys,
            requests: payload
                .containers
                .into_iter()
                .map(|it| it.request)
                .collect(),
            open: BTreeMap::new(),
            waiting: BTreeMap::new(),
        }
    }

    /// The container to read on for a chunk; `None` behind the last one.
    fn needed(&self, chunk: usize) -> Result<Option<usize>, AssetError> {
        let Some(container) = self.containers.get(chunk).copied() else {
            return Ok(None);
        };
        let missing = self.assembler.containers();
        let keys = self.keys.filter(|keys| missing.contains(keys));
        let needed = keys.unwrap_or(container);
        // Nothing of it is missing, and yet the chunk did not come out: reading it again would not help.
        if !missing.contains(&needed) {
            return Err(AssetError::Incomplete);
        }
        Ok(Some(needed))
    }

    /// Takes the next bytes of a container.
    async fn read(&mut self, container: usize, wait: Duration) -> Result<(), DownloadError> {
        let Some(answer) = self.open.get_mut(&container) else {
            return Ok(());
        };
        let Some(bytes) = answer.chunk(wait).await? else {
            // It would have been left with its last piece.
            return Err(AssetError::Short { container }.into());
        };
        for chunk in self.assembler.push(container, &bytes)? {
            self.waiting.insert(chunk.index, chunk.bytes);
        }
        if !self.assembler.containers().contains(&container) {
            self.open.remove(&container);
        }
        let waiting = self.waiting.values().skip(1).map(Bytes::len);
        let waiting = waiting.fold(self.assembler.waiting_bytes(), usize::saturating_add);
        let limit = limits::ASSET_WAITING_BYTES;
        if waiting > limit {
            return Err(DownloadError::Scattered { limit });
        }
        Ok(())
    }
}

/// Begins to fetch a container.
async fn open(
    http: &HttpClient,
    request: ClientRequest,
    wait: Duration,
) -> Result<ClientResponse, DownloadError> {
    let answer = http.send(request, wait).await?;
    if answer.status.as_u16() != 200 {
        return Err(DownloadError::Status {
            status: answer.status.as_u16(),
            after: retry_after(&answer),
        });
    }
    Ok(answer)
}

/// The request for a container, as the instructions have it.
fn get(request: &HttpRequest, gateway: &Gateway) -> Result<ClientRequest, DownloadError> {
    let HttpRequest {
        domain,
        port,
        path,
        scheme,
        ..
    } = request;
    let is_get = request.method.is_empty() || request.method.eq_ignore_ascii_case("GET");
    // The host ends where the path begins, and nowhere else.
    let is_host = domain
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']'));
    let port = match port {
        0 => String::new(),
        port => format!(":{port}"),
    };
    let url = format!("{scheme}://{domain}{port}{path}").parse::<Uri>();
    let url = url.ok().filter(|url| gateway.admits(url));
    let url = url.filter(|_| is_get && is_host && path.starts_with('/'));
    let url = url.ok_or(DownloadError::Address)?;
    let mut headers = HeaderMap::new();
    headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    for named in &request.headers {
        let (name, value) = (named.name.as_deref(), named.value.as_deref());
        let (name, value) = (name.unwrap_or_default(), value.unwrap_or_default());
        let name = HeaderName::from_bytes(name.as_bytes());
        let value = HeaderValue::from_str(value);
        let (Ok(name), Ok(value)) = (name, value) else {
            return Err(DownloadError::Address);
        };
        if !OURS.contains(&name) {
            headers.insert(name, value);
        }
    }
    Ok(ClientRequest {
        method: Method::GET,
        url,
        headers,
        body: Bytes::new(),
    })
}

/// Headers that belong to the connection.
const OURS: [HeaderName; 4] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::CONNECTION,
    header::TRANSFER_ENCODING,
];
