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
    let traces = full(100_000, 1_000_000);
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
        assert!(off <= 3.0 * deviation, "{share} % {mode} after {before:?}: {sum}, off by {:.1} sigma", off / deviation);
    }
}

/// Samplers in a row: what leaves one arrives at the next, with the tracestate it left with. What the kept spans stand for together, and
/// the deviation to be expected.
fn chained(configs: &[String], traces: u64) -> (f64, f64) {
    let now = Instant::now();
    let mut spans: Vec<Fake> = (0..traces).map(|n| span(n, 1, 0)).collect();
    for config in configs {
        let mut sampler = Sampler::new(compile(config), 1, now);
        let mut out = Outcome::default();
        for (number, fake) in spans.iter_mut().enumerate() {
            fake.number = number;
            sampler.admit(&fake.facts.clone(), fake.clone(), now, &mut out);
        }
        sampler.shutdown(now, &mut out);
        let mut passed = Vec::new();
        for left in out.kept.iter().flat_map(left) {
            let mut fake = spans[left.number].clone();
            fake.state = left.trace_state.unwrap_or_default();
            passed.push(fake);
        }
        spans = passed;
    }
    let counts = spans.iter().map(|fake| {
        let threshold = crate::otlp::trace_state::read(fake.state.as_bytes()).unwrap().threshold.unwrap();
        Threshold::from_bits(threshold).adjusted_count()
    });
    let (sum, squares) = counts.fold((0.0, 0.0), |(sum, squares), count| (sum + count, squares + count * (count - 1.0)));
    (sum, squares.sqrt())
}

#[test]
fn two_stages_in_a_row_are_unbiased_whatever_their_modes_and_order() {
    let traces = full(20_000, 1_000_000);
    let stage = |mode: &str, share: f64| {
        format!(
            "{{ tracestate: {{ mode: {mode} }}, decision_cache: {{ kept: 0, dropped: 0 }}, drop_hold: {{ window: 0s }}, \
             policies: [{{ name: p, type: probabilistic, probabilistic: {{ sampling_percentage: {share} }} }}] }}"
        )
    };
    for first in ["equalizing", "proportional"] {
        for second in ["equalizing", "proportional"] {
            for (one, other) in [(50.0, 10.0), (10.0, 50.0), (25.0, 25.0)] {
                let (sum, deviation) = chained(&[stage(first, one), stage(second, other)], traces);
                let off = (sum - traces as f64).abs();
                assert!(off <= 3.0 * deviation, "{one} % {first}, then {other} % {second}: {sum}, off by {:.1} sigma", off / deviation);
            }
        }
    }
}

#[test]
fn a_hundred_thousand_traces_of_one_span_a_second_are_bounded_and_the_others_decided_in_time() {
    let start = Instant::now();
    let text = "{ policies: [{ name: ours, type: boolean_attribute, boolean_attribute: { key: ours, value: true } }], num_traces: 5000, \
                decision_cache: { kept: 1000, dropped: 20000 }, drop_hold: { limit_mib: 1 }, extend_while_active: { idle: 0s } }";
    let mut sampler = Sampler::new(compile(text), 1, start);
    let (mut out, mut gone, mut honest, flood) = (Outcome::default(), 0, 0, full(300_000, 3_000_000));
    for n in 0..flood {
        let now = start + Duration::from_micros(10 * n);
        // None of them has its parent here: each would wait for half a minute.
        let span = span(n, 1, 9);
        sampler.admit(&span.facts.clone(), span, now, &mut out);
        if n % 10_000 == 5_000 {
            // An honest trace, whose root comes after three hundredths of a second.
            let child = super::span(flood + n, 2, 1).with(Place::Span, |to| to.bool("ours", true));
            sampler.admit(&child.facts.clone(), child, now, &mut out);
        }
        if n % 10_000 == 8_000 {
            let root = super::span(flood + n - 3_000, 1, 0);
            sampler.admit(&root.facts.clone(), root, now, &mut out);
        }
        if n % 500 == 0 {
            sampler.tick(now, &mut out);
            let status = sampler.status();
            assert!(status.traces_pending + status.open_records <= 5_000);
            assert!(status.dropped_entries <= 20_000 && status.kept_entries <= 1_000);
            assert!(status.drop_hold_bytes <= 1 << 20 && sampler.held() <= 5_000 + (1 << 20) / 100);
            assert!(
                sampler.arrivals.len() <= 12_000 && sampler.index.len() <= 20_000,
                "{} {}",
                sampler.arrivals.len(),
                sampler.index.len()
            );
            gone += out.dropped_items();
            honest += out.kept_items();
            out.clear();
        }
    }
    sampler.shutdown(start + Duration::from_secs(60), &mut out);
    honest += out.kept_items();
    assert_eq!((gone + out.dropped_items(), honest), (flood, 2 * (flood / 10_000)));
    assert_eq!((sampler.held(), sampler.index.len(), sampler.due.next()), (0, 0, None));
}

#[test]
fn a_trace_of_sixteen_mebibyte_spans_is_bounded_by_the_size_limit_and_the_hold() {
    let now = Instant::now();
    let mut sampler = Sampler::new(compile("{ policies: [] }"), 1, now);
    let (mut out, mut gone) = (Outcome::default(), 0);
    for n in 1..=100 {
        let span = span(1, n, 200).size(16 << 20);
        sampler.admit(&span.facts.clone(), span, now, &mut out);
        assert!(sampler.held_bytes() <= 144 << 20, "{}", sampler.held_bytes());
        gone += out.dropped_items();
        out.decisions.iter().for_each(|decided| assert_eq!(decided.trigger.as_str(), "size_limit"));
        out.clear();
    }
    assert_eq!(gone + sampler.held(), 100);
}

#[test]
fn who_reuses_one_trace_id_for_everything_neither_fills_memory_nor_stalls_the_others() {
    let start = Instant::now();
    // One id for a whole service; of each thousand spans one is an error, so it is kept, or it is dropped and comes back.
    for (kept, errors) in [(true, 1_000), (false, u64::MAX)] {
        let mut sampler = Sampler::new(compile("{ policies: [], drop_hold: { limit_mib: 2 } }"), 1, start);
        let (mut out, mut gone, mut honest) = (Outcome::default(), 0, 0);
        let spans = full(200_000, 2_000_000);
        for n in 1..=spans {
            let now = start + Duration::from_micros(50 * n);
            let fake = span(0, n, n / 2 + 1_000_000_000);
            let fake = if n % errors == 0 { fake.error() } else { fake };
            sampler.admit(&fake.facts.clone(), fake, now, &mut out);
            if n % 1_000 == 0 {
                let other = span(n, 1, 0);
                sampler.admit(&other.facts.clone(), other, now, &mut out);
                sampler.tick(now, &mut out);
                for decided in out.decisions.iter().filter(|decided| decided.trace_id != trace_id(0)) {
                    assert_eq!((decided.trigger.as_str(), decided.wait), ("complete", Duration::from_secs(1)));
                    honest += 1;
                }
                gone += out.kept_items() + out.dropped_items();
                assert!(sampler.held_bytes() <= 4 << 20 && sampler.held() <= 40_000, "{} {}", sampler.held_bytes(), sampler.held());
                out.clear();
            }
        }
        assert!(honest >= spans / 1_000 - 21, "{honest}");
        assert_eq!(gone + sampler.held(), spans + spans / 1_000);
        assert_eq!(sampler.status().open_records == 1, kept);
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
