//! Holds where an attribute is this truth value.

use crate::otlp::span::Any;
use crate::sample::conditions::{AttributeTest, Fault, Test};
use serde::Deserialize;
use std::sync::Arc;

/// `{ type: boolean_attribute, key: app.internal, value: true }`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BooleanAttribute {
    key: String,
    value: bool,
    #[serde(default)]
    invert_match: bool,
}

#[derive(Debug)]
struct Is(bool);

impl AttributeTest for Is {
    fn holds(&self, value: Any<'_>) -> bool {
        value == Any::Bool(self.0)
    }
}

impl BooleanAttribute {
    pub(super) fn compile(&self) -> Result<Test, Fault> {
        super::string_attribute::check_key(&self.key)?;
        Ok(Test::Attribute { key: self.key.clone(), test: Arc::new(Is(self.value)), invert: self.invert_match })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_truth_value_holds() {
        assert!(Is(false).holds(Any::Bool(false)));
        assert!(!Is(true).holds(Any::Bool(false)));
        assert!(!Is(true).holds(Any::Str("true")));
        assert!(!Is(true).holds(Any::Int(1)));
    }
}
