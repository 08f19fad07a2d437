//! Lines of JSON that are answered one by one.
//!
//! Whoever pipes them in matches answers by id, so the id is read first and apart: a line that breaks off is still answered under it.

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// The `id` of a line, as far as it could be read, and its other members.
pub(super) fn read(line: &[u8]) -> (Option<Value>, Result<Map<String, Value>, serde_json::Error>) {
    let mut id = None;
    let mut json = serde_json::Deserializer::from_slice(line);
    let fields = Fields { id: &mut id }.deserialize(&mut json).and_then(|fields| json.end().map(|()| fields));
    (id, fields)
}

/// Reads an object and notes its id on the way, so that it is known even if the rest is broken.
struct Fields<'a> {
    id: &'a mut Option<Value>,
}

impl<'de> DeserializeSeed<'de> for Fields<'_> {
    type Value = Map<String, Value>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            let value: Value = map.next_value()?;
            if key == "id" {
                *self.id = Some(value);
            } else if fields.insert(key, value).is_some() {
                return Err(de::Error::custom("the same key twice"));
            }
        }
        Ok(fields)
    }
}
