//! What one decoding may produce. Not a limit on its input: a few hundred bytes can name one object many times over, and
//! a tree built from them would be larger than any memory.

use crate::base::limits;

/// Counts down the values and the bytes that a tree may still get.
pub(crate) struct Budget {
    nodes: usize,
    bytes: usize,
}

impl Budget {
    /// For one value that comes from one blob.
    pub(crate) const fn new() -> Self {
        Self {
            nodes: limits::OBJECTS,
            bytes: limits::VALUE_BYTES,
        }
    }

    /// Pays for looking at members of a value, again and again where it is shared.
    #[must_use]
    pub(crate) const fn look_at(&mut self, members: usize) -> bool {
        if let Some(nodes) = self.nodes.checked_sub(members) {
            self.nodes = nodes;
            return true;
        }
        false
    }

    /// Pays for one value and the bytes that are copied for it. False when it cannot be afforded.
    #[must_use]
    pub(crate) const fn pay(&mut self, bytes: usize) -> bool {
        let nodes = self.nodes.checked_sub(1);
        let bytes = self.bytes.checked_sub(bytes);
        if let (Some(nodes), Some(bytes)) = (nodes, bytes) {
            self.nodes = nodes;
            self.bytes = bytes;
            return true;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::Budget;
    use crate::base::limits;

    #[test]
    fn a_budget_ends_with_its_bytes_or_its_values() {
        let mut by_bytes = Budget::new();
        let mut by_values = Budget::new();

        assert!(by_bytes.pay(limits::VALUE_BYTES));
        assert!(!by_bytes.pay(1));
        assert!((0..limits::OBJECTS).all(|_| by_values.pay(0)));
        assert!(!by_values.pay(0));
    }
}
