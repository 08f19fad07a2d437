//! Holds where a model answer was cut off by a token limit.

use crate::sample::conditions::{Fault, Seen, SpanTest, Test};
use serde::Deserialize;
use std::sync::Arc;

/// `{ type: truncated }`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Truncated {}

impl SpanTest for Truncated {
    fn holds(&self, span: &Seen<'_>) -> bool {
        span.mark.truncated()
    }
}

impl Truncated {
    pub(super) fn compile(&self) -> Result<Test, Fault> {
        Ok(Test::Span(Arc::new(self.clone())))
    }
}
