//! Log records: the messages of `logs.proto`, and the request that carries them.

use super::message::{message, named};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};

message! {
    ExportLogsServiceRequest {
        "resourceLogs": messages resource_logs,
    }
}

message! {
    ResourceLogs {
        "resource": message resource,
        "scopeLogs": messages scope_logs,
        "schemaUrl": string schema_url,
    }
}

message! {
    ScopeLogs {
        "scope": message scope,
        "logRecords": messages log_records,
        "schemaUrl": string schema_url,
    }
}

message! {
    LogRecord {
        "timeUnixNano": u64 time_unix_nano,
        "observedTimeUnixNano": u64 observed_time_unix_nano,
        "severityNumber": number_of(SeverityNumber) severity_number,
        "severityText": string severity_text,
        "body": message body,
        "attributes": messages attributes,
        "droppedAttributesCount": u32 dropped_attributes_count,
        "flags": u32 flags,
        "traceId": trace_id trace_id,
        "spanId": span_id span_id,
        "eventName": string event_name,
    }
}

named!(SeverityNumber: "the number or name of a severity");
