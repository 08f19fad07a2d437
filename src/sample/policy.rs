//! One policy as the config spells it, in either of two ways.
//!
//! Natively a policy has a `condition` and a `sample`. The Collector names one `type` and a block of the same name; those policies
//! are accepted as they are, so that a config can be brought along.

use crate::sample::conditions::Condition;
use crate::sample::samplers::{Keep, Probabilistic, Sample};
use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, Visitor};
use std::fmt;
use std::sync::LazyLock;

/// A named rule: which traces, and what happens to them.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Its name, as it stands on spans and in metrics.
    pub name: String,
    pub(super) form: Form,
}

/// How a policy is spelt.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Form {
    /// `condition` and `sample`.
    Native(When, Sample),
    /// A condition that keeps what it matches.
    Condition(Condition),
    /// `probabilistic`, `rate_limiting`, `bytes_limiting`.
    Sampler(Sample),
    /// All of the parts, of which one may sample.
    And(Vec<Policy>),
    /// Not the part.
    Not(Box<Policy>),
    /// Drops what matches all of the parts.
    Drop(Vec<Policy>),
    /// Several policies that share a budget.
    Composite(Composite),
}

/// A budget of spans and how it is divided.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Composite {
    pub(super) max_total_spans_per_second: f64,
    /// The names of those that are asked, in this order; empty: all, as they stand.
    #[serde(default)]
    pub(super) policy_order: Vec<String>,
    pub(super) composite_sub_policy: Vec<Policy>,
    #[serde(default)]
    pub(super) rate_allocation: Vec<Allocation>,
}

/// The part of the budget that one of them has.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Allocation {
    pub(super) policy: String,
    pub(super) percent: f64,
}

/// `{ scope, all, none }`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct When {
    pub(super) scope: Scope,
    pub(super) all: Vec<Condition>,
    pub(super) none: Vec<Condition>,
}

/// Which spans may meet the conditions of one policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Scope {
    /// Each another one.
    #[default]
    AnySpan,
    /// One span all of them.
    SameSpan,
    /// The root all of them.
    Root,
    /// None: only the trace as a whole is asked.
    Trace,
}

impl Policy {
    /// What applies where no policies are configured.
    pub fn baseline() -> Policy {
        Policy { name: "baseline".into(), form: Form::Sampler(Sample::Probabilistic(Probabilistic::new(10.0))) }
    }
}

/// What stands in a policy, in whatever order.
#[derive(Default)]
struct Parts {
    name: Option<String>,
    kind: Option<String>,
    condition: Option<When>,
    sample: Option<Sample>,
    blocks: Vec<(String, Form)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AndBlock {
    and_sub_policy: Vec<Policy>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NotBlock {
    not_sub_policy: Policy,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DropBlock {
    drop_sub_policy: Vec<Policy>,
}

impl Parts {
    fn sampler(&mut self, key: String, sample: Sample) {
        self.blocks.push((key, Form::Sampler(sample)));
    }

    /// The words of an error name no policy: its place tells which, and where a part was left out as wrong itself, this is only a
    /// consequence.
    fn finish<E: de::Error>(mut self) -> Result<Policy, E> {
        let name = self.name.ok_or_else(|| E::missing_field("name"))?;
        let Some(kind) = self.kind else {
            if let Some((block, _)) = self.blocks.first() {
                return Err(E::custom(format_args!("needs a type beside its block {block}")));
            }
            let sample = self.sample.ok_or_else(|| E::custom("needs a type, or a sample"))?;
            return Ok(Policy { name, form: Form::Native(self.condition.unwrap_or_default(), sample) });
        };
        if self.condition.is_some() || self.sample.is_some() {
            return Err(E::custom("has a type, and condition or sample as well; use one spelling"));
        }
        let block = self.blocks.pop();
        if let Some((other, _)) = block.iter().chain(&self.blocks).find(|(block, _)| *block != kind) {
            return Err(E::custom(format_args!("is of type {kind}, so a block {other} has no effect")));
        }
        let form = match block {
            Some((_, form)) => form,
            None => Form::Condition(
                Condition::bare(&kind).ok_or_else(|| E::custom(format_args!("needs a block {kind}, as its type is {kind}")))?,
            ),
        };
        Ok(Policy { name, form })
    }
}

/// What `type` may say.
static TYPES: LazyLock<Vec<&str>> =
    LazyLock::new(|| [Condition::NAMES, &["probabilistic", "rate_limiting", "bytes_limiting", "and", "not", "drop", "composite"]].concat());

/// The keys of a policy.
static KEYS: LazyLock<Vec<&str>> = LazyLock::new(|| [&["name", "condition", "sample", "type"], TYPES.as_slice()].concat());

/// The value of `type`, refused where it stands if there is no such type.
struct TypeName(String);

impl<'de> Deserialize<'de> for TypeName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<TypeName, D::Error> {
        let name = String::deserialize(deserializer)?;
        if TYPES.contains(&name.as_str()) { Ok(TypeName(name)) } else { Err(de::Error::unknown_variant(&name, &TYPES)) }
    }
}

impl<'de> Deserialize<'de> for Policy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Policy, D::Error> {
        struct Map;
        impl<'de> Visitor<'de> for Map {
            type Value = Policy;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a policy: { name, condition, sample } or { name, type, … }")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Policy, A::Error> {
                let mut parts = Parts::default();
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "name" => parts.name = Some(map.next_value()?),
                        "type" => parts.kind = Some(map.next_value::<TypeName>()?.0),
                        "condition" => parts.condition = Some(map.next_value()?),
                        "sample" => parts.sample = Some(map.next_value()?),
                        "probabilistic" => parts.sampler(key, Sample::Probabilistic(map.next_value()?)),
                        "rate_limiting" => parts.sampler(key, Sample::RateLimiting(map.next_value()?)),
                        "bytes_limiting" => parts.sampler(key, Sample::BytesLimiting(map.next_value()?)),
                        "composite" => parts.blocks.push((key, Form::Composite(map.next_value()?))),
                        "and" => parts.blocks.push((key, Form::And(map.next_value::<AndBlock>()?.and_sub_policy))),
                        "not" => parts.blocks.push((key, Form::Not(Box::new(map.next_value::<NotBlock>()?.not_sub_policy)))),
                        "drop" => parts.blocks.push((key, Form::Drop(map.next_value::<DropBlock>()?.drop_sub_policy))),
                        name => match Condition::block(name, &mut map)? {
                            Some(condition) => parts.blocks.push((key, Form::Condition(condition))),
                            None => {
                                map.next_value::<IgnoredAny>()?;
                                return Err(de::Error::unknown_field(&key, &KEYS));
                            }
                        },
                    }
                }
                parts.finish()
            }
        }
        deserializer.deserialize_map(Map)
    }
}

impl Form {
    /// The sampler of a policy that is not made of others.
    pub(super) fn sampler(&self) -> Option<Sample> {
        match self {
            Form::Native(_, sample) => Some(sample.clone()),
            Form::Sampler(sample) => Some(sample.clone()),
            Form::Condition(_) => Some(Sample::Keep(Keep {})),
            Form::And(_) | Form::Not(_) | Form::Drop(_) | Form::Composite(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Policy, String> {
        serde_yaml::from_str(text).map_err(|e| e.to_string())
    }

    #[test]
    fn both_spellings_of_a_condition_read_alike() {
        let block = read("{ name: a, type: string_attribute, string_attribute: { key: k, values: [v] } }").unwrap();
        let native =
            read("{ name: a, condition: { all: [{ type: string_attribute, key: k, values: [v] }] }, sample: { type: keep } }").unwrap();
        let (Form::Condition(one), Form::Native(when, Sample::Keep(_))) = (&block.form, &native.form) else { panic!("other forms") };
        assert_eq!(when, &When { all: vec![one.clone()], ..When::default() });
    }

    #[test]
    fn the_block_may_stand_before_the_type() {
        let policy = read("{ probabilistic: { sampling_percentage: 10 }, type: probabilistic, name: baseline }").unwrap();
        assert_eq!(policy, Policy::baseline());
    }

    #[test]
    fn a_type_without_fields_needs_no_block() {
        assert!(matches!(read("{ name: a, type: always_sample }").unwrap().form, Form::Condition(Condition::AlwaysSample(_))));
        assert!(read("{ name: a, type: latency }").unwrap_err().contains("needs a block latency"));
    }

    #[test]
    fn and_not_and_drop_nest() {
        let text = "
name: a
type: and
and:
  and_sub_policy:
    - { name: x, type: latency, latency: { threshold_ms: 5 } }
    - { name: y, type: not, not: { not_sub_policy: { name: z, type: truncated } } }
    - { name: s, type: probabilistic, probabilistic: { sampling_percentage: 5 } }
";
        let Form::And(parts) = read(text).unwrap().form else { panic!("not and") };
        assert!(matches!(parts[1].form, Form::Not(_)));
        let drop = read("{ name: d, type: drop, drop: { drop_sub_policy: [{ name: x, type: truncated }] } }").unwrap();
        assert!(matches!(drop.form, Form::Drop(_)));
    }

    #[test]
    fn contradictory_spellings_are_refused() {
        for (text, part) in [
            ("{ name: a }", "needs a type, or a sample"),
            ("{ type: always_sample }", "name"),
            ("{ name: a, type: truncated, sample: { type: keep } }", "one spelling"),
            ("{ name: a, latency: { threshold_ms: 1 } }", "needs a type"),
            ("{ name: a, type: truncated, latency: { threshold_ms: 1 } }", "no effect"),
            ("{ name: a, type: rate_limiting }", "needs a block rate_limiting"),
            ("{ name: a, type: rate_limited }", "unknown variant `rate_limited`"),
            ("{ name: a, type: latency, latency: { threshold: 1 } }", "threshold"),
            ("{ name: a, kind: latency }", "unknown field `kind`"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
