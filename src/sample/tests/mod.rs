//! Tests of the sampler as a whole: a rig with a clock of its own, whose books are checked after every step.

mod budgets;
mod cases;
mod model;
mod options;
mod order;
mod orders;
mod pressure;
mod rules;
mod scale;
mod shadow;
mod spelling;
mod unbiased;
mod wire;

use crate::enrich::facts::SpanFacts;
use crate::otlp::append::Attributes;
use crate::otlp::span::{self, KeyValue, SpanId, SpanView, StatusCode, TraceId};
use crate::sample::{Config, Decided, Held, Kept, Late, Outcome, Place, Policies, Sampler};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Random numbers from a seed (SplitMix64).
struct Random(u64);

impl Random {
    /// Another seed in every run, printed; `TOLLGATE_TEST_SEED` sets it.
    fn seeded() -> Random {
        let given = std::env::var("TOLLGATE_TEST_SEED").ok().and_then(|text| text.parse().ok());
        let seed = given.unwrap_or_else(|| ahash::RandomState::new().hash_one(0u8));
        println!("TOLLGATE_TEST_SEED={seed}");
        Random(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn shuffle<T>(&mut self, list: &mut [T]) {
        for place in (1..list.len()).rev() {
            list.swap(place, self.below(place as u64 + 1) as usize);
        }
    }
}

/// How much of a long test is run: the first number usually, the second with `TOLLGATE_FULL_TESTS=1`.
fn full(usual: u64, full: u64) -> u64 {
    if std::env::var_os("TOLLGATE_FULL_TESTS").is_some_and(|value| value == "1") { full } else { usual }
}

/// A span that is not encoded.
#[derive(Clone, Debug, Default)]
struct Fake {
    /// Number of its arrival.
    number: usize,
    facts: SpanFacts,
    state: String,
    /// Encoded attributes of the span, the resource and the scope.
    attributes: [Vec<u8>; 3],
    size: usize,
    log: bool,
}

impl Held for Fake {
    fn size(&self) -> usize {
        self.size
    }

    fn view(&self) -> SpanView<'_> {
        let SpanFacts { trace_id, span_id, parent_id, start, end, status, .. } = self.facts;
        SpanView { trace_id, span_id, parent_id, start, end, status, trace_state: self.state.as_bytes(), ..SpanView::default() }
    }

    fn attributes(&self, visit: &mut dyn FnMut(Place, KeyValue<'_>)) {
        for (place, bytes) in [Place::Span, Place::Resource, Place::Scope].into_iter().zip(&self.attributes) {
            span::read(bytes, |pair| visit(place, pair), |_| {});
        }
    }
}

fn trace_id(n: u64) -> TraceId {
    // Spread over the 56 bits of randomness by a mixing step of SplitMix64.
    let mut mixed = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    with_randomness(n, mixed)
}

/// A trace id with these last seven bytes.
fn with_randomness(n: u64, randomness: u64) -> TraceId {
    let mut bytes = [7; 16];
    bytes[..8].copy_from_slice(&n.to_be_bytes());
    bytes[8] = 7;
    bytes[9..].copy_from_slice(&randomness.to_be_bytes()[1..]);
    TraceId::new(&bytes).unwrap()
}

fn span_id(n: u64) -> Option<SpanId> {
    SpanId::new(&n.to_be_bytes())
}

/// Span `id` of trace `trace` under `parent`, 0 for none.
fn span(trace: u64, id: u64, parent: u64) -> Fake {
    let facts = SpanFacts {
        trace_id: Some(trace_id(trace)),
        span_id: span_id(id),
        parent_id: span_id(parent),
        start: 1000 + id,
        end: 2000 + id,
        ..SpanFacts::default()
    };
    Fake { facts, size: 100, ..Fake::default() }
}

impl Fake {
    fn of(mut self, id: TraceId) -> Fake {
        self.facts.trace_id = Some(id);
        self
    }

    fn error(mut self) -> Fake {
        self.facts.status = StatusCode::Error;
        self
    }

    fn truncated(mut self) -> Fake {
        self.facts.truncated = true;
        self
    }

    fn state(mut self, state: &str) -> Fake {
        self.state = state.into();
        self
    }

    fn size(mut self, size: usize) -> Fake {
        self.size = size;
        self
    }

    fn cost(mut self, cost: &str) -> Fake {
        self.facts.cost = cost.parse().unwrap();
        self.facts.llm_call = true;
        self
    }

    fn with(mut self, place: Place, write: impl FnOnce(&mut Attributes<'_>)) -> Fake {
        write(&mut Attributes::of_span(&mut self.attributes[place as usize]));
        self
    }

    fn text(self, key: &str, value: &str) -> Fake {
        self.with(Place::Span, |to| to.str(key, value))
    }
}

/// What was written on a span that left.
#[derive(Clone, Debug)]
struct Left {
    number: usize,
    trace_state: Option<String>,
    attributes: BTreeMap<String, Value>,
    keep_class: bool,
}

impl Left {
    fn has(&self, key: &str) -> bool {
        self.attributes.contains_key(&format!("tollgate.sampling.{key}"))
    }

    fn text(&self, key: &str) -> &str {
        match self.attributes.get(&format!("tollgate.{key}")) {
            Some(Value::StringValue(text)) => text,
            other => panic!("{key} is {other:?}"),
        }
    }

    fn double(&self, key: &str) -> f64 {
        match self.attributes.get(&format!("tollgate.{key}")) {
            Some(Value::DoubleValue(number)) => *number,
            other => panic!("{key} is {other:?}"),
        }
    }

    fn int(&self, key: &str) -> i64 {
        match self.attributes.get(&format!("tollgate.{key}")) {
            Some(Value::IntValue(number)) => *number,
            other => panic!("{key} is {other:?}"),
        }
    }

    fn is(&self, key: &str) -> bool {
        match self.attributes.get(&format!("tollgate.{key}")) {
            Some(Value::BoolValue(value)) => *value,
            other => panic!("{key} is {other:?}"),
        }
    }
}

/// A sampler, its clock and its books.
struct Rig {
    sampler: Sampler<Fake>,
    start: Instant,
    now: Instant,
    admitted: u64,
    dropped: u64,
    left: Vec<Left>,
    decisions: Vec<Decided>,
    late: Late,
    /// The counters of all steps, without items.
    sums: Outcome<()>,
}

fn config(text: &str) -> Config {
    serde_yaml::from_str(text).unwrap_or_else(|error| panic!("{error}"))
}

fn compile(text: &str) -> Policies {
    Policies::compile(&config(text)).unwrap_or_else(|errors| panic!("{errors:?}"))
}

/// Drops everything but the keep class.
const NOTHING: &str = "{ policies: [] }";

impl Rig {
    fn new(text: &str) -> Rig {
        let now = Instant::now();
        Rig {
            sampler: Sampler::new(compile(text), 1, now),
            start: now,
            now,
            admitted: 0,
            dropped: 0,
            left: Vec::new(),
            decisions: Vec::new(),
            late: Late::default(),
            sums: Outcome::default(),
        }
    }

    fn step(&mut self, step: impl FnOnce(&mut Sampler<Fake>, Instant, &mut Outcome<Fake>)) {
        let mut out = Outcome::default();
        step(&mut self.sampler, self.now, &mut out);
        self.dropped += out.dropped_items();
        for kept in &out.kept {
            self.left.extend(left(kept));
        }
        assert_eq!(self.admitted, self.left.len() as u64 + self.dropped + self.sampler.held(), "the books do not balance");
        self.late.forwarded += out.late.forwarded;
        self.late.dropped += out.late.dropped;
        self.late.held += out.late.held;
        self.late.resurrected += out.late.resurrected;
        self.late.partial += out.late.partial;
        self.late.reopened += out.late.reopened;
        self.sums.unsampled_spans += out.unsampled_spans;
        self.sums.keep_class_lost += out.keep_class_lost;
        self.sums.capped_spans += out.capped_spans;
        self.sums.inconsistent_randomness += out.inconsistent_randomness;
        self.sums.inconsistent_threshold += out.inconsistent_threshold;
        self.sums.unparseable_tracestate += out.unparseable_tracestate;
        self.sums.grouping_skipped += out.grouping_skipped;
        for (sum, more) in self.sums.limited.iter_mut().zip(out.limited) {
            *sum += more;
        }
        self.sums.overridden.append(&mut out.overridden);
        self.decisions.append(&mut out.decisions);
    }

    /// A span arrives; its number.
    fn admit(&mut self, mut span: Fake) -> usize {
        let number = self.admitted as usize;
        span.number = number;
        self.admitted += 1;
        self.step(|sampler, now, out| sampler.admit(&span.facts.clone(), span, now, out));
        number
    }

    /// A log record of a trace arrives.
    fn log(&mut self, trace: Option<TraceId>) -> usize {
        let number = self.admitted as usize;
        let record = Fake { number, size: 50, log: true, ..Fake::default() };
        self.admitted += 1;
        self.step(|sampler, now, out| sampler.admit_log(trace, record, now, out));
        number
    }

    /// Time passes, in steps of a tenth of a second at most.
    fn pass(&mut self, seconds: f64) {
        let until = self.now + Duration::from_secs_f64(seconds);
        while self.now < until {
            self.now = until.min(self.now + Duration::from_millis(100));
            self.step(|sampler, now, out| sampler.tick(now, out));
        }
    }

    fn shutdown(&mut self) {
        self.step(|sampler, now, out| sampler.shutdown(now, out));
        assert_eq!(self.sampler.held(), 0);
        assert_eq!(self.sampler.held_bytes(), 0);
    }

    /// What became of a span that left; none where it did not.
    fn find(&self, number: usize) -> Option<&Left> {
        self.left.iter().find(|left| left.number == number)
    }

    fn gone(&self, number: usize) -> &Left {
        self.find(number).unwrap_or_else(|| panic!("span {number} has not left"))
    }

    /// Policy, reason and trigger of the last decision.
    fn last(&self) -> (&str, &str, &str) {
        let last = self.decisions.last().expect("a decision");
        (&*last.policy, last.reason.as_str(), last.trigger.as_str())
    }

    fn seconds(&self) -> f64 {
        (self.now - self.start).as_secs_f64()
    }
}

fn left(kept: &Kept<Fake>) -> Vec<Left> {
    let mut all = Vec::new();
    for (index, fake) in kept.spans.iter().enumerate() {
        let mut bytes = Vec::new();
        let _ = kept.stamp.write(index, &fake.view(), &mut bytes);
        assert!(!fake.log || bytes.is_empty(), "a log record got attributes of a span");
        let read = Span::decode(&bytes[..]).unwrap();
        let keys = read.attributes.len();
        let attributes: BTreeMap<String, Value> =
            read.attributes.into_iter().map(|pair| (pair.key, pair.value.unwrap().value.unwrap())).collect();
        assert_eq!(attributes.len(), keys, "a key stands twice");
        let rewritten = span::view(&bytes).trace_state.len() + usize::from(bytes.starts_with(&[0x1a]));
        let trace_state = (rewritten > 0).then_some(read.trace_state).or((!fake.state.is_empty()).then(|| fake.state.clone()));
        all.push(Left { number: fake.number, trace_state: trace_state.filter(|s| !s.is_empty()), attributes, keep_class: kept.keep_class });
    }
    all
}
