//! Secrets that a name gives away: `password=…`, `"api_key": "…"`, `Authorization: Bearer …`.
//!
//! The value itself may be anything, so the name must be the whole name ("token_count" is none) and the value must
//! not be a placeholder.

use super::placeholder::{Written, is_placeholder};
use super::{Detector, Probe, Set};
use crate::redact::Kind;
use crate::redact::text::{Out, Text, is_word};
use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Named values.
pub(super) const DETECTOR: Detector = Detector { probe: Probe::Window(windows, find) };
/// What follows `Bearer`, `Token`, `Basic`.
pub(super) const DETECTOR_SCHEME: Detector = Detector { probe: Probe::Window(scheme_windows, find_scheme) };

/// Longest name that is compared.
const NAME: usize = 48;
/// Lengths of a password.
const VALUE: std::ops::RangeInclusive<usize> = 6..=128;
/// Bytes in which a password, of up to four each per character, ends.
const PASSWORD_BYTES: usize = 4 * 128 + 1;
/// Longest named key.
const KEY_VALUE: usize = 512;
/// Longest credential of an `Authorization` header.
const CREDENTIAL: usize = 4096;

const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent).with_decode_allow_trailing_bits(true),
);

fn windows() -> Vec<[Set; 3]> {
    // password and passwd, pwd, passphrase, secret, key, token.
    [b"ssw", b"pwd", b"sph", b"ecr", b"key", b"oke"].map(Set::letters).to_vec()
}

fn scheme_windows() -> Vec<[Set; 3]> {
    [b"rer", b"oke", b"sic"].map(Set::letters).to_vec()
}

/// What a name promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    Password,
    Key,
    AwsSecret,
    AzureStorage,
}

/// What the name means, compared in lower case without `-` and `_`, from its end and at a word's start.
fn named(name: &[u8]) -> Option<Named> {
    let ends = |word: &[u8]| {
        let mut at = name.len();
        for w in word.iter().rev() {
            while at > 0 && matches!(name.get(at - 1), Some(b'_' | b'-')) && at < name.len() {
                at -= 1;
            }
            at = at.checked_sub(1)?;
            if !name.get(at)?.eq_ignore_ascii_case(w) {
                return None;
            }
        }
        let starts = at == 0
            || matches!(name.get(at - 1), Some(b'_' | b'-'))
            || (name.get(at).is_some_and(u8::is_ascii_uppercase)
                && name.get(at - 1).is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));
        starts.then_some(())
    };
    let any = |words: &[&[u8]]| words.iter().any(|word| ends(word).is_some());
    if any(&[b"secretaccesskey", b"awssecretkey", b"awssecret"]) {
        Some(Named::AwsSecret)
    } else if name.eq_ignore_ascii_case(b"AccountKey") {
        Some(Named::AzureStorage)
    } else if any(&[b"password", b"passwd", b"pwd", b"passphrase", b"secret"]) || name.eq_ignore_ascii_case(b"pgpassword") {
        Some(Named::Password)
    } else if any(&[
        b"apikey",
        b"accesskey",
        b"accesstoken",
        b"refreshtoken",
        b"authtoken",
        b"secretkey",
        b"privatekey",
        b"sharedaccesskey",
    ]) {
        Some(Named::Key)
    } else {
        None
    }
}

fn find(text: &Text<'_>, at: usize, out: &mut Out<'_>) -> usize {
    let end = text.run(at, NAME, |b| is_word(b) || b == b'-');
    if text.slice(end.saturating_sub(3), end).eq_ignore_ascii_case(b"key") {
        let start = text.run_back(at, NAME, |b| is_word(b) || b == b'-');
        if speaks_of_secret(text, start, end) {
            aws_after(text, end, out);
        }
    }
    // Most such words stand in prose, so what follows is asked before what they are.
    let Some((from, written)) = operator(text, end) else { return end };
    let start = text.run_back(at, NAME, |b| is_word(b) || b == b'-');
    let Some(named) = named(text.slice(start, end)) else { return end };
    // One byte past the longest value tells that it is none.
    let limit = if named == Named::Password { PASSWORD_BYTES } else { KEY_VALUE };
    let (from, to, written) = value(text, from, written, limit);
    if to - from >= limit {
        return to;
    }
    judge(text, named, from, to, written, out);
    end
}

/// Whether "secret" stands in the name or a word or two before it: `aws secret key`, `SecretAccessKey`.
fn speaks_of_secret(text: &Text<'_>, start: usize, end: usize) -> bool {
    text.slice(start.saturating_sub(20), end).windows(6).any(|word| word.eq_ignore_ascii_case(b"secret"))
}

/// Forty signs of base64 within forty bytes behind the name: the secret half of an AWS key, which has no form of its own.
fn aws_after(text: &Text<'_>, end: usize, out: &mut Out<'_>) {
    let base64 = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
    let mut at = end;
    while at < end + 40 {
        let stop = text.run(at, 41, base64);
        let value = text.slice(at, stop);
        let mixed =
            value.iter().any(u8::is_ascii_digit) && value.iter().any(u8::is_ascii_uppercase) && value.iter().any(u8::is_ascii_lowercase);
        if value.len() == 40 && mixed && !base64(text.before(at)) && text.at(stop) != b'=' && !is_word(text.at(stop)) {
            return out.secret(text, Kind::ApiKey, "aws_secret_key", at, stop);
        }
        if stop == at && text.at(at) == b'\n' && text.at(at + 1) == b'\n' {
            return;
        }
        at = stop.max(at) + 1;
    }
}

/// A string whose key is such a name is the value as a whole.
pub(crate) fn keyed(text: &Text<'_>, out: &mut Out<'_>) {
    let Some(key) = text.key else { return };
    // The last part of a dotted attribute key is the name.
    let name = key.rsplit('.').next().unwrap_or(key);
    // Most keys are none of these, and every string of a document comes here: three letters tell.
    let tail = name.as_bytes().last_chunk::<3>();
    if !tail
        .is_some_and(|tail| [b"ord", b"pwd", b"swd", b"ase", b"ret", b"key", b"ken"].iter().any(|end| tail.eq_ignore_ascii_case(&end[..])))
    {
        return;
    }
    if let Some(named) = named(name.as_bytes()) {
        let trimmed = text.str.trim();
        let from = text.str.len() - text.str.trim_start().len();
        let end = from + trimmed.len();
        if trimmed.len() <= KEY_VALUE && !trimmed.contains(char::is_whitespace) {
            judge(text, named, from, end, Written::Quoted, out);
        }
    }
}

/// Decides about a named value.
fn judge(text: &Text<'_>, named: Named, from: usize, to: usize, written: Written, out: &mut Out<'_>) {
    let Some(value) = text.str.get(from..to) else { return };
    if is_placeholder(value, written) {
        return;
    }
    let digit = value.bytes().any(|b| b.is_ascii_digit());
    let letter = value.bytes().any(|b| b.is_ascii_alphabetic());
    let base64 = |len: usize| value.len() == len && value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='));
    match named {
        Named::Password if VALUE.contains(&value.chars().count()) => out.secret(text, Kind::Password, "", from, to),
        Named::AwsSecret if base64(40) => out.secret(text, Kind::ApiKey, "aws_secret_key", from, to),
        Named::AzureStorage if base64(88) => out.secret(text, Kind::ApiKey, "azure_storage_key", from, to),
        Named::Key | Named::AwsSecret | Named::AzureStorage if value.len() >= 16 && digit && letter => {
            out.secret(text, Kind::ApiKey, "generic", from, to)
        }
        _ => {}
    }
}

/// Past `:`, `=`, `:=`, `=>` or "is" behind a name, quotes of the name included.
fn operator(text: &Text<'_>, end: usize) -> Option<(usize, Written)> {
    let mut at = end;
    while matches!(text.at(at), b'"' | b'\'' | b'`' | b']' | b'\\') && at < end + 4 {
        at += 1;
    }
    let spaced = text.run(at, 4, |b| matches!(b, b' ' | b'\t'));
    let (next, written) = match (text.at(spaced), text.at(spaced + 1)) {
        (b':', b'=') | (b'=', b'>') => (spaced + 2, Written::Assigned),
        (b'=', b'=') | (b':', b':') => return None,
        (b'=', _) => (spaced + 1, Written::Assigned),
        (b':', _) => (spaced + 1, Written::Said),
        (b'i' | b'I', b's' | b'S') if spaced > at && matches!(text.at(spaced + 2), b' ' | b':') => (spaced + 3, Written::Said),
        _ => return None,
    };
    Some((text.run(next, 4, |b| matches!(b, b' ' | b'\t')), written))
}

/// The value from there on: its range, and whether quotes held it.
fn value(text: &Text<'_>, from: usize, written: Written, limit: usize) -> (usize, usize, Written) {
    let quote_at = if text.at(from) == b'\\' && matches!(text.at(from + 1), b'"' | b'\'') { from + 1 } else { from };
    let quote = text.at(quote_at);
    if matches!(quote, b'"' | b'\'' | b'`') {
        let start = quote_at + 1;
        let end = text.run(start, limit, |b| b != quote && b != b'\n');
        let closed = text.at(end) == quote || text.cut;
        let end = if quote_at > from && text.before(end) == b'\\' { end - 1 } else { end };
        let spaced = text.slice(start, end).iter().any(u8::is_ascii_whitespace);
        return (start, if closed && !spaced { end } else { start }, Written::Quoted);
    }
    let mut depth = 0usize;
    let mut end = from;
    let stop = text.run(from, limit, |b| !b.is_ascii_whitespace() && !matches!(b, b',' | b';' | b'&' | b'"' | b'\'' | 0));
    for (place, &b) in text.slice(from, stop).iter().enumerate() {
        match b {
            b'(' | b'[' | b'{' | b'<' => depth += 1,
            b')' | b']' | b'}' | b'>' => match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => break,
            },
            _ => {}
        }
        end = from + place + 1;
    }
    // A sentence ends behind the value, not in it.
    while end > from && text.before(end) == b'.' && !text.slice(from, end).ends_with(b"...") {
        end -= 1;
    }
    while end > from && !text.str.is_char_boundary(end) {
        end -= 1;
    }
    (from, end, written)
}

fn find_scheme(text: &Text<'_>, at: usize, out: &mut Out<'_>) -> usize {
    // Each scheme has its trigger at one place: "explorer", "broken" and "music" end here.
    let (word, back) = match text.at(at).to_ascii_lowercase() {
        b'e' => (&b"bearer"[..], 4),
        b'k' => (&b"token"[..], 2),
        _ => (&b"basic"[..], 3),
    };
    if !at.checked_sub(back).is_some_and(|start| text.starts_with_nocase(start, word)) {
        return at + 1;
    }
    let start = text.run_back(at, 8, |b| b.is_ascii_alphabetic());
    let end = text.run(at, 8, |b| b.is_ascii_alphabetic());
    let scheme = text.slice(start, end);
    let basic = scheme.eq_ignore_ascii_case(b"basic");
    let known = basic || scheme.eq_ignore_ascii_case(b"bearer") || scheme.eq_ignore_ascii_case(b"token");
    if !known || is_word(text.before(start)) {
        return end;
    }
    let from = match text.at(end) {
        b' ' | b'+' => end + 1,
        b'%' if text.starts_with(end, b"%20") => end + 3,
        _ => return end,
    };
    let body = text.run(from, CREDENTIAL, |b| is_word(b) || matches!(b, b'.' | b'~' | b'+' | b'/' | b'-'));
    let mut to = text.run(body, 3, |b| b == b'=');
    while to > from && text.before(to) == b'.' {
        to -= 1;
    }
    let credential = text.slice(from, to);
    let holds = if basic {
        credential.len() >= 8
            && ENGINE.decode(credential).is_ok_and(|decoded| {
                decoded.contains(&b':') && std::str::from_utf8(&decoded).is_ok_and(|s| !s.chars().any(char::is_control))
            })
    } else {
        credential.len() >= 16 && credential.iter().any(u8::is_ascii_digit)
    };
    let plain = text.str.get(from..to).unwrap_or_default();
    if holds && !is_word(text.at(to)) && !is_placeholder(plain, Written::Quoted) {
        out.secret(text, Kind::AuthToken, "", from, to);
    }
    to.max(end)
}

#[cfg(test)]
mod tests {
    use crate::redact::Kind::{ApiKey, AuthToken, Password};
    use crate::redact::detectors::testing::{found, none};

    #[test]
    fn named_values_are_found_without_their_quotes() {
        for (text, kind, hit) in [
            ("pwd=quiet-staple-95", Password, "quiet-staple-95"),
            ("\"passwd\": \"quiet-horse-04\"", Password, "quiet-horse-04"),
            ("the password is Hunter2!x, ok", Password, "Hunter2!x"),
            ("DB_PASSWORD=hunter2x;", Password, "hunter2x"),
            ("'client_secret' => 'aB3-x9q'", Password, "aB3-x9q"),
            ("passphrase := \"open-sesame\"", Password, "open-sesame"),
            ("(password: s3cr3t!(x)y)", Password, "s3cr3t!(x)y"),
            ("x-api-key: dfaIdJoRcW0IJrMr33Z2SekAZlSaHbEL", ApiKey, "dfaIdJoRcW0IJrMr33Z2SekAZlSaHbEL"),
            ("accessToken=dfaIdJoRcW0IJrMr33Z2&x=1", ApiKey, "dfaIdJoRcW0IJrMr33Z2"),
            ("aws_secret_access_key=40qCKw/zT4XzvQxpIApjc+nIM7VT5kCLGGFIV0d2", ApiKey, "40qCKw/zT4XzvQxpIApjc+nIM7VT5kCLGGFIV0d2"),
            ("AWS secret key is 40qCKw/zT4XzvQxpIApjc+nIM7VT5kCLGGFIV0d2.", ApiKey, "40qCKw/zT4XzvQxpIApjc+nIM7VT5kCLGGFIV0d2"),
            ("authorization: bearer RdSQUutt3gHBBai2cPskYRu7", AuthToken, "RdSQUutt3gHBBai2cPskYRu7"),
            ("Authorization: Basic ZGF2aWQxNjpDb2ZmZWU2NjA5Iw==", AuthToken, "ZGF2aWQxNjpDb2ZmZWU2NjA5Iw=="),
            ("Authorization: Token 9944b09199c62bcf9418ad84", AuthToken, "9944b09199c62bcf9418ad84"),
        ] {
            assert_eq!(found(text), [(kind, hit)], "{text}");
        }
    }

    #[test]
    fn placeholders_counts_and_prose_stay() {
        for text in [
            "password={{ vault_password }}",
            "password=os.environ['DB']",
            "password = None",
            "login(user=user, password=password)",
            "he kept the secret: nobody knew",
            "The token bucket refills at 10 tokens/sec",
            "max_tokens=4096x23456789012",
            "next_page_token: dfaIdJoRcW0IJrMr33Z2",
            "password reset works",
            "password: str",
            "api_key: YOUR_API_KEY_GOES_HERE_1",
            "the password is wrong",
            "bearer of bad news 12345678901234567",
            "Basic training: week",
            "secretary: Mrs9Smith!",
            "monkey=dfaIdJoRcW0IJrMr33Z2",
            "password == hunter2x",
        ] {
            none(text);
        }
    }
}
