//! From the config to policies that can be asked.
//!
//! Everything that is wrong is found here, at once, and named by the path of its key; past this point no policy can fail.

use crate::sample::conditions::{Condition, Fault, Test};
use crate::sample::config::{Config, Evaluation, Fallback, KeepClass};
use crate::sample::expr::Expr;
use crate::sample::policies::{Compiled, ConfigError, Policies};
use crate::sample::policy::{Form, Policy, Scope, When};
use crate::sample::samplers::{Drop, Method, Sample, percentage};
use crate::sample::threshold::Threshold;
use crate::sample::watch::{Rule, Watch};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;

/// Policies may nest this deep; more is a mistake.
const MAX_DEPTH: usize = 16;

/// So many policies have a series each in every metric.
const MAX_POLICIES: usize = 500;

/// Ages are kept in 32 bits of milliseconds, twice the time to live must fit in.
const MAX_TTL: Duration = Duration::from_secs(7 * 24 * 3600);

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
                let name: Arc<str> = policy.name.as_str().into();
                rules.push((number, Compiled { alone: [Arc::clone(&name)].into(), name, when, method }));
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
        let overload = config.overload.map(|of| percentage(of.sampling_percentage, config.tracestate.precision));
        let overload = overload.and_then(|threshold| compiler.take("overload", threshold));
        if !compiler.errors.is_empty() {
            return Err(compiler.errors);
        }
        Ok(Policies {
            config: config.clone(),
            watch: compiler.watch,
            hash: hash(config),
            rules: rules.into_iter().map(|(_, rule)| rule).collect(),
            fallback,
            overload,
            overload_name: "_overload".into(),
            always_keep: "_always_keep".into(),
            default: "_default".into(),
        })
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
