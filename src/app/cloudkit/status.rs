//! How far Messages in iCloud is read, and what the owner has to do.

use serde::Serialize;

use crate::app::AppError;
use crate::app::Archive;
use crate::app::cloudkit::PassError;
use crate::app::cloudkit::ZoneReport;
use crate::app::cloudkit::pass::zone_content;
use crate::apple::session::Keychain;
use crate::apple::session::Session;
use crate::base::error::Explain;
use crate::base::time::AppleTime;
use crate::model::record::CloudZone;
use crate::store::value::Ended;
use crate::store::value::ZoneState;

/// How far Messages in iCloud is read. Nothing secret is in it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CloudStatus {
    /// When a session was imported last.
    pub imported: AppleTime,
    /// How often one was.
    pub imports: u32,
    /// Identities in its keychain.
    pub identities: usize,
    /// Items of its keychain that could not be read.
    pub unreadable: usize,
    /// Its zones, those that were never looked at left out.
    pub zones: Vec<ZoneStatus>,
    /// What is needed of the owner, in words; `None` if nothing is.
    pub need: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

/// How far a zone is read.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ZoneStatus {
    /// Its name at Apple.
    pub zone: &'static str,
    /// What is in it.
    pub what: &'static str,
    /// How the last pass over it ended: `complete`, `reading`, `failed`, `blocked`, `gone`.
    pub state: &'static str,
    /// Why it failed, or is read slowly.
    pub reason: Option<String>,
    /// Changes that were stored.
    pub changes: u64,
    /// When its end was reached last.
    pub caught_up: Option<AppleTime>,
    /// How often it was begun again because its position was not accepted.
    pub resets: u32,
}

/// Counts the records of a pass over all its zones.
#[derive(Debug, Default)]
pub struct Counted {
    before: u64,
    now: Option<(CloudZone, u64)>,
}

impl Counted {
    /// How many there were so far, with a zone's latest report.
    pub fn with(&mut self, report: &ZoneReport) -> u64 {
        match self.now {
            Some((zone, count)) if zone != report.zone => self.before += count,
            _ => {}
        }
        self.now = Some((report.zone, report.changes));
        self.before + report.changes
    }
}

impl Archive {
    /// How far Messages in iCloud is read; `None` without a session.
    ///
    /// # Errors
    ///
    /// When the archive cannot be read, or holds a session that cannot.
    pub fn cloud_status(&self) -> Result<Option<CloudStatus>, AppError> {
        let snapshot = self.store().snapshot()?;
        let Some(account) = snapshot.cloud_account()? else {
            return Ok(None);
        };
        let session = Session::decode(account.session.expose())?;
        let keychain = Keychain::read(&session.items);
        let mut zones = Vec::new();
        for zone in CloudZone::ALL {
            let state = snapshot.zone(zone)?;
            // One that was never there is nothing to tell of.
            let is_known = state.pages > 0
                || !matches!(state.ended, Ended::Never | Ended::Gone)
                || zone == CloudZone::Messages;
            if is_known {
                zones.push(of_zone(zone, state, snapshot.is_guarded(zone)?));
            }
        }
        let is = |state| zones.iter().any(|zone| zone.state == state);
        let messages = CloudZone::Messages.name();
        let is_gone = zones
            .iter()
            .any(|zone| zone.zone == messages && zone.state == "gone");
        // A session that came after the refusal may be accepted.
        let refused = CloudZone::ALL.iter().try_fold(None, |latest, zone| {
            let state = snapshot.zone(*zone)?;
            let refused = state.ended_at.filter(|_| state.ended == Ended::Blocked);
            Ok::<_, AppError>(latest.max(refused))
        })?;
        let need = if is("blocked") && refused.is_some_and(|at| at >= account.imported) {
            Some(PassError::Blocked)
        } else if is_gone {
            Some(PassError::Gone)
        } else {
            None
        };
        Ok(Some(CloudStatus {
            imported: account.imported,
            imports: account.imports,
            identities: keychain.identities().len(),
            unreadable: keychain.unreadable.len(),
            zones,
            hint: need.as_ref().and_then(Explain::hint),
            need: need.map(|need| need.to_string()),
        }))
    }
}

fn of_zone(zone: CloudZone, state: ZoneState, is_guarded: bool) -> ZoneStatus {
    let (name, reason) = match state.ended {
        Ended::Never | Ended::Cancelled | Ended::PageCap => ("reading", None),
        Ended::CaughtUp | Ended::TokenUnchanged => ("complete", None),
        Ended::Errors(reason) => ("failed", Some(reason)),
        Ended::Gone => ("gone", None),
        Ended::Blocked => ("blocked", None),
    };
    let died = "footbridge ended while it read this; it is read page by page now";
    ZoneStatus {
        zone: zone.name(),
        what: zone_content(zone),
        state: name,
        reason: reason.or_else(|| is_guarded.then(|| died.to_owned())),
        changes: state.changes,
        caught_up: state.caught_up,
        resets: state.resets,
    }
}

#[cfg(test)]
mod tests {
    use super::Counted;
    use crate::app::cloudkit::ZoneReport;
    use crate::model::record::CloudZone;
    use crate::store::value::Ended;

    #[test]
    fn records_are_counted_over_all_zones() {
        let mut counted = Counted::default();
        let report = |zone, changes| ZoneReport {
            zone,
            ended: Ended::Never,
            pages: 1,
            changes,
            closed: 0,
        };

        let counts = [
            (CloudZone::Chats, 10),
            (CloudZone::Chats, 15),
            (CloudZone::Messages, 0),
            (CloudZone::Messages, 200),
        ]
        .map(|(zone, changes)| counted.with(&report(zone, changes)));

        assert_eq!(counts, [10, 15, 15, 215]);
    }
}
