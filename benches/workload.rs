//! Requests as LLM applications send them, from a seed: the same bytes in every run.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;

/// Spans per request, as a busy SDK or Collector batches them.
pub const SPANS: usize = 512;
/// Spans per trace.
pub const TRACE: usize = 6;

/// What spans carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// 22 attributes, about 970 bytes a span.
    Lean,
    /// Lean, and 10 KB of messages on one span in four.
    Content,
    /// Lean, and 64 KB of messages on one span in four.
    Large,
}

impl Workload {
    pub const ALL: [Workload; 3] = [Workload::Lean, Workload::Content, Workload::Large];

    pub fn name(self) -> &'static str {
        match self {
            Workload::Lean => "lean",
            Workload::Content => "content",
            Workload::Large => "large",
        }
    }

    fn content(self) -> usize {
        match self {
            Workload::Lean => 0,
            Workload::Content => 10 << 10,
            Workload::Large => 64 << 10,
        }
    }

    /// Spans in one request of this kind: a request of large prompts stays below 4 MiB.
    pub fn spans(self) -> usize {
        if self == Workload::Large { SPANS / 4 } else { SPANS }
    }
}

/// xorshift64*: random enough for ids and sizes, and the same everywhere.
#[derive(Clone, Debug)]
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn bytes<const N: usize>(&mut self) -> Vec<u8> {
        (0..N).map(|_| (self.next() >> 32) as u8 | 1).collect()
    }
}

const WORDS: [&str; 24] = [
    "the",
    "model",
    "answers",
    "a",
    "question",
    "about",
    "orders",
    "with",
    "care",
    "and",
    "then",
    "asks",
    "for",
    "more",
    "detail",
    "before",
    "it",
    "writes",
    "down",
    "what",
    "was",
    "found",
    "in",
    "documents",
];

/// Plain prose of about `size` bytes, as a message array in JSON.
fn messages(rng: &mut Rng, size: usize) -> String {
    let mut text = String::from(r#"[{"role":"user","parts":[{"type":"text","content":""#);
    while text.len() < size {
        text.push_str(WORDS[(rng.next() >> 40) as usize % WORDS.len()]);
        text.push(' ');
    }
    text.push_str(r#""}]}]"#);
    text
}

fn string(key: &str, value: &str) -> KeyValue {
    pair(key, Value::StringValue(value.to_owned()))
}

fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// One request of whole traces, by scope as SDKs send them: in each a root, and model calls and steps of the application below it.
pub fn request(workload: Workload, seed: u64) -> ExportTraceServiceRequest {
    let mut rng = Rng(seed | 1);
    let (mut calls, mut others) = (Vec::new(), Vec::new());
    let (mut trace_id, mut root) = (Vec::new(), Vec::new());
    for n in 0..workload.spans() {
        if n % TRACE == 0 {
            (trace_id, root) = (rng.bytes::<16>(), rng.bytes::<8>());
        }
        let is_root = n % TRACE == TRACE - 1;
        let start = 1_795_000_000_000_000_000 + rng.next() % 1_000_000_000;
        let mut attributes = common(&mut rng, n);
        // On three calls out of four.
        if workload.content() > 0 && is_call(n) && (n / 3) % 4 != 3 {
            attributes.push(string("gen_ai.input.messages", &messages(&mut rng, workload.content())));
        }
        let list = if is_call(n) { &mut calls } else { &mut others };
        list.push(Span {
            trace_id: trace_id.clone(),
            span_id: if is_root { root.clone() } else { rng.bytes::<8>() },
            parent_span_id: if is_root { Vec::new() } else { root.clone() },
            name: if is_call(n) { "chat claude-sonnet-4-6" } else { "load customer record" }.into(),
            kind: if is_call(n) { 3 } else { 1 },
            start_time_unix_nano: start,
            end_time_unix_nano: start + 1_200_000_000,
            flags: 1,
            attributes,
            status: Some(Status::default()),
            ..Span::default()
        });
    }
    let resource = ["service.name", "service.version", "deployment.environment.name", "host.name"].map(|k| string(k, "support-bot"));
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource { attributes: resource.to_vec(), ..Resource::default() }),
            scope_spans: vec![scope("opentelemetry.util.genai.handler", calls), scope("support_bot.orders", others)],
            ..ResourceSpans::default()
        }],
    }
}

/// One span in three is a call of a model.
fn is_call(n: usize) -> bool {
    n.is_multiple_of(3)
}

fn scope(name: &str, spans: Vec<Span>) -> ScopeSpans {
    let scope = InstrumentationScope { name: name.into(), ..InstrumentationScope::default() };
    ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() }
}

/// 22 attributes: a model call on one span in three, application attributes on the others.
fn common(rng: &mut Rng, n: usize) -> Vec<KeyValue> {
    let mut out = Vec::with_capacity(23);
    if is_call(n) {
        let finish = ArrayValue { values: vec![AnyValue { value: Some(Value::StringValue("stop".into())) }] };
        out.extend([
            string("gen_ai.operation.name", "chat"),
            string("gen_ai.provider.name", "anthropic"),
            string("gen_ai.request.model", "claude-sonnet-4-6"),
            string("gen_ai.response.model", "claude-sonnet-4-6"),
            string("gen_ai.response.id", &format!("msg_{:016x}", rng.next())),
            pair("gen_ai.response.finish_reasons", Value::ArrayValue(finish)),
            pair("gen_ai.usage.input_tokens", Value::IntValue((rng.next() % 8000) as i64)),
            pair("gen_ai.usage.output_tokens", Value::IntValue((rng.next() % 900) as i64)),
            pair("gen_ai.request.temperature", Value::DoubleValue(0.7)),
            pair("gen_ai.request.max_tokens", Value::IntValue(4096)),
        ]);
    }
    let mut number = out.len();
    while number < 22 {
        out.push(string(&format!("app.component.attribute_{number:02}"), WORDS[(rng.next() >> 40) as usize % WORDS.len()]));
        number += 1;
    }
    out
}

/// The same, encoded.
pub fn encoded(workload: Workload, seed: u64) -> Vec<u8> {
    request(workload, seed).encode_to_vec()
}
