//! One account for every byte that traffic occupies.
//!
//! Memory is bounded by admission: whoever holds traffic holds a [`Charge`] for the capacity it pins, and a request
//! that does not fit is refused while its sender still owns it. A charge is given back when it is dropped, so no path
//! can forget to.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The account. Cheap to clone; all clones are one account.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Account>);

#[derive(Debug)]
struct Account {
    limit: AtomicUsize,
    used: AtomicUsize,
}

/// Bytes taken from a [`Budget`] until dropped.
#[derive(Debug)]
pub struct Charge {
    budget: Budget,
    bytes: usize,
}

impl Budget {
    /// An account of `limit` bytes.
    pub fn new(limit: usize) -> Budget {
        Budget(Arc::new(Account { limit: AtomicUsize::new(limit), used: AtomicUsize::new(0) }))
    }

    /// Takes `bytes`, or `None` where they would exceed the limit.
    pub fn try_charge(&self, bytes: usize) -> Option<Charge> {
        let limit = self.limit();
        self.0
            .used
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| used.checked_add(bytes).filter(|&sum| sum <= limit))
            .ok()
            .map(|_| Charge { budget: self.clone(), bytes })
    }

    /// Takes `bytes` whatever the limit says: for what was accepted already and only changes its form.
    pub fn charge(&self, bytes: usize) -> Charge {
        self.0.used.fetch_add(bytes, Ordering::AcqRel);
        Charge { budget: self.clone(), bytes }
    }

    /// Bytes in use.
    pub fn used(&self) -> usize {
        self.0.used.load(Ordering::Acquire)
    }

    /// The limit in bytes.
    pub fn limit(&self) -> usize {
        self.0.limit.load(Ordering::Acquire)
    }

    /// Changes the limit; what is held already stays held.
    pub fn set_limit(&self, limit: usize) {
        self.0.limit.store(limit, Ordering::Release);
    }

    /// The part of the limit in use: 1.0 is full, more is what admitted traffic grew to.
    pub fn fill(&self) -> f64 {
        self.used() as f64 / self.limit().max(1) as f64
    }
}

impl Charge {
    /// Bytes it holds.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The account it is taken from.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Grows or shrinks to `bytes`, whatever the limit says.
    pub fn resize(&mut self, bytes: usize) {
        if bytes >= self.bytes {
            self.budget.0.used.fetch_add(bytes - self.bytes, Ordering::AcqRel);
        } else {
            self.budget.0.used.fetch_sub(self.bytes - bytes, Ordering::AcqRel);
        }
        self.bytes = bytes;
    }

    /// Grows to `bytes` if the limit allows it; never shrinks.
    pub fn try_grow(&mut self, bytes: usize) -> bool {
        if bytes <= self.bytes {
            return true;
        }
        match self.budget.try_charge(bytes - self.bytes) {
            Some(more) => {
                self.merge(more);
                true
            }
            None => false,
        }
    }

    /// Takes over what `other` holds.
    pub fn merge(&mut self, mut other: Charge) {
        self.bytes += std::mem::take(&mut other.bytes);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.0.used.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_and_costs_nothing() {
        let budget = Budget::new(100);
        let held = budget.try_charge(60).unwrap();
        assert!(budget.try_charge(41).is_none());
        assert_eq!(budget.used(), 60);
        assert!(budget.try_charge(40).is_some());
        drop(held);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn a_charge_that_grew_or_was_merged_is_given_back_whole() {
        let budget = Budget::new(100);
        let mut charge = budget.charge(10);
        charge.resize(90);
        assert!(!charge.try_grow(101));
        charge.merge(budget.charge(20));
        assert_eq!((budget.used(), charge.bytes()), (110, 110));
        charge.resize(5);
        assert_eq!(budget.used(), 5);
        drop(charge);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn a_sum_past_the_machine_word_does_not_wrap_into_a_yes() {
        let budget = Budget::new(usize::MAX);
        let _held = budget.charge(1);
        assert!(budget.try_charge(usize::MAX).is_none());
    }
}
