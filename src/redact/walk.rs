//! Every place of a span, a log record and what stands around them that can hold text of people.
//!
//! The walk follows the wire format and rewrites only messages in which something was found: an item without findings
//! is not copied, and all bytes outside findings stay as they are. Lengths are rebuilt from the inside out.

use crate::otlp::wire::{Field, Fields, Value, put_bytes};
use crate::redact::keys::is_metadata;
use crate::redact::names::Names;
use crate::redact::{Findings, Redactor};
use std::borrow::Cow;

/// Stands for bytes that are no text, where those may not leave.
const BINARY: &[u8] = b"[BINARY]";

/// The messages that hold text, by what their fields mean.
#[derive(Clone, Copy)]
pub(in crate::redact) enum Message {
    Span,
    Event,
    Link,
    Status,
    LogRecord,
    /// `ResourceSpans` without its scopes, or a sibling.
    ResourceHead,
    /// `ScopeSpans` without its items, or a sibling.
    ScopeHead,
    Resource,
    Scope,
}

/// What a field holds.
enum Holds {
    Text,
    Attribute,
    Body,
    Message(Message),
    Nothing,
}

impl Message {
    fn field(self, number: u32) -> Holds {
        match (self, number) {
            (Message::Span, 5) | (Message::Event, 2) | (Message::Status, 2) | (Message::LogRecord, 3 | 12) | (Message::Scope, 1) => {
                Holds::Text
            }
            (Message::Span, 9)
            | (Message::Event, 3)
            | (Message::Link, 4)
            | (Message::LogRecord, 6)
            | (Message::Resource, 1)
            | (Message::Scope, 3) => Holds::Attribute,
            (Message::LogRecord, 5) => Holds::Body,
            (Message::Span, 11) => Holds::Message(Message::Event),
            (Message::Span, 13) => Holds::Message(Message::Link),
            (Message::Span, 15) => Holds::Message(Message::Status),
            (Message::ResourceHead, 1) => Holds::Message(Message::Resource),
            (Message::ScopeHead, 1) => Holds::Message(Message::Scope),
            _ => Holds::Nothing,
        }
    }
}

/// One walk over one message.
pub(in crate::redact) struct Walk<'r> {
    pub(in crate::redact) redactor: &'r Redactor,
    pub(in crate::redact) findings: &'r mut Findings,
    /// Whether the attributes were written by the stages before this one. They copy values out of names and content, so a key that is
    /// metadata where a sender wrote it says nothing about them.
    pub(in crate::redact) copied: bool,
}

impl Walk<'_> {
    /// The message with everything private replaced, or `None` where there was nothing.
    pub(in crate::redact) fn message(&mut self, kind: Message, bytes: &[u8]) -> Option<Vec<u8>> {
        if matches!(kind, Message::Span)
            && self.redactor.joins_deltas()
            && let Some(joined) = self.deltas(bytes)
        {
            // What was found across events is replaced where it stands; no attribute of the span goes for it.
            self.findings.take_attribute_drop();
            return Some(self.fields(kind, &joined).unwrap_or(joined));
        }
        self.fields(kind, bytes)
    }

    /// The message with each of its fields redacted by itself.
    fn fields(&mut self, kind: Message, bytes: &[u8]) -> Option<Vec<u8>> {
        rewrite(bytes, |field, content| {
            let holds = kind.field(field.number);
            let new = match holds {
                Holds::Text => self.text(content, None).map(String::into_bytes),
                Holds::Attribute => self.attribute(content),
                Holds::Body => self.value(content, None),
                Holds::Message(inner) => self.message(inner, content),
                Holds::Nothing => None,
            };
            // Only an attribute can go for what stands in it; a name or a body keeps its place.
            let goes = self.findings.take_attribute_drop() && matches!(holds, Holds::Attribute);
            if goes { New::Gone } else { new.map(|new| (field.number, new)).into() }
        })
    }

    fn text(&mut self, text: &[u8], key: Option<&str>) -> Option<String> {
        // Text that is not UTF-8 was refused at the door; what could still come here is an unknown field.
        self.redactor.text(std::str::from_utf8(text).ok()?, key, self.findings)
    }

    fn attribute(&mut self, pair: &[u8]) -> Option<Vec<u8>> {
        let key = key_of(pair);
        let exempt = if self.copied { key.starts_with("tollgate.") } else { is_metadata(&key) };
        let with_value = if exempt { None } else { self.pair(pair, &key) };
        if !self.redactor.scans_attribute_names() {
            return with_value;
        }
        let Some(name) = self.redactor.text(&key, None, self.findings) else { return with_value };
        let pair = with_value.as_deref().unwrap_or(pair);
        rewrite(pair, |field, _| (field.number == 1).then(|| (1, name.clone().into_bytes())))
    }

    /// A `KeyValue`: its value, with the key as context.
    fn pair(&mut self, pair: &[u8], key: &str) -> Option<Vec<u8>> {
        rewrite(pair, |field, content| match field.number {
            2 => Some((2, self.value(content, Some(key))?)),
            _ => None,
        })
    }

    /// An `AnyValue`. Its depth was limited at the door.
    fn value(&mut self, value: &[u8], key: Option<&str>) -> Option<Vec<u8>> {
        if let Some(redacted) = int_of(value).and_then(|number| self.int(number, key)) {
            return Some(redacted);
        }
        // Of several fields the last one counts, but all of them leave.
        rewrite(value, |field, content| match field.number {
            1 => Some((1, self.text(content, key)?.into_bytes())),
            5 => Some((5, self.array(content, key)?)),
            6 => Some((6, self.list(content)?)),
            7 if self.redactor.drops_binary() && std::str::from_utf8(content).is_err() => Some((1, BINARY.to_vec())),
            // Stretches of bytes that are text are text; others are left alone.
            7 => Some((7, self.redactor.bytes(content, key, self.findings)?)),
            _ => None,
        })
    }

    /// An `ArrayValue`.
    fn array(&mut self, list: &[u8], key: Option<&str>) -> Option<Vec<u8>> {
        let joined = if self.redactor.joins_parts() { self.list_parts(list) } else { None };
        let redacted = rewrite(joined.as_deref().unwrap_or(list), |_, element| Some((1, self.value(element, key)?)));
        redacted.or(joined)
    }

    /// A card number that was sent as an integer becomes a string.
    fn int(&mut self, number: i64, key: Option<&str>) -> Option<Vec<u8>> {
        let token = self.redactor.int(number, key, self.findings)?;
        let mut value = Vec::new();
        put_bytes(&mut value, 1, token.as_bytes());
        Some(value)
    }

    /// A `KeyValueList`: keys of maps can be private too.
    fn list(&mut self, list: &[u8]) -> Option<Vec<u8>> {
        let mut new_keys = self.new_keys(list).into_iter().peekable();
        let mut at = 0;
        rewrite(list, |field, pair| {
            let with_value = self.pair(pair, &key_of(pair));
            let new_key = new_keys.next_if(|(of, _)| *of == at);
            at += 1;
            let Some((_, new_key)) = new_key else { return Some((field.number, with_value?)) };
            let mut pair = with_value.unwrap_or_else(|| pair.to_vec());
            // The last field counts; earlier ones would still hold the old key.
            pair = rewrite(&pair, |field, _| (field.number == 1).then(|| (1, new_key.clone().into_bytes())))?;
            Some((field.number, pair))
        })
    }

    /// The keys of a list that change, by the position of their pair. One that is there already gets a number.
    fn new_keys(&mut self, list: &[u8]) -> Vec<(usize, String)> {
        if !self.redactor.scans_keys() {
            return Vec::new();
        }
        let pairs = || Fields::new(list).filter_map(|field| if let Value::Len(pair) = field.value { Some(pair) } else { None });
        let mut new_keys: Vec<(usize, String)> =
            pairs().enumerate().filter_map(|(at, pair)| Some((at, self.redactor.text(&key_of(pair), None, self.findings)?))).collect();
        if new_keys.is_empty() {
            return new_keys;
        }
        let mut changed = new_keys.iter().map(|(at, _)| *at).peekable();
        let stay = pairs().enumerate().filter(|(at, _)| changed.next_if_eq(at).is_none());
        let mut names = Names::new(stay.map(|(_, pair)| key_of(pair).into_owned()));
        for (_, key) in &mut new_keys {
            if let Some(number) = names.take(key, "") {
                key.push_str(&format!("#{number}"));
            }
        }
        new_keys
    }
}

pub(in crate::redact) fn key_of(pair: &[u8]) -> Cow<'_, str> {
    let key = Fields::new(pair).filter_map(|f| match f.value {
        Value::Len(key) if f.number == 1 => Some(key),
        _ => None,
    });
    String::from_utf8_lossy(key.last().unwrap_or_default())
}

/// The integer of an `AnyValue`, where that is what it holds.
fn int_of(value: &[u8]) -> Option<i64> {
    // Decoders pass over fields they do not know.
    match Fields::new(value).filter(|field| (1..=7).contains(&field.number)).last()? {
        Field { number: 3, value: Value::Varint(n), .. } => Some(n as i64),
        _ => None,
    }
}

/// What becomes of a field.
pub(in crate::redact) enum New {
    /// It stays.
    Same,
    /// A field of this number and content takes its place.
    Put(u32, Vec<u8>),
    /// It goes.
    Gone,
}

impl From<Option<(u32, Vec<u8>)>> for New {
    fn from(new: Option<(u32, Vec<u8>)>) -> New {
        new.map_or(New::Same, |(number, content)| New::Put(number, content))
    }
}

/// Asks about each length-delimited field; what it gives back takes the field's place. `None` where nothing changed.
pub(in crate::redact) fn rewrite<N: Into<New>>(message: &[u8], mut replace: impl FnMut(&Field<'_>, &[u8]) -> N) -> Option<Vec<u8>> {
    let mut out: Option<Vec<u8>> = None;
    for field in Fields::new(message) {
        let new = match field.value {
            Value::Len(content) => replace(&field, content).into(),
            _ => New::Same,
        };
        if let New::Same = new {
            if let Some(out) = &mut out {
                out.extend_from_slice(&message[field.start..field.end]);
            }
            continue;
        }
        let out = out.get_or_insert_with(|| {
            let mut copy = Vec::with_capacity(message.len());
            copy.extend_from_slice(&message[..field.start]);
            copy
        });
        if let New::Put(number, content) = new {
            put_bytes(out, number, &content);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::Config;

    /// A message of one field, or several in a row.
    fn msg(fields: &[(u32, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        for (number, content) in fields {
            put_bytes(&mut out, *number, content);
        }
        out
    }

    fn attribute(key: &str, value: &[u8]) -> Vec<u8> {
        msg(&[(1, key.as_bytes()), (2, value)])
    }

    /// What the walk makes of the message; and that a second walk finds nothing.
    #[track_caller]
    fn walked(kind: Message, copied: bool, bytes: &[u8]) -> Option<Vec<u8>> {
        let redactor = Redactor::new(&Config::default()).unwrap();
        let mut findings = Findings::new();
        let mut walk = Walk { redactor: &redactor, findings: &mut findings, copied };
        let new = walk.message(kind, bytes);
        if let Some(new) = &new {
            assert_eq!(walk.message(kind, new), None, "not at rest");
        }
        new
    }

    #[track_caller]
    fn walked_with(yaml: &str, kind: Message, bytes: &[u8]) -> (Option<Vec<u8>>, Findings) {
        let redactor = Redactor::new(&serde_yaml::from_str(yaml).unwrap()).unwrap();
        let mut findings = Findings::new();
        let new = Walk { redactor: &redactor, findings: &mut findings, copied: false }.message(kind, bytes);
        (new, findings)
    }

    #[test]
    fn an_attribute_or_a_span_goes_for_what_stands_in_it() {
        let text = |text: &str| msg(&[(1, text.as_bytes())]);
        let nested = msg(&[(5, &msg(&[(1, &text("to bob@example.org"))]))]);
        let event = msg(&[(2, b"choice"), (3, &attribute("content", &text("bob@example.org")))]);
        let span =
            msg(&[(5, b"chat bob@example.org"), (9, &attribute("prompt", &nested)), (9, &attribute("other", &text("x"))), (11, &event)]);
        let (new, findings) = walked_with("entities: { EMAIL: drop_attribute }", Message::Span, &span);
        let left = msg(&[(5, b"chat [EMAIL]"), (9, &attribute("other", &text("x"))), (11, &msg(&[(2, b"choice")]))]);
        assert_eq!(new, Some(left));
        assert!(findings.count(crate::redact::Kind::Email) == 3 && !findings.drops_span());
        assert!(walked_with("entities: { EMAIL: drop_span }", Message::Span, &span).1.drops_span());
    }

    #[test]
    fn names_of_attributes_and_binary_go_where_it_is_asked_for() {
        let record = |key: &str, value: &[u8]| msg(&[(6, &attribute(key, value))]);
        let (text, binary) = (msg(&[(1, b"x")]), msg(&[(7, b"\xff\xfe")]));
        assert_eq!(walked_with("{}", Message::LogRecord, &record("bob@example.org", &text)).0, None);
        let named = walked_with("scan_attribute_names: true", Message::LogRecord, &record("bob@example.org", &text)).0;
        assert_eq!(named, Some(record("[EMAIL]", &text)));
        assert_eq!(walked_with("{}", Message::LogRecord, &record("k", &binary)).0, None);
        let dropped = walked_with("binary: drop", Message::LogRecord, &record("k", &binary)).0;
        assert_eq!(dropped, Some(record("k", &msg(&[(1, b"[BINARY]")]))));
    }

    #[test]
    fn names_of_events_and_records_and_severities_are_text() {
        for (kind, number) in
            [(Message::Event, 2), (Message::LogRecord, 3), (Message::LogRecord, 12), (Message::Scope, 1), (Message::Span, 5)]
        {
            assert_eq!(walked(kind, false, &msg(&[(number, b"to bob@example.org")])), Some(msg(&[(number, b"to [EMAIL]")])), "{number}");
            for name in ["gen_ai.content.prompt", "exception", "INFO", "claude_code.user_prompt", "ai.stream.firstChunk"] {
                assert_eq!(walked(kind, false, &msg(&[(number, name.as_bytes())])), None, "{name}");
            }
        }
    }

    #[test]
    fn scope_names_that_are_known_stay() {
        for name in [
            "opentelemetry.util.genai.handler",
            "opentelemetry.instrumentation.openai_v2",
            "opentelemetry.instrumentation.google_genai",
            "opentelemetry.instrumentation.botocore.bedrock-runtime",
            "opentelemetry.instrumentation.openai.v1",
            "opentelemetry.instrumentation.openai.v0",
            "opentelemetry.instrumentation.anthropic",
            "opentelemetry.instrumentation.langchain",
            "traceloop.tracer",
            "@traceloop/instrumentation-openai",
            "@traceloop/node-server-sdk",
            "@opentelemetry/instrumentation-openai",
            "com.anthropic.sdk.python",
            "openinference.instrumentation.llama_index",
            "@arizeai/openinference-instrumentation-openai",
            "@arizeai/openinference-vercel@2.3.4",
            "ai",
            "gen_ai",
            "mlflow.tracing.provider",
            "langfuse-sdk",
            "langsmith",
            "openlit.otel.tracing",
            "openlit.instrumentation.openai",
            "logfire.openai",
            "pydantic-ai",
            "litellm",
            "strands.telemetry.tracer",
            "gcp.vertex.agent",
            "com.anthropic.claude_code.events",
            "gemini-cli",
            "lmnr",
            "genkit-tracer",
            "org.springframework.boot",
            "livekit-agents",
            "github.com/open-telemetry/opentelemetry-go-contrib/instrumentation/net/http/otelhttp",
            "go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc",
            "io.opentelemetry.http-url-connection",
            "OpenAI.ChatClient",
            "Experimental.Microsoft.Extensions.AI",
        ] {
            assert_eq!(walked(Message::Scope, false, &msg(&[(1, name.as_bytes()), (2, b"1.2.3.4")])), None, "{name}");
        }
    }

    #[test]
    fn metadata_stays_where_it_was_sent_and_is_scanned_where_it_was_copied() {
        let text = |key: &str, text: &str| msg(&[(9, &attribute(key, &msg(&[(1, text.as_bytes())])))]);
        let model = text("gen_ai.request.model", "bob@example.org");
        assert_eq!(walked(Message::Span, false, &model), None);
        assert_eq!(walked(Message::Span, true, &model), Some(text("gen_ai.request.model", "[EMAIL]")));
        assert_eq!(walked(Message::Span, true, &text("tollgate.sampling.policy", "bob@example.org")), None);
        assert_eq!(walked(Message::Span, true, &text("gen_ai.request.model", "claude-sonnet-4-5-20250929")), None);
        assert_eq!(walked(Message::Span, true, &text("gen_ai.response.id", "chatcmpl-9J3uyL8mRZ1CHHxvO0")), None);
    }

    #[test]
    fn content_whose_key_ends_like_metadata_is_scanned() {
        let text = |key: &str, text: &str| msg(&[(9, &attribute(key, &msg(&[(1, text.as_bytes())])))]);
        let name = "langfuse.trace.metadata.customer.name";
        assert_eq!(walked(Message::Span, false, &text(name, "bob@example.org")), Some(text(name, "[EMAIL]")));
        assert_eq!(walked(Message::Span, false, &text("langsmith.metadata.user_id", "bob@example.org")), None);
    }

    #[test]
    fn bytes_are_scanned_between_those_that_are_no_text() {
        let body = |bytes: &[u8]| msg(&[(5, &msg(&[(7, bytes)]))]);
        assert_eq!(walked(Message::LogRecord, false, &body(b"\xff bob@example.org \xfe")), Some(body(b"\xff [EMAIL] \xfe")));
        assert_eq!(walked(Message::LogRecord, false, &body(b"\xff\x00\xfe nothing")), None);
    }

    #[test]
    fn a_string_that_an_int_overrules_is_scanned() {
        let with_int = |text: &str| {
            let mut value = msg(&[(1, text.as_bytes())]);
            value.extend([3 << 3, 7]);
            msg(&[(5, &value)])
        };
        assert_eq!(walked(Message::LogRecord, false, &with_int("bob@example.org")), Some(with_int("[EMAIL]")));
        assert_eq!(walked(Message::LogRecord, false, &with_int("bob")), None);
    }

    #[test]
    fn a_redacted_key_takes_a_name_that_is_free() {
        let map = |keys: &[&str]| {
            let pairs: Vec<Vec<u8>> = keys.iter().map(|key| attribute(key, &msg(&[(1, b"x")]))).collect();
            let fields: Vec<(u32, &[u8])> = pairs.iter().map(|pair| (1, pair.as_slice())).collect();
            msg(&[(5, &msg(&[(6, &msg(&fields))]))])
        };
        for (keys, to) in [
            (&["bob@example.org", "eve@example.org"][..], &["[EMAIL]", "[EMAIL]#2"][..]),
            (&["[EMAIL]", "bob@example.org"], &["[EMAIL]", "[EMAIL]#2"]),
            (&["bob@example.org", "[EMAIL]", "x"], &["[EMAIL]#2", "[EMAIL]", "x"]),
            (&["[EMAIL]#2", "bob@example.org", "eve@example.org"], &["[EMAIL]#2", "[EMAIL]", "[EMAIL]#3"]),
        ] {
            assert_eq!(walked(Message::LogRecord, false, &map(keys)), Some(map(to)), "{keys:?}");
        }
        assert_eq!(walked(Message::LogRecord, false, &map(&["[EMAIL]", "[EMAIL]"])), None);
    }
}
