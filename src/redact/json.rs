//! JSON inside strings, read without being rewritten.
//!
//! Prompts and tool arguments arrive as JSON text, often JSON within JSON. An escape can hide an entity (`\u0040`) or
//! glue a letter to one (`\nbob@…`), so matching needs the decoded content; but a trace is evidence, so nothing outside
//! a finding may change, not even spacing or the spelling of a number. Hence a walk that hands out every string with a
//! map from decoded positions back to the bytes it came from.

use std::fmt::Write;

/// Nesting beyond this is no document anybody wrote.
const DEPTH: usize = 256;

/// A string or number of a document. Positions are bytes of the text that was walked, quotes excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// A member name; `object` is the nesting level of its object.
    Name { start: usize, end: usize, object: usize },
    /// A string, with the raw name of the member that holds it, directly or through arrays.
    String { start: usize, end: usize, key: Option<(usize, usize)> },
    /// A number.
    Number { start: usize, end: usize, key: Option<(usize, usize)> },
    /// The object of this nesting level has ended.
    ObjectEnd { object: usize },
}

/// Whether a text could be JSON: it begins as documents of objects, arrays or strings do. `[EMAIL]` does not.
pub(crate) fn looks_like_json(text: &str) -> bool {
    let space = |b: &u8| matches!(b, b' ' | b'\t' | b'\n' | b'\r');
    let mut head = text.bytes().filter(|b| !space(b));
    match (head.next(), head.next()) {
        (Some(b'{'), Some(b'"' | b'}')) | (Some(b'"'), Some(_)) => true,
        (Some(b'['), Some(next)) => matches!(next, b'{' | b'[' | b'"' | b']' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n'),
        _ => false,
    }
}

/// How a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Walked {
    /// The text is JSON, to its end.
    Whole,
    /// The text ends in the middle of a document. Nothing that was handed out counts.
    Cut,
    /// Some byte does not belong. Nothing that was handed out counts.
    Broken,
}

/// Walks one document or several in a row.
pub(crate) fn walk(text: &str, mut each: impl FnMut(Token)) -> Walked {
    let mut walker = Walker { bytes: text.as_bytes(), at: 0, stack: Vec::new() };
    loop {
        walker.space();
        if walker.at == walker.bytes.len() {
            return Walked::Whole;
        }
        if walker.document(&mut each).is_none() {
            // A literal may be cut too: `tru`.
            let rest = text.get(walker.at..).unwrap_or_default();
            let cut = ["true", "false", "null"].iter().any(|word| word.starts_with(rest));
            return if cut { Walked::Cut } else { Walked::Broken };
        }
    }
}

#[derive(Clone, Copy)]
struct Frame {
    object: bool,
    key: Option<(usize, usize)>,
}

struct Walker<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Frame>,
}

impl Walker<'_> {
    fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    fn space(&mut self) {
        while matches!(self.peek(), b' ' | b'\t' | b'\n' | b'\r') && self.at < self.bytes.len() {
            self.at += 1;
        }
    }

    fn document(&mut self, each: &mut impl FnMut(Token)) -> Option<()> {
        self.value(each)?;
        while let Some(frame) = self.stack.last().copied() {
            self.space();
            match (self.peek(), frame.object) {
                (b',', true) => {
                    self.at += 1;
                    self.name(each)?;
                    self.value(each)?;
                }
                (b',', false) => {
                    self.at += 1;
                    self.value(each)?;
                }
                (b'}', true) => self.close(each),
                (b']', false) => self.close(each),
                _ => return None,
            }
        }
        Some(())
    }

    fn close(&mut self, each: &mut impl FnMut(Token)) {
        self.at += 1;
        if self.stack.pop().is_some_and(|frame| frame.object) {
            each(Token::ObjectEnd { object: self.stack.len() + 1 });
        }
    }

    /// Reads a value; of an object or array only as far as its first value that is none, so the stack says what follows.
    fn value(&mut self, each: &mut impl FnMut(Token)) -> Option<()> {
        loop {
            self.space();
            let key = self.stack.last().and_then(|frame| frame.key);
            match self.peek() {
                b'"' => {
                    let (start, end) = self.string()?;
                    each(Token::String { start, end, key });
                    return Some(());
                }
                open @ (b'{' | b'[') => {
                    if self.stack.len() == DEPTH {
                        return None;
                    }
                    self.at += 1;
                    let object = open == b'{';
                    self.stack.push(Frame { object, key: if object { None } else { key } });
                    self.space();
                    if self.peek() == if object { b'}' } else { b']' } {
                        self.close(each);
                        return Some(());
                    }
                    if object {
                        self.name(each)?;
                    }
                }
                b'-' | b'0'..=b'9' => {
                    let start = self.at;
                    self.number()?;
                    each(Token::Number { start, end: self.at, key });
                    return Some(());
                }
                _ => return [&b"true"[..], b"false", b"null"].into_iter().find(|word| self.literal(word)).map(|_| ()),
            }
        }
    }

    fn literal(&mut self, word: &[u8]) -> bool {
        let is = self.bytes.get(self.at..self.at + word.len()) == Some(word);
        if is {
            self.at += word.len();
        }
        is
    }

    fn name(&mut self, each: &mut impl FnMut(Token)) -> Option<()> {
        self.space();
        if self.peek() != b'"' {
            return None;
        }
        let (start, end) = self.string()?;
        each(Token::Name { start, end, object: self.stack.len() });
        if let Some(frame) = self.stack.last_mut() {
            frame.key = Some((start, end));
        }
        self.space();
        if self.peek() != b':' {
            return None;
        }
        self.at += 1;
        Some(())
    }

    /// The inside of a string whose opening quote is here. Control characters are let pass: they are common in the wild.
    fn string(&mut self) -> Option<(usize, usize)> {
        let start = self.at + 1;
        let mut at = start;
        loop {
            let rest = self.bytes.get(at..).unwrap_or_default();
            let Some(found) = memchr::memchr2(b'"', b'\\', rest) else { return self.ran_out() };
            at += found;
            if self.bytes.get(at) == Some(&b'"') {
                self.at = at + 1;
                return Some((start, at));
            }
            let escape = self.bytes.get(at + 1..(at + 6).min(self.bytes.len())).unwrap_or_default();
            at += match escape {
                [b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => 2,
                [b'u', hex @ ..] if hex.iter().all(u8::is_ascii_hexdigit) && hex.len() == 4 => 6,
                [] => return self.ran_out(),
                [b'u', hex @ ..] if hex.iter().all(u8::is_ascii_hexdigit) => return self.ran_out(),
                _ => return None,
            };
        }
    }

    /// The text ends inside a string.
    fn ran_out<T>(&mut self) -> Option<T> {
        self.at = self.bytes.len();
        None
    }

    fn number(&mut self) -> Option<()> {
        if self.peek() == b'-' {
            self.at += 1;
        }
        let zero = self.peek() == b'0';
        let whole = self.digits()?;
        if zero && whole > 1 {
            return None;
        }
        if self.peek() == b'.' {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), b'e' | b'E') {
            self.at += 1;
            if matches!(self.peek(), b'+' | b'-') {
                self.at += 1;
            }
            self.digits()?;
        }
        Some(())
    }

    fn digits(&mut self) -> Option<usize> {
        let start = self.at;
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
        (self.at > start).then_some(self.at - start)
    }
}

/// A text with its escapes decoded, and the way back.
#[derive(Debug, Default)]
pub(crate) struct Decoded {
    pub(crate) text: String,
    /// Behind every escape: the decoded position and the position it came from.
    back: Vec<(usize, usize)>,
}

impl Decoded {
    /// Decodes the inside of a JSON string.
    pub(crate) fn string(raw: &str) -> Decoded {
        Decoded::new(raw, false)
    }

    /// Decodes what is meant as escapes in a text that is no JSON as a whole: any number of backslashes before `n`, `"`, `u0040`
    /// and the like is one escape, since nobody knows how many levels were cut.
    pub(crate) fn loose(raw: &str) -> Decoded {
        Decoded::new(raw, true)
    }

    fn new(raw: &str, loose: bool) -> Decoded {
        let bytes = raw.as_bytes();
        let mut decoded = Decoded { text: String::with_capacity(raw.len()), back: Vec::new() };
        let mut copied = 0;
        let mut at = 0;
        while let Some(found) = bytes.get(at..).and_then(|rest| memchr::memchr(b'\\', rest)) {
            let escape = at + found;
            let mut last = escape;
            while loose && bytes.get(last + 1) == Some(&b'\\') {
                last += 1;
            }
            let Some((c, end)) = unescape(bytes, last, loose) else {
                at = last + 1;
                continue;
            };
            decoded.text.push_str(raw.get(copied..escape).unwrap_or_default());
            decoded.text.push(c);
            decoded.back.push((decoded.text.len(), end));
            copied = end;
            at = end;
        }
        decoded.text.push_str(raw.get(copied..).unwrap_or_default());
        decoded
    }

    /// The position in the raw text that a decoded position came from.
    pub(crate) fn raw(&self, decoded: usize) -> usize {
        let behind = self.back.partition_point(|&(at, _)| at <= decoded);
        match behind.checked_sub(1).and_then(|last| self.back.get(last)) {
            Some(&(at, raw)) => raw + (decoded - at),
            None => decoded,
        }
    }
}

/// The character that the escape at `at` writes, and where it ends.
fn unescape(bytes: &[u8], at: usize, loose: bool) -> Option<(char, usize)> {
    let c = match bytes.get(at + 1)? {
        b'n' => '\n',
        b't' => '\t',
        b'r' => '\r',
        b'"' => '"',
        b'/' => '/',
        b'\'' if loose => '\'',
        b'b' if !loose => '\u{8}',
        b'f' if !loose => '\u{c}',
        b'\\' => '\\',
        b'u' => return unicode(bytes, at, loose),
        _ => return None,
    };
    Some((c, at + 2))
}

/// `\u0040`, or the two halves of a character beyond the first plane; a half alone is the replacement character.
fn unicode(bytes: &[u8], at: usize, loose: bool) -> Option<(char, usize)> {
    let first = hex(bytes, at + 2)?;
    if let Some(c) = char::from_u32(first) {
        return Some((c, at + 6));
    }
    let mut second = at + 6;
    while loose && bytes.get(second) == Some(&b'\\') && bytes.get(second + 1) == Some(&b'\\') {
        second += 1;
    }
    let low = if bytes.get(second..second + 2) == Some(b"\\u") { hex(bytes, second + 2) } else { None };
    match (first, low) {
        (0xD800..=0xDBFF, Some(low @ 0xDC00..=0xDFFF)) => {
            let c = 0x10000 + ((first - 0xD800) << 10) + (low - 0xDC00);
            Some((char::from_u32(c).unwrap_or(char::REPLACEMENT_CHARACTER), second + 6))
        }
        _ => Some((char::REPLACEMENT_CHARACTER, at + 6)),
    }
}

fn hex(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = bytes.get(at..at + 4)?;
    digits.iter().try_fold(0, |n, &b| char::from(b).to_digit(16).map(|d| n * 16 + d))
}

/// A text as it stands between the quotes of a JSON string.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => escaped.push_str("\\\""),
            '\\' => escaped.push_str("\\\\"),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            c if c < ' ' => {
                // Writing to a string does not fail.
                let _ = write!(escaped, "\\u{:04x}", u32::from(c));
            }
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::{Decoded, Token, Walked, escape, walk};
    use proptest::prelude::*;

    fn strings(text: &str) -> Option<Vec<(String, Option<String>)>> {
        let mut all = Vec::new();
        let part = |(start, end): (usize, usize)| text[start..end].to_owned();
        let walked = walk(text, |token| match token {
            Token::String { start, end, key } | Token::Number { start, end, key } => all.push((part((start, end)), key.map(part))),
            _ => {}
        });
        (walked == Walked::Whole).then_some(all)
    }

    #[test]
    fn strings_and_numbers_come_with_their_names() {
        let found = strings(r#" {"a": ["x", 1.5e3, {"b": "y"}], "c": null} {"d":"z"}"#).unwrap();
        let is = |at: usize, value: &str, key: &str| found[at] == (value.to_owned(), Some(key.to_owned()));
        assert!(is(0, "x", "a") && is(1, "1.5e3", "a") && is(2, "y", "b") && is(3, "z", "d"));
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in
            ["{", "{\"a\"}", "[1,]", "[01]", "{\"a\":1,}", "[\"\\x\"]", "[1] x", "\"a", "[1 2]", "{1:2}", "[tru]", "]", "[\"\\u12\"]"]
        {
            assert_eq!(strings(text), None, "{text}");
        }
        assert_eq!(strings(&"[".repeat(100_000)), None);
    }

    #[test]
    fn a_cut_document_is_told_from_a_broken_one() {
        for text in ["{", "{\"a", "{\"a\": [1, ", "[\"x\\", "[\"x\\u00", "[tru", "{\"a\":1,"] {
            assert_eq!(walk(text, |_| ()), Walked::Cut, "{text}");
        }
        for text in ["[1] see", "{a", "[\"x\\q", "\"a\" b"] {
            assert_eq!(walk(text, |_| ()), Walked::Broken, "{text}");
        }
    }

    #[test]
    fn decoded_positions_lead_back() {
        let raw = r"a\u0040b\n\ud83d\ude00c";
        let decoded = Decoded::string(raw);
        assert_eq!(decoded.text, "a@b\n😀c");
        for (inside, outside) in [(0, 0), (1, 1), (2, 7), (3, 8), (4, 10), (8, 22), (9, 23)] {
            assert_eq!(decoded.raw(inside), outside);
        }
        assert_eq!(Decoded::loose(r"x\\\\nbob\\u0040").text, "x\nbob@");
    }

    proptest! {
        #[test]
        fn escaping_is_undone_by_decoding(text in "\\PC*|[\\x00-\\x7f]*") {
            let escaped = escape(&text);
            prop_assert_eq!(Decoded::string(&escaped).text, text);
        }

        #[test]
        fn accepts_what_a_json_library_accepts(text in "[\\[\\]{}\":,0-9a-z\\\\u .-]{0,24}") {
            let ours = walk(&text, |_| ()) == Walked::Whole;
            let theirs = serde_json::Deserializer::from_str(&text).into_iter::<serde::de::IgnoredAny>().all(|v| v.is_ok());
            // A stream of values may omit spaces here and there differently; single documents must agree.
            if serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok() {
                prop_assert!(ours && theirs);
            }
        }
    }
}
