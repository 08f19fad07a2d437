//! Holds for traces that use so many tokens.

use crate::sample::conditions::{Fault, Range, Test};
use crate::sample::totals::Totals;
use serde::Deserialize;

/// `{ type: trace_tokens, min: 100000, kind: output }`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TraceTokens {
    min: Option<u64>,
    max: Option<u64>,
    #[serde(default)]
    kind: Kind,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Input,
    Output,
    CacheRead,
    Reasoning,
    #[default]
    Total,
}

impl TraceTokens {
    pub(super) fn compile(&self) -> Result<Test, Fault> {
        let of: fn(&Totals) -> u64 = match self.kind {
            Kind::Input => |totals| totals.input_tokens,
            Kind::Output => |totals| totals.output_tokens,
            Kind::CacheRead => |totals| totals.cache_read_tokens,
            Kind::Reasoning => |totals| totals.reasoning_tokens,
            Kind::Total => |totals| totals.input_tokens.saturating_add(totals.output_tokens),
        };
        Range { min: self.min, max: self.max, of }.test(("min", "max"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_input_and_output_and_each_kind_is_its_own() {
        let totals = Totals { input_tokens: 5, output_tokens: 3, cache_read_tokens: 2, reasoning_tokens: 1, ..Totals::default() };
        for (kind, count) in [(Kind::Input, 5), (Kind::Output, 3), (Kind::CacheRead, 2), (Kind::Reasoning, 1), (Kind::Total, 8)] {
            let holds = |min| match (TraceTokens { min: Some(min), max: None, kind }).compile() {
                Ok(Test::Trace(test)) => test.holds(&totals),
                other => panic!("{other:?}"),
            };
            assert!(holds(count) && !holds(count + 1), "{kind:?}");
        }
    }
}
