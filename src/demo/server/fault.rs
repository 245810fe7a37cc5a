//! What goes wrong on purpose, as data: planned faults one by one, or random ones from a seed, bounded in number so that a
//! run ends. Every fault that was made is written down.

use std::time::Duration;

use crate::demo::cloud::Refusal;
use crate::demo::random::Random;
use crate::demo::random::Stream;

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Call {
    /// The container's initialisation.
    Init,
    /// The keys of zones.
    Zone,
    /// The zones that changed.
    Zones,
    /// The changes of zones.
    Changes,
    /// Records by name.
    Record,
    /// Records by type.
    Query,
    /// A container of MMCS.
    Container,
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The operations are refused, with any code and hint: throttled, busy, a token that is not good any more, a zone that is
    /// gone. Of several operations only those of the fault's zone.
    Refused(Refusal),
    /// The positions of the zone's feed are forgotten; the code is 17 or 40.
    Reset(i32),
    /// An answer of HTTP without protocol buffers: 401, 403, 429, 503. Its body is a page for people, or empty.
    Status {
        /// The status.
        status: u16,
        /// Whether there is a page.
        has_page: bool,
        /// `Retry-After`, seconds.
        retry_after: Option<u64>,
    },
    /// Status 200 with a page for people.
    Page,
    /// The body ends after so many hundredths, and the connection with it.
    Cut(u64),
    /// The body comes in so many pieces with a pause before each.
    Slow {
        /// Into how many pieces it is cut.
        pieces: usize,
        /// The pause.
        pause: Duration,
    },
    /// Half of the body comes, and then nothing any more.
    Stalled,
    /// The answers come in the opposite order of the requests.
    Shuffled,
    /// One operation is not answered.
    OneMissing,
    /// The body is not packed.
    Unpacked,
    /// One bit of the body is another; of protocol buffers that is found or not, of containers it has to be.
    BitFlip,
}

impl Trouble {
    /// What operations are refused with.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        if let Self::Refused(refusal) = self {
            return Some(*refusal);
        }
        if let Self::Reset(code) = self {
            return Some(Refusal::client(*code));
        }
        None
    }
}

/// A fault that is planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// In requests of this kind.
    pub call: Call,
    /// That are about this zone, if one is named.
    pub zone: Option<String>,
    /// After so many of them.
    pub skip: u32,
    /// So many times.
    pub times: u32,
    /// What.
    pub trouble: Trouble,
}

impl Fault {
    /// In the next request of a kind.
    pub const fn new(call: Call, trouble: Trouble) -> Self {
        Self {
            call,
            zone: None,
            skip: 0,
            times: 1,
            trouble,
        }
    }

    /// The same in requests about a zone.
    #[must_use]
    pub fn in_zone(mut self, zone: &str) -> Self {
        self.zone = Some(zone.to_owned());
        self
    }

    /// The same after so many requests of its kind, so that page k is hit by `after(k)`, counted from 0.
    #[must_use]
    pub const fn after(mut self, requests: u32) -> Self {
        self.skip = requests;
        self
    }

    /// The same so many times.
    #[must_use]
    pub const fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }
}

/// Faults by chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chance {
    /// The same seed gives the same faults for the same requests.
    pub seed: u64,
    /// So many of a hundred requests.
    pub percent: u64,
    /// And no more than this altogether.
    pub most: u32,
}

/// All that goes wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// What is planned. Of several that fit the first one happens.
    pub planned: Vec<Fault>,
    /// What happens by chance in requests without a planned fault.
    pub chance: Option<Chance>,
}

impl Faults {
    /// Nothing.
    pub fn none() -> Self {
        Self::default()
    }

    /// These.
    pub fn planned(planned: impl Into<Vec<Fault>>) -> Self {
        Self {
            planned: planned.into(),
            chance: None,
        }
    }

    /// By chance.
    pub fn random(seed: u64, percent: u64, most: u32) -> Self {
        Self {
            planned: Vec::new(),
            chance: Some(Chance {
                seed,
                percent,
                most,
            }),
        }
    }
}

/// A fault that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// In which request, counted from 0.
    pub request: u64,
    /// Of which kind.
    pub call: Call,
    /// About which zone, if the fault was.
    pub zone: Option<String>,
    /// What.
    pub trouble: Trouble,
}

/// The faults that are still to come, and those that were.
#[derive(Debug)]
pub(super) struct Ledger {
    faults: Faults,
    random: Random,
    requests: u64,
    pub(super) made: Vec<Made>,
}

impl Ledger {
    pub(super) fn new(faults: Faults) -> Self {
        let seed = faults.chance.map_or(0, |chance| chance.seed);
        Self {
            random: Random::new(seed, Stream::Fault, 0),
            faults,
            requests: 0,
            made: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, fault: Fault) {
        self.faults.planned.push(fault);
    }

    /// What goes wrong with a request about these zones.
    pub(super) fn next(&mut self, call: Call, zones: &[&str]) -> Option<Made> {
        let request = self.requests;
        self.requests += 1;
        let made = self
            .planned(request, call, zones)
            .or_else(|| self.by_chance(request, call, zones));
        self.made.extend(made.clone());
        made
    }

    fn planned(&mut self, request: u64, call: Call, zones: &[&str]) -> Option<Made> {
        for fault in &mut self.faults.planned {
            let is_about = fault
                .zone
                .as_deref()
                .is_none_or(|zone| zones.contains(&zone));
            if fault.call != call || !is_about || fault.times == 0 {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            fault.times -= 1;
            return Some(Made {
                request,
                call,
                zone: fault.zone.clone(),
                trouble: fault.trouble.clone(),
            });
        }
        None
    }

    fn by_chance(&mut self, request: u64, call: Call, zones: &[&str]) -> Option<Made> {
        let chance = self.faults.chance.as_mut()?;
        if chance.most == 0 || !self.random.percent(chance.percent) {
            return None;
        }
        chance.most -= 1;
        let zone = zones.get(self.random.index(zones.len()));
        Some(Made {
            request,
            call,
            zone: zone.map(|zone| (*zone).to_owned()),
            trouble: trouble(call, &mut self.random),
        })
    }
}

/// A fault that passes by itself: none of these keeps a patient client from everything.
fn trouble(call: Call, random: &mut Random) -> Trouble {
    let hint = [None, Some(1), Some(2)];
    let status = |status, random: &mut Random| Trouble::Status {
        status,
        has_page: random.percent(50),
        retry_after: random.percent(50).then_some(1),
    };
    let common = |random: &mut Random| match random.below(6) {
        0 => status(429, random),
        1 => status(503, random),
        2 => status(500, random),
        3 => Trouble::Cut(random.below(100)),
        4 => Trouble::Slow {
            pieces: 4,
            pause: Duration::from_millis(20),
        },
        _ => Trouble::Unpacked,
    };
    match call {
        Call::Init => match random.below(3) {
            0 => status(429, random),
            1 => status(503, random),
            _ => Trouble::Cut(random.below(100)),
        },
        Call::Container => match random.below(4) {
            0 => Trouble::BitFlip,
            1 => status(403, random),
            2 => Trouble::Cut(random.below(100)),
            _ => common(random),
        },
        Call::Zone | Call::Zones | Call::Changes | Call::Record | Call::Query => match random
            .below(9)
        {
            0 => Trouble::Refused(Refusal::client(Refusal::THROTTLED).after(random.pick(&hint))),
            1 => Trouble::Refused(Refusal::server(Refusal::OVERLOADED).after(random.pick(&hint))),
            2 => Trouble::Refused(Refusal::server(Refusal::ZONE_BUSY).after(random.pick(&hint))),
            3 if call == Call::Changes => {
                Trouble::Reset(random.pick(&[Refusal::RESET_NEEDED, Refusal::FULL_RESET_NEEDED]))
            }
            4 => Trouble::Shuffled,
            5 => Trouble::OneMissing,
            6 => Trouble::Page,
            _ => common(random),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_planned_fault_hits_the_page_it_is_meant_for() {
        let busy = Trouble::Refused(Refusal::server(Refusal::ZONE_BUSY));
        let fault = Fault::new(Call::Changes, busy.clone())
            .in_zone("a")
            .after(1)
            .times(2);
        let mut ledger = Ledger::new(Faults::planned([fault]));
        let mut next = |zones: &[&str]| ledger.next(Call::Changes, zones).map(|made| made.trouble);

        assert_eq!(next(&["b"]), None);
        assert_eq!(next(&["a"]), None);
        assert_eq!(next(&["a", "b"]), Some(busy.clone()));
        assert_eq!(next(&["a"]), Some(busy));
        assert_eq!(next(&["a"]), None);
    }

    #[test]
    fn faults_by_chance_are_the_same_for_a_seed_and_end() {
        let run = |seed| {
            let mut ledger = Ledger::new(Faults::random(seed, 50, 20));
            for _ in 0..200 {
                ledger.next(Call::Changes, &["a", "b"]);
            }
            ledger.made
        };

        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
        assert_eq!(run(3).len(), 20);
    }
}
