//! What a span is: the first decisive word of many vocabularies.
//!
//! Every library has its own key for it, some write two that disagree, and hand-made spans have none, so the keys are asked
//! in a fixed order, the explicit ones of observability products first because they know what they wrap. Only where
//! nobody says anything do the shapes decide: a model and usage make a call, a step number makes an agent.

use crate::enrich::finishes;
use crate::enrich::json;
use crate::enrich::keys::Key;
use crate::enrich::kind::Kind;
use crate::enrich::scan::Attributes;
use crate::enrich::sets::{Keys, List};
use crate::enrich::source::{Library, Source};
use crate::enrich::tokens;
use crate::otlp::span::SpanView;

/// `SpanKind` SERVER.
const SERVER: u64 = 2;
/// `SpanKind` CLIENT.
pub(crate) const CLIENT: u64 = 3;

/// Keys that name a model.
const MODEL_KEYS: List = List::of(&[
    Key::GenAiRequestModel,
    Key::GenAiResponseModel,
    Key::LlmRequestModelName,
    Key::LlmRequestModel,
    Key::LlmResponseModelName,
    Key::LlmResponseModel,
    Key::AiModelId,
    Key::AiResponseModel,
    Key::LangfuseObservationModelName,
    Key::LlmModelName,
    Key::EmbeddingModelName,
    Key::RerankerModelName,
    Key::MlflowLlmModel,
    Key::LangsmithMetadataLsModelName,
    Key::LlmModel,
    Key::Model,
]);

/// Keys that show a call went on: how it ended, how long it took, what was asked.
const SIGNS_OF_A_CALL: Keys = finishes::SINGLE.set.and(Keys::of(&[
    Key::GenAiResponseFinishReasons,
    Key::CompletionFinishReason,
    Key::GenAiResponseStatus,
    Key::GenAiPrompt,
    Key::GenAiPromptUser,
    Key::GenAiPromptName,
    Key::PromptPart,
    Key::GenAiInputMessages,
    Key::GenAiLatencyMs,
    Key::LlmLatencyMs,
    Key::LatencyAny,
]));

/// Keys of an agent's progress.
const AGENT_KEYS: Keys = Keys::of(&[
    Key::AgentTask,
    Key::AgentGoal,
    Key::AgentStep,
    Key::AgentStepNumber,
    Key::AgentTotalSteps,
    Key::AgentMaxSteps,
    Key::AgentName,
]);

/// Keys of a tool at work.
const TOOL_KEYS: Keys = Keys::of(&[Key::GenAiToolName, Key::GenAiToolCallId]);

/// Keys of a request over HTTP.
const WEB_KEYS: Keys = Keys::of(&[
    Key::HttpRequestMethod,
    Key::HttpMethod,
    Key::HttpRoute,
    Key::HttpTarget,
    Key::UrlPath,
    Key::UrlFull,
    Key::HttpUrl,
    Key::HttpScheme,
    Key::HttpResponseStatusCode,
    Key::HttpStatusCode,
]);

/// Decides what a span is.
pub(crate) fn classify(attributes: &Attributes<'_, '_>, view: &SpanView<'_>, source: &Source<'_>, of_models: bool) -> Kind {
    if source.library == Library::Litellm && view.name == b"raw_gen_ai_request" {
        return Kind::Raw;
    }
    if !of_models {
        return if source.calls_providers() { by_name(view, source) } else { Kind::None };
    }
    said(attributes, source).or_else(|| by_shape(attributes, view)).unwrap_or_else(|| by_name(view, source))
}

/// Rules 1 to 10: somebody says it.
fn said(attributes: &Attributes<'_, '_>, source: &Source<'_>) -> Option<Kind> {
    let word = |key: Key, meaning: fn(&str) -> Option<Kind>| attributes.name(key).and_then(|text| lower(text, meaning));
    word(Key::LangfuseObservationType, langfuse)
        .or_else(|| word(Key::OpeninferenceSpanKind, openinference))
        .or_else(|| word(Key::LangsmithSpanKind, langsmith))
        .or_else(|| word(Key::MlflowSpanType, mlflow))
        .or_else(|| word(Key::AiOperationId, vercel))
        .or_else(|| {
            let first = attributes.name(Key::OperationName)?.split_whitespace().next()?;
            lower(first, vercel)
        })
        .or_else(|| word(Key::GenAiOperationName, operation))
        .or_else(|| word(Key::GenAiSpanKind, loongsuite))
        .or_else(|| word(Key::TraceloopSpanKind, traceloop))
        .or_else(|| word(Key::LlmRequestType, request_type))
        .or_else(|| word(Key::LmnrSpanType, |w| decisive(w).then(|| pick(w, "llm", "tool"))))
        .or_else(|| word(Key::GenkitMetadataSubtype, genkit))
        .or_else(|| word(Key::SpringAiKind, spring))
        .or_else(|| {
            let text = attributes.name(Key::SpanType)?;
            let marked = text.strip_prefix("claude_code.");
            let of_claude = source.service.contains("claude") || source.scope.contains("claude");
            lower(marked.or(of_claude.then_some(text))?, claude_code)
        })
}

/// Rules 11 to 13: its attributes show it.
fn by_shape(attributes: &Attributes<'_, '_>, view: &SpanView<'_>) -> Option<Kind> {
    let model = has_model(attributes);
    if attributes.has_any(&TOOL_KEYS) || attributes.has(Key::ToolName) && !model {
        return Some(Kind::Tool);
    }
    if attributes.has_any(&AGENT_KEYS) && !model {
        return Some(Kind::Agent);
    }
    if !model {
        return None;
    }
    // A proxy copies the attributes of a request to the span of its own server.
    if view.kind == SERVER && attributes.has_any(&WEB_KEYS) {
        return None;
    }
    let tokens = tokens::Shape::of(attributes);
    if tokens.input && !tokens.output && names_an_embedding(attributes) {
        return Some(Kind::Embedding);
    }
    (tokens.any || attributes.has_any(&SIGNS_OF_A_CALL)).then_some(Kind::Llm)
}

/// Rule 14: OpenLIT leaves a failed call without any attribute; its name is all there is.
fn by_name(view: &SpanView<'_>, source: &Source<'_>) -> Kind {
    if source.library == Library::Adk && view.name == b"call_llm" {
        return Kind::Llm;
    }
    if view.kind != CLIENT || !source.calls_providers() {
        return Kind::None;
    }
    let first = view.name.split(|b| *b == b' ').next().and_then(|word| std::str::from_utf8(word).ok());
    first.and_then(|word| lower(word, operation)).unwrap_or(Kind::None)
}

/// Whether a key names a model.
pub(crate) fn has_model(attributes: &Attributes<'_, '_>) -> bool {
    attributes.first_name(&MODEL_KEYS).is_some()
        || attributes
            .json(Key::LlmInvocationParameters)
            .is_some_and(|text| ["model", "model_name", "modelId"].iter().any(|member| json::name(text, member).is_some()))
}

fn names_an_embedding(attributes: &Attributes<'_, '_>) -> bool {
    attributes.first_name(&MODEL_KEYS).is_some_and(|(_, model)| model.to_ascii_lowercase().contains("embed"))
}

/// Looks a word up in lower case. Longer than 48 letters no kind is.
fn lower(text: &str, meaning: impl Fn(&str) -> Option<Kind>) -> Option<Kind> {
    let mut buffer = [0; 48];
    let word = buffer.get_mut(..text.len())?;
    word.copy_from_slice(text.as_bytes());
    word.make_ascii_lowercase();
    meaning(std::str::from_utf8(word).ok()?)
}

/// Words that say nothing.
fn decisive(word: &str) -> bool {
    !matches!(word, "" | "span" | "unknown" | "default" | "event")
}

fn pick(word: &str, llm: &str, tool: &str) -> Kind {
    if word == llm {
        Kind::Llm
    } else if word == tool {
        Kind::Tool
    } else {
        Kind::Chain
    }
}

fn langfuse(word: &str) -> Option<Kind> {
    Some(match word {
        "generation" => Kind::Llm,
        "embedding" => Kind::Embedding,
        "agent" => Kind::Agent,
        "tool" => Kind::Tool,
        "chain" => Kind::Chain,
        "retriever" => Kind::Retrieval,
        "guardrail" => Kind::Guardrail,
        "evaluator" => Kind::Evaluator,
        _ => return None,
    })
}

fn openinference(word: &str) -> Option<Kind> {
    Some(match word {
        "llm" => Kind::Llm,
        "embedding" => Kind::Embedding,
        "reranker" => Kind::Rerank,
        "chain" => Kind::Chain,
        "retriever" => Kind::Retrieval,
        "tool" => Kind::Tool,
        "agent" => Kind::Agent,
        "guardrail" => Kind::Guardrail,
        "evaluator" => Kind::Evaluator,
        "prompt" => Kind::Prompt,
        _ => return None,
    })
}

fn langsmith(word: &str) -> Option<Kind> {
    Some(match word {
        "llm" => Kind::Llm,
        "embedding" => Kind::Embedding,
        "chain" | "parser" => Kind::Chain,
        "tool" => Kind::Tool,
        "retriever" => Kind::Retrieval,
        "prompt" => Kind::Prompt,
        _ => return None,
    })
}

fn mlflow(word: &str) -> Option<Kind> {
    Some(match word {
        "llm" | "chat_model" => Kind::Llm,
        "embedding" => Kind::Embedding,
        "reranker" => Kind::Rerank,
        "agent" => Kind::Agent,
        "tool" => Kind::Tool,
        "chain" | "parser" | "workflow" | "task" => Kind::Chain,
        "retriever" => Kind::Retrieval,
        "memory" => Kind::Memory,
        "guardrail" => Kind::Guardrail,
        "evaluator" => Kind::Evaluator,
        _ => return None,
    })
}

fn vercel(word: &str) -> Option<Kind> {
    Some(match word.strip_prefix("ai.")? {
        "generatetext" | "streamtext" | "generateobject" | "streamobject" => Kind::Agent,
        "generatetext.dogenerate" | "streamtext.dostream" | "generateobject.dogenerate" | "streamobject.dostream" => Kind::Llm,
        "embed" | "embedmany" | "rerank" => Kind::Chain,
        "embed.doembed" | "embedmany.doembed" => Kind::Embedding,
        "toolcall" => Kind::Tool,
        "rerank.dorerank" => Kind::Rerank,
        other if other.ends_with(".dogenerate") || other.ends_with(".dostream") => Kind::Llm,
        _ => return None,
    })
}

/// The values of `gen_ai.operation.name`, and the first word of the names of such spans.
fn operation(word: &str) -> Option<Kind> {
    Some(match word {
        "chat" | "text_completion" | "generate_content" => Kind::Llm,
        "completion" | "generate" | "generate_text" | "response" | "responses" | "message" => Kind::Llm,
        "acompletion" | "atext_completion" | "aresponses" | "anthropic_messages" | "agenerate_content" => Kind::Llm,
        "llm_call" | "llm_request" => Kind::Llm,
        "embeddings" | "embedding" | "aembedding" => Kind::Embedding,
        "rerank" | "arerank" | "reranking" => Kind::Rerank,
        "image_generation" | "image" | "speech" | "audio" | "transcription" | "vision" => Kind::Media,
        "execute_tool" | "tool_call" => Kind::Tool,
        "invoke_agent" | "create_agent" | "agent_step" | "agent_call" | "execute_event_loop_cycle" | "handle_conversation_turn" => {
            Kind::Agent
        }
        "invoke_workflow" | "plan" | "execute_task" | "framework" | "user_prompt" | "system_prompt" => Kind::Chain,
        "retrieval" | "vector_db_retrieve" => Kind::Retrieval,
        "search_memory"
        | "create_memory"
        | "update_memory"
        | "upsert_memory"
        | "delete_memory"
        | "create_memory_store"
        | "delete_memory_store" => Kind::Memory,
        "fetch_response" => Kind::Raw,
        _ => return None,
    })
}

fn loongsuite(word: &str) -> Option<Kind> {
    Some(match word {
        "llm" => Kind::Llm,
        "embedding" => Kind::Embedding,
        "reranker" => Kind::Rerank,
        "retriever" => Kind::Retrieval,
        "tool" => Kind::Tool,
        "agent" => Kind::Agent,
        "chain" | "task" | "step" => Kind::Chain,
        _ => return None,
    })
}

fn traceloop(word: &str) -> Option<Kind> {
    Some(match word {
        "workflow" | "task" => Kind::Chain,
        "agent" => Kind::Agent,
        "tool" => Kind::Tool,
        _ => return None,
    })
}

/// The values of `llm.request.type`: Traceloop's own and the call types of LiteLLM.
fn request_type(word: &str) -> Option<Kind> {
    match word {
        "chat" | "completion" => Some(Kind::Llm),
        "embedding" => Some(Kind::Embedding),
        "rerank" => Some(Kind::Rerank),
        _ => operation(word).filter(|kind| kind.is_priced()),
    }
}

fn genkit(word: &str) -> Option<Kind> {
    Some(match word {
        "model" | "background-model" => Kind::Llm,
        "embedder" => Kind::Embedding,
        "tool" => Kind::Tool,
        "retriever" => Kind::Retrieval,
        other if decisive(other) => Kind::Chain,
        _ => return None,
    })
}

fn spring(word: &str) -> Option<Kind> {
    Some(match word {
        "chat_client" | "advisor" => Kind::Chain,
        "vector_store" => Kind::Retrieval,
        _ => return None,
    })
}

fn claude_code(word: &str) -> Option<Kind> {
    Some(match word {
        "llm_request" => Kind::Llm,
        "tool" => Kind::Tool,
        "interaction" => Kind::Agent,
        _ => return None,
    })
}
