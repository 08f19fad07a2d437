//! The admin port after real traffic: metrics that dashboards build on, health, status, decisions.

use crate::corpus;
use crate::support::build::{failed, fresh, hex, llm_call, lone, request, span, trace_id};
use crate::support::client::Client;
use crate::support::metrics::{Sample, parse};
use crate::support::sink::{Sink, Via};
use crate::support::stage::Stage;
use crate::support::{until, until_sync};
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};
use tollgate::otlp::signal::Signal;

/// The metrics that are a contract, with exactly their labels (without `le`).
const FIXED: [(&str, &str, &[&str]); 14] = [
    ("tollgate_llm_calls_total", "counter", &["model", "outcome", "provider", "service"]),
    ("tollgate_llm_tokens_total", "counter", &["kind", "model", "provider", "service"]),
    ("tollgate_llm_cost_usd_total", "counter", &["model", "provider", "service"]),
    ("tollgate_llm_errors_total", "counter", &["class", "model", "provider", "reason", "service"]),
    ("tollgate_llm_truncated_total", "counter", &["model", "provider", "service"]),
    ("tollgate_llm_unpriced_calls_total", "counter", &["model", "provider", "reason"]),
    ("tollgate_llm_duration_seconds", "histogram", &["model", "provider"]),
    ("tollgate_llm_time_to_first_token_seconds", "histogram", &["model", "provider"]),
    ("tollgate_receive_spans_total", "counter", &["outcome", "transport"]),
    ("tollgate_redact_findings_total", "counter", &["action", "type"]),
    ("tollgate_forward_spans_total", "counter", &["destination", "outcome"]),
    ("tollgate_forward_queue_bytes", "gauge", &["destination"]),
    ("tollgate_unaccounted_spans", "gauge", &[]),
    ("tollgate_memory_bytes", "gauge", &[]),
];

/// Values a label may have, where the list is closed.
const CLOSED: [(&str, &str, &[&str]); 6] = [
    ("tollgate_llm_calls_total", "outcome", &["ok", "error"]),
    ("tollgate_llm_tokens_total", "kind", &["input_uncached", "cache_read", "cache_write", "output"]),
    ("tollgate_llm_errors_total", "class", &["transient", "permanent", "unknown"]),
    ("tollgate_receive_spans_total", "outcome", &["accepted", "refused", "rejected"]),
    ("tollgate_receive_spans_total", "transport", &["grpc", "http"]),
    ("tollgate_forward_spans_total", "outcome", &["sent", "retried", "failed", "quarantined"]),
];

/// What sampling counts, by its labels.
const SAMPLING: [(&str, &[&str]); 8] = [
    ("tollgate_sampling_traces_decided_total", &["decision", "policy", "reason"]),
    ("tollgate_sampling_spans_decided_total", &["decision", "policy", "reason"]),
    ("tollgate_sampling_bytes_decided_total", &["decision", "policy", "reason"]),
    ("tollgate_sampling_decision_triggers_total", &["trigger"]),
    ("tollgate_sampling_traces_pending", &[]),
    ("tollgate_sampling_late_spans_total", &["outcome"]),
    ("tollgate_sampling_keep_class_lost_spans_total", &["reason"]),
    ("tollgate_sampling_pressure_level", &[]),
];

async fn start(more: &str) -> (Stage, Sink) {
    let sink = Sink::start().await;
    let exporters = format!("exporters: {{ otlp_grpc/sink: {{ endpoint: \"{}\", batch: {{ flush_after: 10ms }} }} }}\n", sink.url());
    (Stage::start(&(more.to_owned() + &exporters)).await, sink)
}

fn labels(sample: &Sample) -> Vec<&str> {
    sample.labels.keys().map(String::as_str).filter(|label| *label != "le").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_of_the_contract_are_there_with_exactly_their_labels() {
    let (stage, _sink) = start("processors: { tail_sampling: { decision_wait: 2s, extend_while_active: { idle: 0s } } }\n").await;
    let (mut grpc, mut http) = (0.0, 0.0);
    for recorded in corpus::in_order().into_iter().filter(|r| r.signal == Signal::Traces) {
        stage.client.send(&recorded).await.unwrap_or_else(|answer| panic!("refused: {answer}"));
        let spans = if recorded.json {
            crate::support::json::spans(&recorded.body).len()
        } else {
            crate::support::wire::items(&recorded.body).len()
        };
        *(if recorded.grpc { &mut grpc } else { &mut http }) += spans as f64;
    }
    until_sync("everything is decided", || stage.metric("tollgate_sampling_traces_pending", &[]) == 0.0).await;
    let (status, text) = stage.page("/metrics").await;
    assert_eq!(status, 200);
    let samples = parse(&text);
    let types: HashMap<&str, &str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    for (name, kind, expected) in FIXED {
        assert_eq!(types.get(name), Some(&kind), "{name}");
        let of = |sample: &&Sample| sample.name == name || kind == "histogram" && sample.name == format!("{name}_bucket");
        let mut count = 0;
        for sample in samples.iter().filter(of) {
            assert_eq!(labels(sample), expected, "{sample:?}");
            assert!(!sample.labels.values().any(String::is_empty), "{sample:?}");
            count += 1;
        }
        assert!(count > 0, "no series of {name}");
    }
    for (name, label, allowed) in CLOSED {
        for sample in samples.iter().filter(|sample| sample.name == name) {
            assert!(allowed.contains(&sample.label(label)), "{sample:?}");
        }
    }
    for (name, expected) in SAMPLING {
        let found: Vec<_> = samples.iter().filter(|sample| sample.name == name).collect();
        assert!(!found.is_empty() && found.iter().all(|sample| labels(sample) == expected), "{name}: {found:?}");
    }
    // The boundaries that the GenAI conventions give for durations.
    let bounds: BTreeSet<&str> =
        samples.iter().filter(|s| s.name == "tollgate_llm_duration_seconds_bucket").map(|s| s.label("le")).collect();
    assert_eq!(bounds.len(), 15, "{bounds:?}");
    assert!(bounds.contains("0.01") && bounds.contains("81.92") && bounds.contains("+Inf"));

    let metric = |name: &str, labels: &[(&str, &str)]| crate::support::metrics::sum(&samples, name, labels);
    assert_eq!(metric("tollgate_receive_spans_total", &[("transport", "grpc"), ("outcome", "accepted")]), grpc);
    assert_eq!(metric("tollgate_receive_spans_total", &[("transport", "http"), ("outcome", "accepted")]), http);
    assert_eq!(metric("tollgate_unaccounted_spans", &[]), 0.0);
    assert!(metric("tollgate_memory_bytes", &[]) <= metric("tollgate_memory_limit_bytes", &[]));
    let build = samples.iter().find(|s| s.name == "tollgate_build_info").expect("tollgate_build_info");
    assert_eq!((build.value, build.label("version")), (1.0, env!("CARGO_PKG_VERSION")));
    assert!(samples.iter().all(|s| s.value.is_finite() && s.value >= 0.0), "no sample is negative or no number");
    stage.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_counted_and_priced_exactly_once_whatever_becomes_of_its_trace() {
    let nothing =
        "processors: { tail_sampling: { policies: [ { name: none, type: probabilistic, probabilistic: { sampling_percentage: 0 } } ] } }\n";
    let (stage, sink) = start(nothing).await;
    for _ in 0..100 {
        assert_eq!(stage.client.export(Signal::Traces, &request(vec![llm_call(lone("chat"), "stop")])).await.code, 0);
    }
    // The name in the price list: one model under many dates is one series.
    let labels = [("service", "shop"), ("provider", "anthropic"), ("model", "claude-haiku-4-5")];
    until_sync("all are counted", || stage.metric("tollgate_llm_calls_total", &labels) == 100.0).await;
    let with = |more: (&'static str, &'static str)| [&labels[..], &[more]].concat();
    assert_eq!(stage.metric("tollgate_llm_tokens_total", &with(("kind", "input_uncached"))), 184_000.0);
    assert_eq!(stage.metric("tollgate_llm_tokens_total", &with(("kind", "output"))), 36_200.0);
    // 1,840 × 1 + 362 × 5 millionths each; written as a decimal number, not as the nearest double.
    let (_, text) = stage.page("/metrics").await;
    let line = text.lines().find(|line| line.starts_with("tollgate_llm_cost_usd_total{")).expect("a cost");
    assert_eq!(line.rsplit(' ').next(), Some("0.365"), "{line}");
    assert!(sink.traces().is_empty());
    stage.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_status_and_decisions_are_answered() {
    let (stage, sink) = start("").await;
    assert_eq!(stage.page("/live").await.0, 200);
    assert_eq!(stage.page("/ready").await, (200, "serving\n".to_owned()));
    assert_eq!(stage.page("/nothing").await.0, 404);

    let (trace, root) = (trace_id(), fresh());
    let spans = vec![failed(span(trace, fresh(), Some(root), "child"), "no"), span(trace, root, None, "root")];
    assert_eq!(stage.client.export(Signal::Traces, &request(spans)).await.code, 0);
    let url = format!("/api/decisions/{}", hex(&trace));
    until("there is a decision", || async { stage.page(&url).await.0 == 200 }).await;
    let decision: Value = serde_json::from_str(&stage.page(&url).await.1).expect("JSON");
    for (key, value) in [("trace_id", &hex(&trace)[..]), ("decision", "keep"), ("policy", "_always_keep"), ("reason", "error")] {
        assert_eq!(decision[key], value, "{decision}");
    }
    assert!(decision["trigger"].is_string(), "{decision}");
    assert_eq!(stage.page(&format!("/api/decisions/{}", "ab".repeat(16))).await.0, 404);
    assert_eq!(stage.page("/api/decisions/xyz").await.0, 400);

    sink.wait_for(Signal::Traces, Via::Grpc, 2).await;
    stage.until_sent().await;
    let (status, text) = stage.page("/api/status").await;
    let state: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((status, state["state"].as_str(), state["version"].as_str()), (200, Some("serving"), Some(env!("CARGO_PKG_VERSION"))));
    assert_eq!(
        (&state["spans"]["accepted"], &state["spans"]["forwarded"], &state["spans"]["unaccounted"]),
        (&2.into(), &2.into(), &0.into())
    );
    assert_eq!(state["listening"]["http"], stage.client.http.to_string());
    stage.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_open_the_receivers_and_the_admin_port() {
    let tokens = "receivers: { otlp: { auth: { bearer_tokens: [right-token, next-token] } } }
service: { admin: { auth: { bearer_tokens: [admin-token] } } }
";
    let (stage, sink) = start(tokens).await;
    let Client { grpc, http, .. } = stage.client;
    let body = request(vec![failed(lone("kept"), "no")]);
    let message = crate::support::client::framed(0, &body);
    let path = Signal::Traces.grpc_path();
    for (token, accepted) in
        [("Bearer right-token", true), ("Bearer next-token", true), ("Bearer wrong", false), ("right-token", false), ("", false)]
    {
        let called = stage.client.call(path, &[("authorization", token)], &message).await;
        assert_eq!(called.code, if accepted { 0 } else { 16 }, "{token}: {called:?}");
        let headers = [("content-type", "application/x-protobuf"), ("authorization", token)];
        let posted = stage.client.post_to("/v1/traces", &headers, body.clone()).await;
        assert_eq!(posted.status, if accepted { 200 } else { 401 }, "{token}: {posted:?}");
    }
    assert_eq!(Client::new(grpc, http).export(Signal::Traces, &body).await.code, 16, "without any");
    sink.wait_for(Signal::Traces, Via::Grpc, 4).await;
    assert!(sink.got().iter().all(|got| !got.headers.contains("token")), "a token goes no further");

    let url = format!("http://{}/metrics", stage.running.addresses().admin);
    for (token, status) in [("admin-token", 200), ("right-token", 401)] {
        assert_eq!(stage.client.web.get(&url).bearer_auth(token).send().await.expect("an answer").status(), status);
    }
    assert_eq!(stage.page("/metrics").await.0, 401);
    assert_eq!(stage.page("/ready").await.0, 200);
    stage.finish().await;
}
