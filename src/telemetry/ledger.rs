//! Where every accepted item is: the books behind `tollgate_unaccounted_spans`.
//!
//! A stage reports what *it* counts (how many items it holds now, how many it let go), not what the books expect, and a report moves
//! everything it touches under one lock. So a scrape at any instant sees a sum that is either right or names a loss nobody
//! recorded. One report a batch, never one a span.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The books. Cheap to clone; all clones are one set of books.
#[derive(Clone, Debug, Default)]
pub struct Ledger(Arc<Mutex<Books>>);

/// A copy of the books at one instant. Items are spans, log records and metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Books {
    /// Accepted from senders.
    pub accepted: u64,
    /// On the way to a shard.
    pub in_transit: u64,
    /// Held undecided, by shard.
    pub held: Vec<u64>,
    /// Kept and on the way through redaction to the destinations.
    pub leaving: u64,
    /// Dropped by a recorded decision.
    pub dropped: u64,
    /// Lost before a destination had them, each with a counted reason.
    pub lost: u64,
    /// Handed to the destinations.
    pub forwarded: u64,
    /// One account per destination.
    pub destinations: Vec<Destination>,
}

/// What became of the items handed to one destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Destination {
    /// Handed to it since it exists.
    pub handed: u64,
    /// In its queue or in flight.
    pub waiting: u64,
    /// Acknowledged by the backend.
    pub sent: u64,
    /// Given up, with a counted reason.
    pub failed: u64,
    /// Refused by the backend for good, set aside.
    pub quarantined: u64,
}

/// What a shard did with a batch or a tick.
#[derive(Clone, Copy, Debug, Default)]
pub struct ShardReport {
    /// Items that arrived from the receivers.
    pub arrived: u64,
    /// Items it holds now.
    pub held: u64,
    /// Items it let go to be forwarded.
    pub kept: u64,
    /// Items it dropped by decision.
    pub dropped: u64,
    /// Items it lost, with a counted reason.
    pub lost: u64,
}

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, Books> {
        // The books are plain numbers: a panic elsewhere leaves nothing half done in them.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `items` were taken over from a sender.
    pub fn accept(&self, items: u64) {
        let mut books = self.lock();
        books.accepted += items;
        books.in_transit += items;
    }

    /// `items` were to be taken over and could not be: the sender keeps them.
    pub fn give_back(&self, items: u64) {
        let mut books = self.lock();
        books.accepted = books.accepted.saturating_sub(items);
        books.in_transit = books.in_transit.saturating_sub(items);
    }

    /// What shard number `shard` reports.
    pub fn shard(&self, shard: usize, report: ShardReport) {
        let mut books = self.lock();
        if books.held.len() <= shard {
            books.held.resize(shard + 1, 0);
        }
        books.in_transit = books.in_transit.saturating_sub(report.arrived);
        books.held[shard] = report.held;
        books.leaving += report.kept;
        books.dropped += report.dropped;
        books.lost += report.lost;
    }

    /// `items` skip the shards: metrics, and what no stage has to hold.
    pub fn pass(&self, items: u64) {
        let mut books = self.lock();
        books.in_transit = books.in_transit.saturating_sub(items);
        books.leaving += items;
    }

    /// `items` that were leaving are lost after all, with a counted reason.
    pub fn lose(&self, items: u64) {
        let mut books = self.lock();
        books.leaving = books.leaving.saturating_sub(items);
        books.lost += items;
    }

    /// Opens an account for one more destination; its number.
    pub fn open_destination(&self) -> usize {
        let mut books = self.lock();
        books.destinations.push(Destination::default());
        books.destinations.len() - 1
    }

    /// `items` are handed to the destinations numbered `to`, all at once.
    pub fn hand_over(&self, items: u64, to: &[usize]) {
        let mut books = self.lock();
        books.leaving = books.leaving.saturating_sub(items);
        books.forwarded += items;
        for &number in to {
            if let Some(destination) = books.destinations.get_mut(number) {
                destination.handed += items;
                destination.waiting += items;
            }
        }
    }

    /// `items` of destination `number` are settled; `waiting` is what its own queue counts now.
    pub fn settle(&self, number: usize, waiting: u64, sent: u64, failed: u64, quarantined: u64) {
        let mut books = self.lock();
        if let Some(destination) = books.destinations.get_mut(number) {
            destination.waiting = waiting;
            destination.sent += sent;
            destination.failed += failed;
            destination.quarantined += quarantined;
        }
    }

    /// A copy of the books.
    pub fn books(&self) -> Books {
        self.lock().clone()
    }

    /// Items nobody answers for; 0 unless something is wrong. Negative where an item was counted twice.
    pub fn unaccounted(&self) -> i64 {
        self.lock().unaccounted()
    }

    /// For the end of a test.
    ///
    /// # Panics
    /// Where the books do not balance.
    pub fn assert_balanced(&self) {
        let books = self.books();
        assert_eq!(books.unaccounted(), 0, "the books do not balance: {books:?}");
    }
}

impl Books {
    /// Items held by any shard.
    pub fn pending(&self) -> u64 {
        self.in_transit + self.held.iter().sum::<u64>() + self.leaving
    }

    fn unaccounted(&self) -> i64 {
        let known = self.pending() + self.dropped + self.lost + self.forwarded;
        let path = i128::from(self.accepted) - i128::from(known);
        let destinations =
            self.destinations.iter().map(|d| i128::from(d.handed) - i128::from(d.waiting + d.sent + d.failed + d.quarantined));
        // An excess at one place must not hide a loss at another.
        let worst = destinations.chain([path]).max_by_key(|n| n.unsigned_abs()).unwrap_or(0);
        i64::try_from(worst).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_somewhere_at_every_step() {
        let ledger = Ledger::default();
        let destination = ledger.open_destination();
        let step = |f: &dyn Fn(&Ledger)| {
            f(&ledger);
            ledger.assert_balanced();
        };
        step(&|l| l.accept(10));
        step(&|l| l.shard(1, ShardReport { arrived: 10, held: 6, kept: 3, dropped: 1, lost: 0 }));
        step(&|l| l.hand_over(3, &[destination]));
        step(&|l| l.settle(destination, 1, 1, 0, 1));
        step(&|l| l.settle(destination, 0, 0, 1, 0));
        step(&|l| l.shard(1, ShardReport { arrived: 0, held: 0, kept: 0, dropped: 5, lost: 1 }));
        assert_eq!(ledger.books().pending(), 0);
    }

    #[test]
    fn a_shard_that_holds_less_than_it_should_shows() {
        let ledger = Ledger::default();
        ledger.accept(10);
        ledger.shard(0, ShardReport { arrived: 10, held: 9, ..ShardReport::default() });
        assert_eq!(ledger.unaccounted(), 1);
    }

    #[test]
    fn a_destination_that_counts_twice_shows() {
        let ledger = Ledger::default();
        let destination = ledger.open_destination();
        ledger.accept(2);
        ledger.pass(2);
        ledger.hand_over(2, &[destination]);
        ledger.settle(destination, 0, 3, 0, 0);
        assert_eq!(ledger.unaccounted(), -1);
    }
}
