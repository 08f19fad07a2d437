//! One value per fact: which key speaks where several do.
//!
//! The lists below are the order of trust: the newest conventions first, then what libraries wrote before them, then what
//! people write by hand. The first key with a value decides; nothing is added up or merged.

use crate::enrich::json;
use crate::enrich::keys::Key;
use crate::enrich::price::when::parse_instant;
use crate::enrich::price::{Context, ContextKey};
use crate::enrich::provider::{self, Memory};
use crate::enrich::scan::{Attributes, plain};
use crate::enrich::sets::{Keys, List};
use crate::enrich::source::{Library, Source};
use crate::otlp::span::{Any, SpanView};
use crate::units::Usd;
use std::borrow::Cow;

const PROVIDER: List = List::of(&[
    Key::GenAiProviderName,
    Key::GenAiSystem,
    Key::LlmProvider,
    Key::LlmSystem,
    Key::AiModelProvider,
    Key::MlflowLlmProvider,
    Key::LangsmithMetadataLsProvider,
]);

const REQUEST_MODEL: List = List::of(&[
    Key::GenAiRequestModel,
    Key::LlmRequestModelName,
    Key::LlmRequestModel,
    Key::AiModelId,
    Key::LangfuseObservationModelName,
    Key::LlmModelName,
    Key::EmbeddingModelName,
    Key::RerankerModelName,
    Key::MlflowLlmModel,
    Key::LangsmithMetadataLsModelName,
    Key::LlmModel,
    Key::Model,
]);

const RESPONSE_MODEL: List = List::of(&[
    Key::GenAiResponseModel,
    Key::LlmResponseModelName,
    Key::AiResponseModel,
    Key::LlmResponseModel,
    Key::LangfuseObservationModelName,
    Key::LlmModelName,
]);

const USER: List = List::of(&[
    Key::LangfuseUserId,
    Key::UserId,
    Key::GenAiUserId,
    Key::GenAiUser,
    Key::GenAiRequestUser,
    Key::LlmUser,
    Key::AiTelemetryMetadataUserId,
    Key::LangsmithMetadataUserId,
    Key::TraceloopAssociationPropertiesUserId,
    Key::EnduserId,
    Key::Agento11yUserId,
]);

const SESSION: List = List::of(&[
    Key::GenAiConversationId,
    Key::LangfuseSessionId,
    Key::SessionId,
    Key::GenAiSessionId,
    Key::AiTelemetryMetadataSessionId,
    Key::LangsmithTraceSessionId,
    Key::LangsmithMetadataSessionId,
    Key::LangsmithMetadataThreadId,
    Key::LangsmithMetadataConversationId,
    Key::TraceloopAssociationPropertiesSessionId,
    Key::SpringAiChatClientConversationId,
    Key::MlflowTraceSession,
]);

const RESPONSE_ID: List = List::of(&[Key::GenAiResponseId, Key::AiResponseId, Key::LlmResponseId]);

const SERVICE_TIER: List = List::of(&[
    Key::OpenaiResponseServiceTier,
    Key::GenAiOpenaiResponseServiceTier,
    Key::GenAiResponseServiceTier,
    Key::AnthropicResponseServiceTier,
    Key::OpenaiRequestServiceTier,
    Key::GenAiOpenaiRequestServiceTier,
]);

const LIMITS: List = List::of(&[
    Key::GenAiRequestMaxTokens,
    Key::GenAiRequestMaxCompletionTokens,
    Key::LlmRequestMaxTokens,
    Key::AiSettingsMaxOutputTokens,
    Key::AiSettingsMaxTokens,
]);

const AGENT: List = List::of(&[Key::GenAiAgentName, Key::AgentName, Key::Agento11yFrameworkComponentName]);

const FEATURE: List = List::of(&[Key::AppFeature, Key::AiTelemetryFunctionId, Key::GenAiWorkflowName, Key::TraceloopWorkflowName]);

const PROMPT: List = List::of(&[Key::GenAiPromptName, Key::LangfuseObservationPromptName, Key::TraceloopPromptKey]);

const PROMPT_VERSION: List =
    List::of(&[Key::GenAiPromptVersion, Key::LangfuseObservationPromptVersion, Key::AppPromptVersion, Key::TraceloopPromptVersion]);

const FIRST_TOKEN_SECONDS: List =
    List::of(&[Key::GenAiResponseTimeToFirstChunk, Key::GenAiClientOperationTimeToFirstChunk, Key::GenAiServerTtft]);

const FIRST_TOKEN_MILLIS: List = List::of(&[
    Key::AiResponseMsToFirstChunk,
    Key::AiStreamMsToFirstChunk,
    Key::GenAiTimeToFirstTokenMs,
    Key::LlmTimeToFirstTokenMs,
    Key::TtftMs,
]);

const FIRST_TOKEN: Keys = FIRST_TOKEN_SECONDS
    .set
    .and(FIRST_TOKEN_MILLIS.set)
    .and(Keys::of(&[Key::GenAiServerTimeToFirstToken, Key::LangfuseObservationCompletionStartTime]));

/// Keys under which a zero may mean that somebody had no price, asked after all others of that kind.
const COSTS_WITHOUT_PRICE: [Key; 6] = [
    Key::GenAiTokenCostTotal,
    Key::GenAiUsageTotalCost,
    Key::GenAiUsageCostUsd,
    Key::LlmUsageTotalCost,
    Key::AiTotalCost,
    Key::OpencodeLlmCostTotal,
];

/// Every key a cost may come under.
const COSTS: Keys = Keys::of(&COSTS_WITHOUT_PRICE).and(Keys::of(&[
    Key::LangfuseObservationCostDetails,
    Key::GenAiUsageCostAmount,
    Key::GenAiUsageCost,
    Key::OperationCost,
    Key::LlmCostTotal,
    Key::MlflowLlmCost,
    Key::GenAiCostTotalCost,
    Key::LitellmCostTotal,
    Key::LangsmithUsageMetadata,
    Key::LlmCostUsd,
    Key::LlmEstimatedCostUsd,
]));

/// Texts in which a provider's own usage object stands.
const OBJECTS: Keys = Keys::of(&[Key::GenAiUsageRaw, Key::AiResponseProviderMetadata]);

/// What may change the price stands under one of these.
const CONTEXT: Keys = OBJECTS.and(SERVICE_TIER.set);

/// Who makes the model, by its id.
pub(crate) fn inferred_provider(response: Option<&str>, request: Option<&str>, names: &mut Memory) -> Option<&'static str> {
    response.into_iter().chain(request).find_map(|model| names.maker(model))
}

/// Who answered, by canonical name, where a key names them.
pub(crate) fn named_provider<'a>(attributes: &Attributes<'_, 'a>, names: &mut Memory) -> Option<Cow<'a, str>> {
    attributes
        .present(&PROVIDER)
        .find_map(|key| attributes.name(key).and_then(|raw| names.canonical(raw)))
        // Hand-written vocabularies keep the system prompt under this name.
        .or_else(|| attributes.name(Key::GenAiRequestSystem).and_then(provider::known).map(Cow::Borrowed))
        .or_else(|| attributes.name(Key::LlmVendor).and_then(|raw| names.canonical(raw)))
}

/// Whether two vocabularies on the span name different providers, or different models for the answer. The first one speaks.
pub(crate) fn conflicts(attributes: &Attributes<'_, '_>, names: &mut Memory) -> [Option<&'static str>; 2] {
    let several = |list: &List| attributes.present(list).nth(1).is_some();
    let provider = several(&PROVIDER) && {
        let mut providers = attributes.present(&PROVIDER).filter_map(|key| attributes.name(key).and_then(|raw| names.canonical(raw)));
        let first = providers.next();
        first.is_some_and(|first| providers.any(|other| other != first))
    };
    let model = several(&RESPONSE_MODEL) && {
        let mut models = attributes.present(&RESPONSE_MODEL).filter_map(|key| attributes.name(key));
        let first = models.next();
        first.is_some_and(|first| models.any(|other| other != first))
    };
    [provider.then_some("provider"), model.then_some("response_model")]
}

/// The model that was asked for.
pub(crate) fn request_model<'a>(attributes: &Attributes<'_, 'a>) -> Option<&'a str> {
    attributes.first_name(&REQUEST_MODEL).map(|(_, model)| model).or_else(|| {
        let text = attributes.json(Key::LlmInvocationParameters)?;
        ["model", "model_name", "modelId"].iter().find_map(|member| json::name(text, member))
    })
}

/// The model that answered.
pub(crate) fn response_model<'a>(attributes: &Attributes<'_, 'a>) -> Option<&'a str> {
    attributes.first_name(&RESPONSE_MODEL).map(|(_, model)| model)
}

/// The provider's id of the answer.
pub(crate) fn response_id<'a>(attributes: &Attributes<'_, 'a>) -> Option<&'a str> {
    attributes.first_name(&RESPONSE_ID).map(|(_, id)| id)
}

/// Who the call was made for.
pub(crate) fn user<'a>(attributes: &Attributes<'_, 'a>) -> Option<&'a str> {
    attributes
        .first_name(&USER)
        .map(|(_, user)| user)
        .or_else(|| attributes.json(Key::Metadata).and_then(|text| json::name(text, "user_id")))
}

/// The conversation it belongs to. A value that only repeats the trace id is none.
pub(crate) fn session<'a>(attributes: &Attributes<'_, 'a>, view: &SpanView<'_>) -> Option<&'a str> {
    let repeats = |text: &str| view.trace_id.is_some_and(|id| crate::otlp::span::TraceId::from_hex(text) == Some(id));
    attributes.present(&SESSION).filter_map(|key| attributes.name(key)).find(|session| !repeats(session))
}

/// The agent it was made by.
pub(crate) fn agent<'a>(attributes: &Attributes<'_, 'a>) -> Option<&'a str> {
    let of_agent = attributes.name(Key::TraceloopSpanKind).is_some_and(|kind| kind.eq_ignore_ascii_case("agent"));
    attributes
        .first_name(&AGENT)
        .map(|(_, agent)| agent)
        .or_else(|| attributes.name(Key::TraceloopEntityName).filter(|_| of_agent))
        .or_else(|| attributes.name(Key::AiTelemetryFunctionId))
}

/// The feature of the application it serves.
pub(crate) fn feature<'a>(attributes: &Attributes<'_, 'a>) -> Option<&'a str> {
    attributes.first_name(&FEATURE).map(|(_, feature)| feature)
}

/// The prompt template it was made from.
pub(crate) fn prompt<'a>(attributes: &Attributes<'_, 'a>) -> Option<&'a str> {
    attributes.first_name(&PROMPT).map(|(_, prompt)| prompt)
}

/// The version of that template.
pub(crate) fn prompt_version<'a>(attributes: &Attributes<'_, 'a>) -> Option<Cow<'a, str>> {
    attributes.present(&PROMPT_VERSION).find_map(|key| match attributes.any(key) {
        Any::Str(text) => plain(text).map(Cow::Borrowed),
        Any::Int(n) => Some(Cow::Owned(n.to_string())),
        _ => None,
    })
}

/// Who pays for it, where the application says so.
pub(crate) fn tier<'a>(attributes: &Attributes<'_, 'a>) -> Option<&'a str> {
    attributes.name(Key::UserTier)
}

/// The most output tokens that were asked for.
pub(crate) fn limit(attributes: &Attributes<'_, '_>) -> Option<u64> {
    let members = |key: Key, paths: &[&str]| attributes.json(key).and_then(|text| json::first_count(text, paths));
    attributes
        .first_count(&LIMITS)
        .or_else(|| {
            let paths = [
                "max_completion_tokens",
                "max_output_tokens",
                "max_tokens",
                "maxTokens",
                "inferenceConfig.maxTokens",
                "max_tokens_to_sample",
            ];
            members(Key::LlmInvocationParameters, &paths)
        })
        .or_else(|| members(Key::LangfuseObservationModelParameters, &["max_completion_tokens", "max_output_tokens", "max_tokens"]))
        .or_else(|| members(Key::RequestData, &["max_completion_tokens", "max_output_tokens", "max_tokens"]))
        .or_else(|| attributes.count(Key::LlmWatsonxMaxNewTokens))
}

/// Seconds until the first token. A value longer than the span by more than a second has another unit, and is dropped.
pub(crate) fn time_to_first_token(attributes: &Attributes<'_, '_>, view: &SpanView<'_>, source: &Source<'_>) -> Option<f64> {
    if !attributes.has_any(&FIRST_TOKEN) && !attributes.has_events() {
        return None;
    }
    let since_start = |time: u64| time.checked_sub(view.start).map(|nanos| nanos as f64 / 1e9);
    let found = attributes
        .present(&FIRST_TOKEN_SECONDS)
        .find_map(|key| attributes.number(key))
        .or_else(|| {
            let scale = if source.library == Library::Strands { 1e3 } else { 1.0 };
            attributes.number(Key::GenAiServerTimeToFirstToken).map(|value| value / scale)
        })
        .or_else(|| attributes.present(&FIRST_TOKEN_MILLIS).find_map(|key| attributes.number(key)).map(|value| value / 1e3))
        .or_else(|| attributes.name(Key::LangfuseObservationCompletionStartTime).and_then(instant).and_then(since_start))
        .or_else(|| {
            let chunk = |name: &[u8]| {
                matches!(name, b"gen_ai.content.completion.chunk" | b"llm.content.completion.chunk" | b"ai.stream.firstChunk")
            };
            attributes.events().find(|event| chunk(event.name)).and_then(|event| since_start(event.time))
        })?;
    (found >= 0.0 && found <= view.duration() as f64 / 1e9 + 1.0).then_some(found)
}

/// A moment in ISO 8601, or since 1970 in seconds, milli-, micro- or nanoseconds: no two of these overlap in this century.
fn instant(text: &str) -> Option<u64> {
    match text.parse::<f64>() {
        Ok(number) if number >= 1e17 => text.parse().ok(),
        Ok(number) if number >= 1e14 => Some((number * 1e3) as u64),
        Ok(number) if number >= 1e11 => Some((number * 1e6) as u64),
        Ok(number) if number >= 1e8 => Some((number * 1e9) as u64),
        Ok(_) => None,
        Err(_) => parse_instant(text),
    }
}

/// What else changes the price.
pub(crate) fn context<'a>(attributes: &Attributes<'_, 'a>) -> Context<'a> {
    let mut context = Context::default();
    if !attributes.has_any(&CONTEXT) {
        return context;
    }
    let raw = attributes.json(Key::GenAiUsageRaw);
    let metadata = attributes.json(Key::AiResponseProviderMetadata);
    let tier = attributes
        .first_name(&SERVICE_TIER)
        .map(|(_, tier)| tier)
        .or_else(|| {
            metadata.and_then(|text| json::name(text, "openai.serviceTier").or_else(|| json::name(text, "anthropic.usage.service_tier")))
        })
        .or_else(|| raw.and_then(|text| json::name(text, "service_tier")));
    context.set(ContextKey::ServiceTier, tier);
    let usage = raw.or_else(|| metadata.and_then(|text| json::member(text, "anthropic.usage")));
    if let Some(usage) = usage {
        context.set(ContextKey::Speed, json::name(usage, "speed"));
        context.set(ContextKey::Region, json::name(usage, "inference_geo"));
    }
    context
}

/// Searches of the web that the provider made and bills.
pub(crate) fn web_searches(attributes: &Attributes<'_, '_>) -> Option<u64> {
    if !attributes.has_any(&OBJECTS) {
        return None;
    }
    let path = "server_tool_use.web_search_requests";
    attributes.json(Key::GenAiUsageRaw).and_then(|text| json::count(text, path)).or_else(|| {
        attributes.json(Key::AiResponseProviderMetadata).and_then(|text| json::count(json::member(text, "anthropic.usage")?, path))
    })
}

/// The host that was called.
pub(crate) fn host<'a>(attributes: &Attributes<'_, 'a>) -> Option<&'a str> {
    attributes.name(Key::ServerAddress).or_else(|| {
        let (_, rest) = attributes.name(Key::UrlFull)?.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next()?;
        let host = authority.rsplit('@').next()?;
        host.split(':').next().filter(|host| !host.is_empty())
    })
}

/// A cost that came with the span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GivenCost {
    pub(crate) usd: Usd,
    pub(crate) key: Key,
    pub(crate) trust: Trust,
}

/// How far a given cost is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// As it stands.
    Full,
    /// A zero may mean that its author had no price.
    NotZero,
    /// An estimate: a price of our own is better.
    Estimate,
}

/// The cost that came with a span, from the most explicit key down. One that is not `believed` gives way to the next.
pub(crate) fn given_cost(attributes: &Attributes<'_, '_>, believed: impl Fn(&GivenCost) -> bool) -> Option<GivenCost> {
    if !attributes.has_any(&COSTS) {
        return None;
    }
    let flat = |key: Key, trust: Trust| usd_of(attributes.any(key)).map(|usd| GivenCost { usd, key, trust }).filter(&believed);
    let in_dollars = attributes.name(Key::GenAiUsageCostCurrency).is_none_or(|currency| currency.eq_ignore_ascii_case("USD"));
    let langfuse = || {
        let text = json::object(attributes.json(Key::LangfuseObservationCostDetails)?);
        let usd = json::member(&text, "total").and_then(usd).or_else(|| sum_of_members(&text))?;
        Some(GivenCost { usd, key: Key::LangfuseObservationCostDetails, trust: Trust::Full })
    };
    let member = |key: Key, path: &str| {
        let text = json::object(attributes.json(key)?);
        json::member(&text, path).and_then(usd).map(|usd| GivenCost { usd, key, trust: Trust::Full })
    };
    langfuse()
        .or_else(|| flat(Key::GenAiUsageCostAmount, Trust::Full).filter(|_| in_dollars))
        .or_else(|| flat(Key::GenAiUsageCost, Trust::NotZero))
        .or_else(|| flat(Key::OperationCost, Trust::Full))
        .or_else(|| flat(Key::LlmCostTotal, Trust::Full))
        .or_else(|| member(Key::MlflowLlmCost, "total_cost"))
        .or_else(|| flat(Key::GenAiCostTotalCost, Trust::Full))
        .or_else(|| flat(Key::LitellmCostTotal, Trust::Full))
        .or_else(|| member(Key::LangsmithUsageMetadata, "total_cost"))
        .or_else(|| COSTS_WITHOUT_PRICE.into_iter().find_map(|key| flat(key, Trust::NotZero)))
        .or_else(|| flat(Key::LlmCostUsd, Trust::Full))
        .or_else(|| flat(Key::LlmEstimatedCostUsd, Trust::Estimate))
}

fn sum_of_members(text: &str) -> Option<Usd> {
    let members: std::collections::BTreeMap<Cow<'_, str>, &serde_json::value::RawValue> = serde_json::from_str(text).ok()?;
    let parts: Vec<Usd> = members.values().take(64).filter_map(|raw| usd(raw.get())).collect();
    (!parts.is_empty()).then(|| parts.into_iter().sum())
}

fn usd_of(value: Any<'_>) -> Option<Usd> {
    match value {
        Any::Int(n) => u32::try_from(n).ok().map(|n| Usd::from_pico(i128::from(n) * 1_000_000_000_000)),
        Any::Double(n) => exact(n),
        Any::Str(text) => usd(text),
        _ => None,
    }
}

/// Reads an amount. Not negative, below a billion; what is finer than a pico-dollar is rounded to one.
fn usd(text: &str) -> Option<Usd> {
    let text = plain(text)?;
    let exactly = text.parse::<Usd>().ok();
    exactly.or_else(|| text.parse().ok().and_then(exact)).filter(|usd| (0..=1_000_000_000i128 * 1_000_000_000_000).contains(&usd.pico()))
}

/// The shortest decimal that reads back as this double is what its author computed or meant.
fn exact(value: f64) -> Option<Usd> {
    if !(0.0..=1e9).contains(&value) {
        return None;
    }
    value.to_string().parse().or_else(|_| format!("{value:.12}").parse()).ok()
}
