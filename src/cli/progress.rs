//! How far a long command is: a bar on a terminal, elsewhere a plain line every ten seconds. Always on stderr.

use std::io;
use std::io::IsTerminal;
use std::io::Write;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use indicatif::ProgressBar;
use indicatif::ProgressDrawTarget;
use indicatif::ProgressStyle;

use crate::base::time::AppleTime;
use crate::base::time::Clock;
use crate::cli::numbers;

/// How often a plain line is written.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// How often the bar is drawn.
const DRAWS_A_SECOND: u8 = 10;

/// One long piece of work with a known or unknown end.
///
/// Dropping it takes the bar off the screen. It may be told from any thread.
pub struct Progress<'a> {
    clock: &'a dyn Clock,
    face: Face,
}

enum Face {
    Bar(ProgressBar),
    Lines(Mutex<Lines>),
}

impl<'a> Progress<'a> {
    /// For work such as `importing`, counted in things such as `messages`.
    pub fn new(work: &'static str, things: &'static str, clock: &'a dyn Clock) -> Self {
        let face = if io::stderr().is_terminal() {
            Face::Bar(bar(work, things))
        } else {
            Face::Lines(Mutex::new(Lines::new(work, things, clock.now())))
        };
        Self { clock, face }
    }

    /// Says how many are done, and of how many where that is known.
    pub fn set(&self, done: u64, total: Option<u64>) {
        match &self.face {
            Face::Bar(bar) => {
                if let Some(total) = total {
                    bar.set_length(total.max(done));
                }
                bar.set_position(done);
            }
            Face::Lines(lines) => {
                let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(line) = lines.next(self.clock.now(), done, total) {
                    // Progress that nobody can see must not end the work.
                    drop(writeln!(io::stderr().lock(), "{line}"));
                }
            }
        }
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        if let Face::Bar(bar) = &self.face {
            bar.finish_and_clear();
        }
    }
}

/// A command's progress through several phases, a bar for each.
pub struct Phases<'a, P> {
    clock: &'a dyn Clock,
    /// What a phase is called, and what is counted in it.
    names: fn(P) -> (&'static str, &'static str),
    now: Mutex<Option<(P, Progress<'a>)>>,
}

impl<'a, P: Copy + PartialEq> Phases<'a, P> {
    /// For phases that are called so, and counted in such things.
    pub fn new(names: fn(P) -> (&'static str, &'static str), clock: &'a dyn Clock) -> Self {
        Self {
            clock,
            names,
            now: Mutex::new(None),
        }
    }

    /// Says how many are done of how many in a phase. Another phase than before takes the old one's bar away.
    pub fn set(&self, phase: P, done: u64, total: u64) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if now.as_ref().is_some_and(|(before, _)| *before != phase) {
            *now = None;
        }
        let (_, progress) = now.get_or_insert_with(|| {
            let (work, things) = (self.names)(phase);
            (phase, Progress::new(work, things, self.clock))
        });
        progress.set(done, Some(total));
    }
}

/// A bar without colours; its length is unknown until it is told.
fn bar(work: &'static str, things: &'static str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
    let template = "{prefix} {wide_bar} {human_pos} of {human_len} {msg}, {eta} left";
    let style = ProgressStyle::with_template(template)
        .unwrap_or_else(|_template| ProgressStyle::default_bar())
        .progress_chars("=> ");
    bar.set_style(style);
    bar.set_prefix(work);
    bar.set_message(things);
    // Only now: nothing of it is drawn before it says something.
    bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(DRAWS_A_SECOND));
    bar
}

/// Decides when a line is due and what it says.
struct Lines {
    work: &'static str,
    things: &'static str,
    began: AppleTime,
    /// When the latest line was written; the beginning at first, so that short work writes none.
    written: AppleTime,
}

impl Lines {
    fn new(work: &'static str, things: &'static str, now: AppleTime) -> Self {
        Self {
            work,
            things,
            began: now,
            written: now,
        }
    }

    /// `importing: 120,000 of 1,000,000 messages, 43,000 a second, 20 s left`, when it is time.
    fn next(&mut self, now: AppleTime, done: u64, total: Option<u64>) -> Option<String> {
        if now < self.written.plus(LINE_EVERY) {
            return None;
        }
        self.written = now;
        let seconds = now.nanos().abs_diff(self.began.nanos()) / 1_000_000_000;
        let rate = done / seconds.max(1);
        let Self { work, things, .. } = self;
        let done_text = numbers::count(done);
        let rate_text = numbers::count(rate);
        let Some(total) = total else {
            return Some(format!(
                "{work}: {done_text} {things}, {rate_text} a second"
            ));
        };
        let total_text = numbers::count(total);
        let mut line =
            format!("{work}: {done_text} of {total_text} {things}, {rate_text} a second");
        if let Some(left) = total.saturating_sub(done).checked_div(rate) {
            line.push_str(", ");
            line.push_str(&numbers::span(Duration::from_secs(left.max(1))));
            line.push_str(" left");
        }
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::FixedClock;

    fn at(seconds: u64) -> AppleTime {
        AppleTime::default().plus(Duration::from_secs(seconds))
    }

    #[test]
    fn a_line_is_due_every_ten_seconds() {
        let mut lines = Lines::new("importing", "messages", at(0));

        let due: Vec<bool> = [0, 9, 10, 11, 19, 21, 31]
            .map(|second| lines.next(at(second), 1, None).is_some())
            .to_vec();

        assert_eq!(due, [false, false, true, false, false, true, true]);
    }

    #[test]
    fn a_line_has_done_total_rate_and_the_rest() {
        let mut lines = Lines::new("importing", "messages", at(0));

        let line = lines.next(at(10), 430_000, Some(1_000_000));

        assert_eq!(
            line.unwrap(),
            "importing: 430,000 of 1,000,000 messages, 43,000 a second, 13 s left"
        );
    }

    #[test]
    fn without_a_total_or_a_rate_no_rest_is_promised() {
        let mut lines = Lines::new("reading", "rows", at(0));

        assert_eq!(
            lines.next(at(10), 50, None).unwrap(),
            "reading: 50 rows, 5 a second"
        );
        assert_eq!(
            lines.next(at(20), 0, Some(7)).unwrap(),
            "reading: 0 of 7 rows, 0 a second"
        );
    }

    #[test]
    fn a_bar_has_a_valid_template() {
        let bar = bar("importing", "messages");

        bar.set_length(10);
        bar.set_position(3);

        assert_eq!((bar.length(), bar.position()), (Some(10), 3));
        let clock = FixedClock(at(0));
        Progress::new("importing", "messages", &clock).set(1, Some(2));
    }
}
