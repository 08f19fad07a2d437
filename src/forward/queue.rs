//! What waits for one destination, and when and how it is cut into batches.
//!
//! It holds references: the bytes are shared with all other destinations. It reads no clock.

use crate::forward::batch::{Batch, HEAD_OVERHEAD, ITEM_OVERHEAD, Part, cost};
use crate::forward::config::Batching;
use crate::otlp::signal::Signal;
use crate::redact::Redacted;
use crate::telemetry::memory::Budget;
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use tokio::time::Instant;

/// The queue: a line for each signal, since a request carries one.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    lines: [Line; 3],
}

#[derive(Debug, Default)]
struct Line {
    waiting: VecDeque<Waiting>,
    /// Estimated size of a request of all that waits.
    size: usize,
    items: usize,
}

#[derive(Debug)]
struct Waiting {
    redacted: Arc<Redacted>,
    /// Items before it have left.
    next: usize,
    since: Instant,
}

impl Queue {
    /// Appends; whether somebody should look at the queue now rather than at the time it was told.
    pub(crate) fn push(&mut self, redacted: Arc<Redacted>, batch: &Batching, now: Instant) -> bool {
        let line = &mut self.lines[redacted.signal() as usize];
        let (before, size) = (line.size, cost(redacted.len(), redacted.size()));
        line.items += redacted.len();
        line.size += size;
        line.waiting.push_back(Waiting { redacted, next: 0, since: now });
        line.waiting.len() == 1 || before < batch.max_size && line.size >= batch.max_size
    }

    /// Items that wait.
    pub(crate) fn items(&self) -> usize {
        self.lines.iter().map(|line| line.items).sum()
    }

    /// When the next batch is due, if anything waits.
    pub(crate) fn due(&self, batch: &Batching) -> Option<Instant> {
        self.lines.iter().filter_map(|line| line.due(batch)).min()
    }

    /// The next batch, if one is due at `now`, or of whatever waits if `all`.
    pub(crate) fn take(&mut self, batch: &Batching, now: Instant, all: bool, budget: &Budget) -> Option<Batch> {
        let due = |signal: Signal| self.lines[signal as usize].due(batch).filter(|due| all || *due <= now);
        let signal = Signal::ALL.into_iter().filter(|signal| due(*signal).is_some()).min_by_key(|signal| due(*signal))?;
        let parts = self.lines[signal as usize].cut(batch.max_size);
        Some(Batch::new(signal, parts, budget.clone()))
    }

    /// Everything that waits.
    pub(crate) fn clear(&mut self) -> (usize, usize) {
        let items = self.items();
        let bytes = self.lines.iter().flat_map(|line| &line.waiting).map(Waiting::cost).sum();
        *self = Queue::default();
        (items, bytes)
    }
}

impl Line {
    fn due(&self, batch: &Batching) -> Option<Instant> {
        let oldest = self.waiting.front()?.since;
        Some(if self.size >= batch.max_size { oldest } else { oldest + batch.flush_after })
    }

    /// Takes items from the front until a request of them would be larger than `max_size`; at least one.
    fn cut(&mut self, max_size: usize) -> Vec<Part> {
        let (mut parts, mut heads, mut resources, mut size) = (Vec::new(), HashSet::new(), HashSet::new(), 0usize);
        while let Some(front) = self.waiting.front_mut() {
            let (first, mut taken, mut bytes, mut last_head) = (front.next, 0, 0, None);
            for item in front.redacted.items().skip(first) {
                let (hash, resource) = (item.head.id(), item.head.resource_id());
                let mut more = item.body.len() + ITEM_OVERHEAD;
                if last_head != Some(hash) && !heads.contains(&hash) {
                    more += item.head.scope().len() + HEAD_OVERHEAD;
                    // It stands once for all of its scopes.
                    if !resources.contains(&resource) {
                        more += item.head.request().len() + item.head.resource().len() + HEAD_OVERHEAD;
                    }
                }
                if size + more > max_size && size > 0 {
                    break;
                }
                if last_head != Some(hash) {
                    heads.insert(hash);
                    resources.insert(resource);
                }
                last_head = Some(hash);
                size += more;
                bytes += item.body.len();
                taken += 1;
            }
            self.items -= taken;
            self.size = self.size.saturating_sub(cost(taken, bytes));
            if taken > 0 {
                parts.push(Part { redacted: Arc::clone(&front.redacted), items: first..first + taken });
            }
            front.next += taken;
            if front.next < front.redacted.len() {
                break;
            }
            self.waiting.pop_front();
        }
        parts
    }
}

impl Waiting {
    fn cost(&self) -> usize {
        self.redacted.items().skip(self.next).map(|item| cost(1, item.body.len())).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forward::batch::tests::{logs, names, numbered, spans};
    use proptest::prelude::*;
    use std::time::Duration;

    fn batching(max_size: usize) -> Batching {
        Batching { max_size, flush_after: Duration::from_millis(200) }
    }

    fn take_all(queue: &mut Queue, batch: &Batching) -> Vec<Batch> {
        let budget = Budget::new(usize::MAX);
        std::iter::from_fn(|| queue.take(batch, Instant::now(), true, &budget)).collect()
    }

    #[test]
    fn a_lone_item_waits_for_company_and_a_full_batch_does_not() {
        let (mut queue, batch, now) = (Queue::default(), batching(1000), Instant::now());
        assert!(queue.push(numbered(1), &batch, now));
        assert_eq!(queue.due(&batch), Some(now + batch.flush_after));
        let budget = Budget::new(usize::MAX);
        assert!(queue.take(&batch, now, false, &budget).is_none());
        assert!(!queue.push(numbered(1), &batch, now + Duration::from_millis(10)));
        assert!(queue.push(numbered(30), &batch, now + Duration::from_millis(20)));
        assert_eq!(queue.due(&batch), Some(now));
        assert!(queue.take(&batch, now + Duration::from_millis(20), false, &budget).is_some());
    }

    #[test]
    fn a_batch_carries_one_signal() {
        let (mut queue, batch, now) = (Queue::default(), batching(1 << 20), Instant::now());
        for redacted in [numbered(2), logs(3), numbered(1)] {
            queue.push(redacted, &batch, now);
        }
        let batches = take_all(&mut queue, &batch);
        let sizes: Vec<_> = batches.iter().map(|b| (b.signal(), b.len())).collect();
        assert_eq!(sizes, [(Signal::Traces, 3), (Signal::Logs, 3)]);
    }

    #[test]
    fn an_item_larger_than_a_batch_goes_alone() {
        let (mut queue, batch) = (Queue::default(), batching(500));
        queue.push(spans("svc", &["a".into(), "b".repeat(2000), "c".into()]), &batch, Instant::now());
        let batches = take_all(&mut queue, &batch);
        assert_eq!(batches.iter().map(Batch::len).collect::<Vec<_>>(), [1, 1, 1]);
    }

    #[test]
    fn what_is_cleared_is_what_was_left() {
        let (mut queue, batch) = (Queue::default(), batching(300));
        queue.push(numbered(10), &batch, Instant::now());
        let taken = queue.take(&batch, Instant::now(), true, &Budget::new(usize::MAX)).unwrap();
        let all = numbered(10);
        assert_eq!(queue.clear(), (10 - taken.len(), cost(10, all.size()) - taken.cost(0..taken.len())));
        assert_eq!(queue.clear(), (0, 0));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn nothing_is_lost_or_reordered_and_no_request_is_over_its_size(
            counts in proptest::collection::vec(1usize..40, 1..8), max_size in 200usize..3000,
        ) {
            let (mut queue, batch, now) = (Queue::default(), batching(max_size), Instant::now());
            let mut expected = Vec::new();
            for (n, count) in counts.iter().enumerate() {
                let texts: Vec<_> = (0..*count).map(|i| format!("{n}-{i}")).collect();
                queue.push(spans(&format!("svc{}", n % 2), &texts), &batch, now);
                expected.extend(texts);
            }
            let mut found = Vec::new();
            for batch in take_all(&mut queue, &batch) {
                let encoded = batch.encode(0..batch.len(), 0).unwrap();
                prop_assert!(batch.len() == 1 || encoded.bytes.len() <= max_size, "{} > {max_size}", encoded.bytes.len());
                found.extend(names(&encoded.bytes));
            }
            prop_assert_eq!(queue.items(), 0);
            found.sort();
            expected.sort();
            prop_assert_eq!(found, expected);
        }
    }
}
