//! Sums over the spans of one trace, and what is remembered of each span.

use crate::enrich::facts::{ErrorClass, REDACTED, SpanFacts};
use crate::otlp::span::StatusCode;
use crate::units::Usd;

/// Sums over a trace. A span id that comes twice is counted once.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Totals {
    /// Cost in US dollars.
    pub cost: Usd,
    /// Input tokens, cache reads and writes included.
    pub input_tokens: u64,
    /// Output tokens, reasoning included.
    pub output_tokens: u64,
    /// Input tokens served from a cache.
    pub cache_read_tokens: u64,
    /// Output tokens spent on reasoning.
    pub reasoning_tokens: u64,
    /// Model calls.
    pub llm_calls: u64,
    /// Model calls with usage and no price.
    pub unpriced: u64,
    /// Spans with a truncated answer.
    pub truncated_spans: u64,
    /// Failed spans that may succeed when tried again.
    pub errors_transient: u64,
    /// Failed spans that cannot.
    pub errors_permanent: u64,
    /// Failed spans of which nothing tells.
    pub errors_unknown: u64,
    /// How often the most repeated tool call was made: one tool, the same arguments.
    pub tool_repeats: u32,
    /// Attempts of the model call that was tried most often; 0 where none was retried.
    pub attempts: u32,
    /// Attempts behind the first ones.
    pub retries: u32,
    /// Retried calls that succeeded in the end.
    pub recovered: u32,
    /// Retried calls that did not.
    pub exhausted: u32,
    /// Cost of the attempts of retried calls that failed.
    pub failed_cost: Usd,
    /// What was redacted before sampling, by list of types that policies ask for.
    pub redacted: [u32; REDACTED],
    /// Earliest start, Unix nanoseconds; 0 without spans.
    pub start: u64,
    /// Latest end, Unix nanoseconds. A span that ends before it starts ends where it starts.
    pub end: u64,
    /// Spans, with those that came twice.
    pub spans: u64,
}

impl Totals {
    /// Adds a span whose id is new to the trace.
    pub(super) fn add(&mut self, facts: &SpanFacts) {
        self.cost += facts.cost;
        let sums = [
            (&mut self.input_tokens, facts.input_tokens),
            (&mut self.output_tokens, facts.output_tokens),
            (&mut self.cache_read_tokens, facts.cache_read_tokens),
            (&mut self.reasoning_tokens, facts.reasoning_tokens),
            (&mut self.llm_calls, u64::from(facts.llm_call)),
            (&mut self.unpriced, u64::from(facts.unpriced)),
            (&mut self.truncated_spans, u64::from(facts.truncated)),
        ];
        for (sum, more) in sums {
            *sum = sum.saturating_add(more);
        }
        for (sum, more) in self.redacted.iter_mut().zip(facts.redacted) {
            *sum = sum.saturating_add(more.into());
        }
        match facts.error {
            Some(ErrorClass::Transient) => self.errors_transient += 1,
            Some(ErrorClass::Permanent) => self.errors_permanent += 1,
            Some(ErrorClass::Unknown) => self.errors_unknown += 1,
            None => {}
        }
        self.add_time(facts);
    }

    /// Adds a span whose id came before.
    pub(super) fn add_again(&mut self, facts: &SpanFacts) {
        self.add_time(facts);
    }

    /// Latest end minus earliest start, in nanoseconds.
    pub fn duration(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    fn add_time(&mut self, facts: &SpanFacts) {
        self.start = if self.spans == 0 { facts.start } else { self.start.min(facts.start) };
        self.end = self.end.max(facts.end).max(facts.start);
        self.spans += 1;
    }
}

/// What conditions may ask of one span, in two bytes: a reload asks again when the facts themselves are gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark(u16);

impl Mark {
    const CANCELLED: u16 = 1 << 4;
    const TRUNCATED: u16 = 1 << 5;
    const UNPRICED: u16 = 1 << 6;
    const ROOT: u16 = 1 << 7;
    const LOG: u16 = 1 << 8;
    const STAYS: u16 = 1 << 9;

    /// A log record.
    pub(super) const LOG_RECORD: Mark = Mark(Mark::LOG);

    /// The mark of a span.
    pub(super) fn of(facts: &SpanFacts) -> Mark {
        let status = match facts.status {
            StatusCode::Unset => 0,
            StatusCode::Ok => 1,
            StatusCode::Error => 2,
        };
        let error = match facts.error {
            None => 0,
            Some(ErrorClass::Transient) => 1,
            Some(ErrorClass::Permanent) => 2,
            Some(ErrorClass::Unknown) => 3,
        };
        let flag = |set: bool, bit: u16| if set { bit } else { 0 };
        Mark(
            status
                | error << 2
                | flag(facts.cancelled, Mark::CANCELLED)
                | flag(facts.truncated, Mark::TRUNCATED)
                | flag(facts.unpriced, Mark::UNPRICED)
                | flag(facts.parent_id.is_none(), Mark::ROOT)
                | flag(facts.must_stay, Mark::STAYS),
        )
    }

    /// Status code.
    pub fn status(self) -> StatusCode {
        match self.0 & 3 {
            1 => StatusCode::Ok,
            2 => StatusCode::Error,
            _ => StatusCode::Unset,
        }
    }

    /// Class of its failure.
    pub fn error(self) -> Option<ErrorClass> {
        match self.0 >> 2 & 3 {
            1 => Some(ErrorClass::Transient),
            2 => Some(ErrorClass::Permanent),
            3 => Some(ErrorClass::Unknown),
            _ => None,
        }
    }

    /// Whether it failed, by its status or by evidence of its own.
    pub fn failed(self) -> bool {
        self.status() == StatusCode::Error || self.error().is_some()
    }

    /// Whether the failure is a cancelled call.
    pub fn cancelled(self) -> bool {
        self.0 & Mark::CANCELLED != 0
    }

    /// Whether its answer was cut off.
    pub fn truncated(self) -> bool {
        self.0 & Mark::TRUNCATED != 0
    }

    /// Whether it has usage and no price.
    pub fn unpriced(self) -> bool {
        self.0 & Mark::UNPRICED != 0
    }

    /// Whether its trace must stay, whatever the config says.
    pub(super) fn stays(self) -> bool {
        self.0 & Mark::STAYS != 0
    }

    /// Whether it has no parent.
    pub fn root(self) -> bool {
        self.0 & Mark::ROOT != 0
    }

    /// Whether it is a log record and no span.
    pub(super) fn log(self) -> bool {
        self.0 & Mark::LOG != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_gives_back_what_it_was_made_of() {
        let statuses = [StatusCode::Unset, StatusCode::Ok, StatusCode::Error];
        let errors = [None, Some(ErrorClass::Transient), Some(ErrorClass::Permanent), Some(ErrorClass::Unknown)];
        for (status, error) in statuses.iter().flat_map(|&s| errors.iter().map(move |&e| (s, e))) {
            for bits in 0..8 {
                let (cancelled, truncated, unpriced) = (bits & 1 != 0, bits & 2 != 0, bits & 4 != 0);
                let mark = Mark::of(&SpanFacts { status, error, cancelled, truncated, unpriced, ..SpanFacts::default() });
                assert_eq!((mark.status(), mark.error()), (status, error));
                assert_eq!((mark.cancelled(), mark.truncated(), mark.unpriced(), mark.log()), (cancelled, truncated, unpriced, false));
                assert!(mark.root());
            }
        }
    }

    #[test]
    fn a_span_that_ends_before_it_starts_has_no_length() {
        let mut totals = Totals::default();
        totals.add(&SpanFacts { start: 50, end: 10, ..SpanFacts::default() });
        assert_eq!(totals.duration(), 0);
        totals.add(&SpanFacts { start: 20, end: 60, ..SpanFacts::default() });
        assert_eq!(totals.duration(), 40);
    }
}
