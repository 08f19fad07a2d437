//! What a provider's own error code says.
//!
//! The best evidence there is, where it is one: `invalid_request_error` stands on everything from a typing error to an
//! unknown key, so some codes only speak when nothing better does.

use super::Reason;
use super::grpc::GrpcCode;

/// What a code says, and how much it weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Code {
    pub(super) reason: Reason,
    pub(super) weight: Weight,
}

/// When a code decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    /// At once.
    Strong,
    /// Unless an HTTP status is known.
    BelowStatus,
    /// Only when neither telling text nor an exception nor a status other than 400 and 422 does.
    Weak,
    /// `quota_exceeded`: a daily quota, or the limit per minute.
    Quota,
    /// `string_above_max_length`: the context, or a field such as `user`.
    Length,
}

/// Looks a code up, without regard to case.
pub(super) fn lookup(code: &str) -> Option<Code> {
    if code.len() > 64 {
        return None;
    }
    let folded = code.to_ascii_lowercase();
    let (reason, weight) = match folded.as_str() {
        "invalid_request_error" | "invalid_request" | "bad_request_error" => (Reason::InvalidRequest, Weight::Weak),
        "api_error" | "internal_server_error" => (Reason::ServerError, Weight::BelowStatus),
        "quota_exceeded" | "quotaexceeded" => (Reason::QuotaExhausted, Weight::Quota),
        "string_above_max_length" => (Reason::InvalidRequest, Weight::Length),
        _ => match strong(&folded) {
            Some(reason) => (reason, Weight::Strong),
            None => {
                // As it was written: `unknown` is a gRPC code only in capitals.
                let grpc = GrpcCode::from_name(code)?;
                (grpc.reason(), if grpc.is_vague() { Weight::Weak } else { Weight::Strong })
            }
        },
    };
    Some(Code { reason, weight })
}

fn strong(code: &str) -> Option<Reason> {
    use Reason::*;
    Some(match code {
        "rate_limit_error"
        | "rate_limit_exceeded"
        | "ratelimitexceeded"
        | "slow_down"
        | "too_many_requests"
        | "rate_limited"
        | "rate_limit_reached_error"
        | "too_many_requests_error"
        | "request_quota_exceeded"
        | "throttling.ratequota"
        | "throttling.allocationquota"
        | "rate_limit"
        | "throttled"
        | "ratelimitreached"
        | "1300"
        | "3505"
        | "requests"
        | "tokens"
        | "in_flight_budget_exhausted"
        | "throttling"
        | "throttlingexception"
        | "throttledexception"
        | "requestthrottled"
        | "requestthrottledexception"
        | "toomanyrequestsexception"
        | "toomanyrequests"
        | "provisionedthroughputexceededexception"
        | "transactioninprogressexception"
        | "requestlimitexceeded"
        | "bandwidthlimitexceeded"
        | "limitexceededexception"
        | "slowdown"
        | "ec2throttledexception"
        | "priorrequestnotcomplete" => RateLimit,

        "overloaded_error"
        | "overloaded"
        | "server_is_overloaded"
        | "service_unavailable_error"
        | "service_unavailable"
        | "engine_overloaded"
        | "engine_overloaded_error"
        | "flex_capacity_exceeded"
        | "capacity_exceeded"
        | "service_tier_capacity_exceeded"
        | "unavailable" => Overloaded,

        "timeout_error"
        | "gateway_timeout_error"
        | "client_timeout_error"
        | "conflict_error"
        | "vector_store_timeout"
        | "requesttimeout"
        | "requesttimeoutexception"
        | "timeout"
        | "request_timeout"
        | "gateway_timeout" => Timeout,

        "connection_error" => Connection,

        "server_error" | "upstream_error" | "provider_error" | "bad_gateway" | "no_available_provider" => ServerError,

        "authentication_error"
        | "invalid_api_key"
        | "api_key_invalid"
        | "invalidapikey"
        | "invalid_authentication"
        | "invalid_authentication_error"
        | "no_api_key"
        | "token_expired"
        | "authentication"
        | "unauthorized" => Authentication,

        "permission_error"
        | "permission_denied"
        | "permission_denied_error"
        | "unsupported_country_region_territory"
        | "model_permission_blocked_org"
        | "insufficient_permissions"
        | "access_denied"
        | "permission"
        | "forbidden" => Permission,

        "not_found_error"
        | "model_not_found"
        | "model_not_found_error"
        | "deploymentnotfound"
        | "model_decommissioned"
        | "not_found"
        | "resource_not_found_error" => NotFound,

        "billing_error"
        | "arrearage"
        | "enforced_spend_limit_reached"
        | "insufficient_quota"
        | "credit_balance_exhausted"
        | "billing_hard_limit_reached"
        | "billing_not_active"
        | "organization_spend_limit_exceeded"
        | "project_spend_limit_exceeded"
        | "organization_usage_limit_exceeded"
        | "weight_exceeds_budget"
        | "payment_required"
        | "insufficient_balance"
        | "insufficient_credits"
        | "exceeded_current_quota_error"
        | "budgetexceeded"
        | "budget_exceeded" => QuotaExhausted,

        "request_too_large" | "payload_too_large" | "image_too_large" | "file_too_large" => TooLarge,

        "context_length_exceeded"
        | "context_window_exceeded"
        | "model_max_prompt_tokens_exceeded"
        | "max_tokens_exceeded"
        | "prompt_too_long"
        | "input_too_long" => ContextLength,

        "content_policy_violation"
        | "content_filter"
        | "content_filter_policy"
        | "responsibleaipolicyviolation"
        | "moderation_blocked"
        | "datainspectionfailed"
        | "data_inspection_failed"
        | "bio_policy"
        | "cyber_policy"
        | "image_content_policy_violation"
        | "safety_violation"
        | "content_blocked"
        | "prohibited_content"
        | "safety"
        | "blocklist" => ContentPolicy,

        "invalid_prompt"
        | "invalid_image"
        | "invalid_image_format"
        | "invalid_image_mode"
        | "invalid_base64_image"
        | "image_parse_error"
        | "empty_image_file"
        | "failed_to_download_image"
        | "unsupported_image_media_type"
        | "image_file_not_found"
        | "data_residency_mismatch"
        | "unsupported_value"
        | "unsupported_parameter"
        | "invalid_value"
        | "invalid_type"
        | "missing_required_parameter"
        | "unknown_parameter"
        | "json_validate_failed"
        | "tool_use_failed"
        | "unprocessable_entity" => InvalidRequest,

        _ if is_spend_limit(code) => QuotaExhausted,
        _ => return None,
    })
}

/// `…_spend_limit_exceeded`, for whatever a provider puts a limit on.
fn is_spend_limit(code: &str) -> bool {
    code.ends_with("_spend_limit_exceeded")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn says(code: &str, reason: Reason) {
        assert_eq!(lookup(code), Some(Code { reason, weight: Weight::Strong }), "{code}");
    }

    #[test]
    fn representative_codes_have_their_reason() {
        use Reason::*;
        for (code, reason) in [
            ("rate_limit_error", RateLimit),
            ("RateLimitReached", RateLimit),
            ("3505", RateLimit),
            ("tokens", RateLimit),
            ("ThrottlingException", RateLimit),
            ("EC2ThrottledException", RateLimit),
            ("in_flight_budget_exhausted", RateLimit),
            ("RESOURCE_EXHAUSTED", RateLimit),
            ("overloaded_error", Overloaded),
            ("server_is_overloaded", Overloaded),
            ("flex_capacity_exceeded", Overloaded),
            ("unavailable", Overloaded),
            ("UNAVAILABLE", Overloaded),
            ("timeout", Timeout),
            ("client_timeout_error", Timeout),
            ("conflict_error", Timeout),
            ("deadline_exceeded", Timeout),
            ("connection_error", Connection),
            ("server_error", ServerError),
            ("INTERNAL", ServerError),
            ("bad_gateway", ServerError),
            ("invalid_api_key", Authentication),
            ("unauthorized", Authentication),
            ("insufficient_permissions", Permission),
            ("DeploymentNotFound", NotFound),
            ("insufficient_quota", QuotaExhausted),
            ("team_spend_limit_exceeded", QuotaExhausted),
            ("BudgetExceeded", QuotaExhausted),
            ("request_too_large", TooLarge),
            ("context_length_exceeded", ContextLength),
            ("ResponsibleAIPolicyViolation", ContentPolicy),
            ("SAFETY", ContentPolicy),
            ("unsupported_value", InvalidRequest),
            ("CANCELLED", Cancelled),
        ] {
            says(code, reason);
        }
    }

    #[test]
    fn a_vague_code_waits_for_better_evidence() {
        for code in ["invalid_request_error", "INVALID_ARGUMENT", "FAILED_PRECONDITION"] {
            assert_eq!(lookup(code), Some(Code { reason: Reason::InvalidRequest, weight: Weight::Weak }), "{code}");
        }
        assert_eq!(lookup("api_error").map(|c| c.weight), Some(Weight::BelowStatus));
        assert_eq!(lookup("string_above_max_length").map(|c| c.weight), Some(Weight::Length));
        assert_eq!(lookup("quota_exceeded").map(|c| c.weight), Some(Weight::Quota));
    }

    #[test]
    fn what_no_provider_sends_is_no_code() {
        for code in
            ["", "error", "_OTHER", "unknown", "429", "request", "token", "rate", "rate_limit_errors", "messages", &"x".repeat(1000)]
        {
            assert_eq!(lookup(code), None, "{code}");
        }
    }
}
