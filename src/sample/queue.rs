//! Traces that a budget decides about, together.
//!
//! What is due in one tick is put in order of its randomness and each budget is spent from the top. The randomness of the first trace that
//! does not fit is the threshold of the tick: a probability that was really applied, the same for all of them.
//!
//! A budget that cannot pay for the largest trace that waits would leave that one no chance, and counts of what is kept would no longer
//! add up to what there was. So the tick is put off until it can, for a while.

use crate::sample::deadlines::{Key, NEVER, Time};
use crate::sample::held::Held;
use crate::sample::learned::{Asked, spend};
use crate::sample::outcome::{Outcome, Trigger};
use crate::sample::policies::{Given, Policies, Rules};
use crate::sample::sampler::{Sampler, nanos};
use crate::sample::samplers::{Limit, Method, Unit};
use crate::sample::threshold::Threshold;
use crate::sample::trace::{State, Trace};
use std::sync::Arc;

/// A tick is put off no longer than this, in nanoseconds: a debt of minutes is not waited for in memory.
const PATIENCE: Time = 5_000_000_000;

/// The traces of the next tick.
#[derive(Debug)]
pub(super) struct Queue {
    traces: Vec<(Key, Trigger)>,
    pub(super) due: Time,
    since: Time,
}

impl Default for Queue {
    fn default() -> Queue {
        Queue { traces: Vec::new(), due: NEVER, since: 0 }
    }
}

/// One trace of a tick.
struct Entry {
    key: Key,
    trigger: Trigger,
    live: Claim,
    shadow: Claim,
}

/// What one list of policies asks of the budgets for a trace.
#[derive(Default)]
struct Claim {
    /// Thresholds that are known.
    given: Given,
    /// The places of the budgets it is asked about.
    budgets: Vec<usize>,
    /// The threshold without them.
    base: Option<Threshold>,
}

impl<S: Held> Sampler<S> {
    /// Whether a pending trace has to wait for a budget, and does so from now on.
    pub(super) fn waits_for_budget(&mut self, key: Key, trigger: Trigger, out: &mut Outcome<S>) -> bool {
        let policies = Arc::clone(&self.policies);
        let shadow = policies.shadow.as_ref();
        if !policies.live.budgets && shadow.is_none_or(|shadow| !shadow.budgets) {
            return false;
        }
        if self.traces.get(key).is_some_and(|trace| trace.queued) {
            // It is past a limit and goes on growing.
            if matches!(trigger, Trigger::SpanLimit | Trigger::SizeLimit) {
                self.spend_budgets(true, out);
            }
            return true;
        }
        let Some(trace) = self.traces.get(key) else { return false };
        let evidence = self.evidence(trace);
        let asks = |rules: &Rules| !policies.budgets_for(rules, &evidence).is_empty();
        if !asks(&policies.live) && !shadow.is_some_and(asks) {
            return false;
        }
        let interval = nanos(policies.config.decision_interval);
        if self.queue.due == NEVER {
            // At the same moments of every run, whenever the first trace came.
            self.queue.due = self.now.checked_div(interval).map_or(self.now, |tick| (tick + 1).saturating_mul(interval));
            self.queue.since = self.now;
        }
        self.queue.traces.push((key, trigger));
        if let Some(trace) = self.traces.get_mut(key) {
            trace.queued = true;
        }
        let full = self.queue.traces.len() as u64 > (policies.config.num_traces / self.shards / 4).max(1024);
        if full || interval == 0 {
            self.spend_budgets(full, out);
        }
        true
    }

    /// Decides about everything that waits for a budget. `now`: even where a budget cannot pay for the largest.
    pub(super) fn spend_budgets(&mut self, now: bool, out: &mut Outcome<S>) {
        if self.queue.due == NEVER {
            return;
        }
        let policies = Arc::clone(&self.policies);
        let traces = std::mem::take(&mut self.queue.traces);
        let mut entries: Vec<Entry> = Vec::with_capacity(traces.len());
        for (key, trigger) in traces {
            // Some were kept early, or have gone, since.
            if self.traces.get(key).is_some_and(|trace| trace.queued && trace.state == State::Pending) {
                let live = self.claim(key, &policies.live, &policies);
                let shadow = policies.shadow.as_ref().map(|rules| self.claim(key, rules, &policies)).unwrap_or_default();
                entries.push(Entry { key, trigger, live, shadow });
            }
        }
        let patient = !now && self.now.saturating_sub(self.queue.since) < PATIENCE && nanos(policies.config.decision_interval) > 0;
        if patient && !self.can_pay(&policies.live, &entries) {
            self.queue.due = self.now.saturating_add(nanos(policies.config.decision_interval));
            self.queue.traces = entries.into_iter().map(|entry| (entry.key, entry.trigger)).collect();
            return;
        }
        self.queue.due = NEVER;
        let adaptive = |rules: &Rules| rules.adaptive;
        for entry in &mut entries {
            // Only now are they counted: a tick that is put off asks again.
            if adaptive(&policies.live) {
                entry.live.given = self.learn(entry.key, &policies.live);
                entry.live.base = self.base(entry.key, &policies.live, &entry.live.given);
            }
            if let Some(rules) = policies.shadow.as_ref().filter(|rules| adaptive(rules)) {
                entry.shadow.given = self.learn(entry.key, rules);
                entry.shadow.base = self.base(entry.key, rules, &entry.shadow.given);
            }
        }
        self.spend(&policies.live, &mut entries, |entry| &mut entry.live);
        if let Some(rules) = &policies.shadow {
            self.spend(rules, &mut entries, |entry| &mut entry.shadow);
        }
        for Entry { key, trigger, live, shadow } in entries {
            if let Some(trace) = self.traces.get_mut(key) {
                trace.queued = false;
            }
            self.conclude(key, trigger, &live.given, &shadow.given, out);
        }
    }

    fn claim(&self, key: Key, rules: &Rules, policies: &Policies) -> Claim {
        let Some(trace) = self.traces.get(key) else { return Claim::default() };
        let evidence = self.evidence(trace);
        let base = policies.base(rules, &evidence, &Given::new());
        Claim { given: Given::new(), budgets: policies.budgets_for(rules, &evidence), base: Some(base) }
    }

    fn base(&self, key: Key, rules: &Rules, given: &Given) -> Option<Threshold> {
        self.traces.get(key).map(|trace| self.policies.base(rules, &self.evidence(trace), given))
    }

    /// Whether each budget can pay for the largest trace it is asked about.
    fn can_pay(&mut self, rules: &Rules, entries: &[Entry]) -> bool {
        rules.list.iter().enumerate().all(|(at, rule)| {
            let Method::Budget(limit) = rule.method else { return true };
            let asked = entries.iter().filter(|entry| entry.live.budgets.contains(&at));
            let largest = asked.filter_map(|entry| self.traces.get(entry.key)).map(|trace| cost(trace, limit)).max();
            let bucket = self.learned.bucket(&rule.key, limit, self.shards, self.now);
            largest.is_none_or(|largest| bucket.needed(largest) <= bucket.level())
        })
    }

    /// Spends the budgets of one list, in its order; each trace gets the thresholds of those it asked.
    fn spend(&mut self, rules: &Rules, entries: &mut [Entry], claim: impl Fn(&mut Entry) -> &mut Claim) {
        for (at, rule) in rules.list.iter().enumerate() {
            let Method::Budget(limit) = rule.method else { continue };
            let mut asked = Vec::new();
            for (place, entry) in entries.iter_mut().enumerate() {
                let key = entry.key;
                let claim = claim(entry);
                if !claim.budgets.contains(&at) {
                    continue;
                }
                let Some(trace) = self.traces.get(key) else { continue };
                let (randomness, id) = (trace.randomness(), u128::from_be_bytes(*trace.id.bytes()));
                let free = claim.base.is_some_and(|base| base.keeps(randomness));
                asked.push(Asked { at: place, randomness, id, cost: cost(trace, limit), free });
            }
            if asked.is_empty() {
                continue;
            }
            let bucket = self.learned.bucket(&rule.key, limit, self.shards, self.now);
            let threshold = spend(bucket, &mut asked).max(limit.within);
            for one in asked {
                if let Some(entry) = entries.get_mut(one.at) {
                    let claim = claim(entry);
                    claim.given.push((at, threshold));
                    claim.base = claim.base.map(|base| base.min(threshold)).or(Some(threshold));
                }
            }
        }
    }
}

/// What a trace costs a budget, in parts of its unit.
fn cost(trace: &Trace, limit: Limit) -> u64 {
    let parts = limit.unit.parts();
    match limit.unit {
        Unit::Traces => parts,
        Unit::Spans => trace.totals.spans.saturating_mul(parts),
        Unit::Bytes => trace.bytes.saturating_mul(parts),
        Unit::Usd => u64::try_from(trace.totals.cost.pico().max(0)).unwrap_or(u64::MAX),
    }
}
