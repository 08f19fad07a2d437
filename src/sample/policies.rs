//! Policies, checked once and then asked for every trace.
//!
//! Whatever its spelling, a policy becomes a name, a condition and a sampler. All of them test the same randomness, so of
//! several that match the most permissive one describes the probability truthfully.

use crate::sample::conditions::{Condition, Fault, Test, TraceTest};
use crate::sample::config::{AlwaysKeep, Config, Evaluation, Except, Fallback, KeepClass, Mode};
use crate::sample::outcome::{Decision, Reason};
use crate::sample::policy::{Form, Policy, Scope, When};
use crate::sample::samplers::{Drop, Method, Sample, percentage};
use crate::sample::threshold::Threshold;
use crate::sample::totals::{Mark, Totals};
use crate::sample::watch::{Bits, Rule, Watch};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;

/// Policies may nest this deep; more is a mistake.
const MAX_DEPTH: usize = 16;

/// So many policies have a series each in every metric.
const MAX_POLICIES: usize = 500;

/// Ages are kept in 32 bits of milliseconds, twice the time to live must fit in.
const MAX_TTL: Duration = Duration::from_secs(7 * 24 * 3600);

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
    rules: Vec<Compiled>,
    fallback: Threshold,
    always_keep: Arc<str>,
    default: Arc<str>,
}

#[derive(Debug)]
struct Compiled {
    name: Arc<str>,
    when: Expr,
    method: Method,
}

/// A condition over a trace.
#[derive(Debug, Clone)]
enum Expr {
    True,
    /// A bit that spans set.
    Bit(u16),
    /// A test of the trace.
    Trace(Arc<dyn TraceTest>),
    Not(Box<Expr>),
    All(Vec<Expr>),
}

/// An answer that more spans may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Settled {
    Yes,
    No,
    Open,
}

/// What is known of a trace.
#[derive(Clone, Copy, Debug)]
pub(super) struct Evidence<'a> {
    pub(super) bits: &'a Bits,
    pub(super) totals: &'a Totals,
    /// Why it must not be dropped.
    pub(super) class: Option<Reason>,
    pub(super) randomness: u64,
    /// The strictest threshold its spans came with.
    pub(super) before: Threshold,
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
    /// Checks a config.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with the path of its key.
    pub fn compile(config: &Config) -> Result<Policies, Vec<ConfigError>> {
        let mut compiler = Compiler { watch: Watch::default(), errors: Vec::new(), precision: config.tracestate.precision };
        compiler.check_options(config);
        let mut rules: Vec<(usize, Compiled)> = Vec::new();
        for (number, policy) in config.policies.iter().enumerate() {
            let path = format!("policies[{number}]");
            compiler.check_name(policy, &config.policies, number, &path);
            if let Some((when, method)) = compiler.policy(policy, &path, 0) {
                rules.push((number, Compiled { name: policy.name.as_str().into(), when, method }));
            }
        }
        compiler.check_reach(&rules, config.evaluation);
        let fallback = match config.default {
            Fallback::Drop => Threshold::NONE,
            Fallback::Percentage(share) => {
                let threshold = percentage(share, config.tracestate.precision);
                compiler.take("default", threshold).unwrap_or(Threshold::NONE)
            }
        };
        if !compiler.errors.is_empty() {
            return Err(compiler.errors);
        }
        Ok(Policies {
            config: config.clone(),
            watch: compiler.watch,
            hash: hash(config),
            rules: rules.into_iter().map(|(_, rule)| rule).collect(),
            fallback,
            always_keep: "_always_keep".into(),
            default: "_default".into(),
        })
    }

    /// The same, under the hash of the whole config file: what is stamped as `tollgate.sampling.config`.
    pub fn with_config_hash(self, hash: &str) -> Policies {
        Policies { hash: hash.chars().take(8).collect::<String>().into(), ..self }
    }

    /// The config these came of.
    pub fn config(&self) -> &Config {
        &self.config
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
        let matching: Vec<&Compiled> = self.rules.iter().filter(|rule| rule.when.holds(evidence)).collect();
        let matched: Arc<[Arc<str>]> = matching.iter().map(|rule| Arc::clone(&rule.name)).collect();
        let drop = matching.iter().find(|rule| match rule.method {
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
        let samples = matching.iter().filter_map(|rule| match rule.method {
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

impl Expr {
    fn not(self) -> Expr {
        match self {
            Expr::Not(inner) => *inner,
            other => Expr::Not(Box::new(other)),
        }
    }

    /// One list, without lists in it.
    fn all(parts: Vec<Expr>) -> Expr {
        let mut flat = Vec::new();
        for part in parts {
            match part {
                Expr::True => {}
                Expr::All(inner) => flat.extend(inner),
                other => flat.push(other),
            }
        }
        match flat.len() {
            0 => Expr::True,
            1 => flat.pop().unwrap_or(Expr::True),
            _ => Expr::All(flat),
        }
    }

    /// Whether it asks for a bit and for its absence, or for nothing that can be.
    fn impossible(&self) -> bool {
        let parts = if let Expr::All(parts) = self { parts.as_slice() } else { std::slice::from_ref(self) };
        parts.iter().any(|part| match part {
            Expr::Not(inner) => match &**inner {
                Expr::True => true,
                Expr::Bit(bit) => parts.iter().any(|other| matches!(other, Expr::Bit(b) if b == bit)),
                _ => false,
            },
            _ => false,
        })
    }

    fn holds(&self, evidence: &Evidence<'_>) -> bool {
        match self {
            Expr::True => true,
            Expr::Bit(bit) => evidence.bits.has(*bit),
            Expr::Trace(test) => test.holds(evidence.totals),
            Expr::Not(inner) => !inner.holds(evidence),
            Expr::All(parts) => parts.iter().all(|part| part.holds(evidence)),
        }
    }

    fn settled(&self, evidence: &Evidence<'_>) -> Settled {
        match self {
            Expr::True => Settled::Yes,
            Expr::Bit(bit) if evidence.bits.has(*bit) => Settled::Yes,
            Expr::Bit(_) => Settled::Open,
            Expr::Trace(test) if !test.settled(evidence.totals) => Settled::Open,
            Expr::Trace(test) if test.holds(evidence.totals) => Settled::Yes,
            Expr::Trace(_) => Settled::No,
            Expr::Not(inner) => match inner.settled(evidence) {
                Settled::Yes => Settled::No,
                Settled::No => Settled::Yes,
                Settled::Open => Settled::Open,
            },
            Expr::All(parts) => {
                let mut all = Settled::Yes;
                for part in parts {
                    match part.settled(evidence) {
                        Settled::No => return Settled::No,
                        Settled::Open => all = Settled::Open,
                        Settled::Yes => {}
                    }
                }
                all
            }
        }
    }
}

struct Compiler {
    watch: Watch,
    errors: Vec<ConfigError>,
    precision: u32,
}

impl Compiler {
    fn error(&mut self, path: &str, message: impl Into<String>) {
        self.errors.push(ConfigError { path: format!("processors.tail_sampling.{path}"), message: message.into() });
    }

    fn take<T>(&mut self, path: &str, result: Result<T, Fault>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err((field, message)) => {
                self.error(&format!("{path}.{field}"), message);
                None
            }
        }
    }

    fn check_options(&mut self, config: &Config) {
        for (path, value) in [
            ("span_limit", config.span_limit),
            ("maximum_trace_size_bytes", config.maximum_trace_size_bytes),
            ("num_traces", config.num_traces),
        ] {
            if value == 0 {
                self.error(path, "must be at least 1");
            }
        }
        if !(1..=14).contains(&config.tracestate.precision) {
            self.error("tracestate.precision", format!("{} is not between 1 and 14 hexadecimal digits", config.tracestate.precision));
        }
        if config.decision_cache.ttl > MAX_TTL {
            self.error("decision_cache.ttl", "is longer than 7 days");
        }
        if config.policies.len() > MAX_POLICIES {
            self.error("policies", format!("are {}; more than {MAX_POLICIES} are not supported", config.policies.len()));
        }
        for (number, rule) in config.always_keep.iter().enumerate() {
            if config.always_keep.iter().take(number).any(|before| before.class == rule.class) {
                self.error(&format!("always_keep[{number}]"), "names a class that is in the list already");
            }
            if rule.class == KeepClass::Truncated && !rule.except.is_empty() {
                self.error(&format!("always_keep[{number}].except"), "has no effect on truncated; it belongs to class error");
            }
        }
    }

    fn check_name(&mut self, policy: &Policy, all: &[Policy], number: usize, path: &str) {
        if policy.name.is_empty() {
            self.error(&format!("{path}.name"), "is empty");
        } else if policy.name.starts_with('_') {
            self.error(&format!("{path}.name"), format!("\"{}\" starts with _, which is reserved", policy.name));
        }
        if let Some(first) = all.iter().take(number).position(|other| other.name == policy.name) {
            self.error(&format!("{path}.name"), format!("\"{}\" is the name of policies[{first}] already", policy.name));
        }
    }

    /// A policy that nothing can reach was meant to do something.
    fn check_reach(&mut self, rules: &[(usize, Compiled)], evaluation: Evaluation) {
        let catches_all = |rule: &Compiled| matches!(rule.when, Expr::True);
        let samples = |rule: &Compiled| matches!(rule.method, Method::Keep(_));
        let drop_all = rules.iter().position(|(_, rule)| catches_all(rule) && !samples(rule));
        let keep_all = rules.iter().position(|(_, rule)| catches_all(rule) && samples(rule));
        for (at, (number, rule)) in rules.iter().enumerate() {
            let overrides = rule.method == Method::Drop { override_always_keep: true };
            let by = match (drop_all, keep_all) {
                (Some(all), _) if at != all && !overrides && (samples(rule) || at > all) => all,
                (_, Some(all)) if evaluation == Evaluation::FirstMatch && samples(rule) && at > all => all,
                _ => continue,
            };
            let Some((_, first)) = rules.get(by) else { continue };
            let message = format!("\"{}\" can never be reached, because \"{}\" takes every trace", rule.name, first.name);
            self.error(&format!("policies[{number}]"), message);
        }
    }

    fn policy(&mut self, policy: &Policy, path: &str, depth: usize) -> Option<(Expr, Method)> {
        let (when, sample) = self.parts(policy, path, depth)?;
        let sample = sample.unwrap_or(Sample::Keep(Default::default()));
        let sampler_path = match policy.form {
            Form::Native(..) => format!("{path}.sample"),
            Form::And(_) => format!("{path}.and"),
            _ => format!("{path}.probabilistic"),
        };
        let method = self.take(&sampler_path, sample.compile(self.precision));
        if when.impossible() {
            self.error(path, format!("\"{}\" contradicts itself, so nothing matches", policy.name));
        }
        Some((when, method?))
    }

    /// Condition and sampler, perhaps of several policies joined.
    fn parts(&mut self, policy: &Policy, path: &str, depth: usize) -> Option<(Expr, Option<Sample>)> {
        if depth > MAX_DEPTH {
            self.error(path, format!("nests deeper than {MAX_DEPTH} policies"));
            return None;
        }
        match &policy.form {
            Form::Native(when, _) => Some((self.when(when, &format!("{path}.condition"))?, policy.form.sampler())),
            Form::Condition(condition) => {
                let expr = self.condition(condition, &format!("{path}.{}", condition.name()))?;
                Some((expr, None))
            }
            Form::Probabilistic(_) => Some((Expr::True, policy.form.sampler())),
            Form::And(parts) => self.join(policy, parts, &format!("{path}.and.and_sub_policy"), depth),
            Form::Not(part) => {
                let path = format!("{path}.not.not_sub_policy");
                let (expr, sample) = self.parts(part, &path, depth + 1)?;
                if sample.is_some() {
                    self.error(&path, format!("\"{}\" samples; only a condition can be negated", part.name));
                }
                Some((expr.not(), None))
            }
            Form::Drop(parts) => {
                let path = format!("{path}.drop.drop_sub_policy");
                let (expr, sample) = self.join(policy, parts, &path, depth)?;
                if sample.is_some() {
                    self.error(&path, format!("\"{}\" drops what matches, so nothing in it can sample", policy.name));
                }
                Some((expr, Some(Sample::Drop(Drop::default()))))
            }
        }
    }

    fn join(&mut self, policy: &Policy, parts: &[Policy], path: &str, depth: usize) -> Option<(Expr, Option<Sample>)> {
        if parts.is_empty() {
            self.error(path, format!("is empty, so \"{}\" would match every trace", policy.name));
            return None;
        }
        let (mut all, mut sampler): (Vec<Expr>, Option<(&str, Sample)>) = (Vec::new(), None);
        for (number, part) in parts.iter().enumerate() {
            let path = format!("{path}[{number}]");
            let Some((expr, sample)) = self.parts(part, &path, depth + 1) else { continue };
            all.push(expr);
            match (sample, &sampler) {
                (Some(_), Some((first, _))) => {
                    let message = format!("\"{}\" and \"{first}\" both sample; a policy has one sampler", part.name);
                    self.error(&path, message);
                }
                (Some(sample), None) => sampler = Some((&part.name, sample)),
                (None, _) => {}
            }
        }
        Some((Expr::all(all), sampler.map(|(_, sample)| sample)))
    }

    fn condition(&mut self, condition: &Condition, path: &str) -> Option<Expr> {
        let test = self.take(path, condition.compile())?;
        self.any_span(condition, test, path)
    }

    fn any_span(&mut self, condition: &Condition, test: Test, path: &str) -> Option<Expr> {
        match test {
            Test::Always => Some(Expr::True),
            Test::Trace(test) => Some(Expr::Trace(test)),
            Test::Span(_) | Test::Attribute { .. } => {
                let invert = matches!(test, Test::Attribute { invert: true, .. });
                let number = self.number(condition, &test, path)?;
                let bit = Expr::Bit(self.watch.bit(Rule::Any(number))?);
                Some(if invert { bit.not() } else { bit })
            }
        }
    }

    fn number(&mut self, condition: &Condition, test: &Test, path: &str) -> Option<u16> {
        let number = self.watch.number(condition, test);
        if number.is_none() {
            self.error(path, "is one condition too many; at most 65536 are supported");
        }
        number
    }

    fn when(&mut self, when: &When, path: &str) -> Option<Expr> {
        let (mut parts, mut of_one_span) = (Vec::new(), Vec::new());
        let lists = [("all", &when.all, true), ("none", &when.none, false)];
        let mut failed = false;
        for (list, number, condition, wanted) in
            lists.into_iter().flat_map(|(list, conditions, wanted)| conditions.iter().enumerate().map(move |(n, c)| (list, n, c, wanted)))
        {
            let path = format!("{path}.{list}[{number}]");
            if !wanted && when.all.contains(condition) {
                self.error(&path, "stands under all as well, so nothing matches");
            }
            let Some(test) = self.take(&path, condition.compile()) else {
                failed = true;
                continue;
            };
            let about_span = matches!(test, Test::Span(_) | Test::Attribute { .. });
            match when.scope {
                Scope::Trace if about_span => {
                    self.error(&path, format!("{} asks about a span; scope trace asks about the trace as a whole", condition.name()));
                }
                Scope::SameSpan | Scope::Root if about_span => {
                    let invert = matches!(test, Test::Attribute { invert: true, .. });
                    of_one_span.extend(self.number(condition, &test, &path).map(|number| (number, wanted != invert)));
                }
                _ => {
                    let expr = self.any_span(condition, test, &path);
                    parts.extend(expr.map(|expr| if wanted { expr } else { expr.not() }));
                }
            }
        }
        let rule = match when.scope {
            Scope::SameSpan if !of_one_span.is_empty() => Some(Rule::Same(of_one_span)),
            Scope::Root => Some(Rule::Root(of_one_span)),
            _ => None,
        };
        if let Some(rule) = rule {
            parts.push(Expr::Bit(self.watch.bit(rule)?));
        }
        (!failed).then(|| Expr::all(parts))
    }
}

/// The first eight hexadecimal digits of a hash of the section.
fn hash(config: &Config) -> Arc<str> {
    let digest = Sha256::digest(format!("{config:?}").as_bytes());
    digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect::<String>().into()
}
