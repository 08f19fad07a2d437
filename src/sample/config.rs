//! The section `processors.tail_sampling` of the config file.
//!
//! Spellings follow the Collector's tail sampling where it has the option, so its examples can be pasted.

use crate::sample::conditions::Condition;
use crate::sample::policy::Policy;
use crate::units::{ByteSize, duration};
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor, value::MapAccessDeserializer};
use std::fmt;
use std::time::Duration;

/// Which traces stay, and how long to wait before that is decided.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Off: everything is kept, at once. Default on.
    pub enabled: bool,
    /// How long a trace waits for its spans, from the first one. Default 30 s. With `0s` each request is decided by itself.
    #[serde(with = "duration")]
    pub decision_wait: Duration,
    /// How long a trace whose spans all seem to be here waits for more. Default 1 s.
    #[serde(with = "duration")]
    pub complete_delay: Duration,
    /// How long a trace waits once its root is here. Default 5 s.
    #[serde(with = "duration")]
    pub decision_wait_after_root_received: Duration,
    /// A trace of so many spans is decided at once. Default 10 000.
    pub span_limit: u64,
    /// A trace of so many encoded bytes is decided at once; a number or a text such as `16MiB`, the default.
    #[serde(deserialize_with = "size")]
    pub maximum_trace_size_bytes: u64,
    /// Of a trace that streams, no more than so many encoded bytes are forwarded, but for errors and truncated answers; 0, the
    /// default, is no limit.
    #[serde(deserialize_with = "size")]
    pub maximum_forwarded_trace_bytes: u64,
    /// So many traces are held at most; one more, and the oldest is decided. Default 100 000.
    pub num_traces: u64,
    /// Traces that a budget decides about are decided together, once in this time. Default 200 ms.
    #[serde(with = "duration")]
    pub decision_interval: Duration,
    /// Longer waits for traces that are still growing.
    pub extend_while_active: ExtendWhileActive,
    /// Traces no policy can drop. Default `[error, truncated]`.
    pub always_keep: Vec<AlwaysKeep>,
    /// The policies. Default: 10 % of the traces, under the name `baseline`.
    pub policies: Vec<Policy>,
    /// What decides where several policies match. Default `any_match`.
    pub evaluation: Evaluation,
    /// What happens to a trace that no policy matches: `drop`, the default, or `{ sampling_percentage: N }`.
    pub default: Fallback,
    /// How long dropped traces can still be brought back.
    pub drop_hold: DropHold,
    /// What happens to new traces while memory is all but full; by default they are held like others.
    pub overload: Option<Overload>,
    /// When the spans of a trace leave that is certain to be kept. Default `early`.
    pub release: Release,
    /// What happens to an error that arrives when the rest of its trace is gone. Default `partial`.
    pub late_keep: LateKeep,
    /// A span that meets this condition counts as the root of its trace, for traces whose root never comes here. Default none.
    pub root_condition: Option<Condition>,
    /// Traces that share the value of this attribute share one fate. Default none.
    pub group_by: Option<String>,
    /// Whether the randomness is a hash of the trace id, for senders whose ids are not random. Default off.
    pub hash_randomness: bool,
    /// What goes into these hashes; the same on all replicas. Default empty.
    pub hash_seed: String,
    /// Whether decisions are carried out, or only written down. Default `enforce`.
    pub mode: Carry,
    /// Policies that are asked as well and change nothing. Default none.
    pub shadow_policies: Vec<Policy>,
    /// What is logged of dropped traces.
    pub explain: Explain,
    /// How many decisions are remembered, and how long.
    pub decision_cache: DecisionCache,
    /// How probabilities are passed on.
    pub tracestate: Tracestate,
    /// Which spans of a trace say why it was kept. Default `root`.
    pub record: Record,
    /// Log records.
    pub logs: Logs,
    /// The Collector's; accepted, because nothing is set aside for traces that are not there.
    #[serde(rename = "expected_new_traces_per_sec")]
    pub _expected_new_traces_per_sec: u64,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            enabled: true,
            decision_wait: Duration::from_secs(30),
            complete_delay: Duration::from_secs(1),
            decision_wait_after_root_received: Duration::from_secs(5),
            span_limit: 10_000,
            maximum_trace_size_bytes: 16 << 20,
            maximum_forwarded_trace_bytes: 0,
            num_traces: 100_000,
            decision_interval: Duration::from_millis(200),
            extend_while_active: ExtendWhileActive::default(),
            always_keep: vec![AlwaysKeep::new(KeepClass::Error), AlwaysKeep::new(KeepClass::Truncated)],
            policies: vec![Policy::baseline()],
            evaluation: Evaluation::AnyMatch,
            default: Fallback::Drop,
            drop_hold: DropHold::default(),
            overload: None,
            release: Release::Early,
            late_keep: LateKeep::Partial,
            root_condition: None,
            group_by: None,
            hash_randomness: false,
            hash_seed: String::new(),
            mode: Carry::Enforce,
            shadow_policies: Vec::new(),
            explain: Explain::default(),
            decision_cache: DecisionCache::default(),
            tracestate: Tracestate::default(),
            record: Record::Root,
            logs: Logs::default(),
            _expected_new_traces_per_sec: 0,
        }
    }
}

/// Whether decisions are carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Carry {
    /// They are.
    Enforce,
    /// Everything is forwarded, and says what would have become of it.
    Shadow,
}

/// What is logged of dropped traces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Explain {
    /// So many dropped traces a second get a line in the log, each with its policy and its facts. Default 0: none.
    pub dropped_per_second: u32,
}

/// When `decision_wait` is over, a trace without a root that got a span within `idle` waits on, until `idle` after its last
/// span, but never longer than `max` in all. An agent runs for minutes and its spans arrive only as they end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExtendWhileActive {
    /// Default 60 s; `0s` turns the extension off.
    #[serde(with = "duration")]
    pub idle: Duration,
    /// Default 15 min.
    #[serde(with = "duration")]
    pub max: Duration,
}

impl Default for ExtendWhileActive {
    fn default() -> ExtendWhileActive {
        ExtendWhileActive { idle: Duration::from_secs(60), max: Duration::from_secs(15 * 60) }
    }
}

/// A class of traces that no policy can drop: `error`, or `{ class: error, except: [cancelled] }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlwaysKeep {
    /// The class.
    pub class: KeepClass,
    /// What does not belong to it after all.
    pub except: Vec<Except>,
    /// Past so many spans a second its traces are decided like all others. Default: no limit.
    pub limit_spans_per_second: Option<u64>,
}

impl AlwaysKeep {
    /// A class without exceptions.
    pub fn new(class: KeepClass) -> AlwaysKeep {
        AlwaysKeep { class, except: Vec::new(), limit_spans_per_second: None }
    }
}

/// What makes a trace worth keeping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeepClass {
    /// A span failed.
    Error,
    /// A model answer was cut off by a token limit.
    Truncated,
}

impl KeepClass {
    /// All of them.
    pub const ALL: [KeepClass; 2] = [KeepClass::Error, KeepClass::Truncated];

    /// As it stands in the config and in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            KeepClass::Error => "error",
            KeepClass::Truncated => "truncated",
        }
    }
}

/// Failures that need not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Except {
    /// The caller cancelled the call.
    Cancelled,
}

/// How several matching policies make one decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Evaluation {
    /// The most permissive of them decides.
    AnyMatch,
    /// The first of them decides.
    FirstMatch,
}

/// What happens to a trace that no policy matches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fallback {
    /// It is dropped.
    Drop,
    /// This percentage is kept.
    Percentage(f64),
}

/// Bodies of dropped traces stay for a while: most late errors are late by less than a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DropHold {
    /// How long. Default 30 s; `0s` turns it off.
    #[serde(with = "duration")]
    pub window: Duration,
    /// How much, in MiB; the oldest go first. Default 128; 0 turns it off.
    pub limit_mib: u64,
}

impl Default for DropHold {
    fn default() -> DropHold {
        DropHold { window: Duration::from_secs(30), limit_mib: 128 }
    }
}

/// At the last level of memory pressure the spans of new traces are not held but sampled one by one.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overload {
    /// This percentage of the traces is kept; errors and truncated answers besides.
    pub sampling_percentage: f64,
}

/// When the spans of a trace leave that is certain to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Release {
    /// At once, and what follows as it comes.
    Early,
    /// Together, when its wait ends.
    AtDecision,
}

/// What happens to a keep-class span of a dropped trace whose body is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LateKeep {
    /// It is kept, and what follows it.
    Partial,
    /// A dropped trace stays dropped, so its body is not held either; a lost error is counted.
    Off,
}

/// How many decisions are remembered, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DecisionCache {
    /// Kept traces. Default 500 000, 40 bytes each.
    #[serde(alias = "sampled_cache_size")]
    pub kept: u64,
    /// Dropped traces. Default 2 000 000, 40 bytes each.
    #[serde(alias = "non_sampled_cache_size")]
    pub dropped: u64,
    /// Default 15 min, at most 7 days. A span that comes later begins a new trace.
    #[serde(with = "duration")]
    pub ttl: Duration,
}

impl Default for DecisionCache {
    fn default() -> DecisionCache {
        DecisionCache { kept: 500_000, dropped: 2_000_000, ttl: Duration::from_secs(15 * 60) }
    }
}

/// How probabilities are passed on in the `ot` member of tracestate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tracestate {
    /// Default `equalizing`.
    pub mode: Mode,
    /// Hexadecimal digits of a threshold, 1 to 14. Default 4.
    pub precision: u32,
    /// What a span without a threshold means. Default `assume_unsampled`.
    pub missing_threshold: MissingThreshold,
}

impl Default for Tracestate {
    fn default() -> Tracestate {
        Tracestate { mode: Mode::Equalizing, precision: 4, missing_threshold: MissingThreshold::AssumeUnsampled }
    }
}

/// What a percentage is a percentage of, where a sender sampled before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Of what there was at first.
    Equalizing,
    /// Of what arrives here.
    Proportional,
    /// Of what there was at first, and tracestate is not written.
    Off,
}

/// What a span without a threshold means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MissingThreshold {
    /// Nobody sampled before.
    AssumeUnsampled,
    /// Nothing is known; a span that is kept for certain gets no threshold.
    Leave,
}

/// Which spans say why their trace was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// The root, or without one the earliest.
    Root,
    /// Every one.
    All,
    /// None.
    None,
}

/// Log records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Logs {
    /// Whether a record with a trace id shares the fate of its trace. Default on; off, all are kept.
    pub follow_trace: bool,
}

impl Default for Logs {
    fn default() -> Logs {
        Logs { follow_trace: true }
    }
}

fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    ByteSize::deserialize(deserializer).map(ByteSize::as_u64)
}

impl<'de> Deserialize<'de> for AlwaysKeep {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<AlwaysKeep, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Full {
            class: KeepClass,
            #[serde(default)]
            except: Vec<Except>,
            limit_spans_per_second: Option<u64>,
        }
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = AlwaysKeep;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("error, truncated or { class, except }")
            }

            fn visit_str<E: de::Error>(self, class: &str) -> Result<AlwaysKeep, E> {
                KeepClass::deserialize(de::value::StrDeserializer::new(class)).map(AlwaysKeep::new)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<AlwaysKeep, A::Error> {
                let full = Full::deserialize(MapAccessDeserializer::new(map))?;
                let Full { class, except, limit_spans_per_second } = full;
                Ok(AlwaysKeep { class, except, limit_spans_per_second })
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl<'de> Deserialize<'de> for Fallback {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Fallback, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Share {
            sampling_percentage: f64,
        }
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Fallback;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("drop or { sampling_percentage: N }")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Fallback, E> {
                if text == "drop" { Ok(Fallback::Drop) } else { Err(E::invalid_value(de::Unexpected::Str(text), &self)) }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Fallback, A::Error> {
                Share::deserialize(MapAccessDeserializer::new(map)).map(|share| Fallback::Percentage(share.sampling_percentage))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Config {
        serde_yaml::from_str(text).unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn an_empty_section_is_the_default() {
        assert_eq!(read("{}"), Config::default());
    }

    #[test]
    fn every_option_is_read_as_it_is_written() {
        let config = read(
            "
enabled: false
decision_wait: 10s
complete_delay: 500ms
decision_wait_after_root_received: 2s
span_limit: 5
maximum_trace_size_bytes: 1MiB
maximum_forwarded_trace_bytes: 1GiB
num_traces: 7
decision_interval: 1s
extend_while_active: { idle: 0s, max: 5m }
always_keep: [truncated, { class: error, except: [cancelled], limit_spans_per_second: 9 }]
policies: []
evaluation: first_match
default: { sampling_percentage: 0.5 }
drop_hold: { window: 1m, limit_mib: 3 }
overload: { sampling_percentage: 1 }
release: at_decision
late_keep: off
root_condition: { type: truncated }
group_by: gen_ai.conversation.id
hash_randomness: true
hash_seed: salt
mode: shadow
shadow_policies: [{ name: s, type: truncated }]
explain: { dropped_per_second: 5 }
expected_new_traces_per_sec: 10
decision_cache: { kept: 1, dropped: 2, ttl: 1h }
tracestate: { mode: off, precision: 6, missing_threshold: leave }
record: none
logs: { follow_trace: false }
",
        );
        let expected = Config {
            enabled: false,
            decision_wait: Duration::from_secs(10),
            complete_delay: Duration::from_millis(500),
            decision_wait_after_root_received: Duration::from_secs(2),
            span_limit: 5,
            maximum_trace_size_bytes: 1 << 20,
            maximum_forwarded_trace_bytes: 1 << 30,
            num_traces: 7,
            decision_interval: Duration::from_secs(1),
            extend_while_active: ExtendWhileActive { idle: Duration::ZERO, max: Duration::from_secs(300) },
            always_keep: vec![
                AlwaysKeep::new(KeepClass::Truncated),
                AlwaysKeep { class: KeepClass::Error, except: vec![Except::Cancelled], limit_spans_per_second: Some(9) },
            ],
            policies: Vec::new(),
            evaluation: Evaluation::FirstMatch,
            default: Fallback::Percentage(0.5),
            drop_hold: DropHold { window: Duration::from_secs(60), limit_mib: 3 },
            overload: Some(Overload { sampling_percentage: 1.0 }),
            release: Release::AtDecision,
            late_keep: LateKeep::Off,
            root_condition: Condition::bare("truncated"),
            group_by: Some("gen_ai.conversation.id".into()),
            hash_randomness: true,
            hash_seed: "salt".into(),
            mode: Carry::Shadow,
            shadow_policies: serde_yaml::from_str("[{ name: s, type: truncated }]").unwrap(),
            explain: Explain { dropped_per_second: 5 },
            decision_cache: DecisionCache { kept: 1, dropped: 2, ttl: Duration::from_secs(3600) },
            tracestate: Tracestate { mode: Mode::Off, precision: 6, missing_threshold: MissingThreshold::Leave },
            record: Record::None,
            logs: Logs { follow_trace: false },
            _expected_new_traces_per_sec: 10,
        };
        assert_eq!(config, expected);
        assert_eq!(
            read("{ maximum_trace_size_bytes: 16777216, default: drop, tracestate: { mode: proportional } }").default,
            Fallback::Drop
        );
    }

    #[test]
    fn what_does_not_exist_is_refused() {
        for text in [
            "decision_wai: 10s",
            "decision_wait: soon",
            "maximum_trace_size_bytes: -1",
            "always_keep: [errors]",
            "always_keep: [{ class: error, exept: [cancelled] }]",
            "default: keep",
            "late_keep: on",
            "logs: { follow: true }",
        ] {
            assert!(serde_yaml::from_str::<Config>(text).is_err(), "{text}");
        }
    }
}
