//! Sizes, durations and secrets as the receivers' part of the config spells them.

use bytesize::ByteSize as Spelling;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, de};
use std::fmt;

/// A number of bytes: `64MiB`, `5GB`, or a plain number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(u64);

impl ByteSize {
    /// So many times 2²⁰ bytes.
    pub const fn mib(count: u64) -> ByteSize {
        ByteSize(count.saturating_mul(1 << 20))
    }

    /// The number of bytes; as much as the machine can address where it is more.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ByteSize, D::Error> {
        let text = String::deserialize(deserializer)?;
        let size = text.parse::<Spelling>().map_err(|_| {
            de::Error::custom(format_args!("\"{text}\" is not a size; write for example 64MiB, 5GB or a number of bytes"))
        })?;
        Ok(ByteSize(size.as_u64()))
    }
}

/// A text that is never shown; wiped when dropped.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Takes a text as secret.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(SecretString::from(text.into()))
    }

    /// The text itself. Not to be logged, printed, put in an error or kept.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
        String::deserialize(deserializer).map(Secret::new)
    }
}

/// Durations such as `30s`, for `#[serde(with)]`.
pub(super) mod duration {
    use super::*;
    use std::time::Duration;

    pub(in crate::receive) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_duration(&text)
            .map_err(|_| de::Error::custom(format_args!("\"{text}\" is not a duration; write for example 30s, 5m or 200ms")))
    }

    pub(in crate::receive) mod option {
        use super::*;

        pub(in crate::receive) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
            #[derive(Deserialize)]
            struct Inner(#[serde(deserialize_with = "super::deserialize")] Duration);
            Ok(Option::<Inner>::deserialize(deserializer)?.map(|Inner(duration)| duration))
        }
    }
}
