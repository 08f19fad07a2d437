//! What a span says about a failure, gathered from its attributes and its exception events.

use crate::enrich::errors::{Evidence, GrpcCode};
use crate::enrich::finish::{Finish, Reasons};
use crate::enrich::keys::Key;
use crate::enrich::kind::Kind;
use crate::enrich::scan::{Attributes, plain};
use crate::enrich::sets::Keys;
use crate::otlp::span::{Any, SpanView, StatusCode};
use std::borrow::Cow;

/// Keys that say of a span of any kind that it failed.
pub(crate) const FAILURES: Keys = Keys::of(&[Key::ErrorType, Key::ErrorHttpStatus]);

/// Every key that may say that a span failed, or speak of it.
const SIGNS: Keys = FAILURES.and(Keys::of(&[
    Key::LangfuseObservationLevel,
    Key::GenAiResponseStatus,
    Key::ToolSuccess,
    Key::HttpResponseStatusCode,
    Key::HttpStatusCode,
    Key::ExceptionType,
    Key::ErrorClass,
    Key::GenAiFrameworkErrorClass,
    Key::ErrorCode,
]));

/// Whether a span that belongs to no vocabulary can be an error; a first look that costs nothing.
pub(crate) fn may_fail(attributes: &Attributes<'_, '_>, view: &SpanView<'_>) -> bool {
    view.status == StatusCode::Error || attributes.has_any(&FAILURES)
}

/// Whether nothing on a span says that anything went wrong. Most spans are like that, and their evidence need not be gathered.
pub(crate) fn is_quiet(attributes: &Attributes<'_, '_>, view: &SpanView<'_>, finish: Reasons) -> bool {
    view.status != StatusCode::Error && !attributes.has_any(&SIGNS) && !attributes.has_events() && finish.worst() != Some(Finish::Error)
}

/// Gathers the evidence of one span. `finish` and `has_output` are what was found out about its answer.
pub(crate) fn gather<'a>(
    attributes: &Attributes<'_, 'a>,
    view: &SpanView<'a>,
    kind: Kind,
    provider: Option<&'a str>,
    finish: Reasons,
    has_output: bool,
) -> Evidence<'a> {
    if is_quiet(attributes, view, finish) {
        return Evidence { genai: kind != Kind::None, priced: kind.is_priced(), has_output, finish, provider, ..Evidence::default() };
    }
    let status = |key: Key| status(attributes.any(key));
    let name = |key: Key| attributes.name(key);
    let is = |key: Key, value: &str| name(key).is_some_and(|text| text.eq_ignore_ascii_case(value));
    let mut evidence = Evidence {
        status_error: view.status == StatusCode::Error,
        level_error: is(Key::LangfuseObservationLevel, "ERROR"),
        response_failed: is(Key::GenAiResponseStatus, "failed"),
        tool_failed: attributes.flag(Key::ToolSuccess) == Some(false),
        exception_event: false,
        genai: kind != Kind::None,
        priced: kind.is_priced(),
        has_output,
        finish,
        retryable: [Key::HttpResponseHeaderXShouldRetry, Key::ErrorRetryable, Key::ErrorIsRetryable, Key::AiErrorIsRetryable]
            .into_iter()
            .find_map(|key| retry_flag(attributes, key)),
        error_http_status: status(Key::ErrorHttpStatus),
        http_status: status(Key::HttpResponseStatusCode).or_else(|| status(Key::HttpStatusCode)),
        other_status: status(Key::StatusCode).or_else(|| status(Key::ErrorStatusCode)),
        grpc: grpc(attributes),
        error_type: code(attributes.any(Key::ErrorType)),
        error_code: code(attributes.any(Key::ErrorCode)),
        exception_type: name(Key::ExceptionType),
        error_class: name(Key::ErrorClass).or_else(|| name(Key::GenAiFrameworkErrorClass)),
        exception_message: attributes.text(Key::ExceptionMessage),
        error_message: attributes.text(Key::ErrorMessage),
        status_message: std::str::from_utf8(view.status_message).ok().filter(|text| !text.trim().is_empty()),
        level_message: attributes.text(Key::LangfuseObservationStatusMessage),
        error_text: attributes.text(Key::Error).filter(|text| !matches!(text.trim(), "true" | "false" | "True" | "False")),
        provider: provider.or_else(|| name(Key::ErrorLlmProvider)),
    };
    // Of several attempts the last one counts.
    let last = attributes.events().rev().find(|event| matches!(event.name, b"exception" | b"gen_ai.client.operation.exception"));
    if let Some(event) = last {
        evidence.exception_event = true;
        for attribute in event.attributes() {
            let text = attribute.any().as_str().filter(|text| !text.trim().is_empty());
            match attribute.key {
                b"exception.type" => evidence.exception_type = text.or(evidence.exception_type),
                b"exception.message" => evidence.exception_message = text.or(evidence.exception_message),
                _ => {}
            }
        }
    }
    evidence
}

/// A list of one value or a value: an HTTP header arrives as an array.
fn retry_flag(attributes: &Attributes<'_, '_>, key: Key) -> Option<bool> {
    attributes.flag(key).or_else(|| attributes.any(key).elements().next()?.as_str().and_then(crate::enrich::number::flag))
}

fn status(value: Any<'_>) -> Option<u16> {
    match value {
        Any::Int(n) => u16::try_from(n).ok(),
        Any::Double(n) if n.fract() == 0.0 && (100.0..1000.0).contains(&n) => Some(n as u16),
        Any::Str(text) => plain(text)?.parse().ok(),
        _ => None,
    }
}

fn code<'a>(value: Any<'a>) -> Option<Cow<'a, str>> {
    match value {
        Any::Str(text) => plain(text).map(Cow::Borrowed),
        Any::Int(n) => Some(Cow::Owned(n.to_string())),
        Any::Double(n) if n.fract() == 0.0 && n.abs() < 1e9 => Some(Cow::Owned((n as i64).to_string())),
        _ => None,
    }
}

fn grpc(attributes: &Attributes<'_, '_>) -> Option<GrpcCode> {
    let of = |value: Any<'_>| match value {
        Any::Int(n) => GrpcCode::from_number(n),
        Any::Str(text) => {
            plain(text).and_then(|text| text.parse().ok().and_then(GrpcCode::from_number).or_else(|| GrpcCode::from_name(text)))
        }
        _ => None,
    };
    of(attributes.any(Key::RpcGrpcStatusCode)).or_else(|| of(attributes.any(Key::RpcResponseStatusCode)))
}
