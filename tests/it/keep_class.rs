//! Errors and truncated answers stay, whatever the policies say; and nothing else does, where they say so.

use crate::corpus;
use crate::support::build::{self, failed, fresh, hex, request, span, trace_id};
use crate::support::sink::Sink;
use crate::support::stage::Stage;
use crate::support::{json, until, until_sync, wire};
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use regex::Regex;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::LazyLock;
use std::time::Duration;
use tollgate::otlp::signal::Signal;

/// The default config, but for the baseline, which keeps nothing, and shorter waits for spans that never come.
const NOTHING: &str = r#"
processors:
  tail_sampling:
    decision_wait: 3s
    decision_wait_after_root_received: 3s
    extend_while_active: { idle: 0s }
    policies: [ { name: baseline, type: probabilistic, probabilistic: { sampling_percentage: 0 } } ]
"#;

async fn start() -> (Stage, Sink) {
    let sink = Sink::start().await;
    let exporters = format!("exporters: {{ otlp_grpc: {{ endpoint: \"{}\", batch: {{ flush_after: 20ms }} }} }}\n", sink.url());
    (Stage::start(&(NOTHING.to_owned() + &exporters)).await, sink)
}

/// The decision as the admin port tells it; `None` while there is none.
async fn decision(stage: &Stage, trace: &[u8]) -> Option<Value> {
    let (status, text) = stage.page(&format!("/api/decisions/{}", hex(trace))).await;
    (status == 200).then(|| serde_json::from_str(&text).expect("JSON"))
}

/// Whether a span says in any place it could that its answer was cut off: the recordings know more of the provider than some spans do.
/// Looser than the reader of the stage, which knows one vocabulary at a time.
fn says_truncated(span: &Span) -> bool {
    static PATTERNS: LazyLock<[Regex; 2]> = LazyLock::new(|| {
        let key = r"(?i)((finish|stop)_?reasons?|incomplete_details.*|response\.?status|truncated)$";
        let word = r"(?i)(length|max[_ ]?tokens|max_?output_?tokens|incomplete|response_truncated)$";
        [key, word].map(|pattern| Regex::new(pattern).expect("a pattern"))
    });
    let [key, word] = &*PATTERNS;
    let mut leaves = Vec::new();
    for attribute in span.attributes.iter().chain(span.events.iter().flat_map(|event| &event.attributes)) {
        any_leaves(&attribute.key, attribute.value.as_ref().and_then(|v| v.value.as_ref()), &mut leaves);
    }
    let cut = leaves.iter().any(|(path, value)| key.is_match(path) && (word.is_match(value) || value == "true"));
    cut || span.events.iter().any(|event| event.name == "response_truncated")
}

type Leaves = Vec<(String, String)>;

fn any_leaves(path: &str, value: Option<&Any>, out: &mut Leaves) {
    match value {
        Some(Any::StringValue(text)) => match serde_json::from_str::<Value>(text) {
            Ok(tree) if tree.is_object() || tree.is_array() => json_leaves(path, &tree, out),
            _ => out.push((path.to_owned(), text.clone())),
        },
        Some(Any::BoolValue(truth)) => out.push((path.to_owned(), truth.to_string())),
        Some(Any::ArrayValue(list)) => list.values.iter().for_each(|value| any_leaves(path, value.value.as_ref(), out)),
        Some(Any::KvlistValue(list)) => {
            list.values
                .iter()
                .for_each(|pair| any_leaves(&format!("{path}.{}", pair.key), pair.value.as_ref().and_then(|v| v.value.as_ref()), out));
        }
        _ => {}
    }
}

fn json_leaves(path: &str, value: &Value, out: &mut Leaves) {
    match value {
        Value::Object(members) => members.iter().for_each(|(key, value)| json_leaves(&format!("{path}.{key}"), value, out)),
        Value::Array(values) => values.iter().for_each(|value| json_leaves(path, value, out)),
        Value::String(text) => any_leaves(path, Some(&Any::StringValue(text.clone())), out),
        other => out.push((path.to_owned(), other.to_string())),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn at_0_percent_every_recorded_error_and_truncated_answer_arrives_whole_and_no_trace_is_split() {
    let (stage, sink) = start().await;
    let watch = stage.watch_books();

    let mut sent: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut tells: HashMap<String, bool> = HashMap::new();
    for recorded in corpus::in_order().into_iter().filter(|r| r.signal == Signal::Traces) {
        stage.client.send(&recorded).await.unwrap_or_else(|answer| panic!("refused: {answer}"));
        let decode = |item: wire::Item| Span::decode(&item.body[..]).expect("a span");
        let spans =
            if recorded.json { json::decoded(&recorded.body) } else { wire::items(&recorded.body).into_iter().map(decode).collect() };
        for span in spans {
            sent.entry(hex(&span.trace_id)).or_default().insert(hex(&span.span_id));
            *tells.entry(hex(&span.trace_id)).or_default() |= says_truncated(&span);
        }
    }
    let traces = corpus::lines(&corpus::folder().join("traces.jsonl"));
    let (mut must, mut must_not) = (Vec::new(), Vec::new());
    for trace in &traces {
        let id = trace["trace_id"].as_str().unwrap_or_default().to_owned();
        match (trace["error_spans"].as_u64(), trace["truncated"].as_bool()) {
            (Some(1..), _) => must.push(id),
            (_, Some(true)) if tells[&id] => must.push(id),
            (Some(0), Some(false)) if !tells[&id] => must_not.push(id),
            _ => {}
        }
    }
    assert!(must.len() > 150 && must_not.len() > 150, "{} and {} of {}", must.len(), must_not.len(), traces.len());
    until_sync("everything is decided", || stage.metric("tollgate_sampling_traces_pending", &[]) == 0.0).await;
    watch.assert_balanced_throughout();
    assert_eq!(stage.metric("tollgate_sampling_keep_class_lost_spans_total", &[]), 0.0);
    // The stop decides what still waits.
    stage.finish().await;

    let mut got: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (trace, span) in sink.spans() {
        got.entry(trace).or_default().push(span);
    }
    let names: HashMap<&str, String> = traces
        .iter()
        .map(|t| (t["trace_id"].as_str().unwrap_or_default(), format!("{} {}", t["instrumentation"], t["scenario"])))
        .collect();
    for (trace, spans) in &got {
        assert_eq!(spans.len(), sent[trace].len(), "split or doubled: {trace} {}", names[&trace[..]]);
        assert_eq!(&spans.iter().cloned().collect::<BTreeSet<_>>(), &sent[trace]);
    }
    let missing: Vec<_> = must.iter().filter(|id| !got.contains_key(*id)).map(|id| &names[&id[..]]).collect();
    assert!(missing.is_empty(), "{} of {} are missing: {missing:?}", missing.len(), must.len());
    let wrong: Vec<_> = must_not.iter().filter(|id| got.contains_key(*id) && !ends_badly(id)).map(|id| &names[&id[..]]).collect();
    assert!(wrong.is_empty(), "{} of {} were kept for nothing: {wrong:?}", wrong.len(), must_not.len());
}

/// Whether the trace has a failed call by what the provider answered, though no span has the status of an error.
fn ends_badly(trace: &str) -> bool {
    let expected = corpus::lines(&corpus::folder().join("expected.jsonl"));
    expected.iter().any(|e| e["trace_id"] == trace && (e["outcome"] != "ok" || e["truncated"] == true))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_a_second_after_the_drop_brings_the_whole_trace_back_and_later_spans_follow() {
    let (stage, sink) = start().await;
    let watch = stage.watch_books();
    let traces: Vec<_> = (0..20).map(|_| (trace_id(), fresh(), fresh(), fresh())).collect();
    for (number, (trace, root, child, _)) in traces.iter().enumerate() {
        let body = request(vec![span(*trace, *child, Some(*root), "child"), span(*trace, *root, None, "root")]);
        if number % 2 == 0 {
            assert_eq!(stage.client.export(Signal::Traces, &body).await.code, 0);
        } else {
            assert_eq!(stage.client.post(Signal::Traces, body).await.status, 200);
        }
    }
    for (trace, ..) in &traces {
        until("the trace is decided", || async { decision(&stage, trace).await.is_some() }).await;
        assert_eq!(decision(&stage, trace).await.expect("a decision")["decision"], "drop");
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(sink.traces().is_empty(), "an ordinary trace is dropped at 0 %");

    let error =
        |(trace, root, _, late): &(build::TraceId, u64, u64, u64)| failed(span(*trace, *late, Some(*root), "late"), "it broke after all");
    for chunk in traces.chunks(5) {
        assert_eq!(stage.client.export(Signal::Traces, &request(chunk.iter().map(error).collect())).await.code, 0);
    }
    until_sync("every span of every trace is here", || sink.spans().len() >= 60).await;
    let mut got = sink.spans();
    got.sort();
    let mut all: Vec<_> = traces.iter().flat_map(|(t, a, b, c)| [a, b, c].map(|id| (hex(t), hex(&id.to_be_bytes())))).collect();
    all.sort();
    assert_eq!(got, all);
    for (trace, ..) in &traces {
        assert_eq!(decision(&stage, trace).await.expect("a decision")["decision"], "keep");
    }

    // An ordinary span that comes even later goes the way of its trace.
    let (trace, root, ..) = traces[0];
    let after = fresh();
    assert_eq!(stage.client.export(Signal::Traces, &request(vec![span(trace, after, Some(root), "later still")])).await.code, 0);
    until_sync("the later span is here", || sink.spans().contains(&(hex(&trace), hex(&after.to_be_bytes())))).await;
    watch.assert_balanced_throughout();
    stage.finish().await;
    assert_eq!(sink.spans().len(), 61);
}
