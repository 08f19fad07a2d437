//! The vectors of the taxonomy, by their numbers.

use super::*;

/// One vector: its evidence, and class, reason and source that it must have.
type Vector<'a> = (u8, Evidence<'a>, Class, Reason, Option<Source>);

fn vectors<'a>() -> Vec<Vector<'a>> {
    use Class::{Permanent, Transient, Unknown};
    let quota = "Error code: 429 - {'error': {'message': 'You exceeded your current quota...', 'type': 'insufficient_quota', 'code': 'insufficient_quota'}}";
    let throttled = "An error occurred (ThrottlingException) when calling the Converse operation (reached max retries: 4): Too many tokens, please wait before trying again.";
    let long = "An error occurred (ValidationException) when calling the Converse operation: Input is too long for requested model.";
    let echoed = "Error code: 400 - {'error': {'type':'invalid_request_error','message':\"messages.0: text 'I got a rate limit 429'\"}}";
    let status = |status| Evidence { error_http_status: Some(status), ..error() };
    vec![
        (1, typed("RateLimitError", quota), Permanent, Reason::QuotaExhausted, Some(Source::ProviderCode)),
        (
            2,
            typed("RateLimitError", "Error code: 429 - {'error': {'type': 'tokens', 'code': 'rate_limit_exceeded'}}"),
            Transient,
            Reason::RateLimit,
            Some(Source::ProviderCode),
        ),
        (
            3,
            thrown("Error", r#"529 {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#),
            Transient,
            Reason::Overloaded,
            Some(Source::ProviderCode),
        ),
        (
            4,
            thrown("ClientError", "429 RESOURCE_EXHAUSTED. {'quotaId': 'GenerateRequestsPerDayPerProjectPerModel'}"),
            Permanent,
            Reason::QuotaExhausted,
            None,
        ),
        (5, thrown("ThrottlingException", throttled), Transient, Reason::RateLimit, None),
        (6, thrown("ValidationException", long), Permanent, Reason::ContextLength, None),
        (7, typed("409", ""), Transient, Reason::Timeout, Some(Source::HttpStatus)),
        (8, thrown("asyncio.exceptions.CancelledError", ""), Permanent, Reason::Cancelled, Some(Source::Exception)),
        (
            9,
            Evidence {
                error_code: Some("500".into()),
                provider: Some("openai"),
                ..thrown("APIConnectionError", "litellm.APIConnectionError: no")
            },
            Transient,
            Reason::Connection,
            None,
        ),
        (10, Evidence { provider: Some("groq"), ..status(498) }, Transient, Reason::Overloaded, Some(Source::HttpStatus)),
        (10, Evidence { provider: Some("cohere"), ..status(498) }, Permanent, Reason::Authentication, Some(Source::HttpStatus)),
        (12, Evidence { status_error: false, ..thrown("RateLimitError", "") }, Transient, Reason::RateLimit, Some(Source::Exception)),
        (13, error(), Unknown, Reason::Unknown, None),
        (
            14,
            typed("<class 'openai.RateLimitError'>", "Error code: 429 - Rate limit reached ..."),
            Transient,
            Reason::RateLimit,
            Some(Source::Exception),
        ),
        (
            15,
            Evidence { http_status: Some(200), ..typed("overloaded_error", "") },
            Transient,
            Reason::Overloaded,
            Some(Source::ProviderCode),
        ),
        (16, Evidence { exception_message: Some("The operation was aborted due to timeout"), ..error() }, Transient, Reason::Timeout, None),
        (17, typed("404", "{'error': {'type': 'invalid_request_error'}}"), Permanent, Reason::NotFound, None),
        (17, typed("NotFoundError", "{'error': {'type': 'invalid_request_error'}}"), Permanent, Reason::NotFound, None),
        (18, thrown("langchain_anthropic.chat_models.AnthropicContextOverflowError", ""), Permanent, Reason::ContextLength, None),
        (
            19,
            typed("BadRequestError", "The response was filtered due to the prompt triggering content management policy."),
            Permanent,
            Reason::ContentPolicy,
            Some(Source::Message),
        ),
        (20, Evidence { error_code: Some("in_flight_budget_exhausted".into()), ..status(402) }, Transient, Reason::RateLimit, None),
        (
            21,
            Evidence {
                provider: Some("together_ai"),
                ..typed("PermissionDeniedError", "This model's maximum context length is 8193 tokens")
            },
            Permanent,
            Reason::ContextLength,
            Some(Source::Message),
        ),
        (22, Evidence { retryable: Some(false), ..answered(503) }, Permanent, Reason::Overloaded, Some(Source::RetryFlag)),
        (23, typed("timeout", ""), Transient, Reason::Timeout, Some(Source::ProviderCode)),
        (24, said(echoed), Permanent, Reason::InvalidRequest, None),
    ]
}

#[test]
fn each_vector_has_its_class_its_reason_and_where_told_its_source() {
    for (number, evidence, class, reason, source) in vectors() {
        let got = fact(&evidence);
        assert_eq!((got.class, got.reason), (class, reason), "vector {number}: {got:?}");
        assert!(source.is_none() || source == got.source, "vector {number}: {got:?}");
    }
}

#[test]
fn vector_11_an_exception_on_the_way_to_an_answer_is_no_error() {
    let mut finish = Reasons::default();
    finish.read("stop");
    let recovered = Evidence { status_error: false, finish, ..thrown("RateLimitError", "") };
    assert_eq!((recovered.standing(), classify(&recovered, &Rules::default())), (Standing::Recovered, None));
}
