//! The edge cases of the documentation, each under its name.
//!
//! Some are kept elsewhere: percentages too small, in `rules`; the runaway trace, in `scale`; broken reloads, outages of a backend and killed
//! processes, in the tests of the program.

use super::*;

fn half(n: u64) -> String {
    format!("policies: [{{ name: half, type: probabilistic, probabilistic: {{ sampling_percentage: {n} }} }}]")
}

const HIGH: u64 = 0xff_ffff_ffff_ffff;

#[test]
fn an_all_zero_or_wrong_length_trace_id_is_forwarded_unsampled() {
    let mut rig = Rig::new(NOTHING);
    let mut stray = span(1, 1, 0);
    stray.facts.trace_id = None;
    let (a, b) = (rig.admit(stray.clone()), rig.admit(stray));
    assert!(rig.gone(a).attributes.is_empty() && rig.gone(b).trace_state.is_none());
    assert_eq!((rig.sums.unsampled_spans, rig.decisions.len()), (2, 0));
}

#[test]
fn the_same_span_id_twice_counts_once_in_the_roll_ups_and_both_are_kept() {
    for extra in [0, 30] {
        let mut rig = Rig::new(
            "policies: [{ name: all, condition: { all: [{ type: span_count, min_spans: 1, max_spans: 99 }] }, sample: { type: keep } }]",
        );
        (0..extra).for_each(|n| {
            rig.admit(span(1, 100 + n, 5));
        });
        rig.admit(span(1, 5, 4).cost("0.25"));
        rig.admit(span(1, 5, 4).cost("0.25"));
        let root = rig.admit(span(1, 4, 0));
        rig.pass(1.0);
        assert_eq!(rig.left.len() as u64, 3 + extra);
        assert_eq!(rig.gone(root).double("trace.cost.total_usd"), 0.25);
        assert_eq!(rig.gone(root).int("trace.llm_calls"), 1);
        assert_eq!(rig.gone(root).int("sampling.spans") as u64, 3 + extra);
    }
}

#[test]
fn every_span_of_a_large_trace_counts_in_the_roll_ups() {
    let mut rig = Rig::new(NOTHING);
    (2..50).for_each(|n| {
        rig.admit(span(1, n, 1).cost("0.01"));
    });
    rig.admit(span(1, 50, 1).error());
    let root = rig.admit(span(1, 1, 0).cost("0.02"));
    assert_eq!((rig.gone(root).double("trace.cost.total_usd"), rig.gone(root).int("trace.llm_calls")), (0.5, 49));
}

#[test]
fn two_roots_in_one_trace_are_never_complete_and_the_first_is_stamped() {
    let mut rig = Rig::new(&half(100));
    let mut rig_open = Rig::new(NOTHING);
    rig_open.admit(span(1, 1, 0));
    rig_open.admit(span(1, 2, 0));
    rig_open.pass(4.9);
    assert!(rig_open.decisions.is_empty());
    rig_open.pass(0.1);
    assert_eq!(rig_open.last().2, "root");
    let (first, second) = (rig.admit(span(2, 9, 0)), rig.admit(span(2, 1, 0)));
    rig.shutdown();
    assert!(rig.gone(first).has("policy") && !rig.gone(second).has("policy"));
}

#[test]
fn a_root_that_never_arrives_ends_in_a_timeout_stamped_on_the_earliest_span() {
    let text = "{ extend_while_active: { idle: 0s }, policies: [{ name: a, type: latency, latency: { threshold_ms: 0, upper_threshold_ms: 5 } }] }";
    let mut rig = Rig::new(text);
    let late = rig.admit(span(1, 8, 9));
    let early = rig.admit(span(1, 3, 9));
    rig.pass(29.9);
    assert!(rig.decisions.is_empty());
    rig.pass(0.1);
    assert_eq!(rig.last(), ("a", "policy", "timeout"));
    assert!(rig.gone(early).has("policy") && !rig.gone(late).has("policy"));
    assert!(!rig.gone(early).is("sampling.complete"));
    assert_eq!(rig.gone(early).int("sampling.wait_ms"), 30_000);
}

#[test]
fn a_root_that_arrives_first_ends_in_the_root_deadline_and_then_spans_are_late() {
    let mut rig = Rig::new(NOTHING);
    rig.admit(span(1, 1, 0));
    rig.pass(0.5);
    rig.admit(span(1, 3, 2));
    rig.pass(4.4);
    assert!(rig.decisions.is_empty());
    rig.pass(0.1);
    assert_eq!(rig.last().2, "root");
    rig.admit(span(1, 2, 1));
    assert_eq!(rig.late.held, 1);
}

#[test]
fn a_parent_that_is_in_another_system_keeps_a_trace_from_being_complete() {
    let mut rig = Rig::new(NOTHING);
    rig.admit(span(1, 2, 77));
    rig.admit(span(1, 1, 0));
    rig.pass(4.9);
    assert!(rig.decisions.is_empty());
    rig.pass(0.2);
    assert_eq!(rig.last().2, "root");
    assert!(!rig.decisions[0].complete);
}

#[test]
fn a_trace_of_one_span_is_complete_at_once() {
    let mut rig = Rig::new(NOTHING);
    rig.admit(span(1, 1, 0));
    rig.pass(0.9);
    assert!(rig.decisions.is_empty());
    rig.pass(0.1);
    assert_eq!(rig.last().2, "complete");
    assert!(rig.decisions[0].complete);
}

#[test]
fn a_span_whose_parent_is_missing_takes_completeness_back() {
    for children in [0, 40] {
        let mut rig = Rig::new(NOTHING);
        rig.admit(span(1, 1, 0));
        (0..children).for_each(|n| {
            rig.admit(span(1, 100 + n, 1));
        });
        rig.pass(0.5);
        rig.admit(span(1, 3, 2));
        rig.pass(1.0);
        assert!(rig.decisions.is_empty());
        rig.admit(span(1, 2, 1));
        rig.pass(0.9);
        assert!(rig.decisions.is_empty());
        rig.pass(0.1);
        assert_eq!(rig.last().2, "complete");
    }
}

#[test]
fn an_error_just_after_a_drop_brings_the_whole_trace_back() {
    let mut rig = Rig::new(NOTHING);
    let first: Vec<usize> = (1..=3).map(|n| rig.admit(span(1, n, n - 1).state("ot=th:8;rv:ffffffffffffff").cost("0.1"))).collect();
    rig.pass(1.0);
    assert_eq!(rig.decisions[0].decision.as_str(), "drop");
    assert_eq!(rig.sampler.held(), 3);
    rig.pass(1.0);
    let late = rig.admit(span(1, 4, 1).error());
    assert_eq!((rig.late.resurrected, rig.sampler.held()), (1, 0));
    assert_eq!(rig.last(), ("_always_keep", "late_keep", "late"));
    // Nobody knows the probability that all of it came with, so no span has one.
    assert!(first.iter().chain([&late]).all(|&n| rig.gone(n).trace_state.as_deref() != Some("ot=th:8;rv:ffffffffffffff")));
    assert_eq!(rig.gone(first[0]).trace_state.as_deref(), Some("ot=rv:ffffffffffffff"));
    assert!(rig.gone(late).trace_state.is_none());
    let root = rig.gone(first[0]);
    assert_eq!((root.text("sampling.policy"), root.text("sampling.reason")), ("_always_keep", "late_keep"));
    assert_eq!(root.double("trace.cost.total_usd"), 0.3);
    assert!(!root.has("adjusted_count"));
    assert!(rig.left.iter().all(|left| left.keep_class));
    // A late span that is no error follows: the decision is keep now.
    let after = rig.admit(span(1, 5, 1).state("ot=th:0"));
    assert!(rig.gone(after).is("sampling.late") && rig.gone(after).trace_state.is_none());
    rig.pass(120.0);
    assert_eq!((rig.left.len(), rig.dropped), (5, 0));
}

#[test]
fn an_error_a_millisecond_a_second_or_twenty_after_a_drop_brings_all_of_the_trace_back_and_one_after_the_window_comes_alone() {
    for (late_by, back) in [(0.001, true), (1.0, true), (20.0, true), (29.999, true), (30.001, false), (300.0, false)] {
        let mut rig = Rig::new(NOTHING);
        let first: Vec<usize> = (1..=3).map(|n| rig.admit(span(1, n, n - 1))).collect();
        rig.pass(1.0);
        assert_eq!(rig.last(), ("_default", "default", "complete"));
        rig.pass(late_by);
        let error = rig.admit(span(1, 4, 1).error());
        assert_eq!(rig.last(), ("_always_keep", "late_keep", "late"), "{late_by}");
        assert!(first.iter().all(|&n| rig.find(n).is_some() == back), "{late_by}");
        let error = rig.gone(error);
        assert_eq!((error.has("late"), error.has("partial")), (!back, !back), "{late_by}");
        assert_eq!((rig.late.resurrected, rig.late.partial), (u64::from(back), u64::from(!back)), "{late_by}");
        assert!(rig.left.iter().all(|left| left.keep_class && left.trace_state.is_none()), "{late_by}");
    }
}

#[test]
fn a_late_span_without_error_of_a_trace_that_came_back_is_forwarded() {
    for wait in [1.0, 100.0] {
        let mut rig = Rig::new(NOTHING);
        rig.admit(span(1, 1, 0));
        rig.pass(2.0);
        rig.admit(span(1, 2, 1).error());
        rig.pass(wait);
        let late = rig.admit(span(1, 3, 1));
        assert!(rig.gone(late).is("sampling.late") && rig.gone(late).keep_class);
        assert_eq!((rig.late.forwarded, rig.decisions.len(), rig.dropped), (1, 2, 0));
    }
}

#[test]
fn a_request_that_a_client_sends_again_goes_the_way_of_the_first() {
    for (text, kept) in [(half(100), 2), (half(0), 0)] {
        let mut rig = Rig::new(&text);
        let sent = [span(1, 1, 0), span(1, 2, 1)];
        let ids: Vec<_> = sent.iter().map(|fake| (fake.facts.trace_id, fake.facts.span_id)).collect();
        let numbers: Vec<usize> = sent.iter().chain(&sent).map(|fake| rig.admit(fake.clone())).collect();
        rig.pass(40.0);
        // The copy is known by its ids; they are not changed.
        assert_eq!(ids.len(), 2);
        assert_eq!(numbers.iter().filter(|&&n| rig.find(n).is_some()).count(), 2 * kept);
        assert_eq!((rig.decisions.len(), rig.dropped as usize), (1, 4 - 2 * kept));
    }
}

#[test]
fn an_error_after_the_hold_window_is_kept_alone_marked_and_counted() {
    let mut rig = Rig::new(NOTHING);
    rig.admit(span(1, 1, 0));
    rig.pass(30.9);
    assert_eq!(rig.dropped, 0);
    rig.pass(0.1);
    assert_eq!((rig.dropped, rig.sampler.held()), (1, 0));
    let plain = rig.admit(span(1, 2, 1));
    assert!(rig.find(plain).is_none());
    let error = rig.admit(span(1, 3, 1).error().state("ot=th:0"));
    let after = rig.admit(span(1, 4, 1));
    assert!(rig.gone(error).is("sampling.partial") && rig.gone(after).is("sampling.partial"));
    assert!(rig.gone(error).trace_state.is_none());
    assert_eq!(rig.gone(error).text("sampling.reason"), "late_keep");
    assert!(!rig.gone(after).has("policy"));
    assert_eq!((rig.late.partial, rig.late.dropped, rig.late.forwarded), (1, 1, 1));
    assert!(rig.decisions.last().unwrap().partial);
    assert_eq!((rig.sampler.status().dropped_entries, rig.sampler.status().kept_entries), (0, 1));
}

#[test]
fn a_late_error_of_a_trace_kept_at_ten_percent_leaves_its_threshold_and_stamp() {
    let mut rig = Rig::new(&half(10));
    let id = with_randomness(1, HIGH);
    let root = rig.admit(span(1, 1, 0).of(id));
    rig.pass(1.0);
    let late = rig.admit(span(1, 2, 1).of(id).error());
    assert_eq!(rig.gone(root).trace_state.as_deref(), Some("ot=th:e666"));
    assert_eq!(rig.gone(late).trace_state.as_deref(), Some("ot=th:e666"));
    assert!(rig.gone(late).is("sampling.late") && !rig.gone(late).has("policy"));
    assert!(rig.gone(late).keep_class && !rig.gone(root).keep_class);
    assert_eq!(rig.decisions.len(), 1);
}

#[test]
fn a_trace_reopened_after_the_ttl_is_decided_anew_and_agrees() {
    let mut rig = Rig::new(&half(10));
    for (n, randomness) in [(1, HIGH), (2, 0)] {
        let id = with_randomness(n, randomness);
        rig.admit(span(n, 1, 0).of(id));
        rig.pass(1.0 + 900.0);
        let again = rig.admit(span(n, 2, 1).of(id));
        rig.pass(90.1);
        let both: Vec<&str> = rig.decisions.iter().filter(|d| d.trace_id == id).map(|d| d.decision.as_str()).collect();
        assert_eq!(both.len(), 2);
        assert_eq!(both[0], both[1]);
        assert!(rig.decisions.last().unwrap().reopened);
        if randomness == HIGH {
            assert!(rig.gone(again).is("sampling.reopened"));
        }
    }
    assert_eq!(rig.late.reopened, 2);
}

#[test]
fn a_cancelled_error_is_not_kept_where_it_is_excepted() {
    let except = "{ policies: [], always_keep: [truncated, { class: error, except: [cancelled] }] }";
    let mut rig = Rig::new(except);
    let mut cancelled = span(1, 1, 0).error();
    cancelled.facts.cancelled = true;
    rig.admit(cancelled.clone());
    rig.shutdown();
    assert_eq!(rig.dropped, 1);
    let mut rig = Rig::new(NOTHING);
    rig.admit(cancelled);
    assert_eq!(rig.left.len(), 1);
}

#[test]
fn a_truncated_answer_keeps_its_trace() {
    let mut rig = Rig::new(NOTHING);
    let root = rig.admit(span(1, 1, 0).truncated());
    assert_eq!(rig.gone(root).text("sampling.reason"), "truncated");
    assert_eq!(rig.gone(root).int("trace.truncated_spans"), 1);
    assert!(rig.gone(root).keep_class);
}

#[test]
fn a_drop_policy_does_not_drop_an_error_unless_it_says_so() {
    let policy = |more: &str| {
        format!("policies: [{{ name: d, condition: {{ all: [{{ type: attribute_exists, key: k }}] }}, sample: {{ type: drop{more} }} }}]")
    };
    let mut rig = Rig::new(&policy(""));
    rig.admit(span(1, 1, 0).error().text("k", ""));
    assert_eq!(rig.left.len(), 1);
    let mut rig = Rig::new(&policy(", override_always_keep: true"));
    rig.admit(span(1, 1, 0).error().text("k", ""));
    rig.admit(span(2, 1, 0).error());
    // The policy may still match the second one, so neither leaves early.
    assert_eq!(rig.left.len(), 0);
    rig.pass(1.0);
    assert_eq!((rig.left.len(), rig.dropped), (1, 1));
    assert_eq!(rig.sums.overridden.iter().map(|n| &**n).collect::<Vec<_>>(), ["d"]);
    // Nor does a late error bring back what was dropped for good.
    rig.admit(span(1, 2, 1).error());
    assert_eq!((rig.left.len(), rig.dropped), (1, 2));
}

#[test]
fn of_five_and_fifty_percent_fifty_decides() {
    let text = "
policies:
  - { name: five, type: probabilistic, probabilistic: { sampling_percentage: 5 } }
  - { name: fifty, type: probabilistic, probabilistic: { sampling_percentage: 50 } }
";
    let mut rig = Rig::new(text);
    let n = rig.admit(span(1, 1, 0).of(with_randomness(1, 1 << 55)));
    rig.pass(1.0);
    let left = rig.gone(n);
    assert_eq!((left.text("sampling.policy"), left.text("sampling.reason")), ("fifty", "probability"));
    assert_eq!((left.trace_state.as_deref(), left.double("sampling.adjusted_count")), (Some("ot=th:8"), 2.0));
    assert_eq!(rig.decisions[0].matched.len(), 2);
}

#[test]
fn zero_percent_can_be_outvoted_and_a_hundred_is_keep() {
    let mut rig = Rig::new(&half(100));
    let n = rig.admit(span(1, 1, 0).of(with_randomness(1, 0)));
    assert_eq!((rig.last().0, rig.last().1, rig.gone(n).trace_state.as_deref()), ("half", "policy", Some("ot=th:0")));
    let mut rig = Rig::new(&half(0));
    rig.admit(span(1, 1, 0).of(with_randomness(1, HIGH)));
    rig.pass(1.0);
    assert_eq!(rig.decisions[0].decision.as_str(), "drop");
}

#[test]
fn what_an_sdk_sampled_at_25_percent_a_policy_of_50_keeps_as_it_is() {
    let mut rig = Rig::new(&half(50));
    let n = rig.admit(span(1, 1, 0).of(with_randomness(1, 0xc0_0000_0000_0000)).state("ot=th:c"));
    rig.pass(1.0);
    assert_eq!((rig.gone(n).trace_state.as_deref(), rig.gone(n).double("sampling.adjusted_count")), (Some("ot=th:c"), 4.0));
}

#[test]
fn of_what_an_sdk_sampled_at_50_percent_a_policy_of_25_keeps_half() {
    let mut rig = Rig::new(&half(25));
    let kept = rig.admit(span(1, 1, 0).of(with_randomness(1, 0xc0_0000_0000_0000)).state("ot=th:8"));
    let dropped = rig.admit(span(2, 1, 0).of(with_randomness(2, 0xbf_ffff_ffff_ffff)).state("ot=th:8"));
    rig.shutdown();
    assert_eq!(rig.gone(kept).trace_state.as_deref(), Some("ot=th:c"));
    assert!(rig.find(dropped).is_none());
}

#[test]
fn spans_of_one_trace_with_different_thresholds_keep_the_larger_of_theirs_and_ours() {
    let mut rig = Rig::new(&half(50));
    let id = with_randomness(1, HIGH);
    let (a, b, c) = (
        rig.admit(span(1, 1, 0).of(id).state("ot=th:4")),
        rig.admit(span(1, 2, 1).of(id).state("ot=th:c")),
        rig.admit(span(1, 3, 1).of(id)),
    );
    rig.pass(1.0);
    assert_eq!(rig.decisions.len(), 1);
    let states = [a, b, c].map(|n| rig.gone(n).trace_state.clone().unwrap());
    assert_eq!(states, ["ot=th:8", "ot=th:c", "ot=th:8"]);
}

#[test]
fn an_rv_on_some_spans_counts_for_the_trace_and_that_of_the_root_wins() {
    let mut rig = Rig::new(&half(50));
    let id = with_randomness(1, 0);
    rig.admit(span(1, 2, 1).of(id).state("ot=rv:90000000000000"));
    rig.admit(span(1, 1, 0).of(id));
    rig.pass(1.0);
    assert_eq!((rig.decisions[0].decision.as_str(), rig.sums.inconsistent_randomness), ("keep", 0));
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let mut rig = Rig::new(&half(50));
        let spans = [
            span(1, 1, 0).of(id).state("ot=rv:70000000000000"),
            span(1, 2, 1).of(id).state("ot=rv:90000000000000"),
            span(1, 3, 1).of(id).state("ot=rv:10000000000000"),
        ];
        order.iter().for_each(|&n: &usize| {
            rig.admit(spans[n].clone());
        });
        rig.pass(1.0);
        assert_eq!((rig.decisions[0].decision.as_str(), rig.sums.inconsistent_randomness), ("drop", 1));
        let mut rig = Rig::new(&half(50));
        for &n in &order {
            let state = if n == 0 { "ot=rv:90000000000000" } else { "ot=rv:10000000000000" };
            rig.admit(spans[n].clone().state(state));
        }
        rig.pass(1.0);
        assert_eq!(rig.decisions[0].decision.as_str(), "keep");
    }
}

#[test]
fn a_prompt_as_large_as_a_trace_may_be_is_decided_at_once_and_not_cut() {
    let mut rig = Rig::new("{ policies: [], default: { sampling_percentage: 99.999 } }");
    let n = rig.admit(span(1, 1, 9).size(16 << 20).of(with_randomness(1, HIGH)));
    assert_eq!(rig.last().2, "size_limit");
    assert!(rig.find(n).is_some());
}

#[test]
fn a_trace_past_the_span_limit_is_decided_and_the_rest_follows() {
    let mut rig = Rig::new("{ span_limit: 3, policies: [] }");
    (1..=5).for_each(|n| {
        rig.admit(span(1, n, 9));
    });
    assert_eq!((rig.decisions.len(), rig.decisions[0].spans, rig.last().2), (1, 3, "span_limit"));
    assert_eq!((rig.late.held, rig.sampler.held()), (2, 5));
}

#[test]
fn a_span_that_ends_before_it_starts_has_no_length() {
    let mut rig = Rig::new("{ policies: [{ name: slow, type: latency, latency: { threshold_ms: 1 } }] }");
    let mut odd = span(1, 1, 0);
    (odd.facts.start, odd.facts.end) = (9_000_000_000, 0);
    rig.admit(odd);
    rig.pass(1.0);
    assert_eq!(rig.decisions[0].decision.as_str(), "drop");
}

#[test]
fn a_reload_judges_pending_traces_anew_and_loses_nothing() {
    let mut rig = Rig::new(NOTHING);
    let vip = rig.admit(span(1, 1, 0).text("tier", "vip"));
    rig.admit(span(2, 1, 0).text("tier", "free"));
    rig.log(Some(trace_id(1)));
    rig.pass(0.5);
    let new = "policies: [{ name: vip, condition: { scope: root, all: [{ type: string_attribute, key: tier, values: [vip] }], none: [{ type: span_count, min_spans: 9 }] }, sample: { type: keep } }]";
    let hash = compile(new).hash;
    rig.step(|sampler, now, out| sampler.reload(compile(new), now, out));
    assert_eq!(rig.sampler.held(), 3);
    rig.pass(0.5);
    assert_eq!(rig.gone(vip).text("sampling.policy"), "vip");
    assert_eq!(rig.gone(vip).text("sampling.config"), &*hash);
    assert_eq!(rig.decisions[1].decision.as_str(), "drop");
    // What is certain under the new policies leaves at once.
    let sure = rig.admit(span(3, 1, 9).text("tier", "free"));
    let all = "policies: [{ name: all, type: always_sample }]";
    rig.step(|sampler, now, out| sampler.reload(compile(all), now, out));
    assert!(rig.find(sure).is_some());
}

#[test]
fn a_reload_changes_what_is_always_kept_and_how_much_is_remembered() {
    let drop = "policies: [{ name: d, condition: { all: [{ type: attribute_exists, key: k }] }, sample: { type: drop, override_always_keep: true } }]";
    let mut rig = Rig::new(drop);
    rig.admit(span(1, 1, 9).error());
    (2..9).for_each(|n| {
        rig.admit(span(n, 1, 0).text("k", ""));
    });
    rig.pass(1.0);
    assert_eq!((rig.sampler.status().dropped_entries, rig.sampler.status().traces_pending), (7, 1));
    let new = "{ policies: [], always_keep: [], decision_cache: { dropped: 3 } }";
    rig.step(|sampler, now, out| sampler.reload(compile(new), now, out));
    assert_eq!(rig.sampler.status().dropped_entries, 3);
    rig.shutdown();
    assert_eq!((rig.left.len(), rig.dropped), (0, 8));
}

#[test]
fn of_an_error_and_a_truncated_answer_the_error_is_the_reason_in_either_order() {
    let drop = "policies: [{ name: d, condition: { all: [{ type: attribute_exists, key: k }] }, sample: { type: drop, override_always_keep: true } }]";
    for turn in [false, true] {
        let mut rig = Rig::new(drop);
        let (a, b) = (span(1, 1, 9).error(), span(1, 2, 9).truncated());
        let (first, second) = if turn { (b, a) } else { (a, b) };
        rig.admit(first);
        rig.admit(second);
        rig.shutdown();
        assert_eq!(rig.last().1, "error");
    }
}

#[test]
fn what_streams_and_what_is_late_are_not_marked_alike() {
    let mut rig = Rig::new(NOTHING);
    let mut out = Outcome::default();
    for fake in [span(1, 1, 0).error(), span(1, 2, 1), span(1, 3, 1)] {
        rig.sampler.admit(&fake.facts.clone(), fake, rig.now, &mut out);
    }
    // The record ends a second later; what comes after it is late.
    for fake in [span(1, 4, 1), span(1, 5, 1)] {
        rig.sampler.admit(&fake.facts.clone(), fake, rig.now + Duration::from_secs(2), &mut out);
    }
    let late: Vec<bool> = out.kept.iter().flat_map(left).map(|left| left.has("late")).collect();
    assert_eq!(late, [false, false, false, true, true]);
    assert_eq!(out.kept.iter().map(|kept| kept.spans.len()).collect::<Vec<_>>(), [1, 2, 2]);
}

#[test]
fn a_late_error_does_not_leave_under_the_class_of_its_neighbours() {
    let mut rig = Rig::new(
        "policies: [{ name: all, condition: { all: [{ type: span_count, max_spans: 9, min_spans: 1 }] }, sample: { type: keep } }]",
    );
    rig.admit(span(1, 1, 0));
    rig.pass(1.0);
    let mut out = Outcome::default();
    for fake in [span(1, 2, 1), span(1, 3, 1), span(1, 4, 1).error(), span(1, 5, 1)] {
        rig.sampler.admit(&fake.facts.clone(), fake, rig.now, &mut out);
    }
    let groups: Vec<(usize, bool)> = out.kept.iter().map(|kept| (kept.spans.len(), kept.keep_class)).collect();
    assert_eq!(groups, [(2, false), (2, true)]);
}

#[test]
fn a_reload_that_switches_sampling_off_lets_everything_go() {
    let mut rig = Rig::new("{ policies: [], complete_delay: 2s }");
    rig.admit(span(1, 1, 0));
    rig.pass(2.0);
    let (pending, log) = (rig.admit(span(2, 1, 0)), rig.log(Some(trace_id(2))));
    rig.admit(span(3, 1, 9).error());
    rig.step(|sampler, now, out| sampler.reload(compile("enabled: false"), now, out));
    assert_eq!(rig.sampler.held(), 0);
    assert!(rig.gone(pending).attributes.is_empty() && rig.find(log).is_some());
    let more = rig.admit(span(2, 2, 1));
    assert!(rig.find(more).is_some());
    let status = rig.sampler.status();
    assert_eq!((status.traces_pending, status.open_records, rig.sampler.held_bytes()), (0, 0, 0));
}

#[test]
fn a_reload_changes_the_waits_of_pending_traces() {
    let mut rig = Rig::new(NOTHING);
    rig.admit(span(1, 2, 9));
    rig.pass(3.0);
    let short = "{ policies: [], decision_wait: 4s, extend_while_active: { idle: 0s } }";
    rig.step(|sampler, now, out| sampler.reload(compile(short), now, out));
    rig.pass(0.9);
    assert!(rig.decisions.is_empty());
    rig.pass(0.1);
    assert_eq!(rig.last().2, "timeout");
}

#[test]
fn a_policy_that_is_gone_still_names_the_decisions_it_made() {
    let mut rig = Rig::new(
        "policies: [{ name: old, condition: { all: [{ type: span_count, min_spans: 1, max_spans: 5 }] }, sample: { type: keep } }]",
    );
    let child = rig.admit(span(1, 2, 1));
    rig.pass(90.0);
    assert!(rig.gone(child).has("policy"));
    rig.step(|sampler, now, out| sampler.reload(compile("{ policies: [], record: all }"), now, out));
    let late = rig.admit(span(1, 3, 1));
    assert_eq!((rig.gone(late).text("sampling.policy"), rig.gone(late).text("sampling.trigger")), ("old", "late"));
}

#[test]
fn at_shutdown_fifty_thousand_pending_traces_are_all_decided() {
    let mut rig = Rig::new("{}");
    let mut out = Outcome::default();
    for n in 0..50_000 {
        let span = span(n, 1, 9);
        rig.sampler.admit(&span.facts.clone(), span, rig.now, &mut out);
    }
    rig.admitted = 50_000;
    rig.shutdown();
    assert_eq!(rig.decisions.len(), 50_000);
    assert!(rig.decisions.iter().all(|decided| decided.trigger.as_str() == "shutdown"));
}

#[test]
fn an_attribute_that_is_an_array_is_asked_element_by_element() {
    let mut rig = Rig::new("policies: [{ name: stop, type: string_attribute, string_attribute: { key: k, values: [stop] } }]");
    rig.admit(span(1, 1, 0).with(Place::Span, |to| to.strs("k", ["a", "stop"].into_iter())));
    assert_eq!(rig.last().0, "stop");
}

#[test]
fn a_clock_that_goes_back_changes_nothing() {
    let mut rig = Rig::new(NOTHING);
    rig.pass(10.0);
    rig.admit(span(1, 1, 0));
    let now = rig.now;
    rig.now = rig.start;
    rig.admit(span(1, 2, 1));
    rig.now = now;
    rig.pass(0.9);
    assert!(rig.decisions.is_empty());
    rig.pass(0.1);
    assert_eq!(rig.last().2, "complete");
}
