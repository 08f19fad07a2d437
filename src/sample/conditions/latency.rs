//! Holds for traces that take a certain time.
//!
//! From the earliest start to the latest end of the spans that are here, by their own clocks.

use crate::sample::conditions::{Fault, Test, TraceTest};
use crate::sample::totals::Totals;
use serde::Deserialize;
use std::sync::Arc;

/// `{ type: latency, threshold_ms: 5000, upper_threshold_ms: 60000 }`: longer than the first, at most the second; 0 is no bound.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latency {
    threshold_ms: u64,
    #[serde(default)]
    upper_threshold_ms: u64,
}

/// Longer than the one, at most the other, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Within {
    over: u64,
    up_to: u64,
}

impl Within {
    pub(super) fn new(threshold_ms: u64, upper_threshold_ms: u64) -> Result<Within, Fault> {
        let nanoseconds = |ms: u64| ms.saturating_mul(1_000_000);
        match upper_threshold_ms {
            0 => Ok(Within { over: nanoseconds(threshold_ms), up_to: u64::MAX }),
            upper if upper > threshold_ms => Ok(Within { over: nanoseconds(threshold_ms), up_to: nanoseconds(upper) }),
            _ => Err(("upper_threshold_ms", "is not above threshold_ms, so nothing matches".into())),
        }
    }

    pub(super) fn holds(self, duration: u64) -> bool {
        self.over < duration && duration <= self.up_to
    }
}

impl TraceTest for Within {
    fn holds(&self, totals: &Totals) -> bool {
        Within::holds(*self, totals.duration())
    }

    fn settled(&self, totals: &Totals) -> bool {
        let duration = totals.duration();
        if self.up_to == u64::MAX { duration > self.over } else { duration > self.up_to }
    }
}

impl Latency {
    pub(super) fn compile(&self) -> Result<Test, Fault> {
        Ok(Test::Trace(Arc::new(Within::new(self.threshold_ms, self.upper_threshold_ms)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(ms: u64) -> Totals {
        Totals { start: 7, end: 7 + ms * 1_000_000, spans: 1, ..Totals::default() }
    }

    #[test]
    fn the_lower_bound_is_open_and_the_upper_one_closed() {
        let within = Within::new(100, 200).unwrap();
        assert!(!TraceTest::holds(&within, &totals(100)));
        assert!(TraceTest::holds(&within, &totals(101)));
        assert!(TraceTest::holds(&within, &totals(200)));
        assert!(!TraceTest::holds(&within, &totals(201)));
        assert!(Within::new(100, 100).is_err());
    }

    #[test]
    fn it_is_settled_where_longer_changes_nothing() {
        let open = Within::new(100, 0).unwrap();
        assert!(!open.settled(&totals(100)) && open.settled(&totals(101)));
        let closed = Within::new(100, 200).unwrap();
        assert!(!closed.settled(&totals(150)) && closed.settled(&totals(201)));
    }
}
