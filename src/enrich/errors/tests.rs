//! The evidence that real SDKs leave, and what it must mean.

use super::*;
use proptest::prelude::*;

fn error<'a>() -> Evidence<'a> {
    Evidence { status_error: true, genai: true, priced: true, ..Evidence::default() }
}

fn typed<'a>(error_type: &'a str, message: &'a str) -> Evidence<'a> {
    Evidence { error_type: Some(error_type.into()), error_message: Some(message), ..error() }
}

fn thrown<'a>(name: &'a str, message: &'a str) -> Evidence<'a> {
    Evidence { exception_event: true, exception_type: Some(name), exception_message: Some(message), ..error() }
}

fn said(message: &str) -> Evidence<'_> {
    Evidence { status_message: Some(message), ..error() }
}

fn answered<'a>(status: u16) -> Evidence<'a> {
    Evidence { http_status: Some(status), ..error() }
}

fn fact(evidence: &Evidence<'_>) -> ErrorFact {
    classify(evidence, &Rules::default()).expect("an error")
}

#[track_caller]
fn is(evidence: &Evidence<'_>, class: Class, reason: Reason) {
    let got = fact(evidence);
    assert_eq!((got.class, got.reason), (class, reason), "{evidence:?} → {got:?}");
}

/// The reason, with its own class.
#[track_caller]
fn means(evidence: &Evidence<'_>, reason: Reason) {
    is(evidence, reason.class(), reason);
}

#[test]
fn a_used_up_quota_hides_behind_a_rate_limit() {
    let body = "Error code: 429 - {'error': {'message': 'You exceeded your current quota...', 'type': 'insufficient_quota', 'code': 'insufficient_quota'}}";
    let fact = fact(&typed("RateLimitError", body));
    assert_eq!(fact, ErrorFact { class: Class::Permanent, reason: Reason::QuotaExhausted, source: Some(Source::ProviderCode) });
    means(&typed("RateLimitError", "Error code: 429 - {'error': {'type': 'tokens', 'code': 'rate_limit_exceeded'}}"), Reason::RateLimit);
    // OpenTelemetry's openai-v2 2.4 leaves the body out.
    means(&typed("<class 'openai.RateLimitError'>", "Error code: 429 - Rate limit reached ..."), Reason::RateLimit);
    means(
        &typed(
            "<class 'openai.RateLimitError'>",
            "Error code: 429 - You exceeded your current quota, please check your plan and billing details.",
        ),
        Reason::QuotaExhausted,
    );
    for code in [
        "insufficient_quota",
        "credit_balance_exhausted",
        "billing_hard_limit_reached",
        "project_spend_limit_exceeded",
        "enforced_spend_limit_reached",
    ] {
        means(&Evidence { error_code: Some(code.into()), ..answered(429) }, Reason::QuotaExhausted);
    }
    let details =
        r#"429 {"type":"error","error":{"type":"rate_limit_error","message":"x","details":{"error_code":"enforced_spend_limit_reached"}}}"#;
    means(&thrown("RateLimitError", details), Reason::QuotaExhausted);
}

#[test]
fn an_error_without_a_name_says_it_in_the_message() {
    means(&thrown("Error", r#"529 {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#), Reason::Overloaded);
    means(
        &thrown("Exception", "APIStatusError: {'type': 'error', 'error': {'type': 'overloaded_error', 'message': 'Overloaded'}}"),
        Reason::Overloaded,
    );
    means(&thrown("AI_APICallError", "rate limited"), Reason::RateLimit);
    means(&thrown("AI_APICallError", "You exceeded your current quota"), Reason::QuotaExhausted);
    means(&thrown("AI_APICallError", "prompt is too long: 214223 tokens > 200000 maximum"), Reason::ContextLength);
    means(&thrown("AI_RetryError", "Failed after 3 attempts. Last error: Overloaded"), Reason::Overloaded);
    means(&said("Request timed out."), Reason::Timeout);
    means(&said("Connection error."), Reason::Connection);
    means(&said("Error code: 500 - Oops"), Reason::ServerError);
    means(&said("Error code: 403 - You have insufficient permissions for this operation."), Reason::Permission);
}

#[test]
fn the_status_message_may_be_the_name() {
    let evidence = Evidence { status_message: Some("OverloadedError"), ..error() };
    means(&evidence, Reason::Overloaded);
    let evidence = Evidence {
        status_message: Some("BadRequestError"),
        error_http_status: Some(400),
        ..typed(
            "BadRequestError",
            "Error code: 400 - {'error': {'type': 'invalid_request_error', 'message': 'prompt is too long: 214223 tokens'}}",
        )
    };
    means(&evidence, Reason::ContextLength);
}

#[test]
fn gemini_quota_is_judged_by_its_period() {
    means(
        &thrown("ClientError", "429 RESOURCE_EXHAUSTED. {'details': [{'quotaId': 'GenerateRequestsPerDayPerProjectPerModel-FreeTier'}]}"),
        Reason::QuotaExhausted,
    );
    let minute = "429 RESOURCE_EXHAUSTED. {'error': {'code': 429, 'message': 'You exceeded your current quota, please check your plan and billing details.', 'status': 'RESOURCE_EXHAUSTED', 'details': [{'quotaId': 'GenerateRequestsPerMinutePerProjectPerModel'}]}}";
    means(&thrown("ClientError", minute), Reason::RateLimit);
    means(
        &typed("429", "429 RESOURCE_EXHAUSTED. {'error': {'code': 429, 'message': 'Quota exceeded', 'status': 'RESOURCE_EXHAUSTED'}}"),
        Reason::RateLimit,
    );
    means(&thrown("google.api_core.exceptions.ResourceExhausted", "429 Quota exceeded for aiplatform.googleapis.com/x"), Reason::RateLimit);
    means(&Evidence { error_code: Some("quota_exceeded".into()), ..error() }, Reason::QuotaExhausted);
    means(&Evidence { error_code: Some("quota_exceeded".into()), ..answered(429) }, Reason::RateLimit);
    means(
        &Evidence { error_code: Some("quota_exceeded".into()), error_message: Some("Quota: 50 requests per day"), ..answered(429) },
        Reason::QuotaExhausted,
    );
}

#[test]
fn gemini_errors_are_read_from_status_words() {
    let body = |code: u16, message: &str, status: &str| {
        format!("{code} {status}. {{'error': {{'code': {code}, 'message': '{message}', 'status': '{status}'}}}}")
    };
    means(&typed("400", &body(400, "Bad", "INVALID_ARGUMENT")), Reason::InvalidRequest);
    means(&typed("503", &body(503, "Bad", "UNAVAILABLE")), Reason::Overloaded);
    means(
        &thrown(
            "ClientError",
            &body(400, "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).", "INVALID_ARGUMENT"),
        ),
        Reason::ContextLength,
    );
    means(
        &thrown("ClientError", &body(400, "API key not valid. Please pass a valid API key.", "INVALID_ARGUMENT")),
        Reason::Authentication,
    );
    means(&thrown("ClientError", &body(404, "models/x is not found for API version v1beta", "NOT_FOUND")), Reason::NotFound);
    means(&thrown("ServerError", &body(500, "An internal error has occurred", "INTERNAL")), Reason::ServerError);
}

#[test]
fn bedrock_says_too_many_tokens_and_means_slow_down() {
    let message = "An error occurred (ThrottlingException) when calling the Converse operation (reached max retries: 4): Too many tokens, please wait before trying again.";
    means(&thrown("ThrottlingException", message), Reason::RateLimit);
    means(&thrown("botocore.errorfactory.ThrottlingException", message), Reason::RateLimit);
    means(&thrown("botocore.exceptions.ClientError", message), Reason::RateLimit);
    means(
        &Evidence { http_status: Some(400), ..thrown("ClientError", "Too many tokens, please wait before trying again.") },
        Reason::RateLimit,
    );
    means(
        &thrown(
            "ValidationException",
            "An error occurred (ValidationException) when calling the InvokeModel operation: Input is too long for requested model.",
        ),
        Reason::ContextLength,
    );
    means(
        &thrown("ValidationException", "An error occurred (ValidationException) when calling the Converse operation: Malformed input"),
        Reason::InvalidRequest,
    );
    means(&Evidence { http_status: Some(400), ..thrown("ServiceQuotaExceededException", "x") }, Reason::QuotaExhausted);
    means(&thrown("ClientError", "An error occurred (AccessDeniedException) when calling the Converse operation: no"), Reason::Permission);
    means(
        &said(
            "operation error Bedrock Runtime: Converse, https response error StatusCode: 429, RequestID: 1, ThrottlingException: Too many requests",
        ),
        Reason::RateLimit,
    );
}

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
fn litellm_calls_everything_a_connection_error_with_500() {
    let lost =
        Evidence { error_code: Some("500".into()), ..thrown("APIConnectionError", "litellm.APIConnectionError: OllamaException - no") };
    means(&lost, Reason::Connection);
    let limited = Evidence { exception_message: Some("litellm.APIConnectionError: XException - rate limit reached"), ..lost.clone() };
    means(&limited, Reason::RateLimit);
    means(
        &said("litellm.ContextWindowExceededError: litellm.BadRequestError: ContextWindowExceededError: OpenAIException - no"),
        Reason::ContextLength,
    );
    means(&said("litellm.Timeout: Connection timed out after 600.0 seconds"), Reason::Timeout);
    means(&said("litellm.BudgetExceededError: Budget has been exceeded! Current cost: 2, Max budget: 1"), Reason::QuotaExhausted);
    means(
        &said(
            "litellm.InternalServerError: InternalServerError: AnthropicException - {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}",
        ),
        Reason::Overloaded,
    );
}

#[test]
fn status_498_depends_on_the_provider() {
    let status = Evidence { error_http_status: Some(498), ..error() };
    means(&Evidence { provider: Some("groq"), ..status.clone() }, Reason::Overloaded);
    means(&Evidence { provider: Some("cohere"), ..status.clone() }, Reason::Authentication);
    means(&status, Reason::Authentication);
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
fn openlit_and_semconv_words_are_codes() {
    for (word, reason) in [
        ("timeout", Reason::Timeout),
        ("rate_limited", Reason::RateLimit),
        ("unavailable", Reason::Overloaded),
        ("server_error", Reason::ServerError),
        ("authentication", Reason::Authentication),
        ("unauthorized", Reason::Authentication),
        ("permission", Reason::Permission),
        ("not_found", Reason::NotFound),
        ("invalid_request", Reason::InvalidRequest),
    ] {
        means(&typed(word, ""), reason);
    }
    means(&Evidence { http_status: Some(400), ..typed("timeout", "") }, Reason::Timeout);
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
fn a_gateway_that_says_500_may_have_been_told_429() {
    means(
        &Evidence { error_message: Some("{\"error\": {\"code\": 429, \"message\": \"Provider returned error\"}}"), ..answered(500) },
        Reason::RateLimit,
    );
    means(&Evidence { error_message: Some("{\"error\": {\"code\": \"rate_limit_exceeded\"}}"), ..answered(500) }, Reason::RateLimit);
    means(&Evidence { error_message: Some("upstream said: Error code: 429 - no"), ..answered(502) }, Reason::RateLimit);
    means(&Evidence { error_message: Some("{\"error\": {\"code\": 400}}"), ..answered(500) }, Reason::ServerError);
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
fn grpc_evidence_is_a_number_a_name_or_a_word() {
    means(&Evidence { grpc: GrpcCode::from_number(14), ..error() }, Reason::Overloaded);
    means(&typed("RESOURCE_EXHAUSTED", ""), Reason::RateLimit);
    means(&said("rpc error: code = DeadlineExceeded desc = x"), Reason::Timeout);
    means(&Evidence { grpc: GrpcCode::from_number(8), ..said("Quota exceeded for requests per day") }, Reason::QuotaExhausted);
    assert_eq!(fact(&Evidence { grpc: GrpcCode::from_number(16), ..error() }).source, Some(Source::GrpcCode));
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
fn vercel_knows_what_it_did_not_retry() {
    is(&thrown("AI_RetryError", "Failed after 2 attempts with non-retryable error: 'Overloaded'"), Class::Permanent, Reason::Overloaded);
    means(&thrown("AI_NoObjectGeneratedError", "No object generated: the tool was not called."), Reason::InvalidRequest);
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
fn other_sdks_are_understood() {
    for (name, message, reason) in [
        ("com.openai.errors.RateLimitException", "429: no", Reason::RateLimit),
        ("com.anthropic.errors.NotFoundException", "404: no", Reason::NotFound),
        (
            "System.ClientModel.ClientResultException",
            "HTTP 429 (insufficient_quota: insufficient_quota)\n\nYou exceeded",
            Reason::QuotaExhausted,
        ),
        (
            "System.ClientModel.ClientResultException",
            "HTTP 401 (invalid_request_error: invalid_api_key)\n\nIncorrect",
            Reason::Authentication,
        ),
        (
            "System.Net.Http.HttpRequestException",
            "Response status code does not indicate success: 429 (Too Many Requests).",
            Reason::RateLimit,
        ),
        ("org.springframework.web.client.HttpClientErrorException$TooManyRequests", "429 Too Many Requests: \"{}\"", Reason::RateLimit),
        (
            "org.springframework.ai.retry.NonTransientAiException",
            "HTTP 401 - {\"error\":{\"message\":\"Incorrect API key\"}}",
            Reason::Authentication,
        ),
        ("io.grpc.StatusRuntimeException", "UNAVAILABLE: io exception", Reason::Overloaded),
        (
            "pydantic_ai.exceptions.ModelHTTPError",
            "status_code: 429, model_name: gpt-4o, body: {'message': 'x', 'type': 'tokens'}",
            Reason::RateLimit,
        ),
        (
            "mistralai.models.sdkerror.SDKError",
            "API error occurred: Status 429. Body: {\"message\":\"Service tier capacity exceeded for this model.\",\"code\":\"3505\"}",
            Reason::RateLimit,
        ),
        (
            "cohere.errors.TooManyRequestsError",
            "headers: {'content-type': 'application/json'}, status_code: 429, body: {'message': 'x'}",
            Reason::RateLimit,
        ),
        ("ollama._types.ResponseError", "model 'llama9' not found (status code: 404)", Reason::NotFound),
        ("httpx.ConnectError", "All connection attempts failed", Reason::Connection),
        ("httpx.HTTPStatusError", "Server error '503 Service Unavailable' for url 'https://x/y'", Reason::Overloaded),
        ("requests.exceptions.HTTPError", "401 Client Error: Unauthorized for url: https://x", Reason::Authentication),
        (
            "*openai.Error",
            "POST \"https://api.openai.com/v1/chat/completions\": 429 Too Many Requests {\"code\":\"insufficient_quota\"}",
            Reason::QuotaExhausted,
        ),
        ("AxiosError", "Request failed with status code 503", Reason::Overloaded),
        ("Error", "connect ECONNREFUSED 127.0.0.1:443", Reason::Connection),
        ("openai.OpenAIError", "The api_key client option must be set either by passing api_key to the client", Reason::Authentication),
        ("groq.APIStatusError", "Error code: 498 - {'error': {'code': 'flex_capacity_exceeded'}}", Reason::Overloaded),
        (
            "openai.BadRequestError",
            "Error code: 400 - {'type': 'error', 'error': {'type': 'invalid_request_error', 'message': 'Your credit balance is too low to access the Anthropic API.'}}",
            Reason::QuotaExhausted,
        ),
        ("Exception", "RateLimitError(\"Error code: 429 - {'error': {'type': 'rate_limit_error'}}\")", Reason::RateLimit),
        (
            "GoogleGenerativeAIFetchError",
            "[GoogleGenerativeAI Error]: Error fetching from https://x: [503 Service Unavailable] The model is overloaded.",
            Reason::Overloaded,
        ),
        (
            "Exception",
            "Traceback (most recent call last):\n  File \"a.py\", line 429, in timeout\n    raise\nopenai.AuthenticationError: Error code: 401 - no",
            Reason::Authentication,
        ),
    ] {
        means(&thrown(name, message), reason);
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

#[test]
fn providers_say_the_same_in_many_ways() {
    for (message, reason) in [
        (
            "Error code: 400 - {'error': {'message': 'You have reached your specified API usage limits. You will regain access on 2026-01-01.', 'type': 'invalid_request_error'}}",
            Reason::QuotaExhausted,
        ),
        (
            "Error code: 429 - {'error': {'code': '429', 'message': 'Requests to the ChatCompletions_Create Operation have exceeded token rate limit. Please retry after 2 seconds.'}}",
            Reason::RateLimit,
        ),
        (
            "Error code: 402 - {'error': {'message': 'Insufficient Balance', 'type': 'unknown_error', 'code': 'invalid_request_error'}}",
            Reason::QuotaExhausted,
        ),
        (
            "Error code: 400 - {'error': {'message': \"Unsupported value: 'temperature' does not support 0.2\", 'type': 'invalid_request_error', 'code': 'unsupported_value'}}",
            Reason::InvalidRequest,
        ),
        (
            "Error code: 400 - {'error': {'message': 'max_tokens is too large: 5000. This model supports at most 4096 completion tokens', 'type': 'invalid_request_error'}}",
            Reason::InvalidRequest,
        ),
        (
            "Error code: 400 - {'error': {'type': 'invalid_request_error', 'message': 'input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000'}}",
            Reason::ContextLength,
        ),
        ("Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens", Reason::ContextLength),
        (
            "Error code: 400 - {'error': {'message': 'Output blocked by content filtering policy', 'type': 'invalid_request_error'}}",
            Reason::ContentPolicy,
        ),
        (
            "Error code: 400 - {'code': 'Client specified an invalid argument', 'error': \"This model's maximum prompt length is 131072 but the request contains 537812 tokens.\"}",
            Reason::ContextLength,
        ),
        (
            "An error occurred (ValidationException) when calling the Converse operation: The model returned the following errors: Input Tokens Exceeded: Number of input tokens exceeds maximum length.",
            Reason::ContextLength,
        ),
        ("Post \"https://api.x.com/v1\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)", Reason::Timeout),
        ("dial tcp: lookup api.x.com: no such host", Reason::Connection),
        ("Post \"https://api.x.com/v1\": EOF", Reason::Connection),
        ("HTTP error! status: 429", Reason::RateLimit),
        ("upstream request timeout", Reason::Timeout),
        ("This request requires more credits, or fewer max_tokens.", Reason::QuotaExhausted),
        ("503 status code (no body)", Reason::Overloaded),
        (
            "[{'error': {'code': 503, 'message': 'The model is overloaded. Please try again later.', 'status': 'UNAVAILABLE'}}]",
            Reason::Overloaded,
        ),
        ("BadRequestError: OpenAIException - Error code: 400 - {'error': {'code': 'context_length_exceeded'}}", Reason::ContextLength),
        (
            "{\"error\":{\"message\":\"Provider returned error\",\"code\":429,\"metadata\":{\"raw\":\"{\\\"error\\\":{\\\"code\\\":\\\"insufficient_quota\\\"}}\"}}}",
            Reason::QuotaExhausted,
        ),
    ] {
        means(&said(message), reason);
    }
}

#[test]
fn the_best_message_is_not_always_the_first() {
    let evidence = Evidence {
        exception_message: Some("it broke"),
        level_message: Some("Error code: 529 - {'error': {'type': 'overloaded_error'}}"),
        ..error()
    };
    means(&evidence, Reason::Overloaded);
}

proptest! {
    #[test]
    fn any_evidence_has_a_class_that_fits_its_reason(
        name in any::<String>(),
        kind in "(Error|RateLimit|_|\\.|[a-z]|<class '|'>|429){0,12}",
        message in "(Error code: |429|\\{|\\}|'|\"|:|code|type|content|timeout|quota|[a-zé ]){0,80}",
        status in any::<u16>(),
    ) {
        let evidence = Evidence {
            exception_type: Some(&name),
            error_type: Some(kind.as_str().into()),
            error_code: Some(name.as_str().into()),
            exception_message: Some(&message),
            error_text: Some(&name),
            http_status: Some(status),
            ..error()
        };
        let fact = fact(&evidence);
        prop_assert_eq!(fact.reason == Reason::Unknown, fact.class == Class::Unknown);
        prop_assert_eq!(fact.source.is_none(), fact.reason == Reason::Unknown);
    }
}
