//! The running service, as its parts share it. `run` starts and stops it, `endpoint`
//! makes what Matrix clients talk to, `source` keeps following a Messages database, `cloud` Messages in iCloud,
//! `notices` tells the owner, `front` answers the
//! owner's other processes, `status` tells what it is doing.

mod cloud;
mod endpoint;
mod fetch;
mod front;
mod notices;
mod notify;
mod run;
mod source;
mod status;

use crate::app::Archive;
use crate::app::account::Owner;
use crate::app::settings::Settings;
use crate::base::time::AppleTime;

pub use run::Event;
pub use run::Plan;
pub use run::RunError;
pub use run::Serving;
pub use run::Tell;
pub use run::run;
pub use status::status_json;

/// The service, as its parts share it.
pub struct Service {
    /// The configuration in force.
    pub settings: Settings,
    /// The archive, open.
    pub archive: Archive,
    /// Who can log in.
    pub owner: Owner,
    /// Since when it runs.
    pub started: AppleTime,
    /// Whether clients may make rooms and accounts, for conformance suites (D27).
    pub conformance: bool,
    activity: status::Activity,
}

impl Service {
    fn new(settings: Settings, archive: Archive, owner: Owner, conformance: bool) -> Self {
        let started = archive.clock().now();
        Self {
            settings,
            archive,
            owner,
            started,
            conformance,
            activity: status::Activity::new(started),
        }
    }
}

#[cfg(test)]
impl Service {
    /// On a new archive, with nothing in the environment.
    fn of(flags: &crate::app::settings::Flags) -> Self {
        use crate::app::config::Environment;
        use crate::app::config::Platform;

        let settings = Settings::load(flags, &Environment::default(), Platform::Other).unwrap();
        let archive = Archive::open_or_create(&settings.data).unwrap();
        let owner = archive.owner(&settings.endpoint).unwrap();
        Self::new(settings, archive, owner, false)
    }
}
