//! The attribute keys that are read, each with a number.
//!
//! Some twenty attributes stand on a span and a handful matter, out of three hundred keys of twenty vocabularies. One
//! lookup tells which: a hash of the key's length, middle and end in a table made at compile time, then one comparison.

macro_rules! keys {
    ($($name:ident = $text:literal,)*) => {
        /// An attribute key that is read or written.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u16)]
        #[allow(missing_docs)] // Each is the key in its `NAMES` entry, spelt as a Rust name.
        #[expect(clippy::enum_variant_names, reason = "one key is called `key` in its vocabulary")]
        pub(crate) enum Key { $($name,)* }

        /// Every key, in the order of [`Key`].
        const KEYS: &[Key] = &[$(Key::$name,)*];

        /// Their text, in the same order.
        const NAMES: &[&str] = &[$($text,)*];
    };
}

keys! {
    // On spans of any kind.
    ErrorType = "error.type",
    ExceptionType = "exception.type",
    ExceptionMessage = "exception.message",
    ErrorMessage = "error.message",
    ErrorHttpStatus = "error.http_status",
    ErrorCode = "error.code",
    ErrorClass = "error.class",
    ErrorStatusCode = "error.status_code",
    ErrorRetryable = "error.retryable",
    ErrorIsRetryable = "error.is_retryable",
    HttpResponseStatusCode = "http.response.status_code",
    HttpStatusCode = "http.status_code",
    HttpResponseHeaderXShouldRetry = "http.response.header.x-should-retry",
    RpcGrpcStatusCode = "rpc.grpc.status_code",
    RpcResponseStatusCode = "rpc.response.status_code",
    StatusCode = "status_code",
    ServerAddress = "server.address",
    UrlFull = "url.full",
    HttpRequestMethod = "http.request.method",
    HttpMethod = "http.method",
    HttpRoute = "http.route",
    HttpTarget = "http.target",
    UrlPath = "url.path",
    HttpUrl = "http.url",
    HttpScheme = "http.scheme",
    UserId = "user.id",
    SessionId = "session.id",
    UserTier = "user.tier",
    EnduserId = "enduser.id",
    Error = "error",
    AppFeature = "app.feature",
    AppPromptVersion = "app.prompt.version",
    LatencyAny = "*latency_ms",
    // What a span is.
    LangfuseObservationType = "langfuse.observation.type",
    OpeninferenceSpanKind = "openinference.span.kind",
    LangsmithSpanKind = "langsmith.span.kind",
    MlflowSpanType = "mlflow.spanType",
    AiOperationId = "ai.operationId",
    OperationName = "operation.name",
    GenAiOperationName = "gen_ai.operation.name",
    GenAiSpanKind = "gen_ai.span.kind",
    TraceloopSpanKind = "traceloop.span.kind",
    LlmRequestType = "llm.request.type",
    LmnrSpanType = "lmnr.span.type",
    GenkitMetadataSubtype = "genkit:metadata:subtype",
    SpringAiKind = "spring.ai.kind",
    SpanType = "span.type",
    GenAiToolName = "gen_ai.tool.name",
    GenAiToolCallId = "gen_ai.tool.call.id",
    ToolName = "tool.name",
    ToolSuccess = "tool.success",
    AgentTask = "agent.task",
    AgentGoal = "agent.goal",
    AgentStep = "agent.step",
    AgentStepNumber = "agent.step_number",
    AgentTotalSteps = "agent.total_steps",
    AgentMaxSteps = "agent.max_steps",
    AgentName = "agent.name",
    GenAiPrompt = "gen_ai.prompt",
    GenAiPromptUser = "gen_ai.prompt.user",
    GenAiInputMessages = "gen_ai.input.messages",
    LogfireSpanType = "logfire.span_type",
    // Who answered.
    GenAiProviderName = "gen_ai.provider.name",
    GenAiSystem = "gen_ai.system",
    LlmProvider = "llm.provider",
    LlmSystem = "llm.system",
    AiModelProvider = "ai.model.provider",
    MlflowLlmProvider = "mlflow.llm.provider",
    LangsmithMetadataLsProvider = "langsmith.metadata.ls_provider",
    GenAiRequestSystem = "gen_ai.request.system",
    LlmVendor = "llm.vendor",
    ErrorLlmProvider = "error.llm_provider",
    // Which model.
    GenAiRequestModel = "gen_ai.request.model",
    LlmRequestModelName = "llm.request.model_name",
    LlmRequestModel = "llm.request.model",
    AiModelId = "ai.model.id",
    LangfuseObservationModelName = "langfuse.observation.model.name",
    LlmModelName = "llm.model_name",
    EmbeddingModelName = "embedding.model_name",
    RerankerModelName = "reranker.model_name",
    MlflowLlmModel = "mlflow.llm.model",
    LangsmithMetadataLsModelName = "langsmith.metadata.ls_model_name",
    LlmModel = "llm.model",
    Model = "model",
    LlmInvocationParameters = "llm.invocation_parameters",
    GenAiResponseModel = "gen_ai.response.model",
    LlmResponseModelName = "llm.response.model_name",
    AiResponseModel = "ai.response.model",
    LlmResponseModel = "llm.response.model",
    // What was asked for.
    GenAiRequestMaxTokens = "gen_ai.request.max_tokens",
    GenAiRequestMaxCompletionTokens = "gen_ai.request.max_completion_tokens",
    LlmRequestMaxTokens = "llm.request.max_tokens",
    AiSettingsMaxOutputTokens = "ai.settings.maxOutputTokens",
    AiSettingsMaxTokens = "ai.settings.maxTokens",
    LangfuseObservationModelParameters = "langfuse.observation.model.parameters",
    RequestData = "request_data",
    LlmWatsonxMaxNewTokens = "llm.watsonx.max_new_tokens",
    GenAiRequestChoiceCount = "gen_ai.request.choice.count",
    GenAiRequestStream = "gen_ai.request.stream",
    GenAiRequestIsStream = "gen_ai.request.is_stream",
    GenAiIsStreaming = "gen_ai.is_streaming",
    LlmIsStreaming = "llm.is_streaming",
    LangsmithRequestStreaming = "langsmith.request.streaming",
    SpringAiChatClientStream = "spring.ai.chat.client.stream",
    // How long it took.
    GenAiResponseTimeToFirstChunk = "gen_ai.response.time_to_first_chunk",
    GenAiClientOperationTimeToFirstChunk = "gen_ai.client.operation.time_to_first_chunk",
    GenAiServerTtft = "gen_ai.server.ttft",
    GenAiServerTimeToFirstToken = "gen_ai.server.time_to_first_token",
    AiResponseMsToFirstChunk = "ai.response.msToFirstChunk",
    AiStreamMsToFirstChunk = "ai.stream.msToFirstChunk",
    GenAiTimeToFirstTokenMs = "gen_ai.time_to_first_token_ms",
    LlmTimeToFirstTokenMs = "llm.time_to_first_token_ms",
    LangfuseObservationCompletionStartTime = "langfuse.observation.completion_start_time",
    TtftMs = "ttft_ms",
    GenAiLatencyMs = "gen_ai.latency_ms",
    LlmLatencyMs = "llm.latency_ms",
    // For whom.
    LangfuseUserId = "langfuse.user.id",
    GenAiUserId = "gen_ai.user.id",
    GenAiUser = "gen_ai.user",
    GenAiRequestUser = "gen_ai.request.user",
    LlmUser = "llm.user",
    AiTelemetryMetadataUserId = "ai.telemetry.metadata.userId",
    LangsmithMetadataUserId = "langsmith.metadata.user_id",
    TraceloopAssociationPropertiesUserId = "traceloop.association.properties.user_id",
    Agento11yUserId = "agento11y.user.id",
    Metadata = "metadata",
    GenAiConversationId = "gen_ai.conversation.id",
    LangfuseSessionId = "langfuse.session.id",
    GenAiSessionId = "gen_ai.session.id",
    AiTelemetryMetadataSessionId = "ai.telemetry.metadata.sessionId",
    LangsmithTraceSessionId = "langsmith.trace.session_id",
    LangsmithMetadataSessionId = "langsmith.metadata.session_id",
    LangsmithMetadataThreadId = "langsmith.metadata.thread_id",
    LangsmithMetadataConversationId = "langsmith.metadata.conversation_id",
    TraceloopAssociationPropertiesSessionId = "traceloop.association.properties.session_id",
    SpringAiChatClientConversationId = "spring.ai.chat.client.conversation.id",
    MlflowTraceSession = "mlflow.trace.session",
    GenAiAgentName = "gen_ai.agent.name",
    TraceloopEntityName = "traceloop.entity.name",
    AiTelemetryFunctionId = "ai.telemetry.functionId",
    Agento11yFrameworkComponentName = "agento11y.framework.component_name",
    GenAiPromptName = "gen_ai.prompt.name",
    GenAiPromptVersion = "gen_ai.prompt.version",
    LangfuseObservationPromptName = "langfuse.observation.prompt.name",
    LangfuseObservationPromptVersion = "langfuse.observation.prompt.version",
    TraceloopPromptKey = "traceloop.prompt.key",
    TraceloopPromptVersion = "traceloop.prompt.version",
    GenAiWorkflowName = "gen_ai.workflow.name",
    TraceloopWorkflowName = "traceloop.workflow.name",
    AiToolCallName = "ai.toolCall.name",
    GenAiResponseToolCallsCount = "gen_ai.response.tool_calls.count",
    GenAiResponseToolCallsNames = "gen_ai.response.tool_calls.names",
    AgentToolCalls = "agent.tool_calls",
    AiResponseToolCalls = "ai.response.toolCalls",
    MlflowSpanFunctionName = "mlflow.spanFunctionName",
    // How it was served.
    OpenaiResponseServiceTier = "openai.response.service_tier",
    GenAiOpenaiResponseServiceTier = "gen_ai.openai.response.service_tier",
    GenAiResponseServiceTier = "gen_ai.response.service_tier",
    AnthropicResponseServiceTier = "anthropic.response.service_tier",
    OpenaiRequestServiceTier = "openai.request.service_tier",
    GenAiOpenaiRequestServiceTier = "gen_ai.openai.request.service_tier",
    AiResponseProviderMetadata = "ai.response.providerMetadata",
    GenAiUsageRaw = "gen_ai.usage.raw",
    GenAiResponseStatus = "gen_ai.response.status",
    GenAiResponseId = "gen_ai.response.id",
    AiResponseId = "ai.response.id",
    LlmResponseId = "llm.response.id",
    HiddenParams = "hidden_params",
    // What it is said to cost.
    LangfuseObservationCostDetails = "langfuse.observation.cost_details",
    GenAiUsageCostAmount = "gen_ai.usage.cost.amount",
    GenAiUsageCostCurrency = "gen_ai.usage.cost.currency",
    GenAiUsageCost = "gen_ai.usage.cost",
    OperationCost = "operation.cost",
    LlmCostTotal = "llm.cost.total",
    LlmCostPrompt = "llm.cost.prompt",
    LlmCostCompletion = "llm.cost.completion",
    MlflowLlmCost = "mlflow.llm.cost",
    GenAiCostTotalCost = "gen_ai.cost.total_cost",
    LitellmCostTotal = "litellm.cost.total",
    LangsmithUsageMetadata = "langsmith.usage_metadata",
    LangsmithMetadataUsageMetadata = "langsmith.metadata.usage_metadata",
    GenAiTokenCostTotal = "gen_ai.token.cost.total",
    GenAiUsageTotalCost = "gen_ai.usage.total_cost",
    GenAiUsageCostUsd = "gen_ai.usage.cost_usd",
    LlmUsageTotalCost = "llm.usage.total_cost",
    AiTotalCost = "ai.total_cost",
    OpencodeLlmCostTotal = "opencode.llm.cost.total",
    LlmCostUsd = "llm.cost_usd",
    LlmEstimatedCostUsd = "llm.estimated_cost_usd",
    // What it used.
    LangfuseObservationUsageDetails = "langfuse.observation.usage_details",
    AiUsageInputTokens = "ai.usage.inputTokens",
    AiUsagePromptTokens = "ai.usage.promptTokens",
    AiUsageTokens = "ai.usage.tokens",
    AiUsageOutputTokens = "ai.usage.outputTokens",
    AiUsageCompletionTokens = "ai.usage.completionTokens",
    AiUsageInputTokenDetailsCacheReadTokens = "ai.usage.inputTokenDetails.cacheReadTokens",
    AiUsageCachedInputTokens = "ai.usage.cachedInputTokens",
    AiUsageInputTokenDetailsCacheWriteTokens = "ai.usage.inputTokenDetails.cacheWriteTokens",
    AiUsageOutputTokenDetailsReasoningTokens = "ai.usage.outputTokenDetails.reasoningTokens",
    AiUsageReasoningTokens = "ai.usage.reasoningTokens",
    AiUsageTotalTokens = "ai.usage.totalTokens",
    AiUsageInputTokenDetailsNoCacheTokens = "ai.usage.inputTokenDetails.noCacheTokens",
    MlflowChatTokenUsage = "mlflow.chat.tokenUsage",
    MlflowTraceTokenUsage = "mlflow.trace.tokenUsage",
    MlflowTraceCost = "mlflow.trace.cost",
    GenAiUsageInputTokens = "gen_ai.usage.input_tokens",
    GenAiUsagePromptTokens = "gen_ai.usage.prompt_tokens",
    GenAiResponsePromptTokens = "gen_ai.response.prompt_tokens",
    GenAiResponseCompletionTokens = "gen_ai.response.completion_tokens",
    GenAiUsageOutputTokens = "gen_ai.usage.output_tokens",
    GenAiUsageCompletionTokens = "gen_ai.usage.completion_tokens",
    GenAiUsageCacheReadInputTokens = "gen_ai.usage.cache_read.input_tokens",
    GenAiUsageCacheReadInputTokensFlat = "gen_ai.usage.cache_read_input_tokens",
    GenAiUsageCacheReadTokens = "gen_ai.usage.cache_read_tokens",
    GenAiUsageDetailsCacheReadTokens = "gen_ai.usage.details.cache_read_tokens",
    GenAiUsageDetailsCacheReadInputTokens = "gen_ai.usage.details.cache_read_input_tokens",
    GenAiUsageInputTokensCached = "gen_ai.usage.input_tokens.cached",
    GenAiUsagePromptTokensDetailsCachedTokens = "gen_ai.usage.prompt_tokens_details.cached_tokens",
    GenAiUsageInputCachedTokens = "gen_ai.usage.input_cached_tokens",
    GenAiUsageInputTokenDetails = "gen_ai.usage.input_token_details",
    GenAiUsageCacheWriteInputTokens = "gen_ai.usage.cache_write.input_tokens",
    GenAiUsageCacheCreationInputTokens = "gen_ai.usage.cache_creation.input_tokens",
    GenAiUsageCacheCreationInputTokensFlat = "gen_ai.usage.cache_creation_input_tokens",
    GenAiUsageCacheWriteInputTokensFlat = "gen_ai.usage.cache_write_input_tokens",
    GenAiUsageCacheWriteTokens = "gen_ai.usage.cache_write_tokens",
    GenAiUsageDetailsCacheWriteTokens = "gen_ai.usage.details.cache_write_tokens",
    GenAiUsageDetailsCacheCreationInputTokens = "gen_ai.usage.details.cache_creation_input_tokens",
    GenAiUsageInputTokensCacheWrite = "gen_ai.usage.input_tokens.cache_write",
    GenAiUsagePromptTokensDetailsCacheCreationTokens = "gen_ai.usage.prompt_tokens_details.cache_creation_tokens",
    GenAiUsageReasoningOutputTokens = "gen_ai.usage.reasoning.output_tokens",
    GenAiUsageReasoningTokens = "gen_ai.usage.reasoning_tokens",
    GenAiUsageDetailsReasoningTokens = "gen_ai.usage.details.reasoning_tokens",
    GenAiUsageOutputTokensReasoning = "gen_ai.usage.output_tokens.reasoning",
    GenAiUsageCompletionTokensDetailsReasoningTokens = "gen_ai.usage.completion_tokens_details.reasoning_tokens",
    GenAiUsageAudioInputTokens = "gen_ai.usage.audio.input_tokens",
    GenAiUsageAudioOutputTokens = "gen_ai.usage.audio.output_tokens",
    GenAiUsageImageInputTokens = "gen_ai.usage.image.input_tokens",
    GenAiUsageImageOutputTokens = "gen_ai.usage.image.output_tokens",
    GenAiUsageDetailsInputAudioTokens = "gen_ai.usage.details.input_audio_tokens",
    GenAiUsageDetailsOutputAudioTokens = "gen_ai.usage.details.output_audio_tokens",
    GenAiUsageCompletionTokensDetailsAudioTokens = "gen_ai.usage.completion_tokens_details.audio_tokens",
    GenAiUsageTotalTokens = "gen_ai.usage.total_tokens",
    GenAiClientTokenUsage = "gen_ai.client.token.usage",
    GenAiUsageCacheCreationEphemeral5mInputTokens = "gen_ai.usage.cache_creation.ephemeral_5m_input_tokens",
    GenAiUsageCacheCreationEphemeral1hInputTokens = "gen_ai.usage.cache_creation.ephemeral_1h_input_tokens",
    AnthropicUsageCacheCreationEphemeral5mInputTokens = "anthropic.usage.cache_creation.ephemeral_5m_input_tokens",
    AnthropicUsageCacheCreationEphemeral1hInputTokens = "anthropic.usage.cache_creation.ephemeral_1h_input_tokens",
    LlmTokenCountPrompt = "llm.token_count.prompt",
    LlmTokenCountCompletion = "llm.token_count.completion",
    LlmTokenCountPromptDetailsCacheRead = "llm.token_count.prompt_details.cache_read",
    LlmTokenCountPromptDetailsCacheInput = "llm.token_count.prompt_details.cache_input",
    LlmTokenCountPromptDetailsCacheWrite = "llm.token_count.prompt_details.cache_write",
    LlmTokenCountCompletionDetailsReasoning = "llm.token_count.completion_details.reasoning",
    LlmTokenCountPromptDetailsAudio = "llm.token_count.prompt_details.audio",
    LlmTokenCountCompletionDetailsAudio = "llm.token_count.completion_details.audio",
    LlmTokenCountTotal = "llm.token_count.total",
    LlmUsagePromptTokens = "llm.usage.prompt_tokens",
    LlmUsageCompletionTokens = "llm.usage.completion_tokens",
    LlmUsageCacheReadInputTokens = "llm.usage.cache_read_input_tokens",
    LlmUsageCacheCreationInputTokens = "llm.usage.cache_creation_input_tokens",
    LlmUsageReasoningTokens = "llm.usage.reasoning_tokens",
    LlmUsageTotalTokens = "llm.usage.total_tokens",
    LlmInputTokens = "llm.input_tokens",
    LlmOutputTokens = "llm.output_tokens",
    LlmCacheReadInputTokens = "llm.cache_read_input_tokens",
    LlmCacheCreationInputTokens = "llm.cache_creation_input_tokens",
    LlmTotalTokens = "llm.total_tokens",
    InputTokens = "input_tokens",
    OutputTokens = "output_tokens",
    CacheReadTokens = "cache_read_tokens",
    CacheCreationTokens = "cache_creation_tokens",
    UsagePromptTokens = "usage.prompt_tokens",
    UsageCompletionTokens = "usage.completion_tokens",
    UsageCachedTokens = "usage.cached_tokens",
    UsageTotalTokens = "usage.total_tokens",
    // How it ended.
    GenAiResponseFinishReasons = "gen_ai.response.finish_reasons",
    GenAiResponseFinishReason = "gen_ai.response.finish_reason",
    GenAiResponseStopReason = "gen_ai.response.stop_reason",
    GenAiFinishReason = "gen_ai.finish_reason",
    GenAiFinishReasonFlat = "gen_ai.finishReason",
    AiResponseFinishReason = "ai.response.finishReason",
    AiFinishReason = "ai.finishReason",
    AnthropicMessageStopReason = "anthropic.message.stop_reason",
    LlmFinishReason = "llm.finish_reason",
    LlmResponseFinishReason = "llm.response.finish_reason",
    LlmResponseStopReason = "llm.response.stop_reason",
    LlmStopReason = "llm.stop_reason",
    GenAiOutputMessages = "gen_ai.output.messages",
    LangfuseObservationMetadataFinishReason = "langfuse.observation.metadata.finish_reason",
    LangfuseObservationMetadataStopReason = "langfuse.observation.metadata.stop_reason",
    LangfuseObservationOutput = "langfuse.observation.output",
    OutputValue = "output.value",
    MlflowSpanOutputs = "mlflow.spanOutputs",
    ResponseData = "response_data",
    GenAiCompletion = "gen_ai.completion",
    LlmTruncated = "llm.truncated",
    // How it failed.
    LangfuseObservationLevel = "langfuse.observation.level",
    LangfuseObservationStatusMessage = "langfuse.observation.status_message",
    GenAiFrameworkErrorClass = "gen_ai.framework.error.class",
    AiErrorIsRetryable = "ai.error.isRetryable",
    // Marks of a vocabulary.
    EventLoopCycleId = "event_loop.cycle_id",
    GenAiSdkVersion = "gen_ai.sdk.version",
    ModelRequestParameters = "model_request_parameters",
    // What is written.
    TollgateCostTotalUsd = "tollgate.cost.total_usd",
    TollgateCostInputUsd = "tollgate.cost.input_usd",
    TollgateCostOutputUsd = "tollgate.cost.output_usd",
    TollgateCostCacheReadUsd = "tollgate.cost.cache_read_usd",
    TollgateCostCacheWriteUsd = "tollgate.cost.cache_write_usd",
    TollgateCostFeesUsd = "tollgate.cost.fees_usd",
    TollgateCostFlags = "tollgate.cost.flags",
    TollgateCostSource = "tollgate.cost.source",
    TollgateCostSourceKey = "tollgate.cost.source_key",
    TollgateCostPriceId = "tollgate.cost.price_id",
    TollgateCostSkipReason = "tollgate.cost.skip_reason",
    TollgateUsageRole = "tollgate.usage.role",
    TollgateUsageInputSemantics = "tollgate.usage.input_semantics",
    TollgateTruncated = "tollgate.truncated",
    TollgateTruncationSource = "tollgate.truncation.source",
    TollgateFinishReason = "tollgate.finish_reason",
    TollgateErrorClass = "tollgate.error.class",
    TollgateErrorReason = "tollgate.error.reason",
    TollgateErrorSource = "tollgate.error.source",
    LangfuseObservationMetadataTruncated = "langfuse.observation.metadata.truncated",
    LangfuseObservationMetadataErrorClass = "langfuse.observation.metadata.error_class",
    LangfuseObservationMetadataErrorReason = "langfuse.observation.metadata.error_reason",
    LangsmithMetadataTruncated = "langsmith.metadata.truncated",
    LangsmithMetadataErrorClass = "langsmith.metadata.error_class",
    LangsmithMetadataErrorReason = "langsmith.metadata.error_reason",
    GenAiUsageCostSource = "gen_ai.usage.cost.source",
    // Families of keys with a number or a free name in them. Their text is the common beginning; it is never looked up whole.
    CompletionFinishReason = "gen_ai.completion.*.finish_reason",
    PromptPart = "gen_ai.prompt.*",
    CompletionPart = "gen_ai.completion.*",
    OutputMessagePart = "llm.output_messages.*",
    TraceloopAny = "traceloop.*",
    LogfireAny = "logfire.*",
    PydanticAny = "gen_ai.aggregated_usage.*",
    SigilAny = "agento11y.*",
    AdkAny = "gcp.vertex.agent.*",
    MlflowAny = "mlflow.*",
}

/// The first key that only spans of language models carry; those before it stand on spans of any kind.
const FIRST_MODEL_KEY: u16 = Key::LangfuseObservationType as u16;

impl Key {
    /// How many there are.
    pub(crate) const COUNT: usize = NAMES.len();

    /// All of them.
    pub(crate) const fn all() -> &'static [Key] {
        KEYS
    }

    /// The key as it is written.
    pub(crate) const fn name(self) -> &'static str {
        NAMES[self as usize]
    }

    /// Whether it stands on spans of language models, agents or their tools alone.
    pub(crate) const fn is_of_models(self) -> bool {
        self as u16 >= FIRST_MODEL_KEY
    }

    /// The key of this text; `None` for one that nobody reads.
    #[inline]
    pub(crate) fn find(text: &[u8]) -> Option<Key> {
        let mut slot = hash(text);
        loop {
            match SLOTS[slot & (SLOT_COUNT - 1)] {
                0 => {
                    let latency = || (text.last() == Some(&b's') && text.ends_with(b"latency_ms")).then_some(Key::LatencyAny);
                    return family(text).or_else(latency);
                }
                n => {
                    let key = KEYS[n as usize - 1];
                    if key.name().as_bytes() == text {
                        return Some(key);
                    }
                }
            }
            slot += 1;
        }
    }
}

/// A third full at most, so that most unknown keys meet an empty slot at once.
const SLOT_COUNT: usize = 1024;

/// Number of the key plus one at the place its hash points to, or behind it; 0 is empty.
static SLOTS: [u16; SLOT_COUNT] = slots();

const fn slots() -> [u16; SLOT_COUNT] {
    let mut slots = [0; SLOT_COUNT];
    let mut i = 0;
    while i < NAMES.len() {
        let mut slot = hash(NAMES[i].as_bytes()) & (SLOT_COUNT - 1);
        while slots[slot] != 0 {
            slot = (slot + 1) & (SLOT_COUNT - 1);
        }
        slots[slot] = i as u16 + 1;
        i += 1;
    }
    slots
}

/// Mixes the length, the last eight bytes and the eight before the middle. Keys are chosen by senders, but the table is not:
/// a chosen key costs at most one run of filled slots.
#[inline]
const fn hash(text: &[u8]) -> usize {
    let end = match text.last_chunk::<8>() {
        Some(chunk) => u64::from_le_bytes(*chunk),
        None => short(text),
    };
    let middle = match text.split_at(text.len() / 2).0.last_chunk::<8>() {
        Some(chunk) => u64::from_le_bytes(*chunk),
        None => 0,
    };
    let mixed = (end ^ middle.rotate_left(23) ^ text.len() as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 40) as usize
}

const fn short(text: &[u8]) -> u64 {
    let (mut value, mut i) = (0u64, 0);
    while i < text.len() {
        value = value << 8 | text[i] as u64;
        i += 1;
    }
    value
}

/// Keys that are known by their beginning.
fn family(text: &[u8]) -> Option<Key> {
    // Two letters, because the texts of one are many: every unknown key comes here.
    match text.get(..2)? {
        [b'g', b'c' | b'e'] => {
            if text.starts_with(b"gcp.vertex.agent.") {
                return Some(Key::AdkAny);
            }
            let rest = strip(text, b"gen_ai.")?;
            if let Some(rest) = strip(rest, b"completion.") {
                let (_, tail) = numbered(rest)?;
                return Some(if tail == b"finish_reason" { Key::CompletionFinishReason } else { Key::CompletionPart });
            }
            if let Some(rest) = strip(rest, b"prompt.") {
                return numbered(rest).map(|_| Key::PromptPart);
            }
            rest.starts_with(b"aggregated_usage.").then_some(Key::PydanticAny)
        }
        [b'l', b'l' | b'o'] => match text {
            _ if text.starts_with(b"llm.output_messages.") => Some(Key::OutputMessagePart),
            _ if text.starts_with(b"logfire.") => Some(Key::LogfireAny),
            _ => None,
        },
        b"tr" => text.starts_with(b"traceloop.").then_some(Key::TraceloopAny),
        b"ml" => text.starts_with(b"mlflow.").then_some(Key::MlflowAny),
        b"ag" => text.starts_with(b"agento11y.").then_some(Key::SigilAny),
        b"si" => text.starts_with(b"sigil.").then_some(Key::SigilAny),
        _ => None,
    }
}

fn strip<'a>(text: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    text.strip_prefix(prefix)
}

/// `12.role` as 12 and `role`.
pub(crate) fn numbered(text: &[u8]) -> Option<(usize, &[u8])> {
    let dot = text.iter().position(|b| *b == b'.')?;
    let (number, tail) = text.split_at(dot);
    // A model offers a handful of choices and a prompt some thousand messages.
    if number.is_empty() || number.len() > 6 {
        return None;
    }
    let number = number.iter().try_fold(0, |n, b| b.is_ascii_digit().then(|| n * 10 + usize::from(b - b'0')))?;
    Some((number, tail.get(1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_found_and_its_neighbours_are_not() {
        for (i, name) in NAMES.iter().enumerate() {
            if name.contains('*') {
                continue;
            }
            assert_eq!(Key::find(name.as_bytes()), Some(KEYS[i]), "{name}");
            assert_ne!(Key::find(&name.as_bytes()[1..]).map(|k| k as usize), Some(i));
            assert_ne!(Key::find(format!("{name}s").as_bytes()).map(|k| k as usize), Some(i));
            assert_ne!(Key::find(name.to_uppercase().as_bytes()).map(|k| k as usize), Some(i));
        }
    }

    #[test]
    fn no_key_is_listed_twice() {
        let distinct: std::collections::HashSet<_> = NAMES.iter().collect();
        assert_eq!(distinct.len(), NAMES.len());
    }

    #[test]
    fn runs_of_filled_slots_stay_short() {
        let longest = SLOTS.split(|s| *s == 0).map(<[u16]>::len).max();
        assert!(longest < Some(24), "{longest:?}");
    }

    #[test]
    fn a_number_in_a_key_is_a_number() {
        let find = |text: &str| Key::find(text.as_bytes());
        assert_eq!(find("gen_ai.completion.0.finish_reason"), Some(Key::CompletionFinishReason));
        assert_eq!(find("gen_ai.completion.12.content"), Some(Key::CompletionPart));
        assert_eq!(find("gen_ai.prompt.3.role"), Some(Key::PromptPart));
        assert_eq!(find("gen_ai.completion.x.finish_reason"), None);
        assert_eq!(find("gen_ai.completion..finish_reason"), None);
        assert_eq!(find("gen_ai.prompt.user"), Some(Key::GenAiPromptUser));
        assert_eq!(find("gen_ai.prompt.variable.x"), None);
        assert_eq!(find("gen_ai.server.latency_ms"), Some(Key::LatencyAny));
        assert_eq!(find("request_latency_ms"), Some(Key::LatencyAny));
        assert_eq!(find("latency_ms.max"), None);
        assert_eq!(find("gen_ai.prompt.name"), Some(Key::GenAiPromptName));
        assert_eq!(find("gen_ai.prompt"), Some(Key::GenAiPrompt));
        assert_eq!(find(""), None);
        assert_eq!(find("g"), None);
    }

    #[test]
    fn keys_of_web_spans_are_not_of_models() {
        assert!(!Key::ErrorType.is_of_models() && !Key::UserId.is_of_models() && !Key::HttpResponseStatusCode.is_of_models());
        assert!(Key::OpeninferenceSpanKind.is_of_models() && Key::GenAiSystem.is_of_models() && Key::TraceloopAny.is_of_models());
    }
}
