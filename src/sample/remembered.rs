//! Decisions by trace id, oldest forgotten first.
//!
//! Millions of them are remembered, so an entry is a record in a ring and four bytes of a hash table that points at it; a
//! general map with a queue beside it would store every id twice. A record past its time is no longer an answer, but it stays
//! for as long again: then a trace that comes back can be told from a new one.

use crate::otlp::span::TraceId;
use ahash::RandomState;
use std::collections::VecDeque;

/// A free place in the table.
const FREE: u32 = u32::MAX;

/// What is known of a trace id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recall<E> {
    /// Decided, with its age in milliseconds.
    Known(E, u64),
    /// Was decided, so long ago that it no longer counts.
    Forgotten,
    /// Never seen, or forgotten for good.
    Unknown,
}

#[derive(Clone, Copy, Debug)]
struct Record<E> {
    id: TraceId,
    /// Milliseconds, of which 2^32 are 49 days; a time to live is far shorter.
    at: u32,
    live: bool,
    entry: E,
}

/// A bounded memory of decisions.
#[derive(Debug)]
pub(super) struct Remembered<E> {
    ring: VecDeque<Record<E>>,
    /// Number of the first record in the ring; wraps.
    base: u32,
    /// Numbers of records, open addressing, a power of two long.
    table: Vec<u32>,
    live: usize,
    capacity: usize,
    ttl: u32,
    seed: RandomState,
    /// Entries that were pushed out before their time.
    pub(super) premature: u64,
}

impl<E: Clone> Remembered<E> {
    /// Room for `capacity` decisions, each valid for `ttl` milliseconds.
    pub(super) fn new(capacity: usize, ttl: u64) -> Remembered<E> {
        let seed = RandomState::new();
        let mut new = Remembered { ring: VecDeque::new(), base: 0, table: Vec::new(), live: 0, capacity: 0, ttl: 0, seed, premature: 0 };
        new.resize(capacity, ttl);
        new
    }

    /// Changes the limits; what is remembered stays as far as it fits.
    pub(super) fn resize(&mut self, capacity: usize, ttl: u64) {
        self.capacity = capacity.min(1 << 30);
        self.ttl = u32::try_from(ttl).unwrap_or(u32::MAX).min(u32::MAX / 4);
        while self.ring.len() > self.capacity {
            self.pop();
        }
    }

    /// Number of decisions remembered.
    pub(super) fn len(&self) -> usize {
        self.live
    }

    /// Bytes it takes.
    pub(super) fn memory(&self) -> usize {
        self.ring.len() * size_of::<Record<E>>() + self.table.len() * size_of::<u32>()
    }

    /// Remembers a decision, in place of an older one for the same id.
    pub(super) fn insert(&mut self, id: TraceId, entry: E, now: u64) {
        if self.capacity == 0 {
            return;
        }
        self.remove(id);
        self.expire(now);
        while self.ring.len() >= self.capacity {
            if let Some(oldest) = self.ring.front()
                && oldest.live
                && self.age(oldest.at, now) < self.ttl
            {
                self.premature += 1;
            }
            self.pop();
        }
        if (self.live + 1) * 2 > self.table.len() {
            self.rebuild((self.live + 1) * 4);
        }
        let mut number = self.base.wrapping_add(self.ring.len() as u32);
        // The number that marks a free place is never given out.
        if number == FREE {
            self.renumber();
            number = self.ring.len() as u32;
        }
        self.ring.push_back(Record { id, at: now as u32, live: true, entry });
        self.place(id, number);
        self.live += 1;
    }

    /// What was decided for `id`.
    pub(super) fn recall(&self, id: TraceId, now: u64) -> Recall<E> {
        match self.find(id).and_then(|(_, number)| self.record(number)) {
            Some(record) if self.age(record.at, now) < self.ttl => Recall::Known(record.entry.clone(), u64::from(self.age(record.at, now))),
            Some(_) => Recall::Forgotten,
            None => Recall::Unknown,
        }
    }

    /// Changes what is remembered of `id`, not when it was decided.
    pub(super) fn update(&mut self, id: TraceId, change: impl FnOnce(&mut E)) {
        if let Some((_, number)) = self.find(id)
            && let Some(record) = self.ring.get_mut(number.wrapping_sub(self.base) as usize)
        {
            change(&mut record.entry);
        }
    }

    /// Forgets `id`.
    pub(super) fn remove(&mut self, id: TraceId) {
        if let Some((at, number)) = self.find(id) {
            self.free(at);
            if let Some(record) = self.ring.get_mut(number.wrapping_sub(self.base) as usize) {
                record.live = false;
            }
            self.live -= 1;
        }
    }

    /// Lets go of what is past twice its time.
    pub(super) fn expire(&mut self, now: u64) {
        while self.ring.front().is_some_and(|oldest| !oldest.live || self.age(oldest.at, now) >= self.ttl.saturating_mul(2)) {
            self.pop();
        }
    }

    fn age(&self, at: u32, now: u64) -> u32 {
        (now as u32).wrapping_sub(at)
    }

    fn record(&self, number: u32) -> Option<&Record<E>> {
        self.ring.get(number.wrapping_sub(self.base) as usize)
    }

    fn pop(&mut self) {
        let Some((id, live)) = self.ring.front().map(|oldest| (oldest.id, oldest.live)) else { return };
        if live && let Some((at, _)) = self.find(id) {
            self.free(at);
            self.live -= 1;
        }
        self.ring.pop_front();
        self.base = self.base.wrapping_add(1);
        if self.base == FREE {
            self.renumber();
        }
    }

    fn slot(&self, id: TraceId) -> usize {
        self.seed.hash_one(id) as usize & (self.table.len() - 1)
    }

    fn find(&self, id: TraceId) -> Option<(usize, u32)> {
        if self.table.is_empty() {
            return None;
        }
        let mut at = self.slot(id);
        // At least half of the places are free, so this ends.
        loop {
            match self.table.get(at).copied() {
                None | Some(FREE) => return None,
                Some(number) if self.record(number).is_some_and(|r| r.id == id) => return Some((at, number)),
                Some(_) => at = (at + 1) & (self.table.len() - 1),
            }
        }
    }

    fn place(&mut self, id: TraceId, number: u32) {
        let mut at = self.slot(id);
        while self.table.get(at).is_some_and(|&taken| taken != FREE) {
            at = (at + 1) & (self.table.len() - 1);
        }
        if let Some(free) = self.table.get_mut(at) {
            *free = number;
        }
    }

    /// Frees a place and moves up what was pushed behind it, so that no search stops short.
    fn free(&mut self, mut hole: usize) {
        let mask = self.table.len() - 1;
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let number = self.table.get(at).copied().unwrap_or(FREE);
            let Some(record) = (number != FREE).then(|| self.record(number)).flatten() else { break };
            let home = self.slot(record.id);
            // It may move where the hole is not in front of its own place, counted around the end.
            if at.wrapping_sub(home) & mask >= at.wrapping_sub(hole) & mask {
                if let Some(place) = self.table.get_mut(hole) {
                    *place = number;
                }
                hole = at;
            }
        }
        if let Some(place) = self.table.get_mut(hole) {
            *place = FREE;
        }
    }

    fn rebuild(&mut self, places: usize) {
        let places = places.next_power_of_two().max(16);
        self.table.clear();
        self.table.resize(places, FREE);
        let entries: Vec<(TraceId, u32)> = (self.base..).zip(&self.ring).filter(|(_, r)| r.live).map(|(n, r)| (r.id, n)).collect();
        entries.into_iter().for_each(|(id, number)| self.place(id, number));
    }

    fn renumber(&mut self) {
        self.ring.retain(|record| record.live);
        self.base = 0;
        self.rebuild(self.table.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn id(n: u32) -> TraceId {
        TraceId::new(&(u128::from(n) + 1).to_be_bytes()).unwrap()
    }

    #[test]
    fn the_oldest_goes_first_and_going_early_is_counted() {
        let mut cache = Remembered::new(2, 1000);
        for n in 0..3 {
            cache.insert(id(n), n, u64::from(n));
        }
        assert_eq!(cache.recall(id(0), 3), Recall::Unknown);
        assert_eq!(cache.recall(id(1), 3), Recall::Known(1, 2));
        assert_eq!((cache.premature, cache.len()), (1, 2));
    }

    #[test]
    fn a_decision_ends_with_its_ttl_and_a_hit_does_not_prolong_it() {
        let mut cache = Remembered::new(10, 1000);
        cache.insert(id(1), (), 0);
        assert_eq!(cache.recall(id(1), 999), Recall::Known((), 999));
        assert_eq!(cache.recall(id(1), 1000), Recall::Forgotten);
        cache.expire(1999);
        assert_eq!(cache.recall(id(1), 1999), Recall::Forgotten);
        cache.expire(2000);
        assert_eq!(cache.recall(id(1), 2000), Recall::Unknown);
        assert_eq!(cache.premature, 0);
    }

    #[test]
    fn numbers_that_run_out_start_again() {
        let mut cache = Remembered::new(4, u64::MAX);
        cache.base = FREE - 3;
        for n in 0..20 {
            cache.insert(id(n), n, 0);
            assert_eq!(cache.recall(id(n), 0), Recall::Known(n, 0));
        }
        assert_eq!(cache.len(), 4);
    }

    proptest! {
        #[test]
        fn it_remembers_what_a_map_would(ops in proptest::collection::vec((0u8..3, 0u32..40), 0..400)) {
            let mut cache = Remembered::new(1000, 1_000_000);
            let mut map = HashMap::new();
            for (now, (op, key)) in ops.into_iter().enumerate() {
                match op {
                    0 => { cache.insert(id(key), now, 0); map.insert(key, now); }
                    1 => { cache.remove(id(key)); map.remove(&key); }
                    _ => { cache.update(id(key), |e| *e += 1); map.entry(key).and_modify(|e| *e += 1); }
                }
                prop_assert_eq!(cache.len(), map.len());
                for key in 0..40 {
                    let expected = map.get(&key).map_or(Recall::Unknown, |&e| Recall::Known(e, 0));
                    prop_assert_eq!(cache.recall(id(key), 0), expected);
                }
            }
        }
    }
}
