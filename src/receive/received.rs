//! Traffic that passed the door: complete, valid, charged for.
//!
//! [`open`] is the only way to get one, so whatever stands behind the receivers never sees bytes that nobody checked.

use crate::otlp::head::Head;
use crate::otlp::request::{Draft, Place, Request, places_for, split};
use crate::otlp::signal::Signal;
use crate::otlp::span::{self, TraceId};
use crate::otlp::wire::Malformed;
use crate::otlp::{schema, strict};
use crate::telemetry::memory::Charge;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Instant;

/// Items of one request, on their way to enrichment.
#[derive(Debug)]
pub struct Received {
    draft: Draft,
    arrival: Instant,
}

/// A request that was taken apart.
#[derive(Debug)]
pub struct Opened {
    request: Arc<Request>,
    places: Vec<Place>,
    /// Trace ids of spans, in the order of the places; nothing for other signals.
    traces: Vec<Option<TraceId>>,
    arrival: Instant,
    /// Spans that no backend may accept, because their span id or parent id has a length no id has. They are left out and
    /// reported as OTLP partial success.
    pub rejected: u64,
}

/// Checks and takes apart one request body. `charge` is held until its last item is gone.
///
/// # Errors
/// Where it is not a valid request of that signal; it must not be sent again.
pub fn open(signal: Signal, body: Bytes, charge: Option<Charge>, arrival: Instant) -> Result<Opened, Malformed> {
    let (mut traces, mut rejected) = (Vec::new(), 0);
    if signal == Signal::Traces {
        traces.reserve(places_for(&body));
    }
    let (request, places) = Request::scan_with(signal, body, charge, |item| {
        if signal != Signal::Traces {
            return schema::validate_item(signal, item).map(|()| true);
        }
        let ids = strict::span(item)?;
        if ids.bad {
            rejected += 1;
            return Ok(false);
        }
        traces.push(ids.trace_id);
        Ok(true)
    })?;
    Ok(Opened { request: Arc::new(request), places, traces, arrival, rejected })
}

impl Opened {
    /// Items that were accepted.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// What the request carries.
    pub fn signal(&self) -> Signal {
        self.request.signal()
    }

    /// One part for each shard that has items in it; all items of a trace are in the same part. Items without a usable trace id
    /// go to shard 0.
    pub fn split(self, shards: usize, mut shard_of: impl FnMut(TraceId) -> usize) -> Vec<(usize, Received)> {
        if shards <= 1 || self.signal() == Signal::Metrics {
            return vec![(0, self.whole())];
        }
        let trace = |number: usize| match self.traces.get(number) {
            Some(trace) => *trace,
            None => span::trace_id(self.request.signal(), self.request.item(*self.places.get(number)?)),
        };
        split(&self.places, shards, |number| trace(number).map_or(0, &mut shard_of))
            .into_iter()
            .enumerate()
            .filter(|(_, places)| !places.is_empty())
            .map(|(shard, places)| (shard, Received { draft: Draft::new(Arc::clone(&self.request), places), arrival: self.arrival }))
            .collect()
    }

    /// All of it in one part.
    pub fn whole(self) -> Received {
        Received { draft: Draft::new(self.request, self.places), arrival: self.arrival }
    }
}

impl Received {
    /// When it arrived, by the monotonic clock.
    pub fn arrival(&self) -> Instant {
        self.arrival
    }

    /// Number of items.
    pub fn len(&self) -> usize {
        self.draft.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.draft.is_empty()
    }

    /// What it carries.
    pub fn signal(&self) -> Signal {
        self.draft.request().signal()
    }

    /// Encoded items with their heads.
    pub fn items(&self) -> impl ExactSizeIterator<Item = (&Head, &[u8])> {
        self.draft.items()
    }

    /// The items, for the next stage to add to.
    pub fn into_draft(self) -> Draft {
        self.draft
    }
}
