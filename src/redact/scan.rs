//! One pass over the bytes, that stops only where something could begin.
//!
//! Nearly all text is innocent, so the cost is what an innocent byte costs: three loads and two ANDs. Each position
//! is looked up with its two neighbours in three tables of 64 bits per byte value; a bit survives where all three
//! bytes fit one trigger (a digit behind a non-digit, `eyJ`, `@`, `swd`). Only there a detector looks at the text,
//! anchored and with a bounded view, so the whole stays linear for any input.

use crate::redact::detectors::{ALL, Number, Probe, Set, Word, assign, ip};
use crate::redact::text::{Out, Text, is_word};
use std::sync::LazyLock;

/// Bit of the trigger for digits.
const DIGITS: u64 = 1;
/// Longest run of letters and digits that is taken for an identifier.
const WORD_LIMIT: usize = 96;

struct Tables {
    prev: [u64; 256],
    here: [u64; 256],
    next: [u64; 256],
    /// Detectors by bit.
    owners: Vec<usize>,
    number: Vec<fn(&Text<'_>, &Number, &mut Out<'_>)>,
    word: Vec<fn(&Text<'_>, Word, &mut Out<'_>)>,
}

static TABLES: LazyLock<Tables> = LazyLock::new(Tables::build);

impl Tables {
    fn build() -> Tables {
        let mut tables =
            Tables { prev: [0; 256], here: [0; 256], next: [0; 256], owners: vec![usize::MAX], number: Vec::new(), word: Vec::new() };
        tables.add(DIGITS, &[Set::NotDigit, Set::Digit, Set::Any]);
        for (owner, detector) in ALL.iter().enumerate() {
            let windows = match &detector.probe {
                Probe::Window(windows, _) => windows,
                Probe::Number(find) => {
                    tables.number.push(*find);
                    continue;
                }
                Probe::Word(find) => {
                    tables.word.push(*find);
                    continue;
                }
            };
            for window in windows() {
                // A test holds the triggers to the 64 bits there are.
                let bit = tables.owners.len();
                tables.owners.push(owner);
                tables.add(1u64.checked_shl(bit as u32).unwrap_or(0), &window);
            }
        }
        tables
    }

    fn add(&mut self, bit: u64, window: &[Set; 3]) {
        let [prev, here, next] = window;
        for value in 0..=255u8 {
            let at = usize::from(value);
            self.prev[at] |= if prev.has(value) { bit } else { 0 };
            self.here[at] |= if here.has(value) { bit } else { 0 };
            self.next[at] |= if next.has(value) { bit } else { 0 };
        }
    }
}

/// Hands every candidate of the text to the detectors it could be one of.
pub(crate) fn scan(text: &Text<'_>, out: &mut Out<'_>) {
    let bytes = text.bytes;
    let tables = &*TABLES;
    assign::keyed(text, out);
    let mut pass = Pass { text, tables, done: [0; ALL.len()], words_done: 0 };
    // Triggers whose first byte, and whose first two bytes, end here; a zero byte stands before and behind the text.
    let mut one = tables.prev[0];
    let mut two = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        let value = usize::from(byte);
        let hit = two & tables.next[value];
        two = one & tables.here[value];
        one = tables.prev[value];
        if hit != 0 {
            pass.visit(hit, at - 1, out);
        }
    }
    let hit = two & tables.next[0];
    if hit != 0 {
        pass.visit(hit, bytes.len() - 1, out);
    }
}

struct Pass<'t, 'a> {
    text: &'t Text<'a>,
    tables: &'static Tables,
    /// Per detector: up to where it has already looked, so that no byte is walked over and over.
    done: [usize; ALL.len()],
    words_done: usize,
}

impl Pass<'_, '_> {
    #[cold]
    #[inline(never)]
    fn visit(&mut self, mut hit: u64, at: usize, out: &mut Out<'_>) {
        if hit & DIGITS != 0 {
            self.digits(at, out);
            hit &= !DIGITS;
        }
        while hit != 0 {
            let owner = self.tables.owners.get(hit.trailing_zeros() as usize).copied().unwrap_or(usize::MAX);
            hit &= hit - 1;
            if let (Some(detector), Some(done)) = (ALL.get(owner), self.done.get_mut(owner))
                && *done <= at
                && let Probe::Window(_, find) = &detector.probe
            {
                *done = find(self.text, at, out);
            }
        }
    }

    /// A run of digits begins here: it may be a number, or stand in an identifier.
    fn digits(&mut self, at: usize, out: &mut Out<'_>) {
        let text = self.text;
        let end = text.run(at, usize::MAX, |b| b.is_ascii_digit());
        let before = text.before(at);
        if before.is_ascii_alphanumeric() || text.at(end).is_ascii_alphabetic() {
            self.word(at, end, out);
        }
        // Lone short numbers are most of what there is, so they are let go before anything else is read.
        let lone = !text.at(end + 1).is_ascii_digit() && text.at(end) < 0x80 && text.at(end) != b' ' && before != b'(';
        if is_word(before) || (lone && end - at < 6 && !matches!(text.at(end), b'.' | b',' | b's' | b'n' | b'r' | b't' | b'e' | b'-')) {
            return;
        }
        // Glued to a longer chain; only a Spanish number has a letter and a sign before its digits, and an address a label.
        if text.glued_before(at) && !(before == b'-' && matches!(text.before(at - 1), b'X' | b'Y' | b'Z' | b'x' | b'y' | b'z')) {
            if labelled(text, at) {
                ip::v4(text, &Number::read(text, at, end), out);
            }
            return;
        }
        let number = Number::read(text, at, end);
        if number.could_matter(text) {
            for find in &self.tables.number {
                find(text, &number, out);
            }
        }
    }

    /// The identifier around these digits, once.
    fn word(&mut self, at: usize, end: usize, out: &mut Out<'_>) {
        if self.words_done > at {
            return;
        }
        let text = self.text;
        let start = text.run_back(at, WORD_LIMIT, |b| b.is_ascii_alphanumeric());
        let stop = text.run(end, WORD_LIMIT, |b| b.is_ascii_alphanumeric());
        self.words_done = stop;
        // Shorter than any identifier, unless groups follow as in `GB82 WEST …` or `AB12 34 56 C`.
        let signs = text.at(stop) == b'-' && text.at(start).is_ascii_uppercase();
        let long = signs
            || stop - start > 4
            || (stop - start == 4
                && matches!(text.slice(start, stop), [a, b, c, d] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() && c.is_ascii_digit() && d.is_ascii_digit()));
        if long && !is_word(text.before(start)) && !is_word(text.at(stop)) {
            for find in &self.tables.word {
                find(text, Word { start, end: stop }, out);
            }
        }
    }
}

/// Whether a word that is no part of a number stands before with a colon: `IPv4:203.0.113.77`, `eth0:…`, not `1:2:…` or `db8:…`.
fn labelled(text: &Text<'_>, at: usize) -> bool {
    let Some(colon) = at.checked_sub(1).filter(|&colon| text.at(colon) == b':') else { return false };
    let start = text.run_back(colon, 24, |b| b.is_ascii_alphanumeric());
    let letters = text.run(start, 24, |b| b.is_ascii_alphabetic());
    letters >= start + 2 && !is_word(text.before(start)) && text.slice(start, letters).iter().any(|b| !b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::{TABLES, scan};
    use crate::redact::detectors::Limits;
    use crate::redact::text::{Out, Text};

    #[test]
    fn every_trigger_has_its_bit() {
        assert!(TABLES.owners.len() <= 64, "{}: widen the tables", TABLES.owners.len());
    }

    #[test]
    fn plain_prose_triggers_next_to_nothing() {
        let prose = "It was the best of times, it was the worst of times; we had everything before us. ";
        let triggers = |w: &[u8]| TABLES.prev[usize::from(w[0])] & TABLES.here[usize::from(w[1])] & TABLES.next[usize::from(w[2])];
        let hits = prose.as_bytes().windows(3).filter(|window| triggers(window) != 0).count();
        assert!(hits <= 1, "{hits}");
    }

    #[test]
    fn the_shortest_texts_are_read() {
        let limits = Limits::default();
        for text in ["", "1", "1a", "@", "::", "é", "1é"] {
            let mut out = Out::new(&limits);
            scan(&Text::new(text, None, &limits), &mut out);
            assert!(out.hits.is_empty());
        }
    }
}
