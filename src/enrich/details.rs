//! What is rarely asked about a call, and read only when it is.
//!
//! Whether an answer was streamed, how many tools it calls: no price and no flag depends on it, so no span pays for it on arrival.

use crate::enrich::call::LlmFacts;
use crate::enrich::json;
use crate::enrich::keys::{Key, numbered};
use crate::enrich::kind::Kind;
use crate::enrich::scan;
use crate::otlp::span::{self, Any};
use std::borrow::Cow;

/// Keys that say whether an answer was streamed.
const STREAMING: [Key; 6] = [
    Key::GenAiRequestStream,
    Key::GenAiRequestIsStream,
    Key::GenAiIsStreaming,
    Key::LlmIsStreaming,
    Key::LangsmithRequestStreaming,
    Key::SpringAiChatClientStream,
];

/// Names of events that stand for one piece of a streamed answer.
const CHUNKS: [&[u8]; 2] = [b"gen_ai.content.completion.chunk", b"llm.content.completion.chunk"];

/// Most pieces looked at: a long answer has some thousand.
const MAX_CHUNKS: usize = 4096;

impl LlmFacts<'_> {
    /// What it did, in the word of the sender, else in the usual one of its kind.
    pub fn operation(&self) -> Cow<'static, str> {
        let said = scan::once(self.span, |attributes| attributes.name(Key::GenAiOperationName).map(str::to_owned));
        said.map_or_else(|| Cow::Borrowed(usual(self.kind)), Cow::Owned)
    }

    /// Whether it is the run of a whole workflow, and not of one step of it.
    pub fn is_workflow(&self) -> bool {
        let says = |key: Key, word: &str| {
            scan::once(self.span, |attributes| attributes.name(key).is_some_and(|text| text.eq_ignore_ascii_case(word)))
        };
        self.kind == Kind::Chain && (says(Key::GenAiOperationName, "invoke_workflow") || says(Key::TraceloopSpanKind, "workflow"))
    }

    /// Whether the answer was streamed. Nothing said means it was not.
    pub fn is_streaming(&self) -> bool {
        scan::once(self.span, |attributes| {
            let by_name = || {
                let operation = attributes.name(Key::AiOperationId)?;
                operation.to_ascii_lowercase().contains("stream").then_some(true)
            };
            let asked = || json::member(attributes.json(Key::LlmInvocationParameters)?, "stream").map(|raw| raw == "true");
            STREAMING.iter().find_map(|key| attributes.flag(*key)).or_else(by_name).or_else(asked).unwrap_or(false)
        })
    }

    /// Moments at which the pieces of a streamed answer came, Unix nanoseconds, as far as the span has them.
    pub fn chunks(&self) -> Vec<u64> {
        scan::once(self.span, |attributes| {
            let pieces = attributes.events().filter(|event| CHUNKS.contains(&event.name));
            pieces.map(|event| event.time).take(MAX_CHUNKS).collect()
        })
    }

    /// How many tools the answer calls; `None` where nothing tells.
    pub fn tool_calls(&self) -> Option<u64> {
        let listed = |value: Any<'_>| match value {
            Any::Array(_) => Some(value.elements().count() as u64),
            Any::Str(text) => names(text),
            _ => None,
        };
        scan::once(self.span, |attributes| {
            attributes
                .count(Key::GenAiResponseToolCallsCount)
                .or_else(|| attributes.count(Key::AgentToolCalls).or_else(|| listed(attributes.any(Key::AgentToolCalls))))
                .or_else(|| messages(attributes.any(Key::GenAiOutputMessages)))
                .or_else(|| Some(json::elements(&json::object(attributes.json(Key::AiResponseToolCalls)?)).len() as u64))
                .or_else(|| flattened(self.span))
                .or_else(|| listed(attributes.any(Key::GenAiResponseToolCallsNames)))
        })
    }

    /// The tool at work, on the span of one.
    pub fn tool(&self) -> Option<String> {
        let keys = [Key::GenAiToolName, Key::AiToolCallName, Key::ToolName, Key::TraceloopEntityName, Key::MlflowSpanFunctionName];
        let named = || scan::once(self.span, |attributes| keys.iter().find_map(|key| attributes.name(*key)).map(str::to_owned));
        if self.kind == Kind::Tool { named() } else { None }
    }
}

/// The usual word for what a span of a kind does.
fn usual(kind: Kind) -> &'static str {
    match kind {
        Kind::Llm => "chat",
        Kind::Embedding => "embeddings",
        Kind::Rerank => "rerank",
        Kind::Media => "generate_content",
        Kind::Agent => "invoke_agent",
        Kind::Tool => "execute_tool",
        Kind::Chain => "invoke_workflow",
        other => other.as_str(),
    }
}

/// The length of a JSON list, or of a list with commas.
fn names(text: &str) -> Option<u64> {
    let text = text.trim();
    if text.starts_with('[') {
        return Some(json::elements(text).len() as u64);
    }
    (!text.is_empty()).then(|| text.split(',').filter(|name| !name.trim().is_empty()).count() as u64)
}

/// Parts of output messages that call a tool; `None` where there are no messages.
fn messages(value: Any<'_>) -> Option<u64> {
    match value {
        Any::Str(text) => {
            let text = json::object(text);
            let messages = json::elements(&text);
            let parts = messages.iter().filter_map(|message| json::member(message, "parts")).flat_map(json::elements);
            let calls = parts.filter(|part| json::name(part, "type") == Some("tool_call")).count() as u64;
            (!messages.is_empty()).then_some(calls)
        }
        Any::Array(_) => {
            let calls = |message: Any<'_>| {
                let parts = entry(message, b"parts").unwrap_or(Any::None);
                parts.elements().filter(|part| entry(*part, b"type").is_some_and(|kind| kind.as_str() == Some("tool_call"))).count() as u64
            };
            Some(value.elements().map(calls).sum())
        }
        _ => None,
    }
}

/// An entry of a structured value.
fn entry<'a>(value: Any<'a>, name: &[u8]) -> Option<Any<'a>> {
    value.entries().find(|entry| entry.key == name).map(|entry| entry.any())
}

/// Different numbers behind `gen_ai.completion.0.tool_calls.` and its like; `None` where no answer is flattened so.
fn flattened(item: &[u8]) -> Option<u64> {
    let (mut seen, mut answers) = ([0u64; 4], false);
    span::read(
        item,
        |pair| {
            let beginnings: [(&[u8], &[u8]); 2] =
                [(b"gen_ai.completion.", b"0.tool_calls."), (b"llm.output_messages.", b"0.message.tool_calls.")];
            let rest = beginnings.iter().find_map(|(beginning, rest)| Some((pair.key.strip_prefix(*beginning)?, *rest)));
            answers |= rest.is_some();
            let number = rest.and_then(|(key, calls)| numbered(key.strip_prefix(calls)?));
            if let Some((word, bit)) = number.and_then(|(number, _)| Some((seen.get_mut(number / 64)?, number % 64))) {
                *word |= 1 << bit;
            }
        },
        |_| {},
    );
    answers.then(|| seen.iter().map(|word| u64::from(word.count_ones())).sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::append::Attributes as Append;

    fn with<T>(kind: Kind, attributes: &[(&str, &str)], ask: impl Fn(&LlmFacts<'_>) -> T) -> T {
        let mut span = Vec::new();
        let mut append = Append::of_span(&mut span);
        attributes.iter().for_each(|(key, value)| append.str(key, value));
        ask(&LlmFacts { kind, span: &span, ..LlmFacts::default() })
    }

    #[test]
    fn tools_that_an_answer_calls_are_counted_wherever_they_are_listed() {
        let calls = |attributes: &[(&str, &str)]| with(Kind::Llm, attributes, |facts| facts.tool_calls());
        let messages = r#"[{"role":"assistant","parts":[{"type":"text","content":"x"},{"type":"tool_call","name":"a"},{"type":"tool_call","name":"b"}]}]"#;
        for (attributes, count) in [
            (&[("gen_ai.response.tool_calls.count", "3"), ("gen_ai.output.messages", messages)][..], Some(3)),
            (&[("agent.tool_calls", "4")], Some(4)),
            (&[("gen_ai.output.messages", messages)], Some(2)),
            (&[("gen_ai.output.messages", r#"[{"role":"assistant","parts":[]}]"#)], Some(0)),
            (&[("ai.response.toolCalls", r#"[{"toolName":"a"}]"#)], Some(1)),
            (
                &[
                    ("gen_ai.completion.0.tool_calls.0.name", "a"),
                    ("gen_ai.completion.0.tool_calls.0.arguments", "{}"),
                    ("gen_ai.completion.0.tool_calls.1.name", "b"),
                ],
                Some(2),
            ),
            (&[("llm.output_messages.0.message.tool_calls.0.tool_call.function.name", "a")], Some(1)),
            (&[("gen_ai.completion.0.tool_calls.99999.name", "a")], Some(0)),
            (&[("gen_ai.response.tool_calls.names", r#"["a","b"]"#)], Some(2)),
            (&[("gen_ai.response.tool_calls.names", "a, b,")], Some(2)),
            (&[("gen_ai.completion.0.content", "x")], Some(0)),
            (&[("gen_ai.system", "openai")], None),
        ] {
            assert_eq!(calls(attributes), count, "{attributes:?}");
        }
    }

    #[test]
    fn an_answer_is_streamed_where_somebody_says_so() {
        let streams = |key: &str, value: &str| with(Kind::Llm, &[(key, value)], |facts| facts.is_streaming());
        for (key, value) in [
            ("gen_ai.request.stream", "True"),
            ("llm.is_streaming", "true"),
            ("ai.operationId", "ai.streamText.doStream"),
            ("llm.invocation_parameters", r#"{"stream":true}"#),
        ] {
            assert!(streams(key, value), "{key}");
        }
        for (key, value) in [("gen_ai.request.stream", "false"), ("ai.operationId", "ai.generateText"), ("llm.invocation_parameters", "{}")]
        {
            assert!(!streams(key, value), "{key}");
        }
    }

    #[test]
    fn an_operation_and_a_tool_have_names() {
        assert_eq!(with(Kind::Embedding, &[], |facts| facts.operation().into_owned()), "embeddings");
        assert_eq!(with(Kind::Llm, &[("gen_ai.operation.name", "generate_content")], |f| f.operation().into_owned()), "generate_content");
        assert_eq!(with(Kind::Tool, &[("tool.name", "search")], |facts| facts.tool()).as_deref(), Some("search"));
        assert_eq!(with(Kind::Llm, &[("tool.name", "search")], |facts| facts.tool()), None);
        assert!(with(Kind::Chain, &[("traceloop.span.kind", "workflow")], |facts| facts.is_workflow()));
        assert!(!with(Kind::Chain, &[("traceloop.span.kind", "task")], |facts| facts.is_workflow()));
    }
}
