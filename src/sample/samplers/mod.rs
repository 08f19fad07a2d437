//! What a policy does with the traces it matches, one file for each way.

mod adaptive;
mod budgeted;
mod drop;
mod keep;
mod probabilistic;

pub use adaptive::{AdaptivePercentage, AdaptiveThroughput};
pub use budgeted::{Budgeted, BytesLimiting, RateLimiting};
pub use drop::Drop;
pub use keep::Keep;
pub use probabilistic::Probabilistic;

pub(super) use adaptive::{Adaptive, Goal};
pub(super) use budgeted::{Limit, Unit};
pub(super) use probabilistic::percentage;

use crate::sample::conditions::Fault;
use crate::sample::threshold::Threshold;
use serde::Deserialize;
use std::sync::Arc;

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
    /// Keeps what a budget allows.
    Budgeted(Budgeted),
    /// Keeps what a budget of spans allows.
    RateLimiting(RateLimiting),
    /// Keeps what a budget of bytes allows.
    BytesLimiting(BytesLimiting),
    /// Keeps a share, more of what is rare.
    AdaptivePercentage(AdaptivePercentage),
    /// Keeps so much a second, more of what is rare.
    AdaptiveThroughput(AdaptiveThroughput),
}

/// A sampler, checked.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Method {
    /// Keeps those whose randomness reaches the threshold.
    Keep(Threshold),
    /// Keeps what a budget allows.
    Budget(Limit),
    /// Keeps by a threshold that is learned.
    Adaptive(Arc<Adaptive>),
    /// Drops; perhaps even traces that are kept whatever policies say.
    Drop { override_always_keep: bool },
}

impl Method {
    /// Whether it drops whatever it matches.
    pub(super) fn drops(&self) -> bool {
        matches!(self, Method::Drop { .. })
    }

    /// Whether it keeps whatever it matches.
    pub(super) fn keeps(&self) -> bool {
        *self == Method::Keep(Threshold::ALL)
    }
}

impl Sample {
    /// What `type` calls it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Sample::Keep(_) => "keep",
            Sample::Drop(_) => "drop",
            Sample::Probabilistic(_) => "probabilistic",
            Sample::Budgeted(_) => "budgeted",
            Sample::RateLimiting(_) => "rate_limiting",
            Sample::BytesLimiting(_) => "bytes_limiting",
            Sample::AdaptivePercentage(_) => "adaptive_percentage",
            Sample::AdaptiveThroughput(_) => "adaptive_throughput",
        }
    }

    /// Checks it.
    ///
    /// # Errors
    /// The field that is wrong, and why.
    pub(super) fn compile(&self, precision: u32) -> Result<Method, Fault> {
        match self {
            Sample::Keep(keep) => Ok(keep.compile()),
            Sample::Drop(drop) => Ok(drop.compile()),
            Sample::Probabilistic(share) => share.compile(precision),
            Sample::Budgeted(budget) => budget.compile(),
            Sample::RateLimiting(limit) => limit.compile(),
            Sample::BytesLimiting(limit) => limit.compile(),
            Sample::AdaptivePercentage(adaptive) => adaptive.compile(precision),
            Sample::AdaptiveThroughput(adaptive) => adaptive.compile(precision),
        }
    }
}
