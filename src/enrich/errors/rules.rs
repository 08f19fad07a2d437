//! What the user knows better: `processors.enrich.errors`.
//!
//! A gateway of one's own answers 418 when its budget is spent, a proxy says "upstream sad". The tables cannot know, so
//! rules of the user are tested before them, in order; the first that holds decides.

use super::clues::Clues;
use super::{Class, ErrorFact, Evidence, Reason, Source, exceptions, message};
use crate::enrich::provider;
use regex::{Regex, RegexBuilder};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;

/// Largest compiled pattern of a rule. A pattern that needs more is a list and belongs into several rules.
const MAX_PATTERN: usize = 1 << 20;

/// The section `errors` of `processors.enrich`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// Tested in order before everything else. Default: none.
    rules: Vec<Rule>,
    /// The class of errors nothing is known about. Default: they have the class `unknown`.
    unknown_as: Option<KnownClass>,
}

/// `{ match: { provider: openai, http_status: [418, 5xx], message: '(?i)upstream sad' }, reason: overloaded }`
///
/// `reason` or `class` must be given. A reason brings its own class, which `class` overrides; a class alone leaves the
/// reason to the tables.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "RawRule")]
pub struct Rule {
    wanted: Match,
    class: Option<KnownClass>,
    reason: Option<Reason>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    r#match: Match,
    class: Option<KnownClass>,
    reason: Option<Reason>,
}

/// What an error must look like. Every key given must hold; of a list, one.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Match {
    /// A provider in any spelling.
    provider: OneOrMany<String>,
    /// A status such as `429`, or a hundred such as `5xx`.
    http_status: OneOrMany<Status>,
    /// A provider's code, in any case.
    code: OneOrMany<String>,
    /// An exception's name without its module.
    exception: OneOrMany<String>,
    /// A regular expression, tried on the first 4 KiB of each message.
    message: Option<Pattern>,
}

/// A class a rule can give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum KnownClass {
    Transient,
    Permanent,
}

impl From<KnownClass> for Class {
    fn from(class: KnownClass) -> Class {
        match class {
            KnownClass::Transient => Class::Transient,
            KnownClass::Permanent => Class::Permanent,
        }
    }
}

/// Why a rule is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum BadRule {
    #[error("processors.enrich.errors.rules: a rule needs a `class` or a `reason`")]
    NoResult,
    #[error(
        "processors.enrich.errors.rules: an empty `match` would hold for every error; set `unknown_as` for those nothing is known about"
    )]
    NoMatch,
}

impl TryFrom<RawRule> for Rule {
    type Error = BadRule;

    fn try_from(raw: RawRule) -> Result<Rule, BadRule> {
        let RawRule { r#match: wanted, class, reason } = raw;
        if class.is_none() && reason.is_none() {
            return Err(BadRule::NoResult);
        }
        let keys = [wanted.provider.0.len(), wanted.http_status.0.len(), wanted.code.0.len(), wanted.exception.0.len()];
        if keys.iter().all(|n| *n == 0) && wanted.message.is_none() {
            return Err(BadRule::NoMatch);
        }
        Ok(Rule { wanted, class, reason })
    }
}

impl Rules {
    /// What the first rule that holds says. A rule without a reason takes the one of `otherwise`.
    pub(super) fn decide(&self, evidence: &Evidence<'_>, clues: &Clues, otherwise: impl FnOnce() -> ErrorFact) -> ErrorFact {
        let Some(rule) = self.rules.iter().find(|r| r.wanted.holds(evidence, clues)) else {
            let fact = otherwise();
            let class = match self.unknown_as {
                Some(class) if fact.class == Class::Unknown => class.into(),
                _ => fact.class,
            };
            return ErrorFact { class, ..fact };
        };
        let reason = rule.reason.unwrap_or_else(|| otherwise().reason);
        ErrorFact { class: rule.class.map_or(reason.class(), Class::from), reason, source: Some(Source::Rule) }
    }
}

impl Match {
    fn holds(&self, evidence: &Evidence<'_>, clues: &Clues) -> bool {
        let canonical = |p: &str| provider::canonical(p).map(|c| c.into_owned());
        let provider = || evidence.provider.and_then(canonical);
        self.provider.holds(|p| provider().is_some_and(|got| canonical(p).as_deref().unwrap_or(p) == got))
            && self.http_status.holds(|s| clues.status.is_some_and(|got| s.holds(got)))
            && self.code.holds(|c| clues.codes.iter().any(|got| got.eq_ignore_ascii_case(c)))
            && self.exception.holds(|e| clues.names.iter().any(|got| exceptions::bare(got) == exceptions::bare(e)))
            && self.message.as_ref().is_none_or(|p| evidence.messages().into_iter().flatten().any(|m| p.0.is_match(message::head(m))))
    }
}

/// A value or a list of them; none means anything.
#[derive(Clone, Debug)]
struct OneOrMany<T>(Vec<T>);

impl<T> Default for OneOrMany<T> {
    fn default() -> OneOrMany<T> {
        OneOrMany(Vec::new())
    }
}

impl<T> OneOrMany<T> {
    fn holds(&self, test: impl FnMut(&T) -> bool) -> bool {
        self.0.is_empty() || self.0.iter().any(test)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<OneOrMany<T>, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Shape<T> {
            Many(Vec<T>),
            One(T),
        }
        Ok(match Shape::deserialize(deserializer)? {
            Shape::Many(all) => OneOrMany(all),
            Shape::One(one) => OneOrMany(vec![one]),
        })
    }
}

/// `429`, or `5xx` for the whole hundred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Status {
    from: u16,
    to: u16,
}

impl Status {
    fn holds(self, status: u16) -> bool {
        (self.from..=self.to).contains(&status)
    }

    fn read(text: &str) -> Option<Status> {
        if let Some(hundred) = text.strip_suffix("xx").or_else(|| text.strip_suffix("XX")) {
            let from = hundred.parse::<u16>().ok().filter(|h| (4..=5).contains(h))? * 100;
            return Some(Status { from, to: from + 99 });
        }
        let status = text.parse().ok().filter(|s| (400..600).contains(s))?;
        Some(Status { from: status, to: status })
    }
}

impl<'de> Deserialize<'de> for Status {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Status, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Status;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an HTTP status from 400 to 599, or `4xx` or `5xx`")
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Status, E> {
                self.visit_str(&value.to_string())
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Status, E> {
                self.visit_str(&value.to_string())
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Status, E> {
                Status::read(value).ok_or_else(|| E::invalid_value(de::Unexpected::Str(value), &self))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// A regular expression, compiled at load.
#[derive(Clone, Debug)]
struct Pattern(Regex);

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Pattern, D::Error> {
        let text = String::deserialize(deserializer)?;
        let compiled = RegexBuilder::new(&text).size_limit(MAX_PATTERN).build();
        compiled.map(Pattern).map_err(|e| de::Error::custom(format_args!("message: \"{text}\" is no regular expression: {e}")))
    }
}

#[cfg(test)]
mod tests {
    use super::super::classify;
    use super::*;

    fn rules(yaml: &str) -> Rules {
        serde_yaml::from_str(yaml).unwrap()
    }

    fn failed<'a>() -> Evidence<'a> {
        Evidence { status_error: true, ..Evidence::default() }
    }

    #[track_caller]
    fn refused(yaml: &str, because: &str) {
        let error = serde_yaml::from_str::<Rules>(yaml).unwrap_err().to_string();
        assert!(error.contains(because), "{error}");
    }

    #[test]
    fn a_rule_is_tested_before_the_tables() {
        let rules = rules("rules: [{ match: { http_status: 418 }, class: transient, reason: overloaded }]");
        let teapot = Evidence { http_status: Some(418), ..failed() };
        assert_eq!(
            classify(&teapot, &rules),
            Some(ErrorFact { class: Class::Transient, reason: Reason::Overloaded, source: Some(Source::Rule) })
        );
        let other = Evidence { http_status: Some(419), ..failed() };
        assert_eq!(classify(&other, &rules).map(|f| f.reason), Some(Reason::InvalidRequest));
    }

    #[test]
    fn every_key_of_a_match_must_hold() {
        let rules = rules(
            "rules: [{ match: { provider: [OpenAI, azure], http_status: 5xx, code: Sad, exception: openai.FooError, message: '(?i)upstream SAD' }, reason: quota_exhausted }]",
        );
        let all = Evidence {
            provider: Some("azure.ai.openai"),
            http_status: Some(503),
            error_code: Some("sad".into()),
            exception_type: Some("FooError"),
            exception_message: Some("the Upstream sad today"),
            ..failed()
        };
        let holds = |e: &Evidence<'_>| classify(e, &rules).and_then(|f| f.source) == Some(Source::Rule);
        assert!(holds(&all));
        assert!(!holds(&Evidence { provider: Some("groq"), ..all.clone() }));
        assert!(!holds(&Evidence { provider: None, ..all.clone() }));
        assert!(!holds(&Evidence { http_status: Some(429), ..all.clone() }));
        assert!(!holds(&Evidence { error_code: None, ..all.clone() }));
        assert!(!holds(&Evidence { exception_type: Some("BarError"), ..all.clone() }));
        assert!(!holds(&Evidence { exception_message: Some("fine"), ..all.clone() }));
    }

    #[test]
    fn the_first_rule_that_holds_decides() {
        let rules = rules("rules: [{ match: { http_status: 4xx }, reason: timeout }, { match: { http_status: 429 }, reason: permission }]");
        let limited = Evidence { http_status: Some(429), ..failed() };
        assert_eq!(classify(&limited, &rules).map(|f| (f.class, f.reason)), Some((Class::Transient, Reason::Timeout)));
    }

    #[test]
    fn a_class_alone_keeps_the_reason_and_outweighs_a_retry_flag() {
        let rules = rules("rules: [{ match: { http_status: [503] }, class: permanent }]");
        let overloaded = Evidence { http_status: Some(503), retryable: Some(true), ..failed() };
        assert_eq!(
            classify(&overloaded, &rules),
            Some(ErrorFact { class: Class::Permanent, reason: Reason::Overloaded, source: Some(Source::Rule) })
        );
    }

    #[test]
    fn unknown_errors_get_the_class_asked_for() {
        assert_eq!(classify(&failed(), &Rules::default()).map(|f| f.class), Some(Class::Unknown));
        assert_eq!(classify(&failed(), &rules("unknown_as: transient")).map(|f| f.class), Some(Class::Transient));
        let limited = Evidence { http_status: Some(401), ..failed() };
        assert_eq!(classify(&limited, &rules("unknown_as: transient")).map(|f| f.class), Some(Class::Permanent));
    }

    #[test]
    fn a_rule_that_cannot_be_meant_is_refused() {
        refused("rules: [{ match: { http_status: 429 } }]", "`class` or a `reason`");
        refused("rules: [{ match: {}, class: transient }]", "empty `match`");
        refused("rules: [{ match: { http_statuss: 429 }, class: transient }]", "http_statuss");
        refused("rules: [{ match: { message: '(' }, class: transient }]", "regular expression");
        refused("rules: [{ match: { code: x }, class: unknown }]", "unknown");
        refused("rules: [{ match: { code: x }, reason: sad }]", "sad");
        refused("rule: []", "rule");
        assert!(serde_yaml::from_str::<Rules>("rules: [{ match: { http_status: 200 }, class: transient }]").is_err());
        assert!(serde_yaml::from_str::<Rules>("rules: [{ match: { http_status: 6xx }, class: transient }]").is_err());
    }
}
