//! Policies, checked once and then asked for every trace.
//!
//! Whatever its spelling, a policy becomes a name, a condition and a sampler. All of them test the same randomness, so of
//! several that match the most permissive one describes the probability truthfully.

use crate::sample::config::{AlwaysKeep, Config, Evaluation, Except, KeepClass, LateKeep, Mode};
use crate::sample::expr::{Evidence, Expr, Settled};
use crate::sample::outcome::{Decision, Reason};
use crate::sample::samplers::Method;
use crate::sample::threshold::Threshold;
use crate::sample::totals::Mark;
use crate::sample::watch::Watch;
use std::sync::Arc;

/// What is wrong in the config.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct ConfigError {
    /// The key, from the root of the file.
    pub path: String,
    /// What is wrong with its value, and what would be right.
    pub message: String,
}

/// A checked config.
#[derive(Debug)]
pub struct Policies {
    pub(super) config: Config,
    pub(super) watch: Watch,
    pub(super) hash: Arc<str>,
    pub(super) rules: Vec<Compiled>,
    pub(super) fallback: Threshold,
    /// By which spans of new traces are judged while memory is all but full.
    pub(super) overload: Option<Threshold>,
    pub(super) overload_name: Arc<str>,
    pub(super) always_keep: Arc<str>,
    pub(super) default: Arc<str>,
}

/// One policy.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) name: Arc<str>,
    /// A list of this name alone, which is what nearly every decision has to say.
    pub(super) alone: Arc<[Arc<str>]>,
    pub(super) when: Expr,
    pub(super) method: Method,
}

/// The answer for one trace.
#[derive(Clone, Debug)]
pub(super) struct Verdict {
    pub(super) decision: Decision,
    pub(super) policy: Arc<str>,
    pub(super) reason: Reason,
    pub(super) threshold: Threshold,
    pub(super) matched: Arc<[Arc<str>]>,
    /// It is of the keep class, and a policy that may drop those dropped it.
    pub(super) overridden: bool,
}

impl Policies {
    /// The same, under the hash of the whole config file: what is stamped as `tollgate.sampling.config`.
    pub fn with_config_hash(self, hash: &str) -> Policies {
        Policies { hash: hash.chars().take(8).collect::<String>().into(), ..self }
    }

    /// The config these came of.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What is legal and may surprise, for the log when the config is loaded.
    pub fn notes(&self) -> Vec<String> {
        let config = &self.config;
        let mut notes = Vec::new();
        if config.decision_wait.is_zero() {
            notes.push("decision_wait is 0s: each request is decided by itself, not each trace".to_owned());
        }
        if config.late_keep == LateKeep::Off {
            notes.push("late_keep is off: an error is kept for certain only if it arrives before its trace is decided".to_owned());
        }
        for rule in self.rules.iter().filter(|rule| rule.method == Method::Drop { override_always_keep: true }) {
            notes.push(format!("policy \"{}\" overrides always_keep: it may drop errors and truncated answers", rule.name));
        }
        notes
    }

    /// Every name a decision may have: those of the policies, then the reserved ones.
    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.rules.iter().map(|rule| &rule.name).chain([&self.always_keep, &self.default])
    }

    /// The reserved name of what is kept for an error or a truncated answer.
    pub(super) fn always_keep_name(&self) -> &Arc<str> {
        &self.always_keep
    }

    /// Why a trace with such a span must not be dropped.
    pub(super) fn keep_class(&self, mark: Mark) -> Option<Reason> {
        self.config.always_keep.iter().find_map(|rule| rule.applies(mark))
    }

    /// Whether a trace of this kind is kept whatever spans may still come.
    pub(super) fn certain(&self, evidence: &Evidence<'_>) -> bool {
        let settled = |rule: &Compiled| rule.when.settled(evidence);
        let mut drops = self.rules.iter().filter(|rule| matches!(rule.method, Method::Drop { .. }));
        if evidence.class.is_some() {
            return drops.all(|rule| rule.method == (Method::Drop { override_always_keep: false }) || settled(rule) == Settled::No);
        }
        if !drops.all(|rule| settled(rule) == Settled::No) {
            return false;
        }
        let keeps = |rule: &Compiled| rule.method == Method::Keep(Threshold::ALL);
        let mut samples = self.rules.iter().filter(|rule| matches!(rule.method, Method::Keep(_)));
        match self.config.evaluation {
            Evaluation::AnyMatch => samples.any(|rule| keeps(rule) && settled(rule) == Settled::Yes),
            Evaluation::FirstMatch => {
                for rule in samples {
                    match settled(rule) {
                        Settled::Yes => return keeps(rule),
                        Settled::Open if !keeps(rule) => return false,
                        Settled::No | Settled::Open => {}
                    }
                }
                false
            }
        }
    }

    /// Decides about a trace as it is now.
    pub(super) fn decide(&self, evidence: &Evidence<'_>) -> Verdict {
        // Asked again where it is needed again: that is cheaper than a list, for every trace.
        let matching = || self.rules.iter().filter(|rule| rule.when.holds(evidence));
        let matched = match (matching().next(), matching().nth(1)) {
            (None, _) => Arc::default(),
            (Some(rule), None) => Arc::clone(&rule.alone),
            _ => matching().map(|rule| Arc::clone(&rule.name)).collect(),
        };
        let drop = matching().find(|rule| match rule.method {
            Method::Drop { override_always_keep } => override_always_keep || evidence.class.is_none(),
            Method::Keep(_) => false,
        });
        if let Some(rule) = drop {
            let policy = Arc::clone(&rule.name);
            let overridden = evidence.class.is_some();
            return Verdict { decision: Decision::Drop, policy, reason: Reason::Policy, threshold: Threshold::NONE, matched, overridden };
        }
        if let Some(reason) = evidence.class {
            let policy = Arc::clone(&self.always_keep);
            return Verdict { decision: Decision::Keep, policy, reason, threshold: Threshold::ALL, matched, overridden: false };
        }
        let samples = matching().filter_map(|rule| match rule.method {
            Method::Keep(threshold) => Some((threshold, &rule.name)),
            Method::Drop { .. } => None,
        });
        let winner = match self.config.evaluation {
            // Of equal ones the first, as min_by_key has it.
            Evaluation::AnyMatch => samples.min_by_key(|(threshold, _)| *threshold),
            Evaluation::FirstMatch => samples.take(1).next(),
        };
        let (threshold, policy, reason) = match winner {
            Some((Threshold::ALL, name)) => (Threshold::ALL, name, Reason::Policy),
            Some((threshold, name)) => (threshold, name, Reason::Probability),
            None => (self.fallback, &self.default, Reason::Default),
        };
        let threshold = match self.config.tracestate.mode {
            Mode::Proportional if threshold != Threshold::ALL => {
                threshold.of_what_is_left(evidence.before, self.config.tracestate.precision)
            }
            _ => threshold,
        };
        let decision = if threshold.keeps(evidence.randomness) { Decision::Keep } else { Decision::Drop };
        Verdict { decision, policy: Arc::clone(policy), reason, threshold, matched, overridden: false }
    }
}

impl AlwaysKeep {
    fn applies(&self, mark: Mark) -> Option<Reason> {
        match self.class {
            KeepClass::Error => {
                let excepted = self.except.contains(&Except::Cancelled) && mark.cancelled();
                (mark.failed() && !excepted).then_some(Reason::Error)
            }
            KeepClass::Truncated => mark.truncated().then_some(Reason::Truncated),
        }
    }
}
