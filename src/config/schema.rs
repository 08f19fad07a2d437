//! A JSON Schema of the config, for editors: `tollgate check --schema`.
//!
//! A schema written by hand says what was true when it was written. This one asks the reader itself: what it answers to a key that
//! nobody knows is the list of those it does, and which values it takes shows when it is given some. Descriptions and defaults are
//! those of `config.example.yaml`, which tests hold to the truth. A schema is a help while typing; `tollgate check` has the last word.

use super::file::File;
use super::load::{Sources, load};
use super::problem::{Problem, Words};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The example, which has a comment and the default for every key.
pub(super) const EXAMPLE: &str = include_str!("../../config.example.yaml");

/// A key and a word that no section knows.
const NOBODY: &str = "nobodys_key";

/// Values to try: one for every kind that a section may want.
const TRIED: [(&str, Option<&str>); 9] = [
    ("true", Some("boolean")),
    ("7", Some("number")),
    ("0.5", Some("number")),
    ("some-text", None),
    ("30s", None),
    ("64MiB", None),
    ("127.0.0.1:1", None),
    ("http://a.example:1", None),
    ("2026-01-01", None),
];

/// Every value can come from outside, whatever its type.
const FROM_OUTSIDE: &str = r"^\$\{(env|file):";

/// The schema of the whole file.
pub fn schema() -> Value {
    let notes = notes();
    let mut root = section("", &notes, &own_keys("", &[]));
    if let Some(members) = root.as_object_mut() {
        members.insert("$schema".to_owned(), "https://json-schema.org/draft/2020-12/schema".into());
        members.insert("title".to_owned(), "Tollgate".into());
    }
    root
}

/// What the example says of a key.
#[derive(Debug, Default)]
struct Note {
    text: String,
    default: Option<Value>,
}

/// A section with these keys.
fn section(path: &str, notes: &BTreeMap<String, Note>, keys: &BTreeSet<String>) -> Value {
    let mut properties = Map::new();
    for key in keys {
        let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        properties.insert(key.clone(), value(&below, notes));
    }
    if path == "exporters" {
        // A key is a type, and perhaps a name behind it.
        let named: Map<String, Value> = properties.into_iter().map(|(kind, value)| (format!("^{kind}(/.+)?$"), value)).collect();
        return json!({ "type": ["object", "null"], "patternProperties": named, "additionalProperties": false });
    }
    json!({ "type": ["object", "null"], "properties": properties, "additionalProperties": false })
}

/// Whatever may stand at a path.
fn value(path: &str, notes: &BTreeMap<String, Note>) -> Value {
    let mut out = shape(path, notes);
    if let (Some(note), Some(members)) = (notes.get(&path.replace("[0]", "")), out.as_object_mut()) {
        if !note.text.is_empty() {
            members.insert("description".to_owned(), note.text.clone().into());
        }
        if let Some(default) = &note.default {
            members.insert("default".to_owned(), default.clone());
        }
    }
    out
}

fn shape(path: &str, notes: &BTreeMap<String, Note>) -> Value {
    // A policy within a policy is a policy again; an editor need not go on for ever.
    if path.ends_with("_sub_policy") {
        return json!({});
    }
    let item = format!("{path}[0]");
    let (words, item_words) = (words(path), words(&item));
    let keys = own_keys(path, &words);
    let item_keys: BTreeSet<String> = own_keys(&item, &item_words).difference(&keys).cloned().collect();
    let mut any_of = Vec::new();
    if !words.is_empty() {
        // YAML reads two of the words as no words.
        let booleans = words.iter().filter_map(|word| word.parse::<bool>().ok()).map(Value::Bool);
        let all: Vec<Value> = words.iter().map(|word| json!(word)).chain(booleans).collect();
        any_of.push(json!({ "enum": all }));
        any_of.push(json!({ "type": "string", "pattern": FROM_OUTSIDE }));
    } else if let Some(types) = scalars(path, notes.get(&path.replace("[0]", ""))) {
        any_of.push(json!({ "type": types }));
    }
    if !keys.is_empty() {
        any_of.push(section(path, notes, &keys));
    } else if takes(path, "{}") || takes(path, &format!("{{{NOBODY}: {NOBODY}}}")) {
        any_of.push(json!({ "type": ["object", "null"] }));
    }
    if !item_keys.is_empty() || !item_words.is_empty() {
        let mut items = Vec::new();
        if !item_words.is_empty() {
            items.push(json!({ "enum": item_words }));
        }
        if !item_keys.is_empty() {
            items.push(section(&item, notes, &item_keys));
        } else if takes(&item, "{}") {
            items.push(json!({ "type": "object" }));
        }
        any_of.push(json!({ "type": ["array", "null"], "items": one_of(items) }));
    } else if takes(path, "[]") {
        any_of.push(json!({ "type": ["array", "null"] }));
    }
    one_of(any_of)
}

fn one_of(mut shapes: Vec<Value>) -> Value {
    match (shapes.len(), shapes.pop()) {
        (_, None) => json!({}),
        (1, Some(only)) => only,
        (_, Some(last)) => {
            shapes.push(last);
            json!({ "anyOf": shapes })
        }
    }
}

/// Types of the single values that are taken at a path; nothing where none is.
fn scalars(path: &str, note: Option<&Note>) -> Option<BTreeSet<&'static str>> {
    // A word that is one of few is not guessed, and may be the default.
    let word = note.and_then(|note| note.default.as_ref()).and_then(Value::as_str).map(|word| (word, None));
    let taken: Vec<_> = TRIED.into_iter().chain(word).filter(|(text, _)| takes(path, text)).collect();
    let mut types: BTreeSet<&str> = taken.iter().filter_map(|(_, kind)| *kind).collect();
    // Text too, for what comes from outside.
    types.insert("string");
    (!taken.is_empty()).then_some(types)
}

/// Whether a value can be read at a path, whatever checks may say of it afterwards.
fn takes(path: &str, text: &str) -> bool {
    // Of a section in a list only what is said of the section itself counts: a value that is missing in it is another matter.
    !problems(path, text).iter().any(|problem| problem.words != Words::Checks && problem.path() == path)
}

/// The words that are values at a path, where the list is closed.
fn words(path: &str) -> Vec<String> {
    listed(&problems(path, NOBODY))
}

/// The keys of the section at a path. Words that are values there are no keys.
fn own_keys(path: &str, words: &[String]) -> BTreeSet<String> {
    let keys = listed(&problems(path, &format!("{{{NOBODY}: 1}}")));
    keys.into_iter().filter(|key| !words.contains(key)).collect()
}

/// What is valid where [`NOBODY`] is not.
fn listed(problems: &[Problem]) -> Vec<String> {
    let of_nobody = |problem: &&Problem| problem.message().contains(NOBODY) || problem.path().ends_with(NOBODY);
    let list = |problem: &Problem| {
        let message = problem.message();
        let (_, list) = message.split_once("valid here: ").or_else(|| message.split_once("there are "))?;
        Some(list.trim_end_matches('.').split(", ").map(str::to_owned).collect::<Vec<_>>())
    };
    problems.iter().filter(of_nobody).filter_map(list).flatten().collect()
}

/// What the reader says to a config that has this at a path, and nothing else.
fn problems(path: &str, text: &str) -> Vec<Problem> {
    let config = path.split('.').filter(|key| !key.is_empty()).rev().fold(text.to_owned(), |inner, key| {
        let (key, inner) = key.strip_suffix("[0]").map_or((key, inner.clone()), |key| (key, format!("[{inner}]")));
        format!("{{\"{key}\": {inner}}}")
    });
    load::<File>(Sources::new().text("schema", config)).err().map_or_else(Vec::new, |problems| problems.found)
}

/// Comments and defaults of the example by path, without places in lists.
fn notes() -> BTreeMap<String, Note> {
    let defaults: Value = serde_yaml::from_str(EXAMPLE).unwrap_or_default();
    let mut notes: BTreeMap<String, Note> = BTreeMap::new();
    let (mut keys, mut comment, mut in_option): (Vec<(usize, String)>, Vec<String>, bool) = Default::default();
    for line in EXAMPLE.lines() {
        let rest = line.trim_start();
        in_option = rest
            .strip_prefix('#')
            .is_some_and(|after| !after.is_empty() && (!after.starts_with(' ') || in_option && after.starts_with("  ")));
        let line = if in_option { line.replacen('#', "", 1) } else { line.to_owned() };
        let text = line.trim_start();
        if let Some(words) = text.strip_prefix("# ") {
            comment.push(words.to_owned());
            continue;
        }
        let (mut indent, mut text) = (line.len() - text.len(), text);
        while let Some(item) = text.strip_prefix("- ") {
            (indent, text) = (indent + 2, item);
        }
        let Some((key, _)) = text.split_once(':').filter(|(key, _)| !key.is_empty() && !key.contains([' ', '{', '"'])) else {
            comment.clear();
            continue;
        };
        keys.retain(|(of, _)| *of < indent);
        // Where a name is behind the type, the schema has the type.
        keys.push((indent, key.split('/').next().unwrap_or(key).to_owned()));
        let path = keys.iter().map(|(_, key)| key.as_str()).collect::<Vec<_>>().join(".");
        let text = std::mem::take(&mut comment).join(" ");
        let default =
            keys.iter().try_fold(&defaults, |value, (_, key)| value.get(key)).filter(|value| !value.is_object() && !value.is_null());
        let note = notes.entry(path).or_default();
        if note.text.is_empty() {
            note.text = text;
        }
        note.default = note.default.take().or_else(|| default.filter(|_| !in_option).cloned());
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at<'a>(schema: &'a Value, path: &str) -> &'a Value {
        path.split('.').fold(schema, |value, key| match key.strip_suffix("[]") {
            Some(key) => &value["properties"][key]["items"],
            None => &value["properties"][key],
        })
    }

    /// What is wrong with a value, by the part of JSON Schema that is written here.
    fn wrong(schema: &Value, value: &Value, path: &str) -> Option<String> {
        if let Some(shapes) = schema["anyOf"].as_array() {
            let all: Option<Vec<String>> = shapes.iter().map(|shape| wrong(shape, value, path)).collect();
            return all.map(|problems| problems.join("; or "));
        }
        if let Some(words) = schema["enum"].as_array() {
            return (!words.contains(value)).then(|| format!("{path}: {value} is not in {words:?}"));
        }
        let kind = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let types: Vec<&str> = match &schema["type"] {
            Value::String(only) => vec![only],
            Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
            _ => return None,
        };
        if !types.contains(&kind) {
            return Some(format!("{path}: {value} is none of {types:?}"));
        }
        match value {
            Value::Object(members) => members.iter().find_map(|(key, value)| {
                let kind = format!("^{}(/.+)?$", key.split('/').next().unwrap_or(key));
                let named = || schema["patternProperties"].get(&kind);
                match schema["properties"].get(key).or_else(named) {
                    Some(shape) => wrong(shape, value, &format!("{path}.{key}")),
                    None => (schema["additionalProperties"] == false).then(|| format!("{path}: {key} is unknown")),
                }
            }),
            Value::Array(items) => items.iter().find_map(|item| wrong(&schema["items"], item, &format!("{path}[]"))),
            Value::String(text) if schema["pattern"].is_string() => {
                (!text.starts_with("${")).then(|| format!("{path}: {text} is no expression"))
            }
            _ => None,
        }
    }

    #[test]
    fn it_knows_keys_types_words_defaults_and_what_they_are_for() {
        let schema = schema();
        let wait = at(&schema, "processors.tail_sampling.decision_wait");
        assert_eq!((&wait["default"], &wait["type"]), (&"30s".into(), &json!(["string"])));
        assert!(wait["description"].as_str().is_some_and(|text| text.starts_with("How long a trace waits")), "{wait}");
        assert_eq!(at(&schema, "processors.enrich.enabled")["type"], json!(["boolean", "string"]));
        assert_eq!(at(&schema, "service.spend.max_series")["type"], json!(["number", "string"]));
        let level = at(&schema, "service.logs.level");
        assert!(level["anyOf"][0]["enum"].as_array().is_some_and(|words| words.contains(&"debug".into())), "{level}");
        let budgets = at(&schema, "service.spend.budgets[]");
        assert_eq!(budgets["properties"].as_object().map(|keys| keys.len()), Some(5), "{budgets}");
        assert!(schema["properties"]["exporters"]["patternProperties"]["^otlp_grpc(/.+)?$"]["properties"]["sending_queue"].is_object());
    }

    #[test]
    fn what_loads_is_valid_and_a_slip_is_not() {
        let schema = schema();
        let wrong = |text: &str| wrong(&schema, &serde_yaml::from_str(text).unwrap(), "");
        assert_eq!(wrong(EXAMPLE), None);
        for text in [
            "processors: { tail_sampling: { policies: [ { name: a, type: latency, latency: { threshold_ms: 5 } } ], always_keep: [error] } }",
            "exporters: { otlp_grpc/a: { endpoint: 'a:1', timeout: 3s }, file: { path: x } }",
            "service: { memory: { limit: 60% }, spend: { budgets: [ { name: a, usd: 0.5, match: { user: [a, b] } } ] } }",
            "service: { logs: { level: '${env:LEVEL}' }, admin: }",
            "receivers: { otlp: { protocols: { http: { endpoint: '0.0.0.0:4318', cors: { allowed_origins: ['*'] } } } } }",
        ] {
            assert_eq!(wrong(text), None, "{text}");
        }
        for text in [
            "processors: { tail_samplin: {} }",
            "service: { spend: { enabled: [1] } }",
            "service: { logs: { level: loud } }",
            "exporters: { kafka: {} }",
            "processors: { enrich: { normalize: { tokens: maybe } } }",
        ] {
            assert!(wrong(text).is_some(), "{text}");
        }
    }
}
