//! When something is due.
//!
//! Nearly every deadline is "now plus one of a few waits", so each wait has a queue that is sorted by itself. What does
//! not fit that (extensions, a reload) goes to a heap. Nothing is ever taken out early: whoever is told that something is due
//! checks whether it still is.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

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

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    due: Time,
    /// Settles the order of what is due at the same time: first come, first served.
    number: u64,
    key: Key,
}

/// Queues by wait, and a heap for the rest.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    queues: Vec<(Time, VecDeque<Entry>)>,
    odd: BinaryHeap<Reverse<Entry>>,
    entered: u64,
}

impl Deadlines {
    /// `key` is due `wait` after `now`, which must not go back; the deadline.
    pub(super) fn after(&mut self, now: Time, wait: Time, key: Key) -> Time {
        let entry = self.entry(now.saturating_add(wait), key);
        match self.queues.iter_mut().find(|(of, _)| *of == wait) {
            Some((_, queue)) => queue.push_back(entry),
            None => {
                self.queues.retain(|(_, queue)| !queue.is_empty());
                self.queues.push((wait, VecDeque::from([entry])));
            }
        }
        entry.due
    }

    /// `key` is due at any time.
    pub(super) fn at(&mut self, due: Time, key: Key) {
        let entry = self.entry(due, key);
        self.odd.push(Reverse(entry));
    }

    /// The earliest deadline, perhaps of something that is no longer due.
    pub(super) fn next(&self) -> Option<Time> {
        let queued = self.queues.iter().filter_map(|(_, queue)| queue.front()).map(|entry| entry.due);
        queued.chain(self.odd.peek().map(|entry| entry.0.due)).min()
    }

    /// The next deadline that is not behind `now`, in order, and whose it is.
    pub(super) fn pop(&mut self, now: Time) -> Option<(Time, Key)> {
        let queued = self.queues.iter().enumerate().filter_map(|(n, (_, queue))| queue.front().map(|entry| (*entry, Some(n))));
        let (entry, queue) = queued.chain(self.odd.peek().map(|entry| (entry.0, None))).min()?;
        if entry.due > now {
            return None;
        }
        match queue.and_then(|n| self.queues.get_mut(n)) {
            Some((_, queue)) => drop(queue.pop_front()),
            None => drop(self.odd.pop()),
        }
        Some((entry.due, entry.key))
    }

    fn entry(&mut self, due: Time, key: Key) -> Entry {
        self.entered += 1;
        Entry { due, number: self.entered, key }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
