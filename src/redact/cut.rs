//! Long content made shorter: `processors.enrich.max_content_chars`.
//!
//! A backend that refuses a span for its size shows nothing of it, so a prompt of a megabyte is worth cutting. It is cut here, as the
//! span leaves, and not where spans are enriched: half a secret is not recognised as one, so redaction must see the whole text; a span
//! that is dropped needs no cut; and until it leaves, a span is a slice of the request it came in, which can be added to and not changed.
//!
//! What is cut is text of people on spans of model calls, agents and their tools, and on their events. JSON stays JSON: its strings are
//! cut, not the document.

use crate::enrich;
use crate::otlp::append::{Attributes, SPAN_ATTRIBUTES};
use crate::otlp::edit::{self, Edit};
use crate::otlp::span;
use crate::otlp::wire::{Fields, Value};
use crate::redact::json::{self, Decoded, Token, Walked};
use crate::redact::keys::is_metadata;
use crate::redact::walk::{key_of, rewrite};

/// Stands where the rest of a text stood.
const MARK: &str = "… [truncated]";

/// The attribute that says what was cut, by key. Not that a model's answer was: that is `tollgate.truncated`.
const CUT_KEYS: &str = "tollgate.content.truncated";

/// JSON in strings of JSON is followed so deep. Deeper, it is cut as text.
const DEEPEST: u8 = 4;

/// Members of messages that are no text of people: tools and readers find each other by them.
const MEMBERS: [&str; 10] =
    ["type", "role", "id", "name", "modality", "mime_type", "file_id", "generic_type", "tool_call_id", "finish_reason"];

/// The span with its long content cut to `limit` characters a text; `None` where there is none, and for a limit of 0.
pub(in crate::redact) fn span(span: &[u8], limit: usize) -> Option<Vec<u8>> {
    // No text has more characters than the bytes around it.
    if limit == 0 || span.len() <= limit || !is_of_models(span) {
        return None;
    }
    let mut cutter = Cutter { limit, keys: Vec::new() };
    let cut = rewrite(span, |field, content| match field.number {
        SPAN_ATTRIBUTES => Some((SPAN_ATTRIBUTES, cutter.attribute(content)?)),
        11 => Some((11, rewrite(content, |field, pair| (field.number == 3).then(|| Some((3, cutter.attribute(pair)?))).flatten())?)),
        _ => None,
    })?;
    Some(flag(cut, cutter.keys))
}

/// Whether any of its attributes is of a vocabulary of model spans.
fn is_of_models(span: &[u8]) -> bool {
    let mut fields = Fields::new(span);
    fields.any(|field| match field.value {
        Value::Len(pair) if field.number == SPAN_ATTRIBUTES => enrich::is_of_models(key_of(pair).as_bytes()),
        _ => false,
    })
}

/// Writes which keys were cut, here and by a stage before this one.
fn flag(span: Vec<u8>, mut keys: Vec<String>) -> Vec<u8> {
    let mut before = Vec::new();
    span::read(&span, |pair| before.extend((pair.key == CUT_KEYS.as_bytes()).then(|| pair.any())), |_| {});
    let known = before.iter().flat_map(span::Any::elements).filter_map(|key| key.as_str().map(str::to_owned));
    keys.extend(known);
    keys.sort_unstable();
    keys.dedup();
    let without = edit::attributes(&span, SPAN_ATTRIBUTES, |pair| if pair.key == CUT_KEYS.as_bytes() { Edit::Remove } else { Edit::Keep });
    let mut out = without.unwrap_or(span);
    Attributes::of_span(&mut out).strs(CUT_KEYS, keys.iter().map(String::as_str));
    out
}

struct Cutter {
    limit: usize,
    keys: Vec<String>,
}

impl Cutter {
    /// A `KeyValue` of a span or event.
    fn attribute(&mut self, pair: &[u8]) -> Option<Vec<u8>> {
        if pair.len() <= self.limit {
            return None;
        }
        let key = key_of(pair);
        if is_metadata(&key) {
            return None;
        }
        let cut = self.pair(pair)?;
        self.keys.push(key.into_owned());
        Some(cut)
    }

    fn pair(&self, pair: &[u8]) -> Option<Vec<u8>> {
        rewrite(pair, |field, value| (field.number == 2).then(|| Some((2, self.value(value)?))).flatten())
    }

    /// An `AnyValue`. Its depth was limited at the door.
    fn value(&self, value: &[u8]) -> Option<Vec<u8>> {
        if value.len() <= self.limit {
            return None;
        }
        rewrite(value, |field, content| match field.number {
            // Bytes that are text are text; others are left alone.
            1 | 7 => Some((field.number, self.text(std::str::from_utf8(content).ok()?, 0)?.into_bytes())),
            5 => Some((5, rewrite(content, |_, element| Some((1, self.value(element)?)))?)),
            6 => {
                let member = |pair: &[u8]| if MEMBERS.contains(&&*key_of(pair)) { None } else { self.pair(pair) };
                Some((6, rewrite(content, |_, pair| Some((1, member(pair)?)))?))
            }
            _ => None,
        })
    }

    fn text(&self, text: &str, depth: u8) -> Option<String> {
        let end = self.end(text)?;
        if depth < DEEPEST
            && json::looks_like_json(text)
            && let Some(edits) = self.strings(text, depth)
        {
            return apply(text, edits);
        }
        Some([text.get(..end)?, MARK].concat())
    }

    /// Where a text is to end; `None` for one that is short enough or was cut before.
    fn end(&self, text: &str) -> Option<usize> {
        if text.len() <= self.limit {
            return None;
        }
        let (end, _) = text.char_indices().nth(self.limit)?;
        (text.get(end..) != Some(MARK)).then_some(end)
    }

    /// What to put in place of the strings of a document that are too long; `None` where it is no JSON after all.
    fn strings(&self, text: &str, depth: u8) -> Option<Vec<(usize, usize, String)>> {
        let mut edits = Vec::new();
        let walked = json::walk(text, |token| {
            let Token::String { start, end, key } = token else { return };
            let Some(raw) = text.get(start..end).filter(|raw| raw.len() > self.limit) else { return };
            if key.and_then(|(start, end)| text.get(start..end)).is_some_and(|name| MEMBERS.contains(&name)) {
                return;
            }
            edits.extend(self.string(raw, depth).map(|new| (start, end, new)));
        });
        (walked == Walked::Whole).then_some(edits)
    }

    /// The inside of a JSON string, cut; its escapes stay as they were written.
    fn string(&self, raw: &str, depth: u8) -> Option<String> {
        let decoded = Decoded::string(raw);
        let end = self.end(&decoded.text)?;
        if json::looks_like_json(&decoded.text)
            && let Some(cut) = self.text(&decoded.text, depth + 1)
            && !cut.ends_with(MARK)
        {
            let quoted = serde_json::to_string(&cut).ok()?;
            return quoted.get(1..quoted.len() - 1).map(str::to_owned);
        }
        Some([raw.get(..decoded.raw(end))?, MARK].concat())
    }
}

/// The text with each place replaced; `None` where there is none.
fn apply(text: &str, edits: Vec<(usize, usize, String)>) -> Option<String> {
    if edits.is_empty() {
        return None;
    }
    let (mut out, mut at) = (String::new(), 0);
    for (start, end, new) in edits {
        out.push_str(text.get(at..start)?);
        out.push_str(&new);
        at = end;
    }
    out.push_str(text.get(at..)?);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::wire::put_bytes;
    use opentelemetry_proto::tonic::common::v1::any_value::Value as V;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
    use opentelemetry_proto::tonic::trace::v1::{Span, span::Event};
    use prost::Message;

    fn any(value: V) -> AnyValue {
        AnyValue { value: Some(value) }
    }

    fn pair(key: &str, value: V) -> KeyValue {
        KeyValue { key: key.into(), value: Some(any(value)), ..KeyValue::default() }
    }

    fn text(text: &str) -> V {
        V::StringValue(text.into())
    }

    fn cut(limit: usize, attributes: Vec<KeyValue>) -> Option<Span> {
        let bytes = Span { attributes, ..Span::default() }.encode_to_vec();
        super::span(&bytes, limit).map(|bytes| Span::decode(&*bytes).unwrap())
    }

    fn value<'s>(span: &'s Span, key: &str) -> &'s V {
        span.attributes.iter().find(|pair| pair.key == key).unwrap().value.as_ref().unwrap().value.as_ref().unwrap()
    }

    fn flagged(span: &Span) -> Vec<String> {
        let V::ArrayValue(list) = value(span, CUT_KEYS) else { panic!("not a list") };
        assert_eq!(span.attributes.iter().filter(|pair| pair.key == CUT_KEYS).count(), 1);
        list.values.iter().map(|v| if let Some(V::StringValue(key)) = &v.value { key.clone() } else { panic!() }).collect()
    }

    fn content(limit: usize, long: &str) -> Option<String> {
        cut(limit, vec![pair("gen_ai.input.messages", text(long))]).map(|span| match value(&span, "gen_ai.input.messages") {
            V::StringValue(text) => text.clone(),
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn exactly_the_limit_stays_and_one_more_is_cut() {
        assert_eq!(content(5, "abcde"), None);
        assert_eq!(content(5, "abcdef").unwrap(), "abcde… [truncated]");
        assert_eq!(content(0, &"a".repeat(100_000)), None, "0 is no limit");
    }

    #[test]
    fn characters_count_and_none_is_split() {
        assert_eq!(content(4, "äöü€"), None);
        assert_eq!(content(3, "äöü€").unwrap(), "äöü… [truncated]");
        assert_eq!(content(1, "😀😀").unwrap(), "😀… [truncated]");
    }

    #[test]
    fn cutting_twice_is_cutting_once() {
        let once = content(5, "abcdefgh").unwrap();
        assert_eq!(content(5, &once), None);
        let json = content(5, r#"[{"content":"abcdefgh"}]"#).unwrap();
        assert_eq!(content(5, &json), None);
    }

    #[test]
    fn json_stays_json_and_only_its_long_strings_are_cut() {
        let long = r#"[ {"role":"assistant", "n": 12345678901, "parts":[{"type":"text","content":"caf\u00e9 \"olé\" and more"}]} ]"#;
        let cut = content(8, long).unwrap();
        assert_eq!(cut, r#"[ {"role":"assistant", "n": 12345678901, "parts":[{"type":"text","content":"caf\u00e9 \"ol… [truncated]"}]} ]"#);
        serde_json::from_str::<serde_json::Value>(&cut).unwrap();
        assert_eq!(content(8, r#"[{"content":"short"},{"content":"too"}]"#), None, "a long document of short strings is left alone");
    }

    #[test]
    fn json_in_a_string_of_json_stays_json_too() {
        let inner = serde_json::json!({ "city": "Llanfairpwllgwyngyll", "n": 1 }).to_string();
        let cut = content(10, &serde_json::json!({ "arguments": inner }).to_string()).unwrap();
        let outer: serde_json::Value = serde_json::from_str(&cut).unwrap();
        let inner: serde_json::Value = serde_json::from_str(outer["arguments"].as_str().unwrap()).unwrap();
        assert_eq!(inner, serde_json::json!({ "city": "Llanfairpw… [truncated]", "n": 1 }));
    }

    #[test]
    fn what_only_begins_like_json_is_cut_as_text() {
        assert_eq!(content(6, "{not json at all").unwrap(), "{not j… [truncated]");
    }

    #[test]
    fn metadata_is_never_cut() {
        let long = "x".repeat(50);
        for key in ["gen_ai.response.id", "gen_ai.request.model", "tool.name", "tollgate.cost.price_id", "server.address"] {
            assert_eq!(cut(10, vec![pair("gen_ai.system", text("openai")), pair(key, text(&long))]), None, "{key}");
        }
        let call = serde_json::json!([{ "id": long, "name": long, "type": long, "content": "short" }]).to_string();
        assert_eq!(content(10, &call), None);
    }

    #[test]
    fn spans_without_a_model_are_left_alone() {
        let long = "x".repeat(50);
        assert_eq!(cut(10, vec![pair("order.note", text(&long))]), None);
        assert!(cut(10, vec![pair("order.note", text(&long)), pair("gen_ai.request.model", text("m"))]).is_some());
    }

    #[test]
    fn lists_maps_and_bytes_are_cut_inside_and_binary_is_not() {
        let long = || any(text("abcdefgh"));
        let list = V::ArrayValue(ArrayValue { values: vec![long(), any(text("ok"))] });
        let map = V::KvlistValue(KeyValueList { values: vec![pair("text", text("abcdefgh")), pair("role", text("abcdefgh"))] });
        let span = cut(
            5,
            vec![
                pair("gen_ai.prompt", list),
                pair("gen_ai.completion", map),
                pair("b", V::BytesValue(b"abcdefgh".to_vec())),
                pair("c", V::BytesValue(vec![0xff; 20])),
            ],
        )
        .unwrap();
        let short = || any(text("abcde… [truncated]"));
        assert_eq!(value(&span, "gen_ai.prompt"), &V::ArrayValue(ArrayValue { values: vec![short(), any(text("ok"))] }));
        let map = V::KvlistValue(KeyValueList { values: vec![pair("text", text("abcde… [truncated]")), pair("role", text("abcdefgh"))] });
        assert_eq!(value(&span, "gen_ai.completion"), &map);
        assert_eq!(value(&span, "b"), &V::BytesValue("abcde… [truncated]".as_bytes().to_vec()));
        assert_eq!(value(&span, "c"), &V::BytesValue(vec![0xff; 20]));
        assert_eq!(flagged(&span), ["b", "gen_ai.completion", "gen_ai.prompt"]);
    }

    #[test]
    fn events_are_cut_and_named_and_what_was_named_before_stays() {
        let named = V::ArrayValue(ArrayValue { values: vec![any(text("input.value"))] });
        let attributes = vec![pair("gen_ai.system", text("openai")), pair(CUT_KEYS, named)];
        let event = Event { name: "gen_ai.choice".into(), attributes: vec![pair("message", text("abcdefgh"))], ..Event::default() };
        let mut bytes = Span { attributes, events: vec![event], ..Span::default() }.encode_to_vec();
        put_bytes(&mut bytes, 999, b"an unknown field");
        let cut = super::span(&bytes, 5).unwrap();
        assert!(cut.windows(16).any(|w| w == b"an unknown field"));
        let span = Span::decode(&*cut).unwrap();
        assert_eq!(span.events[0].attributes, [pair("message", text("abcde… [truncated]"))]);
        assert_eq!(flagged(&span), ["input.value", "message"]);
    }
}
