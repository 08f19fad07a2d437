//! E-mail addresses, anchored at the `@`.
//!
//! An `@` also joins packages to versions, decorators to functions and users to hosts. What tells them apart is the
//! last label: an address ends in a top-level domain, so the list of those is built in.

use super::{Detector, Probe, Set};
use crate::redact::Kind;
use crate::redact::text::{Out, Text, is_word};
use std::sync::LazyLock;

/// The detector.
pub(super) const DETECTOR: Detector = Detector { probe: Probe::Window(windows, find) };

/// Top-level domains of more than two letters: one per line, lower case, sorted, and the names RFC 2606 reserves.
static TLDS: LazyLock<Vec<&'static str>> = LazyLock::new(|| include_str!("tlds.txt").lines().collect());

/// RFC 5321 4.5.3.1: 64 octets before the `@`, 254 in all.
const LOCAL: usize = 64;
const WHOLE: usize = 254;

fn windows() -> Vec<[Set; 3]> {
    vec![[Set::Any, Set::One(b'@'), Set::Any], Set::bytes(b"%40")]
}

fn find(text: &Text<'_>, at: usize, out: &mut Out<'_>) -> usize {
    let (at, after) = if text.at(at) == b'@' { (at, at + 1) } else { (at.saturating_sub(1), at + 2) };
    let (prev, next) = (text.before(at), text.at(after));
    if !(prev > b' ' && prev != b'@' && (next.is_ascii_alphanumeric() || next >= 0x80)) {
        return at + 1;
    }
    if let Some(start) = local(text, at)
        && let Some(end) = domain(text, after, at)
        && end - start <= WHOLE
        && !retina_file(text, after, end)
        && !in_url(text, start)
    {
        // `_bob@example.org_` is written to stand out.
        let start = start + usize::from(text.at(end) == b'_' && text.at(start) == b'_' && start + 1 < at);
        out.found(text, Kind::Email, start, end);
    }
    at + 1
}

/// Where the local part before the `@` begins.
fn local(text: &Text<'_>, at: usize) -> Option<usize> {
    let mut start = at;
    let mut chars = 0;
    // Whether the part is written in a script without spaces between words; it does not mix with Latin letters.
    let mut unspaced = None;
    // The last sign that may be debris of what stands before the name.
    let mut debris = None;
    let head = text.str.get(..at)?;
    for (place, c) in head.char_indices().rev() {
        let sign = matches!(c, '=' | '/' | '`' | '|' | '?' | '&' | '{' | '}' | '\'' | '#' | '$' | '*' | '!');
        let fits = if c.is_ascii() {
            sign || c.is_ascii_alphanumeric() || matches!(c, '.' | '%' | '+' | '^' | '_' | '~' | '-')
        } else {
            c.is_alphabetic()
        };
        if !fits || chars == LOCAL {
            break;
        }
        if sign && debris.is_none() {
            debris = Some(place);
        }
        if c.is_alphanumeric() {
            let this = is_unspaced(c);
            if *unspaced.get_or_insert(this) != this {
                break;
            }
        }
        start = place;
        chars += 1;
    }
    if chars == LOCAL && text.before(start).is_ascii_alphanumeric() {
        return None;
    }
    // `mailto:` ends at its colon by itself. Debris of quotes, lists and assignments is not part of the name.
    let mut part = text.str.get(start..at)?;
    if let Some(cut) = debris.map(|place| place - start) {
        let tail = part.get(cut + 1..)?;
        // Inside a URL or an assignment the name begins behind the sign; a name may also hold one (`a&b@x.org`).
        let sign = part.as_bytes().get(cut).copied().unwrap_or(0);
        let hard = matches!(sign, b'=' | b'/' | b'`' | b'|' | b'?' | b'{' | b'}' | b'\'');
        if !tail.is_empty() && (hard && !quote_inside_name(part, cut) || cut == 0) {
            start += cut + 1;
            part = tail;
        }
    }
    // Percent escapes glued to the front of a form value: `%22bob%40x.org`.
    while part.len() > 3 && part.starts_with('%') && part.as_bytes().get(1..3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)) {
        start += 3;
        part = part.get(3..)?;
    }
    let trimmed = part.trim_start_matches(['.', '\'', '-', '+', '*', '%', '^', '~']);
    start += part.len() - trimmed.len();
    let alone = !trimmed.is_empty()
        && !trimmed.ends_with('.')
        && !trimmed.as_bytes().windows(2).any(|w| w == b"..")
        && trimmed.chars().any(char::is_alphanumeric);
    alone.then_some(start)
}

/// `o'brien`: a quote between letters of a short name is a letter of it.
fn quote_inside_name(part: &str, cut: usize) -> bool {
    part.as_bytes().get(cut) == Some(&b'\'')
        && cut > 0
        && part.get(..cut).is_some_and(|head| head.len() <= 2 && head.bytes().all(|b| b.is_ascii_alphabetic()))
}

/// Where the domain after the `@` ends.
fn domain(text: &Text<'_>, from: usize, at: usize) -> Option<usize> {
    let mut end = from;
    let mut label = from;
    let mut good = None;
    let mut unspaced = false;
    let tail = text.str.get(from..)?;
    for (place, c) in tail.char_indices().map(|(p, c)| (from + p, c)).chain([(text.bytes.len(), '\0')]) {
        if place > at + WHOLE {
            break;
        }
        let first = place == label;
        let fits = match c {
            '-' => !first,
            _ if c.is_ascii() => c.is_ascii_alphanumeric() && (first || !unspaced),
            _ => c.is_alphabetic() && (first || is_unspaced(c) == unspaced),
        };
        if fits {
            if first {
                unspaced = is_unspaced(c);
            }
            end = place + c.len_utf8();
            continue;
        }
        // The label is over.
        if end == label || end - label > 63 || text.before(end) == b'-' && c == '.' {
            break;
        }
        let stop = text.run_back(end, 63, |b| b == b'-');
        if label > from
            && is_tld(text.str.get(label..stop)?)
            && !calls(text, stop)
            && !(c == '_' && text.at(place + 1).is_ascii_alphanumeric())
        {
            good = Some(stop);
        }
        if text.cut && place == text.bytes.len() && label > from {
            good = Some(stop);
        }
        if c != '.' {
            break;
        }
        label = place + 1;
        end = label;
    }
    let end = good?;
    let longer = (text.at(end) == b'.' || text.at(end) == b'-') && versioned(text, end + 1);
    (!remote(text, at, end) && !longer && !text.at(end).is_ascii_digit()).then_some(end)
}

/// `git@host:path` and `deploy@host:srv/app` name a place on a machine; `user@host.tld: text` does not.
fn remote(text: &Text<'_>, at: usize, end: usize) -> bool {
    let user = text.slice(text.run_back(at, 3, |b| b.is_ascii_alphanumeric()), at);
    if user == b"git" && matches!(text.at(end), b':' | b'/') {
        return true;
    }
    if text.at(end) != b':' {
        return false;
    }
    let path = text.slice(end + 1, text.run(end + 1, 128, |b| is_word(b) || matches!(b, b'/' | b'.' | b'-' | b'~')));
    path.contains(&b'/') && !path.starts_with(b"//")
}

/// `scheme://user@host`, `scheme://user:password@host`: the part before the `@` signs in, and is no mailbox.
fn in_url(text: &Text<'_>, start: usize) -> bool {
    // Only signs stand between the scheme and the name.
    if !text.before(start).is_ascii_punctuation() {
        return false;
    }
    let from =
        text.run_back(start, 128, |b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\'' | b'<' | b'>' | b'?' | b'#' | b',' | b';' | b'|'));
    let head = text.slice(from, start);
    head.windows(3).rposition(|w| w == b"://").is_some_and(|sign| {
        let user = head.get(sign + 3..).unwrap_or_default();
        // Signs may stand between, where the name of a mailbox would begin behind them: `user:$PASS@host`.
        let signs = user.iter().rposition(|b| *b == b':').map_or(user, |colon| user.get(colon + 1..).unwrap_or_default());
        !user.contains(&b'/') && signs.iter().all(u8::is_ascii_punctuation) && !text.slice(from, from + sign).ends_with(b"mailto")
    })
}

/// `pkg@1.2.io.3`: digits go on behind the last good label.
fn versioned(text: &Text<'_>, at: usize) -> bool {
    text.at(at).is_ascii_digit() && text.at(at.saturating_sub(1)) == b'.'
}

/// `A@B.dot(`: a method is called.
fn calls(text: &Text<'_>, end: usize) -> bool {
    text.at(end) == b'(' && text.at(end + 1) != b' '
}

/// `logo@2x.png`
fn retina_file(text: &Text<'_>, from: usize, end: usize) -> bool {
    let [number, x, b'.', ext @ ..] = text.slice(from, end) else { return false };
    number.is_ascii_digit() && *x == b'x' && [&b"png"[..], b"jpg", b"jpeg", b"gif", b"webp", b"svg"].contains(&ext)
}

/// Scripts that put no space between words, so that a name runs into the sentence.
fn is_unspaced(c: char) -> bool {
    matches!(c as u32, 0x0E00..=0x0EFF | 0x1000..=0x109F | 0x1780..=0x17FF | 0x3040..=0x30FF | 0x3400..=0x9FFF | 0xAC00..=0xD7AF | 0xF900..=0xFAFF | 0x20000..=0x3FFFF)
}

fn is_tld(label: &str) -> bool {
    if label.len() < 2 {
        false
    } else if label.is_ascii() {
        let mut lower = [0u8; 63];
        let Some(slot) = lower.get_mut(..label.len()) else { return false };
        slot.copy_from_slice(label.as_bytes());
        slot.make_ascii_lowercase();
        let Ok(lower) = std::str::from_utf8(slot) else { return false };
        (lower.len() == 2 && lower.bytes().all(|b| b.is_ascii_lowercase()))
            || lower.starts_with("xn--")
            || TLDS.binary_search(&lower).is_ok()
    } else {
        TLDS.binary_search(&label).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use crate::redact::Kind::Email;
    use crate::redact::detectors::testing::{found, none};

    #[test]
    fn addresses_are_found_without_what_surrounds_them() {
        for (text, hit) in [
            ("write to jane.doe+tag@mail.example.co.uk, please", "jane.doe+tag@mail.example.co.uk"),
            ("<mailto:bob@example.org>", "bob@example.org"),
            ("'bob@example.org'", "bob@example.org"),
            ("Bob <bob_x@example.org>.", "bob_x@example.org"),
            ("user=bob@example.org&x=1", "bob@example.org"),
            ("https://x.org/?to=bob%40example.org", "bob%40example.org"),
            ("联系bob@example.org请", "bob@example.org"),
            ("jörg@müller.de", "jörg@müller.de"),
            ("用户@例子.公司", "用户@例子.公司"),
            ("bob@example.org.", "bob@example.org"),
            ("_bob@example.org_", "bob@example.org"),
            ("bob@example.org: hello", "bob@example.org"),
            ("o'brien@example.ie", "o'brien@example.ie"),
            ("JANE@EXAMPLE.COM", "JANE@EXAMPLE.COM"),
            ("bob@xn--mller-kva.xn--p1ai", "bob@xn--mller-kva.xn--p1ai"),
            ("bob@example.com.Then we left", "bob@example.com"),
        ] {
            assert_eq!(found(text), [(Email, hit)], "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_one_stays() {
        for text in [
            "git@github.com:octo/repo.git",
            "user@host",
            "react@18.2.0",
            "@types/node@20.1.2",
            "@decorator.wraps",
            "A@B.dot(C)",
            "ssh://git@github.com/octo/repo.git",
            "deploy@example.org:srv/app",
            "https://bob@example.org/x",
            "logo@2x.png",
            "icon@3x.webp",
            "..@example.org",
            "a..b@example.org",
            "bob@example.notatld",
            "bob@-x.org",
            "bob@example.org_2",
            "^[\\w.+-]+@[\\w-]+\\.[a-z]{2,}$",
        ] {
            none(text);
        }
    }
}
