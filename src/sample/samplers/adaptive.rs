//! Keeps more of what is rare and less of what is frequent.
//!
//! Traces are told apart by a fingerprint, and each fingerprint has a percentage of its own, learned from how often it came. A
//! percentage never depends on the traces it is applied to, only on those before them, so what a kept trace stands for stays exact.

use crate::sample::conditions::Fault;
use crate::sample::samplers::{Method, percentage};
use crate::units::duration;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;

/// `{ type: adaptive_percentage, goal_percentage: 10, fingerprint_attributes: [http.route] }`: of the spans of all fingerprints.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdaptivePercentage {
    goal_percentage: f64,
    fingerprint_attributes: Vec<String>,
    #[serde(default = "interval", with = "duration")]
    adjustment_interval: Duration,
    #[serde(default = "weight")]
    weight: f64,
    #[serde(default = "max_keys")]
    max_keys: usize,
}

/// `{ type: adaptive_throughput, goal_spans_per_second: 500, fingerprint_attributes: [http.route] }`: over all fingerprints.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdaptiveThroughput {
    goal_spans_per_second: f64,
    fingerprint_attributes: Vec<String>,
    /// What is kept until the first adjustment, when nothing has been learned.
    #[serde(default = "initial")]
    initial_percentage: f64,
    #[serde(default = "interval", with = "duration")]
    adjustment_interval: Duration,
    #[serde(default = "weight")]
    weight: f64,
    #[serde(default = "max_keys")]
    max_keys: usize,
}

fn interval() -> Duration {
    Duration::from_secs(15)
}

fn weight() -> f64 {
    0.5
}

fn initial() -> f64 {
    10.0
}

fn max_keys() -> usize {
    1000
}

/// What it aims at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::sample) enum Goal {
    /// A part of the spans, from 0 to 1.
    Share(f64),
    /// Spans a second, and the part that is kept while nothing is known.
    Rate { spans_per_second: f64, initial: f64 },
}

/// An adaptive sampler, checked.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::sample) struct Adaptive {
    pub(in crate::sample) goal: Goal,
    pub(in crate::sample) keys: Vec<String>,
    pub(in crate::sample) interval: Duration,
    pub(in crate::sample) weight: f64,
    pub(in crate::sample) max_keys: usize,
}

impl AdaptivePercentage {
    pub(super) fn compile(&self, precision: u32) -> Result<Method, Fault> {
        percentage(self.goal_percentage, precision).map_err(|(_, message)| ("goal_percentage", message))?;
        Adaptive {
            goal: Goal::Share(self.goal_percentage / 100.0),
            keys: self.fingerprint_attributes.clone(),
            interval: self.adjustment_interval,
            weight: self.weight,
            max_keys: self.max_keys,
        }
        .check()
    }
}

impl AdaptiveThroughput {
    pub(super) fn compile(&self, precision: u32) -> Result<Method, Fault> {
        percentage(self.initial_percentage, precision).map_err(|(_, message)| ("initial_percentage", message))?;
        let goal = self.goal_spans_per_second;
        if !(goal > 0.0 && goal < 1e12) {
            return Err(("goal_spans_per_second", format!("{goal} is not above 0 and below a trillion")));
        }
        Adaptive {
            goal: Goal::Rate { spans_per_second: goal, initial: self.initial_percentage / 100.0 },
            keys: self.fingerprint_attributes.clone(),
            interval: self.adjustment_interval,
            weight: self.weight,
            max_keys: self.max_keys,
        }
        .check()
    }
}

impl Adaptive {
    fn check(self) -> Result<Method, Fault> {
        if self.keys.is_empty() || self.keys.iter().any(String::is_empty) {
            return Err(("fingerprint_attributes", "is empty, or holds an empty key".into()));
        }
        if self.interval < Duration::from_millis(100) {
            return Err(("adjustment_interval", "is shorter than 100ms, too short to learn from".into()));
        }
        if !(self.weight > 0.0 && self.weight <= 1.0) {
            return Err(("weight", format!("{} is not above 0 and at most 1", self.weight)));
        }
        if !(1..=100_000).contains(&self.max_keys) {
            return Err(("max_keys", format!("{} is not between 1 and 100000", self.max_keys)));
        }
        Ok(Method::Adaptive(Arc::new(self)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_learned_is_refused() {
        let compile = |text: &str| serde_yaml::from_str::<AdaptivePercentage>(text).unwrap().compile(4).map_err(|(key, _)| key);
        let with = |rest: &str| format!("{{ goal_percentage: 10, fingerprint_attributes: [k]{rest} }}");
        assert!(compile(&with("")).is_ok());
        assert_eq!(compile("{ goal_percentage: 101, fingerprint_attributes: [k] }"), Err("goal_percentage"));
        assert_eq!(compile("{ goal_percentage: 10, fingerprint_attributes: [] }"), Err("fingerprint_attributes"));
        for (rest, key) in [
            (", weight: 0", "weight"),
            (", weight: 1.1", "weight"),
            (", max_keys: 0", "max_keys"),
            (", adjustment_interval: 1ms", "adjustment_interval"),
        ] {
            assert_eq!(compile(&with(rest)), Err(key));
        }
        let throughput = |text: &str| serde_yaml::from_str::<AdaptiveThroughput>(text).unwrap().compile(4).map_err(|(key, _)| key);
        assert_eq!(throughput("{ goal_spans_per_second: 0, fingerprint_attributes: [k] }"), Err("goal_spans_per_second"));
        assert!(throughput("{ goal_spans_per_second: 5, fingerprint_attributes: [k] }").is_ok());
    }
}
