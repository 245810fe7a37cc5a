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

use crate::app::remote::Answer;
use crate::app::remote::Part;
use crate::app::remote::Step;
use crate::base::limits::PROGRESS_SENT_EVERY;
use crate::base::time::AppleTime;
use crate::base::time::Clock;
use crate::cli::numbers;

/// How often a plain line is written.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// How often the service writes one: its lines go to a log.
pub(crate) const SERVICE_LINE_EVERY: Duration = Duration::from_secs(30);

/// How often the bar is drawn.
const DRAWS_A_SECOND: u8 = 10;

/// Work whose end is known.
const BAR: &str = "{prefix} {wide_bar} {human_pos} of {human_len} {msg}, {eta} left";

/// Work whose end nobody knows.
const OPEN: &str = "{prefix}: {human_pos} {msg}, {per_sec}";

/// One long piece of work with a known or unknown end.
///
/// Dropping it takes the bar off the screen. It may be told from any thread.
pub struct Progress<'a> {
    clock: &'a dyn Clock,
    face: Face<'a>,
}

enum Face<'a> {
    Bar(ProgressBar),
    Lines(Mutex<Lines>),
    Told(Told<'a>),
}

impl<'a> Progress<'a> {
    /// For work such as `importing`, counted in things such as `messages`.
    pub fn new(work: &str, things: &str, clock: &'a dyn Clock) -> Self {
        Self::every(LINE_EVERY, work, things, clock)
    }

    /// With lines, where there is no terminal, as often as this.
    fn every(every: Duration, work: &str, things: &str, clock: &'a dyn Clock) -> Self {
        let face = if io::stderr().is_terminal() {
            Face::Bar(bar(work, things))
        } else {
            Face::Lines(Mutex::new(Lines::new(every, work, things, clock.now())))
        };
        Self { clock, face }
    }

    /// For work in the service, shown by the process that asked for it.
    pub(crate) fn told(work: &str, things: &str, clock: &'a dyn Clock, answer: Answer<'a>) -> Self {
        let told = Told {
            answer,
            work: work.to_owned(),
            things: things.to_owned(),
            sent: Mutex::new(None),
        };
        Self {
            clock,
            face: Face::Told(told),
        }
    }

    /// Says how many are done, and of how many where that is known.
    pub fn set(&self, done: u64, total: Option<u64>) {
        match &self.face {
            Face::Bar(bar) => {
                if let Some(total) = total {
                    bar.set_length(total.max(done));
                } else if bar.length().is_none() && bar.position() == 0 {
                    bar.set_style(style(OPEN));
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
            Face::Told(told) => told.set(self.clock.now(), done, total),
        }
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        match &self.face {
            Face::Bar(bar) => bar.finish_and_clear(),
            Face::Lines(_) => {}
            Face::Told(told) => told.send(None, None),
        }
    }
}

/// Progress on its way to another process.
struct Told<'a> {
    answer: Answer<'a>,
    work: String,
    things: String,
    sent: Mutex<Option<AppleTime>>,
}

impl Told<'_> {
    fn set(&self, now: AppleTime, done: u64, total: Option<u64>) {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        if sent.is_none_or(|sent| sent.plus(PROGRESS_SENT_EVERY) <= now) {
            *sent = Some(now);
            self.send(Some(done), total);
        }
    }

    fn send(&self, done: Option<u64>, total: Option<u64>) {
        let step = Step {
            work: self.work.clone(),
            things: self.things.clone(),
            done,
            total,
        };
        // Progress that nobody can see must not end the work.
        drop((self.answer)(Part::Progress(step)));
    }
}

/// A command's progress through several phases, a bar for each.
pub struct Phases<'a, P> {
    clock: &'a dyn Clock,
    /// What a phase is called, and what is counted in it.
    names: fn(P) -> (&'static str, &'static str),
    every: Duration,
    /// Where it is told, for a command in the service.
    answer: Option<Answer<'a>>,
    now: Mutex<Option<(P, Progress<'a>)>>,
}

impl<'a, P: Copy + PartialEq> Phases<'a, P> {
    /// For phases that are called so, and counted in such things.
    pub fn new(names: fn(P) -> (&'static str, &'static str), clock: &'a dyn Clock) -> Self {
        Self {
            clock,
            names,
            every: LINE_EVERY,
            answer: None,
            now: Mutex::new(None),
        }
    }

    /// The same with lines, where there is no terminal, as often as this.
    #[must_use]
    pub(crate) fn every(self, every: Duration) -> Self {
        Self { every, ..self }
    }

    /// The same for work in the service, shown by the process that asked for it.
    #[must_use]
    pub(crate) fn told(self, answer: Answer<'a>) -> Self {
        let answer = Some(answer);
        Self { answer, ..self }
    }

    /// Takes the bar away until there is progress again.
    pub(crate) fn clear(&self) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Says how many are done in a phase, and of how many where that is known. Another phase than before takes the old one's bar away.
    pub fn set(&self, phase: P, done: u64, total: impl Into<Option<u64>>) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if now.as_ref().is_some_and(|(before, _)| *before != phase) {
            *now = None;
        }
        let (_, progress) = now.get_or_insert_with(|| {
            let (work, things) = (self.names)(phase);
            let progress = match self.answer {
                Some(answer) => Progress::told(work, things, self.clock, answer),
                None => Progress::every(self.every, work, things, self.clock),
            };
            (phase, progress)
        });
        progress.set(done, total.into());
    }
}

/// A bar without colours; its length is unknown until it is told.
fn bar(work: &str, things: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
    bar.set_style(style(BAR));
    bar.set_prefix(work.to_owned());
    bar.set_message(things.to_owned());
    // Only now: nothing of it is drawn before it says something.
    bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(DRAWS_A_SECOND));
    bar
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_template| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

/// Decides when a line is due and what it says.
struct Lines {
    every: Duration,
    work: String,
    things: String,
    began: AppleTime,
    /// When the latest line was written; the beginning at first, so that short work writes none.
    written: AppleTime,
}

impl Lines {
    fn new(every: Duration, work: &str, things: &str, now: AppleTime) -> Self {
        Self {
            every,
            work: work.to_owned(),
            things: things.to_owned(),
            began: now,
            written: now,
        }
    }

    /// `importing: 120,000 of 1,000,000 messages, 43,000 a second, 20 s left`, when it is time.
    fn next(&mut self, now: AppleTime, done: u64, total: Option<u64>) -> Option<String> {
        if now < self.written.plus(self.every) {
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
        let mut lines = Lines::new(LINE_EVERY, "importing", "messages", at(0));

        let due: Vec<bool> = [0, 9, 10, 11, 19, 21, 31]
            .map(|second| lines.next(at(second), 1, None).is_some())
            .to_vec();

        assert_eq!(due, [false, false, true, false, false, true, true]);
    }

    #[test]
    fn a_line_has_done_total_rate_and_the_rest() {
        let mut lines = Lines::new(LINE_EVERY, "importing", "messages", at(0));

        let line = lines.next(at(10), 430_000, Some(1_000_000));

        assert_eq!(
            line.unwrap(),
            "importing: 430,000 of 1,000,000 messages, 43,000 a second, 13 s left"
        );
    }

    #[test]
    fn without_a_total_or_a_rate_no_rest_is_promised() {
        let mut lines = Lines::new(LINE_EVERY, "reading", "rows", at(0));

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

        bar.set_style(style(OPEN));
        bar.set_style(style(BAR));
        bar.set_length(10);
        bar.set_position(3);

        assert_eq!((bar.length(), bar.position()), (Some(10), 3));
        let clock = FixedClock(at(0));
        Progress::new("importing", "messages", &clock).set(1, Some(2));
    }
}
