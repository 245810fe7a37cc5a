//! Which file is fetched next.
//!
//! | what happens | what follows |
//! |---|---|
//! | there are fewer files in work than may be | the next of those that were asked about; else a batch is asked about |
//! | somebody wants a file | it is fetched beside the others, or is the next; who wants one that is coming waits for it |
//! | a file ends | whoever waits for it hears; its attempt is counted |
//! | iCloud cannot be asked | nothing is begun for a while, longer each time |
//! | too little is free on the disk | nothing is begun until more is (AT-12) |
//! | all that is wanted was looked at | it is looked again when something changed, or an attempt is due |
//! | all in work ended, and left room | what had found none is looked at again |

use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::sync::oneshot;
use tokio::task::JoinError;
use tokio::task::JoinSet;
use tokio::task::yield_now;
use tokio::time::Instant;
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use crate::apple::asset::AssetKeys;
use crate::apple::session::Session;
use crate::base::ids::RecordName;
use crate::base::ids::RowId;
use crate::base::ids::ZoneName;
use crate::base::limits::ATTACHMENT_LOOK;
use crate::base::limits::ATTACHMENT_PAUSES;
use crate::base::limits::ATTACHMENT_WAITS;
use crate::base::limits::ATTACHMENTS_ASKED_FOR;
use crate::base::limits::CLOUDKIT_BATCH;
use crate::base::time::AppleTime;
use crate::base::time::Clock;
use crate::ingest::IngestError;
use crate::ingest::assets::Keep;
use crate::ingest::assets::Options;
use crate::ingest::assets::Wish;
use crate::ingest::assets::WishList;
use crate::ingest::assets::fetch::End;
use crate::ingest::assets::fetch::Job;
use crate::ingest::assets::fetch::budget;
use crate::ingest::assets::fetch::fetch;
use crate::ingest::assets::room::Gone;
use crate::ingest::assets::room::Room;
use crate::ingest::cloudkit::Connect;
use crate::model::attachment::AttachmentState;
use crate::source::cloudkit::Assets;
use crate::source::cloudkit::Cloud;
use crate::source::cloudkit::CloudError;
use crate::source::cloudkit::FileRequest;
use crate::store::Pace;
use crate::store::Snapshot;
use crate::store::Store;
use crate::store::StoreError;
use crate::store::Writer;

/// The field of a file's bytes in its record.
const FILE: &str = "lqa";

/// Files that are asked about at once.
const BATCH: usize = if CLOUDKIT_BATCH < 64 {
    CLOUDKIT_BATCH
} else {
    64
};

/// Wanted files that are looked at before others get their turn.
const GLANCE: usize = 512;

/// What was done, in numbers of files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Are held now.
    pub held: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Will never be had.
    pub abandoned: u64,
}

/// Fetches files until it is told to stop.
///
/// # Errors
///
/// What the store refuses; [`IngestError::NoSession`], [`IngestError::Session`]. What iCloud refuses is in the store, file
/// by file.
///
/// # Cancel safety
///
/// What was stored stays, and another run goes on there.
pub async fn run<C: Connect>(
    (store, clock): (&Store, &dyn Clock),
    connect: &C,
    options: Options,
    wishes: &mut WishList,
    stop: &CancellationToken,
) -> Result<Outcome, IngestError> {
    let mut queue = Queue::new(store, clock, connect, options)?;
    let gone = queue.room.excess();
    queue.remove(gone).await?;
    let mut changes = store.changes();
    loop {
        queue.fill().await?;
        if options.ends && queue.is_done() {
            break;
        }
        let wake = queue.wake;
        tokio::select! {
            // First: that connections end as well is no failure of a file.
            biased;
            () = stop.cancelled() => break,
            Some(wish) = wishes.0.recv() => queue.wish(wish).await?,
            Some(done) = queue.tasks.join_next() => queue.done(done).await?,
            news = changes.changed(), if queue.look.is_through && !queue.is_paused => {
                if news.is_ok() {
                    queue.wake_at(Instant::now() + queue.cloud.delay(ATTACHMENT_LOOK));
                }
            }
            () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => queue.awake(),
        }
    }
    queue.tasks.shutdown().await;
    Ok(queue.outcome)
}

/// What a task brings.
enum Done {
    /// A batch that the server was asked about, or why it did not answer.
    Asked(Result<Vec<Job>, CloudError>),
    /// A file, and the bytes that were reserved for it.
    File {
        row: RowId,
        reserved: u64,
        is_asked_for: bool,
        end: Result<End, IngestError>,
    },
}

/// How far what is wanted was looked through.
struct Look {
    /// Where it goes on; `None` for the beginning.
    place: Option<RowId>,
    /// Whether all of it was looked at.
    is_through: bool,
}

impl Look {
    /// From the beginning.
    fn new(keep: Keep) -> Self {
        Self {
            place: None,
            is_through: keep == Keep::None,
        }
    }
}

struct Queue<'a, C: Connect> {
    store: &'a Store,
    clock: &'a dyn Clock,
    connect: &'a C,
    options: Options,
    writer: Arc<Writer>,
    cloud: Arc<C::Cloud>,
    imports: u32,
    keys: Arc<AssetKeys>,
    budget: Arc<Semaphore>,
    room: Room,
    tasks: JoinSet<Done>,
    /// Files in work, and who waits for each.
    running: HashMap<RowId, Vec<oneshot::Sender<bool>>>,
    /// How many of them were asked for.
    asked_for: usize,
    /// Files that are next.
    ready: VecDeque<Job>,
    is_asking: bool,
    look: Look,
    /// When an attempt is due.
    due: Option<AppleTime>,
    /// When to go on, look again or try again.
    wake: Option<Instant>,
    is_paused: bool,
    /// Pauses since something worked.
    pauses: usize,
    outcome: Outcome,
}

impl<'a, C: Connect> Queue<'a, C> {
    fn new(
        store: &'a Store,
        clock: &'a dyn Clock,
        connect: &'a C,
        options: Options,
    ) -> Result<Self, IngestError> {
        let snapshot = store.snapshot()?;
        let account = snapshot.cloud_account()?.ok_or(IngestError::NoSession)?;
        let session = Session::decode(account.session.expose())?;
        Ok(Self {
            store,
            clock,
            connect,
            options,
            writer: Arc::new(store.writer(Pace::LIVE)),
            cloud: connect.connect(&session, &account)?,
            imports: account.imports,
            keys: Arc::new(keys(&snapshot)?),
            budget: Arc::new(budget()),
            room: Room::new(&options, snapshot.blobs()?, snapshot.download_sizes()?),
            tasks: JoinSet::new(),
            running: HashMap::new(),
            asked_for: 0,
            ready: VecDeque::new(),
            is_asking: false,
            look: Look::new(options.keep),
            due: None,
            wake: None,
            is_paused: false,
            pauses: 0,
            outcome: Outcome::default(),
        })
    }

    /// Whether nothing is left that could be fetched now.
    fn is_done(&self) -> bool {
        self.is_idle() && self.due.is_none() && !self.is_paused
    }

    /// Whether all that is wanted was looked at, and nothing came of it that has not ended.
    fn is_idle(&self) -> bool {
        let is_working = self.is_asking || !self.ready.is_empty() || !self.running.is_empty();
        self.look.is_through && !is_working
    }

    /// Begins as much as may be done at once.
    async fn fill(&mut self) -> Result<(), IngestError> {
        while !self.is_paused && self.running.len() - self.asked_for < self.options.at_once {
            if let Some(job) = self.ready.pop_front() {
                if !self.running.contains_key(&job.row) {
                    self.start(job, None).await?;
                }
                continue;
            }
            if self.is_idle() && self.room.take_regained() {
                self.look = Look::new(self.options.keep);
            }
            if self.is_asking || self.look.is_through {
                break;
            }
            self.look()?;
            // There may be many of which none can be fetched.
            yield_now().await;
        }
        if let Some(due) = self.due
            && self.look.is_through
            && !self.is_paused
        {
            self.wake_at(self.instant_of(due));
        }
        Ok(())
    }

    /// Looks at some of what is wanted, and asks the server about what can be fetched.
    fn look(&mut self) -> Result<(), IngestError> {
        let snapshot = self.store.snapshot()?;
        let rows = snapshot.wanted_before(self.look.place, GLANCE)?;
        let mut jobs = Vec::new();
        self.look.is_through = rows.len() < GLANCE;
        for row in rows {
            self.look.place = Some(row);
            if let Some(job) = self.job(&snapshot, row)?
                && !self.running.contains_key(&row)
                && self.room.fits(row, job.size_bytes)
            {
                jobs.push(job);
            }
            if jobs.len() == BATCH {
                self.look.is_through = false;
                break;
            }
        }
        if !jobs.is_empty() {
            self.is_asking = true;
            self.tasks.spawn(ask(Arc::clone(&self.cloud), jobs));
        }
        Ok(())
    }

    /// What is to be done for a file; nothing for one that is not CloudKit's, or whose next attempt is not due.
    fn job(&mut self, snapshot: &Snapshot, row: RowId) -> Result<Option<Job>, IngestError> {
        let file = snapshot.attachment(row)?.attachment;
        match file.state {
            AttachmentState::Wanted => {}
            AttachmentState::Failed { .. } => {
                let due = snapshot
                    .file_failure(row)?
                    .map(|it| self.due(it.attempts, it.last));
                if let Some(due) = due.filter(|due| *due > self.clock.now()) {
                    self.due = Some(self.due.map_or(due, |first| first.min(due)));
                    return Ok(None);
                }
            }
            AttachmentState::Held { .. }
            | AttachmentState::Missing(_)
            | AttachmentState::Abandoned { .. } => return Ok(None),
        }
        let Some(record) = snapshot.file_record(row)? else {
            return Ok(None);
        };
        let (zone, name) = (
            ZoneName::parse(&record.zone),
            RecordName::parse(&record.name),
        );
        let (Some(zone), Some(name), Some(asset)) = (zone, name, record.asset(FILE)) else {
            return Ok(None);
        };
        Ok(Some(Job {
            row,
            size_bytes: asset.size.or(file.size_bytes).unwrap_or_default(),
            request: FileRequest {
                zone,
                record: name,
                field: FILE.to_owned(),
                asset: asset.clone(),
                instructions: None,
                keys: Arc::clone(&self.keys),
                held: Vec::new(),
            },
            is_known: false,
        }))
    }

    /// When a file is tried again.
    fn due(&self, attempts: u32, last: AppleTime) -> AppleTime {
        let after = usize::try_from(attempts).unwrap_or(usize::MAX).max(1) - 1;
        let wait = ATTACHMENT_WAITS.get(after).or(ATTACHMENT_WAITS.last());
        last.plus(self.cloud.delay(wait.copied().unwrap_or_default()))
    }

    fn instant_of(&self, due: AppleTime) -> Instant {
        let nanos = due.nanos().saturating_sub(self.clock.now().nanos());
        let wait = std::time::Duration::from_nanos(u64::try_from(nanos).unwrap_or(0));
        Instant::now() + wait
    }

    /// Begins to fetch a file, if there is room for it.
    async fn start(
        &mut self,
        job: Job,
        waits: Option<oneshot::Sender<bool>>,
    ) -> Result<(), IngestError> {
        let free = self.store.free_bytes();
        if free.is_some_and(|free| free < self.options.free_floor.saturating_add(job.size_bytes)) {
            tracing::warn!(free_bytes = free, "too little space to fetch files");
            self.pause();
            return Ok(());
        }
        let is_asked_for = waits.is_some();
        let (row, reserved) = (job.row, job.size_bytes);
        let Some(gone) = self.room.reserve(row, reserved, is_asked_for) else {
            return Ok(());
        };
        self.remove(gone).await?;
        self.running.entry(row).or_default().extend(waits);
        self.asked_for += usize::from(is_asked_for);
        let cloud = Arc::clone(&self.cloud);
        let stored = (self.store.clone(), Arc::clone(&self.writer));
        let budget = (!is_asked_for).then(|| Arc::clone(&self.budget));
        self.tasks.spawn(async move {
            Done::File {
                row,
                reserved,
                is_asked_for,
                end: fetch(cloud, stored, budget, job).await,
            }
        });
        Ok(())
    }

    /// Removes what makes room.
    async fn remove(&self, gone: Gone) -> Result<(), StoreError> {
        for row in gone.parts {
            self.writer.apply(move |tx| tx.drop_download(row)).await?;
        }
        for (_, sha256) in gone.blobs {
            self.writer.apply(move |tx| tx.evict(&sha256)).await?;
        }
        Ok(())
    }

    /// Somebody wants a file.
    async fn wish(&mut self, Wish { row, answer }: Wish) -> Result<(), IngestError> {
        if let Some(waiting) = self.running.get_mut(&row) {
            waiting.push(answer);
            return Ok(());
        }
        let snapshot = self.store.snapshot()?;
        let job = match snapshot.attachment(row) {
            Ok(_) => self.job(&snapshot, row)?,
            Err(StoreError::Dangling { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        drop(snapshot);
        let Some(job) = job else {
            return Ok(());
        };
        let asked_about = self.ready.iter().position(|ready| ready.row == row);
        let job = asked_about
            .and_then(|at| self.ready.remove(at))
            .unwrap_or(job);
        if self.asked_for < ATTACHMENTS_ASKED_FOR {
            return self.start(job, Some(answer)).await;
        }
        // Too many at once: it is the next, and who waits asks again.
        self.ready.push_front(job);
        Ok(())
    }

    async fn done(&mut self, done: Result<Done, JoinError>) -> Result<(), IngestError> {
        let done = match done {
            Ok(done) => done,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_cancelled) => return Ok(()),
            },
        };
        let (row, reserved, is_asked_for, end) = match done {
            Done::Asked(answered) => {
                self.is_asking = false;
                match answered {
                    Ok(jobs) => self.ready.extend(jobs),
                    Err(error) => {
                        tracing::warn!(%error, "iCloud does not say where files are");
                        self.pause();
                    }
                }
                return Ok(());
            }
            Done::File {
                row,
                reserved,
                is_asked_for,
                end,
            } => (row, reserved, is_asked_for, end?),
        };
        let came = match &end {
            End::Held(sha256, added) => Some((*sha256, *added)),
            End::Failed { .. } | End::Offline(_) => None,
        };
        self.asked_for -= usize::from(is_asked_for);
        match end {
            End::Held(..) => {
                self.outcome.held += 1;
                self.pauses = 0;
            }
            End::Failed { reason, is_in_vain } => self.count(row, reason, is_in_vain).await?,
            End::Offline(error) => {
                tracing::warn!(%error, "files cannot be fetched now");
                self.pause();
            }
        }
        if let Some(came) = came {
            self.room.came(row, reserved, came);
        } else {
            let part = self.store.snapshot()?.download(row)?;
            let part_bytes = part.map_or(0, |part| part.size_bytes());
            self.room.failed(row, reserved, part_bytes);
        }
        for waiting in self.running.remove(&row).unwrap_or_default() {
            if waiting.send(came.is_some()).is_err() {
                tracing::debug!("nobody waits for a file any more");
            }
        }
        Ok(())
    }

    /// Counts an attempt that failed.
    async fn count(
        &mut self,
        row: RowId,
        reason: String,
        is_in_vain: bool,
    ) -> Result<(), IngestError> {
        tracing::debug!(row = row.0, reason, is_in_vain, "a file did not come");
        self.writer
            .apply(move |tx| tx.fail_file(row, reason, is_in_vain))
            .await?;
        let snapshot = self.store.snapshot()?;
        let state = snapshot.attachment(row)?.attachment.state;
        if let AttachmentState::Abandoned { .. } = state {
            self.outcome.abandoned += 1;
        } else {
            self.outcome.failed += 1;
            // Notes when it is due.
            self.job(&snapshot, row)?;
        }
        Ok(())
    }

    /// Begins nothing for a while.
    fn pause(&mut self) {
        let pause = ATTACHMENT_PAUSES
            .get(self.pauses)
            .or(ATTACHMENT_PAUSES.last());
        let pause = self.cloud.delay(pause.copied().unwrap_or_default());
        if !self.is_paused {
            self.pauses += 1;
        }
        self.is_paused = true;
        self.ready.clear();
        self.wake = Some(Instant::now() + pause);
    }

    /// Looks through all that is wanted once more, at this time if not before.
    fn wake_at(&mut self, at: Instant) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }

    /// The wait is over.
    fn awake(&mut self) {
        self.wake = None;
        self.due = None;
        self.is_paused = false;
        self.look = Look::new(self.options.keep);
        if let Err(error) = self.renew() {
            tracing::warn!(%error, "the session of Messages in iCloud could not be taken up");
        }
    }

    /// Takes up what was imported since, and every key that came.
    fn renew(&mut self) -> Result<(), IngestError> {
        let snapshot = self.store.snapshot()?;
        self.keys = Arc::new(keys(&snapshot)?);
        let account = snapshot.cloud_account()?.ok_or(IngestError::NoSession)?;
        if account.imports != self.imports {
            let session = Session::decode(account.session.expose())?;
            self.cloud = self.connect.connect(&session, &account)?;
            self.imports = account.imports;
            retry_all(self.store)?;
        }
        Ok(())
    }
}

/// Makes every file that failed or was abandoned a wanted one. Answers how many.
///
/// # Errors
///
/// What the store refuses.
pub fn retry_all(store: &Store) -> Result<u64, StoreError> {
    let mut rows = Vec::new();
    for entry in store.snapshot()?.attachments()? {
        let (row, stored) = entry?;
        if matches!(
            stored.attachment.state,
            AttachmentState::Failed { .. } | AttachmentState::Abandoned { .. }
        ) {
            rows.push(row);
        }
    }
    let mut count = 0;
    for rows in rows.chunks(GLANCE) {
        store.write::<StoreError>(|tx| {
            for row in rows {
                count += u64::from(tx.retry_file(*row)?);
            }
            Ok(())
        })?;
    }
    Ok(count)
}

/// All keys of files.
fn keys(snapshot: &Snapshot) -> Result<AssetKeys, StoreError> {
    let mut keys = AssetKeys::default();
    for (_, key) in snapshot.asset_keys()? {
        keys.insert(key);
    }
    Ok(keys)
}

/// Asks for the instructions of several downloads at once. A file about which there is no answer asks for itself.
async fn ask<C: Cloud>(cloud: Arc<C>, mut jobs: Vec<Job>) -> Done {
    let mut by_zone: HashMap<ZoneName, Vec<usize>> = HashMap::new();
    for (at, job) in jobs.iter().enumerate() {
        let zone = job.request.zone.clone();
        by_zone.entry(zone).or_default().push(at);
    }
    for (zone, places) in by_zone {
        let jobs_of = places.iter().filter_map(|at| jobs.get(*at));
        let names: Vec<RecordName> = jobs_of.map(|job| job.request.record.clone()).collect();
        let answers = match cloud.records(&zone, &names, Assets::Prepare).await {
            Ok(answers) => answers,
            Err(error) => return Done::Asked(Err(error)),
        };
        for (at, answer) in places.into_iter().zip(answers) {
            let Some(job) = jobs.get_mut(at) else {
                continue;
            };
            job.is_known = true;
            if let Ok(fetched) = answer {
                job.request.instructions = fetched.instructions(FILE).cloned();
            }
        }
    }
    Done::Asked(Ok(jobs))
}
