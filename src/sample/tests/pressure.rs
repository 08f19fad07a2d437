//! What is done, and what is still kept, when there is more than there is room for.

use super::*;
use crate::sample::{Outcome, Pressure};
use crate::telemetry::memory::Budget;

const HIGH: u64 = 0xff_ffff_ffff_ffff;

#[test]
fn released_at_the_decision_an_error_waits_for_its_trace_and_is_evicted_last_and_kept() {
    let mut rig = Rig::new("{ policies: [], release: at_decision }");
    let (error, root) = (rig.admit(span(1, 2, 1).error()), rig.admit(span(1, 1, 0)));
    rig.pass(0.9);
    assert_eq!((rig.left.len(), rig.sampler.held()), (0, 2));
    rig.pass(0.1);
    assert_eq!(rig.last(), ("_always_keep", "error", "complete"));
    assert!(rig.gone(error).keep_class && rig.gone(root).has("policy"));
    // The error is the oldest, and complete.
    rig.admit(span(2, 1, 0).error());
    for n in 3..10 {
        rig.admit(span(n, 1, 9));
    }
    rig.decisions.clear();
    while rig.sampler.held_bytes() > 0 {
        rig.step(|sampler, now, out| sampler.pressure(Pressure::Evict, now, out));
    }
    let order: Vec<&str> = rig.decisions.iter().map(|decided| decided.decision.as_str()).collect();
    assert_eq!(order, [["drop"; 7].as_slice(), &["keep"]].concat());
    assert_eq!((rig.left.len(), rig.sums.keep_class_lost), (3, 0));
}

#[test]
fn under_overload_new_traces_are_judged_span_by_span_with_their_probability_and_errors_pass() {
    let mut rig = Rig::new("{ policies: [], overload: { sampling_percentage: 25 }, record: all }");
    let (high, low) = (with_randomness(1, HIGH), with_randomness(2, 0));
    let held = rig.admit(span(9, 1, 0));
    rig.step(|sampler, now, out| sampler.pressure(Pressure::Evict, now, out));
    // Not at the level before.
    rig.admit(span(8, 1, 9));
    assert_eq!(rig.sampler.held(), 1);
    rig.step(|sampler, now, out| sampler.pressure(Pressure::Hard, now, out));
    let kept: Vec<usize> = (1..=3).map(|n| rig.admit(span(1, n, 9).of(high))).collect();
    let dropped: Vec<usize> = (1..=3).map(|n| rig.admit(span(2, n, 9).of(low))).collect();
    let error = rig.admit(span(2, 4, 9).of(low).error());
    for n in kept {
        assert_eq!((rig.gone(n).text("sampling.policy"), rig.gone(n).trace_state.as_deref()), ("_overload", Some("ot=th:c")));
        assert_eq!(rig.gone(n).double("sampling.adjusted_count"), 4.0);
    }
    assert!(dropped.iter().all(|&n| rig.find(n).is_none()) && rig.find(held).is_none());
    let error = rig.gone(error);
    assert_eq!((error.text("sampling.policy"), error.text("sampling.reason"), error.keep_class), ("_always_keep", "error", true));
    assert_eq!(error.trace_state.as_deref(), Some("ot=th:0"));
    assert_eq!((rig.sampler.status().traces_pending, rig.sampler.held()), (0, 0));
    // A threshold a sender wrote is not lowered.
    let sampled = rig.admit(span(3, 1, 9).of(with_randomness(3, HIGH)).state("ot=th:e"));
    assert_eq!(rig.gone(sampled).trace_state.as_deref(), Some("ot=th:e"));
    rig.step(|sampler, now, out| sampler.pressure(Pressure::Normal, now, out));
    rig.admit(span(4, 1, 9));
    assert_eq!(rig.sampler.held(), 1);
}

#[test]
fn a_percentage_that_is_none_is_refused_for_overload_too() {
    for share in ["101", "-1", "1e-20"] {
        let text = format!("{{ overload: {{ sampling_percentage: {share} }} }}");
        let errors = Policies::compile(&config(&text)).unwrap_err();
        assert!(errors.iter().any(|error| error.path.starts_with("processors.tail_sampling.overload")), "{errors:?}");
    }
}

#[test]
fn a_runaway_trace_can_be_capped_and_its_errors_still_pass() {
    let mut rig = Rig::new("{ policies: [], maximum_forwarded_trace_bytes: 1000 }");
    rig.admit(span(1, 1, 99).error());
    let plain: Vec<usize> = (2..=20).map(|n| rig.admit(span(1, n, 99))).collect();
    let error = rig.admit(span(1, 21, 99).error());
    let passed = plain.iter().filter(|&&n| rig.find(n).is_some()).count();
    assert_eq!((passed, rig.dropped, rig.sums.capped_spans), (10, 9, 9));
    assert!(rig.find(error).is_some());
    // By itself: others go on.
    let other = (rig.admit(span(2, 1, 99).error()), rig.admit(span(2, 2, 99)));
    assert!(rig.find(other.0).is_some() && rig.find(other.1).is_some());
}

#[test]
fn traces_and_decisions_are_charged_for_beside_their_spans() {
    let (now, budget) = (Instant::now(), Budget::new(1 << 30));
    let mut sampler: Sampler<Fake> =
        Sampler::new(compile("{ policies: [], drop_hold: { window: 0s } }"), 1, now).with_budget(budget.clone());
    let mut out = Outcome::default();
    for n in 0..1000 {
        let span = span(n, 1, 0);
        sampler.admit(&span.facts.clone(), span, now, &mut out);
    }
    sampler.tick(now, &mut out);
    let live = budget.used();
    assert!(live >= 1000 * size_of::<crate::sample::trace::Trace>(), "{live}");
    sampler.tick(now + Duration::from_secs(1), &mut out);
    let remembered = budget.used();
    assert!((1000 * 24..1000 * 64).contains(&remembered), "{remembered} for a thousand decisions");
    sampler.tick(now + Duration::from_secs(1801), &mut out);
    assert!(budget.used() < 40_000, "{}", budget.used());
    drop(sampler);
    assert_eq!(budget.used(), 0);
}
