//! Holds where a model call has usage and no price: the bill is not complete.

use crate::sample::conditions::{Fault, Seen, SpanTest, Test};
use serde::Deserialize;
use std::sync::Arc;

/// `{ type: unpriced }`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unpriced {}

impl SpanTest for Unpriced {
    fn holds(&self, span: &Seen<'_>) -> bool {
        span.mark.unpriced()
    }
}

impl Unpriced {
    pub(super) fn compile(&self) -> Result<Test, Fault> {
        Ok(Test::Span(Arc::new(self.clone())))
    }
}
