//! Files of Messages in iCloud end in the archive with the bytes that were sent, or with the reason why they did not,
//! whatever goes wrong on the way; and clients get them.
//!
//! Guards against a file that is shown although a piece of it is wrong, one that is tried for ever, one that is given up
//! because the network was away, and a client that waits behind the whole queue.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::fs::File;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::num::NonZeroU32;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use footbridge::app::AppError;
use footbridge::app::Archive;
use footbridge::app::media::FetchedFiles;
use footbridge::apple::asset::PlainChunk;
use footbridge::apple::session::Session;
use footbridge::base::ids::AttachmentGuid;
use footbridge::base::ids::Guid;
use footbridge::base::ids::RecordName;
use footbridge::base::ids::RowId;
use footbridge::base::ids::ZoneName;
use footbridge::base::limits::ATTACHMENT_WAITS;
use footbridge::base::tasks::TaskGroup;
use footbridge::base::time::Clock;
use footbridge::base::time::FixedClock;
use footbridge::base::time::SystemClock;
use footbridge::deliver::endpoint::LegacyMedia;
use footbridge::deliver::endpoint::MediaFiles;
use footbridge::deliver::endpoint::Server;
use footbridge::deliver::endpoint::Settings;
use footbridge::demo::Account;
use footbridge::demo::Call;
use footbridge::demo::Dirtiness;
use footbridge::demo::Fault;
use footbridge::demo::Faults;
use footbridge::demo::Items;
use footbridge::demo::Loopback;
use footbridge::demo::Trouble;
use footbridge::demo::What;
use footbridge::ingest::assets;
use footbridge::ingest::assets::Keep;
use footbridge::ingest::assets::Options;
use footbridge::ingest::assets::Outcome;
use footbridge::ingest::cloudkit;
use footbridge::ingest::cloudkit::Connect;
use footbridge::matrix::media::MediaSecret;
use footbridge::model::attachment::Attachment;
use footbridge::model::attachment::AttachmentState;
use footbridge::model::change::Placement;
use footbridge::model::message::Author;
use footbridge::model::message::Kind;
use footbridge::model::message::Message;
use footbridge::model::record::CloudAsset;
use footbridge::model::record::CloudRecord;
use footbridge::model::record::CloudValue;
use footbridge::model::record::CloudZone;
use footbridge::model::record::SourceKind;
use footbridge::net::Connections;
use footbridge::net::Listen;
use footbridge::net::Listener;
use footbridge::net::client::Roots;
use footbridge::source::cloudkit::Answers;
use footbridge::source::cloudkit::Assets;
use footbridge::source::cloudkit::ChangesPage;
use footbridge::source::cloudkit::ChangesRequest;
use footbridge::source::cloudkit::Client;
use footbridge::source::cloudkit::Cloud;
use footbridge::source::cloudkit::CloudError;
use footbridge::source::cloudkit::Download;
use footbridge::source::cloudkit::DownloadError;
use footbridge::source::cloudkit::FetchedRecord;
use footbridge::source::cloudkit::FileRequest;
use footbridge::source::cloudkit::Gateway;
use footbridge::source::cloudkit::SetupError;
use footbridge::source::cloudkit::Summary;
use footbridge::source::cloudkit::ZoneAnswer;
use footbridge::store::Page;
use footbridge::store::Preparer;
use footbridge::store::Snapshot;
use footbridge::store::Store;
use footbridge::store::StoreError;
use footbridge::store::cloud::CloudContent;
use footbridge::store::cloud::CloudItem;
use footbridge::store::cloud::CloudPage;
use footbridge::store::cloud::ZoneStep;
use footbridge::store::value::CloudAccount;
use redb::backends::InMemoryBackend;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::support::cloud_account::import;
use crate::support::history::assert_sound;
use crate::support::samples::bare_attachment;

/// A second is this much shorter. A busy machine must still answer within the shortest deadline.
const HURRY: u32 = 250;

/// Reaches the loopback.
struct Reach {
    gateway: String,
    tasks: TaskGroup,
}

impl Connect for Reach {
    type Cloud = Client;

    fn connect(&self, session: &Session, _: &CloudAccount) -> Result<Arc<Client>, SetupError> {
        let gateway = Gateway::loopback(&self.gateway).unwrap();
        let gateway = gateway.hurried(NonZeroU32::new(HURRY).unwrap());
        Client::new(session, gateway, &Roots::bundled(), &self.tasks).map(Arc::new)
    }
}

/// An invented account, the server of it, and an archive that knows its messages.
struct World {
    account: Arc<Account>,
    loopback: Loopback,
    reach: Reach,
    store: Store,
}

impl World {
    /// Synced, with no file held.
    async fn new(messages: u64) -> Self {
        let account = Arc::new(Account::new(7, messages, Dirtiness::Clean));
        let cloud = Arc::clone(&account);
        let loopback = Loopback::start(cloud, Faults::none()).await.unwrap();
        let store = Store::open_backend(InMemoryBackend::new(), Arc::new(SystemClock)).unwrap();
        import(&store, account.session(Items::All));
        let reach = || Reach {
            gateway: loopback.gateway(),
            tasks: TaskGroup::new(),
        };
        let (sync, world) = (reach(), reach());
        let mut sync = cloudkit::Sync::new(
            store.clone(),
            Arc::new(SystemClock),
            sync,
            cloudkit::Options::default(),
        );
        let stop = CancellationToken::new();
        let report = sync.pass(&stop, &|_| ControlFlow::Continue(())).await;
        assert_eq!(report.unwrap().outcome, cloudkit::Outcome::Complete);
        Self {
            account,
            loopback,
            reach: world,
            store,
        }
    }

    /// Fetches all that can be fetched.
    async fn fetch(&self, options: Options) -> Outcome {
        let (_wishes, mut list) = assets::wishes();
        let options = Options {
            ends: true,
            free_floor: 0,
            ..options
        };
        let stop = CancellationToken::new();
        let run = assets::run(
            (&self.store, &SystemClock),
            &self.reach,
            options,
            &mut list,
            &stop,
        );
        tokio::time::timeout(Duration::from_mins(2), run)
            .await
            .unwrap()
            .unwrap()
    }

    /// The files of the account that are in iCloud, each with its bytes, and its row here.
    fn files(&self) -> Vec<(RowId, Vec<u8>)> {
        let snapshot = self.store.snapshot().unwrap();
        let files = self
            .account
            .truths()
            .filter(|truth| truth.what == What::File);
        files
            .filter_map(|truth| {
                let name = RecordName::parse(&truth.record).unwrap();
                let bytes = self.account.file(&truth.record)?;
                let held = snapshot.cloud_record_named(CloudZone::Attachments, &name);
                let (row, _) = held.unwrap().unwrap();
                Some((row, bytes))
            })
            .collect()
    }

    fn state(&self, row: RowId) -> AttachmentState {
        let snapshot = self.store.snapshot().unwrap();
        snapshot.attachment(row).unwrap().attachment.state
    }

    /// How many files are in each state; those that are held have the bytes of the account.
    fn states(&self) -> BTreeMap<&'static str, usize> {
        let snapshot = self.store.snapshot().unwrap();
        assert_sound(&snapshot);
        let mut states = BTreeMap::new();
        for (row, bytes) in self.files() {
            let state = snapshot.attachment(row).unwrap().attachment.state;
            *states.entry(state.name()).or_default() += 1;
            match state {
                AttachmentState::Held { sha256, .. } => {
                    assert_eq!(stored(&snapshot, &sha256), bytes);
                }
                AttachmentState::Abandoned { reason } | AttachmentState::Failed { reason } => {
                    assert!(!reason.is_empty());
                }
                AttachmentState::Wanted | AttachmentState::Missing(_) => {}
            }
        }
        states
    }
}

fn stored(snapshot: &Snapshot, sha256: &[u8; 32]) -> Vec<u8> {
    let blob = snapshot.blob(sha256).unwrap().unwrap();
    let chunks = (0..).map_while(|n| snapshot.blob_chunk(blob.chunks, n).unwrap());
    let bytes = chunks.collect::<Vec<_>>().concat();
    assert_eq!(bytes.len() as u64, blob.size_bytes);
    bytes
}

/// A Mac without files.
struct Nothing;

impl MediaFiles for Nothing {
    fn open(&self, _: &Attachment) -> Option<File> {
        None
    }
}

/// The endpoint of an archive on a socket of this computer, for clients without a token.
async fn endpoint(
    world: &World,
    files: Arc<dyn MediaFiles>,
    group: &TaskGroup,
) -> (SocketAddr, MediaSecret) {
    world
        .store
        .write::<StoreError>(|tx| {
            tx.set_server_name("example.org")?;
            tx.put_user(
                footbridge::store::account::Account::OWNER,
                &footbridge::store::value::User {
                    name: "ada".to_owned(),
                    password: String::new(),
                    created: footbridge::base::time::AppleTime::from_nanos(0),
                },
            )
        })
        .unwrap();
    let mut settings = Settings::new("ada", "example.org", None, files, Arc::new(|| None)).unwrap();
    settings.legacy_media = LegacyMedia::Loopback;
    let server = Server::new(world.store.clone(), Arc::new(SystemClock), settings).unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = Listener::bind(Listen::Tcp { address, tls: None }).await;
    let listener = listener.unwrap();
    let address = listener.address().unwrap();
    listener.serve(Arc::new(server), Connections::default(), group);
    let secret = world.store.snapshot().unwrap().token_secret().unwrap();
    (address, MediaSecret::new(&secret.unwrap()))
}

/// The status and the body of a file, or of a stretch of it.
async fn get(
    world: &World,
    (address, secret): &(SocketAddr, MediaSecret),
    row: RowId,
    range: Option<&str>,
) -> (u16, Vec<u8>) {
    let snapshot = world.store.snapshot().unwrap();
    let id = secret.media_id(&snapshot.attachment(row).unwrap().attachment.guid);
    let range = range.map_or(String::new(), |range| format!("range: bytes={range}\r\n"));
    let head = format!(
        "GET /_matrix/media/v3/download/example.org/{id} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{range}\r\n"
    );
    let address = *address;
    let read = move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|it| it == b"\r\n\r\n").unwrap();
        let status = String::from_utf8_lossy(&answer[9..12]).parse().unwrap();
        (status, answer[end + 4..].to_vec())
    };
    tokio::task::spawn_blocking(read).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_file_comes_and_clients_get_it() {
    let world = World::new(400).await;
    let files = world.files();
    assert!(files.len() > 20, "{}", files.len());

    let outcome = world.fetch(Options::default()).await;

    assert_eq!(world.states(), BTreeMap::from([("held", files.len())]));
    assert_eq!((outcome.failed, outcome.abandoned), (0, 0));
    let group = TaskGroup::new();
    let endpoint = endpoint(&world, Arc::new(Nothing), &group).await;
    for (row, bytes) in files.iter().take(5) {
        assert_eq!(
            get(&world, &endpoint, *row, None).await,
            (200, bytes.clone())
        );
        let part = get(&world, &endpoint, *row, Some("10-99")).await;
        assert_eq!(part, (206, bytes[10..100].to_vec()));
    }
    assert_eq!(world.loopback.complaints(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_gets_what_is_not_held_ahead_of_the_queue() {
    let world = World::new(300).await;
    let files = world.files();
    let (wishes, mut list) = assets::wishes();
    let stop = CancellationToken::new();
    let options = Options {
        keep: Keep::None,
        free_floor: 0,
        ..Options::default()
    };
    let run = assets::run(
        (&world.store, &SystemClock),
        &world.reach,
        options,
        &mut list,
        &stop,
    );
    let group = TaskGroup::new();
    let asking = async {
        let files_of = FetchedFiles::new(Arc::new(Nothing), wishes);
        let endpoint = endpoint(&world, Arc::new(files_of), &group).await;
        for (row, bytes) in files.iter().take(3) {
            assert_eq!(
                get(&world, &endpoint, *row, None).await,
                (200, bytes.clone())
            );
        }
        stop.cancel();
    };

    let (outcome, ()) = tokio::join!(run, asking);

    assert_eq!(outcome.unwrap().held, 3);
    let states = world.states();
    assert!(states["held"] >= 3 && states["wanted"] > 0, "{states:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_on_the_way_keeps_no_file_away() {
    let world = World::new(400).await;
    let count = world.files().len();
    let troubles = [
        Trouble::Cut(50),
        Trouble::BitFlip,
        Trouble::Status {
            status: 503,
            has_page: true,
            retry_after: Some(1),
        },
        Trouble::Slow {
            pieces: 4,
            pause: Duration::from_millis(5),
        },
        Trouble::Stalled,
        Trouble::Page,
    ];
    for (at, trouble) in (0..).zip(troubles) {
        let fault = Fault::new(Call::Container, trouble);
        world.loopback.add_fault(fault.after(at * 3));
    }
    let busy = Trouble::Status {
        status: 503,
        has_page: false,
        retry_after: None,
    };
    world
        .loopback
        .add_fault(Fault::new(Call::Record, busy).times(2));
    world.account.expire_downloads();

    let outcome = world.fetch(Options::default()).await;

    assert_eq!(world.states(), BTreeMap::from([("held", count)]));
    assert!(outcome.failed > 0, "{outcome:?}");
    assert_eq!(outcome.abandoned, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn three_attempts_are_enough_and_the_owner_can_ask_for_more() {
    let world = World::new(300).await;
    let count = world.files().len();
    let flip = Fault::new(Call::Container, Trouble::BitFlip).times(u32::MAX);
    world.loopback.add_fault(flip);

    let outcome = world.fetch(Options::default()).await;

    assert_eq!(world.states(), BTreeMap::from([("abandoned", count)]));
    let abandoned = usize::try_from(outcome.abandoned).unwrap();
    assert_eq!((abandoned, outcome.held), (count, 0));
    assert_eq!(outcome.failed, outcome.abandoned * 2);
    let asked = world.loopback.requests(Call::Container);
    world.fetch(Options::default()).await;
    assert_eq!(world.loopback.requests(Call::Container), asked);
    let (row, _) = world.files()[0];
    let retried = world.store.write::<StoreError>(|tx| {
        assert!(tx.retry_file(row)?);
        Ok(())
    });
    retried.unwrap();
    assert_eq!(world.state(row), AttachmentState::Wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_forbidden_is_abandoned_at_once() {
    let world = World::new(300).await;
    let count = world.files().len();
    let forbidden = Trouble::Status {
        status: 403,
        has_page: false,
        retry_after: None,
    };
    world
        .loopback
        .add_fault(Fault::new(Call::Container, forbidden).times(u32::MAX));

    let outcome = world.fetch(Options::default()).await;

    assert_eq!(world.states(), BTreeMap::from([("abandoned", count)]));
    assert_eq!(outcome.failed, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_icloud_is_away_no_file_is_given_up() {
    let world = World::new(300).await;
    let count = world.files().len();
    let away = Trouble::Status {
        status: 503,
        has_page: false,
        retry_after: None,
    };
    world
        .loopback
        .add_fault(Fault::new(Call::Record, away).times(12));

    let outcome = world.fetch(Options::default()).await;

    assert_eq!(world.states(), BTreeMap::from([("held", count)]));
    assert_eq!((outcome.failed, outcome.abandoned), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_ends_in_the_middle_is_gone_on_with() {
    let world = World::new(400).await;
    let count = world.files().len();
    for after in 0..4 {
        let slow = Trouble::Slow {
            pieces: 8,
            pause: Duration::from_millis(50),
        };
        world
            .loopback
            .add_fault(Fault::new(Call::Container, slow).after(after * 4).times(20));
    }
    for wait in [30, 90, 150, 210] {
        let (_wishes, mut list) = assets::wishes();
        let stop = CancellationToken::new();
        let options = Options {
            free_floor: 0,
            at_once: 3,
            ..Options::default()
        };
        let run = assets::run(
            (&world.store, &SystemClock),
            &world.reach,
            options,
            &mut list,
            &stop,
        );
        // Dropped wherever it is.
        drop(tokio::time::timeout(Duration::from_millis(wait), run).await);
        assert_sound(&world.store.snapshot().unwrap());
    }

    world.fetch(Options::default()).await;

    assert_eq!(world.states(), BTreeMap::from([("held", count)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_is_held_than_the_owner_allows() {
    let world = World::new(400).await;
    let limit_bytes = 100_000;
    let options = Options {
        limit_bytes,
        ..Options::default()
    };

    world.fetch(options).await;

    let held = |world: &World| -> u64 {
        let blobs = world.store.snapshot().unwrap().blobs().unwrap();
        blobs.iter().map(|(_, blob)| blob.size_bytes).sum()
    };
    let states = world.states();
    assert!(states["held"] > 0 && states["wanted"] > 0, "{states:?}");
    assert!(held(&world) <= limit_bytes, "{}", held(&world));
    world.loopback.take_requests();
    world.fetch(options).await;
    let asked = world.loopback.take_requests();
    assert!(asked.is_empty(), "{asked:?} about files without room");
    let all = Options {
        keep: Keep::All,
        ..options
    };
    world.fetch(all).await;
    assert_eq!(
        world.states(),
        BTreeMap::from([("held", world.files().len())])
    );
}

/// Bytes of a file that has several chunks, and of the pieces in which it comes.
const LONG: usize = 9_000_001;
const PIECE: usize = 700_000;

fn long_file() -> Vec<u8> {
    (0..LONG)
        .map(|at| (at / 7 % 251).to_le_bytes()[0])
        .collect()
}

/// An iCloud with one file, which breaks off after so many pieces until it does not any more.
#[derive(Clone, Default)]
struct OneFile {
    breaks: Arc<Mutex<VecDeque<usize>>>,
    /// How many pieces were held at the beginning of each download.
    begun: Arc<Mutex<Vec<usize>>>,
    /// When each download began.
    times: Arc<Mutex<Vec<Instant>>>,
}

impl Connect for OneFile {
    type Cloud = Self;

    fn connect(&self, _: &Session, _: &CloudAccount) -> Result<Arc<Self>, SetupError> {
        Ok(Arc::new(self.clone()))
    }
}

impl Cloud for OneFile {
    type Download = Pieces;

    async fn user_id(&self) -> Result<String, CloudError> {
        Err(CloudError::Unanswered)
    }

    async fn zones(&self, _: &[ZoneName]) -> Answers<ZoneAnswer> {
        Err(CloudError::Unanswered)
    }

    async fn changes(&self, _: &[ChangesRequest]) -> Answers<ChangesPage> {
        Err(CloudError::Unanswered)
    }

    async fn records(
        &self,
        _: &ZoneName,
        names: &[RecordName],
        _: Assets,
    ) -> Answers<FetchedRecord> {
        let nothing = || FetchedRecord {
            record: None,
            downloads: BTreeMap::new(),
        };
        Ok(names.iter().map(|_| Ok(nothing())).collect())
    }

    async fn summary(&self) -> Result<Summary, CloudError> {
        Err(CloudError::Unanswered)
    }

    fn download(&self, request: FileRequest) -> Pieces {
        self.begun.lock().unwrap().push(request.held.len());
        self.times.lock().unwrap().push(Instant::now());
        assert!(request.held.iter().all(|length| *length == PIECE));
        Pieces {
            next: request.held.len(),
            left: self.breaks.lock().unwrap().pop_front(),
        }
    }

    fn delay(&self, full: Duration) -> Duration {
        full / HURRY
    }
}

struct Pieces {
    next: usize,
    left: Option<usize>,
}

impl Download for Pieces {
    async fn next(&mut self) -> Result<Option<PlainChunk>, DownloadError> {
        if self.left == Some(0) {
            return Err(DownloadError::Status {
                status: 503,
                after: None,
            });
        }
        self.left = self.left.map(|left| left - 1);
        let bytes = long_file()
            .chunks(PIECE)
            .nth(self.next)
            .map(Bytes::copy_from_slice);
        let index = self.next;
        self.next += 1;
        Ok(bytes.map(|bytes| PlainChunk { index, bytes }))
    }
}

/// An archive that knows one file of CloudKit.
fn store_with_file() -> (Store, RowId) {
    let store = empty_store();
    let row = know_file(&store, "long", "1A2B3C4D-0001-4002-8003-ABCDEF012345");
    (store, row)
}

/// An archive that has a session and nothing else.
fn empty_store() -> Store {
    let store = Store::open_backend(InMemoryBackend::new(), Arc::new(SystemClock)).unwrap();
    import(&store, support::cloud_account::session(|_| true));
    store
}

/// Stores what CloudKit says of a file.
fn know_file(store: &Store, name: &str, guid: &str) -> RowId {
    let guid = AttachmentGuid::parse(guid).unwrap();
    let attachment = bare_attachment(guid.as_str(), AttachmentState::Wanted);
    let asset = CloudAsset {
        signature: vec![4; 21],
        ..CloudAsset::default()
    };
    let record = CloudRecord {
        zone: CloudZone::Attachments.name().to_owned(),
        name: name.to_owned(),
        fields: vec![("lqa".to_owned(), CloudValue::Asset(asset))],
        ..CloudRecord::default()
    };
    let content = CloudContent::File {
        attachment: Some(Box::new(attachment)),
        record,
        unreadable: Vec::new(),
    };
    apply(store, CloudZone::Attachments, name, content);
    let row = store.snapshot().unwrap().attachment_with(&guid).unwrap();
    row.unwrap()
}

/// Stores a message and what CloudKit says of its file. Only what belongs to a message is news.
fn know_sent_file(store: &Store, name: &str, guid: &str) -> RowId {
    let row = know_file(store, name, &format!("at_0_{guid}"));
    let kind = Kind::Message { about: None };
    let message = Message::new(Guid::parse(guid).unwrap(), kind, Author::Owner);
    let prepared = Preparer::default().prepare_alone(message, Placement::default());
    let content = CloudContent::Message {
        prepared: Box::new(prepared.unwrap()),
        record: CloudRecord {
            name: name.to_owned(),
            ..CloudRecord::default()
        },
    };
    apply(store, CloudZone::Messages, name, content);
    row
}

/// Stores a record.
fn apply(store: &Store, zone: CloudZone, name: &str, content: CloudContent) {
    let item = CloudItem {
        name: RecordName::parse(name).unwrap(),
        content,
        raw: None,
    };
    let page = Page {
        cloud: Some(CloudPage {
            zone,
            items: vec![item],
            step: ZoneStep::Forward(None),
        }),
        ..Page::default()
    };
    store
        .write::<StoreError>(|tx| tx.apply(page, SourceKind::CloudKit, 1))
        .unwrap();
}

async fn fetch_long(store: &Store, cloud: &OneFile) -> Outcome {
    let (_wishes, mut list) = assets::wishes();
    let options = Options {
        ends: true,
        free_floor: 0,
        ..Options::default()
    };
    let stop = CancellationToken::new();
    let run = assets::run((store, &SystemClock), cloud, options, &mut list, &stop);
    tokio::time::timeout(Duration::from_mins(1), run)
        .await
        .unwrap()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_file_goes_on_behind_its_last_piece() {
    let (store, row) = store_with_file();
    let cloud = OneFile::default();
    cloud.breaks.lock().unwrap().extend([3, 7]);

    let outcome = fetch_long(&store, &cloud).await;

    assert_eq!((outcome.failed, outcome.held), (2, 1));
    assert_eq!(*cloud.begun.lock().unwrap(), [0, 3, 10]);
    let snapshot = store.snapshot().unwrap();
    assert_sound(&snapshot);
    let AttachmentState::Held { sha256, .. } = snapshot.attachment(row).unwrap().attachment.state
    else {
        panic!("not held");
    };
    assert!(stored(&snapshot, &sha256) == long_file());
    let blob = snapshot.blob(&sha256).unwrap().unwrap();
    let first = snapshot.blob_chunk(blob.chunks, 0).unwrap().unwrap();
    assert_eq!(first.len(), 1_044_480);
    assert!(snapshot.download(row).unwrap().is_none());
    drop(snapshot);
    let evicted = store.write::<StoreError>(|tx| {
        assert_eq!(tx.evict(&sha256)?, LONG as u64);
        Ok(())
    });
    evicted.unwrap();
    let snapshot = store.snapshot().unwrap();
    assert_sound(&snapshot);
    assert_eq!(
        snapshot.attachment(row).unwrap().attachment.state,
        AttachmentState::Wanted
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_are_remembered_when_everything_ends_between_them() {
    let (store, row) = store_with_file();
    let cloud = OneFile::default();
    cloud.breaks.lock().unwrap().extend([2, 2, 2, 2]);

    let outcome = fetch_long(&store, &cloud).await;

    assert_eq!((outcome.failed, outcome.abandoned), (2, 1));
    assert_eq!(*cloud.begun.lock().unwrap(), [0, 2, 4]);
    let again = fetch_long(&store, &cloud).await;
    assert_eq!(again, Outcome::default());
    assert_sound(&store.snapshot().unwrap());
    assert_eq!(
        Archive::over(store.clone(), Arc::new(SystemClock))
            .retry_attachments(None)
            .unwrap(),
        1
    );
    cloud.breaks.lock().unwrap().clear();
    assert_eq!(fetch_long(&store, &cloud).await.held, 1);
    assert_eq!(*cloud.begun.lock().unwrap(), [0, 2, 4, 6]);
    let states = |states: &[&str]| {
        let mut found = Vec::new();
        let archive = Archive::over(store.clone(), Arc::new(SystemClock));
        archive
            .attachments::<AppError>(states, |file| {
                found.push((file.state, file.size_bytes));
                Ok(())
            })
            .unwrap();
        found
    };
    assert_eq!(states(&["held"]), [("held", Some(LONG as u64))]);
    assert!(states(&["abandoned", "wanted"]).is_empty());
    assert!(matches!(
        store
            .snapshot()
            .unwrap()
            .attachment(row)
            .unwrap()
            .attachment
            .state,
        AttachmentState::Held { .. }
    ));
}

#[tokio::test(start_paused = true)]
async fn a_file_that_comes_while_another_waits_to_be_tried_again_does_not_wait() {
    let store = empty_store();
    let first = know_sent_file(&store, "first", "1A2B3C4D-0001-4002-8003-000000000001");
    let cloud = OneFile::default();
    cloud.breaks.lock().unwrap().push_back(0);
    let (_wishes, mut list) = assets::wishes();
    let options = Options {
        free_floor: 0,
        ..Options::default()
    };
    let (clock, stop) = (FixedClock(SystemClock.now()), CancellationToken::new());
    let mut changes = store.changes();
    let state = |row: RowId| {
        let stored = store.snapshot().unwrap().attachment(row).unwrap();
        stored.attachment.state.name().to_owned()
    };
    let watch = async {
        while state(first) != "failed" {
            changes.changed().await.unwrap();
        }
        let second = know_sent_file(&store, "later", "1A2B3C4D-0001-4002-8003-000000000002");
        while state(second) != "held" {
            changes.changed().await.unwrap();
        }
    };

    tokio::select! {
        ended = assets::run((&store, &clock), &cloud, options, &mut list, &stop) => {
            panic!("{ended:?}")
        }
        () = watch => {}
    }

    let times = cloud.times.lock().unwrap().clone();
    assert_eq!(times.len(), 2);
    assert_eq!(state(first), "failed");
    let waited = times[1] - times[0];
    assert!(waited < cloud.delay(ATTACHMENT_WAITS[0]), "{waited:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_of_an_abandoned_file_goes_when_there_is_no_room() {
    let (store, row) = store_with_file();
    let cloud = OneFile::default();
    cloud.breaks.lock().unwrap().extend([2, 2, 2]);
    fetch_long(&store, &cloud).await;
    let kept = |store: &Store| store.snapshot().unwrap().download_sizes().unwrap();
    assert_eq!(kept(&store), BTreeMap::from([(row, 6 * PIECE as u64)]));
    let (_wishes, mut list) = assets::wishes();
    let options = Options {
        ends: true,
        free_floor: 0,
        limit_bytes: 1_000_000,
        ..Options::default()
    };
    let stop = CancellationToken::new();

    let run = assets::run((&store, &SystemClock), &cloud, options, &mut list, &stop);
    assert_eq!(run.await.unwrap(), Outcome::default());

    assert_eq!(kept(&store), BTreeMap::new());
    let snapshot = store.snapshot().unwrap();
    assert_sound(&snapshot);
    assert_eq!(
        snapshot.attachment(row).unwrap().attachment.state.name(),
        "abandoned"
    );
}
