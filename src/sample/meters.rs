//! The metrics of sampling, under `tollgate_sampling_`.
//!
//! They are fed from what the sampler wrote down, once a batch. A label is a word of ours or the name of a policy; nothing a sender chose
//! becomes one.

use crate::sample::config::KeepClass;
use crate::sample::limits::Status;
use crate::sample::outcome::{Decided, Decision, Outcome, Reason, Trigger};
use crate::sample::policies::Policies;
use crate::telemetry::metrics::{Metrics, MoneyCounter};
use ahash::RandomState;
use metrics::{Counter, Gauge, Histogram};
use std::collections::HashMap;
use std::sync::Arc;

/// Handles of one shard. Shards share the series; gauges are summed by [`Meters::status`] over all of them.
#[derive(Debug)]
pub struct Meters {
    registry: Metrics,
    policies: HashMap<Arc<str>, ByPolicy, RandomState>,
    triggers: Vec<Counter>,
    by_decision: Vec<ByDecision>,
    late: [Counter; 6],
    late_age: Histogram,
    keep_class_lost: Counter,
    inconsistent_randomness: Counter,
    inconsistent_threshold: Counter,
    unparseable_tracestate: Counter,
    unsampled_spans: Counter,
    overload: [Counter; 2],
    capped: Counter,
    grouping_skipped: Counter,
    limited: [Counter; 2],
    shadow: HashMap<(Arc<str>, Decision, Decision), Counter, RandomState>,
    repeated: Repeated,
    gauges: Gauges,
    last: Status,
}

struct Repeated {
    tool_loops: Counter,
    retries: Counter,
    recovered: Counter,
    exhausted: Counter,
    failed_cost: MoneyCounter,
}

struct ByPolicy {
    matches: Counter,
    adjusted: Histogram,
    overridden: Counter,
    /// By decision and reason.
    decided: HashMap<(Decision, Reason), Sums>,
}

struct Sums {
    traces: Counter,
    spans: Counter,
    bytes: Counter,
}

struct ByDecision {
    spans: Histogram,
    bytes: Histogram,
    wait: Histogram,
}

struct Gauges {
    pending: Gauge,
    open: Gauge,
    buffered: Gauge,
    hold: Gauge,
    pressure: Gauge,
    kept: Gauge,
    dropped: Gauge,
    kept_premature: Counter,
    dropped_premature: Counter,
}

impl std::fmt::Debug for ByPolicy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ByPolicy")
    }
}

impl std::fmt::Debug for Repeated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Repeated")
    }
}

impl std::fmt::Debug for ByDecision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ByDecision")
    }
}

impl std::fmt::Debug for Gauges {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Gauges")
    }
}

impl Meters {
    /// Handles for these policies.
    pub fn new(registry: &Metrics, policies: &Policies) -> Meters {
        let counter = |name, help| registry.counter(name, help, &[]);
        let late = ["forwarded", "dropped", "held", "resurrected", "partial", "reopened"].map(|outcome| {
            registry.counter("tollgate_sampling_late_spans_total", "Spans that came after the decision", &[("outcome", outcome)])
        });
        let mut meters = Meters {
            registry: registry.clone(),
            policies: HashMap::default(),
            triggers: Trigger::ALL
                .iter()
                .map(|trigger| {
                    let labels = [("trigger", trigger.as_str())];
                    registry.counter("tollgate_sampling_decision_triggers_total", "Decisions by what ended the wait", &labels)
                })
                .collect(),
            by_decision: Decision::ALL.iter().map(|&decision| ByDecision::new(registry, decision)).collect(),
            late,
            late_age: registry.histogram("tollgate_sampling_late_span_age_seconds", "How long after the decision late spans came", &[]),
            keep_class_lost: registry.counter(
                "tollgate_sampling_keep_class_lost_spans_total",
                "Errors and truncated answers that were not forwarded",
                &[("reason", "late")],
            ),
            inconsistent_randomness: counter(
                "tollgate_sampling_inconsistent_randomness_total",
                "Traces whose spans name different randomness",
            ),
            inconsistent_threshold: counter(
                "tollgate_sampling_inconsistent_threshold_total",
                "Spans whose threshold contradicts their randomness",
            ),
            unparseable_tracestate: counter("tollgate_sampling_unparseable_tracestate_total", "Spans whose tracestate does not parse"),
            unsampled_spans: counter("tollgate_sampling_unsampled_spans_total", "Spans without a trace id, passed on unsampled"),
            overload: ["keep", "drop"].map(|decision| {
                let name = "tollgate_sampling_overload_spans_total";
                registry.counter(name, "Spans judged by themselves, as memory was all but full", &[("decision", decision)])
            }),
            capped: counter("tollgate_sampling_capped_spans_total", "Spans dropped as too much of their kept trace was forwarded before"),
            grouping_skipped: counter(
                "tollgate_sampling_grouping_skipped_total",
                "Traces that were to be grouped and had been sampled by their id before",
            ),
            limited: KeepClass::ALL.map(|class| {
                registry.counter(
                    "tollgate_sampling_keep_class_limited_traces_total",
                    "Traces with an error or a truncated answer past the limit of their class, decided like any other",
                    &[("class", class.as_str())],
                )
            }),
            shadow: HashMap::default(),
            repeated: Repeated::new(registry),
            gauges: Gauges::new(registry),
            last: Status::default(),
        };
        meters.reload(policies);
        meters
    }

    /// Adds the names of other policies; those that are gone keep their series.
    pub fn reload(&mut self, policies: &Policies) {
        for name in policies.names() {
            self.policy(name);
        }
    }

    /// Counts what one step did.
    pub fn record<S>(&mut self, outcome: &Outcome<S>) {
        outcome.decisions.iter().for_each(|decided| self.decided(decided));
        let late = outcome.late;
        let counts = [late.forwarded, late.dropped, late.held, late.resurrected, late.partial, late.reopened];
        for (counter, count) in self.late.iter().zip(counts) {
            add(counter, count);
        }
        outcome.late_ages.iter().for_each(|age| self.late_age.record(age.as_secs_f64()));
        add(&self.keep_class_lost, outcome.keep_class_lost);
        add(&self.inconsistent_randomness, outcome.inconsistent_randomness);
        add(&self.inconsistent_threshold, outcome.inconsistent_threshold);
        add(&self.unparseable_tracestate, outcome.unparseable_tracestate);
        add(&self.unsampled_spans, outcome.unsampled_spans);
        for (counter, count) in self.overload.iter().zip([outcome.overload.kept, outcome.overload.dropped]) {
            add(counter, count);
        }
        add(&self.capped, outcome.capped_spans);
        add(&self.grouping_skipped, outcome.grouping_skipped);
        for (counter, count) in self.limited.iter().zip(outcome.limited) {
            add(counter, count);
        }
        for name in &outcome.overridden {
            self.policy(name).overridden.increment(1);
        }
    }

    /// Counts tracestates that [`crate::sample::Stamp::write`] had to leave alone.
    pub fn tracestates_left(&self, count: u64) {
        add(&self.unparseable_tracestate, count);
    }

    /// Brings the gauges up to date with one shard's sampler. Each shard moves them by what changed with it.
    pub fn status(&mut self, now: Status) {
        let last = std::mem::replace(&mut self.last, now);
        let gauges = &self.gauges;
        for (gauge, before, after) in [
            (&gauges.pending, last.traces_pending, now.traces_pending),
            (&gauges.open, last.open_records, now.open_records),
            (&gauges.buffered, last.buffered_bytes, now.buffered_bytes),
            (&gauges.hold, last.drop_hold_bytes, now.drop_hold_bytes),
            (&gauges.kept, last.kept_entries, now.kept_entries),
            (&gauges.dropped, last.dropped_entries, now.dropped_entries),
        ] {
            gauge.increment(after as f64 - before as f64);
        }
        let (repeats, repeated) = (now.repeats, &self.repeated);
        add(&repeated.tool_loops, repeats.tool_loops.saturating_sub(last.repeats.tool_loops));
        add(&repeated.retries, repeats.retries.saturating_sub(last.repeats.retries));
        add(&repeated.recovered, repeats.recovered.saturating_sub(last.repeats.recovered));
        add(&repeated.exhausted, repeats.exhausted.saturating_sub(last.repeats.exhausted));
        if repeats.failed_cost != last.repeats.failed_cost {
            repeated.failed_cost.add(repeats.failed_cost - last.repeats.failed_cost);
        }
        gauges.pressure.set(f64::from(now.pressure as u8));
        add(&gauges.kept_premature, now.kept_premature.saturating_sub(last.kept_premature));
        add(&gauges.dropped_premature, now.dropped_premature.saturating_sub(last.dropped_premature));
    }

    fn decided(&mut self, decided: &Decided) {
        if let Some((counter, _)) = self.triggers.iter().zip(Trigger::ALL).find(|(_, trigger)| **trigger == decided.trigger) {
            counter.increment(1);
        }
        if let Some((by, _)) = self.by_decision.iter().zip(Decision::ALL).find(|(_, decision)| **decision == decided.decision) {
            by.spans.record(decided.spans as f64);
            by.bytes.record(decided.bytes as f64);
            by.wait.record(decided.wait.as_secs_f64());
        }
        for vote in decided.matched.iter() {
            self.policy(&vote.policy).matches.increment(1);
        }
        if let Some(shadow) = &decided.circumstances.shadow {
            let (registry, enforced) = (&self.registry, decided.decision);
            let counter = self.shadow.entry((Arc::clone(&shadow.policy), enforced, shadow.decision)).or_insert_with(|| {
                let labels = [("policy", &*shadow.policy), ("enforced", enforced.as_str()), ("shadow", shadow.decision.as_str())];
                registry.counter("tollgate_sampling_shadow_decisions_total", "What was decided, and what the shadow policies say", &labels)
            });
            counter.increment(1);
        }
        let (decision, reason) = (decided.decision, decided.reason);
        let registry = self.registry.clone();
        let policy = self.policy(&decided.policy);
        if let Some(count) = decided.adjusted_count.filter(|_| decision == Decision::Keep) {
            policy.adjusted.record(count);
        }
        let sums = policy.decided.entry((decision, reason)).or_insert_with(|| Sums::new(&registry, &decided.policy, decision, reason));
        sums.traces.increment(1);
        sums.spans.increment(decided.spans);
        sums.bytes.increment(decided.bytes);
    }

    fn policy(&mut self, name: &Arc<str>) -> &mut ByPolicy {
        let registry = &self.registry;
        self.policies.entry(Arc::clone(name)).or_insert_with(|| ByPolicy::new(registry, name))
    }
}

fn add(counter: &Counter, count: u64) {
    if count > 0 {
        counter.increment(count);
    }
}

impl Repeated {
    fn new(registry: &Metrics) -> Repeated {
        let calls = |outcome| {
            registry.counter(
                "tollgate_sampling_retried_calls_total",
                "Model calls that were tried more than once, by how the last attempt ended",
                &[("outcome", outcome)],
            )
        };
        Repeated {
            tool_loops: registry.counter(
                "tollgate_sampling_tool_loops_total",
                "Traces in which a tool was called three times or more with the same arguments",
                &[],
            ),
            retries: registry.counter("tollgate_sampling_retries_total", "Attempts of model calls behind the first ones", &[]),
            recovered: calls("recovered"),
            exhausted: calls("exhausted"),
            failed_cost: registry.money(
                "tollgate_sampling_failed_attempts_cost_usd_total",
                "Cost of the failed attempts of retried model calls in US dollars, exact",
                &[],
            ),
        }
    }
}

impl ByPolicy {
    fn new(registry: &Metrics, name: &str) -> ByPolicy {
        let labels = [("policy", name)];
        ByPolicy {
            matches: registry.counter(
                "tollgate_sampling_policy_matches_total",
                "Traces a policy matched, also where another one decided",
                &labels,
            ),
            adjusted: registry.histogram("tollgate_sampling_represented_traces", "How many traces one kept trace stands for", &labels),
            overridden: registry.counter(
                "tollgate_sampling_keep_class_overridden_traces_total",
                "Traces with an error or a truncated answer that a policy dropped because it says so",
                &labels,
            ),
            decided: HashMap::new(),
        }
    }
}

impl Sums {
    fn new(registry: &Metrics, policy: &str, decision: Decision, reason: Reason) -> Sums {
        let labels = [("policy", policy), ("decision", decision.as_str()), ("reason", reason.as_str())];
        Sums {
            traces: registry.counter("tollgate_sampling_traces_decided_total", "Decisions", &labels),
            spans: registry.counter("tollgate_sampling_spans_decided_total", "Spans held at their decision", &labels),
            bytes: registry.counter("tollgate_sampling_bytes_decided_total", "Encoded bytes held at their decision", &labels),
        }
    }
}

impl ByDecision {
    fn new(registry: &Metrics, decision: Decision) -> ByDecision {
        let labels = [("decision", decision.as_str())];
        ByDecision {
            spans: registry.histogram("tollgate_sampling_trace_spans", "Spans of a trace at its decision", &labels),
            bytes: registry.histogram("tollgate_sampling_trace_bytes", "Encoded bytes of a trace at its decision", &labels),
            wait: registry.histogram("tollgate_sampling_trace_wait_seconds", "First span to decision", &labels),
        }
    }
}

impl Gauges {
    fn new(registry: &Metrics) -> Gauges {
        let cache = |cache| {
            let entries = registry.gauge("tollgate_sampling_decision_cache_entries", "Remembered decisions", &[("cache", cache)]);
            let premature = registry.counter(
                "tollgate_sampling_decision_cache_premature_evictions_total",
                "Decisions forgotten before their time, for want of room",
                &[("cache", cache)],
            );
            (entries, premature)
        };
        let ((kept, kept_premature), (dropped, dropped_premature)) = (cache("kept"), cache("dropped"));
        Gauges {
            pending: registry.gauge("tollgate_sampling_traces_pending", "Undecided traces", &[]),
            open: registry.gauge("tollgate_sampling_open_records", "Traces kept early whose spans still come", &[]),
            buffered: registry.gauge("tollgate_sampling_buffered_bytes", "Encoded bytes of undecided traces", &[]),
            hold: registry.gauge("tollgate_sampling_drop_hold_bytes", "Encoded bytes of dropped traces that can be brought back", &[]),
            pressure: registry.gauge("tollgate_sampling_pressure_level", "0 normal, 1 soft, 2 evict, 3 hard", &[]),
            kept,
            dropped,
            kept_premature,
            dropped_premature,
        }
    }
}
