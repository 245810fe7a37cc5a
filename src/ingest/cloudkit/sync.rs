//! Passes over all zones: does what the machine of each says, and keeps what comes.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::apple::session::Keychain;
use crate::apple::session::Session;
use crate::base::limits::CLOUD_COMMIT_RECORDS;
use crate::base::limits::CLOUD_GONE_RETRY;
use crate::base::limits::CLOUD_SESSION_POLL;
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
use crate::ingest::cloudkit::feed::Feed;
use crate::ingest::cloudkit::machine::Action;
use crate::ingest::cloudkit::machine::Event;
use crate::ingest::cloudkit::machine::Machine;
use crate::ingest::cloudkit::machine::Question;
use crate::ingest::cloudkit::machine::State;
use crate::ingest::cloudkit::machine::Stop;
use crate::ingest::cloudkit::reading::Pass;
use crate::ingest::cloudkit::reading::Reading;
use crate::ingest::cloudkit::reading::is_extra;
use crate::ingest::cloudkit::schedule::Next;
use crate::ingest::cloudkit::schedule::Schedule;
use crate::ingest::threads::off_thread;
use crate::model::change::Cursor;
use crate::model::record::CloudZone;
use crate::model::record::SourceKind;
use crate::model::region::Region;
use crate::source::cloudkit::Cloud;
use crate::source::cloudkit::SetupError;
use crate::store::Pace;
use crate::store::Page;
use crate::store::Store;
use crate::store::StoreError;
use crate::store::Tally;
use crate::store::Transaction;
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
    /// Whether the guard against a page that ends the program stands also once everything was read (SC-23a). It costs a
    /// commit a zone.
    pub is_guarded: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            region: None,
            pace: Pace {
                rows: CLOUD_COMMIT_RECORDS,
                wait: GROUP_WAIT,
            },
            is_guarded: false,
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
        let ended = Box::pin(self.pass_over_zones(stop, on_page)).await;
        if ended.is_err() {
            // An error is no death. Where the store refuses this too, it refuses the next note as well.
            let forget = |tx: &mut Transaction<'_>| {
                CloudZone::ALL
                    .into_iter()
                    .try_for_each(|zone| tx.end_zone(zone))
            };
            drop(self.store.write::<StoreError>(forget));
        }
        ended
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
            store: self.store.clone(),
            feed: Some(Feed::new(&snapshot, &line.handles, self.options.region)?),
            writer: Arc::new(self.store.writer(self.options.pace)),
            on_page,
            is_stopped: false,
            is_guarded: !was_complete || self.options.is_guarded,
            tally: Tally::default(),
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
            pass.flush().await?;
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
        pass.flush().await?;
        report.tally += pass.tally;
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
        reading.footing = pass.begin(zone).await?;
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

/// Waits, unless it is to stop.
async fn pause(wait: Duration, stop: &CancellationToken) -> Event {
    match stop.run_until_cancelled(sleep(wait)).await {
        Some(()) => Event::TimeUp,
        None => Event::Cancelled,
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
