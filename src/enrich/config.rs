//! `processors.enrich`: what is read from spans and written on them.

use crate::enrich::errors::Rules;
use crate::enrich::price::PricesConfig;
use serde::Deserialize;

/// The section `processors.enrich`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EnrichConfig {
    /// Whether spans are enriched. Default true; with false they pass byte for byte, without cost, and only the span status
    /// tells errors.
    pub enabled: bool,
    /// Price tables. Default: the bundled one.
    pub prices: PricesConfig,
    /// Names and counts added in the spelling of the newest conventions. Default: both added.
    pub normalize: Normalize,
    /// Backends whose own attributes are written too. Default none.
    pub profiles: Profiles,
    /// Characters of a text on a span of a model call, an agent or a tool, and on its events, that leave; what is longer is cut and
    /// ends in `… [truncated]`. Default 0: no limit. Facts, metrics and redaction see the whole text.
    pub max_content_chars: usize,
    /// Rules for errors that the tables misread. Default none.
    pub errors: Rules,
    /// Prices the sum on a container whose calls nobody sees. Default false, because a sum that is priced here and seen
    /// elsewhere counts twice.
    pub price_orphan_aggregates: bool,
}

impl Default for EnrichConfig {
    fn default() -> EnrichConfig {
        EnrichConfig {
            enabled: true,
            prices: PricesConfig::default(),
            normalize: Normalize::default(),
            profiles: Profiles::default(),
            max_content_chars: 0,
            errors: Rules::default(),
            price_orphan_aggregates: false,
        }
    }
}

/// What is written in the spelling of the newest conventions. What a span carries is never changed.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Normalize {
    /// `add` fills absent `gen_ai.usage.*` counts on the spans that own their usage; `off` leaves them absent.
    pub tokens: Fill,
    /// `add` fills absent provider, operation and model names; `off` leaves them absent.
    pub names: Fill,
}

/// Whether absent attributes are filled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fill {
    /// Fill what is absent.
    #[default]
    Add,
    /// Add nothing. YAML reads a bare `off` as false, which is understood.
    #[serde(alias = "false")]
    Off,
}

/// Backends whose attributes can stand on one span without contradiction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<Profile>")]
pub struct Profiles(Vec<Profile>);

impl Profiles {
    /// The backends.
    pub fn list(&self) -> &[Profile] {
        &self.0
    }
}

/// Why backends cannot be served at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadProfiles {
    /// Langfuse counts every number under `gen_ai.usage.` as tokens, but for one key.
    #[error("processors.enrich.profiles: langfuse would take the amount of semconv_draft for tokens; remove one of them")]
    AmountAsTokens,
}

impl TryFrom<Vec<Profile>> for Profiles {
    type Error = BadProfiles;

    fn try_from(profiles: Vec<Profile>) -> Result<Profiles, BadProfiles> {
        if profiles.contains(&Profile::Langfuse) && profiles.contains(&Profile::SemconvDraft) {
            return Err(BadProfiles::AmountAsTokens);
        }
        Ok(Profiles(profiles))
    }
}

/// A backend with attributes of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// Langfuse: cost, usage and level of an observation.
    Langfuse,
    /// Phoenix: `llm.token_count.*`, inclusive.
    Phoenix,
    /// MLflow: `mlflow.llm.cost`, `mlflow.chat.tokenUsage`.
    Mlflow,
    /// Logfire: `operation.cost`.
    Logfire,
    /// LangSmith: `langsmith.usage_metadata` with costs.
    Langsmith,
    /// OpenLIT reads what is always written.
    Openlit,
    /// Datadog: names in the newest spelling, whatever `normalize` says.
    Datadog,
    /// Honeycomb reads what is always written.
    Honeycomb,
    /// Grafana reads what is always written.
    Grafana,
    /// SigNoz: cache writes under their older name.
    Signoz,
    /// Hand-written keys `llm.cost_usd` and `llm.truncated`.
    FlatC,
    /// The cost keys that the semantic conventions discuss.
    SemconvDraft,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_optional_and_nothing_is_unknown() {
        let read = serde_yaml::from_str::<EnrichConfig>;
        let config = read("{}").unwrap();
        assert!(config.enabled && config.normalize.tokens == Fill::Add && config.profiles.list().is_empty());
        let config = read("{ enabled: false, normalize: { tokens: off, names: add }, profiles: [langfuse] }").unwrap();
        assert!(!config.enabled && config.normalize.tokens == Fill::Off && config.profiles.list() == [Profile::Langfuse]);
        assert!(read("{ profiels: [] }").is_err());
        assert!(read("{ profiles: [lanfuse] }").is_err());
        assert!(read("{ normalize: { tokens: maybe } }").is_err());
        assert!(read("{ profiles: [langfuse, semconv_draft] }").is_err());
    }
}
