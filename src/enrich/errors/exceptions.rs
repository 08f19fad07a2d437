//! What the name of an exception says.
//!
//! SDKs name their errors after the status, networks after what broke, frameworks wrap both in names of their own
//! (`AnthropicRateLimitError`). So a name is stripped of its module, looked up, and then tried from its capital letters on.

use super::{Reason, codes};

/// What a name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// This.
    Reason(Reason),
    /// A failure of the server; the status, if known, says which.
    ByStatus,
    /// A failed model: waiting does not help, although the server failed.
    ModelFailed,
    /// The answer was cut, and the SDK refuses to parse it.
    CutOff,
    /// An error of the application's own code, or of code that lost the cause on the way.
    Application,
}

/// Names that say nothing.
const EMPTY: &[&str] = &[
    "_OTHER",
    "AI_APICallError",
    "AI_RetryError",
    "APICallError",
    "APIError",
    "APIStatusError",
    "ApiError",
    "ApiException",
    "ClientError",
    "Error",
    "Exception",
    "GatewayError",
    "HTTPError",
    "HTTPStatusError",
    "ModelHTTPError",
    "NonTransientAiException",
    "OpenAIError",
    "ResponseError",
    "RetryError",
    "RuntimeError",
    "RuntimeException",
    "SDKError",
    "Throwable",
    "Unknown",
    "error",
    "unknown",
];

/// The bare name: `<class 'openai.RateLimitError'>`, `openai.RateLimitError`, `reqwest::Error`, `Outer$Inner`,
/// `RateLimitError('…')`, `*url.Error`.
pub(super) fn bare(raw: &str) -> &str {
    let raw = raw.trim();
    let raw = raw.strip_prefix("<class").map_or(raw, |r| r.trim_end_matches('>')).trim().trim_matches(['\'', '"']);
    let raw = raw.split(['(', ' ']).next().unwrap_or(raw).trim_end_matches([':', '.', '/']);
    raw.rsplit(['.', ':', '/', '$']).next().unwrap_or(raw).trim_start_matches('*')
}

/// Whether the name is evidence at all.
pub(super) fn says_nothing(raw: &str) -> bool {
    let name = bare(raw);
    name.is_empty() || EMPTY.contains(&name)
}

/// Whether the table has the bare name itself, not only an ending of it.
pub(super) fn is_exact(name: &str) -> bool {
    exact(name).is_some()
}

/// Looks a raw name up, then its endings, longest first.
pub(super) fn lookup(raw: &str) -> Option<Named> {
    // api-core gives up after a deadline and says so with a name that others use for anything.
    if raw.starts_with("google.api_core.") {
        match bare(raw) {
            "RetryError" => return Some(Named::Reason(Reason::Timeout)),
            "Unknown" => return Some(Named::Reason(Reason::ServerError)),
            _ => {}
        }
    }
    let name = bare(raw);
    if name.len() > 128 || says_nothing(raw) {
        return None;
    }
    let from_capitals = name.char_indices().skip(1).filter(|(_, c)| c.is_ascii_uppercase()).filter_map(|(at, _)| name.get(at..));
    let ending = std::iter::once(name).chain(from_capitals).filter(|ending| !EMPTY.contains(ending)).find_map(spelled);
    // The cloud SDKs of Amazon name their exceptions after their codes.
    ending.or_else(|| codes::lookup(name).filter(|c| c.weight == codes::Weight::Strong).map(|c| Named::Reason(c.reason)))
}

/// One ending, also with the other word for an error: `RateLimitException` is `RateLimitError` in Java.
fn spelled(name: &str) -> Option<Named> {
    if let Some(found) = exact(name) {
        return Some(found);
    }
    let stem = name.strip_suffix("Exception").or_else(|| name.strip_suffix("Error")).filter(|s| !s.is_empty() && !EMPTY.contains(s))?;
    exact(stem)
        .or_else(|| exact(&format!("{stem}Error")))
        .or_else(|| super::grpc::GrpcCode::from_name(stem).map(|c| Named::Reason(c.reason())))
}

fn exact(name: &str) -> Option<Named> {
    use Reason::*;
    let reason = match name {
        "BadRequestError"
        | "BadRequest"
        | "UnprocessableEntityError"
        | "UnprocessableEntity"
        | "HTTPValidationError"
        | "APIResponseValidationError"
        | "AI_TypeValidationError"
        | "AI_JSONParseError"
        | "AI_InvalidResponseDataError"
        | "OutputParserException"
        | "UnexpectedModelBehavior"
        | "AI_InvalidPromptError"
        | "AI_InvalidArgumentError"
        | "AI_UnsupportedFunctionalityError"
        | "AI_TooManyEmbeddingValuesForCallError"
        | "AI_NoObjectGeneratedError"
        | "AI_InvalidToolInputError"
        | "AI_InvalidToolArgumentsError"
        | "AI_NoSuchToolError"
        | "AI_MessageConversionError"
        | "GatewayInvalidRequestError"
        | "GatewayFailedDependencyError"
        | "JSONSchemaValidationError"
        | "UnsupportedParamsError"
        | "InvalidRequestError"
        | "RejectedRequestError"
        | "ModelBehaviorError"
        | "ValidationException"
        | "ConflictException"
        | "InvalidArgument"
        | "FailedPrecondition"
        | "OutOfRange"
        | "AlreadyExists"
        | "MethodNotImplemented" => InvalidRequest,

        "AuthenticationError"
        | "UnauthorizedError"
        | "OAuthError"
        | "SubjectTokenProviderError"
        | "InvalidTokenError"
        | "AuthenticationException"
        | "AI_LoadAPIKeyError"
        | "GatewayAuthenticationError"
        | "NoCredentialsError"
        | "PartialCredentialsError"
        | "CredentialRetrievalError"
        | "ExpiredTokenException"
        | "UnrecognizedClientException"
        | "InvalidSignatureException"
        | "DefaultCredentialsError"
        | "RefreshError"
        | "CredentialsProviderError"
        | "CredentialUnavailableError"
        | "Unauthenticated"
        | "Unauthorized" => Authentication,

        "PermissionDeniedError"
        | "ForbiddenError"
        | "GatewayForbiddenError"
        | "AccessDeniedException"
        | "PermissionDenied"
        | "Forbidden"
        | "FTUFormNotFilled" => Permission,

        "NotFoundError"
        | "GatewayNotFoundError"
        | "GatewayModelNotFoundError"
        | "AI_NoSuchModelError"
        | "ModelNotFoundError"
        | "ResourceNotFoundException"
        | "NotFound" => NotFound,

        "RequestTooLargeError" | "ContentTooLargeError" | "PayloadTooLargeError" => TooLarge,

        "RateLimitError"
        | "TooManyRequestsError"
        | "GatewayRateLimitError"
        | "RateLimitException"
        | "ThrottledException"
        | "RateLimitExceededError"
        | "ThrottlingException"
        | "TooManyRequests"
        | "ResourceExhausted"
        | "RateLimitExceeded" => RateLimit,

        "OverloadedError" | "ServiceUnavailableError" | "ServiceUnavailableException" | "ModelNotReadyException" | "ServiceUnavailable" => {
            Overloaded
        }

        "ConflictError"
        | "DeadlineExceededError"
        | "GatewayTimeoutError"
        | "Timeout"
        | "APITimeoutError"
        | "APIConnectionTimeoutError"
        | "ModelTimeoutException"
        | "ConnectTimeoutError"
        | "ReadTimeoutError"
        | "GatewayTimeout"
        | "DeadlineExceeded"
        | "deadlineExceededError"
        | "TimeoutError"
        | "TimeoutException"
        | "TimeoutExpired"
        | "TimeoutRejectedException"
        | "OpenTimeout"
        | "TimedOut"
        | "ReadTimeout"
        | "ConnectTimeout"
        | "WriteTimeout"
        | "PoolTimeout"
        | "SocketTimeoutException"
        | "HttpTimeoutException"
        | "ServerTimeoutError"
        | "ETIMEDOUT"
        | "ESOCKETTIMEDOUT"
        | "UND_ERR_CONNECT_TIMEOUT"
        | "UND_ERR_HEADERS_TIMEOUT"
        | "UND_ERR_BODY_TIMEOUT" => Timeout,

        "APIConnectionError"
        | "GatewayResponseError"
        | "NoResponseError"
        | "WebSocketConnectionClosedError"
        | "EndpointConnectionError"
        | "ConnectionClosedError"
        | "ProxyConnectionError"
        | "SSLError"
        | "HTTPClientError"
        | "ConnectError"
        | "ReadError"
        | "WriteError"
        | "RemoteProtocolError"
        | "NetworkError"
        | "ConnectionError"
        | "ConnectionResetError"
        | "ConnectionRefusedError"
        | "ConnectionAbortedError"
        | "BrokenPipeError"
        | "IncompleteRead"
        | "ChunkedEncodingError"
        | "ClientConnectorError"
        | "ClientOSError"
        | "ClientPayloadError"
        | "TransferEncodingError"
        | "ServerDisconnectedError"
        | "UnknownHostException"
        | "ConnectException"
        | "SocketException"
        | "HttpRequestException"
        | "OpenAIIoException"
        | "AnthropicIoException"
        | "ResourceAccessException"
        | "EOFException"
        | "SSLHandshakeException"
        | "SSLException"
        | "NewConnectionError"
        | "MaxRetryError"
        | "ProtocolError"
        | "NameResolutionError"
        | "ServiceRequestError"
        | "ServiceResponseError"
        | "IncompleteReadError"
        | "gaierror"
        | "SSLCertVerificationError"
        | "SocketError"
        | "ECONNRESET"
        | "ECONNREFUSED"
        | "ECONNABORTED"
        | "EHOSTUNREACH"
        | "ENETUNREACH"
        | "ENOTFOUND"
        | "EAI_AGAIN"
        | "EPIPE"
        | "UND_ERR_SOCKET"
        | "FetchError"
        | "ConnectionFailed"
        | "ERR_NETWORK" => Connection,

        "RetryableError"
        | "AI_EmptyResponseBodyError"
        | "AI_NoContentGeneratedError"
        | "AI_NoOutputGeneratedError"
        | "ModelStreamErrorException"
        | "MPAgreementBeingCreated"
        | "DataLoss"
        | "Aborted" => ServerError,

        "ContextWindowExceededError"
        | "ContextOverflowError"
        | "ContextWindowOverflowError"
        | "ContextLengthExceededError"
        | "PromptTooLongError" => ContextLength,

        "ContentPolicyViolationError"
        | "ContentFilterFinishReasonError"
        | "GuardrailRaisedException"
        | "StopCandidateException"
        | "BlockedPromptException"
        | "ContentFilterError"
        | "InputGuardrailTripwireTriggered"
        | "OutputGuardrailTripwireTriggered"
        | "GuardrailTripwireTriggered" => ContentPolicy,

        "BudgetExceededError" | "QuotaExceededError" | "ServiceQuotaExceededException" => QuotaExhausted,

        "ClientClosedRequestError"
        | "Cancelled"
        | "Canceled"
        | "CancelledError"
        | "CanceledError"
        | "CancellationError"
        | "AbortError"
        | "RequestAbortedError"
        | "APIUserAbortError"
        | "TaskCanceledException"
        | "OperationCanceledException"
        | "KeyboardInterrupt"
        | "GeneratorExit"
        | "RunCancelled"
        | "InterruptedException"
        | "ResponseAborted"
        | "ERR_CANCELED"
        | "UND_ERR_ABORTED"
        | "CancellationException" => Cancelled,

        "InternalServerError"
        | "GatewayInternalServerError"
        | "BadGatewayError"
        | "BadGateway"
        | "ServerError"
        | "InternalServerException"
        | "TransientAiException" => {
            return Some(Named::ByStatus);
        }
        "ModelErrorException" => return Some(Named::ModelFailed),
        "LengthFinishReasonError" | "MaxTokensReachedException" | "IncompleteOutputException" => return Some(Named::CutOff),
        "ValueError"
        | "TypeError"
        | "KeyError"
        | "AttributeError"
        | "AssertionError"
        | "ValidationError"
        | "ZodError"
        | "JSONDecodeError"
        | "NotImplementedError"
        | "SyntaxError"
        | "IllegalArgumentException"
        | "NullPointerException"
        | "ArgumentException" => {
            return Some(Named::Application);
        }
        _ => return None,
    };
    Some(Named::Reason(reason))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_module_and_the_repr_are_taken_off() {
        for (raw, name) in [
            ("<class 'openai.RateLimitError'>", "RateLimitError"),
            ("<class 'RateLimitError'>", "RateLimitError"),
            ("openai.RateLimitError", "RateLimitError"),
            ("google.api_core.exceptions.ResourceExhausted", "ResourceExhausted"),
            ("std::io::TimedOut", "TimedOut"),
            ("org.springframework.web.client.HttpClientErrorException$TooManyRequests", "TooManyRequests"),
            ("RateLimitError('slow: down')", "RateLimitError"),
            ("*url.Error", "Error"),
            ("openai.RateLimitError:", "RateLimitError"),
            ("", ""),
        ] {
            assert_eq!(bare(raw), name, "{raw}");
        }
    }

    #[track_caller]
    fn says(raw: &str, reason: Reason) {
        assert_eq!(lookup(raw), Some(Named::Reason(reason)), "{raw}");
    }

    #[test]
    fn representative_names_have_their_reason() {
        use Reason::*;
        for (raw, reason) in [
            ("BadRequestError", InvalidRequest),
            ("com.openai.errors.BadRequestException", InvalidRequest),
            ("AI_NoObjectGeneratedError", InvalidRequest),
            ("AuthenticationError", Authentication),
            ("AI_LoadAPIKeyError", Authentication),
            ("com.openai.errors.UnauthorizedException", Authentication),
            ("PermissionDeniedError", Permission),
            ("AccessDeniedException", Permission),
            ("NotFoundError", NotFound),
            ("azure.core.exceptions.ResourceNotFoundError", NotFound),
            ("ContentTooLargeError", TooLarge),
            ("ConflictError", Timeout),
            ("RateLimitError", RateLimit),
            ("com.google.api.gax.rpc.ResourceExhaustedException", RateLimit),
            ("TooManyRequestsException", RateLimit),
            ("OverloadedError", Overloaded),
            ("com.google.api.gax.rpc.UnavailableException", Overloaded),
            ("httpx.ReadTimeout", Timeout),
            ("java.util.concurrent.TimeoutException", Timeout),
            ("context.DeadlineExceeded", Timeout),
            ("google.api_core.exceptions.RetryError", Timeout),
            ("google.api_core.exceptions.Unknown", ServerError),
            ("openai.APIConnectionError", Connection),
            ("ECONNRESET", Connection),
            ("ModelStreamErrorException", ServerError),
            ("ContextWindowExceededError", ContextLength),
            ("ContentPolicyViolationError", ContentPolicy),
            ("ServiceQuotaExceededException", QuotaExhausted),
            ("asyncio.exceptions.CancelledError", Cancelled),
            ("context.Canceled", Cancelled),
        ] {
            says(raw, reason);
        }
        assert_eq!(lookup("openai.InternalServerError"), Some(Named::ByStatus));
        assert_eq!(lookup("LengthFinishReasonError"), Some(Named::CutOff));
        assert_eq!(lookup("pydantic_core._pydantic_core.ValidationError"), Some(Named::Application));
        assert_eq!(lookup("ModelErrorException"), Some(Named::ModelFailed));
    }

    #[test]
    fn a_wrapping_name_is_read_from_its_capitals() {
        says("AnthropicRateLimitError", Reason::RateLimit);
        says("strands.types.exceptions.ModelThrottledException", Reason::RateLimit);
        says("crewai.utilities.exceptions.LLMContextLengthExceededException", Reason::ContextLength);
        says("Faraday::TooManyRequestsError", Reason::RateLimit);
        says("langchain_anthropic.chat_models.AnthropicContextOverflowError", Reason::ContextLength);
        says("MyReadTimeoutError", Reason::Timeout);
        assert_eq!(lookup("ModelContextWindowExceededError"), Some(Named::Reason(Reason::ContextLength)));
    }

    #[test]
    fn a_name_that_says_nothing_is_no_evidence() {
        for raw in [
            "Exception",
            "Error",
            "APIError",
            "APIStatusError",
            "OpenAIError",
            "ClientError",
            "SDKError",
            "_OTHER",
            "error",
            "Unknown",
            "tenacity.RetryError",
            "AI_RetryError",
            "AI_APICallError",
            "botocore.exceptions.ClientError",
            "",
            "MyError",
            "FooClientError",
            "RateLimiter",
            "ratelimiterror",
            "Timeouts",
            &"E".repeat(10_000),
        ] {
            assert_eq!(lookup(raw), None, "{raw}");
        }
    }

    proptest! {
        #[test]
        fn any_name_is_read(raw in any::<String>(), name in "[A-Za-z_.:/$<>'()* é]{0,60}") {
            let _ = (lookup(&raw), lookup(&name), says_nothing(&raw));
        }
    }
}
