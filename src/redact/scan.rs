//! One pass over the bytes, that stops only where something could begin.
//!
//! Nearly all text is innocent, so the cost is what an innocent byte costs. [`Skim`] marks the few positions that could be a trigger, three
//! bytes that some detector is woken by (a digit behind a non-digit, `eyJ`, `@`, `swd`). Each of them is looked up with its two
//! neighbours in three tables of one bit per trigger; a bit survives where all three bytes fit. Only there a detector looks at the
//! text, anchored and with a bounded view, so the whole stays linear for any input.

use crate::redact::detectors::{ALL, Number, Probe, Set, Word, assign, ip};
use crate::redact::skim::{BLOCK, Skim};
use crate::redact::text::{Out, Text, is_word};
use std::sync::LazyLock;

/// Bit of the trigger for digits.
const DIGITS: u128 = 1;
/// Longest run of letters and digits that is taken for an identifier.
const WORD_LIMIT: usize = 96;
/// Blocks that are marked in one go: enough that the call is cheap, few enough that a short text does not pay for them.
const BATCH: usize = 8;

/// A detector that looks at a trigger; it answers up to where it need not be asked again.
type Find = fn(&Text<'_>, usize, &mut Out<'_>) -> usize;

struct Tables {
    skim: Skim,
    prev: [u128; 256],
    here: [u128; 256],
    next: [u128; 256],
    /// Detectors by bit; none for the digits.
    owners: Vec<Option<(usize, Find)>>,
    number: Vec<fn(&Text<'_>, &Number, &mut Out<'_>)>,
    word: Vec<fn(&Text<'_>, Word, &mut Out<'_>)>,
}

static TABLES: LazyLock<Tables> = LazyLock::new(Tables::build);

impl Tables {
    fn build() -> Tables {
        let (mut owners, mut number, mut word) = (vec![None], Vec::new(), Vec::new());
        let mut windows = vec![[Set::NotDigit, Set::Digit, Set::Any]];
        for (owner, detector) in ALL.iter().enumerate() {
            match &detector.probe {
                Probe::Window(triggers, find) => {
                    windows.extend(triggers());
                    owners.resize(windows.len(), Some((owner, *find)));
                }
                Probe::Number(find) => number.push(*find),
                Probe::Word(find) => word.push(*find),
            }
        }
        let skim = Skim::new(windows.get(1..).unwrap_or_default());
        let mut tables = Tables { skim, prev: [0; 256], here: [0; 256], next: [0; 256], owners, number, word };
        for (bit, window) in windows.iter().enumerate() {
            // A test holds the triggers to the bits there are.
            tables.add(1u128.checked_shl(bit as u32).unwrap_or(0), window);
        }
        tables
    }

    fn add(&mut self, bit: u128, [prev, here, next]: &[Set; 3]) {
        for (table, set) in [(&mut self.prev, prev), (&mut self.here, here), (&mut self.next, next)] {
            for (slot, value) in table.iter_mut().zip(0..=255u8) {
                *slot |= if set.has(value) { bit } else { 0 };
            }
        }
    }

    /// The triggers at a position; a zero byte stands before and behind the text.
    #[inline]
    fn hit(&self, text: &Text<'_>, at: usize) -> u128 {
        let three = match at.checked_sub(1).and_then(|start| text.bytes.get(start..)).and_then(<[u8]>::first_chunk) {
            Some(&three) => three,
            None => [text.before(at), text.at(at), text.at(at + 1)],
        };
        let [prev, here, next] = three.map(usize::from);
        self.prev[prev] & self.here[here] & self.next[next]
    }
}

/// Hands every candidate of the text to the detectors it could be one of.
pub(crate) fn scan(text: &Text<'_>, out: &mut Out<'_>) {
    let bytes = text.bytes;
    let tables = &*TABLES;
    assign::keyed(text, out);
    let mut pass: Option<Pass<'_, '_>> = None;
    let mut marks = [0; BATCH];
    for from in (0..bytes.len()).step_by(BATCH * BLOCK) {
        let count = (bytes.len() - from).div_ceil(BLOCK).min(BATCH);
        let marks = marks.get_mut(..count).unwrap_or_default();
        tables.skim.mark(bytes, from, marks, text.limits.portable);
        for (&mut mut mark, block) in marks.iter_mut().zip((from..).step_by(BLOCK)) {
            while mark != 0 {
                let at = block + mark.trailing_zeros() as usize;
                mark &= mark - 1;
                let hit = tables.hit(text, at);
                if hit != 0 {
                    pass.get_or_insert_with(|| Pass::new(text, tables)).visit(hit, at, out);
                }
            }
        }
    }
}

struct Pass<'t, 'a> {
    text: &'t Text<'a>,
    tables: &'static Tables,
    /// Per detector: up to where it has already looked, so that no byte is walked over and over.
    done: [usize; ALL.len()],
    words_done: usize,
    number: Number,
}

impl<'t, 'a> Pass<'t, 'a> {
    fn new(text: &'t Text<'a>, tables: &'static Tables) -> Pass<'t, 'a> {
        Pass { text, tables, done: [0; ALL.len()], words_done: 0, number: Number::none() }
    }

    #[inline(never)]
    fn visit(&mut self, mut hit: u128, at: usize, out: &mut Out<'_>) {
        if hit & DIGITS != 0 {
            self.digits(at, out);
            hit &= !DIGITS;
        }
        while hit != 0 {
            let owner = self.tables.owners.get(hit.trailing_zeros() as usize).copied().flatten();
            hit &= hit - 1;
            if let Some((owner, find)) = owner
                && let Some(done) = self.done.get_mut(owner)
                && *done <= at
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
                self.number.read(text, at, end);
                ip::v4(text, &self.number, out);
            }
            return;
        }
        self.number.read(text, at, end);
        if self.number.could_matter(text) {
            for find in &self.tables.number {
                find(text, &self.number, out);
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
    use crate::redact::detectors::testing::Source;
    use crate::redact::detectors::{ALL, Limits, Probe, Set};
    use crate::redact::skim::BLOCK;
    use crate::redact::text::{Out, Text};

    #[test]
    fn every_trigger_has_its_bit() {
        assert!(TABLES.owners.len() <= 128, "{}: widen the tables", TABLES.owners.len());
    }

    #[test]
    fn plain_prose_triggers_next_to_nothing() {
        let prose = "It was the best of times, it was the worst of times; we had everything before us. ";
        let triggers = |w: &[u8]| TABLES.prev[usize::from(w[0])] & TABLES.here[usize::from(w[1])] & TABLES.next[usize::from(w[2])];
        let hits = prose.as_bytes().windows(3).filter(|window| triggers(window) != 0).count();
        assert!(hits <= 1, "{hits}");
    }

    /// Every position that a trigger fits, asked of the triggers themselves one after the other.
    fn reference(bytes: &[u8]) -> Vec<(usize, u128)> {
        let mut windows = vec![[Set::NotDigit, Set::Digit, Set::Any]];
        windows
            .extend(ALL.iter().flat_map(|detector| if let Probe::Window(triggers, _) = &detector.probe { triggers() } else { Vec::new() }));
        let at = |at: usize| bytes.get(at).copied().unwrap_or(0);
        let fits = |place: usize, window: &[Set; 3]| {
            let three = [place.checked_sub(1).map_or(0, at), at(place), at(place + 1)];
            window.iter().zip(three).all(|(set, byte)| set.has(byte))
        };
        let bits = |place| windows.iter().enumerate().filter(|(_, w)| fits(place, w)).fold(0, |bits, (bit, _)| bits | 1u128 << bit);
        (0..bytes.len()).map(|place| (place, bits(place))).filter(|(_, bits)| *bits != 0).collect()
    }

    #[test]
    fn both_ways_stop_where_a_plain_search_does() {
        let mut source = Source::new(31);
        let fixtures = [include_str!("../../tests/fixtures/pii_sample.jsonl"), include_str!("../../tests/fixtures/pii_look_alikes.jsonl")];
        let mut texts: Vec<String> = fixtures.iter().flat_map(|fixture| fixture.lines().map(str::to_owned)).collect();
        for round in 0..300 {
            let alphabet: &[u8] = [&b"0123456789 .-:"[..], b"abcdefghijklmnopqrstuvwxyz_- ", b"@%40:/+(eyJsk-BEKI", b"0a:.-/F@"][round % 4];
            let any = |source: &mut Source| alphabet[source.below(alphabet.len() as u64) as usize];
            texts.push((0..round).map(|_| char::from(any(&mut source))).collect());
        }
        let limits = Limits::default();
        for text in &texts {
            let text = Text::new(text, None, &limits);
            for portable in [false, true] {
                let mut marks = vec![0u64; text.bytes.len().div_ceil(BLOCK)];
                TABLES.skim.mark(text.bytes, 0, &mut marks, portable);
                let marked = (0..text.bytes.len()).filter(|at| marks[at / BLOCK] >> (at % BLOCK) & 1 == 1);
                let hits: Vec<(usize, u128)> = marked.map(|at| (at, TABLES.hit(&text, at))).filter(|(_, hit)| *hit != 0).collect();
                assert_eq!(hits, reference(text.bytes), "{}", text.str);
            }
        }
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
