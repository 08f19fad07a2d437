//! OTLP/JSON for the receivers, until the module that reads it is in this tree: answers are written, requests are refused.

use crate::otlp::signal::Signal;

/// Why a body is not OTLP/JSON.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("OTLP/JSON is not available in this build; send application/x-protobuf")]
pub(super) struct JsonError;

pub(super) fn to_protobuf(_signal: Signal, _body: &[u8]) -> Result<Vec<u8>, JsonError> {
    Err(JsonError)
}

pub(super) fn response(rejected: i64, message: &str, signal: Signal) -> String {
    let count = match signal {
        Signal::Traces => "rejectedSpans",
        Signal::Logs => "rejectedLogRecords",
        Signal::Metrics => "rejectedDataPoints",
    };
    if rejected == 0 && message.is_empty() {
        return "{}".to_owned();
    }
    serde_json::json!({ "partialSuccess": { count: rejected.to_string(), "errorMessage": message } }).to_string()
}

pub(super) fn status(code: i32, message: &str) -> String {
    serde_json::json!({ "code": code, "message": message }).to_string()
}
