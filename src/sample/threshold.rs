//! Sampling probabilities as 56-bit integers.
//!
//! A probability that is tested as a float and written as text is two probabilities. So it becomes an integer once,
//! rounded to what is written, and the same number is compared, carried in `tracestate` and turned into an adjusted count.
//! Source: OpenTelemetry specification, "TraceState: Probability Sampling".

/// 2^56: one more than the largest randomness.
pub const MAX: u64 = 1 << 56;

/// Hexadecimal digits of 56 bits.
const DIGITS: u32 = 14;

/// A trace is kept where its randomness is at least this; 0 keeps all, 2^56 keeps none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Threshold(u64);

impl Threshold {
    /// Keeps everything.
    pub const ALL: Threshold = Threshold(0);

    /// Keeps nothing.
    pub const NONE: Threshold = Threshold(MAX);

    /// The threshold of a percentage, rounded to `precision` significant hexadecimal digits. Digits `f` (and zeros) at the front
    /// are not significant: probabilities near 0 and 1 keep their precision.
    ///
    /// `None` where it is not 0 and not in 100 · [2^-56, 1].
    pub fn from_percentage(percentage: f64, precision: u32) -> Option<Threshold> {
        if percentage == 0.0 {
            return Some(Threshold::NONE);
        }
        let probability = percentage / 100.0;
        // The comparison is false for NaN as well.
        if !(probability >= 1.0 / MAX as f64 && probability <= 1.0) {
            return None;
        }
        // Scaling by a power of two is exact, so this rounds once.
        let kept = (probability * MAX as f64).round() as u64;
        Some(Threshold(round(MAX - kept.clamp(1, MAX), precision)))
    }

    /// A threshold that was read, at most 2^56.
    pub fn from_bits(bits: u64) -> Threshold {
        Threshold(bits.min(MAX))
    }

    /// The integer.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether a trace with this randomness stays.
    pub const fn keeps(self, randomness: u64) -> bool {
        randomness >= self.0
    }

    /// What one kept trace stands for; infinite where nothing is kept.
    pub fn adjusted_count(self) -> f64 {
        MAX as f64 / (MAX - self.0) as f64
    }

    /// The threshold of both probabilities multiplied: of this share of what `earlier` had left.
    pub fn of_what_is_left(self, earlier: Threshold, precision: u32) -> Threshold {
        if self == Threshold::NONE || earlier == Threshold::ALL {
            return self;
        }
        let kept = u128::from(MAX - self.0) * u128::from(MAX - earlier.0) / u128::from(MAX);
        let kept = u64::try_from(kept).unwrap_or(MAX).clamp(1, MAX);
        Threshold(round(MAX - kept, precision))
    }
}

/// Rounds to `precision` hexadecimal digits, not counting `f` or `0` at the front. Never reaches 2^56.
fn round(threshold: u64, precision: u32) -> u64 {
    if threshold == 0 {
        return 0;
    }
    // In 56 bits: 8 bits of the word are not part of it.
    let ones = (threshold << 8).leading_ones().min(56) / 4;
    let zeros = (threshold << 8).leading_zeros().min(56) / 4;
    let kept = (precision.max(1) + ones.max(zeros)).min(DIGITS);
    let shift = 4 * (DIGITS - kept);
    if shift == 0 {
        return threshold;
    }
    // The first digit that is not `f` takes the carry, so the sum stays under 2^56.
    (threshold + (1 << (shift - 1))) >> shift << shift
}

/// The randomness of a trace id: its last seven bytes.
pub fn randomness(id: &[u8; 16]) -> u64 {
    let mut word = [0; 8];
    for (to, from) in word.iter_mut().skip(1).zip(id.iter().skip(9)) {
        *to = *from;
    }
    u64::from_be_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::trace_state::threshold_digits;
    use proptest::prelude::*;

    fn digits(percentage: f64) -> String {
        threshold_digits(Threshold::from_percentage(percentage, 4).unwrap().bits())
    }

    #[test]
    fn thresholds_are_those_of_the_specification() {
        assert_eq!(digits(100.0), "0");
        assert_eq!(digits(50.0), "8");
        assert_eq!(digits(25.0), "c");
        assert_eq!(digits(10.0), "e666");
        assert_eq!(digits(1.0), "fd70a");
        assert_eq!(digits(33.333333333), "aaab");
        assert_eq!(digits(95.0), "0cccd");
    }

    #[test]
    fn the_smallest_probability_is_one_in_two_to_the_56() {
        let least = 100.0 / MAX as f64;
        assert_eq!(Threshold::from_percentage(least, 4).unwrap().bits(), MAX - 1);
        assert_eq!(Threshold::from_percentage(least * 0.99, 4), None);
        assert_eq!(Threshold::from_percentage(0.0, 4), Some(Threshold::NONE));
        for bad in [-1.0, 100.1, f64::NAN, f64::INFINITY] {
            assert_eq!(Threshold::from_percentage(bad, 4), None);
        }
    }

    #[test]
    fn nothing_is_kept_at_zero_percent_and_all_at_a_hundred() {
        assert!(!Threshold::NONE.keeps(MAX - 1));
        assert!(Threshold::ALL.keeps(0));
        assert_eq!(Threshold::ALL.adjusted_count(), 1.0);
    }

    #[test]
    fn a_quarter_of_a_half_is_an_eighth() {
        let (half, quarter) = (Threshold::from_percentage(50.0, 4).unwrap(), Threshold::from_percentage(25.0, 4).unwrap());
        assert_eq!(quarter.of_what_is_left(half, 4).adjusted_count(), 8.0);
    }

    #[test]
    fn randomness_is_the_last_seven_bytes() {
        assert_eq!(randomness(&[9, 9, 9, 9, 9, 9, 9, 9, 9, 1, 2, 3, 4, 5, 6, 7]), 0x01020304050607);
    }

    proptest! {
        #[test]
        fn rounding_stays_in_range_and_near(threshold in 1..MAX, precision in 1u32..=14) {
            let rounded = round(threshold, precision);
            prop_assert!(rounded < MAX);
            prop_assert_eq!(round(rounded, 14), rounded);
            let kept = (MAX - threshold) as f64;
            prop_assert!((rounded as f64 - threshold as f64).abs() <= kept.min(threshold as f64) / 2.0 + 1.0 || precision < 2);
        }
    }
}
