//! From a GUID to its message, a million times, each with a read transaction of its own.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use footbridge::base::ids::Guid;
use footbridge::base::time::SystemClock;
use footbridge::store::Absent;
use footbridge::store::Direction;
use footbridge::store::Store;

use crate::Trouble;
use crate::random::Random;

/// Look-ups of each kind.
const LOOK_UPS: usize = 1_000_000;

/// Time of one look-up in the mean.
pub(crate) struct LookUps {
    present: Duration,
    absent: Duration,
    /// Without the read transaction, of GUIDs that are present.
    bare: Duration,
}

impl LookUps {
    /// Of GUIDs that are held, or of others.
    pub(crate) fn slower(&self) -> Duration {
        self.present.max(self.absent)
    }
}

impl fmt::Display for LookUps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [present, absent, bare] =
            [self.present, self.absent, self.bare].map(|time| time.as_secs_f64() * 1e6);
        write!(
            f,
            "mean of {LOOK_UPS}: present {present:.2} us, absent {absent:.2} us, \
             present without the transaction {bare:.2} us"
        )
    }
}

/// Looks up GUIDs of an archive in random order, and as many that it does not hold.
pub(crate) fn measure(data: &Path) -> Result<LookUps, Trouble> {
    let store = Store::open(data, Absent::Refuse, Arc::new(SystemClock))?;
    let mut random = Random::new(4);
    let mut present = Vec::new();
    let snapshot = store.snapshot()?;
    for place in snapshot.by_time(None, Direction::Forward)? {
        present.push(snapshot.message(place?.row)?.message.guid);
    }
    drop(snapshot);
    random.shuffle(&mut present);
    let present: Vec<&Guid> = present.iter().cycle().take(LOOK_UPS).collect();
    let absent: Vec<Guid> = (0..LOOK_UPS).map(|_| Guid::Uuid(random.bytes())).collect();
    // A store that was not read yet: its first look-ups read pages.
    drop(store);
    let store = Store::open(data, Absent::Refuse, Arc::new(SystemClock))?;
    let look_up = |guid: &Guid| store.snapshot()?.messages_with(guid);
    let (found, present_time) = count(present.iter().map(|guid| look_up(guid)))?;
    let (strangers, absent_time) = count(absent.iter().map(look_up))?;
    let snapshot = store.snapshot()?;
    let (again, bare_time) = count(present.iter().map(|guid| snapshot.messages_with(guid)))?;
    if (found, strangers, again) != (present.len(), 0, present.len()) {
        return Err("a look-up did not find what is there, or found what is not".into());
    }
    Ok(LookUps {
        present: present_time,
        absent: absent_time,
        bare: bare_time,
    })
}

/// How many look-ups found anything, and the time of one.
fn count<Row, E: Into<Trouble>>(
    look_ups: impl Iterator<Item = Result<Vec<Row>, E>>,
) -> Result<(usize, Duration), Trouble> {
    let (mut done, mut found) = (0, 0);
    let begin = Instant::now();
    for rows in look_ups {
        found += usize::from(!rows.map_err(Into::into)?.is_empty());
        done += 1;
    }
    Ok((found, begin.elapsed() / done.max(1)))
}
