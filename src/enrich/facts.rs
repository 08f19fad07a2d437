//! What enrichment found out about one span: plain values for the stages behind it.

use crate::otlp::span::{SpanId, StatusCode, TraceId};
use crate::units::Usd;

/// Whether the same request, sent again unchanged, can succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// It can.
    Transient,
    /// It cannot.
    Permanent,
    /// Nothing tells.
    Unknown,
}

/// So many lists of types of findings are told apart.
pub const REDACTED: usize = 4;

/// What the sampler, the spend book and the metrics ask of a span. Amounts and tokens are those of spans that *own* their
/// usage; on every other span they are zero, so that any sum over a trace is right.
#[derive(Clone, Copy, Debug, Default)]
pub struct SpanFacts {
    /// The trace, `None` where the id is not one.
    pub trace_id: Option<TraceId>,
    /// The span.
    pub span_id: Option<SpanId>,
    /// Its parent, `None` for a root.
    pub parent_id: Option<SpanId>,
    /// Start, Unix nanoseconds.
    pub start: u64,
    /// End, Unix nanoseconds.
    pub end: u64,
    /// Status code.
    pub status: StatusCode,
    /// W3C flags of a span that has no tracestate. `None` where it has one, or where nobody looked: then the span itself tells.
    pub flags_alone: Option<u32>,
    /// Set where the span failed: by its status or by evidence of its own.
    pub error: Option<ErrorClass>,
    /// Whether the failure is a cancelled call.
    pub cancelled: bool,
    /// Whether a model answer was cut off by a token limit.
    pub truncated: bool,
    /// Whether it is a model call that is counted.
    pub llm_call: bool,
    /// Whether it has usage that could not be priced.
    pub unpriced: bool,
    /// A number that model calls for the same input share, and tool calls with the same arguments; 0 where it is neither.
    pub digest: u64,
    /// Whether it is a tool call.
    pub tool: bool,
    /// What was redacted in it before sampling, by list of types that policies ask for.
    pub redacted: [u16; REDACTED],
    /// Cost in US dollars.
    pub cost: Usd,
    /// Input tokens, cache reads and writes included.
    pub input_tokens: u64,
    /// Output tokens, reasoning included.
    pub output_tokens: u64,
    /// Input tokens served from a cache.
    pub cache_read_tokens: u64,
    /// Output tokens spent on reasoning.
    pub reasoning_tokens: u64,
    /// Whether its trace must stay: a budget that it is part of is used up, and says so.
    pub must_stay: bool,
}
