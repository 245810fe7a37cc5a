//! A process, and what it took.

use std::fmt;
use std::fs;
use std::process::Command;
use std::process::Stdio;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use crate::Trouble;

/// How often a process's memory is read.
const SAMPLE_EVERY: Duration = Duration::from_millis(20);

/// What one process took, from its start to its end.
pub(crate) struct Run {
    pub(crate) wall: Duration,
    /// User and system time; zero where the system does not tell.
    pub(crate) cpu: Duration,
    /// The most memory it held that is not a file's; `None` where the system does not tell.
    pub(crate) anonymous_bytes: Option<u64>,
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (wall, cpu) = (self.wall.as_secs_f64(), self.cpu.as_secs_f64());
        write!(f, "{wall:.2} s, {cpu:.2} s of CPU")?;
        if let Some(bytes) = self.anonymous_bytes {
            write!(f, ", {} MiB", bytes >> 20)?;
        }
        Ok(())
    }
}

/// Runs a command to its end, which must be a good one.
pub(crate) fn run(command: &mut Command) -> Result<Run, Trouble> {
    run_watched(command, &mut |_bytes| {})
}

/// The same; `look` is told its anonymous memory every now and then.
pub(crate) fn run_watched(
    command: &mut Command,
    look: &mut (dyn FnMut(u64) + Send),
) -> Result<Run, Trouble> {
    let cpu_before = children_cpu();
    let begin = Instant::now();
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let pid = child.id();
    let is_done = AtomicBool::new(false);
    let (output, wall, anonymous_bytes) = thread::scope(|scope| {
        let sampler = scope.spawn(|| highest(pid, &is_done, look));
        let output = child.wait_with_output();
        let wall = begin.elapsed();
        is_done.store(true, Ordering::Relaxed);
        (output, wall, sampler.join().unwrap_or_default())
    });
    let output = output?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{command:?}: {}\n{said}", output.status).into());
    }
    Ok(Run {
        wall,
        cpu: children_cpu().saturating_sub(cpu_before),
        anonymous_bytes,
    })
}

/// Runs a command and kills it after a time; `false` if it ended before.
pub(crate) fn kill(command: &mut Command, after: Duration) -> Result<bool, Trouble> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    thread::sleep(after);
    let is_alive = child.try_wait()?.is_none();
    child.kill()?;
    child.wait()?;
    Ok(is_alive)
}

/// The most anonymous memory of a process until it is done.
fn highest(pid: u32, is_done: &AtomicBool, look: &mut dyn FnMut(u64)) -> Option<u64> {
    let mut highest = None;
    while !is_done.load(Ordering::Relaxed) {
        let bytes = anonymous_bytes(pid);
        bytes.into_iter().for_each(&mut *look);
        highest = highest.max(bytes);
        thread::sleep(SAMPLE_EVERY);
    }
    highest
}

fn anonymous_bytes(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes << 10)
}

/// CPU time of all processes that were waited for; zero where the system does not tell.
fn children_cpu() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name in parentheses may hold anything; `cutime` and `cstime` are the 14th and 15th field after it.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks = fields.split_whitespace().skip(13).take(2);
    let ticks: u64 = ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    // Linux counts hundredths of a second here on every machine.
    Duration::from_millis(ticks * 10)
}
