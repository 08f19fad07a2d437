//! Patterns of the user, all asked at once.
//!
//! One set says which patterns match at all, so a hundred of them cost one walk over a text that has none. The engine
//! has no backtracking, and sizes are limited at load, so no pattern can stall a trace.

use crate::redact::Kind;
use crate::redact::action::NAME;
use crate::redact::config::{Action, ConfigError, Custom};
use crate::redact::loose::LooseSet;
use crate::redact::text::Hit;
use regex::{Regex, RegexBuilder};

/// Compiled size of one pattern, in bytes.
pub(crate) const PATTERN_LIMIT: usize = 1 << 20;
/// Compiled size of all patterns, in bytes.
const TOTAL_LIMIT: usize = 10 << 20;
/// Characters before a match in which a context word counts.
const BEFORE: usize = 50;
/// Texts at which a pattern that can match nothing shows it: empty, between letters, digits, signs and lines.
const PROBES: &[&str] = &["", "a", "ab 12", "a-b_c.d", "1\n2", "é ü", " \t\n "];

/// The patterns, compiled.
#[derive(Clone, Debug)]
pub(crate) struct CustomSet {
    set: LooseSet,
    rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
struct Rule {
    name: String,
    regex: Regex,
    action: Action,
    group: usize,
    context: Vec<String>,
}

impl CustomSet {
    /// Compiles the patterns; what cannot be used is an error that names it.
    pub(crate) fn new(customs: &[Custom], errors: &mut Vec<ConfigError>) -> CustomSet {
        let mut rules: Vec<Rule> = Vec::new();
        for (at, custom) in customs.iter().enumerate() {
            let key = format!("custom[{at}].pattern");
            if let Some(reason) = name_problem(&custom.name, &rules) {
                errors.push(ConfigError::Name { key: format!("custom[{at}].name"), name: custom.name.clone(), reason });
            }
            let pattern = custom.pattern.clone();
            match RegexBuilder::new(&pattern).size_limit(PATTERN_LIMIT).build() {
                Err(error) => errors.push(ConfigError::Pattern { key, pattern, reason: reason(&error) }),
                Ok(regex) if PROBES.iter().any(|probe| regex.find_iter(probe).any(|found| found.is_empty())) => {
                    errors.push(ConfigError::EmptyMatch { key, pattern });
                }
                Ok(regex) if custom.group >= regex.captures_len() => {
                    errors.push(ConfigError::NoGroup { key: format!("custom[{at}].group"), group: custom.group });
                }
                Ok(regex) => rules.push(Rule {
                    name: custom.name.clone(),
                    regex,
                    action: custom.action,
                    group: custom.group,
                    context: custom.context.iter().map(|word| word.to_lowercase()).collect(),
                }),
            }
        }
        let set = LooseSet::new(rules.iter().map(|rule| rule.regex.as_str()), TOTAL_LIMIT).unwrap_or_else(|error| {
            errors.push(ConfigError::Pattern {
                key: "custom".to_owned(),
                pattern: "all patterns together".to_owned(),
                reason: reason(&error),
            });
            LooseSet::empty()
        });
        CustomSet { set, rules }
    }

    /// Adds what the patterns find.
    pub(crate) fn find(&self, text: &str, hits: &mut Vec<Hit>) {
        if self.rules.is_empty() {
            return;
        }
        for at in self.set.matches(text) {
            let (Some(rule), Ok(id)) = (self.rules.get(at), u16::try_from(at)) else { continue };
            let mut add = |start: usize, end: usize| {
                if start < end && rule.in_context(text, start) {
                    hits.push(Hit { start, end, kind: Kind::Custom(id), subtype: "" });
                }
            };
            if rule.group == 0 {
                rule.regex.find_iter(text).for_each(|found| add(found.start(), found.end()));
            } else {
                rule.regex
                    .captures_iter(text)
                    .filter_map(|captures| captures.get(rule.group))
                    .for_each(|found| add(found.start(), found.end()));
            }
        }
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The name and action of a pattern.
    pub(crate) fn rule(&self, id: u16) -> Option<(&str, Action)> {
        self.rules.get(usize::from(id)).map(|rule| (rule.name.as_str(), rule.action))
    }

    /// Every name and action.
    pub(crate) fn rules(&self) -> impl Iterator<Item = (&str, Action)> {
        self.rules.iter().map(|rule| (rule.name.as_str(), rule.action))
    }
}

impl Rule {
    fn in_context(&self, text: &str, start: usize) -> bool {
        if self.context.is_empty() {
            return true;
        }
        let head = text.get(..start).unwrap_or_default();
        let from = head.char_indices().rev().nth(BEFORE - 1).map_or(0, |(at, _)| at);
        let window = head.get(from..).unwrap_or_default().to_lowercase();
        self.context.iter().any(|word| window.contains(word.as_str()))
    }
}

/// Why a pattern is refused, in one line.
pub(crate) fn reason(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(limit) => format!("it is larger than {limit} bytes once compiled"),
        other => other.to_string().lines().last().unwrap_or_default().trim().to_owned(),
    }
}

fn name_problem(name: &str, rules: &[Rule]) -> Option<&'static str> {
    if name.is_empty()
        || name.len() > NAME
        || !name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
        || !name.starts_with(|c: char| c.is_ascii_uppercase())
    {
        Some("use up to 40 capitals, digits and _, beginning with a capital")
    } else if Kind::of_name(name).is_some() {
        Some("a built-in type has this name")
    } else if rules.iter().any(|rule| rule.name == name) {
        Some("another pattern has this name")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::CustomSet;
    use crate::redact::config::{Action, Custom};

    fn custom(name: &str, pattern: &str) -> Custom {
        Custom { name: name.to_owned(), pattern: pattern.to_owned(), action: Action::Replace, group: 0, context: Vec::new() }
    }

    fn problems(customs: &[Custom]) -> Vec<String> {
        let mut errors = Vec::new();
        CustomSet::new(customs, &mut errors);
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn patterns_that_cannot_be_used_are_named() {
        for (pattern, part) in
            [("a*", "empty"), ("\\b", "empty"), ("(?m)$", "empty"), ("(", "unclosed"), ("(?:\\w{900}){900}", "larger"), ("x|", "empty")]
        {
            let problems = problems(&[custom("X", pattern)]);
            assert!(problems.len() == 1 && problems[0].contains(part), "{pattern}: {problems:?}");
        }
        assert!(problems(&[custom("EMAIL", "x")])[0].contains("built-in"));
        assert!(problems(&[custom("lower", "x")])[0].contains("capital"));
        assert!(problems(&[custom("X", "x"), custom("X", "y")])[0].contains("another"));
        assert!(problems(&[Custom { group: 2, ..custom("X", "(x)") }])[0].contains("no group 2"));
    }

    #[test]
    fn groups_and_context_words_narrow_a_match() {
        let mut errors = Vec::new();
        let rule = Custom { group: 1, context: vec!["Ticket".to_owned()], ..custom("X", "no (\\d+)") };
        let set = CustomSet::new(&[rule], &mut errors);
        let find = |text: &str| {
            let mut hits = Vec::new();
            set.find(text, &mut hits);
            hits.iter().map(|h| text[h.start..h.end].to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(find("TICKET no 123"), ["123"]);
        assert!(find("order no 123").is_empty());
        assert!(find(&format!("ticket {} no 123", "x".repeat(50))).is_empty());
    }
}
