//! User and password inside a URL, anchored at the `://`.

use super::placeholder::{Written, is_placeholder};
use super::{Detector, Probe, Set};
use crate::redact::Kind;
use crate::redact::text::{Out, Text};

/// The detector.
pub(super) const DETECTOR: Detector = Detector { probe: Probe::Window(|| vec![Set::bytes(b"://")], find) };

/// Longest user and password together.
const USER_INFO: usize = 512;

fn find(text: &Text<'_>, at: usize, out: &mut Out<'_>) -> usize {
    let scheme_ends = at - usize::from(at > 0);
    let start = at + 2;
    if !text.before(scheme_ends).is_ascii_alphanumeric() {
        return start;
    }
    let stop = text.run(start, USER_INFO, |b| {
        !b.is_ascii_whitespace() && !b.is_ascii_control() && !matches!(b, b'/' | b'?' | b'#' | b'"' | b'\'' | b'<' | b'>' | b'\\' | b'`')
    });
    let info = text.slice(start, stop);
    let Some(sign) = info.iter().rposition(|&b| b == b'@') else { return start };
    let end = start + sign;
    let Some(colon) = info.iter().take(sign).position(|&b| b == b':') else { return start };
    let host = text.at(end + 1);
    let password = text.str.get(start + colon + 1..end).unwrap_or_default();
    let named = host.is_ascii_alphanumeric() || matches!(host, b'[' | b'_' | 0x80..) || (text.cut && host == 0);
    if named && !is_placeholder(password, Written::Quoted) {
        out.secret(text, Kind::UrlCredential, "", start, end);
    }
    end
}

#[cfg(test)]
mod tests {
    use crate::redact::Kind::UrlCredential;
    use crate::redact::detectors::testing::{found, none};

    #[test]
    fn user_and_password_go_and_the_host_stays() {
        for (text, hit) in [
            ("postgres://app:EXAMPLE-hunter2@db.internal.example:5432/prod", "app:EXAMPLE-hunter2"),
            ("redis://:p4ss@cache:6379/0", ":p4ss"),
            ("see https://bob%40x:p%40ss!@[2001:db8::1]/", "bob%40x:p%40ss!"),
            ("amqp://a:b@c@mq:5672/", "a:b@c"),
        ] {
            assert_eq!(found(text).first(), Some(&(UrlCredential, hit)), "{text}");
        }
    }

    #[test]
    fn placeholders_users_alone_and_paths_stay() {
        for text in [
            "postgres://app:${DB_PASS}@db:5432",
            "https://user:<password>@host",
            "https://user:password@host",
            "https://bob@host/x",
            "https://host:8080/x@y",
            "https://host/a:b@c",
            "://a:b@c",
        ] {
            none(text);
        }
    }
}
