//! Shares of a whole, as 0 to 1 or as 0 to 100.
//!
//! Both exist because both are in use: Collector configs say `sampling_percentage: 10`, prices and ratios
//! say `0.1`. Two types keep a ten from being taken for a thousand per cent.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;

/// A share between 0 and 1, both included: `0.2`, or `20%`.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Fraction(f64);

/// A share between 0 and 100, both included: `20`, `0.5`, or `20%`.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Percentage(f64);

/// Why a value is not a share.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAFraction {
    /// Not a number.
    #[error("\"{text}\" is not a number between 0 and {most}")]
    Syntax {
        /// What was written.
        text: String,
        /// 1 or 100.
        most: u8,
    },
    /// A number, but out of range.
    #[error("{text} is not between 0 and {most}")]
    Range {
        /// What was written.
        text: String,
        /// 1 or 100.
        most: u8,
    },
}

impl Fraction {
    /// Nothing.
    pub const ZERO: Fraction = Fraction(0.0);
    /// All.
    pub const ONE: Fraction = Fraction(1.0);

    /// A share from 0 to 1.
    ///
    /// # Errors
    /// Outside that range, and for what is not a number.
    pub fn try_new(value: f64) -> Result<Fraction, NotAFraction> {
        in_range(value, 1).map(Fraction)
    }

    /// The share, 0 to 1.
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl Percentage {
    /// A share from 0 to 100.
    ///
    /// # Errors
    /// Outside that range, and for what is not a number.
    pub fn try_new(value: f64) -> Result<Percentage, NotAFraction> {
        in_range(value, 100).map(Percentage)
    }

    /// The share, 0 to 100.
    pub const fn get(self) -> f64 {
        self.0
    }

    /// The same share from 0 to 1.
    pub fn as_fraction(self) -> Fraction {
        Fraction(self.0 / 100.0)
    }
}

fn in_range(value: f64, most: u8) -> Result<f64, NotAFraction> {
    if (0.0..=f64::from(most)).contains(&value) { Ok(value) } else { Err(NotAFraction::Range { text: value.to_string(), most }) }
}

fn read(text: &str, most: u8) -> Result<f64, NotAFraction> {
    let text = text.trim();
    let syntax = || NotAFraction::Syntax { text: text.to_owned(), most };
    if let Some(percent) = text.strip_suffix('%') {
        let value: f64 = percent.trim_end().parse().map_err(|_| syntax())?;
        return in_range(value, 100).map(|value| if most == 1 { value / 100.0 } else { value });
    }
    in_range(text.parse().map_err(|_| syntax())?, most)
}

impl FromStr for Fraction {
    type Err = NotAFraction;
    fn from_str(text: &str) -> Result<Fraction, NotAFraction> {
        read(text, 1).map(Fraction)
    }
}

impl FromStr for Percentage {
    type Err = NotAFraction;
    fn from_str(text: &str) -> Result<Percentage, NotAFraction> {
        read(text, 100).map(Percentage)
    }
}

impl fmt::Display for Fraction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Without the sign: `12.5`.
impl fmt::Display for Percentage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

struct Visitor {
    most: u8,
}

impl de::Visitor<'_> for Visitor {
    type Value = f64;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a number between 0 and {}", self.most)
    }
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<f64, E> {
        in_range(value as f64, self.most).map_err(E::custom)
    }
    fn visit_i64<E: de::Error>(self, value: i64) -> Result<f64, E> {
        in_range(value as f64, self.most).map_err(E::custom)
    }
    fn visit_f64<E: de::Error>(self, value: f64) -> Result<f64, E> {
        in_range(value, self.most).map_err(E::custom)
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<f64, E> {
        read(text, self.most).map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for Fraction {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Fraction, D::Error> {
        deserializer.deserialize_any(Visitor { most: 1 }).map(Fraction)
    }
}

impl<'de> Deserialize<'de> for Percentage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Percentage, D::Error> {
        deserializer.deserialize_any(Visitor { most: 100 }).map(Percentage)
    }
}

impl Serialize for Fraction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0)
    }
}

impl Serialize for Percentage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_belong_to_the_range_and_nothing_past_them_does() {
        assert!(Fraction::try_new(0.0).is_ok() && Fraction::try_new(1.0).is_ok());
        assert!(Percentage::try_new(100.0).is_ok());
        for value in [-0.1, 1.000001, f64::NAN, f64::INFINITY] {
            assert!(Fraction::try_new(value).is_err(), "{value}");
        }
        assert_eq!(Percentage::try_new(101.0).unwrap_err().to_string(), "101 is not between 0 and 100");
    }

    #[test]
    fn a_percent_sign_means_the_same_for_both() {
        assert_eq!("20%".parse::<Fraction>().unwrap().get(), 0.2);
        assert_eq!("20%".parse::<Percentage>().unwrap().as_fraction().get(), 0.2);
        assert_eq!("20".parse::<Percentage>().unwrap().get(), 20.0);
        assert!("20".parse::<Fraction>().is_err());
        assert!("120%".parse::<Fraction>().is_err());
        assert_eq!("ten".parse::<Percentage>().unwrap_err().to_string(), "\"ten\" is not a number between 0 and 100");
    }
}
