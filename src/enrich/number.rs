//! Reads counts and flags, whatever type they were sent as.
//!
//! A token count arrives as an int, as a double (JavaScript has no other number) or as text (LiteLLM, MLflow,
//! Claude Code). Some instrumentations send `NaN` or `Infinity` where they know nothing: money is computed from
//! these numbers, so what is no count is refused here, once.

/// The greatest count believed: 2^40. No call uses more than a million million tokens, and sums of such counts fit `u64`.
pub const MAX_COUNT: u64 = 1 << 40;

/// Longest text tried as a number; sixteen digits and an exponent fit.
const MAX_TEXT: usize = 32;

/// A count sent as an int. `None` when negative or above [`MAX_COUNT`].
pub fn from_int(value: i64) -> Option<u64> {
    u64::try_from(value).ok().filter(|n| *n <= MAX_COUNT)
}

/// A count sent as a double. `None` unless it is whole, finite, not negative and at most [`MAX_COUNT`].
pub fn from_double(value: f64) -> Option<u64> {
    // NaN fails the comparison, infinity the upper bound. The cast is exact: both bounds lie below 2^53.
    ((0.0..=MAX_COUNT as f64).contains(&value) && value.fract() == 0.0).then_some(value as u64)
}

/// A count sent as text: `12`, ` 12 `, `"12"` (JSON in a string), `12.0`, `1.2e3`.
pub fn from_text(text: &str) -> Option<u64> {
    let text = unquoted(text);
    if text.is_empty() || text.len() > MAX_TEXT {
        return None;
    }
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().ok().filter(|n| *n <= MAX_COUNT);
    }
    // The filter keeps out what `f64` also reads: "inf", "NaN", "infinity".
    let number = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'+' | b'-' | b'e' | b'E'));
    number.then(|| text.parse().ok().and_then(from_double)).flatten()
}

/// A flag sent as text: `true`, `True`, `1` and their opposites. `None` for anything else.
pub fn flag(text: &str) -> Option<bool> {
    let text = unquoted(text);
    if text == "1" || text.eq_ignore_ascii_case("true") {
        return Some(true);
    }
    (text == "0" || text.eq_ignore_ascii_case("false")).then_some(false)
}

/// An HTTP status of a failure, 400 to 599, from a number. Anything else says nothing about a failure.
pub fn failed_status(value: i64) -> Option<u16> {
    u16::try_from(value).ok().filter(|s| (400..600).contains(s))
}

/// The text without blanks around it and without the quotes of a JSON string.
fn unquoted(text: &str) -> &str {
    text.trim().trim_matches(['"', '\'']).trim()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_count_is_read_from_any_type() {
        assert_eq!(from_int(12), Some(12));
        assert_eq!(from_double(12.0), Some(12));
        for text in ["12", " 12\n", "\"12\"", "12.0", "1.2e1", "+12"] {
            assert_eq!(from_text(text), Some(12), "{text}");
        }
        assert_eq!(from_text("0"), Some(0));
        assert_eq!(from_double(-0.0), Some(0));
    }

    #[test]
    fn what_is_no_count_is_refused() {
        assert_eq!(from_int(-1), None);
        for value in [-1.0, 0.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300] {
            assert_eq!(from_double(value), None, "{value}");
        }
        for text in ["", " ", "-1", "0.5", "NaN", "Infinity", "inf", "nan", "twelve", "1,200", "0x10", "1 2", "1e400", "--1", "."] {
            assert_eq!(from_text(text), None, "{text}");
        }
        assert_eq!(from_text(&"9".repeat(4000)), None);
    }

    #[test]
    fn two_to_the_forty_is_the_last_count_believed() {
        let last = 1i64 << 40;
        assert_eq!(from_int(last), Some(MAX_COUNT));
        assert_eq!(from_int(last + 1), None);
        assert_eq!(from_double(last as f64), Some(MAX_COUNT));
        assert_eq!(from_double(last as f64 + 1.0), None);
        assert_eq!(from_text("1099511627776"), Some(MAX_COUNT));
        assert_eq!(from_text("1099511627777"), None);
    }

    #[test]
    fn a_flag_is_read_in_every_spelling() {
        for text in ["true", "True", "TRUE", "1", "\"true\""] {
            assert_eq!(flag(text), Some(true), "{text}");
        }
        for text in ["false", "False", "0"] {
            assert_eq!(flag(text), Some(false), "{text}");
        }
        for text in ["", "yes", "2", "tru"] {
            assert_eq!(flag(text), None, "{text}");
        }
    }

    #[test]
    fn only_four_and_five_hundreds_are_failures() {
        for status in [400, 429, 599] {
            assert_eq!(failed_status(status), Some(status as u16));
        }
        for status in [0, 200, 302, 399, 600, -429, 65_965] {
            assert_eq!(failed_status(status), None, "{status}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_small_count_or_none(text in any::<String>(), value in any::<f64>(), int in any::<i64>()) {
            prop_assert!(from_text(&text).is_none_or(|n| n <= MAX_COUNT));
            prop_assert!(from_double(value).is_none_or(|n| n <= MAX_COUNT));
            prop_assert!(from_int(int).is_none_or(|n| n <= MAX_COUNT));
            let _ = flag(&text);
        }
    }
}
