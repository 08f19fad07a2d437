//! Sizes as people write them, kept as a number of bytes.

use crate::units::ByteSize;
use serde::{Deserialize, Deserializer, Serializer};

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    ByteSize::deserialize(deserializer).map(ByteSize::as_usize)
}

pub(crate) fn serialize<S: Serializer>(size: &usize, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(size)
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
