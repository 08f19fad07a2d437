//! Durations in a config: `30s`, `5m`, `1h30m`, `200ms`.
//!
//! A bare number is refused: the same `30` means seconds in one program and milliseconds in the next.
//!
//! Used as `#[serde(with = "crate::units::duration")]`; for an `Option` as `#[serde(with =
//! "crate::units::duration::option", default)]`.

use serde::{Deserializer, Serializer, de};
use std::fmt;
use std::time::Duration;

/// The longest duration taken: a hundred years. Adding it to any clock reading stays in range.
pub const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Why a text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotADuration {
    /// A number alone.
    #[error("{0} has no unit; write {0}s, {0}ms or {0}m")]
    NoUnit(String),
    /// Something else.
    #[error("\"{0}\" is not a duration; write for example 30s, 5m, 1h30m or 200ms")]
    Syntax(String),
    /// A unit nobody knows.
    #[error("\"{text}\" is not a duration: \"{unit}\" is no unit of time; write for example 30s, 5m, 1h30m or 200ms")]
    Unit {
        /// All of it.
        text: String,
        /// The part that is no unit.
        unit: String,
    },
    /// Below zero.
    #[error("\"{0}\" is negative; a duration is 0s or more")]
    Negative(String),
    /// More than [`LONGEST`].
    #[error("\"{0}\" is too long a duration; the longest is 100 years")]
    TooLong(String),
}

/// Reads `30s`, `1h30m`, `1.5s`.
///
/// # Errors
/// For a bare number, an unknown unit, a negative or too long duration.
pub fn parse(text: &str) -> Result<Duration, NotADuration> {
    let text = text.trim();
    if text.parse::<f64>().is_ok_and(f64::is_finite) {
        return Err(if text.starts_with('-') { NotADuration::Negative(text.to_owned()) } else { NotADuration::NoUnit(text.to_owned()) });
    }
    if text.starts_with('-') {
        return Err(NotADuration::Negative(text.to_owned()));
    }
    let read = humantime::parse_duration(text).map_err(|error| match error {
        humantime::DurationError::UnknownUnit { unit, .. } if !unit.is_empty() => NotADuration::Unit { text: text.to_owned(), unit },
        humantime::DurationError::NumberOverflow => NotADuration::TooLong(text.to_owned()),
        _ => NotADuration::Syntax(text.to_owned()),
    })?;
    if read > LONGEST { Err(NotADuration::TooLong(text.to_owned())) } else { Ok(read) }
}

/// For `#[serde(with = "crate::units::duration")]`.
///
/// # Errors
/// As [`parse`].
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    deserializer.deserialize_any(Visitor)
}

/// Writes what [`parse`] reads: `1h 30m`.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_duration(*duration))
}

/// The same for `Option<Duration>`; `null` is `None`.
pub mod option {
    use super::*;

    /// For `#[serde(with = "crate::units::duration::option", default)]`.
    ///
    /// # Errors
    /// As [`parse`].
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        struct Maybe;
        impl<'de> de::Visitor<'de> for Maybe {
            type Value = Option<Duration>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                Visitor.expecting(f)
            }
            fn visit_none<E: de::Error>(self) -> Result<Self::Value, E> {
                Ok(None)
            }
            fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
                Ok(None)
            }
            fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
                super::deserialize(deserializer).map(Some)
            }
        }
        deserializer.deserialize_option(Maybe)
    }

    /// Writes what [`parse`] reads, or null.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => super::serialize(duration, serializer),
            None => serializer.serialize_none(),
        }
    }
}

struct Visitor;

impl de::Visitor<'_> for Visitor {
    type Value = Duration;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration such as 30s")
    }
    fn visit_u64<E: de::Error>(self, count: u64) -> Result<Duration, E> {
        parse(&count.to_string()).map_err(E::custom)
    }
    fn visit_i64<E: de::Error>(self, count: i64) -> Result<Duration, E> {
        parse(&count.to_string()).map_err(E::custom)
    }
    fn visit_f64<E: de::Error>(self, count: f64) -> Result<Duration, E> {
        parse(&count.to_string()).map_err(E::custom)
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
        parse(text).map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_usual_spelling_is_read() {
        for (text, millis) in
            [("30s", 30_000), ("5m", 300_000), ("1h30m", 5_400_000), ("200ms", 200), ("0s", 0), ("1.5s", 1500), (" 2 min ", 120_000)]
        {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn a_bare_number_is_asked_for_its_unit() {
        assert_eq!(parse("30").unwrap_err().to_string(), "30 has no unit; write 30s, 30ms or 30m");
        assert_eq!(parse("0"), Err(NotADuration::NoUnit("0".into())));
        assert_eq!(parse("-5s"), Err(NotADuration::Negative("-5s".into())));
        assert_eq!(parse("-5"), Err(NotADuration::Negative("-5".into())));
    }

    #[test]
    fn what_is_no_duration_is_refused_with_an_example() {
        assert_eq!(
            parse("30sx").unwrap_err().to_string(),
            "\"30sx\" is not a duration: \"sx\" is no unit of time; write for example 30s, 5m, 1h30m or 200ms"
        );
        for text in ["", "soon", "1h 30", "∞", "s", "1 s s"] {
            assert!(matches!(parse(text), Err(NotADuration::Syntax(_) | NotADuration::Unit { .. })), "{text}");
        }
        for text in ["101y", "99999999999999999999s", "18446744073709551615w"] {
            assert!(matches!(parse(text), Err(NotADuration::TooLong(_))), "{text}");
        }
    }
}
