//! An import of a million messages, measured: time beside a peer's, memory, the file's size, and what one can do with
//! the file: look up, start with nothing new, open after a crash.
//!
//! ```sh
//! cargo install imessage-exporter --version 5.0.1 --locked
//! cargo bench --bench import
//! ```
//!
//! It takes some five minutes and 5 GB of disk. Without the peer, the row that needs it says so.
//!
//! | variable | what | default |
//! |---|---|---|
//! | `FOOTBRIDGE_BENCH_CHAT_DB` | a database to import | one that `tests/tools/make-chatdb.py` makes, once |
//! | `FOOTBRIDGE_BENCH_MESSAGES` | messages in the database that is made | 1,000,000 |
//! | `FOOTBRIDGE_BENCH_ROUNDS` | rounds of peer and import | 3 |
//! | `FOOTBRIDGE_BENCH_FOLDER` | where to write: its disk is measured too | `tmp` in the target directory |

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark reads the clock and its variables, and prints"
)]
#![allow(
    clippy::cast_precision_loss,
    reason = "sizes of files and memory stay far below 2^52 bytes"
)]

mod binary;
mod database;
mod environment;
mod look_ups;
mod machine;
mod peer;
mod process;
mod random;
mod size;
#[allow(dead_code, reason = "the other benchmark counts records")]
mod table;
mod times;

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::binary::Footbridge;
use crate::database::Database;
use crate::process::Run;
use crate::random::Random;
use crate::size::Size;
use crate::table::Row;
use crate::table::Table;
use crate::table::Target;
use crate::table::Unit;
use crate::times::Times;

/// As in the binary: look-ups are made in this process.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Whatever stops a benchmark.
type Trouble = Box<dyn Error>;

/// Starts on an unchanged database.
const STARTS: usize = 10;

/// Imports that are killed.
const KILLS: usize = 10;

const FIRST_IMPORT: Target = Target {
    what: "first import against imessage-exporter writing txt",
    unit: Unit::Times,
    must: 1.0,
    aim: 0.5,
};
const MEMORY: Target = Target {
    what: "anonymous memory of that import",
    unit: Unit::Mebibytes,
    must: 200.0,
    aim: 100.0,
};
const FILE_SIZE: Target = Target {
    what: "file size against stored payload",
    unit: Unit::Times,
    must: 2.0,
    aim: 1.4,
};
const LOOK_UP: Target = Target {
    what: "GUID look-up, read transaction included",
    unit: Unit::Microseconds,
    must: 5.0,
    aim: 2.0,
};
const NOTHING_NEW: Target = Target {
    what: "start with nothing new",
    unit: Unit::Milliseconds,
    must: 200.0,
    aim: 50.0,
};
const AFTER_KILL: Target = Target {
    what: "open after `kill -9` in mid-import",
    unit: Unit::Milliseconds,
    must: 500.0,
    aim: 150.0,
};

fn main() -> Result<(), Trouble> {
    let folder = environment::folder("bench-import")?;
    let bench = Bench {
        database: Database::from_environment(&folder)?,
        footbridge: Footbridge::on(folder.join("archive.redb")),
        rounds: environment::number("FOOTBRIDGE_BENCH_ROUNDS", 3)?,
        folder,
    };
    println!("{}", machine::describe());
    println!("load before: {}", machine::load());
    let table = bench.run()?;
    println!("load after: {}\n\n{table}", machine::load());
    Ok(())
}

/// What is measured with what.
struct Bench {
    database: Database,
    footbridge: Footbridge,
    rounds: usize,
    folder: PathBuf,
}

impl Bench {
    fn run(&self) -> Result<Table, Trouble> {
        let mut table = Table::default();
        let (peer, imports) = self.imports()?;
        let import = Times::of(imports.iter().map(|import| import.wall));
        table.add(first_import(&imports, &import, &peer));
        table.add(memory(&imports));
        let size = Size::measure(&self.footbridge.data)?;
        table.add(Row::measured(&FILE_SIZE, size.ratio(), size.to_string()));
        table.add(self.look_ups()?);
        table.add(self.starts()?);
        let (export, bytes) = self.export()?;
        table.note(format!(
            "Export of everything as JSON Lines: {:.1} s, {} MB.",
            export.wall.as_secs_f64(),
            bytes / 1_000_000
        ));
        table.note(size.by_table());
        table.add(self.kills(import.median())?);
        Ok(table)
    }

    /// The peer and footbridge in turn, so that both meet the same disturbances.
    fn imports(&self) -> Result<(Vec<Run>, Vec<Run>), Trouble> {
        let has_peer = peer::is_installed();
        let (mut peer, mut imports) = (Vec::new(), Vec::new());
        self.database.warm_up()?;
        for round in 1..=self.rounds {
            if has_peer {
                let run = peer::export(&self.database.path, &self.folder.join("peer"))?;
                eprintln!("round {round}: peer   {run}");
                peer.push(run);
            }
            self.footbridge.remove()?;
            rustix::fs::sync();
            let run = self.footbridge.import(&self.database.path)?;
            eprintln!("round {round}: import {run}");
            imports.push(run);
        }
        Ok((peer, imports))
    }

    fn look_ups(&self) -> Result<Row, Trouble> {
        eprintln!("looking up GUIDs ...");
        let found = look_ups::measure(&self.footbridge.data)?;
        Ok(Row::measured(
            &LOOK_UP,
            found.slower().as_secs_f64() * 1e6,
            found.to_string(),
        ))
    }

    fn starts(&self) -> Result<Row, Trouble> {
        eprintln!("starting with nothing new ...");
        let starts = (0..STARTS).map(|_| self.footbridge.import(&self.database.path));
        let starts = starts.collect::<Result<Vec<_>, _>>()?;
        let times = Times::of(starts.iter().map(|start| start.wall));
        Ok(Row::measured(
            &NOTHING_NEW,
            times.median().as_secs_f64() * 1e3,
            format!("median of {STARTS}: {times}"),
        ))
    }

    fn export(&self) -> Result<(Run, u64), Trouble> {
        eprintln!("exporting ...");
        let lines = self.folder.join("export.jsonl");
        let run = self.footbridge.export(&lines)?;
        let bytes = fs::metadata(&lines)?.len();
        fs::remove_file(lines)?;
        Ok((run, bytes))
    }

    /// Imports that are killed at a random moment, and how long the next process takes to answer from the file.
    fn kills(&self, import: Duration) -> Result<Row, Trouble> {
        eprintln!("killing imports ...");
        let mut random = Random::new(9);
        let mut opened = Vec::new();
        while opened.len() < KILLS {
            self.footbridge.remove()?;
            let moment = import.mul_f64(0.1 + 0.8 * random.unit());
            if !self.footbridge.import_killed(&self.database.path, moment)? {
                continue;
            }
            let run = self.footbridge.status()?;
            eprintln!("killed after {:.1} s: {run}", moment.as_secs_f64());
            opened.push(run.wall);
        }
        self.footbridge.remove()?;
        let times = Times::of(opened.into_iter());
        Ok(Row::measured(
            &AFTER_KILL,
            times.slowest().as_secs_f64() * 1e3,
            format!("slowest of {KILLS} `footbridge status`: {times}"),
        ))
    }
}

fn first_import(imports: &[Run], import: &Times, peer: &[Run]) -> Row {
    if peer.is_empty() {
        return Row::not_measured(
            &FIRST_IMPORT,
            format!(
                "import {import}; peer not installed: `{}`",
                peer::INSTALLATION
            ),
        );
    }
    let other = Times::of(peer.iter().map(|run| run.wall));
    let detail = format!(
        "import {import}, {:.1} s of CPU; peer {other}, {:.1} s of CPU",
        fastest_cpu(imports).as_secs_f64(),
        fastest_cpu(peer).as_secs_f64(),
    );
    let ratio = import.median().as_secs_f64() / other.median().as_secs_f64();
    Row::measured(&FIRST_IMPORT, ratio, detail)
}

fn fastest_cpu(runs: &[Run]) -> Duration {
    runs.iter().map(|run| run.cpu).min().unwrap_or_default()
}

fn memory(imports: &[Run]) -> Row {
    match imports.iter().filter_map(|run| run.anonymous_bytes).max() {
        Some(bytes) => Row::measured(
            &MEMORY,
            bytes as f64 / f64::from(1 << 20),
            "highest of all rounds, RssAnon every 20 ms".to_owned(),
        ),
        None => Row::not_measured(&MEMORY, "only Linux tells".to_owned()),
    }
}
