//! A loopback iCloud in the test's process, and the program pointed at it.

use std::fs;
use std::process::Command;
use std::process::Output;
use std::sync::Arc;

use footbridge::demo::Account;
use footbridge::demo::Cloud;
use footbridge::demo::Faults;
use footbridge::demo::Items;
use footbridge::demo::Loopback;

use crate::support::home::Home;

/// A loopback iCloud with threads of its own, and what stands behind it.
pub(crate) struct ICloud<C = Account> {
    pub(crate) account: Arc<C>,
    runtime: tokio::runtime::Runtime,
    pub(crate) loopback: Loopback,
}

impl ICloud {
    /// Puts the session as it is now into a home, as `session.json`.
    pub(crate) fn write_session(&self, home: &Home, items: Items) {
        fs::write(
            home.path().join("session.json"),
            self.account.session(items),
        )
        .unwrap();
    }
}

impl<C: Cloud> ICloud<C> {
    /// Serves an account, with these faults.
    pub(crate) fn of(account: C, faults: Faults) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap();
        let account = Arc::new(account);
        let served = Loopback::start(Arc::clone(&account) as _, faults);
        let loopback = runtime.block_on(served).unwrap();
        Self {
            account,
            runtime,
            loopback,
        }
    }

    /// The program in a home, with this iCloud for Apple's and every wait a hundredth (D35).
    pub(crate) fn command(&self, home: &Home, arguments: &[&str]) -> Command {
        let mut command = home.command(arguments);
        command
            .env("FOOTBRIDGE_CLOUDKIT_GATEWAY", self.loopback.gateway())
            .env("FOOTBRIDGE_CLOUDKIT_HURRY", "100")
            .env("FOOTBRIDGE_ENDPOINT_LISTEN", "127.0.0.1:0");
        command
    }

    /// Runs it to its end.
    pub(crate) fn output(&self, home: &Home, arguments: &[&str]) -> Output {
        self.command(home, arguments).output().unwrap()
    }

    /// Stops to serve. A client that asked wrongly fails the test; one that was killed while it asked did not.
    pub(crate) fn stop(self) {
        let mut complaints = self.loopback.complaints();
        complaints.retain(|complaint| !complaint.ends_with("the body ended early"));
        assert_eq!(complaints, Vec::<String>::new());
        self.runtime.block_on(self.loopback.stop());
    }
}
