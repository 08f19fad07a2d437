//! What can be found, one file each.
//!
//! A detector names the bytes it is triggered by and a function that decides from there. It may look back and ahead
//! a bounded way, or as far as it tells the pass it has looked; it never searches the text.

mod americas;
mod apikey;
mod asia;
pub(crate) mod assign;
mod birth;
mod card;
pub(crate) mod checks;
mod codes;
mod crypto;
mod email;
mod europe;
mod iban;
pub(crate) mod ip;
mod jwt;
mod mac;
mod named;
mod national;
mod national_checks;
mod pem;
mod phone;
mod placeholder;
mod printed;
mod ssn;
mod uk;
mod url;

use crate::redact::Kind;
use crate::redact::config::{Region, When};
use crate::redact::kind::Default as Usual;
use crate::redact::text::{Out, Text};

/// Every detector. A new one is a file, its `mod` line, and a line here.
pub(crate) static ALL: &[Detector; 32] = &[
    pem::DETECTOR,
    jwt::DETECTOR,
    apikey::DETECTOR,
    assign::DETECTOR,
    assign::DETECTOR_SCHEME,
    url::DETECTOR,
    email::DETECTOR,
    iban::DETECTOR,
    card::DETECTOR,
    crypto::DETECTOR,
    ssn::DETECTOR,
    uk::DETECTOR,
    uk::DETECTOR_NINO,
    uk::DETECTOR_LICENCE,
    europe::DETECTOR,
    europe::DETECTOR_WORD,
    americas::DETECTOR,
    americas::DETECTOR_CNPJ,
    americas::DETECTOR_WORD,
    asia::DETECTOR,
    asia::DETECTOR_WORD,
    phone::DETECTOR_INTERNATIONAL,
    phone::DETECTOR_NATIONAL,
    ip::DETECTOR,
    ip::DETECTOR_V6,
    mac::DETECTOR,
    birth::DETECTOR,
    named::DETECTOR,
    named::DETECTOR_WORD,
    national::DETECTOR,
    national::DETECTOR_WORD,
    codes::DETECTOR,
];

/// One detector: when it is asked.
pub(crate) struct Detector {
    pub(crate) probe: Probe,
}

/// What wakes a detector.
pub(crate) enum Probe {
    /// Three bytes in a row. The function gets the position of the middle one and answers up to where it need not be asked again.
    Window(fn() -> Vec<[Set; 3]>, fn(&Text<'_>, usize, &mut Out<'_>) -> usize),
    /// Digits, alone or in groups, at their first digit.
    Number(fn(&Text<'_>, &Number, &mut Out<'_>)),
    /// A run of ASCII letters and digits that has both.
    Word(fn(&Text<'_>, Word, &mut Out<'_>)),
}

/// A set of byte values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Set {
    Any,
    Digit,
    NotDigit,
    /// This byte.
    One(u8),
    /// This letter in either case.
    Letter(u8),
    /// Any of these.
    Of(&'static [u8]),
}

impl Set {
    pub(crate) fn has(&self, b: u8) -> bool {
        match self {
            Set::Any => true,
            Set::Digit => b.is_ascii_digit(),
            Set::NotDigit => !b.is_ascii_digit(),
            Set::One(one) => b == *one,
            Set::Letter(letter) => b.eq_ignore_ascii_case(letter),
            Set::Of(of) => of.contains(&b),
        }
    }

    /// Three letters in any case, as a window.
    pub(crate) const fn letters(word: &[u8; 3]) -> [Set; 3] {
        [Set::Letter(word[0]), Set::Letter(word[1]), Set::Letter(word[2])]
    }

    /// Three bytes, as a window.
    pub(crate) const fn bytes(word: &[u8; 3]) -> [Set; 3] {
        [Set::One(word[0]), Set::One(word[1]), Set::One(word[2])]
    }
}

/// A run of ASCII letters and digits; its neighbours are neither.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Word {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// Most groups that are read of one number. The longest printed form has seven.
const GROUPS: usize = 8;

/// Digits with single separators between them, from a given first digit on.
#[derive(Debug)]
pub(crate) struct Number {
    pub(crate) start: usize,
    groups: [Group; GROUPS],
    len: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Group {
    start: usize,
    end: usize,
    /// What joins it to the next: `b' '` also for a no-break space, 0 for nothing.
    sep: u8,
}

impl Number {
    /// None yet.
    pub(crate) fn none() -> Number {
        Number { start: 0, groups: [Group::default(); GROUPS], len: 0 }
    }

    /// Reads on from a run of digits, in place of what was read before.
    pub(crate) fn read(&mut self, text: &Text<'_>, start: usize, end: usize) {
        let number = self;
        // In a row of numbers, the next one begins with what was read behind this one.
        let known = number.groups.iter().take(number.len).skip(1).position(|group| (group.start, group.end) == (start, end));
        if let Some(skipped) = known.map(|at| at + 1) {
            number.groups.copy_within(skipped..number.len, 0);
            number.len -= skipped;
        } else {
            number.groups[0] = Group { start, end, sep: 0 };
            number.len = 1;
        }
        number.start = start;
        let mut end = number.groups.get(number.len - 1).map_or(end, |last| last.end);
        while number.len < GROUPS {
            let (sep, width) = match text.at(end) {
                sep @ (b' ' | b'-' | b'.' | b'/' | b':') => (sep, 1),
                0xC2 if text.at(end + 1) == 0xA0 => (b' ', 2),
                _ => break,
            };
            let next = end + width;
            // A group of a printed number is short; 20 is past any of them.
            let stop = text.run(next, 20, |b| b.is_ascii_digit());
            if stop == next {
                break;
            }
            if let Some(last) = number.groups.get_mut(number.len - 1) {
                last.sep = sep;
            }
            if let Some(slot) = number.groups.get_mut(number.len) {
                *slot = Group { start: next, end: stop, sep: 0 };
            }
            number.len += 1;
            end = stop;
        }
    }

    /// Digits in group `at`; 0 past the last.
    pub(crate) fn digits_in(&self, at: usize) -> usize {
        self.group(at).map_or(0, |g| g.end - g.start)
    }

    /// The end of group `at`.
    pub(crate) fn end_of(&self, at: usize) -> Option<usize> {
        self.group(at).map(|g| g.end)
    }

    /// Digits in all groups that were read.
    pub(crate) fn total(&self) -> usize {
        (0..self.len).map(|at| self.digits_in(at)).sum()
    }

    /// Whether digits in brackets or groups past the last that was read could belong to it.
    pub(crate) fn may_go_on(&self, text: &Text<'_>) -> bool {
        let end = self.end_of(self.len - 1).unwrap_or(self.start);
        self.len == GROUPS || (end..end + 3).any(|at| text.at(at) == b'(') || text.before(self.start) == b'('
    }

    /// What joins group `at` to the next; 0 for nothing.
    pub(crate) fn sep_after(&self, at: usize) -> u8 {
        self.group(at).map_or(0, |g| g.sep)
    }

    /// Groups read.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The end of the number, if its first groups have these lengths and one of these separators, the same throughout.
    pub(crate) fn shape(&self, lens: &[usize], seps: &[u8]) -> Option<usize> {
        let sep = self.sep_after(0);
        if lens.len() > self.len || (lens.len() > 1 && !seps.contains(&sep)) {
            return None;
        }
        let fits =
            lens.iter().enumerate().all(|(at, &len)| self.digits_in(at) == len && (at + 1 == lens.len() || self.sep_after(at) == sep));
        if fits { self.end_of(lens.len() - 1) } else { None }
    }

    /// Whether the digits could be an identifier that is printed in groups of these lengths, or solid. What it lets pass is read in full;
    /// what it does not is most numbers.
    pub(crate) fn could_be(&self, lens: &[usize]) -> bool {
        let first = self.digits_in(0);
        match lens {
            [one, two, ..] if first == *one => self.digits_in(1) == *two || first == lens.iter().sum::<usize>(),
            _ => first == lens.iter().sum::<usize>(),
        }
    }

    /// The end of the first group, if it alone has so many digits.
    pub(crate) fn solid(&self, len: usize) -> Option<usize> {
        if self.digits_in(0) == len { self.end_of(0) } else { None }
    }

    /// Whether the groups are those of any type: a lone "7" or "2024" is most of what there is.
    pub(crate) fn could_matter(&self, text: &Text<'_>) -> bool {
        let (first, second, third, sep) = (self.digits_in(0), self.digits_in(1), self.digits_in(2), self.sep_after(0));
        let grouped = match (first, sep) {
            (_, 0) => false,
            // Only Aadhaar has colons; with other lengths it is the time of day.
            (4, b':') => second == 4 && third == 4,
            (_, b':') => false,
            // A dotted quad.
            (1..=3, b'.') if self.len >= 4 => true,
            // A number of France, one of North America with its 1, a date.
            (1, _) => {
                (second == 2 && third == 2 && self.digits_in(3) == 2)
                    || (second == 3 && third == 3)
                    || third == 4
                    || second == 9
                    || second == 10
            }
            _ => second >= 2 || third >= 4,
        };
        if grouped || first >= 6 || text.before(self.start) == b'(' {
            return true;
        }
        // What is left are dates with a month in words or signs: "12 May 1980", "May 12, 1980", "1980年5月12日".
        let end = self.end_of(0).unwrap_or(self.start);
        match first {
            1 | 2 => day_in_date(text, end),
            4 => text.at(end) >= 0x80,
            _ => false,
        }
    }

    fn group(&self, at: usize) -> Option<&Group> {
        if at < self.len { self.groups.get(at) } else { None }
    }
}

/// Whether a year follows a day, as in "May 12, 1980", or a word and digits do, as in "12 May 1980" and "12 de mayo de 1980".
fn day_in_date(text: &Text<'_>, day_end: usize) -> bool {
    let suffix = [&b"st"[..], b"nd", b"rd", b"th", b"er"].iter().any(|suffix| text.starts_with(day_end, suffix));
    let day_end = day_end + 2 * usize::from(suffix);
    let at = text.run(day_end, 3, |b| matches!(b, b' ' | b'.' | b'-' | b','));
    if at == day_end {
        return false;
    }
    if text.at(at).is_ascii_digit() {
        return true;
    }
    let end = text.run(at, 16, |b| b.is_ascii_alphabetic() || b >= 0x80);
    let next = text.run(end, 3, |b| matches!(b, b' ' | b'.' | b',' | b'-'));
    let word = text.slice(at, end);
    word.len() >= 2
        && (text.at(next).is_ascii_digit() || [&b"de"[..], b"of", b"del", b"di"].contains(&word) || text.starts_with_nocase(next, b"de "))
}

/// What the config wants of each type.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    modes: [When; Kind::BUILT_IN.len()],
    /// Whether any type is looked for that is off by default.
    optional: bool,
    wide: bool,
    /// Private and documentation addresses stay.
    pub(crate) keep_private: bool,
    /// Texts are passed without the instructions that only some processors have.
    pub(crate) portable: bool,
    /// Countries whose numbers are taken solid and without a word, in the wide profile.
    pub(crate) regions: Vec<Region>,
}

impl Default for Limits {
    fn default() -> Limits {
        let mut modes = [When::On; Kind::BUILT_IN.len()];
        for (mode, kind) in modes.iter_mut().zip(Kind::BUILT_IN) {
            if kind.default() == Usual::Optional {
                *mode = When::Off;
            }
        }
        Limits { modes, optional: false, wide: false, keep_private: false, portable: false, regions: Vec::new() }
    }
}

impl Limits {
    pub(crate) fn new(wide: bool, keep_private: bool) -> Limits {
        let mut limits = Limits { wide, keep_private, ..Limits::default() };
        if wide {
            limits.modes = [When::On; Kind::BUILT_IN.len()];
            limits.optional = true;
        }
        limits
    }

    pub(crate) fn set(&mut self, kind: Kind, when: When) {
        if let Some(mode) = kind.index().and_then(|at| self.modes.get_mut(at)) {
            *mode = when;
        }
        self.optional |= kind.default() == Usual::Optional && when != When::Off;
    }

    /// Whether any type is looked for that is off by default.
    pub(crate) fn optional(&self) -> bool {
        self.optional
    }

    /// The countries whose solid telephone numbers need no word.
    pub(crate) fn bare_regions(&self) -> &[Region] {
        if self.wide { &self.regions } else { &[] }
    }

    fn mode(&self, kind: Kind) -> When {
        kind.index().and_then(|at| self.modes.get(at)).copied().unwrap_or(When::On)
    }

    pub(crate) fn wants(&self, kind: Kind) -> bool {
        self.mode(kind) != When::Off
    }

    /// Whether even a form that stands by itself must have context. Only for types that have context words.
    pub(crate) fn needs_context(&self, kind: Kind) -> bool {
        match self.mode(kind) {
            When::NeedsContext => kind.context() != 0,
            When::On => kind.default() == Usual::Context && !self.wide,
            When::Off | When::Always => false,
        }
    }

    /// Whether a form that asks for context is taken without.
    pub(crate) fn takes_bare(&self, kind: Kind, checked: bool) -> bool {
        match self.mode(kind) {
            When::Always => true,
            When::On => self.wide && checked,
            When::Off | When::NeedsContext => false,
        }
    }
}

#[cfg(test)]
pub(crate) mod testing {
    //! What the tests of every detector need: what is found in a text, and numbers to try that are the same every time.

    use super::Limits;
    use crate::redact::Kind;
    use crate::redact::overlap::settle;
    use crate::redact::scan::scan;
    use crate::redact::text::{Out, Text};

    /// What the default profile finds.
    pub(crate) fn found(text: &str) -> Vec<(Kind, &str)> {
        found_with(text, None, &Limits::default())
    }

    pub(crate) fn found_with<'a>(text: &'a str, key: Option<&str>, limits: &Limits) -> Vec<(Kind, &'a str)> {
        let mut out = Out::new(limits);
        scan(&Text::new(text, key, limits), &mut out);
        settle(out.hits).into_iter().map(|hit| (hit.kind, &text[hit.start..hit.end])).collect()
    }

    #[track_caller]
    pub(crate) fn none(text: &str) {
        assert_eq!(found(text), [], "{text}");
    }

    /// A small deterministic generator (splitmix64).
    pub(crate) struct Source(u64);

    impl Source {
        pub(crate) fn new(seed: u64) -> Source {
            Source(seed)
        }

        pub(crate) fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        }

        pub(crate) fn below(&mut self, end: u64) -> u64 {
            self.next() % end
        }

        pub(crate) fn byte(&mut self) -> u8 {
            self.next() as u8
        }

        /// Digits as values 0 to 9.
        pub(crate) fn digits(&mut self, count: usize) -> Vec<u8> {
            (0..count).map(|_| self.below(10) as u8).collect()
        }

        /// Capitals.
        pub(crate) fn letters(&mut self, count: usize) -> Vec<u8> {
            (0..count).map(|_| b'A' + self.below(26) as u8).collect()
        }
    }
}
