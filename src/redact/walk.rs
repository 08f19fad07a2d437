//! Every place of a span, a log record and what stands around them that can hold text of people.
//!
//! The walk follows the wire format and rewrites only messages in which something was found: an item without findings
//! is not copied, and all bytes outside findings stay as they are. Lengths are rebuilt from the inside out.

use crate::otlp::wire::{Field, Fields, Value, put_bytes};
use crate::redact::keys::is_metadata;
use crate::redact::{Findings, Redactor};
use std::borrow::Cow;

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
            (Message::Span, 5) | (Message::Status, 2) => Holds::Text,
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
}

impl Walk<'_> {
    /// The message with everything private replaced, or `None` where there was nothing.
    pub(in crate::redact) fn message(&mut self, kind: Message, bytes: &[u8]) -> Option<Vec<u8>> {
        rewrite(bytes, |field, content| {
            let new = match kind.field(field.number) {
                Holds::Text => self.text(content, None)?.into_bytes(),
                Holds::Attribute => self.attribute(content)?,
                Holds::Body => self.value(content, None)?,
                Holds::Message(inner) => self.message(inner, content)?,
                Holds::Nothing => return None,
            };
            Some((field.number, new))
        })
    }

    fn text(&mut self, text: &[u8], key: Option<&str>) -> Option<String> {
        // Text that is not UTF-8 was refused at the door; what could still come here is an unknown field.
        self.redactor.text(std::str::from_utf8(text).ok()?, key, self.findings)
    }

    fn attribute(&mut self, pair: &[u8]) -> Option<Vec<u8>> {
        let key = key_of(pair);
        if is_metadata(&key) {
            return None;
        }
        self.pair(pair, &key)
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
        if let Some(number) = int_of(value) {
            return self.int(number, key);
        }
        rewrite(value, |field, content| match field.number {
            1 => Some((1, self.text(content, key)?.into_bytes())),
            5 => Some((5, rewrite(content, |_, element| Some((1, self.value(element, key)?)))?)),
            6 => Some((6, self.list(content)?)),
            // Bytes that are text are text; others are left alone.
            7 => Some((7, self.text(content, key)?.into_bytes())),
            _ => None,
        })
    }

    /// A card number that was sent as an integer becomes a string.
    fn int(&mut self, number: i64, key: Option<&str>) -> Option<Vec<u8>> {
        let token = self.redactor.int(number, key, self.findings)?;
        let mut value = Vec::new();
        put_bytes(&mut value, 1, token.as_bytes());
        Some(value)
    }

    /// A `KeyValueList`: keys of maps can be private too. A redacted key that is there already gets a number.
    fn list(&mut self, list: &[u8]) -> Option<Vec<u8>> {
        let mut taken: Vec<String> = Vec::new();
        rewrite(list, |_, pair| {
            let key = key_of(pair).into_owned();
            let with_value = self.pair(pair, &key);
            let new_key = if self.redactor.scans_keys() { self.redactor.text(&key, None, self.findings) } else { None };
            let Some(new_key) = new_key else { return Some((1, with_value?)) };
            let count = taken.iter().filter(|k| **k == new_key).count();
            taken.push(new_key.clone());
            let new_key = if count == 0 { new_key } else { format!("{new_key}#{}", count + 1) };
            let pair = with_value.as_deref().unwrap_or(pair);
            Some((1, rewrite(pair, |field, _| (field.number == 1).then(|| (1, new_key.clone().into_bytes())))?))
        })
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
    match Fields::new(value).last()? {
        Field { number: 3, value: Value::Varint(n), .. } => Some(n as i64),
        _ => None,
    }
}

/// Asks about each length-delimited field; what it gives back takes the field's place. `None` where nothing changed.
pub(in crate::redact) fn rewrite(message: &[u8], mut replace: impl FnMut(&Field<'_>, &[u8]) -> Option<(u32, Vec<u8>)>) -> Option<Vec<u8>> {
    let mut out: Option<Vec<u8>> = None;
    for field in Fields::new(message) {
        let new = match field.value {
            Value::Len(content) => replace(&field, content),
            _ => None,
        };
        match (new, &mut out) {
            (Some((number, content)), out) => {
                let out = out.get_or_insert_with(|| {
                    let mut copy = Vec::with_capacity(message.len());
                    copy.extend_from_slice(&message[..field.start]);
                    copy
                });
                put_bytes(out, number, &content);
            }
            (None, Some(out)) => out.extend_from_slice(&message[field.start..field.end]),
            (None, None) => {}
        }
    }
    out
}
