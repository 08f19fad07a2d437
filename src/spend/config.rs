//! `service.spend`: what is told apart, how long it is kept, and the budgets.

use crate::spend::budget::Budget;
use crate::spend::key::Key;
use crate::spend::query::is_taken;
use serde::Deserialize;
use std::collections::HashSet;
use std::time::Duration;

/// Most keys besides service, provider and model: their values multiply.
const MAX_KEYS: usize = 8;

/// Most budgets; each is a bit of a word.
const MAX_BUDGETS: usize = 64;

/// Most combinations a day: some 10 MB of days a year each thousand.
const MAX_SERIES: u64 = 100_000;

/// The `service.spend` section.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Whether there is a spend book. Default true.
    pub enabled: bool,
    /// What is told apart besides service, provider and model: `user`, `user_tier`, `session`, `agent`, `feature`, `prompt`,
    /// `prompt_version`, `environment`, `request_model`, `response_model`, or the name of an attribute. Default `user`, `feature`,
    /// `prompt_version`, `environment`; at most 8. Values pass the redactor.
    pub keys: Vec<String>,
    /// Combinations of all of these that are told apart in one day (UTC). Default 10000; what comes after them is counted under
    /// `_other`, first its keys, and only past as many models its model.
    pub max_series: u64,
    /// How long each resolution is kept.
    pub keep: Keep,
    /// Amounts that are watched. Default none.
    pub budgets: Vec<Budget>,
}

impl Default for Config {
    fn default() -> Config {
        let keys = ["user", "feature", "prompt_version", "environment"].map(str::to_owned).to_vec();
        Config { enabled: true, keys, max_series: 10_000, keep: Keep::default(), budgets: Vec::new() }
    }
}

/// `service.spend.keep`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Keep {
    /// How long minutes are kept, at least 1h; then there are hours. Default 48h.
    #[serde(with = "crate::units::duration")]
    pub minutes: Duration,
    /// How long hours are kept, no less than minutes and at least a day; then there are days. Default 30d.
    #[serde(with = "crate::units::duration")]
    pub hours: Duration,
    /// How long days are kept, no less than hours. Default 400d.
    #[serde(with = "crate::units::duration")]
    pub days: Duration,
}

impl Default for Keep {
    fn default() -> Keep {
        let days = |days: u64| Duration::from_secs(days * 86_400);
        Keep { minutes: days(2), hours: days(30), days: days(400) }
    }
}

/// One thing that is wrong, by its key below `service.spend`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct ConfigError {
    /// `budgets[0].usd`
    pub path: String,
    /// What is wrong, and what to do.
    pub message: String,
}

impl Config {
    /// Everything that is wrong with it.
    pub fn check(&self) -> Vec<ConfigError> {
        let mut errors = Vec::new();
        let mut fail = |path: String, message: String| errors.push(ConfigError { path, message });
        if self.keys.len() > MAX_KEYS {
            fail("keys".into(), format!("{} keys are too many: their values multiply; at most {MAX_KEYS}", self.keys.len()));
        }
        let mut seen = HashSet::new();
        for (at, key) in self.keys.iter().enumerate() {
            let path = format!("keys[{at}]");
            if !Key::is_name(key) {
                fail(path, format!("\"{key}\" is not the name of an attribute: letters, digits and . _ - : / of at most 100"));
            } else if is_taken(key) {
                fail(
                    path,
                    format!("\"{key}\" has a meaning of its own in the spend book; leave it out, or copy the attribute to another name"),
                );
            } else if !seen.insert(key) {
                fail(path, format!("\"{key}\" stands twice"));
            }
        }
        if self.max_series == 0 || self.max_series > MAX_SERIES {
            fail("max_series".into(), format!("{} is not between 1 and {MAX_SERIES}", self.max_series));
        }
        let Keep { minutes, hours, days } = self.keep;
        if minutes < Duration::from_secs(3600) {
            fail("keep.minutes".into(), "less than an hour, the next resolution; write at least 1h".into());
        }
        if hours < minutes.max(Duration::from_secs(86_400)) {
            fail("keep.hours".into(), "less than a day, or than keep.minutes; a coarser resolution is kept longer".into());
        }
        if days < hours {
            fail("keep.days".into(), "less than keep.hours; a coarser resolution is kept longer".into());
        }
        if self.budgets.len() > MAX_BUDGETS {
            fail("budgets".into(), format!("{} budgets are too many; at most {MAX_BUDGETS}", self.budgets.len()));
        }
        let mut names = HashSet::new();
        for (at, budget) in self.budgets.iter().enumerate() {
            budget.check(&self.keys).into_iter().for_each(|(key, message)| fail(format!("budgets[{at}]{key}"), message));
            if !names.insert(&budget.name) {
                fail(format!("budgets[{at}].name"), format!("\"{}\" is the name of another budget", budget.name));
            }
        }
        errors
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let config: Config = serde_yaml::from_str(text).unwrap();
        config.check().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_default_and_attributes_of_ones_own_are_fine() {
        assert_eq!(problems("{}"), [""; 0]);
        assert_eq!(problems("keys: [app.tenant, resource.k8s.namespace.name, session]"), [""; 0]);
    }

    #[test]
    fn what_cannot_work_is_said_with_its_key() {
        let said = problems(
            "keys: [model, user, user, 'a b']\nmax_series: 0\nkeep: {minutes: 30m, hours: 2h, days: 1h}\n\
             budgets: [{name: '', usd: 0}, {name: a, usd: 1, match: {team: x}}, {name: a, usd: 1}]",
        );
        for key in [
            "keys[0]:",
            "keys[2]:",
            "keys[3]:",
            "max_series:",
            "keep.minutes:",
            "keep.hours:",
            "keep.days:",
            "budgets[0].name:",
            "budgets[0].usd:",
            "budgets[1].match.team:",
            "budgets[2].name:",
        ] {
            assert!(said.iter().any(|text| text.starts_with(key)), "{key} in {said:#?}");
        }
        assert_eq!(said.len(), 11, "{said:#?}");
    }
}
