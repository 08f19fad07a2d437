//! `processors.enrich`: what is read from spans and written on them.

use crate::enrich::errors::Rules;
use crate::enrich::price::PricesConfig;
use serde::de::{self, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;

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
    /// What becomes of a cost, a flag or a profile's attribute that a span carries already. Default: it stays.
    pub on_conflict: OnConflict,
    /// Metrics beyond Tollgate's own. Default none.
    pub metrics: MoreMetrics,
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
            on_conflict: OnConflict::default(),
            metrics: MoreMetrics::default(),
            max_content_chars: 0,
            errors: Rules::default(),
            price_orphan_aggregates: false,
        }
    }
}

impl EnrichConfig {
    /// What of a span gives way to what enrichment adds; `None` where nothing ever does, which is so unless the config asks for it.
    pub fn supersedes(&self) -> Option<Supersede> {
        let ours = self.on_conflict == OnConflict::Replace;
        let some = ours
            || self.normalize.tokens == Tokens::Rewrite
            || self.normalize.finish_reasons == FinishReasons::Canonical
            || self.profiles.list().contains(&Profile::Logfire)
            || self.profiles.demotes();
        (self.enabled && some).then_some(Supersede { ours })
    }
}

/// Attributes that give way: those whose keys are added anew and, with `ours`, all that an earlier stage wrote about the same things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Supersede {
    ours: bool,
}

impl Supersede {
    /// Whether an attribute goes although nothing of its key is added: half of an older answer would contradict the new one.
    pub fn drops(self, key: &[u8]) -> bool {
        let groups: [&[u8]; 4] = [b"cost.", b"usage.", b"error.", b"truncat"];
        let tail = key.strip_prefix(b"tollgate.").filter(|_| self.ours);
        tail.is_some_and(|tail| tail == b"finish_reason" || groups.iter().any(|group| tail.starts_with(group)))
    }
}

/// What becomes of an attribute that enrichment writes and a span carries already. Names and counts of the sender are not meant:
/// those follow `normalize`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnConflict {
    /// It stays, and ours is not written.
    #[default]
    Keep,
    /// Ours takes its place. A cost that a sender put on the span still counts as the cost.
    Replace,
}

/// Metrics under names that are not Tollgate's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MoreMetrics {
    /// The metrics of the GenAI conventions, made from spans. Default `off`: most applications send them already, and two producers of one
    /// name double every sum.
    pub gen_ai: GenAiMetrics,
}

/// Which of the GenAI conventions' metrics are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GenAiMetrics {
    /// None. YAML reads a bare `off` as false, which is understood.
    #[default]
    #[serde(alias = "false")]
    Off,
    /// Those up to release 1.41: `gen_ai.client.token.usage`, `gen_ai.client.operation.duration`.
    Legacy,
    /// Those behind it: `gen_ai.client.inference.*`, `gen_ai.client.embeddings.*`.
    Current,
    /// All of them.
    Both,
}

/// What is written in the spelling of the newest conventions, and what of the sender's own is brought to one meaning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Normalize {
    /// `add` fills absent `gen_ai.usage.*` counts on the spans that own their usage; `rewrite` also changes counts that leave the cache or
    /// the reasoning out; `off` leaves everything as it is.
    pub tokens: Tokens,
    /// `add` fills absent provider, operation and model names; `off` leaves them absent.
    pub names: Fill,
    /// The name of cache writes that is added where one is present: `old` is `cache_creation`, `new` is `cache_write`. Default `none`.
    pub cache_write_name: CacheWriteName,
    /// `canonical` rewrites `gen_ai.response.finish_reasons` in six words. Default `keep`.
    pub finish_reasons: FinishReasons,
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

/// What is done about token counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tokens {
    /// Fill what is absent.
    #[default]
    Add,
    /// Fill, and change what stands to the whole input and the whole output.
    Rewrite,
    /// Add nothing. YAML reads a bare `off` as false, which is understood.
    #[serde(alias = "false")]
    Off,
}

/// Which name of cache writes is added beside the one that is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CacheWriteName {
    /// None.
    #[default]
    None,
    /// `gen_ai.usage.cache_creation.input_tokens`.
    Old,
    /// `gen_ai.usage.cache_write.input_tokens`.
    New,
}

/// In which words the finish reasons stand on a span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReasons {
    /// In the sender's.
    #[default]
    Keep,
    /// In `stop`, `length`, `tool_calls`, `content_filter`, `error`, `other`.
    Canonical,
}

/// Backends whose attributes can stand on one span without contradiction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<Entry>")]
pub struct Profiles {
    list: Vec<Profile>,
    demote: bool,
}

impl Profiles {
    /// The backends.
    pub fn list(&self) -> &[Profile] {
        &self.list
    }

    /// Whether Phoenix is kept from pricing the spans that repeat a call.
    pub fn demotes(&self) -> bool {
        self.demote
    }
}

/// One backend as written: its name, or its name with options.
struct Entry {
    profile: Profile,
    phoenix: Phoenix,
}

/// `{ phoenix: { demote: true } }`
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Phoenix {
    /// Spans that repeat a call become chains, because Phoenix prices whatever calls itself a model call.
    demote: bool,
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Entry, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Entry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a backend, or `phoenix` with its options")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Entry, E> {
                Ok(Entry { profile: Profile::deserialize(name.into_deserializer())?, phoenix: Phoenix::default() })
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entry, A::Error> {
                let Some(profile) = map.next_key::<Profile>()? else { return Err(de::Error::invalid_length(0, &self)) };
                if profile != Profile::Phoenix {
                    return Err(de::Error::custom("only phoenix has options; write the name alone"));
                }
                let entry = Entry { profile, phoenix: map.next_value()? };
                match map.next_key::<Profile>()? {
                    Some(_) => Err(de::Error::custom("one backend an entry; begin another with a dash")),
                    None => Ok(entry),
                }
            }
        }
        deserializer.deserialize_any(Reader)
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

    fn try_from(list: Vec<Profile>) -> Result<Profiles, BadProfiles> {
        if list.contains(&Profile::Langfuse) && list.contains(&Profile::SemconvDraft) {
            return Err(BadProfiles::AmountAsTokens);
        }
        Ok(Profiles { list, demote: false })
    }
}

impl TryFrom<Vec<Entry>> for Profiles {
    type Error = BadProfiles;

    fn try_from(entries: Vec<Entry>) -> Result<Profiles, BadProfiles> {
        let demote = entries.iter().any(|entry| entry.phoenix.demote);
        let list: Profiles = entries.into_iter().map(|entry| entry.profile).collect::<Vec<_>>().try_into()?;
        Ok(Profiles { demote, ..list })
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
    /// Logfire: `operation.cost`, and finish reasons in the words its column of truncated answers looks for.
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
        assert!(config.enabled && config.normalize == Normalize::default() && config.profiles.list().is_empty());
        assert_eq!(
            (config.normalize.tokens, config.on_conflict, config.metrics.gen_ai),
            (Tokens::Add, OnConflict::Keep, GenAiMetrics::Off)
        );
        let config = read("{ enabled: false, normalize: { tokens: off, names: add }, profiles: [langfuse] }").unwrap();
        assert!(!config.enabled && config.normalize.tokens == Tokens::Off && config.profiles.list() == [Profile::Langfuse]);
        let config = read(
            "{ on_conflict: replace, metrics: { gen_ai: both }, normalize: { tokens: rewrite, cache_write_name: old, finish_reasons: canonical } }",
        )
        .unwrap();
        assert_eq!((config.on_conflict, config.metrics.gen_ai), (OnConflict::Replace, GenAiMetrics::Both));
        assert_eq!(config.normalize.cache_write_name, CacheWriteName::Old);
        for wrong in [
            "{ profiels: [] }",
            "{ profiles: [lanfuse] }",
            "{ normalize: { tokens: maybe } }",
            "{ normalize: { names: rewrite } }",
            "{ profiles: [langfuse, semconv_draft] }",
            "{ on_conflict: overwrite }",
            "{ metrics: { gen_ai: all } }",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn phoenix_alone_has_options() {
        let read = |profiles: &str| serde_yaml::from_str::<EnrichConfig>(&format!("profiles: {profiles}")).map(|config| config.profiles);
        let profiles = read("[langfuse, { phoenix: { demote: true } }]").unwrap();
        assert_eq!((profiles.list(), profiles.demotes()), (&[Profile::Langfuse, Profile::Phoenix][..], true));
        assert!(!read("[phoenix]").unwrap().demotes());
        for wrong in
            ["[{ langfuse: { demote: true } }]", "[{ phoenix: { demotes: true } }]", "[{ phoenix: {}, mlflow: {} }]", "[{}]", "phoenix"]
        {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn nothing_gives_way_unless_the_config_asks_for_it() {
        let of = |yaml: &str| serde_yaml::from_str::<EnrichConfig>(yaml).unwrap().supersedes();
        assert_eq!(of("{ profiles: [langfuse, phoenix], normalize: { cache_write_name: new } }"), None);
        assert_eq!(of("{ on_conflict: replace, enabled: false }"), None);
        for asks in [
            "{ normalize: { tokens: rewrite } }",
            "{ normalize: { finish_reasons: canonical } }",
            "{ profiles: [logfire] }",
            "{ profiles: [{ phoenix: { demote: true } }] }",
        ] {
            assert!(of(asks).is_some_and(|supersede| !supersede.drops(b"tollgate.cost.total_usd")), "{asks}");
        }
        let replaces = of("{ on_conflict: replace }").unwrap();
        for key in
            ["tollgate.cost.input_usd", "tollgate.usage.role", "tollgate.truncated", "tollgate.truncation.source", "tollgate.finish_reason"]
        {
            assert!(replaces.drops(key.as_bytes()), "{key}");
        }
        for key in ["tollgate.sampling.policy", "gen_ai.usage.cost", "tollgate.finish_reasons", "my.tollgate.cost.total_usd"] {
            assert!(!replaces.drops(key.as_bytes()), "{key}");
        }
    }
}
