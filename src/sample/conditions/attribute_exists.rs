//! Holds where an attribute is there, whatever its value.

use crate::otlp::span::Any;
use crate::sample::conditions::{AttributeTest, Fault, Test};
use serde::Deserialize;
use std::sync::Arc;

/// `{ type: attribute_exists, key: app.experiment }`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttributeExists {
    key: String,
}

#[derive(Debug)]
struct Exists;

impl AttributeTest for Exists {
    fn holds(&self, _: Any<'_>) -> bool {
        true
    }
}

impl AttributeExists {
    pub(super) fn compile(&self) -> Result<Test, Fault> {
        super::string_attribute::check_key(&self.key)?;
        Ok(Test::Attribute { key: self.key.clone(), test: Arc::new(Exists), invert: false })
    }
}
