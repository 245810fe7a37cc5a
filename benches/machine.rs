//! The machine that was measured, as far as it tells.

use std::fs;
use std::thread;

/// Processor, memory, system and day.
pub(crate) fn describe() -> String {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let memory = value("/proc/meminfo", "MemTotal").and_then(|text| {
        let kibibytes: u64 = text.strip_suffix(" kB")?.parse().ok()?;
        Some(format!(", {} GiB of memory", (kibibytes + (1 << 19)) >> 20))
    });
    format!(
        "{processors} x {}{}, {} {}, {}",
        value("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
        memory.unwrap_or_default(),
        std::env::consts::OS,
        fs::read_to_string("/proc/sys/kernel/osrelease")
            .unwrap_or_default()
            .trim(),
        jiff::Zoned::now().date(),
    )
}

/// Processes that run or wait to, over 1, 5 and 15 minutes.
pub(crate) fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: Vec<&str> = load.split_whitespace().take(3).collect();
    if load.is_empty() {
        "not known".to_owned()
    } else {
        load.join(" ")
    }
}

/// The first value of that name in a file of `name: value` lines.
fn value(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let (_, value) = line.split_once(':')?;
    Some(value.trim().to_owned())
}
