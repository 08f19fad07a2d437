//! Takes out of a message what it repeats from the request.
//!
//! Validation errors and refusals quote the prompt. A prompt can speak of rate limits, quotas and full contexts like the
//! provider does, so nothing that stands under a key of the request is evidence.

use super::body::closing_quote;
use super::message::{is_word, word_at};
use std::borrow::Cow;

/// Keys whose values repeat what the user sent or the model wrote.
const ECHOES: &[&str] = &[
    "arguments",
    "content",
    "contents",
    "failed_generation",
    "input",
    "input_value",
    "inputs",
    "instructions",
    "messages",
    "output",
    "prompt",
    "prompts",
    "query",
    "system",
    "text",
];

/// Whether a key repeats what the user sent or the model wrote.
pub(super) fn is_echo(key: &str) -> bool {
    ECHOES.iter().any(|e| e.eq_ignore_ascii_case(key))
}

/// The text without the values that echo the request: behind `content`, `"prompt":`, `input_value=` and the like.
pub(super) fn without_echoes(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut kept = String::new();
    let (mut copied, mut at) = (0, 0);
    while let Some(byte) = bytes.get(at) {
        if !is_word(*byte) {
            at += 1;
            continue;
        }
        let start = at;
        let word = word_at(text, at);
        at += word.len().max(1);
        if !is_echo(word) {
            continue;
        }
        if let Some((from, to)) = echoed(text, start, at) {
            kept.push_str(text.get(copied..from).unwrap_or(""));
            copied = to;
            at = to;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    kept.push_str(text.get(copied..).unwrap_or(""));
    Cow::Owned(kept)
}

/// Where the value behind the word at `start..end` lies, if a quoted or bracketed one follows it.
fn echoed(text: &str, start: usize, end: usize) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    let get = |at: usize| bytes.get(at).copied();
    let skip = |mut at: usize, what: &[u8]| {
        while get(at).is_some_and(|b| what.contains(&b)) {
            at += 1;
        }
        at
    };
    let quote_before = start.checked_sub(1).and_then(get).filter(|b| matches!(b, b'"' | b'\'' | b'`'));
    let mut at = end;
    if let Some(quote) = quote_before {
        at = skip(at, b"\\");
        if get(at) != Some(quote) {
            return None;
        }
        at += 1;
    }
    let gap = at;
    at = skip(at, b" ");
    let named = matches!(get(at), Some(b':' | b'='));
    if named {
        at = skip(at + 1, b" ");
    } else if gap == at {
        return None;
    }
    let from = at;
    let escapes = skip(at, b"\\") - at;
    at += escapes;
    match get(at)? {
        quote @ (b'"' | b'\'') if escapes > 0 => {
            // The object itself is quoted: the value ends at the next quote that is escaped alike.
            let close = format!("{}{}", "\\".repeat(escapes), char::from(quote));
            let rest = text.get(at + 1..)?;
            Some((from, rest.find(&close).map_or(text.len(), |n| at + 1 + n + close.len())))
        }
        b'"' | b'\'' => Some((from, closing_quote(text, at).map_or(text.len(), |n| n + 1))),
        b'[' | b'{' if named => Some((from, closing_bracket(text, at))),
        _ => None,
    }
}

/// The place behind the bracket that closes the one at `start`; the end of the text if none does.
fn closing_bracket(text: &str, start: usize) -> usize {
    let bytes = text.as_bytes();
    let (mut depth, mut at) = (0usize, start);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' | b'\'' => at = closing_quote(text, at).unwrap_or(text.len()),
            _ => {}
        }
        at += 1;
        if depth == 0 {
            break;
        }
    }
    at.min(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_request_is_taken_out_and_the_rest_stays() {
        for message in [
            r#"400 {"error":{"message":"bad"},"messages":[{"role":"user","content":"overloaded \"x\""}]}"#,
            "Error code: 400 - {'error': {'message': \"messages.0: text 'it's overloaded'\"}}",
            "1 validation error\n  [type=x, input_value='overloaded', input_type=str]",
            "1 validation error\n  [type=x, input_value=[{'a': 'overloaded'}], input_type=list]",
            r#"{"error":"{\"input\":\"overloaded\",\"code\":1}"}"#,
            "{'prompt': 'never closed, overloaded",
            "prompt=\"overloaded\" refused",
        ] {
            assert!(!without_echoes(message).contains("overloaded"), "{message} → {}", without_echoes(message));
        }
        for message in
            ["prompt is too long", "Invalid 'input': overloaded", "`inputs` overloaded", "the content was overloaded", "input overloaded"]
        {
            assert_eq!(without_echoes(message), message);
        }
    }

    proptest! {
        #[test]
        fn any_text_only_gets_shorter(text in any::<String>(), odd in "(content|text|\\\\|'|\"|[{}\\[\\]:= é_a]){0,60}") {
            for raw in [&text, &odd] {
                prop_assert!(without_echoes(raw).len() <= raw.len());
            }
        }
    }
}
