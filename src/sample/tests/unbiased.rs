//! Counting what is kept by what it stands for gives back what there was: for every sampler, and for one behind another.
//!
//! The test command runs each with 40,000 traces; `cargo test --release --lib -- --ignored full_length` with a million, as
//! CONTRIBUTING.md says.

use super::*;
use crate::otlp::trace_state;
use crate::sample::threshold::Threshold;

const SAMPLERS: [(&str, &str); 6] = [
    ("fixed", "type: probabilistic, sampling_percentage: 10"),
    ("spans", "type: rate_limiting, spans_per_second: 3000"),
    ("traces", "type: budgeted, traces_per_second: 800"),
    ("usd", "type: budgeted, usd_per_second: 1.5"),
    ("percentage", "type: adaptive_percentage, goal_percentage: 15, fingerprint_attributes: [k], adjustment_interval: 500ms"),
    ("throughput", "type: adaptive_throughput, goal_spans_per_second: 4000, fingerprint_attributes: [k], adjustment_interval: 500ms"),
];

/// Traces a second.
const RATE: u64 = 10_000;

/// One trace on its way through the stages.
struct Trace {
    spans: Vec<Fake>,
    at: Duration,
}

/// Traces of one to five spans, of three kinds of which one is frequent and one rare.
fn traffic(traces: u64) -> impl Iterator<Item = Trace> {
    let trace = |n: u64| {
        // The kind and the size must not depend on the randomness of the id.
        let kind = match n.wrapping_mul(7919) % 100 {
            0..85 => "often",
            85..99 => "at times",
            _ => "rare",
        };
        let size = n.wrapping_mul(104_729) % 5 + 1;
        let spans = (1..=size).map(|id| span(n, id, id - 1).text("k", kind).cost(if kind == "rare" { "0.02" } else { "0.0005" })).collect();
        Trace { spans, at: Duration::from_nanos(n * 1_000_000_000 / RATE) }
    };
    (0..traces).map(trace)
}

/// What a stage lets through, with the tracestates it wrote.
fn stage(sampler: &str, mode: &str, traces: impl Iterator<Item = Trace>) -> Vec<Trace> {
    let text = format!(
        "{{ always_keep: [], complete_delay: 0s, tracestate: {{ mode: {mode} }}, decision_cache: {{ kept: 0, dropped: 0 }}, \
         drop_hold: {{ window: 0s }}, record: none, policies: [{{ name: p, sample: {{ {sampler} }} }}] }}"
    );
    let start = Instant::now();
    let mut sampler = Sampler::new(compile(&text), 1, start);
    let (mut out, mut left) = (Outcome::default(), Vec::new());
    let mut end = start;
    let mut take = |out: &mut Outcome<Fake>, at: Instant| {
        for kept in out.kept.drain(..) {
            let spans = kept.spans.into_iter().enumerate().map(|(index, mut fake)| {
                let mut bytes = Vec::new();
                kept.stamp.write(index, &fake.view(), &mut bytes).unwrap();
                if !bytes.is_empty() {
                    fake.state = String::from_utf8(span::view(&bytes).trace_state.to_vec()).unwrap();
                }
                fake
            });
            left.push(Trace { spans: spans.collect(), at: at - start });
        }
        out.clear();
    };
    for trace in traces {
        let now = start + trace.at;
        for span in trace.spans {
            sampler.admit(&span.facts.clone(), span, now, &mut out);
        }
        take(&mut out, now);
        end = now;
    }
    for step in 1..=80 {
        end += Duration::from_millis(100);
        sampler.tick(end, &mut out);
        take(&mut out, end);
        assert!(step < 80 || sampler.held() == 0, "something waits for ever");
    }
    left
}

/// How far the sums over what is left are from what there was, in standard deviations: of traces, and of spans.
fn off(left: &[Trace], truth: (f64, f64)) -> (f64, f64) {
    let (mut sums, mut squares) = ((0.0, 0.0), (0.0, 0.0));
    for trace in left {
        let threshold = trace_state::read(trace.spans[0].state.as_bytes()).unwrap().threshold.unwrap();
        assert!(trace.spans.iter().all(|span| span.state == trace.spans[0].state), "spans of one trace differ");
        let (count, spans) = (Threshold::from_bits(threshold).adjusted_count(), trace.spans.len() as f64);
        sums = (sums.0 + count, sums.1 + count * spans);
        squares = (squares.0 + count * (count - 1.0), squares.1 + count * (count - 1.0) * spans * spans);
    }
    ((sums.0 - truth.0) / squares.0.sqrt(), (sums.1 - truth.1) / squares.1.sqrt())
}

fn check(traces: u64, chains: bool) {
    let truth = (traces as f64, traffic(traces).map(|trace| trace.spans.len() as f64).sum());
    let near = |name: &str, left: &[Trace]| {
        let (by_traces, by_spans) = off(left, truth);
        println!("{name}: {} of {traces} kept, {by_traces:+.2} and {by_spans:+.2} sigma", left.len());
        assert!(by_traces.abs() <= 3.0 && by_spans.abs() <= 3.0, "{name} is off by {by_traces:.2} and {by_spans:.2} sigma");
        assert!((left.len() as u64) < traces * 6 / 10 && !left.is_empty(), "{name} kept {}", left.len());
    };
    for (first, sampler) in SAMPLERS {
        let left = stage(sampler, "equalizing", traffic(traces));
        near(first, &left);
        if !chains {
            continue;
        }
        for (second, sampler) in SAMPLERS {
            for mode in ["equalizing", "proportional"] {
                let copy = left.iter().map(|trace| Trace { spans: trace.spans.clone(), at: trace.at });
                // Half of the budget of the first stage, or the same percentage of what there was, or of what is left.
                let sampler = sampler.replace("3000", "700").replace("800", "300").replace("1.5", "0.3").replace("4000", "900");
                near(&format!("{first}, then {second} {mode}"), &stage(&sampler, mode, copy));
            }
        }
    }
}

#[test]
fn every_sampler_is_unbiased() {
    check(40_000, false);
}

#[test]
fn every_chain_of_two_stages_is_unbiased() {
    check(8_000, true);
}

#[test]
#[ignore = "full length: minutes"]
fn full_length_every_sampler_and_every_chain_is_unbiased() {
    check(1_000_000, false);
    check(200_000, true);
}
