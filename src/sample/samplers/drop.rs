//! Drops every trace that matches.
//!
//! Errors and truncated answers are kept all the same, unless it says otherwise: health checks fail on purpose.

use crate::sample::samplers::Method;
use serde::Deserialize;

/// `{ type: drop, override_always_keep: true }`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drop {
    #[serde(default)]
    pub(in crate::sample) override_always_keep: bool,
}

impl Drop {
    pub(super) fn compile(&self) -> Method {
        Method::Drop { override_always_keep: self.override_always_keep }
    }
}
