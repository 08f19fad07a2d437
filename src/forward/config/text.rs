//! Durations and sizes as people write them: `200ms`, `64MiB`.

/// `30s`, `1h30m`. A bare number is refused, because it means seconds in one program and milliseconds in the next.
pub(crate) mod duration {
    use serde::{Deserialize, Deserializer, Serializer, de};
    use std::time::Duration;

    /// The longest that is taken: adding it to any clock reading stays in range.
    const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.parse::<f64>().is_ok() {
            return Err(de::Error::custom(format_args!("{text} has no unit; write for example {text}s")));
        }
        match humantime::parse_duration(&text) {
            Ok(duration) if duration <= LONGEST => Ok(duration),
            _ => Err(de::Error::custom(format_args!("\"{text}\" is not a duration; write for example 30s, 5m or 200ms"))),
        }
    }

    pub(crate) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(*duration))
    }
}

/// `64MiB`, `4 MB`, or a number of bytes.
pub(crate) mod size {
    use bytesize::ByteSize;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
        let text = String::deserialize(deserializer)?;
        let size =
            text.parse::<ByteSize>().map_err(|_| de::Error::custom(format_args!("\"{text}\" is not a size; write for example 64MiB")))?;
        usize::try_from(size.as_u64()).map_err(|_| de::Error::custom(format_args!("\"{text}\" is more than this machine can address")))
    }

    pub(crate) fn serialize<S: Serializer>(size: &usize, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(size)
    }
}

#[cfg(test)]
mod tests {
    use crate::forward::config::Batching;
    use std::time::Duration;

    #[test]
    fn a_number_is_a_size_but_not_a_duration() {
        let read = |yaml: &str| serde_yaml::from_str::<Batching>(yaml).map_err(|e| e.to_string());
        assert_eq!(read("max_size: 1000").unwrap().max_size, 1000);
        assert_eq!(read("flush_after: 0s").unwrap().flush_after, Duration::ZERO);
        assert!(read("flush_after: 3").unwrap_err().contains("3s"));
        assert!(read("flush_after: 3 moons").is_err());
        assert!(read("max_size: large").unwrap_err().contains("64MiB"));
    }
}
