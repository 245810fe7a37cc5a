//! Damage to files that a decoder must survive.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::Index;

/// Some bytes are others, and some may be put in.
#[derive(Clone, Debug)]
pub(crate) struct Damage {
    others: Vec<(Index, u8)>,
    more: Option<(Index, Vec<u8>)>,
}

/// Any damage of up to seven bytes, and eight more.
pub(crate) fn damage() -> impl Strategy<Value = Damage> {
    let others = vec((any::<Index>(), any::<u8>()), 1..8);
    let more = option::of((any::<Index>(), vec(any::<u8>(), 1..9)));
    (others, more).prop_map(|(others, more)| Damage { others, more })
}

impl Damage {
    /// Damages a file that is not empty.
    pub(crate) fn apply(self, bytes: &mut Vec<u8>) {
        for (at, byte) in self.others {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some((at, more)) = self.more {
            let at = at.index(bytes.len());
            bytes.splice(at..at, more);
        }
    }
}
