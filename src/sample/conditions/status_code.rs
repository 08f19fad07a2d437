//! Holds where a span has one of these status codes.

use crate::otlp::span::StatusCode;
use crate::sample::conditions::{Fault, Seen, SpanTest, Test};
use serde::Deserialize;
use std::sync::Arc;

/// `{ type: status_code, status_codes: [ERROR] }`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatusCodes {
    status_codes: Vec<Code>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Code {
    Ok,
    Error,
    Unset,
}

impl SpanTest for StatusCodes {
    fn holds(&self, span: &Seen<'_>) -> bool {
        let code = match span.mark.status() {
            StatusCode::Ok => Code::Ok,
            StatusCode::Error => Code::Error,
            StatusCode::Unset => Code::Unset,
        };
        self.status_codes.contains(&code)
    }
}

impl StatusCodes {
    pub(super) fn compile(&self) -> Result<Test, Fault> {
        if self.status_codes.is_empty() {
            return Err(("status_codes", "is empty, so nothing matches".into()));
        }
        Ok(Test::Span(Arc::new(self.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrich::facts::SpanFacts;
    use crate::sample::totals::Mark;

    #[test]
    fn unset_is_a_status_of_its_own() {
        let test = StatusCodes { status_codes: vec![Code::Unset, Code::Ok] };
        let holds = |status| test.holds(&Seen { mark: Mark::of(&SpanFacts { status, ..SpanFacts::default() }), ..Seen::default() });
        assert!(holds(StatusCode::Unset) && holds(StatusCode::Ok) && !holds(StatusCode::Error));
    }
}
