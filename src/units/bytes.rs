//! Sizes in bytes, plain or as a share of the memory there is.
//!
//! `64M` means 64 000 000 to some and 67 108 864 to others, so both spellings exist (`64MB`, `64MiB`) and
//! the value is always printed back in a form that reads as exactly the same number.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;

/// A number of bytes: `64MiB` (2²⁰), `5GB` (10⁹) or a plain whole number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

impl ByteSize {
    /// So many bytes.
    pub const fn bytes(count: u64) -> ByteSize {
        ByteSize(count)
    }

    /// So many mebibytes; stops at the largest size.
    pub const fn mib(count: u64) -> ByteSize {
        ByteSize(count.saturating_mul(1 << 20))
    }

    /// So many gibibytes; stops at the largest size.
    pub const fn gib(count: u64) -> ByteSize {
        ByteSize(count.saturating_mul(1 << 30))
    }

    /// The count of bytes.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// The count of bytes as a length in memory; stops at the largest one.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// The largest unit that divides it: `64MiB`, `1536KiB`, `5GB`, `17B`.
impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u64, &str); 8] = [
            (1 << 40, "TiB"),
            (1 << 30, "GiB"),
            (1 << 20, "MiB"),
            (1 << 10, "KiB"),
            (1_000_000_000_000, "TB"),
            (1_000_000_000, "GB"),
            (1_000_000, "MB"),
            (1_000, "KB"),
        ];
        let exact = UNITS.iter().filter(|(unit, _)| self.0 != 0 && self.0.is_multiple_of(*unit)).max_by_key(|(unit, _)| *unit);
        match exact {
            Some((unit, name)) => write!(f, "{}{name}", self.0 / unit),
            None => write!(f, "{}B", self.0),
        }
    }
}

/// Why a text is not a size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotASize {
    /// No number with a known unit.
    #[error("\"{0}\" is not a size; write for example 64MiB, 5GB or a number of bytes")]
    Syntax(String),
    /// A unit in bits.
    #[error("\"{0}\" is in bits; sizes are in bytes, such as 64MiB")]
    Bits(String),
    /// Below zero.
    #[error("\"{0}\" is negative; a size is 0 or more")]
    Negative(String),
    /// Does not fit in 64 bits.
    #[error("\"{0}\" is too large a size")]
    TooLarge(String),
}

impl FromStr for ByteSize {
    type Err = NotASize;

    fn from_str(text: &str) -> Result<ByteSize, NotASize> {
        let text = text.trim();
        let split = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let unit = unit.trim_start();
        if text.starts_with('-') {
            return Err(NotASize::Negative(text.to_owned()));
        }
        if unit.to_ascii_lowercase().ends_with("bit")
            || unit.ends_with('b') && unit.len() > 1 && unit.starts_with(|c: char| c.is_ascii_uppercase())
        {
            return Err(NotASize::Bits(text.to_owned()));
        }
        let factor = if unit.is_empty() { ByteSize(1) } else { parse_unit(unit).ok_or_else(|| NotASize::Syntax(text.to_owned()))? };
        if let Ok(whole) = number.parse::<u64>() {
            return whole.checked_mul(factor.0).map(ByteSize).ok_or_else(|| NotASize::TooLarge(text.to_owned()));
        }
        match number.parse::<f64>() {
            // A part of a byte is nothing anyone meant; a part of a larger unit is.
            Ok(share) if factor.0 > 1 && share * factor.0 as f64 <= u64::MAX as f64 => Ok(ByteSize((share * factor.0 as f64) as u64)),
            Ok(_) if factor.0 > 1 => Err(NotASize::TooLarge(text.to_owned())),
            _ if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => Err(NotASize::TooLarge(text.to_owned())),
            _ => Err(NotASize::Syntax(text.to_owned())),
        }
    }
}

fn parse_unit(unit: &str) -> Option<ByteSize> {
    if !unit.bytes().all(|b| b.is_ascii_alphabetic()) {
        return None;
    }
    format!("1{unit}").parse::<bytesize::ByteSize>().ok().map(|size| ByteSize(size.as_u64()))
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ByteSize, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = ByteSize;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as 64MiB")
            }
            fn visit_u64<E: de::Error>(self, count: u64) -> Result<ByteSize, E> {
                Ok(ByteSize(count))
            }
            fn visit_i64<E: de::Error>(self, count: i64) -> Result<ByteSize, E> {
                u64::try_from(count).map(ByteSize).map_err(|_| E::custom(NotASize::Negative(count.to_string())))
            }
            fn visit_f64<E: de::Error>(self, count: f64) -> Result<ByteSize, E> {
                Err(E::custom(NotASize::Syntax(count.to_string())))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<ByteSize, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A fixed size, or a share of a whole that is known only where the program runs: `2GiB`, `60%`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SizeOrPercent {
    /// So many bytes.
    Size(ByteSize),
    /// So many hundredths of the whole.
    Percent(super::Percentage),
}

impl SizeOrPercent {
    /// What it comes to when `whole` bytes are there. A fixed size is returned even if it is larger.
    pub fn of(self, whole: ByteSize) -> ByteSize {
        match self {
            SizeOrPercent::Size(size) => size,
            SizeOrPercent::Percent(percent) => ByteSize((whole.0 as f64 * percent.as_fraction().get()) as u64),
        }
    }
}

impl fmt::Display for SizeOrPercent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SizeOrPercent::Size(size) => size.fmt(f),
            SizeOrPercent::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl<'de> Deserialize<'de> for SizeOrPercent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SizeOrPercent, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = SizeOrPercent;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as 2GiB, or a share such as 60%")
            }
            fn visit_u64<E: de::Error>(self, count: u64) -> Result<SizeOrPercent, E> {
                // Nobody runs in a hundred bytes: the sign was forgotten.
                if (1..=100).contains(&count) {
                    return Err(E::custom(format_args!("{count} has no unit; write {count}% for a share, or a size such as 2GiB")));
                }
                Ok(SizeOrPercent::Size(ByteSize(count)))
            }
            fn visit_i64<E: de::Error>(self, count: i64) -> Result<SizeOrPercent, E> {
                u64::try_from(count).map_err(|_| E::custom(NotASize::Negative(count.to_string()))).and_then(|count| self.visit_u64(count))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<SizeOrPercent, E> {
                if text.trim_end().ends_with('%') {
                    return text.parse().map(SizeOrPercent::Percent).map_err(E::custom);
                }
                text.parse().map(SizeOrPercent::Size).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl Serialize for SizeOrPercent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_printed_as_it_can_be_read_again() {
        for (text, bytes) in [("64MiB", 64 << 20), ("5GB", 5_000_000_000), ("17B", 17), ("0B", 0), ("1536KiB", 1536 << 10)] {
            let size: ByteSize = text.parse().unwrap();
            assert_eq!((size.as_u64(), size.to_string().as_str()), (bytes, text));
        }
        assert_eq!("1.5 GiB".parse(), Ok(ByteSize::mib(1536)));
        assert_eq!("4096".parse(), Ok(ByteSize::bytes(4096)));
    }

    #[test]
    fn what_is_no_size_is_refused_with_an_example() {
        let why = |text: &str| text.parse::<ByteSize>().unwrap_err().to_string();
        assert_eq!(why("64 megs"), "\"64 megs\" is not a size; write for example 64MiB, 5GB or a number of bytes");
        assert_eq!(why("-1MiB"), "\"-1MiB\" is negative; a size is 0 or more");
        assert_eq!(why("64Mb"), "\"64Mb\" is in bits; sizes are in bytes, such as 64MiB");
        assert_eq!(why("99999999999EiB"), "\"99999999999EiB\" is too large a size");
        for text in ["", "MiB", "1..5MiB", "0.5", "1.5B", "20EiB", "99999999999999999999", "ten", "µ", "1 000MiB"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_share_follows_the_whole_and_a_size_does_not() {
        let read = |text: &str| serde_json::from_str::<SizeOrPercent>(text);
        assert_eq!(read("\"60%\"").unwrap().of(ByteSize::bytes(1000)), ByteSize::bytes(600));
        assert_eq!(read("\"2GiB\"").unwrap().of(ByteSize::bytes(1000)), ByteSize::gib(2));
        assert!(read("60").unwrap_err().to_string().contains("write 60% for a share"));
        assert!(read("\"160%\"").is_err());
    }
}
