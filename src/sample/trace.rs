//! What is known of one trace while it waits, streams, or is held after a drop.

use crate::enrich::facts::SpanFacts;
use crate::otlp::span::{SpanId, TraceId};
use crate::otlp::trace_state;
use crate::sample::arena::{Arena, List, NOWHERE};
use crate::sample::deadlines::{Key, NEVER, Time};
use crate::sample::links::{self, Links};
use crate::sample::outcome::{Decision, Reason, Trigger, Vote};
use crate::sample::patterns::Patterns;
use crate::sample::stamp::Moment;
use crate::sample::threshold::{self, Threshold};
use crate::sample::totals::Totals;
use crate::sample::watch::Bits;
use std::sync::Arc;

/// Up to so many spans are looked through one by one; above, a set keeps count of their ids.
pub(super) const FEW: u32 = 16;

/// So many emptied sets are kept for the next traces.
const SPARE_LINKS: usize = 64;

/// Where a trace stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Undecided.
    Pending,
    /// Kept before it was whole: spans pass, sums go on.
    Open,
    /// Dropped, and its items are still here.
    Held,
}

/// One trace.
#[derive(Debug)]
pub(super) struct Trace {
    pub(super) id: TraceId,
    /// Of how many traces in its place it is the one; with the place that is its key.
    generation: u32,
    pub(super) state: State,
    /// First span or, without one, first log record.
    pub(super) began: Time,
    /// Last span; when it was dropped, where it was.
    pub(super) last: Time,
    pub(super) timeout: Time,
    pub(super) root_since: Time,
    pub(super) root_due: Time,
    pub(super) complete_since: Time,
    pub(super) complete_due: Time,
    pub(super) items: List,
    pub(super) bytes: u64,
    /// Place of the first root.
    pub(super) root: u32,
    roots: u32,
    /// Place of the span that started first, and its start.
    earliest: u32,
    earliest_start: u64,
    pub(super) bits: Bits,
    pub(super) totals: Totals,
    /// Why it must not be dropped.
    pub(super) class: Option<Reason>,
    pub(super) ot: Probabilities,
    links: Option<Box<Links>>,
    /// The last six bits of span ids that are here, one bit each: most ids that are not here are told without a look at the spans.
    seen: u64,
    /// A parent that is not here, while spans are few; 0 where none is known.
    waits_for: u64,
    /// Whether there may be others that are not.
    others_missing: bool,
    /// Whether ids are still kept count of.
    counted: bool,
    /// It had been decided before, and forgotten.
    pub(super) returned: bool,
    /// It waits for a budget.
    pub(super) queued: bool,
    /// It is of the keep class, past its limit: decided like any other.
    pub(super) limited: bool,
    /// What repeats in it, where it has calls.
    pub(super) patterns: Option<Box<Patterns>>,
    pub(super) standing: Option<Box<Standing>>,
}

/// What tracestates say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probabilities {
    /// 56 bits, or `UNSAID`.
    randomness: u64,
    of_root: bool,
    /// The randomness was made here, and is written on what leaves.
    pub(super) made: bool,
    pub(super) disagree: bool,
    /// The largest threshold.
    pub(super) largest: u64,
}

/// No span named a randomness.
const UNSAID: u64 = u64::MAX;

/// A decision that stands while the trace goes on.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    pub(super) policy: Arc<str>,
    pub(super) matched: Arc<[Vote]>,
    pub(super) reason: Reason,
    pub(super) threshold: Threshold,
    pub(super) moment: Moment,
    pub(super) reopened: bool,
    /// What would have become of it, where that is another question.
    pub(super) shadow: Option<Decision>,
    /// Whether a span got the attributes of the decision.
    pub(super) stamped: bool,
    /// Dropped by a policy that outranks the keep class: nothing brings it back.
    pub(super) settled: bool,
}

impl Trace {
    pub(super) fn new(id: TraceId, now: Time, bits: Bits, returned: bool) -> Trace {
        Trace {
            id,
            generation: 0,
            state: State::Pending,
            began: now,
            last: now,
            timeout: NEVER,
            root_since: NEVER,
            root_due: NEVER,
            complete_since: NEVER,
            complete_due: NEVER,
            items: List::default(),
            bytes: 0,
            root: NOWHERE,
            roots: 0,
            earliest: NOWHERE,
            earliest_start: u64::MAX,
            bits,
            totals: Totals::default(),
            class: None,
            ot: Probabilities { randomness: UNSAID, of_root: false, made: false, disagree: false, largest: 0 },
            links: None,
            seen: 0,
            waits_for: 0,
            others_missing: false,
            counted: true,
            returned,
            queued: false,
            limited: false,
            patterns: None,
            standing: None,
        }
    }

    /// The deadline that comes first, and what it is. Of equal ones the most telling.
    pub(super) fn due(&self) -> (Time, Trigger) {
        let mut first = (self.complete_due, Trigger::Complete);
        for other in [(self.root_due, Trigger::Root), (self.timeout, Trigger::Timeout)] {
            if other.0 < first.0 {
                first = other;
            }
        }
        first
    }

    /// Whether it has no span, only log records.
    pub(super) fn logs_only(&self) -> bool {
        self.totals.spans == 0
    }

    pub(super) fn has_root(&self) -> bool {
        self.roots > 0
    }

    /// Whether its one root is here and so is every parent.
    pub(super) fn complete(&self) -> bool {
        self.complete_since != NEVER
    }

    /// The span that carries the attributes of the decision.
    pub(super) fn bearer(&self) -> u32 {
        if self.root == NOWHERE { self.earliest } else { self.root }
    }

    pub(super) fn randomness(&self) -> u64 {
        match self.ot.randomness {
            UNSAID => threshold::randomness(self.id.bytes()),
            said => said,
        }
    }

    /// Adds a span to the sums. `at` is its place, if it is held; whether its id is new.
    pub(super) fn absorb<S>(&mut self, facts: &SpanFacts, at: u32, arena: &Arena<S>, spare: &mut SpareLinks) -> bool {
        let (id, parent) = (number(facts.span_id), number(facts.parent_id));
        if parent == 0 {
            self.roots = self.roots.saturating_add(1);
            if self.roots == 1 {
                self.root = at;
            }
        }
        let id_first = || arena.get(self.earliest).is_none_or(|known| id < known.id);
        if self.logs_only() || facts.start < self.earliest_start || facts.start == self.earliest_start && id_first() {
            (self.earliest, self.earliest_start) = (at, facts.start);
        }
        let (new, whole) = self.connect(id, parent, at, arena, spare);
        if new {
            self.totals.add(facts);
            if Patterns::concern(facts) {
                self.patterns.get_or_insert_default().add(facts, &mut self.totals);
            }
        } else {
            self.totals.add_again(facts);
        }
        whole
    }

    /// Whether the id is new, and whether the trace is complete with this span.
    fn connect<S>(&mut self, id: u64, parent: u64, at: u32, arena: &Arena<S>, spare: &mut SpareLinks) -> (bool, bool) {
        if !self.counted {
            return (true, false);
        }
        if self.links.is_none() && self.items.len > FEW {
            self.count_ids(arena, at, spare);
        }
        if let Some(links) = &mut self.links {
            let new = links.add(id, parent);
            return (new, self.roots == 1 && links.whole());
        }
        // The spans of a trace lie far apart in memory: they are gone through only where that may change the answer.
        let bit = |id: u64| 1 << (id & 63);
        let among = |id: u64, but: u32| arena.iter(self.items).any(|(place, node)| place != but && node.id == id);
        let new = id == 0 || self.seen & bit(id) == 0 || !among(id, at);
        let seen = self.seen | if id == 0 { 0 } else { bit(id) };
        let under_root = || arena.get(self.root).is_some_and(|root| root.id == parent);
        let mut waits_for = if self.waits_for == id { 0 } else { self.waits_for };
        if self.others_missing {
            if self.roots == 1 && waits_for == 0 {
                waits_for = links::missing(arena.iter(self.items).map(|(_, node)| (node.id, node.parent))).unwrap_or(0);
                self.others_missing = waits_for != 0;
            }
        } else if parent != 0 && parent != waits_for && !(seen & bit(parent) != 0 && (under_root() || among(parent, NOWHERE))) {
            self.others_missing = waits_for != 0;
            waits_for = if waits_for == 0 { parent } else { waits_for };
        }
        (self.seen, self.waits_for) = (seen, waits_for);
        (new, self.roots == 1 && waits_for == 0 && !self.others_missing)
    }

    /// Goes over from looking through the spans to a set of their ids, all but that of the span at `except`.
    pub(super) fn count_ids<S>(&mut self, arena: &Arena<S>, except: u32, spare: &mut SpareLinks) {
        if self.links.is_some() || !self.counted {
            return;
        }
        let mut links = spare.0.pop().unwrap_or_default();
        for (_, node) in arena.iter(self.items).filter(|(at, node)| *at != except && !node.mark.log()) {
            links.add(node.id, node.parent);
        }
        self.links = Some(links);
    }

    /// Stops to keep count of ids: the trace is past every limit.
    pub(super) fn stop_counting(&mut self, spare: &mut SpareLinks) {
        self.counted = false;
        spare.give(self.links.take());
    }

    /// Gives up what is only needed until the decision.
    pub(super) fn settle(&mut self, spare: &mut SpareLinks) {
        spare.give(self.links.take());
    }

    /// Whether it holds a set of ids.
    #[cfg(test)]
    pub(super) fn counts_ids(&self) -> bool {
        self.links.is_some()
    }

    /// Whether a parent is spoken of that is not here.
    pub(super) fn lacks_a_parent<S>(&self, arena: &Arena<S>) -> bool {
        match &self.links {
            Some(links) => !links.whole(),
            // Past every limit nobody knows.
            None if !self.counted => true,
            None => links::missing(arena.iter(self.items).map(|(_, node)| (node.id, node.parent))).is_some(),
        }
    }
}

impl Probabilities {
    /// Whether a span names its randomness.
    pub(super) fn says(&self) -> bool {
        self.randomness != UNSAID
    }

    /// Gives the trace a randomness that no span names.
    pub(super) fn make(&mut self, randomness: u64) {
        (self.randomness, self.made) = (randomness, true);
    }

    /// Adds what one span says. `first_root`: it is the root that counts. Whether its tracestate parses.
    pub(super) fn add(&mut self, state: &[u8], first_root: bool) -> bool {
        if state.is_empty() {
            return true;
        }
        let Ok(ot) = trace_state::read(state) else { return false };
        self.largest = self.largest.max(ot.threshold.unwrap_or(0));
        if let Some(randomness) = ot.randomness {
            self.disagree |= self.randomness != UNSAID && self.randomness != randomness;
            self.randomness = match self.randomness {
                _ if first_root => randomness,
                known if self.of_root => known,
                // The smallest; what nobody said is larger than anything that can be said.
                known => known.min(randomness),
            };
            self.of_root |= first_root;
        }
        true
    }
}

/// Emptied sets of ids, so that a large trace does not begin with an allocation.
#[derive(Debug, Default)]
#[expect(clippy::vec_box, reason = "the boxes are what is used again")]
pub(super) struct SpareLinks(Vec<Box<Links>>);

impl SpareLinks {
    fn give(&mut self, links: Option<Box<Links>>) {
        if let Some(mut links) = links
            && self.0.len() < SPARE_LINKS
            && links.reset()
        {
            self.0.push(links);
        }
    }
}

/// A span id as a number, 0 for none.
pub(super) fn number(id: Option<SpanId>) -> u64 {
    id.map_or(0, |id| u64::from_be_bytes(*id.bytes()))
}

/// All traces, by place.
#[derive(Debug, Default)]
pub(super) struct Traces {
    slots: Vec<Option<Trace>>,
    /// Empty places, each with the generation of its next trace.
    free: Vec<Key>,
}

impl Traces {
    pub(super) fn insert(&mut self, mut trace: Trace) -> Key {
        let key = self.free.pop().unwrap_or(Key { at: self.slots.len() as u32, generation: 0 });
        trace.generation = key.generation;
        match self.slots.get_mut(key.at as usize) {
            Some(slot) => *slot = Some(trace),
            None => self.slots.push(Some(trace)),
        }
        key
    }

    /// Reads of a trace what a span of it will read; something of it, and its list.
    pub(super) fn touch(&self, at: u32) -> (u64, List) {
        let Some(Some(trace)) = self.slots.get(at as usize) else { return (0, List::default()) };
        // A value of every part, wherever the compiler put it.
        let read = trace.began ^ trace.last ^ trace.totals.spans ^ trace.totals.end ^ trace.totals.input_tokens ^ trace.seen ^ trace.bytes;
        let read = read ^ trace.ot.largest ^ trace.complete_due ^ trace.earliest_start ^ u64::from(trace.bits.has(0));
        (read, trace.items)
    }

    /// The id of the trace at a place.
    pub(super) fn id(&self, at: u32) -> Option<TraceId> {
        self.slots.get(at as usize)?.as_ref().map(|trace| trace.id)
    }

    pub(super) fn get(&self, key: Key) -> Option<&Trace> {
        self.slots.get(key.at as usize)?.as_ref().filter(|trace| trace.generation == key.generation)
    }

    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut Trace> {
        self.slots.get_mut(key.at as usize)?.as_mut().filter(|trace| trace.generation == key.generation)
    }

    pub(super) fn remove(&mut self, key: Key) -> Option<Trace> {
        let trace = self.slots.get_mut(key.at as usize)?.take_if(|trace| trace.generation == key.generation)?;
        // Whoever still has the key finds nothing.
        self.free.push(Key { generation: key.generation.wrapping_add(1), ..key });
        Some(trace)
    }
}
