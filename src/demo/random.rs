//! Numbers that look random and are always the same for a seed, a stream and an index; and names from which an index can be
//! read again. Not for keys that anybody would want to keep.

use crate::apple::seal::Entropy;

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// What random numbers are for. Those of one use say nothing of those of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Keys,
    Chat,
    Block,
    Message,
    Guid,
    Nonce,
    File,
    Upload,
    Zone,
    Fault,
    Sealed,
    Own,
}

/// A sequence of numbers.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    /// The sequence of an index of a stream.
    pub(super) fn new(seed: u64, stream: Stream, index: u64) -> Self {
        let stream = mix(seed ^ mix(GOLDEN.wrapping_mul(1 + number(stream))));
        Self(mix(stream ^ index.wrapping_mul(GOLDEN)))
    }

    /// The next number.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// The next number below a bound; 0 when the bound is 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        let scaled = (u128::from(self.next()) * u128::from(bound)) >> 64;
        u64::try_from(scaled).unwrap_or_default()
    }

    /// The next index into something of this length.
    pub(super) fn index(&mut self, length: usize) -> usize {
        let bound = u64::try_from(length).unwrap_or(u64::MAX);
        usize::try_from(self.below(bound)).unwrap_or_default()
    }

    /// Whether something happens that happens this often in a hundred.
    pub(super) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of these.
    pub(super) fn pick<T: Copy + Default>(&mut self, from: &[T]) -> T {
        let at = self.index(from.len());
        from.get(at).copied().unwrap_or_default()
    }

    /// A UUID in upper case.
    pub(super) fn uuid(&mut self) -> String {
        let [high, low] = [self.next(), self.next()];
        // Version 4, variant 1.
        let (high, low) = ((high & !0xf000) | 0x4000, (low & !(3 << 62)) | (2 << 62));
        let (first, second, third) = (high >> 32, (high >> 16) & 0xffff, high & 0xffff);
        let (fourth, fifth) = (low >> 48, low & 0xffff_ffff_ffff);
        format!("{first:08X}-{second:04X}-{third:04X}-{fourth:04X}-{fifth:012X}")
    }
}

impl Entropy for Random {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            for (to, from) in chunk.iter_mut().zip(self.next().to_le_bytes()) {
                *to = from;
            }
        }
    }
}

fn number(stream: Stream) -> u64 {
    match stream {
        Stream::Keys => 1,
        Stream::Chat => 2,
        Stream::Block => 3,
        Stream::Message => 4,
        Stream::Guid => 5,
        Stream::Nonce => 6,
        Stream::File => 7,
        Stream::Upload => 8,
        Stream::Zone => 9,
        Stream::Fault => 10,
        Stream::Sealed => 11,
        Stream::Own => 12,
    }
}

/// The finaliser of `SplitMix64`: each number has one image, and no two have the same.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The number whose image this is.
fn unmix(mut z: u64) -> u64 {
    z = (z ^ (z >> 31) ^ (z >> 62)).wrapping_mul(0x3196_42b2_d24d_8ec3);
    z = (z ^ (z >> 27) ^ (z >> 54)).wrapping_mul(0x96de_1b17_3f11_9089);
    z ^ (z >> 30) ^ (z >> 60)
}

/// Names of records: 32 digits that tell nobody but their maker which number they stand for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names {
    key: u64,
}

impl Names {
    pub(super) fn new(seed: u64, zone: u64) -> Self {
        Self {
            key: Random::new(seed, Stream::Zone, zone).next(),
        }
    }

    /// The name of a number.
    pub(super) fn name(self, number: u64) -> String {
        let low = mix(number ^ self.key);
        format!("{:016x}{low:016x}", self.check(low))
    }

    /// The number of a name; `None` for names that were not made here.
    pub(super) fn number(self, name: &str) -> Option<u64> {
        let (check, low) = name.split_at_checked(16)?;
        let low = u64::from_str_radix(low, 16).ok()?;
        let is_ours = u64::from_str_radix(check, 16).ok()? == self.check(low);
        is_ours.then(|| unmix(low) ^ self.key)
    }

    fn check(self, low: u64) -> u64 {
        mix(low.wrapping_add(self.key.rotate_left(17)))
    }
}

#[cfg(test)]
mod tests {
    use super::Names;
    use super::Random;
    use super::Stream;

    #[test]
    fn a_name_leads_back_to_its_number() {
        let (names, others) = (Names::new(1, 1), Names::new(1, 2));

        for number in [0, 1, 999_999, u64::MAX] {
            let name = names.name(number);

            assert_eq!(name.len(), 32);
            assert_eq!(names.number(&name), Some(number));
            assert_eq!(others.number(&name), None);
        }
        assert_eq!(names.number("short"), None);
    }

    #[test]
    fn numbers_stay_in_their_bounds_and_streams_apart() {
        let mut random = Random::new(7, Stream::Message, 3);
        let mut other = Random::new(7, Stream::Guid, 3);

        assert!((0..1_000).all(|_| random.below(10) < 10));
        assert_eq!(random.below(0), 0);
        assert_ne!(random.next(), other.next());
    }
}
