//! Holds where one model call was tried again and again.

use crate::sample::conditions::{Fault, Test, TraceTest};
use crate::sample::totals::Totals;
use serde::Deserialize;
use std::sync::Arc;

/// `{ type: retries, min_attempts: 2 }`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retries {
    #[serde(default = "two")]
    min_attempts: u32,
}

fn two() -> u32 {
    2
}

impl TraceTest for Retries {
    fn holds(&self, totals: &Totals) -> bool {
        self.min_attempts <= totals.attempts
    }

    // A call that succeeded between two failures may still arrive: then they are not attempts of one call.
    fn settled(&self, _totals: &Totals) -> bool {
        false
    }
}

impl Retries {
    pub(super) fn compile(&self) -> Result<Test, Fault> {
        if self.min_attempts < 2 {
            return Err(("min_attempts", "is below 2: one attempt is no retry".into()));
        }
        Ok(Test::Trace(Arc::new(self.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_attempt_is_no_retry() {
        let retries = serde_yaml::from_str::<Retries>("{}").unwrap();
        let attempts = |attempts| Totals { attempts, ..Totals::default() };
        assert!(!retries.holds(&attempts(1)) && retries.holds(&attempts(2)));
        assert!(Retries { min_attempts: 1 }.compile().is_err());
    }
}
