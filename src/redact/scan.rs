//! One pass over the bytes, that stops only where something could begin.
//!
//! Nearly all text is innocent, so the cost is what an innocent byte costs: three loads and two ANDs. Each position
//! is looked up with its two neighbours in three tables of 64 bits per byte value; a bit survives where all three
//! bytes fit one trigger (a digit behind a non-digit, `eyJ`, `@`, `swd`). Only there a detector looks at the text,
//! anchored and with a bounded view, so the whole stays linear for any input.

use crate::redact::detectors::{ALL, Number, Probe, Set, Word, assign};
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
}

static TABLES: LazyLock<Tables> = LazyLock::new(Tables::build);

impl Tables {
    fn build() -> Tables {
        let mut tables = Tables { prev: [0; 256], here: [0; 256], next: [0; 256], owners: vec![usize::MAX] };
        tables.add(DIGITS, &[Set::NotDigit, Set::Digit, Set::Any]);
        let mut seen: Vec<(usize, [Set; 3])> = Vec::new();
        for (owner, detector) in ALL.iter().enumerate() {
            let Probe::Window(windows, _) = &detector.probe else { continue };
            for window in windows() {
                if seen.contains(&(owner, window)) {
                    continue;
                }
                seen.push((owner, window));
                // Past 63 triggers, they share bits: more false alarms, never a missed one.
                let bit = 1 + (seen.len() - 1) % 63;
                if bit == tables.owners.len() {
                    tables.owners.push(owner);
                } else {
                    debug_assert!(false, "more than 63 triggers: widen the tables");
                }
                tables.add(1 << bit, &window);
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

    #[inline(always)]
    fn triggers(&self, prev: u8, here: u8, next: u8) -> u64 {
        self.prev[usize::from(prev)] & self.here[usize::from(here)] & self.next[usize::from(next)]
    }
}

/// Hands every candidate of the text to the detectors it could be one of.
pub(crate) fn scan(text: &Text<'_>, out: &mut Out<'_>) {
    let bytes = text.bytes;
    let tables = &*TABLES;
    let mut pass = Pass { text, tables, done: [0; ALL.len()], words_done: 0 };
    assign::keyed(text, out);
    let [first, rest @ ..] = bytes else { return };
    let next = rest.first().copied().unwrap_or(0);
    pass.visit(tables.triggers(0, *first, next), 0, out);
    for (at, window) in bytes.windows(3).enumerate() {
        if let &[prev, here, next] = window {
            let hit = tables.triggers(prev, here, next);
            if hit != 0 {
                pass.visit(hit, at + 1, out);
            }
        }
    }
    if let [.., prev, last] = bytes {
        pass.visit(tables.triggers(*prev, *last, 0), bytes.len() - 1, out);
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
        let in_word = is_word(text.before(at)) || text.at(end).is_ascii_alphabetic();
        if in_word && self.words_done <= at {
            let start = text.run_back(at, WORD_LIMIT, |b| b.is_ascii_alphanumeric());
            let stop = text.run(end, WORD_LIMIT, |b| b.is_ascii_alphanumeric());
            self.words_done = stop;
            if !text.before(start).is_ascii_alphanumeric() && !text.at(stop).is_ascii_alphanumeric() {
                let word = Word { start, end: stop };
                for detector in ALL {
                    if let Probe::Word(find) = &detector.probe {
                        find(text, word, out);
                    }
                }
            }
        }
        if is_word(text.before(at)) {
            return;
        }
        let number = Number::read(text, at, end);
        if number.could_matter(text) {
            for detector in ALL {
                if let Probe::Number(find) = &detector.probe {
                    find(text, &number, out);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{TABLES, scan};
    use crate::redact::detectors::Limits;
    use crate::redact::text::{Out, Text};

    #[test]
    fn plain_prose_triggers_next_to_nothing() {
        let prose = "It was the best of times, it was the worst of times; we had everything before us. ";
        let bytes = prose.as_bytes();
        let hits = bytes.windows(3).filter(|w| TABLES.triggers(w[0], w[1], w[2]) != 0).count();
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
