//! One pass over one zone, as a machine without a network or a clock: what happened goes in, what to do comes out.
//!
//! | state | event | next | action |
//! |---|---|---|---|
//! | `Begin` | `Start`, its keys are held | `Asking(Page)` | ask for a page |
//! | `Begin` | `Start`, they are not | `Asking(Zone)` | ask for the zone |
//! | `Asking(Zone)` | `Described` | `Asking(Page)` | keep it, ask for a page |
//! | `Asking(Page)` | `Page(More)` | `Asking(Page)` | store, ask for the next |
//! | `Asking(Page)` | `Page(More)`, as many as a pass may have | `Ended(PageCap)` | store |
//! | `Asking(Page)` | `Page(Last)` | `Ended(CaughtUp)` | store |
//! | `Asking(Page)` | `Page(SameToken)` | `Ended(TokenUnchanged)` | store |
//! | `Asking(Page)` | `Page(NoToken)` | `Waiting(Page)` | store, wait: asking on would give the same page |
//! | `Asking(Page)` | `Page(NoToken)`, the third time | `Ended(Errors)` | store |
//! | `Asking(Page)` | `LacksKey`, the first time in a pass | `Refreshing` | ask for the zone, with the page in hand |
//! | `Asking(Page)` | `LacksKey`, later | `Asking(Page)` | open the page as far as it opens |
//! | `Refreshing` | `Described`, or any failure | `Asking(Page)` | open the page as far as it opens |
//! | `Asking(q)` | `Failed(Wait)` | `Waiting(q)` | wait: as told, else longer each time |
//! | `Asking(q)` | `Failed(Wait)`, the third time | `Ended(Errors)` | |
//! | `Waiting(q)` | `TimeUp` | `Asking(q)` | ask the same again |
//! | `Asking(q)` | `Failed(Authenticate)` | `Renewing(q)` | look for a newer session (D31) |
//! | `Renewing(q)` | `Renewed` | `Asking(q)` | ask the same again |
//! | `Renewing(q)` | `NotRenewed` | `Ended(Blocked)` | |
//! | `Asking(Page)` | `Failed(ResetZone)`, the first time | `Asking(Page)` | forget the position, ask from the beginning (D30) |
//! | `Asking(Page)` | `Failed(RefreshKeys)`, the first time | `Asking(Zone)` | ask for the zone |
//! | `Asking(q)` | `Failed(ZoneGone)` | `Ended(Gone)` | |
//! | `Asking(q)` | `Failed`, any other | `Ended(Errors)` | |
//! | any but `Ended` | `Cancelled` | `Ended(Cancelled)` | |
//!
//! Anything else does not occur; it changes nothing and asks for nothing. `Page(Last)` and `Page(SameToken)` alone are
//! success (SC-11): a failure never ends as one. A page that was stored clears the count of failures.

use std::time::Duration;

use crate::base::limits::CLOUD_PAGES;
use crate::base::limits::CLOUD_TRIES;
use crate::source::cloudkit::Reaction;

/// What is asked of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// The zone with its keys.
    Zone,
    /// The next page.
    Page,
}

/// Where a pass over a zone is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Not begun.
    Begin,
    /// A question is on its way.
    Asking(Question),
    /// A question is to be asked again after a while.
    Waiting(Question),
    /// A question was refused; a newer session is looked for.
    Renewing(Question),
    /// A page lacks a key; the zone's keys are asked for once more.
    Refreshing,
    /// Over.
    Ended(Stop),
}

/// Why a pass over a zone is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    CaughtUp,
    TokenUnchanged,
    PageCap,
    Errors,
    Cancelled,
    Gone,
    Blocked,
}

/// What a page says of what comes after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paging {
    /// There is more.
    More,
    /// There is no more.
    Last,
    /// The position is the one that was sent.
    SameToken,
    /// There is more, but no position.
    NoToken,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The pass begins.
    Start {
        /// Whether the zone's keys are held.
        has_keys: bool,
    },
    /// The server described the zone.
    Described,
    /// A page came, and it can be stored.
    Page(Paging),
    /// A page came, and a key of it is missing.
    LacksKey,
    /// The question failed.
    Failed(Reaction),
    /// The wait is over.
    TimeUp,
    /// There is a newer session.
    Renewed,
    /// There is none.
    NotRenewed,
    /// It is to stop.
    Cancelled,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Nothing.
    None,
    /// Ask.
    Ask(Question),
    /// Keep what was described, and ask for a page.
    KeepAndAsk,
    /// Store the page, and ask for the next.
    StoreAndAsk,
    /// Store the page; the pass is over.
    StoreAndEnd,
    /// Store the page, then wait.
    StoreAndWait(Duration),
    /// Ask for the zone, and keep the page in hand.
    Refresh,
    /// Open the page in hand as far as it opens.
    OpenAnyway,
    /// Forget the position, then ask for a page.
    ResetAndAsk,
    /// Wait.
    Wait(Duration),
    /// Look for a newer session.
    Renew,
    /// The pass is over.
    End,
}

/// A pass over a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Machine {
    pub(super) state: State,
    /// Failures since the last page.
    pub(super) failures: u32,
    /// Pages stored.
    pub(super) pages: u32,
    /// How often the position was forgotten.
    pub(super) resets: u32,
    /// How often keys were asked for because one was missing.
    pub(super) refreshes: u32,
}

impl Machine {
    /// A pass that has not begun.
    pub(super) const fn new() -> Self {
        Self {
            state: State::Begin,
            failures: 0,
            pages: 0,
            resets: 0,
            refreshes: 0,
        }
    }

    /// What follows from an event. `jitter` spreads waits: 0 to 1, in the middle on average.
    pub(super) fn on(&mut self, event: Event, jitter: f64) -> Action {
        let (next, action) = match (self.state, event) {
            (State::Ended(_), _) => (self.state, Action::None),
            (_, Event::Cancelled) => (State::Ended(Stop::Cancelled), Action::End),
            (State::Begin, Event::Start { has_keys: true }) => ask(Question::Page),
            (State::Begin, Event::Start { has_keys: false }) => ask(Question::Zone),
            (State::Asking(Question::Zone), Event::Described) => {
                (State::Asking(Question::Page), Action::KeepAndAsk)
            }
            (State::Asking(Question::Page), Event::Page(paging)) => self.on_page(paging, jitter),
            (State::Asking(Question::Page), Event::LacksKey) if self.refreshes == 0 => {
                self.refreshes += 1;
                (State::Refreshing, Action::Refresh)
            }
            (State::Asking(Question::Page), Event::LacksKey)
            | (State::Refreshing, Event::Described | Event::Failed(_)) => {
                (State::Asking(Question::Page), Action::OpenAnyway)
            }
            (State::Asking(question), Event::Failed(reaction)) => {
                self.on_failure(question, reaction, jitter)
            }
            (State::Waiting(question), Event::TimeUp)
            | (State::Renewing(question), Event::Renewed) => ask(question),
            (State::Renewing(_), Event::NotRenewed) => (State::Ended(Stop::Blocked), Action::End),
            (
                State::Begin
                | State::Asking(_)
                | State::Waiting(_)
                | State::Renewing(_)
                | State::Refreshing,
                Event::Start { .. }
                | Event::Described
                | Event::Page(_)
                | Event::LacksKey
                | Event::Failed(_)
                | Event::TimeUp
                | Event::Renewed
                | Event::NotRenewed,
            ) => (self.state, Action::None),
        };
        self.state = next;
        action
    }

    fn on_page(&mut self, paging: Paging, jitter: f64) -> (State, Action) {
        self.pages += 1;
        match paging {
            Paging::Last => (State::Ended(Stop::CaughtUp), Action::StoreAndEnd),
            Paging::SameToken => (State::Ended(Stop::TokenUnchanged), Action::StoreAndEnd),
            Paging::NoToken => {
                self.failures += 1;
                if self.failures >= CLOUD_TRIES {
                    return (State::Ended(Stop::Errors), Action::StoreAndEnd);
                }
                let wait = back_off(self.failures, jitter);
                (State::Waiting(Question::Page), Action::StoreAndWait(wait))
            }
            Paging::More => {
                self.failures = 0;
                if self.pages >= CLOUD_PAGES {
                    return (State::Ended(Stop::PageCap), Action::StoreAndEnd);
                }
                (State::Asking(Question::Page), Action::StoreAndAsk)
            }
        }
    }

    fn on_failure(
        &mut self,
        question: Question,
        reaction: Reaction,
        jitter: f64,
    ) -> (State, Action) {
        match (reaction, question) {
            (Reaction::Wait(hint), _) => {
                self.failures += 1;
                if self.failures >= CLOUD_TRIES {
                    return (State::Ended(Stop::Errors), Action::End);
                }
                let wait = hint.unwrap_or_else(|| back_off(self.failures, jitter));
                (State::Waiting(question), Action::Wait(wait))
            }
            (Reaction::Authenticate, _) => (State::Renewing(question), Action::Renew),
            (Reaction::ResetZone, Question::Page) if self.resets == 0 => {
                self.resets += 1;
                (State::Asking(Question::Page), Action::ResetAndAsk)
            }
            (Reaction::RefreshKeys, Question::Page) if self.refreshes == 0 => {
                self.refreshes += 1;
                ask(Question::Zone)
            }
            (Reaction::ZoneGone, _) => (State::Ended(Stop::Gone), Action::End),
            (Reaction::ResetZone | Reaction::RefreshKeys | Reaction::Permanent, _) => {
                (State::Ended(Stop::Errors), Action::End)
            }
        }
    }
}

const fn ask(question: Question) -> (State, Action) {
    (State::Asking(question), Action::Ask(question))
}

/// How long to wait after so many failures: half a second, then twice as long each time, half a minute at most, a fifth
/// more or less (SC-16).
fn back_off(failures: u32, jitter: f64) -> Duration {
    const FIRST: Duration = Duration::from_millis(500);
    const MOST: Duration = Duration::from_secs(30);
    let doubled = FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16));
    doubled
        .min(MOST)
        .mul_f64(0.8 + 0.4 * jitter.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Action;
    use super::Event;
    use super::Machine;
    use super::Paging;
    use super::Question::Page;
    use super::Question::Zone;
    use super::State;
    use super::Stop;
    use crate::base::limits::CLOUD_PAGES;
    use crate::source::cloudkit::Reaction;

    const EVENLY: f64 = 0.5;
    const HINT: Duration = Duration::from_secs(7);

    fn at(state: State) -> Machine {
        Machine {
            state,
            ..Machine::new()
        }
    }

    /// Every row of the table that does not depend on what was before.
    #[expect(clippy::too_many_lines, reason = "a table")]
    #[test]
    fn every_row_of_the_table_holds() {
        let half = Duration::from_millis(500);
        let ended = |stop| State::Ended(stop);
        let rows: Vec<(State, Event, State, Action)> = vec![
            (
                State::Begin,
                Event::Start { has_keys: true },
                State::Asking(Page),
                Action::Ask(Page),
            ),
            (
                State::Begin,
                Event::Start { has_keys: false },
                State::Asking(Zone),
                Action::Ask(Zone),
            ),
            (
                State::Asking(Zone),
                Event::Described,
                State::Asking(Page),
                Action::KeepAndAsk,
            ),
            (
                State::Asking(Page),
                Event::Page(Paging::More),
                State::Asking(Page),
                Action::StoreAndAsk,
            ),
            (
                State::Asking(Page),
                Event::Page(Paging::Last),
                ended(Stop::CaughtUp),
                Action::StoreAndEnd,
            ),
            (
                State::Asking(Page),
                Event::Page(Paging::SameToken),
                ended(Stop::TokenUnchanged),
                Action::StoreAndEnd,
            ),
            (
                State::Asking(Page),
                Event::Page(Paging::NoToken),
                State::Waiting(Page),
                Action::StoreAndWait(half),
            ),
            (
                State::Asking(Page),
                Event::LacksKey,
                State::Refreshing,
                Action::Refresh,
            ),
            (
                State::Refreshing,
                Event::Described,
                State::Asking(Page),
                Action::OpenAnyway,
            ),
            (
                State::Refreshing,
                Event::Failed(Reaction::Permanent),
                State::Asking(Page),
                Action::OpenAnyway,
            ),
            (
                State::Asking(Page),
                Event::Failed(Reaction::Wait(Some(HINT))),
                State::Waiting(Page),
                Action::Wait(HINT),
            ),
            (
                State::Asking(Zone),
                Event::Failed(Reaction::Wait(None)),
                State::Waiting(Zone),
                Action::Wait(half),
            ),
            (
                State::Waiting(Page),
                Event::TimeUp,
                State::Asking(Page),
                Action::Ask(Page),
            ),
            (
                State::Waiting(Zone),
                Event::TimeUp,
                State::Asking(Zone),
                Action::Ask(Zone),
            ),
            (
                State::Asking(Page),
                Event::Failed(Reaction::Authenticate),
                State::Renewing(Page),
                Action::Renew,
            ),
            (
                State::Renewing(Page),
                Event::Renewed,
                State::Asking(Page),
                Action::Ask(Page),
            ),
            (
                State::Renewing(Zone),
                Event::NotRenewed,
                ended(Stop::Blocked),
                Action::End,
            ),
            (
                State::Asking(Page),
                Event::Failed(Reaction::ResetZone),
                State::Asking(Page),
                Action::ResetAndAsk,
            ),
            (
                State::Asking(Page),
                Event::Failed(Reaction::RefreshKeys),
                State::Asking(Zone),
                Action::Ask(Zone),
            ),
            (
                State::Asking(Page),
                Event::Failed(Reaction::ZoneGone),
                ended(Stop::Gone),
                Action::End,
            ),
            (
                State::Asking(Zone),
                Event::Failed(Reaction::ZoneGone),
                ended(Stop::Gone),
                Action::End,
            ),
            (
                State::Asking(Page),
                Event::Failed(Reaction::Permanent),
                ended(Stop::Errors),
                Action::End,
            ),
            (
                State::Asking(Zone),
                Event::Failed(Reaction::ResetZone),
                ended(Stop::Errors),
                Action::End,
            ),
            (
                State::Asking(Zone),
                Event::Failed(Reaction::RefreshKeys),
                ended(Stop::Errors),
                Action::End,
            ),
        ];

        for (state, event, next, action) in rows {
            let mut machine = at(state);
            let done = machine.on(event, EVENLY);
            assert_eq!((machine.state, done), (next, action), "{state:?} {event:?}");
        }
    }

    #[test]
    fn stopping_is_heard_everywhere_and_nothing_after_the_end() {
        let going = [
            State::Begin,
            State::Asking(Zone),
            State::Asking(Page),
            State::Waiting(Page),
            State::Renewing(Page),
            State::Refreshing,
        ];
        for state in going {
            let mut machine = at(state);
            assert_eq!(machine.on(Event::Cancelled, EVENLY), Action::End);
            assert_eq!(machine.state, State::Ended(Stop::Cancelled));
            assert_eq!(machine.on(Event::Page(Paging::Last), EVENLY), Action::None);
            assert_eq!(machine.state, State::Ended(Stop::Cancelled));
        }
    }

    #[test]
    fn what_does_not_occur_changes_nothing() {
        for (state, event) in [
            (State::Begin, Event::TimeUp),
            (State::Waiting(Page), Event::Page(Paging::Last)),
            (State::Asking(Zone), Event::LacksKey),
            (State::Renewing(Page), Event::Described),
            (State::Refreshing, Event::Page(Paging::More)),
        ] {
            let mut machine = at(state);
            assert_eq!(machine.on(event, EVENLY), Action::None);
            assert_eq!(machine.state, state);
        }
    }

    #[test]
    fn three_failures_of_a_page_end_with_an_error_and_a_page_clears_them() {
        let mut machine = at(State::Asking(Page));
        let failed = Event::Failed(Reaction::Wait(None));
        let mut waits = Vec::new();

        for _ in 0..2 {
            waits.push(machine.on(failed, EVENLY));
            machine.on(Event::TimeUp, EVENLY);
        }
        let mut cleared = machine;
        assert_eq!(machine.on(failed, EVENLY), Action::End);
        assert_eq!(machine.state, State::Ended(Stop::Errors));
        let wait = |ms| Action::Wait(Duration::from_millis(ms));
        assert_eq!(waits, [wait(500), wait(1_000)]);

        cleared.on(Event::Page(Paging::More), EVENLY);
        assert_eq!(cleared.on(failed, EVENLY), wait(500));
    }

    #[test]
    fn a_zone_is_begun_again_once_in_a_pass_and_keys_are_asked_for_once() {
        let mut machine = at(State::Asking(Page));

        machine.on(Event::Failed(Reaction::ResetZone), EVENLY);
        machine.on(Event::LacksKey, EVENLY);
        machine.on(Event::Described, EVENLY);

        assert_eq!(machine.on(Event::LacksKey, EVENLY), Action::OpenAnyway);
        let again = Event::Failed(Reaction::ResetZone);
        assert_eq!(machine.on(again, EVENLY), Action::End);
        assert_eq!(machine.state, State::Ended(Stop::Errors));
    }

    #[test]
    fn a_pass_has_an_end_however_many_pages_there_are() {
        let mut machine = Machine {
            pages: CLOUD_PAGES - 1,
            ..at(State::Asking(Page))
        };

        assert_eq!(
            machine.on(Event::Page(Paging::More), EVENLY),
            Action::StoreAndEnd
        );
        assert_eq!(machine.state, State::Ended(Stop::PageCap));
    }

    #[test]
    fn a_page_without_a_position_is_not_asked_for_without_end() {
        let mut machine = at(State::Asking(Page));

        for _ in 0..2 {
            machine.on(Event::Page(Paging::NoToken), EVENLY);
            machine.on(Event::TimeUp, EVENLY);
        }

        assert_eq!(
            machine.on(Event::Page(Paging::NoToken), EVENLY),
            Action::StoreAndEnd
        );
        assert_eq!(machine.state, State::Ended(Stop::Errors));
    }
}
