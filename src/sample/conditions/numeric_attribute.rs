//! Holds where an attribute is a number in a closed range.

use crate::otlp::span::Any;
use crate::sample::conditions::{AttributeTest, Fault, Test};
use serde::Deserialize;
use std::sync::Arc;

/// `{ type: numeric_attribute, key: http.response.status_code, min_value: 400, max_value: 499 }`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NumericAttribute {
    key: String,
    min_value: Option<f64>,
    max_value: Option<f64>,
    /// Whether a string that holds a number counts.
    #[serde(default)]
    parse_strings: bool,
    #[serde(default)]
    invert_match: bool,
}

impl AttributeTest for NumericAttribute {
    fn holds(&self, value: Any<'_>) -> bool {
        let number = match value {
            Any::Int(number) => number as f64,
            Any::Double(number) => number,
            Any::Str(text) if self.parse_strings => match text.trim().parse() {
                Ok(number) => number,
                Err(_) => return false,
            },
            _ => return false,
        };
        !number.is_nan() && self.min_value.is_none_or(|min| min <= number) && self.max_value.is_none_or(|max| number <= max)
    }
}

impl NumericAttribute {
    pub(super) fn compile(&self) -> Result<Test, Fault> {
        super::string_attribute::check_key(&self.key)?;
        for (key, bound) in [("min_value", self.min_value), ("max_value", self.max_value)] {
            if bound.is_some_and(f64::is_nan) {
                return Err((key, "is not a number".into()));
            }
        }
        if let (Some(min), Some(max)) = (self.min_value, self.max_value)
            && min > max
        {
            return Err(("max_value", "is below min_value, so nothing matches".into()));
        }
        Ok(Test::Attribute { key: self.key.clone(), test: Arc::new(self.clone()), invert: self.invert_match })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn between(min: f64, max: f64, parse_strings: bool) -> NumericAttribute {
        NumericAttribute { key: "k".into(), min_value: Some(min), max_value: Some(max), parse_strings, invert_match: false }
    }

    #[test]
    fn the_range_is_closed_and_nan_is_outside() {
        let range = between(1.0, 2.0, false);
        assert!(range.holds(Any::Int(1)) && range.holds(Any::Double(2.0)));
        assert!(!range.holds(Any::Int(3)) && !range.holds(Any::Double(0.999)) && !range.holds(Any::Double(f64::NAN)));
        let any = NumericAttribute { min_value: None, max_value: None, ..range };
        assert!(any.holds(Any::Double(f64::INFINITY)) && !any.holds(Any::Double(f64::NAN)));
    }

    #[test]
    fn a_string_counts_only_where_asked_for() {
        assert!(!between(1.0, 2.0, false).holds(Any::Str("1.5")));
        assert!(between(1.0, 2.0, true).holds(Any::Str("1.5")));
        assert!(!between(1.0, 2.0, true).holds(Any::Str("one")));
        assert!(!between(0.0, 1.0, true).holds(Any::Bool(true)));
    }

    #[test]
    fn an_empty_range_is_refused() {
        assert!(between(2.0, 1.0, false).compile().is_err());
        assert!(between(f64::NAN, 1.0, false).compile().is_err());
    }
}
