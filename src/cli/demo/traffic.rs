//! Traffic as LLM applications send it: five traces that show what the stage is for, among plain ones.
//!
//! Times are relative to `now`, ids follow from the number of the trace, and all people and keys are invented.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, SpanKind};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, status::StatusCode};

/// One trace of the demo.
#[derive(Debug)]
pub(crate) struct Story {
    /// What it shows, in a few words.
    pub(crate) title: &'static str,
    /// The trace id.
    pub(crate) trace_id: [u8; 16],
    /// Requests to send, in order: batches of spans as an SDK exports them.
    pub(crate) requests: Vec<ExportTraceServiceRequest>,
}

const MILLISECOND: u64 = 1_000_000;

/// The stories, then `plain` unremarkable chats. `now` is Unix nanoseconds.
pub(crate) fn stories(now: u64, plain: u8) -> Vec<Story> {
    let mut out = vec![agent_with_retry(now), retrieval(now), truncated(now), private_data(now), cached(now)];
    out.extend((0..plain).map(|n| plain_chat(now, n)));
    out
}

/// An agent asks a model, calls a tool, is refused by an overloaded provider once, and succeeds.
fn agent_with_retry(now: u64) -> Story {
    let trace = Trace::new(1, "support-agent", now, 9_200);
    let root = trace.span(0, None, "invoke_agent refund-helper", 0, 9_200).attributes([
        ("gen_ai.operation.name", text("invoke_agent")),
        ("gen_ai.agent.name", text("refund-helper")),
        ("gen_ai.conversation.id", text("conv-4711")),
    ]);
    let plan = trace.chat(1, &root, 20, 2_400, &ANTHROPIC, 1_840, 212, "tool_use");
    let tool = trace.span(2, Some(&root), "execute_tool lookup_order", 2_450, 310).attributes([
        ("gen_ai.operation.name", text("execute_tool")),
        ("gen_ai.tool.name", text("lookup_order")),
        ("gen_ai.tool.call.arguments", text(r#"{"order":"A-20391"}"#)),
    ]);
    let mut refused = trace.chat(3, &root, 2_800, 190, &ANTHROPIC, 0, 0, "");
    refused.0.attributes.retain(|a| !a.key.starts_with("gen_ai.usage.") && !a.key.starts_with("gen_ai.response."));
    let refused = refused
        .attributes([("error.type", text("OverloadedError")), ("http.response.status_code", int(529))])
        .failed("Error code: 529 - {'type': 'error', 'error': {'type': 'overloaded_error', 'message': 'Overloaded'}}");
    let answer = trace.chat(4, &root, 4_000, 5_100, &ANTHROPIC, 2_310, 388, "end_turn");
    trace.story("an agent with a tool and a retry", vec![vec![plan, tool], vec![refused, answer, root]])
}

/// Retrieval-augmented generation: embedding, vector search, answer.
fn retrieval(now: u64) -> Story {
    let trace = Trace::new(2, "docs-search", now, 3_000);
    let root = trace.span(0, None, "answer_question", 0, 3_000);
    let embedding = trace.span(1, Some(&root), "embeddings text-embedding-3-small", 10, 120).attributes([
        ("gen_ai.operation.name", text("embeddings")),
        ("gen_ai.provider.name", text("openai")),
        ("gen_ai.request.model", text("text-embedding-3-small")),
        ("gen_ai.usage.input_tokens", int(24)),
    ]);
    let search = trace
        .span(2, Some(&root), "retrieval handbook", 140, 60)
        .attributes([("gen_ai.operation.name", text("retrieval")), ("gen_ai.data_source.id", text("handbook"))]);
    let answer = trace.chat(3, &root, 220, 2_700, &OPENAI, 6_120, 241, "stop");
    trace.story("retrieval, then an answer", vec![vec![embedding, search, answer, root]])
}

/// An answer that ran into its token limit.
fn truncated(now: u64) -> Story {
    let trace = Trace::new(3, "report-writer", now, 6_400);
    let root = trace.span(0, None, "write_report", 0, 6_400);
    let chat = trace.chat(1, &root, 15, 6_300, &OPENAI, 3_905, 1_024, "length").attributes([("gen_ai.request.max_tokens", int(1_024))]);
    trace.story("an answer cut off by max_tokens", vec![vec![chat, root]])
}

/// A prompt with a card number, an e-mail address and an API key in it.
fn private_data(now: u64) -> Story {
    let trace = Trace::new(4, "support-agent", now, 2_000);
    let prompt = r#"[{"role":"user","parts":[{"type":"text","content":"Please refund 4111 1111 1111 1111, reply to jane.roe@example.com. Our key is sk-ant-api03-FAKEfakeFAKEfakeFAKEfakeFAKEfakeFAKEfakeFAKEfakeFAKEfakeFAKEfakeFAKEfakeFAKEfake00-DemoAA"}]}]"#;
    let chat = trace
        .chat_root(&OPENAI, 412, 96, "stop", 2_000)
        .attributes([("gen_ai.input.messages", text(prompt)), ("user.tier", text("enterprise"))]);
    trace.story("private data in a prompt", vec![vec![chat]])
}

/// A call whose long prompt came from the provider's cache.
fn cached(now: u64) -> Story {
    let trace = Trace::new(5, "code-review", now, 4_100);
    let root = trace.span(0, None, "review_pull_request", 0, 4_100);
    let chat = trace
        .chat(1, &root, 30, 4_000, &ANTHROPIC, 48_210, 1_275, "end_turn")
        .attributes([("gen_ai.usage.cache_read.input_tokens", int(41_000)), ("gen_ai.usage.cache_creation.input_tokens", int(6_000))]);
    trace.story("a long prompt read from the cache", vec![vec![chat, root]])
}

fn plain_chat(now: u64, n: u8) -> Story {
    let trace = Trace::new(100 + n, "chat-widget", now, 900);
    let chat = trace.chat_root(&OPENAI, 310 + u64::from(n), 45, "stop", 900);
    trace.story("a plain chat", vec![vec![chat]])
}

/// A provider and the models that are asked for and answer.
struct Model {
    provider: &'static str,
    request: &'static str,
    response: &'static str,
}

static ANTHROPIC: Model = Model { provider: "anthropic", request: "claude-sonnet-4-6", response: "claude-sonnet-4-6" };
static OPENAI: Model = Model { provider: "openai", request: "gpt-4.1", response: "gpt-4.1-2025-04-14" };

struct Trace {
    id: [u8; 16],
    service: &'static str,
    start: u64,
}

/// A span under construction.
#[derive(Clone)]
struct Building(Span);

impl Trace {
    /// A trace of `service` that ended a moment before `now` and took `ms`.
    fn new(number: u8, service: &'static str, now: u64, ms: u64) -> Trace {
        // Spread over the low bytes as a random id would be: sampling by probability reads the last seven.
        let mut id = [0xd0; 16];
        id[0] = number;
        let mut mixed = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed ^= mixed >> 29;
        id[8..].copy_from_slice(&mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9).to_be_bytes());
        Trace { id, service, start: now.saturating_sub((ms + 50) * MILLISECOND) }
    }

    fn span(&self, number: u8, parent: Option<&Building>, name: &str, offset_ms: u64, ms: u64) -> Building {
        let start = self.start + offset_ms * MILLISECOND;
        Building(Span {
            trace_id: self.id.to_vec(),
            span_id: [self.id[0], number + 1, 0xa, 0xb, 0xc, 0xd, 0xe, 0xf].to_vec(),
            parent_span_id: parent.map(|p| p.0.span_id.clone()).unwrap_or_default(),
            name: name.to_owned(),
            kind: SpanKind::Internal.into(),
            start_time_unix_nano: start,
            end_time_unix_nano: start + ms * MILLISECOND,
            flags: 1,
            ..Span::default()
        })
    }

    #[expect(clippy::too_many_arguments, reason = "a row of a table of spans")]
    fn chat(
        &self,
        number: u8,
        parent: &Building,
        offset_ms: u64,
        ms: u64,
        model: &Model,
        input: u64,
        output: u64,
        finish: &str,
    ) -> Building {
        self.span(number, Some(parent), &format!("chat {}", model.request), offset_ms, ms).model_call(model, input, output, finish)
    }

    fn chat_root(&self, model: &Model, input: u64, output: u64, finish: &str, ms: u64) -> Building {
        self.span(0, None, &format!("chat {}", model.request), 0, ms).model_call(model, input, output, finish)
    }

    fn story(self, title: &'static str, batches: Vec<Vec<Building>>) -> Story {
        let request = |spans: Vec<Building>| ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(Resource { attributes: vec![pair("service.name", text(self.service))], ..Resource::default() }),
                scope_spans: vec![ScopeSpans {
                    scope: Some(InstrumentationScope { name: "tollgate.demo".into(), ..InstrumentationScope::default() }),
                    spans: spans.into_iter().map(|s| s.0).collect(),
                    ..ScopeSpans::default()
                }],
                ..ResourceSpans::default()
            }],
        };
        Story { title, trace_id: self.id, requests: batches.into_iter().map(request).collect() }
    }
}

impl Building {
    fn attributes<const N: usize>(mut self, pairs: [(&str, Value); N]) -> Building {
        self.0.attributes.extend(pairs.map(|(key, value)| pair(key, value)));
        self
    }

    fn model_call(mut self, model: &Model, input: u64, output: u64, finish: &str) -> Building {
        self.0.kind = SpanKind::Client.into();
        let finish = ArrayValue { values: vec![AnyValue { value: Some(text(finish)) }] };
        let id = format!("resp-{:02x}{:02x}", self.0.span_id[0], self.0.span_id[1]);
        self.attributes([
            ("gen_ai.operation.name", text("chat")),
            ("gen_ai.provider.name", text(model.provider)),
            ("gen_ai.request.model", text(model.request)),
            ("gen_ai.response.model", text(model.response)),
            ("gen_ai.response.id", text(&id)),
            ("gen_ai.response.finish_reasons", Value::ArrayValue(finish)),
            ("gen_ai.usage.input_tokens", int(input)),
            ("gen_ai.usage.output_tokens", int(output)),
        ])
    }

    fn failed(mut self, message: &str) -> Building {
        self.0.status = Some(Status { code: StatusCode::Error.into(), message: message.to_owned() });
        self.0.events.push(Event {
            time_unix_nano: self.0.end_time_unix_nano,
            name: "exception".into(),
            attributes: vec![pair("exception.type", text("OverloadedError")), pair("exception.message", text(message))],
            ..Event::default()
        });
        self
    }
}

fn text(value: &str) -> Value {
    Value::StringValue(value.to_owned())
}

fn int(value: u64) -> Value {
    Value::IntValue(i64::try_from(value).unwrap_or(i64::MAX))
}

fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_story_has_ids_of_its_own_and_one_root() {
        let stories = stories(1_795_000_000_000_000_000, 40);
        let mut spans = HashSet::new();
        for story in &stories {
            let mut roots = 0;
            for span in story.requests.iter().flat_map(|r| &r.resource_spans).flat_map(|r| &r.scope_spans).flat_map(|s| &s.spans) {
                assert_eq!(span.trace_id, story.trace_id);
                assert!(spans.insert((span.trace_id.clone(), span.span_id.clone())), "{}", story.title);
                roots += usize::from(span.parent_span_id.is_empty());
                assert!(span.end_time_unix_nano <= 1_795_000_000_000_000_000);
            }
            assert_eq!(roots, 1, "{}", story.title);
        }
        assert_eq!(stories.iter().map(|s| s.trace_id).collect::<HashSet<_>>().len(), stories.len());
    }
}
