//! How often something may be tried: token buckets by key. It delays nobody; it says how long to wait.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use crate::base::time::AppleTime;
use crate::base::time::Clock;

/// Token buckets by key, for example by (origin, address), so that a web page cannot use up the owner's attempts (D28).
///
/// A bucket is one time: when it will be full again. A full bucket is not kept; when there are too many keys, the
/// fullest bucket goes first, because forgetting it gives away the least.
pub struct RateLimit<K> {
    clock: Arc<dyn Clock>,
    burst: u32,
    refill: Duration,
    keys: usize,
    full_at: Mutex<HashMap<K, AppleTime>>,
}

impl<K: Eq + Hash + Clone> RateLimit<K> {
    /// Buckets of `burst` attempts (at least one), one more for each `refill`, for at most `keys` keys.
    pub fn new(clock: Arc<dyn Clock>, burst: u32, refill: Duration, keys: usize) -> Self {
        Self {
            clock,
            burst: burst.max(1),
            refill,
            keys: keys.max(1),
            full_at: Mutex::default(),
        }
    }

    /// Takes one attempt of a key.
    ///
    /// # Errors
    /// How long to wait before the next attempt has a chance. A refused attempt costs nothing.
    pub fn take(&self, key: K) -> Result<(), Duration> {
        let now = self.clock.now();
        let mut buckets = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let empty = now.plus(self.refill.saturating_mul(self.burst));
        // A clock that was set back must not lock anybody out for longer than an empty bucket would.
        let full_at = buckets
            .get(&key)
            .map_or(now, |full_at| (*full_at).clamp(now, empty));
        let after = full_at.plus(self.refill);
        if after > empty {
            return Err(between(empty, after));
        }
        if !buckets.contains_key(&key) && buckets.len() >= self.keys {
            self.evict(&mut buckets, now);
        }
        buckets.insert(key, after);
        Ok(())
    }

    fn evict(&self, buckets: &mut HashMap<K, AppleTime>, now: AppleTime) {
        buckets.retain(|_, full_at| *full_at > now);
        while buckets.len() >= self.keys {
            let fullest = buckets.iter().min_by_key(|(_, full_at)| **full_at);
            let Some(key) = fullest.map(|(key, _)| key.clone()) else {
                return;
            };
            buckets.remove(&key);
        }
    }
}

fn between(earlier: AppleTime, later: AppleTime) -> Duration {
    let nanos = later.nanos().saturating_sub(earlier.nanos());
    Duration::from_nanos(u64::try_from(nanos).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicI64;
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    use super::RateLimit;
    use crate::base::time::AppleTime;
    use crate::base::time::Clock;

    /// Seconds, set by the test.
    #[derive(Default)]
    struct Hand(AtomicI64);

    impl Clock for Hand {
        fn now(&self) -> AppleTime {
            AppleTime::from_nanos(self.0.load(Ordering::Relaxed) * 1_000_000_000)
        }
    }

    const REFILL: Duration = Duration::from_secs(10);

    fn limit(keys: usize) -> (Arc<Hand>, RateLimit<u32>) {
        let clock = Arc::new(Hand::default());
        let limit = RateLimit::new(Arc::clone(&clock) as Arc<dyn Clock>, 3, REFILL, keys);
        (clock, limit)
    }

    fn use_up(limit: &RateLimit<u32>, key: u32) {
        while limit.take(key).is_ok() {}
    }

    #[test]
    fn a_burst_is_let_through_and_then_one_for_each_refill() {
        let (clock, limit) = limit(10);

        assert_eq!([1, 1, 1].map(|key| limit.take(key)), [Ok(()); 3]);
        assert_eq!(limit.take(1), Err(REFILL));
        clock.0.store(4, Ordering::Relaxed);
        assert_eq!(limit.take(1), Err(Duration::from_secs(6)));
        clock.0.store(10, Ordering::Relaxed);
        assert_eq!(limit.take(1), Ok(()));
        assert_eq!(limit.take(1), Err(REFILL));
    }

    #[test]
    fn keys_do_not_share_a_bucket() {
        let (_, limit) = limit(10);
        use_up(&limit, 1);

        assert_eq!(limit.take(2), Ok(()));
    }

    #[test]
    fn the_fullest_bucket_makes_room() {
        let (_, limit) = limit(2);
        use_up(&limit, 1);

        for other in 2..100 {
            assert_eq!(limit.take(other), Ok(()));
        }

        assert!(limit.take(1).is_err());
        assert_eq!(limit.full_at.lock().unwrap().len(), 2);
    }

    #[test]
    fn a_clock_that_was_set_back_locks_nobody_out() {
        let (clock, limit) = limit(10);
        clock.0.store(1_000_000, Ordering::Relaxed);
        use_up(&limit, 1);
        clock.0.store(0, Ordering::Relaxed);

        assert_eq!(limit.take(1), Err(REFILL));
    }
}
