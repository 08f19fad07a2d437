//! Marks where something could begin, quickly and not exactly.
//!
//! A detector is woken by three bytes in a row, and there are dozens of such triggers. Here they share sixteen buckets, so that a position
//! is judged by three words of table, or thirty-two positions by a handful of instructions where the processor has them. Triggers that
//! share a bucket also match mixtures of each other; the pass asks exactly before it wakes anybody. So buckets are put together by what
//! common text would match them least.

#[cfg(target_arch = "x86_64")]
use crate::redact::avx2::{self, Nibbles};
use crate::redact::detectors::Set;

/// Positions per mark.
pub(crate) const BLOCK: usize = 64;
/// A block with its two neighbours.
pub(crate) type Window = [u8; BLOCK + 2];
/// Buckets beside the one for digits: eight make a vector of bytes, and with only eight, six positions of prose in a hundred are marked.
const BUCKETS: usize = 15;
/// Bit of the bucket in which runs of digits begin.
const DIGITS: u16 = 1;

/// Bytes of text by how often they stand there, the most frequent first; the others are rare.
const COMMON: &[u8] = b" etaoinsrhldcumfgpywbv,.k-\n0\"1'2/3:45x";

/// The buckets, as tables of the bytes that each allows.
pub(crate) struct Skim {
    prev: [u16; 256],
    here: [u16; 256],
    next: [u16; 256],
    #[cfg(target_arch = "x86_64")]
    nibbles: Option<Nibbles>,
}

impl Skim {
    /// Puts the triggers into buckets.
    pub(crate) fn new(windows: &[[Set; 3]]) -> Skim {
        let mut tables = [[0u16; 256]; 3];
        let mut fill = |bit: u16, window: &[Set; 3]| {
            for (table, set) in tables.iter_mut().zip(window) {
                for (slot, value) in table.iter_mut().zip(0..=255u8) {
                    *slot |= if set.has(value) { bit } else { 0 };
                }
            }
        };
        fill(DIGITS, &[Set::NotDigit, Set::Digit, Set::Any]);
        let buckets = buckets(windows);
        for (bucket, bit) in buckets.iter().zip(1..) {
            for &member in &bucket.members {
                windows.get(member).into_iter().for_each(|window| fill(1 << bit, window));
            }
        }
        let [prev, here, next] = tables;
        #[cfg(target_arch = "x86_64")]
        let nibbles = Nibbles::new(buckets.iter().map(|bucket| &bucket.nibbles));
        Skim {
            prev,
            here,
            next,
            #[cfg(target_arch = "x86_64")]
            nibbles,
        }
    }

    /// Fills in one mark for each [`BLOCK`] positions from `from` on: the bits of the positions that could be triggers. None that is one is
    /// left out. `portable`: without the instructions that only some processors have.
    #[inline]
    pub(crate) fn mark(&self, bytes: &[u8], from: usize, marks: &mut [u64], portable: bool) {
        #[cfg(target_arch = "x86_64")]
        if let Some(nibbles) = self.nibbles.as_ref().filter(|_| !portable) {
            return avx2::mark(nibbles, bytes, from, marks);
        }
        let _ = portable;
        let mut edge = [0; BLOCK + 2];
        for (mark, at) in marks.iter_mut().zip((from..).step_by(BLOCK)) {
            *mark = self.block(window(bytes, at, &mut edge)) & within(bytes, at);
        }
    }

    fn block(&self, window: &Window) -> u64 {
        let mut mark = 0;
        for (place, three) in window.windows(3).enumerate() {
            let [prev, here, next] = three else { continue };
            let hit = self.prev[usize::from(*prev)] & self.here[usize::from(*here)] & self.next[usize::from(*next)];
            mark |= u64::from(hit != 0) << place;
        }
        mark
    }
}

/// The block at a position with its neighbours; zero bytes stand before and behind the text.
#[inline]
pub(crate) fn window<'b>(bytes: &'b [u8], at: usize, edge: &'b mut Window) -> &'b Window {
    if let Some(whole) = at.checked_sub(1).and_then(|start| bytes.get(start..)).and_then(<[u8]>::first_chunk) {
        return whole;
    }
    *edge = [0; BLOCK + 2];
    let before = usize::from(at > 0);
    let rest = bytes.get(at - before..).unwrap_or_default();
    let len = rest.len().min(BLOCK + 1 + before);
    if let (Some(slots), Some(rest)) = (edge.get_mut(1 - before..1 - before + len), rest.get(..len)) {
        slots.copy_from_slice(rest);
    }
    edge
}

/// The bits of the positions of a block that are in the text.
#[inline]
pub(crate) fn within(bytes: &[u8], at: usize) -> u64 {
    let left = bytes.len().saturating_sub(at);
    if left >= BLOCK { u64::MAX } else { (1 << left) - 1 }
}

/// Per place of a trigger, the lower and the upper halves of the bytes that it allows: what two tables of sixteen can tell.
pub(crate) type Halves = [(u16, u16); 3];

#[derive(Clone)]
struct Bucket {
    members: Vec<usize>,
    nibbles: Halves,
    /// The share of positions in common text that the bucket matches.
    cost: f64,
}

/// The triggers in so many buckets: the two that together match least more than they do alone are put together, until there are few enough.
fn buckets(windows: &[[Set; 3]]) -> Vec<Bucket> {
    let weights = weights();
    let mut all: Vec<Option<Bucket>> = Vec::new();
    // Pairs of buckets, each with what putting it together costs.
    let mut pairs: Vec<(f64, usize, usize)> = Vec::new();
    let mut left = 0;
    let add = |all: &mut Vec<Option<Bucket>>, pairs: &mut Vec<(f64, usize, usize)>, new: Bucket| {
        let others = all.iter().enumerate().filter_map(|(at, other)| Some((at, other.as_ref()?)));
        pairs.extend(others.map(|(at, other)| (join(&new, other, &weights).cost - new.cost - other.cost, at, all.len())));
        all.push(Some(new));
    };
    for (at, window) in windows.iter().enumerate() {
        let nibbles = window.map(|set| {
            let bytes = (0..=255u8).filter(|&value| set.has(value));
            bytes.fold((0, 0), |(low, high), value| (low | 1 << (value & 15), high | 1 << (value >> 4)))
        });
        add(&mut all, &mut pairs, Bucket { members: vec![at], nibbles, cost: cost(&nibbles, &weights) });
        left += 1;
    }
    while left > BUCKETS {
        let Some(&(_, one, other)) = pairs.iter().min_by(|a, b| a.0.total_cmp(&b.0)) else { break };
        pairs.retain(|(_, a, b)| ![one, other].contains(a) && ![one, other].contains(b));
        let mut take = |at: usize| all.get_mut(at).and_then(Option::take);
        let (Some(one), Some(other)) = (take(one), take(other)) else { break };
        add(&mut all, &mut pairs, join(&one, &other, &weights));
        left -= 1;
    }
    all.into_iter().flatten().collect()
}

fn join(one: &Bucket, other: &Bucket, weights: &[[f64; 16]; 16]) -> Bucket {
    let mut nibbles = one.nibbles;
    for (mine, theirs) in nibbles.iter_mut().zip(other.nibbles) {
        *mine = (mine.0 | theirs.0, mine.1 | theirs.1);
    }
    Bucket { members: [&one.members[..], &other.members].concat(), nibbles, cost: cost(&nibbles, weights) }
}

fn cost(nibbles: &Halves, weights: &[[f64; 16]; 16]) -> f64 {
    let share = |&(low, high): &(u16, u16)| {
        let rows = weights.iter().enumerate().filter(|(at, _)| high >> at & 1 == 1);
        rows.flat_map(|(_, row)| row.iter().enumerate()).filter(|(at, _)| low >> at & 1 == 1).map(|(_, weight)| weight).sum::<f64>()
    };
    nibbles.iter().map(share).product()
}

/// How often each byte stands in text, by its upper and lower half.
fn weights() -> [[f64; 16]; 16] {
    let mut weights = [[0.0005; 16]; 16];
    for (rank, &byte) in COMMON.iter().enumerate() {
        if let Some(slot) = weights.get_mut(usize::from(byte >> 4)).and_then(|row| row.get_mut(usize::from(byte & 15))) {
            *slot = 0.16 * 0.9f64.powi(rank as i32);
        }
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::{BLOCK, Skim};
    use crate::redact::detectors::Set;
    use crate::redact::detectors::testing::Source;

    const WINDOWS: &[[Set; 3]] = &[
        [Set::Any, Set::One(b'@'), Set::Any],
        Set::bytes(b"eyJ"),
        Set::letters(b"key"),
        [Set::Of(b"0123456789abcdef"), Set::One(b':'), Set::Of(b"0123456789abcdef:")],
        [Set::Any, Set::One(b'+'), Set::Digit],
        Set::bytes(b"-BE"),
        Set::bytes(b"sk-"),
        Set::bytes(b"_v1"),
        Set::bytes(b"xox"),
        Set::bytes(b"://"),
    ];

    fn marks(bytes: &[u8], portable: bool) -> Vec<bool> {
        let mut marks = vec![0; bytes.len().div_ceil(BLOCK)];
        Skim::new(WINDOWS).mark(bytes, 0, &mut marks, portable);
        (0..bytes.len().next_multiple_of(BLOCK)).map(|at| marks[at / BLOCK] >> (at % BLOCK) & 1 == 1).collect()
    }

    #[test]
    fn no_trigger_is_left_out_on_either_way_wherever_it_stands() {
        let mut source = Source::new(23);
        let parts: Vec<&[u8]> =
            vec![b"@", b"eyJ", b"KeY", b"a:f", b"+4", b"-BE", b"sk-", b"_v1", b"xox", b"://", b"7", b" ", b"q", b"\xc3\xa9"];
        for round in 0..400 {
            let mut bytes = Vec::new();
            while bytes.len() < round {
                match source.below(3) {
                    0 => bytes.extend_from_slice(parts[source.below(parts.len() as u64) as usize]),
                    1 => bytes.push(source.byte()),
                    _ => bytes.push(b'a' + source.below(26) as u8),
                }
            }
            let at = |at: usize| bytes.get(at).copied().unwrap_or(0);
            for portable in [false, true] {
                let marks = marks(&bytes, portable);
                for (place, mark) in marks.iter().enumerate().take(bytes.len()) {
                    let three = [if place == 0 { 0 } else { at(place - 1) }, at(place), at(place + 1)];
                    let digits = !three[0].is_ascii_digit() && three[1].is_ascii_digit();
                    let trigger = digits || WINDOWS.iter().any(|window| window.iter().zip(three).all(|(set, byte)| set.has(byte)));
                    assert!(*mark || !trigger, "{three:?} at {place}");
                }
                assert!(marks[bytes.len()..].iter().all(|mark| !mark), "marked behind the end");
            }
        }
    }

    #[test]
    fn prose_is_hardly_marked() {
        let prose = "It was the best of times, it was the worst of times; we had everything before us. ".repeat(20);
        for portable in [false, true] {
            let count = marks(prose.as_bytes(), portable).iter().filter(|mark| **mark).count();
            assert!(count * 50 < prose.len(), "{count} of {}", prose.len());
        }
    }
}
