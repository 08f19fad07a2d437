//! The metrics of the GenAI conventions, made from spans.
//!
//! For applications that send spans alone. Most send these metrics themselves, and two producers of one name double every sum, so nothing
//! is made unless the config asks for it. Names and boundaries are those of the conventions, in their Prometheus spelling; what is
//! counted are the calls that count everywhere else.

use crate::enrich::call::LlmFacts;
use crate::enrich::config::GenAiMetrics;
use crate::enrich::facts::SpanFacts;
use crate::enrich::kind::Kind;
use crate::enrich::usage::Usage;
use crate::telemetry::metrics::Metrics;
use ahash::RandomState;
use metrics::{Counter, Histogram};
use std::collections::HashMap;

/// Handles one shard keeps. Past it they are looked up each time.
const MAX_KEPT: usize = 8192;

/// The metrics, as far as they are on.
pub(crate) struct Conventions {
    metrics: Metrics,
    mode: GenAiMetrics,
    hasher: RandomState,
    histograms: HashMap<u64, Histogram, RandomState>,
    counters: HashMap<u64, Counter, RandomState>,
}

/// What a call is told from others by; names that senders chose have passed the filter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Labels {
    pub(crate) service: String,
    pub(crate) operation: String,
    pub(crate) provider: String,
    pub(crate) request_model: String,
    pub(crate) response_model: String,
}

/// A metric's name, and what it says.
type Metric = (&'static str, &'static str);

/// A label of a closed set.
type Extra = Option<(&'static str, &'static str)>;

const TOKEN_USAGE: Metric = ("gen_ai_client_token_usage", "Input and output tokens of model calls");
const OPERATION: [Metric; 3] = [
    ("gen_ai_client_operation_duration_seconds", "How long operations took"),
    ("gen_ai_client_operation_time_to_first_chunk_seconds", "Time until the first chunk of an answer"),
    ("gen_ai_client_operation_time_per_output_chunk_seconds", "Time between chunks of an answer"),
];
const INFERENCE: [Metric; 3] = [
    ("gen_ai_client_inference_duration_seconds", "How long inference took"),
    ("gen_ai_client_inference_time_to_first_chunk_seconds", "Time until the first chunk of an answer"),
    ("gen_ai_client_inference_time_per_output_chunk_seconds", "Time between chunks of an answer"),
];
const INFERENCE_INPUT: Metric = ("gen_ai_client_inference_usage_input_tokens_total", "Input tokens of inference");
const INFERENCE_OUTPUT: Metric = ("gen_ai_client_inference_usage_output_tokens_total", "Output tokens of inference");
const CACHE_READ: Metric = ("gen_ai_client_inference_usage_cache_read_input_tokens_total", "Input tokens read from a cache");
const CACHE_WRITE: Metric = ("gen_ai_client_inference_usage_cache_write_input_tokens_total", "Input tokens written to a cache");
const REASONING: Metric = ("gen_ai_client_inference_usage_reasoning_output_tokens_total", "Output tokens spent on reasoning");
const CALL_INPUT: Metric = ("gen_ai_client_inference_operation_input_tokens", "Input tokens of one inference");
const CALL_OUTPUT: Metric = ("gen_ai_client_inference_operation_output_tokens", "Output tokens of one inference");
const EMBEDDINGS: Metric = ("gen_ai_client_embeddings_duration_seconds", "How long embeddings took");
const EMBEDDINGS_INPUT: Metric = ("gen_ai_client_embeddings_operation_input_tokens", "Input tokens of one embedding");
const AGENT: Metric = ("gen_ai_invoke_agent_duration_seconds", "How long agents ran in the process");
const WORKFLOW: Metric = ("gen_ai_invoke_workflow_duration_seconds", "How long workflows ran");
const TOOL: Metric = ("gen_ai_execute_tool_duration_seconds", "How long tools ran");

impl Conventions {
    /// None of them, in a registry.
    pub(crate) fn new(metrics: &Metrics) -> Conventions {
        Conventions {
            metrics: metrics.clone(),
            mode: GenAiMetrics::Off,
            hasher: RandomState::new(),
            histograms: HashMap::default(),
            counters: HashMap::default(),
        }
    }

    /// Goes on with other metrics.
    pub(crate) fn switch(&mut self, mode: GenAiMetrics) {
        self.mode = mode;
    }

    /// Whether a span leads to any of them. `client` tells whether it calls somebody else.
    pub(crate) fn wants(&self, facts: &LlmFacts<'_>, client: bool) -> bool {
        let current = matches!(self.mode, GenAiMetrics::Current | GenAiMetrics::Both);
        match facts.kind {
            _ if self.mode == GenAiMetrics::Off => false,
            kind if kind.is_priced() => true,
            Kind::Agent => current && !client,
            Kind::Tool => current,
            Kind::Chain => current && facts.is_workflow(),
            _ => false,
        }
    }

    /// Records one span.
    pub(crate) fn record(&mut self, facts: &LlmFacts<'_>, span: &SpanFacts, labels: &Labels) {
        let seconds = span.end.saturating_sub(span.start) as f64 / 1e9;
        let failed = facts.error.map(|error| ("error_type", error.reason.as_str()));
        match facts.kind {
            Kind::Agent => return self.observe(AGENT, labels, failed, seconds),
            Kind::Tool => return self.observe(TOOL, labels, failed, seconds),
            Kind::Chain => return self.observe(WORKFLOW, labels, failed, seconds),
            _ => {}
        }
        if matches!(self.mode, GenAiMetrics::Legacy | GenAiMetrics::Both) {
            self.timed(OPERATION, facts, labels, failed, seconds);
            if let Some(usage) = facts.usage.filter(|_| facts.counted) {
                self.observe(TOKEN_USAGE, labels, Some(("gen_ai_token_type", "input")), usage.input_total() as f64);
                if matches!(facts.kind, Kind::Llm | Kind::Media) {
                    self.observe(TOKEN_USAGE, labels, Some(("gen_ai_token_type", "output")), usage.output as f64);
                }
            }
        }
        if matches!(self.mode, GenAiMetrics::Current | GenAiMetrics::Both) {
            match facts.kind {
                Kind::Embedding => {
                    self.observe(EMBEDDINGS, labels, failed, seconds);
                    if let Some(usage) = facts.usage {
                        self.observe(EMBEDDINGS_INPUT, labels, None, usage.input_total() as f64);
                    }
                }
                Kind::Llm | Kind::Media => {
                    self.timed(INFERENCE, facts, labels, failed, seconds);
                    self.tokens(facts, labels);
                }
                // The older set has it already.
                _ if self.mode == GenAiMetrics::Both => {}
                _ => self.observe(OPERATION[0], labels, failed, seconds),
            }
        }
    }

    /// Duration, first chunk, gaps between chunks.
    fn timed(&mut self, [whole, first, gap]: [Metric; 3], facts: &LlmFacts<'_>, labels: &Labels, failed: Extra, seconds: f64) {
        self.observe(whole, labels, failed, seconds);
        if let Some(time) = facts.time_to_first_token {
            self.observe(first, labels, None, time);
        }
        let mut before = None;
        for time in facts.chunks() {
            if let Some(before) = before {
                self.observe(gap, labels, None, time.saturating_sub(before) as f64 / 1e9);
            }
            before = Some(time);
        }
    }

    fn tokens(&mut self, facts: &LlmFacts<'_>, labels: &Labels) {
        // A call that failed before it used anything counts as nothing, and not as missing.
        let Some(usage) = facts.usage.or_else(|| facts.error.map(|_| Usage::default())) else { return };
        for (metric, whole, parts) in [
            (INFERENCE_INPUT, usage.input_total(), [("audio", usage.audio_in), ("image", usage.image_in)]),
            (INFERENCE_OUTPUT, usage.output, [("audio", usage.audio_out), ("image", usage.image_out)]),
        ] {
            let mut rest = whole;
            for (modality, count) in parts {
                let count = count.unwrap_or(0).min(rest);
                rest -= count;
                if count > 0 {
                    self.add(metric, labels, Some(("gen_ai_token_modality", modality)), count);
                }
            }
            // Where a part is told the rest is text; where none is, nobody knows.
            let told = parts.iter().any(|(_, count)| count.is_some());
            self.add(metric, labels, Some(("gen_ai_token_modality", if told { "text" } else { "unknown" })), rest);
        }
        for (metric, count) in
            [(CACHE_READ, usage.cache_read), (CACHE_WRITE, usage.cache_write()), (REASONING, usage.reasoning.unwrap_or(0))]
        {
            if count > 0 {
                self.add(metric, labels, None, count);
            }
        }
        if facts.usage.is_some() {
            self.observe(CALL_INPUT, labels, None, usage.input_total() as f64);
            self.observe(CALL_OUTPUT, labels, None, usage.output as f64);
        }
    }

    fn observe(&mut self, (name, help): Metric, labels: &Labels, extra: Extra, value: f64) {
        let hash = self.hasher.hash_one((name, labels, extra));
        if let Some(kept) = self.histograms.get(&hash) {
            return kept.record(value);
        }
        let made = self.metrics.histogram(name, help, &labels.list(extra));
        made.record(value);
        if self.histograms.len() < MAX_KEPT {
            self.histograms.insert(hash, made);
        }
    }

    fn add(&mut self, (name, help): Metric, labels: &Labels, extra: Extra, count: u64) {
        let hash = self.hasher.hash_one((name, labels, extra));
        if let Some(kept) = self.counters.get(&hash) {
            return kept.increment(count);
        }
        let made = self.metrics.counter(name, help, &labels.list(extra));
        made.increment(count);
        if self.counters.len() < MAX_KEPT {
            self.counters.insert(hash, made);
        }
    }
}

impl Labels {
    /// Those that are known, in the names of the conventions.
    fn list(&self, extra: Extra) -> Vec<(&'static str, &str)> {
        let named = [
            ("service_name", &self.service),
            ("gen_ai_operation_name", &self.operation),
            ("gen_ai_provider_name", &self.provider),
            ("gen_ai_request_model", &self.request_model),
            ("gen_ai_response_model", &self.response_model),
        ];
        let named = named.into_iter().filter(|(_, value)| !value.is_empty()).map(|(key, value)| (key, value.as_str()));
        named.chain(extra).collect()
    }
}
