//! Attributes that single backends read.
//!
//! No two backends agree on a key for cost, and some take a wrong key for one more kind of token, so what only one of them
//! reads is written only where its profile is asked for.

use crate::enrich::call::{Cost, CostSource, LlmFacts};
use crate::enrich::config::Profile;
use crate::enrich::keys::Key;
use crate::enrich::roles::Role;
use crate::enrich::usage::Usage;
use crate::enrich::write::{Writer, names};
use crate::units::Usd;
use std::fmt::Write;

/// Writes what one backend wants to read.
pub(crate) fn write(writer: &mut Writer<'_>, profile: Profile, facts: &LlmFacts<'_>) {
    match profile {
        Profile::Langfuse => langfuse(writer, facts),
        Profile::Phoenix => phoenix(writer, facts),
        Profile::Mlflow => mlflow(writer, facts),
        Profile::Logfire => logfire(writer, facts),
        Profile::Langsmith => langsmith(writer, facts),
        Profile::Openlit | Profile::Honeycomb | Profile::Grafana => {}
        Profile::Datadog => names(writer, facts),
        Profile::Signoz => {
            if let (Some(usage), Some(Role::Owner)) = (&facts.usage, facts.role)
                && usage.cache_write() > 0
            {
                writer.int(Key::GenAiUsageCacheCreationInputTokens, usage.cache_write());
            }
        }
        Profile::FlatC => {
            if let Some(cost) = facts.cost {
                writer.usd(Key::LlmCostUsd, cost.total);
            }
            if let Some(truncated) = facts.truncated {
                writer.bool(Key::LlmTruncated, truncated);
            }
        }
        Profile::SemconvDraft => {
            if let Some(cost) = facts.cost {
                writer.usd(Key::GenAiUsageCostAmount, cost.total);
                writer.str(Key::GenAiUsageCostCurrency, "USD");
                writer.str(Key::GenAiUsageCostSource, "local");
            }
        }
    }
}

/// Members of a JSON object, all of them numbers.
#[derive(Default)]
struct Object(String);

impl Object {
    fn add(&mut self, name: &str, value: impl std::fmt::Display) {
        let comma = if self.0.is_empty() { "{" } else { "," };
        // Writing to a string cannot fail.
        let _ = write!(self.0, "{comma}\"{name}\":{value}");
    }

    fn text(mut self) -> Option<String> {
        (!self.0.is_empty()).then(|| {
            self.0.push('}');
            self.0
        })
    }
}

/// What the input with its cached parts cost, and what the output cost; `None` for a cost that came as one sum.
fn halves(cost: &Cost<'_>) -> Option<(Usd, Usd)> {
    match cost.source {
        CostSource::Computed { input, output, cache_read, cache_write, .. } => Some((input + cache_read + cache_write, output)),
        CostSource::Span { .. } => None,
    }
}

fn langfuse(writer: &mut Writer<'_>, facts: &LlmFacts<'_>) {
    if let Some(cost) = &facts.cost {
        let mut details = Object::default();
        if let CostSource::Computed { input, output, cache_read, cache_write, .. } = cost.source {
            details.add("input", input);
            details.add("output", output);
            if cache_read != Usd::ZERO {
                details.add("input_cached_tokens", cache_read);
            }
            if cache_write != Usd::ZERO {
                details.add("input_cache_creation", cache_write);
            }
        }
        details.add("total", cost.total);
        text(writer, Key::LangfuseObservationCostDetails, details);
    } else if facts.role == Some(Role::Duplicate) {
        writer.str(Key::LangfuseObservationCostDetails, "{\"total\":0}");
    }
    if let (Some(usage), Some(Role::Owner)) = (&facts.usage, facts.role) {
        text(writer, Key::LangfuseObservationUsageDetails, buckets(usage));
    }
    if let Some(error) = &facts.error {
        writer.str(Key::LangfuseObservationLevel, "ERROR");
        writer.str(Key::LangfuseObservationStatusMessage, &format!("{}/{}", error.class.as_str(), error.reason.as_str()));
        writer.str(Key::LangfuseObservationMetadataErrorClass, error.class.as_str());
        writer.str(Key::LangfuseObservationMetadataErrorReason, error.reason.as_str());
    }
    if facts.truncated == Some(true) {
        writer.str(Key::LangfuseObservationLevel, "WARNING");
        writer.str(Key::LangfuseObservationMetadataTruncated, "true");
    }
}

/// Disjoint parts: Langfuse adds up whatever it is given.
fn buckets(usage: &Usage) -> Object {
    let reasoning = usage.reasoning.unwrap_or(0).min(usage.output);
    let mut details = Object::default();
    details.add("input", usage.input_uncached);
    details.add("output", usage.output - reasoning);
    for (name, count) in [
        ("input_cached_tokens", usage.cache_read),
        ("input_cache_creation_5m", usage.cache_write_5m),
        ("input_cache_creation_1h", usage.cache_write_1h),
        ("output_reasoning_tokens", reasoning),
    ] {
        if count > 0 {
            details.add(name, count);
        }
    }
    details.add("total", usage.total());
    details
}

fn phoenix(writer: &mut Writer<'_>, facts: &LlmFacts<'_>) {
    let (Some(usage), Some(Role::Owner)) = (&facts.usage, facts.role) else { return };
    // Its own counts, if there are any, keep their meaning: none is added beside them.
    if writer.has(Key::LlmTokenCountPrompt) || writer.has(Key::LlmTokenCountCompletion) {
        return;
    }
    writer.int(Key::LlmTokenCountPrompt, usage.input_total());
    writer.int(Key::LlmTokenCountCompletion, usage.output);
    writer.int(Key::LlmTokenCountTotal, usage.total());
    if usage.cache_read > 0 {
        writer.int(Key::LlmTokenCountPromptDetailsCacheRead, usage.cache_read);
    }
    if usage.cache_write() > 0 {
        writer.int(Key::LlmTokenCountPromptDetailsCacheWrite, usage.cache_write());
    }
    if let Some(model) = facts.model() {
        writer.str(Key::LlmModelName, model);
    }
}

fn mlflow(writer: &mut Writer<'_>, facts: &LlmFacts<'_>) {
    if let Some(cost) = &facts.cost {
        let mut object = Object::default();
        if let Some((input, output)) = halves(cost) {
            object.add("input_cost", input);
            object.add("output_cost", output);
        }
        object.add("total_cost", cost.total);
        text(writer, Key::MlflowLlmCost, object);
    }
    if let (Some(usage), Some(Role::Owner)) = (&facts.usage, facts.role) {
        let mut object = Object::default();
        object.add("input_tokens", usage.input_total());
        object.add("output_tokens", usage.output);
        object.add("total_tokens", usage.total());
        if usage.cache_read > 0 {
            object.add("cache_read_input_tokens", usage.cache_read);
        }
        if usage.cache_write() > 0 {
            object.add("cache_creation_input_tokens", usage.cache_write());
        }
        text(writer, Key::MlflowChatTokenUsage, object);
    }
}

fn logfire(writer: &mut Writer<'_>, facts: &LlmFacts<'_>) {
    if let Some(cost) = facts.cost {
        writer.usd(Key::OperationCost, cost.total);
    }
    if let Some(provider) = facts.provider {
        writer.str(Key::GenAiSystem, provider);
    }
}

fn langsmith(writer: &mut Writer<'_>, facts: &LlmFacts<'_>) {
    if let (Some(usage), Some(Role::Owner)) = (&facts.usage, facts.role) {
        let mut object = Object::default();
        object.add("input_tokens", usage.input_total());
        object.add("output_tokens", usage.output);
        object.add("total_tokens", usage.total());
        if let Some(cost) = &facts.cost {
            if let Some((input, output)) = halves(cost) {
                object.add("input_cost", input);
                object.add("output_cost", output);
            }
            object.add("total_cost", cost.total);
        }
        text(writer, Key::LangsmithUsageMetadata, object);
    }
    if facts.truncated == Some(true) {
        writer.str(Key::LangsmithMetadataTruncated, "true");
    }
    if let Some(error) = &facts.error {
        writer.str(Key::LangsmithMetadataErrorClass, error.class.as_str());
        writer.str(Key::LangsmithMetadataErrorReason, error.reason.as_str());
    }
}

fn text(writer: &mut Writer<'_>, key: Key, object: Object) {
    if let Some(text) = object.text() {
        writer.str(key, &text);
    }
}
