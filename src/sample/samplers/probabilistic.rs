//! Keeps a share of the traces that match, always the same share of the same traces.

use crate::sample::conditions::Fault;
use crate::sample::samplers::Method;
use crate::sample::threshold::Threshold;
use serde::Deserialize;

/// `{ type: probabilistic, sampling_percentage: 10 }`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probabilistic {
    pub(in crate::sample) sampling_percentage: f64,
    /// The Collector's; accepted, because the randomness is that of the trace id here, which needs no salt.
    #[serde(default, rename = "hash_salt")]
    pub(in crate::sample) _hash_salt: String,
}

impl Probabilistic {
    /// A percentage and nothing else.
    pub(in crate::sample) fn new(sampling_percentage: f64) -> Probabilistic {
        Probabilistic { sampling_percentage, _hash_salt: String::new() }
    }
}

impl Probabilistic {
    pub(super) fn compile(&self, precision: u32) -> Result<Method, Fault> {
        percentage(self.sampling_percentage, precision).map(Method::Keep)
    }
}

/// The threshold of a percentage.
///
/// # Errors
/// Where it is none: below 0, above 100, or not 0 and below 100 · 2^-56.
pub(in crate::sample) fn percentage(value: f64, precision: u32) -> Result<Threshold, Fault> {
    Threshold::from_percentage(value, precision)
        .ok_or_else(|| ("sampling_percentage", format!("{value} is neither 0 nor a percentage from 1.39e-15 (2^-56) to 100")))
}
