//! OTLP/JSON, read and written.
//!
//! Inside, a request is protobuf. Browsers, Node and files speak OTLP/JSON, which is proto3 JSON with two
//! exceptions (ids are hex, enums are integers), and senders use all the freedom proto3 JSON gives them: `null`
//! for what is absent, `{}` for an empty list, `"NaN"`, numbers as strings and strings as numbers. One form not
//! understood costs its sender the whole request, so reading accepts every legal form and writing uses the
//! narrowest one.
//!
//! Reading goes from text to message structs in one pass, without a tree in between. Two limits bound what a
//! small hostile body can cost: how deep values nest, and how much larger than the body its structs may grow.
//!
//! Source: OTLP specification, "JSON Protobuf Encoding"; ProtoJSON format of protobuf.dev.

mod common;
mod logs;
mod message;
mod metrics;
mod read;
mod scalar;
mod traces;
mod write;

#[cfg(test)]
mod round_trip;
#[cfg(test)]
mod vectors;

pub use read::memory;

use crate::otlp::signal::Signal;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;

/// Why a body is not the OTLP request it should be.
///
/// Says where and what was expected, and never repeats what stood there: bodies carry prompts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// The bytes are no UTF-8 text.
    #[error("the JSON body is not UTF-8 from byte {at} on")]
    NotUtf8 {
        /// Offset in bytes of the first byte that is wrong.
        at: usize,
    },
    /// The text is not JSON, or nested deeper than the parser follows (127 objects and lists).
    #[error("{path}: not valid JSON: {problem}")]
    Syntax {
        /// Where in the request, as far as it could be read.
        path: String,
        /// What the parser met, with line and column.
        problem: String,
    },
    /// The JSON is fine, but a field holds something else than it may.
    #[error("{path}: expected {expected}")]
    Field {
        /// Where in the request: `resourceSpans[0].scopeSpans[0].spans[3].traceId`, or `request` for all of it.
        path: String,
        /// What may stand there.
        expected: &'static str,
    },
    /// The protobuf to be written as JSON cannot be decoded.
    #[error("not an OTLP request: {0}")]
    Protobuf(#[from] prost::DecodeError),
}

/// Turns an export request in OTLP/JSON into the same request in protobuf.
///
/// Unknown fields are ignored, of equal keys the last wins, and enum names are accepted although OTLP only allows
/// numbers. Values nested deeper than 32 are refused; where lists of key-value pairs are nested, the JSON parser's own
/// limit of 127 objects and lists comes earlier, at 29 of them in a span's attribute.
///
/// # Errors
///
/// Any [`JsonError`] but `Protobuf`.
pub fn to_protobuf(signal: Signal, body: &[u8]) -> Result<Vec<u8>, JsonError> {
    match signal {
        Signal::Traces => encode::<ExportTraceServiceRequest>(body),
        Signal::Logs => encode::<ExportLogsServiceRequest>(body),
        Signal::Metrics => encode::<ExportMetricsServiceRequest>(body),
    }
}

/// Writes an export request, given in protobuf, as OTLP/JSON on one line.
///
/// Fields this build does not know are left out: JSON has no name for them.
///
/// # Errors
///
/// `JsonError::Protobuf`, if `body` is no such request, or holds a string that is not UTF-8.
pub fn from_protobuf(signal: Signal, body: &[u8]) -> Result<String, JsonError> {
    Ok(match signal {
        Signal::Traces => write::document(&ExportTraceServiceRequest::decode(body)?),
        Signal::Logs => write::document(&ExportLogsServiceRequest::decode(body)?),
        Signal::Metrics => write::document(&ExportMetricsServiceRequest::decode(body)?),
    })
}

/// The body of a successful answer: `{}`, or `partialSuccess` if items were rejected or there is something to say.
pub fn response(rejected: i64, message: &str, signal: Signal) -> String {
    let count = match signal {
        Signal::Traces => "rejectedSpans",
        Signal::Logs => "rejectedLogRecords",
        Signal::Metrics => "rejectedDataPoints",
    };
    write::text(|response| {
        if rejected != 0 || !message.is_empty() {
            response.object("partialSuccess", |partial| {
                partial.int64(count, rejected);
                partial.string("errorMessage", message);
            });
        }
    })
}

/// The body of a refusal: a `google.rpc.Status` with a gRPC code.
pub fn status(code: i32, message: &str) -> String {
    write::text(|status| {
        status.int32("code", code);
        status.string("message", message);
    })
}

fn encode<T: read::Object + prost::Message>(body: &[u8]) -> Result<Vec<u8>, JsonError> {
    Ok(read::document::<T>(body)?.encode_to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_without_news_is_an_empty_object() {
        assert_eq!(response(0, "", Signal::Traces), "{}");
    }

    #[test]
    fn a_partial_success_counts_in_the_words_of_its_signal() {
        assert_eq!(response(3, "bad \"id\"", Signal::Traces), r#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"bad \"id\""}}"#);
        assert_eq!(response(1, "", Signal::Logs), r#"{"partialSuccess":{"rejectedLogRecords":"1"}}"#);
        assert_eq!(response(0, "slow down", Signal::Metrics), r#"{"partialSuccess":{"errorMessage":"slow down"}}"#);
        assert_eq!(response(2, "", Signal::Metrics), r#"{"partialSuccess":{"rejectedDataPoints":"2"}}"#);
    }

    #[test]
    fn a_status_has_code_and_message() {
        assert_eq!(status(3, "no\nspans"), r#"{"code":3,"message":"no\nspans"}"#);
        assert_eq!(status(0, ""), "{}");
    }
}
