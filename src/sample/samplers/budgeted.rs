//! Keeps as much as a budget allows, and says with which probability.
//!
//! Counting what came first and refusing the rest would favour whoever sends early in a second, and nobody could say what a kept
//! trace stands for. So traces are decided together, in short ticks, highest randomness first, until the budget is spent: what is
//! kept is what a percentage would have kept, and that percentage is known.

use crate::sample::conditions::Fault;
use crate::sample::samplers::Method;
use crate::sample::threshold::Threshold;
use serde::Deserialize;

/// `{ type: budgeted, usd_per_second: 0.02 }`: one of four units.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budgeted {
    traces_per_second: Option<f64>,
    spans_per_second: Option<f64>,
    bytes_per_second: Option<f64>,
    usd_per_second: Option<f64>,
    /// How much may be spent at once after a quiet time. Default: twice what a second brings.
    burst_capacity: Option<f64>,
}

/// `{ type: rate_limiting, spans_per_second: 100 }`, the Collector's name for a budget of spans.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimiting {
    spans_per_second: f64,
    burst_capacity: Option<f64>,
}

/// `{ type: bytes_limiting, bytes_per_second: 1000000 }`, the Collector's name for a budget of encoded bytes.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BytesLimiting {
    bytes_per_second: f64,
    burst_capacity: Option<f64>,
}

/// What a budget is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sample) enum Unit {
    Traces,
    Spans,
    Bytes,
    Usd,
}

impl Unit {
    /// Parts in one: budgets are counted in whole numbers, and a call may cost a millionth of a cent.
    pub(in crate::sample) const fn parts(self) -> u64 {
        match self {
            Unit::Traces | Unit::Spans | Unit::Bytes => 1_000_000,
            Unit::Usd => 1_000_000_000_000,
        }
    }
}

/// A budget, in parts of its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sample) struct Limit {
    pub(in crate::sample) unit: Unit,
    pub(in crate::sample) per_second: u64,
    pub(in crate::sample) burst: u64,
    /// What a trace must pass besides; everything does where nothing is said.
    pub(in crate::sample) within: Threshold,
}

impl Budgeted {
    pub(super) fn compile(&self) -> Result<Method, Fault> {
        let units = [
            ("traces_per_second", Unit::Traces, self.traces_per_second),
            ("spans_per_second", Unit::Spans, self.spans_per_second),
            ("bytes_per_second", Unit::Bytes, self.bytes_per_second),
            ("usd_per_second", Unit::Usd, self.usd_per_second),
        ];
        let mut given = units.into_iter().filter_map(|(key, unit, rate)| rate.map(|rate| (key, unit, rate)));
        let missing = || ("spans_per_second", "is missing; set it, or traces_per_second, bytes_per_second or usd_per_second".to_owned());
        let (key, unit, rate) = given.next().ok_or_else(missing)?;
        if let Some((second, ..)) = given.next() {
            return Err((second, format!("stands beside {key}; a budget has one unit, so use two policies")));
        }
        Limit::new(unit, (key, rate), self.burst_capacity).map(Method::Budget)
    }
}

impl RateLimiting {
    pub(super) fn compile(&self) -> Result<Method, Fault> {
        Limit::new(Unit::Spans, ("spans_per_second", self.spans_per_second), self.burst_capacity).map(Method::Budget)
    }
}

impl BytesLimiting {
    pub(super) fn compile(&self) -> Result<Method, Fault> {
        Limit::new(Unit::Bytes, ("bytes_per_second", self.bytes_per_second), self.burst_capacity).map(Method::Budget)
    }
}

impl Limit {
    fn new(unit: Unit, (key, rate): (&'static str, f64), burst: Option<f64>) -> Result<Limit, Fault> {
        let parts = |value: f64| parts(value, unit);
        let per_second = parts(rate).ok_or_else(|| (key, format!("{rate} is not above 0, or too large")))?;
        let burst = match burst {
            None => per_second.saturating_mul(2),
            Some(burst) => parts(burst).ok_or_else(|| ("burst_capacity", format!("{burst} is not above 0, or too large")))?,
        };
        Ok(Limit { unit, per_second, burst, within: Threshold::ALL })
    }

    /// A budget of so many spans a second.
    pub(in crate::sample) fn spans(rate: f64) -> Option<Limit> {
        Limit::new(Unit::Spans, ("", rate), None).ok()
    }

    /// The tighter of two budgets of spans.
    pub(in crate::sample) fn tighter(self, other: Limit) -> Limit {
        Limit { per_second: self.per_second.min(other.per_second), burst: self.burst.min(other.burst), ..self }
    }
}

fn parts(value: f64, unit: Unit) -> Option<u64> {
    let parts = (value * unit.parts() as f64).round();
    (1.0..1e18).contains(&parts).then_some(parts as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compile(text: &str) -> Result<Method, Fault> {
        serde_yaml::from_str::<Budgeted>(text).unwrap().compile()
    }

    #[test]
    fn a_budget_has_one_unit_and_twice_of_it_as_burst() {
        let Ok(Method::Budget(limit)) = compile("{ usd_per_second: 0.02 }") else { panic!("a budget") };
        assert_eq!((limit.unit, limit.per_second, limit.burst), (Unit::Usd, 20_000_000_000, 40_000_000_000));
        let Ok(Method::Budget(limit)) = compile("{ traces_per_second: 0.5, burst_capacity: 3 }") else { panic!("a budget") };
        assert_eq!((limit.unit, limit.per_second, limit.burst), (Unit::Traces, 500_000, 3_000_000));
        assert_eq!(compile("{ spans_per_second: 1, bytes_per_second: 1 }").unwrap_err().0, "bytes_per_second");
        assert_eq!(compile("{ burst_capacity: 1 }").unwrap_err().0, "spans_per_second");
    }

    #[test]
    fn a_budget_of_nothing_is_refused() {
        for text in ["{ spans_per_second: 0 }", "{ spans_per_second: -1 }", "{ spans_per_second: .nan }", "{ spans_per_second: .inf }"] {
            assert_eq!(compile(text).unwrap_err().0, "spans_per_second", "{text}");
        }
        assert_eq!(compile("{ spans_per_second: 1, burst_capacity: 0 }").unwrap_err().0, "burst_capacity");
    }
}
