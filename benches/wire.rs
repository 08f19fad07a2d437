//! The wire-level path beside prost, on the same bytes in the same run: the ratio is the rule.
//!
//! `cargo bench --bench wire` measures everything, `cargo bench --bench wire -- lean/` one workload. `docs/performance.md` has the rules.

#![allow(missing_docs, dead_code, unreachable_pub, reason = "a benchmark; no binary uses all of what they share")]

mod shard;
mod template;
mod workload;

use bytes::Bytes;
use cpu_time::ThreadTime;
use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{BatchSize, BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use shard::{Shard, processors};
use std::cell::{LazyCell, RefCell};
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};
use template::Template;
use tollgate::enrich::Scanner;
use tollgate::otlp::append::Attributes;
use tollgate::otlp::regroup::{self, GRPC_PREFIX, Outgoing};
use tollgate::otlp::request::{Draft, Item, Place, Request};
use tollgate::otlp::signal::Signal;
use tollgate::otlp::{schema, strict};
use workload::{Rng, Workload};

// As in the program: what is compared must not be the allocators.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Time this thread was on a processor. Other programs of a shared machine stretch the time by the clock, each benchmark by another
/// factor.
#[derive(Clone, Copy, Debug)]
struct CpuTime;

impl Measurement for CpuTime {
    type Intermediate = ThreadTime;
    type Value = Duration;

    fn start(&self) -> ThreadTime {
        ThreadTime::now()
    }

    fn end(&self, start: ThreadTime) -> Duration {
        start.elapsed()
    }

    fn add(&self, one: &Duration, other: &Duration) -> Duration {
        *one + *other
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        value.as_nanos() as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

/// Bytes that are larger than the last-level cache of any one core: 2^29.
const COLD: usize = 512 << 20;

fn draft(bytes: &Bytes) -> Draft {
    let (request, places) = Request::scan(Signal::Traces, bytes.clone(), None).expect("a valid request");
    Draft::new(Arc::new(request), places)
}

fn append(draft: Draft) -> Vec<Item> {
    let stage = |_: &_, _: &[u8], out: &mut Vec<u8>| {
        let mut attributes = Attributes::of_span(out);
        attributes.double("tollgate.cost.total_usd", 0.0145);
        attributes.str("tollgate.finish_reason", "stop");
    };
    draft.append(None, stage).into_iter().map(|(item, ())| item).collect()
}

fn group<'c>(c: &'c mut Criterion<CpuTime>, name: &str, spans: u64) -> BenchmarkGroup<'c, CpuTime> {
    let mut group = c.benchmark_group(name);
    group.warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2)).sample_size(30);
    group.throughput(Throughput::Elements(spans));
    group
}

fn wire(c: &mut Criterion<CpuTime>) {
    for kind in Workload::ALL {
        let bytes = Bytes::from(workload::encoded(kind, 7));
        let mut group = group(c, kind.name(), kind.spans() as u64);
        group.bench_function("prost_decode", |b| b.iter(|| ExportTraceServiceRequest::decode(black_box(&bytes[..]))));
        group.bench_function("prost_decode_encode", |b| {
            b.iter(|| ExportTraceServiceRequest::decode(black_box(&bytes[..])).map(|r| r.encode_to_vec()));
        });
        group.bench_function("scan", |b| b.iter(|| scan(black_box(&bytes))));
        group.bench_function("scan_validate", |b| b.iter(|| scan_validate(black_box(&bytes))));
        group.bench_function("validate_by_table", |b| b.iter(|| schema::validate(Signal::Traces, black_box(&bytes))));
        group.bench_function("append", |b| b.iter_batched(|| draft(&bytes), append, BatchSize::PerIteration));
        let items = append(draft(&bytes));
        let kept: Vec<&Item> = items.iter().step_by(10).collect();
        group.bench_function("regroup", |b| b.iter(|| encode(black_box(&kept))));

        // All that enrichment does on arrival, its walk included: the rule is 60 % of the scan beyond it.
        let template = Template::new(kind);
        let (mut enrich, mut rng, began, mut passed) = (shard::enrich(), Rng(5), Instant::now(), Duration::ZERO);
        group.bench_function("enrich", |b| {
            let arrive = |received| {
                // Time goes on, so that what is remembered of traces is forgotten at some point, as it is in the program.
                passed += Duration::from_millis(5);
                enrich.apply(received, began + passed, &mut ())
            };
            b.iter_batched(|| shard::open(template.fresh(&mut rng)), arrive, BatchSize::PerIteration);
        });

        // Behind the door: enrichment (which scans), insert, decision, the copy of a tenth, regrouping.
        for (name, processors) in [
            ("shard_keep10", processors(10, 0, false)),
            ("shard_keep10_hold", processors(10, 128, false)),
            ("shard_keep100", processors(100, 0, false)),
            ("shard_keep10_redact", processors(10, 0, true)),
        ] {
            let (mut shard, mut rng) = (Shard::new(&processors), Rng(5));
            group.bench_function(name, |b| {
                b.iter_batched(|| shard::open(template.fresh(&mut rng)), |r| shard.pass(r), BatchSize::PerIteration);
            });
        }
        // The same with the door: validation, boundaries, ids.
        let (shard, rng) = (RefCell::new(Shard::new(&processors(10, 0, false))), RefCell::new(Rng(5)));
        group.bench_function("open_shard_keep10", |b| {
            let fresh = || template.fresh(&mut rng.borrow_mut());
            b.iter_batched(fresh, |bytes| shard.borrow_mut().pass(shard::open(bytes)), BatchSize::PerIteration);
        });
        group.bench_function("open", |b| b.iter(|| shard::open(bytes.clone())));
        group.finish();
    }
}

/// The same over more memory than the last-level cache holds: warm numbers flatter whatever copies.
fn cold(c: &mut Criterion<CpuTime>) {
    let template = Template::new(Workload::Lean);
    // Made when the first benchmark asks: another filter should not have to wait for it.
    let requests = LazyCell::new(|| -> Vec<Bytes> {
        let mut rng = Rng(9);
        (0..COLD / template.size()).map(|_| template.fresh(&mut rng)).collect()
    });
    let mut group = group(c, "cold", template.spans);
    let mut at = 0;
    let mut next = || {
        at = (at + 1) % requests.len();
        requests[at].clone()
    };
    group.bench_function("prost_decode", |b| b.iter_batched(&mut next, ExportTraceServiceRequest::decode, BatchSize::SmallInput));
    group.bench_function("scan", |b| b.iter_batched(&mut next, |r| scan(&r), BatchSize::SmallInput));
    group.bench_function("open", |b| b.iter_batched(&mut next, shard::open, BatchSize::SmallInput));
    group.finish();
}

/// Boundaries, plain fields and the attributes enrichment watches, of every span.
fn scan(bytes: &Bytes) -> u64 {
    read(Request::scan(Signal::Traces, bytes.clone(), None).expect("a valid request"))
}

/// The same with the check of every field.
fn scan_validate(bytes: &Bytes) -> u64 {
    let check = |span: &[u8]| strict::span(span).map(|ids| !ids.bad);
    read(Request::scan_with(Signal::Traces, bytes.clone(), None, check).expect("a valid request"))
}

fn read((request, places): (Request, Vec<Place>)) -> u64 {
    let mut scanner = Scanner::default();
    places.iter().map(|&place| scanner.scan(request.item(place))).fold(0, |sum, (view, watched)| sum ^ view.end ^ watched as u64)
}

fn encode(items: &[&Item]) -> Vec<u8> {
    let mut outgoing: Vec<_> = items.iter().map(|i| Outgoing { head: i.head(), body: i.body(), extra: i.extra() }).collect();
    let mut out = regroup::encode(&mut outgoing, GRPC_PREFIX);
    regroup::finish_grpc(&mut out);
    out
}

criterion_group!(name = benches; config = Criterion::default().with_measurement(CpuTime); targets = wire, cold);
criterion_main!(benches);
