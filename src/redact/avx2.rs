//! Marks thirty-two positions at a time, on x86-64 processors that have AVX2.
//!
//! Two shuffles look up the lower and the upper half of thirty-two bytes at once. This is the only file with `unsafe` code: one call, of a
//! function that may only run on such a processor, behind the answer of the processor. The portable way marks the same positions
//! or fewer, and a test holds that what is found does not depend on the way.

#![allow(unsafe_code, reason = "one call of a function for processors that have AVX2, behind the question whether this one has")]

use crate::redact::skim::{BLOCK, Halves, Window, window, within};
use std::arch::x86_64::{
    __m256i, _mm256_add_epi8, _mm256_and_si256, _mm256_andnot_si256, _mm256_cmpeq_epi8, _mm256_cmpgt_epi8, _mm256_movemask_epi8,
    _mm256_or_si256, _mm256_set_epi64x, _mm256_set1_epi8, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_srli_epi16,
};

/// Bytes of one vector.
const LANES: usize = 32;

/// The buckets by the halves of a byte; there is one only where the processor has AVX2.
pub(crate) struct Nibbles {
    /// For the first eight buckets and for the others, per place, for lower and upper halves: the bits of the buckets that allow them.
    tables: [[[Table; 2]; 3]; 2],
}

/// Sixteen entries, twice: a shuffle looks up sixteen bytes in each half of a vector.
type Table = [u8; LANES];

impl Nibbles {
    /// The tables of these buckets, sixteen at most; `None` where the processor has no AVX2.
    pub(crate) fn new<'b>(buckets: impl Iterator<Item = &'b Halves>) -> Option<Nibbles> {
        if !std::arch::is_x86_feature_detected!("avx2") {
            return None;
        }
        let mut tables = [[[[0u8; LANES]; 2]; 3]; 2];
        for (number, nibbles) in buckets.take(16).enumerate() {
            let bit = 1u8 << (number % 8);
            let Some(tables) = tables.get_mut(number / 8) else { break };
            for (table, &(low, high)) in tables.iter_mut().zip(nibbles) {
                for (table, allowed) in table.iter_mut().zip([low, high]) {
                    for (half, slot) in table.iter_mut().enumerate() {
                        *slot |= if allowed >> (half % 16) & 1 == 1 { bit } else { 0 };
                    }
                }
            }
        }
        Some(Nibbles { tables })
    }
}

/// Fills in one mark for each [`BLOCK`] positions from `from` on.
pub(crate) fn mark(nibbles: &Nibbles, bytes: &[u8], from: usize, marks: &mut [u64]) {
    // SAFETY: `Nibbles` are only made where the processor has AVX2.
    unsafe { mark_with_avx2(nibbles, bytes, from, marks) }
}

#[target_feature(enable = "avx2")]
fn mark_with_avx2(nibbles: &Nibbles, bytes: &[u8], from: usize, marks: &mut [u64]) {
    let mut edge = [0; BLOCK + 2];
    for (mark, at) in marks.iter_mut().zip((from..).step_by(BLOCK)) {
        let (window, within) = (window(bytes, at, &mut edge), within(bytes, at));
        let low = half::<0>(&nibbles.tables, window);
        // Most texts of a trace are short.
        let high = if within >> LANES == 0 { 0 } else { half::<LANES>(&nibbles.tables, window) };
        *mark = (u64::from(low) | u64::from(high) << LANES) & within;
    }
}

/// The marks of thirty-two positions of the block.
#[target_feature(enable = "avx2")]
#[inline]
fn half<const FROM: usize>(tables: &[[[Table; 2]; 3]; 2], window: &Window) -> u32 {
    let (prev, here, next) = (load(window, FROM), load(window, FROM + 1), load(window, FROM + 2));
    let [first, others] = tables;
    let buckets = _mm256_or_si256(matching(first, prev, here, next), matching(others, prev, here, next));
    let none = _mm256_cmpeq_epi8(buckets, _mm256_setzero_si256());
    let first_digits = _mm256_andnot_si256(digits(prev), digits(here));
    let marked = _mm256_movemask_epi8(_mm256_andnot_si256(first_digits, none));
    !(marked as u32)
}

/// The bits of the buckets that allow each three bytes.
#[target_feature(enable = "avx2")]
#[inline]
fn matching([of_prev, of_here, of_next]: &[[Table; 2]; 3], prev: __m256i, here: __m256i, next: __m256i) -> __m256i {
    _mm256_and_si256(_mm256_and_si256(look_up(of_prev, prev), look_up(of_here, here)), look_up(of_next, next))
}

/// The bits of the buckets that allow each byte.
#[target_feature(enable = "avx2")]
#[inline]
fn look_up([of_low, of_high]: &[Table; 2], bytes: __m256i) -> __m256i {
    let half = _mm256_set1_epi8(15);
    let low = _mm256_shuffle_epi8(vector(of_low), _mm256_and_si256(bytes, half));
    let high = _mm256_shuffle_epi8(vector(of_high), _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), half));
    _mm256_and_si256(low, high)
}

/// All ones where a byte is an ASCII digit.
#[target_feature(enable = "avx2")]
#[inline]
fn digits(bytes: __m256i) -> __m256i {
    // `0` moves to the smallest signed byte, so that `9` is the last below the bound.
    let moved = _mm256_add_epi8(bytes, _mm256_set1_epi8(i8::MIN.wrapping_sub(b'0' as i8)));
    _mm256_cmpgt_epi8(_mm256_set1_epi8(i8::MIN + 10), moved)
}

#[target_feature(enable = "avx2")]
#[inline]
fn load(window: &Window, from: usize) -> __m256i {
    match window.get(from..).and_then(<[u8]>::first_chunk) {
        Some(bytes) => vector(bytes),
        None => _mm256_setzero_si256(),
    }
}

/// The compiler makes one load of it.
#[target_feature(enable = "avx2")]
#[inline]
fn vector(bytes: &[u8; LANES]) -> __m256i {
    let [a, b, c, d] = *bytes.as_chunks::<8>().0 else { return _mm256_setzero_si256() };
    _mm256_set_epi64x(i64::from_le_bytes(d), i64::from_le_bytes(c), i64::from_le_bytes(b), i64::from_le_bytes(a))
}
