//! Randomness that is made here, and fingerprints: what is read from the attributes of a trace at its decision.
//!
//! A hash of an attribute instead of the trace id lets all traces of one conversation share one fate, on every replica, because the key
//! of the hash stands in the config. It is written on what is kept, so that whoever samples next goes by the same number. Where
//! somebody sampled on the trace id before, another number would make both probabilities wrong.

use crate::otlp::span::{Any, KeyValue, TraceId};
use crate::otlp::trace_state;
use crate::sample::deadlines::Key;
use crate::sample::held::{Held, Place};
use crate::sample::outcome::Outcome;
use crate::sample::policies::{Given, Rules};
use crate::sample::sampler::Sampler;
use crate::sample::samplers::Method;
use crate::sample::threshold::{self, Threshold};
use crate::sample::watch::placed;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fmt::Write;

/// So much of a value makes a difference in a fingerprint.
const MAX_VALUE: usize = 200;

impl<S: Held> Sampler<S> {
    /// Gives a trace the randomness that the config asks for.
    pub(super) fn make_randomness(&mut self, key: Key, out: &mut Outcome<S>) {
        let config = &self.policies.config;
        if config.group_by.is_none() && !config.hash_randomness {
            return;
        }
        let Some(trace) = self.traces.get(key).filter(|trace| !trace.ot.made) else { return };
        // Of several conversations in one trace the first in the alphabet: the order of arrival must not decide.
        let group = config.group_by.as_deref().and_then(|by| self.values(key, by).into_iter().next());
        if trace.ot.says() || trace.ot.largest > 0 {
            out.grouping_skipped += u64::from(group.is_some());
            return;
        }
        let made = match group {
            Some(group) => hash(&config.hash_seed, b"group", group.as_bytes()),
            None if config.hash_randomness => hash(&config.hash_seed, b"trace", trace.id.bytes()),
            None => return,
        };
        if let Some(trace) = self.traces.get_mut(key) {
            trace.ot.make(made);
        }
    }

    /// The randomness that a late span of a trace was given, as far as the span tells.
    pub(super) fn made_for(&self, id: TraceId, span: &S) -> Option<u64> {
        let config = &self.policies.config;
        if config.group_by.is_none() && !config.hash_randomness {
            return None;
        }
        let ot = trace_state::read(span.context().0).ok()?;
        if ot.randomness.is_some() || ot.threshold.is_some_and(|threshold| threshold > 0) {
            return None;
        }
        let group = config.group_by.as_deref().and_then(|by| first(span, by));
        match group {
            Some(group) => Some(hash(&config.hash_seed, b"group", group.as_bytes())),
            None => config.hash_randomness.then(|| hash(&config.hash_seed, b"trace", id.bytes())),
        }
    }

    /// Counts a trace where it may be rare, and marks it where it is.
    pub(super) fn mark_rare(&mut self, key: Key) {
        for at in 0..self.policies.rares.len() {
            let Some(rare) = self.policies.rares.get(at) else { return };
            let fingerprint = self.fingerprint(key, &rare.keys);
            if rare.admits(&fingerprint, self.instant())
                && let Some(trace) = self.traces.get_mut(key)
            {
                trace.bits.set(rare.bit);
            }
        }
    }

    /// Asks the adaptive policies that match a trace for its threshold, and lets them learn of it.
    pub(super) fn learn(&mut self, key: Key, rules: &Rules) -> Given {
        let mut given = Given::new();
        if !rules.adaptive {
            return given;
        }
        for (at, rule) in rules.list.iter().enumerate() {
            let Method::Adaptive(adaptive) = &rule.method else { continue };
            let Some(trace) = self.traces.get(key) else { break };
            if !rule.when.holds(&self.evidence(trace)) {
                continue;
            }
            let (spans, fingerprint) = (trace.totals.spans, self.fingerprint(key, &adaptive.keys));
            let rates = self.learned.rates(&rule.key, adaptive, self.now);
            rates.adjust(self.now, self.shards);
            let rate = rates.rate(&fingerprint);
            rates.count(&fingerprint, spans);
            let threshold = Threshold::from_percentage(rate * 100.0, self.policies.config.tracestate.precision);
            given.push((at, threshold.unwrap_or(Threshold::NONE)));
        }
        given
    }

    /// The values of these attributes in a trace, as one text.
    fn fingerprint(&self, key: Key, attributes: &[String]) -> String {
        let mut out = String::new();
        for attribute in attributes {
            for value in self.values(key, attribute) {
                out.push_str(&value);
                out.push('\u{1f}');
            }
            out.push('\u{1e}');
        }
        out
    }

    /// The different values of an attribute over the spans of a trace that are here, sorted.
    fn values(&self, key: Key, attribute: &str) -> BTreeSet<String> {
        let items = self.traces.get(key).map(|trace| trace.items).unwrap_or_default();
        let spans = self.items.iter(items).filter(|(_, node)| !node.mark.log()).filter_map(|(_, node)| node.item());
        spans.filter_map(|span| first(span, attribute)).collect()
    }
}

/// The value of an attribute of a span: where it is found first, on the span, its resource or its scope.
fn first(span: &impl Held, attribute: &str) -> Option<String> {
    let (only, name) = placed(attribute);
    let mut found = None;
    span.attributes(&mut |place: Place, pair: KeyValue<'_>| {
        if found.is_none() && pair.key == name.as_bytes() && only.is_none_or(|only| only == place) {
            found = text(pair.any());
        }
    });
    found
}

/// A plain value as text.
fn text(value: Any<'_>) -> Option<String> {
    let mut out = String::new();
    match value {
        Any::Str(text) => out.extend(text.chars().take(MAX_VALUE)),
        Any::Bool(value) => write!(out, "{value}").ok()?,
        Any::Int(value) => write!(out, "{value}").ok()?,
        Any::Double(value) => write!(out, "{value}").ok()?,
        Any::None | Any::Array(_) | Any::Kvlist(_) | Any::Bytes(_) => return None,
    }
    Some(out)
}

/// 56 bits that everybody with the same seed gets for the same bytes.
fn hash(seed: &str, domain: &[u8], bytes: &[u8]) -> u64 {
    let digest = Sha256::new()
        .chain_update(domain)
        .chain_update((seed.len() as u64).to_be_bytes())
        .chain_update(seed)
        .chain_update(bytes)
        .finalize();
    let low: [u8; 8] = digest.first_chunk().copied().unwrap_or_default();
    u64::from_be_bytes(low) & (threshold::MAX - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_depends_on_seed_kind_and_value_alone() {
        assert_eq!(hash("s", b"group", b"a"), hash("s", b"group", b"a"));
        assert_ne!(hash("s", b"group", b"a"), hash("t", b"group", b"a"));
        assert_ne!(hash("s", b"group", b"a"), hash("s", b"trace", b"a"));
        assert_ne!(hash("ab", b"group", b"c"), hash("a", b"group", b"bc"));
        // A number that must not change: replicas of different versions have to agree.
        assert_eq!(hash("", b"group", b"conversation-1") >> 56, 0);
    }
}
