//! Spans: the messages of `trace.proto`, and the request that carries them.

use super::message::{message, named};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

message! {
    ExportTraceServiceRequest {
        "resourceSpans": messages resource_spans,
    }
}

message! {
    ResourceSpans {
        "resource": message resource,
        "scopeSpans": messages scope_spans,
        "schemaUrl": string schema_url,
    }
}

message! {
    ScopeSpans {
        "scope": message scope,
        "spans": messages spans,
        "schemaUrl": string schema_url,
    }
}

message! {
    Span {
        "traceId": trace_id trace_id,
        "spanId": span_id span_id,
        "traceState": string trace_state,
        "parentSpanId": span_id parent_span_id,
        "flags": u32 flags,
        "name": string name,
        "kind": number_of(SpanKind) kind,
        "startTimeUnixNano": u64 start_time_unix_nano,
        "endTimeUnixNano": u64 end_time_unix_nano,
        "attributes": messages attributes,
        "droppedAttributesCount": u32 dropped_attributes_count,
        "events": messages events,
        "droppedEventsCount": u32 dropped_events_count,
        "links": messages links,
        "droppedLinksCount": u32 dropped_links_count,
        "status": message status,
    }
}

message! {
    Event {
        "timeUnixNano": u64 time_unix_nano,
        "name": string name,
        "attributes": messages attributes,
        "droppedAttributesCount": u32 dropped_attributes_count,
    }
}

message! {
    Link {
        "traceId": trace_id trace_id,
        "spanId": span_id span_id,
        "traceState": string trace_state,
        "attributes": messages attributes,
        "droppedAttributesCount": u32 dropped_attributes_count,
        "flags": u32 flags,
    }
}

message! {
    Status {
        "message": string message,
        "code": number_of(StatusCode) code,
    }
}

named!(SpanKind: "the number or name of a span kind");
named!(StatusCode: "the number or name of a status code");
