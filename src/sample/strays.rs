//! What waits long does not pin what it came with.
//!
//! A span is a place in the buffer of its request, and the buffer stays until its last span is gone. While most of it waits or is held that
//! costs nothing, and copying would. But the last trace of a request often waits thirty seconds for a span that never comes, and a
//! hundred others are gone after one. So soon after most are decided, and again at twice that age, somebody looks
//! whether its requests are mostly gone; spans of which that is so are copied together.

use crate::sample::arena::List;
use crate::sample::deadlines::{Key, Time};
use crate::sample::held::Held;
use crate::sample::sampler::Sampler;
use crate::sample::trace::{FEW, State};
use std::collections::VecDeque;

/// The first look at a trace: most are decided a second after their last span, and their requests then need no look.
const FIRST: Time = 1_250_000_000;

/// Looks fall together at multiples of this, so that what is copied shares buffers and nobody is woken for one trace.
const EVERY: Time = 250_000_000;

/// So much is copied into one buffer: large enough to make allocations rare, small enough to be no burden beside its copy.
const BUFFER: usize = 1 << 20;

/// So many emptied lists are kept.
const SPARE: usize = 8;

/// Traces by when to look at them.
#[derive(Debug, Default)]
pub(super) struct Looks {
    /// By period, ascending.
    batches: VecDeque<(u64, Vec<Key>)>,
    spare: Vec<Vec<Key>>,
}

impl Looks {
    /// `key` began to wait at `now`.
    pub(super) fn begin(&mut self, now: Time, key: Key) {
        self.at(now.saturating_add(FIRST), key);
    }

    /// When to look next.
    pub(super) fn next(&self) -> Option<Time> {
        self.batches.front().map(|(period, _)| period.saturating_mul(EVERY))
    }

    fn at(&mut self, due: Time, key: Key) {
        let period = due.div_ceil(EVERY);
        let at = self.batches.partition_point(|(other, _)| *other < period);
        match self.batches.get_mut(at) {
            Some((other, keys)) if *other == period => keys.push(key),
            _ => {
                let mut keys = self.spare.pop().unwrap_or_default();
                keys.push(key);
                self.batches.insert(at, (period, keys));
            }
        }
    }

    fn pop(&mut self, now: Time) -> Option<Vec<Key>> {
        self.next().filter(|&due| due <= now)?;
        self.batches.pop_front().map(|(_, keys)| keys)
    }

    fn give(&mut self, mut keys: Vec<Key>) {
        if self.spare.len() < SPARE {
            keys.clear();
            self.spare.push(keys);
        }
    }
}

impl<S: Held> Sampler<S> {
    /// Copies out what is left of requests that are mostly gone, as far as it is time to look.
    pub(super) fn look_for_strays(&mut self) {
        let (mut places, mut bytes) = (Vec::new(), 0);
        while let Some(keys) = self.looks.pop(self.now) {
            for &key in &keys {
                let Some(trace) = self.traces.get(key).filter(|trace| trace.state != State::Open) else { continue };
                // What was decided together came together, most of the time: the first span speaks for the few others.
                let first = self.items.get(trace.items.first).and_then(|node| node.item());
                let passes = trace.state == State::Held && trace.items.len <= FEW && first.is_some_and(|item| !item.is_stray());
                let list = if passes { List::default() } else { trace.items };
                for (at, item) in self.items.iter(list).filter_map(|(at, node)| Some((at, node.item()?))) {
                    if item.is_stray() {
                        places.push(at);
                        bytes += item.size();
                    }
                }
                let since = if trace.state == State::Held { trace.last } else { trace.began };
                let age = self.now.saturating_sub(since).max(FIRST);
                self.looks.at(self.now.saturating_add(age), key);
                if bytes >= BUFFER {
                    self.copy_out(&mut places);
                    bytes = 0;
                }
            }
            self.looks.give(keys);
        }
        self.copy_out(&mut places);
    }

    fn copy_out(&mut self, places: &mut Vec<u32>) {
        if !places.is_empty() {
            let budget = self.budget.as_ref();
            self.items.exchange(places, |items| S::detach(items, budget));
            places.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::deadlines::NEVER;

    fn key(at: u32) -> Key {
        Key { at, generation: 0 }
    }

    #[test]
    fn looks_fall_together_and_in_order() {
        let mut looks = Looks::default();
        looks.at(3 * EVERY, key(1));
        looks.at(EVERY + 1, key(2));
        looks.at(2 * EVERY, key(3));
        looks.at(2 * EVERY + 1, key(4));
        assert_eq!(looks.next(), Some(2 * EVERY));
        assert_eq!(looks.pop(2 * EVERY - 1), None);
        assert_eq!(looks.pop(2 * EVERY), Some(vec![key(2), key(3)]));
        assert_eq!(looks.pop(NEVER), Some(vec![key(1), key(4)]));
        assert_eq!((looks.pop(NEVER), looks.next()), (None, None));
    }
}
