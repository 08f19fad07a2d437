//! Reads the error object that SDKs print into messages.
//!
//! It may be JSON, or the `repr` of a Python dict, or either of them cut off in the middle or quoted inside another. A
//! parser would refuse most of these, so this one walks what is there and hands out keys and values. It never hands out
//! what stands under a key that echoes the request.

use super::echo::is_echo;
use std::borrow::Cow;

/// Deepest nesting followed.
const MAX_DEPTH: usize = 32;

/// A value that is no container.
pub(super) enum Leaf<'t> {
    Text(Cow<'t, str>),
    Number(i64),
}

/// Calls `visit` with the key and value of each leaf in every object of the text, in order.
pub(super) fn walk(text: &str, visit: &mut dyn FnMut(&str, Leaf<'_>)) {
    walk_nested(text, 0, visit);
}

/// One open container: the key it stands under, and the key its next value belongs to.
struct Open<'t> {
    object: bool,
    key: Cow<'t, str>,
    next: Option<Cow<'t, str>>,
    echo: bool,
}

fn walk_nested(text: &str, nesting: u8, visit: &mut dyn FnMut(&str, Leaf<'_>)) {
    let bytes = text.as_bytes();
    let mut open: Vec<Open<'_>> = Vec::new();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let Some(inner) = open.last_mut() else {
            // Outside every object there is only prose.
            if *byte == b'{' {
                open.push(Open { object: true, key: Cow::Borrowed(""), next: None, echo: false });
            }
            at += 1;
            continue;
        };
        match byte {
            b'{' | b'[' => {
                let key = inner.next.take().unwrap_or_else(|| inner.key.clone());
                let echo = inner.echo || is_echo(&key);
                if open.len() >= MAX_DEPTH {
                    return;
                }
                open.push(Open { object: *byte == b'{', key, next: None, echo });
                at += 1;
            }
            b'}' | b']' => {
                open.pop();
                at += 1;
            }
            b',' => {
                inner.next = None;
                at += 1;
            }
            b'"' | b'\'' => {
                let (value, end) = string(text, at);
                at = end;
                let followed_by_colon = text.get(at..).is_some_and(|rest| rest.trim_start().starts_with(':'));
                if inner.object && inner.next.is_none() && followed_by_colon {
                    inner.next = Some(value);
                    continue;
                }
                let key = inner.next.take().unwrap_or_else(|| inner.key.clone());
                if inner.echo || is_echo(&key) {
                    continue;
                }
                // A gateway quotes the provider's whole answer as text.
                if nesting < 2 && value.trim_start().starts_with('{') {
                    walk_nested(&value, nesting + 1, visit);
                }
                visit(&key, Leaf::Text(value));
            }
            b'0'..=b'9' | b'-' => {
                let end = bytes.iter().skip(at + 1).position(|b| !b.is_ascii_digit()).map_or(bytes.len(), |n| at + 1 + n);
                let number = text.get(at..end).and_then(|n| n.parse().ok());
                at = end;
                if let Some(number) = number
                    && let Some(key) = inner.next.take()
                    && !inner.echo
                {
                    visit(&key, Leaf::Number(number));
                }
            }
            _ => at += 1,
        }
    }
}

/// The string that begins with the quote at `start`, without its escapes, and the place behind it. One that never ends
/// reaches to the end of the text.
fn string(text: &str, start: usize) -> (Cow<'_, str>, usize) {
    let end = closing_quote(text, start).unwrap_or(text.len());
    let raw = text.get(start + 1..end).unwrap_or("");
    (unescape(raw), (end + 1).min(text.len().max(start + 1)))
}

/// The place of the quote that closes the one at `start`. A quote between letters is an apostrophe.
pub(super) fn closing_quote(text: &str, start: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let quote = *bytes.get(start)?;
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at) {
        if *byte == b'\\' {
            at += 2;
            continue;
        }
        let apostrophe = || {
            bytes.get(at + 1).is_some_and(u8::is_ascii_alphanumeric) && bytes.get(at.wrapping_sub(1)).is_some_and(u8::is_ascii_alphanumeric)
        };
        if *byte == quote && !(quote == b'\'' && apostrophe()) {
            return Some(at);
        }
        at += 1;
    }
    None
}

fn unescape(raw: &str) -> Cow<'_, str> {
    if !raw.contains('\\') {
        return Cow::Borrowed(raw);
    }
    let mut plain = String::with_capacity(raw.len());
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            plain.push(c);
            continue;
        }
        match chars.next() {
            Some('n' | 'r' | 't') => plain.push(' '),
            Some('u') => {
                let digits: String = chars.by_ref().take(4).collect();
                plain.push(u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32).unwrap_or('?'));
            }
            Some(other) => plain.push(other),
            None => {}
        }
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn leaves(text: &str) -> Vec<String> {
        let mut found = Vec::new();
        walk(text, &mut |key, leaf| {
            found.push(match leaf {
                Leaf::Text(text) => format!("{key}={text}"),
                Leaf::Number(number) => format!("{key}#{number}"),
            });
        });
        found
    }

    #[test]
    fn json_and_python_are_read_alike() {
        let expected = ["type=tokens", "code=rate_limit_exceeded", "status#429"];
        assert_eq!(leaves(r#"429 {"error": {"type": "tokens", "param": null, "code":"rate_limit_exceeded"}, "status": 429}"#), expected);
        assert_eq!(
            leaves("Error code: 429 - {'error': {'type': 'tokens', 'param': None, 'code': 'rate_limit_exceeded'}, 'status': 429}"),
            expected
        );
    }

    #[test]
    fn quotes_and_escapes_inside_values_are_no_structure() {
        assert_eq!(leaves(r#"{"a": "x \"type\": \"y\"", "b": "}"}"#), ["a=x \"type\": \"y\"", "b=}"]);
        assert_eq!(leaves(r#"{'a': "it's", 'b': 'it\'s', 'c': 'it's'}"#), ["a=it's", "b=it's", "c=it's"]);
        assert_eq!(leaves(r#"{"a": "\u0041\/"}"#), ["a=A/"]);
    }

    #[test]
    fn what_echoes_the_request_is_left_out() {
        assert!(
            leaves(r#"{"messages": [{"role": "user", "content": "code"}], "input": "x", "detail": {"prompt": {"code": "a"}}}"#).is_empty()
        );
        assert_eq!(leaves(r#"{"content": [1, {"code": "a"}], "code": "b"}"#), ["code=b"]);
    }

    #[test]
    fn a_cut_or_quoted_object_is_read_as_far_as_it_goes() {
        assert_eq!(leaves(r#"{"error": {"code": "slow_down", "message": "Please"#), ["code=slow_down", "message=Please"]);
        let quoted = leaves(r#"{"metadata": {"raw": "{\"error\": {\"code\": \"slow_down\"}}"}}"#);
        assert_eq!(quoted.first().map(String::as_str), Some("code=slow_down"));
        assert_eq!(leaves("{'a': 1} and {'b': 2}"), ["a#1", "b#2"]);
        assert!(leaves("no object, it's \"prose\": 'x'").is_empty());
    }

    proptest! {
        #[test]
        fn any_text_is_walked(text in any::<String>(), odd in "[{}\\[\\]'\":,\\\\a-c1é -]{0,200}") {
            walk(&text, &mut |_, _| {});
            walk(&odd, &mut |_, _| {});
        }
    }
}
