//! One trace, one decision, in whatever order its spans arrive before it is made.

use super::*;
use crate::enrich::facts::ErrorClass;
use std::sync::Arc;

const TRACES: u64 = 10_000;

/// Conditions of every kind, budgets aside: those decide about many traces at once.
const POLICIES: &str = r#"
always_keep: [{ class: error, except: [cancelled] }, truncated]
policies:
  - { name: checks, type: drop, drop: { drop_sub_policy: [{ name: x, type: string_attribute, string_attribute: { key: op, values: [check] } }] } }
  - { name: dear, type: trace_cost, trace_cost: { min_usd: 0.04, max_usd: 0.06 } }
  - { name: stuck, type: tool_loop }
  - { name: again, condition: { all: [{ type: retries }] }, sample: { type: probabilistic, sampling_percentage: 60 } }
  - { name: one, type: ottl_condition, ottl_condition: { span: ['attributes["op"] == "chat" and not IsRootSpan()'] } }
  - { name: long, condition: { all: [{ type: latency, threshold_ms: 0 }], none: [{ type: llm_calls, min: 2 }] }, sample: { type: probabilistic, sampling_percentage: 30 } }
  - { name: adaptive, sample: { type: adaptive_percentage, goal_percentage: 20, fingerprint_attributes: [op] } }
"#;

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

fn spans(trace: u64, numbers: &mut Numbers) -> Vec<Fake> {
    let count = numbers.below(6) + 1;
    (1..=count)
        .map(|id| {
            let mut span = span(trace, id, if id == 1 { 0 } else { numbers.below(id - 1) + 1 });
            let start = numbers.below(50) * 10;
            (span.facts.start, span.facts.end) = (start, start + numbers.below(9) + 1);
            match numbers.below(9) {
                0..3 => {
                    span = span.cost("0.01");
                    span.facts.digest = numbers.below(2) + 1;
                    span.facts.error = (numbers.below(2) == 0).then_some(ErrorClass::Transient);
                    span.facts.cancelled = numbers.below(10) > 0;
                }
                3..6 => (span.facts.digest, span.facts.tool) = (numbers.below(2) + 1, true),
                6 => span = span.text("op", ["chat", "check", "other"][numbers.below(3) as usize]),
                7 if numbers.below(20) == 0 => span = span.truncated(),
                _ => {}
            }
            span
        })
        .collect()
}

#[test]
fn the_order_of_arrival_before_the_deadline_changes_no_decision() {
    let policies = Arc::new(compile(POLICIES));
    let decide = |mut spans: Vec<Fake>, turns: usize, turn: usize| {
        let now = Instant::now();
        let mut sampler = Sampler::new(Arc::clone(&policies), 1, now);
        let mut out = Outcome::default();
        let length = spans.len();
        for step in 0..turns {
            spans.swap(step % length, (step * 7 + turn) % length);
        }
        for span in spans {
            sampler.admit(&span.facts.clone(), span, now, &mut out);
        }
        sampler.shutdown(now, &mut out);
        assert_eq!(out.decisions.len(), 1);
        out.decisions[0].decision
    };
    let (mut numbers, mut kept) = (Numbers(11), 0);
    for trace in 0..TRACES {
        let spans = spans(trace, &mut numbers);
        let first = decide(spans.clone(), 0, 0);
        kept += u64::from(first == crate::sample::Decision::Keep);
        for turn in 1..=2 {
            let again = decide(spans.clone(), 1 + turn * 4, turn + trace as usize);
            assert_eq!(first, again, "trace {trace} of {spans:?}");
        }
    }
    assert!((TRACES / 10..TRACES * 9 / 10).contains(&kept), "{kept}");
}
