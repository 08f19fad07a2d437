//! Holds where a span failed in a certain way.
//!
//! A failure that a retry can heal and one that it cannot are different questions for whoever reads the traces.

use crate::enrich::facts;
use crate::sample::conditions::{Fault, Seen, SpanTest, Test};
use serde::Deserialize;
use std::sync::Arc;

/// `{ type: error_class, classes: [permanent] }`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorClasses {
    classes: Vec<Class>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Class {
    Transient,
    Permanent,
    Unknown,
}

impl SpanTest for ErrorClasses {
    fn holds(&self, span: &Seen<'_>) -> bool {
        let class = match span.mark.error() {
            Some(facts::ErrorClass::Transient) => Class::Transient,
            Some(facts::ErrorClass::Permanent) => Class::Permanent,
            Some(facts::ErrorClass::Unknown) => Class::Unknown,
            None => return false,
        };
        self.classes.contains(&class)
    }
}

impl ErrorClasses {
    pub(super) fn compile(&self) -> Result<Test, Fault> {
        if self.classes.is_empty() {
            return Err(("classes", "is empty, so nothing matches".into()));
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
    fn only_a_failure_of_the_class_holds() {
        let transient = ErrorClasses { classes: vec![Class::Transient] };
        let seen = |error| Seen { mark: Mark::of(&SpanFacts { error, ..SpanFacts::default() }), ..Seen::default() };
        assert!(transient.holds(&seen(Some(facts::ErrorClass::Transient))));
        assert!(!transient.holds(&seen(Some(facts::ErrorClass::Permanent))));
        assert!(!transient.holds(&seen(None)));
        assert!(ErrorClasses { classes: vec![] }.compile().is_err());
    }
}
