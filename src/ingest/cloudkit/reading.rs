//! One zone as it is read: a question, its answer, and what becomes of it. `machine` says which question is next.

use std::sync::Arc;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::apple::session::Keychain;
use crate::apple::zone::ZoneKeys;
use crate::base::ids::ChangeToken;
use crate::base::ids::ZoneName;
use crate::base::limits::CLOUD_STALL;
use crate::ingest::IngestError;
use crate::ingest::cloudkit::again::keys_of;
use crate::ingest::cloudkit::again::send;
use crate::ingest::cloudkit::feed::Feed;
use crate::ingest::cloudkit::machine::Event;
use crate::ingest::cloudkit::machine::Paging;
use crate::ingest::cloudkit::open::Opened;
use crate::ingest::cloudkit::open::Opener;
use crate::ingest::cloudkit::sync::OnPage;
use crate::ingest::cloudkit::sync::ZoneReport;
use crate::ingest::threads::off_thread;
use crate::model::record::CloudZone;
use crate::source::cloudkit::Answers;
use crate::source::cloudkit::ChangesPage;
use crate::source::cloudkit::ChangesRequest;
use crate::source::cloudkit::Cloud;
use crate::source::cloudkit::CloudError;
use crate::source::cloudkit::Reaction;
use crate::store::Page;
use crate::store::Store;
use crate::store::StoreError;
use crate::store::Tally;
use crate::store::Writer;
use crate::store::cloud::Footing;
use crate::store::cloud::ZoneStep;
use crate::store::value::Ended;

/// What a pass works with.
pub(super) struct Pass<'a> {
    pub(super) store: Store,
    /// Taken while another thread has it.
    pub(super) feed: Option<Feed>,
    pub(super) writer: Arc<Writer>,
    pub(super) on_page: OnPage<'a>,
    /// Whether who is told of pages wants no more.
    pub(super) is_stopped: bool,
    /// Whether it is noted that a zone is begun.
    pub(super) is_guarded: bool,
    /// What was stored so far.
    pub(super) tally: Tally,
}

impl Pass<'_> {
    pub(super) fn opener(&self, zone: CloudZone, keys: Option<ZoneKeys>) -> Option<Opener> {
        Some(self.feed.as_ref()?.opener(zone, keys))
    }

    /// Hands a page to the writer, waiting elsewhere while too much waits already.
    pub(super) async fn send(&self, page: Page) -> Result<(), IngestError> {
        let writer = Arc::clone(&self.writer);
        off_thread(move || send(&writer, page)).await?
    }

    pub(super) async fn flush(&mut self) -> Result<(), IngestError> {
        let writer = Arc::clone(&self.writer);
        self.tally += off_thread(move || writer.flush()).await??;
        Ok(())
    }

    /// Notes that a zone is begun, and says how to read it.
    pub(super) async fn begin(&self, zone: CloudZone) -> Result<Footing, IngestError> {
        if !self.is_guarded {
            return Ok(Footing::Usual);
        }
        let store = self.store.clone();
        let footing = off_thread(move || {
            let mut footing = Footing::Usual;
            store.write::<StoreError>(|tx| {
                footing = tx.begin_zone(zone)?;
                Ok(())
            })?;
            Ok::<_, StoreError>(footing)
        });
        let footing = footing.await??;
        match footing {
            Footing::Usual => {}
            Footing::PageByPage => {
                tracing::warn!(
                    zone = zone.name(),
                    "the program died here, reading page by page"
                );
            }
            Footing::SetAside => {
                tracing::error!(
                    zone = zone.name(),
                    "the program died of a page again, setting it aside"
                );
            }
        }
        Ok(footing)
    }
}

/// A zone that is being read.
pub(super) struct Reading {
    pub(super) report: ZoneReport,
    pub(super) token: Option<ChangeToken>,
    /// Taken while another thread has it.
    opener: Option<Opener>,
    /// The page in hand.
    page: Option<ChangesPage>,
    /// What was opened of it.
    opened: Option<Opened>,
    /// The zone as the server described it just now.
    pub(super) described: Option<Vec<u8>>,
    /// What the last failure was.
    pub(super) reason: String,
    pub(super) footing: Footing,
}

impl Reading {
    pub(super) fn new(zone: CloudZone, token: Option<ChangeToken>, opener: Option<Opener>) -> Self {
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
            footing: Footing::Usual,
        }
    }

    pub(super) fn zone(&self) -> CloudZone {
        self.report.zone
    }

    pub(super) async fn ask_zone(&mut self, cloud: &impl Cloud, stop: &CancellationToken) -> Event {
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

    pub(super) async fn ask_page(
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

    pub(super) fn failed(&mut self, error: &CloudError) -> Event {
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

    pub(super) fn stalled(&mut self) -> Event {
        "iCloud did not answer at all".clone_into(&mut self.reason);
        tracing::warn!(zone = self.zone().name(), "iCloud did not answer");
        Event::Failed(Reaction::Wait(None))
    }

    /// What the page in hand says of what comes after it.
    pub(super) fn paging(&self) -> Paging {
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
    pub(super) async fn open(&mut self) -> Result<(), IngestError> {
        let (Some(mut opener), Some(page)) = (self.opener.take(), &self.page) else {
            return Ok(());
        };
        if self.footing == Footing::SetAside {
            self.opened = Some(Opener::set_aside(&page.changes));
            self.opener = Some(opener);
            return Ok(());
        }
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
    pub(super) async fn keep(
        &mut self,
        pass: &Pass<'_>,
        keychain: &Keychain,
    ) -> Result<(), IngestError> {
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
    pub(super) async fn store(&mut self, pass: &mut Pass<'_>) -> Result<(), IngestError> {
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
        if self.footing != Footing::Usual {
            pass.flush().await?;
            self.footing = Footing::PageByPage;
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
        // Connections end with whoever asks.
        Ok(Some(Err(_)) | None) | Err(_) if stop.is_cancelled() => Answer::Cancelled,
        Ok(Some(Err(error))) | Err(error) => Answer::Failed(error),
        Ok(None) => Answer::Failed(CloudError::Unanswered),
    }
}

fn zone_names(zone: CloudZone) -> Vec<ZoneName> {
    ZoneName::parse(zone.name()).into_iter().collect()
}

/// Whether a zone is one that most accounts do not have.
pub(super) fn is_extra(zone: CloudZone) -> bool {
    match zone {
        CloudZone::BotAttachments | CloudZone::BotMessages | CloudZone::BotRecentlyDeleted => true,
        CloudZone::Attachments
        | CloudZone::Chats
        | CloudZone::Messages
        | CloudZone::RecentlyDeleted => false,
    }
}
