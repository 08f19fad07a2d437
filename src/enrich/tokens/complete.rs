//! What a family of counts lacks, from the provider's own usage object.
//!
//! Lifetimes of cache writes and reasoning have no key in most vocabularies, but the answer, or the usage in it, often stands on
//! the span as a text.

use crate::enrich::json;
use crate::enrich::keys::Key;
use crate::enrich::scan::Attributes;
use crate::enrich::sets::{Keys, List};
use crate::enrich::tokens::names::PROVIDER;
use crate::enrich::usage::RawUsage;

/// Cache writes by lifetime.
const WRITES_5M: List =
    List::of(&[Key::AnthropicUsageCacheCreationEphemeral5mInputTokens, Key::GenAiUsageCacheCreationEphemeral5mInputTokens]);
const WRITES_1H: List =
    List::of(&[Key::AnthropicUsageCacheCreationEphemeral1hInputTokens, Key::GenAiUsageCacheCreationEphemeral1hInputTokens]);

/// Keys that may hold a whole answer with its usage.
const ANSWERS: List = List::of(&[Key::MlflowSpanOutputs, Key::ResponseData, Key::OutputValue, Key::LangfuseObservationOutput]);

/// Where anything of the kind stands.
const OBJECTS: Keys =
    Keys::of(&[Key::AiResponseProviderMetadata, Key::GenAiUsageRaw]).and(WRITES_5M.set).and(WRITES_1H.set).and(ANSWERS.set);

/// Completes what the family lacks from the provider's own usage object, where the span carries it.
pub(super) fn complete(attributes: &Attributes<'_, '_>, raw: &mut RawUsage) {
    if !attributes.has_any(&OBJECTS) {
        return;
    }
    raw.cache_write_5m = raw.cache_write_5m.or_else(|| attributes.first_count(&WRITES_5M));
    raw.cache_write_1h = raw.cache_write_1h.or_else(|| attributes.first_count(&WRITES_1H));
    if let Some(metadata) = attributes.json(Key::AiResponseProviderMetadata) {
        let metadata = json::object(metadata);
        for path in ["anthropic.usage", "bedrock.usage"] {
            if let Some(usage) = json::member(&metadata, path) {
                fill(raw, usage);
            }
        }
        let more: [(&mut Option<u64>, &[&str]); 3] = [
            (&mut raw.cache_read, &["openai.cachedPromptTokens", "anthropic.cacheReadInputTokens"]),
            (&mut raw.cache_write, &["anthropic.cacheCreationInputTokens"]),
            (&mut raw.reasoning, &["openai.reasoningTokens"]),
        ];
        for (count, paths) in more {
            *count = count.or_else(|| json::first_count(&metadata, paths));
        }
    }
    if let Some(usage) = attributes.json(Key::GenAiUsageRaw) {
        fill(raw, &json::object(usage));
    }
    answers(attributes, raw);
}

/// Completes what only the whole answer tells. Answers are long, so they are looked into only for what they mention.
fn answers(attributes: &Attributes<'_, '_>, raw: &mut RawUsage) {
    let lifetimes = raw.cache_write.is_some_and(|n| n > 0) && raw.cache_write_5m.is_none() && raw.cache_write_1h.is_none();
    let reasoning = raw.reasoning.is_none() && raw.output.is_some_and(|n| n > 0);
    for key in attributes.present(&ANSWERS) {
        let Some(answer) = attributes.json(key) else { continue };
        let mentions = |word: &str| memchr::memmem::find(answer.as_bytes(), word.as_bytes()).is_some();
        if !(lifetimes && mentions("ephemeral_") || reasoning && mentions("_tokens_details")) {
            continue;
        }
        let answer = json::object(answer);
        for path in ["usage", "llm_output.usage", "llm_output.token_usage", "response.usage", "response_metadata.usage"] {
            let Some(usage) = json::member(&answer, path) else { continue };
            let given = PROVIDER.read(|paths| json::first_count(usage, paths));
            if lifetimes {
                raw.cache_write_5m = raw.cache_write_5m.or(given.cache_write_5m);
                raw.cache_write_1h = raw.cache_write_1h.or(given.cache_write_1h);
            }
            // More reasoning than output is a count of another call.
            raw.reasoning = raw.reasoning.or(given.reasoning.filter(|n| raw.output.is_some_and(|output| *n <= output)));
        }
    }
}

fn fill(raw: &mut RawUsage, usage: &str) {
    let given = PROVIDER.read(|paths| json::first_count(usage, paths));
    let (mut short, mut long) = (given.cache_write_5m, given.cache_write_1h);
    if let Some(details) = json::member(usage, "cacheDetails") {
        for detail in json::elements(details) {
            let to = if json::name(detail, "ttl") == Some("1h") { &mut long } else { &mut short };
            *to = json::count(detail, "inputTokens").map(|n| to.unwrap_or(0).saturating_add(n)).or(*to);
        }
    }
    raw.cache_read = raw.cache_read.or(given.cache_read);
    raw.cache_write = raw.cache_write.or(given.cache_write);
    raw.cache_write_5m = raw.cache_write_5m.or(short);
    raw.cache_write_1h = raw.cache_write_1h.or(long);
    raw.reasoning = raw.reasoning.or(given.reasoning);
    raw.audio_in = raw.audio_in.or(given.audio_in);
    raw.audio_out = raw.audio_out.or(given.audio_out);
}
