//! Which token counts of a span belong together.
//!
//! A span often carries the same usage under three names with three meanings. Mixing them counts tokens twice, so all
//! counts come from one family of keys, the first that has any; only the lifetimes of cache writes and members that the
//! family lacks are completed from the provider's own usage object.

mod complete;
mod dialect;
mod names;

use crate::enrich::json;
use crate::enrich::keys::Key;
use crate::enrich::number::MAX_COUNT;
use crate::enrich::scan::Attributes;
use crate::enrich::sets::{Keys, List};
use crate::enrich::source::{Library, Source};
use crate::enrich::usage::{Dialect, RawUsage};
use complete::complete;
use dialect::dialect;
use names::{BARE, FLAT_B, GEN_AI, LANGFUSE, LANGSMITH, LLM_USAGE, MLFLOW, Names, OPENINFERENCE, Paths, VERCEL};

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

impl Family {
    /// The keys of which at least one stands on a span that counts with this family.
    fn keys(self) -> &'static Keys {
        match self {
            Family::Langfuse => &names::LANGFUSE_KEYS,
            Family::Vercel => &names::VERCEL_KEYS,
            Family::Mlflow => &names::MLFLOW_KEYS,
            Family::Langsmith => &names::LANGSMITH_KEYS,
            Family::GenAi => &names::GEN_AI_KEYS,
            Family::OpenInference => &names::OPENINFERENCE_KEYS,
            Family::LlmUsage => &names::LLM_USAGE_KEYS,
            Family::FlatB => &names::FLAT_B_KEYS,
            Family::Bare => &names::BARE_KEYS,
        }
    }
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

/// The attributes that count input, output and both, of every vocabulary that counts in attributes.
pub(crate) fn flat() -> [[&'static [Key]; 3]; 6] {
    [&VERCEL, &GEN_AI, &OPENINFERENCE, &LLM_USAGE, &FLAT_B, &BARE].map(|names| [names.input.keys, names.output.keys, names.total.keys])
}

/// The attributes that count writes to a cache in the conventions, in every spelling they had.
pub(crate) fn cache_write_names() -> &'static Keys {
    &GEN_AI.cache_write.set
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
    pub(crate) fn of(attributes: &Attributes<'_, '_>) -> Shape {
        let mut shape = Shape::default();
        for names in [&VERCEL, &GEN_AI, &OPENINFERENCE, &LLM_USAGE, &FLAT_B, &BARE] {
            shape.input |= attributes.has_any(&names.input.set);
            // Embeddings often come with a zero here.
            shape.output |= attributes.present(&names.output).any(|key| attributes.number(key).is_some_and(|n| n > 0.0));
            shape.any |= attributes.has_any(&names.output.set) || attributes.has_any(&names.total.set);
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
pub(crate) fn read(attributes: &Attributes<'_, '_>, source: &Source<'_>, provider: Option<&str>) -> Option<Tokens> {
    let own = own_family(attributes, source);
    let order = [Family::Langfuse].into_iter().chain(own).chain(ORDER);
    let mut total = None;
    let mut refused = None;
    for family in order.filter(|family| attributes.has_any(family.keys())) {
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
fn impossible(attributes: &Attributes<'_, '_>, family: Family, raw: &RawUsage) -> bool {
    if raw.input.is_some() && raw.output.is_some() {
        return false;
    }
    let odd = |number: Option<f64>| number.is_some_and(|n| n < 0.0 || n > MAX_COUNT as f64);
    let flat = |names: &Names<List>| {
        let odd = |list: &List| attributes.present(list).any(|key| odd(attributes.number(key)));
        raw.input.is_none() && odd(&names.input) || raw.output.is_none() && odd(&names.output)
    };
    let text = |key: Key, names: &Names<Paths>| {
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
fn own_family(attributes: &Attributes<'_, '_>, source: &Source<'_>) -> Option<Family> {
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
fn counts(attributes: &Attributes<'_, '_>, family: Family) -> (RawUsage, bool) {
    let flat = |names: &'static Names<List>| (names.read(|list| attributes.first_count(list)), false);
    let text = |key: Key, names: &'static Names<Paths>| {
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

#[cfg(test)]
mod tests;
