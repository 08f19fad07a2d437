//! Holds where a member of a span's tracestate is one of these: a vendor's or a tenant's own word about the trace.

use crate::sample::conditions::{Fault, Seen, SpanTest, Test};
use serde::Deserialize;
use std::sync::Arc;

/// `{ type: trace_state, key: tenant, values: [gold] }`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TraceState {
    key: String,
    values: Vec<String>,
}

impl SpanTest for TraceState {
    fn holds(&self, span: &Seen<'_>) -> bool {
        let state = std::str::from_utf8(span.trace_state).unwrap_or_default();
        let members = state.split(',').filter_map(|member| member.trim().split_once('='));
        members.filter(|(key, _)| *key == self.key).any(|(_, value)| self.values.iter().any(|v| v == value))
    }
}

impl TraceState {
    pub(super) fn compile(&self) -> Result<Test, Fault> {
        super::string_attribute::check_key(&self.key)?;
        if self.values.is_empty() {
            return Err(("values", "is empty, so nothing matches".into()));
        }
        Ok(Test::Span(Arc::new(self.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_equal_as_a_whole() {
        let gold = TraceState { key: "tenant".into(), values: vec!["silver".into(), "gold".into()] };
        let holds = |state: &[u8]| gold.holds(&Seen { trace_state: state, ..Seen::default() });
        assert!(holds(b"a=1, tenant=gold ,b=2"));
        for miss in [&b""[..], b"tenant=golden", b"a-tenant=gold", b"tenant", b"tenant=gold\xff"] {
            assert!(!holds(miss), "{miss:?}");
        }
    }
}
