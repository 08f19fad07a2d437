//! Values, attributes, resource and scope: what all three signals are made of.

use super::message::message;
use super::read::{Bytes, Field, Object};
use super::write::{Fields, Render};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::resource::v1::Resource;
use serde::de::MapAccess;

impl Object for AnyValue {
    const NESTS: bool = true;

    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, value: Field<'_, A>) -> Result<(), A::Error> {
        let to = &mut self.value;
        match key {
            "stringValue" => value.one_of(to, Value::StringValue),
            "boolValue" => value.one_of(to, Value::BoolValue),
            "intValue" => value.one_of(to, Value::IntValue),
            "doubleValue" => value.one_of(to, Value::DoubleValue),
            "arrayValue" => value.one_of(to, Value::ArrayValue),
            "kvlistValue" => value.one_of(to, Value::KvlistValue),
            "bytesValue" => value.one_of(to, |bytes: Bytes| Value::BytesValue(bytes.0)),
            "stringValueStrindex" => value.one_of(to, Value::StringValueStrindex),
            _ => value.skip(),
        }
    }
}

impl Render for AnyValue {
    fn fields(&self, to: &mut Fields<'_>) {
        match &self.value {
            None => (),
            Some(Value::StringValue(text)) => to.set_string("stringValue", text),
            Some(Value::BoolValue(truth)) => to.set_bool("boolValue", *truth),
            Some(Value::IntValue(number)) => to.set_int64("intValue", *number),
            Some(Value::DoubleValue(number)) => to.set_double("doubleValue", *number),
            Some(Value::ArrayValue(array)) => to.message("arrayValue", Some(array)),
            Some(Value::KvlistValue(list)) => to.message("kvlistValue", Some(list)),
            Some(Value::BytesValue(bytes)) => to.set_bytes("bytesValue", bytes),
            Some(Value::StringValueStrindex(index)) => to.set_int32("stringValueStrindex", *index),
        }
    }
}

message! {
    ArrayValue {
        "values": messages values,
    }
}

message! {
    KeyValueList {
        "values": messages values,
    }
}

message! {
    KeyValue {
        "key": string key,
        "value": message value,
        "keyStrindex": i32 key_strindex,
    }
}

message! {
    InstrumentationScope {
        "name": string name,
        "version": string version,
        "attributes": messages attributes,
        "droppedAttributesCount": u32 dropped_attributes_count,
    }
}

message! {
    EntityRef {
        "schemaUrl": string schema_url,
        "type": string r#type,
        "idKeys": strings id_keys,
        "descriptionKeys": strings description_keys,
    }
}

message! {
    Resource {
        "attributes": messages attributes,
        "droppedAttributesCount": u32 dropped_attributes_count,
        "entityRefs": messages entity_refs,
    }
}
