//! A text under inspection: its bytes, its key, and the questions every detector asks of the bytes around a candidate.

use crate::redact::Kind;
use crate::redact::context::{self, Words};
use crate::redact::detectors::Limits;
use std::cell::{Cell, RefCell};

/// One string while it is scanned. Positions are bytes of this string.
pub(crate) struct Text<'a> {
    pub(crate) str: &'a str,
    pub(crate) bytes: &'a [u8],
    /// The name of the attribute or member that holds the string.
    pub(crate) key: Option<&'a str>,
    /// Whether the string may have been cut at its end, so that half an entity there counts.
    pub(crate) cut: bool,
    pub(crate) limits: &'a Limits,
    around: Cell<Option<(usize, usize, u64)>>,
    key_context: Cell<Option<u64>>,
    words: RefCell<Words>,
}

/// A finding before overlaps are settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hit {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) kind: Kind,
    pub(crate) subtype: &'static str,
}

impl<'a> Text<'a> {
    pub(crate) fn new(str: &'a str, key: Option<&'a str>, limits: &'a Limits) -> Text<'a> {
        Text {
            str,
            bytes: str.as_bytes(),
            key,
            cut: false,
            limits,
            around: Cell::new(None),
            key_context: Cell::new(None),
            words: RefCell::default(),
        }
    }

    /// The byte there, or 0 outside: no detector takes a zero byte for anything.
    #[inline]
    pub(crate) fn at(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(0)
    }

    /// The byte before, or 0 at the start.
    #[inline]
    pub(crate) fn before(&self, at: usize) -> u8 {
        at.checked_sub(1).map_or(0, |p| self.at(p))
    }

    /// The bytes of a range; empty if it is none.
    pub(crate) fn slice(&self, start: usize, end: usize) -> &'a [u8] {
        self.bytes.get(start..end).unwrap_or_default()
    }

    /// Whether the bytes there are these.
    pub(crate) fn starts_with(&self, at: usize, lead: &[u8]) -> bool {
        self.bytes.get(at..at.saturating_add(lead.len())) == Some(lead)
    }

    /// Whether the bytes there are these but for ASCII case.
    pub(crate) fn starts_with_nocase(&self, at: usize, lead: &[u8]) -> bool {
        self.bytes.get(at..at.saturating_add(lead.len())).is_some_and(|here| here.eq_ignore_ascii_case(lead))
    }

    /// The first position from `at` whose byte is not of the class, at most `limit` bytes on.
    pub(crate) fn run(&self, at: usize, limit: usize, class: impl Fn(u8) -> bool) -> usize {
        let rest = self.slice(at, at.saturating_add(limit).min(self.bytes.len()));
        at + rest.iter().position(|&b| !class(b)).unwrap_or(rest.len())
    }

    /// The first position of the run of this class that ends before `at`, at most `limit` bytes back.
    pub(crate) fn run_back(&self, at: usize, limit: usize, class: impl Fn(u8) -> bool) -> usize {
        let rest = self.slice(at.saturating_sub(limit), at);
        at - rest.iter().rev().position(|&b| !class(b)).unwrap_or(rest.len())
    }

    /// Neither neighbour is an ASCII letter, digit or `_`.
    pub(crate) fn bounded(&self, start: usize, end: usize) -> bool {
        !is_word(self.before(start)) && !is_word(self.at(end))
    }

    /// Bounded, and no part of a longer identifier, number or path: `ip-10-0-3-17`, `0.4111…`, `1:2:3`.
    pub(crate) fn stands_alone(&self, start: usize, end: usize) -> bool {
        self.bounded(start, end) && !self.glued_before(start) && !self.glued_after(end)
    }

    /// What stands before binds to it: `-`, `.` behind a word, `,`, `/`, `:` behind a digit.
    pub(crate) fn glued_before(&self, start: usize) -> bool {
        let far = start.checked_sub(1).map_or(0, |p| self.before(p));
        match self.before(start) {
            b'-' | b'.' => is_word(far),
            b',' | b'/' | b':' => far.is_ascii_digit(),
            _ => false,
        }
    }

    fn glued_after(&self, end: usize) -> bool {
        let far = self.at(end + 1);
        match self.at(end) {
            b'-' | b'.' => is_word(far),
            b',' | b'/' | b':' => far.is_ascii_digit(),
            _ => false,
        }
    }

    /// Digits follow or precede with only a space between: then groups may belong to a longer table row.
    pub(crate) fn in_digit_row(&self, start: usize, end: usize) -> bool {
        let far = start.checked_sub(2).map_or(0, |p| self.at(p));
        (self.before(start) == b' ' && far.is_ascii_digit()) || (self.at(end) == b' ' && self.at(end + 1).is_ascii_digit())
    }

    /// The context bits around every candidate between two positions and in it: at least those that [`Text::context`] gives for each.
    pub(crate) fn context_around(&self, start: usize, end: usize) -> u64 {
        self.key_context() | self.words.borrow_mut().near(self.str, start, end)
    }

    fn key_context(&self) -> u64 {
        let key = self.key_context.get().unwrap_or_else(|| self.key.map_or(0, context::of_key));
        self.key_context.set(Some(key));
        key
    }

    /// The context bits around a candidate. Remembered, since many types ask about the same digits.
    pub(crate) fn context(&self, start: usize, end: usize) -> u64 {
        if let Some((s, e, bits)) = self.around.get()
            && (s, e) == (start, end)
        {
            return bits;
        }
        let bits = self.key_context() | self.words.borrow_mut().around(self.str, start, end);
        self.around.set(Some((start, end, bits)));
        bits
    }
}

/// ASCII letter, digit or `_`.
#[inline]
pub(crate) const fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_'
}

/// `A-Za-z0-9_-`
#[inline]
pub(crate) const fn is_base64url(b: u8) -> bool {
    is_word(b) || b == b'-'
}

/// Where findings of one string go; it applies the config's answer to "is this type wanted here".
pub(crate) struct Out<'l> {
    pub(crate) hits: Vec<Hit>,
    limits: &'l Limits,
}

impl<'l> Out<'l> {
    pub(crate) fn new(limits: &'l Limits) -> Out<'l> {
        Out { hits: Vec::new(), limits }
    }

    /// Whether the type is looked for at all.
    pub(crate) fn wants(&self, kind: Kind) -> bool {
        self.limits.wants(kind)
    }

    /// A candidate of a form that needs no context by default.
    pub(crate) fn found(&mut self, text: &Text<'_>, kind: Kind, start: usize, end: usize) {
        if self.wants(kind) && (!self.limits.needs_context(kind) || text.context(start, end) & kind.context() != 0) {
            self.push(text, kind, "", start, end);
        }
    }

    /// A candidate of a form that needs context by default. `checked`: a checksum holds, so the wide profile takes it bare.
    pub(crate) fn found_in_context(&mut self, text: &Text<'_>, kind: Kind, start: usize, end: usize, checked: bool) {
        if self.wants(kind) && (self.limits.takes_bare(kind, checked) || text.context(start, end) & kind.context() != 0) {
            self.push(text, kind, "", start, end);
        }
    }

    /// A secret, with the family it is of.
    pub(crate) fn secret(&mut self, text: &Text<'_>, kind: Kind, subtype: &'static str, start: usize, end: usize) {
        if self.wants(kind) {
            self.push(text, kind, subtype, start, end);
        }
    }

    fn push(&mut self, text: &Text<'_>, kind: Kind, subtype: &'static str, start: usize, end: usize) {
        if start < end && text.str.is_char_boundary(start) && text.str.is_char_boundary(end) {
            self.hits.push(Hit { start, end, kind, subtype });
        }
    }
}
