//! Holds for the first traces of a kind: a new customer, a route nobody calls, a model that was never seen.

use crate::sample::conditions::{Fault, Test};
use crate::units::duration;
use serde::Deserialize;
use std::time::Duration;

/// `{ type: rare, key: [http.route], first: 1, per: 5m }`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rare {
    key: Vec<String>,
    #[serde(default = "one")]
    first: u32,
    #[serde(default = "period", with = "duration")]
    per: Duration,
}

fn one() -> u32 {
    1
}

fn period() -> Duration {
    Duration::from_secs(300)
}

impl Rare {
    pub(super) fn compile(&self) -> Result<Test, Fault> {
        if self.key.is_empty() || self.key.iter().any(String::is_empty) {
            return Err(("key", "is empty, or holds an empty key".into()));
        }
        if self.first == 0 {
            return Err(("first", "is 0, so nothing matches".into()));
        }
        if self.per.is_zero() {
            return Err(("per", "is 0s, so every trace is rare".into()));
        }
        Ok(Test::Rare { keys: self.key.clone(), first: self.first, per: self.per })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_always_or_never_rare_is_refused() {
        let compile = |text: &str| serde_yaml::from_str::<Rare>(text).unwrap().compile().map_err(|(key, _)| key);
        assert!(matches!(compile("{ key: [k] }"), Ok(Test::Rare { first: 1, per, .. }) if per == Duration::from_secs(300)));
        assert!(matches!(compile("{ key: [] }"), Err("key")));
        assert!(matches!(compile("{ key: [k], first: 0 }"), Err("first")));
        assert!(matches!(compile("{ key: [k], per: 0s }"), Err("per")));
    }
}
