//! How many at once: slots by key, with a cap over all keys. Nobody waits for a slot; who gets none is told so.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

/// Slots by key, for example long polls by device. Clones share their slots.
#[derive(Clone)]
pub struct Slots<K: Eq + Hash> {
    per_key: usize,
    total: usize,
    taken: Arc<Mutex<Taken<K>>>,
}

struct Taken<K> {
    by_key: HashMap<K, usize>,
    all: usize,
}

/// Why there is no slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotsTaken {
    /// Those of this key are taken.
    OfKey,
    /// Those of all keys are.
    OfAll,
}

/// A taken slot; dropping it gives it back.
pub struct Slot<K: Eq + Hash> {
    key: K,
    taken: Arc<Mutex<Taken<K>>>,
}

impl<K: Eq + Hash + Clone> Slots<K> {
    /// `per_key` slots for each key, `total` for all together.
    pub fn new(per_key: usize, total: usize) -> Self {
        let taken = Taken {
            by_key: HashMap::new(),
            all: 0,
        };
        Self {
            per_key,
            total,
            taken: Arc::new(Mutex::new(taken)),
        }
    }

    /// Takes a slot for a key.
    ///
    /// # Errors
    /// [`SlotsTaken`] when there is none.
    pub fn take(&self, key: K) -> Result<Slot<K>, SlotsTaken> {
        let mut taken = lock(&self.taken);
        if taken.all >= self.total {
            return Err(SlotsTaken::OfAll);
        }
        if taken.by_key.get(&key).copied().unwrap_or_default() >= self.per_key {
            return Err(SlotsTaken::OfKey);
        }
        *taken.by_key.entry(key.clone()).or_default() += 1;
        taken.all += 1;
        Ok(Slot {
            key,
            taken: Arc::clone(&self.taken),
        })
    }
}

impl<K: Eq + Hash> Drop for Slot<K> {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        taken.all -= 1;
        if let Some(count) = taken.by_key.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                taken.by_key.remove(&self.key);
            }
        }
    }
}

/// The key may be a name: logs show none.
impl<K: Eq + Hash> fmt::Debug for Slot<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Slot(..)")
    }
}

fn lock<K>(taken: &Mutex<Taken<K>>) -> MutexGuard<'_, Taken<K>> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::Slots;
    use super::SlotsTaken;
    use super::lock;

    #[test]
    fn a_key_has_its_slots_and_all_have_a_cap() {
        let slots = Slots::new(2, 3);

        let first = slots.take("a").unwrap();
        let _second = slots.take("a").unwrap();
        assert_eq!(slots.take("a").unwrap_err(), SlotsTaken::OfKey);
        let _third = slots.take("b").unwrap();
        assert_eq!(slots.take("c").unwrap_err(), SlotsTaken::OfAll);
        drop(first);
        assert!(slots.take("a").is_ok());
    }

    #[test]
    fn a_key_without_slots_is_forgotten() {
        let slots = Slots::new(1, 1);

        for key in 0..100 {
            drop(slots.take(key));
        }

        assert!(lock(&slots.taken).by_key.is_empty());
    }
}
