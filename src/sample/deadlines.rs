//! When something is due.
//!
//! Nearly every deadline is "now plus one of a few waits", so each wait has a queue that is sorted by itself. What does not fit that
//! (extensions, a reload) goes to a heap. A trace has one entry, its earliest deadline as it was when it was entered: the queues are lists
//! threaded through an array with a place for each trace, so that entering another deadline takes the old one out, and a trace that is
//! gone leaves nothing behind.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Nanoseconds since the sampler began.
pub(super) type Time = u64;

/// No deadline.
pub(super) const NEVER: Time = Time::MAX;

/// A place that may have been given to somebody else since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) at: u32,
    pub(super) generation: u32,
}

/// No neighbour.
const END: u32 = u32::MAX;

/// In no queue.
const OUT: u32 = u32::MAX;

/// In the heap.
const ODD: u32 = u32::MAX - 1;

/// The entry of one place.
#[derive(Clone, Copy, Debug)]
struct Entry {
    due: Time,
    generation: u32,
    queue: u32,
    before: u32,
    behind: u32,
}

impl Entry {
    const NONE: Entry = Entry { due: NEVER, generation: 0, queue: OUT, before: END, behind: END };
}

#[derive(Debug)]
struct Queue {
    wait: Time,
    first: u32,
    last: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Odd {
    due: Time,
    /// Settles the order of what is due at the same time: first come, first served.
    number: u64,
    key: Key,
}

/// Queues by wait, and a heap for the rest.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    queues: Vec<Queue>,
    entries: Vec<Entry>,
    odd: BinaryHeap<Reverse<Odd>>,
    entered: u64,
}

impl Deadlines {
    /// `key` is due `wait` after `now`, which must not go back, and no longer when it was; the deadline.
    pub(super) fn after(&mut self, now: Time, wait: Time, key: Key) -> Time {
        self.take_out(key.at);
        let due = now.saturating_add(wait);
        let queue = self.queue(wait);
        let before = std::mem::replace(&mut self.queues[queue].last, key.at);
        match self.entries.get_mut(before as usize) {
            Some(last) => last.behind = key.at,
            None => self.queues[queue].first = key.at,
        }
        self.enter(key.at, Entry { due, generation: key.generation, queue: queue as u32, before, behind: END });
        due
    }

    /// `key` is due at any time, and no longer when it was.
    pub(super) fn at(&mut self, due: Time, key: Key) {
        self.take_out(key.at);
        self.entered += 1;
        self.odd.push(Reverse(Odd { due, number: self.entered, key }));
        self.enter(key.at, Entry { due, generation: key.generation, queue: ODD, ..Entry::NONE });
    }

    /// `key` is not due any more.
    pub(super) fn never(&mut self, key: Key) {
        if self.entries.get(key.at as usize).is_some_and(|entry| entry.generation == key.generation) {
            self.take_out(key.at);
        }
    }

    /// When a place is due, by its entry.
    pub(super) fn due(&self, at: u32) -> Time {
        self.entries.get(at as usize).map_or(NEVER, |entry| entry.due)
    }

    /// Adds the places that are due next and by `until`, at most so many of each queue.
    pub(super) fn coming(&self, until: Time, most: usize, out: &mut Vec<u32>) {
        for queue in &self.queues {
            let mut at = queue.first;
            for _ in 0..most {
                let Some(entry) = self.entries.get(at as usize).filter(|entry| entry.due <= until) else { break };
                out.push(std::mem::replace(&mut at, entry.behind));
            }
        }
    }

    /// The earliest deadline; of those in the heap, perhaps one that no longer counts.
    pub(super) fn next(&self) -> Option<Time> {
        let queued = self.queues.iter().filter_map(|queue| self.entries.get(queue.first as usize)).map(|entry| entry.due);
        queued.chain(self.odd.peek().map(|odd| odd.0.due)).min()
    }

    /// Takes out the next deadline that is not behind `now`, in order, and whose it is.
    pub(super) fn pop(&mut self, now: Time) -> Option<(Time, Key)> {
        loop {
            let queued = self.queues.iter().filter_map(|queue| Some((self.entries.get(queue.first as usize)?, queue.first)));
            let queued = queued.min_by_key(|(entry, _)| entry.due).map(|(entry, at)| (entry.due, Key { at, generation: entry.generation }));
            let odd = self.odd.peek().map(|odd| (odd.0.due, odd.0.key));
            let (due, key) = match (queued, odd) {
                (Some(queued), Some(odd)) if odd.0 < queued.0 => odd,
                (Some(queued), _) => queued,
                (None, odd) => odd?,
            };
            if due > now {
                return None;
            }
            if queued == Some((due, key)) {
                self.take_out(key.at);
                return Some((due, key));
            }
            self.odd.pop();
            let counts = |entry: &&Entry| entry.queue == ODD && (entry.due, entry.generation) == (due, key.generation);
            if self.entries.get(key.at as usize).filter(counts).is_some() {
                self.take_out(key.at);
                return Some((due, key));
            }
        }
    }

    /// The number of the queue of a wait.
    fn queue(&mut self, wait: Time) -> usize {
        if let Some(known) = self.queues.iter().position(|queue| queue.wait == wait) {
            return known;
        }
        let new = Queue { wait, first: END, last: END };
        match self.queues.iter().position(|queue| queue.first == END) {
            Some(empty) => {
                self.queues[empty] = new;
                empty
            }
            None => {
                self.queues.push(new);
                self.queues.len() - 1
            }
        }
    }

    fn enter(&mut self, at: u32, entry: Entry) {
        let at = at as usize;
        if at >= self.entries.len() {
            self.entries.resize(at + 1, Entry::NONE);
        }
        self.entries[at] = entry;
    }

    fn take_out(&mut self, at: u32) {
        let Some(entry) = self.entries.get_mut(at as usize).map(|entry| std::mem::replace(entry, Entry::NONE)) else { return };
        let Some(queue) = self.queues.get_mut(entry.queue as usize) else { return };
        match self.entries.get_mut(entry.before as usize) {
            Some(before) => before.behind = entry.behind,
            None => queue.first = entry.behind,
        }
        match self.entries.get_mut(entry.behind as usize) {
            Some(behind) => behind.before = entry.before,
            None => queue.last = entry.before,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(at: u32) -> Key {
        Key { at, generation: 0 }
    }

    #[test]
    fn deadlines_come_in_order_whatever_queue_they_are_in() {
        let mut due = Deadlines::default();
        due.after(0, 30, key(1));
        due.after(10, 5, key(2));
        due.at(20, key(3));
        due.after(25, 5, key(4));
        assert_eq!(due.next(), Some(15));
        assert_eq!(due.pop(14), None);
        let order: Vec<u32> = std::iter::from_fn(|| due.pop(100)).map(|(_, key)| key.at).collect();
        assert_eq!(order, [2, 3, 1, 4]);
        assert_eq!(due.next(), None);
    }

    #[test]
    fn a_wait_no_longer_used_leaves_no_queue_behind() {
        let mut due = Deadlines::default();
        for wait in 0..100 {
            due.after(wait, wait, key(0));
            assert!(due.pop(NEVER).is_some());
        }
        assert!(due.queues.len() <= 2);
    }

    #[test]
    fn who_has_gone_does_not_take_its_successor_out() {
        let mut due = Deadlines::default();
        due.after(0, 30, key(1));
        due.never(key(1));
        assert_eq!(due.next(), None);
        let heir = Key { at: 1, generation: 1 };
        due.after(0, 30, heir);
        due.never(key(1));
        assert_eq!(due.pop(30), Some((30, heir)));
    }

    proptest! {
        #[test]
        fn each_key_is_due_when_it_was_last_told(ops in proptest::collection::vec((0u8..5, 0u32..8, 0u64..40), 0..200)) {
            let (mut due, mut now) = (Deadlines::default(), 0);
            let mut expected = std::collections::BTreeMap::new();
            for (op, at, time) in ops {
                match op {
                    0 | 1 => { expected.insert(at, due.after(now, u64::from(op) * 10 + 5, key(at))); }
                    2 => { due.at(now + time, key(at)); expected.insert(at, now + time); }
                    3 => { due.never(key(at)); expected.remove(&at); }
                    _ => {
                        now += time;
                        let mut last = 0;
                        while let Some((when, key)) = due.pop(now) {
                            prop_assert!(when >= last && when <= now);
                            last = when;
                            prop_assert_eq!(expected.remove(&key.at), Some(when));
                        }
                        prop_assert!(expected.values().all(|&when| when > now), "{:?} at {}", expected, now);
                    }
                }
                let first = expected.values().min().copied();
                prop_assert!(due.next().unwrap_or(NEVER) <= first.unwrap_or(NEVER));
            }
        }
    }
}
