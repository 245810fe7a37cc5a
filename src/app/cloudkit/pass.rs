//! How iCloud is reached, and one pass from the command line.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;

use crate::app::AppError;
use crate::app::Archive;
use crate::app::settings::CloudSettings;
use crate::app::settings::Settings;
use crate::apple::session::Device;
use crate::apple::session::Session;
use crate::base::error::Class;
use crate::base::error::Explain;
use crate::base::limits::STOP_DEADLINE;
use crate::base::tasks::TaskGroup;
use crate::ingest::IngestError;
use crate::ingest::cloudkit::Connect;
use crate::ingest::cloudkit::OnPage;
use crate::ingest::cloudkit::Options;
use crate::ingest::cloudkit::Outcome;
use crate::ingest::cloudkit::Report;
use crate::ingest::cloudkit::Sync;
use crate::model::record::CloudZone;
use crate::model::region::Region;
use crate::net::client::Roots;
use crate::source::cloudkit::Client;
use crate::source::cloudkit::Cloud;
use crate::source::cloudkit::Gateway;
use crate::source::cloudkit::SetupError;
use crate::store::Transaction;
use crate::store::value::CloudAccount;
use crate::store::value::Ended;

/// Why a pass did not read everything.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PassError {
    /// The session is not accepted any more (D31).
    #[error("iCloud does not accept the imported session any more")]
    Blocked,
    /// Messages in iCloud is switched off, or emptied.
    #[error("there are no messages in this account's iCloud any more")]
    Gone,
    /// A zone without which there are no messages could not be read to its end.
    #[error("cannot read the {what} in iCloud to their end: {reason}")]
    Cut {
        /// What is in the zone.
        what: &'static str,
        /// Why not.
        reason: String,
    },
    /// It was told to stop.
    #[error("the sync was stopped; the next one goes on there")]
    Stopped,
}

impl PassError {
    /// Why a pass did not read everything; `None` for one that did, or lacks only what is joined later.
    pub fn of(report: &Report) -> Option<Self> {
        match report.outcome {
            Outcome::Complete | Outcome::Degraded => return None,
            Outcome::Blocked => return Some(Self::Blocked),
            Outcome::Cancelled => return Some(Self::Stopped),
            Outcome::Failed => {}
        }
        let last = report.zones.last();
        Some(match last.map(|zone| (zone.zone, &zone.ended)) {
            Some((_, Ended::Gone)) => Self::Gone,
            Some((zone, Ended::Errors(reason))) => Self::Cut {
                what: zone_content(zone),
                reason: reason.clone(),
            },
            Some((zone, _)) => Self::Cut {
                what: zone_content(zone),
                reason: "there is more than one pass may read".to_owned(),
            },
            None => Self::Stopped,
        })
    }
}

impl Explain for PassError {
    fn class(&self) -> Class {
        match self {
            Self::Blocked | Self::Gone => Class::Owner,
            Self::Cut { .. } | Self::Stopped => Class::Retry,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Blocked => {
                "it has expired or was ended: sign in again where it was made,\n\
                 then run `footbridge cloudkit import <session.json>`"
            }
            Self::Gone => {
                "Messages in iCloud is switched off, or what it held was removed; the archive keeps what it has"
            }
            Self::Cut { .. } | Self::Stopped => return None,
        };
        Some(hint.to_owned())
    }
}

/// What is in a zone, in words.
pub const fn zone_content(zone: CloudZone) -> &'static str {
    match zone {
        CloudZone::Attachments => "attachments",
        CloudZone::Chats => "conversations",
        CloudZone::Messages => "messages",
        CloudZone::RecentlyDeleted => "recently deleted messages",
        CloudZone::BotAttachments => "attachments of businesses",
        CloudZone::BotMessages => "messages of businesses",
        CloudZone::BotRecentlyDeleted => "recently deleted messages of businesses",
    }
}

/// Reaches iCloud as the configuration says. Clones share the connections.
#[derive(Clone)]
pub(crate) struct Reach {
    gateway: Gateway,
    roots: Roots,
    tasks: TaskGroup,
    /// The latest client: what it learnt of the account is worth keeping.
    client: Arc<Mutex<Option<Arc<Client>>>>,
}

impl Reach {
    /// Connections are tasks of the group.
    pub(crate) fn new(settings: &CloudSettings, tasks: TaskGroup) -> Result<Self, IngestError> {
        let roots = if settings.system_roots {
            Roots::with_system().map_err(SetupError::from)?
        } else {
            Roots::bundled()
        };
        Ok(Self {
            gateway: settings.gateway.clone(),
            roots,
            tasks,
            client: Arc::default(),
        })
    }

    fn client(&self) -> Option<Arc<Client>> {
        let client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        client.clone()
    }
}

impl Connect for Reach {
    type Cloud = Client;

    fn connect(
        &self,
        session: &Session,
        account: &CloudAccount,
    ) -> Result<Arc<Client>, SetupError> {
        let mut session = session.clone();
        if session.device.is_none() {
            let device = account.device.as_ref();
            session.device =
                device.and_then(|device| serde_json::from_slice::<Device>(device.expose()).ok());
        }
        if session.cloudkit_user_id.is_none() {
            session.cloudkit_user_id.clone_from(&account.user_id);
        }
        let client = Client::new(&session, self.gateway.clone(), &self.roots, &self.tasks)?;
        let client = Arc::new(client);
        let mut latest = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        *latest = Some(Arc::clone(&client));
        Ok(client)
    }
}

/// Keeps the account's user id once a pass has learnt it, so that no later start has to ask.
pub(crate) async fn keep_user_id(archive: &Archive, reach: &Reach) -> Result<(), AppError> {
    let account = archive.store().snapshot()?.cloud_account()?;
    let (Some(account), Some(client)) = (account, reach.client()) else {
        return Ok(());
    };
    if account.user_id.is_some() {
        return Ok(());
    }
    // Not knowing it costs one question a start.
    let Ok(user_id) = client.user_id().await else {
        return Ok(());
    };
    let keep = |tx: &mut Transaction<'_>| {
        if let Some(mut now) = tx.cloud_account()?
            && now.imports == account.imports
        {
            now.user_id = Some(user_id);
            tx.put_cloud_account(&now)?;
        }
        Ok::<_, AppError>(())
    };
    archive.store().write(keep)?;
    Ok(())
}

/// How a sync is done with these settings.
pub(crate) fn options(settings: &Settings) -> Options {
    Options {
        region: settings.region.as_deref().and_then(Region::parse),
        ..Options::default()
    }
}

/// One pass with connections of its own.
pub(crate) async fn pass(
    archive: &Archive,
    settings: &Settings,
    stop: &CancellationToken,
    on_page: OnPage<'_>,
) -> Result<Report, AppError> {
    let tasks = TaskGroup::new();
    let reach = Reach::new(&settings.cloud, tasks.clone())?;
    let (store, clock) = (archive.store().clone(), archive.shared_clock());
    let mut sync = Sync::new(store, clock, reach.clone(), options(settings));
    let report = Box::pin(sync.pass(stop, on_page)).await;
    if report.is_ok() {
        keep_user_id(archive, &reach).await?;
    }
    tasks.stop_and_join(STOP_DEADLINE).await;
    Ok(report?)
}

impl Archive {
    /// Reads what is new of Messages in iCloud: one pass over every zone. Blocks; it may be killed at any moment, and the
    /// next pass goes on there.
    ///
    /// # Errors
    ///
    /// [`AppError::Ingest`] without a session, or with one that cannot be used; [`AppError::Pass`] when not everything was
    /// read: what was is stored.
    pub fn sync(
        &self,
        settings: &Settings,
        on_page: &(dyn Fn(&crate::ingest::cloudkit::ZoneReport) + std::marker::Sync),
    ) -> Result<Report, AppError> {
        let runtime = Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(|source| AppError::System { source })?;
        let on_page = |zone: &_| {
            on_page(zone);
            ControlFlow::Continue(())
        };
        let stop = CancellationToken::new();
        let report = runtime.block_on(Box::pin(pass(self, settings, &stop, &on_page)))?;
        match PassError::of(&report) {
            None => Ok(report),
            Some(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::PassError;
    use crate::base::error::Class;
    use crate::base::error::Explain;
    use crate::ingest::cloudkit::Outcome;
    use crate::ingest::cloudkit::Report;
    use crate::ingest::cloudkit::ZoneReport;
    use crate::model::record::CloudZone;
    use crate::store::Tally;
    use crate::store::value::Ended;

    #[test]
    fn what_a_pass_did_not_read_is_said_with_who_has_to_act() {
        let report = |outcome, ended| Report {
            outcome,
            zones: vec![ZoneReport {
                zone: CloudZone::Messages,
                ended,
                pages: 1,
                changes: 200,
                closed: 0,
            }],
            tally: Tally::default(),
        };
        let cut = Ended::Errors("iCloud did not answer at all".to_owned());

        let cases = [
            (Outcome::Complete, Ended::CaughtUp),
            (Outcome::Degraded, Ended::CaughtUp),
            (Outcome::Blocked, Ended::Blocked),
            (Outcome::Failed, Ended::Gone),
            (Outcome::Failed, cut),
            (Outcome::Cancelled, Ended::Cancelled),
        ];
        let said = cases.map(|(outcome, ended)| {
            let error = PassError::of(&report(outcome, ended))?;
            Some((error.to_string(), error.class(), error.hint().is_some()))
        });

        let expected = [
            None,
            None,
            Some((
                "iCloud does not accept the imported session any more",
                Class::Owner,
                true,
            )),
            Some((
                "there are no messages in this account's iCloud any more",
                Class::Owner,
                true,
            )),
            Some((
                "cannot read the messages in iCloud to their end: iCloud did not answer at all",
                Class::Retry,
                false,
            )),
            Some((
                "the sync was stopped; the next one goes on there",
                Class::Retry,
                false,
            )),
        ];
        let expected = expected
            .map(|said| said.map(|(text, class, has_hint)| (text.to_owned(), class, has_hint)));
        assert_eq!(said, expected);
    }
}
