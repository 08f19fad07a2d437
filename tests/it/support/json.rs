//! OTLP/JSON of traces, read by hand: what a sender meant, to compare with what arrived in protobuf.

use crate::support::wire::Item;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{Span, Status, span};
use prost::Message as _;
use serde_json::Value;

/// Every span of a request with its resource and scope, as text that is equal where the meaning is.
pub(crate) fn spans(request: &[u8]) -> Vec<String> {
    let request: Value = serde_json::from_slice(request).expect("JSON");
    let mut out = Vec::new();
    for resource_spans in list(&request["resourceSpans"]) {
        let at = &resource_spans["resource"];
        let resource =
            Resource { attributes: attributes(at), dropped_attributes_count: number(&at["droppedAttributesCount"]), ..Resource::default() };
        for scope_spans in list(&resource_spans["scopeSpans"]) {
            let at = &scope_spans["scope"];
            let scope = InstrumentationScope {
                name: text(&at["name"]),
                version: text(&at["version"]),
                attributes: attributes(at),
                dropped_attributes_count: number(&at["droppedAttributesCount"]),
            };
            out.extend(list(&scope_spans["spans"]).iter().map(|at| meaning(&resource, &scope, &span_of(at))));
        }
    }
    out
}

/// Every span of a request by itself.
pub(crate) fn decoded(request: &[u8]) -> Vec<Span> {
    let request: Value = serde_json::from_slice(request).expect("JSON");
    let scopes = list(&request["resourceSpans"]).iter().flat_map(|resource| list(&resource["scopeSpans"]));
    scopes.flat_map(|scope| list(&scope["spans"])).map(span_of).collect()
}

/// The same of a span that arrived.
pub(crate) fn of_item(item: &Item) -> String {
    let around = |fields: &[Vec<u8>]| fields.iter().find(|field| field[0] == 0x0a).map(|field| super::wire::fields(field)[0].2.to_vec());
    let resource = Resource::decode(&around(&item.resource).unwrap_or_default()[..]).expect("a resource");
    let scope = InstrumentationScope::decode(&around(&item.scope).unwrap_or_default()[..]).expect("a scope");
    meaning(&resource, &scope, &Span::decode(&item.body[..]).expect("a span"))
}

fn meaning(resource: &Resource, scope: &InstrumentationScope, span: &Span) -> String {
    let mut span = span.clone();
    // A status of zeros says as much as none.
    span.status = span.status.filter(|status| *status != Status::default());
    format!("{span:?} {resource:?} {scope:?}")
}

fn span_of(at: &Value) -> Span {
    let event = |at: &Value| span::Event {
        time_unix_nano: number(&at["timeUnixNano"]),
        name: text(&at["name"]),
        attributes: attributes(at),
        dropped_attributes_count: number(&at["droppedAttributesCount"]),
    };
    let link = |at: &Value| span::Link {
        trace_id: bytes(&at["traceId"]),
        span_id: bytes(&at["spanId"]),
        trace_state: text(&at["traceState"]),
        attributes: attributes(at),
        dropped_attributes_count: number(&at["droppedAttributesCount"]),
        flags: number(&at["flags"]),
    };
    Span {
        trace_id: bytes(&at["traceId"]),
        span_id: bytes(&at["spanId"]),
        trace_state: text(&at["traceState"]),
        parent_span_id: bytes(&at["parentSpanId"]),
        flags: number(&at["flags"]),
        name: text(&at["name"]),
        kind: number(&at["kind"]),
        start_time_unix_nano: number(&at["startTimeUnixNano"]),
        end_time_unix_nano: number(&at["endTimeUnixNano"]),
        attributes: attributes(at),
        dropped_attributes_count: number(&at["droppedAttributesCount"]),
        events: list(&at["events"]).iter().map(event).collect(),
        dropped_events_count: number(&at["droppedEventsCount"]),
        links: list(&at["links"]).iter().map(link).collect(),
        dropped_links_count: number(&at["droppedLinksCount"]),
        status: Some(Status { message: text(&at["status"]["message"]), code: number(&at["status"]["code"]) }),
    }
}

fn attributes(at: &Value) -> Vec<KeyValue> {
    let pair = |at: &Value| KeyValue { key: text(&at["key"]), value: at.get("value").map(value), ..KeyValue::default() };
    list(&at["attributes"]).iter().map(pair).collect()
}

fn value(at: &Value) -> AnyValue {
    let entry = at.as_object().and_then(|members| members.iter().next());
    let value = entry.map(|(kind, at)| match kind.as_str() {
        "stringValue" => Any::StringValue(text(at)),
        "boolValue" => Any::BoolValue(at.as_bool().expect("true or false")),
        "intValue" => Any::IntValue(number(at)),
        "doubleValue" => Any::DoubleValue(at.as_f64().expect("a number")),
        "arrayValue" => Any::ArrayValue(ArrayValue { values: list(&at["values"]).iter().map(value).collect() }),
        "kvlistValue" => Any::KvlistValue(KeyValueList { values: attributes(&serde_json::json!({ "attributes": at["values"] })) }),
        other => panic!("a value of kind {other}"),
    });
    AnyValue { value }
}

fn list(at: &Value) -> &[Value] {
    at.as_array().map_or(&[], Vec::as_slice)
}

fn text(at: &Value) -> String {
    at.as_str().unwrap_or_default().to_owned()
}

/// A number, or a text that is one; absent is 0.
fn number<T: std::str::FromStr + Default>(at: &Value) -> T {
    let digits = at.as_str().map_or_else(|| at.to_string(), str::to_owned);
    if at.is_null() { T::default() } else { digits.parse().unwrap_or_else(|_| panic!("{digits} is no such number")) }
}

fn bytes(at: &Value) -> Vec<u8> {
    let hex = text(at);
    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).expect("hex")).collect()
}
