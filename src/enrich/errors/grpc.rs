//! What a gRPC status, and so a Google API error, says about a failure.

use super::Reason;

/// A gRPC status code of a failure, 1 to 16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrpcCode(u8);

/// Canonical names by number, from 1.
const NAMES: [&str; 16] = [
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

impl GrpcCode {
    /// `RESOURCE_EXHAUSTED`; the only one with a rule about quotas.
    pub(super) const RESOURCE_EXHAUSTED: GrpcCode = GrpcCode(8);

    /// From `rpc.grpc.status_code`. `None` for 0 (no failure) and numbers that do not exist.
    pub fn from_number(number: i64) -> Option<GrpcCode> {
        u8::try_from(number).ok().filter(|n| (1..=16).contains(n)).map(GrpcCode)
    }

    /// From a name in any spelling: `RESOURCE_EXHAUSTED`, `resource_exhausted`, `ResourceExhausted`, `StatusCode.UNAVAILABLE`.
    /// `unknown` is taken only in capitals: in any other spelling it is a word for knowing nothing.
    pub fn from_name(name: &str) -> Option<GrpcCode> {
        let name = name.rsplit('.').next().unwrap_or(name).trim();
        let letters = |n: &str| n.bytes().filter(|b| *b != b'_').map(|b| b.to_ascii_uppercase()).collect::<Vec<_>>();
        if name.len() > 24 || name.eq_ignore_ascii_case("unknown") && name != "UNKNOWN" {
            return None;
        }
        // One L is how Go and half the world write it.
        let name = if name.eq_ignore_ascii_case("canceled") { "CANCELLED" } else { name };
        let wanted = letters(name);
        let at = NAMES.iter().position(|n| letters(n) == wanted)?;
        u8::try_from(at + 1).ok().map(GrpcCode)
    }

    /// Whether the code only says that the request was refused: other evidence says why.
    pub(super) fn is_vague(self) -> bool {
        matches!(self.0, 3 | 9)
    }

    pub(super) fn reason(self) -> Reason {
        match self.0 {
            1 => Reason::Cancelled,
            4 => Reason::Timeout,
            5 => Reason::NotFound,
            7 => Reason::Permission,
            8 => Reason::RateLimit,
            14 => Reason::Overloaded,
            16 => Reason::Authentication,
            2 | 10 | 13 | 15 => Reason::ServerError,
            _ => Reason::InvalidRequest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_known_in_any_spelling() {
        for name in ["RESOURCE_EXHAUSTED", "resource_exhausted", "ResourceExhausted", "StatusCode.RESOURCE_EXHAUSTED"] {
            assert_eq!(GrpcCode::from_name(name), Some(GrpcCode::RESOURCE_EXHAUSTED), "{name}");
        }
        assert_eq!(GrpcCode::from_name("Canceled"), GrpcCode::from_number(1));
        assert_eq!(GrpcCode::from_name("UNKNOWN"), GrpcCode::from_number(2));
    }

    #[test]
    fn what_is_no_failure_is_no_code() {
        for name in ["", "OK", "unknown", "Unknown", "EXHAUSTED", "NotFoundError", "RESOURCE_EXHAUSTED_AND_MORE_OF_THE_SAME"] {
            assert_eq!(GrpcCode::from_name(name), None, "{name}");
        }
        for number in [-1, 0, 17, 264] {
            assert_eq!(GrpcCode::from_number(number), None, "{number}");
        }
    }

    #[test]
    fn each_code_has_its_reason() {
        use Reason::*;
        let reasons = [
            Cancelled,
            ServerError,
            InvalidRequest,
            Timeout,
            NotFound,
            InvalidRequest,
            Permission,
            RateLimit,
            InvalidRequest,
            ServerError,
            InvalidRequest,
            InvalidRequest,
            ServerError,
            Overloaded,
            ServerError,
            Authentication,
        ];
        for (number, reason) in (1..).zip(reasons) {
            assert_eq!(GrpcCode::from_number(number).unwrap().reason(), reason, "{number}");
        }
    }
}
