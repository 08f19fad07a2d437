//! Holds for traces with a certain number of model calls.

use crate::sample::conditions::{Fault, Range, Test};
use serde::Deserialize;

/// `{ type: llm_calls, min: 20 }`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LlmCalls {
    min: Option<u64>,
    max: Option<u64>,
}

impl LlmCalls {
    pub(super) fn compile(&self) -> Result<Test, Fault> {
        Range { min: self.min, max: self.max, of: |totals| totals.llm_calls }.test(("min", "max"))
    }
}
