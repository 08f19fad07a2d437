//! What an HTTP status says about a failure.
//!
//! The weakest of the structured signals: 400 and 429 are each used for things that waiting helps and things it
//! does not, so a status decides only where no code, exception or telling text has.

use super::{Class, Reason};

/// The class and reason of a status, 400 to 599. For 424 they disagree: a model that failed on this input will fail again.
pub(super) fn verdict(status: u16) -> Option<(Class, Reason)> {
    use Reason::*;
    let reason = match status {
        400 => InvalidRequest,
        401 | 407 | 498 => Authentication,
        402 => QuotaExhausted,
        403 => Permission,
        404 | 410 => NotFound,
        // 409 and 423: something else holds a lock; the SDKs wait and try again.
        408 | 409 | 423 => Timeout,
        413 | 414 | 431 => TooLarge,
        424 => return Some((Class::Permanent, ServerError)),
        425 => ServerError,
        429 => RateLimit,
        451 => ContentPolicy,
        499 => Cancelled,
        400..=499 => InvalidRequest,
        501 | 505 | 508 | 510 | 511 => InvalidRequest,
        503 | 529 => Overloaded,
        504 | 522 | 524 => Timeout,
        // Codes of proxies that did not reach the server.
        520 | 521 | 523 | 525 | 526 | 527 | 530 => Connection,
        500..=599 => ServerError,
        _ => return None,
    };
    Some((reason.class(), reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_its_reason() {
        use Reason::*;
        for (reason, statuses) in [
            (InvalidRequest, &[400, 405, 406, 411, 412, 415, 416, 417, 418, 421, 422, 426, 428, 444, 501, 505, 508, 510, 511][..]),
            (Authentication, &[401, 407, 498]),
            (QuotaExhausted, &[402]),
            (Permission, &[403]),
            (NotFound, &[404, 410]),
            (Timeout, &[408, 409, 423, 504, 522, 524]),
            (TooLarge, &[413, 414, 431]),
            (RateLimit, &[429]),
            (ContentPolicy, &[451]),
            (Cancelled, &[499]),
            (ServerError, &[425, 500, 502, 506, 507, 599]),
            (Overloaded, &[503, 529]),
            (Connection, &[520, 521, 523, 525, 526, 527, 530]),
        ] {
            for status in statuses {
                assert_eq!(verdict(*status), Some((reason.class(), reason)), "{status}");
            }
        }
    }

    #[test]
    fn a_failed_dependency_is_a_server_error_that_waiting_does_not_help() {
        assert_eq!(verdict(424), Some((Class::Permanent, Reason::ServerError)));
    }

    #[test]
    fn a_status_that_is_no_failure_says_nothing() {
        for status in [0, 100, 200, 302, 399, 600, u16::MAX] {
            assert_eq!(verdict(status), None, "{status}");
        }
    }
}
