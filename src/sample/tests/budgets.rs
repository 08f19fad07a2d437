//! Budgets, learned rates, shared randomness: thresholds that no config says.

use super::*;
use crate::sample::threshold::{self, Threshold};
use crate::sample::{Pressure, Says};

/// A budget of this many of `unit` a second, and of as many at once.
fn budget(unit: &str, rate: f64, burst: f64) -> String {
    format!(
        "{{ always_keep: [], policies: [{{ name: b, sample: {{ type: budgeted, {unit}_per_second: {rate}, burst_capacity: {burst} }} }}] }}"
    )
}

fn randomness(n: u64) -> u64 {
    threshold::randomness(trace_id(n).bytes())
}

/// The threshold that stands on a span.
fn written(left: &Left) -> u64 {
    crate::otlp::trace_state::read(left.trace_state.as_deref().unwrap_or("").as_bytes()).unwrap().threshold.unwrap()
}

fn kept(rig: &Rig) -> Vec<u64> {
    let of = |d: &Decided| u64::from_be_bytes(d.trace_id.bytes()[..8].try_into().unwrap());
    let mut kept: Vec<u64> = rig.decisions.iter().filter(|d| d.decision.as_str() == "keep").map(of).collect();
    kept.sort_unstable();
    kept
}

/// The traces with the highest randomness among `0..all`, and the next one's.
fn highest(all: u64, kept: usize) -> (Vec<u64>, u64) {
    let mut order: Vec<u64> = (0..all).collect();
    order.sort_unstable_by_key(|&n| std::cmp::Reverse(randomness(n)));
    let next = order.get(kept).map_or(0, |&n| randomness(n));
    order.truncate(kept);
    order.sort_unstable();
    (order, next)
}

#[test]
fn a_budget_keeps_the_highest_randomness_of_a_tick_and_says_the_probability() {
    for (unit, rate) in [("traces", 20.0), ("spans", 20.0), ("bytes", 2_000.0), ("usd", 1.0)] {
        let mut rig = Rig::new(&budget(unit, rate, rate));
        for n in 0..100 {
            rig.admit(span(n, 1, 0).cost("0.05"));
        }
        rig.pass(1.3);
        let (expected, next) = highest(100, 20);
        assert_eq!(kept(&rig), expected, "{unit}");
        for left in &rig.left {
            assert_eq!(written(left), next + 1, "{unit}");
            assert_eq!(left.text("sampling.reason"), "budget");
            assert_eq!(left.double("sampling.adjusted_count"), Threshold::from_bits(next + 1).adjusted_count());
        }
        assert_eq!(rig.last().2, "complete");
    }
}

#[test]
fn a_budget_that_suffices_keeps_everything_for_certain() {
    let mut rig = Rig::new(&budget("spans", 1000.0, 1000.0));
    for n in 0..50 {
        rig.admit(span(n, 1, 0));
    }
    rig.pass(1.3);
    assert_eq!(rig.left.len(), 50);
    assert!(rig.left.iter().all(|left| left.trace_state.as_deref() == Some("ot=th:0")));
}

#[test]
fn replicas_that_are_given_the_same_traces_agree_in_whatever_order() {
    let run = |order: Vec<u64>| {
        let mut rig = Rig::new(&budget("spans", 10.0, 10.0));
        order.into_iter().for_each(|n| {
            rig.admit(span(n, 1, 0));
        });
        rig.pass(1.3);
        kept(&rig)
    };
    assert_eq!(run((0..60).collect()), run((0..60).rev().collect()));
}

#[test]
fn what_a_percentage_keeps_is_not_charged_and_the_smaller_threshold_holds() {
    let text = "
always_keep: []
policies:
  - { name: tenth, type: probabilistic, probabilistic: { sampling_percentage: 10 } }
  - { name: b, type: rate_limiting, rate_limiting: { spans_per_second: 30, burst_capacity: 30 } }
";
    let mut rig = Rig::new(text);
    for n in 0..200 {
        rig.admit(span(n, 1, 0));
    }
    rig.pass(1.3);
    let tenth = Threshold::from_percentage(10.0, 4).unwrap();
    let free = (0..200).filter(|&n| tenth.keeps(randomness(n))).count();
    let (expected, next) = highest(200, free + 30);
    assert_eq!(kept(&rig), expected);
    assert!(rig.left.iter().all(|left| written(left) == next + 1), "the free ones too");
    assert!(rig.left.iter().all(|left| left.text("sampling.policy") == "b"));
    let votes = &rig.decisions[0].matched;
    assert_eq!(
        votes.iter().map(|vote| (&*vote.policy, vote.says)).collect::<Vec<_>>(),
        [("tenth", Says::Keep(tenth.bits())), ("b", Says::Keep(next + 1))]
    );
}

#[test]
fn what_is_kept_for_certain_never_waits_for_a_budget() {
    let text = "
policies:
  - { name: b, type: rate_limiting, rate_limiting: { spans_per_second: 1 } }
  - { name: big, type: span_count, span_count: { min_spans: 2 } }
";
    let mut rig = Rig::new(text);
    rig.admit(span(1, 1, 0).error());
    rig.admit(span(2, 1, 0));
    rig.admit(span(2, 2, 1));
    assert_eq!((rig.decisions.len(), rig.left.len()), (2, 3));
}

#[test]
fn an_error_that_comes_while_a_trace_waits_for_its_budget_keeps_it() {
    let mut rig = Rig::new(
        "{ decision_interval: 2s, complete_delay: 100ms, policies: [{ name: b, sample: { type: budgeted, spans_per_second: 1 } }] }",
    );
    for n in 0..10 {
        rig.admit(span(n, 1, 0));
    }
    rig.pass(0.5);
    assert!(rig.decisions.is_empty());
    rig.admit(span(3, 2, 1).error());
    assert_eq!((rig.last(), rig.left.len()), (("_always_keep", "error", "keep_early"), 2));
    rig.pass(2.0);
    assert_eq!(rig.decisions.len(), 10);
}

#[test]
fn eviction_a_reload_and_the_end_leave_nothing_waiting() {
    let text = budget("spans", 1.0, 5.0);
    let mut rig = Rig::new(&text);
    for n in 0..20 {
        rig.admit(span(n, 1, 0));
    }
    for _ in 0..100 {
        rig.step(|sampler, now, out| sampler.pressure(Pressure::Evict, now, out));
    }
    assert_eq!(rig.decisions.len(), 20);
    assert!(rig.decisions.iter().all(|d| d.trigger.as_str() == "eviction"));
    let mut rig = Rig::new(&text);
    for n in 0..20 {
        rig.admit(span(n, 1, 0));
    }
    rig.pass(1.05);
    rig.step(|sampler, now, out| sampler.reload(compile(NOTHING), now, out));
    rig.pass(1.0);
    assert_eq!((rig.decisions.len(), rig.left.len()), (20, 0), "decided by the new policies");
    let mut rig = Rig::new(&text);
    for n in 0..20 {
        rig.admit(span(n, 1, 0));
    }
    rig.shutdown();
    assert_eq!(kept(&rig), highest(20, 5).0);
}

#[test]
fn a_tick_waits_for_a_budget_that_cannot_pay_for_the_largest_yet() {
    // A second brings one span, traces have three: none would ever fit into what a tick brings.
    let mut rig = Rig::new(&budget("spans", 1.0, 3.0));
    for round in 0..4u64 {
        for n in 0..5 {
            for id in 1..=3 {
                rig.admit(span(round * 5 + n, id, id - 1));
            }
        }
        rig.pass(3.0);
    }
    rig.pass(6.0);
    assert_eq!(rig.decisions.len(), 20);
    assert!((4..=6).contains(&kept(&rig).len()), "{:?}", kept(&rig));
    let estimate: f64 = rig.left.iter().filter(|left| left.has("policy")).map(|left| left.double("sampling.adjusted_count")).sum();
    assert!((8.0..45.0).contains(&estimate), "{estimate}");
}

#[test]
fn first_match_asks_the_budget_of_the_first_policy_alone() {
    let text = "
evaluation: first_match
always_keep: []
policies:
  - { name: big, condition: { all: [{ type: span_count, min_spans: 2 }] }, sample: { type: rate_limiting, spans_per_second: 2, burst_capacity: 2 } }
  - { name: rest, type: always_sample }
";
    let mut rig = Rig::new(text);
    for n in 0..5 {
        rig.admit(span(n, 1, 0));
        rig.admit(span(n, 2, 1));
    }
    rig.admit(span(9, 1, 0));
    rig.pass(1.3);
    assert_eq!(rig.decisions.iter().filter(|d| &*d.policy == "big" && d.decision.as_str() == "keep").count(), 1);
    assert_eq!(rig.decisions.iter().filter(|d| &*d.policy == "rest").count(), 1);
}

#[test]
fn composite_gives_each_part_to_the_first_that_matches() {
    let text = "
always_keep: []
policies:
  - name: c
    type: composite
    composite:
      max_total_spans_per_second: 20
      policy_order: [failed, rest]
      composite_sub_policy:
        - { name: rest, type: always_sample }
        - { name: failed, type: status_code, status_code: { status_codes: [ERROR] } }
        - { name: unused, type: truncated }
      rate_allocation: [{ policy: failed, percent: 75 }, { policy: rest, percent: 25 }]
";
    let policies = compile(text);
    assert_eq!(policies.names().map(|name| &**name).collect::<Vec<_>>(), ["c/failed", "c/rest", "_always_keep", "_default"]);
    assert!(policies.notes()[0].contains("\"unused\""), "{:?}", policies.notes());
    let mut rig = Rig::new(text);
    for n in 0..100 {
        rig.admit(if n % 2 == 0 { span(n, 1, 0).error() } else { span(n, 1, 0) });
    }
    rig.pass(1.3);
    let by = |name: &str| rig.decisions.iter().filter(|d| &*d.policy == name && d.decision.as_str() == "keep").count();
    // A burst of twice what a second brings.
    assert_eq!((by("c/failed"), by("c/rest")), (30, 10));
}

#[test]
fn a_limit_of_the_keep_class_lets_the_rest_be_decided_like_others() {
    let text = "{ always_keep: [{ class: error, limit_spans_per_second: 5 }, truncated], policies: [] }";
    let mut rig = Rig::new(text);
    for n in 0..30 {
        rig.admit(span(n, 1, 0).error());
    }
    assert_eq!((rig.left.len(), rig.sums.limited), (10, [20, 0]));
    rig.admit(span(50, 1, 0).truncated());
    assert_eq!(rig.left.len(), 11, "the other class has no limit");
    rig.pass(1.0);
    assert_eq!((rig.decisions.len(), rig.left.len()), (31, 11));
    // What was past the limit does not come back with its next error.
    let dropped = rig.decisions.iter().find(|d| d.decision.as_str() == "drop").unwrap().trace_id;
    rig.admit(span(0, 9, 1).of(dropped).error());
    assert_eq!(rig.left.len(), 11);
    rig.pass(5.0);
    rig.admit(span(60, 1, 0).error());
    assert_eq!(rig.left.len(), 12, "the limit is one of a second");
}

#[test]
fn adaptive_rates_are_learned_kept_over_a_reload_and_truthful() {
    let text = "
always_keep: []
policies:
  - name: a
    sample: { type: adaptive_percentage, goal_percentage: 10, fingerprint_attributes: [k], adjustment_interval: 1s }
";
    let mut rig = Rig::new(text);
    let mut n = 0;
    let mut second = |rig: &mut Rig, rare: &mut Vec<usize>| {
        for i in 0..200 {
            n += 1;
            let number = rig.admit(span(n, 1, 0).text("k", if i == 7 { "rare" } else { "often" }));
            if i == 7 {
                rare.push(number);
            }
        }
        rig.pass(1.0);
    };
    let (mut before, mut after) = (Vec::new(), Vec::new());
    second(&mut rig, &mut before);
    for _ in 0..5 {
        second(&mut rig, &mut after);
    }
    rig.step(|sampler, now, out| sampler.reload(compile(&text.replace("always_keep: []", "always_keep: [truncated]")), now, out));
    for _ in 0..3 {
        second(&mut rig, &mut after);
    }
    rig.pass(1.0);
    for number in after {
        let left = rig.gone(number);
        assert_eq!((left.trace_state.as_deref(), left.text("sampling.policy")), (Some("ot=th:0"), "a"));
    }
    let share = rig.left.len() as f64 / n as f64;
    assert!((0.05..0.16).contains(&share), "{share}");
}

#[test]
fn traces_of_one_conversation_share_one_fate_and_say_by_what_number() {
    let text = "{ always_keep: [], group_by: gen_ai.conversation.id, policies: [{ name: half, type: probabilistic, probabilistic: { sampling_percentage: 50 } }] }";
    let mut rig = Rig::new(text);
    for n in 0..200 {
        rig.admit(span(n, 1, 0));
        rig.admit(span(n, 2, 1).text("gen_ai.conversation.id", &format!("c{}", n % 20)));
    }
    rig.pass(1.0);
    let kept = kept(&rig);
    for conversation in 0..20 {
        let of = kept.iter().filter(|&n| n % 20 == conversation).count();
        assert!(of == 0 || of == 10, "{conversation}: {of}");
    }
    assert!((40..=160).contains(&kept.len()));
    for left in &rig.left {
        let ot = crate::otlp::trace_state::read(left.trace_state.as_deref().unwrap().as_bytes()).unwrap();
        assert!(ot.randomness.unwrap() >= ot.threshold.unwrap() && ot.threshold == Some(1 << 55));
    }
    // A late span has the number of its conversation too.
    let late = rig.admit(span(kept[0], 3, 1).text("gen_ai.conversation.id", &format!("c{}", kept[0] % 20)));
    assert_eq!(
        rig.gone(late).trace_state,
        rig.left[0].trace_state.clone().filter(|_| rig.left[0].number / 2 == kept[0] as usize).or(rig.gone(late).trace_state.clone())
    );
    assert!(rig.gone(late).trace_state.as_deref().unwrap().contains("rv:"));
}

#[test]
fn what_was_sampled_by_its_id_before_is_not_grouped() {
    let text = "{ always_keep: [], group_by: c, policies: [{ name: all, type: always_sample }] }";
    for (state, skipped) in [("ot=th:8", 1), ("ot=rv:ffffffffffffff", 1), ("ot=th:0", 0), ("", 0)] {
        let mut rig = Rig::new(text);
        let number = rig.admit(span(1, 1, 0).of(with_randomness(1, threshold::MAX - 1)).state(state).text("c", "x"));
        assert_eq!(rig.sums.grouping_skipped, skipped, "{state}");
        assert_eq!(rig.gone(number).trace_state.as_deref().unwrap_or("").contains("rv:"), state.contains("rv") || skipped == 0, "{state}");
    }
}

#[test]
fn ids_that_are_not_random_can_be_hashed() {
    let share = "policies: [{ name: tenth, type: probabilistic, probabilistic: { sampling_percentage: 10 } }]";
    let run = |text: &str| {
        let mut rig = Rig::new(text);
        for n in 0..1000 {
            rig.admit(span(n, 1, 0).of(with_randomness(n, n)));
        }
        rig.pass(1.0);
        kept(&rig)
    };
    assert_eq!(run(&format!("{{ {share} }}")).len(), 0);
    let hashed = run(&format!("{{ hash_randomness: true, {share} }}"));
    assert!((60..140).contains(&hashed.len()), "{}", hashed.len());
    assert_eq!(hashed, run(&format!("{{ hash_randomness: true, {share} }}")));
    assert_ne!(hashed, run(&format!("{{ hash_randomness: true, hash_seed: other, {share} }}")));
}

#[test]
fn the_first_traces_of_a_kind_are_rare() {
    let text = "{ always_keep: [], policies: [{ name: r, type: rare, rare: { key: [k, other], first: 2, per: 10s } }] }";
    let mut rig = Rig::new(text);
    let wave = |rig: &mut Rig, base: u64| {
        for n in 0..10 {
            rig.admit(span(base + n, 1, 0).text("k", if n % 2 == 0 { "a" } else { "b" }));
        }
        rig.pass(1.0);
    };
    wave(&mut rig, 0);
    assert_eq!(kept(&rig), [0, 1, 2, 3]);
    wave(&mut rig, 10);
    assert_eq!(kept(&rig).len(), 4);
    rig.step(|sampler, now, out| sampler.reload(compile(text), now, out));
    wave(&mut rig, 20);
    assert_eq!(kept(&rig).len(), 4, "a reload does not begin anew");
    rig.pass(10.0);
    wave(&mut rig, 30);
    assert_eq!(kept(&rig).len(), 8);
}
