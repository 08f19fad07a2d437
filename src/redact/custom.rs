//! Patterns and dictionaries of the user, each kind asked at once.
//!
//! One set says which patterns match at all, so a hundred of them cost one walk over a text that has none. The engine
//! has no backtracking, and sizes are limited at load, so no pattern can stall a trace.

use crate::redact::Kind;
use crate::redact::action::NAME;
use crate::redact::config::{Action, Config, ConfigError, Custom, Validator, Window};
use crate::redact::detectors::checks;
use crate::redact::dictionary::Dictionary;
use crate::redact::loose::LooseSet;
use crate::redact::text::Hit;
use regex::{Regex, RegexBuilder};

/// Compiled size of one pattern, in bytes.
pub(crate) const PATTERN_LIMIT: usize = 1 << 20;
/// Compiled size of all patterns, in bytes.
const TOTAL_LIMIT: usize = 10 << 20;
/// The widest window of context, in characters: each match reads it.
const MAX_WINDOW: usize = 1000;

/// Texts at which a pattern that can match nothing shows it: empty, between letters, digits, signs and lines.
const PROBES: &[&str] = &["", "a", "ab 12", "a-b_c.d", "1\n2", "é ü", " \t\n "];

/// The patterns and dictionaries, compiled.
#[derive(Clone, Debug)]
pub(crate) struct CustomSet {
    set: LooseSet,
    patterns: Vec<Pattern>,
    dictionaries: Vec<(Kind, Dictionary)>,
    rules: Vec<Rule>,
}

/// One type of the user.
#[derive(Clone, Debug)]
struct Rule {
    name: String,
    action: Action,
    template: Option<String>,
}

#[derive(Clone, Debug)]
struct Pattern {
    kind: Kind,
    regex: Regex,
    group: usize,
    context: Vec<String>,
    window: Window,
    validator: Option<Validator>,
    allow: Vec<String>,
}

impl CustomSet {
    /// Compiles the patterns and dictionaries; what cannot be used is an error that names it.
    pub(crate) fn new(config: &Config, errors: &mut Vec<ConfigError>) -> CustomSet {
        let mut all = CustomSet { set: LooseSet::empty(), patterns: Vec::new(), dictionaries: Vec::new(), rules: Vec::new() };
        for (at, custom) in config.custom.iter().enumerate() {
            let kind = all.rule_of(&format!("custom[{at}]"), &custom.name, custom.action, custom.template.as_ref(), errors);
            all.patterns.extend(Pattern::new(custom, at, kind, errors));
        }
        let mut entries = 0;
        for (at, dictionary) in config.dictionaries.iter().enumerate() {
            let key = format!("dictionaries[{at}]");
            let kind = all.rule_of(&key, &dictionary.name, dictionary.action, dictionary.template.as_ref(), errors);
            match Dictionary::new(dictionary, &mut entries) {
                Ok(dictionary) => all.dictionaries.push((kind, dictionary)),
                Err(source) => errors.push(ConfigError::Dictionary { key, source }),
            }
        }
        let set = LooseSet::new(all.patterns.iter().map(|pattern| pattern.regex.as_str()), TOTAL_LIMIT);
        all.set = set.unwrap_or_else(|error| {
            errors.push(ConfigError::Pattern {
                key: "custom".to_owned(),
                pattern: "all patterns together".to_owned(),
                reason: reason(&error),
            });
            LooseSet::empty()
        });
        all
    }

    /// Adds a rule; its type.
    fn rule_of(&mut self, key: &str, name: &str, action: Action, template: Option<&String>, errors: &mut Vec<ConfigError>) -> Kind {
        if let Some(reason) = name_problem(name, &self.rules) {
            errors.push(ConfigError::Name { key: format!("{key}.name"), name: name.to_owned(), reason });
        }
        self.rules.push(Rule { name: name.to_owned(), action, template: template.cloned() });
        Kind::Custom(u16::try_from(self.rules.len() - 1).unwrap_or(u16::MAX))
    }

    /// Adds what the patterns and dictionaries find. `key` holds the text.
    pub(crate) fn find(&self, text: &str, key: Option<&str>, hits: &mut Vec<Hit>) {
        if !self.patterns.is_empty() {
            for at in self.set.matches(text) {
                if let Some(pattern) = self.patterns.get(at) {
                    pattern.find(text, key, hits);
                }
            }
        }
        for (kind, dictionary) in &self.dictionaries {
            dictionary.find(text, *kind, hits);
        }
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The name and action of a rule.
    pub(crate) fn rule(&self, id: u16) -> Option<(&str, Action)> {
        self.rules.get(usize::from(id)).map(|rule| (rule.name.as_str(), rule.action))
    }

    /// What `replace` writes for a rule, where it says so itself.
    pub(crate) fn template(&self, id: u16) -> Option<&str> {
        self.rules.get(usize::from(id)).and_then(|rule| rule.template.as_deref())
    }

    /// Every name and action.
    pub(crate) fn rules(&self) -> impl Iterator<Item = (&str, Action)> {
        self.rules.iter().map(|rule| (rule.name.as_str(), rule.action))
    }

    /// Every type.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = Kind> {
        (0..self.rules.len()).filter_map(|at| u16::try_from(at).ok()).map(Kind::Custom)
    }
}

impl Pattern {
    fn new(custom: &Custom, at: usize, kind: Kind, errors: &mut Vec<ConfigError>) -> Option<Pattern> {
        let key = format!("custom[{at}].pattern");
        let pattern = custom.pattern.clone();
        match RegexBuilder::new(&pattern).size_limit(PATTERN_LIMIT).build() {
            Err(error) => errors.push(ConfigError::Pattern { key, pattern, reason: reason(&error) }),
            Ok(regex) if PROBES.iter().any(|probe| regex.find_iter(probe).any(|found| found.is_empty())) => {
                errors.push(ConfigError::EmptyMatch { key, pattern });
            }
            Ok(regex) if custom.group >= regex.captures_len() => {
                errors.push(ConfigError::NoGroup { key: format!("custom[{at}].group"), group: custom.group });
            }
            Ok(regex) => {
                return Some(Pattern {
                    kind,
                    regex,
                    group: custom.group,
                    context: custom.context.iter().map(|word| word.to_lowercase()).collect(),
                    window: Window { before: custom.window.before.min(MAX_WINDOW), after: custom.window.after.min(MAX_WINDOW) },
                    validator: custom.validator,
                    allow: custom.allow.clone(),
                });
            }
        }
        None
    }

    fn find(&self, text: &str, key: Option<&str>, hits: &mut Vec<Hit>) {
        let mut add = |start: usize, end: usize| {
            let value = text.get(start..end).unwrap_or_default();
            if start < end
                && !self.allow.iter().any(|allowed| allowed == value)
                && self.validator.is_none_or(|validator| holds(validator, value))
                && self.in_context(text, key, start, end)
            {
                hits.push(Hit { start, end, kind: self.kind, subtype: "" });
            }
        };
        if self.group == 0 {
            self.regex.find_iter(text).for_each(|found| add(found.start(), found.end()));
        } else {
            let groups = self.regex.captures_iter(text).filter_map(|captures| captures.get(self.group));
            groups.for_each(|found| add(found.start(), found.end()));
        }
    }

    fn in_context(&self, text: &str, key: Option<&str>, start: usize, end: usize) -> bool {
        if self.context.is_empty() {
            return true;
        }
        let has = |window: &str| {
            let window = window.to_lowercase();
            self.context.iter().any(|word| window.contains(word.as_str()))
        };
        let squeezed =
            |text: &str| -> String { text.chars().filter(|c| !matches!(c, '-' | '_' | ' ')).flat_map(char::to_lowercase).collect() };
        let (head, tail) = (text.get(..start).unwrap_or_default(), text.get(end..).unwrap_or_default());
        let from = self.window.before.checked_sub(1).map(|back| head.char_indices().rev().nth(back).map_or(0, |(at, _)| at));
        let to = tail.char_indices().nth(self.window.after).map_or(tail.len(), |(at, _)| at);
        has(from.and_then(|from| head.get(from..)).unwrap_or_default())
            || has(tail.get(..to).unwrap_or_default())
            || key.map(squeezed).is_some_and(|key| self.context.iter().any(|word| key.contains(&squeezed(word))))
    }
}

/// Whether the check digits of a value are right.
fn holds(validator: Validator, value: &str) -> bool {
    let digits: Vec<u8> = value.bytes().filter(u8::is_ascii_digit).map(|b| b - b'0').collect();
    match validator {
        Validator::Luhn => checks::luhn(&digits),
        Validator::Mod97 => value.bytes().filter(u8::is_ascii_alphanumeric).count() > 4 && checks::mod97(value.as_bytes()) == 1,
        Validator::Mod97_10 => digits.len() > 2 && digits.iter().fold(0u32, |rest, &d| (rest * 10 + u32::from(d)) % 97) == 1,
        Validator::Mod11_10 => checks::mod11_10(&digits),
        Validator::Mod11_2 => checks::mod11_2(value.as_bytes()),
        Validator::Verhoeff => digits.len() > 1 && checks::verhoeff(&digits),
        Validator::Damm => digits.len() > 1 && checks::damm(&digits),
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
        Some("another pattern or dictionary has this name")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::CustomSet;
    use crate::redact::config::{Action, Config, Custom, Validator, Window};

    fn custom(name: &str, pattern: &str) -> Custom {
        Custom {
            name: name.to_owned(),
            pattern: pattern.to_owned(),
            action: Action::Replace,
            group: 0,
            context: Vec::new(),
            window: Window::default(),
            validator: None,
            allow: Vec::new(),
            template: None,
        }
    }

    fn compiled(customs: &[Custom]) -> (CustomSet, Vec<String>) {
        let mut errors = Vec::new();
        let set = CustomSet::new(&Config { custom: customs.to_vec(), ..Config::default() }, &mut errors);
        (set, errors.iter().map(ToString::to_string).collect())
    }

    fn problems(customs: &[Custom]) -> Vec<String> {
        compiled(customs).1
    }

    fn found(rule: Custom, text: &str, key: Option<&str>) -> Vec<String> {
        let mut hits = Vec::new();
        compiled(&[rule]).0.find(text, key, &mut hits);
        hits.iter().map(|h| text[h.start..h.end].to_owned()).collect()
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
        let rule = || Custom { group: 1, context: vec!["Ticket".to_owned()], ..custom("X", "no (\\d+)") };
        assert_eq!(found(rule(), "TICKET no 123", None), ["123"]);
        assert!(found(rule(), "order no 123", None).is_empty());
        assert!(found(rule(), &format!("ticket {} no 123", "x".repeat(50)), None).is_empty());
        assert_eq!(found(rule(), "no 123 (ticket)", None), ["123"]);
        assert!(found(rule(), "no 123 of no interest to the ticket", None).is_empty());
        assert_eq!(found(rule(), "no 123", Some("support_ticket_id")), ["123"]);
        let narrow = Custom { window: Window { before: 10, after: 0 }, ..rule() };
        assert!(found(narrow.clone(), "ticket, then no 123 ticket", None).is_empty());
        assert_eq!(found(narrow, "ticket no 123", None), ["123"]);
    }

    #[test]
    fn a_validator_and_an_allow_list_narrow_it_further() {
        for (validator, right, wrong) in [
            (Validator::Luhn, "7992739871-3", "79927398714"),
            (Validator::Mod97, "GB82WEST12345698765432", "GB82WEST12345698765433"),
            (Validator::Mod97_10, "79 55", "79 56"),
            (Validator::Mod11_10, "07945", "07946"),
            (Validator::Mod11_2, "0000-0002-1825-0097", "0000-0002-1825-0098"),
            (Validator::Verhoeff, "2363", "2364"),
            (Validator::Damm, "5724", "5727"),
        ] {
            let rule = Custom { validator: Some(validator), ..custom("X", "[0-9A-Z][0-9A-Z -]+") };
            assert_eq!(found(rule.clone(), right, None), [right], "{validator:?}");
            assert!(found(rule, wrong, None).is_empty(), "{validator:?}");
        }
        let rule = Custom { allow: vec!["T-1".to_owned()], ..custom("X", "T-\\d+") };
        assert_eq!(found(rule, "T-1 T-12", None), ["T-12"]);
    }
}
