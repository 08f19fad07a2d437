//! Probability is honest: so many as promised, what is written is what was applied, and every process decides alike.

use crate::support::build::{fresh, hex, lone, request, span, trace_id};
use crate::support::sink::{Sink, Via};
use crate::support::stage::Stage;
use crate::support::wire::{Item, ids};
use crate::support::{until, until_sync};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use std::collections::{BTreeMap, BTreeSet};
use tollgate::otlp::signal::Signal;

const TRACES: u64 = 20_000;
const PER_REQUEST: usize = 1_000;

async fn start(policies: &str) -> (Stage, Sink) {
    let sink = Sink::start().await;
    let config = format!(
        "processors: {{ tail_sampling: {{ complete_delay: 300ms, {policies} }} }}
exporters: {{ otlp_grpc: {{ endpoint: \"{}\", batch: {{ flush_after: 20ms }} }} }}
",
        sink.url()
    );
    (Stage::start(&config).await, sink)
}

/// A trace id by its number, spread evenly by a fixed scramble: the same in every run.
fn nth(number: u64) -> [u8; 16] {
    let scramble = |mut z: u64| {
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let mut id = [0; 16];
    id[..8].copy_from_slice(&scramble(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) + 1).to_be_bytes());
    id[8..].copy_from_slice(&scramble(number.wrapping_mul(0x2545_f491_4f6c_dd1d) + 7).to_be_bytes());
    id
}

/// Sends 20 000 traces of two spans, the child before its root, in this order; the spans that were kept, by trace.
async fn run(order: impl Iterator<Item = u64>) -> BTreeMap<String, Vec<Item>> {
    let (stage, sink) = start("").await;
    let watch = stage.watch_books();
    let (mut children, mut roots) = (Vec::new(), Vec::new());
    for number in order {
        let (trace, root) = (nth(number), number + 1);
        children.push(span(trace, root + TRACES, Some(root), "step"));
        roots.push(span(trace, root, None, "run"));
    }
    // A root comes five hundred traces after its child.
    let spans: Vec<Span> = {
        let mut of_both = Vec::with_capacity(children.len() * 2);
        let (mut children, mut roots) = (children.into_iter(), roots.into_iter());
        of_both.extend(children.by_ref().take(500));
        children.for_each(|child| of_both.extend([child].into_iter().chain(roots.next())));
        of_both.extend(roots);
        of_both
    };
    assert_eq!(spans.len() as u64, 2 * TRACES);
    for spans in spans.chunks(PER_REQUEST) {
        assert_eq!(stage.client.export(Signal::Traces, &request(spans.to_vec())).await.code, 0);
    }
    until_sync("everything is decided", || stage.metric("tollgate_sampling_traces_pending", &[]) == 0.0).await;
    stage.until_sent().await;
    watch.assert_balanced_throughout();
    stage.finish().await;
    let mut kept: BTreeMap<String, Vec<Item>> = BTreeMap::new();
    for item in sink.items(Signal::Traces, Via::Grpc) {
        kept.entry(ids(&item.body).0).or_default().push(item);
    }
    kept
}

/// The threshold in the `ot` member of a tracestate.
fn threshold(span: &Span) -> Option<u64> {
    let digits = span
        .trace_state
        .split(',')
        .find_map(|member| member.trim().strip_prefix("ot="))?
        .split(';')
        .find_map(|part| part.strip_prefix("th:"))?;
    u64::from_str_radix(&format!("{digits:0<14}"), 16).ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_is_kept_to_and_counts_add_up_to_what_there_was() {
    let policy = "policies: [{ name: some, type: rate_limiting, rate_limiting: { spans_per_second: 200, burst_capacity: 400 } }]";
    let (stage, sink) = start(policy).await;
    let watch = stage.watch_books();
    let traces = 4_000;
    let spans: Vec<Span> = (0..traces).map(|number| span(nth(number), number + 1, None, "run")).collect();
    for spans in spans.chunks(PER_REQUEST) {
        assert_eq!(stage.client.export(Signal::Traces, &request(spans.to_vec())).await.code, 0);
    }
    until_sync("everything is decided", || stage.metric("tollgate_sampling_traces_pending", &[]) == 0.0).await;
    stage.until_sent().await;
    watch.assert_balanced_throughout();
    stage.finish().await;
    let (mut sum, mut squares, mut kept) = (0.0, 0.0, 0);
    for item in sink.items(Signal::Traces, Via::Grpc) {
        let threshold = threshold(&Span::decode(&item.body[..]).expect("a span")).expect("a threshold");
        let count = 2f64.powi(56) / (2f64.powi(56) - threshold as f64);
        (sum, squares, kept) = (sum + count, squares + count * (count - 1.0), kept + 1);
    }
    // However long it took, it began with a full budget and had some more of it.
    assert!((300..traces).contains(&kept), "{kept}");
    assert!((sum - traces as f64).abs() <= 5.0 * squares.sqrt(), "{sum} of {traces}, one standard deviation is {}", squares.sqrt());
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_percent_is_ten_percent_and_every_process_decides_alike() {
    let (kept, again) = tokio::join!(run(0..TRACES), run((0..TRACES).rev()));

    // Four standard deviations.
    let (share, deviation) = (kept.len() as f64, (TRACES as f64 * 0.1 * 0.9).sqrt());
    assert!((share - TRACES as f64 * 0.1).abs() <= 4.0 * deviation, "{share} of {TRACES}");
    assert!(kept.values().all(|items| items.len() == 2), "no trace is split or doubled");
    assert_eq!(kept.keys().collect::<Vec<_>>(), again.keys().collect::<Vec<_>>(), "another process, in another order");

    let spans: Vec<Span> = kept.values().flatten().map(|item| Span::decode(&item.body[..]).expect("a span")).collect();
    let written: BTreeSet<Option<u64>> = spans.iter().map(threshold).collect();
    let [Some(threshold)] = written.iter().copied().collect::<Vec<_>>()[..] else { panic!("one threshold on every span: {written:?}") };
    let said = 1.0 - threshold as f64 / 2f64.powi(56);
    assert!((said - 0.1).abs() < 2f64.powi(-15), "{said}");
    // By what is written anybody can tell which traces were kept: the last 7 bytes of the id against the threshold.
    for id in (0..TRACES).map(nth) {
        let randomness = id[9..].iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        assert_eq!(randomness >= threshold, kept.contains_key(&hex(&id)), "{}", hex(&id));
    }
    let count =
        |span: &Span| span.attributes.iter().find(|a| a.key == "tollgate.sampling.adjusted_count").and_then(|a| a.value.clone()?.value);
    let counts: Vec<f64> = spans
        .iter()
        .filter(|s| s.parent_span_id.is_empty())
        .map(|s| match count(s) {
            Some(Any::DoubleValue(count)) => count,
            other => panic!("the root says for how many it stands: {other:?}"),
        })
        .collect();
    assert!((counts.iter().sum::<f64>() - TRACES as f64).abs() <= 40.0 * deviation, "{}", counts.iter().sum::<f64>());
}

fn record(trace: &[u8], body: &str) -> LogRecord {
    let body = opentelemetry_proto::tonic::common::v1::AnyValue { value: Some(Any::StringValue(body.to_owned())) };
    LogRecord { trace_id: trace.to_vec(), body: Some(body), time_unix_nano: 1, ..LogRecord::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn log_records_share_the_fate_of_their_trace_and_those_without_one_pass_redacted() {
    let (stage, sink) = start("policies: [ { name: errors, type: status_code, status_code: { status_codes: [ERROR] } } ]").await;
    let (kept, dropped) = (trace_id(), lone("dropped"));
    let spans = vec![crate::support::build::failed(span(kept, fresh(), None, "kept"), "no"), dropped.clone()];
    let records =
        vec![record(&kept, "of the kept"), record(&dropped.trace_id, "of the dropped"), record(&[], "of maria.gonzalez@example.com")];
    let scope_logs = vec![ScopeLogs { log_records: records, ..ScopeLogs::default() }];
    let logs = ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }] };
    assert_eq!(stage.client.export(Signal::Logs, &logs.encode_to_vec()).await.code, 0);
    assert_eq!(stage.client.post(Signal::Traces, request(spans)).await.status, 200);
    sink.wait_for(Signal::Logs, Via::Grpc, 2).await;
    until("the other is decided", || async { stage.page(&format!("/api/decisions/{}", hex(&dropped.trace_id))).await.0 == 200 }).await;
    stage.finish().await;
    let bodies: BTreeSet<String> = sink
        .items(Signal::Logs, Via::Grpc)
        .iter()
        .map(|item| match LogRecord::decode(&item.body[..]).expect("a record").body.and_then(|b| b.value) {
            Some(Any::StringValue(text)) => text,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(bodies, BTreeSet::from(["of the kept".to_owned(), "of [EMAIL]".to_owned()]));
    assert_eq!(sink.traces().into_iter().collect::<Vec<_>>(), [hex(&kept)]);
}
