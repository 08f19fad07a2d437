//! From the config to policies that can be asked.
//!
//! Everything that is wrong is found here, at once, and named by the path of its key; past this point no policy can fail.

use crate::enrich::facts::REDACTED;
use crate::sample::conditions::redaction_hits::Hits;
use crate::sample::conditions::{Condition, Fault, Test};
use crate::sample::config::{Config, Evaluation, Fallback, KeepClass};
use crate::sample::expr::Expr;
use crate::sample::outcome::{Says, Vote};
use crate::sample::policies::{Compiled, ConfigError, Policies, Rules};
use crate::sample::policy::{Composite, Form, Policy, Scope, When};
use crate::sample::rare::Rare;
use crate::sample::samplers::{Drop, Limit, Method, Sample, Unit, percentage};
use crate::sample::threshold::Threshold;
use crate::sample::watch::{Rule, Tree, Watch};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;

/// Policies may nest this deep; more is a mistake.
const MAX_DEPTH: usize = 16;

/// So many policies have a series each in every metric.
const MAX_POLICIES: usize = 500;

/// Traces wait for a budget at most this long on purpose.
const MAX_INTERVAL: Duration = Duration::from_secs(10);

/// Ages are kept in 32 bits of milliseconds, twice the time to live must fit in.
const MAX_TTL: Duration = Duration::from_secs(7 * 24 * 3600);

impl Policies {
    /// Checks a config.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with the path of its key.
    pub fn compile(config: &Config) -> Result<Policies, Vec<ConfigError>> {
        let mut compiler = Compiler {
            watch: Watch::default(),
            rares: Vec::new(),
            redacted: Vec::new(),
            errors: Vec::new(),
            notes: Vec::new(),
            precision: config.tracestate.precision,
        };
        compiler.check_options(config);
        let fallback = match config.default {
            Fallback::Drop => Threshold::NONE,
            Fallback::Percentage(share) => {
                let threshold = percentage(share, config.tracestate.precision);
                compiler.take("default", threshold).unwrap_or(Threshold::NONE)
            }
        };
        let overload = config.overload.map(|of| percentage(of.sampling_percentage, config.tracestate.precision));
        let overload = overload.and_then(|threshold| compiler.take("overload", threshold));
        let live = compiler.rules("policies", &config.policies, config.evaluation, fallback);
        let shadow = compiler.rules("shadow_policies", &config.shadow_policies, config.evaluation, fallback);
        let root = config.root_condition.as_ref().and_then(|condition| compiler.root(condition));
        let limits = KeepClass::ALL.map(|class| {
            let number = config.always_keep.iter().position(|rule| rule.class == class);
            let (number, rate) = number.and_then(|at| Some((at, config.always_keep.get(at)?.limit_spans_per_second?)))?;
            let limit = Limit::spans(rate as f64);
            if limit.is_none() {
                compiler
                    .error(&format!("always_keep[{number}].limit_spans_per_second"), format!("{rate} is not above 0 and below a trillion"));
            }
            limit
        });
        if !compiler.errors.is_empty() {
            return Err(compiler.errors);
        }
        Ok(Policies {
            config: config.clone(),
            watch: compiler.watch,
            hash: hash(config),
            overload,
            overload_name: "_overload".into(),
            live,
            shadow: Some(shadow).filter(|shadow| !shadow.list.is_empty()),
            rares: compiler.rares,
            redacted: compiler.redacted,
            root,
            limits,
            class_keys: KeepClass::ALL.map(|class| format!("_always_keep/{}", class.as_str()).into()),
            notes: compiler.notes,
            always_keep: "_always_keep".into(),
            default: "_default".into(),
        })
    }
}

struct Compiler {
    watch: Watch,
    rares: Vec<Rare>,
    redacted: Vec<Vec<String>>,
    errors: Vec<ConfigError>,
    notes: Vec<String>,
    precision: u32,
}

/// A policy that was taken apart: its name, its condition and its sampler.
type Part = (String, Expr, Method);

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
        for (path, policies) in [("policies", &config.policies), ("shadow_policies", &config.shadow_policies)] {
            if policies.len() > MAX_POLICIES {
                self.error(path, format!("are {}; more than {MAX_POLICIES} are not supported", policies.len()));
            }
        }
        if config.decision_interval > MAX_INTERVAL {
            self.error("decision_interval", "is longer than 10s: traces would wait for their budget longer than for their spans");
        }
        if config.group_by.as_ref().is_some_and(String::is_empty) {
            self.error("group_by", "is empty; leave it out, or name an attribute");
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
            let list = path.split('[').next().unwrap_or_default();
            self.error(&format!("{path}.name"), format!("\"{}\" is the name of {list}[{first}] already", policy.name));
        }
    }

    /// Policies that make one decision.
    fn rules(&mut self, list: &str, policies: &[Policy], evaluation: Evaluation, fallback: Threshold) -> Rules {
        let mut parts: Vec<(usize, Part)> = Vec::new();
        for (number, policy) in policies.iter().enumerate() {
            let path = format!("{list}[{number}]");
            self.check_name(policy, policies, number, &path);
            match &policy.form {
                Form::Composite(composite) => {
                    parts.extend(self.composite(policy, composite, &format!("{path}.composite")).into_iter().map(|part| (number, part)));
                }
                _ => parts.extend(self.policy(policy, &path, 0).map(|(when, method)| (number, (policy.name.clone(), when, method)))),
            }
        }
        self.check_reach(list, &parts, evaluation);
        let compiled = |(_, (name, when, method)): (usize, Part)| {
            let name: Arc<str> = name.into();
            let says = match &method {
                Method::Keep(threshold) => Says::Keep(threshold.bits()),
                Method::Drop { .. } => Says::Drop,
                Method::Budget(_) | Method::Adaptive(_) => Says::Nothing,
            };
            let key = if list == "policies" { Arc::clone(&name) } else { format!("{list}/{name}").into() };
            Compiled { alone: [Vote { policy: Arc::clone(&name), says }].into(), name, key, when, method }
        };
        let list: Vec<Compiled> = parts.into_iter().map(compiled).collect();
        Rules {
            names: list.iter().map(|rule| Arc::clone(&rule.name)).collect(),
            budgets: list.iter().any(|rule| matches!(rule.method, Method::Budget(_))),
            adaptive: list.iter().any(|rule| matches!(rule.method, Method::Adaptive(_))),
            fallback,
            list,
        }
    }

    /// A policy that nothing can reach was meant to do something.
    fn check_reach(&mut self, list: &str, rules: &[(usize, Part)], evaluation: Evaluation) {
        let all = |drops: bool| rules.iter().position(|(_, (_, when, method))| matches!(when, Expr::True) && method.drops() == drops);
        let (drop_all, keep_all) = (all(true), all(false));
        for (at, (number, (name, _, method))) in rules.iter().enumerate() {
            let overrides = *method == Method::Drop { override_always_keep: true };
            let by = match (drop_all, keep_all) {
                (Some(all), _) if at != all && !overrides && (!method.drops() || at > all) => all,
                (_, Some(all)) if evaluation == Evaluation::FirstMatch && !method.drops() && at > all => all,
                _ => continue,
            };
            let Some((_, (first, ..))) = rules.get(by) else { continue };
            self.error(&format!("{list}[{number}]"), format!("\"{name}\" can never be reached, because \"{first}\" takes every trace"));
        }
    }

    /// What makes a span a root.
    fn root(&mut self, condition: &Condition) -> Option<Watch> {
        let path = format!("root_condition.{}", condition.name());
        let test = self.take(&path, condition.compile())?;
        if matches!(test, Test::Rare { .. }) {
            self.error("root_condition", format!("{} does not ask about one span, or asks what it is not", condition.name()));
            return None;
        }
        let live = std::mem::take(&mut self.watch);
        let expr = self.any_span(condition, test, &path);
        let watch = std::mem::replace(&mut self.watch, live);
        match expr {
            Some(Expr::Bit(0)) => Some(watch),
            Some(_) => {
                self.error("root_condition", format!("{} does not ask about one span, or asks what it is not", condition.name()));
                None
            }
            None => None,
        }
    }

    fn policy(&mut self, policy: &Policy, path: &str, depth: usize) -> Option<(Expr, Method)> {
        let (when, sample) = self.parts(policy, path, depth)?;
        let sample = sample.unwrap_or(Sample::Keep(Default::default()));
        let sampler_path = match policy.form {
            Form::Native(..) => format!("{path}.sample"),
            Form::And(_) => format!("{path}.and"),
            _ => format!("{path}.{}", sample.name()),
        };
        let method = self.take(&sampler_path, sample.compile(self.precision));
        if when.impossible() {
            self.error(path, format!("\"{}\" contradicts itself, so nothing matches", policy.name));
        }
        Some((when, method?))
    }

    /// Each sub-policy under its part of the budget, and only for what those before it did not match.
    fn composite(&mut self, policy: &Policy, composite: &Composite, path: &str) -> Vec<Part> {
        let subs = &composite.composite_sub_policy;
        let total = composite.max_total_spans_per_second;
        if Limit::spans(total).is_none() {
            self.error(&format!("{path}.max_total_spans_per_second"), format!("{total} is not above 0 and below a trillion"));
        }
        for name in composite.policy_order.iter().chain(composite.rate_allocation.iter().map(|part| &part.policy)) {
            if !subs.iter().any(|sub| sub.name == *name) {
                self.error(path, format!("names \"{name}\", which is not among its composite_sub_policy"));
            }
        }
        if subs.is_empty() {
            self.error(&format!("{path}.composite_sub_policy"), format!("is empty, so \"{}\" keeps nothing", policy.name));
        }
        let (mut out, mut before): (Vec<Part>, Vec<Expr>) = (Vec::new(), Vec::new());
        let asked = |name: &str| composite.policy_order.is_empty() || composite.policy_order.iter().any(|n| n == name);
        let ordered: Vec<(usize, &Policy)> = match composite.policy_order.is_empty() {
            true => subs.iter().enumerate().collect(),
            false => composite.policy_order.iter().filter_map(|name| subs.iter().enumerate().find(|(_, sub)| sub.name == *name)).collect(),
        };
        for sub in subs.iter().filter(|sub| !asked(&sub.name)) {
            self.notes.push(format!("policy \"{}\": \"{}\" is not in its policy_order, so it is never asked", policy.name, sub.name));
        }
        for (number, sub) in ordered {
            let path = format!("{path}.composite_sub_policy[{number}]");
            let Some((when, method)) = self.policy(sub, &path, 1) else { continue };
            let percent = composite.rate_allocation.iter().find(|part| part.policy == sub.name).map_or(0.0, |part| part.percent);
            if !(0.0..=100.0).contains(&percent) {
                self.error(&path, format!("has {percent} percent of the budget, which is not between 0 and 100"));
            }
            let rate = if percent > 0.0 { total * percent / 100.0 } else { total / subs.len().max(1) as f64 };
            let Some(limit) = Limit::spans(rate) else { continue };
            let method = match method {
                Method::Keep(within) => Method::Budget(Limit { within, ..limit }),
                Method::Budget(own) if own.unit == Unit::Spans => Method::Budget(limit.tighter(own)),
                _ => {
                    self.error(
                        &path,
                        format!("\"{}\" cannot share a budget of spans: only conditions, probabilistic and rate_limiting can", sub.name),
                    );
                    continue;
                }
            };
            let mine = Expr::all(before.iter().cloned().map(Expr::not).chain([when.clone()]).collect());
            if mine.impossible() {
                self.error(&path, format!("\"{}\" can never be reached, because those before it take every trace", sub.name));
            }
            // One that keeps a share leaves the rest to those after it.
            if matches!(method, Method::Budget(Limit { within: Threshold::ALL, .. })) {
                before.push(when);
            }
            out.push((format!("{}/{}", policy.name, sub.name), mine, method));
        }
        out
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
            Form::Sampler(_) => Some((Expr::True, policy.form.sampler())),
            Form::Composite(_) => {
                self.error(path, format!("\"{}\" is composite, which cannot be part of another policy", policy.name));
                None
            }
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
            Test::Redacted { types, min } => {
                let place = self.redacted.iter().position(|known| *known == types).unwrap_or(self.redacted.len());
                if place == self.redacted.len() {
                    self.redacted.push(types);
                }
                if place >= REDACTED {
                    self.error(path, format!("asks for other types than those before it; {REDACTED} lists of types are told apart"));
                }
                Some(Expr::Trace(Arc::new(Hits { min, place })))
            }
            Test::Rare { keys, first, per } => {
                // Asked twice it is one question: it has one record, in which a trace counts once.
                if let Some(same) = self.rares.iter().find(|rare| rare.keys == keys && rare.first == first && rare.per == per) {
                    return Some(Expr::Bit(same.bit));
                }
                let number = u16::try_from(self.rares.len()).ok()?;
                let bit = self.watch.bit(Rule::Later(number))?;
                self.rares.push(Rare::new(keys, first, per, bit));
                Some(Expr::Bit(bit))
            }
            Test::Ottl { spans, events } => {
                let trees = spans.iter().map(|node| self.watch.tree(node)).collect::<Option<Vec<_>>>();
                let rule = trees.filter(|trees| !trees.is_empty()).map(|trees| Rule::Tree(Tree::Any(trees)));
                let rules = rule.into_iter().chain(events.into_iter().map(Rule::Event));
                // Any of them: not none of them.
                let none: Option<Vec<Expr>> = rules.map(|rule| Some(Expr::Bit(self.watch.bit(rule)?).not())).collect();
                let mut none = none?;
                Some(if none.len() == 1 { none.remove(0).not() } else { Expr::all(none).not() })
            }
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
                Scope::SameSpan | Scope::Root | Scope::Trace if matches!(test, Test::Ottl { .. }) => {
                    self.error(&path, "ottl_condition asks one span by itself; it belongs under scope any_span");
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
