//! Policies, checked once and then asked for every trace.
//!
//! Whatever its spelling, a policy becomes a name, a condition and a sampler. All of them test the same randomness, so of
//! several that match the most permissive one describes the probability truthfully.

use crate::sample::conditions::Seen;
use crate::sample::config::{AlwaysKeep, Carry, Config, Evaluation, Except, KeepClass, LateKeep, Mode};
use crate::sample::expr::{Evidence, Expr, Settled};
use crate::sample::held::Held;
use crate::sample::outcome::{Decision, Reason, Says, Vote};
use crate::sample::rare::Rare;
use crate::sample::samplers::{Limit, Method};
use crate::sample::threshold::Threshold;
use crate::sample::totals::Mark;
use crate::sample::watch::{Scratch, Watch};
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
    /// By which spans of new traces are judged while memory is all but full.
    pub(super) overload: Option<Threshold>,
    pub(super) overload_name: Arc<str>,
    pub(super) live: Rules,
    /// Asked as well; empty where there are no shadow policies.
    pub(super) shadow: Option<Rules>,
    pub(super) rares: Vec<Rare>,
    /// Types of findings that conditions ask for, by list.
    pub(super) redacted: Vec<Vec<String>>,
    /// What makes a span the root, if not that it has no parent.
    pub(super) root: Option<Watch>,
    /// Limits of the keep class, in the order of `KeepClass::ALL`.
    pub(super) limits: [Option<Limit>; 2],
    pub(super) class_keys: [Arc<str>; 2],
    pub(super) notes: Vec<String>,
    pub(super) always_keep: Arc<str>,
    pub(super) default: Arc<str>,
}

/// Policies that make one decision.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) list: Vec<Compiled>,
    pub(super) names: Arc<[Arc<str>]>,
    pub(super) fallback: Threshold,
    /// Whether a threshold of one of them is not known before there is a trace.
    pub(super) budgets: bool,
    pub(super) adaptive: bool,
}

/// One policy.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) name: Arc<str>,
    /// Under which it learns: policies and shadow policies may share names.
    pub(super) key: Arc<str>,
    /// What it says where it alone matches, which is what nearly every decision has to say.
    pub(super) alone: Arc<[Vote]>,
    pub(super) when: Expr,
    pub(super) method: Method,
}

/// Thresholds of single policies for one trace, by place in the list.
pub(super) type Given = Vec<(usize, Threshold)>;

/// The answer for one trace.
#[derive(Clone, Debug)]
pub(super) struct Verdict {
    pub(super) decision: Decision,
    pub(super) policy: Arc<str>,
    pub(super) reason: Reason,
    pub(super) threshold: Threshold,
    pub(super) matched: Arc<[Vote]>,
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

    /// Whether anything here reads an attribute of a span whose key `is_meant`.
    pub fn read_attribute(&self, is_meant: impl Fn(&[u8]) -> bool) -> bool {
        let root = self.root.iter().flat_map(|watch| watch.keys());
        let names = self.config.group_by.iter().chain(self.rares.iter().flat_map(|rare| &rare.keys));
        self.watch.keys().chain(root).chain(names.map(String::as_bytes)).any(is_meant)
    }

    /// Types of findings that conditions ask for: one list for each place of `SpanFacts::redacted`, an empty one for all types. Where it is
    /// not empty, spans have to be redacted before they come here.
    pub fn redaction_types(&self) -> &[Vec<String>] {
        &self.redacted
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
        if config.mode == Carry::Shadow {
            notes.push("mode is shadow: nothing is dropped, decisions are only written down".to_owned());
        }
        for rule in self.live.list.iter().filter(|rule| rule.method == Method::Drop { override_always_keep: true }) {
            notes.push(format!("policy \"{}\" overrides always_keep: it may drop errors and truncated answers", rule.name));
        }
        notes.extend(self.notes.iter().cloned());
        notes
    }

    /// Every name a decision may have: those of the policies, then the reserved ones.
    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.live.names.iter().chain([&self.always_keep, &self.default])
    }

    /// The reserved name of what is kept for an error or a truncated answer.
    pub(super) fn always_keep_name(&self) -> &Arc<str> {
        &self.always_keep
    }

    /// Whether tracestate is left as it is.
    pub(super) fn silent(&self) -> bool {
        self.config.tracestate.mode == Mode::Off || self.config.mode == Carry::Shadow
    }

    /// Goes on with what was counted under other policies, where the same is counted.
    pub(super) fn adopt(&self, before: &Policies) {
        for rare in &self.rares {
            if let Some(same) = before.rares.iter().find(|other| rare.same(other)) {
                rare.adopt(same);
            }
        }
    }

    /// Whether something is learned under this name.
    pub(super) fn learns(&self, key: &str) -> bool {
        let mut all = self.live.list.iter().chain(self.shadow.iter().flat_map(|shadow| &shadow.list));
        key.starts_with('_') || all.any(|rule| &*rule.key == key)
    }

    /// The limit of the keep class that a reason belongs to, with its place.
    pub(super) fn limit(&self, reason: Reason) -> Option<(usize, Limit)> {
        let at = usize::from(reason != Reason::Error);
        self.limits.get(at).copied().flatten().map(|limit| (at, limit))
    }

    /// Under which the use of that limit is learned.
    pub(super) fn class_key(&self, at: usize) -> Arc<str> {
        self.class_keys.get(at).map(Arc::clone).unwrap_or_default()
    }

    /// Why a trace with such a span must not be dropped.
    pub(super) fn keep_class(&self, mark: Mark) -> Option<Reason> {
        let rule = self.config.always_keep.iter().find_map(|rule| rule.applies(mark));
        rule.or_else(|| mark.stays().then_some(Reason::Spend))
    }

    /// Whether a span with a parent counts as a root.
    pub(super) fn is_root(&self, seen: &Seen<'_>, span: &impl Held, scratch: &mut Scratch) -> bool {
        self.root.as_ref().is_some_and(|watch| {
            let mut bits = watch.bits();
            watch.see(seen, span, scratch, &mut bits);
            bits.has(0)
        })
    }

    /// Whether a trace of this kind is kept whatever spans may still come.
    pub(super) fn certain(&self, evidence: &Evidence<'_>) -> bool {
        let settled = |rule: &Compiled| rule.when.settled(evidence);
        let mut drops = self.live.list.iter().filter(|rule| rule.method.drops());
        if evidence.class.is_some() {
            return drops.all(|rule| rule.method == (Method::Drop { override_always_keep: false }) || settled(rule) == Settled::No);
        }
        if !drops.all(|rule| settled(rule) == Settled::No) {
            return false;
        }
        let mut samples = self.live.list.iter().filter(|rule| !rule.method.drops());
        match self.config.evaluation {
            Evaluation::AnyMatch => samples.any(|rule| rule.method.keeps() && settled(rule) == Settled::Yes),
            Evaluation::FirstMatch => {
                for rule in samples {
                    match settled(rule) {
                        Settled::Yes => return rule.method.keeps(),
                        Settled::Open if !rule.method.keeps() => return false,
                        Settled::No | Settled::Open => {}
                    }
                }
                false
            }
        }
    }

    /// The policies with a budget that have a say about a trace, by place. None where it is dropped or kept without them.
    pub(super) fn budgets_for(&self, rules: &Rules, evidence: &Evidence<'_>) -> Vec<usize> {
        if !rules.budgets || evidence.class.is_some() || rules.dropped_by(evidence).is_some() {
            return Vec::new();
        }
        let matching = rules.list.iter().enumerate().filter(|(_, rule)| !rule.method.drops() && rule.when.holds(evidence));
        let mut matching = matching.peekable();
        let budget = |rule: &Compiled| match &rule.method {
            Method::Budget(limit) => limit.within.keeps(evidence.randomness),
            _ => false,
        };
        if self.config.evaluation == Evaluation::FirstMatch {
            return matching.next().filter(|(_, rule)| budget(rule)).map(|(at, _)| at).into_iter().collect();
        }
        let mut asked = Vec::new();
        for (at, rule) in matching {
            if rule.method.keeps() {
                return Vec::new();
            }
            if budget(rule) {
                asked.push(at);
            }
        }
        asked
    }

    /// The threshold of the policies without a budget, for a trace that budgets are asked about.
    pub(super) fn base(&self, rules: &Rules, evidence: &Evidence<'_>, given: &Given) -> Threshold {
        if self.config.evaluation == Evaluation::FirstMatch {
            return Threshold::NONE;
        }
        let matching =
            rules.list.iter().enumerate().filter(|(_, rule)| !matches!(rule.method, Method::Budget(_)) && rule.when.holds(evidence));
        matching.filter_map(|(at, rule)| self.threshold(at, rule, evidence, given)).min().unwrap_or(Threshold::NONE)
    }

    /// The threshold one policy has for a trace; none where it drops or has not been asked.
    fn threshold(&self, at: usize, rule: &Compiled, evidence: &Evidence<'_>, given: &Given) -> Option<Threshold> {
        let given = || given.iter().find(|(of, _)| *of == at).map(|(_, threshold)| *threshold);
        let share = |threshold: Threshold| match self.config.tracestate.mode {
            Mode::Proportional if threshold != Threshold::ALL => {
                threshold.of_what_is_left(evidence.before, self.config.tracestate.precision)
            }
            _ => threshold,
        };
        match &rule.method {
            Method::Keep(threshold) => Some(share(*threshold)),
            Method::Adaptive(_) => given().map(share),
            // A budget was spent on the randomness itself.
            Method::Budget(_) => given(),
            Method::Drop { .. } => None,
        }
    }

    /// Decides about a trace as it is now.
    pub(super) fn decide(&self, rules: &Rules, evidence: &Evidence<'_>, given: &Given) -> Verdict {
        let matched = self.votes(rules, evidence, given);
        if let Some(rule) = rules.dropped_by(evidence) {
            let policy = Arc::clone(&rule.name);
            let overridden = evidence.class.is_some();
            return Verdict { decision: Decision::Drop, policy, reason: Reason::Policy, threshold: Threshold::NONE, matched, overridden };
        }
        if let Some(reason) = evidence.class {
            let policy = Arc::clone(&self.always_keep);
            return Verdict { decision: Decision::Keep, policy, reason, threshold: Threshold::ALL, matched, overridden: false };
        }
        let matching = rules.list.iter().enumerate().filter(|(_, rule)| !rule.method.drops() && rule.when.holds(evidence));
        let mut samples = matching.filter_map(|(at, rule)| self.threshold(at, rule, evidence, given).map(|threshold| (threshold, rule)));
        let winner = match self.config.evaluation {
            // Of equal ones the first, as min_by_key has it.
            Evaluation::AnyMatch => samples.min_by_key(|(threshold, _)| *threshold),
            Evaluation::FirstMatch => samples.next(),
        };
        let (threshold, policy, reason) = match winner {
            Some((threshold, rule)) => match rule.method {
                Method::Budget(_) => (threshold, &rule.name, Reason::Budget),
                _ if rule.method.keeps() => (threshold, &rule.name, Reason::Policy),
                _ => (threshold, &rule.name, Reason::Probability),
            },
            None if self.config.tracestate.mode == Mode::Proportional && rules.fallback != Threshold::ALL => {
                (rules.fallback.of_what_is_left(evidence.before, self.config.tracestate.precision), &self.default, Reason::Default)
            }
            None => (rules.fallback, &self.default, Reason::Default),
        };
        let decision = if threshold.keeps(evidence.randomness) { Decision::Keep } else { Decision::Drop };
        Verdict { decision, policy: Arc::clone(policy), reason, threshold, matched, overridden: false }
    }

    /// What every policy that matches says.
    fn votes(&self, rules: &Rules, evidence: &Evidence<'_>, given: &Given) -> Arc<[Vote]> {
        // Asked again where it is needed again: that is cheaper than a list, for every trace.
        let matching = || rules.list.iter().enumerate().filter(|(_, rule)| rule.when.holds(evidence));
        let vote = |(at, rule): (usize, &Compiled)| Vote {
            policy: Arc::clone(&rule.name),
            says: match rule.method {
                Method::Drop { .. } => Says::Drop,
                _ => self.threshold(at, rule, evidence, given).map_or(Says::Nothing, |threshold| Says::Keep(threshold.bits())),
            },
        };
        let fixed = |rule: &Compiled| match rule.method {
            Method::Keep(_) => rule.method.keeps() || self.config.tracestate.mode != Mode::Proportional,
            Method::Drop { .. } => true,
            Method::Budget(_) | Method::Adaptive(_) => false,
        };
        match (matching().next(), matching().nth(1)) {
            (None, _) => Arc::default(),
            (Some((_, rule)), None) if fixed(rule) => Arc::clone(&rule.alone),
            _ => matching().map(vote).collect(),
        }
    }
}

impl Rules {
    /// The policy that drops a trace, if one does.
    fn dropped_by(&self, evidence: &Evidence<'_>) -> Option<&Compiled> {
        self.list.iter().find(|rule| match rule.method {
            Method::Drop { override_always_keep } => (override_always_keep || evidence.class.is_none()) && rule.when.holds(evidence),
            _ => false,
        })
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
