//! The wire-level path beside prost, on the same bytes in the same run: the ratio is the rule.
//!
//! `cargo bench --bench wire`

#![expect(missing_docs, reason = "a benchmark")]

mod workload;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;
use tollgate::otlp::append::Attributes;
use tollgate::otlp::regroup::{self, GRPC_PREFIX, Outgoing};
use tollgate::otlp::request::{Draft, Item, Request};
use tollgate::otlp::schema;
use tollgate::otlp::signal::Signal;
use workload::Workload;

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

fn wire(c: &mut Criterion) {
    for kind in Workload::ALL {
        let bytes = Bytes::from(workload::encoded(kind, 7));
        let mut group = c.benchmark_group(kind.name());
        group
            .warm_up_time(Duration::from_millis(500))
            .measurement_time(Duration::from_secs(2))
            .throughput(Throughput::Elements(kind.spans() as u64));
        group.bench_function("prost_decode", |b| b.iter(|| ExportTraceServiceRequest::decode(black_box(&bytes[..]))));
        group.bench_function("prost_decode_encode", |b| {
            b.iter(|| ExportTraceServiceRequest::decode(black_box(&bytes[..])).map(|r| r.encode_to_vec()));
        });
        group.bench_function("scan", |b| b.iter(|| scan(black_box(&bytes))));
        group.bench_function("scan_validate", |b| {
            b.iter(|| {
                schema::validate(Signal::Traces, black_box(&bytes)).expect("valid");
                scan(&bytes)
            });
        });
        group.bench_function("append", |b| b.iter_batched(|| draft(&bytes), append, BatchSize::SmallInput));
        let items = append(draft(&bytes));
        let kept: Vec<&Item> = items.iter().step_by(10).collect();
        group.bench_function("regroup", |b| b.iter(|| encode(black_box(&kept))));
        group.finish();
    }
}

/// Boundaries, plain fields and the attributes enrichment watches, of every span.
fn scan(bytes: &Bytes) -> u64 {
    let (request, places) = Request::scan(Signal::Traces, bytes.clone(), None).expect("a valid request");
    let mut scanner = tollgate::enrich::Scanner::default();
    places.iter().map(|&place| scanner.scan(request.item(place))).sum()
}

fn encode(items: &[&Item]) -> Vec<u8> {
    let mut outgoing: Vec<_> = items.iter().map(|i| Outgoing { head: i.head(), body: i.body(), extra: i.extra() }).collect();
    let mut out = regroup::encode(&mut outgoing, GRPC_PREFIX);
    regroup::finish_grpc(&mut out);
    out
}

criterion_group!(benches, wire);
criterion_main!(benches);
