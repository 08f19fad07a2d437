//! Whose counts they are: what decides if input includes the cache.

use crate::enrich::keys::Key;
use crate::enrich::scan::Attributes;
use crate::enrich::sets::Keys;
use crate::enrich::source::{Library, Source};
use crate::enrich::tokens::Family;
use crate::enrich::usage::Dialect;

/// Whose counts they are: what decides if input includes the cache.
pub(super) fn dialect(
    attributes: &Attributes<'_, '_>,
    source: &Source<'_>,
    family: Family,
    inclusive_object: bool,
    provider: Option<&str>,
) -> Dialect {
    match family {
        Family::Langfuse if inclusive_object => Dialect::LangfuseProviderObject,
        Family::Langfuse => Dialect::LangfuseBuckets,
        Family::Vercel => {
            const NEW: Keys = Keys::of(&[
                Key::AiUsageInputTokenDetailsCacheReadTokens,
                Key::AiUsageInputTokenDetailsCacheWriteTokens,
                Key::AiUsageInputTokenDetailsNoCacheTokens,
                Key::AiUsageOutputTokenDetailsReasoningTokens,
            ]);
            if attributes.has_any(&NEW) { Dialect::Vercel } else { Dialect::VercelOld }
        }
        Family::Mlflow => Dialect::Mlflow,
        Family::Langsmith => Dialect::Langsmith,
        Family::OpenInference if provider == Some("aws.bedrock") => Dialect::OpenInferenceBedrock,
        Family::OpenInference => Dialect::OpenInference,
        Family::LlmUsage => traceloop(source, provider),
        Family::FlatB => Dialect::FlatB,
        Family::Bare if attributes.has_any(&const { Keys::of(&[Key::UsagePromptTokens, Key::UsageCompletionTokens]) }) => Dialect::Unknown,
        Family::Bare => Dialect::ClaudeCode,
        Family::GenAi => gen_ai(attributes, source, provider),
    }
}

fn gen_ai(attributes: &Attributes<'_, '_>, source: &Source<'_>, provider: Option<&str>) -> Dialect {
    // A stage before this one said so, and may have made it so.
    if attributes.name(Key::TollgateUsageInputSemantics) == Some("inclusive") {
        return Dialect::Semconv;
    }
    match source.library {
        Library::OtelBotocore => return Dialect::OtelBotocore,
        Library::OtelGoogleGenai if source.release().is_some_and(|r| r < (1, 0)) => return Dialect::OtelGoogleGenaiOld,
        Library::OtelGoogleGenai => return Dialect::Semconv,
        Library::AnthropicSdk => return Dialect::AnthropicSdk,
        Library::VercelLegacy => return Dialect::VercelOld,
        Library::VercelV7 => return Dialect::Vercel,
        Library::Openlit => return Dialect::Openlit,
        Library::Logfire | Library::PydanticAi => return Dialect::PydanticAi,
        Library::Litellm => return Dialect::Litellm,
        Library::Strands => return Dialect::Strands,
        Library::Adk => return Dialect::Adk,
        Library::Sigil => return Dialect::Sigil,
        Library::Datadog => return Dialect::Datadog,
        Library::ClaudeCode => return Dialect::ClaudeCode,
        Library::Traceloop | Library::TraceloopNode => return traceloop(source, provider),
        _ => {}
    }
    let system = attributes.name(Key::GenAiSystem);
    if system == Some("strands-agents") || attributes.has(Key::EventLoopCycleId) {
        Dialect::Strands
    } else if attributes.has(Key::GenAiSdkVersion) && attributes.has(Key::GenAiUsageCost) {
        Dialect::Openlit
    } else if attributes.has(Key::AdkAny) {
        Dialect::Adk
    } else if attributes.has(Key::SigilAny) {
        Dialect::Sigil
    } else if attributes
        .has_any(&const { Keys::of(&[Key::LogfireAny, Key::LogfireSpanType, Key::ModelRequestParameters, Key::PydanticAny]) })
    {
        Dialect::PydanticAi
    } else if attributes.has(Key::HiddenParams) {
        Dialect::Litellm
    } else if attributes.has_any(
        &const { Keys::of(&[Key::LlmRequestType, Key::PromptPart, Key::CompletionPart, Key::TraceloopAny, Key::TraceloopEntityName]) },
    ) {
        traceloop(source, provider)
    } else if attributes.has_any(&const { Keys::of(&[Key::GenAiLatencyMs, Key::GenAiResponseStopReason]) }) {
        Dialect::FlatA
    } else if attributes.has_any(&const { Keys::of(&[Key::GenAiFinishReason, Key::LlmCostUsd]) }) {
        Dialect::FlatC
    } else if attributes.has_any(&const { Keys::of(&[Key::GenAiOperationName, Key::GenAiProviderName, Key::GenAiSystem]) }) {
        Dialect::Semconv
    } else {
        Dialect::Unknown
    }
}

fn traceloop(source: &Source<'_>, provider: Option<&str>) -> Dialect {
    let old_node = source.library == Library::TraceloopNode && source.release().is_some_and(|release| release <= (0, 27));
    match provider {
        Some("aws.bedrock") => Dialect::TraceloopBedrock,
        Some("cohere") => Dialect::TraceloopCohere,
        Some("anthropic") if old_node => Dialect::TraceloopNodeAnthropicOld,
        _ => Dialect::Traceloop,
    }
}
