//! The `prices:` section of the config: which tables, which of them first, and what to do with a model nobody knows.
//!
//! From low to high: the bundled table, each of `files` in order, `providers` here. The first layer with a price in force
//! wins, so a line in the config always beats what is bundled, and a price that begins next month leaves this month alone.

use crate::enrich::price::format::{Providers, Text};
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use std::fmt;
use std::path::PathBuf;

/// `processors.enrich.prices`
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PricesConfig {
    /// Whether the table that comes with Tollgate is the lowest layer. Default true; false leaves only what is given here.
    pub bundled: bool,
    /// Price lists, later ones over earlier ones. Default none. For prices kept apart from the config.
    pub files: Vec<PriceFile>,
    /// `provider/model`: prices calls whose model or provider is unknown as that model, flagged `fallback`. Default none,
    /// which leaves them without a cost and says so.
    pub fallback_model: Option<String>,
    /// Prices, names and discounts of one's own, over everything else. Default none.
    pub providers: Providers,
}

impl Default for PricesConfig {
    fn default() -> PricesConfig {
        PricesConfig { bundled: true, files: Vec::new(), fallback_model: None, providers: Providers::default() }
    }
}

/// A price list: `my-prices.yaml`, or `{path: …, format: …, as_of: …, accept: […]}`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PriceFile {
    /// Where it is.
    pub path: PathBuf,
    /// `tollgate-prices/1`, `litellm` or `genai-prices`. Default: its shape tells.
    pub format: Option<String>,
    /// The day it speaks for, if it does not say so itself.
    pub as_of: Option<Text>,
    /// `provider/id` of entries whose price may jump. Only for lists made by others.
    pub accept: Vec<String>,
    /// When the file was last changed, in nanoseconds since 1970; whoever reads the files fills it in. A list made by
    /// others speaks for the time since then, unless `as_of` says otherwise.
    pub modified: Option<u64>,
}

impl<'de> Deserialize<'de> for PriceFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<PriceFile, D::Error> {
        struct FileVisitor;
        impl<'de> Visitor<'de> for FileVisitor {
            type Value = PriceFile;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a path, or a map of path, format, as_of, accept")
            }
            fn visit_str<E: de::Error>(self, path: &str) -> Result<PriceFile, E> {
                Ok(PriceFile { path: path.into(), ..PriceFile::default() })
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<PriceFile, A::Error> {
                let mut file = PriceFile::default();
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "path" => file.path = map.next_value::<String>()?.into(),
                        "format" => file.format = map.next_value()?,
                        "as_of" => file.as_of = map.next_value()?,
                        "accept" => file.accept = map.next_value()?,
                        other => return Err(de::Error::unknown_field(other, &["path", "format", "as_of", "accept"])),
                    }
                }
                if file.path.as_os_str().is_empty() {
                    return Err(de::Error::missing_field("path"));
                }
                Ok(file)
            }
        }
        deserializer.deserialize_any(FileVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_a_path_or_a_map() {
        let config: PricesConfig = serde_yaml::from_str("files: [a.yaml, {path: b.json, format: litellm, as_of: 2026-11-01}]").unwrap();
        assert!(config.bundled && config.files.len() == 2);
        assert_eq!(config.files[1].format.as_deref(), Some("litellm"));
        assert!(serde_yaml::from_str::<PricesConfig>("files: [{paht: b.json}]").is_err());
        assert!(serde_yaml::from_str::<PricesConfig>("fallback: x").is_err());
    }

    #[test]
    fn nothing_written_is_the_bundled_table_alone() {
        assert_eq!(serde_yaml::from_str::<PricesConfig>("{}").unwrap(), PricesConfig::default());
    }
}
