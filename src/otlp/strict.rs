//! The check of a span, in the form spans nearly always have.
//!
//! A span is some thirty fields, and nine of ten bytes are attributes of text. Asking a table about each of them takes longer than all that is
//! done with most spans afterwards. So this is the walk that reads spans (`span::walk`), and ASCII is looked for once in a whole run
//! of attributes instead of key by key. Whatever looks otherwise (long texts, events, unknown fields) is one field for the
//! table of [`schema`], which knows what is wrong with it.

use crate::otlp::schema::{self, Levels};
use crate::otlp::signal::Signal;
use crate::otlp::span::{SpanView, TraceId, Visit, walk};
use crate::otlp::text::{ascii_prefix, is_ascii};
use crate::otlp::wire::{Field, Malformed};

/// The ids of a span, read as it was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ids {
    /// `None` where it is not 16 bytes or all zero.
    pub trace_id: Option<TraceId>,
    /// Whether no backend may accept it: see [`SpanView::bad_ids`].
    pub bad: bool,
}

/// Checks an encoded span and reads its ids.
///
/// # Errors
/// Where it is not a span: the first thing that is wrong with it.
pub fn span(span: &[u8]) -> Result<Ids, Malformed> {
    let mut view = SpanView::default();
    walk(span, &mut view, &mut Check { behind_run: usize::MAX })?;
    Ok(Ids { trace_id: view.trace_id, bad: view.bad_ids })
}

/// A run of ASCII is measured once for all the attributes in it.
struct Check {
    /// What is behind the run, in bytes to the end of the span.
    behind_run: usize,
}

impl<'a> Visit<'a> for Check {
    #[inline(always)]
    fn is_text(&self, text: &'a [u8]) -> bool {
        is_ascii(text)
    }

    #[inline(always)]
    fn attribute(&mut self, pair: &'a [u8], rest: &'a [u8]) -> Result<(), Malformed> {
        let behind = rest.len() - pair.len();
        if behind < self.behind_run {
            self.behind_run = rest.len() - ascii_prefix(rest);
        }
        if behind >= self.behind_run && is_plain_in_ascii(pair) {
            return Ok(());
        }
        schema::check_pair(pair, 0)
    }

    fn field(&mut self, field: &Field<'a>) -> Result<(), Malformed> {
        Levels::of(Signal::Traces).item.check_field(field, 0)
    }
}

/// Whether bytes that are known to be ASCII are a key and a text or a small number, and nothing else. ASCII has no longer varints.
#[inline]
fn is_plain_in_ascii(pair: &[u8]) -> bool {
    let [0x0a, length, rest @ ..] = pair else { return false };
    let Some((_, [0x12, length, value @ ..])) = rest.split_at_checked(usize::from(*length)) else { return false };
    value.len() == usize::from(*length)
        && match value {
            [0x0a, length, text @ ..] => text.len() == usize::from(*length),
            // A bool, an int.
            [0x10 | 0x18, _] => true,
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::span::view;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value as Held};
    use opentelemetry_proto::tonic::trace::v1::{Span, Status};
    use proptest::prelude::*;
    use prost::Message;

    fn pair(key: &str, value: Held) -> KeyValue {
        KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
    }

    fn sample() -> Span {
        let texts = (0..12).map(|n| pair(&format!("app.component.{n}"), Held::StringValue("found".repeat(n))));
        let mut attributes: Vec<_> = texts.collect();
        attributes.extend([
            pair("gen_ai.usage.input_tokens", Held::IntValue(1234)),
            pair("temperature", Held::DoubleValue(0.7)),
            pair("stream", Held::BoolValue(true)),
            pair("größe", Held::StringValue("zwölf".into())),
            pair("long", Held::StringValue("語".repeat(60))),
            pair("negative", Held::IntValue(-1)),
            pair("last", Held::IntValue(3)),
        ]);
        Span {
            trace_id: vec![1; 16],
            span_id: vec![2; 8],
            parent_span_id: vec![3; 8],
            name: "chat".into(),
            kind: 3,
            start_time_unix_nano: 1_795_000_000_000_000_000,
            end_time_unix_nano: 1_795_000_001_000_000_000,
            attributes,
            status: Some(Status { code: 1, ..Status::default() }),
            flags: 1,
            ..Span::default()
        }
    }

    /// Both checks refuse or both do not, and for the same reason; and the ids are those that a reader finds.
    fn agree(bytes: &[u8]) -> Result<(), TestCaseError> {
        let (ours, table) = (span(bytes), Levels::of(Signal::Traces).item.check(bytes, 0));
        prop_assert_eq!(ours.as_ref().err(), table.as_ref().err());
        if let Ok(ids) = ours {
            let view = view(bytes);
            prop_assert_eq!((ids.trace_id, ids.bad), (view.trace_id, view.bad_ids));
        }
        Ok(())
    }

    #[test]
    fn a_span_cut_off_anywhere_is_refused_where_the_table_refuses_it() {
        let bytes = sample().encode_to_vec();
        for length in 0..=bytes.len() {
            agree(&bytes[..length]).unwrap();
        }
        assert!(!span(&bytes).unwrap().bad);
    }

    #[test]
    fn a_byte_changed_anywhere_is_judged_as_the_table_judges_it() {
        let bytes = sample().encode_to_vec();
        for at in 0..bytes.len() {
            for byte in [0x00, 0x01, 0x0a, 0x12, 0x18, 0x21, 0x2a, 0x4a, 0x7a, 0x7f, 0x80, 0x85, 0xc3, 0xff, bytes[at] ^ 1] {
                let mut changed = bytes.clone();
                changed[at] = byte;
                agree(&changed).unwrap();
            }
        }
    }

    #[test]
    fn of_ids_that_stand_twice_the_last_one_counts() {
        let twice = |second: Span| span(&[sample().encode_to_vec(), second.encode_to_vec()].concat()).unwrap();
        assert_eq!(twice(Span { trace_id: vec![9; 16], ..Span::default() }).trace_id, TraceId::new(&[9; 16]));
        assert_eq!(twice(Span { trace_id: vec![9; 5], ..Span::default() }).trace_id, None);
        assert!(twice(Span { span_id: vec![0; 8], ..Span::default() }).bad);
        assert!(twice(Span { span_id: vec![1; 7], ..Span::default() }).bad);
        assert!(twice(Span { parent_span_id: vec![1; 9], ..Span::default() }).bad);
        assert!(!twice(Span::default()).bad);
    }

    proptest! {
        #[test]
        fn spans_with_several_changes_are_judged_as_the_table_judges_them(
            edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
            cut in proptest::option::of(any::<prop::sample::Index>()),
        ) {
            let mut bytes = sample().encode_to_vec();
            for (at, byte) in edits {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            agree(&bytes)?;
        }
    }
}
