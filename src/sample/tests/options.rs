//! Every option does what it says, and nothing where it is off.

use super::*;
use crate::sample::{Pressure, meters::Meters};
use crate::telemetry::metrics::Metrics;

const HIGH: u64 = 0xff_ffff_ffff_ffff;

#[test]
fn switched_off_everything_passes_at_once_untouched() {
    let mut rig = Rig::new("{ enabled: false, policies: [] }");
    let n = rig.admit(span(1, 1, 9).error());
    let log = rig.log(Some(trace_id(1)));
    assert!(rig.gone(n).attributes.is_empty() && rig.gone(n).trace_state.is_none() && rig.gone(n).keep_class);
    assert!(rig.find(log).is_some());
}

#[test]
fn waits_and_delays_are_those_configured() {
    let text = "{ policies: [], decision_wait: 10s, complete_delay: 200ms, decision_wait_after_root_received: 2s, extend_while_active: { idle: 0s } }";
    let mut rig = Rig::new(text);
    rig.admit(span(1, 1, 9));
    rig.admit(span(2, 1, 0));
    rig.admit(span(3, 1, 0));
    rig.admit(span(3, 2, 9));
    let mut decided = Vec::new();
    while rig.decisions.len() < 3 {
        rig.pass(0.1);
        while decided.len() < rig.decisions.len() {
            decided.push((rig.decisions[decided.len()].trigger.as_str(), (rig.seconds() * 10.0).round()));
        }
    }
    assert_eq!(decided, [("complete", 2.0), ("root", 20.0), ("timeout", 100.0)]);
}

#[test]
fn a_decision_wait_of_zero_decides_each_request_by_itself() {
    let mut rig = Rig::new("{ policies: [], decision_wait: 0s, extend_while_active: { idle: 0s } }");
    rig.admit(span(1, 1, 9));
    rig.admit(span(1, 2, 9));
    rig.step(|sampler, now, out| sampler.tick(now, out));
    assert_eq!((rig.decisions.len(), rig.decisions[0].spans), (1, 2));
}

#[test]
fn a_trace_that_still_grows_waits_on_but_not_for_ever() {
    let mut rig = Rig::new("{ policies: [], extend_while_active: { idle: 20s, max: 2m } }");
    rig.admit(span(1, 1, 9));
    rig.admit(span(2, 1, 9));
    for n in 2..9 {
        rig.pass(15.0);
        rig.admit(span(1, n, 9));
        if n == 4 {
            // Trace 2 got nothing for 30 s: it was not put off.
            assert_eq!((rig.decisions.len(), rig.decisions[0].trace_id, rig.decisions[0].wait.as_secs()), (1, trace_id(2), 30));
        }
    }
    rig.pass(14.9);
    assert_eq!(rig.decisions.len(), 1);
    rig.pass(0.2);
    assert_eq!((rig.decisions.len(), rig.decisions[1].wait.as_secs()), (2, 120));
}

#[test]
fn a_late_tick_changes_no_decision() {
    let mut rig = Rig::new("{ policies: [], extend_while_active: { idle: 20s, max: 2m } }");
    rig.admit(span(1, 1, 9));
    rig.now += Duration::from_secs(25);
    rig.admit(span(1, 2, 9));
    rig.now += Duration::from_secs(100);
    // The trace was due at 45 s; a span after that is late, whether or not anybody looked in between.
    rig.admit(span(1, 3, 9));
    assert_eq!((rig.decisions.len(), rig.decisions[0].spans, rig.decisions[0].wait.as_secs()), (1, 2, 45));
}

#[test]
fn traces_past_num_traces_are_decided_oldest_first() {
    let mut rig = Rig::new("{ policies: [], num_traces: 2 }");
    (1..=3).for_each(|n| {
        rig.admit(span(n, 1, 9));
    });
    assert_eq!((rig.decisions.len(), rig.decisions[0].trace_id, rig.last().2), (1, trace_id(1), "eviction"));
    // An open record counts, and gives way without a second decision.
    rig.admit(span(2, 2, 9).error());
    rig.admit(span(4, 1, 9));
    assert_eq!(rig.sampler.status().open_records, 0);
    let after = rig.admit(span(2, 3, 9));
    assert!(rig.gone(after).is("sampling.late"));
}

#[test]
fn a_trace_past_its_size_is_decided() {
    let mut rig = Rig::new("{ policies: [], maximum_trace_size_bytes: 250 }");
    (1..=2).for_each(|n| {
        rig.admit(span(1, n, 9));
    });
    assert!(rig.decisions.is_empty());
    rig.log(Some(trace_id(1)));
    assert_eq!(rig.last().2, "size_limit");
}

#[test]
fn only_what_is_always_kept_is_kept_always() {
    let mut rig = Rig::new("{ policies: [], always_keep: [truncated] }");
    rig.admit(span(1, 1, 0).error());
    rig.admit(span(2, 1, 0).truncated());
    rig.shutdown();
    assert_eq!((rig.left.len(), rig.dropped), (1, 1));
}

#[test]
fn an_early_keep_streams_what_follows_and_stamps_the_root_as_it_passes() {
    let mut rig = Rig::new(NOTHING);
    let first = rig.admit(span(1, 3, 2).cost("0.1"));
    let error = rig.admit(span(1, 4, 2).error());
    assert_eq!(rig.last(), ("_always_keep", "error", "keep_early"));
    assert!(!rig.gone(first).has("policy") && !rig.gone(error).has("policy"));
    assert_eq!(rig.gone(first).trace_state.as_deref(), Some("ot=th:0"));
    let middle = rig.admit(span(1, 2, 1).cost("0.2"));
    assert!(rig.gone(middle).attributes.is_empty());
    assert_eq!(rig.gone(middle).trace_state.as_deref(), Some("ot=th:0"));
    let root = rig.admit(span(1, 1, 0).cost("0.3"));
    let left = rig.gone(root);
    assert_eq!((left.double("trace.cost.total_usd"), left.int("trace.llm_calls")), (0.6, 3));
    assert_eq!((left.int("sampling.spans"), left.text("sampling.trigger")), (2, "keep_early"));
    assert_eq!(rig.sampler.status().open_records, 1);
    // The record ends once the trace is complete.
    rig.pass(1.0);
    assert_eq!((rig.sampler.status().open_records, rig.sampler.status().kept_entries), (0, 1));
    let late = rig.admit(span(1, 9, 1));
    assert!(rig.gone(late).is("sampling.late") && !rig.gone(late).has("policy"));
    assert_eq!(rig.decisions.len(), 1);
}

#[test]
fn a_keep_policy_fires_as_soon_as_it_cannot_become_false() {
    let text = "
policies:
  - { name: checks, condition: { all: [{ type: attribute_exists, key: check }] }, sample: { type: drop } }
  - { name: dear, condition: { all: [{ type: trace_cost, min_usd: 0.5 }] }, sample: { type: keep } }
";
    let dear = |text: &str| {
        let mut rig = Rig::new(text);
        rig.admit(span(1, 1, 9).cost("0.5"));
        rig.left.len()
    };
    // The drop policy outranks it and may still match.
    assert_eq!(dear(text), 0);
    let kept = text.lines().filter(|line| !line.contains("checks")).collect::<Vec<_>>().join("\n");
    assert_eq!(dear(&kept), 1);
    assert_eq!(dear(&kept.replace("min_usd: 0.5", "min_usd: 0.5, max_usd: 9")), 0);
    assert_eq!(dear(&format!("evaluation: first_match\n{kept}")), 1);
    let behind = "
evaluation: first_match
policies:
  - { name: some, condition: { all: [{ type: truncated }] }, sample: { type: probabilistic, sampling_percentage: 1 } }
  - { name: dear, condition: { all: [{ type: trace_cost, min_usd: 0.5 }] }, sample: { type: keep } }
";
    assert_eq!(dear(behind), 0);
}

#[test]
fn the_drop_hold_gives_up_the_oldest_past_its_limit_and_everything_when_it_is_off() {
    let mut rig = Rig::new("{ policies: [], drop_hold: { limit_mib: 1 } }");
    for n in 1..=3 {
        rig.admit(span(n, 1, 0).size(400 << 10));
        rig.pass(1.0);
    }
    assert_eq!((rig.dropped, rig.sampler.held()), (1, 2));
    rig.admit(span(1, 2, 1).error());
    assert_eq!((rig.late.partial, rig.late.resurrected), (1, 0));
    rig.admit(span(3, 2, 1).error());
    assert_eq!(rig.late.resurrected, 1);
    for off in ["drop_hold: { window: 0s }", "drop_hold: { limit_mib: 0 }", "late_keep: off"] {
        let mut rig = Rig::new(&format!("{{ policies: [], {off} }}"));
        rig.admit(span(1, 1, 0));
        rig.pass(1.0);
        assert_eq!((rig.dropped, rig.sampler.held()), (1, 0), "{off}");
    }
}

#[test]
fn the_drop_hold_counts_the_index_of_tiny_traces() {
    let mut rig = Rig::new("{ policies: [], drop_hold: { limit_mib: 1 } }");
    for n in 0..5_000 {
        rig.admit(span(n, 1, 0).size(1));
    }
    rig.pass(1.0);
    assert_eq!(rig.decisions.len(), 5_000);
    assert!((1_000..3_000).contains(&rig.sampler.held()), "{}", rig.sampler.held());
}

#[test]
fn index_and_bytes_of_the_hold_add_up_to_nothing_when_it_is_empty() {
    let mut rig = Rig::new(NOTHING);
    for n in 0..20 {
        rig.admit(span(n, 1, 0));
        rig.pass(1.0);
        rig.admit(span(n, 2, 1));
        rig.log(Some(trace_id(n)));
        if n % 3 == 0 {
            rig.admit(span(n, 3, 1).error());
        }
    }
    assert!(rig.sampler.hold_overhead > 0);
    assert_eq!(rig.sampler.hold_bytes, rig.sampler.held_bytes());
    rig.pass(60.0);
    assert_eq!((rig.sampler.hold_overhead, rig.sampler.held_bytes(), rig.sampler.held()), (0, 0, 0));
    // Nor does a list of what was held grow for ever.
    assert_eq!((rig.sampler.holds.len(), rig.sampler.arrivals.len(), rig.sampler.index.len()), (0, 0, 0));
}

#[test]
fn without_late_keep_a_late_error_is_dropped_and_counted_as_lost() {
    let mut rig = Rig::new("{ policies: [], late_keep: off }");
    rig.admit(span(1, 1, 0));
    rig.pass(1.0);
    rig.admit(span(1, 2, 1).error());
    rig.admit(span(1, 3, 1));
    assert_eq!((rig.left.len(), rig.dropped, rig.sums.keep_class_lost), (0, 3, 1));
}

#[test]
fn a_full_cache_forgets_the_oldest_and_counts_it() {
    let mut rig = Rig::new("{ policies: [], decision_cache: { dropped: 2, kept: 1 }, drop_hold: { window: 0s } }");
    for n in 1..=3 {
        rig.admit(span(n, 1, 0));
        rig.admit(span(10 + n, 1, 0).error());
    }
    rig.pass(1.0);
    let status = rig.sampler.status();
    assert_eq!((status.dropped_entries, status.dropped_premature, status.kept_entries, status.kept_premature), (2, 1, 1, 2));
    rig.admit(span(1, 2, 1));
    assert_eq!((status.traces_pending, rig.sampler.status().traces_pending), (0, 1));
}

#[test]
fn a_decision_is_remembered_as_long_as_its_ttl() {
    let mut rig = Rig::new("{ policies: [], decision_cache: { ttl: 10s }, drop_hold: { window: 0s } }");
    rig.admit(span(1, 1, 0));
    rig.pass(1.0);
    rig.pass(9.9);
    rig.admit(span(1, 2, 1));
    assert_eq!((rig.late.dropped, rig.late.reopened), (1, 0));
    rig.pass(0.1);
    rig.admit(span(1, 3, 1));
    assert_eq!((rig.late.dropped, rig.late.reopened, rig.sampler.held()), (1, 1, 1));
}

#[test]
fn proportional_keeps_a_share_of_what_arrives() {
    let text = "{ tracestate: { mode: proportional }, policies: [{ name: half, type: probabilistic, probabilistic: { sampling_percentage: 50 } }] }";
    let mut rig = Rig::new(text);
    let kept = rig.admit(span(1, 1, 0).of(with_randomness(1, 0xc0_0000_0000_0000)).state("ot=th:8"));
    let dropped = rig.admit(span(2, 1, 0).of(with_randomness(2, 0xbf_ffff_ffff_ffff)).state("ot=th:8"));
    // A threshold that its randomness does not reach was not applied: it is not a share of anything.
    let wrong = rig.admit(span(3, 1, 0).of(with_randomness(3, 0x80_0000_0000_0000)).state("ot=th:c"));
    rig.shutdown();
    assert_eq!(rig.gone(kept).trace_state.as_deref(), Some("ot=th:c"));
    assert!(rig.find(dropped).is_none());
    assert_eq!(rig.gone(wrong).trace_state.as_deref(), None);
    assert_eq!(rig.sums.inconsistent_threshold, 1);
}

#[test]
fn tracestate_is_not_written_where_it_is_off() {
    let text = "{ tracestate: { mode: off }, policies: [{ name: half, type: probabilistic, probabilistic: { sampling_percentage: 50 } }] }";
    let mut rig = Rig::new(text);
    let n = rig.admit(span(1, 1, 0).of(with_randomness(1, HIGH)).state("ot=th:4"));
    rig.pass(1.0);
    assert_eq!((rig.gone(n).trace_state.as_deref(), rig.gone(n).double("sampling.adjusted_count")), (Some("ot=th:4"), 2.0));
}

#[test]
fn a_missing_threshold_is_left_where_asked() {
    let mut rig = Rig::new("{ tracestate: { missing_threshold: leave }, policies: [] }");
    let n = rig.admit(span(1, 1, 0).error());
    assert!(rig.gone(n).trace_state.is_none() && !rig.gone(n).has("adjusted_count"));
}

#[test]
fn what_is_tested_is_what_is_written_at_every_precision() {
    for (precision, digits) in [(1, "e"), (2, "e6"), (6, "e66666"), (14, "e6666666666666")] {
        let share = "policies: [{ name: p, type: probabilistic, probabilistic: { sampling_percentage: 10 } }]";
        let mut rig = Rig::new(&format!("{{ tracestate: {{ precision: {precision} }}, {share} }}"));
        let bits = u64::from_str_radix(&format!("{digits:0<14}"), 16).unwrap();
        let at = rig.admit(span(1, 1, 0).of(with_randomness(1, bits)));
        let under = rig.admit(span(2, 1, 0).of(with_randomness(2, bits - 1)));
        rig.shutdown();
        assert_eq!(rig.gone(at).trace_state, Some(format!("ot=th:{digits}")));
        assert!(rig.find(under).is_none());
    }
}

#[test]
fn an_unparseable_tracestate_is_left_alone_and_counted() {
    let mut rig = Rig::new(NOTHING);
    let n = rig.admit(span(1, 1, 0).error().state("ot=th:zz"));
    assert_eq!((rig.gone(n).trace_state.as_deref(), rig.sums.unparseable_tracestate), (Some("ot=th:zz"), 1));
}

#[test]
fn the_record_stands_on_the_root_on_all_or_on_none() {
    for (record, expected) in [("root", [true, false]), ("all", [true, true]), ("none", [false, false])] {
        let mut rig = Rig::new(&format!("{{ policies: [], record: {record} }}"));
        let spans = [rig.admit(span(1, 1, 0)), rig.admit(span(1, 2, 1).error())];
        assert_eq!(spans.map(|n| rig.gone(n).has("policy")), expected, "{record}");
        let streamed = rig.admit(span(1, 3, 1));
        assert_eq!(rig.gone(streamed).has("policy"), record == "all");
        rig.pass(1.0);
        let late = rig.admit(span(1, 4, 1));
        assert_eq!((rig.gone(late).has("policy"), rig.gone(late).has("late")), (record == "all", record != "none"));
    }
}

#[test]
fn logs_follow_their_trace() {
    let mut rig = Rig::new(NOTHING);
    let (dropped, kept) = (rig.log(Some(trace_id(1))), rig.log(Some(trace_id(2))));
    rig.admit(span(1, 1, 0));
    rig.admit(span(2, 1, 0).error());
    let streamed = rig.log(Some(trace_id(2)));
    assert!(rig.find(kept).is_some() && rig.find(streamed).is_some());
    rig.pass(1.0);
    let held = rig.log(Some(trace_id(1)));
    assert_eq!(rig.decisions.iter().map(|d| d.spans).collect::<Vec<_>>(), [1, 1]);
    rig.pass(30.0);
    assert_eq!(rig.dropped, 3);
    let (late_kept, late_dropped) = (rig.log(Some(trace_id(2))), rig.log(Some(trace_id(1))));
    assert!(rig.find(late_kept).is_some());
    assert!([dropped, held, late_dropped].iter().all(|&n| rig.find(n).is_none()));
}

#[test]
fn a_trace_of_logs_only_is_kept_at_its_deadline_and_decides_nothing() {
    let mut rig = Rig::new(NOTHING);
    let log = rig.log(Some(trace_id(1)));
    let free = rig.log(None);
    assert!(rig.find(free).is_some() && rig.find(log).is_none());
    rig.pass(30.0);
    assert!(rig.find(log).is_some() && rig.decisions.is_empty());
    // Spans that come later are judged like any others.
    rig.admit(span(1, 1, 0));
    rig.pass(1.0);
    assert_eq!(rig.decisions[0].decision.as_str(), "drop");
}

#[test]
fn a_wait_counts_from_the_first_span_where_logs_came_before() {
    let mut rig = Rig::new("{ policies: [], extend_while_active: { idle: 0s } }");
    rig.log(Some(trace_id(1)));
    rig.pass(20.0);
    rig.admit(span(1, 1, 9));
    rig.pass(29.9);
    assert!(rig.decisions.is_empty());
    rig.pass(0.1);
    assert_eq!(rig.decisions[0].wait.as_secs(), 30);
}

#[test]
fn logs_pass_at_once_where_they_need_not_follow() {
    let mut rig = Rig::new("{ policies: [], logs: { follow_trace: false } }");
    let log = rig.log(Some(trace_id(1)));
    assert!(rig.find(log).is_some());
}

#[test]
fn eviction_decides_complete_traces_first_then_those_with_a_root() {
    let mut rig = Rig::new("{ policies: [], default: { sampling_percentage: 99.9999 }, complete_delay: 10s }");
    for (n, spans) in [(1, vec![(2, 9)]), (2, vec![(1, 0), (2, 9)]), (3, vec![(1, 0)]), (4, vec![(1, 0)])] {
        spans.into_iter().for_each(|(id, parent)| {
            rig.admit(span(n, id, parent).of(with_randomness(n, HIGH)));
        });
    }
    for _ in 0..4 {
        rig.step(|sampler, now, out| sampler.pressure(Pressure::Evict, now, out));
    }
    let order: Vec<u64> = rig.decisions.iter().map(|d| u64::from_be_bytes(d.trace_id.bytes()[..8].try_into().unwrap())).collect();
    assert_eq!(order, [3, 4, 2, 1]);
    assert!(rig.decisions.iter().all(|d| d.trigger.as_str() == "eviction" && d.decision.as_str() == "keep"));
    assert_eq!(rig.left.len(), 5);
}

#[test]
fn pressure_empties_the_hold_shortens_delays_and_grants_no_extension() {
    let mut rig = Rig::new(NOTHING);
    rig.admit(span(1, 1, 0));
    rig.pass(1.0);
    rig.admit(span(3, 1, 9));
    assert_eq!(rig.sampler.held(), 2);
    rig.step(|sampler, now, out| sampler.pressure(Pressure::Soft, now, out));
    assert_eq!((rig.sampler.held(), rig.dropped), (1, 1));
    rig.admit(span(2, 1, 0));
    rig.pass(0.5);
    assert_eq!((rig.decisions.len(), rig.dropped), (2, 2));
    rig.pass(29.5);
    assert_eq!(rig.decisions.len(), 3);
    assert_eq!(rig.decisions[2].wait.as_secs(), 30);
    rig.step(|sampler, now, out| sampler.pressure(Pressure::Normal, now, out));
    rig.admit(span(4, 1, 0));
    rig.pass(0.9);
    assert_eq!(rig.decisions.len(), 3);
}

#[test]
fn limits_are_shared_by_the_shards() {
    let now = Instant::now();
    let mut sampler: Sampler<Fake> = Sampler::new(compile("{ policies: [], num_traces: 4 }"), 2, now);
    let mut out = Outcome::default();
    for n in 1..=3 {
        let span = span(n, 1, 9);
        sampler.admit(&span.facts.clone(), span, now, &mut out);
    }
    assert_eq!(out.decisions.len(), 1);
}

#[test]
fn the_next_deadline_is_when_the_next_decision_falls() {
    let mut rig = Rig::new(NOTHING);
    assert_eq!(rig.sampler.next_deadline(), None);
    rig.admit(span(1, 1, 0));
    assert_eq!(rig.sampler.next_deadline(), Some(rig.now + Duration::from_secs(1)));
}

#[test]
fn metrics_say_what_was_decided_and_what_is_held() {
    let (metrics, policies) = (Metrics::new(), compile("{}"));
    let mut meters = Meters::new(&metrics, &policies);
    let now = Instant::now();
    let mut sampler = Sampler::new(policies, 1, now);
    let mut out = Outcome::default();
    for (n, fake) in [(1, span(1, 1, 0).error()), (2, span(2, 1, 0).of(with_randomness(2, 0))), (3, span(3, 1, 9))] {
        sampler.admit(&fake.facts.clone(), Fake { number: n, ..fake }, now, &mut out);
    }
    sampler.tick(now + Duration::from_secs(1), &mut out);
    meters.record(&out);
    meters.status(sampler.status());
    let text = metrics.render();
    for line in [
        "tollgate_sampling_traces_decided_total{policy=\"_always_keep\",decision=\"keep\",reason=\"error\"} 1",
        "tollgate_sampling_spans_decided_total{policy=\"baseline\",decision=\"drop\",reason=\"probability\"} 1",
        "tollgate_sampling_bytes_decided_total{policy=\"baseline\",decision=\"drop\",reason=\"probability\"} 100",
        "tollgate_sampling_policy_matches_total{policy=\"baseline\"} 2",
        "tollgate_sampling_decision_triggers_total{trigger=\"keep_early\"} 1",
        "tollgate_sampling_decision_triggers_total{trigger=\"complete\"} 1",
        "tollgate_sampling_traces_pending 1",
        "tollgate_sampling_buffered_bytes 100",
        "tollgate_sampling_drop_hold_bytes 100",
        "tollgate_sampling_decision_cache_entries{cache=\"dropped\"} 1",
        "tollgate_sampling_late_spans_total{outcome=\"resurrected\"} 0",
        "tollgate_sampling_trace_wait_seconds_count{decision=\"drop\"} 1",
        "tollgate_sampling_represented_traces_bucket{policy=\"_always_keep\",le=\"1\"} 1",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    }
    // Gauges are moved, not set, so that shards add up.
    out.clear();
    sampler.shutdown(now + Duration::from_secs(2), &mut out);
    meters.status(sampler.status());
    assert!(metrics.render().contains("tollgate_sampling_traces_pending 0"));
}
