//! The evidence that real SDKs leave, and what it must mean.

mod decisions;
mod providers;
mod variations;
mod vectors;

use super::*;
use proptest::prelude::*;

fn error<'a>() -> Evidence<'a> {
    Evidence { status_error: true, genai: true, priced: true, ..Evidence::default() }
}

fn typed<'a>(error_type: &'a str, message: &'a str) -> Evidence<'a> {
    Evidence { error_type: Some(error_type.into()), error_message: Some(message), ..error() }
}

fn thrown<'a>(name: &'a str, message: &'a str) -> Evidence<'a> {
    Evidence { exception_event: true, exception_type: Some(name), exception_message: Some(message), ..error() }
}

fn said(message: &str) -> Evidence<'_> {
    Evidence { status_message: Some(message), ..error() }
}

fn answered<'a>(status: u16) -> Evidence<'a> {
    Evidence { http_status: Some(status), ..error() }
}

fn fact(evidence: &Evidence<'_>) -> ErrorFact {
    classify(evidence, &Rules::default()).expect("an error")
}

#[track_caller]
fn is(evidence: &Evidence<'_>, class: Class, reason: Reason) {
    let got = fact(evidence);
    assert_eq!((got.class, got.reason), (class, reason), "{evidence:?} → {got:?}");
}

/// The reason, with its own class.
#[track_caller]
fn means(evidence: &Evidence<'_>, reason: Reason) {
    is(evidence, reason.class(), reason);
}

proptest! {
    #[test]
    fn any_evidence_has_a_class_that_fits_its_reason(
        name in any::<String>(),
        kind in "(Error|RateLimit|_|\\.|[a-z]|<class '|'>|429){0,12}",
        message in "(Error code: |429|\\{|\\}|'|\"|:|code|type|content|timeout|quota|[a-zé ]){0,80}",
        status in any::<u16>(),
    ) {
        let evidence = Evidence {
            exception_type: Some(&name),
            error_type: Some(kind.as_str().into()),
            error_code: Some(name.as_str().into()),
            exception_message: Some(&message),
            error_text: Some(&name),
            http_status: Some(status),
            ..error()
        };
        let fact = fact(&evidence);
        prop_assert_eq!(fact.reason == Reason::Unknown, fact.class == Class::Unknown);
        prop_assert_eq!(fact.source.is_none(), fact.reason == Reason::Unknown);
    }
}
