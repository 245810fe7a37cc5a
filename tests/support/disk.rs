//! A disk in memory that remembers what it would hold had its power gone at any of its syncs, and that can refuse to
//! write.
//!
//! Between two syncs a disk may have kept any of the writes it was given. So it remembers what is durable and what was
//! written since, and at every sync notes what would be left had the power gone instead: see [`Unsynced`].

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;

use redb::StorageBackend;

/// What happens to writes that were not synced when the power goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsynced {
    /// All are lost.
    Lost,
    /// All are kept.
    Kept,
    /// Each is kept or lost, by a fixed order of chance; the last one that was lost is torn: its first half is kept.
    Torn(u64),
}

impl Unsynced {
    pub(crate) const ALL: [Self; 4] = [Self::Lost, Self::Kept, Self::Torn(1), Self::Torn(2)];
}

/// A disk after its power went.
pub(crate) struct Crash {
    /// Before which sync, counted from 1.
    pub(crate) sync: usize,
    pub(crate) unsynced: Unsynced,
    /// What is on it.
    pub(crate) content: Vec<u8>,
}

/// A disk; clones are the same one.
#[derive(Clone)]
pub(crate) struct Disk(Arc<Mutex<State>>);

/// redb prints its backend whenever it opens one: not the content.
impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Disk(..)")
    }
}

struct State {
    /// What a reader sees.
    content: Vec<u8>,
    /// What is there for good.
    durable: Vec<u8>,
    /// Since the last sync, in order.
    pending: Vec<Pending>,
    /// What would be left, by sync; not noted unless wanted.
    crashes: Option<Vec<(usize, Unsynced, Vec<u8>)>>,
    /// From this write on, writes end with this error.
    refusal: Option<(usize, io::ErrorKind)>,
    syncs: usize,
    writes: usize,
}

enum Pending {
    Length(u64),
    Write(u64, Vec<u8>),
}

impl Disk {
    /// A disk with something on it, or with nothing.
    pub(crate) fn new(content: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(State {
            durable: content.clone(),
            content,
            pending: Vec::new(),
            crashes: None,
            refusal: None,
            syncs: 0,
            writes: 0,
        })))
    }

    /// A disk that notes what a loss of power would leave.
    pub(crate) fn recording(content: Vec<u8>) -> Self {
        let disk = Self::new(content);
        disk.state().crashes = Some(Vec::new());
        disk
    }

    /// What a loss of power would have left, at every sync and now.
    pub(crate) fn crashes(&self) -> Vec<Crash> {
        let mut state = self.state();
        state.syncs += 1;
        state.note_crashes();
        let crashes = state.crashes.take().unwrap();
        let crashes = crashes.into_iter();
        crashes
            .map(|(sync, unsynced, content)| Crash {
                sync,
                unsynced,
                content,
            })
            .collect()
    }

    /// What a process finds that opens it next, had this one ended now.
    pub(crate) fn content(&self) -> Vec<u8> {
        self.state().content.clone()
    }

    /// How often it was written to, changes of its length and syncs included.
    pub(crate) fn writes(&self) -> usize {
        self.state().writes
    }

    /// From this write on, counted from 1, writes and syncs end with an error.
    pub(crate) fn refuse(&self, from: usize, kind: io::ErrorKind) {
        self.state().refusal = Some((from, kind));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

impl State {
    /// Counts a write, or refuses it.
    fn begin_write(&mut self) -> io::Result<()> {
        self.writes += 1;
        match self.refusal {
            Some((from, kind)) if self.writes >= from => Err(kind.into()),
            _ => Ok(()),
        }
    }

    fn change(&mut self, change: Pending) -> io::Result<()> {
        self.begin_write()?;
        change.apply_to(&mut self.content);
        self.pending.push(change);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.begin_write()?;
        self.syncs += 1;
        self.note_crashes();
        for change in std::mem::take(&mut self.pending) {
            change.apply_to(&mut self.durable);
        }
        Ok(())
    }

    fn note_crashes(&mut self) {
        let Some(crashes) = &mut self.crashes else {
            return;
        };
        for unsynced in Unsynced::ALL {
            let mut content = self.durable.clone();
            unsynced.survive(&mut content, &self.pending);
            crashes.push((self.syncs, unsynced, content));
        }
    }
}

impl Unsynced {
    fn survive(self, durable: &mut Vec<u8>, pending: &[Pending]) {
        match self {
            Self::Lost => {}
            Self::Kept => {
                for change in pending {
                    change.apply_to(durable);
                }
            }
            Self::Torn(seed) => {
                let mut chance = seed;
                let mut last = None;
                for change in pending {
                    // A linear congruential generator; its high bits are fair enough for a coin.
                    chance = chance
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    match change {
                        // A file that was not made longer cannot hold what lies beyond.
                        Pending::Length(_) => change.apply_to(durable),
                        Pending::Write(..) if chance >> 63 == 1 => {
                            change.apply_to(durable);
                        }
                        Pending::Write(..) => last = Some(change),
                    }
                }
                if let Some(Pending::Write(offset, bytes)) = last {
                    let half = bytes[..bytes.len() / 2].to_vec();
                    Pending::Write(*offset, half).apply_to(durable);
                }
            }
        }
    }
}

impl Pending {
    fn apply_to(&self, content: &mut Vec<u8>) {
        match self {
            Self::Length(length) => content.resize(usize::try_from(*length).unwrap(), 0),
            Self::Write(offset, bytes) => {
                let from = usize::try_from(*offset).unwrap();
                content[from..from + bytes.len()].copy_from_slice(bytes);
            }
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().content.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let from = usize::try_from(offset).unwrap();
        let state = self.state();
        let bytes = state.content.get(from..from + out.len());
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.state().change(Pending::Length(length))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.state().sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.state().change(Pending::Write(offset, data.to_vec()))
    }
}
