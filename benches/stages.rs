//! What each stage takes for the same recorded pages, one after the other on one thread.
//!
//! The store has no stage of its own: it is what a whole sync of the pages takes, from memory into a file, without the
//! stages before it. It holds the commits, and the hand-over between threads.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::hint::black_box;
use std::io::Read;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use bytes::Bytes;
use footbridge::apple::asset::PlainChunk;
use footbridge::apple::protection;
use footbridge::apple::session::Keychain;
use footbridge::apple::session::Session;
use footbridge::apple::zone::ZoneKeys;
use footbridge::base::ids::ChangeToken;
use footbridge::base::ids::RecordName;
use footbridge::base::ids::ZoneName;
use footbridge::base::limits::CLOUDKIT_BODY_BYTES;
use footbridge::base::secret::Secret;
use footbridge::base::time::Clock;
use footbridge::base::time::SystemClock;
use footbridge::codec::cloudkit::Inflater;
use footbridge::codec::cloudkit::Record;
use footbridge::codec::cloudkit::RecordChange;
use footbridge::codec::cloudkit::ResponseOperation;
use footbridge::codec::cloudkit::Zone;
use footbridge::codec::cloudkit::frames;
use footbridge::decode::cloudkit;
use footbridge::decode::cloudkit::Decoder;
use footbridge::ingest::cloudkit::Connect;
use footbridge::ingest::cloudkit::Options;
use footbridge::ingest::cloudkit::Sync;
use footbridge::model::change::CloudChange;
use footbridge::model::record::CloudZone;
use footbridge::source::cloudkit::Answers;
use footbridge::source::cloudkit::Assets;
use footbridge::source::cloudkit::ChangesPage;
use footbridge::source::cloudkit::ChangesRequest;
use footbridge::source::cloudkit::Cloud;
use footbridge::source::cloudkit::CloudError;
use footbridge::source::cloudkit::Download;
use footbridge::source::cloudkit::DownloadError;
use footbridge::source::cloudkit::FetchedRecord;
use footbridge::source::cloudkit::FileRequest;
use footbridge::source::cloudkit::Reaction;
use footbridge::source::cloudkit::SetupError;
use footbridge::source::cloudkit::Summary;
use footbridge::source::cloudkit::ZoneAnswer;
use footbridge::store::Absent;
use footbridge::store::Preparer;
use footbridge::store::Store;
use footbridge::store::StoreError;
use footbridge::store::value::CloudAccount;
use rustls::ClientConfig;
use rustls::ClientConnection;
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::ServerConnection;
use rustls::crypto::ring;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::ServerName;
use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;

use crate::Trouble;
use crate::recording::RecordedZone;
use crate::recording::Recording;

const HOST: &str = "localhost";

/// Rounds of every stage; the fastest counts.
const ROUNDS: usize = 3;

/// What each stage took.
pub(crate) struct Stages {
    records: u64,
    packed_bytes: u64,
    plain_bytes: u64,
    /// Records that have keys of their own.
    own_keys: u64,
    tls: Duration,
    inflate: Duration,
    protobuf: Duration,
    unwrap: Duration,
    gcm: Duration,
    decode: Duration,
    store: Duration,
}

impl Stages {
    /// Measures all of them. The store writes in `folder`.
    pub(crate) fn measure(recording: &Recording, folder: &Path) -> Result<Self, Trouble> {
        eprintln!("stages ...");
        let session = Session::decode(&recording.session)?;
        let keychain = Keychain::read(&session.items);
        let bodies = || recording.zones.iter().flat_map(|zone| &zone.bodies);
        let mut tls = Duration::MAX;
        for _ in 0..ROUNDS {
            let sealed = Sealed::of(bodies())?;
            let lap = Lap::begin();
            sealed.open()?;
            tls = tls.min(lap.end());
        }
        let mut plain_bytes = 0;
        let inflate = fastest(|| {
            plain_bytes = 0;
            let mut inflater = Inflater::default();
            for body in bodies() {
                plain_bytes += inflater
                    .inflate(black_box(body), CLOUDKIT_BODY_BYTES)?
                    .len() as u64;
            }
            Ok(())
        })?;
        let feeds = recording
            .zones
            .iter()
            .map(Feed::of)
            .collect::<Result<Vec<_>, _>>()?;
        let protobuf = fastest(|| {
            for plain in feeds.iter().flat_map(|feed| &feed.plain) {
                for change in changes(plain)?.changes {
                    drop(black_box(RecordChange::read(change)));
                }
            }
            Ok(())
        })?;
        let mut parts = [Duration::MAX; 3];
        let mut own_keys = 0;
        for _ in 0..ROUNDS {
            own_keys = 0;
            let mut took = [Duration::ZERO; 3];
            for feed in &feeds {
                own_keys += feed.open(&keychain, &mut took)?;
            }
            for (part, took) in parts.iter_mut().zip(took) {
                *part = took.min(*part);
            }
        }
        let [unwrap, gcm, decode] = parts;
        let records = feeds.iter().map(|feed| {
            feed.pages
                .iter()
                .map(|page| page.changes.len() as u64)
                .sum::<u64>()
        });
        let records = records.sum();
        let parsed = fastest(|| {
            for change in feeds
                .iter()
                .flat_map(|feed| &feed.pages)
                .flat_map(|page| &page.changes)
            {
                drop(black_box(RecordChange::read(change.clone())));
            }
            Ok(())
        })?;
        let whole = whole(&recording.session, feeds, folder)?;
        Ok(Self {
            records,
            packed_bytes: bodies().map(|body| body.len() as u64).sum(),
            plain_bytes,
            own_keys,
            tls,
            inflate,
            protobuf,
            unwrap,
            gcm,
            decode,
            store: whole.saturating_sub(parsed + unwrap + gcm + decode),
        })
    }

    fn named(&self) -> [(&'static str, Duration); 7] {
        [
            ("TLS", self.tls),
            ("inflate", self.inflate),
            ("protobuf", self.protobuf),
            ("key unwrap", self.unwrap),
            ("AES-GCM", self.gcm),
            ("decode", self.decode),
            ("store", self.store),
        ]
    }

    /// Records a second on one core, all stages one after the other.
    pub(crate) fn rate(&self) -> f64 {
        let all: Duration = self.named().into_iter().map(|(_, took)| took).sum();
        self.records as f64 / all.as_secs_f64()
    }
}

impl fmt::Display for Stages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Duration = self.named().into_iter().map(|(_, took)| took).sum();
        writeln!(f, "| stage | us a record | share |\n|---|--:|--:|")?;
        for (name, took) in self.named() {
            let each = took.as_secs_f64() * 1e6 / self.records as f64;
            let share = took.as_secs_f64() * 100.0 / all.as_secs_f64();
            writeln!(f, "| {name} | {each:.2} | {share:.0} % |")?;
        }
        write!(
            f,
            "\n{} records, {} bytes packed and {} inflated a record, {} with keys of their own.",
            self.records,
            self.packed_bytes / self.records.max(1),
            self.plain_bytes / self.records.max(1),
            self.own_keys,
        )
    }
}

/// The time of this thread's work, the fastest of some rounds.
fn fastest(mut work: impl FnMut() -> Result<(), Trouble>) -> Result<Duration, Trouble> {
    let mut fastest = Duration::MAX;
    for _ in 0..ROUNDS {
        let begin = Lap::begin();
        work()?;
        fastest = fastest.min(begin.end());
    }
    Ok(fastest)
}

/// A stretch of this thread's work: its time on a processor where the system tells, else by the clock.
struct Lap {
    on_cpu: Option<Duration>,
    clock: Instant,
}

impl Lap {
    fn begin() -> Self {
        Self {
            on_cpu: on_cpu("/proc/thread-self/schedstat"),
            clock: Instant::now(),
        }
    }

    fn end(self) -> Duration {
        let now = on_cpu("/proc/thread-self/schedstat");
        match (self.on_cpu, now) {
            (Some(begin), Some(now)) => now.saturating_sub(begin),
            _ => self.clock.elapsed(),
        }
    }
}

fn on_cpu(file: &str) -> Option<Duration> {
    let text = fs::read_to_string(file).ok()?;
    let nanos = text.split_whitespace().next()?;
    nanos.parse().ok().map(Duration::from_nanos)
}

/// CPU time of this process so far, threads that ended included; the clock where the system does not tell.
fn process_cpu(clock: Instant) -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks: Vec<u64> = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|text| text.parse().ok())
        .collect();
    if ticks.is_empty() {
        return clock.elapsed();
    }
    // Linux counts hundredths of a second here on every machine.
    Duration::from_millis(ticks.iter().sum::<u64>() * 10)
}

/// A connection on which a server has sent everything, and what it sent: one piece for each body.
struct Sealed {
    client: ClientConnection,
    pieces: Vec<Vec<u8>>,
}

impl Sealed {
    fn of<'b>(bodies: impl Iterator<Item = &'b Bytes>) -> Result<Self, Trouble> {
        let made = rcgen::generate_simple_self_signed([HOST.to_owned()])?;
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
        let provider = Arc::new(ring::default_provider());
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)?;
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone())?;
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut server = ServerConnection::new(Arc::new(server))?;
        let mut client = ClientConnection::new(Arc::new(client), ServerName::try_from(HOST)?)?;
        server.set_buffer_limit(None);
        while client.is_handshaking() || server.is_handshaking() {
            let (mut there, mut back) = (Vec::new(), Vec::new());
            client.write_tls(&mut there)?;
            read_all(&there, |rest| server.read_tls(rest))?;
            server.process_new_packets()?;
            server.write_tls(&mut back)?;
            read_all(&back, |rest| client.read_tls(rest))?;
            client.process_new_packets()?;
        }
        let mut pieces = Vec::new();
        for body in bodies {
            server.writer().write_all(body)?;
            let mut piece = Vec::new();
            while server.wants_write() {
                server.write_tls(&mut piece)?;
            }
            pieces.push(piece);
        }
        Ok(Self { client, pieces })
    }

    fn open(mut self) -> Result<(), Trouble> {
        let mut plain = Vec::new();
        for piece in &self.pieces {
            plain.clear();
            let mut rest = piece.as_slice();
            while !rest.is_empty() {
                self.client.read_tls(&mut rest)?;
                let state = self.client.process_new_packets()?;
                let before = plain.len();
                plain.resize(before + state.plaintext_bytes_to_read(), 0);
                let room = plain.get_mut(before..).unwrap_or_default();
                self.client.reader().read_exact(room)?;
            }
            black_box(&plain);
        }
        Ok(())
    }
}

fn read_all(
    mut bytes: &[u8],
    mut read: impl FnMut(&mut &[u8]) -> std::io::Result<usize>,
) -> Result<(), Trouble> {
    while !bytes.is_empty() {
        read(&mut bytes)?;
    }
    Ok(())
}

/// A zone's pages, inflated, and taken apart.
struct Feed {
    zone: CloudZone,
    described: Zone,
    plain: Vec<Bytes>,
    pages: Vec<ChangesPage>,
}

fn changes(plain: &Bytes) -> Result<footbridge::codec::cloudkit::RetrieveChangesResponse, Trouble> {
    let frame = frames(plain)?.into_iter().next().ok_or("an empty answer")?;
    let answer = ResponseOperation::read(frame)?;
    Ok(answer.retrieve_changes.ok_or("an answer without changes")?)
}

impl Feed {
    fn of(recorded: &RecordedZone) -> Result<Self, Trouble> {
        let mut inflater = Inflater::default();
        let mut feed = Self {
            zone: recorded.zone,
            described: recorded.described.clone(),
            plain: Vec::new(),
            pages: Vec::new(),
        };
        for (at, body) in recorded.bodies.iter().enumerate() {
            let plain = inflater.inflate(body, CLOUDKIT_BODY_BYTES)?.into();
            feed.pages.push(ChangesPage {
                changes: changes(&plain)?.changes,
                token: ChangeToken::from_bytes(&(at as u64 + 1).to_le_bytes()),
                is_last: at + 1 == recorded.bodies.len(),
            });
            feed.plain.push(plain);
        }
        Ok(feed)
    }

    /// Opens and decodes everything, page by page, and adds what it took: keys, fields, decoding. Answers how many records
    /// have keys of their own.
    fn open(&self, keychain: &Keychain, took: &mut [Duration; 3]) -> Result<u64, Trouble> {
        let [unwrap, gcm, decode] = took;
        let lap = Lap::begin();
        let keys = ZoneKeys::open(&self.described, keychain.keys())?;
        *unwrap += lap.end();
        let (mut decoder, mut preparer) = (Decoder::default(), Preparer::default());
        let mut own_keys = 0;
        for page in &self.pages {
            let read = page
                .changes
                .iter()
                .filter_map(|bytes| RecordChange::read(bytes.clone()).ok()?.record);
            let mut records: Vec<Record> = read.collect();
            let lap = Lap::begin();
            for record in &records {
                let own = record
                    .protection
                    .as_ref()
                    .and_then(|own| own.bytes.as_ref());
                if let Some(own) = own {
                    own_keys += 1;
                    drop(black_box(protection::open(own, keys.private())));
                }
            }
            let own = lap.end();
            *unwrap += own;
            let lap = Lap::begin();
            let sealed: Vec<_> = records
                .iter_mut()
                .map(|record| keys.open_record(record))
                .collect();
            *gcm += lap.end().saturating_sub(own);
            let lap = Lap::begin();
            for (record, sealed) in records.into_iter().zip(sealed) {
                let Ok(sealed) = sealed else { continue };
                match decoder.decode(cloudkit::record(record, &sealed)) {
                    CloudChange::Message(message) => {
                        let change = message.change;
                        drop(black_box(
                            preparer.prepare_alone(change.message, change.placement)?,
                        ));
                    }
                    other @ (CloudChange::Chat(_)
                    | CloudChange::Attachment(_)
                    | CloudChange::Foreign(_)) => drop(black_box(other)),
                }
            }
            *decode += lap.end();
        }
        Ok(own_keys)
    }
}

/// A sync of all pages out of memory into a file: CPU time of the whole process.
fn whole(session: &[u8], feeds: Vec<Feed>, folder: &Path) -> Result<Duration, Trouble> {
    let memory = Memory(Arc::new(
        feeds.into_iter().map(|feed| (feed.zone, feed)).collect(),
    ));
    let path = folder.join("stages.redb");
    let mut fastest = Duration::MAX;
    for _ in 0..ROUNDS {
        drop(fs::remove_file(&path));
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store = Store::open(&path, Absent::Create, Arc::clone(&clock))?;
        store.write(|tx| {
            tx.put_cloud_account(&CloudAccount {
                session: Secret::new(session.to_vec()),
                imports: 1,
                imported: clock.now(),
                device: None,
                user_id: None,
            })?;
            Ok::<_, StoreError>(())
        })?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let begin = Instant::now();
        let before = process_cpu(begin);
        let mut sync = Sync::new(store, clock, memory.clone(), Options::default());
        let stop = CancellationToken::new();
        runtime.block_on(sync.pass(&stop, &|_| ControlFlow::Continue(())))?;
        fastest = fastest.min(process_cpu(begin).saturating_sub(before));
    }
    fs::remove_file(path)?;
    Ok(fastest)
}

/// An iCloud in memory.
#[derive(Clone)]
struct Memory(Arc<BTreeMap<CloudZone, Feed>>);

impl Memory {
    fn feed(&self, name: &ZoneName) -> Result<&Feed, CloudError> {
        let found = self
            .0
            .values()
            .find(|feed| feed.zone.name() == name.as_str());
        found.ok_or(CloudError::Refused {
            reaction: Reaction::ZoneGone,
            client: Some(48),
            server: None,
        })
    }
}

impl Connect for Memory {
    type Cloud = Self;

    fn connect(&self, _: &Session, _: &CloudAccount) -> Result<Arc<Self>, SetupError> {
        Ok(Arc::new(self.clone()))
    }
}

impl Cloud for Memory {
    type Download = Nothing;

    async fn user_id(&self) -> Result<String, CloudError> {
        Ok("_user".to_owned())
    }

    async fn zones(&self, zones: &[ZoneName]) -> Answers<ZoneAnswer> {
        let answer = |name| {
            Ok(ZoneAnswer {
                zone: self.feed(name)?.described.clone(),
                end: None,
            })
        };
        Ok(zones.iter().map(answer).collect())
    }

    async fn changes(&self, requests: &[ChangesRequest]) -> Answers<ChangesPage> {
        let answer = |request: &ChangesRequest| {
            let at = request
                .token
                .as_ref()
                .and_then(|token| token.as_bytes().try_into().ok());
            let at = at.map_or(0, u64::from_le_bytes);
            let pages = &self.feed(&request.zone)?.pages;
            let page = usize::try_from(at).ok().and_then(|at| pages.get(at));
            page.cloned().ok_or(CloudError::Unanswered)
        };
        Ok(requests.iter().map(answer).collect())
    }

    async fn records(
        &self,
        _: &ZoneName,
        names: &[RecordName],
        _: Assets,
    ) -> Answers<FetchedRecord> {
        Ok(names.iter().map(|_| Err(CloudError::Unanswered)).collect())
    }

    async fn summary(&self) -> Result<Summary, CloudError> {
        Ok(Summary::default())
    }

    fn download(&self, _: FileRequest) -> Nothing {
        Nothing
    }
}

/// No files are fetched.
struct Nothing;

impl Download for Nothing {
    async fn next(&mut self) -> Result<Option<PlainChunk>, DownloadError> {
        Err(DownloadError::Gone)
    }
}
