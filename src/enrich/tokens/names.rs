//! What each vocabulary calls its counts.

use crate::enrich::keys::Key;
use crate::enrich::sets::{Keys, List};
use crate::enrich::usage::RawUsage;

/// Names of counts, best first: attribute keys, or paths in a JSON text.
pub(super) struct Names<L> {
    pub(super) input: L,
    pub(super) output: L,
    pub(super) uncached: L,
    pub(super) cache_read: L,
    pub(super) cache_write: L,
    pub(super) cache_write_5m: L,
    pub(super) cache_write_1h: L,
    pub(super) reasoning: L,
    pub(super) audio_in: L,
    pub(super) audio_out: L,
    pub(super) image_in: L,
    pub(super) image_out: L,
    pub(super) total: L,
}

/// Paths in a JSON text.
pub(super) type Paths = &'static [&'static str];

impl Names<List> {
    const NONE: Names<List> = Names::all(List::NONE);

    /// Every key of the vocabulary.
    const fn keys(&self) -> Keys {
        let input = self.input.set.and(self.uncached.set).and(self.audio_in.set).and(self.image_in.set);
        let output = self.output.set.and(self.reasoning.set).and(self.audio_out.set).and(self.image_out.set);
        let cache = self.cache_read.set.and(self.cache_write.set).and(self.cache_write_5m.set).and(self.cache_write_1h.set);
        input.and(output).and(cache).and(self.total.set)
    }
}

/// Every key of a family that counts with keys of its own.
pub(super) static VERCEL_KEYS: Keys = VERCEL.keys();
pub(super) static GEN_AI_KEYS: Keys = GEN_AI.keys().and(Keys::of(&[Key::GenAiUsageInputTokenDetails]));
pub(super) static OPENINFERENCE_KEYS: Keys = OPENINFERENCE.keys();
pub(super) static LLM_USAGE_KEYS: Keys = LLM_USAGE.keys();
pub(super) static FLAT_B_KEYS: Keys = FLAT_B.keys();
pub(super) static BARE_KEYS: Keys = BARE.keys();
pub(super) static MLFLOW_KEYS: Keys = Keys::of(&[Key::MlflowChatTokenUsage]);
pub(super) static LANGSMITH_KEYS: Keys = Keys::of(&[Key::LangsmithUsageMetadata, Key::LangsmithMetadataUsageMetadata]);
pub(super) static LANGFUSE_KEYS: Keys = Keys::of(&[Key::LangfuseObservationUsageDetails]);

impl Names<Paths> {
    const NONE: Names<Paths> = Names::all(&[]);
}

impl<L: Copy> Names<L> {
    const fn all(of: L) -> Names<L> {
        Names {
            input: of,
            output: of,
            uncached: of,
            cache_read: of,
            cache_write: of,
            cache_write_5m: of,
            cache_write_1h: of,
            reasoning: of,
            audio_in: of,
            audio_out: of,
            image_in: of,
            image_out: of,
            total: of,
        }
    }

    /// What `count` makes of each list.
    pub(super) fn read<'n>(&'n self, count: impl Fn(&'n L) -> Option<u64>) -> RawUsage {
        RawUsage {
            input: count(&self.input),
            output: count(&self.output),
            uncached: count(&self.uncached),
            cache_read: count(&self.cache_read),
            cache_write: count(&self.cache_write),
            cache_write_5m: count(&self.cache_write_5m),
            cache_write_1h: count(&self.cache_write_1h),
            reasoning: count(&self.reasoning),
            audio_in: count(&self.audio_in),
            audio_out: count(&self.audio_out),
            image_in: count(&self.image_in),
            image_out: count(&self.image_out),
            total: count(&self.total),
        }
    }
}

pub(super) static VERCEL: Names<List> = Names {
    input: List::of(&[Key::AiUsageInputTokens, Key::AiUsagePromptTokens, Key::AiUsageTokens]),
    output: List::of(&[Key::AiUsageOutputTokens, Key::AiUsageCompletionTokens]),
    uncached: List::of(&[Key::AiUsageInputTokenDetailsNoCacheTokens]),
    cache_read: List::of(&[Key::AiUsageInputTokenDetailsCacheReadTokens, Key::AiUsageCachedInputTokens]),
    cache_write: List::of(&[Key::AiUsageInputTokenDetailsCacheWriteTokens]),
    reasoning: List::of(&[Key::AiUsageOutputTokenDetailsReasoningTokens, Key::AiUsageReasoningTokens]),
    total: List::of(&[Key::AiUsageTotalTokens]),
    ..Names::<List>::NONE
};

pub(super) static GEN_AI: Names<List> = Names {
    // The last of each were Semantic Kernel's, before the conventions.
    input: List::of(&[Key::GenAiUsageInputTokens, Key::GenAiUsagePromptTokens, Key::GenAiResponsePromptTokens]),
    output: List::of(&[Key::GenAiUsageOutputTokens, Key::GenAiUsageCompletionTokens, Key::GenAiResponseCompletionTokens]),
    cache_read: List::of(&[
        Key::GenAiUsageCacheReadInputTokens,
        Key::GenAiUsageCacheReadInputTokensFlat,
        Key::GenAiUsageCacheReadTokens,
        Key::GenAiUsageDetailsCacheReadTokens,
        Key::GenAiUsageDetailsCacheReadInputTokens,
        Key::GenAiUsageInputTokensCached,
        Key::GenAiUsagePromptTokensDetailsCachedTokens,
        Key::GenAiUsageInputCachedTokens,
    ]),
    cache_write: List::of(&[
        Key::GenAiUsageCacheWriteInputTokens,
        Key::GenAiUsageCacheCreationInputTokens,
        Key::GenAiUsageCacheCreationInputTokensFlat,
        Key::GenAiUsageCacheWriteInputTokensFlat,
        Key::GenAiUsageCacheWriteTokens,
        Key::GenAiUsageDetailsCacheWriteTokens,
        Key::GenAiUsageDetailsCacheCreationInputTokens,
        Key::GenAiUsageInputTokensCacheWrite,
        Key::GenAiUsagePromptTokensDetailsCacheCreationTokens,
    ]),
    reasoning: List::of(&[
        Key::GenAiUsageReasoningOutputTokens,
        Key::GenAiUsageReasoningTokens,
        Key::GenAiUsageDetailsReasoningTokens,
        Key::GenAiUsageOutputTokensReasoning,
        Key::GenAiUsageCompletionTokensDetailsReasoningTokens,
    ]),
    audio_in: List::of(&[Key::GenAiUsageAudioInputTokens, Key::GenAiUsageDetailsInputAudioTokens]),
    audio_out: List::of(&[
        Key::GenAiUsageAudioOutputTokens,
        Key::GenAiUsageDetailsOutputAudioTokens,
        Key::GenAiUsageCompletionTokensDetailsAudioTokens,
    ]),
    image_in: List::of(&[Key::GenAiUsageImageInputTokens]),
    image_out: List::of(&[Key::GenAiUsageImageOutputTokens]),
    total: List::of(&[Key::GenAiUsageTotalTokens, Key::GenAiClientTokenUsage]),
    ..Names::<List>::NONE
};

pub(super) static OPENINFERENCE: Names<List> = Names {
    input: List::of(&[Key::LlmTokenCountPrompt]),
    output: List::of(&[Key::LlmTokenCountCompletion]),
    cache_read: List::of(&[Key::LlmTokenCountPromptDetailsCacheRead, Key::LlmTokenCountPromptDetailsCacheInput]),
    cache_write: List::of(&[Key::LlmTokenCountPromptDetailsCacheWrite]),
    reasoning: List::of(&[Key::LlmTokenCountCompletionDetailsReasoning]),
    audio_in: List::of(&[Key::LlmTokenCountPromptDetailsAudio]),
    audio_out: List::of(&[Key::LlmTokenCountCompletionDetailsAudio]),
    total: List::of(&[Key::LlmTokenCountTotal]),
    ..Names::<List>::NONE
};

pub(super) static LLM_USAGE: Names<List> = Names {
    input: List::of(&[Key::LlmUsagePromptTokens]),
    output: List::of(&[Key::LlmUsageCompletionTokens]),
    cache_read: List::of(&[Key::LlmUsageCacheReadInputTokens]),
    cache_write: List::of(&[Key::LlmUsageCacheCreationInputTokens]),
    reasoning: List::of(&[Key::LlmUsageReasoningTokens]),
    total: List::of(&[Key::LlmUsageTotalTokens]),
    ..Names::<List>::NONE
};

pub(super) static FLAT_B: Names<List> = Names {
    input: List::of(&[Key::LlmInputTokens]),
    output: List::of(&[Key::LlmOutputTokens]),
    cache_read: List::of(&[Key::LlmCacheReadInputTokens]),
    cache_write: List::of(&[Key::LlmCacheCreationInputTokens]),
    total: List::of(&[Key::LlmTotalTokens]),
    ..Names::<List>::NONE
};

pub(super) static BARE: Names<List> = Names {
    input: List::of(&[Key::InputTokens, Key::UsagePromptTokens]),
    output: List::of(&[Key::OutputTokens, Key::UsageCompletionTokens]),
    cache_read: List::of(&[Key::CacheReadTokens, Key::UsageCachedTokens]),
    cache_write: List::of(&[Key::CacheCreationTokens]),
    total: List::of(&[Key::UsageTotalTokens]),
    ..Names::<List>::NONE
};

pub(super) static LANGFUSE: Names<Paths> = Names {
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
    ..Names::<Paths>::NONE
};

pub(super) static MLFLOW: Names<Paths> = Names {
    input: &["input_tokens"],
    output: &["output_tokens"],
    cache_read: &["cache_read_input_tokens"],
    cache_write: &["cache_creation_input_tokens"],
    total: &["total_tokens"],
    ..Names::<Paths>::NONE
};

pub(super) static LANGSMITH: Names<Paths> = Names {
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
    ..Names::<Paths>::NONE
};

/// A provider's own usage object, in any of the shapes providers use. Input and output are not read from it: they come from a family.
pub(super) static PROVIDER: Names<Paths> = Names {
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
    ..Names::<Paths>::NONE
};
