//! What the path of one shard makes of spans: everything is kept, redaction is off, nothing is sent.

use super::build::text;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;
use std::collections::BTreeMap;
use std::time::Instant;
use tollgate::config::load_text;
use tollgate::enrich::{LlmFacts, Observer, Shared, SpanFacts};
use tollgate::otlp::signal::Signal;
use tollgate::pipeline::{Common, LabelRules, Path, Plan};
use tollgate::telemetry::Telemetry;

/// 2026-11-12T09:30:00Z, when every model of the examples was on sale.
pub(crate) const START: u64 = 1_794_475_800_000_000_000;

/// What was found out about one span.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Saw {
    pub(crate) kind: &'static str,
    pub(crate) role: Option<&'static str>,
    pub(crate) counted: bool,
    pub(crate) provider: Option<String>,
    pub(crate) input: u64,
    pub(crate) uncached: u64,
    pub(crate) output: u64,
    pub(crate) cost: Option<String>,
    pub(crate) finish: Option<&'static str>,
    pub(crate) truncated: Option<bool>,
    pub(crate) error: Option<String>,
    pub(crate) first_token: Option<f64>,
}

#[derive(Default)]
struct Log(Vec<Saw>);

impl Observer for Log {
    fn span(&mut self, _: &SpanFacts, llm: Option<&LlmFacts<'_>>) {
        self.0.push(llm.map_or(Saw { kind: "none", ..Saw::default() }, |llm| Saw {
            kind: llm.kind.as_str(),
            role: llm.role.map(|role| role.as_str()),
            counted: llm.counted,
            provider: llm.provider.map(str::to_owned),
            input: llm.usage.map_or(0, |usage| usage.input_total()),
            uncached: llm.usage.map_or(0, |usage| usage.input_uncached),
            output: llm.usage.map_or(0, |usage| usage.output),
            cost: llm.cost.map(|cost| cost.total.to_string()),
            finish: llm.finish.map(|finish| finish.as_str()),
            truncated: llm.truncated,
            error: llm.error.map(|error| format!("{}/{}", error.class.as_str(), error.reason.as_str())),
            first_token: llm.time_to_first_token,
        }));
    }
}

/// One path, and all that it said.
pub(crate) struct Desk {
    path: Path,
    telemetry: Telemetry,
}

impl Desk {
    /// With a section `processors.enrich`, as YAML in braces.
    pub(crate) fn new(enrich: &str) -> Desk {
        let yaml = format!("processors: {{ enrich: {enrich}, tail_sampling: {{ enabled: false }}, redaction: {{ enabled: false }} }}");
        let file = load_text("config.yaml", &yaml).unwrap_or_else(|problems| panic!("{problems}"));
        let plan = Plan::compile(&file.processors, std::path::Path::new("")).unwrap_or_else(|problems| panic!("{problems:?}"));
        let telemetry = Telemetry::new(1 << 30);
        let common = Common { telemetry: telemetry.clone(), enrich: Shared::default(), labels: LabelRules::default(), paths: 1 };
        Desk { path: Path::new(&plan, &common, Instant::now()), telemetry }
    }

    /// One request; each list of spans under a scope of its own. What was seen, in the order sent, and what leaves, by span id.
    pub(crate) fn send(&mut self, scopes: Vec<(&str, Vec<Span>)>) -> (Vec<Saw>, BTreeMap<Vec<u8>, Span>) {
        let scope = |name: &str| Some(InstrumentationScope { name: name.to_owned(), ..InstrumentationScope::default() });
        let resource = Resource { attributes: vec![pair("service.name", text("shop"))], ..Resource::default() };
        let scope_spans =
            scopes.into_iter().map(|(name, spans)| ScopeSpans { scope: scope(name), spans, ..ScopeSpans::default() }).collect();
        let resource_spans = vec![ResourceSpans { resource: Some(resource), scope_spans, ..ResourceSpans::default() }];
        let body = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
        let opened = tollgate::receive::open(Signal::Traces, body.into(), None, Instant::now()).expect("a valid request");
        let mut log = Log::default();
        let step = self.path.process(opened.whole(), Instant::now(), &mut log);
        let items = step.batches.iter().flat_map(|batch| batch.items().map(|item| [item.body, item.extra].concat()).collect::<Vec<_>>());
        let spans = items.map(|item| Span::decode(&*item).expect("a span")).map(|span| (span.span_id.clone(), span));
        (log.0, spans.collect())
    }

    /// What is in `/metrics`.
    pub(crate) fn metrics(&self) -> String {
        self.telemetry.metrics.render()
    }
}

/// One span, alone in its request: what was seen, and its attributes as it leaves.
pub(crate) fn alone(enrich: &str, scope: &str, span: Span) -> (Saw, BTreeMap<String, Value>) {
    let (mut saw, spans) = Desk::new(enrich).send(vec![(scope, vec![span])]);
    let span = spans.into_values().next().expect("it leaves");
    (saw.remove(0), attributes(&span))
}

/// The attributes of a span; each key may stand once.
pub(crate) fn attributes(span: &Span) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    for pair in &span.attributes {
        let value = pair.value.clone().and_then(|value| value.value).unwrap_or(Value::BoolValue(false));
        assert!(all.insert(pair.key.clone(), value).is_none(), "{} stands twice", pair.key);
    }
    all
}

pub(crate) fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

pub(crate) fn s(key: &str, value: &str) -> KeyValue {
    pair(key, text(value))
}

pub(crate) fn i(key: &str, value: i64) -> KeyValue {
    pair(key, Value::IntValue(value))
}

pub(crate) fn d(key: &str, value: f64) -> KeyValue {
    pair(key, Value::DoubleValue(value))
}

/// A span of two seconds; parent 0 is none.
pub(crate) fn span(id: u8, parent: u8, attributes: Vec<KeyValue>) -> Span {
    Span {
        trace_id: vec![7; 16],
        span_id: vec![id; 8],
        parent_span_id: if parent == 0 { Vec::new() } else { vec![parent; 8] },
        name: "a span".to_owned(),
        kind: 1,
        start_time_unix_nano: START,
        end_time_unix_nano: START + 2_000_000_000 - u64::from(id),
        attributes,
        ..Span::default()
    }
}
