//! Spans made up for a test.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

pub(crate) type TraceId = [u8; 16];

/// An id nobody else in this run has.
pub(crate) fn fresh() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A trace id nobody else in this run has. Its last 7 bytes, which a percentage looks at, are spread evenly.
pub(crate) fn trace_id() -> TraceId {
    let (number, mut id) = (fresh(), [7; 16]);
    id[..8].copy_from_slice(&number.to_be_bytes());
    id[8..].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    id
}

pub(crate) fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A span that began a second ago. Without a parent it is a root.
pub(crate) fn span(trace: TraceId, id: u64, parent: Option<u64>, name: &str) -> Span {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_nanos();
    let now = u64::try_from(now).expect("before 2500");
    Span {
        trace_id: trace.to_vec(),
        span_id: id.to_be_bytes().to_vec(),
        parent_span_id: parent.map_or_else(Vec::new, |id| id.to_be_bytes().to_vec()),
        name: name.to_owned(),
        kind: 1,
        start_time_unix_nano: now - 1_000_000_000,
        end_time_unix_nano: now - 980_000_000,
        ..Span::default()
    }
}

/// A whole trace of one ordinary span.
pub(crate) fn lone(name: &str) -> Span {
    span(trace_id(), fresh(), None, name)
}

pub(crate) fn failed(mut span: Span, message: &str) -> Span {
    span.status = Some(Status { code: 2, message: message.to_owned() });
    span
}

pub(crate) fn with(mut span: Span, attributes: &[(&str, Value)]) -> Span {
    span.attributes.extend(attributes.iter().map(|(key, value)| pair(key, value.clone())));
    span
}

/// A call of a model that the price list has.
pub(crate) fn llm_call(span: Span, finish: &str) -> Span {
    let id = format!("resp-{}", fresh());
    let finish = ArrayValue { values: vec![AnyValue { value: Some(text(finish)) }] };
    with(
        span,
        &[
            ("gen_ai.operation.name", text("chat")),
            ("gen_ai.provider.name", text("anthropic")),
            ("gen_ai.request.model", text("claude-haiku-4-5")),
            ("gen_ai.response.model", text("claude-haiku-4-5-20251001")),
            ("gen_ai.response.id", text(&id)),
            ("gen_ai.response.finish_reasons", Value::ArrayValue(finish)),
            ("gen_ai.usage.input_tokens", Value::IntValue(1840)),
            ("gen_ai.usage.output_tokens", Value::IntValue(362)),
        ],
    )
}

pub(crate) fn text(value: &str) -> Value {
    Value::StringValue(value.to_owned())
}

fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// An encoded request of these spans, from one resource and scope.
pub(crate) fn request(spans: Vec<Span>) -> Vec<u8> {
    let resource = Resource { attributes: vec![pair("service.name", text("shop"))], ..Resource::default() };
    let scope = InstrumentationScope { name: "tests".to_owned(), ..InstrumentationScope::default() };
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { resource: Some(resource), scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}
