//! What repeats in a trace: attempts of one model call, and one tool call made over and over.
//!
//! Kept per trace in bounded room, and only for traces that have such spans. Attempts are put in order by their own clocks, so the
//! order of arrival changes nothing.

use crate::enrich::facts::SpanFacts;
use crate::sample::totals::Totals;
use crate::sample::trace::number;
use crate::units::Usd;

/// So many model calls of a trace are looked at, and so many different tool calls; a trace with more is a loop of another kind.
const MAX: usize = 128;

/// What is known of the calls of one trace.
#[derive(Clone, Debug, Default)]
pub(super) struct Patterns {
    tools: Vec<(u64, u32)>,
    calls: Vec<Call>,
    failed: bool,
}

#[derive(Clone, Copy, Debug)]
struct Call {
    digest: u64,
    /// Its span id as a number.
    id: u64,
    start: u64,
    end: u64,
    /// In pico-dollars: a number of half the size holds eighteen million dollars.
    cost: u64,
    failed: bool,
}

/// Where one span stands among the attempts of its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attempt {
    /// From 1.
    pub(super) number: u32,
    /// How many there are, as far as is known.
    pub(super) of: u32,
    /// Whether the last of them succeeded.
    pub(super) recovered: bool,
}

impl Patterns {
    /// Whether a span is of interest here.
    pub(super) fn concern(facts: &SpanFacts) -> bool {
        facts.digest != 0 && (facts.tool || facts.llm_call)
    }

    /// Adds a span whose id is new to the trace, and brings the sums up to date.
    pub(super) fn add(&mut self, facts: &SpanFacts, totals: &mut Totals) {
        if facts.tool {
            let room = self.tools.len() < MAX;
            let count = match self.tools.iter_mut().find(|(digest, _)| *digest == facts.digest) {
                Some((_, count)) => {
                    *count = count.saturating_add(1);
                    *count
                }
                None if room => {
                    self.tools.push((facts.digest, 1));
                    1
                }
                None => 0,
            };
            totals.tool_repeats = totals.tool_repeats.max(count);
        } else if self.calls.len() < MAX {
            let SpanFacts { digest, start, end, cost, .. } = *facts;
            self.failed |= facts.error.is_some();
            let id = number(facts.span_id);
            let call = Call {
                digest,
                id,
                start,
                end: end.max(start),
                failed: facts.error.is_some(),
                cost: u64::try_from(cost.pico()).unwrap_or(0),
            };
            let order = |call: &Call| (call.digest, call.start, call.end, call.id);
            let at = self.calls.partition_point(|other| order(other) <= order(&call));
            self.calls.insert(at, call);
            self.sum(totals);
        }
    }

    /// Sums over all retried calls. Without a failure there is none.
    fn sum(&self, totals: &mut Totals) {
        if !self.failed {
            return;
        }
        (totals.attempts, totals.retries, totals.recovered, totals.exhausted, totals.failed_cost) = (0, 0, 0, 0, Usd::ZERO);
        for run in self.runs() {
            let [.., last] = run else { continue };
            let attempts = u32::try_from(run.len()).unwrap_or(u32::MAX);
            totals.attempts = totals.attempts.max(attempts);
            totals.retries += attempts - 1;
            match last.failed {
                true => totals.exhausted += 1,
                false => totals.recovered += 1,
            }
            totals.failed_cost += run.iter().filter(|call| call.failed).map(|call| Usd::from_pico(call.cost.into())).sum();
        }
    }

    /// The attempts of each call that was tried more than once: failures that ended before the next one began, and what came behind.
    fn runs(&self) -> impl Iterator<Item = &[Call]> {
        let follows = |a: &Call, b: &Call| a.digest == b.digest && a.failed && a.end <= b.start;
        self.calls.chunk_by(follows).filter(|run| run.len() > 1)
    }

    /// Where a span stands among the attempts of its call; none where it was not retried and is no retry.
    pub(super) fn attempt(&self, id: u64) -> Option<Attempt> {
        if !self.failed {
            return None;
        }
        self.runs().find_map(|run| {
            let at = run.iter().position(|call| call.id == id)?;
            let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
            Some(Attempt { number: count(at + 1), of: count(run.len()), recovered: run.last().is_some_and(|last| !last.failed) })
        })
    }

    /// Every attempt of a retried call, by the id of its span.
    pub(super) fn attempts(&self) -> impl Iterator<Item = (u64, Attempt)> + '_ {
        self.runs().flat_map(|run| {
            let recovered = run.last().is_some_and(|last| !last.failed);
            let of = u32::try_from(run.len()).unwrap_or(u32::MAX);
            (1..).zip(run).map(move |(number, call)| (call.id, Attempt { number, of, recovered }))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrich::facts::ErrorClass;
    use crate::otlp::span::SpanId;
    use proptest::prelude::*;

    fn call(digest: u64, start: u64, failed: bool) -> SpanFacts {
        let error = failed.then_some(ErrorClass::Transient);
        SpanFacts {
            span_id: SpanId::new(&(digest * 1000 + start + 1).to_be_bytes()),
            digest,
            llm_call: true,
            start,
            end: start + 5,
            error,
            cost: Usd::from_pico(7),
            ..SpanFacts::default()
        }
    }

    fn sums(calls: &[SpanFacts]) -> Totals {
        let (mut patterns, mut totals) = (Patterns::default(), Totals::default());
        calls.iter().for_each(|facts| patterns.add(facts, &mut totals));
        totals
    }

    fn seen(totals: Totals) -> (u32, u32, u32, u32, i128) {
        (totals.attempts, totals.retries, totals.recovered, totals.exhausted, totals.failed_cost.pico())
    }

    #[test]
    fn failures_and_what_came_behind_are_attempts_of_one_call() {
        assert_eq!(seen(sums(&[call(1, 0, true), call(1, 10, true), call(1, 20, false)])), (3, 2, 1, 0, 14));
        assert_eq!(seen(sums(&[call(1, 0, true), call(1, 10, true)])), (2, 1, 0, 1, 14));
        assert_eq!(seen(sums(&[call(1, 0, true), call(1, 10, false), call(2, 0, true), call(2, 10, true)])), (2, 2, 1, 1, 21));
    }

    #[test]
    fn a_call_made_again_after_it_succeeded_or_beside_another_is_no_retry() {
        assert_eq!(seen(sums(&[call(1, 0, false), call(1, 10, false)])), (0, 0, 0, 0, 0));
        assert_eq!(seen(sums(&[call(1, 0, true), call(2, 10, false)])), (0, 0, 0, 0, 0));
        assert_eq!(seen(sums(&[call(1, 0, true), call(1, 4, false)])), (0, 0, 0, 0, 0), "the second began before the first ended");
        assert_eq!(seen(sums(&[call(1, 0, true), call(1, 10, false), call(1, 20, false)])), (2, 1, 1, 0, 7));
    }

    #[test]
    fn each_attempt_knows_its_place() {
        let (mut patterns, mut totals) = (Patterns::default(), Totals::default());
        for facts in [call(1, 20, false), call(1, 0, true), call(1, 10, true), call(3, 0, true)] {
            patterns.add(&facts, &mut totals);
        }
        let at = |digest: u64, start: u64| patterns.attempt(digest * 1000 + start + 1).map(|a| (a.number, a.of, a.recovered));
        assert_eq!((at(1, 0), at(1, 20), at(3, 0)), (Some((1, 3, true)), Some((3, 3, true)), None));
        assert_eq!(patterns.attempts().count(), 3);
    }

    #[test]
    fn a_loop_is_the_same_tool_with_the_same_arguments() {
        let tool = |digest| SpanFacts { digest, tool: true, ..SpanFacts::default() };
        assert_eq!(sums(&[tool(1), tool(2), tool(1), tool(1)]).tool_repeats, 3);
        assert_eq!(sums(&(1..50).map(tool).collect::<Vec<_>>()).tool_repeats, 1);
    }

    #[test]
    fn a_trace_of_calls_without_end_takes_bounded_room() {
        let (mut patterns, mut totals) = (Patterns::default(), Totals::default());
        for n in 1..100_000 {
            patterns.add(&call(n, n * 10, true), &mut totals);
            patterns.add(&SpanFacts { digest: n, tool: true, ..SpanFacts::default() }, &mut totals);
        }
        assert_eq!((patterns.calls.len(), patterns.tools.len()), (MAX, MAX));
    }

    proptest! {
        #[test]
        fn the_order_of_arrival_changes_nothing(
            calls in proptest::collection::vec((1u64..3, 0u64..12, any::<bool>()), 0..20),
            turn in 0usize..20,
        ) {
            // Times of one call differ: two attempts that began and ended together have no order.
            let mut seen_before = std::collections::HashSet::new();
            let calls: Vec<_> = calls.into_iter().filter(|(digest, start, _)| seen_before.insert((*digest, *start)))
                .map(|(digest, start, failed)| call(digest, start * 3, failed)).collect();
            let mut turned = calls.clone();
            turned.rotate_left(if calls.is_empty() { 0 } else { turn % calls.len() });
            turned.reverse();
            prop_assert_eq!(seen(sums(&calls)), seen(sums(&turned)));
        }
    }
}
