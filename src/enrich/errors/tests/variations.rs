//! Errors of SDKs, languages and providers that no table names: what is left is the status, or a phrase.

use super::*;

#[test]
fn a_status_is_enough_wherever_a_message_calls_it_one() {
    for status in [400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504, 520, 529u16] {
        let (class, reason) = http::verdict(status).expect("a failure");
        is(&Evidence { http_status: Some(status), ..thrown("acme.client.AcmeFault", "it failed") }, class, reason);
        is(&typed(&status.to_string(), ""), class, reason);
        for message in [
            format!("upstream answered with HTTP {status}"),
            format!("Request failed with status code {status}"),
            format!("Error code: {status} - oops"),
            format!("{status} Server said no"),
            format!("[{status}] something"),
            format!("<{status}> Internal.Algo: nope"),
            format!("API error {status}: nope"),
            format!("status={status} body=<html>"),
            format!("received {status} response"),
            format!("unexpected status: {status}"),
            format!("Server returned HTTP response code: {status} for URL: https://x"),
            format!("{{\"statusCode\": {status}, \"message\": \"no\"}}"),
            format!("{{\"error\":{{\"code\":\"{status}\"}}}}"),
            format!("Response code {status} (Whatever)"),
            format!("Service request failed.\nStatus: {status} (Whatever)"),
        ] {
            is(&thrown("com.acme.WeirdThing", &message), class, reason);
        }
    }
}

#[test]
fn other_peoples_words_are_understood() {
    for (name, message, reason) in [
        (
            "GuzzleHttp\\Exception\\ClientException",
            "Client error: `POST https://x` resulted in a `429 Too Many Requests` response:",
            Reason::RateLimit,
        ),
        ("Faraday::TooManyRequestsError", "the server responded with status 429", Reason::RateLimit),
        (
            "software.amazon.awssdk.core.exception.SdkClientException",
            "Unable to execute HTTP request: Connection reset",
            Reason::Connection,
        ),
        (
            "huggingface_hub.errors.BadRequestError",
            "Input validation error: `inputs` must have less than 4095 tokens. Given: 6000",
            Reason::ContextLength,
        ),
        ("Exception", "<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 6000]", Reason::ContextLength),
        (
            "Exception",
            r#"{"code":"DataInspectionFailed","message":"Input data may contain inappropriate content."}"#,
            Reason::ContentPolicy,
        ),
        ("Exception", r#"{"code":"InvalidApiKey","message":"Invalid API-key provided."}"#, Reason::Authentication),
        (
            "Exception",
            r#"{"code":"Arrearage","message":"Access denied, please make sure your account is in good standing."}"#,
            Reason::QuotaExhausted,
        ),
        ("Exception", r#"{"code":"Throttling.RateQuota","message":"Requests are too frequent"}"#, Reason::RateLimit),
        ("replicate.exceptions.ModelError", "NSFW content detected. Try a different prompt.", Reason::ContentPolicy),
        (
            "TooManyRequestsError",
            "status_code: 429, body: {'message': 'You are using a Trial key, which is limited to 1000 API calls / month.'}",
            Reason::QuotaExhausted,
        ),
        ("TypeError", "terminated: other side closed", Reason::Connection),
        ("ollama.ResponseError", "model \"llama9\" not found, try pulling it first", Reason::NotFound),
        ("InstructorRetryException", "1 validation error for User age Field required", Reason::InvalidRequest),
        ("Error", r#"{"error":{"message":"max organization concurrency: 3","type":"rate_limit_reached_error"}}"#, Reason::RateLimit),
        ("RateLimitError", "Error code: 429 - {'type': 'too_many_requests_error', 'code': 'request_quota_exceeded'}", Reason::RateLimit),
        ("reqwest::Error", "error sending request for url (https://x): operation timed out", Reason::Timeout),
    ] {
        means(&thrown(name, message), reason);
    }
}

#[test]
fn a_number_that_only_resembles_a_status_is_none() {
    for message in ["[429", "<500 tokens>", "[500]", "item [404] of the list", "received 500 tokens", "<404>", "see [500] responses later"]
    {
        let got = fact(&thrown("AcmeError", message));
        assert_ne!(got.source, Some(Source::HttpStatus), "{message}");
    }
}
