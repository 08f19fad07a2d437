//! Holds where a span has the sampled flag: whoever sent it decided to record it.

use crate::sample::conditions::{Fault, Seen, SpanTest, Test};
use serde::Deserialize;
use std::sync::Arc;

/// The sampled flag of W3C Trace Context.
const SAMPLED: u32 = 1;

/// `{ type: trace_flags }`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TraceFlags {}

impl SpanTest for TraceFlags {
    fn holds(&self, span: &Seen<'_>) -> bool {
        span.flags & SAMPLED != 0
    }
}

impl TraceFlags {
    pub(super) fn compile(&self) -> Result<Test, Fault> {
        Ok(Test::Span(Arc::new(self.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_flags_are_none_of_it() {
        assert!(TraceFlags {}.holds(&Seen { flags: 0x0000_0303, ..Seen::default() }));
        assert!(!TraceFlags {}.holds(&Seen { flags: 0x0000_0302, ..Seen::default() }));
    }
}
