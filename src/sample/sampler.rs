//! The state machine: spans in, whole traces out.
//!
//! One shard owns one sampler, and a trace has one shard, so there are no locks. Everything that may wait is a deadline; nothing here
//! looks at a clock.

use crate::enrich::facts::SpanFacts;
use crate::otlp::span::TraceId;
use crate::sample::arena::{Arena, NOWHERE};
use crate::sample::conditions::Seen;
use crate::sample::config::{LateKeep, Release};
use crate::sample::deadlines::{Deadlines, Key, NEVER, Time};
use crate::sample::decide::ITEM_OVERHEAD;
use crate::sample::held::Held;
use crate::sample::late::{DropEntry, KeepEntry};
use crate::sample::learned::Learned;
use crate::sample::limits::{Pressure, Repeats};
use crate::sample::outcome::{Outcome, Reason, Trigger};
use crate::sample::policies::Policies;
use crate::sample::queue::Queue;
use crate::sample::remembered::{Recall, Remembered};
use crate::sample::stamp::Stamp;
use crate::sample::strays::Looks;
use crate::sample::totals::Mark;
use crate::sample::trace::{SpareLinks, State, Trace, Traces, number};
use crate::sample::warm::{AHEAD, Warm};
use crate::sample::watch::Scratch;
use crate::telemetry::memory::{Budget, Charge};
use ahash::RandomState;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a trace takes beside its spans: itself, its entries in tables and lists.
pub(super) const TRACE_WEIGHT: usize = size_of::<Trace>() + 96;

/// Holds the spans of one shard until their traces are decided.
#[derive(Debug)]
pub struct Sampler<S> {
    pub(super) policies: Arc<Policies>,
    pub(super) shards: u64,
    pub(super) budget: Option<Budget>,
    /// What the index of traces and what is remembered of decisions take; spans are charged with their requests.
    weight: Option<Charge>,
    epoch: Instant,
    pub(super) now: Time,
    pub(super) pressure: Pressure,
    pub(super) stopping: bool,
    pub(super) index: HashMap<TraceId, Key, RandomState>,
    pub(super) traces: Traces,
    pub(super) items: Arena<S>,
    pub(super) due: Deadlines,
    pub(super) looks: Looks,
    /// Traces in the order they began; some are gone.
    pub(super) arrivals: VecDeque<Key>,
    /// Dropped traces that are held, in the order they were dropped; some are gone.
    pub(super) holds: VecDeque<Key>,
    pub(super) pending: u64,
    pub(super) open: u64,
    pub(super) pending_bytes: u64,
    pub(super) hold_bytes: u64,
    /// What the index of held traces takes, beside their items.
    pub(super) hold_overhead: u64,
    pub(super) kept: Remembered<KeepEntry>,
    pub(super) dropped: Remembered<DropEntry>,
    pub(super) names: Vec<Arc<str>>,
    pub(super) numbers: HashMap<Arc<str>, u16, RandomState>,
    pub(super) scratch: Scratch,
    /// The same for the condition that makes a span a root.
    root_scratch: Scratch,
    pub(super) spare: SpareLinks,
    pub(super) warm: Warm,
    pub(super) learned: Learned,
    pub(super) queue: Queue,
    pub(super) repeats: Repeats,
}

impl<S: Held> Sampler<S> {
    /// A sampler for one of `shards` shards, which share the limits of the config. `now` is where its time begins.
    pub fn new(policies: impl Into<Arc<Policies>>, shards: usize, now: Instant) -> Sampler<S> {
        let policies = policies.into();
        let mut new = Sampler {
            shards: shards.max(1) as u64,
            budget: None,
            weight: None,
            epoch: now,
            now: 0,
            pressure: Pressure::Normal,
            stopping: false,
            index: HashMap::default(),
            traces: Traces::default(),
            items: Arena::new(),
            due: Deadlines::default(),
            looks: Looks::default(),
            arrivals: VecDeque::new(),
            holds: VecDeque::new(),
            pending: 0,
            open: 0,
            pending_bytes: 0,
            hold_bytes: 0,
            hold_overhead: 0,
            kept: Remembered::new(0, 0),
            dropped: Remembered::new(0, 0),
            names: Vec::new(),
            numbers: HashMap::default(),
            scratch: policies.watch.scratch(),
            root_scratch: Scratch::default(),
            spare: SpareLinks::default(),
            warm: Warm::default(),
            learned: Learned::default(),
            queue: Queue::default(),
            repeats: Repeats::default(),
            policies,
        };
        new.fit_policies();
        new
    }

    /// Copies that the sampler makes of what it holds are charged to `budget`.
    pub fn with_budget(self, budget: Budget) -> Sampler<S> {
        Sampler { weight: Some(budget.charge(0)), budget: Some(budget), ..self }
    }

    /// Takes a span.
    pub fn admit(&mut self, facts: &SpanFacts, span: S, now: Instant, out: &mut Outcome<S>) {
        self.catch_up(now, out);
        let local_root = self.as_local_root(facts, &span);
        let facts = local_root.as_ref().unwrap_or(facts);
        let mark = Mark::of(facts);
        let Some(id) = facts.trace_id else {
            out.unsampled_spans += 1;
            return out.pass(span, Stamp::default(), self.policies.keep_class(mark).is_some(), None);
        };
        if !self.policies.config.enabled {
            return out.pass(span, Stamp::default(), self.policies.keep_class(mark).is_some(), Some(id));
        }
        let key = match self.index.get(&id) {
            Some(&key) => key,
            None => match (self.recall(id), self.overloaded()) {
                (Past::Kept(entry, age), _) => return self.follow_kept(id, entry, age, mark, span, out),
                (Past::Dropped(entry, age), _) => return self.follow_dropped(id, entry, age, facts, span, out),
                (_, Some(threshold)) => return self.judge_alone(id, mark, threshold, span, out),
                (Past::Forgotten, None) => {
                    out.late.reopened += 1;
                    self.begin(id, true, out)
                }
                (Past::Unknown, None) => self.begin(id, false, out),
            },
        };
        match self.traces.get(key).map(|trace| trace.state) {
            Some(State::Pending) => self.wait(key, facts, mark, span, out),
            Some(State::Open) => self.stream(key, facts, mark, span, out),
            Some(State::Held) => self.join_hold(key, facts, mark, span, out),
            // The index and the traces change together; if they ever did not, the span goes out rather than nowhere.
            None => out.pass(span, Stamp::default(), true, Some(id)),
        }
    }

    /// Takes a log record, which shares the fate of its trace.
    pub fn admit_log(&mut self, trace_id: Option<TraceId>, record: S, now: Instant, out: &mut Outcome<S>) {
        self.catch_up(now, out);
        let config = &self.policies.config;
        let Some(id) = trace_id.filter(|_| config.enabled && config.logs.follow_trace) else {
            return out.pass(record, Stamp::default(), false, None);
        };
        let key = match self.index.get(&id) {
            Some(&key) => key,
            None => match self.recall(id) {
                Past::Kept(entry, _) => return out.pass(record, Stamp::default(), entry.keep_class, Some(id)),
                Past::Dropped(..) => {
                    out.dropped_logs += 1;
                    return;
                }
                Past::Forgotten => self.begin(id, true, out),
                Past::Unknown => self.begin(id, false, out),
            },
        };
        match self.traces.get(key).map(|trace| (trace.state, trace.class.is_some())) {
            Some((State::Pending, _)) => {
                self.put(key, 0, 0, Mark::LOG_RECORD, record, out);
                if self.traces.get(key).is_some_and(|trace| trace.bytes >= self.policies.config.maximum_trace_size_bytes) {
                    self.decide(key, Trigger::SizeLimit, out);
                }
            }
            Some((State::Held, _)) => {
                self.put(key, 0, 0, Mark::LOG_RECORD, record, out);
                self.bound_hold(out);
            }
            Some((State::Open, keep_class)) => out.pass(record, Stamp::default(), keep_class, Some(id)),
            None => out.pass(record, Stamp::default(), true, Some(id)),
        }
    }

    /// Does everything that is due.
    pub fn tick(&mut self, now: Instant, out: &mut Outcome<S>) {
        let now = self.time(now);
        self.run(now, out);
        self.now = now;
        self.look_for_strays();
        self.kept.expire(self.millis());
        self.dropped.expire(self.millis());
        while self.arrivals.front().is_some_and(|&key| !self.waits(key)) {
            self.arrivals.pop_front();
        }
        while self.holds.front().is_some_and(|&key| self.traces.get(key).is_none()) {
            self.holds.pop_front();
        }
        self.weigh();
    }

    /// What is charged beside spans.
    #[cfg(test)]
    pub(super) fn weight(&self) -> usize {
        self.weight.as_ref().map_or(0, Charge::bytes)
    }

    /// Brings the account of what is not spans up to date.
    pub(super) fn weigh(&mut self) {
        let weight = self.index.len() * TRACE_WEIGHT + self.kept.memory() + self.dropped.memory();
        if let Some(charge) = &mut self.weight {
            charge.resize(weight);
        }
    }

    /// When [`Sampler::tick`] is to be called next; perhaps for nothing.
    pub fn next_deadline(&self) -> Option<Instant> {
        let queue = Some(self.queue.due).filter(|&due| due != NEVER);
        let next = self.due.next().into_iter().chain(self.looks.next()).chain(queue).min();
        next.and_then(|due| self.epoch.checked_add(Duration::from_nanos(due)))
    }

    /// Items it holds: undecided, or dropped and not yet gone.
    pub fn held(&self) -> u64 {
        self.items.held()
    }

    /// Encoded bytes of them.
    pub fn held_bytes(&self) -> u64 {
        self.pending_bytes + self.hold_bytes
    }

    /// Milliseconds since it began.
    pub(super) fn millis(&self) -> u64 {
        self.now / 1_000_000
    }

    /// What was due before now is done first, even if nobody called in time: who is late must not change a decision.
    pub(super) fn catch_up(&mut self, now: Instant, out: &mut Outcome<S>) {
        let now = self.time(now);
        if self.due.next().is_some_and(|due| due < now) || self.queue.due < now {
            self.run(now - 1, out);
        }
        self.now = now;
    }

    /// Now, as an instant.
    pub(super) fn instant(&self) -> Instant {
        self.epoch.checked_add(Duration::from_nanos(self.now)).unwrap_or(self.epoch)
    }

    /// Makes room for what the policies look at.
    pub(super) fn fit_policies(&mut self) {
        self.scratch = self.policies.watch.scratch();
        self.root_scratch = self.policies.root.as_ref().map(|watch| watch.scratch()).unwrap_or_default();
        self.resize_caches();
    }

    /// A span with a parent that counts as a root, without that parent.
    fn as_local_root(&mut self, facts: &SpanFacts, span: &S) -> Option<SpanFacts> {
        if self.policies.root.is_none() || facts.parent_id.is_none() {
            return None;
        }
        let (trace_state, flags) = span.context();
        let seen = Seen { mark: Mark::of(facts), start: facts.start, end: facts.end, trace_state, flags };
        self.policies.is_root(&seen, span, &mut self.root_scratch).then_some(SpanFacts { parent_id: None, ..*facts })
    }

    /// An instant as a time of its own. Time never goes back.
    fn time(&self, now: Instant) -> Time {
        let since = now.saturating_duration_since(self.epoch).as_nanos();
        u64::try_from(since).unwrap_or(NEVER - 1).max(self.now)
    }

    /// Does what is due up to a time, each thing as of its own deadline.
    fn run(&mut self, until: Time, out: &mut Outcome<S>) {
        for number in 0usize.. {
            if number.is_multiple_of(AHEAD) {
                self.expect_due(until);
            }
            // What is decided together is decided behind everything that is due by then.
            if self.queue.due <= until && self.due.next().is_none_or(|due| due > self.queue.due) {
                self.now = self.now.max(self.queue.due);
                self.spend_budgets(false, out);
                continue;
            }
            let Some((entered, key)) = self.due.pop(until) else { return };
            let Some(trace) = self.traces.get(key) else { continue };
            let ((due, trigger), state) = (trace.due(), trace.state);
            // The deadline it was entered for no longer applies: it is due later.
            if due > entered {
                self.due.at(due, key);
                continue;
            }
            self.now = self.now.max(due);
            match state {
                State::Held => self.leave_hold(key, out),
                _ if trigger == Trigger::Timeout && self.extend(key) => {}
                State::Open => self.close(key),
                State::Pending => self.decide(key, trigger, out),
            }
        }
    }

    /// Puts off the timeout of a trace that still grows.
    fn extend(&mut self, key: Key) -> bool {
        let active = self.policies.config.extend_while_active;
        let (idle, max) = (nanos(active.idle), nanos(active.max));
        let Some(trace) = self.traces.get_mut(key) else { return false };
        if self.pressure != Pressure::Normal || trace.has_root() || trace.logs_only() {
            return false;
        }
        let later = trace.last.saturating_add(idle).min(trace.began.saturating_add(max));
        if later <= trace.timeout {
            return false;
        }
        trace.timeout = later;
        self.due.at(later, key);
        true
    }

    /// Whether a trace is pending or open.
    pub(super) fn waits(&self, key: Key) -> bool {
        self.traces.get(key).is_some_and(|trace| trace.state != State::Held)
    }

    fn begin(&mut self, id: TraceId, returned: bool, out: &mut Outcome<S>) -> Key {
        if self.pending + self.open >= (self.policies.config.num_traces / self.shards).max(1) {
            self.evict_oldest(out);
        }
        if self.arrivals.len() as u64 > 2 * (self.pending + self.open) + 1024 {
            let traces = &self.traces;
            self.arrivals.retain(|&key| traces.get(key).is_some_and(|trace| trace.state != State::Held));
        }
        let key = self.traces.insert(Trace::new(id, self.now, self.policies.watch.bits(), returned));
        let timeout = self.due.after(self.now, nanos(self.policies.config.decision_wait), key);
        if let Some(trace) = self.traces.get_mut(key) {
            trace.timeout = timeout;
        }
        self.looks.begin(self.now, key);
        self.index.insert(id, key);
        self.arrivals.push_back(key);
        self.pending += 1;
        key
    }

    /// Adds an item to a trace that holds its items; its place.
    pub(super) fn put(&mut self, key: Key, id: u64, parent: u64, mark: Mark, item: S, out: &mut Outcome<S>) -> u32 {
        let Some(trace) = self.traces.get_mut(key) else {
            out.pass(item, Stamp::default(), true, None);
            return NOWHERE;
        };
        let size = item.size() as u64;
        match self.items.push(&mut trace.items, item, id, parent, mark) {
            Ok(at) => {
                trace.bytes += size;
                match trace.state {
                    State::Held => {
                        self.hold_bytes += size;
                        self.hold_overhead += ITEM_OVERHEAD;
                    }
                    _ => self.pending_bytes += size,
                }
                at
            }
            Err(item) => {
                out.pass(item, Stamp::default(), true, Some(trace.id));
                NOWHERE
            }
        }
    }

    /// A span of an undecided trace.
    fn wait(&mut self, key: Key, facts: &SpanFacts, mark: Mark, span: S, out: &mut Outcome<S>) {
        let config = &self.policies.config;
        let (span_limit, size_limit, streams) = (config.span_limit, config.maximum_trace_size_bytes, config.release == Release::Early);
        if let Some(trace) = self.traces.get_mut(key) {
            if trace.logs_only() && trace.began != self.now {
                // Log records came before the first span: the wait counts from the span.
                trace.began = self.now;
                trace.timeout = self.due.after(self.now, nanos(config.decision_wait), key);
            }
            let first_root = mark.root() && !trace.has_root();
            // Nearly no span has a tracestate, and enrichment has just looked.
            let (trace_state, flags) = facts.flags_alone.map_or_else(|| span.context(), |flags| (&[][..], flags));
            out.unparseable_tracestate += u64::from(!trace.ot.add(trace_state, first_root));
            let seen = Seen { mark, start: facts.start, end: facts.end, trace_state, flags };
            self.policies.watch.see(&seen, &span, &mut self.scratch, &mut trace.bits);
        }
        let at = self.put(key, number(facts.span_id), number(facts.parent_id), mark, span, out);
        self.arrive(key, facts, mark, at);
        let Some(trace) = self.traces.get(key) else { return };
        if streams && self.certain(trace) {
            self.keep_early(key, out);
        } else if trace.totals.spans >= span_limit {
            self.decide(key, Trigger::SpanLimit, out);
        } else if trace.bytes >= size_limit {
            self.decide(key, Trigger::SizeLimit, out);
        }
    }

    /// Adds a span to the sums of a pending or open trace, and sets the deadlines that follow from it.
    pub(super) fn arrive(&mut self, key: Key, facts: &SpanFacts, mark: Mark, at: u32) {
        let (root_wait, complete_wait) = self.waits_after();
        let Some(trace) = self.traces.get_mut(key) else { return };
        trace.last = self.now;
        if !trace.limited {
            trace.class = stronger(trace.class, self.policies.keep_class(mark));
        }
        let whole = trace.absorb(facts, at, &self.items, &mut self.spare);
        let (entered, _) = trace.due();
        if mark.root() && trace.root_since == NEVER {
            (trace.root_since, trace.root_due) = (self.now, self.now.saturating_add(root_wait));
        }
        if whole && !trace.complete() {
            (trace.complete_since, trace.complete_due) = (self.now, self.now.saturating_add(complete_wait));
        } else if !whole {
            (trace.complete_since, trace.complete_due) = (NEVER, NEVER);
        }
        // A deadline that came nearer is entered; one that went away is noticed when it would have been.
        match trace.due() {
            (due, Trigger::Complete) if due < entered => drop(self.due.after(self.now, complete_wait, key)),
            (due, Trigger::Root) if due < entered => drop(self.due.after(self.now, root_wait, key)),
            _ => {}
        }
    }

    /// Takes a trace out of every list but those that notice by themselves.
    pub(super) fn remove(&mut self, key: Key) -> Option<Trace> {
        let mut trace = self.traces.remove(key)?;
        self.index.remove(&trace.id);
        self.due.never(key);
        trace.settle(&mut self.spare);
        Some(trace)
    }

    /// How long to wait after a root, and after the last span that was missing.
    pub(super) fn waits_after(&self) -> (Time, Time) {
        let config = &self.policies.config;
        let shift = u32::from(self.pressure != Pressure::Normal);
        (nanos(config.decision_wait_after_root_received) >> shift, nanos(config.complete_delay) >> shift)
    }

    fn recall(&self, id: TraceId) -> Past {
        let now = self.millis();
        match (self.kept.recall(id, now), self.dropped.recall(id, now)) {
            (Recall::Known(entry, age), _) => Past::Kept(entry, age),
            (_, Recall::Known(entry, age)) => Past::Dropped(entry, age),
            (Recall::Forgotten, _) | (_, Recall::Forgotten) => Past::Forgotten,
            _ => Past::Unknown,
        }
    }

    pub(super) fn resize_caches(&mut self) {
        let config = &self.policies.config;
        let (cache, shards) = (config.decision_cache, self.shards);
        let ttl = u64::try_from(cache.ttl.as_millis()).unwrap_or(u64::MAX);
        let share = |entries: u64| usize::try_from(entries.div_ceil(shards)).unwrap_or(usize::MAX);
        self.kept.resize(share(cache.kept), ttl);
        self.dropped.resize(share(cache.dropped), ttl);
    }

    /// Whether dropped traces stay for a while.
    pub(super) fn holds_dropped(&self) -> bool {
        let config = &self.policies.config;
        let hold = config.drop_hold;
        let on = !hold.window.is_zero() && hold.limit_mib > 0 && config.late_keep != LateKeep::Off;
        config.enabled && on && self.pressure == Pressure::Normal && !self.stopping
    }
}

/// What the caches know of a trace.
enum Past {
    Kept(KeepEntry, u64),
    Dropped(DropEntry, u64),
    Forgotten,
    Unknown,
}

/// Of two reasons to keep a trace the one that counts, whichever came first.
pub(super) fn stronger(one: Option<Reason>, other: Option<Reason>) -> Option<Reason> {
    one.into_iter().chain(other).min_by_key(|reason| *reason != Reason::Error)
}

/// A duration in nanoseconds.
pub(super) fn nanos(duration: Duration) -> Time {
    u64::try_from(duration.as_nanos()).unwrap_or(NEVER - 1)
}
