//! The loopback iCloud in this process, and the program syncing from it in another.

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use footbridge::demo::Account;
use footbridge::demo::Call;
use footbridge::demo::Dirtiness;
use footbridge::demo::Faults;
use footbridge::demo::Items;
use footbridge::demo::Loopback;
use footbridge::demo::ZoneKind;
use tokio::runtime::Builder;
use tokio::runtime::Runtime;

use crate::Trouble;
use crate::binary::Footbridge;
use crate::process;
use crate::process::Run;

/// The same account in every run.
pub(crate) const SEED: u64 = 7;

/// Changes in a page of it.
const PAGE_CHANGES: u64 = 200;

/// Parts of a sync of which the memory is told.
const PARTS: u64 = 10;

/// A loopback iCloud.
pub(crate) struct ICloud {
    account: Arc<Account>,
    loopback: Loopback,
    _runtime: Runtime,
}

/// A sync into an empty archive.
pub(crate) struct Synced {
    pub(crate) run: Run,
    /// Changes of all zones.
    pub(crate) records: u64,
    /// The highest memory while each part of the records passed, in bytes, with how many had passed at its end.
    memory: Vec<(u64, u64)>,
}

impl ICloud {
    pub(crate) fn start(messages: u64) -> Result<Self, Trouble> {
        let runtime = Builder::new_multi_thread().enable_all().build()?;
        let account =
            Arc::new(Account::new(SEED, messages, Dirtiness::AsSeen).with_pages(PAGE_CHANGES));
        let loopback =
            runtime.block_on(Loopback::start(Arc::clone(&account) as _, Faults::none()))?;
        Ok(Self {
            account,
            loopback,
            _runtime: runtime,
        })
    }

    /// The same command, with this iCloud instead of Apple's.
    pub(crate) fn reached_by<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command.env("FOOTBRIDGE_CLOUDKIT_GATEWAY", self.loopback.gateway())
    }

    /// What was asked since the last time, in words.
    pub(crate) fn take_requests(&self) -> String {
        let asked = self.loopback.take_requests();
        let asked: Vec<String> = asked
            .iter()
            .map(|(call, count)| format!("{count} {call:?}"))
            .collect();
        asked.join(", ")
    }

    pub(crate) fn requests(&self) -> u64 {
        self.loopback.requests(Call::Changes)
    }

    /// Imports the session and syncs everything.
    pub(crate) fn sync(&self, footbridge: &Footbridge, folder: &Path) -> Result<Synced, Trouble> {
        let session = folder.join("session.json");
        fs::write(&session, self.account.session(Items::All))?;
        process::run(footbridge.command("cloudkit").arg("import").arg(&session))?;
        fs::remove_file(session)?;
        self.take_requests();
        let records = ZoneKind::ALL
            .into_iter()
            .map(|zone| self.account.feed_length(zone))
            .sum();
        let mut memory: Vec<(u64, u64)> = Vec::new();
        let mut looked = |bytes: u64| {
            let passed = (self.requests() * PAGE_CHANGES).min(records);
            let end = (passed * PARTS / records + 1).min(PARTS) * records / PARTS;
            match memory.last_mut() {
                Some((of, highest)) if *of == end => *highest = bytes.max(*highest),
                _ => memory.push((end, bytes)),
            }
        };
        let mut command = footbridge.command("cloudkit");
        let run = process::run_watched(self.reached_by(command.arg("sync")), &mut looked)?;
        if let Some(complaint) = self.loopback.complaints().first() {
            return Err(complaint.clone().into());
        }
        Ok(Synced {
            run,
            records,
            memory,
        })
    }
}

impl Synced {
    /// The memory while the records passed.
    pub(crate) fn memory(&self) -> String {
        let parts = self
            .memory
            .iter()
            .map(|(end, bytes)| format!("{end}: {}", bytes >> 20));
        format!(
            "Anonymous memory in MiB until so many records: {}",
            parts.collect::<Vec<_>>().join(", ")
        )
    }
}

impl fmt::Display for Synced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} records, {}", self.records, self.run)
    }
}
