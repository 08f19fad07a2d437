//! Which token counts of a span belong together.
//!
//! A span often carries the same usage under three names with three meanings. Mixing them counts tokens twice, so all
//! counts come from one family of keys, the first that has any; only the lifetimes of cache writes and members that the
//! family lacks are completed from the provider's own usage object.

use crate::enrich::json;
use crate::enrich::keys::Key;
use crate::enrich::number::MAX_COUNT;
use crate::enrich::scan::Attributes;
use crate::enrich::source::{Library, Source};
use crate::enrich::usage::{Dialect, RawUsage};

/// A set of keys (or of members of one JSON text) that one vocabulary counts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Langfuse,
    Vercel,
    Mlflow,
    Langsmith,
    GenAi,
    OpenInference,
    LlmUsage,
    FlatB,
    Bare,
}

/// The order in which families are asked.
const ORDER: [Family; 9] = [
    Family::Langfuse,
    Family::Vercel,
    Family::Mlflow,
    Family::Langsmith,
    Family::GenAi,
    Family::OpenInference,
    Family::LlmUsage,
    Family::FlatB,
    Family::Bare,
];

/// Names of counts, best first: attribute keys, or paths in a JSON text.
struct Names<T: 'static> {
    input: &'static [T],
    output: &'static [T],
    uncached: &'static [T],
    cache_read: &'static [T],
    cache_write: &'static [T],
    cache_write_5m: &'static [T],
    cache_write_1h: &'static [T],
    reasoning: &'static [T],
    audio_in: &'static [T],
    audio_out: &'static [T],
    image_in: &'static [T],
    image_out: &'static [T],
    total: &'static [T],
}

impl<T> Names<T> {
    const NONE: Names<T> = Names {
        input: &[],
        output: &[],
        uncached: &[],
        cache_read: &[],
        cache_write: &[],
        cache_write_5m: &[],
        cache_write_1h: &[],
        reasoning: &[],
        audio_in: &[],
        audio_out: &[],
        image_in: &[],
        image_out: &[],
        total: &[],
    };

    fn read(&self, count: impl Fn(&'static [T]) -> Option<u64>) -> RawUsage {
        RawUsage {
            input: count(self.input),
            output: count(self.output),
            uncached: count(self.uncached),
            cache_read: count(self.cache_read),
            cache_write: count(self.cache_write),
            cache_write_5m: count(self.cache_write_5m),
            cache_write_1h: count(self.cache_write_1h),
            reasoning: count(self.reasoning),
            audio_in: count(self.audio_in),
            audio_out: count(self.audio_out),
            image_in: count(self.image_in),
            image_out: count(self.image_out),
            total: count(self.total),
        }
    }
}

const VERCEL: Names<Key> = Names {
    input: &[Key::AiUsageInputTokens, Key::AiUsagePromptTokens, Key::AiUsageTokens],
    output: &[Key::AiUsageOutputTokens, Key::AiUsageCompletionTokens],
    uncached: &[Key::AiUsageInputTokenDetailsNoCacheTokens],
    cache_read: &[Key::AiUsageInputTokenDetailsCacheReadTokens, Key::AiUsageCachedInputTokens],
    cache_write: &[Key::AiUsageInputTokenDetailsCacheWriteTokens],
    reasoning: &[Key::AiUsageOutputTokenDetailsReasoningTokens, Key::AiUsageReasoningTokens],
    total: &[Key::AiUsageTotalTokens],
    ..Names::NONE
};

const GEN_AI: Names<Key> = Names {
    input: &[Key::GenAiUsageInputTokens, Key::GenAiUsagePromptTokens],
    output: &[Key::GenAiUsageOutputTokens, Key::GenAiUsageCompletionTokens],
    cache_read: &[
        Key::GenAiUsageCacheReadInputTokens,
        Key::GenAiUsageCacheReadInputTokensFlat,
        Key::GenAiUsageCacheReadTokens,
        Key::GenAiUsageDetailsCacheReadTokens,
        Key::GenAiUsageDetailsCacheReadInputTokens,
        Key::GenAiUsageInputTokensCached,
        Key::GenAiUsagePromptTokensDetailsCachedTokens,
        Key::GenAiUsageInputCachedTokens,
    ],
    cache_write: &[
        Key::GenAiUsageCacheWriteInputTokens,
        Key::GenAiUsageCacheCreationInputTokens,
        Key::GenAiUsageCacheCreationInputTokensFlat,
        Key::GenAiUsageCacheWriteInputTokensFlat,
        Key::GenAiUsageCacheWriteTokens,
        Key::GenAiUsageDetailsCacheWriteTokens,
        Key::GenAiUsageDetailsCacheCreationInputTokens,
        Key::GenAiUsageInputTokensCacheWrite,
        Key::GenAiUsagePromptTokensDetailsCacheCreationTokens,
    ],
    reasoning: &[
        Key::GenAiUsageReasoningOutputTokens,
        Key::GenAiUsageReasoningTokens,
        Key::GenAiUsageDetailsReasoningTokens,
        Key::GenAiUsageOutputTokensReasoning,
        Key::GenAiUsageCompletionTokensDetailsReasoningTokens,
    ],
    audio_in: &[Key::GenAiUsageAudioInputTokens, Key::GenAiUsageDetailsInputAudioTokens],
    audio_out: &[
        Key::GenAiUsageAudioOutputTokens,
        Key::GenAiUsageDetailsOutputAudioTokens,
        Key::GenAiUsageCompletionTokensDetailsAudioTokens,
    ],
    image_in: &[Key::GenAiUsageImageInputTokens],
    image_out: &[Key::GenAiUsageImageOutputTokens],
    total: &[Key::GenAiUsageTotalTokens, Key::GenAiClientTokenUsage],
    ..Names::NONE
};

const OPENINFERENCE: Names<Key> = Names {
    input: &[Key::LlmTokenCountPrompt],
    output: &[Key::LlmTokenCountCompletion],
    cache_read: &[Key::LlmTokenCountPromptDetailsCacheRead, Key::LlmTokenCountPromptDetailsCacheInput],
    cache_write: &[Key::LlmTokenCountPromptDetailsCacheWrite],
    reasoning: &[Key::LlmTokenCountCompletionDetailsReasoning],
    audio_in: &[Key::LlmTokenCountPromptDetailsAudio],
    audio_out: &[Key::LlmTokenCountCompletionDetailsAudio],
    total: &[Key::LlmTokenCountTotal],
    ..Names::NONE
};

const LLM_USAGE: Names<Key> = Names {
    input: &[Key::LlmUsagePromptTokens],
    output: &[Key::LlmUsageCompletionTokens],
    cache_read: &[Key::LlmUsageCacheReadInputTokens],
    cache_write: &[Key::LlmUsageCacheCreationInputTokens],
    reasoning: &[Key::LlmUsageReasoningTokens],
    total: &[Key::LlmUsageTotalTokens],
    ..Names::NONE
};

const FLAT_B: Names<Key> = Names {
    input: &[Key::LlmInputTokens],
    output: &[Key::LlmOutputTokens],
    cache_read: &[Key::LlmCacheReadInputTokens],
    cache_write: &[Key::LlmCacheCreationInputTokens],
    total: &[Key::LlmTotalTokens],
    ..Names::NONE
};

const BARE: Names<Key> = Names {
    input: &[Key::InputTokens, Key::UsagePromptTokens],
    output: &[Key::OutputTokens, Key::UsageCompletionTokens],
    cache_read: &[Key::CacheReadTokens, Key::UsageCachedTokens],
    cache_write: &[Key::CacheCreationTokens],
    total: &[Key::UsageTotalTokens],
    ..Names::NONE
};

const LANGFUSE: Names<&str> = Names {
    input: &["input", "prompt_tokens", "input_tokens"],
    output: &["output", "completion_tokens", "output_tokens"],
    cache_read: &[
        "input_cached_tokens",
        "input_cache_read",
        "cache_read_input_tokens",
        "prompt_tokens_details.cached_tokens",
        "input_tokens_details.cached_tokens",
    ],
    cache_write: &["input_cache_creation", "input_cache_write", "cache_creation_input_tokens"],
    cache_write_5m: &["input_cache_creation_5m", "cache_creation.ephemeral_5m_input_tokens"],
    cache_write_1h: &["input_cache_creation_1h", "cache_creation.ephemeral_1h_input_tokens"],
    reasoning: &[
        "output_reasoning_tokens",
        "output_reasoning",
        "completion_tokens_details.reasoning_tokens",
        "output_tokens_details.reasoning_tokens",
    ],
    audio_in: &["input_audio_tokens"],
    audio_out: &["output_audio_tokens"],
    total: &["total", "total_tokens"],
    ..Names::NONE
};

const MLFLOW: Names<&str> = Names {
    input: &["input_tokens"],
    output: &["output_tokens"],
    cache_read: &["cache_read_input_tokens"],
    cache_write: &["cache_creation_input_tokens"],
    total: &["total_tokens"],
    ..Names::NONE
};

const LANGSMITH: Names<&str> = Names {
    input: &["input_tokens"],
    output: &["output_tokens"],
    cache_read: &["input_token_details.cache_read"],
    cache_write: &["input_token_details.cache_creation"],
    cache_write_5m: &["input_token_details.ephemeral_5m_input_tokens"],
    cache_write_1h: &["input_token_details.ephemeral_1h_input_tokens"],
    reasoning: &["output_token_details.reasoning"],
    audio_in: &["input_token_details.audio"],
    audio_out: &["output_token_details.audio"],
    total: &["total_tokens"],
    ..Names::NONE
};

/// A provider's own usage object, in any of the shapes providers use. Input and output are not read from it: they come from a family.
const PROVIDER: Names<&str> = Names {
    cache_read: &[
        "cache_read_input_tokens",
        "prompt_tokens_details.cached_tokens",
        "input_tokens_details.cached_tokens",
        "cacheReadInputTokens",
        "cached_content_token_count",
        "cachedContentTokenCount",
        "prompt_cache_hit_tokens",
        "cached_tokens",
    ],
    cache_write: &[
        "cache_creation_input_tokens",
        "cacheWriteInputTokens",
        "prompt_tokens_details.cache_write_tokens",
        "input_tokens_details.cache_write_tokens",
    ],
    cache_write_5m: &["cache_creation.ephemeral_5m_input_tokens"],
    cache_write_1h: &["cache_creation.ephemeral_1h_input_tokens"],
    reasoning: &[
        "completion_tokens_details.reasoning_tokens",
        "output_tokens_details.reasoning_tokens",
        "output_tokens_details.thinking_tokens",
        "thoughts_token_count",
        "thoughtsTokenCount",
    ],
    audio_in: &["prompt_tokens_details.audio_tokens", "input_tokens_details.audio_tokens"],
    audio_out: &["completion_tokens_details.audio_tokens", "output_tokens_details.audio_tokens"],
    ..Names::NONE
};

/// The attributes that count input, output and both, of every vocabulary that counts in attributes.
pub(crate) fn flat() -> [[&'static [Key]; 3]; 6] {
    [&VERCEL, &GEN_AI, &OPENINFERENCE, &LLM_USAGE, &FLAT_B, &BARE].map(|names| [names.input, names.output, names.total])
}

/// The attributes that count writes to a cache in the conventions, in every spelling they had.
pub(crate) fn cache_write_names() -> &'static [Key] {
    GEN_AI.cache_write
}

/// Which kinds of counts stand on a span, before any is read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Shape {
    pub(crate) any: bool,
    pub(crate) input: bool,
    pub(crate) output: bool,
}

impl Shape {
    /// Looks at the keys alone.
    pub(crate) fn of(attributes: &Attributes<'_>) -> Shape {
        let mut shape = Shape::default();
        for names in [&VERCEL, &GEN_AI, &OPENINFERENCE, &LLM_USAGE, &FLAT_B, &BARE] {
            shape.input |= attributes.has_any(names.input);
            // Embeddings often come with a zero here.
            shape.output |= names.output.iter().any(|key| attributes.number(*key).is_some_and(|n| n > 0.0));
            shape.any |= attributes.has_any(names.output) || attributes.has_any(names.total);
        }
        for (key, names) in [
            (Key::LangfuseObservationUsageDetails, &LANGFUSE),
            (Key::MlflowChatTokenUsage, &MLFLOW),
            (Key::LangsmithUsageMetadata, &LANGSMITH),
            (Key::LangsmithMetadataUsageMetadata, &LANGSMITH),
        ] {
            if let Some(text) = attributes.json(key) {
                let text = json::object(text);
                shape.input |= json::first_count(&text, names.input).is_some();
                shape.output |= json::first_count(&text, names.output).is_some_and(|n| n > 0);
            }
        }
        shape.any |= shape.input || shape.output;
        shape
    }
}

/// The counts of one family, completed, and whose they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tokens {
    pub(crate) raw: RawUsage,
    pub(crate) dialect: Dialect,
    pub(crate) family: Family,
    /// Input or output is negative or absurdly large: what the call cost cannot be told.
    pub(crate) bad: bool,
}

impl Tokens {
    /// Whether there is a count at all.
    pub(crate) fn has_counts(&self) -> bool {
        self.raw != RawUsage::default()
    }

    /// Whether every count that is given is zero.
    pub(crate) fn is_zero(&self) -> bool {
        let raw = &self.raw;
        let counts = [
            raw.input,
            raw.output,
            raw.cache_read,
            raw.cache_write,
            raw.cache_write_5m,
            raw.cache_write_1h,
            raw.uncached,
            raw.reasoning,
            raw.total,
            raw.audio_in,
            raw.image_in,
            raw.audio_out,
            raw.image_out,
        ];
        self.has_counts() && !self.bad && counts.into_iter().flatten().all(|count| count == 0)
    }
}

/// Reads the usage of a span. `provider` is a canonical name. A span that gives a total alone has usage, but nothing to price.
pub(crate) fn read(attributes: &Attributes<'_>, source: &Source<'_>, provider: Option<&str>) -> Option<Tokens> {
    let own = own_family(attributes, source);
    let order = [Family::Langfuse].into_iter().chain(own).chain(ORDER);
    let mut total = None;
    let mut refused = None;
    for family in order {
        let (mut raw, inclusive_object) = counts(attributes, family);
        if raw.input.is_none() && raw.output.is_none() && raw.uncached.is_none() {
            total = total.or(raw.total.map(|n| (n, family)));
            refused = refused.or_else(|| impossible(attributes, family, &raw).then_some(family));
            continue;
        }
        let bad = impossible(attributes, family, &raw);
        complete(attributes, &mut raw);
        return Some(Tokens { raw, dialect: dialect(attributes, source, family, inclusive_object, provider), family, bad });
    }
    let family = total.map(|(_, family)| family).or(refused)?;
    let raw = RawUsage { total: total.map(|(total, _)| total), ..RawUsage::default() };
    Some(Tokens { raw, dialect: Dialect::Unknown, family, bad: refused.is_some() })
}

/// Whether input or output of a family is given and cannot be true. What is no number says that nobody knows, and is none of these.
fn impossible(attributes: &Attributes<'_>, family: Family, raw: &RawUsage) -> bool {
    if raw.input.is_some() && raw.output.is_some() {
        return false;
    }
    let odd = |number: Option<f64>| number.is_some_and(|n| n < 0.0 || n > MAX_COUNT as f64);
    let flat = |names: &Names<Key>| {
        let odd = |keys: &[Key]| keys.iter().any(|key| odd(attributes.number(*key)));
        raw.input.is_none() && odd(names.input) || raw.output.is_none() && odd(names.output)
    };
    let text = |key: Key, names: &Names<&'static str>| {
        let Some(text) = attributes.json(key) else { return false };
        let text = json::object(text);
        let odd = |paths: &[&str]| paths.iter().any(|path| odd(json::number(&text, path)));
        raw.input.is_none() && odd(names.input) || raw.output.is_none() && odd(names.output)
    };
    match family {
        Family::Vercel => flat(&VERCEL),
        Family::GenAi => flat(&GEN_AI),
        Family::OpenInference => flat(&OPENINFERENCE),
        Family::LlmUsage => flat(&LLM_USAGE),
        Family::FlatB => flat(&FLAT_B),
        Family::Bare => flat(&BARE),
        Family::Mlflow => text(Key::MlflowChatTokenUsage, &MLFLOW),
        Family::Langsmith => text(Key::LangsmithUsageMetadata, &LANGSMITH) || text(Key::LangsmithMetadataUsageMetadata, &LANGSMITH),
        Family::Langfuse => text(Key::LangfuseObservationUsageDetails, &LANGFUSE),
    }
}

/// The family of the library that made the span; it stands before the common ones.
fn own_family(attributes: &Attributes<'_>, source: &Source<'_>) -> Option<Family> {
    match source.library {
        Library::VercelLegacy => Some(Family::Vercel),
        Library::Mlflow => Some(Family::Mlflow),
        Library::OpenInference => Some(Family::OpenInference),
        _ if attributes.has(Key::AiOperationId) => Some(Family::Vercel),
        _ if attributes.has(Key::MlflowSpanType) => Some(Family::Mlflow),
        _ if attributes.has(Key::OpeninferenceSpanKind) => Some(Family::OpenInference),
        _ => None,
    }
}

/// The counts of a family; and, for a JSON text, whether it is a provider's own object in which input includes the cache.
fn counts(attributes: &Attributes<'_>, family: Family) -> (RawUsage, bool) {
    let flat = |names: &Names<Key>| (names.read(|keys| attributes.first_count(keys)), false);
    let text = |key: Key, names: &Names<&'static str>| {
        let Some(text) = attributes.json(key) else { return RawUsage::default() };
        let text = json::object(text);
        names.read(|paths| json::first_count(&text, paths))
    };
    match family {
        Family::Vercel => flat(&VERCEL),
        Family::GenAi => {
            let (mut raw, _) = flat(&GEN_AI);
            if raw.cache_read.is_none()
                && let Some(text) = attributes.json(Key::GenAiUsageInputTokenDetails)
            {
                raw.cache_read = json::count(text, "cache_read");
            }
            (raw, false)
        }
        Family::OpenInference => flat(&OPENINFERENCE),
        Family::LlmUsage => flat(&LLM_USAGE),
        Family::FlatB => flat(&FLAT_B),
        Family::Bare => flat(&BARE),
        Family::Mlflow => (text(Key::MlflowChatTokenUsage, &MLFLOW), false),
        Family::Langsmith => {
            let raw = text(Key::LangsmithUsageMetadata, &LANGSMITH);
            let empty = raw.input.is_none() && raw.output.is_none();
            (if empty { text(Key::LangsmithMetadataUsageMetadata, &LANGSMITH) } else { raw }, false)
        }
        Family::Langfuse => {
            let object = attributes
                .json(Key::LangfuseObservationUsageDetails)
                .is_some_and(|text| text.contains("\"prompt_tokens\"") || text.contains("_details\""));
            (text(Key::LangfuseObservationUsageDetails, &LANGFUSE), object)
        }
    }
}

/// Completes what the family lacks from the provider's own usage object, where the span carries it.
fn complete(attributes: &Attributes<'_>, raw: &mut RawUsage) {
    let flat: [(&mut Option<u64>, &[Key]); 2] = [
        (
            &mut raw.cache_write_5m,
            &[Key::AnthropicUsageCacheCreationEphemeral5mInputTokens, Key::GenAiUsageCacheCreationEphemeral5mInputTokens],
        ),
        (
            &mut raw.cache_write_1h,
            &[Key::AnthropicUsageCacheCreationEphemeral1hInputTokens, Key::GenAiUsageCacheCreationEphemeral1hInputTokens],
        ),
    ];
    for (count, keys) in flat {
        *count = count.or_else(|| attributes.first_count(keys));
    }
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
fn answers(attributes: &Attributes<'_>, raw: &mut RawUsage) {
    let lifetimes = raw.cache_write.is_some_and(|n| n > 0) && raw.cache_write_5m.is_none() && raw.cache_write_1h.is_none();
    let reasoning = raw.reasoning.is_none() && raw.output.is_some_and(|n| n > 0);
    for key in [Key::MlflowSpanOutputs, Key::ResponseData, Key::OutputValue, Key::LangfuseObservationOutput] {
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

/// Whose counts they are: what decides if input includes the cache.
fn dialect(attributes: &Attributes<'_>, source: &Source<'_>, family: Family, inclusive_object: bool, provider: Option<&str>) -> Dialect {
    match family {
        Family::Langfuse if inclusive_object => Dialect::LangfuseProviderObject,
        Family::Langfuse => Dialect::LangfuseBuckets,
        Family::Vercel => {
            let new = [
                Key::AiUsageInputTokenDetailsCacheReadTokens,
                Key::AiUsageInputTokenDetailsCacheWriteTokens,
                Key::AiUsageInputTokenDetailsNoCacheTokens,
                Key::AiUsageOutputTokenDetailsReasoningTokens,
            ];
            if attributes.has_any(&new) { Dialect::Vercel } else { Dialect::VercelOld }
        }
        Family::Mlflow => Dialect::Mlflow,
        Family::Langsmith => Dialect::Langsmith,
        Family::OpenInference if provider == Some("aws.bedrock") => Dialect::OpenInferenceBedrock,
        Family::OpenInference => Dialect::OpenInference,
        Family::LlmUsage => traceloop(source, provider),
        Family::FlatB => Dialect::FlatB,
        Family::Bare if attributes.has_any(&[Key::UsagePromptTokens, Key::UsageCompletionTokens]) => Dialect::Unknown,
        Family::Bare => Dialect::ClaudeCode,
        Family::GenAi => gen_ai(attributes, source, provider),
    }
}

fn gen_ai(attributes: &Attributes<'_>, source: &Source<'_>, provider: Option<&str>) -> Dialect {
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
    } else if attributes.has_any(&[Key::LogfireAny, Key::LogfireSpanType, Key::ModelRequestParameters, Key::PydanticAny]) {
        Dialect::PydanticAi
    } else if attributes.has(Key::HiddenParams) {
        Dialect::Litellm
    } else if attributes.has_any(&[Key::LlmRequestType, Key::PromptPart, Key::CompletionPart, Key::TraceloopAny, Key::TraceloopEntityName])
    {
        traceloop(source, provider)
    } else if attributes.has_any(&[Key::GenAiLatencyMs, Key::GenAiResponseStopReason]) {
        Dialect::FlatA
    } else if attributes.has_any(&[Key::GenAiFinishReason, Key::LlmCostUsd]) {
        Dialect::FlatC
    } else if attributes.has_any(&[Key::GenAiOperationName, Key::GenAiProviderName, Key::GenAiSystem]) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrich::scan::{Finds, Table};
    use crate::otlp::append::Attributes as Append;

    /// What is read of a span with these attributes.
    fn tokens(scope: &str, provider: &str, attributes: &[(&str, &str)]) -> Option<(Family, Dialect, RawUsage)> {
        let mut span = Vec::new();
        let mut append = Append::of_span(&mut span);
        attributes.iter().for_each(|(key, value)| append.str(key, value));
        let (mut finds, mut table) = (Finds::default(), Table::default());
        let (_, found) = finds.walk(&span);
        let source = Source { library: crate::enrich::source::library(scope), scope, ..Source::default() };
        read(&finds.attributes(&found, &span, &mut table), &source, Some(provider)).map(|t| (t.family, t.dialect, t.raw))
    }

    #[test]
    fn all_counts_come_from_the_first_family() {
        let (family, dialect, raw) = tokens(
            "",
            "openai",
            &[("gen_ai.usage.input_tokens", "10"), ("llm.usage.completion_tokens", "5"), ("llm.usage.cache_read_input_tokens", "4")],
        )
        .unwrap();
        assert_eq!((family, dialect, raw.input, raw.output, raw.cache_read), (Family::GenAi, Dialect::Unknown, Some(10), None, None));
    }

    #[test]
    fn aliases_are_alternatives() {
        let both = [("gen_ai.usage.prompt_tokens", "10"), ("gen_ai.usage.input_tokens", "11"), ("gen_ai.usage.completion_tokens", "3")];
        let raw = tokens("", "openai", &both).unwrap().2;
        assert_eq!((raw.input, raw.output), (Some(11), Some(3)));
    }

    #[test]
    fn a_library_reads_its_own_family_first() {
        let both = [("gen_ai.usage.input_tokens", "10"), ("llm.token_count.prompt", "20"), ("ai.usage.inputTokens", "30")];
        assert_eq!(tokens("openinference.instrumentation.openai", "openai", &both).unwrap().2.input, Some(20));
        assert_eq!(tokens("ai", "openai", &both).unwrap().2.input, Some(30));
        assert_eq!(tokens("gen_ai", "openai", &both[..1]).unwrap().1, Dialect::Vercel);
    }

    #[test]
    fn a_text_of_counts_is_read_by_its_members() {
        let (family, dialect, raw) =
            tokens("", "anthropic", &[("langfuse.observation.usage_details", r#"{"input":5,"output":9,"input_cached_tokens":7}"#)])
                .unwrap();
        assert_eq!((family, dialect, raw.input, raw.cache_read), (Family::Langfuse, Dialect::LangfuseBuckets, Some(5), Some(7)));
        let object = r#"{"prompt_tokens":2304,"completion_tokens":14,"prompt_tokens_details":{"cached_tokens":2048}}"#;
        let (_, dialect, raw) = tokens("", "openai", &[("langfuse.observation.usage_details", object)]).unwrap();
        assert_eq!((dialect, raw.input, raw.cache_read), (Dialect::LangfuseProviderObject, Some(2304), Some(2048)));
        let (_, dialect, raw) =
            tokens("", "openai", &[("mlflow.chat.tokenUsage", "\"{\\\"input_tokens\\\": 5, \\\"output_tokens\\\": 6}\"")]).unwrap();
        assert_eq!((dialect, raw.input, raw.output), (Dialect::Mlflow, Some(5), Some(6)));
    }

    #[test]
    fn lifetimes_of_writes_come_from_the_providers_own_object() {
        let usage = r#"{"input_tokens":1,"cache_creation":{"ephemeral_5m_input_tokens":30,"ephemeral_1h_input_tokens":70}}"#;
        let raw = tokens("logfire.anthropic", "anthropic", &[("gen_ai.usage.input_tokens", "101"), ("gen_ai.usage.raw", usage)]).unwrap().2;
        assert_eq!((raw.cache_write_5m, raw.cache_write_1h, raw.input), (Some(30), Some(70), Some(101)));
        let metadata = r#"{"bedrock":{"usage":{"cacheWriteInputTokens":9,"cacheDetails":[{"ttl":"1h","inputTokens":4},{"ttl":"5m","inputTokens":5}]}}}"#;
        let raw = tokens("ai", "aws.bedrock", &[("ai.usage.inputTokens", "1"), ("ai.response.providerMetadata", metadata)]).unwrap().2;
        assert_eq!((raw.cache_write, raw.cache_write_5m, raw.cache_write_1h), (Some(9), Some(5), Some(4)));
    }

    #[test]
    fn a_total_alone_is_kept_apart() {
        let (_, _, raw) = tokens("", "openai", &[("llm.usage.total_tokens", "12")]).unwrap();
        assert_eq!((raw.total, raw.input, raw.output), (Some(12), None, None));
        assert!(tokens("", "openai", &[("gen_ai.usage.input_tokens", "NaN")]).is_none());
    }

    #[test]
    fn what_a_vocabulary_means_follows_from_who_wrote_it() {
        let usage = ("gen_ai.usage.input_tokens", "10");
        let dialect = |scope, provider, more: &[(&'static str, &'static str)]| {
            let all: Vec<_> = std::iter::once(usage).chain(more.iter().copied()).collect();
            tokens(scope, provider, &all).unwrap().1
        };
        assert_eq!(dialect("opentelemetry.instrumentation.botocore.bedrock-runtime", "aws.bedrock", &[]), Dialect::OtelBotocore);
        assert_eq!(
            dialect("opentelemetry.instrumentation.bedrock", "aws.bedrock", &[("llm.request.type", "chat")]),
            Dialect::TraceloopBedrock
        );
        assert_eq!(dialect("opentelemetry.instrumentation.anthropic", "anthropic", &[("gen_ai.operation.name", "chat")]), Dialect::Semconv);
        assert_eq!(dialect("opentelemetry.instrumentation.anthropic", "anthropic", &[("llm.request.type", "chat")]), Dialect::Traceloop);
        assert_eq!(dialect("", "anthropic", &[("gen_ai.usage.cost", "1"), ("gen_ai.sdk.version", "1")]), Dialect::Openlit);
        assert_eq!(dialect("", "aws.bedrock", &[("gen_ai.system", "strands-agents")]), Dialect::Strands);
        assert_eq!(dialect("", "anthropic", &[("gen_ai.latency_ms", "4")]), Dialect::FlatA);
    }
}
