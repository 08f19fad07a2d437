//! What an answer of a backend means.
//!
//! OTLP says which answers may be asked again and which never (specification, "OTLP/gRPC Response", "OTLP/HTTP Response"). Of the latter it
//! leaves open what to do with the data. An operator wants two of them apart: a request the backend will never like, whose culprit is
//! found and set aside so that the rest arrives; and a stage that was set up wrong, whose data must wait until somebody repairs it.
//!
//! | answer | rule |
//! |---|---|
//! | gRPC CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS, RESOURCE_EXHAUSTED with RetryInfo; HTTP 429, 502, 503, 504; no answer | sent again, later |
//! | gRPC UNAUTHENTICATED, PERMISSION_DENIED; HTTP 3xx, 401, 403, 407, 415; a path or service that is not there, for traces | sent again every `max_interval`, with an error in the log |
//! | a path or service that is not there (gRPC UNIMPLEMENTED; HTTP 404, 405, 501), for logs and metrics | that signal is dropped for this destination, counted |
//! | everything else | halved until the single item is found that is refused, which is set aside |

use crate::otlp::signal::Signal;
use http::StatusCode;
use std::fmt;
use std::time::{Duration, SystemTime};
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// The longest hint that is followed: a wrong clock or a broken backend must not silence a destination for days.
pub(crate) const LONGEST_HINT: Duration = Duration::from_secs(600);

/// The most characters of a backend's message that are logged.
const LONGEST_MESSAGE: usize = 200;

/// What became of one request.
#[derive(Debug, PartialEq)]
pub(crate) enum Verdict {
    /// The backend has it, except `rejected` items; `message` is its warning.
    Delivered {
        /// Items of the request it did not take.
        rejected: u64,
        /// What it had to say; empty as a rule.
        message: Message,
    },
    /// Not now.
    Later {
        /// Why.
        reason: Reason,
        /// How long it asks us to wait.
        hint: Option<Duration>,
        /// What it had to say.
        message: Message,
    },
    /// Not before somebody repairs the backend or the config.
    Misconfigured {
        /// Why.
        reason: Reason,
        /// What it had to say.
        message: Message,
    },
    /// Never, as a whole.
    Refused {
        /// Why.
        reason: Reason,
        /// What it had to say.
        message: Message,
    },
    /// Never, for no data of this signal.
    Unsupported,
    /// Given up: there is nobody to ask again.
    Failed(Reason),
}

/// Why something was not delivered: a closed set, for a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Reason {
    /// A gRPC status.
    Grpc(Code),
    /// An HTTP status.
    Http(StatusCode),
    /// The backend could not be reached, or the connection broke.
    Connection,
    /// No answer in time.
    Timeout,
    /// An answer that is not gRPC.
    Protocol,
    /// Taken by the backend in part.
    PartialSuccess,
    /// A signal the backend does not take.
    UnsupportedSignal,
    /// Not written to its file or to standard output.
    Write,
    /// `retry_on_failure.max_elapsed_time` is over.
    MaxElapsedTime,
    /// The queue was full and `block_on_overflow` is false.
    QueueFull,
    /// The time to drain was over.
    Shutdown,
    /// The destination is no longer in the config, and its time to drain was over.
    Removed,
    /// It could not be encoded, or its task ended in a panic.
    Internal,
}

impl Reason {
    /// For a label.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Reason::Grpc(code) => grpc_label(code),
            Reason::Http(status) => http_label(status),
            Reason::Connection => "connection",
            Reason::Timeout => "timeout",
            Reason::Protocol => "protocol",
            Reason::PartialSuccess => "partial_success",
            Reason::UnsupportedSignal => "unsupported_signal",
            Reason::Write => "write",
            Reason::MaxElapsedTime => "max_elapsed_time",
            Reason::QueueFull => "queue_full",
            Reason::Shutdown => "shutdown",
            Reason::Removed => "removed",
            Reason::Internal => "internal",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

const fn grpc_label(code: Code) -> &'static str {
    match code {
        Code::Ok => "ok",
        Code::Cancelled => "cancelled",
        Code::Unknown => "unknown",
        Code::InvalidArgument => "invalid_argument",
        Code::DeadlineExceeded => "deadline_exceeded",
        Code::NotFound => "not_found",
        Code::AlreadyExists => "already_exists",
        Code::PermissionDenied => "permission_denied",
        Code::ResourceExhausted => "resource_exhausted",
        Code::FailedPrecondition => "failed_precondition",
        Code::Aborted => "aborted",
        Code::OutOfRange => "out_of_range",
        Code::Unimplemented => "unimplemented",
        Code::Internal => "internal_error",
        Code::Unavailable => "unavailable",
        Code::DataLoss => "data_loss",
        Code::Unauthenticated => "unauthenticated",
    }
}

fn http_label(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => "http_400",
        401 => "http_401",
        403 => "http_403",
        404 => "http_404",
        405 => "http_405",
        407 => "http_407",
        408 => "http_408",
        413 => "http_413",
        415 => "http_415",
        422 => "http_422",
        429 => "http_429",
        500 => "http_500",
        501 => "http_501",
        502 => "http_502",
        503 => "http_503",
        504 => "http_504",
        300..400 => "http_3xx",
        400..500 => "http_4xx",
        _ => "http_5xx",
    }
}

/// A backend's own words, cut short and without control characters.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Message(String);

impl Message {
    pub(crate) fn new(text: &str) -> Message {
        let short: String = text.trim().chars().take(LONGEST_MESSAGE).map(|c| if c.is_control() { ' ' } else { c }).collect();
        Message(if text.trim().chars().nth(LONGEST_MESSAGE).is_some() { short + "…" } else { short })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// The rule for a gRPC status that is not OK.
pub(crate) fn of_grpc(signal: Signal, status: &Status, compressed: bool) -> Verdict {
    let (reason, message) = (Reason::Grpc(status.code()), Message::new(status.message()));
    let delay = status.get_details_retry_info().map(|info| info.retry_delay.unwrap_or_default());
    match status.code() {
        Code::Ok => Verdict::Delivered { rejected: 0, message },
        // tonic answers a request over its size limit like that, and would do so for ever.
        Code::OutOfRange if speaks_of_size(status.message()) => Verdict::Refused { reason, message },
        Code::Cancelled | Code::DeadlineExceeded | Code::Aborted | Code::OutOfRange | Code::Unavailable | Code::DataLoss => {
            Verdict::Later { reason, hint: delay.and_then(usable), message }
        }
        Code::ResourceExhausted if delay.is_some() => Verdict::Later { reason, hint: delay.and_then(usable), message },
        Code::Unauthenticated | Code::PermissionDenied => Verdict::Misconfigured { reason, message },
        // Also the answer to an encoding the backend does not know, whatever the signal.
        Code::Unimplemented if signal == Signal::Traces || compressed && speaks_of_encoding(status.message()) => {
            Verdict::Misconfigured { reason, message }
        }
        Code::Unimplemented => Verdict::Unsupported,
        _ => Verdict::Refused { reason, message },
    }
}

/// The rule for an HTTP status that is not 2xx.
pub(crate) fn of_http(signal: Signal, status: StatusCode, retry_after: Option<&str>, now: SystemTime, message: Message) -> Verdict {
    let reason = Reason::Http(status);
    match status.as_u16() {
        429 | 502 | 503 | 504 => Verdict::Later { reason, hint: retry_after.and_then(|text| hint(text, now)), message },
        404 | 405 | 501 if signal != Signal::Traces => Verdict::Unsupported,
        300..=399 | 401 | 403 | 404 | 405 | 407 | 415 | 501 => Verdict::Misconfigured { reason, message },
        _ => Verdict::Refused { reason, message },
    }
}

/// The gRPC status that an HTTP status without one stands for (gRPC, "HTTP to gRPC Status Code Mapping"), and 413 beyond it.
pub(crate) fn of_bare_http(signal: Signal, status: StatusCode) -> Verdict {
    let grpc = |code| of_grpc(signal, &Status::new(code, format!("HTTP status {}", status.as_u16())), false);
    match status.as_u16() {
        413 => Verdict::Refused { reason: Reason::Http(status), message: Message::default() },
        400 => grpc(Code::Internal),
        401 => grpc(Code::Unauthenticated),
        403 => grpc(Code::PermissionDenied),
        404 => grpc(Code::Unimplemented),
        429 | 502 | 503 | 504 => Verdict::Later { reason: Reason::Http(status), hint: None, message: Message::default() },
        _ => Verdict::Later { reason: Reason::Protocol, hint: None, message: Message::default() },
    }
}

/// `Retry-After`: whole seconds, or the date of RFC 9110.
fn hint(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    let delay = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        // More digits than a u64 has is still a number of seconds.
        Err(_) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => LONGEST_HINT,
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default(),
    };
    usable(delay)
}

/// A hint of no time at all says nothing about when.
fn usable(delay: Duration) -> Option<Duration> {
    (!delay.is_zero()).then(|| delay.min(LONGEST_HINT))
}

fn speaks_of_size(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["too large", "larger than", "exceeds max", "too big"].iter().any(|words| message.contains(words))
}

fn speaks_of_encoding(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["encoding", "compress", "gzip", "zstd"].iter().any(|word| message.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic_types::ErrorDetails;

    fn grpc(code: Code) -> Verdict {
        of_grpc(Signal::Traces, &Status::new(code, "x"), false)
    }

    fn http(status: u16, retry_after: Option<&str>) -> Verdict {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        of_http(Signal::Traces, StatusCode::from_u16(status).unwrap(), retry_after, now, Message::default())
    }

    fn hint_of(verdict: &Verdict) -> Option<Duration> {
        if let Verdict::Later { hint, .. } = verdict { *hint } else { None }
    }

    #[test]
    fn exactly_the_grpc_codes_of_the_specification_are_asked_again() {
        let retried = [Code::Cancelled, Code::DeadlineExceeded, Code::Aborted, Code::OutOfRange, Code::Unavailable, Code::DataLoss];
        for number in 1..=16 {
            let code = Code::from(number);
            assert_eq!(matches!(grpc(code), Verdict::Later { .. }), retried.contains(&code), "{code:?}");
        }
    }

    #[test]
    fn exhausted_is_passing_with_a_hint_and_final_without() {
        let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(7)));
        let status = Status::with_error_details(Code::ResourceExhausted, "slow down", details);
        assert_eq!(hint_of(&of_grpc(Signal::Traces, &status, false)), Some(Duration::from_secs(7)));
        assert!(matches!(grpc(Code::ResourceExhausted), Verdict::Refused { .. }));
    }

    #[test]
    fn out_of_range_that_speaks_of_size_is_final() {
        let tonic = "Error, decoded message length too large: found 5242880 bytes, the limit is: 4194304 bytes";
        assert!(matches!(of_grpc(Signal::Traces, &Status::out_of_range(tonic), false), Verdict::Refused { .. }));
        assert!(matches!(of_grpc(Signal::Traces, &Status::out_of_range("clock"), false), Verdict::Later { .. }));
    }

    #[test]
    fn exactly_four_http_statuses_are_asked_again() {
        for status in 300..600 {
            let retried = matches!(http(status, None), Verdict::Later { .. });
            assert_eq!(retried, [429, 502, 503, 504].contains(&status), "{status}");
        }
        assert!(matches!(http(500, Some("3")), Verdict::Refused { .. }));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_never_endless() {
        let seconds = |text| hint_of(&http(503, Some(text))).map(|d| d.as_secs());
        assert_eq!(seconds("7"), Some(7));
        assert_eq!(seconds("Sun, 09 Sep 2001 01:46:52 GMT"), Some(12));
        assert_eq!(seconds("Sun, 09 Sep 2001 01:46:30 GMT"), None);
        assert_eq!(seconds("99999999999999999999999999"), Some(600));
        assert_eq!(seconds("Fri, 31 Dec 9999 23:59:59 GMT"), Some(600));
        assert_eq!((seconds("soon"), seconds("-1"), seconds("0")), (None, None, None));
    }

    #[test]
    fn a_service_that_is_not_there_is_a_mistake_for_traces_and_no_support_for_the_rest() {
        assert!(matches!(grpc(Code::Unimplemented), Verdict::Misconfigured { .. }));
        assert!(matches!(http(404, None), Verdict::Misconfigured { .. }));
        let status = Status::unimplemented("unknown service");
        assert_eq!(of_grpc(Signal::Logs, &status, true), Verdict::Unsupported);
        let status = Status::unimplemented("Content is compressed with `zstd` which isn't supported");
        assert!(matches!(of_grpc(Signal::Logs, &status, true), Verdict::Misconfigured { .. }));
    }

    #[test]
    fn wrong_credentials_keep_the_data() {
        for verdict in [grpc(Code::Unauthenticated), grpc(Code::PermissionDenied), http(401, None), http(403, None), http(302, None)] {
            assert!(matches!(verdict, Verdict::Misconfigured { .. }), "{verdict:?}");
        }
    }

    #[test]
    fn a_message_is_cut_short_and_stays_on_its_line() {
        assert_eq!(Message::new("a\nb\x1b[31m").as_str(), "a b [31m");
        assert_eq!(Message::new(&"é".repeat(1000)).as_str().chars().count(), LONGEST_MESSAGE + 1);
    }
}
