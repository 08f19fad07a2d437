//! Members of JSON texts, found without building a tree.
//!
//! Some vocabularies put usage, parameters or whole answers into one string. A few members matter, so the text is walked
//! once per member and everything else is skipped: no allocation, and nothing that a deep or huge text could blow up.

use crate::enrich::finish::Reasons;
use crate::enrich::number;
use crate::enrich::scan::plain;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// How deep structure is followed when finish reasons are looked for: `response.output.choices[].message…` is five.
const MAX_DEPTH: u8 = 12;

/// The raw JSON text at a path of member names joined by dots. Of a member that stands twice the first counts; `null` is absent.
pub(crate) fn member<'a>(text: &'a str, path: &str) -> Option<&'a str> {
    let mut at = text;
    for name in path.split('.') {
        at = child(at, name)?;
    }
    Some(at)
}

fn child<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    // Most paths are not there: a search for the name costs a tenth of a walk.
    if !text.trim_start().starts_with('{') || memchr::memmem::find(text.as_bytes(), name.as_bytes()).is_none() {
        return None;
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let found = deserializer.deserialize_map(Child { name });
    let raw = found.ok()??.get().trim();
    (raw != "null").then_some(raw)
}

struct Child<'n> {
    name: &'n str,
}

impl<'de> Visitor<'de> for Child<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(matches) = map.next_key_seed(Is(self.name))? {
            if matches && found.is_none() {
                found = Some(map.next_value::<&RawValue>()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// Whether a key is this text; nothing is copied.
struct Is<'n>(&'n str);

impl<'de> DeserializeSeed<'de> for Is<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Is<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<bool, E> {
        Ok(key == self.0)
    }
}

/// The text itself, or what it holds if it is a JSON string of JSON (MLflow).
pub(crate) fn object(text: &str) -> Cow<'_, str> {
    let text = text.trim();
    match text.starts_with('"').then(|| serde_json::from_str::<String>(text)) {
        Some(Ok(inner)) => Cow::Owned(inner),
        _ => Cow::Borrowed(text),
    }
}

/// A count at a path.
pub(crate) fn count(text: &str, path: &str) -> Option<u64> {
    member(text, path).and_then(number::from_text)
}

/// The first of these paths that holds a count.
pub(crate) fn first_count(text: &str, paths: &[&str]) -> Option<u64> {
    paths.iter().find_map(|path| count(text, path))
}

/// A name or id at a path. One with escapes in it is none.
pub(crate) fn name<'a>(text: &'a str, path: &str) -> Option<&'a str> {
    member(text, path).filter(|raw| raw.starts_with('"')).and_then(plain).filter(|name| !name.contains('\\'))
}

/// The raw elements of a JSON array; nothing for anything else.
pub(crate) fn elements(text: &str) -> Vec<&str> {
    serde_json::from_str::<Vec<&RawValue>>(text).map(|all| all.into_iter().map(RawValue::get).collect()).unwrap_or_default()
}

/// Adds the finish reasons that a provider's answer, or a framework's wrapping of it, holds in the places where answers hold them.
pub(crate) fn finish_reasons(text: &str, reasons: &mut Reasons) {
    let text = text.trim();
    // Cheap, and nearly always enough: most texts are prose or plain messages.
    if !text.starts_with(['{', '[', '"']) || !MARKS.iter().any(|mark| memchr::memmem::find(text.as_bytes(), mark.as_bytes()).is_some()) {
        return;
    }
    let text = object(text);
    let mut deserializer = serde_json::Deserializer::from_str(&text);
    // What was found before the text turned out to be no JSON still counts.
    let _ = Answer { reasons, depth: 0 }.deserialize(&mut deserializer);
}

/// Some part of every member name that is read.
const MARKS: [&str; 5] = ["finish_reason", "finishReason", "stop_reason", "stopReason", "incomplete_details"];

/// Something that can be an answer, a choice, a message or a list of them.
struct Answer<'r> {
    reasons: &'r mut Reasons,
    depth: u8,
}

impl<'de> DeserializeSeed<'de> for Answer<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.depth >= MAX_DEPTH {
            return deserializer.deserialize_ignored_any(IgnoredAny).map(drop);
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Answer<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Answer { reasons, depth } = self;
        while let Some(place) = map.next_key_seed(WhatIs)? {
            match place {
                Place::Reason => {
                    let raw = map.next_value::<&RawValue>()?.get();
                    if raw != "null" {
                        reasons.read(raw);
                    }
                }
                Place::Structure => map.next_value_seed(Answer { reasons: &mut *reasons, depth: depth + 1 })?,
                Place::Incomplete => {
                    let raw = map.next_value::<&RawValue>()?.get();
                    if let Some(reason) = name(raw, "reason") {
                        reasons.add(reason);
                    }
                }
                Place::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Answer { reasons, depth } = self;
        while seq.next_element_seed(Answer { reasons: &mut *reasons, depth: depth + 1 })?.is_some() {}
        Ok(())
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
}

/// What a member of an answer is.
enum Place {
    Reason,
    Incomplete,
    Structure,
    Other,
}

struct WhatIs;

impl<'de> DeserializeSeed<'de> for WhatIs {
    type Value = Place;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Place, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for WhatIs {
    type Value = Place;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<Place, E> {
        Ok(match key {
            "finish_reason" | "finishReason" | "finish_reasons" | "stop_reason" | "stopReason" => Place::Reason,
            "incomplete_details" => Place::Incomplete,
            // Not `content`, `arguments`, `messages`: those hold what people and tools said.
            "choices" | "candidates" | "generations" | "message" | "kwargs" | "response_metadata" | "generation_info" | "llm_output"
            | "response" | "output" | "outputs" | "result" | "results" | "data" | "delta" | "body" | "metadata" | "responseMetadata"
            | "raw" | "additional_kwargs" => Place::Structure,
            _ => Place::Other,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrich::finish::Finish;
    use proptest::prelude::*;

    fn worst(text: &str) -> Option<Finish> {
        let mut reasons = Reasons::default();
        finish_reasons(text, &mut reasons);
        reasons.worst()
    }

    #[test]
    fn a_member_is_found_at_its_path_and_nowhere_else() {
        let text = r#"{"a":{"b":12,"c":"x"},"b":"13","n":null,"e":"a\"b","b":14}"#;
        assert_eq!(count(text, "a.b"), Some(12));
        assert_eq!(count(text, "b"), Some(13));
        assert_eq!(name(text, "a.c"), Some("x"));
        for absent in ["c", "a", "n", "a.b.c", "e", "", "."] {
            assert_eq!(count(text, absent), None, "{absent}");
        }
        assert_eq!(name(text, "e"), None);
    }

    #[test]
    fn a_text_that_is_no_json_has_no_members() {
        for text in ["", "{", "[1]", "{\"a\":", "a", "{\"a\":1}}", "\"{\\\"a\\\":1}\""] {
            let _ = count(text, "a");
        }
        assert_eq!(count("{\"a\":1", "a"), None);
        assert_eq!(count(&object("\"{\\\"a\\\":1}\""), "a"), Some(1));
    }

    #[test]
    fn finish_reasons_are_read_where_answers_hold_them() {
        assert_eq!(worst(r#"{"choices":[{"finish_reason":"stop"},{"finish_reason":"length"}]}"#), Some(Finish::Length));
        assert_eq!(worst(r#"{"stop_reason":"max_tokens","content":[]}"#), Some(Finish::Length));
        assert_eq!(worst(r#"{"stopReason":"max_tokens"}"#), Some(Finish::Length));
        assert_eq!(worst(r#"{"candidates":[{"finishReason":2}]}"#), Some(Finish::Length));
        assert_eq!(worst(r#"{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"}}"#), Some(Finish::Length));
        assert_eq!(
            worst(r#"{"generations":[[{"message":{"kwargs":{"response_metadata":{"finish_reason":"length"}}}}]]}"#),
            Some(Finish::Length)
        );
        assert_eq!(worst(r#""{\"stop_reason\":\"max_tokens\"}""#), Some(Finish::Length));
    }

    #[test]
    fn what_people_said_is_not_a_finish_reason() {
        assert_eq!(worst(r#"{"messages":[{"finish_reason":"length"}],"content":{"stop_reason":"max_tokens"}}"#), None);
        assert_eq!(worst("the finish_reason was length"), None);
        assert_eq!(worst(r#"{"finish_reason":null,"choices":[{"finish_reason":null}]}"#), None);
    }

    #[test]
    fn a_deep_text_is_given_up_and_not_followed() {
        let deep = format!("{}{}", "[".repeat(100_000), "\"finish_reason\"");
        assert_eq!(worst(&deep), None);
        let deep = format!("{{\"finish_reason\":{}", "{\"output\":".repeat(100_000));
        let _ = (worst(&deep), member(&deep, "finish_reason"));
    }

    proptest! {
        #[test]
        fn any_text_is_walked_without_a_panic(text in "[\\[\\]{}:,\"a-z0-9 \\\\_.]{0,200}") {
            let _ = (worst(&text), member(&text, "a.b"), elements(&text), object(&text));
            let _ = worst(&format!("{{\"finish_reason\":{text}"));
        }
    }
}
