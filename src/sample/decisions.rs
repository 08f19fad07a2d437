//! Recent decisions, for whoever asks what became of a trace.
//!
//! The caches that late spans are judged by belong to their shards. This is a copy for people: shared, bounded, and a little poorer
//! the further back one asks.

use crate::otlp::span::TraceId;
use crate::sample::outcome::{Decided, Decision, Reason, Trigger};
use ahash::RandomState;
use dashmap::DashMap;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What is known of one decided trace.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Keep or drop.
    pub decision: Decision,
    /// The policy that decided, or a reserved name.
    pub policy: Arc<str>,
    /// Every policy that matched.
    pub matched: Arc<[Arc<str>]>,
    /// Why.
    pub reason: Reason,
    /// What ended the wait.
    pub trigger: Trigger,
    /// The threshold applied, 56 bits; none where the probability is not known.
    pub threshold: Option<u64>,
    /// Whether all spans were there.
    pub complete: bool,
    /// Whether only a part of it was kept.
    pub partial: bool,
    /// Spans held at the decision.
    pub spans: u64,
    /// First span to decision.
    pub wait: Duration,
    /// When it was decided.
    pub at: Instant,
}

/// The last decisions of all shards. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Decisions(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    answers: DashMap<TraceId, Answer, RandomState>,
    /// In the order they were made. A trace whose decision changed is in it twice; the earlier place is then empty.
    order: Mutex<VecDeque<(TraceId, Instant)>>,
    capacity: usize,
    ttl: Duration,
}

impl Decisions {
    /// Room for `capacity` decisions, each for `ttl`.
    pub fn new(capacity: usize, ttl: Duration) -> Decisions {
        let answers = DashMap::with_hasher(RandomState::new());
        Decisions(Arc::new(Inner { answers, order: Mutex::default(), capacity: capacity.max(1), ttl }))
    }

    /// Adds the decisions of one step.
    pub fn record(&self, decisions: &[Decided], now: Instant) {
        if decisions.is_empty() {
            return;
        }
        let mut order = self.0.order.lock().unwrap_or_else(PoisonError::into_inner);
        for decided in decisions {
            self.0.answers.insert(decided.trace_id, answer(decided, now));
            order.push_back((decided.trace_id, now));
        }
        let over = |at: Instant| now.saturating_duration_since(at) > self.0.ttl;
        while let Some(&(id, at)) = order.front() {
            if order.len() <= self.0.capacity && !over(at) {
                break;
            }
            order.pop_front();
            self.0.answers.remove_if(&id, |_, answer| answer.at <= at);
        }
    }

    /// What was decided about a trace, if that is still known.
    pub fn find(&self, id: TraceId, now: Instant) -> Option<Answer> {
        let answer = self.0.answers.get(&id)?;
        (now.saturating_duration_since(answer.at) <= self.0.ttl).then(|| answer.clone())
    }
}

fn answer(decided: &Decided, at: Instant) -> Answer {
    Answer {
        decision: decided.decision,
        policy: Arc::clone(&decided.policy),
        matched: Arc::clone(&decided.matched),
        reason: decided.reason,
        trigger: decided.trigger,
        threshold: decided.threshold,
        complete: decided.complete,
        partial: decided.partial,
        spans: decided.spans,
        wait: decided.wait,
        at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::totals::Totals;

    fn decided(n: u8, decision: Decision) -> Decided {
        Decided {
            trace_id: TraceId::new(&[n; 16]).unwrap(),
            decision,
            policy: "p".into(),
            matched: ["p".into()].into(),
            reason: Reason::Policy,
            trigger: Trigger::Complete,
            threshold: Some(0),
            adjusted_count: Some(1.0),
            complete: true,
            partial: false,
            reopened: false,
            spans: 3,
            bytes: 9,
            wait: Duration::from_secs(1),
            totals: Totals::default(),
        }
    }

    #[test]
    fn the_oldest_is_forgotten_first_and_a_changed_decision_is_the_last_one() {
        let (decisions, now) = (Decisions::new(2, Duration::from_secs(60)), Instant::now());
        let find = |n: u8, at| decisions.find(TraceId::new(&[n; 16]).unwrap(), at).map(|answer| answer.decision);
        decisions.record(&[decided(1, Decision::Drop)], now);
        let later = now + Duration::from_secs(1);
        decisions.record(&[decided(1, Decision::Keep)], later);
        assert_eq!(find(1, later), Some(Decision::Keep));
        decisions.record(&[decided(2, Decision::Drop)], later);
        // The first, outdated place of trace 1 made room for trace 2.
        assert_eq!(find(1, later), Some(Decision::Keep));
        decisions.record(&[decided(3, Decision::Drop)], later);
        assert_eq!((find(1, later), find(2, later)), (None, Some(Decision::Drop)));
    }

    #[test]
    fn an_answer_ends_with_its_time() {
        let (decisions, now) = (Decisions::new(9, Duration::from_secs(60)), Instant::now());
        decisions.record(&[decided(1, Decision::Drop)], now);
        let id = TraceId::new(&[1; 16]).unwrap();
        assert!(decisions.find(id, now + Duration::from_secs(60)).is_some());
        assert!(decisions.find(id, now + Duration::from_secs(61)).is_none());
        decisions.record(&[decided(2, Decision::Drop)], now + Duration::from_secs(61));
        assert_eq!(decisions.0.answers.len(), 1);
    }
}
