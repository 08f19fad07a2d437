//! Keeps every trace that matches.

use crate::sample::samplers::Method;
use crate::sample::threshold::Threshold;
use serde::Deserialize;

/// `{ type: keep }`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keep {}

impl Keep {
    pub(super) fn compile(&self) -> Method {
        Method::Keep(Threshold::ALL)
    }
}
