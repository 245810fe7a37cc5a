//! Messages in iCloud, measured: records a second from the loopback iCloud to the store, where the time goes, memory while
//! they pass, and a restart with nothing new.
//!
//! ```sh
//! cargo bench --bench cloudkit
//! ```
//!
//! The server is in this process, the program that is measured in one of its own. It takes some minutes and about 2 KB of
//! disk a message.
//!
//! | variable | what | default |
//! |---|---|---|
//! | `FOOTBRIDGE_BENCH_MESSAGES` | messages in the invented account | 100,000 |
//! | `FOOTBRIDGE_BENCH_ROUNDS` | syncs into an empty archive | 3 |
//! | `FOOTBRIDGE_BENCH_FOLDER` | where to write: its disk is measured too | `tmp` in the target directory |
//!
//! With 1,000,000 messages it shows whether memory stays flat.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark reads the clock and its variables, and prints"
)]
#![allow(
    clippy::cast_precision_loss,
    reason = "counts of records and bytes stay far below 2^52"
)]

#[allow(dead_code, reason = "imports of a database are of the other benchmark")]
mod binary;
mod environment;
mod icloud;
mod machine;
#[allow(dead_code, reason = "the other benchmark kills processes too")]
mod process;
mod recording;
mod restart;
mod stages;
#[allow(dead_code, reason = "every target of the other benchmark is measured")]
mod table;
#[allow(dead_code, reason = "the other benchmark wants the best time too")]
mod times;

use std::error::Error;
use std::path::Path;

use crate::binary::Footbridge;
use crate::icloud::ICloud;
use crate::icloud::Synced;
use crate::recording::Recording;
use crate::restart::Restart;
use crate::stages::Stages;
use crate::table::Row;
use crate::table::Table;
use crate::table::Target;
use crate::table::Unit;
use crate::times::Times;

/// As in the binary: the stages run in this process.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Whatever stops a benchmark.
type Trouble = Box<dyn Error>;

/// Messages whose pages go through each stage by itself.
const STAGED: u64 = 20_000;

/// Restarts with nothing new.
const RESTARTS: usize = 10;

const PAGES: Target = Target {
    what: "CloudKit pages: decrypt + decode + store, per core",
    unit: Unit::RecordsPerSecond,
    must: 10_000.0,
    aim: 30_000.0,
};
const WARM: Target = Target {
    what: "warm restart: until it serves",
    unit: Unit::Milliseconds,
    must: 200.0,
    aim: 50.0,
};

fn main() -> Result<(), Trouble> {
    let folder = environment::folder("bench-cloudkit")?;
    let messages = environment::number("FOOTBRIDGE_BENCH_MESSAGES", 100_000)?;
    let rounds = environment::number("FOOTBRIDGE_BENCH_ROUNDS", 3)?;
    println!("{}", machine::describe());
    println!("load before: {}", machine::load());
    let table = run(messages, rounds, &folder)?;
    println!("load after: {}\n\n{table}", machine::load());
    Ok(())
}

fn run(messages: u64, rounds: u64, folder: &Path) -> Result<Table, Trouble> {
    let mut table = Table::default();
    let stages = Stages::measure(&Recording::of(messages.min(STAGED)), folder)?;
    let cloud = ICloud::start(messages)?;
    let footbridge = Footbridge::on(folder.join("archive.redb"));
    let mut syncs = Vec::new();
    for round in 1..=rounds.max(1) {
        footbridge.remove()?;
        rustix::fs::sync();
        let synced = cloud.sync(&footbridge, folder)?;
        eprintln!("round {round}: {synced}");
        syncs.push(synced);
    }
    table.add(pages(&syncs, &stages));
    table.note(stages.to_string());
    table.note(
        syncs
            .iter()
            .map(Synced::memory)
            .collect::<Vec<_>>()
            .join("\n"),
    );
    let restarts = (0..RESTARTS).map(|_| Restart::measure(&footbridge, &cloud));
    table.add(warm(&restarts.collect::<Result<Vec<_>, _>>()?));
    footbridge.remove()?;
    Ok(table)
}

/// Whole syncs by the CPU time of the program; the wall is the server's too, which makes the records on the way.
fn pages(syncs: &[Synced], stages: &Stages) -> Row {
    let rates = syncs
        .iter()
        .map(|sync| sync.records as f64 / sync.run.cpu.as_secs_f64());
    let best = rates.fold(0.0, f64::max);
    let walls = Times::of(syncs.iter().map(|sync| sync.run.wall));
    let records = syncs.first().map_or(0, |sync| sync.records);
    let detail = format!(
        "{records} records, HTTP and inflating included, best of {}; {:.0}/s of wall with the server on the same cores; \
         the stages alone {:.0}/s",
        syncs.len(),
        records as f64 / walls.median().as_secs_f64(),
        stages.rate(),
    );
    Row::measured(&PAGES, best, detail)
}

fn warm(restarts: &[Restart]) -> Row {
    let times = Times::of(restarts.iter().map(|restart| restart.serving));
    let asked: Vec<&str> = restarts
        .iter()
        .map(|restart| restart.asked.as_str())
        .collect();
    let is_same = asked.windows(2).all(|pair| pair.first() == pair.last());
    let detail = format!(
        "{RESTARTS} starts: {times}; asked iCloud: {}",
        if is_same {
            asked.first().copied().unwrap_or_default().to_owned()
        } else {
            asked.join(" | ")
        },
    );
    Row::measured(&WARM, times.median().as_secs_f64() * 1e3, detail)
}
