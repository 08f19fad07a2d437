//! The whole of enrichment, on spans built here.

mod added;
mod cost;
mod counted;
mod endings;
mod kinds;
mod leaving;
mod ownership;
mod random;

use super::*;
use crate::enrich::config::{Fill, Normalize, Profile, Tokens};
use crate::units::Usd;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::Event;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// 2026-11-12T09:30:00Z, when every model of the examples was on sale.
const START: u64 = 1_794_475_800_000_000_000;

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn s(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.into()))
}

fn i(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

fn span(id: u8, parent: u8, attributes: Vec<KeyValue>) -> Span {
    Span {
        trace_id: vec![7; 16],
        span_id: vec![id; 8],
        parent_span_id: if parent == 0 { Vec::new() } else { vec![parent; 8] },
        name: "a span".into(),
        kind: 1,
        start_time_unix_nano: START,
        end_time_unix_nano: START + 2_000_000_000 - u64::from(id),
        attributes,
        ..Span::default()
    }
}

fn chat(id: u8, parent: u8) -> Span {
    span(
        id,
        parent,
        vec![
            s("gen_ai.operation.name", "chat"),
            s("gen_ai.provider.name", "anthropic"),
            s("gen_ai.request.model", "claude-haiku-4-5"),
            i("gen_ai.usage.input_tokens", 1840),
            i("gen_ai.usage.output_tokens", 362),
        ],
    )
}

fn error(mut span: Span, message: &str) -> Span {
    span.status = Some(Status { code: 2, message: message.into() });
    span
}

/// What an observer saw of one span, owned.
#[derive(Clone, Debug, Default, PartialEq)]
struct Saw {
    kind: &'static str,
    role: Option<&'static str>,
    counted: bool,
    cost: Option<String>,
    skip: Option<&'static str>,
    truncated: Option<bool>,
    finish: Option<&'static str>,
    error: Option<String>,
    input: u64,
    user: Option<String>,
}

#[derive(Default)]
struct Log(Vec<(SpanFacts, Saw)>);

impl Observer for Log {
    fn span(&mut self, facts: &SpanFacts, llm: Option<&LlmFacts<'_>>) {
        let saw = llm.map_or(Saw { kind: "none", ..Saw::default() }, |llm| Saw {
            kind: llm.kind.as_str(),
            role: llm.role.map(Role::as_str),
            counted: llm.counted,
            cost: llm.cost.map(|c| c.total.to_string()),
            skip: llm.skip_reason.map(Skip::as_str),
            truncated: llm.truncated,
            finish: llm.finish.map(|f| f.as_str()),
            error: llm.error.map(|e| format!("{}/{}", e.class.as_str(), e.reason.as_str())),
            input: llm.usage.map_or(0, |u| u.input_total()),
            user: llm.user.map(str::to_owned),
        });
        self.0.push((*facts, saw));
    }
}

struct Stage {
    telemetry: Telemetry,
    enrich: Enrich,
    log: Log,
}

impl Stage {
    fn new(config: &EnrichConfig) -> Stage {
        let telemetry = Telemetry::new(1 << 30);
        let filter: LabelFilter = Arc::new(|name| Cow::Borrowed(name));
        let enrich = Enrich::new(config, PriceTable::bundled(), &telemetry, &Shared::default(), filter);
        Stage { telemetry, enrich, log: Log::default() }
    }

    /// One request; each list of spans under a scope of its own.
    fn apply(&mut self, scopes: Vec<(&str, Vec<Span>)>) -> Vec<(Item, SpanFacts)> {
        let scope = |name: &str| Some(InstrumentationScope { name: name.into(), ..InstrumentationScope::default() });
        let request = ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(Resource { attributes: vec![s("service.name", "shop")], ..Resource::default() }),
                scope_spans: scopes
                    .into_iter()
                    .map(|(name, spans)| ScopeSpans { scope: scope(name), spans, ..ScopeSpans::default() })
                    .collect(),
                ..ResourceSpans::default()
            }],
        };
        let opened = crate::receive::open(Signal::Traces, request.encode_to_vec().into(), None, Instant::now()).unwrap();
        self.enrich.apply(opened.whole(), Instant::now(), &mut self.log).into_items().into_iter().collect()
    }

    /// What is added to spans that leave together.
    fn leave(&mut self, items: &[(Item, SpanFacts)]) -> Vec<Vec<u8>> {
        let items: Vec<Item> = items.iter().map(|(item, _)| item.clone()).collect();
        let complete = |at| {
            let mut out = Vec::new();
            self.enrich.complete(&items, at, &mut out);
            out
        };
        (0..items.len()).map(complete).collect()
    }
}

fn look_with(config: &EnrichConfig, scope: &str, spans: Vec<Span>) -> Vec<Saw> {
    let mut stage = Stage::new(config);
    stage.apply(vec![(scope, spans)]);
    stage.log.0.into_iter().map(|(_, saw)| saw).collect()
}

fn look(scope: &str, spans: Vec<Span>) -> Vec<Saw> {
    look_with(&EnrichConfig::default(), scope, spans)
}

fn kind(attributes: Vec<KeyValue>) -> &'static str {
    look("", vec![span(1, 0, attributes)])[0].kind
}

/// The attributes that were added to one span.
fn added(config: &EnrichConfig, span: Span) -> BTreeMap<String, Value> {
    let mut stage = Stage::new(config);
    let items = stage.apply(vec![("", vec![span])]);
    let left = stage.leave(&items);
    Span::decode(&left[0][..]).unwrap().attributes.into_iter().map(|a| (a.key, a.value.unwrap().value.unwrap())).collect()
}
