//! Recent decisions, for whoever asks what became of a trace.
//!
//! The caches that late spans are judged by belong to their shards. This is a copy for people: shared, bounded, and a little poorer
//! the further back one asks.

use crate::otlp::span::TraceId;
use crate::otlp::trace_state::threshold_digits;
use crate::sample::outcome::{Circumstances, Decided, Decision, Reason, Says, Trigger, Vote};
use crate::sample::remembered::{Recall, Remembered};
use crate::sample::threshold::Threshold;
use crate::sample::totals::Totals;
use crate::units::Usd;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// What is known of one decided trace.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Keep or drop.
    pub decision: Decision,
    /// The policy that decided, or a reserved name.
    pub policy: Arc<str>,
    /// Every policy that matched, and what it said.
    pub matched: Arc<[Vote]>,
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
    /// Some of the sums over its spans at the decision.
    pub facts: Facts,
    /// What the decision was made among.
    pub circumstances: Circumstances,
    /// When it was decided.
    pub at: Instant,
}

/// What is kept of the sums: many answers are held.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Facts {
    cost: Usd,
    input_tokens: u64,
    output_tokens: u64,
    llm_calls: u32,
    truncated_spans: u32,
    errors: [u32; 3],
    retries: u32,
    tool_repeats: u32,
}

impl Facts {
    fn of(totals: &Totals) -> Facts {
        let small = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        Facts {
            cost: totals.cost,
            input_tokens: totals.input_tokens,
            output_tokens: totals.output_tokens,
            llm_calls: small(totals.llm_calls),
            truncated_spans: small(totals.truncated_spans),
            errors: [totals.errors_transient, totals.errors_permanent, totals.errors_unknown].map(small),
            retries: totals.retries,
            tool_repeats: totals.tool_repeats,
        }
    }
}

impl Answer {
    /// As the admin port gives it: what was decided, what every policy said, and what was known of the trace.
    pub fn to_json(&self, trace: TraceId, now: Instant) -> Value {
        let Circumstances { randomness, policies, shadow } = &self.circumstances;
        let says = |vote: &Vote| match vote.says {
            Says::Drop => ("drop", None),
            Says::Nothing => ("not asked", None),
            Says::Keep(threshold) => (if randomness.is_some_and(|r| r < threshold) { "drop" } else { "keep" }, Some(threshold)),
        };
        let one = |name: &Arc<str>| match self.matched.iter().find(|vote| vote.policy == *name).map(says) {
            None => json!({ "policy": &**name, "matched": false }),
            Some((says, threshold)) => json!({
                "policy": &**name,
                "matched": true,
                "says": says,
                "percentage": threshold.map(|threshold| 100.0 / Threshold::from_bits(threshold).adjusted_count()),
            }),
        };
        let facts = &self.facts;
        json!({
            "trace_id": trace.to_string(),
            "decision": self.decision.as_str(),
            "policy": &*self.policy,
            "reason": self.reason.as_str(),
            "trigger": self.trigger.as_str(),
            "matched": self.matched.iter().map(|vote| &*vote.policy).collect::<Vec<_>>(),
            "policies": policies.iter().map(one).collect::<Vec<_>>(),
            "shadow": shadow.as_ref().map(|shadow| json!({ "policy": &*shadow.policy, "decision": shadow.decision.as_str() })),
            "spans": self.spans,
            "complete": self.complete,
            "partial": self.partial,
            "wait_ms": self.wait.as_millis() as u64,
            "threshold": self.threshold.map(threshold_digits),
            "randomness": randomness.map(|randomness| format!("{randomness:014x}")),
            "cost_usd": facts.cost.to_string(),
            "input_tokens": facts.input_tokens,
            "output_tokens": facts.output_tokens,
            "llm_calls": facts.llm_calls,
            "truncated_spans": facts.truncated_spans,
            "errors": { "transient": facts.errors[0], "permanent": facts.errors[1], "unknown": facts.errors[2] },
            "retries": facts.retries,
            "tool_repeats": facts.tool_repeats,
            "seconds_ago": now.saturating_duration_since(self.at).as_secs(),
        })
    }
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
        facts: Facts::of(&decided.totals),
        circumstances: decided.circumstances.clone(),
        at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::outcome::decided;

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
    fn an_answer_says_what_every_policy_said() {
        let now = Instant::now();
        let vote = |name: &str, says| Vote { policy: name.into(), says };
        let answer = Answer {
            matched: [vote("a", Says::Keep(1 << 55)), vote("b", Says::Drop), vote("d", Says::Keep(0))].into(),
            circumstances: Circumstances { randomness: Some(5), policies: ["a", "b", "c", "d"].map(Arc::from).into(), shadow: None },
            ..answer(&decided(1, Decision::Drop), now)
        };
        let json = answer.to_json(TraceId::new(&[1; 16]).unwrap(), now + Duration::from_secs(3));
        let expected = json!([
            { "policy": "a", "matched": true, "says": "drop", "percentage": 50.0 },
            { "policy": "b", "matched": true, "says": "drop", "percentage": null },
            { "policy": "c", "matched": false },
            { "policy": "d", "matched": true, "says": "keep", "percentage": 100.0 },
        ]);
        assert_eq!((&json["policies"], &json["seconds_ago"], &json["randomness"]), (&expected, &json!(3), &json!("00000000000005")));
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
