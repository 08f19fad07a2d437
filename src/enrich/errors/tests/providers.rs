//! What single providers, gateways and SDKs say in words of their own.

use super::*;

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
fn grpc_evidence_is_a_number_a_name_or_a_word() {
    means(&Evidence { grpc: GrpcCode::from_number(14), ..error() }, Reason::Overloaded);
    means(&typed("RESOURCE_EXHAUSTED", ""), Reason::RateLimit);
    means(&said("rpc error: code = DeadlineExceeded desc = x"), Reason::Timeout);
    means(&Evidence { grpc: GrpcCode::from_number(8), ..said("Quota exceeded for requests per day") }, Reason::QuotaExhausted);
    assert_eq!(fact(&Evidence { grpc: GrpcCode::from_number(16), ..error() }).source, Some(Source::GrpcCode));
}

#[test]
fn vercel_knows_what_it_did_not_retry() {
    is(&thrown("AI_RetryError", "Failed after 2 attempts with non-retryable error: 'Overloaded'"), Class::Permanent, Reason::Overloaded);
    means(&thrown("AI_NoObjectGeneratedError", "No object generated: the tool was not called."), Reason::InvalidRequest);
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
