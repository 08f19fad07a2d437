//! What goes in comes out: recorded traffic, over the transports it was recorded from, at a gRPC and an HTTP backend.

use crate::corpus;
use crate::support::json;
use crate::support::sink::{Sink, Via};
use crate::support::stage::{ALL_OFF, Stage};
use crate::support::wire::{self, Item};
use crate::support::{assert_same, multiset};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use tollgate::otlp::signal::Signal;

/// Every attribute that enrichment may add to a span where nothing but the defaults is configured. Readers build on these names, so
/// one more or one less is a change of the contract.
const ENRICHED: [&str; 33] = [
    "error.type",
    "gen_ai.operation.name",
    "gen_ai.provider.name",
    "gen_ai.request.model",
    "gen_ai.response.model",
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.cost",
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.reasoning.output_tokens",
    "llm.cost.completion",
    "llm.cost.prompt",
    "llm.cost.total",
    "tollgate.cost.cache_read_usd",
    "tollgate.cost.cache_write_usd",
    "tollgate.cost.fees_usd",
    "tollgate.cost.flags",
    "tollgate.cost.input_usd",
    "tollgate.cost.output_usd",
    "tollgate.cost.price_id",
    "tollgate.cost.skip_reason",
    "tollgate.cost.source",
    "tollgate.cost.source_key",
    "tollgate.cost.total_usd",
    "tollgate.error.class",
    "tollgate.error.reason",
    "tollgate.error.source",
    "tollgate.finish_reason",
    "tollgate.truncated",
    "tollgate.truncation.source",
    "tollgate.usage.input_semantics",
    "tollgate.usage.role",
];

const BOTH: [Via; 2] = [Via::Grpc, Via::Http];

/// Sends the whole corpus and waits until all of it arrived both ways.
async fn send_everything(stage: &Stage, sink: &Sink) {
    let mut counts: HashMap<Signal, usize> = HashMap::new();
    for recorded in corpus::in_order() {
        stage.client.send(&recorded).await.unwrap_or_else(|answer| panic!("refused: {answer}"));
        let items = if recorded.json { json::spans(&recorded.body).len() } else { wire::items(&recorded.body).len() };
        *counts.entry(recorded.signal).or_default() += items;
    }
    for via in BOTH {
        for (signal, count) in &counts {
            sink.wait_for(*signal, via, *count).await;
        }
    }
    stage.until_sent().await;
}

fn sent_protobuf(signal: Signal) -> Vec<Item> {
    let recorded = corpus::all().into_iter().filter(|r| !r.json && r.signal == signal);
    recorded.flat_map(|r| wire::items(&r.body)).collect()
}

fn sent_json() -> Vec<String> {
    corpus::all().iter().filter(|r| r.json).flat_map(|r| json::spans(&r.body)).collect()
}

/// Takes what is in `known` away, once each; the rest.
fn without(items: Vec<Item>, known: &[Item]) -> Vec<Item> {
    let mut known = multiset(known.iter().cloned());
    items.into_iter().filter(|item| known.get_mut(item).filter(|count| **count > 0).map(|count| *count -= 1).is_none()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn with_everything_off_every_item_arrives_once_and_byte_for_byte() {
    let sink = Sink::start().await;
    let exporters = format!("exporters: {{ otlp_grpc/a: {{ endpoint: \"{0}\" }}, otlp_http/b: {{ endpoint: \"{0}\" }} }}\n", sink.url());
    let stage = Stage::start(&(ALL_OFF.to_owned() + &exporters)).await;
    let watch = stage.watch_books();
    send_everything(&stage, &sink).await;

    for via in BOTH {
        for signal in Signal::ALL {
            let sent = sent_protobuf(signal);
            let rest = without(sink.items(signal, via), &sent);
            let exact = without(sink.items(signal, via), &rest);
            assert_same(&format!("{signal} over {via:?}"), sent, exact);
            let meant = if signal == Signal::Traces { sent_json() } else { Vec::new() };
            assert_same(&format!("JSON {signal} over {via:?}"), meant, rest.iter().map(json::of_item));
        }
        assert!(sink.got().iter().filter(|got| got.via == via).all(|got| got.coding.as_deref().is_none_or(|c| c == "identity")));
    }
    watch.assert_balanced_throughout();
    stage.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_by_gzip_and_zstd_it_is_the_same() {
    let sink = Sink::start().await;
    let exporters = format!(
        "exporters: {{ otlp_grpc/zstd: {{ endpoint: \"{0}\", compression: zstd }}, otlp_http/gzip: {{ endpoint: \"{0}\", compression: gzip }} }}\n",
        sink.url()
    );
    let stage = Stage::start(&(ALL_OFF.to_owned() + &exporters)).await;
    send_everything(&stage, &sink).await;
    swapped(&stage, &sink).await;
    stage.finish().await;
}

/// Checks the first half, then the other two pairs of protocol and compression over a part of the corpus.
async fn swapped(stage: &Stage, sink: &Sink) {
    let coding_of = |via, coding| sink.got().iter().filter(|got| got.via == via).all(|got| got.coding.as_deref() == Some(coding));
    assert!(coding_of(Via::Grpc, "zstd") && coding_of(Via::Http, "gzip"));
    let sent = sent_protobuf(Signal::Traces);
    for via in BOTH {
        let rest = without(sink.items(Signal::Traces, via), &sent);
        assert_same(&format!("{via:?}"), sent.clone(), without(sink.items(Signal::Traces, via), &rest));
    }

    let other = Sink::start().await;
    let exporters = format!(
        "exporters: {{ otlp_grpc/gzip: {{ endpoint: \"{0}\", compression: gzip }}, otlp_http/zstd: {{ endpoint: \"{0}\", compression: zstd }} }}\n",
        other.url()
    );
    stage.reload(&(ALL_OFF.to_owned() + &exporters)).await;
    let some: Vec<_> = corpus::all().into_iter().filter(|r| r.file.starts_with("mlflow") && !r.json).collect();
    let sent: Vec<_> = some.iter().flat_map(|r| wire::items(&r.body)).collect();
    for recorded in &some {
        stage.client.send(recorded).await.expect("it is taken");
    }
    for (via, coding) in [(Via::Grpc, "gzip"), (Via::Http, "zstd")] {
        other.wait_for(Signal::Traces, via, sent.len()).await;
        assert_same(&format!("{via:?} {coding}"), sent.clone(), other.items(Signal::Traces, via));
        assert!(other.got().iter().filter(|got| got.via == via).all(|got| got.coding.as_deref() == Some(coding)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn enrichment_only_adds_and_only_keys_that_are_documented() {
    let sink = Sink::start().await;
    let processors = "processors: { redaction: { enabled: false }, tail_sampling: { enabled: false } }\n";
    let exporters = format!("exporters: {{ otlp_grpc/a: {{ endpoint: \"{0}\" }}, otlp_http/b: {{ endpoint: \"{0}\" }} }}\n", sink.url());
    let stage = Stage::start(&(processors.to_owned() + &exporters)).await;
    send_everything(&stage, &sink).await;

    let mut added = BTreeSet::new();
    let sent: HashMap<_, _> = sent_protobuf(Signal::Traces).into_iter().map(|item| (wire::ids(&item.body), item)).collect();
    for via in BOTH {
        let mut seen = 0;
        for arrived in sink.items(Signal::Traces, via) {
            // Spans that came as JSON have no bytes to compare.
            let Some(item) = sent.get(&wire::ids(&arrived.body)) else { continue };
            assert_eq!((&arrived.resource, &arrived.scope), (&item.resource, &item.scope));
            let rest = arrived.body.strip_prefix(&item.body[..]).unwrap_or_else(|| panic!("changed: {item:?} became {arrived:?}"));
            let had: Vec<String> = Span::decode(&item.body[..]).expect("a span").attributes.into_iter().map(|a| a.key).collect();
            for (number, _, content) in wire::fields(rest) {
                assert_eq!(number, 9, "only attributes are appended");
                let key = KeyValue::decode(content).expect("an attribute").key;
                assert!(!had.contains(&key), "{key} is there twice");
                assert!(ENRICHED.contains(&&key[..]), "{key} is not documented");
                added.insert(key);
            }
            seen += 1;
        }
        assert_eq!(seen, sent.len());
        for signal in [Signal::Logs, Signal::Metrics] {
            assert_same(&format!("{signal} over {via:?}"), sent_protobuf(signal), sink.items(signal, via));
        }
    }
    for key in ["tollgate.cost.total_usd", "tollgate.truncated", "tollgate.error.class", "gen_ai.usage.cost", "llm.cost.total"] {
        assert!(added.contains(key), "{key} was written nowhere");
    }
    stage.finish().await;
}

/// The page that readers look attributes up in names every one of them.
#[test]
fn every_attribute_is_on_its_page() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/attributes.md");
    let text = std::fs::read_to_string(page).expect("docs/attributes.md");
    for key in ENRICHED {
        assert!(text.contains(&format!("`{key}`")), "{key} is not in docs/attributes.md");
    }
}
