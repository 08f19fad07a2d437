//! What a backend answers: `Export*ServiceResponse` of any signal, and `google.rpc.Status`, in either encoding.
//!
//! Bodies come from outside: they are read up to a limit, and what cannot be understood is taken as empty, because the status line
//! has said the essential already.

use crate::forward::verdict::Message;
use crate::otlp::wire::{Fields, Value, len_fields};

/// The most bytes of an answer that are read; OTLP allows 4 MiB, and no honest answer has them.
pub(super) const LIMIT: usize = 1 << 20;

/// Rejected items and the message of `partial_success`, which has the same fields for every signal.
pub(super) fn partial_success(body: &[u8]) -> (u64, Message) {
    let (mut rejected, mut message) = (0, Message::default());
    for partial in len_fields(body, 1) {
        for field in Fields::new(partial) {
            match (field.number, field.value) {
                // Negative numbers make no sense and count as none.
                (1, Value::Varint(n)) => rejected = u64::try_from(n as i64).unwrap_or(0),
                (2, Value::Len(text)) => message = Message::new(&String::from_utf8_lossy(text)),
                _ => {}
            }
        }
    }
    (rejected, message)
}

/// The same from OTLP/JSON.
pub(super) fn partial_success_json(body: &[u8]) -> (u64, Message) {
    let Ok(answer) = serde_json::from_slice::<serde_json::Value>(body) else { return (0, Message::default()) };
    let partial = &answer["partialSuccess"];
    let number = |value: &serde_json::Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
    let rejected = ["rejectedSpans", "rejectedLogRecords", "rejectedDataPoints"].iter().find_map(|key| number(&partial[*key]));
    (rejected.unwrap_or(0), Message::new(partial["errorMessage"].as_str().unwrap_or_default()))
}

/// The message of an error body of that content type.
pub(super) fn error_message(content_type: &str, body: &[u8]) -> Message {
    if content_type.contains("protobuf") {
        let text = len_fields(body, 2).last().unwrap_or_default();
        return Message::new(&String::from_utf8_lossy(text));
    }
    if content_type.contains("json") {
        let answer = serde_json::from_slice::<serde_json::Value>(body).unwrap_or_default();
        let text = ["message", "error"].iter().find_map(|key| answer[*key].as_str());
        return Message::new(text.unwrap_or_default());
    }
    // A page of HTML says nothing in two hundred characters.
    if content_type.contains("text/plain") { Message::new(&String::from_utf8_lossy(body)) } else { Message::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
    use prost::Message as _;

    fn response(rejected_spans: i64) -> Vec<u8> {
        let partial_success = Some(ExportTracePartialSuccess { rejected_spans, error_message: "no".into() });
        ExportTraceServiceResponse { partial_success }.encode_to_vec()
    }

    #[test]
    fn partial_success_is_read_in_both_encodings() {
        assert_eq!(partial_success(&response(3)), (3, Message::new("no")));
        assert_eq!(partial_success_json(br#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"no"}}"#), (3, Message::new("no")));
        assert_eq!(partial_success_json(br#"{"partialSuccess":{"rejectedLogRecords":2}}"#).0, 2);
    }

    #[test]
    fn nonsense_is_full_success() {
        assert_eq!(partial_success(&response(-1)).0, 0);
        for body in [&b""[..], b"\xff\xff\xff", b"<html>", b"{}", b"[]", b"{\"partialSuccess\":null}"] {
            assert_eq!(partial_success(body).0, 0);
            assert_eq!(partial_success_json(body), (0, Message::default()));
        }
    }

    #[test]
    fn an_error_body_gives_its_message() {
        let status = tonic_types::Status { code: 3, message: "bad span".into(), details: vec![] }.encode_to_vec();
        assert_eq!(error_message("application/x-protobuf", &status).as_str(), "bad span");
        assert_eq!(error_message("application/json", br#"{"code":3,"message":"bad span"}"#).as_str(), "bad span");
        assert!(error_message("text/html", b"<html>").is_empty());
        assert!(error_message("application/json", b"[1").is_empty());
    }
}
