//! Passes over all zones: does what the machine of each says, and keeps what comes.

use std::ops::ControlFlow;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::apple::session::Keychain;
use crate::apple::session::Session;
use crate::apple::zone::ZoneKeys;
use crate::base::ids::ChangeToken;
use crate::base::ids::ZoneName;
use crate::base::limits::CLOUD_COMMIT_RECORDS;
use crate::base::limits::CLOUD_GONE_RETRY;
use crate::base::limits::CLOUD_SESSION_POLL;
use crate::base::limits::CLOUD_STALL;
use crate::base::limits::GROUP_WAIT;
use crate::base::limits::RECENTLY_DELETED_BOX;
use crate::base::limits::RECENTLY_DELETED_EVERY;
use crate::base::limits::RECENTLY_DELETED_RETRY;
use crate::base::random;
use crate::base::time::AppleTime;
use crate::base::time::Clock;
use crate::decode::cloudkit::DECODER_VERSION;
use crate::ingest::IngestError;
use crate::ingest::cloudkit::again::Again;
use crate::ingest::cloudkit::again::again;
use crate::ingest::cloudkit::again::keys_of;
use crate::ingest::cloudkit::again::send;
use crate::ingest::cloudkit::feed::Feed;
use crate::ingest::cloudkit::machine::Action;
use crate::ingest::cloudkit::machine::Event;
use crate::ingest::cloudkit::machine::Machine;
use crate::ingest::cloudkit::machine::Paging;
use crate::ingest::cloudkit::machine::Question;
use crate::ingest::cloudkit::machine::State;
use crate::ingest::cloudkit::machine::Stop;
use crate::ingest::cloudkit::open::Opened;
use crate::ingest::cloudkit::open::Opener;
use crate::ingest::cloudkit::schedule::Next;
use crate::ingest::cloudkit::schedule::Schedule;
use crate::model::change::Cursor;
use crate::model::record::CloudZone;
use crate::model::record::SourceKind;
use crate::model::region::Region;
use crate::source::cloudkit::Answers;
use crate::source::cloudkit::ChangesPage;
use crate::source::cloudkit::ChangesRequest;
use crate::source::cloudkit::Cloud;
use crate::source::cloudkit::CloudError;
use crate::source::cloudkit::Reaction;
use crate::source::cloudkit::SetupError;
use crate::store::Pace;
use crate::store::Page;
use crate::store::Store;
use crate::store::Tally;
use crate::store::Writer;
use crate::store::cloud::ZoneStep;
use crate::store::value::CloudAccount;
use crate::store::value::Ended;
use crate::store::value::ZoneState;

/// Reaches iCloud with an imported session.
pub trait Connect: Send + std::marker::Sync {
    /// What it reaches.
    type Cloud: Cloud;

    /// Reaches it. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`SetupError`] for a session that cannot be used.
    fn connect(
        &self,
        session: &Session,
        account: &CloudAccount,
    ) -> Result<Arc<Self::Cloud>, SetupError>;
}

/// How a sync is done.
#[derive(Clone, Debug)]
pub struct Options {
    /// The region by which local numbers are read; `None` to find it out (D10).
    pub region: Option<Region>,
    /// How much goes into one commit.
    pub pace: Pace,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            region: None,
            pace: Pace {
                rows: CLOUD_COMMIT_RECORDS,
                wait: GROUP_WAIT,
            },
        }
    }
}

/// How a pass ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All of every zone is stored.
    Complete,
    /// All messages are, and something else is not.
    Degraded,
    /// Messages or chats could not be read to their end.
    Failed,
    /// The session is not accepted any more.
    Blocked,
    /// It was told to stop.
    Cancelled,
}

/// What a pass did to one zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneReport {
    /// The zone.
    pub zone: CloudZone,
    /// How it ended.
    pub ended: Ended,
    /// Pages that came.
    pub pages: u32,
    /// Changes in them.
    pub changes: u64,
    /// Changes that no key opened.
    pub closed: u64,
}

/// What a pass did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// How it ended.
    pub outcome: Outcome,
    /// Zone by zone, in their order. Those that were not due are not here.
    pub zones: Vec<ZoneReport>,
    /// What was stored.
    pub tally: Tally,
}

/// Is told of every page, and says whether to go on.
pub type OnPage<'a> = &'a (dyn Fn(&ZoneReport) -> ControlFlow<()> + std::marker::Sync);

/// Syncs one archive with one account. There is one pass at a time (SC-2).
pub struct Sync<C: Connect> {
    store: Store,
    clock: Arc<dyn Clock>,
    connect: C,
    options: Options,
    line: Option<Line<C::Cloud>>,
    /// The import whose keys were tried on everything that is sealed.
    tried: Option<u32>,
}

/// A session in use.
struct Line<C> {
    cloud: Arc<C>,
    keychain: Arc<Keychain>,
    handles: Vec<String>,
    /// Which import it is.
    imports: u32,
}

impl<C> Clone for Line<C> {
    fn clone(&self) -> Self {
        Self {
            cloud: Arc::clone(&self.cloud),
            keychain: Arc::clone(&self.keychain),
            handles: self.handles.clone(),
            imports: self.imports,
        }
    }
}

impl<C: Connect> Sync<C> {
    /// Of an archive.
    pub fn new(store: Store, clock: Arc<dyn Clock>, connect: C, options: Options) -> Self {
        Self {
            store,
            clock,
            connect,
            options,
            line: None,
            tried: None,
        }
    }

    /// Does passes until it is told to stop: one at once, then as the schedule says. `on_pass` is told how each ended.
    ///
    /// # Errors
    ///
    /// What the store refuses; [`IngestError::NoSession`] and [`IngestError::Session`] before the first pass.
    ///
    /// # Cancel safety
    ///
    /// What was stored stays, and another pass goes on there.
    pub async fn follow(
        &mut self,
        stop: &CancellationToken,
        on_page: OnPage<'_>,
        on_pass: &(dyn Fn(&Report) + std::marker::Sync),
    ) -> Result<(), IngestError> {
        let mut schedule = Schedule::default();
        loop {
            let report = self.pass(stop, on_page).await?;
            on_pass(&report);
            match schedule.next(report.outcome, jitter()) {
                Next::Never => return Ok(()),
                Next::After(wait) => {
                    let wait = self.line()?.cloud.delay(wait);
                    if !self.wait(wait, stop).await? {
                        return Ok(());
                    }
                }
                Next::Session => {
                    while !self.renew()? {
                        let wait = self.line()?.cloud.delay(CLOUD_SESSION_POLL);
                        if stop.run_until_cancelled(sleep(wait)).await.is_none() {
                            return Ok(());
                        }
                    }
                }
            }
        }
    }

    /// Waits, but not longer than until another session is imported: its keys are tried at once. Says whether to go on.
    async fn wait(
        &mut self,
        wait: Duration,
        stop: &CancellationToken,
    ) -> Result<bool, IngestError> {
        let mut left = wait;
        while !left.is_zero() {
            let part = left.min(CLOUD_SESSION_POLL);
            if stop.run_until_cancelled(sleep(part)).await.is_none() {
                return Ok(false);
            }
            left = left.saturating_sub(part);
            if self.renew()? {
                break;
            }
        }
        Ok(true)
    }

    /// One pass over every zone that is due. Clients see what it brings at its end (D20).
    ///
    /// # Errors
    ///
    /// What the store refuses; [`IngestError::NoSession`], [`IngestError::Session`]. What iCloud refuses is in the report.
    ///
    /// # Cancel safety
    ///
    /// As [`Self::follow`].
    pub async fn pass(
        &mut self,
        stop: &CancellationToken,
        on_page: OnPage<'_>,
    ) -> Result<Report, IngestError> {
        // Boxed: what a pass keeps while it waits is much.
        Box::pin(self.pass_over_zones(stop, on_page)).await
    }

    async fn pass_over_zones(
        &mut self,
        stop: &CancellationToken,
        on_page: OnPage<'_>,
    ) -> Result<Report, IngestError> {
        self.renew()?;
        let line = self.line()?;
        let mut report = Report {
            outcome: Outcome::Complete,
            zones: Vec::new(),
            tally: Tally::default(),
        };
        if self.tried != Some(line.imports) {
            report.tally += self.look_again(&line).await?;
        }
        let snapshot = self.store.snapshot()?;
        let was_complete = snapshot.cursor(SourceKind::CloudKit)?.is_some();
        let mut pass = Pass {
            feed: Some(Feed::new(&snapshot, &line.handles, self.options.region)?),
            writer: Arc::new(self.store.writer(self.options.pace)),
            on_page,
            is_stopped: false,
        };
        drop(snapshot);
        if let Some(first) = pass.feed.as_ref().and_then(Feed::first) {
            pass.send(first).await?;
        }
        for zone in CloudZone::ALL {
            let state = self.store.snapshot()?.zone(zone)?;
            if !is_due(zone, &state, self.clock.now(), |span| {
                line.cloud.delay(span)
            }) {
                continue;
            }
            let was_new = state.pages == 0;
            let found = self.zone(&mut pass, zone, state, stop).await?;
            report.tally += pass.flush().await?;
            tracing::info!(
                zone = zone.name(),
                pages = found.pages,
                changes = found.changes,
                closed = found.closed,
                ended = ?found.ended,
                "zone read"
            );
            if zone == CloudZone::Messages && was_new && found.changes == found.closed {
                // No success to be silent about (SC-7).
                tracing::warn!(
                    closed = found.closed,
                    "the first pass brought no message: are the keys of Messages imported?"
                );
            }
            report.outcome = if pass.is_stopped {
                Outcome::Cancelled
            } else {
                worse(report.outcome, verdict(zone, &found.ended, stop))
            };
            report.zones.push(found);
            match report.outcome {
                Outcome::Complete | Outcome::Degraded => {}
                Outcome::Failed | Outcome::Blocked | Outcome::Cancelled => break,
            }
        }
        if let Some(last) = pass.feed.as_mut().and_then(Feed::last) {
            pass.send(last).await?;
        }
        let is_good = matches!(report.outcome, Outcome::Complete | Outcome::Degraded);
        if is_good || was_complete {
            pass.send(end_of_pass()).await?;
        }
        report.tally += pass.flush().await?;
        let line = self.line()?;
        if self.tried != Some(line.imports) || report.zones.iter().any(|zone| zone.closed > 0) {
            // Keys can have come in the midst of the pass.
            report.tally += self.look_again(&line).await?;
        }
        Ok(report)
    }

    /// The session in use.
    fn line(&mut self) -> Result<Line<C::Cloud>, IngestError> {
        if self.line.is_none() {
            self.renew()?;
        }
        self.line.clone().ok_or(IngestError::NoSession)
    }

    /// Takes up the imported session if it is another than the one in use, and says whether it is.
    fn renew(&mut self) -> Result<bool, IngestError> {
        let account = self.store.snapshot()?.cloud_account()?;
        let account = account.ok_or(IngestError::NoSession)?;
        let used = self.line.as_ref().map(|line| line.imports);
        if used == Some(account.imports) {
            return Ok(false);
        }
        let session = Session::decode(account.session.expose())?;
        let keychain = Keychain::read(&session.items);
        for (item, error) in &keychain.unreadable {
            tracing::warn!(%item, %error, "could not read an item of the keychain");
        }
        self.line = Some(Line {
            cloud: self.connect.connect(&session, &account)?,
            keychain: Arc::new(keychain),
            handles: session.handles,
            imports: account.imports,
        });
        Ok(used.is_some())
    }

    /// Opens what is sealed, and decodes what another version decoded.
    async fn look_again(&mut self, line: &Line<C::Cloud>) -> Result<Tally, IngestError> {
        self.tried = Some(line.imports);
        let snapshot = self.store.snapshot()?;
        let before = snapshot.cursor(SourceKind::CloudKit)?;
        let is_outdated = before.is_some_and(|cursor| cursor.inputs != inputs());
        if !is_outdated && snapshot.quarantine()?.is_empty() {
            return Ok(Tally::default());
        }
        let which = if is_outdated {
            Again::Outdated
        } else {
            Again::Sealed
        };
        let (store, keychain) = (self.store.clone(), Arc::clone(&line.keychain));
        off_thread(move || again(&store, which, &keychain)).await?
    }

    /// Reads a zone from the stored position to its end, as the machine says.
    async fn zone(
        &mut self,
        pass: &mut Pass<'_>,
        zone: CloudZone,
        state: ZoneState,
        stop: &CancellationToken,
    ) -> Result<ZoneReport, IngestError> {
        let line = self.line()?;
        let stop = stop.child_token();
        let reading = self.read_zone(pass, zone, state, &stop);
        if !zone.is_recently_deleted() {
            return reading.await;
        }
        let mut reading = std::pin::pin!(reading);
        let limit = line.cloud.delay(RECENTLY_DELETED_BOX);
        match timeout(limit, &mut reading).await {
            Ok(found) => found,
            Err(_over) => {
                stop.cancel();
                reading.await
            }
        }
    }

    async fn read_zone(
        &mut self,
        pass: &mut Pass<'_>,
        zone: CloudZone,
        state: ZoneState,
        stop: &CancellationToken,
    ) -> Result<ZoneReport, IngestError> {
        let mut line = self.line()?;
        let keys = state
            .protection
            .as_ref()
            .and_then(|zone| keys_of(&zone.0, &line.keychain));
        let has_keys = keys.is_some();
        let mut reading = Reading::new(zone, state.position(), pass.opener(zone, keys));
        let mut machine = Machine::new();
        let mut event = Event::Start { has_keys };
        loop {
            if stop.is_cancelled() {
                event = Event::Cancelled;
            }
            let action = machine.on(event, jitter());
            event = match action {
                Action::Ask(Question::Zone) | Action::Refresh => {
                    reading.ask_zone(&*line.cloud, stop).await
                }
                Action::KeepAndAsk => {
                    reading.keep(pass, &line.keychain).await?;
                    reading
                        .ask_page(&*line.cloud, stop, machine.refreshes)
                        .await?
                }
                Action::Ask(Question::Page) => {
                    if reading.described.is_some() {
                        reading.keep(pass, &line.keychain).await?;
                    }
                    reading
                        .ask_page(&*line.cloud, stop, machine.refreshes)
                        .await?
                }
                Action::OpenAnyway => {
                    if reading.described.is_some() {
                        reading.keep(pass, &line.keychain).await?;
                        reading.open().await?;
                    }
                    Event::Page(reading.paging())
                }
                Action::StoreAndAsk => {
                    reading.store(pass).await?;
                    if pass.is_stopped {
                        Event::Cancelled
                    } else {
                        reading
                            .ask_page(&*line.cloud, stop, machine.refreshes)
                            .await?
                    }
                }
                Action::StoreAndWait(wait) => {
                    reading.store(pass).await?;
                    pause(line.cloud.delay(wait), stop).await
                }
                Action::Wait(wait) => pause(line.cloud.delay(wait), stop).await,
                Action::ResetAndAsk => {
                    tracing::warn!(zone = zone.name(), "zone begun again");
                    reading.token = None;
                    pass.send(Feed::step(zone, ZoneStep::Reset)).await?;
                    reading
                        .ask_page(&*line.cloud, stop, machine.refreshes)
                        .await?
                }
                Action::Renew => {
                    if self.renew()? {
                        line = self.line()?;
                        Event::Renewed
                    } else {
                        Event::NotRenewed
                    }
                }
                Action::StoreAndEnd => {
                    reading.store(pass).await?;
                    break;
                }
                Action::End | Action::None => break,
            };
        }
        let State::Ended(why) = machine.state else {
            return Err(IngestError::Stopped);
        };
        reading.report.ended = ended(why, reading.reason);
        let end = ZoneStep::End(reading.report.ended.clone());
        pass.send(Feed::step(zone, end)).await?;
        Ok(reading.report)
    }
}

/// What a pass works with.
struct Pass<'a> {
    /// Taken while another thread has it.
    feed: Option<Feed>,
    writer: Arc<Writer>,
    on_page: OnPage<'a>,
    /// Whether who is told of pages wants no more.
    is_stopped: bool,
}

impl Pass<'_> {
    fn opener(&self, zone: CloudZone, keys: Option<ZoneKeys>) -> Option<Opener> {
        Some(self.feed.as_ref()?.opener(zone, keys))
    }

    /// Hands a page to the writer, waiting elsewhere while too much waits already.
    async fn send(&self, page: Page) -> Result<(), IngestError> {
        let writer = Arc::clone(&self.writer);
        off_thread(move || send(&writer, page)).await?
    }

    async fn flush(&self) -> Result<Tally, IngestError> {
        let writer = Arc::clone(&self.writer);
        Ok(off_thread(move || writer.flush()).await??)
    }
}

/// A zone that is being read.
struct Reading {
    report: ZoneReport,
    token: Option<ChangeToken>,
    /// Taken while another thread has it.
    opener: Option<Opener>,
    /// The page in hand.
    page: Option<ChangesPage>,
    /// What was opened of it.
    opened: Option<Opened>,
    /// The zone as the server described it just now.
    described: Option<Vec<u8>>,
    /// What the last failure was.
    reason: String,
}

impl Reading {
    fn new(zone: CloudZone, token: Option<ChangeToken>, opener: Option<Opener>) -> Self {
        Self {
            report: ZoneReport {
                zone,
                ended: Ended::Never,
                pages: 0,
                changes: 0,
                closed: 0,
            },
            token,
            opener,
            page: None,
            opened: None,
            described: None,
            reason: String::new(),
        }
    }

    fn zone(&self) -> CloudZone {
        self.report.zone
    }

    async fn ask_zone(&mut self, cloud: &impl Cloud, stop: &CancellationToken) -> Event {
        let names = zone_names(self.zone());
        match one(cloud, stop, cloud.zones(&names)).await {
            Answer::Is(answer) => {
                self.described = Some(answer.zone.write());
                Event::Described
            }
            Answer::Failed(error) => self.failed(&error),
            Answer::Stalled => self.stalled(),
            Answer::Cancelled => Event::Cancelled,
        }
    }

    async fn ask_page(
        &mut self,
        cloud: &impl Cloud,
        stop: &CancellationToken,
        refreshes: u32,
    ) -> Result<Event, IngestError> {
        let requests: Vec<ChangesRequest> = zone_names(self.zone())
            .into_iter()
            .map(|zone| ChangesRequest {
                zone,
                token: self.token.clone(),
                newest_first: false,
            })
            .collect();
        match one(cloud, stop, cloud.changes(&requests)).await {
            Answer::Is(page) => self.page = Some(page),
            Answer::Failed(error) => return Ok(self.failed(&error)),
            Answer::Stalled => return Ok(self.stalled()),
            Answer::Cancelled => return Ok(Event::Cancelled),
        }
        self.open().await?;
        let lacks_key = self.opened.as_ref().is_some_and(|opened| opened.closed > 0);
        Ok(if lacks_key && refreshes == 0 {
            Event::LacksKey
        } else {
            Event::Page(self.paging())
        })
    }

    fn failed(&mut self, error: &CloudError) -> Event {
        self.reason = error.to_string();
        let reaction = error.reaction();
        if reaction == Reaction::ZoneGone && is_extra(self.zone()) {
            // Most accounts have none of these.
            tracing::debug!(zone = self.zone().name(), "there is no such zone");
        } else {
            tracing::warn!(zone = self.zone().name(), %error, "iCloud did not answer well");
        }
        Event::Failed(reaction)
    }

    fn stalled(&mut self) -> Event {
        "iCloud did not answer at all".clone_into(&mut self.reason);
        tracing::warn!(zone = self.zone().name(), "iCloud did not answer");
        Event::Failed(Reaction::Wait(None))
    }

    /// What the page in hand says of what comes after it.
    fn paging(&self) -> Paging {
        let Some(page) = &self.page else {
            return Paging::NoToken;
        };
        let is_later = self.report.pages > 0 || page.changes.is_empty();
        match &page.token {
            _ if page.is_last => Paging::Last,
            None => Paging::NoToken,
            Some(token) if self.token.as_ref() == Some(token) && is_later => Paging::SameToken,
            Some(_) => Paging::More,
        }
    }

    /// Opens the page in hand with the keys that are held.
    async fn open(&mut self) -> Result<(), IngestError> {
        let (Some(mut opener), Some(page)) = (self.opener.take(), &self.page) else {
            return Ok(());
        };
        let changes = page.changes.clone();
        let (opener, found) = off_thread(move || {
            let found = opener.open(&changes);
            (opener, found)
        })
        .await?;
        self.opener = Some(opener);
        self.opened = Some(found?);
        Ok(())
    }

    /// Keeps the zone as it was described, and its keys.
    async fn keep(&mut self, pass: &Pass<'_>, keychain: &Keychain) -> Result<(), IngestError> {
        let Some(described) = self.described.take() else {
            return Ok(());
        };
        if let Some(opener) = &mut self.opener {
            opener.set_keys(keys_of(&described, keychain));
        }
        let step = ZoneStep::Described(described);
        pass.send(Feed::step(self.zone(), step)).await
    }

    /// Hands the page in hand to the writer, with the position behind it.
    async fn store(&mut self, pass: &mut Pass<'_>) -> Result<(), IngestError> {
        let (Some(page), Some(opened)) = (self.page.take(), self.opened.take()) else {
            return Ok(());
        };
        self.report.pages += 1;
        self.report.changes += opened.items.len() as u64;
        self.report.closed += opened.closed;
        let step = ZoneStep::Forward(page.token.clone());
        if page.token.is_some() {
            self.token = page.token;
        }
        if let Some(mut feed) = pass.feed.take() {
            let (zone, writer) = (self.zone(), Arc::clone(&pass.writer));
            let (feed, sent) = off_thread(move || {
                let page = feed.page(zone, opened, step);
                (feed, send(&writer, page))
            })
            .await?;
            pass.feed = Some(feed);
            sent?;
        }
        pass.is_stopped |= (pass.on_page)(&self.report).is_break();
        Ok(())
    }
}

/// What became of a question.
enum Answer<T> {
    Is(T),
    Failed(CloudError),
    Stalled,
    Cancelled,
}

/// The answer to one question of a call.
async fn one<T>(
    cloud: &impl Cloud,
    stop: &CancellationToken,
    call: impl Future<Output = Answers<T>>,
) -> Answer<T> {
    let limit = cloud.delay(CLOUD_STALL);
    let answers = match stop.run_until_cancelled(timeout(limit, call)).await {
        None => return Answer::Cancelled,
        Some(Err(_elapsed)) => return Answer::Stalled,
        Some(Ok(answers)) => answers,
    };
    match answers.map(|answers| answers.into_iter().next()) {
        Ok(Some(Ok(answer))) => Answer::Is(answer),
        Ok(Some(Err(error))) | Err(error) => Answer::Failed(error),
        Ok(None) => Answer::Failed(CloudError::Unanswered),
    }
}

fn zone_names(zone: CloudZone) -> Vec<ZoneName> {
    ZoneName::parse(zone.name()).into_iter().collect()
}

/// Waits, unless it is to stop.
async fn pause(wait: Duration, stop: &CancellationToken) -> Event {
    match stop.run_until_cancelled(sleep(wait)).await {
        Some(()) => Event::TimeUp,
        None => Event::Cancelled,
    }
}

/// Does work that blocks on a thread for that. Its panic is passed on: a page is never given up silently (SC-22).
async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, IngestError> {
    match spawn_blocking(work).await {
        Ok(done) => Ok(done),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            Err(_shut_down) => Err(IngestError::Stopped),
        },
    }
}

/// Whether a zone is one that most accounts do not have.
fn is_extra(zone: CloudZone) -> bool {
    match zone {
        CloudZone::BotAttachments | CloudZone::BotMessages | CloudZone::BotRecentlyDeleted => true,
        CloudZone::Attachments
        | CloudZone::Chats
        | CloudZone::Messages
        | CloudZone::RecentlyDeleted => false,
    }
}

/// Whether a pass reads a zone. `delay` is how long the gateway wants a time to be.
fn is_due(
    zone: CloudZone,
    state: &ZoneState,
    now: AppleTime,
    delay: impl Fn(Duration) -> Duration,
) -> bool {
    let is_past =
        |since: Option<AppleTime>, span| since.is_none_or(|at| now >= at.plus(delay(span)));
    if is_extra(zone) && state.ended == Ended::Gone && !is_past(state.ended_at, CLOUD_GONE_RETRY) {
        return false;
    }
    if !zone.is_recently_deleted() {
        return true;
    }
    match state.ended {
        Ended::CaughtUp | Ended::TokenUnchanged => is_past(state.caught_up, RECENTLY_DELETED_EVERY),
        // Its time may have been over, or there is more.
        Ended::Never | Ended::Gone | Ended::Cancelled | Ended::PageCap => true,
        Ended::Errors(_) | Ended::Blocked => is_past(state.ended_at, RECENTLY_DELETED_RETRY),
    }
}

fn ended(stop: Stop, reason: String) -> Ended {
    match stop {
        Stop::CaughtUp => Ended::CaughtUp,
        Stop::TokenUnchanged => Ended::TokenUnchanged,
        Stop::PageCap => Ended::PageCap,
        Stop::Errors if reason.is_empty() => {
            Ended::Errors("iCloud gives no position to go on from".to_owned())
        }
        Stop::Errors => Ended::Errors(reason),
        Stop::Cancelled => Ended::Cancelled,
        Stop::Gone => Ended::Gone,
        Stop::Blocked => Ended::Blocked,
    }
}

/// What the end of a zone means for its pass (SC-17).
fn verdict(zone: CloudZone, ended: &Ended, stop: &CancellationToken) -> Outcome {
    let is_needed = matches!(zone, CloudZone::Chats | CloudZone::Messages);
    match ended {
        Ended::CaughtUp | Ended::TokenUnchanged => Outcome::Complete,
        Ended::Gone if !is_needed => Outcome::Complete,
        Ended::Blocked => Outcome::Blocked,
        Ended::Cancelled if stop.is_cancelled() || is_needed => Outcome::Cancelled,
        Ended::Never | Ended::PageCap | Ended::Errors(_) | Ended::Gone if is_needed => {
            Outcome::Failed
        }
        Ended::Never | Ended::PageCap | Ended::Errors(_) | Ended::Cancelled | Ended::Gone => {
            Outcome::Degraded
        }
    }
}

fn worse(a: Outcome, b: Outcome) -> Outcome {
    if a == Outcome::Complete {
        b
    } else if b == Outcome::Complete {
        a
    } else {
        b
    }
}

/// What an end of a pass remembers: another decoder later decodes everything again, without a download.
fn inputs() -> [u8; 32] {
    let mut inputs = [0; 32];
    if let Some(version) = inputs.first_chunk_mut() {
        *version = DECODER_VERSION.to_le_bytes();
    }
    inputs
}

fn end_of_pass() -> Page {
    Page {
        cursor: Some(Cursor {
            inputs: inputs(),
            scanned: None,
        }),
        ..Page::default()
    }
}

/// A number from 0 to 1, to spread waits; the middle where no random one is to be had.
fn jitter() -> f64 {
    match random::bytes::<1>() {
        Ok([byte]) => f64::from(byte) / f64::from(u8::MAX),
        Err(_none) => 0.5,
    }
}
