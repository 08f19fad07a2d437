//! Holds where a span, or an event of one, meets an expression in the language of the Collector.

use crate::otlp::span::{Any, EventView};
use crate::sample::conditions::ottl::{self, Node, Path};
use crate::sample::conditions::{Fault, Test};
use serde::Deserialize;

/// `{ type: ottl_condition, span: ['attributes["http.route"] == "/chat" and kind == SPAN_KIND_SERVER'] }`: one of the expressions.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OttlCondition {
    #[serde(default)]
    span: Vec<String>,
    #[serde(default)]
    spanevent: Vec<String>,
    /// The Collector's; accepted, because an expression that loads cannot fail.
    #[serde(default, rename = "error_mode")]
    _error_mode: ErrorMode,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ErrorMode {
    #[default]
    Ignore,
    Silent,
    Propagate,
}

impl OttlCondition {
    pub(super) fn compile(&self) -> Result<Test, Fault> {
        if self.span.is_empty() && self.spanevent.is_empty() {
            return Err(("span", "is missing; set it, or spanevent".into()));
        }
        let parse = |key: &'static str, list: &[String]| -> Result<Vec<Node>, Fault> {
            list.iter()
                .map(|text| ottl::parse(text, key == "spanevent").map_err(|part| (key, format!("holds \"{text}\", of which {part}"))))
                .collect()
        };
        Ok(Test::Ottl { spans: parse("span", &self.span)?, events: parse("spanevent", &self.spanevent)? })
    }
}

/// Whether an event meets an expression.
pub(in crate::sample) fn event_meets(node: &Node, event: &EventView<'_>) -> bool {
    match node {
        Node::Or(parts) => parts.iter().any(|part| event_meets(part, event)),
        Node::And(parts) => parts.iter().all(|part| event_meets(part, event)),
        Node::Not(part) => !event_meets(part, event),
        Node::Is(value) => *value,
        Node::Compare(Path::Attribute(_, key), test) => {
            let found = event.attributes().find(|pair| pair.key == key.as_bytes());
            test.holds(found.map_or(Any::None, |pair| pair.any()))
        }
        Node::Compare(Path::Name, test) => test.holds(text(event.name)),
        // Other paths are not accepted for events.
        Node::Root | Node::Compare(..) => false,
    }
}

/// Bytes that should be text.
pub(in crate::sample) fn text(bytes: &[u8]) -> Any<'_> {
    std::str::from_utf8(bytes).map_or(Any::Bytes(bytes), Any::Str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_that_cannot_be_taken_is_refused_with_its_part() {
        let compile = |text: &str| serde_yaml::from_str::<OttlCondition>(text).unwrap().compile();
        let (key, message) = compile("{ error_mode: ignore, span: ['Hex(trace_id) == \"a\"'] }").unwrap_err();
        assert_eq!(key, "span");
        assert!(message.contains("Hex(trace_id)") && message.contains("`Hex`"), "{message}");
        assert_eq!(compile("{ }").unwrap_err().0, "span");
        assert!(compile("{ spanevent: ['name != \"x\"'] }").is_ok());
    }
}
