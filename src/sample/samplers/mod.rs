//! What a policy does with the traces it matches, one file for each way.

mod drop;
mod keep;
mod probabilistic;

pub use drop::Drop;
pub use keep::Keep;
pub use probabilistic::Probabilistic;

pub(super) use probabilistic::percentage;

use crate::sample::conditions::Fault;
use crate::sample::threshold::Threshold;
use serde::Deserialize;

/// A sampler as the config spells it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Sample {
    /// Keeps every one.
    Keep(Keep),
    /// Drops every one.
    Drop(Drop),
    /// Keeps a share.
    Probabilistic(Probabilistic),
}

/// A sampler, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// Keeps those whose randomness reaches the threshold.
    Keep(Threshold),
    /// Drops; perhaps even traces that are kept whatever policies say.
    Drop { override_always_keep: bool },
}

impl Sample {
    /// Checks it.
    ///
    /// # Errors
    /// The field that is wrong, and why.
    pub(super) fn compile(&self, precision: u32) -> Result<Method, Fault> {
        match self {
            Sample::Keep(keep) => Ok(keep.compile()),
            Sample::Drop(drop) => Ok(drop.compile()),
            Sample::Probabilistic(share) => share.compile(precision),
        }
    }
}
