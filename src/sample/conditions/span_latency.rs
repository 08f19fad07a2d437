//! Holds where one span takes a certain time by itself.

use crate::sample::conditions::latency::Within;
use crate::sample::conditions::{Fault, Seen, SpanTest, Test};
use serde::Deserialize;
use std::sync::Arc;

/// `{ type: span_latency, threshold_ms: 5000 }`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpanLatency {
    threshold_ms: u64,
    #[serde(default)]
    upper_threshold_ms: u64,
}

impl SpanTest for Within {
    fn holds(&self, span: &Seen<'_>) -> bool {
        Within::holds(*self, span.end.saturating_sub(span.start))
    }
}

impl SpanLatency {
    pub(super) fn compile(&self) -> Result<Test, Fault> {
        Ok(Test::Span(Arc::new(Within::new(self.threshold_ms, self.upper_threshold_ms)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_that_ends_before_it_starts_is_not_slow() {
        let slow = Within::new(1, 0).unwrap();
        assert!(SpanTest::holds(&slow, &Seen { start: 0, end: 1_000_001, ..Seen::default() }));
        assert!(!SpanTest::holds(&slow, &Seen { start: 9_000_000, end: 0, ..Seen::default() }));
    }
}
