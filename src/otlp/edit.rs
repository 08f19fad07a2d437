//! Attributes changed or taken out where they stand.
//!
//! Appending is nearly free, so it is the rule; a value that must not stay, or may not stand twice, is spliced out. All
//! other bytes stay as they are and where they are.

use crate::otlp::span::KeyValue;
use crate::otlp::wire::{Fields, Value, put_bytes};

/// What to do with one attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// Leave it as it is.
    Keep,
    /// Take it out.
    Remove,
    /// Put this encoded `AnyValue` in place of its value; the key stays.
    Replace(Vec<u8>),
}

/// Asks `decide` about each attribute (field `field`) of an encoded item. `None` where nothing changes.
pub fn attributes(item: &[u8], field: u32, mut decide: impl FnMut(KeyValue<'_>) -> Edit) -> Option<Vec<u8>> {
    let mut out: Option<Vec<u8>> = None;
    for f in Fields::new(item) {
        let edit = match f.value {
            Value::Len(pair) if f.number == field => decide(KeyValue::read(pair)),
            _ => Edit::Keep,
        };
        if edit == Edit::Keep {
            if let Some(out) = &mut out {
                out.extend_from_slice(&item[f.start..f.end]);
            }
            continue;
        }
        let out = out.get_or_insert_with(|| item[..f.start].to_vec());
        if let (Edit::Replace(value), Value::Len(pair)) = (edit, f.value) {
            put_bytes(out, field, &with_value(pair, &value));
        }
    }
    out
}

/// Takes out the attributes (field `field`) of an encoded item that give way to fields written behind it: those whose keys stand in
/// `added`, and those that `drops` names. `None` where there are none.
pub fn superseded(item: &[u8], field: u32, added: &[u8], drops: impl Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
    let pairs = Fields::new(added).filter_map(|f| match f.value {
        Value::Len(pair) if f.number == field => Some(KeyValue::read(pair).key),
        _ => None,
    });
    let keys: Vec<&[u8]> = pairs.collect();
    attributes(item, field, |pair| if keys.contains(&pair.key) || drops(pair.key) { Edit::Remove } else { Edit::Keep })
}

/// An encoded `KeyValue` with another value; unknown fields stay.
fn with_value(pair: &[u8], value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(pair.len() + value.len());
    for f in Fields::new(pair) {
        if f.number != 2 {
            out.extend_from_slice(&pair[f.start..f.end]);
        }
    }
    put_bytes(&mut out, 2, value);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::append::Attributes;
    use opentelemetry_proto::tonic::trace::v1::Span;
    use prost::Message;

    fn span() -> Vec<u8> {
        let mut bytes = Span { name: "chat".into(), ..Span::default() }.encode_to_vec();
        let mut attributes = Attributes::of_span(&mut bytes);
        attributes.str("a", "1");
        attributes.int("b", 2);
        attributes.str("a", "3");
        bytes.extend_from_slice(&[16 << 3 | 5, 0x81, 1, 1, 0, 0]); // flags, with a two-byte tag
        bytes[..].to_vec()
    }

    #[test]
    fn nothing_to_do_copies_nothing() {
        assert_eq!(attributes(&span(), 9, |_| Edit::Keep), None);
    }

    #[test]
    fn every_occurrence_of_a_key_can_go_and_the_rest_stays_in_place() {
        let out = attributes(&span(), 9, |pair| if pair.key == b"a" { Edit::Remove } else { Edit::Keep }).unwrap();
        let read = Span::decode(&out[..]).unwrap();
        assert_eq!(read.attributes.iter().map(|a| a.key.as_str()).collect::<Vec<_>>(), ["b"]);
        assert_eq!(read.name, "chat");
    }

    #[test]
    fn a_replaced_value_keeps_its_place_and_key() {
        let value = [0x0a, 1, b'x'].to_vec();
        let out = attributes(&span(), 9, |pair| if pair.key == b"b" { Edit::Replace(value.clone()) } else { Edit::Keep }).unwrap();
        let keys: Vec<_> = Span::decode(&out[..]).unwrap().attributes.into_iter().map(|a| a.key).collect();
        assert_eq!(keys, ["a", "b", "a"]);
        let b = &Span::decode(&out[..]).unwrap().attributes[1];
        assert_eq!(format!("{:?}", b.value), "Some(AnyValue { value: Some(StringValue(\"x\")) })");
    }

    #[test]
    fn what_is_added_takes_the_place_of_what_stood_there() {
        let mut added = Vec::new();
        let mut attributes = Attributes::of_span(&mut added);
        attributes.int("a", 9);
        attributes.int("c", 1);
        let keys = |bytes: Vec<u8>| Span::decode(&*bytes).unwrap().attributes.into_iter().map(|a| a.key).collect::<Vec<_>>();
        assert_eq!(keys(superseded(&span(), 9, &added, |_| false).unwrap()), ["b"]);
        assert_eq!(keys(superseded(&span(), 9, &[], |key| key == b"b").unwrap()), ["a", "a"]);
        assert_eq!(superseded(&span(), 9, &[], |_| false), None);
    }
}
