//! Spans that come after the decision of their trace.
//!
//! They follow it, with one exception: an error or a truncated answer of a dropped trace is not lost. While the body of the trace is
//! still held, the whole trace comes back; later only that span and what follows it can be kept, and they say so.

use crate::enrich::facts::SpanFacts;
use crate::otlp::span::TraceId;
use crate::otlp::trace_state;
use crate::sample::config::{LateKeep, Record};
use crate::sample::deadlines::Key;
use crate::sample::decide::probability;
use crate::sample::held::Held;
use crate::sample::outcome::{Circumstances, Decided, Decision, Outcome, Reason, Trigger};
use crate::sample::sampler::{Sampler, stronger};
use crate::sample::stamp::{Detail, Moment, On, Probability, Stamp};
use crate::sample::threshold::{self, Threshold};
use crate::sample::totals::{Mark, Totals};
use crate::sample::trace::{Standing, number};
use std::sync::Arc;
use std::time::Duration;

/// What is remembered of a kept trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeepEntry {
    /// Number of the policy's name.
    pub(super) policy: u16,
    pub(super) reason: Reason,
    /// None where the probability is not known.
    pub(super) threshold: Option<Threshold>,
    pub(super) partial: bool,
    /// Whether a span got the attributes of the decision.
    pub(super) stamped: bool,
    pub(super) keep_class: bool,
}

/// What is remembered of a dropped trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DropEntry {
    pub(super) policy: u16,
    /// Dropped by a policy that outranks the keep class.
    pub(super) settled: bool,
}

impl<S: Held> Sampler<S> {
    /// A span of a kept trace: it is kept.
    pub(super) fn follow_kept(&mut self, id: TraceId, entry: KeepEntry, age: u64, mark: Mark, span: S, out: &mut Outcome<S>) {
        out.late.forwarded += 1;
        out.late_ages.push(Duration::from_millis(age));
        let record = self.policies.config.record;
        let bears = record == Record::Root && mark.root() && !entry.stamped;
        let keep_class = entry.keep_class || self.policies.keep_class(mark).is_some();
        if bears || keep_class != entry.keep_class {
            self.kept.update(id, |entry| (entry.stamped, entry.keep_class) = (entry.stamped || bears, keep_class));
        }
        let policy = self.names.get(usize::from(entry.policy)).unwrap_or(self.policies.always_keep_name());
        let detail = (bears || record == Record::All).then(|| Detail {
            policy: Arc::clone(policy),
            matched: Arc::default(),
            reason: entry.reason,
            trigger: Trigger::Late,
            moment: None,
            reopened: false,
            shadow: None,
            config: Arc::clone(&self.policies.hash),
            totals: None,
        });
        let on = match record {
            Record::All => On::Every,
            _ if bears => On::At(0),
            _ => On::Nowhere,
        };
        let marks = record != Record::None;
        let made = self.made_for(id, &span);
        let stamp = Stamp {
            probability: self.late_probability(entry.threshold, made),
            on,
            detail,
            late: marks,
            partial: marks && entry.partial,
            attempts: None,
        };
        match trace_state::read(span.context().0) {
            Ok(ot) => {
                let randomness = ot.randomness.or(made).unwrap_or_else(|| threshold::randomness(id.bytes()));
                out.inconsistent_threshold += u64::from(ot.threshold.is_some_and(|threshold| randomness < threshold));
            }
            Err(_) => out.unparseable_tracestate += 1,
        }
        out.pass(span, stamp, keep_class, Some(id));
    }

    /// A span of a dropped trace whose body is gone.
    pub(super) fn follow_dropped(&mut self, id: TraceId, entry: DropEntry, age: u64, facts: &SpanFacts, span: S, out: &mut Outcome<S>) {
        out.late_ages.push(Duration::from_millis(age));
        let class = self.policies.keep_class(Mark::of(facts)).filter(|_| !entry.settled);
        if class.is_none() || self.policies.config.late_keep == LateKeep::Off {
            out.late.dropped += 1;
            out.dropped_spans += 1;
            out.keep_class_lost += u64::from(class.is_some());
            return;
        }
        out.late.partial += 1;
        out.unparseable_tracestate += u64::from(trace_state::read(span.context().0).is_err());
        let mut totals = Totals::default();
        totals.add(facts);
        let standing = self.late_standing(Moment { complete: false, spans: 1, wait_ms: 0 });
        let record = self.policies.config.record;
        self.announce(id, &standing, true, span.size() as u64, totals, out);
        self.dropped.remove(id);
        let entry = KeepEntry {
            policy: self.intern(&standing.policy),
            reason: Reason::LateKeep,
            threshold: None,
            partial: true,
            stamped: record == Record::Root,
            keep_class: true,
        };
        self.kept.insert(id, entry, self.millis());
        let (on, marks) = match record {
            Record::None => (On::Nowhere, false),
            Record::Root => (On::At(0), true),
            Record::All => (On::Every, true),
        };
        let detail = marks.then(|| Detail {
            policy: standing.policy,
            matched: Arc::default(),
            reason: Reason::LateKeep,
            trigger: Trigger::Late,
            moment: Some(standing.moment),
            reopened: false,
            shadow: None,
            config: Arc::clone(&self.policies.hash),
            totals: Some(totals),
        });
        let stamp = Stamp { probability: self.late_probability(None, None), on, detail, late: marks, partial: marks, attempts: None };
        out.pass(span, stamp, true, Some(id));
    }

    /// A span of a dropped trace whose body is here: it joins it, or brings it back.
    pub(super) fn join_hold(&mut self, key: Key, facts: &SpanFacts, mark: Mark, span: S, out: &mut Outcome<S>) {
        let Some(trace) = self.traces.get_mut(key) else { return };
        out.late_ages.push(Duration::from_nanos(self.now.saturating_sub(trace.last)));
        let first_root = mark.root() && !trace.has_root();
        out.unparseable_tracestate += u64::from(!trace.ot.add(span.context().0, first_root));
        let class = self.policies.keep_class(mark);
        let at = self.put(key, number(facts.span_id), number(facts.parent_id), mark, span, out);
        if let Some(trace) = self.traces.get_mut(key) {
            trace.class = stronger(trace.class, class);
            let _ = trace.absorb(facts, at, &self.items, &mut self.spare);
            if trace.totals.spans > self.policies.config.span_limit {
                trace.stop_counting(&mut self.spare);
            }
        }
        if class.is_some() {
            self.resurrect(key, out);
        } else {
            out.late.held += 1;
            self.bound_hold(out);
        }
    }

    fn resurrect(&mut self, key: Key, out: &mut Outcome<S>) {
        let Some(trace) = self.traces.get(key) else { return };
        let (id, totals, bytes) = (trace.id, trace.totals, trace.bytes);
        let wait = self.now.saturating_sub(trace.began);
        let whole = !trace.lacks_a_parent(&self.items) && trace.has_root();
        let standing = self.late_standing(Moment { complete: whole, spans: totals.spans, wait_ms: wait / 1_000_000 });
        out.late.resurrected += 1;
        self.announce(id, &standing, false, bytes, totals, out);
        self.leave_hold_books(key);
        let standing = self.release(key, standing, Trigger::Late, true, out);
        self.dropped.remove(id);
        let Some(trace) = self.remove(key) else { return };
        if let Some(standing) = standing {
            self.remember_kept(&trace, &standing);
        }
    }

    fn late_standing(&self, moment: Moment) -> Standing {
        Standing {
            policy: Arc::clone(self.policies.always_keep_name()),
            matched: Arc::default(),
            reason: Reason::LateKeep,
            threshold: Threshold::ALL,
            moment,
            reopened: false,
            shadow: None,
            stamped: false,
            settled: false,
        }
    }

    /// Writes down that a drop became a keep.
    fn announce(&self, id: TraceId, standing: &Standing, partial: bool, bytes: u64, totals: Totals, out: &mut Outcome<S>) {
        out.decisions.push(Decided {
            trace_id: id,
            decision: Decision::Keep,
            policy: Arc::clone(&standing.policy),
            matched: Arc::default(),
            reason: Reason::LateKeep,
            trigger: Trigger::Late,
            threshold: None,
            adjusted_count: None,
            complete: standing.moment.complete,
            partial,
            reopened: false,
            spans: totals.spans,
            bytes,
            wait: Duration::from_millis(standing.moment.wait_ms),
            totals,
            circumstances: Circumstances::default(),
        });
    }

    /// How tracestate is written on a late span; without a threshold nobody knows its probability.
    fn late_probability(&self, threshold: Option<Threshold>, made: Option<u64>) -> Probability {
        match threshold {
            Some(threshold) => probability(&self.policies, threshold, made, made.is_some()),
            None if self.policies.silent() => Probability::Untouched,
            None => Probability::Unknown,
        }
    }
}
