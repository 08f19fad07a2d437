//! What stands in a JSON value that is no object and no list.
//!
//! proto3 JSON lets one number be written as `7`, `"7"`, `7.0` or `0.7e1`, and none of these may go through a double on
//! its way to an integer: nanoseconds since 1970 do not fit one. So a scalar is taken as the text it stands in,
//! and each field makes of it what it needs. Every function here answers `None` for "not one of these".

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use std::borrow::Cow;

/// Senders disagree on padding, and proto3 JSON tells readers to accept both; trailing bits go the same way.
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent).with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// More decimal digits than any 64-bit integer has, and few enough for an `i128`.
const MAX_DIGITS: usize = 30;

/// A scalar, as it was written.
pub(super) enum Scalar<'a> {
    Null,
    Bool(bool),
    Number(&'a str),
    Text(Cow<'a, str>),
}

impl<'a> Scalar<'a> {
    /// From the text of one valid JSON value.
    pub(super) fn new(json: &'a str) -> Option<Scalar<'a>> {
        match json.as_bytes().first()? {
            b'n' => Some(Scalar::Null),
            b't' => Some(Scalar::Bool(true)),
            b'f' => Some(Scalar::Bool(false)),
            b'-' | b'0'..=b'9' => Some(Scalar::Number(json)),
            b'"' if json.contains('\\') => serde_json::from_str(json).ok().map(|text| Scalar::Text(Cow::Owned(text))),
            b'"' => json.get(1..json.len().checked_sub(1)?).map(|text| Scalar::Text(Cow::Borrowed(text))),
            _ => None,
        }
    }

    /// A whole number that fits, given as number or string.
    pub(super) fn integer<T: TryFrom<i128>>(&self) -> Option<T> {
        match self {
            Scalar::Number(digits) => integer(digits),
            Scalar::Text(digits) => integer(digits),
            Scalar::Null | Scalar::Bool(_) => None,
        }
        .and_then(|number| T::try_from(number).ok())
    }

    /// A double, given as number or string, or one of the three that have no digits.
    pub(super) fn double(&self) -> Option<f64> {
        match self {
            Scalar::Number(digits) => double(digits),
            Scalar::Text(text) => match text.as_ref() {
                "NaN" => Some(f64::NAN),
                "Infinity" => Some(f64::INFINITY),
                "-Infinity" => Some(f64::NEG_INFINITY),
                digits => double(digits),
            },
            Scalar::Null | Scalar::Bool(_) => None,
        }
    }

    /// The bytes that hexadecimal digits of either case stand for.
    pub(super) fn hex(&self) -> Option<Vec<u8>> {
        let Scalar::Text(digits) = self else { return None };
        let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
        if !rest.is_empty() {
            return None;
        }
        pairs.iter().map(|&[high, low]| Some(nibble(high)? << 4 | nibble(low)?)).collect()
    }

    /// The bytes that base64 stands for, in either alphabet, padded or not.
    pub(super) fn base64(&self) -> Option<Vec<u8>> {
        let Scalar::Text(text) = self else { return None };
        let alphabet = if text.contains(['-', '_']) { &URL_SAFE } else { &STANDARD };
        alphabet.decode(text.as_bytes()).ok()
    }
}

/// Exact, whatever way the number is written: `1.5e1` is 15, `1.5` is none.
fn integer(text: &str) -> Option<i128> {
    if !starts_like_a_number(text) {
        return None;
    }
    if text.len() <= MAX_DIGITS
        && let Ok(number) = text.parse()
    {
        return Some(number);
    }
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if !whole.bytes().chain(part.bytes()).all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let exponent = exponent.parse::<i64>().ok()?.checked_sub(i64::try_from(part.len()).ok()?)?;

    // The digits without a point, then without zeros that only shift it.
    let digits = format!("{whole}{part}");
    let significant = digits.trim_start_matches('0');
    if significant.is_empty() {
        return Some(0);
    }
    let trimmed = significant.trim_end_matches('0');
    let zeros = exponent.checked_add(i64::try_from(significant.len() - trimmed.len()).ok()?)?;
    let zeros = u32::try_from(zeros).ok()?;
    if trimmed.len() > MAX_DIGITS {
        return None;
    }
    let number = trimmed.parse::<i128>().ok()?.checked_mul(10_i128.checked_pow(zeros)?)?;
    Some(if negative { -number } else { number })
}

/// The nearest double. A number too large for one is none, as proto3 JSON wants it.
fn double(text: &str) -> Option<f64> {
    // The standard library also takes "inf", "nan" and "+1", which JSON does not know.
    if !starts_like_a_number(text) || !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')) {
        return None;
    }
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

fn starts_like_a_number(text: &str) -> bool {
    text.strip_prefix('-').unwrap_or(text).starts_with(|first: char| first.is_ascii_digit())
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Scalar<'_> {
        Scalar::new(json).unwrap()
    }

    #[test]
    fn an_integer_is_exact_in_every_way_to_write_it() {
        for (json, number) in [
            ("7", 7),
            ("\"7\"", 7),
            ("7.0", 7),
            ("0.7e1", 7),
            ("\"7E0\"", 7),
            ("700e-2", 7),
            ("-0", 0),
            ("0.0e99999999999999999", 0),
            ("9223372036854775807", i64::MAX),
            ("\"-9223372036854775808\"", i64::MIN),
            ("9007199254740993", 9_007_199_254_740_993),
            ("9223372036854775807.000", i64::MAX),
            ("\"\\u0037\"", 7),
        ] {
            assert_eq!(read(json).integer::<i64>(), Some(number), "{json}");
        }
        assert_eq!(read("18446744073709551615").integer::<u64>(), Some(u64::MAX));
    }

    #[test]
    fn what_is_no_integer_or_does_not_fit_is_none() {
        for json in
            ["1.5", "\"\"", "\" 7\"", "\"7 \"", "\"+7\"", "\"0x7\"", "\"7e\"", "\"--7\"", "\"-\"", "true", "null", "1e400", "\"NaN\""]
        {
            assert_eq!(read(json).integer::<i64>(), None, "{json}");
        }
        assert_eq!(read("-1").integer::<u64>(), None);
        assert_eq!(read("18446744073709551616").integer::<u64>(), None);
        assert_eq!(read("9223372036854775808").integer::<i64>(), None);
        assert_eq!(read("4294967296").integer::<u32>(), None);
        assert_eq!(read(&format!("1{}", "0".repeat(10_000))).integer::<u64>(), None);
        assert_eq!(read(&format!("{}1e-1", "9".repeat(10_000))).integer::<u64>(), None);
        assert_eq!(read("1e9223372036854775807").integer::<u64>(), None);
        assert_eq!(read("1e99999999999999999999").integer::<u64>(), None);
    }

    #[test]
    fn a_double_is_the_nearest_one() {
        // A fast but inexact parser is off by one bit here.
        assert_eq!(read("122.416294033786585").double(), Some(122.416_294_033_786_58));
        assert_eq!(read("\"1.5e3\"").double(), Some(1500.0));
        assert_eq!(read("3").double(), Some(3.0));
        assert_eq!(read("\"-Infinity\"").double(), Some(f64::NEG_INFINITY));
        assert_eq!(read("\"Infinity\"").double(), Some(f64::INFINITY));
        assert!(read("\"NaN\"").double().unwrap().is_nan());
    }

    #[test]
    fn what_is_no_double_is_none() {
        for json in ["1e400", "\"nan\"", "\"inf\"", "\"infinity\"", "\"+1\"", "\"\"", "\"1 \"", "true", "\"0x1\""] {
            assert_eq!(read(json).double(), None, "{json}");
        }
    }

    #[test]
    fn hex_takes_either_case_and_nothing_else() {
        assert_eq!(read("\"0aFf\"").hex(), Some(vec![0x0a, 0xff]));
        assert_eq!(read("\"\"").hex(), Some(vec![]));
        for json in ["\"abc\"", "\"0g\"", "\"0x\"", "\"ää\"", "12"] {
            assert_eq!(read(json).hex(), None, "{json}");
        }
    }

    #[test]
    fn base64_takes_both_alphabets_with_and_without_padding() {
        for json in ["\"+/8=\"", "\"+/8\"", "\"-_8=\"", "\"-_8\"", "\"-_9\""] {
            assert_eq!(read(json).base64(), Some(vec![0xfb, 0xff]), "{json}");
        }
        for json in ["\"+_8=\"", "\"A\"", "\"a b=\"", "5"] {
            assert_eq!(read(json).base64(), None, "{json}");
        }
    }
}
