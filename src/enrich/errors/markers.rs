//! Phrases that tell why a call failed, where nothing else does.
//!
//! Three groups are better evidence than a status: a used-up quota hides behind 429, a full context and a refused prompt
//! behind 400. Each still needs a status that fits, so that a word in an unrelated error does not decide. The other
//! groups speak last. The text is in lower case, with the user's own words taken out (`message.rs`).

use super::Reason;

/// Alternatives; each is a set of phrases that must all be there.
type Group = &'static [&'static [&'static str]];

const QUOTA: Group = &[
    &["insufficient_quota"],
    &["exceeded your current quota"],
    &["check your plan and billing"],
    &["credit balance is too low"],
    &["insufficient balance"],
    &["insufficient credits"],
    &["billing", "hard limit"],
    &["spend limit"],
    &["spending limit"],
    &["budget has been exceeded"],
    &["quota", "per day"],
    &["perday"],
    &["payment required"],
    &["prepayment credits are depleted"],
    &["account is not active"],
    &["api usage limits"],
    &["out of credits"],
    &["not enough credits"],
    &["insufficient funds"],
    &["requires more credits"],
    &["calls / month"],
    &["monthly limit"],
    &["monthly quota"],
    &["monthly usage limit"],
];

const CONTEXT: Group = &[
    &["context_length_exceeded"],
    &["maximum context length"],
    &["context window"],
    &["exceed context limit"],
    &["model's maximum context limit"],
    &["is longer than the model's context length"],
    &["input tokens exceed the configured limit"],
    &["`inputs` tokens + `max_new_tokens` must be"],
    &["exceeds the available context size"],
    &["exceeds the maximum number of tokens allowed"],
    &["prompt is too long"],
    &["prompt: length"],
    &["input is too long"],
    &["too many input tokens"],
    &["expected maxlength"],
    &["maximum input length is"],
    &["length limit exceeded"],
    &["prompt tokens (", "exceed model maximum"],
    &["current length is", "while limit is"],
    &["longer than the maximum model length"],
    &["maximum prompt length is"],
    &["input tokens exceeded"],
    &["prompt too long"],
    &["reduce the length of the"],
    &["`inputs` must have less than"],
    &["range of input length should be"],
];

/// A field that is too long; only the prompt's own fields are the context.
const LONG_FIELD: &str = "string too long. expected a string with maximum length";

const POLICY: Group = &[
    &["content_policy_violation"],
    &["responsibleaipolicyviolation"],
    &["content management policy"],
    &["content filtering policy"],
    &["rejected as a result of our safety system"],
    &["response was filtered"],
    &["the response was blocked"],
    &["violating our usage policy"],
    &["content_filter_policy"],
    &["the model produced invalid content"],
    &["flagged as potentially violating"],
    &["blocked by", "safety"],
    &["blocked due to", "safety"],
    &["violates our usage polic"],
    &["triggered content filter"],
    &["inappropriate content"],
    &["nsfw content"],
    &["prohibited_content"],
    &["guardrail", "interven"],
    &["moderation"],
];

const RATE: Group = &[
    &["rate limit"],
    &["rate_limit"],
    &["rate-limit"],
    &["ratelimit"],
    &["too many requests"],
    &["too many concurrent requests"],
    &["requests per minute"],
    &["requests per second"],
    &["requests per day"],
    &["tokens per minute"],
    &["resource exhausted"],
    &["resource_exhausted"],
    &["resource has been exhausted"],
    &["quota exceeded"],
    &["request was throttled"],
    &["throttl"],
    &["token_quota_reached"],
    &["slow down"],
    &["concurrency limit"],
    &["service tier capacity exceeded"],
];

const OVERLOADED: Group = &[
    &["overloaded"],
    &["currently unavailable"],
    &["temporarily unavailable"],
    &["service unavailable"],
    &["at capacity"],
    &["over capacity"],
    &["no healthy upstream"],
    &["try again later"],
    &["model is loading"],
    &["engine is currently"],
    &["server is busy"],
];

const TIMEOUT: Group = &[&["timed out"], &["timeout"], &["deadline exceeded"], &["took too long"]];

const NETWORK: Group = &[
    &["connection error"],
    &["connection reset"],
    &["connection refused"],
    &["connection aborted"],
    &["connection closed"],
    &["connection attempts failed"],
    &["cannot connect to host"],
    &["failed to establish a new connection"],
    &["econnreset"],
    &["econnrefused"],
    &["enotfound"],
    &["socket hang up"],
    &["broken pipe"],
    &["name resolution"],
    &["name or service not known"],
    &["no such host"],
    &["could not connect"],
    &["failed to connect"],
    &["unable to connect"],
    &["stream closed before"],
    &["error sending request for url"],
    &["unexpected end of stream"],
    &["unexpected end of file"],
    &["upstream connect error"],
    &["getaddrinfo"],
    &["eof occurred"],
    &["unexpected eof"],
    &["server disconnected"],
    &["peer closed connection"],
    &["incomplete chunked read"],
    &["fetch failed"],
    &["network error"],
    &["network is unreachable"],
    &["premature close"],
    &["other side closed"],
    &["certificate verify failed"],
    &["tls", "handshake"],
];

const KEY: Group = &[
    &["invalid api key"],
    &["invalid api-key"],
    &["incorrect api key"],
    &["api key not valid"],
    &["invalid x-api-key"],
    &["no api key"],
    &["could not resolve authentication"],
    &["unauthorized"],
    &["unable to locate credentials"],
    &["security token", "invalid"],
    &["security token", "expired"],
    &["could not find default credentials"],
    &["default credentials were not found"],
    &["api_key client option must be set"],
    &["authentication failed"],
    &["api_key is missing"],
    &["api key is missing"],
    &["missing api key"],
];

/// What is left, with what each means.
const MIXED: &[(Group, Reason)] = &[
    (
        &[
            &["does not exist", "model"],
            &["model not found"],
            &["model \"", "not found"],
            &["model '", "not found"],
            &["model `", "not found"],
            &["unknown model"],
            &["not supported model"],
            &["no such model"],
            &["is not found for api version"],
        ],
        Reason::NotFound,
    ),
    (
        &[&["permission denied"], &["access denied"], &["not authorized"], &["don't have access"], &["do not have access"]],
        Reason::Permission,
    ),
    (&[&["request too large"], &["request entity too large"], &["payload too large"]], Reason::TooLarge),
    (
        &[&["request was aborted"], &["operation was aborted"], &["context canceled"], &["cancelled"], &["client disconnected"]],
        Reason::Cancelled,
    ),
    (&[&["internal server error"], &["internal error"], &["bad gateway"], &["server had an error"]], Reason::ServerError),
    (
        &[
            &["bad request"],
            &["invalid request"],
            &["invalid argument"],
            &["missing required parameter"],
            &["unsupported parameter"],
            &["extra inputs are not permitted"],
            &["validation error for"],
        ],
        Reason::InvalidRequest,
    ),
];

/// Bedrock says this for a limit per minute, with words that others use for a full context.
const BEDROCK_RATE: &str = "too many tokens, please wait";

/// Whether the text tells of throttling although the status is 400.
pub(super) fn throttled(text: &str) -> bool {
    text.contains(BEDROCK_RATE)
        || ["request was throttled", "requests have been throttled", "throttlingexception"].iter().any(|m| text.contains(m))
}

/// Whether a quota that ends with the day is meant, not the limit per minute.
pub(super) fn per_day(text: &str) -> bool {
    any(&[&["perday"], &["quota", "per day"]], text)
}

/// Whether the money is gone, in words that also stand beside a quota per day.
pub(super) fn out_of_money(text: &str) -> bool {
    any(&[&["prepayment credits are depleted"], &["spending limit"], &["spend limit"], &["billing", "hard limit"]], text)
}

/// Groups that outweigh an exception and a status, each where the status fits or is unknown.
pub(super) fn telling(text: &str, status: Option<u16>) -> Option<Reason> {
    let fits = |statuses: &[u16]| status.is_none_or(|s| statuses.contains(&s));
    if text.contains(BEDROCK_RATE) {
        return Some(Reason::RateLimit);
    }
    if fits(&[400, 402, 403, 429]) && any(QUOTA, text) {
        return Some(Reason::QuotaExhausted);
    }
    if fits(&[400, 403, 413, 422, 429, 500]) && full_context(text, status) {
        return Some(Reason::ContextLength);
    }
    (fits(&[400, 403, 422, 451, 500]) && refused(text)).then_some(Reason::ContentPolicy)
}

/// The groups that speak when nothing else did.
pub(super) fn last_word(text: &str) -> Option<Reason> {
    worldly(text).or_else(|| {
        let group = |g: Group, reason| any(g, text).then_some(reason);
        group(KEY, Reason::Authentication).or_else(|| MIXED.iter().find_map(|(g, reason)| group(g, *reason)))
    })
}

/// The groups about the world outside the program: limits, load, time, network.
pub(super) fn worldly(text: &str) -> Option<Reason> {
    let groups = [(RATE, Reason::RateLimit), (OVERLOADED, Reason::Overloaded), (TIMEOUT, Reason::Timeout), (NETWORK, Reason::Connection)];
    groups
        .iter()
        .find_map(|(g, reason)| any(g, text).then_some(*reason))
        .or_else(|| (word("dns", text) || word("eof", text)).then_some(Reason::Connection))
}

fn full_context(text: &str, status: Option<u16>) -> bool {
    any(CONTEXT, text)
        || text.contains("too many tokens") && matches!(status, Some(400 | 413))
        || text.contains(LONG_FIELD) && about_the_prompt(text)
}

/// `Invalid 'user': string too long` is not about the context; without a field it is.
fn about_the_prompt(text: &str) -> bool {
    let field = text.split_once("invalid '").and_then(|(_, rest)| rest.split('\'').next());
    field.is_none_or(|f| ["messages", "input", "prompt", "contents", "instructions"].iter().any(|p| f.starts_with(p)))
}

/// `moderation` is also a part of model names.
fn refused(text: &str) -> bool {
    let (named, others) = (&["moderation"][..], POLICY.iter().filter(|g| **g != ["moderation"]));
    let model = |at: usize| text.get(..at).is_some_and(|t| t.ends_with("omni-") || t.ends_with("text-"));
    others.into_iter().any(|phrases| phrases.iter().all(|p| text.contains(p)))
        || named.iter().any(|m| text.match_indices(m).any(|(at, _)| !model(at)))
}

fn any(group: Group, text: &str) -> bool {
    group.iter().any(|phrases| phrases.iter().all(|p| text.contains(p)))
}

/// Whether the word stands alone.
fn word(word: &str, text: &str) -> bool {
    text.split(|c: char| !c.is_ascii_alphanumeric()).any(|w| w == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_telling_group_needs_a_status_that_fits() {
        for (text, reason, fits, unfit) in [
            ("your credit balance is too low to access the api", Reason::QuotaExhausted, 400, 500),
            ("prompt is too long: 214223 tokens > 200000 maximum", Reason::ContextLength, 400, 401),
            ("filtered by the content management policy", Reason::ContentPolicy, 400, 429),
        ] {
            assert_eq!(telling(text, None), Some(reason), "{text}");
            assert_eq!(telling(text, Some(fits)), Some(reason), "{text}");
            assert_eq!(telling(text, Some(unfit)), None, "{text}");
        }
    }

    #[test]
    fn every_phrase_of_a_telling_group_is_heard() {
        for (group, reason) in [(QUOTA, Reason::QuotaExhausted), (CONTEXT, Reason::ContextLength), (POLICY, Reason::ContentPolicy)] {
            for phrases in group {
                assert_eq!(telling(&phrases.join(" … "), None), Some(reason), "{phrases:?}");
            }
        }
    }

    #[test]
    fn every_phrase_of_the_other_groups_is_heard() {
        for (group, reason) in [
            (RATE, Reason::RateLimit),
            (OVERLOADED, Reason::Overloaded),
            (TIMEOUT, Reason::Timeout),
            (NETWORK, Reason::Connection),
            (KEY, Reason::Authentication),
        ]
        .iter()
        .chain(MIXED)
        {
            for phrases in *group {
                assert_eq!(last_word(&phrases.join(" … ")), Some(*reason), "{phrases:?}");
            }
        }
    }

    #[test]
    fn too_many_tokens_is_three_things() {
        assert_eq!(telling("too many tokens, please wait before trying again.", Some(429)), Some(Reason::RateLimit));
        assert_eq!(telling("too many tokens in the request", Some(400)), Some(Reason::ContextLength));
        assert_eq!(telling("too many tokens in the request", None), None);
    }

    #[test]
    fn a_long_field_is_the_context_only_when_it_is_the_prompt() {
        let about =
            |field: &str| telling(&format!("invalid '{field}': string too long. expected a string with maximum length 64"), Some(400));
        assert_eq!(about("messages[0].content"), Some(Reason::ContextLength));
        assert_eq!(about("user"), None);
        assert_eq!(about("metadata.key"), None);
    }

    #[test]
    fn a_moderation_model_is_no_moderation() {
        assert_eq!(telling("limit for omni-moderation-latest", None), None);
        assert_eq!(telling("blocked by moderation", None), Some(Reason::ContentPolicy));
    }

    #[test]
    fn a_day_is_told_from_a_minute() {
        assert!(per_day("generaterequestsperdayperprojectpermodel"));
        assert!(per_day("quota exceeded: 100 requests per day"));
        assert!(!per_day("generaterequestsperminuteperproject"));
        assert!(!per_day("limit of requests per day"));
    }

    #[test]
    fn prose_without_a_marker_says_nothing() {
        for text in ["", "something went wrong", "oops", "dnsmasq", "the model answered"] {
            assert_eq!(last_word(text), None, "{text}");
        }
        assert_eq!(last_word("dns lookup failed"), Some(Reason::Connection));
    }
}
