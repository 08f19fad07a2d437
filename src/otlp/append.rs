//! Attributes written behind an encoded item.
//!
//! A protobuf message is a sequence of fields and repeated fields may stand anywhere in it, so adding an attribute is
//! appending bytes; only the lengths around the item change, and they are written when it leaves.

use crate::otlp::wire::{framed_len, put_bytes, put_frame, put_varint, varint_len};

/// The field that holds the attributes of a span.
pub const SPAN_ATTRIBUTES: u32 = 9;

/// Writes attributes of one kind of item (or of a list of key-value pairs) to the end of `out`.
#[derive(Debug)]
pub struct Attributes<'a> {
    out: &'a mut Vec<u8>,
    field: u32,
}

impl<'a> Attributes<'a> {
    /// For spans.
    pub fn of_span(out: &'a mut Vec<u8>) -> Attributes<'a> {
        Attributes { out, field: SPAN_ATTRIBUTES }
    }

    /// For items whose attributes stand in field `field`, at most 15.
    pub fn in_field(out: &'a mut Vec<u8>, field: u32) -> Attributes<'a> {
        Attributes { out, field }
    }

    /// Adds a string.
    pub fn str(&mut self, key: &str, value: &str) {
        self.pair(key, framed_len(value.len()));
        put_bytes(self.out, 1, value.as_bytes());
    }

    /// Adds a boolean.
    pub fn bool(&mut self, key: &str, value: bool) {
        self.pair(key, 2);
        self.out.extend_from_slice(&[2 << 3, u8::from(value)]);
    }

    /// Adds an integer.
    pub fn int(&mut self, key: &str, value: i64) {
        self.pair(key, 1 + varint_len(value as u64));
        self.out.push(3 << 3);
        put_varint(self.out, value as u64);
    }

    /// Adds a double.
    pub fn double(&mut self, key: &str, value: f64) {
        self.pair(key, 9);
        self.out.push(4 << 3 | 1);
        self.out.extend_from_slice(&value.to_le_bytes());
    }

    /// Adds an array of strings.
    pub fn strs<'s>(&mut self, key: &str, values: impl Iterator<Item = &'s str> + Clone) {
        let element = |value: &str| framed_len(framed_len(value.len()));
        let array: usize = values.clone().map(element).sum();
        self.pair(key, framed_len(array));
        put_frame(self.out, 5, array);
        for value in values {
            put_frame(self.out, 1, framed_len(value.len()));
            put_bytes(self.out, 1, value.as_bytes());
        }
    }

    /// Writes everything up to the content of the `AnyValue`, which takes `value` bytes.
    fn pair(&mut self, key: &str, value: usize) {
        put_frame(self.out, self.field, framed_len(key.len()) + framed_len(value));
        put_bytes(self.out, 1, key.as_bytes());
        put_frame(self.out, 2, value);
    }
}

/// Writes a tracestate behind a span. A singular field may stand twice; the last one counts.
pub fn trace_state(out: &mut Vec<u8>, state: &str) {
    put_bytes(out, 3, state.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    use opentelemetry_proto::tonic::trace::v1::Span;
    use prost::Message;

    #[test]
    fn appended_attributes_are_read_by_prost_in_order() {
        let span = Span { name: "chat".into(), trace_state: "a=b".into(), ..Span::default() };
        let mut bytes = span.encode_to_vec();
        let mut attributes = Attributes::of_span(&mut bytes);
        attributes.str("s", "text");
        attributes.bool("b", false);
        attributes.int("i", -1);
        attributes.double("d", 0.0145);
        attributes.strs("a", ["stop", ""].into_iter());
        trace_state(&mut bytes, "ot=th:8");
        let read = Span::decode(&bytes[..]).unwrap();
        assert_eq!((read.name.as_str(), read.trace_state.as_str()), ("chat", "ot=th:8"));
        let values: Vec<_> = read.attributes.iter().map(|a| a.value.clone().unwrap().value.unwrap()).collect();
        assert_eq!(values[0], Value::StringValue("text".into()));
        assert_eq!(values[1], Value::BoolValue(false));
        assert_eq!(values[2], Value::IntValue(-1));
        assert_eq!(values[3], Value::DoubleValue(0.0145));
        let Value::ArrayValue(array) = &values[4] else { panic!("not an array") };
        assert_eq!(array.values.len(), 2);
    }
}
