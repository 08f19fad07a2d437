//! Memory is asked for many traces at a time.
//!
//! With a million traces nothing that a span touches is in a cache: the table, its trace, the span before it, each a wait for memory that
//! depends on the one before. But the traces of a request have nothing to do with each other. So before a request is taken in, and before
//! many traces are decided, each step is taken for all of them in a short loop, in which a processor has many loads under way at
//! once; what follows finds everything near. It changes nothing but time.

use crate::otlp::span::TraceId;
use crate::sample::arena::NOWHERE;
use crate::sample::deadlines::Time;
use crate::sample::held::Held;
use crate::sample::sampler::Sampler;
use std::hint::black_box;

/// With fewer traces everything is near anyway.
const MANY: usize = 1 << 14;

/// So many decisions are prepared at a time.
pub(super) const AHEAD: usize = 64;

/// Longer traces have their first spans fetched; the others follow one another.
const LEVELS: usize = 16;

/// Room to work in.
#[derive(Debug, Default)]
pub(super) struct Warm {
    traces: Vec<u32>,
    items: Vec<u32>,
    /// What was read, so that reading it is not for nothing.
    seen: u64,
}

impl<S: Held> Sampler<S> {
    /// Tells which traces the next spans are of; for speed alone.
    pub fn expect(&mut self, ids: impl Iterator<Item = Option<TraceId>>) {
        if self.index.len() < MANY {
            return;
        }
        let Warm { traces, items, seen } = &mut self.warm;
        let mut last = None;
        traces.clear();
        items.clear();
        for id in ids.flatten() {
            // Spans of one trace stand together.
            if last.replace(id) != Some(id) {
                traces.extend(self.index.get(&id).map(|key| key.at));
            }
        }
        for &at in &*traces {
            let (read, list) = self.traces.touch(at);
            *seen = seen.wrapping_add(read);
            items.push(list.last);
        }
        for (&at, &trace) in items.iter().zip(&*traces) {
            *seen = seen.wrapping_add(self.items.next(at).into()).wrapping_add(self.due.due(trace));
        }
        black_box(*seen);
    }

    /// The same for traces that are due by a time.
    pub(super) fn expect_due(&mut self, until: Time) {
        if self.index.len() < MANY {
            return;
        }
        let Warm { traces, items, seen } = &mut self.warm;
        traces.clear();
        items.clear();
        self.due.coming(until, AHEAD, traces);
        for &at in &*traces {
            let (read, list) = self.traces.touch(at);
            *seen = seen.wrapping_add(read);
            items.push(list.first);
        }
        for &at in &*traces {
            let id = self.traces.id(at);
            *seen = seen.wrapping_add(id.and_then(|id| self.index.get(&id)).map_or(0, |key| key.at.into()));
        }
        for _ in 0..LEVELS {
            items.retain_mut(|at| {
                *at = self.items.next(*at);
                *at != NOWHERE
            });
            if items.is_empty() {
                break;
            }
        }
        black_box(*seen);
    }
}
