//! Holds where an agent calls one tool with the same arguments over and over: it is stuck, and it costs.

use crate::sample::conditions::{Fault, Range, Test};
use serde::Deserialize;

/// `{ type: tool_loop, min_repeats: 3 }`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolLoop {
    #[serde(default = "three")]
    min_repeats: u64,
}

fn three() -> u64 {
    3
}

impl ToolLoop {
    pub(super) fn compile(&self) -> Result<Test, Fault> {
        if self.min_repeats < 2 {
            return Err(("min_repeats", "is below 2: one call is no loop".into()));
        }
        Range { min: Some(self.min_repeats), max: None, of: |totals| u64::from(totals.tool_repeats) }.test(("min_repeats", "min_repeats"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::totals::Totals;

    #[test]
    fn two_calls_are_no_loop_yet() {
        let Ok(Test::Trace(test)) = serde_yaml::from_str::<ToolLoop>("{}").unwrap().compile() else { panic!("a test of traces") };
        let repeats = |tool_repeats| Totals { tool_repeats, ..Totals::default() };
        assert!(!test.holds(&repeats(2)) && test.holds(&repeats(3)));
        assert!(!test.settled(&repeats(2)) && test.settled(&repeats(3)));
        assert!(ToolLoop { min_repeats: 1 }.compile().is_err());
    }
}
