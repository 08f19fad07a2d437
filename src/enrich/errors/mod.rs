//! Why a call failed, and whether trying again can help.
//!
//! The evidence contradicts itself: 429 stands for "wait a second" and for "your credit is gone", 400 for a typing error
//! and for a prompt that is too long, a broken stream for a 200. So evidence is weighed in one fixed order, from what
//! the provider says itself down to words in a message, and the known contradictions are settled before it.
//! *Transient* means: the same request, sent again later and unchanged, can succeed.

mod body;
mod clues;
mod codes;
mod echo;
mod exceptions;
mod grpc;
mod http;
mod markers;
mod message;
mod rules;

pub use grpc::GrpcCode;
pub use rules::{Rule, Rules};

use crate::enrich::finish::{Failure, Finish, Reasons};
use clues::Clues;
use codes::Weight;
use exceptions::Named;
use serde::Deserialize;
use std::borrow::Cow;

/// Whether the same request can succeed later. Written as `tollgate.error.class`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// It can.
    Transient,
    /// It cannot, before somebody changes something.
    Permanent,
    /// Nothing is known.
    Unknown,
}

impl Class {
    /// The value written on the span.
    pub const fn as_str(self) -> &'static str {
        match self {
            Class::Transient => "transient",
            Class::Permanent => "permanent",
            Class::Unknown => "unknown",
        }
    }
}

/// Why a call failed. Written as `tollgate.error.reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Too many requests or tokens in a short time.
    RateLimit,
    /// The provider has no room.
    Overloaded,
    /// It took too long, or something else held a lock.
    Timeout,
    /// The provider was not reached, or the connection broke.
    Connection,
    /// The provider failed.
    ServerError,
    /// The money or the allowance is used up.
    QuotaExhausted,
    /// No key, or a wrong one.
    Authentication,
    /// The key does not reach that far.
    Permission,
    /// The request is wrong.
    InvalidRequest,
    /// The prompt does not fit the model.
    ContextLength,
    /// The provider does not want to answer that.
    ContentPolicy,
    /// No such model, deployment or thing.
    NotFound,
    /// The request has too many bytes.
    TooLarge,
    /// The caller gave up.
    Cancelled,
    /// Nothing is known.
    #[serde(skip)]
    Unknown,
}

impl Reason {
    /// The class that belongs to the reason.
    pub const fn class(self) -> Class {
        use Reason::*;
        match self {
            RateLimit | Overloaded | Timeout | Connection | ServerError => Class::Transient,
            QuotaExhausted | Authentication | Permission | InvalidRequest | ContextLength | ContentPolicy | NotFound | TooLarge
            | Cancelled => Class::Permanent,
            Unknown => Class::Unknown,
        }
    }

    /// The value written on the span.
    pub const fn as_str(self) -> &'static str {
        match self {
            Reason::RateLimit => "rate_limit",
            Reason::Overloaded => "overloaded",
            Reason::Timeout => "timeout",
            Reason::Connection => "connection",
            Reason::ServerError => "server_error",
            Reason::QuotaExhausted => "quota_exhausted",
            Reason::Authentication => "authentication",
            Reason::Permission => "permission",
            Reason::InvalidRequest => "invalid_request",
            Reason::ContextLength => "context_length",
            Reason::ContentPolicy => "content_policy",
            Reason::NotFound => "not_found",
            Reason::TooLarge => "too_large",
            Reason::Cancelled => "cancelled",
            Reason::Unknown => "unknown",
        }
    }
}

/// Which evidence decided. Written as `tollgate.error.source`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// A rule of the user.
    Rule,
    /// `x-should-retry` and the like, against what the reason would have meant.
    RetryFlag,
    /// The provider's own code.
    ProviderCode,
    /// The name of an exception.
    Exception,
    /// The HTTP status.
    HttpStatus,
    /// The gRPC status.
    GrpcCode,
    /// Words in a message.
    Message,
    /// The finish reason.
    FinishReason,
}

impl Source {
    /// The value written on the span.
    pub const fn as_str(self) -> &'static str {
        match self {
            Source::Rule => "rule",
            Source::RetryFlag => "retry_flag",
            Source::ProviderCode => "provider_code",
            Source::Exception => "exception",
            Source::HttpStatus => "http_status",
            Source::GrpcCode => "grpc_code",
            Source::Message => "message",
            Source::FinishReason => "finish_reason",
        }
    }
}

/// What is known about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorFact {
    /// Whether trying again can help.
    pub class: Class,
    /// Why it failed.
    pub reason: Reason,
    /// Which evidence decided; `None` where there was none.
    pub source: Option<Source>,
}

impl ErrorFact {
    const UNKNOWN: ErrorFact = ErrorFact { class: Class::Unknown, reason: Reason::Unknown, source: None };

    fn new(reason: Reason, source: Source) -> ErrorFact {
        ErrorFact { class: reason.class(), reason, source: Some(source) }
    }
}

/// What one span, with its exception events, says about a failure. Of several events the last one counts; children do not.
// Not `Debug` in the program: messages must not get into a log by accident.
#[derive(Clone, Default)]
#[cfg_attr(test, derive(Debug))]
pub struct Evidence<'a> {
    /// The span status is ERROR.
    pub status_error: bool,
    /// `langfuse.observation.level` is `ERROR`.
    pub level_error: bool,
    /// `gen_ai.response.status` is `failed`.
    pub response_failed: bool,
    /// `tool.success` is false.
    pub tool_failed: bool,
    /// There is an `exception` or `gen_ai.client.operation.exception` event.
    pub exception_event: bool,
    /// The span is of any GenAI kind.
    pub genai: bool,
    /// The span is of a priced kind.
    pub priced: bool,
    /// There are output tokens.
    pub has_output: bool,
    /// All finish reasons.
    pub finish: Reasons,

    /// `http.response.header.x-should-retry`, `error.retryable`, `error.is_retryable`, `ai.error.isRetryable`.
    pub retryable: Option<bool>,
    /// `error.http_status`.
    pub error_http_status: Option<u16>,
    /// `http.response.status_code`, else `http.status_code`.
    pub http_status: Option<u16>,
    /// `status_code`, else `error.status_code`.
    pub other_status: Option<u16>,
    /// `rpc.grpc.status_code`, else `rpc.response.status_code`.
    pub grpc: Option<GrpcCode>,
    /// `error.type`; a number as its digits.
    pub error_type: Option<Cow<'a, str>>,
    /// `error.code`; a number as its digits.
    pub error_code: Option<Cow<'a, str>>,
    /// `exception.type`.
    pub exception_type: Option<&'a str>,
    /// `error.class`, else `gen_ai.framework.error.class`.
    pub error_class: Option<&'a str>,
    /// `exception.message`.
    pub exception_message: Option<&'a str>,
    /// `error.message`.
    pub error_message: Option<&'a str>,
    /// The message of the span status.
    pub status_message: Option<&'a str>,
    /// `langfuse.observation.status_message`.
    pub level_message: Option<&'a str>,
    /// `error`, where it is text.
    pub error_text: Option<&'a str>,
    /// The provider, canonical; else `error.llm_provider`.
    pub provider: Option<&'a str>,
}

/// How a span stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing failed.
    Fine,
    /// An attempt failed, the call did not.
    Recovered,
    /// The call failed.
    Failed,
}

impl<'a> Evidence<'a> {
    /// Whether the span is an error at all.
    pub fn standing(&self) -> Standing {
        let failed = |status: Option<u16>| status.is_some_and(|s| s >= 400);
        let broken = self.finish.worst() == Some(Finish::Error) && !self.has_output;
        let typed = self.error_type.as_ref().is_some_and(|t| !t.trim().is_empty());
        let says = self.status_error || typed || self.level_error || self.response_failed || self.tool_failed || broken;
        if says || failed(self.error_http_status) || self.genai && failed(self.http_status) {
            return Standing::Failed;
        }
        if !self.exception_event {
            return Standing::Fine;
        }
        // Some exporters say OK on failures. An answered call recovered from its exception.
        let answered = !self.finish.is_empty() || self.has_output;
        if self.priced && !answered { Standing::Failed } else { Standing::Recovered }
    }

    /// The finish reason that the exception of an SDK stands for: the answer came, and was refused for how it ended.
    pub fn finish_of_exception(&self) -> Option<Finish> {
        let names = [self.exception_type, self.error_type.as_deref(), self.error_class];
        names.into_iter().flatten().find_map(|name| match exceptions::bare(name) {
            "LengthFinishReasonError" | "MaxTokensReachedException" | "IncompleteOutputException" => Some(Finish::Length),
            "ContentFilterFinishReasonError" => Some(Finish::ContentFilter),
            _ => None,
        })
    }

    /// Whether the provider ended the call with HTTP 400 because the tokens were used up. Where text had come, that is a cut answer.
    pub fn is_out_of_tokens(&self) -> bool {
        let says = |code: &Option<Cow<'_, str>>| code.as_ref().is_some_and(|code| code.trim().eq_ignore_ascii_case("max_tokens_exceeded"));
        (says(&self.error_code) || says(&self.error_type))
            && [self.error_http_status, self.http_status, self.other_status].contains(&Some(400))
            && self.standing() == Standing::Failed
    }

    /// The messages, best first.
    fn messages(&self) -> [Option<&'a str>; 5] {
        [self.exception_message, self.error_message, self.status_message, self.level_message, self.error_text]
    }
}

/// Why the span failed; `None` when it did not. Rules of the user come first.
pub fn classify(evidence: &Evidence<'_>, rules: &Rules) -> Option<ErrorFact> {
    if evidence.standing() != Standing::Failed {
        return None;
    }
    let clues = Clues::gather(evidence);
    Some(rules.decide(evidence, &clues, || weigh(evidence, &clues)))
}

/// The value for `error.type` on a failed span that has none: the provider's code, else the exception's name, else the
/// reason. Codes and names out of a message are taken only when the tables know them, so no text of a message gets in.
pub fn error_type(evidence: &Evidence<'_>, fact: &ErrorFact) -> Cow<'static, str> {
    let clues = Clues::gather(evidence);
    let code = clues.codes.iter().find(|c| codes::lookup(c).is_some()).cloned();
    let is_name = |n: &&str| n.len() <= 64 && n.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let given = || [evidence.exception_type, evidence.error_class].into_iter().flatten().filter(|n| !exceptions::says_nothing(n));
    let name = || given().map(exceptions::bare).find(is_name).map(str::to_owned);
    let mined = || clues.names.iter().map(|n| exceptions::bare(n)).find(|n| exceptions::is_exact(n)).map(str::to_owned);
    code.or_else(name).or_else(mined).map_or(Cow::Borrowed(fact.reason.as_str()), Cow::Owned)
}

/// The tables' verdict, with what only concerns the class.
fn weigh(evidence: &Evidence<'_>, clues: &Clues) -> ErrorFact {
    let mut fact = reason(evidence, clues).unwrap_or(ErrorFact::UNKNOWN);
    let certificate = ["certificate verify failed", "certificate_verify_failed", "self-signed certificate", "self signed certificate"];
    if fact.reason == Reason::Connection && certificate.iter().any(|m| clues.text.contains(m)) {
        fact.class = Class::Permanent;
    }
    // The Vercel SDK gave up after one try because it knew better than the tables.
    if clues.text.contains("with non-retryable error") {
        fact.class = Class::Permanent;
    }
    if let Some(retryable) = evidence.retryable {
        let class = if retryable { Class::Transient } else { Class::Permanent };
        if class != fact.class {
            fact = ErrorFact { class, source: Some(Source::RetryFlag), ..fact };
        }
    }
    fact
}

/// The order of evidence. The first that yields a reason decides.
fn reason(evidence: &Evidence<'_>, clues: &Clues) -> Option<ErrorFact> {
    cancellation(clues)
        .or_else(|| contradiction(evidence, clues))
        .or_else(|| provider_code(clues))
        .or_else(|| telling_text(clues))
        .or_else(|| exception(clues))
        .or_else(|| status(clues))
        .or_else(|| clues.grpc.map(|code| ErrorFact::new(code.reason(), Source::GrpcCode)))
        .or_else(|| application(clues))
        .or_else(|| markers::last_word(&clues.text).map(|r| ErrorFact::new(r, Source::Message)))
        .or_else(|| finish(evidence))
}

/// Somebody gave up, unless it was a clock: `fetch` and .NET report their own timeouts as cancellations.
fn cancellation(clues: &Clues) -> Option<ErrorFact> {
    let first = clues.names.iter().find_map(|n| exceptions::lookup(n));
    if first != Some(Named::Reason(Reason::Cancelled)) {
        return None;
    }
    let clock = ["due to timeout", "timed out", "deadline exceeded", "httpclient.timeout", "timeout of "];
    let reason = if clock.iter().any(|m| clues.text.contains(m)) { Reason::Timeout } else { Reason::Cancelled };
    Some(ErrorFact::new(reason, Source::Exception))
}

/// Signals known to contradict each other.
fn contradiction(evidence: &Evidence<'_>, clues: &Clues) -> Option<ErrorFact> {
    let text = clues.text.as_str();
    let exhausted = clues.grpc == Some(GrpcCode::RESOURCE_EXHAUSTED)
        || clues.codes.iter().any(|c| GrpcCode::from_name(c) == Some(GrpcCode::RESOURCE_EXHAUSTED));

    if clues.codes.iter().any(|c| c == "in_flight_budget_exhausted") || text.contains("in_flight_budget_exhausted") {
        return Some(ErrorFact::new(Reason::RateLimit, Source::ProviderCode));
    }
    if clues.known_codes().any(|c| c.reason == Reason::QuotaExhausted && c.weight == Weight::Strong) {
        return Some(ErrorFact::new(Reason::QuotaExhausted, Source::ProviderCode));
    }
    if clues.status == Some(402) {
        return Some(ErrorFact::new(Reason::QuotaExhausted, Source::HttpStatus));
    }
    if matches!(clues.status, None | Some(413 | 429)) && asks_more_than_the_limit(text) {
        return Some(ErrorFact::new(Reason::TooLarge, Source::Message));
    }
    let quota = clues.known_codes().any(|c| c.weight == Weight::Quota);
    if (clues.status == Some(429) || exhausted || quota) && markers::per_day(text) || exhausted && markers::out_of_money(text) {
        return Some(ErrorFact::new(Reason::QuotaExhausted, Source::Message));
    }
    if text.contains("aborted due to timeout") {
        return Some(ErrorFact::new(Reason::Timeout, Source::Message));
    }
    if clues.status == Some(400) && markers::throttled(text) {
        return Some(ErrorFact::new(Reason::RateLimit, Source::Message));
    }
    // Gemini answers a wrong key with 400.
    if clues.status == Some(400) && text.contains("api key not valid") {
        return Some(ErrorFact::new(Reason::Authentication, Source::Message));
    }
    if clues.status == Some(498) {
        match evidence.provider {
            Some("groq") => return Some(ErrorFact::new(Reason::Overloaded, Source::HttpStatus)),
            Some("cohere") => return Some(ErrorFact::new(Reason::Authentication, Source::HttpStatus)),
            _ => {}
        }
    }
    if clues.status.is_some_and(|s| s >= 500) && clues.inner_statuses().any(|s| s == 429) {
        return Some(ErrorFact::new(Reason::RateLimit, Source::HttpStatus));
    }
    let model_failed = clues.status == Some(424) || clues.names.iter().any(|n| exceptions::lookup(n) == Some(Named::ModelFailed));
    let original = clues.original_status.filter(|s| *s >= 500 || *s == 429);
    if model_failed && let Some((class, reason)) = original.and_then(http::verdict) {
        return Some(ErrorFact { class, reason, source: Some(Source::HttpStatus) });
    }
    None
}

/// The provider's own code, where it is not one of the vague ones.
fn provider_code(clues: &Clues) -> Option<ErrorFact> {
    let text = clues.text.as_str();
    let reason = clues.known_codes().find_map(|code| match code.weight {
        Weight::Strong => Some(code.reason),
        Weight::BelowStatus => clues.status.is_none().then_some(code.reason),
        Weight::Weak => None,
        Weight::Quota => {
            let minute = clues.status == Some(429) || text.contains("per minute") || text.contains("perminute");
            Some(if minute && !markers::per_day(text) { Reason::RateLimit } else { Reason::QuotaExhausted })
        }
        Weight::Length => Some(if text.contains("context") { Reason::ContextLength } else { Reason::InvalidRequest }),
    })?;
    Some(ErrorFact::new(reason, Source::ProviderCode))
}

/// Text that outweighs an exception and a status. Where no status is known, the exception stands for one.
fn telling_text(clues: &Clues) -> Option<ErrorFact> {
    let implied = || {
        clues.names.iter().find_map(|n| exceptions::lookup(n)).and_then(|named| match named {
            Named::Reason(Reason::InvalidRequest) => Some(400),
            Named::Reason(Reason::Authentication) => Some(401),
            Named::Reason(Reason::Permission) => Some(403),
            Named::Reason(Reason::NotFound) => Some(404),
            Named::Reason(Reason::Timeout) => Some(408),
            Named::Reason(Reason::RateLimit) => Some(429),
            _ => None,
        })
    };
    let reason = markers::telling(&clues.text, clues.status.or_else(implied))?;
    Some(ErrorFact::new(reason, Source::Message))
}

/// The first exception name that says something about the call.
fn exception(clues: &Clues) -> Option<ErrorFact> {
    let named = clues.names.iter().filter_map(|n| exceptions::lookup(n)).find(|n| *n != Named::Application)?;
    let reason = match named {
        // A status means that the provider was reached after all; only LiteLLM makes one up, always 500.
        Named::Reason(Reason::Connection) if clues.status.is_some_and(|s| s != 500) => return None,
        // LiteLLM puts this name on whatever it does not know.
        Named::Reason(Reason::Connection) if clues.text.contains("litellm.apiconnectionerror") => {
            markers::last_word(&clues.text).unwrap_or(Reason::Connection)
        }
        Named::Reason(reason) => reason,
        Named::ByStatus => {
            let status = clues.status.filter(|s| *s >= 500 || *s == 429).and_then(http::verdict);
            status.filter(|(class, _)| *class == Class::Transient).map_or(Reason::ServerError, |(_, reason)| reason)
        }
        Named::ModelFailed => {
            return Some(ErrorFact { class: Class::Permanent, reason: Reason::ServerError, source: Some(Source::Exception) });
        }
        Named::CutOff => Reason::InvalidRequest,
        Named::Application => return None,
    };
    Some(ErrorFact::new(reason, Source::Exception))
}

/// The HTTP status; a vague code is worth as much as 400 and 422.
fn status(clues: &Clues) -> Option<ErrorFact> {
    let vague = clues.known_codes().find(|c| c.weight == Weight::Weak);
    if let Some(code) = vague.filter(|_| matches!(clues.status, None | Some(400 | 422))) {
        return Some(ErrorFact::new(code.reason, Source::ProviderCode));
    }
    let (class, reason) = http::verdict(clues.status?)?;
    Some(ErrorFact { class, reason, source: Some(Source::HttpStatus) })
}

/// An error of the application's own: the request was wrong, unless the text tells of the world outside
/// (`TypeError: fetch failed`).
fn application(clues: &Clues) -> Option<ErrorFact> {
    clues.names.iter().find(|n| exceptions::lookup(n) == Some(Named::Application))?;
    // "timeout must be positive" is no timeout.
    let outside = markers::worldly(&clues.text)
        .filter(|r| *r != Reason::Timeout || ["timed out", "deadline exceeded"].iter().any(|m| clues.text.contains(m)));
    Some(outside.map_or(ErrorFact::new(Reason::InvalidRequest, Source::Exception), |r| ErrorFact::new(r, Source::Message)))
}

/// How the answer ended.
fn finish(evidence: &Evidence<'_>) -> Option<ErrorFact> {
    let reason = match evidence.finish.failure() {
        Some(Failure::Overloaded) => Reason::Overloaded,
        Some(Failure::Timeout) => Reason::Timeout,
        Some(Failure::Cancelled) => Reason::Cancelled,
        Some(Failure::Broken) => Reason::ServerError,
        None if evidence.finish.worst() == Some(Finish::ContentFilter) => Reason::ContentPolicy,
        None => return None,
    };
    Some(ErrorFact::new(reason, Source::FinishReason))
}

/// `Request too large for … Limit 30000, Requested 45000`: waiting does not make it smaller.
fn asks_more_than_the_limit(text: &str) -> bool {
    let number = |mark: &str| -> Option<u64> {
        // The word can stand before without a number: "tokens per minute limit reached: Limit 30,000".
        text.split(mark).skip(1).find_map(|after| {
            let number = after.trim_start_matches([':', ' ']);
            let end = number.find(|c: char| !c.is_ascii_digit() && c != ',').unwrap_or(number.len());
            number.get(..end)?.replace(',', "").parse().ok()
        })
    };
    text.contains("request too large") && number("limit").zip(number("requested")).is_some_and(|(limit, requested)| requested > limit)
}

#[cfg(test)]
mod tests;
