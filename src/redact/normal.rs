//! A text as it is meant: signs of full width as the plain ones, and without the signs nobody sees.
//!
//! `４１１１…` and a card number with a zero-width space in it read like one and are matched by no pattern. Both are off by default:
//! such text is rare, and what looks the same to a reader is not the same to a program.

use crate::redact::config::{Config, Normalize};

/// What is done before a text is matched.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Normal {
    full_width: bool,
    zero_width: bool,
    quoted_printable: bool,
}

/// A text as it is matched, and the way back.
#[derive(Debug, Default)]
pub(crate) struct View {
    pub(crate) text: String,
    /// Behind each change: the position here and the position it came from.
    back: Vec<(usize, usize)>,
    /// Where what nobody sees begins in the text it came from.
    gaps: Vec<(usize, usize)>,
}

impl Normal {
    pub(crate) fn new(config: &Config) -> Normal {
        Normal {
            full_width: config.normalize == Normalize::Fullwidth,
            zero_width: config.ignore_zero_width,
            quoted_printable: config.quoted_printable,
        }
    }

    /// The view of a text; `None` where it is the text.
    pub(crate) fn view(&self, text: &str) -> Option<View> {
        if !(self.full_width || self.zero_width || self.quoted_printable) || !self.could_change(text) {
            return None;
        }
        let mut view = View { text: String::with_capacity(text.len()), ..View::default() };
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let at = text.len() - rest.len();
            let (new, width) = self.one(c, rest);
            rest = rest.get(width..).unwrap_or_default();
            match new {
                Some(new) => view.text.push(new),
                None => view.gaps.push((at, at + width)),
            }
            if new != Some(c) {
                view.back.push((view.text.len(), at + width));
            }
        }
        (!view.back.is_empty()).then_some(view)
    }

    /// What stands for the first character, and how many bytes it takes.
    fn one(&self, c: char, rest: &str) -> (Option<char>, usize) {
        match c {
            '\u{ff01}'..='\u{ff5e}' if self.full_width => (char::from_u32(u32::from(c) - 0xff01 + 0x21), c.len_utf8()),
            '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}' | '\u{ad}' if self.zero_width => (None, c.len_utf8()),
            '=' if self.quoted_printable => match rest.as_bytes() {
                [_, b'\r', b'\n', ..] => (None, 3),
                [_, b'\n', ..] => (None, 2),
                [_, high @ (b'2'..=b'7'), low, ..] => match hex(*high).zip(hex(*low)).map(|(high, low)| char::from(high * 16 + low)) {
                    Some(plain) if plain != '\u{7f}' => (Some(plain), 3),
                    _ => (Some(c), 1),
                },
                _ => (Some(c), 1),
            },
            _ => (Some(c), c.len_utf8()),
        }
    }

    /// Whether any first byte of what is looked for is there.
    fn could_change(&self, text: &str) -> bool {
        let has = |byte: u8| memchr::memchr(byte, text.as_bytes()).is_some();
        (self.full_width && has(0xef)) || (self.zero_width && (has(0xe2) || has(0xc2) || has(0xef))) || (self.quoted_printable && has(b'='))
    }
}

fn hex(b: u8) -> Option<u8> {
    char::from(b).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

impl View {
    /// The range of the text that a range here came from; what nobody sees at its end stays out.
    pub(crate) fn raw(&self, start: usize, end: usize) -> (usize, usize) {
        let back = |at: usize| {
            let behind = self.back.partition_point(|&(here, _)| here <= at);
            match behind.checked_sub(1).and_then(|last| self.back.get(last)) {
                Some(&(here, raw)) => raw + (at - here),
                None => at,
            }
        };
        let mut end = back(end);
        while let Some(gap) = self.gaps.iter().rev().find(|gap| gap.1 == end) {
            end = gap.0;
        }
        (back(start), end)
    }
}

#[cfg(test)]
mod tests {
    use super::Normal;

    fn normal(full_width: bool, zero_width: bool, quoted_printable: bool) -> Normal {
        Normal { full_width, zero_width, quoted_printable }
    }

    #[test]
    fn ranges_lead_back_over_every_change() {
        let text = "ａ\u{200b}b＠\u{200d}c";
        let view = normal(true, true, false).view(text).unwrap();
        assert_eq!(view.text, "ab@c");
        assert_eq!(view.raw(0, 4), (0, text.len()));
        assert_eq!(&text[view.raw(1, 3).0..view.raw(1, 3).1], "b＠");
        assert_eq!(&text[view.raw(0, 1).0..view.raw(0, 1).1], "ａ");
        assert_eq!(normal(false, false, true).view("a=40b=\nc=ZZ").unwrap().text, "a@bc=ZZ");
    }

    #[test]
    fn plain_text_is_its_own_view() {
        assert!(normal(true, true, true).view("plain é text").is_none());
        assert!(normal(false, false, false).view("ａ").is_none());
        assert!(normal(false, true, false).view("ａ").is_none());
    }
}
