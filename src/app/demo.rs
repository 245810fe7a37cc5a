//! A demonstration on invented data: a loopback iCloud in this process, an archive of its own that is synced from it, and
//! the configuration to serve that archive with. Nothing of the owner's is read or written, and nobody else is asked.
//!
//! With trouble, this goes wrong on purpose, one after the other:
//!
//! | what | what follows |
//! |---|---|
//! | answers are throttled, cut off, replaced by a page for people, left out | the page is asked for again |
//! | the position in the feed is forgotten | the zone is read again, nothing is doubled |
//! | the keychain lacks the key of the messages | they are kept sealed |
//! | the session expires | the pass is blocked until another one is imported |
//! | that one has the key | everything opens, without a download |
//! | some records are damaged, of unknown types, or without a key for ever | they are kept, and `quarantine list` names them |
//! | some records of files are damaged | their messages come without them, and say so |

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::num::NonZeroU32;
use std::ops::ControlFlow;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::runtime::Runtime;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio_util::sync::CancellationToken;

use crate::app::AppError;
use crate::app::Archive;
use crate::app::cloudkit::PassError;
use crate::app::cloudkit::Reach;
use crate::app::cloudkit::Report;
use crate::app::cloudkit::SessionFile;
use crate::app::cloudkit::pass;
use crate::app::cloudkit::zone_content;
use crate::app::settings::CloudSettings;
use crate::app::settings::Settings;
use crate::apple::session::SessionError;
use crate::base::ids::ConversationKey;
use crate::base::limits::DEMO_MESSAGE_EVERY;
use crate::base::limits::DEMO_PASSES;
use crate::base::limits::STOP_DEADLINE;
use crate::base::random;
use crate::base::secret::Secret;
use crate::base::tasks::TaskGroup;
use crate::demo::Account;
use crate::demo::Call;
use crate::demo::Dirtiness;
use crate::demo::Fault;
use crate::demo::Faults;
use crate::demo::Items;
use crate::demo::Loopback;
use crate::demo::Readable;
use crate::demo::Refusal;
use crate::demo::Trouble;
use crate::demo::What;
use crate::demo::ZoneKind;
use crate::ingest::assets;
use crate::ingest::assets::Keep;
use crate::source::cloudkit::Gateway;

/// With the number of messages, what an account is made from.
const SEED: u64 = 251_755_297;

/// By how much waits are divided while the archive is made.
const HURRY: NonZeroU32 = NonZeroU32::new(20).unwrap();

/// And while it is served: passes every 15 s.
const HURRY_SERVING: NonZeroU32 = NonZeroU32::new(60).unwrap();

/// The archive, in a folder of its own.
const FILE: &str = "footbridge.redb";

/// What people write while the archive is served.
const LATER: [&str; 4] = [
    "Are you looking at the demonstration?",
    "This message came just now, while you were looking.",
    "Nobody wrote it: the account is invented.",
    "It went through iCloud's own protocol, sealed, and was opened here.",
];

/// What to show.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// How many messages, about.
    pub messages: u64,
    /// Whether things go wrong on purpose.
    pub trouble: bool,
    /// Where the archive is made; `None` for a folder that is removed at the end.
    pub data: Option<&'a Path>,
}

/// The account of a demonstration: the same for the same arguments. With trouble it has what real accounts have, records that
/// are odd or cannot be read.
pub fn account(messages: u64, has_trouble: bool) -> Account {
    let dirtiness = if has_trouble {
        Dirtiness::AsSeen
    } else {
        Dirtiness::Clean
    };
    Account::new(SEED.wrapping_add(messages), messages, dirtiness)
}

/// Records that cannot be read on purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// The conversation's name, where the account knows which it is.
    pub conversation: Option<String>,
    /// Why.
    pub why: &'static str,
    /// How many.
    pub count: u64,
}

/// What happens while the archive is made.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// A page was stored.
    Page {
        /// What is being read.
        what: &'static str,
        /// Records of it so far.
        done: u64,
        /// Records of it in all.
        total: u64,
    },
    /// A pass read everything.
    Passed(&'a Report),
    /// A pass did not.
    Hindered(&'a PassError),
    /// The owner imported another session, as the hint said.
    Imported,
}

/// A demonstration under way. Its folder is removed when it is dropped.
pub struct Demo {
    account: Arc<Account>,
    cloud: Loopback,
    /// Of the people who write while the archive is served.
    people: TaskGroup,
    settings: Settings,
    has_trouble: bool,
    folder: Option<Folder>,
    runtime: Runtime,
}

impl Demo {
    /// Starts the loopback iCloud and makes room for the archive.
    ///
    /// # Errors
    ///
    /// [`AppError::System`], [`AppError::Loopback`]; [`AppError::NotTheDemo`] for an archive with other contents.
    pub fn start(wanted: &Wanted<'_>) -> Result<Self, AppError> {
        let (data, folder) = if let Some(data) = wanted.data {
            (data.to_owned(), None)
        } else {
            let folder = Folder::new()?;
            (folder.0.join(FILE), Some(folder))
        };
        if data.exists() {
            let archive = Archive::open(&data)?;
            let is_empty = archive.status()?.messages == 0;
            if !is_empty && !archive.has_session()? {
                return Err(AppError::NotTheDemo { path: data });
            }
        }
        let runtime = Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(|source| AppError::System { source })?;
        let account = Arc::new(account(wanted.messages, wanted.trouble));
        let faults = if wanted.trouble {
            faults()
        } else {
            Faults::none()
        };
        let cloud = runtime.block_on(Loopback::start(Arc::clone(&account) as _, faults))?;
        let mut settings =
            Settings::without_words(&data).map_err(|_no_path| AppError::Argument {
                value: data.display().to_string(),
                expected: "a file",
            })?;
        settings.endpoint.server_name = Some("localhost".to_owned());
        settings.cloud = reached(&cloud, HURRY)?;
        Ok(Self {
            account,
            cloud,
            people: TaskGroup::new(),
            settings,
            has_trouble: wanted.trouble,
            folder,
            runtime,
        })
    }

    /// The archive's file.
    pub fn archive(&self) -> &Path {
        &self.settings.data
    }

    /// Whether the archive is removed at the end.
    pub fn is_temporary(&self) -> bool {
        self.folder.is_some()
    }

    /// Syncs the archive from the invented account. SIGINT and SIGTERM end it between two pages.
    ///
    /// # Errors
    ///
    /// [`AppError::Pass`] when it was stopped, or when not everything could be read.
    pub fn sync(&self, tell: &(dyn Fn(Step<'_>) + Sync)) -> Result<(), AppError> {
        let archive = Archive::open_or_create(self.archive())?;
        let items = if self.has_trouble {
            Items::WithoutOlderIdentity
        } else {
            Items::All
        };
        self.import(&archive, items)?;
        self.runtime.block_on(async {
            let system = |source| AppError::System { source };
            let mut interrupt = signal(SignalKind::interrupt()).map_err(system)?;
            let mut terminate = signal(SignalKind::terminate()).map_err(system)?;
            let stop = CancellationToken::new();
            let mut syncing = Box::pin(self.passes(&archive, &stop, tell));
            tokio::select! {
                done = &mut syncing => return done,
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            stop.cancel();
            syncing.await
        })
    }

    fn import(&self, archive: &Archive, items: Items) -> Result<(), AppError> {
        let session = Secret::new(self.account.session(items));
        match archive.import_session(SessionFile::decode(session.expose())?) {
            Err(AppError::Session(SessionError::OtherAccount)) => Err(AppError::NotTheDemo {
                path: self.archive().to_owned(),
            }),
            taken => taken.map(drop),
        }
    }

    /// Fetches all files of the archive: once this ends there is nobody to fetch them from.
    ///
    /// # Errors
    ///
    /// When the archive cannot be read or written.
    pub fn fetch(&self) -> Result<(), AppError> {
        let archive = Archive::open(self.archive())?;
        let options = assets::Options {
            keep: Keep::All,
            free_floor: 0,
            ends: true,
            ..assets::Options::default()
        };
        self.runtime.block_on(async {
            let tasks = TaskGroup::new();
            let reach = Reach::new(&self.settings.cloud, tasks.clone())?;
            let (_nobody, mut wishes) = assets::wishes();
            let source = (archive.store(), archive.clock());
            let fetched = assets::run(source, &reach, options, &mut wishes, tasks.stop());
            let fetched = Box::pin(fetched).await;
            tasks.stop_and_join(STOP_DEADLINE).await;
            Ok(fetched.map(drop)?)
        })
    }

    async fn passes(
        &self,
        archive: &Archive,
        stop: &CancellationToken,
        tell: &(dyn Fn(Step<'_>) + Sync),
    ) -> Result<(), AppError> {
        let on_page = |report: &crate::ingest::cloudkit::ZoneReport| {
            let zone = ZoneKind::parse(report.zone.name());
            tell(Step::Page {
                what: zone_content(report.zone),
                done: report.changes,
                total: zone.map_or(report.changes, |zone| self.account.feed_length(zone)),
            });
            ControlFlow::Continue(())
        };
        let mut has_expired = !self.has_trouble;
        let mut hindered = PassError::Stopped;
        for _ in 0..DEMO_PASSES {
            let report = pass(archive, &self.settings, stop, &on_page).await?;
            match PassError::of(&report) {
                None => {
                    tell(Step::Passed(&report));
                    if has_expired {
                        return Ok(());
                    }
                    self.account.expire_tokens();
                    has_expired = true;
                }
                Some(error @ PassError::Stopped) => return Err(error.into()),
                Some(error @ PassError::Blocked) => {
                    tell(Step::Hindered(&error));
                    self.import(archive, Items::All)?;
                    tell(Step::Imported);
                    hindered = error;
                }
                Some(error) => {
                    tell(Step::Hindered(&error));
                    hindered = error;
                }
            }
        }
        Err(hindered.into())
    }

    /// What went wrong on purpose so far, in words, with how often.
    pub fn troubles(&self) -> Vec<(&'static str, usize)> {
        let mut told: Vec<(&'static str, usize)> = Vec::new();
        for made in self.cloud.made() {
            let words = words(&made.trouble);
            match told.iter_mut().find(|(known, _)| *known == words) {
                Some((_, count)) => *count += 1,
                None => told.push((words, 1)),
            }
        }
        told
    }

    /// What cannot be read on purpose, as the account knows it: in which conversation, why, and how much.
    ///
    /// # Errors
    ///
    /// When the archive cannot be read.
    pub fn set_aside(&self) -> Result<Vec<SetAside>, AppError> {
        let listed = Archive::open(self.archive())?.conversations(false)?;
        let titles: BTreeMap<String, String> = listed
            .into_iter()
            .map(|listed| (listed.key, listed.title))
            .collect();
        let mut counts: BTreeMap<(Option<String>, &'static str), u64> = BTreeMap::new();
        // Messages come before their files.
        let mut of_files: BTreeMap<String, ConversationKey> = BTreeMap::new();
        for truth in self.account.truths() {
            if let Some(key) = &truth.conversation {
                let files = truth.files.iter().cloned();
                of_files.extend(files.map(|file| (file, key.clone())));
            }
            let why = match (truth.what, truth.readable) {
                (What::Foreign, _) => "nobody knows the type, kept as it came",
                (_, Readable::Yes) => continue,
                (_, Readable::MissingKey) => "the key is in no keychain, kept sealed",
                (What::Chat, _) => "a field of an old state is damaged, the newer ones are whole",
                (What::File, Readable::BadField("cm")) => {
                    "what is said of a file is damaged, its message names it only"
                }
                (What::File, _) => "a file cannot be fetched, its message says what it was",
                (_, Readable::BadField(_)) => "a field is damaged, the rest is shown",
            };
            let key = truth.conversation.or_else(|| of_files.remove(&truth.guid));
            let key = key.map(|key| key.to_string());
            let title = key.map(|key| titles.get(&key).cloned().unwrap_or(key));
            *counts.entry((title, why)).or_default() += 1;
        }
        let set_aside = counts
            .into_iter()
            .map(|((conversation, why), count)| SetAside {
                conversation,
                why,
                count,
            });
        Ok(set_aside.collect())
    }

    /// What to serve the archive with: on this address, else on the usual one, else on any that is free. From now on
    /// somebody writes now and then.
    ///
    /// # Errors
    ///
    /// [`AppError::Argument`] for an address that is none of this computer's own.
    pub fn serving(&self, listen: Option<&str>) -> Result<Settings, AppError> {
        let mut settings = self.settings.clone();
        settings.cloud = reached(&self.cloud, HURRY_SERVING)?;
        let usual = settings.endpoint.listen;
        settings.endpoint.listen = match listen {
            Some(text) => text
                .parse::<SocketAddr>()
                .ok()
                .filter(|address| address.ip().is_loopback())
                .ok_or_else(|| AppError::Argument {
                    value: text.to_owned(),
                    expected: "an address of this computer alone, such as `127.0.0.1:8008`",
                })?,
            None if TcpListener::bind(usual).is_ok() => usual,
            None => SocketAddr::new(usual.ip(), 0),
        };
        let _inside = self.runtime.enter();
        let (account, stop) = (Arc::clone(&self.account), self.people.stop().clone());
        self.people
            .spawn("people", write_now_and_then(account, stop));
        Ok(settings)
    }

    /// Stops the loopback iCloud, and removes the archive if it was made in a folder of its own.
    pub fn end(self) {
        let Self {
            cloud,
            people,
            runtime,
            ..
        } = self;
        runtime.block_on(async {
            people.stop_and_join(STOP_DEADLINE).await;
            cloud.stop().await;
        });
    }
}

async fn write_now_and_then(account: Arc<Account>, stop: CancellationToken) {
    let conversations = account.conversations();
    for (number, text) in (0_usize..).zip(LATER.iter().cycle()) {
        let pause = tokio::time::sleep(DEMO_MESSAGE_EVERY);
        if stop.run_until_cancelled(pause).await.is_none() {
            return;
        }
        // Conversations without a record of their own take no messages this way.
        let conversation = number.checked_rem(conversations).unwrap_or_default();
        if account.add_message(conversation, text).is_none() {
            tracing::debug!(conversation, "nobody wrote");
        }
    }
}

fn reached(cloud: &Loopback, hurry: NonZeroU32) -> Result<CloudSettings, AppError> {
    let url = cloud.gateway();
    let gateway = Gateway::loopback(&url).map_err(|_other| AppError::Argument {
        value: url.clone(),
        expected: "an address of this computer",
    })?;
    Ok(CloudSettings {
        gateway: gateway.hurried(hurry),
        url: Some(url),
        hurry: Some(hurry),
        system_roots: false,
    })
}

/// Everything that goes wrong between the server and its client.
fn faults() -> Faults {
    let throttled = Refusal::client(Refusal::THROTTLED).after(Some(2));
    let busy = Refusal::server(Refusal::ZONE_BUSY).after(Some(1));
    let unavailable = Trouble::Status {
        status: 503,
        has_page: true,
        retry_after: Some(1),
    };
    let slow = Trouble::Slow {
        pieces: 5,
        pause: Duration::from_millis(20),
    };
    let (chats, messages) = (ZoneKind::Chat.name(), ZoneKind::Message.name());
    let planned = [
        Fault::new(Call::Init, unavailable),
        Fault::new(Call::Changes, Trouble::Page).in_zone(chats),
        Fault::new(Call::Changes, Trouble::Refused(throttled)).in_zone(messages),
        Fault::new(Call::Changes, Trouble::Cut(50))
            .in_zone(messages)
            .after(1),
        Fault::new(Call::Changes, slow).in_zone(messages).after(2),
        Fault::new(Call::Changes, Trouble::OneMissing)
            .in_zone(messages)
            .after(3),
        Fault::new(Call::Changes, Trouble::Reset(Refusal::RESET_NEEDED))
            .in_zone(messages)
            .after(4),
        Fault::new(Call::Changes, Trouble::Refused(busy))
            .in_zone(messages)
            .after(6),
        Fault::new(Call::Container, Trouble::Cut(50)),
        Fault::new(Call::Container, Trouble::BitFlip).after(1),
    ];
    Faults::planned(planned)
}

fn words(trouble: &Trouble) -> &'static str {
    match trouble {
        Trouble::Refused(_) => "a request was refused, with a time to wait",
        Trouble::Reset(_) => "the position in the feed was forgotten",
        Trouble::Status { .. } => "the service was not available",
        Trouble::Page => "a page for people came instead of an answer",
        Trouble::Cut(_) => "an answer was cut off",
        Trouble::Slow { .. } => "an answer came slowly",
        Trouble::Stalled => "an answer stopped in the middle",
        Trouble::Shuffled => "answers came in another order",
        Trouble::OneMissing => "a question was left unanswered",
        Trouble::Unpacked => "an answer was not packed",
        Trouble::BitFlip => "a bit of an answer was another one",
    }
}

/// A folder that is removed when this is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self, AppError> {
        let number = random::bytes().map_err(|error| AppError::System {
            source: std::io::Error::other(error),
        })?;
        let number = u64::from_be_bytes(number);
        let path = std::env::temp_dir().join(format!("footbridge-demo-{number:016x}"));
        let made = fs::DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|source| AppError::System { source })?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, "the demonstration's folder was not removed");
        }
    }
}
