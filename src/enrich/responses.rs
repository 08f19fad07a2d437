//! Which span of an answer came first.
//!
//! Two spans of one call may be siblings, or roots of different traces: then only the id of the response tells that they are one.

use crate::otlp::span::{SpanId, TraceId};
use ahash::RandomState;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a response id is remembered: two spans of one call end within moments, and are exported within seconds.
pub(crate) const RESPONSE_LIFETIME: Duration = Duration::from_secs(300);

/// How many response ids are remembered, at some sixty bytes each.
const MAX_RESPONSES: usize = 100_000;

/// Response ids are spread over so many locks, so that shards seldom wait for each other.
const LOCKS: usize = 32;

/// A span that owns a response, in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Owner {
    trace: u64,
    span: u64,
}

/// Response ids that have an owner, shared by all shards because two spans of one call can be in different traces.
#[derive(Debug)]
pub(crate) struct Responses {
    parts: [Mutex<Part>; LOCKS],
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct Part {
    owners: HashMap<u64, Owner, BuildHasherDefault<Hashed>>,
    order: VecDeque<(Instant, u64)>,
}

impl Default for Responses {
    fn default() -> Responses {
        Responses { parts: Default::default(), hasher: RandomState::new() }
    }
}

impl Responses {
    /// The number of a response of a provider to a service.
    pub(crate) fn number(&self, service: &str, provider: &str, id: &str) -> u64 {
        self.hasher.hash_one((service, provider, id))
    }

    fn owner_of(&self, trace: TraceId, span: SpanId) -> Owner {
        Owner { trace: self.hasher.hash_one(trace), span: self.hasher.hash_one((trace, span)) }
    }

    fn part(&self, response: u64) -> MutexGuard<'_, Part> {
        // The highest bits: the maps use the others.
        let at = (response >> 59) as usize % LOCKS;
        self.parts[at].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where it is asked who owns a response.
pub(crate) enum Answers<'r> {
    /// Among all traces, at this time.
    All(&'r Responses, Instant),
    /// In one trace, whose hashes are those of the others.
    Here(&'r Responses, &'r mut HashMap<u64, u64>),
}

impl Answers<'_> {
    /// Enters a span as the owner of a response, unless another is: then whether that one is of another trace.
    pub(crate) fn claim(&mut self, response: u64, trace: TraceId, span: SpanId) -> Option<bool> {
        match self {
            Answers::All(responses, now) => {
                let claimant = responses.owner_of(trace, span);
                let mut part = responses.part(response);
                while let Some((entered, old)) = part.order.front().copied()
                    && (part.order.len() >= MAX_RESPONSES / LOCKS || now.saturating_duration_since(entered) > RESPONSE_LIFETIME)
                {
                    part.owners.remove(&old);
                    part.order.pop_front();
                }
                match part.owners.get(&response) {
                    Some(owner) => (*owner != claimant).then_some(owner.trace != claimant.trace),
                    None => {
                        part.owners.insert(response, claimant);
                        part.order.push_back((*now, response));
                        None
                    }
                }
            }
            Answers::Here(responses, owners) => {
                let claimant = responses.owner_of(trace, span).span;
                let owner = *owners.entry(response).or_insert(claimant);
                (owner != claimant).then_some(false)
            }
        }
    }

    /// Whether a response has an owner: then whether that one is of another trace.
    pub(crate) fn owned(&self, response: u64, trace: TraceId) -> Option<bool> {
        match self {
            Answers::All(responses, _) => {
                let owner = responses.part(response).owners.get(&response).copied();
                owner.map(|owner| owner.trace != responses.hasher.hash_one(trace))
            }
            Answers::Here(_, owners) => owners.contains_key(&response).then_some(false),
        }
    }
}

/// Keys that are hashes already, of a seed nobody knows.
#[derive(Debug, Default)]
pub(crate) struct Hashed(u64);

impl Hasher for Hashed {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_span_owns_and_is_told_from_others() {
        let (responses, now) = (Responses::default(), Instant::now());
        let (trace, other) = (TraceId::new(&[1; 16]).unwrap(), TraceId::new(&[2; 16]).unwrap());
        let span = |n: u8| SpanId::new(&[n; 8]).unwrap();
        let id = responses.number("shop", "openai", "r");
        let mut all = Answers::All(&responses, now);
        assert_eq!((all.owned(id, trace), all.claim(id, trace, span(1)), all.owned(id, trace)), (None, None, Some(false)));
        assert_eq!(all.claim(id, trace, span(1)), None, "the same span again");
        assert_eq!((all.claim(id, trace, span(2)), all.claim(id, other, span(1))), (Some(false), Some(true)));
        let mut here = HashMap::new();
        let mut here = Answers::Here(&responses, &mut here);
        assert_eq!((here.claim(id, trace, span(2)), here.claim(id, trace, span(1))), (None, Some(false)));
    }

    #[test]
    fn memory_is_bounded() {
        let (responses, now) = (Responses::default(), Instant::now());
        let (trace, span) = (TraceId::new(&[1; 16]).unwrap(), SpanId::new(&[1; 8]).unwrap());
        let mut answers = Answers::All(&responses, now);
        for n in 1..=(MAX_RESPONSES as u64 + 5000) {
            answers.claim(n.wrapping_mul(0x9E37_79B9_7F4A_7C15), trace, span);
        }
        let remembered: usize = responses.parts.iter().map(|part| part.lock().unwrap().owners.len()).sum();
        assert!(remembered <= MAX_RESPONSES);
    }
}
