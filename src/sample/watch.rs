//! What is asked of every span as it arrives.
//!
//! Attributes are read once, while the span is still in the cache of the processor, and what the policies need of them is a few bits of
//! the trace. Where no policy asks for attributes none is looked at.

use crate::otlp::span::KeyValue;
use crate::sample::conditions::{AttributeTest, Condition, Seen, SpanTest, Test};
use crate::sample::held::{Held, Place};
use ahash::RandomState;
use std::collections::HashMap;
use std::sync::Arc;

/// A set of small numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bits {
    first: u64,
    /// For those from 64 on; most configs need none.
    more: Box<[u64]>,
}

impl Bits {
    /// A set that can hold numbers below `count`.
    pub(super) fn new(count: usize) -> Bits {
        Bits { first: 0, more: vec![0; count.div_ceil(64).saturating_sub(1)].into() }
    }

    pub(super) fn has(&self, number: u16) -> bool {
        let word = match usize::from(number / 64) {
            0 => Some(&self.first),
            n => self.more.get(n - 1),
        };
        word.is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    pub(super) fn set(&mut self, number: u16) {
        let word = match usize::from(number / 64) {
            0 => Some(&mut self.first),
            n => self.more.get_mut(n - 1),
        };
        if let Some(word) = word {
            *word |= 1 << (number % 64);
        }
    }

    fn clear(&mut self) {
        self.first = 0;
        self.more.fill(0);
    }
}

/// The tests of single spans, and the bits of a trace that come of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Watch {
    /// Conditions that have a test already, each with its number.
    known: Vec<Condition>,
    plain: Vec<(u16, Arc<dyn SpanTest>)>,
    attributes: Vec<Wanted>,
    /// Attribute tests by key without its place.
    keys: HashMap<Box<[u8]>, Vec<u16>, RandomState>,
    /// Lengths of keys, one bit each; longer ones share the last.
    lengths: u64,
    bits: Vec<Rule>,
}

#[derive(Clone, Debug)]
struct Wanted {
    number: u16,
    place: Option<Place>,
    test: Arc<dyn AttributeTest>,
}

/// What sets one bit of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// A span meets this test.
    Any(u16),
    /// One span meets, or does not meet, each of these.
    Same(Vec<(u16, bool)>),
    /// The root does.
    Root(Vec<(u16, bool)>),
}

/// Room to work in, so that a span needs no allocation.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    met: Bits,
    /// The place in which each attribute test found its key.
    found: Vec<Option<Place>>,
}

impl Watch {
    /// The number of a condition of single spans, the same one for equal conditions.
    pub(super) fn number(&mut self, condition: &Condition, test: &Test) -> Option<u16> {
        if let Some(known) = self.known.iter().position(|k| k == condition) {
            return u16::try_from(known).ok();
        }
        let number = u16::try_from(self.known.len()).ok()?;
        match test {
            Test::Attribute { key, test, .. } => {
                let (place, name) = placed(key);
                self.keys.entry(name.as_bytes().into()).or_default().push(u16::try_from(self.attributes.len()).ok()?);
                self.lengths |= length_bit(name.len());
                self.attributes.push(Wanted { number, place, test: Arc::clone(test) });
            }
            Test::Span(test) => self.plain.push((number, Arc::clone(test))),
            Test::Always | Test::Trace(_) => return None,
        }
        self.known.push(condition.clone());
        Some(number)
    }

    /// The bit that `rule` sets.
    pub(super) fn bit(&mut self, rule: Rule) -> Option<u16> {
        if let Some(known) = self.bits.iter().position(|r| *r == rule) {
            return u16::try_from(known).ok();
        }
        self.bits.push(rule);
        u16::try_from(self.bits.len() - 1).ok()
    }

    /// The keys of all attributes that are read, without the place in front.
    pub(super) fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.keys.keys().map(|key| &**key)
    }

    /// A trace's bits before any span.
    pub(super) fn bits(&self) -> Bits {
        Bits::new(self.bits.len())
    }

    /// Room for these tests.
    pub(super) fn scratch(&self) -> Scratch {
        Scratch { met: Bits::new(self.known.len()), found: vec![None; self.attributes.len()] }
    }

    /// Sets the bits of a trace that this span sets.
    pub(super) fn see(&self, seen: &Seen<'_>, span: &impl Held, scratch: &mut Scratch, bits: &mut Bits) {
        if self.bits.is_empty() {
            return;
        }
        scratch.met.clear();
        if !self.attributes.is_empty() {
            scratch.found.fill(None);
            span.attributes(&mut |place, pair| self.attribute(place, pair, scratch));
        }
        for (number, test) in &self.plain {
            if test.holds(seen) {
                scratch.met.set(*number);
            }
        }
        let met = |tests: &[(u16, bool)]| tests.iter().all(|&(number, wanted)| scratch.met.has(number) == wanted);
        for (bit, rule) in (0..).zip(&self.bits) {
            let holds = match rule {
                Rule::Any(number) => scratch.met.has(*number),
                Rule::Same(tests) => met(tests),
                Rule::Root(tests) => seen.mark.root() && met(tests),
            };
            if holds {
                bits.set(bit);
            }
        }
    }

    #[inline]
    fn attribute(&self, place: Place, pair: KeyValue<'_>, scratch: &mut Scratch) {
        if self.lengths & length_bit(pair.key.len()) == 0 {
            return;
        }
        let Some(wanted) = self.keys.get(pair.key) else { return };
        for &at in wanted {
            let (Some(wanted), Some(found)) = (self.attributes.get(usize::from(at)), scratch.found.get_mut(usize::from(at))) else {
                continue;
            };
            // A key counts where it is found first: on the span, else on the resource, else on the scope.
            let here = wanted.place.is_none_or(|only| only == place) && found.is_none_or(|first| first == place);
            if here {
                *found = Some(place);
                if wanted.test.holds(pair.any()) {
                    scratch.met.set(wanted.number);
                }
            }
        }
    }
}

fn length_bit(length: usize) -> u64 {
    1 << length.min(63)
}

/// `resource.service.name` is `service.name`, on the resource only.
fn placed(key: &str) -> (Option<Place>, &str) {
    for (prefix, place) in [("span.", Place::Span), ("resource.", Place::Resource), ("scope.", Place::Scope)] {
        if let Some(name) = key.strip_prefix(prefix) {
            return (Some(place), name);
        }
    }
    (None, key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_past_the_first_word_are_kept_apart() {
        let mut bits = Bits::new(130);
        for n in [0, 63, 64, 129] {
            assert!(!bits.has(n));
            bits.set(n);
            assert!(bits.has(n));
        }
        assert!(!bits.has(1) && !bits.has(65) && !bits.has(128) && !bits.has(4000));
        bits.clear();
        assert_eq!(bits, Bits::new(130));
    }

    #[test]
    fn a_place_in_front_of_a_key_is_not_part_of_it() {
        assert_eq!(placed("resource.service.name"), (Some(Place::Resource), "service.name"));
        assert_eq!(placed("span.http.route"), (Some(Place::Span), "http.route"));
        assert_eq!(placed("service.name"), (None, "service.name"));
    }
}
