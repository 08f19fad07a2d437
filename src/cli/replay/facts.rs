//! What a replay notes of every span, by trace, as it arrives.

use crate::enrich::facts::{ErrorClass, SpanFacts};
use crate::enrich::{LlmFacts, Observer};
use crate::otlp::span::{StatusCode, TraceId};
use crate::units::Usd;
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// Everything noted, traces in the order their first spans came.
#[derive(Debug, Default)]
pub(super) struct Facts {
    with_spans: bool,
    sizes: HashMap<TraceId, u64>,
    traces: HashMap<TraceId, Trace>,
    order: Vec<TraceId>,
}

/// Sums over the spans of a trace, whatever became of it.
#[derive(Debug, Default)]
pub(super) struct Trace {
    pub(super) spans: u64,
    pub(super) llm_calls: u64,
    pub(super) cost: Usd,
    /// Whether anything in it was priced: a trace without a price does not cost "0".
    pub(super) priced: bool,
    pub(super) input_tokens: u64,
    pub(super) output_tokens: u64,
    pub(super) transient: u64,
    pub(super) permanent: u64,
    pub(super) truncated: bool,
    /// Whether a span of it failed, by its status or by evidence.
    pub(super) failed: bool,
    pub(super) span_facts: Vec<Value>,
}

impl Facts {
    pub(super) fn new(with_spans: bool) -> Facts {
        Facts { with_spans, ..Facts::default() }
    }

    /// Counts the size of a span.
    pub(super) fn size(&mut self, trace: Option<TraceId>, bytes: usize) {
        if let Some(trace) = trace {
            *self.sizes.entry(trace).or_default() += bytes as u64;
        }
    }

    /// Encoded bytes of the spans of a trace.
    pub(super) fn bytes(&self, trace: TraceId) -> u64 {
        self.sizes.get(&trace).copied().unwrap_or(0)
    }

    /// Every trace, in the order their first spans came.
    pub(super) fn traces(&self) -> impl Iterator<Item = (TraceId, &Trace)> {
        self.order.iter().filter_map(|id| Some((*id, self.traces.get(id)?)))
    }
}

impl Observer for Facts {
    fn span(&mut self, facts: &SpanFacts, llm: Option<&LlmFacts<'_>>) {
        // A log record has no span id; it belongs to a trace and is no part of its sums.
        let (Some(id), Some(span_id)) = (facts.trace_id, facts.span_id) else { return };
        let trace = self.traces.entry(id).or_insert_with(|| {
            self.order.push(id);
            Trace::default()
        });
        trace.spans += 1;
        trace.llm_calls += u64::from(facts.llm_call);
        trace.cost += facts.cost;
        trace.priced |= llm.is_some_and(|llm| llm.cost.is_some());
        trace.input_tokens = trace.input_tokens.saturating_add(facts.input_tokens);
        trace.output_tokens = trace.output_tokens.saturating_add(facts.output_tokens);
        trace.truncated |= facts.truncated;
        trace.failed |= facts.error.is_some() || facts.status == StatusCode::Error;
        match facts.error {
            Some(ErrorClass::Transient) => trace.transient += 1,
            // What nothing is known about is not said to go away by itself.
            Some(ErrorClass::Permanent | ErrorClass::Unknown) => trace.permanent += 1,
            None => {}
        }
        if let Some(llm) = llm.filter(|llm| self.with_spans && (llm.kind.is_priced() || llm.role.is_some() || llm.error.is_some())) {
            trace.span_facts.push(span_facts(&span_id.to_string(), llm));
        }
    }
}

fn span_facts(span_id: &str, llm: &LlmFacts<'_>) -> Value {
    let mut out = Map::new();
    out.insert("span_id".into(), span_id.into());
    out.insert("kind".into(), llm.kind.as_str().into());
    out.insert("role".into(), llm.role.map(|role| role.as_str()).into());
    out.insert("provider".into(), llm.provider.into());
    out.insert("model".into(), llm.model().into());
    let usage = llm.usage.map(|usage| {
        json!({
            "input_uncached": usage.input_uncached,
            "cache_read": usage.cache_read,
            "cache_write_5m": usage.cache_write_5m,
            "cache_write_1h": usage.cache_write_1h,
            "output": usage.output,
            "reasoning": usage.reasoning,
        })
    });
    out.insert("usage".into(), usage.into());
    if let Some(cost) = llm.cost {
        out.insert("cost_usd".into(), cost.total.to_string().into());
    }
    out.insert("finish_reason".into(), llm.finish.map(|finish| finish.as_str()).into());
    out.insert("truncated".into(), llm.truncated.into());
    out.insert("error_class".into(), llm.error.map(|error| error.class.as_str()).into());
    out.insert("error_reason".into(), llm.error.map(|error| error.reason.as_str()).into());
    Value::Object(out)
}
