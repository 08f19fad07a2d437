//! Holds where an attribute is one of these texts, or matches one of these patterns.
//!
//! Patterns are compiled when the config is loaded, by an engine that is linear in the text: a sender cannot make one slow.

use crate::otlp::span::Any;
use crate::sample::conditions::{AttributeTest, Fault, Test};
use regex::{RegexSet, RegexSetBuilder};
use serde::Deserialize;
use std::sync::Arc;

/// A set of patterns may take so many bytes compiled; a thousand names do.
const REGEX_SIZE: usize = 4 << 20;

/// `{ type: string_attribute, key: user.tier, values: [enterprise] }`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StringAttribute {
    key: String,
    values: Vec<String>,
    /// Whether the values are patterns, to be found anywhere in the text.
    #[serde(default)]
    enabled_regex_matching: bool,
    #[serde(default)]
    invert_match: bool,
    /// The Collector's; accepted, because the values are one automaton here, which needs no cache.
    #[serde(default, rename = "cache_max_size")]
    _cache_max_size: u64,
}

#[derive(Debug)]
enum Texts {
    Equal(Vec<String>),
    Match(RegexSet),
}

impl AttributeTest for Texts {
    fn holds(&self, value: Any<'_>) -> bool {
        match value {
            Any::Str(text) => self.any(text),
            Any::Array(_) => value.elements().filter_map(|element| element.as_str()).any(|text| self.any(text)),
            _ => false,
        }
    }
}

impl Texts {
    fn any(&self, text: &str) -> bool {
        match self {
            Texts::Equal(texts) => texts.iter().any(|t| t == text),
            Texts::Match(patterns) => patterns.is_match(text),
        }
    }
}

impl StringAttribute {
    pub(super) fn compile(&self) -> Result<Test, Fault> {
        check_key(&self.key)?;
        if self.values.is_empty() {
            return Err(("values", "is empty, so nothing matches".into()));
        }
        let texts = if self.enabled_regex_matching {
            let patterns = RegexSetBuilder::new(&self.values).size_limit(REGEX_SIZE).build();
            Texts::Match(patterns.map_err(|error| ("values", format!("holds a pattern that does not compile: {error}")))?)
        } else {
            Texts::Equal(self.values.clone())
        };
        Ok(Test::Attribute { key: self.key.clone(), test: Arc::new(texts), invert: self.invert_match })
    }
}

/// A key is a name, perhaps behind `span.`, `resource.` or `scope.`.
pub(super) fn check_key(key: &str) -> Result<(), Fault> {
    if key.is_empty() { Err(("key", "is empty".into())) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::append::Attributes;
    use crate::otlp::span::{self, KeyValue};

    fn test(values: &[&str], regex: bool) -> Arc<dyn AttributeTest> {
        let values = values.iter().map(|&v| v.to_owned()).collect();
        match (StringAttribute { key: "k".into(), values, enabled_regex_matching: regex, invert_match: false, _cache_max_size: 0 })
            .compile()
        {
            Ok(Test::Attribute { test, .. }) => test,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_value_is_equal_as_a_whole_and_a_pattern_is_found_anywhere() {
        assert!(test(&["a", "b"], false).holds(Any::Str("b")));
        assert!(!test(&["a"], false).holds(Any::Str("ab")));
        assert!(test(&["x", "^rag-.*"], true).holds(Any::Str("rag-7")));
        assert!(!test(&["^rag-"], true).holds(Any::Str("a rag-7")));
    }

    #[test]
    fn kinds_are_strict_and_arrays_are_asked_element_by_element() {
        assert!(!test(&["1"], false).holds(Any::Int(1)));
        assert!(!test(&["1"], false).holds(Any::Bytes(b"1")));
        let mut bytes = Vec::new();
        Attributes::of_span(&mut bytes).strs("k", ["x", "stop"].into_iter());
        let mut held = 0;
        span::read(&bytes, |pair: KeyValue<'_>| held += i32::from(test(&["stop"], false).holds(pair.any())), |_| {});
        assert_eq!(held, 1);
    }

    #[test]
    fn what_cannot_match_is_refused() {
        let with = |key: &str, values: &[&str]| StringAttribute {
            key: key.into(),
            values: values.iter().map(|&v| v.to_owned()).collect(),
            enabled_regex_matching: true,
            invert_match: false,
            _cache_max_size: 0,
        };
        assert_eq!(with("k", &[]).compile().unwrap_err().0, "values");
        assert_eq!(with("k", &["("]).compile().unwrap_err().0, "values");
        assert_eq!(with("k", &["(\\w{100}){1000}"]).compile().unwrap_err().0, "values");
        assert_eq!(with("", &["a"]).compile().unwrap_err().0, "key");
    }
}
