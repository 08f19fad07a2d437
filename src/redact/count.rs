//! How much was found in a span, written on the span: how often and of which types, never what.
//!
//! Who reads a trace in which a prompt says `[EMAIL]` twice and `[REDACTED]` once wants to know which of it was Tollgate. A stage in front
//! may have counted too; what it took out is gone, so the counts add up, but what is only detected is still there and is the same.

use crate::otlp::append::Attributes;
use crate::otlp::edit::{self, Edit};
use crate::otlp::signal::Signal;
use crate::otlp::span::{self, Any};
use crate::redact::config::Action;
use crate::redact::{Findings, Redactor};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// How many findings there were.
const COUNT: &str = "tollgate.redaction.count";
/// Which types, each as `TYPE:count`.
const TYPES: &str = "tollgate.redaction.types";

/// Appends the counts to `extra`, the fields behind an item; the body without older counts, where it had some.
pub(in crate::redact) fn write(redactor: &Redactor, signal: Signal, body: &[u8], found: &Findings, extra: &mut Vec<u8>) -> Option<Vec<u8>> {
    if found.is_empty() {
        return None;
    }
    let field = span::attributes_field(signal);
    let mut counts: BTreeMap<Cow<'_, str>, u64> = BTreeMap::new();
    let without = edit::attributes(body, field, |pair| match pair.key {
        key if key == TYPES.as_bytes() => {
            read(&pair.any(), &mut counts);
            Edit::Remove
        }
        key if key == COUNT.as_bytes() => Edit::Remove,
        _ => Edit::Keep,
    });
    for (kind, count) in found.counts() {
        let known = counts.entry(Cow::Owned(redactor.name(kind).to_owned())).or_insert(0);
        *known = if redactor.action(kind) == Action::Detect { count.max(*known) } else { count.saturating_add(*known) };
    }
    let types: Vec<String> = counts.iter().map(|(name, count)| format!("{name}:{count}")).collect();
    let mut to = Attributes::in_field(extra, field);
    to.int(COUNT, i64::try_from(counts.values().sum::<u64>()).unwrap_or(i64::MAX));
    to.strs(TYPES, types.iter().map(String::as_str));
    without
}

/// Counts of a stage before this one. What is no name of a type is left out: it may be anything.
fn read(value: &Any<'_>, counts: &mut BTreeMap<Cow<'_, str>, u64>) {
    for element in value.elements() {
        let Some((name, count)) = element.as_str().and_then(|text| text.split_once(':')) else { continue };
        let plain = !name.is_empty()
            && name.len() <= super::action::NAME
            && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
        if let (true, Ok(count)) = (plain, count.parse::<u32>()) {
            *counts.entry(Cow::Owned(name.to_owned())).or_insert(0) += u64::from(count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::Config;
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    use opentelemetry_proto::tonic::trace::v1::Span;
    use prost::Message;

    fn counted(yaml: &str, body: &[u8], text: &str) -> Vec<u8> {
        let config: Config = serde_yaml::from_str(yaml).unwrap();
        let redactor = Redactor::new(&config).unwrap();
        let mut found = Findings::new();
        redactor.text(text, None, &mut found);
        let mut extra = Vec::new();
        let without = write(&redactor, Signal::Traces, body, &found, &mut extra);
        [without.as_deref().unwrap_or(body), &extra].concat()
    }

    fn read(bytes: &[u8]) -> (i64, Vec<String>) {
        let span = Span::decode(bytes).unwrap();
        let value = |key: &str| {
            let mut all = span.attributes.iter().filter(|a| a.key == key);
            let one = all.next().unwrap().value.clone().unwrap().value.unwrap();
            assert!(all.next().is_none());
            one
        };
        let (Value::IntValue(count), Value::ArrayValue(types)) = (value(COUNT), value(TYPES)) else { panic!("other values") };
        let types = types.values.into_iter().map(|v| if let Some(Value::StringValue(text)) = v.value { text } else { panic!("no text") });
        (count, types.collect())
    }

    #[test]
    fn types_and_their_sum_are_written_and_no_value() {
        let bytes = counted("{}", b"", "a@example.org b@example.org 4111 1111 1111 1111");
        assert_eq!(read(&bytes), (3, vec!["CREDIT_CARD:1".to_owned(), "EMAIL:2".to_owned()]));
        assert!(!bytes.windows(7).any(|w| w == b"example"));
        assert!(counted("{}", b"", "nothing").is_empty());
    }

    #[test]
    fn counts_of_a_stage_in_front_are_added_to_and_what_is_detected_is_not_counted_twice() {
        let once = counted("{}", b"", "a@example.org");
        assert_eq!(read(&counted("{}", &once, "b@example.org")), (2, vec!["EMAIL:2".to_owned()]));
        assert_eq!(read(&counted("entities: { EMAIL: detect }", &once, "b@example.org")), (1, vec!["EMAIL:1".to_owned()]));
    }
}
