//! The first traces of a kind.
//!
//! Which were first is a question for the whole process: all shards ask the same record, and a reload that leaves the condition as it
//! is leaves the record.

use ahash::RandomState;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// Kinds told apart at once; past it a new one is not rare. Senders choose what fingerprints are made of.
const MAX_KINDS: usize = 10_000;

/// One `rare` condition of the policies.
#[derive(Debug)]
pub(super) struct Rare {
    /// Attributes that make the fingerprint.
    pub(super) keys: Vec<String>,
    pub(super) first: u32,
    pub(super) per: Duration,
    /// The bit of a trace that says it was among the first.
    pub(super) bit: u16,
    record: OnceLock<Arc<Mutex<Record>>>,
}

#[derive(Debug, Default)]
struct Record {
    kinds: HashMap<u64, (Instant, u32), RandomState>,
    /// When those past their period were last let go.
    swept: Option<Instant>,
}

impl Rare {
    pub(super) fn new(keys: Vec<String>, first: u32, per: Duration, bit: u16) -> Rare {
        Rare { keys, first, per, bit, record: OnceLock::new() }
    }

    /// Whether the other asks the same.
    pub(super) fn same(&self, other: &Rare) -> bool {
        (&self.keys, self.first, self.per) == (&other.keys, other.first, other.per)
    }

    /// Goes on with the record of another one that asks the same, unless it has begun its own.
    pub(super) fn adopt(&self, before: &Rare) {
        self.record.get_or_init(|| Arc::clone(before.record.get_or_init(Arc::default)));
    }

    /// Counts a trace; whether it is among the first of its kind in this period.
    pub(super) fn admits(&self, fingerprint: &str, now: Instant) -> bool {
        let mut record = self.record.get_or_init(Arc::default).lock().unwrap_or_else(PoisonError::into_inner);
        let over = |began: Instant| now.saturating_duration_since(began) >= self.per;
        let kind = record.kinds.hasher().hash_one(fingerprint);
        if !record.kinds.contains_key(&kind) && record.kinds.len() >= MAX_KINDS {
            // A sweep is a look at all of them, so it is made once a second at most.
            if record.swept.is_some_and(|at| now.saturating_duration_since(at) < Duration::from_secs(1)) {
                return false;
            }
            record.swept = Some(now);
            record.kinds.retain(|_, (began, _)| !over(*began));
            if record.kinds.len() >= MAX_KINDS {
                return false;
            }
        }
        let (began, count) = record.kinds.entry(kind).or_insert((now, 0));
        if over(*began) {
            (*began, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        *count <= self.first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rare() -> Rare {
        Rare::new(vec!["k".into()], 2, Duration::from_secs(60), 0)
    }

    #[test]
    fn the_first_two_of_a_kind_are_rare_until_the_period_is_over() {
        let (rare, start) = (rare(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!([0, 1, 2].map(|s| rare.admits("a", at(s))), [true, true, false]);
        assert!(rare.admits("b", at(3)));
        assert!(!rare.admits("a", at(59)));
        assert_eq!([60, 61, 62].map(|s| rare.admits("a", at(s))), [true, true, false]);
    }

    #[test]
    fn kinds_without_end_take_bounded_room() {
        let (rare, start) = (rare(), Instant::now());
        for n in 0..MAX_KINDS {
            assert!(rare.admits(&n.to_string(), start));
        }
        assert!(!rare.admits("one more", start));
        assert!(!rare.admits("one more", start + Duration::from_secs(30)));
        assert!(rare.admits("one more", start + Duration::from_secs(61)));
    }

    #[test]
    fn a_reload_goes_on_with_what_was_counted() {
        let (before, start) = (rare(), Instant::now());
        assert!(before.admits("a", start) && before.admits("a", start));
        let after = rare();
        assert!(after.same(&before));
        after.adopt(&before);
        assert!(!after.admits("a", start));
        assert!(!before.admits("a", start));
    }
}
