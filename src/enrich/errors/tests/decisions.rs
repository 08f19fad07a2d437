//! The order of evidence, and the contradictions it settles.

use super::*;

#[test]
fn a_status_as_error_type_is_a_status() {
    means(&typed("409", ""), Reason::Timeout);
    means(&typed("404", "{'error': {'type': 'invalid_request_error'}}"), Reason::NotFound);
    means(&typed("429", ""), Reason::RateLimit);
    assert_eq!(fact(&typed("503", "")).source, Some(Source::HttpStatus));
}

#[test]
fn cancelled_is_cancelled_unless_a_clock_did_it() {
    means(&thrown("asyncio.exceptions.CancelledError", ""), Reason::Cancelled);
    means(&thrown("APIUserAbortError", "Request was aborted."), Reason::Cancelled);
    means(&thrown("Error", "Request was aborted."), Reason::Cancelled);
    means(&typed("context.Canceled", "context canceled"), Reason::Cancelled);
    means(&thrown("AbortError", "This operation was aborted"), Reason::Cancelled);
    means(&answered(499), Reason::Cancelled);
    means(&thrown("AbortError", "The operation was aborted due to timeout"), Reason::Timeout);
    means(&Evidence { exception_message: Some("The operation was aborted due to timeout"), ..error() }, Reason::Timeout);
    means(
        &thrown(
            "System.Threading.Tasks.TaskCanceledException",
            "The request was canceled due to the configured HttpClient.Timeout of 100 seconds elapsing.",
        ),
        Reason::Timeout,
    );
    let interrupted =
        "Request timed out or interrupted. This could be due to a network timeout, dropped connection, or request cancellation.";
    means(&thrown("anthropic.APITimeoutError", interrupted), Reason::Timeout);
    means(&said(interrupted), Reason::Timeout);
}

#[test]
fn an_exception_beside_an_answer_is_recovered() {
    let mut finish = Reasons::default();
    finish.read("stop");
    let seen = Evidence { status_error: false, ..thrown("RateLimitError", "") };
    let recovered = Evidence { finish, ..seen.clone() };
    assert_eq!(recovered.standing(), Standing::Recovered);
    assert_eq!(classify(&recovered, &Rules::default()), None);
    assert_eq!(Evidence { has_output: true, ..seen.clone() }.standing(), Standing::Recovered);
    assert_eq!(Evidence { priced: false, ..seen.clone() }.standing(), Standing::Recovered);
    // Without any answer the call itself failed, whatever the span status says.
    means(&seen, Reason::RateLimit);
}

#[test]
fn a_span_is_an_error_by_any_of_its_signs() {
    let fine = Evidence { genai: true, priced: true, ..Evidence::default() };
    assert_eq!(fine.standing(), Standing::Fine);
    let mut broken = Reasons::default();
    broken.read("error");
    for failed in [
        Evidence { status_error: true, ..fine.clone() },
        Evidence { error_type: Some("_OTHER".into()), ..fine.clone() },
        Evidence { error_http_status: Some(400), ..fine.clone() },
        Evidence { http_status: Some(500), ..fine.clone() },
        Evidence { response_failed: true, ..fine.clone() },
        Evidence { level_error: true, ..fine.clone() },
        Evidence { tool_failed: true, ..fine.clone() },
        Evidence { finish: broken, ..fine.clone() },
    ] {
        assert_eq!(failed.standing(), Standing::Failed, "{failed:?}");
    }
    for alive in [
        Evidence { error_type: Some(" ".into()), ..fine.clone() },
        Evidence { error_http_status: Some(200), ..fine.clone() },
        Evidence { http_status: Some(500), genai: false, ..fine.clone() },
        Evidence { finish: broken, has_output: true, ..fine.clone() },
        Evidence { other_status: Some(500), error_code: Some("500".into()), ..fine.clone() },
    ] {
        assert_eq!(alive.standing(), Standing::Fine, "{alive:?}");
    }
}

#[test]
fn nothing_known_is_unknown() {
    assert_eq!(fact(&error()), ErrorFact { class: Class::Unknown, reason: Reason::Unknown, source: None });
    is(&thrown("_OTHER", "it broke"), Class::Unknown, Reason::Unknown);
    is(&Evidence { tool_failed: true, ..Evidence::default() }, Class::Unknown, Reason::Unknown);
    means(&Evidence { tool_failed: true, error_text: Some("connection refused"), ..Evidence::default() }, Reason::Connection);
}

#[test]
fn a_stream_that_breaks_after_200_is_judged_by_its_code() {
    means(&Evidence { http_status: Some(200), ..typed("overloaded_error", "") }, Reason::Overloaded);
    means(&Evidence { http_status: Some(200), ..typed("", "{'type': 'error', 'error': {'type': 'rate_limit_error'}}") }, Reason::RateLimit);
}

#[test]
fn a_vague_code_yields_to_names_and_statuses() {
    let body = "{'error': {'type': 'invalid_request_error', 'message': 'x'}}";
    means(&thrown("NotFoundError", body), Reason::NotFound);
    means(&Evidence { http_status: Some(401), ..typed("invalid_request_error", "") }, Reason::Authentication);
    means(&Evidence { http_status: Some(422), ..typed("invalid_request_error", "") }, Reason::InvalidRequest);
    means(&typed("invalid_request_error", ""), Reason::InvalidRequest);
    means(&Evidence { http_status: Some(400), ..thrown("RateLimitError", body) }, Reason::RateLimit);
    // The weaker name of a failing server yields to the status.
    means(&Evidence { http_status: Some(529), ..typed("api_error", "") }, Reason::Overloaded);
    means(&typed("api_error", ""), Reason::ServerError);
}

#[test]
fn a_full_context_is_told_by_the_message() {
    means(&thrown("langchain_anthropic.chat_models.AnthropicContextOverflowError", ""), Reason::ContextLength);
    means(
        &Evidence { provider: Some("together_ai"), ..typed("PermissionDeniedError", "This model's maximum context length is 8193 tokens") },
        Reason::ContextLength,
    );
    means(
        &said(
            "AnthropicContextOverflowError(\"Error code: 400 - {'error': {'type': 'invalid_request_error'}}\")Traceback (most recent call last):\n rate limit",
        ),
        Reason::ContextLength,
    );
    means(
        &typed(
            "BadRequestError",
            "Error code: 400 - This model's maximum context length is 128000 tokens. However, your messages resulted in 131072 tokens.",
        ),
        Reason::ContextLength,
    );
    let long = |message| Evidence { error_code: Some("string_above_max_length".into()), error_message: Some(message), ..answered(400) };
    means(&long("Invalid 'user': string too long. Expected a string with maximum length 64"), Reason::InvalidRequest);
    means(&long("The context is too long"), Reason::ContextLength);
}

#[test]
fn a_refused_prompt_is_told_by_the_message() {
    means(
        &typed("BadRequestError", "Error code: 400 - The response was filtered due to the prompt triggering content management policy."),
        Reason::ContentPolicy,
    );
    let azure = "Error code: 400 - {'error': {'message': 'x', 'type': None, 'code': 'content_filter', 'innererror': {'code': 'ResponsibleAIPolicyViolation'}}}";
    means(&typed("openai.BadRequestError", azure), Reason::ContentPolicy);
    means(&thrown("StopCandidateException", ""), Reason::ContentPolicy);
}

#[test]
fn status_402_is_money_except_for_a_budget_in_flight() {
    means(&answered(402), Reason::QuotaExhausted);
    means(&Evidence { error_http_status: Some(402), error_code: Some("in_flight_budget_exhausted".into()), ..error() }, Reason::RateLimit);
    means(
        &Evidence {
            error_message: Some("402 {\"error\":{\"code\":402,\"metadata\":{\"error_type\":\"in_flight_budget_exhausted\"}}}"),
            ..answered(402)
        },
        Reason::RateLimit,
    );
}

#[test]
fn a_retry_flag_decides_the_class() {
    let told = fact(&Evidence { retryable: Some(false), ..answered(503) });
    assert_eq!(told, ErrorFact { class: Class::Permanent, reason: Reason::Overloaded, source: Some(Source::RetryFlag) });
    is(&Evidence { retryable: Some(true), ..answered(400) }, Class::Transient, Reason::InvalidRequest);
    is(&Evidence { retryable: Some(true), ..error() }, Class::Transient, Reason::Unknown);
    assert_eq!(fact(&Evidence { retryable: Some(true), ..answered(503) }).source, Some(Source::HttpStatus));
}

#[test]
fn an_echoed_prompt_is_no_evidence() {
    let quoted = "Error code: 400 - {'error': {'type':'invalid_request_error','message':\"messages.0: text 'I got a rate limit 429'\"}}";
    means(&thrown("BadRequestError", quoted), Reason::InvalidRequest);
    means(&said(quoted), Reason::InvalidRequest);
    for prompt in [
        "exceeded your current quota",
        "my context window",
        "blocked by content management policy",
        "too many tokens, please wait",
        "api key not valid",
    ] {
        let body = format!("400 {{\"error\":{{\"message\":\"bad\"}},\"messages\":[{{\"role\":\"user\",\"content\":\"{prompt}\"}}]}}");
        means(&thrown("Error", &body), Reason::InvalidRequest);
        let pydantic = format!("1 validation error for Request\n  [type=string_type, input_value='{prompt}', input_type=str]");
        means(&thrown("pydantic_core._pydantic_core.ValidationError", &pydantic), Reason::InvalidRequest);
        let spoken = format!("Error code: 400 - {{'error': {{'message': \"messages.0: text '{prompt}' is bad\"}}}}");
        means(&said(&spoken), Reason::InvalidRequest);
    }
}

#[test]
fn more_than_the_limit_is_too_large_and_waiting_is_no_use() {
    let limited = |asked: &str| {
        format!(
            "Error code: 429 - {{'error': {{'message': 'Request too large for gpt-4o on tokens per min (TPM): Limit 30,000, Requested {asked}.', 'type': 'tokens', 'code': 'rate_limit_exceeded'}}}}"
        )
    };
    means(&typed("RateLimitError", &limited("45,000")), Reason::TooLarge);
    means(&typed("RateLimitError", &limited("15000")), Reason::RateLimit);
    let reached =
        "Error code: 429 - Rate limit reached for gpt-4o-mini on tokens per min (TPM): Limit 200000, Used 199000, Requested 5000.";
    means(&typed("RateLimitError", reached), Reason::RateLimit);
}

#[test]
fn a_failed_dependency_is_permanent_unless_the_body_knows_better() {
    is(&answered(424), Class::Permanent, Reason::ServerError);
    is(&thrown("ModelErrorException", "x"), Class::Permanent, Reason::ServerError);
    means(&Evidence { http_status: Some(424), ..thrown("ModelErrorException", "{\"originalStatusCode\": 503}") }, Reason::Overloaded);
    means(&thrown("ModelErrorException", "{\"originalStatusCode\": 429}"), Reason::RateLimit);
    is(&thrown("ModelErrorException", "{\"originalStatusCode\": 400}"), Class::Permanent, Reason::ServerError);
    means(&Evidence { http_status: Some(424), ..thrown("ModelStreamErrorException", "") }, Reason::ServerError);
}

#[test]
fn an_answer_cut_off_is_an_invalid_request_that_was_answered() {
    let cut = Evidence {
        has_output: true,
        ..thrown("openai.LengthFinishReasonError", "Could not parse response content as the length limit was reached")
    };
    means(&cut, Reason::InvalidRequest);
    assert_eq!(cut.finish_of_exception(), Some(Finish::Length));
    assert_eq!(thrown("ContentFilterFinishReasonError", "").finish_of_exception(), Some(Finish::ContentFilter));
    assert_eq!(typed("<class 'openai.LengthFinishReasonError'>", "").finish_of_exception(), Some(Finish::Length));
    assert_eq!(thrown("RateLimitError", "").finish_of_exception(), None);
}

#[test]
fn a_server_error_takes_its_reason_from_the_status() {
    means(&Evidence { http_status: Some(503), ..thrown("openai.InternalServerError", "") }, Reason::Overloaded);
    means(&thrown("InternalServerError", "Error code: 504 - x"), Reason::Timeout);
    means(&thrown("InternalServerError", ""), Reason::ServerError);
    means(&Evidence { http_status: Some(501), ..thrown("InternalServerError", "") }, Reason::ServerError);
}

#[test]
fn errors_of_the_application_yield_to_the_world_outside() {
    means(&thrown("ValueError", "timeout must be positive"), Reason::InvalidRequest);
    means(&thrown("KeyError", "'choices'"), Reason::InvalidRequest);
    means(&thrown("TypeError", "fetch failed"), Reason::Connection);
    means(&thrown("ValueError", "Error code: 429 - slow"), Reason::RateLimit);
    means(
        &thrown(
            "ValueError",
            "Error raised by bedrock service: An error occurred (ThrottlingException) when calling the Converse operation: x",
        ),
        Reason::RateLimit,
    );
}

#[test]
fn a_certificate_does_not_heal() {
    is(
        &thrown("APIConnectionError", "Connection error: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed"),
        Class::Permanent,
        Reason::Connection,
    );
    means(&thrown("SSLError", "EOF occurred in violation of protocol"), Reason::Connection);
}

#[test]
fn a_finish_reason_is_the_last_evidence() {
    for (raw, reason) in [
        ("insufficient_system_resource", Reason::Overloaded),
        ("timeout", Reason::Timeout),
        ("error", Reason::ServerError),
        ("content_filter", Reason::ContentPolicy),
    ] {
        let mut finish = Reasons::default();
        finish.read(raw);
        let evidence = Evidence { finish, ..error() };
        means(&evidence, reason);
        assert_eq!(fact(&evidence).source, Some(Source::FinishReason));
        means(&Evidence { finish, ..answered(429) }, Reason::RateLimit);
    }
}

#[test]
fn the_error_type_is_a_code_a_name_or_the_reason() {
    let named = |evidence: &Evidence<'_>| error_type(evidence, &fact(evidence)).into_owned();
    assert_eq!(named(&said("Error code: 429 - {'error': {'type': 'tokens', 'code': 'rate_limit_exceeded'}}")), "rate_limit_exceeded");
    assert_eq!(named(&thrown("openai.APITimeoutError", "Request timed out.")), "APITimeoutError");
    assert_eq!(named(&said("rate limited")), "rate_limit");
    assert_eq!(named(&thrown("acme.QuotaOfAcmeError", "x")), "QuotaOfAcmeError");
    assert_eq!(named(&thrown("Exception", "AcmeError: x")), "unknown");
    assert_eq!(named(&thrown("not a name at all!", "x")), "not");
}
