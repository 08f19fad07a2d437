//! A million live traces: what a span costs the sampler when nothing it touches is in a cache.
//!
//! The spans are stand-ins as large as an item of a request, so that index and decisions are measured and not the walk over bytes. Six times every
//! trace gets a span, in an order of its own, so that each span meets a trace that was last seen a million traces ago.

use crate::workload::Rng;
use cpu_time::ThreadTime;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tollgate::config::load_text;
use tollgate::enrich::SpanFacts;
use tollgate::otlp::span::{KeyValue, SpanId, SpanView, TraceId};
use tollgate::pipeline::Plan;
use tollgate::sample::{Decisions, Held, Outcome, Place, Policies, Sampler};

const TRACES: u64 = 1_000_000;
const SPANS: u64 = 6;
/// Spans a request, after which the outcome is cleared and what is due is done.
const REQUEST: u64 = 512;

/// As large as an item, with a count of references as an item has it.
struct Light {
    _part: Arc<()>,
    _place: [u32; 4],
}

impl Held for Light {
    fn size(&self) -> usize {
        966
    }

    fn view(&self) -> SpanView<'_> {
        SpanView::default()
    }

    fn attributes(&self, _: &mut dyn FnMut(Place, KeyValue<'_>)) {}
}

fn policies(hold_mib: u32) -> Arc<Policies> {
    let config = format!(
        "exporters: {{debug: {{}}}}\nprocessors:\n  tail_sampling: {{num_traces: 10000000, drop_hold: {{limit_mib: {hold_mib}}}}}\n"
    );
    let file = load_text("bench", &config).unwrap_or_else(|problems| panic!("{problems}"));
    let plan = Plan::compile(&file.processors, std::path::Path::new("")).expect("a valid config");
    plan.policies.expect("sampling is on")
}

/// Its id is its number, mixed: the same trace in every round.
fn trace_id(number: u64) -> TraceId {
    let mut rng = Rng(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    TraceId::new(&[rng.next().to_le_bytes(), rng.next().to_le_bytes()].concat()).expect("not all zero")
}

fn facts(round: u64, number: u64) -> SpanFacts {
    let id = |round: u64| SpanId::new(&(number * 8 + round + 1).wrapping_mul(0x2545_f491_4f6c_dd1d).to_be_bytes());
    let root = SPANS - 1;
    SpanFacts {
        trace_id: Some(trace_id(number)),
        span_id: id(round),
        parent_id: if round == root { None } else { id(root) },
        start: 1 + round,
        end: 2 + round,
        flags_alone: Some(1),
        llm_call: round.is_multiple_of(3),
        input_tokens: 100,
        ..SpanFacts::default()
    }
}

/// Inserts and decides them; prints nanoseconds of processor time per span.
pub fn measure() {
    println!("{:22} {:>14} {:>14} {:>14} {:>16}", "1M traces of 6 spans", "insert ns", "decide ns", "together ns", "answers ns/span");
    for (name, hold) in [("keep 10 %", 0), ("keep 10 %, drop hold", 1 << 20)] {
        let begin = Instant::now();
        let mut sampler: Sampler<Light> = Sampler::new(policies(hold), 1, begin);
        let (decisions, mut out) = (Decisions::new(200_000, Duration::from_secs(3600)), Outcome::default());
        let (mut insert, mut answers) = (Duration::ZERO, Duration::ZERO);
        let mut part = Arc::new(());
        let (mut kept, mut dropped) = (0, 0);
        let spans = TRACES * SPANS;
        let mut now = begin;
        for number in 0..spans / REQUEST {
            // Six rounds within a second: all traces are here before the first is decided.
            now = begin + Duration::from_nanos(950_000_000 / (spans / REQUEST) * number);
            part = Arc::new(());
            // Ids are made before the clock runs.
            let batch: Vec<SpanFacts> = (number * REQUEST..(number + 1) * REQUEST)
                .map(|n| {
                    let (round, at) = (n / TRACES, n % TRACES);
                    // Each round has an order of its own: a step that has no divisor in common with the number of traces.
                    facts(round, at * [1, 7, 13, 611_953, 271, 411_023][round as usize] % TRACES)
                })
                .collect();
            let clock = ThreadTime::now();
            sampler.expect(batch.iter().map(|facts| facts.trace_id));
            for facts in &batch {
                sampler.admit(facts, Light { _part: Arc::clone(&part), _place: [0; 4] }, now, &mut out);
            }
            sampler.tick(now, &mut out);
            insert += clock.elapsed();
            let clock = ThreadTime::now();
            decisions.record(&out.decisions, now);
            answers += clock.elapsed();
            kept += out.kept_items();
            dropped += out.dropped_items();
            out.clear();
        }
        drop(part);
        let (inserted, live) = (insert, sampler.status().traces_pending);
        assert!(live > TRACES * 99 / 100, "{live} traces are live");
        let mut decide = Duration::ZERO;
        while sampler.held() > 0 {
            let clock = ThreadTime::now();
            now += Duration::from_millis(1);
            sampler.tick(now, &mut out);
            decide += clock.elapsed();
            let clock = ThreadTime::now();
            decisions.record(&out.decisions, now);
            answers += clock.elapsed();
            kept += out.kept_items();
            dropped += out.dropped_items();
            out.clear();
        }
        assert_eq!(kept + dropped, spans / REQUEST * REQUEST);
        let per_span = |time: Duration| time.as_nanos() as f64 / spans as f64;
        println!(
            "{name:22} {:>14.0} {:>14.0} {:>14.0} {:>16.0}",
            per_span(inserted),
            per_span(decide),
            per_span(inserted + decide),
            per_span(answers)
        );
    }
}
