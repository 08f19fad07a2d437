//! Exact counters of calls, tokens and money, taken before any trace is dropped.
//!
//! Labels are names that senders chose. They pass the redactor first, are cut to a sane length, and only so many different
//! ones get a series of their own; the rest is counted as `_other`, because a metric must not grow with the traffic.

use crate::enrich::call::{CostSource, LlmFacts, Skip};
use crate::enrich::config::GenAiMetrics;
use crate::enrich::conventions::{Conventions, Labels};
use crate::enrich::facts::SpanFacts;
use crate::enrich::price::SkipReason;
use crate::enrich::roles::Role;
use crate::telemetry::metrics::{Metrics, MoneyCounter};
use ahash::RandomState;
use metrics::{Counter, Histogram};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use tracing::warn;

/// Takes private data out of a name before it becomes a label.
pub type LabelFilter = Arc<dyn for<'a> Fn(&'a str) -> Cow<'a, str> + Send + Sync>;

/// Different combinations of service, provider and model with series of their own, over all shards.
const MAX_MODELS: usize = 1000;

/// Different values that one sender may invent for something that has a list, before the rest counts as `_other`.
const MAX_WORDS: usize = 50;

/// Pairs of provider and model without a price that are listed by name.
const MAX_UNPRICED: usize = 100;

/// Handles one shard keeps. Past it, names are looked up each time, which only hostile traffic does.
const MAX_KEPT: usize = 8192;

/// Longest label; the longest model ids (Bedrock ARNs) come close.
const MAX_LABEL: usize = 128;

/// The name under which everything is counted that there is no room for by its own.
pub const OTHER: &str = "_other";

/// Names that have series of their own. Shared by all shards.
#[derive(Debug, Default)]
pub(crate) struct Names {
    models: Mutex<HashSet<String>>,
    unpriced: Mutex<HashSet<String>>,
    conventions: Mutex<HashSet<String>>,
    finish_reasons: Mutex<HashSet<String>>,
}

/// Whether a name has a series of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Admitted {
    /// It has.
    Known,
    /// It just got one.
    New,
    /// There are too many; it counts under `_other`. True for the first that does.
    Folded(bool),
}

impl Names {
    /// Gives a name a series of its own while there is room.
    fn admit(set: &Mutex<HashSet<String>>, limit: usize, name: String) -> Admitted {
        let mut set = set.lock().unwrap_or_else(PoisonError::into_inner);
        if set.contains(&name) {
            return Admitted::Known;
        }
        if set.len() < limit {
            set.insert(name);
            return Admitted::New;
        }
        // One more entry, which no name can be, remembers that it was said.
        Admitted::Folded(set.insert(OTHER.to_owned()))
    }
}

/// Provider and model a call is counted under: those of its price where there is one, so that a model under many dates is one.
pub fn names<'a>(facts: &LlmFacts<'a>) -> (&'a str, &'a str) {
    let (provider, model) = (facts.provider.unwrap_or("unknown"), facts.model().unwrap_or("unknown"));
    facts.billed.unwrap_or((provider, model))
}

/// A name fit for a label: without private data, control characters and what is past a sane length.
pub fn label(filter: &LabelFilter, name: &str) -> String {
    let end = (0..=MAX_LABEL.min(name.len())).rev().find(|at| name.is_char_boundary(*at)).unwrap_or(0);
    let cut = name.get(..end).unwrap_or_default();
    // Redacted whole first: half a secret is not recognised as one.
    let whole = filter(name);
    let shown = if whole == name { cut } else { whole.as_ref() };
    shown.chars().filter(|c| !c.is_control()).take(MAX_LABEL).collect()
}

/// The counters of one shard.
pub(crate) struct Meters {
    metrics: Metrics,
    names: Arc<Names>,
    filter: LabelFilter,
    hasher: RandomState,
    models: HashMap<u64, Arc<Model>, RandomState>,
    unpriced: HashMap<u64, Counter, RandomState>,
    rare: HashMap<(&'static str, &'static str), Counter, RandomState>,
    conventions: Conventions,
}

impl fmt::Debug for Meters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meters").field("models", &self.models.len()).finish_non_exhaustive()
    }
}

/// The handles of one combination of service, provider and model.
struct Model {
    service: String,
    provider: String,
    model: String,
    ok: Counter,
    failed: Counter,
    input_uncached: Counter,
    cache_read: Counter,
    cache_write: Counter,
    output: Counter,
    reasoning: Counter,
    cost: MoneyCounter,
    truncated: Counter,
    duration: Histogram,
    first_token: Histogram,
    errors: Mutex<HashMap<(&'static str, &'static str), Counter, RandomState>>,
}

impl Meters {
    /// Counters in a registry.
    pub(crate) fn new(metrics: &Metrics, names: Arc<Names>, filter: LabelFilter) -> Meters {
        Meters {
            metrics: metrics.clone(),
            names,
            filter,
            hasher: RandomState::new(),
            models: HashMap::default(),
            unpriced: HashMap::default(),
            rare: HashMap::default(),
            conventions: Conventions::new(metrics),
        }
    }

    /// Makes the metrics of the conventions, or none of them, from now on.
    pub(crate) fn switch(&mut self, mode: GenAiMetrics) {
        self.conventions.switch(mode);
    }

    /// Records a span in the metrics of the conventions. `client` tells whether it calls somebody else.
    pub(crate) fn conventions(&mut self, facts: &LlmFacts<'_>, span: &SpanFacts, client: bool) {
        if !self.conventions.wants(facts, client) {
            return;
        }
        let label = |name: Option<&str>| name.map(|name| self.label(name)).unwrap_or_default();
        let labels = Labels {
            service: label(Some(facts.service)),
            operation: label(Some(&facts.operation())),
            provider: label(facts.provider),
            request_model: label(facts.request_model),
            response_model: label(facts.response_model),
        };
        let Labels { service, operation, provider, request_model, response_model } = &labels;
        let name = format!("{service}\0{operation}\0{provider}\0{request_model}\0{response_model}");
        let admitted = Names::admit(&self.names.conventions, MAX_MODELS, name);
        let other = || OTHER.to_owned();
        let labels = match admitted {
            Admitted::Folded(_) => {
                Labels { service: other(), operation: other(), provider: other(), request_model: other(), response_model: other() }
            }
            _ => labels,
        };
        self.say(admitted, "gen_ai");
        self.conventions.record(facts, span, &labels);
    }

    /// Counts a finish reason that no table knows, by its own word.
    pub(crate) fn unknown_finish(&mut self, word: &str) {
        let mut word = self.label(word);
        let admitted = Names::admit(&self.names.finish_reasons, MAX_WORDS, word.clone());
        self.say(admitted, "finish_reasons");
        if matches!(admitted, Admitted::Folded(_)) {
            OTHER.clone_into(&mut word);
        }
        let help = "Finish reasons that no table knows";
        self.metrics.counter("tollgate_enrich_unknown_finish_reasons_total", help, &[("value", &word)]).increment(1);
    }

    /// Counts what is folded, and says so once.
    fn say(&mut self, admitted: Admitted, set: &'static str) {
        let Admitted::Folded(first) = admitted else { return };
        let help = "Names that found no series of their own and count under _other";
        self.rare("tollgate_enrich_folded_total", help, "set", set);
        if first {
            warn!(set, "too many different names for metrics; new ones are counted as _other");
        }
    }

    /// Counts one call.
    pub(crate) fn call(&mut self, facts: &LlmFacts<'_>, span: &SpanFacts) {
        let (provider, model) = names(facts);
        let handles = self.model(facts.service, provider, model);
        if span.error.is_some() {
            handles.failed.increment(1)
        } else {
            handles.ok.increment(1)
        }
        if let Some(error) = &facts.error {
            handles.error(&self.metrics, error.class.as_str(), error.reason.as_str()).increment(1);
        }
        if facts.truncated == Some(true) {
            handles.truncated.increment(1);
        }
        handles.duration.record(span.end.saturating_sub(span.start) as f64 / 1e9);
        if let Some(seconds) = facts.time_to_first_token {
            handles.first_token.record(seconds);
        }
        if facts.role != Some(Role::Owner) {
            return;
        }
        if let Some(usage) = &facts.usage {
            for (counter, count) in [
                (&handles.input_uncached, usage.input_uncached),
                (&handles.cache_read, usage.cache_read),
                (&handles.cache_write, usage.cache_write()),
                (&handles.output, usage.output),
                (&handles.reasoning, usage.reasoning.unwrap_or(0)),
            ] {
                if count > 0 {
                    counter.increment(count);
                }
            }
        }
        if let Some(cost) = &facts.cost {
            handles.cost.add(cost.total);
            if let CostSource::Computed { flags, .. } = cost.source {
                for flag in flags.names() {
                    self.rare("tollgate_enrich_cost_flags_total", "Costs that rest on an assumption, by what it is", "flag", flag);
                }
            }
        }
        if let (Some(Skip::Price(reason)), None) = (facts.skip_reason, &facts.cost) {
            self.unpriced(provider, model, reason);
        }
    }

    /// Counts something rare under one label of a closed set.
    pub(crate) fn rare(&mut self, name: &'static str, help: &'static str, label: &'static str, value: &'static str) {
        let metrics = &self.metrics;
        self.rare.entry((name, value)).or_insert_with(|| metrics.counter(name, help, &[(label, value)])).increment(1);
    }

    /// Counts something rare without a label.
    pub(crate) fn count(&mut self, name: &'static str, help: &'static str, by: u64) {
        let metrics = &self.metrics;
        self.rare.entry((name, "")).or_insert_with(|| metrics.counter(name, help, &[])).increment(by);
    }

    fn model(&mut self, service: &str, provider: &str, model: &str) -> Arc<Model> {
        let hash = self.hasher.hash_one((service, provider, model));
        if let Some(kept) = self.models.get(&hash) {
            return Arc::clone(kept);
        }
        let (service, provider, model) = (self.label(service), self.label(provider), self.label(model));
        let name = format!("{service}\0{provider}\0{model}");
        let admitted = Names::admit(&self.names.models, MAX_MODELS, name);
        self.say(admitted, "models");
        let made = match admitted {
            Admitted::Folded(_) => Model::new(&self.metrics, OTHER.to_owned(), OTHER.to_owned(), OTHER.to_owned()),
            Admitted::Known | Admitted::New => Model::new(&self.metrics, service, provider, model),
        };
        let made = Arc::new(made);
        if self.models.len() < MAX_KEPT {
            self.models.insert(hash, Arc::clone(&made));
        }
        made
    }

    fn unpriced(&mut self, provider: &str, model: &str, reason: SkipReason) {
        let hash = self.hasher.hash_one((provider, model, reason));
        if let Some(counter) = self.unpriced.get(&hash) {
            return counter.increment(1);
        }
        let (provider, model) = (self.label(provider), self.label(model));
        let admitted = Names::admit(&self.names.unpriced, MAX_UNPRICED, format!("{provider}\0{model}"));
        self.say(admitted, "unpriced");
        if admitted == Admitted::New {
            let reason_name = reason.name();
            match reason.remedy(&provider, &model) {
                Some(line) => warn!(provider, model, reason = reason_name, "no price; this would set one, under processors.enrich: {line}"),
                None if matches!(reason, SkipReason::NoProvider | SkipReason::NoPriceAtTime) => {
                    warn!(provider, model, reason = reason_name, "no price");
                }
                // Calls without usage say nothing about the table.
                None => {}
            }
        }
        let (provider, model) = if matches!(admitted, Admitted::Folded(_)) { (OTHER, OTHER) } else { (provider.as_str(), model.as_str()) };
        let labels = [("provider", provider), ("model", model), ("reason", reason.name())];
        let counter = self.metrics.counter("tollgate_llm_unpriced_calls_total", "Calls without a cost, by the reason", &labels);
        counter.increment(1);
        if self.unpriced.len() < MAX_KEPT {
            self.unpriced.insert(hash, counter);
        }
    }

    fn label(&self, name: &str) -> String {
        label(&self.filter, name)
    }
}

impl Model {
    fn new(metrics: &Metrics, service: String, provider: String, model: String) -> Model {
        let labels = [("service", service.as_str()), ("provider", provider.as_str()), ("model", model.as_str())];
        let short = [("provider", provider.as_str()), ("model", model.as_str())];
        let with = |key, value| [labels[0], labels[1], labels[2], (key, value)];
        let call = |outcome| metrics.counter("tollgate_llm_calls_total", "Model calls, each counted once", &with("outcome", outcome));
        let tokens = |kind| metrics.counter("tollgate_llm_tokens_total", "Tokens of counted calls, in disjoint kinds", &with("kind", kind));
        Model {
            ok: call("ok"),
            failed: call("error"),
            input_uncached: tokens("input_uncached"),
            cache_read: tokens("cache_read"),
            cache_write: tokens("cache_write"),
            output: tokens("output"),
            reasoning: metrics.counter(
                "tollgate_llm_reasoning_tokens_total",
                "Output tokens spent on reasoning, a part of the output",
                &labels,
            ),
            cost: metrics.money("tollgate_llm_cost_usd_total", "Cost of counted calls in US dollars, exact", &labels),
            truncated: metrics.counter("tollgate_llm_truncated_total", "Answers cut off by a token limit", &labels),
            duration: metrics.histogram("tollgate_llm_duration_seconds", "How long calls took", &short),
            first_token: metrics.histogram("tollgate_llm_time_to_first_token_seconds", "Time until the first token", &short),
            errors: Mutex::default(),
            service,
            provider,
            model,
        }
    }

    fn error(&self, metrics: &Metrics, class: &'static str, reason: &'static str) -> Counter {
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        let labels = || {
            let labels = [("service", self.service.as_str()), ("provider", self.provider.as_str()), ("model", self.model.as_str())];
            [labels[0], labels[1], labels[2], ("class", class), ("reason", reason)]
        };
        errors
            .entry((class, reason))
            .or_insert_with(|| metrics.counter("tollgate_llm_errors_total", "Failed calls, by class and reason", &labels()))
            .clone()
    }
}
