//! Holds for traces with a certain number of spans.

use crate::sample::conditions::{Fault, Range, Test};
use serde::Deserialize;

/// `{ type: span_count, min_spans: 2, max_spans: 100 }`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpanCount {
    min_spans: Option<u64>,
    max_spans: Option<u64>,
}

impl SpanCount {
    pub(super) fn compile(&self) -> Result<Test, Fault> {
        // The Collector writes 0 for "no upper bound".
        let max = self.max_spans.filter(|&max| max > 0);
        Range { min: self.min_spans, max, of: |totals| totals.spans }.test(("min_spans", "max_spans"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::totals::Totals;

    #[test]
    fn both_ends_belong_to_the_range() {
        let Ok(Test::Trace(test)) = (SpanCount { min_spans: Some(2), max_spans: Some(3) }).compile() else { panic!("a test of traces") };
        let spans = |spans| Totals { spans, ..Totals::default() };
        assert_eq!([1, 2, 3, 4].map(|n| test.holds(&spans(n))), [false, true, true, false]);
        assert_eq!([1, 2, 3, 4].map(|n| test.settled(&spans(n))), [false, false, false, true]);
    }

    #[test]
    fn an_empty_range_is_refused() {
        assert!(SpanCount { min_spans: Some(3), max_spans: Some(2) }.compile().is_err());
        assert!(SpanCount { min_spans: None, max_spans: None }.compile().is_err());
    }
}
