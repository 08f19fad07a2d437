//! What samplers learn while they run: how full budgets are, and how frequent each fingerprint is.
//!
//! It belongs to the shard and not to the policies, by the name of the policy, so a reload that leaves a sampler as it is leaves
//! what it learned. Limits and goals of the config are for the process: a shard has its part of them.

use crate::sample::samplers::{Adaptive, Goal, Limit};
use crate::sample::threshold::Threshold;
use ahash::RandomState;
use std::collections::HashMap;
use std::sync::Arc;

/// Nanoseconds in a second: levels are kept in parts of a unit times a nanosecond, so that nothing is rounded.
const NANOS: i128 = 1_000_000_000;

/// Spans of an interval below which a fingerprint is forgotten.
const FAINT: f64 = 0.05;

/// Everything learned in one shard.
#[derive(Debug, Default)]
pub(super) struct Learned {
    buckets: HashMap<Arc<str>, Bucket, RandomState>,
    rates: HashMap<Arc<str>, Rates, RandomState>,
}

impl Learned {
    /// The bucket of a budget. Another limit under the same name begins anew.
    pub(super) fn bucket(&mut self, name: &Arc<str>, limit: Limit, shards: u64, now: u64) -> &mut Bucket {
        let bucket = self.buckets.entry(Arc::clone(name)).or_insert_with(|| Bucket::full(limit, shards, now));
        if bucket.limit != limit || bucket.shards != shards {
            *bucket = Bucket::full(limit, shards, now);
        }
        bucket.fill(now);
        bucket
    }

    /// The rates of an adaptive sampler. Another fingerprint under the same name begins anew, another goal does not.
    pub(super) fn rates(&mut self, name: &Arc<str>, adaptive: &Arc<Adaptive>, now: u64) -> &mut Rates {
        let rates = self.rates.entry(Arc::clone(name)).or_insert_with(|| Rates::new(adaptive, now));
        if rates.adaptive != *adaptive {
            if rates.adaptive.keys != adaptive.keys {
                *rates = Rates::new(adaptive, now);
            }
            rates.adaptive = Arc::clone(adaptive);
        }
        rates
    }

    /// Takes a keep-class trace under its limit; false where the limit is used up.
    pub(super) fn within(&mut self, class: &Arc<str>, limit: Limit, spans: u64, shards: u64, now: u64) -> bool {
        let bucket = self.bucket(class, limit, shards, now);
        let within = bucket.level > 0;
        if within {
            bucket.charge(spans.saturating_mul(limit.unit.parts()));
        }
        within
    }

    /// Forgets what no policy uses any more.
    pub(super) fn retain(&mut self, used: impl Fn(&str) -> bool) {
        self.buckets.retain(|name, _| used(name));
        self.rates.retain(|name, _| used(name));
    }
}

/// What is left of a budget.
#[derive(Debug)]
pub(super) struct Bucket {
    limit: Limit,
    shards: u64,
    level: i128,
    at: u64,
}

impl Bucket {
    fn full(limit: Limit, shards: u64, now: u64) -> Bucket {
        let mut new = Bucket { limit, shards: shards.max(1), level: 0, at: now };
        new.level = new.capacity();
        new
    }

    fn capacity(&self) -> i128 {
        i128::from(self.limit.burst) * NANOS / i128::from(self.shards)
    }

    fn fill(&mut self, now: u64) {
        let passed = i128::from(now.saturating_sub(self.at));
        self.at = self.at.max(now);
        let more = i128::from(self.limit.per_second) * passed / i128::from(self.shards);
        self.level = self.level.saturating_add(more).min(self.capacity());
    }

    /// What must be there for a cost to be admitted: all of it, but never more than there can be. So what is larger than the
    /// burst is admitted alone, when the bucket is full.
    pub(super) fn needed(&self, cost: u64) -> i128 {
        (i128::from(cost) * NANOS).min(self.capacity())
    }

    /// What there is.
    pub(super) fn level(&self) -> i128 {
        self.level
    }

    /// Takes a cost; the level may go below zero.
    pub(super) fn charge(&mut self, cost: u64) {
        self.level = self.level.saturating_sub(i128::from(cost) * NANOS);
    }
}

/// One trace that a budget is asked about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// Its place in the list of the caller.
    pub(super) at: usize,
    pub(super) randomness: u64,
    /// Settles the order of equal randomness.
    pub(super) id: u128,
    /// In parts of the unit of the budget.
    pub(super) cost: u64,
    /// Whether another policy keeps it anyway.
    pub(super) free: bool,
}

/// Spends a budget on these traces, highest randomness first, up to the first that does not fit. The threshold that says so: it
/// holds for every trace asked about.
pub(super) fn spend(bucket: &mut Bucket, asked: &mut [Asked]) -> Threshold {
    asked.sort_unstable_by_key(|one| std::cmp::Reverse((one.randomness, one.id)));
    // Whether a trace fits must not depend on the order of those before it, or the threshold would not be honest: debts of what
    // is larger than the burst are counted behind the walk.
    let (mut left, mut spent) = (bucket.level(), 0u64);
    let mut threshold = Threshold::ALL;
    for one in asked.iter().filter(|one| !one.free) {
        let needed = bucket.needed(one.cost);
        if needed > left && one.cost > 0 {
            threshold = Threshold::from_bits(one.randomness + 1);
            break;
        }
        left -= needed;
        spent = spent.saturating_add(one.cost);
    }
    bucket.charge(spent);
    threshold
}

/// Rates by fingerprint.
#[derive(Debug)]
pub(super) struct Rates {
    adaptive: Arc<Adaptive>,
    keys: HashMap<u64, Key, RandomState>,
    /// Spans of fingerprints past the limit.
    others: f64,
    adjusted: u64,
    learned: bool,
    /// The rate of what is not known.
    goal: f64,
    hasher: RandomState,
}

#[derive(Clone, Copy, Debug, Default)]
struct Key {
    /// Spans since the last adjustment.
    now: f64,
    /// Moving average of spans in one interval.
    average: f64,
    /// None until the first adjustment.
    rate: Option<f64>,
}

impl Rates {
    fn new(adaptive: &Arc<Adaptive>, now: u64) -> Rates {
        let goal = match adaptive.goal {
            Goal::Share(share) => share,
            Goal::Rate { initial, .. } => initial,
        };
        let adaptive = Arc::clone(adaptive);
        Rates { adaptive, keys: HashMap::default(), others: 0.0, adjusted: now, learned: false, goal, hasher: RandomState::new() }
    }

    /// The part that is kept of traces with this fingerprint.
    pub(super) fn rate(&self, fingerprint: &str) -> f64 {
        self.keys.get(&self.hasher.hash_one(fingerprint)).and_then(|key| key.rate).unwrap_or(self.goal)
    }

    /// Counts a trace.
    pub(super) fn count(&mut self, fingerprint: &str, spans: u64) {
        let hash = self.hasher.hash_one(fingerprint);
        if self.keys.len() >= self.adaptive.max_keys && !self.keys.contains_key(&hash) {
            self.others += spans as f64;
        } else {
            self.keys.entry(hash).or_default().now += spans as f64;
        }
    }

    /// Works the rates out anew, once an interval.
    pub(super) fn adjust(&mut self, now: u64, shards: u64) {
        let interval = u64::try_from(self.adaptive.interval.as_nanos()).unwrap_or(u64::MAX).max(1);
        let passed = now.saturating_sub(self.adjusted);
        if passed < interval {
            return;
        }
        self.adjusted = now;
        // A quiet sampler is asked late: what came in several intervals is brought to one.
        let scale = interval as f64 / passed as f64;
        // The first time there is no average yet.
        let weight = if self.learned { self.adaptive.weight } else { 1.0 };
        let blend = |average: f64, now: f64, known: bool| if known { weight * now * scale + (1.0 - weight) * average } else { now * scale };
        let mut keys: Vec<&mut Key> = self.keys.values_mut().collect();
        for key in &mut keys {
            key.average = blend(key.average, key.now, key.rate.is_some());
            key.now = 0.0;
        }
        // What equals is equally large, so the seeded order of the map changes no sum.
        keys.sort_unstable_by(|a, b| a.average.total_cmp(&b.average));
        let others = std::mem::take(&mut self.others) * scale;
        let all = keys.iter().map(|key| key.average).sum::<f64>() + others;
        let seconds = self.adaptive.interval.as_secs_f64();
        let goal = match self.adaptive.goal {
            Goal::Share(share) => share,
            Goal::Rate { spans_per_second, .. } if all > 0.0 => (spans_per_second / shards as f64 * seconds / all).min(1.0),
            Goal::Rate { .. } => self.goal,
        };
        self.goal = goal;
        self.learned = true;
        // Each key has a part of the spans by the logarithm of its size; what a small one does not need goes to those after it.
        let mut spans = (all - others) * goal;
        let part = |key: &Key| (1.0 + key.average).ln();
        let mut parts: f64 = keys.iter().map(|key| part(key)).sum();
        for key in keys {
            let share = if parts > 0.0 { spans * part(key) / parts } else { 0.0 };
            let kept = share.min(key.average);
            parts -= part(key);
            spans -= kept;
            // A rate of nothing would be no probability: a fingerprint that came is never given up for good.
            key.rate = Some(if key.average > 0.0 { (kept / key.average).clamp(1e-6, 1.0) } else { goal });
        }
        self.keys.retain(|_, key| key.average >= FAINT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::samplers::Unit;
    use std::time::Duration;

    const SECOND: u64 = 1_000_000_000;

    fn limit(per_second: u64, burst: u64) -> Limit {
        Limit { unit: Unit::Spans, per_second: per_second * 1_000_000, burst: burst * 1_000_000, within: Threshold::ALL }
    }

    fn asked(randomness: u64, cost: u64) -> Asked {
        Asked { at: 0, randomness, id: 0, cost: cost * 1_000_000, free: false }
    }

    #[test]
    fn the_walk_stops_at_the_first_that_does_not_fit() {
        let mut learned = Learned::default();
        let bucket = learned.bucket(&"b".into(), limit(10, 10), 1, 0);
        let mut list = [asked(1, 1), asked(9, 4), asked(5, 7), asked(7, 4)];
        // 9 and 7 take eight, 5 does not fit, and 1, which would, is behind it.
        assert_eq!(spend(bucket, &mut list), Threshold::from_bits(6));
        assert_eq!(bucket.level(), 2_000_000 * NANOS);
        let bucket = learned.bucket(&"b".into(), limit(10, 10), 1, SECOND / 2);
        assert_eq!(bucket.level(), 7_000_000 * NANOS);
        assert_eq!(spend(bucket, &mut [asked(1, 7)]), Threshold::ALL);
    }

    #[test]
    fn what_is_kept_anyway_is_free() {
        let mut learned = Learned::default();
        let bucket = learned.bucket(&"b".into(), limit(10, 10), 1, 0);
        let mut list = [Asked { free: true, ..asked(9, 100) }, asked(5, 10)];
        assert_eq!(spend(bucket, &mut list), Threshold::ALL);
    }

    #[test]
    fn what_is_larger_than_the_burst_goes_alone_and_leaves_a_debt() {
        let mut learned = Learned::default();
        let bucket = learned.bucket(&"b".into(), limit(10, 20), 1, 0);
        assert_eq!(spend(bucket, &mut [asked(9, 50), asked(5, 1)]), Threshold::from_bits(6));
        assert_eq!(bucket.level(), -30_000_000 * NANOS);
        let bucket = learned.bucket(&"b".into(), limit(10, 20), 1, 5 * SECOND);
        assert_eq!(bucket.level(), 20_000_000 * NANOS, "never more than the burst");
    }

    #[test]
    fn a_shard_has_its_part_and_another_limit_begins_anew() {
        let mut learned = Learned::default();
        let name: Arc<str> = "b".into();
        assert_eq!(learned.bucket(&name, limit(10, 20), 4, 0).level(), 5_000_000 * NANOS);
        learned.bucket(&name, limit(10, 20), 4, 0).charge(5_000_000);
        assert_eq!(learned.bucket(&name, limit(10, 20), 4, 0).level(), 0);
        assert_eq!(learned.bucket(&name, limit(10, 40), 4, 0).level(), 10_000_000 * NANOS);
        learned.retain(|_| false);
        assert!(learned.buckets.is_empty());
    }

    fn adaptive(goal: Goal) -> Arc<Adaptive> {
        Arc::new(Adaptive { goal, keys: vec!["k".into()], interval: Duration::from_secs(1), weight: 0.5, max_keys: 3 })
    }

    #[test]
    fn what_is_rare_is_kept_and_the_goal_is_met_over_all() {
        let mut rates = Rates::new(&adaptive(Goal::Share(0.1)), 0);
        assert_eq!(rates.rate("new"), 0.1);
        let traffic = [("a", 10_000u64), ("b", 1_000), ("c", 3)];
        for (key, spans) in traffic {
            rates.count(key, spans);
        }
        // More fingerprints than there is room for share the rate of the goal.
        rates.count("d", 50);
        rates.adjust(SECOND, 1);
        assert_eq!((rates.rate("c"), rates.rate("d")), (1.0, 0.1));
        assert!(rates.rate("a") < rates.rate("b"));
        let kept: f64 = traffic.iter().map(|(key, spans)| rates.rate(key) * *spans as f64).sum();
        assert!((kept - 1100.3).abs() < 1.0, "{kept}");
    }

    #[test]
    fn a_throughput_is_met_and_follows_what_comes() {
        let mut rates = Rates::new(&adaptive(Goal::Rate { spans_per_second: 100.0, initial: 0.1 }), 0);
        assert_eq!(rates.rate("a"), 0.1);
        for second in 1..=20 {
            rates.count("a", 1_000);
            rates.count("b", 1_000);
            rates.adjust(second * SECOND, 2);
        }
        // Two shards: each has half of the goal.
        assert!((rates.rate("a") - 0.025).abs() < 1e-6, "{}", rates.rate("a"));
        for second in 21..=40 {
            rates.count("a", 20);
            rates.adjust(second * SECOND, 2);
        }
        assert_eq!((rates.rate("a"), rates.rate("b")), (1.0, 1.0), "b was forgotten, and all of what is left fits");
    }

    #[test]
    fn learned_rates_stay_where_only_the_goal_changes() {
        let (mut learned, name): (_, Arc<str>) = (Learned::default(), "p".into());
        let first = adaptive(Goal::Share(0.1));
        let rates = learned.rates(&name, &first, 0);
        rates.count("a", 1);
        rates.count("b", 999);
        rates.adjust(SECOND, 1);
        let before = rates.rate("a");
        assert_eq!(before, 1.0);
        assert_eq!(learned.rates(&name, &adaptive(Goal::Share(0.2)), SECOND).rate("a"), before);
        let other = Arc::new(Adaptive { keys: vec!["other".into()], ..(*first).clone() });
        assert_eq!(learned.rates(&name, &other, SECOND).rate("a"), 0.1);
    }
}
