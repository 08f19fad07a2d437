//! Holds for every trace.

use crate::sample::conditions::{Fault, Test};
use serde::Deserialize;

/// `{ type: always_sample }`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlwaysSample {}

impl AlwaysSample {
    pub(super) fn compile(&self) -> Result<Test, Fault> {
        Ok(Test::Always)
    }
}
