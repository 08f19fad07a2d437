//! Exact money.
//!
//! A cost that went through a float is a cost nobody can add up again, so money is an integer count of
//! pico-dollars from the price table to the counter; a float appears only where an attribute is written.

use serde::{Deserialize, Deserializer, de};
use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub};
use std::str::FromStr;

/// Pico-dollars in one US dollar.
const PICO: i128 = 1_000_000_000_000;

/// An exact amount of US dollars: a whole number of pico-dollars (10⁻¹² USD).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Usd(i128);

impl Usd {
    /// Nothing.
    pub const ZERO: Usd = Usd(0);

    /// An amount given in pico-dollars.
    pub const fn from_pico(pico: i128) -> Usd {
        Usd(pico)
    }

    /// The amount in pico-dollars.
    pub const fn pico(self) -> i128 {
        self.0
    }

    /// The double nearest to the decimal amount. Only for attributes and metrics, never to compute with.
    pub fn to_f64(self) -> f64 {
        // Both operands are exact below 2^53, and IEEE division rounds once. Beyond that the decimal text is parsed.
        if self.0.unsigned_abs() < 1 << 53 { self.0 as f64 / PICO as f64 } else { self.to_string().parse().unwrap_or(f64::INFINITY) }
    }

    /// The sum, or `None` where it does not fit.
    pub fn checked_add(self, other: Usd) -> Option<Usd> {
        self.0.checked_add(other.0).map(Usd)
    }
}

impl Add for Usd {
    type Output = Usd;
    fn add(self, other: Usd) -> Usd {
        Usd(self.0.saturating_add(other.0))
    }
}

impl Sub for Usd {
    type Output = Usd;
    fn sub(self, other: Usd) -> Usd {
        Usd(self.0.saturating_sub(other.0))
    }
}

impl AddAssign for Usd {
    fn add_assign(&mut self, other: Usd) {
        *self = *self + other;
    }
}

impl Sum for Usd {
    fn sum<I: Iterator<Item = Usd>>(amounts: I) -> Usd {
        amounts.fold(Usd::ZERO, Add::add)
    }
}

/// The exact decimal, without trailing zeros: `0.0145`, `3`, `-0.000001`.
impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let amount = self.0.unsigned_abs();
        let (whole, part) = (amount / PICO as u128, amount % PICO as u128);
        let digits = format!("{part:012}");
        let text = match digits.trim_end_matches('0') {
            "" => whole.to_string(),
            part => format!("{whole}.{part}"),
        };
        f.pad_integral(self.0 >= 0, "", &text)
    }
}

/// Why a text is not an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotUsd {
    /// Not a plain or scientific decimal number.
    #[error("not a decimal number of US dollars")]
    Syntax,
    /// Finer than a pico-dollar.
    #[error("more than twelve decimals")]
    TooFine,
    /// Does not fit.
    #[error("too large an amount")]
    TooLarge,
}

/// Reads a decimal such as `0.50`, `3`, `1e-3`; it never passes through a float.
impl FromStr for Usd {
    type Err = NotUsd;

    fn from_str(text: &str) -> Result<Usd, NotUsd> {
        let (mantissa, exponent) = match text.find(['e', 'E']) {
            Some(at) => (&text[..at], text[at + 1..].parse::<i32>().map_err(|_| NotUsd::Syntax)?),
            None => (text, 0),
        };
        let (negative, mantissa) = match mantissa.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
        };
        let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if whole.is_empty() && part.is_empty() || !(whole.bytes().chain(part.bytes())).all(|b| b.is_ascii_digit()) {
            return Err(NotUsd::Syntax);
        }
        let digits = format!("{whole}{}", part.trim_end_matches('0'));
        let digits = digits.trim_start_matches('0');
        if digits.is_empty() {
            return Ok(Usd::ZERO);
        }
        let decimals = i32::try_from(part.trim_end_matches('0').len()).map_err(|_| NotUsd::TooFine)?;
        let shift = 12i32.checked_add(exponent).and_then(|s| s.checked_sub(decimals)).ok_or(NotUsd::TooLarge)?;
        let value = digits.parse::<i128>().map_err(|_| NotUsd::TooLarge)?;
        let scale = |n: i32| 10i128.checked_pow(n.unsigned_abs()).ok_or(NotUsd::TooLarge);
        let pico = if shift >= 0 {
            value.checked_mul(scale(shift)?).ok_or(NotUsd::TooLarge)?
        } else {
            // A whole number of dollars such as 1000e-3 may still have zeros to give.
            let divisor = scale(shift).map_err(|_| NotUsd::TooFine)?;
            if value % divisor != 0 {
                return Err(NotUsd::TooFine);
            }
            value / divisor
        };
        Ok(Usd(if negative { -pico } else { pico }))
    }
}

/// In a config: a number or a decimal in quotes. A YAML number arrives as the text it was written in.
impl<'de> Deserialize<'de> for Usd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Usd, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|e| de::Error::custom(format_args!("\"{text}\" is {e}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_comes_back_as_it_was_written() {
        for text in ["0.0145", "3", "0", "0.000000000001", "-2.5", "123456789.123456789012"] {
            assert_eq!(text.parse::<Usd>().unwrap().to_string(), text);
        }
        assert_eq!("3e-06".parse::<Usd>().unwrap().to_string(), "0.000003");
        assert_eq!("0.10".parse::<Usd>().unwrap().to_string(), "0.1");
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in ["", ".", "1,5", "one", "1e", "0x10", "NaN", "inf", "1.0000000000001", "1e60"] {
            assert!(text.parse::<Usd>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_tenth_added_ten_times_is_one() {
        let tenth: Usd = "0.1".parse().unwrap();
        assert_eq!(std::iter::repeat_n(tenth, 10).sum::<Usd>().to_string(), "1");
    }

    #[test]
    fn the_float_is_the_one_nearest_to_the_decimal() {
        for text in ["0.3", "0.1128", "0.435006", "0.25159875", "12345678901.123456789012"] {
            assert_eq!(text.parse::<Usd>().unwrap().to_f64(), text.parse::<f64>().unwrap());
        }
    }
}
