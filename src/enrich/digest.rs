//! What makes two spans attempts of one call, or one tool call made again.
//!
//! Nothing on the wire says "this is the second attempt": a retry is a sibling that asks for the same thing. So a call is reduced to one
//! number, made of what was asked for and not of what came back; the sampler compares numbers and never sees a prompt.

use crate::enrich::kind::Kind;
use crate::otlp::span::{self, KeyValue, SpanView};
use ahash::RandomState;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::LazyLock;

/// Of a long text its length, its beginning and its end are looked at: prompts grow at the end, and a whole one is a page or a book.
const PART: usize = 512;

/// Seeded, because senders choose the texts; one seed, because shards compare.
static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// Whether a key holds what a model was asked, or a part of it: some vocabularies number their messages.
fn is_input(key: &[u8]) -> bool {
    match key {
        b"gen_ai.input.messages" | b"gen_ai.prompt" | b"gen_ai.content.prompt" | b"input.value" | b"ai.prompt" | b"ai.prompt.messages" => {
            true
        }
        b"langfuse.observation.input"
        | b"mlflow.spanInputs"
        | b"traceloop.entity.input"
        | b"lmnr.span.input"
        | b"request_data"
        | b"events" => true,
        _ => key.starts_with(b"gen_ai.prompt.") || key.starts_with(b"llm.input_messages.") || key.starts_with(b"llm.prompts."),
    }
}

/// Whether a key holds the arguments of a tool.
fn is_arguments(key: &[u8]) -> bool {
    let general = matches!(key, b"input.value" | b"langfuse.observation.input" | b"mlflow.spanInputs" | b"traceloop.entity.input");
    general
        || matches!(key, b"gen_ai.tool.call.arguments" | b"gen_ai.tool.arguments" | b"gen_ai.tool.input" | b"ai.toolCall.args")
        || matches!(key, b"tool_arguments" | b"tool.arguments" | b"tool.parameters" | b"tool.input" | b"tool.args" | b"lmnr.span.input")
}

/// Whether a key names a tool.
fn is_tool_name(key: &[u8]) -> bool {
    matches!(key, b"gen_ai.tool.name" | b"tool.name" | b"ai.toolCall.name" | b"tool_name" | b"traceloop.entity.name")
}

/// The number of a call, never 0; 0 for what is neither a model call nor a tool call, and for a tool whose arguments are not known.
pub(crate) fn of(kind: Kind, model: Option<&str>, span: &[u8], view: &SpanView<'_>) -> u64 {
    let digest = match kind {
        Kind::Tool => tool(span, view),
        kind if kind.is_priced() => Some(call(kind, model, span, view)),
        _ => None,
    };
    digest.map_or(0, |digest| digest.max(1))
}

/// One tool with the same arguments.
fn tool(span: &[u8], view: &SpanView<'_>) -> Option<u64> {
    let (mut name, mut arguments) = (None, None);
    span::read(
        span,
        |pair| {
            if name.is_none() && is_tool_name(pair.key) {
                name = Some(pair);
            } else if arguments.is_none() && is_arguments(pair.key) {
                arguments = Some(pair);
            }
        },
        |_| {},
    );
    let mut hasher = SEED.build_hasher();
    match name {
        Some(pair) => add(&mut hasher, pair.value),
        None => add(&mut hasher, view.name),
    }
    add(&mut hasher, arguments?.value);
    Some(hasher.finish())
}

/// One model with the same input; where the input is not recorded, one model at the same place.
fn call(kind: Kind, model: Option<&str>, span: &[u8], view: &SpanView<'_>) -> u64 {
    let mut hasher = SEED.build_hasher();
    (kind, model).hash(&mut hasher);
    let mut inputs = false;
    let mut input = |pair: KeyValue<'_>| {
        if is_input(pair.key) {
            inputs = true;
            add(&mut hasher, pair.key);
            add(&mut hasher, pair.value);
        }
    };
    span::read(span, &mut input, |_| {});
    if !inputs {
        view.parent_id.map(|id| *id.bytes()).hash(&mut hasher);
        add(&mut hasher, view.name);
    }
    hasher.finish()
}

fn add(hasher: &mut impl Hasher, bytes: &[u8]) {
    bytes.len().hash(hasher);
    match (bytes.first_chunk::<PART>(), bytes.last_chunk::<PART>()) {
        (Some(first), Some(last)) if bytes.len() > 2 * PART => {
            hasher.write(first);
            hasher.write(last);
        }
        _ => hasher.write(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::append::Attributes;
    use crate::otlp::span::SpanId;

    fn digest(kind: Kind, model: Option<&str>, pairs: &[(&str, &str)], parent: u8) -> u64 {
        let mut bytes = Vec::new();
        let mut to = Attributes::of_span(&mut bytes);
        pairs.iter().for_each(|(key, value)| to.str(key, value));
        of(kind, model, &bytes, &SpanView { parent_id: SpanId::new(&[parent; 8]), name: b"chat", ..SpanView::default() })
    }

    #[test]
    fn a_tool_call_is_its_name_and_its_arguments() {
        let tool = |pairs: &[(&str, &str)]| digest(Kind::Tool, None, pairs, 1);
        let first = tool(&[("gen_ai.tool.name", "search"), ("gen_ai.tool.call.arguments", "{\"q\":1}"), ("gen_ai.tool.call.id", "a")]);
        let again = tool(&[("gen_ai.tool.call.id", "b"), ("gen_ai.tool.name", "search"), ("gen_ai.tool.call.arguments", "{\"q\":1}")]);
        assert_eq!(first, again);
        assert_ne!(first, tool(&[("gen_ai.tool.name", "search"), ("gen_ai.tool.call.arguments", "{\"q\":2}")]));
        assert_ne!(first, tool(&[("gen_ai.tool.name", "fetch"), ("gen_ai.tool.call.arguments", "{\"q\":1}")]));
        assert_eq!(tool(&[("gen_ai.tool.name", "search")]), 0, "nothing is known of its arguments");
    }

    #[test]
    fn attempts_of_a_call_share_model_and_input_wherever_they_stand() {
        let call = |model, input, parent| digest(Kind::Llm, Some(model), &[("gen_ai.input.messages", input)], parent);
        assert_eq!(call("m", "hello", 1), call("m", "hello", 2));
        assert_ne!(call("m", "hello", 1), call("m", "bye", 1));
        assert_ne!(call("m", "hello", 1), call("n", "hello", 1));
        let bare = |parent| digest(Kind::Llm, Some("m"), &[("gen_ai.response.id", "x")], parent);
        assert_eq!(bare(1), bare(1));
        assert_ne!(bare(1), bare(2));
        assert_eq!(digest(Kind::Agent, Some("m"), &[("gen_ai.input.messages", "hello")], 1), 0);
    }

    #[test]
    fn long_texts_differ_by_length_beginning_or_end() {
        let call = |input: &str| digest(Kind::Llm, None, &[("input.value", input)], 1);
        let long = "x".repeat(5_000);
        assert_eq!(call(&long), call(&long.clone()));
        assert_ne!(call(&long), call(&format!("{long}x")));
        assert_ne!(call(&format!("{long}a")), call(&format!("{long}b")));
    }
}
