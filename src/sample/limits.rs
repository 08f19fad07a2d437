//! What happens when memory runs short, the config changes, or the process stops.
//!
//! None of them throws a trace away undecided: eviction decides early with what is here, a reload asks the new policies about the
//! spans that are held, and stopping decides everything.

use crate::sample::conditions::Seen;
use crate::sample::config::Release;
use crate::sample::deadlines::{Key, NEVER};
use crate::sample::held::Held;
use crate::sample::outcome::{Outcome, Trigger};
use crate::sample::policies::Policies;
use crate::sample::sampler::{Sampler, nanos, stronger};
use crate::sample::stamp::LOOP;
use crate::sample::totals::Totals;
use crate::sample::trace::{State, Trace};
use crate::units::Usd;
use std::sync::Arc;
use std::time::Instant;

/// Each call under pressure frees one part in so many of what is held: enough to matter, little enough that a short peak does not cut
/// every trace.
const EVICTED_PART: u64 = 8;

/// How full memory is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pressure {
    /// There is room.
    #[default]
    Normal,
    /// Nothing is held for convenience: no drop hold, no extension, shorter delays.
    Soft,
    /// The oldest traces are decided early.
    Evict,
    /// Likewise; new requests are refused at the door.
    Hard,
}

/// How much is held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Undecided traces.
    pub traces_pending: u64,
    /// Traces kept early whose spans still come.
    pub open_records: u64,
    /// Encoded bytes of undecided traces.
    pub buffered_bytes: u64,
    /// Encoded bytes of dropped traces that can still be brought back.
    pub drop_hold_bytes: u64,
    /// Remembered kept traces.
    pub kept_entries: u64,
    /// Remembered dropped traces.
    pub dropped_entries: u64,
    /// Kept traces forgotten before their time, since the start.
    pub kept_premature: u64,
    /// Dropped traces forgotten before their time, since the start.
    pub dropped_premature: u64,
    /// The level of pressure.
    pub pressure: Pressure,
    /// What repeated in the traces that ended, since the start.
    pub repeats: Repeats,
}

/// What repeated in traces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repeats {
    /// Traces in which a tool was called three times or more with the same arguments.
    pub tool_loops: u64,
    /// Attempts of model calls behind the first ones.
    pub retries: u64,
    /// Retried calls that succeeded in the end.
    pub recovered: u64,
    /// Retried calls that did not.
    pub exhausted: u64,
    /// Cost of the failed attempts of retried calls.
    pub failed_cost: Usd,
}

impl Repeats {
    pub(super) fn add(&mut self, totals: &Totals) {
        self.tool_loops += u64::from(totals.tool_repeats >= LOOP);
        self.retries += u64::from(totals.retries);
        self.recovered += u64::from(totals.recovered);
        self.exhausted += u64::from(totals.exhausted);
        self.failed_cost += totals.failed_cost;
    }
}

impl<S: Held> Sampler<S> {
    /// How much is held now.
    pub fn status(&self) -> Status {
        Status {
            traces_pending: self.pending,
            open_records: self.open,
            buffered_bytes: self.pending_bytes,
            drop_hold_bytes: self.hold_bytes,
            kept_entries: self.kept.len() as u64,
            dropped_entries: self.dropped.len() as u64,
            kept_premature: self.kept.premature,
            dropped_premature: self.dropped.premature,
            pressure: self.pressure,
            repeats: self.repeats,
        }
    }

    /// Tells how full memory is. From `Evict` on every call decides an eighth of what is undecided, so call it again while the level
    /// stays.
    pub fn pressure(&mut self, level: Pressure, now: Instant, out: &mut Outcome<S>) {
        self.catch_up(now, out);
        self.pressure = level;
        if level >= Pressure::Soft {
            self.empty_hold(out);
        }
        if level >= Pressure::Evict {
            self.evict(out);
        }
        self.weigh();
    }

    /// Decides everything there is; nothing is held afterwards.
    pub fn shutdown(&mut self, now: Instant, out: &mut Outcome<S>) {
        self.catch_up(now, out);
        self.stopping = true;
        for key in std::mem::take(&mut self.arrivals) {
            if self.waits(key) {
                self.decide(key, Trigger::Shutdown, out);
            }
        }
        self.spend_budgets(true, out);
        self.empty_hold(out);
        self.stopping = false;
        self.weigh();
    }

    /// Goes over to other policies. Undecided traces stay and are judged by them; decisions that were made stand. Where sampling is
    /// switched off, what is undecided leaves at once.
    pub fn reload(&mut self, policies: impl Into<Arc<Policies>>, now: Instant, out: &mut Outcome<S>) {
        self.catch_up(now, out);
        let before = std::mem::replace(&mut self.policies, policies.into());
        self.policies.adopt(&before);
        let policies = &self.policies;
        self.learned.retain(|name| policies.learns(name));
        self.fit_policies();
        let keys: Vec<Key> = self.arrivals.iter().copied().filter(|&key| self.waits(key)).collect();
        for key in keys {
            if !self.policies.config.enabled {
                match self.traces.get(key).map(|trace| trace.state) {
                    Some(State::Open) => self.close(key),
                    _ => self.let_go(key, out),
                }
                continue;
            }
            self.look_again(key);
            let streams = self.policies.config.release == Release::Early;
            let certain = streams && self.traces.get(key).is_some_and(|t| t.state == State::Pending && !t.logs_only() && self.certain(t));
            if certain {
                self.keep_early(key, out);
            }
        }
        if self.holds_dropped() { self.bound_hold(out) } else { self.empty_hold(out) }
    }

    /// Decides the trace that has waited longest.
    pub(super) fn evict_oldest(&mut self, out: &mut Outcome<S>) {
        while let Some(key) = self.arrivals.pop_front() {
            if self.waits(key) {
                return self.decide(key, Trigger::Eviction, out);
            }
        }
    }

    /// Decides the oldest: complete traces first, then those with a root, then the others, and last what must not be dropped: it
    /// leaves for queues that are perhaps full.
    fn evict(&mut self, out: &mut Outcome<S>) {
        let target = self.pending_bytes - self.pending_bytes.div_ceil(EVICTED_PART);
        let mut order: Vec<(u8, Key)> = self
            .arrivals
            .iter()
            .filter_map(|&key| self.traces.get(key).filter(|trace| trace.state == State::Pending).map(|trace| (key, trace)))
            .map(|(key, trace)| (rank(trace), key))
            .collect();
        // Stable: within a rank the order of arrival stays.
        order.sort_by_key(|&(rank, _)| rank);
        // What waits for a budget is decided when all that have to go are known.
        let mut waiting = 0;
        for (_, key) in order {
            if self.pending_bytes.saturating_sub(waiting) <= target {
                break;
            }
            let bytes = self.traces.get(key).map_or(0, |trace| trace.bytes);
            self.decide(key, Trigger::Eviction, out);
            waiting += if self.traces.get(key).is_some_and(|trace| trace.queued) { bytes } else { 0 };
        }
        self.spend_budgets(true, out);
    }

    fn empty_hold(&mut self, out: &mut Outcome<S>) {
        for key in std::mem::take(&mut self.holds) {
            if self.traces.get(key).is_some_and(|trace| trace.state == State::Held) {
                self.leave_hold(key, out);
            }
        }
    }

    /// Asks the tests of the current policies about every span of a trace, and sets its deadlines anew.
    fn look_again(&mut self, key: Key) {
        let (root_wait, complete_wait) = self.waits_after();
        let decision_wait = nanos(self.policies.config.decision_wait);
        let Some(trace) = self.traces.get_mut(key) else { return };
        if trace.state == State::Pending {
            trace.bits = self.policies.watch.bits();
            trace.class = None;
            for (_, node) in self.items.iter(trace.items).filter(|(_, node)| !node.mark.log()) {
                let Some(item) = node.item() else { continue };
                let ((trace_state, flags), view) = (item.context(), item.view());
                let seen = Seen { mark: node.mark, start: view.start, end: view.end, trace_state, flags };
                self.policies.watch.see(&seen, item, &mut self.scratch, &mut trace.bits);
                if !trace.limited {
                    trace.class = stronger(trace.class, self.policies.keep_class(node.mark));
                }
            }
        }
        let after = |since, wait| if since == NEVER { NEVER } else { u64::saturating_add(since, wait) };
        trace.timeout = after(trace.began, decision_wait);
        trace.root_due = after(trace.root_since, root_wait);
        trace.complete_due = after(trace.complete_since, complete_wait);
        self.due.at(trace.due().0, key);
    }
}

/// What is decided first where memory is short.
fn rank(trace: &Trace) -> u8 {
    match () {
        () if trace.class.is_some() => 3,
        () if trace.complete() => 0,
        () if trace.has_root() => 1,
        () => 2,
    }
}
