//! The tree as a serde deserializer.
//!
//! Values are read by the type that asks, not by how they look: `off` is a word for an enum and false for a
//! flag, `1.10` keeps its zero for a text. An empty `section:` is a section with every default.

use super::error::{Error, Found};
use super::tree::{Key, Kind, Node, Reading, Segment};
use serde::de::{self, DeserializeSeed, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;
use std::cell::RefCell;
use std::collections::HashSet;

/// One read of the whole tree.
#[derive(Default)]
pub(super) struct Pass {
    /// The nodes a `Secret` was read from, by address; valid until the tree is changed.
    pub(super) secrets: RefCell<HashSet<usize>>,
    /// The collections given to a reader that did not say what it wants: serde may have put them aside, and
    /// what it finds wrong in them later has lost its place.
    pub(super) buffered: RefCell<HashSet<usize>>,
}

/// A value about to be read.
#[derive(Clone, Copy)]
pub(super) struct De<'de> {
    pub(super) node: &'de Node,
    pub(super) pass: &'de Pass,
}

/// Identity of a node during one pass.
pub(super) fn address(node: &Node) -> usize {
    std::ptr::from_ref(node).addr()
}

impl<'de> De<'de> {
    fn found(self) -> Found {
        match &self.node.kind {
            Kind::Null => Found::Nothing,
            Kind::Scalar { text, plain: false } => Found::Text { text: text.clone(), address: text.as_ptr().addr() },
            Kind::Scalar { text, plain: true } if is_plain_value(text) => Found::Plain(text.clone()),
            Kind::Scalar { text, .. } => Found::Text { text: text.clone(), address: text.as_ptr().addr() },
            Kind::Seq(_) => Found::List,
            Kind::Map(_) => Found::Map,
        }
    }

    fn scalar(self, expected: &str) -> Result<&'de str, Error> {
        match &self.node.kind {
            Kind::Scalar { text, .. } => Ok(text),
            _ => Err(Error::wrong(self.found(), expected)),
        }
    }

    fn seq<V: Visitor<'de>>(self, items: &'de [Node], visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(Items { items: items.iter().enumerate(), pass: self.pass })
    }

    fn map<V: Visitor<'de>>(self, entries: &'de [(Key, Node)], visitor: V) -> Result<V::Value, Error> {
        visitor.visit_map(Entries { entries: entries.iter(), current: None, pass: self.pass })
    }
}

/// The truth values a flag takes; those of YAML 1.1 are what people write.
fn truth(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

fn number(text: &str) -> Option<f64> {
    // Rust also reads "inf" and "nan", which are words here.
    let numeric = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'));
    text.parse::<f64>().ok().filter(|value| numeric && value.is_finite())
}

fn is_plain_value(text: &str) -> bool {
    number(text).is_some() || matches!(text, "true" | "True" | "TRUE" | "false" | "False" | "FALSE")
}

/// Hands a scalar over as what it looks like, for readers that do not say what they want.
fn untyped<'de, V: Visitor<'de>>(text: &'de str, words: bool, visitor: V) -> Result<V::Value, Error> {
    if let Ok(value) = text.parse::<u64>() {
        return visitor.visit_u64(value);
    }
    if let Ok(value) = text.parse::<i64>() {
        return visitor.visit_i64(value);
    }
    if let Some(value) = number(text) {
        return visitor.visit_f64(value);
    }
    match truth(text) {
        Some(value) if words || matches!(text, "true" | "True" | "TRUE" | "false" | "False" | "FALSE") => visitor.visit_bool(value),
        _ => visitor.visit_borrowed_str(text),
    }
}

fn not_whole(text: &str, found: Found, least: i128, most: i128) -> Error {
    let range = || format!("expected a whole number from {least} to {most}, found {text}");
    match text.parse::<i128>() {
        Ok(value) if value < 0 && least == 0 => {
            de::Error::custom(format_args!("{value} is negative; expected a whole number of 0 or more"))
        }
        Ok(_) => de::Error::custom(range()),
        Err(_) => Error::wrong(found, "a whole number"),
    }
}

macro_rules! integers {
    ($($method:ident $visit:ident $type:ty;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            let text = self.scalar("a whole number")?;
            match text.parse::<$type>() {
                Ok(value) => visitor.$visit(value),
                Err(_) => Err(not_whole(text, self.found(), i128::from(<$type>::MIN), i128::from(<$type>::MAX))),
            }
        }
    )*};
}

impl<'de> de::Deserializer<'de> for De<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if matches!(self.node.kind, Kind::Map(_) | Kind::Seq(_)) {
            self.pass.buffered.borrow_mut().insert(address(self.node));
        }
        match (&self.node.kind, self.node.reading) {
            (Kind::Null, Reading::EmptyMap) => self.map(&[], visitor),
            (Kind::Null, Reading::EmptySeq) => self.seq(&[], visitor),
            (Kind::Null, _) => visitor.visit_unit(),
            (Kind::Scalar { text, .. }, Reading::Typed) => untyped(text, true, visitor),
            (Kind::Scalar { text, plain: true }, Reading::AsWritten) => untyped(text, false, visitor),
            (Kind::Scalar { text, .. }, _) => visitor.visit_borrowed_str(text),
            (Kind::Seq(items), _) => self.seq(items, visitor),
            (Kind::Map(entries), _) => self.map(entries, visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match truth(self.scalar("true or false")?) {
            Some(value) => visitor.visit_bool(value),
            None => Err(Error::wrong(self.found(), "true or false")),
        }
    }

    integers! {
        deserialize_u8 visit_u8 u8;
        deserialize_u16 visit_u16 u16;
        deserialize_u32 visit_u32 u32;
        deserialize_u64 visit_u64 u64;
        deserialize_i8 visit_i8 i8;
        deserialize_i16 visit_i16 i16;
        deserialize_i32 visit_i32 i32;
        deserialize_i64 visit_i64 i64;
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match number(self.scalar("a number")?) {
            Some(value) => visitor.visit_f64(value),
            None => Err(Error::wrong(self.found(), "a number")),
        }
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_str(self.scalar("text")?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_bytes(self.scalar("text")?.as_bytes())
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if matches!(self.node.kind, Kind::Null) { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.kind {
            Kind::Null => visitor.visit_unit(),
            Kind::Map(entries) if entries.is_empty() => visitor.visit_unit(),
            _ => Err(Error::wrong(self.found(), "nothing")),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Error> {
        if name == crate::units::SECRET_NAME {
            self.pass.secrets.borrow_mut().insert(address(self.node));
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.kind {
            Kind::Seq(items) => self.seq(items, visitor),
            Kind::Null => self.seq(&[], visitor),
            Kind::Scalar { .. } | Kind::Map(_) => Err(Error::wrong(self.found(), "a sequence")),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _length: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(self, _name: &'static str, _length: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.kind {
            Kind::Map(entries) => self.map(entries, visitor),
            Kind::Null => self.map(&[], visitor),
            Kind::Scalar { .. } | Kind::Seq(_) => Err(Error::wrong(self.found(), "a map")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(self, _: &'static str, _: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(self, _: &'static str, names: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        match &self.node.kind {
            Kind::Scalar { text, .. } => visitor.visit_enum(de::value::BorrowedStrDeserializer::<Error>::new(text)),
            Kind::Map(entries) => {
                let mut live = entries.iter().filter(|(_, node)| node.pruned.is_none());
                match (live.next(), live.next()) {
                    (Some((key, node)), None) => visitor.visit_enum(Variant { key, content: De { node, pass: self.pass } }),
                    (None, _) => Err(Error::wrong(Found::Nothing, &one_of(names))),
                    (Some(_), Some(_)) => {
                        Err(de::Error::custom(format_args!("has more than one key; write exactly one of {}", names.join(", "))))
                    }
                }
            }
            Kind::Null | Kind::Seq(_) => Err(Error::wrong(self.found(), &one_of(names))),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }
}

fn one_of(names: &[&str]) -> String {
    format!("one of {}", names.join(", "))
}

struct Items<'de> {
    items: std::iter::Enumerate<std::slice::Iter<'de, Node>>,
    pass: &'de Pass,
}

impl<'de> de::SeqAccess<'de> for Items<'de> {
    type Error = Error;
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Some((index, node)) = self.items.find(|(_, node)| node.pruned.is_none()) else { return Ok(None) };
        seed.deserialize(De { node, pass: self.pass }).map(Some).map_err(|error| error.within(Segment::Index(index)))
    }
}

struct Entries<'de> {
    entries: std::slice::Iter<'de, (Key, Node)>,
    current: Option<&'de (Key, Node)>,
    pass: &'de Pass,
}

impl<'de> de::MapAccess<'de> for Entries<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        self.current = self.entries.find(|(_, node)| node.pruned.is_none());
        let Some((key, _)) = self.current else { return Ok(None) };
        seed.deserialize(KeyDe(&key.name)).map(Some).map_err(|error| error.about_key(&key.name))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        // serde asks for a value only after its key.
        let Some((key, node)) = self.current.take() else { return Err(de::Error::custom("a value was asked for before its key")) };
        seed.deserialize(De { node, pass: self.pass }).map_err(|error| error.within(Segment::Key(key.name.clone())))
    }
}

/// `name: content` as an enum.
struct Variant<'de> {
    key: &'de Key,
    content: De<'de>,
}

impl<'de> de::EnumAccess<'de> for Variant<'de> {
    type Error = Error;
    type Variant = Content<'de>;
    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Content<'de>), Error> {
        let name = seed.deserialize(KeyDe(&self.key.name)).map_err(|error| error.about_key(&self.key.name))?;
        Ok((name, Content { key: self.key, content: self.content }))
    }
}

struct Content<'de> {
    key: &'de Key,
    content: De<'de>,
}

impl Content<'_> {
    fn within(&self) -> impl FnOnce(Error) -> Error + use<> {
        let segment = Segment::Key(self.key.name.clone());
        move |error| error.within(segment)
    }
}

impl<'de> de::VariantAccess<'de> for Content<'de> {
    type Error = Error;
    fn unit_variant(self) -> Result<(), Error> {
        let within = self.within();
        <() as serde::Deserialize>::deserialize(self.content).map_err(within)
    }
    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        let within = self.within();
        seed.deserialize(self.content).map_err(within)
    }
    fn tuple_variant<V: Visitor<'de>>(self, _length: usize, visitor: V) -> Result<V::Value, Error> {
        let within = self.within();
        de::Deserializer::deserialize_seq(self.content, visitor).map_err(within)
    }
    fn struct_variant<V: Visitor<'de>>(self, _fields: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        let within = self.within();
        de::Deserializer::deserialize_map(self.content, visitor).map_err(within)
    }
}

/// A key: text, unless a number is asked for.
#[derive(Clone, Copy)]
struct KeyDe<'de>(&'de str);

macro_rules! integer_keys {
    ($($method:ident $visit:ident $type:ty;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match self.0.parse::<$type>() {
                Ok(value) => visitor.$visit(value),
                Err(_) => {
                    let found = Found::Text { text: self.0.to_owned(), address: 0 };
                    Err(not_whole(self.0, found, i128::from(<$type>::MIN), i128::from(<$type>::MAX)))
                }
            }
        }
    )*};
}

impl<'de> de::Deserializer<'de> for KeyDe<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_str(self.0)
    }
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }
    fn deserialize_enum<V: Visitor<'de>>(self, _: &'static str, _: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        visitor.visit_enum(self.0.into_deserializer())
    }

    integer_keys! {
        deserialize_u8 visit_u8 u8;
        deserialize_u16 visit_u16 u16;
        deserialize_u32 visit_u32 u32;
        deserialize_u64 visit_u64 u64;
        deserialize_i32 visit_i32 i32;
        deserialize_i64 visit_i64 i64;
    }

    forward_to_deserialize_any! {
        bool i8 i16 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}
