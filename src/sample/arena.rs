//! Where held items lie: one growing array, threaded by lists.
//!
//! A list per trace would be an allocation per trace that grows with it. Here a span costs its own index entry and nothing else, and
//! what a dropped trace leaves is filled by the next one.

use crate::sample::totals::Mark;

/// No place.
pub(super) const NOWHERE: u32 = u32::MAX;

/// Places given back beyond this many are returned to the system once nothing is held.
const SPARE: usize = 4096;

/// One held item.
#[derive(Debug)]
pub(super) struct Node<S> {
    item: Option<S>,
    /// Span id as a number, 0 for none.
    pub(super) id: u64,
    /// Id of its parent, 0 for none.
    pub(super) parent: u64,
    next: u32,
    pub(super) mark: Mark,
}

impl<S> Node<S> {
    pub(super) fn item(&self) -> Option<&S> {
        self.item.as_ref()
    }
}

/// The items of one trace, in order of arrival.
#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    pub(super) first: u32,
    pub(super) last: u32,
    pub(super) len: u32,
}

impl Default for List {
    fn default() -> List {
        List { first: NOWHERE, last: NOWHERE, len: 0 }
    }
}

/// All held items.
#[derive(Debug)]
pub(super) struct Arena<S> {
    nodes: Vec<Node<S>>,
    free: u32,
    held: u64,
}

impl<S> Arena<S> {
    pub(super) fn new() -> Arena<S> {
        Arena { nodes: Vec::new(), free: NOWHERE, held: 0 }
    }

    /// Number of items held.
    pub(super) fn held(&self) -> u64 {
        self.held
    }

    /// Puts an item at the end of a list; its place.
    ///
    /// # Errors
    /// The item back, where four billion are held already.
    pub(super) fn push(&mut self, list: &mut List, item: S, id: u64, parent: u64, mark: Mark) -> Result<u32, S> {
        if self.free == NOWHERE && self.nodes.len() >= NOWHERE as usize {
            return Err(item);
        }
        let node = Node { item: Some(item), id, parent, next: NOWHERE, mark };
        let at = match self.nodes.get_mut(self.free as usize) {
            Some(place) => {
                let at = self.free;
                self.free = place.next;
                *place = node;
                at
            }
            None => {
                self.nodes.push(node);
                (self.nodes.len() - 1) as u32
            }
        };
        match self.nodes.get_mut(list.last as usize) {
            Some(last) => last.next = at,
            None => list.first = at,
        }
        list.last = at;
        list.len += 1;
        self.held += 1;
        Ok(at)
    }

    /// The place behind a place in its list.
    pub(super) fn next(&self, at: u32) -> u32 {
        self.nodes.get(at as usize).map_or(NOWHERE, |node| node.next)
    }

    /// What is at a place.
    pub(super) fn get(&self, at: u32) -> Option<&Node<S>> {
        self.nodes.get(at as usize)
    }

    /// The items of a list with their places.
    pub(super) fn iter(&self, list: List) -> impl Iterator<Item = (u32, &Node<S>)> + Clone {
        let mut at = list.first;
        std::iter::from_fn(move || {
            let node = self.nodes.get(at as usize)?;
            Some((std::mem::replace(&mut at, node.next), node))
        })
    }

    /// Takes out all items of a list, with the places they had.
    pub(super) fn drain(&mut self, list: &mut List, mut each: impl FnMut(u32, Mark, S)) {
        let mut at = list.first;
        while let Some(node) = self.nodes.get_mut(at as usize) {
            if let Some(item) = node.item.take() {
                self.held -= 1;
                each(at, node.mark, item);
            }
            let next = std::mem::replace(&mut node.next, self.free);
            self.free = at;
            at = next;
        }
        *list = List::default();
        if self.held == 0 && self.nodes.capacity() > SPARE {
            self.nodes.clear();
            self.nodes.shrink_to(SPARE);
            self.free = NOWHERE;
        }
    }

    /// Puts other items in these places, in the same order; as many as it is given back.
    pub(super) fn exchange(&mut self, places: &[u32], with: impl FnOnce(Vec<S>) -> Vec<S>) {
        let take = |&at: &u32| self.nodes.get_mut(at as usize).and_then(|node| node.item.take());
        let items = with(places.iter().filter_map(take).collect());
        for (&at, item) in places.iter().zip(items) {
            if let Some(node) = self.nodes.get_mut(at as usize) {
                node.item = Some(item);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::request::Item;

    #[test]
    fn a_span_costs_no_more_index_than_the_budget_allows() {
        assert!(size_of::<Node<Item>>() <= 48, "{}", size_of::<Node<Item>>());
    }

    #[test]
    fn lists_do_not_mix_and_places_are_used_again() {
        let mut arena = Arena::new();
        let (mut a, mut b) = (List::default(), List::default());
        for n in 0..6 {
            arena.push(if n % 2 == 0 { &mut a } else { &mut b }, n, n + 1, 0, Mark::default()).unwrap();
        }
        assert_eq!(arena.iter(b).map(|(_, node)| node.id).collect::<Vec<_>>(), [2, 4, 6]);
        let mut out = Vec::new();
        arena.drain(&mut a, |_, _, item| out.push(item));
        assert_eq!((out, arena.held(), a.len), (vec![0, 2, 4], 3, 0));
        for n in 10..13 {
            arena.push(&mut b, n, 0, 0, Mark::default()).unwrap();
        }
        assert_eq!(arena.nodes.len(), 6);
        let places: Vec<u32> = arena.iter(b).map(|(at, _)| at).take(3).collect();
        arena.exchange(&places, |items| items.into_iter().map(|n| n * 10).collect());
        assert_eq!(arena.iter(b).filter_map(|(_, node)| node.item().copied()).collect::<Vec<_>>(), [10, 30, 50, 10, 11, 12]);
    }
}
