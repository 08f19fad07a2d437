//! Whatever the order in which the spans of a trace come, as long as they come in time: one decision.
//!
//! Ten thousand traces in every run; `TOLLGATE_TEST_SEED` repeats a run, which prints its seed.

use super::*;
use crate::sample::{Decision, Trigger};
use std::sync::Arc;

const TRACES: u64 = 10_000;
/// So many are live at a time.
const BATCH: u64 = 200;

/// Of every kind one: attributes, sums, counts, times, spans together and the root; a drop before them, a percentage behind.
const POLICIES: &str = "
policies:
  - { name: checks, condition: { all: [{ type: attribute_exists, key: check }] }, sample: { type: drop } }
  - { name: dear, condition: { all: [{ type: trace_cost, min_usd: 0.5 }] }, sample: { type: keep } }
  - { name: many, condition: { all: [{ type: span_count, min_spans: 7, max_spans: 8 }] }, sample: { type: probabilistic, sampling_percentage: 80 } }
  - name: pair
    condition: { scope: same_span, all: [{ type: attribute_exists, key: a }, { type: attribute_exists, key: b }] }
    sample: { type: probabilistic, sampling_percentage: 60 }
  - { name: front, condition: { scope: root, all: [{ type: attribute_exists, key: a }] }, sample: { type: keep } }
  - { name: long, type: latency, latency: { threshold_ms: 900, upper_threshold_ms: 1200 } }
  - { name: some, type: probabilistic, probabilistic: { sampling_percentage: 30 } }
";

/// A trace of one to twelve spans under one root at most, some of them under a parent in another system, some of them sent twice.
fn trace(random: &mut Random, number: u64) -> Vec<Fake> {
    let count = 1 + random.below(12);
    let mut spans: Vec<Fake> = (1..=count)
        .map(|id| {
            let parent = match random.below(20) {
                0 => 99,
                _ if id == 1 => 0,
                _ => 1 + random.below(id - 1),
            };
            let mut fake = span(number, id, parent);
            fake.facts.start = 1_000_000_000 + random.below(1_000_000_000);
            fake.facts.end = fake.facts.start + random.below(300_000_000);
            match random.below(60) {
                0 => fake = fake.error(),
                1 => fake = fake.truncated(),
                2 | 3 => fake = fake.text("check", ""),
                4..=10 => fake = fake.cost("0.2"),
                _ => {}
            }
            for key in ["a", "b"] {
                if random.below(8) == 0 {
                    fake = fake.text(key, "x");
                }
            }
            if random.below(25) == 0 {
                fake = fake.state(["ot=th:8", "ot=th:4;rv:d0000000000000", "ot=rv:70000000000000"][random.below(3) as usize]);
            }
            fake
        })
        .collect();
    if random.below(10) == 0 {
        spans.push(spans[random.below(count) as usize].clone());
    }
    for (place, fake) in spans.iter_mut().enumerate() {
        fake.number = number as usize * 100 + place;
    }
    spans
}

/// What was decided of a trace.
struct Fate {
    decision: Decision,
    threshold: Option<u64>,
    /// Kept before all of it was here: nobody knew then what later spans say of its randomness.
    early: bool,
    /// What was written into the tracestate of each span that left.
    left: BTreeMap<usize, Option<String>>,
}

fn run(policies: &Arc<Policies>, spans: &[Fake], random: &mut Random) -> BTreeMap<TraceId, Fate> {
    let start = Instant::now();
    let mut sampler: Sampler<Fake> = Sampler::new(Arc::clone(policies), 1, start);
    let mut out = Outcome::default();
    for (place, fake) in spans.iter().enumerate() {
        // All of it within the second that a complete trace waits.
        let now = start + Duration::from_millis(900 * place as u64 / spans.len() as u64);
        sampler.admit(&fake.facts, fake.clone(), now, &mut out);
        if random.below(10) == 0 {
            sampler.tick(now, &mut out);
        }
    }
    sampler.tick(start + Duration::from_secs(1000), &mut out);
    assert_eq!(sampler.held(), 0);
    let mut fates = BTreeMap::new();
    for decided in &out.decisions {
        let early = decided.trigger == Trigger::KeepEarly;
        let fate = Fate { decision: decided.decision, threshold: decided.threshold, early, left: BTreeMap::new() };
        assert!(fates.insert(decided.trace_id, fate).is_none(), "a trace was decided twice");
    }
    for kept in &out.kept {
        let fate = kept.trace_id.and_then(|id| fates.get_mut(&id)).expect("a decision");
        fate.left.extend(left(kept).into_iter().map(|left| (left.number, left.trace_state)));
    }
    fates
}

#[test]
fn ten_thousand_traces_are_decided_alike_in_any_order_of_arrival() {
    let mut random = Random::seeded();
    let policies = Arc::new(compile(POLICIES));
    let (mut kept, mut spans_kept) = (0, 0);
    for batch in 0..TRACES / BATCH {
        let mut spans: Vec<Fake> = (0..BATCH).flat_map(|n| trace(&mut random, batch * BATCH + n)).collect();
        random.shuffle(&mut spans);
        let one = run(&policies, &spans, &mut random);
        for round in 0..2 {
            random.shuffle(&mut spans);
            let other = run(&policies, &spans, &mut random);
            for (id, fate) in &one {
                let other = other.get(id).expect("a decision");
                let what = format!("trace {id} in batch {batch}, order {round}");
                assert_eq!((other.decision, other.threshold), (fate.decision, fate.threshold), "{what}");
                match other.early || fate.early {
                    true => assert!(other.left.keys().eq(fate.left.keys()), "{what}"),
                    false => assert_eq!(other.left, fate.left, "{what}"),
                }
            }
        }
        assert_eq!(one.len() as u64, BATCH);
        kept += one.values().filter(|fate| fate.decision == Decision::Keep).count();
        spans_kept += one.values().map(|fate| fate.left.len()).sum::<usize>();
    }
    // Neither all nor nothing: the test would be void.
    assert!((3_000..9_000).contains(&kept) && spans_kept > kept, "{kept} traces, {spans_kept} spans");
}
