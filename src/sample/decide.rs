//! The decision, and what follows from it: a trace leaves, streams, or is held for a while.

use crate::enrich::facts::SpanFacts;
use crate::sample::arena::NOWHERE;
use crate::sample::config::{Carry, Record};
use crate::sample::deadlines::{Key, NEVER};
use crate::sample::expr::Evidence;
use crate::sample::held::Held;
use crate::sample::late::{DropEntry, KeepEntry};
use crate::sample::outcome::{Circumstances, Decided, Decision, Kept, Outcome, Reason, Shadow, Trigger};
use crate::sample::patterns::Patterns;
use crate::sample::policies::{Given, Policies, Verdict};
use crate::sample::sampler::{Sampler, nanos};
use crate::sample::stamp::{Attempts, Context, Detail, Moment, On, Probability, Stamp};
use crate::sample::threshold::Threshold;
use crate::sample::totals::Mark;
use crate::sample::trace::{Standing, State, Trace, number};
use std::sync::Arc;
use std::time::Duration;

/// What the index of a held trace takes, beside its items.
const TRACE_OVERHEAD: u64 = size_of::<Trace>() as u64;

/// The same for each item; a test holds the index to it.
pub(super) const ITEM_OVERHEAD: u64 = 48;

impl<S: Held> Sampler<S> {
    pub(super) fn evidence<'a>(&self, trace: &'a Trace) -> Evidence<'a> {
        let randomness = trace.randomness();
        // A threshold the trace would not have passed was not applied to it.
        let before = if trace.ot.largest <= randomness { trace.ot.largest } else { self.largest_below(trace, randomness) };
        let before = Threshold::from_bits(before);
        Evidence { bits: &trace.bits, totals: &trace.totals, class: trace.class, randomness, before }
    }

    fn thresholds(&self, trace: &Trace) -> impl Iterator<Item = u64> {
        let states = self.items.iter(trace.items).filter(|(_, node)| !node.mark.log()).filter_map(|(_, node)| node.item());
        states.filter_map(|item| crate::otlp::trace_state::read(item.context().0).ok().and_then(|ot| ot.threshold))
    }

    fn largest_below(&self, trace: &Trace, randomness: u64) -> u64 {
        self.thresholds(trace).filter(|&threshold| threshold <= randomness).max().unwrap_or(0)
    }

    pub(super) fn certain(&self, trace: &Trace) -> bool {
        // Only probabilities need what the evidence has beyond this.
        let (bits, totals, class) = (&trace.bits, &trace.totals, trace.class);
        self.policies.certain(&Evidence { bits, totals, class, randomness: 0, before: Threshold::ALL })
    }

    /// Ends the wait of a pending trace, or the record of an open one.
    pub(super) fn decide(&mut self, key: Key, trigger: Trigger, out: &mut Outcome<S>) {
        match self.traces.get(key).map(|trace| (trace.state, trace.logs_only())) {
            Some((State::Pending, true)) => self.let_go(key, out),
            Some((State::Pending, false)) => {
                // What waits for a budget was made ready before it began to wait.
                if self.traces.get(key).is_some_and(|trace| !trace.queued) {
                    self.prepare(key, out);
                }
                if self.waits_for_budget(key, trigger, out) {
                    return;
                }
                let policies = Arc::clone(&self.policies);
                let live = self.learn(key, &policies.live);
                let shadow = policies.shadow.as_ref().map(|rules| self.learn(key, rules)).unwrap_or_default();
                self.conclude(key, trigger, &live, &shadow, out);
            }
            Some((State::Open, _)) => self.close(key),
            Some((State::Held, _)) | None => {}
        }
    }

    /// Decides about a pending trace. `live` and `shadow`: thresholds of policies that learn, or have a budget.
    pub(super) fn conclude(&mut self, key: Key, trigger: Trigger, live: &Given, shadow: &Given, out: &mut Outcome<S>) {
        let Some((verdict, standing)) = self.judge(key, trigger, live, shadow, out) else { return };
        if verdict.decision == Decision::Keep || self.policies.config.mode == Carry::Shadow {
            self.keep(key, standing, trigger, out);
        } else {
            self.drop_trace(key, verdict, standing, out);
        }
    }

    /// Makes a trace ready to be decided.
    fn prepare(&mut self, key: Key, out: &mut Outcome<S>) {
        self.hold_to_limit(key, out);
        if self.traces.get(key).is_some_and(|trace| !trace.queued) {
            self.make_randomness(key, out);
            self.mark_rare(key);
        }
    }

    /// Takes a trace out of the keep class where the class is past its limit.
    fn hold_to_limit(&mut self, key: Key, out: &mut Outcome<S>) {
        let Some(trace) = self.traces.get_mut(key) else { return };
        let Some((at, limit)) = trace.class.and_then(|reason| self.policies.limit(reason)) else { return };
        let class = self.policies.class_key(at);
        if !self.learned.within(&class, limit, trace.totals.spans, self.shards, self.now) {
            (trace.class, trace.limited) = (None, true);
            if let Some(count) = out.limited.get_mut(at) {
                *count += 1;
            }
        }
    }

    /// Keeps a trace whose answer is certain: what is here leaves, what comes streams, a small record stays.
    pub(super) fn keep_early(&mut self, key: Key, out: &mut Outcome<S>) {
        self.prepare(key, out);
        if self.traces.get(key).is_some_and(|trace| trace.limited && !self.certain(trace)) {
            return;
        }
        let Some((verdict, standing)) = self.judge(key, Trigger::KeepEarly, &Given::new(), &Given::new(), out) else { return };
        debug_assert_eq!(verdict.decision, Decision::Keep);
        if let Some(trace) = self.traces.get_mut(key) {
            trace.count_ids(&self.items, NOWHERE, &mut self.spare);
        }
        let standing = self.release(key, standing, Trigger::KeepEarly, false, out);
        if let Some(trace) = self.traces.get_mut(key) {
            trace.state = State::Open;
            trace.standing = standing.map(Box::new);
            self.pending -= 1;
            self.open += 1;
            if trace.totals.spans >= self.policies.config.span_limit {
                trace.stop_counting(&mut self.spare);
            }
        }
    }

    /// A span of a trace that was kept early.
    pub(super) fn stream(&mut self, key: Key, facts: &SpanFacts, mark: Mark, span: S, out: &mut Outcome<S>) {
        if let Some(trace) = self.traces.get_mut(key) {
            let first_root = mark.root() && !trace.has_root();
            let before = trace.ot.disagree;
            let trace_state = if facts.flags_alone.is_some() { &[] } else { span.context().0 };
            out.unparseable_tracestate += u64::from(!trace.ot.add(trace_state, first_root));
            out.inconsistent_randomness += u64::from(trace.ot.disagree && !before);
        }
        self.arrive(key, facts, mark, NOWHERE);
        let span_limit = self.policies.config.span_limit;
        let policies = Arc::clone(&self.policies);
        let record = policies.config.record;
        let Some(trace) = self.traces.get_mut(key) else { return };
        if trace.totals.spans > span_limit {
            trace.stop_counting(&mut self.spare);
        }
        trace.bytes += span.size() as u64;
        let cap = policies.config.maximum_forwarded_trace_bytes;
        if cap > 0 && trace.bytes > cap && policies.keep_class(mark).is_none() {
            out.capped_spans += 1;
            out.dropped_spans += 1;
            return;
        }
        let (id, keep_class, totals, randomness, made) = (trace.id, trace.class.is_some(), trace.totals, trace.randomness(), trace.ot.made);
        if let Some((at, limit)) = trace.class.and_then(|reason| policies.limit(reason)) {
            self.learned.within(&policies.class_key(at), limit, 1, self.shards, self.now);
        }
        let attempts = trace.patterns.as_ref().filter(|_| record != Record::None && Patterns::concern(facts));
        let id_of_span = number(facts.span_id);
        let attempt = attempts.and_then(|patterns| patterns.attempt(id_of_span));
        let attempts: Option<Attempts> = attempt.map(|attempt| [(id_of_span, attempt)].into());
        let Some(standing) = trace.standing.as_deref_mut() else { return };
        let bears = record == Record::Root && mark.root() && !standing.stamped;
        standing.stamped |= bears;
        let detail = (bears || record == Record::All)
            .then(|| Detail { totals: mark.root().then_some(totals), ..detail(standing, Trigger::KeepEarly, &policies.hash) });
        let on = match record {
            Record::All => On::Every,
            _ if bears => On::At(0),
            _ => On::Nowhere,
        };
        let probability = probability(&policies, standing.threshold, Some(randomness), made);
        if facts.flags_alone.is_none() {
            self.count_contradiction(&span, randomness, out);
        }
        out.pass(span, Stamp { probability, on, detail, late: false, partial: false, attempts }, keep_class, Some(id));
    }

    /// Ends the record of a trace that was kept early.
    pub(super) fn close(&mut self, key: Key) {
        let Some(mut trace) = self.remove(key) else { return };
        self.open -= 1;
        self.repeats.add(&trace.totals);
        if let Some(standing) = trace.standing.take() {
            self.remember_kept(&trace, &standing);
        }
    }

    pub(super) fn count_contradiction(&self, span: &S, randomness: u64, out: &mut Outcome<S>) {
        let own = crate::otlp::trace_state::read(span.context().0).ok().and_then(|ot| ot.threshold);
        out.inconsistent_threshold += u64::from(own.is_some_and(|threshold| randomness < threshold));
    }

    /// Asks the policies, and writes the decision down.
    fn judge(&mut self, key: Key, trigger: Trigger, live: &Given, shadow: &Given, out: &mut Outcome<S>) -> Option<(Verdict, Standing)> {
        let trace = self.traces.get(key)?;
        let evidence = self.evidence(trace);
        let policies = &self.policies;
        let verdict = policies.decide(&policies.live, &evidence, live);
        let enforced = policies.config.mode == Carry::Enforce;
        let shadow = match &policies.shadow {
            Some(rules) => Some(policies.decide(rules, &evidence, shadow)).map(|verdict| (verdict.policy, verdict.decision)),
            None => (!enforced).then(|| (Arc::clone(&verdict.policy), verdict.decision)),
        };
        // Where nothing is carried out, everything is kept, and stands for itself alone.
        let (decision, threshold) = if enforced { (verdict.decision, verdict.threshold) } else { (Decision::Keep, Threshold::ALL) };
        if trigger != Trigger::KeepEarly {
            self.repeats.add(&trace.totals);
        }
        out.inconsistent_randomness += u64::from(trace.ot.disagree);
        if trace.ot.largest > evidence.randomness {
            out.inconsistent_threshold += self.thresholds(trace).filter(|&threshold| threshold > evidence.randomness).count() as u64;
        }
        if verdict.overridden && enforced {
            out.overridden.push(Arc::clone(&verdict.policy));
        }
        let wait = self.now.saturating_sub(trace.began);
        let reopened = trace.returned && trace.lacks_a_parent(&self.items);
        let moment = Moment { complete: trace.complete(), spans: trace.totals.spans, wait_ms: wait / 1_000_000 };
        out.decisions.push(Decided {
            trace_id: trace.id,
            decision,
            policy: Arc::clone(&verdict.policy),
            matched: Arc::clone(&verdict.matched),
            reason: verdict.reason,
            trigger,
            threshold: Some(threshold.bits()),
            adjusted_count: (threshold < Threshold::NONE).then(|| threshold.adjusted_count()),
            complete: moment.complete,
            partial: false,
            reopened,
            spans: trace.totals.spans,
            bytes: trace.bytes,
            wait: Duration::from_nanos(wait),
            totals: trace.totals,
            circumstances: Circumstances {
                randomness: Some(evidence.randomness),
                policies: Arc::clone(&policies.live.names),
                shadow: shadow.clone().map(|(policy, decision)| Shadow { policy, decision }),
            },
        });
        let standing = Standing {
            policy: Arc::clone(&verdict.policy),
            matched: Arc::clone(&verdict.matched),
            reason: verdict.reason,
            threshold,
            moment,
            reopened,
            shadow: shadow.map(|(_, decision)| decision),
            stamped: false,
            // Past its limit the keep class is decided like everything else, for good.
            settled: verdict.overridden || trace.limited,
        };
        Some((verdict, standing))
    }

    fn keep(&mut self, key: Key, standing: Standing, trigger: Trigger, out: &mut Outcome<S>) {
        let standing = self.release(key, standing, trigger, false, out);
        let Some(trace) = self.remove(key) else { return };
        self.pending -= 1;
        if let Some(standing) = standing {
            self.remember_kept(&trace, &standing);
        }
    }

    /// Lets the items of a trace go, stamped; the standing comes back with what was stamped.
    pub(super) fn release(
        &mut self,
        key: Key,
        mut standing: Standing,
        trigger: Trigger,
        unknown: bool,
        out: &mut Outcome<S>,
    ) -> Option<Standing> {
        let trace = self.traces.get_mut(key)?;
        let (id, keep_class, bearer, held) = (trace.id, trace.class.is_some(), trace.bearer(), trace.state == State::Held);
        let early = trigger == Trigger::KeepEarly;
        let (mut spans, mut logs) = (out.room(trace.items.len as usize), Vec::new());
        let mut bears = None;
        let has_root = trace.has_root();
        self.items.drain(&mut trace.items, |at, mark, item| {
            if mark.log() {
                logs.push(item);
            } else {
                if at == bearer {
                    bears = Some(spans.len());
                }
                spans.push(item);
            }
        });
        match held {
            true => self.hold_bytes -= trace.bytes,
            false => self.pending_bytes -= trace.bytes,
        }
        let (totals, randomness, made) = (trace.totals, trace.randomness(), trace.ot.made);
        let attempts = trace.patterns.as_ref().filter(|_| totals.retries > 0 && self.policies.config.record != Record::None);
        let attempts: Option<Attempts> = attempts.map(|patterns| patterns.attempts().collect());
        trace.bytes = 0;
        // A root that is still to come in will carry the attributes, so no other span does.
        let on = match self.policies.config.record {
            Record::All => On::Every,
            Record::Root if !early || has_root => bears.map_or(On::Nowhere, On::At),
            Record::Root | Record::None => On::Nowhere,
        };
        standing.stamped = matches!(on, On::At(_));
        let detail = (on != On::Nowhere).then(|| Detail { totals: Some(totals), ..detail(&standing, trigger, &self.policies.hash) });
        let probability = match unknown {
            true if self.policies.silent() => Probability::Untouched,
            true => Probability::Unknown,
            false => probability(&self.policies, standing.threshold, Some(randomness), made),
        };
        let stamp = Stamp { probability, on, detail, late: false, partial: false, attempts };
        out.kept.push(Kept { spans, stamp, keep_class, trace_id: Some(id) });
        if !logs.is_empty() {
            out.kept.push(Kept { spans: logs, stamp: Stamp::default(), keep_class, trace_id: Some(id) });
        }
        Some(standing)
    }

    /// Lets a pending trace go without a decision: it has only log records, of which nothing is known that speaks against them, or
    /// sampling was switched off.
    pub(super) fn let_go(&mut self, key: Key, out: &mut Outcome<S>) {
        let Some(mut trace) = self.remove(key) else { return };
        self.pending -= 1;
        self.pending_bytes -= trace.bytes;
        let (mut spans, mut logs) = (Vec::new(), Vec::new());
        self.items.drain(&mut trace.items, |_, mark, item| if mark.log() { logs.push(item) } else { spans.push(item) });
        for items in [spans, logs] {
            if !items.is_empty() {
                let keep_class = trace.class.is_some();
                out.kept.push(Kept { spans: items, stamp: Stamp::default(), keep_class, trace_id: Some(trace.id) });
            }
        }
    }

    fn drop_trace(&mut self, key: Key, verdict: Verdict, standing: Standing, out: &mut Outcome<S>) {
        let policy = self.intern(&verdict.policy);
        let (now, millis, holds) = (self.now, self.millis(), self.holds_dropped() && !standing.settled);
        let window = nanos(self.policies.config.drop_hold.window);
        let Some(trace) = self.traces.get_mut(key) else { return };
        self.dropped.insert(trace.id, DropEntry { policy, settled: standing.settled }, millis);
        self.pending -= 1;
        self.pending_bytes -= trace.bytes;
        self.hold_bytes += trace.bytes;
        self.hold_overhead += TRACE_OVERHEAD + ITEM_OVERHEAD * u64::from(trace.items.len);
        trace.settle(&mut self.spare);
        trace.state = State::Held;
        (trace.root_due, trace.complete_due) = (NEVER, NEVER);
        trace.last = now;
        if !holds {
            return self.leave_hold(key, out);
        }
        trace.timeout = self.due.after(now, window, key);
        self.holds.push_back(key);
        self.bound_hold(out);
    }

    /// A dropped trace goes for good.
    pub(super) fn leave_hold(&mut self, key: Key, out: &mut Outcome<S>) {
        self.leave_hold_books(key);
        let Some(mut trace) = self.remove(key) else { return };
        self.hold_bytes -= trace.bytes;
        self.items.drain(&mut trace.items, |_, mark, _| match mark.log() {
            true => out.dropped_logs += 1,
            false => out.dropped_spans += 1,
        });
    }

    /// Takes the index of a trace out of the account of the hold. To be called while it still has its items.
    pub(super) fn leave_hold_books(&mut self, key: Key) {
        let items = self.traces.get(key).map_or(0, |trace| u64::from(trace.items.len));
        self.hold_overhead = self.hold_overhead.saturating_sub(TRACE_OVERHEAD + ITEM_OVERHEAD * items);
    }

    /// Keeps the hold within its limit: the oldest go.
    pub(super) fn bound_hold(&mut self, out: &mut Outcome<S>) {
        let limit = self.policies.config.drop_hold.limit_mib.saturating_mul(1 << 20) / self.shards;
        while self.hold_bytes.saturating_add(self.hold_overhead) > limit {
            let Some(key) = self.holds.pop_front() else { return };
            if self.traces.get(key).is_some_and(|trace| trace.state == State::Held) {
                self.leave_hold(key, out);
            }
        }
    }

    pub(super) fn remember_kept(&mut self, trace: &Trace, standing: &Standing) {
        let entry = KeepEntry {
            policy: self.intern(&standing.policy),
            reason: standing.reason,
            threshold: Some(standing.threshold).filter(|_| standing.reason != Reason::LateKeep),
            partial: false,
            stamped: standing.stamped,
            keep_class: trace.class.is_some(),
        };
        self.kept.insert(trace.id, entry, self.millis());
    }

    /// The number of a name of a policy, which stays the same when policies change.
    pub(super) fn intern(&mut self, name: &Arc<str>) -> u16 {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let number = u16::try_from(self.names.len()).unwrap_or(u16::MAX);
        if number < u16::MAX {
            self.names.push(Arc::clone(name));
            self.numbers.insert(Arc::clone(name), number);
        }
        number
    }
}

/// How tracestate is written where `threshold` was applied. `made`: the randomness was made here.
pub(super) fn probability(policies: &Policies, threshold: Threshold, randomness: Option<u64>, made: bool) -> Probability {
    match policies.silent() {
        true => Probability::Silent(threshold),
        false => Probability::AtLeast(threshold, Context { randomness, made, missing: policies.config.tracestate.missing_threshold }),
    }
}

fn detail(standing: &Standing, trigger: Trigger, config: &Arc<str>) -> Detail {
    Detail {
        policy: Arc::clone(&standing.policy),
        matched: Arc::clone(&standing.matched),
        reason: standing.reason,
        trigger,
        moment: Some(standing.moment),
        reopened: standing.reopened,
        shadow: standing.shadow,
        config: Arc::clone(config),
        totals: None,
    }
}
