//! How a request is refused: what a sender is told, on either transport.
//!
//! A sender keeps what it may send again and drops the rest, so the answer decides whether data survives. "Later" is
//! always UNAVAILABLE with `RetryInfo`, or 503 with `Retry-After`; "never" is a code that no OTLP sender retries. tonic's own
//! `OUT_OF_RANGE` for a message that is too large would be sent again for ever.
//!
//! Source: OTLP specification, "Failures" of OTLP/gRPC and of OTLP/HTTP; google/rpc/code.proto, google/rpc/error_details.proto.

use crate::receive::Busy;
use crate::telemetry::memory::Budget;
use http::StatusCode;
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// The shortest and the longest time a sender is asked to wait.
const WAIT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Why a request was not taken over.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(super) enum Refusal {
    /// More than the limit, counted after decompression.
    #[error("the request is larger than {0} bytes after decompression; send smaller batches")]
    TooLarge(usize),
    /// More than all the memory there is for traffic: coming back would change nothing.
    #[error("the request needs more than the {0} bytes of service.memory.limit; send smaller batches")]
    NeverFits(usize),
    /// It can never be accepted; says why without repeating any of it.
    #[error("{0}")]
    Malformed(String),
    /// Not now.
    #[error("overloaded ({reason}), try again later")]
    Busy {
        /// What is full.
        reason: &'static str,
        /// When to come back.
        retry_after: Duration,
    },
    /// No valid token.
    #[error("unauthenticated")]
    Unauthenticated,
    /// Neither protobuf nor JSON.
    #[error("{0}")]
    ContentType(&'static str),
    /// A compression that is not spoken here, or more than one.
    #[error("the body's compression is not supported; use gzip, zstd or none, once")]
    Encoding,
    /// Marked as compressed without saying how.
    #[error("the message is marked as compressed, but grpc-encoding names no compression")]
    Unnamed,
    /// Nothing is at this path.
    #[error("there is nothing at this path")]
    NotFound,
    /// Only POST.
    #[error("only POST is supported here")]
    Method,
    /// Something failed that the request should not have been able to make fail.
    #[error("the request could not be processed")]
    Broken,
}

impl Refusal {
    /// Later: after what `busy` asks for, and up to half as long again, so that senders do not all come back at once.
    pub(super) fn later(busy: Busy) -> Refusal {
        let wait = busy.retry_after.clamp(WAIT.0, WAIT.1);
        let retry_after = wait.mul_f64(1.0 + 0.5 * rand::random::<f64>()).min(WAIT.1);
        Refusal::Busy { reason: busy.reason, retry_after }
    }

    /// There is no room for `needed` bytes: not now, or not even with `budget` empty.
    pub(super) fn no_memory(budget: &Budget, needed: usize, retry_after: Duration) -> Refusal {
        let limit = budget.limit();
        if needed > limit { Refusal::NeverFits(limit) } else { Refusal::later(Busy { retry_after, reason: "memory" }) }
    }

    /// A word for metrics and logs.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Refusal::TooLarge(_) | Refusal::NeverFits(_) => "too_large",
            Refusal::Malformed(_) => "malformed",
            Refusal::Busy { reason, .. } => reason,
            Refusal::Unauthenticated => "unauthenticated",
            Refusal::ContentType(_) => "content_type",
            Refusal::Encoding | Refusal::Unnamed => "encoding",
            Refusal::NotFound => "not_found",
            Refusal::Method => "method",
            Refusal::Broken => "broken",
        }
    }

    /// When to come back; `None` where that would change nothing.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Refusal::Busy { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }

    /// The code of the gRPC status, also that of the `Status` in an HTTP answer.
    pub(super) fn code(&self) -> Code {
        match self {
            Refusal::TooLarge(_) | Refusal::NeverFits(_) => Code::ResourceExhausted,
            Refusal::Malformed(_) | Refusal::ContentType(_) => Code::InvalidArgument,
            Refusal::Busy { .. } => Code::Unavailable,
            Refusal::Unauthenticated => Code::Unauthenticated,
            Refusal::Encoding | Refusal::NotFound | Refusal::Method => Code::Unimplemented,
            Refusal::Unnamed | Refusal::Broken => Code::Internal,
        }
    }

    /// The HTTP status.
    pub(super) fn http(&self) -> StatusCode {
        match self {
            Refusal::TooLarge(_) | Refusal::NeverFits(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::Malformed(_) | Refusal::Unnamed => StatusCode::BAD_REQUEST,
            Refusal::Busy { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Refusal::Unauthenticated => StatusCode::UNAUTHORIZED,
            Refusal::ContentType(_) | Refusal::Encoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Refusal::NotFound => StatusCode::NOT_FOUND,
            Refusal::Method => StatusCode::METHOD_NOT_ALLOWED,
            Refusal::Broken => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The gRPC status, with `RetryInfo` where the sender should come back.
    pub(super) fn grpc(&self) -> Status {
        match self.retry_after() {
            Some(delay) => Status::with_error_details(self.code(), self.to_string(), ErrorDetails::with_retry_info(Some(delay))),
            None => Status::new(self.code(), self.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senders_spread_over_half_the_wait_and_never_past_its_bounds() {
        let wait = |seconds| Refusal::later(Busy { retry_after: Duration::from_secs(seconds), reason: "memory" }).retry_after().unwrap();
        for _ in 0..200 {
            assert!((Duration::from_secs(10)..=Duration::from_secs(15)).contains(&wait(10)));
            assert!((Duration::from_secs(1)..=Duration::from_millis(1500)).contains(&wait(0)));
            assert_eq!(wait(1000), Duration::from_secs(30));
        }
        assert_ne!(wait(10), wait(10));
    }

    #[test]
    fn only_what_may_come_back_carries_retry_info() {
        let later = Refusal::later(Busy { retry_after: Duration::from_secs(3), reason: "memory" }).grpc();
        assert_eq!(later.code(), Code::Unavailable);
        assert!(later.get_details_retry_info().unwrap().retry_delay.unwrap() >= Duration::from_secs(3));
        for never in [Refusal::TooLarge(10).grpc(), Refusal::no_memory(&Budget::new(10), 11, Duration::ZERO).grpc()] {
            assert_eq!(never.code(), Code::ResourceExhausted);
            assert!(never.details().is_empty());
        }
    }
}
