//! Holds for traces in which something was redacted. Only where redaction stands before sampling is that known in time.

use crate::sample::conditions::{Fault, Test, TraceTest};
use crate::sample::totals::Totals;
use serde::Deserialize;

/// `{ type: redaction_hits, min: 1, types: [EMAIL] }`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedactionHits {
    #[serde(default = "one")]
    min: u32,
    /// Types of findings that count; empty: all.
    #[serde(default)]
    types: Vec<String>,
}

fn one() -> u32 {
    1
}

/// So many findings of the types that have this place in the list of the policies.
#[derive(Clone, Copy, Debug)]
pub(in crate::sample) struct Hits {
    pub(in crate::sample) min: u32,
    pub(in crate::sample) place: usize,
}

impl TraceTest for Hits {
    fn holds(&self, totals: &Totals) -> bool {
        totals.redacted.get(self.place).is_some_and(|found| self.min <= *found)
    }

    fn settled(&self, totals: &Totals) -> bool {
        self.holds(totals)
    }
}

impl RedactionHits {
    pub(super) fn compile(&self) -> Result<Test, Fault> {
        if self.min == 0 {
            return Err(("min", "is 0, so every trace matches".into()));
        }
        Ok(Test::Redacted { types: self.types.clone(), min: self.min })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_of_other_types_do_not_count() {
        let hits = Hits { min: 2, place: 1 };
        let totals = |redacted| Totals { redacted, ..Totals::default() };
        assert!(!hits.holds(&totals([9, 1, 9, 9])) && hits.holds(&totals([0, 2, 0, 0])));
        assert!(!hits.settled(&totals([9, 1, 9, 9])) && hits.settled(&totals([0, 2, 0, 0])));
        assert!(RedactionHits { min: 0, types: Vec::new() }.compile().is_err());
    }
}
