//! What is added to a span.
//!
//! Only appended: an attribute that stands on the span, even an empty one, is left alone and not repeated, because OTLP wants keys to
//! be unique. Where the config asks for ours, ours is appended all the same, and what it supersedes is taken out as the span leaves.
//! Every number keeps one type for ever, since some backends fix the type of a key with its first value.

use crate::enrich::call::{Cost, CostSource, LlmFacts};
use crate::enrich::config::{Fill, Normalize, Profile, Tokens};
use crate::enrich::errors::{Class, ErrorFact};
use crate::enrich::finishes::Cut;
use crate::enrich::keys::Key;
use crate::enrich::kind::Kind;
use crate::enrich::profiles;
use crate::enrich::roles::Role;
use crate::enrich::sets::Keys;
use crate::enrich::usage::Semantics;
use crate::otlp::append;
use crate::units::Usd;

/// Appends attributes to one span; each key at most once, and none that is there unless it is to be replaced.
pub(crate) struct Writer<'o> {
    out: append::Attributes<'o>,
    present: Keys,
    written: Keys,
    /// Ours takes the place of what stands.
    replaces: bool,
}

/// What is only ever filled in, because the sender's own is as good: names, counts, and what people read first.
const FILLED: &[Key] = &[
    Key::ErrorType,
    Key::GenAiProviderName,
    Key::GenAiSystem,
    Key::GenAiOperationName,
    Key::GenAiRequestModel,
    Key::GenAiResponseModel,
    Key::GenAiUsageInputTokens,
    Key::GenAiUsageOutputTokens,
    Key::GenAiUsageCacheReadInputTokens,
    Key::GenAiUsageCacheWriteInputTokens,
    Key::GenAiUsageCacheCreationInputTokens,
    Key::GenAiUsageReasoningOutputTokens,
    Key::LangfuseObservationLevel,
    Key::LangfuseObservationStatusMessage,
    Key::LlmModelName,
    Key::MlflowChatTokenUsage,
];

impl<'o> Writer<'o> {
    /// For a span that carries `present`.
    pub(crate) fn new(out: &'o mut Vec<u8>, present: Keys) -> Writer<'o> {
        Writer { out: append::Attributes::of_span(out), present, written: Keys::default(), replaces: false }
    }

    /// The same, replacing what stands.
    pub(crate) fn replacing(self, replaces: bool) -> Writer<'o> {
        Writer { replaces, ..self }
    }

    /// Whether ours takes the place of what stands.
    pub(crate) fn replaces(&self) -> bool {
        self.replaces
    }

    fn is_free(&mut self, key: Key) -> bool {
        let free =
            if self.present.has(key) { self.replaces && !self.written.has(key) && !FILLED.contains(&key) } else { !self.written.has(key) };
        self.written.add(key);
        free
    }

    /// Whether a key stands on the span, or was written.
    pub(crate) fn has(&self, key: Key) -> bool {
        self.present.has(key) || self.written.has(key)
    }

    /// Lets the next value of a key stand, whatever is there: it is superseded.
    pub(crate) fn supersede(&mut self, key: Key) {
        self.present.remove(key);
    }

    pub(crate) fn str(&mut self, key: Key, value: &str) {
        if self.is_free(key) {
            self.out.str(key.name(), value);
        }
    }

    pub(crate) fn bool(&mut self, key: Key, value: bool) {
        if self.is_free(key) {
            self.out.bool(key.name(), value);
        }
    }

    pub(crate) fn int(&mut self, key: Key, value: u64) {
        if self.is_free(key) {
            // Counts are at most a few times 2^40.
            self.out.int(key.name(), i64::try_from(value).unwrap_or(i64::MAX));
        }
    }

    pub(crate) fn usd(&mut self, key: Key, value: Usd) {
        if self.is_free(key) {
            self.out.double(key.name(), value.to_f64());
        }
    }

    pub(crate) fn strs<'s>(&mut self, key: Key, values: impl Iterator<Item = &'s str> + Clone) {
        if self.is_free(key) {
            self.out.strs(key.name(), values);
        }
    }
}

/// What decides about writing and is no fact about the call.
pub(crate) struct Manner<'a> {
    pub(crate) normalize: Normalize,
    pub(crate) profiles: &'a [Profile],
    pub(crate) cut_by: Option<Cut>,
    /// The span is of OpenInference, whose readers have cost keys of their own.
    pub(crate) openinference: bool,
    /// The span counts tokens in a vocabulary beside which `gen_ai.usage.*` would be a second answer.
    pub(crate) other_counts: bool,
    /// What `error.type` is to say where it is absent.
    pub(crate) error_type: Option<&'a str>,
}

/// Writes why a span of any kind failed.
pub(crate) fn error(writer: &mut Writer<'_>, fact: &ErrorFact, error_type: Option<&str>) {
    writer.str(Key::TollgateErrorClass, fact.class.as_str());
    writer.str(Key::TollgateErrorReason, fact.reason.as_str());
    if let Some(source) = fact.source {
        writer.str(Key::TollgateErrorSource, source.as_str());
    }
    writer.str(Key::ErrorType, error_type.unwrap_or(fact.reason.as_str()));
}

/// Writes everything that is known about a span of any kind but `none`.
pub(crate) fn facts(writer: &mut Writer<'_>, facts: &LlmFacts<'_>, manner: &Manner<'_>) {
    // The keys asked about are those of the sender; what is written below must not answer for them.
    let had_cost_amount = writer.has(Key::GenAiUsageCostAmount);
    if let Some(role) = facts.role {
        writer.str(Key::TollgateUsageRole, role.as_str());
    }
    if facts.kind.is_priced() || facts.role.is_some() {
        cost(writer, facts, manner, had_cost_amount);
    }
    if facts.kind.is_priced() {
        if facts.role == Some(Role::Owner)
            && let (Some(usage), Some(semantics)) = (facts.usage, facts.semantics)
            && usage.cache_read.saturating_add(usage.cache_write()) > 0
        {
            writer.str(Key::TollgateUsageInputSemantics, semantics.as_str());
        }
        if let Some(truncated) = facts.truncated {
            writer.bool(Key::TollgateTruncated, truncated);
        }
        if let Some(cut) = manner.cut_by {
            writer.str(Key::TollgateTruncationSource, cut.as_str());
        }
        if let Some(finish) = facts.finish {
            writer.str(Key::TollgateFinishReason, finish.as_str());
        }
        if manner.normalize.names == Fill::Add {
            names(writer, facts);
        }
        tokens(writer, facts, manner);
    }
    if let Some(fact) = &facts.error {
        error(writer, fact, manner.error_type);
    }
    for profile in manner.profiles {
        profiles::write(writer, *profile, facts);
    }
}

fn cost(writer: &mut Writer<'_>, facts: &LlmFacts<'_>, manner: &Manner<'_>, had_cost_amount: bool) {
    // A stage before this one has spoken: two halves of two answers would be none.
    if writer.has(Key::TollgateCostSource) && !writer.replaces() {
        return;
    }
    if let Some(skip) = facts.skip_reason {
        writer.str(Key::TollgateCostSkipReason, skip.as_str());
    }
    let Some(Cost { total, source }) = facts.cost else { return };
    writer.usd(Key::TollgateCostTotalUsd, total);
    match source {
        CostSource::Span { key } => {
            writer.str(Key::TollgateCostSource, "span");
            writer.str(Key::TollgateCostSourceKey, key);
        }
        CostSource::Computed { price_id, input, output, cache_read, cache_write, fees, flags } => {
            writer.usd(Key::TollgateCostInputUsd, input);
            writer.usd(Key::TollgateCostOutputUsd, output);
            writer.usd(Key::TollgateCostCacheReadUsd, cache_read);
            writer.usd(Key::TollgateCostCacheWriteUsd, cache_write);
            if fees != Usd::ZERO {
                writer.usd(Key::TollgateCostFeesUsd, fees);
            }
            if !flags.is_empty() {
                let names: Vec<&str> = flags.names().collect();
                writer.strs(Key::TollgateCostFlags, names.iter().copied());
            }
            writer.str(Key::TollgateCostSource, "computed");
            writer.str(Key::TollgateCostPriceId, price_id);
        }
    }
    if !had_cost_amount {
        writer.usd(Key::GenAiUsageCost, total);
    }
    if manner.openinference {
        writer.usd(Key::LlmCostTotal, total);
        if let CostSource::Computed { input, output, cache_read, cache_write, .. } = source {
            writer.usd(Key::LlmCostPrompt, input + cache_read + cache_write);
            writer.usd(Key::LlmCostCompletion, output);
        }
    }
}

/// Writes provider, operation and models in the newest spelling.
pub(crate) fn names(writer: &mut Writer<'_>, facts: &LlmFacts<'_>) {
    if !facts.kind.is_priced() {
        return;
    }
    if let Some(provider) = facts.provider {
        writer.str(Key::GenAiProviderName, provider);
    }
    let operation = match facts.kind {
        Kind::Llm => Some("chat"),
        Kind::Embedding => Some("embeddings"),
        // The conventions have no word for reranking, and several for media.
        _ => None,
    };
    if let Some(operation) = operation {
        writer.str(Key::GenAiOperationName, operation);
    }
    if let Some(model) = facts.request_model {
        writer.str(Key::GenAiRequestModel, model);
    }
    if let Some(model) = facts.response_model {
        writer.str(Key::GenAiResponseModel, model);
    }
}

fn tokens(writer: &mut Writer<'_>, facts: &LlmFacts<'_>, manner: &Manner<'_>) {
    let owner = facts.role == Some(Role::Owner);
    let (Some(usage), Some(semantics)) = (facts.usage, facts.semantics) else { return };
    // On a span that does not own its usage a count would be one more to add up.
    if manner.normalize.tokens == Tokens::Off || manner.other_counts || !owner {
        return;
    }
    // Beside an input count that leaves the cache out, the cache's share in the newest spelling would be taken for a part of it.
    let inclusive = !writer.has(Key::GenAiUsageInputTokens) || matches!(semantics, Semantics::Inclusive | Semantics::None);
    writer.int(Key::GenAiUsageInputTokens, usage.input_total());
    writer.int(Key::GenAiUsageOutputTokens, usage.output);
    if inclusive && usage.cache_read > 0 {
        writer.int(Key::GenAiUsageCacheReadInputTokens, usage.cache_read);
    }
    if inclusive && usage.cache_write() > 0 && !writer.has(Key::GenAiUsageCacheCreationInputTokens) {
        writer.int(Key::GenAiUsageCacheWriteInputTokens, usage.cache_write());
    }
    if let Some(reasoning) = usage.reasoning.filter(|n| *n > 0) {
        writer.int(Key::GenAiUsageReasoningOutputTokens, reasoning);
    }
}

/// The class in the words of the facts that the stages behind this one are given.
pub(crate) const fn class(class: Class) -> crate::enrich::facts::ErrorClass {
    use crate::enrich::facts::ErrorClass;
    match class {
        Class::Transient => ErrorClass::Transient,
        Class::Permanent => ErrorClass::Permanent,
        Class::Unknown => ErrorClass::Unknown,
    }
}
