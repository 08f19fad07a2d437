//! Values planted in recorded traffic leave by no door; what only looks like them does.
//!
//! The doors of a running process: both exporters, what the debug exporter prints, the log at its most talkative, the metrics and
//! what the admin port answers.

use crate::corpus;
use crate::support::build::{failed, llm_call, lone};
use crate::support::process::Process;
use crate::support::sink::{Sink, Via};
use crate::support::stage::Stage;
use crate::support::{json, wire};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, span};
use prost::Message as _;
use rustix::process::Signal as Kill;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use tollgate::otlp::signal::Signal;

/// Findable only by knowing who is meant.
const NO_PATTERN: [&str; 2] = ["person_name", "address"];

/// Every form in which a planted value may stand on the wire, by its type.
fn planted() -> (BTreeMap<String, String>, BTreeSet<String>) {
    let (mut forms, mut decoys) = (BTreeMap::new(), BTreeSet::new());
    for line in corpus::lines(&corpus::folder().join("pii.jsonl")) {
        for planted in list(&line["planted"]) {
            let (value, kind) = (text(&planted["value"]), text(&planted["type"]));
            if !NO_PATTERN.contains(&&kind[..]) {
                forms.extend(spellings(&value, &kind).into_iter().map(|form| (form, kind.clone())));
            }
        }
        decoys.extend(list(&line["decoys"]).iter().map(|decoy| text(&decoy["value"])));
    }
    assert!(forms.len() > 40 && decoys.len() >= 4, "{} forms, {} decoys", forms.len(), decoys.len());
    (forms, decoys)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn spellings(value: &str, kind: &str) -> BTreeSet<String> {
    // Of a URL only the password is secret.
    let secret = match kind {
        "url_credentials" => {
            value.split("://").nth(1).and_then(|rest| rest.split('@').next()).and_then(|pair| pair.split(':').nth(1)).expect("a password")
        }
        _ => value,
    };
    let escaped = |text: &str| Value::from(text).to_string().trim_matches('"').to_owned();
    let percent: String = secret
        .bytes()
        .map(|b| if b.is_ascii_alphanumeric() || b"-_.~".contains(&b) { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect();
    let mut forms = BTreeSet::from([
        secret.to_owned(),
        escaped(secret),
        escaped(&escaped(secret)),
        secret.replace('/', "\\/"),
        percent,
        secret.replace('@', "\\u0040"),
        secret.replace('@', "\\\\u0040"),
        secret.replace('+', "\\u002b"),
    ]);
    if ["credit_card", "iban"].contains(&kind) {
        forms.insert(secret.replace([' ', '-'], ""));
    }
    forms
}

/// As text, so that a number that was planted as an integer is seen, too.
fn readable(sink: &Sink, via: Via) -> String {
    let spans = sink
        .items(Signal::Traces, via)
        .iter()
        .map(|item| format!("{:?}", Span::decode(&item.body[..]).expect("a span")))
        .collect::<Vec<_>>();
    let logs = sink
        .items(Signal::Logs, via)
        .iter()
        .map(|item| format!("{:?}", LogRecord::decode(&item.body[..]).expect("a record")))
        .collect::<Vec<_>>();
    spans.join("\n") + &logs.join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn no_planted_value_leaves_by_any_door_and_every_look_alike_survives() {
    let sink = Sink::start().await;
    let config = format!(
        "processors: {{ tail_sampling: {{ policies: [ {{ name: all, type: always_sample }} ] }} }}
exporters: {{ otlp_grpc/a: {{ endpoint: \"{0}\" }}, otlp_http/b: {{ endpoint: \"{0}\" }}, debug: {{ verbosity: detailed }} }}
service: {{ admin: {{ endpoint: \"127.0.0.1:0\" }}, logs: {{ level: trace }} }}
",
        sink.url()
    );
    let mut process = Process::start(&config, &[]).await;
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut before = Vec::new();
    for recorded in corpus::in_order().into_iter().filter(|r| r.signal != Signal::Metrics) {
        process.client.send(&recorded).await.unwrap_or_else(|answer| panic!("refused: {answer}"));
        let items = if recorded.json { json::spans(&recorded.body).len() } else { wire::items(&recorded.body).len() };
        *counts.entry(recorded.signal.as_str()).or_default() += items;
        before.extend_from_slice(&recorded.body);
    }
    for signal in [Signal::Traces, Signal::Logs] {
        for via in [Via::Grpc, Via::Http] {
            sink.wait_for(signal, via, counts[signal.as_str()]).await;
        }
    }
    // Also what goes wrong leaves a trace in the log.
    let _ = process
        .client
        .post_to("/v1/traces", &[("content-type", "application/json")], "{\"resourceSpans\":\"maria.gonzalez@example.com\"}")
        .await;
    let metrics = process.page("/metrics").await.1;
    let mut decisions = String::new();
    for trace in corpus::lines(&corpus::folder().join("traces.jsonl")).iter().step_by(10) {
        decisions += &process.page(&format!("/api/decisions/{}", text(&trace["trace_id"]))).await.1;
    }
    let status = process.page("/api/status").await.1;
    process.signal(Kill::TERM);
    assert_eq!(process.ended().await, 0);

    let bytes = |via| -> Vec<u8> {
        sink.got().iter().filter(|got| got.via == via).flat_map(|got| [&got.body[..], got.headers.as_bytes()].concat()).collect()
    };
    let doors = [
        ("gRPC", bytes(Via::Grpc)),
        ("HTTP", bytes(Via::Http)),
        ("gRPC, as text", readable(&sink, Via::Grpc).into_bytes()),
        ("HTTP, as text", readable(&sink, Via::Http).into_bytes()),
        ("standard output", process.out().into_bytes()),
        ("the log", process.err().into_bytes()),
        ("/metrics", metrics.into_bytes()),
        ("/api/decisions", decisions.into_bytes()),
        ("/api/status", status.into_bytes()),
    ];
    let (forms, decoys) = planted();
    let finder = aho_corasick::AhoCorasick::new(forms.keys()).expect("a finder");
    let names: Vec<(&String, &String)> = forms.iter().collect();
    let mut leaks = BTreeSet::new();
    for (door, content) in &doors {
        assert!(content.len() > 100, "{door} was not looked through: {} bytes", content.len());
        for found in finder.find_overlapping_iter(content) {
            let (form, kind) = names[found.pattern().as_usize()];
            leaks.insert(format!("{door}: {kind} {form}"));
        }
    }
    assert!(finder.find_overlapping_iter(&before).count() > 500, "the values were planted");
    assert!(leaks.is_empty(), "{} leaks:\n{}", leaks.len(), leaks.into_iter().collect::<Vec<_>>().join("\n"));

    let count = |content: &[u8], decoy: &str| memchr::memmem::find_iter(content, decoy.as_bytes()).count();
    for decoy in &decoys {
        let sent = count(&before, decoy);
        assert!(sent > 0, "{decoy} was not sent");
        for (door, content) in &doors[..2] {
            assert!(count(content, decoy) >= sent, "{decoy}: {sent} sent, {} left over {door}", count(content, decoy));
        }
    }
}

/// Places that are left as they are on spans, as docs/privacy.md says: names that traces are joined and priced by, and names of attributes and
/// events. They may not get into metrics all the same.
const LEFT: [&str; 11] = [
    "errortype",
    "eventname",
    "key",
    "provider",
    "requestmodel",
    "responseid",
    "responsemodel",
    "scope",
    "service",
    "tracestate",
    "version",
];

/// A span with an address in every place that can hold text, each with the name of its place.
fn planted_everywhere(planted: &mut Vec<String>) -> ExportTraceServiceRequest {
    let mut plant = |place: &str| {
        let address = format!("canary.{place}@example.com");
        planted.push(address.clone());
        address
    };
    let any = |value: Any| Some(AnyValue { value: Some(value) });
    let pair = |key: String, value: Any| KeyValue { key, value: any(value), ..KeyValue::default() };
    let text = |value: String| Any::StringValue(value);
    let list = vec![AnyValue { value: Some(text(plant("list"))) }];
    let map = vec![pair("inside".into(), text(plant("map"))), pair(plant("mapkey"), text("x".into()))];
    let json = format!("{{\"messages\":[{{\"content\":\"to {} now\",\"{}\":1}}]}}", plant("json"), plant("jsonkey"));
    let nested = serde_json::json!({ "raw": serde_json::json!({ "deep": plant("jsontwice") }).to_string() }).to_string();
    let mut span = failed(llm_call(lone(&plant("name")), "stop"), &plant("status"));
    span.trace_state = format!("vendor={}", plant("tracestate").replace('@', "%40"));
    span.attributes
        .retain(|a| !["gen_ai.request.model", "gen_ai.response.model", "gen_ai.provider.name", "gen_ai.response.id"].contains(&&a.key[..]));
    span.attributes.extend([
        pair("gen_ai.request.model".into(), text(plant("requestmodel"))),
        pair("gen_ai.response.model".into(), text(plant("responsemodel"))),
        pair("gen_ai.provider.name".into(), text(plant("provider"))),
        pair("gen_ai.response.id".into(), text(plant("responseid"))),
        pair("error.type".into(), text(plant("errortype"))),
        pair("user.email".into(), text(plant("value"))),
        pair(plant("key"), text("x".into())),
        pair("bytes".into(), Any::BytesValue(plant("bytes").into_bytes())),
        pair("list".into(), Any::ArrayValue(ArrayValue { values: list })),
        pair("map".into(), Any::KvlistValue(KeyValueList { values: map })),
        pair("gen_ai.input.messages".into(), text(json)),
        pair("nested".into(), text(nested)),
    ]);
    span.events.push(span::Event {
        name: plant("eventname"),
        attributes: vec![pair("exception.message".into(), text(plant("event")))],
        ..span::Event::default()
    });
    span.links.push(span::Link {
        trace_id: vec![5; 16],
        span_id: vec![5; 8],
        attributes: vec![pair("why".into(), text(plant("link")))],
        ..span::Link::default()
    });
    let resource = Resource {
        attributes: vec![pair("service.name".into(), text(plant("service"))), pair("host.owner".into(), text(plant("resource")))],
        ..Resource::default()
    };
    let scope = InstrumentationScope {
        name: plant("scope"),
        version: plant("version"),
        attributes: vec![pair("by".into(), text(plant("scopeattribute")))],
        ..InstrumentationScope::default()
    };
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans: vec![span], ..ScopeSpans::default() }];
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { resource: Some(resource), scope_spans, ..ResourceSpans::default() }] }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_place_that_can_hold_text_is_looked_at() {
    let sink = Sink::start().await;
    let config = format!("exporters: {{ otlp_grpc: {{ endpoint: \"{}\" }} }}\n", sink.url());
    let stage = Stage::start(&config).await;
    let mut planted = Vec::new();
    let body = planted_everywhere(&mut planted).encode_to_vec();
    assert_eq!(stage.client.export(Signal::Traces, &body).await.code, 0);
    sink.wait_for(Signal::Traces, Via::Grpc, 1).await;
    let metrics = stage.page("/metrics").await.1;
    let decision = stage.page(&format!("/api/decisions/{}", sink.spans()[0].0)).await.1;
    let doors = [("gRPC", sink.got()[0].body.to_vec()), ("/metrics", metrics.into_bytes()), ("/api/decisions", decision.into_bytes())];
    let mut leaks = Vec::new();
    for (door, content) in &doors {
        let may_stand = |value: &str| *door == "gRPC" && LEFT.iter().any(|place| value.contains(&format!(".{place}@")));
        for value in planted.iter().filter(|value| !may_stand(value)) {
            for form in [value.clone(), value.replace('@', "%40")] {
                if memchr::memmem::find(content, form.as_bytes()).is_some() {
                    leaks.push(format!("{door}: {form}"));
                }
            }
        }
    }
    assert!(leaks.is_empty(), "{leaks:?}");
    stage.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_attributes_and_chunks_are_looked_at_where_that_is_asked_for() {
    let sink = Sink::start().await;
    let config = format!(
        "processors: {{ redaction: {{ scan_attribute_names: true, join_deltas: true }} }}\nexporters: {{ otlp_grpc: {{ endpoint: \"{}\" }} }}\n",
        sink.url()
    );
    let stage = Stage::start(&config).await;
    let mut planted = Vec::new();
    let mut request = planted_everywhere(&mut planted);
    let address = "canary.chunked@example.com";
    let chunk = |text: &str| span::Event {
        name: "gen_ai.content.delta".into(),
        attributes: vec![KeyValue {
            key: "delta".into(),
            value: Some(AnyValue { value: Some(Any::StringValue(text.into())) }),
            ..KeyValue::default()
        }],
        ..span::Event::default()
    };
    let span = &mut request.resource_spans[0].scope_spans[0].spans[0];
    span.events.extend([chunk(&format!("mail {}", &address[..13])), chunk(&address[13..])]);
    assert_eq!(stage.client.export(Signal::Traces, &request.encode_to_vec()).await.code, 0);
    sink.wait_for(Signal::Traces, Via::Grpc, 1).await;
    let got = sink.got()[0].body.to_vec();
    let has = |text: &str| memchr::memmem::find(&got, text.as_bytes()).is_some();
    assert!(!has("canary.key@") && !has(&address[..13]) && !has("@example.com]"), "a name or a chunk left");
    assert!(has("tollgate.redaction.count") && has("tollgate.redaction.types") && has("EMAIL:"));
    stage.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_leave_is_dropped_and_the_books_say_so() {
    let sink = Sink::start().await;
    let config = format!(
        "processors: {{ tail_sampling: {{ enabled: false }}, redaction: {{ entities: {{ EMAIL: drop_span, US_SSN: drop_attribute }} }} }}\nexporters: {{ otlp_grpc: {{ endpoint: \"{}\" }} }}\n",
        sink.url()
    );
    let stage = Stage::start(&config).await;
    let attribute = |key: &str, value: &str| KeyValue {
        key: key.into(),
        value: Some(AnyValue { value: Some(Any::StringValue(value.into())) }),
        ..KeyValue::default()
    };
    let mut spans = vec![lone("to bob@example.com"), lone("stays")];
    spans[1].attributes.extend([attribute("prompt", "my ssn is 178-05-1120"), attribute("other", "fine")]);
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let request = ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }] };
    assert_eq!(stage.client.export(Signal::Traces, &request.encode_to_vec()).await.code, 0);
    sink.wait_for(Signal::Traces, Via::Grpc, 1).await;
    let item = &sink.items(Signal::Traces, Via::Grpc)[0];
    let span = Span::decode(&item.body[..]).expect("a span");
    let keys: Vec<&str> = span.attributes.iter().map(|pair| pair.key.as_str()).collect();
    assert!(span.name == "stays" && keys.contains(&"other") && !keys.contains(&"prompt"), "{keys:?}");
    assert!(stage.metric("tollgate_redact_blocked_spans_total", &[]) == 1.0);
    assert!(stage.metric("tollgate_redact_findings_total", &[("type", "EMAIL"), ("action", "drop_span")]) == 1.0);
    stage.finish().await;
}
