//! Texts that one message was cut into, where they are values of their own: events of a stream, elements of a list.
//!
//! What JSON holds as text is read in [`parts`](super::parts); here the same is done for the wire format. The pieces are found first and
//! redacted as one, and what changed is put back before the walk reads each by itself.

use crate::otlp::wire::len_fields;
use crate::redact::keys::is_metadata;
use crate::redact::walk::{Walk, key_of, rewrite};
use std::collections::BTreeMap;

/// Events of a span, their names, and their attributes.
const EVENT: u32 = 11;
const EVENT_NAME: u32 = 2;
const EVENT_ATTRIBUTE: u32 = 3;

/// Where a piece is: which element, which field of it.
type Place = (usize, usize);

impl Walk<'_> {
    /// The span with the texts of its events redacted as chunks of one text: those of the same key in events of the same name, in order.
    pub(in crate::redact) fn deltas(&mut self, span: &[u8]) -> Option<Vec<u8>> {
        let mut texts: BTreeMap<(&[u8], String), Vec<(Place, &str)>> = BTreeMap::new();
        for (at, event) in len_fields(span, EVENT).enumerate() {
            let name = len_fields(event, EVENT_NAME).last().unwrap_or_default();
            for (field, pair) in len_fields(event, EVENT_ATTRIBUTE).enumerate() {
                let key = key_of(pair);
                if let Some(text) = text_of(pair).filter(|_| !is_metadata(&key)) {
                    texts.entry((name, key.into_owned())).or_default().push(((at, field), text));
                }
            }
        }
        let mut new = BTreeMap::new();
        for ((_, key), pieces) in texts {
            let pieces_of: Vec<&str> = pieces.iter().map(|(_, text)| *text).collect();
            let joined = self.redactor.joined(&pieces_of, Some(&key), self.findings);
            new.extend(pieces.iter().zip(joined).filter_map(|((place, _), text)| Some((*place, text?))));
        }
        put(span, EVENT, EVENT_ATTRIBUTE, &new)
    }

    /// The list with the text parts of one message redacted as one text. Its elements are maps with a member "text" or "content".
    pub(in crate::redact) fn list_parts(&mut self, list: &[u8]) -> Option<Vec<u8>> {
        let mut new: BTreeMap<usize, String> = BTreeMap::new();
        let mut run: Vec<(usize, &str)> = Vec::new();
        let elements = || len_fields(list, 1).map(Some).chain([None]);
        for (at, element) in elements().enumerate() {
            match element.and_then(part_of) {
                Some(text) => run.push((at, text)),
                None => {
                    let texts: Vec<&str> = run.iter().map(|(_, text)| *text).collect();
                    let joined = self.redactor.joined(&texts, None, self.findings);
                    new.extend(run.drain(..).zip(joined).filter_map(|((at, _), text)| Some((at, text?))));
                }
            }
        }
        if new.is_empty() {
            return None;
        }
        let mut at = 0;
        rewrite(list, |field, element| {
            let place = at;
            at += usize::from(field.number == 1);
            let text = new.get(&place)?;
            Some((
                field.number,
                rewrite(element, |_, map| Some((6, rewrite(map, |_, pair| is_text(pair).then(|| with_text(pair, text)).flatten())?)))?,
            ))
        })
    }
}

/// Puts texts in the place of the values of attributes (field `inner`) of messages (field `outer`).
fn put(message: &[u8], outer: u32, inner: u32, new: &BTreeMap<Place, String>) -> Option<Vec<u8>> {
    if new.is_empty() {
        return None;
    }
    let mut at = 0;
    rewrite(message, |field, event| {
        if field.number != outer {
            return None;
        }
        let mut place = 0;
        let event = rewrite(event, |field, pair| {
            if field.number != inner {
                return None;
            }
            place += 1;
            new.get(&(at, place - 1)).and_then(|text| Some((inner, with_text(pair, text)?.1)))
        });
        at += 1;
        Some((outer, event?))
    })
}

/// The pair with this text in the place of its own.
fn with_text(pair: &[u8], text: &str) -> Option<(u32, Vec<u8>)> {
    let new = rewrite(pair, |field, value| {
        (field.number == 2)
            .then(|| Some((2, rewrite(value, |field, _| (field.number == 1).then(|| (1, text.as_bytes().to_vec())))?)))
            .flatten()
    })?;
    Some((1, new))
}

fn is_text(pair: &[u8]) -> bool {
    matches!(&*key_of(pair), "text" | "content") && text_of(pair).is_some()
}

/// The text of an element that is a text part.
fn part_of(element: &[u8]) -> Option<&str> {
    let map = len_fields(element, 6).last()?;
    let mut text = None;
    for pair in len_fields(map, 1) {
        match &*key_of(pair) {
            "role" => return None,
            "type" if !matches!(text_of(pair), Some("text" | "input_text" | "output_text" | "text_delta" | "reasoning" | "thinking")) => {
                return None;
            }
            "text" | "content" => text = text_of(pair),
            _ => {}
        }
    }
    text
}

/// The string of a pair whose value is one.
fn text_of(pair: &[u8]) -> Option<&str> {
    let value = len_fields(pair, 2).last()?;
    std::str::from_utf8(len_fields(value, 1).last()?).ok()
}

#[cfg(test)]
mod tests {
    use crate::redact::walk::{Message as Kind, Walk};
    use crate::redact::{Config, Findings, Redactor};
    use opentelemetry_proto::tonic::common::v1::any_value::Value as V;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
    use opentelemetry_proto::tonic::trace::v1::{Span, span::Event};
    use prost::Message;

    fn any(value: V) -> AnyValue {
        AnyValue { value: Some(value) }
    }

    fn text(text: &str) -> V {
        V::StringValue(text.into())
    }

    fn pair(key: &str, value: V) -> KeyValue {
        KeyValue { key: key.into(), value: Some(any(value)), ..KeyValue::default() }
    }

    fn walked(yaml: &str, span: &Span) -> Option<Span> {
        let config: Config = serde_yaml::from_str(yaml).unwrap();
        let redactor = Redactor::new(&config).unwrap();
        let mut findings = Findings::new();
        let bytes = Walk { redactor: &redactor, findings: &mut findings, copied: false }.message(Kind::Span, &span.encode_to_vec())?;
        assert_eq!(Walk { redactor: &redactor, findings: &mut findings, copied: false }.message(Kind::Span, &bytes), None, "not at rest");
        Some(Span::decode(&*bytes).unwrap())
    }

    fn events(chunks: &[&str]) -> Span {
        let event = |chunk: &&str| Event {
            name: "chunk".into(),
            attributes: vec![pair("n", V::IntValue(1)), pair("delta", text(chunk))],
            ..Event::default()
        };
        Span { events: chunks.iter().map(event).collect(), ..Span::default() }
    }

    #[test]
    fn chunks_in_events_are_one_text_where_that_is_asked_for() {
        let span = events(&["call bob@", "example", ".org or +1 415 55", "5 0132 now"]);
        assert_eq!(walked("{}", &span), None);
        assert_eq!(walked("join_deltas: true", &span), Some(events(&["call [EMAIL]", "", " or [PHONE]", " now"])));
        assert_eq!(walked("join_deltas: true", &events(&["nothing", "here"])), None);
    }

    #[test]
    fn text_parts_in_a_list_of_maps_are_one_text() {
        let list = |texts: &[&str]| {
            let part = |t: &&str| any(V::KvlistValue(KeyValueList { values: vec![pair("type", text("text")), pair("text", text(t))] }));
            let list = V::ArrayValue(ArrayValue { values: texts.iter().map(part).collect() });
            Span { attributes: vec![pair("gen_ai.prompt", list)], ..Span::default() }
        };
        assert_eq!(walked("{}", &list(&["my ssn is ", "178051120"])), Some(list(&["my ssn is ", "[US_SSN]"])));
        assert_eq!(walked("join_parts: false", &list(&["my ssn is ", "178051120"])), None);
    }
}
