//! What the sampler did: what it let go, what it dropped, and why.
//!
//! The sampler counts nothing itself. It writes down what happened, and metrics, the books, the page and `replay` all read the
//! same record.

use crate::otlp::span::TraceId;
use crate::sample::stamp::Stamp;
use crate::sample::totals::Totals;
use std::sync::Arc;
use std::time::Duration;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$of])* $variant,)* }

        impl $name {
            /// All of them, in the order of the enum.
            pub const ALL: &[$name] = &[$($name::$variant,)*];

            /// As it stands in attributes, metrics and answers.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word,)* }
            }
        }
    };
}

words! {
    /// The two ways out.
    Decision {
        /// Forwarded.
        Keep = "keep",
        /// Dropped.
        Drop = "drop",
    }
}

words! {
    /// What kind of rule decided.
    Reason {
        /// A span failed.
        Error = "error",
        /// A model answer was cut off.
        Truncated = "truncated",
        /// A policy that keeps or drops whatever it matches.
        Policy = "policy",
        /// A policy with a probability.
        Probability = "probability",
        /// A policy with a budget.
        Budget = "budget",
        /// A span that must not be lost came after its trace was dropped.
        LateKeep = "late_keep",
        /// A budget of the spend book is used up, and keeps what belongs to it.
        Spend = "spend",
        /// No policy matched.
        Default = "default",
    }
}

words! {
    /// What ended the wait of a trace.
    Trigger {
        /// Its spans made the answer certain.
        KeepEarly = "keep_early",
        /// Every span that is spoken of was here.
        Complete = "complete",
        /// Its root had been here for a while.
        Root = "root",
        /// It had waited long enough.
        Timeout = "timeout",
        /// It had as many spans as are held.
        SpanLimit = "span_limit",
        /// It had as many bytes as are held.
        SizeLimit = "size_limit",
        /// Memory ran short.
        Eviction = "eviction",
        /// The process stops.
        Shutdown = "shutdown",
        /// A span came after the decision and changed it.
        Late = "late",
    }
}

/// What came of one step. Give the same one to the sampler again after emptying it, to spare its buffers.
#[derive(Debug)]
pub struct Outcome<S> {
    /// Items to forward.
    pub kept: Vec<Kept<S>>,
    /// Decisions made.
    pub decisions: Vec<Decided>,
    /// Spans dropped by decision.
    pub dropped_spans: u64,
    /// Log records dropped with their traces.
    pub dropped_logs: u64,
    /// Spans without a trace id, passed on unsampled.
    pub unsampled_spans: u64,
    /// Spans of the keep class among the dropped: late ones, where `late_keep` is off.
    pub keep_class_lost: u64,
    /// Spans that were judged by themselves, as memory was all but full.
    pub overload: Overload,
    /// Spans of kept traces that were dropped, as so much of their trace was forwarded before.
    pub capped_spans: u64,
    /// Spans that came after the decision of their trace.
    pub late: Late,
    /// How long after it.
    pub late_ages: Vec<Duration>,
    /// Traces whose spans name different randomness.
    pub inconsistent_randomness: u64,
    /// Spans whose own threshold contradicts their randomness.
    pub inconsistent_threshold: u64,
    /// Spans whose tracestate does not parse.
    pub unparseable_tracestate: u64,
    /// Keep-class traces dropped by a policy that says so, by its name.
    pub overridden: Vec<Arc<str>>,
    /// Traces of the keep class that were past its limit, by class in the order of [`crate::sample::config::KeepClass::ALL`].
    pub limited: [u64; 2],
    /// Traces that were to be grouped and had been sampled by their id before.
    pub grouping_skipped: u64,
    /// Emptied lists of items, for the next traces.
    pub(super) spare: Vec<Vec<S>>,
}

/// So many emptied lists stay; a step rarely lets more traces go.
const SPARE: usize = 256;

/// Lists longer than this do not: they would hold memory for traces that are mostly far shorter.
const SPARE_ITEMS: usize = 64;

/// Spans judged by themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overload {
    /// Kept.
    pub kept: u64,
    /// Dropped.
    pub dropped: u64,
}

/// Late spans by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Late {
    /// Followed their kept trace.
    pub forwarded: u64,
    /// Followed their dropped trace.
    pub dropped: u64,
    /// Joined a dropped trace that is still held.
    pub held: u64,
    /// Brought a dropped trace back.
    pub resurrected: u64,
    /// Kept alone, as the rest was gone.
    pub partial: u64,
    /// Began a trace again that had been forgotten.
    pub reopened: u64,
}

/// Items that leave together: spans of one trace, or log records, never both.
#[derive(Debug)]
pub struct Kept<S> {
    /// The items, in order of arrival.
    pub spans: Vec<S>,
    /// What to write on them.
    pub stamp: Stamp,
    /// Whether their trace has an error or a truncated answer.
    pub keep_class: bool,
    /// Their trace, where they have one.
    pub trace_id: Option<TraceId>,
}

/// One decision.
#[derive(Clone, Debug)]
pub struct Decided {
    /// The trace.
    pub trace_id: TraceId,
    /// Keep or drop.
    pub decision: Decision,
    /// The policy that decided, or a reserved name.
    pub policy: Arc<str>,
    /// Every policy that matched, in the order of the config, and what it said.
    pub matched: Arc<[Vote]>,
    /// Why.
    pub reason: Reason,
    /// What ended the wait.
    pub trigger: Trigger,
    /// The threshold that was applied, as 56 bits; none where the probability is not known.
    pub threshold: Option<u64>,
    /// What one such trace stands for, unless a sender sampled before.
    pub adjusted_count: Option<f64>,
    /// Whether all its spans were there.
    pub complete: bool,
    /// Whether only a part of it is kept, because the rest had gone before an error arrived.
    pub partial: bool,
    /// Whether it had been decided before and forgotten.
    pub reopened: bool,
    /// Spans held at that moment.
    pub spans: u64,
    /// Encoded bytes held at that moment.
    pub bytes: u64,
    /// First span to decision.
    pub wait: Duration,
    /// Sums over its spans so far.
    pub totals: Totals,
    /// What else was known, for whoever asks.
    pub circumstances: Circumstances,
}

/// What one policy that matched said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vote {
    /// The policy.
    pub policy: Arc<str>,
    /// What it said.
    pub says: Says,
}

/// What a policy says about a trace it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// Drop.
    Drop,
    /// Keep, if the randomness reaches this threshold of 56 bits.
    Keep(u64),
    /// Nothing: the answer was certain without it.
    Nothing,
}

/// What a decision was made among.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Circumstances {
    /// Randomness of the trace, 56 bits.
    pub randomness: Option<u64>,
    /// The names of all policies that were asked.
    pub policies: Arc<[Arc<str>]>,
    /// What the shadow policies say, or, where the whole sampler is a shadow, what it would have done.
    pub shadow: Option<Shadow>,
}

/// A decision that was not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shadow {
    /// The policy that decided.
    pub policy: Arc<str>,
    /// What it decided.
    pub decision: Decision,
}

impl<S> Default for Outcome<S> {
    fn default() -> Outcome<S> {
        Outcome {
            kept: Vec::new(),
            decisions: Vec::new(),
            dropped_spans: 0,
            dropped_logs: 0,
            unsampled_spans: 0,
            keep_class_lost: 0,
            overload: Overload::default(),
            capped_spans: 0,
            late: Late::default(),
            late_ages: Vec::new(),
            inconsistent_randomness: 0,
            inconsistent_threshold: 0,
            unparseable_tracestate: 0,
            overridden: Vec::new(),
            limited: [0; 2],
            grouping_skipped: 0,
            spare: Vec::new(),
        }
    }
}

impl<S> Outcome<S> {
    /// Empties it.
    pub fn clear(&mut self) {
        let mut old = std::mem::take(self);
        self.spare = old.spare;
        for mut kept in old.kept.drain(..) {
            if self.spare.len() < SPARE && kept.spans.capacity() <= SPARE_ITEMS {
                kept.spans.clear();
                self.spare.push(kept.spans);
            }
        }
        (self.kept, self.decisions, self.late_ages) = (old.kept, old.decisions, old.late_ages);
        self.decisions.clear();
        self.late_ages.clear();
    }

    /// Items kept.
    pub fn kept_items(&self) -> u64 {
        self.kept.iter().map(|kept| kept.spans.len() as u64).sum()
    }

    /// Items dropped.
    pub fn dropped_items(&self) -> u64 {
        self.dropped_spans + self.dropped_logs
    }

    /// An empty list with room for so many items.
    pub(super) fn room(&mut self, items: usize) -> Vec<S> {
        let mut list = self.spare.pop().unwrap_or_default();
        list.reserve_exact(items);
        list
    }

    /// Lets one item go, with the one before it where both go the same way.
    pub(super) fn pass(&mut self, item: S, stamp: Stamp, keep_class: bool, trace_id: Option<TraceId>) {
        match self.kept.last_mut() {
            Some(last) if last.trace_id == trace_id && last.keep_class == keep_class && last.stamp.joins(&stamp) => last.spans.push(item),
            _ => {
                let mut spans = self.room(1);
                spans.push(item);
                self.kept.push(Kept { spans, stamp, keep_class, trace_id });
            }
        }
    }
}

/// A decision about a trace of three spans, whose id is this byte all over, by the policy "p".
#[cfg(test)]
pub(crate) fn decided(n: u8, decision: Decision) -> Decided {
    Decided {
        trace_id: TraceId::new(&[n; 16]).unwrap(),
        decision,
        policy: "p".into(),
        matched: [Vote { policy: "p".into(), says: Says::Keep(0) }].into(),
        reason: Reason::Policy,
        trigger: Trigger::Complete,
        threshold: Some(0),
        adjusted_count: Some(1.0),
        complete: true,
        partial: false,
        reopened: false,
        spans: 3,
        bytes: 9,
        wait: Duration::from_secs(1),
        totals: Totals::default(),
        circumstances: Circumstances::default(),
    }
}
