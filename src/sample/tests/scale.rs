//! Many traces, large traces, and what the numbers add up to.

use super::*;
use crate::sample::threshold::Threshold;

/// Sum of adjusted counts over `traces` single-span traces, each sampled by an SDK first where `before` says so.
fn estimate(text: &str, traces: u64, before: Option<u64>) -> (f64, f64) {
    let now = Instant::now();
    let mut sampler = Sampler::new(compile(text), 1, now);
    let (mut out, mut sum, mut squares) = (Outcome::default(), 0.0, 0.0);
    for n in 0..traces {
        let mut span = span(n, 1, 0);
        let randomness = crate::sample::threshold::randomness(span.facts.trace_id.unwrap().bytes());
        if let Some(before) = before {
            if randomness < before {
                continue;
            }
            span.state = format!("ot=th:{}", crate::otlp::trace_state::threshold_digits(before));
        }
        sampler.admit(&span.facts.clone(), span, now, &mut out);
    }
    sampler.shutdown(now, &mut out);
    for left in out.kept.iter().flat_map(left) {
        let state = left.trace_state.unwrap();
        let threshold = crate::otlp::trace_state::read(state.as_bytes()).unwrap().threshold.unwrap();
        let count = Threshold::from_bits(threshold).adjusted_count();
        sum += count;
        squares += count * (count - 1.0);
    }
    // Variance of the estimate: the sum of (1 - p) / p² over what was kept.
    (sum, squares.sqrt())
}

#[test]
fn adjusted_counts_add_up_to_what_there_was() {
    let traces = 100_000;
    let quarter = Threshold::from_percentage(25.0, 4).unwrap().bits();
    for (share, mode, before) in [
        (10.0, "equalizing", None),
        (1.0, "equalizing", None),
        (50.0, "equalizing", Some(quarter)),
        (10.0, "equalizing", Some(quarter)),
        (10.0, "proportional", Some(quarter)),
        (33.3, "proportional", None),
    ] {
        let text = format!(
            "{{ tracestate: {{ mode: {mode} }}, decision_cache: {{ kept: 0, dropped: 0 }}, drop_hold: {{ window: 0s }}, \
             policies: [{{ name: p, type: probabilistic, probabilistic: {{ sampling_percentage: {share} }} }}] }}"
        );
        let (sum, deviation) = estimate(&text, traces, before);
        let off = (sum - traces as f64).abs();
        assert!(off <= 4.0 * deviation, "{share} % {mode} after {before:?}: {sum}, off by {:.1} sigma", off / deviation);
    }
}

#[test]
fn a_runaway_trace_of_a_million_spans_streams_through_in_bounded_memory() {
    let now = Instant::now();
    let mut sampler = Sampler::new(compile(NOTHING), 1, now);
    let mut out = Outcome::default();
    let (mut kept, began) = (0, Instant::now());
    for n in 1..=1_000_000u64 {
        let span = span(1, n, n + 1);
        let span = if n == 5_000 { span.error() } else { span };
        sampler.admit(&span.facts.clone(), span, now, &mut out);
        assert!(sampler.held() < 5_000);
        if n % 1000 == 0 {
            kept += out.kept_items();
            out.clear();
        }
    }
    assert_eq!(kept, 1_000_000);
    assert_eq!((sampler.status().open_records, sampler.held()), (1, 0));
    assert!(!sampler.traces.get(sampler.index[&trace_id(1)]).unwrap().counts_ids(), "a million ids are kept");
    // Seconds, even unoptimised; quadratic behaviour would take days.
    assert!(began.elapsed() < Duration::from_secs(120), "{:?}", began.elapsed());
}

#[test]
fn a_dropped_trace_without_end_is_bounded_too() {
    let now = Instant::now();
    let text = "{ policies: [], span_limit: 1000, drop_hold: { limit_mib: 1 } }";
    let mut sampler = Sampler::new(compile(text), 1, now);
    let (mut out, mut dropped) = (Outcome::default(), 0);
    for n in 1..=200_000u64 {
        let span = span(1, n, 7);
        sampler.admit(&span.facts.clone(), span, now, &mut out);
        dropped += out.dropped_items();
        out.clear();
        assert!(sampler.held() <= 1 << 14);
    }
    assert_eq!(dropped + sampler.held(), 200_000);
}

#[test]
fn ten_thousand_spans_in_the_worst_order_are_not_quadratic() {
    let mut rig = Rig::new(NOTHING);
    let began = Instant::now();
    // The root first, then each child before its parent: every span settles one missing parent and brings the next.
    rig.admit(span(1, 1, 0));
    for n in (2..9_999).rev() {
        rig.admit(span(1, n, n - 1));
    }
    assert!(rig.sampler.traces.get(rig.sampler.index[&trace_id(1)]).unwrap().complete());
    rig.pass(1.0);
    assert_eq!(rig.last().2, "complete");
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

#[test]
fn memory_of_a_trace_is_bounded() {
    // One trace, beside its items: ten thousand of them take four megabytes.
    let size = size_of::<crate::sample::trace::Trace>();
    println!("{size} B per trace");
    assert!(size <= 448, "{size}");
}

#[test]
fn the_same_arrivals_give_the_same_outcome() {
    let run = || {
        let mut rig = Rig::new("{ drop_hold: { window: 2s } }");
        for n in 0..2_000u64 {
            let fake = span(n % 97, n % 13 + 1, n % 7);
            rig.admit(if n % 101 == 0 { fake.error() } else { fake });
            if n % 5 == 0 {
                rig.pass(0.1);
            }
        }
        rig.shutdown();
        let decisions: Vec<_> = rig.decisions.iter().map(|d| (d.trace_id, d.decision, d.trigger, d.wait)).collect();
        (decisions, rig.left.iter().map(|left| left.number).collect::<Vec<_>>())
    };
    assert_eq!(run(), run());
}
