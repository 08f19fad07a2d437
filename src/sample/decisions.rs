//! Recent decisions, for whoever asks what became of a trace.
//!
//! The caches that late spans are judged by belong to their shards. This is a copy for people: shared, bounded, and a little poorer
//! the further back one asks.

use crate::otlp::span::TraceId;
use crate::sample::outcome::{Decided, Decision, Reason, Trigger};
use crate::sample::remembered::{Recall, Remembered};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
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
    answers: Mutex<Remembered<Answer>>,
    /// Where its time begins: with the first decision.
    epoch: OnceLock<Instant>,
}

impl Decisions {
    /// Room for `capacity` decisions, each for `ttl`. A decision that changes takes a second place.
    pub fn new(capacity: usize, ttl: Duration) -> Decisions {
        // An answer is still one at the very end of its time.
        let answers = Remembered::new(capacity.max(1), milliseconds(ttl).saturating_add(1));
        Decisions(Arc::new(Inner { answers: Mutex::new(answers), epoch: OnceLock::new() }))
    }

    /// Adds the decisions of one step.
    pub fn record(&self, decisions: &[Decided], now: Instant) {
        if decisions.is_empty() {
            return;
        }
        let at = self.time(now);
        let mut answers = self.0.answers.lock().unwrap_or_else(PoisonError::into_inner);
        for decided in decisions {
            answers.insert(decided.trace_id, answer(decided, now), at);
        }
    }

    /// What was decided about a trace, if that is still known.
    pub fn find(&self, id: TraceId, now: Instant) -> Option<Answer> {
        match self.0.answers.lock().unwrap_or_else(PoisonError::into_inner).recall(id, self.time(now)) {
            Recall::Known(answer, _) => Some(answer),
            Recall::Forgotten | Recall::Unknown => None,
        }
    }

    fn time(&self, now: Instant) -> u64 {
        milliseconds(now.saturating_duration_since(*self.0.epoch.get_or_init(|| now)))
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
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
        assert!(decisions.find(TraceId::new(&[2; 16]).unwrap(), now).is_none());
    }
}
