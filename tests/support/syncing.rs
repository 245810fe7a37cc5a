//! Passes over an account in memory, and what they leave.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering;

use footbridge::base::time::AppleTime;
use footbridge::base::time::Clock;
use footbridge::ingest::cloudkit::Options;
use footbridge::ingest::cloudkit::Report;
use footbridge::ingest::cloudkit::Sync;
use footbridge::store::Store;
use redb::backends::InMemoryBackend;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::support::cloud_account::Account;
use crate::support::cloud_account::import;
use crate::support::cloud_account::session;
use crate::support::history::CLOCK;
use crate::support::history::MINUTE;
use crate::support::history::NOW;
use crate::support::history::START;

/// An empty archive with a session.
pub(crate) fn new_store() -> Store {
    let store = Store::open_backend(InMemoryBackend::new(), Arc::new(CLOCK)).unwrap();
    import(&store, session(|_| true));
    store
}

/// Passes at the time of all tests.
pub(crate) fn syncing(store: &Store, account: &Account) -> Sync<Account> {
    Sync::new(
        store.clone(),
        Arc::new(CLOCK),
        account.clone(),
        Options::default(),
    )
}

/// Half an hour and a minute later each time it is looked at: what waits for its time is always due.
struct Later(AtomicI64);

impl Clock for Later {
    fn now(&self) -> AppleTime {
        let step = 31 * MINUTE;
        AppleTime::from_nanos(self.0.fetch_add(step, Ordering::Relaxed))
    }
}

/// Passes, each of them much later than the one before.
pub(crate) fn syncing_later(store: &Store, account: &Account) -> Sync<Account> {
    let clock = Arc::new(Later(AtomicI64::new(NOW.nanos())));
    Sync::new(store.clone(), clock, account.clone(), Options::default())
}

/// One pass.
pub(crate) async fn pass(sync: &mut Sync<Account>) -> Report {
    let stop = CancellationToken::new();
    sync.pass(&stop, &|_| ControlFlow::Continue(()))
        .await
        .unwrap()
}

/// So many minutes after the first message.
pub(crate) fn at(minute: i64) -> i64 {
    START + minute * MINUTE
}

/// The line of the export with a GUID.
pub(crate) fn line<'l>(lines: &'l [Value], guid: &str) -> &'l Value {
    let found = lines
        .iter()
        .find(|line| line["guid"] == guid.to_uppercase());
    found.unwrap_or_else(|| panic!("{guid} is not in the export"))
}
