//! `exporters`: a map whose keys say what the values are.
//!
//! The key is `type/name`, as Collector users write it, so which settings are valid below a key depends on
//! the key. The stage that sends offers one enum with a variant per type; here the type picks the variant.

use serde::de::{self, DeserializeSeed, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, forward_to_deserialize_any};
use std::collections::HashSet;
use std::fmt;
use std::marker::PhantomData;

/// Types under the names the Collector had for them.
const OLDER: [(&str, &str); 2] = [("otlp", "otlp_grpc"), ("otlphttp", "otlp_http")];

/// The configured destinations, in the order of the file.
///
/// `X` is an enum as serde derives it, one variant per type, each holding that type's settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Exporters<X>(Vec<Exporter<X>>);

/// One destination.
#[derive(Clone, Debug, PartialEq)]
pub struct Exporter<X> {
    /// The key.
    pub id: ExporterId,
    /// Its settings.
    pub config: X,
}

/// `otlp_http/langfuse`: the type and, if it has one, the name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExporterId {
    kind: String,
    name: Option<String>,
    written: String,
}

impl ExporterId {
    /// The type, in its newer spelling.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The part after the slash.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// As it stands in the file; what error paths need.
    pub fn as_written(&self) -> &str {
        &self.written
    }

    fn parse(written: &str, kinds: &'static [&'static str]) -> Result<ExporterId, IdError> {
        let (kind, name) = match written.split_once('/') {
            Some((kind, name)) => (kind, Some(name)),
            None => (written, None),
        };
        if kind.is_empty() {
            return Err(IdError::Say(format!("no exporter type; a key is type/name, and the types are {}", kinds.join(", "))));
        }
        let kind = OLDER.iter().find(|(older, _)| *older == kind).map_or(kind, |(_, newer)| newer);
        if !kinds.is_empty() && !kinds.contains(&kind) {
            return Err(IdError::UnknownKind(kind.to_owned()));
        }
        match name {
            Some(name) if name.trim().is_empty() => {
                Err(IdError::Say(format!("no name after \"{kind}/\"; add one, or leave the slash out")))
            }
            Some(name) if !name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/')) => {
                Err(IdError::Say("a name is made of letters, digits and _ - . /".to_owned()))
            }
            name => Ok(ExporterId { kind: kind.to_owned(), name: name.map(str::to_owned), written: written.to_owned() }),
        }
    }
}

/// With the newer spelling of the type.
impl fmt::Display for ExporterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{}/{name}", self.kind),
            None => f.write_str(&self.kind),
        }
    }
}

enum IdError {
    UnknownKind(String),
    Say(String),
}

impl<X> Default for Exporters<X> {
    fn default() -> Self {
        Exporters(Vec::new())
    }
}

impl<X> Exporters<X> {
    /// The destinations, in the order of the file.
    pub fn iter(&self) -> std::slice::Iter<'_, Exporter<X>> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// None configured.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<X> IntoIterator for Exporters<X> {
    type Item = Exporter<X>;
    type IntoIter = std::vec::IntoIter<Exporter<X>>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'de, X: Deserialize<'de>> Deserialize<'de> for Exporters<X> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ById<X>(PhantomData<X>);
        impl<'de, X: Deserialize<'de>> Visitor<'de> for ById<X> {
            type Value = Exporters<X>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a section of \"type/name: settings\" lines")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Exporters<X>, A::Error> {
                let kinds = kinds_of::<'de, X>();
                let (mut exporters, mut taken) = (Vec::new(), HashSet::new());
                while let Some(id) = map.next_key_seed(Id { kinds, taken: &mut taken })? {
                    let config = map.next_value_seed(Tagged { kind: &id.kind, content: PhantomData::<X> })?;
                    exporters.push(Exporter { id, config });
                }
                Ok(Exporters(exporters))
            }
        }
        deserializer.deserialize_map(ById(PhantomData))
    }
}

/// Reads a key, so that what is wrong with it is reported at the key.
struct Id<'a> {
    kinds: &'static [&'static str],
    taken: &'a mut HashSet<String>,
}

impl<'de> DeserializeSeed<'de> for Id<'_> {
    type Value = ExporterId;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<ExporterId, D::Error> {
        let written = String::deserialize(deserializer)?;
        let id = ExporterId::parse(&written, self.kinds).map_err(|error| match error {
            IdError::UnknownKind(kind) => de::Error::unknown_variant(&kind, self.kinds),
            IdError::Say(message) => de::Error::custom(message),
        })?;
        if !self.taken.insert(id.to_string()) {
            return Err(de::Error::custom(format_args!("\"{id}\" is already there under its other spelling")));
        }
        Ok(id)
    }
}

/// Reads a value as the variant its key names.
struct Tagged<'a, X> {
    kind: &'a str,
    content: PhantomData<X>,
}

impl<'de, X: Deserialize<'de>> DeserializeSeed<'de> for Tagged<'_, X> {
    type Value = X;
    fn deserialize<D: Deserializer<'de>>(self, content: D) -> Result<X, D::Error> {
        X::deserialize(TaggedDeserializer { kind: self.kind, content })
    }
}

struct TaggedDeserializer<'a, D> {
    kind: &'a str,
    content: D,
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for TaggedDeserializer<'_, D> {
    type Error = D::Error;

    fn deserialize_enum<V: Visitor<'de>>(self, _: &'static str, _: &'static [&'static str], visitor: V) -> Result<V::Value, D::Error> {
        visitor.visit_enum(self)
    }

    /// For a type that is no enum the key says nothing.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.content.deserialize_any(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.content.deserialize_struct(name, fields, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.content.deserialize_map(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct seq tuple
        tuple_struct identifier ignored_any
    }
}

impl<'de, D: Deserializer<'de>> de::EnumAccess<'de> for TaggedDeserializer<'_, D> {
    type Error = D::Error;
    type Variant = Content<D>;
    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Content<D>), D::Error> {
        Ok((seed.deserialize(self.kind.into_deserializer())?, Content(self.content)))
    }
}

struct Content<D>(D);

impl<'de, D: Deserializer<'de>> de::VariantAccess<'de> for Content<D> {
    type Error = D::Error;
    fn unit_variant(self) -> Result<(), D::Error> {
        <()>::deserialize(self.0)
    }
    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, D::Error> {
        seed.deserialize(self.0)
    }
    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_tuple(length, visitor)
    }
    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_struct("settings", fields, visitor)
    }
}

/// The variant names of an enum, asked from its own `Deserialize`; none for another type.
fn kinds_of<'de, X: Deserialize<'de>>() -> &'static [&'static str] {
    struct Ask<'a>(&'a mut &'static [&'static str]);
    impl<'de> Deserializer<'de> for Ask<'_> {
        type Error = de::value::Error;
        fn deserialize_enum<V: Visitor<'de>>(self, _: &'static str, kinds: &'static [&'static str], _: V) -> Result<V::Value, Self::Error> {
            *self.0 = kinds;
            Err(de::Error::custom("asked only for the names"))
        }
        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
            Err(de::Error::custom("asked only for the names"))
        }
        forward_to_deserialize_any! {
            bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct seq tuple
            tuple_struct map struct identifier ignored_any
        }
    }
    let mut kinds: &'static [&'static str] = &[];
    // The answer is in `kinds`; there is never a value.
    let _ = X::deserialize(Ask(&mut kinds));
    kinds
}
