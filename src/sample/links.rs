//! Which spans of a trace are here and which are only spoken of.
//!
//! A trace is complete when its one root is here and every parent that is named is here too. For a handful of spans that
//! is a look through their ids; above that a set keeps count, so a trace of ten thousand spans costs the same per span.

use ahash::RandomState;
use std::collections::HashSet;

/// The ids of a larger trace. An id is the span id as a number; none is 0.
#[derive(Debug, Default)]
pub(super) struct Links {
    here: HashSet<u64, RandomState>,
    missing: HashSet<u64, RandomState>,
}

impl Links {
    /// Adds a span; whether its id is new.
    pub(super) fn add(&mut self, id: u64, parent: u64) -> bool {
        // A span without an id is nobody's parent and nobody's double.
        let new = id == 0 || self.here.insert(id);
        self.missing.remove(&id);
        if parent != 0 && !self.here.contains(&parent) {
            self.missing.insert(parent);
        }
        new
    }

    /// Whether every parent is here.
    pub(super) fn whole(&self) -> bool {
        self.missing.is_empty()
    }

    /// Empties it; `false` where it grew so large that it should not be kept for the next trace.
    pub(super) fn reset(&mut self) -> bool {
        self.here.clear();
        self.missing.clear();
        self.here.capacity() + self.missing.capacity() <= 4096
    }
}

/// A parent among these few `(id, parent)` that is not among the ids.
pub(super) fn missing(spans: impl Iterator<Item = (u64, u64)> + Clone) -> Option<u64> {
    spans.clone().map(|(_, parent)| parent).find(|&parent| parent != 0 && !spans.clone().any(|(id, _)| id == parent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_set_and_the_look_agree_in_any_order(spans in proptest::collection::vec((1u64..12, 0u64..12), 1..12)) {
            let mut links = Links::default();
            for (n, &(id, parent)) in spans.iter().enumerate() {
                let new = !spans[..n].iter().any(|s| s.0 == id);
                prop_assert_eq!(links.add(id, parent), new);
                prop_assert_eq!(links.whole(), missing(spans[..=n].iter().copied()).is_none());
            }
        }
    }
}
