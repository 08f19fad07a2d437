//! Decisions that are not carried out, roots that are none, and what repeats in a trace.

use super::*;
use crate::enrich::facts::ErrorClass;
use crate::sample::{Meters, Repeats};
use crate::telemetry::metrics::Metrics;

const HIGH: u64 = 0xff_ffff_ffff_ffff;

#[test]
fn shadow_policies_are_asked_and_change_nothing() {
    let text = "
record: all
policies: [{ name: all, type: always_sample }]
shadow_policies:
  - { name: dear, type: trace_cost, trace_cost: { min_usd: 1 } }
  - { name: all, type: rate_limiting, rate_limiting: { spans_per_second: 1, burst_capacity: 1 } }
";
    let mut rig = Rig::new(&text.replace("always_sample", "span_count, span_count: { min_spans: 1, max_spans: 9 }"));
    let dear = rig.admit(span(1, 1, 0).cost("2"));
    let cheap = rig.admit(span(2, 1, 0).of(with_randomness(2, HIGH)));
    let cut = rig.admit(span(3, 1, 0).of(with_randomness(3, 0)));
    rig.pass(1.3);
    assert_eq!(rig.left.len(), 3);
    assert_eq!([dear, cheap, cut].map(|n| rig.gone(n).text("sampling.shadow").to_owned()), ["keep", "keep", "drop"]);
    assert!([dear, cheap, cut].iter().all(|&n| rig.gone(n).text("sampling.policy") == "all"));
    let metrics = Metrics::new();
    let mut meters = Meters::new(&metrics, &compile(text));
    let mut out = Outcome::<Fake>::default();
    out.decisions.append(&mut rig.decisions);
    meters.record(&out);
    let text = metrics.render();
    assert!(text.contains("tollgate_sampling_shadow_decisions_total{policy=\"dear\",enforced=\"keep\",shadow=\"keep\"} 1"), "{text}");
    assert!(text.contains("tollgate_sampling_shadow_decisions_total{policy=\"all\",enforced=\"keep\",shadow=\"drop\"} 1"), "{text}");
}

#[test]
fn in_shadow_mode_everything_is_forwarded_and_says_what_would_have_become_of_it() {
    let text = "{ mode: shadow, policies: [{ name: tenth, type: probabilistic, probabilistic: { sampling_percentage: 10 } }] }";
    let mut rig = Rig::new(text);
    let low = rig.admit(span(1, 1, 0).of(with_randomness(1, 0)).state("ot=th:0"));
    let high = rig.admit(span(2, 1, 0).of(with_randomness(2, HIGH)));
    let error = rig.admit(span(3, 1, 0).error());
    rig.pass(1.0);
    let late = rig.admit(span(1, 2, 1).of(with_randomness(1, 0)));
    assert_eq!((rig.left.len(), rig.dropped), (4, 0));
    for (number, shadow, policy) in [(low, "drop", "tenth"), (high, "keep", "tenth"), (error, "keep", "_always_keep")] {
        let left = rig.gone(number);
        assert_eq!((left.text("sampling.shadow"), left.text("sampling.policy")), (shadow, policy));
        assert_eq!(left.double("sampling.adjusted_count"), 1.0, "nothing was sampled");
    }
    assert_eq!(rig.gone(low).trace_state.as_deref(), Some("ot=th:0"), "tracestate is left alone");
    assert!(rig.gone(high).trace_state.is_none() && rig.gone(late).trace_state.is_none());
    assert!(rig.decisions.iter().all(|d| d.decision.as_str() == "keep"));
    assert!(compile(text).notes()[0].contains("nothing is dropped"));
}

#[test]
fn a_span_that_meets_the_root_condition_is_the_root() {
    let text = "{ policies: [], default: { sampling_percentage: 100 }, root_condition: { type: string_attribute, key: op, values: [invoke_agent] } }";
    let mut rig = Rig::new(text);
    rig.admit(span(1, 2, 1));
    let local = rig.admit(span(1, 1, 77).text("op", "invoke_agent"));
    rig.pass(1.0);
    // Its parent is elsewhere, and the trace is complete without it.
    assert_eq!((rig.last().2, rig.gone(local).is("sampling.complete")), ("complete", true));
    let mut rig = Rig::new(text);
    rig.admit(span(2, 1, 77).text("op", "chat"));
    rig.pass(2.0);
    assert!(rig.decisions.is_empty());
}

fn call(trace: u64, id: u64, start: u64, failed: bool) -> Fake {
    let mut span = span(trace, id, 1).cost("0.01");
    span.facts.digest = 5;
    (span.facts.start, span.facts.end) = (start, start + 5);
    span.facts.error = failed.then_some(ErrorClass::Transient);
    span
}

#[test]
fn the_root_tells_of_retries_and_each_attempt_of_its_place() {
    let text = "{ always_keep: [], policies: [{ name: r, type: retries, retries: { min_attempts: 3 } }] }";
    let mut rig = Rig::new(text);
    let calls = [rig.admit(call(1, 4, 30, false)), rig.admit(call(1, 2, 10, true)), rig.admit(call(1, 3, 20, true))];
    let root = rig.admit(span(1, 1, 0));
    rig.admit(call(2, 2, 10, true));
    rig.admit(call(2, 3, 20, false));
    rig.admit(span(2, 1, 0));
    rig.pass(1.0);
    assert_eq!(rig.left.len(), 4);
    let root = rig.gone(root);
    assert_eq!((root.int("trace.retries"), root.int("trace.calls_recovered"), root.int("trace.calls_exhausted")), (2, 1, 0));
    assert_eq!(root.double("trace.cost.failed_attempts_usd"), 0.02);
    let places =
        calls.map(|n| (rig.gone(n).int("retry.attempt"), rig.gone(n).int("retry.attempts"), rig.gone(n).text("retry.outcome").to_owned()));
    assert_eq!(places.map(|(number, of, how)| (number, of, how == "recovered")), [(3, 3, true), (1, 3, true), (2, 3, true)]);
    assert_eq!(
        rig.sampler.status().repeats,
        Repeats { retries: 3, recovered: 2, failed_cost: "0.03".parse().unwrap(), ..Repeats::default() }
    );
}

#[test]
fn attempts_of_a_trace_that_streams_know_what_came_before_them() {
    let mut rig = Rig::new("{}");
    let (first, second) = (rig.admit(call(1, 2, 10, true)), rig.admit(call(1, 3, 20, false)));
    let root = rig.admit(span(1, 1, 0));
    assert!(!rig.gone(first).attributes.contains_key("tollgate.retry.attempt"));
    assert_eq!((rig.gone(second).int("retry.attempt"), rig.gone(second).text("retry.outcome")), (2, "recovered"));
    assert_eq!(rig.gone(root).int("trace.calls_recovered"), 1);
    rig.pass(6.0);
    assert_eq!(rig.sampler.status().repeats.recovered, 1);
}

#[test]
fn a_loop_of_one_tool_is_a_fact_a_condition_and_a_count() {
    let tool = |trace, id, digest| {
        let mut span = span(trace, id, 1);
        (span.facts.digest, span.facts.tool) = (digest, true);
        span
    };
    let mut rig = Rig::new("{ policies: [{ name: stuck, type: tool_loop }] }");
    for id in 2..=4 {
        rig.admit(tool(1, id, 5));
        rig.admit(tool(2, id, id));
    }
    assert_eq!(rig.last(), ("stuck", "policy", "keep_early"));
    let root = rig.admit(span(1, 1, 0));
    rig.admit(span(2, 1, 0));
    rig.pass(6.0);
    assert_eq!((rig.gone(root).int("trace.tool_loop"), rig.decisions.len(), rig.left.len()), (3, 2, 4));
    assert_eq!(rig.sampler.status().repeats.tool_loops, 1);
    // The same span twice is one call.
    let mut rig = Rig::new("{ policies: [{ name: stuck, type: tool_loop }] }");
    for _ in 0..5 {
        rig.admit(tool(1, 2, 5));
    }
    assert!(rig.decisions.is_empty());
}
