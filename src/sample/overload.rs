//! Sampling by the span, for when memory is all but full.
//!
//! Holding a trace takes memory that is not there, and refusing is not what everybody wants. With `overload` a trace that begins at the last
//! level of pressure is not held: each of its spans is kept or dropped at once by the randomness of the trace, all alike, with the
//! probability written on them. Errors and truncated answers pass.

use crate::otlp::span::TraceId;
use crate::otlp::trace_state;
use crate::sample::config::Record;
use crate::sample::decide::probability;
use crate::sample::held::Held;
use crate::sample::limits::Pressure;
use crate::sample::outcome::{Outcome, Reason, Trigger};
use crate::sample::sampler::Sampler;
use crate::sample::stamp::{Detail, On, Stamp};
use crate::sample::threshold::{self, Threshold};
use crate::sample::totals::Mark;
use std::sync::Arc;

impl<S: Held> Sampler<S> {
    /// The threshold by which spans of new traces are judged now, if they are.
    pub(super) fn overloaded(&self) -> Option<Threshold> {
        self.policies.overload.filter(|_| self.pressure == Pressure::Hard && !self.stopping)
    }

    /// Keeps or drops a span by itself.
    pub(super) fn judge_alone(&mut self, id: TraceId, mark: Mark, threshold: Threshold, span: S, out: &mut Outcome<S>) {
        let class = self.policies.keep_class(mark);
        let own = trace_state::read(span.context().0);
        out.unparseable_tracestate += u64::from(own.is_err());
        let randomness = own.ok().and_then(|ot| ot.randomness).unwrap_or_else(|| threshold::randomness(id.bytes()));
        if class.is_none() && !threshold.keeps(randomness) {
            out.overload.dropped += 1;
            out.dropped_spans += 1;
            return;
        }
        out.overload.kept += 1;
        let threshold = if class.is_some() { Threshold::ALL } else { threshold };
        let record = self.policies.config.record;
        let on = match record {
            Record::All => On::Every,
            Record::Root if mark.root() => On::At(0),
            Record::Root | Record::None => On::Nowhere,
        };
        let detail = (on != On::Nowhere).then(|| Detail {
            policy: if class.is_some() { Arc::clone(self.policies.always_keep_name()) } else { Arc::clone(&self.policies.overload_name) },
            matched: Arc::default(),
            reason: class.unwrap_or(Reason::Probability),
            trigger: Trigger::Eviction,
            moment: None,
            reopened: false,
            shadow: None,
            config: Arc::clone(&self.policies.hash),
            totals: None,
        });
        let probability = probability(&self.policies, threshold, Some(randomness), false);
        out.pass(span, Stamp { probability, on, detail, late: false, partial: false, attempts: None }, class.is_some(), Some(id));
    }
}
